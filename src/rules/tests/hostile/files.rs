//! Whole files, most of them generated.

use super::body;

/// Characters that make a name look like another, or like nothing.
const NAMES: [(&str, &str); 14] = [
    ("cyrillic", "\u{440}\u{430}"),
    ("greek", "\u{3bf}"),
    ("wide", "\u{ff41}"),
    ("right to left", "\u{202e}x"),
    ("isolate", "\u{2066}x\u{2069}"),
    ("hebrew", "\u{5d0}\u{5d1}"),
    ("zero width", "x\u{200b}y"),
    ("soft hyphen", "x\u{ad}y"),
    ("combining", "e\u{301}\u{301}\u{301}"),
    ("nul", "x\0y"),
    ("escape", "x\u{1b}[31m"),
    ("tag", "x\u{e0041}"),
    ("emoji", "\u{1f468}\u{200d}\u{1f469}"),
    ("noncharacter", "x\u{ffff}"),
];

/// Files that are collected.
#[derive(Default)]
struct Files(Vec<(String, String)>);

impl Files {
    fn add(&mut self, name: &str, text: String) {
        self.0.push((name.to_owned(), text));
    }
}

/// All of them, with their names.
pub(super) fn files() -> Vec<(String, String)> {
    let mut files = Files::default();
    let kinds: [fn(&mut Files); 9] =
        [nested, long, recursive, named, ended, judged, calling, constant, headed_and_tested];
    kinds.into_iter().for_each(|kind| kind(&mut files));
    files.0
}

/// The same again and again.
fn nested(files: &mut Files) {
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
        files.add(&format!("{text} x{times}"), body(&text.repeat(times)));
        files.add(&format!("{text} in bounds"), body(&text.repeat(8_000 / text.len())));
        files.add(&format!("bare {text}"), text.repeat(times));
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
        files.add(&format!("1{link} chained"), body(&format!("1{};", link.repeat(7_500 / link.len()))));
        files.add(
            &format!("member{link} chained"),
            body(&format!("member{};", link.repeat(7_500 / link.len()))),
        );
        files.add(
            &format!("true{link} condition"),
            format!("rule \"a\" on visit when true{} {{ }}", link.repeat(7_000 / link.len())),
        );
    }
}

/// Long ones.
fn long(files: &mut Files) {
    files.add("else if", body(&format!("if true {{ }} {}", "else if true { }".repeat(450))));
    files.add(
        "arms",
        body(&format!("switch 1 {{ {} }}", (0..700).map(|n| format!("{n} => 1,")).collect::<String>())),
    );
    files.add(
        "range arms",
        body(&format!("switch 1 {{ {} }}", (0..500).map(|n| format!("{n}..9 => 1,")).collect::<String>())),
    );
    files.add("functions", (0..5_000).map(|n| format!("fn f{n}() {{ }}\n")).collect());
    files.add("constants", (0..299).map(|n| format!("const C{n} = {n};\n")).collect());
    files.add("bad constants", (0..299).map(|n| format!("const C{n} = C{};\n", n + 1)).collect());
    files.add(
        "rules",
        (0..299)
            .map(|n| format!("rule \"r{n}\" on visit {{ for i in 0..99999 {{ }} }}\n"))
            .take(20)
            .collect(),
    );
    files.add("arguments", body(&format!("award({});", "1,".repeat(3_500))));
    files.add("variables", body(&(0..500).map(|n| format!("let v{n} = {n};")).collect::<String>()));
    files.add("elements", body(&format!("let a = [{}];", "1,".repeat(3_500))));
    files.add(
        "properties",
        body(&format!("let m = #{{ {} }};", (0..700).map(|n| format!("k{n}:1,")).collect::<String>())),
    );
    files.add("long text", body(&format!("award(1, \"{}\");", "x".repeat(7_000))));
    files.add("long name", format!("rule \"{}\" on visit {{ }}", "x".repeat(7_000)));
    files.add("long word", body(&format!("{} = 1;", "x".repeat(7_000))));
    files.add("long number", body(&format!("award({});", "9".repeat(7_000))));
    files.add("long decimal", body(&format!("award(0.{});", "9".repeat(7_000))));
    files.add("5 MB", "x".repeat(5 << 20));
    files.add("bom in the middle", body("\u{feff}award(1);"));
    files.add("nul", body("\0"));
    files.add("right to left", body("let \u{202e}x = 1;"));
    files.add("zero width", body("awa\u{200b}rd(1);"));
    files.add("greek question mark", body("award(1)\u{37e}"));
    files.add("emoji", body("award(1, \"🍜\");"));
    files.add("combining", body("let e\u{301} = 1;"));
}

