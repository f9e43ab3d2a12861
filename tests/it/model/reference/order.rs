//! Orders: snapshots, refunds, what they leave.

use serde_json::json;

use super::super::program::{PENDING_DAYS, POINTS, STARS};
use super::super::purse::{DAY, Instant};
use super::super::steps::Saying;
use super::achievement::Counted;
use super::{Expected, Reference, day, gone_after, money};

#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    /// Under whose name it is spoken of.
    named: usize,
    /// Whose it is, once somebody said anything of it.
    pub(super) owner: Option<usize>,
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
    pub(super) fn of(named: usize) -> Self {
        Self { named, ..Self::default() }
    }

    /// The newest word on whether it counts.
    fn outcome(&self) -> Option<Saying> {
        let decides = |told: &&(i64, Saying, _)| matches!(told.1, Saying::Completed | Saying::Cancelled);
        self.told.iter().filter(decides).max_by_key(|told| told.0).map(|told| told.1)
    }

    fn is_completed(&self) -> bool {
        self.outcome() == Some(Saying::Completed)
    }

    /// In cents.
    fn newest(&self) -> Option<i64> {
        self.told.iter().filter(|told| told.2.is_some()).max_by_key(|told| told.0)?.2
    }

    /// In cents, as long as it counts.
    pub(super) fn total(&self) -> Option<i64> {
        self.newest().filter(|_| self.is_completed())
    }

    pub(super) fn left(&self) -> i64 {
        let total = self.total().unwrap_or(0);
        if self.refunded_in_full { 0 } else { (total - self.refunded).max(0) }
    }

    /// What was spent on it and not given back, as long as it counts.
    pub(super) fn spent(&self) -> Option<i64> {
        self.total().map(|_| self.left())
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
        let mut data = json!({ "order_id": order_id(order), "version": version });
        let is_snapshot = says != Saying::Cancelled;
        if is_snapshot {
            data["total"] = json!(money(cents));
        }
        let Order { named, owner, .. } = self.orders[order];
        // What follows an order is its owner's, whoever says it.
        let follows = matches!(says, Saying::Updated | Saying::Cancelled);
        let member = self.living(owner.filter(|_| follows).unwrap_or(named));
        let is_theirs = owner.is_some_and(|owner| self.living(owner) == member);
        // What counts for one member does not count for another.
        if is_theirs || self.orders[order].total().is_none() {
            self.hear(order, (version, says, is_snapshot.then_some(cents)), member, at);
        }
        self.see_order(order, member, at);
        let call = self.event(named, says.as_str(), data, at);
        self.send(member, call, Expected::Done);
    }

    fn hear(&mut self, at_order: usize, told: (i64, Saying, Option<i64>), member: usize, at: Instant) {
        let known = |order: &Order| (order.outcome(), order.newest());
        let order = &mut self.orders[at_order];
        let (before, was_completed) = (known(order), order.is_completed());
        let spent = order.spent();
        order.told.push(told);
        if known(order) == before {
            return;
        }
        let owner = self.orders[at_order].owner.filter(|owner| self.living(*owner) == member);
        let order = &mut self.orders[at_order];
        order.owner = Some(owner.unwrap_or(member));
        if matches!(told.1, Saying::Created | Saying::Completed) && order.outcome() != Some(Saying::Cancelled)
        {
            self.members[member].carts.order(at);
        }
        let order = &mut self.orders[at_order];
        if !was_completed && order.is_completed() {
            order.day = Some(day(at));
            order.leaves = order.earns();
            let earned = order.leaves;
            self.earn(at_order, earned, at);
        }
        self.settle(at_order, member, at, spent);
    }

    fn earn(&mut self, at_order: usize, amounts: [i64; 2], at: Instant) {
        let (order, owner) = (order_id(at_order), self.orders[at_order].owner.unwrap());
        self.happens_to(owner, |purses| {
            purses[POINTS].credit(amounts[POINTS], gone_after(at));
            if amounts[STARS] > 0 {
                purses[STARS].waiting.push((order.clone(), at + PENDING_DAYS * DAY, amounts[STARS]));
            }
        });
    }

    /// Moves the difference between what an order leaves and what it should. `spent` is what was spent on it before.
    fn settle(&mut self, order: usize, member: usize, at: Instant, spent: Option<i64>) {
        let now = self.orders[order].spent();
        let mut counted = match (spent, now) {
            _ if spent > now => Counted::Less,
            _ if spent < now => Counted::More,
            _ => Counted::Nothing,
        };
        let Order { owner, leaves, .. } = self.orders[order];
        let should = self.orders[order].should_leave();
        for (wallet, (should, leaves)) in should.into_iter().zip(leaves).enumerate() {
            let mut amounts = [0, 0];
            match should - leaves {
                more @ 1.. => {
                    amounts[wallet] = more;
                    self.earn(order, amounts, at);
                }
                0 => {}
                less => {
                    counted = Counted::Less;
                    self.happens_to(owner.unwrap(), |purses| {
                        purses[wallet].claw_back(&order_id(order), -less)
                    });
                }
            }
        }
        self.orders[order].leaves = should;
        self.judge(member, counted, at, Some(order));
    }

    pub(super) fn refund(&mut self, order: usize, cents: Option<i64>) {
        let mut data = json!({ "order_id": order_id(order) });
        let spent = self.orders[order].spent();
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
        let Order { named, owner, .. } = self.orders[order];
        let member = self.living(owner.unwrap_or(named));
        self.settle(order, member, self.now, spent);
        self.see_order(order, member, self.now);
        let call = self.event(named, "order.refunded", data, self.now);
        self.send(member, call, Expected::Done);
    }
}

fn order_id(order: usize) -> String {
    format!("order-{order}")
}
