//! Orders and refunds in JSON.

use std::sync::Arc;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::super::{BadEvent, MAX_COUPONS, MAX_ITEMS};
use crate::domain::json::{self, JsonObject, Object};
use crate::domain::money::{Currency, Money};
use crate::domain::order::{Back, Cancellation, Item, Order, Refund, ReturnedLine, Snapshot};
use crate::domain::text::{Key, Name};

/// A whole order as it is now. Only a cancellation may do without `total`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OrderData")]
pub(super) struct OrderBody {
    order_id: Key,
    #[serde(default)]
    version: Option<Version>,
    #[serde(default)]
    receipt_code: Option<Key>,
    /// Only a cancellation may do without.
    #[serde(default)]
    total: Option<Money>,
    #[serde(default)]
    subtotal: Option<Money>,
    #[serde(default)]
    tax: Option<Money>,
    #[serde(default)]
    tip: Option<Money>,
    #[serde(default)]
    discount: Option<Money>,
    #[serde(default)]
    delivery_fee: Option<Money>,
    #[serde(default)]
    service_charge: Option<Money>,
    #[serde(default)]
    gift_card: Option<Money>,
    #[serde(default)]
    channel: Option<Name>,
    #[serde(default)]
    session_id: Option<Name>,
    #[serde(default)]
    cart_id: Option<Key>,
    #[serde(default)]
    status: Option<Name>,
    #[serde(default)]
    experience_details: Option<JsonObject>,
    #[serde(default)]
    coupons: Vec<Name>,
    #[serde(default)]
    items: Vec<Object<ItemBody>>,
    /// Of a cancellation only.
    #[serde(default)]
    reason: Option<Name>,
}

/// A line of an order or a cart.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ItemData")]
pub(super) struct ItemBody {
    #[serde(default)]
    sku: Option<Name>,
    #[serde(default)]
    name: Option<Name>,
    #[serde(default)]
    category: Option<Name>,
    #[serde(default)]
    quantity: Option<Money>,
    price: Money,
    #[serde(default)]
    customized: Option<bool>,
}

/// What goes back: all of it (`full`), an `amount`, or lines (`items`).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RefundData")]
pub(super) struct RefundBody {
    order_id: Key,
    #[serde(default)]
    amount: Option<Money>,
    #[serde(default)]
    full: bool,
    #[serde(default)]
    items: Option<Vec<Object<ReturnedLine>>>,
    #[serde(default)]
    reason: Option<Name>,
}

/// The POS's count of changes to an order.
#[derive(JsonSchema)]
#[schemars(inline, transparent, extend("minimum" = 0))]
pub(super) struct Version(pub(super) i64);

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let version = i64::deserialize(deserializer)?;
        let negative = || serde::de::Error::custom("must be a whole number from 0");
        if version < 0 { Err(negative()) } else { Ok(Self(version)) }
    }
}

/// `data` of `order.created`, `order.updated` and `order.completed`.
pub(super) fn snapshot(
    raw: &str,
    location: Option<&Name>,
    currency: &Currency,
) -> Result<Snapshot, BadEvent> {
    let body: OrderBody = json::object(raw, "data")?;
    let total = body.total.ok_or_else(|| BadEvent::field("data.total", "is missing"))?;
    if body.reason.is_some() {
        return Err(BadEvent::field("data.reason", "is a field of order.cancelled and order.refunded only"));
    }
    order(body, total, location, currency)
}

/// `data` of `order.cancelled`: the whole order as before, or as much of it as the POS still knows.
pub(super) fn cancellation(raw: &str, currency: &Currency) -> Result<Cancellation, BadEvent> {
    let body: OrderBody = json::object(raw, "data")?;
    let (total, reason) = (body.total, body.reason.clone());
    let Snapshot { version, order, .. } = order(body, total.unwrap_or_default(), None, currency)?;
    let (order_id, status) = (order.order_id.clone(), order.status.clone());
    Ok(Cancellation { order_id, version, total, status, reason })
}

