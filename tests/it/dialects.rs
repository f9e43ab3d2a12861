//! Dialects: each tells a real receiver what its product documents, signed so that the code of `docs/dialects.md` takes it.

use serde_json::{Value, json};

use crate::support::printed::Printed;
use crate::support::receiver::{Arrival, Scripted};
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    standard_is_verified_by_the_printed_code,
    guestiq_is_verified_by_the_printed_code,
    loyali_is_verified_by_the_printed_code,
    events_webhook_is_verified_by_the_printed_code,
    gustaio_is_verified_by_the_printed_code,
    bubblehouse_is_verified_by_the_printed_code,
    whoever_asks_for_new_orders_of_gustaio_gets_those_that_are_told_when_paid,
    an_outcome_settles_a_delivery_or_has_it_sent_again,
    a_move_of_points_is_told_once_by_the_name_that_was_asked_for,
    what_is_accepted_by_a_receiver_who_wants_no_more_is_delivered,
    what_a_dialect_cannot_say_is_refused,
}

/// A secret of the receiver's own, for the dialects that take the text as it is.
const OWN: &str = "my-own-secret-of-old";
const OWN_KEY_OF_TOKENS: &str = "my-own-secret-of-old-for-HS256-tokens";

async fn endpoint(app: &TestApp, url: &str, dialect: &str, events: &[&str], secret: Option<&str>) -> Value {
    let body = json!({ "url": url, "dialect": dialect, "events": events, "secret": secret });
    app.post("/v1/chains/harvest/endpoints", &body).await.expect(201)
}

/// What an order tells to an endpoint that wants all that its product documents.
async fn told(app: &TestApp, dialect: &str, secret: Option<&str>) -> (Vec<Arrival>, String) {
    let receiver = Receiver::start().await;
    receiver.says(r#"{"outcome":"sent"}"#);
    let url = format!("{}/:name", receiver.url);
    let made = endpoint(app, &url, dialect, &["*"], secret).await;
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let log = app.deliveries(made["id"].as_str().unwrap()).await;
    assert!(log.iter().all(|entry| entry["status"] == "delivered"), "{log:?}");
    assert_eq!(log.len(), receiver.arrivals().len());
    (receiver.arrivals(), made["secret"].as_str().unwrap().to_owned())
}

/// The first arrival of that name, when all that arrived is documented.
async fn one<'a>(
    app: &TestApp,
    dialect: &str,
    arrivals: &'a [Arrival],
    pointer: &str,
    name: &str,
) -> &'a Arrival {
    let types = app.get("/v1/event_types").await.expect(200);
    let types = types["items"].as_array().unwrap();
    let name_of = |arrival: &Arrival| arrival.json().pointer(pointer).unwrap().clone();
    for said in arrivals.iter().map(name_of) {
        let is_documented = types.iter().any(|kind| {
            kind["names"][dialect] == said
                && kind["documented_by"].as_array().unwrap().contains(&dialect.into())
        });
        assert!(is_documented, "`*` brought {said} to {dialect}");
    }
    arrivals
        .iter()
        .find(|arrival| name_of(arrival) == name)
        .unwrap_or_else(|| panic!("no {name}: {arrivals:?}"))
}

/// Runs the code that is printed for a header on an arrival.
fn verify(header: &str, arrival: &Arrival, secret: &str, is_timed: bool) {
    Printed::of("docs/dialects.md", header).verifies(arrival, secret, is_timed);
}

async fn standard_is_verified_by_the_printed_code(app: TestApp) {
    let (arrivals, secret) = told(&app, "standard", None).await;
    let arrival = one(&app, "standard", &arrivals, "/type", "order.completed").await;
    verify("webhook-signature", arrival, &secret, true);
    app.stop().await;
}

