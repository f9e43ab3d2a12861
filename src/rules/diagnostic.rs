//! What is wrong with a rules folder, for people and for machines.

use std::fmt;

use rhai::Position;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::expectation::Judgement;

/// The longest line that is shown, in characters.
const MAX_SOURCE: usize = 1_000;

macro_rules! mistakes {
    ($($variant:ident = $code:literal: $says:literal,)*) => {
        /// What sort of mistake it is: for machines, which cannot go by the words. Codes are never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
        pub enum Mistake { $(#[doc = $says] #[schemars(rename = $code)] $variant,)* }

        impl Mistake {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// As machines see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Whether it is in the way of running at all: what bounds the interpreter, and what nobody could read.
            pub(super) const fn is_in_the_way(self) -> bool {
                matches!(self, Self::Syntax | Self::TooDeep | Self::TooMany | Self::Internal)
            }

            /// What it means, in one sentence.
            pub const fn says(self) -> &'static str {
                match self { $(Self::$variant => $says,)* }
            }
        }
    };
}

mistakes! {
    Syntax = "syntax": "The parser cannot make sense of it.",
    TooDeep = "too_deep": "Nested too deeply.",
    TooMany = "too_many": "More, or longer, than is taken.",
    UnreadableFile = "unreadable_file": "A file that cannot be read, or is none of a program's.",
    MissingFile = "missing_file": "The folder lacks a file.",
    OtherChain = "other_chain": "The program of a chain with another calendar, currency or name.",
    UnknownSetting = "unknown_setting": "A setting that `program.toml` does not have.",
    MissingSetting = "missing_setting": "A setting that must be there.",
    InvalidSetting = "invalid_setting": "A setting whose value cannot be.",
    UnknownEvent = "unknown_event": "An event that does not exist.",
    UnknownProperty = "unknown_property": "A property or method that a value does not have.",
    UnknownFunction = "unknown_function": "A function that does not exist.",
    UnknownVariable = "unknown_variable": "A variable or constant that does not exist.",
    UnknownName = "unknown_name": "A tier, wallet, category, segment or other declared thing that does not exist.",
    InvalidName = "invalid_name": "A name that cannot be one.",
    InvalidConstant = "invalid_constant": "A constant that cannot be reckoned.",
    DuplicateName = "duplicate_name": "A name that is taken.",
    WrongArgument = "wrong_argument": "A function that is called with what it does not take.",
    WrongType = "wrong_type": "A value of another type than is needed.",
    MissingValue = "missing_value": "A value that may be missing where one is needed.",
    OutOfRange = "out_of_range": "A number, date or amount that cannot be.",
    IntegerDivision = "integer_division": "Whole numbers divided, which drops the fraction.",
    DivisionByZero = "division_by_zero": "A division by zero.",
    NeverTrue = "never_true": "A condition that never holds.",
    AlwaysTrue = "always_true": "A condition that always holds.",
    Unreachable = "unreachable": "Code that never runs.",
    NeverHappens = "never_happens": "An event that this program never brings about.",
    Endless = "endless": "What goes on for ever.",
    WrongPlace = "wrong_place": "A word where it cannot be used.",
    ReadOnly = "read_only": "What cannot be changed.",
    Unused = "unused": "A variable, or a value, that nothing uses.",
    Unclear = "unclear": "What reads otherwise than it runs.",
    Conflict = "conflict": "What contradicts another declaration.",
    AlwaysFails = "always_fails": "An effect that fails whenever it is asked for.",
    TestFailed = "test_failed": "An expectation of a test that does not hold.",
    TestNotRun = "test_not_run": "A test that could not run.",
    TransformFails = "transform_fails": "A transform of an endpoint that makes nothing of an event.",
    Internal = "internal": "A fault of ours.",
}

impl Serialize for Mistake {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Mistake {
    /// Whether it depends on what `program.toml` declares.
    pub(super) const fn is_about_what_is_declared(self) -> bool {
        matches!(self, Self::UnknownName | Self::NeverHappens | Self::Conflict | Self::AlwaysFails)
    }
}

/// One problem, at one word of one file.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Diagnostic {
    /// What sort of problem it is.
    pub code: Mistake,
    /// File within the chain's folder.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// Length of the offending word in characters; at least 1.
    pub length: usize,
    /// The line as it is written, if there is one.
    pub source: Box<str>,
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
    pub fn of_file(code: Mistake, file: &str, message: impl Into<String>) -> Self {
        Self::new(code, file, Spot::START, message)
    }

    /// A problem at `spot` of `file`.
    pub(super) fn new(code: Mistake, file: &str, spot: Spot, message: impl Into<String>) -> Self {
        let Spot { line, column, length, source } = spot;
        Self {
            code,
            file: file.to_owned(),
            line,
            column,
            length,
            source: source.into(),
            message: message.into(),
            help: None,
            judged: None,
        }
    }

    /// Whether both complain of the same thing at the same place, whatever help they have.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let key = |one: &Self| (one.line, one.column, one.code);
        key(self) == key(other) && self.file == other.file && self.message == other.message
    }

    /// Reads what a server says, which may be another version than this.
    pub fn told(problem: &Value) -> Option<Self> {
        let text = |key: &str| problem[key].as_str();
        let number =
            |key: &str| problem[key].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1).max(1);
        let [line, column, length] = ["line", "column", "length"].map(number);
        let known = Mistake::ALL.iter().find(|known| text("code") == Some(known.as_str()));
        let code = known.copied().unwrap_or(Mistake::Internal);
        let source = text("source").unwrap_or_default().to_owned();
        let told = Self::new(code, text("file")?, Spot { line, column, length, source }, text("message")?);
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) length: usize,
    /// The line that it stands in.
    pub(super) source: String,
}

impl Spot {
    /// The beginning of a file.
    pub(super) const START: Self = Self { line: 1, column: 1, length: 1, source: String::new() };

    /// The word at a byte offset of `text`.
    pub(super) fn of_offset(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            length: word_length(text.get(offset..).unwrap_or_default()),
            source: shown(text[line_start..].lines().next().unwrap_or_default()),
        }
    }

    /// The word at a position that the parser or the interpreter gave.
    pub(super) fn of_position(text: &str, position: Position) -> Self {
        let (Some(line), Some(column)) = (position.line(), position.position()) else {
            return Self { line: position.line().unwrap_or(1), ..Self::START };
        };
        let source = text.split('\n').nth(line - 1).unwrap_or_default();
        let rest = source.char_indices().nth(column.max(1) - 1).map_or("", |(at, _)| &source[at..]);
        Self { line, column: column.max(1), length: word_length(rest), source: shown(source) }
    }
}

/// A line as it is shown: what stands behind it is not part of it, and nobody reads a thousand characters.
fn shown(line: &str) -> String {
    line.trim_end().chars().take(MAX_SOURCE).collect()
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
