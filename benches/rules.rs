//! What rules cost: a decision with five rules that fire, less one without rules; and each further rule of the same
//! event that does not fire, with a condition of plain comparisons and with one that reckons. And what a hundred
//! endpoints cost, without a filter and with one.
//!
//! `cargo bench --bench rules`. Wanted: five rules in at most 10 microseconds, one that does not fire in at most 200
//! nanoseconds. `in Rust` is what the five rules reckon, written in Rust. `five effects` is what becomes of what they ask
//! for, and the least it takes to ask: five rules that ask for the same, written out. The rest of `five rules` is
//! conditions and reckoning.
#![allow(missing_docs, reason = "criterion's macros write the public items")]
#![allow(clippy::unwrap_used, reason = "a benchmark")]

mod till;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use punchcard::domain::decide::Occasion;
use punchcard::domain::source_event::SourceData;
use till::five::{EFFECTS, FIVE, case, in_rust, till};

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn decisions(criterion: &mut Criterion) {
    const PLAIN: &str = "order.total >= 1000$n";
    const RECKONED: &str = "order.total - $n >= 1000";
    let programs = [
        ("no rules", till("", 0, "")),
        ("five rules that fire", till(FIVE, 0, "")),
        ("five effects", till(EFFECTS, 0, "")),
        ("and 200 that do not, of plain comparisons", till(FIVE, 200, PLAIN)),
        ("and 200 that do not, with arithmetic", till(FIVE, 200, RECKONED)),
        ("no rules, 100 endpoints", till("", 0, "").telling(100, None)),
        (
            "no rules, 100 endpoints of which no filter holds",
            till("", 0, "").telling(100, Some("event.total >= 1000")),
        ),
        (
            "no rules, 100 endpoints of which each filter holds",
            till("", 0, "").telling(100, Some("event.total >= 10")),
        ),
    ];
    let mut group = criterion.benchmark_group("decide");
    for (name, till) in &programs {
        let case = case(till);
        group.bench_function(*name, |bencher| {
            // What comes of it is dropped at once, as a server does: kept for later, it would cost fresh memory each time.
            bencher.iter(|| till.decide(case.clone()));
        });
    }
    group.bench_function("the five, in Rust", |bencher| {
        let case = case(&programs[0].1);
        let Occasion::Source(input) = &case.occasion else { unreachable!("an order") };
        let SourceData::OrderCompleted(order) = &input.event.data else { unreachable!("an order") };
        bencher.iter(|| in_rust(black_box(&order.order), black_box(&case.member), case.now));
    });
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
