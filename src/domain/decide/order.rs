//! Orders: what snapshots and refunds of them come to, and the points that move for it.
//!
//! A completed order earns once, by the rules on `order.completed`. When it changes afterwards, those rules are asked
//! twice, with the order as it was and as it is, both against the member of now, and only the difference moves: so a
//! welcome bonus is neither paid twice nor lost because the guest is no longer new.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::points::Movement;
use super::{Draft, Frame, Refusal, achievement};
use rust_decimal::Decimal;

use crate::domain::Timestamp;
use crate::domain::effect::{Action, Cause, RuleEffects, RuleFailure};
use crate::domain::loyalty_event::EventData;
use crate::domain::money::Points;
use crate::domain::order::{
    Back, Cancellation, Counted, Due, Order, OrderRecord, OrderTold, Origin, Phase, Refund, RefundTold,
    Settled, Snapshot, Stamp, Step,
};
use crate::domain::source_event::{SourceEvent, SourceType};
use crate::domain::text::{Key, Name, Note};

/// The most lines that a receipt names as unknown.
const MAX_NAMED: usize = 5;

/// What the event brought that the engine itself must settle.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum OrderNews {
    /// Nothing.
    Nothing,
    /// The order counts from now on.
    Completed,
    /// A completed order changed: what it was.
    Changed(Arc<Order>),
    /// The order does not count, or no longer.
    Cancelled,
    /// Something of a completed order failed, and runs again.
    Again,
}

/// What rules ask for in a wallet for a changed order.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asks {
    now: i64,
    /// What they ask for less, and was not given by their campaign.
    untaken: i64,
}

/// How an order stood before an event.
struct Before {
    phase: Phase,
    order: Option<Arc<Order>>,
}

/// What an event says of an order.
struct Sight<'a> {
    order_id: &'a Key,
    stamp: Stamp,
    order: Option<&'a Arc<Order>>,
}

impl Draft {
    pub(super) fn see_order(&mut self, frame: Frame<'_>, step: Step, snapshot: &Snapshot) {
        let Snapshot { version, order, .. } = snapshot;
        let stamp = Stamp { version: *version, at: self.at, step };
        let Some((before, record)) = self.see(Sight { order_id: &order.order_id, stamp, order: Some(order) })
        else {
            return;
        };
        record.bar(&frame.terms.earning);
        let order = record.order().unwrap_or(order).clone();
        if record.phase() == Phase::Cancelled && step != Step::Updated {
            self.note(format!("order {} was cancelled; it does not count", order.order_id));
            self.runs_rules = false;
            return;
        }
        let told = OrderTold::of(order.clone(), record.order_version());
        let was_known = before.order.is_some();
        let (news, became) = match (before, record.phase()) {
            (Before { phase: Phase::Completed, order: Some(before) }, Phase::Completed) => {
                (OrderNews::Changed(before), Step::Updated)
            }
            (_, Phase::Completed) => (OrderNews::Completed, Step::Completed),
            _ => (OrderNews::Nothing, step),
        };
        let used = match &news {
            OrderNews::Changed(before) => &before.coupons[..],
            OrderNews::Completed => &[],
            OrderNews::Nothing | OrderNews::Cancelled | OrderNews::Again => &order.coupons,
        };
        let is_new = |code: &&Name| !used.iter().any(|known| known.eq_ignore_ascii_case(code));
        let coupons: Vec<_> = order.coupons.iter().filter(is_new).cloned().collect();
        self.order_news = news;
        self.runs_rules = became == step;
        self.told.push(match became {
            Step::Created => EventData::OrderCreated(told),
            Step::Completed if was_known => EventData::OrderCompleted(told.again()),
            Step::Completed => EventData::OrderCompleted(told),
            Step::Updated | Step::Cancelled => EventData::OrderUpdated(told),
        });
        if matches!(step, Step::Created | Step::Completed) {
            self.end_carts(frame, &order);
        }
        self.count_order(frame);
        match self.order.as_ref().is_some_and(OrderRecord::is_undone) {
            false => self.use_coupons(frame, &coupons),
            true => self.return_coupons(frame),
        }
    }

    pub(super) fn see_cancellation(&mut self, frame: Frame<'_>, cancelled: &Cancellation) {
        let stamp = Stamp { version: cancelled.version, at: self.at, step: Step::Cancelled };
        if self.see(Sight { order_id: &cancelled.order_id, stamp, order: None }).is_none() {
            return;
        }
        self.order_news = OrderNews::Cancelled;
        self.told.push(EventData::OrderCancelled(cancelled.clone()));
        self.count_order(frame);
        self.return_coupons(frame);
    }

