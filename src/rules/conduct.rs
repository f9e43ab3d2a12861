//! How the rules of a version behave: which keep failing, and which are suspended for it.
//!
//! What is counted is this process's own and is forgotten with the version; no commit depends on it. Suspensions are
//! stored, and come in from outside like the version itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::program::Program;
use crate::domain::Timestamp;
use crate::domain::effect::RuleFailure;
use crate::domain::ids::MemberId;
use crate::domain::suspension::{Failing, Suspension};

/// The rules that keep failing. While there is none, as is usual, a decision only looks at a flag.
#[derive(Debug, Default)]
pub(super) struct Watch {
    is_on: AtomicBool,
    failing: Mutex<Failing>,
}

impl Watch {
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Failing) -> T) -> T {
        let mut failing: MutexGuard<'_, _> = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut failing);
        self.is_on.store(!failing.is_empty(), Ordering::Relaxed);
        changed
    }
}

impl Program {
    /// The rules that are not run.
    pub fn suspended(&self) -> &[Suspension] {
        &self.suspended
    }

    /// The same version with these of its rules suspended, and no others. Those with which it is otherwise now begin
    /// with a clean sheet.
    #[must_use]
    pub fn suspending(&self, all: Vec<Suspension>) -> Self {
        let is_ours = |suspension: &Suspension| suspension.version == self.version;
        let suspended: Arc<[_]> = all.into_iter().filter(is_ours).collect();
        let (was, is) = (&self.suspended, &suspended);
        let ended = was.iter().filter(|known| !is.contains(known));
        let begun = is.iter().filter(|new| !was.contains(new));
        self.watch.change(|failing| ended.chain(begun).for_each(|changed| failing.forget(&changed.rule)));
        Self { suspended, ..self.clone() }
    }

    /// Takes note of how the rules did in a decision that stands: which failed for the member, and which `succeeded`.
    /// Answers which have failed for so many members in a row by now that they are to be suspended.
    pub fn take_note(
        &self,
        member: MemberId,
        failures: &[RuleFailure],
        succeeded: &[Arc<str>],
        now: Timestamp,
    ) -> Vec<Suspension> {
        let Some(limit) = self.terms.failures.suspend_after else { return Vec::new() };
        if failures.is_empty() && succeeded.is_empty() {
            return Vec::new();
        }
        self.watch.change(|failing| {
            succeeded.iter().for_each(|rule| failing.forget(rule));
            let failures = failures.iter().filter(|failure| failure.is_mistake());
            let failures = failures.filter(|failure| succeeded.iter().all(|rule| **rule != *failure.rule));
            let due = failures.filter(|failure| failing.failed(&failure.rule, member, limit));
            let due = due.filter_map(|failure| {
                let at = self.place_of(&failure.rule)?;
                Some(Suspension::of(failure, at, self.version, limit, now))
            });
            due.collect()
        })
    }

    /// Where a rule stands: `file:line`.
    fn place_of(&self, rule: &str) -> Option<&str> {
        self.code.rules.values().flatten().find(|unit| *unit.name == *rule).map(|unit| &*unit.cause.at)
    }
}
