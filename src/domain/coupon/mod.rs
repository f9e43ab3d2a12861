//! Coupons: codes that are worth something, to somebody, so often, for a while.
//!
//! Pure: [`Stake::play`] takes what is known and gives what becomes of it, or says by name why not. A coupon is shared
//! by everybody who knows its code; what one member did with it is kept apart ([`Holding`], [`Tally`]), so that a code
//! which a million guests use stays as small as any.

mod book;
mod code;
mod command;
mod desk;
mod purse;
mod rejection;
#[cfg(test)]
mod tests;
mod told;

use chrono::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::ids::{CouponBookKey, CouponUsageKey, MemberId};

pub use book::{
    Attributes, BadBook, BadDiscount, BadLimit, BadSpan, BookDetails, BookType, CouponBook, Discount,
    DiscountType, Limit, Limits, MOST_ENTRIES, RevertOn, Span,
};
pub use code::{BadCode, CouponCode};
pub use command::{AssignBody, CouponCommand, CouponTask, book_called};
pub use desk::{Card, CouponChanges, Desk, Played, Shelf, Wanted};
pub use purse::{MOST_BOOKS_ASKED, MOST_HELD, NoAnswer, Purse};
pub use rejection::Rejection;
pub use told::{BookFace, CouponFace, CouponMoved, Telling, UsageFace};

/// The most reservations of one code at once; so many open checkouts of a code that anybody may use are enough.
pub const MOST_RESERVATIONS: usize = 200;
/// The longest that a coupon can be reserved: a forgotten checkout must not keep it for ever.
pub const LONGEST_RESERVATION: Duration = Duration::hours(24);

/// One code, shared by everybody who knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Coupon {
    /// The code.
    pub code: CouponCode,
    /// The book it belongs to.
    pub book: CouponBookKey,
    /// When it was made or uploaded.
    pub created_at: Timestamp,
    /// When anything was last done with it.
    pub updated_at: Timestamp,
    /// When it stops being good, whatever the book says.
    pub expires_at: Option<Timestamp>,
    /// How often it was used, less what was reverted.
    pub total_usages: u32,
    /// How often it was assigned.
    pub total_assigned: u32,
    /// Who keeps a use of it for how long.
    pub reservations: Vec<Reservation>,
    /// What the chain keeps beside.
    pub custom_attributes: Attributes,
    /// Counts writes; a commit names the version it was decided from. 0 = not stored yet.
    pub version: i64,
}

impl Coupon {
    /// A coupon that nobody has touched yet.
    pub const fn fresh(code: CouponCode, book: CouponBookKey, now: Timestamp) -> Self {
        Self {
            code,
            book,
            created_at: now,
            updated_at: now,
            expires_at: None,
            total_usages: 0,
            total_assigned: 0,
            reservations: Vec::new(),
            custom_attributes: Attributes::new(),
            version: 0,
        }
    }
}

impl Coupon {
    /// Whether nobody has it or had it.
    pub const fn is_nobodys(&self) -> bool {
        self.total_usages == 0 && self.total_assigned == 0
    }

    /// Until when anybody keeps it.
    pub fn reserved_until(&self) -> Option<Timestamp> {
        self.reservations.iter().map(|reservation| reservation.until).max()
    }

    /// Whether it can be given to anybody now.
    pub fn is_free(&self, now: Timestamp) -> bool {
        self.is_nobodys() && self.reserved_until().is_none_or(|until| until <= now)
    }
}

/// A use of a coupon that is kept for one member until an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reservation {
    /// For whom.
    pub member: MemberId,
    /// Until when.
    pub until: Timestamp,
}

/// What one member has of one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holding {
    /// How often it was assigned to them.
    pub assigned: u32,
    /// How often they used it, less what was reverted.
    pub used: u32,
    /// When it stops being good for them, because it was assigned so long ago.
    pub expires_at: Option<Timestamp>,
    /// How long it may be of use to them.
    pub worth: Worth,
}

/// How long a code may be of use to a member, as far as what they did themselves says it. So that what a member has of a
/// book is found without looking through everything they ever had, this may promise too much, never too little: whether
/// it is true depends on other members and on the book as it is by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Worth {
    /// They have nothing of it, or used it up.
    #[default]
    Nothing,
    /// Until then.
    Until(Timestamp),
    /// As long as its book.
    Lasting,
}

/// What one member did with all coupons of one book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many were assigned to them.
    pub assigned: u32,
    /// How often they used one, less what was reverted.
    pub used: u32,
}

/// What is done with a coupon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move<'a> {
    /// Give it to the member.
    Assign,
    /// Keep a use of it for the member.
    Reserve {
        /// Until when.
        until: Timestamp,
    },
    /// Keep it no longer.
    Release,
    /// Use it.
    Use,
    /// Take back a use.
    Revert(&'a Usage),
    /// Take back an assignment that was not used.
    Withdraw,
}

/// The kind of a [`Move`], as it is kept and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UsageKind {
    /// Given to a member.
    Assigned,
    /// Kept for a member.
    Reserved,
    /// Kept no longer.
    Released,
    /// Used.
    Used,
    /// A use taken back.
    Reverted,
    /// Taken back from a member who had not used it.
    Withdrawn,
}

