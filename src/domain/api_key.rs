//! API keys: what a caller proves itself with. Only the hash of a key is ever kept.

use std::fmt;

use base64::Engine as _;
use chrono::Datelike as _;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Timestamp;
use super::allowance::RequestsPerMinute;
use super::chain::ChainId;
use super::ids::KeyId;
use super::role::Role;
use super::text::Name;

/// The most texts of a key that work at a time.
pub const MOST_TEXTS: usize = 10;

/// A way in that is left has to stay for so long, if it is not to stay for ever: whoever sees it end has time to make another.
const WAY_IN_STAYS: chrono::Duration = chrono::Duration::days(1);

/// The SHA-256 of a key's text. A key holds 256 random bits, so that no slow hash is needed: nobody finds a text for a hash by
/// trying.
///
/// Keys are looked up by this hash, in an index that does not compare in constant time. What the time of a look-up may tell is
/// how far some stored hash agrees with that of what was sent. Whoever sends texts cannot choose their hashes, and knowing the
/// first bytes of a stored hash brings nobody nearer to a text that has it. The text itself is never compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// Hashes a key as its caller sent it.
    pub fn of(text: &[u8]) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Compares without telling by its duration where the difference is.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:…")
    }
}

/// The text of a new key, shown once. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(Box<str>);

impl KeyText {
    /// What every key starts with, so that secret scanners know it.
    pub const PREFIX: &'static str = "pck_";

    /// Makes a key of 32 random bytes.
    pub fn of(random: &[u8; 32]) -> Self {
        let digits = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(random);
        Self(format!("{}{digits}", Self::PREFIX).into())
    }

    /// The text, for the one answer that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.0.as_bytes())
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pck_…")
    }
}

/// A key as it is kept, without the hashes of its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id; not secret.
    pub id: KeyId,
    /// What it may do.
    pub role: Role,
    /// The one chain it is for; `None` = all.
    pub chain: Option<ChainId>,
    /// For people.
    pub name: Option<Name>,
    /// When it was made.
    pub created_at: Timestamp,
    /// What people call the key that made it; or what made it otherwise.
    pub created_by: Name,
    /// From this instant on it does not work.
    pub expires_at: Option<Timestamp>,
    /// When it stopped working.
    pub revoked_at: Option<Timestamp>,
    /// The minute in which it was used last, as far as that is written.
    pub last_used_at: Option<Timestamp>,
    /// Its own limit, instead of the one for all keys.
    pub requests_per_minute: Option<RequestsPerMinute>,
}

impl ApiKey {
    /// Whether it works.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, now: Timestamp) -> Result<(), Dead> {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => Err(Dead::Revoked),
            (None, Some(at)) if at <= now => Err(Dead::Expired(at)),
            _ => Ok(()),
        }
    }

    /// Whether a key may end then.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check_end(at: Timestamp, now: Timestamp) -> Result<(), BadEnd> {
        match at.year() {
            _ if at <= now => Err(BadEnd::Over),
            ..=9999 => Ok(()),
            _ => Err(BadEnd::TooFar),
        }
    }

    /// When it ends, as far as that is known.
    fn end(&self) -> Option<Timestamp> {
        self.revoked_at.or(self.expires_at)
    }

    /// Whether it opens all chains to an admin, and still will just after `at`.
    fn leads_in_after(&self, at: Timestamp) -> bool {
        self.role == Role::Admin && self.chain.is_none() && self.check(at).is_ok()
    }

    /// Until when another key must lead in, so that this one may become `after`: for a day longer, or for as long as this one
    /// would have. `None` when nothing is taken away.
    pub fn to_be_followed_until(&self, after: &Self) -> Option<Timestamp> {
        let end = after.end().filter(|end| self.leads_in_after(*end))?;
        let enough = end.checked_add_signed(WAY_IN_STAYS).unwrap_or(Timestamp::MAX_UTC);
        Some(self.expires_at.map_or(enough, |own| own.min(enough)))
    }
}

/// Why a key cannot end then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEnd {
    /// Then is now, or before.
    #[error("must be in the future; to end a key now, revoke it")]
    Over,
    /// RFC 3339 has four digits for a year.
    #[error("must be before the year 10000; a key without an end has none")]
    TooFar,
}

/// A key that was found by one of its texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundKey {
    /// The key.
    pub key: ApiKey,
    /// From this instant on the text does not work: a newer one has followed it.
    pub text_until: Option<Timestamp>,
}

impl FoundKey {
    /// Whether the key works by this text.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, now: Timestamp) -> Result<(), Dead> {
        self.key.check(now)?;
        self.text_until.filter(|until| *until <= now).map_or(Ok(()), |until| Err(Dead::Replaced(until)))
    }
}

/// Why a key that is known does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Dead {
    /// Somebody revoked it.
    #[error("the API key was revoked")]
    Revoked,
    /// Its time is over.
    #[error("the API key expired at {}", .0.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))]
    Expired(Timestamp),
    /// A newer text has followed this one.
    #[error("this text of the API key was rotated away; it worked until {}", .0.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))]
    Replaced(Timestamp),
}

