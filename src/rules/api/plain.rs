//! Times, spans of time, numbers, texts and lists.

use std::ops::{Range, RangeInclusive};

use rhai::{Array, Dynamic};
use rust_decimal::Decimal;
use rust_decimal::prelude::RoundingStrategy;

use super::Text;
use crate::domain::history::Window;
use crate::rules::requests::Failure;
use crate::rules::views::Moment;
use crate::rules::vocabulary::{Author, Role, Type};

pub(super) fn words(author: &mut Author) {
    moments_and_windows(author);
    values(author);
}

/// Those that depend on no calendar.
pub(super) fn values(author: &mut Author) {
    numbers(author);
    texts_and_lists(author);
}

fn moments_and_windows(author: &mut Author) {
    author.text("weekday", |m: &mut Moment| m.weekday()).role(Role::Weekday).says("`Monday` to `Sunday`.");
    author.property("hour", Type::Whole, |m: &mut Moment| m.hour()).between(0, 23).says("0 to 23.");
    author.property("minute", Type::Whole, |m: &mut Moment| m.minute()).between(0, 59).says("0 to 59.");
    author
        .property("day", Type::Whole, |m: &mut Moment| m.day())
        .between(1, 31)
        .says("The day of the month.");
    author.property("month", Type::Whole, |m: &mut Moment| m.month()).between(1, 12).says("1 to 12.");
    author.property("year", Type::Whole, |m: &mut Moment| m.year()).says("The year.");
    author
        .property("date", Type::Text, |m: &mut Moment| Text::from(m.date()))
        .role(Role::Date)
        .says("The day as `2026-03-02`; such texts compare like days.");
    author
        .attempt("days", Type::Window, |n: &mut i64| count(*n).map(Window::Days))
        .says("So many days that end today, today included.");
    author
        .attempt("weeks", Type::Window, |n: &mut i64| count(n.saturating_mul(7)).map(Window::Days))
        .says("So many weeks of seven days that end today.");
    author
        .attempt("months", Type::Window, |n: &mut i64| count(*n).map(Window::Months))
        .says("So many calendar months that end today; 13 at most.");
}

fn count(n: i64) -> Result<u32, Failure> {
    u32::try_from(n).map_err(|_| format!("{n} is no length of time").into())
}

fn numbers(author: &mut Author) {
    use RoundingStrategy::{MidpointAwayFromZero, ToNegativeInfinity, ToPositiveInfinity};
    for (name, strategy, says) in [
        ("floor", ToNegativeInfinity, "The whole number below."),
        ("ceil", ToPositiveInfinity, "The whole number above."),
        ("round", MidpointAwayFromZero, "The nearest whole number; a half goes away from zero."),
    ] {
        author
            .function(name, Type::Decimal, move |n: Decimal| n.round_dp_with_strategy(0, strategy))
            .says(says);
        author.function(name, Type::Whole, |n: i64| n);
    }
    author
        .function("round", Type::Decimal, |n: Decimal, decimals: i64| {
            n.round_dp_with_strategy(decimals.clamp(0, 28) as u32, MidpointAwayFromZero)
        })
        .says("Rounded to so many decimals; a half goes away from zero.");
    author.function("abs", Type::Decimal, |n: Decimal| n.abs()).says("Without its sign.");
    author.function("abs", Type::Whole, |n: i64| n.saturating_abs());
    author.function("min", Type::Whole, |a: i64, b: i64| a.min(b)).says("The smaller one.");
    author.function("max", Type::Whole, |a: i64, b: i64| a.max(b)).says("The larger one.");
    author.function("min", Type::Decimal, |a: Decimal, b: Decimal| a.min(b));
    author.function("max", Type::Decimal, |a: Decimal, b: Decimal| a.max(b));
    author.function("min", Type::Decimal, |a: i64, b: Decimal| b.min(a.into()));
    author.function("max", Type::Decimal, |a: i64, b: Decimal| b.max(a.into()));
    author.function("min", Type::Decimal, |a: Decimal, b: i64| a.min(b.into()));
    author.function("max", Type::Decimal, |a: Decimal, b: i64| a.max(b.into()));
    author.module().set_iterator::<Range<i64>>().set_iterator::<RangeInclusive<i64>>();
    author
        .function("contains", Type::Bool, |range: &mut Range<i64>, n: i64| range.contains(&n))
        .says("Whether the number is in it.");
    author.function("contains", Type::Bool, |range: &mut RangeInclusive<i64>, n: i64| range.contains(&n));
}

fn texts_and_lists(author: &mut Author) {
    author
        .property("len", Type::Whole, |text: &mut Text| text.chars().count() as i64)
        .never_negative()
        .says("How many characters.");
    author
        .function("contains", Type::Bool, |text: &mut Text, part: Text| text.contains(part.as_str()))
        .says("Whether a part is in it.");
    author
        .function("starts_with", Type::Bool, |text: &mut Text, part: Text| text.starts_with(part.as_str()))
        .says("Whether it begins with this.");
    author
        .function("ends_with", Type::Bool, |text: &mut Text, part: Text| text.ends_with(part.as_str()))
        .says("Whether it ends with this.");
    author
        .function("to_lower", Type::Text, |text: &mut Text| Text::from(text.to_lowercase()))
        .says("In small letters.");
    author
        .function("to_upper", Type::Text, |text: &mut Text| Text::from(text.to_uppercase()))
        .says("In capital letters.");
    author.module().set_iterable::<Array>();
    author
        .property("len", Type::Whole, |list: &mut Array| list.len() as i64)
        .never_negative()
        .says("How many there are.");
    author
        .function("contains", Type::Bool, |list: &mut Array, value: Dynamic| {
            list.iter().any(|v| same(v, &value))
        })
        .says("Whether one of them is this.");
}

/// Equality as rules mean it: texts, numbers of either kind, truth values.
fn same(a: &Dynamic, b: &Dynamic) -> bool {
    let number = |v: &Dynamic| v.as_int().map(Decimal::from).or_else(|_| v.as_decimal()).ok();
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a == b;
    }
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return *a == *b;
    }
    matches!((a.as_bool(), b.as_bool()), (Ok(a), Ok(b)) if a == b)
}
