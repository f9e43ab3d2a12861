//! Changes by two people at once: one is told, and nothing is lost.

use std::collections::BTreeSet;

use awc::http::Method;
use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::support::app::Reply;
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    every_change_makes_another_state_and_the_engines_own_do_too,
    what_was_changed_meanwhile_is_not_changed_unawares,
    a_condition_that_cannot_be_read_changes_nothing,
    versions_and_candidates_are_put_in_force_by_whoever_knows_what_is,
    what_is_under_way_when_an_endpoint_is_paused_and_enabled_is_not_sent_twice,
}

on_both_backends! {
    from crate::changes::several_threads;
    two_admins_who_edit_one_endpoint_at_once_lose_nothing,
    of_two_changes_that_do_not_go_together_one_is_refused,
    changes_of_different_fields_at_once_both_hold,
}

const CHAIN: &str = "/v1/chains/harvest";
const PROGRAM: &str = "/v1/chains/harvest/program";

async fn several_threads(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| config.workers = std::num::NonZeroUsize::new(4).unwrap()).await
}

/// Asks for a change of what is in this state.
async fn change(app: &TestApp, method: Method, path: &str, tag: &str, body: &Value) -> Reply {
    let headers = [("if-match", tag), ("content-type", "application/json")];
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    app.request(method, path, &headers, body).await
}

#[track_caller]
fn tag(answer: &Reply) -> String {
    assert!(answer.status < 300 || answer.status == 412, "{} {}", answer.status, answer.text);
    answer.header("etag").unwrap_or_else(|| panic!("an ETag beside {}", answer.text)).to_owned()
}

/// A new endpoint that does not matter; its path.
async fn endpoint(app: &TestApp) -> String {
    let (id, _) = app.endpoint("http://127.0.0.1:9000/", &["points.*"]).await;
    format!("{CHAIN}/endpoints/{id}")
}

async fn every_change_makes_another_state_and_the_engines_own_do_too(mut app: TestApp) {
    let path = endpoint(&app).await;
    let state = async |app: &TestApp| {
        let read = app.get(&path).await;
        assert_eq!(tag(&read), format!("\"{}\"", read.json()["revision"]));
        read.json()["revision"].as_i64().unwrap()
    };
    assert_eq!(state(&app).await, 1);
    for (change, body) in [
        ("enable", json!({})),
        ("disable", json!({})),
        ("enable", json!({})),
        ("rotate_secret", json!({})),
        ("pause", json!({ "until": "2026-03-03T19:00:00Z" })),
    ] {
        let before = state(&app).await;
        let changed = app.post(&format!("{path}/{change}"), &body).await;
        assert_eq!(tag(&changed), format!("\"{}\"", before + 1), "{change}");
        assert_eq!(state(&app).await, before + 1, "{change}");
    }
    assert_eq!(tag(&app.patch(&path, &json!({ "description": "the CRM" })).await), "\"7\"");
    app.advance(1_800).await;
    assert_eq!(app.get(&path).await.expect(200)["status"], "enabled");
    assert_eq!(state(&app).await, 8, "a pause that ended by itself");
    app.restart_with(|_| ()).await;
    assert_eq!(state(&app).await, 8);

    assert_eq!(tag(&app.get(CHAIN).await), "\"1\"");
    assert_eq!(tag(&app.patch(CHAIN, &json!({ "name": "Harvest Bowls" })).await), "\"2\"");
    app.restart_with(|_| ()).await;
    let known = app.request(Method::GET, CHAIN, &[("if-none-match", "\"2\"")], Vec::new()).await;
    assert_eq!((known.status, &*known.text, known.header("etag")), (304, "", Some("\"2\"")));
    let other = app.request(Method::GET, CHAIN, &[("if-none-match", "\"1\"")], Vec::new()).await;
    assert_eq!(other.expect(200)["revision"], 2);
    app.stop().await;
}

