//! Why a member has these points: each line of the ledger with the rule that wrote it, as it was then, and its event.

use serde_json::{Value, json};

use crate::support::{TestApp, on_both_backends, order, visit};

on_both_backends! {
    each_line_shows_the_rule_as_it_was_when_it_was_decided,
    what_a_rule_had_read_is_told_as_it_was_then,
    what_cannot_be_lived_again_says_why_nothing_is_told,
    what_no_rule_did_says_who_asked_for_it_or_what_the_engine_did,
}

const CHAIN: &str = "/v1/chains/harvest";

/// A member's lines, newest first, each explained.
async fn explained(app: &TestApp, member: &str) -> Vec<Value> {
    let path = format!("{CHAIN}/members/{member}/ledger");
    let listed = app.get(&path).await.expect(200)["items"].as_array().unwrap().clone();
    let mut lines = Vec::new();
    for line in listed {
        let id = line["id"].as_str().unwrap();
        let explained = app.get(&format!("{path}/{id}")).await.expect(200);
        for (field, value) in line.as_object().unwrap() {
            assert_eq!(&explained[field], value, "{field}");
        }
        lines.push(explained);
    }
    lines
}

/// The files of the sample chain with another text in them, and without tests.
fn files(app: &TestApp, old: &str, new: &str) -> Value {
    let folder = std::fs::read_dir(app.rules().join("harvest")).unwrap().flatten();
    let named = |file: std::fs::DirEntry| {
        let text = std::fs::read_to_string(file.path()).unwrap().replace(old, new);
        let rules = text.split("\ntest \"").next().unwrap();
        (file.file_name().into_string().unwrap(), rules.into())
    };
    Value::Object(folder.map(named).collect())
}

async fn each_line_shows_the_rule_as_it_was_when_it_was_decided(app: TestApp) {
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    // Two lines further down, and under the same name.
    let old = "rule \"Points per dollar\" on order.completed priority 100 {\n    award(order.total * POINTS_PER_DOLLAR);\n}";
    let new = "// twice\n// as much\nrule \"Points per dollar\" on order.completed priority 100 {\n    award(order.total * POINTS_PER_DOLLAR * 2);\n}";
    let changed = files(&app, old, new);
    assert!(changed["earning.rhai"].as_str().unwrap().contains("twice"));
    let published =
        app.post(&format!("{CHAIN}/program/publish"), &json!({ "files": changed, "note": "double" })).await;
    let mut published = published.expect(201);
    let of_now = ["unheard_tags", "broken_filters"]; // not of the version
    published.as_object_mut().unwrap().retain(|field, _| !of_now.contains(&field.as_str()));
    app.send(&order("o2", "ana", "10.00")).await.expect(200);

    let [newer, older] = &explained(&app, "ana").await[..] else { panic!("two lines") };
    let because = &older["because"];
    assert_eq!(
        (&because["kind"], &because["rule"], &because["at"]),
        (&json!("rule"), &json!("Points per dollar"), &json!("earning.rhai:12"))
    );
    assert_eq!((&because["text"], &because["version"]["version"]), (&json!(old), &json!(1)));
    assert_eq!(because["uses"], json!(["const POINTS_PER_DOLLAR = 1;"]));
    let input = &older["input"];
    assert_eq!(
        (&input["key"], &input["type"], &input["status"]),
        (&json!("o1"), &json!("order.completed"), &json!("processed"))
    );
    assert_eq!(input["body"]["data"]["total"], "24.50");
    assert_eq!(older["amount"], 24);

    let because = &newer["because"];
    assert!(because["text"].as_str().unwrap().ends_with("* 2);\n}"), "{because}");
    assert_eq!((&because["at"], &because["version"]), (&json!("earning.rhai:14"), &published));
    assert_eq!((&newer["amount"], &newer["input"]["key"]), (&json!(20), &json!("o2")));

    app.send(&order("o3", "ben", "1.00")).await.expect(200);
    for path in [
        format!("{CHAIN}/members/ben/ledger/{}", older["id"].as_str().unwrap()),
        format!("{CHAIN}/members/ana/ledger/nonsense"),
        format!("{CHAIN}/members/nobody/ledger/{}", older["id"].as_str().unwrap()),
    ] {
        app.get(&path).await.expect(404);
    }
    app.stop().await;
}

/// Puts the sample chain in force with one more file.
async fn publish(app: &TestApp, more: &str) {
    let mut files = files(app, "", "");
    files["more.rhai"] = more.into();
    app.post(&format!("{CHAIN}/program/publish"), &json!({ "files": files })).await.expect(201);
}

