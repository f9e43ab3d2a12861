//! What a field that fails leaves behind: `null`, and where none is allowed, the `null` of what it stands in
//! (<https://spec.graphql.org/October2021/#sec-Handling-Field-Errors>). The library leaves such fields out.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::LazyLock;

use async_graphql::parser::types::{
    BaseType, ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet, Type,
    TypeKind, TypeSystemDefinition,
};
use async_graphql::parser::{parse_query, parse_schema};
use async_graphql::{Name, PathSegment, Response, Value};

/// The type of each field, by the type that has it and by its name.
static TYPES: LazyLock<HashMap<String, HashMap<String, Type>>> = LazyLock::new(|| {
    let definitions = parse_schema(super::sdl()).map(|schema| schema.definitions).unwrap_or_default();
    let objects = definitions.into_iter().filter_map(|definition| match definition {
        TypeSystemDefinition::Type(object) => match object.node.kind {
            TypeKind::Object(kind) => Some((object.node.name.node.to_string(), kind.fields)),
            _ => None,
        },
        _ => None,
    });
    let typed = objects.map(|(name, fields)| {
        let fields = fields.into_iter().map(|field| (field.node.name.node.to_string(), field.node.ty.node));
        (name, fields.collect())
    });
    typed.collect()
});

/// Puts the nulls of a response's errors into its data. The query is read anew: few fail.
pub(super) fn put(response: &mut Response, query: &str, operation: Option<&str>) {
    let Ok(document) = parse_query(query) else { return };
    let is_meant =
        |name: Option<&Name>| operation.is_none_or(|meant| name.is_some_and(|name| name.as_str() == meant));
    let Some((_, operation)) = document.operations.iter().find(|(name, _)| is_meant(*name)) else { return };
    let Response { data, errors, .. } = response;
    let mut places: Vec<_> =
        errors.iter().map(|error| place(&document, &operation.node, &error.path)).collect();
    // The deepest first: what is null as a whole stays so.
    places.sort_by_key(|place| Reverse(place.len()));
    places.into_iter().for_each(|place| put_one(data, place));
}

/// As much of the path of an error as leads to what is null because of it: all, if that may be null.
fn place<'p>(
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    path: &'p [PathSegment],
) -> &'p [PathSegment] {
    let mut parent = match operation.ty {
        OperationType::Query => "Query",
        OperationType::Mutation => "Mutation",
        OperationType::Subscription => "Subscription",
    };
    let mut sets = vec![&operation.selection_set.node];
    let mut here: Option<&Type> = None;
    let mut length = 0; // the data as a whole may be null
    for (depth, segment) in path.iter().enumerate() {
        let inner = match segment {
            PathSegment::Field(key) => {
                let mut fields = Vec::new();
                sets.iter().copied().for_each(|set| find(document, set, key, &mut fields));
                let name = fields.first().map(|field| field.name.node.as_str());
                sets = fields.iter().map(|field| &field.selection_set.node).collect();
                name.and_then(|name| TYPES.get(parent)?.get(name))
            }
            PathSegment::Index(_) => here.and_then(|list| match &list.base {
                BaseType::List(item) => Some(&**item),
                BaseType::Named(_) => None,
            }),
        };
        let Some(inner) = inner else { break };
        if let BaseType::Named(name) = &inner.base {
            parent = name;
        }
        if inner.nullable {
            length = depth + 1;
        }
        here = Some(inner);
    }
    &path[..length]
}

/// The fields that are answered under this key, be it that fragments ask for them. They are one field to whoever is answered.
fn find<'a>(document: &'a ExecutableDocument, set: &'a SelectionSet, key: &str, found: &mut Vec<&'a Field>) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) if field.node.response_key().node.as_str() == key => {
                found.push(&field.node)
            }
            Selection::Field(_) => {}
            Selection::InlineFragment(part) => find(document, &part.node.selection_set.node, key, found),
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = document.fragments.get(&spread.node.fragment_name.node) {
                    find(document, &fragment.node.selection_set.node, key, found);
                }
            }
        }
    }
}

