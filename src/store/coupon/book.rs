//! Coupon books that were made over the API.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::coupon::{
    BookDetails, BookType, CouponBook, Discount, DiscountType, Limits, RevertOn, Span,
};
use crate::domain::ids::CouponBookKey;
use crate::domain::json::to_json;
use crate::domain::money::Money;
use crate::domain::text::Name;
use crate::store::connection::{DbConn, on_backend};
use crate::store::error::StoreError;
use crate::store::row::Row;
use crate::store::schema::coupon_books;

/// A book, and since when there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredBook {
    /// The book.
    pub book: CouponBook,
    /// When it was made.
    pub created_at: Timestamp,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = coupon_books)]
struct BookRow {
    chain: String,
    key: String,
    state: String,
    created_at: i64,
}

#[derive(Serialize, Deserialize)]
struct State {
    name: Name,
    kind: BookType,
    discount_type: DiscountType,
    discount_amount: Option<Money>,
    valid_from: Option<Timestamp>,
    valid_to: Option<Timestamp>,
    limits: Limits,
    expires_after: Option<Span>,
    revert_on: RevertOn,
    details: BookDetails,
}

impl BookRow {
    fn of(chain: &ChainId, stored: &StoredBook) -> Self {
        let book = stored.book.clone();
        let state = State {
            name: book.name,
            kind: book.kind,
            discount_type: book.discount.kind(),
            discount_amount: book.discount.amount(),
            valid_from: book.valid_from,
            valid_to: book.valid_to,
            limits: book.limits,
            expires_after: book.expires_after,
            revert_on: book.revert_on,
            details: book.details,
        };
        Self {
            chain: chain.to_string(),
            key: book.key.to_string(),
            state: to_json(&state),
            created_at: stored.created_at.timestamp_micros(),
        }
    }

    fn read(self) -> Result<StoredBook, StoreError> {
        let row = Row { table: "coupon_books", id: &self.key };
        let state: State = row.json("state", &self.state)?;
        let book = CouponBook {
            key: row.parse("key", &self.key)?,
            id: None,
            name: state.name,
            kind: state.kind,
            discount: row.check("state", Discount::of(state.discount_type, state.discount_amount))?,
            valid_from: state.valid_from,
            valid_to: state.valid_to,
            limits: state.limits,
            expires_after: state.expires_after,
            revert_on: state.revert_on,
            details: state.details,
        };
        Ok(StoredBook { book, created_at: row.time("created_at", self.created_at)? })
    }
}

/// Stores a new book. Answers whether there was none of its key.
pub fn insert(conn: &mut DbConn, chain: &ChainId, book: &StoredBook) -> Result<bool, StoreError> {
    let row = BookRow::of(chain, book);
    let inserted = on_backend!(conn, |c| diesel::insert_into(coupon_books::table)
        .values(&row)
        .on_conflict((coupon_books::chain, coupon_books::key))
        .do_nothing()
        .execute(c))?;
    Ok(inserted == 1)
}

/// One book.
pub fn get(conn: &mut DbConn, chain: &ChainId, key: CouponBookKey) -> Result<Option<StoredBook>, StoreError> {
    let row = coupon_books::table
        .find((chain.as_str(), key.to_string()))
        .select(BookRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(BookRow::read).transpose()
}

/// Books, newest first, from before `after`.
pub fn books(
    conn: &mut DbConn,
    chain: &ChainId,
    limit: i64,
    after: Option<CouponBookKey>,
) -> Result<Vec<StoredBook>, StoreError> {
    let mut query = coupon_books::table
        .filter(coupon_books::chain.eq(chain.as_str()))
        .select(BookRow::as_select())
        .order(coupon_books::key.desc())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(coupon_books::key.lt(after.to_string()));
    }
    query.load(conn)?.into_iter().map(BookRow::read).collect()
}
