//! Tiers under a policy, as the rules of a program and its events see them.

use super::*;
use crate::domain::loyalty_event::EventData;
use crate::domain::receipt::SourceStatus;

const LADDER: &str = "[[tiers]]\nid = \"bronze\"\nname = \"Bronze\"\n[[tiers]]\nid = \"gold\"\nname = \"Gold\"\nthreshold = 15\n";

fn manifest(policy: &str) -> String {
    let head = MANIFEST.replace("tiers = [\"bronze\", \"silver\", \"gold\"]\n", "");
    format!("{head}{LADDER}[tier_policy]\n{policy}")
}

fn load_under(policy: &str, rules: &str) -> Result<Program, Vec<Diagnostic>> {
    let files = [("a.rhai", rules.to_owned()), ("program.toml", manifest(policy))];
    let files = files.map(|(name, text)| (name.to_owned(), text)).to_vec();
    Program::load(&Sources { files }, &chain(), 1)
}

fn life(policy: &str, rules: &str) -> Life {
    Life::new(load_under(policy, rules).unwrap_or_else(|problems| panic!("{problems:#?}")))
}

const MONTHLY: &str =
    "metric = \"spend\"\nperiod = \"calendar\"\nevery = \"month\"\ndowngrade = \"one_step\"\n";

fn tier(life: &Life) -> &str {
    life.member.standing.tier.as_ref().map_or("", |tier| tier.as_str())
}

/// What a commit tells of tiers: the type, and the tiers before and after.
fn moves(commit: &Commit) -> Vec<(&'static str, String, String)> {
    let moved = commit.events.iter().filter_map(|event| match &event.data {
        EventData::TierUpgraded(moved) | EventData::TierDowngraded(moved) => {
            let before = moved.previous_tier.as_ref().map(|tier| tier.id.to_string()).unwrap_or_default();
            Some((event.kind().as_str(), before, moved.new_tier.id.to_string()))
        }
        _ => None,
    });
    moved.collect()
}

fn up() -> (&'static str, String, String) {
    ("tier.upgraded", "bronze".to_owned(), "gold".to_owned())
}

fn down() -> (&'static str, String, String) {
    ("tier.downgraded", "gold".to_owned(), "bronze".to_owned())
}

