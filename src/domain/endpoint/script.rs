//! What an endpoint is sent instead of the canonical message, as somebody wrote it. What it means is the affair of the rule
//! language.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A transform as it is written, such as `#{ order: body.data.order_id }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Script(Box<str>);

/// Why a text cannot be a transform, whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadScript {
    /// It makes nothing.
    #[error(
        "must say what is sent, such as `#{{ order: body.data.order_id }}`; null takes the transform away"
    )]
    Empty,
    /// More than is parsed in one go.
    #[error("must be at most {} bytes long", Script::MAX_BYTES)]
    TooLong,
}

impl Script {
    /// The longest, in bytes: it is parsed in one go.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Script {
    type Error = BadScript;
    fn try_from(text: String) -> Result<Self, BadScript> {
        match text.len() {
            _ if text.trim().is_empty() => Err(BadScript::Empty),
            ..=Self::MAX_BYTES => Ok(Self(text.into())),
            _ => Err(BadScript::TooLong),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transform_is_kept_as_it_was_written_so_that_its_lines_and_columns_stay() {
        let script = |text: &str| Script::try_from(text.to_owned());
        assert_eq!(script("\n  #{ }\n").unwrap().as_str(), "\n  #{ }\n");
        assert_eq!(script(" \n"), Err(BadScript::Empty));
        assert!(script(&"x".repeat(Script::MAX_BYTES)).is_ok());
        assert_eq!(script(&"x".repeat(Script::MAX_BYTES + 1)), Err(BadScript::TooLong));
    }
}
