//! GuestIQ's webhooks: `id`, `type`, `timestamp`, `chainId`, `data`, and a signature over the body.

use serde::{Deserialize, Serialize};

use super::told::{List, Raw, Seconds, Told};
use super::{Header, Letter, Rendered, Sealing, Speaks, Unsendable, name_of, sign};
use crate::domain::endpoint::Dialect;
use crate::domain::ids::EventId;
use crate::domain::json::to_json;
use crate::domain::loyalty_event::EventType;

pub(super) struct Guestiq;

impl Speaks for Guestiq {
    fn render(&self, letter: &Letter) -> Result<Option<Rendered>, Unsendable> {
        let told = Told::read(&letter.message)?;
        let name = name_of(Dialect::Guestiq, &told)?;
        let body = match told.kind {
            EventType::MemberIdentified => envelope(&told, &name, Identified::of(&told)?),
            EventType::MemberMerged => envelope(&told, &name, told.data::<Merged<'_>>()?),
            EventType::SegmentEntered | EventType::SegmentExited => {
                envelope(&told, &name, told.data::<SegmentChange<'_>>()?)
            }
            EventType::OrderCompleted => {
                let (own, segments) = (told.data::<Order<'_>>()?, told.segments().flat());
                envelope(&told, &name, Beside { own, more: OrderSegments { segments } })
            }
            EventType::CartAbandoned => envelope(&told, &name, told.data::<Cart<'_>>()?),
            EventType::MemberAtRisk | EventType::MemberChurned | EventType::MemberReactivated => {
                let (own, guest_segments) = (told.data::<Absence<'_>>()?, told.segments().flat());
                envelope(&told, &name, Beside { own, more: GuestSegments { guest_segments } })
            }
            _ => envelope(&told, &name, told.camel()),
        };
        let headers = vec![
            ("x-guestiq-event", name),
            ("x-guestiq-delivery-id", letter.delivery.to_string()),
            ("x-guestiq-timestamp", Seconds(told.timestamp).to_string()),
        ];
        Ok(Some(Rendered { body, headers }))
    }

    fn capitals(&self) -> bool {
        true
    }

    fn sign(&self, sealing: &Sealing<'_>) -> Vec<Header> {
        let signature = sign::hex_hmac(sealing.secret(), &[sealing.body]);
        vec![("x-guestiq-signature", format!("sha256={signature}"))]
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a, D> {
    id: EventId,
    #[serde(rename = "type")]
    name: &'a str,
    timestamp: Seconds,
    chain_id: &'a str,
    data: OfGuest<'a, D>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OfGuest<'a, D> {
    #[serde(skip_serializing_if = "Option::is_none")]
    guest_id: Option<&'a str>,
    #[serde(flatten)]
    own: D,
}

fn envelope<D: Serialize>(told: &Told<'_>, name: &str, own: D) -> String {
    to_json(&Envelope {
        id: told.id,
        name,
        timestamp: Seconds(told.timestamp),
        chain_id: &told.chain,
        data: OfGuest { guest_id: told.member_id(), own },
    })
}

/// What the event tells, and what the member does.
#[derive(Serialize)]
struct Beside<D, M> {
    #[serde(flatten)]
    own: D,
    #[serde(flatten)]
    more: M,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Identified<'a> {
    session_id: Raw<'a>,
    identified_via: &'static str,
    confidence: Raw<'a>,
    is_returning: bool,
    segments: TypedSegments<'a>,
    cohorts: List<'a>,
}

#[derive(Serialize)]
struct TypedSegments<'a> {
    primary: List<'a>,
    compound: List<'a>,
}

impl<'a> Identified<'a> {
    fn of(told: &Told<'a>) -> Result<Self, Unsendable> {
        #[derive(Deserialize)]
        struct Canonical<'a> {
            #[serde(borrow)]
            session_id: Raw<'a>,
            #[serde(default)]
            identified_via: String,
            confidence: Raw<'a>,
            #[serde(default)]
            is_returning: bool,
        }
        let Canonical { session_id, identified_via, confidence, is_returning } = told.data()?;
        let segments = told.segments();
        Ok(Self {
            session_id,
            // A loyalty number is either of the two here.
            identified_via: match &*identified_via {
                "phone" => "PHONE",
                "email" => "EMAIL",
                "external_id" => "EXTERNAL_ID",
                _ => "LOYALTY_ID",
            },
            confidence,
            is_returning,
            segments: TypedSegments { primary: segments.primary, compound: segments.compound },
            cohorts: segments.cohorts,
        })
    }
}

#[derive(Deserialize, Serialize)]
struct Merged<'a> {
    #[serde(borrow, rename(deserialize = "other_id", serialize = "mergedGuestId"))]
    other: Raw<'a>,
    #[serde(default)]
    points: List<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"))]
struct SegmentChange<'a> {
    #[serde(borrow)]
    segment_id: Raw<'a>,
    segment_name: Raw<'a>,
    segment_type: Raw<'a>,
    trigger: Raw<'a>,
    #[serde(default)]
    previous_segments: List<'a>,
    #[serde(default)]
    current_segments: List<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"))]
struct Order<'a> {
    #[serde(borrow)]
    session_id: Raw<'a>,
    order_id: Raw<'a>,
    #[serde(rename(serialize = "restaurantId"))]
    location: Raw<'a>,
    #[serde(rename(serialize = "orderTotal"))]
    total: Raw<'a>,
    item_count: Raw<'a>,
    #[serde(default)]
    items: Vec<Dish<'a>>,
}

#[derive(Serialize)]
struct OrderSegments<'a> {
    segments: List<'a>,
}

#[derive(Deserialize, Serialize)]
struct Dish<'a> {
    #[serde(borrow, rename(serialize = "dishId"))]
    sku: Raw<'a>,
    #[serde(rename(serialize = "dishName"))]
    name: Raw<'a>,
    quantity: Raw<'a>,
    price: Raw<'a>,
    #[serde(default)]
    customized: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"))]
struct Cart<'a> {
    #[serde(borrow)]
    cart_id: Raw<'a>,
    #[serde(rename(serialize = "cartValue"))]
    value: Raw<'a>,
    item_count: Raw<'a>,
    #[serde(default)]
    items: Vec<Dish<'a>>,
    updated_at: Raw<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"))]
struct Absence<'a> {
    #[serde(borrow)]
    risk_level: Raw<'a>,
    days_since_last_visit: Raw<'a>,
    previous_visit_frequency: Raw<'a>,
    predicted_churn_probability: Raw<'a>,
    #[serde(default)]
    recommended_actions: List<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GuestSegments<'a> {
    guest_segments: List<'a>,
}
