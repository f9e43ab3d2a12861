//! A year of an endpoint whose keys are changed every month and whose receiver is down every month, by a clock that stands still
//! in between. Nothing is lost, and everything happens in its second.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::rotation::signers;
use crate::support::builders::START;
use crate::support::{Receiver, TestApp, on_both_backends, order};

on_both_backends! { a_year_of_outages_and_new_keys_loses_nothing_and_is_right_to_the_second }

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
const MONTH: i64 = 30 * DAY;
/// How long the receiver is down, month by month.
const OUTAGES: [i64; 12] = [20, 600, DAY - 1, 3 * HOUR, 6 * DAY, 29, 30, 31, DAY + HOUR, 7 * HOUR, 90, 1];
/// More than open the breaker.
const ORDERS: usize = 12;

/// A secret, and from when to when it signs.
struct Signs {
    secret: String,
    from: i64,
    until: i64,
}

struct Year {
    app: TestApp,
    crm: Receiver,
    endpoint: String,
    keys: Vec<Signs>,
    /// Seconds since the begin.
    now: i64,
    orders: usize,
    accepted: Vec<String>,
    /// What the operators are to hear, and when.
    told: Vec<(&'static str, i64)>,
}

impl Year {
    async fn advance(&mut self, seconds: i64) {
        self.app.advance(seconds).await;
        self.now += seconds;
    }

    async fn order(&mut self) {
        let key = format!("o{}", self.orders);
        self.app.send(&order(&key, &key, "10.00")).await.expect(200);
        self.orders += 1;
        self.app.advance(0).await;
    }

    /// Everything that the endpoint was owed.
    async fn log(&self) -> Vec<Value> {
        let (mut log, mut cursor) = (Vec::new(), String::new());
        loop {
            let page =
                self.app.get(&format!("{}/deliveries?limit=100{cursor}", self.endpoint)).await.expect(200);
            log.extend(page["items"].as_array().unwrap().iter().cloned());
            let Some(next) = page["next_cursor"].as_str() else { return log };
            cursor = format!("&cursor={next}");
        }
    }

    /// What arrived since then was accepted.
    fn accept_since(&mut self, seen: usize) {
        let new = self.crm.arrivals().split_off(seen);
        self.accepted.extend(new.into_iter().map(|arrival| arrival.id));
    }

    async fn rotate(&mut self) {
        let path = format!("{}/rotate_secret", self.endpoint);
        let rotated = self.app.post(&path, &json!({})).await.expect(200);
        self.keys.last_mut().unwrap().until = self.now + DAY;
        let secret = rotated["secret"].as_str().unwrap().to_owned();
        self.keys.push(Signs { secret, from: self.now, until: i64::MAX });
    }

    async fn is_down_for(&mut self, length: i64) {
        let began = self.now;
        self.crm.answer(vec![500_u16; 10_000]);
        for _ in 0..ORDERS {
            self.order().await;
        }
        self.advance(length).await;
        let seen = self.crm.arrivals().len();
        self.crm.recover();
        if length >= DAY {
            self.told.push(("endpoint.failing", began + DAY));
        }
        if length >= 5 * DAY {
            self.told.push(("endpoint.disabled", began + 5 * DAY));
            let shown = self.app.until("the end", async || {
                Some(self.app.get(&self.endpoint).await.expect(200)).filter(|now| now["status"] == "disabled")
            });
            assert_eq!(shown.await["disabled_at"], at(began + 5 * DAY));
            self.app.post(&format!("{}/enable", self.endpoint), &json!({})).await.expect(200);
            self.told.push(("endpoint.enabled", self.now));
        }
        self.advance(2 * HOUR).await;
        if (DAY..5 * DAY).contains(&length) {
            let first = self.crm.arrivals()[seen].timestamp - epoch();
            assert!((began + length..=began + length + 600).contains(&first), "no probe is farther away");
            self.told.push(("endpoint.recovered", first));
        }
        self.accept_since(seen);
    }
}

fn epoch() -> i64 {
    START.parse::<DateTime<Utc>>().unwrap().timestamp()
}

fn at(seconds: i64) -> String {
    let at = START.parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds);
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

async fn a_year_of_outages_and_new_keys_loses_nothing_and_is_right_to_the_second(app: TestApp) {
    let (crm, ops) = (Receiver::start().await, Receiver::start().await);
    let endpoints = "/v1/chains/harvest/endpoints";
    let made = async |url: &str, events: &str| {
        let body = json!({ "url": url, "events": [events], "concurrency": 1 });
        app.post(endpoints, &body).await.expect(201)
    };
    made(&ops.url, "endpoint.*").await;
    let made = made(&crm.url, "points.earned").await;
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let keys = vec![Signs { secret: text("secret"), from: 0, until: i64::MAX }];
    let endpoint = format!("{endpoints}/{}", text("id"));
    let (now, orders, accepted, told) = (0, 0, Vec::new(), Vec::new());
    let mut year = Year { app, crm, endpoint, keys, now, orders, accepted, told };

    for (month, outage) in (0..).zip(OUTAGES) {
        year.advance(month * MONTH - year.now).await;
        let seen = year.crm.arrivals().len();
        year.rotate().await;
        for wait in [0, DAY - 1, 1] {
            year.advance(wait).await;
            year.order().await;
        }
        year.accept_since(seen);
        year.is_down_for(outage).await;
    }
    year.advance(DAY).await;

    let log = year.log().await;
    assert!(log.iter().all(|delivery| delivery["status"] == "delivered"));
    let events: BTreeSet<_> = log.iter().map(|delivery| delivery["event"].as_str().unwrap()).collect();
    assert_eq!((events.len(), year.accepted.len()), (year.orders, year.orders), "each was taken once");
    assert_eq!(year.accepted.iter().map(String::as_str).collect::<BTreeSet<_>>(), events);
    for arrival in year.crm.arrivals() {
        let then = arrival.timestamp - epoch();
        let live = year.keys.iter().rev().filter(|key| key.from <= then && then < key.until);
        let live: Vec<_> = live.map(|key| &*key.secret).collect();
        assert_eq!(signers(&arrival, &live), live, "at {then}");
    }
    let heard: Vec<Value> = ops.arrivals().iter().map(|arrival| arrival.json()).collect();
    let heard: Vec<_> =
        heard.iter().map(|told| (told["type"].as_str(), told["timestamp"].as_str())).collect();
    let expected: Vec<_> = year.told.iter().map(|(kind, seconds)| (*kind, at(*seconds))).collect();
    let expected: Vec<_> = expected.iter().map(|(kind, at)| (Some(*kind), Some(&**at))).collect();
    assert_eq!(heard, expected);
    year.app.stop().await;
}