#[test]
fn enough_lifts_with_the_order_that_makes_it_enough() {
    let mut life = life(MONTHLY, "");
    assert_eq!(moves(&life.order(r#""total": 14.99"#)), []);
    let commit = life.order(r#""total": 0.01"#);
    assert_eq!(moves(&commit), [up()]);
    let line = &receipt(&commit)["effects"][0];
    assert_eq!((&line["rule"], &line["value"]), (&"tier policy".into(), &"gold".into()));
    let told: serde_json::Value = serde_json::from_str(&commit.events.last().unwrap().to_json()).unwrap();
    let expected = serde_json::json!({
        "previous_tier": { "id": "bronze", "name": "Bronze" }, "new_tier": { "id": "gold", "name": "Gold" },
        "manual_tier": null, "system_tier": "gold", "source_event": "k1",
    });
    assert_eq!((&told["data"], &told["member"]["tier"]), (&expected, &"gold".into()));
}

#[test]
fn a_review_comes_first_so_that_rules_see_the_tier_after_it() {
    let mut life = life(MONTHLY, "rule \"a\" on visit when member.tier == \"bronze\" { award(1); }");
    life.order(r#""total": 15"#);
    life.now = at("2026-05-01T03:59:59Z");
    assert_eq!(receipt(&life.send(r#"{"key":"1","type":"visit"}"#))["effects"], serde_json::json!([]));
    life.now = at("2026-05-01T04:00:00Z");
    let commit = life.send(r#"{"key":"2","type":"visit"}"#);
    assert_eq!(moves(&commit), [down()]);
    assert_eq!(receipt(&commit)["effects"][1]["rule"], "a");
}

#[test]
fn points_of_qualifying_wallets_count_and_refunds_take_them_off() {
    let rules = "rule \"earn\" on order.completed { award(order.total); }\n\
                 rule \"spend\" on visit { deduct(10); award_to(100, \"stars\"); }\n\
                 rule \"back\" on order.refunded { take_back(); }";
    let wallets = "[[wallets]]\ncode = \"points\"\n[[wallets]]\ncode = \"stars\"\nqualifying = false\n";
    let policy = format!("{}{wallets}", MONTHLY.replace("spend", "points"));
    let mut life = life(&policy, rules);
    assert_eq!(moves(&life.order(r#""total": 14"#)), []);
    life.send(r#"{"key":"v","type":"visit"}"#);
    assert_eq!(moves(&life.order(r#""total": 1"#)), [up()], "points that were spent still count");
    life.now = at("2026-04-02T12:00:00Z");
    let refund = r#"{"key":"r","type":"order.refunded","data":{"order_id":"o0","amount":7}}"#;
    assert_eq!(moves(&life.send(refund)), [], "March was enough when it closed");
    assert_eq!(life.member.history.lifetime_earned, 8);
    let march = life.member.history.sums("2026-03-01".parse().unwrap(), "2026-03-31".parse().unwrap());
    assert_eq!(march.earned, 8, "a refund takes points off the day of their order");
    life.now = at("2026-05-02T12:00:00Z");
    assert_eq!(moves(&life.tick(TickType::Daily)), [down()]);
}

#[test]
fn points_of_a_rule_that_failed_do_not_count() {
    let rules = "rule \"a\" on visit { award(100); award_to(1, \"no\" + \"ne\"); }";
    let mut life = life(&MONTHLY.replace("spend", "points"), rules);
    let commit = life.send(r#"{"type":"visit"}"#);
    assert_eq!(commit.source.as_ref().unwrap().status(), SourceStatus::Failed);
    assert_eq!((moves(&commit), life.member.history.lifetime_earned), (vec![], 0));
}

#[test]
fn rules_cannot_set_tiers_that_follow_a_policy() {
    let problems = load_under(MONTHLY, "rule \"a\" on visit {\n  set_tier(\"gold\");\n}").unwrap_err();
    assert_eq!((&*problems[0].file, problems[0].line, problems[0].column), ("a.rhai", 2, 3));
    assert!(problems[0].message.contains("[tier_policy]"), "{problems:?}");
}

#[test]
fn rules_and_triggers_see_how_far_it_is() {
    let rules = "rule \"a\" on order.completed when member.to_next_tier == 5 and member.next_tier == \"gold\" and member.to_keep_tier == 0 { award(1); }\n\
                 rule \"b\" on order.completed when member.to_next_tier == 0 and member.next_tier == \"\" and member.to_keep_tier == 9 { award(2); }\n\
                 rule \"c\" on order.completed when member.has_manual_tier or member.system_tier != member.tier { award(4); }\n\
                 trigger \"t\" on tier.will_downgrade when event.tier == \"gold\" and event.missing == 9.5 { forward(\"crm\"); }";
    let mut life = life(&format!("{MONTHLY}warn_days = 3"), rules);
    life.order(r#""total": 10"#);
    life.order(r#""total": 5"#);
    assert_eq!(life.member.standing.points().0, 1);
    life.now = at("2026-04-10T12:00:00Z");
    life.order(r#""total": 6"#);
    assert_eq!(life.member.standing.points().0, 3);
    life.send(r#"{"key":"r","type":"order.refunded","data":{"order_id":"o2","amount":0.5}}"#);
    life.endpoints = vec![decide::endpoint(1, &[], &["crm"])];
    life.now = at("2026-04-28T12:00:00Z");
    let commit = life.tick(TickType::Daily);
    assert_eq!(commit.deliveries.len(), 1, "{:?}", commit.events);
    assert_eq!(life.tick(TickType::Daily).events, [], "once");
}

fn set(life: &mut Life, data: &str) -> Commit {
    let key = life.orders.len() + life.member.version as usize;
    life.send(&format!(r#"{{"key":"set{key}","type":"tier.set","data":{data}}}"#))
}

#[test]
fn a_manual_tier_is_the_effective_one_until_it_ends() {
    let mut life = life(MONTHLY, "");
    life.send(r#"{"type":"visit"}"#);
    let commit = set(&mut life, r#"{"tier":"gold","until":"2026-06-01T00:00:00Z","reason":"Mayor"}"#);
    assert_eq!(moves(&commit), [up()]);
    let face = receipt(&commit)["member"].clone();
    let tiers = [&face["tier"], &face["manual_tier"], &face["system_tier"]];
    assert_eq!(tiers.map(|tier| tier.as_str().unwrap()), ["gold", "gold", "bronze"]);
    assert_eq!(moves(&life.order(r#""total": 15"#)), [], "the tier beneath is not told of");
    assert_eq!(life.member.standing.system_tier().unwrap().as_str(), "gold");
    life.now = at("2026-05-02T12:00:00Z");
    assert_eq!(moves(&life.tick(TickType::Daily)), []);
    assert_eq!((tier(&life), life.member.standing.system_tier().unwrap().as_str()), ("gold", "bronze"));
    assert_eq!(life.member.next_wake_at, Some(at("2026-05-03T07:00:00Z")));
    life.now = at("2026-05-31T23:00:00Z");
    life.tick(TickType::Daily);
    assert_eq!(life.member.next_wake_at, Some(at("2026-06-01T00:00:00Z")));
    life.now = at("2026-06-01T00:00:00Z");
    assert_eq!(moves(&life.send(r#"{"key":"late","type":"visit"}"#)), [down()]);
    assert_eq!(life.member.standing.manual_tier, None);
}

#[test]
fn a_manual_tier_can_lower_be_replaced_and_be_taken_away() {
    let mut life = life(MONTHLY, "");
    life.order(r#""total": 15"#);
    assert_eq!(moves(&set(&mut life, r#"{"tier":"bronze","reason":"Fraud"}"#)), [down()]);
    assert_eq!(moves(&set(&mut life, r#"{"tier":"gold","reason":"Sorry"}"#)), [up()]);
    assert_eq!(moves(&set(&mut life, r#"{"tier":"bronze","reason":"Fraud after all"}"#)), [down()]);
    let commit = life.send(r#"{"key":"c","type":"tier.clear"}"#);
    assert_eq!((moves(&commit), life.member.standing.manual_tier.is_none()), (vec![up()], true));
}

#[test]
fn a_manual_tier_also_stands_above_rules() {
    let mut life = Life::new(program("rule \"a\" on visit { set_tier(\"silver\"); }"));
    set(&mut life, r#"{"tier":"gold","reason":"Mayor"}"#);
    assert_eq!(moves(&life.send(r#"{"key":"v","type":"visit"}"#)), []);
    life.send(r#"{"key":"c","type":"tier.clear"}"#);
    assert_eq!(tier(&life), "silver");
}

#[test]
fn tests_beside_the_rules_can_ask_for_a_review() {
    let policy = "metric = \"spend\"\nperiod = \"rolling\"\nmonths = 12\ndowngrade = \"by_balance\"\n";
    let rules = "test \"too little\" { at(\"2026-04-01 03:30\"); \
                 given_member(#{ tier: \"gold\", orders: [ #{ at: \"2025-06-15\", total: 14.00 } ] }); \
                 send(\"tier.review\"); expect tier() == \"bronze\" && told(\"tier.downgraded\"); }\n\
                 test \"enough\" { at(\"2026-04-01 03:30\"); \
                 given_member(#{ tier: \"gold\", orders: [ #{ at: \"2025-06-15\", total: 15.00 } ] }); \
                 send(\"tier.review\"); expect tier() == \"gold\"; }";
    let program = load_under(policy, rules).unwrap();
    let files = [("a.rhai", rules.to_owned()), ("program.toml", manifest(policy))];
    let sources = Sources { files: files.map(|(name, text)| (name.to_owned(), text)).to_vec() };
    let outcomes = crate::rules::testing::run(&program, &sources, &chain());
    assert!(outcomes.len() == 2 && outcomes.iter().all(|test| test.failure.is_none()), "{outcomes:#?}");
}
