//! Receivers that refuse, hang, drip, flood, lie or redirect: each costs bounded time and memory, shows in the log with
//! a sentence, and delays nobody else.

use std::time::{Duration, Instant};

use punchcard::config::Config;
use serde_json::{Value, json};

use crate::support::{Backend, Manners, Receiver, Rude, TestApp, on_both_backends, order};

on_both_backends! {
    from crate::hostile::impatient;
    every_rude_receiver_costs_bounded_time_and_memory_and_shows_in_the_log,
}
on_both_backends! {
    receivers_that_hang_delay_nobody_else,
    an_address_that_is_no_longer_allowed_is_not_dialled,
}

/// The deadline of an attempt in these tests.
const TIMEOUT: Duration = Duration::from_secs(1);
/// What a busy test machine may add to it.
const SLACK: Duration = Duration::from_secs(5);
/// What a receiver can get rid of although nobody reads it: the cap, and what the system's buffers of both ends hold.
const BUFFERS: usize = 16 << 20;

async fn impatient(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config: &mut Config| config.attempt_timeout = TIMEOUT).await
}

/// A receiver and what the log must say about it: the status code, and the error; none when the answer counts.
struct Case {
    name: &'static str,
    manners: Manners,
    status: Option<u16>,
    error: Option<&'static str>,
}

const BLOCK: &[u8] = &[b'a'; 64 * 1024];
const TIMED_OUT: Option<&str> = Some("timed out after 1 s");
const NOT_HTTP: Option<&str> = Some("the answer is not HTTP, or its head is too large");

