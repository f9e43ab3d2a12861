//! Why something is not decided.

use super::{MAX_EVENTS, MAX_RECOMMENDATIONS};
use crate::domain::coupon::Rejection;
use crate::domain::desk::Wanted;
use crate::domain::memo::MAX_COUNT;
use crate::domain::money::Points;
use crate::domain::refusal::Refused;
use crate::domain::text::Name;
use crate::domain::wallet::WalletError;

/// Why an effect cannot be applied. The rule that asked for it fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The balance would leave the range of points.
    #[error("the balance would pass {limit} points", limit = Points::LIMIT)]
    TooManyPoints,
    /// Too many amounts wait.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// Not a wallet of the program.
    #[error("there is no wallet called `{}` in program.toml", .0.as_deref().map_or("", |code| code))]
    NoSuchWallet(Option<Name>),
    /// Not a tier of the program.
    #[error("there is no tier called `{0}` in program.toml")]
    NoSuchTier(Name),
    /// `set_tier` where the engine reckons tiers.
    #[error("tiers follow [tier_policy] in program.toml, so rules cannot set them")]
    TiersFollowPolicy,
    /// `take_back` outside a refund.
    #[error("take_back works on order.refunded only: here there is no refund")]
    NoRefund,
    /// `recommend` without `mark`.
    #[error(
        "recommend goes with the event that `mark` tells: use both in one rule, or a rule on member.reactivated"
    )]
    NothingToRecommendFor,
    /// More recommendations than a person would read.
    #[error("a rule may recommend at most {MAX_RECOMMENDATIONS} actions")]
    TooManyRecommendations,
    /// `progress` of something that does not count what rules report.
    #[error("`{0}` counts nothing that rules report; give it `counts = \"progress\"` in program.toml")]
    NoProgressReported(Name),
    /// A counter, mark or event that the program does not declare.
    #[error("there is no {0} called `{1}` in program.toml")]
    NotDeclared(&'static str, Name),
    /// A counter that goes too far.
    #[error("a counter goes to {MAX_COUNT} at most, and to -{MAX_COUNT} at least")]
    TooMuchCounted,
    /// Too many loyalty events.
    #[error("one source event may cause at most {MAX_EVENTS} loyalty events")]
    TooManyEvents,
    /// A coupon that is not good for that.
    #[error(transparent)]
    Coupon(#[from] Rejection),
    /// What refuses a command fails a rule.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Something must be looked up first; the decision says what and is made again.
    #[error("something must be looked up first")]
    Lacks,
}

/// Why there is no decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecided {
    /// It cannot be done. Nothing of it is kept.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It needs this on the desk; then it is made again.
    #[error("something must be looked up first")]
    Lacks(Box<Wanted>),
}

impl Refusal {
    /// The stable word for programs.
    const fn code(&self) -> &'static str {
        match self {
            Self::TooManyPoints | Self::Wallet(WalletError::TooMany) => "too_many_points",
            Self::Wallet(WalletError::TooManyPending) => "too_many_pending",
            Self::NoSuchWallet(_) => "unknown_wallet",
            Self::NoSuchTier(_) => "unknown_tier",
            Self::TiersFollowPolicy => "tiers_follow_policy",
            Self::NoRefund => "no_refund",
            Self::NothingToRecommendFor => "nothing_to_recommend_for",
            Self::TooManyRecommendations => "too_many_recommendations",
            Self::NoProgressReported(_) => "no_progress_reported",
            Self::NotDeclared(..) => "not_declared",
            Self::TooMuchCounted => "too_much_counted",
            Self::TooManyEvents => "too_many_events",
            Self::Coupon(rejection) => rejection.code(),
            Self::Refused(refused) => refused.code,
            Self::Lacks => "lacks",
        }
    }
}

/// What fails a rule refuses a command.
impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }
}

impl From<Refusal> for Undecided {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into())
    }
}
