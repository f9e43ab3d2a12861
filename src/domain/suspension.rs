//! Suspended rules: a rule that fails for one member after the other is not run until somebody has looked at it.
//!
//! What is counted are members, not failures: a member at a limit (too many points) fails again and again, and that is
//! nothing to take a rule away from everybody for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU16;

use chrono::SecondsFormat;
use schemars::JsonSchema;
use serde::Serialize;
use smol_str::SmolStr;

use super::Timestamp;
use super::effect::RuleFailure;
use super::ids::MemberId;
use super::text::Name;

/// How much is kept of what went wrong, in characters.
const MAX_ERROR: usize = 500;

/// A rule that is not run for the time being.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// Its name.
    pub rule: SmolStr,
    /// `file:line`.
    pub at: SmolStr,
    /// The version of the program whose rule it is; the same rule of another version runs.
    pub version: i64,
    /// Since when.
    pub since: Timestamp,
    /// For how many members in a row it had failed.
    pub members: u16,
    /// Where it failed last: `file:line:column`.
    pub failed_at: SmolStr,
    /// What went wrong there.
    pub error: SmolStr,
}

impl Suspension {
    /// The rule at this place is suspended for having failed for so many members, the last time like this.
    pub fn of(failure: &RuleFailure, at: &str, version: i64, members: NonZeroU16, since: Timestamp) -> Self {
        Self {
            rule: failure.rule.as_str().into(),
            at: at.into(),
            version,
            since,
            members: members.get(),
            failed_at: failure.at.as_str().into(),
            // What a rule throws may be anything; PostgreSQL refuses NUL in text.
            error: failure.error.chars().filter(|c| !c.is_control()).take(MAX_ERROR).collect(),
        }
    }
}

/// What stands in the receipt of an event on which it would have run.
impl fmt::Display for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { since, members, failed_at, error, .. } = self;
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        write!(
            f,
            "suspended since {since}: it failed for {members} members in a row, the last time at {failed_at}: {error}. \
             Mend it and publish, or let it run again; then replay this event"
        )
    }
}

/// Why a rule is suspended no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Somebody asked for it: the name of their API key.
    Asked(Name),
    /// This version was published.
    Published(i64),
}

/// The `data` of `rule.suspended`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RuleSuspended {
    /// The rule's name.
    pub rule: SmolStr,
    /// Where it stands: `file:line`.
    pub at: SmolStr,
    /// The version of the program whose rule it is.
    pub program_version: i64,
    /// For how many members in a row it failed.
    pub members: u16,
    /// Where it failed last: `file:line:column`.
    pub failed_at: SmolStr,
    /// What went wrong there.
    pub error: SmolStr,
}

impl From<&Suspension> for RuleSuspended {
    fn from(suspension: &Suspension) -> Self {
        let Suspension { rule, at, version, since: _, members, failed_at, error } = suspension.clone();
        Self { rule, at, program_version: version, members, failed_at, error }
    }
}

/// The `data` of `rule.resumed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RuleResumed {
    /// The rule's name.
    pub rule: SmolStr,
    /// Where it stood: `file:line`.
    pub at: SmolStr,
    /// The version of the program in which it was suspended.
    pub program_version: i64,
    /// Since when it was.
    pub suspended_at: Timestamp,
    /// The API key that let it run again; absent when a new version did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resumed_by: Option<Name>,
    /// The version that was published and begins with a clean sheet; absent when somebody let it run again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_version: Option<i64>,
}

impl RuleResumed {
    /// It ended like this.
    pub fn of(suspension: &Suspension, ending: &Ending) -> Self {
        let Suspension { rule, at, version, since, .. } = suspension.clone();
        let (resumed_by, new_version) = match ending {
            Ending::Asked(by) => (Some(by.clone()), None),
            Ending::Published(version) => (None, Some(*version)),
        };
        Self { rule, at, program_version: version, suspended_at: since, resumed_by, new_version }
    }
}

/// The rules that failed and did not do what they say for anybody since, each with the members for whom it failed.
#[derive(Debug, Default)]
pub struct Failing(BTreeMap<SmolStr, BTreeSet<MemberId>>);

impl Failing {
    /// A rule failed for a member. Answers whether that makes `limit` members in a row; it stays so with each further
    /// failure, until the rule is forgotten.
    pub fn failed(&mut self, rule: &str, member: MemberId, limit: NonZeroU16) -> bool {
        let limit = usize::from(limit.get());
        let members = self.0.entry(rule.into()).or_default();
        if members.len() < limit {
            members.insert(member);
        }
        members.len() >= limit
    }

    /// A rule did what it says, or nobody holds against it any more that it did not.
    pub fn forget(&mut self, rule: &str) {
        self.0.remove(rule);
    }

    /// Whether no rule is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    const LIMIT: NonZeroU16 = NonZeroU16::new(3).unwrap();

    fn member(n: u128) -> MemberId {
        MemberId::new(Ulid(n))
    }

    #[test]
    fn a_rule_is_due_when_it_failed_for_enough_members_in_a_row() {
        let mut failing = Failing::default();
        let fails = |failing: &mut Failing, n| failing.failed("a", member(n), LIMIT);
        assert!(failing.is_empty());
        assert_eq!([1, 2, 3].map(|n| fails(&mut failing, n)), [false, false, true]);
        assert!(fails(&mut failing, 1), "what could not be done about it is asked for again");
        failing.forget("a");
        assert!(failing.is_empty());
        assert_eq!([3, 4].map(|n| fails(&mut failing, n)), [false, false]);
    }

    #[test]
    fn a_member_who_fails_for_ever_is_one_member() {
        let mut failing = Failing::default();
        assert!((0..100).all(|_| !failing.failed("a", member(1), LIMIT)));
        assert!(!failing.failed("a", member(2), LIMIT) && failing.failed("a", member(3), LIMIT));
    }

    #[test]
    fn one_success_clears_that_rule_and_no_other() {
        let mut failing = Failing::default();
        for n in [1, 2] {
            assert!(!failing.failed("a", member(n), LIMIT) && !failing.failed("b", member(n), LIMIT));
        }
        failing.forget("a");
        assert!(!failing.failed("a", member(3), LIMIT));
        assert!(failing.failed("b", member(3), LIMIT));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut failing = Failing::default();
        (0..1_000).for_each(|n| _ = failing.failed("a", member(n), LIMIT));
        assert_eq!(failing.0["a"].len(), 3);
        let failure = RuleFailure::new("a", "a.rhai:1:1", "\0é".repeat(10_000));
        let since = Timestamp::UNIX_EPOCH;
        assert_eq!(Suspension::of(&failure, "a.rhai:1", 1, LIMIT, since).error.chars().count(), MAX_ERROR);
    }
}
