//! The id that ties a request, its answer and its log lines together.

use std::fmt;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use ulid::Ulid;

/// The header, in requests and answers.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id taken from a request, in bytes.
const MAX_LEN: usize = 128;

/// A request's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    /// The id that the request brings, if it is fit for a log line; otherwise a new one.
    pub(super) fn of(headers: &HeaderMap, now_ms: u64) -> Self {
        match headers.get(&REQUEST_ID) {
            Some(given) if is_sane(given.as_bytes()) => Self(given.clone()),
            _ => Self::new(now_ms),
        }
    }

    /// A new id: time, a number for this process, a number for the request. It need not be secret.
    fn new(now_ms: u64) -> Self {
        static PROCESS: LazyLock<u32> = LazyLock::new(|| getrandom::u32().unwrap_or_default());
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let text =
            format!("req_{}", Ulid::from_parts(now_ms, u128::from(*PROCESS) << 32 | u128::from(count)));
        Self(HeaderValue::try_from(text).unwrap_or_else(|_| unreachable!("letters and digits make a header")))
    }

    /// The answer's header.
    pub(super) fn into_header(self) -> HeaderValue {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=MAX_LEN).contains(&id.len())
        && id.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept_and_a_wild_one_replaced() {
        let long = "x".repeat(MAX_LEN + 1);
        for (given, kept) in
            [("abc-1:2", true), ("", false), ("a b", false), ("a\"b", false), (&*long, false)]
        {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(given).unwrap());
            let id = RequestId::of(&headers, 1_000).to_string();
            assert_eq!(id == given, kept, "{given}");
            assert_eq!(id.starts_with("req_"), !kept, "{given}");
        }
        assert_ne!(RequestId::of(&HeaderMap::new(), 1), RequestId::of(&HeaderMap::new(), 1));
    }
}
