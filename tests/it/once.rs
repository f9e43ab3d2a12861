//! Requests that make something, sent more than once under one key: one thing is made, and all are answered alike.

use awc::http::Method;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::support::app::Reply;
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    every_create_is_made_once_and_answered_alike_also_after_a_restart,
    a_key_is_for_one_request_of_one_caller,
    what_was_refused_may_be_asked_for_again,
    a_key_is_forgotten_after_a_day,
    a_publication_that_is_repeated_late_takes_nothing_back,
    what_makes_nothing_in_the_store_is_under_way_once_too,
}

on_both_backends! {
    from crate::once::several_threads;
    of_many_at_once_one_makes_something,
}

const CHAIN: &str = "/v1/chains/harvest";

async fn several_threads(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| config.workers = std::num::NonZeroUsize::new(4).unwrap()).await
}

async fn ask(app: &TestApp, path: &str, key: &str, body: &Value) -> Reply {
    let headers = [("idempotency-key", key), ("content-type", "application/json")];
    app.request(Method::POST, path, &headers, body.to_string().into_bytes()).await
}

/// How many there are of what a list shows.
async fn count(app: &TestApp, list: &str) -> usize {
    app.get(&format!("{list}?limit=100")).await.expect(200)["items"].as_array().unwrap().len()
}

fn giving(points: u32) -> Value {
    let manifest = "name = \"Harvest\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n";
    let rule = format!("rule \"Gift\" on order.completed {{ award({points}); }}\n");
    json!({ "program.toml": manifest, "gift.rhai": rule })
}

async fn every_create_is_made_once_and_answered_alike_also_after_a_restart(mut app: TestApp) {
    let crm = Receiver::start().await;
    crm.answer([500_u16; 5]);
    let (id, _) = app.endpoint(&crm.url, &["order.completed"]).await;
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.advance(86_400).await;
    assert_eq!(app.deliveries(&id).await[0]["status"], "failed");
    let endpoint = format!("{CHAIN}/endpoints/{id}");
    let versions = format!("{CHAIN}/program/versions");
    let since = json!({ "since": "2026-01-01T00:00:00Z" });
    let creates = [
        (
            "/v1/chains".to_owned(),
            json!({ "id": "acme", "name": "Acme", "timezone": "UTC", "currency": "EUR" }),
        ),
        (format!("{CHAIN}/endpoints"), json!({ "url": "http://127.0.0.1:9000/", "events": ["points.*"] })),
        ("/v1/keys".to_owned(), json!({ "role": "viewer", "name": "screen" })),
        (format!("{CHAIN}/program/publish"), json!({ "files": giving(2), "note": "two" })),
        (format!("{CHAIN}/program/candidate"), json!({ "files": giving(3), "share": 10, "note": "three" })),
        (format!("{CHAIN}/program/candidate/promote"), json!({})),
        (format!("{CHAIN}/program/rollback"), json!({ "version": 1 })),
        (format!("{endpoint}/rotate_secret"), json!({})),
        (format!("{endpoint}/recover"), since),
        (format!("{endpoint}/test"), json!({})),
    ];
    let mut answers = Vec::new();
    for (n, (path, body)) in creates.iter().enumerate() {
        let first = ask(&app, path, &format!("k{n}"), body).await;
        assert!((200..300).contains(&first.status), "{path}: {}", first.text);
        assert_eq!(first.header("idempotent-replayed"), None, "{path}");
        answers.push(first);
    }
    app.advance(0).await;
    let recoveries = format!("{endpoint}/recoveries");
    let endpoints = format!("{CHAIN}/endpoints");
    let lists = ["/v1/chains", "/v1/keys", &*endpoints, &*versions, &*recoveries];
    let counts = async |app: &TestApp| {
        let mut counts = Vec::new();
        for list in lists {
            counts.push(count(app, list).await);
        }
        (counts, app.get(&endpoint).await.expect(200)["revision"].clone(), crm.arrivals().len())
    };
    let made = counts(&app).await;
    for _ in 0..2 {
        for (n, (path, body)) in creates.iter().enumerate() {
            let again = ask(&app, path, &format!("k{n}"), body).await;
            let first = &answers[n];
            assert_eq!((again.status, &again.text), (first.status, &first.text), "{path}");
            for header in ["location", "etag", "content-type"] {
                assert_eq!(again.header(header), first.header(header), "{header} of {path}");
            }
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{path}");
        }
        assert_eq!(counts(&app).await, made, "nothing was made");
        app.restart_with(|_| ()).await;
    }
    app.stop().await;
}

