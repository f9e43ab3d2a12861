//! Schemas as people read them.

use maud::{Markup, html};
use serde_json::Value;

use super::prose;

/// What a value is, in a line.
pub(super) fn type_of(schema: &Value) -> Markup {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return html! { a href={ "#schema-" (name) } { (name) } };
    }
    if let Some(only) = schema.get("const") {
        return html! { code { (only) } };
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return alternatives(words.iter().map(|word| html! { code { (word) } }).collect());
    }
    let one_of = ["oneOf", "anyOf"].into_iter().find_map(|key| schema.get(key)?.as_array());
    match (one_of, schema.get("type")) {
        (Some(one_of), None) => alternatives(one_of.iter().map(type_of).collect()),
        (_, Some(Value::Array(kinds))) => {
            alternatives(kinds.iter().filter_map(Value::as_str).map(|kind| simple(kind, schema)).collect())
        }
        (_, Some(Value::String(kind))) => simple(kind, schema),
        _ => html! { "anything" },
    }
}

fn alternatives(all: Vec<Markup>) -> Markup {
    html! { @for (n, one) in all.iter().enumerate() { @if n > 0 { " or " } (one) } }
}

fn simple(kind: &str, schema: &Value) -> Markup {
    match kind {
        "array" => html! { "list of " (schema.get("items").map_or_else(|| html! { "anything" }, type_of)) },
        "object" => match schema.get("additionalProperties").filter(|values| values.is_object()) {
            Some(values) => html! { "object of " (type_of(values)) },
            None => html! { "object" },
        },
        kind => html! { (kind) @if let Some(bounds) = bounds(kind, schema) { " (" (bounds) ")" } },
    }
}

/// What is said of the bounds of a text or a number.
fn bounds(kind: &str, schema: &Value) -> Option<String> {
    if kind == "null" || kind == "boolean" {
        return None;
    }
    let of = |key: &str| schema.get(key).filter(|bound| bound.is_number());
    if let Some(format) = schema.get("format").and_then(Value::as_str).filter(|_| kind == "string") {
        return Some(format.to_owned());
    }
    match (of("minimum"), of("maximum"), of("maxLength")) {
        (Some(least), Some(most), _) => Some(format!("{least} to {most}")),
        (Some(least), None, _) => Some(format!("from {least}")),
        (None, Some(most), _) => Some(format!("to {most}")),
        (None, None, Some(most)) => Some(format!("at most {most} bytes")),
        (None, None, None) => None,
    }
}

/// The fields of an object, those of its variants after its own; `None` of anything else.
pub(super) fn properties(schema: &Value) -> Option<Markup> {
    let own = schema.get("properties").and_then(Value::as_object);
    let variants: Vec<&Value> = ["oneOf", "anyOf", "allOf"]
        .into_iter()
        .filter_map(|key| schema.get(key)?.as_array())
        .flatten()
        .filter(|variant| variant.get("properties").is_some())
        .collect();
    if own.is_none() && variants.is_empty() {
        return None;
    }
    let required = |name: &str| {
        let all = schema.get("required").and_then(Value::as_array);
        all.is_some_and(|all| all.iter().any(|one| one == name))
    };
    Some(html! {
        @if let Some(own) = own {
            dl.fields { @for (name, field) in own { (property(name, field, required(name))) } }
        }
        @for (n, variant) in variants.into_iter().enumerate() {
            @let title = variant.get("title").or_else(|| variant.get("description")).and_then(Value::as_str);
            details {
                summary { @match title { Some(title) => (title), None => { "Variant " (n + 1) } } }
                @if let Some(fields) = properties(variant) { (fields) }
            }
        }
    })
}

fn property(name: &str, field: &Value, is_required: bool) -> Markup {
    let inner = field.get("items").unwrap_or(field);
    html! {
        dt { code { (name) } @if is_required { "*" } " " span.type { (type_of(field)) } }
        dd {
            @if let Some(text) = field.get("description").and_then(Value::as_str) { (prose(text)) }
            @if let Some(fields) = properties(inner) { details { summary { "Fields" } (fields) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_type_is_said_in_a_line() {
        for (schema, said) in [
            (json!({ "type": "string", "format": "date-time" }), "string (date-time)"),
            (json!({ "type": ["integer", "null"], "minimum": 1, "maximum": 9 }), "integer (1 to 9) or null"),
            (json!({ "type": "array", "items": { "const": "v1" } }), "list of <code>&quot;v1&quot;</code>"),
            (
                json!({ "anyOf": [{ "$ref": "#/components/schemas/Goal" }, { "type": "null" }] }),
                "<a href=\"#schema-Goal\">Goal</a> or null",
            ),
            (json!({ "type": "object", "additionalProperties": { "type": "integer" } }), "object of integer"),
            (json!(true), "anything"),
        ] {
            assert_eq!(type_of(&schema).into_string(), said, "{schema}");
        }
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        assert!(properties(&json!({ "type": "string" })).is_none());
        let fields = properties(&json!({ "properties": { "id": { "type": "string" } }, "required": ["id"] }));
        let fields = fields.map(Markup::into_string).unwrap_or_default();
        assert!(fields.contains("<code>id</code>*"), "{fields}");
    }
}
