//! Books of coupons: what all coupons of a book have in common.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use chrono::Duration;
use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::domain::Timestamp;
use crate::domain::ids::CouponBookKey;
use crate::domain::money::Money;
use crate::domain::text::{Name, Note, Text};

/// The most entries of `tags` and of `custom_attributes`.
pub const MOST_ENTRIES: usize = 50;

/// What the chain keeps beside, for itself.
pub type Attributes = BTreeMap<Name, Note>;

/// Where the codes of a book come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum BookType {
    /// The engine makes them, as many as are wanted.
    Generated,
    /// Somebody else made them, and they were uploaded.
    Uploaded,
}

impl BookType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Generated, Self::Uploaded];

    /// The word used in JSON and in `program.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Uploaded => "uploaded",
        }
    }
}

/// What must become of the order that used a coupon for the use to be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum RevertOn {
    /// Nothing: what is used is used.
    Never,
    /// It is cancelled.
    #[default]
    Cancel,
    /// It is cancelled, or all of it is refunded.
    Refund,
}

impl RevertOn {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Never, Self::Cancel, Self::Refund];

    /// The word used in JSON and in `program.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Cancel => "cancel",
            Self::Refund => "refund",
        }
    }
}

/// The kinds of discounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum DiscountType {
    /// So much of a hundred.
    Percentage,
    /// Money.
    Amount,
    /// Something for nothing.
    FreeItem,
    /// The till knows.
    Other,
}

impl DiscountType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Percentage, Self::Amount, Self::FreeItem, Self::Other];

    /// The word used in JSON and in `program.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Percentage => "percentage",
            Self::Amount => "amount",
            Self::FreeItem => "free_item",
            Self::Other => "other",
        }
    }
}

/// What a coupon is worth. The till takes it off; the engine only says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discount {
    /// So much of a hundred: more than 0, at most 100.
    Percentage(Decimal),
    /// Money, more than nothing.
    Amount(Money),
    /// Something for nothing.
    FreeItem,
    /// The till knows; perhaps with a number.
    Other(Option<Money>),
}

/// Why there is no such discount. Names the field at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadDiscount {
    /// Not a part of a hundred.
    #[error("must be more than 0 and at most 100 for a percentage")]
    Percentage,
    /// Nothing, or less.
    #[error("must be more than 0 for an amount")]
    Amount,
    /// Something else is given away than a number could say.
    #[error("means nothing for a free item; leave it out")]
    FreeItem,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
}

impl Discount {
    /// Puts the two halves together.
    ///
    /// # Errors
    /// What is wrong with the amount.
    pub fn of(kind: DiscountType, amount: Option<Money>) -> Result<Self, BadDiscount> {
        match (kind, amount) {
            (DiscountType::Percentage, Some(share)) => {
                let share = share.decimal();
                let is_share = share > Decimal::ZERO && share <= Decimal::ONE_HUNDRED;
                is_share.then_some(Self::Percentage(share)).ok_or(BadDiscount::Percentage)
            }
            (DiscountType::Percentage, None) => Err(BadDiscount::Percentage),
            (DiscountType::Amount, Some(amount)) if amount > Money::ZERO => Ok(Self::Amount(amount)),
            (DiscountType::Amount, _) => Err(BadDiscount::Amount),
            (DiscountType::FreeItem, None) => Ok(Self::FreeItem),
            (DiscountType::FreeItem, Some(_)) => Err(BadDiscount::FreeItem),
            (DiscountType::Other, Some(amount)) if amount < Money::ZERO => Err(BadDiscount::Negative),
            (DiscountType::Other, amount) => Ok(Self::Other(amount)),
        }
    }

    /// Its kind.
    pub const fn kind(self) -> DiscountType {
        match self {
            Self::Percentage(_) => DiscountType::Percentage,
            Self::Amount(_) => DiscountType::Amount,
            Self::FreeItem => DiscountType::FreeItem,
            Self::Other(_) => DiscountType::Other,
        }
    }

    /// How much, where a number says it.
    pub const fn amount(self) -> Option<Money> {
        match self {
            Self::Percentage(share) => Some(Money::new(share)),
            Self::Amount(amount) => Some(amount),
            Self::FreeItem => None,
            Self::Other(amount) => amount,
        }
    }
}

