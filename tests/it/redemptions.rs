//! Rewards redeemed over HTTP, by many at once and step by step.

use awc::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::app::Reply;
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    from super::with_rewards;
    a_redemption_goes_from_wish_to_hand_over,
    a_stock_of_ten_is_redeemed_ten_times_by_two_hundred_at_once,
    a_limit_per_member_holds_on_many_connections_at_once,
    what_is_cancelled_gives_points_stock_and_old_expiry_back,
    what_is_not_fulfilled_in_time_expires_by_itself,
    what_an_erased_member_redeemed_is_there_for_others_again,
    a_redemption_asked_for_twice_under_one_key_is_made_once,
    a_till_may_redeem_and_only_a_manager_may_approve,
}

const REWARDS: &str = r#"
[[wallets]]
code = "points"
expiry = "90 days"

[[rewards]]
id = "coffee"
title = "A free coffee"
type = "digital"
cost = 20

[[rewards]]
id = "mug"
title = "A blue mug"
type = "physical"
cost = 20
stock = 10
limit_per_member = 2
expires_after_days = 7
auto_approve = false
"#;

async fn with_rewards(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| {
        let manifest = config.rules.join("harvest/program.toml");
        let mut text = std::fs::read_to_string(&manifest).unwrap();
        text.push_str(REWARDS);
        std::fs::write(manifest, text).unwrap();
    })
    .await
}

async fn redeem(app: &TestApp, member: &str, reward: &str) -> Reply {
    app.post(&format!("/v1/chains/harvest/members/{member}/redemptions"), &json!({ "reward": reward })).await
}

async fn redeemed(app: &TestApp, member: &str, reward: &str) -> String {
    let receipt = redeem(app, member, reward).await.expect(200);
    redemption(&receipt)["redemption_id"].as_str().unwrap().to_owned()
}

/// Where the redemption stands after a command, as its receipt says.
fn redemption(receipt: &Value) -> &Value {
    let events = receipt["events"].as_array().unwrap();
    let of_redemption = |event: &&Value| event["type"].as_str().unwrap().starts_with("redemption.");
    &events.iter().rfind(of_redemption).unwrap()["data"]
}

async fn step(app: &TestApp, id: &str, step: &str, body: &Value) -> Reply {
    app.post(&format!("/v1/chains/harvest/redemptions/{id}/{step}"), body).await
}

async fn member(app: &TestApp, member: &str) -> Value {
    app.get(&format!("/v1/chains/harvest/members/{member}")).await.expect(200)
}

/// Gives each of these members points to spend.
async fn with_points(app: &TestApp, members: impl IntoIterator<Item = String>) {
    let members: Vec<_> = members.into_iter().collect();
    for group in members.chunks(20) {
        let orders: Vec<_> =
            group.iter().map(|member| order(&format!("o-{member}"), member, "50.00")).collect();
        for answer in join_all(orders.iter().map(|order| app.send(order))).await {
            answer.expect(200);
        }
    }
}

async fn a_redemption_goes_from_wish_to_hand_over(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["redemption.*", "points.redeemed"]).await;
    with_points(&app, ["ana".to_owned()]).await;
    let receipt = redeem(&app, "ana", "mug").await.expect(200);
    assert_eq!(redemption(&receipt)["status"], "pending");
    let id = redemption(&receipt)["redemption_id"].as_str().unwrap();
    assert!(id.starts_with("rdm_"), "{receipt}");
    for (asked, body, status) in
        [("approve", json!({}), "approved"), ("fulfill", json!({ "code": "PARCEL-7" }), "fulfilled")]
    {
        let receipt = step(&app, id, asked, &body).await.expect(200);
        assert_eq!(redemption(&receipt), &json!({ "redemption_id": id, "reward": "mug", "status": status }));
    }
    let again = step(&app, id, "approve", &json!({})).await.expect(409);
    assert_eq!(again["code"], "redemption_not_pending");
    let shown = app.get(&format!("/v1/chains/harvest/redemptions/{id}")).await.expect(200);
    assert_eq!(shown["reward"], json!({ "id": "mug", "title": "A blue mug", "type": "physical" }));
    assert_eq!((&shown["status"], &shown["code"]), (&json!("fulfilled"), &json!("PARCEL-7")));
    for path in ["members/ana/redemptions", "redemptions", "redemptions?status=fulfilled"] {
        let list = app.get(&format!("/v1/chains/harvest/{path}")).await.expect(200);
        assert_eq!(list["items"], json!([shown]), "{path}");
    }
    let none = app.get("/v1/chains/harvest/redemptions?status=pending").await.expect(200);
    assert_eq!(none["items"], json!([]));
    app.advance(0).await;
    let mut kinds = crm.kinds();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "points.redeemed",
            "redemption.approved",
            "redemption.created",
            "redemption.fulfilled",
            "redemption.pending"
        ]
    );
    app.stop().await;
}

