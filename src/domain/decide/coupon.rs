//! Coupons: given, kept, used and taken back.

use std::collections::BTreeMap;

use super::{Draft, Frame, Refusal};
use crate::domain::Timestamp;
use crate::domain::coupon::{
    Attributes, BadCode, BookType, Coupon, CouponBook, CouponCode, CouponCommand, CouponMoved, CouponTask,
    Hand, Move, Purse, Rejection, RevertOn, Span, Telling, Usage,
};
use crate::domain::effect::Cause;
use crate::domain::ids::{CouponBookKey, CouponUsageKey};
use crate::domain::loyalty_event::EventData;
use crate::domain::order::{Phase, UsedCoupon};
use crate::domain::terms::Terms;
use crate::domain::text::Name;

/// Whether the use of a coupon went back with its order.
enum Returned {
    Yes,
    No,
}

impl Draft {
    /// Carries out what somebody asked for.
    pub(super) fn handle_coupon(&mut self, frame: Frame<'_>, command: &CouponCommand) -> Result<(), Refusal> {
        let attributes = &command.custom_attributes;
        match &command.task {
            CouponTask::Assign(code) => self.play(frame, code, Move::Assign, attributes).map(drop),
            CouponTask::AssignFrom(book) => self.assign_from(frame, *book, attributes).map(drop),
            CouponTask::Reserve { code, until } => {
                let until = until.unwrap_or_else(|| self.coupon_time() + Span::QUARTER.duration());
                self.play(frame, code, Move::Reserve { until }, attributes).map(drop)
            }
            CouponTask::Release(code) => self.play(frame, code, Move::Release, attributes).map(drop),
            CouponTask::Use(code) => self.play(frame, code, Move::Use, attributes).map(drop),
            CouponTask::Revert { code, usage } => {
                let usage = self.coupon_usage(code, *usage)?;
                self.play(frame, code, Move::Revert(&usage), attributes).map(drop)
            }
        }
    }

    /// Uses the coupons that an order names, each once in the order's life. An order is a fact, so what cannot be used
    /// does not refuse it: the receipt says so.
    pub(super) fn use_coupons(&mut self, frame: Frame<'_>, codes: &[Name]) {
        for text in codes {
            let code = text.parse();
            if code.as_ref().is_ok_and(|code| self.order.as_ref().is_some_and(|order| !order.may_use(code))) {
                continue;
            }
            let used = match code {
                Ok(code) => self.play(frame, &code, Move::Use, &Attributes::new()).map(|key| (code, key)),
                Err(BadCode) => Err(Rejection::NotFound.into()),
            };
            match used {
                Ok((code, key)) => self.order.iter_mut().for_each(|order| order.used_coupon(&code, key)),
                Err(Refusal::Coupon(rejection)) => {
                    self.note(format!("coupon {text} was not used ({}): {rejection}", rejection.code()));
                }
                Err(_) => {}
            }
        }
    }

    /// Takes back what an order that is undone used of coupons, as their books say.
    pub(super) fn return_coupons(&mut self, frame: Frame<'_>) {
        let Some(order) = self.order.as_mut().filter(|order| order.is_undone()) else { return };
        let because = match order.phase() {
            Phase::Cancelled => RevertOn::Cancel,
            Phase::Open | Phase::Completed => RevertOn::Refund,
        };
        let mut stay = Vec::new();
        for used in order.take_coupons() {
            match self.return_coupon(frame, &used, because) {
                Ok(Returned::Yes) => {}
                Ok(Returned::No) => stay.push(used),
                Err(Refusal::Coupon(Rejection::AlreadyReverted) | Refusal::Lacks) => {}
                Err(refusal) => self.note(format!("the use of coupon {} stays: {refusal}", used.code)),
            }
        }
        self.order.iter_mut().for_each(|order| order.keep_coupons(std::mem::take(&mut stay)));
    }

    fn return_coupon(
        &mut self,
        frame: Frame<'_>,
        UsedCoupon { code, usage }: &UsedCoupon,
        because: RevertOn,
    ) -> Result<Returned, Refusal> {
        let usage = self.coupon_usage(code, *usage)?;
        let card = self.desk.coupons.cards.get(code).and_then(Option::as_ref).ok_or(Rejection::NotFound)?;
        if self.coupon_book(frame, card.coupon.book)?.revert_on < because {
            return Ok(Returned::No);
        }
        self.play(frame, code, Move::Revert(&usage), &Attributes::new())?;
        Ok(Returned::Yes)
    }

    /// What was done with a coupon before, with the coupon itself.
    fn coupon_usage(&mut self, code: &CouponCode, key: CouponUsageKey) -> Result<Usage, Refusal> {
        let Some(known) = self.desk.coupons.usages.get(&key) else {
            self.wanted.coupons.usages.insert(key);
            self.wanted.coupons.codes.insert(code.clone());
            return Err(Refusal::Lacks);
        };
        Ok(known.clone().ok_or(Rejection::UsageNotFound)?)
    }

