//! The JSON of a source event: its shape, and from the shape to values that cannot be wrong.

mod cart;
mod order;
mod schema;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::{BadEvent, SourceData, SourceType};
use crate::domain::Timestamp;
use crate::domain::command::Command;
use crate::domain::identity::{BadIdentity, Identity, IdentityKind};
use crate::domain::ids::MemberId;
use crate::domain::json::{self, Object};
use crate::domain::money::{Currency, Money};
use crate::domain::offering::OfferingNews;
use crate::domain::order::Visit;
use crate::domain::payload::Payload;
use crate::domain::profile::ProfileChange;
use crate::domain::session::{SessionEnd, SessionStart, Signal};
use crate::domain::text::{Key, Name};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope<'a> {
    #[serde(default)]
    pub(super) key: Option<Key>,
    #[serde(rename = "type")]
    pub(super) kind: Name,
    #[serde(default)]
    pub(super) occurred_at: Option<Instant>,
    #[serde(default)]
    pub(super) member: Option<Object<MemberBody>>,
    #[serde(default)]
    pub(super) location: Option<Name>,
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
}

/// To the microsecond: the store keeps no more, and a finer instant would not survive a reload.
pub(super) struct Instant(pub(super) Timestamp);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const WANTED: &str = "an RFC 3339 instant with its offset, such as 2026-03-03T18:30:00Z";
        let at: DateTime<Utc> = json::from_text(deserializer, WANTED)?;
        Ok(Self(DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)))
    }
}

/// By what the guest was recognised: at least one of these.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GuestIdentities")]
pub(super) struct MemberBody {
    #[serde(default)]
    id: Option<SmolStr>,
    #[serde(default)]
    card: Option<SmolStr>,
    #[serde(default)]
    phone: Option<SmolStr>,
    #[serde(default)]
    email: Option<SmolStr>,
    #[serde(default)]
    external_id: Option<SmolStr>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VisitData")]
struct VisitBody {
    #[serde(default)]
    channel: Option<Name>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SessionData")]
struct SessionBody {
    session_id: Key,
    #[serde(default)]
    channel: Option<Name>,
    #[serde(default)]
    confidence: Option<Money>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SessionEndData")]
struct SessionEndBody {
    session_id: Key,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SignalData")]
struct SignalBody<'a> {
    name: Name,
    #[serde(borrow, default)]
    #[schemars(with = "Option<Payload>")]
    data: Option<&'a RawValue>,
}

/// Whose event it is.
#[derive(Default)]
pub(super) struct Guest {
    /// Our own id of them.
    pub(super) id: Option<MemberId>,
    /// By what they were recognised, by priority.
    pub(super) identities: Vec<Identity>,
}

/// Whose event it is, and by what they were recognised.
pub(super) fn guest(mut member: MemberBody) -> Result<Guest, BadEvent> {
    let id = member.id.as_deref().and_then(|id| id.parse().ok());
    if id.is_some() {
        member.id = None;
    }
    let given = [
        (IdentityKind::Id, member.id),
        (IdentityKind::Card, member.card),
        (IdentityKind::Phone, member.phone),
        (IdentityKind::Email, member.email),
        (IdentityKind::External, member.external_id),
    ];
    let mut identities = Vec::with_capacity(2);
    for (kind, value) in given {
        if let Some(value) = value {
            let identity = Identity::parse(kind, &value)
                .map_err(|e: BadIdentity| BadEvent::field(format!("member.{}", kind.as_str()), e))?;
            identities.push(identity);
        }
    }
    if identities.is_empty() && id.is_none() {
        let problem =
            "names nobody; give at least one of id, card, phone, email, external_id, or leave `member` out";
        return Err(BadEvent::field("member", problem));
    }
    Ok(Guest { id, identities })
}

/// What happened, from the text of `data`.
pub(super) fn data(
    kind: &str,
    raw: &str,
    location: Option<&Name>,
    currency: &Currency,
) -> Result<SourceData, BadEvent> {
    let kind: SourceType = kind.parse().map_err(|()| {
        let known: Vec<_> = SourceType::ALL.iter().map(|t| t.as_str()).collect();
        BadEvent::field("type", format!("`{kind}` is not a source event; known are {}", known.join(", ")))
    })?;
    let snapshot = || order::snapshot(raw, location, currency);
    Ok(match kind {
        SourceType::OrderCreated => SourceData::OrderCreated(snapshot()?),
        SourceType::OrderUpdated => SourceData::OrderUpdated(snapshot()?),
        SourceType::OrderCompleted => SourceData::OrderCompleted(snapshot()?),
        SourceType::OrderCancelled => SourceData::OrderCancelled(order::cancellation(raw, currency)?),
        SourceType::OrderRefunded => SourceData::OrderRefunded(order::refund(raw, currency)?),
        SourceType::Visit => {
            let body: VisitBody = json::object(raw, "data")?;
            SourceData::Visit(Visit { channel: body.channel })
        }
        SourceType::MemberUpdated => SourceData::MemberUpdated(Box::new(ProfileChange::parse(raw)?)),
        SourceType::CartUpdated => SourceData::CartUpdated(cart::cart(raw, location, currency)?.into()),
        SourceType::SessionStarted => {
            let body: SessionBody = json::object(raw, "data")?;
            if body.confidence.is_some_and(|sure| sure < Money::ZERO || sure.decimal() > Decimal::ONE) {
                return Err(BadEvent::field("data.confidence", "must be a number from 0 to 1"));
            }
            let SessionBody { session_id, channel, confidence } = body;
            SourceData::SessionStarted(SessionStart { session_id, channel, confidence })
        }
        SourceType::SessionEnded => {
            let body: SessionEndBody = json::object(raw, "data")?;
            SourceData::SessionEnded(SessionEnd { session_id: body.session_id })
        }
        SourceType::Signal => {
            let body: SignalBody<'_> = json::object(raw, "data")?;
            let data = body.data.map_or("{}", RawValue::get);
            let data = Payload::parse(data).map_err(|why| BadEvent::field("data.data", why))?;
            SourceData::Signal(Signal { name: body.name, data })
        }
        SourceType::Command(kind) => SourceData::Command(Command::parse(kind, raw)?),
        SourceType::Offering(what, change) => {
            let about = Payload::parse(raw).map_err(|why| BadEvent::field("data", why))?;
            SourceData::Offering(OfferingNews { what, change, about })
        }
    })
}
