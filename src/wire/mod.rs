//! Dialects: how a loyalty event becomes a signed request, and how the answer is judged.
//!
//! Everything here is a pure function with golden vectors: the instant arrives as an argument.

mod standard;

use crate::domain::Timestamp;
use crate::domain::delivery::Verdict;
use crate::domain::endpoint::{Dialect, Secret};
use crate::domain::ids::EventId;

/// The `User-Agent` of every request.
pub const USER_AGENT: &str = concat!("punchcard/", env!("CARGO_PKG_VERSION"));

/// A request that is ready to leave: what is sent is byte for byte what was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRequest {
    /// The protocol's headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// What a receiver answered, as far as a dialect looks at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The `Retry-After` header.
    pub retry_after: Option<String>,
    /// The `Webhook-Delivery` header.
    pub webhook_delivery: Option<String>,
    /// The body, cut at the cap.
    pub body: Vec<u8>,
}

/// Why an event cannot be signed. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the endpoint has no usable signing secret; rotate its secret")]
pub struct NoUsableSecret;

/// Signs one event for a receiver. `secrets` are the current one and, during a rotation, older ones.
pub fn encode(
    dialect: Dialect,
    event: EventId,
    body: String,
    secrets: &[Secret],
    now: Timestamp,
) -> Result<SignedRequest, NoUsableSecret> {
    match dialect {
        Dialect::Standard => standard::encode(&event.to_string(), body, secrets, now.timestamp()),
    }
}

/// Judges a receiver's answer that came at `now`.
pub fn judge(dialect: Dialect, answer: &Answer, now: Timestamp) -> Verdict {
    match dialect {
        Dialect::Standard => standard::judge(answer, now),
    }
}
