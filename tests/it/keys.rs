//! API keys: their end, their texts, who may do what with them, and how much of it.

use std::collections::BTreeSet;

use awc::http::Method;
use punchcard::http::RequestLimits;
use serde_json::{Value, json};

use crate::support::app::Reply;
use crate::support::builders::START;
use crate::support::{Backend, TestApp, on_both_backends, order, visit};

on_both_backends! {
    a_key_ends_in_its_second_and_may_be_given_more_time,
    two_texts_of_a_key_work_until_the_overlap_is_over,
    without_overlap_the_text_before_is_unknown_at_once,
    when_a_key_was_used_last_is_known_to_the_minute,
    the_last_admin_key_of_all_chains_does_not_go_by_the_api,
    a_key_of_one_chain_rules_its_chain_alone,
    a_key_with_a_limit_of_its_own_gives_no_more_than_that,
    keys_are_listed_page_by_page_and_never_shown_again,
    the_command_line_makes_rotates_and_revokes_beside_a_server,
}
on_both_backends! {
    from crate::keys::with_limits;
    each_key_and_each_chain_has_its_limit_and_answers_tell_of_it,
    a_batch_costs_a_request_for_each_hundred_events,
}

const MEMBERS: &str = "/v1/chains/harvest/members/nobody";

fn limit(requests: u32) -> Option<punchcard::domain::allowance::RequestsPerMinute> {
    Some(requests.try_into().unwrap())
}

async fn with_limits(backend: Backend) -> TestApp {
    let limits = RequestLimits { key: limit(30), chain: limit(35) };
    TestApp::start_with(backend, |config| config.request_limits = limits).await
}

/// Asks with a key.
async fn ask(app: &TestApp, key: &str, method: Method, path: &str, body: Value) -> Reply {
    let auth = format!("Bearer {key}");
    let headers = [("authorization", &*auth), ("content-type", "application/json")];
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    app.request(method, path, &headers, body).await
}

/// Whether a key opens anything: 404 when it does, for nobody is a member.
async fn opens(app: &TestApp, key: &str) -> Reply {
    ask(app, key, Method::GET, MEMBERS, Value::Null).await
}

/// Makes a key; answers its id and its text.
async fn make(app: &TestApp, body: Value) -> (String, String) {
    let made = app.post("/v1/keys", &body).await.expect(201);
    (text(&made, "id"), text(&made, "key"))
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

fn path(id: &str) -> String {
    format!("/v1/keys/{id}")
}

#[track_caller]
fn assert_refused(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.json()["code"].as_str()), (status, Some(code)), "{}", reply.text);
}

async fn a_key_ends_in_its_second_and_may_be_given_more_time(app: TestApp) {
    let (id, key) = make(&app, json!({ "role": "ingest", "expires_at": "2026-03-03T18:31:00Z" })).await;
    app.advance(59).await;
    assert_eq!(opens(&app, &key).await.status, 404);
    app.advance(1).await;
    let refused = opens(&app, &key).await;
    assert_refused(&refused, 401, "key_expired");
    assert_eq!(refused.json()["detail"], "the API key expired at 2026-03-03T18:31:00Z");
    assert!(refused.header("www-authenticate").is_some());
    let later = json!({ "expires_at": "2026-03-03T19:31:00+01:00" });
    assert_eq!(app.patch(&path(&id), &later).await.expect(422)["field"], "expires_at", "that is now");
    let rotated = app.post(&format!("{}/rotate", path(&id)), &json!({})).await;
    assert_refused(&rotated, 409, "conflict");
    let later = json!({ "expires_at": "2026-03-03T18:31:01Z", "name": "till 3" });
    let shown = app.patch(&path(&id), &later).await.expect(200);
    assert_eq!((&shown["expires_at"], &shown["name"]), (&json!("2026-03-03T18:31:01Z"), &json!("till 3")));
    assert_eq!(opens(&app, &key).await.status, 404);
    app.patch(&path(&id), &json!({ "expires_at": null })).await.expect(200);
    app.advance(86_400).await;
    assert_eq!(opens(&app, &key).await.status, 404);
    app.request(Method::DELETE, &path(&id), &[], Vec::new()).await.expect(204);
    let refused = opens(&app, &key).await;
    assert_refused(&refused, 401, "unauthorized");
    assert_eq!(refused.json()["detail"], "the API key was revoked");
    assert_refused(&app.patch(&path(&id), &json!({ "name": "x" })).await, 409, "conflict");
    app.stop().await;
}

