//! What people say of an endpoint, read and checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::filter::FilterBody;
use super::names::check_name;
use crate::actors::outbound::check_identity;
use crate::clock::fresh_ulid;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::delivery::{Pauses, Percent, RetryPolicy};
use crate::domain::endpoint::{
    Auth, Concurrency, Dialect, Endpoint, EventPattern, Failing, Filter, Keys, Lane, PerMinute, Script,
    Seconds, Secret, Settings, Signatures, Texts, TimeoutS, Wording,
};
use crate::domain::headers::validate_headers;
use crate::domain::ids::EndpointId;
use crate::domain::loyalty_event::EventType;
use crate::domain::text::{Name, Note};
use crate::http::admin::{clearable, given};
use crate::http::problem::Problem;
use crate::http::{AppState, random_bytes};

/// The most entries of `events` and of `tags`.
const MOST_ENTRIES: usize = 100;

/// An endpoint as somebody wants it: what is not said is as it is by default, or stays as it is.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "EndpointSettings")]
pub(in crate::http) struct EndpointBody {
    #[serde(deserialize_with = "given")]
    #[schemars(with = "String")]
    url: Option<String>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Vec<String>")]
    events: Option<Vec<String>>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Dialect")]
    dialect: Option<Dialect>,
    #[serde(deserialize_with = "clearable")]
    #[schemars(with = "Option<Note>")]
    description: Option<Option<Note>>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "BTreeMap<String, String>")]
    headers: Option<BTreeMap<String, String>>,
    secret: Option<String>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Vec<Name>")]
    tags: Option<Vec<Name>>,
    #[serde(deserialize_with = "clearable")]
    #[schemars(with = "Option<FilterBody>")]
    filter: Option<Option<FilterBody>>,
    #[serde(deserialize_with = "clearable")]
    #[schemars(with = "Option<Script>")]
    transform: Option<Option<Script>>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Lane")]
    lane: Option<Lane>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "RetryBody")]
    retry: Option<RetryBody>,
    #[serde(deserialize_with = "clearable")]
    #[schemars(with = "Option<PerMinute>")]
    rate_limit: Option<Option<PerMinute>>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Concurrency")]
    concurrency: Option<Concurrency>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "TimeoutS")]
    timeout_s: Option<TimeoutS>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "FailingBody")]
    failing: Option<FailingBody>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Signatures")]
    signatures: Option<Signatures>,
    #[serde(deserialize_with = "clearable")]
    #[schemars(with = "Option<Auth>")]
    auth: Option<Option<Auth>>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Texts")]
    texts: Option<Texts>,
}

/// What is to be changed about a ladder.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RetryChange")]
struct RetryBody {
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Pauses")]
    pauses_s: Option<Pauses>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Percent")]
    jitter_percent: Option<Percent>,
    #[serde(deserialize_with = "clearable")]
    #[schemars(with = "Option<Seconds>")]
    give_up_after_s: Option<Option<Seconds>>,
}

impl RetryBody {
    fn apply(self, retry: &mut RetryPolicy) {
        replace(&mut retry.pauses_s, self.pauses_s);
        replace(&mut retry.jitter_percent, self.jitter_percent);
        replace(&mut retry.give_up_after_s, self.give_up_after_s);
    }
}

/// What is to be changed about what is done with a receiver that takes nothing.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "FailingChange")]
struct FailingBody {
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Seconds")]
    warn_after_s: Option<Seconds>,
    #[serde(deserialize_with = "given")]
    #[schemars(with = "Seconds")]
    disable_after_s: Option<Seconds>,
}

impl FailingBody {
    fn apply(self, failing: &mut Failing) {
        replace(&mut failing.warn_after_s, self.warn_after_s);
        replace(&mut failing.disable_after_s, self.disable_after_s);
    }
}

