//! Recovery: what an endpoint missed is sent again, all of it and each once.

use std::collections::BTreeMap;

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::builders::START;
use crate::support::receiver::{Arrival, Scripted};
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order, visit};

on_both_backends! {
    a_dry_run_counts_what_the_run_does_and_what_arrives_each_once,
    what_was_fed_before_a_restart_is_not_fed_again_and_nothing_is_left_out,
    live_traffic_goes_first,
    a_recovery_waits_while_its_endpoint_is_disabled_runs_alone_and_can_be_stopped,
    what_was_committed_late_belongs_to_the_time_of_its_commit,
    what_is_made_late_has_its_number_in_the_order_of_the_events,
    who_sends_again_is_said_in_a_header_and_in_the_log,
    what_cannot_be_recovered_is_refused,
}

const CHAIN: &str = "/v1/chains/harvest";

/// Never to be sent again.
fn abort() -> Scripted {
    Scripted { status: 422, headers: vec![("webhook-delivery", "abort-message".to_owned())] }
}

async fn patch(app: &TestApp, endpoint: &str, change: &Value) -> Value {
    app.patch(&format!("{CHAIN}/endpoints/{endpoint}"), change).await.expect(200)
}

async fn switch(app: &TestApp, endpoint: &str, how: &str) {
    app.post(&format!("{CHAIN}/endpoints/{endpoint}/{how}"), &json!({})).await.expect(200);
}

async fn recover(app: &TestApp, endpoint: &str, wanted: &Value) -> Value {
    app.post(&format!("{CHAIN}/endpoints/{endpoint}/recover"), wanted).await.expect(200)
}

async fn recovery(app: &TestApp, begun: &Value) -> Value {
    let text = |name: &str| begun[name].as_str().unwrap_or_else(|| panic!("{name} in {begun}"));
    let path = format!("{CHAIN}/endpoints/{}/recoveries/{}", text("endpoint"), text("recovery"));
    app.get(&path).await.expect(200)
}

/// Sends so many events at once, told apart by `name`.
async fn send_many(app: &TestApp, name: &str, count: usize, event: impl Fn(&str, &str) -> Value) {
    let event = |n| event(&format!("{name}{n}"), &format!("m{}", n % 40));
    let events: Vec<_> = (0..count).map(event).collect();
    let receipts = app.post(&format!("{CHAIN}/events/batch"), &json!(events)).await.expect(200);
    let receipts = receipts.as_array().unwrap();
    assert!(receipts.iter().all(|receipt| receipt["status"] == "processed") && receipts.len() == count);
    app.advance(0).await;
}

fn a_meal(key: &str, member: &str) -> Value {
    order(key, member, "5.00")
}

fn a_visit(key: &str, member: &str) -> Value {
    visit(key, member, START)
}

/// matched, requeued, created, waiting.
fn counts(view: &Value) -> [u64; 4] {
    ["matched", "requeued", "created", "waiting"].map(|name| view[name].as_u64().unwrap())
}

/// How often each loyalty event arrived.
fn by_id(arrivals: &[Arrival]) -> BTreeMap<&str, usize> {
    let mut ids = BTreeMap::new();
    arrivals.iter().for_each(|arrival| *ids.entry(&*arrival.id).or_default() += 1);
    ids
}

