//! What can be set for an endpoint, and that it holds.

use serde_json::{Value, json};

use crate::support::{Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    an_endpoint_shows_what_was_set_and_keeps_it_over_a_restart,
    settings_that_cannot_be_are_refused_by_name,
    an_endpoint_walks_its_own_ladder_to_the_second,
    a_chat_room_is_told_sentences,
}

const ENDPOINTS: &str = "/v1/chains/harvest/endpoints";

async fn an_endpoint_shows_what_was_set_and_keeps_it_over_a_restart(mut app: TestApp) {
    let set = json!({
        "lane": "member",
        "retry": { "pauses_s": [5, 10], "jitter_percent": 0, "give_up_after_s": 600 },
        "rate_limit": null,
        "concurrency": 3,
        "timeout_s": 7,
        "failing": { "warn_after_s": 60, "disable_after_s": 120 },
    });
    let mut body = set.clone();
    body["url"] = json!("http://127.0.0.1:9000/");
    body["events"] = json!(["*"]);
    let made = app.post(ENDPOINTS, &body).await.expect(201);
    let path = format!("{ENDPOINTS}/{}", made["id"].as_str().unwrap());
    let holds = |view: &Value, set: &Value| {
        for (name, value) in set.as_object().unwrap() {
            assert_eq!(view[name], *value, "{name} of {view}");
        }
    };
    holds(&made, &set);
    let change = json!({ "concurrency": 4, "rate_limit": 90, "retry": { "jitter_percent": 5 }, "failing": { "warn_after_s": 61 } });
    app.patch(&path, &change).await.expect(200);
    app.restart_with(|_| ()).await;
    let mut changed = set;
    changed["concurrency"] = json!(4);
    changed["rate_limit"] = json!(90);
    changed["retry"]["jitter_percent"] = json!(5);
    changed["failing"]["warn_after_s"] = json!(61);
    holds(&app.get(&path).await.expect(200), &changed);
    app.stop().await;
}

async fn settings_that_cannot_be_are_refused_by_name(app: TestApp) {
    for (wrong, field) in [
        (json!({ "timeout_s": 31 }), "timeout_s"),
        (json!({ "concurrency": 0 }), "concurrency"),
        (json!({ "rate_limit": "fast" }), "rate_limit"),
        (json!({ "lane": "row" }), "lane"),
        (json!({ "retry": { "pauses_s": [60, 0] } }), "retry.pauses_s"),
        (json!({ "failing": { "warn_after_s": 9, "disable_after_s": 9 } }), "failing.disable_after_s"),
        (json!({ "lane": "endpoint", "retry": { "give_up_after_s": 432_000 } }), "retry.give_up_after_s"),
        (json!({ "texts": { "points.earned": "+{data.amount}" } }), "texts"),
        (
            json!({ "dialect": "slack", "texts": { "points.earned": "+{data.amonut}" } }),
            "texts.points.earned",
        ),
    ] {
        let mut body = json!({ "url": "http://127.0.0.1:9000/", "events": ["*"] });
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let problem = app.post(ENDPOINTS, &body).await.expect(422);
        let named = problem["field"].as_str().unwrap_or_default();
        assert!(named.starts_with(field), "{wrong}: {problem}");
    }
    app.stop().await;
}

async fn an_endpoint_walks_its_own_ladder_to_the_second(app: TestApp) {
    let crm = Receiver::start().await;
    let body = json!({ "url": crm.url, "events": ["order.completed"], "retry": { "pauses_s": [5, 20] } });
    let made = app.post(ENDPOINTS, &body).await.expect(201);
    crm.answer([500_u16; 9]);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    for (seconds, tries) in [(0, 1), (4, 1), (1, 2), (19, 2), (1, 3), (86_400, 3)] {
        app.advance(seconds).await;
        assert_eq!(crm.arrivals().len(), tries, "{seconds} s later");
    }
    assert_eq!(app.deliveries(made["id"].as_str().unwrap()).await[0]["status"], "failed");
    app.stop().await;
}

async fn a_chat_room_is_told_sentences(app: TestApp) {
    let room = Receiver::start().await;
    let texts = json!({ "points.earned": "+{data.amount} for {member.first_name|\"a guest\"}" });
    let body = json!({ "url": room.url, "dialect": "slack", "events": ["order.completed", "points.earned"], "texts": texts });
    app.post(ENDPOINTS, &body).await.expect(201);
    app.send(&order("o1", "ana", "24.50")).await.expect(200);
    app.advance(0).await;
    let mut said: Vec<_> =
        room.arrivals().iter().map(|a| a.json()["text"].as_str().unwrap().to_owned()).collect();
    said.sort();
    assert_eq!(said, ["+24 for a guest", "ana paid 24.50 for order o1."]);
    app.stop().await;
}