/// What is to be changed about an endpoint, checked.
pub(super) struct Change {
    url: Option<url::Url>,
    events: Option<Vec<EventPattern>>,
    /// A pair of keys is made of it, if one is wanted.
    seed: [u8; 32],
    filter: Option<Option<Filter>>,
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
    /// What every dialect's receiver says of itself.
    pub(in crate::http) fn saying(
        url: Option<String>,
        events: Option<Vec<String>>,
        headers: Option<BTreeMap<String, String>>,
    ) -> Self {
        Self { url, events, headers, ..Self::default() }
    }

    /// The same of one that is new.
    pub(in crate::http) fn in_dialect(self, dialect: Dialect, secret: Option<String>) -> Self {
        Self { dialect: Some(dialect), secret, ..self }
    }

    /// Checks where the names lead that are in it. All else is checked against the endpoint as it is when it is changed.
    pub(super) async fn check_names(&self, state: &AppState) -> Result<(), Problem> {
        if let Some(url) = self.url.as_deref() {
            check_name(&state.policy, "url", &check_url(state, url)?).await?;
        }
        if let Some(Some(Auth::OAuth2(credentials))) = &self.auth {
            check_name(&state.policy, "auth.token_url", &credentials.token_url).await?;
        }
        Ok(())
    }

    /// Checks what is to be changed about this endpoint.
    pub(super) fn read(mut self, state: &AppState, endpoint: &Endpoint) -> Result<Change, Problem> {
        if self.secret.is_some() {
            return Err(Problem::field("secret", "is changed by `POST …/rotate_secret`"));
        }
        check_lists(self.events.as_deref(), self.tags.as_deref())?;
        let dialect = self.dialect.unwrap_or(endpoint.dialect);
        let events = self.events.as_deref().map(|events| patterns(events, dialect)).transpose()?;
        let wanted = events.as_deref().unwrap_or(&endpoint.events);
        check_wants_any(wanted, self.tags.as_deref().unwrap_or(&endpoint.tags))?;
        check_dialect(dialect, wanted, &endpoint.keys, state.engine.clock().now())?;
        let transform = self.transform.as_ref().unwrap_or(&endpoint.settings.transform);
        if transform.is_some() && !dialect.is_transformable() {
            let unfit = "is for the dialects standard and flat; null takes the transform away";
            return Err(Problem::field("transform", unfit));
        }
        let auth = self.auth.as_ref().unwrap_or(&endpoint.auth).as_ref();
        let signs_in = check_auth(state, auth, dialect)?;
        check_headers(self.headers.as_ref().unwrap_or(&endpoint.headers), signs_in)?;
        let mut failing = endpoint.settings.failing;
        self.failing.unwrap_or_default().apply(&mut failing);
        if failing.disable_after_s <= failing.warn_after_s {
            return Err(Problem::field("failing.disable_after_s", "must be greater than `warn_after_s`"));
        }
        let patience = match self.retry.as_ref().and_then(|retry| retry.give_up_after_s) {
            Some(said) => said,
            None => endpoint.settings.retry.give_up_after_s,
        };
        let holds_all = self.lane.unwrap_or(endpoint.settings.lane) == Lane::Endpoint;
        if holds_all && patience.is_some_and(|patience| patience >= failing.disable_after_s) {
            let problem = "must be less than `failing.disable_after_s`, or the endpoint is disabled before its lane goes on";
            return Err(Problem::field("retry.give_up_after_s", problem));
        }
        self.texts.iter().flatten().try_for_each(|(kind, text)| check_text(*kind, text, dialect))?;
        let url = self.url.as_deref().map(|url| check_url(state, url)).transpose()?;
        let read = |said: Option<FilterBody>| said.map(|said| said.read(dialect)).transpose();
        let filter = self.filter.take().map(read).transpose()?;
        Ok(Change { url, events, filter, seed: random_bytes()?, rest: self })
    }
}

