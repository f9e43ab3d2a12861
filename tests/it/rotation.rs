//! Keys follow each other without an event being lost, to the second of the clock.

use awc::http::Method;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use standardwebhooks::Webhook;

use crate::support::printed::Printed;
use crate::support::receiver::{Arrival, Scripted};
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    from crate::rotation::on_the_system_clock;
    the_official_verifier_accepts_what_both_schemes_sign,
}
on_both_backends! {
    both_keys_sign_until_the_second_in_which_the_older_ends,
    without_overlap_the_old_secret_signs_nothing_more,
    loyali_gets_a_signature_of_each_key_in_one_header,
    where_one_signature_has_room_the_older_key_is_tried_at_once_and_remembered,
    a_receiver_that_knows_no_key_is_tried_with_two_and_walks_its_ladder,
    an_eleventh_key_is_refused_and_an_older_one_can_be_ended,
    a_dialect_must_be_able_to_use_every_live_key,
    v1a_is_verified_by_the_printed_code_and_rotates_as_well,
    secrets_that_cannot_be_are_refused,
}

const ENDPOINTS: &str = "/v1/chains/harvest/endpoints";
const DAY: i64 = 86_400;

async fn on_the_system_clock(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| config.test_clock = None).await
}

/// An endpoint that is told of earned points.
async fn endpoint(app: &TestApp, url: &str, with: Value) -> (String, String) {
    let mut body = json!({ "url": url, "events": ["points.earned"] });
    body.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
    let made = app.post(ENDPOINTS, &body).await.expect(201);
    (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
}

async fn rotate(app: &TestApp, id: &str, body: Value) -> String {
    let rotated = app.post(&format!("{ENDPOINTS}/{id}/rotate_secret"), &body).await.expect(200);
    rotated["secret"].as_str().unwrap().to_owned()
}

/// What the first order of a guest brings to a receiver.
async fn told(app: &TestApp, receiver: &Receiver, key: &str) -> Vec<Arrival> {
    let before = receiver.arrivals().len();
    app.send(&order(key, key, "24.50")).await.expect(200);
    app.advance(0).await;
    receiver.arrivals().split_off(before)
}

/// Which of these secrets signed an arrival, by the official library.
pub(crate) fn signers<'a>(arrival: &Arrival, secrets: &[&'a str]) -> Vec<&'a str> {
    let given: Vec<&str> = arrival.headers["webhook-signature"].split(' ').collect();
    let signed = |secret: &str| {
        Webhook::new(secret).unwrap().sign(&arrival.id, arrival.timestamp, &arrival.body).unwrap()
    };
    let found: Vec<_> = secrets.iter().copied().filter(|secret| given.contains(&&*signed(secret))).collect();
    assert_eq!(found.len(), given.len(), "{given:?}");
    found
}

