//! Chains.

use actix_web::{HttpRequest, HttpResponse, web};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::Timestamp;
use crate::domain::chain::{Chain, ChainId};
use crate::domain::once::Reply;
use crate::domain::role::Right;
use crate::domain::text::Name;
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::conditional::{IfMatch, not_modified, with_tag};
use crate::http::once::Create;
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

impl NewChain {
    fn chain(self, now: Timestamp) -> Result<Chain, Problem> {
        let Self { id, name, timezone, currency } = self;
        let unknown_zone =
            |_| Problem::field("timezone", "must be an IANA time zone such as America/New_York");
        let timezone: Tz = timezone.parse().map_err(unknown_zone)?;
        let currency = currency.parse().map_err(|error| Problem::field("currency", error))?;
        Ok(Chain { id, name, timezone, currency, created_at: now, revision: 1 })
    }
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
    new: Create,
) -> Result<HttpResponse, Problem> {
    caller.require_everywhere(Right::Administer)?;
    new.once(&caller, async |said: NewChain, once| {
        let chain = said.chain(state.engine.clock().now())?;
        let made = state.engine.create_chain(chain, once.replying(made), caller.by()).await?;
        Ok(self::made(&made.chain))
    })
    .await
}

fn made(chain: &Chain) -> Reply {
    let location = format!("/v1/chains/{}", chain.id);
    Reply::created(location, &ChainView::from(chain)).tagged(&chain.tag())
}

/// A chain, and the state that it is in.
fn show(chain: &Chain) -> HttpResponse {
    with_tag(HttpResponse::Ok().json(ChainView::from(chain)), &chain.tag())
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
    let views = state.chains_of(&caller).iter().map(|chain| ChainView::from(&*chain.chain)).collect();
    Ok(HttpResponse::Ok().json(wanted.of_all(views, |chain| chain.id.clone(), |chain| chain.id.to_string())))
}

/// `GET /v1/chains/{chain}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Administer, &path)?.chain.clone();
    Ok(not_modified(&request, &chain.tag()).unwrap_or_else(|| show(&chain)))
}

/// `PATCH /v1/chains/{chain}`: the name; everything else, balances and windows depend on.
pub(in crate::http) async fn patch(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    expected: IfMatch,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Administer, &path)?;
    let expected = expected.wanted()?;
    let ChainPatch { name } = body.json().await?;
    let changed = state.engine.rename_chain(&chain.chain.id, name, expected, caller.by()).await?;
    Ok(show(&changed.chain))
}
