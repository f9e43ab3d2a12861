//! Source events in, receipts out.

use serde_json::{Value, json};

use crate::support::{TestApp, on_both_backends, order, refund, visit};

on_both_backends! {
    the_documented_order_earns_the_documented_points,
    a_repeat_is_answered_with_the_first_receipt,
    the_same_key_with_another_body_is_refused,
    fifty_senders_of_the_same_key_have_one_effect,
    a_member_is_one_guest_under_every_identity,
    an_order_without_a_member_is_parked,
    a_refund_takes_back_exactly_what_its_order_earned,
    a_batch_answers_a_receipt_a_line_and_one_bad_line_spoils_only_itself,
    an_event_kept_for_later_is_decided_soon,
    a_bad_event_is_refused_by_field_and_changes_nothing,
    an_order_counts_once_under_two_keys,
    a_new_guest_who_names_a_stored_order_is_answered,
    a_refund_that_comes_before_its_order_is_settled_with_it,
    a_refund_of_nothing_is_no_failure,
    sums_beyond_the_limit_of_one_amount_survive_a_reload,
    a_refused_event_binds_no_identity,
    without_a_key_a_repeat_counts_once_for_a_day_and_then_anew,
    a_key_in_the_header_is_the_events_key,
    a_member_has_at_most_32_identities,
}

async fn the_documented_order_earns_the_documented_points(app: TestApp) {
    let event = json!({ "key": "ORD-1001", "type": "order.completed", "occurred_at": "2026-03-03T18:30:00Z",
        "member": { "id": "m-42", "email": "ana@example.com", "phone": "+15551234567", "card": "7001" },
        "location": "loc_philly_walnut",
        "data": { "order_id": "ORD-1001", "total": 24.50, "subtotal": 22.50, "tax": 2.00, "channel": "pos",
            "items": [ { "sku": "dish_001", "name": "Power Bowl", "category": "food", "quantity": 1, "price": 14.50 } ] } });
    let receipt = app.send(&event).await.expect(200);
    assert_eq!(receipt["status"], "processed");
    assert_eq!(receipt["duplicate"], false);
    assert_eq!(receipt["program_version"], 1);
    assert_eq!(receipt["member"]["id"], "m-42");
    assert_eq!(receipt["member"]["points"], 24);
    assert_eq!(receipt["member"]["tier"], "bronze");
    assert_eq!(receipt["effects"][0]["rule"], "Points per dollar");
    assert_eq!(receipt["effects"][0]["amount"], 24);
    let kinds: Vec<_> = receipt["events"].as_array().unwrap().iter().map(|e| e["type"].clone()).collect();
    assert_eq!(kinds, ["member.enrolled", "order.completed", "points.earned"]);
    assert_eq!(receipt["events"][2]["data"], json!({ "amount": 24, "new_balance": 24 }));
    let ledger = app.get("/v1/chains/harvest/members/m-42/ledger").await.expect(200);
    assert_eq!(ledger["items"][0]["amount"], 24);
    app.stop().await;
}

async fn a_repeat_is_answered_with_the_first_receipt(app: TestApp) {
    let first = app.send(&order("o1", "ana", "10.00")).await.expect(200);
    app.send(&order("o2", "ana", "10.00")).await.expect(200);
    let mut again = app.send(&order("o1", "ana", "10.00")).await.expect(200);
    assert_eq!(again["duplicate"], true);
    again["duplicate"] = Value::Bool(false);
    assert_eq!(again, first);
    app.stop().await;
}

async fn the_same_key_with_another_body_is_refused(app: TestApp) {
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    let problem = app.send(&order("o1", "ana", "11.00")).await.expect(409);
    assert_eq!(problem["code"], "key_reused");
    assert_eq!(points(&app, "ana").await, 10);
    app.stop().await;
}

async fn fifty_senders_of_the_same_key_have_one_effect(app: TestApp) {
    let event = order("o1", "ana", "10.00");
    let sends = (0..50).map(|_| app.send(&event));
    let replies = futures_util::future::join_all(sends).await;
    let fresh =
        replies.into_iter().map(|reply| reply.expect(200)).filter(|receipt| receipt["duplicate"] == false);
    assert_eq!(fresh.count(), 1);
    assert_eq!(points(&app, "ana").await, 10);
    app.stop().await;
}

