//! What people and tills ask of coupons.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{Attributes, CouponBook, CouponCode, MOST_ENTRIES};
use crate::domain::Timestamp;
use crate::domain::command::CommandType;
use crate::domain::ids::{CouponBookKey, CouponUsageKey};
use crate::domain::json;
use crate::domain::source_event::BadEvent;
use crate::domain::text::Name;

/// What is to be done with a coupon, for the member whom the command names.
#[derive(Debug, Clone, PartialEq)]
pub struct CouponCommand {
    /// What.
    pub task: CouponTask,
    /// What the sender keeps beside; told with the usage.
    pub custom_attributes: Attributes,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CouponTask {
    /// Give this one to the member.
    Assign(CouponCode),
    /// Give one of this book to the member.
    AssignFrom(CouponBookKey),
    /// Keep a use for the member.
    Reserve {
        /// Of which coupon.
        code: CouponCode,
        /// Until when; `None` = a quarter of an hour.
        until: Option<Timestamp>,
    },
    /// Keep it no longer.
    Release(CouponCode),
    /// Use it.
    Use(CouponCode),
    /// Take back a use.
    Revert {
        /// Of which coupon.
        code: CouponCode,
        /// Which use.
        usage: CouponUsageKey,
    },
}

/// The `data` of `coupon.assign`: either a code or a book.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CouponAssignment")]
pub struct AssignBody {
    /// This very coupon.
    #[serde(default)]
    code: Option<CouponCode>,
    /// One that is still nobody's, of this book: its key, or its id in `program.toml`.
    #[serde(default)]
    book: Option<Name>,
    /// What the chain keeps beside.
    #[serde(default)]
    custom_attributes: Attributes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReserveBody {
    code: CouponCode,
    #[serde(default, deserialize_with = "instant")]
    until: Option<Timestamp>,
    #[serde(default)]
    custom_attributes: Attributes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    code: CouponCode,
    #[serde(default)]
    custom_attributes: Attributes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevertBody {
    code: CouponCode,
    usage: CouponUsageKey,
    #[serde(default)]
    custom_attributes: Attributes,
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    const WANTED: &str = "an RFC 3339 instant with its offset, such as 2026-03-03T18:30:00Z";
    json::from_text(deserializer, WANTED).map(Some)
}

/// The key of the book that goes by `name`: its key, or the id under which `program.toml` declares it.
pub fn book_called(name: &Name) -> CouponBookKey {
    name.parse().unwrap_or_else(|_| CouponBook::declared_key(name))
}

impl CouponCommand {
    /// Its type.
    pub const fn kind(&self) -> CommandType {
        match self.task {
            CouponTask::Assign(_) | CouponTask::AssignFrom(_) => CommandType::AssignCoupon,
            CouponTask::Reserve { .. } => CommandType::ReserveCoupon,
            CouponTask::Release(_) => CommandType::ReleaseCoupon,
            CouponTask::Use(_) => CommandType::UseCoupon,
            CouponTask::Revert { .. } => CommandType::RevertCoupon,
        }
    }

    /// Gives a coupon away.
    pub(in crate::domain) fn assign(raw: &str) -> Result<Self, BadEvent> {
        let body: AssignBody = json::object(raw, "data")?;
        let task = match (body.code, body.book) {
            (Some(code), None) => CouponTask::Assign(code),
            (None, Some(book)) => CouponTask::AssignFrom(book_called(&book)),
            _ => return Err(BadEvent::field("data.code", "give either `code` or `book`")),
        };
        Self::of(task, body.custom_attributes)
    }

    /// Keeps a use.
    pub(in crate::domain) fn reserve(raw: &str) -> Result<Self, BadEvent> {
        let body: ReserveBody = json::object(raw, "data")?;
        Self::of(CouponTask::Reserve { code: body.code, until: body.until }, body.custom_attributes)
    }

    /// Keeps it no longer.
    pub(in crate::domain) fn release(raw: &str) -> Result<Self, BadEvent> {
        let body: CodeBody = json::object(raw, "data")?;
        Self::of(CouponTask::Release(body.code), body.custom_attributes)
    }

    /// Uses it.
    pub(in crate::domain) fn use_up(raw: &str) -> Result<Self, BadEvent> {
        let body: CodeBody = json::object(raw, "data")?;
        Self::of(CouponTask::Use(body.code), body.custom_attributes)
    }

    /// Takes back a use.
    pub(in crate::domain) fn revert(raw: &str) -> Result<Self, BadEvent> {
        let body: RevertBody = json::object(raw, "data")?;
        Self::of(CouponTask::Revert { code: body.code, usage: body.usage }, body.custom_attributes)
    }

    fn of(task: CouponTask, custom_attributes: Attributes) -> Result<Self, BadEvent> {
        if custom_attributes.len() > MOST_ENTRIES {
            let problem = format!("must have at most {MOST_ENTRIES} entries");
            return Err(BadEvent::field("data.custom_attributes", problem));
        }
        Ok(Self { task, custom_attributes })
    }
}