impl UsageKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Assigned, Self::Reserved, Self::Released, Self::Used, Self::Reverted, Self::Withdrawn];

    /// The word used in the store and in loyalty events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assigned => "assigned",
            Self::Reserved => "reserved",
            Self::Released => "released",
            Self::Used => "used",
            Self::Reverted => "reverted",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl std::str::FromStr for UsageKind {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(())
    }
}

/// One thing that was done with a coupon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Its key.
    pub key: CouponUsageKey,
    /// The code.
    pub code: CouponCode,
    /// By or for whom.
    pub member: MemberId,
    /// What.
    pub kind: UsageKind,
    /// When.
    pub at: Timestamp,
    /// 1 when it was used, or a use of it was taken back.
    pub amount_used: u32,
    /// 1 when it was assigned, or an assignment was taken back; and when it was used by a member to whom it had been
    /// assigned.
    pub amount_assigned: u32,
    /// The use that was taken back.
    pub reverts: Option<CouponUsageKey>,
    /// What took this use back.
    pub reverted_by: Option<CouponUsageKey>,
    /// Uses of the code after it.
    pub total_usages: u32,
    /// Assignments of the code after it.
    pub total_assigned: u32,
}

/// By whom, when, and under which key something is done.
#[derive(Debug, Clone, Copy)]
pub struct Hand {
    /// The key that the usage gets.
    pub key: CouponUsageKey,
    /// The member.
    pub member: MemberId,
    /// When.
    pub now: Timestamp,
}

/// Everything that matters for what one member does with one coupon.
#[derive(Debug, Clone, PartialEq)]
pub struct Stake {
    /// The code.
    pub coupon: Coupon,
    /// What the member has of it.
    pub holding: Holding,
    /// What the member did with the whole book.
    pub tally: Tally,
}

impl Stake {
    /// Does it: what becomes of the stake, and what is written down about it.
    ///
    /// # Errors
    /// Why it cannot be; nothing changes then.
    pub fn play(&self, book: &CouponBook, hand: Hand, what: Move<'_>) -> Result<(Self, Usage), Rejection> {
        let mut after = self.clone();
        after.coupon.reservations.retain(|reservation| reservation.until > hand.now);
        after.coupon.updated_at = hand.now.max(self.coupon.updated_at);
        let kind = match what {
            Move::Assign => after.assign(book, hand)?,
            Move::Reserve { until } => after.reserve(book, hand, until)?,
            Move::Release => after.release(hand)?,
            Move::Use => after.use_up(book, hand)?,
            Move::Revert(usage) => after.revert(hand, usage)?,
            Move::Withdraw => after.withdraw(hand)?,
        };
        after.holding.worth = after.worth(book, hand.member);
        let usage = after.usage(hand, kind, what);
        Ok((after, usage))
    }

    fn assign(&mut self, book: &CouponBook, hand: Hand) -> Result<UsageKind, Rejection> {
        let limits = &book.limits;
        self.not_over(book, hand.now)?;
        self.uses_left(book)?;
        if limits.assign_limit.is_reached_by(self.coupon.total_assigned) {
            return Err(Rejection::AssignLimitReached);
        }
        if limits.limit_per_member.is_reached_by(self.tally.assigned.max(self.tally.used)) {
            return Err(Rejection::MemberLimitReached);
        }
        self.coupon.total_assigned += 1;
        self.tally.assigned += 1;
        self.holding.assigned += 1;
        self.holding.expires_at = book.expiry_of_assignment(hand.now);
        Ok(UsageKind::Assigned)
    }

    fn reserve(&mut self, book: &CouponBook, hand: Hand, until: Timestamp) -> Result<UsageKind, Rejection> {
        if until <= hand.now || until > hand.now + LONGEST_RESERVATION {
            return Err(Rejection::ReservationLength);
        }
        self.may_use(book, hand.member, hand.now)?;
        let reservations = &mut self.coupon.reservations;
        reservations.retain(|reservation| reservation.member != hand.member);
        if reservations.len() >= MOST_RESERVATIONS {
            return Err(Rejection::Reserved);
        }
        reservations.push(Reservation { member: hand.member, until });
        Ok(UsageKind::Reserved)
    }

    fn release(&mut self, hand: Hand) -> Result<UsageKind, Rejection> {
        if !self.end_reservation(hand.member) {
            return Err(Rejection::ReservationMissing);
        }
        Ok(UsageKind::Released)
    }

    fn use_up(&mut self, book: &CouponBook, hand: Hand) -> Result<UsageKind, Rejection> {
        self.may_use(book, hand.member, hand.now)?;
        self.end_reservation(hand.member);
        self.coupon.total_usages += 1;
        self.tally.used += 1;
        self.holding.used += 1;
        Ok(UsageKind::Used)
    }

