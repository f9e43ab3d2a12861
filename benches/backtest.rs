//! What an event costs in a backtest: read from its body and decided twice, with the nights between the events.
//!
//! `cargo bench --bench backtest`. On one thread; two of them are to make 20,000 events a second, so 100 µs an event is the
//! most that it may take, reading it from the store included.
#![allow(missing_docs, reason = "criterion's macros write the public items")]
#![allow(clippy::unwrap_used, reason = "a benchmark")]

use std::path::Path;
use std::sync::Arc;

use chrono::Duration;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use punchcard::domain::Timestamp;
use punchcard::domain::chain::Chain;
use punchcard::domain::churn::Foresight;
use punchcard::domain::ids::{MemberId, SourceId};
use punchcard::domain::source_event::SourceEvent;
use punchcard::domain::text::Name;
use punchcard::rules::backtest::{Elsewhere, Heard, Life, Plan, Versions};
use punchcard::rules::folder;
use punchcard::rules::program::Program;
use ulid::Ulid;

const ORDERS: u32 = 100;

struct Nothing;

impl Elsewhere for Nothing {}

/// Harvest Kitchen against itself.
fn plan() -> Plan {
    let chain = Chain {
        id: "harvest".parse().unwrap(),
        name: Name::parse("Harvest Kitchen").unwrap(),
        timezone: chrono_tz::America::New_York,
        currency: "USD".parse().unwrap(),
        created_at: start(),
        revision: 1,
    };
    let sources = folder::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/harvest")).unwrap();
    let program = Program::load(&sources, &chain, 1).unwrap();
    Plan {
        chain,
        candidate: Arc::new(program.clone()),
        versions: Versions::only(program),
        since: None,
        until: start() + Duration::days(ORDERS.into()),
        endpoints: Vec::new(),
        foresight: Foresight::Nothing,
    }
}

fn start() -> Timestamp {
    "2026-01-01T17:30:00Z".parse().unwrap()
}

/// The `n`-th order of a guest.
fn body(n: u32, at: Timestamp) -> String {
    let total = 8 + n % 40;
    format!(
        r#"{{"key":"o{n}","type":"order.completed","occurred_at":"{}","member":{{"id":"ana"}},"location":"loc_bench","data":{{"order_id":"o{n}","total":{total},"channel":"pos","items":[{{"name":"Power Bowl","category":"food","quantity":1,"price":{total}}}]}}}}"#,
        at.to_rfc3339()
    )
}

fn lives(criterion: &mut Criterion) {
    let plan = plan();
    for (name, every) in [("an order every 8 hours", 8), ("an order every day", 24)] {
        let at = |n: u32| start() + Duration::hours((n * every).into());
        let bodies: Vec<_> = (0..ORDERS).map(|n| (at(n), body(n, at(n)))).collect();
        let mut group = criterion.benchmark_group("backtest");
        group.throughput(Throughput::Elements(ORDERS.into()));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut life = Life::new(&plan);
                for (n, (received_at, body)) in bodies.iter().enumerate() {
                    let event =
                        SourceEvent::parse(body.as_bytes(), &plan.chain.currency, *received_at).unwrap();
                    let id = SourceId::new(Ulid((n as u128 + 1) << 64));
                    let heard =
                        Heard { id, event: event.into(), received_at: *received_at, version: Some(1) };
                    life.hear(MemberId::new(Ulid(1)), &heard, &mut Nothing).unwrap();
                }
                life.end(MemberId::new(Ulid(1)), None, &mut Nothing).unwrap()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, lives);
criterion_main!(benches);
