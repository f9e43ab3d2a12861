//! What the engine remembers of an order: the newest snapshot, whether it counts, what was asked back, and what it
//! earned.
//!
//! Everything that must not depend on the order of arrival is kept as what it comes to: of snapshots the newest, of
//! refunds the sums. What is left of the order, and so what it leaves with its member, follows from those alone.

use std::sync::Arc;

use chrono::NaiveDate;
use litemap::LiteMap;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::earned::{Due, Earned, Origin};
use super::refund::{Back, Returned, WhichLine};
use super::share::Share;
use super::{Item, Order, Stamp, Step};
use crate::domain::Timestamp;
use crate::domain::coupon::CouponCode;
use crate::domain::ids::{CouponUsageKey, MemberId};
use crate::domain::json::instant;
use crate::domain::money::{Money, Points};
use crate::domain::source_event::MAX_COUPONS;
use crate::domain::terms::achievement::Counts;
use crate::domain::terms::earning::Earning;
use crate::domain::text::{Key, Name};

/// What the engine remembers of one order, so that it counts once and gives back exactly what it earned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// The POS's id.
    pub order_id: Key,
    /// Whose order; `None` while nothing else is known of it but refunds, and that something was parked about it.
    pub member: Option<MemberId>,
    /// The day it counts for, or last did, in the chain's zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<NaiveDate>,
    /// How it counts in the member's history; `None` when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted: Option<Counted>,
    /// The newest snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    newest: Option<Newest>,
    /// The newest word on whether it was completed or cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<Stamp>,
    #[serde(default, skip_serializing_if = "Returned::is_nothing")]
    returned: Returned,
    /// Lines that do not earn, by the terms of when it was completed or changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    barred: Vec<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earned: Vec<Earned>,
    /// What it counts for achievements that keep a count of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    feats: Vec<Contribution>,
    /// Coupons that it used, as far as that was not taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    coupons: Vec<UsedCoupon>,
    /// What rules on its completion failed to settle, or were not let.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unsettled: Vec<Unsettled>,
    /// Of each group of rules on its completion the one that counts.
    #[serde(default, skip_serializing_if = "LiteMap::is_empty")]
    pub chosen: LiteMap<Name, Arc<str>>,
    /// Counts writes; a commit names the version it was decided from. 0 = not stored yet.
    #[serde(skip)]
    pub version: i64,
}

/// How an order counts in its member's history.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    /// When it was completed.
    #[serde(serialize_with = "instant")]
    pub at: Timestamp,
    /// The money spent on it, less what was given back.
    pub spend: Money,
}

/// Rules on `order.completed` that failed, or whose campaign had nothing left, and up to where they are settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unsettled {
    settled: Settled,
    rules: Vec<Box<str>>,
}

/// Up to where a rule on `order.completed` is settled with an order: what it asks for since then is still to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// It never was.
    Never,
    /// As the order was then.
    UpTo(Arc<Order>),
}

/// A coupon that an order used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedCoupon {
    /// Its code.
    pub code: CouponCode,
    /// The use.
    pub usage: CouponUsageKey,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Newest {
    stamp: Stamp,
    order: Arc<Order>,
}

/// What an order counts for one achievement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Contribution {
    achievement: Name,
    /// What rules reported for it.
    #[serde(default, skip_serializing_if = "Decimal::is_zero")]
    reported: Decimal,
    /// What is in the count of its member.
    #[serde(default, skip_serializing_if = "Decimal::is_zero")]
    counted: Decimal,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not paid, or not seen yet.
    Open,
    /// Paid: it counts.
    Completed,
    /// It will not be, or is no longer.
    Cancelled,
}

impl OrderRecord {
    /// Of how many states of the order it is known that some rule was last settled with it. Should there be more, which
    /// takes as many rules that failed at as many changes, rules are taken to be settled up to the newest of them.
    const MAX_UNSETTLED: usize = 8;

