//! One event, one answer.

use std::time::Instant;

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};

use super::{answer_when, count, take};
use crate::actors::engine::Answer;
use crate::domain::receipt::SourceStatus;
use crate::domain::role::Right;
use crate::domain::source_event::{MAX_BYTES, SourceEvent};
use crate::http::AppState;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::problem::Problem;

/// `POST /v1/chains/{chain}/events`
pub(in crate::http) async fn receive(
    state: web::Data<AppState>,
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
    // Before the body is read: a server without room must not spend time on what it will refuse.
    let permit = state.engine.try_admit()?;
    let body = body.bytes(MAX_BYTES).await?;
    let started = Instant::now();
    // White space around an event is no part of it: alone or as a line of a batch, it is the same event.
    let now = state.engine.clock().now();
    let event = SourceEvent::parse(body.trim_ascii(), &chain.chain.currency, now)?;
    take(state, &chain, event, answer_when(request), permit, started).await
}

fn reply(answer: Answer) -> HttpResponse {
    let mut reply = match answer.status {
        SourceStatus::Accepted => HttpResponse::Accepted(),
        _ => HttpResponse::Ok(),
    };
    reply.content_type(ContentType::json()).body(answer.receipt)
}
