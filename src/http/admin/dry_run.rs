//! What would happen of an event, and why. Nothing is written.

use std::borrow::Cow;
use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::program;
use crate::actors::dry_run::Candidate;
use crate::actors::publish::Proposal;
use crate::domain::json;
use crate::domain::role::Right;
use crate::domain::source_event::{self, SourceEvent};
use crate::http::State;
use crate::http::auth::Caller;
use crate::http::body::Body;
use crate::http::ingest::from_outside;
use crate::http::ingest::single::with_key_of_header;
use crate::http::problem::Problem;

/// An event, and perhaps the program to try it with.
const MAX_BYTES: usize = program::MAX_BYTES + source_event::MAX_BYTES;

/// An event with what it is to be tried with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DryRunOf")]
struct Wrapped<'a> {
    /// The event.
    #[serde(borrow)]
    #[schemars(with = "SourceEvent")]
    event: &'a RawValue,
    /// A published version of the program.
    #[serde(default)]
    version: Option<i64>,
    /// The files of one that is not published.
    #[serde(default)]
    files: Option<BTreeMap<String, String>>,
}

/// What is tried, for the document: an event as it would be sent, or with what it is to be tried with.
pub(in crate::http) struct Wanted;

impl JsonSchema for Wanted {
    fn schema_name() -> Cow<'static, str> {
        "DryRun".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let any_of =
            [generator.subschema_for::<SourceEvent>(), generator.subschema_for::<Wrapped<'static>>()];
        json_schema!({ "anyOf": any_of })
    }
}

/// Tells a wrapped event from one that is sent as it is: no event has a field of this name.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
}

/// `POST /v1/chains/{chain}/events/dry_run`: the event as it would be sent; or `event`, and `version` or `files`.
pub(in crate::http) async fn try_out(
    state: State,
    caller: Caller,
    path: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let chain = state.chain(&caller, Right::Manage, &path)?;
    let body = body.bytes(MAX_BYTES).await?;
    let _permit = state.engine.try_admit()?;
    let (event, candidate) = read(body.trim_ascii())?;
    let event = SourceEvent::parse(event, &chain.chain.currency, state.engine.clock().now())?;
    let event = from_outside(with_key_of_header(event, &request)?)?;
    Ok(HttpResponse::Ok().json(state.engine.dry_run(&chain.chain.id, event, candidate).await?))
}

fn read(body: &[u8]) -> Result<(&[u8], Candidate), Problem> {
    let is_wrapped = serde_json::from_slice::<Peek<'_>>(body).is_ok_and(|peek| peek.event.is_some());
    let (true, Ok(text)) = (is_wrapped, str::from_utf8(body)) else { return Ok((body, Candidate::InForce)) };
    let Wrapped { event, version, files } = json::object(text, "")?;
    let candidate = match (version, files) {
        (None, None) => Candidate::InForce,
        (Some(version), None) => Candidate::Version(version),
        (None, Some(files)) => Candidate::Files(Proposal::of_files(files)?),
        (Some(_), Some(_)) => {
            return Err(Problem::field("files", "go without `version`; an event is tried with one program"));
        }
    };
    Ok((event.get().as_bytes(), candidate))
}
