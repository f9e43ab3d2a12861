//! From text to value. A refusal completes the sentence "bind `x` …" and says what to write instead.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use chrono::DateTime;
use ipnet::IpNet;
use url::Url;

use crate::actors::outbound::{Proxy, TlsRoots};
use crate::domain::Timestamp;
use crate::domain::allowance::RequestsPerMinute;
use crate::http::WebOrigin;
use crate::store::DatabaseUrl;
use crate::telemetry::{LogFormat, check_log_filter};

use super::Hidden;

pub(super) fn bind(text: &str) -> Result<SocketAddr, String> {
    // `localhost:8080` is what people type; more names would need a resolver, and an answer that may change.
    let numeric = text.replace("localhost", "127.0.0.1");
    numeric.parse().map_err(|_| "is not an address and a port; write for example 127.0.0.1:8080".to_owned())
}

pub(super) fn database(text: &str) -> Result<DatabaseUrl, String> {
    text.parse().map_err(|e| format!("cannot be used: {e}"))
}

pub(super) fn admin_key(text: &str) -> Result<Hidden<String>, String> {
    match text.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(Hidden::new(text.to_owned())),
        false => Err("does not fit into an HTTP header; use letters, digits and punctuation only".to_owned()),
    }
}

pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, String> {
    text.split(',').map(str::trim).filter(|net| !net.is_empty()).map(network).collect()
}

fn network(text: &str) -> Result<IpNet, String> {
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        format!("holds `{text}`, which is not a network; write for example 127.0.0.0/8,10.0.0.0/8")
    })
}

pub(super) fn origins(text: &str) -> Result<Vec<WebOrigin>, String> {
    let origin = |text: &str| {
        let wrong = |()| {
            format!("holds `{text}`, which is not an origin; write for example https://dashboard.example.com")
        };
        text.parse().map_err(wrong)
    };
    text.split(',').map(str::trim).filter(|origin| !origin.is_empty()).map(origin).collect()
}

pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

pub(super) fn tls_roots(text: &str) -> Result<TlsRoots, String> {
    text.parse().map_err(|()| "is neither bundled nor system; write one of them".to_owned())
}

pub(super) fn proxy(text: &str) -> Result<Proxy, String> {
    text.parse().map_err(|bad| format!("{bad}; write for example http://proxy.internal:3128"))
}

pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|at| at.to_utc())
        .map_err(|_| "is not an instant; write RFC 3339, for example 2026-03-03T18:30:00Z".to_owned())
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    text.parse().map_err(|()| "is not a log format; write text or json".to_owned())
}

pub(super) fn log_level(text: &str) -> Result<String, String> {
    match check_log_filter(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(why) => Err(format!(
            "is not a log filter ({why}); write error, warn, info, debug, trace, or a filter such as \
             warn,punchcard=debug"
        )),
    }
}

pub(super) fn collector(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
    url.ok_or_else(|| "is not the address of a collector; write for example http://localhost:4318".to_owned())
}

pub(super) fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "must be a whole number from 1".to_owned())
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    count(text).map(|n| Duration::from_secs(n.get() as u64))
}

/// A time to keep things for; `None` = for ever. Tills and people look back for some days at least.
pub(super) fn days(text: &str) -> Result<Option<chrono::Duration>, String> {
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(days @ 7..=36_500) => Ok(Some(chrono::Duration::days(days))),
        _ => Err("must be a whole number of days from 7, or 0 = for ever".to_owned()),
    }
}

/// Nobody who waits for an attempt, such as the test clock, waits longer than two minutes.
pub(super) fn attempt_timeout(text: &str) -> Result<Duration, String> {
    let whole = text.parse().ok().filter(|s| (1..=120).contains(s));
    whole.map(Duration::from_secs).ok_or_else(|| "must be a whole number of seconds from 1 to 120".to_owned())
}

pub(super) fn requests_per_minute(text: &str) -> Result<Option<RequestsPerMinute>, String> {
    if text == "off" {
        return Ok(None);
    }
    let number: u32 = text.parse().unwrap_or_default(); // whatever is no number is out of bounds, as 0 is
    RequestsPerMinute::try_from(number).map(Some).map_err(|problem| format!("{problem}, or off"))
}

pub(super) fn workers(text: &str) -> Result<NonZeroUsize, String> {
    match text {
        "auto" => Ok(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)),
        _ => count(text).map_err(|problem| format!("{problem}, or auto")),
    }
}
