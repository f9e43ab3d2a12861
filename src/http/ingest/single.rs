//! One event, one answer.

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};

use super::{answer_when, count, take};
use crate::actors::engine::Answer;
use crate::domain::receipt::SourceStatus;
use crate::domain::role::Right;
use crate::domain::source_event::{MAX_BYTES, SourceEvent};
use crate::http::AppState;
use crate::http::auth::Caller;
use crate::http::body;
use crate::http::problem::Problem;

/// `POST /v1/chains/{chain}/events`
pub(in crate::http) async fn receive(
    state: web::Data<AppState>,
    caller: Caller,
    chain: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let outcome = answer(&state, &caller, &chain, &request, payload).await;
    count(&state.metrics, &outcome);
    outcome.map(reply)
}

async fn answer(
    state: &AppState,
    caller: &Caller,
    chain: &str,
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Answer, Problem> {
    let chain = state.chain(caller, Right::SendEvents, chain)?;
    // Before the body is read: a server without room must not spend time on what it will refuse.
    let permit = state.engine.try_admit()?;
    let body = body::read(request, &mut payload.into_inner(), MAX_BYTES).await?;
    // White space around an event is no part of it: alone or as a line of a batch, it is the same event.
    let now = state.engine.clock().now();
    let event = SourceEvent::parse(body.trim_ascii(), &chain.chain.currency, now)?;
    take(state, &chain, event, answer_when(request), permit).await
}

fn reply(answer: Answer) -> HttpResponse {
    let mut reply = match answer.status {
        SourceStatus::Accepted => HttpResponse::Accepted(),
        _ => HttpResponse::Ok(),
    };
    reply.content_type(ContentType::json()).body(answer.receipt)
}
