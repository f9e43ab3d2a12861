//! What of coupons lies on the [desk](crate::domain::desk) of one decision: a rule may assign any.

use std::collections::{BTreeMap, BTreeSet};

use super::{Coupon, CouponBook, CouponCode, Hand, Holding, MOST_HELD, Move, Rejection, Stake, Tally, Usage};
use crate::domain::Timestamp;
use crate::domain::ids::{CouponBookKey, CouponUsageKey, MemberId};

/// What a decision needs to know of coupons.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// These codes.
    pub codes: BTreeSet<CouponCode>,
    /// These books, and so many free codes of each, if it is an uploaded one.
    pub books: BTreeMap<CouponBookKey, usize>,
    /// These usages.
    pub usages: BTreeSet<CouponUsageKey>,
    /// What the member has of these books that is still good after an instant.
    pub held: BTreeMap<CouponBookKey, Timestamp>,
}

impl Wanted {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty() && self.books.is_empty() && self.usages.is_empty() && self.held.is_empty()
    }

    /// Wants that, too.
    pub fn add(&mut self, other: Self) {
        self.codes.extend(other.codes);
        self.usages.extend(other.usages);
        for (book, count) in other.books {
            let known = self.books.entry(book).or_default();
            *known = count.max(*known);
        }
        for (book, since) in other.held {
            let known = self.held.entry(book).or_insert(since);
            *known = since.min(*known);
        }
    }
}

/// A coupon on the desk.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// The coupon.
    pub coupon: Coupon,
    /// What the member has of it.
    pub holding: Holding,
}

/// What is known of one book.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Shelf {
    /// The book, if it was made over the API.
    pub book: Option<CouponBook>,
    /// What the member did with it.
    pub tally: Tally,
    /// Codes of it that are nobody's; their cards lie on the desk too.
    pub free: Vec<CouponCode>,
    /// Whether there are no more of them.
    pub is_dry: bool,
    /// How many of them this decision took.
    taken: usize,
}

/// The desk. What was asked for and is not there is laid down as `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Desk {
    /// Coupons.
    pub cards: BTreeMap<CouponCode, Option<Card>>,
    /// Books.
    pub shelves: BTreeMap<CouponBookKey, Shelf>,
    /// What was done before.
    pub usages: BTreeMap<CouponUsageKey, Option<Usage>>,
    /// Books of which everything that the member has lies here.
    pub held: BTreeSet<CouponBookKey>,
    /// What was done by this decision, in order.
    played: Vec<Usage>,
}

/// What a decision did with coupons; written with everything else it changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CouponChanges {
    /// Coupons after it, at the versions they were decided *from*, and what the member has of each.
    pub cards: Vec<Card>,
    /// What the member did with their books.
    pub tallies: Vec<(CouponBookKey, Tally)>,
    /// What was done, and uses that were taken back.
    pub usages: Vec<Usage>,
}

/// What became of a move, for telling the world.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// Before.
    pub before: Stake,
    /// After.
    pub after: Stake,
    /// What is written down.
    pub usage: Usage,
}

impl Shelf {
    /// The shelf of a book, without codes.
    pub const fn of(book: Option<CouponBook>, tally: Tally) -> Self {
        Self { book, tally, free: Vec::new(), is_dry: false, taken: 0 }
    }
}

impl Desk {
    /// Whether nothing lies there, and nothing was done.
    pub fn is_empty(&self) -> bool {
        self.cards.is_empty()
            && self.shelves.is_empty()
            && self.usages.is_empty()
            && self.held.is_empty()
            && self.played.is_empty()
    }

    /// How much was done; distinguishes what is derived for each.
    pub fn moves(&self) -> usize {
        self.played.len()
    }

    /// Lays a new coupon on the desk.
    pub fn lay(&mut self, coupon: Coupon) {
        self.cards.insert(coupon.code.clone(), Some(Card { coupon, holding: Holding::default() }));
    }

    /// How many coupons of a book the member has and could use, [`MOST_HELD`] at most: those that lie here.
    pub fn count_held(&self, book: &CouponBook, member: MemberId, now: Timestamp) -> usize {
        let Some(shelf) = self.shelves.get(&book.key) else { return 0 };
        let is_held = |card: &&Card| {
            let stake = Stake { coupon: card.coupon.clone(), holding: card.holding, tally: shelf.tally };
            stake.is_held(book, member, now)
        };
        let cards = self.cards.values().flatten().filter(|card| card.coupon.book == book.key);
        cards.filter(is_held).take(MOST_HELD).count()
    }

    /// The next free code of an uploaded book.
    ///
    /// # Errors
    /// How many of them should lie there: ever more, so that few looks are enough for many; or that all are somebody's.
    pub fn take_free(&mut self, book: CouponBookKey) -> Result<CouponCode, Result<usize, Rejection>> {
        let shelf = self.shelves.entry(book).or_default();
        match shelf.free.pop() {
            Some(code) => {
                shelf.taken += 1;
                Ok(code)
            }
            None if shelf.is_dry => Err(Err(Rejection::NoFreeCode)),
            None => Err(Ok((2 * shelf.taken).max(1))),
        }
    }

    /// Does it, with what lies there.
    ///
    /// # Errors
    /// Why it cannot be; nothing changes then.
    pub fn play(
        &mut self,
        book: &CouponBook,
        code: &CouponCode,
        hand: Hand,
        what: Move<'_>,
    ) -> Result<Played, Rejection> {
        let card = self.cards.get_mut(code).and_then(Option::as_mut).ok_or(Rejection::NotFound)?;
        let shelf = self.shelves.get_mut(&book.key).ok_or(Rejection::BookNotFound)?;
        let before = Stake { coupon: card.coupon.clone(), holding: card.holding, tally: shelf.tally };
        let (after, usage) = before.play(book, hand, what)?;
        if let Move::Revert(reverted) = what {
            let reverted = Usage { reverted_by: Some(usage.key), ..reverted.clone() };
            self.usages.insert(reverted.key, Some(reverted.clone()));
            self.played.push(reverted);
        }
        *card = Card { coupon: after.coupon.clone(), holding: after.holding };
        shelf.tally = after.tally;
        self.played.push(usage.clone());
        Ok(Played { before, after, usage })
    }

    /// What was changed.
    pub fn into_changes(mut self) -> CouponChanges {
        let touched: BTreeSet<_> = self.played.iter().map(|usage| usage.code.clone()).collect();
        let cards: Vec<_> = touched.iter().filter_map(|code| self.cards.remove(code).flatten()).collect();
        let books: BTreeSet<_> = cards.iter().map(|card| card.coupon.book).collect();
        let tallies = books.into_iter().filter_map(|book| Some((book, self.shelves.get(&book)?.tally)));
        CouponChanges { tallies: tallies.collect(), cards, usages: self.played }
    }
}
