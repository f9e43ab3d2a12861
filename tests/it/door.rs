//! The door as strangers meet it: streams, rude connections, and who may do what.

use std::time::Duration;

use awc::http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Backend, TestApp, order};

const BATCH: &str = "/v1/chains/harvest/events/batch";
const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

/// A connection that has sent the head of a chunked batch.
async fn open_batch(app: &TestApp) -> TcpStream {
    let mut stream = TcpStream::connect(app.address()).await.expect("a connection");
    let head = format!(
        "POST {BATCH} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Type: application/x-ndjson\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        TestApp::admin()
    );
    stream.write_all(head.as_bytes()).await.expect("the head is taken");
    stream
}

async fn send_chunk(stream: &mut TcpStream, text: &str) {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).await.expect("the chunk is taken");
}

/// Reads until `wanted` was read, or until the end for an empty `wanted`.
async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 8 * 1024];
    let reading = async {
        while wanted.is_empty() || !text.contains(wanted) {
            match stream.read(&mut buffer).await.expect("the connection holds") {
                0 => break,
                n => text.push_str(&String::from_utf8_lossy(&buffer[..n])),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reading).await.expect("an answer within 10 seconds");
    text
}

#[actix_web::test]
async fn a_batch_is_answered_while_it_is_still_being_sent() {
    let app = TestApp::start(Backend::Sqlite).await;
    let mut stream = open_batch(&app).await;
    for n in 0..3 {
        send_chunk(&mut stream, &format!("{}\n", order(&format!("o{n}"), "ana", "10.00"))).await;
        let answer = read_until(&mut stream, &format!("\"key\":\"o{n}\"")).await;
        assert!(answer.contains("\"processed\""), "{answer}");
    }
    stream.write_all(b"0\r\n\r\n").await.expect("the end is taken");
    assert!(read_until(&mut stream, "").await.ends_with("0\r\n\r\n"));
    app.stop().await;
}

#[actix_web::test]
async fn what_was_taken_from_a_sender_that_goes_away_is_finished() {
    let app = TestApp::start(Backend::Sqlite).await;
    let mut stream = open_batch(&app).await;
    let lines: String = (0..50).map(|n| format!("{}\n", order(&format!("o{n}"), "ana", "1.00"))).collect();
    send_chunk(&mut stream, &lines).await;
    read_until(&mut stream, "\"processed\"").await; // the chunk has been read whole
    drop(stream);
    app.until("all fifty events", async || {
        let kept = app.get("/v1/chains/harvest/source_events?limit=100").await.expect(200);
        kept["items"].as_array().filter(|items| items.len() == 50).map(drop)
    })
    .await;
    app.stop().await;
}

#[actix_web::test]
async fn an_array_that_breaks_ends_in_one_problem_after_its_receipts() {
    let app = TestApp::start(Backend::Sqlite).await;
    let body = format!("[{}, 7, {}", order("o1", "ana", "1.00"), order("o2", "ana", "1.00"));
    let json = ("content-type", "application/json");
    let answers = app.request(Method::POST, BATCH, &[json], body.into_bytes()).await.expect(200);
    let statuses: Vec<_> = answers.as_array().unwrap().iter().map(|a| a["status"].clone()).collect();
    assert_eq!(statuses, [json!("processed"), json!(422), json!(400)], "{answers}");
    assert_eq!(answers[2]["code"], "broken_batch");
    assert_eq!(answers[2]["line"], 3);
    let not_a_list = app.request(Method::POST, BATCH, &[json], b"{}".to_vec()).await.expect(400);
    assert_eq!(not_a_list["code"], "broken_batch");
    app.stop().await;
}

#[actix_web::test]
async fn a_line_that_is_too_long_spoils_only_itself() {
    let app = TestApp::start(Backend::Sqlite).await;
    let long = format!("{{\"type\":\"visit\",\"key\":\"{}\"}}", "k".repeat(300 * 1024));
    let lines = [order("o1", "ana", "1.00").to_string(), long, order("o2", "ana", "1.00").to_string()];
    let answer = app.request(Method::POST, BATCH, &[NDJSON], lines.join("\n").into_bytes()).await;
    let answers: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let statuses: Vec<_> = answers.iter().map(|a| a["status"].clone()).collect();
    assert_eq!(statuses, [json!("processed"), json!(413), json!("processed")], "{answers:?}");
    app.stop().await;
}

#[actix_web::test]
async fn an_event_is_the_same_alone_and_as_a_line() {
    let app = TestApp::start(Backend::Sqlite).await;
    app.send(&order("o1", "ana", "1.00")).await.expect(200);
    let line = format!("  {} \r\n", order("o1", "ana", "1.00"));
    let answer = app.request(Method::POST, BATCH, &[NDJSON], line.into_bytes()).await.expect(200);
    assert_eq!(answer["duplicate"], true, "{answer}");
    app.stop().await;
}

#[actix_web::test]
async fn a_body_that_comes_slowly_holds_no_place_in_the_engine() {
    let app = TestApp::start_with(Backend::Sqlite, |config| {
        config.max_in_flight = std::num::NonZeroUsize::new(1).unwrap();
    })
    .await;
    let mut slow = TcpStream::connect(app.address()).await.expect("a connection");
    let head = format!(
        "POST /v1/chains/harvest/events HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nExpect: 100-continue\r\n\
         Content-Length: 100\r\n\r\n{{",
        TestApp::admin()
    );
    slow.write_all(head.as_bytes()).await.expect("the head is taken");
    read_until(&mut slow, "100 Continue").await;
    for key in ["o1", "o2", "o3"] {
        app.send(&order(key, "ana", "1.00")).await.expect(200);
    }
    app.stop().await;
}

#[actix_web::test]
async fn an_upgrade_is_refused_at_once_and_its_endless_body_is_not_awaited() {
    let app = TestApp::start(Backend::Sqlite).await;
    let mut stream = TcpStream::connect(app.address()).await.expect("a connection");
    let request = "POST /v1/chains/harvest/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
        Connection: upgrade\r\nContent-Length: 2\r\n\r\n{}";
    stream.write_all(request.as_bytes()).await.expect("the request is taken");
    let answer = read_until(&mut stream, "").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("upgrade_refused"), "{answer}");
    app.stop().await;
}