impl Change {
    /// Makes the change.
    pub(super) fn apply(self, endpoint: &mut Endpoint) {
        let Self { url, events, filter: wanted, seed, rest } = self;
        replace(&mut endpoint.url, url);
        replace(&mut endpoint.events, events);
        replace(&mut endpoint.dialect, rest.dialect);
        replace(&mut endpoint.description, rest.description);
        replace(&mut endpoint.headers, rest.headers);
        replace(&mut endpoint.tags, rest.tags);
        replace(&mut endpoint.auth, rest.auth);
        if let Some(signatures) = rest.signatures {
            endpoint.keys.sign_with(signatures, seed);
        }
        let Settings { filter, transform, lane, retry, rate_limit, concurrency, timeout_s, failing, texts } =
            &mut endpoint.settings;
        replace(filter, wanted);
        replace(transform, rest.transform);
        replace(lane, rest.lane);
        rest.retry.unwrap_or_default().apply(retry);
        replace(rate_limit, rest.rate_limit);
        replace(concurrency, rest.concurrency);
        replace(timeout_s, rest.timeout_s);
        rest.failing.unwrap_or_default().apply(failing);
        replace(texts, rest.texts.map(Arc::new));
    }
}

fn replace<T>(field: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *field = new;
    }
}

/// A secret that somebody brings, or a new one.
pub(super) fn secret(given: Option<&str>, dialect: Dialect) -> Result<Secret, Problem> {
    match given {
        Some(text) => Secret::parse(text, dialect).map_err(|error| Problem::field("secret", error)),
        None => Ok(Secret::of(&random_bytes()?)),
    }
}

fn check_url(state: &AppState, url: &str) -> Result<url::Url, Problem> {
    state.policy.check_url(url).map_err(|refusal| Problem::field("url", refusal))
}

/// Checks how we are to say who we are. Answers whether that stands in `authorization`.
fn check_auth(state: &AppState, auth: Option<&Auth>, dialect: Dialect) -> Result<bool, Problem> {
    let is_token = dialect == Dialect::Bubblehouse;
    let Some(auth) = auth else { return Ok(is_token) };
    let field = |name: &str| format!("auth.{name}");
    auth.check().map_err(|bad| Problem::field(field(bad.field), bad.problem))?;
    match auth {
        Auth::OAuth2(credentials) => {
            let url = state.policy.check_url(credentials.token_url.as_str());
            url.map_err(|refusal| Problem::field(field("token_url"), refusal))?;
        }
        Auth::Mtls(identity) => {
            check_identity(identity).map_err(|bad| Problem::field(field(bad.field), bad.problem))?;
        }
        Auth::Basic { .. } | Auth::Bearer { .. } => {}
    }
    if is_token && auth.is_header() {
        return Err(Problem::field(
            "auth",
            "must be `mtls`: the token of this dialect stands in `authorization`",
        ));
    }
    Ok(is_token || auth.is_header())
}

fn check_headers(headers: &BTreeMap<String, String>, signs_in: bool) -> Result<(), Problem> {
    validate_headers(headers, signs_in).map_err(|refusal| Problem::field("headers", refusal))
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

/// Refuses a dialect that could not say what the endpoint wants, or whose receivers could not use one of its secrets.
fn check_dialect(
    dialect: Dialect,
    events: &[EventPattern],
    keys: &Keys,
    now: Timestamp,
) -> Result<(), Problem> {
    events
        .iter()
        .try_for_each(|pattern| pattern.check_in(dialect))
        .map_err(|bad| Problem::field("dialect", bad))?;
    match keys.live(now).find(|(key, _)| Secret::parse(key.secret.reveal(), dialect).is_err()) {
        None => Ok(()),
        Some((key, _)) => {
            let id = key.id;
            let unusable = format!(
                "cannot use the secret of key {id}; rotate it with `\"overlap_seconds\": 0`, and change the dialect then"
            );
            Err(Problem::field("dialect", unusable))
        }
    }
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
