//! A chain: one brand and its loyalty program. The tenant.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono_tz::Tz;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::money::Currency;
use super::precondition::Tag;
use super::text::Name;

/// A chain's id, which is also the name of its folder under `rules/`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ChainId(Arc<str>);

/// Why a text is not a chain id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 characters of a-z, 0-9, `-` and `_`, beginning with a letter or digit")]
pub struct BadChainId;

impl ChainId {
    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChainId {
    type Err = BadChainId;
    fn from_str(text: &str) -> Result<Self, BadChainId> {
        let good = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
            && !text.starts_with(['-', '_']);
        if good { Ok(Self(text.into())) } else { Err(BadChainId) }
    }
}

impl JsonSchema for ChainId {
    fn schema_name() -> Cow<'static, str> {
        "ChainId".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$" })
    }
}

impl<'de> Deserialize<'de> for ChainId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Borrow<str> for ChainId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A chain as it is configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// Its id.
    pub id: ChainId,
    /// Its name for people.
    pub name: Name,
    /// Its calendar: days, weekdays and schedules of the program follow it.
    pub timezone: Tz,
    /// The currency of every amount.
    pub currency: Currency,
    /// When it was created.
    pub created_at: Timestamp,
    /// One when it is new, and one more with every change.
    pub revision: i64,
}

impl Chain {
    /// The state that it is in.
    pub fn tag(&self) -> Tag {
        self.revision.into()
    }
}
