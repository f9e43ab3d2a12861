//! Why rules fired and why they did not: conditions taken apart, verdicts, forecasts.

use serde_json::{Value, json};

use super::decide::endpoint;
use super::*;
use crate::rules::decide::decide_and_tell;
use crate::rules::dry_run::forecast;
use crate::rules::report::{Colour, check_for};
use crate::rules::verdict::{RuleVerdict, Verdict};

/// An order of 10.00 without a tip over the counter.
const ORDER: &str = r#"{"type":"order.completed","data":{"order_id":"o1","total":10.00,"channel":"pos","items":[{"category":"coffee","price":10.00}]}}"#;

fn occasion(life: &Life, body: &str) -> Occasion {
    let event = SourceEvent::parse(body.as_bytes(), &life.chain.currency, life.now).unwrap();
    let (id, from) = (SourceId::new(Ulid(9 << 64)), SourceOrigin::Outside);
    Occasion::Source(SourceInput { id, event: Arc::new(event), received_at: life.now, from })
}

/// How the rules judge the order.
fn verdicts(rules: &str) -> Vec<RuleVerdict> {
    let life = Life::new(program(rules));
    let case = life.case(occasion(&life, ORDER), None);
    decide_and_tell(&life.program.telling_why(), &life.chain.id, &[], case).unwrap().minutes.rules
}

/// What was false in a condition on the order.
fn unmet(condition: &str) -> Vec<String> {
    let rules = format!(
        "const BIG = 50;\nfn twice(x) {{ x * 2 }}\nrule \"a\" on order.completed\nwhen {condition} {{ award(1); }}"
    );
    let [judged] = &verdicts(&rules)[..] else { panic!("{condition}") };
    let Verdict::NotFired(unmet) = &judged.verdict else { panic!("{condition}: {judged:?}") };
    let written = condition.split(" priority").next().unwrap().trim();
    assert_eq!(&*unmet.condition, written, "the condition is shown as it is written");
    unmet.because.iter().map(ToString::to_string).collect()
}

#[test]
fn a_condition_is_taken_apart_into_the_parts_that_are_false_and_the_values_in_them() {
    for (condition, parts) in [
        ("order.total >= 50", &["order.total >= 50 (order.total is 10.00)"][..]),
        ("order.total >= BIG", &["order.total >= BIG (order.total is 10.00, BIG is 50)"]),
        ("50 <= order.total priority 3", &["50 <= order.total (order.total is 10.00)"]),
        (
            "order.total >= 5 and order.channel == \"app\"",
            &["order.channel == \"app\" (order.channel is \"pos\")"],
        ),
        (
            "order.total >= 50 && order.channel == \"app\"",
            &[
                "order.total >= 50 (order.total is 10.00)",
                "order.channel == \"app\" (order.channel is \"pos\")",
            ],
        ),
        (
            "(order.total >= 50 || (order.tip > 1))\n  && order.total > 1",
            &["order.total >= 50 (order.total is 10.00)", "order.tip > 1 (order.tip is 0)"],
        ),
        (
            "order.total < 1 or (order.total > 1 and (order.tip + 1) * 2 > order.total)",
            &[
                "order.total < 1 (order.total is 10.00)",
                "(order.tip + 1) * 2 > order.total ((order.tip + 1) * 2 is 2, order.total is 10.00)",
            ],
        ),
        ("!(order.total >= 5)", &["!(order.total >= 5) (order.total is 10.00)"]),
        (
            "!(order.channel in [\"pos\", \"app\"])",
            &["!(order.channel in [\"pos\", \"app\"]) (order.channel is \"pos\")"],
        ),
        (
            "order.channel in [\"web\", \"app\"]",
            &["order.channel in [\"web\", \"app\"] (order.channel is \"pos\")"],
        ),
        (
            "!order.channel.contains(\"o\")",
            &["!order.channel.contains(\"o\") (order.channel.contains(\"o\") is true)"],
        ),
        (
            "order.total > 1 and (order.tip > 0 and (order.total < 5))",
            &["order.tip > 0 (order.tip is 0)", "order.total < 5 (order.total is 10.00)"],
        ),
        (
            "order.channel == \"(a && b\" && order.total > 1",
            &["order.channel == \"(a && b\" (order.channel is \"pos\")"],
        ),
        ("twice(order.total) > 20.5", &["twice(order.total) > 20.5 (twice(order.total) is 20.00)"]),
        ("member.has_achievement(\"regular\")", &["member.has_achievement(\"regular\")"]),
        // What cannot be read because a part before it is false.
        ("order.tip > 0 && order.total / order.tip > 2", &["order.tip > 0 (order.tip is 0)"]),
    ] {
        assert_eq!(unmet(condition), parts, "{condition}");
    }
}

