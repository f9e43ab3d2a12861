//! A member's wallet: the balance, and the lots it is made of.
//!
//! A lot is what was earned with one expiry: amounts that are gone at the same instant are one lot, because nothing ever
//! tells them apart. So a wallet stays small however often its owner comes.

#[cfg(test)]
mod tests;

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::money::Points;
use super::packed::{Packed, Record};
use super::text::{Key, Name};

/// The most lots of a wallet, and the most amounts that wait in it. Expiry by days makes 366 a year.
pub const MAX_LOTS: usize = 400;
/// The first second of 2030: expiries of our time lie near it, and take few bytes.
const Y2030: i64 = 1_893_456_000;
/// Stands for no expiry.
const NEVER: i64 = i64::MAX;
/// The most amounts that wait to be spendable.
pub const MAX_PENDING: usize = 100;

/// What cannot be done to a wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WalletError {
    /// The balance would leave the range of points.
    #[error("the balance would pass {limit} points", limit = Points::LIMIT)]
    TooMany,
    /// Too many amounts wait.
    #[error("{MAX_PENDING} amounts wait to be confirmed already")]
    TooManyPending,
}

/// Points that are gone at the same instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    /// The first instant at which they are gone; `None` = never by themselves.
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How many are left; more than zero.
    #[serde(rename = "n")]
    pub remaining: Points,
}

/// By expiry, what never expires last.
impl Record for Lot {
    type Key = (bool, Option<Timestamp>);
    /// Seconds from the first of 2030 or [`NEVER`], microseconds of them, and points.
    type Numbers = (i64, u32, i64);

    fn key(&self) -> Self::Key {
        (self.expires_at.is_none(), self.expires_at)
    }

    fn numbers(&self) -> Self::Numbers {
        let (seconds, micros) =
            self.expires_at.map_or((NEVER, 0), |at| (at.timestamp() - Y2030, at.timestamp_subsec_micros()));
        (seconds, micros, self.remaining.0)
    }

    fn of((seconds, micros, remaining): Self::Numbers) -> Option<Self> {
        let at = || DateTime::from_timestamp(seconds.checked_add(Y2030)?, micros.checked_mul(1_000)?);
        let expires_at = if seconds == NEVER { None } else { Some(at()?) };
        Some(Self { expires_at, remaining: Points(remaining) })
    }
}

/// Points that cannot be spent yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// How many; more than zero.
    #[serde(rename = "n")]
    pub amount: Points,
    /// What ends the waiting.
    #[serde(rename = "w")]
    pub until: Until,
    /// When they were earned: their expiry counts from then on.
    #[serde(rename = "e")]
    pub earned_at: Timestamp,
    /// The order or event that earned them.
    #[serde(rename = "o")]
    pub origin: Key,
}

/// What ends the waiting of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// An instant.
    At(Timestamp),
    /// Somebody confirms their origin.
    Confirmed,
}

impl Until {
    /// When that is, if it is known.
    pub const fn instant(self) -> Option<Timestamp> {
        match self {
            Self::At(at) => Some(at),
            Self::Confirmed => None,
        }
    }
}

/// A member's balance in one currency.
///
/// The lots add up to the balance while that is above zero; below it there are none, and what comes next pays the
/// deficit first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wallet {
    /// What can be spent; below zero = a deficit.
    balance: Points,
    /// By expiry, the soonest first, what never expires last.
    #[serde(default, skip_serializing_if = "Packed::is_empty")]
    lots: Packed<Lot>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Waiting>,
    /// When something was last earned or spent, in a wallet that is emptied when unused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    /// The lots up to this expiry were announced as expiring soon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned_until: Option<Timestamp>,
}

impl Wallet {
    /// A wallet with this much that never expires.
    pub fn with(balance: Points) -> Self {
        let mut wallet = Self { balance, ..Self::default() };
        wallet.add(Lot { expires_at: None, remaining: balance });
        wallet
    }

