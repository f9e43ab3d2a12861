//! What rules react to: everything that an event, a tick or a deadline came to.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::coupon::UsageKind;
use super::loyalty_event::{EventData, EventType};
use super::payload::Payload;
use super::session::Signal;

/// What a rule reacted to, as it was told. A failed rule keeps it, so that it is asked about the very same again.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaction {
    /// What was told.
    pub told: EventData,
    /// The reactions that led to it, the first one first; none for what the event itself came to.
    pub after: Vec<Step>,
}

/// A reaction on the way to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was told, as rules call it.
    pub event: SmolStr,
    /// The rule that reacted to it.
    pub rule: Arc<str>,
}

impl Reaction {
    /// What was told. What came with a signal is in its source event, and is not kept a second time.
    pub fn recalled(&self, signal: Option<&Signal>) -> EventData {
        match (&self.told, signal) {
            (EventData::SignalReceived(_), Some(signal)) => EventData::SignalReceived(signal.clone()),
            (told, _) => told.clone(),
        }
    }

    /// The way to what a rule tells that reacts to this.
    pub fn on(&self, rule: &Arc<str>) -> Vec<Step> {
        let step = Step { event: self.told.name().into(), rule: rule.clone() };
        self.after.iter().cloned().chain([step]).collect()
    }
}

/// The way to it, for people.
impl fmt::Display for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Step { event, rule } in &self.after {
            write!(f, "{event} → rule \"{rule}\" → ")?;
        }
        write!(f, "{}", self.told.name())
    }
}

impl JsonSchema for Reaction {
    fn schema_name() -> Cow<'static, str> {
        "Reaction".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "What was told, and the way to it: pairs of what was told before and the rule that reacted to that.",
            "properties": {
                "type": generator.subschema_for::<EventType>(),
                "data": { "type": "object" },
                "after": { "type": "array", "items": {
                    "type": "array", "items": { "type": "string" }, "minItems": 2, "maxItems": 2
                } },
            },
            "required": ["type", "data"],
        })
    }
}

impl Serialize for Reaction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Reaction", 2 + usize::from(!self.after.is_empty()))?;
        fields.serialize_field("type", self.told.kind().as_str())?;
        match &self.told {
            EventData::SignalReceived(signal) => {
                let without = EventData::SignalReceived(Signal { data: Payload::empty(), ..signal.clone() });
                fields.serialize_field("data", &without)?;
            }
            told => fields.serialize_field("data", told)?,
        }
        if !self.after.is_empty() {
            fields.serialize_field("after", &self.after)?;
        }
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Reaction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Kept {
            #[serde(rename = "type")]
            kind: String,
            data: Box<RawValue>,
            #[serde(default)]
            after: Vec<Step>,
        }
        let Kept { kind, data, after } = Kept::deserialize(deserializer)?;
        let kind = kind.parse().map_err(|()| D::Error::custom("no loyalty event"))?;
        let told = read(kind, &data).map_err(D::Error::custom)?;
        let told = told.ok_or_else(|| D::Error::custom("nothing that a rule can start on"))?;
        Ok(Self { told, after })
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.event, &*self.rule).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (event, rule): (SmolStr, String) = Deserialize::deserialize(deserializer)?;
        Ok(Self { event, rule: rule.into() })
    }
}

