//! Source events: what a POS told us, parsed once at the door into values that cannot be wrong.

mod body;
mod own;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::Duration;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::Timestamp;
use super::cart::Cart;
use super::command::{Command, CommandType};
use super::identity::Identity;
use super::ids::MemberId;
use super::json::{self, BadJson, Object};
use super::money::Currency;
use super::offering::{Change, Offering, OfferingNews};
use super::order::{Cancellation, Refund, Snapshot, Visit};
use super::profile::ProfileChange;
use super::referral::FOLLOW_UP;
use super::session::{SessionEnd, SessionStart, Signal};
use super::text::{Key, Name};
use super::trace::Trace;
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
    /// A guest placed an order.
    OrderCreated,
    /// Something about an order changed.
    OrderUpdated,
    /// A guest paid.
    OrderCompleted,
    /// An order will not be, or is no longer.
    OrderCancelled,
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
    /// A guest put something into a cart, or took it out.
    CartUpdated,
    /// Somebody asks for something, through the engine's own routes only.
    Command(CommandType),
    /// Something on offer changed.
    Offering(Offering, Change),
}

impl SourceType {
    /// All that are sent to us.
    pub const ALL: [Self; 17] = [
        Self::OrderCreated,
        Self::OrderUpdated,
        Self::OrderCompleted,
        Self::OrderCancelled,
        Self::OrderRefunded,
        Self::Visit,
        Self::MemberUpdated,
        Self::SessionStarted,
        Self::SessionEnded,
        Self::Signal,
        Self::CartUpdated,
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
            Self::OrderCreated => "order.created",
            Self::OrderUpdated => "order.updated",
            Self::OrderCompleted => "order.completed",
            Self::OrderCancelled => "order.cancelled",
            Self::OrderRefunded => "order.refunded",
            Self::Visit => "visit",
            Self::MemberUpdated => "member.updated",
            Self::SessionStarted => "session.started",
            Self::SessionEnded => "session.ended",
            Self::Signal => "signal",
            Self::CartUpdated => "cart.updated",
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
    /// `order.created`
    OrderCreated(Snapshot),
    /// `order.updated`
    OrderUpdated(Snapshot),
    /// `order.completed`
    OrderCompleted(Snapshot),
    /// `order.cancelled`
    OrderCancelled(Cancellation),
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
    /// `cart.updated`
    CartUpdated(Box<Cart>),
    /// What somebody asked for.
    Command(Command),
    /// `experience.*`, `menu_item.*`
    Offering(OfferingNews),
}

impl SourceData {
    /// The type of this event.
    pub const fn kind(&self) -> SourceType {
        match self {
            Self::OrderCreated(_) => SourceType::OrderCreated,
            Self::OrderUpdated(_) => SourceType::OrderUpdated,
            Self::OrderCompleted(_) => SourceType::OrderCompleted,
            Self::OrderCancelled(_) => SourceType::OrderCancelled,
            Self::OrderRefunded(_) => SourceType::OrderRefunded,
            Self::Visit(_) => SourceType::Visit,
            Self::MemberUpdated(_) => SourceType::MemberUpdated,
            Self::SessionStarted(_) => SourceType::SessionStarted,
            Self::SessionEnded(_) => SourceType::SessionEnded,
            Self::Signal(_) => SourceType::Signal,
            Self::CartUpdated(_) => SourceType::CartUpdated,
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
    pub fn order_id(&self) -> Option<&Key> {
        match self {
            Self::OrderCreated(new) | Self::OrderUpdated(new) | Self::OrderCompleted(new) => {
                Some(&new.order.order_id)
            }
            Self::OrderCancelled(cancelled) => Some(&cancelled.order_id),
            Self::OrderRefunded(refund) => Some(&refund.order_id),
            Self::Visit(_)
            | Self::MemberUpdated(_)
            | Self::SessionStarted(_)
            | Self::SessionEnded(_)
            | Self::Signal(_)
            | Self::CartUpdated(_)
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
    /// The API key that asked for it, by its name; of commands only.
    pub asked_by: Option<Name>,
    /// The trace that it is part of.
    pub trace: Option<Box<Trace>>,
    /// SHA-256 of the body as its sender said it: the same key with another body is refused.
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
        let body_hash = Self::hash_of(body);
        let (key, key_origin) = match envelope.key {
            Some(key) => (key_of_sender(key).map_err(|why| BadEvent::field("key", why))?, KeyOrigin::Sender),
            None => (key_of_body(&body_hash), KeyOrigin::Body),
        };
        let guest = envelope.member.map_or_else(|| Ok(Guest::default()), |Object(member)| guest(member))?;
        let text_of_data = envelope.data.map_or("{}", RawValue::get);
        let data = data(&envelope.kind, text_of_data, envelope.location.as_ref(), currency)?;
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
            asked_by: None,
            trace: None,
            body_hash,
            body: text.into(),
        })
    }

    /// The same event, if somebody outside may give it its key.
    ///
    /// # Errors
    /// The key is one that only the engine's own events have: it would take the place of one of them.
    pub fn from_outside(self) -> Result<Self, BadEvent> {
        if self.key.starts_with(FOLLOW_UP) {
            let problem =
                format!("must not start with `{FOLLOW_UP}`: that prefix marks what follows of other events");
            return Err(BadEvent::field("key", problem));
        }
        Ok(self)
    }

    /// What a body is known by.
    pub fn hash_of(body: &[u8]) -> [u8; 32] {
        Sha256::digest(body).into()
    }

    /// The same event, known by what its sender said instead of what we made of it.
    #[must_use]
    pub fn asked_as(self, body: &[u8]) -> Self {
        Self { body_hash: Self::hash_of(body), ..self }
    }

    /// The type of this event.
    pub const fn kind(&self) -> SourceType {
        self.data.kind()
    }

    /// Whether it goes to the owner of the order it names, whoever brings it: what happens to a known order happens to
    /// the one whose it is. A new order is its guest's; one without a guest is whose it was before.
    pub fn follows_its_order(&self) -> bool {
        match &self.data {
            SourceData::OrderRefunded(_) => true,
            SourceData::OrderUpdated(_) | SourceData::OrderCancelled(_) => self.member.is_none(),
            SourceData::OrderCreated(_) | SourceData::OrderCompleted(_) => {
                self.member.is_none() && self.identities.is_empty()
            }
            SourceData::Visit(_)
            | SourceData::MemberUpdated(_)
            | SourceData::SessionStarted(_)
            | SourceData::SessionEnded(_)
            | SourceData::Signal(_)
            | SourceData::CartUpdated(_)
            | SourceData::Command(_)
            | SourceData::Offering(_) => false,
        }
    }

    /// Whether it makes a member of somebody unknown, whatever the program says of unknown guests.
    pub const fn enrols(&self) -> bool {
        matches!(self.data, SourceData::Command(Command::CreateMember(_)))
    }

    /// The same, asked for by the holder of an API key.
    #[must_use]
    pub fn asked_by(self, key: Name) -> Self {
        Self { asked_by: Some(key), ..self }
    }

    /// The same, as part of a trace.
    #[must_use]
    pub fn traced(self, trace: Option<Trace>) -> Self {
        Self { trace: trace.map(Box::new), ..self }
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
