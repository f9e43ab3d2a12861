//! Conditions of tiers: what the checker says of them, and who moves when.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::loyalty_event::EventData;
use crate::domain::receipt::SourceStatus;
use crate::domain::text::Name;
use crate::rules::decide::decide_and_tell;
use crate::rules::testing;

/// `(rules, line:column, what the message or the help says)`
const MISTAKES: &[(&str, &str, &str)] = &[
    (r#"tier "goldd" when member.visits > 3;"#, "1:6", "did you mean `gold`?"),
    (r#"tier "platinum" when member.visits > 3;"#, "1:6", "there is `bronze`, `silver`, `gold`"),
    (r#"tier "bronze" when member.visits > 3;"#, "1:6", "members begin in `bronze`"),
    (r#"tier "gold" when member.visit > 3;"#, "1:25", "did you mean `visits`?"),
    (r#"tier "gold" when member.visits > 3 keep when member.visit > 2;"#, "1:53", "did you mean `visits`?"),
    (r#"tier "gold" when member.visits;"#, "1:18", "must be true or false, but it is a number"),
    (
        r#"tier "gold" when true keep when member.visits;"#,
        "1:33",
        "the condition after `keep when` must be true or false",
    ),
    (r#"tier "gold" when order.total > 5;"#, "1:18", "here you can use `member`"),
    (r#"tier "gold" member.visits > 3;"#, "1:13", "expected `when`"),
    (r#"tier "gold" when member.visits > 3 keep member.visits > 2;"#, "1:41", "expected `when`"),
    (r#"tier gold when true;"#, "1:6", "in quotes"),
    (r#"tier "gold" when true { award(1); }"#, "1:23", "`;`"),
    (r#"tier "gold" when award(5);"#, "1:18", "only be used in a `rule`"),
    (
        "tier \"gold\" when true;\ntier \"gold\" when false or member.visits > 1;",
        "2:6",
        "said already at a.rhai:1",
    ),
    (
        "segment \"Here\" when member.visits > 1;\ntier \"gold\" when member.in_segment(\"Here\");",
        "2:36",
        "tiers are judged before segments",
    ),
    (
        "segment \"Here\" when member.visits > 1;\nfn here(m) { m.in_segment(\"Here\") }\n\
         tier \"gold\" when member.visits > 3 keep when here(member);",
        "3:46",
        "tiers are judged before segments",
    ),
    (
        "tier \"gold\" when member.visits > 3;\nrule \"a\" on visit { set_tier(\"silver\"); }",
        "2:21",
        "rules cannot set them",
    ),
    (r#"rule "a" on visit { tier "gold" when true; }"#, "1:26", "missing"),
];

#[test]
fn every_planted_mistake_is_found_where_it_stands() {
    assert_found(MISTAKES);
}

#[test]
fn a_policy_and_conditions_exclude_each_other() {
    let ladder = "[[tiers]]\nid = \"bronze\"\n[[tiers]]\nid = \"gold\"\nthreshold = 15\n";
    let policy = "[tier_policy]\nmetric = \"spend\"\nperiod = \"lifetime\"\ndowngrade = \"never\"\n";
    let head = MANIFEST.replace("tiers = [\"bronze\", \"silver\", \"gold\"]\n", "");
    let manifest = format!("{head}{ladder}{policy}");
    let files = [("a.rhai", "tier \"gold\" when member.visits > 3;".to_owned()), ("program.toml", manifest)];
    let files = files.map(|(name, text)| (name.to_owned(), text)).to_vec();
    let problems = Program::load(&Sources { files }, &chain(), 1).unwrap_err();
    assert!(problems[0].message.contains("[tier_policy]"), "{problems:#?}");
}

#[test]
fn tier_is_a_word_of_its_own_only_where_a_declaration_begins() {
    let rules = "tier \"silver\" when member.visits >= 2;\n\
        fn high(tier) { tier == \"gold\" }\n\
        rule \"a\" on visit when member.tier == \"silver\" and !high(member.tier) { let tier = 1; award(tier); }\n\
        test \"t\" { send(\"visit\"); send(\"visit\");\n expect\ntier() == \"silver\" && awarded() == 0;\nsend(\"visit\"); expect awarded() == 1; }";
    let outcomes = testing::run(&program(rules), &sources(rules), &chain());
    assert!(outcomes[0].failure.is_none(), "{outcomes:#?}");
}

const LADDER: &str = "
tier \"silver\"
when member.visits_in(30.days) >= 2;   // when or keep when: the first words count

tier \"gold\"
when member.visits_in(30.days) >= 4
keep when member.visits_in(30.days) >= 3;
";

fn tier(life: &Life) -> &str {
    life.member.standing.tier.as_ref().map_or("", |tier| tier.as_str())
}

fn visit(life: &mut Life) -> Commit {
    let key = life.member.version;
    life.send(&format!(r#"{{"key":"v{key}","type":"visit"}}"#))
}

fn moves(commit: &Commit) -> Vec<&'static str> {
    let is_move =
        |data: &EventData| matches!(data, EventData::TierUpgraded(_) | EventData::TierDowngraded(_));
    commit.events.iter().filter(|event| is_move(&event.data)).map(|event| event.kind().as_str()).collect()
}

#[test]
fn a_tier_is_reached_at_once_and_lost_when_tiers_are_reviewed() {
    let mut life = Life::new(program(LADDER));
    assert_eq!((moves(&visit(&mut life)), tier(&life)), (vec![], "bronze"));
    let commit = visit(&mut life);
    assert_eq!((moves(&commit), tier(&life)), (vec!["tier.upgraded"], "silver"));
    let line = &receipt(&commit)["effects"][0];
    assert_eq!(
        (&line["rule"], &line["at"], &line["effect"]),
        (&json!("silver"), &json!("a.rhai:2"), &json!("set_tier"))
    );
    life.now += chrono::Duration::days(40);
    assert_eq!(moves(&life.tick(TickType::Daily)), [""; 0], "only a review takes a tier");
    assert_eq!((moves(&life.tick(TickType::TierReview)), tier(&life)), (vec!["tier.downgraded"], "bronze"));
    assert_eq!(moves(&life.tick(TickType::TierReview)), [""; 0]);
}

#[test]
fn whoever_no_longer_reaches_a_tier_keeps_it_as_long_as_keep_says() {
    let mut life = Life::new(program(LADDER));
    (0..4).for_each(|_| drop(visit(&mut life)));
    assert_eq!(tier(&life), "gold");
    life.now += chrono::Duration::days(20);
    (0..3).for_each(|_| drop(visit(&mut life)));
    life.now += chrono::Duration::days(20);
    assert_eq!((moves(&life.tick(TickType::TierReview)), tier(&life)), (vec![], "gold"), "three keep it");
    life.now += chrono::Duration::days(20);
    visit(&mut life);
    visit(&mut life);
    assert_eq!((moves(&life.tick(TickType::TierReview)), tier(&life)), (vec!["tier.downgraded"], "silver"));
    visit(&mut life);
    assert_eq!(tier(&life), "silver", "three keep it, and do not reach it");
}

#[test]
fn the_highest_tier_that_is_reached_counts_whatever_the_lower_ones_say() {
    let rules = "tier \"gold\" when member.visits >= 1;\ntier \"silver\" when member.visits > 100;";
    let mut life = Life::new(program(rules));
    visit(&mut life);
    assert_eq!(tier(&life), "gold");
}

#[test]
fn rules_react_to_a_tier_and_what_they_do_may_reach_the_next() {
    let rules = "tier \"silver\" when member.visits >= 1;\ntier \"gold\" when member.points >= 50;\n\
        rule \"Welcome\" on tier.upgraded when event.new_tier == \"silver\" { award(50); }\n\
        segment \"Gold\" when member.tier == \"gold\";";
    let mut life = Life::new(program(rules));
    let commit = visit(&mut life);
    assert_eq!((moves(&commit), tier(&life)), (vec!["tier.upgraded", "tier.upgraded"], "gold"));
    assert_eq!(life.member.standing.segments.len(), 1, "segments see the tier");
}

#[test]
fn a_review_happens_once_so_nobody_goes_up_and_down_in_it() {
    let rules = "tier \"silver\" when member.points >= 50;\n\
        rule \"A present\" on tier.review { award(60); }\n\
        rule \"Its price\" on tier.upgraded { deduct(40); }";
    let mut life = Life::new(program(rules));
    visit(&mut life);
    assert_eq!((moves(&life.tick(TickType::TierReview)), tier(&life)), (vec!["tier.upgraded"], "silver"));
    assert_eq!(life.member.standing.points().0, 20);
}

#[test]
fn what_somebody_else_calls_tier_is_no_word_of_ours() {
    let rules = "const Tier = 3;\nrule \"a\" on signal when event.data.Tier == Tier { award(1); }\n\
        fn is_big(member) { member > 5 }\ntest \"t\" { expect is_big(7) && !is_big(5); }";
    let outcomes = testing::run(&program(rules), &sources(rules), &chain());
    assert!(outcomes[0].failure.is_none(), "{outcomes:#?}");
}

#[test]
fn a_tier_given_by_people_hides_the_one_that_conditions_give() {
    let mut life = Life::new(program(LADDER));
    life.send(r#"{"key":"set","type":"tier.set","data":{"tier":"gold","reason":"a friend"}}"#);
    visit(&mut life);
    assert_eq!((moves(&visit(&mut life)), tier(&life)), (vec![], "gold"));
    assert_eq!(life.member.standing.system_tier().unwrap().as_str(), "silver");
    life.send(r#"{"key":"clear","type":"tier.clear"}"#);
    assert_eq!(tier(&life), "silver");
}

#[test]
fn a_condition_that_fails_moves_nobody_and_says_so() {
    let rules = "tier \"gold\" when 1.0 / (member.visits - 2.0) > 0.5;";
    let mut life = Life::new(program(rules));
    visit(&mut life);
    let commit = visit(&mut life);
    assert_eq!((tier(&life), commit.source.as_ref().unwrap().status()), ("bronze", SourceStatus::Processed));
    let notes = &commit.source.as_ref().unwrap().receipt.notes;
    assert!(notes[0].starts_with("tier \"gold\" failed at a.rhai:1:"), "{notes:?}");
    life.member.standing.set_system_tier(Name::parse("gold").unwrap());
    assert_eq!((moves(&life.tick(TickType::TierReview)), tier(&life)), (vec![], "gold"), "and takes nothing");
    visit(&mut life);
    assert_eq!(moves(&life.tick(TickType::TierReview)), [""; 0], "it holds now");
    visit(&mut life);
    assert_eq!(moves(&life.tick(TickType::TierReview)), ["tier.downgraded"]);
}

#[test]
fn whoever_was_in_a_tier_that_is_no_more_is_where_the_conditions_say() {
    let mut life = Life::new(program(LADDER));
    visit(&mut life);
    life.member.standing.set_system_tier(Name::parse("platinum").unwrap());
    visit(&mut life);
    assert_eq!(tier(&life), "silver");
}

#[test]
fn whoever_wants_to_know_is_told_why_a_tier_was_not_reached() {
    let life = Life::new(program(LADDER));
    let case = life.case(Occasion::Tick { kind: TickType::Daily, id: Ulid(1), then: None }, None);
    let decided = decide_and_tell(&life.program.telling_why(), &life.chain.id, &[], case).unwrap();
    let tiers = serde_json::to_value(&decided.minutes.tiers).unwrap();
    let because = json!([{ "part": "member.visits_in(30.days) >= 4", "values": [{ "of": "member.visits_in(30.days)", "is": "0" }] }]);
    assert_eq!(
        tiers[0],
        json!({ "tier": "gold", "at": "a.rhai:5", "verdict": "not_fired",
                "condition": "member.visits_in(30.days) >= 4", "because": because })
    );
    assert_eq!(tiers[1]["condition"], "member.visits_in(30.days) >= 2");
    let rules = format!("{LADDER}test \"t\" {{ send(\"visit\"); expect tier() == \"silver\"; }}");
    let outcomes = testing::run(&program(&rules), &sources(&rules), &chain());
    let judged = outcomes[0].failure.as_ref().unwrap().judged.as_ref().unwrap().in_lines();
    let said = "tier \"silver\" was not reached: member.visits_in(30.days) >= 2";
    assert!(judged.contains(said), "{judged}");
}

#[test]
fn programs_with_other_conditions_of_tiers_or_segments_clash() {
    let quiet = |rules: &str| program(rules);
    let base = quiet(LADDER);
    assert_eq!(base.clash_with(&quiet(LADDER)), None);
    assert_eq!(base.clash_with(&quiet(&format!("// more\n\n{LADDER}"))), None, "wherever they stand");
    for (from, to) in [(">= 4", ">= 5"), (">= 3;", ">= 2;"), ("keep when member.visits_in(30.days) >= 3", "")]
    {
        let other = quiet(&LADDER.replace(from, to));
        assert_eq!(base.clash_with(&other), Some("conditions of tiers"), "{to}");
    }
    let segment = |visits: u8| quiet(&format!("segment \"Here\" when member.visits > {visits};"));
    assert_eq!(segment(1).clash_with(&segment(1)), None);
    assert_eq!(segment(1).clash_with(&segment(2)), Some("segments"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn after_a_review_everybody_is_where_the_conditions_say(days in prop::collection::vec((0..20_i64, any::<bool>()), 1..40)) {
        let mut life = Life::new(program(LADDER));
        let rank = |tier: &str| ["bronze", "silver", "gold"].iter().position(|known| *known == tier).unwrap();
        for (wait, reviews) in days {
            life.now += chrono::Duration::days(wait);
            let before = rank(tier(&life));
            if reviews { life.tick(TickType::TierReview); } else { visit(&mut life); }
            let today = life.now.with_timezone(&chrono_tz::America::New_York).date_naive();
            let visits = life.member.history.visits_in(crate::domain::history::Window::Days(30), today);
            let (reached, kept) = (match visits { 0..=1 => 0, 2..=3 => 1, _ => 2 }, match visits { 0..=1 => 0, 2 => 1, _ => 2 });
            let after = if reviews { reached.max(before.min(kept)) } else { before.max(reached) };
            prop_assert_eq!(rank(tier(&life)), after);
        }
    }
}