/// What a rule on the order read that fired.
fn reads(rest: &str) -> Vec<String> {
    let rules = format!(
        "const BIG = 5;\nfn twice(x) {{ x * 2 }}\nfn is_new(m) {{ m.visits <= 1 }}\nrule \"a\" on order.completed {rest}"
    );
    let [judged] = &verdicts(&rules)[..] else { panic!("{rest}") };
    let Verdict::Fired(done) = &judged.verdict else { panic!("{rest}: {judged:?}") };
    done.reads.iter().map(|read| format!("{} is {}", read.of, read.is)).collect()
}

#[test]
fn a_rule_that_fired_says_what_it_read_each_thing_once_and_on_both_branches() {
    for (rest, read) in [
        ("{ award(5); }", &[][..]),
        ("{ award(order.total * 2); }", &["order.total is 10.00"]),
        (
            "when member.tier == \"bronze\" and member.visits_in( 30.days ) == 1 { award(order.total); }",
            &["member.tier is \"bronze\"", "member.visits_in(30.days) is 1", "order.total is 10.00"],
        ),
        (
            "when order.total >= BIG { if member.points > 3 { award(1); } else { award(order.tip + order.total); } }",
            &["order.total is 10.00", "member.points is 0", "order.tip is 0"],
        ),
        (
            "when order.channel in [\"pos\", \"app\"] or order.at.hour > 22 { award(1); }",
            &["order.channel is \"pos\"", "order.at.hour is 14"],
        ),
        // A function is told with what it is given.
        (
            "when is_new(member) { award(twice(order.total)); }",
            &["is_new(member) is true", "twice(order.total) is 20.00", "order.total is 10.00"],
        ),
        // What depends on variables of its own, and what cannot be written down, is not.
        (
            "{ let category = \"coffee\"; award(order.spent_on(category)); for item in order.items { award(item.price); } }",
            &[],
        ),
        (
            "{ let n = 1; n += order.total; award(n + -1 + min(order.tip, BIG)); }",
            &["order.total is 10.00", "min(order.tip, BIG) is 0", "order.tip is 0"],
        ),
        (
            "when order.tip == 0 or order.total / order.tip > 2 { award(order.count_of(\"coffee\")); }",
            &["order.tip is 0", "order.total is 10.00", "order.count_of(\"coffee\") is 1"],
        ),
    ] {
        assert_eq!(reads(rest), read, "{rest}");
    }
    let many: String = (1..=60).map(|n| format!("award(member.spend_in({n}.days));")).collect();
    assert_eq!(reads(&format!("{{ {many} }}")).len(), 50, "no rule tells for ever");
}

#[test]
fn each_rule_of_an_event_has_a_verdict_in_the_order_in_which_they_are_asked() {
    let verdicts = verdicts(
        r#"
        rule "unmet" on order.completed when order.total >= 50 { award(1); }
        rule "fails" on order.completed { award(100 / order.tip); }
        rule "fires" on order.completed priority 5 { award(3); award(4, "more"); achieve("regular"); }
        rule "elsewhere" on visit { award(1); }
        rule "reacts" on achievement.earned { award(5); }
        "#,
    );
    let shown = serde_json::to_value(&verdicts).unwrap();
    let names: Vec<_> = verdicts.iter().map(|judged| &*judged.rule).collect();
    assert_eq!(names, ["fires", "unmet", "fails", "reacts"]);
    let amounts = |at: usize| -> Vec<Value> {
        shown[at]["effects"].as_array().unwrap().iter().map(|line| line["amount"].clone()).collect()
    };
    assert_eq!((&shown[0]["verdict"], amounts(0)), (&json!("fired"), vec![json!(3), json!(4), Value::Null]));
    let unmet = json!({ "rule": "unmet", "at": "a.rhai:2", "on": "order.completed", "verdict": "not_fired",
        "condition": "order.total >= 50",
        "because": [{ "part": "order.total >= 50", "values": [{ "of": "order.total", "is": "10.00" }] }] });
    assert_eq!(shown[1], unmet);
    assert_eq!((&shown[2]["verdict"], &shown[2]["failed_at"]), (&json!("failed"), &json!("a.rhai:3:53")));
    assert_eq!((&shown[3]["on"], amounts(3)), (&json!("achievement.earned"), vec![json!(5)]));
}

