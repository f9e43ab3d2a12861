//! Orders, refunds and visits as a POS reports them, and what the engine remembers of an order.
//!
//! A POS tells of an order in snapshots (created, updated, completed, cancelled), and of money given back in refunds, in
//! any order and as often as it likes. [`OrderRecord`] is what all of them come to.

mod earned;
mod eligible;
mod record;
mod refund;
mod share;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::json::{JsonObject, instant};
use super::money::Money;
use super::terms::achievement::Which;
use super::text::{Key, Name};

pub use earned::{Due, Earned, Origin};
pub use record::{Counted, OrderRecord, Phase, Settled, UsedCoupon};
pub use refund::{Back, Refund, RefundTold, ReturnedLine, WhichLine};

/// An order as a POS describes it at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// The POS's id of the order; refunds name it.
    pub order_id: Key,
    /// What the guest paid, everything included.
    pub total: Money,
    /// Before tax and tip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtotal: Option<Money>,
    /// Tax.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Money>,
    /// Tip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tip: Option<Money>,
    /// Discounts taken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discount: Option<Money>,
    /// Fee for bringing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_fee: Option<Money>,
    /// What the house adds for its service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_charge: Option<Money>,
    /// How much of the total was paid by gift card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gift_card: Option<Money>,
    /// Where it was placed: `pos`, `web`, `app`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
    /// The location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Name>,
    /// The guest's session with the ordering system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Name>,
    /// The cart that it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cart_id: Option<Key>,
    /// Where it stands, in the POS's words: `preparing`, `payment_captured`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Name>,
    /// What was booked beyond food, handed on as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experience_details: Option<JsonObject>,
    /// Coupons that it used, as the till read them. Those that are good are used with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<Name>,
    /// Its lines.
    pub items: Vec<Item>,
}

impl Order {
    /// Whether it has anything that leads to the guest, or that somebody wrote in their own words.
    pub const fn names_somebody(&self) -> bool {
        self.session_id.is_some()
            || self.cart_id.is_some()
            || self.status.is_some()
            || self.experience_details.is_some()
    }
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
    /// The seller's article code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Name>,
    /// What it is called on the menu.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The category that rules refer to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Name>,
    /// How many, or how much (kilograms).
    pub quantity: Money,
    /// Price of one.
    pub price: Money,
    /// Whether the guest had it made differently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customized: Option<bool>,
}

impl Item {
    /// Price of the whole line: price times quantity, exact.
    pub fn total(&self) -> Decimal {
        self.price.decimal().saturating_mul(self.quantity.decimal())
    }

    /// Whether it is one of these.
    pub fn is(&self, which: &Which) -> bool {
        match which {
            Which::Any => true,
            Which::Category(category) => self.category.as_ref() == Some(category),
            Which::Sku(sku) => self.sku.as_ref() == Some(sku),
        }
    }
}

/// How many things these lines are; what is weighed counts as one.
pub fn count_things(items: &[Item]) -> i64 {
    let things = items.iter().map(|item| {
        let quantity = item.quantity.decimal().normalize();
        if quantity.is_integer() { i64::try_from(quantity).unwrap_or(i64::MAX) } else { 1 }
    });
    things.fold(0, i64::saturating_add)
}

/// What an event about an order says of the order.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The POS's count of changes to the order.
    pub version: Option<i64>,
    /// What the receipt says, so that a guest who was not recognised can claim the order with it.
    pub receipt_code: Option<Key>,
    /// The order.
    pub order: Arc<Order>,
}

/// An order will not be, or is no longer.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Cancellation {
    /// The order.
    pub order_id: Key,
    /// The POS's count of changes to the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// What it would have come to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Money>,
    /// Where it stands, in the POS's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Name>,
    /// Why, in the POS's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Name>,
}

/// How new a snapshot is. A versioned one is newer than any without; among those of the same version, or without one,
/// time decides; at the same instant, what comes later in the life of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// The POS's count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// When it was so.
    #[serde(serialize_with = "instant")]
    pub at: Timestamp,
    /// What the event said.
    pub step: Step,
}

/// A step in the life of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Placed.
    Created,
    /// Something about it changed.
    Updated,
    /// Paid.
    Completed,
    /// It will not be, or is no longer.
    Cancelled,
}

/// An order as told to the world.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct OrderTold {
    #[serde(flatten)]
    order: Arc<Order>,
    /// How many things were ordered; what is weighed counts as one.
    pub item_count: i64,
    /// The POS's count of changes to the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Whether this order was told of before, not yet paid. For who takes the first they hear of an order for its placing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub told_before: bool,
}

impl OrderTold {
    /// Tells of this order for the first time.
    pub fn of(order: Arc<Order>, version: Option<i64>) -> Self {
        Self { item_count: count_things(&order.items), order, version, told_before: false }
    }

    /// Tells of it not for the first time.
    #[must_use]
    pub fn again(self) -> Self {
        Self { told_before: true, ..self }
    }

    /// The order.
    pub fn order(&self) -> &Order {
        &self.order
    }
}

/// A guest was here, order or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Visit {
    /// How it was noticed: `checkin`, `wifi`, `table`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
}
