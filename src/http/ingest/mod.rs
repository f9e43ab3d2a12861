//! Source events in, receipts out.

mod answers;
mod array;
pub(super) mod batch;
mod lines;
pub(super) mod single;
pub(super) mod splitter;

use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use tokio::sync::OwnedSemaphorePermit;

use super::AppState;
use super::problem::Problem;
use crate::actors::engine::{Answer, AnswerWhen};
use crate::actors::snapshot::ChainSnapshot;
use crate::domain::source_event::{SourceEvent, SourceType};
use crate::telemetry::{IngestLabels, Metrics};

/// What the caller asks of the answer, from `Prefer` (RFC 7240); unknown preferences are ignored, as it demands.
fn answer_when(request: &HttpRequest) -> AnswerWhen {
    const PREFER: HeaderName = HeaderName::from_static("prefer");
    let asks = |value: &str| {
        value.split([',', ';']).any(|preference| preference.trim().eq_ignore_ascii_case("respond-async"))
    };
    let values = request.headers().get_all(PREFER);
    if values.filter_map(|value| value.to_str().ok()).any(asks) {
        AnswerWhen::Kept
    } else {
        AnswerWhen::Decided
    }
}

/// The same event, if anybody may send it.
pub(super) fn from_outside(event: SourceEvent) -> Result<SourceEvent, Problem> {
    if let SourceType::Command(command) = event.kind() {
        let problem = format!("`{}` is not sent as an event: it has a route of its own", command.as_str());
        return Err(Problem::field("type", problem));
    }
    Ok(event.from_outside()?)
}

/// Takes a parsed event through the engine. The permit is given back with the answer; `started` is when its bytes were
/// there.
async fn take(
    state: &AppState,
    chain: &ChainSnapshot,
    event: SourceEvent,
    when: AnswerWhen,
    permit: OwnedSemaphorePermit,
    started: Instant,
) -> Result<Answer, Problem> {
    let event = from_outside(event)?;
    let inside = Inside::enter(&state.metrics);
    let answer = state.engine.ingest(&chain.chain.id, event, when).await;
    drop((inside, permit));
    state.metrics.ingest_seconds.observe(started.elapsed().as_secs_f64());
    Ok(answer?)
}

/// Counts what became of an event.
fn count(metrics: &Metrics, outcome: &Result<Answer, Problem>) {
    let outcome = match outcome {
        Ok(answer) if answer.duplicate => "duplicate",
        Ok(answer) => answer.status.as_str(),
        Err(problem) if problem.is_shed() => "shed",
        Err(_) => "refused",
    };
    metrics.ingested.get_or_create(&IngestLabels { outcome }).inc();
}

/// One event inside the engine, for as long as this lives.
struct Inside<'a>(&'a Metrics);

impl<'a> Inside<'a> {
    fn enter(metrics: &'a Metrics) -> Self {
        metrics.in_flight.inc();
        Self(metrics)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.in_flight.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn an_early_answer_is_given_only_on_request() {
        for (prefer, when) in [
            ("respond-async", AnswerWhen::Kept),
            ("wait=10, Respond-Async; x=1", AnswerWhen::Kept),
            ("return=minimal", AnswerWhen::Decided),
            ("respond-asynchronously", AnswerWhen::Decided),
        ] {
            let request = TestRequest::default().insert_header(("prefer", prefer)).to_http_request();
            assert_eq!(answer_when(&request), when, "{prefer}");
        }
        assert_eq!(answer_when(&TestRequest::default().to_http_request()), AnswerWhen::Decided);
    }
}
