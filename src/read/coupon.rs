//! Coupons and their books as outsiders see them.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::page::{OfMember, Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::coupon::{
    BookFace, Card, Coupon, CouponBook, CouponCode, CouponFace, Holding, Reservation, Stake, Tally,
};
use crate::domain::ids::{CouponBookKey, MemberId};
use crate::store::{DbConn, coupon};

/// A coupon book.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "CouponBook")]
pub struct BookView {
    /// What is told of it.
    #[serde(flatten)]
    pub book: BookFace,
    /// When it was made over the API; absent for a book of `program.toml`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
}

impl From<&CouponBook> for BookView {
    fn from(book: &CouponBook) -> Self {
        Self { book: book.into(), created_at: None }
    }
}

impl From<&coupon::StoredBook> for BookView {
    fn from(stored: &coupon::StoredBook) -> Self {
        Self { book: (&stored.book).into(), created_at: Some(stored.created_at) }
    }
}

/// A coupon.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Coupon")]
pub struct CouponView {
    /// What is told of it.
    #[serde(flatten)]
    pub coupon: CouponFace,
    /// For whom uses of it are kept, and until when; those that are over stay until somebody asks for it again.
    pub reservations: Vec<Reservation>,
    /// Its book, where one is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coupon_book: Option<BookFace>,
}

/// A coupon of a member.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "MemberCoupon")]
pub struct MemberCouponView {
    /// The coupon, as it is good for the member.
    #[serde(flatten)]
    pub coupon: CouponFace,
    /// How often it was assigned to them.
    pub assigned: u32,
    /// How often they used it, less what was reverted.
    pub used: u32,
    /// Until when a use of it is kept for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved_until: Option<Timestamp>,
    /// Its book; absent when `program.toml` does not declare it any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coupon_book: Option<BookFace>,
}

impl CouponView {
    fn of(coupon: Coupon, book: Option<&CouponBook>) -> Self {
        let stake = Stake { coupon, holding: Holding::default(), tally: Tally::default() };
        let face = CouponFace::of(&stake, book);
        Self { coupon: face, reservations: stake.coupon.reservations, coupon_book: book.map(Into::into) }
    }
}

impl MemberCouponView {
    fn of(card: Card, member: MemberId, book: Option<&CouponBook>) -> Self {
        let Card { coupon, holding } = card;
        let mine = coupon.reservations.iter().find(|reservation| reservation.member == member);
        let reserved_until = mine.map(|reservation| reservation.until);
        let stake = Stake { coupon, holding, tally: Tally::default() };
        Self {
            coupon: CouponFace::of(&stake, book),
            assigned: holding.assigned,
            used: holding.used,
            reserved_until,
            coupon_book: book.map(Into::into),
        }
    }
}

impl Reader {
    /// All books, those that `declared` names among them, by key, the last first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn coupon_books(
        &self,
        chain: ChainId,
        declared: &[CouponBook],
        wanted: Wanted<CouponBookKey>,
    ) -> Result<Page<BookView>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after);
        let made = self.run(move |conn| Ok(coupon::books(conn, &chain, rows, after)?)).await?;
        let declared = declared.iter().filter(|book| after.is_none_or(|after| book.key < after));
        let mut all: Vec<BookView> = declared.map(Into::into).chain(made.iter().map(Into::into)).collect();
        all.sort_unstable_by_key(|view| std::cmp::Reverse(view.book.coupon_book_key));
        all.truncate(wanted.limit + 1);
        Ok(wanted.page(all, |view| view.book.coupon_book_key.to_string()))
    }

    /// The book with this key that was made over the API.
    ///
    /// # Errors
    /// The store failed.
    pub async fn coupon_book(
        &self,
        chain: ChainId,
        key: CouponBookKey,
    ) -> Result<Option<BookView>, ReadError> {
        let found = self.run(move |conn| Ok(coupon::get_book(conn, &chain, key)?)).await?;
        Ok(found.as_ref().map(Into::into))
    }

    /// The coupons of a book, by code.
    ///
    /// # Errors
    /// The store failed.
    pub async fn coupons(
        &self,
        chain: ChainId,
        book: CouponBookKey,
        wanted: Wanted<CouponCode>,
    ) -> Result<Page<CouponView>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after.clone());
        let found = self.run(move |conn| Ok(coupon::list(conn, &chain, book, rows, after.as_ref())?)).await?;
        wanted.page(found, |coupon| coupon.code.to_string()).map(|coupon| Ok(CouponView::of(coupon, None)))
    }

    /// One coupon with its book.
    ///
    /// # Errors
    /// The store failed.
    pub async fn coupon(
        &self,
        chain: ChainId,
        declared: &[CouponBook],
        code: CouponCode,
    ) -> Result<Option<CouponView>, ReadError> {
        let declared = declared.to_vec();
        self.run(move |conn| {
            let Some(found) = coupon::get(conn, &chain, &code)? else { return Ok(None) };
            let book = book(conn, &chain, &declared, found.book)?;
            Ok(Some(CouponView::of(found, book.as_ref())))
        })
        .await
    }

    /// A member's coupons, by code.
    ///
    /// # Errors
    /// The store failed.
    pub async fn member_coupons(
        &self,
        chain: ChainId,
        declared: &[CouponBook],
        member: MemberId,
        wanted: Wanted<CouponCode>,
    ) -> Result<Page<MemberCouponView>, ReadError> {
        let declared = declared.to_vec();
        self.run(move |conn| of_member(conn, &chain, &declared, &OfMember { member, wanted })).await
    }

    /// The same of several members, each with the page that is asked for, in one go.
    ///
    /// # Errors
    /// The store failed.
    pub async fn coupons_of_members(
        &self,
        chain: ChainId,
        declared: &[CouponBook],
        asked: Vec<OfMember<CouponCode>>,
    ) -> Result<HashMap<OfMember<CouponCode>, Page<MemberCouponView>>, ReadError> {
        let declared = declared.to_vec();
        let page = move |conn: &mut DbConn, asked: OfMember<_>| {
            Ok((asked.clone(), of_member(conn, &chain, &declared, &asked)?))
        };
        self.run(move |conn| asked.into_iter().map(|asked| page(conn, asked)).collect()).await
    }
}

fn of_member(
    conn: &mut DbConn,
    chain: &ChainId,
    declared: &[CouponBook],
    OfMember { member, wanted }: &OfMember<CouponCode>,
) -> Result<Page<MemberCouponView>, ReadError> {
    let cards = coupon::of_member(conn, chain, *member, wanted.rows(), wanted.after.as_ref())?;
    let views = cards.into_iter().map(|card| {
        let book = book(conn, chain, declared, card.coupon.book)?;
        Ok(MemberCouponView::of(card, *member, book.as_ref()))
    });
    let views = views.collect::<Result<Vec<_>, ReadError>>()?;
    Ok(wanted.page(views, |view| view.coupon.code.to_string()))
}

fn book(
    conn: &mut DbConn,
    chain: &ChainId,
    declared: &[CouponBook],
    key: CouponBookKey,
) -> Result<Option<CouponBook>, ReadError> {
    if let Some(declared) = declared.iter().find(|book| book.key == key) {
        return Ok(Some(declared.clone()));
    }
    Ok(coupon::get_book(conn, chain, key)?.map(|stored| stored.book))
}
