//! `punchcard openapi`: what the server can do, for programs.

use crate::http::openapi;

use super::out;

/// Print the OpenAPI document of the HTTP API, as the server has it at `/openapi.json`
#[derive(Debug, clap::Args)]
pub(super) struct Openapi {}

pub(super) fn run() {
    out::line(format_args!("{}", openapi::document()));
}
