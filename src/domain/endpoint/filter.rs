//! Which of the loyalty events that would go to an endpoint it gets, as somebody wrote it. What it means is the affair of
//! the rule language.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::EventPattern;

/// A condition as it is written, such as `event.total > 50`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Condition(Box<str>);

/// Why a text cannot be a condition, whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCondition {
    /// There is nothing to ask.
    #[error("must say something, such as `event.total > 50`; null takes the filter away")]
    Empty,
    /// More than anybody reads.
    #[error("must be at most {} bytes long", Condition::MAX_BYTES)]
    TooLong,
}

impl Condition {
    /// The longest, in bytes: it is parsed in one go.
    pub const MAX_BYTES: usize = 2_000;

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Condition {
    type Error = BadCondition;
    fn try_from(text: String) -> Result<Self, BadCondition> {
        match text.trim() {
            "" => Err(BadCondition::Empty),
            long if long.len() > Self::MAX_BYTES => Err(BadCondition::TooLong),
            text => Ok(Self(text.into())),
        }
    }
}

/// Which of the loyalty events that would go to an endpoint it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Filter {
    /// Those for which this holds.
    All(Condition),
    /// A condition for each pattern. Of several patterns that match a type the narrowest counts; what none matches passes.
    ByPattern(BTreeMap<EventPattern, Condition>),
}

impl Filter {
    /// The most patterns of one filter.
    pub const MAX_PATTERNS: usize = 20;

    /// Its conditions, the narrowest first, with the types that each is for.
    pub fn parts(&self) -> Vec<FilterPart<'_>> {
        match self {
            Self::All(condition) => vec![FilterPart { pattern: None, condition }],
            // Types are greater than nouns, and nouns than `*`.
            Self::ByPattern(parts) => {
                let part = |(pattern, condition)| FilterPart { pattern: Some(pattern), condition };
                parts.iter().rev().map(part).collect()
            }
        }
    }
}

/// A condition of a filter, and what it is for.
#[derive(Debug, Clone, Copy)]
pub struct FilterPart<'a> {
    /// `None` = every type that it can be asked about.
    pub pattern: Option<&'a EventPattern>,
    /// The condition.
    pub condition: &'a Condition,
}

/// Where it stands in an endpoint: `filter`, or `filter["order.*"]`.
impl fmt::Display for FilterPart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pattern {
            None => f.write_str("filter"),
            Some(pattern) => write!(f, "filter[\"{pattern}\"]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Filter, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_filter_is_stored_as_it_was_written_but_for_blank_around_it() {
        for json in [r#""event.total > 50""#, r#"{"*":"true","order.*":"event.total > 50"}"#] {
            assert_eq!(serde_json::to_string(&read(json).unwrap()).unwrap(), json);
        }
        assert_eq!(read(r#""  a > 1\n""#).unwrap(), read(r#""a > 1""#).unwrap());
        assert!(read(r#""  ""#).is_err() && read(r#"{"ordre.*":"true"}"#).is_err() && read("[]").is_err());
        let long = |n: usize| read(&format!("\"{}\"", "x".repeat(n)));
        assert!(long(Condition::MAX_BYTES).is_ok() && long(Condition::MAX_BYTES + 1).is_err());
    }

    #[test]
    fn the_narrowest_pattern_comes_first() {
        let filter = read(r#"{"*":"a","order.completed":"c","order.*":"b"}"#).unwrap();
        let places: Vec<_> = filter.parts().iter().map(ToString::to_string).collect();
        assert_eq!(places, ["filter[\"order.completed\"]", "filter[\"order.*\"]", "filter[\"*\"]"]);
        assert_eq!(read("\"a\"").unwrap().parts()[0].to_string(), "filter");
    }
}