#[test]
fn reading_a_condition_is_bounded_and_changes_nothing_of_the_decision() {
    let slow = r#"
        fn slow() { let n = 0; for i in 0..2500 { n += 1; } n }
        rule "slow" on order.completed when slow() > 1 && slow() < 1 { award(1); }
        rule "next" on order.completed when order.total > 1 { award(2); }
        "#;
    let life = Life::new(program(slow));
    let case = life.case(occasion(&life, ORDER), None);
    let plain = decide(&life.program, &life.chain.id, &[], case.clone()).unwrap();
    let told = decide_and_tell(&life.program.telling_why(), &life.chain.id, &[], case).unwrap();
    assert_eq!(plain, told.commit);
    assert!(matches!(&told.minutes.rules[0].verdict, Verdict::NotFired(_)), "{:?}", told.minutes);
    assert!(matches!(&told.minutes.rules[1].verdict, Verdict::Fired(_)), "{:?}", told.minutes);
    let Verdict::NotFired(unmet) = &told.minutes.rules[0].verdict else { unreachable!() };
    assert!(unmet.because.iter().all(|part| part.values.is_empty()), "there were no steps left: {unmet:?}");
}

#[test]
fn nothing_is_noted_while_nobody_wants_to_know() {
    let life = Life::new(program("rule \"a\" on order.completed when order.total > 50 { award(1); }"));
    let case = life.case(occasion(&life, ORDER), None);
    let decided = decide_and_tell(&life.program, &life.chain.id, &[], case).unwrap();
    assert!(decided.minutes.rules.is_empty() && decided.minutes.triggers.is_empty());
}