fn order(
    body: OrderBody,
    total: Money,
    location: Option<&Name>,
    currency: &Currency,
) -> Result<Snapshot, BadEvent> {
    let money = Checked { currency };
    if body.items.len() > MAX_ITEMS {
        return Err(BadEvent::field("data.items", format!("has more than {MAX_ITEMS} lines")));
    }
    if body.coupons.len() > MAX_COUPONS {
        return Err(BadEvent::field("data.coupons", format!("has more than {MAX_COUPONS} codes")));
    }
    let items = body.items.into_iter().enumerate().map(|(i, Object(item))| money.item(i, item));
    let order = Order {
        items: items.collect::<Result<_, _>>()?,
        order_id: body.order_id,
        total: money.amount("data.total", total)?,
        subtotal: money.optional("data.subtotal", body.subtotal)?,
        tax: money.optional("data.tax", body.tax)?,
        tip: money.optional("data.tip", body.tip)?,
        discount: money.optional("data.discount", body.discount)?,
        delivery_fee: money.optional("data.delivery_fee", body.delivery_fee)?,
        service_charge: money.optional("data.service_charge", body.service_charge)?,
        gift_card: money.optional("data.gift_card", body.gift_card)?,
        channel: body.channel,
        location: location.cloned(),
        session_id: body.session_id,
        cart_id: body.cart_id,
        status: body.status,
        experience_details: body.experience_details,
        coupons: body.coupons,
    };
    let version = body.version.map(|Version(version)| version);
    Ok(Snapshot { version, receipt_code: body.receipt_code, order: Arc::new(order) })
}

/// `data` of `order.refunded`.
pub(super) fn refund(raw: &str, currency: &Currency) -> Result<Refund, BadEvent> {
    let body: RefundBody = json::object(raw, "data")?;
    let back = match (body.full, body.amount, body.items) {
        (true, None, None) => Back::Full,
        (false, Some(amount), None) => Back::Amount(Checked { currency }.amount("data.amount", amount)?),
        (false, None, Some(lines)) if lines.is_empty() || lines.len() > MAX_ITEMS => {
            return Err(BadEvent::field("data.items", format!("must have 1 to {MAX_ITEMS} lines")));
        }
        (false, None, Some(lines)) => Back::Lines(lines.into_iter().map(|Object(line)| line).collect()),
        _ => {
            let problem = "says what goes back in one of three ways: `amount`, `items`, or `full`: true";
            return Err(BadEvent::field("data", problem));
        }
    };
    Ok(Refund { order_id: body.order_id, back, reason: body.reason })
}

pub(super) struct Checked<'a> {
    pub(super) currency: &'a Currency,
}

impl Checked<'_> {
    fn amount(&self, field: &str, amount: Money) -> Result<Money, BadEvent> {
        amount.checked(self.currency).map_err(|e| BadEvent::field(field, e))
    }

    pub(super) fn optional(&self, field: &str, amount: Option<Money>) -> Result<Option<Money>, BadEvent> {
        amount.map(|amount| self.amount(field, amount)).transpose()
    }

    pub(super) fn item(&self, index: usize, item: ItemBody) -> Result<Item, BadEvent> {
        /// Weighed goods come in grams of a kilogram.
        const QUANTITY_DECIMALS: u32 = 3;
        let at = |name: &str| format!("data.items[{index}].{name}");
        let quantity = item.quantity.unwrap_or(Money::new(Decimal::ONE));
        let quantity = quantity.limited().map_err(|e| BadEvent::field(at("quantity"), e))?;
        let amount = quantity.decimal().normalize();
        if amount.is_sign_negative() || amount.scale() > QUANTITY_DECIMALS {
            return Err(BadEvent::field(at("quantity"), "must be zero or more, with at most 3 decimals"));
        }
        let price = self.amount(&at("price"), item.price)?;
        let (sku, name, category, customized) = (item.sku, item.name, item.category, item.customized);
        Ok(Item { sku, name, category, quantity, price, customized })
    }
}
