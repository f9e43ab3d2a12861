//! Referrals: one member brings another, and both have something of it, once.

use awc::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Receiver, TestApp, on_both_backends, order, refund};

on_both_backends! {
    a_first_order_approves_a_referral_and_both_sides_are_rewarded_once,
    a_limit_of_the_sender_holds_when_many_are_approved_at_once,
    a_referral_goes_with_the_order_that_approved_it_and_both_lose_what_it_brought_once,
    what_people_approved_and_what_the_program_lets_stay_outlives_its_order,
    nobody_takes_the_key_of_a_senders_reward,
    people_approve_and_reject_and_time_expires,
    what_cannot_be_referred_has_a_name,
}

const REFERRALS: &str = r#"
[referrals]
minimum = 15
expires_after_days = 30
limit = 3
link = "https://example.com/join/{code}"
[referrals.sender]
award = 1000
[referrals.receiver]
award = 300
"#;

async fn with(app: &mut TestApp, more: &str) {
    let file = app.rules().join("harvest/program.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}\n{more}")).unwrap();
    app.restart_with(|_| ()).await;
}

fn of(member: &str, what: &str) -> String {
    format!("/v1/chains/harvest/members/{member}/{what}")
}

/// A sender who was here before; answers their code.
async fn sender(app: &TestApp, member: &str) -> String {
    app.send(&order(&format!("first-{member}"), member, "5.00")).await.expect(200);
    let shown = app.get(&of(member, "referral")).await.expect(200);
    shown["code"].as_str().unwrap().to_owned()
}

async fn new_member(app: &TestApp, member: &str) {
    app.post("/v1/chains/harvest/members", &json!({ "id": member })).await.expect(201);
}

async fn refer(app: &TestApp, member: &str, code: &str) -> crate::support::app::Reply {
    app.post(&of(member, "referral"), &json!({ "code": code, "channel": "friend" })).await
}

async fn points(app: &TestApp, member: &str) -> i64 {
    app.get(&of(member, "")[..of(member, "").len() - 1]).await.expect(200)["points"].as_i64().unwrap()
}

async fn status(app: &TestApp, member: &str) -> Value {
    app.get(&of(member, "referral")).await.expect(200)["received"]["status"].clone()
}

async fn rewarded(app: &TestApp, member: &str, times: i64) {
    let look = async || {
        let shown = app.get(&of(member, "referral")).await.expect(200);
        (shown["rewarded"] == times).then_some(())
    };
    app.until("the sender is rewarded", look).await;
}

async fn a_first_order_approves_a_referral_and_both_sides_are_rewarded_once(mut app: TestApp) {
    with(&mut app, REFERRALS).await;
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["referral.*"]).await;
    let code = sender(&app, "ben").await;
    let before = points(&app, "ben").await;
    let owner =
        app.get(&format!("/v1/chains/harvest/referral_codes/{}", code.to_lowercase())).await.expect(200);
    assert_eq!(owner["code"], json!(code));
    new_member(&app, "ana").await;
    let keyed = [("idempotency-key", "join-1"), ("content-type", "application/json")];
    let body = json!({ "code": code, "channel": "friend" }).to_string().into_bytes();
    for duplicate in [false, true] {
        let answer =
            app.request(Method::POST, &of("ana", "referral"), &keyed, body.clone()).await.expect(200);
        assert_eq!(answer["duplicate"], duplicate);
    }
    app.send(&order("small", "ana", "14.99")).await.expect(200);
    assert_eq!(status(&app, "ana").await, "pending");
    let low = points(&app, "ana").await;
    let large = app.send(&order("large", "ana", "15.00")).await.expect(200);
    assert!(large["events"].to_string().contains("referral.approved"), "{large}");
    assert!(points(&app, "ana").await >= low + 300 + 15);
    rewarded(&app, "ben", 1).await;
    assert_eq!(points(&app, "ben").await, before + 1000);
    app.send(&order("more", "ana", "50.00")).await.expect(200);
    app.restart_with(|_| ()).await;
    app.advance(60).await;
    assert_eq!(points(&app, "ben").await, before + 1000, "once");
    let mut told: Vec<_> = crm
        .arrivals()
        .iter()
        .map(|arrival| {
            let data = arrival.json()["data"].clone();
            (arrival.kind(), data["role"].clone(), data["referred_user"].clone())
        })
        .collect();
    told.sort_by_key(|(kind, role, _)| (kind.clone(), role.to_string()));
    assert_eq!(
        told,
        [
            ("referral.approved".to_owned(), json!("receiver"), json!(true)),
            ("referral.approved".to_owned(), json!("sender"), json!(false)),
            ("referral.created".to_owned(), json!("receiver"), json!(true)),
        ]
    );
    let sent = app.get(&of("ben", "referrals")).await.expect(200);
    assert_eq!(
        (&sent["items"][0]["status"], sent["items"].as_array().unwrap().len()),
        (&json!("approved"), 1)
    );
    let events = app.get("/v1/chains/harvest/source_events").await.expect(200);
    let followed =
        events["items"].as_array().unwrap().iter().filter(|event| event["type"] == "referral.reward");
    assert_eq!(followed.count(), 1);
    app.stop().await;
}

