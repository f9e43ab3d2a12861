//! Receivers that want to know who we are, beside the signature; and that nothing of that is ever seen.

use std::io::Read as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::support::app::repository;
use crate::support::receiver::{Arrival, Scripted};
use crate::support::{Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    a_name_with_a_password_or_a_token_stands_in_every_request,
    a_token_is_fetched_once_for_many_deliveries_and_anew_when_it_is_refused,
    who_gives_out_tokens_may_want_the_password_in_the_form,
    without_a_token_an_attempt_fails_and_says_why,
    tokens_are_fetched_from_allowed_addresses_only,
    ways_that_cannot_be_are_refused,
}

const ENDPOINTS: &str = "/v1/chains/harvest/endpoints";

async fn endpoint(app: &TestApp, url: &str, auth: Value) -> String {
    let body = json!({ "url": url, "events": ["points.earned"], "auth": auth });
    let made = app.post(ENDPOINTS, &body).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

fn oauth2(issuer: &Receiver) -> Value {
    json!({ "type": "oauth2", "token_url": issuer.url, "client_id": "us:1", "client_secret": "hunter 2",
            "scope": "events.write", "audience": "crm" })
}

/// The first order of a guest.
async fn send(app: &TestApp, key: &str) {
    app.send(&order(key, key, "24.50")).await.expect(200);
    app.advance(0).await;
}

fn authorizations(receiver: &Receiver) -> Vec<String> {
    let of = |arrival: &Arrival| arrival.headers.get("authorization").cloned().unwrap_or_default();
    receiver.arrivals().iter().map(of).collect()
}

async fn a_name_with_a_password_or_a_token_stands_in_every_request(app: TestApp) {
    let crm = Receiver::start().await;
    let basic = json!({ "type": "basic", "username": "us", "password": "pä:ss" });
    let path = format!("{ENDPOINTS}/{}", endpoint(&app, &crm.url, basic).await);
    send(&app, "o1").await;
    let shown = app.get(&path).await.expect(200);
    assert_eq!(shown["auth"], json!({ "type": "basic", "username": "us" }));
    let bearer = json!({ "auth": { "type": "bearer", "token": "hunter2" } });
    assert_eq!(app.patch(&path, &bearer).await.expect(200)["auth"], json!({ "type": "bearer" }));
    send(&app, "o2").await;
    app.patch(&path, &json!({ "description": "the CRM" })).await.expect(200);
    send(&app, "o3").await;
    assert_eq!(app.patch(&path, &json!({ "auth": null })).await.expect(200)["auth"], Value::Null);
    send(&app, "o4").await;
    let basic = format!("Basic {}", BASE64_STANDARD.encode("us:pä:ss"));
    assert_eq!(authorizations(&crm), [&*basic, "Bearer hunter2", "Bearer hunter2", ""]);
    app.stop().await;
}

async fn a_token_is_fetched_once_for_many_deliveries_and_anew_when_it_is_refused(mut app: TestApp) {
    let (crm, issuer) = (Receiver::start().await, Receiver::start().await);
    issuer.says(r#"{"access_token":"one","token_type":"Bearer","expires_in":3600}"#);
    let path = format!("{ENDPOINTS}/{}", endpoint(&app, &crm.url, oauth2(&issuer)).await);
    app.post(&format!("{path}/disable"), &json!({})).await.expect(200);
    for n in 0..20 {
        let key = format!("o{n}");
        app.send(&order(&key, &key, "24.50")).await.expect(200);
    }
    app.post(&format!("{path}/enable"), &json!({})).await.expect(200);
    app.advance(0).await;
    assert_eq!(authorizations(&crm), ["Bearer one"; 20]);
    let asked = issuer.arrivals();
    assert_eq!(asked.len(), 1, "what is sent at once waits for one token");
    assert_eq!(asked[0].headers["content-type"], "application/x-www-form-urlencoded");
    let form = "grant_type=client_credentials&scope=events.write&audience=crm";
    assert_eq!(String::from_utf8_lossy(&asked[0].body), form);
    let client = format!("Basic {}", BASE64_STANDARD.encode("us%3A1:hunter+2"));
    assert_eq!(asked[0].headers["authorization"], client);
    // A change of something else keeps the token; one of the credentials does not.
    app.patch(&path, &json!({ "concurrency": 3 })).await.expect(200);
    send(&app, "kept").await;
    assert_eq!(issuer.arrivals().len(), 1);
    // Revoked over there.
    issuer.says(r#"{"access_token":"two","token_type":"Bearer","expires_in":3600}"#);
    crm.answer([401_u16]);
    send(&app, "revoked").await;
    assert_eq!(authorizations(&crm)[21..], ["Bearer one", "Bearer two"]);
    let log = app.deliveries(path.rsplit('/').next().unwrap()).await;
    assert_eq!((&log[0]["status"], &log[0]["tries"]), (&json!("delivered"), &json!(1)), "{log:?}");
    // Whoever refuses a fresh one, too, refuses us.
    crm.answer([401_u16, 401]);
    send(&app, "unwelcome").await;
    assert_eq!((issuer.arrivals().len(), crm.arrivals().len()), (3, 25));
    app.restart_with(|_| ()).await;
    send(&app, "restarted").await;
    assert_eq!(authorizations(&crm).last().unwrap(), "Bearer two");
    app.stop().await;
}

async fn who_gives_out_tokens_may_want_the_password_in_the_form(app: TestApp) {
    let (crm, issuer) = (Receiver::start().await, Receiver::start().await);
    issuer.says(r#"{"access_token":"one"}"#);
    issuer.answer([401_u16]);
    endpoint(&app, &crm.url, oauth2(&issuer)).await;
    send(&app, "o1").await;
    assert_eq!(authorizations(&crm), ["Bearer one"]);
    let asked = issuer.arrivals();
    assert!(
        asked[0].headers.contains_key("authorization") && !asked[1].headers.contains_key("authorization")
    );
    let form = String::from_utf8_lossy(&asked[1].body).into_owned();
    assert!(form.ends_with("&client_id=us%3A1&client_secret=hunter+2"), "{form}");
    app.stop().await;
}

async fn without_a_token_an_attempt_fails_and_says_why(app: TestApp) {
    let (crm, issuer) = (Receiver::start().await, Receiver::start().await);
    let id = endpoint(&app, &crm.url, oauth2(&issuer)).await;
    issuer.says(r#"{"error":"invalid_client","error_description":"<secret>"}"#);
    issuer.answer([400_u16, 400, 503]);
    issuer.answer([Scripted { status: 302, headers: vec![("location", crm.url.clone())] }]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    for pause in [0, 60, 300, 1800] {
        app.advance(pause).await;
    }
    let delivery = app.deliveries(&id).await[0]["id"].as_str().unwrap().to_owned();
    let delivery = app.delivery(&delivery).await;
    let attempts = delivery["attempts"].as_array().unwrap();
    let errors: Vec<_> = attempts.iter().map(|attempt| attempt["error"].as_str().unwrap()).collect();
    assert_eq!(
        errors,
        [
            "there is no access token: its url answered 400, invalid_client",
            "there is no access token: its url answered 503, invalid_client",
            "there is no access token: its url answered 302",
            "there is no access token: its url answered without a token of the type `Bearer`",
        ]
    );
    assert!(attempts.iter().all(|attempt| attempt["status_code"].is_null()), "{delivery}");
    assert_eq!(crm.arrivals().len(), 0);
    app.stop().await;
}

async fn tokens_are_fetched_from_allowed_addresses_only(mut app: TestApp) {
    let (crm, issuer) = (Receiver::start().await, Receiver::start().await);
    let elsewhere = issuer.url.replace("127.0.0.1", "127.0.0.2");
    let mut auth = oauth2(&issuer);
    auth["token_url"] = json!(elsewhere);
    let id = endpoint(&app, &crm.url, auth).await;
    app.restart_with(|config| config.allow_private = vec!["127.0.0.1/32".parse().unwrap()]).await;
    send(&app, "o1").await;
    let delivery = app.deliveries(&id).await[0]["id"].as_str().unwrap().to_owned();
    let error = app.delivery(&delivery).await["attempts"][0]["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("there is no access token: at its url: address 127.0.0.2 is"), "{error}");
    assert_eq!((crm.arrivals().len(), issuer.arrivals().len()), (0, 0));
    app.stop().await;
}

async fn ways_that_cannot_be_are_refused(app: TestApp) {
    let bearer = json!({ "type": "bearer", "token": "hunter2" });
    let oauth2 = |url: &str| json!({ "type": "oauth2", "token_url": url, "client_id": "us", "client_secret": "hunter2" });
    let ((certificate, _), (_, key)) = (identity("client"), identity("server"));
    let nonsense = "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n";
    for (body, field) in [
        (json!({ "auth": { "type": "digest", "token": "hunter2" } }), "auth"),
        (json!({ "auth": { "type": "bearer", "token": 7 } }), "auth"),
        (json!({ "auth": { "type": "bearer", "token": "hunter2", "realm": "x" } }), "auth"),
        (json!({ "auth": { "type": "bearer", "token": "hunter2\r\nx: y" } }), "auth.token"),
        (json!({ "auth": { "type": "basic", "username": "a:b", "password": "hunter2" } }), "auth.username"),
        (json!({ "auth": oauth2("nowhere") }), "auth"),
        (json!({ "auth": oauth2("http://10.0.0.1/token") }), "auth.token_url"),
        (json!({ "auth": oauth2("ftp://id.example/token") }), "auth.token_url"),
        (json!({ "auth": { "type": "mtls", "certificate": nonsense, "key": "hunter2" } }), "auth.key"),
        (
            json!({ "auth": { "type": "mtls", "certificate": "hunter2", "key": nonsense } }),
            "auth.certificate",
        ),
        (json!({ "auth": { "type": "mtls", "certificate": certificate, "key": key } }), "auth.key"),
        (json!({ "auth": bearer, "headers": { "Authorization": "hunter2" } }), "headers"),
        (json!({ "auth": bearer, "dialect": "bubblehouse" }), "auth"),
    ] {
        let mut wanted = json!({ "url": "http://127.0.0.1:9000/", "events": ["*"] });
        wanted.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let refused = app.post(ENDPOINTS, &wanted).await.expect(422);
        assert!(refused["field"].as_str().unwrap().starts_with(field), "{refused}");
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }
    // What is there already counts, too.
    let headers = json!({ "Authorization": "Bearer x" });
    let made = json!({ "url": "http://127.0.0.1:9000/", "events": ["*"], "headers": headers });
    let made = app.post(ENDPOINTS, &made).await.expect(201);
    let path = format!("{ENDPOINTS}/{}", made["id"].as_str().unwrap());
    assert_eq!(app.patch(&path, &json!({ "auth": bearer })).await.expect(422)["field"], "headers");
    app.patch(&path, &json!({ "auth": bearer, "headers": {} })).await.expect(200);
    app.stop().await;
}

/// What nobody may see. Each is looked for as it is, and as it is sent.
const PLANTED: [&str; 7] = [
    "planted-signing-secret",
    "planted-second-secret",
    "planted-header-value",
    "planted-password",
    "planted-token",
    "planted-client-secret",
    "planted-access-token",
];

/// The real process, as talkative as it can be, does everything that it does with secrets.
#[actix_web::test]
async fn no_secret_is_seen_in_logs_answers_metrics_or_the_database() {
    let (crm, issuer) = (Receiver::start().await, Receiver::start().await);
    issuer.says(&format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, PLANTED[6]));
    let dir = tempfile::tempdir().unwrap();
    let log = std::fs::File::create(dir.path().join("log")).unwrap();
    let database = format!("sqlite://{}/punchcard.db", dir.path().display());
    let admin = "planted-test-admin-key-0123456789abcdef";
    let mut child = Command::new(env!("CARGO_BIN_EXE_punchcard"))
        .args(["serve", "--bind", "127.0.0.1:0", "--database", &database, "--rules"])
        .arg(repository().join("rules"))
        .args(["--allow-private", "127.0.0.0/8", "--allow-http", "--test-clock", "2026-03-03T18:30:00Z"])
        .env("PUNCHCARD_ADMIN_KEY", admin)
        .env("PUNCHCARD_LOG", "trace")
        .stdout(log.try_clone().unwrap())
        .stderr(Stdio::from(log))
        .spawn()
        .unwrap();
    let read = |name: &str| {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(dir.path().join(name));
        file.and_then(|mut file| file.read_to_end(&mut bytes)).map(|_| bytes).unwrap_or_default()
    };
    let mut answers = String::new();
    let outcome = exercise([&crm, &issuer], &read, admin, &mut answers).await;
    let _ = child.kill();
    let _ = child.wait();
    outcome.unwrap();
    assert!(!issuer.arrivals().is_empty() && crm.arrivals().len() >= 12);
    assert!(answers.contains("whpk_"), "{answers}");
    let log = String::from_utf8_lossy(&read("log")).into_owned();
    assert!(log.contains("TRACE"), "it is talkative: {log}");
    let stored = [read("punchcard.db"), read("punchcard.db-wal")].concat();
    let is_stored = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(is_stored(&crm.url), "the endpoints are in the files");
    let places =
        [("an answer", answers.into_bytes()), ("the log", log.into_bytes()), ("the database", stored)];
    let basic = BASE64_STANDARD.encode(format!("us:{}", PLANTED[3]));
    let (_, key) = identity("client");
    let key = key.lines().nth(1).unwrap();
    for (place, bytes) in &places {
        for secret in PLANTED.iter().copied().chain([&*basic, key, "whsk_"]) {
            let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_there, "{secret} is in {place}");
        }
    }
}

/// A certificate and its key.
fn identity(whose: &str) -> (String, String) {
    let pem = repository().join(format!("src/actors/outbound/testdata/{whose}.pem"));
    let pem = std::fs::read_to_string(pem).unwrap();
    let (certificate, key) = pem.split_once("-----BEGIN PRIVATE KEY-----").unwrap();
    (certificate.to_owned(), format!("-----BEGIN PRIVATE KEY-----{key}"))
}

/// Makes, uses, rotates and shows; what was answered is added up.
async fn exercise(
    [crm, issuer]: [&Receiver; 2],
    read: &impl Fn(&str) -> Vec<u8>,
    admin: &str,
    answers: &mut String,
) -> Result<(), String> {
    let base = async || {
        for _ in 0..3_000 {
            let log = String::from_utf8_lossy(&read("log")).into_owned();
            let said = log.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:"));
            if let Some(said) = said {
                return Ok(said.trim_end_matches(['/', '.', ',']).to_owned());
            }
            actix_web::rt::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Err("it does not say where it listens".to_owned())
    };
    let base = base().await?;
    let client = awc::Client::builder().timeout(std::time::Duration::from_secs(60)).finish();
    let mut ask = async |method: &str, path: &str, body: Value| -> Result<Value, String> {
        let method = method.parse().map_err(|_| "no method")?;
        let request = client.request(method, format!("{base}{path}")).bearer_auth(admin);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let sent = request.insert_header(("content-type", "application/json")).send_body(body).await;
        let mut answer = sent.map_err(|error| format!("{path}: {error}"))?;
        let bytes = answer.body().limit(64 << 20).await.map_err(|error| format!("{path}: {error}"))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        // The secret of the one who made it is shown to them, once.
        let told = json["secret"].as_str().map_or(text.clone(), |secret| text.replace(secret, ""));
        answers.push_str(&told);
        if answer.status().is_success() { Ok(json) } else { Err(format!("{path}: {text}")) }
    };
    for (n, auth) in [
        json!({ "type": "basic", "username": "us", "password": PLANTED[3] }),
        json!({ "type": "bearer", "token": PLANTED[4] }),
        json!({ "type": "oauth2", "token_url": issuer.url, "client_id": "us", "client_secret": PLANTED[5] }),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({ "url": crm.url, "events": ["points.earned"], "dialect": "guestiq", "auth": auth,
            "secret": PLANTED[0], "headers": { "x-api-key": PLANTED[2] }, "signatures": ["v1", "v1a"] });
        let made = ask("POST", ENDPOINTS, body).await?;
        let path = format!("{ENDPOINTS}/{}", made["id"].as_str().ok_or("no id")?);
        let event = |m: usize| order(&format!("o{n}-{m}"), &format!("guest-{n}-{m}"), "24.50");
        ask("POST", &format!("{path}/rotate_secret"), json!({ "secret": PLANTED[1] })).await?;
        // A receiver that is unhappy in all ways.
        crm.answer([401_u16, 500]);
        ask("POST", "/v1/chains/harvest/events", event(0)).await?;
        ask("POST", "/v1/clock", json!({ "advance_ms": 60_000 })).await?;
        ask("PATCH", &path, json!({ "concurrency": 3 })).await?;
        ask("POST", "/v1/chains/harvest/events", event(1)).await?;
        ask("POST", "/v1/clock", json!({ "advance_ms": 0 })).await?;
        ask("GET", &path, Value::Null).await?;
        let log = ask("GET", &format!("{path}/deliveries"), Value::Null).await?;
        let delivery = log["items"][0]["id"].as_str().ok_or("no delivery")?;
        ask("GET", &format!("/v1/chains/harvest/deliveries/{delivery}"), Value::Null).await?;
        // Refusals quote nothing.
        for wrong in [
            json!({ "auth": { "type": "bearer", "token": [PLANTED[4]] } }),
            json!({ "auth": { "type": "bearer", "token": format!("{} x", PLANTED[4]) } }),
            json!({ "headers": { "x-api-key": format!("{}\n", PLANTED[2]) } }),
        ] {
            let refused = ask("PATCH", &path, wrong).await;
            assert!(refused.is_err(), "{refused:?}");
        }
    }
    let (certificate, key) = identity("client");
    let identity = json!({ "type": "mtls", "certificate": certificate, "key": key });
    let body = json!({ "url": crm.url, "events": ["*"], "auth": identity });
    ask("POST", ENDPOINTS, body).await?;
    ask("POST", "/v1/chains/harvest/events", order("last", "ana", "24.50")).await?;
    ask("POST", "/v1/clock", json!({ "advance_ms": 0 })).await?;
    for path in [ENDPOINTS, "/metrics", "/v1/chains/harvest/events", "/v1/chains/harvest/source_events"] {
        ask("GET", path, Value::Null).await?;
    }
    Ok(())
}
