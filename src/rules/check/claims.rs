//! What a condition says of one value, as far as it can be said before anything runs.

use std::cmp::Ordering;

use rhai::Position;
use rust_decimal::Decimal;

use super::literals::Literal;
use super::{Known, Type};
use crate::rules::sign::Sign;

/// The most ways in which a claim may be so; of a longer list nothing is claimed.
pub(super) const MAX_WAYS: usize = 20;

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    /// The variable that it begins with: how many are declared before it.
    pub(super) root: usize,
    /// As it is written: `order.total`.
    pub(super) path: String,
    /// Whether the variable stays what it is, so that the claim lasts.
    pub(super) lasts: bool,
}

/// How a claim came to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is part of the same condition.
    Beside,
    /// It is a condition around this one.
    Around,
    /// It is the condition of an earlier branch, which was not taken.
    Before,
}

/// That a value is so, in one of several ways.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) subject: Subject,
    pub(super) known: Known,
    pub(super) ways: Vec<(Sign, Literal)>,
    /// As said to people, without the `!` before it.
    pub(super) shown: String,
    /// Whether what is shown holds, or does not.
    pub(super) holds: bool,
    pub(super) standing: Standing,
    pub(super) position: Position,
}

impl Claim {
    /// Whether no value is both so and as `other` says.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        let is_whole = self.known.kind == Type::Whole || other.known.kind == Type::Whole;
        self.ways.iter().all(|a| other.ways.iter().all(|b| exclude(a, b, is_whole)))
    }

    /// As it is written, or its opposite.
    pub(super) fn written(&self, holds: bool) -> String {
        let simple = self.shown.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_'));
        match (self.holds == holds, simple) {
            (true, _) => self.shown.clone(),
            (false, true) => format!("!{}", self.shown),
            (false, false) => format!("!({})", self.shown),
        }
    }

    /// The opposite, as far as it is one claim: what is of another type is neither.
    pub(super) fn denied(mut self) -> Vec<Self> {
        if self.known.kind.is_open() {
            return Vec::new();
        }
        self.holds = !self.holds;
        let ways = std::mem::take(&mut self.ways);
        ways.into_iter().map(|way| Self { ways: vec![deny(way)], ..self.clone() }).collect()
    }
}

fn deny((sign, with): (Sign, Literal)) -> (Sign, Literal) {
    match (sign, with) {
        (Sign::Is, Literal::Truth(truth)) => (Sign::Is, Literal::Truth(!truth)),
        (sign, with) => (sign.opposite(), with),
    }
}

/// Whether no value is so both ways.
pub(super) fn exclude(a: &(Sign, Literal), b: &(Sign, Literal), is_whole: bool) -> bool {
    match (a.0, b.0) {
        (Sign::Is, sign) => !sign.holds(a.1.compare(&b.1)),
        (sign, Sign::Is) => !sign.holds(b.1.compare(&a.1)),
        (Sign::Above | Sign::AtLeast, Sign::Below | Sign::AtMost) => lies_above(a, b, is_whole),
        (Sign::Below | Sign::AtMost, Sign::Above | Sign::AtLeast) => lies_above(b, a, is_whole),
        _ => false,
    }
}

/// Whether everything above the one limit lies above the other, too.
fn lies_above(low: &(Sign, Literal), high: &(Sign, Literal), is_whole: bool) -> bool {
    let touches = |sign| matches!(sign, Sign::AtLeast | Sign::AtMost) || is_whole;
    match limit(low, is_whole).compare(&limit(high, is_whole)) {
        Some(Ordering::Equal) => !(touches(low.0) && touches(high.0)),
        Some(ordering) => ordering == Ordering::Greater,
        None => true,
    }
}

/// The first or last value that is so; of whole numbers, `> 5` begins at 6.
fn limit((sign, with): &(Sign, Literal), is_whole: bool) -> Literal {
    match (with, sign) {
        (Literal::Number(n), Sign::Above) if is_whole => Literal::Number(next(n.floor(), Decimal::ONE)),
        (Literal::Number(n), Sign::Below) if is_whole => Literal::Number(next(n.ceil(), -Decimal::ONE)),
        (same, _) => same.clone(),
    }
}

/// The whole number beside it; there is none beside the last one.
fn next(number: Decimal, step: Decimal) -> Decimal {
    number.checked_add(step).unwrap_or(number)
}