async fn a_limit_of_the_sender_holds_when_many_are_approved_at_once(mut app: TestApp) {
    with(&mut app, REFERRALS).await;
    let code = sender(&app, "ben").await;
    let before = points(&app, "ben").await;
    let members: Vec<_> = (0..8).map(|n| format!("new{n}")).collect();
    for member in &members {
        new_member(&app, member).await;
        refer(&app, member, &code).await.expect(200);
    }
    let orders = members.iter().map(|member| {
        let order = order(&format!("o-{member}"), member, "20.00");
        let app = &app;
        async move { app.send(&order).await.expect(200) }
    });
    join_all(orders).await;
    let done = async || {
        let told = app.get("/v1/chains/harvest/events?type=referral.approved&limit=100").await.expect(200);
        (told["items"].as_array().unwrap().len() == 16).then_some(())
    };
    app.until("both sides of eight are told", done).await;
    assert_eq!(points(&app, "ben").await, before + 3_000);
    new_member(&app, "late").await;
    assert_eq!(refer(&app, "late", &code).await.expect(409)["code"], "referral_limit_reached");
    app.stop().await;
}

fn cancel(key: &str, order: &str, member: &str) -> Value {
    json!({ "key": key, "type": "order.cancelled", "occurred_at": "2026-03-03T19:00:00Z",
        "member": { "id": member }, "data": { "order_id": order } })
}

async fn a_referral_goes_with_the_order_that_approved_it_and_both_lose_what_it_brought_once(
    mut app: TestApp,
) {
    let prized = REFERRALS.replace("award = 1000", "award = 1000\ncoupon = \"thanks\"");
    let book = "[[coupon_books]]\nid = \"thanks\"\ndiscount_type = \"free_item\"\n";
    with(&mut app, &format!("{prized}{book}")).await;
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["referral.*", "coupon.*"]).await;
    let code = sender(&app, "ben").await;
    let before = points(&app, "ben").await;
    new_member(&app, "ana").await;
    refer(&app, "ana", &code).await.expect(200);
    app.send(&order("large", "ana", "20.00")).await.expect(200);
    rewarded(&app, "ben", 1).await;
    assert_eq!(points(&app, "ben").await, before + 1000);
    let ana = points(&app, "ana").await;
    app.send(&refund("r1", "large", "19.00")).await.expect(200);
    assert_eq!(status(&app, "ana").await, "approved", "something of the order is left");
    app.send(&refund("r2", "large", "1.00")).await.expect(200);
    assert_eq!(status(&app, "ana").await, "revoked");
    assert!(points(&app, "ana").await <= ana - 300);
    rewarded(&app, "ben", 0).await;
    assert_eq!(points(&app, "ben").await, before);
    let coupons = app.get(&of("ben", "coupons")).await.expect(200);
    assert_eq!(coupons["items"], json!([]));
    let (ana, ben) = (points(&app, "ana").await, points(&app, "ben").await);
    app.send(&cancel("c1", "large", "ana")).await.expect(200);
    app.send(&order("another", "ana", "20.00")).await.expect(200);
    app.restart_with(|_| ()).await;
    app.advance(60).await;
    assert_eq!((points(&app, "ana").await, points(&app, "ben").await), (ana + 20, ben), "once");
    assert_eq!(status(&app, "ana").await, "revoked", "and for good");
    let told = |kind: &str| -> Vec<Value> {
        let arrivals = crm.arrivals();
        let of_kind = arrivals.iter().filter(|told| told.kind() == kind);
        let mut roles: Vec<_> = of_kind.map(|told| told.json()["data"]["role"].clone()).collect();
        roles.sort_by_key(Value::to_string);
        roles
    };
    assert_eq!(told("referral.revoked"), ["receiver", "sender"]);
    assert_eq!(told("coupon.withdrawn").len(), 1);
    app.verify();
    app.stop().await;
}

