//! Endpoints: where loyalty events go.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use super::{Nothing, clearable, created, found, id};
use crate::clock::fresh_ulid;
use crate::domain::chain::ChainId;
use crate::domain::endpoint::{Dialect, Endpoint, EndpointState, EventPattern, Secret};
use crate::domain::headers::validate_headers;
use crate::domain::ids::EndpointId;
use crate::domain::role::Right;
use crate::domain::text::{Name, Note};
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{AppState, State, random_bytes};
use crate::read::endpoint::EndpointView;

const WHAT: &str = "endpoint";
/// The most entries of `events` and of `tags`.
const MOST_ENTRIES: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewEndpoint {
    url: String,
    #[serde(default)]
    events: Option<Vec<String>>,
    #[serde(default)]
    dialect: Dialect,
    #[serde(default)]
    description: Option<Note>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    secret: Option<String>,
    #[serde(default)]
    tags: Vec<Name>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointPatch {
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    events: Option<Vec<String>>,
    #[serde(default)]
    dialect: Option<Dialect>,
    #[serde(default, deserialize_with = "clearable")]
    description: Option<Option<Note>>,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    tags: Option<Vec<Name>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Disable {
    #[serde(default)]
    reason: Option<Note>,
}

/// The one answer that shows the secret.
#[derive(Serialize)]
struct NewEndpointView<'a> {
    #[serde(flatten)]
    view: EndpointView,
    secret: &'a str,
}

/// `POST /v1/chains/{chain}/endpoints`
pub(in crate::http) async fn create(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Administer, &path)?;
    let endpoint = endpoint(&state, chain.chain.id.clone(), body.json().await?)?;
    check_name(&state, &endpoint.url).await?;
    let made = state.engine.create_endpoint(endpoint).await?;
    let location = format!("/v1/chains/{}/endpoints/{}", made.chain, made.id);
    Ok(created(location, &NewEndpointView { view: EndpointView::from(&*made), secret: made.secret.reveal() }))
}

fn endpoint(state: &AppState, chain: ChainId, new: NewEndpoint) -> Result<Endpoint, Problem> {
    let now = state.engine.clock().now();
    check_lists(new.events.as_deref(), Some(&new.tags))?;
    check_headers(&new.headers, new.dialect)?;
    let events = patterns(new.events.as_deref().unwrap_or_default(), new.dialect)?;
    check_wants_any(&events, &new.tags)?;
    Ok(Endpoint {
        id: EndpointId::new(fresh_ulid(now)),
        chain,
        url: check_url(state, &new.url)?,
        description: new.description,
        dialect: new.dialect,
        events,
        tags: new.tags,
        headers: new.headers,
        state: EndpointState::Enabled,
        secret: secret(new.secret.as_deref(), new.dialect)?,
        created_at: now,
        updated_at: now,
    })
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
async fn check_name(state: &AppState, url: &url::Url) -> Result<(), Problem> {
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

/// `GET /v1/chains/{chain}/endpoints`: newest first.
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Administer, &path)?;
    let wanted = query.page::<EndpointId>()?;
    query.finish()?;
    let mut views: Vec<_> = chain.endpoints.iter().map(|endpoint| EndpointView::from(&**endpoint)).collect();
    views.sort_unstable_by_key(|view| std::cmp::Reverse(view.id));
    Ok(HttpResponse::Ok().json(wanted.of_all(views, |view| view.id, |view| view.id.to_string())))
}

/// `GET /v1/chains/{chain}/endpoints/{id}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Administer, &path.0)?;
    let wanted: EndpointId = id(&path.1, WHAT)?;
    let endpoint = chain.endpoints.iter().find(|endpoint| endpoint.id == wanted);
    found(endpoint.map(|endpoint| EndpointView::from(&**endpoint)), WHAT)
}

/// `PATCH /v1/chains/{chain}/endpoints/{id}`: only what is given changes; `null` clears the description.
pub(in crate::http) async fn patch(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    let patch: EndpointPatch = body.json().await?;
    check_lists(patch.events.as_deref(), patch.tags.as_deref())?;
    let dialect = patch.dialect.unwrap_or(endpoint.dialect);
    let events = patch.events.as_deref().map(|events| patterns(events, dialect)).transpose()?;
    let wanted = events.as_deref().unwrap_or(&endpoint.events);
    check_wants_any(wanted, patch.tags.as_deref().unwrap_or(&endpoint.tags))?;
    check_dialect(dialect, wanted, &endpoint.secret)?;
    check_headers(patch.headers.as_ref().unwrap_or(&endpoint.headers), dialect)?;
    let url = patch.url.as_deref().map(|url| check_url(&state, url)).transpose()?;
    if let Some(url) = &url {
        check_name(&state, url).await?;
    }
    change(&state, &endpoint, move |endpoint| {
        replace(&mut endpoint.url, url);
        replace(&mut endpoint.events, events);
        replace(&mut endpoint.dialect, patch.dialect);
        replace(&mut endpoint.description, patch.description);
        replace(&mut endpoint.headers, patch.headers);
        replace(&mut endpoint.tags, patch.tags);
    })
    .await
}

fn replace<T>(field: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *field = new;
    }
}

/// `POST /v1/chains/{chain}/endpoints/{id}/enable`: what waits leaves.
pub(in crate::http) async fn enable(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    let Nothing {} = body.optional_json().await?;
    change(&state, &endpoint, |endpoint| endpoint.state = EndpointState::Enabled).await
}

/// `POST /v1/chains/{chain}/endpoints/{id}/disable`: deliveries wait until it is enabled again.
pub(in crate::http) async fn disable(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    let Disable { reason } = body.optional_json().await?;
    let by_hand = Note::parse("disabled by hand").map_err(|error| Problem::field("reason", error))?;
    let (reason, at) = (reason.unwrap_or(by_hand), state.engine.clock().now());
    change(&state, &endpoint, move |endpoint| endpoint.state = EndpointState::Disabled { reason, at }).await
}

/// The endpoint that a path names, for somebody who may change it.
fn known(
    state: &AppState,
    caller: &Caller,
    (chain, endpoint): &(String, String),
) -> Result<Arc<Endpoint>, Problem> {
    let chain = state.chain(caller, Right::Administer, chain)?;
    let wanted: EndpointId = id(endpoint, WHAT)?;
    chain.endpoints.iter().find(|known| known.id == wanted).cloned().ok_or(Problem::NotFound(WHAT))
}

async fn change(
    state: &AppState,
    endpoint: &Endpoint,
    change: impl FnOnce(&mut Endpoint) + Send + 'static,
) -> Result<HttpResponse, Problem> {
    let changed = state.engine.update_endpoint(&endpoint.chain, endpoint.id, change).await?;
    Ok(HttpResponse::Ok().json(EndpointView::from(&*changed)))
}

/// `DELETE /v1/chains/{chain}/endpoints/{id}`: its pending deliveries are discarded.
pub(in crate::http) async fn delete(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    state.engine.delete_endpoint(&endpoint.chain, endpoint.id).await?;
    Ok(HttpResponse::NoContent().finish())
}