async fn a_dry_run_counts_what_the_run_does_and_what_arrives_each_once(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["order.completed"]).await;
    send_many(&app, "delivered", 60, a_meal).await;
    crm.answer(vec![abort(); 600]);
    send_many(&app, "failed", 600, a_meal).await;
    // Each for itself: were they failures of the receiver, the breaker would hold back the others.
    crm.answer([404_u16; 110]);
    send_many(&app, "waiting", 110, a_meal).await;
    send_many(&app, "visit", 570, a_visit).await;
    patch(&app, &endpoint, &json!({ "events": ["order.completed", "visit.recorded"] })).await;
    let discarded = app.get(&format!("{CHAIN}/endpoints/{endpoint}/deliveries?status=failed&limit=1")).await;
    let discarded = discarded.expect(200)["items"][0].clone();
    let path = format!("{CHAIN}/deliveries/{}/discard", discarded["id"].as_str().unwrap());
    app.post(&path, &json!({})).await.expect(200);
    assert_eq!(crm.arrivals().len(), 60 + 600 + 110);

    let mut seen = crm.arrivals().len();
    for (status, expected) in [
        ("failed", [599, 599, 0, 0]),
        ("failed", [0, 0, 0, 0]),
        ("unsent", [680, 0, 570, 110]),
        ("unsent", [110, 0, 0, 110]),
        ("all", [60 + 599 + 110 + 570, 60 + 599 + 570, 0, 110]),
    ] {
        let wanted = json!({ "since": START, "status": status });
        let dry =
            recover(&app, &endpoint, &json!({ "since": START, "status": status, "dry_run": true })).await;
        assert_eq!((counts(&dry), dry["dry_run"].as_bool()), (expected, Some(true)), "{status}");
        let begun = recover(&app, &endpoint, &wanted).await;
        app.advance(0).await;
        let ended = recovery(&app, &begun).await;
        assert_eq!((counts(&ended), &ended["state"]), (expected, &json!("done")), "{status}: {ended}");
        let arrivals = crm.arrivals();
        let [_, requeued, created, _] = expected;
        assert_eq!((arrivals.len() - seen) as u64, requeued + created, "{status}");
        let new = &arrivals[seen..];
        assert!(by_id(new).values().all(|times| *times == 1));
        assert!(new.iter().all(|arrival| ended["recovery"] == *arrival.headers["punchcard-replay"]));
        seen = arrivals.len();
    }
    app.advance(60).await;
    let arrivals = crm.arrivals();
    assert_eq!(arrivals.len() - seen, 110, "what waited leaves when it is due");
    assert!(!arrivals[seen..].iter().any(|arrival| arrival.headers.contains_key("punchcard-replay")));
    assert_eq!(by_id(&arrivals).len(), 60 + 600 + 110 + 570);
    let kinds = |kind: &str| crm.kinds().iter().filter(|known| *known == kind).count();
    assert_eq!(kinds("visit.recorded"), 2 * 570);
    let of_discarded = by_id(&arrivals)[discarded["event"].as_str().unwrap()];
    assert_eq!(of_discarded, 1, "what somebody discarded is not sent again");
    app.stop().await;
}

async fn what_was_fed_before_a_restart_is_not_fed_again_and_nothing_is_left_out(mut app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["order.completed"]).await;
    crm.answer(vec![abort(); 300]);
    send_many(&app, "failed", 300, a_meal).await;
    send_many(&app, "visit", 200, a_visit).await;
    // One at a time, so that eight are fed at most.
    let change = json!({ "concurrency": 1, "events": ["order.completed", "visit.recorded"] });
    patch(&app, &endpoint, &change).await;
    let before = crm.arrivals().len();
    let begun = recover(&app, &endpoint, &json!({ "since": START, "status": "all" })).await;
    switch(&app, &endpoint, "disable").await;
    app.restart_with(|_| ()).await;
    let stands = recovery(&app, &begun).await;
    let [fed, ..] = counts(&stands);
    assert!(stands["state"] == "running" && fed > 0 && fed < 500, "{stands}");
    assert!(stands["reached"].is_string(), "{stands}");
    switch(&app, &endpoint, "enable").await;
    app.advance(0).await;
    let ended = recovery(&app, &begun).await;
    assert_eq!((counts(&ended), &ended["state"]), ([500, 300, 200, 0], &json!("done")), "{ended}");
    let arrivals = crm.arrivals();
    let of_recovery = by_id(&arrivals[before..]);
    assert_eq!((of_recovery.len(), arrivals.len() - before), (500, 500), "each once");
    app.stop().await;
}

async fn live_traffic_goes_first(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["order.completed"]).await;
    crm.answer(vec![abort(); 400]);
    send_many(&app, "failed", 400, a_meal).await;
    patch(&app, &endpoint, &json!({ "concurrency": 1 })).await;
    recover(&app, &endpoint, &json!({ "since": START })).await;
    app.send(&order("live", "ana", "5.00")).await.expect(200);
    app.advance(0).await;
    let arrivals = crm.arrivals().split_off(400);
    assert_eq!(arrivals.len(), 401);
    let live = arrivals.iter().position(|a| a.json()["data"]["order_id"] == "live").unwrap();
    assert!(live < 100, "{live} were sent before it");
    app.stop().await;
}

