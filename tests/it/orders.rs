//! Orders that change, are cancelled and go back, over HTTP and with what receivers hear of it.

use serde_json::{Value, json};

use crate::support::{Backend, Receiver, TestApp, on_both_backends, order, visit};

on_both_backends! {
    snapshots_in_any_order_of_arrival_come_to_the_newest,
    a_cancelled_order_takes_everything_back_whoever_brings_it,
    an_order_without_a_guest_follows_its_version,
    refunds_by_line_and_in_full_take_their_share_once,
    twenty_refunds_at_once_take_back_what_the_order_earned,
    a_claimed_order_stays_its_claimers_whatever_comes_of_it,
    what_overtook_its_order_without_a_guest_takes_effect_when_the_order_comes,
    a_refund_that_names_its_guest_by_our_id_is_theirs_before_its_order_comes,
    receivers_hear_of_orders_with_everything_the_till_said,
}

on_both_backends! { from super::with_terms; what_earns_and_what_is_taken_back_is_the_programs_to_say }

/// The sample chain, where tax and drinks do not earn, and a visit spends 15 points.
async fn with_terms(backend: Backend) -> TestApp {
    let edit = |path: std::path::PathBuf, change: &dyn Fn(String) -> String| {
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, change(text)).unwrap();
    };
    TestApp::start_with(backend, |config| {
        let folder = config.rules.join("harvest");
        edit(folder.join("program.toml"), &|text| {
            text + "\n[earning]\ntax = false\nexcluded_categories = [\"drink\"]\n[refunds]\nclawback = \"within_balance\"\n"
        });
        edit(folder.join("earning.rhai"), &|text| {
            let text = text.replace("award(order.total * POINTS", "award(order.eligible * POINTS");
            text + "\nrule \"Spend\" on visit { deduct(15); }\n"
        });
    })
    .await
}

/// An event about order `o1` of nobody in particular; its key is what it says.
fn event(kind: &str, mut data: Value) -> Value {
    let key: String = format!("{kind} {} {data}", data["version"]).chars().take(100).collect();
    data["order_id"] = json!("o1");
    json!({ "key": key, "type": kind, "occurred_at": "2026-03-03T18:30:00Z", "data": data })
}

fn of(member: &str, mut event: Value) -> Value {
    event["member"] = json!({ "id": member });
    event
}

async fn points(app: &TestApp, member: &str) -> i64 {
    let member = app.get(&format!("/v1/chains/harvest/members/{member}")).await.expect(200);
    member["points"].as_i64().unwrap_or_else(|| panic!("points in {member}"))
}

async fn snapshots_in_any_order_of_arrival_come_to_the_newest(app: TestApp) {
    let snapshot = |kind, version: i64, total: i64| {
        of("ana", event(kind, json!({ "total": total, "version": version })))
    };
    for (event, balance) in [
        (snapshot("order.updated", 3, 30), 0),
        (snapshot("order.created", 1, 10), 0),
        (snapshot("order.completed", 2, 20), 30),
        (snapshot("order.updated", 5, 12), 12),
        (snapshot("order.updated", 4, 99), 12),
        (snapshot("order.completed", 6, 15), 15),
    ] {
        let receipt = app.send(&event).await.expect(200);
        assert_eq!(
            (&receipt["status"], &receipt["member"]["points"]),
            (&json!("processed"), &json!(balance)),
            "{receipt}"
        );
        if balance == 0 && event["data"]["version"] == 1 {
            assert!(receipt["notes"][0].as_str().unwrap().contains("as new or newer"), "{receipt}");
        }
    }
    app.stop().await;
}

async fn a_cancelled_order_takes_everything_back_whoever_brings_it(app: TestApp) {
    app.send(&of("ana", event("order.completed", json!({ "total": 10, "version": 1 })))).await.expect(200);
    app.send(&visit("v1", "ben", "2026-03-03T18:30:00Z")).await.expect(200);
    let cancelled = of("ben", event("order.cancelled", json!({ "version": 2, "reason": "kitchen on fire" })));
    let receipt = app.send(&cancelled).await.expect(200);
    assert_eq!(
        (&receipt["member"]["id"], &receipt["member"]["points"]),
        (&json!("ana"), &json!(0)),
        "{receipt}"
    );
    assert_eq!(receipt["effects"][0]["effect"], "take_back");
    assert_eq!(app.send(&cancelled).await.expect(200)["duplicate"], true);
    app.stop().await;
}

