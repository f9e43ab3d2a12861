//! Decisions: which rules run, what they see, what becomes of failures, and who hears of it.

use super::*;
use crate::domain::effect::RuleFailure;
use crate::domain::endpoint::EndpointState;
use crate::domain::ids::EndpointId;
use crate::domain::loyalty_event::{EventData, EventType};
use crate::domain::money::Points;
use crate::domain::receipt::SourceStatus;
use crate::domain::text::{Name, Note};

const ORDER: &str = r#""total": 10.00"#;

fn effects(commit: &Commit) -> Vec<(String, i64)> {
    let receipt = &commit.source.as_ref().unwrap().receipt;
    receipt.effects.iter().map(|line| (line.rule.to_string(), line.amount.unwrap_or_default())).collect()
}

fn errors(commit: &Commit) -> Vec<(String, String)> {
    let receipt = &commit.source.as_ref().unwrap().receipt;
    receipt.errors.iter().map(|failure| (failure.at.clone(), failure.error.clone())).collect()
}

fn kinds(commit: &Commit) -> Vec<EventType> {
    commit.events.iter().map(|event| event.kind()).collect()
}

pub(super) fn endpoint(n: u128, events: &[&str], tags: &[&str]) -> Arc<Endpoint> {
    let now = at("2026-01-01T00:00:00Z");
    Arc::new(Endpoint {
        id: EndpointId::new(Ulid(n)),
        chain: chain().id,
        events: events.iter().map(|pattern| pattern.parse().unwrap()).collect(),
        tags: tags.iter().map(|tag| Name::parse(tag).unwrap()).collect(),
        state: EndpointState::Disabled { reason: Note::parse("paused").unwrap(), at: now },
        ..Endpoint::sample("https://example.com/")
    })
}

