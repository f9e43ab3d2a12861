//! Refusals: what cannot be done, as values. Nothing is stored of a refused event.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;

/// Why an event or command cannot be carried out. `code` never changes; `problem` is for people and says what would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error, JsonSchema)]
#[error("{problem}")]
pub struct Refused {
    /// A stable word for programs, such as `insufficient_points`.
    pub code: &'static str,
    /// What is in the way.
    pub problem: Cow<'static, str>,
}

impl Refused {
    /// A refusal.
    pub fn new(code: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { code, problem: problem.into() }
    }
}
