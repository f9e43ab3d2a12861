//! The keys of an endpoint: one that signs, and older ones that sign beside it until their time is over.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use arrayvec::ArrayVec;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Dialect, Secret, SigningPair};
use crate::domain::Timestamp;

/// The most keys that sign at a time.
const MOST: usize = 10;

/// Which of an endpoint's keys it is: 1 for the first. No number is given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct KeyNumber(u32);

impl fmt::Display for KeyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for KeyNumber {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// One key.
#[derive(Debug, Clone, PartialEq)]
pub struct SigningKey {
    /// Which one.
    pub id: KeyNumber,
    /// What signs `v1`, and under the headers of the products.
    pub secret: Secret,
    /// What signs `v1a`.
    pub pair: Option<SigningPair>,
    /// Since when it signs.
    pub since: Timestamp,
}

/// A key that was followed by another one.
#[derive(Debug, Clone, PartialEq)]
pub struct OlderKey {
    /// The key.
    pub key: SigningKey,
    /// From this instant on it signs nothing any more.
    pub until: Timestamp,
}

/// A scheme of Standard Webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheme {
    /// HMAC-SHA256, under the secret.
    V1,
    /// Ed25519, under a pair of keys.
    V1a,
}

/// What `webhook-signature` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<Scheme>", into = "Vec<Scheme>")]
pub enum Signatures {
    /// `v1` alone: every library knows it.
    #[default]
    V1,
    /// Both, `v1` first.
    Both,
    /// `v1a` alone.
    V1a,
}

impl Signatures {
    /// Whether this scheme is among them.
    pub fn have(self, scheme: Scheme) -> bool {
        match scheme {
            Scheme::V1 => self != Self::V1a,
            Scheme::V1a => self != Self::V1,
        }
    }
}

impl TryFrom<Vec<Scheme>> for Signatures {
    type Error = &'static str;
    fn try_from(schemes: Vec<Scheme>) -> Result<Self, &'static str> {
        match *schemes {
            [Scheme::V1] => Ok(Self::V1),
            [Scheme::V1a] => Ok(Self::V1a),
            [Scheme::V1, Scheme::V1a] | [Scheme::V1a, Scheme::V1] => Ok(Self::Both),
            _ => Err(r#"must be `["v1"]`, `["v1", "v1a"]` or `["v1a"]`"#),
        }
    }
}

impl From<Signatures> for Vec<Scheme> {
    fn from(signatures: Signatures) -> Self {
        [Scheme::V1, Scheme::V1a].into_iter().filter(|scheme| signatures.have(*scheme)).collect()
    }
}

/// The keys of an endpoint, and what they sign.
#[derive(Debug, Clone, PartialEq)]
pub struct Keys {
    /// With `v1a` among them, the newest key has a pair.
    signatures: Signatures,
    newest: SigningKey,
    /// The newest of them first; at most [`MOST`] less one.
    older: Vec<OlderKey>,
}

/// Keys that cannot be those of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these are not the keys of an endpoint")]
pub struct BadKeys;

/// Why a secret does not follow the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRotation {
    /// As many as there may be are live.
    #[error(
        "an endpoint has at most {MOST} live keys; end an older one with `DELETE …/secrets/{{key}}`, or rotate with `\"overlap_seconds\": 0`"
    )]
    TooMany,
    /// Somebody brought one that is in use.
    #[error("this secret is a live key of the endpoint already; bring another one, or leave `secret` out")]
    Known,
}

/// Why a key goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CannotEnd {
    /// Nothing would be signed any more.
    #[error("the newest key cannot be ended; rotate the secret with `\"overlap_seconds\": 0`")]
    Newest,
    /// There is none of this number, or none any more.
    #[error("there is no such key")]
    Unknown,
}

impl Keys {
    /// One key, which signs `v1`.
    pub const fn new(secret: Secret, now: Timestamp) -> Self {
        let newest = SigningKey { id: KeyNumber(1), secret, pair: None, since: now };
        Self { signatures: Signatures::V1, newest, older: Vec::new() }
    }

