//! Source events: what a POS told us, parsed once at the door into values that cannot be wrong.

mod body;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::Duration;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Timestamp;
use super::command::{Command, CommandType};
use super::identity::Identity;
use super::ids::MemberId;
use super::json::{self, BadJson, Object};
use super::money::Currency;
use super::offering::{Change, Offering, OfferingNews};
use super::order::{Order, Refund, Visit};
use super::profile::ProfileChange;
use super::session::{SessionEnd, SessionStart, Signal};
use super::text::{Key, Name};
use body::{Envelope, Guest, Instant, data, guest};

/// The largest event we take, in bytes of JSON.
pub const MAX_BYTES: usize = 256 * 1024;
/// The most lines of one order.
pub const MAX_ITEMS: usize = 1_000;
/// The most coupons of one order.
pub const MAX_COUPONS: usize = 20;
/// How far `occurred_at` may lie ahead of our clock: tills are set by hand.
const MAX_AHEAD: Duration = Duration::hours(24);
/// How far `occurred_at` may lie back: real histories are imported, the epoch is a broken till.
const MAX_BEHIND: Duration = Duration::days(20 * 366);
/// An event without a key is the same as one with the same body that was received less than this before.
pub const KEYLESS_REPEAT: Duration = Duration::hours(24);

/// What a source event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceType {
    /// A guest paid.
    OrderCompleted,
    /// A guest got money back.
    OrderRefunded,
    /// A guest was here.
    Visit,
    /// Something else is known of a guest now.
    MemberUpdated,
    /// A guest came to a kiosk, opened the app.
    SessionStarted,
    /// They left it.
    SessionEnded,
    /// Something was noticed of a guest.
    Signal,
    /// Somebody asks for something, through the engine's own routes only.
    Command(CommandType),
    /// Something on offer changed.
    Offering(Offering, Change),
}

impl SourceType {
    /// All that are sent to us.
    pub const ALL: [Self; 13] = [
        Self::OrderCompleted,
        Self::OrderRefunded,
        Self::Visit,
        Self::MemberUpdated,
        Self::SessionStarted,
        Self::SessionEnded,
        Self::Signal,
        Self::Offering(Offering::Experience, Change::Created),
        Self::Offering(Offering::Experience, Change::Updated),
        Self::Offering(Offering::Experience, Change::Deleted),
        Self::Offering(Offering::MenuItem, Change::Created),
        Self::Offering(Offering::MenuItem, Change::Updated),
        Self::Offering(Offering::MenuItem, Change::Deleted),
    ];

    /// The word used in JSON and in rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderCompleted => "order.completed",
            Self::OrderRefunded => "order.refunded",
            Self::Visit => "visit",
            Self::MemberUpdated => "member.updated",
            Self::SessionStarted => "session.started",
            Self::SessionEnded => "session.ended",
            Self::Signal => "signal",
            Self::Command(command) => command.as_str(),
            Self::Offering(Offering::Experience, Change::Created) => "experience.created",
            Self::Offering(Offering::Experience, Change::Updated) => "experience.updated",
            Self::Offering(Offering::Experience, Change::Deleted) => "experience.deleted",
            Self::Offering(Offering::MenuItem, Change::Created) => "menu_item.created",
            Self::Offering(Offering::MenuItem, Change::Updated) => "menu_item.updated",
            Self::Offering(Offering::MenuItem, Change::Deleted) => "menu_item.deleted",
        }
    }

    /// Whether it is a command: the engine's own routes make it, nobody sends it as an event.
    pub const fn is_command(self) -> bool {
        matches!(self, Self::Command(_))
    }

    /// What some senders call it instead: by what they did, `menu_item.update`.
    fn deed(self) -> Option<&'static str> {
        matches!(self, Self::Offering(..)).then(|| self.as_str().strip_suffix('d')).flatten()
    }

    /// Whether it happens to a guest. What does not is decided without one, and no rule starts on it.
    pub const fn is_about_member(self) -> bool {
        !matches!(self, Self::Offering(..))
    }
}

