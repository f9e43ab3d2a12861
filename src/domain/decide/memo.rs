//! What rules keep of a member: counters and marks; and what they tell in words of their own.

use super::{Draft, Frame, Refusal};
use crate::domain::custom::Emitted;
use crate::domain::effect::{Action, Cause};
use crate::domain::loyalty_event::EventData;
use crate::domain::receipt::EffectLine;
use crate::domain::text::Name;

impl Draft {
    /// `count` of a rule.
    pub(super) fn count(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        (counter, amount): (&Name, i64),
    ) -> Result<(), Refusal> {
        known(&frame.terms.counters, counter, "counter")?;
        self.member.standing.memo.count(counter, amount).ok_or(Refusal::TooMuchCounted)?;
        self.member.standing.memo.keep(&frame.terms.counters, &frame.terms.marks);
        self.lines.push(EffectLine {
            rule: cause.rule.clone(),
            at: cause.at.clone(),
            effect: "count",
            amount: Some(amount),
            wallet: None,
            value: Some(counter.clone()),
            campaign: cause.campaign.clone(),
        });
        Ok(())
    }

    /// `reset` of a rule.
    pub(super) fn reset(&mut self, frame: Frame<'_>, cause: &Cause, counter: &Name) -> Result<(), Refusal> {
        self.open_memo(frame, &frame.terms.counters, counter, "counter")?;
        self.member.standing.memo.reset(counter);
        self.line(cause, "reset", None, Some(counter.clone()));
        Ok(())
    }

    /// `mark` and `unmark` of a rule, with a mark of the program's own.
    pub(super) fn put_mark(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        (action, mark): (&Action, &Name),
    ) -> Result<(), Refusal> {
        self.open_memo(frame, &frame.terms.marks, mark, "mark")?;
        let memo = &mut self.member.standing.memo;
        match action {
            Action::TakeMark(_) => memo.unmark(mark),
            _ => memo.mark(mark),
        }
        self.line(cause, action.as_str(), None, Some(mark.clone()));
        Ok(())
    }

    /// `emit` of a rule.
    pub(super) fn emit(&mut self, frame: Frame<'_>, cause: &Cause, what: &Emitted) -> Result<(), Refusal> {
        known(&frame.terms.events, &what.name, "event")?;
        self.told.push(EventData::CustomEmitted(what.clone()));
        self.line(cause, "emit", None, Some(what.name.clone()));
        Ok(())
    }

    /// Makes sure that a name is declared, and that nothing else is kept.
    fn open_memo(
        &mut self,
        frame: Frame<'_>,
        declared: &[Name],
        name: &Name,
        what: &'static str,
    ) -> Result<(), Refusal> {
        known(declared, name, what)?;
        self.member.standing.memo.keep(&frame.terms.counters, &frame.terms.marks);
        Ok(())
    }
}

fn known(declared: &[Name], name: &Name, what: &'static str) -> Result<(), Refusal> {
    let is_known = declared.contains(name);
    is_known.then_some(()).ok_or_else(|| Refusal::NotDeclared(what, name.clone()))
}
