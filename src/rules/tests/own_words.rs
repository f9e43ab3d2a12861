//! Counters, marks and loyalty events of a program's own.

use serde_json::{Value, json};

use super::decide::endpoint;
use super::*;
use crate::domain::loyalty_event::EventType;

const OWN: &str =
    "counters = [\"coffees\", \"cakes\"]\nmarks = [\"vip\"]\nevents = [\"stamp.given\", \"card.full\"]\n";

fn try_with(rules: &str) -> Result<Program, Vec<Diagnostic>> {
    let files = [("a.rhai", rules.to_owned()), ("program.toml", format!("{MANIFEST}{OWN}"))];
    let sources = Sources { files: files.map(|(name, text)| (name.to_owned(), text)).into() };
    Program::load(&sources, &chain(), 7)
}

fn with(rules: &str) -> Program {
    try_with(rules).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn counter(life: &Life, name: &str) -> i64 {
    life.member.standing.memo.counter(name)
}

fn told(commit: &Commit) -> Vec<Value> {
    let own = commit.events.iter().filter(|event| event.kind() == EventType::CustomEmitted);
    own.map(|event| serde_json::from_str::<Value>(&event.to_json()).unwrap()["data"].clone()).collect()
}

#[test]
fn what_no_program_declares_is_found_at_the_right_word() {
    for (rules, place, says) in [
        (r#"rule "a" on visit { count("cofees"); }"#, (1, 27), "did you mean `coffees`?"),
        (r#"rule "a" on visit { reset("tea"); }"#, (1, 27), "there is no counter called `tea`"),
        (r#"rule "a" on visit { unmark("vips"); }"#, (1, 28), "did you mean `vip`?"),
        (r#"rule "a" on visit { mark("vipp"); }"#, (1, 26), "did you mean `vip`?"),
        (r#"rule "a" on visit { mark("atrisk"); }"#, (1, 26), "did you mean `at_risk`?"),
        (r#"rule "a" on visit { mark("vip", "HIGH"); }"#, (1, 26), "there is no status called `vip`"),
        (r#"rule "a" on visit { emit("stamp.givn"); }"#, (1, 26), "did you mean `stamp.given`?"),
        (r#"rule "a" on visit { emit("stamp.given", 5); }"#, (1, 21), "cannot be used with"),
        (r#"rule "a" on stamp.gven { }"#, (1, 13), "did you mean `stamp.given`?"),
        (r#"trigger "a" on stamp.gven { }"#, (1, 16), "did you mean `stamp.given`?"),
        (r#"trigger "a" on stamp.given { emit("card.full"); }"#, (1, 30), "only be used in a `rule`"),
        (r#"rule "a" on visit when member.counter("cake") > 1 { }"#, (1, 39), "did you mean `cakes`?"),
        (r#"segment "a" when member.has_mark("vips");"#, (1, 34), "did you mean `vip`?"),
        (r#"rule "a" on stamp.given when event.amount > 1 { }"#, (1, 36), "only points.earned"),
        (r#"test "t" { expect told("stamp.gven"); }"#, (1, 24), "did you mean `stamp.given`?"),
    ] {
        let problems = try_with(rules).unwrap_err();
        let found = problems.iter().any(|p| {
            let text = format!("{} {}", p.message, p.help.as_deref().unwrap_or_default());
            (p.line, p.column) == place && text.contains(says)
        });
        assert!(found, "{rules}: {problems:?}");
    }
    assert!(load(r#"rule "a" on visit { mark("vip"); }"#).is_err(), "not every program has it");
}

#[test]
fn counters_and_marks_are_kept_and_seen_by_what_comes_after() {
    let rules = r#"
        rule "Count" on visit { count("coffees", 3); count("coffees", -1); count("cakes"); mark("vip"); mark("vip"); }
        rule "Not yet" on visit when member.counter("coffees") > 0 or member.has_mark("vip") { award(100); }
        rule "Now" on visit.recorded when member.counter("coffees") == 2 and member.has_mark("vip") { award(1); }
        rule "Over" on tick.daily { reset("coffees"); unmark("vip"); }
    "#;
    let mut life = Life::new(with(rules));
    let commit = life.send(r#"{"key":"v","type":"visit"}"#);
    assert_eq!(
        (counter(&life, "coffees"), counter(&life, "cakes"), life.member.standing.points().0),
        (2, 1, 1)
    );
    assert!(life.member.standing.memo.has_mark("vip"));
    let line = &receipt(&commit)["effects"][0];
    assert_eq!(
        (&line["effect"], &line["amount"], &line["value"]),
        (&json!("count"), &json!(3), &json!("coffees"))
    );
    let kept = serde_json::to_string(&life.member.standing).unwrap();
    assert!(kept.contains(r#""memo":{"counters":{"cakes":1,"coffees":2},"marks":["vip"]}"#), "{kept}");
    life.tick(TickType::Daily);
    assert_eq!((counter(&life, "coffees"), counter(&life, "cakes")), (0, 1));
    assert!(!life.member.standing.memo.has_mark("vip"));
}

#[test]
fn a_rule_that_fails_has_counted_nothing_and_one_that_counts_too_far_or_in_parts_fails() {
    for wrong in [
        "deduct(0 - member.visits)",
        "count(\"cakes\", 2000000000000)",
        "count(\"cakes\", 0.5 * member.visits)",
        "emit(\"stamp.given\", #{ at: event_at() })",
    ] {
        let rules = format!(
            "fn event_at() {{ 30.days }}\nrule \"a\" on visit {{ count(\"coffees\"); mark(\"vip\"); emit(\"card.full\"); {wrong}; }}"
        );
        let mut life = Life::new(with(&rules));
        let commit = life.send(r#"{"key":"v","type":"visit"}"#);
        assert_eq!(receipt(&commit)["status"], "failed", "{wrong}");
        assert!(life.member.standing.memo.is_empty() && told(&commit).is_empty(), "{wrong}");
    }
}

#[test]
fn what_an_order_counts_follows_it_when_it_changes() {
    let rules = r#"rule "Count" on order.completed { count("coffees", order.total); emit("card.full"); }"#;
    let mut life = Life::new(with(rules));
    let first = life.order(r#""total":10,"version":1"#);
    for (version, total) in [(2, 4), (3, 20)] {
        let changed = life.send(&format!(
            r#"{{"key":"u{version}","type":"order.updated","data":{{"order_id":"o0","total":{total},"version":{version}}}}}"#
        ));
        assert_eq!((counter(&life, "coffees"), told(&changed).len()), (total, 0));
    }
    assert_eq!(told(&first).len(), 1, "told once");
}

#[test]
fn an_event_of_our_own_is_told_to_the_world_and_starts_rules_and_triggers_by_its_name() {
    let rules = r#"
        rule "Stamp" on visit { emit("stamp.given", #{ card: 3, from: "till", price: 1.50 }); emit("card.full"); }
        rule "Stamped" on stamp.given when event.data.card == 3 and event.name == "stamp.given" { award(1); }
        rule "Full" on card.full when !event.data.contains("card") { award(10); }
        rule "Any" on custom.emitted { award(100); }
        trigger "Tell" on card.full { forward("crm"); }
    "#;
    let mut life = Life::new(with(rules));
    life.endpoints = vec![endpoint(1, &["custom.emitted"], &[]), endpoint(2, &[], &["crm"])];
    let commit = life.send(r#"{"key":"v","type":"visit"}"#);
    assert_eq!(life.member.standing.points().0, 1 + 10 + 2 * 100, "{}", receipt(&commit));
    let stamp = json!({ "name": "stamp.given", "data": { "card": 3, "from": "till", "price": 1.5 }, "source_event": "v" });
    assert_eq!(told(&commit)[0], stamp);
    let to = |n: usize| commit.deliveries.iter().filter(|d| d.endpoint == life.endpoints[n].id).count();
    assert_eq!((to(0), to(1)), (2, 1));
}

#[test]
fn what_failed_on_an_event_of_our_own_runs_again_about_the_same() {
    let rules = r#"
        rule "Stamp" on visit { emit("stamp.given", #{ card: 3 }); }
        rule "Stamped" on stamp.given { award(1.0 * event.data.card / (event.data.card - 3)); }
    "#;
    let mut life = Life::new(with(rules));
    let failed = life.send(r#"{"key":"v","type":"visit"}"#);
    assert_eq!(receipt(&failed)["status"], "failed");
    life.program = with(&rules.replace("- 3)", "- 2)"));
    let mended = life.replay(&failed);
    assert_eq!((&receipt(&mended)["status"], life.member.standing.points().0), (&json!("processed"), 3));
    assert!(told(&mended).is_empty(), "told once");
}

#[test]
fn an_event_that_starts_itself_is_stopped_by_its_name() {
    let mut life = Life::new(with(
        "rule \"Start\" on visit { emit(\"card.full\"); }\n rule \"Echo\" on card.full when member.visits > 0 { emit(\"card.full\"); }",
    ));
    let failed = life.send(r#"{"key":"v","type":"visit"}"#);
    assert_eq!(told(&failed).len(), 1 + 4);
    let error = receipt(&failed)["errors"][0]["error"].as_str().unwrap().to_owned();
    assert!(error.contains("card.full → rule \"Echo\" → card.full → rule \"Echo\""), "{error}");
}
