//! Where loyalty events go, and what became of each.

use serde_json::json;

use super::{Group, Routes, of_chain};
use crate::domain::delivery::DeliveryStatus;
use crate::domain::endpoint::Bounded;
use crate::domain::health::Window;
use crate::domain::role::Right;
use crate::http::admin::endpoints::config::EndpointBody;
use crate::http::admin::endpoints::recover::{self, Begun};
use crate::http::admin::endpoints::secrets::{self, Rotate, RotatedView};
use crate::http::admin::endpoints::state::{self, Disable, Pause};
use crate::http::admin::endpoints::test::{self, TrialView};
use crate::http::admin::endpoints::{self, NewEndpointView, health};
use crate::http::admin::{Nothing, deliveries};
use crate::http::openapi::{Operation, op};
use crate::read::delivery::{DeliveryDetail, DeliveryView};
use crate::read::digest::Digest;
use crate::read::endpoint::EndpointView;
use crate::read::health::HealthView;
use crate::read::lane::LaneView;
use crate::read::page::Page;
use crate::read::recovery::RecoveryView;

pub(super) fn group() -> Group {
    let mut routes = vec![all(), one()];
    routes.extend(states());
    routes.extend(secrets());
    routes.extend(recoveries());
    Group {
        name: "Endpoints",
        about: "Where loyalty events go, which of them, in which dialect, and how they leave.",
        routes,
    }
}

fn administer(id: &'static str, summary: &'static str) -> Operation {
    op(id, summary).needs(Right::Administer)
}

fn all() -> Routes {
    of_chain("/endpoints")
        .get(
            endpoints::list,
            administer("list_endpoints", "The endpoints, the newest first")
                .paged()
                .answers::<Page<EndpointView>>(200, "A page of endpoints."),
        )
        .post(
            endpoints::create,
            administer("create_endpoint", "Make an endpoint")
                .about(
                    "`url` must be there, and `events` or `tags`. What is not said is as it is by default. The answer alone \
                     shows the secret.",
                )
                .takes::<EndpointBody>(json!({
                    "url": "https://crm.example.com/hooks/punchcard",
                    "events": ["points.*", "tier.upgraded"],
                    "description": "The CRM",
                }))
                .creates::<NewEndpointView<'static>>("The endpoint with its secret. Keep it: it is not shown again.")
                .tagged()
                .makes_once()
                .fails(422, &["filter_does_not_check", "transform_does_not_check"]),
        )
}

fn one() -> Routes {
    of_chain("/endpoints/{endpoint}")
        .get(
            endpoints::get,
            administer("get_endpoint", "One endpoint").answers::<EndpointView>(200, "The endpoint.").tagged(),
        )
        .patch(
            endpoints::patch,
            administer("update_endpoint", "Change an endpoint")
                .about(
                    "Only what is given changes; `null` clears the description, the rate limit, the filter, the transform and \
                     `auth`. The secret is changed by `rotate_secret`.",
                )
                .takes::<EndpointBody>(json!({ "events": ["points.*"], "rate_limit": 600 }))
                .answers::<EndpointView>(200, "The endpoint as it is now.")
                .tagged()
                .conditional()
                .fails(422, &["filter_does_not_check", "transform_does_not_check"]),
        )
        .delete(
            endpoints::delete,
            administer("delete_endpoint", "Delete an endpoint")
                .about("What it is owed is discarded.")
                .answers_nothing(204, "It is gone.")
                .conditional(),
        )
}

fn states() -> Vec<Routes> {
    vec![
        of_chain("/endpoints/{endpoint}/enable").post(
            state::enable,
            administer("enable_endpoint", "Let deliveries leave")
                .about("What waits leaves, and what its receiver did before does not count.")
                .may_take::<Nothing>(json!({}))
                .answers::<EndpointView>(200, "The endpoint as it is now.")
                .tagged()
                .conditional(),
        ),
        of_chain("/endpoints/{endpoint}/disable").post(
            state::disable,
            administer("disable_endpoint", "Let deliveries wait until it is enabled")
                .may_take::<Disable>(json!({ "reason": "The CRM moves" }))
                .answers::<EndpointView>(200, "The endpoint as it is now.")
                .tagged()
                .conditional(),
        ),
        of_chain("/endpoints/{endpoint}/pause").post(
            state::pause,
            administer("pause_endpoint", "Let deliveries wait for a while")
                .may_take::<Pause>(json!({ "until": "2027-03-03T20:00:00Z" }))
                .answers::<EndpointView>(200, "The endpoint as it is now.")
                .tagged()
                .conditional()
                .refuses(&["conflict"]),
        ),
        of_chain("/endpoints/{endpoint}/test").post(
            test::send,
            administer("test_endpoint", "Send a sample now")
                .about("Whether or not deliveries leave. Nothing is stored. Answers what was sent, and what came back.")
                .may_take::<test::Wanted>(json!({ "event_type": "points.earned" }))
                .answers::<TrialView>(200, "What was sent, and what came back.")
                .fails(422, &["transform_does_not_check"])
                .makes_once(),
        ),
        of_chain("/endpoints/{endpoint}/health").get(
            health::get,
            op("get_endpoint_health", "How well an endpoint takes its deliveries")
                .needs(Right::View)
                .query::<Window>("window", "How far back it is looked; without it, a day.")
                .answers::<HealthView>(200, "Rates, latency, backlog, each beside what is healthy."),
        ),
    ]
}

