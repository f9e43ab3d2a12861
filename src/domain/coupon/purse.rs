//! What rules may ask about the coupons of a member. Nothing of it is looked up before one does.

use std::collections::{BTreeMap, BTreeSet};

use super::Wanted;
use crate::domain::Timestamp;
use crate::domain::ids::CouponBookKey;

/// The most coupons of one book that are counted for one member: who has more has as many as that.
pub const MOST_HELD: usize = 100;
/// The most books that the rules, segments and triggers of one event may ask about.
pub const MOST_BOOKS_ASKED: usize = 10;

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// It must be looked up first; the decision says so and is made again.
    #[error("something must be looked up first")]
    NotLookedUp,
    /// Each book is a look-up, so they are bounded.
    #[error("one event may ask about the coupons of at most {MOST_BOOKS_ASKED} books")]
    TooManyBooks,
}

/// How many coupons of which books the member has, as far as that lies on the desk, and what was asked of it.
#[derive(Debug, Clone, Default)]
pub struct Purse {
    held: BTreeMap<CouponBookKey, usize>,
    asked: BTreeSet<CouponBookKey>,
    /// What was no good any more by then need not be looked up.
    since: Timestamp,
}

impl Purse {
    /// A purse of which `asked` was asked already.
    pub const fn new(
        held: BTreeMap<CouponBookKey, usize>,
        asked: BTreeSet<CouponBookKey>,
        since: Timestamp,
    ) -> Self {
        Self { held, asked, since }
    }

    /// How many of this book the member has and could use.
    ///
    /// # Errors
    /// Why nobody can say.
    pub fn count(&mut self, book: CouponBookKey) -> Result<usize, NoAnswer> {
        if self.asked.len() >= MOST_BOOKS_ASKED && !self.asked.contains(&book) {
            return Err(NoAnswer::TooManyBooks);
        }
        self.asked.insert(book);
        self.held.get(&book).copied().ok_or(NoAnswer::NotLookedUp)
    }

    /// What was asked and must be looked up.
    pub fn lacks(&self) -> Wanted {
        let unknown = self.asked.iter().filter(|book| !self.held.contains_key(book));
        Wanted { held: unknown.map(|book| (*book, self.since)).collect(), ..Wanted::default() }
    }

    /// Whether nothing was asked, as hardly any rule does.
    pub fn is_unasked(&self) -> bool {
        self.asked.is_empty()
    }

    /// What was asked.
    pub fn into_asked(self) -> BTreeSet<CouponBookKey> {
        self.asked
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;

    fn book(n: usize) -> CouponBookKey {
        CouponBookKey::new(Ulid(n as u128))
    }

    #[test]
    fn what_was_asked_and_is_not_known_is_lacking_and_nothing_else() {
        let mut purse =
            Purse::new([(book(1), 2), (book(2), 0)].into(), BTreeSet::new(), Timestamp::UNIX_EPOCH);
        assert!(purse.lacks().is_empty());
        assert_eq!((purse.count(book(1)), purse.count(book(2))), (Ok(2), Ok(0)));
        assert!(purse.lacks().is_empty());
        assert_eq!(purse.count(book(3)), Err(NoAnswer::NotLookedUp));
        assert_eq!(purse.lacks().held, [(book(3), Timestamp::UNIX_EPOCH)].into());
    }

    #[test]
    fn so_many_books_may_be_asked_about_each_as_often_as_anybody_likes() {
        let mut purse =
            Purse::new((0..99).map(|n| (book(n), n)).collect(), BTreeSet::new(), Timestamp::UNIX_EPOCH);
        for n in (0..MOST_BOOKS_ASKED).chain(0..MOST_BOOKS_ASKED) {
            assert_eq!(purse.count(book(n)), Ok(n));
        }
        assert_eq!(purse.count(book(MOST_BOOKS_ASKED)), Err(NoAnswer::TooManyBooks));
        let mut later = Purse::new(BTreeMap::new(), purse.into_asked(), Timestamp::UNIX_EPOCH);
        assert_eq!(later.count(book(MOST_BOOKS_ASKED)), Err(NoAnswer::TooManyBooks), "of the whole event");
    }
}