    /// Takes a snapshot into the order's record. Answers how the order stood before; `None` when nothing changed, and
    /// the receipt says why.
    fn see(&mut self, sight: Sight<'_>) -> Option<(Before, &mut OrderRecord)> {
        let Sight { order_id, stamp, order } = sight;
        let me = self.member.id;
        let record = self.order.get_or_insert_with(|| OrderRecord::unseen(order_id.clone()));
        let before = Before { phase: record.phase(), order: record.order().cloned() };
        // An order of somebody whom the member has absorbed stays theirs.
        let owner = record.member.filter(|owner| self.member.answers_for(*owner));
        let is_others = record.counted.is_some() && owner.is_none();
        let is_newer = !is_others && record.see(stamp, order);
        if (record.phase(), record.order()) != (before.phase, before.order.as_ref()) {
            if record.member.is_none() && record.version > 0 {
                self.people.awaited = Some(order_id.clone());
            }
            record.member = owner.or(Some(me));
            return self.order.as_mut().map(|record| (before, record));
        }
        let is_completed = stamp.step == Step::Completed;
        let is_known = order.is_none_or(|order| record.order() == Some(order))
            && is_completed == (record.phase() == Phase::Completed);
        let why = if is_others {
            format!("order {order_id} is another member's; it counts once")
        } else if is_newer || is_known {
            format!("order {order_id} was known to be so before; it counts once")
        } else {
            format!(
                "what is known of order {order_id} is as new or newer, so this changes nothing; \
                 a newer snapshot has a higher `version` or a later `occurred_at`"
            )
        };
        self.note(why);
        self.runs_rules = false;
        None
    }

    pub(super) fn see_refund(&mut self, frame: Frame<'_>, refund: &Refund) {
        let record = self.order.get_or_insert_with(|| OrderRecord::unseen(refund.order_id.clone()));
        let before = record.refunded();
        let kept = record.give_back(&refund.back);
        let moved = record.refunded().zip(before).map(|(now, before)| now.minus(before));
        let mut notes: Vec<String> = record
            .unknown_lines(&refund.back)
            .take(MAX_NAMED)
            .map(|which| format!("the order has no {which}; nothing goes back for it"))
            .collect();
        if !kept {
            notes.push("the order names too many lines; those beyond are not given back".to_owned());
        }
        let amount = match &refund.back {
            Back::Amount(asked) => {
                if let Some(moved) = moved.filter(|moved| moved < asked) {
                    notes.push(format!("only {moved} of {asked} was left to refund"));
                }
                Some(*asked)
            }
            Back::Full | Back::Lines(_) => moved,
        };
        self.told.push(EventData::OrderRefunded(RefundTold::of(refund, amount)));
        for note in notes {
            self.note(note);
        }
        self.count_order(frame);
        self.return_coupons(frame);
    }

    /// Brings the member's history in line with the order: a visit and its spending for one that counts, neither for
    /// one that was cancelled.
    fn count_order(&mut self, frame: Frame<'_>) {
        let Some(record) = &mut self.order else { return };
        let (today, day) = (self.today, record.day.unwrap_or(self.today));
        match (record.counted, record.spend()) {
            (None, Some(spend)) => {
                record.day = Some(today);
                record.counted = Some(Counted { at: self.at, spend });
                self.visit(frame, spend);
                self.theirs().for_each(|theirs| theirs.history.visit(today, spend));
            }
            (Some(counted), Some(spend)) => {
                let less = counted.spend.minus(spend);
                record.counted = Some(Counted { spend, ..counted });
                self.member.history.refund(day, less);
                self.theirs().for_each(|theirs| theirs.history.refund(day, less));
                self.has_counted(achievement::Counted::by(-less.decimal()));
            }
            (Some(counted), None) => {
                record.counted = None;
                self.member.history.unvisit(day, counted.spend);
                self.theirs().for_each(|theirs| theirs.history.unvisit(day, counted.spend));
                self.has_counted(achievement::Counted::Less);
            }
            (None, None) => {}
        }
    }

    /// For a replay, which folds nothing: whether there may be something to settle yet.
    pub(super) fn recall_order(&mut self, event: &SourceEvent) {
        let phase = self.order.as_ref().map(OrderRecord::phase);
        self.order_news = match (event.kind(), phase) {
            (
                SourceType::OrderCreated | SourceType::OrderUpdated | SourceType::OrderCompleted,
                Some(Phase::Completed),
            ) => OrderNews::Again,
            (SourceType::OrderCancelled, Some(Phase::Cancelled)) => OrderNews::Cancelled,
            _ => OrderNews::Nothing,
        };
        // Of a completed order, what each rule is settled with says what is to be done.
        self.runs_rules = event.kind() != SourceType::OrderCompleted;
    }

    /// The order as it is, when rules on `order.completed` are to be asked about it once more.
    pub fn changed_order(&self) -> Option<Arc<Order>> {
        match self.order_news {
            OrderNews::Nothing | OrderNews::Completed | OrderNews::Cancelled => None,
            OrderNews::Changed(_) | OrderNews::Again => self.order.as_ref()?.order().cloned(),
        }
    }