    /// What can be spent; below zero = a deficit.
    pub const fn balance(&self) -> Points {
        self.balance
    }

    /// The lots, the soonest to expire first.
    pub fn lots(&self) -> impl Iterator<Item = Lot> {
        self.lots.iter()
    }

    /// The lots, as they are held.
    #[cfg(test)]
    pub(crate) fn packed_lots(&self) -> &[u8] {
        self.lots.bytes()
    }

    /// What cannot be spent yet, as it was earned.
    pub fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    /// How much cannot be spent yet.
    pub fn pending(&self) -> Points {
        Points(self.waiting.iter().map(|waiting| waiting.amount.0).sum())
    }

    /// How many more it may hold.
    pub fn room(&self) -> Points {
        Points(Points::LIMIT - self.balance.0)
    }

    /// Adds points that are gone at `expires_at`. A deficit is paid first.
    ///
    /// # Errors
    /// [`WalletError::TooMany`]; the wallet is then as before.
    pub fn credit(&mut self, amount: Points, expires_at: Option<Timestamp>) -> Result<(), WalletError> {
        let balance = self.balance.plus(amount).ok_or(WalletError::TooMany)?;
        let paid = Points((-self.balance.0).clamp(0, amount.0));
        self.balance = balance;
        self.add(Lot { expires_at, remaining: Points(amount.0 - paid.0) });
        Ok(())
    }

    fn add(&mut self, lot: Lot) {
        if lot.remaining <= Points::ZERO {
            return;
        }
        let mut is_new = false;
        self.lots.change(lot.key(), |held| {
            is_new = held.is_none();
            Some(Lot { remaining: Points(lot.remaining.0 + held.map_or(0, |held| held.remaining.0)), ..lot })
        });
        if is_new && self.lots.iter().nth(MAX_LOTS).is_some() {
            self.join_soonest();
        }
    }

    /// Makes one lot of the two that expire first, with the later expiry: to the guest's favour, and nothing is lost.
    fn join_soonest(&mut self) {
        let mut first = None;
        self.lots.use_up(|lot| match first {
            None => {
                first = Some(lot);
                None
            }
            Some(first) => Some(Lot { remaining: Points(first.remaining.0 + lot.remaining.0), ..lot }),
        });
    }

    /// Takes points, those that expire soonest first; what there is not becomes a deficit. Answers the lots they came
    /// from, so that they can be put back.
    ///
    /// # Errors
    /// [`WalletError::TooMany`] when the deficit would be too large; the wallet is then as before.
    pub fn debit(&mut self, amount: Points) -> Result<Vec<Lot>, WalletError> {
        let balance = self.balance.plus(Points(-amount.0)).ok_or(WalletError::TooMany)?;
        let mut left = amount.0;
        let mut drawn = Vec::new();
        self.lots.use_up(|lot| {
            let taken = left.min(lot.remaining.0);
            if taken > 0 {
                drawn.push(Lot { remaining: Points(taken), ..lot });
            }
            left -= taken;
            let rest = Points(lot.remaining.0 - taken);
            (rest > Points::ZERO).then_some(Lot { remaining: rest, ..lot })
        });
        self.balance = balance;
        Ok(drawn)
    }

    /// Puts points back into the lots they came from, as many as there is room for. Answers how many.
    pub fn put_back(&mut self, drawn: &[Lot]) -> Points {
        let mut back = 0;
        for lot in drawn {
            let amount = lot.remaining.min(self.room());
            if self.credit(amount, lot.expires_at).is_ok() {
                back += amount.0;
            }
        }
        Points(back)
    }

