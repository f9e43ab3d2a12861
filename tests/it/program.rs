//! Rule files: followed while the engine runs, refused when they do not check, and failing without losing events.

use std::time::{Duration, Instant};

use awc::http::Method;
use serde_json::json;

use crate::support::{Backend, TestApp, on_both_backends, order};

on_both_backends! {
    an_edited_file_is_in_force_within_a_second,
    an_edit_that_does_not_check_changes_nothing_and_says_why,
    a_failing_rule_keeps_the_event_and_replay_mends_it,
    a_birthday_on_which_the_rule_failed_is_made_up_for_by_a_replay,
    a_file_that_is_no_text_is_a_problem_of_the_program,
}

const EXTRA: &str = "extra.rhai";

/// Waits until the chain's program shows what is wanted; answers how long that took.
async fn until(app: &TestApp, what: impl Fn(&serde_json::Value) -> bool) -> Duration {
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        if what(&app.get("/v1/chains/harvest/program").await.expect(200)) {
            return started.elapsed();
        }
        actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the program never got there: {}", app.get("/v1/chains/harvest/program").await.text);
}

fn write(app: &TestApp, text: &str) {
    std::fs::write(app.rules().join("harvest").join(EXTRA), text).unwrap();
}

/// What the edits of these tests are about; the sample's own tests know no kiosk.
fn kiosk_order() -> serde_json::Value {
    let mut event = order("o1", "ana", "10.00");
    event["data"]["channel"] = json!("kiosk");
    event
}

async fn an_edited_file_is_in_force_within_a_second(app: TestApp) {
    write(
        &app,
        "rule \"Kiosk gift\" on order.completed\nwhen order.channel == \"kiosk\"\n{\n    award(100, \"welcome\");\n}\n",
    );
    let took = until(&app, |program| program["version"] == 2).await;
    // On a machine busy with other tests; `LOOK_EVERY` is 300 ms.
    assert!(took < Duration::from_secs(5), "{took:?}");
    let receipt = app.send(&kiosk_order()).await.expect(200);
    assert_eq!(receipt["member"]["points"], 110);
    assert_eq!(receipt["program_version"], 2);
    app.stop().await;
}

async fn an_edit_that_does_not_check_changes_nothing_and_says_why(app: TestApp) {
    write(&app, "rule \"Typo\" on order.completed {\n    awrd(100, \"welcome\");\n}\n");
    until(&app, |program| program["problems"].as_array().is_some_and(|p| !p.is_empty())).await;
    let program = app.get("/v1/chains/harvest/program").await.expect(200);
    assert_eq!(program["version"], 1);
    let problem = &program["problems"][0];
    assert_eq!((&problem["file"], &problem["line"]), (&json!(EXTRA), &json!(2)), "{problem}");
    assert!(problem.to_string().contains("award"), "{problem}");
    let receipt = app.send(&kiosk_order()).await.expect(200);
    assert_eq!(receipt["member"]["points"], 10);
    app.stop().await;
}

async fn a_birthday_on_which_the_rule_failed_is_made_up_for_by_a_replay(app: TestApp) {
    let rule = "rule \"Card\" on member.birthday when member.points > 0 {\n    award(60.0 / (member.points - 10));\n}\n";
    write(&app, rule);
    until(&app, |program| program["version"] == 2).await;
    let members = "/v1/chains/harvest/members";
    app.post(members, &json!({ "id": "ana", "birthdate": "1990-03-04" })).await.expect(201);
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    app.advance(86_400).await;
    let failed = app.get("/v1/chains/harvest/source_events?status=failed").await.expect(200);
    let [kept] = failed["items"].as_array().unwrap().as_slice() else { panic!("{failed}") };
    assert_eq!((&kept["type"], &kept["errors"][0]["rule"]), (&json!("tick"), &json!("Card")));
    let sent = json!({ "type": "tick", "member": { "id": "ana" }, "data": { "tick": "member.birthday" } });
    assert_eq!(app.send(&sent).await.expect(422)["field"], "type");
    write(&app, &rule.replace("- 10", "- 50"));
    until(&app, |program| program["version"] == 3).await;
    let replay = format!("/v1/chains/harvest/source_events/{}/replay", kept["id"].as_str().unwrap());
    let replayed = app.post(&replay, &json!({})).await.expect(200);
    assert_eq!((&replayed["status"], &replayed["member"]["points"]), (&json!("processed"), &json!(66)));
    app.post(&replay, &json!({})).await.expect(409);
    app.verify();
    app.stop().await;
}

async fn a_failing_rule_keeps_the_event_and_replay_mends_it(app: TestApp) {
    // Dividing by a tip of zero fails when it runs, not when it is checked.
    write(
        &app,
        "rule \"Tip bonus\" on order.completed when order.channel == \"kiosk\" {\n    award(100.0 / order.tip, \"tip\");\n}\n",
    );
    until(&app, |program| program["version"] == 2).await;
    let receipt = app.send(&kiosk_order()).await.expect(200);
    assert_eq!(receipt["status"], "failed");
    assert_eq!(receipt["member"]["points"], 10, "the other rules stand");
    assert_eq!(receipt["errors"][0]["rule"], "Tip bonus");
    let at = receipt["errors"][0]["at"].as_str().unwrap();
    assert!(at.starts_with("extra.rhai:2:"), "{at}");
    write(
        &app,
        "rule \"Tip bonus\" on order.completed when order.channel == \"kiosk\" {\n    award(5, \"tip\");\n}\n",
    );
    until(&app, |program| program["version"] == 3).await;
    let id = receipt["id"].as_str().unwrap();
    let path = format!("/v1/chains/harvest/source_events/{id}");
    let replayed = app.post(&format!("{path}/replay"), &json!({})).await.expect(200);
    assert_eq!(replayed["status"], "processed");
    assert_eq!(replayed["member"]["points"], 15, "only the failed rule runs again: {replayed}");
    assert_eq!(app.get(&path).await.expect(200)["status"], "processed");
    app.post(&format!("{path}/replay"), &json!({})).await.expect(409);
    app.stop().await;
}

