//! API keys: what a caller proves itself with. Only the hash of a key is ever kept.

use std::fmt;

use base64::Engine as _;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::Timestamp;
use super::chain::ChainId;
use super::ids::KeyId;
use super::role::Role;
use super::text::Name;

/// The SHA-256 of a key's text. A key holds 256 random bits, so that no slow hash is needed.
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

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id; not secret.
    pub id: KeyId,
    /// The hash of its text.
    pub hash: KeyHash,
    /// What it may do.
    pub role: Role,
    /// The one chain it is for; `None` = all.
    pub chain: Option<ChainId>,
    /// For people.
    pub name: Option<Name>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stopped working.
    pub revoked_at: Option<Timestamp>,
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
}
