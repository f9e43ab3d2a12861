//! Transforms of endpoints: what is sent instead of the message, and what becomes of one that fails.

use serde_json::{Value, json};

use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    from crate::transforms::on_the_system_clock;
    what_a_transform_makes_is_what_is_signed,
}
on_both_backends! {
    what_is_sent_is_exact_and_the_same_in_every_attempt,
    a_transform_that_fails_sends_nothing_is_in_the_log_and_is_tried_again,
    a_transform_that_does_not_check_is_refused_with_its_place,
    a_test_delivery_is_transformed,
}

const CHAIN: &str = "/v1/chains/harvest";
const ENDPOINTS: &str = "/v1/chains/harvest/endpoints";
const ORDER: &str = "#{\n  total: body.data.total,\n  order: body.data.order_id,\n  raw: body.data\n}";

/// As in production: the verifier also judges how old a request is.
async fn on_the_system_clock(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| config.test_clock = None).await
}

/// An endpoint for orders with a transform: its id and secret.
async fn transformed(app: &TestApp, url: &str, dialect: &str, transform: &str) -> (String, String) {
    let body =
        json!({ "url": url, "dialect": dialect, "events": ["order.completed"], "transform": transform });
    let made = app.post(ENDPOINTS, &body).await.expect(201);
    assert_eq!(made["transform"], transform);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

async fn what_a_transform_makes_is_what_is_signed(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, secret) = transformed(&app, &crm.url, "standard", ORDER).await;
    crm.trust_only(&secret);
    let mut event = order("o1", "ana", "24.50");
    event.as_object_mut().unwrap().remove("occurred_at");
    let receipt = app.send(&event).await.expect(200);
    app.until("the delivery", async || {
        app.deliveries(&endpoint).await.iter().all(|d| d["status"] == "delivered").then_some(())
    })
    .await;
    assert_eq!(crm.refusals(), [""; 0]);
    let arrival = crm.arrivals().remove(0);
    let told = receipt["events"].as_array().unwrap().iter().find(|told| told["type"] == "order.completed");
    assert_eq!(told.unwrap()["id"], arrival.id, "the id is still that of the event");
    app.stop().await;
}

