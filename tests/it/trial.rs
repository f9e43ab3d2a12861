//! Trying an endpoint out: a sample is sent as an event would be, and shown without what is secret of it.

use serde_json::{Value, json};

use crate::support::receiver::Scripted;
use crate::support::{Backend, Receiver, Rude, TestApp, on_both_backends};

on_both_backends! {
    from crate::trial::on_the_system_clock;
    every_sample_is_taken_in_each_dialect_by_the_official_verifier,
}
on_both_backends! {
    a_trial_shows_everything_but_what_is_secret_and_keeps_nothing,
    a_trial_says_why_nothing_arrived,
    a_hook_is_greeted,
    a_sample_that_cannot_be_sent_is_refused,
}

const CHAIN: &str = "/v1/chains/harvest";

/// As in production: the verifier also judges how old a request is.
async fn on_the_system_clock(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| config.test_clock = None).await
}

async fn endpoint(app: &TestApp, body: &Value) -> (String, String) {
    let made = app.post(&format!("{CHAIN}/endpoints"), body).await.expect(201);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (format!("{CHAIN}/endpoints/{}", text("id")), text("secret"))
}

async fn every_sample_is_taken_in_each_dialect_by_the_official_verifier(app: TestApp) {
    let types = app.get("/v1/event_types").await.expect(200);
    let names = types["items"][0]["names"].as_object().unwrap();
    for dialect in names.keys() {
        let receiver = Receiver::start().await;
        receiver.says(r#"{"outcome":"sent"}"#);
        let body = json!({ "url": receiver.url, "dialect": dialect, "events": ["points.earned"] });
        let (path, secret) = endpoint(&app, &body).await;
        receiver.trust_only(&secret);
        let mut sent = 0;
        for kind in types["items"].as_array().unwrap() {
            let wanted = json!({ "event_type": kind["type"] });
            let trial = app.post(&format!("{path}/test"), &wanted).await;
            if kind["names"][dialect].is_null() {
                assert_eq!(trial.expect(422)["field"], "event_type");
                continue;
            }
            let trial = trial.expect(200);
            assert_eq!(trial["verdict"], "accepted", "{trial}");
            let arrivals = receiver.arrivals();
            let arrival = arrivals.last().unwrap();
            assert_eq!(trial["request"]["body"], *String::from_utf8_lossy(&arrival.body));
            assert_eq!(arrival.headers["punchcard-test"], "true");
            sent += 1;
        }
        assert!(sent >= 50 && receiver.arrivals().len() == sent, "{dialect}: {sent}");
        assert_eq!(receiver.refusals(), [""; 0]);
    }
    app.stop().await;
}

async fn a_trial_shows_everything_but_what_is_secret_and_keeps_nothing(app: TestApp) {
    let crm = Receiver::start().await;
    let headers = json!({ "X-Api-Key": "hunter2", "Authorization": "Bearer hunter3" });
    let body = json!({ "url": crm.url, "events": ["tier.*"], "headers": headers });
    let (path, secret) = endpoint(&app, &body).await;
    app.post(&format!("{path}/disable"), &json!({})).await.expect(200);
    let told = app.get(&format!("{CHAIN}/events")).await.expect(200);
    crm.answer([200, 500]);
    let trial = app.post(&format!("{path}/test"), &json!({})).await;
    assert!(!trial.text.contains("hunter") && !trial.text.contains(&secret), "{}", trial.text);
    let trial = trial.expect(200);
    let (request, attempt) = (&trial["request"], &trial["attempt"]);
    let arrival = crm.arrivals().remove(0);
    assert_eq!(
        (&*arrival.headers["x-api-key"], &*arrival.headers["authorization"]),
        ("hunter2", "Bearer hunter3")
    );
    for (name, value) in request["headers"].as_object().unwrap() {
        let masked = matches!(&**name, "x-api-key" | "authorization");
        assert_eq!(*value, if masked { "***" } else { &*arrival.headers[name] }, "{name}");
    }
    assert_eq!(request["url"], crm.url);
    assert_eq!(request["body"], *String::from_utf8_lossy(&arrival.body));
    assert_eq!((arrival.kind(), &arrival.json()["chain"]), ("tier.upgraded".to_owned(), &json!("harvest")));
    assert_eq!(
        (&attempt["status_code"], &attempt["response_body"], &attempt["error"], &trial["verdict"]),
        (&json!(200), &json!("seen"), &Value::Null, &json!("accepted"))
    );
    let refused =
        app.post(&format!("{path}/test"), &json!({ "event_type": "points.earned" })).await.expect(200);
    assert_eq!((&refused["verdict"], &refused["attempt"]["status_code"]), (&json!("refused"), &json!(500)));
    assert_eq!(app.get(&format!("{path}/deliveries")).await.expect(200)["items"], json!([]));
    assert_eq!(app.get(&format!("{CHAIN}/events")).await.expect(200), told);
    let health = app.get(&format!("{path}/health")).await.expect(200);
    assert_eq!((&health["attempts"], &health["backlog"]), (&json!(0), &json!(0)));
    app.stop().await;
}

async fn a_trial_says_why_nothing_arrived(app: TestApp) {
    let (path, _) = endpoint(&app, &json!({ "url": Rude::nobody().await, "events": ["*"] })).await;
    let trial = app.post(&format!("{path}/test"), &json!({})).await.expect(200);
    assert_eq!(trial["attempt"]["error"], "connection refused");
    assert_eq!((&trial["attempt"]["status_code"], &trial["verdict"]), (&Value::Null, &json!("refused")));
    let crm = Receiver::start().await;
    let (path, _) = endpoint(&app, &json!({ "url": crm.url, "events": ["*"] })).await;
    for (scripted, verdict) in [
        (Scripted { status: 410, headers: vec![] }, "gone"),
        (
            Scripted { status: 422, headers: vec![("webhook-delivery", "abort-message".to_owned())] },
            "rejected",
        ),
    ] {
        crm.answer([scripted]);
        let trial = app.post(&format!("{path}/test"), &json!({})).await.expect(200);
        assert_eq!(trial["verdict"], verdict, "{trial}");
        assert!(trial["attempt"]["error"].is_string());
    }
    assert_eq!(app.get(&path).await.expect(200)["status"], "enabled", "a trial disables nothing");
    app.stop().await;
}

async fn a_hook_is_greeted(app: TestApp) {
    let hook = Receiver::start().await;
    let url = format!("{}/:name", hook.url);
    let body = json!({ "url": url, "dialect": "bubblehouse", "events": ["points.earned"] });
    let (path, _) = endpoint(&app, &body).await;
    let trial = app.post(&format!("{path}/test"), &json!({ "hook": "Hello1" })).await.expect(200);
    let arrival = hook.arrivals().remove(0);
    assert_eq!((&*arrival.path, &*arrival.body), ("/hook/Hello1", &b"{}"[..]));
    assert_eq!(
        (&trial["verdict"], &trial["request"]["headers"]["authorization"]),
        (&json!("accepted"), &json!("Bearer ***"))
    );
    assert_eq!(arrival.headers["punchcard-test"], "true");
    for wrong in [json!({ "hook": "SendEvent1" }), json!({ "hook": "Hello1", "event_type": "points.earned" })]
    {
        assert_eq!(app.post(&format!("{path}/test"), &wrong).await.expect(422)["field"], "hook");
    }
    app.stop().await;
}

async fn a_sample_that_cannot_be_sent_is_refused(app: TestApp) {
    let crm = Receiver::start().await;
    let (path, _) = endpoint(&app, &json!({ "url": crm.url, "dialect": "guestiq", "events": ["*"] })).await;
    for (body, field) in [
        (json!({ "event_type": "points.eaten" }), "event_type"),
        (json!({ "hook": "Hello1" }), "hook"),
        (json!({ "type": "points.earned" }), "type"),
    ] {
        assert_eq!(app.post(&format!("{path}/test"), &body).await.expect(422)["field"], field, "{body}");
    }
    let named =
        app.post(&format!("{path}/test"), &json!({ "event_type": "GUEST_CHURNED" })).await.expect(200);
    assert!(named["request"]["body"].as_str().unwrap().contains("GUEST_CHURNED"), "{named}");
    assert_eq!(crm.arrivals().len(), 1);
    app.post(&format!("{CHAIN}/endpoints/ep_0CKPWHJ8YG0000000000000001/test"), &json!({})).await.expect(404);
    app.stop().await;
}
