//! Chains, and who of their guests is likely to stay away.

use serde_json::json;

use super::{Group, at, of_chain};
use crate::domain::role::Right;
use crate::http::admin::chains::{self, ChainPatch, NewChain};
use crate::http::admin::{Nothing, churn};
use crate::http::openapi::op;
use crate::read::chain::ChainView;
use crate::read::churn::ChurnView;
use crate::read::page::Page;

pub(super) fn group() -> Group {
    Group {
        name: "Chains",
        about: "A chain has its own members, program, endpoints and books. Nothing of it is seen by another one.",
        routes: vec![
            at("/v1/chains")
                .get(
                    chains::list,
                    op("list_chains", "The chains, by id")
                        .about("A key of one chain sees that one.")
                        .needs(Right::Administer)
                        .paged()
                        .answers::<Page<ChainView>>(200, "A page of chains."),
                )
                .post(
                    chains::create,
                    op("create_chain", "Make a chain")
                        .about("A folder `rules/<id>` is its program. Time zone and currency stay what they are.")
                        .needs_everywhere(Right::Administer)
                        .takes::<NewChain>(json!({
                            "id": "beanery",
                            "name": "The Beanery",
                            "timezone": "America/New_York",
                            "currency": "USD",
                        }))
                        .creates::<ChainView>("The chain.")
                        .tagged()
                        .makes_once()
                        .refuses(&["conflict"]),
                ),
            of_chain("")
                .get(
                    chains::get,
                    op("get_chain", "One chain")
                        .needs(Right::Administer)
                        .header::<String>("If-None-Match", "The `ETag` that is known already.", "\"3\"")
                        .answers::<ChainView>(200, "The chain.")
                        .answers_nothing(304, "It is in the state that is known.")
                        .tagged(),
                )
                .patch(
                    chains::patch,
                    op("update_chain", "Rename a chain")
                        .about("Everything else, balances and windows depend on.")
                        .needs(Right::Administer)
                        .takes::<ChainPatch>(json!({ "name": "Harvest Kitchen" }))
                        .answers::<ChainView>(200, "The chain as it is now.")
                        .tagged()
                        .conditional(),
                ),
            of_chain("/churn").get(
                churn::get,
                op("get_churn", "What the log says about guests who stay away")
                    .about("The model in force, how well it does, and when there will be another.")
                    .needs(Right::View)
                    .answers::<ChurnView>(200, "What was learned."),
            ),
            of_chain("/churn/refit").post(
                churn::refit,
                op("refit_churn", "Learn anew from the log")
                    .needs(Right::Manage)
                    .may_take::<Nothing>(json!({}))
                    .answers::<ChurnView>(200, "What was learned.")
                    .refuses(&["model_undecided", "too_few_members", "too_few_returned"]),
            ),
        ],
    }
}
