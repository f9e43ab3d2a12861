//! What would happen of an event, and why: the decision that everybody makes, by a program that tells why, put in words.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::commit::Commit;
use crate::domain::decide::{SourceInput, Undecided};
use crate::domain::delivery::NewDelivery;
use crate::domain::endpoint::{Dialect, Endpoint, EndpointState, EventPattern};
use crate::domain::ids::{EndpointId, EventId};
use crate::domain::loyalty_event::LoyaltyEvent;
use crate::domain::receipt::Receipt;
use crate::domain::text::{Name, Note};

use super::decide::{Case, Decided, announce_and_tell, decide_and_tell};
use super::program::Program;
use super::verdict::{FilterVerdict, RuleVerdict, TierVerdict, TriggerVerdict, Verdict};

/// What would happen. Ids in it are made up: nothing of that name is stored.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Forecast {
    /// Whether the guest would become a member.
    enrols: bool,
    /// While a candidate is tried on some: on which side this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    arm: Option<Arm>,
    /// What whoever sends the event would be answered.
    #[schemars(with = "Receipt")]
    receipt: Box<RawValue>,
    /// Every rule on the event, and on what it came to, in the order in which they are asked.
    rules: Vec<RuleVerdict>,
    /// The conditions of tiers that could have moved the guest.
    tiers: Vec<TierVerdict>,
    /// Every trigger on each of the loyalty events.
    triggers: Vec<TriggerVerdict>,
    /// Every filter of an endpoint that was asked about one of them.
    filters: Vec<FilterVerdict>,
    /// The loyalty events.
    #[schemars(with = "Vec<LoyaltyEvent>")]
    events: Vec<Box<RawValue>>,
    /// What would be sent, and to whom.
    deliveries: Vec<Owed>,
}

/// One of two programs that decide side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The one in force.
    Stable,
    /// The one that is tried on some.
    Candidate,
}

/// A loyalty event that would be sent to an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "OwedDelivery")]
struct Owed {
    event: EventId,
    #[serde(rename = "type")]
    kind: &'static str,
    endpoint: EndpointId,
    url: String,
    description: Option<Note>,
    dialect: Dialect,
    /// Disabled ones get theirs when they are enabled.
    #[serde(flatten)]
    state: EndpointState,
    because: Vec<Reason>,
}

/// Why an endpoint gets an event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "DeliveryReason")]
enum Reason {
    Subscribed { subscribed: EventPattern },
    Forwarded { trigger: Arc<str>, tag: Name },
}

/// Decides a case without anything coming of it.
///
/// # Errors
/// As [`super::decide::decide`].
pub fn forecast(
    program: &Program,
    chain: &ChainId,
    endpoints: &[Arc<Endpoint>],
    case: Case,
) -> Result<Forecast, Undecided> {
    let enrols = case.member.version == 0;
    let decided = decide_and_tell(&program.telling_why(), chain, endpoints, case)?;
    Ok(Forecast { enrols, ..Forecast::of(decided, endpoints) })
}

/// The same of an event that is about no guest; `None` for one that is.
pub fn forecast_announcement(
    program: &Program,
    chain: &ChainId,
    endpoints: &[Arc<Endpoint>],
    input: &SourceInput,
    now: Timestamp,
) -> Option<Forecast> {
    let decided = announce_and_tell(&program.telling_why(), chain, endpoints, input, now)?;
    Some(Forecast::of(decided, endpoints))
}

impl Forecast {
    fn of(decided: Decided, endpoints: &[Arc<Endpoint>]) -> Self {
        let Decided { commit, minutes, .. } = decided;
        let owed = |delivery: &NewDelivery| owed(delivery, &commit, endpoints, &minutes.triggers);
        Self {
            enrols: false,
            arm: None,
            receipt: receipt(&commit),
            events: commit.events.iter().map(|event| as_it_is(event.to_json())).collect(),
            deliveries: commit.deliveries.iter().filter_map(owed).collect(),
            rules: minutes.rules,
            tiers: minutes.tiers,
            triggers: minutes.triggers,
            filters: minutes.filters,
        }
    }

    /// The same, with the side that it is on.
    #[must_use]
    pub fn on(self, arm: Option<Arm>) -> Self {
        Self { arm, ..self }
    }

    /// Of an event that would only be kept.
    pub fn kept(commit: &Commit) -> Self {
        Self::answered(receipt(commit))
    }

    /// Of an event that is known already and would be answered with this receipt.
    pub fn known(receipt: String) -> Self {
        Self::answered(as_it_is(receipt))
    }

    fn answered(receipt: Box<RawValue>) -> Self {
        Self {
            enrols: false,
            arm: None,
            receipt,
            rules: Vec::new(),
            tiers: Vec::new(),
            triggers: Vec::new(),
            filters: Vec::new(),
            events: Vec::new(),
            deliveries: Vec::new(),
        }
    }
}

fn receipt(commit: &Commit) -> Box<RawValue> {
    let json = commit.source.as_ref().map_or_else(|| "null".to_owned(), |change| change.receipt.to_json());
    as_it_is(json)
}

fn as_it_is(json: String) -> Box<RawValue> {
    RawValue::from_string(json).unwrap_or_else(|_| unreachable!("the engine writes JSON"))
}

fn owed(
    delivery: &NewDelivery,
    commit: &Commit,
    endpoints: &[Arc<Endpoint>],
    triggers: &[TriggerVerdict],
) -> Option<Owed> {
    let endpoint = endpoints.iter().find(|endpoint| endpoint.id == delivery.endpoint)?;
    let event = commit.events.iter().find(|event| event.id == delivery.event)?;
    let subscribed =
        endpoint.asks_for(&event.data).map(|pattern| Reason::Subscribed { subscribed: pattern.clone() });
    let forwarded = triggers.iter().filter(|judged| judged.event == event.id).flat_map(|judged| {
        let tags = match &judged.verdict {
            Verdict::Fired(forwarded) => &forwarded.forwarded_to[..],
            Verdict::NotFired(_)
            | Verdict::Excluded(_)
            | Verdict::Closed(_)
            | Verdict::Failed { .. }
            | Verdict::Suspended { .. } => &[],
        };
        let tags = tags.iter().filter(|tag| endpoint.tags.contains(tag));
        tags.map(|tag| Reason::Forwarded { trigger: judged.trigger.clone(), tag: tag.clone() })
    });
    Some(Owed {
        event: event.id,
        kind: event.kind().as_str(),
        endpoint: endpoint.id,
        url: endpoint.url.to_string(),
        description: endpoint.description.clone(),
        dialect: endpoint.dialect,
        state: endpoint.state.clone(),
        because: subscribed.chain(forwarded).collect(),
    })
}