async fn two_texts_of_a_key_work_until_the_overlap_is_over(app: TestApp) {
    let (id, first) = make(&app, json!({ "role": "viewer", "chain": "harvest", "name": "office" })).await;
    let rotate = async |body: &Value| app.post(&format!("{}/rotate", path(&id)), body).await;
    assert_eq!(opens(&app, &first).await.status, 404);
    let rotated = rotate(&json!({ "overlap_seconds": 60 })).await.expect(200);
    let second = text(&rotated, "key");
    assert_eq!((text(&rotated, "id"), &rotated["name"]), (id.clone(), &json!("office")));
    assert_eq!(rotated["older_until"], "2026-03-03T18:31:00Z");
    app.advance(59).await;
    for key in [&first, &second] {
        assert_eq!(opens(&app, key).await.status, 404);
    }
    let third = text(&rotate(&Value::Null).await.expect(422), "detail"); // `null` is no object
    assert!(third.contains("body"), "{third}");
    let rotated = rotate(&json!({})).await.expect(200);
    assert_eq!(rotated["older_until"], "2026-03-04T18:30:59Z", "a day, if nobody says");
    app.advance(1).await;
    let refused = opens(&app, &first).await;
    assert_refused(&refused, 401, "key_expired");
    assert!(refused.text.contains("rotated away; it worked until 2026-03-03T18:31:00Z"), "{}", refused.text);
    assert_eq!(opens(&app, &second).await.status, 404);
    assert_eq!(opens(&app, &text(&rotated, "key")).await.status, 404);
    assert_eq!(
        rotate(&json!({ "overlap_seconds": 2_592_001 })).await.expect(422)["field"],
        "overlap_seconds"
    );
    app.stop().await;
}

async fn without_overlap_the_text_before_is_unknown_at_once(app: TestApp) {
    let (id, first) = make(&app, json!({ "role": "viewer" })).await;
    assert_eq!(opens(&app, &first).await.status, 404);
    let rotate = json!({ "overlap_seconds": 0 });
    let rotated = app.post(&format!("{}/rotate", path(&id)), &rotate).await.expect(200);
    assert_eq!(rotated["older_until"], Value::Null);
    assert_refused(&opens(&app, &first).await, 401, "unauthorized");
    assert_eq!(opens(&app, &text(&rotated, "key")).await.status, 404);
    app.stop().await;
}

async fn when_a_key_was_used_last_is_known_to_the_minute(mut app: TestApp) {
    let (id, key) = make(&app, json!({ "role": "ingest" })).await;
    let last_use = async |app: &TestApp| app.get(&path(&id)).await.expect(200)["last_used_at"].clone();
    app.advance(70).await;
    assert_eq!(last_use(&app).await, Value::Null);
    for _ in 0..20 {
        opens(&app, &key).await;
    }
    app.advance(60).await;
    assert_eq!(last_use(&app).await, "2026-03-03T18:31:00Z");
    app.advance(3_600).await;
    assert_eq!(last_use(&app).await, "2026-03-03T18:31:00Z");
    opens(&app, &key).await;
    // What is not written yet is, when the server stops.
    app.restart_with(|config| config.test_clock = Some("2026-03-04T00:00:00Z".parse().unwrap())).await;
    assert_eq!(last_use(&app).await, "2026-03-03T19:32:00Z");
    app.stop().await;
}