async fn an_order_without_a_guest_follows_its_version(app: TestApp) {
    app.send(&of("ana", event("order.created", json!({ "total": 10, "version": 1 })))).await.expect(200);
    let receipt = app.send(&event("order.completed", json!({ "total": 10, "version": 2 }))).await.expect(200);
    assert_eq!(
        (&receipt["member"]["id"], &receipt["member"]["points"]),
        (&json!("ana"), &json!(10)),
        "{receipt}"
    );
    let receipt = app.send(&event("order.updated", json!({ "total": 8, "version": 3 }))).await.expect(200);
    assert_eq!(receipt["member"]["points"], 8, "{receipt}");
    let mut unknown = event("order.updated", json!({ "total": 8, "version": 3 }));
    unknown["data"]["order_id"] = json!("o2");
    unknown["key"] = json!("o2");
    assert_eq!(app.send(&unknown).await.expect(200)["status"], "parked");
    app.stop().await;
}

async fn refunds_by_line_and_in_full_take_their_share_once(app: TestApp) {
    let items = json!([{ "sku": "soup", "price": 6, "quantity": 2 }, { "sku": "bread", "price": 3 }]);
    app.send(&of("ana", event("order.completed", json!({ "total": 30, "items": items })))).await.expect(200);
    for (data, balance) in [
        (json!({ "items": [{ "sku": "soup", "quantity": 1 }] }), 18),
        (json!({ "items": [{ "line": 2 }] }), 12),
        (json!({ "items": [{ "line": 9 }] }), 12),
        (json!({ "full": true }), 0),
        (json!({ "amount": 5 }), 0),
    ] {
        let receipt = app.send(&event("order.refunded", data)).await.expect(200);
        assert_eq!(receipt["member"]["points"], balance, "{receipt}");
    }
    let both = app.send(&event("order.refunded", json!({ "full": true, "amount": 1 }))).await;
    assert_eq!(both.expect(422)["field"], "data");
    app.stop().await;
}

async fn twenty_refunds_at_once_take_back_what_the_order_earned(app: TestApp) {
    app.send(&of("ana", event("order.completed", json!({ "total": 100 })))).await.expect(200);
    app.send(&order("other", "ana", "50")).await.expect(200);
    let refunds: Vec<_> = (0..20)
        .map(|n| {
            let mut refund = event("order.refunded", json!({ "amount": "7.77" }));
            refund["key"] = json!(format!("r{n}"));
            refund
        })
        .collect();
    let replies = futures_util::future::join_all(refunds.iter().map(|refund| app.send(refund))).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(points(&app, "ana").await, 50);
    app.stop().await;
}

async fn what_earns_and_what_is_taken_back_is_the_programs_to_say(app: TestApp) {
    let items = json!([{ "category": "drink", "price": 10 }, { "category": "food", "price": 20 }]);
    let data = json!({ "total": 33, "tax": 3, "items": items });
    let receipt = app.send(&of("ana", event("order.completed", data))).await.expect(200);
    assert_eq!(receipt["member"]["points"], 20, "{receipt}");
    app.send(&visit("v1", "ana", "2026-03-03T18:30:00Z")).await.expect(200);
    let receipt = app.send(&event("order.refunded", json!({ "full": true }))).await.expect(200);
    assert_eq!(receipt["member"]["points"], 0, "{receipt}");
    assert!(receipt["notes"][0].as_str().unwrap().contains("5 of 20"), "{receipt}");
    app.stop().await;
}

async fn claim(app: &TestApp, member: &str, code: &str) -> crate::support::app::Reply {
    app.post(&format!("/v1/chains/harvest/members/{member}/claims"), &json!({ "code": code })).await
}

async fn a_claimed_order_stays_its_claimers_whatever_comes_of_it(app: TestApp) {
    for guest in ["ana", "ben"] {
        app.send(&visit(&format!("v-{guest}"), guest, "2026-03-03T18:30:00Z")).await.expect(200);
    }
    let data = json!({ "total": 20, "receipt_code": "R-1" });
    let parked = app.send(&event("order.created", data.clone())).await.expect(200);
    assert_eq!(parked["status"], "parked");
    claim(&app, "ana", "o1").await.expect(200);
    let before = points(&app, "ana").await;
    let receipt = app.send(&event("order.completed", data)).await.expect(200);
    assert_eq!(
        (&receipt["status"], &receipt["member"]["id"]),
        (&json!("processed"), &json!("ana")),
        "{receipt}"
    );
    assert_eq!(points(&app, "ana").await, before + 20);
    for code in ["o1", "R-1"] {
        assert_eq!(claim(&app, "ben", code).await.expect(409)["code"], "claimed_by_another", "{code}");
        assert_eq!(claim(&app, "ana", code).await.expect(409)["code"], "already_claimed", "{code}");
    }
    app.stop().await;
}