fn cases(canary: &str) -> Vec<Case> {
    let redirect = |to: &str| {
        Manners::Says(format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"))
    };
    let says = |text: &str| Manners::Says(text.to_owned());
    let case = |name, manners, status, error| Case { name, manners, status, error };
    vec![
        case("hangs", Manners::Hangs, None, TIMED_OUT),
        case("drips a head", Manners::Drips("HTTP/1.1 200 OK\r\nx: ", b"a"), None, TIMED_OUT),
        case(
            "drips a body",
            Manners::Drips("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"a"),
            Some(200),
            TIMED_OUT,
        ),
        case(
            "sends a gigabyte and no",
            Manners::GoesOn("HTTP/1.1 500 Oops\r\ncontent-length: 1073741824\r\n\r\n", BLOCK),
            Some(500),
            Some("the receiver answered 500"),
        ),
        case(
            "sends a gigabyte and yes",
            Manners::GoesOn("HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n", BLOCK),
            Some(200),
            None,
        ),
        case("garbage", says("\u{16}\u{3}\u{1} 220 smtp.example.com ESMTP\r\n\r\n"), None, NOT_HTTP),
        case("endless garbage", Manners::GoesOn("", BLOCK), None, NOT_HTTP),
        case("a head without end", Manners::GoesOn("HTTP/1.1 200 OK\r\nx: ", BLOCK), None, NOT_HTTP),
        case("headers without end", Manners::GoesOn("HTTP/1.1 200 OK\r\n", b"x: y\r\n"), None, NOT_HTTP),
        case(
            "closes without a word",
            says(""),
            None,
            Some("the receiver closed the connection without an answer"),
        ),
        case(
            "closes inside the body",
            says("HTTP/1.1 503 Busy\r\ncontent-length: 1000\r\n\r\nso sor"),
            Some(503),
            Some("the receiver answered 503"),
        ),
        case("redirects to us", redirect(canary), Some(302), Some("was not followed")),
        case(
            "redirects to the cloud's secrets",
            redirect("http://169.254.169.254/latest/meta-data"),
            Some(302),
            Some("the redirect to http://169.254.169.254/latest/meta-data was not followed"),
        ),
    ]
}

async fn every_rude_receiver_costs_bounded_time_and_memory_and_shows_in_the_log(app: TestApp) {
    const ORDERS: usize = 3;
    let canary = Rude::start(Manners::Hangs).await;
    let healthy = Receiver::start().await;
    app.endpoint(&healthy.url, &["points.earned"]).await;
    let mut all = Vec::new();
    for case in cases(&canary.url) {
        let rude = Rude::start(case.manners.clone()).await;
        let (endpoint, _) = app.endpoint(&rude.url, &["points.earned"]).await;
        all.push((case, rude, endpoint));
    }
    let (refusing, _) = app.endpoint(&Rude::nobody().await, &["points.earned"]).await;

    let began = Instant::now();
    for n in 0..ORDERS {
        app.send(&order(&format!("o{n}"), &format!("m{n}"), "10.00")).await.expect(200);
    }
    app.advance(0).await;
    assert!(began.elapsed() < TIMEOUT + 2 * SLACK, "one attempt each took {:?}", began.elapsed());

    assert_eq!(healthy.arrivals().len(), ORDERS);
    assert_eq!(canary.connections(), 0, "a redirect was followed");
    for (case, rude, endpoint) in &all {
        for attempt in only_attempts(&app, endpoint, ORDERS).await {
            let said = attempt["error"].as_str();
            assert_eq!(
                attempt["status_code"].as_u64(),
                case.status.map(u64::from),
                "{}: {attempt}",
                case.name
            );
            assert_eq!(said.is_some(), case.error.is_some(), "{}: {attempt}", case.name);
            assert!(
                said.unwrap_or_default().contains(case.error.unwrap_or_default()),
                "{}: {attempt}",
                case.name
            );
            let took = Duration::from_millis(attempt["duration_ms"].as_u64().expect("a duration"));
            assert!(took < TIMEOUT + SLACK, "{}: {attempt}", case.name);
            let kept = attempt["response_body"].as_str().unwrap_or_default();
            assert!(kept.chars().count() <= 500, "{}: {} characters kept", case.name, kept.len());
        }
        assert!(rude.pushed() < ORDERS * BUFFERS, "{} got rid of {} bytes", case.name, rude.pushed());
    }
    for attempt in only_attempts(&app, &refusing, ORDERS).await {
        assert_eq!(attempt["error"], "connection refused", "{attempt}");
    }
    app.stop().await;
}

/// The first and only attempt of each of an endpoint's deliveries.
async fn only_attempts(app: &TestApp, endpoint: &str, deliveries: usize) -> Vec<Value> {
    let log = app.deliveries(endpoint).await;
    assert_eq!(log.len(), deliveries, "{log:?}");
    let mut found = Vec::new();
    for entry in log {
        let delivery = app.delivery(entry["id"].as_str().expect("an id")).await;
        let attempts = delivery["attempts"].as_array().expect("a list");
        assert_eq!(attempts.len(), 1, "{delivery}");
        let settled = attempts[0]["error"].is_null();
        assert_eq!(delivery["status"], if settled { "delivered" } else { "pending" }, "{delivery}");
        found.push(attempts[0].clone());
    }
    found
}

/// More of them than any pool of connections has room for, on the very thread that serves the healthy endpoint.
async fn receivers_that_hang_delay_nobody_else(app: TestApp) {
    // Each has two requests under way, because it never answered.
    const HANGING: usize = 60;
    const ORDERS: usize = 20;
    let rude = Rude::start(Manners::Hangs).await;
    let mut hanging = Vec::new();
    for _ in 0..HANGING {
        hanging.push(app.endpoint(&rude.url, &["points.earned"]).await.0);
    }
    let healthy = Receiver::start().await;
    app.endpoint(&healthy.url, &["points.earned"]).await;
    for n in 0..ORDERS {
        app.send(&order(&format!("o{n}"), &format!("m{n}"), "10.00")).await.expect(200);
    }
    // Nobody moves the clock: the nudges of the commits alone must bring everything there.
    app.until("all deliveries to the healthy endpoint", async || {
        (healthy.arrivals().len() == ORDERS).then_some(())
    })
    .await;
    app.until("a hundred requests that hang", async || (rude.connections() > 100).then_some(())).await;
    for endpoint in &hanging {
        let log = app.deliveries(endpoint).await;
        assert_eq!(log.len(), ORDERS);
        assert!(log.iter().all(|entry| entry["tries"] == 0), "still under way: {log:?}");
    }
    app.send(&order("last", "ana", "10.00")).await.expect(200);
    app.until("one more delivery", async || (healthy.arrivals().len() == ORDERS + 1).then_some(())).await;
    rude.release();
    app.stop().await;
}

/// What an operator once allowed and does not allow any more.
async fn an_address_that_is_no_longer_allowed_is_not_dialled(mut app: TestApp) {
    let rude = Rude::start(Manners::Hangs).await;
    let (endpoint, _) = app.endpoint(&rude.url, &["points.earned"]).await;
    let (named, _) = app.endpoint(&rude.url.replace("127.0.0.1", "localhost"), &["points.earned"]).await;
    app.restart_with(|config| config.allow_private.clear()).await;
    app.send(&order("o1", "ana", "10.00")).await.expect(200);
    app.advance(0).await;
    for endpoint in [&endpoint, &named] {
        let attempt = &only_attempts(&app, endpoint, 1).await[0];
        let error = attempt["error"].as_str().unwrap_or_default();
        assert!(error.contains("private") && error.contains("--allow-private"), "{attempt}");
    }
    app.restart_with(|config| {
        config.allow_private = vec!["127.0.0.0/8".parse().unwrap()];
        config.allow_http = false;
    })
    .await;
    app.advance(60).await;
    let retried = app.delivery(app.deliveries(&endpoint).await[0]["id"].as_str().unwrap()).await;
    let error = retried["attempts"][1]["error"].as_str().unwrap_or_default();
    assert!(error.contains("--allow-http"), "{retried}");
    assert_eq!(rude.connections(), 0);
    assert_eq!(
        app.post("/v1/chains/harvest/endpoints", &json!({ "url": rude.url, "events": ["*"] })).await.status,
        422
    );
    app.stop().await;
}
