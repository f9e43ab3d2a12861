//! The code on a coupon.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::json;

/// The shortest code that may be uploaded.
const MIN_LENGTH: usize = 3;
/// The longest.
const MAX_LENGTH: usize = 64;
/// Length of a generated code. With 31 characters to choose from it has more than 79 bits.
const GENERATED_LENGTH: usize = 16;
/// Digits and letters that nobody mistakes for another one: no 0 and O, no 1, I and L.
const ALPHABET: &[u8; 31] = b"23456789ABCDEFGHJKMNPQRSTUVWXYZ";

/// What a guest shows and a till types: 3 to 64 letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
/// Upper and lower case are the same, so it is kept in upper case. Unique within a chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CouponCode(Box<str>);

/// Why a text is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 3 to 64 letters (A to Z), digits, `-`, `_` or `.`, beginning with a letter or digit, such as SUMMER-20"
)]
pub struct BadCode;

impl CouponCode {
    /// The `n`-th code made of `seed`. As hard to guess as the seed, and always the same for the same seed.
    pub fn generated(seed: &[u8], n: u64) -> Self {
        let digest = Sha256::new_with_prefix(b"coupon code").chain_update(seed).chain_update(n.to_be_bytes());
        let digest: [u8; 32] = digest.finalize().into();
        let (high, _) = digest.split_at(16);
        // 128 bits for 79: the remainder favours no character by more than 2^-48.
        let mut rest = high.iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
        let letters = (0..GENERATED_LENGTH).map(|_| {
            let letter = ALPHABET[(rest % ALPHABET.len() as u128) as usize];
            rest /= ALPHABET.len() as u128;
            char::from(letter)
        });
        Self(letters.collect::<String>().into())
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CouponCode {
    type Err = BadCode;
    fn from_str(text: &str) -> Result<Self, BadCode> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !(MIN_LENGTH..=MAX_LENGTH).contains(&text.len()) || !begins_well || !text.bytes().all(good) {
            return Err(BadCode);
        }
        Ok(Self(text.to_ascii_uppercase().into()))
    }
}

impl Deref for CouponCode {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CouponCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CouponCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::from_text(deserializer, "a coupon code such as SUMMER-20")
    }
}

impl JsonSchema for CouponCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CouponCode".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9A-Z][0-9A-Z._-]{2,63}$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn case_does_not_matter_and_what_a_path_cannot_hold_is_refused() {
        assert_eq!("summer-20".parse::<CouponCode>(), "SUMMER-20".parse());
        assert_eq!(
            "PyMsNLgHR3yfMQAAc11viQ".parse::<CouponCode>().unwrap().as_str(),
            "PYMSNLGHR3YFMQAAC11VIQ"
        );
        let long = "A".repeat(65);
        for bad in ["", "AB", "..", "../A", "A B", "A/B", "ÄÖÜ", "-ABC", "A%20", " ABC", &long] {
            assert_eq!(bad.parse::<CouponCode>(), Err(BadCode), "{bad}");
        }
    }

    #[test]
    fn generated_codes_are_repeatable_distinct_and_without_look_alikes() {
        let codes: Vec<_> = (0..10_000).map(|n| CouponCode::generated(b"seed", n)).collect();
        assert_eq!(codes.iter().collect::<HashSet<_>>().len(), codes.len());
        assert_eq!(codes[7], CouponCode::generated(b"seed", 7));
        assert_ne!(codes[7], CouponCode::generated(b"other seed", 7));
        for code in &codes {
            assert_eq!(code.parse::<CouponCode>().as_ref(), Ok(code));
            assert!(code.len() >= 12 && !code.contains(['0', 'O', '1', 'I', 'L']), "{code}");
        }
        let used: HashSet<char> = codes.iter().flat_map(|code| code.chars()).collect();
        assert_eq!(used.len(), ALPHABET.len());
    }
}
