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

/// `GET /v1/chains/{chain}/endpoints/{id}/deliveries`
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::View, &path.0)?;
    let endpoint: EndpointId = id(&path.1, "endpoint")?;
    if !chain.endpoints.iter().any(|known| known.id == endpoint) {
        return Err(Problem::NotFound("endpoint"));
    }
    let status = query.parsed("status", "must be pending, delivered, failed or discarded")?;
    let wanted = query.page()?;
    query.finish()?;
    Ok(HttpResponse::Ok()
        .json(state.reader.deliveries(chain.chain.id.clone(), endpoint, status, wanted).await?))
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
