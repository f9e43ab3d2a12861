//! Effects: what a rule asked for, as data. The engine applies them.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::Serialize;

use super::member::Status;
use super::text::{Name, Note};

/// Which rule, where, in which version of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// The rule's name.
    pub rule: Arc<str>,
    /// `file:line` within the chain's rules folder.
    pub at: Arc<str>,
    /// The version of the program that decided.
    pub program_version: i64,
}

/// One action that a rule asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Give points; a fraction is rounded as the wallet says. Zero or more.
    Award {
        /// In which wallet; `None` = the program's first.
        wallet: Option<Name>,
        /// How many.
        amount: Decimal,
        /// Shown to people.
        reason: Note,
    },
    /// Take points, but never below a balance of zero; a fraction is rounded as the wallet says. Zero or more.
    Deduct {
        /// From which wallet; `None` = the program's first.
        wallet: Option<Name>,
        /// How many at most.
        amount: Decimal,
        /// Shown to people.
        reason: Note,
    },
    /// Take back the refunded share of what the order at hand earned; may leave a negative balance.
    TakeBack {
        /// Shown to people.
        reason: Note,
    },
    /// Put the member into a tier of the program.
    SetTier(Name),
    /// Set the lifecycle status.
    Mark(Status),
    /// Earn an achievement, once.
    Achieve(Name),
    /// Give a coupon of a book of the program.
    AssignCoupon(Name),
}

impl Action {
    /// The word shown in receipts.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Award { .. } => "award",
            Self::Deduct { .. } => "deduct",
            Self::TakeBack { .. } => "take_back",
            Self::SetTier(_) => "set_tier",
            Self::Mark(_) => "mark",
            Self::Achieve(_) => "achieve",
            Self::AssignCoupon(_) => "assign_coupon",
        }
    }
}

/// Everything one rule asked for on one event.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleEffects {
    /// The rule.
    pub cause: Cause,
    /// In the order asked for.
    pub actions: Vec<Action>,
}

/// A rule that failed: what and where. Its own effects are dropped, those of the other rules stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct RuleFailure {
    /// The rule's name.
    pub rule: String,
    /// `file:line:column`.
    pub at: String,
    /// What went wrong.
    pub error: String,
}
