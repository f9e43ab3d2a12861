//! Points that come and go.

use super::{Draft, Frame, Occasion, Refusal};
use crate::domain::Timestamp;
use crate::domain::achievement::Brought;
use crate::domain::effect::Cause;
use crate::domain::ids::{MemberId, TransferId};
use crate::domain::ledger::{Account, ChainAccount, Transfer};
use crate::domain::loyalty_event::{EventData, PointsMoved, PointsPending};
use crate::domain::money::Points;
use crate::domain::order::Origin;
use crate::domain::source_event::SourceType;
use crate::domain::terms::wallet::{Overdraft, Pending, WalletTerms};
use crate::domain::text::{Key, Name, Note};
use crate::domain::wallet::{Lot, Until, Waiting, Wallet, WalletError};
use chrono::Duration;
use rust_decimal::Decimal;
use smol_str::SmolStr;

/// Points on their way: where, how many and why.
#[derive(Debug, Clone, Copy)]
pub(super) struct Movement<'a> {
    pub(super) cause: &'a Cause,
    pub(super) wallet: &'a WalletTerms,
    /// More than zero.
    pub(super) amount: Points,
    pub(super) reason: &'a SmolStr,
}

/// From where to where, and in whose history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) member: MemberId,
    pub(super) wallet: &'a Name,
    pub(super) debit: Account,
    pub(super) credit: Account,
}

/// The wallet meant, and the points in it that an amount comes to; `None` when that is none.
fn whole<'a>(
    frame: Frame<'a>,
    code: Option<&Name>,
    amount: Decimal,
) -> Result<Option<(&'a WalletTerms, Points)>, Refusal> {
    let wallet = frame.wallet(code)?;
    let whole = wallet.rounding.whole(amount).ok_or(Refusal::TooManyPoints)?;
    Ok((whole != Points::ZERO).then_some((wallet, whole)))
}

impl Draft {
    /// Gives points; those for an order are remembered with it, so that a refund can take them back. What rules give on
    /// what was told is no order's.
    pub(super) fn award(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        (code, amount, reason): (Option<&Name>, Decimal, &Note),
    ) -> Result<(), Refusal> {
        let Some((wallet, whole)) = whole(frame, code, amount)? else { return Ok(()) };
        let cause = &*frame.cause_in(wallet, cause);
        let earned = self.room_for(wallet, whole);
        let is_of_order = self.reacts_to.is_none() && self.source_kind() == Some(SourceType::OrderCompleted);
        let is_earned_by_order = is_of_order && earned > Points::ZERO;
        let origin = Origin { wallet: &wallet.code, campaign: cause.campaign.as_ref() };
        let wished = match self.order.as_ref().filter(|_| is_earned_by_order) {
            Some(order) => order.would_give(origin, earned).ok_or(Refusal::TooManyPoints)?,
            None => earned,
        };
        let day = self.day_of_rules();
        let (amount, limit) = self.cut(frame.terms, cause, (wished, day))?;
        if amount > Points::ZERO {
            self.earn(frame, Movement { cause, wallet, amount, reason: reason.shared() })?;
        }
        // Nothing fails from here on.
        self.note_cut(cause, (amount, wished), limit);
        if let Some(order) = self.order.as_mut().filter(|_| is_earned_by_order) {
            order.earn(origin, earned);
            order.cut(origin, Points(wished.0 - amount.0));
        }
        self.line(cause, "award", Some((wallet, amount)), None);
        if amount == Points::ZERO {
            return Ok(());
        }
        self.count_for_campaign(frame, cause, day, amount.0);
        if self.reacts_to.is_some() {
            let brought = Brought::Points { wallet: wallet.code.clone(), points: amount };
            self.remember_in_reaction(&brought);
        }
        Ok(())
    }

    /// As much of `amount` as the wallet may still hold.
    pub(super) fn room_for(&self, wallet: &WalletTerms, amount: Points) -> Points {
        let Some(most) = wallet.max_balance else { return amount };
        let has = self.member.standing.wallets.get(&wallet.code);
        let has = has.map_or(0, |wallet| wallet.balance().0 + wallet.pending().0);
        Points(amount.0.min((most.0 - has).max(0)))
    }