/// What the rule of a line had read.
fn reads<'l>(lines: &'l [Value], rule: &str) -> &'l Value {
    let line = lines.iter().find(|line| line["because"]["rule"] == rule);
    &line.unwrap_or_else(|| panic!("{rule}: {lines:#?}"))["because"]["reads"]
}

fn read(of: &str, is: &str) -> Value {
    json!({ "of": of, "is": is })
}

async fn what_a_rule_had_read_is_told_as_it_was_then(app: TestApp) {
    let more = r#"
rule "New friends" on order.completed when member.tier == "bronze" and member.visits_in(30.days) <= 2 {
    award(order.total, "Welcome");
}
rule "Third time" on visit when member.visits == 3 { set_tier("gold"); award(3); }
rule "Good night" on tick.daily when member.points > 50 { award(1); }
"#;
    publish(&app, more).await;
    app.send(&order("o1", "ana", "34.50")).await.expect(200);
    app.advance(86_400).await; // a night
    for (key, at) in [("v1", "2026-03-04T18:00:00Z"), ("v2", "2026-03-04T18:10:00Z")] {
        app.send(&visit(key, "ana", at)).await.expect(200);
    }
    let told = explained(&app, "ana").await;
    publish(&app, "").await; // the rules are gone
    app.send(&order("o2", "ana", "9.00")).await.expect(200);
    let member = app.get(&format!("{CHAIN}/members/ana")).await.expect(200);
    assert_eq!((&member["tier"], &member["points"]), (&json!("gold"), &json!(81)), "not as it was");
    let lines = explained(&app, "ana").await;
    assert_eq!(lines[1..], told);
    assert_eq!(*reads(&lines[..1], "Points per dollar"), json!([read("order.total", "9.00")]));
    let first = [
        read("member.tier", "\"bronze\""),
        read("member.visits_in(30.days)", "1"),
        read("order.total", "34.50"),
    ];
    assert_eq!(*reads(&lines, "New friends"), json!(first));
    assert_eq!(*reads(&lines, "Third time"), json!([read("member.visits", "3")]));
    assert_eq!(
        *reads(&lines, "Good night"),
        json!([read("member.points", "68")]),
        "of an event that nobody sent"
    );
    app.verify();
    app.stop().await;
}

async fn what_cannot_be_lived_again_says_why_nothing_is_told(app: TestApp) {
    let rule = "rule \"Share\" on order.completed { award(order.total / order.tip); }";
    publish(&app, rule).await;
    let failed = app.send(&order("o1", "ana", "10.00")).await.expect(200);
    assert_eq!(failed["status"], "failed");
    publish(&app, &rule.replace("/ order.tip", "* 2")).await;
    let id = failed["id"].as_str().unwrap();
    app.post(&format!("{CHAIN}/source_events/{id}/replay"), &json!({})).await.expect(200);
    let [share, points] = &explained(&app, "ana").await[..] else { panic!("two lines") };
    for line in [share, points] {
        let because = &line["because"];
        assert_eq!((&because["reads"], &because["reads_missing"]), (&Value::Null, &json!("replayed")));
    }
    // What comes behind it is told again.
    app.send(&order("o2", "ana", "4.00")).await.expect(200);
    let lines = explained(&app, "ana").await;
    assert_eq!(*reads(&lines[..1], "Share"), json!([read("order.total", "4.00")]));
    app.stop().await;
}

async fn what_no_rule_did_says_who_asked_for_it_or_what_the_engine_did(app: TestApp) {
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    let adjust = json!({ "amount": 5, "reason": "Spilled soup" });
    app.post(&format!("{CHAIN}/members/ana/points"), &adjust).await.expect(200);
    let cancel = json!({ "key": "c1", "type": "order.cancelled", "data": { "order_id": "o1" } });
    app.send(&cancel).await.expect(200);
    let [cancelled, adjusted, _] = &explained(&app, "ana").await[..] else { panic!("three lines") };
    let person = json!({ "kind": "person", "key": "configuration", "what": "points.adjust" });
    assert_eq!((&adjusted["because"], &adjusted["reason"]), (&person, &json!("Spilled soup")));
    assert_eq!(adjusted["input"]["asked_by"], "configuration");
    let because = &cancelled["because"];
    assert_eq!((&because["kind"], &because["what"]), (&json!("engine"), &json!("order cancelled")));
    assert_eq!((&because["version"]["version"], &cancelled["input"]["key"]), (&json!(1), &json!("c1")));
    app.stop().await;
}
