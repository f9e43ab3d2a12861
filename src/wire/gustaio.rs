//! Gustaio's webhooks: a signature over time and body. Its document prints no body, so the envelope is ours.

use serde::{Deserialize, Serialize};

use super::told::{Face, List, Raw, Told};
use super::{Header, Letter, Rendered, Sealing, Speaks, Unsendable, name_of, sign};
use crate::domain::Timestamp;
use crate::domain::endpoint::Dialect;
use crate::domain::json::to_json;
use crate::domain::loyalty_event::EventType;

pub(super) struct Gustaio;

impl Speaks for Gustaio {
    fn render(&self, letter: &Letter) -> Result<Option<Rendered>, Unsendable> {
        let told = Told::read(&letter.message)?;
        let name = name(&told)?;
        let envelope = Envelope { letter, told: &told, name: &name };
        let customer = told.member.as_ref().map(Customer::of);
        let body = match told.kind {
            EventType::OrderCreated
            | EventType::OrderUpdated
            | EventType::OrderCompleted
            | EventType::OrderCancelled => {
                let mut own = told.data::<Order<'_>>()?;
                own.status = own.status.or_else(|| step(told.kind).map(str::to_owned));
                envelope.around(OfCustomer { own, customer })
            }
            EventType::OrderRefunded => {
                let Refund { order_id, amount, items } = told.data()?;
                let own = Refunded { order_id, status: "refunded", refund: Back { amount, items } };
                envelope.around(OfCustomer { own, customer })
            }
            EventType::ExperienceCreated | EventType::ExperienceUpdated | EventType::ExperienceDeleted => {
                envelope.around(told.data::<Experience<'_>>()?.experience)
            }
            EventType::MenuItemCreated | EventType::MenuItemUpdated | EventType::MenuItemDeleted => {
                envelope.around(told.data::<MenuItem<'_>>()?.menu_item)
            }
            _ => envelope.around(OfCustomer { own: told.camel(), customer }),
        };
        Ok(Some(Rendered { body, headers: Vec::new() }))
    }

    fn capitals(&self) -> bool {
        true
    }

    fn sign(&self, sealing: &Sealing<'_>) -> Vec<Header> {
        let timestamp = sealing.timestamp().to_string();
        let signature = sign::hex_hmac(sealing.secret(), &[&timestamp, ".", sealing.body]);
        vec![("x-webhook-timestamp", timestamp), ("x-webhook-signature", signature)]
    }
}

/// Whatever is first told of an order is its placing there.
fn name(told: &Told<'_>) -> Result<String, Unsendable> {
    #[derive(Deserialize)]
    struct Order {
        #[serde(default)]
        told_before: bool,
    }
    let is_first = told.kind == EventType::OrderCompleted && !told.data::<Order>()?.told_before;
    if is_first { Ok("order.create".to_owned()) } else { name_of(Dialect::Gustaio, told) }
}

/// The status of an order when its sender gave none in words of their own.
const fn step(kind: EventType) -> Option<&'static str> {
    match kind {
        EventType::OrderCreated => Some("created"),
        EventType::OrderCompleted => Some("completed"),
        EventType::OrderCancelled => Some("cancelled"),
        _ => None,
    }
}

struct Envelope<'a> {
    letter: &'a Letter,
    told: &'a Told<'a>,
    name: &'a str,
}

impl Envelope<'_> {
    fn around<D: Serialize>(&self, data: D) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Written<'a, D> {
            id: String,
            event: &'a str,
            timestamp: Timestamp,
            restaurant_id: &'a str,
            data: D,
        }
        to_json(&Written {
            id: self.letter.delivery.to_string(),
            event: self.name,
            timestamp: self.told.timestamp,
            restaurant_id: &self.told.chain,
            data,
        })
    }
}

#[derive(Serialize)]
struct OfCustomer<'a, D> {
    #[serde(flatten)]
    own: D,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Customer<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Customer<'a> {
    id: &'a str,
    email: Option<&'a str>,
    phone: Option<&'a str>,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
}

impl<'a> Customer<'a> {
    fn of(face: &'a Face<'_>) -> Self {
        Self {
            id: &face.id,
            email: face.email.as_deref(),
            phone: face.phone.as_deref(),
            first_name: face.first_name.as_deref(),
            last_name: face.last_name.as_deref(),
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"))]
struct Order<'a> {
    #[serde(borrow)]
    order_id: Raw<'a>,
    /// The sender's word; without one, ours for what happened.
    status: Option<String>,
    total: Raw<'a>,
    subtotal: Raw<'a>,
    tax: Raw<'a>,
    tip: Raw<'a>,
    discount: Raw<'a>,
    delivery_fee: Raw<'a>,
    service_charge: Raw<'a>,
    channel: Raw<'a>,
    location: Raw<'a>,
    #[serde(default)]
    items: Vec<Item<'a>>,
    /// Receivers ask by this key whether the order is a booking.
    #[serde(skip_serializing_if = "Option::is_none")]
    experience_details: Raw<'a>,
}

#[derive(Deserialize, Serialize)]
struct Item<'a> {
    #[serde(borrow)]
    sku: Raw<'a>,
    name: Raw<'a>,
    category: Raw<'a>,
    quantity: Raw<'a>,
    price: Raw<'a>,
    #[serde(default)]
    customized: bool,
}

#[derive(Deserialize)]
struct Refund<'a> {
    #[serde(borrow)]
    order_id: Raw<'a>,
    amount: Raw<'a>,
    #[serde(default)]
    items: List<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refunded<'a> {
    order_id: Raw<'a>,
    status: &'static str,
    refund: Back<'a>,
}

#[derive(Serialize)]
struct Back<'a> {
    amount: Raw<'a>,
    items: List<'a>,
}

#[derive(Deserialize)]
struct Experience<'a> {
    #[serde(borrow)]
    experience: Raw<'a>,
}

#[derive(Deserialize)]
struct MenuItem<'a> {
    #[serde(borrow)]
    menu_item: Raw<'a>,
}
