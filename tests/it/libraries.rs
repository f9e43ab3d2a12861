//! Verifiers that others wrote take what is sent, under each of two keys, and nothing else.

use serde_json::{Value, json};
use standardwebhooks::{Webhook, WebhookError};

use crate::support::interpreters::Language;
use crate::support::printed::{another, given, one_byte_changed};
use crate::support::receiver::Arrival;
use crate::support::{Backend, Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    from crate::libraries::an_hour_ago;
    the_official_library_takes_the_standard_headers_of_every_signed_dialect,
    stripes_library_takes_what_loyali_gets,
    pyjwt_takes_the_token_that_bubblehouse_gets,
}

const ENDPOINTS: &str = "/v1/chains/harvest/endpoints";
const SIGNED: [&str; 7] =
    ["standard", "guestiq", "loyali", "events_webhook", "gustaio", "bubblehouse", "flat"];

/// What a receiver of Loyali has with Stripe's library.
const STRIPE: &str = r#"
import stripe

def verify(headers, body, secret, now):
    try:
        stripe.Webhook.construct_event(body, headers["x-loyali-signature"], secret)
    except stripe.error.SignatureVerificationError as refusal:
        return "late" if "tolerance" in str(refusal) else "forged"
    return "taken"
"#;

/// What a receiver of Bubblehouse has with PyJWT.
const PYJWT: &str = r#"
import hashlib, jwt

def verify(headers, body, secret, now):
    token = headers["authorization"].removeprefix("Bearer ")
    must = {"require": ["iat", "exp", "jti", "sub"]}
    try:
        claims = jwt.decode(token, secret, algorithms=["HS256"], options=must)
    except jwt.ExpiredSignatureError:
        return "late"
    except jwt.InvalidSignatureError:
        return "forged"
    return "taken" if claims["body_sha256"] == hashlib.sha256(body).hexdigest() else "forged"
"#;

/// These verifiers ask the machine for the time. Ours is an hour behind it, so that there is a late request, too.
async fn an_hour_ago(backend: Backend) -> TestApp {
    #[expect(clippy::disallowed_methods, reason = "it is this clock that the verifiers look at")]
    let now = chrono::Utc::now();
    TestApp::start_with(backend, |config| config.test_clock = Some(now - chrono::TimeDelta::hours(1))).await
}

/// What a receiver got: a request of an hour ago, under its first secret, and one of now, while there are two secrets.
struct Told {
    dialect: &'static str,
    crm: Receiver,
    late: Arrival,
    now: Arrival,
    old: String,
    new: String,
}

/// What a verifier is asked: about what, the arrival, the body to judge, the secret; and what it must say.
type Question<'a> = (&'static str, &'a Arrival, String, String, &'static str);

impl Told {
    /// `of_old`: what is to be said of the older secret.
    fn questions(&self, of_old: &'static str) -> [Question<'_>; 5] {
        let Self { late, now, old, new, .. } = self;
        let text = now.text();
        [
            ("with the new secret", now, text.clone(), new.clone(), "taken"),
            ("with the old secret", now, text.clone(), old.clone(), of_old),
            ("with one byte changed", now, one_byte_changed(&text), new.clone(), "forged"),
            ("with another secret", now, text, another(new), "forged"),
            ("an hour late", late, late.text(), old.clone(), "late"),
        ]
    }
}

/// Sends an order of yesterday noon, which earns points once: at this hour it could be one of the happy hour.
async fn send(app: &TestApp, key: &str) {
    let mut event = order(key, key, "24.50");
    #[expect(clippy::disallowed_methods, reason = "it is this clock that the server's follows")]
    let yesterday = chrono::Utc::now().date_naive().pred_opt().unwrap();
    event["occurred_at"] = format!("{yesterday}T17:00:00Z").into();
    app.send(&event).await.expect(200);
    app.advance(0).await;
}

async fn told(app: &TestApp, dialects: &[&'static str]) -> Vec<Told> {
    let mut made = Vec::new();
    for &dialect in dialects {
        let crm = Receiver::start().await;
        crm.says(r#"{"outcome":"sent"}"#);
        let body = json!({ "url": crm.url, "dialect": dialect, "events": ["points.earned"] });
        let answer = app.post(ENDPOINTS, &body).await.expect(201);
        made.push((dialect, crm, answer));
    }
    send(app, "late").await;
    app.advance(3600).await;
    let mut rotated = Vec::new();
    for (.., answer) in &made {
        let path = format!("{ENDPOINTS}/{}/rotate_secret", answer["id"].as_str().unwrap());
        rotated.push(app.post(&path, &json!({ "overlap_seconds": 3600 })).await.expect(200));
    }
    send(app, "now").await;
    let secret = |answer: &Value| answer["secret"].as_str().unwrap().to_owned();
    let told = made.into_iter().zip(rotated).map(|((dialect, crm, answer), rotated)| {
        let [late, now] = crm.arrivals().try_into().expect("two requests");
        Told { dialect, crm, late, now, old: secret(&answer), new: secret(&rotated) }
    });
    told.collect()
}

/// Asks code in Python.
fn ask(code: &str, questions: &[Question<'_>]) {
    let given: Vec<_> =
        questions.iter().map(|(_, arrival, body, secret, _)| given(arrival, body, secret, 0)).collect();
    let verdicts = Language::Python.verdicts(code, &given);
    let expected: Vec<_> = questions.iter().map(|(what, .., expected)| (*what, json!(expected))).collect();
    let said: Vec<_> = questions.iter().map(|(what, ..)| *what).zip(verdicts).collect();
    assert_eq!(said, expected);
}

async fn the_official_library_takes_the_standard_headers_of_every_signed_dialect(app: TestApp) {
    for told in told(&app, &SIGNED).await {
        for (what, arrival, body, secret, expected) in told.questions("taken") {
            let verifier = Webhook::new(&secret).unwrap();
            let said = match arrival.judged_by(&verifier, body.as_bytes()) {
                Ok(()) => "taken",
                Err(WebhookError::InvalidSignature) => "forged",
                Err(WebhookError::TimestampTooOldError) => "late",
                Err(other) => panic!("{}: {other}", told.dialect),
            };
            assert_eq!(said, expected, "{} {what}", told.dialect);
        }
    }
    app.stop().await;
}

async fn stripes_library_takes_what_loyali_gets(app: TestApp) {
    let told = told(&app, &["loyali"]).await;
    ask(STRIPE, &told[0].questions("taken"));
    app.stop().await;
}

async fn pyjwt_takes_the_token_that_bubblehouse_gets(app: TestApp) {
    let told = told(&app, &["bubblehouse"]).await.remove(0);
    ask(PYJWT, &told.questions("forged"));
    // There is room for one token: whoever refuses that of the new key is sent that of the old one.
    told.crm.answer([401_u16]);
    send(&app, "again").await;
    let arrivals = told.crm.arrivals();
    let again = |at: usize, secret: &str, expected| {
        ("again", &arrivals[at], arrivals[at].text(), secret.to_owned(), expected)
    };
    ask(
        PYJWT,
        &[
            again(2, &told.new, "taken"),
            again(2, &told.old, "forged"),
            again(3, &told.new, "forged"),
            again(3, &told.old, "taken"),
        ],
    );
    app.stop().await;
}
