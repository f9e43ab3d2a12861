//! Rules that keep failing: who is counted, and what a suspended one does to its event.

use serde_json::json;

use super::decide::endpoint;
use super::orders::life as life_of;
use super::*;
use crate::domain::decide::SourceInput;
use crate::domain::loyalty_event::{EventData, EventType};
use crate::domain::receipt::SourceStatus;
use crate::domain::suspension::{Ending, RuleResumed, Suspension};
use crate::domain::terms::failure::FailureTerms;
use crate::rules::decide::{decide_and_tell, decide_and_watch, tell};

const BROKEN: &str = "order.total / (order.total - order.total)";

/// A suspension of a rule of these tests.
fn suspension(rule: &str) -> Suspension {
    Suspension {
        rule: rule.into(),
        at: "a.rhai:2".into(),
        version: 7,
        since: at("2026-03-03T18:00:00Z"),
        members: 10,
        failed_at: "a.rhai:3:9".into(),
        error: "Division by zero: 10 / 0".into(),
    }
}

fn suspended(rules: &str, names: &[&str]) -> Life {
    Life::new(program(rules).suspending(names.iter().map(|name| suspension(name)).collect()))
}

fn status(commit: &Commit) -> SourceStatus {
    commit.source.as_ref().unwrap().status()
}