/// Both at once, because real time passes: 5 seconds for a head, 10 for a body.
#[actix_web::test]
async fn requests_that_drip_are_given_up_and_count_for_nothing() {
    let app =
        TestApp::start_with(Backend::Sqlite, |config| config.max_in_flight = 8.try_into().unwrap()).await;
    let event = order("o1", "ana", "1.00").to_string();
    let head = format!(
        "POST /v1/chains/harvest/events HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n",
        TestApp::admin(),
        event.len()
    );
    let given_up = async |start: String| {
        let mut stream = TcpStream::connect(app.address()).await.expect("a connection");
        stream.write_all(start.as_bytes()).await.expect("the start is taken");
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(25), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "still waiting for the rest of {start}");
        String::from_utf8_lossy(&answer).into_owned()
    };
    let half_a_body = format!("{head}\r\n{}", &event[..event.len() - 1]);
    let (bodies, head) = futures_util::join!(
        futures_util::future::join_all((0..16).map(|_| given_up(half_a_body.clone()))),
        given_up(head)
    );
    assert!(head.is_empty() || head.starts_with("HTTP/1.1 408 "), "{head}");
    // Those who drip hold a place inside the engine, and lose it.
    for body in &bodies {
        let is_slow = body.starts_with("HTTP/1.1 408 ") && body.contains("body_timeout");
        assert!(is_slow || (body.starts_with("HTTP/1.1 503 ") && body.contains("retry-after")), "{body}");
    }
    assert!(bodies.iter().any(|body| body.starts_with("HTTP/1.1 408 ")));
    assert_eq!(app.send(&order("o1", "ana", "1.00")).await.expect(200)["duplicate"], false);
    app.stop().await;
}

