//! The reference: what the program of the test means, told the naive way. It knows nothing of the engine's code, keeps
//! everything, and works everything out anew from it.

mod coupon;
mod order;
mod redemption;

use std::fmt::Write as _;

use chrono::{DateTime, Datelike};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use serde_json::{Value, json};

use super::program::{EXPIRY_DAYS, MEMBERS, POINTS, THRESHOLDS, VERSIONS, WALLETS, name};
use super::purse::{DAY, Instant, NEVER, Purse};
use super::steps::{CouponDeed, RedemptionStep, Transition};
use coupon::{Coupon, Usage};
use order::Order;
use redemption::Redemption;

/// What is sent.
#[derive(Debug, Clone)]
pub(super) enum Call {
    /// A source event.
    Event(Value),
    /// A command about a member: the path behind the member, and the body.
    Command(usize, &'static str, Value),
    /// A command about the nth coupon, by a member; a revert names the nth usage.
    Coupon(usize, usize, CouponDeed, Option<usize>),
    /// A step of the nth redemption.
    Redemption(usize, RedemptionStep),
}

/// What must come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// It is done.
    Done,
    /// It is refused by this name.
    Refused(&'static str),
}

/// The last thing that happened.
#[derive(Debug, Clone)]
pub(super) enum Last {
    Nothing,
    /// This was sent, under the key of the nth thing sent.
    Sent(usize, Call, Expected, usize),
    /// The nth thing sent, again.
    Again(usize),
    /// The key of the nth thing sent, with another body.
    KeyReused(usize),
    Waited(i64),
    Restarted,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Member {
    pub(super) purses: [Purse; 2],
    pub(super) tier: usize,
}

/// Everything.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) now: Instant,
    pub(super) members: Vec<Member>,
    orders: Vec<Order>,
    pub(super) coupons: Vec<Coupon>,
    usages: Vec<Usage>,
    redemptions: Vec<Redemption>,
    /// How many things were sent, and which of them were done.
    sent: usize,
    done: Vec<usize>,
    pub(super) last: Last,
}

impl Reference {
    fn new(now: Instant) -> Self {
        Self {
            now,
            members: vec![Member::default(); MEMBERS],
            orders: Vec::new(),
            coupons: Vec::new(),
            usages: Vec::new(),
            redemptions: Vec::new(),
            sent: 0,
            done: Vec::new(),
            last: Last::Nothing,
        }
    }

    fn send(&mut self, member: usize, call: Call, expected: Expected) {
        if expected == Expected::Done {
            self.done.push(self.sent);
        }
        self.last = Last::Sent(self.sent, call, expected, member);
        self.sent += 1;
        self.lift();
    }

    fn event(&self, member: usize, kind: &str, data: Value, at: Instant) -> Call {
        let (key, member) = (format!("event-{}", self.sent), json!({ "id": name(member) }));
        Call::Event(
            json!({ "key": key, "type": kind, "occurred_at": rfc3339(at), "member": member, "data": data }),
        )
    }

    fn adjust(&mut self, member: usize, wallet: usize, amount: i64) {
        let purse = &mut self.members[member].purses[wallet];
        let mut expected = Expected::Done;
        if amount > 0 {
            let gone = if wallet == POINTS { day(self.now + (EXPIRY_DAYS + 1) * DAY) } else { NEVER };
            purse.credit(amount, gone);
        } else if purse.balance() < -amount {
            expected = Expected::Refused("insufficient_balance");
        } else {
            purse.debit(-amount);
        }
        let body = json!({ "amount": amount, "wallet": WALLETS[wallet], "reason": "by hand" });
        self.send(member, Call::Command(member, "points", body), expected);
    }

