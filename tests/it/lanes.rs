//! Order: lanes, numbers, and the digest by which a receiver sees what it lacks.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::receiver::Arrival;
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    in_the_lane_of_an_endpoint_everything_waits_for_what_is_before_it,
    a_poisoned_event_holds_the_lane_of_its_member_and_nobody_elses,
    a_lane_goes_on_when_its_head_is_given_up,
    a_lane_goes_on_when_its_head_is_discarded_by_hand,
    what_is_sent_again_takes_the_place_of_its_number,
    a_backlog_goes_by_the_lanes_that_its_endpoint_is_given,
    whoever_wants_to_know_hears_once_that_a_lane_is_blocked,
    what_its_receiver_fails_of_holds_a_lane_no_longer_than_it_may_though_the_breaker_is_open,
    a_receiver_finds_what_it_dropped_and_pulls_only_that,
    a_bubblehouse_endpoint_holds_its_queue_for_a_week_unless_told_otherwise,
    lanes_and_digests_of_unknown_endpoints_and_wrong_questions_are_refused,
}

const ENDPOINTS: &str = "/v1/chains/harvest/endpoints";

async fn laned(app: &TestApp, crm: &Receiver, settings: Value) -> String {
    let mut body = json!({ "url": crm.url, "events": ["points.earned"] });
    body.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    app.post(ENDPOINTS, &body).await.expect(201)["id"].as_str().unwrap().to_owned()
}

/// An order of each of these guests, one after the other.
async fn orders(app: &TestApp, first: usize, guests: &[&str]) {
    for (n, guest) in (first..).zip(guests) {
        app.send(&order(&format!("o{n}"), guest, "5.00")).await.expect(200);
    }
}

fn number(arrival: &Arrival) -> u64 {
    arrival.headers["punchcard-sequence"].parse().unwrap()
}

fn numbers(crm: &Receiver) -> Vec<u64> {
    crm.arrivals().iter().map(number).collect()
}

