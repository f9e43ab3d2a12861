//! Source events in, receipts out.

use serde_json::{Value, json};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::builders::START;
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order, refund, visit};

on_both_backends! {
    from crate::ingest::on_four_threads;
    fifty_connections_with_the_same_key_have_one_effect,
    one_order_under_fifty_keys_at_once_counts_once,
    fifty_connections_that_bring_one_guest_make_one_member,
}
on_both_backends! {
    the_documented_order_earns_the_documented_points,
    a_repeat_is_answered_with_the_first_receipt,
    the_same_key_with_another_body_is_refused,
    a_member_is_one_guest_under_every_identity,
    an_order_without_a_member_is_parked,
    a_parked_order_can_be_claimed_and_counts_once,
    a_parked_refund_is_settled_when_its_order_is_known,
    a_refund_takes_back_exactly_what_its_order_earned,
    a_batch_answers_a_receipt_a_line_and_one_bad_line_spoils_only_itself,
    an_event_kept_for_later_is_decided_soon,
    kept_events_that_cannot_be_are_refused_and_hold_up_nobody,
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

/// Several threads answer, and several actors: otherwise nothing races.
async fn on_four_threads(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| config.workers = 4.try_into().unwrap()).await
}

/// Sends each event over a connection of its own. All connections are open and all but the last byte of each request is
/// with the engine before the first request is complete. What is answered 503 is sent again, as a till does.
async fn at_once(app: &TestApp, events: &[Value]) -> Vec<Value> {
    let mut connections = Vec::new();
    for event in events {
        let body = event.to_string();
        let request = format!(
            "POST /v1/chains/harvest/events HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            TestApp::admin(),
            body.len()
        );
        let (most, last) = request.split_at(request.len() - 1);
        let mut connection = TcpStream::connect(app.address()).await.unwrap();
        connection.set_nodelay(true).unwrap();
        connection.write_all(most.as_bytes()).await.unwrap();
        connections.push((connection, last.to_owned()));
    }
    for (connection, last) in &mut connections {
        connection.write_all(last.as_bytes()).await.unwrap();
    }
    let answers = connections.into_iter().zip(events).map(|((mut connection, _), event)| async move {
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("an answer: {text}"));
        if head.starts_with("HTTP/1.1 503 ") {
            let again = async || Some(app.send(event).await).filter(|reply| reply.status != 503);
            return app.until("an answer to a repeated request", again).await.expect(200);
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{text}");
        serde_json::from_str(body).unwrap()
    });
    futures_util::future::join_all(answers).await
}

async fn fifty_connections_with_the_same_key_have_one_effect(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["*"]).await;
    for round in 0..5 {
        let key = format!("o{round}");
        let receipts = at_once(&app, &vec![order(&key, &format!("m{round}"), "10.00"); 50]).await;
        let fresh: Vec<_> = receipts.iter().filter(|receipt| receipt["duplicate"] == false).collect();
        assert_eq!(fresh.len(), 1, "{receipts:?}");
        assert!(receipts.iter().all(|receipt| receipt["id"] == fresh[0]["id"]
            && receipt["events"] == fresh[0]["events"]
            && receipt["effects"] == fresh[0]["effects"]));
        let of_member = async |what: &str| {
            let path = format!("/v1/chains/harvest/members/m{round}/{what}");
            app.get(&path).await.expect(200)["items"].as_array().cloned().unwrap()
        };
        assert_eq!(points(&app, &format!("m{round}")).await, 10);
        assert_eq!(of_member("ledger").await.len(), 1);
        let mut kinds: Vec<_> =
            of_member("events").await.iter().map(|event| event["type"].to_string()).collect();
        kinds.sort();
        assert_eq!(kinds, ["\"member.enrolled\"", "\"order.completed\"", "\"points.earned\""]);
    }
    app.advance(0).await;
    assert_eq!(app.deliveries(&endpoint).await.len(), 5 * 3);
    assert_eq!(crm.arrivals().len(), 5 * 3);
    let kept = app.get("/v1/chains/harvest/source_events").await.expect(200);
    assert_eq!(kept["items"].as_array().unwrap().len(), 5);
    app.stop().await;
}

async fn one_order_under_fifty_keys_at_once_counts_once(app: TestApp) {
    let events: Vec<Value> = (0..50)
        .map(|n| {
            // Five guests claim it.
            let mut event = order("o1", &format!("m{}", n % 5), "10.00");
            event["key"] = json!(format!("k{n}"));
            event
        })
        .collect();
    let receipts = at_once(&app, &events).await;
    assert!(receipts.iter().all(|receipt| receipt["duplicate"] == false), "{receipts:?}");
    let mut sum = 0;
    for member in 0..5 {
        sum += points(&app, &format!("m{member}")).await;
    }
    assert_eq!(sum, 10);
    app.stop().await;
}

