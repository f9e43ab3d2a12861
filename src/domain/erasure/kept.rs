//! What may stay, field by field. A type that is new tomorrow does not compile until somebody has said so of each of its
//! fields; a field that is new is forgotten until then.
//!
//! What people and tills write in their own words (reasons, statuses, names of signals' contents) may name somebody, and
//! so goes; what a schema asks for is blank.

use crate::domain::command::CommandType;
use crate::domain::loyalty_event::EventType;
use crate::domain::source_event::SourceType;

/// What may stay of a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Keep {
    /// All of it.
    Whole,
    /// Of the object, or of each in the list, these.
    Only(Fields),
    /// That there was something; this stands for it.
    Blank(&'static str),
}

/// The fields that may stay of an object, and what of them.
pub(super) type Fields = &'static [(&'static str, Keep)];

use Keep::{Blank, Only, Whole};

const TEXT: Keep = Blank("\"erased\"");
const OBJECT: Keep = Blank("{}");
const LIST: Keep = Blank("[]");
/// A day that nobody takes for one.
const DAY: Keep = Blank("\"0001-01-01\"");

/// Of a loyalty event, besides `member` and `data`.
pub(super) const EVENT: Fields = &[("id", Whole), ("type", Whole), ("timestamp", Whole), ("chain", Whole)];
/// Of a source event, besides `member` and `data`.
pub(super) const SOURCE: Fields =
    &[("key", Whole), ("type", Whole), ("occurred_at", Whole), ("location", Whole)];
/// Of a member, besides our id of them.
pub(super) const MEMBER: Fields = &[
    ("tier", Whole),
    ("tier_name", Whole),
    ("manual_tier", Whole),
    ("system_tier", Whole),
    ("points", Whole),
    ("next_expiration", Only(&[("amount", Whole), ("at", Whole)])),
    ("segments", Only(&[("primary", Whole), ("compound", Whole), ("cohorts", Whole)])),
];
/// Of a receipt, besides `member`.
pub(super) const RECEIPT: Fields = &[
    ("id", Whole),
    ("key", Whole),
    ("status", Whole),
    ("duplicate", Whole),
    ("program_version", Whole),
    ("effects", Only(EFFECT)), // what rules did, in the program's words
    ("events", Only(&[("id", Whole), ("type", Whole), ("data", Only(LINE))])),
    ("errors", Only(&[("rule", Whole), ("at", Whole), ("error", TEXT)])),
];
const EFFECT: Fields = &[
    ("rule", Whole),
    ("at", Whole),
    ("effect", Whole),
    ("amount", Whole),
    ("wallet", Whole),
    ("value", Whole),
];
const LINE: Fields = &[
    ("amount", Whole),
    ("new_balance", Whole),
    ("code", Whole),
    ("coupon_usage_key", Whole),
    ("name", Whole),
    ("discount_type", Whole),
    ("discount_amount", Whole),
    ("expired_at", Whole),
    ("reserved_until", Whole),
    ("redemption_id", Whole),
    ("reward", Whole),
    ("status", Whole),
];

const ITEM: Fields = &[
    ("sku", Whole),
    ("name", Whole),
    ("category", Whole),
    ("quantity", Whole),
    ("price", Whole),
    ("customized", Whole),
];
const ORDER: Fields = &[
    ("order_id", Whole),
    ("version", Whole),
    ("total", Whole),
    ("subtotal", Whole),
    ("tax", Whole),
    ("tip", Whole),
    ("discount", Whole),
    ("delivery_fee", Whole),
    ("service_charge", Whole),
    ("gift_card", Whole),
    ("channel", Whole),
    ("location", Whole),
    ("coupons", Whole),
    ("items", Only(ITEM)),
    ("item_count", Whole),
    ("told_before", Whole),
    ("source_event", Whole),
];
const REFUND: Fields = &[
    ("order_id", Whole),
    ("amount", Whole),
    ("full", Whole),
    ("items", Only(&[("sku", Whole), ("line", Whole), ("quantity", Whole)])),
    ("source_event", Whole),
];
const CART: Fields = &[
    ("cart_id", TEXT),
    ("version", Whole),
    ("channel", Whole),
    ("location", Whole),
    ("total", Whole),
    ("value", Whole),
    ("item_count", Whole),
    ("items", Only(ITEM)),
    ("lines_left_out", Whole),
    ("updated_at", Whole),
    ("source_event", Whole),
];
const VISIT: Fields = &[("channel", Whole), ("source_event", Whole)];
const SESSION: Fields = &[
    ("session_id", TEXT),
    ("channel", Whole),
    ("confidence", Whole),
    ("identified_via", Whole),
    ("is_returning", Whole),
    ("duration_seconds", Whole),
    ("source_event", Whole),
];
const SIGNAL: Fields = &[("name", Whole), ("data", OBJECT), ("source_event", Whole)];
const REUNION: Fields =
    &[("other_id", TEXT), ("other_member_id", Whole), ("points", Only(PURSE)), ("source_event", Whole)];
