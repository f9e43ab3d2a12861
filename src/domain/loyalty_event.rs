//! Loyalty events: what the engine tells the world.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;

use super::Timestamp;
use super::chain::ChainId;
use super::ids::{EventId, MemberId};
use super::member::MemberFace;
use super::money::Points;
use super::order::{Order, Refund, Visit};
use super::redemption::RedemptionTold;
use super::text::{Key, Name};

macro_rules! event_types {
    ($($variant:ident = $word:literal: $doc:literal,)*) => {
        /// The catalogue of loyalty events.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventType { $(#[doc = $doc] $variant,)* }

        impl EventType {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name used in JSON, subscriptions and rules.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// One sentence for the catalogue.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }
    };
}

event_types! {
    MemberEnrolled = "member.enrolled": "A guest was seen for the first time and is a member now.",
    OrderCompleted = "order.completed": "A member's order was paid.",
    OrderRefunded = "order.refunded": "Money was given back for a member's order.",
    VisitRecorded = "visit.recorded": "A member was here.",
    PointsEarned = "points.earned": "Points were awarded.",
    PointsDeducted = "points.deducted": "A rule took points.",
    PointsClawedBack = "points.clawed_back": "Points were taken back because their order was refunded.",
    PointsPending = "points.pending": "Points were awarded and can be spent later; `points.earned` follows then.",
    PointsExpired = "points.expired": "Points were not used in time and are gone.",
    PointsExpiringSoon = "points.expiring_soon": "Points will be gone soon if they are not used.",
    PointsAdjusted = "points.adjusted": "Points were given or taken by hand.",
    PointsRedeemed = "points.redeemed": "Points were spent on a reward.",
    PointsReturned = "points.returned": "Points were given back because their redemption came to nothing.",
    RedemptionCreated = "redemption.created": "A member redeemed a reward.",
    RedemptionPending = "redemption.pending": "A redemption waits for approval.",
    RedemptionApproved = "redemption.approved": "A redemption was approved.",
    RedemptionFulfilled = "redemption.fulfilled": "A member got their reward.",
    RedemptionRejected = "redemption.rejected": "A redemption was rejected; the points were given back.",
    RedemptionCancelled = "redemption.cancelled": "A redemption was cancelled; the points were given back.",
    RedemptionExpired = "redemption.expired": "A redemption was not fulfilled in time; the points were given back.",
    TierUpgraded = "tier.upgraded": "A member moved up a tier.",
    TierDowngraded = "tier.downgraded": "A member moved down a tier.",
    AchievementEarned = "achievement.earned": "A member earned an achievement.",
    MemberAtRisk = "member.at_risk": "A member stays away longer than usual.",
    MemberChurned = "member.churned": "A member is given up for lost.",
    MemberReactivated = "member.reactivated": "A member who was at risk or churned is active again.",
}

impl FromStr for EventType {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word).ok_or(())
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A movement of points, as told to the world.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PointsMoved {
    /// How many points moved; always positive.
    pub amount: Points,
    /// The wallet they moved in.
    pub wallet: Name,
    /// The balance after it.
    pub new_balance: Points,
    /// Why, for people.
    pub reason: Box<str>,
    /// The first instant at which they are gone, if they expire and were not used by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Points that were earned and cannot be spent yet.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PointsPending {
    /// How many.
    pub amount: Points,
    /// The wallet they wait in.
    pub wallet: Name,
    /// Why they were earned, for people.
    pub reason: Box<str>,
    /// When they can be spent; absent when somebody has to confirm them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available_at: Option<Timestamp>,
}

/// Points that will be gone soon.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TierMoved {
    /// The tier before; absent when there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_tier: Option<Name>,
    /// The tier now.
    pub new_tier: Name,
}

/// How long a member has been away.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Absence {
    /// Days since the last visit.
    pub days_since_last_visit: i64,
    /// The usual number of days between visits, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub typical_gap_days: Option<super::money::Money>,
}

/// An achievement.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AchievementEarned {
    /// Its id in `program.toml`.
    pub achievement: Name,
}

/// What happened, by type.
#[derive(Debug, Clone, PartialEq)]
pub enum EventData {
    /// `member.enrolled`
    MemberEnrolled,
    /// `order.completed`
    OrderCompleted(Order),
    /// `order.refunded`
    OrderRefunded(Refund),
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
    /// `redemption.pending`
    RedemptionPending(RedemptionTold),
    /// `redemption.approved`
    RedemptionApproved(RedemptionTold),
    /// `redemption.fulfilled`
    RedemptionFulfilled(RedemptionTold),
    /// `redemption.rejected`
    RedemptionRejected(RedemptionTold),
    /// `redemption.cancelled`
    RedemptionCancelled(RedemptionTold),
    /// `redemption.expired`
    RedemptionExpired(RedemptionTold),
    /// `tier.upgraded`
    TierUpgraded(TierMoved),
    /// `tier.downgraded`
    TierDowngraded(TierMoved),
    /// `achievement.earned`
    AchievementEarned(AchievementEarned),
    /// `member.at_risk`
    MemberAtRisk(Absence),
    /// `member.churned`
    MemberChurned(Absence),
    /// `member.reactivated`
    MemberReactivated(Absence),
}