    /// Up to where a rule on `order.completed` is settled with the order at hand; `None` when that is up to now.
    pub fn settled(&self, rule: &str) -> Option<Settled> {
        let failed = || self.order.as_ref().and_then(|record| record.settled(rule)).cloned();
        match &self.order_news {
            OrderNews::Nothing | OrderNews::Cancelled => None,
            OrderNews::Completed => Some(Settled::Never),
            OrderNews::Changed(before) => Some(failed().unwrap_or_else(|| Settled::UpTo(before.clone()))),
            OrderNews::Again => failed(),
        }
    }

    /// A rule on `order.completed` is settled with the order as it is.
    pub fn settled_now(&mut self, rule: &str) {
        self.order.iter_mut().for_each(|record| record.settled_now(rule));
    }

    /// A rule on `order.completed` failed, or had nothing to give; it was settled up to there.
    pub fn left_unsettled(&mut self, rule: &str, settled: Settled) {
        if let Some(record) = &mut self.order {
            record.left_unsettled(rule, settled);
        }
    }

    /// When the order at hand was completed; of one that does not count, when what is decided on happened.
    pub fn order_at(&self) -> Timestamp {
        let counted = self.order.as_ref().and_then(|record| record.counted);
        counted.map_or(self.at, |counted| counted.at)
    }

