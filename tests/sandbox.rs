//! What the sandbox promises of every hostile script, measured: no more processor time and no more memory than this,
//! whether it is refused when it is loaded or stopped when it runs. A process of its own, so that nobody else's memory
//! counts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, reason = "which of them are harmless matters elsewhere")]
#[path = "../src/rules/tests/hostile/bodies.rs"]
mod bodies;
#[path = "../src/rules/tests/hostile/files.rs"]
mod files;
#[path = "../benches/till/mod.rs"]
mod till;

use std::sync::Arc;
use std::time::Duration;

use cpu_time::ThreadTime;
use peak_alloc::PeakAlloc;
use punchcard::domain::decide::Occasion;
use punchcard::domain::source_event::SourceEvent;
use punchcard::rules::decide::{Case, decide};
use punchcard::rules::program::{Program, Sources};
use till::Till;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Of the processor, for loading a file and for each rule that runs. A debug build takes some ten times as long.
const TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 100 });
/// Beyond what there was before, in bytes.
const MEMORY: usize = 16 << 20;

fn body(text: &str) -> String {
    format!("rule \"hostile\" on visit {{ {text} }}")
}

/// What something took.
fn measured<T>(name: &str, rules: u32, deed: impl FnOnce() -> T) -> T {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let begun = ThreadTime::now();
    let outcome = deed();
    let (time, memory) = (begun.elapsed(), HEAP.peak_usage().saturating_sub(before));
    assert!(time <= TIME * rules, "{name} took {time:?}");
    assert!(memory <= MEMORY, "{name} took {memory} bytes");
    outcome
}

/// Somebody comes in.
fn visit(till: &Till) -> Case {
    let mut case = till.order(1, &till.guest(0));
    let body = r#"{"key":"visit","type":"visit","member":{"id":"guest"},"data":{"channel":"x"}}"#;
    let event = SourceEvent::parse(body.as_bytes(), &till.chain.currency, case.now).unwrap();
    if let Occasion::Source(input) = &mut case.occasion {
        input.event = Arc::new(event);
    }
    case
}

#[test]
fn no_hostile_script_takes_more_than_its_share_of_time_and_memory() {
    let till = Till::harvest("");
    let case = visit(&till);
    let manifest = include_str!("../rules/harvest/program.toml");
    let scripts = bodies::BODIES.iter().map(|text| ((*text).to_owned(), body(text)));
    let (mut ran, mut refused) = (0, 0);
    for (name, rules) in scripts.chain(files::files()) {
        let files =
            vec![("hostile.rhai".to_owned(), rules), ("program.toml".to_owned(), manifest.to_owned())];
        // Published before the checker knew better, most of them would run.
        let sources = Sources { files };
        let loaded = measured(&name, 2, || Program::load_published(&sources, &till.chain, 1));
        let Ok(program) = loaded else {
            refused += 1;
            continue;
        };
        let rules = program.rule_names().count().max(1) as u32;
        measured(&name, rules, || decide(&program, &till.chain.id, &[], case.clone()).unwrap());
        ran += 1;
    }
    assert!(ran >= 150 && refused >= 150, "{ran} ran, {refused} were refused");
}
