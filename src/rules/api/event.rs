//! What triggers, and rules that react, see of a loyalty event.

use rhai::FuncRegistration;
use rust_decimal::Decimal;

use super::Text;
use crate::domain::loyalty_event::EventType::{self, *};
use crate::rules::payload::Fields;
use crate::rules::views::{EventView, or_empty};
use crate::rules::vocabulary::{Author, Role, Type};

const POINTS: &[EventType] = &[
    PointsEarned,
    PointsDeducted,
    PointsClawedBack,
    PointsAdjusted,
    PointsExpired,
    PointsRedeemed,
    PointsReturned,
];
/// Also those of which none moved.
const AMOUNTS: &[EventType] = &[
    PointsEarned,
    PointsDeducted,
    PointsClawedBack,
    PointsPending,
    PointsExpired,
    PointsExpiringSoon,
    PointsAdjusted,
    PointsRedeemed,
    PointsReturned,
];
const COUPONS: &[EventType] =
    &[CouponAssigned, CouponReserved, CouponReleased, CouponUsed, CouponReverted, CouponWithdrawn];
const REDEMPTIONS: &[EventType] = &[
    RedemptionCreated,
    RedemptionPending,
    RedemptionApproved,
    RedemptionFulfilled,
    RedemptionRejected,
    RedemptionCancelled,
    RedemptionExpired,
];
const TIERS: &[EventType] = &[TierUpgraded, TierDowngraded];
const ABSENCES: &[EventType] = &[MemberAtRisk, MemberChurned, MemberReactivated];
const ORDERS: &[EventType] = &[OrderCreated, OrderUpdated, OrderCompleted, OrderCancelled, OrderRefunded];
const CHANNELS: &[EventType] =
    &[OrderCreated, OrderUpdated, OrderCompleted, VisitRecorded, SessionStarted, CartAbandoned];
const REASONS: &[EventType] = &[
    PointsEarned,
    PointsDeducted,
    PointsClawedBack,
    PointsAdjusted,
    PointsExpired,
    PointsRedeemed,
    PointsReturned,
    OrderCancelled,
    OrderRefunded,
];
const ACHIEVEMENTS: &[EventType] =
    &[AchievementEarned, AchievementProgressed, AchievementRevoked, StreakBroken];
const REFERRALS: &[EventType] =
    &[ReferralCreated, ReferralApproved, ReferralRejected, ReferralExpired, ReferralRevoked];
const SEGMENTS: &[EventType] = &[SegmentEntered, SegmentExited];
/// Events that hand on what they do not know the meaning of.
const PAYLOADS: &[EventType] = &[
    ExperienceCreated,
    ExperienceUpdated,
    ExperienceDeleted,
    MenuItemCreated,
    MenuItemUpdated,
    MenuItemDeleted,
    SignalReceived,
    CustomEmitted,
];

