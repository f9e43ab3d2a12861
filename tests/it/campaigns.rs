//! Campaigns over HTTP: many guests at once against one budget, what comes back, and what is told of it.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Backend, Receiver, TestApp, on_both_backends, order, refund};

on_both_backends! {
    from super::with_campaigns;
    a_budget_is_given_to_the_last_point_by_two_hundred_at_once,
    what_goes_back_can_be_given_again_and_each_line_names_its_campaign,
    a_dry_run_says_which_rule_counts_and_whose_campaign_has_nothing_left,
}

const CHAIN: &str = "/v1/chains/harvest";

const PROGRAM: &str = r#"
[[campaigns]]
id = "launch"
name = "The launch"
from = 2026-03-01
budget = { total = 1_000, day = 5_000 }
per_member = 60

[[groups]]
id = "bonus"
pick = "most_points"
"#;

const RULES: &str = r#"
rule "Launch" on order.completed campaign "launch" group "bonus" { award(order.total); }
rule "Small" on order.completed group "bonus" { award(1); }
rule "Back" on order.refunded { take_back(); }
"#;

async fn with_campaigns(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| {
        let manifest = config.rules.join("harvest/program.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(manifest, text + PROGRAM).unwrap();
        // The tests of the sample's own rules do not reckon with more points.
        for file in std::fs::read_dir(config.rules.join("harvest")).unwrap().flatten() {
            if file.path().extension().is_some_and(|ending| ending == "rhai") {
                std::fs::remove_file(file.path()).unwrap();
            }
        }
        std::fs::write(config.rules.join("harvest/launch.rhai"), RULES).unwrap();
    })
    .await
}

async fn launch(app: &TestApp) -> Value {
    let campaigns = app.get(&format!("{CHAIN}/program/campaigns")).await.expect(200);
    campaigns["items"][0].clone()
}

/// The lines of a member's ledger that are the campaign's, oldest first: from where, to where, how much.
async fn lines(app: &TestApp, member: &str) -> Vec<(String, i64)> {
    let ledger = app.get(&format!("{CHAIN}/members/{member}/ledger")).await.expect(200);
    let mut lines: Vec<_> = ledger["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["cause"]["campaign"] == "launch")
        .map(|line| (line["cause"]["rule"].as_str().unwrap().to_owned(), line["amount"].as_i64().unwrap()))
        .collect();
    lines.reverse();
    lines
}

async fn a_budget_is_given_to_the_last_point_by_two_hundred_at_once(app: TestApp) {
    let ops = Receiver::start().await;
    app.endpoint(&ops.url, &["campaign.exhausted"]).await;
    // Some of these amounts meet the budget exactly, and some do not.
    let orders: Vec<_> = (0..200)
        .map(|n| order(&format!("o-{n}"), &format!("guest-{}", n % 190), &format!("{}.00", 10 + n % 7)))
        .collect();
    for answer in join_all(orders.iter().map(|order| app.send(order))).await {
        assert_eq!(answer.expect(200)["status"], "processed");
    }
    for answer in join_all(orders.iter().map(|order| app.send(order))).await {
        assert_eq!(answer.expect(200)["duplicate"], true);
    }
    let mut given = 0;
    for n in 0..190 {
        given += lines(&app, &format!("guest-{n}")).await.iter().map(|(_, amount)| amount).sum::<i64>();
    }
    assert_eq!(given, 1_000);
    let shown = launch(&app).await;
    assert_eq!((&shown["given"], &shown["left"]), (&json!(1_000), &json!(0)));
    app.advance(0).await;
    assert_eq!(ops.kinds(), ["campaign.exhausted"]);
    let told = app.get(&format!("{CHAIN}/events?type=campaign.exhausted")).await.expect(200);
    let told = &told["items"][0];
    assert_eq!((&told["data"]["campaign"], &told["data"]["budget"]), (&json!("launch"), &json!(1_000)));
    assert_eq!(told.get("member"), None, "{told}");
    app.verify();
    app.stop().await;
}

async fn what_goes_back_can_be_given_again_and_each_line_names_its_campaign(app: TestApp) {
    let receipt = app.send(&order("o-1", "ana", "50.00")).await.expect(200);
    let of_launch = |receipt: &Value| {
        let effects = receipt["effects"].as_array().unwrap().clone();
        effects.into_iter().filter(|effect| effect["campaign"] == "launch").collect::<Vec<_>>()
    };
    let [effect] = &of_launch(&receipt)[..] else { panic!("{receipt}") };
    assert_eq!((&effect["rule"], &effect["amount"]), (&json!("Launch"), &json!(50)));
    let cut = app.send(&order("o-2", "ana", "50.00")).await.expect(200);
    assert_eq!(of_launch(&cut)[0]["amount"], 10);
    let says =
        "\"Launch\" gave 10 of 50: that was left of campaign `launch`, the 60 that a member may have of it";
    assert_eq!(cut["notes"], json!([says]));
    app.send(&refund("r-1", "o-1", "25.00")).await.expect(200);
    assert_eq!(launch(&app).await["given"], 35);
    app.send(&order("o-3", "ana", "50.00")).await.expect(200);
    let named = |lines: Vec<(String, i64)>| lines.into_iter().map(|(_, amount)| amount).collect::<Vec<_>>();
    assert_eq!(named(lines(&app, "ana").await), [50, 10, 25, 25]);
    let shown = launch(&app).await;
    let caps = (&shown["budget"], &shown["per_member"]);
    assert_eq!(caps, (&json!({ "total": 1_000, "day": 5_000 }), &json!({ "total": 60 })));
    assert_eq!((&shown["given"], &shown["left"]), (&json!(60), &json!(940)));
    assert_eq!((&shown["from"], &shown["to"]), (&json!("2026-03-01"), &json!(null)));
    app.verify();
    app.stop().await;
}

async fn a_dry_run_says_which_rule_counts_and_whose_campaign_has_nothing_left(app: TestApp) {
    let verdicts = async |key: &str| {
        let told =
            app.post(&format!("{CHAIN}/events/dry_run"), &order(key, "ana", "50.00")).await.expect(200);
        let rules = told["rules"].as_array().unwrap().clone();
        ["Launch", "Small"].map(|rule| rules.iter().find(|judged| judged["rule"] == rule).unwrap().clone())
    };
    let [launch, small] = verdicts("try-1").await;
    assert_eq!((&launch["verdict"], &launch["effects"][0]["amount"]), (&json!("fired"), &json!(50)));
    assert_eq!(small["verdict"], "excluded");
    assert_eq!((&small["group"], &small["by"]), (&json!("bonus"), &json!("Launch")));
    for (key, total) in [("o-1", "50.00"), ("o-2", "10.00")] {
        app.send(&order(key, "ana", total)).await.expect(200);
    }
    let [launch, small] = verdicts("try-2").await;
    assert_eq!((&launch["verdict"], &launch["reason"]), (&json!("closed"), &json!("per_member")));
    assert_eq!((&launch["campaign"], &small["verdict"]), (&json!("launch"), &json!("fired")));
    app.stop().await;
}
