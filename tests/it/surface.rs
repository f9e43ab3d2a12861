//! What outsiders can rely on: roles, refusals, addresses, health.

use std::time::{Duration, Instant};

use awc::http::Method;
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use punchcard::app::{App, StartError};
use punchcard::config::Config;
use serde_json::json;

use crate::support::{Backend, TestApp, on_both_backends, order, postgres};

on_both_backends! {
    private_addresses_are_refused_when_an_endpoint_is_made,
    keys_are_bound_to_role_and_chain,
    the_secret_of_an_endpoint_is_shown_once,
}

async fn private_addresses_are_refused_when_an_endpoint_is_made(app: TestApp) {
    for url in [
        "http://10.0.0.1/x",
        "http://169.254.169.254/",
        "http://[::ffff:10.0.0.1]/",
        "http://0xa000001/",
        "http://user@127.0.0.1/",
        "ftp://example.com/",
        "http://[64:ff9b::a00:1]/",
        "not a url",
    ] {
        let problem = app.post("/v1/chains/harvest/endpoints", &json!({ "url": url, "events": ["*"] })).await;
        assert!((400..500).contains(&problem.status), "{url}: {}", problem.text);
        assert_eq!(problem.json()["field"], "url", "{url}");
    }
    app.stop().await;
}

async fn keys_are_bound_to_role_and_chain(app: TestApp) {
    let other = json!({ "id": "other", "name": "Other", "timezone": "Europe/Berlin", "currency": "EUR" });
    app.post("/v1/chains", &other).await.expect(201);
    let made = app
        .post("/v1/keys", &json!({ "role": "ingest", "chain": "harvest", "name": "till" }))
        .await
        .expect(201);
    let till = format!("Bearer {}", made["key"].as_str().unwrap());
    let auth = ("authorization", till.as_str());
    let json = ("content-type", "application/json");
    let body = order("o1", "ana", "10.00").to_string().into_bytes();
    let path = "/v1/chains/harvest/endpoints";
    for (chain, status) in [("harvest", 200), ("other", 404), ("nowhere", 404)] {
        let events = format!("/v1/chains/{chain}/events");
        let answer = app.request(Method::POST, &events, &[auth, json], body.clone()).await;
        assert_eq!(answer.status, status, "to another chain's key, {chain} does not exist");
    }
    assert_eq!(app.request(Method::GET, path, &[auth], Vec::new()).await.status, 403);
    for wrong in ["Bearer pck_wrong", "Bearer ", "Basic dTpw", "nonsense"] {
        let answer = app.request(Method::GET, path, &[("authorization", wrong)], Vec::new()).await;
        assert_eq!(answer.status, 401, "{wrong}");
        assert!(answer.header("www-authenticate").is_some());
    }
    app.stop().await;
}

async fn the_secret_of_an_endpoint_is_shown_once(app: TestApp) {
    let (id, secret) = app.endpoint("http://127.0.0.1:9000/hook", &["*"]).await;
    for path in ["/v1/chains/harvest/endpoints".to_owned(), format!("/v1/chains/harvest/endpoints/{id}")] {
        let shown = app.get(&path).await;
        assert_eq!(shown.status, 200);
        assert!(!shown.text.contains(&secret) && !shown.text.contains("whsec_"), "{}", shown.text);
    }
    app.stop().await;
}

