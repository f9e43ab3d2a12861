//! Sorts a member into the segments of the program, after everything else that an event or a tick changed.

use rhai::Dynamic;

use crate::domain::chain::ChainId;
use crate::domain::coupon::Purse;
use crate::domain::decide::{Draft, Occasion, Undecided};
use crate::domain::effect::RuleFailure;
use crate::domain::segment::SegmentType;

use super::code::SegmentUnit;
use super::evaluate::Run;
use super::program::Program;
use super::views::MemberView;

/// Judges every segment: by the member as they will be stored, the compound ones last, each of them by the segments that
/// the member is in by then. In a program without segments, members only leave those that it had.
///
/// Answers what failed.
///
/// # Errors
/// What a condition asks about and must be looked up first.
pub(super) fn sort(
    program: &Program,
    chain: &ChainId,
    draft: &mut Draft,
) -> Result<Vec<RuleFailure>, Undecided> {
    let segments = &program.code.segments;
    draft.withdraw(|name| segments.iter().any(|known| known.segment.name == *name));
    let mut failures = Vec::new();
    let mut purse = draft.purse(&program.terms, draft.now);
    let mut judge: Option<Run<'_>> = None;
    let mut has_moved = false;
    for SegmentUnit { segment, unit } in segments {
        if has_moved && segment.kind == SegmentType::Compound {
            // It must see where the member is now.
            purse = judge.take().map_or(purse, Run::end);
            has_moved = false;
        }
        let run = judge.get_or_insert_with(|| look_at(program, chain, draft, std::mem::take(&mut purse)));
        match run.condition(unit) {
            Ok(judged) => has_moved |= draft.place(segment, judged.holds()),
            Err(failure) => failures.push(failure),
        }
    }
    draft.put_away(judge.map_or(purse, Run::end));
    draft.lacks_nothing()?;
    Ok(failures)
}

/// An interpreter that sees the member as they are now.
pub(super) fn look_at<'p>(program: &'p Program, chain: &ChainId, draft: &Draft, purse: Purse) -> Run<'p> {
    let today = draft.judged_on(program.frame(chain));
    let member = MemberView::new(draft.member.clone(), today, program, &draft.foresight, draft.now);
    Run::new(program, [("member", Dynamic::from(member))], purse)
}

/// Says which conditions failed: of segments, or of tiers.
pub(super) fn report(chain: &ChainId, draft: &mut Draft, what: &str, failures: Vec<RuleFailure>) {
    for RuleFailure { rule: name, at, error, .. } in failures {
        let member = draft.member.id;
        match &draft.occasion {
            Occasion::Source(input) => {
                let (source, key) = (input.id, &input.event.key);
                tracing::warn!(%chain, %member, %source, %key, what, name, at, error, "a condition failed; its members stay");
                draft.note(format!("{what} \"{name}\" failed at {at}: {error}"));
            }
            Occasion::Tick { .. } | Occasion::Due { .. } => {
                tracing::warn!(%chain, %member, what, name, at, error, "a condition failed; its members stay");
            }
        }
    }
}