async fn the_last_admin_key_of_all_chains_does_not_go_by_the_api(mut app: TestApp) {
    let configured = TestApp::admin().trim_start_matches("Bearer ").to_owned();
    let (id, key) = make(&app, json!({ "role": "admin" })).await;
    make(&app, json!({ "role": "admin", "chain": "harvest" })).await;
    app.restart_with(|config| config.admin_key = None).await;
    let ask = async |method, body| ask(&app, &key, method, &path(&id), body).await;
    let refused = ask(Method::DELETE, Value::Null).await;
    assert_refused(&refused, 409, "last_admin_key");
    assert!(refused.text.contains("make one first"), "{}", refused.text);
    let end = json!({ "expires_at": "2026-03-03T18:31:00Z" });
    assert_refused(&ask(Method::PATCH, end.clone()).await, 409, "last_admin_key");
    // One that ends before anybody has seen it is no way in.
    let brief = json!({ "role": "admin", "expires_at": "2026-03-04T18:29:59Z" });
    crate::keys::ask(&app, &key, Method::POST, "/v1/keys", brief).await.expect(201);
    assert_refused(&ask(Method::DELETE, Value::Null).await, 409, "last_admin_key");
    assert_eq!(ask(Method::GET, Value::Null).await.expect(200)["expires_at"], Value::Null);
    // Rotating takes nothing away: whoever asks is shown the new text.
    let rotated =
        crate::keys::ask(&app, &key, Method::POST, &format!("{}/rotate", path(&id)), json!({})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let other = crate::keys::ask(&app, &key, Method::POST, "/v1/keys", json!({ "role": "admin" })).await;
    assert_eq!(other.expect(201)["created_by"], id, "a key without a name goes by its id");
    assert_eq!(ask(Method::PATCH, end).await.status, 200);
    assert_eq!(ask(Method::DELETE, Value::Null).await.status, 204);
    assert_eq!(ask(Method::DELETE, Value::Null).await.status, 401);
    app.restart_with(|config| config.admin_key = Some(punchcard::config::Hidden::new(configured))).await;
    // With the key of the configuration there is a way in whatever goes.
    for key in app.get("/v1/keys").await.expect(200)["items"].as_array().unwrap() {
        app.request(Method::DELETE, &path(&text(key, "id")), &[], Vec::new()).await.expect(204);
    }
    app.stop().await;
}

async fn a_key_of_one_chain_rules_its_chain_alone(app: TestApp) {
    let other = json!({ "id": "other", "name": "Other", "timezone": "Europe/Berlin", "currency": "EUR" });
    app.post("/v1/chains", &other).await.expect(201);
    let (theirs, _) = make(&app, json!({ "role": "ingest", "chain": "other" })).await;
    let (of_all, _) = make(&app, json!({ "role": "ingest" })).await;
    let (id, admin) = make(&app, json!({ "role": "admin", "chain": "harvest", "name": "office" })).await;
    let ask = async |method: Method, path: &str, body: Value| ask(&app, &admin, method, path, body).await;
    for id in [&theirs, &of_all, "key_00000000000000000000000007", "nonsense"] {
        let (key, rotate) = (path(id), format!("{}/rotate", path(id)));
        for (method, path) in
            [(Method::GET, &key), (Method::PATCH, &key), (Method::DELETE, &key), (Method::POST, &rotate)]
        {
            assert_refused(&ask(method, path, json!({})).await, 404, "not_found");
        }
    }
    let made =
        ask(Method::POST, "/v1/keys", json!({ "role": "ingest", "chain": "harvest" })).await.expect(201);
    assert_eq!(made["created_by"], "office");
    for (body, field) in [
        (json!({ "role": "ingest" }), "chain"),
        (json!({ "role": "ingest", "chain": "other" }), "chain"),
        (json!({ "role": "ingest", "chain": "harvest", "requests_per_minute": 9 }), "requests_per_minute"),
        (json!({ "role": "owner", "chain": "harvest" }), "role"),
        (json!({ "role": "ingest", "chain": "harvest", "expires_at": "2026-03-03T18:30:00Z" }), "expires_at"),
        (
            json!({ "role": "ingest", "chain": "harvest", "expires_at": "+10000-01-01T00:00:00Z" }),
            "expires_at",
        ),
    ] {
        assert_eq!(ask(Method::POST, "/v1/keys", body).await.expect(422)["field"], field);
    }
    let lifted = ask(Method::PATCH, &path(&id), json!({ "requests_per_minute": null })).await;
    assert_eq!(lifted.expect(422)["field"], "requests_per_minute");
    let seen = ask(Method::GET, "/v1/keys", Value::Null).await.expect(200);
    let seen: Vec<_> = seen["items"].as_array().unwrap().iter().map(|key| text(key, "id")).collect();
    assert_eq!(BTreeSet::from_iter(seen), BTreeSet::from([text(&made, "id"), id.clone()]));
    for role in ["manager", "viewer", "ingest"] {
        let (id, key) = make(&app, json!({ "role": role, "chain": "harvest" })).await;
        for (method, path) in [
            (Method::GET, "/v1/keys".to_owned()),
            (Method::POST, "/v1/keys".to_owned()),
            (Method::GET, path(&id)),
            (Method::PATCH, path(&id)),
            (Method::DELETE, path(&id)),
            (Method::POST, format!("{}/rotate", path(&id))),
        ] {
            assert_refused(&crate::keys::ask(&app, &key, method, &path, json!({})).await, 403, "forbidden");
        }
    }
    app.stop().await;
}

async fn keys_are_listed_page_by_page_and_never_shown_again(app: TestApp) {
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(make(&app, json!({ "role": "ingest", "name": format!("till {n}") })).await);
        app.advance(1).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/v1/keys?limit=2{cursor}")).await;
        for (_, key) in &made {
            assert!(!page.text.contains(key.as_str()) && !page.text.contains("hash"), "{}", page.text);
        }
        let page = page.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|key| text(key, "id")));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    made.reverse();
    assert_eq!(seen, made.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>());
    let (id, _) = &made[0];
    let shown = app.get(&path(id)).await.expect(200);
    let expected = json!({ "id": id, "role": "ingest", "chain": null, "name": "till 4",
        "created_at": "2026-03-03T18:30:04Z", "created_by": "configuration", "expires_at": null,
        "last_used_at": null, "requests_per_minute": null });
    assert_eq!(shown, expected);
    app.stop().await;
}

