//! A problem of each code, as somebody might be told of it: for the OpenAPI document, whose tests ask for all of them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::json;

use super::Problem;
use crate::actors::engine::TransformProblem;
use crate::actors::publish::Diagnostic;
use crate::domain::Timestamp;
use crate::domain::allowance::RequestsPerMinute;
use crate::domain::api_key::{Dead, Unchanged};
use crate::domain::churn;
use crate::domain::coupon::Rejection;
use crate::domain::loyalty_event::EventType;
use crate::domain::refusal::Refused;
use crate::domain::role::Role;

/// By code.
static ALL: LazyLock<BTreeMap<&'static str, Problem>> = LazyLock::new(|| {
    let refused = REFUSED.iter().map(|(code, why)| Problem::Refused(Refused::new(code, *why)));
    let coupons = REJECTED.iter().map(|why| Problem::Refused(Refused::new(why.code(), why.to_string())));
    let churn = UNLEARNED.iter().map(|why| Problem::Refused(Refused::new(why.code(), why.to_string())));
    let all =
        requests().into_iter().chain(programs()).chain(server()).chain(refused).chain(coupons).chain(churn);
    all.map(|problem| (problem.code(), problem)).collect()
});

/// A problem of this code.
pub(in crate::http) fn of(code: &str) -> Option<&'static Problem> {
    ALL.get(code)
}

/// What is wrong with a request, or with whoever sends it.
fn requests() -> Vec<Problem> {
    let noon = Timestamp::from_timestamp_nanos(1_772_562_600_000_000_000);
    vec![
        Problem::NotJson("this is not JSON: expected `,` or `}` at line 1 column 17".to_owned()),
        Problem::BodyIncomplete,
        Problem::BrokenBatch("the body is not a JSON array"),
        Problem::UpgradeRefused,
        Problem::BadQuery("Unknown field \"balance\" on type \"Member\".".to_owned()),
        Problem::BadKey,
        Problem::DeadKey(Dead::Expired(noon)),
        Problem::Forbidden { needed: Role::Manager, has: Role::Viewer },
        Problem::NotFound("member"),
        Problem::NoRoute,
        Problem::BodyTimeout,
        Problem::PreconditionFailed { current: 4.into() },
        Problem::TooLarge { limit: 64 * 1024 },
        Problem::MediaType,
        Problem::ContentEncoding,
        Problem::field("data.total", "must not be negative"),
        Problem::InvalidBody("the body must be a JSON object, not a list".to_owned()),
        Problem::KeyReused { key: "ORD-1001".to_owned() },
        Problem::InProgress,
        Problem::Conflict("a chain called `beanery` exists already".to_owned()),
        Problem::RateLimited { whose: "key", limit: RequestsPerMinute::of(600), retry_after_s: 1 },
        Problem::TooManyAttempts { retry_after_s: 1 },
        Problem::Refused(Refused::new("last_admin_key", Unchanged::LastAdmin.to_string())),
    ]
}

/// What is wrong with a program, a filter or a transform.
fn programs() -> Vec<Problem> {
    let found = |code: &str, (file, line, column): (&str, usize, usize), source: &str, message: &str| {
        let word = source.get(column - 1..).and_then(|rest| rest.split('(').next()).unwrap_or_default();
        Diagnostic::told(&json!({
            "code": code, "file": file, "line": line, "column": column, "length": word.len(), "source": source,
            "message": message,
        }))
    };
    let no_function = "there is no function called `awrad`";
    let rule = found("unknown_function", ("earning.rhai", 2, 5), "    awrad(order.total);", no_function);
    let no_function = "there is no function called `flor`";
    let filter = found("unknown_function", ("filter", 1, 17), "event.amount >= flor(10)", no_function);
    let unusable = "`uper` cannot be used with (a text)";
    let transform = found("transform_fails", ("transform", 1, 13), "body.note = uper(\"hi\")", unusable);
    let transform =
        transform.map(|problem| TransformProblem { kind: Some(EventType::PointsEarned), problem });
    let mut all = vec![
        Problem::DoesNotCheck(rule.into_iter().collect()),
        Problem::BadFilter {
            field: "filter".to_owned(),
            problem: "does not check for points.earned: filter:1:17: there is no function called `flor`"
                .to_owned(),
            problems: filter.into_iter().collect(),
        },
        Problem::BacktestRunning,
        Problem::BacktestTooLarge { events: crate::read::backtest::MOST_EVENTS },
    ];
    all.extend(transform.map(|problem| Problem::BadTransform(Box::new(problem))));
    all
}

