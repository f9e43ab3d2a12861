//! What runs without the interpreter comes to what it comes to with it.

use proptest::prelude::*;

use super::properties::{perform, step};
use super::*;
use crate::domain::source_event::SourceType;
use crate::rules::code::{RuleEvent, Unit};
use crate::rules::native::Guard;

/// Conditions that need no interpreter.
const PLAIN: [&str; 42] = [
    r#"order.total >= 50"#,
    r#"50 <= order.total"#,
    r#"order.total > 12.5 && order.tax == 0"#,
    r#"order.total == order.eligible"#,
    r#"order.total < FROM and order.total > -2.5"#,
    r#"order.total != 0 and (order.at.hour < 9 or order.at.hour >= 17)"#,
    r#"order.at.weekday == "Tuesday""#,
    r#"order.at.weekday == DAY"#,
    r#"order.at.date >= "2026-04""#,
    r#"order.at.hour in 7..10"#,
    r#"order.at.hour in 7..=10"#,
    r#"!(order.at.hour in 7..10)"#,
    r#"order.id > "o5""#,
    r#"order.channel != "pos" || member.visits >= 3"#,
    r#"order.spent_on("coffee") > 10"#,
    r#"order.count_of("coffee") >= 1"#,
    r#"order.items.len > 0"#,
    r#"order.id.len > 1"#,
    r#"order.channel < order.id"#,
    r#"member.tier == "gold""#,
    r#"member.points > 3"#,
    r#"member.visits_in(30.days) >= 3"#,
    r#"member.spend_in(12.months) > FROM"#,
    r#"member.typical_gap_days <= 2.5"#,
    r#"member.has_achievement("regular")"#,
    r#"!member.is_new"#,
    r#"member.is_new == false"#,
    r#"member.days_since_last_visit > member.visits"#,
    r#"order.total * 2 > 200"#,
    r#"order.total - order.tax / 2 >= 30 + member.visits"#,
    r#"order.at.hour % 2 == 0"#,
    r#"-order.total < -40"#,
    r#"later(order) || order.total > 500"#,
    r#"!later(order) && order.total.floor() > 20"#,
    r#"round(order.total) == order.total"#,
    r#"max(order.total, 50) == 50.0"#,
    r#"DAYS.contains(order.at.weekday)"#,
    r#"order.at.weekday in DAYS"#,
    r#"order.id.ends_with("1")"#,
    r#""o1" in order.id"#,
    r#"share(order.total) > 10 and share(member.visits) < 2"#,
    r#"(if order.at.hour > 11 { "late" } else { "early" }) == "late""#,
];

/// Conditions of which the interpreter must look at a part.
const IN_PART: [&str; 2] = [
    r#"order.total > 5 && [1, 2].len > 1"#,
    r#"member.visits > 1 && !member.is_new && `${order.total}` != "5""#,
];

/// Conditions that the interpreter must look at.
const NOT_AT_ALL: [&str; 3] = [
    r#"[order.total].len == 1"#,
    r#"`${order.at.hour}` == "12" && order.total > 5"#,
    r#"order.total > 50 || [1].len > 1"#,
];