/// Functions without end, names of the language, constants and tests that run away.
fn recursive(files: &mut Files) {
    files.add("f f", format!("fn f() {{ f() }}\n{}", body("f();")));
    files.add("f g", format!("fn f() {{ g() }}\nfn g() {{ f() }}\n{}", body("f();")));
    files.add("f twice", format!("fn f(n) {{ f(n + 1) + f(n + 1) }}\n{}", body("f(0);")));
    files.add("deep f", format!("fn f(n) {{ [[[[[[[[f(n + 1)]]]]]]]] }}\n{}", body("f(0);")));
    files.add(
        "deeper f",
        format!(
            "fn f(n) {{ 1 + (2 + (3 + (4 + (5 + f(n + 1))))) }}\n{}",
            body("[[[[[[[[[[[[f(0)]]]]]]]]]]]];")
        ),
    );
    files.add(
        "if f",
        format!(
            "fn f(n) {{ if true {{ if true {{ if true {{ if true {{ f(n) }} }} }} }} }}\n{}",
            body("f(0);")
        ),
    );
    files.add(
        "for f",
        format!("fn f(n) {{ for i in 0..2 {{ for j in 0..2 {{ f(n) }} }} }}\n{}", body("f(0);")),
    );
    files.add("interpolated f", format!("fn f(n) {{ `${{`${{`${{f(n)}}`}}`}}` }}\n{}", body("f(0);")));
    files.add("operators", "fn +(a, b) { 5 }".to_owned());
    files.add("method of a type", "fn string.len() { 99 }".to_owned());
    files.add("shadowed member", format!("fn member() {{ 5 }}\n{}", body("award(member());")));
    files.add("shadowed award", format!("fn award(x) {{ }}\n{}", body("award(1);")));
    files.add("shadowed variable", format!("const member = 5;\n{}", body("award(member);")));
    files.add("hot constant", "const X = loop { };".to_owned());
    files.add("growing constant", "const X = { let s = \"x\"; for i in 0..99 { s += s; } s };".to_owned());
    files.add("endless constant", "const X = { for i in 0..9999999999 { } 5 };".to_owned());
    files.add("constant that awards", "const X = award(5);".to_owned());
    files.add("endless test", "test \"t\" { for i in 0..999999999 { } }".to_owned());
    files.add("sending test", "test \"t\" { for i in 0..999999999 { send(\"visit\"); } }".to_owned());
    files.add(
        "test with odd data",
        "test \"t\" { send(\"order.completed\", #{ total: #{ a: [()] } }); }".to_owned(),
    );
    files.add("condition that awards", "rule \"a\" on visit when award(5) == () { }".to_owned());
    files.add(
        "condition that loops",
        "rule \"a\" on visit when { for i in 0..999999999 { } true } { award(1); }".to_owned(),
    );
    files.add("priority", "rule \"a\" on visit priority 99999999999999999999 { }".to_owned());
    files.add("event", format!("rule \"a\" on {} {{ }}", "visit.".repeat(1_000)));
}

/// Names that are not what they seem.
fn named(files: &mut Files) {
    for (name, text) in NAMES {
        files.add(&format!("{name} as a name"), format!("rule \"{text}\" on visit {{ award(1); }}"));
        files.add(&format!("{name} as a word"), body(&format!("let {text} = 1; award(0 - 1);")));
        files.add(&format!("{name} as a constant"), format!("const X{text} = 1;"));
        files.add(&format!("{name} as an event"), format!("rule \"a\" on visit{text} {{ }}"));
        files.add(&format!("{name} before everything"), format!("{text}{}", body("award(1);")));
        files.add(&format!("{name} behind everything"), format!("{}{text}", body("award(1);")));
    }
}