async fn a_stock_of_ten_is_redeemed_ten_times_by_two_hundred_at_once(app: TestApp) {
    let guests: Vec<_> = (0..200).map(|n| format!("guest-{n}")).collect();
    with_points(&app, guests.clone()).await;
    let answers = join_all(guests.iter().map(|guest| redeem(&app, guest, "mug"))).await;
    let (mut got, mut refused) = (0, 0);
    for answer in answers {
        match answer.status {
            200 => got += 1,
            _ => {
                assert_eq!(answer.expect(409)["code"], "out_of_stock");
                refused += 1;
            }
        }
    }
    assert_eq!((got, refused), (10, 190));
    let mut spent = 0;
    for guest in &guests {
        spent += 50 - member(&app, guest).await["points"].as_i64().unwrap();
    }
    assert_eq!(spent, 10 * 20, "whoever got none keeps their points");
    app.stop().await;
}

async fn a_limit_per_member_holds_on_many_connections_at_once(app: TestApp) {
    app.send(&order("o1", "ana", "500.00")).await.expect(200);
    let answers = join_all((0..8).map(|_| redeem(&app, "ana", "mug"))).await;
    let mut codes: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    codes.sort_unstable();
    assert_eq!(codes, [200, 200, 409, 409, 409, 409, 409, 409]);
    assert!(answers.iter().filter(|a| a.status == 409).all(|a| a.json()["code"] == "reward_limit_reached"));
    app.stop().await;
}

async fn what_is_cancelled_gives_points_stock_and_old_expiry_back(app: TestApp) {
    with_points(&app, ["ana".to_owned()]).await;
    let before = member(&app, "ana").await["wallets"].clone();
    assert!(!before.is_null());
    for (asked, reason) in [("cancel", "Changed my mind"), ("reject", "Sold out in the shop")] {
        let id = redeemed(&app, "ana", "mug").await;
        app.advance(3_600).await;
        let receipt = step(&app, &id, asked, &json!({ "reason": reason })).await.expect(200);
        assert_eq!(receipt["member"]["points"], 50);
        let shown = app.get(&format!("/v1/chains/harvest/redemptions/{id}")).await.expect(200);
        assert_eq!(shown["reason"], reason);
    }
    assert_eq!(member(&app, "ana").await["wallets"], before);
    let guests: Vec<_> = (0..10).map(|n| format!("guest-{n}")).collect();
    with_points(&app, guests.clone()).await;
    for guest in &guests {
        redeem(&app, guest, "mug").await.expect(200);
    }
    assert_eq!(redeem(&app, "ana", "mug").await.expect(409)["code"], "out_of_stock");
    app.stop().await;
}

async fn what_is_not_fulfilled_in_time_expires_by_itself(app: TestApp) {
    with_points(&app, ["ana".to_owned()]).await;
    let id = redeemed(&app, "ana", "mug").await;
    let status =
        async || app.get(&format!("/v1/chains/harvest/redemptions/{id}")).await.expect(200)["status"].clone();
    app.advance(7 * 86_400 - 1).await;
    assert_eq!(status().await, "pending");
    app.advance(1).await;
    assert_eq!(status().await, "expired");
    assert_eq!(member(&app, "ana").await["points"], 50);
    app.stop().await;
}