/// Bodies that need no interpreter; some of them fail, always or at times.
const PLAIN_BODIES: [&str; 37] = [
    "award(order.total);",
    "award(FROM); deduct(2.5, \"why\");",
    "award(order.items.len, DAY);",
    "award(1, order.channel);",
    "award(order.at.hour); award(1, order.status);",
    "set_tier(\"gold\");",
    "achieve(\"regular\"); award_to(2, \"why\", \"points\");",
    "mark(\"at_risk\", \"HIGH\");",
    "award(member.spend_in(12.months));",
    "award(order.total * 2);",
    "award(order.total / (order.at.hour - 7));",
    "let a = 1; award(a);",
    "if order.total > 5 { award(1); }",
    "if order.total > 300 { award(3); } else if order.total > 100 { award(2); } else { award(1); }",
    "award(share(order.total)); award(1, \"why\");",
    "let points = 0; for item in order.items { points += item.total * times(item.category); } award(points);",
    "let points = 0.0; for item in order.items { points += item.price; points -= 1; } award(max(points, 1));",
    "let points = order.at.hour; points *= 2; points %= 5; points /= 3.0; award(points + 1);",
    "let n = 1; n = order.total; award(n);",
    "let text = \"b\"; text = order.at.weekday; award(1, text);",
    "let found = false; for day in DAYS { if day == order.at.weekday { found = true; break; } } if found { award(7); }",
    "let n = 0; for i in 1..=4 { if i == 3 { continue; } n += i; } award(n);",
    "let n = 0; for i in 1..=4 { if i == 3 { break; } n += i; } award(n);",
    "let n = 1; for i in 0..order.at.hour { n += i; if n > 30 { return; } } award(n);",
    "let n = 1; for i in 0..order.items.len { for j in 0..3 { n += i * j + 1; } } award(n);",
    "award(graded(order.total)); award(graded(order.at.hour) + 1);",
    "switch order.at.weekday { \"Monday\" => award(1), \"Friday\" => { award(5); award(1); } _ => award(2) }",
    "switch order.at.hour { 7 => award(7), 8..12 => award(8), 12..=14 if order.total > 9 => award(12), _ => {} }",
    "switch order.total.floor() { 0.0 => award(1), 1..200 => award(2) }",
    "switch member.is_new { true => award(100), false => award(1) }",
    "let extra = if order.total > 50 { 5 } else { 1.5 }; award(extra);",
    "let n = nested(order.total); award(n);",
    "award(1); award(order.at.hour * 922337203685477580);",
    "award(1 + spent(order, \"coffee\"));",
    "if give(3) in 1..5 { award(10); }",
    "award(give(order.at.hour)); award(both(1, spent(order, \"coffee\")));",
    "const TWICE = 2; let total = order.total * TWICE; if total == 0 { return; } award(total);",
];

/// Bodies that the interpreter must run.
const OTHER_BODIES: [&str; 13] = [
    "let list = [1, 2]; award(list[0]);",
    "award(1, `for ${order.total}`);",
    "let n = 0; for (item, nth) in order.items { n += nth; } award(n + 1);",
    "let x = 1; if order.total > 5 { x = \"5\"; } award(1, `${x}`);",
    "let data = #{ a: 1 }; award(data.a);",
    "award(give(1).max(give(2)));",
    "let n = 1; award(n.max(if order.total > 5 { n += 10; 5 } else { 4 }));",
    "let n = 1; award(both(n, if order.total > 5 { n += 1; n } else { 7 }));",
    "let n = 1; award(max(n, if order.total > 5 { n += 10; 5 } else { 6 }));",
    "let days = DAYS; if days.contains(order.at.weekday) { award(1); }",
    "award(both(give(1), give(2)));",
    "award(deep(3));",
    "award(many(order.total));",
];

const FUNCTIONS: &str = r#"
const FROM = 80;
const DAY = "Friday";
const DAYS = ["Monday", "Friday"];
fn later(order) { order.at.hour > 12 }
fn share(n) { n / 10.0 }
fn times(category) { switch category { "coffee" => 3, "food" => 2, _ => 1 } }
fn graded(n) { if n > 100 { return 10; } let m = n + 1; if m > 20 { return m * 1.5; } m }
fn nested(n) { let doubled = share(n) + share(graded(n)); doubled + share(doubled) }
fn spent(order, category) { let sum = 0; for item in order.items { if item.category == category { sum += item.total; } } sum }
fn give(n) { award(n); n }
fn both(a, b) { a * 100 + b }
fn deep(n) { if n > 0 { deep(n - 1) } else { 1 } }
fn many(n) { let sum = 0; for i in 0..1500 { sum += n; sum -= n; } sum + 1 }
"#;

fn conditions() -> Program {
    let mut rules = FUNCTIONS.to_owned();
    for (nth, condition) in PLAIN.iter().chain(&IN_PART).chain(&NOT_AT_ALL).enumerate() {
        rules += &format!("rule \"{nth}\" on order.completed when {condition} {{ award(1 + {nth}); }}\n");
    }
    program(&rules)
}

fn bodies() -> Program {
    let mut rules = FUNCTIONS.to_owned();
    for (nth, body) in PLAIN_BODIES.iter().chain(&OTHER_BODIES).enumerate() {
        rules += &format!("rule \"{nth}\" on order.completed {{ {body} }}\n");
    }
    program(&rules)
}

