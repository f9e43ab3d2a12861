//! Loyalty events: what the engine tells the world.

mod kind;
mod message;

use std::sync::Arc;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Timestamp;
use super::achievement::{AchievementEarned, AchievementProgressed, AchievementRevoked, StreakBroken};
use super::campaign::CampaignExhausted;
use super::cart::CartAbandoned;
use super::celebration::{Anniversary, Birthday};
use super::chain::ChainId;
use super::coupon::{CouponMoved, UsageKind};
use super::custom::Emitted;
use super::ids::{EventId, MemberId};
use super::member::{MemberFace, RiskLevel};
use super::money::{Money, Points};
use super::offering::{Change, Offering, OfferingNews};
use super::operations::{
    DeliveryExhausted, EndpointDisabled, EndpointEnabled, EndpointFailing, EndpointRecovered, LaneBlocked,
};
use super::order::{Cancellation, OrderTold, RefundTold, Visit};
use super::people::{Enrolled, Forfeited, ProfileUpdated, Reunion};
use super::redemption::{RedemptionStatus, RedemptionTold};
use super::referral::ReferralTold;
use super::segment::SegmentType;
use super::session::{Identified, SessionEnded, SessionStarted, Signal};
use super::suspension::{RuleResumed, RuleSuspended};
use super::terms::tier::{Metric, Tier};
use super::text::{Key, Name};

pub use kind::EventType;
pub(super) use message::{Message, With};

/// A movement of points, as told to the world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointsMoved {
    /// How many points moved; always positive.
    pub amount: Points,
    /// Whether an adjustment took them. Of all other moves the event's type says it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub taken: bool,
    /// The wallet they moved in.
    pub wallet: Name,
    /// The balance after it.
    pub new_balance: Points,
    /// Why, for people.
    pub reason: SmolStr,
    /// The first instant at which they are gone, if they expire and were not used by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The order that moved them; absent for what no order did, and once they had to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Key>,
}

/// Points that were earned and cannot be spent yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointsPending {
    /// How many.
    pub amount: Points,
    /// The wallet they wait in.
    pub wallet: Name,
    /// Why they were earned, for people.
    pub reason: SmolStr,
    /// When they can be spent; absent when somebody has to confirm them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_at: Option<Timestamp>,
    /// The order that earned them, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Key>,
}

/// Points that will be gone soon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExpiringSoon {
    /// How many are gone then if they are not used.
    pub amount: Points,
    /// The wallet.
    pub wallet: Name,
    /// The first instant at which they are gone.
    pub expires_at: Timestamp,
    /// The balance now.
    pub balance: Points,
}

/// A move between tiers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TierMoved {
    /// The effective tier before; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_tier: Option<Tier>,
    /// The effective tier now.
    pub new_tier: Tier,
    /// The id of the tier that people gave; null when they gave none.
    pub manual_tier: Option<Name>,
    /// The id of the tier that rules or the tier policy gave; null when they gave none.
    pub system_tier: Option<Name>,
}

/// A tier about to be lost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TierInDanger {
    /// The tier.
    pub tier: Tier,
    /// What is counted.
    pub metric: Metric,
    /// How much of it is missing.
    pub missing: Money,
    /// The first day without the tier if nothing more comes, in the chain's zone.
    #[schemars(with = "String")]
    pub on: NaiveDate,
}

/// How long a member has been away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Absence {
    /// How likely the member is lost; of one who came back, how likely it was.
    pub risk_level: RiskLevel,
    /// Days since the last visit.
    pub days_since_last_visit: i64,
    /// How often the member came before that: visits per 30 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_visit_frequency: Option<Money>,
    /// The usual number of days between visits, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typical_gap_days: Option<Money>,
    /// How likely there is no visit within the chain's horizon, from 0 to 1; of one who came back, how likely it was.
    /// Absent while there is no model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted_churn_probability: Option<Money>,
    /// What to do about it, as the program says.
    pub recommended_actions: Vec<Name>,
}

