//! What every test checks at its end: that all loyalty events of all chains are as the catalogue says.

use std::collections::HashMap;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::Value;

use super::TestApp;

/// Of one chain; more would say nothing more.
const MOST_EVENTS: usize = 1_000;

/// The schemas, by type of event.
static CATALOGUE: OnceLock<HashMap<String, Validator>> = OnceLock::new();

/// Reads everything that the chains told, and holds it against the schemas.
pub(super) async fn holds(app: &TestApp) {
    if CATALOGUE.get().is_none() {
        let _ = CATALOGUE.set(read(app).await);
    }
    let chains = app.get("/v1/chains").await;
    if chains.status != 200 {
        return; // a test that broke the store
    }
    for chain in chains.json()["items"].as_array().unwrap() {
        check_chain(app, chain["id"].as_str().unwrap()).await;
    }
}

async fn read(app: &TestApp) -> HashMap<String, Validator> {
    let types = app.get("/v1/event_types").await.expect(200);
    let of_type = |told: &Value| {
        let mut schema = told["schema"].clone();
        close(&mut schema);
        (told["type"].as_str().unwrap().to_owned(), jsonschema::validator_for(&schema).unwrap())
    };
    types["items"].as_array().unwrap().iter().map(of_type).collect()
}

/// Makes a mistake of every property that the schema does not describe.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.values_mut().for_each(close);
            if object.get("properties").is_some_and(Value::is_object)
                && !object.contains_key("additionalProperties")
            {
                object.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}

async fn check_chain(app: &TestApp, chain: &str) {
    let (mut cursor, mut seen) = (String::new(), 0);
    while seen < MOST_EVENTS {
        let page = app.get(&format!("/v1/chains/{chain}/events?limit=100{cursor}")).await;
        if page.status != 200 {
            return;
        }
        let page = page.json();
        for event in page["items"].as_array().unwrap() {
            check(event);
            seen += 1;
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return,
        }
    }
}

fn check(event: &Value) {
    let kind = event["type"].as_str().unwrap_or_default();
    let catalogue = CATALOGUE.get().expect("it was read");
    let schema = catalogue.get(kind).unwrap_or_else(|| panic!("the catalogue does not know {event}"));
    let wrong: Vec<_> = schema.iter_errors(event).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty(), "{kind} is not as its schema says: {wrong:?}\n{event:#}");
}