fn hex_hmac(secret: &str, parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Which of two secrets signed an arrival in GuestIQ's header.
fn guestiq_signer(arrival: &Arrival, secrets: [&str; 2]) -> usize {
    let given = arrival.headers["x-guestiq-signature"].strip_prefix("sha256=").unwrap().to_owned();
    secrets.iter().position(|secret| hex_hmac(secret, &[&arrival.body]) == given).unwrap()
}

async fn both_keys_sign_until_the_second_in_which_the_older_ends(mut app: TestApp) {
    let crm = Receiver::start().await;
    let (id, old) = endpoint(&app, &crm.url, json!({})).await;
    assert_eq!(signers(&told(&app, &crm, "o1").await[0], &[&old]), [&old]);
    let new = rotate(&app, &id, json!({})).await;
    let secrets = [&*new, &*old];
    assert_eq!(signers(&told(&app, &crm, "o2").await[0], &secrets), secrets, "a day without a word");
    let shown = app.get(&format!("{ENDPOINTS}/{id}")).await.expect(200);
    assert_eq!(
        shown["keys"][0],
        json!({ "id": 2, "since": "2026-03-03T18:30:00Z", "until": null }),
        "{shown}"
    );
    assert_eq!(shown["keys"][1]["until"], "2026-03-04T18:30:00Z", "{shown}");
    assert!(!shown.to_string().contains("whsec_"), "{shown}");
    app.restart_with(|_| ()).await;
    let secrets = [&*new, &*old];
    app.advance(DAY - 1).await;
    assert_eq!(signers(&told(&app, &crm, "o3").await[0], &secrets), secrets, "a second before it is over");
    app.advance(1).await;
    assert_eq!(signers(&told(&app, &crm, "o4").await[0], &secrets), [&new]);
    assert_eq!(app.get(&format!("{ENDPOINTS}/{id}")).await.expect(200)["keys"].as_array().unwrap().len(), 1);
    app.stop().await;
}

async fn without_overlap_the_old_secret_signs_nothing_more(app: TestApp) {
    let crm = Receiver::start().await;
    let (id, first) = endpoint(&app, &crm.url, json!({})).await;
    let second = rotate(&app, &id, json!({ "overlap_seconds": 3600 })).await;
    let third = rotate(&app, &id, json!({ "overlap_seconds": 0 })).await;
    assert_eq!(signers(&told(&app, &crm, "o1").await[0], &[&first, &second, &third]), [&third]);
    // Gustaio's document has the old secret invalid at once.
    let (id, _) = endpoint(&app, &crm.url, json!({ "dialect": "gustaio" })).await;
    let rotated = app.post(&format!("{ENDPOINTS}/{id}/rotate_secret"), &json!({})).await.expect(200);
    assert_eq!(rotated["keys"].as_array().unwrap().len(), 1, "{rotated}");
    app.stop().await;
}

async fn loyali_gets_a_signature_of_each_key_in_one_header(app: TestApp) {
    let crm = Receiver::start().await;
    let own = "my-own-secret-of-old";
    let (id, _) = endpoint(&app, &crm.url, json!({ "dialect": "loyali", "secret": own })).await;
    let new = rotate(&app, &id, json!({ "secret": "my-own-secret-of-now" })).await;
    assert_eq!(new, "my-own-secret-of-now");
    let arrival = told(&app, &crm, "o1").await.remove(0);
    let at = arrival.timestamp.to_string();
    let [ours, theirs] = [&*new, own].map(|secret| hex_hmac(secret, &[at.as_bytes(), b".", &arrival.body]));
    assert_eq!(arrival.headers["x-loyali-signature"], format!("t={at},v1={ours},v1={theirs}"));
    for secret in [&*new, own] {
        Printed::of("docs/dialects.md", "X-Loyali-Signature").holds(&arrival, secret);
    }
    app.stop().await;
}

async fn where_one_signature_has_room_the_older_key_is_tried_at_once_and_remembered(app: TestApp) {
    let crm = Receiver::start().await;
    let (id, old) = endpoint(&app, &crm.url, json!({ "dialect": "guestiq" })).await;
    let new = rotate(&app, &id, json!({ "overlap_seconds": 3600 })).await;
    let secrets = [&*new, &*old];
    let by = |arrivals: Vec<Arrival>| -> Vec<usize> {
        arrivals.iter().map(|arrival| guestiq_signer(arrival, secrets)).collect()
    };
    crm.answer([401_u16]);
    assert_eq!(by(told(&app, &crm, "o1").await), [0, 1], "the newest, then at once the older");
    let log = app.deliveries(&id).await;
    assert_eq!((&log[0]["status"], &log[0]["tries"]), (&json!("delivered"), &json!(1)), "{log:?}");
    let delivery = app.delivery(log[0]["id"].as_str().unwrap()).await;
    let codes: Vec<_> = delivery["attempts"].as_array().unwrap().iter().map(|a| &a["status_code"]).collect();
    assert_eq!(codes, [401, 200], "{delivery}");
    let error = delivery["attempts"][0]["error"].as_str().unwrap();
    assert_eq!(error, "the receiver answered 401; tried again with key 1");
    assert_eq!(by(told(&app, &crm, "o2").await), [1], "what was taken is remembered");
    crm.answer([403_u16]);
    assert_eq!(by(told(&app, &crm, "o3").await), [1, 0], "until the receiver has the new one");
    assert_eq!(by(told(&app, &crm, "o4").await), [0]);
    crm.answer([500_u16]);
    assert_eq!(by(told(&app, &crm, "o5").await), [0], "any other refusal says nothing of keys");
    app.advance(60).await;
    crm.answer([401_u16]);
    told(&app, &crm, "o6").await;
    app.advance(3600).await;
    crm.answer([401_u16]);
    assert_eq!(by(told(&app, &crm, "o7").await), [0], "over is over, whatever was remembered");
    app.stop().await;
}

async fn a_receiver_that_knows_no_key_is_tried_with_two_and_walks_its_ladder(app: TestApp) {
    let crm = Receiver::start().await;
    let (id, _) = endpoint(&app, &crm.url, json!({ "dialect": "gustaio" })).await;
    rotate(&app, &id, json!({ "overlap_seconds": 10 * DAY })).await;
    crm.answer([401_u16; 10]);
    assert_eq!(told(&app, &crm, "o1").await.len(), 2);
    for (already, pause) in [(2, 60), (4, 300), (6, 1_800), (8, 7_200)] {
        app.advance(pause - 1).await;
        assert_eq!(crm.arrivals().len(), already, "a second before the pause of {pause} s ends");
        app.advance(1).await;
        assert_eq!(crm.arrivals().len(), already + 2, "when the pause of {pause} s ends");
    }
    let log = app.deliveries(&id).await;
    assert_eq!((&log[0]["status"], &log[0]["tries"]), (&json!("failed"), &json!(5)), "{log:?}");
    let other = Receiver::start().await;
    let (id, _) = endpoint(&app, &other.url, json!({ "dialect": "guestiq" })).await;
    rotate(&app, &id, json!({})).await;
    other.answer([Scripted { status: 401, headers: vec![("retry-after", "90".to_owned())] }]);
    assert_eq!(told(&app, &other, "o2").await.len(), 1, "whoever asks for a pause gets it");
    app.stop().await;
}

async fn an_eleventh_key_is_refused_and_an_older_one_can_be_ended(app: TestApp) {
    let crm = Receiver::start().await;
    let (id, first) = endpoint(&app, &crm.url, json!({})).await;
    let mut secrets = vec![first];
    for _ in 0..9 {
        secrets.insert(0, rotate(&app, &id, json!({})).await);
    }
    let path = format!("{ENDPOINTS}/{id}");
    let refused = app.post(&format!("{path}/rotate_secret"), &json!({})).await.expect(409);
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains("DELETE …/secrets/{key}") && detail.contains("overlap_seconds"), "{detail}");
    let end = async |key: &str, status: u16| {
        app.request(Method::DELETE, &format!("{path}/secrets/{key}"), &[], Vec::new()).await.expect(status)
    };
    end("10", 409).await;
    end("11", 404).await;
    end("first", 404).await;
    end("4", 204).await;
    end("4", 404).await;
    secrets.remove(6);
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    assert_eq!(signers(&told(&app, &crm, "o1").await[0], &secrets), secrets);
    rotate(&app, &id, json!({})).await;
    let keys = app.get(&path).await.expect(200)["keys"].as_array().unwrap().clone();
    let ids: Vec<_> = keys.iter().map(|key| key["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [11, 10, 9, 8, 7, 6, 5, 3, 2, 1]);
    app.stop().await;
}

async fn a_dialect_must_be_able_to_use_every_live_key(app: TestApp) {
    let own = json!({ "dialect": "guestiq", "secret": "my-own-secret-of-old" });
    let (id, _) = endpoint(&app, "http://127.0.0.1:9000/", own).await;
    let path = format!("{ENDPOINTS}/{id}");
    rotate(&app, &id, json!({ "overlap_seconds": 60 })).await;
    let refused = app.patch(&path, &json!({ "dialect": "standard" })).await.expect(422);
    assert_eq!(refused["field"], "dialect");
    assert!(refused["detail"].as_str().unwrap().contains("key 1"), "{refused}");
    app.advance(60).await;
    assert_eq!(app.patch(&path, &json!({ "dialect": "standard" })).await.expect(200)["dialect"], "standard");
    app.stop().await;
}

async fn v1a_is_verified_by_the_printed_code_and_rotates_as_well(app: TestApp) {
    let crm = Receiver::start().await;
    let (id, secret) = endpoint(&app, &crm.url, json!({ "signatures": ["v1", "v1a"] })).await;
    let path = format!("{ENDPOINTS}/{id}");
    let public_keys = async || -> Vec<String> {
        let shown = app.get(&path).await.expect(200);
        assert!(!shown.to_string().contains("whsk_"), "{shown}");
        let keys = shown["keys"].as_array().unwrap().iter();
        keys.map(|key| key["public_key"].as_str().unwrap().to_owned()).collect()
    };
    let old = public_keys().await.remove(0);
    let arrival = told(&app, &crm, "o1").await.remove(0);
    Printed::of("docs/secrets.md", "Verifying v1a").verifies(&arrival, &old, true);
    Printed::of("docs/dialects.md", "webhook-signature").verifies(&arrival, &secret, true);
    rotate(&app, &id, json!({ "overlap_seconds": 60 })).await;
    let keys = public_keys().await;
    assert_eq!((keys.len(), &keys[1]), (2, &old));
    let arrival = told(&app, &crm, "o2").await.remove(0);
    for key in &keys {
        Printed::of("docs/secrets.md", "Verifying v1a").holds(&arrival, key);
    }
    let schemes = |arrival: &Arrival| -> Vec<String> {
        let tokens = arrival.headers["webhook-signature"].split(' ');
        tokens.map(|token| token.split_once(',').unwrap().0.to_owned()).collect()
    };
    assert_eq!(schemes(&arrival), ["v1", "v1", "v1a", "v1a"]);
    app.advance(60).await;
    app.patch(&path, &json!({ "signatures": ["v1a"] })).await.expect(200);
    assert_eq!(public_keys().await, keys[..1], "the pair stays");
    assert_eq!(schemes(&told(&app, &crm, "o3").await[0]), ["v1a"]);
    app.patch(&path, &json!({ "signatures": ["v1"] })).await.expect(200);
    assert_eq!(schemes(&told(&app, &crm, "o4").await[0]), ["v1"]);
    app.stop().await;
}

/// As in production: the verifier also judges how old a request is.
async fn the_official_verifier_accepts_what_both_schemes_sign(app: TestApp) {
    let crm = Receiver::start().await;
    let (id, old) = endpoint(&app, &crm.url, json!({ "signatures": ["v1", "v1a"] })).await;
    let new = rotate(&app, &id, json!({})).await;
    for (n, secret) in [old, new].iter().enumerate() {
        crm.trust_only(secret);
        let mut event = order(&format!("o{n}"), "ana", "24.50");
        event.as_object_mut().unwrap().remove("occurred_at");
        app.send(&event).await.expect(200);
        app.until("an arrival", async || (crm.arrivals().len() > n).then_some(())).await;
    }
    assert_eq!(crm.refusals(), [""; 0]);
    app.stop().await;
}

async fn secrets_that_cannot_be_are_refused(app: TestApp) {
    let (id, secret) = endpoint(&app, "http://127.0.0.1:9000/", json!({})).await;
    let path = format!("{ENDPOINTS}/{id}/rotate_secret");
    for (body, status, field) in [
        (json!({ "secret": "short" }), 422, json!("secret")),
        (json!({ "overlap_seconds": -1 }), 422, json!("overlap_seconds")),
        (json!({ "overlap_seconds": 30 * DAY + 1 }), 422, json!("overlap_seconds")),
        (json!({ "overlap": 1 }), 422, json!("overlap")),
        (json!({ "secret": secret }), 409, Value::Null),
    ] {
        let refused = app.post(&path, &body).await.expect(status);
        assert_eq!(refused["field"], field, "{refused}");
        assert!(!refused.to_string().contains(&secret), "{refused}");
    }
    for signatures in [json!([]), json!(["v2"]), json!(["v1", "v1"]), json!("v1")] {
        let body = json!({ "signatures": signatures });
        let refused = app.patch(&format!("{ENDPOINTS}/{id}"), &body).await.expect(422);
        assert!(refused["field"].as_str().unwrap().starts_with("signatures"), "{refused}");
    }
    let shown = app.get(&format!("{ENDPOINTS}/{id}")).await.expect(200);
    assert_eq!(shown["keys"].as_array().unwrap().len(), 1, "nothing was rotated");
    app.stop().await;
}
