//! Source events in, loyalty events out.

use serde_json::json;

use super::{Group, of_chain};
use crate::actors::dry_run::Forecast;
use crate::domain::Timestamp;
use crate::domain::loyalty_event::EventType;
use crate::domain::receipt::{Receipt, SourceStatus};
use crate::domain::role::Right;
use crate::domain::source_event::SourceEvent;
use crate::http::admin::dry_run::{self, Wanted};
use crate::http::admin::{Nothing, loyalty_events, source_events};
use crate::http::ingest::{batch, single};
use crate::http::openapi::{Operation, op};
use crate::read::loyalty_event::EventView;
use crate::read::page::Page;
use crate::read::source_event::{SourceDetail, SourceView};

/// Why an event from a till cannot be taken.
const REFUSED: &[&str] =
    &["identity_taken", "key_reused", "member_erased", "not_born_yet", "profile_too_large"];
const PREFER: &str = "`respond-async`: answer 202 as soon as the event is kept, and decide it afterwards.";

pub(super) fn group() -> Group {
    Group {
        name: "Events",
        about: "What tills and other programs tell (source events), and what the world was told (loyalty events).",
        routes: vec![
            of_chain("/events").get(loyalty_events::list, list()).post(single::receive, receive()),
            of_chain("/events/batch").post(batch::receive, batch()),
            of_chain("/events/dry_run").post(dry_run::try_out, dry_run()),
            of_chain("/events/{event}").get(
                loyalty_events::get,
                op("get_event", "One loyalty event")
                    .needs(Right::View)
                    .answers::<EventView>(200, "The event, as the dialect `standard` sends it."),
            ),
            of_chain("/source_events").get(
                source_events::list,
                op("list_source_events", "What was received, the newest first")
                    .needs(Right::View)
                    .query::<SourceStatus>("status", "Only those of which this became.")
                    .paged()
                    .answers::<Page<SourceView>>(200, "A page of source events."),
            ),
            of_chain("/source_events/{source_event}").get(
                source_events::get,
                op("get_source_event", "One source event, with its body and its receipt")
                    .needs(Right::View)
                    .answers::<SourceDetail>(200, "All that is kept of it."),
            ),
            of_chain("/source_events/{source_event}/replay").post(
                source_events::replay,
                op("replay_source_event", "Run a source event again")
                    .about(
                        "One that failed, was parked, was kept undecided, or was refused when its time came. Of a failed \
                         one only the rules that failed are run.",
                    )
                    .needs(Right::Manage)
                    .may_take::<Nothing>(json!({}))
                    .answers::<Receipt>(200, "The new receipt.")
                    .refuses(&["conflict"])
                    .refuses(REFUSED),
            ),
        ],
    }
}

fn list() -> Operation {
    filtered(op("list_events", "What the world was told, the newest first"))
        .query::<String>("member", "Only of this member: any id that the chain knows them by.")
        .paged()
        .answers::<Page<EventView>>(200, "A page of loyalty events.")
}

/// The filter of any list of loyalty events, without the member.
pub(super) fn filtered(operation: Operation) -> Operation {
    operation
        .needs(Right::View)
        .query::<EventType>("type", "Only this type.")
        .query::<Timestamp>("since", "Only at or after this instant.")
        .query::<Timestamp>("until", "Only before this instant.")
}

fn receive() -> Operation {
    op("send_event", "Send a source event")
        .about(
            "Answers with a receipt once everything that follows of it is durable. A repeat under the same key is answered \
             with the first receipt, with `\"duplicate\": true`.",
        )
        .needs(Right::SendEvents)
        .header::<String>("Prefer", PREFER, "respond-async")
        .repeatable()
        .takes::<SourceEvent>(order())
        .answers::<Receipt>(200, "The receipt: what became of it.")
        .answers::<Receipt>(202, "It is kept, and not decided yet: it was asked for by `Prefer: respond-async`.")
        .refuses(REFUSED)
}

fn batch() -> Operation {
    op("send_events", "Send many source events")
        .about(
            "A JSON array, or one event a line, read and answered as it comes: a receipt or a problem for each, in their \
             order, in the same format. One bad line spoils only itself. Without a `Content-Type` the first byte tells which \
             of both it is.",
        )
        .needs(Right::SendEvents)
        .header::<String>("Prefer", PREFER, "respond-async")
        .may_take::<Vec<SourceEvent>>(json!([order()]))
        .takes_text(
            "application/x-ndjson",
            "{\"key\":\"V-1\",\"type\":\"visit\",\"member\":{\"id\":\"m-42\"}}\n",
        )
        .answers::<Vec<batch::Outcome>>(200, "A receipt or a problem for each event.")
        .answers_text(200, "application/x-ndjson", "A receipt or a problem for each event.")
        .fails(400, &["broken_batch"])
}

fn dry_run() -> Operation {
    op("dry_run_event", "What would happen of an event, and why")
        .about(
            "Nothing is written. The body is the event as it would be sent; or an object of `event` and either `version`, a \
             published version of the program to try it with, or `files`, one that is not published.",
        )
        .needs(Right::Manage)
        .repeatable()
        .takes::<Wanted>(order())
        .answers::<Forecast>(200, "What would be answered, told and sent, and how each rule judged.")
        .refuses(REFUSED)
        .fails(422, &["program_does_not_check"])
}

fn order() -> serde_json::Value {
    json!({
        "key": "ORD-1001",
        "type": "order.completed",
        "occurred_at": "2026-03-03T18:30:00Z",
        "member": { "id": "m-42", "email": "ana@example.com" },
        "location": "loc_philly_walnut",
        "data": {
            "order_id": "ORD-1001",
            "total": 24.50,
            "items": [{ "sku": "dish_001", "name": "Power Bowl", "category": "food", "quantity": 1, "price": 14.50 }],
        },
    })
}
