//! What dialects sign with.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Header;
use crate::domain::endpoint::{Secret, Signers};

/// HMAC-SHA256 of all the parts, one after the other.
pub(super) fn hmac(key: &[u8], parts: &[&str]) -> [u8; 32] {
    #[expect(clippy::unwrap_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

/// The same in lower-case hexadecimal digits, under the text of a secret.
pub(super) fn hex_hmac(secret: &Secret, parts: &[&str]) -> String {
    hex(&hmac(secret.reveal().as_bytes(), parts))
}

/// In lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A JSON Web Token (RFC 7519) under the text of a secret. `claims` are JSON.
pub(super) fn jwt_hs256(secret: &Secret, claims: &str) -> String {
    let encode = |part: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(part);
    let signed = format!("{}.{}", encode(br#"{"alg":"HS256","typ":"JWT"}"#), encode(claims.as_bytes()));
    let signature = encode(&hmac(secret.reveal().as_bytes(), &[&signed]));
    format!("{signed}.{signature}")
}

/// The headers of Standard Webhooks: `id.timestamp.body`, signed once by every key.
pub(super) fn standard_headers(id: &str, timestamp: i64, body: &str, signers: &Signers<'_>) -> [Header; 3] {
    let timestamp = timestamp.to_string();
    let signed = [id, ".", &timestamp, ".", body];
    let mut signatures = Signatures::default();
    for secret in signers.v1() {
        signatures.add("v1", &hmac(&secret.key(), &signed));
    }
    let mut pairs = signers.v1a().peekable();
    if pairs.peek().is_some() {
        let message = signed.concat();
        pairs.for_each(|pair| signatures.add("v1a", pair.sign(message.as_bytes()).as_ref()));
    }
    [("webhook-id", id.to_owned()), ("webhook-timestamp", timestamp), ("webhook-signature", signatures.0)]
}

/// The list of signatures of Standard Webhooks. Verifiers split it at spaces and choke on an empty entry.
#[derive(Default)]
struct Signatures(String);

impl Signatures {
    fn add(&mut self, scheme: &str, signature: &[u8]) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
        self.0.push_str(scheme);
        self.0.push(',');
        BASE64_STANDARD.encode_string(signature, &mut self.0);
    }
}