/// Every guarded route of a chain, and the roles that may use it.
const GUARDED: &[(Method, &str, &[&str])] = &[
    (Method::GET, "", &["admin"]),
    (Method::PATCH, "", &["admin"]),
    (Method::GET, "/program", &["admin", "manager"]),
    (Method::GET, "/program/campaigns", &["admin", "manager"]),
    (Method::GET, "/program/versions", &["admin", "manager"]),
    (Method::GET, "/program/versions/1", &["admin", "manager"]),
    (Method::GET, "/program/diff", &["admin", "manager"]),
    (Method::POST, "/program/check", &["admin", "manager"]),
    (Method::POST, "/program/publish", &["admin", "manager"]),
    (Method::POST, "/program/rollback", &["admin", "manager"]),
    (Method::GET, "/program/candidate", &["admin", "manager"]),
    (Method::POST, "/program/candidate", &["admin", "manager"]),
    (Method::PATCH, "/program/candidate", &["admin", "manager"]),
    (Method::POST, "/program/candidate/promote", &["admin", "manager"]),
    (Method::POST, "/program/candidate/drop", &["admin", "manager"]),
    (Method::POST, "/events", &["admin", "ingest"]),
    (Method::POST, "/events/batch", &["admin", "ingest"]),
    (Method::GET, "/events", &["admin", "manager", "viewer"]),
    (Method::GET, "/events/evt_x", &["admin", "manager", "viewer"]),
    (Method::GET, "/source_events", &["admin", "manager", "viewer"]),
    (Method::GET, "/source_events/src_x", &["admin", "manager", "viewer"]),
    (Method::POST, "/source_events/src_x/replay", &["admin", "manager"]),
    (Method::GET, "/members", &["admin", "manager", "viewer"]),
    (Method::GET, "/members?id=x", &["admin", "manager", "viewer", "ingest"]),
    (Method::GET, "/members/x", &["admin", "manager", "viewer", "ingest"]),
    (Method::GET, "/members/x/ledger", &["admin", "manager", "viewer"]),
    (Method::GET, "/members/x/events", &["admin", "manager", "viewer"]),
    (Method::GET, "/endpoints", &["admin"]),
    (Method::POST, "/endpoints", &["admin"]),
    (Method::GET, "/endpoints/ep_x", &["admin"]),
    (Method::PATCH, "/endpoints/ep_x", &["admin"]),
    (Method::DELETE, "/endpoints/ep_x", &["admin"]),
    (Method::POST, "/endpoints/ep_x/enable", &["admin"]),
    (Method::POST, "/endpoints/ep_x/disable", &["admin"]),
    (Method::POST, "/endpoints/ep_x/pause", &["admin"]),
    (Method::GET, "/endpoints/ep_x/deliveries", &["admin", "manager", "viewer"]),
    (Method::GET, "/deliveries/dlv_x", &["admin", "manager", "viewer"]),
    (Method::POST, "/deliveries/dlv_x/retry", &["admin"]),
    (Method::POST, "/deliveries/dlv_x/discard", &["admin"]),
];

#[actix_web::test]
async fn every_route_is_open_to_its_roles_only_and_closed_to_other_chains() {
    let app = TestApp::start(Backend::Sqlite).await;
    let other = json!({ "id": "other", "name": "Other", "timezone": "UTC", "currency": "EUR" });
    app.post("/v1/chains", &other).await.expect(201);
    for role in ["admin", "manager", "viewer", "ingest"] {
        let made = app.post("/v1/keys", &json!({ "role": role, "chain": "harvest" })).await.expect(201);
        let key = format!("Bearer {}", made["key"].as_str().expect("the key is shown"));
        let auth = ("authorization", key.as_str());
        for (method, path, roles) in GUARDED {
            let ask = async |chain: &str| {
                let path = format!("/v1/chains/{chain}{path}");
                app.request(method.clone(), &path, &[auth], Vec::new()).await
            };
            let own = ask("harvest").await;
            assert_eq!(own.status != 403, roles.contains(&role), "{role} {method} {path}: {}", own.text);
            assert_ne!(own.status, 401, "{role} {method} {path}");
            let others = ask("other").await;
            assert_eq!(others.status, 404, "{role} {method} {path}: {}", others.text);
            assert_eq!(others.text, ask("nowhere").await.text, "{role} {method} {path}");
        }
    }
    for (method, path, _) in GUARDED {
        let nobody = ("authorization", "Bearer pck_nobody");
        let path = format!("/v1/chains/harvest{path}");
        let answer = app.request(method.clone(), &path, &[nobody], Vec::new()).await;
        assert_eq!(answer.status, 401, "{method} {path}");
    }
    app.stop().await;
}