#[test]
fn a_suspended_rule_is_not_run_its_siblings_are_and_a_replay_runs_it_alone() {
    let rules =
        "rule \"good\" on order.completed { award(1); }\nrule \"bad\" on order.completed { award(10); }";
    let mut life = suspended(rules, &["bad"]);
    let commit = life.order(r#""total":10"#);
    let receipt = receipt(&commit);
    assert_eq!((&receipt["status"], &receipt["member"]["points"]), (&json!("failed"), &json!(1)));
    let [error] = receipt["errors"].as_array().unwrap().as_slice() else { panic!("{receipt}") };
    assert_eq!(
        (&error["rule"], &error["at"], &error["code"]),
        (&json!("bad"), &json!("a.rhai:2:1"), &json!("suspended"))
    );
    let told = error["error"].as_str().unwrap();
    for part in ["since 2026-03-03T18:00:00Z", "10 members in a row", "a.rhai:3:9: Division by zero"] {
        assert!(told.contains(part), "{told}");
    }
    let still = life.replay(&commit);
    assert_eq!((status(&still), life.balance()), (SourceStatus::Failed, 1));
    life.program = life.program.suspending(Vec::new());
    let again = life.replay(&still);
    assert_eq!((status(&again), life.balance()), (SourceStatus::Processed, 11));
}

#[test]
fn an_event_on_which_it_would_plainly_have_done_nothing_is_processed() {
    for (condition, status_of_small) in [
        ("order.total > 50", SourceStatus::Processed),
        ("order.total * 2 > 100", SourceStatus::Processed),
        // Only the interpreter knows.
        ("[order.total].len == 1 && order.total > 50", SourceStatus::Failed),
    ] {
        let rules = format!("rule \"bad\" on order.completed when {condition} {{ award(10); }}");
        let mut life = suspended(&rules, &["bad"]);
        assert_eq!(status(&life.order(r#""total":10"#)), status_of_small, "{condition}");
        assert_eq!(status(&life.order(r#""total":60"#)), SourceStatus::Failed, "{condition}");
        assert_eq!(status(&life.send(r#"{"key":"v","type":"visit","data":{}}"#)), SourceStatus::Processed);
    }
}

#[test]
fn a_suspended_rule_on_what_was_told_reacts_to_the_very_same_later() {
    let rules = "rule \"base\" on order.completed { award(5); }\n\
                 rule \"echo\" on points.earned when event.amount > 4 { award(event.amount - 4); }";
    let mut life = suspended(rules, &["echo"]);
    let commit = life.order(r#""total":10"#);
    let errors = &receipt(&commit)["errors"];
    assert_eq!(
        (&errors[0]["code"], &errors[0]["reacted_to"]["type"]),
        (&json!("suspended"), &json!("points.earned"))
    );
    assert_eq!(life.balance(), 5);
    life.program = life.program.suspending(Vec::new());
    assert_eq!(status(&life.replay(&commit)), SourceStatus::Processed);
    assert_eq!(life.balance(), 6, "as after 5, not after 5 and 1");
}

#[test]
fn a_tick_on_which_a_suspended_rule_would_have_run_is_kept() {
    let mut life = suspended("rule \"nightly\" on tick.daily { award(3); }", &["nightly"]);
    let kept = life.tick(TickType::Daily);
    assert_eq!((status(&kept), life.balance()), (SourceStatus::Failed, 0));
    life.program = life.program.suspending(Vec::new());
    life.replay(&kept);
    assert_eq!(life.balance(), 3);
    assert!(life.tick(TickType::Daily).source.is_none(), "the next night is a night like any other");
}

#[test]
fn an_order_that_changes_meanwhile_is_settled_as_it_has_become() {
    let mut life = life_of("", "rule \"flat\" on order.completed { award(order.total); }");
    life.tell("order.completed", r#""total":50,"version":1"#);
    let version = life.program.version;
    life.program = life.program.suspending(vec![Suspension { version, ..suspension("flat") }]);
    let changed = life.tell("order.updated", r#""total":60,"version":2"#);
    assert_eq!((status(&changed), life.balance()), (SourceStatus::Failed, 50));
    life.program = life.program.suspending(Vec::new());
    life.replay(&changed);
    assert_eq!(life.balance(), 60);
}

#[test]
fn suspensions_of_another_version_count_for_nothing() {
    let other = Suspension { version: 6, ..suspension("good") };
    let program = program("rule \"good\" on order.completed { award(1); }").suspending(vec![other]);
    assert!(program.suspended().is_empty());
    assert_eq!(status(&Life::new(program).order(r#""total":10"#)), SourceStatus::Processed);
}

/// Guests of one program, each of whom orders when asked to; answers which rules are to be suspended then.
struct Guests {
    program: Program,
    orders: u128,
}

impl Guests {
    fn of(rules: &str, suspend_after: u16) -> Self {
        let mut program = program(rules);
        let failures = FailureTerms { suspend_after: std::num::NonZeroU16::new(suspend_after) };
        let terms = crate::domain::terms::Terms::clone(&program.terms);
        program.terms = crate::domain::terms::Terms { failures, ..terms }.into();
        Self { program, orders: 0 }
    }

    fn order(&mut self, guest: u128, total: i64) -> Vec<Suspension> {
        self.orders += 1;
        let mut life = Life::new(self.program.clone());
        life.member = Member { id: MemberId::new(Ulid(guest)), ..life.member };
        let n = self.orders;
        let body = format!(
            r#"{{"key":"k{n}","type":"order.completed","data":{{"order_id":"o{n}","total":{total}}}}}"#
        );
        let event = SourceEvent::parse(body.as_bytes(), &life.chain.currency, life.now).unwrap();
        let input = SourceInput {
            id: SourceId::new(Ulid(n << 64)),
            event: Arc::new(event),
            received_at: life.now,
            from: SourceOrigin::Outside,
        };
        let case = life.case(Occasion::Source(input), None);
        let (commit, succeeded) = decide_and_watch(&self.program, &life.chain.id, &[], case).unwrap();
        let failures = &commit.source.as_ref().unwrap().receipt.errors;
        self.program.take_note(life.member.id, failures, &succeeded, life.now)
    }

    /// Everybody orders once, in this order; whether a rule is to be suspended after each.
    fn all(&mut self, orders: &[(u128, i64)]) -> Vec<bool> {
        orders.iter().map(|(guest, total)| !self.order(*guest, *total).is_empty()).collect()
    }
}

/// Fails for orders of 13, does nothing for those below 5.
const FAILS_FOR_13: &str =
    "rule \"bad\" on order.completed when order.total > 4 { award(13 / (order.total - 13)); }";

#[test]
fn a_rule_is_to_be_suspended_when_it_failed_for_enough_members_in_a_row() {
    let mut guests = Guests::of(FAILS_FOR_13, 3);
    let [first, second] = [1, 2].map(|guest| guests.order(guest, 13));
    assert!(first.is_empty() && second.is_empty());
    let due = guests.order(3, 13);
    let [due] = due.as_slice() else { panic!("{due:?}") };
    assert_eq!((&*due.rule, &*due.at, due.version, due.members), ("bad", "a.rhai:1", 7, 3));
    assert!(due.failed_at.starts_with("a.rhai:1:") && due.error.contains("zero"), "{due:?}");
    guests.program = guests.program.suspending(vec![due.clone()]);
    assert_eq!(
        guests.all(&[(4, 13), (5, 13), (6, 13), (7, 13)]),
        [false; 4],
        "a suspended rule does not fail"
    );
    guests.program = guests.program.suspending(Vec::new());
    assert_eq!(
        guests.all(&[(3, 13), (4, 13), (5, 13)]),
        [false, false, true],
        "it begins with a clean sheet"
    );
}

#[test]
fn who_fails_again_and_again_counts_once_and_a_success_of_anybody_clears_everything() {
    let mut guests = Guests::of(FAILS_FOR_13, 3);
    assert_eq!(guests.all(&[(1, 13); 20]), [false; 20]);
    let mut guests = Guests::of(FAILS_FOR_13, 3);
    assert_eq!(
        guests.all(&[(1, 13), (2, 13), (9, 20), (3, 13), (4, 13), (5, 13)]),
        [false, false, false, false, false, true]
    );
    // What it does nothing about says nothing about it.
    let mut guests = Guests::of(FAILS_FOR_13, 3);
    assert_eq!(guests.all(&[(1, 13), (2, 13), (9, 1), (3, 13)]), [false, false, false, true]);
}

#[test]
fn a_program_that_says_never_suspends_nothing() {
    let mut guests = Guests::of(FAILS_FOR_13, 0);
    assert!((1..50).all(|guest| guests.order(guest, 13).is_empty()));
}

#[test]
fn what_is_no_mistake_of_a_rule_that_ran_is_not_counted() {
    let guests = Guests::of(FAILS_FOR_13, 2);
    let mut gone = Life::new(program(FAILS_FOR_13));
    let failed = gone.order(r#""total":13"#);
    gone.program = program("rule \"renamed\" on order.completed { award(1); }");
    let missing = gone.replay(&failed);
    assert_eq!(receipt(&missing)["errors"][0]["code"], "no_such_rule");
    let suspended = suspended(FAILS_FOR_13, &["bad"]).order(r#""total":13"#);
    for commit in [missing, suspended] {
        let failures = &commit.source.as_ref().unwrap().receipt.errors;
        let note = |guest| {
            guests.program.take_note(MemberId::new(Ulid(guest)), failures, &[], at("2026-03-03T19:00:00Z"))
        };
        assert!((1..9).all(|guest| note(guest).is_empty()), "{failures:?}");
    }
}

#[test]
fn who_only_waits_for_a_broken_rule_of_its_group_is_not_suspended() {
    let rules = "rule \"bad\" on order.completed when order.total > 0 group \"g\" { award(13 / (order.total - 13)); }\n\
        rule \"good\" on order.completed group \"g\" { award(1); }";
    let program = life_of("[[groups]]\nid = \"g\"\npick = \"first\"\n", rules).program;
    let mut guests = Guests { program, orders: 0 };
    let due: Vec<_> = (1..=10).flat_map(|guest| guests.order(guest, 13)).collect();
    assert_eq!(due.iter().map(|suspension| &*suspension.rule).collect::<Vec<_>>(), ["bad"]);
}

#[test]
fn a_dry_run_says_that_a_rule_is_suspended_and_why() {
    let rules = format!(
        "rule \"bad\" on order.completed when order.total > 4 {{ award({BROKEN}); }}\nrule \"good\" on order.completed {{ award(1); }}"
    );
    let life = suspended(&rules, &["bad"]);
    let judged = |total: i64| {
        let body =
            format!(r#"{{"key":"k","type":"order.completed","data":{{"order_id":"o","total":{total}}}}}"#);
        let event = SourceEvent::parse(body.as_bytes(), &life.chain.currency, life.now).unwrap();
        let (id, from) = (SourceId::new(Ulid(9 << 64)), SourceOrigin::Outside);
        let input = SourceInput { id, event: Arc::new(event), received_at: life.now, from };
        let case = life.case(Occasion::Source(input), None);
        let program = life.program.telling_why();
        let decided = decide_and_tell(&program, &life.chain.id, &[], case).unwrap();
        serde_json::to_value(decided.minutes.rules).unwrap()
    };
    let verdict = json!({ "rule": "bad", "at": "a.rhai:1", "on": "order.completed", "verdict": "suspended",
        "since": "2026-03-03T18:00:00Z", "members": 10, "failed_at": "a.rhai:3:9", "error": "Division by zero: 10 / 0" });
    let rules = judged(10);
    assert_eq!((&rules[0], &rules[1]["verdict"]), (&verdict, &json!("fired")));
    assert_eq!(judged(3)[0]["verdict"], "not_fired");
}

#[test]
fn what_is_told_of_rules_goes_to_subscribers_and_to_whom_triggers_name() {
    let program = program("trigger \"to us\" on rule.suspended { forward(\"crm\"); }");
    let endpoints =
        [endpoint(1, &["rule.*"], &[]), endpoint(2, &[], &["crm"]), endpoint(3, &["points.earned"], &[])];
    let bad = suspension("bad");
    let told = [
        EventData::RuleSuspended(Box::new((&bad).into())),
        EventData::RuleResumed(RuleResumed::of(&bad, &Ending::Published(8)).into()),
    ];
    let commit = tell(&program, &chain().id, &endpoints, told, Ulid(5 << 64), at("2026-03-03T19:00:00Z"));
    let goes = |n: usize| {
        let to = commit.deliveries.iter().filter(|delivery| delivery.event == commit.events[n].id);
        to.map(|delivery| delivery.endpoint.ulid().0).collect::<Vec<_>>()
    };
    assert_eq!((goes(0), goes(1)), (vec![1, 2], vec![1]));
    assert!(commit.member.is_none() && commit.source.is_none() && commit.transfers.is_empty());
}

#[test]
fn triggers_start_on_whatever_the_engine_tells_of_its_own_work() {
    for kind in EventType::ALL.iter().filter(|kind| kind.is_about_engine()) {
        let program = program(&format!("trigger \"to us\" on {kind} {{ forward(\"crm\"); }}"));
        let (told, now) = ([kind.example().data], at("2026-03-03T19:00:00Z"));
        let commit = tell(&program, &chain().id, &[endpoint(2, &[], &["crm"])], told, Ulid(5 << 64), now);
        assert_eq!(commit.deliveries.len(), 1, "{kind}");
    }
}
