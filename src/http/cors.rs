//! Pages of other origins, and which of them a browser may let talk to us.
//!
//! A key is sent by whoever has it, never by the browser of its own accord, so requests with cookies are not allowed.

use std::fmt;
use std::str::FromStr;

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::middleware::Condition;
use url::{Origin, Url};

/// How long a browser remembers what it was allowed, in seconds.
const REMEMBERED_S: usize = 600;

/// The origin of a page, such as `https://dashboard.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebOrigin(String);

impl FromStr for WebOrigin {
    type Err = ();

    /// Takes what a browser sends, and nothing that only looks like it.
    fn from_str(text: &str) -> Result<Self, ()> {
        let origin = Url::parse(text).map_err(drop)?.origin();
        let is_one = matches!(&origin, Origin::Tuple(scheme, ..) if scheme == "http" || scheme == "https");
        // A star is a host name to the parser, and a wish to people.
        if is_one && origin.ascii_serialization() == text && !text.contains('*') {
            Ok(Self(text.to_owned()))
        } else {
            Err(())
        }
    }
}

impl fmt::Display for WebOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lets these origins in; without any, browsers are told nothing.
pub(super) fn of(origins: &[WebOrigin]) -> Condition<Cors> {
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let cors = Cors::default().allowed_methods(methods).allow_any_header().max_age(REMEMBERED_S);
    let cors = origins.iter().fold(cors, |cors, origin| cors.allowed_origin(&origin.0));
    Condition::new(!origins.is_empty(), cors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for right in [
            "https://a.example.com",
            "http://localhost:3000",
            "https://a.example.com:8443",
            "http://[::1]:3000",
        ] {
            assert_eq!(right.parse::<WebOrigin>().unwrap().to_string(), right);
        }
        for wrong in [
            "*",
            "null",
            "",
            "a.example.com",
            "https://*.example.com",
            "https://a.example.com/",
            "https://a.example.com/page",
            "https://A.example.com",
            "https://a.example.com:443",
            "https://user@a.example.com",
            "file:///a",
            "ftp://a.example.com",
        ] {
            assert!(wrong.parse::<WebOrigin>().is_err(), "{wrong}");
        }
    }
}
