//! Groups of rules: of those that fire on the same event one counts.
//!
//! When a rule of a group fails, it cannot be said which one counts. So none does then, and all that would have been
//! considered are failed: run again, they are asked together.

use std::sync::Arc;

use crate::domain::campaign::Closed;
use crate::domain::decide::Draft;
use crate::domain::effect::{Action, FailureCode, RuleFailure};
use crate::domain::money::Points;
use crate::domain::terms::Terms;
use crate::domain::terms::campaign::{Pick, RuleGroup};

use super::code::Unit;
use super::decide::Outcome;
use super::verdict::{Excluded, Judged, Why};

/// What rules are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// What nobody asks about again.
    Once,
    /// An order that was completed.
    First,
    /// A changed order, as it was.
    Before,
    /// A changed order, as it is.
    After,
}

impl Asked {
    /// Whether it is about an order that may have something of a campaign already.
    const fn again(self) -> bool {
        matches!(self, Self::Before | Self::After)
    }
}

/// Lets one rule of each group count, of those that were asked. One whose campaign has nothing left gives way.
///
/// Which one counts is kept with the order: of the order as it was, it counts whatever is left by now.
pub(super) fn choose(terms: &Terms, draft: &mut Draft, asked: &mut [(&Unit, Outcome)], when: Asked) {
    for group in &terms.groups {
        let mut candidates: Vec<_> = asked.iter_mut().filter(|(unit, _)| unit.is_in(group)).collect();
        if candidates.is_empty() {
            continue;
        }
        let chosen = draft.chosen(&group.id).filter(|_| when.again());
        for (unit, outcome) in &mut candidates {
            let keeps = chosen.as_ref() == Some(&unit.name);
            if !keeps && let Some(closed) = gives_way(terms, draft, unit, outcome, when) {
                *outcome = Ok(Judged::Not(Why::Closed(closed.into())));
            }
        }
        candidates.retain(|(_, outcome)| considers(outcome));
        let counts = |chosen: &Arc<str>| {
            candidates.iter().any(|(unit, outcome)| unit.name == *chosen && outcome.is_ok())
        };
        let counted = chosen.filter(|chosen| when == Asked::Before && counts(chosen));
        if counted.is_none() && wait_for_failed(group, &mut candidates) {
            continue;
        }
        let winner = counted.or_else(|| winner(terms, draft, group, &candidates, when));
        if matches!(when, Asked::First | Asked::After) {
            draft.choose(terms, &group.id, winner.clone());
        }
        let Some(winner) = winner else { continue };
        for (_, outcome) in candidates.iter_mut().filter(|(unit, _)| unit.name != winner) {
            let excluded = Excluded { group: group.id.clone(), by: winner.clone() };
            *outcome = Ok(Judged::Not(Why::Excluded(excluded.into())));
        }
    }
}

/// Why a rule that asks for something lets others count: nothing is left of its campaign, and the order has nothing of it.
fn gives_way(
    terms: &Terms,
    draft: &mut Draft,
    unit: &Unit,
    outcome: &Outcome,
    when: Asked,
) -> Option<Closed> {
    let has_some = when.again() && draft.order_has_of_campaign(&unit.cause) > Points::ZERO;
    if has_some || outcome.is_err() || !considers(outcome) {
        return None;
    }
    // What is not known yet is asked for, and all is decided anew.
    let closed = draft.exhausted(terms, &unit.cause).ok().flatten()?;
    if !when.again() {
        draft.note(format!("\"{}\" gave nothing: {}", unit.name, closed.in_words()));
    }
    Some(closed)
}

/// If one of a group failed, the others wait for it. Answers whether one did.
fn wait_for_failed(group: &RuleGroup, candidates: &mut [&mut (&Unit, Outcome)]) -> bool {
    let failed = candidates.iter().find(|(_, outcome)| outcome.is_err()).map(|(unit, _)| unit.name.clone());
    let Some(failed) = failed else { return false };
    for (unit, outcome) in candidates.iter_mut().map(|candidate| &mut **candidate) {
        if outcome.is_ok() {
            let waits = format!("waits for \"{failed}\" of its group `{}`, which failed", group.id);
            *outcome = Err(RuleFailure { code: FailureCode::Waits, ..unit.failure(waits) });
        }
    }
    true
}

/// Whether a rule has a say in which one counts: it asks for something, or failed.
fn considers(outcome: &Outcome) -> bool {
    match outcome {
        Ok(Judged::Held(actions, _)) => !actions.is_empty(),
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
        let Ok(Judged::Held(actions, _)) = outcome else { continue };
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
    let has = if when.again() { draft.order_has_of_campaign(&unit.cause).min(asked) } else { Points::ZERO };
    let more = Points(asked.0 - has.0);
    Points(has.0 + draft.within_campaign(terms, &unit.cause, more).unwrap_or(more).0)
}
