//! What a decision wants, laid on its desk; coupons are nobody else's for as long.
//!
//! A coupon is shared by all members, and each member decides for themselves. The fence in the store makes sure that
//! only one of two decisions about a code holds; but of hundreds at once, all but one would lose and be made again, over
//! and over. So decisions of this node about one code stand in line, from looking it up until they are durable.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::clock::{Clock, fresh_ulid};
use crate::domain::audit::{Action, By, Change, Face};
use crate::domain::chain::ChainId;
use crate::domain::coupon::{Coupon, CouponBook, CouponCode};
use crate::domain::desk::{Desk, Wanted};
use crate::domain::ids::{CouponBookKey, MemberId};
use crate::domain::text::Key;
use crate::store::coupon::StoredBook;
use crate::store::{self, Store, StoreError};

use super::engine::{Engine, EngineError};

/// Free codes that are looked at together.
const PAGE: i64 = 256;

type Place = (ChainId, CouponCode);
type Lines = Mutex<HashMap<Place, Arc<AsyncMutex<()>>>>;

/// The lines in which decisions stand, one for each code that is being decided on.
#[derive(Debug, Clone, Default)]
pub struct CouponLocks(Arc<Lines>);

/// The front of a line.
struct Front {
    place: Place,
    lines: Arc<Lines>,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Drop for Front {
    fn drop(&mut self) {
        let mut lines = lock(&self.lines);
        self.turn = None;
        // Whoever waits has the line in hand; without anybody it goes.
        if lines.get(&self.place).is_some_and(|line| Arc::strong_count(line) == 1) {
            lines.remove(&self.place);
        }
    }
}

fn lock(lines: &Lines) -> MutexGuard<'_, HashMap<Place, Arc<AsyncMutex<()>>>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CouponLocks {
    fn line(&self, place: &Place) -> Arc<AsyncMutex<()>> {
        lock(&self.0).entry(place.clone()).or_default().clone()
    }

    async fn wait(&self, place: Place) -> Front {
        let turn = self.line(&place).lock_owned().await;
        Front { place, lines: self.0.clone(), turn: Some(turn) }
    }

    fn at_once(&self, place: Place) -> Option<Front> {
        // Under the lock of all lines, so that nobody sees this look as somebody who waits.
        let turn = lock(&self.0).entry(place.clone()).or_default().clone().try_lock_owned().ok()?;
        Some(Front { place, lines: self.0.clone(), turn: Some(turn) })
    }
}

/// What was laid on the desk. Others may decide on it again when this is gone.
#[derive(Default)]
pub(super) struct LaidOut {
    pub(super) desk: Desk,
    fronts: BTreeMap<CouponCode, Front>,
}

/// Who lays out what.
pub(super) struct Clerk<'a> {
    pub(super) locks: &'a CouponLocks,
    pub(super) store: &'a Store,
    pub(super) clock: &'a Clock,
    pub(super) chain: &'a ChainId,
    pub(super) member: MemberId,
    /// Whom the member has absorbed.
    pub(super) absorbed: Vec<MemberId>,
}

/// Free codes that were picked of a book.
enum Picked {
    /// So many as were wanted, or all there are.
    Codes(Vec<CouponCode>),
    /// Too few, but this one may become free again.
    Busy(CouponCode),
}

