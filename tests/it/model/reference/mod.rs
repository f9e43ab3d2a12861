//! The reference: what the program of the test means, told the naive way. It knows nothing of the engine's code, keeps
//! everything, and works everything out anew from it.

mod achievement;
mod cart;
mod coupon;
mod merge;
mod order;
mod redemption;
mod referral;

use std::fmt::Write as _;

use chrono::{DateTime, Datelike, NaiveTime};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use serde_json::{Value, json};

use super::program::{
    ACHIEVEMENTS, EXPIRY_DAYS, MAX_MEMBERS, MEMBERS, POINTS, THRESHOLDS, VERSIONS, WALLETS, name,
};
use super::purse::{DAY, Instant, NEVER, Purse};
use super::steps::{Census, CouponDeed, RedemptionStep, Transition};
use achievement::Feat;
use cart::Carts;
use coupon::{Coupon, Usage};
use merge::Merged;
use order::Order;
use redemption::Redemption;
use referral::{Referral, Reward};

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
    /// Somebody new.
    Enrol(usize),
    /// The first was brought by the second.
    Refer(usize, usize),
    /// The first absorbs the second.
    Merge(usize, usize),
    /// The first gives back the second.
    Unmerge(usize, usize),
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
    feats: [Feat; ACHIEVEMENTS.len()],
    received: Option<Referral>,
    carts: Carts,
    enrolled_at: Instant,
    merged: Option<Merged>,
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
    rewards: Vec<Reward>,
    /// Whose each cart is.
    carts: Vec<usize>,
    /// Which carts were told as abandoned, and how many things were in them.
    pub(super) abandoned: Vec<(String, usize)>,
    /// How many things were sent, and which of them were done.
    sent: usize,
    done: Vec<usize>,
    pub(super) last: Last,
    /// Whether something follows of it for somebody else.
    pub(super) follows: bool,
}

impl Reference {
    fn new(now: Instant) -> Self {
        Self {
            now,
            members: vec![Member { enrolled_at: now, ..Member::default() }; MEMBERS],
            orders: Vec::new(),
            coupons: Vec::new(),
            usages: Vec::new(),
            redemptions: Vec::new(),
            rewards: Vec::new(),
            carts: Vec::new(),
            abandoned: Vec::new(),
            sent: 0,
            done: Vec::new(),
            last: Last::Nothing,
            follows: false,
        }
    }

    fn send(&mut self, member: usize, call: Call, expected: Expected) {
        if expected == Expected::Done {
            self.done.push(self.sent);
            self.lift(member);
        }
        self.last = Last::Sent(self.sent, call, expected, member);
        self.sent += 1;
    }

    /// So many minutes ago; two things that happen to one order do not happen at the same second.
    const fn instant(&self, minutes_late: i64) -> Instant {
        self.now - minutes_late * 60 - (self.sent % 60) as Instant
    }

    fn event(&self, member: usize, kind: &str, data: Value, at: Instant) -> Call {
        let (key, member) = (format!("event-{}", self.sent), json!({ "id": name(member) }));
        Call::Event(
            json!({ "key": key, "type": kind, "occurred_at": rfc3339(at), "member": member, "data": data }),
        )
    }

    fn enrol(&mut self) {
        let newcomer = self.members.len();
        if newcomer < MAX_MEMBERS {
            self.members.push(Member { enrolled_at: self.now, ..Member::default() });
            self.send(newcomer, Call::Enrol(newcomer), Expected::Done);
        }
    }

    fn adjust(&mut self, named: usize, wallet: usize, amount: i64) {
        let member = self.living(named);
        let purse = &mut self.members[member].purses[wallet];
        let mut expected = Expected::Done;
        if amount > 0 {
            let gone = if wallet == POINTS { gone_after(self.now) } else { NEVER };
            purse.credit(amount, gone);
        } else if purse.balance() < -amount {
            expected = Expected::Refused("insufficient_points");
        } else {
            purse.debit(-amount);
        }
        let body = json!({ "amount": amount, "wallet": WALLETS[wallet], "reason": "by hand" });
        self.send(member, Call::Command(named, "points", body), expected);
    }

