//! What people say of an endpoint, read and checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::clock::fresh_ulid;
use crate::domain::chain::ChainId;
use crate::domain::delivery::RetryPolicy;
use crate::domain::endpoint::{
    Concurrency, Dialect, Endpoint, EventPattern, Failing, Lane, PerMinute, Secret, Settings, Texts,
    TimeoutS, Wording,
};
use crate::domain::headers::validate_headers;
use crate::domain::ids::EndpointId;
use crate::domain::loyalty_event::EventType;
use crate::domain::text::{Name, Note};
use crate::http::admin::clearable;
use crate::http::problem::Problem;
use crate::http::{AppState, random_bytes};

/// The most entries of `events` and of `tags`.
const MOST_ENTRIES: usize = 100;

/// An endpoint as somebody wants it: what is not said is as it is by default, or stays as it is.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EndpointBody {
    url: Option<String>,
    events: Option<Vec<String>>,
    dialect: Option<Dialect>,
    #[serde(deserialize_with = "clearable")]
    description: Option<Option<Note>>,
    headers: Option<BTreeMap<String, String>>,
    secret: Option<String>,
    tags: Option<Vec<Name>>,
    lane: Option<Lane>,
    retry: Option<RetryPolicy>,
    #[serde(deserialize_with = "clearable")]
    rate_limit: Option<Option<PerMinute>>,
    concurrency: Option<Concurrency>,
    timeout_s: Option<TimeoutS>,
    failing: Option<Failing>,
    texts: Option<Texts>,
}

/// What is to be changed about an endpoint, checked.
pub(super) struct Change {
    url: Option<url::Url>,
    events: Option<Vec<EventPattern>>,
    rest: EndpointBody,
}

/// A new endpoint.
pub(super) fn new(state: &AppState, chain: ChainId, said: EndpointBody) -> Result<Endpoint, Problem> {
    let now = state.engine.clock().now();
    let url = said.url.as_deref().ok_or_else(|| Problem::field("url", "is missing"))?;
    let url = check_url(state, url)?;
    let secret = secret(said.secret.as_deref(), said.dialect.unwrap_or_default())?;
    let mut endpoint = Endpoint::new(EndpointId::new(fresh_ulid(now)), chain, url, secret, now);
    endpoint.settings = Settings::of(said.dialect.unwrap_or_default());
    EndpointBody { secret: None, ..said }.read(state, &endpoint)?.apply(&mut endpoint);
    Ok(endpoint)
}

impl EndpointBody {
    /// Checks what is to be changed about this endpoint.
    pub(super) fn read(self, state: &AppState, endpoint: &Endpoint) -> Result<Change, Problem> {
        if self.secret.is_some() {
            return Err(Problem::field("secret", "is changed by `POST …/rotate_secret`"));
        }
        check_lists(self.events.as_deref(), self.tags.as_deref())?;
        let dialect = self.dialect.unwrap_or(endpoint.dialect);
        let events = self.events.as_deref().map(|events| patterns(events, dialect)).transpose()?;
        let wanted = events.as_deref().unwrap_or(&endpoint.events);
        check_wants_any(wanted, self.tags.as_deref().unwrap_or(&endpoint.tags))?;
        check_dialect(dialect, wanted, &endpoint.secret)?;
        check_headers(self.headers.as_ref().unwrap_or(&endpoint.headers), dialect)?;
        if self.failing.is_some_and(|failing| failing.disable_after_s <= failing.warn_after_s) {
            return Err(Problem::field("failing.disable_after_s", "must be greater than `warn_after_s`"));
        }
        self.texts.iter().flatten().try_for_each(|(kind, text)| check_text(*kind, text, dialect))?;
        let url = self.url.as_deref().map(|url| check_url(state, url)).transpose()?;
        Ok(Change { url, events, rest: self })
    }
}

impl Change {
    /// Where it is to go instead.
    pub(super) const fn url(&self) -> Option<&url::Url> {
        self.url.as_ref()
    }

    /// Makes the change.
    pub(super) fn apply(self, endpoint: &mut Endpoint) {
        let Self { url, events, rest } = self;
        replace(&mut endpoint.url, url);
        replace(&mut endpoint.events, events);
        replace(&mut endpoint.dialect, rest.dialect);
        replace(&mut endpoint.description, rest.description);
        replace(&mut endpoint.headers, rest.headers);
        replace(&mut endpoint.tags, rest.tags);
        let Settings { lane, retry, rate_limit, concurrency, timeout_s, failing, texts } =
            &mut endpoint.settings;
        replace(lane, rest.lane);
        replace(retry, rest.retry);
        replace(rate_limit, rest.rate_limit);
        replace(concurrency, rest.concurrency);
        replace(timeout_s, rest.timeout_s);
        replace(failing, rest.failing);
        replace(texts, rest.texts.map(Arc::new));
    }
}