async fn a_member_is_one_guest_under_every_identity(app: TestApp) {
    let mut by_card = order("o1", "", "10.00");
    by_card["member"] = json!({ "card": "7001" });
    let mut by_both = order("o2", "", "10.00");
    by_both["member"] = json!({ "card": "7001", "email": "Ana@Example.com" });
    let mut by_email = order("o3", "", "10.00");
    by_email["member"] = json!({ "email": "ana@example.com" });
    for event in [&by_card, &by_both, &by_email] {
        app.send(event).await.expect(200);
    }
    let member = app.get("/v1/chains/harvest/members?email=ana@example.com").await.expect(200);
    let member = member.get("items").map_or(member.clone(), |items| items[0].clone());
    assert_eq!(member["points"], 30, "{member}");
    app.stop().await;
}

async fn an_order_without_a_member_is_parked(app: TestApp) {
    let mut anonymous = order("o1", "", "10.00");
    anonymous.as_object_mut().unwrap().remove("member");
    let receipt = app.send(&anonymous).await.expect(200);
    assert_eq!(receipt["status"], "parked");
    assert_eq!(receipt["events"], json!([]));
    assert_eq!(app.send(&anonymous).await.expect(200)["duplicate"], true);
    app.stop().await;
}

async fn a_refund_takes_back_exactly_what_its_order_earned(app: TestApp) {
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    app.send(&order("o2", "ana", "33.00")).await.expect(200);
    for (key, amount, left) in
        [("r1", "11.00", 32), ("r2", "11.00", 21), ("r3", "99.00", 10), ("r4", "1.00", 10)]
    {
        let receipt = app.send(&refund(key, "o2", amount)).await.expect(200);
        assert_eq!(receipt["member"]["points"], left, "{receipt}");
        assert_eq!(receipt["member"]["id"], "ana");
    }
    app.stop().await;
}

async fn a_batch_answers_a_receipt_a_line_and_one_bad_line_spoils_only_itself(app: TestApp) {
    let lines = [
        order("o1", "ana", "10.00").to_string(),
        "{ not json".to_owned(),
        order("o2", "ben", "20.00").to_string(),
        order("o1", "ana", "10.00").to_string(),
        r#"{"type":"visit","key":"v","member":{"id":"ana"},"data":{"x":1}}"#.to_owned(),
    ];
    let ndjson = ("content-type", "application/x-ndjson");
    let path = "/v1/chains/harvest/events/batch";
    let body = lines.join("\n").into_bytes();
    let answer = app.request(awc::http::Method::POST, path, &[ndjson], body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let answers: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 5);
    assert_eq!(answers[0]["member"]["points"], 10);
    assert_eq!(answers[1]["status"], 400, "{}", answers[1]);
    assert_eq!(answers[2]["member"]["id"], "ben");
    assert_eq!(answers[3]["duplicate"], true);
    assert_eq!(answers[4]["field"], "data.x");
    let array = json!([order("o3", "ana", "1.00"), order("o4", "ana", "1.00")]);
    let answers = app.post(path, &array).await.expect(200);
    assert_eq!(answers.as_array().unwrap().len(), 2);
    assert_eq!(points(&app, "ana").await, 12);
    app.stop().await;
}

