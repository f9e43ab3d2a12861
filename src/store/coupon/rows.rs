//! The rows of coupons and what belongs to them.

use diesel::prelude::*;

use crate::domain::chain::ChainId;
use crate::domain::coupon::{Attributes, Card, Coupon, CouponCode, Holding, Tally, Usage, Worth};
use crate::domain::ids::{CouponBookKey, MemberId};
use crate::domain::json::to_json;
use crate::store::error::StoreError;
use crate::store::row::Row;
use crate::store::schema::{coupon_holdings, coupon_tallies, coupon_usages, coupons};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = coupons, treat_none_as_default_value = false)]
pub(in crate::store) struct CouponRow {
    pub(super) chain: String,
    pub(super) code: String,
    book: String,
    version: i64,
    is_free: bool,
    total_usages: i64,
    total_assigned: i64,
    expires_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    reservations: Option<String>,
    /// Until when the last of them lasts.
    reserved_until: Option<i64>,
    custom_attributes: Option<String>,
}

impl CouponRow {
    /// The row after a commit that was decided from `coupon.version`.
    pub(in crate::store) fn after(chain: &ChainId, coupon: &Coupon) -> Self {
        let attributes = &coupon.custom_attributes;
        Self {
            chain: chain.to_string(),
            code: coupon.code.to_string(),
            book: coupon.book.to_string(),
            version: coupon.version + 1,
            is_free: coupon.is_nobodys(),
            total_usages: coupon.total_usages.into(),
            total_assigned: coupon.total_assigned.into(),
            expires_at: coupon.expires_at.map(|at| at.timestamp_micros()),
            created_at: coupon.created_at.timestamp_micros(),
            updated_at: coupon.updated_at.timestamp_micros(),
            reservations: (!coupon.reservations.is_empty()).then(|| to_json(&coupon.reservations)),
            reserved_until: coupon.reserved_until().map(|at| at.timestamp_micros()),
            custom_attributes: (!attributes.is_empty()).then(|| to_json(attributes)),
        }
    }

    /// The order in which coupons are written, the same in every transaction.
    pub(in crate::store) fn key(&self) -> (&str, &str) {
        (&self.chain, &self.code)
    }

    pub(super) fn read(self) -> Result<Coupon, StoreError> {
        let row = Row { table: "coupons", id: &self.code };
        let reservations =
            self.reservations.as_deref().map(|text| row.json("reservations", text)).transpose()?;
        let attributes = self.custom_attributes.as_deref();
        let attributes: Option<Attributes> =
            attributes.map(|text| row.json("custom_attributes", text)).transpose()?;
        Ok(Coupon {
            code: row.parse("code", &self.code)?,
            book: row.parse("book", &self.book)?,
            created_at: row.time("created_at", self.created_at)?,
            updated_at: row.time("updated_at", self.updated_at)?,
            expires_at: row.time_opt("expires_at", self.expires_at)?,
            total_usages: row.number("total_usages", self.total_usages)?,
            total_assigned: row.number("total_assigned", self.total_assigned)?,
            reservations: reservations.unwrap_or_default(),
            custom_attributes: attributes.unwrap_or_default(),
            version: self.version,
        })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = coupon_holdings, treat_none_as_default_value = false)]
pub(in crate::store) struct HoldingRow {
    pub(super) chain: String,
    pub(super) member: String,
    pub(super) code: String,
    book: String,
    assigned: i64,
    used: i64,
    expires_at: Option<i64>,
    worth_until: Option<i64>,
}

/// `worth_until` of what has no end: later than any instant.
pub(super) const LASTING: i64 = i64::MAX;

impl HoldingRow {
    pub(in crate::store) fn of(chain: &ChainId, member: MemberId, card: &Card) -> Self {
        let Card { coupon, holding } = card;
        Self {
            chain: chain.to_string(),
            member: member.to_string(),
            code: coupon.code.to_string(),
            book: coupon.book.to_string(),
            assigned: holding.assigned.into(),
            used: holding.used.into(),
            expires_at: holding.expires_at.map(|at| at.timestamp_micros()),
            worth_until: match holding.worth {
                Worth::Nothing => None,
                Worth::Until(instant) => Some(instant.timestamp_micros()),
                Worth::Lasting => Some(LASTING),
            },
        }
    }