/// Lines that end otherwise.
fn ended(files: &mut Files) {
    for ending in ["\r\n", "\r", "\n\r", "\u{2028}", "\u{85}", "\u{b}", "\u{c}"] {
        let text = ["rule \"a\" on visit", "when true", "{", "award(1);", "}", ""].join(ending);
        files.add(&format!("lines that end with {ending:?}"), text.clone());
        files.add(&format!("a mark, and lines that end with {ending:?}"), format!("\u{feff}{text}"));
    }
    files.add("two marks", format!("\u{feff}\u{feff}{}", body("award(1);")));
}

/// Segments and triggers.
fn judged(files: &mut Files) {
    for (name, text) in [
        ("a segment of itself", "segment \"s\" compound when member.in_segment(\"s\");".to_owned()),
        ("segments in a circle", (0..30).map(|n| {
            format!("segment \"s{n}\" compound when member.in_segment(\"s{}\");\n", (n + 1) % 30)
        }).collect()),
        ("segments that all ask for all", (0..30).map(|n| {
            let all: Vec<_> = (0..n).map(|m| format!("member.in_segment(\"s{m}\")")).collect();
            format!("segment \"s{n}\" compound when {} or true;\n", [&all[..], &["false".to_owned()]].concat().join(" or "))
        }).collect()),
        ("too many segments", (0..299).map(|n| format!("segment \"s{n}\" when member.points > {n};\n")).collect()),
        ("a segment that loops", "segment \"s\" when { for i in 0..999999999 { } true };".to_owned()),
        ("a segment that awards", "fn f() { award(5); true }\nsegment \"s\" when f();".to_owned()),
        ("a segment that asks itself through functions", "fn f() { g() }\nfn g() { f() }\nsegment \"s\" when f();".to_owned()),
        ("a trigger that loops", "rule \"a\" on visit { award(1); }\ntrigger \"t\" on points.earned { for i in 0..999999999 { } }".to_owned()),
        ("a trigger that forwards without end", "rule \"a\" on visit { award(1); }\ntrigger \"t\" on points.earned { for i in 0..9999 { forward(\"crm\"); } }".to_owned()),
        ("triggers that all fail", (0..99).map(|n| format!("trigger \"t{n}\" on visit.recorded {{ let x = 0; 5 / x; }}\n")).collect()),
    ] {
        files.add(name, text);
    }
}

