//! Export schedules: which of a chain's data are to be written out. They are made over GraphQL.

use actix_web::{HttpResponse, web};

use crate::domain::role::Right;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::read::page::Page;

/// `GET /v1/chains/{chain}/export_schedules`: newest first, all on one page.
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = &state.chain(&caller, Right::Administer, &path)?.chain;
    query.finish()?;
    let now = state.engine.clock().now();
    let found = state.reader.export_schedules(chain.id.clone(), chain.timezone, now).await?;
    Ok(HttpResponse::Ok().json(Page::whole(found)))
}
