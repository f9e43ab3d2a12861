//! The process itself: whether it is well, what it counts, its clock, and what it can do.

use serde_json::json;

use super::{Group, at};
use crate::domain::role::Right;
use crate::http::admin::event_types::{self, EventTypeView};
use crate::http::clock::{self, Advance, ClockView};
use crate::http::health::{self, StatusView};
use crate::http::openapi::{self, op};
use crate::read::page::Page;

pub(super) fn group() -> Group {
    Group {
        name: "Process",
        about: "Whether the process is well, what it counts, its clock, and what it can do.",
        routes: vec![
            at("/healthz").get(
                health::alive,
                op("get_health", "Whether the process serves at all")
                    .always()
                    .answers::<StatusView>(200, "It does."),
            ),
            at("/readyz").get(
                health::ready,
                op("get_readiness", "Whether it makes sense to send work here")
                    .about("503 while the process starts, shuts down, or cannot reach its store.")
                    .answers::<StatusView>(200, "It does.")
                    .fails(503, &["draining"]),
            ),
            at("/metrics").get(
                health::metrics,
                op("get_metrics", "What is counted and measured, for Prometheus").answers_text(
                    200,
                    "text/plain; version=0.0.4; charset=utf-8",
                    "The text format of Prometheus.",
                ),
            ),
            at("/openapi.json").get(
                openapi::get,
                op("get_openapi", "This document")
                    .about("`If-None-Match` with the `ETag` of the last answer is answered 304 while nothing is new.")
                    .always()
                    .header::<String>("If-None-Match", "The `ETag` of the document that you have.", "\"8c6f7a5b0d1e2f34\"")
                    .answers_json_with_etag("The document: OpenAPI 3.1.")
                    .answers_nothing(304, "It is the one that you have."),
            ),
            at("/reference").get(
                openapi::reference,
                op("get_reference", "This document as a page for people")
                    .always()
                    .answers_text(200, "text/html; charset=utf-8", "The page, without scripts."),
            ),
            at("/v1/event_types").get(
                event_types::list,
                op("list_event_types", "The catalogue of loyalty events")
                    .about(
                        "Each type with its description, its JSON Schema, an example, and its name in every dialect. \
                         All of them on one page.",
                    )
                    .always()
                    .answers::<Page<EventTypeView>>(200, "All types."),
            ),
            at("/v1/clock")
                .get(
                    clock::show,
                    op("get_clock", "The engine's clock")
                        .needs(Right::View)
                        .answers::<ClockView>(200, "What it shows."),
                )
                .post(
                    clock::advance,
                    op("advance_clock", "Move a test clock")
                        .about(
                            "For servers that were started with `--test-clock`. Answers when everything that falls due \
                             in between is done.",
                        )
                        .needs_everywhere(Right::Administer)
                        .takes::<Advance>(json!({ "advance_ms": 60_000 }))
                        .answers::<ClockView>(200, "What it shows then.")
                        .refuses(&["not_a_test_clock", "conflict"]),
                ),
        ],
    }
}
