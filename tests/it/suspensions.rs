//! Rules that keep failing are suspended and reported; what they were to do waits for them.

use awc::http::Method;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    a_rule_that_fails_for_everybody_is_suspended_and_what_it_missed_comes_once_when_it_is_mended,
    a_guest_who_fails_a_hundred_times_suspends_nothing,
    a_rule_that_fails_for_many_at_once_is_suspended_once,
    a_manager_lets_a_suspended_rule_run_again_and_nobody_less,
    a_suspension_survives_a_restart,
    a_nightly_rule_is_suspended_and_its_nights_are_kept,
    a_candidates_rule_is_suspended_by_itself_and_forgotten_with_it,
}

const CHAIN: &str = "/v1/chains/harvest";
const PROGRAM: &str = "/v1/chains/harvest/program";

const GOOD: &str = "rule \"Good\" on order.completed { award(1); }\n";
/// Fails whenever it runs.
const BAD: &str = "rule \"Bad\" on order.completed when order.total > 5 {\n    award(100 / (order.total - order.total));\n}\n";
const MENDED: &str = "rule \"Bad\" on order.completed when order.total > 5 {\n    award(100);\n}\n";

/// Publishes these rules and nothing else.
async fn publish(app: &TestApp, rules: &str, settings: &str) {
    let manifest =
        format!("name = \"Harvest\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n{settings}");
    let files = json!({ "program.toml": manifest, "rules.rhai": rules });
    app.post(&format!("{PROGRAM}/publish"), &json!({ "files": files })).await.expect(201);
}

/// The receipt of a guest's order, which is their only one of this key.
async fn buys(app: &TestApp, key: &str, guest: &str, total: &str) -> Value {
    app.send(&order(key, guest, total)).await.expect(200)
}

/// Guests `from..to` order once each; all of it fails.
async fn fail_for(app: &TestApp, from: usize, to: usize) {
    for n in from..to {
        let receipt = buys(app, &format!("o-{n}"), &format!("guest-{n}"), "10.00").await;
        assert_eq!(receipt["status"], "failed", "{receipt}");
        assert_eq!(receipt["errors"][0].get("code"), None, "{receipt}");
    }
}

async fn suspended(app: &TestApp) -> Vec<Value> {
    app.get(PROGRAM).await.expect(200)["suspended"].as_array().unwrap().clone()
}

async fn told(app: &TestApp, kind: &str) -> Vec<Value> {
    let events = app.get(&format!("{CHAIN}/events?type={kind}")).await.expect(200);
    events["items"].as_array().unwrap().clone()
}

async fn points(app: &TestApp, guest: &str) -> Value {
    app.get(&format!("{CHAIN}/members/{guest}")).await.expect(200)["points"].clone()
}

async fn replay(app: &TestApp, receipt: &Value) -> Value {
    let id = receipt["id"].as_str().unwrap();
    app.post(&format!("{CHAIN}/source_events/{id}/replay"), &json!({})).await.expect(200)
}

async fn metric(app: &TestApp) -> Option<String> {
    let text = app.get("/metrics").await.text;
    let line = text.lines().find(|line| line.starts_with("punchcard_suspended_rules{chain=\"harvest\"}"));
    line.and_then(|line| line.rsplit(' ').next()).map(str::to_owned)
}

async fn a_rule_that_fails_for_everybody_is_suspended_and_what_it_missed_comes_once_when_it_is_mended(
    app: TestApp,
) {
    let receiver = Receiver::start().await;
    app.endpoint(&receiver.url, &["rule.*"]).await;
    publish(&app, &format!("{GOOD}{BAD}"), "").await;
    fail_for(&app, 0, 9).await;
    assert_eq!((suspended(&app).await, metric(&app).await.as_deref()), (vec![], Some("0")));
    fail_for(&app, 9, 10).await;
    let [listed] = &suspended(&app).await[..] else { panic!("the tenth guest in a row was one too many") };
    for (field, value) in [
        ("rule", json!("Bad")),
        ("at", json!("rules.rhai:2")),
        ("members", json!(10)),
        ("since", json!("2026-03-03T18:30:00Z")),
    ] {
        assert_eq!(listed[field], value, "{listed}");
    }
    assert_eq!(metric(&app).await.as_deref(), Some("1"));
    let [event] = &told(&app, "rule.suspended").await[..] else { panic!("it is told once") };
    let data = json!({ "rule": "Bad", "at": "rules.rhai:2", "program_version": 2, "members": 10,
        "failed_at": listed["failed_at"], "error": listed["error"] });
    assert_eq!((&event["data"], event.get("member")), (&data, None), "{event}");

    let missed = buys(&app, "o-10", "guest-10", "10.00").await;
    assert_eq!((&missed["status"], &missed["member"]["points"]), (&json!("failed"), &json!(1)), "{missed}");
    assert_eq!(
        (&missed["errors"][0]["rule"], &missed["errors"][0]["code"]),
        (&json!("Bad"), &json!("suspended"))
    );
    let small = buys(&app, "o-11", "guest-11", "4.00").await;
    assert_eq!(small["status"], "processed", "it would have done nothing: {small}");
    assert_eq!(replay(&app, &missed).await["errors"][0]["code"], "suspended");

    publish(&app, &format!("{GOOD}{MENDED}"), "").await;
    assert_eq!((suspended(&app).await, metric(&app).await.as_deref()), (vec![], Some("0")));
    let [event] = &told(&app, "rule.resumed").await[..] else { panic!("it is told once") };
    let data = json!({ "rule": "Bad", "at": "rules.rhai:2", "program_version": 2,
        "suspended_at": "2026-03-03T18:30:00Z", "new_version": 3 });
    assert_eq!(event["data"], data);
    let again = replay(&app, &missed).await;
    assert_eq!((&again["status"], &again["member"]["points"]), (&json!("processed"), &json!(101)), "{again}");
    let path = format!("{CHAIN}/source_events/{}/replay", missed["id"].as_str().unwrap());
    app.post(&path, &json!({})).await.expect(409);
    assert_eq!(points(&app, "guest-10").await, 101);
    assert_eq!(buys(&app, "o-12", "guest-12", "10.00").await["member"]["points"], 101);
    app.until("both are delivered", async || {
        (receiver.kinds() == ["rule.suspended", "rule.resumed"]).then_some(())
    })
    .await;
    app.verify();
    app.stop().await;
}

