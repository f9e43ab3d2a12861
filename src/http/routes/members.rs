//! Members: who they are, what they have, what happened to them.

use serde_json::json;

use super::events::filtered;
use super::{Group, Routes, of_chain};
use crate::domain::Timestamp;
use crate::domain::command::{
    AdjustmentBody, ClaimBody, CommandType, Confirmation, MergeBody, NothingMore, TierOrder, UnmergeBody,
};
use crate::domain::identity::IdentityKind;
use crate::domain::profile::ProfileChange;
use crate::domain::receipt::Receipt;
use crate::domain::referral::{Acceptance, Rejection};
use crate::domain::role::Right;
use crate::domain::source_event::SourceType;
use crate::http::admin::commands::about_member;
use crate::http::admin::members::{self, Claimed};
use crate::http::admin::{export, referrals};
use crate::http::openapi::{Operation, command, op};
use crate::read::achievement::AchievementView;
use crate::read::explanation::ExplainedTransfer;
use crate::read::ledger::{StatementView, TransferView};
use crate::read::loyalty_event::EventView;
use crate::read::member::MemberView;
use crate::read::page::Page;
use crate::read::referral::{CodeView, ReferringView, SentView};

pub(super) fn group() -> Group {
    let mut routes = vec![people(), person()];
    routes.extend(of_a_person());
    routes.extend(points());
    routes.extend(history());
    routes.extend(brought());
    Group {
        name: "Members",
        about: "Guests whom a chain knows: who they are, what they have, what happened to them. `{member}` is any id that the \
                chain knows them by. What changes a member is answered with a receipt, like an event of a till.",
        routes,
    }
}

fn people() -> Routes {
    let identity = |operation: Operation, kind: IdentityKind| {
        let example = if kind == IdentityKind::Id { Some("m-42") } else { None };
        let description = "The member who goes by this, or nobody. One identity at a time.";
        match example {
            Some(example) => operation.query_such_as::<String>(kind.as_str(), description, example),
            None => operation.query::<String>(kind.as_str(), description),
        }
    };
    let list = op("list_members", "List members, or look one up by an identity")
        .about("Looking up needs `view_members`, which a till has; listing all of them needs `view`.")
        .needs(Right::ViewMembers);
    let list = IdentityKind::ALL.into_iter().fold(list, identity);
    of_chain("/members")
        .get(
            members::list,
            list.paged().answers::<Page<MemberView>>(200, "A page of members, the newest first."),
        )
        .post(
            members::create,
            op("create_member", "Make a member of somebody who did not come yet")
                .needs(Right::Serve)
                .repeatable()
                .takes::<ProfileChange>(json!({
                    "id": "m-77",
                    "email": "ben@example.com",
                    "first_name": "Ben",
                    "consents": { "newsletter": true },
                }))
                .answers::<Receipt>(201, "The receipt.")
                .answers::<Receipt>(200, "The same was asked for before, under this key: the first receipt.")
                .refuses(&["key_reused", "member_exists", "not_born_yet", "profile_too_large"]),
        )
}

fn person() -> Routes {
    of_chain("/members/{member}")
        .get(
            members::get,
            op("get_member", "One member, with all there is to know")
                .needs(Right::ViewMembers)
                .answers::<MemberView>(200, "The member."),
        )
        .patch(
            about_member(Right::Serve, SourceType::MemberUpdated),
            command("update_member", "Change what is known of a member", Right::Serve)
                .about(
                    "What is not mentioned stays; `null` clears; `consents` and `attributes` change entry by entry. \
                     New identities are added to those there are.",
                )
                .takes::<ProfileChange>(json!({ "first_name": "Ana", "birthdate": "1990-02-28" }))
                .refuses(&["identity_taken", "not_born_yet", "profile_too_large", "too_many_identities"]),
        )
        .delete(
            about_member(Right::Manage, CommandType::Erase),
            command("erase_member", "Forget a member", Right::Manage)
                .about("What was written down of the person is taken out of the log, too. It cannot be undone.")
                .may_take::<NothingMore>(json!({})),
        )
}

fn of_a_person() -> Vec<Routes> {
    vec![
        of_chain("/members/{member}/export").get(
            export::get,
            op("export_member", "Everything that is known of a member, as one document")
                .needs(Right::Manage)
                .answers::<export::Exported>(200, "The document. It is written while it is read."),
        ),
        of_chain("/members/{member}/merge").post(
            about_member(Right::Manage, CommandType::Merge),
            command("merge_member", "Another member turned out to be this one", Right::Manage)
                .about("Who is named by `from` ends; everything of theirs is this member's.")
                .takes::<MergeBody>(json!({ "from": "m-43" }))
                .refuses(&["same_member", "too_many_identities", "too_many_merges", "unknown_member"]),
        ),
        of_chain("/members/{member}/unmerge").post(
            about_member(Right::Manage, CommandType::Unmerge),
            command("unmerge_member", "Another member was not this one after all", Right::Manage)
                .takes::<UnmergeBody>(json!({ "member": "mem_01HZY3V9W8Q2C5N7R4T6XKBMDG" }))
                .refuses(&["not_merged"]),
        ),
        of_chain("/members/{member}/claims").post(
            members::claim,
            op("claim_order", "An order without a guest was this member's")
                .about("Named by the code on its receipt, or its id. Its events are decided now.")
                .needs(Right::Serve)
                .repeatable()
                .takes::<ClaimBody>(json!({ "code": "ORD-1002" }))
                .answers::<Claimed>(200, "The receipts: of the claim, and of the order's events.")
                .refuses(&[
                    "already_claimed",
                    "claim_too_late",
                    "claimed_by_another",
                    "key_reused",
                    "member_erased",
                    "unknown_receipt",
                ]),
        ),
    ]
}

