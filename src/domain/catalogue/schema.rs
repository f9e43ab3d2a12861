//! How each loyalty event looks: made of the types that are written.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::domain::achievement::{
    AchievementEarned, AchievementProgressed, AchievementRevoked, StreakBroken,
};
use crate::domain::campaign::CampaignExhausted;
use crate::domain::cart::CartAbandoned;
use crate::domain::celebration::{Anniversary, Birthday};
use crate::domain::coupon::CouponMoved;
use crate::domain::custom::Emitted;
use crate::domain::loyalty_event::{
    Absence, EventType, ExpiringSoon, LoyaltyEvent, Message, PointsMoved, PointsPending, SegmentChange,
    TierInDanger, TierMoved, With,
};
use crate::domain::offering::{ExperienceNews, MenuItemNews};
use crate::domain::operations::{
    DeliveryExhausted, EndpointDisabled, EndpointEnabled, EndpointFailing, EndpointRecovered, LaneBlocked,
};
use crate::domain::order::{Cancellation, OrderTold, RefundTold, Visit};
use crate::domain::people::{Enrolled, Forfeited, ProfileUpdated, Reunion};
use crate::domain::redemption::RedemptionTold;
use crate::domain::referral::ReferralTold;
use crate::domain::session::{Identified, SessionEnded, SessionStarted, Signal};
use crate::domain::suspension::{RuleResumed, RuleSuspended};

impl EventType {
    /// The JSON Schema of the message, which is what the `standard` dialect sends. Without references: it can be copied
    /// as it is.
    pub fn schema(self) -> Schema {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        let meta_schema = settings.meta_schema.clone();
        let mut schema = self.schema_by(&mut settings.for_serialize().into_generator());
        if let Some(meta_schema) = meta_schema {
            schema.insert("$schema".to_owned(), meta_schema.into());
        }
        schema
    }

    /// The same as a part of a document.
    fn schema_by(self, generator: &mut SchemaGenerator) -> Schema {
        let message = match self {
            Self::MemberEnrolled => message::<Enrolled>,
            Self::OrderCreated | Self::OrderUpdated | Self::OrderCompleted => message::<OrderTold>,
            Self::OrderCancelled => message::<Cancellation>,
            Self::OrderRefunded => message::<RefundTold>,
            Self::MemberUpdated => message::<ProfileUpdated>,
            Self::MemberMerged | Self::MemberUnmerged => message::<Reunion>,
            Self::MemberErased => message::<Forfeited>,
            Self::MemberBirthday => message::<Birthday>,
            Self::MemberAnniversary => message::<Anniversary>,
            Self::MemberIdentified => message::<Identified>,
            Self::SessionStarted => message::<SessionStarted>,
            Self::SessionEnded => message::<SessionEnded>,
            Self::SignalReceived => message::<Signal>,
            Self::CustomEmitted => message::<Emitted>,
            Self::CartAbandoned => message::<CartAbandoned>,
            Self::VisitRecorded => message::<Visit>,
            Self::PointsEarned
            | Self::PointsDeducted
            | Self::PointsClawedBack
            | Self::PointsAdjusted
            | Self::PointsExpired
            | Self::PointsRedeemed
            | Self::PointsReturned => message::<PointsMoved>,
            Self::PointsPending => message::<PointsPending>,
            Self::PointsExpiringSoon => message::<ExpiringSoon>,
            Self::RedemptionCreated
            | Self::RedemptionPending
            | Self::RedemptionApproved
            | Self::RedemptionFulfilled
            | Self::RedemptionRejected
            | Self::RedemptionCancelled
            | Self::RedemptionExpired => message::<RedemptionTold>,
            Self::TierUpgraded | Self::TierDowngraded => message::<TierMoved>,
            Self::TierWillDowngrade => message::<TierInDanger>,
            Self::AchievementEarned => message::<AchievementEarned>,
            Self::AchievementProgressed => message::<AchievementProgressed>,
            Self::AchievementRevoked => message::<AchievementRevoked>,
            Self::ReferralCreated
            | Self::ReferralApproved
            | Self::ReferralRejected
            | Self::ReferralExpired
            | Self::ReferralRevoked => message::<ReferralTold>,
            Self::StreakBroken => message::<StreakBroken>,
            Self::CouponAssigned
            | Self::CouponReserved
            | Self::CouponReleased
            | Self::CouponUsed
            | Self::CouponReverted
            | Self::CouponWithdrawn => message::<CouponMoved>,
            Self::SegmentEntered | Self::SegmentExited => message::<SegmentChange>,
            Self::MemberAtRisk | Self::MemberChurned | Self::MemberReactivated => message::<Absence>,
            Self::CampaignExhausted => message::<CampaignExhausted>,
            Self::ExperienceCreated | Self::ExperienceUpdated | Self::ExperienceDeleted => {
                message::<ExperienceNews<'static>>
            }
            Self::MenuItemCreated | Self::MenuItemUpdated | Self::MenuItemDeleted => {
                message::<MenuItemNews<'static>>
            }
            Self::RuleSuspended => message::<RuleSuspended>,
            Self::RuleResumed => message::<RuleResumed>,
            Self::EndpointFailing => message::<EndpointFailing>,
            Self::EndpointDisabled => message::<EndpointDisabled>,
            Self::EndpointEnabled => message::<EndpointEnabled>,
            Self::EndpointRecovered => message::<EndpointRecovered>,
            Self::DeliveryExhausted => message::<DeliveryExhausted>,
            Self::LaneBlocked => message::<LaneBlocked>,
        };
        let mut schema = message(generator);
        self.settle_member(&mut schema);
        let properties = schema.get_mut("properties").and_then(|properties| properties.as_object_mut());
        if let Some(properties) = properties {
            properties.insert("type".to_owned(), json_schema!({ "const": self.as_str() }).into());
        }
        schema.insert("title".to_owned(), self.as_str().into());
        schema.insert("description".to_owned(), self.description().trim().into());
        schema
    }

    /// A reference to the schema of this type, which is among the definitions from now on.
    pub fn definition(self, generator: &mut SchemaGenerator) -> Schema {
        let name = format!("{self:?}Event");
        if !generator.definitions().contains_key(&name) {
            let schema = self.schema_by(generator);
            generator.definitions_mut().insert(name.clone(), schema.into());
        }
        Schema::new_ref(format!("#{}/{name}", generator.settings().definitions_path))
    }

    /// Of one type of event it is known whether it has a member.
    fn settle_member(self, schema: &mut Schema) {
        let member = serde_json::Value::from("member");
        if self.is_about_member() {
            let required = schema.get_mut("required").and_then(|required| required.as_array_mut());
            required.into_iter().for_each(|required| required.push(member.clone()));
        } else if let Some(properties) = schema.get_mut("properties").and_then(|all| all.as_object_mut()) {
            properties.remove("member");
        }
    }
}
fn message<T: JsonSchema + 'static>(generator: &mut SchemaGenerator) -> Schema {
    Message::<'static, With<'static, T>>::json_schema(generator)
}

/// Any event, as it is written.
impl JsonSchema for LoyaltyEvent {
    fn schema_name() -> Cow<'static, str> {
        "LoyaltyEvent".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one_of: Vec<_> = EventType::ALL.iter().map(|kind| kind.definition(generator)).collect();
        json_schema!({ "oneOf": one_of, "discriminator": { "propertyName": "type" } })
    }
}