fn put_one(data: &mut Value, place: &[PathSegment]) {
    let Some((segment, rest)) = place.split_first() else {
        *data = Value::Null;
        return;
    };
    let within = match segment {
        PathSegment::Field(key) => {
            if *data == Value::Null {
                *data = Value::Object(Default::default()); // all of its fields failed
            }
            match data {
                Value::Object(fields) => Some(fields.entry(Name::new(key)).or_insert(Value::Null)),
                _ => None,
            }
        }
        PathSegment::Index(at) => match data {
            Value::List(items) => items.get_mut(*at),
            _ => None,
        },
    };
    if let Some(within) = within {
        put_one(within, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::ServerError;
    use serde_json::{Value as Json, json};

    /// The data of a response with errors at these places.
    fn settled(query: &str, data: Json, paths: &[Json]) -> Json {
        let error = |path: &Json| {
            let mut error = ServerError::new("it failed", None);
            error.path = serde_json::from_value(path.clone()).unwrap();
            error
        };
        let mut response = Response::from_errors(paths.iter().map(error).collect());
        response.data = Value::from_json(data).unwrap();
        put(&mut response, query, None);
        response.data.into_json().unwrap()
    }

    #[test]
    fn a_failed_field_is_null_and_what_may_not_be_null_takes_what_it_stands_in_with_it() {
        const MEMBER: &str = r#"member(chainId: "harvest", id: "m-42")"#;
        const HOOKS: &str = r#"webhooks(chainId: "harvest")"#;
        for (query, data, paths, expected) in [
            (format!("{{ {MEMBER} {{ points }} }}"), json!(null), json!([["member"]]), json!({ "member": null })),
            (
                format!("{{ a: {MEMBER} {{ points }} b: {MEMBER} {{ points }} }}"),
                json!({ "b": { "points": 7 } }),
                json!([["a"]]),
                json!({ "b": { "points": 7 }, "a": null }),
            ),
            // The list of webhooks is no null, so there are no data at all.
            (
                format!("{{ {HOOKS} {{ url }} {MEMBER} {{ points }} }}"),
                json!({ "member": { "points": 7 } }),
                json!([["webhooks"]]),
                json!(null),
            ),
            // The ledger is none either, but its member may be.
            (
                format!("query Q {{ {MEMBER} {{ points ...L }} }} fragment L on Member {{ l: ledger {{ nodes {{ amount }} }} }}"),
                json!({ "member": { "points": 7 } }),
                json!([["member", "l"]]),
                json!({ "member": null }),
            ),
            (
                format!("{{ {HOOKS} {{ url }} {HOOKS} {{ ... {{ lastDelivery {{ status }} }} }} }}"),
                json!({ "webhooks": [{ "url": "https://a.example" }, { "url": "https://b.example", "lastDelivery": null }] }),
                json!([["webhooks", 0, "lastDelivery"]]),
                json!({ "webhooks": [{ "url": "https://a.example", "lastDelivery": null }, { "url": "https://b.example", "lastDelivery": null }] }),
            ),
            // Where all fields fail, the library says that the whole is null.
            (
                format!("{{ {HOOKS} {{ lastDelivery {{ status }} }} }}"),
                json!({ "webhooks": [null] }),
                json!([["webhooks", 0, "lastDelivery"]]),
                json!({ "webhooks": [{ "lastDelivery": null }] }),
            ),
            (
                format!("{{ {HOOKS} {{ lastDelivery {{ status }} }} {MEMBER} {{ points }} program(chainId: \"harvest\") {{ version }} }}"),
                json!({ "webhooks": [null] }),
                json!([["webhooks", 0, "lastDelivery"], ["program"], ["member"]]),
                json!(null),
            ),
            (
                r#"mutation { a: deleteWebhook(webhookId: "1") { success } b: deleteWebhook(webhookId: "2") { success } }"#.to_owned(),
                json!({ "a": { "success": true } }),
                json!([["b"]]),
                json!(null),
            ),
        ] {
            let Json::Array(paths) = paths else { unreachable!() };
            assert_eq!(settled(&query, data, &paths), expected, "{query}");
        }
    }

    #[test]
    fn the_type_of_every_field_is_known() {
        let fields: usize = TYPES.values().map(HashMap::len).sum();
        assert!(fields > 100, "{fields}");
        assert!(!TYPES["Query"]["webhooks"].nullable && TYPES["Query"]["member"].nullable);
        // What answers a field that may be of several types would have to be asked which it is.
        assert!(!super::super::sdl().contains("\nunion ") && !super::super::sdl().contains("\ninterface "));
    }
}