impl FromStr for SourceType {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        let sent = Self::ALL.into_iter().find(|kind| kind.as_str() == word || kind.deed() == Some(word));
        sent.map_or_else(|| word.parse().map(Self::Command), Ok)
    }
}

impl From<CommandType> for SourceType {
    fn from(command: CommandType) -> Self {
        Self::Command(command)
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
    /// `member.updated`
    MemberUpdated(Box<ProfileChange>),
    /// `session.started`
    SessionStarted(SessionStart),
    /// `session.ended`
    SessionEnded(SessionEnd),
    /// `signal`
    Signal(Signal),
    /// What somebody asked for.
    Command(Command),
    /// `experience.*`, `menu_item.*`
    Offering(OfferingNews),
}

impl SourceData {
    /// The type of this event.
    pub const fn kind(&self) -> SourceType {
        match self {
            Self::OrderCompleted(_) => SourceType::OrderCompleted,
            Self::OrderRefunded(_) => SourceType::OrderRefunded,
            Self::Visit(_) => SourceType::Visit,
            Self::MemberUpdated(_) => SourceType::MemberUpdated,
            Self::SessionStarted(_) => SourceType::SessionStarted,
            Self::SessionEnded(_) => SourceType::SessionEnded,
            Self::Signal(_) => SourceType::Signal,
            Self::Command(command) => SourceType::Command(command.kind()),
            Self::Offering(news) => SourceType::Offering(news.what, news.change),
        }
    }

    /// Identities that it brings besides those of its envelope.
    fn identities(&self) -> &[Identity] {
        match self {
            Self::MemberUpdated(change) => change.new_identities(),
            Self::Command(Command::CreateMember(person)) => person.new_identities(),
            _ => &[],
        }
    }

    /// The order it is about, if any.
    pub const fn order_id(&self) -> Option<&Key> {
        match self {
            Self::OrderCompleted(order) => Some(&order.order_id),
            Self::OrderRefunded(refund) => Some(&refund.order_id),
            Self::Visit(_)
            | Self::MemberUpdated(_)
            | Self::SessionStarted(_)
            | Self::SessionEnded(_)
            | Self::Signal(_)
            | Self::Command(_)
            | Self::Offering(_) => None,
        }
    }
}

/// Who gave an event its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOrigin {
    /// The sender: the key is remembered for ever.
    Sender,
    /// Nobody, so it was made of the body: see [`SourceEvent::key_after`].
    Body,
}

/// One source event, valid.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceEvent {
    /// Idempotent by (chain, key).
    pub key: Key,
    /// Who gave it.
    pub key_origin: KeyOrigin,
    /// When it happened, by the POS's clock.
    pub occurred_at: Timestamp,
    /// Whose it is, when it names one of our own ids. Nobody else is looked for then.
    pub member: Option<MemberId>,
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
    pub(super) fn field(field: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self { code: BadEventCode::InvalidField, field: field.into(), problem: problem.to_string() }
    }
}