async fn the_command_line_makes_rotates_and_revokes_beside_a_server(app: TestApp) {
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_punchcard"));
        command.arg("key").args(arguments).args(["--database", &app.database()]);
        let done = command.env("PUNCHCARD_MASTER_KEY", "07".repeat(32)).output().expect("it runs");
        let said = [&done.stdout, &done.stderr].map(|said| String::from_utf8_lossy(said).trim().to_owned());
        assert!(done.status.success(), "{said:?}");
        said
    };
    let [first, about] =
        run(&["create", "--role", "ingest", "--expires-in", "90d", "--requests-per-minute", "9"]);
    let id = about.split_whitespace().find(|word| word.starts_with("key_")).unwrap();
    let id = id.trim_end_matches(':').to_owned();
    let shown = app.get(&path(&id)).await.expect(200);
    assert_eq!((&shown["created_by"], &shown["requests_per_minute"]), (&json!("command line"), &json!(9)));
    let answer = opens(&app, &first).await;
    assert_eq!((answer.status, answer.header("ratelimit-limit")), (404, Some("9")));
    let [second, _] = run(&["rotate", &id, "--overlap", "1h"]);
    for key in [&first, &second] {
        assert_eq!(opens(&app, key).await.status, 404);
    }
    let [third, _] = run(&["rotate", &id, "--overlap", "0"]);
    assert_eq!(opens(&app, &third).await.status, 404);
    let refused = async |key: &str| {
        let code = opens(&app, key).await;
        (code.status == 401).then_some(())
    };
    app.until("the text before it is unknown", async || refused(&second).await).await;
    let [list, _] = run(&["list"]);
    assert!(
        list.lines().nth(1).is_some_and(|line| line.starts_with(&id) && line.contains("ingest")),
        "{list}"
    );
    run(&["revoke", &id]);
    app.until("it is revoked", async || refused(&third).await).await;
    app.stop().await;
}

