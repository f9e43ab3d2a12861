//! Groups of rules: of those that fire on the same event one counts.
//!
//! When a rule of a group fails, it cannot be said which one counts. So none does then, and all that would have been
//! considered are failed: run again, they are asked together.

use std::sync::Arc;

use crate::domain::decide::Draft;
use crate::domain::effect::{Action, FailureCode, RuleFailure};
use crate::domain::money::Points;
use crate::domain::terms::Terms;
use crate::domain::terms::campaign::{Pick, RuleGroup};

use super::code::Unit;
use super::decide::Outcome;
use super::verdict::{Excluded, Judged, Why};

/// Whether rules are asked for the first time, or about an order that they were asked about before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Now,
    Again,
}

/// Lets one rule of each group count, of those that were asked. One whose campaign has nothing left gives way.
pub(super) fn choose(terms: &Terms, draft: &mut Draft, asked: &mut [(&Unit, Outcome)], when: Asked) {
    for group in &terms.groups {
        // What is not known yet is asked for, and all is decided anew.
        let mut gives_way =
            |unit: &Unit| when == Asked::Now && matches!(draft.exhausted(terms, &unit.cause), Ok(Some(_)));
        let candidates = asked.iter_mut().filter(|(unit, _)| unit.is_in(group));
        let mut candidates: Vec<_> =
            candidates.filter(|(unit, outcome)| considers(outcome) && !gives_way(unit)).collect();
        if candidates.len() < 2 {
            continue;
        }
        let failed =
            candidates.iter().find(|(_, outcome)| outcome.is_err()).map(|(unit, _)| unit.name.clone());
        if let Some(failed) = failed {
            for (unit, outcome) in candidates.iter_mut().filter(|(_, outcome)| outcome.is_ok()) {
                let waits = format!("waits for \"{failed}\" of its group `{}`, which failed", group.id);
                *outcome = Err(RuleFailure { code: FailureCode::Waits, ..unit.failure(waits) });
            }
            continue;
        }
        let Some(winner) = winner(terms, draft, group, &candidates, when) else { continue };
        for (_, outcome) in candidates.iter_mut().filter(|(unit, _)| unit.name != winner) {
            let excluded = Excluded { group: group.id.clone(), by: winner.clone() };
            *outcome = Ok(Judged::Not(Why::Excluded(excluded.into())));
        }
    }
}

/// Whether a rule has a say in which one counts: it asks for something, or failed.
fn considers(outcome: &Outcome) -> bool {
    match outcome {
        Ok(Judged::Held(actions)) => !actions.is_empty(),
        Ok(Judged::Not(_)) => false,
        Err(_) => true,
    }
}

/// The rule that counts.
fn winner(
    terms: &Terms,
    draft: &mut Draft,
    group: &RuleGroup,
    candidates: &[&mut (&Unit, Outcome)],
    when: Asked,
) -> Option<Arc<str>> {
    let mut best: Option<(Points, &Unit)> = None;
    for (unit, outcome) in candidates.iter().map(|candidate| &**candidate) {
        let Ok(Judged::Held(actions)) = outcome else { continue };
        let worth = match group.pick {
            Pick::First => Points::ZERO,
            Pick::MostPoints => worth(terms, draft, unit, actions, when),
        };
        if best.is_none_or(|(most, _)| worth > most) {
            best = Some((worth, unit));
        }
    }
    best.map(|(_, unit)| unit.name.clone())
}

/// The points that a rule awards, as far as its campaign has them.
fn worth(terms: &Terms, draft: &mut Draft, unit: &Unit, actions: &[Action], when: Asked) -> Points {
    let awards = actions.iter().filter_map(|action| match action {
        Action::Award { wallet, amount, .. } => terms.wallet(wallet.as_ref())?.rounding.whole(*amount),
        _ => None,
    });
    let asked = Points(awards.map(|points| points.0).fold(0, i64::saturating_add));
    match when {
        Asked::Now => draft.within_campaign(terms, &unit.cause, asked).unwrap_or(asked),
        Asked::Again => asked,
    }
}
