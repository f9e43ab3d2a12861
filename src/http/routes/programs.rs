//! The program of a chain: what is in force, how the next one comes, and what is tried on some.

use serde_json::{Value, json};

use super::{Group, Routes, of_chain};
use crate::domain::role::Right;
use crate::http::admin::Nothing;
use crate::http::admin::candidate::{self, Begin, Change, Promote};
use crate::http::admin::program::{
    self, Campaigns, CheckView, Files, InForce, Publish, PublishedView, Resume, RollBack, TryOut,
};
use crate::http::openapi::{Operation, op};
use crate::read::backtest::Report;
use crate::read::page::Page;
use crate::read::program::{DifferenceView, PublicationView, SuspensionView, VersionView};
use crate::read::roll_out::CandidateView;

pub(super) fn group() -> Group {
    Group {
        name: "Program",
        about: "What a chain's rules say: the version in force, those before it, and how the next one comes.",
        routes: vec![
            of_chain("/program").get(
                program::get,
                manage("get_program", "The program in force")
                    .answers::<InForce<'static>>(200, "The program.")
                    .tagged(),
            ),
            of_chain("/program/campaigns").get(
                program::campaigns,
                manage("list_campaigns", "What each campaign may give and has given")
                    .answers::<Campaigns>(200, "All campaigns."),
            ),
            of_chain("/program/versions").get(
                program::versions,
                manage("list_versions", "All versions, the newest first")
                    .paged()
                    .answers::<Page<PublicationView>>(200, "A page of versions."),
            ),
            of_chain("/program/versions/{version}").get(
                program::version,
                manage("get_version", "One version, with its files")
                    .answers::<VersionView>(200, "The version."),
            ),
            of_chain("/program/diff").get(
                program::diff,
                manage("diff_versions", "What differs between two versions")
                    .query::<i64>("from", "The older one; without it, the one that was in force before `to`.")
                    .query::<i64>("to", "The newer one; without it, the one in force.")
                    .answers::<DifferenceView>(200, "The files that differ."),
            ),
            of_chain("/program/check").post(
                program::check,
                manage("check_program", "Check and test a program")
                    .about("What `punchcard check` says. Nothing is published.")
                    .takes::<Files>(json!({ "files": files() }))
                    .answers::<CheckView>(200, "What was found.")
                    .fails(422, &["program_does_not_check"]),
            ),
            of_chain("/program/backtest").post(program::backtest, backtest()),
            of_chain("/program/publish").post(
                program::publish,
                publishes(manage("publish_program", "Publish a program"))
                    .about("It is checked and tested, and in force when this answers.")
                    .takes::<Publish>(
                        json!({ "files": files(), "note": "Double points on Tuesdays", "replaces": 3 }),
                    ),
            ),
            of_chain("/program/rollback").post(
                program::roll_back,
                publishes(manage("roll_back_program", "Go back to an older version"))
                    .about("Its files are published again, under the next number.")
                    .takes::<RollBack>(json!({ "version": 2, "note": "Too generous" })),
            ),
            of_chain("/program/rules/resume").post(
                program::resume_rule,
                manage("resume_rule", "Run a suspended rule again")
                    .takes::<Resume>(json!({ "rule": "Points per dollar" }))
                    .answers::<SuspensionView>(200, "What it was suspended for.")
                    .refuses(&["not_suspended"]),
            ),
        ],
    }
}

fn manage(id: &'static str, summary: &'static str) -> Operation {
    op(id, summary).needs(Right::Manage)
}

fn files() -> Value {
    json!({
        "program.toml": "name = \"Harvest\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n",
        "earning.rhai": "rule \"A point per visit\" on visit { award(1); }\n",
    })
}

/// What publishes answers alike.
fn publishes(operation: Operation) -> Operation {
    operation
        .creates::<PublishedView>("The version that is in force now.")
        .answers::<PublishedView>(200, "These very files are in force already.")
        .tagged()
        .conditional()
        .makes_once()
        .refuses(&["candidate_differs", "no_candidate", "version_conflict"])
        .fails(422, &["program_does_not_check"])
}

fn backtest() -> Operation {
    manage("backtest_program", "What another program would have made of what happened")
        .about(
            "Either `files` or a `version`. By `Accept: text/csv` or `application/x-ndjson` answers a list of who differs. One \
             backtest runs at a time, and of a bounded length; `punchcard backtest` has no such bound.",
        )
        .header::<String>("Accept", "`text/csv` or `application/x-ndjson`: a list of who differs.", "text/csv")
        .takes::<TryOut>(json!({ "version": 2, "since": "2026-03-01T00:00:00Z" }))
        .answers::<Report>(200, "Both programs, side by side.")
        .answers_text(200, "text/csv; charset=utf-8", "Who differs, in columns.")
        .answers_text(200, "application/x-ndjson", "Who differs, one a line.")
        .refuses(&["conflict"])
        .fails(422, &["backtest_too_large", "program_does_not_check"])
        .fails(429, &["backtest_running"])
}

pub(super) fn candidates() -> Group {
    let candidate: Routes = of_chain("/program/candidate")
        .get(
            candidate::get,
            manage("get_candidate", "The candidate that is tried, or was tried last")
                .about("For whom it decides, and both programs side by side.")
                .query::<i64>("version", "The candidate of this number.")
                .answers::<CandidateView>(200, "The candidate.")
                .tagged(),
        )
        .post(
            candidate::begin,
            manage("begin_candidate", "Try a program on some")
                .about("Either `files` or a `version`; on a `share` of the members, in per cent, or at some `locations`.")
                .takes::<Begin>(json!({ "version": 2, "share": 10, "note": "Let us see" }))
                .creates::<CandidateView>("The candidate. It decides for those already.")
                .tagged()
                .conditional()
                .makes_once()
                .refuses(&[
                    "candidate_differs",
                    "candidate_exists",
                    "candidate_is_in_force",
                    "version_conflict",
                ])
                .fails(422, &["program_does_not_check"]),
        )
        .patch(
            candidate::change,
            manage("update_candidate", "Try it on more, on fewer, or elsewhere")
                .takes::<Change>(json!({ "share": 50 }))
                .answers::<CandidateView>(200, "The candidate as it is now.")
                .tagged()
                .conditional()
                .refuses(&["candidate_differs", "no_candidate", "too_many_changes"]),
        );
    Group {
        name: "Candidates",
        about: "A version of the program that decides for some before it is in force for all.",
        routes: vec![
            candidate,
            of_chain("/program/candidate/promote").post(
                candidate::promote,
                publishes(manage("promote_candidate", "Put the candidate in force for everybody"))
                    .may_take::<Promote>(json!({ "note": "It does well" })),
            ),
            of_chain("/program/candidate/drop").post(
                candidate::give_up,
                manage("drop_candidate", "Give the candidate up")
                    .may_take::<Nothing>(json!({}))
                    .answers::<CandidateView>(200, "The candidate as it was.")
                    .tagged()
                    .conditional()
                    .refuses(&["no_candidate"]),
            ),
        ],
    }
}
