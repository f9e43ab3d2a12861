//! The parts of an OpenAPI document that we use, as they are written (<https://spec.openapis.org/oas/v3.1.1>).

use std::collections::BTreeMap;

use schemars::Schema;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// The whole document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Document {
    pub(super) openapi: &'static str,
    pub(super) info: Info,
    pub(super) servers: Vec<Server>,
    pub(super) tags: Vec<Tag>,
    #[serde(serialize_with = "as_map")]
    pub(super) paths: Vec<(String, PathItem)>,
    #[serde(serialize_with = "as_map")]
    pub(super) webhooks: Vec<(&'static str, PathItem)>,
    pub(super) components: Components,
}

/// What it describes.
#[derive(Debug, Serialize)]
pub(super) struct Info {
    pub(super) title: &'static str,
    pub(super) version: &'static str,
    pub(super) summary: &'static str,
    pub(super) description: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Server {
    pub(super) url: &'static str,
    pub(super) description: &'static str,
}

/// A group of operations.
#[derive(Debug, Serialize)]
pub(super) struct Tag {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
}

/// What a path does, by method, in the order in which it was registered.
#[derive(Debug)]
pub(super) struct PathItem(pub(super) Vec<(&'static str, OperationObject)>);

impl Serialize for PathItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_map(&self.0, serializer)
    }
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OperationObject {
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) operation_id: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<&'static str>,
    pub(super) summary: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) description: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parameters: Vec<ParameterObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_body: Option<RequestBody>,
    pub(super) responses: BTreeMap<String, Response>,
    /// `[]` = no key; of webhooks nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) security: Option<Vec<BTreeMap<&'static str, [(); 0]>>>,
    /// The right that it needs.
    #[serde(rename = "x-punchcard-right", skip_serializing_if = "Option::is_none")]
    pub(super) right: Option<&'static str>,
    /// The roles that have it.
    #[serde(rename = "x-punchcard-roles", skip_serializing_if = "Vec::is_empty")]
    pub(super) roles: Vec<&'static str>,
    /// Whether only keys for all chains will do.
    #[serde(rename = "x-punchcard-all-chains", skip_serializing_if = "std::ops::Not::not")]
    pub(super) all_chains: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct ParameterObject {
    pub(super) name: &'static str,
    #[serde(rename = "in")]
    pub(super) place: &'static str,
    pub(super) description: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) required: bool,
    pub(super) schema: Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) example: Option<Value>,
}

#[derive(Debug, Serialize)]
pub(super) struct RequestBody {
    pub(super) required: bool,
    pub(super) content: BTreeMap<&'static str, MediaType>,
}

#[derive(Debug, Serialize)]
pub(super) struct MediaType {
    pub(super) schema: Schema,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) example: Option<Value>,
    /// Where there are several, among the components.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) examples: BTreeMap<&'static str, Reference>,
}

impl MediaType {
    pub(super) const fn of(schema: Schema, example: Option<Value>) -> Self {
        Self { schema, example, examples: BTreeMap::new() }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Example {
    pub(super) value: Value,
}

/// An answer, or the name of one among the components.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Response {
    Here(ResponseObject),
    There(Reference),
}

#[derive(Debug, Serialize)]
pub(super) struct ResponseObject {
    pub(super) description: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) headers: BTreeMap<&'static str, Reference>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) content: BTreeMap<&'static str, MediaType>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Reference {
    #[serde(rename = "$ref")]
    pub(super) to: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Header {
    pub(super) description: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) required: bool,
    pub(super) schema: Value,
}

#[derive(Debug, Serialize)]
pub(super) struct SecurityScheme {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) scheme: &'static str,
    pub(super) description: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Components {
    pub(super) schemas: BTreeMap<String, Value>,
    pub(super) responses: BTreeMap<String, ResponseObject>,
    pub(super) examples: BTreeMap<&'static str, Example>,
    pub(super) headers: BTreeMap<&'static str, Header>,
    pub(super) security_schemes: BTreeMap<&'static str, SecurityScheme>,
}

fn as_map<K: Serialize, V: Serialize, S: Serializer>(
    entries: &[(K, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(key, value)| (key, value)))
}