async fn guestiq_is_verified_by_the_printed_code(app: TestApp) {
    let (arrivals, secret) = told(&app, "guestiq", Some(OWN)).await;
    assert_eq!(secret, OWN);
    let arrival = one(&app, "guestiq", &arrivals, "/type", "ORDER_COMPLETED").await;
    let body = arrival.json();
    assert_eq!(body["data"]["guestId"], "ana");
    assert!(String::from_utf8_lossy(&arrival.body).contains(r#""orderTotal":24.50"#));
    assert_eq!(arrival.headers["x-guestiq-event"], "ORDER_COMPLETED");
    assert_eq!(arrival.headers["x-guestiq-timestamp"], body["timestamp"].as_str().unwrap());
    assert!(arrival.headers["x-guestiq-delivery-id"].starts_with("dlv_"));
    assert_eq!(arrival.headers["webhook-id"], body["id"].as_str().unwrap());
    verify("X-GuestIQ-Signature", arrival, &secret, false);
    // Of a secret of one's own, the text is the key under the standard headers, too.
    verify("webhook-signature", arrival, &secret, true);
    app.stop().await;
}

async fn loyali_is_verified_by_the_printed_code(app: TestApp) {
    let (arrivals, secret) = told(&app, "loyali", None).await;
    let arrival = one(&app, "loyali", &arrivals, "/event_type", "points.earned").await;
    assert_eq!(arrival.json()["data"]["customer_id"], "ana");
    verify("X-Loyali-Signature", arrival, &secret, true);
    app.stop().await;
}

async fn events_webhook_is_verified_by_the_printed_code(app: TestApp) {
    let (arrivals, secret) = told(&app, "events_webhook", None).await;
    let arrival = one(&app, "events_webhook", &arrivals, "/event/eventType", "member-created").await;
    verify("webhook-signature", arrival, &secret, true);
    app.stop().await;
}

async fn gustaio_is_verified_by_the_printed_code(app: TestApp) {
    let (arrivals, secret) = told(&app, "gustaio", None).await;
    // Nothing was told of the order before.
    let arrival = one(&app, "gustaio", &arrivals, "/event", "order.create").await;
    verify("X-Webhook-Signature", arrival, &secret, true);
    app.stop().await;
}

async fn whoever_asks_for_new_orders_of_gustaio_gets_those_that_are_told_when_paid(app: TestApp) {
    let receiver = Receiver::start().await;
    endpoint(&app, &receiver.url, "gustaio", &["order.create"], None).await;
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    let mut placed = order("o2", "ana", "24.50");
    for (key, kind) in [("o2-placed", "order.created"), ("o2-paid", "order.completed")] {
        (placed["key"], placed["type"]) = (key.into(), kind.into());
        app.send(&placed).await.expect(200);
    }
    app.advance(0).await;
    let mut told: Vec<_> = receiver.arrivals().iter().map(Arrival::json).collect();
    told.sort_by_key(|body| body["data"]["orderId"].as_str().map(str::to_owned));
    let told: Vec<_> = told.iter().map(|body| (&body["event"], &body["data"]["orderId"])).collect();
    assert_eq!(told, [(&json!("order.create"), &json!("o1")), (&json!("order.create"), &json!("o2"))]);
    app.stop().await;
}

async fn bubblehouse_is_verified_by_the_printed_code(app: TestApp) {
    let (arrivals, secret) = told(&app, "bubblehouse", Some(OWN_KEY_OF_TOKENS)).await;
    let arrival = one(&app, "bubblehouse", &arrivals, "/name", "Points Updated").await;
    assert!(arrival.path.ends_with("/hook/SendEvent1"), "{}", arrival.path);
    assert_eq!(arrival.json()["customer"]["shopid"], "ana");
    verify("Authorization", arrival, &secret, true);
    app.stop().await;
}

async fn an_outcome_settles_a_delivery_or_has_it_sent_again(app: TestApp) {
    let receiver = Receiver::start().await;
    let made = endpoint(&app, &receiver.url, "bubblehouse", &["points.earned"], None).await;
    let id = made["id"].as_str().unwrap();
    receiver.says(r#"{"outcome":"failure"}"#);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let log = app.deliveries(id).await;
    assert_eq!((&log[0]["status"], &log[0]["tries"]), (&"pending".into(), &1.into()), "{log:?}");
    receiver.says(r#"{"outcome":"skipped"}"#);
    app.advance(60).await;
    assert_eq!(app.deliveries(id).await[0]["status"], "delivered");
    receiver.says(r#"{"outcome":"unsubscribed"}"#);
    app.send(&order("o2", "ana", "24.50")).await.expect(200);
    app.advance(24 * 3600).await;
    assert_eq!(receiver.arrivals().len(), 3, "what will never be taken is sent once");
    let delivery = app.delivery(app.deliveries(id).await[0]["id"].as_str().unwrap()).await;
    assert_eq!(delivery["status"], "failed");
    assert!(delivery["attempts"][0]["error"].as_str().unwrap().contains("unsubscribed"), "{delivery}");
    app.stop().await;
}

async fn a_move_of_points_is_told_once_by_the_name_that_was_asked_for(app: TestApp) {
    let receiver = Receiver::start().await;
    receiver.says(r#"{"outcome":"sent"}"#);
    let both = ["Points Updated", "Points Earned"];
    let made = endpoint(&app, &receiver.url, "bubblehouse", &both, None).await;
    let asked = made["events"].as_array().unwrap();
    assert!(asked.contains(&"points.adjusted".into()) && asked.contains(&"Points Earned".into()), "{made}");
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    let given = json!({ "amount": 5, "reason": "A present" });
    app.post("/v1/chains/harvest/members/ana/points", &given).await.expect(200);
    app.advance(0).await;
    let names: Vec<_> = receiver.arrivals().iter().map(|arrival| arrival.json()["name"].clone()).collect();
    assert_eq!(names, ["Points Earned", "Points Updated"]);
    let path = format!("/v1/chains/harvest/endpoints/{}", made["id"].as_str().unwrap());
    let refused = app.patch(&path, &json!({ "dialect": "loyali" })).await.expect(422);
    assert_eq!(refused["field"], "dialect", "{refused}");
    app.stop().await;
}

const TWO_WALLETS: &str = "name = \"Harvest\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n\
     [[wallets]]\ncode = \"points\"\n[[wallets]]\ncode = \"stars\"\n";
const EARN_BOTH: &str = "rule \"Points\" on order.completed { award(order.total); }\n\
     rule \"A star\" on order.completed { award_to(1, \"stars\"); }\n";

/// A receiver that knows one balance is told of one wallet.
#[actix_web::test]
async fn of_several_wallets_a_filter_tells_of_one() {
    let app = TestApp::start_with(Backend::Sqlite, |config| {
        let folder = config.rules.join("harvest");
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("program.toml"), TWO_WALLETS).unwrap();
        std::fs::write(folder.join("a.rhai"), EARN_BOTH).unwrap();
    })
    .await;
    let mut told = Vec::new();
    for (dialect, filtered) in [("loyali", false), ("loyali", true), ("bubblehouse", true)] {
        let receiver = Receiver::start().await;
        receiver.says(r#"{"outcome":"sent"}"#);
        let filter = filtered.then(|| json!({ "points.*": "event.wallet == \"points\"" }));
        let body = json!({ "url": receiver.url, "dialect": dialect, "events": ["*"], "filter": filter });
        app.post("/v1/chains/harvest/endpoints", &body).await.expect(201);
        told.push(receiver);
    }
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let amounts = |receiver: &Receiver, at: &str| {
        let arrivals = receiver.arrivals();
        let amounts = arrivals.iter().filter_map(|arrival| arrival.json().pointer(at)?.as_i64());
        amounts.collect::<Vec<_>>()
    };
    assert_eq!(amounts(&told[0], "/data/amount"), [24, 1]);
    assert_eq!(amounts(&told[1], "/data/amount"), [24]);
    assert_eq!(amounts(&told[2], "/extra_props/BH_Points"), [24]);
    assert!(told.iter().all(|receiver| !receiver.arrivals().is_empty()));
    app.stop().await;
}

async fn what_is_accepted_by_a_receiver_who_wants_no_more_is_delivered(app: TestApp) {
    let receiver = Receiver::start().await;
    let (id, _) = app.endpoint(&receiver.url, &["points.earned"]).await;
    receiver.answer([Scripted { status: 200, headers: vec![("webhook-delivery", "disable".to_owned())] }]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let path = format!("/v1/chains/harvest/endpoints/{id}");
    app.until("a disabled endpoint", async || {
        Some(app.get(&path).await.expect(200)).filter(|shown| shown["status"] == "disabled")
    })
    .await;
    assert_eq!(app.deliveries(&id).await[0]["status"], "delivered");
    app.stop().await;
}

async fn what_a_dialect_cannot_say_is_refused(app: TestApp) {
    let path = "/v1/chains/harvest/endpoints";
    let url = "http://127.0.0.1:9000/";
    for (body, field) in [
        (json!({ "url": url, "dialect": "morse", "events": ["*"] }), "dialect"),
        (json!({ "url": url, "events": ["*", "SEGMENT_ENTERED"] }), "events[1]"),
        (json!({ "url": url, "dialect": "bubblehouse", "events": ["menu_item.*"] }), "events[0]"),
        (json!({ "url": url, "events": ["*"], "secret": OWN }), "secret"),
        (
            json!({ "url": url, "dialect": "bubblehouse", "events": ["*"], "headers": { "authorization": "x" } }),
            "headers",
        ),
    ] {
        let refused = app.post(path, &body).await.expect(422);
        assert_eq!(refused["field"], field, "{refused}");
    }
    let named = ["SEGMENT_ENTERED", "GUEST_AT_RISK", "segment.entered"];
    let made = endpoint(&app, url, "guestiq", &named, Some(OWN)).await;
    assert_eq!(made["events"], json!(["segment.entered", "member.at_risk"]));
    let path = format!("{path}/{}", made["id"].as_str().unwrap());
    let refused =
        app.request(awc::http::Method::PATCH, &path, &[], br#"{"dialect":"standard"}"#.to_vec()).await;
    assert_eq!(refused.expect(422)["field"], "dialect", "its secret is a text");
    let changed =
        app.request(awc::http::Method::PATCH, &path, &[], br#"{"dialect":"loyali"}"#.to_vec()).await;
    assert_eq!(changed.expect(200)["dialect"], "loyali");
    app.stop().await;
}
