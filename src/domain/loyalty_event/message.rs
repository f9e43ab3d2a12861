//! How a loyalty event is written: the canonical message.

use schemars::JsonSchema;
use serde::Serialize;

use super::{EventData, LoyaltyEvent};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::ids::EventId;
use crate::domain::json::{instant, to_json};
use crate::domain::member::MemberFace;
use crate::domain::offering::{ExperienceNews, MenuItemNews, Offering, OfferingNews};
use crate::domain::text::Key;

/// Its own fields.
impl Serialize for EventData {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        DataWithSource { data: self, source_event: None }.serialize(serializer)
    }
}

/// The canonical message.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(in crate::domain) struct Message<'a, D> {
    /// The event's id, the same in every delivery of it.
    id: EventId,
    /// The event's type.
    #[serde(rename = "type")]
    kind: &'static str,
    /// When it happened.
    #[serde(serialize_with = "instant")]
    #[schemars(with = "Timestamp")]
    timestamp: Timestamp,
    /// The chain.
    chain: &'a ChainId,
    /// The member as of the end of what caused the event; absent when it is about none.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<&'a MemberFace>,
    /// What happened.
    data: D,
}

/// The `data` of the message: the event's own fields, then the source event's key.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(in crate::domain) struct With<'a, T> {
    #[serde(flatten)]
    own: &'a T,
    /// Key of the source event that caused it; absent for what a schedule caused.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_event: Option<&'a Key>,
}

/// [`With`], whatever the type.
struct DataWithSource<'a> {
    data: &'a EventData,
    source_event: Option<&'a Key>,
}

impl Serialize for DataWithSource<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let source_event = self.source_event;
        match self.data {
            EventData::MemberEnrolled(own) => With { own: &**own, source_event }.serialize(serializer),
            EventData::OrderCreated(own) | EventData::OrderUpdated(own) | EventData::OrderCompleted(own) => {
                With { own, source_event }.serialize(serializer)
            }
            EventData::OrderCancelled(own) => With { own, source_event }.serialize(serializer),
            EventData::MemberMerged(own) | EventData::MemberUnmerged(own) => {
                With { own: &**own, source_event }.serialize(serializer)
            }
            EventData::MemberErased(own) => With { own: &**own, source_event }.serialize(serializer),
            EventData::MemberBirthday(own) => With { own, source_event }.serialize(serializer),
            EventData::MemberAnniversary(own) => With { own, source_event }.serialize(serializer),
            EventData::MemberIdentified(own) => With { own, source_event }.serialize(serializer),
            EventData::SessionStarted(own) => With { own, source_event }.serialize(serializer),
            EventData::SessionEnded(own) => With { own, source_event }.serialize(serializer),
            EventData::CartAbandoned(own) => With { own, source_event }.serialize(serializer),
            EventData::SignalReceived(own) => With { own, source_event }.serialize(serializer),
            EventData::CustomEmitted(own) => With { own, source_event }.serialize(serializer),
            EventData::CampaignExhausted(own) => With { own, source_event }.serialize(serializer),
            EventData::MemberUpdated(own) => With { own: &**own, source_event }.serialize(serializer),
            EventData::OrderRefunded(own) => With { own, source_event }.serialize(serializer),
            EventData::VisitRecorded(own) => With { own, source_event }.serialize(serializer),
            EventData::PointsEarned(own)
            | EventData::PointsDeducted(own)
            | EventData::PointsAdjusted(own)
            | EventData::PointsExpired(own)
            | EventData::PointsRedeemed(own)
            | EventData::PointsReturned(own)
            | EventData::PointsClawedBack(own) => With { own, source_event }.serialize(serializer),
            EventData::RedemptionCreated(own) | EventData::Redemption(own) => {
                With { own, source_event }.serialize(serializer)
            }
            EventData::TierUpgraded(own) | EventData::TierDowngraded(own) => {
                With { own, source_event }.serialize(serializer)
            }
            EventData::TierWillDowngrade(own) => With { own, source_event }.serialize(serializer),
            EventData::PointsPending(own) => With { own, source_event }.serialize(serializer),
            EventData::PointsExpiringSoon(own) => With { own, source_event }.serialize(serializer),
            EventData::AchievementEarned(own) => With { own, source_event }.serialize(serializer),
            EventData::AchievementProgressed(own) => With { own, source_event }.serialize(serializer),
            EventData::AchievementRevoked(own) => With { own, source_event }.serialize(serializer),
            EventData::ReferralCreated(own)
            | EventData::ReferralApproved(own)
            | EventData::ReferralRejected(own)
            | EventData::ReferralExpired(own)
            | EventData::ReferralRevoked(own) => With { own: &**own, source_event }.serialize(serializer),
            EventData::StreakBroken(own) => With { own, source_event }.serialize(serializer),
            EventData::Coupon(_, own) => With { own: &**own, source_event }.serialize(serializer),
            EventData::SegmentEntered(own) | EventData::SegmentExited(own) => {
                With { own, source_event }.serialize(serializer)
            }
            EventData::MemberAtRisk(own)
            | EventData::MemberChurned(own)
            | EventData::MemberReactivated(own) => With { own, source_event }.serialize(serializer),
            EventData::RuleSuspended(own) => With { own: &**own, source_event }.serialize(serializer),
            EventData::RuleResumed(own) => With { own: &**own, source_event }.serialize(serializer),
            EventData::EndpointFailing(own) => With { own: &**own, source_event }.serialize(serializer),
            EventData::EndpointDisabled(own) => With { own: &**own, source_event }.serialize(serializer),
            EventData::EndpointEnabled(own) => With { own: &**own, source_event }.serialize(serializer),
            EventData::EndpointRecovered(own) => With { own: &**own, source_event }.serialize(serializer),
            EventData::DeliveryExhausted(own) => With { own: &**own, source_event }.serialize(serializer),
            EventData::LaneBlocked(own) => With { own: &**own, source_event }.serialize(serializer),
            EventData::Offering(OfferingNews { what: Offering::Experience, about, .. }) => {
                With { own: &ExperienceNews { experience: about }, source_event }.serialize(serializer)
            }
            EventData::Offering(OfferingNews { what: Offering::MenuItem, about, .. }) => {
                With { own: &MenuItemNews { menu_item: about }, source_event }.serialize(serializer)
            }
        }
    }
}

impl LoyaltyEvent {
    /// The canonical JSON: what the store keeps, the API shows and the `standard` dialect sends.
    pub fn to_json(&self) -> String {
        let message = Message {
            id: self.id,
            kind: self.kind().as_str(),
            timestamp: self.at,
            chain: &self.chain,
            member: self.subject.as_ref().map(|subject| &*subject.face),
            data: DataWithSource { data: &self.data, source_event: self.source_key.as_ref() },
        };
        to_json(&message)
    }
}