#[test]
fn a_forecast_says_who_would_get_what_and_why_and_which_triggers_did_not_fire() {
    let rules = r#"
        rule "a" on order.completed { award(10); }
        trigger "to the CRM" on points.earned when event.amount >= 5 { forward("crm"); }
        trigger "big ones" on points.earned when event.amount >= 100 { forward("crm"); }
        "#;
    let life = Life::new(program(rules));
    let endpoints = [endpoint(1, &["points.*"], &["crm"]), endpoint(2, &["visit.recorded"], &[])];
    let case = life.case(occasion(&life, ORDER), None);
    let forecast = forecast(&life.program, &life.chain.id, &endpoints, case).unwrap();
    let told = serde_json::to_value(&forecast).unwrap();
    let [sent] = &told["deliveries"].as_array().unwrap()[..] else { panic!("{told}") };
    assert_eq!(
        sent["because"],
        json!([{ "subscribed": "points.*" }, { "trigger": "to the CRM", "tag": "crm" }])
    );
    for (field, value) in [
        ("type", "points.earned"),
        ("url", "https://example.com/"),
        ("dialect", "standard"),
        ("status", "disabled"),
    ] {
        assert_eq!(sent[field], value, "{sent}");
    }
    let [fired, unmet] = &told["triggers"].as_array().unwrap()[..] else { panic!("{told}") };
    assert_eq!((&fired["verdict"], &fired["forwarded_to"]), (&json!("fired"), &json!(["crm"])));
    assert_eq!(unmet["because"][0]["values"], json!([{ "of": "event.amount", "is": "10" }]));
    assert_eq!((&told["enrols"], &told["receipt"]["status"]), (&json!(true), &json!("processed")));
    let kinds: Vec<_> = told["events"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert_eq!(kinds.last(), Some(&&json!("points.earned")));
}

#[test]
fn a_trigger_is_a_reason_for_the_event_on_which_it_fired_and_for_no_other() {
    let rules = r#"
        rule "a" on order.completed { award(10); award(3); }
        trigger "big ones" on points.earned when event.amount >= 5 { forward("crm"); }
        "#;
    let life = Life::new(program(rules));
    let case = life.case(occasion(&life, ORDER), None);
    let endpoints = [endpoint(1, &["points.*"], &["crm"])];
    let told =
        serde_json::to_value(forecast(&life.program, &life.chain.id, &endpoints, case).unwrap()).unwrap();
    let [big, small] = &told["deliveries"].as_array().unwrap()[..] else { panic!("{told}") };
    let subscribed = json!({ "subscribed": "points.*" });
    assert_eq!(big["because"], json!([subscribed, { "trigger": "big ones", "tag": "crm" }]));
    assert_eq!(small["because"], json!([subscribed]));
}

#[test]
fn a_failing_test_says_what_fired_and_why_the_others_did_not() {
    let rules = r#"
        rule "fires" on visit { award(1); }
        rule "big" on visit when member.points >= 100 and member.tier == "gold" { award(1); }
        test "t" { send("visit"); expect awarded() == 2 && tier() == "gold"; }
        "#;
    let report = check_for(sources(rules), &chain());
    let failure = report.tests[0].failure.clone().unwrap();
    assert_eq!(failure.message, "awarded() is 1, expected == 2; tier() is \"bronze\", expected == \"gold\"");
    let why = "\"fires\" fired: award 1 points\n\
        \"big\" did not: member.points >= 100 (member.points is 0), member.tier == \"gold\" (member.tier is \"bronze\")";
    assert_eq!(failure.judged.as_ref().unwrap().in_lines(), why);
    let told = serde_json::to_value(&failure).unwrap();
    assert_eq!((&told["sent"], &told["rules"][0]["verdict"]), (&json!("visit"), &json!("fired")));
    assert_eq!(told["rules"][1]["because"][0]["part"], "member.points >= 100");
}

#[test]
fn of_every_rule_that_did_not_fire_it_is_said_why_on_a_line_of_its_own() {
    let rule = |nth: usize| format!("rule \"r{nth}\" on visit when member.points >= {nth} {{ award(1); }}\n");
    let rules: String = (1..=7).map(rule).collect();
    let report =
        check_for(sources(&(rules + "test \"t\" { send(\"visit\"); expect awarded() == 1; }")), &chain());
    let text = report.render(Path::new("corner"), Colour::Plain);
    for nth in 1..=7 {
        let line = format!("\"r{nth}\" did not: member.points >= {nth} (member.points is 0)");
        assert!(text.lines().any(|shown| shown.trim_end().ends_with(&line)), "{line}\n{text}");
    }
}

/// What a test says that expects this after an order of 60 at 11, of a member with 5 points.
fn says(expectation: &str) -> String {
    let rules = r#"
        rule "Small" on order.completed { award(1); mark("vip"); }
        rule "Big" on order.completed when order.total > 100 { award(100); }
        trigger "crm" on points.earned { forward("crm"); }
        "#;
    let test = format!(
        "test \"t\" {{ given_member(#{{ points: 5 }}); send(\"order.completed\", #{{ total: 60.00 }}); expect {expectation}; }}"
    );
    let mut sources = sources(&(rules.to_owned() + &*test));
    let manifest = sources.files.iter_mut().find(|(name, _)| name == "program.toml").unwrap();
    manifest.1.insert_str(0, "marks = [\"vip\", \"new\"]\n");
    let report = check_for(sources, &chain());
    let failure = report.tests.first().unwrap_or_else(|| panic!("{:#?}", report.problems)).failure.clone();
    failure.unwrap_or_else(|| panic!("{expectation} holds")).message
}

#[test]
fn whatever_is_expected_a_failing_test_shows_what_is() {
    for (expectation, said) in [
        ("points() == 60", "this is 6, expected == 60"),
        ("points() in [5, 7]", "this is 6, expected in [5, 7]"),
        (
            "awarded() == 60 || tier() == \"gold\"",
            "awarded() is 1, expected == 60; tier() is \"bronze\", expected == \"gold\"",
        ),
        ("fired(\"Big\")", "expected fired(\"Big\"); fired: \"Small\""),
        ("!fired(\"Small\")", "expected !fired(\"Small\"); fired: \"Small\""),
        (
            "told(\"tier.upgraded\")",
            "expected told(\"tier.upgraded\"); told: \"order.completed\", \"points.earned\"",
        ),
        ("!forwarded(\"crm\")", "expected !forwarded(\"crm\"); forwarded to: \"crm\""),
        ("achieved(\"regular\")", "expected achieved(\"regular\"); achieved: nothing"),
        ("marked(\"new\")", "expected marked(\"new\"); marked: \"vip\""),
        ("member.has_mark(\"new\")", "expected member.has_mark(\"new\"); marked: \"vip\""),
        ("recommended(\"card\")", "expected recommended(\"card\"); recommended: nothing"),
        ("member.points == 60", "this is 6, expected == 60"),
        ("member.is_new", "expected member.is_new; it is false"),
        ("!member.has_rhythm && member.is_new", "expected member.is_new; it is false"),
        ("!(points() in [5, 6])", "expected !(points() in [5, 6]); points() is 6, [5, 6] is [5, 6]"),
    ] {
        assert_eq!(says(expectation), said, "{expectation}");
    }
}

#[test]
fn a_rule_that_fails_many_tests_is_told_of_once() {
    let tests: String =
        (0..12).map(|n| format!("test \"t{n}\" {{ send(\"visit\"); expect points() == 1; }}\n")).collect();
    let rules =
        "rule \"odd\" on visit { award(member.points - 1); }\ntest \"other\" { expect points() == 1; }\n"
            .to_owned()
            + &*tests;
    let report = check_for(sources(&rules), &chain());
    let judged = report.tests.iter().filter(|test| test.failure.as_ref().unwrap().judged.is_some());
    assert_eq!(judged.count(), 2, "of 13 that fail");
    let text = report.render(Path::new("corner"), Colour::Plain);
    assert_eq!(text.matches("Error: ").count(), 2, "{text}");
    assert_eq!(text.matches("`award` needs zero or more").count(), 2, "the message and the note: {text}");
    assert!(
        text.contains("11 tests more end here") && text.contains("no event was sent before this"),
        "{text}"
    );
    assert!(text.ends_with("acme: 1 rule, 13 of 13 tests failed\n"), "{text}");
}