/// The statuses in the order of numbers.
async fn statuses(app: &TestApp, endpoint: &str) -> Vec<String> {
    let log = app.deliveries(endpoint).await;
    let by_number: BTreeMap<_, _> = log
        .iter()
        .map(|d| (d["sequence"].as_u64().unwrap(), d["status"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(by_number.keys().copied().collect::<Vec<_>>(), (1..=log.len() as u64).collect::<Vec<_>>());
    by_number.into_values().collect()
}

async fn delivery(app: &TestApp, endpoint: &str, number: u64) -> String {
    let log = app.deliveries(endpoint).await;
    log.iter().find(|d| d["sequence"] == number).unwrap()["id"].as_str().unwrap().to_owned()
}

async fn lanes(app: &TestApp, endpoint: &str, query: &str) -> Vec<Value> {
    let page = app.get(&format!("{ENDPOINTS}/{endpoint}/lanes{query}")).await.expect(200);
    page["items"].as_array().unwrap().clone()
}

async fn whoever_wants_to_know_hears_once_that_a_lane_is_blocked(app: TestApp) {
    let (crm, desk) = (Receiver::start().await, Receiver::start().await);
    app.endpoint(&desk.url, &["lane.blocked"]).await;
    crm.answer([500_u16; 4]);
    let endpoint = laned(&app, &crm, json!({ "lane": "member" })).await;
    orders(&app, 1, &["ana", "ana"]).await;
    for (seconds, heard) in [(0, 0), (60, 0), (300, 1), (1_800, 1), (7_200, 1)] {
        app.advance(seconds).await;
        assert_eq!(desk.arrivals().len(), heard, "{seconds} s later");
    }
    let told = desk.arrivals()[0].json()["data"].clone();
    assert_eq!((&told["endpoint"], &told["tries"]), (&json!(endpoint), &json!(3)), "{told}");
    assert!(told["member_id"].as_str().unwrap().starts_with("mem_"), "{told}");
    assert_eq!(statuses(&app, &endpoint).await, ["delivered", "delivered"]);
    app.stop().await;
}

async fn what_its_receiver_fails_of_holds_a_lane_no_longer_than_it_may_though_the_breaker_is_open(
    app: TestApp,
) {
    let crm = Receiver::start().await;
    crm.answer([500_u16; 200]);
    let retry = json!({ "pauses_s": [60], "jitter_percent": 0, "give_up_after_s": 3_600 });
    let endpoint = laned(&app, &crm, json!({ "lane": "endpoint", "retry": retry })).await;
    orders(&app, 1, &["ana", "ben"]).await;
    app.advance(1_800).await;
    assert_eq!(statuses(&app, &endpoint).await, ["pending", "waiting"]);
    let view = app.get(&format!("{ENDPOINTS}/{endpoint}")).await.expect(200);
    assert_eq!(view["condition"]["breaker"], "open", "{view}");
    app.advance(1_800 + 600).await;
    assert_eq!(statuses(&app, &endpoint).await, ["failed", "pending"]);
    app.stop().await;
}

async fn in_the_lane_of_an_endpoint_everything_waits_for_what_is_before_it(app: TestApp) {
    let crm = Receiver::start().await;
    crm.answer([500_u16, 503]);
    let endpoint = laned(&app, &crm, json!({ "lane": "endpoint" })).await;
    orders(&app, 1, &["ana", "ben", "eve", "ana"]).await;
    app.advance(0).await;
    assert_eq!(numbers(&crm), [1]);
    assert_eq!(statuses(&app, &endpoint).await, ["pending", "waiting", "waiting", "waiting"]);
    let waiting = app.get(&format!("{ENDPOINTS}/{endpoint}/deliveries?status=waiting")).await.expect(200);
    assert_eq!(waiting["items"].as_array().unwrap().len(), 3);
    assert_eq!(waiting["items"][0]["due_at"], Value::Null);
    app.advance(60 + 299).await;
    assert_eq!(numbers(&crm), [1, 1]);
    app.advance(1).await;
    assert_eq!(numbers(&crm), [1, 1, 1, 2, 3, 4]);
    assert_eq!(statuses(&app, &endpoint).await, ["delivered"; 4]);
    app.stop().await;
}

async fn a_poisoned_event_holds_the_lane_of_its_member_and_nobody_elses(app: TestApp) {
    let crm = Receiver::start().await;
    crm.answer([500_u16]);
    let endpoint = laned(&app, &crm, json!({ "lane": "member" })).await;
    orders(&app, 1, &["ana"]).await;
    app.advance(0).await;
    orders(&app, 2, &["ana", "ben", "ana", "ben"]).await;
    app.advance(0).await;
    assert_eq!(numbers(&crm), [1, 3, 5]);
    let blocked = lanes(&app, &endpoint, "?blocked=true").await;
    assert_eq!(blocked.len(), 1, "{blocked:?}");
    let lane = &blocked[0];
    assert_eq!((&lane["lane"], &lane["behind"]), (&json!("member"), &json!(2)));
    assert_eq!((&lane["head"]["sequence"], &lane["head"]["tries"]), (&json!(1), &json!(1)));
    assert_eq!((&lane["member"], &lane["since"]), (&lane["head"]["member"], &lane["head"]["created_at"]));
    app.advance(60).await;
    assert_eq!(numbers(&crm), [1, 3, 5, 1, 2, 4]);
    assert_eq!(lanes(&app, &endpoint, "").await, [] as [Value; 0]);
    app.stop().await;
}

async fn a_lane_goes_on_when_its_head_is_given_up(app: TestApp) {
    let crm = Receiver::start().await;
    let retry = json!({ "pauses_s": [60], "jitter_percent": 0, "give_up_after_s": 300 });
    let endpoint = laned(&app, &crm, json!({ "lane": "endpoint", "retry": retry })).await;
    crm.answer([500_u16; 8]);
    orders(&app, 1, &["ana", "ben"]).await;
    // Tried at once and after each minute, until five minutes have passed; then the next one has as long.
    app.advance(299).await;
    assert_eq!(numbers(&crm), [1; 5]);
    assert_eq!(lanes(&app, &endpoint, "?blocked=true").await[0]["behind"], 1);
    app.advance(1).await;
    assert_eq!(numbers(&crm), [1, 1, 1, 1, 1, 1, 2]);
    assert_eq!(statuses(&app, &endpoint).await, ["failed", "pending"]);
    app.advance(120).await;
    assert_eq!(numbers(&crm), [1, 1, 1, 1, 1, 1, 2, 2, 2]);
    assert_eq!(statuses(&app, &endpoint).await, ["failed", "delivered"]);
    app.stop().await;
}

async fn a_lane_goes_on_when_its_head_is_discarded_by_hand(app: TestApp) {
    let crm = Receiver::start().await;
    let endpoint = laned(&app, &crm, json!({ "lane": "endpoint" })).await;
    crm.answer([500_u16]);
    orders(&app, 1, &["ana", "ben", "eve"]).await;
    app.advance(0).await;
    for number in [2, 1] {
        let id = delivery(&app, &endpoint, number).await;
        app.post(&format!("/v1/chains/harvest/deliveries/{id}/discard"), &json!({})).await.expect(200);
    }
    app.advance(0).await;
    assert_eq!(numbers(&crm), [1, 3]);
    assert_eq!(statuses(&app, &endpoint).await, ["discarded", "discarded", "delivered"]);
    app.stop().await;
}

async fn what_is_sent_again_takes_the_place_of_its_number(app: TestApp) {
    let crm = Receiver::start().await;
    let retry = json!({ "pauses_s": [60], "jitter_percent": 0 });
    let endpoint = laned(&app, &crm, json!({ "lane": "endpoint", "retry": retry })).await;
    crm.answer([200_u16, 500, 500, 500]);
    orders(&app, 1, &["ana", "ben", "eve", "ana"]).await;
    app.advance(60).await;
    assert_eq!(statuses(&app, &endpoint).await, ["delivered", "failed", "pending", "waiting"]);
    let second = delivery(&app, &endpoint, 2).await;
    app.post(&format!("/v1/chains/harvest/deliveries/{second}/retry"), &json!({})).await.expect(200);
    app.advance(0).await;
    assert_eq!(numbers(&crm), [1, 2, 2, 3, 2, 3, 4]);
    assert_eq!(statuses(&app, &endpoint).await, ["delivered"; 4]);
    app.stop().await;
}

async fn a_backlog_goes_by_the_lanes_that_its_endpoint_is_given(app: TestApp) {
    let crm = Receiver::start().await;
    let endpoint = laned(&app, &crm, json!({})).await;
    let path = format!("{ENDPOINTS}/{endpoint}");
    app.post(&format!("{path}/disable"), &json!({})).await.expect(200);
    orders(&app, 1, &["ana", "ben", "ana", "ben", "ana"]).await;
    let by_member = ["pending", "pending", "waiting", "waiting", "waiting"];
    let by_endpoint = ["pending", "waiting", "waiting", "waiting", "waiting"];
    for (lane, expected) in
        [("member", by_member), ("endpoint", by_endpoint), ("none", ["pending"; 5]), ("member", by_member)]
    {
        let lane = json!({ "lane": lane });
        app.patch(&path, &lane).await.expect(200);
        assert_eq!(statuses(&app, &endpoint).await, expected, "{lane}");
    }
    crm.answer([500_u16]);
    app.post(&format!("{path}/enable"), &json!({})).await.expect(200);
    app.advance(0).await;
    let first = number(&crm.arrivals()[0]); // either of the heads was refused
    let arrived: Vec<_> = numbers(&crm).into_iter().skip(1).collect();
    assert!(arrived.iter().all(|number| number % 2 != first % 2), "{first} was refused, yet {arrived:?}");
    app.advance(60).await;
    assert_eq!(statuses(&app, &endpoint).await, ["delivered"; 5]);
    app.stop().await;
}

/// The lines of the documentation.
fn hash(known: &BTreeMap<u64, String>, since: u64, through: u64) -> String {
    let lines = known.range(since + 1..=through).map(|(seq, event)| format!("{seq} {event}\n"));
    Sha256::digest(lines.collect::<String>()).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn a_receiver_finds_what_it_dropped_and_pulls_only_that(app: TestApp) {
    let crm = Receiver::start().await;
    let endpoint = laned(&app, &crm, json!({})).await;
    let guests: Vec<_> = (0..25).map(|n| format!("guest-{n}")).collect();
    orders(&app, 1, &guests.iter().map(|guest| &**guest).collect::<Vec<_>>()).await;
    app.advance(0).await;
    // It accepted all of them, and lost some.
    let mut known: BTreeMap<_, _> = crm.arrivals().iter().map(|a| (number(a), a.id.clone())).collect();
    let dropped = [3, 11, 12, 25].map(|number| (number, known.remove(&number).unwrap()));

    let (mut since, mut missing, mut unequal) = (0, Vec::new(), Vec::new());
    loop {
        let path = format!("{ENDPOINTS}/{endpoint}/digest?since={since}&limit=10");
        let digest = app.get(&path).await.expect(200);
        let through = digest["through"].as_u64().unwrap();
        if digest["hash"] != hash(&known, since, through) {
            unequal.push(through);
            let items = digest["items"].as_array().unwrap();
            let lacking = items.iter().filter(|item| !known.contains_key(&item["seq"].as_u64().unwrap()));
            missing.extend(lacking.cloned());
        }
        assert_eq!((&digest["since"], &digest["last_seq"]), (&json!(since), &json!(25)));
        since = through;
        if through == digest["last_seq"].as_u64().unwrap() {
            break;
        }
    }
    assert_eq!(unequal, [10, 20, 25]);
    for item in &missing {
        assert_eq!((&item["type"], &item["status"]), (&json!("points.earned"), &json!("delivered")));
        let id = item["delivery"].as_str().unwrap();
        app.post(&format!("/v1/chains/harvest/deliveries/{id}/retry"), &json!({})).await.expect(200);
    }
    app.advance(0).await;
    let pulled: BTreeMap<_, _> = crm.arrivals()[25..].iter().map(|a| (number(a), a.id.clone())).collect();
    assert_eq!(pulled, dropped.into_iter().collect());
    known.extend(pulled);
    let digest = app.get(&format!("{ENDPOINTS}/{endpoint}/digest")).await.expect(200);
    assert_eq!(digest["hash"], hash(&known, 0, 25));
    app.stop().await;
}

async fn a_bubblehouse_endpoint_holds_its_queue_for_a_week_unless_told_otherwise(app: TestApp) {
    let body =
        json!({ "url": "http://127.0.0.1:9000/", "events": ["points.earned"], "dialect": "bubblehouse" });
    let made = app.post(ENDPOINTS, &body).await.expect(201);
    assert_eq!((&made["lane"], &made["retry"]["give_up_after_s"]), (&json!("endpoint"), &json!(604_800)));
    let mut body = body;
    body["lane"] = json!("none");
    assert_eq!(app.post(ENDPOINTS, &body).await.expect(201)["lane"], "none");
    app.stop().await;
}

async fn lanes_and_digests_of_unknown_endpoints_and_wrong_questions_are_refused(app: TestApp) {
    let crm = Receiver::start().await;
    let endpoint = laned(&app, &crm, json!({})).await;
    for (path, status) in [
        ("ep_00000000000000000000000000/lanes".to_owned(), 404),
        ("ep_00000000000000000000000000/digest".to_owned(), 404),
        (format!("{endpoint}/lanes?blocked=perhaps"), 422),
        (format!("{endpoint}/digest?since=-1"), 422),
        (format!("{endpoint}/digest?limit=1001"), 422),
        (format!("{endpoint}/digest?limit=0"), 422),
    ] {
        assert_eq!(app.get(&format!("{ENDPOINTS}/{path}")).await.status, status, "{path}");
    }
    app.stop().await;
}

/// Both nodes decide, and both send: the receiver may hear of something twice, but of nothing before what it waits for.
#[actix_web::test]
async fn order_holds_on_two_nodes_at_once() {
    let one = TestApp::start(Backend::Postgres).await;
    let crm = Receiver::start().await;
    let endpoint = laned(&one, &crm, json!({ "lane": "member" })).await;
    let other = one.another_node().await;
    for n in 0..60 {
        let node = if n % 2 == 0 { &one } else { &other };
        node.send(&order(&format!("o{n}"), &format!("guest-{}", n % 4), "5.00")).await.expect(200);
    }
    one.until("everything is delivered", async || {
        statuses(&one, &endpoint).await.iter().all(|status| status == "delivered").then_some(())
    })
    .await;
    let mut newest: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for arrival in crm.arrivals() {
        let of_member =
            newest.entry(arrival.json()["member"]["id"].as_str().unwrap().to_owned()).or_default();
        if !of_member.contains(&number(&arrival)) {
            of_member.push(number(&arrival));
        }
    }
    assert_eq!(newest.values().map(Vec::len).sum::<usize>(), statuses(&one, &endpoint).await.len());
    assert_eq!(newest.len(), 4);
    for (member, numbers) in newest {
        assert!(numbers.is_sorted(), "{member}: {numbers:?}");
    }
    futures_util::future::join(one.stop(), other.stop()).await;
}
