//! Loyalty events out: signed, retried to the second, logged.

use serde_json::{Value, json};

use crate::support::receiver::Scripted;
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order, refund, visit};

on_both_backends! {
    from crate::delivery::on_the_system_clock;
    the_official_verifier_accepts_every_delivery,
    jitter_makes_retries_later_and_never_earlier,
}
on_both_backends! {
    retries_are_signed_anew,
    the_whole_ladder_is_walked_to_the_second,
    a_failed_delivery_is_retried_after_its_pause_and_then_settles,
    retry_after_is_a_floor,
    retry_after_may_be_a_date,
    a_receiver_that_is_gone_disables_its_endpoint,
    what_fell_due_while_disabled_waits_and_leaves_when_enabled,
    a_failed_delivery_leaves_again_by_hand,
    a_retry_by_hand_starts_the_ladder_anew,
    a_redirect_is_a_failure_and_is_not_followed,
    only_subscribed_events_leave_and_triggers_forward_to_tags,
    a_deleted_endpoint_gets_nothing_more,
    a_delivery_is_discarded_once_and_never_sent,
}

/// As in production: the verifier also judges how old a request is.
async fn on_the_system_clock(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| config.test_clock = None).await
}

/// What happens now.
fn now(mut event: Value) -> Value {
    event.as_object_mut().unwrap().remove("occurred_at");
    event
}

async fn the_official_verifier_accepts_every_delivery(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, secret) = app.endpoint(&crm.url, &["*"]).await;
    crm.trust_only(&secret);
    crm.answer([500_u16, 503, 429]);
    let mut owed = 0;
    for event in [
        order("o1", "Gästin 🍜", "24.50"),
        order("o2", "Gästin 🍜", "600.00"),
        refund("r1", "o1", "10.00"),
        visit("v1", "ben", ""),
    ] {
        owed += app.send(&now(event)).await.expect(200)["events"].as_array().unwrap().len();
    }
    app.until("one try of each", async || (crm.arrivals().len() == owed).then_some(())).await;
    let refused = app
        .until("three tries in the log that failed", async || {
            let log = app.deliveries(&endpoint).await;
            let (settled, refused): (Vec<_>, Vec<_>) =
                log.into_iter().partition(|d| d["status"] == "delivered");
            (refused.len() == 3 && settled.len() == owed - 3).then_some(refused)
        })
        .await;
    for delivery in refused {
        let path = format!("/v1/chains/harvest/deliveries/{}/retry", delivery["id"].as_str().unwrap());
        app.post(&path, &json!({})).await.expect(200);
    }
    app.until("every delivery delivered", async || {
        app.deliveries(&endpoint).await.iter().all(|d| d["status"] == "delivered").then_some(())
    })
    .await;
    assert_eq!(crm.refusals(), [""; 0]);
    assert_eq!(crm.arrivals().len(), owed + 3);
    let mut kinds = crm.kinds();
    kinds.sort();
    kinds.dedup();
    assert!(kinds.len() >= 6, "{kinds:?}");
    for arrival in crm.arrivals() {
        assert_eq!(arrival.json()["id"], arrival.id.as_str());
        assert!(!arrival.id.contains('.'), "a dot would make the signed text ambiguous");
    }
    // The proof of the proof: with another endpoint's secret nothing passes.
    let (_, other) = app.endpoint("http://127.0.0.1:9000/", &["tier.upgraded"]).await;
    crm.trust_only(&other);
    app.send(&now(visit("v2", "ben", ""))).await.expect(200);
    app.until("a refusal", async || crm.refusals().first().cloned()).await;
    app.stop().await;
}

