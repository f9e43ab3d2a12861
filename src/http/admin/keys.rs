//! API keys.

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{created, id};
use crate::clock::fresh_ulid;
use crate::domain::api_key::{ApiKey, KeyText};
use crate::domain::chain::ChainId;
use crate::domain::ids::KeyId;
use crate::domain::role::{Right, Role};
use crate::domain::text::Name;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{AppState, State, random_bytes};
use crate::read::api_key::KeyView;

const WHAT: &str = "key";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NewKey {
    role: String,
    #[serde(default)]
    chain: Option<ChainId>,
    #[serde(default)]
    name: Option<Name>,
}

/// The one answer that shows the key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewApiKey")]
pub(in crate::http) struct NewKeyView<'a> {
    #[serde(flatten)]
    view: KeyView,
    key: &'a str,
}

/// `POST /v1/keys`
pub(in crate::http) async fn create(
    state: State,
    caller: Caller,
    body: Body,
) -> Result<HttpResponse, Problem> {
    caller.require_role(Right::Administer)?;
    let NewKey { role, chain, name } = body.json().await?;
    let role: Role = role.parse().map_err(|error| Problem::field("role", error))?;
    check_chain(&state, &caller, chain.as_ref())?;
    let text = KeyText::of(&random_bytes()?);
    let now = state.engine.clock().now();
    let id = KeyId::new(fresh_ulid(now));
    let key = ApiKey { id, hash: text.hash(), role, chain, name, created_at: now, revoked_at: None };
    let view = KeyView::of(key.clone());
    state.engine.create_key(key).await?;
    state.keys.forget();
    Ok(created(format!("/v1/keys/{}", view.id), &NewKeyView { view, key: text.reveal() }))
}

/// A key of one chain makes keys of that chain only.
fn check_chain(state: &AppState, caller: &Caller, chain: Option<&ChainId>) -> Result<(), Problem> {
    match (caller.chain(), chain) {
        (Some(own), chain) if chain != Some(own) => {
            Err(Problem::field("chain", format!("must be `{own}`: this key is for that chain")))
        }
        (_, Some(chain)) if state.engine.chain(chain.as_str()).is_none() => {
            Err(Problem::field("chain", "there is no such chain"))
        }
        _ => Ok(()),
    }
}

/// `GET /v1/keys`: never the keys themselves.
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    caller.require_role(Right::Administer)?;
    let wanted = query.page()?;
    query.finish()?;
    Ok(HttpResponse::Ok().json(state.reader.keys(caller.chain().cloned(), wanted).await?))
}

/// `DELETE /v1/keys/{id}`: the key is useless from now on; other processes notice within two seconds.
pub(in crate::http) async fn revoke(
    state: State,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.require_role(Right::Administer)?;
    let key = state.reader.key(id(&path, WHAT)?).await?.ok_or(Problem::NotFound(WHAT))?;
    if caller.chain().is_some() && key.chain.as_ref() != caller.chain() {
        return Err(Problem::NotFound(WHAT));
    }
    state.engine.revoke_key(key.id).await?;
    state.keys.forget();
    Ok(HttpResponse::NoContent().finish())
}
