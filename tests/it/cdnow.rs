//! A real log: the purchases of the CDNOW customers of 1997 and 1998 (<https://brucehardie.com/datasets/>).
//!
//! It is not part of the repository. `PUNCHCARD_TEST_DATA=<folder with CDNOW_master.txt and CDNOW_sample.txt> cargo test
//! --test it cdnow -- --ignored` runs it.

use std::collections::HashMap;
use std::io::Write as _;
use std::num::NonZeroU16;

use awc::http::Method;
use chrono::NaiveDate;
use punchcard::domain::churn::{ChurnModel, Observations};
use punchcard::domain::visited::VisitedDays;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::cdnow::{Purchase, purchase_days, purchases};
use crate::support::{Backend, TestApp};

/// Lines in one request.
const CHUNK: usize = 5_000;
/// The day after the last purchase, in the chain's zone too.
const CLOCK: &str = "1998-07-01T12:00:00Z";
/// What the literature foretells from what it knows of the first 39 weeks.
const HORIZON: NonZeroU16 = NonZeroU16::new(39 * 7).unwrap();

fn event(n: usize, purchase: &Purchase) -> Value {
    let Purchase { customer, day, dollars } = purchase;
    json!({ "key": format!("cd{n}"), "type": "order.completed", "occurred_at": format!("{day}T17:00:00Z"),
        "member": { "id": customer.to_string() }, "data": { "order_id": format!("cd{n}"), "total": dollars.to_string() } })
}

/// The sample chain after the last purchase, with the literature's horizon. No model is fitted by itself.
async fn start() -> TestApp {
    TestApp::start_with(Backend::Sqlite, |config| {
        config.test_clock = Some(CLOCK.parse().unwrap());
        let manifest = config.rules.join("harvest/program.toml");
        let mut manifest = std::fs::OpenOptions::new().append(true).open(manifest).unwrap();
        write!(manifest, "\n[lifecycle]\nchurn_horizon = \"{HORIZON} days\"\nrefit = \"never\"\n").unwrap();
    })
    .await
}

/// Sends all purchases; answers how many points they earned.
async fn replay(app: &TestApp, purchases: &[Purchase]) -> i64 {
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
    earned
}

#[test]
#[ignore = "needs PUNCHCARD_TEST_DATA"]
fn the_cdnow_log_adds_up_to_its_own_sums_to_the_cent_and_teaches_what_it_says() {
    actix_web::rt::System::new().block_on(async {
        let app = start().await;
        let purchases = purchases("CDNOW_master.txt");
        assert_eq!(purchases.len(), 69_659);
        let earned = replay(&app, &purchases).await;
        compare_sums(&app, &purchases, earned).await;
        compare_models(&app, "CDNOW_master.txt").await;
        app.stop().await;
    });
}

#[test]
#[ignore = "needs PUNCHCARD_TEST_DATA"]
fn the_report_card_of_the_cdnow_sample_is_the_published_one() {
    actix_web::rt::System::new().block_on(async {
        let app = start().await;
        replay(&app, &purchases("CDNOW_sample.txt")).await;
        let card = compare_models(&app, "CDNOW_sample.txt").await["report_card"].clone();
        let near = |name: &str, published: f64| {
            let shown = card[name].as_f64().unwrap();
            assert!((shown - published).abs() <= 5e-4, "{name} {published}: {card}");
        };
        near("brier", 0.161);
        near("log_loss", 0.505);
        near("auc", 0.760);
        near("base_rate_brier", 0.206);
        assert_eq!((&card["members"], &card["calibration_end"]), (&json!(2_357), &json!("1997-09-30")));
        app.stop().await;
    });
}

async fn compare_sums(app: &TestApp, purchases: &[Purchase], earned: i64) {
    let mut by_customer: HashMap<String, (Decimal, u64)> = HashMap::new();
    for purchase in purchases {
        let sums = by_customer.entry(purchase.customer.to_string()).or_default();
        sums.0 += purchase.dollars;
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

/// The engine, which keeps 400 days of a member, must come to what the whole log says, to the last digit.
async fn compare_models(app: &TestApp, file: &str) -> Value {
    let shown = app.post("/v1/chains/harvest/churn/refit", &json!({})).await.expect(200)["model"].clone();
    let last_day: NaiveDate = "1998-06-30".parse().unwrap();
    let mut observed = Observations::new(last_day, HORIZON);
    for days in purchase_days(file).values() {
        observed.add(|until| VisitedDays::of(days.range(..=until).copied()));
    }
    let model = ChurnModel::fit(&observed, CLOCK.parse().unwrap()).unwrap();
    let known = serde_json::to_value(&model).unwrap();
    for field in ["parameters", "log_likelihood", "members", "visits", "from", "to", "fitted_at"] {
        assert_eq!(shown[field], known[field], "{field}: {shown}");
    }
    let card = shown["report_card"].as_object().unwrap();
    for (field, value) in known["calibration"]["report_card"].as_object().unwrap() {
        assert_eq!(card.get(field), Some(value), "{field}");
    }
    shown
}
