//! Commands: what people and programs ask of the engine through the admin routes.
//!
//! A command is a source event of its own type: it is stored under its key, decided by the member's actor like anything
//! a till says, answered with a receipt, and comes up again in a replay. Unlike a till's event, a command that cannot be
//! carried out is refused: nothing is stored, and the answer names why.

use std::num::NonZeroI64;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::coupon::CouponCommand;
use super::identity::MemberName;
use super::ids::MemberId;
use super::ids::RedemptionId;
use super::json;
use super::money::Points;
use super::profile::ProfileChange;
use super::redemption::Step;
use super::referral::ReferralCommand;
use super::source_event::BadEvent;
use super::text::{Key, Name, Note, Text};
use super::tick::KeptTick;

/// The types of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommandType {
    /// Points given or taken by hand.
    AdjustPoints,
    /// A tier given by hand.
    SetTier,
    /// A tier given by hand, taken away.
    ClearTier,
    /// A member made before they ever came.
    CreateMember,
    /// Points that waited for it can be spent.
    ConfirmPoints,
    /// A coupon given to a member.
    AssignCoupon,
    /// A use of a coupon kept for a member.
    ReserveCoupon,
    /// It is kept no longer.
    ReleaseCoupon,
    /// A coupon used.
    UseCoupon,
    /// A use of a coupon taken back.
    RevertCoupon,
    /// A member says who brought them.
    AcceptReferral,
    /// A referral counts.
    ApproveReferral,
    /// A referral does not count.
    RejectReferral,
    /// A member gets what bringing somebody brings. The engine itself asks for it.
    RewardReferral,
    /// It is taken back. The engine itself asks for it.
    RevokeReferral,
    /// Another member is this one.
    Merge,
    /// Another member was not this one after all.
    Unmerge,
    /// A member is forgotten.
    Erase,
    /// An order without a guest was this member's.
    ClaimOrder,
    /// Points are spent on a reward.
    Redeem,
    /// A redemption takes a step.
    StepRedemption(Step),
    /// A rule failed on a tick. The engine itself keeps it, so that it can run again.
    Tick,
}

impl CommandType {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::AdjustPoints,
        Self::SetTier,
        Self::ClearTier,
        Self::CreateMember,
        Self::ConfirmPoints,
        Self::AssignCoupon,
        Self::ReserveCoupon,
        Self::ReleaseCoupon,
        Self::UseCoupon,
        Self::RevertCoupon,
        Self::AcceptReferral,
        Self::ApproveReferral,
        Self::RejectReferral,
        Self::RewardReferral,
        Self::RevokeReferral,
        Self::Merge,
        Self::Unmerge,
        Self::Erase,
        Self::ClaimOrder,
        Self::Redeem,
        Self::StepRedemption(Step::Approve),
        Self::StepRedemption(Step::Fulfill),
        Self::StepRedemption(Step::Reject),
        Self::StepRedemption(Step::Cancel),
        Self::Tick,
    ];

    /// The type of the source event that carries it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AdjustPoints => "points.adjust",
            Self::SetTier => "tier.set",
            Self::ClearTier => "tier.clear",
            Self::CreateMember => "member.create",
            Self::ConfirmPoints => "points.confirm",
            Self::AssignCoupon => "coupon.assign",
            Self::ReserveCoupon => "coupon.reserve",
            Self::ReleaseCoupon => "coupon.release",
            Self::UseCoupon => "coupon.use",
            Self::RevertCoupon => "coupon.revert",
            Self::AcceptReferral => "referral.accept",
            Self::ApproveReferral => "referral.approve",
            Self::RejectReferral => "referral.reject",
            Self::RewardReferral => "referral.reward",
            Self::RevokeReferral => "referral.revoke",
            Self::Merge => "member.merge",
            Self::Unmerge => "member.unmerge",
            Self::Erase => "member.erase",
            Self::ClaimOrder => "order.claim",
            Self::Redeem => "redemption.create",
            Self::StepRedemption(Step::Approve) => "redemption.approve",
            Self::StepRedemption(Step::Fulfill) => "redemption.fulfill",
            Self::StepRedemption(Step::Reject) => "redemption.reject",
            Self::StepRedemption(Step::Cancel) => "redemption.cancel",
            Self::Tick => "tick",
        }
    }
}