/// Functions: who calls whom.
fn calling(files: &mut Files) {
    let calls = |callees: &dyn Fn(usize) -> String| -> String {
        let functions = (0..290).map(|n| format!("fn f{n}() {{ {} }}\n", callees(n)));
        functions.chain([body("f0();")]).collect()
    };
    files.add("functions in a row", calls(&|n| format!("f{}();", n + 1)));
    files.add("functions in a circle", calls(&|n| format!("f{}();", (n + 1) % 290)));
    files.add("functions that call two", calls(&|n| format!("f{}(); f{}();", (n + 1) % 290, (n + 2) % 290)));
    files.add(
        "functions that call many",
        calls(&|n| (0..20).map(|m| format!("f{}();", (n * 7 + m * 13) % 290)).collect()),
    );
    files.add(
        "functions that award at the end",
        calls(&|n| if n == 289 { "award(1);".to_owned() } else { format!("f{}();", n + 1) }),
    );
    let parameters = (0..1_000).map(|n| format!("p{n},")).collect::<String>();
    files.add(
        "a thousand parameters",
        format!("fn f({parameters}) {{ 1 }}\n{}", body(&format!("let a = [1]; f({});", "a,".repeat(1_000)))),
    );
    files.add("a parameter twice", "fn f(a, a) { a }".to_owned());
    files.add(
        "a parameter called like a keyword",
        format!("fn f(rule, this) {{ rule }}\n{}", body("f(1, 2);")),
    );
    files.add("a function in a function", "fn f() { fn g() { award(1); } g() }".to_owned());
    files.add(
        "a function of a function",
        format!("fn f(n) {{ n }}\n{}", body(&format!("let x = {}1{};", "f(".repeat(25), ")".repeat(25)))),
    );
    files.add("ackermann", format!("fn a(m, n) {{ if m == 0 {{ return n + 1; }} if n == 0 {{ return a(m - 1, 1); }} a(m - 1, a(m, n - 1)) }}\n{}", body("award(a(4, 4));")));
    files.add(
        "fibonacci",
        format!(
            "fn f(n) {{ if n < 2 {{ return n; }} f(n - 1) + f(n - 2) }}\n{}",
            body("award(f(5) + f(5) + f(99));")
        ),
    );
    files.add(
        "growing in a function",
        format!(
            "fn f(s) {{ s + s + s + s }}\n{}",
            body("let s = \"xxxxxxxxxxxxxxxx\"; for i in 0..99 { s = f(s); }")
        ),
    );
    files.add(
        "lists through functions",
        format!("fn f(a) {{ [a, a, a, a] }}\n{}", body("let a = [1]; for i in 0..99 { a = f(a); }")),
    );
    for word in [
        "len",
        "contains",
        "min",
        "floor",
        "send",
        "forward",
        "mark",
        "days",
        "total",
        "member",
        "to_upper",
        "+",
        "==",
        "[]",
        "get$points",
        "print",
        "eval",
        "Fn",
        "call",
        "this",
    ] {
        files.add(
            &format!("a function called {word}"),
            format!("fn {word}(x) {{ x }}\n{}", body("award(\"abc\".len, \"x\"); award(0 - 1);")),
        );
        files.add(
            &format!("a constant called {word}"),
            format!("const {word} = 5;\n{}", body("award(0 - member.points - 1);")),
        );
    }
}

/// Constants: what one piece may make of another.
fn constant(files: &mut Files) {
    files.add(
        "constants that double",
        (0..99)
            .map(|n| match n {
                0 => "const C0 = \"xxxxxxxx\";\n".to_owned(),
                n => format!("const C{n} = C{0} + C{0};\n", n - 1),
            })
            .collect(),
    );
    files.add(
        "lists of constants that double",
        (0..99)
            .map(|n| match n {
                0 => "const C0 = [1];\n".to_owned(),
                n => format!("const C{n} = [C{0}, C{0}];\n", n - 1),
            })
            .collect(),
    );
    files.add(
        "constants that are one list",
        format!(
            "const C = [{}];\n{}",
            "1,".repeat(490),
            (0..290).map(|n| format!("const D{n} = C;\n")).collect::<String>()
        ),
    );
    files.add("a constant of itself", "const X = X;".to_owned());
    files.add("a constant of a function", "fn f() { for i in 0..9999999 { } 5 }\nconst X = f();".to_owned());
    files.add("a constant with an effect inside", "const X = if true { award(5) } else { 1 };".to_owned());
    files.add("a constant that is a map", "const X = #{ a: 1 };".to_owned());
    files.add("a constant that returns", "const X = return 5;".to_owned());
    files.add("a constant with a variable", "const X = { let y = 5; y };".to_owned());
    files.add(
        "a constant that interpolates",
        format!("const A = \"{}\";\nconst B = `${{A}}${{A}}${{A}}`;", "x".repeat(1_900)),
    );
    files.add("deep constant", format!("const X = {}1{};", "[".repeat(500), "]".repeat(500)));
    files.add("wide constant", format!("const X = {}1;", "1 + ".repeat(1_900)));
}

