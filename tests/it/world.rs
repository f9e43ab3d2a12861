//! Everything that happens besides orders.

use serde_json::{Value, json};

use crate::support::{Receiver, TestApp, on_both_backends};

on_both_backends! {
    what_is_on_offer_reaches_endpoints_without_any_member,
    a_session_recognises_a_member_and_signals_are_handed_on,
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

async fn a_session_recognises_a_member_and_signals_are_handed_on(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["session.*", "signal.*", "member.identified"]).await;
    let event = |kind: &str, at: &str, data: Value| json!({ "type": kind, "occurred_at": at, "member": { "card": "7001" }, "data": data });
    let first = json!({ "session_id": "s1", "channel": "kiosk" });
    app.send(&event("session.started", "2026-03-03T18:00:00Z", first)).await.expect(200);
    let tap = json!({ "name": "nfc_tap", "data": { "table": 7 } });
    app.send(&event("signal", "2026-03-03T18:01:00Z", tap)).await.expect(200);
    app.send(&event("session.ended", "2026-03-03T18:05:12Z", json!({ "session_id": "s1" })))
        .await
        .expect(200);
    let second = json!({ "session_id": "s2", "confidence": 0.7 });
    app.send(&event("session.started", "2026-03-03T18:10:00Z", second)).await.expect(200);
    app.advance(0).await;
    let told = |kind: &str| -> Vec<Value> {
        let arrivals = crm.arrivals();
        let of_kind = arrivals.iter().filter(|arrival| arrival.kind() == kind);
        let mut data: Vec<Value> = of_kind.map(|arrival| arrival.json()["data"].clone()).collect();
        data.iter_mut().for_each(|data| _ = data.as_object_mut().unwrap().remove("source_event"));
        data.sort_by_key(ToString::to_string);
        data
    };
    assert_eq!(told("session.ended"), [json!({ "session_id": "s1", "duration_seconds": 312 })]);
    assert_eq!(told("signal.received"), [json!({ "name": "nfc_tap", "data": { "table": 7 } })]);
    let identified = told("member.identified");
    assert_eq!(identified.len(), 2);
    let of = |session: &str| identified.iter().find(|data| data["session_id"] == session).unwrap();
    assert_eq!(
        of("s1"),
        &json!({ "identified_via": "card", "confidence": 1, "is_returning": false, "session_id": "s1" })
    );
    assert_eq!((&of("s2")["confidence"], &of("s2")["is_returning"]), (&json!(0.7), &json!(true)));
    let by_phone = json!({ "type": "session.started", "member": { "card": "7001", "phone": "+15551234567" },
        "data": { "session_id": "s2" } });
    app.send(&by_phone).await.expect(200);
    let ours = app.get("/v1/chains/harvest/members/7001").await.expect(200);
    let by_phone = json!({ "type": "session.started", "member": { "phone": "+15551234567" }, "data": { "session_id": "s2" } });
    app.send(&by_phone).await.expect(200);
    app.advance(0).await;
    assert_eq!(told("session.started").len(), 2, "the same session started once");
    let mut via: Vec<_> =
        told("member.identified").iter().map(|told| told["identified_via"].to_string()).collect();
    via.sort();
    assert_eq!(via, ["\"card\"", "\"card\"", "\"card\"", "\"phone\""], "a card wins over a phone");
    let shown: Vec<_> =
        ours["identities"].as_array().unwrap().iter().map(|i| (&i["kind"], &i["is_primary"])).collect();
    assert_eq!(shown, [(&json!("card"), &json!(true)), (&json!("phone"), &json!(false))]);
    let bad =
        event("session.started", "2026-03-03T18:10:00Z", json!({ "session_id": "s3", "confidence": 2 }));
    assert_eq!(app.send(&bad).await.expect(422)["field"], "data.confidence");
    app.stop().await;
}