    fn wait(&mut self, minutes: i64) {
        let until = self.now + minutes * 60;
        while let Some(next) = Some(next_month(self.now)).filter(|next| *next <= until) {
            for member in 0..self.members.len() {
                self.review(member, self.now);
            }
            self.now = next;
        }
        self.now = until;
        self.expire_redemptions();
        self.expire_referrals();
        self.abandon_carts();
        for purse in self.members.iter_mut().flat_map(|member| &mut member.purses) {
            purse.pass(until);
        }
        self.last = Last::Waited(minutes);
    }

    /// At the end of the month of `at`.
    fn review(&mut self, member: usize, at: Instant) {
        let tier = self.members[member].tier;
        if self.deserves(member, at) < tier {
            self.members[member].tier = tier - 1;
        }
    }

    /// The tier that what was spent in the month of `at` is enough for.
    fn deserves(&self, member: usize, at: Instant) -> usize {
        let is_theirs = |order: &&Order| order.owner.is_some_and(|owner| self.living(owner) == member);
        let in_month = |order: &&Order| order.day.is_some_and(|day| month(day) == month(at));
        let spent: i64 = self.orders.iter().filter(is_theirs).filter(in_month).map(Order::left).sum();
        THRESHOLDS.iter().rposition(|threshold| *threshold <= spent).unwrap_or(0)
    }

    /// What was spent so far lifts at once.
    fn lift(&mut self, member: usize) {
        self.members[member].tier = self.members[member].tier.max(self.deserves(member, self.now));
    }
}

fn day(at: Instant) -> Instant {
    at / DAY * DAY
}

/// When points are gone that were earned at `at`.
fn gone_after(at: Instant) -> Instant {
    day(at + (EXPIRY_DAYS + 1) * DAY)
}

/// The first instant of the month of `at`.
fn month(at: Instant) -> Instant {
    let today = DateTime::from_timestamp(at, 0).unwrap().date_naive();
    today.with_day(1).unwrap().and_time(NaiveTime::MIN).and_utc().timestamp()
}

fn next_month(at: Instant) -> Instant {
    month(month(at) + 31 * DAY)
}

/// The first instant of the quarter of `at`.
fn quarter(at: Instant) -> Instant {
    let today = DateTime::from_timestamp(at, 0).unwrap().date_naive();
    let first = today.with_day(1).unwrap().with_month0(today.month0() / 3 * 3).unwrap();
    first.and_time(NaiveTime::MIN).and_utc().timestamp()
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
        super::steps::any_step(Census {
            members: state.members.len(),
            orders: state.orders.len(),
            owners: state.owners(),
            redemptions: state.redemptions.len(),
            carts: state.carts.len(),
            separable: state.separable(),
        })
    }

    fn apply(mut state: Self, transition: &Transition) -> Self {
        (state.last, state.follows) = (Last::Nothing, false);
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
                    state.order(order, says, version, cents, state.instant(minutes_late));
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
            Transition::Enrol => state.enrol(),
            Transition::Refer { member, sender } => state.refer(member, sender),
            Transition::Referral { member, verdict } => state.settle_referral(member, verdict),
            Transition::Cart { cart, member, things, minutes_late } => {
                let cart = cart % (state.carts.len() + 1);
                if cart == state.carts.len() {
                    state.carts.push(member);
                }
                state.see_cart(cart, things, state.instant(minutes_late));
            }
            Transition::Merge { survivor, from } => state.merge(survivor, from),
            Transition::Unmerge { absorbed, by } => state.unmerge(absorbed, by),
            Transition::Wait { minutes } => state.wait(minutes),
            Transition::Restart => state.last = Last::Restarted,
            Transition::Refund { .. }
            | Transition::Coupon { .. }
            | Transition::Redemption { .. }
            | Transition::Again { .. }
            | Transition::KeyReused { .. } => {}
        }
        state.touch_spenders();
        state
    }
}