async fn a_key_is_for_one_request_of_one_caller(app: TestApp) {
    let body = json!({ "role": "viewer", "name": "screen" });
    ask(&app, "/v1/keys", "k", &body).await.expect(201);
    let other_body = ask(&app, "/v1/keys", "k", &json!({ "role": "viewer", "name": "other" })).await;
    assert_eq!(other_body.expect(409)["code"], "key_reused");
    let other_path = ask(&app, &format!("{CHAIN}/endpoints"), "k", &body).await;
    assert_eq!(other_path.expect(409)["code"], "key_reused");
    assert_eq!(count(&app, "/v1/keys").await, 1);

    let admin = app.post("/v1/keys", &json!({ "role": "admin" })).await.expect(201);
    let bearer = format!("Bearer {}", admin["key"].as_str().unwrap());
    let headers =
        [("idempotency-key", "k"), ("authorization", &*bearer), ("content-type", "application/json")];
    let made = app.request(Method::POST, "/v1/keys", &headers, body.to_string().into_bytes()).await;
    assert_eq!((made.status, made.header("idempotent-replayed")), (201, None), "somebody else's key");
    assert_eq!(count(&app, "/v1/keys").await, 3);

    // In quotes, as the draft standard has it, it is the same.
    let quoted = ask(&app, "/v1/keys", "\"k\"", &body).await;
    assert_eq!((quoted.status, quoted.header("idempotent-replayed")), (201, Some("true")));
    for wrong in ["", &"k".repeat(256)] {
        let refused = ask(&app, "/v1/keys", wrong, &body).await.expect(422);
        assert_eq!(refused["field"], "Idempotency-Key", "{refused}");
    }
    // A replay is for those who may ask.
    let viewer = app.post("/v1/keys", &json!({ "role": "viewer" })).await.expect(201);
    let bearer = format!("Bearer {}", viewer["key"].as_str().unwrap());
    let headers = [("idempotency-key", "k"), ("authorization", &*bearer)];
    let refused = app.request(Method::POST, "/v1/keys", &headers, body.to_string().into_bytes()).await;
    assert_eq!(refused.status, 403);
    app.stop().await;
}

async fn what_was_refused_may_be_asked_for_again(app: TestApp) {
    let path = format!("{CHAIN}/endpoints");
    let wrong = json!({ "url": "http://10.0.0.1/", "events": ["*"] });
    for _ in 0..2 {
        assert_eq!(ask(&app, &path, "k", &wrong).await.expect(422)["field"], "url");
    }
    let right = json!({ "url": "http://127.0.0.1:9000/", "events": ["*"] });
    ask(&app, &path, "k", &right).await.expect(201);
    let taken = json!({ "id": "harvest", "name": "Harvest", "timezone": "UTC", "currency": "EUR" });
    ask(&app, "/v1/chains", "c", &taken).await.expect(409);
    let free = json!({ "id": "acme", "name": "Acme", "timezone": "UTC", "currency": "EUR" });
    ask(&app, "/v1/chains", "c", &free).await.expect(201);
    app.stop().await;
}

async fn a_key_is_forgotten_after_a_day(app: TestApp) {
    let body = json!({ "role": "viewer" });
    let first = ask(&app, "/v1/keys", "k", &body).await.expect(201);
    app.advance(86_399).await;
    assert_eq!(ask(&app, "/v1/keys", "k", &body).await.expect(201)["id"], first["id"]);
    app.advance(1).await;
    let second = ask(&app, "/v1/keys", "k", &body).await;
    assert_eq!(second.header("idempotent-replayed"), None);
    let second = second.expect(201);
    assert_ne!(second["id"], first["id"]);
    assert_eq!(ask(&app, "/v1/keys", "k", &body).await.expect(201)["id"], second["id"]);
    assert_eq!(count(&app, "/v1/keys").await, 2);
    app.stop().await;
}

