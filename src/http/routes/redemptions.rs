//! Points spent on rewards.

use serde_json::json;

use super::{Group, of_chain};
use crate::domain::command::{CommandType, Wish};
use crate::domain::redemption::{RedemptionStatus, Step};
use crate::domain::role::Right;
use crate::http::admin::commands::about_member;
use crate::http::admin::redemptions::{self, Words, one_step};
use crate::http::openapi::{Operation, command, op};
use crate::read::page::Page;
use crate::read::redemption::RedemptionView;

pub(super) fn group() -> Group {
    Group {
        name: "Redemptions",
        about: "Points that members spend on rewards, from the wish to the thing in their hand. Each step is answered with a \
                receipt.",
        routes: vec![
            of_chain("/members/{member}/redemptions")
                .get(
                    redemptions::of_member,
                    op("list_member_redemptions", "A member's redemptions, the newest first")
                        .needs(Right::ViewMembers)
                        .paged()
                        .answers::<Page<RedemptionView>>(200, "A page of redemptions."),
                )
                .post(
                    about_member(Right::Serve, CommandType::Redeem),
                    command("redeem", "Spend points on a reward", Right::Serve)
                        .about("The points are gone at once; they come back if it is rejected, cancelled or expires.")
                        .takes::<Wish>(json!({ "reward": "coffee" }))
                        .refuses(&[
                            "insufficient_points",
                            "out_of_stock",
                            "reward_limit_reached",
                            "too_many_redemptions",
                            "unknown_reward",
                        ]),
                ),
            of_chain("/redemptions").get(
                redemptions::list,
                op("list_redemptions", "All redemptions, the newest first")
                    .needs(Right::View)
                    .query::<RedemptionStatus>("status", "Only those that stand there.")
                    .paged()
                    .answers::<Page<RedemptionView>>(200, "A page of redemptions."),
            ),
            of_chain("/redemptions/{redemption}").get(
                redemptions::get,
                op("get_redemption", "One redemption")
                    .needs(Right::ViewMembers)
                    .answers::<RedemptionView>(200, "The redemption."),
            ),
            of_chain("/redemptions/{redemption}/approve").post(
                one_step(Step::Approve),
                step("approve_redemption", "It may be handed out").refuses(&["redemption_not_pending"]),
            ),
            of_chain("/redemptions/{redemption}/fulfill").post(
                one_step(Step::Fulfill),
                step("fulfill_redemption", "It was handed out")
                    .about("`code` is what the guest got: that of a gift card, the number of a parcel.")
                    .refuses(&["redemption_not_approved"]),
            ),
            of_chain("/redemptions/{redemption}/reject").post(
                one_step(Step::Reject),
                step("reject_redemption", "It will not be; the points come back")
                    .refuses(&["redemption_not_pending"]),
            ),
            of_chain("/redemptions/{redemption}/cancel").post(
                one_step(Step::Cancel),
                step("cancel_redemption", "The guest does not want it any more; the points come back")
                    .refuses(&["redemption_not_open"]),
            ),
        ],
    }
}

fn step(id: &'static str, summary: &'static str) -> Operation {
    command(id, summary, Right::Manage)
        .may_take::<Words>(json!({ "reason": "As they asked for" }))
        .refuses(&["too_many_points", "unknown_redemption"])
}
