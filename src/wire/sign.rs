//! What dialects sign with.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Header;
use crate::domain::endpoint::Secret;

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

/// The headers of Standard Webhooks: `id.timestamp.body`, signed once for every secret.
pub(super) fn standard_headers(id: &str, timestamp: &str, body: &str, secrets: &[Secret]) -> [Header; 3] {
    let mut signatures = String::with_capacity(48 * secrets.len());
    for secret in secrets {
        // Verifiers split the list at spaces and choke on an empty token.
        if !signatures.is_empty() {
            signatures.push(' ');
        }
        signatures.push_str("v1,");
        let signature = hmac(&secret.key(), &[id, ".", timestamp, ".", body]);
        BASE64_STANDARD.encode_string(signature, &mut signatures);
    }
    [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", timestamp.to_owned()),
        ("webhook-signature", signatures),
    ]
}
