//! The receipt: what a POS is told about its event, and what a repeat of the same event is told again.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;
use smol_str::SmolStr;

use super::Timestamp;
use super::coupon::{CouponCode, CouponMoved, DiscountType};
use super::effect::RuleFailure;
use super::ids::{CouponUsageKey, EventId, RedemptionId, SourceId};
use super::json::to_json;
use super::member::MemberFace;
use super::money::Money;
use super::redemption::{RedemptionStatus, RedemptionTold};
use super::refusal::Refused;
use super::text::{Key, Name};

/// What became of a source event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, PartialOrd, Ord, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceStatus {
    /// Durable, not yet decided (`Prefer: respond-async`).
    Accepted,
    /// Decided; everything applied.
    Processed,
    /// No member yet; kept until somebody claims it.
    Parked,
    /// A rule failed; the other rules' effects stand and the failed rules can be run again.
    Failed,
    /// It was kept for later, and could not be done then: nothing of it was. It can be tried again.
    Refused,
}

impl SourceStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Accepted, Self::Processed, Self::Parked, Self::Failed, Self::Refused];

    /// The word used in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Processed => "processed",
            Self::Parked => "parked",
            Self::Failed => "failed",
            Self::Refused => "refused",
        }
    }
}

impl FromStr for SourceStatus {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|s| s.as_str() == word).ok_or(())
    }
}

/// One effect, as a till prints it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EffectLine {
    /// The rule that asked for it.
    pub rule: SmolStr,
    /// `file:line`.
    pub at: SmolStr,
    /// `award`, `set_tier`, …
    pub effect: &'static str,
    /// Points moved, or how many were counted, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// The wallet they moved in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet: Option<Name>,
    /// The tier, status, achievement, counter, mark or event, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Name>,
    /// The campaign, if it is part of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Name>,
}

/// One loyalty event that came of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EventLine {
    /// Its id.
    pub id: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What a till wants of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<LineData>,
}

/// What a till wants of a loyalty event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum LineData {
    /// Of movements of points.
    Points(PointsLine),
    /// Of coupons.
    Coupon(Box<CouponLine>),
    /// Of redemptions.
    Redemption(Box<RedemptionLine>),
}

/// A coupon in a receipt: what the till prints, what it takes off, and what a revert must name.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct CouponLine {
    /// The code.
    pub code: CouponCode,
    /// The key of what was done.
    pub coupon_usage_key: CouponUsageKey,
    /// The name of its book.
    pub name: Name,
    /// What kind of discount it is worth.
    pub discount_type: DiscountType,
    /// How much, where a number says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount_amount: Option<Money>,
    /// When it stops being good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired_at: Option<Timestamp>,
    /// Until when it is kept for the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved_until: Option<Timestamp>,
}

impl CouponLine {
    /// What matters of what is told.
    pub fn of(moved: &CouponMoved) -> Self {
        Self {
            code: moved.coupon.code.clone(),
            coupon_usage_key: moved.usage.coupon_usage_key,
            name: moved.coupon_book.name.clone(),
            discount_type: moved.coupon_book.discount_type,
            discount_amount: moved.coupon_book.discount_amount,
            expired_at: moved.coupon.expired_at,
            reserved_until: moved.reserved_until,
        }
    }
}

/// A movement of points in a receipt.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct PointsLine {
    /// How many.
    pub amount: i64,
    /// The balance after it.
    pub new_balance: i64,
}

/// A redemption in a receipt: what the till prints, and what the next step must name.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RedemptionLine {
    /// Its id.
    pub redemption_id: RedemptionId,
    /// The reward's id.
    pub reward: Name,
    /// Where it stands.
    pub status: RedemptionStatus,
}

impl RedemptionLine {
    /// What matters of what is told.
    pub fn of(told: &RedemptionTold) -> Self {
        Self { redemption_id: told.redemption_id, reward: told.reward.id.clone(), status: told.status }
    }
}

/// The answer to a source event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Receipt {
    /// Our id of the source event.
    pub id: SourceId,
    /// The POS's key of it.
    pub key: Key,
    /// What became of it.
    pub status: SourceStatus,
    /// Whether this answers a repeat. In the store always `false`; [`Receipt::as_duplicate`] rewrites the text.
    pub duplicate: bool,
    /// The version of the program that decided; 0 for a chain without a program.
    pub program_version: i64,
    /// The member after it; absent while parked or undecided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberFace>,
    /// What the rules did.
    pub effects: Vec<EffectLine>,
    /// What was told to the world.
    pub events: Vec<EventLine>,
    /// The rules that failed.
    pub errors: Vec<RuleFailure>,
    /// Why it could not be done, of an event that was kept for later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// What was taken differently than the POS may expect, in sentences for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Box<str>>,
}

impl Receipt {
    /// A receipt that says only that the event is kept.
    pub fn kept(id: SourceId, key: Key, status: SourceStatus, program_version: i64) -> Self {
        Self {
            id,
            key,
            status,
            duplicate: false,
            program_version,
            member: None,
            effects: Vec::new(),
            events: Vec::new(),
            errors: Vec::new(),
            refused: None,
            notes: Vec::new(),
        }
    }

    /// The JSON that is stored and sent.
    pub fn to_json(&self) -> String {
        to_json(self)
    }

    /// Turns the stored JSON of a first receipt into the answer to a repeat.
    pub fn as_duplicate(stored: &str) -> String {
        // `duplicate` stands before anything a stranger can write, except `key`, whose quotes are escaped.
        stored.replacen(r#","duplicate":false,"#, r#","duplicate":true,"#, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeat_is_answered_with_the_first_receipt_marked_as_duplicate() {
        let key = Key::parse(r#"","duplicate":false,""#).unwrap();
        let first = Receipt::kept(SourceId::new(ulid::Ulid(1)), key, SourceStatus::Parked, 3).to_json();
        let again: serde_json::Value = serde_json::from_str(&Receipt::as_duplicate(&first)).unwrap();
        assert_eq!(again["duplicate"], true);
        assert_eq!(again["key"], r#"","duplicate":false,""#);
        assert_eq!(again["status"], "parked");
    }
}