impl SourceEvent {
    /// Parses one event. `currency` fixes the decimals of money; `now` is the reference for absurd dates and the
    /// default of `occurred_at`.
    ///
    /// An event without `key` is known by its body, [`KEYLESS_REPEAT`] long.
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
        let envelope: Envelope<'_> = json::object(text, "")?;
        let occurred_at = envelope.occurred_at.map_or(now, |Instant(at)| at);
        check_time(occurred_at, now)?;
        let body_hash: [u8; 32] = Sha256::digest(body).into();
        let (key, key_origin) = match envelope.key {
            Some(key) => (key_of_sender(key).map_err(|why| BadEvent::field("key", why))?, KeyOrigin::Sender),
            None => (key_of_body(&body_hash), KeyOrigin::Body),
        };
        let guest = envelope.member.map_or_else(|| Ok(Guest::default()), |Object(member)| guest(member))?;
        let data = data(&envelope.kind, envelope.data.map_or("{}", RawValue::get), currency)?;
        let names_somebody = guest.id.is_some() || !guest.identities.is_empty();
        if names_somebody && !data.kind().is_about_member() {
            let problem = format!("{} is about no guest; leave `member` out", data.kind());
            return Err(BadEvent::field("member", problem));
        }
        let mut identities = guest.identities;
        for identity in data.identities() {
            if !identities.contains(identity) {
                identities.push(identity.clone());
            }
        }
        Ok(Self {
            key,
            key_origin,
            occurred_at,
            member: guest.id,
            identities,
            location: envelope.location,
            data,
            body_hash,
            body: text.into(),
        })
    }

    /// The type of this event.
    pub const fn kind(&self) -> SourceType {
        self.data.kind()
    }

    /// Whether it makes a member of somebody unknown, whatever the program says of unknown guests.
    pub const fn enrols(&self) -> bool {
        matches!(self.data, SourceData::Command(Command::CreateMember(_)))
    }

    /// Gives an event without a key the one that came beside its body. A key in the body wins.
    ///
    /// # Errors
    /// What is wrong with the key.
    pub fn or_key(self, key: &str) -> Result<Self, String> {
        let key = Key::parse(key).map_err(|bad| bad.to_string())?;
        let key = key_of_sender(key)?;
        Ok(match self.key_origin {
            KeyOrigin::Sender => self,
            KeyOrigin::Body => Self { key, key_origin: KeyOrigin::Sender, ..self },
        })
    }

    /// The key of an event without one that is received at `now`. `newest` is the last event with this body, by the
    /// key of the first and those derived from it, and when it was received.
    ///
    /// Less than [`KEYLESS_REPEAT`] after that it is a repeat of it. Otherwise the key is derived from the newest
    /// alone, so that whoever sends the same at the same moment gets the same key, and one of them wins.
    pub fn key_after(&self, newest: Option<(Key, Timestamp)>, now: Timestamp) -> Key {
        match newest {
            None => self.key.clone(),
            Some((key, at)) if now - at < KEYLESS_REPEAT => key,
            // Of fixed width: the newest is also the last in the order of keys.
            Some((_, at)) => Key::parse(&format!("{}:{:020}", self.key, at.timestamp_micros()))
                .unwrap_or_else(|_| unreachable!("hex and digits make a key")),
        }
    }
}

