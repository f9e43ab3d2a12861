use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

fn written() -> Value {
    serde_json::from_str(document()).unwrap()
}

/// Every operation, by method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((format!("{method} {path}"), operation));
        }
    }
    all
}

/// Whatever stands under `key`, anywhere.
fn under<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get(key));
            object.values().for_each(|inner| under(inner, key, found));
        }
        Value::Array(all) => all.iter().for_each(|inner| under(inner, key, found)),
        _ => {}
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
    let document = written();
    let mut names = BTreeSet::new();
    for (at, operation) in operations(&document) {
        let name = operation["operationId"].as_str().unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{at}: {name}");
        assert!(names.insert(name), "{at}: {name} is taken");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{at}");
        let succeeds = |status: &String| status.starts_with('2');
        assert!(operation["responses"].as_object().unwrap().keys().any(succeeds), "{at}");
    }
    assert!(names.len() > 90, "{} operations", names.len());
}

#[test]
fn every_reference_leads_somewhere() {
    let document = written();
    let mut found = Vec::new();
    under(&document, "$ref", &mut found);
    for reference in found.into_iter().filter_map(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        assert!(target.is_some(), "{reference}");
    }
}

#[test]
fn no_two_types_have_one_name() {
    let document = written();
    let numbered = |name: &&String| name.ends_with(|last: char| last.is_ascii_digit());
    let twice: Vec<_> =
        document["components"]["schemas"].as_object().unwrap().keys().filter(numbered).collect();
    assert!(twice.is_empty(), "say `#[schemars(rename = …)]` on one of each: {twice:?}");
}

#[test]
fn examples_are_as_their_schemas_say() {
    let document = written();
    let components = &document["components"];
    let mut wrong = Vec::new();
    let mut check = |at: &str, media_type: &str, content: &Value| {
        let (Some(example), true) = (content.get("example"), media_type == "application/json") else {
            return;
        };
        let mut schema = content["schema"].clone();
        schema["components"] = components.clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        wrong.extend(validator.iter_errors(example).map(|error| format!("{at}: {error}")));
    };
    for (at, operation) in operations(&document) {
        let bodies = operation["requestBody"]["content"].as_object().into_iter().flatten();
        bodies.for_each(|(media_type, content)| check(&at, media_type, content));
        for (status, response) in operation["responses"].as_object().unwrap() {
            let contents = response["content"].as_object().into_iter().flatten();
            contents.for_each(|(media_type, content)| check(&format!("{at}: {status}"), media_type, content));
        }
    }
    for (name, webhook) in document["webhooks"].as_object().unwrap() {
        check(name, "application/json", &webhook["post"]["requestBody"]["content"]["application/json"]);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn whatever_makes_something_may_be_repeated_and_what_has_a_state_is_changed_on_condition() {
    let document = written();
    let mut conditional = 0;
    for (at, operation) in operations(&document) {
        let knows = |header: &str| {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            parameters.into_iter().any(|parameter| parameter["name"] == header)
        };
        let answers = operation["responses"].as_object().unwrap();
        assert!(!answers.contains_key("201") || knows("Idempotency-Key"), "{at}");
        let is_tagged = answers.get("200").is_some_and(|answer| !answer["headers"]["ETag"].is_null());
        assert!(!(is_tagged && at.starts_with("patch ")) || knows("If-Match"), "{at}");
        assert_eq!(knows("If-Match"), answers.contains_key("412"), "{at}");
        conditional += usize::from(knows("If-Match"));
    }
    assert_eq!(conditional, 14);
}

#[test]
fn rights_roles_and_keys_are_said_of_every_operation() {
    let document = written();
    let of = |name: &str| {
        let all = operations(&document);
        let found = all.into_iter().find(|(_, operation)| operation["operationId"] == name);
        found.map(|(_, operation)| operation.clone()).unwrap()
    };
    let open = of("get_health");
    assert_eq!((&open["security"], open.get("x-punchcard-right")), (&json!([]), None));
    let till = of("send_event");
    assert_eq!(till["security"], json!([{ "key": [] }]));
    assert_eq!(till["x-punchcard-roles"], json!(["admin", "ingest"]));
    assert_eq!(till.get("x-punchcard-all-chains"), None);
    let chain = of("create_chain");
    assert_eq!(
        (&chain["x-punchcard-right"], &chain["x-punchcard-all-chains"]),
        (&json!("administer"), &json!(true))
    );
    for (at, operation) in operations(&document) {
        let needs_key = operation["security"] != json!([]);
        assert_eq!(operation["responses"].get("401").is_some(), needs_key, "{at}");
    }
}

/// Every code that any operation may answer, and those that paths and methods that are not there are answered with.
fn codes(document: &Value) -> BTreeSet<String> {
    let mut enums = Vec::new();
    under(&document["components"]["responses"], "code", &mut enums);
    let said = enums.iter().flat_map(|code| code["enum"].as_array().into_iter().flatten());
    let said = said.filter_map(Value::as_str).map(str::to_owned);
    said.chain(["method_not_allowed", "no_such_route"].map(str::to_owned)).collect()
}

#[test]
fn the_docs_say_of_every_code_what_to_do() {
    let page = include_str!("../../../docs/errors.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let advised: BTreeSet<_> = rows
        .map(|(code, rest)| {
            assert!(rest.split(" | ").nth(1).is_some_and(|advice| advice.len() > 10), "{code}: {rest}");
            code.to_owned()
        })
        .collect();
    assert_eq!(codes(&written()), advised);
}

#[test]
fn the_page_shows_every_operation_and_schema_once_and_needs_nothing_else() {
    let (document, page) = (written(), &WRITTEN.page);
    let mut anchors: Vec<_> = operations(&document)
        .into_iter()
        .map(|(_, operation)| operation["operationId"].as_str().unwrap().to_owned())
        .collect();
    anchors.extend(
        document["components"]["schemas"].as_object().unwrap().keys().map(|name| format!("schema-{name}")),
    );
    for anchor in anchors {
        assert_eq!(page.matches(&format!("id=\"{anchor}\"")).count(), 1, "{anchor}");
    }
    let links = page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next());
    for link in links.collect::<BTreeSet<_>>() {
        assert!(page.contains(&format!("id=\"{link}\"")), "{link} leads nowhere");
    }
    for forbidden in ["<script", "<link", "<img", "src=", "@import", "url(", "style=\""] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}
