//! API keys.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{clearable, id};
use crate::clock::fresh_ulid;
use crate::domain::Timestamp;
use crate::domain::allowance::RequestsPerMinute;
use crate::domain::api_key::{ApiKey, Dead, KeyText};
use crate::domain::chain::ChainId;
use crate::domain::endpoint::Bounded;
use crate::domain::ids::KeyId;
use crate::domain::once::Reply;
use crate::domain::role::{Right, Role};
use crate::domain::text::Name;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::once::Create;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{AppState, State, random_bytes};
use crate::read::api_key::KeyView;

const WHAT: &str = "key";

/// For how long two texts of a key may work side by side: up to 30 days.
type Overlap = Bounded<0, 2_592_000>;
/// For how long they do when nobody says.
const USUAL_OVERLAP: Overlap = Overlap::of(24 * 3_600);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct NewKey {
    role: String,
    #[serde(default)]
    chain: Option<ChainId>,
    #[serde(default)]
    name: Option<Name>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    #[serde(default)]
    requests_per_minute: Option<RequestsPerMinute>,
}

/// What is not said stays as it is, `null` clears.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "ApiKeyChange")]
#[serde(default, deny_unknown_fields)]
pub(in crate::http) struct KeyPatch {
    #[serde(deserialize_with = "clearable")]
    #[schemars(with = "Option<Name>")]
    name: Option<Option<Name>>,
    #[serde(deserialize_with = "clearable")]
    #[schemars(with = "Option<Timestamp>")]
    expires_at: Option<Option<Timestamp>>,
    #[serde(deserialize_with = "clearable")]
    #[schemars(with = "Option<RequestsPerMinute>")]
    requests_per_minute: Option<Option<RequestsPerMinute>>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "RotateApiKey")]
#[serde(default, deny_unknown_fields)]
pub(in crate::http) struct Rotate {
    /// For how long the texts before it work beside the new one; a day, if nobody says.
    overlap_seconds: Option<Overlap>,
}

/// The one answer that shows the key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewApiKey")]
pub(in crate::http) struct NewKeyView<'a> {
    #[serde(flatten)]
    view: KeyView,
    key: &'a str,
}

/// The one answer that shows the new text.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RotatedApiKey")]
pub(in crate::http) struct RotatedView<'a> {
    #[serde(flatten)]
    view: KeyView,
    key: &'a str,
    /// Until when the texts before it work; `null` = not any more.
    older_until: Option<Timestamp>,
}

/// `POST /v1/keys`
pub(in crate::http) async fn create(
    state: State,
    caller: Caller,
    new: Create,
) -> Result<HttpResponse, Problem> {
    caller.require_role(Right::Administer)?;
    new.once(&caller, async |new: NewKey, once| {
        let text = KeyText::of(&random_bytes()?);
        let key = made(&state, &caller, new)?;
        let view = KeyView::from(key.clone());
        let reply = Reply::created(format!("/v1/keys/{}", view.id), &NewKeyView { view, key: text.reveal() });
        let kept = reply.clone();
        state.engine.create_key(key, text.hash(), once.replying(move |_| kept.clone()), caller.by()).await?;
        Ok(reply)
    })
    .await
}

/// The key that is asked for, if the caller may make it.
fn made(state: &AppState, caller: &Caller, new: NewKey) -> Result<ApiKey, Problem> {
    let NewKey { role, chain, name, expires_at, requests_per_minute } = new;
    let role: Role = role.parse().map_err(|error| Problem::field("role", error))?;
    check_chain(state, caller, chain.as_ref())?;
    check_end(state, expires_at)?;
    // Whoever has a limit gives it on.
    let requests_per_minute = match requests_per_minute {
        None => caller.own_limit(),
        asked => check_limit(caller, asked)?,
    };
    let now = state.engine.clock().now();
    Ok(ApiKey {
        id: KeyId::new(fresh_ulid(now)),
        role,
        chain,
        name,
        created_at: now,
        created_by: caller.name().clone(),
        expires_at,
        revoked_at: None,
        last_used_at: None,
        requests_per_minute,
    })
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

fn check_end(state: &AppState, expires_at: Option<Timestamp>) -> Result<(), Problem> {
    let Some(at) = expires_at else { return Ok(()) };
    let now = state.engine.clock().now();
    ApiKey::check_end(at, now).map_err(|bad| Problem::field("expires_at", bad.to_string()))
}

/// The limit that is asked for, if the caller may give it: none lifts their own.
fn check_limit(
    caller: &Caller,
    asked: Option<RequestsPerMinute>,
) -> Result<Option<RequestsPerMinute>, Problem> {
    let refused = |problem: String| Err(Problem::field("requests_per_minute", problem));
    match (caller.chain(), caller.own_limit()) {
        (Some(_), _) => refused("is set with a key for all chains".to_owned()),
        (None, Some(own)) if asked.is_none_or(|asked| asked > own) => {
            refused(format!("must be at most {}: this key has no more itself", own.get()))
        }
        (None, _) => Ok(asked),
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

/// `GET /v1/keys/{id}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(known(&state, &caller, &path).await?))
}

/// `PATCH /v1/keys/{id}`
pub(in crate::http) async fn patch(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let key = known(&state, &caller, &path).await?;
    let KeyPatch { name, expires_at, requests_per_minute } = body.json().await?;
    check_end(&state, expires_at.flatten())?;
    if let Some(asked) = requests_per_minute {
        check_limit(&caller, asked)?;
    }
    let change = move |key: &mut ApiKey| {
        if key.revoked_at.is_some() {
            return Err(Dead::Revoked); // one that has expired may be given more time
        }
        key.name = name.unwrap_or_else(|| key.name.take());
        key.expires_at = expires_at.unwrap_or(key.expires_at);
        key.requests_per_minute = requests_per_minute.unwrap_or(key.requests_per_minute);
        Ok(())
    };
    let changed = state.engine.change_key(key.id, state.keys.way_in(), change, caller.by()).await?;
    state.keys.forget();
    Ok(HttpResponse::Ok().json(KeyView::from(changed)))
}

/// `POST /v1/keys/{id}/rotate`: another text of the same key; those before it work for a while.
pub(in crate::http) async fn rotate(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    new: Create,
) -> Result<HttpResponse, Problem> {
    let key = known(&state, &caller, &path).await?;
    new.or_empty()
        .once(&caller, async |Rotate { overlap_seconds }, _| {
            let overlap = Duration::from_secs(overlap_seconds.unwrap_or(USUAL_OVERLAP).get().into());
            let text = KeyText::of(&random_bytes()?);
            let (rotated, now) = state.engine.rotate_key(key.id, text.hash(), overlap, caller.by()).await?;
            state.keys.forget();
            let older_until = (!overlap.is_zero()).then(|| now + overlap);
            Ok(Reply::done(&RotatedView { view: rotated.into(), key: text.reveal(), older_until }))
        })
        .await
}

/// `DELETE /v1/keys/{id}`: the key is useless from now on; other processes notice within two seconds.
pub(in crate::http) async fn revoke(
    state: State,
    caller: Caller,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let key = known(&state, &caller, &path).await?;
    state.engine.revoke_key(key.id, state.keys.way_in(), caller.by()).await?;
    state.keys.forget();
    Ok(HttpResponse::NoContent().finish())
}

/// The key that a path names. To a key of one chain, others than those of its chain do not exist.
async fn known(state: &AppState, caller: &Caller, path: &str) -> Result<KeyView, Problem> {
    caller.require_role(Right::Administer)?;
    state.reader.key(caller.chain().cloned(), id(path, WHAT)?).await?.ok_or(Problem::NotFound(WHAT))
}