#[actix_web::test]
async fn a_revoked_key_is_useless_at_once() {
    let app = TestApp::start(Backend::Sqlite).await;
    let made = app.post("/v1/keys", &json!({ "role": "viewer" })).await.expect(201);
    let key = format!("Bearer {}", made["key"].as_str().expect("the key is shown"));
    let look = async || app.request(Method::GET, "/v1/clock", &[("authorization", &key)], Vec::new()).await;
    assert_eq!(look().await.status, 200);
    let path = format!("/v1/keys/{}", made["id"].as_str().expect("an id"));
    assert_eq!(app.request(Method::DELETE, &path, &[], Vec::new()).await.status, 204);
    assert_eq!(look().await.status, 401);
    let listed = app.get("/v1/keys").await;
    assert!(!listed.text.contains(made["key"].as_str().expect("the key is shown")), "{}", listed.text);
    app.stop().await;
}

#[actix_web::test]
async fn what_a_route_does_not_know_is_refused_by_name() {
    let app = TestApp::start(Backend::Sqlite).await;
    for (path, field) in [
        ("/v1/chains/harvest/members?emial=ana@example.com", "emial"),
        ("/v1/chains/harvest/events?type=points.earnt", "type"),
        ("/v1/chains/harvest/source_events?limit=0", "limit"),
        ("/v1/chains/harvest/endpoints?cursor=1", "cursor"),
    ] {
        assert_eq!(app.get(path).await.expect(422)["field"], field, "{path}");
    }
    let typo = json!({ "url": "https://example.com/hook", "events": ["*"], "tag": ["crm"] });
    assert_eq!(app.post("/v1/chains/harvest/endpoints", &typo).await.expect(422)["field"], "tag");
    let hook = "https://example.com/hook";
    for (body, field) in [
        (json!({ "url": hook, "events": ["*"], "dialect": null }), "dialect"),
        (json!({ "url": hook, "events": ["*"], "dialect": "klingon" }), "dialect"),
        (json!({ "url": hook, "events": ["*"], "headers": ["x"] }), "headers"),
        (json!({ "url": hook, "events": [] }), "events"),
        (json!({ "url": hook }), "events"),
    ] {
        let problem = app.post("/v1/chains/harvest/endpoints", &body).await.expect(422);
        assert_eq!(problem["field"], field, "{problem}");
        assert!(!problem["detail"].as_str().unwrap().contains("struct"), "{problem}");
    }
    let (id, _) = app.endpoint("http://127.0.0.1:9000/hook", &["points.*"]).await;
    let path = format!("/v1/chains/harvest/endpoints/{id}");
    let nothing = app.request(Method::PATCH, &path, &[], br#"{"events":[]}"#.to_vec()).await.expect(422);
    assert_eq!(nothing["field"], "events");
    let tagged = br#"{"events":[],"tags":["crm"]}"#.to_vec();
    app.request(Method::PATCH, &path, &[], tagged).await.expect(200);
    let wrong = app.request(Method::PUT, "/v1/chains", &[], Vec::new()).await;
    assert_eq!(wrong.header("allow"), Some("GET, HEAD, POST"));
    assert_eq!(wrong.expect(405)["code"], "method_not_allowed");
    app.stop().await;
}