/// A segment entered or left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SegmentChange {
    /// The segment's name for programs: `seg_` and the slug of the name.
    pub segment_id: SmolStr,
    /// Its name.
    pub segment_name: Name,
    /// What it is judged by.
    pub segment_type: SegmentType,
    /// Why, in a word for programs; `segment_withdrawn` when the program has the segment no more.
    pub trigger: Name,
    /// The member's segments before.
    pub previous_segments: Vec<Name>,
    /// The member's segments after.
    pub current_segments: Vec<Name>,
}

/// What happened, by type.
#[derive(Debug, Clone, PartialEq)]
pub enum EventData {
    /// `member.enrolled`
    MemberEnrolled(Box<Enrolled>),
    /// `order.created`
    OrderCreated(OrderTold),
    /// `order.updated`
    OrderUpdated(OrderTold),
    /// `member.updated`
    MemberUpdated(Box<ProfileUpdated>),
    /// `member.merged`
    MemberMerged(Box<Reunion>),
    /// `member.unmerged`
    MemberUnmerged(Box<Reunion>),
    /// `member.erased`
    MemberErased(Box<Forfeited>),
    /// `member.birthday`
    MemberBirthday(Birthday),
    /// `member.anniversary`
    MemberAnniversary(Anniversary),
    /// `member.identified`
    MemberIdentified(Identified),
    /// `session.started`
    SessionStarted(SessionStarted),
    /// `session.ended`
    SessionEnded(SessionEnded),
    /// `signal.received`
    SignalReceived(Signal),
    /// `cart.abandoned`
    CartAbandoned(CartAbandoned),
    /// `order.completed`
    OrderCompleted(OrderTold),
    /// `order.cancelled`
    OrderCancelled(Cancellation),
    /// `order.refunded`
    OrderRefunded(RefundTold),
    /// `visit.recorded`
    VisitRecorded(Visit),
    /// `points.earned`
    PointsEarned(PointsMoved),
    /// `points.deducted`
    PointsDeducted(PointsMoved),
    /// `points.clawed_back`
    PointsClawedBack(PointsMoved),
    /// `points.pending`
    PointsPending(PointsPending),
    /// `points.expired`
    PointsExpired(PointsMoved),
    /// `points.expiring_soon`
    PointsExpiringSoon(ExpiringSoon),
    /// `points.adjusted`
    PointsAdjusted(PointsMoved),
    /// `points.redeemed`
    PointsRedeemed(PointsMoved),
    /// `points.returned`
    PointsReturned(PointsMoved),
    /// `redemption.created`
    RedemptionCreated(RedemptionTold),
    /// `redemption.pending`, …: what it came to, which it says itself.
    Redemption(RedemptionTold),
    /// `tier.upgraded`
    TierUpgraded(TierMoved),
    /// `tier.downgraded`
    TierDowngraded(TierMoved),
    /// `tier.will_downgrade`
    TierWillDowngrade(TierInDanger),
    /// `achievement.earned`
    AchievementEarned(AchievementEarned),
    /// `achievement.progressed`
    AchievementProgressed(AchievementProgressed),
    /// `achievement.revoked`
    AchievementRevoked(AchievementRevoked),
    /// `referral.created`
    ReferralCreated(Box<ReferralTold>),
    /// `referral.approved`
    ReferralApproved(Box<ReferralTold>),
    /// `referral.rejected`
    ReferralRejected(Box<ReferralTold>),
    /// `referral.expired`
    ReferralExpired(Box<ReferralTold>),
    /// `referral.revoked`
    ReferralRevoked(Box<ReferralTold>),
    /// `streak.broken`
    StreakBroken(StreakBroken),
    /// `coupon.assigned`, `coupon.reserved`, `coupon.released`, `coupon.used`, `coupon.reverted` or `coupon.withdrawn`
    Coupon(UsageKind, Box<CouponMoved>),
    /// `segment.entered`
    SegmentEntered(SegmentChange),
    /// `segment.exited`
    SegmentExited(SegmentChange),
    /// `member.at_risk`
    MemberAtRisk(Absence),
    /// `member.churned`
    MemberChurned(Absence),
    /// `member.reactivated`
    MemberReactivated(Absence),
    /// `custom.emitted`
    CustomEmitted(Emitted),
    /// `campaign.exhausted`
    CampaignExhausted(CampaignExhausted),
    /// `experience.*`, `menu_item.*`
    Offering(OfferingNews),
    /// `rule.suspended`
    RuleSuspended(Box<RuleSuspended>),
    /// `rule.resumed`
    RuleResumed(Box<RuleResumed>),
    /// `endpoint.failing`
    EndpointFailing(Box<EndpointFailing>),
    /// `endpoint.disabled`
    EndpointDisabled(Box<EndpointDisabled>),
    /// `endpoint.enabled`
    EndpointEnabled(Box<EndpointEnabled>),
    /// `endpoint.recovered`
    EndpointRecovered(Box<EndpointRecovered>),
    /// `delivery.exhausted`
    DeliveryExhausted(Box<DeliveryExhausted>),
    /// `lane.blocked`
    LaneBlocked(Box<LaneBlocked>),
}