    /// Takes everything over that another wallet holds: lots with their expiry, a deficit, what waits.
    ///
    /// # Errors
    /// It is too much for one wallet; this one may then be half changed.
    pub fn join(&mut self, other: &Self) -> Result<(), WalletError> {
        other.lots.iter().try_for_each(|lot| self.credit(lot.remaining, lot.expires_at))?;
        if other.balance < Points::ZERO {
            self.debit(Points(-other.balance.0))?;
        }
        other.waiting.iter().try_for_each(|waiting| self.wait(waiting.clone()))?;
        self.used_at = self.used_at.max(other.used_at);
        if !other.lots.is_empty() {
            // Rather warned of twice than not at all.
            self.warned_until = self.warned_until.min(other.warned_until);
        }
        Ok(())
    }

    /// Takes out what of it is somebody else's, less what was `spent` of it; a deficit of theirs goes with it.
    ///
    /// # Errors
    /// A balance would leave the range of points; both may then be half changed.
    pub fn part(&mut self, theirs: &Self, spent: Points) -> Result<Self, WalletError> {
        let mut out = Self { used_at: self.used_at, warned_until: theirs.warned_until, ..Self::default() };
        for waits in &theirs.waiting {
            if let Some(at) = self.waiting.iter().rposition(|waiting| waiting == waits) {
                out.waiting.push(self.waiting.remove(at));
            }
        }
        let owed = Points(-theirs.balance.0.min(0));
        self.credit(owed, None)?;
        out.debit(owed)?;
        let mut left = (theirs.balance.0 - spent.0).max(0);
        for lot in theirs.lots.iter() {
            let taken = self.take_from(lot.expires_at, lot.remaining.min(Points(left)));
            out.credit(taken, lot.expires_at)?;
            left -= taken.0;
        }
        // What expires soonest is spent first, whose-ever it is: then other lots make up for theirs.
        for lot in self.debit(Points(left))? {
            out.credit(lot.remaining, lot.expires_at)?;
            left -= lot.remaining.0;
        }
        out.credit(Points(left), theirs.lots.iter().next_back().and_then(|lot| lot.expires_at))?;
        Ok(out)
    }

    /// Takes up to `amount` from the lot that is gone at `expires_at`; answers how much there was.
    fn take_from(&mut self, expires_at: Option<Timestamp>, amount: Points) -> Points {
        let mut taken = Points::ZERO;
        let left = self.lots.iter().filter_map(|lot| {
            if lot.expires_at != expires_at {
                return Some(lot);
            }
            taken = amount.min(lot.remaining);
            let rest = Points(lot.remaining.0 - taken.0);
            (rest > Points::ZERO).then_some(Lot { remaining: rest, ..lot })
        });
        self.lots = left.collect();
        self.balance.0 -= taken.0;
        taken
    }

    /// Removes the lots that are gone at `now`; answers how many points that were.
    pub fn expire(&mut self, now: Timestamp) -> Points {
        let mut gone = 0;
        self.lots.use_up(|lot| {
            let is_over = lot.expires_at.is_some_and(|at| at <= now);
            gone += if is_over { lot.remaining.0 } else { 0 };
            (!is_over).then_some(lot)
        });
        self.balance.0 -= gone;
        Points(gone)
    }

    /// Removes everything that can be spent; answers how much it was.
    pub fn empty(&mut self) -> Points {
        let gone = self.balance.0.max(0);
        self.lots = Packed::default();
        self.balance.0 -= gone;
        Points(gone)
    }

    /// How many points expire by `now`.
    pub fn over_at(&self, now: Timestamp) -> Points {
        let over = self.lots.iter().take_while(|lot| lot.expires_at.is_some_and(|at| at <= now));
        Points(over.map(|lot| lot.remaining.0).sum())
    }

    /// When the next lot is gone, and how much of it there is.
    pub fn next_expiry(&self) -> Option<(Timestamp, Points)> {
        let first = self.lots.iter().next()?;
        first.expires_at.map(|at| (at, first.remaining))
    }

