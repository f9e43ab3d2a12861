//! Examples of answers, as a server gave them.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

/// By status and media type.
type Answers = HashMap<String, HashMap<String, Value>>;

/// By operation.
static ALL: LazyLock<HashMap<String, Answers>> =
    LazyLock::new(|| serde_json::from_str(include_str!("examples.json")).unwrap_or_default());

/// What an operation once answered with this status, in this type.
pub(super) fn of(operation: &str, status: u16, media_type: &str) -> Option<Value> {
    ALL.get(operation)?.get(&status.to_string())?.get(media_type).cloned()
}
