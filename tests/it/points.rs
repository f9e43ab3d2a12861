//! Points given and taken by hand.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    points_are_adjusted_by_hand_once_for_each_key,
    a_line_made_by_hand_names_the_key_that_asked_for_it,
    an_adjustment_that_cannot_be_is_refused_and_changes_nothing,
    points_wait_are_earned_announced_and_expire_by_themselves,
    a_statement_tells_what_was_held_and_what_moved,
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

async fn a_line_made_by_hand_names_the_key_that_asked_for_it(app: TestApp) {
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    let adjust = async |authorization: &str| {
        let headers = [("authorization", authorization), ("content-type", "application/json")];
        let body = json!({ "amount": 5, "reason": "Cold soup" }).to_string().into_bytes();
        app.request(Method::POST, POINTS, &headers, body).await.expect(200)["id"].clone()
    };
    adjust(&TestApp::admin()).await;
    for name in [json!("Ben, head office"), Value::Null] {
        let mut new = json!({ "role": "manager", "chain": "harvest" });
        if !name.is_null() {
            new["name"] = name.clone();
        }
        let key = app.post("/v1/keys", &new).await.expect(201);
        let source = adjust(&format!("Bearer {}", key["key"].as_str().unwrap())).await;
        let who = if name.is_null() { key["id"].as_str().unwrap() } else { name.as_str().unwrap() };
        let line = app.get("/v1/chains/harvest/members/ana/ledger").await.expect(200)["items"][0].clone();
        let cause = json!({ "rule": "points.adjust", "at": format!("api:{who}"), "program_version": 1 });
        assert_eq!((&line["cause"], &line["source_event"]), (&cause, &source));
        let path = format!("/v1/chains/harvest/source_events/{}", source.as_str().unwrap());
        assert_eq!(app.get(&path).await.expect(200)["asked_by"], who);
    }
    let ledger = app.get("/v1/chains/harvest/members/ana/ledger").await.expect(200);
    assert_eq!(ledger["items"][2]["cause"]["at"], "api:configuration");
    assert_eq!(ledger["items"][3]["cause"]["rule"], "Points per dollar");
    app.stop().await;
}

async fn an_adjustment_that_cannot_be_is_refused_and_changes_nothing(app: TestApp) {
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    for (body, status, code, field) in [
        (json!({ "amount": 0, "reason": "x" }), 422, "invalid_field", json!("amount")),
        (json!({ "amount": 5 }), 422, "invalid_field", json!("reason")),
        (json!({ "amount": 5, "reason": "x", "why": "y" }), 422, "invalid_field", json!("why")),
        (json!({ "amount": 5, "reason": "x", "wallet": "miles" }), 409, "unknown_wallet", Value::Null),
        (json!({ "amount": -21, "reason": "x" }), 409, "insufficient_points", Value::Null),
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

/// Puts a program in force whose orders earn points that wait a week and last a month.
async fn with_a_wallet(app: &TestApp) {
    let folder = app.rules().join("harvest");
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rhai") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let manifest = "name = \"Harvest\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n\
        [[wallets]]\ncode = \"points\"\npending = \"7 days\"\nexpiry = \"30 days\"\nwarn_days = 5\n";
    std::fs::write(folder.join("program.toml"), manifest).unwrap();
    std::fs::write(folder.join("a.rhai"), "rule \"Earn\" on order.completed { award(order.total); }\n")
        .unwrap();
    app.until("the program is in force", async || {
        let program = app.get("/v1/chains/harvest/program").await.expect(200);
        (program["version"] == 2).then_some(())
    })
    .await;
}

async fn points_wait_are_earned_announced_and_expire_by_themselves(app: TestApp) {
    with_a_wallet(&app).await;
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["points.*"]).await;
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    let member = app.get("/v1/chains/harvest/members/ana").await.expect(200);
    assert_eq!((&member["points"], &member["wallets"][0]["pending"]), (&json!(0), &json!(20)));
    app.advance(7 * 24 * 3600).await;
    let member = app.get("/v1/chains/harvest/members/ana").await.expect(200);
    let gone = json!({ "amount": 20, "at": "2026-04-03T04:00:00Z" });
    assert_eq!((&member["points"], &member["wallets"][0]["next_expiration"]), (&json!(20), &gone));
    app.advance(40 * 24 * 3600).await;
    assert_eq!(points_of(&app, "ana").await, 0);
    let told: Vec<_> =
        crm.arrivals().iter().map(|a| (a.json()["type"].clone(), a.json()["timestamp"].clone())).collect();
    assert_eq!(
        told,
        [
            (json!("points.pending"), json!("2026-03-03T18:30:00Z")),
            (json!("points.earned"), json!("2026-03-10T18:30:00Z")),
            (json!("points.expiring_soon"), json!("2026-03-29T04:00:00Z")),
            (json!("points.expired"), json!("2026-04-03T04:00:00Z")),
        ]
    );
    app.stop().await;
}

async fn a_statement_tells_what_was_held_and_what_moved(app: TestApp) {
    with_a_wallet(&app).await;
    const DAY: i64 = 24 * 3600;
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.advance(10 * DAY).await;
    app.post(POINTS, &json!({ "amount": 5, "reason": "Cold soup" })).await.expect(200);
    app.advance(10 * DAY).await;
    app.post(POINTS, &json!({ "amount": -7, "reason": "Mistyped" })).await.expect(200);
    let member = app.get("/v1/chains/harvest/members/ana").await.expect(200);
    let lots = json!([
        { "amount": 13, "expires_at": "2026-04-03T04:00:00Z" },
        { "amount": 5, "expires_at": "2026-04-13T04:00:00Z" },
    ]);
    assert_eq!((&member["wallets"][0]["lots"], &member["wallets"][0]["waiting"]), (&lots, &json!([])));
    for (query, opening, closing, movements) in [
        ("", (0, 0), (18, 0), json!({ "issued": 20, "adjusted": -2 })),
        ("?to=2026-03-04T00:00:00Z", (0, 0), (0, 20), json!({ "issued": 20 })),
        ("?from=2026-03-04T00:00:00Z&to=2026-03-14T00:00:00Z", (0, 20), (25, 0), json!({ "adjusted": 5 })),
        ("?from=2026-03-13T18:30:00Z", (25, 0), (18, 0), json!({ "adjusted": -7 })),
        ("?from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z", (0, 0), (0, 0), json!({})),
    ] {
        let path = format!("/v1/chains/harvest/members/ana/statement{query}");
        let told = app.get(&path).await.expect(200)["wallets"][0].clone();
        let held = |(balance, pending): (i64, i64)| json!({ "balance": balance, "pending": pending });
        assert_eq!(
            (&told["opening"], &told["closing"], &told["movements"]),
            (&held(opening), &held(closing), &movements),
            "{query}"
        );
    }
    let wrong =
        app.get("/v1/chains/harvest/members/ana/statement?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z");
    assert_eq!(wrong.await.expect(422)["field"], "from");
    app.stop().await;
}
