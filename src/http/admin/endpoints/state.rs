//! Whether deliveries leave: enable, disable, pause.

use actix_web::{HttpResponse, web};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{known, show};
use crate::domain::Timestamp;
use crate::domain::text::Note;
use crate::http::State;
use crate::http::admin::Nothing;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::conditional::IfMatch;
use crate::http::problem::Problem;

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DisableEndpoint")]
pub(in crate::http) struct Disable {
    #[serde(default)]
    reason: Option<Note>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PauseEndpoint")]
pub(in crate::http) struct Pause {
    #[serde(default)]
    until: Option<Timestamp>,
}

/// `POST /v1/chains/{chain}/endpoints/{id}/enable`: what waits leaves, and what its receiver did before does not count.
pub(in crate::http) async fn enable(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    expected: IfMatch,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    let expected = expected.wanted()?;
    let Nothing {} = body.optional_json().await?;
    show(&state, &*state.engine.enable_endpoint(&endpoint.chain, endpoint.id, expected).await?).await
}

/// `POST /v1/chains/{chain}/endpoints/{id}/disable`: deliveries wait until it is enabled again.
pub(in crate::http) async fn disable(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    expected: IfMatch,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    let expected = expected.wanted()?;
    let Disable { reason } = body.optional_json().await?;
    let by_hand = Note::parse("disabled by hand").map_err(|error| Problem::field("reason", error))?;
    let reason = reason.unwrap_or(by_hand);
    let disabled = state.engine.disable_endpoint(&endpoint.chain, endpoint.id, expected, reason).await?;
    show(&state, &disabled).await
}

/// `POST /v1/chains/{chain}/endpoints/{id}/pause`: deliveries wait until then, or until it is enabled.
pub(in crate::http) async fn pause(
    state: State,
    caller: Caller,
    path: web::Path<(String, String)>,
    expected: IfMatch,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let endpoint = known(&state, &caller, &path)?;
    let expected = expected.wanted()?;
    let Pause { until } = body.optional_json().await?;
    if until.is_some_and(|until| until <= state.engine.clock().now()) {
        return Err(Problem::field("until", "must be in the future"));
    }
    let paused = state.engine.pause_endpoint(&endpoint.chain, endpoint.id, expected, until).await?;
    show(&state, &paused).await
}
