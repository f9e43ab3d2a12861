//! Orders, refunds and visits as a POS reports them, and what the engine remembers of an order.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ids::MemberId;
use super::money::{Money, Points};
use super::text::{Key, Name};

/// A completed order.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Order {
    /// The POS's id of the order; refunds name it.
    pub order_id: Key,
    /// What the guest paid, everything included.
    pub total: Money,
    /// Before tax and tip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subtotal: Option<Money>,
    /// Tax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tax: Option<Money>,
    /// Tip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tip: Option<Money>,
    /// Discounts taken off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<Money>,
    /// Where it was placed: `pos`, `web`, `app`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
    /// Coupons that it used, as the till read them. Those that are good are used with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<Name>,
    /// Its lines.
    pub items: Vec<Item>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Item {
    /// The seller's article code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sku: Option<Name>,
    /// What it is called on the menu.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The category that rules refer to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<Name>,
    /// How many, or how much (kilograms).
    pub quantity: Money,
    /// Price of one.
    pub price: Money,
}

impl Item {
    /// Price of the whole line: price times quantity, exact.
    pub fn total(&self) -> Decimal {
        self.price.decimal().saturating_mul(self.quantity.decimal())
    }
}

/// Money given back for an order.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Refund {
    /// The order it belongs to.
    pub order_id: Key,
    /// Money given back by this refund alone.
    pub amount: Money,
    /// Why, in the POS's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Name>,
}

/// A guest was here, order or not.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Visit {
    /// How it was noticed: `checkin`, `wifi`, `table`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
}

/// What the engine remembers of one order, so that refunds take back exactly what it earned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// The POS's id.
    pub order_id: Key,
    /// Whose order; `None` while only a refund of it is known.
    pub member: Option<MemberId>,
    /// The day it counts for in the member's history, in the chain's zone.
    pub day: Option<NaiveDate>,
    /// What the guest paid; `None` until the order itself has been seen.
    pub total: Option<Money>,
    /// Money given back so far.
    pub refunded: Money,
    /// Points it earned.
    pub earned: Points,
    /// Points taken back so far.
    pub taken_back: Points,
    /// Counts writes; a commit names the version it was decided from. 0 = not stored yet.
    #[serde(skip)]
    pub version: i64,
}

impl OrderRecord {
    /// An order nobody has told us about yet.
    pub fn unseen(order_id: Key) -> Self {
        Self {
            order_id,
            member: None,
            day: None,
            total: None,
            refunded: Money::ZERO,
            earned: Points::ZERO,
            taken_back: Points::ZERO,
            version: 0,
        }
    }

    /// How much of `amount` can still be refunded: never more than the order was worth.
    pub fn refundable(&self, amount: Money) -> Money {
        match self.total {
            Some(total) => amount.min(total.minus(self.refunded)).max(Money::ZERO),
            None => amount,
        }
    }

    /// Points that must be taken back now so that, in sum, exactly the refunded share of what the order earned is
    /// gone. Computed from the running totals, so that three thirds give the whole and nothing is taken twice. A part
    /// of a point is taken when the refund has used it up: the order keeps `floor(earned × kept share)`.
    pub fn due_back(&self) -> Points {
        let Some(total) = self.total.map(Money::decimal).filter(|t| !t.is_zero()) else {
            return Points::ZERO;
        };
        let kept = (total - self.refunded.decimal()).max(Decimal::ZERO);
        let keeps = Decimal::from(self.earned.0)
            .checked_mul(kept)
            .and_then(|product| product.checked_div(total))
            .and_then(Points::floor)
            .unwrap_or(Points::ZERO);
        Points((self.earned.0 - keeps.0 - self.taken_back.0).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(total: Money, earned: i64) -> OrderRecord {
        OrderRecord {
            total: Some(total),
            earned: Points(earned),
            ..OrderRecord::unseen(Key::parse("o1").unwrap())
        }
    }

    proptest! {
        #[test]
        fn refunds_in_any_parts_take_back_exactly_what_the_order_earned(
            cents in 1_i64..1_000_000, earned in 0_i64..1_000_000, cuts in prop::collection::vec(1_i64..1_000_000, 0..8),
        ) {
            let money = |cents| Money::new(Decimal::new(cents, 2));
            let mut order = record(money(cents), earned);
            for cut in cuts.into_iter().chain([1_000_000]) {
                order.refunded = order.refunded.plus(order.refundable(money(cut)));
                let due = order.due_back();
                prop_assert!(due >= Points::ZERO);
                order.taken_back = order.taken_back.plus(due).unwrap();
                prop_assert!(order.taken_back.0 <= order.earned.0);
                prop_assert_eq!(order.due_back(), Points::ZERO);
            }
            prop_assert_eq!(order.refunded, money(cents));
            prop_assert_eq!(order.taken_back, order.earned);
        }
    }

    #[test]
    fn half_a_refund_takes_half_the_points() {
        let mut order = record("10.00".parse().unwrap(), 10);
        order.refunded = "5.00".parse().unwrap();
        assert_eq!(order.due_back(), Points(5));
    }
}