async fn a_guest_who_fails_a_hundred_times_suspends_nothing(app: TestApp) {
    publish(&app, &format!("{GOOD}{BAD}"), "").await;
    for n in 0..100 {
        let receipt = buys(&app, &format!("ana-{n}"), "ana", "10.00").await;
        assert_eq!((&receipt["status"], receipt["errors"][0].get("code")), (&json!("failed"), None));
    }
    assert_eq!(suspended(&app).await, Vec::<Value>::new());
    assert_eq!(told(&app, "rule.suspended").await, Vec::<Value>::new());
    app.stop().await;
}

async fn a_rule_that_fails_for_many_at_once_is_suspended_once(app: TestApp) {
    publish(&app, BAD, "[failures]\nsuspend_after = 3\n").await;
    let guests = (0..40).map(async |n| buys(&app, &format!("o-{n}"), &format!("guest-{n}"), "10.00").await);
    let receipts = join_all(guests).await;
    assert!(receipts.iter().all(|receipt| receipt["status"] == "failed"));
    assert_eq!((suspended(&app).await.len(), told(&app, "rule.suspended").await.len()), (1, 1));
    app.stop().await;
}

async fn a_manager_lets_a_suspended_rule_run_again_and_nobody_less(app: TestApp) {
    publish(&app, &format!("{GOOD}{BAD}"), "[failures]\nsuspend_after = 3\n").await;
    let resume = format!("{PROGRAM}/rules/resume");
    let bad = json!({ "rule": "Bad" });
    let refused = app.post(&resume, &bad).await.expect(409);
    assert_eq!(refused["code"], "not_suspended", "{refused}");
    app.post(&resume, &json!({ "rule": "Worse" })).await.expect(404);
    fail_for(&app, 0, 3).await;
    let dry = app.post(&format!("{CHAIN}/events/dry_run"), &order("x", "guest-0", "10.00")).await.expect(200);
    let verdict = &dry["rules"].as_array().unwrap()[1];
    assert_eq!(
        (&verdict["rule"], &verdict["verdict"], &verdict["members"]),
        (&json!("Bad"), &json!("suspended"), &json!(3))
    );
    assert_eq!(buys(&app, "o-3", "guest-3", "10.00").await["errors"][0]["code"], "suspended");

    for (role, status) in [("viewer", 403), ("ingest", 403), ("manager", 200)] {
        let made = json!({ "role": role, "chain": "harvest", "name": format!("the {role}") });
        let made = app.post("/v1/keys", &made).await.expect(201);
        let key = format!("Bearer {}", made["key"].as_str().unwrap());
        let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
        let answer = app.request(Method::POST, &resume, &headers, bad.to_string().into_bytes()).await;
        assert_eq!(answer.status, status, "{role}: {}", answer.text);
    }
    assert_eq!(suspended(&app).await, Vec::<Value>::new());
    let [event] = &told(&app, "rule.resumed").await[..] else { panic!("it is told once") };
    assert_eq!(
        (&event["data"]["resumed_by"], event["data"].get("new_version")),
        (&json!("the manager"), None)
    );
    // It fails as before, and begins with a clean sheet.
    fail_for(&app, 10, 12).await;
    assert_eq!(suspended(&app).await, Vec::<Value>::new());
    fail_for(&app, 12, 13).await;
    assert_eq!((suspended(&app).await.len(), told(&app, "rule.suspended").await.len()), (1, 2));
    app.post(&format!("{PROGRAM}/rollback"), &json!({ "version": 1 })).await.expect(201);
    assert_eq!(
        (suspended(&app).await.len(), told(&app, "rule.resumed").await.len()),
        (0, 2),
        "going back ends it, too"
    );
    app.stop().await;
}

