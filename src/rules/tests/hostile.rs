//! Scripts that want to hang, crash, flood or escape. Each must end as problems of the loader or as a failed rule, in
//! bounded time; whatever survives must still leave books that balance.

use std::time::{Duration, Instant};

use super::*;

/// Generous, because debug builds are slow and test machines busy; what the steps of a rule take is far below.
const LOAD_LIMIT: Duration = Duration::from_secs(5);
const RUN_LIMIT: Duration = Duration::from_millis(1_500);

fn body(text: &str) -> String {
    format!("rule \"hostile\" on visit {{ {text} }}")
}

/// Bodies of a rule.
const BODIES: &[&str] = &[
    // time
    "loop { }",
    "loop { try { loop { } } catch { } }",
    "while true { }",
    "do { } while true;",
    "do { } until false;",
    "for i in 0..9223372036854775807 { }",
    "for i in 0..=9223372036854775807 { let x = i; }",
    "for i in range(0, 9000000000000000000, 1) { }",
    "for i in range(0, 1, 0) { }",
    "for a in 0..1000 { for b in 0..1000 { for c in 0..1000 { } } }",
    "sleep(9999999);",
    "let a = [0,1,2,3,4,5,6,7,8,9]; for i in 0..100000 { a == a; }",
    "let s = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"; for i in 0..100000 { s.contains(\"y\"); }",
    "for i in 0..100000 { [1,2,3,4,5,6,7,8,9].contains(10); }",
    "let x = 1.0000001; for i in 0..100000 { x = x ** 3; }",
    "let x = 1.1 ** 99999999999;",
    "let x = 2 ** 9223372036854775807;",
    // escape
    "let s = \"eval(s)\"; eval(s);",
    "let n = 0; let s = \"eval(s)\"; eval(\"n += 1; eval(s)\");",
    "import \"/etc/passwd\" as p;",
    "import \"../../secret\" as p; p::x;",
    "export member as m;",
    "Fn(\"award\").call(5);",
    "call(\"award\", 5);",
    "curry(\"award\", 5);",
    "get_fn_metadata_list();",
    "exit(7);",
    "for i in 0..1000000 { print(\"flood\"); }",
    "debug(member);",
    "type_of(member);",
    "this.points = 5;",
    "global::X;",
    "std::process::exit(1);",
    "timestamp();",
    "parse_json(\"{\\\"a\\\":9223372036854775808}\");",
    "is_def_var(\"member\");",
    "let f = award; f.call(5);",
    "let f = |x| x; f.call(1);",
    "[1, 2].map(|x| x);",
    "[1, 2].map(award);",
    "throw \"x\";",
    "try { award(1); } catch { }",
    "sync { }",
    "spawn(1);",
    "private fn f() { }",
    // memory
    "let s = \"x\"; for i in 0..1000 { s += s; }",
    "let s = \"xxxxxxxxxx\"; for i in 0..1000 { s = `${s}${s}`; }",
    "let s = \"x\"; s.replace(\"x\", s);",
    "let s = \"x\"; s.pad(500000000, \"x\");",
    "let a = []; a.pad(500000000, 0);",
    "blob(2000000000, 0);",
    "let a = [1]; for i in 0..1000 { a.push(a); }",
    "let a = [1]; for i in 0..1000 { a += a; }",
    "let a = [1]; for i in 0..1000 { a = [a, a]; }",
    "let a = [1]; for i in 0..1000000 { a = [a]; }",
    "let m = #{}; for i in 0..5000 { m[\"k\" + i] = m; }",
    "let m = #{}; for i in 0..5000 { m[`k${i}`] = i; }",
    "let m = #{ a: 1 }; for i in 0..1000000 { m = #{ x: m }; }",
    "let a = [0, 0]; a[0] = a; a[1] = a; a[0] = a;",
    "let s = \"x\" * 1000000000;",
    "let a = [0] * 1000000000;",
    "let s = \"x,\"; for i in 0..99 { s += s; } s.split(\",\");",
    "let a = \"a,b\".split(\",\"); for i in 0..99 { a += a; }",
    "let s = \"x\"; for i in 0..99 { s.append(s); }",
    "let s = \"x\"; for i in 0..99 { s.insert(0, s); }",
    "let s = \"x\"; for i in 0..99 { s = s.replace(\"x\", \"xx\"); }",
    "let s = \"x\"; for i in 0..99 { s = s.pad(s.len * 2, \"x\"); }",
    "let a = [1]; for i in 0..99 { a.append(a); }",
    "let a = [1]; for i in 0..99 { a.insert(0, a); }",
    "let a = [1]; for i in 0..99 { a.splice(0, 0, a); }",
    "let m = #{ a: 1 }; for i in 0..99 { m.mixin(#{ b: m }); }",
    "let m = #{ a: 1 }; for i in 0..99 { m += #{ b: m }; }",
    "let x = \"\\u{10FFFF}\"; for i in 0..10000 { x = x.to_upper() + x; }",
    // numbers
    "award(-9223372036854775808 / -1);",
    "award(-9223372036854775807 - 1);",
    "let x = -9223372036854775807 - 5;",
    "award(9223372036854775807 + 1);",
    "award(abs(-9223372036854775807 - 1));",
    "award(-(-9223372036854775807 - 1));",
    "award(5 % 0);",
    "award(5 / 0);",
    "award(5.0 / 0);",
    "award(5.0 % 0.0);",
    "award(1 << 64);",
    "award(1 << -1);",
    "award(1 >> 99999);",
    "award(79228162514264337593543950335.0 * 10.0);",
    "award(79228162514264337593543950335.0 + 1.0);",
    "award(0.0000000000000000000000000001 * 0.0000000000000000000000000001);",
    "award(999999999999999999999999999999999999999999);",
    "award(round(1.5, 9223372036854775807));",
    "award(round(1.5, -9223372036854775807));",
    "award(floor(79228162514264337593543950335.0));",
    "let a = [1]; award(a[-9223372036854775807]);",
    "let a = [1]; award(a[9223372036854775807]);",
    "member.visits_in((-5).days);",
    "member.visits_in(9223372036854775807.days);",
    "member.visits_in(9223372036854775807.weeks);",
    "member.spend_in(4294967295.months);",
    "member.visits_in(401.days);",
    "switch 5 { 0..9223372036854775807 => loop { } }",
    "switch 5 { -9223372036854775807..=9223372036854775807 => loop { }, _ => 1 }",
    // names
    "let award = 5; award(1); award.x;",
    "let a\0b = 1;",
    "\u{ff41}ward(1);",
    "\u{430}ward(1);",
    "let \u{200d} = 1;",
    // business
    "award(-1);",
    "award(0);",
    "award(0 - 0.5);",
    "award(9223372036854775807);",
    "award(1000000000001);",
    "award(1000000000000); award(1000000000000);",
    "award(());",
    "award(\"5\");",
    "for i in 0..10000 { award(1); }",
    "for i in 0..99 { award(1); } for i in 0..99 { set_tier(\"gold\"); set_tier(\"bronze\"); }",
    "deduct(9223372036854775807);",
    "deduct(-5);",
    "take_back();",
    "award(1, \"\");",
    "award(1, \" padded \");",
    "award(1, \"a\\0b\");",
    "award(1, \"line\\nline\");",
    "let s = \"x\"; for i in 0..10 { s += s; } award(1, s);",
    "let t = \"plat\"; set_tier(t + \"inum\");",
    "let t = \"lo\"; mark(t + \"st\");",
    "let t = \"\"; achieve(t);",
    "let t = \"x\"; for i in 0..9 { t += t; } achieve(t);",
    "member.points = 1000;",
    "member = 5;",
    "visit.channel = \"x\";",
    "let member = 5;",
    "let m = member; m.points = 5;",
    "return award(1);",
    "break;",
    "continue;",
    "at(\"2026-01-01 00:00\");",
    "send(\"visit\");",
    "given_member(#{});",
    "points();",
    "expect true;",
    "rule \"inner\" on visit { award(1); }",
    "switch 5 { 5 => award(1), _ => award(2) }",
    "if member.points = 5 { }",
    "let x; award(x);",
    "let x = (); x.y.z;",
    "#{}.x.y;",
    "[][0];",
    "\"abc\"[99];",
    "member?.points;",
    "member ?? award(1);",
    "`${`${`${award(1)}`}`}`;",
];

/// Whole files, most of them generated.
fn files() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, text: String| files.push((name.to_owned(), text));
    let repeated = [
        ("(", 20_000),
        ("[", 20_000),
        ("{", 20_000),
        ("!", 60_000),
        ("- ", 30_000),
        ("||", 20_000),
        ("if true {", 7_000),
        ("#{a:", 15_000),
        ("`${", 5_000),
        ("/*", 30_000),
        ("\"", 60_001),
        ("rule ", 12_000),
        ("for i in 0..2 {", 4_000),
        ("switch 1 { 1 => ", 4_000),
        ("return ", 9_000),
        ("'", 50_001),
        ("\\", 60_000),
    ];
    for (text, times) in repeated {
        add(&format!("{text} x{times}"), body(&text.repeat(times)));
        add(&format!("{text} in bounds"), body(&text.repeat(8_000 / text.len())));
        add(&format!("bare {text}"), text.repeat(times));
    }
    let chains = [
        "+1",
        "-1",
        "**1",
        "*1",
        "??1",
        ".a",
        "[0]",
        ".trim()",
        "?.a",
        "==1",
        "&&true",
        "||true",
        "..1",
        " in 1",
        "+\"x\"",
        ".total.total",
        ".visits_in(30.days)",
        "and true",
        " or true",
        "=1",
        "+=1",
        ";1",
        ",1",
        "::x",
        "=>1",
        "%1",
    ];
    for link in chains {
        add(&format!("1{link} chained"), body(&format!("1{};", link.repeat(7_500 / link.len()))));
        add(&format!("member{link} chained"), body(&format!("member{};", link.repeat(7_500 / link.len()))));
        add(
            &format!("true{link} condition"),
            format!("rule \"a\" on visit when true{} {{ }}", link.repeat(7_000 / link.len())),
        );
    }
    add("else if", body(&format!("if true {{ }} {}", "else if true { }".repeat(450))));
    add(
        "arms",
        body(&format!("switch 1 {{ {} }}", (0..700).map(|n| format!("{n} => 1,")).collect::<String>())),
    );
    add(
        "range arms",
        body(&format!("switch 1 {{ {} }}", (0..500).map(|n| format!("{n}..9 => 1,")).collect::<String>())),
    );
    add("functions", (0..5_000).map(|n| format!("fn f{n}() {{ }}\n")).collect());
    add("constants", (0..299).map(|n| format!("const C{n} = {n};\n")).collect());
    add("bad constants", (0..299).map(|n| format!("const C{n} = C{};\n", n + 1)).collect());
    add(
        "rules",
        (0..299)
            .map(|n| format!("rule \"r{n}\" on visit {{ for i in 0..99999 {{ }} }}\n"))
            .take(20)
            .collect(),
    );
    add("arguments", body(&format!("award({});", "1,".repeat(3_500))));
    add("variables", body(&(0..500).map(|n| format!("let v{n} = {n};")).collect::<String>()));
    add("elements", body(&format!("let a = [{}];", "1,".repeat(3_500))));
    add(
        "properties",
        body(&format!("let m = #{{ {} }};", (0..700).map(|n| format!("k{n}:1,")).collect::<String>())),
    );
    add("long text", body(&format!("award(1, \"{}\");", "x".repeat(7_000))));
    add("long name", format!("rule \"{}\" on visit {{ }}", "x".repeat(7_000)));
    add("long word", body(&format!("{} = 1;", "x".repeat(7_000))));
    add("long number", body(&format!("award({});", "9".repeat(7_000))));
    add("long decimal", body(&format!("award(0.{});", "9".repeat(7_000))));
    add("5 MB", "x".repeat(5 << 20));
    add("bom in the middle", body("\u{feff}award(1);"));
    add("nul", body("\0"));
    add("right to left", body("let \u{202e}x = 1;"));
    add("zero width", body("awa\u{200b}rd(1);"));
    add("greek question mark", body("award(1)\u{37e}"));
    add("emoji", body("award(1, \"🍜\");"));
    add("combining", body("let e\u{301} = 1;"));
    add("f f", format!("fn f() {{ f() }}\n{}", body("f();")));
    add("f g", format!("fn f() {{ g() }}\nfn g() {{ f() }}\n{}", body("f();")));
    add("f twice", format!("fn f(n) {{ f(n + 1) + f(n + 1) }}\n{}", body("f(0);")));
    add("deep f", format!("fn f(n) {{ [[[[[[[[f(n + 1)]]]]]]]] }}\n{}", body("f(0);")));
    add(
        "deeper f",
        format!(
            "fn f(n) {{ 1 + (2 + (3 + (4 + (5 + f(n + 1))))) }}\n{}",
            body("[[[[[[[[[[[[f(0)]]]]]]]]]]]];")
        ),
    );
    add(
        "if f",
        format!(
            "fn f(n) {{ if true {{ if true {{ if true {{ if true {{ f(n) }} }} }} }} }}\n{}",
            body("f(0);")
        ),
    );
    add("for f", format!("fn f(n) {{ for i in 0..2 {{ for j in 0..2 {{ f(n) }} }} }}\n{}", body("f(0);")));
    add("interpolated f", format!("fn f(n) {{ `${{`${{`${{f(n)}}`}}`}}` }}\n{}", body("f(0);")));
    add("operators", "fn +(a, b) { 5 }".to_owned());
    add("method of a type", "fn string.len() { 99 }".to_owned());
    add("shadowed member", format!("fn member() {{ 5 }}\n{}", body("award(member());")));
    add("shadowed award", format!("fn award(x) {{ }}\n{}", body("award(1);")));
    add("shadowed variable", format!("const member = 5;\n{}", body("award(member);")));
    add("hot constant", "const X = loop { };".to_owned());
    add("growing constant", "const X = { let s = \"x\"; for i in 0..99 { s += s; } s };".to_owned());
    add("endless constant", "const X = { for i in 0..9999999999 { } 5 };".to_owned());
    add("constant that awards", "const X = award(5);".to_owned());
    add("endless test", "test \"t\" { for i in 0..999999999 { } }".to_owned());
    add("sending test", "test \"t\" { for i in 0..999999999 { send(\"visit\"); } }".to_owned());
    add(
        "test with odd data",
        "test \"t\" { send(\"order.completed\", #{ total: #{ a: [()] } }); }".to_owned(),
    );
    add("condition that awards", "rule \"a\" on visit when award(5) == () { }".to_owned());
    add(
        "condition that loops",
        "rule \"a\" on visit when { for i in 0..999999999 { } true } { award(1); }".to_owned(),
    );
    add("priority", "rule \"a\" on visit priority 99999999999999999999 { }".to_owned());
    add("event", format!("rule \"a\" on {} {{ }}", "visit.".repeat(1_000)));
    files
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

/// Bodies that look odd but do nothing wrong.
const HARMLESS: &[&str] = &[
    "award(0);",
    "award(0.0000000000000000000000000001 * 0.0000000000000000000000000001);",
    "award(round(1.5, 9223372036854775807));",
    "award(round(1.5, -9223372036854775807));",
    "return award(1);",
    "switch 5 { 5 => award(1), _ => award(2) }",
    "`${`${`${award(1)}`}`}`;",
];

#[test]
fn every_hostile_body_ends_as_a_problem_or_a_failed_rule() {
    assert!(BODIES.len() >= 100);
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
    for (name, text) in files() {
        survive(&name, &text);
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
            format!("{function}{}", body(&format!("let x = {};", nested(open, close, levels, "f(1)"))))
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
    "let b = a;",
    "s.contains(\"aaaaaaaab\");",
    "s.to_upper();",
    "s.len;",
    "let x = 1.0000001 ** 999;",
];

#[test]
fn what_runs_away_is_stopped_by_its_steps_and_not_by_the_clock() {
    for text in DEAR {
        let (list, long) = ("1,".repeat(499), "a".repeat(1_900));
        let runaway = format!("let a = [{list}]; let s = \"{long}\"; for i in 0..99999 {{ {text} }}");
        let mut life = Life::new(program(&body(&runaway)));
        for day in at("2026-03-03T12:00:00Z").date_naive().iter_days().rev().take(400) {
            life.member.history.visit(day, Default::default());
        }
        let errors = life.send(r#"{"type":"visit"}"#).source.unwrap().receipt.errors;
        assert_eq!(errors[0].error, "ran for too many steps", "{text}");
    }
}