    /// Points earned, to be spent at once or later, as the wallet says.
    pub(super) fn earn(&mut self, frame: Frame<'_>, movement: Movement<'_>) -> Result<(), Refusal> {
        let Movement { wallet, amount, reason, .. } = movement;
        let until = match wallet.pending {
            Pending::No => {
                let mut moved = self.credit(frame, movement, ChainAccount::Issued)?;
                self.hand_on(wallet, amount, |held| held.credit(amount, moved.expires_at))?;
                moved.order_id = self.order_at_hand();
                self.told.push(EventData::PointsEarned(moved));
                return Ok(());
            }
            Pending::Days(days) => Until::At(self.at + Duration::days(days.into())),
            Pending::Confirmation => Until::Confirmed,
        };
        let waiting = Waiting { amount, until, earned_at: self.at, origin: self.origin() };
        self.hand_on(wallet, amount, |held| held.wait(waiting.clone()))?;
        self.member.standing.wallets.open(&wallet.code).wait(waiting)?;
        self.book(movement, Account::Chain(ChainAccount::Issued), Account::Pending(self.member.id));
        self.told.push(EventData::PointsPending(PointsPending {
            amount,
            wallet: wallet.code.clone(),
            reason: reason.clone(),
            available_at: until.instant(),
            order_id: self.order_at_hand(),
        }));
        Ok(())
    }

    /// What comes for an order of somebody whom the member has absorbed is theirs; but not what rules give on what was told.
    fn hand_on(
        &mut self,
        wallet: &WalletTerms,
        amount: Points,
        change: impl Fn(&mut Wallet) -> Result<(), WalletError>,
    ) -> Result<(), Refusal> {
        let today = self.today;
        if self.reacts_to.is_none() {
            for theirs in self.theirs() {
                change(theirs.wallet(&wallet.code))?;
                theirs.count_earned(wallet, today, amount);
            }
        }
        Ok(())
    }

    /// Points whose waiting ends, at `at`, can be spent from then on; their expiry counts from when they were earned.
    /// What there is no room for is gone: it must not keep the member from being decided on.
    pub(super) fn release(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        (wallet, at): (&WalletTerms, Timestamp),
        ends: impl FnMut(&Waiting) -> bool,
    ) -> Result<(), Refusal> {
        let from = Account::Pending(self.member.id);
        for waiting in self.member.standing.wallets.open(&wallet.code).release(ends) {
            let room = self.member.standing.wallets.open(&wallet.code).room().min(waiting.amount);
            let movement = Movement { cause, wallet, amount: room, reason: &cause.rule };
            if room > Points::ZERO {
                let moved = self.credit_from(frame, movement, from, (waiting.earned_at, at))?;
                self.told.push(EventData::PointsEarned(moved));
            }
            if room < waiting.amount {
                let amount = Points(waiting.amount.0 - room.0);
                self.book(Movement { amount, ..movement }, from, Account::Chain(ChainAccount::Expired));
                self.told.push(EventData::PointsExpired(PointsMoved {
                    amount,
                    taken: false,
                    wallet: wallet.code.clone(),
                    new_balance: self.balance(wallet),
                    reason: "no room for more points".into(),
                    expires_at: None,
                    order_id: None,
                }));
            }
        }
        Ok(())
    }

    /// What something earned and waits can be spent from now on, in whatever wallet.
    pub(super) fn confirm(&mut self, frame: Frame<'_>, cause: &Cause, origin: &Key) -> Result<(), Refusal> {
        for wallet in &frame.terms.wallets {
            let held = |draft: &Self| {
                draft.member.standing.wallets.get(&wallet.code).map_or(Points::ZERO, |held| held.pending())
            };
            let before = held(self);
            let is_it = |waiting: &Waiting| waiting.origin == *origin;
            self.release(frame, cause, (wallet, self.at), is_it)?;
            self.desk.tombstones.release(wallet, frame.timezone, is_it)?;
            let released = Points(before.0 - held(self).0);
            if released > Points::ZERO {
                self.line(cause, "confirm", Some((wallet, released)), None);
            }
        }
        Ok(())
    }