async fn a_recovery_waits_while_its_endpoint_is_disabled_runs_alone_and_can_be_stopped(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["order.completed"]).await;
    crm.answer(vec![abort(); 3]);
    send_many(&app, "failed", 3, a_meal).await;
    switch(&app, &endpoint, "disable").await;
    let wanted = json!({ "since": START });
    let path = format!("{CHAIN}/endpoints/{endpoint}/recover");
    let first = recover(&app, &endpoint, &wanted).await;
    app.advance(3600).await;
    let waiting = recovery(&app, &first).await;
    assert_eq!((counts(&waiting), &waiting["state"]), ([0; 4], &json!("running")));
    let refused = app.post(&path, &wanted).await.expect(409);
    assert!(refused["detail"].as_str().unwrap().contains("is running"), "{refused}");
    let dry = recover(&app, &endpoint, &json!({ "since": START, "dry_run": true })).await;
    assert_eq!(counts(&dry), [3, 3, 0, 0]);
    let stop =
        format!("{CHAIN}/endpoints/{endpoint}/recoveries/{}/stop", first["recovery"].as_str().unwrap());
    for _ in 0..2 {
        let stopped = app.post(&stop, &json!({})).await.expect(200);
        assert_eq!((&stopped["state"], stopped["ended_at"].is_string()), (&json!("stopped"), true));
    }
    let second = recover(&app, &endpoint, &wanted).await;
    switch(&app, &endpoint, "enable").await;
    app.advance(0).await;
    assert_eq!(recovery(&app, &second).await["state"], "done");
    assert_eq!(recovery(&app, &first).await["state"], "stopped");
    assert_eq!(crm.arrivals().len(), 6);
    let page = app.get(&format!("{CHAIN}/endpoints/{endpoint}/recoveries?limit=1")).await.expect(200);
    assert_eq!(page["items"][0]["recovery"], second["recovery"]);
    assert!(page["next_cursor"].is_string());
    app.stop().await;
}

/// A receipt that is claimed hours later tells of its order then.
async fn what_was_committed_late_belongs_to_the_time_of_its_commit(app: TestApp) {
    let crm = Receiver::start().await;
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    let data = json!({ "order_id": "x1", "total": "30.00", "items": [] });
    let parked = json!({ "key": "x1", "type": "order.completed", "occurred_at": START, "data": data });
    assert_eq!(app.send(&parked).await.expect(200)["status"], "parked");
    app.advance(2 * 3600).await;
    app.post(&format!("{CHAIN}/members/ana/claims"), &json!({ "code": "x1" })).await.expect(200);
    let (endpoint, _) = app.endpoint(&crm.url, &["order.completed"]).await;
    let dry = async |since: &str, until: &str| {
        let wanted = json!({ "since": since, "until": until, "status": "unsent", "dry_run": true });
        counts(&recover(&app, &endpoint, &wanted).await)
    };
    assert_eq!(dry("2026-03-03T18:00:00Z", "2026-03-03T19:00:00Z").await, [1, 0, 1, 0]);
    assert_eq!(dry("2026-03-03T19:00:00Z", "2026-03-04T00:00:00Z").await, [1, 0, 1, 0]);
    let wanted = json!({ "since": "2026-03-03T19:00:00Z", "status": "unsent" });
    recover(&app, &endpoint, &wanted).await;
    app.advance(0).await;
    let orders: Vec<_> = crm.arrivals().iter().map(|a| a.json()["data"]["order_id"].clone()).collect();
    assert_eq!(orders, ["x1"]);
    assert_eq!(counts(&recover(&app, &endpoint, &json!({ "since": START, "status": "all" })).await)[2], 1);
    app.advance(0).await;
    assert_eq!(crm.arrivals().len(), 3, "o1 at last, x1 again");
    app.stop().await;
}

/// All of one decision happened in the same millisecond.
async fn what_is_made_late_has_its_number_in_the_order_of_the_events(app: TestApp) {
    let crm = Receiver::start().await;
    send_many(&app, "o", 20, a_meal).await;
    let (endpoint, _) = app.endpoint(&crm.url, &["*"]).await;
    patch(&app, &endpoint, &json!({ "lane": "endpoint" })).await;
    recover(&app, &endpoint, &json!({ "since": START, "status": "unsent" })).await;
    app.advance(0).await;
    let arrivals = crm.arrivals();
    let ids: Vec<_> = arrivals.iter().map(|arrival| &*arrival.id).collect();
    assert!(ids.len() >= 60 && ids.is_sorted(), "{ids:?}");
    let numbers = arrivals.iter().map(|arrival| arrival.headers["punchcard-sequence"].clone());
    assert!(numbers.eq((1..=ids.len()).map(|number| number.to_string())));
    app.stop().await;
}