async fn an_event_kept_for_later_is_decided_soon(app: TestApp) {
    let path = "/v1/chains/harvest/events";
    let headers = [("prefer", "respond-async"), ("content-type", "application/json")];
    let body = order("o1", "ana", "10.00").to_string().into_bytes();
    let answer = app.request(awc::http::Method::POST, path, &headers, body).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let source = format!("/v1/chains/harvest/source_events/{id}");
    // A batch sent afterwards waits its turn at the same member, so its answer proves nothing: ask until decided.
    for _ in 0..1_000 {
        if app.get(&source).await.expect(200)["status"] == "processed" {
            assert_eq!(points(&app, "ana").await, 10);
            return app.stop().await;
        }
        actix_web::rt::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("still undecided");
}

async fn a_bad_event_is_refused_by_field_and_changes_nothing(app: TestApp) {
    let cases = [
        (r#"{"type":"visit","key":"a","key":"b"}"#, ""),
        (
            r#"{"type":"order.completed","data":{"order_id":"o","total":123456789012345678901234567890}}"#,
            "data.total",
        ),
        (r#"{"type":"visit","key":"a\u0000b"}"#, "key"),
        (r#"{"type":"order.completed","data":{"order_id":"o","total":1.005}}"#, "data.total"),
        (r#"{"type":"visit","occurred_at":"1970-01-01T00:00:00Z"}"#, "occurred_at"),
        (r#"{"type":"visit","occurred_at":"yesterday"}"#, "occurred_at"),
        (r#"{"type":"visit","member":["m-42",null,null,null,null]}"#, "member"),
    ];
    for (body, field) in cases {
        let json = ("content-type", "application/json");
        let body = body.as_bytes().to_vec();
        let answer = app.request(awc::http::Method::POST, "/v1/chains/harvest/events", &[json], body).await;
        assert!((400..500).contains(&answer.status), "{}", answer.text);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        if !field.is_empty() {
            assert_eq!(answer.json()["field"], field);
        }
    }
    let kept = app.get("/v1/chains/harvest/source_events").await.expect(200);
    assert_eq!(kept["items"], json!([]));
    app.stop().await;
}

async fn an_order_counts_once_under_two_keys(app: TestApp) {
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    let mut again = order("o1", "ana", "10.00");
    again["key"] = json!("another key");
    let receipt = app.send(&again).await.expect(200);
    assert_eq!(receipt["member"]["points"], 10, "{receipt}");
    assert!(receipt["notes"][0].as_str().unwrap().contains("counts once"));
    app.send(&visit("v1", "ana", "2026-03-03T18:30:00Z")).await.expect(200);
    app.stop().await;
}

async fn a_new_guest_who_names_a_stored_order_is_answered(app: TestApp) {
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    let mut same_order = order("o1", "ben", "10.00");
    same_order["key"] = json!("another till");
    let receipt = app.send(&same_order).await.expect(200);
    assert_eq!(receipt["member"]["id"], "ben");
    assert_eq!(receipt["member"]["points"], 0, "the order counts once: {receipt}");
    app.stop().await;
}

async fn a_refund_that_comes_before_its_order_is_settled_with_it(app: TestApp) {
    let mut early = refund("r1", "o1", "4.00");
    early["member"] = json!({ "id": "ana" });
    app.send(&early).await.expect(200);
    let receipt = app.send(&order("o1", "ana", "10.00")).await.expect(200);
    assert_eq!(receipt["member"]["points"], 6, "{receipt}");
    let receipt = app.send(&refund("r2", "o1", "99.00")).await.expect(200);
    assert_eq!(receipt["member"]["points"], 0, "{receipt}");
    app.stop().await;
}

async fn a_refund_of_nothing_is_no_failure(app: TestApp) {
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    let receipt = app.send(&refund("r1", "o1", "0")).await.expect(200);
    assert_eq!(
        (&receipt["status"], &receipt["member"]["points"]),
        (&json!("processed"), &json!(10)),
        "{receipt}"
    );
    app.stop().await;
}

async fn sums_beyond_the_limit_of_one_amount_survive_a_reload(app: TestApp) {
    for key in ["o1", "o2", "o3"] {
        app.send(&order(key, "ana", "400000000000")).await.expect(200);
    }
    let before = points(&app, "ana").await;
    assert_eq!(points(&app, "ana").await, before);
    let page = app.get("/v1/chains/harvest/members").await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "the stored member can be read: {page}");
    app.stop().await;
}

async fn a_refused_event_binds_no_identity(app: TestApp) {
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    let mut other_body = order("o1", "ana", "11.00");
    other_body["member"] = json!({ "id": "ana", "email": "x@example.com" });
    app.send(&other_body).await.expect(409);
    let mut somebody = order("o2", "", "10.00");
    somebody["member"] = json!({ "email": "x@example.com" });
    let receipt = app.send(&somebody).await.expect(200);
    assert_ne!(receipt["member"]["id"], "ana", "{receipt}");
    assert_eq!(points(&app, "ana").await, 10);
    app.stop().await;
}

async fn without_a_key_a_repeat_counts_once_for_a_day_and_then_anew(app: TestApp) {
    let untimed = json!({ "type": "visit", "member": { "id": "ana" } });
    let timed = json!({ "type": "visit", "member": { "id": "ben" }, "occurred_at": "2026-03-03T18:30:00Z" });
    let sent_again = async || {
        let mut again = Vec::new();
        for event in [&untimed, &timed] {
            again.push(app.send(event).await.expect(200)["duplicate"] == true);
        }
        again
    };
    assert_eq!(sent_again().await, [false, false]);
    app.advance(6 * 3600).await; // over midnight
    assert_eq!(sent_again().await, [true, true]);
    app.advance(18 * 3600).await; // a day after the first
    for round in 0..3 {
        let replies = futures_util::future::join_all((0..10).map(|_| app.send(&untimed))).await;
        let first = replies.into_iter().filter(|reply| reply.json()["duplicate"] == false).count();
        assert_eq!(first, 1, "round {round}");
        assert_eq!(app.send(&timed).await.expect(200)["duplicate"], false);
        app.advance(24 * 3600).await;
    }
    let kept = app.get("/v1/chains/harvest/source_events?limit=100").await.expect(200);
    assert_eq!(kept["items"].as_array().unwrap().len(), 8, "{kept}");
    app.stop().await;
}

async fn a_key_in_the_header_is_the_events_key(app: TestApp) {
    let path = "/v1/chains/harvest/events";
    let send = async |key: &str, mut event: Value, in_body: bool| {
        if !in_body {
            event.as_object_mut().unwrap().remove("key");
        }
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        app.request(awc::http::Method::POST, path, &headers, event.to_string().into_bytes()).await
    };
    let first = send("k-1", order("o1", "ana", "10.00"), false).await.expect(200);
    assert_eq!((&first["key"], &first["duplicate"]), (&json!("k-1"), &json!(false)));
    assert_eq!(send("\"k-1\"", order("o1", "ana", "10.00"), false).await.expect(200)["duplicate"], true);
    let other = send("k-1", order("o2", "ana", "10.00"), false).await.expect(409);
    assert_eq!(other["code"], "key_reused");
    assert_eq!(send("k-1", order("o3", "ana", "10.00"), true).await.expect(200)["key"], "o3");
    let long = "k".repeat(256);
    assert_eq!(send(&long, order("o4", "ana", "10.00"), false).await.expect(422)["field"], "Idempotency-Key");
    app.stop().await;
}

async fn a_member_has_at_most_32_identities(app: TestApp) {
    let with_card = |n: usize| {
        let mut event = visit(&format!("v{n}"), "ana", "2026-03-03T18:30:00Z");
        event["member"]["card"] = json!(format!("card-{n}"));
        event
    };
    for n in 1..=30 {
        assert_eq!(app.send(&with_card(n)).await.expect(200)["notes"], Value::Null, "{n}");
    }
    let phone = json!("+15551234567");
    let mut last = with_card(31);
    last["member"]["phone"] = phone.clone();
    let receipt = app.send(&last).await.expect(200);
    assert_eq!(
        receipt["notes"].as_array().map(Vec::len),
        Some(1),
        "the card fits, the phone does not: {receipt}"
    );
    for n in [32, 33] {
        let receipt = app.send(&with_card(n)).await.expect(200);
        let note = receipt["notes"][0].as_str().unwrap_or_default();
        assert!(
            note.contains("32 identities") && note.contains(&format!("card card-{n} was left")),
            "{receipt}"
        );
    }
    for (identity, is_ana) in [
        (json!({ "card": "card-31" }), true),
        (json!({ "card": "card-32" }), false),
        (json!({ "phone": phone }), false),
    ] {
        let mut event = visit(&format!("by {identity}"), "", "2026-03-03T18:30:00Z");
        event["member"] = identity;
        let receipt = app.send(&event).await.expect(200);
        assert_eq!(receipt["member"]["id"] == "ana", is_ana, "{receipt}");
    }
    app.stop().await;
}

async fn points(app: &TestApp, member: &str) -> i64 {
    let member = app.get(&format!("/v1/chains/harvest/members/{member}")).await.expect(200);
    member["points"].as_i64().unwrap_or_else(|| panic!("points in {member}"))
}
