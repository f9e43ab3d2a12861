//! The program in force.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::role::Right;
use crate::domain::text::Name;
use crate::http::AppState;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::rules::diagnostic::Diagnostic;

/// The program as outsiders see it.
#[derive(Serialize)]
struct ProgramView<'a> {
    /// The version in force; 0 = no rules.
    version: i64,
    /// SHA-256 of its files, in hexadecimal.
    hash: Option<&'a str>,
    published_at: Option<Timestamp>,
    tiers: &'a [Name],
    /// Why the newest edit of the folder is not in force; empty when it is.
    problems: &'a [Diagnostic],
}

/// `GET /v1/chains/{chain}/program`
pub(in crate::http) async fn get(
    state: web::Data<AppState>,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let newest = state.reader.published_program(chain.chain.id.clone()).await?;
    let program = chain.program.as_deref();
    let version = program.map_or(0, |program| program.version);
    // Between publishing and taking over, the newest is not yet the one in force.
    let in_force = newest.as_ref().filter(|newest| newest.version == version);
    Ok(HttpResponse::Ok().json(ProgramView {
        version,
        hash: in_force.map(|published| &*published.hash),
        published_at: in_force.map(|published| published.at),
        tiers: program.map_or(&[], |program| &program.tiers),
        problems: &chain.problems,
    }))
}
