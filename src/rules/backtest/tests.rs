use std::sync::Arc;

use serde_json::json;
use ulid::Ulid;

use super::super::program::Sources;
use super::super::tests::{Life as Reality, MANIFEST, at, chain, program};
use super::*;
use crate::domain::commit::{Commit, SourceChange};
use crate::domain::ids::MemberId;
use crate::domain::ledger::Transfer;
use crate::domain::schedule::TickType;
use crate::domain::statement::{self, Held};

struct Nothing;

impl Elsewhere for Nothing {}

const PLAIN: &str = r#"rule "Points" on order.completed { award(order.total); }
rule "Back" on order.refunded { take_back("refund"); }"#;

fn plan(baseline: &str, candidate: &str, since: Option<&str>) -> Plan {
    Plan {
        chain: chain(),
        versions: Versions::only(program(baseline)),
        candidate: Arc::new(program(candidate)),
        since: since.map(at),
        until: at("2026-06-30T12:00:00Z"),
        endpoints: Vec::new(),
        foresight: Foresight::Nothing,
    }
}

/// An event of the n-th day of March.
fn heard(day: u128, kind: &str, data: &serde_json::Value) -> Heard {
    let received_at = at(&format!("2026-03-{day:02}T15:00:00Z"));
    let body = json!({ "key": format!("{kind} {day}"), "type": kind, "data": data }).to_string();
    let event = SourceEvent::parse(body.as_bytes(), &chain().currency, received_at).unwrap();
    Heard { id: SourceId::new(Ulid(day << 64)), event: event.into(), received_at, version: None }
}

fn order(day: u128, total: i64) -> Heard {
    heard(day, "order.completed", &json!({ "order_id": format!("o{day}"), "total": total }))
}

const ANA: MemberId = MemberId::new(Ulid(1));
const BO: MemberId = MemberId::new(Ulid(2));

/// The report on members and what was heard of each.
fn report(plan: &Plan, lives: &[(MemberId, Vec<Heard>)]) -> (Report, Vec<Line>) {
    let (mut report, mut lines) = (Report::new(plan, false), Vec::new());
    for (member, heard) in lives {
        let mut life = Life::new(plan);
        heard.iter().for_each(|heard| life.hear(*member, heard, &mut Nothing).unwrap());
        lines.extend(report.add(&life.end(*member, None, &mut Nothing).unwrap()));
    }
    (report, lines)
}

fn change(baseline: i64, candidate: i64) -> Change {
    Change { baseline, candidate, difference: candidate - baseline }
}

#[test]
fn a_candidate_that_pays_double_owes_double_and_a_refund_takes_double_back() {
    let plan = plan(PLAIN, &PLAIN.replace("order.total", "order.total * 2"), None);
    let refund = heard(3, "order.refunded", &json!({ "order_id": "o1", "full": true }));
    let lives = [(ANA, vec![order(1, 10), order(2, 5), refund]), (BO, vec![order(4, 7)])];
    let (report, lines) = report(&plan, &lives);
    assert_eq!((report.members, report.events), (2, 4));
    let wallet = report.points_issued.keys().next().unwrap().clone();
    assert_eq!(report.points_issued[&wallet], change(22, 44));
    assert_eq!(report.liability[&wallet], change(12, 24));
    assert_eq!(report.loyalty_events["points.earned"], change(3, 3));
    assert_eq!(
        lines.iter().map(|line| line.points[&wallet]).collect::<Vec<_>>(),
        [change(5, 10), change(7, 14)]
    );
    assert_eq!((report.members_with_more, report.members_with_less), (2, 0));
    assert_eq!(report.winners.iter().map(|line| line.member).collect::<Vec<_>>(), [BO, ANA]);
    assert_ne!(report.baseline_state, report.candidate_state);
    let text = report.to_text();
    assert!(text.contains("issued: points"), "{text}");
    assert!(text.contains("+7 points (14 instead of 7)"), "{text}");
}

#[test]
fn the_same_program_makes_no_difference_and_the_same_log_gives_the_same_bytes() {
    let plan = plan(PLAIN, PLAIN, Some("2026-03-02T00:00:00Z"));
    let lives = [(ANA, vec![order(1, 10), order(2, 5)]), (BO, vec![order(4, 7)])];
    let (first, lines) = report(&plan, &lives);
    assert_eq!((first.members_changed, lines.len(), first.events), (0, 0, 2));
    assert_eq!(first.baseline_state, first.candidate_state);
    let json = |report: &Report| serde_json::to_string(report).unwrap();
    let (second, _) = report(&plan, &lives);
    assert_eq!(json(&first), json(&second));
    assert_eq!(first.to_text(), second.to_text());
}

