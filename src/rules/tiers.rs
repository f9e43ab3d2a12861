//! Moves the member to the tier whose condition holds, after everything else that an event or a tick changed.
//!
//! Upwards at once, to the highest that is reached; downwards only when tiers are reviewed, to the highest that is reached
//! or kept. Whoever reaches a tier keeps it, and a decision reviews once: nobody goes up and down again in it.

use crate::domain::chain::ChainId;
use crate::domain::decide::{Draft, Undecided};
use crate::domain::effect::RuleFailure;

use super::code::{TierUnit, Unit};
use super::evaluate::Run;
use super::program::Program;
use super::segments::look_at;
use super::verdict::Minutes;

/// Judges the conditions of tiers, as far as they could move the member. One that fails moves nobody: it lifts nobody up,
/// and whoever is in its tier stays.
///
/// Reviewed is once in a decision: what rules do about it may lift somebody again, and take no tier.
///
/// Answers what failed.
///
/// # Errors
/// What a condition asks about and must be looked up first.
pub(super) fn judge(
    program: &Program,
    chain: &ChainId,
    draft: &mut Draft,
    (reviews, minutes): (bool, &mut Minutes),
) -> Result<Vec<RuleFailure>, Undecided> {
    let tiers = &program.code.tiers;
    let Some(highest) = tiers.last() else { return Ok(Vec::new()) };
    let frame = program.frame(chain);
    let rank = draft.system_rank(frame);
    if rank.is_some_and(|rank| rank >= highest.rank) && !reviews {
        return Ok(Vec::new()); // there is nothing higher to reach
    }
    let purse = draft.purse(&program.terms, draft.now);
    let mut judge = Judge { run: look_at(program, chain, draft, purse), minutes, failures: Vec::new() };
    let moved = judge.judge(tiers, rank, reviews);
    let Judge { run, failures, .. } = judge;
    draft.put_away(run.end());
    draft.lacks_nothing()?;
    if let Some((to, because)) = moved {
        let by_review = || frame.engine("tier review");
        draft.move_to_tier(frame, &because.map_or_else(by_review, |unit| unit.cause.clone()), to);
    }
    Ok(failures)
}

/// An interpreter that judges conditions of tiers.
struct Judge<'a> {
    run: Run<'a>,
    minutes: &'a mut Minutes,
    failures: Vec<RuleFailure>,
}

impl Judge<'_> {
    /// Where a member of this rank belongs, and because of which tier, unless they are there. Without a rank they were in a
    /// tier that is no more, and are where the conditions say.
    fn judge<'u>(
        &mut self,
        tiers: &'u [TierUnit],
        rank: Option<usize>,
        reviews: bool,
    ) -> Option<(usize, Option<&'u Unit>)> {
        let known = tiers.partition_point(|tier| rank.is_some_and(|rank| tier.rank <= rank));
        let (kept, above) = tiers.split_at(known);
        if let Some(tier) = above.iter().rev().find(|tier| self.holds(&tier.reach, false)) {
            return Some((tier.rank, Some(&tier.reach)));
        }
        let rank = match rank {
            None => return Some((0, None)),
            Some(_) if !reviews => return None,
            Some(rank) => rank,
        };
        let stays = |tier: &&TierUnit| self.keeps(tier, tier.rank == rank);
        let stays = kept.iter().rev().find(stays).map_or(0, |tier| tier.rank);
        let lost = kept.iter().find(|tier| tier.rank == rank);
        (stays != rank).then(|| (stays, lost.map(|tier| &tier.reach)))
    }

    fn keeps(&mut self, tier: &TierUnit, is_in_it: bool) -> bool {
        self.holds(&tier.reach, is_in_it) || tier.keep.as_ref().is_some_and(|keep| self.holds(keep, is_in_it))
    }

    /// Whether the condition holds; `otherwise` when it fails.
    fn holds(&mut self, unit: &Unit, otherwise: bool) -> bool {
        let outcome = self.run.condition(unit);
        self.minutes.tier(unit, &outcome);
        match outcome {
            Ok(judged) => judged.holds(),
            Err(failure) => {
                self.failures.push(failure);
                otherwise
            }
        }
    }
}
