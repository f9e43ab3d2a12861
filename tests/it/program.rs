//! Rule files: followed while the engine runs, refused when they do not check, and failing without losing events.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{TestApp, on_both_backends, order};

on_both_backends! {
    an_edited_file_is_in_force_within_a_second,
    an_edit_that_does_not_check_changes_nothing_and_says_why,
    a_failing_rule_keeps_the_event_and_replay_mends_it,
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