pub(super) fn words(author: &mut Author) {
    author
        .text("type", |e: &mut EventView| e.event.kind().as_str())
        .role(Role::LoyaltyEvent)
        .says("Its type, such as `points.earned`.");
    author.property("at", Type::Moment, |e: &mut EventView| e.at).says("When it happened.");
    author
        .property("amount", Type::Whole, |e: &mut EventView| e.amount().map_or(0, |(amount, _)| amount.0))
        .events(AMOUNTS)
        .never_negative()
        .says("How many points, always a positive number.");
    author
        .property("new_balance", Type::Whole, |e: &mut EventView| {
            e.points().map_or(0, |moved| moved.new_balance.0)
        })
        .events(POINTS)
        .says("The wallet's balance after it.");
    author
        .text("wallet", |e: &mut EventView| e.amount().map_or("", |(_, wallet)| wallet))
        .role(Role::Wallet)
        .events(AMOUNTS)
        .says("The wallet that they are in.");
    author
        .text("coupon_book", |e: &mut EventView| e.coupon_book())
        .role(Role::CouponBook)
        .events(COUPONS)
        .says("The coupon's book, as `program.toml` calls it; \"\" for a book that was made over the API.");
    author
        .text("reward", |e: &mut EventView| e.reward())
        .events(REDEMPTIONS)
        .role(Role::Reward)
        .says("Which reward.");
    author.text("reason", |e: &mut EventView| e.reason()).events(REASONS).says("Why.");
    author
        .text("previous_tier", |e: &mut EventView| {
            or_empty(e.tier().and_then(|moved| moved.previous_tier.as_ref()).map(|tier| &tier.id))
        })
        .role(Role::Tier)
        .events(TIERS)
        .says("The tier before; \"\" when there was none.");
    author
        .text("new_tier", |e: &mut EventView| e.tier().map_or("", |t| &t.new_tier.id))
        .role(Role::Tier)
        .events(TIERS)
        .says("The tier after.");
    author
        .text("tier", |e: &mut EventView| e.danger().map_or("", |d| &d.tier.id))
        .role(Role::Tier)
        .events(&[TierWillDowngrade])
        .says("The tier that would be lost.");
    author
        .property("missing", Type::Decimal, |e: &mut EventView| {
            e.danger().map_or(Decimal::ZERO, |danger| danger.missing.decimal())
        })
        .events(&[TierWillDowngrade])
        .says("How much is missing to keep it.");
    author
        .text("achievement", |e: &mut EventView| e.achievement())
        .role(Role::Achievement)
        .events(ACHIEVEMENTS)
        .says("Which achievement.");
    author
        .property("times", Type::Whole, |e: &mut EventView| e.times())
        .events(&[AchievementEarned, AchievementRevoked]).never_negative().says("Which time it is that the member earned it; of `achievement.revoked`, how often it is still earned.");
    author
        .property("progress", Type::Decimal, |e: &mut EventView| e.progress().0)
        .events(&[AchievementProgressed])
        .says("How far the member is.");
    author
        .property("target", Type::Decimal, |e: &mut EventView| e.progress().1)
        .events(&[AchievementProgressed])
        .says("How far it is in all.");
    author
        .text("role", |e: &mut EventView| e.side())
        .role(Role::Side)
        .events(REFERRALS)
        .says("Whose side is told: `sender` or `receiver`.");
    author
        .text("referral_channel", |e: &mut EventView| e.referral_channel())
        .events(REFERRALS)
        .says("Where the code came from: `friend`, `instagram`.");
    author
        .property("length", Type::Whole, |e: &mut EventView| e.streak_length())
        .events(&[StreakBroken])
        .never_negative()
        .says("How many units the streak lasted.");
    author
        .property("days_since_last_visit", Type::Whole, |e: &mut EventView| {
            e.absence().map_or(0, |absence| absence.days_since_last_visit)
        })
        .events(ABSENCES)
        .never_negative()
        .says("How long the member stayed away.");
    author
        .text("risk_level", |e: &mut EventView| e.absence().map_or("", |absence| absence.risk_level.as_str()))
        .role(Role::RiskLevel)
        .events(ABSENCES)
        .says("`LOW`, `MEDIUM` or `HIGH`.");
    author
        .text("segment_name", |e: &mut EventView| e.segment().map_or("", |change| &change.segment_name))
        .role(Role::Segment)
        .events(SEGMENTS)
        .says("The segment.");
    author
        .text("segment_type", |e: &mut EventView| {
            e.segment().map_or("", |change| change.segment_type.as_str())
        })
        .role(Role::SegmentType)
        .events(SEGMENTS)
        .says("`PRIMARY`, `COMPOUND` or `COHORT`.");
    author.text("order_id", |e: &mut EventView| e.order_id()).events(ORDERS).says("The order.");
    author
        .property("total", Type::Decimal, |e: &mut EventView| e.total())
        .events(ORDERS)
        .says("What it came to; of a refund, what goes back.");
    author
        .text("channel", |e: &mut EventView| e.channel())
        .events(CHANNELS)
        .says("Where, in the sender's words.");
    author
        .property("value", Type::Decimal, |e: &mut EventView| {
            e.cart().map_or(Decimal::ZERO, |cart| cart.value.decimal())
        })
        .events(&[CartAbandoned])
        .never_negative()
        .says("What the cart is worth.");
    author
        .property("item_count", Type::Whole, |e: &mut EventView| e.cart().map_or(0, |cart| cart.item_count))
        .events(&[CartAbandoned])
        .never_negative()
        .says("How many things are in it.");
    author
        .text("identified_via", |e: &mut EventView| {
            e.identified().map_or("", |identified| identified.identified_via.as_str())
        })
        .role(Role::IdentityKind)
        .events(&[MemberIdentified])
        .says("By what the guest was recognised: `id`, `card`, `phone`, `email`, `external_id`.");
    author
        .property("confidence", Type::Decimal, |e: &mut EventView| {
            e.identified().map_or(Decimal::ZERO, |identified| identified.confidence.decimal())
        })
        .events(&[MemberIdentified])
        .between(0, 1)
        .says("How sure that is, 0 to 1.");
    author
        .property("changed", Type::List, |e: &mut EventView| e.changed())
        .events(&[MemberUpdated])
        .says("The parts of the profile that are others now: `event.changed.contains(\"language\")`.");
    author
        .text("name", |e: &mut EventView| e.name())
        .events(&[SignalReceived, CustomEmitted])
        .says("What the sender calls it; of an event of your own, its name in `program.toml`.");
    author.property("data", Type::Json, |e: &mut EventView| e.data.clone()).events(PAYLOADS).says(
        "What came with it, field by field: `event.data.price`. A field that is not there equals nothing.",
    );
    // `event.data.price`: what is no property is asked of the index.
    FuncRegistration::new_index_getter()
        .set_into_module(author.module(), |fields: &mut Fields, name: Text| fields.get(&name));
    author
        .function("contains", Type::Bool, |fields: &mut Fields, name: Text| fields.contains(&name))
        .says("Whether it has a field of this name.");
}
