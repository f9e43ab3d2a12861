//! Endpoints that fail: held back, warned of, disabled, and nothing of it lost; to the second.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::builders::START;
use crate::support::receiver::Scripted;
use crate::support::{Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    the_breaker_opens_at_the_tenth_failure_and_then_asks_one_at_a_time,
    what_is_held_back_survives_restarts_in_every_state,
    a_receiver_that_takes_nothing_is_warned_of_then_disabled_and_loses_nothing,
    whoever_was_warned_of_hears_that_it_recovered,
    a_receiver_that_asks_to_be_left_alone_gets_nothing_else_either,
    another_url_is_another_receiver_and_any_other_change_is_none,
    two_that_fail_do_not_tell_each_other_for_ever,
    no_minute_has_more_than_the_rate_allows,
    a_pause_ends_when_it_was_said_to,
    a_pause_without_an_end_lasts_until_somebody_enables_it,
}

const HOUR: i64 = 3_600;

async fn made(app: &TestApp, url: &str, with: Value) -> String {
    let mut body = json!({ "url": url, "events": ["points.earned"] });
    body.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    let made = app.post("/v1/chains/harvest/endpoints", &body).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

/// Who hears of endpoints and deliveries, one thing after the other.
async fn operators(app: &TestApp, ops: &Receiver) {
    made(app, &ops.url, json!({ "events": ["endpoint.*", "delivery.*"], "concurrency": 1 })).await;
}

async fn orders(app: &TestApp, from: usize, count: usize) {
    for n in from..from + count {
        app.send(&order(&format!("o{n}"), &format!("m{n}"), "10.00")).await.expect(200);
    }
    app.advance(0).await;
}

fn path(endpoint: &str) -> String {
    format!("/v1/chains/harvest/endpoints/{endpoint}")
}

async fn shown(app: &TestApp, endpoint: &str) -> Value {
    app.get(&path(endpoint)).await.expect(200)
}

/// So many seconds after the start of all tests.
fn after(seconds: i64) -> String {
    let at = START.parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds);
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Moves the clock by so many seconds; what arrives there arrives in the last of them.
async fn arrives_after(app: &TestApp, seconds: i64, receiver: &Receiver, count: usize) {
    let before = receiver.arrivals().len();
    app.advance(seconds - 1).await;
    assert_eq!(receiver.arrivals().len(), before, "a second before {seconds} s are over");
    app.advance(1).await;
    assert_eq!(receiver.arrivals().len(), before + count, "when {seconds} s are over");
}

/// How often each delivery was tried, and where it stands.
async fn log(app: &TestApp, endpoint: &str) -> Vec<(u64, String)> {
    let entries = app.deliveries(endpoint).await;
    let mut log: Vec<_> = entries
        .iter()
        .map(|entry| (entry["tries"].as_u64().unwrap(), entry["status"].as_str().unwrap().to_owned()))
        .collect();
    log.sort();
    log
}

/// An endpoint of a receiver that is down, with so many deliveries, of which ten have failed once.
async fn opened(app: &TestApp, crm: &Receiver, deliveries: usize, with: Value) -> String {
    let mut settings = json!({ "concurrency": 1 });
    settings.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    let endpoint = made(app, &crm.url, settings).await;
    crm.answer([500_u16; 1_000]);
    orders(app, 0, deliveries).await;
    assert_eq!(crm.arrivals().len(), 10);
    endpoint
}

async fn the_breaker_opens_at_the_tenth_failure_and_then_asks_one_at_a_time(app: TestApp) {
    let crm = Receiver::start().await;
    let endpoint = opened(&app, &crm, 12, json!({})).await;
    let condition = &shown(&app, &endpoint).await["condition"];
    let expected =
        json!({ "breaker": "open", "held_until": after(30), "failing_since": after(0), "warned_at": null });
    assert_eq!(condition, &expected);
    let tried = log(&app, &endpoint).await;
    for pause in [30, 60, 120, 240, 480, 600, 600] {
        arrives_after(&app, pause, &crm, 1).await;
    }
    assert_eq!(log(&app, &endpoint).await, tried, "probes use up nobody's ladder");
    assert_eq!(tried.iter().filter(|(tries, _)| *tries == 0).count(), 2);
    crm.recover();
    arrives_after(&app, 600, &crm, 12).await;
    assert!(log(&app, &endpoint).await.iter().all(|(_, status)| status == "delivered"));
    let expected =
        json!({ "breaker": "closed", "held_until": null, "failing_since": null, "warned_at": null });
    assert_eq!(shown(&app, &endpoint).await["condition"], expected);
    app.stop().await;
}

async fn what_is_held_back_survives_restarts_in_every_state(mut app: TestApp) {
    let restart = async |app: &mut TestApp, seconds: i64| {
        let now = after(seconds).parse().unwrap();
        app.restart_with(|config| config.test_clock = Some(now)).await;
    };
    let crm = Receiver::start().await;
    let settings = json!({ "failing": { "warn_after_s": 150, "disable_after_s": 1_000 } });
    let endpoint = opened(&app, &crm, 11, settings).await;
    let ops = Receiver::start().await;
    operators(&app, &ops).await;
    let failing = async |app: &TestApp| shown(app, &endpoint).await["condition"]["failing_since"].clone();
    // Open.
    app.advance(10).await;
    restart(&mut app, 10).await;
    arrives_after(&app, 20, &crm, 1).await;
    // Half-open: the next attempt is the probe, and goes on doubling.
    app.advance(59).await;
    restart(&mut app, 90).await;
    app.advance(0).await;
    assert_eq!(crm.arrivals().len(), 12);
    // The warning is due at 150, before the pause of 120 s is over; once told, it is told.
    arrives_after(&app, 60, &crm, 1).await;
    assert_eq!(ops.kinds(), ["endpoint.failing"]);
    restart(&mut app, 150).await;
    arrives_after(&app, 240, &crm, 1).await;
    assert_eq!((ops.kinds().len(), failing(&app).await), (1, json!(after(0))));
    // Closed, and failing.
    crm.recover();
    arrives_after(&app, 480, &crm, 11).await;
    assert_eq!(ops.kinds(), ["endpoint.failing", "endpoint.recovered"]);
    crm.answer([404_u16]);
    orders(&app, 20, 1).await;
    restart(&mut app, 870).await;
    assert_eq!(failing(&app).await, after(870));
    // Asked to wait.
    app.advance(60).await;
    crm.answer([Scripted { status: 503, headers: vec![("retry-after", "300".to_owned())] }]);
    orders(&app, 30, 1).await;
    restart(&mut app, 930).await;
    orders(&app, 40, 1).await;
    arrives_after(&app, 300, &crm, 2).await;
    app.stop().await;
}

async fn a_receiver_that_takes_nothing_is_warned_of_then_disabled_and_loses_nothing(app: TestApp) {
    let (crm, ops) = (Receiver::start().await, Receiver::start().await);
    operators(&app, &ops).await;
    let endpoint = opened(&app, &crm, 12, json!({})).await;
    app.advance(24 * HOUR - 1).await;
    assert_eq!(ops.kinds(), [""; 0]);
    app.advance(1).await;
    let data = &ops.arrivals()[0].json()["data"];
    let expected = json!({ "endpoint": endpoint, "url_host": "127.0.0.1", "since": after(0),
        "reason": "the receiver answered 500", "disabled_from": after(120 * HOUR) });
    assert_eq!((ops.kinds(), data), (vec!["endpoint.failing".to_owned()], &expected));
    app.advance(96 * HOUR - 1).await;
    assert_eq!(shown(&app, &endpoint).await["status"], "enabled");
    let probes = crm.arrivals().len() - 10;
    assert!((720..=735).contains(&probes), "{probes} in five days");
    app.advance(1).await;
    app.until("a disabled endpoint", async || {
        (shown(&app, &endpoint).await["status"] == "disabled").then_some(())
    })
    .await;
    let disabled = shown(&app, &endpoint).await;
    assert_eq!(disabled["disabled_at"], after(120 * HOUR));
    assert_eq!(disabled["disabled_reason"], "it took nothing for 5 days; at last, the receiver answered 500");
    orders(&app, 20, 3).await;
    app.advance(24 * HOUR).await;
    assert_eq!(ops.kinds(), ["endpoint.failing", "endpoint.disabled"]);
    crm.recover();
    let before = crm.arrivals().len();
    let enabled = app.post(&format!("{}/enable", path(&endpoint)), &json!({})).await.expect(200);
    assert_eq!(enabled["condition"]["failing_since"], Value::Null);
    app.advance(0).await;
    assert_eq!(crm.arrivals().len() - before, 15);
    assert!(log(&app, &endpoint).await.iter().all(|(_, status)| status == "delivered"));
    assert_eq!(ops.kinds(), ["endpoint.failing", "endpoint.disabled", "endpoint.enabled"]);
    let told = &ops.arrivals()[2].json()["data"];
    assert_eq!((&told["since"], &told["reason"]), (&json!(after(120 * HOUR)), &disabled["disabled_reason"]));
    app.stop().await;
}

async fn whoever_was_warned_of_hears_that_it_recovered(app: TestApp) {
    let (crm, ops) = (Receiver::start().await, Receiver::start().await);
    operators(&app, &ops).await;
    let patience = json!({ "failing": { "warn_after_s": 3_600, "disable_after_s": 36_000 } });
    let endpoint = made(&app, &crm.url, patience).await;
    // A receiver that is there and takes nothing is failing, too; its ladder is walked as ever.
    crm.answer([404_u16; 5]);
    orders(&app, 0, 1).await;
    app.advance(9_360).await;
    assert_eq!(log(&app, &endpoint).await, [(5, "failed".to_owned())]);
    assert_eq!(ops.kinds(), ["endpoint.failing", "delivery.exhausted"]);
    let told = ops.arrivals()[1].json()["data"].clone();
    let id = &app.deliveries(&endpoint).await[0];
    let expected = json!({ "endpoint": endpoint, "url_host": "127.0.0.1", "delivery": id["id"], "event": id["event"],
        "event_type": "points.earned", "tries": 5, "reason": "the receiver answered 404", "since": after(0) });
    assert_eq!(told, expected);
    orders(&app, 1, 1).await;
    assert_eq!(ops.kinds(), ["endpoint.failing", "delivery.exhausted", "endpoint.recovered"]);
    assert_eq!(ops.arrivals()[2].json()["data"]["since"], after(0));
    // A success before the warning is no news.
    crm.answer([404_u16]);
    orders(&app, 2, 1).await;
    app.advance(60).await;
    assert_eq!(ops.kinds().len(), 3);
    app.stop().await;
}

async fn a_receiver_that_asks_to_be_left_alone_gets_nothing_else_either(app: TestApp) {
    let crm = Receiver::start().await;
    let endpoint = made(&app, &crm.url, json!({})).await;
    crm.answer([Scripted { status: 429, headers: vec![("retry-after", "200".to_owned())] }]);
    orders(&app, 0, 1).await;
    app.advance(10).await;
    orders(&app, 1, 1).await;
    let condition = &shown(&app, &endpoint).await["condition"];
    assert_eq!((&condition["breaker"], &condition["held_until"]), (&json!("closed"), &json!(after(200))));
    arrives_after(&app, 190, &crm, 2).await;
    app.stop().await;
}

async fn another_url_is_another_receiver_and_any_other_change_is_none(app: TestApp) {
    let (crm, next) = (Receiver::start().await, Receiver::start().await);
    let endpoint = opened(&app, &crm, 12, json!({})).await;
    let patch = async |body: Value| {
        app.patch(&path(&endpoint), &body).await.expect(200)["condition"]["breaker"].clone()
    };
    assert_eq!(patch(json!({ "description": "the CRM" })).await, "open");
    app.advance(29).await;
    assert_eq!(crm.arrivals().len(), 10);
    assert_eq!(patch(json!({ "url": next.url })).await, "closed");
    app.advance(0).await;
    assert_eq!(next.arrivals().len(), 2, "what was not tried yet leaves at once");
    app.advance(31).await;
    assert_eq!((crm.arrivals().len(), next.arrivals().len()), (10, 12));
    app.stop().await;
}

async fn two_that_fail_do_not_tell_each_other_for_ever(app: TestApp) {
    let (one, other, ops) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let settings = json!({ "events": ["*"], "retry": { "pauses_s": [10] },
        "failing": { "warn_after_s": 1_000, "disable_after_s": 7_000 } });
    let endpoints = [made(&app, &one.url, settings.clone()).await, made(&app, &other.url, settings).await];
    operators(&app, &ops).await;
    for receiver in [&one, &other] {
        receiver.answer([404_u16; 10_000]);
    }
    for n in 0..20 {
        orders(&app, n, 1).await;
        app.advance(500).await;
    }
    app.until("both disabled", async || {
        let [one, other] = [shown(&app, &endpoints[0]).await, shown(&app, &endpoints[1]).await];
        (one["status"] == "disabled" && other["status"] == "disabled").then_some(())
    })
    .await;
    app.advance(24 * HOUR).await;
    let told = ops.arrivals();
    let count = |kind: &str| told.iter().filter(|arrival| arrival.kind() == kind).count();
    assert_eq!([count("endpoint.failing"), count("endpoint.disabled")], [2, 2]);
    for arrival in told.iter().filter(|arrival| arrival.kind() == "delivery.exhausted") {
        let of = arrival.json()["data"]["event_type"].as_str().unwrap().to_owned();
        assert!(!of.starts_with("endpoint.") && !of.starts_with("delivery."), "{of} told of itself");
    }
    for (receiver, endpoint) in [&one, &other].into_iter().zip(&endpoints) {
        let about = |kind: &str| kind.starts_with("endpoint.") || kind.starts_with("delivery.");
        let heard: Vec<_> =
            receiver.arrivals().into_iter().filter(|arrival| about(&arrival.kind())).collect();
        assert!(!heard.is_empty(), "each hears of the other one");
        assert!(heard.iter().all(|arrival| arrival.json()["data"]["endpoint"] != endpoint.as_str()));
    }
    app.stop().await;
}

async fn no_minute_has_more_than_the_rate_allows(app: TestApp) {
    let crm = Receiver::start().await;
    let endpoint = made(&app, &crm.url, json!({ "rate_limit": 5 })).await;
    orders(&app, 0, 13).await;
    assert_eq!(crm.arrivals().len(), 5);
    arrives_after(&app, 60, &crm, 5).await;
    app.patch(&path(&endpoint), &json!({ "rate_limit": null })).await.expect(200);
    app.advance(0).await;
    assert_eq!(crm.arrivals().len(), 13);
    app.stop().await;
}

async fn a_pause_ends_when_it_was_said_to(mut app: TestApp) {
    let (crm, ops) = (Receiver::start().await, Receiver::start().await);
    operators(&app, &ops).await;
    let endpoint = made(&app, &crm.url, json!({})).await;
    let pause = format!("{}/pause", path(&endpoint));
    app.post(&pause, &json!({ "until": after(0) })).await.expect(422);
    app.post(&pause, &json!({ "until": after(300) })).await.expect(200);
    app.advance(100).await;
    let paused = app.post(&pause, &json!({ "until": after(600) })).await.expect(200);
    let state = [&paused["status"], &paused["paused_at"], &paused["paused_until"]];
    assert_eq!(state, [&json!("paused"), &json!(after(0)), &json!(after(600))]);
    orders(&app, 0, 3).await;
    let now = after(100).parse().unwrap();
    app.restart_with(|config| config.test_clock = Some(now)).await;
    arrives_after(&app, 500, &crm, 3).await;
    let enabled = shown(&app, &endpoint).await;
    assert_eq!((&enabled["status"], enabled.get("paused_at")), (&json!("enabled"), None));
    assert_eq!(ops.kinds(), [""; 0]);
    app.stop().await;
}

async fn a_pause_without_an_end_lasts_until_somebody_enables_it(app: TestApp) {
    let crm = Receiver::start().await;
    let endpoint = made(&app, &crm.url, json!({})).await;
    let ask = async |what: &str| app.post(&format!("{}/{what}", path(&endpoint)), &json!({})).await;
    assert_eq!(ask("pause").await.expect(200)["paused_until"], Value::Null);
    orders(&app, 0, 3).await;
    app.advance(30 * 24 * HOUR).await;
    assert_eq!(crm.arrivals().len(), 0);
    ask("enable").await.expect(200);
    app.advance(0).await;
    assert_eq!(crm.arrivals().len(), 3);
    ask("disable").await.expect(200);
    ask("pause").await.expect(409);
    assert_eq!(shown(&app, &endpoint).await["status"], "disabled");
    app.stop().await;
}