impl EventData {
    /// The referral that it tells of, if it does.
    pub const fn referral(&self) -> Option<&ReferralTold> {
        match self {
            Self::ReferralCreated(told)
            | Self::ReferralApproved(told)
            | Self::ReferralRejected(told)
            | Self::ReferralExpired(told)
            | Self::ReferralRevoked(told) => Some(told),
            _ => None,
        }
    }

    /// What rules call it: its type, or the name that the program gave it.
    pub fn name(&self) -> &str {
        match self {
            Self::CustomEmitted(emitted) => &emitted.name,
            told => told.kind().as_str(),
        }
    }

    /// The type of this event.
    pub const fn kind(&self) -> EventType {
        match self {
            Self::MemberEnrolled(_) => EventType::MemberEnrolled,
            Self::OrderCreated(_) => EventType::OrderCreated,
            Self::OrderUpdated(_) => EventType::OrderUpdated,
            Self::MemberUpdated(_) => EventType::MemberUpdated,
            Self::MemberMerged(_) => EventType::MemberMerged,
            Self::MemberUnmerged(_) => EventType::MemberUnmerged,
            Self::MemberErased(_) => EventType::MemberErased,
            Self::MemberBirthday(_) => EventType::MemberBirthday,
            Self::MemberAnniversary(_) => EventType::MemberAnniversary,
            Self::MemberIdentified(_) => EventType::MemberIdentified,
            Self::SessionStarted(_) => EventType::SessionStarted,
            Self::SessionEnded(_) => EventType::SessionEnded,
            Self::SignalReceived(_) => EventType::SignalReceived,
            Self::CartAbandoned(_) => EventType::CartAbandoned,
            Self::OrderCompleted(_) => EventType::OrderCompleted,
            Self::OrderCancelled(_) => EventType::OrderCancelled,
            Self::OrderRefunded(_) => EventType::OrderRefunded,
            Self::VisitRecorded(_) => EventType::VisitRecorded,
            Self::PointsEarned(_) => EventType::PointsEarned,
            Self::PointsDeducted(_) => EventType::PointsDeducted,
            Self::PointsClawedBack(_) => EventType::PointsClawedBack,
            Self::PointsPending(_) => EventType::PointsPending,
            Self::PointsExpired(_) => EventType::PointsExpired,
            Self::PointsExpiringSoon(_) => EventType::PointsExpiringSoon,
            Self::PointsAdjusted(_) => EventType::PointsAdjusted,
            Self::PointsRedeemed(_) => EventType::PointsRedeemed,
            Self::PointsReturned(_) => EventType::PointsReturned,
            Self::RedemptionCreated(_) => EventType::RedemptionCreated,
            Self::Redemption(told) => match told.status {
                RedemptionStatus::Pending => EventType::RedemptionPending,
                RedemptionStatus::Approved => EventType::RedemptionApproved,
                RedemptionStatus::Fulfilled => EventType::RedemptionFulfilled,
                RedemptionStatus::Rejected => EventType::RedemptionRejected,
                RedemptionStatus::Cancelled => EventType::RedemptionCancelled,
                RedemptionStatus::Expired => EventType::RedemptionExpired,
            },
            Self::TierUpgraded(_) => EventType::TierUpgraded,
            Self::TierDowngraded(_) => EventType::TierDowngraded,
            Self::TierWillDowngrade(_) => EventType::TierWillDowngrade,
            Self::AchievementEarned(_) => EventType::AchievementEarned,
            Self::AchievementProgressed(_) => EventType::AchievementProgressed,
            Self::AchievementRevoked(_) => EventType::AchievementRevoked,
            Self::ReferralCreated(_) => EventType::ReferralCreated,
            Self::ReferralApproved(_) => EventType::ReferralApproved,
            Self::ReferralRejected(_) => EventType::ReferralRejected,
            Self::ReferralExpired(_) => EventType::ReferralExpired,
            Self::ReferralRevoked(_) => EventType::ReferralRevoked,
            Self::StreakBroken(_) => EventType::StreakBroken,
            Self::Coupon(UsageKind::Assigned, _) => EventType::CouponAssigned,
            Self::Coupon(UsageKind::Reserved, _) => EventType::CouponReserved,
            Self::Coupon(UsageKind::Released, _) => EventType::CouponReleased,
            Self::Coupon(UsageKind::Used, _) => EventType::CouponUsed,
            Self::Coupon(UsageKind::Reverted, _) => EventType::CouponReverted,
            Self::Coupon(UsageKind::Withdrawn, _) => EventType::CouponWithdrawn,
            Self::SegmentEntered(_) => EventType::SegmentEntered,
            Self::SegmentExited(_) => EventType::SegmentExited,
            Self::MemberAtRisk(_) => EventType::MemberAtRisk,
            Self::MemberChurned(_) => EventType::MemberChurned,
            Self::MemberReactivated(_) => EventType::MemberReactivated,
            Self::CustomEmitted(_) => EventType::CustomEmitted,
            Self::RuleSuspended(_) => EventType::RuleSuspended,
            Self::RuleResumed(_) => EventType::RuleResumed,
            Self::EndpointFailing(_) => EventType::EndpointFailing,
            Self::EndpointDisabled(_) => EventType::EndpointDisabled,
            Self::EndpointEnabled(_) => EventType::EndpointEnabled,
            Self::EndpointRecovered(_) => EventType::EndpointRecovered,
            Self::DeliveryExhausted(_) => EventType::DeliveryExhausted,
            Self::LaneBlocked(_) => EventType::LaneBlocked,
            Self::CampaignExhausted(_) => EventType::CampaignExhausted,
            Self::Offering(news) => match (news.what, news.change) {
                (Offering::Experience, Change::Created) => EventType::ExperienceCreated,
                (Offering::Experience, Change::Updated) => EventType::ExperienceUpdated,
                (Offering::Experience, Change::Deleted) => EventType::ExperienceDeleted,
                (Offering::MenuItem, Change::Created) => EventType::MenuItemCreated,
                (Offering::MenuItem, Change::Updated) => EventType::MenuItemUpdated,
                (Offering::MenuItem, Change::Deleted) => EventType::MenuItemDeleted,
            },
        }
    }
}

/// The member that an event is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Our id.
    pub id: MemberId,
    /// The member's event before it.
    pub previous: Option<EventId>,
    /// The member as of the end of the commit, the same for most of its events.
    pub face: Arc<MemberFace>,
}

/// One loyalty event.
#[derive(Debug, Clone, PartialEq)]
pub struct LoyaltyEvent {
    /// Its id; also the `webhook-id` of every delivery of it.
    pub id: EventId,
    /// The chain.
    pub chain: ChainId,
    /// Whom it is about, if anybody.
    pub subject: Option<Subject>,
    /// When it happened, by the source event's clock.
    pub at: Timestamp,
    /// What happened.
    pub data: EventData,
    /// Key of the source event; `None` for a scheduled tick, and for what is told of the engine itself.
    pub source_key: Option<Key>,
    /// The version of the program that decided. Receivers are not told.
    pub program_version: i64,
}

impl LoyaltyEvent {
    /// The type of this event.
    pub const fn kind(&self) -> EventType {
        self.data.kind()
    }

    /// Our id of the member it is about, if any.
    pub fn member(&self) -> Option<MemberId> {
        self.subject.as_ref().map(|subject| subject.id)
    }
}