async fn what_overtook_its_order_without_a_guest_takes_effect_when_the_order_comes(app: TestApp) {
    let of_order = |n: usize, mut event: Value| {
        (event["data"]["order_id"], event["key"]) =
            (json!(format!("x{n}")), json!(format!("{n} {}", event["key"])));
        event
    };
    let mut later = event("order.updated", json!({ "total": 5 }));
    later["occurred_at"] = json!("2026-03-03T18:31:00Z");
    let early = [
        (vec![event("order.refunded", json!({ "full": true }))], 0),
        (vec![event("order.cancelled", json!({ "reason": "closed" }))], 0),
        (vec![later.clone()], 5),
        (vec![event("order.refunded", json!({ "amount": 1 })), later], 4),
    ];
    for (n, (early, balance)) in early.into_iter().enumerate() {
        let guest = format!("guest-{n}");
        for event in early {
            assert_eq!(app.send(&of_order(n, event)).await.expect(200)["status"], "parked");
        }
        let order = of_order(n, of(&guest, event("order.completed", json!({ "total": 10 }))));
        app.send(&order).await.expect(200);
        let took_effect = async || (points(&app, &guest).await == balance).then_some(());
        app.until("what came too early takes effect", took_effect).await;
        app.advance(0).await;
        assert_eq!(points(&app, &guest).await, balance, "{n}");
        let left = app.get("/v1/chains/harvest/source_events?status=parked").await.expect(200);
        assert_eq!(left["items"], json!([]), "{n}");
    }
    app.verify();
    app.stop().await;
}

async fn a_refund_that_names_its_guest_by_our_id_is_theirs_before_its_order_comes(app: TestApp) {
    app.send(&visit("v", "ana", "2026-03-03T18:30:00Z")).await.expect(200);
    let ana = app.get("/v1/chains/harvest/members/ana").await.expect(200);
    let refund = of(ana["member_id"].as_str().unwrap(), event("order.refunded", json!({ "full": true })));
    let receipt = app.send(&refund).await.expect(200);
    assert_eq!((&receipt["status"], &receipt["member"]["id"]), (&json!("processed"), &json!("ana")));
    let before = points(&app, "ana").await;
    app.send(&of("ana", event("order.completed", json!({ "total": 10 })))).await.expect(200);
    assert_eq!(points(&app, "ana").await, before);
    app.stop().await;
}

async fn receivers_hear_of_orders_with_everything_the_till_said(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["order.*"]).await;
    let mut data = json!({
        "total": 24.5, "version": 1, "session_id": "sess_xyz789", "status": "placed", "delivery_fee": 2, "gift_card": 1,
        "service_charge": "0.50", "experience_details": { "experience_id": "exp_7", "guests": 2 },
        "items": [
            { "sku": "dish_001", "name": "Power Bowl", "quantity": 2, "price": 7, "customized": true },
            { "name": "Soup", "quantity": 0.35, "price": 10 },
        ],
    });
    let mut created = of("ana", event("order.created", data.clone()));
    created["location"] = json!("loc_philly_walnut");
    app.send(&created).await.expect(200);
    data["version"] = json!(2);
    data["status"] = json!("payment_captured");
    app.send(&of("ana", event("order.updated", data))).await.expect(200);
    app.send(&event("order.cancelled", json!({ "version": 3, "reason": "closed" }))).await.expect(200);
    app.advance(0).await;
    let mut heard: Vec<_> = crm.arrivals().iter().map(|arrival| arrival.json()).collect();
    heard.sort_by_key(|message| message["data"]["version"].as_i64());
    let kinds: Vec<_> = heard.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["order.created", "order.updated", "order.cancelled"]);
    let told = &heard[0]["data"];
    for (field, value) in [
        ("order_id", json!("o1")),
        ("item_count", json!(3)),
        ("session_id", json!("sess_xyz789")),
        ("status", json!("placed")),
        ("location", json!("loc_philly_walnut")),
        ("service_charge", json!(0.5)),
        ("experience_details", json!({ "experience_id": "exp_7", "guests": 2 })),
    ] {
        assert_eq!(told[field], value, "{field} in {told}");
    }
    assert_eq!(told["items"][0]["customized"], true);
    assert_eq!(heard[1]["data"]["status"], "payment_captured");
    assert_eq!(heard[2]["data"]["reason"], "closed");
    app.stop().await;
}
