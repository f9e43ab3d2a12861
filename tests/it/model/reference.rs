//! The reference: what the program of the test means, told the naive way. It knows nothing of the engine's code, keeps
//! everything, and works everything out anew from it.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;
use serde_json::{Value, json};

use super::program::{
    COUPON_DAYS, COUPONS_PER_MEMBER, EXPIRY_DAYS, MEMBERS, MUG_DAYS, PENDING_DAYS, POINTS, RESERVED_FOR,
    REWARDS, STARS, THRESHOLDS, VERSIONS, WALLETS, name,
};
use super::purse::{DAY, Instant, NEVER, Purse};
use super::steps::{CouponDeed, RedemptionStep, Saying, Transition};

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
struct Order {
    member: usize,
    /// Version, what was said, and the total in cents if it was told.
    told: Vec<(i64, Saying, Option<i64>)>,
    refunded: i64,
    refunded_in_full: bool,
    /// The day it counts for.
    day: Option<Instant>,
    /// What it leaves with its member, by wallet.
    leaves: [i64; 2],
}

impl Order {
    fn is_completed(&self) -> bool {
        let decides = |told: &&(i64, Saying, _)| matches!(told.1, Saying::Completed | Saying::Cancelled);
        let last = self.told.iter().filter(decides).max_by_key(|told| told.0);
        last.is_some_and(|told| told.1 == Saying::Completed)
    }

    /// In cents, as long as it counts.
    fn total(&self) -> Option<i64> {
        let newest = self.told.iter().filter(|told| told.2.is_some()).max_by_key(|told| told.0)?;
        newest.2.filter(|_| self.is_completed())
    }

    fn left(&self) -> i64 {
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

#[derive(Debug, Clone)]
pub(super) struct Coupon {
    pub(super) owner: usize,
    given_at: Instant,
    reserved_until: Option<Instant>,
    pub(super) used: u64,
}

#[derive(Debug, Clone)]
struct Usage {
    coupon: usize,
    by: usize,
    reverted: bool,
}

/// Where a redemption stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Pending,
    Approved,
    Fulfilled,
    /// Rejected, cancelled or expired.
    Nothing,
}

#[derive(Debug, Clone)]
struct Redemption {
    member: usize,
    reward: usize,
    status: Status,
    made_at: Instant,
    drawn: Vec<(Instant, i64)>,
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

