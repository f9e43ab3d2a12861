//! What happens to every request before and after its handler.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, ResponseError, web};
use tracing::Instrument;

use super::Door;
use super::problem::Problem;
use super::request_id::{REQUEST_ID, RequestId};

/// Gives the request its id and its span, refuses what no route takes, and puts the id on the answer.
pub(super) async fn every_request(
    door: web::Data<Door>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let now_ms = u64::try_from(door.clock().now().timestamp_millis()).unwrap_or_default();
    let id = RequestId::of(request.headers(), now_ms);
    request.extensions_mut().insert(id.clone());
    let span = tracing::info_span!("request", id = %id, method = %request.method(), path = request.path());
    let mut answer = match acceptable(request.headers()) {
        Ok(()) => next.call(request).instrument(span.clone()).await?.map_into_boxed_body(),
        Err(problem) => {
            let mut refusal = problem.error_response();
            // The body of such a request may never end, so that no other request can follow it.
            refusal.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
            request.into_response(refusal)
        }
    };
    span.in_scope(|| tracing::debug!(status = answer.status().as_u16(), "answered"));
    answer.headers_mut().insert(REQUEST_ID, id.into_header());
    // Answers are about people and secrets: nothing on the way should keep them.
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

/// Refuses requests whose body would never end, or would not be what it seems.
fn acceptable(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::UPGRADE) {
        return Err(Problem::UpgradeRefused);
    }
    let coded = headers.get_all(header::CONTENT_ENCODING).any(|coding| coding != "identity");
    if coded { Err(Problem::ContentEncoding) } else { Ok(()) }
}