    /// A use is taken back whatever has expired since: it is as if it had never been.
    fn revert(&mut self, hand: Hand, usage: &Usage) -> Result<UsageKind, Rejection> {
        if usage.code != self.coupon.code {
            return Err(Rejection::UsageNotFound);
        }
        if usage.member != hand.member {
            return Err(Rejection::RecipientDoesNotMatch);
        }
        if usage.kind != UsageKind::Used {
            return Err(Rejection::NotAUse);
        }
        if usage.reverted_by.is_some() {
            return Err(Rejection::AlreadyReverted);
        }
        self.coupon.total_usages = self.coupon.total_usages.saturating_sub(1);
        self.tally.used = self.tally.used.saturating_sub(1);
        self.holding.used = self.holding.used.saturating_sub(1);
        Ok(UsageKind::Reverted)
    }

    /// Only what was not used is taken back. The code stays somebody's: who had it has seen it.
    fn withdraw(&mut self, hand: Hand) -> Result<UsageKind, Rejection> {
        if self.holding.assigned == 0 {
            return Err(Rejection::RecipientDoesNotMatch);
        }
        if self.holding.used >= self.holding.assigned {
            return Err(Rejection::Used);
        }
        self.end_reservation(hand.member);
        self.tally.assigned = self.tally.assigned.saturating_sub(1);
        self.holding.assigned -= 1;
        Ok(UsageKind::Withdrawn)
    }

    /// Whether the member may use it now. The first reason why not is the one that most concerns them.
    fn may_use(&self, book: &CouponBook, member: MemberId, now: Timestamp) -> Result<(), Rejection> {
        self.not_over(book, now)?;
        let belongs_to_somebody =
            book.limits.assign_limit != Limit::Unlimited && self.coupon.total_assigned > 0;
        if belongs_to_somebody && self.holding.assigned == 0 {
            return Err(Rejection::RecipientDoesNotMatch);
        }
        self.uses_left(book)?;
        let others = |kept: &&Reservation| kept.member != member && kept.until > now;
        let reserved = self.coupon.reservations.iter().filter(others).count();
        let spoken_for = self.coupon.total_usages.saturating_add(reserved as u32);
        if book.limits.usage_limit.is_reached_by(spoken_for) {
            return Err(Rejection::Reserved);
        }
        if book.limits.limit_per_member.is_reached_by(self.tally.used) {
            return Err(Rejection::MemberLimitReached);
        }
        Ok(())
    }

    fn uses_left(&self, book: &CouponBook) -> Result<(), Rejection> {
        let exhausted = book.limits.usage_limit.is_reached_by(self.coupon.total_usages);
        if exhausted { Err(Rejection::Exhausted) } else { Ok(()) }
    }

    fn not_over(&self, book: &CouponBook, now: Timestamp) -> Result<(), Rejection> {
        if book.valid_from.is_some_and(|from| now < from) {
            return Err(Rejection::NotYetValid);
        }
        if self.expires_at(book).is_some_and(|until| now >= until) {
            return Err(Rejection::Expired);
        }
        Ok(())
    }

    /// When the coupon stops being good for the member.
    pub fn expires_at(&self, book: &CouponBook) -> Option<Timestamp> {
        [book.valid_to, self.coupon.expires_at, self.holding.expires_at].into_iter().flatten().min()
    }

    /// Whether the member has it, given or kept for them, and could use it.
    pub fn is_held(&self, book: &CouponBook, member: MemberId, now: Timestamp) -> bool {
        let is_kept = |kept: &Reservation| kept.member == member && kept.until > now;
        let has = self.holding.assigned > 0 || self.coupon.reservations.iter().any(is_kept);
        has && self.may_use(book, member, now).is_ok()
    }

    fn worth(&self, book: &CouponBook, member: MemberId) -> Worth {
        if book.limits.usage_limit.is_reached_by(self.holding.used) {
            return Worth::Nothing;
        }
        let expiry = [self.coupon.expires_at, self.holding.expires_at].into_iter().flatten().min();
        let kept = self.coupon.reservations.iter().find(|kept| kept.member == member).map(|kept| kept.until);
        match (self.holding.assigned, kept) {
            (0, None) => Worth::Nothing,
            (0, Some(until)) => Worth::Until(expiry.map_or(until, |expiry| expiry.min(until))),
            _ => expiry.map_or(Worth::Lasting, Worth::Until),
        }
    }

    fn end_reservation(&mut self, member: MemberId) -> bool {
        let before = self.coupon.reservations.len();
        self.coupon.reservations.retain(|reservation| reservation.member != member);
        self.coupon.reservations.len() < before
    }

    fn usage(&self, hand: Hand, kind: UsageKind, what: Move<'_>) -> Usage {
        let was_assigned = kind == UsageKind::Used && self.holding.assigned > 0;
        Usage {
            key: hand.key,
            code: self.coupon.code.clone(),
            member: hand.member,
            kind,
            at: hand.now,
            amount_used: matches!(kind, UsageKind::Used | UsageKind::Reverted).into(),
            amount_assigned: (matches!(kind, UsageKind::Assigned | UsageKind::Withdrawn) || was_assigned)
                .into(),
            reverts: match what {
                Move::Revert(usage) => Some(usage.key),
                _ => None,
            },
            reverted_by: None,
            total_usages: self.coupon.total_usages,
            total_assigned: self.coupon.total_assigned,
        }
    }
}