fn replace<T>(field: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *field = new;
    }
}

fn secret(given: Option<&str>, dialect: Dialect) -> Result<Secret, Problem> {
    match given {
        Some(text) => Secret::parse(text, dialect).map_err(|error| Problem::field("secret", error)),
        None => Ok(Secret::of(&random_bytes()?)),
    }
}

fn check_url(state: &AppState, url: &str) -> Result<url::Url, Problem> {
    state.policy.check_url(url).map_err(|refusal| Problem::field("url", refusal))
}

/// Refuses a name that leads to a private address now. Every dial checks again; this tells the person who makes the
/// endpoint at once. A name that leads nowhere yet is taken.
pub(super) async fn check_name(state: &AppState, url: &url::Url) -> Result<(), Problem> {
    /// A resolver that does not answer must not hold up an admin.
    const RESOLVE_WITHIN: Duration = Duration::from_secs(2);
    let (Some(host), Some(port)) = (url.domain(), url.port_or_known_default()) else { return Ok(()) };
    let resolved = tokio::time::timeout(RESOLVE_WITHIN, tokio::net::lookup_host((host, port))).await;
    let Ok(Ok(found)) = resolved else { return Ok(()) };
    let found: Vec<_> = found.map(|address| address.ip()).collect();
    state
        .policy
        .check_all(&found)
        .map_err(|refusal| Problem::field("url", format!("its host leads to a private address: {refusal}")))
}

fn check_headers(headers: &BTreeMap<String, String>, dialect: Dialect) -> Result<(), Problem> {
    validate_headers(headers, dialect).map_err(|refusal| Problem::field("headers", refusal))
}

/// What somebody asked for, be it by our names or by those of the dialect.
fn patterns(events: &[String], dialect: Dialect) -> Result<Vec<EventPattern>, Problem> {
    let mut patterns = Vec::new();
    for (at, text) in events.iter().enumerate() {
        let spoken = EventPattern::spoken(text, dialect);
        for pattern in spoken.map_err(|bad| Problem::field(format!("events[{at}]"), bad))? {
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
    }
    Ok(patterns)
}

/// Refuses a dialect that could not say what the endpoint wants, or whose receivers could not use its secret.
fn check_dialect(dialect: Dialect, events: &[EventPattern], secret: &Secret) -> Result<(), Problem> {
    events
        .iter()
        .try_for_each(|pattern| pattern.check_in(dialect))
        .map_err(|bad| Problem::field("dialect", bad))?;
    let unusable = |_| {
        Problem::field(
            "dialect",
            "the endpoint's secret is a text, and this dialect needs bytes; make a new endpoint",
        )
    };
    Secret::parse(secret.reveal(), dialect).map_err(unusable)?;
    Ok(())
}

/// Refuses a text that nobody would be told, or that asks for what is not told.
fn check_text(kind: EventType, text: &Wording, dialect: Dialect) -> Result<(), Problem> {
    let field = || format!("texts.{kind}");
    if !dialect.is_worded() {
        return Err(Problem::field("texts", "are for the dialects slack, google_chat and discord"));
    }
    text.check_for(kind).map_err(|bad| Problem::field(field(), bad))
}

fn check_lists(events: Option<&[String]>, tags: Option<&[Name]>) -> Result<(), Problem> {
    let too_many = || format!("must have at most {MOST_ENTRIES} entries");
    if events.is_some_and(|events| events.len() > MOST_ENTRIES) {
        return Err(Problem::field("events", too_many()));
    }
    if tags.is_some_and(|tags| tags.len() > MOST_ENTRIES) {
        return Err(Problem::field("tags", too_many()));
    }
    Ok(())
}

/// Refuses an endpoint that would never get anything. With tags it gets what triggers forward to them.
fn check_wants_any(events: &[EventPattern], tags: &[Name]) -> Result<(), Problem> {
    if events.is_empty() && tags.is_empty() {
        let wanted = "must name at least one event, such as `[\"points.*\"]`; `[\"*\"]` means all";
        return Err(Problem::field("events", wanted));
    }
    Ok(())
}
