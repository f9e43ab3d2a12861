//! Ed25519 (RFC 8032): what signs so that whoever verifies cannot sign.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// Bytes of a seed, and of a public key.
const KEY: usize = 32;

/// A secret key and its public one. `Debug` hides the former.
#[derive(Clone)]
pub struct SigningPair {
    seed: [u8; KEY],
    pair: Arc<Ed25519KeyPair>,
}

/// A text that is no pair of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `whsk_` followed by the base64 of a seed and its public key")]
pub struct BadPair;

impl SigningPair {
    const SECRET: &'static str = "whsk_";
    const PUBLIC: &'static str = "whpk_";

    /// The pair of 32 random bytes.
    pub fn of(seed: [u8; KEY]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed);
        let pair = pair.unwrap_or_else(|_| unreachable!("any 32 bytes are a seed"));
        Self { seed, pair: Arc::new(pair) }
    }

    /// Reads what [`SigningPair::reveal`] wrote.
    ///
    /// # Errors
    /// When it is something else, or the keys do not belong together.
    pub fn of_text(text: &str) -> Result<Self, BadPair> {
        let encoded = text.strip_prefix(Self::SECRET).ok_or(BadPair)?;
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| BadPair)?;
        let (seed, public) = bytes.split_first_chunk::<KEY>().ok_or(BadPair)?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public).map_err(|_| BadPair)?;
        Ok(Self { seed: *seed, pair: Arc::new(pair) })
    }

    /// Both keys as text, to be sealed.
    pub fn reveal(&self) -> String {
        let bytes = [&self.seed[..], self.pair.public_key().as_ref()].concat();
        format!("{}{}", Self::SECRET, BASE64_STANDARD.encode(bytes))
    }

    /// The key that verifies, as receivers know it. No secret.
    pub fn public_key(&self) -> String {
        format!("{}{}", Self::PUBLIC, BASE64_STANDARD.encode(self.pair.public_key()))
    }

    /// Signs.
    pub fn sign(&self, message: &[u8]) -> impl AsRef<[u8]> + use<> {
        self.pair.sign(message)
    }
}

impl PartialEq for SigningPair {
    fn eq(&self, other: &Self) -> bool {
        self.seed == other.seed
    }
}

impl fmt::Debug for SigningPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsk_…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_round_trips_and_hides_from_logs() {
        let pair = SigningPair::of([7; KEY]);
        assert_eq!(SigningPair::of_text(&pair.reveal()), Ok(pair.clone()));
        assert_eq!(format!("{pair:?}"), "whsk_…");
        assert_ne!(pair.public_key(), SigningPair::of([8; KEY]).public_key());
    }

    #[test]
    fn keys_that_do_not_belong_together_are_refused() {
        let [one, other] = [1, 2].map(|n| SigningPair::of([n; KEY]).reveal());
        let mixed = format!("{}{}", &one[..48], &other[48..]);
        for wrong in ["", "whsk_", "whpk_AAAA", "whsk_AAAA", &one[5..], &one[..20], &mixed] {
            assert_eq!(SigningPair::of_text(wrong), Err(BadPair), "{wrong}");
        }
    }
}