async fn a_suspension_survives_a_restart(mut app: TestApp) {
    publish(&app, &format!("{GOOD}{BAD}"), "[failures]\nsuspend_after = 3\n").await;
    fail_for(&app, 0, 3).await;
    let before = suspended(&app).await;
    app.restart_with(|_| ()).await;
    assert_eq!((suspended(&app).await, metric(&app).await.as_deref()), (before, Some("1")));
    assert_eq!(buys(&app, "o-3", "guest-3", "10.00").await["errors"][0]["code"], "suspended");
    assert_eq!(told(&app, "rule.suspended").await.len(), 1, "nothing is told twice");
    app.stop().await;
}

async fn a_nightly_rule_is_suspended_and_its_nights_are_kept(app: TestApp) {
    let night = |award: &str| format!("rule \"Night\" on tick.daily {{ award({award}); }}\n");
    let broken = night("5.0 / (member.visits - member.visits)");
    publish(&app, &format!("{GOOD}{broken}"), "[failures]\nsuspend_after = 3\n").await;
    for n in 0..5 {
        buys(&app, &format!("o-{n}"), &format!("guest-{n}"), "10.00").await;
    }
    app.advance(24 * 3600).await;
    assert_eq!(suspended(&app).await.len(), 1);
    app.advance(24 * 3600).await;
    let failed = app.get(&format!("{CHAIN}/source_events?status=failed&limit=100")).await.expect(200);
    let failed = failed["items"].as_array().unwrap();
    let waits = failed.iter().filter(|event| event["errors"][0]["code"] == "suspended").count();
    assert!(failed.len() == 10 && waits >= 5, "each guest's two nights: {failed:#?}");
    publish(&app, &format!("{GOOD}{}", night("5")), "").await;
    for event in failed {
        assert_eq!(replay(&app, event).await["status"], "processed");
    }
    for n in 0..5 {
        assert_eq!(points(&app, &format!("guest-{n}")).await, 11, "the order's point and two nights");
    }
    app.stop().await;
}

#[actix_web::test]
async fn what_one_node_suspends_the_other_leaves_alone_until_either_lets_it_run_again() {
    let one = TestApp::start(Backend::Postgres).await;
    publish(&one, &format!("{GOOD}{BAD}"), "[failures]\nsuspend_after = 3\n").await;
    let other = one.another_node().await;
    fail_for(&one, 0, 3).await;
    let is_suspended = async |app: &TestApp, wanted: usize| {
        app.until("the nodes agree", async || (suspended(app).await.len() == wanted).then_some(())).await;
    };
    is_suspended(&other, 1).await;
    assert_eq!(buys(&other, "o-3", "guest-3", "10.00").await["errors"][0]["code"], "suspended");
    other.post(&format!("{PROGRAM}/rules/resume"), &json!({ "rule": "Bad" })).await.expect(200);
    is_suspended(&one, 0).await;
    fail_for(&one, 4, 5).await;
    assert_eq!((told(&one, "rule.suspended").await.len(), told(&one, "rule.resumed").await.len()), (1, 1));
    join(one.stop(), other.stop()).await;
}

async fn a_candidates_rule_is_suspended_by_itself_and_forgotten_with_it(mut app: TestApp) {
    const CANDIDATE: &str = "/v1/chains/harvest/program/candidate";
    let manifest = "name = \"Harvest\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n";
    let begin = async |app: &TestApp| {
        let files = json!({ "program.toml": manifest, "rules.rhai": format!("{GOOD}{BAD}") });
        app.post(CANDIDATE, &json!({ "files": files, "share": 100 })).await.expect(201)
    };
    let of_candidate = async |app: &TestApp| {
        app.get(PROGRAM).await.expect(200)["candidate"]
            .get("suspended")
            .map_or(0, |all| all.as_array().unwrap().len())
    };
    publish(&app, &format!("{GOOD}{MENDED}"), "").await;
    begin(&app).await;
    fail_for(&app, 0, 10).await;
    assert_eq!((suspended(&app).await, of_candidate(&app).await), (vec![], 1));
    assert_eq!(metric(&app).await.as_deref(), Some("1"));
    app.restart_with(|_| ()).await;
    assert_eq!(of_candidate(&app).await, 1);
    let missed = buys(&app, "o-10", "guest-10", "10.00").await;
    assert_eq!(missed["errors"][0]["code"], "suspended", "{missed}");

    publish(&app, &format!("{GOOD}{MENDED}{}", GOOD.replace("Good", "More")), "").await;
    assert_eq!(of_candidate(&app).await, 1, "what is published for the others ends nothing of it");
    app.post(&format!("{PROGRAM}/rules/resume"), &json!({ "rule": "Bad" })).await.expect(200);
    assert_eq!(of_candidate(&app).await, 0);
    fail_for(&app, 20, 30).await;
    assert_eq!(of_candidate(&app).await, 1);
    app.post(&format!("{CANDIDATE}/drop"), &json!({})).await.expect(200);
    assert_eq!(metric(&app).await.as_deref(), Some("0"));
    assert_eq!(replay(&app, &missed).await["member"]["points"], 101, "by the version in force");
    begin(&app).await;
    assert_eq!((of_candidate(&app).await, told(&app, "rule.resumed").await.len()), (0, 1));
    app.stop().await;
}
