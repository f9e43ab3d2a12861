//! The audit log.

use super::{Group, at};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::role::Right;
use crate::http::admin::audit;
use crate::http::openapi::{Operation, op};
use crate::read::audit::EntryView;
use crate::read::page::Page;

pub(super) fn group() -> Group {
    Group {
        name: "Audit",
        about: "Who changed what, when, from where; how it was before and after.",
        routes: vec![
            at("/v1/audit").get(
                audit::list,
                filtered(op("list_audit", "What was changed, the newest first"))
                    .about(
                        "An admin of one chain sees what is about that one. Where few of many lines are sought, a page \
                         may be short and have a next one.",
                    )
                    .paged()
                    .answers::<Page<EntryView>>(200, "A page of lines."),
            ),
            at("/v1/audit/export").get(
                audit::export,
                filtered(op("export_audit", "All that was changed, written while it is read"))
                    .query_such_as::<String>("format", "`ndjson`, as without it, or `csv`.", "csv")
                    .answers_text(200, "application/x-ndjson", "An object a line, as in the list.")
                    .answers_text(200, "text/csv; charset=utf-8", "A table."),
            ),
            at("/v1/audit/{audit_line}").get(
                audit::get,
                op("get_audit_line", "One line of the audit log")
                    .needs(Right::Administer)
                    .answers::<EntryView>(200, "The line."),
            ),
        ],
    }
}

/// What lines are sought by.
fn filtered(operation: Operation) -> Operation {
    operation
        .needs(Right::Administer)
        .fails(404, &["not_found"])
        .query::<ChainId>("chain", "Only about this chain.")
        .query_such_as::<String>(
            "author",
            "Only by this key, or by `configuration`, `command_line`, `folder` or `engine`.",
            "engine",
        )
        .query_such_as::<String>("action", "Only this action, or all of a kind.", "endpoint.*")
        .query::<String>("target", "Only about the thing of this id.")
        .query::<Timestamp>("since", "Not before this instant.")
        .query::<Timestamp>("until", "Before this instant.")
}
