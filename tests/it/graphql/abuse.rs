//! What people send who mean no good: each is refused, none costs much, and the engine goes on.

use std::time::{Duration, Instant};

use awc::http::Method;
use serde_json::{Value, json};

use super::rights::key;
use super::{JSON, RESPONSES, ask, ask_as, code, data, send, send_for_status};
use crate::support::{Backend, TestApp};

/// What one request may cost, on a slow machine that builds something else meanwhile.
const SOON: Duration = Duration::from_secs(5);
/// What one answer may weigh, in bytes.
const SMALL: usize = 1 << 20;

/// Queries that are too much or mean nothing, and what is said of them.
fn hostile() -> Vec<(&'static str, String, &'static str)> {
    let nested = |open: &str, n: usize, close: &str| format!("{}{}{}", open.repeat(n), "a", close.repeat(n));
    let many = |n: usize, item: &dyn Fn(usize) -> String| (0..n).map(item).collect::<Vec<_>>().join(" ");
    let members = "members(chainId: \"harvest\", first: 100)";
    vec![
        ("deep fields", nested("{ a ", 5_000, " }"), "too many brackets"),
        ("deep, and not too deep for the parser", nested("{ a ", 30, " }"), "too many levels"),
        ("deep lists", format!("{{ a(x: {}) }}", "[".repeat(30_000)), "too many brackets"),
        ("deep objects", format!("{{ a(x: {}1{}) }}", "{a:".repeat(9_000), "}".repeat(9_000)), "too many brackets"),
        ("deep types", format!("query($a: {}Int) {{ a }}", "[".repeat(30_000)), "too many brackets"),
        ("brackets in a text that does not end", format!("{{ a(x: \"{}", "[".repeat(30_000)), "expected"),
        ("thousands of aliases", format!("{{ {} }}", many(3_500, &|n| format!("a{n}:__typename"))), "too many words"),
        ("fewer aliases", format!("{{ {} }}", many(100, &|n| format!("a{n}: __typename"))), "too many aliases"),
        ("one field a thousand times", format!("{{ {} }}", many(1_500, &|_| "__typename".to_owned())), "too many fields"),
        ("directives", format!("{{ __typename {} }}", many(1_000, &|_| "@include(if: true)".to_owned())), "too many"),
        ("unknown directives", format!("{{ __typename {} }}", many(40, &|n| format!("@d{n}"))), "too many directives"),
        ("a fragment that spreads itself", "{ ...A } fragment A on Query { ...A }".to_owned(), "spreads itself"),
        (
            "fragments that spread each other",
            "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }".to_owned(),
            "spreads itself",
        ),
        (
            "fragments that double",
            format!(
                "{{ ...F0 }} {} fragment F40 on Query {{ __typename }}",
                many(40, &|n| format!("fragment F{n} on Query {{ ...F{0} ...F{0} }}", n + 1))
            ),
            "too many",
        ),
        (
            "operations that double",
            format!(
                "{} fragment F20 on Query {{ __typename }} {}",
                many(20, &|n| format!("fragment F{n} on Query {{ ...F{0} ...F{0} }}", n + 1)),
                many(20, &|n| format!("query Q{n} {{ ...F0 }}"))
            ),
            "too many",
        ),
        (
            "lists within lists",
            format!("{{ {members} {{ nodes {{ ledger(first: 100) {{ nodes {{ id amount }} }} }} }} }}"),
            "too complex",
        ),
        (
            "the schema round and round",
            format!("{{ __schema {{ types {{ {} name {} }} }} }}", "fields { type { ".repeat(8), "} } ".repeat(8)),
            "too many",
        ),
        ("a huge page", "{ members(chainId: \"harvest\", first: 2147483647) { nodes { id } } }".to_owned(), "`first`"),
        ("a page beyond numbers", "{ members(chainId: \"harvest\", first: 99999999999) { nodes { id } } }".to_owned(), ""),
        ("a page below nothing", "{ members(chainId: \"harvest\", first: -1) { nodes { id } } }".to_owned(), "`first`"),
        ("a wrong type", "{ members(chainId: 7) { nodes { id } } }".to_owned(), ""),
        ("nothing where something must be", "{ members { nodes { id } } }".to_owned(), ""),
        ("a field that is none", "{ members(chainId: \"harvest\") { nodes { secret } } }".to_owned(), "secret"),
        ("an argument that is none", "{ members(chainId: \"harvest\", limit: 1) { nodes { id } } }".to_owned(), "limit"),
        ("an object without fields", "{ members(chainId: \"harvest\") }".to_owned(), ""),
        (
            "a field of a text",
            "{ members(chainId: \"harvest\") { nodes { id { a } } } }".to_owned(),
            "",
        ),
        ("no query", String::new(), ""),
        ("a comment", "# nothing".to_owned(), ""),
        ("NUL", "{ \0 }".to_owned(), ""),
        ("not the language", "SELECT * FROM members".to_owned(), ""),
        ("two operations and no name", "query A { __typename } query B { __typename }".to_owned(), "peration"),
        ("a subscription", "subscription { a }".to_owned(), ""),
        ("a schema", "type Query { a: Int }".to_owned(), ""),
        ("an event that is none", "mutation { registerWebhook(input: { chainId: \"harvest\", url: \"https://e.com/\", events: [NOTHING] }) { url } }".to_owned(), ""),
        ("an object without what it needs", "mutation { registerWebhook(input: { url: \"https://e.com/\" }) { url } }".to_owned(), ""),
        ("a chain with a NUL", "{ members(chainId: \"a\\u0000b\") { nodes { id } } }".to_owned(), "no such chain"),
        ("a long name", format!("{{ member(chainId: \"{}\", id: \"a\") {{ id }} }}", "a".repeat(60_000)), "no such chain"),
    ]
}