async fn what_was_changed_meanwhile_is_not_changed_unawares(app: TestApp) {
    let path = endpoint(&app).await;
    app.patch(&path, &json!({ "description": "the CRM" })).await.expect(200);
    let before = app.get(&path).await.expect(200);
    let under = |name: &str| format!("{path}/{name}");
    for (method, path, body) in [
        (Method::PATCH, path.clone(), json!({ "description": "mine" })),
        (Method::DELETE, path.clone(), Value::Null),
        (Method::POST, under("enable"), json!({})),
        (Method::POST, under("disable"), json!({})),
        (Method::POST, under("pause"), json!({})),
        (Method::POST, under("rotate_secret"), json!({})),
        (Method::DELETE, under("secrets/1"), Value::Null),
    ] {
        for outdated in ["\"1\"", "\"1\", \"3\"", "W/\"2\"", "\"\""] {
            let refused = change(&app, method.clone(), &path, outdated, &body).await;
            assert_eq!(tag(&refused), "\"2\"", "{method} {path}");
            let refused = refused.expect(412);
            assert_eq!(refused["code"], "precondition_failed");
        }
    }
    assert_eq!(app.get(&path).await.expect(200), before);
    for current in ["\"2\"", "\"1\", \"3\"", "*"] {
        let body = json!({ "description": format!("mine since {current}") });
        change(&app, Method::PATCH, &path, current, &body).await.expect(200);
    }
    let nothing_new = json!({ "description": "mine since *" });
    assert_eq!(
        tag(&app.patch(&path, &nothing_new).await),
        "\"5\"",
        "what changes nothing makes no other state"
    );
    let gone = format!("{CHAIN}/endpoints/ep_00000000000000000000000000");
    assert_eq!(change(&app, Method::PATCH, &gone, "*", &json!({})).await.status, 404);
    change(&app, Method::DELETE, &path, "\"5\"", &Value::Null).await.expect(204);

    let rename = json!({ "name": "Harvest Bowls" });
    assert_eq!(tag(&change(&app, Method::PATCH, CHAIN, "\"2\"", &rename).await), "\"1\"");
    change(&app, Method::PATCH, CHAIN, "\"1\"", &rename).await.expect(200);
    assert_eq!(change(&app, Method::PATCH, CHAIN, "\"1\"", &rename).await.status, 412);
    assert_eq!(tag(&change(&app, Method::PATCH, CHAIN, "\"2\"", &rename).await), "\"2\"");
    app.stop().await;
}

async fn a_condition_that_cannot_be_read_changes_nothing(app: TestApp) {
    let path = endpoint(&app).await;
    for malformed in ["1", "\"1", "'1'", "\"1\" \"2\"", "*, \"1\"", ","] {
        let refused = change(&app, Method::PATCH, &path, malformed, &json!({ "description": "mine" })).await;
        let refused = refused.expect(422);
        assert_eq!((&refused["code"], &refused["field"]), (&json!("invalid_field"), &json!("If-Match")));
    }
    assert_eq!(tag(&app.get(&path).await), "\"1\"");
    app.stop().await;
}

/// A program that gives so much for an order.
fn giving(points: u32) -> Value {
    let manifest = "name = \"Harvest\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n";
    let rule = format!("rule \"Gift\" on order.completed {{ award({points}); }}\n");
    json!({ "program.toml": manifest, "gift.rhai": rule })
}

async fn versions_and_candidates_are_put_in_force_by_whoever_knows_what_is(app: TestApp) {
    let [publish, rollback, candidate] =
        ["publish", "rollback", "candidate"].map(|name| format!("{PROGRAM}/{name}"));
    let [promote, drop] = ["promote", "drop"].map(|name| format!("{candidate}/{name}"));
    let post = async |path: &str, tag: &str, body: Value| change(&app, Method::POST, path, tag, &body).await;
    assert_eq!(tag(&app.get(PROGRAM).await), "\"1\"");
    assert_eq!(tag(&post(&publish, "\"1\"", json!({ "files": giving(2) })).await), "\"2\"");
    assert_eq!(tag(&app.get(PROGRAM).await), "\"2\"");
    for (path, body) in [
        (&publish, json!({ "files": giving(3) })),
        (&rollback, json!({ "version": 1 })),
        (&candidate, json!({ "files": giving(3), "share": 10 })),
    ] {
        let refused = post(path, "\"1\"", body).await;
        assert_eq!((tag(&refused), refused.status), ("\"2\"".to_owned(), 412), "{path}");
    }

    let begun = post(&candidate, "\"2\"", json!({ "files": giving(3), "share": 10 })).await;
    assert_eq!((begun.status, tag(&begun)), (201, "\"3.1\"".to_owned()));
    assert_eq!(tag(&app.get(&candidate).await), "\"3.1\"");
    let widened = change(&app, Method::PATCH, &candidate, "\"3.1\"", &json!({ "share": 50 })).await;
    assert_eq!((widened.status, tag(&widened)), (200, "\"3.2\"".to_owned()));
    let again = change(&app, Method::PATCH, &candidate, "\"3.1\"", &json!({ "share": 20 })).await;
    assert_eq!((again.status, tag(&again)), (412, "\"3.2\"".to_owned()));
    for path in [&promote, &drop] {
        assert_eq!(tag(&post(path, "\"3.1\"", json!({})).await), "\"3.2\"", "{path}");
        assert_eq!(app.get(&candidate).await.expect(200)["status"], "running");
    }
    assert_eq!(tag(&post(&promote, "\"3.2\"", json!({})).await), "\"4\"");
    assert_eq!(tag(&app.get(&candidate).await), "\"3.3\"", "it has ended");
    assert_eq!(post(&rollback, "\"4\"", json!({ "version": 1 })).await.status, 201);
    app.stop().await;
}