/// What was stamped 20 minutes ago is too old for the verifier; the same delivery, sent again now, is not.
#[expect(clippy::disallowed_methods, reason = "the verifier compares with this machine's clock")]
async fn retries_are_signed_anew(mut app: TestApp) {
    let start = chrono::Utc::now() - chrono::Duration::minutes(20);
    app.restart_with(|config| config.test_clock = Some(start)).await;
    let crm = Receiver::start().await;
    let (endpoint, secret) = app.endpoint(&crm.url, &["order.completed"]).await;
    crm.trust_only(&secret);
    app.send(&now(order("o1", "ana", "24.50"))).await.expect(200);
    app.advance(60 + 300).await;
    assert_eq!(crm.refusals().len(), 3, "three tries were too old");
    app.advance(14 * 60).await;
    app.post(
        &format!(
            "/v1/chains/harvest/deliveries/{}/retry",
            app.deliveries(&endpoint).await[0]["id"].as_str().unwrap()
        ),
        &json!({}),
    )
    .await
    .expect(200);
    app.advance(0).await;
    assert_eq!(app.deliveries(&endpoint).await[0]["status"], "delivered", "{:?}", crm.refusals());
    app.stop().await;
}

async fn jitter_makes_retries_later_and_never_earlier(app: TestApp) {
    // One more in a row, and the breaker would open.
    const ORDERS: usize = 9;
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["order.completed"]).await;
    crm.answer([500_u16; ORDERS]);
    for n in 0..ORDERS {
        app.send(&now(order(&format!("o{n}"), &format!("m{n}"), "24.50"))).await.expect(200);
    }
    let log = app
        .until("every try in the log", async || {
            let log = app.deliveries(&endpoint).await;
            log.iter().all(|entry| entry["tries"] == 1).then_some(log)
        })
        .await;
    let mut pauses = Vec::new();
    for entry in log {
        let delivery = app.delivery(entry["id"].as_str().unwrap()).await;
        let time = |value: &Value| value.as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        let took = delivery["attempts"][0]["duration_ms"].as_i64().unwrap();
        let pause = time(&delivery["due_at"]) - time(&delivery["attempts"][0]["at"]);
        pauses.push(pause.num_milliseconds() - took);
    }
    let (shortest, longest) = (pauses.iter().min().unwrap(), pauses.iter().max().unwrap());
    // A tenth of a minute is the most that is added; the rest is for the clock, which is read beside the exchange.
    assert!(*shortest >= 60_000 - 1 && *longest < 66_000 + 1_000, "{pauses:?}");
    assert!(longest - shortest > 500, "all at the same instant: {pauses:?}");
    app.stop().await;
}

