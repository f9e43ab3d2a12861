//! What the sandbox promises of every hostile script, measured: no more processor time and no more memory than this,
//! whether it is refused when it is loaded or stopped when it runs, and wherever it stands. A process of its own, so that
//! nobody else's memory counts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[expect(dead_code, reason = "which of them are harmless matters elsewhere")]
#[path = "../src/rules/tests/hostile/bodies.rs"]
mod bodies;
#[path = "../src/rules/tests/hostile/files.rs"]
mod files;
#[path = "../src/rules/tests/hostile/heavy.rs"]
mod heavy;
#[path = "../benches/till/mod.rs"]
mod till;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cpu_time::ProcessTime;
use peak_alloc::PeakAlloc;
use punchcard::domain::decide::Occasion;
use punchcard::domain::endpoint::{Condition, Dialect, Endpoint, Script, Secret, Texts};
use punchcard::domain::ids::EndpointId;
use punchcard::domain::loyalty_event::EventType;
use punchcard::domain::source_event::SourceEvent;
use punchcard::rules::decide::{Case, decide};
use punchcard::rules::program::{Program, Sources};
use punchcard::rules::testing;
use punchcard::rules::transform::Transform;
use punchcard::wire::{self, Letter};
use till::Till;
use ulid::Ulid;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Of the processor, for loading a file and for each rule that runs. A debug build takes some ten times as long.
const TIME: Duration = Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 100 });
/// Beyond what there was before, in bytes.
const MEMORY: usize = 16 << 20;
/// Whose coupons a script gives away.
const BOOK: &str = "\n[[coupon_books]]\nid = \"heavy\"\ndiscount_type = \"other\"\n";

/// What is measured is the process, so one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn body(text: &str) -> String {
    format!("rule \"hostile\" on visit {{ {text} }}")
}