impl EventData {
    /// The type of this event.
    pub const fn kind(&self) -> EventType {
        match self {
            Self::MemberEnrolled => EventType::MemberEnrolled,
            Self::OrderCompleted(_) => EventType::OrderCompleted,
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
            Self::RedemptionPending(_) => EventType::RedemptionPending,
            Self::RedemptionApproved(_) => EventType::RedemptionApproved,
            Self::RedemptionFulfilled(_) => EventType::RedemptionFulfilled,
            Self::RedemptionRejected(_) => EventType::RedemptionRejected,
            Self::RedemptionCancelled(_) => EventType::RedemptionCancelled,
            Self::RedemptionExpired(_) => EventType::RedemptionExpired,
            Self::TierUpgraded(_) => EventType::TierUpgraded,
            Self::TierDowngraded(_) => EventType::TierDowngraded,
            Self::AchievementEarned(_) => EventType::AchievementEarned,
            Self::MemberAtRisk(_) => EventType::MemberAtRisk,
            Self::MemberChurned(_) => EventType::MemberChurned,
            Self::MemberReactivated(_) => EventType::MemberReactivated,
        }
    }
}

/// The canonical message.
#[derive(Serialize, JsonSchema)]
pub(super) struct Message<'a, D> {
    /// The event's id, the same in every delivery of it.
    id: EventId,
    /// The event's type.
    #[serde(rename = "type")]
    kind: &'static str,
    /// When it happened.
    timestamp: Timestamp,
    /// The chain.
    chain: &'a ChainId,
    /// The member as of the end of what caused the event.
    member: &'a MemberFace,
    /// What happened.
    data: D,
}

/// The `data` of the message: the event's own fields, then the source event's key.
#[derive(Serialize, JsonSchema)]
pub(super) struct With<'a, T> {
    #[serde(flatten)]
    own: &'a T,
    /// Key of the source event that caused it; absent for what a schedule caused.
    #[serde(skip_serializing_if = "Option::is_none")]
    source_event: Option<&'a Key>,
}

/// No fields of its own.
#[derive(Serialize, JsonSchema)]
pub(super) struct Nothing {}

/// [`With`], whatever the type.
struct DataWithSource<'a> {
    data: &'a EventData,
    source_event: Option<&'a Key>,
}

impl Serialize for DataWithSource<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let source_event = self.source_event;
        match self.data {
            EventData::MemberEnrolled => With { own: &Nothing {}, source_event }.serialize(serializer),
            EventData::OrderCompleted(own) => With { own, source_event }.serialize(serializer),
            EventData::OrderRefunded(own) => With { own, source_event }.serialize(serializer),
            EventData::VisitRecorded(own) => With { own, source_event }.serialize(serializer),
            EventData::PointsEarned(own)
            | EventData::PointsDeducted(own)
            | EventData::PointsAdjusted(own)
            | EventData::PointsExpired(own)
            | EventData::PointsRedeemed(own)
            | EventData::PointsReturned(own)
            | EventData::PointsClawedBack(own) => With { own, source_event }.serialize(serializer),
            EventData::RedemptionCreated(own)
            | EventData::RedemptionPending(own)
            | EventData::RedemptionApproved(own)
            | EventData::RedemptionFulfilled(own)
            | EventData::RedemptionRejected(own)
            | EventData::RedemptionCancelled(own)
            | EventData::RedemptionExpired(own) => With { own, source_event }.serialize(serializer),
            EventData::TierUpgraded(own) | EventData::TierDowngraded(own) => {
                With { own, source_event }.serialize(serializer)
            }
            EventData::PointsPending(own) => With { own, source_event }.serialize(serializer),
            EventData::PointsExpiringSoon(own) => With { own, source_event }.serialize(serializer),
            EventData::AchievementEarned(own) => With { own, source_event }.serialize(serializer),
            EventData::MemberAtRisk(own)
            | EventData::MemberChurned(own)
            | EventData::MemberReactivated(own) => With { own, source_event }.serialize(serializer),
        }
    }
}

/// One loyalty event.
#[derive(Debug, Clone, PartialEq)]
pub struct LoyaltyEvent {
    /// Its id; also the `webhook-id` of every delivery of it.
    pub id: EventId,
    /// The member's event before it.
    pub previous: Option<EventId>,
    /// The chain.
    pub chain: ChainId,
    /// Our id of the member it is about.
    pub member: MemberId,
    /// The member as of the end of the commit.
    pub face: MemberFace,
    /// When it happened, by the source event's clock.
    pub at: Timestamp,
    /// What happened.
    pub data: EventData,
    /// Key of the source event; `None` for a scheduled tick.
    pub source_key: Option<Key>,
}

impl LoyaltyEvent {
    /// The type of this event.
    pub const fn kind(&self) -> EventType {
        self.data.kind()
    }

    /// The canonical JSON: what the store keeps, the API shows and the `standard` dialect sends.
    pub fn to_json(&self) -> String {
        let message = Message {
            id: self.id,
            kind: self.kind().as_str(),
            timestamp: self.at,
            chain: &self.chain,
            member: &self.face,
            data: DataWithSource { data: &self.data, source_event: self.source_key.as_ref() },
        };
        serde_json::to_string(&message).unwrap_or_else(|_| unreachable!("plain structs serialize"))
    }
}