    fn order(&mut self, order: usize, says: Saying, version: i64, cents: i64, at: Instant) {
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

    fn event(&self, member: usize, kind: &str, data: Value, at: Instant) -> Call {
        let (key, member) = (format!("event-{}", self.sent), json!({ "id": name(member) }));
        Call::Event(
            json!({ "key": key, "type": kind, "occurred_at": rfc3339(at), "member": member, "data": data }),
        )
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

    fn refund(&mut self, order: usize, cents: Option<i64>) {
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

    fn adjust(&mut self, member: usize, wallet: usize, amount: i64) {
        let purse = &mut self.members[member].purses[wallet];
        let mut expected = Expected::Done;
        if amount > 0 {
            let gone = if wallet == POINTS { day(self.now + (EXPIRY_DAYS + 1) * DAY) } else { NEVER };
            purse.credit(amount, gone);
        } else if purse.balance() < -amount {
            expected = Expected::Refused("insufficient_points");
        } else {
            purse.debit(-amount);
        }
        let body = json!({ "amount": amount, "wallet": WALLETS[wallet], "reason": "by hand" });
        self.send(member, Call::Command(member, "points", body), expected);
    }

    fn give(&mut self, member: usize) {
        let has = self.coupons.iter().filter(|coupon| coupon.owner == member).count();
        let expected = if has < COUPONS_PER_MEMBER {
            let (given_at, reserved_until) = (self.now, None);
            self.coupons.push(Coupon { owner: member, given_at, reserved_until, used: 0 });
            Expected::Done
        } else {
            Expected::Refused("coupon_member_limit_reached")
        };
        self.send(member, Call::Command(member, "coupons", Value::Null), expected);
    }

    fn coupon(&mut self, coupon: usize, member: usize, deed: CouponDeed) {
        let usage = self.usages.iter().rposition(|usage| usage.coupon == coupon);
        if deed == CouponDeed::Revert && usage.is_none() {
            self.last = Last::Nothing;
            return;
        }
        let usage = usage.filter(|_| deed == CouponDeed::Revert);
        let expected = match self.play(coupon, member, deed, usage) {
            Ok(()) => Expected::Done,
            Err(why) => Expected::Refused(why),
        };
        self.send(member, Call::Coupon(coupon, member, deed, usage), expected);
    }

    fn play(
        &mut self,
        at: usize,
        member: usize,
        deed: CouponDeed,
        usage: Option<usize>,
    ) -> Result<(), &'static str> {
        let now = self.now;
        let used_by_member = |usage: &&Usage| usage.by == member && !usage.reverted;
        let uses = self.usages.iter().filter(used_by_member).count();
        let coupon = &mut self.coupons[at];
        coupon.reserved_until = coupon.reserved_until.filter(|until| *until > now);
        let may_use = if member != coupon.owner {
            Err("coupon_recipient_does_not_match")
        } else if now >= coupon.given_at + COUPON_DAYS * DAY {
            Err("coupon_expired")
        } else if coupon.used > 0 {
            Err("coupon_exhausted")
        } else if uses >= COUPONS_PER_MEMBER {
            Err("coupon_member_limit_reached")
        } else {
            Ok(())
        };
        match deed {
            CouponDeed::Use => {
                may_use?;
                coupon.used += 1;
                coupon.reserved_until = None;
                self.usages.push(Usage { coupon: at, by: member, reverted: false });
            }
            CouponDeed::Reserve => {
                may_use?;
                coupon.reserved_until = Some(now + RESERVED_FOR);
            }
            CouponDeed::Release => {
                let reserved = coupon.reserved_until.take_if(|_| member == coupon.owner);
                reserved.ok_or("coupon_reservation_missing")?;
            }
            CouponDeed::Revert => {
                let usage = usage.and_then(|usage| self.usages.get_mut(usage)).ok_or("no usage")?;
                if usage.by != member {
                    return Err("coupon_recipient_does_not_match");
                }
                if usage.reverted {
                    return Err("coupon_already_reverted");
                }
                usage.reverted = true;
                coupon.used -= 1;
            }
        }
        Ok(())
    }

    fn redeem(&mut self, member: usize, reward: usize) {
        let (id, cost, is_automatic, stock, each) = REWARDS[reward];
        let taken = |of: &dyn Fn(&Redemption) -> bool| {
            let counts = |r: &&Redemption| r.reward == reward && r.status != Status::Nothing && of(r);
            self.redemptions.iter().filter(counts).count()
        };
        let expected = if taken(&|redemption| redemption.member == member) >= each {
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
        self.send(member, Call::Command(member, "redemptions", body), expected);
    }

    fn step_redemption(&mut self, at: usize, step: RedemptionStep) {
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
        self.send(member, Call::Redemption(at, step), expected);
    }

    /// What comes to nothing gives the points back, into the lots they came from, as far as those still last.
    fn become_of(&mut self, at: usize, status: Status) {
        let redemption = &mut self.redemptions[at];
        redemption.status = status;
        if status == Status::Nothing {
            let purse = &mut self.members[redemption.member].purses[POINTS];
            for (gone, amount) in redemption.drawn.drain(..) {
                purse.credit(amount, gone);
            }
            purse.pass(self.now);
        }
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
        for at in 0..self.redemptions.len() {
            let Redemption { reward, status, made_at, .. } = self.redemptions[at];
            let is_open = matches!(status, Status::Pending | Status::Approved);
            if is_open && REWARDS[reward].0 == "mug" && made_at + MUG_DAYS * DAY <= until {
                self.become_of(at, Status::Nothing);
            }
        }
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

    fn owners(&self) -> Vec<usize> {
        self.coupons.iter().map(|coupon| coupon.owner).collect()
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
                    state.orders.push(Order { member, ..Order::default() });
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
