//! Loyalty events of a program's own: rules tell them by `emit`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::payload::Payload;
use super::text::Name;

/// How many of them a program may declare.
pub const MAX_DECLARED: usize = 50;
/// The largest `data` of one, in bytes of JSON.
pub const MAX_BYTES: usize = 4 * 1024;

/// Something that a rule tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Emitted {
    /// What it is called in `program.toml`.
    pub name: Name,
    /// What the rule says of it.
    pub data: Payload,
}
