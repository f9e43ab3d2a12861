//! How long requests take, by route. Which route it was is told by the route itself: to find out anew would cost more than
//! some of them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use actix_web::dev::ServiceResponse;
use actix_web::http::Method;

use super::Door;
use super::routes::Pattern;
use crate::telemetry::RequestLabels;

/// Counts a request that is being answered. While the engine starts there is nothing to count with.
pub(super) fn note<B>(door: &Door, answer: &ServiceResponse<B>, took: Duration) {
    static NONE: LazyLock<Arc<String>> = LazyLock::new(|| Arc::new("none".to_owned()));
    let Some(metrics) = door.metrics() else { return };
    let pattern = answer.request().app_data::<Pattern>().map_or(&*NONE, |pattern| &pattern.0);
    let labels = RequestLabels {
        method: method(answer.request().method()),
        route: Arc::clone(pattern),
        status: class(answer.status().as_u16()),
    };
    metrics.http_request_seconds.get_or_create(&labels).observe(took.as_secs_f64());
}

/// Strangers make up methods, and each would be a series of its own.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn class(status: u16) -> &'static str {
    match status {
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        _ => "1xx",
    }
}
