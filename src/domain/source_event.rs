//! Source events: what a POS told us, parsed once at the door into values that cannot be wrong.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Duration, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Timestamp;
use super::identity::{BadIdentity, Identity, IdentityKind};
use super::money::{BadMoney, Currency, Money};
use super::order::{Item, Order, Refund, Visit};
use super::text::{Key, Name};

/// The largest event we take, in bytes of JSON.
pub const MAX_BYTES: usize = 256 * 1024;
/// The most lines of one order.
pub const MAX_ITEMS: usize = 1_000;
/// How far `occurred_at` may lie ahead of our clock: tills are set by hand.
const MAX_AHEAD: Duration = Duration::hours(24);
/// How far `occurred_at` may lie back: real histories are imported, the epoch is a broken till.
const MAX_BEHIND: Duration = Duration::days(20 * 366);

/// What a source event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceType {
    /// A guest paid.
    OrderCompleted,
    /// A guest got money back.
    OrderRefunded,
    /// A guest was here.
    Visit,
}

impl SourceType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OrderCompleted, Self::OrderRefunded, Self::Visit];

    /// The word used in JSON and in rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderCompleted => "order.completed",
            Self::OrderRefunded => "order.refunded",
            Self::Visit => "visit",
        }
    }
}

impl FromStr for SourceType {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(())
    }
}

impl fmt::Display for SourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened, by type.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceData {
    /// `order.completed`
    OrderCompleted(Order),
    /// `order.refunded`
    OrderRefunded(Refund),
    /// `visit`
    Visit(Visit),
}

impl SourceData {
    /// The type of this event.
    pub const fn kind(&self) -> SourceType {
        match self {
            Self::OrderCompleted(_) => SourceType::OrderCompleted,
            Self::OrderRefunded(_) => SourceType::OrderRefunded,
            Self::Visit(_) => SourceType::Visit,
        }
    }

    /// The order it is about, if any.
    pub const fn order_id(&self) -> Option<&Key> {
        match self {
            Self::OrderCompleted(order) => Some(&order.order_id),
            Self::OrderRefunded(refund) => Some(&refund.order_id),
            Self::Visit(_) => None,
        }
    }
}

/// One source event, valid.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceEvent {
    /// Idempotent by (chain, key), for ever.
    pub key: Key,
    /// When it happened, by the POS's clock.
    pub occurred_at: Timestamp,
    /// How the guest was recognised, by priority; empty for an anonymous order.
    pub identities: Vec<Identity>,
    /// Where.
    pub location: Option<Name>,
    /// What.
    pub data: SourceData,
    /// SHA-256 of the body: the same key with another body is refused.
    pub body_hash: [u8; 32],
    /// The body as it came, for replay.
    pub body: Arc<str>,
}

/// Why a body is not a source event. Names the field at fault and says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct BadEvent {
    /// A stable word for programs.
    pub code: BadEventCode,
    /// Path of the field, such as `data.items[0].price`; empty for the body as a whole.
    pub field: String,
    /// What is wrong with it and what would be right.
    pub problem: String,
}

/// The classes of refused bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadEventCode {
    /// Not JSON, or not UTF-8.
    NotJson,
    /// JSON, but not of the shape of an event.
    InvalidField,
    /// Larger than [`MAX_BYTES`].
    TooLarge,
}

