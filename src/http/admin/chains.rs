//! Chains.

use actix_web::{HttpResponse, web};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Deserialize;

use super::created;
use crate::domain::chain::{Chain, ChainId};
use crate::domain::role::Right;
use crate::domain::text::Name;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::read::chain::ChainView;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NewChain {
    id: ChainId,
    name: Name,
    timezone: String,
    currency: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ChainChange")]
pub(in crate::http) struct ChainPatch {
    name: Name,
}

/// `POST /v1/chains`
pub(in crate::http) async fn create(
    state: State,
    caller: Caller,
    body: Body,
) -> Result<HttpResponse, Problem> {
    caller.require_everywhere(Right::Administer)?;
    let NewChain { id, name, timezone, currency } = body.json().await?;
    let unknown_zone = |_| Problem::field("timezone", "must be an IANA time zone such as America/New_York");
    let timezone: Tz = timezone.parse().map_err(unknown_zone)?;
    let currency = currency.parse().map_err(|error| Problem::field("currency", error))?;
    let chain = Chain { id, name, timezone, currency, created_at: state.engine.clock().now() };
    let made = state.engine.create_chain(chain).await?;
    Ok(created(format!("/v1/chains/{}", made.chain.id), &ChainView::from(&*made.chain)))
}

/// `GET /v1/chains`: by id; a key of one chain sees that one.
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    caller.require_role(Right::Administer)?;
    let wanted = query.page::<ChainId>()?;
    query.finish()?;
    let all = state.engine.chains();
    let own = all.iter().filter(|chain| caller.chain().is_none_or(|own| *own == chain.chain.id));
    let views = own.map(|chain| ChainView::from(&*chain.chain)).collect();
    Ok(HttpResponse::Ok().json(wanted.of_all(views, |chain| chain.id.clone(), |chain| chain.id.to_string())))
}

/// `GET /v1/chains/{chain}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Administer, &path)?;
    Ok(HttpResponse::Ok().json(ChainView::from(&*chain.chain)))
}

/// `PATCH /v1/chains/{chain}`: the name; everything else, balances and windows depend on.
pub(in crate::http) async fn patch(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Administer, &path)?;
    let ChainPatch { name } = body.json().await?;
    let changed = state.engine.rename_chain(&chain.chain.id, name).await?;
    Ok(HttpResponse::Ok().json(ChainView::from(&*changed.chain)))
}