    /// An order nobody has told us about yet.
    pub fn unseen(order_id: Key) -> Self {
        Self {
            order_id,
            member: None,
            day: None,
            counted: None,
            newest: None,
            outcome: None,
            returned: Returned::default(),
            barred: Vec::new(),
            earned: Vec::new(),
            feats: Vec::new(),
            coupons: Vec::new(),
            unsettled: Vec::new(),
            chosen: LiteMap::new(),
            version: 0,
        }
    }

    /// Forgets what may name the guest: whatever the ordering system put into the order. Answers whether there was any.
    pub fn forget_person(&mut self) -> bool {
        let newest = self.newest.as_mut().map(|newest| &mut newest.order);
        let before = self.unsettled.iter_mut().filter_map(|unsettled| match &mut unsettled.settled {
            Settled::Never => None,
            Settled::UpTo(order) => Some(order),
        });
        let mut forgot = false;
        for order in newest.into_iter().chain(before) {
            if order.names_somebody() {
                let order = Arc::make_mut(order);
                (order.session_id, order.cart_id) = (None, None);
                (order.status, order.experience_details) = (None, None);
                forgot = true;
            }
        }
        forgot
    }

    /// The same, as stored so many times.
    pub fn at_version(self, version: i64) -> Self {
        Self { version, ..self }
    }

    /// Takes a snapshot in: the newest one is the order, and the newest word on it says whether it counts. An older
    /// one may still bring the news that the order was completed. Answers whether it was newer than all before it in
    /// one of the two.
    pub fn see(&mut self, stamp: Stamp, order: Option<&Arc<Order>>) -> bool {
        let newer = self.newest.as_ref().is_none_or(|newest| newest.stamp < stamp);
        let decides = stamp.step >= Step::Completed && self.outcome < Some(stamp);
        if let Some(order) = order.filter(|_| newer) {
            self.newest = Some(Newest { stamp, order: order.clone() });
        }
        if decides {
            self.outcome = Some(stamp);
        }
        decides || (newer && order.is_some())
    }

    /// Whether it may use a coupon: each once, and no more than [`MAX_COUPONS`].
    pub fn may_use(&self, code: &CouponCode) -> bool {
        self.coupons.len() < MAX_COUPONS && self.coupons.iter().all(|used| used.code != *code)
    }

    /// It used a coupon.
    pub fn used_coupon(&mut self, code: &CouponCode, usage: CouponUsageKey) {
        self.coupons.push(UsedCoupon { code: code.clone(), usage });
    }

    /// Hands out the coupons that it used.
    pub fn take_coupons(&mut self) -> Vec<UsedCoupon> {
        std::mem::take(&mut self.coupons)
    }

    /// Takes coupons in again that it used.
    pub fn keep_coupons(&mut self, coupons: Vec<UsedCoupon>) {
        self.coupons = coupons;
    }

    /// Takes a refund in. Answers whether all of it could be kept.
    pub fn give_back(&mut self, back: &Back) -> bool {
        self.returned.add(back)
    }

    /// The order, as of its newest snapshot.
    pub fn order(&self) -> Option<&Arc<Order>> {
        self.newest.as_ref().map(|newest| &newest.order)
    }

    /// The POS's count of changes, of the newest snapshot.
    pub fn order_version(&self) -> Option<i64> {
        self.newest.as_ref()?.stamp.version
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        match self.outcome.map(|stamp| stamp.step) {
            Some(Step::Completed) => Phase::Completed,
            Some(Step::Cancelled) => Phase::Cancelled,
            Some(Step::Created | Step::Updated) | None => Phase::Open,
        }
    }

    fn items(&self) -> &[Item] {
        self.order().map_or(&[], |order| &order.items)
    }

    /// The lines of a refund that the order does not have. Of an order that is not known, none.
    pub fn unknown_lines<'a>(&'a self, back: &'a Back) -> impl Iterator<Item = &'a WhichLine> {
        let (lines, is_known) = match back {
            Back::Lines(lines) => (&lines[..], self.order().is_some()),
            Back::Full | Back::Amount(_) => (&[][..], false),
        };
        let unknown = move |which: &&WhichLine| is_known && !which.is_among(self.items());
        lines.iter().map(|line| &line.which).filter(unknown)
    }

