//! Carts in JSON.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::{BadEvent, MAX_ITEMS};
use super::order::{Checked, ItemBody, Version};
use crate::domain::cart::Cart;
use crate::domain::json::{self, Object};
use crate::domain::money::{Currency, Money};
use crate::domain::text::{Key, Name};

/// A whole cart as it is now.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CartData")]
pub(super) struct CartBody {
    cart_id: Key,
    #[serde(default)]
    version: Option<Version>,
    #[serde(default)]
    total: Option<Money>,
    #[serde(default)]
    channel: Option<Name>,
    #[serde(default)]
    session_id: Option<Name>,
    #[serde(default)]
    items: Vec<Object<ItemBody>>,
}

/// `data` of `cart.updated`: the whole cart as it is; without `items`, an empty one.
pub(super) fn cart(raw: &str, location: Option<&Name>, currency: &Currency) -> Result<Cart, BadEvent> {
    let body: CartBody = json::object(raw, "data")?;
    if body.items.len() > MAX_ITEMS {
        return Err(BadEvent::field("data.items", format!("has more than {MAX_ITEMS} lines")));
    }
    let money = Checked { currency };
    let items = body.items.into_iter().enumerate().map(|(i, Object(item))| money.item(i, item));
    let items = items.collect::<Result<Vec<_>, _>>()?;
    let total = money.optional("data.total", body.total)?;
    let cart = Cart {
        cart_id: body.cart_id,
        version: body.version.map(|Version(version)| version),
        channel: body.channel,
        location: location.cloned(),
        session_id: body.session_id,
        value: Money::ZERO,
        item_count: 0,
        items: Vec::new(),
        lines_left_out: 0,
    };
    Ok(cart.with_lines(items, total))
}
