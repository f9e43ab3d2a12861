//! Sessions and signals: a guest at a kiosk, in the app, at the door.

use chrono::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::identity::IdentityKind;
use super::money::Money;
use super::payload::Payload;
use super::text::{Key, Name};

/// The most sessions of a member that are open at once; the oldest is forgotten.
const MAX_OPEN: usize = 8;

/// `session.started`
#[derive(Debug, Clone, PartialEq)]
pub struct SessionStart {
    /// The sender's id of the session.
    pub session_id: Key,
    /// Where: `kiosk`, `app`, `web`.
    pub channel: Option<Name>,
    /// How sure the sender is whose it is, from 0 to 1.
    pub confidence: Option<Money>,
}

/// `session.ended`
#[derive(Debug, Clone, PartialEq)]
pub struct SessionEnd {
    /// The sender's id of the session.
    pub session_id: Key,
}

/// `signal`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Signal {
    /// What was noticed: `menu_viewed`, `nfc_tap`.
    pub name: Name,
    /// What else the sender says, as it came.
    pub data: Payload,
}

/// The `data` of `session.started`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SessionStarted {
    /// The sender's id of the session.
    pub session_id: Key,
    /// Where, when the sender says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
}

/// The `data` of `session.ended`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SessionEnded {
    /// The sender's id of the session.
    pub session_id: Key,
    /// How long it lasted; absent when its start was not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i64>,
}

/// The `data` of `member.identified`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Identified {
    /// By what kind of identity.
    #[serde(with = "by_word")]
    #[schemars(with = "String")]
    pub identified_via: IdentityKind,
    /// How sure that is, from 0 to 1.
    pub confidence: Money,
    /// Whether they were here before.
    pub is_returning: bool,
    /// The session in which they were recognised.
    pub session_id: Key,
}

/// Kinds of identities by the word that everybody else knows, too.
mod by_word {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::IdentityKind;

    pub(super) fn serialize<S: Serializer>(kind: &IdentityKind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IdentityKind, D::Error> {
        let word = String::deserialize(deserializer)?;
        word.parse().map_err(|()| D::Error::custom("no kind of identity"))
    }
}

/// The sessions of a member that did not end yet, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OpenSessions(Vec<(Key, Timestamp)>);

impl OpenSessions {
    /// Each with its start.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, Timestamp)> {
        self.0.iter().map(|(id, started)| (id, *started))
    }

    /// A session starts; one that is told twice started when it was told first. Answers whether it is new.
    pub fn start(&mut self, id: &Key, at: Timestamp) -> bool {
        if self.0.iter().any(|(open, _)| open == id) {
            return false;
        }
        if self.0.len() == MAX_OPEN {
            self.0.remove(0);
        }
        self.0.push((id.clone(), at));
        true
    }

    /// Those of somebody who is the same person; the oldest of all are forgotten.
    pub fn join(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
        self.0.sort_by_key(|(_, started)| *started);
        self.0.drain(..self.0.len().saturating_sub(MAX_OPEN));
    }

    /// A session ends; how long it lasted, if its start is known. Clocks that disagree do not make it negative.
    pub fn end(&mut self, id: &Key, at: Timestamp) -> Option<Duration> {
        let place = self.0.iter().position(|(open, _)| open == id)?;
        let (_, started) = self.0.remove(place);
        Some((at - started).max(Duration::zero()))
    }
}

/// How sure it is that whoever shows such an identity is the member: an id and a card are in one hand, an address may be
/// shared.
pub fn confidence(kind: IdentityKind) -> Money {
    let percent = match kind {
        IdentityKind::Id | IdentityKind::Card => 100,
        IdentityKind::Phone => 95,
        IdentityKind::Email | IdentityKind::External => 90,
    };
    Money::new(rust_decimal::Decimal::new(percent, 2).normalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    #[test]
    fn sessions_last_from_their_first_start_to_their_end_and_are_bounded() {
        let at = |s: i64| Timestamp::UNIX_EPOCH + Duration::seconds(s);
        let mut open = OpenSessions::default();
        assert!(open.start(&key("a"), at(10)));
        assert!(!open.start(&key("a"), at(20)), "it is open");
        assert_eq!(open.end(&key("a"), at(70)), Some(Duration::seconds(60)));
        assert_eq!(open.end(&key("a"), at(70)), None, "it ended");
        open.start(&key("b"), at(10));
        assert_eq!(open.end(&key("b"), at(5)), Some(Duration::zero()));
        assert!((0..9).all(|n| open.start(&key(&n.to_string()), at(n))));
        assert_eq!(open.end(&key("0"), at(9)), None, "the oldest was forgotten");
        assert_eq!(open.end(&key("1"), at(9)), Some(Duration::seconds(8)));
    }

    #[test]
    fn of_two_members_sessions_the_oldest_are_forgotten() {
        let at = |s: i64| Timestamp::UNIX_EPOCH + Duration::seconds(s);
        let (mut own, mut other) = (OpenSessions::default(), OpenSessions::default());
        assert!((0..MAX_OPEN as i64).all(|n| own.start(&key(&format!("own {n}")), at(2 * n + 1))));
        other.start(&key("old"), at(0));
        other.start(&key("new"), at(4));
        own.join(&other);
        assert_eq!(own.0.len(), MAX_OPEN);
        assert!(own.0.is_sorted_by_key(|(_, started)| *started));
        assert_eq!(own.end(&key("old"), at(60)), None);
        assert_eq!(own.end(&key("own 0"), at(60)), None);
        assert_eq!(own.end(&key("new"), at(60)), Some(Duration::seconds(56)));
    }
}