/// How often something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// As often as anybody likes.
    Unlimited,
    /// So often.
    AtMost(NonZeroU32),
}

impl Limit {
    /// Once.
    pub const ONCE: Self = Self::AtMost(NonZeroU32::MIN);
    const UNLIMITED: &'static str = "unlimited";

    /// Whether it was done as often as it may be.
    pub const fn is_reached_by(self, times: u32) -> bool {
        match self {
            Self::Unlimited => false,
            Self::AtMost(limit) => times >= limit.get(),
        }
    }
}

/// Why a text or number is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number from 1, or \"unlimited\"")]
pub struct BadLimit;

impl TryFrom<i64> for Limit {
    type Error = BadLimit;
    fn try_from(times: i64) -> Result<Self, BadLimit> {
        u32::try_from(times).ok().and_then(NonZeroU32::new).map(Self::AtMost).ok_or(BadLimit)
    }
}

impl FromStr for Limit {
    type Err = BadLimit;
    fn from_str(word: &str) -> Result<Self, BadLimit> {
        (word == Self::UNLIMITED).then_some(Self::Unlimited).ok_or(BadLimit)
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unlimited => serializer.serialize_str(Self::UNLIMITED),
            Self::AtMost(limit) => serializer.serialize_u32(limit.get()),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Limit;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number from 1, or \"unlimited\"")
            }
            fn visit_i64<E: serde::de::Error>(self, times: i64) -> Result<Limit, E> {
                times.try_into().map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, times: u64) -> Result<Limit, E> {
                i64::try_from(times).map_err(|_| BadLimit).and_then(Limit::try_from).map_err(E::custom)
            }
            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Limit, E> {
                word.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"] })
    }
}

/// A length of time of whole minutes, hours or days, written `15m`, `48h` or `30d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    count: u16,
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Minutes,
    Hours,
    Days,
}

/// Why a text is no length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a length of time such as 15m, 48h or 30d")]
pub struct BadSpan;

impl Span {
    /// A quarter of an hour: how long a coupon is reserved unless somebody says otherwise.
    pub const QUARTER: Self = Self { count: 15, unit: Unit::Minutes };

    /// As a duration. Days are of 24 hours.
    pub fn duration(self) -> Duration {
        let count = i64::from(self.count);
        match self.unit {
            Unit::Minutes => Duration::minutes(count),
            Unit::Hours => Duration::hours(count),
            Unit::Days => Duration::days(count),
        }
    }
}

impl FromStr for Span {
    type Err = BadSpan;
    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let unit = match text.chars().last() {
            Some('m') => Unit::Minutes,
            Some('h') => Unit::Hours,
            Some('d') => Unit::Days,
            _ => return Err(BadSpan),
        };
        let digits = &text[..text.len() - 1];
        let count =
            Some(digits).filter(|d| d.bytes().all(|b| b.is_ascii_digit())).and_then(|d| d.parse().ok());
        count.filter(|count| *count > 0).map(|count| Self { count, unit }).ok_or(BadSpan)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Minutes => 'm',
            Unit::Hours => 'h',
            Unit::Days => 'd',
        };
        write!(f, "{}{unit}", self.count)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::domain::json::from_text(deserializer, "a length of time such as 15m, 48h or 30d")
    }
}

impl JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+[mhd]$" })
    }
}

/// What limits the coupons of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// How often one code may be used, by all members together.
    pub usage_limit: Limit,
    /// How often one code may be assigned. A code whose assignments are limited belongs to those it was assigned to;
    /// others may use a code as soon as they know it.
    pub assign_limit: Limit,
    /// How often one member may use, and be assigned, coupons of this book, whatever their codes.
    pub limit_per_member: Limit,
}

impl Default for Limits {
    /// A coupon is for one guest, once.
    fn default() -> Self {
        Self { usage_limit: Limit::ONCE, assign_limit: Limit::ONCE, limit_per_member: Limit::Unlimited }
    }
}

