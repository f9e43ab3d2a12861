//! Five rules that all fire for one order, and what they reckon written in Rust.

use punchcard::domain::Timestamp;
use punchcard::domain::history::Window;
use punchcard::domain::member::Member;
use punchcard::domain::order::Order;
use punchcard::rules::decide::Case;
use punchcard::rules::program::Sources;
use rust_decimal::Decimal;

use super::Till;

pub(crate) const MANIFEST: &str = r#"
name = "Harvest Kitchen"
timezone = "America/New_York"
currency = "USD"
tiers = ["bronze", "silver", "gold"]
achievements = ["regular"]
categories = ["coffee", "food", "drink", "merch"]
"#;

/// All of them fire for the order below.
pub(crate) const FIVE: &str = r#"
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

/// What they ask for, written out.
pub(crate) const EFFECTS: &str = r#"
rule "Points per dollar" on order.completed { award(67.00); }
rule "Double points Tuesday" on order.completed { award(34.50); }
rule "Silver" on order.completed { set_tier("silver"); }
rule "Five visits" on order.completed { achieve("regular"); }
rule "By the app" on order.completed { award(1); }
"#;

const ITEMS: &str = r#""total":34.50,"items":[
    {"name":"Flat White","category":"coffee","quantity":2,"price":4.50},
    {"name":"Power Bowl","category":"food","quantity":1,"price":14.50},
    {"name":"Iced Tea","category":"drink","quantity":1,"price":5.00},
    {"name":"Mug","category":"merch","quantity":1,"price":6.00}]"#;

/// So many rules that do not fire, beside those five or none.
pub(crate) fn till(rules: &str, more: usize, condition: &str) -> Till {
    let mut rules = rules.to_owned();
    for n in 0..more {
        let condition = condition.replace("$n", &n.to_string());
        rules += &format!("rule \"quiet {n}\" on order.completed when {condition} {{ award(1); }}\n");
    }
    let files = [("program.toml", MANIFEST.to_owned()), ("rules.rhai", rules)];
    Till::of(&Sources { files: files.map(|(name, text)| (name.to_owned(), text)).to_vec() })
}

/// A Tuesday's order of somebody who came for 40 days.
pub(crate) fn case(till: &Till) -> Case {
    let guest = till.guest(40);
    let standing = Member { standing: till.guest(0).standing, ..guest };
    let tuesday: Timestamp = "2000-02-15T17:30:00Z".parse().unwrap();
    till.order_of(44, &standing, tuesday, ITEMS)
}

/// What the five rules reckon.
pub(crate) fn in_rust(order: &Order, member: &Member, now: Timestamp) -> (Decimal, bool, bool) {
    use chrono::Datelike;
    let local = now.with_timezone(&chrono_tz::America::New_York);
    let times = |category: Option<&str>| match category {
        Some("coffee") => 3,
        Some("food") => 2,
        _ => 1,
    };
    let mut points: Decimal =
        order.items.iter().map(|item| item.total() * Decimal::from(times(item.category.as_deref()))).sum();
    if local.weekday() == chrono::Weekday::Tue {
        points += order.total.decimal();
    }
    let today = local.date_naive();
    let silver = member.history.spend_in(Window::Months(12), today).decimal() >= 200.into();
    let regular = member.history.visits_in(Window::Days(30), today) >= 5;
    if order.channel.as_deref() == Some("pos") && order.total.decimal() > 20.into() {
        points += Decimal::ONE;
    }
    (points, silver, regular)
}