#[actix_web::test]
async fn who_sends_many_unknown_keys_is_answered_429_and_a_good_key_from_there_works() {
    let app = TestApp::start(Backend::Sqlite).await;
    let (id, expired) = make(&app, json!({ "role": "viewer", "expires_at": "2026-03-03T18:30:01Z" })).await;
    let (_, known) = make(&app, json!({ "role": "viewer" })).await;
    let (_, unseen) = make(&app, json!({ "role": "viewer" })).await;
    app.advance(1).await;
    assert_eq!(opens(&app, &known).await.status, 404);
    for n in 0..130 {
        assert_refused(&opens(&app, &expired).await, 401, "key_expired"); // nobody guesses, so it does not count
        assert_eq!(opens(&app, &format!("pck_{n}")).await.status, if n < 120 { 401 } else { 429 }, "{n}");
    }
    let refused = opens(&app, "pck_other").await;
    assert_refused(&refused, 429, "too_many_attempts");
    assert_eq!(refused.header("retry-after"), Some("1"));
    for good in [&known, &unseen] {
        assert_eq!(opens(&app, good).await.status, 404);
    }
    app.patch(&path(&id), &json!({ "expires_at": null })).await.expect(200);
    assert_eq!(opens(&app, &expired).await.status, 404);
    app.advance(1).await;
    for status in [401, 401, 429] {
        assert_eq!(opens(&app, "pck_other").await.status, status);
    }
    let metrics = app.get("/metrics").await.text;
    for (code, count) in [("unauthorized", 122), ("key_expired", 130), ("too_many_attempts", 12)] {
        let line = format!("punchcard_refused_callers_total{{code=\"{code}\"}} {count}");
        assert!(metrics.lines().any(|l| l == line), "{line} in {metrics}");
    }
    app.stop().await;
}

#[actix_web::test]
async fn without_limits_nothing_is_told_of_them() {
    let app = TestApp::start(Backend::Sqlite).await;
    let (_, key) = make(&app, json!({ "role": "viewer" })).await;
    let answer = opens(&app, &key).await;
    assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("ratelimit")), "{:?}", answer.headers);
    app.stop().await;
}

/// What the three headers say.
fn told(reply: &Reply) -> [u32; 3] {
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"].map(|name| {
        reply.header(name).unwrap_or_else(|| panic!("{name}: {:?}", reply.headers)).parse().unwrap()
    })
}

async fn each_key_and_each_chain_has_its_limit_and_answers_tell_of_it(app: TestApp) {
    let (_, first) = make(&app, json!({ "role": "viewer", "chain": "harvest" })).await;
    let (own, second) = make(&app, json!({ "role": "viewer", "requests_per_minute": 1_000 })).await;
    for left in (0..30).rev() {
        let answer = opens(&app, &first).await;
        assert_eq!((answer.status, told(&answer)), (404, [30, left, (30 - left) * 2]));
    }
    let refused = opens(&app, &first).await;
    assert_refused(&refused, 429, "rate_limited");
    assert_eq!((refused.header("retry-after"), told(&refused)), (Some("2"), [30, 0, 60]));
    assert!(
        refused.text.contains("the limit of this key, 30 requests a minute, is used up"),
        "{}",
        refused.text
    );
    // Of the chain's 35, 30 are gone; what is asked about no chain is none of them.
    for left in (0..5).rev() {
        let answer = opens(&app, &second).await;
        assert_eq!((answer.status, told(&answer)[..2].to_vec()), (404, vec![35, left]));
    }
    let refused = opens(&app, &second).await;
    assert_refused(&refused, 429, "rate_limited");
    assert!(refused.text.contains("the limit of this chain, 35 "), "{}", refused.text);
    let clock = ask(&app, &second, Method::GET, "/v1/clock", Value::Null).await;
    assert_eq!((clock.status, told(&clock)[0]), (200, 1_000));
    let nowhere = ask(&app, &second, Method::GET, "/v1/chains/nowhere", Value::Null).await;
    assert_eq!(told(&nowhere)[0], 1_000, "there is no such chain");
    // Whoever runs the server gets in.
    let operator = app.get(MEMBERS).await;
    assert_eq!((operator.status, operator.header("ratelimit-limit")), (404, None));
    app.patch(&path(&own), &json!({ "requests_per_minute": 10 })).await.expect(200);
    let clock = ask(&app, &second, Method::GET, "/v1/clock", Value::Null).await;
    assert_eq!(told(&clock)[0], 10);
    app.advance(2).await;
    assert_eq!(opens(&app, &first).await.status, 404);
    assert_eq!(opens(&app, &first).await.status, 429);
    app.stop().await;
}

