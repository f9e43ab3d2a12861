//! Segments: what the checker says of them, who is in them when, and what is told of it.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::domain::loyalty_event::{EventData, SegmentChange};
use crate::domain::segment::{Membership, SegmentType};
use crate::domain::text::Name;

/// `(rules, line:column, what the message or the help says)`
const MISTAKES: &[(&str, &str, &str)] = &[
    (r#"segment "a" when member.visit > 3;"#, "1:25", "did you mean `visits`?"),
    (r#"segment "a" when member.visits;"#, "1:18", "must be true or false, but it is a number"),
    (r#"segment "a" when order.total > 5;"#, "1:18", "here you can use `member`"),
    (
        r#"segment "a" member.visits > 3;"#,
        "1:13",
        "expected `primary`, `compound`, `cohort`, `because` or `when`",
    ),
    (r#"segment "a" compound primary when true;"#, "1:22", "expected `because` or `when`"),
    (r#"segment "a" because many when true;"#, "1:21", "in quotes"),
    (r#"segment a when true;"#, "1:9", "in quotes"),
    (r#"segment "a" when true { award(1); }"#, "1:23", "`;`"),
    (r#"segment "a" when true; award(1);"#, "1:24", "only `rule`, `trigger`, `segment`"),
    (r#"rule "a" on visit { segment "b" when true; }"#, "1:21", "cannot stand inside"),
    (r#"segment "a" when award(5);"#, "1:18", "only be used in a `rule`"),
    (r#"segment "a" when in_segment("a");"#, "1:18", "only be used in a `test`"),
    (r#"segment "" when true;"#, "1:9", "must not be empty"),
    (r#"segment "!" when true;"#, "1:9", "a letter or a digit"),
    (
        r#"segment "a name that is rather too long for anybody to have to remember it" when true;"#,
        "1:9",
        "at most 60",
    ),
    (r#"segment "a" because " x" when true;"#, "1:21", "white space"),
    (
        "segment \"High Value\" when true;\nsegment \"high-value\" when true;",
        "2:9",
        "\"High Value\" at a.rhai:1",
    ),
    (
        "segment \"Regular\" when true;\nrule \"a\" on visit when member.in_segment(\"Reguler\") { }",
        "2:42",
        "did you mean `Regular`?",
    ),
    (r#"rule "a" on visit when member.in_segment("x") { }"#, "1:42", "declare it: segment \"x\" when …"),
    (
        "segment \"Regular\" when true;\ntest \"t\" { expect in_segment(\"regulars\"); }",
        "2:30",
        "did you mean `Regular`?",
    ),
    (
        "segment \"Regular\" when true;\ntrigger \"t\" on segment.entered when event.segment_name == \"Regulr\" { }",
        "2:59",
        "did you mean `Regular`?",
    ),
    (
        r#"trigger "t" on segment.exited when event.segment_type == "primary" { }"#,
        "1:58",
        "did you mean `PRIMARY`?",
    ),
    (
        r#"trigger "t" on tier.upgraded when event.segment_name != "" { }"#,
        "1:41",
        "only segment.entered, segment.exited has it",
    ),
    (
        "segment \"a\" when true;\nsegment \"b\" when member.in_segment(\"a\");",
        "2:36",
        "write segment \"b\" compound when",
    ),
    (
        "segment \"a\" when true;\nsegment \"b\" cohort when member.in_segment(\"a\");",
        "2:43",
        "only a compound segment",
    ),
    (r#"segment "a" compound when member.in_segment("a");"#, "1:45", "in a circle: \"a\" → \"a\""),
    (
        "segment \"a\" compound when member.in_segment(\"b\");\nsegment \"b\" compound when true;",
        "1:45",
        "move it before this one",
    ),
    (
        "segment \"a\" compound when member.in_segment(\"c\");\n\
         segment \"b\" compound when member.in_segment(\"a\");\n\
         segment \"c\" compound when member.visits > 1 or member.in_segment(\"b\");",
        "1:45",
        "in a circle: \"a\" → \"c\" → \"b\" → \"a\"",
    ),
    (
        "fn vip(m) { if m.visits > 1 { return m.in_segment(\"b\"); } false }\n\
         segment \"a\" compound when vip(member);\nsegment \"b\" compound when member.in_segment(\"a\");",
        "2:27",
        "in a circle: \"a\" → \"b\" → \"a\"",
    ),
    (
        "fn within(m, s) { m.in_segment(s) }\nsegment \"a\" compound when within(member, \"b\");\nsegment \"b\" when true;",
        "2:27",
        "write its name in quotes",
    ),
    (r#"rule "a" on visit { mark("at_risk", "high"); }"#, "1:37", "did you mean `HIGH`?"),
    (r#"rule "a" on visit { mark("at-risk", "HIGH"); }"#, "1:26", "did you mean `at_risk`?"),
    (r#"rule "a" on visit { mark("churned", "HIGH"); }"#, "1:26", "only `at_risk` has levels"),
    (r#"rule "a" on visit when member.risk_level == "HIHG" { }"#, "1:45", "did you mean `HIGH`?"),
    (r#"trigger "a" on member.at_risk { recommend("call"); }"#, "1:33", "only be used in a `rule`"),
];

#[test]
fn every_planted_mistake_is_found_where_it_stands() {
    assert_found(MISTAKES);
}

#[test]
fn a_program_has_an_end_to_its_segments() {
    let rules = |n| (0..n).map(|n| format!("segment \"s{n}\" when true;\n")).collect::<String>();
    assert!(load(&rules(32)).is_ok());
    let problems = load(&rules(33)).unwrap_err();
    assert_eq!((problems.len(), problems[0].line), (1, 33));
}

#[test]
fn marks_of_rules_and_of_the_manifest_exclude_each_other() {
    let lifecycle = format!("{MANIFEST}\n[lifecycle]\nat_risk_after = 2.5\nchurned_after = 6\n");
    let load = |rules: &str| {
        let files =
            vec![("a.rhai".to_owned(), rules.to_owned()), ("program.toml".to_owned(), lifecycle.clone())];
        Program::load(&Sources { files }, &chain(), 1)
    };
    assert!(load(r#"rule "a" on visit { mark("active"); }"#).is_ok());
    for rules in [
        r#"rule "a" on tick.daily { mark("churned"); }"#,
        r#"rule "a" on visit { mark("at_risk", "LOW"); }"#,
        "fn lose(how) {   mark(how); }\nrule \"a\" on visit { lose(\"churned\"); }",
    ] {
        let problems = load(rules).unwrap_err();
        assert!(problems[0].message.contains("[lifecycle]"), "{rules}: {problems:?}");
    }
}

/// Segments of every kind, some depending on others.
const GROUPS: &str = "
fn is_loved(m) { m.in_segment(\"Regular\") or m.in_segment(\"High Value\") }
segment \"Loved\" compound when is_loved(member);
segment \"Adored\" compound because \"both\" when member.in_segment(\"Loved\") and member.tier == \"gold\";
segment \"High Value\" primary when member.spend_in(3.months) >= 100;
segment \"Regular\" because \"visit_count_threshold\" when member.visits_in(30.days) >= 3;
segment \"Pioneers\" cohort when member.visits == 1;
segment \"Missed\" when member.status == \"at_risk\";
rule \"Gold\" on order.completed when order.total > 90 { set_tier(\"gold\"); }
rule \"Missed\" on tick.daily when member.days_since_last_visit > 20 and member.status == \"active\" { mark(\"at_risk\"); }
";

fn changes(commit: &Commit) -> Vec<(bool, SegmentChange)> {
    let of = |data: &EventData| match data {
        EventData::SegmentEntered(change) => Some((true, change.clone())),
        EventData::SegmentExited(change) => Some((false, change.clone())),
        _ => None,
    };
    commit.events.iter().filter_map(|event| of(&event.data)).collect()
}

fn told(commit: &Commit) -> Vec<String> {
    let sign = |entered| if entered { '+' } else { '-' };
    changes(commit)
        .iter()
        .map(|(entered, change)| format!("{}{}", sign(*entered), change.segment_name))
        .collect()
}

fn data(commit: &Commit, at: usize) -> Value {
    serde_json::from_str::<Value>(&commit.events[at].to_json()).unwrap()["data"].clone()
}

#[test]
fn members_enter_by_what_an_event_makes_of_them_and_leave_by_time() {
    let mut life = Life::new(program(GROUPS));
    assert_eq!(told(&life.order(r#""total": 100.00"#)), ["+High Value", "+Pioneers", "+Loved", "+Adored"]);
    assert_eq!(told(&life.order(r#""total": 1.00"#)), [""; 0]);
    assert_eq!(told(&life.order(r#""total": 1.00"#)), ["+Regular"]);
    life.now += chrono::Duration::days(29);
    assert_eq!(told(&life.tick(TickType::Daily)), ["+Missed"], "as the tick's own rules leave the member");
    life.now += chrono::Duration::days(1);
    assert_eq!(told(&life.tick(TickType::Daily)), ["-Regular"]);
    life.now += chrono::Duration::days(70);
    assert_eq!(told(&life.tick(TickType::TierReview)), ["-High Value", "-Loved", "-Adored"]);
    assert_eq!(told(&life.send(r#"{"type":"visit"}"#)), ["-Missed"]);
    let left: Vec<_> = life.member.standing.segments.keys().map(|name| name.as_str()).collect();
    assert_eq!(left, ["Pioneers"], "nobody leaves a cohort");
}

#[test]
fn what_is_told_names_the_segment_the_reason_and_the_lists_before_and_after() {
    let mut life = Life::new(program(GROUPS));
    let commit = life.order(r#""total": 100.00"#);
    assert_eq!(
        data(&commit, 5),
        json!({ "segment_id": "seg_loved", "segment_name": "Loved", "segment_type": "COMPOUND", "trigger": "loved",
            "previous_segments": ["High Value", "Pioneers"], "current_segments": ["High Value", "Loved", "Pioneers"], "source_event": "k0" })
    );
    assert_eq!(data(&commit, 6)["trigger"], "both");
    let message: Value = serde_json::from_str(&commit.events[1].to_json()).unwrap();
    assert_eq!(message["type"], "order.completed");
    assert_eq!(
        message["member"]["segments"],
        json!({ "primary": ["High Value"], "compound": ["Adored", "Loved"], "cohorts": ["Pioneers"] })
    );
    let message: Value = serde_json::from_str(&commit.events[2].to_json()).unwrap();
    assert_eq!((&message["type"], message["member"].get("segments")), (&json!("tier.upgraded"), None));
}

#[test]
fn a_late_event_changes_what_is_true_today_and_nothing_else() {
    let mut life = Life::new(program("segment \"Here today\" when member.visits_in(1.days) > 0;"));
    let visit =
        |n: u8, day: &str| format!(r#"{{"key":"{n}","type":"visit","occurred_at":"{day}T12:00:00Z"}}"#);
    assert_eq!(told(&life.send(&visit(1, "2026-02-20"))), [""; 0]);
    assert_eq!(told(&life.send(&visit(2, "2026-03-03"))), ["+Here today"]);
    assert_eq!(told(&life.send(&visit(3, "2026-02-21"))), [""; 0]);
}

#[test]
fn rules_and_triggers_ask_for_segments() {
    let rules = "segment \"Seen\" when member.visits > 0;\n\
        rule \"a\" on visit when member.in_segment(\"Seen\") { award(1); }\n\
        trigger \"t\" on segment.entered when member.in_segment(\"Seen\") and event.segment_name == \"Seen\" \
        and event.segment_type == \"PRIMARY\" { forward(\"crm\"); }\n\
        test \"t\" { send(\"visit\"); expect in_segment(\"Seen\") && awarded() == 0 && forwarded(\"crm\"); \
        send(\"visit\"); expect awarded() == 1; given_member(#{ segments: [\"Seen\"] }); send(\"visit\"); expect awarded() == 1 && !told(\"segment.entered\"); }";
    let outcomes = crate::rules::testing::run(&program(rules), &sources(rules), &chain());
    assert!(outcomes[0].failure.is_none(), "{outcomes:#?}");
}

#[test]
fn a_segment_that_fails_keeps_its_members_and_says_so() {
    let mut life = Life::new(program(
        "segment \"Odd\" when 1.0 / (member.visits - 2.0) < 0.0 or member.visits > 3;\nsegment \"Seen\" when member.visits > 1;",
    ));
    let visit = |n: u8| format!(r#"{{"key":"{n}","type":"visit"}}"#);
    assert_eq!(told(&life.send(&visit(1))), ["+Odd"]);
    let commit = life.send(&visit(2));
    assert_eq!(told(&commit), ["+Seen"]);
    let receipt = &commit.source.as_ref().unwrap().receipt;
    assert_eq!(receipt.status, crate::domain::receipt::SourceStatus::Processed);
    assert!(receipt.notes[0].starts_with("segment \"Odd\" failed at a.rhai:1:24"), "{:?}", receipt.notes);
    assert_eq!(told(&life.send(&visit(3))), ["-Odd"]);
    let spoilt = load("fn spoil(m) { award(1); true }\nsegment \"a\" when spoil(member);");
    assert!(spoilt.unwrap_err()[0].message.contains("only be used in a `rule`"));
}

#[test]
fn a_segment_that_the_program_no_longer_has_is_left_and_one_of_another_type_is_not() {
    let mut life = Life::new(program("segment \"a\" when true;\nsegment \"b\" when true;"));
    life.send(r#"{"type":"visit"}"#);
    life.program = program("segment \"b\" compound when true;\nsegment \"c\" when true;");
    let commit = life.tick(TickType::Daily);
    assert_eq!(told(&commit), ["-a", "+c"]);
    assert_eq!(changes(&commit)[0].1.trigger.as_str(), "segment_withdrawn");
    let b = life.member.standing.segments[&Name::parse("b").unwrap()];
    assert_eq!(b, Membership { kind: SegmentType::Compound, since: life.now });
    life.program = Program::empty(&chain());
    assert_eq!(told(&life.send(r#"{"key":"2","type":"visit"}"#)), ["-b", "-c"]);
}

#[test]
fn members_of_a_program_with_segments_or_a_lifecycle_are_woken() {
    let wakes = |rules: &str, lifecycle: &str| {
        let quiet = "[celebrations]\nbirthdays = false\nanniversaries = false\n";
        let manifest =
            format!("name = \"A\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n{quiet}{lifecycle}");
        let files = vec![("a.rhai".to_owned(), rules.to_owned()), ("program.toml".to_owned(), manifest)];
        Program::load(&Sources { files }, &chain(), 1).unwrap().wakes()
    };
    assert!(!wakes("", ""));
    assert!(wakes("segment \"a\" when true;", ""));
    assert!(wakes("", "[lifecycle]\nat_risk_after = 2.5\nchurned_after = 6\n"));
}

/// One thing that happens to a member.
#[derive(Debug, Clone)]
enum Step {
    Order {
        total: u8,
    },
    Visit {
        late: bool,
    },
    Tick,
    Wait {
        days: u8,
    },
    /// From here on the program has no segments, or has them again.
    Publish {
        with_segments: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..150_u8).prop_map(|total| Step::Order { total }),
        2 => any::<bool>().prop_map(|late| Step::Visit { late }),
        2 => Just(Step::Tick),
        3 => (0..40_u8).prop_map(|days| Step::Wait { days }),
        1 => any::<bool>().prop_map(|with_segments| Step::Publish { with_segments }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_told_adds_up_to_the_segments_that_a_member_is_in(steps in prop::collection::vec(step(), 1..60)) {
        let (with, without) = (program(GROUPS), program(""));
        let mut life = Life::new(with.clone());
        let mut known: Vec<Name> = Vec::new();
        for (n, step) in steps.iter().enumerate() {
            let late = life.now - chrono::Duration::days(25);
            let commit = match step {
                Step::Order { total } => life.order(&format!(r#""total": {total}"#)),
                Step::Visit { late: false } => life.send(&format!(r#"{{"key":"v{n}","type":"visit"}}"#)),
                Step::Visit { late: true } => life.send(&format!(
                    r#"{{"key":"v{n}","type":"visit","occurred_at":"{}"}}"#,
                    late.format("%Y-%m-%dT%H:%M:%SZ")
                )),
                Step::Tick => life.tick(TickType::Daily),
                Step::Wait { days } => {
                    life.now += chrono::Duration::days((*days).into());
                    continue;
                }
                Step::Publish { with_segments } => {
                    life.program = if *with_segments { with.clone() } else { without.clone() };
                    continue;
                }
            };
            for (entered, change) in changes(&commit) {
                prop_assert_eq!(&change.previous_segments, &known, "each list goes on where the last one ended");
                let (before, after): (BTreeSet<_>, BTreeSet<_>) =
                    (known.iter().cloned().collect(), change.current_segments.iter().cloned().collect());
                let (larger, smaller) = if entered { (&after, &before) } else { (&before, &after) };
                prop_assert_eq!(larger.difference(smaller).collect::<Vec<_>>(), [&change.segment_name]);
                prop_assert!(smaller.is_subset(larger));
                known = change.current_segments;
            }
            let stored: Vec<Name> = life.member.standing.segments.keys().cloned().collect();
            prop_assert_eq!(&stored, &known);
            let is_in = |name: &str| known.iter().any(|known| known.as_str() == name);
            let has_segments = !life.program.code.segments.is_empty();
            prop_assert!(!is_in("Pioneers") || has_segments);
            prop_assert_eq!(is_in("Loved"), has_segments && (is_in("Regular") || is_in("High Value")));
            prop_assert_eq!(is_in("Adored"), is_in("Loved") && life.member.standing.tier.as_deref() == Some("gold"));
        }
    }
}
