//! The catalogue of loyalty events.

use actix_web::HttpResponse;
use serde::Serialize;

use crate::domain::loyalty_event::EventType;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::read::page::Page;

#[derive(Serialize)]
struct EventTypeView {
    #[serde(rename = "type")]
    kind: &'static str,
    description: &'static str,
}

/// `GET /v1/event_types`: all of them on one page, without a key.
pub(in crate::http) async fn list(query: Query) -> Result<HttpResponse, Problem> {
    query.finish()?;
    let view =
        |kind: &EventType| EventTypeView { kind: kind.as_str(), description: kind.description().trim() };
    Ok(HttpResponse::Ok().json(Page::whole(EventType::ALL.iter().map(view).collect())))
}
