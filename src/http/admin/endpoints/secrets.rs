//! The secrets of an endpoint: another one, and the end of an older one.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{config, known};
use crate::actors::engine::EngineError;
use crate::actors::once::Once;
use crate::domain::endpoint::{Bounded, CannotEnd, Endpoint, KeyNumber, Keys};
use crate::domain::once::Reply;
use crate::http::auth::Caller;
use crate::http::conditional::IfMatch;
use crate::http::once::Create;
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
    expected: IfMatch,
    new: Create,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    let expected = expected.wanted()?;
    new.or_empty()
        .once(&caller, async |said: Rotate, once| {
            let rotate = move |keys: &mut Keys, dialect, now| {
                let secret = config::secret(said.secret.as_deref(), dialect)?;
                let overlap = said.overlap_seconds.map(|seconds| Duration::from_secs(seconds.get().into()));
                let overlap = overlap.unwrap_or(Keys::usual_overlap(dialect));
                let rotated = keys.rotate(secret, random_bytes()?, now, overlap);
                rotated.map_err(|refused| Problem::Conflict(refused.to_string()))
            };
            let (chain, id) = (&endpoint.chain, endpoint.id);
            let reply = once.replying(rotated);
            Ok(rotated(&*state.engine.change_keys(chain, id, expected, rotate, reply).await?))
        })
        .await
}

/// The newest secret of an endpoint that was changed just now.
fn rotated(endpoint: &Endpoint) -> Reply {
    let keys = KeyView::all(&endpoint.keys, endpoint.updated_at);
    Reply::done(&RotatedView { secret: endpoint.keys.newest().secret.reveal(), keys }).tagged(&endpoint.tag())
}

/// `DELETE /v1/chains/{chain}/endpoints/{id}/secrets/{key}`: an older key signs nothing any more.
pub(in crate::http) async fn end_key(
    state: State,
    caller: Caller,
    path: web::Path<(String, String, String)>,
    expected: IfMatch,
) -> Result<HttpResponse, Problem> {
    const WHAT: &str = "key of this endpoint";
    let (chain, endpoint, key) = path.into_inner();
    let endpoint = known(&state, &caller, &(chain, endpoint))?;
    let id: KeyNumber = key.parse().map_err(|_| Problem::NotFound(WHAT))?;
    let end = move |keys: &mut Keys, _, now| {
        keys.end(id, now).map_err(|refused| match refused {
            CannotEnd::Newest => EngineError::Conflict(refused.to_string()),
            CannotEnd::Unknown => EngineError::NotFound(WHAT),
        })
    };
    let expected = expected.wanted()?;
    state.engine.change_keys(&endpoint.chain, endpoint.id, expected, end, Once::default()).await?;
    Ok(HttpResponse::NoContent().finish())
}