/// What something took, in all threads.
fn measured<T>(name: &str, share: u32, deed: impl FnOnce() -> T) -> T {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let begun = ProcessTime::now();
    let outcome = deed();
    let (time, memory) = (begun.elapsed(), HEAP.peak_usage().saturating_sub(before));
    let name = name.get(..300).unwrap_or(name);
    assert!(time <= TIME * share, "{name} took {time:?}");
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

/// Loads, decides and tests. Says whether it ran.
fn survives(till: &Till, name: &str, rules: String) -> bool {
    let manifest = [include_str!("../rules/harvest/program.toml"), BOOK].concat();
    let files = vec![("hostile.rhai".to_owned(), rules), ("program.toml".to_owned(), manifest)];
    // Published before the checker knew better, most of them would run.
    let sources = Sources { files };
    let loaded = measured(name, 2, || Program::load_published(&sources, &till.chain, 1));
    let Ok(program) = loaded else { return false };
    let rules = program.rule_names().count().max(1) as u32;
    let case = visit(till);
    // A coupon that is given away would have to be looked up.
    let _decided = measured(name, rules, || decide(&program, &till.chain.id, &[], case));
    measured(name, 2, || testing::run(&program, &sources, &till.chain));
    true
}

#[test]
fn no_hostile_script_takes_more_than_its_share_of_time_and_memory() {
    let _alone = alone();
    let till = Till::harvest("");
    let scripts = bodies::BODIES.iter().map(|text| ((*text).to_owned(), body(text)));
    let ran = scripts.chain(files::files()).map(|(name, rules)| survives(&till, &name, rules));
    let (ran, refused): (Vec<_>, Vec<_>) = ran.partition(|ran| *ran);
    let (ran, refused) = (ran.len(), refused.len());
    assert!(ran >= 150 && refused >= 150, "{ran} ran, {refused} were refused");
}

#[test]
fn whatever_a_script_holds_is_bounded_wherever_it_stands() {
    let _alone = alone();
    let till = Till::harvest("");
    let (mut ran, mut of) = (0, 0);
    for (n, text) in heavy::bodies().into_iter().enumerate() {
        let places = [
            body(&text),
            format!("rule \"hostile\" on visit when {{ {text} true }} {{ award(1); }}"),
            format!("segment \"hostile\" when {{ {text} true }};"),
            format!("tier \"silver\" when {{ {text} true }};"),
            format!("trigger \"hostile\" on visit.recorded {{ {text} }}"),
            format!("fn hostile() {{ {text} }}\n{}", body("hostile();")),
            format!("test \"hostile\" {{ {text} }}"),
        ];
        for rules in places {
            of += 1;
            ran += usize::from(survives(&till, &format!("{n}: {rules}"), rules));
        }
    }
    for (name, rules) in heavy::files() {
        assert!(survives(&till, &name, rules), "{name}");
    }
    assert!(ran > of * 3 / 4, "{ran} of {of} ran");
}

#[test]
fn a_filter_is_bounded_like_a_rule() {
    let _alone = alone();
    let till = Till::harvest("");
    let heavy = heavy::bodies().into_iter().map(|text| format!("{{ {text} true }}"));
    let bare = bodies::BODIES.iter().map(|text| text.trim_end_matches(';').to_owned());
    for text in heavy.chain(bare).filter(|text| Condition::try_from(text.clone()).is_ok()) {
        let Till { program, chain, .. } = &till;
        let asked = Till { program: program.clone(), chain: chain.clone(), endpoints: Vec::new() };
        let asked = measured(&text, 1, || asked.telling(1, Some(text.as_str())));
        let case = asked.order(1, &asked.guest(0));
        measured(&text, 1, || asked.decide(case));
    }
}

/// An order with as many lines as fit into an event.
fn large() -> String {
    let mut message: serde_json::Value =
        serde_json::from_str(&EventType::OrderCompleted.example().to_json()).unwrap();
    let items = message["data"]["items"].as_array_mut().unwrap();
    let item = items[0].clone();
    let lines = (200 << 10) / item.to_string().len();
    items.extend(vec![item; lines]);
    message.to_string()
}

#[test]
fn a_transform_is_bounded_like_a_rule() {
    let _alone = alone();
    let small = EventType::OrderCompleted.example().to_json();
    let heavy = heavy::bodies().into_iter().map(|text| format!("{text} #{{}}")).chain(heavy::transforms());
    let others = bodies::BODIES.iter().map(|text| format!("{text}\n#{{ a: body }}"));
    let mut ran = 0;
    for text in heavy.chain(others) {
        let Ok(script) = Script::try_from(text.clone()) else { continue };
        let Ok(transform) = measured(&text, 1, || Transform::compile(&script)) else { continue };
        ran += 1;
        for message in [&small, &large()] {
            let _made = measured(&text, 1, || transform.apply(message));
        }
    }
    assert!(ran > 150, "{ran} ran");
}

#[test]
fn a_text_with_as_many_places_as_fit_is_filled_in_within_the_same_bounds() {
    let _alone = alone();
    let now = "2026-03-02T12:00:00Z".parse().unwrap();
    let url = "https://chat.example/".parse().unwrap();
    let room =
        Endpoint::new(EndpointId::new(Ulid(1)), "harvest".parse().unwrap(), url, Secret::of(&[1; 32]), now);
    for place in ["{data.order_id}", "{data.items.x|data.order_id}", "{x|y|z|\"a\"}", "{{", "}}", "x"] {
        let text = place.repeat(2_000 / place.len());
        let texts = Texts::from([(EventType::OrderCompleted, text.parse().unwrap())]);
        for dialect in [Dialect::Slack, Dialect::GoogleChat, Dialect::Discord] {
            let letter = Letter {
                delivery: "dlv_0CKPWHJ8YG0000000000000001".parse().unwrap(),
                sequence: 1,
                attempt: 1,
                occasion: wire::Occasion::News,
                event: EventType::OrderCompleted.example().id,
                message: large(),
                name: None,
                texts: Arc::new(texts.clone()),
                trace: None,
            };
            let signers = room.keys.signers(now);
            let said = measured(place, 1, || wire::encode(dialect, letter, &signers, now));
            assert!(said.unwrap().body.len() < 64 << 10, "{place}");
        }
    }
}
