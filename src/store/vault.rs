//! Secrets at rest: XChaCha20-Poly1305, a fresh nonce for each sealing, bound to the row they belong to.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::error::StoreError;

/// Bytes of a nonce, which stands before the sealed bytes.
const NONCE: usize = 24;

/// Seals and opens secrets with the master key.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
    seeds: Hmac<Sha256>,
}

impl Vault {
    /// A vault with this key.
    pub fn new(master_key: [u8; 32]) -> Self {
        let cipher = XChaCha20Poly1305::new(&master_key.into());
        // A key of their own, so that a seed says nothing of what is sealed.
        let key = Sha256::new_with_prefix(b"seeds").chain_update(master_key).finalize();
        let seeds = Hmac::new_from_slice(&key);
        Self { cipher, seeds: seeds.unwrap_or_else(|_| unreachable!("any length makes a key")) }
    }

    /// Bytes that are always the same for the same text, and that nobody can guess who has not the master key.
    pub fn seed(&self, of: &str) -> [u8; 32] {
        let mut seed = self.seeds.clone();
        seed.update(of.as_bytes());
        seed.finalize().into_bytes().into()
    }

    /// Seals `secret`. It opens only under the same `aad`, which names its row, so that a sealed value copied into
    /// another row is of no use. The nonce must be random.
    pub fn seal(&self, aad: &str, secret: &str, nonce: [u8; NONCE]) -> Vec<u8> {
        let payload = Payload { msg: secret.as_bytes(), aad: aad.as_bytes() };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .unwrap_or_else(|_| unreachable!("only gigabytes are too long to be sealed"));
        [nonce.as_slice(), &sealed].concat()
    }

    /// The same with a nonce of its own.
    pub fn seal_anew(&self, aad: &str, secret: &str) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(StoreError::Random)?;
        Ok(self.seal(aad, secret, nonce))
    }

    /// Opens what [`Vault::seal`] made.
    pub fn open(&self, aad: &str, sealed: &[u8]) -> Result<String, StoreError> {
        let wrong = || StoreError::WrongMasterKey { of: aad.to_owned() };
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or_else(wrong)?;
        let payload = Payload { msg: sealed, aad: aad.as_bytes() };
        let secret = self.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| wrong())?;
        String::from_utf8(secret).map_err(|_| wrong())
    }
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_the_same_for_the_same_text_and_key_alone() {
        let seed = |key, of| Vault::new([key; 32]).seed(of);
        assert_eq!(seed(1, "a"), seed(1, "a"));
        assert!(seed(1, "a") != seed(1, "b") && seed(1, "a") != seed(2, "a"));
    }

    #[test]
    fn only_the_same_key_and_the_same_row_open_a_secret() {
        let vault = Vault::new([1; 32]);
        let sealed = vault.seal("harvest/ep_1", "whsec_abc", [9; NONCE]);
        assert!(!sealed.windows(5).any(|w| w == b"whsec"));
        assert_eq!(vault.open("harvest/ep_1", &sealed).unwrap(), "whsec_abc");
        assert!(matches!(vault.open("harvest/ep_2", &sealed), Err(StoreError::WrongMasterKey { .. })));
        let other = Vault::new([2; 32]);
        assert!(matches!(other.open("harvest/ep_1", &sealed), Err(StoreError::WrongMasterKey { .. })));
        for cut in [0, NONCE - 1, NONCE, sealed.len() - 1] {
            assert!(vault.open("harvest/ep_1", &sealed[..cut]).is_err());
        }
    }
}
