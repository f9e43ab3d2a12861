//! What runs again of an event on which rules failed.

use crate::domain::effect::{FailureCode, RuleFailure};
use crate::domain::reaction::Reaction;

use super::code::{RuleEvent, Unit};
use super::program::Program;

/// What runs: of a new event everything, of a failed one what failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Again<'a>(pub(super) Option<&'a [RuleFailure]>);

impl<'a> Again<'a> {
    fn failed(self) -> &'a [RuleFailure] {
        self.0.unwrap_or_default()
    }

    /// Whether a rule on the event itself runs.
    pub(super) fn runs(self, unit: &Unit) -> bool {
        let failed = |failed: &RuleFailure| failed.of_rule_itself() && failed.rule == *unit.name;
        self.0.is_none_or(|all| all.iter().any(failed))
    }

    /// What rules failed to react to, each once.
    pub(super) fn reactions(self) -> Vec<&'a Reaction> {
        let mut seen = Vec::new();
        for reaction in self.failed().iter().filter_map(|failed| failed.reacted_to.as_deref()) {
            if !seen.contains(&reaction) {
                seen.push(reaction);
            }
        }
        seen
    }

    /// Whether a rule failed to react to this.
    pub(super) fn failed_on(self, reaction: &Reaction, unit: &Unit) -> bool {
        let is_it = |failed: &RuleFailure| failed.reacted_to.as_deref() == Some(reaction);
        self.failed().iter().any(|failed| failed.rule == *unit.name && is_it(failed))
    }

    /// What should run again and is no longer there: renamed, perhaps. It stays failed, so that somebody looks.
    pub(super) fn gone(self, program: &Program) -> impl Iterator<Item = RuleFailure> {
        let is_gone = |failed: &&RuleFailure| match &failed.reacted_to {
            _ if failed.is_of_engine() => false,
            None => program.rule_names().all(|name| name != failed.rule),
            Some(reaction) => {
                let reacting = program.code.rules.get(&RuleEvent::Told(reaction.told.kind()));
                reacting.into_iter().flatten().all(|unit| failed.rule != *unit.name)
            }
        };
        self.failed().iter().filter(is_gone).map(|failed| RuleFailure {
            at: String::new(),
            code: FailureCode::NoSuchRule,
            error: "there is no rule of this name any more; give it its old name to run it again".to_owned(),
            ..failed.clone()
        })
    }
}
