//! Counting, when the noise is over.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use actix_web::rt::time::sleep;
use awc::http::Method;
use serde_json::Value;

use crate::load::{MEMBERS, event};
use crate::receiver::Arrived;
use crate::server::{EVENTS, PATIENCE, call};

/// Every acknowledged event is there once and is answered as it was the first time, balances are the sum of the
/// receipts, and exactly the loyalty events of the receipts arrived.
pub(crate) async fn reconcile(
    base: &str,
    endpoint: &str,
    acknowledged: HashMap<u32, Option<Value>>,
    arrived: &Arrived,
) {
    let count = acknowledged.len();
    assert!(count > 200, "only {count} events: this proves little");
    let mut owed = HashMap::new();
    let mut expected: HashMap<u32, i64> = HashMap::new();
    for (number, answered) in acknowledged {
        let receipt = receipt_of(base, number).await;
        if let Some(first) = answered {
            assert_eq!((&receipt["id"], &receipt["events"]), (&first["id"], &first["events"]), "k{number}");
        }
        let events = receipt["events"].as_array().unwrap().iter();
        let earned: Vec<_> = events.filter(|event| event["type"] == "points.earned").collect();
        assert!(!earned.is_empty(), "{receipt}");
        *expected.entry(number % MEMBERS).or_default() +=
            earned.iter().filter_map(|event| event["data"]["amount"].as_i64()).sum::<i64>();
        let ids: BTreeSet<_> = earned.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        owed.insert(format!("k{number}"), ids);
    }
    for (member, points) in expected {
        let path = format!("/v1/chains/harvest/members/m{member}");
        let (status, shown) = call(base, Method::GET, &path, &Value::Null).await.expect("an answer");
        assert_eq!((status, shown["points"].as_i64()), (200, Some(points)), "member m{member}: {shown}");
    }
    settled(base, endpoint).await;
    let arrived = arrived.by_source();
    for (key, ids) in &owed {
        assert_eq!(arrived.get(key), Some(ids), "the loyalty events of {key}");
    }
    assert_eq!(arrived.len(), owed.len(), "events that were never acknowledged had effects");
    println!("{count} events acknowledged, every one present once and delivered");
}

/// The receipt of an event that must be there already. One that was only kept is decided within moments.
pub(crate) async fn receipt_of(base: &str, number: u32) -> Value {
    let started = Instant::now();
    loop {
        let (status, receipt) = call(base, Method::POST, EVENTS, &event(number)).await.expect("an answer");
        assert_eq!(receipt["duplicate"], true, "k{number} was lost: {status} {receipt}");
        if status == 200 {
            assert_eq!(receipt["status"], "processed", "{receipt}");
            return receipt;
        }
        assert!(started.elapsed() < PATIENCE, "k{number} is kept and never decided: {receipt}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until nothing is owed any more. The receiver was always there, so nothing may have failed.
pub(crate) async fn settled(base: &str, endpoint: &str) {
    let started = Instant::now();
    let log = format!("/v1/chains/harvest/endpoints/{endpoint}/deliveries?limit=1&status=");
    let first = async |status: &str| {
        let page =
            call(base, Method::GET, &format!("{log}{status}"), &Value::Null).await.expect("an answer").1;
        page["items"].as_array().expect("a list").first().cloned()
    };
    while let Some(pending) = first("pending").await {
        assert!(started.elapsed() < PATIENCE, "never delivered: {pending}");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(first("failed").await, None);
    assert_eq!(first("discarded").await, None);
}