impl FromStr for CommandType {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word).ok_or(())
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// `points.adjust`
    AdjustPoints(Adjustment),
    /// `member.create`
    CreateMember(Box<ProfileChange>),
    /// `tier.set`
    SetTier(TierOrder),
    /// `tier.clear`
    ClearTier,
    /// `points.confirm`
    ConfirmPoints(Confirmation),
    /// `coupon.assign`, `coupon.reserve`, `coupon.release`, `coupon.use` or `coupon.revert`
    Coupon(Box<CouponCommand>),
    /// `referral.accept`, `referral.approve`, `referral.reject`, `referral.reward` or `referral.revoke`
    Referral(Box<ReferralCommand>),
    /// `member.merge`: from whom
    Merge(MemberName),
    /// `member.unmerge`: who
    Unmerge(MemberId),
    /// `member.erase`
    Erase,
    /// `order.claim`: the code on its receipt, or its id
    ClaimOrder(Key),
    /// `redemption.create`
    Redeem(Wish),
    /// `redemption.approve`, `redemption.fulfill`, `redemption.reject`, `redemption.cancel`
    StepRedemption(Step, RedemptionOrder),
    /// `tick`
    Tick(KeptTick),
}

/// Points given or taken by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Adjustment {
    /// How many; below zero to take.
    pub amount: NonZeroI64,
    /// Why, for people.
    pub reason: Note,
    /// In which wallet; `None` = the program's first.
    pub wallet: Option<Name>,
}

/// A tier given by hand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TierOrder {
    /// Its id in `program.toml`.
    pub tier: Name,
    /// When it ends; `None` = when it is taken away.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Why, for people.
    pub reason: Note,
}

/// Nothing: to ask is all there is to say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Nothing")]
pub struct NothingMore {}

/// The `data` of `member.merge`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Merge")]
pub struct MergeBody {
    /// Any id of the member who turned out to be this one.
    from: Text<200>,
}

/// The `data` of `order.claim`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Claim")]
pub struct ClaimBody {
    /// The code on the receipt, or the id of the order.
    code: Key,
}

/// The `data` of `member.unmerge`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Unmerge")]
pub struct UnmergeBody {
    /// Our id of the member who was absorbed.
    member: MemberId,
}

/// What earned the points that can be spent from now on.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The id of the order, or the key of the event.
    pub origin: Key,
}

/// What a member wants for their points.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RewardWish")]
pub struct Wish {
    /// The reward's id in `program.toml`.
    pub reward: Name,
}

/// Which redemption takes a step, and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedemptionOrder {
    /// Which.
    pub redemption: RedemptionId,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Note>,
    /// What the guest gets: the code of a gift card, the number of a parcel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Name>,
}

/// The `data` of `points.adjust`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PointsAdjustment")]
pub struct AdjustmentBody {
    /// How many; below zero to take, and never 0.
    amount: i64,
    /// Why, for people.
    reason: Note,
    /// In which wallet; without it, the program's first.
    #[serde(default)]
    wallet: Option<Name>,
}

