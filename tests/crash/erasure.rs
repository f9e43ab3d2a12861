//! Forgetting somebody of whom the log is full, by a process that is killed in the midst of it.

use awc::http::Method;
use serde_json::{Value, json};

use crate::counter::Counter;
use crate::on_both_backends;
use crate::server::{BATCH, NDJSON, Server, send, verify};

on_both_backends! { who_is_to_be_forgotten_is_forgotten_however_often_kill_9_interrupts_it }

const ORDERS: usize = 3_000;
const SECRET: &str = "secret@example.com";

async fn who_is_to_be_forgotten_is_forgotten_however_often_kill_9_interrupts_it(database: &str) {
    let mut server = Server::start(database, &[]);
    let counter = Counter::open(&server.base);
    let log = orders(&server.base).await;
    let id = counter.see("members/ana").await["member_id"].as_str().unwrap().to_owned();
    let erase = format!("members/{id}");
    counter.order(Method::DELETE, &erase, "erase", &json!({})).await;

    // The events go first, from the newest on; then what came in, from the oldest on.
    let events = [ORDERS - 1, ORDERS / 2, 0].map(|n| format!("events/{}", log[n].1));
    let sources = [0, ORDERS / 2].map(|n| format!("source_events/{}", log[n].0));
    let last = format!("source_events/{}", log[ORDERS - 1].0);
    let names_them = async |path: &str| counter.see(path).await.to_string().contains(SECRET);
    let mut interrupted = 0;
    for mark in events.iter().chain(&sources) {
        counter.until("the log forgets them, page by page", async || !names_them(mark).await).await;
        if names_them(&last).await {
            interrupted += 1;
            server.kill();
            server = Server::start(database, &[]);
            counter.move_to(&server.base);
        }
    }
    assert!(interrupted >= 2, "it was only interrupted {interrupted} times");

    let is_forgotten =
        async || !counter.see(&format!("members/{id}/export")).await.to_string().contains(SECRET);
    counter.until("nothing is left of them", is_forgotten).await;
    for (source, event) in log.iter().step_by(97) {
        for path in [format!("source_events/{source}"), format!("events/{event}")] {
            assert!(!names_them(&path).await, "{path}");
        }
    }
    let left = counter.see(&erase).await;
    assert_eq!((&left["points"], &left["identities"]), (&json!(0), &json!([])), "{left}");
    let other = counter.see("members/ben").await;
    assert_eq!(other["email"], "ben@example.com", "nobody else is forgotten");
    println!("forgotten in {ORDERS} orders, though killed {interrupted} times on the way");
    server.kill();
    verify(database);
}

/// Has somebody order, who is to be forgotten, and somebody else. Answers the ids of the orders' source events, and of
/// the first loyalty event of each.
async fn orders(base: &str) -> Vec<(String, String)> {
    let order = |n: usize, member: &str, email: &str| {
        json!({ "key": format!("{member}-{n}"), "type": "order.completed", "member": { "id": member, "email": email },
            "data": { "order_id": format!("{member}-{n}"), "total": "7.00" } })
    };
    let other = order(0, "ben", "ben@example.com").to_string();
    let lines: Vec<_> = (0..ORDERS).map(|n| order(n, "ana", SECRET).to_string()).chain([other]).collect();
    let sent = send(base, Method::POST, BATCH, &[NDJSON], lines.join("\n")).await.expect("an answer");
    assert_eq!(sent.0, 200, "{}", sent.1);
    let receipts = sent.1.lines().take(ORDERS).map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let id = |value: &Value| value["id"].as_str().unwrap_or_else(|| panic!("no id in {value}")).to_owned();
    receipts.map(|receipt| (id(&receipt), id(&receipt["events"][0]))).collect()
}
