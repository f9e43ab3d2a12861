//! A member's coupons.

use async_graphql::{ID, Json, SimpleObject};
use serde_json::Value;

use super::scalars::DateTime;
use crate::http::problem::Problem;
use crate::read::ReadError;
use crate::read::coupon::MemberCouponView;

/// A coupon of a member.
#[derive(SimpleObject)]
pub(super) struct MemberCoupon {
    /// Its code.
    code: String,
    /// The key of its book.
    coupon_book_key: ID,
    /// Its book's name for people; null when the program does not declare it any more.
    name: Option<String>,
    /// How often it was assigned to the member.
    assigned: u32,
    /// How often they used it, less what was taken back.
    used: u32,
    /// Until when a use of it is kept for them.
    reserved_until: Option<DateTime>,
    /// When it stops being good.
    expired_at: Option<DateTime>,
    /// When it was made or uploaded.
    created_at: DateTime,
    /// When anything was last done with it.
    updated_at: DateTime,
    /// Its book, as REST shows it.
    coupon_book: Option<Json<Value>>,
}

impl MemberCoupon {
    pub(super) fn of(view: MemberCouponView) -> Result<Self, Problem> {
        let book = view.coupon_book.as_ref().map(serde_json::to_value).transpose();
        Ok(Self {
            code: view.coupon.code.to_string(),
            coupon_book_key: view.coupon.coupon_book_key.into(),
            name: view.coupon_book.as_ref().map(|book| book.name.to_string()),
            assigned: view.assigned,
            used: view.used,
            reserved_until: view.reserved_until.map(Into::into),
            expired_at: view.coupon.expired_at.map(Into::into),
            created_at: view.coupon.created_at.into(),
            updated_at: view.coupon.updated_at.into(),
            coupon_book: book.map_err(|_| ReadError::Corrupt("coupon book"))?.map(Json),
        })
    }
}