#[actix_web::test]
async fn each_hostile_query_is_refused_soon_and_briefly() {
    let app = TestApp::start(Backend::Sqlite).await;
    for (what, query, says) in hostile() {
        let begun = Instant::now();
        let body = json!({ "query": query }).to_string();
        let reply = send(&app, &[JSON], body.clone()).await;
        assert!(begun.elapsed() < SOON, "{what} took {:?}", begun.elapsed());
        assert!(reply.text.len() < SMALL, "{what} was answered with {} bytes", reply.text.len());
        assert_eq!(reply.status, 200, "{what}: {}", reply.text);
        assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
        let answer = reply.json();
        assert!(!code(&answer).is_empty() && code(&answer) != "unavailable", "{what}: {answer}");
        let message = answer["errors"][0]["message"].as_str().unwrap_or_default();
        assert!(message.contains(says), "{what}: {message}");
        // The same to who wants to know it by the status.
        let (status, content_type, answer) = send_for_status(&app, &body).await;
        let expected = if answer.get("data").is_some() { 200..201 } else { 400..500 };
        assert!(expected.contains(&status), "{what}: {status} {answer}");
        assert_eq!(content_type, RESPONSES, "{what}");
    }
    data(&ask(&app, "{ __typename }", json!({})).await);
    app.stop().await;
}