/// What all coupons of a book have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct CouponBook {
    /// Its key, unique within the chain.
    pub key: CouponBookKey,
    /// What rules call it. Only books of `program.toml` have that; those made over the API belong to people.
    pub id: Option<Name>,
    /// Its name for people.
    pub name: Name,
    /// Where its codes come from.
    pub kind: BookType,
    /// What its coupons are worth.
    pub discount: Discount,
    /// Its coupons are not good before this instant.
    pub valid_from: Option<Timestamp>,
    /// Its coupons are not good from this instant on.
    pub valid_to: Option<Timestamp>,
    /// How often they may be used and assigned.
    pub limits: Limits,
    /// How long a coupon is good for a member after it was assigned to them.
    pub expires_after: Option<Span>,
    /// When a use goes back with its order.
    pub revert_on: RevertOn,
    /// Whatever else.
    pub details: BookDetails,
}

/// What the engine hands on and never looks at.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct BookDetails {
    /// For people; may be HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<4000>>,
    /// A picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture_url: Option<Text<1000>>,
    /// What another system calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<Name>,
    /// For sorting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Name>,
    /// What the chain keeps beside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_attributes: Attributes,
}

/// Why there is no such book. Names the field at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BadBook {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it and what would be right.
    pub problem: &'static str,
}

impl CouponBook {
    /// Refuses what contradicts itself or has no bounds.
    ///
    /// # Errors
    /// The first field at fault.
    pub fn checked(self) -> Result<Self, BadBook> {
        let bad = |field, problem| Err(BadBook { field, problem });
        if let (Some(from), Some(to)) = (self.valid_from, self.valid_to)
            && from >= to
        {
            return bad("valid_to_date", "must lie after `valid_from_date`");
        }
        if self.details.tags.len() > MOST_ENTRIES {
            return bad("tags", "must have at most 50 entries");
        }
        if self.details.custom_attributes.len() > MOST_ENTRIES {
            return bad("custom_attributes", "must have at most 50 entries");
        }
        Ok(self)
    }

    /// The key of the book that `program.toml` declares under `id`: the same in every version.
    pub fn declared_key(id: &Name) -> CouponBookKey {
        let digest = Sha256::new_with_prefix(b"coupon book").chain_update(id.as_bytes()).finalize();
        let (half, _) = digest.split_at(16);
        CouponBookKey::new(Ulid(half.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte))))
    }

    /// When a coupon of this book that was assigned at `at` stops being good for that member.
    pub fn expiry_of_assignment(&self, at: Timestamp) -> Option<Timestamp> {
        self.expires_after.and_then(|span| at.checked_add_signed(span.duration()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discount_has_an_amount_where_one_makes_sense() {
        let of = |kind, amount: Option<&str>| Discount::of(kind, amount.map(|a| a.parse().unwrap()));
        assert_eq!(of(DiscountType::Percentage, Some("20")), Ok(Discount::Percentage(20.into())));
        for bad in [None, Some("0"), Some("-5"), Some("100.5")] {
            assert_eq!(of(DiscountType::Percentage, bad), Err(BadDiscount::Percentage), "{bad:?}");
        }
        assert_eq!(of(DiscountType::Amount, Some("0")), Err(BadDiscount::Amount));
        assert_eq!(of(DiscountType::FreeItem, None), Ok(Discount::FreeItem));
        assert_eq!(of(DiscountType::FreeItem, Some("1")), Err(BadDiscount::FreeItem));
        assert_eq!(of(DiscountType::Other, None), Ok(Discount::Other(None)));
        assert_eq!(of(DiscountType::Other, Some("-1")), Err(BadDiscount::Negative));
    }

    #[test]
    fn limits_and_spans_survive_their_text() {
        for text in ["1", "4294967295", "\"unlimited\""] {
            let limit: Limit = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&limit).unwrap(), text);
        }
        for bad in ["0", "-1", "4294967296", "\"never\"", "1.5", "null"] {
            assert!(serde_json::from_str::<Limit>(bad).is_err(), "{bad}");
        }
        for text in ["15m", "48h", "30d"] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), text);
        }
        for bad in ["", "m", "0d", "-1d", "1w", "70000d", "1é", "+1d"] {
            assert_eq!(bad.parse::<Span>(), Err(BadSpan), "{bad}");
        }
    }

    #[test]
    fn a_declared_book_has_one_key_for_ever() {
        let key = |id: &str| CouponBook::declared_key(&Name::parse(id).unwrap());
        assert_eq!(key("welcome"), key("welcome"));
        assert_ne!(key("welcome"), key("birthday"));
        assert_eq!(key("welcome").to_string().parse(), Ok(key("welcome")));
    }
}
