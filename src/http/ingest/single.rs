//! One event, one answer.

use std::borrow::Cow;
use std::time::Instant;

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};

use super::{answer_when, count, take};
use crate::actors::engine::Answer;
use crate::domain::receipt::SourceStatus;
use crate::domain::role::Right;
use crate::domain::source_event::{MAX_BYTES, SourceEvent};
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;
use crate::http::{AppState, State, trace};

/// Where a key stands that is not in the body.
pub(in crate::http) const KEY_HEADER: &str = "Idempotency-Key";

/// `POST /v1/chains/{chain}/events`
pub(in crate::http) async fn receive(
    state: State,
    caller: Caller,
    chain: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let outcome = answer(&state, &caller, &chain, &request, body).await;
    count(&state.metrics, &outcome);
    outcome.map(reply)
}

async fn answer(
    state: &AppState,
    caller: &Caller,
    chain: &str,
    request: &HttpRequest,
    body: Body,
) -> Result<Answer, Problem> {
    let chain = state.chain(caller, Right::SendEvents, chain)?;
    if state.engine.is_draining() {
        return Err(Problem::Draining);
    }
    let body = body.bytes(MAX_BYTES).await?;
    // Only now: a body that comes slowly must not hold a place that a whole one could have.
    let permit = state.engine.try_admit()?;
    let started = Instant::now();
    // White space around an event is no part of it: alone or as a line of a batch, it is the same event.
    let now = state.engine.clock().now();
    let event = SourceEvent::parse(body.trim_ascii(), &chain.chain.currency, now)?;
    let event = with_key_of_header(event, request)?.traced(trace::brought(request));
    take(state, &chain, event, answer_when(request), permit, started).await
}

/// Takes the key from `Idempotency-Key` when there is none in the body. The header's draft standard puts it in quotes,
/// most clients do not: both say the same.
pub(in crate::http) fn with_key_of_header(
    event: SourceEvent,
    request: &HttpRequest,
) -> Result<SourceEvent, Problem> {
    let Some(key) = key_of_header(request)? else { return Ok(event) };
    event.or_key(&key).map_err(|why| Problem::field(KEY_HEADER, why))
}

/// What `Idempotency-Key` says, without its quotes.
pub(in crate::http) fn key_of_header(request: &HttpRequest) -> Result<Option<Cow<'_, str>>, Problem> {
    let Some(value) = request.headers().get(KEY_HEADER) else { return Ok(None) };
    let text = str::from_utf8(value.as_bytes()).map_err(|_| Problem::field(KEY_HEADER, "must be UTF-8"))?;
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    Ok(Some(bare.into()))
}

fn reply(answer: Answer) -> HttpResponse {
    let mut reply = match answer.status {
        SourceStatus::Accepted => HttpResponse::Accepted(),
        _ => HttpResponse::Ok(),
    };
    reply.content_type(ContentType::json()).body(answer.receipt)
}
