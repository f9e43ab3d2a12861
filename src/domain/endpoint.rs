//! Endpoints: where loyalty events go, which of them, and how they leave.

mod auth;
mod filter;
mod keys;
mod pair;
mod pattern;
mod script;
mod secret;
mod settings;
mod wording;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::Timestamp;
use super::chain::ChainId;
use super::ids::EndpointId;
use super::loyalty_event::{EventData, EventType};
use super::precondition::Tag;
use super::text::{Name, Note};

pub use self::auth::{Auth, BadAuth, ClientCredentials, Credential, Identity};
pub use self::filter::{BadCondition, Condition, Filter, FilterPart};
pub use self::keys::{
    BadKeys, CannotEnd, KeyNumber, Keys, NoRotation, OlderKey, Scheme, Signatures, Signers, SigningKey,
};
pub use self::pair::{BadPair, SigningPair};
pub use self::pattern::{BadPattern, EventPattern};
pub use self::script::{BadScript, Script};
pub use self::secret::{BadSecret, Secret};
pub use self::settings::{
    Bounded, Concurrency, Failing, Lane, OutOfBounds, PerMinute, Seconds, Settings, Texts, TimeoutS,
};
pub use self::wording::{BadWording, Choice, Part, Wording};
pub use super::dialect::Dialect;

/// Whether deliveries leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
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
    /// The same, because somebody wants it so for a while.
    Paused {
        /// Since when.
        #[serde(rename = "paused_at")]
        at: Timestamp,
        /// When it is enabled again; without it, when somebody does that.
        #[serde(rename = "paused_until")]
        until: Option<Timestamp>,
    },
}

/// Where loyalty events go.
#[derive(Clone, PartialEq)]
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
    /// How deliveries leave.
    pub settings: Settings,
    /// What signs.
    pub keys: Keys,
    /// How we say who we are, to a receiver that wants more than signatures.
    pub auth: Option<Auth>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// One when it is new, and one more with every change.
    pub revision: i64,
}

impl Endpoint {
    /// A new one in the standard dialect, enabled, that nothing goes to yet.
    pub fn new(id: EndpointId, chain: ChainId, url: url::Url, secret: Secret, now: Timestamp) -> Self {
        Self {
            id,
            chain,
            url,
            description: None,
            dialect: Dialect::default(),
            events: Vec::new(),
            tags: Vec::new(),
            headers: BTreeMap::new(),
            state: EndpointState::Enabled,
            settings: Settings::default(),
            keys: Keys::new(secret, now),
            auth: None,
            created_at: now,
            updated_at: now,
            revision: 1,
        }
    }

    /// The state that it is in.
    pub fn tag(&self) -> Tag {
        self.revision.into()
    }

    /// One to test with.
    #[cfg(test)]
    #[allow(clippy::unwrap_used, reason = "tests")]
    pub fn sample(url: &str) -> Self {
        let (id, secret) = (EndpointId::new(ulid::Ulid(1)), Secret::of(&[1; 32]));
        Self::new(id, "harvest".parse().unwrap(), url.parse().unwrap(), secret, Timestamp::UNIX_EPOCH)
    }

    /// The parts of its subscription that cover this event.
    pub fn asks_for<'a>(&'a self, event: &EventData) -> impl Iterator<Item = &'a EventPattern> {
        self.covering(event.kind(), self.dialect.is_also(event))
    }

    /// Whether it should have got an event of this type that was told before, by its canonical message. What its filter would have
    /// said of the member as they were cannot be asked any more, and what is told of delivery is of no use later.
    pub fn asked_for(&self, kind: EventType, message: &str) -> bool {
        let can_be_made_up_for = self.settings.filter.is_none() && !kind.is_about_delivery();
        can_be_made_up_for
            && self.covering(kind, self.dialect.message_is_also(kind, message)).next().is_some()
    }

    /// The type that it is subscribed to first, if it is to any.
    pub fn first_asked_for(&self) -> Option<EventType> {
        let of = |pattern: &EventPattern| {
            EventType::ALL.iter().copied().find(|kind| pattern.covers(*kind, self.dialect))
        };
        self.events.iter().find_map(of)
    }

    fn covering(&self, kind: EventType, also: Option<EventType>) -> impl Iterator<Item = &EventPattern> {
        let covers = move |pattern: &EventPattern, kind: EventType| pattern.covers(kind, self.dialect);
        self.events
            .iter()
            .filter(move |pattern| covers(pattern, kind) || also.is_some_and(|also| covers(pattern, also)))
    }

    /// Whether its subscription covers this type, as it stands.
    pub fn subscribes_to(&self, kind: EventType) -> bool {
        self.events.iter().any(|pattern| pattern.covers(kind, self.dialect))
    }

    /// The name by which it asks for events of this type, where that is not the usual one.
    pub fn asks_by_name(&self, kind: EventType) -> Option<&'static str> {
        let name = self.dialect.other_name_of(kind)?;
        self.events.contains(&EventPattern::Called(self.dialect, kind)).then_some(name)
    }

    /// Whether its filter means what it meant before.
    pub fn filters_like(&self, before: &Self) -> bool {
        self.settings.filter == before.settings.filter
            && (self.settings.filter.is_none()
                || self.dialect == before.dialect && self.events == before.events)
    }

    /// Whether its transform makes of every event what it made before.
    pub fn transforms_like(&self, before: &Self) -> bool {
        self.settings.transform == before.settings.transform
            && (self.settings.transform.is_none()
                || self.dialect == before.dialect && self.events == before.events)
    }

    /// Whether deliveries leave.
    pub const fn is_enabled(&self) -> bool {
        matches!(self.state, EndpointState::Enabled)
    }

    /// When it is enabled again by itself, if it is paused until then.
    pub const fn paused_until(&self) -> Option<Timestamp> {
        match self.state {
            EndpointState::Paused { until, .. } => until,
            EndpointState::Enabled | EndpointState::Disabled { .. } => None,
        }
    }
}

/// Headers, addresses and keys are often secrets, so none of them is shown.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("chain", &self.chain).field("id", &self.id).finish_non_exhaustive()
    }
}