#[test]
fn each_guest_has_a_campaigns_budget_alone_and_the_report_says_when_it_would_have_run_out() {
    let rules =
        format!("{PLAIN}\nrule \"Double\" on order.completed campaign \"c\" {{ award(order.total); }}");
    for (budget, runs_out) in [(12, true), (13, false)] {
        let settings = format!("[[campaigns]]\nid = \"c\"\nname = \"C\"\nbudget = {budget}\n");
        let files = [("a.rhai", rules.clone()), ("program.toml", format!("{MANIFEST}{settings}"))];
        let files = files.map(|(name, text)| (name.to_owned(), text)).to_vec();
        let candidate = Program::load(&Sources { files }, &chain(), 8).unwrap();
        let plan = Plan { candidate: candidate.into(), ..plan(PLAIN, PLAIN, None) };
        let refund = heard(3, "order.refunded", &json!({ "order_id": "o1", "amount": 4 }));
        let lives = [(ANA, vec![order(1, 10), refund]), (BO, vec![order(4, 7)])];
        let (report, _) = report(&plan, &lives);
        assert_eq!(report.campaigns.values().copied().collect::<Vec<_>>(), [change(0, 13)]);
        assert_eq!(
            report.budgets_run_out.values().copied().collect::<Vec<_>>(),
            [12; 1][..usize::from(runs_out)]
        );
        let text = report.to_text();
        assert!(text.contains("given by campaign: c"), "{text}");
        let says = "campaign `c` would have run out of its budget of 12";
        assert_eq!(text.contains(says), runs_out, "{text}");
    }
}

#[test]
fn the_candidate_begins_with_the_state_as_it_was_then() {
    let fifth = r#"rule "Fifth" on order.completed when member.visits == 3 { award(100); }"#;
    let plan = plan(PLAIN, &format!("{PLAIN}\n{fifth}"), Some("2026-03-03T00:00:00Z"));
    let (report, lines) = report(&plan, &[(ANA, vec![order(1, 10), order(2, 5), order(3, 1), order(4, 1)])]);
    assert_eq!(report.events, 2);
    assert_eq!(report.points_issued.values().copied().collect::<Vec<_>>(), [change(2, 102)]);
    assert_eq!(lines[0].points.values().copied().collect::<Vec<_>>(), [change(17, 117)]);
}

#[test]
fn a_threshold_that_moves_moves_tiers_and_ticks_are_lived_between_the_events() {
    let tiers = |spend: u32| {
        format!("{PLAIN}\nrule \"Up\" on tick.daily when member.spend >= {spend} {{ set_tier(\"silver\"); }}")
    };
    let plan = plan(&tiers(20), &tiers(12), None);
    let (report, lines) = report(&plan, &[(ANA, vec![order(1, 15)]), (BO, vec![order(1, 25)])]);
    assert_eq!(report.tier_upgrades, change(1, 2));
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    let tier = |tier: &Option<crate::domain::text::Name>| tier.as_ref().unwrap().to_string();
    assert_eq!(
        (line.member, tier(&line.tier.0), tier(&line.tier.1)),
        (ANA, "bronze".into(), "silver".into())
    );
    assert_eq!((report.members_changed, report.members_with_more), (1, 0));
    assert!(line.to_csv().contains(",,,,,bronze,silver,0,0"), "{}", line.to_csv());
}

#[test]
fn who_turned_out_to_be_one_person_is_lived_as_one() {
    // Of whoever is lived first, the lives have parted when the other one's begins; what was before `since` still counts
    // as it was.
    for (since, candidate) in [(None, 34), (Some("2026-03-02T00:00:00Z"), 24)] {
        let plan = plan(PLAIN, &PLAIN.replace("order.total", "order.total * 2"), since);
        let mut life = Life::new(&plan);
        life.hear(BO, &order(2, 7), &mut Nothing).unwrap();
        life.hear(ANA, &order(1, 10), &mut Nothing).unwrap();
        let merge = heard(5, "member.merge", &json!({ "from": BO.to_string() }));
        life.hear(ANA, &merge, &mut Nothing).unwrap();
        let outcome = life.end(ANA, None, &mut Nothing).unwrap();
        assert_eq!(outcome.sides[0].refused, 0);
        let points = outcome.left.each_ref().map(|left| left.points.values().sum::<i64>());
        assert_eq!(points, [17, candidate], "{since:?}");
    }
}

