//! Conditions that need no interpreter mean what they mean with one.

use proptest::prelude::*;

use super::properties::{Step, perform, step};
use super::*;
use crate::domain::source_event::SourceType;
use crate::rules::code::RuleEvent;
use crate::rules::native::Guard;

const PLAIN: [&str; 26] = [
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
    r#"member.tier == "gold""#,
    r#"member.points > 3"#,
    r#"member.visits_in(30.days) >= 3"#,
    r#"member.spend_in(12.months) > FROM"#,
    r#"member.typical_gap_days <= 2.5"#,
    r#"member.has_achievement("regular")"#,
    r#"!member.is_new"#,
    r#"member.is_new == false"#,
    r#"member.days_since_last_visit > member.visits"#,
];

const IN_PART: [&str; 2] =
    ["order.total > 5 && order.total * 2 > 200", "member.visits > 1 && !member.is_new && later(order)"];

const NOT_AT_ALL: [&str; 3] =
    ["order.total * 2 > 20", "later(order) && order.total > 5", "order.total > 50 || later(order)"];

/// Bodies that only ask for effects; some of them fail, always or at times.
const PLAIN_BODIES: [&str; 9] = [
    "award(order.total);",
    "award(FROM); deduct(2.5, \"why\");",
    "award(order.items.len, DAY);",
    "award(1, order.channel);",
    "award(order.at.hour); award(1, order.status);",
    "set_tier(\"gold\");",
    "achieve(\"regular\"); award_to(2, \"why\", \"points\");",
    "mark(\"at_risk\", \"HIGH\");",
    "award(member.spend_in(12.months));",
];

const OTHER_BODIES: [&str; 4] = [
    "award(order.total * 2);",
    "let a = 1; award(a);",
    "if order.total > 5 { award(1); }",
    "award(1); award(later(order));",
];

/// Every condition twice: as it stands, and so that the interpreter must look at it.
fn twice() -> Program {
    let mut rules =
        "const FROM = 80;\nconst DAY = \"Friday\";\nfn later(order) { order.at.hour > 12 }\nfn same(holds) { holds }\n".to_owned();
    for (nth, condition) in PLAIN.iter().chain(&IN_PART).chain(&NOT_AT_ALL).enumerate() {
        rules +=
            &format!("rule \"plain {nth}\" on order.completed when {condition} {{ award(1 + {nth}); }}\n");
        rules += &format!(
            "rule \"asked {nth}\" on order.completed when same({condition}) {{ award(1 + {nth}); }}\n"
        );
    }
    program(&rules)
}

fn bodies() -> Program {
    let mut rules =
        "const FROM = 80;\nconst DAY = \"Friday\";\nfn later(order) { order.at.hour }\n".to_owned();
    for (nth, body) in PLAIN_BODIES.iter().chain(&OTHER_BODIES).enumerate() {
        rules += &format!("rule \"{nth}\" on order.completed {{ {body} }}\n");
    }
    program(&rules)
}

#[test]
fn effects_that_are_plainly_asked_for_need_no_interpreter() {
    let program = bodies();
    let rules = &program.code.rules[&RuleEvent::Source(SourceType::OrderCompleted)];
    let plain: Vec<_> = rules.iter().map(|rule| rule.deeds.is_some()).collect();
    assert_eq!(plain, [[true].repeat(PLAIN_BODIES.len()), [false].repeat(OTHER_BODIES.len())].concat());
}

fn guards(program: &Program, kind: &str) -> Vec<Option<bool>> {
    let rules = &program.code.rules[&RuleEvent::Source(SourceType::OrderCompleted)];
    let of_kind = rules.iter().filter(|rule| rule.name.starts_with(kind));
    of_kind.map(|rule| rule.guard.as_ref().map(Guard::is_whole)).collect()
}

#[test]
fn plain_comparisons_need_no_interpreter() {
    let program = twice();
    let wanted = [(Some(true), PLAIN.len()), (Some(false), IN_PART.len()), (None, NOT_AT_ALL.len())];
    let wanted: Vec<_> = wanted.into_iter().flat_map(|(guard, times)| vec![guard; times]).collect();
    assert_eq!(guards(&program, "plain"), wanted);
    assert!(guards(&program, "asked").iter().all(Option::is_none));
}

fn rules_of<'a>(receipt: &'a serde_json::Value, kind: &str) -> Vec<&'a str> {
    let effects = receipt["effects"].as_array().unwrap();
    effects.iter().filter_map(|effect| effect["rule"].as_str().unwrap().strip_prefix(kind)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_condition_holds_without_the_interpreter_where_it_holds_with_it(steps in prop::collection::vec(step(), 1..40)) {
        let mut life = Life::new(twice());
        for (n, step) in steps.iter().enumerate() {
            let Some(commit) = perform(&mut life, n, step) else { continue };
            if matches!(step, Step::Order { .. }) {
                let receipt = receipt(&commit);
                prop_assert_eq!(&receipt["errors"], &serde_json::json!([]));
                prop_assert_eq!(rules_of(&receipt, "plain "), rules_of(&receipt, "asked "));
            }
        }
    }

    #[test]
    fn what_is_plainly_asked_for_is_what_the_interpreter_asks_for(steps in prop::collection::vec(step(), 1..20)) {
        let mut interpreted = bodies();
        for unit in Arc::get_mut(&mut interpreted.code).unwrap().rules.values_mut().flatten() {
            unit.deeds = None;
        }
        let (mut life, mut other) = (Life::new(bodies()), Life::new(interpreted));
        for (n, step) in steps.iter().enumerate() {
            let (commit, asked) = (perform(&mut life, n, step), perform(&mut other, n, step));
            prop_assert_eq!(commit, asked);
        }
    }
}
