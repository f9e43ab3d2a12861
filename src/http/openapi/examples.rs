//! Examples of answers, as a server gave them.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::Value;

/// By operation and status.
static ALL: LazyLock<HashMap<String, HashMap<String, Value>>> =
    LazyLock::new(|| serde_json::from_str(include_str!("examples.json")).unwrap_or_default());

/// What an operation once answered with this status.
pub(super) fn of(operation: &str, status: u16) -> Option<Value> {
    ALL.get(operation)?.get(&status.to_string()).cloned()
}