    /// The money that a refund alone comes to; of lines, at their price. `None` while the order is not known.
    pub fn worth(&self, back: &Back) -> Option<Money> {
        match back {
            Back::Amount(amount) => Some(*amount),
            Back::Full => self.total(),
            Back::Lines(_) => {
                let mut alone = Self { newest: self.newest.clone(), ..Self::unseen(self.order_id.clone()) };
                alone.give_back(back);
                alone.refunded()
            }
        }
    }

    /// What the guest paid; `None` until a snapshot was seen.
    pub fn total(&self) -> Option<Money> {
        self.order().map(|order| order.total)
    }

    /// Money given back so far, as far as it is known: never more than the order was worth. A line is worth its price;
    /// all lines are worth the whole order, tax and tip included.
    pub fn refunded(&self) -> Option<Money> {
        let total = self.total()?;
        let back = self.returned.of_items(self.items());
        if self.returned.full || self.is_all(&back) {
            return Some(total);
        }
        let lines = self.items().iter().zip(back);
        let worth = lines.map(|(item, back)| item.price.decimal().saturating_mul(back));
        let worth = worth.fold(Decimal::ZERO, Decimal::saturating_add);
        Some(self.returned.amount.plus(Money::new(worth)).min(total))
    }

    /// What of the order is in its member's history: `None` when it does not count.
    pub fn spend(&self) -> Option<Money> {
        let total = self.total().filter(|_| self.phase() == Phase::Completed)?;
        Some(total.minus(self.refunded().unwrap_or_default()))
    }

    /// Whether all of the order's lines came back, so much of each.
    fn is_all(&self, back: &[Decimal]) -> bool {
        let mut lines = self.items().iter().zip(back);
        back.iter().any(|back| !back.is_zero()) && lines.all(|(item, back)| item.quantity.decimal() == *back)
    }

    /// The share of the order that is left: refunds by amount count against its total, lines against the lines that
    /// earn.
    fn left(&self) -> Share {
        let Some(total) = self.total().filter(|_| self.phase() == Phase::Completed) else {
            return Share::NOTHING;
        };
        if self.returned.is_nothing() {
            return Share::ALL;
        }
        let back = self.returned.of_items(self.items());
        if self.returned.full || self.is_all(&back) {
            return Share::NOTHING;
        }
        let (mut gone, mut all) = (Decimal::ZERO, Decimal::ZERO);
        for ((at, item), back) in (0..).zip(self.items()).zip(back) {
            if !self.barred.contains(&at) {
                gone = gone.saturating_add(item.price.decimal().saturating_mul(back));
                all = all.saturating_add(item.total());
            }
        }
        let by_amount = Share::new(self.returned.amount.decimal(), total.decimal());
        by_amount.rest_beside(Share::new(gone, all))
    }

    /// Whether it was cancelled, or paid and all of it given back.
    pub fn is_undone(&self) -> bool {
        match self.phase() {
            Phase::Open => false,
            Phase::Completed => !self.returned.is_nothing() && !self.stands(),
            Phase::Cancelled => true,
        }
    }

    /// Whether it counts, and something of it is left.
    fn stands(&self) -> bool {
        let back = || self.returned.of_items(self.items());
        let is_back = |total: Money| total > Money::ZERO && self.refunded() == Some(total);
        self.phase() == Phase::Completed
            && !self.returned.full
            && !self.total().is_some_and(is_back)
            && (self.returned.is_nothing() || !self.is_all(&back()))
    }

    /// What it comes to for an achievement.
    fn counts_for(&self, counts: &Counts, reported: Decimal) -> Decimal {
        match counts {
            _ if !self.stands() => Decimal::ZERO,
            Counts::Orders => Decimal::ONE,
            Counts::Reported => reported,
            Counts::Items(which) => {
                let lines = self.items().iter().zip(self.returned.of_items(self.items()));
                let kept = lines.filter(|(item, _)| item.is(which));
                kept.fold(Decimal::ZERO, |sum, (item, back)| {
                    sum.saturating_add(item.quantity.decimal() - back)
                })
            }
            Counts::Visits | Counts::Days | Counts::Spend | Counts::Points => Decimal::ZERO,
        }
    }