async fn what_is_under_way_when_an_endpoint_is_paused_and_enabled_is_not_sent_twice(app: TestApp) {
    let crm = Receiver::start().await;
    let (id, _) = app.endpoint(&crm.url, &["order.completed"]).await;
    let path = format!("{CHAIN}/endpoints/{id}");
    crm.hold();
    app.send(&order("o1", "ana", "20.00")).await.expect(200);
    app.until("it arrives", async || (crm.arrivals().len() == 1).then_some(())).await;
    for _ in 0..3 {
        app.post(&format!("{path}/pause"), &json!({})).await.expect(200);
        app.post(&format!("{path}/enable"), &json!({})).await.expect(200);
    }
    app.send(&order("o2", "ana", "20.00")).await.expect(200);
    for _ in 0..50 {
        app.get(&path).await.expect(200); // time enough to send it again
    }
    assert_eq!(crm.arrivals().len(), 1);
    crm.go_on();
    app.advance(0).await;
    let arrived: BTreeSet<_> = crm.arrivals().into_iter().map(|arrival| arrival.id).collect();
    assert_eq!((arrived.len(), crm.arrivals().len()), (2, 2), "each once");
    let log = app.deliveries(&id).await;
    assert!(log.iter().all(|delivery| delivery["status"] == "delivered"), "{log:?}");
    app.stop().await;
}

async fn two_admins_who_edit_one_endpoint_at_once_lose_nothing(app: TestApp) {
    const ROUNDS: usize = 40;
    let path = endpoint(&app).await;
    let (mut told, mut both) = (0, 0);
    for round in 0..ROUNDS {
        let read = app.get(&path).await;
        let (known, tags) = (tag(&read), read.json()["tags"].as_array().unwrap().clone());
        let adding = async |admin: &str| {
            let mut tags = tags.clone();
            tags.push(json!(format!("{admin}{round}")));
            change(&app, Method::PATCH, &path, &known, &json!({ "tags": tags })).await
        };
        let answers = <[_; 2]>::from(join(adding("a"), adding("b")).await);
        for (answer, admin) in answers.iter().zip(["a", "b"]) {
            both += usize::from(answer.status == 200);
            if answer.status != 412 {
                continue;
            }
            told += 1;
            // The advice: read it again, merge, send again.
            let read = app.get(&path).await;
            assert_eq!(tag(answer), tag(&read), "whoever is told is told what it is by now");
            let mut tags = read.json()["tags"].as_array().unwrap().clone();
            tags.push(json!(format!("{admin}{round}")));
            change(&app, Method::PATCH, &path, &tag(&read), &json!({ "tags": tags })).await.expect(200);
        }
    }
    assert_eq!((told, both), (ROUNDS, ROUNDS), "one of the two each time");
    let end = app.get(&path).await.expect(200);
    assert_eq!(end["tags"].as_array().unwrap().len(), 2 * ROUNDS, "{end}");
    assert_eq!(end["revision"], 1 + 2 * ROUNDS);
    app.stop().await;
}

async fn of_two_changes_that_do_not_go_together_one_is_refused(app: TestApp) {
    let path = endpoint(&app).await;
    for _ in 0..20 {
        app.patch(&path, &json!({ "events": ["points.*"], "tags": ["vip"] })).await.expect(200);
        // With neither of them it would never get anything.
        let [no_events, no_tags] = [json!({ "events": [] }), json!({ "tags": [] })];
        let answers = <[_; 2]>::from(join(app.patch(&path, &no_events), app.patch(&path, &no_tags)).await);
        let mut answered = answers.map(|answer| answer.status);
        answered.sort_unstable();
        assert_eq!(answered, [200, 422]);
    }
    app.stop().await;
}

async fn changes_of_different_fields_at_once_both_hold(app: TestApp) {
    let path = endpoint(&app).await;
    for round in 1..=20 {
        let changes = [json!({ "rate_limit": round }), json!({ "description": round.to_string() })];
        for answer in join_all(changes.iter().map(|change| app.patch(&path, change))).await {
            answer.expect(200);
        }
        let now = app.get(&path).await.expect(200);
        assert_eq!((&now["rate_limit"], &now["description"]), (&json!(round), &json!(round.to_string())));
        assert_eq!(now["revision"], 1 + 2 * round);
    }
    app.stop().await;
}
