//! Tiers under a policy, walked through its year by the test clock.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    from super::monthly;
    a_tier_is_reached_kept_warned_of_and_lost,
    a_tier_is_kept_by_what_comes_in_the_grace,
    people_give_tiers_and_take_them_away,
}

const PROGRAM: &str = r#"
name = "Acme"
timezone = "America/New_York"
currency = "USD"
[[tiers]]
id = "member"
name = "Member"
[[tiers]]
id = "vip"
name = "Very important"
threshold = 100
[tier_policy]
metric = "spend"
period = "calendar"
every = "month"
downgrade = "one_step"
grace_days = 5
warn_days = 3
"#;

/// A chain of which no rule starts on anything: the engine moves its tiers by itself.
async fn monthly(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| {
        std::fs::create_dir(config.rules.join("acme")).unwrap();
        std::fs::write(config.rules.join("acme/program.toml"), PROGRAM).unwrap();
    })
    .await
}

const DAY: i64 = 24 * 3600;
const ANA: &str = "/v1/chains/acme/members/ana";

async fn listen(app: &TestApp) -> Receiver {
    let crm = Receiver::start().await;
    let endpoint = json!({ "url": crm.url, "events": ["tier.*"] });
    app.post("/v1/chains/acme/endpoints", &endpoint).await.expect(201);
    crm
}

async fn spend(app: &TestApp, key: &str, at: &str, total: &str) -> Value {
    let mut event = order(key, "ana", total);
    event["occurred_at"] = json!(at);
    app.post("/v1/chains/acme/events", &event).await.expect(200)
}

async fn a_tier_is_reached_kept_warned_of_and_lost(app: TestApp) {
    let crm = listen(&app).await;
    let receipt = spend(&app, "o1", "2026-03-03T18:30:00Z", "100.00").await;
    assert_eq!(receipt["member"]["tier"], "vip");
    let progress = app.get(ANA).await.expect(200)["tier_progress"].clone();
    let expected = json!({ "metric": "spend", "value": 100.0, "to_remain": 0.0, "period_end": "2026-04-01" });
    assert_eq!(progress, expected);
    app.advance(58 * DAY).await; // 30 April: March was enough for April
    assert_eq!(crm.kinds(), ["tier.upgraded"]);
    app.advance(2 * DAY).await; // 2 May: April was not, and the grace has begun
    assert_eq!(crm.kinds(), ["tier.upgraded"]);
    let ana = app.get(ANA).await.expect(200);
    assert_eq!((&ana["tier"], &ana["tier_progress"]["grace_until"]), (&json!("vip"), &json!("2026-05-06")));
    app.advance(DAY).await;
    assert_eq!(crm.kinds(), ["tier.upgraded", "tier.will_downgrade"]);
    let warning = crm.arrivals().pop().unwrap().json();
    assert_eq!(warning["timestamp"], "2026-05-03T04:00:00Z", "at the very start of the day");
    let vip = json!({ "id": "vip", "name": "Very important" });
    let danger = json!({ "tier": vip, "metric": "spend", "missing": 100, "on": "2026-05-06" });
    assert_eq!(warning["data"], danger);
    app.advance(2 * DAY).await;
    assert_eq!(crm.kinds().len(), 2, "warned once, and not lost before its time");
    app.advance(DAY).await;
    assert_eq!(crm.kinds(), ["tier.upgraded", "tier.will_downgrade", "tier.downgraded"]);
    let lost = crm.arrivals().pop().unwrap().json();
    assert_eq!(lost["timestamp"], "2026-05-06T04:00:00Z");
    assert_eq!((&lost["data"]["previous_tier"], &lost["data"]["new_tier"]["id"]), (&vip, &json!("member")));
    app.advance(60 * DAY).await;
    assert_eq!(crm.kinds().len(), 3, "the lowest tier cannot be lost");
    app.stop().await;
}

async fn a_tier_is_kept_by_what_comes_in_the_grace(app: TestApp) {
    let crm = listen(&app).await;
    spend(&app, "o1", "2026-03-03T18:30:00Z", "100.00").await;
    app.advance(60 * DAY).await;
    spend(&app, "o2", "2026-05-02T18:00:00Z", "100.00").await;
    app.advance(10 * DAY).await;
    assert_eq!(crm.kinds(), ["tier.upgraded"]);
    assert_eq!(app.get(ANA).await.expect(200)["tier"], "vip");
    app.stop().await;
}