async fn the_whole_ladder_is_walked_to_the_second(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["points.earned"]).await;
    crm.answer([500_u16; 5]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    assert_eq!(crm.arrivals().len(), 1);
    for (already, pause) in [(1, 60), (2, 300), (3, 1_800), (4, 7_200)] {
        app.advance(pause - 1).await;
        assert_eq!(crm.arrivals().len(), already, "a second before the pause of {pause} s ends");
        app.advance(1).await;
        assert_eq!(crm.arrivals().len(), already + 1, "when the pause of {pause} s ends");
    }
    app.advance(30 * 24 * 3600).await;
    let arrivals = crm.arrivals();
    assert_eq!(arrivals.len(), 5, "no try is left");
    let first = arrivals[0].timestamp;
    let offsets: Vec<_> = arrivals.iter().map(|a| a.timestamp - first).collect();
    assert_eq!(offsets, [0, 60, 360, 2_160, 9_360]);
    assert!(arrivals.iter().all(|a| a.id == arrivals[0].id && a.body == arrivals[0].body));
    let log = app.deliveries(&endpoint).await;
    assert_eq!(log[0]["status"], "failed");
    let delivery = app.delivery(log[0]["id"].as_str().unwrap()).await;
    let attempts = delivery["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 5);
    assert!(attempts.iter().all(|a| a["status_code"] == 500 && a["response_body"] == "seen"), "{delivery}");
    app.stop().await;
}

async fn a_failed_delivery_is_retried_after_its_pause_and_then_settles(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["points.earned"]).await;
    crm.answer([500_u16]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(60).await;
    assert_eq!(crm.arrivals().len(), 2);
    assert_eq!(app.deliveries(&endpoint).await[0]["status"], "delivered");
    app.advance(24 * 3600).await;
    assert_eq!(crm.kinds().iter().filter(|kind| *kind == "points.earned").count(), 2);
    app.stop().await;
}

async fn retry_after_is_a_floor(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["points.earned"]).await;
    crm.answer([Scripted { status: 429, headers: vec![("retry-after", "200".to_owned())] }]);
    crm.answer([Scripted { status: 503, headers: vec![("retry-after", "1".to_owned())] }]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(199).await;
    assert_eq!(crm.arrivals().len(), 1);
    app.advance(1).await;
    assert_eq!(crm.arrivals().len(), 2);
    app.advance(299).await;
    assert_eq!(crm.arrivals().len(), 2, "a shorter hint does not shorten the ladder");
    app.advance(1).await;
    assert_eq!(crm.arrivals().len(), 3);
    app.stop().await;
}

async fn retry_after_may_be_a_date(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["points.earned"]).await;
    // Ten minutes after the start of all tests.
    let date = "Tue, 03 Mar 2026 18:40:00 GMT".to_owned();
    crm.answer([Scripted { status: 503, headers: vec![("retry-after", date)] }]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(599).await;
    assert_eq!(crm.arrivals().len(), 1);
    app.advance(1).await;
    assert_eq!(crm.arrivals().len(), 2);
    app.stop().await;
}

async fn a_receiver_that_is_gone_disables_its_endpoint(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["points.earned"]).await;
    crm.answer([410_u16]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let path = format!("/v1/chains/harvest/endpoints/{endpoint}");
    let shown = app
        .until("a disabled endpoint", async || {
            Some(app.get(&path).await.expect(200)).filter(|shown| shown["status"] == "disabled")
        })
        .await;
    assert!(shown["disabled_reason"].as_str().is_some_and(|reason| reason.contains("410")), "{shown}");
    app.send(&order("o2", "ana", "24.50")).await.expect(200);
    app.advance(24 * 3600).await;
    assert_eq!(crm.arrivals().len(), 1);
    app.post(&format!("{path}/enable"), &json!({})).await.expect(200);
    app.advance(0).await;
    let orders = crm.arrivals().into_iter().map(|a| a.json()["data"]["order_id"].to_string());
    let mut orders: Vec<_> = orders.collect();
    orders.sort();
    assert_eq!(orders, ["\"o1\"", "\"o1\"", "\"o2\""], "what it did not take leaves like what waited");
    app.stop().await;
}

async fn what_fell_due_while_disabled_waits_and_leaves_when_enabled(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["points.earned"]).await;
    let path = format!("/v1/chains/harvest/endpoints/{endpoint}");
    app.post(&format!("{path}/disable"), &json!({})).await.expect(200);
    for n in 0..3 {
        app.send(&order(&format!("o{n}"), "ana", "5.00")).await.expect(200);
    }
    app.advance(3600).await;
    assert_eq!(crm.arrivals().len(), 0);
    app.post(&format!("{path}/enable"), &json!({})).await.expect(200);
    app.advance(0).await;
    assert_eq!(crm.arrivals().len(), 3);
    app.stop().await;
}

async fn a_failed_delivery_leaves_again_by_hand(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["points.earned"]).await;
    crm.answer([500_u16; 5]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(3 * 3600).await;
    let id = app.deliveries(&endpoint).await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(app.delivery(&id).await["status"], "failed");
    let retried = app.post(&format!("/v1/chains/harvest/deliveries/{id}/retry"), &json!({})).await;
    assert!((200..300).contains(&retried.status), "{}", retried.text);
    app.advance(0).await;
    let delivery = app.delivery(&id).await;
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 6);
    app.stop().await;
}