fn points() -> Vec<Routes> {
    vec![
        of_chain("/members/{member}/points").post(
            about_member(Right::Manage, CommandType::AdjustPoints),
            command("adjust_points", "Give or take points by hand", Right::Manage)
                .takes::<AdjustmentBody>(json!({ "amount": 50, "reason": "The soup was cold" }))
                .refuses(&["insufficient_points", "too_many_points", "unknown_wallet"]),
        ),
        of_chain("/members/{member}/points/confirm").post(
            about_member(Right::Manage, CommandType::ConfirmPoints),
            command("confirm_points", "Let points be spent that wait for it", Right::Manage)
                .takes::<Confirmation>(json!({ "origin": "ORD-1001" }))
                .refuses(&["nothing_pending", "too_many_points"]),
        ),
        of_chain("/members/{member}/tier")
            .post(
                about_member(Right::Manage, CommandType::SetTier),
                command("set_tier", "Give a tier by hand", Right::Manage)
                    .about("It is the effective one while it lasts. The tier beneath moves on.")
                    .takes::<TierOrder>(
                        json!({ "tier": "gold", "until": "2027-01-01T00:00:00Z", "reason": "A friend of the house" }),
                    )
                    .refuses(&["unknown_tier", "until_has_passed"]),
            )
            .delete(
                about_member(Right::Manage, CommandType::ClearTier),
                command("clear_tier", "Take a tier away that was given by hand", Right::Manage)
                    .may_take::<NothingMore>(json!({}))
                    .refuses(&["no_manual_tier"]),
            ),
    ]
}

fn history() -> Vec<Routes> {
    vec![
        of_chain("/members/{member}/ledger").get(
            members::ledger,
            op("list_ledger", "A member's ledger, the newest line first")
                .needs(Right::View)
                .paged()
                .answers::<Page<TransferView>>(200, "A page of lines."),
        ),
        of_chain("/members/{member}/ledger/{line}").get(
            members::explain,
            op("explain_ledger_line", "Why a line of the ledger is there")
                .about("Who or what wrote it, by which rule as it was then, what that had read, and of which event.")
                .needs(Right::View)
                .answers::<ExplainedTransfer>(200, "The line, explained."),
        ),
        of_chain("/members/{member}/statement").get(
            members::statement,
            op("get_statement", "A statement of account")
                .about("What was held at `from` and at `to`, and what moved in between.")
                .needs(Right::View)
                .query::<Timestamp>("from", "What moved after this instant; without it, since enrolment.")
                .query::<Timestamp>("to", "Up to this instant; without it, now.")
                .answers::<StatementView>(200, "The statement."),
        ),
        of_chain("/members/{member}/events").get(
            members::events,
            filtered(op("list_member_events", "What the world was told of a member, the newest first"))
                .paged()
                .answers::<Page<EventView>>(200, "A page of loyalty events."),
        ),
        of_chain("/members/{member}/achievements").get(
            referrals::achievements,
            op("list_achievements", "How a member stands with the achievements")
                .needs(Right::ViewMembers)
                .answers::<Page<AchievementView>>(200, "All of them, on one page."),
        ),
    ]
}

fn brought() -> Vec<Routes> {
    vec![
        of_chain("/members/{member}/referral")
            .get(
                referrals::of_member,
                op("get_referral", "A member's code, and who brought them")
                    .needs(Right::ViewMembers)
                    .answers::<ReferringView>(200, "What they have to do with referrals."),
            )
            .post(
                about_member(Right::Serve, CommandType::AcceptReferral),
                command("accept_referral", "A member says who brought them", Right::Serve)
                    .takes::<Acceptance>(json!({ "code": "7QX2M4ABCDEF", "channel": "app" }))
                    .refuses(&[
                        "already_referred",
                        "no_referrals",
                        "not_a_new_member",
                        "referral_limit_reached",
                        "self_referral",
                        "unknown_referral_code",
                    ]),
            ),
        of_chain("/members/{member}/referral/approve").post(
            about_member(Right::Manage, CommandType::ApproveReferral),
            command("approve_referral", "The referral of a member counts", Right::Manage)
                .may_take::<NothingMore>(json!({}))
                .refuses(&["no_referral", "no_referrals", "referral_limit_reached", "referral_not_pending"]),
        ),
        of_chain("/members/{member}/referral/reject").post(
            about_member(Right::Manage, CommandType::RejectReferral),
            command("reject_referral", "The referral of a member does not count", Right::Manage)
                .takes::<Rejection>(json!({ "reason": "They live together" }))
                .refuses(&["no_referral", "no_referrals", "referral_not_pending"]),
        ),
        of_chain("/members/{member}/referrals").get(
            referrals::sent,
            op("list_referrals", "Whom a member brought, the newest first")
                .needs(Right::ViewMembers)
                .paged()
                .answers::<Page<SentView>>(200, "A page of members."),
        ),
        of_chain("/referral_codes/{referral_code}").get(
            referrals::code,
            op("get_referral_code", "Whose a code is")
                .needs(Right::ViewMembers)
                .answers::<CodeView>(200, "What may be shown to whoever has it."),
        ),
    ]
}