    /// Rules reported so much more progress for it, or less.
    pub fn report(&mut self, achievement: &Name, amount: Decimal) {
        let contribution = self.contribution(achievement);
        contribution.reported = contribution.reported.saturating_add(amount);
    }

    /// Brings what it counts for an achievement in line with what is left of it; answers by how much that is more, or
    /// less, than before.
    pub fn recount(&mut self, achievement: &Name, counts: &Counts) -> Decimal {
        let known = self.feats.iter().find(|feat| feat.achievement == *achievement);
        let (reported, counted) =
            known.map_or_else(Default::default, |known| (known.reported, known.counted));
        let now = self.counts_for(counts, reported);
        if now != counted {
            self.contribution(achievement).counted = now;
        }
        if self.phase() != Phase::Completed {
            self.feats.retain(|feat| feat.achievement != *achievement); // completed again, it is reported anew
        }
        now - counted
    }

    fn contribution(&mut self, achievement: &Name) -> &mut Contribution {
        let at = match self.feats.iter().position(|feat| feat.achievement == *achievement) {
            Some(at) => at,
            None => {
                self.feats.push(Contribution {
                    achievement: achievement.clone(),
                    reported: Decimal::ZERO,
                    counted: Decimal::ZERO,
                });
                self.feats.len() - 1
            }
        };
        &mut self.feats[at]
    }

    /// Settles which lines earn, by the terms of now.
    pub fn bar(&mut self, earning: &Earning) {
        self.barred = self.order().map(|order| order.barred(earning)).unwrap_or_default();
    }

    /// What it earned, by wallet and campaign.
    pub fn earned(&self) -> &[Earned] {
        &self.earned
    }

    /// What it earned in one wallet.
    pub fn earned_in(&self, wallet: &str) -> Points {
        let of_wallet = self.earned.iter().filter(|earned| &*earned.wallet == wallet);
        Points(of_wallet.map(|earned| earned.earned.0).sum())
    }

    /// How much of what it would earn the member would get: all but what they have already, because it was let go when it
    /// should have been taken back. `None` if that would be beyond [`Points::LIMIT`].
    pub fn would_give(&self, origin: Origin<'_>, amount: Points) -> Option<Points> {
        let Some(held) = self.earned.iter().find(|earned| earned.origin() == origin) else {
            return Points::ZERO.plus(amount);
        };
        held.earned.plus(amount)?;
        Some(held.clone().give(amount))
    }

    /// It earned so much more, of which the member gets what [`OrderRecord::would_give`] says.
    pub fn earn(&mut self, origin: Origin<'_>, amount: Points) {
        let earned = self.earned_by(origin);
        earned.earned.0 += amount.0;
        earned.give(amount);
    }

    /// So much that should have been taken back was spent, and is let go.
    pub fn let_go(&mut self, origin: Origin<'_>, amount: Points) {
        self.earned_by(origin).let_go.0 += amount.0;
    }

    /// What it earned turns out to be so much more, or less. [`OrderRecord::settle`] says what must move for that.
    /// Nothing is earned below zero; answers how much that is too little to take. `None` beyond [`Points::LIMIT`].
    pub fn re_earn(&mut self, origin: Origin<'_>, change: Points) -> Option<Points> {
        let Earned { earned, taken_back, short, .. } = self.earned_by(origin);
        let never_given = Points(short.0.min(-change.0).max(0));
        short.0 -= never_given.0;
        let exact = earned.plus(change)?.plus(never_given)?;
        let now = exact.max(Points::ZERO);
        taken_back.0 += now.0 - earned.0; // what the member has of it is as before
        *earned = now;
        Some(Points(now.0 - exact.0))
    }

    /// What it earned in a wallet turns out to be more than `asked` for, by as much as `at_most`: whatever gave it. As
    /// after [`OrderRecord::re_earn`], it is yet to move.
    pub fn earned_too_much(&mut self, wallet: &Name, asked: Points, at_most: Points) {
        let surplus = (self.earned_in(wallet).0 - asked.0).min(at_most.0);
        let mut surplus = surplus.max(0);
        for held in self.earned.iter_mut().filter(|held| held.wallet == *wallet) {
            let goes = surplus.min(held.earned.0);
            held.earned.0 -= goes;
            held.taken_back.0 -= goes;
            surplus -= goes;
        }
    }

