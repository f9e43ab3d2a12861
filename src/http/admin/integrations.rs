//! Integrations: the platforms that a chain's data are to be kept in step with. They are configured over GraphQL.

use actix_web::{HttpResponse, web};

use crate::domain::role::Right;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::read::page::Page;

/// `GET /v1/chains/{chain}/integrations`: by platform, all on one page.
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Administer, &path)?.chain.id.clone();
    query.finish()?;
    Ok(HttpResponse::Ok().json(Page::whole(state.reader.integrations(chain).await?)))
}
