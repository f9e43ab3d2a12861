//! The delivery log, and settling deliveries by hand.

use actix_web::{HttpResponse, web};

use super::{Nothing, found, id};
use crate::domain::chain::ChainId;
use crate::domain::ids::{DeliveryId, EndpointId};
use crate::domain::role::Right;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{AppState, State};

const WHAT: &str = "delivery";
/// The most items of a digest.
pub(in crate::http) const MOST_OF_DIGEST: u32 = 1_000;

/// `GET /v1/chains/{chain}/endpoints/{id}/deliveries`
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let (chain, endpoint) = known(&state, &caller, &path)?;
    let status = query.parsed("status", "must be pending, waiting, delivered, failed or discarded")?;
    let wanted = query.page()?;
    query.finish()?;
    Ok(HttpResponse::Ok().json(state.reader.deliveries(chain, endpoint, status, wanted).await?))
}

/// `GET /v1/chains/{chain}/endpoints/{id}/lanes`: what waits for what, the oldest first.
pub(in crate::http) async fn lanes(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let (chain, endpoint) = known(&state, &caller, &path)?;
    let blocked = query.parsed("blocked", "must be true or false")?.unwrap_or(false);
    let wanted = query.page()?;
    query.finish()?;
    Ok(HttpResponse::Ok().json(state.reader.lanes(chain, endpoint, blocked, wanted).await?))
}

/// `GET /v1/chains/{chain}/endpoints/{id}/digest`: what was made for an endpoint, so that its receiver can see what it lacks.
pub(in crate::http) async fn digest(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let (chain, endpoint) = known(&state, &caller, &path)?;
    let since = query.parsed("since", "must be a sequence number, or 0")?.unwrap_or(0);
    let wanted = format!("must be a whole number from 1 to {MOST_OF_DIGEST}");
    let limit = query.parsed("limit", &wanted)?.unwrap_or(MOST_OF_DIGEST);
    if !(1..=MOST_OF_DIGEST).contains(&limit) {
        return Err(Problem::field("limit", wanted));
    }
    query.finish()?;
    Ok(HttpResponse::Ok().json(state.reader.digest(chain, endpoint, since, limit).await?))
}

/// The endpoint that a path names, for somebody who may see its log.
fn known(
    state: &AppState,
    caller: &Caller,
    (chain, endpoint): &(String, String),
) -> Result<(ChainId, EndpointId), Problem> {
    let chain = state.chain(caller, Right::View, chain)?;
    let endpoint: EndpointId = id(endpoint, "endpoint")?;
    let is_known = chain.endpoints.iter().any(|known| known.id == endpoint);
    is_known.then(|| (chain.chain.id.clone(), endpoint)).ok_or(Problem::NotFound("endpoint"))
}

/// `GET /v1/chains/{chain}/deliveries/{id}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::View, &path.0)?;
    show(&state, chain.chain.id.clone(), id(&path.1, WHAT)?).await
}

/// `POST /v1/chains/{chain}/deliveries/{id}/retry`: due now, whatever became of it.
pub(in crate::http) async fn retry(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Administer, &path.0)?;
    let delivery = id(&path.1, WHAT)?;
    let Nothing {} = body.optional_json().await?;
    state.engine.retry_delivery(&chain.chain.id, delivery).await?;
    show(&state, chain.chain.id.clone(), delivery).await
}

/// `POST /v1/chains/{chain}/deliveries/{id}/discard`: it need not be sent any more.
pub(in crate::http) async fn discard(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Administer, &path.0)?;
    let delivery = id(&path.1, WHAT)?;
    let Nothing {} = body.optional_json().await?;
    state.engine.discard_delivery(&chain.chain.id, delivery).await?;
    show(&state, chain.chain.id.clone(), delivery).await
}

async fn show(state: &AppState, chain: ChainId, delivery: DeliveryId) -> Result<HttpResponse, Problem> {
    found(state.reader.delivery(chain, delivery).await?, WHAT)
}
