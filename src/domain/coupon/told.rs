//! What the world is told of coupons: every field of the Events Webhook's `coupon`, `usage` and `couponBook`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use ulid::Ulid;

use super::{
    Attributes, BookType, CouponBook, CouponCode, DiscountType, Holding, Limit, Move, Played, RevertOn, Span,
    Stake, Tally, Usage, UsageKind,
};
use crate::domain::Timestamp;
use crate::domain::ids::{CouponBookKey, CouponUsageKey};
use crate::domain::money::Money;
use crate::domain::text::{Name, Text};

/// Something was done with a coupon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CouponMoved {
    /// The coupon, with its totals before.
    pub coupon: CouponFace,
    /// What was done, with the totals after.
    pub usage: UsageFace,
    /// Its book.
    pub coupon_book: BookFace,
    /// Until when it is kept for the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved_until: Option<Timestamp>,
}

/// A coupon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct CouponFace {
    /// Its code.
    pub code: CouponCode,
    /// The key of its book.
    pub coupon_book_key: CouponBookKey,
    /// When it was made or uploaded.
    pub created_at: Timestamp,
    /// When anything was last done with it.
    pub updated_at: Timestamp,
    /// When it stops being good: by itself, by its book, or because it was assigned so long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired_at: Option<Timestamp>,
    /// How often it was used.
    pub total_usages: u32,
    /// How often it was assigned.
    pub total_assigned: u32,
    /// What the chain keeps beside.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub custom_attributes: Attributes,
}

impl CouponFace {
    /// A coupon as somebody sees it who has this of it.
    pub fn of(stake: &Stake, book: Option<&CouponBook>) -> Self {
        let coupon = &stake.coupon;
        let own = || [coupon.expires_at, stake.holding.expires_at].into_iter().flatten().min();
        Self {
            code: coupon.code.clone(),
            coupon_book_key: coupon.book,
            created_at: coupon.created_at,
            updated_at: coupon.updated_at,
            expired_at: book.map_or_else(own, |book| stake.expires_at(book)),
            total_usages: coupon.total_usages,
            total_assigned: coupon.total_assigned,
            custom_attributes: coupon.custom_attributes.clone(),
        }
    }
}

/// What was done with a coupon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct UsageFace {
    /// Its key; a revert names it.
    pub coupon_usage_key: CouponUsageKey,
    /// When.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// 1 when the coupon was used, or a use of it was taken back.
    pub amount_used: u32,
    /// 1 when the coupon was assigned, or an assignment was taken back; and when it was used by a member to whom it had
    /// been assigned.
    pub amount_assigned: u32,
    /// The use that was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reverted_usage_id: Option<CouponUsageKey>,
    /// What one decision caused together, in the form of a UUID.
    pub system_unique_key: SmolStr,
    /// The member, as in `member.id`.
    pub loyalty_member_id: SmolStr,
    /// Uses of the code after it.
    pub updated_total_usages: u32,
    /// Assignments of the code after it.
    pub updated_total_assigned: u32,
    /// What the sender keeps beside.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub custom_attributes: Attributes,
}

impl UsageFace {
    fn of(usage: &Usage, told: &Telling<'_>) -> Self {
        Self {
            coupon_usage_key: usage.key,
            created_at: usage.at,
            updated_at: usage.at,
            amount_used: usage.amount_used,
            amount_assigned: usage.amount_assigned,
            reverted_usage_id: usage.reverts,
            system_unique_key: uuid(told.cause.0),
            loyalty_member_id: told.member.into(),
            updated_total_usages: usage.total_usages,
            updated_total_assigned: usage.total_assigned,
            custom_attributes: told.custom_attributes.clone(),
        }
    }
}

/// An id in the form that other systems know.
fn uuid(id: u128) -> SmolStr {
    let hex = format!("{id:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-").into()
}

/// What is told beside the move itself.
#[derive(Debug, Clone, Copy)]
pub struct Telling<'a> {
    /// What the chain calls the member.
    pub member: &'a str,
    /// The decision.
    pub cause: Ulid,
    /// What the sender keeps beside.
    pub custom_attributes: &'a Attributes,
}