#[actix_web::test]
async fn what_is_no_request_is_answered_with_a_problem() {
    let app = TestApp::start(Backend::Sqlite).await;
    let good = r#"{"query":"{ __typename }"}"#;
    let padded = format!(r#"{{"query":"{{ __typename }}","variables":{{"a":"{}"}}}}"#, "a".repeat(70_000));
    let deep = format!(
        r#"{{"query":"{{ __typename }}","variables":{{"a":{}{}}}}}"#,
        "[".repeat(30_000),
        "]".repeat(30_000)
    );
    let batch = format!("[{}]", vec![good; 100].join(","));
    for (what, headers, body, status, code) in [
        ("nothing", &[JSON][..], Vec::new(), 400, "not_json"),
        ("no JSON", &[JSON], b"{".to_vec(), 400, "not_json"),
        ("bad UTF-8", &[JSON], b"{\"query\":\"{ \xff }\"}".to_vec(), 400, "not_json"),
        ("half a surrogate", &[JSON], br#"{"query":"\ud800"}"#.to_vec(), 400, "invalid_query"),
        ("a batch", &[JSON], batch.into_bytes(), 400, "invalid_query"),
        ("no query", &[JSON], b"{}".to_vec(), 400, "invalid_query"),
        ("a query of the wrong type", &[JSON], br#"{"query":7}"#.to_vec(), 400, "invalid_query"),
        ("an unknown field", &[JSON], br#"{"query":"{a}","id":1}"#.to_vec(), 400, "invalid_query"),
        ("too much", &[JSON], padded.into_bytes(), 413, "too_large"),
        ("variables that are too deep", &[JSON], deep.into_bytes(), 400, "invalid_query"),
        (
            "a form",
            &[("content-type", "application/x-www-form-urlencoded")],
            b"query=%7Ba%7D".to_vec(),
            415,
            "unsupported_media_type",
        ),
        ("text", &[("content-type", "text/plain")], good.into(), 415, "unsupported_media_type"),
        (
            "another language",
            &[("content-type", "application/graphql")],
            b"{ a }".to_vec(),
            415,
            "unsupported_media_type",
        ),
        (
            "files",
            &[("content-type", "multipart/form-data; boundary=x")],
            b"--x--".to_vec(),
            415,
            "unsupported_media_type",
        ),
        ("no type", &[], good.into(), 415, "unsupported_media_type"),
        ("a bad key", &[JSON, ("authorization", "Bearer nobody")], good.into(), 401, "unauthorized"),
        ("no key", &[JSON, ("authorization", "")], good.into(), 401, "unauthorized"),
    ] {
        let reply = send(&app, headers, body).await;
        assert_eq!(reply.status, status, "{what}: {}", reply.text);
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{what}");
        assert_eq!(reply.json()["code"], code, "{what}");
    }
    let charset = [("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(send(&app, &charset, good).await.expect(200), json!({ "data": { "__typename": "Query" } }));
    // Nothing is asked or changed by a link.
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let reply = app.request(method.clone(), "/graphql?query=%7B__typename%7D", &[], Vec::new()).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")), "{method}");
    }
    app.stop().await;
}

#[actix_web::test]
async fn large_and_strange_variables_are_taken_or_refused() {
    let app = TestApp::start(Backend::Sqlite).await;
    let query = "query($a: String!) { member(chainId: \"harvest\", id: $a) { id } }";
    for (what, variables, refused) in [
        ("a long text", json!({ "a": "a".repeat(60_000) }), false),
        ("a NUL", json!({ "a": "\0" }), false),
        ("more than asked for", json!({ "a": "a", "b": vec![1; 10_000] }), false),
        ("nothing", json!({}), true),
        ("null", json!({ "a": null }), true),
        ("a number", json!({ "a": 7 }), true),
        ("a list", json!({ "a": vec!["a"; 5_000] }), true),
        ("an object", json!({ "a": { "a": "a" } }), true),
    ] {
        let begun = Instant::now();
        let answer = ask(&app, query, variables).await;
        assert!(begun.elapsed() < SOON, "{what}");
        assert_eq!(code(&answer), if refused { "invalid_query" } else { "" }, "{what}: {answer}");
    }
    let register = "mutation($e: [WebhookEvent!]!, $h: [HeaderInput!]) { registerWebhook(input: {
        chainId: \"harvest\", url: \"https://hooks.example.com/\", events: $e, headers: $h }) { events } }";
    let header = |n: usize| json!({ "name": format!("x-{n}"), "value": "1" });
    for (what, variables, expected) in [
        ("the same a thousand times", json!({ "e": vec!["ORDER_COMPLETED"; 1_000] }), "invalid_field"),
        ("no event", json!({ "e": [] }), "invalid_field"),
        ("one for a list", json!({ "e": "ORDER_COMPLETED" }), ""),
        (
            "many headers",
            json!({ "e": ["ORDER_COMPLETED"], "h": (0..900).map(header).collect::<Vec<_>>() }),
            "invalid_field",
        ),
        ("a header twice", json!({ "e": ["ORDER_COMPLETED"], "h": [header(1), header(1)] }), "invalid_field"),
        (
            "a header of ours",
            json!({ "e": ["ORDER_COMPLETED"], "h": [{ "name": "host", "value": "x" }] }),
            "invalid_field",
        ),
        (
            "a header within a header",
            json!({ "e": ["ORDER_COMPLETED"], "h": [{ "name": "x", "value": "a\r\nb: c" }] }),
            "invalid_field",
        ),
    ] {
        let answer = ask(&app, register, variables).await;
        assert_eq!(code(&answer), expected, "{what}: {answer}");
    }
    app.stop().await;
}

#[actix_web::test]
async fn what_fails_in_a_part_is_null_and_leaves_the_rest() {
    let app = TestApp::start(Backend::Sqlite).await;
    let body =
        json!({ "query": "{ __typename member(chainId: \"nobodys\", id: \"a\") { id } }" }).to_string();
    let (status, _, apart) = send_for_status(&app, &body).await;
    assert_eq!(status, 200);
    for answer in [send(&app, &[JSON], body).await.expect(200), apart] {
        assert_eq!(answer["data"], json!({ "__typename": "Query", "member": null }));
        assert_eq!(code(&answer), "not_found");
        assert_eq!(answer["errors"][0]["path"], json!(["member"]));
    }
    let unknown = json!({ "query": "{ chain(chainId: \"nobodys\") { id } }" }).to_string();
    let (status, _, answer) = send_for_status(&app, &unknown).await;
    let said = &answer["errors"][0]["extensions"]["status"];
    assert_eq!((status, answer.get("data"), said), (200, Some(&Value::Null), &json!(404)));
    // A ledger is never null: whoever may see the member and not the ledger is shown neither.
    app.post("/v1/chains/harvest/members", &json!({ "id": "m-42" })).await.expect(201);
    let till = key(&app, "ingest", Some("harvest")).await;
    let of_member = "{ member(chainId: \"harvest\", id: \"m-42\") { points ledger { nodes { amount } } } }";
    let answer = ask_as(&app, &till, of_member, json!({})).await;
    assert_eq!((code(&answer), &answer["data"]), ("forbidden", &json!({ "member": null })));
    assert_eq!(answer["errors"][0]["path"], json!(["member", "ledger"]));
    app.stop().await;
}

#[actix_web::test]
async fn the_page_to_write_queries_on_is_there_if_it_is_wanted() {
    let app = TestApp::start(Backend::Sqlite).await;
    assert_eq!(app.get("/graphiql").await.status, 404);
    app.stop().await;
    let app = TestApp::start_with(Backend::Sqlite, |config| config.graphiql = true).await;
    let page = app.get("/graphiql").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.text.contains("'/graphql'") && !page.text.contains("integrity=\"\""));
    assert!(page.header("content-security-policy").is_some_and(|said| said.contains("default-src 'none'")));
    app.stop().await;
}