impl Command {
    /// Its type.
    pub const fn kind(&self) -> CommandType {
        match self {
            Self::AdjustPoints(_) => CommandType::AdjustPoints,
            Self::CreateMember(_) => CommandType::CreateMember,
            Self::SetTier(_) => CommandType::SetTier,
            Self::ClearTier => CommandType::ClearTier,
            Self::ConfirmPoints(_) => CommandType::ConfirmPoints,
            Self::Coupon(command) => command.kind(),
            Self::Referral(command) => command.kind(),
            Self::Merge(_) => CommandType::Merge,
            Self::Unmerge(_) => CommandType::Unmerge,
            Self::Erase => CommandType::Erase,
            Self::ClaimOrder(_) => CommandType::ClaimOrder,
            Self::Redeem(_) => CommandType::Redeem,
            Self::StepRedemption(step, _) => CommandType::StepRedemption(*step),
            Self::Tick(_) => CommandType::Tick,
        }
    }

    /// Reads the `data` of the event.
    pub(super) fn parse(kind: CommandType, raw: &str) -> Result<Self, BadEvent> {
        Ok(match kind {
            CommandType::AdjustPoints => Self::AdjustPoints(Adjustment::parse(raw)?),
            CommandType::SetTier => Self::SetTier(json::object(raw, "data")?),
            CommandType::ClearTier => {
                let NothingMore {} = json::object(raw, "data")?;
                Self::ClearTier
            }
            CommandType::CreateMember => {
                let person = ProfileChange::parse(raw)?;
                if person.new_identities().is_empty() {
                    let problem = "names nobody; give at least one of id, card, phone, email, external_id";
                    return Err(BadEvent::field("data.id", problem));
                }
                Self::CreateMember(person.into())
            }
            CommandType::ConfirmPoints => Self::ConfirmPoints(json::object(raw, "data")?),
            CommandType::AssignCoupon => Self::Coupon(CouponCommand::assign(raw)?.into()),
            CommandType::ReserveCoupon => Self::Coupon(CouponCommand::reserve(raw)?.into()),
            CommandType::ReleaseCoupon => Self::Coupon(CouponCommand::release(raw)?.into()),
            CommandType::UseCoupon => Self::Coupon(CouponCommand::use_up(raw)?.into()),
            CommandType::RevertCoupon => Self::Coupon(CouponCommand::revert(raw)?.into()),
            CommandType::AcceptReferral => Self::Referral(ReferralCommand::accept(raw)?.into()),
            CommandType::ApproveReferral => Self::Referral(ReferralCommand::approve(raw)?.into()),
            CommandType::RejectReferral => Self::Referral(ReferralCommand::reject(raw)?.into()),
            CommandType::RewardReferral => Self::Referral(ReferralCommand::reward(raw)?.into()),
            CommandType::RevokeReferral => Self::Referral(ReferralCommand::revoke(raw)?.into()),
            CommandType::Merge => {
                let MergeBody { from } = json::object(raw, "data")?;
                Self::Merge(MemberName::parse(&from))
            }
            CommandType::Unmerge => {
                let UnmergeBody { member } = json::object(raw, "data")?;
                Self::Unmerge(member)
            }
            CommandType::Erase => {
                let NothingMore {} = json::object(raw, "data")?;
                Self::Erase
            }
            CommandType::ClaimOrder => {
                let ClaimBody { code } = json::object(raw, "data")?;
                Self::ClaimOrder(code)
            }
            CommandType::Redeem => Self::Redeem(json::object(raw, "data")?),
            CommandType::StepRedemption(step) => Self::StepRedemption(step, json::object(raw, "data")?),
            CommandType::Tick => Self::Tick(KeptTick::parse(raw)?),
        })
    }
}

impl Adjustment {
    fn parse(raw: &str) -> Result<Self, BadEvent> {
        let body: AdjustmentBody = json::object(raw, "data")?;
        let amount = NonZeroI64::new(body.amount)
            .filter(|amount| amount.get().unsigned_abs() <= Points::LIMIT.unsigned_abs())
            .ok_or_else(|| {
                let problem = format!("must be a whole number other than 0, within {} points", Points::LIMIT);
                BadEvent::field("data.amount", problem)
            })?;
        Ok(Self { amount, reason: body.reason, wallet: body.wallet })
    }
}
