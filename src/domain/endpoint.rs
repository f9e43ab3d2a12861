//! Endpoints: where loyalty events go, and which of them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::chain::ChainId;
use super::ids::EndpointId;
use super::loyalty_event::{EventData, EventType};
use super::text::{Name, Note};

pub use super::dialect::Dialect;

/// Which loyalty events an endpoint wants: `points.earned`, `points.*` or `*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventPattern {
    /// Every event that the endpoint's dialect documents; in `standard`, every event.
    All,
    /// Every event whose name begins with this noun and a dot.
    Noun(Box<str>),
    /// One type.
    One(EventType),
}

/// Why a text is not an event pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// There is no such event.
    #[error(
        "`{0}` matches no loyalty event; write a type such as points.earned, a noun such as points.*, or *"
    )]
    Unknown(String),
    /// There is one, and the receiver's dialect has no way to say it.
    #[error("the dialect `{dialect}` cannot carry `{pattern}`: its messages need a member", dialect = .dialect.as_str())]
    Unspeakable {
        /// What was asked for.
        pattern: EventPattern,
        /// The dialect.
        dialect: Dialect,
    },
}

impl EventPattern {
    /// Reads what somebody wrote who may know events by the names of `dialect`, too: `SEGMENT_ENTERED`. One name there
    /// may be several types here.
    ///
    /// # Errors
    /// When there is no such event, or the dialect cannot carry it.
    pub fn spoken(text: &str, dialect: Dialect) -> Result<Vec<Self>, BadPattern> {
        match text.parse::<Self>() {
            Ok(pattern) => {
                pattern.check_in(dialect)?;
                Ok(vec![pattern])
            }
            Err(unknown) => {
                let kinds = dialect.kinds_called(text);
                if kinds.is_empty() { Err(unknown) } else { Ok(kinds.into_iter().map(Self::One).collect()) }
            }
        }
    }

    /// Whether anything of it could ever be told in this dialect.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check_in(&self, dialect: Dialect) -> Result<(), BadPattern> {
        let is_carried = |kind: &EventType| self.matches(*kind) && dialect.carries(*kind);
        match EventType::ALL.iter().any(is_carried) {
            true => Ok(()),
            false => Err(BadPattern::Unspeakable { pattern: self.clone(), dialect }),
        }
    }

    /// Whether a receiver of this dialect who asks for it wants events of this type.
    pub fn covers(&self, kind: EventType, dialect: Dialect) -> bool {
        match self {
            Self::All => dialect.documents(kind),
            Self::Noun(_) | Self::One(_) => self.matches(kind) && dialect.carries(kind),
        }
    }

    /// Whether events of this type are meant.
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
            .ok_or_else(|| BadPattern::Unknown(text.to_owned()))
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
pub enum BadSecret {
    /// Its receivers decode it.
    #[error("must be `whsec_` followed by the base64 of 24 to 64 random bytes")]
    NoBytes,
    /// Its receivers take it as it is.
    #[error("must be 16 to 200 visible ASCII characters")]
    NoText,
    /// RFC 7518 §3.2: libraries refuse to verify a token under a shorter key.
    #[error("must be at least 32 characters: it is the key of tokens under HS256")]
    TooShortForTokens,
}

impl Secret {
    /// What every secret of ours starts with.
    pub const PREFIX: &'static str = "whsec_";

