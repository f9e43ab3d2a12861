//! Points given and taken by hand.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    points_are_adjusted_by_hand_once_for_each_key,
    an_adjustment_that_cannot_be_is_refused_and_changes_nothing,
}

const POINTS: &str = "/v1/chains/harvest/members/ana/points";

async fn points_of(app: &TestApp, member: &str) -> Value {
    app.get(&format!("/v1/chains/harvest/members/{member}")).await.expect(200)["points"].clone()
}

async fn points_are_adjusted_by_hand_once_for_each_key(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["points.adjusted"]).await;
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    let body = json!({ "amount": 500, "reason": "Cold soup" }).to_string().into_bytes();
    let keyed = [("idempotency-key", "ticket-7"), ("content-type", "application/json")];
    let first = app.request(Method::POST, POINTS, &keyed, body.clone()).await.expect(200);
    assert_eq!((&first["member"]["points"], &first["duplicate"]), (&json!(520), &json!(false)));
    let again = app.request(Method::POST, POINTS, &keyed, body).await.expect(200);
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
    app.post(POINTS, &json!({ "amount": -20, "reason": "Mistyped" })).await.expect(200);
    assert_eq!(points_of(&app, "ana").await, 500);
    let ledger = app.get("/v1/chains/harvest/members/ana/ledger").await.expect(200);
    let lines: Vec<_> =
        ledger["items"].as_array().unwrap().iter().map(|line| line["reason"].clone()).collect();
    assert_eq!(lines[..2], ["Mistyped", "Cold soup"]);
    assert_eq!(ledger["items"][1]["debit"], "chain:adjusted");
    app.advance(0).await;
    assert_eq!(crm.kinds(), ["points.adjusted", "points.adjusted"]);
    app.stop().await;
}

async fn an_adjustment_that_cannot_be_is_refused_and_changes_nothing(app: TestApp) {
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    for (body, status, code, field) in [
        (json!({ "amount": 0, "reason": "x" }), 422, "invalid_field", json!("amount")),
        (json!({ "amount": 5 }), 422, "invalid_field", json!("reason")),
        (json!({ "amount": 5, "reason": "x", "why": "y" }), 422, "invalid_field", json!("why")),
        (json!({ "amount": 5, "reason": "x", "wallet": "miles" }), 409, "unknown_wallet", Value::Null),
        (json!({ "amount": -21, "reason": "x" }), 409, "insufficient_balance", Value::Null),
    ] {
        let problem = app.post(POINTS, &body).await.expect(status);
        assert_eq!((&problem["code"], &problem["field"]), (&json!(code), &field), "{body}: {problem}");
    }
    let gift = json!({ "amount": 5, "reason": "x" });
    let nobody = app.post("/v1/chains/harvest/members/ben/points", &gift).await.expect(404);
    assert_eq!(nobody["code"], "not_found");
    let event =
        json!({ "type": "points.adjust", "member": { "id": "ana" }, "data": { "amount": 5, "reason": "x" } });
    assert_eq!(app.send(&event).await.expect(422)["field"], "type");
    assert_eq!(points_of(&app, "ana").await, 20);
    app.stop().await;
}
