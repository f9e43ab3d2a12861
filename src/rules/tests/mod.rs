//! Tests of the rule language as a whole.

mod achievements;
mod announce;
mod bench;
mod campaigns;
mod carts;
mod cascade;
mod check;
mod coupons;
mod decide;
mod documents;
mod filters;
mod harvest;
mod hostile;
mod lifecycle;
mod merges;
mod mistakes;
mod native;
mod orders;
mod own_words;
mod properties;
mod redemptions;
mod replays;
mod segments;
mod suspensions;
mod tier;
mod tier_conditions;
mod transforms;
mod verdicts;
mod wallets;

use std::path::Path;
use std::sync::Arc;

use ulid::Ulid;

use crate::domain::Timestamp;
use crate::domain::chain::Chain;
use crate::domain::churn::Foresight;
use crate::domain::commit::{Commit, SourceOrigin};
use crate::domain::decide::{Occasion, SourceInput};
use crate::domain::desk::Desk;
use crate::domain::effect::RuleFailure;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{MemberId, SourceId};
use crate::domain::member::Member;
use crate::domain::order::OrderRecord;
use crate::domain::schedule::TickType;
use crate::domain::source_event::SourceEvent;

use super::decide::{Case, decide};
use super::diagnostic::Diagnostic;
use super::folder;
use super::program::{Program, Sources};

pub(super) const MANIFEST: &str = r#"
name = "Acme"
timezone = "America/New_York"
currency = "USD"
tiers = ["bronze", "silver", "gold"]
achievements = ["regular"]
endpoints = ["crm"]
categories = ["coffee", "food"]
"#;

pub(super) fn chain() -> Chain {
    Chain {
        id: "acme".parse().unwrap(),
        name: crate::domain::text::Name::parse("Acme").unwrap(),
        timezone: chrono_tz::America::New_York,
        currency: "USD".parse().unwrap(),
        created_at: at("2026-01-01T00:00:00Z"),
        revision: 1,
    }
}

pub(super) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A folder of the manifest above and one file `a.rhai`.
pub(super) fn sources(rules: &str) -> Sources {
    Sources {
        files: vec![
            ("a.rhai".to_owned(), rules.to_owned()),
            ("program.toml".to_owned(), MANIFEST.to_owned()),
        ],
    }
}

pub(super) fn load(rules: &str) -> Result<Program, Vec<Diagnostic>> {
    Program::load(&sources(rules), &chain(), 7)
}

pub(super) fn program(rules: &str) -> Program {
    load(rules).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Each of these is found: `(rules, line:column, what the message or the help says)`, and little else.
pub(super) fn assert_found(mistakes: &[(&str, &str, &str)]) {
    let mut missed = Vec::new();
    for (rules, place, says) in mistakes {
        let problems = load(rules).err().unwrap_or_default();
        let found = problems.iter().any(|problem| {
            let text = format!("{} {}", problem.message, problem.help.as_deref().unwrap_or_default());
            format!("{}:{}", problem.line, problem.column) == *place && text.contains(says)
        });
        if !found || problems.len() > 2 {
            missed.push(format!("{rules}\n  wanted {place} {says}\n  found {problems:#?}"));
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

pub(super) fn harvest() -> Sources {
    folder::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/harvest")).unwrap()
}

/// One member's life under a program.
pub(super) struct Life {
    pub(super) program: Program,
    pub(super) chain: Chain,
    pub(super) endpoints: Vec<Arc<Endpoint>>,
    pub(super) member: Member,
    pub(super) orders: Vec<OrderRecord>,
    pub(super) now: Timestamp,
    events: u128,
}

impl Life {
    pub(super) fn new(program: Program) -> Self {
        let now = at("2026-03-03T19:00:00Z");
        let member =
            Member::new(MemberId::new(Ulid(1)), Vec::new(), program.terms.tiers.first().cloned(), now);
        Self { program, chain: chain(), endpoints: Vec::new(), member, orders: Vec::new(), now, events: 0 }
    }

    pub(super) fn send(&mut self, body: &str) -> Commit {
        let event = SourceEvent::parse(body.as_bytes(), &self.chain.currency, self.now).unwrap();
        self.events += 1;
        let input = SourceInput {
            id: SourceId::new(Ulid(self.events << 64)),
            event: Arc::new(event),
            received_at: self.now,
            from: SourceOrigin::Outside,
        };
        self.decide(Occasion::Source(input), None)
    }

    pub(super) fn order(&mut self, data: &str) -> Commit {
        let key = self.events;
        self.send(&format!(
            r#"{{"key":"k{key}","type":"order.completed","data":{{"order_id":"o{key}",{data}}}}}"#
        ))
    }

    pub(super) fn tick(&mut self, kind: TickType) -> Commit {
        self.events += 1;
        self.decide(Occasion::Tick { kind, id: Ulid(self.events << 64), then: None }, None)
    }

    /// Runs again what failed of a commit, from what the store would know of it.
    pub(super) fn replay(&mut self, commit: &Commit) -> Commit {
        #[derive(serde::Deserialize)]
        struct Stored {
            errors: Vec<RuleFailure>,
        }
        let change = commit.source.as_ref().unwrap();
        let Stored { errors } = serde_json::from_str(&change.receipt.to_json()).unwrap();
        let body = change.event.body.as_bytes();
        let parsed = SourceEvent::parse(body, &self.chain.currency, change.received_at).unwrap();
        let (key, occurred_at) = (change.event.key.clone(), change.event.occurred_at);
        let runs = match change.from {
            SourceOrigin::Outside => 1,
            SourceOrigin::Stored { runs, .. } => runs + 1,
        };
        let input = SourceInput {
            id: change.id,
            event: Arc::new(SourceEvent { key, occurred_at, ..parsed }),
            received_at: change.received_at,
            from: SourceOrigin::Stored { status: change.status(), runs },
        };
        self.decide(Occasion::Source(input), Some(errors))
    }

    pub(super) fn case(&self, occasion: Occasion, again: Option<Vec<RuleFailure>>) -> Case {
        let order_id = match &occasion {
            Occasion::Source(input) => input.event.data.order_id().cloned(),
            Occasion::Tick { .. } | Occasion::Due { .. } => None,
        };
        Case {
            member: self.member.clone().into(),
            order: self.orders.iter().find(|order| Some(&order.order_id) == order_id.as_ref()).cloned(),
            attach: Vec::new(),
            notes: Vec::new(),
            occasion,
            foresight: Foresight::Nothing,
            again,
            desk: Desk::default(),
            now: self.now,
        }
    }

    pub(super) fn decide(&mut self, occasion: Occasion, again: Option<Vec<RuleFailure>>) -> Commit {
        let case = self.case(occasion, again);
        let commit = decide(&self.program, &self.chain.id, &self.endpoints, case).unwrap();
        self.keep(&commit);
        commit
    }

    /// Keeps the member and the order, as a store would.
    pub(super) fn keep(&mut self, commit: &Commit) {
        if let Some(member) = &commit.member {
            self.member = Member { version: member.version + 1, ..Member::clone(member) };
        }
        if let Some(order) = &commit.order {
            self.orders.retain(|known| known.order_id != order.order_id);
            self.orders.push(order.clone());
        }
    }
}

pub(super) fn receipt(commit: &Commit) -> serde_json::Value {
    serde_json::from_str(&commit.source.as_ref().unwrap().receipt.to_json()).unwrap()
}
