//! Orders: snapshots, refunds, what they leave.

use serde_json::json;

use super::super::program::{EXPIRY_DAYS, PENDING_DAYS, POINTS, STARS};
use super::super::purse::{DAY, Instant};
use super::super::steps::Saying;
use super::{Expected, Reference, day, money};

#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    pub(super) member: usize,
    /// Version, what was said, and the total in cents if it was told.
    pub(super) told: Vec<(i64, Saying, Option<i64>)>,
    refunded: i64,
    refunded_in_full: bool,
    /// The day it counts for.
    pub(super) day: Option<Instant>,
    /// What it leaves with its member, by wallet.
    leaves: [i64; 2],
}

impl Order {
    pub(super) fn of(member: usize) -> Self {
        Self { member, ..Self::default() }
    }

    fn is_completed(&self) -> bool {
        let decides = |told: &&(i64, Saying, _)| matches!(told.1, Saying::Completed | Saying::Cancelled);
        let last = self.told.iter().filter(decides).max_by_key(|told| told.0);
        last.is_some_and(|told| told.1 == Saying::Completed)
    }

    /// In cents, as long as it counts.
    pub(super) fn total(&self) -> Option<i64> {
        let newest = self.told.iter().filter(|told| told.2.is_some()).max_by_key(|told| told.0)?;
        newest.2.filter(|_| self.is_completed())
    }

    pub(super) fn left(&self) -> i64 {
        let total = self.total().unwrap_or(0);
        if self.refunded_in_full { 0 } else { (total - self.refunded).max(0) }
    }

    /// What it earns, by wallet.
    fn earns(&self) -> [i64; 2] {
        self.total().map_or([0, 0], |total| [total / 100, 1])
    }

    /// Of what it earns, the share that was not refunded.
    fn should_leave(&self) -> [i64; 2] {
        let Some(total) = self.total() else { return [0, 0] };
        self.earns().map(|earned| earned * self.left() / total)
    }
}

impl Reference {
    pub(super) fn order(&mut self, order: usize, says: Saying, version: i64, cents: i64, at: Instant) {
        let id = format!("order-{order}");
        let Order { member, .. } = self.orders[order];
        let mut data = json!({ "order_id": id, "version": version });
        let is_snapshot = says != Saying::Cancelled;
        if is_snapshot {
            data["total"] = json!(money(cents));
        }
        let was_completed = self.orders[order].is_completed();
        self.orders[order].told.push((version, says, is_snapshot.then_some(cents)));
        let becomes_completed = !was_completed && self.orders[order].is_completed();
        if becomes_completed {
            self.orders[order].day = Some(day(at));
            let earned = self.orders[order].earns();
            self.earn(member, &id, earned, at);
            self.orders[order].leaves = earned;
        }
        self.settle(order, at);
        let call = self.event(member, says.as_str(), data, at);
        self.send(member, call, Expected::Done);
    }

    fn earn(&mut self, member: usize, order: &str, amounts: [i64; 2], at: Instant) {
        let purses = &mut self.members[member].purses;
        purses[POINTS].credit(amounts[POINTS], day(at + (EXPIRY_DAYS + 1) * DAY));
        if amounts[STARS] > 0 {
            purses[STARS].waiting.push((order.to_owned(), at + PENDING_DAYS * DAY, amounts[STARS]));
        }
    }

    /// Moves the difference between what an order leaves and what it should.
    fn settle(&mut self, order: usize, at: Instant) {
        let (member, id) = (self.orders[order].member, format!("order-{order}"));
        let should = self.orders[order].should_leave();
        for (wallet, (should, leaves)) in should.into_iter().zip(self.orders[order].leaves).enumerate() {
            let mut amounts = [0, 0];
            match should - leaves {
                more @ 1.. => {
                    amounts[wallet] = more;
                    self.earn(member, &id, amounts, at);
                }
                less => self.members[member].purses[wallet].claw_back(&id, -less),
            }
        }
        self.orders[order].leaves = should;
    }

    pub(super) fn refund(&mut self, order: usize, cents: Option<i64>) {
        let mut data = json!({ "order_id": format!("order-{order}") });
        match cents {
            Some(cents) => {
                self.orders[order].refunded += cents;
                data["amount"] = json!(money(cents));
            }
            None => {
                self.orders[order].refunded_in_full = true;
                data["full"] = json!(true);
            }
        }
        self.settle(order, self.now);
        let member = self.orders[order].member;
        let call = self.event(member, "order.refunded", data, self.now);
        self.send(member, call, Expected::Done);
    }
}
