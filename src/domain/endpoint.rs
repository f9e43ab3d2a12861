//! Endpoints: where loyalty events go, and which of them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::chain::ChainId;
use super::ids::EndpointId;
use super::loyalty_event::EventType;
use super::text::{Name, Note};

/// Which loyalty events an endpoint wants: `points.earned`, `points.*` or `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventPattern {
    /// Every event.
    All,
    /// Every event whose name begins with this noun and a dot.
    Noun(Box<str>),
    /// One type.
    One(EventType),
}

/// Why a text is not an event pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{given}` matches no loyalty event; write a type such as points.earned, a noun such as points.*, or *"
)]
pub struct BadPattern {
    given: String,
}

impl EventPattern {
    /// Whether events of this type are wanted.
    pub fn matches(&self, kind: EventType) -> bool {
        match self {
            Self::All => true,
            Self::Noun(noun) => kind.as_str().strip_prefix(&**noun).is_some_and(|rest| rest.starts_with('.')),
            Self::One(one) => *one == kind,
        }
    }
}

impl FromStr for EventPattern {
    type Err = BadPattern;
    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let pattern = match text {
            "*" => Some(Self::All),
            _ => match text.strip_suffix(".*") {
                Some(noun) => Some(Self::Noun(noun.into())),
                None => text.parse().ok().map(Self::One),
            },
        };
        pattern
            .filter(|p| EventType::ALL.iter().any(|kind| p.matches(*kind)))
            .ok_or_else(|| BadPattern { given: text.to_owned() })
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Noun(noun) => write!(f, "{noun}.*"),
            Self::One(kind) => f.write_str(kind.as_str()),
        }
    }
}

impl Serialize for EventPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The wire formats that an endpoint may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Standard Webhooks 1.0.
    #[default]
    Standard,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Standard];

    /// The word used in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
        }
    }
}

impl<'de> Deserialize<'de> for Dialect {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::json::from_text(deserializer, "a dialect: `standard`")
    }
}

impl FromStr for Dialect {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|d| d.as_str() == word).ok_or(())
    }
}

/// Whether deliveries leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum EndpointState {
    /// Deliveries leave.
    Enabled,
    /// Deliveries wait as rows and leave when it is enabled again.
    Disabled {
        /// Why, for people.
        #[serde(rename = "disabled_reason")]
        reason: Note,
        /// Since when.
        #[serde(rename = "disabled_at")]
        at: Timestamp,
    },
}

/// A signing secret. Its text never appears in logs: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

/// Why a text cannot be a signing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `whsec_` followed by the base64 of 24 to 64 random bytes")]
pub struct BadSecret;

impl Secret {
    /// What every secret starts with.
    pub const PREFIX: &'static str = "whsec_";

    /// Checks a secret given by a person.
    pub fn parse(text: &str) -> Result<Self, BadSecret> {
        let secret = Self(text.into());
        match secret.key() {
            Some(key) if (24..=64).contains(&key.len()) => Ok(secret),
            _ => Err(BadSecret),
        }
    }

    /// Makes a secret of 32 random bytes.
    pub fn of(random: &[u8; 32]) -> Self {
        use base64::Engine as _;
        Self(format!("{}{}", Self::PREFIX, base64::prelude::BASE64_STANDARD.encode(random)).into())
    }

    /// The text as shown once to the person who made the endpoint.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The bytes after the prefix: the HMAC key of the `standard` dialect.
    pub fn key(&self) -> Option<Vec<u8>> {
        use base64::Engine as _;
        base64::prelude::BASE64_STANDARD.decode(self.0.strip_prefix(Self::PREFIX)?).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_…")
    }
}

/// Where loyalty events go.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Its chain.
    pub chain: ChainId,
    /// The normalised URL.
    pub url: url::Url,
    /// For people.
    pub description: Option<Note>,
    /// How it is spoken to.
    pub dialect: Dialect,
    /// The loyalty events it gets; may be empty when triggers forward to its tags.
    pub events: Vec<EventPattern>,
    /// Names that triggers forward to.
    pub tags: Vec<Name>,
    /// Extra headers of every request; never the protocol's own.
    pub headers: BTreeMap<String, String>,
    /// Whether deliveries leave.
    pub state: EndpointState,
    /// The signing secret.
    pub secret: Secret,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl Endpoint {
    /// Whether its subscription covers this type.
    pub fn subscribes(&self, kind: EventType) -> bool {
        self.events.iter().any(|pattern| pattern.matches(kind))
    }

    /// Whether deliveries leave.
    pub const fn is_enabled(&self) -> bool {
        matches!(self.state, EndpointState::Enabled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_cover_what_they_say() {
        let pattern = |text: &str| text.parse::<EventPattern>();
        assert!(pattern("*").unwrap().matches(EventType::TierUpgraded));
        assert!(pattern("points.*").unwrap().matches(EventType::PointsEarned));
        assert!(!pattern("points.*").unwrap().matches(EventType::TierUpgraded));
        assert!(!pattern("points.earned").unwrap().matches(EventType::PointsDeducted));
        for wrong in ["", "point.*", "points", "points.earnt", "**", ".*"] {
            assert!(pattern(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_round_trips_and_hides_from_logs() {
        let secret = Secret::of(&[7; 32]);
        assert_eq!(Secret::parse(secret.reveal()).unwrap().key().unwrap(), vec![7; 32]);
        assert_eq!(format!("{secret:?}"), "whsec_…");
        assert!(Secret::parse("whsec_c2hvcnQ=").is_err());
    }
}
