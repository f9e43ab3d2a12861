//! A real log: the purchases of the CDNOW customers of 1997 and 1998 (<https://brucehardie.com/datasets/>).
//!
//! It is not part of the repository. `PUNCHCARD_TEST_DATA=<folder with CDNOW_master.txt> cargo test --test it cdnow --
//! --ignored` runs it.

use std::collections::HashMap;
use std::path::PathBuf;

use awc::http::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::{Backend, TestApp};

/// Lines in one request.
const CHUNK: usize = 5_000;
/// After the last purchase.
const CLOCK: &str = "1998-07-01T00:00:00Z";

/// One purchase.
struct Purchase {
    customer: String,
    date: String,
    dollars: String,
}

#[expect(clippy::disallowed_methods, reason = "where test data lie is a matter of the machine")]
fn purchases() -> Vec<Purchase> {
    let folder =
        std::env::var("PUNCHCARD_TEST_DATA").expect("PUNCHCARD_TEST_DATA names the folder of the log");
    let path = PathBuf::from(folder).join("CDNOW_master.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    let purchase = |line: Vec<String>| match <[String; 4]>::try_from(line) {
        Ok([customer, date, _, dollars]) if date.starts_with("199") => {
            Some(Purchase { customer, date, dollars })
        }
        _ => None, // the heading
    };
    lines.filter_map(purchase).collect()
}

fn event(n: usize, purchase: &Purchase) -> Value {
    let (year, month, day) = (&purchase.date[..4], &purchase.date[4..6], &purchase.date[6..]);
    json!({ "key": format!("cd{n}"), "type": "order.completed", "occurred_at": format!("{year}-{month}-{day}T17:00:00Z"),
        "member": { "id": purchase.customer }, "data": { "order_id": format!("cd{n}"), "total": purchase.dollars } })
}

#[test]
#[ignore = "needs PUNCHCARD_TEST_DATA"]
fn the_cdnow_log_adds_up_to_its_own_sums_to_the_cent() {
    let run = async {
        let start = |config: &mut punchcard::config::Config| config.test_clock = Some(CLOCK.parse().unwrap());
        let app = TestApp::start_with(Backend::Sqlite, start).await;
        replay_and_compare(&app).await;
        app.stop().await;
    };
    actix_web::rt::System::new().block_on(run);
}

async fn replay_and_compare(app: &TestApp) {
    let purchases = purchases();
    assert_eq!(purchases.len(), 69_659);
    let mut earned = 0;
    for (nth, chunk) in purchases.chunks(CHUNK).enumerate() {
        let lines =
            chunk.iter().enumerate().map(|(n, purchase)| event(nth * CHUNK + n, purchase).to_string());
        let body = lines.collect::<Vec<_>>().join("\n").into_bytes();
        let path = "/v1/chains/harvest/events/batch";
        let answer = app.request(Method::POST, path, &[("content-type", "application/x-ndjson")], body).await;
        for line in answer.text.lines() {
            let receipt: Value = serde_json::from_str(line).unwrap();
            assert_eq!(receipt["status"], "processed", "{receipt}");
            let effects = receipt["effects"].as_array().into_iter().flatten();
            earned += effects.filter_map(|effect| effect["amount"].as_i64()).sum::<i64>();
        }
    }
    let mut by_customer: HashMap<&str, (Decimal, u64)> = HashMap::new();
    for purchase in &purchases {
        let sums = by_customer.entry(&purchase.customer).or_default();
        sums.0 += purchase.dollars.parse::<Decimal>().unwrap();
        sums.1 += 1;
    }
    let (mut spend, mut points, mut cursor) = (Decimal::ZERO, 0, String::new());
    loop {
        let page = app.get(&format!("/v1/chains/harvest/members?limit=100{cursor}")).await.expect(200);
        for member in page["items"].as_array().unwrap() {
            let (dollars, visits) =
                by_customer.remove(member["id"].as_str().unwrap()).expect("a customer of the log");
            let shown: Decimal = member["lifetime_spend"].to_string().parse().unwrap();
            assert_eq!((shown, member["lifetime_visits"].as_u64()), (dollars, Some(visits)), "{member}");
            spend += shown;
            points += member["points"].as_i64().unwrap();
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(by_customer.is_empty(), "{} customers are missing", by_customer.len());
    assert_eq!((spend, points), ("2500315.63".parse().unwrap(), earned));
}
