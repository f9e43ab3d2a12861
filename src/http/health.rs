//! Liveness, readiness, metrics: for machines that watch.

use std::time::Duration;

use actix_web::http::{Method, header};
use actix_web::{HttpResponse, web};

use super::AppState;
use super::problem::Problem;
use super::routes::Routes;
use crate::actors::engine::EngineError;

/// A store that does not answer a trivial read within this is not there.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn configure(service: &mut web::ServiceConfig) {
    Routes::at("/healthz", "GET").on(Method::GET, alive).add(service);
    Routes::at("/readyz", "GET").on(Method::GET, ready).add(service);
    Routes::at("/metrics", "GET").on(Method::GET, metrics).add(service);
}

/// Whether the process serves at all.
async fn alive() -> HttpResponse {
    status("alive")
}

/// Whether it makes sense to send work here.
async fn ready(state: web::Data<AppState>) -> Result<HttpResponse, Problem> {
    // Being busy is no reason to be taken out of service: the next node would be busier still.
    if let Err(EngineError::Draining) = state.engine.try_admit() {
        return Err(Problem::Draining);
    }
    let answer = tokio::time::timeout(PING_TIMEOUT, state.reader.ping()).await;
    answer.map_err(|_| Problem::Unavailable)??;
    Ok(status("ready"))
}

async fn metrics(state: web::Data<AppState>) -> HttpResponse {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, OPEN_METRICS)).body(state.metrics.encode())
}

fn status(word: &'static str) -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": word }))
}
