//! Sending again what an endpoint missed.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::{HttpResponse, web};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::known;
use crate::domain::Timestamp;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::RecoveryId;
use crate::domain::json::from_text;
use crate::domain::once::Reply;
use crate::domain::recovery::{Period, Recovery, Which};
use crate::http::admin::{Nothing, found, id};
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::once::Create;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::{AppState, State};
use crate::read::recovery::{Foreseen, RecoveryView};

const RECOVERY: &str = "recovery";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewRecovery")]
pub(in crate::http) struct Wanted {
    #[serde(deserialize_with = "instant")]
    since: Timestamp,
    #[serde(default, deserialize_with = "later")]
    until: Option<Timestamp>,
    #[serde(default, deserialize_with = "which")]
    status: Which,
    #[serde(default)]
    dry_run: bool,
}

/// What is answered, for the document: a recovery, or what one would come to.
pub(in crate::http) struct Begun;

impl JsonSchema for Begun {
    fn schema_name() -> Cow<'static, str> {
        "BegunRecovery".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let any_of = [generator.subschema_for::<RecoveryView>(), generator.subschema_for::<Foreseen>()];
        json_schema!({ "anyOf": any_of })
    }
}

fn instant<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    from_text(deserializer, "an instant such as 2026-03-03T18:30:00Z")
}

fn later<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    instant(deserializer).map(Some)
}

fn which<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Which, D::Error> {
    from_text(deserializer, "`failed`, `unsent` or `all`")
}

/// `POST /v1/chains/{chain}/endpoints/{id}/recover`
pub(in crate::http) async fn begin(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    new: Create,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    new.once(&caller, async |Wanted { since, until, status: which, dry_run }, once| {
        let now = state.engine.clock().now();
        let period = Period::new(since, until, now)
            .ok_or_else(|| Problem::field("since", "must be before `until`, and not to come"))?;
        let (chain, id) = (&endpoint.chain, endpoint.id);
        if dry_run {
            let counts = state.engine.foresee_recovery(chain, id, which, period).await?;
            return Ok(Reply::done(&Foreseen::new(id, which, period, counts)));
        }
        let reply = |begun: &Recovery| Reply::done(&RecoveryView::from(begun.clone()));
        let (by, once) = (caller.name().clone(), once.replying(reply));
        Ok(reply(&state.engine.begin_recovery(chain, id, (which, period), by, once).await?))
    })
    .await
}

/// `GET /v1/chains/{chain}/endpoints/{id}/recoveries`: newest first.
pub(in crate::http) async fn list(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    mut query: Query,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    let wanted = query.page()?;
    query.finish()?;
    let page = state.reader.recoveries(endpoint.chain.clone(), endpoint.id, wanted).await?;
    Ok(HttpResponse::Ok().json(page))
}

/// `GET /v1/chains/{chain}/endpoints/{id}/recoveries/{recovery}`
pub(in crate::http) async fn get(
    state: State,
    caller: Caller,
    path: web::Path<(String, String, String)>,
) -> Result<HttpResponse, Problem> {
    let (endpoint, recovery) = named(&state, &caller, &path)?;
    found(state.reader.recovery(endpoint.chain.clone(), endpoint.id, recovery).await?, RECOVERY)
}

/// `POST /v1/chains/{chain}/endpoints/{id}/recoveries/{recovery}/stop`: what was sent is sent; one that has ended stays
/// as it is.
pub(in crate::http) async fn stop(
    state: State,
    caller: Caller,
    path: web::Path<(String, String, String)>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let (endpoint, recovery) = named(&state, &caller, &path)?;
    let Nothing {} = body.optional_json().await?;
    let stopped = state.engine.stop_recovery(&endpoint.chain, endpoint.id, recovery).await?;
    Ok(HttpResponse::Ok().json(RecoveryView::from(stopped)))
}

/// The endpoint and the recovery that a path names, for somebody who may change them.
fn named(
    state: &AppState,
    caller: &Caller,
    (chain, endpoint, recovery): &(String, String, String),
) -> Result<(Arc<Endpoint>, RecoveryId), Problem> {
    let endpoint = known(state, caller, &(chain.clone(), endpoint.clone()))?;
    Ok((endpoint, id(recovery, RECOVERY)?))
}
