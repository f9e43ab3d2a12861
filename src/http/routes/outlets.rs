//! GraphQL, and where else a chain's data are to go.

use serde_json::json;

use super::{Group, at, of_chain};
use crate::domain::role::Right;
use crate::http::admin::{export_schedules, integrations};
use crate::http::graphql::{self, Said, Shown};
use crate::http::openapi::op;
use crate::read::export_schedule::ExportScheduleView;
use crate::read::integration::IntegrationView;
use crate::read::page::Page;

pub(super) fn graphql() -> Group {
    Group {
        name: "GraphQL",
        about: "The schema that GuestIQ documents, and beyond it what the other routes show, by the same keys and with the \
                same rights.",
        routes: vec![
            at("/graphql").post(
                graphql::answer,
                op("ask_graphql", "Run a query or a mutation")
                    .about(
                        "What each field needs is said in docs/graphql.md; `punchcard graphql-schema` prints the schema. \
                         The status is 200 whatever comes of it, unless you accept `application/graphql-response+json`.",
                    )
                    .needs(Right::ViewMembers)
                    .takes::<Said>(json!({
                        "query": "query($id: String!) { member(chainId: \"harvest\", id: $id) { points tier } }",
                        "variables": { "id": "m-42" },
                    }))
                    .answers::<Shown>(200, "What was asked for, and what went wrong.")
                    .fails(400, &["invalid_query"])
                    .fails(415, &["unsupported_media_type"])
                    .fails(503, &["query_timeout"]),
            ),
            at("/graphiql").get(
                graphql::graphiql,
                op("get_graphiql", "A page to write queries on")
                    .about("For development: of a server that was started with `--graphiql`.")
                    .answers_text(200, "text/html; charset=utf-8", "The page.")
                    .fails(404, &["no_such_route"]),
            ),
        ],
    }
}

pub(super) fn group() -> Group {
    Group {
        name: "Exports and integrations",
        about: "Where else a chain's data are to go. They are made over GraphQL; nothing goes by them yet.",
        routes: vec![
            of_chain("/export_schedules").get(
                export_schedules::list,
                op("list_export_schedules", "The export schedules, the newest first")
                    .about("All of them on one page.")
                    .needs(Right::Administer)
                    .answers::<Page<ExportScheduleView>>(200, "All schedules."),
            ),
            of_chain("/integrations").get(
                integrations::list,
                op("list_integrations", "The integrations, by platform")
                    .about("All of them on one page; never what lets us in there.")
                    .needs(Right::Administer)
                    .answers::<Page<IntegrationView>>(200, "All integrations."),
            ),
        ],
    }
}