/// What was told; `None` for what no rule starts on.
fn read(kind: EventType, data: &RawValue) -> Result<Option<EventData>, serde_json::Error> {
    use EventData as D;
    use EventType as T;

    fn of<T: DeserializeOwned>(
        data: &RawValue,
        told: fn(T) -> EventData,
    ) -> Result<EventData, serde_json::Error> {
        serde_json::from_str(data.get()).map(told)
    }
    let coupon = |kind| Ok(D::Coupon(kind, serde_json::from_str(data.get())?));
    let told = match kind {
        T::MemberEnrolled => of(data, D::MemberEnrolled),
        T::MemberMerged => of(data, D::MemberMerged),
        T::MemberUnmerged => of(data, D::MemberUnmerged),
        T::MemberIdentified => of(data, D::MemberIdentified),
        T::SignalReceived => of(data, D::SignalReceived),
        T::CustomEmitted => of(data, D::CustomEmitted),
        T::CartAbandoned => of(data, D::CartAbandoned),
        T::VisitRecorded => of(data, D::VisitRecorded),
        T::PointsEarned => of(data, D::PointsEarned),
        T::PointsDeducted => of(data, D::PointsDeducted),
        T::PointsClawedBack => of(data, D::PointsClawedBack),
        T::PointsPending => of(data, D::PointsPending),
        T::PointsExpired => of(data, D::PointsExpired),
        T::PointsExpiringSoon => of(data, D::PointsExpiringSoon),
        T::PointsAdjusted => of(data, D::PointsAdjusted),
        T::PointsRedeemed => of(data, D::PointsRedeemed),
        T::PointsReturned => of(data, D::PointsReturned),
        T::RedemptionCreated => of(data, D::RedemptionCreated),
        T::RedemptionPending
        | T::RedemptionApproved
        | T::RedemptionFulfilled
        | T::RedemptionRejected
        | T::RedemptionCancelled
        | T::RedemptionExpired => of(data, D::Redemption),
        T::TierUpgraded => of(data, D::TierUpgraded),
        T::TierDowngraded => of(data, D::TierDowngraded),
        T::TierWillDowngrade => of(data, D::TierWillDowngrade),
        T::AchievementEarned => of(data, D::AchievementEarned),
        T::AchievementProgressed => of(data, D::AchievementProgressed),
        T::AchievementRevoked => of(data, D::AchievementRevoked),
        T::ReferralCreated => of(data, D::ReferralCreated),
        T::ReferralApproved => of(data, D::ReferralApproved),
        T::ReferralRejected => of(data, D::ReferralRejected),
        T::ReferralExpired => of(data, D::ReferralExpired),
        T::ReferralRevoked => of(data, D::ReferralRevoked),
        T::StreakBroken => of(data, D::StreakBroken),
        T::CouponAssigned => coupon(UsageKind::Assigned),
        T::CouponReserved => coupon(UsageKind::Reserved),
        T::CouponReleased => coupon(UsageKind::Released),
        T::CouponUsed => coupon(UsageKind::Used),
        T::CouponReverted => coupon(UsageKind::Reverted),
        T::CouponWithdrawn => coupon(UsageKind::Withdrawn),
        T::SegmentEntered => of(data, D::SegmentEntered),
        T::SegmentExited => of(data, D::SegmentExited),
        T::MemberAtRisk => of(data, D::MemberAtRisk),
        T::MemberChurned => of(data, D::MemberChurned),
        T::MemberReactivated => of(data, D::MemberReactivated),
        T::OrderCreated
        | T::OrderUpdated
        | T::OrderCompleted
        | T::OrderCancelled
        | T::OrderRefunded
        | T::SessionStarted
        | T::SessionEnded
        | T::MemberUpdated
        | T::MemberErased
        | T::MemberBirthday
        | T::MemberAnniversary
        | T::CampaignExhausted
        | T::ExperienceCreated
        | T::ExperienceUpdated
        | T::ExperienceDeleted
        | T::MenuItemCreated
        | T::MenuItemUpdated
        | T::MenuItemDeleted
        | T::RuleSuspended
        | T::RuleResumed
        | T::EndpointFailing
        | T::EndpointDisabled
        | T::EndpointEnabled
        | T::EndpointRecovered
        | T::DeliveryExhausted
        | T::LaneBlocked => return Ok(None),
    };
    told.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_rules_can_react_to_is_kept_as_it_was_told() {
        for kind in EventType::ALL {
            let told = kind.example().data;
            for after in [vec![], vec![Step { event: "points.earned".into(), rule: "Bonus".into() }]] {
                let reaction = Reaction { told: told.clone(), after };
                let kept = serde_json::to_string(&reaction).unwrap();
                let read = serde_json::from_str::<Reaction>(&kept);
                assert_eq!(read.is_ok(), kind.starts_rules(), "{kind}: {read:?} {kept}");
                let Ok(read) = read else { continue };
                let signal = match &told {
                    EventData::SignalReceived(signal) => Some(signal),
                    _ => None,
                };
                assert_eq!((read.recalled(signal), read.after), (told.clone(), reaction.after), "{kept}");
            }
        }
    }

    #[test]
    fn the_way_to_it_is_said_in_order() {
        let first = Reaction { told: EventType::PointsEarned.example().data, after: Vec::new() };
        let then =
            Reaction { told: EventType::TierUpgraded.example().data, after: first.on(&"Bonus".into()) };
        assert_eq!(then.to_string(), "points.earned → rule \"Bonus\" → tier.upgraded");
    }
}
