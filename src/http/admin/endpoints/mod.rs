//! Endpoints: where loyalty events go.

pub(in crate::http) mod config;
mod filter;
pub(in crate::http) mod health;
pub(in crate::http) mod recover;
pub(in crate::http) mod secrets;
pub(in crate::http) mod state;
pub(in crate::http) mod test;

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use self::config::{EndpointBody, check_name};
use super::{created, id};
use crate::domain::chain::ChainId;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::EndpointId;
use crate::domain::role::Right;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{AppState, State};
use crate::read::endpoint::EndpointView;

const WHAT: &str = "endpoint";

/// The one answer that shows the secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewEndpoint")]
pub(in crate::http) struct NewEndpointView<'a> {
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
    let made = make(&state, chain.chain.id.clone(), body.json().await?).await?;
    let location = format!("/v1/chains/{}/endpoints/{}", made.chain, made.id);
    let secret = made.keys.newest().secret.reveal();
    Ok(created(location, &NewEndpointView { view: EndpointView::from(&*made), secret }))
}

/// Makes an endpoint as somebody wants it.
pub(in crate::http) async fn make(
    state: &AppState,
    chain: ChainId,
    said: EndpointBody,
) -> Result<Arc<Endpoint>, Problem> {
    let endpoint = config::new(state, chain, said)?;
    check_name(state, &endpoint.url).await?;
    Ok(state.engine.create_endpoint(endpoint).await?)
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
    let now = state.engine.clock().now();
    let mut views = state.reader.endpoints(chain.chain.id.clone(), &chain.endpoints, now).await?;
    views.iter_mut().for_each(|view| view.filter_problem = chain.filter_problem(view.id));
    views.sort_unstable_by_key(|view| std::cmp::Reverse(view.id));
    Ok(HttpResponse::Ok().json(wanted.of_all(views, |view| view.id, |view| view.id.to_string())))
}

/// `GET /v1/chains/{chain}/endpoints/{id}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    show(&state, &*known(&state, &caller, &path)?).await
}

/// `PATCH /v1/chains/{chain}/endpoints/{id}`: only what is given changes; `null` clears the description,
/// the rate limit, the filter, the transform and `auth`.
pub(in crate::http) async fn patch(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    show(&state, &*change(&state, &endpoint, body.json().await?).await?).await
}

/// Changes of an endpoint what is said, and nothing else.
pub(in crate::http) async fn change(
    state: &AppState,
    endpoint: &Endpoint,
    said: EndpointBody,
) -> Result<Arc<Endpoint>, Problem> {
    let wanted = said.read(state, endpoint)?;
    if let Some(url) = wanted.url() {
        check_name(state, url).await?;
    }
    let change = move |endpoint: &mut Endpoint| wanted.apply(endpoint);
    Ok(state.engine.update_endpoint(&endpoint.chain, endpoint.id, change).await?)
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

/// An endpoint, how its receiver does, and what is wrong with its filter by now.
async fn show(state: &AppState, endpoint: &Endpoint) -> Result<HttpResponse, Problem> {
    let chain = state.engine.known_chain(endpoint.chain.as_str())?;
    let view = state.reader.endpoint(endpoint, state.engine.clock().now()).await?;
    let view = EndpointView { filter_problem: chain.filter_problem(endpoint.id), ..view };
    Ok(HttpResponse::Ok().json(view))
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