async fn what_is_sent_is_exact_and_the_same_in_every_attempt(mut app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = transformed(&app, &crm.url, "standard", ORDER).await;
    crm.answer([500_u16, 500]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    app.restart_with(|_| ()).await;
    app.advance(60 + 300).await;
    let arrivals = crm.arrivals();
    assert_eq!(arrivals.len(), 3);
    assert!(arrivals.iter().all(|arrival| arrival.body == arrivals[0].body));
    let body = String::from_utf8(arrivals[0].body.clone()).unwrap();
    assert!(body.starts_with(r#"{"order":""#) && body.ends_with(r#","total":24.50}"#), "{body}");
    assert!(body.contains(r#""raw":{"#) && body.matches("24.50").count() >= 2, "{body}");
    // Another transform is in force from the next attempt on, and none sends the whole message.
    let path = format!("{ENDPOINTS}/{endpoint}");
    app.patch(&path, &json!({ "transform": "#{ id: body.id }" })).await.expect(200);
    app.send(&order("o2", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let arrival = crm.arrivals().pop().unwrap();
    assert_eq!(arrival.json(), json!({ "id": arrival.id }));
    let cleared = app.patch(&path, &json!({ "transform": null })).await.expect(200);
    assert_eq!(cleared["transform"], Value::Null);
    app.send(&order("o3", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    assert_eq!(crm.arrivals().pop().unwrap().kind(), "order.completed");
    app.stop().await;
}

async fn a_transform_that_fails_sends_nothing_is_in_the_log_and_is_tried_again(app: TestApp) {
    let crm = Receiver::start().await;
    let fails = "let rest = body.data.total - 60;\n#{ share: 100 / rest }";
    let (endpoint, _) = transformed(&app, &crm.url, "standard", fails).await;
    app.send(&order("o1", "ana", "60.00")).await.expect(200);
    app.advance(60).await;
    let entry = app.deliveries(&endpoint).await.remove(0);
    assert_eq!((&entry["status"], &entry["tries"]), (&json!("pending"), &json!(2)), "{entry}");
    let id = entry["id"].as_str().unwrap();
    let attempt = app.delivery(id).await["attempts"][0].clone();
    let error = attempt["error"].as_str().unwrap();
    assert!(error.starts_with("the transform failed, nothing was sent: transform:2:15: "), "{error}");
    assert_eq!((&attempt["status_code"], crm.arrivals().len()), (&Value::Null, 0));
    // Others are not held up, and once it is mended the ladder goes on.
    app.send(&order("o2", "ana", "70.00")).await.expect(200);
    app.advance(0).await;
    assert_eq!(crm.arrivals().remove(0).json()["share"].as_f64(), Some(10.0));
    let mended = json!({ "transform": "#{ total: body.data.total }" });
    app.patch(&format!("{ENDPOINTS}/{endpoint}"), &mended).await.expect(200);
    app.advance(300).await;
    assert_eq!(crm.arrivals().pop().unwrap().body, br#"{"total":60.00}"#.to_vec());
    assert_eq!(app.delivery(id).await["status"], "delivered");
    app.stop().await;
}

async fn a_transform_that_does_not_check_is_refused_with_its_place(app: TestApp) {
    let with = |transform: Value| json!({ "url": "http://127.0.0.1:9000/", "events": ["order.*", "menu_item.*"], "transform": transform });
    for (transform, line, says) in [
        ("#{\n a: bdy.id }", 2, "does not check: transform:2:5: "),
        ("\n#{ a: body.member.id }", 2, "does not check for menu_item."),
        ("body.id", 1, "it must end with what is to be sent"),
    ] {
        let refused = app.post(ENDPOINTS, &with(json!(transform))).await.expect(422);
        let (code, field) = (&refused["code"], &refused["field"]);
        assert_eq!((code, field), (&json!("transform_does_not_check"), &json!("transform")), "{refused}");
        assert_eq!(refused["problems"][0]["line"], line, "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains(says), "{refused}");
    }
    for wrong in [json!(""), json!(5), json!("#{}".repeat(3_000))] {
        assert_eq!(app.post(ENDPOINTS, &with(wrong)).await.expect(422)["field"], "transform");
    }
    let body = json!({ "url": "http://127.0.0.1:9000/", "dialect": "guestiq", "events": ["order.*"], "transform": ORDER });
    assert_eq!(app.post(ENDPOINTS, &body).await.expect(422)["field"], "transform");
    assert_eq!(app.get(ENDPOINTS).await.expect(200)["items"], json!([]), "nothing was stored");

    let (endpoint, _) =
        transformed(&app, "http://127.0.0.1:9000/", "standard", "#{ a: body.member.id }").await;
    for wrong in [json!({ "dialect": "gustaio" }), json!({ "events": ["*"] })] {
        let refused = app.patch(&format!("{ENDPOINTS}/{endpoint}"), &wrong).await.expect(422);
        assert_eq!(refused["field"], "transform", "{refused}");
    }
    app.stop().await;
}

async fn a_test_delivery_is_transformed(app: TestApp) {
    let crm = Receiver::start().await;
    let transform = "#{ id: body.id, guest: #{ name: body.member.id } }";
    let (endpoint, _) = transformed(&app, &crm.url, "flat", transform).await;
    let test = format!("{CHAIN}/endpoints/{endpoint}/test");
    let trial = app.post(&test, &json!({})).await.expect(200);
    let arrival = crm.arrivals().remove(0);
    let sent = arrival.json();
    assert_eq!(trial["request"]["body"], *String::from_utf8_lossy(&arrival.body));
    assert_eq!((sent["id"].as_str(), sent["guest_name"].is_string()), (Some(&*arrival.id), true), "{sent}");
    let refused = app.post(&test, &json!({ "event_type": "menu_item.updated" })).await.expect(422);
    assert_eq!(refused["code"], "transform_does_not_check");
    assert_eq!(crm.arrivals().len(), 1, "nothing was sent");
    app.stop().await;
}