impl BadEvent {
    fn field(field: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self { code: BadEventCode::InvalidField, field: field.into(), problem: problem.to_string() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(default)]
    key: Option<Key>,
    #[serde(rename = "type")]
    kind: Name,
    #[serde(default)]
    occurred_at: Option<DateTime<Utc>>,
    #[serde(default)]
    member: Option<MemberBody>,
    #[serde(default)]
    location: Option<Name>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberBody {
    #[serde(default)]
    id: Option<Box<str>>,
    #[serde(default)]
    card: Option<Box<str>>,
    #[serde(default)]
    phone: Option<Box<str>>,
    #[serde(default)]
    email: Option<Box<str>>,
    #[serde(default)]
    external_id: Option<Box<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderBody {
    order_id: Key,
    total: Money,
    #[serde(default)]
    subtotal: Option<Money>,
    #[serde(default)]
    tax: Option<Money>,
    #[serde(default)]
    tip: Option<Money>,
    #[serde(default)]
    discount: Option<Money>,
    #[serde(default)]
    channel: Option<Name>,
    #[serde(default)]
    items: Vec<ItemBody>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemBody {
    #[serde(default)]
    sku: Option<Name>,
    #[serde(default)]
    name: Option<Name>,
    #[serde(default)]
    category: Option<Name>,
    #[serde(default)]
    quantity: Option<Money>,
    price: Money,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundBody {
    order_id: Key,
    amount: Money,
    #[serde(default)]
    reason: Option<Name>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VisitBody {
    #[serde(default)]
    channel: Option<Name>,
}

impl SourceEvent {
    /// Parses one event. `currency` fixes the decimals of money; `now` is the reference for absurd dates and the
    /// default of `occurred_at`.
    ///
    /// An event without `key` is known by its body: the same bytes with the same `occurred_at` are the same event,
    /// and bytes without `occurred_at` are the same event for a UTC day.
    pub fn parse(body: &[u8], currency: &Currency, now: Timestamp) -> Result<Self, BadEvent> {
        if body.len() > MAX_BYTES {
            return Err(BadEvent {
                code: BadEventCode::TooLarge,
                field: String::new(),
                problem: format!("the event has {} bytes; at most {MAX_BYTES} are taken", body.len()),
            });
        }
        let text = std::str::from_utf8(body).map_err(|e| BadEvent {
            code: BadEventCode::NotJson,
            field: String::new(),
            problem: format!("the body is not UTF-8 (byte {})", e.valid_up_to()),
        })?;
        let envelope: Envelope<'_> = from_json(text, "")?;
        let occurred_at = envelope.occurred_at.map(micros).unwrap_or(now);
        check_time(occurred_at, now)?;
        let body_hash: [u8; 32] = Sha256::digest(body).into();
        let key = match envelope.key {
            Some(key) => key,
            None => key_of_body(&body_hash, envelope.occurred_at.is_some(), now),
        };
        Ok(Self {
            key,
            occurred_at,
            identities: envelope.member.map_or_else(|| Ok(Vec::new()), identities)?,
            location: envelope.location,
            data: data(&envelope.kind, envelope.data.map_or("{}", RawValue::get), currency)?,
            body_hash,
            body: text.into(),
        })
    }

    /// The type of this event.
    pub const fn kind(&self) -> SourceType {
        self.data.kind()
    }
}

/// Deserialises strictly. Only a failure pays for the second pass that finds the path of the field.
fn from_json<'a, T: Deserialize<'a>>(text: &'a str, prefix: &str) -> Result<T, BadEvent> {
    // serde would take a list as a struct's fields in order; nobody means that.
    if let Some(first) = text.trim_ascii_start().chars().next().filter(|c| !matches!(c, '{')) {
        let code = if "[\"-0123456789tfn".contains(first) {
            BadEventCode::InvalidField
        } else {
            BadEventCode::NotJson
        };
        return Err(BadEvent { code, field: prefix.to_owned(), problem: "must be a JSON object".to_owned() });
    }
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let outcome: Result<T, _> = serde_path_to_error::deserialize(&mut deserializer);
    let (path, error) = match outcome {
        Ok(_) => (String::new(), deserializer.end().err()),
        Err(error) => (error.path().to_string(), Some(error.into_inner())),
    };
    let path = if path == "." || path == "?" { "" } else { &path };
    let joint = if prefix.is_empty() || path.is_empty() { "" } else { "." };
    let code = match &error {
        Some(e) if e.is_syntax() || e.is_eof() => BadEventCode::NotJson,
        _ => BadEventCode::InvalidField,
    };
    let problem = error.map_or_else(|| "is not valid".to_owned(), |e| e.to_string());
    Err(BadEvent { code, field: format!("{prefix}{joint}{path}"), problem })
}

/// The store keeps microseconds; a finer instant would not survive a reload.
fn micros(at: DateTime<Utc>) -> Timestamp {
    DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap_or(at)
}

fn check_time(at: Timestamp, now: Timestamp) -> Result<(), BadEvent> {
    if at > now + MAX_AHEAD {
        return Err(BadEvent::field(
            "occurred_at",
            "lies more than 24 hours in the future; check the till's clock",
        ));
    }
    if at < now - MAX_BEHIND {
        return Err(BadEvent::field("occurred_at", "lies more than 20 years back; check the till's clock"));
    }
    Ok(())
}

fn key_of_body(hash: &[u8; 32], has_time: bool, now: Timestamp) -> Key {
    use fmt::Write;
    let mut key = String::from("body:");
    for byte in &hash[..16] {
        let _ = write!(key, "{byte:02x}"); // writing to a String cannot fail
    }
    if !has_time {
        let _ = write!(key, ":{}", now.timestamp().div_euclid(86_400));
    }
    Key::parse(&key).unwrap_or_else(|_| unreachable!("hex and digits make a key"))
}

fn identities(member: MemberBody) -> Result<Vec<Identity>, BadEvent> {
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
    if identities.is_empty() {
        let problem =
            "names nobody; give at least one of id, card, phone, email, external_id, or leave `member` out";
        return Err(BadEvent::field("member", problem));
    }
    Ok(identities)
}

fn data(kind: &str, raw: &str, currency: &Currency) -> Result<SourceData, BadEvent> {
    let kind: SourceType = kind.parse().map_err(|()| {
        let known: Vec<_> = SourceType::ALL.iter().map(|t| t.as_str()).collect();
        BadEvent::field("type", format!("`{kind}` is not a source event; known are {}", known.join(", ")))
    })?;
    let money = Checked { currency };
    Ok(match kind {
        SourceType::OrderCompleted => {
            let body: OrderBody = from_json(raw, "data")?;
            if body.items.len() > MAX_ITEMS {
                return Err(BadEvent::field("data.items", format!("has more than {MAX_ITEMS} lines")));
            }
            let items = body.items.into_iter().enumerate().map(|(i, item)| money.item(i, item));
            SourceData::OrderCompleted(Order {
                items: items.collect::<Result<_, _>>()?,
                order_id: body.order_id,
                total: money.amount("data.total", body.total)?,
                subtotal: money.optional("data.subtotal", body.subtotal)?,
                tax: money.optional("data.tax", body.tax)?,
                tip: money.optional("data.tip", body.tip)?,
                discount: money.optional("data.discount", body.discount)?,
                channel: body.channel,
            })
        }
        SourceType::OrderRefunded => {
            let body: RefundBody = from_json(raw, "data")?;
            let amount = money.amount("data.amount", body.amount)?;
            SourceData::OrderRefunded(Refund { order_id: body.order_id, amount, reason: body.reason })
        }
        SourceType::Visit => {
            let body: VisitBody = from_json(raw, "data")?;
            SourceData::Visit(Visit { channel: body.channel })
        }
    })
}

struct Checked<'a> {
    currency: &'a Currency,
}

impl Checked<'_> {
    fn amount(&self, field: &str, amount: Money) -> Result<Money, BadEvent> {
        amount.checked(self.currency).map_err(|e| BadEvent::field(field, e))
    }

    fn optional(&self, field: &str, amount: Option<Money>) -> Result<Option<Money>, BadEvent> {
        amount.map(|amount| self.amount(field, amount)).transpose()
    }

    fn item(&self, index: usize, item: ItemBody) -> Result<Item, BadEvent> {
        /// Weighed goods come in grams of a kilogram.
        const QUANTITY_DECIMALS: u32 = 3;
        let at = |name: &str| format!("data.items[{index}].{name}");
        let quantity = item.quantity.unwrap_or(Money::new(rust_decimal::Decimal::ONE));
        let quantity = quantity.limited().map_err(|e| BadEvent::field(at("quantity"), e))?;
        let amount = quantity.decimal().normalize();
        if amount.is_sign_negative() || amount.scale() > QUANTITY_DECIMALS {
            return Err(BadEvent::field(at("quantity"), "must be zero or more, with at most 3 decimals"));
        }
        let price =
            item.price.checked(self.currency).map_err(|e: BadMoney| BadEvent::field(at("price"), e))?;
        Ok(Item { sku: item.sku, name: item.name, category: item.category, quantity, price })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(body: &str) -> Result<SourceEvent, BadEvent> {
        SourceEvent::parse(body.as_bytes(), &"USD".parse().unwrap(), "2026-03-03T19:00:00Z".parse().unwrap())
    }

    const ORDER: &str = r#"{ "key": "ORD-1001", "type": "order.completed", "occurred_at": "2026-03-03T18:30:00Z",
        "member": { "id": "m-42", "email": "Ana@example.com", "phone": "+15551234567", "card": "7001" },
        "location": "loc_philly_walnut",
        "data": { "order_id": "ORD-1001", "total": 24.50, "subtotal": "22.50", "tax": 2.00, "channel": "pos",
            "items": [ { "sku": "dish_001", "name": "Power Bowl", "category": "food", "quantity": 1, "price": 14.50 } ] } }"#;

    #[test]
    fn the_documented_order_is_understood() {
        let event = parse(ORDER).unwrap();
        assert_eq!(event.kind(), SourceType::OrderCompleted);
        assert_eq!(event.identities.len(), 4);
        assert_eq!(event.identities[0].kind, IdentityKind::Id);
        let SourceData::OrderCompleted(order) = event.data else { panic!("an order") };
        assert_eq!(order.total.to_string(), "24.50");
        assert_eq!(order.items[0].total().to_string(), "14.50");
    }

    #[test]
    fn every_refusal_names_the_field() {
        let deep = format!(r#"{{"type":"visit","data":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
        let long = format!(r#"{{"type":"visit","key":"{}"}}"#, "k".repeat(256));
        let cases: &[(&str, &str)] = &[
            ("", ""),
            ("null", ""),
            ("[]", ""),
            ("{", ""),
            ("\u{feff}{}", ""),
            (r#"{"type":"visit"} x"#, ""),
            (r#"{"type":"visit","key":"a","key":"b"}"#, ""),
            (r#"{"type":"visit","nonsense":1}"#, "nonsense"),
            (r#"{"type":"visits"}"#, "type"),
            (r#"{"type":"visit","key":"a\u0000b"}"#, "key"),
            (r#"{"type":"visit","key":7}"#, "key"),
            (r#"{"type":"visit","occurred_at":"1970-01-01T00:00:00Z"}"#, "occurred_at"),
            (r#"{"type":"visit","occurred_at":"9999-01-01T00:00:00Z"}"#, "occurred_at"),
            (r#"{"type":"visit","occurred_at":"2026-03-03T18:30:00"}"#, "occurred_at"),
            (r#"{"type":"visit","member":{}}"#, "member"),
            (r#"{"type":"visit","member":{"email":"ana"}}"#, "member.email"),
            (r#"{"type":"visit","member":{"phone":"555"}}"#, "member.phone"),
            (r#"{"type":"visit","data":{"x":1}}"#, "data.x"),
            (r#"{"type":"order.completed","data":{"order_id":"o"}}"#, "data"),
            (
                r#"{"type":"order.completed","data":{"order_id":"o","total":123456789012345678901234567890}}"#,
                "data.total",
            ),
            (r#"{"type":"order.completed","data":{"order_id":"o","total":1.005}}"#, "data.total"),
            (r#"{"type":"order.completed","data":{"order_id":"o","total":-1}}"#, "data.total"),
            (r#"{"type":"order.completed","data":{"order_id":"o","total":1e3}}"#, "data.total"),
            (r#"{"type":"order.completed","data":{"order_id":"o","total":1,"total":2}}"#, "data"),
            (
                r#"{"type":"order.completed","data":{"order_id":"o","total":1,"items":[{"price":"x"}]}}"#,
                "data.items[0].price",
            ),
            (
                r#"{"type":"order.completed","data":{"order_id":"o","total":1,"items":[{"price":1,"quantity":-1}]}}"#,
                "data.items[0].quantity",
            ),
            (r#"{"type":"order.refunded","data":{"order_id":"","amount":1}}"#, "data.order_id"),
            (&deep, "data"),
            (&long, "key"),
        ];
        for (body, field) in cases {
            let bad = parse(body).expect_err(body);
            assert_eq!(&bad.field, field, "{body}: {bad}");
        }
    }

    #[test]
    fn an_event_of_more_than_256_kib_is_too_large() {
        let body = format!(r#"{{"type":"visit","key":"{}"}}"#, "k".repeat(MAX_BYTES));
        assert_eq!(parse(&body).unwrap_err().code, BadEventCode::TooLarge);
    }

    #[test]
    fn without_a_key_the_same_body_is_the_same_event() {
        let timed = r#"{"type":"visit","occurred_at":"2026-03-03T18:30:00Z","member":{"id":"m"}}"#;
        let untimed = r#"{"type":"visit","member":{"id":"m"}}"#;
        assert_eq!(parse(timed).unwrap().key, parse(timed).unwrap().key);
        assert_ne!(parse(timed).unwrap().key, parse(untimed).unwrap().key);
        let later = SourceEvent::parse(
            untimed.as_bytes(),
            &"USD".parse().unwrap(),
            "2026-03-05T19:00:00Z".parse().unwrap(),
        );
        assert_ne!(parse(untimed).unwrap().key, later.unwrap().key);
    }

    /// What is likely to matter to a parser of JSON, and to a database of text.
    const PIECES: &[&str] = &[
        "",
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "\\",
        "\\u0000",
        "\\ud800",
        "\\ud83c\\udf5c",
        "\0",
        "\u{feff}",
        "\n",
        " ",
        "-",
        "0",
        "9999999999999999999999999999",
        "1e999",
        "0.001",
        ".",
        "null",
        "true",
        "NaN",
        "\"key\":",
        "\"key\":\"x\",",
        "\"data\":{",
        "\"items\":[",
        "\"total\":",
        "é",
        "\u{202e}",
        "/*",
        "//",
    ];

    /// What was accepted can be stored anywhere.
    fn assert_sound(event: &SourceEvent) -> Result<(), TestCaseError> {
        prop_assert!(event.key.len() <= 255 && !event.key.contains('\0'));
        for identity in &event.identities {
            prop_assert!(!identity.value.is_empty() && !identity.value.contains('\0'), "{:?}", identity);
        }
        if let SourceData::OrderCompleted(order) = &event.data {
            prop_assert!(
                !order.total.decimal().is_sign_negative() && order.total.decimal().normalize().scale() <= 2
            );
            prop_assert!(order.items.len() <= MAX_ITEMS);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn no_mutation_of_an_order_makes_the_parser_panic_hang_or_take_poison(
            cuts in prop::collection::vec(
                (any::<prop::sample::Index>(), 0..12_usize, prop::sample::select(PIECES), prop_oneof![9 => 1..3_usize, 1 => 1..40_000_usize]),
                1..6,
            ),
        ) {
            let mut text: Vec<char> = ORDER.chars().collect();
            for (start, length, piece, times) in cuts {
                let start = start.index(text.len() + 1);
                let end = (start + length).min(text.len());
                text.splice(start..end, piece.repeat(times).chars());
            }
            let text: String = text.into_iter().collect();
            let begun = std::time::Instant::now();
            let parsed = parse(&text);
            prop_assert!(begun.elapsed() < std::time::Duration::from_secs(2), "it took {:?}", begun.elapsed());
            match parsed {
                Ok(event) => assert_sound(&event)?,
                Err(bad) => prop_assert!(!bad.to_string().is_empty()),
            }
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = SourceEvent::parse(&bytes, &"USD".parse().unwrap(), "2026-03-03T19:00:00Z".parse().unwrap());
        }

        #[test]
        fn a_damaged_order_is_refused_or_still_an_order(at in 0..ORDER.len(), with in any::<u8>()) {
            let mut bytes = ORDER.as_bytes().to_vec();
            bytes[at] = with;
            if let Ok(event) = SourceEvent::parse(&bytes, &"USD".parse().unwrap(), "2026-03-03T19:00:00Z".parse().unwrap()) {
                prop_assert!(event.key.len() <= 255);
            }
        }
    }
}
