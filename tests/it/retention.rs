//! What is kept for a time only, and what stays when that time is over.

use awc::http::Method;
use serde_json::{Value, json};

use crate::support::{Backend, Receiver, TestApp, on_both_backends, order, refund};

on_both_backends! {
    from super::with_a_month;
    attempts_go_and_their_deliveries_stay,
    of_a_source_event_the_key_and_the_order_stay,
    what_is_not_decided_is_kept_however_old,
}

on_both_backends! {
    from super::without_a_chain;
    what_is_about_no_chain_goes_where_there_is_none,
}

const CHAIN: &str = "/v1/chains/harvest";
const DAY: i64 = 86_400;

/// Everything that is kept for a time only is kept for 30 days.
async fn with_a_month(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| {
        let month = Some(chrono::Duration::days(30));
        (config.retention.attempts, config.retention.source_events) = (month, month);
    })
    .await
}

async fn without_a_chain(backend: Backend) -> TestApp {
    TestApp::start_with(backend, |config| {
        config.rules.set_file_name("no-rules");
        std::fs::create_dir(&config.rules).unwrap();
    })
    .await
}

async fn what_is_about_no_chain_goes_where_there_is_none(app: TestApp) {
    assert_eq!(app.get("/v1/chains").await.expect(200)["items"], json!([]));
    let headers = [("content-type", "application/json"), ("idempotency-key", "k1")];
    let key = json!({ "role": "viewer" }).to_string().into_bytes();
    let made = app.request(Method::POST, "/v1/keys", &headers, key.clone()).await.expect(201);
    app.advance(DAY - 1).await;
    assert_eq!(
        app.request(Method::POST, "/v1/keys", &headers, key).await.expect(201),
        made,
        "it is a repeat"
    );
    let cleared = async |kind: &str| {
        let metrics = app.get("/metrics").await.text;
        let line = format!("punchcard_retention_rows_total{{kind=\"{kind}\"}} ");
        let count = metrics.lines().find_map(|found| found.strip_prefix(&line)).map(str::to_owned);
        count.unwrap_or_else(|| panic!("{line} in {metrics}"))
    };
    assert_eq!((cleared("requests").await, cleared("audit_log").await), ("0".to_owned(), "0".to_owned()));
    app.advance(3_600).await;
    assert_eq!((cleared("requests").await, cleared("audit_log").await), ("1".to_owned(), "0".to_owned()));
    app.advance(401 * DAY).await;
    assert_eq!(cleared("audit_log").await, "1");
    assert_eq!(app.get("/v1/audit").await.expect(200)["items"], json!([]));
    app.stop().await;
}

async fn source(app: &TestApp, receipt: &Value) -> Value {
    app.get(&format!("{CHAIN}/source_events/{}", receipt["id"].as_str().unwrap())).await.expect(200)
}

async fn attempts_go_and_their_deliveries_stay(app: TestApp) {
    let crm = Receiver::start().await;
    let (settled, _) = app.endpoint(&crm.url, &["order.completed"]).await;
    // More than a page of them, so that the next one begins where this one ends.
    let orders: Vec<_> = (0..450).map(|n| order(&format!("o{n}"), &format!("m{}", n % 5), "5.00")).collect();
    app.post(&format!("{CHAIN}/events/batch"), &json!(orders)).await.expect(200);
    app.advance(0).await;
    let down = Receiver::start().await;
    down.answer([500]);
    let (open, _) = app.endpoint(&down.url, &["order.completed"]).await;
    app.send(&order("late", "m1", "5.00")).await.expect(200);
    app.advance(0).await;
    app.post(&format!("{CHAIN}/endpoints/{open}/disable"), &json!({})).await.expect(200);

    let tried = async |endpoint: &str| {
        let path = format!("{CHAIN}/endpoints/{endpoint}/deliveries?limit=100");
        let (mut cursor, mut tried) = (String::new(), Vec::new());
        loop {
            let page = app.get(&format!("{path}{cursor}")).await.expect(200);
            for delivery in page["items"].as_array().unwrap() {
                let detail = app.delivery(delivery["id"].as_str().unwrap()).await;
                tried.push((detail["status"].clone(), detail["attempts"].as_array().unwrap().len()));
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return tried,
            }
        }
    };
    app.advance(29 * DAY).await;
    assert!(tried(&settled).await.iter().all(|(_, attempts)| *attempts == 1));
    app.advance(2 * DAY).await;
    let left = tried(&settled).await;
    assert_eq!(left.len(), 451);
    assert!(left.iter().all(|tried| *tried == (json!("delivered"), 0)), "{left:?}");
    assert_eq!(tried(&open).await, [(json!("pending"), 1)], "it is still owed");
    let metrics = app.get("/metrics").await.text;
    assert!(metrics.contains("punchcard_retention_rows_total{kind=\"attempts\"} 451\n"), "{metrics}");
    app.stop().await;
}