impl From<BadJson> for BadEvent {
    fn from(bad: BadJson) -> Self {
        match bad {
            BadJson::NotJson(problem) => Self { code: BadEventCode::NotJson, field: String::new(), problem },
            BadJson::Shape { field, problem } => Self { code: BadEventCode::InvalidField, field, problem },
        }
    }
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

/// What the keys of events without one begin with; nobody may give such a key.
const KEYLESS: &str = "hash:";

/// The key of the first event with this body.
fn key_of_body(hash: &[u8; 32]) -> Key {
    let hex: String = hash[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    Key::parse(&format!("{KEYLESS}{hex}")).unwrap_or_else(|_| unreachable!("hex makes a key"))
}

fn key_of_sender(key: Key) -> Result<Key, &'static str> {
    if key.starts_with(KEYLESS) {
        return Err("must not start with `hash:`: that prefix marks events without a key");
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity::IdentityKind;
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
            (r#"{"type":"visit","key":"a","key":"b"}"#, "key"),
            (r#"{"key":"a"}"#, "type"),
            (r#"{"type":"visit","key":"hash:00"}"#, "key"),
            (r#"{"type":"visit","key":"\ud800"}"#, "key"),
            (r#"{"type":"visit","member":["m-42",null,null,null,null]}"#, "member"),
            (r#"{"type":"visit","data":[null]}"#, "data"),
            (
                r#"{"type":"order.completed","data":{"order_id":"o","total":1,"items":[[null,null,null,1,1]]}}"#,
                "data.items[0]",
            ),
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
            (r#"{"type":"order.completed","data":{"order_id":"o"}}"#, "data.total"),
            (
                r#"{"type":"order.completed","data":{"order_id":"o","total":123456789012345678901234567890}}"#,
                "data.total",
            ),
            (r#"{"type":"order.completed","data":{"order_id":"o","total":1.005}}"#, "data.total"),
            (r#"{"type":"order.completed","data":{"order_id":"o","total":-1}}"#, "data.total"),
            (r#"{"type":"order.completed","data":{"order_id":"o","total":1e3}}"#, "data.total"),
            (r#"{"type":"order.completed","data":{"order_id":"o","total":1,"total":2}}"#, "data.total"),
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
            (r#"{"type":"menu_item.updated","data":[1]}"#, "data"),
            (r#"{"type":"experience.deleted","data":{"a":1},"member":{"id":"m"}}"#, "member"),
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
    fn a_refusal_speaks_of_the_event_and_never_of_our_types() {
        for (body, said) in [
            (
                r#"{"type":"visit","occurred_at":"2026-03-03T18:30"}"#,
                "occurred_at: must be an RFC 3339 instant with its offset, such as 2026-03-03T18:30:00Z",
            ),
            (r#"{"type":"visit","member":"m-42"}"#, "member: must be a JSON object, not a text"),
            (r#"{"type":"visit","key":7}"#, "key: must be a text of 1 to 255 bytes, not the number `7`"),
            (r#"{"type":"visit","data":{"y":1}}"#, "data.y: is not a field here; there is `channel`"),
        ] {
            assert_eq!(parse(body).expect_err(body).to_string(), said);
        }
    }

    #[test]
    fn without_a_key_the_same_body_is_the_same_event_for_a_day_after_the_first() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let event = parse(r#"{"type":"visit","member":{"id":"m"}}"#).unwrap();
        assert_eq!(event.key_origin, KeyOrigin::Body);
        let first = event.key_after(None, at("2026-03-03T19:00:00Z"));
        let seen = Some((first.clone(), at("2026-03-03T19:00:00Z")));
        assert_eq!(event.key_after(seen.clone(), at("2026-03-04T18:59:59Z")), first);
        let second = event.key_after(seen.clone(), at("2026-03-04T19:00:00Z"));
        assert_eq!(event.key_after(seen, at("2026-03-04T19:00:07Z")), second, "whoever is first, one wins");
        assert!(
            second > first
                && second
                    < event.key_after(
                        Some((second.clone(), at("2026-03-04T19:00:00Z"))),
                        at("2026-03-09T00:00:00Z")
                    )
        );
        let other = parse(r#"{"type":"visit","member":{"id":"n"}}"#).unwrap();
        assert_ne!(other.key, event.key);
    }

    #[test]
    fn what_is_on_offer_comes_as_it_is_under_either_spelling() {
        for word in ["menu_item.update", "menu_item.updated"] {
            let text = format!(r#"{{"type":"{word}","data":{{ "price": 14.50,"tags":["new"] }}}}"#);
            let event = parse(&text).unwrap();
            assert_eq!(event.kind().as_str(), "menu_item.updated");
            let SourceData::Offering(news) = event.data else { panic!("an offering") };
            assert_eq!(news.about.text(), r#"{ "price": 14.50,"tags":["new"] }"#);
        }
        assert_eq!(parse(r#"{"type":"visi"}"#).unwrap_err().field, "type");
        assert!("order.complete".parse::<SourceType>().is_err());
    }

    #[test]
    fn a_key_beside_the_body_serves_when_there_is_none_in_it() {
        let keyless = parse(r#"{"type":"visit"}"#).unwrap();
        let keyed = keyless.clone().or_key("k-1").unwrap();
        assert_eq!((&*keyed.key, keyed.key_origin), ("k-1", KeyOrigin::Sender));
        assert_eq!(&*parse(ORDER).unwrap().or_key("k-1").unwrap().key, "ORD-1001");
        assert!(keyless.clone().or_key("").is_err() && keyless.or_key("hash:00").is_err());
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
