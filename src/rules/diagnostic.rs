//! What is wrong with a rules folder, for people and for machines.

use std::fmt;

use rhai::Position;
use serde::Serialize;
use serde_json::Value;

use super::expectation::Judgement;

/// One problem, at one word of one file.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// Of a test that fails: what became of the event before.
    #[serde(flatten)]
    pub judged: Option<Box<Judgement>>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, message, help, .. } = self;
        write!(f, "{file}:{line}:{column}: {message}")?;
        help.as_ref().map_or(Ok(()), |help| write!(f, " ({help})"))
    }
}

impl Diagnostic {
    /// A problem with a file, or with the folder as a whole.
    pub fn of_file(file: &str, message: impl Into<String>) -> Self {
        Self::new(file, Spot::START, message)
    }

    /// A problem at `spot` of `file`.
    pub(super) fn new(file: &str, spot: Spot, message: impl Into<String>) -> Self {
        let Spot { line, column, length } = spot;
        Self {
            file: file.to_owned(),
            line,
            column,
            length,
            message: message.into(),
            help: None,
            judged: None,
        }
    }

    /// Reads what a server says, which may be another version than this.
    pub fn told(problem: &Value) -> Option<Self> {
        let text = |key: &str| problem[key].as_str();
        let number =
            |key: &str| problem[key].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1).max(1);
        let [line, column, length] = ["line", "column", "length"].map(number);
        let told = Self::new(text("file")?, Spot { line, column, length }, text("message")?);
        Some(told.maybe_help(text("help").map(str::to_owned)))
    }

    /// Says what to do.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, if anything is known.
    #[must_use]
    pub(super) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }
}

/// A word in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) length: usize,
}

impl Spot {
    /// The beginning of a file.
    pub(super) const START: Self = Self { line: 1, column: 1, length: 1 };

    /// The word at a byte offset of `text`.
    pub(super) fn of_offset(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            length: word_length(text.get(offset..).unwrap_or_default()),
        }
    }

    /// The word at a position that the parser or the interpreter gave.
    pub(super) fn of_position(text: &str, position: Position) -> Self {
        let (Some(line), Some(column)) = (position.line(), position.position()) else {
            return Self { line: position.line().unwrap_or(1), ..Self::START };
        };
        let source = text.split('\n').nth(line - 1).unwrap_or_default();
        let rest = source.char_indices().nth(column.max(1) - 1).map_or("", |(at, _)| &source[at..]);
        Self { line, column: column.max(1), length: word_length(rest) }
    }
}

/// Length in characters of the word, number, text or sign that `text` begins with; at least 1.
fn word_length(text: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let length = match text.chars().next() {
        Some('"') => text[1..].split(['"', '\n']).next().map_or(1, |inner| inner.chars().count() + 2),
        Some(c) if is_word(c) => text.chars().take_while(|c| is_word(*c)).count(),
        Some('=' | '!' | '<' | '>' | '+' | '-' | '*' | '/' | '%') => {
            1 + usize::from(text[1..].starts_with('='))
        }
        _ => 1,
    };
    length.max(1)
}
