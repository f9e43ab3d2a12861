//! What can be done, by name.

use std::fmt;
use std::str::FromStr;

use crate::domain::command::CommandType;
use crate::domain::redemption::Step;
use crate::domain::source_event::SourceType;

/// Writes each action once.
macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What was done. The word before the dot says to what.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name, as stored and shown.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

actions! {
    /// A chain was made.
    ChainCreated = "chain.created",
    /// A chain has another name.
    ChainUpdated = "chain.updated",
    /// An API key was made.
    KeyCreated = "key.created",
    /// An API key is called otherwise, or has another end or limit.
    KeyUpdated = "key.updated",
    /// An API key has another text.
    KeyRotated = "key.rotated",
    /// An API key is worthless.
    KeyRevoked = "key.revoked",
    /// An endpoint was made.
    EndpointCreated = "endpoint.created",
    /// An endpoint is another one.
    EndpointUpdated = "endpoint.updated",
    /// An endpoint is gone.
    EndpointDeleted = "endpoint.deleted",
    /// Deliveries leave.
    EndpointEnabled = "endpoint.enabled",
    /// Deliveries do not leave.
    EndpointDisabled = "endpoint.disabled",
    /// Deliveries do not leave for a while.
    EndpointPaused = "endpoint.paused",
    /// Another secret signs.
    EndpointSecretRotated = "endpoint.secret_rotated",
    /// An older secret signs no more.
    EndpointSecretEnded = "endpoint.secret_ended",
    /// What an endpoint missed is sent.
    RecoveryBegun = "recovery.begun",
    /// No more of it is sent.
    RecoveryStopped = "recovery.stopped",
    /// A delivery is sent again.
    DeliveryRetried = "delivery.retried",
    /// A delivery need not be sent any more.
    DeliveryDiscarded = "delivery.discarded",
    /// A version of a program is in force.
    ProgramPublished = "program.published",
    /// A version is tried on some.
    CandidateBegun = "candidate.begun",
    /// It is tried on others.
    CandidateChanged = "candidate.changed",
    /// It is tried no more: its files are in force for everybody.
    CandidatePromoted = "candidate.promoted",
    /// It is tried no more.
    CandidateDropped = "candidate.dropped",
    /// A rule that kept failing is not run.
    RuleSuspended = "rule.suspended",
    /// It runs again.
    RuleResumed = "rule.resumed",
    /// A churn model was fitted because somebody asked for it.
    ChurnRefitted = "churn.refitted",
    /// A coupon book was made.
    CouponBookCreated = "coupon_book.created",
    /// Codes were put into it.
    CouponBookFilled = "coupon_book.filled",
    /// A schedule of exports was made.
    ExportScheduleCreated = "export_schedule.created",
    /// A schedule of exports is gone.
    ExportScheduleDeleted = "export_schedule.deleted",
    /// A platform is to be kept in step, or in another way.
    IntegrationConfigured = "integration.configured",
    /// A platform is kept in step no more.
    IntegrationDeleted = "integration.deleted",
    /// A source event was decided again.
    SourceEventReplayed = "source_event.replayed",
    /// A member was made.
    MemberCreated = "member.created",
    /// A member's profile is another one.
    MemberUpdated = "member.updated",
    /// A member was forgotten.
    MemberErased = "member.erased",
    /// Another member turned out to be this one.
    MemberMerged = "member.merged",
    /// Another member turned out not to be this one.
    MemberUnmerged = "member.unmerged",
    /// An order without a guest was theirs.
    MemberOrderClaimed = "member.order_claimed",
    /// Points were given or taken by hand.
    MemberPointsAdjusted = "member.points_adjusted",
    /// Points that waited for it can be spent.
    MemberPointsConfirmed = "member.points_confirmed",
    /// A tier was given by hand.
    MemberTierSet = "member.tier_set",
    /// A tier that was given by hand was taken away.
    MemberTierCleared = "member.tier_cleared",
    /// A coupon was given to a member.
    MemberCouponAssigned = "member.coupon_assigned",
    /// A use of a coupon is kept for a member.
    MemberCouponReserved = "member.coupon_reserved",
    /// It is kept no longer.
    MemberCouponReleased = "member.coupon_released",
    /// A member used a coupon.
    MemberCouponUsed = "member.coupon_used",
    /// A use of a coupon was taken back.
    MemberCouponReverted = "member.coupon_reverted",
    /// A member said who brought them.
    MemberReferralAccepted = "member.referral_accepted",
    /// A referral counts.
    MemberReferralApproved = "member.referral_approved",
    /// A referral does not count.
    MemberReferralRejected = "member.referral_rejected",
    /// A member spent points on a reward.
    MemberRewardRedeemed = "member.reward_redeemed",
    /// A redemption was approved.
    MemberRedemptionApproved = "member.redemption_approved",
    /// A member got what they redeemed.
    MemberRedemptionFulfilled = "member.redemption_fulfilled",
    /// A redemption was rejected: the points are back.
    MemberRedemptionRejected = "member.redemption_rejected",
    /// A redemption was cancelled: the points are back.
    MemberRedemptionCancelled = "member.redemption_cancelled",
}

