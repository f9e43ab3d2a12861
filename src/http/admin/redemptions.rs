//! Redemptions: what became of a wish, and taking it a step further.

use actix_web::{Handler, HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::to_raw_value;

use super::commands::{Addressee, Parts};
use super::{found, id, members};
use crate::domain::command::{CommandType, RedemptionOrder};
use crate::domain::ids::RedemptionId;
use crate::domain::redemption::Step;
use crate::domain::role::Right;
use crate::domain::text::{Name, Note};
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::read::redemption::RedemptionFilter;

const WHAT: &str = "redemption";
const STATUS: &str = "must be pending, approved, fulfilled, rejected, cancelled or expired";

/// `GET /v1/chains/{chain}/redemptions`: all, or those with a `status`.
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::View, &path)?.chain.id.clone();
    let status = query.parsed("status", STATUS)?;
    let wanted = query.page()?;
    query.finish()?;
    let filter = status.map_or(RedemptionFilter::All, RedemptionFilter::Status);
    Ok(HttpResponse::Ok().json(state.reader.redemptions(chain, filter, wanted).await?))
}

/// `GET /v1/chains/{chain}/members/{member}/redemptions`
pub(in crate::http) async fn of_member(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::ViewMembers, &path.0)?.chain.id.clone();
    let wanted = query.page()?;
    query.finish()?;
    let member = members::of_record(&state, &chain, &path.1).await?;
    let filter = RedemptionFilter::Member(member);
    Ok(HttpResponse::Ok().json(state.reader.redemptions(chain, filter, wanted).await?))
}

/// `GET /v1/chains/{chain}/redemptions/{id}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::ViewMembers, &path.0)?.chain.id.clone();
    found(state.reader.redemption(chain, id(&path.1, WHAT)?).await?, WHAT)
}

/// The handler of a route that takes a redemption a step further. What is rejected or cancelled gives the points back.
pub(in crate::http) fn one_step(step: Step) -> impl Handler<Parts, Output = Result<HttpResponse, Problem>> {
    move |state, caller, path: web::Path<(String, String)>, request, body| {
        take_step(state, caller, path.into_inner(), step, request, body)
    }
}

/// What may be said with a step.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StepWords")]
pub(in crate::http) struct Words {
    #[serde(default)]
    reason: Option<Note>,
    #[serde(default)]
    code: Option<Name>,
}

async fn take_step(
    state: State,
    caller: Caller,
    (chain, redemption): (String, String),
    step: Step,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &chain)?.chain.id.clone();
    let redemption: RedemptionId = id(&redemption, WHAT)?;
    let known = state.reader.redemption(chain.clone(), redemption).await?;
    let member = known.ok_or(Problem::NotFound(WHAT))?.member;
    let Words { reason, code } = body.optional_json().await?;
    if code.is_some() && step != Step::Fulfill {
        return Err(Problem::field("code", "belongs to fulfill only"));
    }
    let order = RedemptionOrder { redemption, reason, code };
    let data = to_raw_value(&order).unwrap_or_else(|_| unreachable!("plain structs serialize"));
    let owner = Addressee::known(chain, member);
    owner.send(&state, &caller, CommandType::StepRedemption(step), &request, &data).await
}
