//! What is said of each event where an endpoint has no text of its own.

use serde::Deserialize;

use super::{EventType, Told, Unsendable, Wording};

macro_rules! about {
    ($what:literal) => {
        concat!("{member.full_name|member.first_name|member.id} ", $what)
    };
}

/// Our own wording. One that could not be read would be found by the test that fills them all in.
pub(super) fn built_in(told: &Told<'_>) -> Result<Wording, Unsendable> {
    let kind = told.kind;
    let text = if kind == EventType::PointsAdjusted && are_taken(told)? { Some(TAKEN) } else { text(kind) };
    let wording = match text {
        Some(text) => text.parse(),
        None if kind.is_about_member() => {
            format!("{{member.full_name|member.first_name|member.id}}: {}", kind.description().trim()).parse()
        }
        None => kind.description().trim().parse(),
    };
    let unreadable = |bad| Unsendable::Unreadable(format!("the text of {kind} {bad}"));
    wording.map_err(unreadable)
}

/// Whether points were taken by hand, and not given.
fn are_taken(told: &Told<'_>) -> Result<bool, Unsendable> {
    #[derive(Deserialize)]
    struct Adjusted {
        #[serde(default)]
        taken: bool,
    }
    Ok(told.data::<Adjusted>()?.taken)
}

const TAKEN: &str = "{data.amount} points of {member.full_name|member.first_name|member.id} were taken by hand: {data.reason}. Balance: {data.new_balance}.";

#[rustfmt::skip]
const fn text(kind: EventType) -> Option<&'static str> {
    use EventType as E;
    Some(match kind {
        E::MemberEnrolled => about!("is a member now."),
        E::MemberBirthday => about!("has their birthday today."),
        E::MemberAnniversary => about!("enrolled {data.years} years ago today."),
        E::OrderCompleted => about!("paid {data.total} for order {data.order_id}."),
        E::OrderCancelled => "Order {data.order_id} of {member.full_name|member.first_name|member.id} was cancelled.",
        E::OrderRefunded => about!("got {data.amount} back for order {data.order_id}."),
        E::CartAbandoned => about!("left a cart worth {data.value} behind."),
        E::PointsEarned => about!("just earned {data.amount} points: {data.reason}. Balance: {data.new_balance}."),
        E::PointsDeducted => about!("lost {data.amount} points: {data.reason}. Balance: {data.new_balance}."),
        E::PointsClawedBack => "{data.amount} points of {member.full_name|member.first_name|member.id} were taken back: {data.reason}. Balance: {data.new_balance}.",
        E::PointsPending => about!("will have {data.amount} points from {data.available_at} on: {data.reason}."),
        E::PointsExpired => "{data.amount} points of {member.full_name|member.first_name|member.id} expired. Balance: {data.new_balance}.",
        E::PointsExpiringSoon => "{data.amount} points of {member.full_name|member.first_name|member.id} expire on {data.expires_at}.",
        E::PointsAdjusted => about!("was given {data.amount} points by hand: {data.reason}. Balance: {data.new_balance}."),
        E::PointsRedeemed => about!("spent {data.amount} points on {data.reason}. Balance: {data.new_balance}."),
        E::PointsReturned => about!("got {data.amount} points back: {data.reason}. Balance: {data.new_balance}."),
        E::RedemptionCreated => about!("redeemed {data.reward.title} for {data.points_spent} points."),
        E::RedemptionPending => "{data.reward.title} for {member.full_name|member.first_name|member.id} waits for approval.",
        E::RedemptionApproved => "{data.reward.title} for {member.full_name|member.first_name|member.id} was approved.",
        E::RedemptionFulfilled => about!("got {data.reward.title}."),
        E::RedemptionRejected => "{data.reward.title} for {member.full_name|member.first_name|member.id} was rejected: {data.reason|\"no reason was given\"}.",
        E::RedemptionCancelled => "{data.reward.title} for {member.full_name|member.first_name|member.id} was cancelled: {data.reason|\"no reason was given\"}.",
        E::RedemptionExpired => about!("did not fetch {data.reward.title} in time."),
        E::TierUpgraded => about!("moved up to {data.new_tier.name|\"no tier\"}."),
        E::TierDowngraded => about!("moved down to {data.new_tier.name|\"no tier\"}."),
        E::TierWillDowngrade => about!("will lose {data.tier.name} on {data.on}: {data.missing} is missing."),
        E::AchievementEarned => about!("earned the achievement {data.name|data.achievement}."),
        E::AchievementProgressed => about!("is at {data.progress} of {data.target} for {data.name|data.achievement}."),
        E::AchievementRevoked => "The achievement {data.name|data.achievement} of {member.full_name|member.first_name|member.id} was taken back.",
        E::ReferralCreated => about!("was brought by {data.sender_first_name|data.sender_id}."),
        E::StreakBroken => "The streak {data.name|data.achievement} of {member.full_name|member.first_name|member.id} ended at {data.length}.",
        E::CouponAssigned => about!("was given the coupon {data.coupon.code}."),
        E::CouponUsed => about!("used the coupon {data.coupon.code}."),
        E::SegmentEntered => about!("is {data.segment_name} now."),
        E::SegmentExited => about!("is {data.segment_name} no more."),
        E::MemberAtRisk => about!("has not come for {data.days_since_last_visit} days ({data.risk_level|\"no\"} risk)."),
        E::MemberChurned => about!("has not come for {data.days_since_last_visit} days and counts as lost."),
        E::MemberReactivated => about!("is back."),
        E::CustomEmitted => "{member.full_name|member.first_name|member.id}: {data.name}.",
        E::CampaignExhausted => "The campaign {data.name|data.campaign} has given its whole budget of {data.budget}.",
        E::RuleSuspended => "The rule \"{data.rule}\" ({data.at}) is suspended: {data.error}",
        E::RuleResumed => "The rule \"{data.rule}\" ({data.at}) is run again.",
        E::EndpointFailing => "The endpoint at {data.url_host} ({data.endpoint}) has taken nothing since {data.since}: {data.reason}. It will be disabled on {data.disabled_from}.",
        E::EndpointDisabled => "The endpoint at {data.url_host} ({data.endpoint}) is disabled: {data.reason}. What is owed to it waits.",
        E::EndpointEnabled => "The endpoint at {data.url_host} ({data.endpoint}) is enabled again. It was disabled on {data.since}.",
        E::EndpointRecovered => "The endpoint at {data.url_host} ({data.endpoint}) takes its deliveries again. It had taken nothing since {data.since}.",
        E::DeliveryExhausted => "The endpoint at {data.url_host} ({data.endpoint}) did not take {data.event_type} in {data.tries} tries: {data.reason}. It can be sent again: {data.delivery}.",
        E::LaneBlocked => "At the endpoint at {data.url_host} ({data.endpoint}) others wait for {data.event_type}, which is not taken: {data.reason}. It can be discarded: {data.delivery}.",
        _ => return None,
    })
}
