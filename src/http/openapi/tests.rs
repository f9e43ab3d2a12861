use std::collections::{BTreeMap, BTreeSet};

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

/// Whatever has a schema, with the examples of it: bodies by their types, and parameters.
fn shown(document: &Value) -> Vec<(String, Value, Vec<Value>)> {
    let mut all = Vec::new();
    let mut add = |at: String, thing: &Value| {
        let several = thing["examples"].as_object().into_iter().flatten();
        let several = several.map(|(_, example)| {
            let pointer = example["$ref"].as_str().unwrap().trim_start_matches('#');
            document.pointer(pointer).unwrap()["value"].clone()
        });
        all.push((
            at,
            thing["schema"].clone(),
            thing.get("example").cloned().into_iter().chain(several).collect(),
        ));
    };
    let contents = |body: &Value| body["content"].as_object().cloned().into_iter().flatten();
    for (at, operation) in operations(document) {
        for (media_type, content) in contents(&operation["requestBody"]) {
            add(format!("{at}: {media_type}"), &content);
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            for (media_type, content) in contents(response) {
                add(format!("{at}: {status} {media_type}"), &content);
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            // What is sought by is left out of most requests.
            if parameter["in"] != "query" || parameter.get("example").is_some() {
                add(format!("{at}: {}", parameter["name"]), parameter);
            }
        }
    }
    for (name, response) in document["components"]["responses"].as_object().unwrap() {
        contents(response).for_each(|(_, content)| add(name.clone(), &content));
    }
    for (name, webhook) in document["webhooks"].as_object().unwrap() {
        contents(&webhook["post"]["requestBody"]).for_each(|(_, content)| add(name.clone(), &content));
    }
    all
}

#[test]
fn everything_has_an_example_that_is_as_its_schema_says() {
    let document = written();
    let mut wrong = Vec::new();
    for (at, mut schema, examples) in shown(&document) {
        if examples.is_empty() {
            wrong.push(format!("{at}: no example"));
        }
        schema["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors = examples.iter().flat_map(|example| validator.iter_errors(example));
        wrong.extend(errors.map(|error| format!("{at}: {error}")));
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

/// Every code that any operation may answer with its status, and what a method that is not there is answered.
fn codes(document: &Value) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::from([("method_not_allowed".to_owned(), 405)]);
    for response in document["components"]["responses"].as_object().unwrap().values() {
        let said = &response["content"]["application/problem+json"]["schema"]["properties"];
        for code in said["code"]["enum"].as_array().unwrap() {
            all.insert(code.as_str().unwrap().to_owned(), said["status"]["const"].as_u64().unwrap());
        }
    }
    all
}

#[test]
fn the_docs_say_of_every_code_what_to_do() {
    let page = include_str!("../../../docs/errors.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let advised: BTreeMap<_, _> = rows
        .map(|(code, rest)| {
            let (status, advice) = rest.split_once(" | ").unwrap();
            assert!(advice.len() > 10, "{code}: {rest}");
            (code.to_owned(), status.parse().unwrap())
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