async fn a_file_that_is_no_text_is_a_problem_of_the_program(app: TestApp) {
    std::fs::write(app.rules().join("harvest").join(EXTRA), b"// caf\xe9\n").unwrap();
    until(&app, |program| program["problems"].as_array().is_some_and(|p| !p.is_empty())).await;
    let program = app.get("/v1/chains/harvest/program").await.expect(200);
    let problem = &program["problems"][0];
    assert_eq!((&program["version"], &problem["file"]), (&json!(1), &json!(EXTRA)), "{program}");
    assert!(problem["message"].as_str().unwrap().contains("UTF-8"), "{problem}");
    std::fs::remove_file(app.rules().join("harvest").join(EXTRA)).unwrap();
    until(&app, |program| program["problems"] == json!([])).await;
    app.stop().await;
}

/// An engine whose chain `harvest` begins with this extra file.
async fn beginning_with(backend: Backend, extra: &str) -> TestApp {
    let extra = extra.to_owned();
    TestApp::start_with(backend, move |config| {
        std::fs::write(config.rules.join("harvest").join(EXTRA), extra).unwrap();
    })
    .await
}

const TYPO: &str = "rule \"Typo\" on order.completed {\n    awrd(100, \"welcome\");\n}\n";

#[actix_web::test]
async fn a_chain_whose_rules_never_checked_decides_nothing_until_they_do() {
    let app = beginning_with(Backend::Sqlite, TYPO).await;
    let program = app.get("/v1/chains/harvest/program").await.expect(200);
    assert_eq!((&program["version"], &program["problems"][0]["line"]), (&json!(0), &json!(2)), "{program}");
    app.get("/v1/chains/harvest/members").await.expect(200);
    let events = "/v1/chains/harvest/events";
    let event = kiosk_order().to_string().into_bytes();
    for prefer in ["return=minimal", "respond-async"] {
        let headers = [("content-type", "application/json"), ("prefer", prefer)];
        let refused = app.request(Method::POST, events, &headers, event.clone()).await;
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        let problem = refused.expect(503);
        assert_eq!(problem["code"], "no_rules_in_force");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("extra.rhai:2:5") && detail.contains("award"), "{detail}");
    }
    app.advance(7 * 24 * 3600).await;
    let kept = app.get("/v1/chains/harvest/source_events").await.expect(200);
    assert_eq!(kept["items"], json!([]), "what was refused left nothing behind");
    write(&app, "// mended\n");
    let took = until(&app, |program| program["version"] == 1).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    let receipt = app.send(&kiosk_order()).await.expect(200);
    assert_eq!((&receipt["program_version"], &receipt["member"]["points"]), (&json!(1), &json!(10)));
    assert_eq!(receipt["member"]["tier"], "bronze");
    app.stop().await;
}

#[actix_web::test]
async fn a_chain_whose_manifest_never_checked_is_not_unknown_and_is_made_once_it_checks() {
    let app = TestApp::start_with(Backend::Sqlite, |config| {
        std::fs::create_dir(config.rules.join("acme")).unwrap();
        std::fs::write(config.rules.join("acme/program.toml"), "nam = \"Acme\"\n").unwrap();
    })
    .await;
    let visit = json!({ "key": "v1", "type": "visit", "member": { "id": "ana" }, "data": {} });
    let problem = app.post("/v1/chains/acme/events", &visit).await.expect(503);
    assert!(problem["detail"].as_str().unwrap().contains("program.toml:1:1"), "{problem}");
    app.send(&kiosk_order()).await.expect(200);
    let acme = json!({ "id": "acme", "name": "Acme", "timezone": "UTC", "currency": "USD" });
    app.post("/v1/chains", &acme).await.expect(201);
    app.post("/v1/chains/acme/events", &visit).await.expect(503);
    let manifest = "name = \"Acme\"\ntimezone = \"UTC\"\ncurrency = \"USD\"\n";
    std::fs::write(app.rules().join("acme/program.toml"), manifest).unwrap();
    std::fs::write(app.rules().join("acme/gifts.rhai"), "rule \"Gift\" on visit { award(5, \"hello\"); }\n")
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let receipt = loop {
        let answer = app.post("/v1/chains/acme/events", &visit).await;
        match answer.status {
            503 if Instant::now() < deadline => actix_web::rt::time::sleep(Duration::from_millis(20)).await,
            _ => break answer.expect(200),
        }
    };
    assert_eq!(receipt["member"]["points"], 5);
    app.stop().await;
}

#[actix_web::test]
async fn a_chain_without_a_folder_has_no_rules_on_purpose() {
    let app = TestApp::start(Backend::Sqlite).await;
    let acme = json!({ "id": "acme", "name": "Acme", "timezone": "UTC", "currency": "USD" });
    app.post("/v1/chains", &acme).await.expect(201);
    let receipt = app.post("/v1/chains/acme/events", &kiosk_order()).await.expect(200);
    assert_eq!((&receipt["status"], &receipt["program_version"]), (&json!("processed"), &json!(0)));
    std::fs::create_dir(app.rules().join("acme")).unwrap();
    std::fs::write(app.rules().join("acme/program.toml"), "nam = \"Acme\"\n").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while app.post("/v1/chains/acme/events", &kiosk_order()).await.status != 503 {
        assert!(Instant::now() < deadline, "the folder was never noticed");
        actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    }
    app.stop().await;
}