async fn fifty_connections_that_bring_one_guest_make_one_member(app: TestApp) {
    let events: Vec<Value> = (0..50).map(|n| order(&format!("o{n}"), "ana", "1.00")).collect();
    at_once(&app, &events).await;
    assert_eq!(points(&app, "ana").await, 50 + 50, "a point each, and the bonus for five visits");
    let members = app.get("/v1/chains/harvest/members").await.expect(200);
    assert_eq!(members["items"].as_array().unwrap().len(), 1, "{members}");
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
    let anonymous = without_member(order("o1", "", "10.00"));
    let receipt = app.send(&anonymous).await.expect(200);
    assert_eq!(receipt["status"], "parked");
    assert_eq!(receipt["events"], json!([]));
    assert_eq!(app.send(&anonymous).await.expect(200)["duplicate"], true);
    app.stop().await;
}

fn without_member(mut event: Value) -> Value {
    event.as_object_mut().unwrap().remove("member");
    event
}

async fn a_parked_order_can_be_claimed_and_counts_once(app: TestApp) {
    let parked = app.send(&without_member(order("o1", "", "10.00"))).await.expect(200);
    let replay = format!("/v1/chains/harvest/source_events/{}/replay", parked["id"].as_str().unwrap());
    app.post(&replay, &json!({})).await.expect(409);
    let mut claim = order("o1", "ana", "10.00");
    claim["key"] = json!("claim of o1");
    assert_eq!(app.send(&claim).await.expect(200)["member"]["points"], 10);
    app.until("what was parked of it is settled by itself", async || {
        let again = app.send(&without_member(order("o1", "", "10.00"))).await.expect(200);
        assert_eq!(again["duplicate"], true);
        (again["status"] == "processed").then_some(())
    })
    .await;
    app.post(&replay, &json!({})).await.expect(409);
    assert_eq!(points(&app, "ana").await, 10);
    app.stop().await;
}

async fn a_parked_refund_is_settled_when_its_order_is_known(app: TestApp) {
    let parked = app.send(&refund("r1", "o1", "4.00")).await.expect(200);
    assert_eq!(parked["status"], "parked");
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    app.until("the refund is settled by itself", async || (points(&app, "ana").await == 6).then_some(()))
        .await;
    let replay = format!("/v1/chains/harvest/source_events/{}/replay", parked["id"].as_str().unwrap());
    app.post(&replay, &json!({})).await.expect(409);
    assert_eq!(points(&app, "ana").await, 6);
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
    // Lines are decided side by side: either of the two that are the same may be the first.
    assert_eq!(answers[0]["id"], answers[3]["id"]);
    assert_ne!(answers[0]["duplicate"], answers[3]["duplicate"], "{answers:?}");
    assert_eq!(answers[0]["member"]["points"], 10);
    assert_eq!(answers[1]["status"], 400, "{}", answers[1]);
    assert_eq!(answers[2]["member"]["id"], "ben");
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
    app.until("a decision", async || {
        (app.get(&source).await.expect(200)["status"] == "processed").then_some(())
    })
    .await;
    assert_eq!(points(&app, "ana").await, 10);
    app.stop().await;
}

async fn kept_events_that_cannot_be_are_refused_and_hold_up_nobody(app: TestApp) {
    let headers = [("prefer", "respond-async"), ("content-type", "application/json")];
    let keep = async |event: Value| {
        let body = event.to_string().into_bytes();
        app.request(awc::http::Method::POST, "/v1/chains/harvest/events", &headers, body).await.expect(202)
    };
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    app.send(&order("o2", "ben", "10.00")).await.expect(200);
    let ben = app.get("/v1/chains/harvest/members/ben").await.expect(200)["member_id"].clone();
    let nobody = |n: usize| visit(&format!("n{n}"), "mem_01h00000000000000000000000", START);
    let visits = futures_util::future::join_all((0..260).map(|n| keep(nobody(n)))).await;
    let taken = json!({ "key": "t", "type": "member.updated", "occurred_at": START, "member": { "id": ben },
        "data": { "id": "ana" } });
    let taken = keep(taken).await;
    app.advance(0).await;
    for (kept, code) in [(&visits[0], "not_found"), (&visits[259], "not_found"), (&taken, "identity_taken")] {
        let path = format!("/v1/chains/harvest/source_events/{}", kept["id"].as_str().unwrap());
        let shown = app.get(&path).await.expect(200);
        assert_eq!(
            (&shown["status"], &shown["receipt"]["refused"]["code"]),
            (&json!("refused"), &json!(code)),
            "{shown}"
        );
        let again = app.post(&format!("{path}/replay"), &json!({})).await;
        assert_eq!(again.json()["code"], code, "{}", again.text);
    }
    let again = app.send(&nobody(0)).await.expect(200);
    assert_eq!((&again["status"], &again["duplicate"]), (&json!("refused"), &json!(true)));
    let refused = app.get("/v1/chains/harvest/source_events?status=refused&limit=5").await.expect(200);
    assert_eq!(refused["items"].as_array().unwrap().len(), 5);
    app.stop().await;
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