    /// Keeps points that cannot be spent yet. What the same thing earned at the same instant waits together.
    ///
    /// # Errors
    /// [`WalletError::TooManyPending`].
    pub fn wait(&mut self, waiting: Waiting) -> Result<(), WalletError> {
        let same = |held: &&mut Waiting| {
            (&held.origin, held.until, held.earned_at) == (&waiting.origin, waiting.until, waiting.earned_at)
        };
        if let Some(held) = self.waiting.iter_mut().find(same) {
            held.amount = held.amount.plus(waiting.amount).ok_or(WalletError::TooMany)?;
            return Ok(());
        }
        if self.waiting.len() >= MAX_PENDING {
            return Err(WalletError::TooManyPending);
        }
        self.waiting.push(waiting);
        Ok(())
    }

    /// Ends the waiting of what `ends` says, and hands it out to be credited.
    pub fn release(&mut self, mut ends: impl FnMut(&Waiting) -> bool) -> Vec<Waiting> {
        self.waiting.extract_if(.., |waiting| ends(waiting)).collect()
    }

    /// Takes up to `amount` of what waits because of `origin`: a refund takes back what was never spendable first.
    /// Answers how much was taken.
    pub fn take_waiting(&mut self, origin: &Key, amount: Points) -> Points {
        let mut left = amount.0;
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.origin == *origin) {
            let taken = left.min(waiting.amount.0);
            waiting.amount.0 -= taken;
            left -= taken;
        }
        self.waiting.retain(|waiting| waiting.amount > Points::ZERO);
        Points(amount.0 - left)
    }

    /// When the first of what waits for an instant can be spent.
    pub fn next_release(&self) -> Option<Timestamp> {
        self.waiting.iter().filter_map(|waiting| waiting.until.instant()).min()
    }
}

/// All wallets of a member, in the order of the program that met them first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wallets(Vec<Named>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    code: Name,
    #[serde(flatten)]
    wallet: Wallet,
}

impl Wallets {
    /// Only this wallet.
    pub fn only(code: Name, wallet: Wallet) -> Self {
        Self(vec![Named { code, wallet }])
    }

    /// The program's first wallet.
    pub fn first(&self) -> Option<&Wallet> {
        self.0.first().map(|first| &first.wallet)
    }

    /// Balance of the first wallet.
    pub fn points(&self) -> Points {
        self.first().map_or(Points::ZERO, Wallet::balance)
    }

    /// The same wallets with nothing in them.
    pub fn emptied(&self) -> Self {
        let empty = |named: &Named| Named { code: named.code.clone(), wallet: Wallet::default() };
        Self(self.0.iter().map(empty).collect())
    }

    /// All of them, with their codes.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Wallet)> {
        self.0.iter().map(|named| (&named.code, &named.wallet))
    }

    /// The wallet of this code, once anything was in it.
    pub fn get(&self, code: &str) -> Option<&Wallet> {
        self.0.iter().find(|named| *named.code == *code).map(|named| &named.wallet)
    }

    /// The wallet of this code, empty so far if need be.
    pub fn open(&mut self, code: &Name) -> &mut Wallet {
        let at = self.0.iter().position(|named| named.code == *code).unwrap_or_else(|| {
            self.insert(self.0.len(), code);
            self.0.len() - 1
        });
        &mut self.0[at].wallet
    }

    /// Brings the wallets into the program's order, so that the first is the program's first.
    pub fn arrange<'a>(&mut self, codes: impl Iterator<Item = &'a Name>) {
        for (place, code) in codes.enumerate() {
            match self.0.iter().position(|named| named.code == *code) {
                Some(at) if at == place => {}
                Some(at) => self.0[place.min(at)..=at].rotate_right(1),
                None => self.insert(place.min(self.0.len()), code),
            }
        }
    }

    /// An empty one. Nobody gets more of them than the program has, so no room is kept for further ones.
    fn insert(&mut self, at: usize, code: &Name) {
        self.0.reserve_exact(1);
        self.0.insert(at, Named { code: code.clone(), wallet: Wallet::default() });
    }
}