    fn wait(&mut self, minutes: i64) {
        let until = self.now + minutes * 60;
        while let Some(month) = Some(next_month(self.now)).filter(|month| *month <= until) {
            let closed = self.now;
            for member in 0..MEMBERS {
                let tier = self.members[member].tier;
                if self.deserves(member, closed) < tier {
                    self.members[member].tier = tier - 1;
                }
            }
            self.now = month;
        }
        self.now = until;
        self.expire_redemptions();
        for purse in self.members.iter_mut().flat_map(|member| &mut member.purses) {
            purse.pass(until);
        }
        self.last = Last::Waited(minutes);
    }

    /// The tier that what was spent in the month of `at` is enough for.
    fn deserves(&self, member: usize, at: Instant) -> usize {
        let counts = |order: &&Order| order.member == member && order.total().is_some();
        let in_month = |order: &&Order| order.day.is_some_and(|day| next_month(day) == next_month(at));
        let spent: i64 = self.orders.iter().filter(counts).filter(in_month).map(Order::left).sum();
        THRESHOLDS.iter().rposition(|threshold| *threshold <= spent).unwrap_or(0)
    }

    fn lift(&mut self) {
        if let Last::Sent(_, _, Expected::Done, member) = self.last {
            self.members[member].tier = self.members[member].tier.max(self.deserves(member, self.now));
        }
    }
}

fn day(at: Instant) -> Instant {
    at / DAY * DAY
}

fn next_month(at: Instant) -> Instant {
    let today = DateTime::from_timestamp(at, 0).unwrap().date_naive();
    let next = today.with_day(1).unwrap() + chrono::Months::new(1);
    next.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp()
}

fn money(cents: i64) -> String {
    let mut text = String::new();
    write!(text, "{}.{:02}", cents / 100, cents % 100).unwrap();
    text
}

pub(super) fn rfc3339(at: Instant) -> String {
    DateTime::from_timestamp(at, 0).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

impl ReferenceStateMachine for Reference {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        let start: DateTime<chrono::Utc> = crate::support::builders::START.parse().unwrap();
        Just(Self::new(start.timestamp())).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Transition> {
        super::steps::any_step(state.orders.len(), &state.owners(), state.redemptions.len())
    }

    fn apply(mut state: Self, transition: &Transition) -> Self {
        state.last = Last::Nothing;
        match *transition {
            Transition::Order { order, member, says, version, cents, minutes_late } => {
                let order = order % (state.orders.len() + 1);
                if order == state.orders.len() {
                    state.orders.push(Order::of(member));
                }
                let told = |version: &i64| state.orders[order].told.iter().any(|told| told.0 == *version);
                let untold: Vec<_> = (1..=VERSIONS).filter(|version| !told(version)).collect();
                if !untold.is_empty() {
                    let version = untold[version % untold.len()];
                    state.order(order, says, version, cents, state.now - minutes_late * 60);
                }
            }
            Transition::Refund { order, cents } if !state.orders.is_empty() => {
                state.refund(order % state.orders.len(), cents);
            }
            Transition::Adjust { member, wallet, amount } => state.adjust(member, wallet, amount),
            Transition::Give { member } => state.give(member),
            Transition::Coupon { coupon, member, deed } if !state.coupons.is_empty() => {
                state.coupon(coupon % state.coupons.len(), member, deed);
            }
            Transition::Redeem { member, reward } => state.redeem(member, reward),
            Transition::Redemption { redemption, step } if !state.redemptions.is_empty() => {
                state.step_redemption(redemption % state.redemptions.len(), step);
            }
            Transition::Again { sent } if !state.done.is_empty() => {
                state.last = Last::Again(state.done[sent % state.done.len()]);
            }
            Transition::KeyReused { sent } if !state.done.is_empty() => {
                state.last = Last::KeyReused(state.done[sent % state.done.len()]);
            }
            Transition::Wait { minutes } => state.wait(minutes),
            Transition::Restart => state.last = Last::Restarted,
            Transition::Refund { .. }
            | Transition::Coupon { .. }
            | Transition::Redemption { .. }
            | Transition::Again { .. }
            | Transition::KeyReused { .. } => {}
        }
        state
    }
}
