//! What the engine tells of delivery itself: of endpoints that fail, are disabled and come back, of deliveries that nobody
//! took. Never to the endpoint that it is about, never a secret: of a url the host alone.

use schemars::JsonSchema;
use serde::Serialize;
use smol_str::SmolStr;

use super::Timestamp;
use super::endpoint::Endpoint;
use super::ids::{DeliveryId, EndpointId, EventId, MemberId};

/// How much is told of what went wrong, in characters.
const MAX_REASON: usize = 300;

/// Which endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EndpointFace {
    /// The endpoint's id.
    pub endpoint: EndpointId,
    /// The host of its url.
    pub url_host: SmolStr,
}

impl From<&Endpoint> for EndpointFace {
    fn from(endpoint: &Endpoint) -> Self {
        Self { endpoint: endpoint.id, url_host: endpoint.url.host_str().unwrap_or_default().into() }
    }
}

/// The `data` of `endpoint.failing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EndpointFailing {
    /// Which endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointFace,
    /// Since when it has taken nothing.
    pub since: Timestamp,
    /// What went wrong last.
    pub reason: SmolStr,
    /// From when on it is disabled if it still takes nothing.
    pub disabled_from: Timestamp,
}

/// The `data` of `endpoint.disabled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EndpointDisabled {
    /// Which endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointFace,
    /// Why.
    pub reason: SmolStr,
    /// Since when it had taken nothing; absent when it is disabled for another reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// The `data` of `endpoint.enabled`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EndpointEnabled {
    /// Which endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointFace,
    /// Since when it was disabled.
    pub since: Timestamp,
    /// Why it was.
    pub reason: SmolStr,
}

/// The `data` of `endpoint.recovered`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EndpointRecovered {
    /// Which endpoint.
    #[serde(flatten)]
    pub endpoint: EndpointFace,
    /// Since when it had taken nothing.
    pub since: Timestamp,
}

/// A delivery that nobody took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Untaken {
    /// The delivery.
    pub delivery: DeliveryId,
    /// Its loyalty event.
    pub event: EventId,
    /// The type of that.
    pub event_type: SmolStr,
    /// How often it was tried.
    pub tries: u32,
    /// What went wrong last.
    pub reason: SmolStr,
    /// Since when it had been owed.
    pub since: Timestamp,
}

/// The `data` of `delivery.exhausted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DeliveryExhausted {
    /// Which endpoint did not take it.
    #[serde(flatten)]
    pub endpoint: EndpointFace,
    /// What it did not take.
    #[serde(flatten)]
    pub untaken: Untaken,
}

/// The `data` of `lane.blocked`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LaneBlocked {
    /// Whose lane.
    #[serde(flatten)]
    pub endpoint: EndpointFace,
    /// Our id of the member whose lane it is; absent when it is that of the whole endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// What all others wait for.
    #[serde(flatten)]
    pub untaken: Untaken,
}

/// What went wrong, as far as it may be told.
pub fn reason(text: &str) -> SmolStr {
    text.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}
