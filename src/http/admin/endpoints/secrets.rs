//! The secrets of an endpoint: another one, and the end of an older one.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{config, known};
use crate::actors::engine::EngineError;
use crate::domain::endpoint::{Bounded, CannotEnd, KeyNumber, Keys};
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::{State, random_bytes};
use crate::read::endpoint::KeyView;

/// For how long two keys may sign side by side: up to 30 days.
type Overlap = Bounded<0, 2_592_000>;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RotateSecret")]
pub(in crate::http) struct Rotate {
    overlap_seconds: Option<Overlap>,
    secret: Option<String>,
}

/// The one answer that shows the new secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RotatedSecret")]
pub(in crate::http) struct RotatedView<'a> {
    secret: &'a str,
    keys: Vec<KeyView>,
}

/// `POST /v1/chains/{chain}/endpoints/{id}/rotate_secret`: another secret signs, beside it the old ones for a while.
pub(in crate::http) async fn rotate_secret(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    let said: Rotate = body.optional_json().await?;
    let secret = config::secret(said.secret.as_deref(), endpoint.dialect)?;
    let overlap = said.overlap_seconds.map(|seconds| Duration::from_secs(seconds.get().into()));
    let overlap = overlap.unwrap_or(Keys::usual_overlap(endpoint.dialect));
    let (shown, seed) = (secret.clone(), random_bytes()?);
    let rotate = move |keys: &mut Keys, now| {
        keys.rotate(secret, seed, now, overlap).map_err(|refused| EngineError::Conflict(refused.to_string()))
    };
    let changed = state.engine.change_keys(&endpoint.chain, endpoint.id, rotate).await?;
    let keys = KeyView::all(&changed.keys, state.engine.clock().now());
    Ok(HttpResponse::Ok().json(RotatedView { secret: shown.reveal(), keys }))
}

/// `DELETE /v1/chains/{chain}/endpoints/{id}/secrets/{key}`: an older key signs nothing any more.
pub(in crate::http) async fn end_key(
    state: State,
    caller: Caller,
    path: web::Path<(String, String, String)>,
) -> Result<HttpResponse, Problem> {
    const WHAT: &str = "key of this endpoint";
    let (chain, endpoint, key) = path.into_inner();
    let endpoint = known(&state, &caller, &(chain, endpoint))?;
    let id: KeyNumber = key.parse().map_err(|_| Problem::NotFound(WHAT))?;
    let end = move |keys: &mut Keys, now| {
        keys.end(id, now).map_err(|refused| match refused {
            CannotEnd::Newest => EngineError::Conflict(refused.to_string()),
            CannotEnd::Unknown => EngineError::NotFound(WHAT),
        })
    };
    state.engine.change_keys(&endpoint.chain, endpoint.id, end).await?;
    Ok(HttpResponse::NoContent().finish())
}
