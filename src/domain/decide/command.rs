//! Commands: what people asked for, carried out or refused.

use super::points::Movement;
use super::{Draft, Frame, Occasion};
use crate::domain::command::{Adjustment, Command, Confirmation};
use crate::domain::effect::{API, Cause};
use crate::domain::ledger::ChainAccount;
use crate::domain::loyalty_event::{EventData, PointsMoved};
use crate::domain::money::Points;
use crate::domain::refusal::Refused;

impl Draft {
    pub(super) fn carry_out(&mut self, frame: Frame<'_>, command: &Command) -> Result<(), Refused> {
        match command {
            Command::AdjustPoints(adjustment) => self.adjust_points(frame, adjustment),
            Command::CreateMember(profile) => self.create_member(frame, profile),
            Command::SetTier(order) => self.set_manual_tier(frame, order),
            Command::ClearTier => self.clear_manual_tier(frame),
            Command::ConfirmPoints(confirmation) => self.confirm_points(frame, confirmation),
            Command::Coupon(command) => Ok(self.handle_coupon(frame, command)?),
            Command::Referral(command) => self.handle_referral(frame, command),
            Command::Merge(_) => self.merge(frame),
            Command::ClaimOrder(code) => self.claim(frame, code),
            Command::Unmerge(who) => self.unmerge(frame, *who),
            Command::Erase => self.erase(frame),
            Command::Redeem(wish) => self.redeem(frame, wish),
            Command::StepRedemption(step, order) => self.step_redemption(frame, *step, order),
            // What it was about was done when it fell due; only rules are left to run.
            Command::Tick(_) => Ok(()),
        }
    }

    fn adjust_points(&mut self, frame: Frame<'_>, adjustment: &Adjustment) -> Result<(), Refused> {
        let cause = self.cause_of_command(frame);
        let wallet = frame.wallet(adjustment.wallet.as_ref())?;
        let amount = Points(adjustment.amount.get().abs());
        let movement = Movement { cause: &cause, wallet, amount, reason: adjustment.reason.shared() };
        let moved = if adjustment.amount.is_positive() {
            self.credit(frame, movement, ChainAccount::Adjusted)?
        } else {
            let balance = self.balance(wallet);
            if balance < amount {
                let problem = format!("the balance is {balance}, so {amount} cannot be taken");
                return Err(Refused::new("insufficient_points", problem));
            }
            PointsMoved { taken: true, ..self.debit(movement, ChainAccount::Adjusted)?.0 }
        };
        self.told.push(EventData::PointsAdjusted(moved));
        Ok(())
    }

    fn confirm_points(&mut self, frame: Frame<'_>, confirmation: &Confirmation) -> Result<(), Refused> {
        let cause = self.cause_of_command(frame);
        let told = self.told.len();
        self.confirm(frame, &cause, &confirmation.origin)?;
        if self.told.len() == told {
            let problem = format!("nothing that `{}` earned waits to be confirmed", confirmation.origin);
            return Err(Refused::new("nothing_pending", problem));
        }
        Ok(())
    }

    /// What a ledger line names that no rule asked for: the command, and who gave it.
    pub(super) fn cause_of_command(&self, frame: Frame<'_>) -> Cause {
        let event = match &self.occasion {
            Occasion::Source(input) => Some(&input.event),
            Occasion::Tick { .. } | Occasion::Due { .. } => None,
        };
        let command = event.map_or("command", |event| event.kind().as_str());
        let at = match event.and_then(|event| event.asked_by.as_ref()) {
            Some(key) => format!("{API}:{key}").into(),
            None => API.into(),
        };
        Cause { rule: command.into(), at, program_version: frame.program_version, campaign: None }
    }
}
