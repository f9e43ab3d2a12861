//! The extra headers that an endpoint may ask for.

use std::collections::{BTreeMap, BTreeSet};

/// The most extra headers.
const MAX_HEADERS: usize = 20;
/// The most bytes of all names and values together.
const MAX_BYTES: usize = 4 * 1024;

/// Headers that frame the message or belong to the hop: changing one would change what the receiver reads.
const RESERVED: [&str; 18] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
];

/// Families of headers that carry signatures or speak to proxies.
const RESERVED_FAMILIES: [&str; 7] =
    ["punchcard-", "webhook-", "proxy-", "sec-", "x-guestiq-", "x-loyali-", "x-webhook-"];

/// Why extra headers are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderRefusal {
    /// More than anybody needs.
    #[error("at most {MAX_HEADERS} headers")]
    TooMany,
    /// Larger than servers take.
    #[error("names and values together must be at most {MAX_BYTES} bytes")]
    TooLarge,
    /// Not a header name.
    #[error("`{0}` is not a header name; use letters, digits and hyphens")]
    BadName(String),
    /// The engine sets this one.
    #[error("`{0}` is set by punchcard; choose another name")]
    Reserved(String),
    /// Names differ only in case.
    #[error("`{0}` is given twice; header names ignore case")]
    Twice(String),
    /// A value that could not be sent, or could smuggle another header.
    #[error("the value of `{0}` must be visible ASCII, with spaces only inside")]
    BadValue(String),
}

/// Checks the extra headers of an endpoint before it is stored. When we `sign_in` there ourselves, `authorization` is not free.
pub fn validate_headers(headers: &BTreeMap<String, String>, sign_in: bool) -> Result<(), HeaderRefusal> {
    if headers.len() > MAX_HEADERS {
        return Err(HeaderRefusal::TooMany);
    }
    if headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_BYTES {
        return Err(HeaderRefusal::TooLarge);
    }
    let mut seen = BTreeSet::new();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        if !is_token(name) {
            return Err(HeaderRefusal::BadName(name.clone()));
        }
        if is_reserved(&lower) || (lower == "authorization" && sign_in) {
            return Err(HeaderRefusal::Reserved(name.clone()));
        }
        if !is_visible(value) {
            return Err(HeaderRefusal::BadValue(name.clone()));
        }
        if !seen.insert(lower) {
            return Err(HeaderRefusal::Twice(name.clone()));
        }
    }
    Ok(())
}

/// RFC 9110 §5.6.2.
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn is_visible(value: &str) -> bool {
    value.trim_matches(' ').len() == value.len() && value.bytes().all(|b| (b' '..=b'~').contains(&b))
}

fn is_reserved(lower: &str) -> bool {
    RESERVED.contains(&lower) || RESERVED_FAMILIES.iter().any(|family| lower.starts_with(family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    fn validate(headers: &BTreeMap<String, String>) -> Result<(), HeaderRefusal> {
        validate_headers(headers, false)
    }

    #[test]
    fn ordinary_headers_pass() {
        for (name, value) in [("Authorization", "Bearer abc"), ("X-Tenant", ""), ("X-Note", "a, b; c=\"d\"")]
        {
            assert_eq!(validate(&one(name, value)), Ok(()), "{name}");
        }
    }

    #[test]
    fn headers_of_the_protocol_cannot_be_overridden() {
        for name in [
            "Host",
            "content-length",
            "Content-Type",
            "Transfer-Encoding",
            "CONNECTION",
            "Webhook-Signature",
            "webhook-id",
            "Punchcard-Replay",
            "Punchcard-Sequence",
            "Expect",
            "User-Agent",
            "Proxy-Authorization",
        ] {
            assert_eq!(validate(&one(name, "x")), Err(HeaderRefusal::Reserved(name.to_owned())));
        }
    }

    #[test]
    fn where_we_sign_in_nobody_else_does() {
        let headers = one("Authorization", "Bearer abc");
        let refused = Err(HeaderRefusal::Reserved("Authorization".to_owned()));
        assert_eq!(validate_headers(&headers, true), refused);
    }

    #[test]
    fn names_and_values_that_could_smuggle_are_refused() {
        for name in ["", "a b", "a:b", "a\r\nb", "ä"] {
            assert_eq!(validate(&one(name, "x")), Err(HeaderRefusal::BadName(name.to_owned())));
        }
        for value in ["a\r\nX: y", "a\0", "ä", " a", "a ", "a\tb"] {
            assert_eq!(validate(&one("X-A", value)), Err(HeaderRefusal::BadValue("X-A".into())), "{value:?}");
        }
    }

    #[test]
    fn count_size_and_repetition_are_bounded() {
        let many = (0..21).map(|n| (format!("X-{n}"), String::new())).collect();
        assert_eq!(validate(&many), Err(HeaderRefusal::TooMany));
        assert_eq!(validate(&one("X-A", &"a".repeat(MAX_BYTES))), Err(HeaderRefusal::TooLarge));
        let twice = BTreeMap::from([("X-A".to_owned(), String::new()), ("x-a".to_owned(), String::new())]);
        assert_eq!(validate(&twice), Err(HeaderRefusal::Twice("x-a".into())));
    }
}