async fn what_people_approved_and_what_the_program_lets_stay_outlives_its_order(mut app: TestApp) {
    with(&mut app, REFERRALS).await;
    let code = sender(&app, "ben").await;
    for member in ["ana", "cem"] {
        new_member(&app, member).await;
        refer(&app, member, &code).await.expect(200);
    }
    app.post(&of("ana", "referral/approve"), &json!({})).await.expect(200);
    app.send(&order("o-ana", "ana", "20.00")).await.expect(200);
    app.send(&cancel("c-ana", "o-ana", "ana")).await.expect(200);
    assert_eq!(status(&app, "ana").await, "approved");
    app.send(&order("o-cem", "cem", "20.00")).await.expect(200);
    rewarded(&app, "ben", 2).await;
    let file = app.rules().join("harvest/program.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("[referrals]", "[referrals]\nrevoke_on_refund = false")).unwrap();
    app.restart_with(|_| ()).await;
    app.send(&cancel("c-cem", "o-cem", "cem")).await.expect(200);
    app.advance(60).await;
    assert_eq!(status(&app, "cem").await, "approved");
    rewarded(&app, "ben", 2).await;
    app.stop().await;
}

async fn nobody_takes_the_key_of_a_senders_reward(mut app: TestApp) {
    with(&mut app, REFERRALS).await;
    let code = sender(&app, "ben").await;
    new_member(&app, "ana").await;
    refer(&app, "ana", &code).await.expect(200);
    let shown = app.get(&of("ana", "referral")).await.expect(200);
    let key = format!("referral:{}", shown["received"]["referral_id"].as_str().unwrap());
    let visit = json!({ "key": key, "type": "visit", "member": { "id": "eve" }, "data": {} });
    assert_eq!(app.send(&visit).await.expect(422)["field"], "key");
    let mut keyless = visit;
    keyless.as_object_mut().unwrap().remove("key");
    let keyed = [("idempotency-key", &*key), ("content-type", "application/json")];
    for (path, body) in [
        ("/v1/chains/harvest/events".to_owned(), keyless),
        (of("ana", "points"), json!({ "amount": 1, "reason": "x" })),
    ] {
        app.request(Method::POST, &path, &keyed, body.to_string().into_bytes()).await.expect(422);
    }
    app.send(&order("large", "ana", "15.00")).await.expect(200);
    rewarded(&app, "ben", 1).await;
    app.stop().await;
}

async fn people_approve_and_reject_and_time_expires(mut app: TestApp) {
    with(&mut app, REFERRALS).await;
    let code = sender(&app, "ben").await;
    for member in ["ana", "cem", "dora"] {
        new_member(&app, member).await;
        refer(&app, member, &code).await.expect(200);
    }
    app.post(&of("ana", "referral/approve"), &json!({})).await.expect(200);
    rewarded(&app, "ben", 1).await;
    let again = app.post(&of("ana", "referral/approve"), &json!({})).await.expect(409);
    assert_eq!(again["code"], "referral_not_pending");
    app.post(&of("cem", "referral/reject"), &json!({ "reason": "Same household" })).await.expect(200);
    app.send(&order("o-cem", "cem", "20.00")).await.expect(200);
    assert_eq!(status(&app, "cem").await, "rejected");
    app.advance(30 * 86_400 + 1).await;
    assert_eq!(status(&app, "dora").await, "expired");
    app.send(&json!({ "key": "o-dora", "type": "order.completed", "member": { "id": "dora" },
        "data": { "order_id": "o-dora", "total": "20.00" } }))
        .await
        .expect(200);
    assert_eq!(status(&app, "dora").await, "expired");
    let shown = app.get(&of("ben", "referral")).await.expect(200);
    assert_eq!(shown["rewarded"], 1);
    assert_eq!(shown["link"], format!("https://example.com/join/{code}"));
    app.stop().await;
}

async fn what_cannot_be_referred_has_a_name(mut app: TestApp) {
    new_member(&app, "ana").await;
    assert_eq!(refer(&app, "ana", "7MKQX3TB9WZC").await.expect(409)["code"], "no_referrals");
    with(&mut app, REFERRALS).await;
    let code = sender(&app, "ben").await;
    assert_eq!(refer(&app, "ana", "7MKQX3TB9WZC").await.expect(409)["code"], "unknown_referral_code");
    assert_eq!(refer(&app, "ben", &code).await.expect(409)["code"], "self_referral");
    let shopper = sender(&app, "cem").await;
    assert_eq!(refer(&app, "cem", &code).await.expect(409)["code"], "not_a_new_member");
    assert_eq!(app.post(&of("ana", "referral/approve"), &json!({})).await.expect(409)["code"], "no_referral");
    refer(&app, "ana", &code).await.expect(200);
    assert_eq!(refer(&app, "ana", &shopper).await.expect(409)["code"], "already_referred");
    assert_eq!(app.get("/v1/chains/harvest/referral_codes/NOBODYS").await.status, 404);
    let forged = json!({ "key": "x", "type": "referral.reward", "member": { "id": "ben" },
        "data": { "referral": "ref_00000000000000000000000009", "receiver_id": "ana" } });
    app.send(&forged).await.expect(422);
    app.stop().await;
}
