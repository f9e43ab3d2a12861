use std::time::Duration;

use super::*;
use crate::domain::ids::SourceId;
use crate::domain::text::Key;
use crate::telemetry::heard::Log;

#[test]
fn a_problem_says_what_where_and_what_to_do() {
    let json: serde_json::Value =
        serde_json::from_str(&Problem::field("data.total", "must not be negative").to_json(Some(7))).unwrap();
    assert_eq!(json["type"], "urn:punchcard:problem:invalid_field");
    assert_eq!(json["status"], 422);
    assert_eq!(json["code"], "invalid_field");
    assert_eq!(json["field"], "data.total");
    assert_eq!(json["detail"], "`data.total`: must not be negative");
    assert_eq!(json["line"], 7);
    assert!(json["action"].as_str().is_some_and(|text| !text.is_empty()));
}

#[test]
fn headers_that_clients_act_on_are_there() {
    let header = |problem: Problem, name: header::HeaderName| {
        problem.error_response().headers().get(name).map(|v| v.to_str().unwrap().to_owned())
    };
    assert!(header(Problem::NoKey, header::WWW_AUTHENTICATE).is_some());
    assert!(header(Problem::BadKey, header::WWW_AUTHENTICATE).is_some_and(|v| v.contains("invalid_token")));
    assert_eq!(header(Problem::Overloaded, header::RETRY_AFTER).as_deref(), Some("1"));
    assert_eq!(header(Problem::InProgress, header::RETRY_AFTER).as_deref(), Some("1"));
    let outdated = Problem::PreconditionFailed { current: 7.into() };
    assert_eq!(header(outdated, header::ETAG).as_deref(), Some("\"7\""));
    assert_eq!(
        header(Problem::MethodNotAllowed { allow: "GET, POST".into() }, header::ALLOW).as_deref(),
        Some("GET, POST")
    );
    assert_eq!(header(Problem::NoRoute, header::CONTENT_TYPE).as_deref(), Some("application/problem+json"));
}

fn undecided() -> EngineError {
    let event = EventRef {
        chain: "harvest".parse().unwrap(),
        source: SourceId::new(ulid::Ulid(7)),
        key: Key::parse("ORD-4713").unwrap(),
    };
    EngineError::Undecided { event: Box::new(event), cause: "the disk is full".into() }
}

#[test]
fn the_log_names_the_event_that_met_a_failure_of_the_store() {
    let log = Log::listen();
    let deadline = Instant::now() + Duration::from_secs(20);
    // Other tests may have used up this second's line.
    while log.line(&["harvest", "src_", "ORD-4713", "the disk is full"]).is_none() {
        assert!(Instant::now() < deadline);
        let _ = Problem::from(undecided());
        std::thread::yield_now();
    }
}

#[test]
fn the_only_server_errors_are_deliberate_503() {
    for error in [
        EngineError::Overloaded,
        EngineError::Draining,
        EngineError::NoRules("a.rhai:1:1: odd".into()),
        EngineError::Unavailable("gone".into()),
        undecided(),
        EngineError::Conflict("x".into()),
        EngineError::NotFound("endpoint"),
        EngineError::KeyReused { key: "k".into() },
    ] {
        let problem = Problem::from(error);
        let status = problem.status_code();
        assert!(status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE, "{problem}");
        assert_eq!(status.is_server_error(), problem.retry_after_s().is_some(), "{problem}");
    }
}

#[test]
fn a_bad_event_names_its_field() {
    let bad = |code, field: &str| BadEvent { code, field: field.into(), problem: "wrong".into() };
    assert_eq!(Problem::from(bad(BadEventCode::InvalidField, "key")).code(), "invalid_field");
    assert_eq!(Problem::from(bad(BadEventCode::InvalidField, "")).code(), "invalid_body");
    assert_eq!(Problem::from(bad(BadEventCode::NotJson, "")).status_code(), 400);
    assert_eq!(Problem::from(bad(BadEventCode::TooLarge, "")).status_code(), 413);
}
