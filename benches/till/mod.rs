//! A till in front of a program: what the benchmarks decide on.
#![allow(clippy::unwrap_used, reason = "a benchmark")]
#![allow(dead_code, reason = "each benchmark uses its part")]

pub(crate) mod five;

use std::path::Path;
use std::sync::Arc;

use chrono::Duration;
use punchcard::domain::Timestamp;
use punchcard::domain::chain::Chain;
use punchcard::domain::churn::Foresight;
use punchcard::domain::commit::{Commit, SourceOrigin};
use punchcard::domain::decide::{Occasion, SourceInput};
use punchcard::domain::desk::Desk;
use punchcard::domain::endpoint::{Endpoint, Filter, Secret};
use punchcard::domain::identity::{Identity, IdentityKind};
use punchcard::domain::ids::{EndpointId, MemberId, SourceId};
use punchcard::domain::member::Member;
use punchcard::domain::source_event::SourceEvent;
use punchcard::domain::text::Name;
use punchcard::rules::decide::{Case, decide};
use punchcard::rules::folder;
use punchcard::rules::program::{Program, Sources};
use ulid::Ulid;

/// A program and its chain.
pub(crate) struct Till {
    pub(crate) program: Program,
    pub(crate) chain: Chain,
    pub(crate) endpoints: Vec<Arc<Endpoint>>,
}

impl Till {
    /// Harvest Kitchen, with something more in its `program.toml`.
    pub(crate) fn harvest(additions: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/harvest");
        let mut sources = folder::read(&folder).unwrap();
        let manifest = sources.files.iter_mut().find(|(name, _)| name == "program.toml");
        manifest.unwrap().1.push_str(additions);
        Self::of(&sources)
    }

    pub(crate) fn of(sources: &Sources) -> Self {
        let chain = Chain {
            id: "harvest".parse().unwrap(),
            name: Name::parse("Harvest Kitchen").unwrap(),
            timezone: chrono_tz::America::New_York,
            currency: "USD".parse().unwrap(),
            created_at: "2000-01-01T00:00:00Z".parse().unwrap(),
            revision: 1,
        };
        Self { program: Program::load(sources, &chain, 1).unwrap(), chain, endpoints: Vec::new() }
    }

    /// The same, telling so many endpoints of completed orders, as their filter says.
    pub(crate) fn telling(self, endpoints: u128, filter: Option<&str>) -> Self {
        let filter = filter.map(|text| Filter::All(text.to_owned().try_into().unwrap()));
        let secret = Secret::of(&[1; 32]);
        let endpoint = |n| {
            let (id, url) = (EndpointId::new(Ulid(n)), "https://crm.example/".parse().unwrap());
            let mut new =
                Endpoint::new(id, self.chain.id.clone(), url, secret.clone(), self.chain.created_at);
            new.events = vec!["order.completed".parse().unwrap()];
            new.settings.filter = filter.clone();
            Arc::new(new)
        };
        let endpoints: Vec<_> = (0..endpoints).map(endpoint).collect();
        Self { program: self.program.asking(&endpoints), endpoints, ..self }
    }

    /// The `n`-th order of a guest who comes every day at lunch.
    pub(crate) fn order(&self, n: u32, member: &Member) -> Case {
        let first: Timestamp = "2000-01-01T17:30:00Z".parse().unwrap();
        let now = first + Duration::days(n.into());
        let cents = 8_00 + n * 37 % 40_00;
        let total = format!("{}.{:02}", cents / 100, cents % 100);
        let items = format!(r#"[{{"name":"Power Bowl","category":"food","quantity":1,"price":{total}}}]"#);
        self.order_of(n, member, now, &format!(r#""total":{total},"items":{items}"#))
    }

    /// An order of these things.
    pub(crate) fn order_of(&self, n: u32, member: &Member, now: Timestamp, data: &str) -> Case {
        let body = format!(
            r#"{{"key":"till-{n}","type":"order.completed","member":{{"id":"guest"}},"location":"walnut",
                "data":{{"order_id":"till-{n}","channel":"pos",{data}}}}}"#
        );
        let event = SourceEvent::parse(body.as_bytes(), &self.chain.currency, now).unwrap();
        Case {
            member: member.clone().into(),
            order: None,
            attach: Vec::new(),
            notes: Vec::new(),
            occasion: Occasion::Source(SourceInput {
                id: SourceId::new(Ulid(u128::from(n + 1) << 64)),
                event: Arc::new(event),
                received_at: now,
                from: SourceOrigin::Outside,
            }),
            foresight: Foresight::Nothing,
            again: None,
            desk: Desk::default(),
            now,
        }
    }

    pub(crate) fn decide(&self, case: Case) -> Commit {
        decide(&self.program, &self.chain.id, &self.endpoints, case).unwrap()
    }

    /// A guest after so many orders.
    pub(crate) fn guest(&self, orders: u32) -> Member {
        let id = Identity::parse(IdentityKind::Id, "guest").unwrap();
        let tier = self.program.terms.tiers.first().cloned();
        let enrolled = "2000-01-01T00:00:00Z".parse().unwrap();
        let mut member = Member::new(MemberId::new(Ulid(1)), vec![id], tier, enrolled);
        for n in 0..orders {
            let after = self.decide(self.order(n, &member)).member.unwrap();
            member = Member { version: member.version + 1, ..Member::clone(&after) };
        }
        member
    }
}