    /// Applies what a rule asks for a changed order beyond what it asks for the order as it was: the difference of
    /// points, to be moved by [`Draft::settle_order`], and what else is new. Nothing is deducted a second time. `None`
    /// when the rule has never been settled with the order.
    ///
    /// # Errors
    /// As for [`Draft::apply`].
    pub fn re_earn(
        &mut self,
        frame: Frame<'_>,
        was: Option<&[Action]>,
        is: RuleEffects,
    ) -> Result<(), Refusal> {
        let deducts = was.is_none();
        let was = was.unwrap_or_default();
        let (mut changes, mut steps, mut counts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (actions, sign) in [(&is.actions[..], 1), (was, -1)] {
            for action in actions {
                if let Action::Progress { achievement, amount } = action {
                    *steps.entry(achievement).or_insert(Decimal::ZERO) += Decimal::from(sign) * amount;
                }
                if let Action::Count { counter, amount } = action {
                    let count = counts.entry(counter).or_insert(0_i64);
                    *count = count.saturating_add(amount.saturating_mul(sign));
                }
                let Action::Award { wallet, amount, .. } = action else { continue };
                let wallet = frame.wallet(wallet.as_ref())?;
                let whole = wallet.rounding.whole(*amount).ok_or(Refusal::TooManyPoints)?;
                let (_, now, change) = changes.entry(&wallet.code).or_insert((wallet, 0, 0));
                *now += if sign > 0 { whole.0 } else { 0 };
                *change += sign * whole.0;
            }
        }
        let may_be_new = self.exhausted(frame.terms, &is.cause)?.is_none();
        let is_new = |action: &Action| match action {
            Action::Award { .. }
            | Action::TakeBack { .. }
            | Action::Progress { .. }
            | Action::Count { .. } => false,
            Action::Deduct { .. } => deducts && may_be_new,
            Action::Confirm { .. }
            | Action::SetTier(_)
            | Action::Mark(_)
            | Action::Recommend(_)
            | Action::Achieve(_)
            | Action::AssignCoupon(_)
            | Action::GiveReward(_)
            | Action::Reset(_)
            | Action::PutMark(_)
            | Action::TakeMark(_)
            | Action::Emit(_) => may_be_new && !was.contains(action),
        };
        let counts = counts.into_iter().filter(|(_, amount)| *amount != 0);
        let counts = counts.map(|(counter, amount)| Action::Count { counter: counter.clone(), amount });
        let actions = is.actions.iter().filter(|action| is_new(action)).cloned().chain(counts).collect();
        let effects = RuleEffects { cause: is.cause, actions };
        self.apply(frame, &effects)?;
        let Some(record) = &mut self.order else { return Ok(()) };
        let mut changed = record.clone();
        let mut asks = self.asks.clone();
        for (wallet, now, change) in changes.into_values() {
            let cause = frame.cause_in(wallet, &effects.cause);
            let origin = Origin { wallet: &wallet.code, campaign: cause.campaign.as_ref() };
            let untaken = changed.re_earn(origin, Points(change)).ok_or(Refusal::TooManyPoints)?;
            let asks: &mut Asks = asks.entry(wallet.code.clone()).or_default();
            (asks.now, asks.untaken) = (asks.now.saturating_add(now), asks.untaken.saturating_add(untaken.0));
        }
        self.asks = asks;
        steps.into_iter().for_each(|(achievement, change)| changed.report(achievement, change));
        *record = changed;
        Ok(())
    }

    /// All rules were asked about a changed order. What they ask for less and their campaigns did not give, something else
    /// gave: they belonged to another campaign then. It goes, as far as the order has more than all of them ask for.
    pub fn settle_what_others_gave(&mut self) {
        let (asks, news) = (std::mem::take(&mut self.asks), &self.order_news);
        let Some(record) = self.order.as_mut().filter(|_| matches!(news, OrderNews::Changed(_))) else {
            return;
        };
        for (wallet, Asks { now, untaken }) in asks {
            record.earned_too_much(&wallet, Points(now), Points(untaken));
        }
    }

    /// Moves what an order leaves with its member after it was completed, changed or cancelled: no rule could do that
    /// when a refund came before the order, and none needs to when the order itself says so.
    ///
    /// # Errors
    /// The balance would leave the range of points; nothing moved then, and all of it moves when that is run again.
    pub fn settle_order(&mut self, frame: Frame<'_>) -> Result<(), RuleFailure> {
        let reason = match &self.order_news {
            OrderNews::Nothing => return Ok(()),
            OrderNews::Completed => "refunded before the order came",
            OrderNews::Changed(_) => "order changed",
            OrderNews::Cancelled => "order cancelled",
            OrderNews::Again => "settled later",
        };
        let cause = frame.engine(reason);
        let reason = Note::parse(reason).unwrap_or_else(|_| unreachable!("a fixed text"));
        let settled = self.all_or_nothing(|draft| draft.settle(frame, &cause, &reason).map(drop));
        settled.map_err(|refusal| RuleFailure::of_engine(&cause, refusal))
    }

    /// Takes back the refunded share of what the order earned.
    pub(super) fn take_back(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        reason: &Note,
    ) -> Result<(), Refusal> {
        if self.source_kind() != Some(SourceType::OrderRefunded) || self.order.is_none() {
            return Err(Refusal::NoRefund);
        }
        if !self.settle(frame, cause, reason)? {
            self.line(cause, "take_back", Some((frame.wallet(None)?, Points::ZERO)), None);
        }
        Ok(())
    }

    /// Moves what the order's record says must move. Answers whether anything did.
    fn settle(&mut self, frame: Frame<'_>, cause: &Cause, reason: &Note) -> Result<bool, Refusal> {
        let moves = self.order.as_mut().map(OrderRecord::settle).unwrap_or_default();
        let moved = !moves.is_empty();
        for due in moves {
            let Due { wallet: code, campaign, change } = &due;
            let Some(wallet) = frame.terms.wallet(Some(code)) else {
                self.note(format!(
                    "{change} `{code}` would move, but program.toml has no such wallet any more"
                ));
                continue;
            };
            let cause = &Cause { campaign: campaign.clone(), ..cause.clone() };
            let movement =
                Movement { cause, wallet, amount: Points(change.0.abs()), reason: reason.shared() };
            match change.0 {
                ..0 => self.take(frame, movement, due.origin())?,
                _ => self.give(frame, movement, due.origin())?,
            }
        }
        Ok(moved)
    }

    /// Gives points that the order turns out to leave, as many as the wallet has room for and its campaign has left.
    fn give(&mut self, frame: Frame<'_>, movement: Movement<'_>, origin: Origin<'_>) -> Result<(), Refusal> {
        let Movement { cause, wallet, amount, .. } = movement;
        let room = self.room_for(wallet, amount);
        if let Some(record) = self.order.as_mut().filter(|_| room < amount) {
            record.fall_short(origin, Points(amount.0 - room.0));
        }
        let day = self.day_of_order();
        let left = self.cut_by_campaign(frame.terms, Movement { amount: room, ..movement }, day)?;
        if let Some(record) = self.order.as_mut().filter(|_| left < room) {
            record.cut(origin, Points(room.0 - left.0));
        }
        self.line(cause, "award", Some((wallet, left)), None);
        if left == Points::ZERO {
            return Ok(());
        }
        self.count_for_campaign(frame, cause, day, left.0);
        self.earn(frame, Movement { amount: left, ..movement })
    }

    fn take(&mut self, frame: Frame<'_>, movement: Movement<'_>, origin: Origin<'_>) -> Result<(), Refusal> {
        let Movement { cause, wallet, amount: due, .. } = movement;
        let taken = self.claw_back(frame, movement)?;
        self.count_for_campaign(frame, cause, self.day_of_order(), -taken.0);
        if taken < due {
            self.order.iter_mut().for_each(|record| record.let_go(origin, Points(due.0 - taken.0)));
            self.note(format!(
                "{taken} of {due} {} were taken back; the rest is spent and let go",
                wallet.plural
            ));
        }
        self.line(cause, "take_back", Some((wallet, taken)), None);
        Ok(())
    }
}
