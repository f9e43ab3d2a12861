//! Points that come and go.

use super::{Draft, Frame, Occasion, Refusal, SourceInput};
use crate::domain::effect::{Action, Cause};
use crate::domain::ids::TransferId;
use crate::domain::ledger::{Account, ChainAccount, POINTS_WALLET, Transfer};
use crate::domain::loyalty_event::{EventData, PointsMoved};
use crate::domain::money::Points;
use crate::domain::source_event::{SourceData, SourceType};
use crate::domain::text::Note;

impl Draft {
    /// Gives points; those for an order are remembered with it, so that a refund can take them back.
    pub(super) fn award(
        &mut self,
        cause: &Cause,
        action: &Action,
        amount: Points,
        reason: &Note,
    ) -> Result<(), Refusal> {
        if let (Some(order), Occasion::Source(input)) = (&mut self.order, &self.occasion)
            && input.event.kind() == SourceType::OrderCompleted
        {
            order.earned = order.earned.plus(amount).ok_or(Refusal::TooManyPoints)?;
        }
        let moved = self.credit(cause, ChainAccount::Issued, amount, reason)?;
        self.told.push(EventData::PointsEarned(moved));
        self.line(cause, action, Some(amount), None);
        Ok(())
    }

    /// Takes points, as far as there are any.
    pub(super) fn deduct(
        &mut self,
        cause: &Cause,
        action: &Action,
        amount: Points,
        reason: &Note,
    ) -> Result<(), Refusal> {
        let amount = Points(amount.0.min(self.member.standing.points.0.max(0)));
        if amount > Points::ZERO {
            let moved = self.debit(cause, ChainAccount::Deducted, amount, reason)?;
            self.told.push(EventData::PointsDeducted(moved));
        }
        self.line(cause, action, Some(amount), None);
        Ok(())
    }

    /// Takes back the refunded share of what the order earned.
    pub(super) fn take_back(&mut self, cause: &Cause, action: &Action, reason: &Note) -> Result<(), Refusal> {
        let is_refund = |input: &SourceInput| matches!(input.event.data, SourceData::OrderRefunded(_));
        if !matches!(&self.occasion, Occasion::Source(input) if is_refund(input)) {
            return Err(Refusal::NoRefund);
        }
        let order = self.order.as_mut().ok_or(Refusal::NoRefund)?;
        let amount = order.due_back();
        order.taken_back = order.taken_back.plus(amount).ok_or(Refusal::TooManyPoints)?;
        if amount > Points::ZERO {
            let moved = self.debit(cause, ChainAccount::ClawedBack, amount, reason)?;
            self.told.push(EventData::PointsClawedBack(moved));
        }
        self.line(cause, action, Some(amount), None);
        Ok(())
    }

    pub(super) fn credit(
        &mut self,
        cause: &Cause,
        from: ChainAccount,
        amount: Points,
        reason: &Note,
    ) -> Result<PointsMoved, Refusal> {
        let (debit, credit) = (Account::Chain(from), Account::Member(self.member.id));
        self.transfer(cause, debit, credit, amount, amount, reason)
    }

    pub(super) fn debit(
        &mut self,
        cause: &Cause,
        to: ChainAccount,
        amount: Points,
        reason: &Note,
    ) -> Result<PointsMoved, Refusal> {
        let (debit, credit) = (Account::Member(self.member.id), Account::Chain(to));
        self.transfer(cause, debit, credit, amount, Points(-amount.0), reason)
    }

    fn transfer(
        &mut self,
        cause: &Cause,
        debit: Account,
        credit: Account,
        amount: Points,
        change: Points,
        reason: &Note,
    ) -> Result<PointsMoved, Refusal> {
        let new_balance = self.member.standing.points.plus(change).ok_or(Refusal::TooManyPoints)?;
        self.member.standing.points = new_balance;
        self.transfers.push(Transfer {
            id: TransferId::derived(self.cause_id(), self.transfers.len() as u32),
            previous: None, // known when the decision is finished
            member: self.member.id,
            wallet: POINTS_WALLET,
            debit,
            credit,
            amount,
            cause: cause.clone(),
            reason: reason.as_str().into(),
            source: match &self.occasion {
                Occasion::Source(input) => Some(input.id),
                Occasion::Tick { .. } | Occasion::Due { .. } => None,
            },
            at: self.now,
        });
        Ok(PointsMoved { amount, new_balance, reason: reason.as_str().into() })
    }

    /// Takes back what an order earned beyond the share that was refunded before we heard of the order itself. No rule
    /// could do that when the refund came: it did not know the order.
    pub fn settle_early_refund(&mut self, frame: Frame<'_>) -> Result<(), Refusal> {
        let Some(order) = self.order.as_mut().filter(|_| self.runs_rules) else { return Ok(()) };
        let Occasion::Source(input) = &self.occasion else { return Ok(()) };
        let amount = order.due_back();
        if !matches!(input.event.data, SourceData::OrderCompleted(_)) || amount <= Points::ZERO {
            return Ok(());
        }
        order.taken_back = order.taken_back.plus(amount).ok_or(Refusal::TooManyPoints)?;
        let reason =
            Note::parse("refunded before the order came").unwrap_or_else(|_| unreachable!("a fixed text"));
        let cause = Cause {
            rule: reason.as_str().into(),
            at: "engine".into(),
            program_version: frame.program_version,
        };
        let moved = self.debit(&cause, ChainAccount::ClawedBack, amount, &reason)?;
        self.told.push(EventData::PointsClawedBack(moved));
        self.line(&cause, &Action::TakeBack { reason }, Some(amount), None);
        Ok(())
    }
}
