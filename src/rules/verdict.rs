//! How the rules and triggers of an event were judged, for those who want to know why.
//!
//! Nobody does while events are decided, and then nothing is noted and nothing costs anything. Tests of rules and dry runs
//! decide with [`Program::telling_why`](super::program::Program::telling_why).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;
use smol_str::SmolStr;

use crate::domain::Timestamp;
use crate::domain::campaign::Closed;
use crate::domain::effect::{Action, FailureCode, RuleFailure};
use crate::domain::ids::{EndpointId, EventId};
use crate::domain::loyalty_event::LoyaltyEvent;
use crate::domain::receipt::EffectLine;
use crate::domain::suspension::Suspension;
use crate::domain::text::Name;

use super::code::Unit;
pub use super::conditions::{FalsePart, Value};
use super::program::Program;

/// Whether somebody wants to know why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Telling {
    /// What is decided is enough.
    #[default]
    What,
    /// Why, too.
    Why,
}

/// How a condition was judged.
#[derive(Debug)]
pub(super) enum Judged<T> {
    /// It held, and this came of it; and what was read, when somebody wants to know.
    Held(T, Option<Reads>),
    /// It did not, or nothing may come of it.
    Not(Why),
}

/// What was read of the member and of what happened.
pub(super) type Reads = Box<[Value]>;

/// Why nothing comes of a rule.
#[derive(Debug)]
pub(super) enum Why {
    /// Its condition did not hold; why not, when somebody wants to know.
    Unmet(Option<Box<Unmet>>),
    /// Another one of its group counts.
    Excluded(Box<Excluded>),
    /// Its campaign has nothing to give.
    Closed(Box<Closed>),
}

impl<T> Judged<T> {
    pub(super) const fn holds(&self) -> bool {
        matches!(self, Self::Held(..))
    }
}

impl Judged<Vec<Action>> {
    /// What is asked for: nothing when the condition did not hold.
    pub(super) fn into_actions(self) -> Vec<Action> {
        match self {
            Self::Held(actions, _) => actions,
            Self::Not(_) => Vec::new(),
        }
    }
}

/// What a rule's effects were, among the lines of the receipt.
pub(super) type Effects = Range<usize>;

/// A condition that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unmet {
    /// As it is written.
    pub condition: Box<str>,
    /// The parts of it that were false.
    pub because: Vec<FalsePart>,
}

/// A rule that another one of its group excludes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Excluded {
    /// The group.
    pub group: Name,
    /// The rule that counts.
    pub by: Arc<str>,
}

/// How a rule or a trigger was judged.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
#[schemars(rename = "VerdictOf{T}")]
pub enum Verdict<T> {
    /// Its condition held, and this came of it.
    Fired(T),
    /// Its condition did not hold.
    NotFired(Unmet),
    /// It would have fired, but another one of its group counts.
    Excluded(Excluded),
    /// Its campaign rests, or has nothing left.
    Closed(Closed),
    /// It failed: nothing of it was done.
    Failed {
        /// `file:line:column`.
        failed_at: Box<str>,
        /// What went wrong.
        error: Box<str>,
    },
    /// It is suspended, so it was not asked.
    Suspended {
        /// Since when.
        since: Timestamp,
        /// For how many members in a row it had failed.
        members: u16,
        /// `file:line:column` of its last failure.
        failed_at: Box<str>,
        /// What went wrong there.
        error: Box<str>,
    },
}

impl<T> Verdict<T> {
    fn of<U>(outcome: &Result<Judged<U>, RuleFailure>, fired: impl FnOnce(&U, Reads) -> T) -> Self {
        match outcome {
            Ok(Judged::Held(came, reads)) => Self::Fired(fired(came, reads.clone().unwrap_or_default())),
            Ok(Judged::Not(Why::Unmet(why))) => {
                let nothing = || Unmet { condition: Box::default(), because: Vec::new() };
                Self::NotFired(why.as_deref().cloned().unwrap_or_else(nothing))
            }
            Ok(Judged::Not(Why::Excluded(excluded))) => Self::Excluded((**excluded).clone()),
            Ok(Judged::Not(Why::Closed(closed))) => Self::Closed((**closed).clone()),
            Err(RuleFailure { at, error, .. }) => {
                Self::Failed { failed_at: at.as_str().into(), error: error.as_str().into() }
            }
        }
    }

    fn of_suspended(suspension: &Suspension) -> Self {
        let Suspension { since, members, failed_at, error, .. } = suspension;
        let (failed_at, error) = (failed_at.as_str().into(), error.as_str().into());
        Self::Suspended { since: *since, members: *members, failed_at, error }
    }
}

/// What a rule did.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Done {
    /// Its effects, as in the receipt.
    pub effects: Vec<EffectLine>,
    /// What it names of the member and of what happened, and what that was.
    pub reads: Box<[Value]>,
}

/// Where a trigger sends an event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Forwarded {
    /// The tags of the endpoints.
    pub forwarded_to: Vec<Name>,
    /// What it names of the member and of the event, and what that was.
    pub reads: Box<[Value]>,
}

/// How a rule was judged.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RuleVerdict {
    /// Its name.
    pub rule: Arc<str>,
    /// `file:line`.
    pub at: SmolStr,
    /// What it starts on.
    pub on: &'static str,
    /// How.
    #[serde(flatten)]
    pub verdict: Verdict<Done>,
}

