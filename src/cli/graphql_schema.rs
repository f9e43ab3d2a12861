//! `punchcard graphql-schema`: the schema of `POST /graphql`.

use crate::http;

use super::out;

/// Print the GraphQL schema in its own language, for clients and their generators
#[derive(Debug, clap::Args)]
pub(super) struct GraphqlSchema {}

pub(super) fn run() {
    out::text(&http::sdl());
}
