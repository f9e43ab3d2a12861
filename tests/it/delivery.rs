//! Loyalty events out: signed, retried to the second, logged.

use serde_json::json;

use crate::support::receiver::Scripted;
use crate::support::{Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    the_official_verifier_accepts_every_delivery,
    the_whole_ladder_is_walked_to_the_second,
    a_failed_delivery_is_retried_after_its_pause_and_then_settles,
    retry_after_is_a_floor,
    a_receiver_that_is_gone_disables_its_endpoint,
    what_fell_due_while_disabled_waits_and_leaves_when_enabled,
    a_failed_delivery_leaves_again_by_hand,
    a_redirect_is_a_failure_and_is_not_followed,
    only_subscribed_events_leave_and_triggers_forward_to_tags,
    a_deleted_endpoint_gets_nothing_more,
    a_delivery_is_discarded_once_and_never_sent,
}

async fn the_official_verifier_accepts_every_delivery(app: TestApp) {
    let crm = Receiver::start().await;
    let (_, secret) = app.endpoint(&crm.url, &["*"]).await;
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    assert_eq!(crm.kinds().len(), 3, "{:?}", crm.kinds());
    let key = secret.strip_prefix("whsec_").unwrap();
    for arrival in crm.arrivals() {
        use base64::Engine as _;
        use hmac::{KeyInit, Mac};
        // The official crate judges the age by the wall clock, which the test clock does not follow: it verifies the
        // signature of the very bytes under the header's own timestamp.
        let verifier = standardwebhooks::Webhook::new(key).unwrap();
        let expected = verifier.sign(&arrival.id, arrival.timestamp, &arrival.body).unwrap();
        assert_eq!(arrival.signature, expected);
        assert!(!arrival.id.contains('.'));
        assert_eq!(arrival.json()["id"], arrival.id.as_str());
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(
            &base64::prelude::BASE64_STANDARD.decode(key).unwrap(),
        )
        .unwrap();
        mac.update(format!("{}.{}.", arrival.id, arrival.timestamp).as_bytes());
        mac.update(&arrival.body);
        let own = base64::prelude::BASE64_STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(arrival.signature, format!("v1,{own}"));
    }
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

async fn a_receiver_that_is_gone_disables_its_endpoint(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["points.earned"]).await;
    crm.answer([410_u16]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let path = format!("/v1/chains/harvest/endpoints/{endpoint}");
    for _ in 0..1_000 {
        let shown = app.get(&path).await.expect(200);
        if shown["status"] == "disabled" {
            assert!(shown["disabled_reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{shown}");
            app.send(&order("o2", "ana", "24.50")).await.expect(200);
            app.advance(24 * 3600).await;
            assert_eq!(crm.arrivals().len(), 1);
            return app.stop().await;
        }
        actix_web::rt::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("still enabled");
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
    for n in 0..6 {
        app.send(&order(&format!("o{n}"), "ana", "150.00")).await.expect(200);
    }
    app.advance(0).await;
    assert!(points.kinds().iter().all(|kind| kind == "points.earned"));
    assert!(points.kinds().len() >= 6);
    // The sample forwards big earns of gold members; the first orders made Ana gold.
    assert!(crm.kinds().iter().any(|kind| kind == "points.earned"), "{:?}", crm.kinds());
    assert!(crm.kinds().len() < points.kinds().len());
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