    /// The order that is decided on, if any is.
    pub(super) fn order_at_hand(&self) -> Option<Key> {
        match &self.occasion {
            Occasion::Source(input) => input.event.data.order_id().cloned(),
            Occasion::Tick { .. } | Occasion::Due { .. } => None,
        }
    }

    /// What earned points are remembered by: the order, else the source event.
    fn origin(&self) -> Key {
        match &self.occasion {
            Occasion::Source(input) => input.event.data.order_id().unwrap_or(&input.event.key).clone(),
            Occasion::Tick { id, .. } | Occasion::Due { id } => {
                Key::parse(&id.to_string()).unwrap_or_else(|_| unreachable!("a ULID makes a key"))
            }
        }
    }

    /// Takes points, as far as there are any.
    pub(super) fn deduct(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        (code, amount, reason): (Option<&Name>, Decimal, &Note),
    ) -> Result<(), Refusal> {
        let Some((wallet, whole)) = whole(frame, code, amount)? else { return Ok(()) };
        let amount = Points(whole.0.min(self.balance(wallet).0.max(0)));
        if amount > Points::ZERO {
            let (mut moved, _) = self
                .debit(Movement { cause, wallet, amount, reason: reason.shared() }, ChainAccount::Deducted)?;
            moved.order_id = self.order_at_hand();
            self.told.push(EventData::PointsDeducted(moved));
        }
        self.line(cause, "deduct", Some((wallet, amount)), None);
        Ok(())
    }

    /// Takes back points that the order at hand earned: first what waits, then what can be spent, and beyond it as the
    /// program and the wallet allow. What is let go is let go for good. Answers how many points were taken.
    pub(super) fn claw_back(&mut self, frame: Frame<'_>, movement: Movement<'_>) -> Result<Points, Refusal> {
        let Movement { wallet, amount, .. } = movement;
        let origin = self.origin();
        let waited = self.member.standing.wallets.open(&wallet.code).take_waiting(&origin, amount);
        if waited > Points::ZERO {
            let (pending, chain) =
                (Account::Pending(self.member.id), Account::Chain(ChainAccount::ClawedBack));
            self.book(Movement { amount: waited, ..movement }, pending, chain);
            self.theirs().for_each(|theirs| _ = theirs.wallet(&wallet.code).take_waiting(&origin, waited));
        }
        let owner = self.order.as_ref().and_then(|order| order.member);
        self.reclaim(frame, movement, waited, owner)
    }

    /// Takes points back that were given, beyond those of them that `waited` and are taken already; as far as the
    /// program and the wallet allow. What is let go is let go for good. If `owner`, whose points they were, was
    /// absorbed by the member, they go off what is theirs. Answers how many points were taken in all.
    pub(super) fn reclaim(
        &mut self,
        frame: Frame<'_>,
        movement: Movement<'_>,
        waited: Points,
        owner: Option<MemberId>,
    ) -> Result<Points, Refusal> {
        let Movement { wallet, amount, reason, .. } = movement;
        let balance = self.balance(wallet);
        let there_is = self.desk.tombstones.left_of(&self.member, owner, &wallet.code);
        let left = frame.terms.refunds.clawback.taken(Points(amount.0 - waited.0), there_is);
        let left = match wallet.overdraft {
            Overdraft::Allowed => left,
            Overdraft::Refused => left.min(there_is.max(Points::ZERO)),
        };
        let new_balance = match left > Points::ZERO {
            true => {
                self.debit(Movement { amount: left, ..movement }, ChainAccount::ClawedBack)?.0.new_balance
            }
            false => balance,
        };
        let amount = Points(waited.0 + left.0);
        let day = self.order.as_ref().and_then(|order| order.day).unwrap_or(self.today);
        for theirs in self.desk.tombstones.line(owner) {
            theirs.wallet(&wallet.code).debit(left)?;
            theirs.count_earned(wallet, day, Points(-amount.0));
        }
        if amount > Points::ZERO {
            let (wallet, reason) = (wallet.code.clone(), reason.clone());
            let order_id = self.order_at_hand();
            let moved =
                PointsMoved { amount, taken: false, wallet, new_balance, reason, expires_at: None, order_id };
            self.told.push(EventData::PointsClawedBack(moved));
        }
        Ok(amount)
    }

