//! Short texts from outside, checked once at the door.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use smol_str::SmolStr;

/// Why a text from outside is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadText {
    /// Nothing in it.
    #[error("must not be empty")]
    Empty,
    /// Longer than the field allows.
    #[error("must be at most {max} bytes long")]
    TooLong {
        /// The limit in bytes.
        max: usize,
    },
    /// NUL and its kin: PostgreSQL refuses NUL in text, and no till needs the others.
    #[error("must not contain control characters (U+{:04X})", *code)]
    Control {
        /// The offending code point.
        code: u32,
    },
    /// `" m-42"` and `"m-42"` would be two guests to us and one to people.
    #[error("must not start or end with white space")]
    Padded,
}

/// A text of 1 to `MAX` bytes without control characters or surrounding white space.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Text<const MAX: usize>(SmolStr);

/// A name or an id given by somebody else's system.
pub type Name = Text<200>;
/// What a POS calls its event or order; long enough for compound keys such as `square:evt_…`.
pub type Key = Text<255>;
/// A sentence for people, such as a reason.
pub type Note = Text<500>;

impl<const MAX: usize> Text<MAX> {
    /// Checks `text` and wraps it.
    pub fn parse(text: &str) -> Result<Self, BadText> {
        check(text, MAX)?;
        Ok(Self(text.into()))
    }

    /// Checks `text` and takes it as it is.
    pub fn parse_shared(text: SmolStr) -> Result<Self, BadText> {
        check(&text, MAX)?;
        Ok(Self(text))
    }

    /// The text, to be copied cheaply.
    pub fn shared(&self) -> &SmolStr {
        &self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(text: &str, max: usize) -> Result<(), BadText> {
    if text.is_empty() {
        return Err(BadText::Empty);
    }
    if text.len() > max {
        return Err(BadText::TooLong { max });
    }
    if !is_plain(text) {
        if let Some(c) = text.chars().find(|c| c.is_control()) {
            return Err(BadText::Control { code: c as u32 });
        }
        if text.trim().len() != text.len() {
            return Err(BadText::Padded);
        }
    }
    Ok(())
}

/// Whether it is printable ASCII without a space at either end, as most texts are: then nothing else need be looked at.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
        && ![bytes.first(), bytes.last()].contains(&Some(&b' '))
}

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = BadText;
    fn from_str(text: &str) -> Result<Self, BadText> {
        Self::parse(text)
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<const MAX: usize> JsonSchema for Text<MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX })
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const MAX: usize>;
        impl<const MAX: usize> serde::de::Visitor<'_> for Visitor<MAX> {
            type Value = Text<MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a text of 1 to {MAX} bytes")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text<MAX>, E> {
                Text::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_would_hurt_later_are_refused() {
        for (text, why) in [
            ("", BadText::Empty),
            ("a\0b", BadText::Control { code: 0 }),
            ("a\nb", BadText::Control { code: 10 }),
            (" a", BadText::Padded),
            ("123456789", BadText::TooLong { max: 8 }),
        ] {
            assert_eq!(Text::<8>::parse(text), Err(why), "{text:?}");
        }
        assert_eq!(Text::<8>::parse("Ana 🍜").as_deref(), Ok("Ana 🍜"));
    }
}