async fn a_publication_that_is_repeated_late_takes_nothing_back(app: TestApp) {
    let publish = format!("{CHAIN}/program/publish");
    app.post(&publish, &json!({ "files": giving(2) })).await.expect(201);
    // These very files are in force: nothing is made, and that is answered for good, too.
    let unchanged = ask(&app, &publish, "k", &json!({ "files": giving(2) })).await;
    assert_eq!(unchanged.status, 200);
    app.post(&publish, &json!({ "files": giving(3) })).await.expect(201);
    let again = ask(&app, &publish, "k", &json!({ "files": giving(2) })).await;
    assert_eq!((again.status, again.text), (200, unchanged.text));
    assert_eq!(app.get(&format!("{CHAIN}/program")).await.expect(200)["version"], 3);
    app.stop().await;
}

async fn what_makes_nothing_in_the_store_is_under_way_once_too(app: TestApp) {
    let crm = Receiver::start().await;
    let (id, _) = app.endpoint(&crm.url, &["order.completed"]).await;
    let test = format!("{CHAIN}/endpoints/{id}/test");
    crm.hold();
    let meanwhile = async {
        app.until("it arrives", async || (crm.arrivals().len() == 1).then_some(())).await;
        let second = ask(&app, &test, "k", &json!({})).await;
        crm.go_on();
        second
    };
    let (first, second) = join(ask(&app, &test, "k", &json!({})), meanwhile).await;
    assert_eq!(second.header("retry-after"), Some("1"));
    assert_eq!(second.expect(409)["code"], "in_progress");
    assert_eq!(ask(&app, &test, "k", &json!({})).await.text, first.text);
    assert_eq!((first.status, crm.arrivals().len()), (200, 1));
    app.stop().await;
}

/// Asks for an endpoint many times at once; what was answered, without the problems, and then once more.
async fn all_at_once(nodes: &[&TestApp], round: usize, times: usize) -> Vec<Reply> {
    let (path, key) = (format!("{CHAIN}/endpoints"), format!("round-{round}"));
    let body = json!({ "url": "http://127.0.0.1:9000/", "events": ["*"], "description": key });
    let asked = (0..times).map(|n| ask(nodes[n % nodes.len()], &path, &key, &body));
    let mut made = Vec::new();
    for answer in join_all(asked).await {
        if answer.status == 201 {
            made.push(answer);
        } else {
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert_eq!(answer.expect(409)["code"], "in_progress");
        }
    }
    made.push(ask(nodes[0], &path, &key, &body).await);
    made
}

fn one_was_made(answers: &[Reply]) {
    let made = answers.iter().filter(|answer| answer.header("idempotent-replayed").is_none());
    assert_eq!(made.count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.text == answers[0].text));
}

async fn of_many_at_once_one_makes_something(app: TestApp) {
    for round in 0..20 {
        one_was_made(&all_at_once(&[&app], round, 5).await);
        assert_eq!(count(&app, &format!("{CHAIN}/endpoints")).await, round + 1);
    }
    app.stop().await;
}

/// The list of what is under way is one node's own: here the row of the key decides.
#[actix_web::test]
async fn of_many_on_two_nodes_at_once_one_makes_something() {
    let one = several_threads(Backend::Postgres).await;
    let two = one.another_node().await;
    for round in 0..20 {
        one_was_made(&all_at_once(&[&one, &two], round, 6).await);
    }
    let known =
        count(&one, &format!("{CHAIN}/endpoints")).await + count(&two, &format!("{CHAIN}/endpoints")).await;
    assert_eq!(known, 20, "each is known to the node that made it");
    one.stop().await;
    two.stop().await;
}
