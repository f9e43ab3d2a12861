//! How well an endpoint takes its deliveries.

use actix_web::{HttpResponse, web};

use super::WHAT;
use crate::domain::health::Window;
use crate::domain::ids::EndpointId;
use crate::domain::role::Right;
use crate::http::State;
use crate::http::admin::id;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::query::Query;

/// `GET /v1/chains/{chain}/endpoints/{id}/health?window=`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::View, &path.0)?;
    let wanted: EndpointId = id(&path.1, WHAT)?;
    if !chain.endpoints.iter().any(|known| known.id == wanted) {
        return Err(Problem::NotFound(WHAT));
    }
    let window = query.parsed("window", "must be 1h, 24h or 7d")?.unwrap_or(Window::Day);
    query.finish()?;
    let now = state.engine.clock().now();
    Ok(HttpResponse::Ok().json(state.reader.health(chain.chain.id.clone(), wanted, window, now).await?))
}
