//! Who is likely to stay away, and how well that is known.

use actix_web::{HttpResponse, web};

use super::Nothing;
use crate::actors::snapshot::ChainSnapshot;
use crate::domain::role::Right;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;

/// `GET /v1/chains/{chain}/churn`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::View, &path)?;
    show(&state, &chain).await
}

/// `POST /v1/chains/{chain}/churn/refit`
pub(in crate::http) async fn refit(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let Nothing {} = body.optional_json().await?;
    let learned = state.engine.refit(&chain.chain.id, caller.by()).await?;
    show(&state, &learned).await
}

async fn show(state: &State, chain: &ChainSnapshot) -> Result<HttpResponse, Problem> {
    let terms = chain.program()?.terms.churn;
    let id = chain.chain.id.clone();
    let view = state.reader.churn(id, terms, &chain.learned, chain.next_fit()).await?;
    Ok(HttpResponse::Ok().json(view))
}
