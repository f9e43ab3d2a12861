//! What one order costs, decided and made into rows, by how many orders its member had before.
//!
//! `cargo bench --bench past`. A decision must not cost more with a longer past: 10,000 orders at most 1.5 times 10.
#![allow(missing_docs, reason = "criterion's macros write the public items")]

mod till;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use punchcard::store::commit::{Prepared, Write};
use till::Till;

/// Harvest Kitchen, and the same with points that are gone after a year: then every day of the past has a lot, too.
const PROGRAMS: [(&str, &str); 2] =
    [("harvest", ""), ("expiring", "\n[[wallets]]\ncode = \"points\"\nexpiry = \"12 months\"\n")];

fn one_order(criterion: &mut Criterion) {
    for (name, additions) in PROGRAMS {
        let till = Till::harvest(additions);
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
