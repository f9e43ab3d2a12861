//! The canonical message, read so that it can be said otherwise.
//!
//! Numbers stay the texts that they are: nothing here goes through a float. What was not told reads as nothing, because
//! of somebody who was erased little is told, and that, too, has to be sayable.

use std::collections::BTreeMap;
use std::fmt;

use chrono::SecondsFormat;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::Unsendable;
use crate::domain::Timestamp;
use crate::domain::ids::{EventId, MemberId};
use crate::domain::loyalty_event::EventType;

/// A value as it stands in the canonical message; `null` when it is not there.
pub(super) type Raw<'a> = Option<&'a RawValue>;

/// A list of such values; empty when it is not there.
pub(super) type List<'a> = Vec<&'a RawValue>;

/// A loyalty event as it was told.
#[derive(Debug, Deserialize)]
pub(super) struct Told<'a> {
    pub(super) id: EventId,
    #[serde(rename = "type")]
    pub(super) kind: EventType,
    pub(super) timestamp: Timestamp,
    pub(super) chain: String,
    #[serde(borrow)]
    pub(super) member: Option<Face<'a>>,
    data: &'a RawValue,
}

/// The member as they were shown.
#[derive(Debug, Deserialize)]
pub(super) struct Face<'a> {
    pub(super) id: String,
    pub(super) member_id: Option<MemberId>,
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
    pub(super) first_name: Option<String>,
    pub(super) last_name: Option<String>,
    pub(super) full_name: Option<String>,
    pub(super) tier: Option<String>,
    pub(super) tier_name: Option<String>,
    pub(super) manual_tier: Option<String>,
    pub(super) system_tier: Option<String>,
    #[serde(borrow)]
    pub(super) points: Raw<'a>,
    pub(super) next_expiration: Option<NextExpiration<'a>>,
    #[serde(default)]
    pub(super) segments: Segments<'a>,
}

/// Points that will be gone.
#[derive(Debug, Deserialize)]
pub(super) struct NextExpiration<'a> {
    #[serde(borrow)]
    pub(super) amount: &'a RawValue,
    pub(super) at: Timestamp,
}

/// The names of the member's segments.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Segments<'a> {
    #[serde(borrow)]
    pub(super) primary: List<'a>,
    pub(super) compound: List<'a>,
    pub(super) cohorts: List<'a>,
}

impl<'a> Segments<'a> {
    /// In one list, as products show them that do not know types. Cohorts are something else there.
    pub(super) fn flat(&self) -> List<'a> {
        [&self.primary[..], &self.compound].concat()
    }
}

impl<'a> Told<'a> {
    /// Reads the canonical message.
    pub(super) fn read(message: &'a str) -> Result<Self, Unsendable> {
        serde_json::from_str(message).map_err(unreadable)
    }

    /// What happened, as much of it as `T` asks for.
    pub(super) fn data<T: Deserialize<'a>>(&self) -> Result<T, Unsendable> {
        serde_json::from_str(self.data.get()).map_err(unreadable)
    }

    /// What happened, all of it, in camel case.
    pub(super) fn camel(&self) -> Camel<'a> {
        Camel(self.data)
    }

    /// By what the chain knows the member.
    pub(super) fn member_id(&self) -> Option<&str> {
        self.member.as_ref().map(|member| &*member.id)
    }

    /// The member's segments.
    pub(super) fn segments(&self) -> Segments<'a> {
        self.member.as_ref().map(|member| member.segments.clone()).unwrap_or_default()
    }
}

fn unreadable(error: serde_json::Error) -> Unsendable {
    Unsendable::Unreadable(error.to_string())
}

/// An instant, written with milliseconds.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Millis(pub(super) Timestamp);

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// An instant, written with whole seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seconds(pub(super) Timestamp);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value whose keys are written in camel case, however deep; those that somebody else chose stay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Camel<'a>(&'a RawValue);

/// What is in them is not ours.
const THEIRS: [&str; 7] =
    ["data", "experience", "menu_item", "experience_details", "attributes", "custom_attributes", "consents"];

impl Serialize for Camel<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let broken = serde::ser::Error::custom::<serde_json::Error>;
        let text = self.0.get();
        match text.as_bytes().first() {
            Some(b'{') => {
                let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(broken)?;
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    if THEIRS.contains(&&*name) {
                        map.serialize_entry(&camel(&name), value)?;
                    } else {
                        map.serialize_entry(&camel(&name), &Camel(value))?;
                    }
                }
                map.end()
            }
            Some(b'[') => {
                let list: List<'_> = serde_json::from_str(text).map_err(broken)?;
                serializer.collect_seq(list.into_iter().map(Camel))
            }
            _ => self.0.serialize(serializer),
        }
    }
}

fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    for (nth, word) in name.split('_').enumerate() {
        let mut chars = word.chars();
        match chars.next() {
            Some(first) if nth > 0 => camel.push(first.to_ascii_uppercase()),
            first => camel.extend(first),
        }
        camel.push_str(chars.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_any_alphabet_join() {
        for (name, camel_case) in
            [("new_balance", "newBalance"), ("punkte_übrig", "punkteübrig"), ("_a__b", "AB"), ("", "")]
        {
            assert_eq!(camel(name), camel_case);
        }
    }

    #[test]
    fn keys_of_ours_become_camel_case_and_those_of_others_and_all_numbers_stay() {
        let ours = r#"{"new_balance":24.50,"items":[{"dish_id":1e2}],"data":{"my_key":0.10},"a":null}"#;
        let raw: &RawValue = serde_json::from_str(ours).unwrap();
        assert_eq!(
            serde_json::to_string(&Camel(raw)).unwrap(),
            r#"{"a":null,"data":{"my_key":0.10},"items":[{"dishId":1e2}],"newBalance":24.50}"#
        );
    }
}
