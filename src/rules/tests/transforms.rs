//! Transforms: what they make of a message, what they cannot do, and what is refused before it is taken.

use super::*;
use crate::domain::endpoint::{EventPattern, Script};
use crate::rules::diagnostic::Diagnostic;
use crate::rules::transform::{Transform, TransformProblem};

/// With numbers as nobody would write them, and a text that is too long to work with.
fn message() -> String {
    let long = "x".repeat(3_000);
    format!(
        r#"{{"id":"evt_1","type":"order.completed","member":{{"id":"m-1","email":null}},"data":{{"order_id":"o-7","total":24.50,"tax":2.00,"points":24,"rate":1e2,"far":0.1234567890123456789012345678901234567890,"items":[{{"sku":"latte","price":4.50,"quantity":1.000}},{{"sku":"cake","price":3.20,"quantity":2}}],"note":"a \"b\" 🍜","long":"{long}"}}}}"#
    )
}

fn compile(text: &str) -> Result<Transform, Diagnostic> {
    Transform::compile(&Script::try_from(text.to_owned()).unwrap())
}

fn made(text: &str) -> Result<String, String> {
    let transform = compile(text).map_err(|problem| problem.to_string())?;
    transform.apply(&message()).map_err(|problem| problem.to_string())
}

#[test]
fn what_a_transform_makes_is_exact_and_in_the_order_of_names() {
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(3_000));
    for (text, json) in [
        ("#{ total: body.data.total, order: body.data.order_id }", r#"{"order":"o-7","total":24.50}"#),
        ("#{ a: body.data.tax, b: body.data.points, c: body.data.rate }", r#"{"a":2.00,"b":24,"c":1e2}"#),
        ("#{ a: body.data.far }", r#"{"a":0.1234567890123456789012345678901234567890}"#),
        ("#{ a: body.data.long }", &*long),
        ("#{ a: body.data.total * 2, b: body.data.points / 10.0 }", r#"{"a":49.00,"b":2.4}"#),
        (
            "#{ a: body.data.items[1], b: body.data.items[2] }",
            r#"{"a":{"sku":"cake","price":3.20,"quantity":2},"b":null}"#,
        ),
        ("body.member", r#"{"id":"m-1","email":null}"#),
        (
            "#{ a: body.member?.email ?? \"none\", b: body.guest?.email, c: body.member.contains(\"id\") }",
            r#"{"a":"none","b":null,"c":true}"#,
        ),
        (
            "#{ a: `${body.id}: ${body.data.total}`, b: body.data.total.to_string() }",
            r#"{"a":"evt_1: 24.50","b":"24.50"}"#,
        ),
        ("#{ a: body.data.note, \"b c\": [1, true, ()] }", r#"{"a":"a \"b\" 🍜","b c":[1,true,null]}"#),
        ("if body.data.total > 50 { return #{ big: true }; } #{ big: false }", r#"{"big":false}"#),
        (
            "let m = body.member.to_map(); m.remove(\"email\"); m.source = \"punchcard\"; m",
            r#"{"id":"m-1","source":"punchcard"}"#,
        ),
        (
            "let lines = []; for item in body.data.items { lines.push(#{ sku: item.sku, total: item.price * item.quantity }); } #{ lines: lines, n: body.data.items.len }",
            r#"{"lines":[{"sku":"latte","total":4.50000},{"sku":"cake","total":6.40}],"n":2}"#,
        ),
        ("switch body.type { \"order.completed\" => #{ a: 1 }, _ => #{} }", r#"{"a":1}"#),
    ] {
        assert_eq!(made(text).as_deref(), Ok(json), "{text}");
        assert_eq!(made(text), made(text));
    }
    assert_eq!(made("body").as_deref(), Ok(&*message()), "the whole of it, to the byte");
}

#[test]
fn what_goes_wrong_is_told_with_its_place() {
    let mut wrong = Vec::new();
    for (text, said) in [
        ("#{ a: body.data.total", "transform:1:"),
        ("#{\n  a: bdy.id\n}", "transform:2:6: "),
        ("fn f() { 1 }\n#{}", "transform:1:1: "),
        ("import \"x\"; #{}", "transform:1:1: "),
        ("#{ a: body.guest.email }", "transform:1:18: what is not there has no `email`"),
        ("#{ a: body.id * 2 }", "transform:1:15: `*` cannot be used with (a text, a number)"),
        ("#{ a: 1 / (body.data.points - 24) }", "transform:1:9: "),
        ("body.id = 5; #{}", "transform:1:"),
        ("award(1); #{}", "transform:1:1: "),
        (
            "body.data.total",
            "transform:1:1: it must end with what is to be sent, a map such as `#{ id: body.id }`, but this is a number",
        ),
        ("let a = 1;", "but this is nothing"),
        ("body.data.items", "but this is a list"),
        ("#{ a: 0..5 }", "transform:1:1: what is sent cannot hold a range"),
        ("for i in 0..99999 { }\n#{}", "transform:1:19: ran for too many steps"),
        ("let a = body.data.items; #{ a: a.push(1) }", "transform:1:34: `push` cannot be used with (a list"),
    ] {
        match made(text) {
            Err(problem) if problem.contains(said) => {}
            other => wrong.push((text, other)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_a_transform_makes_is_bounded_as_a_whole() {
    let mut wrong = Vec::new();
    // Some 3,400 bytes, so many times.
    let lists = |n: usize| format!("#{{ a: [{}] }}", vec!["body"; n].join(","));
    assert!(made(&lists(15)).unwrap().len() > 45_000);
    assert!(
        made(&lists(25)).unwrap_err().contains("what is sent is too large; at most 65536 bytes are taken")
    );
    for (text, said) in [
        ("let s = \"0123456789abcdef\"; for i in 0..20 { s += s; } #{ s: s }", "string"),
        ("let l = []; for i in 0..999 { l.push(i); } #{ l: l }", "a list has 500 elements at most"),
        ("let l = [[]]; for i in 0..999 { l[0].push(i); } #{ l: l }", "a list has 500 elements at most"),
        ("let l = []; for i in 0..400 { l.push([i]); } #{ l: l }", "array"),
        ("let m = #{}; for i in 0..40 { m = #{ m: m }; } m", "nested too deeply; 32 levels are taken"),
    ] {
        match made(text) {
            Err(problem) if problem.contains(said) => {}
            other => wrong.push((text, other)),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Values in values in values: as deep as there can be, on three quarters of the stack that a thread has.
#[test]
fn the_deepest_value_needs_less_stack_than_any_thread_has() {
    for nest in ["a = [a];", "a = #{ x: a };", "a = [#{ x: a }];", "let l = []; l.push(a); a = l;"] {
        let text = format!("let a = []; for i in 0..600 {{ {nest} }} #{{ a: a }}");
        let thread = std::thread::Builder::new().stack_size(3 << 19).spawn(move || made(&text));
        assert!(thread.unwrap().join().unwrap().is_err(), "{nest}");
    }
    let text = "let a = []; for i in 0..240 { a = [#{ x: a }]; } let b = a; #{ a: b }".to_owned();
    let thread = std::thread::Builder::new().stack_size(3 << 19).spawn(move || made(&text));
    assert!(thread.unwrap().join().unwrap().unwrap_err().contains("nested too deeply"));
}

fn check(events: &[&str], text: &str) -> Result<(), TransformProblem> {
    let mut endpoint = Endpoint::sample("https://crm.example/");
    endpoint.events = events.iter().map(|text| text.parse::<EventPattern>().unwrap()).collect();
    endpoint.settings.transform = Some(Script::try_from(text.to_owned()).unwrap());
    Transform::check(&endpoint)
}

#[test]
fn a_transform_is_tried_on_an_example_of_every_type_that_is_subscribed_to() {
    let about_member = "#{ guest: body.member.id }";
    assert_eq!(check(&["order.*", "points.*"], about_member), Ok(()));
    let refused = check(&["order.*", "menu_item.updated"], about_member).unwrap_err();
    assert_eq!(refused.kind.map(|kind| kind.as_str()), Some("menu_item.updated"));
    let said = refused.to_string();
    assert!(said.starts_with("does not check for menu_item.updated: transform:1:"), "{said}");
    assert_eq!(check(&["*"], "#{ guest: body.member?.id }"), Ok(()));
    // What only triggers forward: it must do for something.
    assert_eq!(check(&[], about_member), Ok(()));
    assert!(check(&[], "#{ a: body.data.no.such.thing }").is_err());
    assert_eq!(check(&["order.*"], "#{ a: ").unwrap_err().kind, None);
}

#[test]
fn the_transforms_on_the_page_about_them_check() {
    #[derive(serde::Deserialize)]
    struct Example {
        events: Vec<String>,
        transform: String,
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/transforms.md");
    let page = std::fs::read_to_string(page).unwrap();
    let examples: Vec<_> = page.lines().filter(|line| line.starts_with("{ \"events\"")).collect();
    assert!(examples.len() >= 5, "{examples:?}");
    for example in examples {
        let Example { events, transform } = serde_json::from_str(example).unwrap();
        let events: Vec<_> = events.iter().map(String::as_str).collect();
        assert_eq!(check(&events, &transform), Ok(()), "{example}");
    }
    let refused = check(&["menu_item.*"], "#{ guest: body.member.id }").unwrap_err();
    assert!(page.contains(&format!("> `transform`: {refused}\n")), "{refused}");
}