/// What keeps the server from answering.
fn server() -> Vec<Problem> {
    vec![
        Problem::QueryTimeout,
        Problem::Starting,
        Problem::Draining,
        Problem::Overloaded,
        Problem::Unavailable,
        Problem::NoRules("program.toml:3:1: a zone such as America/New_York is missing".to_owned()),
        Problem::NotATestClock,
    ]
}

/// What is refused about coupons.
const REJECTED: &[Rejection] = &[
    Rejection::NotFound,
    Rejection::BookNotFound,
    Rejection::NoFreeCode,
    Rejection::NotYetValid,
    Rejection::Expired,
    Rejection::Exhausted,
    Rejection::AssignLimitReached,
    Rejection::MemberLimitReached,
    Rejection::RecipientDoesNotMatch,
    Rejection::Reserved,
    Rejection::ReservationMissing,
    Rejection::ReservationLength,
    Rejection::UsageNotFound,
    Rejection::NotAUse,
    Rejection::AlreadyReverted,
];

/// Why nothing is learned of who stays away.
const UNLEARNED: &[churn::Refusal] = &[
    churn::Refusal::TooFewMembers { members: 31 },
    churn::Refusal::TooFewReturned { returned: 12 },
    churn::Refusal::Undecided,
];

/// What else is refused, and why.
const REFUSED: &[(&str, &str)] = &[
    ("version_conflict", "version 4 is in force by now; look at it, and send yours again on top of it"),
    ("candidate_exists", "version 2 is tried already; promote it or drop it first"),
    ("candidate_is_in_force", "these very files are in force for everybody already"),
    (
        "candidate_differs",
        "the tiers of the candidate are not those in force, and at locations both decide about the same members: publish them \
         for everybody first, or try the candidate on a share of the members",
    ),
    ("no_candidate", "no candidate is tried; begin with POST …/program/candidate"),
    ("too_many_changes", "it was changed very often; promote it, or drop it and begin anew"),
    ("not_suspended", "the rule \"Points per dollar\" is not suspended"),
    ("identity_taken", "email ana@example.com belongs to another member"),
    ("member_exists", "these identities belong to the member m-42"),
    ("member_erased", "the member was erased; nothing can be done for them any more"),
    ("not_born_yet", "the birthdate 2062-02-28 lies in the future"),
    ("profile_too_large", "the profile would have 4711 bytes; at most 4096 are kept"),
    ("too_many_identities", "together they have 33 identities; at most 32 are kept"),
    ("unknown_member", "`from` names no member of this chain"),
    ("same_member", "`from` names the very member that would absorb them"),
    ("too_many_merges", "a member may absorb 16 others at most"),
    ("not_merged", "mem_01HZY3V9W8Q2C5N7R4T6XKBMDG was not merged into this member"),
    ("unknown_receipt", "no order without a guest has the code `ORD-1002`"),
    ("already_claimed", "order ORD-1002 is this member's already; it counts once"),
    ("claimed_by_another", "order ORD-1002 is another member's"),
    ("claim_too_late", "order ORD-1002 came more than 30 days ago"),
    ("insufficient_points", "the balance is 24, so 50 cannot be taken"),
    ("too_many_points", "the balance would pass 1000000000000 points"),
    ("unknown_wallet", "there is no wallet called `miles` in program.toml"),
    ("nothing_pending", "nothing that `ORD-1001` earned waits to be confirmed"),
    ("unknown_tier", "there is no tier called `platinum` in program.toml"),
    ("until_has_passed", "`until` has passed already; name a time to come"),
    ("no_manual_tier", "nobody gave the member a tier that could be taken away"),
    ("unknown_reward", "there is no reward called `tea` in program.toml"),
    ("out_of_stock", "nothing is left of `coffee`"),
    ("reward_limit_reached", "a member may have 1 of `coffee`, and has them"),
    ("too_many_redemptions", "50 redemptions of this member are open; fulfil or cancel one first"),
    ("unknown_redemption", "this member has no redemption rdm_01HZY3V9W8Q2C5N7R4T6XKBMDG"),
    ("redemption_not_pending", "the redemption is fulfilled; only one that is pending can be"),
    ("redemption_not_approved", "the redemption is pending; only one that is approved can be"),
    ("redemption_not_open", "the redemption is cancelled; only one that is pending or approved can be"),
    ("no_referrals", "program.toml has no [referrals]"),
    ("unknown_referral_code", "`7QX2M4ABCDEF` is the code of no member"),
    ("self_referral", "nobody can bring themselves"),
    ("already_referred", "the member was brought by somebody already"),
    ("not_a_new_member", "only a member who enrolled lately and has not been here yet can be referred"),
    ("referral_limit_reached", "the owner of the code has brought as many members as the program rewards"),
    ("no_referral", "the member was brought by nobody"),
    ("referral_not_pending", "the member's referral is approved already"),
];
