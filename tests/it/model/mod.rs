//! The engine and a naive reference of it live through the same random life, and agree after every step: balances, what
//! they are made of, tiers, coupons, the ledger. Among the steps are repeats, snapshots in any order, late events, and
//! restarts.
//!
//! `PUNCHCARD_MODEL_CASES` says how many lives there are on each database; each is of [`STEPS`] steps.

mod compare;
mod program;
mod purse;
mod reference;
mod steps;
mod variety;

use std::collections::HashMap;
use std::marker::PhantomData;

use actix_web::rt::{System, SystemRunner};
use awc::http::Method;
use proptest::test_runner::Config as Proptest;
use proptest_state_machine::{StateMachineTest, prop_state_machine};
use serde_json::{Value, json};

use crate::support::app::Reply;
use crate::support::{Backend, TestApp};
use program::{MEMBERS, PROGRAM, RULES, name};
use reference::{Call, Expected, Last, Reference, rfc3339};
use steps::Transition;

/// Of one life.
const STEPS: usize = 1_000;
const CHAIN: &str = "/v1/chains/model";

#[expect(clippy::disallowed_methods, reason = "how long a test takes is no configuration of the engine")]
fn cases() -> u32 {
    std::env::var("PUNCHCARD_MODEL_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1)
}

prop_state_machine! {
    #![proptest_config(Proptest { cases: cases(), max_shrink_time: 120_000, failure_persistence: None, ..Proptest::default() })]
    #[test]
    fn the_engine_agrees_with_a_naive_reference_on_sqlite(sequential STEPS => Engine<OnSqlite>);

    #[test]
    fn the_engine_agrees_with_a_naive_reference_on_postgres(sequential STEPS => Engine<OnPostgres>);
}

/// What the engine keeps its things in.
trait Database {
    const BACKEND: Backend;
}

struct OnSqlite;
struct OnPostgres;

impl Database for OnSqlite {
    const BACKEND: Backend = Backend::Sqlite;
}

impl Database for OnPostgres {
    const BACKEND: Backend = Backend::Postgres;
}

/// The engine, and what the test must remember to speak of it.
struct Engine<D> {
    system: SystemRunner,
    app: TestApp,
    /// Our ids of the members.
    ids: Vec<String>,
    /// What they give to others.
    codes_to_share: Vec<String>,
    /// What was sent, by number, with the receipt's id.
    sent: HashMap<usize, (Request, Value)>,
    codes: Vec<String>,
    usages: Vec<Value>,
    redemptions: Vec<String>,
    /// What the ledger lines seen so far come to, by account and wallet, and the newest of each member.
    sums: HashMap<(String, String), i64>,
    newest: HashMap<usize, String>,
    database: PhantomData<D>,
}

/// A request as it can be repeated.
#[derive(Debug, Clone)]
struct Request {
    path: String,
    key: String,
    body: Value,
}

impl<D: Database> StateMachineTest for Engine<D> {
    type SystemUnderTest = Self;
    type Reference = Reference;

    fn init_test(_: &Reference) -> Self {
        let system = System::new();
        let app = system.block_on(async {
            let app = TestApp::start_with(D::BACKEND, |config| {
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
        let mut engine = Self {
            system,
            app,
            ids: Vec::new(),
            codes_to_share: Vec::new(),
            sent: HashMap::new(),
            codes: Vec::new(),
            usages: Vec::new(),
            redemptions: Vec::new(),
            sums: HashMap::new(),
            newest: HashMap::new(),
            database: PhantomData,
        };
        (0..MEMBERS).for_each(|member| engine.meet(member));
        engine
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

impl<D: Database> Engine<D> {
    /// Does what the reference did last.
    fn follow(&mut self, reference: &Reference) {
        match reference.last.clone() {
            Last::Nothing => {}
            Last::Sent(number, call, expected, member) => {
                let is_about_two = matches!(call, Call::Merge(..) | Call::Unmerge(..));
                self.send(number, call, expected);
                if is_about_two || reference.follows {
                    self.system.block_on(self.app.advance(0)); // what follows of it for another
                    self.check_all(reference);
                } else {
                    self.check(reference, member);
                }
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

    /// Learns what the engine calls a new member.
    fn meet(&mut self, member: usize) {
        let text = |shown: &Value| shown.as_str().unwrap().to_owned();
        self.ids.push(text(&self.get(&format!("/members/{}", name(member)))["member_id"]));
        self.codes_to_share.push(text(&self.get(&format!("/members/{}/referral", name(member)))["code"]));
    }

    fn post(&self, Request { path, key, body }: &Request) -> Reply {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.system.block_on(self.app.request(Method::POST, path, &headers, body))
    }

    fn get(&self, path: &str) -> Value {
        self.system.block_on(self.app.get(&format!("{CHAIN}{path}"))).expect(200)
    }

    /// The path of a call, and the body.
    fn in_words(&self, number: usize, call: &Call) -> (String, Value) {
        // Now and then by our id, which finds the survivor as well.
        let of = |member: usize| match number % 4 {
            0 => format!("{CHAIN}/members/{}", self.ids[member]),
            _ => format!("{CHAIN}/members/{}", name(member)),
        };
        match call {
            Call::Event(event) => (format!("{CHAIN}/events"), event.clone()),
            Call::Command(member, "coupons", _) => {
                (format!("{}/coupons", of(*member)), json!({ "book": "gift" }))
            }
            Call::Command(member, what, body) => (format!("{}/{what}", of(*member)), body.clone()),
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
            Call::Enrol(member) => (format!("{CHAIN}/members"), json!({ "id": name(*member) })),
            Call::Refer(member, sender) => {
                let code = &self.codes_to_share[*sender];
                (format!("{}/referral", of(*member)), json!({ "code": code, "channel": "friend" }))
            }
            Call::Merge(survivor, from) => {
                (format!("{}/merge", of(*survivor)), json!({ "from": name(*from) }))
            }
            Call::Unmerge(survivor, who) => {
                (format!("{}/unmerge", of(*survivor)), json!({ "member": self.ids[*who] }))
            }
        }
    }

    fn send(&mut self, number: usize, call: Call, expected: Expected) {
        let (path, body) = self.in_words(number, &call);
        let key = body["key"].as_str().map_or_else(|| format!("command-{number}"), str::to_owned);
        let request = Request { path, key, body };
        let reply = self.post(&request);
        if let Expected::Refused(code) = expected {
            assert_eq!(reply.expect(409)["code"], code, "{request:?}");
            return;
        }
        let receipt = match call {
            Call::Enrol(_) => reply.expect(201),
            _ => reply.expect(200),
        };
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
        if let Call::Enrol(member) = call {
            self.meet(member);
        }
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
}