impl Clerk<'_> {
    /// Lays out what is wanted, as soon as nobody else decides on it.
    pub(super) async fn lay_out(&self, wanted: &Wanted) -> Result<LaidOut, StoreError> {
        loop {
            let mut laid = LaidOut::default();
            // In the order of codes, so that no two wait for each other.
            for code in &wanted.coupons.codes {
                laid.fronts.insert(code.clone(), self.locks.wait(self.place(code)).await);
            }
            let mut picked = BTreeMap::new();
            let mut busy = None;
            for (book, count) in wanted.coupons.books.iter().filter(|(_, count)| **count > 0) {
                match self.pick(*book, *count, &mut laid).await? {
                    Picked::Codes(codes) => drop(picked.insert(*book, codes)),
                    Picked::Busy(code) => busy = Some(code),
                }
            }
            match busy {
                None => return self.read(wanted, picked, laid).await,
                Some(code) => {
                    drop(laid); // whoever waits for a free code holds nothing
                    drop(self.locks.wait(self.place(&code)).await);
                }
            }
        }
    }

    fn place(&self, code: &CouponCode) -> Place {
        (self.chain.clone(), code.clone())
    }

    /// Picks free codes of a book that nobody is deciding on, from somewhere in the middle: other nodes pick too.
    async fn pick(
        &self,
        book: CouponBookKey,
        count: usize,
        laid: &mut LaidOut,
    ) -> Result<Picked, StoreError> {
        let (mut picked, mut busy) = (Vec::new(), None);
        let middle = CouponCode::generated(&fresh_ulid(self.clock.now()).to_bytes(), 0);
        for (mut after, until) in [(Some(middle.clone()), None), (None, Some(middle))] {
            loop {
                let page = self.free_codes(book, after.take(), until.clone()).await?;
                after = page.last().filter(|_| page.len() as i64 == PAGE).cloned();
                for code in page {
                    if laid.fronts.contains_key(&code) {
                        continue;
                    }
                    match self.locks.at_once(self.place(&code)) {
                        Some(front) => drop(laid.fronts.insert(code.clone(), front)),
                        None => {
                            busy = Some(code);
                            continue;
                        }
                    }
                    picked.push(code);
                    if picked.len() == count {
                        return Ok(Picked::Codes(picked));
                    }
                }
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(busy.map_or(Picked::Codes(picked), Picked::Busy))
    }

    async fn free_codes(
        &self,
        book: CouponBookKey,
        after: Option<CouponCode>,
        until: Option<CouponCode>,
    ) -> Result<Vec<CouponCode>, StoreError> {
        let (chain, now) = (self.chain.clone(), self.clock.now());
        let find = move |conn: &mut _| {
            let between = (after.as_ref(), until.as_ref());
            store::coupon::free_codes(conn, &chain, book, now, between, PAGE)
        };
        self.store.read(find).await
    }

    async fn read(
        &self,
        wanted: &Wanted,
        picked: BTreeMap<CouponBookKey, Vec<CouponCode>>,
        mut laid: LaidOut,
    ) -> Result<LaidOut, StoreError> {
        let mut all = wanted.clone();
        all.coupons.codes.extend(picked.values().flatten().cloned());
        let (chain, member, absorbed) = (self.chain.clone(), self.member, self.absorbed.clone());
        let look_up = move |conn: &mut _| {
            let coupons = store::coupon::lay_out(conn, &chain, member, &absorbed, &all.coupons)?;
            let redemptions = store::redemption::lay_out(conn, &chain, &all.redemptions)?;
            let senders = store::referral::lay_out(conn, &chain, &all.senders)?;
            let referrals = store::referral::filed(conn, &chain, &all.referrals)?;
            let campaigns = store::campaign::lay_out(conn, &chain, &all.campaigns)?;
            Ok(Desk { coupons, redemptions, senders, referrals, campaigns, ..Desk::default() })
        };
        laid.desk = self.store.read(look_up).await?;
        let now = self.clock.now();
        for (book, codes) in picked {
            let wanted = wanted.coupons.books.get(&book).copied().unwrap_or_default();
            let is_dry = codes.len() < wanted;
            // Between looking for it and standing in its line, somebody may have had it.
            let is_free = |code: &CouponCode| {
                laid.desk
                    .coupons
                    .cards
                    .get(code)
                    .and_then(Option::as_ref)
                    .is_some_and(|card| card.coupon.is_free(now))
            };
            let free = codes.into_iter().filter(is_free).collect();
            if let Some(shelf) = laid.desk.coupons.shelves.get_mut(&book) {
                (shelf.free, shelf.is_dry) = (free, is_dry);
            }
        }
        Ok(laid)
    }
}

impl Engine {
    /// Stores a new coupon book.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn create_coupon_book(
        &self,
        chain: &ChainId,
        book: CouponBook,
        by: By,
    ) -> Result<MadeBook, EngineError> {
        let change = Change::made(Face::from(&book));
        let line = self.line(by, chain, Action::CouponBookCreated, book.key, change);
        let (chain, stored) = (chain.clone(), StoredBook { book, created_at: self.0.clock.now() });
        let made = self.0.journal.run(move |conn, _| {
            if store::coupon::insert_book(conn, &chain, &stored)? {
                store::audit::insert(conn, &line)?;
                return Ok(MadeBook::New(stored));
            }
            let known = store::coupon::get_book(conn, &chain, stored.book.key)?;
            Ok(known.map_or(MadeBook::New(stored), MadeBook::Known))
        });
        Ok(made.await?)
    }

    /// What a request makes of its `Idempotency-Key`, so that a repeat makes the same: nobody else can guess it.
    pub fn seed(&self, chain: &ChainId, what: &str, key: &Key) -> [u8; 32] {
        self.0.store.vault().seed(&format!("{chain}/{what}/{key}"))
    }

    /// Stores new coupons in one transaction; a code that the chain has already stays what it is. Answers how many were
    /// new.
    ///
    /// # Errors
    /// When the store fails; none of them is stored then.
    pub async fn add_coupons(
        &self,
        chain: &ChainId,
        book: CouponBookKey,
        coupons: Vec<Coupon>,
        by: By,
    ) -> Result<usize, EngineError> {
        let mut line = self.line(by, chain, Action::CouponBookFilled, book, Change::default());
        let chain = chain.clone();
        let add = move |conn: &mut _, _: &_| {
            let added = store::coupon::add(conn, &chain, &coupons)?;
            if added > 0 {
                line.change = Change::to("added", added);
                store::audit::insert(conn, &line)?;
            }
            Ok(added)
        };
        Ok(self.0.journal.run(add).await?)
    }
}

/// A book that was to be made.
#[derive(Debug)]
pub enum MadeBook {
    /// It is.
    New(StoredBook),
    /// One of its key was there before.
    Known(StoredBook),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(code: &str) -> Place {
        ("harvest".parse().unwrap(), code.parse().unwrap())
    }

    #[actix_web::test]
    async fn a_line_is_kept_only_while_somebody_stands_in_it() {
        let locks = CouponLocks::default();
        let first = locks.wait(place("AAA")).await;
        assert!(locks.at_once(place("AAA")).is_none());
        assert!(locks.at_once(place("BBB")).is_some());
        let second = tokio::spawn({
            let locks = locks.clone();
            async move { drop(locks.wait(place("AAA")).await) }
        });
        while Arc::strong_count(&locks.line(&place("AAA"))) < 4 {
            tokio::task::yield_now().await; // the line, ours, this one, and the second's
        }
        drop(first);
        second.await.unwrap();
        assert!(lock(&locks.0).is_empty());
    }
}