async fn of_a_source_event_the_key_and_the_order_stay(app: TestApp) {
    let first = order("o1", "ana", "24.00");
    let receipt = app.send(&first).await.expect(200);
    app.advance(20 * DAY).await;
    let young = app.send(&order("o2", "ben", "10.00")).await.expect(200);
    app.advance(11 * DAY).await;

    let old = source(&app, &receipt).await;
    assert_eq!(old["body"], json!({ "no_longer_kept": true, "data": { "order_id": "o1" } }));
    assert_eq!((&old["key"], &old["status"]), (&json!("o1"), &json!("processed")));
    assert_eq!(source(&app, &young).await["body"]["data"]["total"], "10.00");

    // A repeat counts for nothing, and another body under the key is refused, as on the first day.
    let before = app.get(&format!("{CHAIN}/members/ana")).await.expect(200);
    let again = app.send(&first).await.expect(200);
    assert_eq!((&again["duplicate"], &again["id"]), (&json!(true), &receipt["id"]));
    assert_eq!(again["effects"], json!([]));
    assert_eq!(app.send(&order("o1", "ana", "25.00")).await.status, 409);
    assert_eq!(app.get(&format!("{CHAIN}/members/ana")).await.expect(200), before);

    // A refund, the ledger and the export need the order, and have it.
    let back = refund("r1", "o1", "24.00");
    assert_eq!(app.send(&back).await.expect(200)["status"], "processed");
    let export = app.get(&format!("{CHAIN}/members/ana/export")).await.expect(200);
    let orders = export["orders"].as_array().unwrap();
    assert!(!orders.is_empty() && orders.iter().all(|order| order["order_id"] == "o1"), "{export}");
    let ledger = app.get(&format!("{CHAIN}/members/ana/ledger")).await.expect(200);
    let oldest = ledger["items"].as_array().unwrap().last().unwrap().clone();
    let line = format!("{CHAIN}/members/ana/ledger/{}", oldest["id"].as_str().unwrap());
    let because = app.get(&line).await.expect(200)["because"].clone();
    assert_eq!(because["reads_missing"], "no_longer_kept", "{because}");

    // Whose beginning is gone is not lived again; everybody else is.
    let files: serde_json::Map<_, _> = std::fs::read_dir(app.rules().join("harvest"))
        .unwrap()
        .flatten()
        .map(|file| {
            let text = std::fs::read_to_string(file.path()).unwrap();
            (file.file_name().into_string().unwrap(), text.into())
        })
        .collect();
    let report = app.post(&format!("{CHAIN}/program/backtest"), &json!({ "files": files })).await.expect(200);
    assert_eq!(report["members_left_out"], 1, "{report}");

    // Whom they want forgotten is forgotten in the order, too.
    app.request(Method::DELETE, &format!("{CHAIN}/members/ana"), &[], Vec::new()).await.expect(200);
    app.advance(0).await;
    app.verify();
    app.stop().await;
}

async fn what_is_not_decided_is_kept_however_old(app: TestApp) {
    // A refund of an order that nobody has heard of yet.
    let parked = app.send(&refund("r1", "o1", "10.00")).await.expect(200);
    assert_eq!(parked["status"], "parked");
    app.advance(100 * DAY).await;
    assert_eq!(source(&app, &parked).await["body"]["data"]["amount"], "10.00");
    app.send(&order("o1", "ana", "30.00")).await.expect(200);
    app.advance(0).await;
    let decided = source(&app, &parked).await;
    assert_eq!(
        (&decided["status"], &decided["body"]["data"]["amount"]),
        (&json!("processed"), &json!("10.00"))
    );
    // It is behind the position of the sweep, which begins anew once a month.
    app.advance(31 * DAY).await;
    assert_eq!(source(&app, &parked).await["body"]["no_longer_kept"], true);
    app.verify();
    app.stop().await;
}
