//! Spans of requests, exported as OTLP over HTTP.
//!
//! The library batches them on a thread of its own, behind a bounded queue: whoever serves a request never waits for a collector,
//! and what does not fit is dropped. What is sent goes through our own client, on another thread.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use awc::Connector;
use awc::http::{Method, StatusCode};
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, TraceState, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, SpanId, TraceFlags, TraceId, trace::Span as _};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use rustls::ClientConfig;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use url::Url;

use crate::domain::Timestamp;
use crate::domain::trace::{self, Trace};

/// A collector must answer within this.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What is left must be gone so long after the end.
const FLUSH: Duration = Duration::from_secs(1);
/// The most bytes of an answer that are read.
const MOST_BYTES: usize = 64 * 1024;
/// Where collectors listen, behind an address without a path.
const PATH: &str = "/v1/traces";

/// Exports spans.
#[derive(Clone)]
pub struct Spans {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// A request that was served.
#[derive(Debug)]
pub struct Served<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path, as it is documented.
    pub route: &'a str,
    /// The status of its answer.
    pub status: u16,
    /// Its id.
    pub id: &'a str,
    /// Where it came from.
    pub client: Option<String>,
    /// When it began.
    pub began: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// The trace that it is part of, and the step before it.
    pub parent: Option<(Trace, trace::SpanId)>,
}

impl Spans {
    /// To a collector at this address.
    ///
    /// # Errors
    /// What the environment says of exporters (`OTEL_…`) cannot be used.
    pub fn export_to(collector: &Url, tls: Arc<ClientConfig>) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Postman::start(tls))
            .with_endpoint(address(collector))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(TIMEOUT)
            .build()?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name("punchcard").with_attribute(version).build();
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
        let tracer = provider.tracer("punchcard");
        Ok(Self { provider, tracer })
    }

    /// Notes a request that was served.
    pub fn note(&self, served: Served<'_>) {
        let parent = served.parent.map_or_else(Context::new, |(trace, span)| {
            let flags = TraceFlags::new(trace.flags());
            let (trace, span) = (TraceId::from_bytes(trace.bytes()), SpanId::from_bytes(span));
            Context::new().with_remote_span_context(SpanContext::new(
                trace,
                span,
                flags,
                true,
                TraceState::NONE,
            ))
        });
        let mut attributes = vec![
            KeyValue::new("http.request.method", served.method.to_owned()),
            KeyValue::new("http.route", served.route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(served.status)),
            KeyValue::new("punchcard.request_id", served.id.to_owned()),
        ];
        attributes.extend(served.client.map(|client| KeyValue::new("client.address", client)));
        let began = SystemTime::from(served.began);
        let mut span = SpanBuilder::from_name(format!("{} {}", served.method, served.route))
            .with_kind(SpanKind::Server)
            .with_start_time(began)
            .with_attributes(attributes)
            .start_with_context(&self.tracer, &parent);
        if served.status >= 500 {
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(began + served.took);
    }

    /// Sends what is left. It takes up to a second, and blocks.
    pub fn finish(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH) {
            tracing::debug!(%error, "the last spans were not exported");
        }
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spans")
    }
}

/// Takes what goes to the collector to the thread that speaks HTTP.
#[derive(Debug)]
struct Postman(mpsc::Sender<Parcel>);

type Parcel = (Request<Bytes>, oneshot::Sender<Result<Response<Bytes>, HttpError>>);

impl Postman {
    fn start(tls: Arc<ClientConfig>) -> Self {
        let (give, take) = mpsc::channel(1);
        std::thread::spawn(move || match actix_rt::Runtime::new() {
            Ok(runtime) => runtime.block_on(deliver(take, tls)),
            Err(error) => tracing::error!(%error, "spans cannot be exported"),
        });
        Self(give)
    }
}

#[async_trait]
impl HttpClient for Postman {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (reply, answer) = oneshot::channel();
        self.0.send((request, reply)).await.map_err(|_| "the exporter has ended")?;
        answer.await?
    }
}

/// Sends parcel by parcel until nobody brings any. That it fails is said once, and that it works again.
async fn deliver(mut parcels: mpsc::Receiver<Parcel>, tls: Arc<ClientConfig>) {
    let connector = Connector::new().rustls_0_23(tls);
    let client = awc::Client::builder().connector(connector).timeout(TIMEOUT).disable_redirects().finish();
    let mut works = true;
    while let Some((request, reply)) = parcels.recv().await {
        let sent = timeout(TIMEOUT, post(&client, request)).await;
        let sent = sent.unwrap_or_else(|_| Err("the collector does not answer".into()));
        let worked =
            std::mem::replace(&mut works, sent.as_ref().is_ok_and(|answer| answer.status().is_success()));
        match &sent {
            _ if works == worked => {}
            Ok(answer) if works => {
                tracing::info!(status = answer.status().as_u16(), "spans are exported again")
            }
            Ok(answer) => {
                tracing::warn!(
                    status = answer.status().as_u16(),
                    "the collector takes no spans; they are dropped"
                );
            }
            Err(error) => tracing::warn!(%error, "the collector cannot be reached; spans are dropped"),
        }
        // Whoever asked may have given up.
        let _ = reply.send(sent);
    }
}

async fn post(client: &awc::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (head, body) = request.into_parts();
    let mut sending = client.request(Method::POST, head.uri.to_string());
    for (name, value) in &head.headers {
        sending = sending.insert_header((name.as_str(), value.as_bytes()));
    }
    // The client's errors stay on its thread.
    let mut answer = sending.send_body(body).await.map_err(|error| error.to_string())?;
    let body = answer.body().limit(MOST_BYTES).await.map_err(|error| error.to_string())?;
    let status: StatusCode = answer.status();
    Ok(Response::builder().status(status.as_u16()).body(body)?)
}

/// Where exactly: the usual path, unless there is another.
fn address(collector: &Url) -> String {
    let mut address = collector.clone();
    if address.path() == "/" {
        address.set_path(PATH);
    }
    address.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_without_a_path_has_the_usual_one() {
        for (given, whole) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("https://otel.example.com/", "https://otel.example.com/v1/traces"),
            ("https://otel.example.com/in/v1/traces", "https://otel.example.com/in/v1/traces"),
        ] {
            assert_eq!(address(&given.parse().unwrap()), whole);
        }
    }
}
