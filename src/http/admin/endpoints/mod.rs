//! Endpoints: where loyalty events go.

mod config;
mod filter;

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};

use self::config::EndpointBody;
use super::{Nothing, created, found, id};
use crate::actors::snapshot::ChainSnapshot;
use crate::domain::endpoint::{Endpoint, EndpointState};
use crate::domain::ids::EndpointId;
use crate::domain::role::Right;
use crate::domain::text::Note;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{AppState, State};
use crate::read::endpoint::EndpointView;

const WHAT: &str = "endpoint";

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
    let endpoint = config::new(&state, chain.chain.id.clone(), body.json().await?)?;
    config::check_name(&state, &endpoint.url).await?;
    let made = state.engine.create_endpoint(endpoint).await?;
    let location = format!("/v1/chains/{}/endpoints/{}", made.chain, made.id);
    let view = EndpointView::from(&*made);
    Ok(created(location, &NewEndpointView { view, secret: made.secret.reveal() }))
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
    let mut views: Vec<_> = chain.endpoints.iter().map(|endpoint| view(&chain, endpoint)).collect();
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
    found(endpoint.map(|endpoint| view(&chain, endpoint)), WHAT)
}

/// `PATCH /v1/chains/{chain}/endpoints/{id}`: only what is given changes; `null` clears the description,
/// the filter and the rate limit.
pub(in crate::http) async fn patch(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    let said: EndpointBody = body.json().await?;
    let wanted = said.read(&state, &endpoint)?;
    if let Some(url) = wanted.url() {
        config::check_name(&state, url).await?;
    }
    change(&state, &endpoint, move |endpoint| wanted.apply(endpoint)).await
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

/// An endpoint, and what is wrong with its filter by now.
fn view(chain: &ChainSnapshot, endpoint: &Endpoint) -> EndpointView {
    EndpointView { filter_problem: chain.filter_problem(endpoint.id), ..EndpointView::from(endpoint) }
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
    Ok(HttpResponse::Ok().json(view(&*state.engine.known_chain(changed.chain.as_str())?, &changed)))
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
