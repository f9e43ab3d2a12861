//! Commands: what people asked for, carried out or refused.

use super::{Draft, Frame};
use crate::domain::command::{Adjustment, Command};
use crate::domain::effect::Cause;
use crate::domain::ledger::{ChainAccount, POINTS_WALLET};
use crate::domain::loyalty_event::EventData;
use crate::domain::money::Points;
use crate::domain::refusal::Refused;

impl Draft {
    pub(super) fn carry_out(&mut self, frame: Frame<'_>, command: &Command) -> Result<(), Refused> {
        match command {
            Command::AdjustPoints(adjustment) => self.adjust_points(frame, adjustment),
            Command::CreateMember(profile) => self.create_member(profile),
        }
    }

    fn adjust_points(&mut self, frame: Frame<'_>, adjustment: &Adjustment) -> Result<(), Refused> {
        let cause = self.cause_of_command(frame);
        if let Some(wallet) = adjustment.wallet.as_ref().filter(|wallet| ***wallet != *POINTS_WALLET) {
            let problem = format!("there is no wallet called `{wallet}` in program.toml");
            return Err(Refused::new("unknown_wallet", problem));
        }
        let balance = self.member.standing.points;
        if adjustment.amount.get() < 0 && balance.0 < adjustment.amount.get().saturating_neg() {
            let problem = format!("the balance is {balance}, so {} cannot be taken", adjustment.amount.abs());
            return Err(Refused::new("insufficient_balance", problem));
        }
        let (amount, reason) = (Points(adjustment.amount.get().abs()), &adjustment.reason);
        let moved = match adjustment.amount.is_positive() {
            true => self.credit(&cause, ChainAccount::Adjusted, amount, reason)?,
            false => self.debit(&cause, ChainAccount::Adjusted, amount, reason)?,
        };
        self.told.push(EventData::PointsAdjusted(moved));
        Ok(())
    }

    /// Whom a ledger line names that no rule asked for.
    fn cause_of_command(&self, frame: Frame<'_>) -> Cause {
        let kind = self.source_kind().map_or("command", |kind| kind.as_str());
        Cause { rule: kind.into(), at: "api".into(), program_version: frame.program_version }
    }
}
