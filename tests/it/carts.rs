//! Carts that are ordered, and carts that are not.

use serde_json::{Value, json};

use crate::support::{Backend, Receiver, TestApp, on_both_backends};

on_both_backends! {
    from super::with_carts;
    a_cart_without_an_order_is_told_once_after_its_last_change,
    an_order_ends_the_carts_before_it_and_the_one_it_names,
    a_cart_is_waited_for_over_a_restart,
    the_newest_snapshot_of_a_cart_counts_and_an_empty_one_is_nothing_to_tell,
}

const PROGRAM: &str = "name = \"Acme\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n\
                       [carts]\nabandoned_after = \"1h\"\n";
const EVENTS: &str = "/v1/chains/acme/events";
const MINUTE: i64 = 60;

async fn with_carts(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| {
        std::fs::create_dir(config.rules.join("acme")).unwrap();
        std::fs::write(config.rules.join("acme/program.toml"), PROGRAM).unwrap();
    })
    .await
}

async fn listen(app: &TestApp) -> Receiver {
    let crm = Receiver::start().await;
    let endpoint = json!({ "url": crm.url, "events": ["cart.*"] });
    app.post("/v1/chains/acme/endpoints", &endpoint).await.expect(201);
    crm
}

/// What happens to Ana at this moment.
async fn send(app: &TestApp, kind: &str, data: Value) -> Value {
    let event = json!({ "type": kind, "member": { "id": "ana" }, "data": data });
    app.post(EVENTS, &event).await.expect(200)
}

fn cart(id: &str, version: i64, prices: &[&str]) -> Value {
    let items: Vec<_> = prices.iter().map(|price| json!({ "name": "Bowl", "price": price })).collect();
    json!({ "cart_id": id, "version": version, "channel": "web", "session_id": "sess_1", "items": items })
}

fn told(crm: &Receiver) -> Vec<Value> {
    let mut carts: Vec<_> = crm.arrivals().iter().map(|arrival| arrival.json()["data"].clone()).collect();
    carts.sort_by_key(|cart| cart["cart_id"].to_string());
    carts
}

async fn a_cart_without_an_order_is_told_once_after_its_last_change(app: TestApp) {
    let crm = listen(&app).await;
    send(&app, "cart.updated", cart("c1", 1, &["14.50"])).await;
    app.advance(40 * MINUTE).await;
    send(&app, "cart.updated", cart("c1", 2, &["14.50", "5.25"])).await;
    app.advance(59 * MINUTE).await;
    assert_eq!(crm.arrivals().len(), 0, "it changed meanwhile");
    app.advance(MINUTE).await;
    let arrival = crm.arrivals().pop().unwrap().json();
    assert_eq!((&arrival["type"], &arrival["member"]["id"]), (&json!("cart.abandoned"), &json!("ana")));
    let told = &arrival["data"];
    for (field, value) in [
        ("cart_id", json!("c1")),
        ("version", json!(2)),
        ("channel", json!("web")),
        ("session_id", json!("sess_1")),
        ("item_count", json!(2)),
        ("updated_at", json!("2026-03-03T19:10:00Z")),
    ] {
        assert_eq!(told[field], value, "{field}: {arrival}");
    }
    assert_eq!((told["value"].as_f64(), told["items"][1]["price"].as_f64()), (Some(19.75), Some(5.25)));
    let receipt = send(&app, "cart.updated", cart("c1", 3, &["14.50"])).await;
    assert!(receipt["notes"][0].as_str().unwrap().contains("not told again"), "{receipt}");
    app.advance(24 * 60 * MINUTE).await;
    assert_eq!(crm.arrivals().len(), 1);
    app.stop().await;
}

async fn an_order_ends_the_carts_before_it_and_the_one_it_names(app: TestApp) {
    let crm = listen(&app).await;
    send(&app, "cart.updated", cart("c1", 1, &["14.50"])).await;
    app.advance(10 * MINUTE).await;
    send(&app, "order.created", json!({ "order_id": "o1", "total": "14.50" })).await;
    app.advance(10 * MINUTE).await;
    send(&app, "order.completed", json!({ "order_id": "o2", "total": "3.00", "cart_id": "c2" })).await;
    app.advance(10 * MINUTE).await;
    let receipt = send(&app, "cart.updated", cart("c2", 1, &["3.00"])).await;
    assert!(receipt["notes"][0].as_str().unwrap().contains("was ordered"), "{receipt}");
    send(&app, "cart.updated", cart("c3", 1, &["7.00"])).await;
    app.advance(24 * 60 * MINUTE).await;
    let ids: Vec<_> = told(&crm).iter().map(|cart| cart["cart_id"].clone()).collect();
    assert_eq!(ids, ["c3"]);
    app.stop().await;
}

async fn a_cart_is_waited_for_over_a_restart(mut app: TestApp) {
    let crm = listen(&app).await;
    send(&app, "cart.updated", cart("c1", 1, &["14.50"])).await;
    let now = "2026-03-03T19:20:00Z".parse().unwrap();
    app.restart_with(|config| config.test_clock = Some(now)).await;
    app.advance(9 * MINUTE).await;
    assert_eq!(crm.arrivals().len(), 0);
    app.advance(MINUTE).await;
    assert_eq!(told(&crm)[0]["cart_id"], "c1");
    app.stop().await;
}

async fn the_newest_snapshot_of_a_cart_counts_and_an_empty_one_is_nothing_to_tell(app: TestApp) {
    let crm = listen(&app).await;
    send(&app, "cart.updated", cart("c1", 2, &["14.50"])).await;
    let receipt = send(&app, "cart.updated", cart("c1", 1, &["99.00"])).await;
    assert!(receipt["notes"][0].as_str().unwrap().contains("as new or newer"), "{receipt}");
    send(&app, "cart.updated", cart("c2", 1, &["14.50"])).await;
    send(&app, "cart.updated", cart("c2", 2, &[])).await;
    let shown = app.get("/v1/chains/acme/members/ana").await.expect(200)["carts"].clone();
    assert_eq!(shown.as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!(
        (&shown[0]["cart_id"], &shown[0]["updated_at"]),
        (&json!("c1"), &json!("2026-03-03T18:30:00Z"))
    );
    for (data, field) in [
        (json!({ "items": [] }), "data.cart_id"),
        (json!({ "cart_id": "c", "version": -1 }), "data.version"),
        (json!({ "cart_id": "c", "total": -1 }), "data.total"),
        (json!({ "cart_id": "c", "url": "x" }), "data.url"),
    ] {
        let bad = json!({ "type": "cart.updated", "member": { "id": "ana" }, "data": data });
        assert_eq!(app.post(EVENTS, &bad).await.expect(422)["field"], field);
    }
    app.advance(24 * 60 * MINUTE).await;
    let told = told(&crm);
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["cart_id"], &told[0]["value"].as_f64()), (&json!("c1"), &Some(14.5)));
    let shown = app.get("/v1/chains/acme/members/ana").await.expect(200);
    assert_eq!(shown["carts"], json!([]), "what was told is waited for no longer");
    app.stop().await;
}