async fn people_give_tiers_and_take_them_away(app: TestApp) {
    let crm = listen(&app).await;
    spend(&app, "o1", "2026-03-03T18:30:00Z", "1.00").await;
    let path = format!("{ANA}/tier");
    for (body, status, code) in [
        (json!({ "tier": "gold", "reason": "x" }), 409, "unknown_tier"),
        (json!({ "tier": "vip" }), 422, "invalid_field"),
        (json!({ "tier": "vip", "reason": "x", "until": "2026-03-03T18:30:00Z" }), 409, "until_has_passed"),
    ] {
        assert_eq!(app.post(&path, &body).await.expect(status)["code"], code, "{body}");
    }
    let clear = async || app.request(Method::DELETE, &path, &[], Vec::new()).await;
    assert_eq!(clear().await.expect(409)["code"], "no_manual_tier");
    let gift = json!({ "tier": "vip", "reason": "The mayor", "until": "2026-04-10T12:00:00Z" });
    assert_eq!(app.post(&path, &gift).await.expect(200)["member"]["tier"], "vip");
    let tiers = async || {
        let ana = app.get(ANA).await.expect(200);
        ["tier", "manual_tier", "system_tier"].map(|key| ana[key].as_str().unwrap_or("-").to_owned())
    };
    assert_eq!(tiers().await, ["vip", "vip", "member"]);
    app.advance(37 * DAY).await; // 9 April
    assert_eq!(tiers().await, ["vip", "vip", "member"]);
    app.advance(DAY).await;
    assert_eq!(tiers().await, ["member", "-", "member"]);
    assert_eq!(crm.kinds(), ["tier.upgraded", "tier.downgraded"]);
    assert_eq!(crm.arrivals().pop().unwrap().json()["timestamp"], "2026-04-10T12:00:00Z");
    app.post(&path, &json!({ "tier": "vip", "reason": "Again" })).await.expect(200);
    clear().await.expect(200);
    assert_eq!(tiers().await, ["member", "-", "member"]);
    app.stop().await;
}

mod by_conditions {
    use super::*;

    on_both_backends! {
        from super::with_conditions;
        a_tier_is_reached_at_once_and_reviewed_on_the_first_of_the_month,
    }

    /// Nothing but the review wakes a member.
    const PROGRAM: &str = r#"
name = "Acme"
timezone = "America/New_York"
currency = "USD"
tiers = ["member", "vip"]
endpoints = ["crm"]
[celebrations]
birthdays = false
anniversaries = false
"#;

    const RULES: &str = r#"
tier "vip"
when member.spend_in(20.days) >= 100
keep when member.spend_in(20.days) >= 50;
"#;

    pub(super) async fn with_conditions(backend: Backend) -> TestApp {
        TestApp::start_with(backend, |config| {
            std::fs::create_dir(config.rules.join("acme")).unwrap();
            std::fs::write(config.rules.join("acme/program.toml"), PROGRAM).unwrap();
            std::fs::write(config.rules.join("acme/tiers.rhai"), RULES).unwrap();
        })
        .await
    }

    async fn a_tier_is_reached_at_once_and_reviewed_on_the_first_of_the_month(app: TestApp) {
        let program = "/v1/chains/acme/program";
        assert_eq!(app.get(program).await.expect(200)["unheard_tags"], json!(["crm"]));
        let crm = Receiver::start().await;
        let endpoint = json!({ "url": crm.url, "events": ["tier.*"], "tags": ["crm"] });
        app.post("/v1/chains/acme/endpoints", &endpoint).await.expect(201);
        assert_eq!(app.get(program).await.expect(200)["unheard_tags"], json!([]));

        spend(&app, "o1", "2026-03-03T18:30:00Z", "99.00").await;
        let mut next = order("o2", "ana", "0.50");
        next["occurred_at"] = json!("2026-03-03T18:30:00Z");
        let forecast = app.post("/v1/chains/acme/events/dry_run", &next).await.expect(200);
        let because = json!([{
            "part": "member.spend_in(20.days) >= 100",
            "values": [{ "of": "member.spend_in(20.days)", "is": "99.50" }],
        }]);
        assert_eq!(forecast["tiers"][0]["because"], because, "{forecast}");
        let receipt = spend(&app, "o3", "2026-03-03T18:30:00Z", "1.00").await;
        assert_eq!(
            (&receipt["member"]["tier"], &receipt["effects"][0]["at"]),
            (&json!("vip"), &json!("tiers.rhai:2"))
        );

        app.advance(25 * DAY).await; // 28 March
        spend(&app, "o4", "2026-03-28T18:30:00Z", "50.00").await;
        app.advance(10 * DAY).await;
        assert_eq!(crm.kinds(), ["tier.upgraded"], "50 dollars kept it on the first of April");
        app.advance(20 * DAY).await;
        assert_eq!(crm.kinds(), ["tier.upgraded"], "nothing happens between two reviews");
        app.advance(10 * DAY).await;
        assert_eq!(crm.kinds(), ["tier.upgraded", "tier.downgraded"]);
        assert_eq!(app.get(ANA).await.expect(200)["tier"], "member");
        app.verify();
        app.stop().await;
    }
}