impl Action {
    /// What kind of thing it is done to.
    pub fn noun(self) -> &'static str {
        self.as_str().split_once('.').map_or(self.as_str(), |(noun, _)| noun)
    }

    /// What somebody did by sending a source event of this type through a route of its own. `None` for what only tills
    /// and the engine itself send.
    pub const fn of(kind: SourceType) -> Option<Self> {
        use CommandType as C;
        let command = match kind {
            SourceType::MemberUpdated => return Some(Self::MemberUpdated),
            SourceType::Command(command) => command,
            _ => return None,
        };
        Some(match command {
            C::CreateMember => Self::MemberCreated,
            C::Erase => Self::MemberErased,
            C::Merge => Self::MemberMerged,
            C::Unmerge => Self::MemberUnmerged,
            C::ClaimOrder => Self::MemberOrderClaimed,
            C::AdjustPoints => Self::MemberPointsAdjusted,
            C::ConfirmPoints => Self::MemberPointsConfirmed,
            C::SetTier => Self::MemberTierSet,
            C::ClearTier => Self::MemberTierCleared,
            C::AssignCoupon => Self::MemberCouponAssigned,
            C::ReserveCoupon => Self::MemberCouponReserved,
            C::ReleaseCoupon => Self::MemberCouponReleased,
            C::UseCoupon => Self::MemberCouponUsed,
            C::RevertCoupon => Self::MemberCouponReverted,
            C::AcceptReferral => Self::MemberReferralAccepted,
            C::ApproveReferral => Self::MemberReferralApproved,
            C::RejectReferral => Self::MemberReferralRejected,
            C::Redeem => Self::MemberRewardRedeemed,
            C::StepRedemption(Step::Approve) => Self::MemberRedemptionApproved,
            C::StepRedemption(Step::Fulfill) => Self::MemberRedemptionFulfilled,
            C::StepRedemption(Step::Reject) => Self::MemberRedemptionRejected,
            C::StepRedemption(Step::Cancel) => Self::MemberRedemptionCancelled,
            C::RewardReferral | C::RevokeReferral | C::Tick => return None,
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = BadAction;
    fn from_str(word: &str) -> Result<Self, BadAction> {
        Self::ALL.iter().copied().find(|action| action.as_str() == word).ok_or(BadAction)
    }
}

/// One action, or all that are done to things of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actions(Vec<Action>);

/// Why a text names no action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an action such as endpoint.updated, or all of a kind such as endpoint.*")]
pub struct BadAction;

impl Actions {
    /// Whether this is among them.
    pub fn have(&self, action: Action) -> bool {
        self.0.contains(&action)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Action> + '_ {
        self.0.iter().copied()
    }
}

impl FromStr for Actions {
    type Err = BadAction;
    fn from_str(text: &str) -> Result<Self, BadAction> {
        let Some(noun) = text.strip_suffix(".*") else { return text.parse().map(|one| Self(vec![one])) };
        let all: Vec<_> = Action::ALL.iter().copied().filter(|action| action.noun() == noun).collect();
        if all.is_empty() { Err(BadAction) } else { Ok(Self(all)) }
    }
}