async fn who_sends_again_is_said_in_a_header_and_in_the_log(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["order.completed"]).await;
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let delivery = app.deliveries(&endpoint).await[0].clone();
    assert_eq!(delivery["mark"], Value::Null);
    let id = delivery["id"].as_str().unwrap();
    let retried = app.post(&format!("{CHAIN}/deliveries/{id}/retry"), &json!({})).await.expect(200);
    assert_eq!(retried["mark"], "retry");
    app.advance(0).await;
    let begun = recover(&app, &endpoint, &json!({ "since": START, "status": "all" })).await;
    app.advance(0).await;
    assert_eq!(app.delivery(id).await["mark"], begun["recovery"]);
    let arrivals = crm.arrivals();
    let replays: Vec<_> = arrivals.iter().map(|a| a.headers.get("punchcard-replay").cloned()).collect();
    let recovery = begun["recovery"].as_str().map(str::to_owned);
    assert_eq!(replays, [None, Some("retry".to_owned()), recovery]);
    assert!(arrivals.iter().all(|arrival| arrival.body == arrivals[0].body), "the body says the same");
    app.stop().await;
}

async fn what_cannot_be_recovered_is_refused(app: TestApp) {
    let (endpoint, _) = app.endpoint("http://127.0.0.1:9000/", &["order.completed"]).await;
    let path = format!("{CHAIN}/endpoints/{endpoint}/recover");
    for (body, field) in [
        (json!({}), "since"),
        (json!({ "since": "yesterday" }), "since"),
        (json!({ "since": "2026-03-03T18:30:01Z" }), "since"),
        (json!({ "since": START, "until": START }), "since"),
        (
            json!({ "since": "2026-03-03T00:00:00.0000001Z", "until": "2026-03-03T00:00:00.0000009Z" }),
            "since",
        ),
        (json!({ "since": START, "until": "later" }), "until"),
        (json!({ "since": START, "status": "some" }), "status"),
        (json!({ "since": START, "really": true }), "really"),
    ] {
        let refused = app.post(&path, &body).await.expect(422);
        assert_eq!(refused["field"], field, "{body}: {refused}");
    }
    let ever = json!({ "since": "-262143-01-01T00:00:00Z", "status": "all", "dry_run": true });
    assert_eq!(counts(&recover(&app, &endpoint, &ever).await), [0; 4]);
    let nowhere = format!("{CHAIN}/endpoints/{}/recover", "ep_0CKPWHJ8YG0000000000000001");
    app.post(&nowhere, &json!({ "since": START })).await.expect(404);
    let unknown = format!("{CHAIN}/endpoints/{endpoint}/recoveries/rcv_0CKPWHJ8YG0000000000000001");
    assert_eq!(app.get(&unknown).await.status, 404);
    app.post(&format!("{unknown}/stop"), &json!({})).await.expect(404);
    let made = app.post("/v1/keys", &json!({ "role": "manager", "chain": "harvest", "name": "m" })).await;
    let key = format!("Bearer {}", made.expect(201)["key"].as_str().unwrap());
    let auth = [("authorization", &*key)];
    let body = json!({ "since": START }).to_string().into_bytes();
    assert_eq!(app.request(Method::POST, &path, &auth, body).await.status, 403);
    app.stop().await;
}

/// Two nodes on one database feed one recovery, each page once.
#[actix_web::test]
async fn two_nodes_feed_nothing_twice() {
    let one = TestApp::start(Backend::Postgres).await;
    let crm = Receiver::start().await;
    let (endpoint, _) = one.endpoint(&crm.url, &["order.completed"]).await;
    crm.answer(vec![abort(); 200]);
    send_many(&one, "failed", 200, a_meal).await;
    patch(&one, &endpoint, &json!({ "concurrency": 2 })).await;
    switch(&one, &endpoint, "disable").await;
    let before = crm.arrivals().len();
    let begun = recover(&one, &endpoint, &json!({ "since": START })).await;
    let other = one.another_node().await;
    // The other node was started while it was disabled, so only its recoveries look at it, once it is enabled there too.
    switch(&other, &endpoint, "enable").await;
    switch(&one, &endpoint, "enable").await;
    let ended = one
        .until("the end", async || Some(recovery(&one, &begun).await).filter(|now| now["state"] == "done"))
        .await;
    assert_eq!(counts(&ended), [200, 200, 0, 0]);
    let distinct = async || {
        let arrivals = crm.arrivals();
        (by_id(&arrivals[before..]).len() == 200).then_some(())
    };
    one.until("all of them", distinct).await;
    other.stop().await;
    one.stop().await;
}