    /// What the member can spend.
    pub(super) fn balance(&self, wallet: &WalletTerms) -> Points {
        self.member.standing.wallets.get(&wallet.code).map_or(Points::ZERO, |wallet| wallet.balance())
    }

    /// Points that come, to be spent at once.
    pub(super) fn credit(
        &mut self,
        frame: Frame<'_>,
        movement: Movement<'_>,
        from: ChainAccount,
    ) -> Result<PointsMoved, Refusal> {
        self.credit_from(frame, movement, Account::Chain(from), (self.at, self.at))
    }

    /// Points that come from any account; their expiry counts from when they were earned, the wallet is used when they
    /// come.
    pub(super) fn credit_from(
        &mut self,
        frame: Frame<'_>,
        movement: Movement<'_>,
        from: Account,
        (earned_at, comes_at): (Timestamp, Timestamp),
    ) -> Result<PointsMoved, Refusal> {
        let Movement { wallet, amount, reason, .. } = movement;
        let expires_at = wallet.expiry.of(earned_at, frame.timezone);
        let held = self.member.standing.wallets.open(&wallet.code);
        held.credit(amount, expires_at)?;
        held.used_at = wallet.expiry.when_used(comes_at, held.used_at);
        let new_balance = held.balance();
        self.book(movement, from, Account::Member(self.member.id));
        let wallet = wallet.code.clone();
        let reason = reason.clone();
        Ok(PointsMoved { amount, taken: false, wallet, new_balance, reason, expires_at, order_id: None })
    }

    /// Points that go; answers the lots they came from.
    pub(super) fn debit(
        &mut self,
        movement: Movement<'_>,
        to: ChainAccount,
    ) -> Result<(PointsMoved, Vec<Lot>), Refusal> {
        let Movement { wallet, amount, reason, .. } = movement;
        if to != ChainAccount::ClawedBack {
            self.desk.tombstones.spend(&mut self.member, &wallet.code, amount);
        }
        let held = self.member.standing.wallets.open(&wallet.code);
        let drawn = held.debit(amount)?;
        held.used_at = wallet.expiry.when_used(self.at, held.used_at);
        let new_balance = held.balance();
        self.book(movement, Account::Member(self.member.id), Account::Chain(to));
        let wallet = wallet.code.clone();
        let reason = reason.clone();
        Ok((
            PointsMoved {
                amount,
                taken: false,
                wallet,
                new_balance,
                reason,
                expires_at: None,
                order_id: None,
            },
            drawn,
        ))
    }

    /// Writes the line of a movement into the ledger.
    pub(super) fn book(&mut self, movement: Movement<'_>, debit: Account, credit: Account) {
        let line = Line { member: self.member.id, wallet: &movement.wallet.code, debit, credit };
        self.write_line(line, movement.amount, movement.cause, movement.reason);
    }

    /// Writes any line into the ledger.
    pub(super) fn write_line(&mut self, line: Line<'_>, amount: Points, cause: &Cause, reason: &SmolStr) {
        self.transfers.push(Transfer {
            id: TransferId::derived(self.cause_id(), self.transfers.len() as u32),
            previous: None, // known when the decision is finished
            member: line.member,
            wallet: line.wallet.clone(),
            debit: line.debit,
            credit: line.credit,
            amount,
            cause: cause.clone(),
            reason: reason.clone(),
            source: match &self.occasion {
                Occasion::Source(input) => Some(input.id),
                Occasion::Tick { .. } | Occasion::Due { .. } => None,
            },
            at: self.now,
        });
    }
}