impl RuleVerdict {
    /// What it read, whatever came of it; `None` when it was not asked, or failed.
    pub(super) fn reads(&self) -> Option<Vec<Value>> {
        match &self.verdict {
            Verdict::Fired(done) => Some(done.reads.to_vec()),
            Verdict::NotFired(unmet) => {
                Some(unmet.because.iter().flat_map(FalsePart::read).cloned().collect())
            }
            Verdict::Excluded(_)
            | Verdict::Closed(_)
            | Verdict::Failed { .. }
            | Verdict::Suspended { .. } => None,
        }
    }
}

/// How a trigger was judged on one loyalty event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TriggerVerdict {
    /// Its name.
    pub trigger: Arc<str>,
    /// `file:line`.
    pub at: SmolStr,
    /// The event's type.
    pub on: &'static str,
    /// The event.
    pub event: EventId,
    /// How.
    #[serde(flatten)]
    pub verdict: Verdict<Forwarded>,
}

/// How the condition of a tier was judged.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TierVerdict {
    /// The tier.
    pub tier: Arc<str>,
    /// `file:line`.
    pub at: SmolStr,
    /// How. Of a tier that is reviewed, what was asked last: who reaches it, then who keeps it.
    #[serde(flatten)]
    pub verdict: Verdict<Reached>,
}

/// A tier that the member reaches or keeps.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reached {
    /// What the condition names of the member, and what that was.
    pub reads: Box<[Value]>,
}

/// How the filter of an endpoint was judged on one loyalty event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FilterVerdict {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Where its condition stands: `filter`, or `filter["order.*"]`.
    pub at: Arc<str>,
    /// The event's type.
    pub on: &'static str,
    /// The event.
    pub event: EventId,
    /// How.
    #[serde(flatten)]
    pub verdict: Verdict<Passed>,
}

/// An event that an endpoint gets.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Passed {}

/// Takes down how rules and triggers are judged, if somebody wants to know why.
#[derive(Debug, Default)]
pub(super) struct Minutes {
    telling: Telling,
    /// Whether some rule keeps failing, so that it matters who does not.
    watching: bool,
    /// The rules that did what they say, while it matters.
    pub(super) succeeded: Vec<Arc<str>>,
    pub(super) rules: Vec<RuleVerdict>,
    pub(super) triggers: Vec<TriggerVerdict>,
    pub(super) tiers: Vec<TierVerdict>,
    pub(super) filters: Vec<FilterVerdict>,
}

impl Minutes {
    pub(super) fn of(program: &Program) -> Self {
        Self { telling: program.telling, watching: program.watch.is_on(), ..Self::default() }
    }

    /// A rule was judged; `lines` are those of the receipt so far.
    pub(super) fn rule(
        &mut self,
        program: &Program,
        unit: &Unit,
        outcome: &Result<Judged<Effects>, RuleFailure>,
        lines: &[EffectLine],
    ) {
        if self.watching && outcome.as_ref().is_ok_and(Judged::holds) {
            self.succeeded.push(unit.name.clone());
        }
        if self.telling == Telling::What {
            return;
        }
        let done = |effects: &Effects, reads| {
            let effects = lines.get(effects.clone()).unwrap_or_default().to_vec();
            Done { effects, reads }
        };
        let (rule, at) = (unit.name.clone(), unit.cause.at.clone());
        let on = program.code.event_of(unit);
        let is_suspended = matches!(outcome, Err(failure) if failure.code == FailureCode::Suspended);
        let suspension = program.suspended().iter().find(|known| is_suspended && known.rule == *rule);
        let verdict = suspension.map_or_else(|| Verdict::of(outcome, done), Verdict::of_suspended);
        self.rules.push(RuleVerdict { rule, at, on, verdict });
    }

    /// A condition of a tier was judged, perhaps again.
    pub(super) fn tier(&mut self, unit: &Unit, outcome: &Result<Judged<()>, RuleFailure>) {
        if self.telling == Telling::What {
            return;
        }
        let (tier, at) = (unit.name.clone(), unit.cause.at.clone());
        self.tiers.retain(|known| known.tier != tier);
        self.tiers.push(TierVerdict {
            tier,
            at,
            verdict: Verdict::of(outcome, |(), reads| Reached { reads }),
        });
    }

    /// A filter was judged.
    pub(super) fn filter(
        &mut self,
        event: &LoyaltyEvent,
        (endpoint, unit): (EndpointId, &Unit),
        outcome: &Result<Judged<()>, RuleFailure>,
    ) {
        if self.telling == Telling::What {
            return;
        }
        self.filters.push(FilterVerdict {
            endpoint,
            at: unit.file.clone(),
            on: event.kind().as_str(),
            event: event.id,
            verdict: Verdict::of(outcome, |(), _| Passed {}),
        });
    }

    /// A trigger was judged.
    pub(super) fn trigger(
        &mut self,
        event: &LoyaltyEvent,
        unit: &Unit,
        outcome: &Result<Judged<Vec<Name>>, RuleFailure>,
    ) {
        if self.telling == Telling::What {
            return;
        }
        let (trigger, at) = (unit.name.clone(), unit.cause.at.clone());
        let verdict = Verdict::of(outcome, |tags, reads| Forwarded { forwarded_to: tags.clone(), reads });
        self.triggers.push(TriggerVerdict {
            trigger,
            at,
            on: event.kind().as_str(),
            event: event.id,
            verdict,
        });
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.because[..] {
            [] => f.write_str(&self.condition),
            parts => f.write_str(&parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
        }
    }
}