async fn what_an_erased_member_redeemed_is_there_for_others_again(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["redemption.cancelled", "points.returned", "member.erased"]).await;
    with_points(&app, (0..6).map(|n| format!("g{n}"))).await;
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(redeemed(&app, &format!("g{}", n / 2), "mug").await);
    }
    assert_eq!(redeem(&app, "g5", "mug").await.expect(409)["code"], "out_of_stock");
    step(&app, &ids[0], "approve", &json!({})).await.expect(200);
    let gone = "/v1/chains/harvest/members/g0";
    app.request(Method::DELETE, gone, &[], Vec::new()).await.expect(200);
    app.verify();
    for id in &ids[..2] {
        let shown = app.get(&format!("/v1/chains/harvest/redemptions/{id}")).await.expect(200);
        assert_eq!(
            (&shown["status"], &shown["reason"]),
            (&json!("cancelled"), &json!("the member was erased"))
        );
    }
    for _ in 0..2 {
        redeem(&app, "g5", "mug").await.expect(200);
    }
    assert_eq!(redeem(&app, "g5", "coffee").await.expect(409)["code"], "insufficient_points");
    app.advance(8 * 86_400).await;
    app.verify();
    let erased =
        crm.arrivals().into_iter().map(|arrival| arrival.json()).find(|told| told["type"] == "member.erased");
    assert_eq!(erased.unwrap()["data"]["points"][0]["balance"], 50, "what came back is gone, too");
    assert_eq!(crm.kinds().iter().filter(|kind| **kind == "redemption.cancelled").count(), 2);
    app.stop().await;
}

async fn a_redemption_asked_for_twice_under_one_key_is_made_once(app: TestApp) {
    app.send(&order("o1", "ana", "25.00")).await.expect(200);
    let path = "/v1/chains/harvest/members/ana/redemptions";
    let headers = [("idempotency-key", "tap-7"), ("content-type", "application/json")];
    let body = json!({ "reward": "coffee" }).to_string().into_bytes();
    let first = app.request(Method::POST, path, &headers, body.clone()).await.expect(200);
    let again = app.request(Method::POST, path, &headers, body).await.expect(200);
    assert_eq!((&again["events"], &again["duplicate"]), (&first["events"], &json!(true)));
    assert_eq!(redemption(&first)["status"], "approved");
    assert_eq!(member(&app, "ana").await["points"], 5);
    let other = json!({ "reward": "mug" }).to_string().into_bytes();
    let reused = app.request(Method::POST, path, &headers, other.clone()).await.expect(409);
    assert_eq!(reused["code"], "key_reused");
    // What was refused is not kept: the same key may ask again when it can be.
    let headers = [("idempotency-key", "tap-8"), ("content-type", "application/json")];
    for _ in 0..2 {
        let refused = app.request(Method::POST, path, &headers, other.clone()).await.expect(409);
        assert_eq!(refused["code"], "insufficient_points");
    }
    app.send(&order("o2", "ana", "25.00")).await.expect(200);
    assert_eq!(app.request(Method::POST, path, &headers, other).await.expect(200)["duplicate"], false);
    app.stop().await;
}

async fn a_till_may_redeem_and_only_a_manager_may_approve(app: TestApp) {
    app.send(&order("o1", "ana", "500.00")).await.expect(200);
    let id = redeemed(&app, "ana", "mug").await;
    for (role, may_redeem, may_approve, may_list) in
        [("ingest", 200, 403, 403), ("viewer", 403, 403, 200), ("manager", 200, 200, 200)]
    {
        let key = json!({ "role": role, "chain": "harvest", "name": role });
        let made = app.post("/v1/keys", &key).await.expect(201);
        let bearer = format!("Bearer {}", made["key"].as_str().unwrap());
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let ask = async |method, path: &str, body: Value| {
            let path = format!("/v1/chains/harvest/{path}");
            let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
            app.request(method, &path, &headers, body).await.status
        };
        let wish = json!({ "reward": "coffee" });
        assert_eq!(ask(Method::POST, "members/ana/redemptions", wish).await, may_redeem, "{role}");
        assert_eq!(ask(Method::GET, "redemptions", Value::Null).await, may_list, "{role}");
        assert_eq!(ask(Method::GET, &format!("redemptions/{id}"), Value::Null).await, 200, "{role}");
        let approve = format!("redemptions/{id}/approve");
        assert_eq!(ask(Method::POST, &approve, json!({})).await, may_approve, "{role}");
    }
    let unknown = "rdm_00000000000000000000000007";
    assert_eq!(step(&app, unknown, "approve", &json!({})).await.status, 404);
    for (path, body) in [("approve", json!({ "code": "x" })), ("cancel", json!({ "why": "x" }))] {
        assert_eq!(step(&app, &id, path, &body).await.status, 422, "{path}");
    }
    app.stop().await;
}
