//! Source events: what was received, and running a failed one again.

use actix_web::http::header::ContentType;
use actix_web::{HttpResponse, web};

use super::{Nothing, found, id};
use crate::domain::role::Right;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::query::Query;

const WHAT: &str = "source event";

/// `GET /v1/chains/{chain}/source_events`
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::View, &path)?;
    let status = query.parsed("status", "must be accepted, processed, parked, failed or refused")?;
    let wanted = query.page()?;
    query.finish()?;
    Ok(HttpResponse::Ok().json(state.reader.source_events(chain.chain.id.clone(), status, wanted).await?))
}

/// `GET /v1/chains/{chain}/source_events/{id}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::View, &path.0)?;
    found(state.reader.source_event(chain.chain.id.clone(), id(&path.1, WHAT)?).await?, WHAT)
}

/// `POST /v1/chains/{chain}/source_events/{id}/replay`: answers the new receipt.
pub(in crate::http) async fn replay(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path.0)?;
    let source = id(&path.1, WHAT)?;
    let Nothing {} = body.optional_json().await?;
    let _permit = state.engine.try_admit()?;
    let answer = state.engine.replay(&chain.chain.id, source, caller.by()).await?;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(answer.receipt))
}
