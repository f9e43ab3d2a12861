//! What /metrics says, held against docs/metrics.md.

use std::collections::BTreeSet;

use awc::http::Method;
use serde_json::json;

use crate::support::builders::START;
use crate::support::{Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    every_metric_is_in_the_page_and_every_metric_of_the_page_is_served,
    requests_are_counted_by_their_route_and_never_by_their_path,
    what_alerts_watch_is_there_before_it_happens,
    what_was_never_cleared_can_be_told_from_what_is_not_kept_for_a_time,
}

const PAGE: &str = include_str!("../../docs/metrics.md");

async fn metrics(app: &TestApp) -> String {
    let answer = app.get("/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.text
}

async fn every_metric_is_in_the_page_and_every_metric_of_the_page_is_served(app: TestApp) {
    let down = Receiver::start().await;
    down.answer([500]);
    app.endpoint(&down.url, &["order.completed"]).await;
    app.send(&order("o1", "ana", "5.00")).await.expect(200);
    let stranger = ("authorization", "Bearer nobody-knows-this-key");
    app.request(Method::GET, "/v1/chains", &[stranger], Vec::new()).await.expect(401);
    app.advance(0).await;
    app.advance(3_600).await; // the first sweep
    let text = app
        .until("the first count of what is owed", async || {
            Some(metrics(&app).await).filter(|text| text.contains("\npunchcard_open_deliveries{"))
        })
        .await;
    let served: BTreeSet<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .filter(|(name, _)| text.lines().any(|line| line.starts_with(name)))
        .collect();
    let cell = |cell: &'static str| cell.trim().trim_matches('`');
    let written: BTreeSet<(&str, &str)> = PAGE
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(cell).collect::<Vec<_>>())
        .map(|cells| (cells[1], cells[2]))
        .collect();
    let missing: Vec<_> = served.difference(&written).collect();
    let gone: Vec<_> = written.difference(&served).collect();
    assert!(missing.is_empty(), "served and not written down: {missing:?}");
    assert!(gone.is_empty(), "written down and not served: {gone:?}\n{text}");
    for expected in [
        "punchcard_endpoints{chain=\"harvest\",state=\"enabled\"} 1\n",
        "punchcard_chains_without_rules 0\n",
        "punchcard_program_version{chain=\"harvest\"} 1\n",
        "punchcard_readers_busy{pool=\"outsiders\"} ",
    ] {
        assert!(text.contains(expected), "{expected} in {text}");
    }
    app.stop().await;
}

async fn requests_are_counted_by_their_route_and_never_by_their_path(app: TestApp) {
    app.send(&order("o1", "ana", "5.00")).await.expect(200);
    app.get("/v1/chains/harvest/members/ana").await.expect(200);
    app.get("/v1/chains/harvest/members/nobody-at-all").await.expect(404);
    app.get("/v1/nowhere").await.expect(404);
    app.patch("/v1/chains/harvest/events", &json!({})).await.expect(405);
    let text = metrics(&app).await;
    for (method, route, status) in [
        ("POST", "/v1/chains/{chain}/events", "2xx"),
        ("GET", "/v1/chains/{chain}/members/{member}", "2xx"),
        ("GET", "/v1/chains/{chain}/members/{member}", "4xx"),
        ("GET", "none", "4xx"),
        ("PATCH", "/v1/chains/{chain}/events", "4xx"),
    ] {
        let labels = format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} 1\n");
        assert!(
            text.contains(&format!("punchcard_http_request_seconds_count{labels}")),
            "{labels} in {text}"
        );
    }
    assert!(!text.contains("nobody-at-all"), "{text}");
    app.stop().await;
}

/// What appears with its first value never grew, and nobody is told.
async fn what_alerts_watch_is_there_before_it_happens(app: TestApp) {
    let begun = "punchcard_retention_finished_timestamp_seconds{kind=\"attempts\"} ";
    let text = app
        .until("the sweeps to begin", async || {
            Some(metrics(&app).await).filter(|text| text.contains(&format!("\n{begun}")))
        })
        .await;
    for expected in [
        "punchcard_source_events_total{outcome=\"shed\"} 0\n",
        "punchcard_rule_failures_total{chain=\"harvest\"} 0\n",
        "punchcard_suspended_rules{chain=\"harvest\"} 0\n",
        "punchcard_endpoints{chain=\"harvest\",state=\"disabled\"} 0\n",
        "punchcard_actor_respawns_total 0\n",
    ] {
        assert!(text.contains(&format!("\n{expected}")), "{expected} in {text}");
    }
    app.stop().await;
}

async fn what_was_never_cleared_can_be_told_from_what_is_not_kept_for_a_time(app: TestApp) {
    // Of source events nothing is cleared unless somebody says so.
    let started = START.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp();
    let line =
        |kind: &str| format!("punchcard_retention_finished_timestamp_seconds{{kind=\"{kind}\"}} {started}\n");
    let has_all =
        |text: &String| ["requests", "attempts", "audit_log"].iter().all(|kind| text.contains(&line(kind)));
    let text = app.until("the time of the start", async || Some(metrics(&app).await).filter(has_all)).await;
    assert!(!text.contains("{kind=\"source_events\"}"), "{text}");
    app.stop().await;
}
