//! Health: what is counted beside the attempts is what the attempts say.

use serde_json::{Value, json};

use crate::support::receiver::Scripted;
use crate::support::{Receiver, TestApp, on_both_backends, order};

on_both_backends! {
    health_is_what_a_recount_of_the_attempts_says,
    health_is_of_a_window_and_of_what_is_owed_now,
}

async fn health(app: &TestApp, endpoint: &str, window: &str) -> Value {
    app.get(&format!("/v1/chains/harvest/endpoints/{endpoint}/health?window={window}")).await.expect(200)
}

async fn health_is_what_a_recount_of_the_attempts_says(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["order.completed"]).await;
    let abort = || vec![("webhook-delivery", "abort-message".to_owned())];
    crm.answer([500_u16, 503, 404]);
    crm.answer([Scripted { status: 400, headers: abort() }]);
    for n in 0..24 {
        app.send(&order(&format!("o{n}"), "ana", "5.00")).await.expect(200);
        app.advance(7).await;
    }
    app.advance(3600).await;
    let health = health(&app, &endpoint, "24h").await;
    let mut attempts = Vec::new();
    for delivery in app.deliveries(&endpoint).await {
        let delivery = app.delivery(delivery["id"].as_str().unwrap()).await;
        attempts.extend(delivery["attempts"].as_array().unwrap().clone());
    }
    let count = |is: &dyn Fn(&Value) -> bool| attempts.iter().filter(|attempt| is(attempt)).count() as f64;
    let all = count(&|_| true);
    assert_eq!(all, 27.0);
    assert_eq!(health["attempts"].as_f64(), Some(all));
    assert_eq!(health["success_rate"].as_f64(), Some(count(&|a| a["error"].is_null()) / all));
    assert_eq!(health["retry_rate"].as_f64(), Some(count(&|a| a["number"] != 1) / all));
    assert_eq!((&health["failed"], &health["backlog"]), (&json!(1), &json!(0)));
    let mut times: Vec<_> = attempts.iter().map(|a| a["duration_ms"].as_u64().unwrap()).collect();
    times.sort_unstable();
    for (name, rank) in [("p50", 14), ("p95", 26)] {
        let (exact, shown) = (times[rank - 1], health["latency_ms"][name].as_u64().unwrap());
        assert!(exact.abs_diff(shown) <= exact / 16, "{name}: {shown} of {times:?}");
    }
    let ok: Vec<_> =
        health["thresholds"].as_array().unwrap().iter().map(|t| (&t["metric"], &t["ok"])).collect();
    assert_eq!(ok[0], (&json!("success_rate"), &json!(false)));
    assert_eq!(ok[2], (&json!("retry_rate"), &json!(false)));
    assert_eq!(ok[3], (&json!("failed"), &json!(false)));
    app.stop().await;
}

async fn health_is_of_a_window_and_of_what_is_owed_now(app: TestApp) {
    let crm = Receiver::start().await;
    let (endpoint, _) = app.endpoint(&crm.url, &["order.completed"]).await;
    app.send(&order("o1", "ana", "5.00")).await.expect(200);
    app.advance(2 * 3600).await;
    let path = format!("/v1/chains/harvest/endpoints/{endpoint}");
    app.post(&format!("{path}/disable"), &json!({})).await.expect(200);
    app.send(&order("o2", "ana", "5.00")).await.expect(200);
    app.advance(60).await;
    app.send(&order("o3", "ana", "5.00")).await.expect(200);
    let hour = health(&app, &endpoint, "1h").await;
    assert_eq!((&hour["attempts"], &hour["success_rate"]), (&json!(0), &Value::Null));
    assert_eq!(hour["thresholds"][0]["ok"], Value::Null);
    assert_eq!((&hour["backlog"], &hour["backlog_is_at_least"]), (&json!(2), &json!(false)));
    assert_eq!(hour["oldest_pending_at"], "2026-03-03T20:30:00Z");
    assert_eq!(hour["since"], "2026-03-03T19:30:00Z");
    for window in ["24h", "7d"] {
        let longer = health(&app, &endpoint, window).await;
        assert_eq!((&longer["attempts"], &longer["success_rate"]), (&json!(1), &json!(1.0)), "{window}");
    }
    assert_eq!(app.get(&format!("{path}/health?window=2h")).await.expect(422)["field"], "window");
    let made = app.post("/v1/keys", &json!({ "role": "viewer", "chain": "harvest", "name": "v" })).await;
    let key = format!("Bearer {}", made.expect(201)["key"].as_str().unwrap());
    let auth = [("authorization", &*key)];
    let shown = app.request(awc::http::Method::GET, &format!("{path}/health"), &auth, Vec::new()).await;
    assert_eq!(shown.expect(200)["window"], "24h");
    app.stop().await;
}
