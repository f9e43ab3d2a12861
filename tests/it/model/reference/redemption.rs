//! Redemptions: made, handed over, or come to nothing.

use serde_json::json;

use super::super::program::{MUG_DAYS, POINTS, REWARDS};
use super::super::purse::{DAY, Instant};
use super::super::steps::RedemptionStep;
use super::{Call, Expected, Last, Reference};

/// Where a redemption stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Pending,
    Approved,
    Fulfilled,
    /// Rejected, cancelled or expired.
    Nothing,
}

#[derive(Debug, Clone)]
pub(super) struct Redemption {
    member: usize,
    reward: usize,
    status: Status,
    made_at: Instant,
    drawn: Vec<(Instant, i64)>,
}

impl Reference {
    /// Of two that expire at the same instant, nothing is said of which pays a debt first; so there is one at an instant.
    pub(super) fn redeem(&mut self, named: usize, reward: usize) {
        let is_tied = |other: &Redemption| other.reward == reward && other.made_at == self.now;
        if REWARDS[reward].0 == "mug" && self.redemptions.iter().any(is_tied) {
            self.last = Last::Nothing;
            return;
        }
        let member = self.living(named);
        let (id, cost, is_automatic, stock, each) = REWARDS[reward];
        let taken = |of: &dyn Fn(&Redemption) -> bool| {
            let counts = |r: &&Redemption| r.reward == reward && r.status != Status::Nothing && of(r);
            self.redemptions.iter().filter(counts).count()
        };
        let expected = if taken(&|redemption| self.living(redemption.member) == member) >= each {
            Expected::Refused("reward_limit_reached")
        } else if self.members[member].purses[POINTS].balance() < cost {
            Expected::Refused("insufficient_points")
        } else if taken(&|_| true) >= stock {
            Expected::Refused("out_of_stock")
        } else {
            let drawn = self.members[member].purses[POINTS].debit(cost);
            let status = if is_automatic { Status::Approved } else { Status::Pending };
            self.redemptions.push(Redemption { member, reward, status, made_at: self.now, drawn });
            Expected::Done
        };
        let body = json!({ "reward": id });
        self.send(member, Call::Command(named, "redemptions", body), expected);
    }

    pub(super) fn step_redemption(&mut self, at: usize, step: RedemptionStep) {
        let Redemption { member, status, .. } = self.redemptions[at];
        let after = match (status, step) {
            (Status::Pending, RedemptionStep::Approve) => Ok(Status::Approved),
            (Status::Approved, RedemptionStep::Fulfill) => Ok(Status::Fulfilled),
            (Status::Pending, RedemptionStep::Reject)
            | (Status::Pending | Status::Approved, RedemptionStep::Cancel) => Ok(Status::Nothing),
            (_, RedemptionStep::Approve | RedemptionStep::Reject) => Err("redemption_not_pending"),
            (_, RedemptionStep::Fulfill) => Err("redemption_not_approved"),
            (_, RedemptionStep::Cancel) => Err("redemption_not_open"),
        };
        let expected = match after {
            Ok(status) => {
                self.become_of(at, status);
                Expected::Done
            }
            Err(code) => Expected::Refused(code),
        };
        self.send(self.living(member), Call::Redemption(at, step), expected);
    }

    pub(super) fn expire_redemptions(&mut self) {
        for at in 0..self.redemptions.len() {
            let Redemption { reward, status, made_at, .. } = self.redemptions[at];
            let is_open = matches!(status, Status::Pending | Status::Approved);
            if is_open && REWARDS[reward].0 == "mug" && made_at + MUG_DAYS * DAY <= self.now {
                self.become_of(at, Status::Nothing);
            }
        }
    }

    /// What comes to nothing gives the points back, into the lots they came from, as far as those still last.
    fn become_of(&mut self, at: usize, status: Status) {
        let redemption = &mut self.redemptions[at];
        redemption.status = status;
        if status == Status::Nothing {
            let owner = redemption.member;
            let drawn = std::mem::take(&mut redemption.drawn);
            let now = self.now;
            self.happens_to(owner, |purses| {
                drawn.iter().for_each(|(gone, amount)| purses[POINTS].credit(*amount, *gone));
                purses[POINTS].pass(now);
            });
        }
    }
}
