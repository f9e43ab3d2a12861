//! Endpoints: where loyalty events go.

pub(in crate::http) mod config;
mod filter;
pub(in crate::http) mod health;
pub(in crate::http) mod names;
pub(in crate::http) mod recover;
pub(in crate::http) mod secrets;
pub(in crate::http) mod state;
pub(in crate::http) mod test;

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use self::config::EndpointBody;
use super::id;
use crate::actors::engine::EngineError;
use crate::actors::once::Once;
use crate::domain::audit::By;
use crate::domain::chain::ChainId;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::EndpointId;
use crate::domain::once::Reply;
use crate::domain::precondition::Precondition;
use crate::domain::role::Right;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::conditional::{IfMatch, with_tag};
use crate::http::once::Create;
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
    new: Create,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Administer, &path)?;
    new.once(&caller, async |said: EndpointBody, once| {
        let made = make(&state, chain.chain.id.clone(), said, once.replying(made), caller.by()).await?;
        Ok(self::made(&made))
    })
    .await
}

/// Makes an endpoint as somebody wants it.
pub(in crate::http) async fn make(
    state: &AppState,
    chain: ChainId,
    said: EndpointBody,
    once: Once<Endpoint>,
    by: By,
) -> Result<Arc<Endpoint>, Problem> {
    said.check_names(state).await?;
    let endpoint = config::new(state, chain, said)?;
    Ok(state.engine.create_endpoint(endpoint, once, by).await?)
}

fn made(endpoint: &Endpoint) -> Reply {
    let location = format!("/v1/chains/{}/endpoints/{}", endpoint.chain, endpoint.id);
    let (view, secret) = (EndpointView::from(endpoint), endpoint.keys.newest().secret.reveal());
    Reply::created(location, &NewEndpointView { view, secret }).tagged(&endpoint.tag())
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
    expected: IfMatch,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    let expected = expected.wanted()?;
    let said: EndpointBody = body.json().await?;
    show(&state, &*change(&state, &endpoint, expected, said, caller.by()).await?).await
}

/// Changes of an endpoint what is said, and nothing else.
pub(in crate::http) async fn change(
    state: &State,
    endpoint: &Endpoint,
    expected: Precondition,
    said: EndpointBody,
    by: By,
) -> Result<Arc<Endpoint>, Problem> {
    said.check_names(state).await?;
    let checking = state.clone();
    // Whether it can be is asked of the endpoint as it is when nobody else changes it.
    let change = move |known: &Endpoint| -> Result<Endpoint, Problem> {
        expected.check(known.tag()).map_err(EngineError::from)?;
        let mut changed = known.clone();
        said.read(&checking, known)?.apply(&mut changed);
        Ok(changed)
    };
    state.engine.update_endpoint(&endpoint.chain, endpoint.id, change, by).await
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

/// An endpoint, the state that it is in, how its receiver does, and what is wrong with its filter by now.
async fn show(state: &AppState, endpoint: &Endpoint) -> Result<HttpResponse, Problem> {
    let chain = state.engine.known_chain(endpoint.chain.as_str())?;
    let view = state.reader.endpoint(endpoint, state.engine.clock().now()).await?;
    let view = EndpointView { filter_problem: chain.filter_problem(endpoint.id), ..view };
    Ok(with_tag(HttpResponse::Ok().json(view), &endpoint.tag()))
}

/// `DELETE /v1/chains/{chain}/endpoints/{id}`: its pending deliveries are discarded.
pub(in crate::http) async fn delete(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    expected: IfMatch,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    state.engine.delete_endpoint(&endpoint.chain, endpoint.id, expected.wanted()?, caller.by()).await?;
    Ok(HttpResponse::NoContent().finish())
}
