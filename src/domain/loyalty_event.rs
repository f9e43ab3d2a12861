//! Loyalty events: what the engine tells the world.

mod message;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
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
use super::json::from_text;
use super::member::{MemberFace, RiskLevel};
use super::money::{Money, Points};
use super::offering::{Change, Offering, OfferingNews};
use super::order::{Cancellation, OrderTold, RefundTold, Visit};
use super::people::{Enrolled, Forfeited, ProfileUpdated, Reunion};
use super::redemption::{RedemptionStatus, RedemptionTold};
use super::referral::ReferralTold;
use super::schedule::TickType;
use super::segment::SegmentType;
use super::session::{Identified, SessionEnded, SessionStarted, Signal};
use super::source_event::SourceType;
use super::suspension::{RuleResumed, RuleSuspended};
use super::terms::tier::{Metric, Tier};
use super::text::{Key, Name};

pub(super) use message::{Message, With};

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
    OrderCreated = "order.created": "A member placed an order.",
    OrderUpdated = "order.updated": "Something about a member's order changed.",
    MemberUpdated = "member.updated": "Something else is known of a member now.",
    MemberMerged = "member.merged": "Another member turned out to be this one, who has everything of theirs now.",
    MemberUnmerged = "member.unmerged": "Another member was not this one after all and is a member of their own again.",
    MemberErased = "member.erased": "A member asked to be forgotten and was. Forget them, too.",
    MemberBirthday = "member.birthday": "It is a member's birthday.",
    MemberAnniversary = "member.anniversary": "A member enrolled on this day, years ago.",
    MemberIdentified = "member.identified": "A member was recognised in a session.",
    SessionStarted = "session.started": "A member came to a kiosk, opened the app or the site.",
    SessionEnded = "session.ended": "A member left it.",
    SignalReceived = "signal.received": "Something was noticed of a member.",
    CartAbandoned = "cart.abandoned": "A member put a cart together and did not order it.",
    OrderCompleted = "order.completed": "A member's order was paid.",
    OrderCancelled = "order.cancelled": "A member's order will not be, or is no longer.",
    OrderRefunded = "order.refunded": "Money was given back for a member's order.",
    VisitRecorded = "visit.recorded": "A member was here.",
    PointsEarned = "points.earned": "Points were awarded.",
    PointsDeducted = "points.deducted": "A rule took points.",
    PointsClawedBack = "points.clawed_back": "Points were taken back because their order was refunded, changed or cancelled.",
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
    TierWillDowngrade = "tier.will_downgrade": "A member is about to lose their tier.",
    AchievementEarned = "achievement.earned": "A member earned an achievement.",
    AchievementProgressed = "achievement.progressed": "A member came closer to an achievement, or fell back.",
    AchievementRevoked = "achievement.revoked": "An achievement was taken back because what earned it was.",
    ReferralCreated = "referral.created": "A member was brought by another one.",
    ReferralApproved = "referral.approved": "A referral counts; told to both sides.",
    ReferralRejected = "referral.rejected": "A referral does not count.",
    ReferralExpired = "referral.expired": "A referral waited for its approval for too long.",
    ReferralRevoked = "referral.revoked": "A referral counts no longer because its order does not; told to both sides.",
    StreakBroken = "streak.broken": "A member did not come in time to continue a streak.",
    CouponAssigned = "coupon.assigned": "A coupon was given to a member.",
    CouponReserved = "coupon.reserved": "A use of a coupon is kept for a member for a while.",
    CouponReleased = "coupon.released": "A use of a coupon is kept no longer.",
    CouponUsed = "coupon.used": "A member used a coupon.",
    CouponReverted = "coupon.reverted": "A use of a coupon was taken back.",
    CouponWithdrawn = "coupon.withdrawn": "A coupon was taken back from a member who had not used it.",
    SegmentEntered = "segment.entered": "A member came to be in a segment.",
    SegmentExited = "segment.exited": "A member is in a segment no more.",
    MemberAtRisk = "member.at_risk": "A member stays away longer than usual.",
    MemberChurned = "member.churned": "A member is given up for lost.",
    MemberReactivated = "member.reactivated": "A member who was at risk or churned is active again.",
    CustomEmitted = "custom.emitted": "A rule told something of the program's own; `name` says what.",
    CampaignExhausted = "campaign.exhausted": "A campaign has given its whole budget.",
    ExperienceCreated = "experience.created": "The chain offers a new experience.",
    ExperienceUpdated = "experience.updated": "An experience of the chain changed.",
    ExperienceDeleted = "experience.deleted": "The chain does not offer an experience any more.",
    MenuItemCreated = "menu_item.created": "There is a new item on the menu.",
    MenuItemUpdated = "menu_item.updated": "An item of the menu changed.",
    MenuItemDeleted = "menu_item.deleted": "An item is not on the menu any more.",
    RuleSuspended = "rule.suspended": "A rule failed for one member after the other and is not run until somebody looks at it.",
    RuleResumed = "rule.resumed": "A rule that was suspended is run again.",
}

impl EventType {
    /// Whether it happens to a member. Other events name none.
    pub const fn is_about_member(self) -> bool {
        !matches!(
            self,
            Self::CampaignExhausted
                | Self::ExperienceCreated
                | Self::ExperienceUpdated
                | Self::ExperienceDeleted
                | Self::MenuItemCreated
                | Self::MenuItemUpdated
                | Self::MenuItemDeleted
                | Self::RuleSuspended
                | Self::RuleResumed
        )
    }

    /// Whether it tells of a rule, and so of nothing that a source event caused.
    pub const fn is_about_rule(self) -> bool {
        matches!(self, Self::RuleSuspended | Self::RuleResumed)
    }

    /// Whether a rule can start on it. Of two with the name of a source event or a tick, that one starts the rule; and
    /// who was erased is nobody any more.
    pub fn starts_rules(self) -> bool {
        self.is_about_member() && self != Self::MemberErased && !self.is_told_again()
    }

    /// Whether a source event or a tick of the same name, on which rules start, is what it tells of.
    pub fn is_told_again(self) -> bool {
        let sources = SourceType::ALL.into_iter().map(SourceType::as_str);
        sources.chain(TickType::ALL.into_iter().map(TickType::as_str)).any(|word| word == self.as_str())
    }

    /// Whether the member is shown with their segments. Not everywhere: most events come with every order.
    pub const fn shows_segments(self) -> bool {
        matches!(
            self,
            Self::MemberIdentified
                | Self::OrderCompleted
                | Self::MemberAtRisk
                | Self::MemberChurned
                | Self::MemberReactivated
        )
    }
}

impl FromStr for EventType {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word).ok_or(())
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a type of loyalty event")
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

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
    /// Key of the source event; `None` for a scheduled tick, and for what is told of a rule.
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
