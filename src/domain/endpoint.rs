//! Endpoints: where loyalty events go, which of them, and how they leave.

mod pattern;
mod secret;
mod settings;
mod wording;

use std::collections::BTreeMap;

use serde::Serialize;

use super::Timestamp;
use super::chain::ChainId;
use super::ids::EndpointId;
use super::loyalty_event::{EventData, EventType};
use super::text::{Name, Note};

pub use self::pattern::{BadPattern, EventPattern};
pub use self::secret::{BadSecret, Secret};
pub use self::settings::{
    Bounded, Concurrency, Failing, Lane, OutOfBounds, PerMinute, Seconds, Settings, Texts, TimeoutS,
};
pub use self::wording::{BadWording, Choice, Part, Wording};
pub use super::dialect::Dialect;

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
    /// How deliveries leave.
    pub settings: Settings,
    /// The signing secret.
    pub secret: Secret,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
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
            secret,
            created_at: now,
            updated_at: now,
        }
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
