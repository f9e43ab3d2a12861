//! What every test checks with every answer that it gets: that the OpenAPI document says so. A status, a content type, a
//! header, a code or a property that the document does not know fails the test.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use awc::http::Method;
use jsonschema::{Draft, Registry, Validator};
use serde_json::{Value, json};

use super::app::Reply;

const URI: &str = "urn:punchcard:document";

/// The document, with schemas that know no other properties than those they describe.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document: Value = serde_json::from_str(punchcard::http::openapi::document()).unwrap();
    let components = document["components"]["schemas"].clone();
    let mut schemas = document["components"]["schemas"].take();
    schemas.as_object_mut().unwrap().values_mut().for_each(|schema| close_inside(schema, &components));
    document["components"]["schemas"] = schemas;
    document
});
static REGISTRY: LazyLock<Registry<'static>> = LazyLock::new(|| {
    let registry = Registry::new().draft(Draft::Draft202012).add(URI, &*DOCUMENT);
    registry.and_then(jsonschema::RegistryBuilder::prepare).expect("the document is one")
});
/// By where the schema stands.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Holds an answer against the document.
pub(super) fn check(method: &Method, path: &str, reply: &Reply) {
    let at = format!("{method} {path} answered {}", reply.status);
    assert!(reply.header("x-request-id").is_some(), "{at} without x-request-id");
    let Some((template, item)) = item(path.split('?').next().unwrap_or(path)) else {
        assert_eq!((reply.status, code(reply)), (404, json!("no_such_route")), "{at}: {}", reply.text);
        return;
    };
    if method == Method::OPTIONS && reply.status != 405 {
        return; // a browser asks on behalf of a page
    }
    let known = if method == Method::HEAD { "get" } else { &*method.as_str().to_lowercase() };
    let Some(operation) = item.get(known) else {
        assert_eq!((reply.status, code(reply)), (405, json!("method_not_allowed")), "{at}: {}", reply.text);
        assert!(reply.header("allow").is_some(), "{at} without allow");
        return;
    };
    let status = reply.status.to_string();
    let mut place =
        format!("/paths/{}/{known}/responses/{status}", template.replace('~', "~0").replace('/', "~1"));
    let mut response = &operation["responses"][&*status];
    assert!(!response.is_null(), "{at}, which is not documented: {}", reply.text);
    if let Some(reference) = response["$ref"].as_str() {
        place = reference.trim_start_matches('#').to_owned();
        response = DOCUMENT.pointer(&place).expect("the reference leads somewhere");
    }
    // Those of limits are there when there is a limit.
    let is_sure = |name: &&String| !name.starts_with("RateLimit");
    for name in response["headers"].as_object().into_iter().flat_map(|all| all.keys()).filter(is_sure) {
        assert!(reply.header(&name.to_lowercase()).is_some(), "{at} without {name}");
    }
    if method != Method::HEAD {
        check_body(&at, &place, response, reply);
    }
}

fn code(reply: &Reply) -> Value {
    serde_json::from_str::<Value>(&reply.text).map(|problem| problem["code"].clone()).unwrap_or_default()
}

fn check_body(at: &str, place: &str, response: &Value, reply: &Reply) {
    let Some(contents) = response["content"].as_object() else {
        assert!(reply.text.is_empty(), "{at} with a body: {}", reply.text);
        return;
    };
    let said = reply.header("content-type").unwrap_or_default();
    let bare = |media_type: &str| media_type.split(';').next().unwrap_or_default().to_owned();
    let known = contents.keys().find(|known| bare(known) == bare(said));
    let known = known.unwrap_or_else(|| panic!("{at} as {said:?}: {}", reply.text));
    if !bare(said).ends_with("/json") && !bare(said).ends_with("+json") {
        return; // lines and tables are described in words
    }
    let body: Value =
        serde_json::from_str(&reply.text).unwrap_or_else(|e| panic!("{at}: {e}: {}", reply.text));
    let validator = validator(format!("{place}/content/{}/schema", known.replace('/', "~1")));
    let wrong: Vec<_> =
        validator.iter_errors(&body).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{at} other than documented: {wrong:#?}\n{body:#}");
}

fn validator(place: String) -> Arc<Validator> {
    let mut known = VALIDATORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let compile = |place: &String| {
        let mut schema = DOCUMENT.pointer(place).expect("a schema").clone();
        close(&mut schema, &DOCUMENT["components"]["schemas"]);
        refer_to_document(&mut schema);
        let options = jsonschema::options().with_registry(&REGISTRY).with_draft(Draft::Draft202012);
        Arc::new(options.build(&schema).unwrap_or_else(|error| panic!("{place}: {error}")))
    };
    Arc::clone(known.entry(place.clone()).or_insert_with(|| compile(&place)))
}

fn refer_to_document(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get_mut("$ref") {
                *reference = format!("{URI}{reference}");
            }
            object.values_mut().for_each(refer_to_document);
        }
        Value::Array(all) => all.iter_mut().for_each(refer_to_document),
        _ => {}
    }
}

/// The path of the document that a path is one of: the one with the most that is literally there.
fn item(path: &str) -> Option<(&'static str, &'static Value)> {
    let is_part = |part: &str| part.starts_with('{');
    let fits = |template: &str| {
        let (asked, known): (Vec<_>, Vec<_>) = (path.split('/').collect(), template.split('/').collect());
        let fits = |(part, is): (&&str, &&str)| (is_part(part) && !is.is_empty()) || part == is;
        asked.len() == known.len() && known.iter().zip(&asked).all(fits)
    };
    let all = DOCUMENT["paths"].as_object().expect("paths").iter();
    let fitting = all.filter(|(template, _)| fits(template));
    let parts = |template: &str| template.split('/').map(is_part).collect::<Vec<_>>();
    fitting.min_by_key(|(template, _)| parts(template)).map(|(template, item)| (template.as_str(), item))
}

/// Refuses, in all values inside of what a schema describes, properties that are not described.
fn close_inside(schema: &mut Value, components: &Value) {
    let Some(object) = schema.as_object_mut() else { return };
    for (key, part) in object {
        match (key.as_str(), part) {
            ("properties" | "patternProperties", Value::Object(values)) => {
                values.values_mut().for_each(|value| close(value, components));
            }
            ("items" | "additionalProperties", value) => close(value, components),
            ("anyOf" | "oneOf" | "allOf", Value::Array(all)) => {
                all.iter_mut().for_each(|one| close_inside(one, components));
            }
            _ => {}
        }
    }
}

/// The same for a value and for all inside of it.
fn close(schema: &mut Value, components: &Value) {
    close_inside(schema, components);
    if is_closable(schema, components) {
        schema["unevaluatedProperties"] = Value::Bool(false);
    }
}

/// Whether a schema says which properties there are, if it is an object.
fn is_closable(schema: &Value, components: &Value) -> bool {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return schema.get("properties").is_some() || is_closable(&components[name], components);
    }
    if schema.get("properties").is_some() {
        return true;
    }
    let is_no_object = |one: &Value| {
        one.get("const").is_some()
            || one.get("enum").is_some()
            || one.get("type").is_some_and(|kind| *kind != "object")
    };
    ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema[*key].as_array()).any(|all| {
        all.iter().any(|one| is_closable(one, components))
            && all.iter().all(|one| is_no_object(one) || is_closable(one, components))
    })
}