    /// Puts together what was kept, the newest first.
    ///
    /// # Errors
    /// When they cannot have been kept so.
    pub fn kept(signatures: Signatures, newest: SigningKey, older: Vec<OlderKey>) -> Result<Self, BadKeys> {
        let has_pair = newest.pair.is_some() || !signatures.have(Scheme::V1a);
        let ids = std::iter::once(newest.id).chain(older.iter().map(|older| older.key.id));
        let fits = has_pair && older.len() < MOST && ids.is_sorted_by(|newer, older| newer > older);
        if fits { Ok(Self { signatures, newest, older }) } else { Err(BadKeys) }
    }

    /// What they sign.
    pub const fn signatures(&self) -> Signatures {
        self.signatures
    }

    /// The one that signs wherever there is room for one signature.
    pub const fn newest(&self) -> &SigningKey {
        &self.newest
    }

    /// Those before it, the newest of them first; what is over may still be among them.
    pub fn older(&self) -> &[OlderKey] {
        &self.older
    }

    /// Those that sign at `now`, and until when, the newest first.
    pub fn live(&self, now: Timestamp) -> impl Iterator<Item = (&SigningKey, Option<Timestamp>)> {
        let older = self.older.iter().filter(move |older| older.is_live(now));
        let older = older.map(|older| (&older.key, Some(older.until)));
        std::iter::once((&self.newest, None)).chain(older)
    }

    /// What signs an attempt at `now`.
    pub fn signers(&self, now: Timestamp) -> Signers<'_> {
        let keys = self.live(now).map(|(key, _)| key).take(MOST).collect();
        Signers { signatures: self.signatures, keys, lead: 0 }
    }

    /// Signs so from now on. The pair is made of `seed` if there is none yet.
    pub fn sign_with(&mut self, signatures: Signatures, seed: [u8; 32]) {
        self.signatures = signatures;
        if signatures.have(Scheme::V1a) {
            self.newest.pair.get_or_insert_with(|| SigningPair::of(seed));
        }
    }

    /// Has another secret sign, beside it for so long those that sign now; without any overlap, none of them. A new pair
    /// is made of `seed`, if one signs.
    ///
    /// # Errors
    /// See [`NoRotation`]; nothing is changed.
    pub fn rotate(
        &mut self,
        secret: Secret,
        seed: [u8; 32],
        now: Timestamp,
        overlap: Duration,
    ) -> Result<(), NoRotation> {
        if self.live(now).any(|(key, _)| key.secret == secret) {
            return Err(NoRotation::Known);
        }
        self.drop_expired(now);
        if overlap.is_zero() {
            self.older.clear();
        } else if self.older.len() + 1 >= MOST {
            return Err(NoRotation::TooMany);
        }
        let id = KeyNumber(self.newest.id.0.saturating_add(1));
        let pair = self.signatures.have(Scheme::V1a).then(|| SigningPair::of(seed));
        let key = std::mem::replace(&mut self.newest, SigningKey { id, secret, pair, since: now });
        if !overlap.is_zero() {
            self.older.insert(0, OlderKey { key, until: now + overlap });
        }
        Ok(())
    }

    /// Ends an older key now.
    ///
    /// # Errors
    /// See [`CannotEnd`].
    pub fn end(&mut self, id: KeyNumber, now: Timestamp) -> Result<(), CannotEnd> {
        if id == self.newest.id {
            return Err(CannotEnd::Newest);
        }
        self.drop_expired(now);
        let at = self.older.iter().position(|older| older.key.id == id).ok_or(CannotEnd::Unknown)?;
        self.older.remove(at);
        Ok(())
    }

    /// Forgets the keys whose time is over.
    pub fn drop_expired(&mut self, now: Timestamp) {
        self.older.retain(|older| older.is_live(now));
    }

    /// For how long the old secret signs beside a new one when nobody says: where the product says that it is invalid at
    /// once, not at all.
    pub const fn usual_overlap(dialect: Dialect) -> Duration {
        match dialect {
            Dialect::Gustaio => Duration::ZERO,
            _ => Duration::from_secs(24 * 3600),
        }
    }
}