    /// Checks a secret given by a person. Receivers that take the text as it is may have any text.
    ///
    /// # Errors
    /// When those who speak the dialect could not use it.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, BadSecret> {
        const TOKEN_KEY: usize = 32;
        let secret = Self::of_text(text);
        match dialect {
            Dialect::Bubblehouse if text.len() < TOKEN_KEY => Err(BadSecret::TooShortForTokens),
            // Whoever verifies the standard headers beside it would decode what looks like a secret of ours.
            _ if dialect.is_keyed_by_text() && !text.starts_with(Self::PREFIX) => secret,
            _ => secret.ok().filter(|secret| secret.bytes().is_some()).ok_or(BadSecret::NoBytes),
        }
    }

    /// A secret of some dialect.
    ///
    /// # Errors
    /// When it is one in none.
    pub fn of_text(text: &str) -> Result<Self, BadSecret> {
        let is_text = (16..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_text { Ok(Self(text.into())) } else { Err(BadSecret::NoText) }
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

    /// The HMAC key of Standard Webhooks: the bytes after the prefix. Of a text that is no such secret, the text.
    pub fn key(&self) -> Vec<u8> {
        self.bytes().unwrap_or_else(|| self.0.as_bytes().to_vec())
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        use base64::Engine as _;
        let bytes = base64::prelude::BASE64_STANDARD.decode(self.0.strip_prefix(Self::PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then_some(bytes)
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
    /// The parts of its subscription that cover this event.
    pub fn asks_for<'a>(&'a self, event: &EventData) -> impl Iterator<Item = &'a EventPattern> {
        let (kind, also) = (event.kind(), self.dialect.is_also(event));
        let covers = move |pattern: &EventPattern, kind: EventType| pattern.covers(kind, self.dialect);
        self.events
            .iter()
            .filter(move |pattern| covers(pattern, kind) || also.is_some_and(|also| covers(pattern, also)))
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
        let parse = |text: &str| Secret::parse(text, Dialect::Standard);
        assert_eq!(parse(secret.reveal()).unwrap().key(), vec![7; 32]);
        assert_eq!(format!("{secret:?}"), "whsec_…");
        assert_eq!(parse("whsec_c2hvcnQ="), Err(BadSecret::NoBytes));
        assert_eq!(parse("whsec_c2hvcnQgc2VjcmV0"), Err(BadSecret::NoBytes));
    }

    #[test]
    fn where_receivers_take_the_text_as_it_is_any_text_will_do() {
        let text = "my-own-secret-of-old";
        assert_eq!(Secret::parse(text, Dialect::Guestiq).unwrap().key(), text.as_bytes());
        assert_eq!(Secret::parse(text, Dialect::EventsWebhook), Err(BadSecret::NoBytes));
        assert_eq!(Secret::parse("whsec_c2hvcnQgc2VjcmV0", Dialect::Guestiq), Err(BadSecret::NoBytes));
        assert_eq!(Secret::parse(text, Dialect::Bubblehouse), Err(BadSecret::TooShortForTokens));
        let long = "a-key-of-32-characters-or-more-is-it";
        assert_eq!(Secret::parse(long, Dialect::Bubblehouse).unwrap().key(), long.as_bytes());
        for wrong in ["short", "with a blank in between", "mit-Umläuten-geschrieben", &"a".repeat(201)] {
            assert_eq!(Secret::parse(wrong, Dialect::Guestiq), Err(BadSecret::NoText), "{wrong}");
        }
    }

    #[test]
    fn a_star_means_what_the_product_documents_and_a_name_means_what_it_says() {
        let covers = |text: &str, kind, dialect| {
            EventPattern::spoken(text, dialect).unwrap().iter().any(|pattern| pattern.covers(kind, dialect))
        };
        for (text, kind, dialect, expected) in [
            ("*", EventType::PointsEarned, Dialect::Standard, true),
            ("*", EventType::PointsEarned, Dialect::Guestiq, false),
            ("*", EventType::SegmentEntered, Dialect::Guestiq, true),
            ("points.*", EventType::PointsEarned, Dialect::Guestiq, true),
            ("POINTS_EARNED", EventType::PointsEarned, Dialect::Guestiq, true),
            ("SEGMENT_ENTERED", EventType::SegmentExited, Dialect::Guestiq, false),
            ("customer.created", EventType::MemberEnrolled, Dialect::Loyali, true),
            ("order.update", EventType::OrderCompleted, Dialect::Gustaio, true),
            ("order.update", EventType::OrderCreated, Dialect::Gustaio, false),
            ("Points Updated", EventType::PointsReturned, Dialect::Bubblehouse, true),
            ("Referral Approved (Sender)", EventType::ReferralApproved, Dialect::Bubblehouse, true),
            ("*", EventType::MenuItemCreated, Dialect::Bubblehouse, false),
        ] {
            assert_eq!(covers(text, kind, dialect), expected, "{text} {kind} {dialect:?}");
        }
        for (text, dialect) in [
            ("SEGMENT_ENTERED", Dialect::Standard),
            ("order.updates", Dialect::Gustaio),
            ("menu_item.*", Dialect::Bubblehouse),
            ("rule.suspended", Dialect::Bubblehouse),
        ] {
            assert!(EventPattern::spoken(text, dialect).is_err(), "{text} {dialect:?}");
        }
    }
}