#[actix_web::test]
async fn every_answer_carries_a_request_id_and_problems_say_what_to_do() {
    let app = TestApp::start(Backend::Sqlite).await;
    for (path, status) in
        [("/healthz", 200), ("/readyz", 200), ("/metrics", 200), ("/nowhere", 404), ("/v1/chains/x", 404)]
    {
        let answer = app.get(path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert!(answer.header("x-request-id").is_some(), "{path}");
        if status != 200 {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert!(
                answer.json()["code"].is_string() && answer.json()["detail"].is_string(),
                "{}",
                answer.text
            );
        }
    }
    app.stop().await;
}

#[actix_web::test]
async fn lists_page_by_cursor_without_gaps_or_repeats() {
    let app = TestApp::start(Backend::Sqlite).await;
    for n in 0..25 {
        app.send(&order(&format!("o{n}"), "ana", "1.00")).await.expect(200);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/v1/chains/harvest/source_events?limit=10{cursor}")).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["key"].to_string()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((seen.len(), count), (25, 25));
    app.stop().await;
}

#[actix_web::test]
async fn an_engine_at_capacity_answers_503_before_accepting() {
    let app = TestApp::start_with(Backend::Sqlite, |config| {
        config.max_in_flight = std::num::NonZeroUsize::new(1).unwrap();
    })
    .await;
    let events: Vec<_> = (0..200).map(|n| order(&format!("o{n}"), "ana", "1.00")).collect();
    let replies = futures_util::future::join_all(events.iter().map(|event| app.send(event))).await;
    let (done, shed): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 200);
    assert!(shed.iter().all(|r| matches!(r.status, 429 | 503) && r.header("retry-after").is_some()));
    assert!(!shed.is_empty() && !done.is_empty());
    let member = app.get("/v1/chains/harvest/members/ana").await.expect(200);
    assert_eq!(member["lifetime_visits"], done.len(), "what was shed was not accepted");
    app.stop().await;
}

#[actix_web::test]
async fn metrics_come_in_the_text_format_of_prometheus() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.send(&order("o1", "ana", "1.00")).await.expect(200);
    let metrics = app.get("/metrics").await;
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let line = "punchcard_source_events_total{outcome=\"processed\"} 1";
    assert!(metrics.text.lines().any(|l| l == line), "{}", metrics.text);
    app.stop().await;
}

#[actix_web::test]
async fn the_catalogue_says_how_each_event_looks() {
    let app = TestApp::start(Backend::Sqlite).await;
    let nobody = ("authorization", "");
    let types = app.request(Method::GET, "/v1/event_types", &[nobody], Vec::new()).await.expect(200);
    for kind in types["items"].as_array().unwrap() {
        assert_eq!(kind["names"]["standard"], kind["type"]);
        assert_eq!(kind["example"]["type"], kind["type"]);
        assert_eq!(kind["schema"]["properties"]["type"]["const"], kind["type"]);
        assert!(kind["description"].as_str().is_some_and(|text| !text.is_empty()));
    }
    app.stop().await;
}

#[actix_web::test]
async fn one_sqlite_file_is_served_by_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::defaults();
    let app = TestApp::start_with(Backend::Sqlite, |first| {
        first.database = format!("sqlite://{}/punchcard.db", folder.path().display()).parse().unwrap();
        config = first.clone();
    })
    .await;
    let refused = App::start(&config).await.err().expect("it is served already");
    assert!(matches!(refused, StartError::Lock(_)), "{refused}");
    assert!(refused.to_string().starts_with("another punchcard process serves "), "{refused}");
    app.send(&order("o1", "ana", "1.00")).await.expect(200);
    app.stop().await;
    App::start(&config).await.expect("nobody serves it any more").stop().await;
}

#[actix_web::test]
async fn while_it_starts_it_is_alive_and_not_ready() {
    /// Held by a node that migrates the database.
    const MIGRATION_LOCK: i64 = 0x70_75_6e_63_68;
    let database = postgres::fresh_database();
    let mut upgrading = PgConnection::establish(&database).expect("a connection");
    upgrading.batch_execute(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})")).expect("the lock");
    let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).unwrap();
    let starting = actix_web::rt::spawn(TestApp::start_with(Backend::Postgres, move |config| {
        config.database = database.parse().unwrap();
        config.bind = address;
    }));
    let client = awc::Client::default();
    let ask = async |path: &str| client.get(format!("http://{address}{path}")).send().await;
    let begun = Instant::now();
    let refused = loop {
        assert!(begun.elapsed() < Duration::from_secs(10), "nobody listens");
        match ask("/readyz").await {
            Ok(mut answer) => break (answer.status(), answer.json::<serde_json::Value>().await.unwrap()),
            Err(_) => actix_web::rt::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert_eq!((refused.0.as_u16(), &refused.1["code"]), (503, &json!("starting")));
    assert_eq!(ask("/healthz").await.unwrap().status(), 200);
    assert!(!starting.is_finished());
    drop(upgrading);
    let app = starting.await.unwrap();
    assert_eq!(ask("/readyz").await.unwrap().status(), 200);
    app.stop().await;
}
