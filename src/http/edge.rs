//! What happens to every request before and after its handler.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError, web};
use tracing::field::{Empty, display};
use tracing::{Instrument, Level, Span};

use super::problem::Problem;
use super::request_id::{REQUEST_ID, RequestId};
use super::server::Exposure;
use super::server::line::Pulse;
use super::{Door, client, limits, measured, trace};
use crate::domain::Timestamp;
use crate::domain::allowance::Standing;
use crate::domain::trace::{SpanId, Trace};
use crate::telemetry::Served;

/// What every answer says, whatever it is about.
const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    // Answers are about people and secrets: nothing on the way should keep them.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    // What is no page must not be made one, nor be part of one of others.
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];
/// What an answer may load and who may show it: nothing and nobody. A page says what it needs.
const NO_PAGE: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Who has come by TLS is to come by TLS for a year.
const ONLY_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000");
/// Routes whose requests are no news to a collector.
const WATCHERS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
/// Pages of origins that may talk to us may read all headers.
const ALL_HEADERS: HeaderValue = HeaderValue::from_static("*");

/// Gives the request its id and its span, refuses what no route takes, and puts on the answer what every answer has.
pub(super) async fn every_request(
    door: web::Data<Door>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let under_way = request.request().conn_data::<Rc<Pulse>>().map(Pulse::begin);
    let now = door.clock().now();
    let id = RequestId::of(request.headers(), u64::try_from(now.timestamp_millis()).unwrap_or_default());
    let began = Began {
        now,
        instant: Instant::now(),
        client: client::address(request.request()),
        parent: trace::of(request.headers()),
    };
    let span = began.span(&id, &request);
    let mut answer = match acceptable(request.headers()) {
        Ok(()) => next.call(request).instrument(span.clone()).await?.map_into_boxed_body(),
        Err(problem) => {
            let mut refusal = problem.error_response();
            // The body of such a request may never end, so that no other request can follow it.
            refusal.head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
            request.into_response(refusal)
        }
    };
    measured::note(&door, &answer, began.instant.elapsed());
    span.in_scope(|| began.note(&id, &answer));
    answer.headers_mut().insert(REQUEST_ID, id.into_header());
    let standing = answer.request().extensions().get::<Standing>().copied();
    if let Some(standing) = standing {
        limits::tell(standing, answer.headers_mut());
    }
    protect(&mut answer);
    Ok(match under_way {
        Some(under_way) => answer.map_body(|_, body| under_way.until_sent(body)),
        None => answer,
    })
}

/// What is known of a request before it is handled.
struct Began {
    now: Timestamp,
    instant: Instant,
    client: Option<IpAddr>,
    /// The trace that it is part of, and the step before it.
    parent: Option<(Trace, SpanId)>,
}

impl Began {
    /// What log lines say of it. A path names people, so it is not there.
    fn span(&self, id: &RequestId, request: &ServiceRequest) -> Span {
        let client = self.client.map(display);
        let trace = self.parent.as_ref().map(|(trace, _)| display(trace.id()));
        tracing::info_span!("request", id = %id, method = %request.method(), client, trace, key = Empty)
    }

    /// A line for each request, of its own target, and a span for the collector. What failed on our side is said louder.
    fn note<B>(self, id: &RequestId, answer: &ServiceResponse<B>) {
        let (request, status, took) = (answer.request(), answer.status().as_u16(), self.instant.elapsed());
        let spans = request.app_data::<web::Data<Exposure>>().and_then(|exposure| exposure.spans.as_ref());
        let failed = status == 500;
        let is_told = failed || tracing::enabled!(target: "punchcard::requests", Level::DEBUG);
        if !is_told && spans.is_none() {
            return;
        }
        let route = request.match_pattern();
        let route = route.as_deref().unwrap_or("(none)");
        let ms = took.as_millis() as u64;
        match failed {
            true => tracing::error!(target: "punchcard::requests", route, status, ms, "answered"),
            false => tracing::debug!(target: "punchcard::requests", route, status, ms, "answered"),
        }
        // Who looks whether we are well does so all the time.
        if let Some(spans) = spans.filter(|_| !WATCHERS.contains(&route)) {
            spans.note(Served {
                method: request.method().as_str(),
                route,
                status,
                id: &id.to_string(),
                client: self.client.map(|client| client.to_string()),
                began: self.now,
                took,
                parent: self.parent,
            });
        }
    }
}

/// The headers that browsers obey.
fn protect(answer: &mut ServiceResponse<BoxBody>) {
    let exposure = answer.request().app_data::<web::Data<Exposure>>();
    let is_tls = exposure.is_some_and(|exposure| exposure.certificate.is_some());
    let headers = answer.headers_mut();
    for (name, value) in ALWAYS {
        headers.insert(name, value);
    }
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        headers.insert(header::CONTENT_SECURITY_POLICY, NO_PAGE);
    }
    if is_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, ONLY_TLS);
    }
    if headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ALL_HEADERS);
    }
}

/// Refuses requests whose body would never end, or would not be what it seems.
fn acceptable(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.contains_key(header::UPGRADE) {
        return Err(Problem::UpgradeRefused);
    }
    let coded = headers.get_all(header::CONTENT_ENCODING).any(|coding| coding != "identity");
    if coded { Err(Problem::ContentEncoding) } else { Ok(()) }
}
