//! Requests that are to have their effect once, however often they are sent, and what was answered to them.

use std::fmt;

use chrono::Duration;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::json::to_json;
use super::precondition::Tag;
use super::text::Key;

/// For how long a request is known.
pub const KEPT: Duration = Duration::days(1);

/// What a request is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Who asks: keys of two callers have nothing to do with each other.
    pub caller: String,
    /// Its `Idempotency-Key`.
    pub key: Key,
    /// The hash of all that it says: a repeat says the same.
    pub fingerprint: [u8; 32],
}

impl Asked {
    /// A request for `target`, its method and path, with this body.
    pub fn new(caller: String, key: Key, target: &str, body: &[u8]) -> Self {
        let hash = Sha256::new_with_prefix((target.len() as u64).to_be_bytes());
        let fingerprint = hash.chain_update(target).chain_update(body).finalize().into();
        Self { caller, key, fingerprint }
    }
}

/// An answer, as a repeat gets it again. It may show a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Where what was made is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// The state that it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The JSON.
    pub body: String,
}

impl Reply {
    /// Something was made, and is there.
    pub fn created(location: String, view: &impl Serialize) -> Self {
        Self { status: 201, location: Some(location), etag: None, body: to_json(view) }
    }

    /// It was done.
    pub fn done(view: &impl Serialize) -> Self {
        Self { status: 200, location: None, etag: None, body: to_json(view) }
    }

    /// It shows this state of a thing.
    pub fn tagged(self, tag: &Tag) -> Self {
        Self { etag: Some(tag.to_string()), ..self }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_another_one_when_its_target_or_its_body_is() {
        let asked = |target, body: &str| {
            let key = Key::parse("k").unwrap();
            Asked::new("configuration".to_owned(), key, target, body.as_bytes()).fingerprint
        };
        assert_eq!(asked("POST /v1/chains", "{}"), asked("POST /v1/chains", "{}"));
        assert_ne!(asked("POST /v1/chains", "{}"), asked("POST /v1/chains", "{ }"));
        assert_ne!(asked("POST /v1/chains", "{}"), asked("POST /v1/keys", "{}"));
        assert_ne!(asked("POST /v1/chains", "{}"), asked("POST /v1/chains{", "}"));
    }
}