    /// The order in which holdings are written, the same in every transaction.
    pub(in crate::store) fn key(&self) -> (&str, &str, &str) {
        (&self.chain, &self.member, &self.code)
    }

    pub(super) fn read(self) -> Result<(CouponCode, Holding), StoreError> {
        let row = Row { table: "coupon_holdings", id: &self.code };
        let holding = Holding {
            assigned: row.number("assigned", self.assigned)?,
            used: row.number("used", self.used)?,
            expires_at: row.time_opt("expires_at", self.expires_at)?,
            worth: match self.worth_until {
                None => Worth::Nothing,
                Some(LASTING) => Worth::Lasting,
                Some(micros) => Worth::Until(row.time("worth_until", micros)?),
            },
        };
        Ok((row.parse("code", &self.code)?, holding))
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = coupon_tallies, treat_none_as_default_value = false)]
pub(in crate::store) struct TallyRow {
    pub(super) chain: String,
    pub(super) member: String,
    pub(super) book: String,
    assigned: i64,
    used: i64,
}

impl TallyRow {
    pub(in crate::store) fn of(chain: &ChainId, member: MemberId, book: CouponBookKey, tally: Tally) -> Self {
        Self {
            chain: chain.to_string(),
            member: member.to_string(),
            book: book.to_string(),
            assigned: tally.assigned.into(),
            used: tally.used.into(),
        }
    }

    /// The order in which tallies are written, the same in every transaction.
    pub(in crate::store) fn key(&self) -> (&str, &str, &str) {
        (&self.chain, &self.member, &self.book)
    }

    pub(super) fn read(self) -> Result<Tally, StoreError> {
        let row = Row { table: "coupon_tallies", id: &self.member };
        Ok(Tally { assigned: row.number("assigned", self.assigned)?, used: row.number("used", self.used)? })
    }
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = coupon_usages, treat_none_as_default_value = false)]
pub(in crate::store) struct UsageRow {
    pub(super) chain: String,
    pub(super) key: String,
    code: String,
    member: String,
    kind: String,
    amount_used: i64,
    amount_assigned: i64,
    total_usages: i64,
    total_assigned: i64,
    reverts: Option<String>,
    reverted_by: Option<String>,
    at: i64,
}

impl UsageRow {
    pub(in crate::store) fn of(chain: &ChainId, usage: &Usage) -> Self {
        Self {
            chain: chain.to_string(),
            key: usage.key.to_string(),
            code: usage.code.to_string(),
            member: usage.member.to_string(),
            kind: usage.kind.as_str().to_owned(),
            amount_used: usage.amount_used.into(),
            amount_assigned: usage.amount_assigned.into(),
            total_usages: usage.total_usages.into(),
            total_assigned: usage.total_assigned.into(),
            reverts: usage.reverts.map(|key| key.to_string()),
            reverted_by: usage.reverted_by.map(|key| key.to_string()),
            at: usage.at.timestamp_micros(),
        }
    }

    /// The order in which usages are written, the same in every transaction.
    pub(in crate::store) fn key(&self) -> (&str, &str) {
        (&self.chain, &self.key)
    }

    pub(super) fn read(self) -> Result<Usage, StoreError> {
        let row = Row { table: "coupon_usages", id: &self.key };
        Ok(Usage {
            key: row.parse("key", &self.key)?,
            code: row.parse("code", &self.code)?,
            member: row.parse("member", &self.member)?,
            kind: row.check("kind", self.kind.parse())?,
            at: row.time("at", self.at)?,
            amount_used: row.number("amount_used", self.amount_used)?,
            amount_assigned: row.number("amount_assigned", self.amount_assigned)?,
            reverts: row.parse_opt("reverts", self.reverts.as_deref())?,
            reverted_by: row.parse_opt("reverted_by", self.reverted_by.as_deref())?,
            total_usages: row.number("total_usages", self.total_usages)?,
            total_assigned: row.number("total_assigned", self.total_assigned)?,
        })
    }
}