/// The same program, of which the interpreter runs everything.
fn interpreted(mut program: Program) -> Program {
    for unit in Arc::get_mut(&mut program.code).unwrap().rules.values_mut().flatten() {
        (unit.guard, unit.deeds) = (None, None);
    }
    program
}

fn rules(program: &Program) -> &[Unit] {
    &program.code.rules[&RuleEvent::Source(SourceType::OrderCompleted)]
}

/// What stands with each rule, of which there are so many of each kind.
fn such<T: Clone>(wanted: &[(T, usize)]) -> Vec<T> {
    wanted.iter().flat_map(|(what, times)| vec![what.clone(); *times]).collect()
}

#[test]
fn conditions_that_read_compare_and_reckon_need_no_interpreter() {
    let program = conditions();
    let guards: Vec<_> =
        rules(&program).iter().map(|rule| rule.guard.as_ref().map(Guard::is_whole)).collect();
    let wanted = [(Some(true), PLAIN.len()), (Some(false), IN_PART.len()), (None, NOT_AT_ALL.len())];
    assert_eq!(guards, such(&wanted));
}

#[test]
fn bodies_that_reckon_choose_and_ask_for_effects_need_no_interpreter() {
    let program = bodies();
    let plain: Vec<_> = rules(&program).iter().map(|rule| rule.deeds.is_some()).collect();
    // The last one is only too long for it.
    let others = [(true, PLAIN_BODIES.len()), (false, OTHER_BODIES.len() - 1), (true, 1)];
    assert_eq!(plain, such(&others));
}

/// The same program, in which rules fail where the interpreter comes in.
fn alone(mut program: Program) -> Program {
    let failing =
        "rule \"fails\" on order.completed when 1 / (order.total - order.total) > 0 { award(-order.total); }";
    let failing = super::program(failing);
    let Unit { condition, body, .. } = &rules(&failing)[0];
    for unit in Arc::get_mut(&mut program.code).unwrap().rules.values_mut().flatten() {
        unit.condition = unit.condition.as_ref().and(condition.clone());
        unit.body = body.clone();
    }
    program
}

/// Some orders, with the same rules failing as with the interpreter at hand, of the first so many: less than `few`.
fn get_by_without_it(program: fn() -> Program, plain: usize, few: usize) {
    let (mut life, mut other) = (Life::new(program()), Life::new(alone(program())));
    let failed = |commit: Commit| -> Vec<usize> {
        let errors = commit.source.unwrap().receipt.errors;
        let rules = errors.iter().map(|failure| failure.rule.parse().unwrap());
        rules.filter(|nth| *nth < plain).collect()
    };
    for (total, category) in [("12.00", "coffee"), ("150.00", "food"), ("301.50", "mug")] {
        let data = format!(
            r#""total":{total},"status":"paid","channel":"pos","items":[
                {{"category":"{category}","price":3}},{{"category":"food","quantity":2,"price":1.50}}]"#
        );
        let wanted = failed(life.order(&data));
        assert!(wanted.len() < few, "{wanted:?}");
        assert_eq!(failed(other.order(&data)), wanted, "{total}");
    }
}

#[test]
fn what_needs_no_interpreter_comes_to_its_end_without_it() {
    get_by_without_it(conditions, PLAIN.len(), 1);
    get_by_without_it(bodies, PLAIN_BODIES.len(), 5);
}

/// Both go through the same life, and decide the same.
fn same(program: fn() -> Program, steps: &[properties::Step]) -> Result<(), TestCaseError> {
    let (mut life, mut other) = (Life::new(program()), Life::new(interpreted(program())));
    for (n, step) in steps.iter().enumerate() {
        let (commit, asked) = (perform(&mut life, n, step), perform(&mut other, n, step));
        prop_assert_eq!(commit, asked);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_condition_holds_without_the_interpreter_where_it_holds_with_it(steps in prop::collection::vec(step(), 1..30)) {
        same(conditions, &steps)?;
    }

    #[test]
    fn a_body_does_without_the_interpreter_what_it_does_with_it(steps in prop::collection::vec(step(), 1..20)) {
        same(bodies, &steps)?;
    }
}
