//! The program in force.

use actix_web::{HttpResponse, web};

use crate::domain::role::Right;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::problem::Problem;

/// `GET /v1/chains/{chain}/program`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let (program, problems) = (chain.program.as_deref(), &chain.problems);
    let view = state.reader.program(chain.chain.id.clone(), program, problems).await?;
    Ok(HttpResponse::Ok().json(view))
}
