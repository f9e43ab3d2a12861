//! What falls due by itself: deadlines that the member carries.
//!
//! Whatever is decided, what fell due before it happens first: a guest who orders a second after their points expired
//! orders without them, whether or not the scheduler came to it.

use chrono::Duration;

use super::points::Movement;
use super::{Draft, Frame, Occasion, Refusal};
use crate::domain::Timestamp;
use crate::domain::celebration;
use crate::domain::ledger::{Account, ChainAccount};
use crate::domain::loyalty_event::{EventData, ExpiringSoon, PointsMoved};
use crate::domain::money::Points;
use crate::domain::terms::wallet::WalletTerms;
use crate::domain::wallet::{Until, Waiting, Wallet};

impl Draft {
    /// Does what is due at `now`.
    pub(super) fn catch_up(&mut self, frame: Frame<'_>) -> Result<(), Refusal> {
        self.catch_up_on_tier(frame);
        self.break_streaks(frame);
        self.expire_referral(frame);
        self.abandon_carts(frame);
        for wallet in &frame.terms.wallets {
            let held = self.member.standing.wallets.get(&wallet.code);
            let due = held.and_then(|held| due_in(held, wallet, frame));
            if due.is_some_and(|due| due <= self.now) {
                self.end_waiting(frame, wallet)?;
                self.expire_due(frame, wallet, self.now);
                self.warn_of_expiry(frame, wallet);
            }
            // What is due of theirs may be the survivor's no more, or have been due before they came to the desk.
            let is_over = |waiting: &Waiting| matches!(waiting.until, Until::At(at) if at <= self.now);
            self.desk.tombstones.release(wallet, frame.timezone, is_over)?;
            self.desk.tombstones.expire(&mut self.member, &wallet.code, self.now);
        }
        self.expire_redemptions(frame)
    }

    /// Releases what has waited long enough, one instant after the other: what was gone by then is gone, however late
    /// the engine comes to it.
    fn end_waiting(&mut self, frame: Frame<'_>, wallet: &WalletTerms) -> Result<(), Refusal> {
        let cause = frame.engine("the waiting is over");
        let next = |draft: &mut Self| draft.member.standing.wallets.open(&wallet.code).next_release();
        while let Some(end) = next(self).filter(|end| *end <= self.now) {
            self.expire_due(frame, wallet, end);
            let is_over = |waiting: &Waiting| matches!(waiting.until, Until::At(at) if at <= end);
            self.release(frame, &cause, (wallet, end), is_over)?;
            self.desk.tombstones.release(wallet, frame.timezone, is_over)?;
        }
        Ok(())
    }

    /// Points that were not used in time, by `now`.
    pub(super) fn expire_due(&mut self, frame: Frame<'_>, wallet: &WalletTerms, now: Timestamp) {
        self.desk.tombstones.expire(&mut self.member, &wallet.code, now);
        let held = self.member.standing.wallets.open(&wallet.code);
        let mut amount = held.expire(now);
        if wallet.unused_at(held, frame.timezone).is_some_and(|at| at <= now) {
            amount.0 += held.empty().0;
            held.used_at = None;
            self.desk.tombstones.empty(&mut self.member, &wallet.code);
        }
        if amount == Points::ZERO {
            return;
        }
        let new_balance = self.balance(wallet);
        let cause = frame.engine("not used in time");
        let movement = Movement { cause: &cause, wallet, amount, reason: &cause.rule };
        let chain = Account::Chain(ChainAccount::Expired);
        self.book(movement, Account::Member(self.member.id), chain);
        self.told.push(EventData::PointsExpired(PointsMoved {
            amount,
            taken: false,
            wallet: wallet.code.clone(),
            new_balance,
            reason: cause.rule.clone(),
            expires_at: None,
            order_id: None,
        }));
    }

    /// Tells of every lot once, so many days before it is gone.
    fn warn_of_expiry(&mut self, frame: Frame<'_>, wallet: &WalletTerms) {
        let Some(ahead) = warning_time(wallet) else { return };
        let held = self.member.standing.wallets.open(&wallet.code);
        let unused = wallet.unused_at(held, frame.timezone).map(|at| (at, held.balance()));
        let lots = held.lots().filter_map(|lot| lot.expires_at.map(|at| (at, lot.remaining)));
        let soon: Vec<_> = lots
            .chain(unused)
            .filter(|(at, amount)| {
                *amount > Points::ZERO
                    && *at - ahead <= self.now
                    && held.warned_until.is_none_or(|until| *at > until)
            })
            .collect();
        let balance = held.balance();
        held.warned_until = soon.iter().map(|(at, _)| *at).max().or(held.warned_until);
        for (expires_at, amount) in soon {
            let wallet = wallet.code.clone();
            self.told.push(EventData::PointsExpiringSoon(ExpiringSoon {
                amount,
                wallet,
                expires_at,
                balance,
            }));
        }
    }

    /// Sets the member's next wake-up: at the next tick of the schedule or the member's own next deadline. Ticks that
    /// fell due and were not run yet keep their alarm.
    pub fn arm(&mut self, frame: Frame<'_>, next_tick: Option<Timestamp>) {
        let overdue = match &self.occasion {
            Occasion::Tick { then, .. } => *then,
            Occasion::Source(_) => self.member.next_wake_at.filter(|at| *at <= self.now),
            Occasion::Due { .. } => None,
        };
        let tick = overdue.or(next_tick);
        self.member.next_wake_at = tick.into_iter().chain(self.next_deadline(frame)).min();
    }

    /// When the first of the member's own deadlines comes.
    fn next_deadline(&self, frame: Frame<'_>) -> Option<Timestamp> {
        let held = |wallet: &WalletTerms| {
            self.member.standing.wallets.get(&wallet.code).and_then(|held| due_in(held, wallet, frame))
        };
        let celebration = celebration::next(&self.member, frame.terms.celebrations, frame.timezone);
        // One that is late is told at once; but an alarm in the past would have the ticks since then run again.
        let celebration = celebration.map(|at| at.max(self.now + Duration::microseconds(1)));
        let redemption = self.member.standing.redemptions.next_expiry();
        let others = [
            self.tier_deadline(frame),
            celebration,
            redemption,
            self.cart_deadline(frame),
            self.streak_deadline(frame),
            self.referral_deadline(frame),
        ];
        frame.terms.wallets.iter().filter_map(held).chain(others.into_iter().flatten()).min()
    }
}

/// When something next falls due in a wallet.
fn due_in(held: &Wallet, wallet: &WalletTerms, frame: Frame<'_>) -> Option<Timestamp> {
    let unused = wallet.unused_at(held, frame.timezone);
    let gone = held.next_expiry().map(|(at, _)| at);
    let warning = warning_time(wallet).and_then(|ahead| {
        let unwarned = |at: &Timestamp| held.warned_until.is_none_or(|until| *at > until);
        let expiries = held.lots().filter_map(|lot| lot.expires_at).chain(unused);
        expiries.filter(unwarned).min().map(|at| at - ahead)
    });
    [held.next_release(), gone, unused, warning].into_iter().flatten().min()
}

/// How long before its end a lot is announced.
fn warning_time(wallet: &WalletTerms) -> Option<Duration> {
    wallet.warn_days.map(|days| Duration::days(days.into()))
}