const PURSE: Fields = &[("wallet", Whole), ("balance", Whole), ("pending", Whole)];
const POINTS: Fields = &[
    ("amount", Whole),
    ("taken", Whole),
    ("wallet", Whole),
    ("new_balance", Whole),
    ("balance", Whole),
    ("reason", TEXT),
    ("expires_at", Whole),
    ("available_at", Whole),
    ("order_id", Whole),
    ("source_event", Whole),
];
const REDEMPTION: Fields = &[
    ("redemption_id", Whole),
    ("reward", Only(&[("id", Whole), ("title", Whole), ("type", Whole)])),
    ("points_spent", Whole),
    ("wallet", Whole),
    ("status", Whole),
    ("expires_at", Whole),
    ("source_event", Whole),
];
const ONE_TIER: Fields = &[("id", Whole), ("name", Whole)];
const TIER: Fields = &[
    ("previous_tier", Only(ONE_TIER)),
    ("new_tier", Only(ONE_TIER)),
    ("manual_tier", Whole),
    ("system_tier", Whole),
    ("tier", Only(ONE_TIER)),
    ("metric", Whole),
    ("missing", Whole),
    ("on", Whole),
    ("source_event", Whole),
];
const ACHIEVEMENT: Fields = &[
    ("achievement", Whole),
    ("name", Whole),
    ("times", Whole),
    ("target", Whole),
    ("progress", Whole),
    ("period_start", Whole),
    ("unit", Whole),
    ("length", Whole),
    ("last", Whole),
    ("coupons_kept", Whole),
    ("source_event", Whole),
];
const REFERRAL: Fields = &[
    ("referral_id", Whole),
    ("role", Whole),
    ("status", Whole),
    ("sender_id", TEXT),
    ("receiver_id", TEXT),
    ("has_coupon", Whole),
    ("new_user", Whole),
    ("referred_user", Whole),
    ("rewarded", Whole),
    ("coupons_kept", Whole),
    ("source_event", Whole),
];
const COUPON: Fields = &[
    ("coupon", Only(COUPON_FACE)),
    ("usage", Only(USAGE)),
    ("coupon_book", Only(BOOK)),
    ("reserved_until", Whole),
    ("source_event", Whole),
];
const COUPON_FACE: Fields = &[
    ("code", Whole),
    ("coupon_book_key", Whole),
    ("created_at", Whole),
    ("updated_at", Whole),
    ("expired_at", Whole),
    ("total_usages", Whole),
    ("total_assigned", Whole),
];
const BOOK: Fields = &[
    ("coupon_book_key", Whole),
    ("id", Whole),
    ("name", Whole),
    ("type", Whole),
    ("discount_type", Whole),
    ("discount_amount", Whole),
    ("valid_from_date", Whole),
    ("valid_to_date", Whole),
    ("usage_limit", Whole),
    ("assign_limit", Whole),
    ("limit_per_member", Whole),
    ("expires_after", Whole),
    ("revert_on", Whole),
    ("description", Whole),
    ("picture_url", Whole),
    ("external_id", Whole),
    ("tags", Whole),
];
const USAGE: Fields = &[
    ("coupon_usage_key", Whole),
    ("created_at", Whole),
    ("updated_at", Whole),
    ("amount_used", Whole),
    ("amount_assigned", Whole),
    ("reverted_usage_id", Whole),
    ("system_unique_key", Whole),
    ("loyalty_member_id", TEXT),
    ("updated_total_usages", Whole),
    ("updated_total_assigned", Whole),
];
const SEGMENT: Fields = &[
    ("segment_id", Whole),
    ("segment_name", Whole),
    ("segment_type", Whole),
    ("trigger", Whole),
    ("previous_segments", Whole),
    ("current_segments", Whole),
    ("source_event", Whole),
];
const ABSENCE: Fields = &[
    ("risk_level", Whole),
    ("days_since_last_visit", Whole),
    ("previous_visit_frequency", Whole),
    ("typical_gap_days", Whole),
    ("predicted_churn_probability", Whole),
    ("recommended_actions", Whole),
    ("source_event", Whole),
];

