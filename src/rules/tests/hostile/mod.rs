//! Scripts that want to hang, crash, flood or escape. Each must end as problems of the loader or as a failed rule, in
//! bounded time; whatever survives must still leave books that balance.

mod bodies;
mod files;

use std::time::{Duration, Instant};

use super::*;
use crate::domain::endpoint::{Condition, Filter, Script};
use crate::domain::loyalty_event::EventType;
use crate::rules::transform::Transform;
use bodies::{BODIES, HARMLESS};
use files::files;

/// Generous, because debug builds are slow and test machines busy; what the steps of a rule take is far below.
const LOAD_LIMIT: Duration = Duration::from_secs(5);
const RUN_LIMIT: Duration = Duration::from_millis(1_500);

fn body(text: &str) -> String {
    format!("rule \"hostile\" on visit {{ {text} }}")
}

/// Loads and, if it loads, lives through every kind of event. Gives what was wrong with it.
fn survive(name: &str, rules: &str) -> usize {
    let begun = Instant::now();
    let sources = sources(rules);
    let loaded = Program::load(&sources, &chain(), 1);
    assert!(begun.elapsed() < LOAD_LIMIT, "{name}: loading took {:?}", begun.elapsed());
    let program = match loaded {
        Ok(program) => program,
        Err(problems) => {
            assert!(!problems.is_empty(), "{name}");
            problems.iter().for_each(|problem| {
                let text = crate::rules::report::render(
                    problem,
                    Path::new(""),
                    &sources,
                    crate::rules::report::Colour::Plain,
                );
                assert!(!text.is_empty() && problem.length >= 1 && problem.line >= 1 && problem.column >= 1);
            });
            return problems.len();
        }
    };
    let rules = program.rule_names().count().max(1) as u32;
    let begun = Instant::now();
    let tests = crate::rules::testing::run(&program, &sources, &chain());
    assert!(begun.elapsed() < LOAD_LIMIT, "{name}: its tests took {:?}", begun.elapsed());
    let begun = Instant::now();
    let mut life = Life::new(program);
    let commit = life.send(r#"{"type":"visit","data":{"channel":"x"}}"#);
    assert!(begun.elapsed() < RUN_LIMIT * rules, "{name}: running took {:?}", begun.elapsed());
    let earned: i64 = commit.transfers.iter().map(signed).sum();
    assert_eq!(earned, life.member.standing.points().0, "{name}");
    let failed_tests = tests.iter().filter(|test| test.failure.is_some()).count();
    commit.source.map_or(0, |source| source.receipt.errors.len()) + failed_tests
}

fn signed(transfer: &crate::domain::ledger::Transfer) -> i64 {
    match transfer.credit {
        crate::domain::ledger::Account::Member(_) => transfer.amount.0,
        crate::domain::ledger::Account::Pending(_) => 0,
        crate::domain::ledger::Account::Chain(_) => -transfer.amount.0,
    }
}

#[test]
fn every_hostile_body_ends_as_a_problem_or_a_failed_rule() {
    assert!(BODIES.len() >= 300);
    let mut unpunished = Vec::new();
    for text in BODIES {
        if survive(text, &body(text)) == 0 {
            unpunished.push(*text);
        }
    }
    assert!(unpunished.iter().all(|text| HARMLESS.contains(text)), "{unpunished:#?}");
}

#[test]
fn every_hostile_file_ends_in_bounded_time() {
    let files = files();
    assert!(files.len() >= 300);
    for (name, text) in files {
        survive(&name, &text);
    }
}

/// Checks a condition as an endpoint's filter, and if it checks, asks it. Says whether it let everything pass.
fn filter(text: &str) -> bool {
    let mut hostile = Endpoint::clone(&decide::endpoint(1, &["visit.*"], &[]));
    let Ok(condition) = Condition::try_from(text.to_owned()) else { return true };
    hostile.settings.filter = Some(Filter::All(condition));
    let endpoints = vec![Arc::new(hostile)];
    let begun = Instant::now();
    let program = program("const N = 1;\nfn f(x) { x }").filtering(&endpoints).unwrap();
    assert!(begun.elapsed() < LOAD_LIMIT, "{text}: checking took {:?}", begun.elapsed());
    if let Some(problem) = program.filter_problem(endpoints[0].id) {
        assert!(problem.problems.iter().all(|problem| problem.line >= 1 && problem.column >= 1), "{problem}");
    }
    let begun = Instant::now();
    let mut life = Life { endpoints, ..Life::new(program) };
    let commit = life.send(r#"{"type":"visit","data":{"channel":"x"}}"#);
    assert!(begun.elapsed() < RUN_LIMIT, "{text}: asking took {:?}", begun.elapsed());
    commit.deliveries.len() == 1
}

#[test]
fn every_hostile_filter_ends_as_a_problem_or_fails_and_lets_everything_pass() {
    for text in BODIES {
        let bare = text.trim_end_matches(';');
        let forms = [text.to_string(), bare.to_owned(), format!("{{ {text} }}"), format!("({bare}) == 1")];
        for form in forms {
            assert!(filter(&form), "{form}");
        }
    }
    for (_, text) in files() {
        let end = (0..=Condition::MAX_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        assert!(filter(&text[..end.unwrap()]), "{text}");
    }
}

/// Compiles a script as an endpoint's transform, and if it compiles, asks what it makes of an event.
fn transform(text: &str, message: &str) {
    let Ok(script) = Script::try_from(text.to_owned()) else { return };
    let begun = Instant::now();
    let made = Transform::compile(&script).and_then(|transform| transform.apply(message));
    assert!(begun.elapsed() < RUN_LIMIT, "{text}: it took {:?}", begun.elapsed());
    match made {
        Ok(json) => {
            let is_object =
                serde_json::from_str::<serde_json::Value>(&json).is_ok_and(|json| json.is_object());
            assert!(is_object && json.len() <= 64 * 1024, "{text}: {json:.100}");
        }
        Err(problem) => assert!(problem.line >= 1 && problem.column >= 1, "{text}: {problem}"),
    }
}

#[test]
fn every_hostile_transform_ends_as_a_problem_or_as_a_small_object_in_bounded_time() {
    let message = EventType::OrderCompleted.example().to_json();
    for text in BODIES {
        let asked = text.replace("member", "body.member").replace("order.", "body.data.");
        for form in [text.to_string(), format!("{text};\n#{{ a: body }}"), format!("#{{ a: {text} }}"), asked]
        {
            transform(&form, &message);
        }
    }
    for (_, text) in files() {
        let end = (0..=Script::MAX_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        transform(&text[..end.unwrap()], &message);
    }
}

/// The dearest steps of transforms, without end.
#[test]
fn a_transform_that_runs_away_is_stopped_by_its_steps() {
    let message = EventType::OrderCompleted.example().to_json();
    let items = "1,".repeat(490);
    for text in [
        "let _b = a;",
        "let _b = s + \"y\";",
        "a.contains(10);",
        "s.contains(\"xxy\");",
        "body.to_map();",
        "a[3] = 7;",
    ] {
        let text = format!(
            "let a = [{items}]; let s = \"x\"; for i in 0..13 {{ s += s; }} for i in 0..99999 {{ {text} }} #{{}}"
        );
        transform(&text, &message);
        let made = Transform::compile(&Script::try_from(text.clone()).unwrap()).unwrap().apply(&message);
        assert_eq!(made.unwrap_err().message, "ran for too many steps", "{text:.0}{}", &text[1_000..]);
    }
}

/// The deepest nesting that loads, in a function that calls itself as often as it may.
fn deepest() -> Vec<String> {
    let nested = |open: &str, close: &str, levels: usize, inner: &str| {
        format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
    };
    let shapes = [
        ("[", "]"),
        ("(1 + ", ")"),
        ("if true { ", " }"),
        ("for i in 0..1 { ", " }"),
        ("`${", "}`"),
        ("-(", ")"),
        ("switch 1 { 1 => ", " }"),
        ("f(", ", 1)"),
        ("max(1, ", ")"),
        ("#{a: ", "}"),
        ("{ ", " }"),
        ("#{a: ", "}.a"),
    ];
    let mut scripts = Vec::new();
    for (open, close) in shapes {
        let function = (1..40).rev().map(|levels| {
            format!("fn f(n) {{ {} }}\nfn f(n, m) {{ f(n) }}\n", nested(open, close, levels, "f(n)"))
        });
        let Some(function) = function.into_iter().find(|function| load(function).is_ok()) else { continue };
        let rule = (1..60).rev().map(|levels| {
            format!("{function}{}", body(&format!("let _x = {};", nested(open, close, levels, "f(1)"))))
        });
        scripts.extend(rule.into_iter().find(|rule| load(rule).is_ok()));
    }
    scripts
}

/// Three quarters of what Rust gives a thread. Release builds need far less.
const STACK: usize = 3 << 19;

#[test]
fn the_deepest_rule_that_loads_needs_less_stack_than_any_thread_has() {
    let scripts = deepest();
    assert!(scripts.len() >= 8, "{scripts:#?}");
    for rules in scripts {
        let program = program(&rules);
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
            let mut life = Life::new(program);
            life.send(r#"{"type":"visit"}"#).source.unwrap().receipt.errors.len()
        });
        assert_eq!(thread.unwrap().join().unwrap(), 1, "{rules}");
    }
}

/// The dearest steps there are, to be repeated without end. `a` is as long a list and `s` as long a text as there can be.
const DEAR: &[&str] = &[
    "",
    "member.typical_gap_days;",
    "member.spend_in(400.days);",
    "a.contains(10);",
    "let _b = a;",
    "s.contains(\"aaaaaaaab\");",
    "s.to_upper();",
    "s.len;",
    "let _x = 1.0000001 ** 999;",
];

#[test]
fn what_runs_away_is_stopped_by_its_steps_and_not_by_the_clock() {
    for text in DEAR {
        let (list, long) = ("1,".repeat(499), "a".repeat(1_900));
        let runaway =
            format!("let a = [{list}]; let s = \"{long}\"; for i in 0..99999 {{ {text} }} a.len; s.len;");
        // The checker says that nothing is done with some of these values.
        let program = Program::load_published(&sources(&body(&runaway)), &chain(), 1).unwrap();
        let mut life = Life::new(program);
        for day in at("2026-03-03T12:00:00Z").date_naive().iter_days().rev().take(400) {
            life.member.history.visit(day, Default::default());
        }
        let errors = life.send(r#"{"type":"visit"}"#).source.unwrap().receipt.errors;
        assert_eq!(errors[0].error, "ran for too many steps", "{text}");
    }
}

/// What a program may hold in memory while a rule runs.
const MEMORY: usize = 16 << 20;

#[test]
fn whatever_a_rule_holds_at_once_is_bounded_by_sizes() {
    use crate::rules::code::MAX_CONSTANTS;
    use crate::rules::engine::{MAX_CALL_LEVELS, MAX_LIST, MAX_MAP, MAX_TEXT_BYTES, MAX_VARIABLES};
    let slot = size_of::<rhai::Dynamic>();
    let entry = slot + 100; // of a tree, with its key
    let value = MAX_LIST * slot + MAX_MAP * entry + MAX_TEXT_BYTES;
    let held = MAX_VARIABLES * (MAX_CALL_LEVELS + 1) + MAX_CONSTANTS;
    assert!(value * held < MEMORY, "{}", value * held);
}

/// Each holds one thing more than there may be, or as much of it as there may be.
#[test]
fn sizes_count_what_is_within_and_stop_at_the_limit() {
    let text = |n: usize| format!("let s = \"{}\"; let t = s + s; award(t.len);", "x".repeat(n / 2));
    let texts = |n: usize| format!("let s = \"{}\"; let a = [s, s]; award(a.len);", "x".repeat(n / 2));
    let lists = |n: usize| format!("let a = [{}]; let b = [a, a]; award(b.len);", "1,".repeat(n / 2));
    let variables = |n: usize| {
        let declared: String = (0..n - 2).map(|n| format!("let _v{n} = 1;")).collect();
        format!("{declared} award(1);")
    };
    let bounds: [(&dyn Fn(usize) -> String, usize); 4] =
        [(&text, 2_000), (&texts, 2_000), (&lists, 490), (&variables, 50)];
    for (body_of, most) in bounds {
        let refused = |size: usize| match load(&body(&body_of(size))) {
            Ok(program) => {
                let commit = Life::new(program).send(r#"{"type":"visit"}"#);
                !commit.source.unwrap().receipt.errors.is_empty()
            }
            Err(_) => true,
        };
        assert!(!refused(most) && refused(most + 22), "{}", body_of(2));
    }
}

#[test]
fn constants_and_parameters_are_few_enough_to_be_held() {
    let constants: String = (0..300).map(|n| format!("const C{n} = 1;\n")).collect();
    let more = constants.replace('C', "D");
    let files = [("a.rhai", &*constants), ("b.rhai", &*more), ("program.toml", MANIFEST)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
    let problems = Program::load(&Sources { files }, &chain(), 1).unwrap_err();
    assert_eq!((&*problems[0].file, problems[0].line, problems.len()), ("b.rhai", 101, 1), "{problems:?}");
    let parameters: String = (0..21).map(|n| format!("p{n},")).collect();
    let problems = load(&format!("fn f({parameters}) {{ 1 }}")).unwrap_err();
    assert_eq!(problems[0].message, "a function may have 20 parameters");
}

#[test]
fn tests_that_take_too_long_are_ended() {
    let rules = "test \"t\" { send(\"visit\"); }";
    let outcomes =
        crate::rules::testing::run_within(Duration::ZERO, &program(rules), &sources(rules), &chain());
    let failure = outcomes[0].failure.as_ref().unwrap();
    assert!(failure.message.contains("longer than"), "{failure:?}");
}
