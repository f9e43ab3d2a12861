//! What one order costs, decided and made into rows, by how many orders its member had before.
//!
//! `cargo bench --bench past`. A decision must not cost more with a longer past: 10,000 orders at most 1.5 times 10.
#![allow(missing_docs, reason = "criterion's macros write the public items")]
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::path::Path;
use std::sync::Arc;

use chrono::Duration;
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use punchcard::domain::Timestamp;
use punchcard::domain::chain::Chain;
use punchcard::domain::churn::Foresight;
use punchcard::domain::commit::{Commit, SourceOrigin};

use punchcard::domain::decide::{Occasion, SourceInput};
use punchcard::domain::desk::Desk;
use punchcard::domain::identity::{Identity, IdentityKind};
use punchcard::domain::ids::{MemberId, SourceId};
use punchcard::domain::member::Member;
use punchcard::domain::source_event::SourceEvent;
use punchcard::domain::text::Name;
use punchcard::rules::decide::{Case, decide};
use punchcard::rules::folder;
use punchcard::rules::program::Program;
use punchcard::store::commit::{Prepared, Write};
use ulid::Ulid;

/// Harvest Kitchen, and the same with points that are gone after a year: then every day of the past has a lot, too.
const PROGRAMS: [(&str, &str); 2] =
    [("harvest", ""), ("expiring", "\n[[wallets]]\ncode = \"points\"\nexpiry = \"12 months\"\n")];

struct Till {
    program: Program,
    chain: Chain,
}

impl Till {
    fn new(additions: &str) -> Self {
        let chain = Chain {
            id: "harvest".parse().unwrap(),
            name: Name::parse("Harvest Kitchen").unwrap(),
            timezone: chrono_tz::America::New_York,
            currency: "USD".parse().unwrap(),
            created_at: "2000-01-01T00:00:00Z".parse().unwrap(),
        };
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/harvest");
        let mut sources = folder::read(&folder).unwrap();
        let manifest = sources.files.iter_mut().find(|(name, _)| name == "program.toml");
        manifest.unwrap().1.push_str(additions);
        Self { program: Program::load(&sources, &chain, 1).unwrap(), chain }
    }

    /// The `n`-th order of a guest who comes every day at lunch.
    fn order(&self, n: u32, member: &Member) -> Case {
        let first: Timestamp = "2000-01-01T17:30:00Z".parse().unwrap();
        let now = first + Duration::days(n.into());
        let cents = 8_00 + n * 37 % 40_00;
        let total = format!("{}.{:02}", cents / 100, cents % 100);
        let body = format!(
            r#"{{"key":"till-{n}","type":"order.completed","member":{{"id":"guest"}},"location":"walnut",
                "data":{{"order_id":"till-{n}","total":{total},"channel":"pos",
                         "items":[{{"name":"Power Bowl","category":"food","quantity":1,"price":{total}}}]}}}}"#
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

    fn decide(&self, case: Case) -> Commit {
        decide(&self.program, &self.chain.id, &[], case).unwrap()
    }

    /// A guest after so many orders.
    fn guest(&self, orders: u32) -> Member {
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

fn one_order(criterion: &mut Criterion) {
    for (name, additions) in PROGRAMS {
        let till = Till::new(additions);
        let mut group = criterion.benchmark_group(format!("one order, {name}"));
        for past in [10, 100, 10_000] {
            let guest = till.guest(past);
            group.bench_function(BenchmarkId::from_parameter(past), |bencher| {
                bencher.iter_batched(
                    || till.order(past, &guest),
                    |case| Prepared::from(Write::Commit(Box::new(till.decide(case)))),
                    BatchSize::SmallInput,
                );
            });
        }
        group.finish();
    }
}

criterion_group!(benches, one_order);
criterion_main!(benches);