/// Of the `data` of a loyalty event.
pub(super) const fn of_told(kind: EventType) -> Fields {
    use EventType as E;
    match kind {
        E::MemberEnrolled => {
            &[("enrolled_at", Whole), ("identities", LIST), ("profile", OBJECT), ("source_event", Whole)]
        }
        E::MemberUpdated => &[("changed", Whole), ("profile", OBJECT), ("source_event", Whole)],
        E::MemberMerged | E::MemberUnmerged => REUNION,
        E::MemberErased => {
            &[("known_as", TEXT), ("member_id", Whole), ("points", Only(PURSE)), ("source_event", Whole)]
        }
        E::MemberBirthday => &[("day", DAY), ("source_event", Whole)],
        E::MemberAnniversary => &[("years", Whole), ("enrolled_on", Whole), ("source_event", Whole)],
        E::MemberIdentified | E::SessionStarted | E::SessionEnded => SESSION,
        E::SignalReceived | E::CustomEmitted => SIGNAL,
        E::CartAbandoned => CART,
        E::OrderCreated | E::OrderUpdated | E::OrderCompleted | E::OrderCancelled => ORDER,
        E::OrderRefunded => REFUND,
        E::VisitRecorded => VISIT,
        E::PointsEarned
        | E::PointsDeducted
        | E::PointsClawedBack
        | E::PointsPending
        | E::PointsExpired
        | E::PointsExpiringSoon
        | E::PointsAdjusted
        | E::PointsRedeemed
        | E::PointsReturned => POINTS,
        E::RedemptionCreated
        | E::RedemptionPending
        | E::RedemptionApproved
        | E::RedemptionFulfilled
        | E::RedemptionRejected
        | E::RedemptionCancelled
        | E::RedemptionExpired => REDEMPTION,
        E::TierUpgraded | E::TierDowngraded | E::TierWillDowngrade => TIER,
        E::AchievementEarned | E::AchievementProgressed | E::AchievementRevoked | E::StreakBroken => {
            ACHIEVEMENT
        }
        E::ReferralCreated
        | E::ReferralApproved
        | E::ReferralRejected
        | E::ReferralExpired
        | E::ReferralRevoked => REFERRAL,
        E::CouponAssigned
        | E::CouponReserved
        | E::CouponReleased
        | E::CouponUsed
        | E::CouponReverted
        | E::CouponWithdrawn => COUPON,
        E::SegmentEntered | E::SegmentExited => SEGMENT,
        E::MemberAtRisk | E::MemberChurned | E::MemberReactivated => ABSENCE,
        E::CampaignExhausted => &[
            ("campaign", Whole),
            ("name", Whole),
            ("budget", Whole),
            ("wallet", Whole),
            ("source_event", Whole),
        ],
        E::ExperienceCreated | E::ExperienceUpdated | E::ExperienceDeleted => {
            &[("experience", Whole), ("source_event", Whole)]
        }
        E::MenuItemCreated | E::MenuItemUpdated | E::MenuItemDeleted => {
            &[("menu_item", Whole), ("source_event", Whole)]
        }
        // About no member, so never asked for.
        E::RuleSuspended
        | E::RuleResumed
        | E::EndpointFailing
        | E::EndpointDisabled
        | E::EndpointEnabled
        | E::EndpointRecovered
        | E::DeliveryExhausted
        | E::LaneBlocked => &[],
    }
}

/// Of the `data` of a source event.
pub(super) const fn of_source(kind: SourceType) -> Fields {
    match kind {
        SourceType::OrderCreated
        | SourceType::OrderUpdated
        | SourceType::OrderCompleted
        | SourceType::OrderCancelled => ORDER,
        SourceType::OrderRefunded => REFUND,
        SourceType::Visit => VISIT,
        SourceType::MemberUpdated | SourceType::Offering(..) => &[],
        SourceType::SessionStarted | SourceType::SessionEnded => SESSION,
        SourceType::Signal => SIGNAL,
        SourceType::CartUpdated => CART,
        SourceType::Command(command) => of_command(command),
    }
}

const fn of_command(kind: CommandType) -> Fields {
    use CommandType as C;
    match kind {
        C::AdjustPoints => &[("amount", Whole), ("wallet", Whole), ("reason", TEXT)],
        C::SetTier => &[("tier", Whole), ("until", Whole), ("reason", TEXT)],
        C::ConfirmPoints => &[("origin", Whole)],
        C::AssignCoupon | C::ReserveCoupon | C::ReleaseCoupon | C::UseCoupon | C::RevertCoupon => {
            &[("code", Whole), ("book", Whole), ("until", Whole), ("usage", Whole)]
        }
        C::RejectReferral => &[("reason", TEXT)],
        C::RewardReferral | C::RevokeReferral => &[("referral", Whole)],
        C::Merge => &[("from", TEXT)],
        C::Unmerge => &[("member", Whole)],
        C::ClaimOrder => &[("code", TEXT)],
        C::Redeem => &[("reward", Whole)],
        C::StepRedemption(_) => &[("redemption", Whole)],
        C::Tick => &[("tick", Whole)],
        C::CreateMember | C::ClearTier | C::AcceptReferral | C::ApproveReferral | C::Erase => &[],
    }
}