impl OlderKey {
    fn is_live(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

/// What signs one attempt.
#[derive(Debug, Clone)]
pub struct Signers<'a> {
    signatures: Signatures,
    /// The newest first; at least one.
    keys: ArrayVec<&'a SigningKey, MOST>,
    /// The one that signs where there is room for one signature.
    lead: usize,
}

impl<'a> Signers<'a> {
    /// Lets that key sign where there is room for one signature, if it is among them.
    pub fn led_by(self, id: Option<KeyNumber>) -> Self {
        let lead = self.keys.iter().position(|key| Some(key.id) == id).unwrap_or(0);
        Self { lead, ..self }
    }

    /// The key that signs where there is room for one signature.
    pub fn lead(&self) -> &'a SigningKey {
        self.keys[self.lead]
    }

    /// The one to try next when the receiver does not take that one: the next older, after the oldest the newest. `None`
    /// when there is no other.
    pub fn follower(&self) -> Option<KeyNumber> {
        (self.keys.len() > 1).then(|| self.keys[(self.lead + 1) % self.keys.len()].id)
    }

    /// What signs `v1` in `webhook-signature`.
    pub fn v1(&self) -> impl Iterator<Item = &'a Secret> {
        let keys = self.keys.iter().filter(|_| self.signatures.have(Scheme::V1));
        keys.map(|key| &key.secret)
    }

    /// What signs `v1a` in `webhook-signature`.
    pub fn v1a(&self) -> impl Iterator<Item = &'a SigningPair> {
        let keys = self.keys.iter().filter(|_| self.signatures.have(Scheme::V1a));
        keys.filter_map(|key| key.pair.as_ref())
    }

    /// All secrets, the newest first.
    pub fn secrets(&self) -> impl Iterator<Item = &'a Secret> {
        self.keys.iter().map(|key| &key.secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + chrono::Duration::seconds(seconds)
    }

    fn secret(n: u8) -> Secret {
        Secret::of(&[n; 32])
    }

    /// One key at 0, and others a second after each other, each with a day for the one before.
    fn rotated(times: u8) -> Keys {
        let mut keys = Keys::new(secret(0), at(0));
        for n in 1..=times {
            keys.rotate(secret(n), [n; 32], at(n.into()), DAY).unwrap();
        }
        keys
    }

    fn live(keys: &Keys, seconds: i64) -> Vec<u32> {
        keys.live(at(seconds)).map(|(key, _)| key.id.0).collect()
    }

    #[test]
    fn an_older_key_signs_until_its_second_and_not_in_it() {
        let keys = rotated(2);
        for (second, expected) in
            [(2, &[3, 2, 1][..]), (86_400, &[3, 2, 1]), (86_401, &[3, 2]), (86_402, &[3]), (1_000_000, &[3])]
        {
            assert_eq!(live(&keys, second), expected, "at {second}");
            assert_eq!(keys.signers(at(second)).secrets().count(), expected.len());
        }
        let mut stored = keys;
        stored.drop_expired(at(86_401));
        assert_eq!(stored.older().len(), 1);
    }

    #[test]
    fn without_overlap_the_new_key_is_alone() {
        let mut keys = rotated(9);
        keys.rotate(secret(100), [0; 32], at(10), Duration::ZERO).unwrap();
        assert_eq!(live(&keys, 10), [11]);
        assert!(keys.older().is_empty());
    }

    #[test]
    fn the_eleventh_live_key_is_refused_until_one_is_over_or_ended() {
        let mut keys = rotated(9);
        let before = keys.clone();
        let rotate = |keys: &mut Keys, second| keys.rotate(secret(100), [0; 32], at(second), DAY);
        assert_eq!(rotate(&mut keys, 10), Err(NoRotation::TooMany));
        assert_eq!(keys, before);
        assert_eq!(rotate(&mut keys.clone(), 86_401), Ok(()), "the first is over then");
        assert_eq!(keys.end(KeyNumber(4), at(10)), Ok(()));
        assert_eq!(rotate(&mut keys, 10), Ok(()));
        assert_eq!(live(&keys, 10), [11, 10, 9, 8, 7, 6, 5, 3, 2, 1]);
    }

    #[test]
    fn the_newest_key_cannot_be_ended_nor_one_that_is_not_there() {
        let mut keys = rotated(1);
        for (id, second, refused) in
            [(2, 1, CannotEnd::Newest), (3, 1, CannotEnd::Unknown), (1, 86_401, CannotEnd::Unknown)]
        {
            assert_eq!(keys.clone().end(KeyNumber(id), at(second)), Err(refused), "{id}");
        }
        assert_eq!(keys.end(KeyNumber(1), at(1)), Ok(()));
        assert_eq!(live(&keys, 1), [2]);
    }

    #[test]
    fn a_secret_that_signs_already_is_refused_and_one_that_is_over_is_not() {
        let mut keys = rotated(1);
        for n in [0, 1] {
            assert_eq!(keys.rotate(secret(n), [0; 32], at(1), DAY), Err(NoRotation::Known));
        }
        assert_eq!(keys.rotate(secret(0), [0; 32], at(86_401), DAY), Ok(()));
    }

    #[test]
    fn whoever_wants_pairs_gets_one_and_another_one_with_each_rotation() {
        let mut keys = rotated(1);
        assert_eq!(keys.signers(at(1)).v1a().count(), 0);
        keys.sign_with(Signatures::Both, [7; 32]);
        let first = keys.newest().pair.clone().unwrap();
        keys.sign_with(Signatures::V1a, [8; 32]);
        assert_eq!(keys.newest().pair, Some(first), "it stays");
        assert_eq!(keys.signers(at(1)).v1().count(), 0);
        keys.rotate(secret(9), [9; 32], at(2), DAY).unwrap();
        let signers = keys.signers(at(2));
        assert_eq!(signers.v1a().count(), 2, "the first key has none");
        assert_eq!(signers.v1a().next(), Some(&SigningPair::of([9; 32])));
        assert_eq!(signers.secrets().count(), 3);
    }

    #[test]
    fn keys_follow_each_other_in_a_ring() {
        let keys = rotated(2);
        let signers = keys.signers(at(2));
        let ring: Vec<_> = [None, Some(KeyNumber(2)), Some(KeyNumber(1)), Some(KeyNumber(9))]
            .map(|lead| signers.clone().led_by(lead))
            .map(|signers| (signers.lead().id.0, signers.follower().map(|id| id.0)))
            .into();
        assert_eq!(ring, [(3, Some(2)), (2, Some(1)), (1, Some(3)), (3, Some(2))]);
        assert_eq!(rotated(0).signers(at(0)).follower(), None);
    }

    #[test]
    fn only_what_was_kept_so_is_read() {
        let keys = rotated(2);
        let kept = |signatures, newest: &SigningKey, older: &[OlderKey]| {
            Keys::kept(signatures, newest.clone(), older.to_vec())
        };
        let (newest, older) = (keys.newest(), keys.older());
        assert_eq!(kept(Signatures::V1, newest, older), Ok(keys.clone()));
        assert_eq!(kept(Signatures::V1a, newest, older), Err(BadKeys), "there is no pair");
        let turned = [older[1].clone(), older[0].clone()];
        assert_eq!(kept(Signatures::V1, newest, &turned), Err(BadKeys));
        assert_eq!(kept(Signatures::V1, &older[0].key, older), Err(BadKeys));
    }

    #[test]
    fn signatures_are_said_as_a_list() {
        for (said, signatures, written) in [
            (r#"["v1"]"#, Some(Signatures::V1), r#"["v1"]"#),
            (r#"["v1a"]"#, Some(Signatures::V1a), r#"["v1a"]"#),
            (r#"["v1a","v1"]"#, Some(Signatures::Both), r#"["v1","v1a"]"#),
            ("[]", None, ""),
            (r#"["v1","v1"]"#, None, ""),
            (r#"["v2"]"#, None, ""),
        ] {
            let read = serde_json::from_str::<Signatures>(said).ok();
            assert_eq!(read, signatures, "{said}");
            assert_eq!(read.map(|read| serde_json::to_string(&read).unwrap()).unwrap_or_default(), written);
        }
    }

    #[test]
    fn no_key_is_seen_in_logs() {
        let mut keys = rotated(1);
        keys.sign_with(Signatures::Both, [7; 32]);
        let shown = format!("{keys:?}");
        for (key, _) in keys.live(at(1)) {
            assert!(!shown.contains(key.secret.reveal()), "{shown}");
        }
        assert!(!shown.contains(&keys.newest().pair.as_ref().unwrap().reveal()), "{shown}");
    }
}
