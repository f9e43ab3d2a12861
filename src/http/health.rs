//! Liveness, readiness, metrics: for machines that watch.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use schemars::JsonSchema;
use serde::Serialize;

use super::State;
use super::problem::Problem;

/// A store that does not answer a trivial read within this is not there.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// How the process is, in a word.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProcessStatus")]
pub(super) struct StatusView {
    /// `alive` or `ready`.
    status: &'static str,
}

/// `GET /healthz`: whether the process serves at all.
pub(super) async fn alive() -> HttpResponse {
    status("alive")
}

/// `GET /readyz`: whether it makes sense to send work here.
pub(super) async fn ready(state: State) -> Result<HttpResponse, Problem> {
    if state.engine.is_draining() {
        return Err(Problem::Draining);
    }
    let answer = tokio::time::timeout(PING_TIMEOUT, state.reader.ping()).await;
    answer.map_err(|_| Problem::Unavailable)??;
    Ok(status("ready"))
}

/// `GET /metrics`: Prometheus text, which every scraper reads.
pub(super) async fn metrics(state: State) -> HttpResponse {
    const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
    state.engine.bring_metrics_up_to_date();
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, PROMETHEUS)).body(state.metrics.encode())
}

fn status(word: &'static str) -> HttpResponse {
    HttpResponse::Ok().json(StatusView { status: word })
}
