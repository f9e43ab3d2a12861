//! Segments: entered by what guests do, left by what they do not.

use serde_json::{Value, json};

use crate::support::{Receiver, TestApp, on_both_backends, order, visit};

on_both_backends! {
    a_regular_is_one_from_the_fourth_visit_until_they_stay_away,
    members_leave_a_segment_that_the_rules_no_longer_have,
}

const DAY: i64 = 24 * 3600;

async fn segments(app: &TestApp) -> Value {
    app.get("/v1/chains/harvest/members/ana").await.expect(200)["segments"].clone()
}

/// Four visits, a week apart; the last one is an order, today.
async fn become_a_regular(app: &TestApp) -> Value {
    for (n, day) in ["2026-02-10", "2026-02-17", "2026-02-24"].iter().enumerate() {
        app.send(&visit(&format!("v{n}"), "ana", &format!("{day}T18:00:00Z"))).await.expect(200);
    }
    assert_eq!(segments(app).await, json!({}));
    app.send(&order("o1", "ana", "20.00")).await.expect(200)
}

async fn a_regular_is_one_from_the_fourth_visit_until_they_stay_away(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["segment.*", "order.completed"]).await;
    let receipt = become_a_regular(&app).await;
    let told: Vec<_> = receipt["events"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert!(told.contains(&&json!("segment.entered")), "the receipt says so: {receipt}");
    let regular = json!({ "Regular": { "type": "PRIMARY", "since": "2026-03-03T18:30:00Z" } });
    assert_eq!(segments(&app).await, regular);
    app.advance(8 * DAY).await;
    assert_eq!(segments(&app).await, regular, "four visits in the 30 days until 11 March");
    app.advance(DAY).await;
    assert_eq!(segments(&app).await, json!({}));
    let mut arrivals: Vec<Value> = crm.arrivals().iter().map(|arrival| arrival.json()).collect();
    arrivals.sort_by_key(|message| message["type"].to_string());
    let [order, entered, exited] = &arrivals[..] else { panic!("{arrivals:#?}") };
    assert_eq!(order["member"]["segments"], json!({ "primary": ["Regular"], "compound": [], "cohorts": [] }));
    let change = |before: Value, after: Value| {
        json!({ "segment_id": "seg_regular", "segment_name": "Regular", "segment_type": "PRIMARY",
            "trigger": "visit_count_threshold", "previous_segments": before, "current_segments": after })
    };
    let mut by_order = change(json!([]), json!(["Regular"]));
    by_order["source_event"] = json!("o1");
    assert_eq!((&entered["type"], &entered["data"]), (&json!("segment.entered"), &by_order));
    let by_time = change(json!(["Regular"]), json!([]));
    assert_eq!((&exited["type"], &exited["data"]), (&json!("segment.exited"), &by_time));
    assert_eq!(exited["timestamp"], "2026-03-12T07:00:00Z", "at night, by the chain's calendar");
    app.stop().await;
}

async fn members_leave_a_segment_that_the_rules_no_longer_have(app: TestApp) {
    become_a_regular(&app).await;
    std::fs::remove_file(app.rules().join("harvest/segments.rhai")).unwrap();
    app.until("the rules are read again", async || {
        let program = app.get("/v1/chains/harvest/program").await.expect(200);
        (program["version"] == 2).then_some(())
    })
    .await;
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["segment.*"]).await;
    app.advance(DAY).await;
    assert_eq!(segments(&app).await, json!({}), "at the next tick");
    assert_eq!(crm.arrivals().pop().unwrap().json()["data"]["trigger"], "segment_withdrawn");
    app.stop().await;
}
