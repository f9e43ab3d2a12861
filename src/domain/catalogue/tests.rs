use super::*;
use serde_json::Value;

/// What of `value` the schema does not describe. Knows as much of JSON Schema as our own schemas use.
fn mismatches(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = schema["type"].to_string();
    let fits = allowed.contains(kind) || (kind == "integer" && allowed.contains("number"));
    if schema.get("const").is_some_and(|only| only != value) || (schema.get("type").is_some() && !fits) {
        found.push(format!("{path}: {value} is no {schema}"));
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        let described = schema["properties"].get(name);
        match described.or_else(|| schema.get("additionalProperties").filter(|any| any.is_object())) {
            Some(schema) => mismatches(schema, inner, &format!("{path}.{name}"), found),
            None if schema["additionalProperties"] == true => {}
            None if schema["additionalProperties"].is_object() => {
                mismatches(&schema["additionalProperties"], inner, &format!("{path}.{name}"), found);
            }
            None => found.push(format!("{path}.{name} is not described")),
        }
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            found.push(format!("{path}.{name} is missing"));
        }
    }
    for inner in value.as_array().into_iter().flatten() {
        mismatches(&schema["items"], inner, &format!("{path}[]"), found);
    }
}

#[test]
fn every_example_is_of_its_type_and_as_its_schema_says() {
    for kind in EventType::ALL {
        let example: Value = serde_json::from_str(&kind.example().to_json()).unwrap();
        assert_eq!(example["type"], kind.as_str());
        let schema = kind.schema().to_value();
        let mut found = Vec::new();
        mismatches(&schema, &example, "", &mut found);
        assert!(found.is_empty(), "{kind}: {found:?}\n{schema:#}");
        assert!(!schema.to_string().contains("$ref"), "{schema:#}");
    }
}

#[test]
fn a_schema_says_what_is_always_there() {
    let schema = EventType::PointsEarned.schema().to_value();
    assert_eq!(schema["required"], serde_json::json!(["id", "type", "timestamp", "chain", "data", "member"]));
    let of_nobody = EventType::MenuItemUpdated.schema().to_value();
    assert_eq!(of_nobody["required"], serde_json::json!(["id", "type", "timestamp", "chain", "data"]));
    assert!(of_nobody["properties"].get("member").is_none());
    assert_eq!(schema["properties"]["type"], serde_json::json!({ "const": "points.earned" }));
    let data = &schema["properties"]["data"];
    assert_eq!(
        data["required"],
        serde_json::json!(["amount", "wallet", "new_balance", "reason"]),
        "{schema:#}"
    );
    assert_eq!(data["properties"]["amount"]["type"], "integer");
}