    /// So much of what it earned the wallet had no room for: the member has not got it.
    pub fn fall_short(&mut self, origin: Origin<'_>, amount: Points) {
        self.earned_by(origin).earned.0 -= amount.0;
    }

    /// So much of what it earned the campaign had not left: the member has not got it.
    pub fn cut(&mut self, origin: Origin<'_>, amount: Points) {
        let earned = self.earned_by(origin);
        earned.earned.0 -= amount.0;
        earned.short.0 += amount.0;
    }

    fn earned_by(&mut self, origin: Origin<'_>) -> &mut Earned {
        let at = match self.earned.iter().position(|earned| earned.origin() == origin) {
            Some(at) => at,
            None => {
                let none = Earned {
                    wallet: origin.wallet.clone(),
                    campaign: origin.campaign.cloned(),
                    earned: Points::ZERO,
                    taken_back: Points::ZERO,
                    let_go: Points::ZERO,
                    short: Points::ZERO,
                };
                self.earned.push(none);
                self.earned.len() - 1
            }
        };
        &mut self.earned[at]
    }

    /// Brings what the order leaves with its member in line with what it earned and what is left of it: of `earned`,
    /// `floor(earned × share left)`. Computed from the sums, so that three thirds give the whole and nothing is taken
    /// twice; a part of a point is gone when a refund has used it up.
    ///
    /// What a campaign gave is reckoned by itself.
    ///
    /// Answers what must move now: less than zero is taken back, more is given again, unless the member has
    /// it still.
    pub fn settle(&mut self) -> Vec<Due> {
        let (left, phase) = (self.left(), self.phase());
        let mut moves = Vec::new();
        for held in &mut self.earned {
            let stays = left.floor_of(held.earned.0.unsigned_abs()).cast_signed();
            let gone = Points(held.earned.0 - stays);
            let change = Points(held.taken_back.0 - gone.0);
            held.taken_back = gone;
            let change = if change > Points::ZERO { held.give(change) } else { change };
            if change != Points::ZERO {
                moves.push(Due { wallet: held.wallet.clone(), campaign: held.campaign.clone(), change });
            }
        }
        if phase != Phase::Completed {
            self.start_anew();
        }
        moves
    }

    /// Should it be completed again, it earns anew, except for what the member has of it still.
    fn start_anew(&mut self) {
        self.unsettled.clear();
        self.chosen.clear();
        self.earned.retain_mut(|held| {
            (held.earned, held.taken_back, held.short) = (Points::ZERO, Points::ZERO, Points::ZERO);
            held.let_go > Points::ZERO
        });
    }

    /// Up to where a rule is settled that failed before, or had nothing to give; `None` for any other.
    pub fn settled(&self, rule: &str) -> Option<&Settled> {
        let unsettled =
            self.unsettled.iter().find(|unsettled| unsettled.rules.iter().any(|name| **name == *rule));
        unsettled.map(|unsettled| &unsettled.settled)
    }

    /// A rule is settled with the order as it is.
    pub fn settled_now(&mut self, rule: &str) {
        for unsettled in &mut self.unsettled {
            unsettled.rules.retain(|name| **name != *rule);
        }
        self.unsettled.retain(|unsettled| !unsettled.rules.is_empty());
    }

    /// A rule failed or had nothing to give, and is settled up to there only.
    pub fn left_unsettled(&mut self, rule: &str, settled: Settled) {
        if self.settled(rule).is_some() {
            return; // it failed before, too
        }
        let is_full = self.unsettled.len() >= Self::MAX_UNSETTLED;
        let known = self.unsettled.iter_mut().find(|known| known.settled == settled);
        let known = match known {
            None if is_full => self.unsettled.last_mut(),
            known => known,
        };
        match known {
            Some(known) => known.rules.push(rule.into()),
            None => self.unsettled.push(Unsettled { settled, rules: vec![rule.into()] }),
        }
    }
}
