//! What is wrong with a rules folder, for people and for machines.

use serde::Serialize;

/// One problem, at one word of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// File within the chain's folder.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// Length of the offending word in characters; at least 1.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// What to do, such as "did you mean `award`?".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}