async fn a_retry_by_hand_starts_the_ladder_anew(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["points.earned"]).await;
    crm.answer([500_u16; 10]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(3 * 3600).await;
    let id = app.deliveries(&endpoint).await[0]["id"].as_str().unwrap().to_owned();
    app.post(&format!("/v1/chains/harvest/deliveries/{id}/retry"), &json!({})).await.expect(200);
    app.advance(0).await;
    for (already, pause) in [(6, 60), (7, 300), (8, 1_800), (9, 7_200)] {
        app.advance(pause - 1).await;
        assert_eq!(crm.arrivals().len(), already, "a second before the pause of {pause} s ends");
        app.advance(1).await;
        assert_eq!(crm.arrivals().len(), already + 1, "when the pause of {pause} s ends");
    }
    let delivery = app.delivery(&id).await;
    assert_eq!(delivery["status"], "failed");
    let numbers: Vec<_> =
        delivery["attempts"].as_array().unwrap().iter().map(|a| a["number"].as_i64()).collect();
    assert_eq!(numbers.len(), 10, "{delivery}");
    app.stop().await;
}

async fn a_redirect_is_a_failure_and_is_not_followed(app: TestApp) {
    let crm = Receiver::start().await;
    let elsewhere = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["points.earned"]).await;
    crm.answer([Scripted { status: 307, headers: vec![("location", elsewhere.url.clone())] }]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    assert_eq!(elsewhere.arrivals().len(), 0);
    let log = app.deliveries(&endpoint).await;
    assert_eq!(log[0]["status"], "pending");
    app.stop().await;
}

async fn only_subscribed_events_leave_and_triggers_forward_to_tags(app: TestApp) {
    let (points, crm) = (Receiver::start().await, Receiver::start().await);
    app.endpoint(&points.url, &["points.*"]).await;
    let tagged = json!({ "url": crm.url, "events": [], "tags": ["crm"] });
    app.post("/v1/chains/harvest/endpoints", &tagged).await.expect(201);
    let bystander = Receiver::start().await;
    let otherwise = json!({ "url": bystander.url, "events": [], "tags": ["kitchen"] });
    app.post("/v1/chains/harvest/endpoints", &otherwise).await.expect(201);
    for n in 0..6 {
        app.send(&order(&format!("o{n}"), "ana", "150.00")).await.expect(200);
    }
    app.advance(0).await;
    assert!(points.kinds().iter().all(|kind| kind == "points.earned"));
    assert!(points.kinds().len() >= 6);
    // The sample forwards big earns of gold members; the first orders made Ana gold.
    assert!(crm.kinds().iter().any(|kind| kind == "points.earned"), "{:?}", crm.kinds());
    assert!(crm.kinds().len() < points.kinds().len());
    assert_eq!(bystander.kinds(), [""; 0], "it has another tag");
    app.stop().await;
}

async fn a_deleted_endpoint_gets_nothing_more(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["points.earned"]).await;
    crm.answer([500_u16]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let path = format!("/v1/chains/harvest/endpoints/{endpoint}");
    let gone = app.request(awc::http::Method::DELETE, &path, &[], Vec::new()).await;
    assert!((200..300).contains(&gone.status), "{}", gone.text);
    app.send(&order("o2", "ana", "24.50")).await.expect(200);
    app.advance(24 * 3600).await;
    assert_eq!(crm.arrivals().len(), 1);
    assert_eq!(app.get(&path).await.status, 404);
    app.stop().await;
}

async fn a_delivery_is_discarded_once_and_never_sent(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["points.earned"]).await;
    crm.answer([500_u16]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let id = app.deliveries(&endpoint).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/chains/harvest/deliveries/{id}/discard");
    let discarded = app.post(&path, &json!({})).await;
    assert!((200..300).contains(&discarded.status), "{}", discarded.text);
    app.advance(24 * 3600).await;
    assert_eq!(crm.arrivals().len(), 1);
    app.post(&path, &json!({})).await.expect(409);
    app.stop().await;
}
