//! Members over time: tiers, rhythm, at risk, and back.

use crate::support::{Receiver, TestApp, on_both_backends, order, visit};

on_both_backends! {
    a_weekly_guest_who_stays_away_is_at_risk_and_comes_back,
    spending_lifts_a_member_through_the_tiers,
    an_anniversary_that_is_told_late_runs_no_night_again,
}

async fn a_weekly_guest_who_stays_away_is_at_risk_and_comes_back(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["member.*"]).await;
    for (n, day) in ["2026-02-03", "2026-02-10", "2026-02-17", "2026-02-24", "2026-03-03"].iter().enumerate()
    {
        app.send(&visit(&format!("v{n}"), "ana", &format!("{day}T18:00:00Z"))).await.expect(200);
    }
    app.advance(10 * 24 * 3600).await;
    assert_eq!(crm.kinds(), ["member.enrolled"], "ten days are nothing unusual yet");
    app.advance(20 * 24 * 3600).await;
    assert_eq!(crm.kinds(), ["member.enrolled", "member.at_risk"]);
    let at_risk = crm.arrivals().pop().unwrap().json();
    assert_eq!(at_risk["data"]["typical_gap_days"], 7);
    assert_eq!(at_risk["data"]["risk_level"], "MEDIUM");
    assert_eq!(at_risk["data"]["recommended_actions"], serde_json::json!(["Send a win-back offer"]));
    let member = app.get("/v1/chains/harvest/members/ana").await.expect(200);
    assert_eq!((&member["status"], &member["risk_level"]), (&"at_risk".into(), &"MEDIUM".into()));
    app.send(&visit("v9", "ana", "2026-04-02T18:00:00Z")).await.expect(200);
    app.advance(0).await;
    assert_eq!(crm.kinds().last().map(String::as_str), Some("member.reactivated"));
    app.stop().await;
}

async fn spending_lifts_a_member_through_the_tiers(app: TestApp) {
    let crm = Receiver::start().await;
    app.endpoint(&crm.url, &["tier.*"]).await;
    for n in 0..10 {
        app.send(&order(&format!("o{n}"), "ana", "100.00")).await.expect(200);
    }
    app.advance(0).await;
    let mut moves: Vec<_> =
        crm.arrivals().iter().map(|a| a.json()["data"]["new_tier"]["id"].to_string()).collect();
    moves.sort();
    assert_eq!(moves, ["\"gold\"", "\"silver\""]);
    app.advance(420 * 24 * 3600).await;
    let member = app.get("/v1/chains/harvest/members/ana").await.expect(200);
    assert_ne!(member["tier"], "gold", "the review looks at the last twelve months");
    app.stop().await;
}

async fn an_anniversary_that_is_told_late_runs_no_night_again(app: TestApp) {
    let program = |anniversaries: bool| {
        let manifest = format!(
            "name = \"Harvest\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n\
             [celebrations]\nanniversaries = {anniversaries}\n"
        );
        let rules = "rule \"Night\" on tick.daily { award(1); }";
        serde_json::json!({ "files": { "program.toml": manifest, "rules.rhai": rules } })
    };
    let publish = "/v1/chains/harvest/program/publish";
    app.post(publish, &program(false)).await.expect(201);
    app.send(&visit("v1", "ana", "2026-03-03T18:00:00Z")).await.expect(200);
    app.advance(366 * 24 * 3600).await;
    let points =
        async || app.get("/v1/chains/harvest/members/ana").await.expect(200)["points"].as_i64().unwrap();
    assert_eq!(points().await, 366);
    app.post(publish, &program(true)).await.expect(201);
    app.send(&visit("v2", "ana", "2027-03-04T18:00:00Z")).await.expect(200);
    app.advance(1).await;
    let told = app.get("/v1/chains/harvest/events?type=member.anniversary").await.expect(200);
    assert_eq!(told["items"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(points().await, 366);
    app.stop().await;
}
