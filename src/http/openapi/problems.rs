//! The problems that operations answer: those that follow of what an operation is, and those that it names itself.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::{Method, StatusCode};

use super::operation::{Needs, Operation};
use super::path;

/// The codes of the problems that an operation may answer, by status.
pub(super) fn of(
    path: &str,
    method: &Method,
    operation: &Operation,
) -> BTreeMap<u16, BTreeSet<&'static str>> {
    let mut problems = BTreeMap::<u16, BTreeSet<_>>::new();
    let mut may = |status: StatusCode, codes: &[&'static str]| {
        problems.entry(status.as_u16()).or_default().extend(codes.iter().copied());
    };
    may(StatusCode::BAD_REQUEST, &["upgrade_refused"]);
    may(StatusCode::UNSUPPORTED_MEDIA_TYPE, &["content_encoding"]);
    if operation.needs != Needs::Nothing {
        may(StatusCode::UNAUTHORIZED, &["unauthorized", "key_expired"]);
        may(StatusCode::TOO_MANY_REQUESTS, &["rate_limited", "too_many_attempts"]);
        may(StatusCode::FORBIDDEN, &["forbidden"]);
    }
    if path::parameters(path).next().is_some() {
        // The latter where what stands in the path is no text.
        may(StatusCode::NOT_FOUND, &["not_found", "no_such_route"]);
    }
    if path::parameters(path).any(|known| known.name == "chain") {
        may(StatusCode::SERVICE_UNAVAILABLE, &["no_rules_in_force"]);
    }
    if !operation.parameters.is_empty() {
        may(StatusCode::UNPROCESSABLE_ENTITY, &["invalid_field"]);
    }
    if operation.takes.is_some() {
        may(StatusCode::BAD_REQUEST, &["body_incomplete", "not_json"]);
        may(StatusCode::REQUEST_TIMEOUT, &["body_timeout"]);
        may(StatusCode::PAYLOAD_TOO_LARGE, &["too_large"]);
        may(StatusCode::UNPROCESSABLE_ENTITY, &["invalid_field", "invalid_body"]);
    }
    if !operation.always {
        may(StatusCode::SERVICE_UNAVAILABLE, &["starting", "unavailable"]);
        if method != Method::GET {
            may(StatusCode::SERVICE_UNAVAILABLE, &["draining", "overloaded"]);
        }
    }
    for (status, code) in &operation.problems {
        problems.entry(*status).or_default().insert(code);
    }
    problems
}

/// What a status means, in a few words.
pub(super) fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The request cannot be read.",
        401 => "No key, one that is not known, or one that does not work any more.",
        403 => "The key is good for less.",
        404 => "There is no such thing, or it belongs to another chain.",
        408 => "The body came too slowly.",
        409 => "It cannot be done as things are; nothing was changed.",
        412 => "It is not as it was any more; nothing was changed.",
        413 => "More than is taken in one piece.",
        415 => "The body is coded, or of a type that is not taken.",
        422 => "A field or parameter is wrong.",
        428 => "What is changed must be named as it was read.",
        429 => "Too much at a time.",
        503 => "Not now: nothing was accepted, or it is not known.",
        _ => "It went wrong.",
    }
}