#[test]
fn rules_run_by_priority_then_file_then_line() {
    let files = [
        ("b.rhai", "rule \"b\" on visit { award(2); }"),
        ("a.rhai", "rule \"a2\" on visit { award(1); }\nrule \"a3\" on visit { award(1); }"),
        (
            "c.rhai",
            "rule \"low\" on visit priority 1 { award(3); }\nrule \"high\" on visit priority 9 { award(4); }",
        ),
        ("program.toml", MANIFEST),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
    let mut life = Life::new(Program::load(&Sources { files }, &chain(), 1).unwrap());
    let names: Vec<_> =
        effects(&life.send(r#"{"type":"visit"}"#)).into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(names, ["high", "low", "a2", "a3", "b"]);
}

#[test]
fn rules_see_the_event_counted_but_not_each_others_effects() {
    let mut life = Life::new(program(
        "rule \"first\" on order.completed { award(100); set_tier(\"gold\"); }\n\
         rule \"second\" on order.completed when member.points == 0 and member.tier == \"bronze\" and member.visits == 1 { award(1); }",
    ));
    assert_eq!(effects(&life.order(ORDER)).len(), 3);
    assert_eq!(life.member.standing.points(), Points(101));
}

#[test]
fn a_failing_rule_leaves_nothing_behind_and_the_others_stand() {
    let rules = "rule \"good\" on visit priority 2 { award(5); }\n\
                 rule \"bad\" on visit priority 1 {\n  award(7);\n  award(1 / (member.points - member.points));\n}\n\
                 rule \"also good\" on visit { award(6); }";
    let mut life = Life::new(program(&rules.replace("1 /", "1.0 /")));
    let commit = life.send(r#"{"type":"visit"}"#);
    assert_eq!(effects(&commit), [("good".to_owned(), 5), ("also good".to_owned(), 6)]);
    assert_eq!(commit.source.as_ref().unwrap().status(), SourceStatus::Failed);
    let [(place, error)] = &errors(&commit)[..] else { panic!("{commit:?}") };
    assert_eq!(place, "a.rhai:4:13");
    assert!(error.contains("zero"), "{error}");
}

#[test]
fn an_effect_that_cannot_be_applied_fails_its_rule_at_its_head() {
    let mut life = Life::new(program("rule \"a\" on visit { award(5); award_to(1, \"no\" + \"ne\"); }"));
    let commit = life.send(r#"{"type":"visit"}"#);
    assert_eq!(errors(&commit)[0].0, "a.rhai:1:1");
    assert_eq!(life.member.standing.points(), Points::ZERO);
}

#[test]
fn a_failure_in_a_function_is_placed_in_the_functions_file() {
    let files = [
        ("a.rhai", "rule \"a\" on visit { award(half(member.points + 0.5)); }"),
        ("z.rhai", "// shared\n\nfn half(n) {\n  n / (n - n)\n}"),
        ("program.toml", MANIFEST),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
    let mut life = Life::new(Program::load(&Sources { files }, &chain(), 1).unwrap());
    let commit = life.send(r#"{"type":"visit"}"#);
    let [(place, error)] = &errors(&commit)[..] else { panic!("{commit:?}") };
    assert_eq!(place, "z.rhai:4:5");
    assert!(error.contains("in function `half`"), "{error}");
}

#[test]
fn a_replay_runs_only_the_rules_that_failed() {
    let mut life = Life::new(program("rule \"a\" on visit { award(1); }\nrule \"b\" on visit { award(2); }"));
    let event = SourceEvent::parse(br#"{"type":"visit"}"#, &life.chain.currency, life.now).unwrap();
    let input = SourceInput {
        id: SourceId::new(Ulid(9)),
        event: Arc::new(event),
        received_at: life.now,
        from: SourceOrigin::Stored { status: SourceStatus::Failed, runs: 1 },
    };
    let commit = life.decide(Occasion::Source(input), Some(vec![RuleFailure::new("b", "", "")]));
    assert_eq!(effects(&commit), [("b".to_owned(), 2)]);
    assert_eq!(life.member.history.lifetime_visits, 0);
}

#[test]
fn an_order_that_was_completed_before_starts_no_rules() {
    let mut life = Life::new(program("rule \"a\" on order.completed { award(1); }"));
    let body =
        |key| format!(r#"{{"key":"{key}","type":"order.completed","data":{{"order_id":"o","total":1}}}}"#);
    life.send(&body("k1"));
    let commit = life.send(&body("k2"));
    assert_eq!(effects(&commit), []);
    assert_eq!(life.member.standing.points(), Points(1));
}

#[test]
fn a_refund_takes_back_exactly_what_its_order_earned() {
    let mut life = Life::new(program(
        "rule \"earn\" on order.completed { award(order.total * 1.5); }\n\
         rule \"back\" on order.refunded when refund.order_total == 10 and refund.order_points == 15 { take_back(); }",
    ));
    life.order(ORDER);
    for (refund, left) in [("3.33", 10), ("3.33", 5), ("3.34", 0), ("1", 0)] {
        let body = format!(r#"{{"type":"order.refunded","data":{{"order_id":"o0","amount":{refund}}}}}"#);
        let commit = life.send(&body);
        assert_eq!(errors(&commit), []);
        assert_eq!(life.member.standing.points(), Points(left), "{refund}");
    }
}

#[test]
fn absent_money_reads_as_zero_and_absent_text_as_empty() {
    let condition = "order.tip == 0 and order.tax == 0 and order.subtotal == 0 and order.discount == 0 \
                     and order.channel == \"\" and order.location == \"\" and order.items.len == 0";
    let mut life =
        Life::new(program(&format!("rule \"a\" on order.completed when {condition} {{ award(1); }}")));
    assert_eq!(effects(&life.order(ORDER)).len(), 1);
}

#[test]
fn without_a_rhythm_nobody_is_away_too_long() {
    let mut life = Life::new(program(
        "rule \"a\" on tick.daily when member.days_since_last_visit > 2.5 * member.typical_gap_days { mark(\"at_risk\"); }",
    ));
    life.send(r#"{"type":"visit"}"#);
    life.now = at("2040-01-01T08:00:00Z");
    assert_eq!(life.tick(TickType::Daily).events, []);
}

#[test]
fn times_are_those_of_the_chains_calendar() {
    let condition = "visit.at.weekday == \"Tuesday\" and visit.at.hour == 23 and visit.at.minute == 30 \
                     and visit.at.date == \"2026-03-03\" and visit.at.day == 3 and visit.at.month == 3 and visit.at.year == 2026";
    let mut life = Life::new(program(&format!("rule \"a\" on visit when {condition} {{ award(1); }}")));
    life.now = at("2026-03-04T05:00:00Z");
    let commit = life.send(r#"{"type":"visit","occurred_at":"2026-03-04T04:30:00Z"}"#);
    assert_eq!(effects(&commit).len(), 1);
}

#[test]
fn a_new_member_is_new_for_one_event() {
    let mut life = Life::new(program("rule \"a\" on visit when member.is_new { award(1); }"));
    assert_eq!(effects(&life.send(r#"{"type":"visit"}"#)).len(), 1);
    assert_eq!(effects(&life.send(r#"{"key":"2","type":"visit"}"#)).len(), 0);
}

#[test]
fn every_endpoint_that_wants_an_event_gets_exactly_one_delivery_of_it() {
    let mut life = Life::new(program(
        "rule \"a\" on visit { award(5); }\n\
         trigger \"t\" on points.earned when event.amount >= 5 and member.points == 5 { forward(\"crm\"); forward(\"crm\"); }\n\
         trigger \"u\" on points.earned { forward(\"crm\"); }\n\
         trigger \"v\" on points.earned when event.amount > 5 { forward(\"crm\"); }",
    ));
    life.endpoints = vec![
        endpoint(1, &["*"], &["crm"]),
        endpoint(2, &[], &["crm"]),
        endpoint(3, &["member.enrolled", "points.*"], &[]),
        endpoint(4, &["tier.*"], &["other"]),
    ];
    let commit = life.send(r#"{"type":"visit"}"#);
    assert_eq!(
        kinds(&commit),
        [EventType::MemberEnrolled, EventType::VisitRecorded, EventType::PointsEarned]
    );
    let sent: Vec<_> = commit
        .deliveries
        .iter()
        .map(|d| (commit.events.iter().position(|e| e.id == d.event).unwrap(), d.endpoint.ulid().0))
        .collect();
    assert_eq!(sent, [(0, 1), (0, 3), (1, 1), (2, 1), (2, 2), (2, 3)]);
    let mut ids: Vec<_> = commit.deliveries.iter().map(|d| d.id).collect();
    ids.dedup();
    assert_eq!(ids.len(), 6);
    assert!(commit.deliveries.iter().all(|d| d.due_at == life.now));
}

#[test]
fn a_failing_trigger_forwards_nothing_and_is_noted() {
    let mut life = Life::new(program(
        "rule \"a\" on visit { award(5); }\ntrigger \"t\" on points.earned { forward(\"crm\"); if event.amount / (event.amount - 5.0) > 1 { } }",
    ));
    life.endpoints = vec![endpoint(1, &[], &["crm"])];
    let commit = life.send(r#"{"type":"visit"}"#);
    assert_eq!(commit.deliveries, []);
    let receipt = &commit.source.as_ref().unwrap().receipt;
    assert_eq!(receipt.status, SourceStatus::Processed);
    assert!(receipt.notes[0].starts_with("trigger \"t\" failed at a.rhai:2:"), "{:?}", receipt.notes);
}

#[test]
fn members_are_armed_once_and_again_after_each_tick() {
    let mut life = Life::new(program("rule \"a\" on tick.daily { }\nrule \"b\" on tier.review { }"));
    assert_eq!(life.program.awaited_ticks, [TickType::Daily, TickType::TierReview]);
    let three = |day| at(&format!("2026-03-{day}T08:00:00Z"));
    life.send(r#"{"type":"visit"}"#);
    assert_eq!(life.member.next_wake_at, Some(three("04")));
    life.now = at("2026-03-05T00:00:00Z");
    life.send(r#"{"key":"2","type":"visit"}"#);
    assert_eq!(life.member.next_wake_at, Some(three("04")));
    life.tick(TickType::Daily);
    assert_eq!(life.member.next_wake_at, Some(three("05")));
    life.now = at("2026-03-05T08:00:00Z");
    life.tick(TickType::Daily);
    assert_eq!(life.member.next_wake_at, Some(three("06")));
    life.now = at("2026-03-05T07:00:00Z"); // the memory of the last answer must not outlive its truth
    life.tick(TickType::Daily);
    assert_eq!(life.member.next_wake_at, Some(three("05")));
}

#[test]
fn a_chain_without_a_program_records_facts_and_earns_nothing() {
    let mut life = Life::new(Program::empty(&chain()));
    let commit = life.order(ORDER);
    assert_eq!(kinds(&commit), [EventType::MemberEnrolled, EventType::OrderCompleted]);
    assert!(life.member.next_wake_at.is_some());
    assert_eq!(commit.source.unwrap().receipt.program_version, 0);
}

#[test]
fn programs_that_share_a_thread_do_not_mix() {
    let mut lives: Vec<_> = (1..100)
        .map(|n| {
            Life::new(program(&format!(
                "const N = {n};\nfn f() {{ N }}\nrule \"a\" on visit {{ award(f()); }}"
            )))
        })
        .collect();
    for round in 1..3 {
        for (life, n) in lives.iter_mut().zip(1..) {
            life.send(&format!(r#"{{"key":"{round}","type":"visit"}}"#));
            assert_eq!(life.member.standing.points(), Points(n * round));
        }
    }
}

#[test]
fn reasons_default_to_the_rules_name() {
    let mut life =
        Life::new(program("rule \"Just so\" on visit { award(1); award(2.9, \"Because\"); deduct(1); }"));
    let commit = life.send(r#"{"type":"visit"}"#);
    let reasons: Vec<_> = commit.transfers.iter().map(|t| (&*t.reason, t.amount.0)).collect();
    assert_eq!(reasons, [("Just so", 1), ("Because", 2), ("Just so", 1)]);
    assert!(matches!(&commit.events[2].data, EventData::PointsEarned(moved) if &*moved.reason == "Just so"));
}

#[test]
fn rules_on_signals_and_profiles_see_what_was_said() {
    let rules = "rule \"Tap\" on signal when event.name == \"nfc_tap\" and event.data.strength > 2 { award(1); }\n\
                 rule \"Speaks\" on member.updated when event.changed.contains(\"language\") { award(10); }";
    let mut life = Life::new(program(rules));
    let signal = |key: &str, strength: u8| {
        format!(
            r#"{{"key":"{key}","type":"signal","data":{{"name":"nfc_tap","data":{{"strength":{strength}}}}}}}"#
        )
    };
    life.send(&signal("s1", 2));
    assert_eq!(life.member.standing.points().0, 0);
    life.send(&signal("s2", 3));
    assert_eq!(life.member.standing.points().0, 1);
    life.send(r#"{"key":"u1","type":"member.updated","data":{"first_name":"Ana"}}"#);
    assert_eq!(life.member.standing.points().0, 1);
    life.send(r#"{"key":"u2","type":"member.updated","data":{"language":"pt"}}"#);
    life.send(r#"{"key":"u3","type":"member.updated","data":{"language":"pt"}}"#);
    assert_eq!(life.member.standing.points().0, 11, "what stays as it is is no change");
}

/// What rules with one effect each say, which is refused when it comes to it, after so many visits.
const REFUSED: &[(&str, usize)] = &[
    ("award(1000000000000)", 0),
    ("award_to(1, \"\", \"no\" + \"ne\")", 0),
    ("award_to(1, \"late\", \"held\")", 100),
    ("set_tier(\"no\" + \"ne\")", 0),
    ("recommend(\"call\")", 0),
    ("count(\"stamps\", 1000000000000)", 0),
    ("count(\"no\" + \"ne\")", 0),
    ("reset(\"no\" + \"ne\")", 0),
    ("unmark(\"no\" + \"ne\")", 0),
    ("mark(\"no\" + \"ne\")", 0),
    ("emit(\"no\" + \"ne\")", 0),
    ("progress(\"no\" + \"ne\")", 0),
];

#[test]
fn a_single_effect_that_is_refused_changes_nothing() {
    let manifest = MANIFEST.to_owned()
        + "counters = [\"stamps\"]\n[[wallets]]\ncode = \"points\"\n[[wallets]]\ncode = \"held\"\npending = \"until confirmed\"\n";
    let life = |rule: &str| {
        let rules = format!(
            "rule \"a\" on visit priority 1 {{ award(5); count(\"stamps\"); }}\n\
             rule \"b\" on order.completed priority 1 {{ award(5); count(\"stamps\"); }}\n\
             rule \"c\" on visit when member.visits <= 100 {{ award_to(1, \"visit\", \"held\"); }}\n{rule}"
        );
        let files = [("a.rhai", rules), ("program.toml", manifest.clone())];
        let files = files.map(|(name, text)| (name.to_owned(), text)).to_vec();
        let program = Program::load(&Sources { files }, &chain(), 1);
        Life::new(program.unwrap_or_else(|problems| panic!("{problems:#?}")))
    };
    for (effect, visits) in REFUSED {
        for event in ["visit", "order.completed"] {
            let rule = format!("rule \"refused\" on {event} when member.visits > {visits} {{ {effect}; }}");
            let [with, without] = [rule.as_str(), ""].map(|rule| {
                let mut life = life(rule);
                (0..*visits).for_each(|n| drop(life.send(&format!(r#"{{"key":"v{n}","type":"visit"}}"#))));
                match event {
                    "visit" => life.send(r#"{"type":"visit"}"#),
                    _ => life.order(ORDER),
                }
            });
            assert_eq!(errors(&with).len(), 1, "{effect} on {event}: {with:#?}");
            assert!(errors(&without).is_empty());
            let seen = |commit: &Commit| {
                let earned = commit.order.as_ref().map(|order| order.earned().to_vec());
                let told: Vec<_> = commit.events.iter().map(|event| event.data.clone()).collect();
                let receipt = &commit.source.as_ref().unwrap().receipt;
                let standing = commit.member.as_ref().unwrap().standing.clone();
                (standing, earned, commit.transfers.clone(), told, receipt.effects.clone())
            };
            assert_eq!(seen(&with), seen(&without), "{effect} on {event}");
        }
    }
}