async fn a_key_with_a_limit_of_its_own_gives_no_more_than_that(app: TestApp) {
    let limited = json!({ "role": "admin", "requests_per_minute": 600 });
    let (id, of_all) = make(&app, limited.clone()).await;
    let mut of_one = limited;
    of_one["chain"] = json!("harvest");
    let (_, of_one) = make(&app, of_one).await;
    let (till, _) = make(&app, json!({ "role": "ingest", "chain": "harvest" })).await;
    for key in [&of_all, &of_one] {
        let made =
            ask(&app, key, Method::POST, "/v1/keys", json!({ "role": "admin", "chain": "harvest" })).await;
        let made = made.expect(201);
        assert_eq!(made["requests_per_minute"], 600, "it is given on");
        // And so is that which was given.
        let next = json!({ "role": "ingest", "chain": "harvest" });
        let next = ask(&app, &text(&made, "key"), Method::POST, "/v1/keys", next).await.expect(201);
        assert_eq!(next["requests_per_minute"], 600);
    }
    for (asked, status) in [(json!(599), 201), (json!(600), 201), (json!(601), 422)] {
        let body = json!({ "role": "viewer", "requests_per_minute": asked });
        assert_eq!(ask(&app, &of_all, Method::POST, "/v1/keys", body).await.status, status, "{asked}");
    }
    for id in [&id, &till] {
        for (asked, status) in [(json!(601), 422), (Value::Null, 422), (json!(600), 200)] {
            let body = json!({ "requests_per_minute": asked });
            let answer = ask(&app, &of_all, Method::PATCH, &path(id), body).await;
            assert_eq!(answer.status, status, "{asked}: {}", answer.text);
        }
        let renamed = json!({ "name": "till 3" });
        ask(&app, &of_all, Method::PATCH, &path(id), renamed).await.expect(200);
    }
    app.stop().await;
}

async fn a_batch_costs_a_request_for_each_hundred_events(app: TestApp) {
    let (_, key) = make(&app, json!({ "role": "ingest", "requests_per_minute": 8 })).await;
    let batch = async |from: usize, events: usize| {
        let event = |n: usize| visit(&format!("v{n}"), &format!("m{}", n % 100), START).to_string();
        let lines: Vec<_> = (from..from + events).map(event).collect();
        let auth = format!("Bearer {key}");
        let headers = [("authorization", &*auth), ("content-type", "application/x-ndjson")];
        let path = "/v1/chains/harvest/events/batch";
        let answer = app.request(Method::POST, path, &headers, lines.join("\n").into_bytes()).await;
        assert_eq!((answer.status, answer.text.lines().count()), (200, events));
        assert!(!answer.text.contains("rate_limited"));
    };
    batch(0, 100).await;
    assert_eq!(told(&opens(&app, &key).await)[1], 6);
    batch(100, 301).await; // four
    assert_eq!(told(&opens(&app, &key).await)[1], 1);
    // It is taken whole, and paid by waiting.
    batch(500, 400).await; // four of the one
    let refused = opens(&app, &key).await;
    assert_refused(&refused, 429, "rate_limited");
    assert_eq!((refused.header("retry-after"), told(&refused)), (Some("30"), [8, 0, 83]));
    app.advance(29).await;
    assert_eq!(opens(&app, &key).await.status, 429);
    app.advance(1).await;
    assert_eq!(opens(&app, &key).await.status, 404);
    let one = ask(&app, &key, Method::POST, "/v1/chains/harvest/events", order("o1", "ana", "1.00")).await;
    assert_refused(&one, 429, "rate_limited");
    app.stop().await;
}
