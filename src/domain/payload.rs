//! JSON that the engine hands on without knowing what it means: an object, bounded, kept as it came.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The largest, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// The deepest: the object itself is the first level.
const MAX_DEPTH: u8 = 16;
/// The longest list in it: as long as a rule could look at.
const MAX_LIST: usize = 500;

/// A JSON object of somebody else's. Its text is kept to the byte.
#[derive(Debug, Clone)]
pub struct Payload(Arc<RawValue>);

/// One value of a payload, a level at a time. Numbers are exact.
#[derive(Debug)]
pub enum Piece<'a> {
    /// `null`, or a number that no amount comes near.
    Nothing,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Decimal),
    /// A text.
    Text(String),
    /// The elements of a list.
    List(Vec<&'a RawValue>),
    /// The fields of an object.
    Object(BTreeMap<String, &'a RawValue>),
}

impl Payload {
    /// Reads the text of an object.
    ///
    /// # Errors
    /// What is wrong with it, to go on after the field's name.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("has {} bytes; at most {MAX_BYTES} are taken", text.len()));
        }
        if !text.trim_ascii_start().starts_with('{') {
            return Err("must be a JSON object".to_owned());
        }
        let mut deserializer = serde_json::Deserializer::from_str(text);
        Level(MAX_DEPTH).deserialize(&mut deserializer).map_err(|error| said(&error))?;
        let raw = RawValue::from_string(text.to_owned()).map_err(|error| said(&error))?;
        Ok(Self(raw.into()))
    }

    /// An object without fields.
    pub fn empty() -> Self {
        Self::parse("{}").unwrap_or_else(|_| unreachable!("a fixed text"))
    }

    /// Its text.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// The object, one level of it.
    pub fn piece(&self) -> Piece<'_> {
        Piece::of(&self.0)
    }
}

/// Without the place, which counts from where nobody can see.
fn said(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let said = error.to_string();
    said.strip_suffix(&place).unwrap_or(&said).to_owned()
}

impl<'a> Piece<'a> {
    /// The value whose text is `raw`.
    pub fn of(raw: &'a RawValue) -> Self {
        let text = raw.get();
        let read = match text.as_bytes().first() {
            Some(b'{') => serde_json::from_str(text).map(Self::Object),
            Some(b'[') => serde_json::from_str(text).map(Self::List),
            Some(b'"') => serde_json::from_str(text).map(Self::Text),
            Some(b't') => Ok(Self::Bool(true)),
            Some(b'f') => Ok(Self::Bool(false)),
            Some(b'n') | None => Ok(Self::Nothing),
            Some(_) => Ok(number(text).map_or(Self::Nothing, Self::Number)),
        };
        read.unwrap_or(Self::Nothing)
    }
}

fn number(text: &str) -> Option<Decimal> {
    text.parse().ok().or_else(|| Decimal::from_scientific(text).ok())
}

/// Walks a value and keeps nothing of it: so many levels may begin here.
#[derive(Clone, Copy)]
struct Level(u8);

impl Level {
    fn below<E: Error>(self) -> Result<Self, E> {
        let too_deep = || E::custom(format_args!("is nested too deeply; {MAX_DEPTH} levels are taken"));
        self.0.checked_sub(1).map(Self).ok_or_else(too_deep)
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let below = self.below()?;
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(below)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let below = self.below()?;
        for _ in 0..MAX_LIST {
            if list.next_element_seed(below)?.is_none() {
                return Ok(());
            }
        }
        match list.next_element::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom(format_args!("has a list of more than {MAX_LIST} values"))),
        }
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get()).map_err(D::Error::custom)
    }
}

impl JsonSchema for Payload {
    fn schema_name() -> Cow<'static, str> {
        "Payload".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_kept_to_the_byte() {
        let text = r#"{ "price": 14.500000000000000000001, "b":1,"a" : [ {"\u0061":"x"} ] }"#;
        let payload = Payload::parse(text).unwrap();
        assert_eq!(serde_json::to_string(&payload).unwrap(), text);
        let Piece::Object(fields) = payload.piece() else { panic!("an object") };
        let Piece::Number(price) = Piece::of(fields["price"]) else { panic!("a number") };
        assert_eq!(price.to_string(), "14.500000000000000000001");
        let Piece::List(list) = Piece::of(fields["a"]) else { panic!("a list") };
        let Piece::Object(inner) = Piece::of(list[0]) else { panic!("an object") };
        assert!(matches!(Piece::of(inner["a"]), Piece::Text(text) if text == "x"));
    }

    #[test]
    fn what_is_too_much_or_no_object_is_refused_in_words() {
        let deep = |levels: usize| format!(r#"{{"a":{}1{}}}"#, "[".repeat(levels), "]".repeat(levels));
        let list = |length: usize| format!(r#"{{"a":[{}]}}"#, vec!["1"; length].join(","));
        for (text, said) in [
            ("[1]".to_owned(), "must be a JSON object"),
            ("7".to_owned(), "must be a JSON object"),
            (deep(16), "is nested too deeply; 16 levels are taken"),
            (deep(5_000), "is nested too deeply; 16 levels are taken"),
            (list(501), "has a list of more than 500 values"),
            (format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_BYTES)), "has 65544 bytes; at most 65536 are taken"),
        ] {
            assert_eq!(Payload::parse(&text).unwrap_err(), said);
        }
        assert!(Payload::parse(&deep(15)).is_ok() && Payload::parse(&list(500)).is_ok());
    }
}
