//! Sentences for people, with places for what was told: `{member.first_name|"A guest"} earned {data.amount} points`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::loyalty_event::EventType;

/// A sentence with places.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, with = "String")]
pub struct Wording {
    text: Box<str>,
    parts: Vec<Part>,
}

/// A piece of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// What is always said.
    Said(Box<str>),
    /// The first of these that is there; nothing when none is.
    Place(Vec<Choice>),
}

/// What may stand in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Something of the message, by the names on the way to it.
    Path(Vec<Box<str>>),
    /// A text.
    Text(Box<str>),
}

/// Why a text is no wording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadWording {
    /// Too long, or nothing.
    #[error("must have 1 to {} bytes", Wording::LONGEST)]
    Length,
    /// A brace without its other.
    #[error("has a brace without its other one; write {{{{ or }}}} for a brace that is meant")]
    Brace,
    /// Neither path nor text.
    #[error("`{{{0}}}` is no place; write {{data.amount}}, or {{member.first_name|\"A guest\"}}")]
    Place(String),
    /// The event's message has no such thing.
    #[error("`{path}` is nothing that `{kind}` tells")]
    Unknown {
        /// What was asked for.
        path: String,
        /// Of what.
        kind: EventType,
    },
}

impl Wording {
    const LONGEST: usize = 2_000;

    /// Its pieces, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether every path leads to a value in messages of this type.
    ///
    /// # Errors
    /// When one does not.
    pub fn check_for(&self, kind: EventType) -> Result<(), BadWording> {
        let schema = kind.schema();
        let choices = self.parts.iter().filter_map(|part| match part {
            Part::Place(choices) => Some(choices),
            Part::Said(_) => None,
        });
        for choice in choices.flatten() {
            if let Choice::Path(path) = choice
                && !leads_to_a_value(schema.as_value(), path)
            {
                return Err(BadWording::Unknown { path: path.join("."), kind });
            }
        }
        Ok(())
    }
}

/// Whether a JSON Schema has one value, not a list nor an object, at the end of this path. What says nothing of its
/// properties may have any.
fn leads_to_a_value(schema: &Value, path: &[Box<str>]) -> bool {
    let any_of = ["anyOf", "oneOf", "allOf"].iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    if any_of.into_iter().any(|one| leads_to_a_value(one, path)) {
        return true;
    }
    let is = |kind: &str| match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        Some(one) => one == kind,
        None => false,
    };
    let Some((name, rest)) = path.split_first() else {
        return schema.get("type").is_some() && !is("object") && !is("array")
            || schema.get("enum").is_some()
            || schema.get("const").is_some()
            || schema.as_object().is_none_or(|all| all.keys().all(|key| key == "description"));
    };
    match schema.get("properties").and_then(|all| all.get(&**name)) {
        Some(property) => leads_to_a_value(property, rest),
        None => {
            schema.get("properties").is_none()
                && (schema.get("type").is_none() || is("object"))
                && schema.get("anyOf").is_none()
                && schema.get("oneOf").is_none()
        }
    }
}

impl FromStr for Wording {
    type Err = BadWording;
    fn from_str(text: &str) -> Result<Self, BadWording> {
        if text.is_empty() || text.len() > Self::LONGEST {
            return Err(BadWording::Length);
        }
        let (mut parts, mut said, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            said.push_str(before);
            if brace.starts_with("{{") || brace.starts_with("}}") {
                said.push_str(&brace[..1]);
                rest = &brace[2..];
                continue;
            }
            let inner = brace.strip_prefix('{').ok_or(BadWording::Brace)?;
            let end = inner.find('}').ok_or(BadWording::Brace)?;
            if !said.is_empty() {
                parts.push(Part::Said(std::mem::take(&mut said).into()));
            }
            let choices = inner[..end].split('|').map(|choice| Choice::read(choice.trim()));
            let choices: Option<_> = choices.collect();
            parts.push(Part::Place(choices.ok_or_else(|| BadWording::Place(inner[..end].to_owned()))?));
            rest = &inner[end + 1..];
        }
        said.push_str(rest);
        if !said.is_empty() {
            parts.push(Part::Said(said.into()));
        }
        Ok(Self { text: text.into(), parts })
    }
}

impl Choice {
    fn read(text: &str) -> Option<Self> {
        if let Some(quoted) = text.strip_prefix('"') {
            return quoted.strip_suffix('"').map(|text| Self::Text(text.into()));
        }
        let is_name = |name: &&str| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
        };
        let path: Vec<_> = text.split('.').collect();
        path.iter().all(is_name).then(|| Self::Path(path.into_iter().map(Box::from).collect()))
    }
}

impl TryFrom<String> for Wording {
    type Error = BadWording;
    fn try_from(text: String) -> Result<Self, BadWording> {
        text.parse()
    }
}

impl Serialize for Wording {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl fmt::Display for Wording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wording_is_read_into_what_is_said_and_what_is_filled_in() {
        let wording: Wording = r#"{{Hi}} {member.first_name | "friend"}: +{data.amount}!"#.parse().unwrap();
        let path = |path: &str| Choice::Path(path.split('.').map(Box::from).collect());
        assert_eq!(
            wording.parts(),
            [
                Part::Said("{Hi} ".into()),
                Part::Place(vec![path("member.first_name"), Choice::Text("friend".into())]),
                Part::Said(": +".into()),
                Part::Place(vec![path("data.amount")]),
                Part::Said("!".into()),
            ]
        );
    }

    #[test]
    fn what_is_no_wording_is_refused() {
        let refused = |text: &str| text.parse::<Wording>().unwrap_err();
        assert_eq!(refused(""), BadWording::Length);
        assert_eq!(refused(&"a".repeat(2_001)), BadWording::Length);
        for text in ["{data.amount", "data.amount}", "a { b"] {
            assert_eq!(refused(text), BadWording::Brace, "{text}");
        }
        for text in ["{}", "{data..amount}", "{a guest}", "{data.amount|}", "{\"a}"] {
            assert!(matches!(refused(text), BadWording::Place(_)), "{text}");
        }
    }

    #[test]
    fn a_path_must_lead_to_one_value_of_what_is_told() {
        for (kind, text, is_good) in [
            (EventType::PointsEarned, "{data.amount}", true),
            (EventType::PointsEarned, "{member.first_name}{id}{type}{timestamp}{chain}", true),
            (EventType::PointsEarned, "{data.amonut}", false),
            (EventType::PointsEarned, "{data}", false),
            (EventType::PointsEarned, "{data.amount.cents}", false),
            (EventType::TierUpgraded, "{data.previous_tier.name} {data.new_tier.name}", true),
            (EventType::TierUpgraded, "{data.new_tier}", false),
            (EventType::OrderCompleted, "{data.items}", false),
            (EventType::CustomEmitted, "{data.name} {data.data.stamps}", true),
            (EventType::RuleSuspended, "{member.first_name}", false),
        ] {
            let wording: Wording = text.parse().unwrap();
            assert_eq!(wording.check_for(kind).is_ok(), is_good, "{kind} {text}");
        }
    }
}