/// Why a key stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unchanged {
    /// There is none of this id.
    #[error("there is no such key")]
    Unknown,
    /// It does not work, and has to before this can be done.
    #[error("{0}; nothing was changed")]
    Dead(Dead),
    /// Nobody could get in any more.
    #[error(
        "no other admin key for all chains would be left then that stays for a day at least; make one first, or start the server with \
         an `admin_key`"
    )]
    LastAdmin,
    /// As many texts as there may be work.
    #[error(
        "{MOST_TEXTS} texts of this key work at the moment; wait for the first of them to end, or rotate with `\"overlap_seconds\": 0`"
    )]
    TooManyTexts,
}

/// Whether a change may leave nobody who gets into all chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayIn {
    /// Another admin key of the store has to stay.
    MustStay,
    /// There are other ways: the key of the configuration, or the command line.
    IsElsewhere,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_by_its_hash_and_hides_from_logs() {
        let key = KeyText::of(&[9; 32]);
        assert_eq!(key.reveal().len(), 4 + 43);
        assert!(key.hash().matches(&KeyHash::of(key.reveal().as_bytes())));
        assert!(!key.hash().matches(&KeyHash::of(b"pck_")));
        assert_eq!(format!("{key:?} {:?}", key.hash()), "pck_… sha256:…");
    }

    fn first_key() -> ApiKey {
        ApiKey {
            id: KeyId::new(ulid::Ulid(1)),
            role: Role::Admin,
            chain: None,
            name: None,
            created_at: Timestamp::UNIX_EPOCH,
            created_by: Name::parse("first start").unwrap(),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            requests_per_minute: None,
        }
    }

    #[test]
    fn a_key_works_to_the_second_and_says_why_it_does_not() {
        let at = |second| Timestamp::UNIX_EPOCH + chrono::Duration::seconds(second);
        let found = |revoked: Option<i64>, expires: Option<i64>, until: Option<i64>| FoundKey {
            key: ApiKey { expires_at: expires.map(at), revoked_at: revoked.map(at), ..first_key() },
            text_until: until.map(at),
        };
        for (revoked, expires, until, expected) in [
            (None, None, None, Ok(())),
            (None, Some(11), Some(11), Ok(())),
            (Some(99), None, None, Err(Dead::Revoked)), // whatever the clock of whoever revoked it
            (None, Some(10), None, Err(Dead::Expired(at(10)))),
            (Some(1), Some(9), Some(9), Err(Dead::Revoked)),
            (None, Some(9), Some(8), Err(Dead::Expired(at(9)))),
            (None, Some(11), Some(10), Err(Dead::Replaced(at(10)))),
        ] {
            assert_eq!(found(revoked, expires, until).check(at(10)), expected);
        }
        assert_eq!(Dead::Expired(at(10)).to_string(), "the API key expired at 1970-01-01T00:00:10Z");
    }

    #[test]
    fn a_way_in_is_followed_by_one_that_stays_a_day_or_as_long_as_it_would_have() {
        const DAY: i64 = 86_400;
        let at = |second| Timestamp::UNIX_EPOCH + chrono::Duration::seconds(second);
        let key = |expires: Option<i64>| ApiKey { expires_at: expires.map(at), ..first_key() };
        let revoked = |key: &ApiKey| ApiKey { revoked_at: Some(at(10)), ..key.clone() };
        for (expires, then, until) in [
            (None, None, None),
            (None, Some(10), Some(DAY + 10)),
            (Some(60), Some(10), Some(60)),
            (Some(2 * DAY), Some(10), Some(DAY + 10)),
            (Some(10), Some(10), None),
            (Some(10), Some(60), None), // it is given more time
            (Some(10), None, None),
        ] {
            let asked = key(expires).to_be_followed_until(&key(then));
            assert_eq!(asked, until.map(at), "{expires:?} {then:?}");
            if then == Some(10) {
                assert_eq!(key(expires).to_be_followed_until(&revoked(&key(expires))), asked, "{expires:?}");
            }
        }
        for other in [
            ApiKey { role: Role::Manager, ..key(None) },
            ApiKey { chain: "harvest".parse().ok(), ..key(None) },
            revoked(&key(None)),
        ] {
            assert_eq!(other.to_be_followed_until(&revoked(&other)), None, "{other:?}");
        }
    }

    #[test]
    fn a_key_ends_in_the_future_and_at_an_instant_that_can_be_written() {
        let now: Timestamp = "2026-03-03T18:30:00Z".parse().unwrap();
        for (at, fine) in [
            ("2026-03-03T18:30:00Z", Err(BadEnd::Over)),
            ("-0001-01-01T00:00:00Z", Err(BadEnd::Over)),
            ("2026-03-03T18:30:01Z", Ok(())),
            ("9999-12-31T23:59:59Z", Ok(())),
            ("+10000-01-01T00:00:00Z", Err(BadEnd::TooFar)),
        ] {
            assert_eq!(ApiKey::check_end(at.parse().unwrap(), now), fine, "{at}");
        }
    }
}