/// A coupon book.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct BookFace {
    /// Its key.
    pub coupon_book_key: CouponBookKey,
    /// What rules call it; absent for a book that was made over the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Name>,
    /// Its name for people.
    pub name: Name,
    /// Where its codes come from.
    #[serde(rename = "type")]
    pub kind: BookType,
    /// What kind of discount its coupons are worth.
    pub discount_type: DiscountType,
    /// How much, where a number says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount_amount: Option<Money>,
    /// From when its coupons are good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from_date: Option<Timestamp>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_to_date: Option<Timestamp>,
    /// How often one code may be used: a number, or `unlimited`.
    pub usage_limit: Limit,
    /// How often one code may be assigned.
    pub assign_limit: Limit,
    /// How often one member may use, and be assigned, coupons of it.
    pub limit_per_member: Limit,
    /// How long a coupon is good after it was assigned: `30d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Span>,
    /// What must become of the order that used a coupon for the use to be taken back.
    pub revert_on: RevertOn,
    /// For people; may be HTML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<4000>>,
    /// A picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture_url: Option<Text<1000>>,
    /// What another system calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<Name>,
    /// For sorting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Name>,
    /// What the chain keeps beside.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub custom_attributes: Attributes,
}

impl From<&CouponBook> for BookFace {
    fn from(book: &CouponBook) -> Self {
        let details = book.details.clone();
        Self {
            coupon_book_key: book.key,
            id: book.id.clone(),
            name: book.name.clone(),
            kind: book.kind,
            discount_type: book.discount.kind(),
            discount_amount: book.discount.amount(),
            valid_from_date: book.valid_from,
            valid_to_date: book.valid_to,
            usage_limit: book.limits.usage_limit,
            assign_limit: book.limits.assign_limit,
            limit_per_member: book.limits.limit_per_member,
            expires_after: book.expires_after,
            revert_on: book.revert_on,
            description: details.description,
            picture_url: details.picture_url,
            external_id: details.external_id,
            tags: details.tags,
            custom_attributes: details.custom_attributes,
        }
    }
}

impl CouponMoved {
    /// What is told of a move.
    pub fn of(book: &CouponBook, played: &Played, telling: &Telling<'_>) -> Self {
        let Played { before, after, usage } = played;
        let kept = || after.coupon.reservations.iter().find(|kept| kept.member == usage.member);
        let expired_at = after.expires_at(book); // an assignment may have set it
        Self {
            coupon: CouponFace { expired_at, ..CouponFace::of(before, Some(book)) },
            usage: UsageFace::of(usage, telling),
            coupon_book: book.into(),
            reserved_until: (usage.kind == UsageKind::Reserved).then(kept).flatten().map(|kept| kept.until),
        }
    }

    /// A made-up one.
    pub(in crate::domain) fn example(
        book: &CouponBook,
        code: CouponCode,
        kind: UsageKind,
        at: Timestamp,
    ) -> Self {
        let hand = |n| super::Hand {
            key: CouponUsageKey::derived(book.key.ulid(), n),
            member: crate::domain::ids::MemberId::new(book.key.ulid()),
            now: at,
        };
        let new = Stake {
            coupon: super::Coupon::fresh(code, book.key, at),
            holding: Holding::default(),
            tally: Tally::default(),
        };
        let until = at + Span::QUARTER.duration();
        let play = |stake: &Stake, n, what: Move<'_>| {
            let (after, usage) =
                stake.play(book, hand(n), what).unwrap_or_else(|_| unreachable!("the examples are valid"));
            Played { before: stake.clone(), after, usage }
        };
        let assigned = play(&new, 0, Move::Assign);
        let played = match kind {
            UsageKind::Assigned => assigned,
            UsageKind::Reserved => play(&assigned.after, 1, Move::Reserve { until }),
            UsageKind::Released => {
                let reserved = play(&assigned.after, 1, Move::Reserve { until });
                play(&reserved.after, 2, Move::Release)
            }
            UsageKind::Used => play(&assigned.after, 1, Move::Use),
            UsageKind::Reverted => {
                let used = play(&assigned.after, 1, Move::Use);
                play(&used.after, 2, Move::Revert(&used.usage))
            }
            UsageKind::Withdrawn => play(&assigned.after, 1, Move::Withdraw),
        };
        let telling = Telling {
            member: "m-42",
            cause: book.key.ulid(),
            custom_attributes: &book.details.custom_attributes,
        };
        Self::of(book, &played, &telling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_other_systems_know_it() {
        assert_eq!(&*uuid(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef), "01234567-89ab-cdef-0123-456789abcdef");
        assert_eq!(&*uuid(7), "00000000-0000-0000-0000-000000000007");
    }
}
