//! Everything that happens besides orders.

use serde_json::{Value, json};

use crate::support::{Receiver, TestApp, on_both_backends};

on_both_backends! {
    what_is_on_offer_reaches_endpoints_without_any_member,
}

async fn what_is_on_offer_reaches_endpoints_without_any_member(app: TestApp) {
    let pos = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&pos.url, &["menu_item.*", "experience.deleted"]).await;
    let bowl = json!({ "id": "dish_001", "price": 14.50, "allergens": ["sesame"] });
    let event = json!({ "key": "menu-7", "type": "menu_item.update", "data": bowl });
    let receipt = app.send(&event).await.expect(200);
    assert_eq!((&receipt["status"], &receipt["member"]), (&json!("processed"), &Value::Null));
    assert_eq!(receipt["events"][0]["type"], "menu_item.updated");
    let again = app.send(&event).await.expect(200);
    assert_eq!((&again["id"], &again["duplicate"]), (&receipt["id"], &json!(true)));
    for kind in ["experience.created", "experience.deleted"] {
        app.send(&json!({ "type": kind, "data": { "id": "exp_7" } })).await.expect(200);
    }
    app.advance(0).await;
    let mut kinds = pos.kinds();
    kinds.sort();
    assert_eq!(kinds, ["experience.deleted", "menu_item.updated"]);
    let arrival = pos.arrivals().into_iter().find(|a| a.kind() == "menu_item.updated").unwrap().json();
    assert_eq!(arrival["data"], json!({ "menu_item": bowl, "source_event": "menu-7" }));
    assert!(arrival.get("member").is_none(), "{arrival}");
    let log = app.deliveries(&endpoint).await;
    assert!(log.iter().all(|d| d["status"] == "delivered" && d["member"].is_null()), "{log:?}");
    let told = app.get("/v1/chains/harvest/events?type=menu_item.updated").await.expect(200);
    assert_eq!(told["items"].as_array().map(Vec::len), Some(1));
    app.stop().await;
}
