//! What signs deliveries.

use std::fmt;

use super::Dialect;

/// A signing secret. Its text never appears in logs: `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

/// Why a text cannot be a signing secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// Its receivers decode it.
    #[error("must be `whsec_` followed by the base64 of 24 to 64 random bytes")]
    NoBytes,
    /// Its receivers take it as it is.
    #[error("must be 16 to 200 visible ASCII characters")]
    NoText,
    /// RFC 7518 §3.2: libraries refuse to verify a token under a shorter key.
    #[error("must be at least 32 characters: it is the key of tokens under HS256")]
    TooShortForTokens,
}

impl Secret {
    /// What every secret of ours starts with.
    pub const PREFIX: &'static str = "whsec_";

    /// Checks a secret given by a person. Receivers that take the text as it is may have any text.
    ///
    /// # Errors
    /// When those who speak the dialect could not use it.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, BadSecret> {
        const TOKEN_KEY: usize = 32;
        let secret = Self::of_text(text);
        match dialect {
            Dialect::Bubblehouse if text.len() < TOKEN_KEY => Err(BadSecret::TooShortForTokens),
            // Whoever verifies the standard headers beside it would decode what looks like a secret of ours.
            _ if dialect.is_keyed_by_text() && !text.starts_with(Self::PREFIX) => secret,
            _ => secret.ok().filter(|secret| secret.bytes().is_some()).ok_or(BadSecret::NoBytes),
        }
    }

    /// A secret of some dialect.
    ///
    /// # Errors
    /// When it is one in none.
    pub fn of_text(text: &str) -> Result<Self, BadSecret> {
        let is_text = (16..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_text { Ok(Self(text.into())) } else { Err(BadSecret::NoText) }
    }

    /// Makes a secret of 32 random bytes.
    pub fn of(random: &[u8; 32]) -> Self {
        use base64::Engine as _;
        Self(format!("{}{}", Self::PREFIX, base64::prelude::BASE64_STANDARD.encode(random)).into())
    }

    /// The text as shown once to the person who made the endpoint.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The HMAC key of Standard Webhooks: the bytes after the prefix. Of a text that is no such secret, the text.
    pub fn key(&self) -> Vec<u8> {
        self.bytes().unwrap_or_else(|| self.0.as_bytes().to_vec())
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        use base64::Engine as _;
        let bytes = base64::prelude::BASE64_STANDARD.decode(self.0.strip_prefix(Self::PREFIX)?).ok()?;
        (24..=64).contains(&bytes.len()).then_some(bytes)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_round_trips_and_hides_from_logs() {
        let secret = Secret::of(&[7; 32]);
        let parse = |text: &str| Secret::parse(text, Dialect::Standard);
        assert_eq!(parse(secret.reveal()).unwrap().key(), vec![7; 32]);
        assert_eq!(format!("{secret:?}"), "whsec_…");
        assert_eq!(parse("whsec_c2hvcnQ="), Err(BadSecret::NoBytes));
        assert_eq!(parse("whsec_c2hvcnQgc2VjcmV0"), Err(BadSecret::NoBytes));
    }

    #[test]
    fn where_receivers_take_the_text_as_it_is_any_text_will_do() {
        let text = "my-own-secret-of-old";
        assert_eq!(Secret::parse(text, Dialect::Guestiq).unwrap().key(), text.as_bytes());
        assert_eq!(Secret::parse(text, Dialect::EventsWebhook), Err(BadSecret::NoBytes));
        assert_eq!(Secret::parse("whsec_c2hvcnQgc2VjcmV0", Dialect::Guestiq), Err(BadSecret::NoBytes));
        assert_eq!(Secret::parse(text, Dialect::Bubblehouse), Err(BadSecret::TooShortForTokens));
        let long = "a-key-of-32-characters-or-more-is-it";
        assert_eq!(Secret::parse(long, Dialect::Bubblehouse).unwrap().key(), long.as_bytes());
        for wrong in ["short", "with a blank in between", "mit-Umläuten-geschrieben", &"a".repeat(201)] {
            assert_eq!(Secret::parse(wrong, Dialect::Guestiq), Err(BadSecret::NoText), "{wrong}");
        }
    }
}
