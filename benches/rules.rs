//! What rules cost: a decision with five rules that fire, less one without rules; and each further rule of the same
//! event that does not fire, with a condition of plain comparisons and with one that needs the interpreter.
//!
//! `cargo bench --bench rules`. Wanted: five rules in at most 10 microseconds, one that does not fire in at most 200
//! nanoseconds. `in Rust` is what the five rules reckon, written in Rust.
#![allow(missing_docs, reason = "criterion's macros write the public items")]
#![allow(clippy::unwrap_used, reason = "a benchmark")]

mod till;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use punchcard::domain::Timestamp;
use punchcard::domain::decide::Occasion;
use punchcard::domain::history::Window;
use punchcard::domain::member::Member;
use punchcard::domain::order::Order;
use punchcard::domain::source_event::SourceData;
use punchcard::rules::decide::Case;
use punchcard::rules::program::Sources;
use till::Till;

const MANIFEST: &str = r#"
name = "Harvest Kitchen"
timezone = "America/New_York"
currency = "USD"
tiers = ["bronze", "silver", "gold"]
achievements = ["regular"]
categories = ["coffee", "food", "drink", "merch"]
"#;

/// All of them fire for the order below.
const FIVE: &str = r#"
const SILVER_FROM = 200;

fn multiplier(category) {
    switch category { "coffee" => 3, "food" => 2, _ => 1 }
}

rule "Points per dollar" on order.completed {
    let points = 0.0;
    for item in order.items { points += item.total * multiplier(item.category); }
    award(points);
}

rule "Double points Tuesday" on order.completed when order.at.weekday == "Tuesday" { award(order.total); }

rule "Silver" on order.completed when member.tier == "bronze" && member.spend_in(12.months) >= SILVER_FROM {
    set_tier("silver");
}

rule "Five visits" on order.completed
when member.visits_in(30.days) >= 5 && !member.has_achievement("regular")
{
    achieve("regular");
}

rule "By the app" on order.completed when order.channel == "pos" && order.total > 20 { award(1); }
"#;

const ITEMS: &str = r#""total":34.50,"items":[
    {"name":"Flat White","category":"coffee","quantity":2,"price":4.50},
    {"name":"Power Bowl","category":"food","quantity":1,"price":14.50},
    {"name":"Iced Tea","category":"drink","quantity":1,"price":5.00},
    {"name":"Mug","category":"merch","quantity":1,"price":6.00}]"#;

/// So many rules that do not fire, beside those five or none.
fn till(rules: &str, more: usize, condition: &str) -> Till {
    let mut rules = rules.to_owned();
    for n in 0..more {
        let condition = condition.replace("$n", &n.to_string());
        rules += &format!("rule \"quiet {n}\" on order.completed when {condition} {{ award(1); }}\n");
    }
    let files = [("program.toml", MANIFEST.to_owned()), ("rules.rhai", rules)];
    Till::of(&Sources { files: files.map(|(name, text)| (name.to_owned(), text)).to_vec() })
}

/// A Tuesday's order of somebody who came for 40 days.
fn case(till: &Till) -> Case {
    let guest = till.guest(40);
    let standing = Member { standing: till.guest(0).standing, ..guest };
    let tuesday: Timestamp = "2000-02-15T17:30:00Z".parse().unwrap();
    till.order_of(44, &standing, tuesday, ITEMS)
}

fn decisions(criterion: &mut Criterion) {
    const PLAIN: &str = "order.total >= 1000$n";
    const ASKED: &str = "order.total - $n >= 1000";
    let programs = [
        ("no rules", till("", 0, "")),
        ("five rules that fire", till(FIVE, 0, "")),
        ("and 200 that do not, of plain comparisons", till(FIVE, 200, PLAIN)),
        ("and 200 that do not, with arithmetic", till(FIVE, 200, ASKED)),
    ];
    let mut group = criterion.benchmark_group("decide");
    for (name, till) in &programs {
        let case = case(till);
        group.bench_function(*name, |bencher| {
            bencher.iter_batched(|| case.clone(), |case| till.decide(case), BatchSize::SmallInput);
        });
    }
    group.bench_function("the five, in Rust", |bencher| {
        let case = case(&programs[0].1);
        let Occasion::Source(input) = &case.occasion else { unreachable!("an order") };
        let SourceData::OrderCompleted(order) = &input.event.data else { unreachable!("an order") };
        bencher.iter(|| in_rust(black_box(&order.order), black_box(&case.member), case.now));
    });
    group.finish();
}

/// What the five rules reckon.
fn in_rust(order: &Order, member: &Member, now: Timestamp) -> (rust_decimal::Decimal, bool, bool) {
    use chrono::Datelike;
    let local = now.with_timezone(&chrono_tz::America::New_York);
    let times = |category: Option<&str>| match category {
        Some("coffee") => 3,
        Some("food") => 2,
        _ => 1,
    };
    let mut points: rust_decimal::Decimal = order
        .items
        .iter()
        .map(|item| item.total() * rust_decimal::Decimal::from(times(item.category.as_deref())))
        .sum();
    if local.weekday() == chrono::Weekday::Tue {
        points += order.total.decimal();
    }
    let today = local.date_naive();
    let silver = member.history.spend_in(Window::Months(12), today).decimal() >= 200.into();
    let regular = member.history.visits_in(Window::Days(30), today) >= 5;
    if order.channel.as_deref() == Some("pos") && order.total.decimal() > 20.into() {
        points += rust_decimal::Decimal::ONE;
    }
    (points, silver, regular)
}

criterion_group!(benches, decisions);
criterion_main!(benches);