/// Heads, blanks and tests.
fn headed_and_tested(files: &mut Files) {
    files
        .add("priority that is negative", "rule \"a\" on visit priority -9223372036854775808 { }".to_owned());
    files.add("priority that is a decimal", "rule \"a\" on visit priority 1.5 { }".to_owned());
    files.add("priority without end", format!("rule \"a\" on visit {} {{ }}", "priority 1 ".repeat(500)));
    files.add("conditions without end", format!("rule \"a\" on visit {} {{ }}", "when true ".repeat(500)));
    files.add("names without end", format!("rule {} on visit {{ }}", "\"a\" ".repeat(500)));
    files.add("keywords", "rule trigger segment test fn const ".repeat(1_000));
    files.add("keywords on lines", "rule\ntrigger\nsegment\ntest\nfn\nconst\n".repeat(40));
    files.add("rules in a rule", format!("{}{}", "rule \"a\" on visit { ".repeat(300), "}".repeat(300)));
    files.add(
        "rules without braces",
        (0..290).map(|n| format!("rule \"r{n}\" on visit {{ award(\n")).collect(),
    );
    files.add("braces", "}".repeat(60_000));
    files.add("braces both ways", "}{".repeat(30_000));
    files.add(
        "a condition that is a block",
        "rule \"a\" on visit when { { { true } } } { award(0); }".to_owned(),
    );
    files.add("a condition that returns", "rule \"a\" on visit when return true { award(0); }".to_owned());
    files.add("a condition with a rule", "rule \"a\" on visit when rule \"b\" on visit { } { }".to_owned());
    files.add("a condition that is a text", "rule \"a\" on visit when `${member.points}` { }".to_owned());
    files.add(
        "contradictions",
        format!(
            "rule \"a\" on visit when {} true {{ }}",
            (0..300).map(|n| format!("member.points > {n} and ")).collect::<String>()
        ),
    );
    files.add(
        "contradictions of texts",
        format!(
            "rule \"a\" on visit when {} true {{ }}",
            (0..250).map(|n| format!("member.tier == \"{n}\" and ")).collect::<String>()
        ),
    );
    files.add("empty lines", "\n".repeat(4_990) + body("award(1);").as_str());
    files.add("spaces", " ".repeat(60_000) + body("award(1);").as_str());
    files.add("a wide line", format!("const A = 1;{}{}", " ".repeat(64_000), body("award(-1);")));
    files.add("tabs", "\t".repeat(60_000));
    files.add("slashes", "/".repeat(60_000));
    files.add("comment after comment", "// x\n".repeat(4_900) + body("award(-1);").as_str());
    files.add("block comments in each other", format!("{}{}", "/* ".repeat(9_000), "*/ ".repeat(9_000)));
    files.add("block comments too many closed", format!("/* {} {}", "*/ ".repeat(5_000), body("award(1);")));
    files.add("a test that calls itself", "fn f() { send(\"visit\"); f() }\ntest \"t\" { f(); }".to_owned());
    files.add("a test that goes back in time", "test \"t\" { at(\"9999-12-31 23:59\"); send(\"visit\"); at(\"0001-01-01 00:00\"); send(\"visit\"); }".to_owned());
    files.add("a test at no time", "test \"t\" { at(\"2026-02-30 25:61\"); }".to_owned());
    files.add(
        "a test in the hour that is not",
        "test \"t\" { at(\"2026-03-08 02:30\"); send(\"visit\"); expect points() == 5; }".to_owned(),
    );
    files.add(
        "a test with a long past",
        format!(
            "test \"t\" {{ given_member(#{{ visits: [{}] }}); send(\"visit\"); expect points() == 5; }}",
            "\"2026-01-01\",".repeat(480)
        ),
    );
    files.add("a test with many points", "test \"t\" { given_member(#{ points: 9223372036854775807 }); send(\"visit\"); expect points() == 5; }".to_owned());
    files.add(
        "a test with a deep order",
        format!(
            "test \"t\" {{ send(\"order.completed\", #{{ total: 1, items: {}{} }}); }}",
            "[".repeat(15),
            "]".repeat(15)
        ),
    );
    files.add("a test with a huge total", "test \"t\" { send(\"order.completed\", #{ total: 79228162514264337593543950335.0 }); expect points() == 5; }".to_owned());
    files.add(
        "a test that expects a loop",
        "test \"t\" { expect { for i in 0..999999999 { } true }; }".to_owned(),
    );
    files.add(
        "a test that explains without end",
        format!("test \"t\" {{ expect {} points() == 5; }}", "true && ".repeat(300)),
    );
}
