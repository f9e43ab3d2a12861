//! Achievements: earned, shown, taken back, whatever happens in between.

use serde_json::{Value, json};

use crate::support::{Receiver, TestApp, on_both_backends, order, refund, visit};

on_both_backends! {
    an_achievement_is_earned_shown_and_revoked_with_what_it_brought,
    a_coupon_that_an_achievement_brought_goes_with_it_unless_it_was_used,
    an_achievement_brings_its_points_although_its_coupon_cannot_be_given,
    a_streak_that_is_not_continued_breaks_by_itself,
}

const ACHIEVEMENTS: &str = r#"
[[achievements]]
id = "foodie"
name = "Two bowls"
counts = "items"
category = "food"
target = 2
tell_progress = true
award = 500
revoke_on_refund = true

[[achievements]]
id = "weekly"
counts = "streak"
unit = "week"
target = 2
"#;

/// Declares more in the program of the sample chain, and starts with it.
async fn with(app: &mut TestApp, more: &str) {
    let file = app.rules().join("harvest/program.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let others: Vec<_> = text.lines().filter(|line| !line.starts_with("achievements")).collect();
    let plain = "[[achievements]]\nid = \"regular\"\n[[achievements]]\nid = \"five-weeks\"\n";
    std::fs::write(&file, format!("{}\n{plain}{more}", others.join("\n"))).unwrap();
    app.restart_with(|_| ()).await;
}

async fn shown(app: &TestApp, id: &str) -> Value {
    let all = app.get("/v1/chains/harvest/members/ana/achievements").await.expect(200);
    let items = all["items"].as_array().unwrap();
    items.iter().find(|item| item["achievement"] == id).unwrap().clone()
}

async fn points(app: &TestApp) -> i64 {
    app.get("/v1/chains/harvest/members/ana").await.expect(200)["points"].as_i64().unwrap()
}

async fn an_achievement_is_earned_shown_and_revoked_with_what_it_brought(mut app: TestApp) {
    with(&mut app, ACHIEVEMENTS).await;
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["achievement.*"]).await;
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    assert_eq!(shown(&app, "foodie").await["progress"], json!(1));
    let before = points(&app).await;
    let second = order("o2", "ana", "10.00");
    app.send(&second).await.expect(200);
    let earned = points(&app).await;
    assert!(earned >= before + 500, "{before} {earned}");
    assert_eq!(app.send(&second).await.expect(200)["duplicate"], true);
    let foodie = shown(&app, "foodie").await;
    assert_eq!((&foodie["times"], &foodie["name"]), (&json!(1), &json!("Two bowls")));
    app.send(&refund("r1", "o2", "10.00")).await.expect(200);
    app.send(&refund("r2", "o2", "10.00")).await.expect(200);
    assert_eq!(points(&app).await, before, "all that the order earned is gone, once");
    let foodie = shown(&app, "foodie").await;
    assert_eq!((&foodie["times"], &foodie["earned_at"]), (&json!(0), &Value::Null));
    app.advance(0).await;
    let kinds = crm.kinds();
    let of = |kind: &str| kinds.iter().filter(|told| *told == kind).count();
    assert_eq!((of("achievement.earned"), of("achievement.revoked")), (1, 1), "{kinds:?}");
    assert_eq!(of("achievement.progressed"), 3);
    app.stop().await;
}