    /// Gives the member a coupon of a book of the program; answers which.
    pub(super) fn assign_coupon(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        book: &Name,
    ) -> Result<CouponCode, Refusal> {
        let code = self.assign_from(frame, CouponBook::declared_key(book), &Attributes::new())?;
        self.line(cause, "assign_coupon", None, Name::parse(&code).ok());
        Ok(code)
    }

    /// Takes a coupon back that the member was given and has not used.
    pub(super) fn withdraw_coupon(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        code: &CouponCode,
    ) -> Result<(), Refusal> {
        self.play(frame, code, Move::Withdraw, &Attributes::new())?;
        self.line(cause, "withdraw_coupon", None, Name::parse(code).ok());
        Ok(())
    }

    /// Gives the member a coupon of a book: a new one, or one of those that were uploaded.
    fn assign_from(
        &mut self,
        frame: Frame<'_>,
        key: CouponBookKey,
        attributes: &Attributes,
    ) -> Result<CouponCode, Refusal> {
        if !self.desk.coupons.shelves.contains_key(&key) {
            self.wanted.coupons.books.insert(key, 0);
            return Err(Refusal::Lacks);
        }
        let book = self.coupon_book(frame, key)?;
        let code = match book.kind {
            BookType::Generated => {
                let seed = self.cause_id().to_bytes();
                let code = CouponCode::generated(&seed, self.desk.coupons.moves() as u64);
                self.desk.coupons.lay(Coupon::fresh(code.clone(), key, self.coupon_time()));
                code
            }
            BookType::Uploaded => self.desk.coupons.take_free(key).map_err(|more| match more {
                Ok(count) => {
                    self.wanted.coupons.books.insert(key, count);
                    Refusal::Lacks
                }
                Err(rejection) => rejection.into(),
            })?,
        };
        self.play(frame, &code, Move::Assign, attributes)?;
        Ok(code)
    }

    /// Does it, and tells the world. Answers the key under which it is written down.
    fn play(
        &mut self,
        frame: Frame<'_>,
        code: &CouponCode,
        what: Move<'_>,
        attributes: &Attributes,
    ) -> Result<CouponUsageKey, Refusal> {
        let Some(card) = self.desk.coupons.cards.get(code) else {
            self.wanted.coupons.codes.insert(code.clone());
            return Err(Refusal::Lacks);
        };
        let key = card.as_ref().ok_or(Rejection::NotFound)?.coupon.book;
        let book = self.coupon_book(frame, key)?;
        let hand = Hand {
            key: CouponUsageKey::derived(self.cause_id(), self.desk.coupons.moves() as u32),
            member: self.member.id,
            now: self.coupon_time(),
        };
        let played = self.desk.coupons.play(&book, code, hand, what)?;
        let known_as = self.member.known_as();
        let telling = Telling { member: &known_as, cause: self.cause_id(), custom_attributes: attributes };
        let moved = CouponMoved::of(&book, &played, &telling);
        self.told.push(EventData::Coupon(played.usage.kind, Box::new(moved)));
        Ok(played.usage.key)
    }

    /// What rules may ask about the member's coupons, as things stand by now in this decision, of an instant.
    pub fn purse(&self, terms: &Terms, at: Timestamp) -> Purse {
        let desk = &self.desk.coupons;
        let held: BTreeMap<_, _> = match desk.held.is_empty() {
            true => BTreeMap::new(),
            false => {
                let asked = terms.coupon_books.iter().filter(|book| desk.held.contains(&book.key));
                asked.map(|book| (book.key, desk.count_held(book, self.member.id, at))).collect()
            }
        };
        Purse::new(held, self.asked_books.clone(), self.coupon_time())
    }

    /// Takes note of what they asked.
    pub fn put_away(&mut self, purse: Purse) {
        if purse.is_unasked() {
            return;
        }
        self.wanted.coupons.add(purse.lacks());
        self.asked_books = purse.into_asked();
    }

    /// The book, as the program declares it or the API made it.
    fn coupon_book(&self, frame: Frame<'_>, key: CouponBookKey) -> Result<CouponBook, Rejection> {
        let declared = frame.terms.coupon_books.iter().find(|book| book.key == key);
        let made = || self.desk.coupons.shelves.get(&key).and_then(|shelf| shelf.book.as_ref());
        declared.or_else(made).cloned().ok_or(Rejection::BookNotFound)
    }

    /// The instant that decides whether a coupon is good: when it happened, if a till sends that later; but a till whose
    /// clock is ahead uses nothing before its time.
    pub fn coupon_time(&self) -> Timestamp {
        self.at.min(self.now)
    }
}
