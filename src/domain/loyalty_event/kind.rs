//! The catalogue of loyalty events: their names, and what kind of thing each tells of.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::json::from_text;
use crate::domain::schedule::TickType;
use crate::domain::source_event::SourceType;

macro_rules! event_types {
    ($($variant:ident = $word:literal: $doc:literal,)*) => {
        /// The catalogue of loyalty events.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        pub enum EventType { $(#[doc = $doc] #[schemars(rename = $word)] $variant,)* }

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
    EndpointFailing = "endpoint.failing": "An endpoint has taken nothing for a while and will be disabled.",
    EndpointDisabled = "endpoint.disabled": "Nothing leaves to an endpoint any more; what is owed to it waits.",
    EndpointEnabled = "endpoint.enabled": "An endpoint that was disabled gets its deliveries again.",
    EndpointRecovered = "endpoint.recovered": "An endpoint that was failing takes its deliveries again.",
    DeliveryExhausted = "delivery.exhausted": "A delivery was tried for the last time and not taken.",
    LaneBlocked = "lane.blocked": "A delivery that is not taken holds up those behind it.",
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
        ) && !self.is_about_delivery()
    }

    /// Whether it tells of the engine's own work, and so of nothing that a source event caused.
    pub const fn is_about_engine(self) -> bool {
        self.is_about_delivery() || matches!(self, Self::RuleSuspended | Self::RuleResumed)
    }

    /// Whether it tells of delivery itself. What becomes of deliveries of these is not told: two endpoints that fail would
    /// tell each other of it for ever.
    pub const fn is_about_delivery(self) -> bool {
        matches!(
            self,
            Self::EndpointFailing
                | Self::EndpointDisabled
                | Self::EndpointEnabled
                | Self::EndpointRecovered
                | Self::DeliveryExhausted
                | Self::LaneBlocked
        )
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
