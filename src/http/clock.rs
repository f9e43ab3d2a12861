//! The engine's clock, for tests that cannot wait two hours for a retry.

use actix_web::HttpResponse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::State;
use super::auth::Caller;
use super::body::Body;
use super::problem::Problem;
use crate::domain::Timestamp;
use crate::domain::role::Right;

/// The furthest that one request moves the clock: ten years, in milliseconds.
const MAX_ADVANCE_MS: i64 = 10 * 366 * 86_400_000;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Advance {
    /// Milliseconds.
    advance_ms: i64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Clock")]
pub(in crate::http) struct ClockView {
    now: Timestamp,
    /// Whether it stands still until it is moved.
    test: bool,
}

/// `GET /v1/clock`
pub(super) async fn show(state: State, caller: Caller) -> Result<HttpResponse, Problem> {
    caller.require_role(Right::View)?;
    let clock = state.engine.clock();
    Ok(HttpResponse::Ok().json(ClockView { now: clock.now(), test: clock.is_test() }))
}

/// `POST /v1/clock`: answers when everything that falls due in between is done.
pub(super) async fn advance(state: State, caller: Caller, body: Body) -> Result<HttpResponse, Problem> {
    caller.require_everywhere(Right::Administer)?;
    if !state.engine.clock().is_test() {
        return Err(Problem::NotATestClock);
    }
    let Advance { advance_ms } = body.json().await?;
    if !(0..=MAX_ADVANCE_MS).contains(&advance_ms) {
        let wanted = format!("must be a whole number of milliseconds from 0 to {MAX_ADVANCE_MS}");
        return Err(Problem::field("advance_ms", wanted));
    }
    let now = state.engine.advance_clock(chrono::Duration::milliseconds(advance_ms)).await?;
    Ok(HttpResponse::Ok().json(ClockView { now, test: true }))
}