async fn a_coupon_that_an_achievement_brought_goes_with_it_unless_it_was_used(mut app: TestApp) {
    let prized = ACHIEVEMENTS.replace("award = 500", "coupon = \"dessert\"\nrecurrence = \"each_time\"");
    let book = "[[coupon_books]]\nid = \"dessert\"\ndiscount_type = \"free_item\"\n";
    with(&mut app, &format!("{prized}{book}")).await;
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["achievement.revoked", "coupon.*"]).await;
    let mut codes = Vec::new();
    for n in 1..=4 {
        let receipt = app.send(&order(&format!("o{n}"), "ana", "10.00")).await.expect(200);
        let told = receipt["events"].as_array().unwrap().iter();
        codes.extend(told.map(|event| event["data"]["code"].clone()).filter(Value::is_string));
    }
    let held = async || {
        let held = app.get("/v1/chains/harvest/members/ana/coupons").await.expect(200);
        held["items"].as_array().unwrap().iter().map(|coupon| coupon["code"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((held().await.len(), codes.len()), (2, 2));
    let used = codes[0].as_str().unwrap();
    let body = json!({ "member": "ana" });
    app.post(&format!("/v1/chains/harvest/coupons/{used}/use"), &body).await.expect(200);
    app.send(&refund("r1", "o1", "10.00")).await.expect(200);
    assert_eq!(held().await, [codes[0].clone()], "the last one that it brought goes first");
    let gone = codes[1].as_str().unwrap();
    let refused = app.post(&format!("/v1/chains/harvest/coupons/{gone}/use"), &body).await.expect(409);
    assert_eq!(refused["code"], "coupon_recipient_does_not_match");
    app.send(&refund("r2", "o2", "10.00")).await.expect(200);
    app.send(&refund("r3", "o3", "10.00")).await.expect(200);
    assert_eq!(held().await, [codes[0].clone()]);
    app.advance(0).await;
    let of = |kind: &str| -> Vec<Value> {
        let arrivals = crm.arrivals();
        let told = arrivals.iter().filter(|told| told.kind() == kind);
        told.map(|told| told.json()["data"].clone()).collect()
    };
    let withdrawn: Vec<_> =
        of("coupon.withdrawn").iter().map(|told| told["coupon"]["code"].clone()).collect();
    assert_eq!(withdrawn, [codes[1].clone()]);
    let mut kept: Vec<_> =
        of("achievement.revoked").iter().map(|told| told["coupons_kept"].to_string()).collect();
    kept.sort();
    assert_eq!(kept, [json!([codes[0]]).to_string(), "null".to_owned()]);
    app.stop().await;
}

async fn an_achievement_brings_its_points_although_its_coupon_cannot_be_given(mut app: TestApp) {
    let prized =
        ACHIEVEMENTS.replace("award = 500", "award = 500\ncoupon = \"dessert\"\nrecurrence = \"each_time\"");
    let book = "[[coupon_books]]\nid = \"dessert\"\ndiscount_type = \"free_item\"\nlimit_per_member = 1\n";
    with(&mut app, &format!("{prized}{book}")).await;
    let mut receipts = Vec::new();
    for n in 1..=4 {
        receipts.push(app.send(&order(&format!("o{n}"), "ana", "10.00")).await.expect(200));
    }
    let last = &receipts[3];
    assert_eq!(shown(&app, "foodie").await["times"], 2);
    assert!(points(&app).await >= 2 * 500 + 40, "{last}");
    assert!(last["notes"][0].as_str().unwrap().contains("as many coupons"), "{last}");
    app.verify();
    app.stop().await;
}

async fn a_streak_that_is_not_continued_breaks_by_itself(mut app: TestApp) {
    with(&mut app, ACHIEVEMENTS).await;
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["streak.*", "achievement.earned"]).await;
    app.send(&visit("v1", "ana", "2026-02-24T12:00:00Z")).await.expect(200);
    app.send(&visit("v2", "ana", "2026-03-03T12:00:00Z")).await.expect(200);
    app.restart_with(|_| ()).await;
    app.advance(12 * 86_400).await;
    assert_eq!(crm.kinds(), ["achievement.earned"], "until the end of the week of the 9th");
    app.advance(86_400).await;
    assert_eq!(crm.kinds(), ["achievement.earned", "streak.broken"]);
    app.advance(40 * 86_400).await;
    assert_eq!(crm.kinds().len(), 2);
    app.stop().await;
}
