//! The engine and a naive reference of it live through the same random life, and agree after every step: balances, what
//! they are made of, tiers, coupons, the ledger. Among the steps are repeats, snapshots in any order, late events, and
//! restarts.
//!
//! `PUNCHCARD_MODEL_CASES` says how many lives there are; each is of [`STEPS`] steps.

mod program;
mod purse;
mod reference;
mod steps;

use std::collections::HashMap;

use actix_web::rt::{System, SystemRunner};
use awc::http::Method;
use proptest::test_runner::Config as Proptest;
use proptest_state_machine::{StateMachineTest, prop_state_machine};
use serde_json::{Value, json};

use crate::support::app::Reply;
use crate::support::{Backend, TestApp};
use program::{MEMBERS, PROGRAM, RULES, TIERS, WALLETS, name};
use purse::NEVER;
use reference::{Call, Expected, Last, Reference, rfc3339};
use steps::Transition;

/// Of one life.
const STEPS: usize = 1_000;
const CHAIN: &str = "/v1/chains/model";

#[expect(clippy::disallowed_methods, reason = "how long a test takes is no configuration of the engine")]
fn cases() -> u32 {
    std::env::var("PUNCHCARD_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(4)
}

prop_state_machine! {
    #![proptest_config(Proptest { cases: cases(), max_shrink_time: 120_000, failure_persistence: None, ..Proptest::default() })]
    #[test]
    fn the_engine_agrees_with_a_naive_reference(sequential STEPS => Engine);
}

/// The engine, and what the test must remember to speak of it.
struct Engine {
    system: SystemRunner,
    app: TestApp,
    /// What was sent, by number, with the receipt's id.
    sent: HashMap<usize, (Request, Value)>,
    codes: Vec<String>,
    usages: Vec<Value>,
    redemptions: Vec<String>,
    /// What the ledger lines seen so far come to, by account and wallet, and the newest of each member.
    sums: HashMap<(String, String), i64>,
    newest: HashMap<usize, String>,
}

/// A request as it can be repeated.
#[derive(Debug, Clone)]
struct Request {
    path: String,
    key: String,
    body: Value,
}

impl StateMachineTest for Engine {
    type SystemUnderTest = Self;
    type Reference = Reference;

    fn init_test(_: &Reference) -> Self {
        let system = System::new();
        let app = system.block_on(async {
            let app = TestApp::start_with(Backend::Sqlite, |config| {
                std::fs::remove_dir_all(config.rules.join("harvest")).unwrap();
                let folder = config.rules.join("model");
                std::fs::create_dir(&folder).unwrap();
                std::fs::write(folder.join("program.toml"), PROGRAM).unwrap();
                std::fs::write(folder.join("rules.rhai"), RULES).unwrap();
            })
            .await;
            for member in 0..MEMBERS {
                let person = json!({ "id": name(member) });
                app.post(&format!("{CHAIN}/members"), &person).await.expect(201);
            }
            app
        });
        Self {
            system,
            app,
            sent: HashMap::new(),
            codes: Vec::new(),
            usages: Vec::new(),
            redemptions: Vec::new(),
            sums: HashMap::new(),
            newest: HashMap::new(),
        }
    }

    fn apply(mut engine: Self, reference: &Reference, _: Transition) -> Self {
        engine.follow(reference);
        engine
    }

    fn teardown(mut engine: Self, reference: Reference) {
        engine.check_all(&reference);
        engine.app.verify();
        engine.system.block_on(engine.app.stop());
    }
}

impl Engine {
    /// Does what the reference did last.
    fn follow(&mut self, reference: &Reference) {
        match reference.last.clone() {
            Last::Nothing => {}
            Last::Sent(number, call, expected, member) => {
                self.send(number, call, expected);
                self.check(reference, member);
            }
            Last::Again(number) => self.send_again(number),
            Last::KeyReused(number) => self.reuse_key(number),
            Last::Waited(minutes) => {
                self.system.block_on(self.app.advance(minutes * 60));
                self.check_all(reference);
            }
            Last::Restarted => {
                let now = rfc3339(reference.now);
                let restarted =
                    self.app.restart_with(|config| config.test_clock = Some(now.parse().unwrap()));
                self.system.block_on(restarted);
                self.check_all(reference);
            }
        }
    }

    fn post(&self, Request { path, key, body }: &Request) -> Reply {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.system.block_on(self.app.request(Method::POST, path, &headers, body))
    }

    fn get(&self, path: &str) -> Value {
        self.system.block_on(self.app.get(&format!("{CHAIN}{path}"))).expect(200)
    }

    fn send(&mut self, number: usize, call: Call, expected: Expected) {
        let (path, body) = match &call {
            Call::Event(event) => (format!("{CHAIN}/events"), event.clone()),
            Call::Command(member, "coupons", _) => {
                (format!("{CHAIN}/members/{}/coupons", name(*member)), json!({ "book": "gift" }))
            }
            Call::Command(member, what, body) => {
                (format!("{CHAIN}/members/{}/{what}", name(*member)), body.clone())
            }
            Call::Coupon(coupon, member, deed, usage) => {
                let mut body = json!({ "member": name(*member) });
                if let Some(usage) = usage {
                    body["usage"] = self.usages[*usage].clone();
                }
                (format!("{CHAIN}/coupons/{}/{}", self.codes[*coupon], deed.as_str()), body)
            }
            Call::Redemption(redemption, step) => {
                let id = &self.redemptions[*redemption];
                (format!("{CHAIN}/redemptions/{id}/{}", step.as_str()), Value::Null)
            }
        };
        let key = body["key"].as_str().map_or_else(|| format!("command-{number}"), str::to_owned);
        let request = Request { path, key, body };
        let reply = self.post(&request);
        if let Expected::Refused(code) = expected {
            assert_eq!(reply.expect(409)["code"], code, "{request:?}");
            return;
        }
        let receipt = reply.expect(200);
        assert_eq!(
            (&receipt["status"], &receipt["duplicate"]),
            (&json!("processed"), &json!(false)),
            "{receipt}"
        );
        let line = |kind: &str| {
            let lines = receipt["events"].as_array().unwrap();
            lines.iter().find(|line| line["type"] == kind).map(|line| line["data"].clone())
        };
        if let Some(given) = line("coupon.assigned") {
            self.codes.push(given["code"].as_str().unwrap().to_owned());
        }
        if let Some(used) = line("coupon.used") {
            self.usages.push(used["coupon_usage_key"].clone());
        }
        if let Some(made) = line("redemption.created") {
            self.redemptions.push(made["redemption_id"].as_str().unwrap().to_owned());
        }
        self.sent.insert(number, (request, receipt["id"].clone()));
    }

    fn send_again(&self, number: usize) {
        let (request, first) = &self.sent[&number];
        let receipt = self.post(request).expect(200);
        assert_eq!((&receipt["id"], &receipt["duplicate"]), (first, &json!(true)), "{request:?}: {receipt}");
    }

    fn reuse_key(&self, number: usize) {
        let (request, _) = &self.sent[&number];
        let body = json!({ "key": request.key, "type": "visit", "occurred_at": "2026-03-03T18:30:00Z",
            "member": { "id": "guest-0" }, "data": {} });
        let other = Request { path: format!("{CHAIN}/events"), key: request.key.clone(), body };
        assert_eq!(self.post(&other).expect(409)["code"], "key_reused", "{request:?}");
    }

    fn check_all(&mut self, reference: &Reference) {
        for member in 0..MEMBERS {
            self.check(reference, member);
        }
        for (code, coupon) in self.codes.iter().zip(&reference.coupons) {
            let shown = self.get(&format!("/coupons/{code}"));
            assert_eq!(
                (&shown["total_usages"], &shown["total_assigned"]),
                (&json!(coupon.used), &json!(1)),
                "{shown}"
            );
        }
    }

    /// Compares what the engine shows of a member, and what its ledger adds up to.
    fn check(&mut self, reference: &Reference, member: usize) {
        let wanted = &reference.members[member];
        let shown = self.get(&format!("/members/{}", name(member)));
        assert_eq!(shown["tier"], TIERS[wanted.tier], "{shown}");
        let id = shown["member_id"].as_str().unwrap().to_owned();
        self.read_ledger(member);
        for (wallet, purse) in WALLETS.iter().zip(&wanted.purses) {
            let wallets = shown["wallets"].as_array().unwrap();
            let shown = wallets.iter().find(|shown| shown["wallet"] == *wallet).unwrap();
            let lots: Vec<_> = purse
                .lots
                .iter()
                .map(|(gone, amount)| {
                    let gone = (*gone != NEVER).then(|| rfc3339(*gone));
                    json!({ "amount": amount, "expires_at": gone })
                })
                .collect();
            assert_eq!(
                (&shown["balance"], &shown["pending"], &shown["lots"]),
                (&json!(purse.balance()), &json!(purse.pending()), &json!(lots)),
                "{wallet} of guest {member}"
            );
            let mut sum = |account: &str| {
                *self.sums.entry((format!("{account}:{id}"), (*wallet).to_owned())).or_default()
            };
            assert_eq!(
                (sum("member"), sum("pending")),
                (purse.balance(), purse.pending()),
                "the ledger of {wallet}"
            );
        }
        let total: i64 = self.sums.values().sum();
        assert_eq!(total, 0, "debits equal credits");
    }

    /// Adds the lines that are new.
    fn read_ledger(&mut self, member: usize) {
        let mut cursor = String::new();
        let mut newest = None;
        loop {
            let page = self.get(&format!("/members/{}/ledger?limit=20{cursor}", name(member)));
            for line in page["items"].as_array().unwrap() {
                let text = |field: &str| line[field].as_str().unwrap().to_owned();
                newest.get_or_insert_with(|| text("id"));
                if self.newest.get(&member) == Some(&text("id")) {
                    self.newest.extend(newest.map(|id| (member, id)));
                    return;
                }
                let amount = line["amount"].as_i64().unwrap();
                assert!(amount > 0 && line["debit"] != line["credit"], "{line}");
                *self.sums.entry((text("debit"), text("wallet"))).or_default() -= amount;
                *self.sums.entry((text("credit"), text("wallet"))).or_default() += amount;
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        self.newest.extend(newest.map(|id| (member, id)));
    }
}
