//! Effects: what a rule asked for, as data. The engine applies them.

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Serialize;
use smol_str::SmolStr;

use super::custom::Emitted;
use super::member::{RiskLevel, Status};
use super::reaction::Reaction;
use super::text::{Key, Name, Note};

/// Where the engine itself does something, in place of a rule's file and line.
pub const ENGINE: &str = "engine";
/// Stands there for what somebody asked for, with the name of their API key behind a colon.
pub const API: &str = "api";

/// Which rule, where, in which version of the program; or what the engine did by itself or for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Cause {
    /// The rule's name; of what no rule asked for, what it was.
    pub rule: SmolStr,
    /// `file:line` within the chain's rules folder, `engine`, or `api:` and the name of the API key.
    pub at: SmolStr,
    /// The version of the program that decided.
    pub program_version: i64,
    /// The campaign whose points they are, or whose rule it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Name>,
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
    /// Let points be spent that wait to be confirmed.
    Confirm {
        /// The order, or the key of the event, that earned them.
        origin: Key,
    },
    /// Set the lifecycle status.
    Mark(Mark),
    /// Say what to do about a member whom the same rule marks.
    Recommend(Name),
    /// Report progress towards an achievement; below zero to take some back.
    Progress {
        /// Which.
        achievement: Name,
        /// How much.
        amount: Decimal,
    },
    /// Earn an achievement, once.
    Achieve(Name),
    /// Give a coupon of a book of the program.
    AssignCoupon(Name),
    /// Give a reward of the program for nothing.
    GiveReward(Name),
    /// Count so many more, or fewer, with a counter of the program.
    Count {
        /// Which.
        counter: Name,
        /// How many.
        amount: i64,
    },
    /// Set a counter back to 0.
    Reset(Name),
    /// Put a mark of the program.
    PutMark(Name),
    /// Take it away.
    TakeMark(Name),
    /// Tell a loyalty event of the program's own.
    Emit(Emitted),
}

/// A lifecycle status to be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Comes as usual.
    Active,
    /// Stays away. Without a level, one that is at risk already keeps theirs.
    AtRisk(Option<RiskLevel>),
    /// Given up for lost.
    Churned,
}

impl Mark {
    /// The status.
    pub const fn status(self) -> Status {
        match self {
            Self::Active => Status::Active,
            Self::AtRisk(_) => Status::AtRisk,
            Self::Churned => Status::Churned,
        }
    }
}

impl From<Status> for Mark {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::AtRisk => Self::AtRisk(None),
            Status::Churned => Self::Churned,
        }
    }
}

impl Action {
    /// The word shown in receipts.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Award { .. } => "award",
            Self::Deduct { .. } => "deduct",
            Self::TakeBack { .. } => "take_back",
            Self::Confirm { .. } => "confirm",
            Self::SetTier(_) => "set_tier",
            Self::Mark(_) => "mark",
            Self::Recommend(_) => "recommend",
            Self::Progress { .. } => "progress",
            Self::Achieve(_) => "achieve",
            Self::AssignCoupon(_) => "assign_coupon",
            Self::GiveReward(_) => "give_reward",
            Self::Count { .. } => "count",
            Self::Reset(_) => "reset",
            Self::PutMark(_) => "mark",
            Self::TakeMark(_) => "unmark",
            Self::Emit(_) => "emit",
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

impl RuleEffects {
    /// What it recommends.
    pub fn recommended(&self) -> Vec<Name> {
        let what = |action: &Action| match action {
            Action::Recommend(what) => Some(what.clone()),
            _ => None,
        };
        self.actions.iter().filter_map(what).collect()
    }
}

/// A rule that failed: what and where. Its own effects are dropped, those of the other rules stand.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize, JsonSchema)]
pub struct RuleFailure {
    /// The rule's name.
    pub rule: String,
    /// `file:line:column`.
    pub at: String,
    /// What went wrong.
    pub error: String,
    /// What kind of failure it is, for programs.
    #[serde(default, skip_serializing_if = "FailureCode::is_usual")]
    pub code: FailureCode,
    /// What the rule reacted to, when it starts on what an event came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reacted_to: Option<Box<Reaction>>,
}

/// What kind of failure it is. Said of those that are no mistake in the rule itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The rule was run, and it or one of its effects went wrong.
    #[default]
    Failed,
    /// The rule is suspended, so it was not run.
    Suspended,
    /// Another rule of its group failed, and nobody knows which of them counts.
    Waits,
    /// It should have run again, and there is no rule of this name any more.
    NoSuchRule,
}

impl FailureCode {
    /// Whether there is nothing to say about it.
    fn is_usual(&self) -> bool {
        *self == Self::Failed
    }
}

impl RuleFailure {
    /// This rule failed there, for this reason.
    pub fn new(rule: impl Into<String>, at: impl Into<String>, error: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            at: at.into(),
            error: error.into(),
            code: FailureCode::Failed,
            reacted_to: None,
        }
    }

    /// The engine itself could not do it.
    pub fn of_engine(cause: &Cause, refusal: impl std::fmt::Display) -> Self {
        Self::new(&*cause.rule, &*cause.at, refusal.to_string())
    }

    /// Whether a rule failed on what happened, not on what that came to.
    pub fn of_rule_itself(&self) -> bool {
        self.reacted_to.is_none() && !self.is_of_engine()
    }

    /// Whether a rule was run and failed.
    pub fn is_mistake(&self) -> bool {
        self.code == FailureCode::Failed && !self.is_of_engine()
    }

    /// Whether the engine itself failed, and no rule.
    pub fn is_of_engine(&self) -> bool {
        self.at == ENGINE
    }

    /// The same of a rule that reacted to this.
    pub fn reacting_to(self, reaction: &Reaction) -> Self {
        Self { reacted_to: Some(reaction.clone().into()), ..self }
    }
}