fn secrets() -> Vec<Routes> {
    vec![
        of_chain("/endpoints/{endpoint}/rotate_secret").post(
            secrets::rotate_secret,
            administer("rotate_secret", "Sign with another secret")
                .about("The older ones sign beside it for `overlap_seconds`. The answer alone shows the new one.")
                .may_take::<Rotate>(json!({ "overlap_seconds": 86_400 }))
                .answers::<RotatedView<'static>>(200, "The secret. Keep it: it is not shown again.")
                .tagged()
                .conditional()
                .makes_once()
                .refuses(&["conflict"]),
        ),
        of_chain("/endpoints/{endpoint}/secrets/{signing_key}").delete(
            secrets::end_key,
            administer("end_secret", "An older secret signs nothing any more")
                .answers_nothing(204, "It does not.")
                .conditional()
                .refuses(&["conflict"]),
        ),
    ]
}

fn recoveries() -> Vec<Routes> {
    vec![
        of_chain("/endpoints/{endpoint}/recover").post(
            recover::begin,
            administer("begin_recovery", "Send again what an endpoint missed")
                .about("With `dry_run` nothing is sent, and the answer says what would be.")
                .takes::<recover::Wanted>(
                    json!({ "since": "2026-03-03T00:00:00Z", "status": "failed", "dry_run": true }),
                )
                .answers::<Begun>(200, "The recovery as far as it is, or what it would come to.")
                .makes_once()
                .refuses(&["conflict"]),
        ),
        of_chain("/endpoints/{endpoint}/recoveries").get(
            recover::list,
            administer("list_recoveries", "An endpoint's recoveries, the newest first")
                .paged()
                .answers::<Page<RecoveryView>>(200, "A page of recoveries."),
        ),
        of_chain("/endpoints/{endpoint}/recoveries/{recovery}").get(
            recover::get,
            administer("get_recovery", "One recovery").answers::<RecoveryView>(200, "The recovery."),
        ),
        of_chain("/endpoints/{endpoint}/recoveries/{recovery}/stop").post(
            recover::stop,
            administer("stop_recovery", "Stop a recovery")
                .about("What was sent is sent; one that has ended stays as it is.")
                .may_take::<Nothing>(json!({}))
                .answers::<RecoveryView>(200, "The recovery as it is now."),
        ),
    ]
}

pub(super) fn deliveries() -> Group {
    let mut routes = logs();
    routes.extend([
        of_chain("/deliveries/{delivery}").get(
            deliveries::get,
            op("get_delivery", "One delivery, with its attempts")
                .needs(Right::View)
                .answers::<DeliveryDetail>(200, "The delivery."),
        ),
        of_chain("/deliveries/{delivery}/retry").post(
            deliveries::retry,
            administer("retry_delivery", "Send a delivery again")
                .about("It is due now, whatever became of it: the ladder starts anew.")
                .may_take::<Nothing>(json!({}))
                .answers::<DeliveryDetail>(200, "The delivery as it is now."),
        ),
        of_chain("/deliveries/{delivery}/discard").post(
            deliveries::discard,
            administer("discard_delivery", "A delivery need not be sent")
                .may_take::<Nothing>(json!({}))
                .answers::<DeliveryDetail>(200, "The delivery as it is now.")
                .refuses(&["conflict"]),
        ),
    ]);
    Group { name: "Deliveries", about: "What each endpoint was sent, is owed, and never took.", routes }
}

fn logs() -> Vec<Routes> {
    let view = |id, summary| op(id, summary).needs(Right::View);
    vec![
        of_chain("/endpoints/{endpoint}/deliveries").get(
            deliveries::list,
            view("list_deliveries", "An endpoint's deliveries, the newest first")
                .query::<DeliveryStatus>("status", "Only those that stand there.")
                .paged()
                .answers::<Page<DeliveryView>>(200, "A page of deliveries."),
        ),
        of_chain("/endpoints/{endpoint}/lanes").get(
            deliveries::lanes,
            view("list_lanes", "What waits for what, the oldest first")
                .query::<bool>("blocked", "Only lanes whose head was tried in vain.")
                .paged()
                .answers::<Page<LaneView>>(200, "A page of lanes."),
        ),
        of_chain("/endpoints/{endpoint}/digest").get(
            deliveries::digest,
            view("get_digest", "What was made for an endpoint, by number")
                .about("So that its receiver can prove that it has everything.")
                .query::<u64>("since", "Only what has a greater number; without it, from the first one on.")
                .query::<Bounded<1, { deliveries::MOST_OF_DIGEST }>>("limit", "The most items.")
                .answers::<Digest>(200, "A stretch of its deliveries."),
        ),
    ]
}