#[test]
fn a_replay_that_does_not_come_to_what_is_stored_is_named() {
    let waiting = |pending: bool| {
        let wait = if pending { "pending = \"until confirmed\"\n" } else { "" };
        let manifest = format!("{MANIFEST}[[wallets]]\ncode = \"points\"\n{wait}");
        let files = [("a.rhai", PLAIN.to_owned()), ("program.toml", manifest)];
        let sources = Sources { files: files.map(|(name, text)| (name.to_owned(), text)).into() };
        Program::load(&sources, &chain(), 7).unwrap()
    };
    for pending in [false, true] {
        let plan = Plan { versions: Versions::only(waiting(pending)), ..plan(PLAIN, PLAIN, None) };
        for (total, differ) in [(10, 0), (11, 1)] {
            let mut stored = Reality::new(waiting(pending));
            stored.order(&format!(r#""total":{total}"#));
            let mut life = Life::new(&plan);
            life.hear(ANA, &order(3, 10), &mut Nothing).unwrap();
            let outcome = life.end(ANA, Some(&stored.member), &mut Nothing).unwrap();
            let mut report = Report::new(&plan, true);
            report.add(&outcome);
            let check = serde_json::to_value(report.self_check.unwrap()).unwrap();
            assert_eq!((&check["members"], &check["differ"]), (&json!(1), &json!(differ)), "{check}");
            let in_words = |points: i64| match pending {
                true => format!("0 and {points} pending"),
                false => points.to_string(),
            };
            if differ > 0 {
                let example = &check["examples"][0];
                assert_eq!(
                    (&example["what"], &example["member"]),
                    (&json!("points"), &json!(ANA.to_string()))
                );
                assert_eq!(
                    (&example["replayed"], &example["stored"]),
                    (&json!(in_words(10)), &json!(in_words(11)))
                );
            }
        }
    }
}

#[test]
fn what_falls_due_after_the_last_event_happens_until_the_end() {
    let night = format!("{PLAIN}\nrule \"Night\" on tick.daily {{ award(1); }}");
    let mut plan = plan(PLAIN, &night, None);
    plan.until = at("2026-03-08T17:00:00Z");
    let (report, _) = report(&plan, &[(ANA, vec![order(1, 10)])]);
    let nights = report.points_issued.values().next().unwrap().difference;
    assert!((6..=7).contains(&nights), "{nights}");
}

#[test]
fn who_loses_most_stands_first_and_only_the_first_are_named() {
    let plan = plan(PLAIN, "rule \"None\" on order.completed { award(1); }", None);
    let member = |n: u128| MemberId::new(Ulid(n));
    let lives: Vec<_> = (1..=12).map(|n| (member(n), vec![order(1, 10 * n as i64)])).collect();
    let (report, lines) = report(&plan, &lives);
    assert_eq!((report.members_with_less, lines.len()), (12, 12));
    let losers: Vec<_> = report.losers.iter().map(|line| line.member).collect();
    assert_eq!(losers, (3..=12).rev().map(member).collect::<Vec<_>>());
    assert!(report.winners.is_empty());
}

#[test]
fn a_version_that_cannot_be_had_is_an_error_and_names_itself() {
    let mut plan = plan(PLAIN, PLAIN, None);
    plan.versions = Versions::new(vec![(at("2026-01-01T00:00:00Z"), 3)], |_| Err("it is gone".to_owned()));
    let error = Life::new(&plan).hear(ANA, &order(1, 10), &mut Nothing).unwrap_err();
    assert!(error.to_string().contains("version 3") && error.to_string().contains("it is gone"), "{error}");
}

#[test]
fn what_a_spreadsheet_would_reckon_with_stays_text() {
    let plan = plan(PLAIN, &PLAIN.replace("order.total", "order.total * 2"), None);
    let mut life = Life::new(&plan);
    life.hear(ANA, &order(1, 10), &mut Nothing).unwrap();
    let mut outcome = life.end(ANA, None, &mut Nothing).unwrap();
    outcome.known_as = "=1+1,\"x\"".into();
    let row = outcome.difference().unwrap().to_csv();
    assert!(row.contains(",\"'=1+1,\"\"x\"\"\",points,10,20,10,"), "{row}");
}

const WHY: &str = r#"rule "Points" on order.completed when member.tier == "bronze" or member.visits_in(30.days) > 5 { award(order.total); }
rule "More" on order.completed when member.visits == 2 { award(10); }
rule "Night" on tick.daily when member.points > 10 { award(1); }
rule "Echo" on points.earned when event.amount in [7, 10] { award(3); }
rule "Up" on tick.daily when member.visits == 2 { set_tier("silver"); }"#;

/// Two orders, nights behind each of them, and the guest is another one by the end.
fn lived() -> Vec<Commit> {
    let mut life = Reality::new(program(WHY));
    let mut commits = vec![life.order(r#""total":10"#)];
    let night = |life: &mut Reality| {
        life.now = life.member.next_wake_at.unwrap();
        life.tick(TickType::Daily)
    };
    commits.extend([night(&mut life), night(&mut life)]);
    commits.push(life.order(r#""total":7"#));
    commits.extend([night(&mut life), night(&mut life)]);
    assert_eq!(life.member.standing.tier.as_deref(), Some("silver"));
    commits
}

/// The nth line of what was decided, as it is looked for.
fn line(commits: &[Commit], nth: usize) -> Sought {
    let mut held = Held::default();
    let lines: Vec<_> = commits.iter().flat_map(|commit| &commit.transfers).take(nth + 1).collect();
    for Transfer { wallet, debit, credit, amount, at, .. } in &lines {
        held.add(statement::Line { wallet, debit: *debit, credit: *credit, amount: *amount, at: *at });
    }
    let Transfer { member, source, at, wallet, debit, credit, amount, cause, .. } = lines[nth].clone();
    Sought { member, source, at, wallet: wallet.to_string(), debit, credit, amount, cause, held }
}

/// What was read for it in the same life, lived again.
fn read_for(commits: &[Commit], sought: Sought) -> Option<Vec<String>> {
    let versions = Versions::only(program(WHY));
    let plan = Plan::again(chain(), versions, Foresight::Nothing, sought.at);
    let whose = sought.member;
    let mut life = Life::searched_for(&plan, sought);
    for change in commits.iter().filter_map(|commit| commit.source.as_ref()) {
        let SourceChange { id, event, received_at, .. } = change;
        let heard = Heard { id: *id, event: event.clone(), received_at: *received_at, version: None };
        life.hear(whose, &heard, &mut Nothing).unwrap();
    }
    let found = life.found(&mut Nothing).unwrap()?;
    Some(found.iter().map(|read| format!("{} is {}", read.of, read.is)).collect())
}

#[test]
fn a_line_is_met_again_with_what_its_rule_read_at_that_time() {
    let commits = lived();
    let points = |visits, total| {
        let tier = "member.tier is \"bronze\"".to_owned();
        vec![tier, format!("member.visits_in(30.days) is {visits}"), format!("order.total is {total}")]
    };
    let one = |read: &str| vec![read.to_owned()];
    for (nth, (rule, read)) in [
        ("Points", points(1, 10)),
        ("Echo", one("event.amount is 10")),
        ("Night", one("member.points is 13")),
        ("Night", one("member.points is 14")),
        ("Points", points(2, 7)),
        ("More", one("member.visits is 2")),
        ("Echo", one("event.amount is 7")),
        ("Echo", one("event.amount is 10")),
        ("Night", one("member.points is 38")),
        ("Night", one("member.points is 39")),
    ]
    .into_iter()
    .enumerate()
    {
        let sought = line(&commits, nth);
        assert_eq!(&*sought.cause.rule, rule, "line {nth}");
        assert_eq!(read_for(&commits, sought), Some(read), "line {nth}");
    }
}

#[test]
fn of_a_line_to_which_the_life_does_not_come_nothing_is_said() {
    let commits = lived();
    let changed: [fn(&mut Sought); 4] = [
        |sought| sought.amount.0 += 1,
        |sought| sought.cause.rule = "Other".into(),
        |sought| sought.cause.program_version += 1,
        |sought| sought.source = Some(SourceId::new(Ulid(77))),
    ];
    for change in changed {
        let mut sought = line(&commits, 4);
        change(&mut sought);
        assert_eq!(read_for(&commits, sought), None);
    }
    // The same line, but something else came before it.
    let held = line(&commits, 2).held;
    assert_eq!(read_for(&commits, Sought { held, ..line(&commits, 4) }), None);
}
