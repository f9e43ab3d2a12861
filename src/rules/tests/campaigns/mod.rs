//! Campaigns and groups: what limits rules together, and which of several counts.

mod lives;

use std::collections::BTreeMap;

use super::*;
use crate::domain::campaign::Pot;
use crate::domain::ledger::{Account, ChainAccount};
use crate::domain::loyalty_event::EventType;
use crate::domain::money::Points;
use crate::domain::order::Phase;
use crate::domain::shared::Shared;
use crate::domain::terms::campaign::Span;
use crate::domain::text::{Key, Name};
use crate::rules::decide::Decided;
use crate::rules::records::{Nowhere, Records, Setting};
use crate::rules::verdict::Verdict;

/// Several members under one program, with what a store would keep.
struct Town {
    program: Program,
    chain: Chain,
    records: Records,
    members: BTreeMap<u128, Shared<Member>>,
    /// What was decided on last, and for whom.
    events: u128,
    now: Timestamp,
}

impl Town {
    fn new(settings: &str, rules: &str) -> Self {
        let mut sources = sources(rules);
        sources.files[1].1.push_str(settings);
        let program = Program::load(&sources, &chain(), 7).unwrap_or_else(|problems| panic!("{problems:#?}"));
        Self {
            program: program.telling_why(),
            chain: chain(),
            records: Records::default(),
            members: BTreeMap::new(),
            events: 0,
            now: at("2026-03-03T19:00:00Z"),
        }
    }

    fn send(&mut self, who: u128, kind: &str, data: &str) -> Decided {
        self.now += chrono::Duration::milliseconds(1);
        let (key, now) = (self.events, self.now.to_rfc3339());
        let body = format!(r#"{{"key":"k{key}","type":"{kind}","occurred_at":"{now}","data":{{{data}}}}}"#);
        let event = SourceEvent::parse(body.as_bytes(), &self.chain.currency, self.now).unwrap();
        self.events += 1;
        let input = SourceInput {
            id: SourceId::new(Ulid(self.events << 64)),
            event: Arc::new(event),
            received_at: self.now,
            from: SourceOrigin::Outside,
        };
        self.decide(who, input, None)
    }

    fn order(&mut self, who: u128, order: &str, total: i64) -> Decided {
        self.send(who, "order.completed", &format!(r#""order_id":"{order}","total":{total}"#))
    }

    fn refund(&mut self, who: u128, order: &str, amount: i64) -> Decided {
        self.send(who, "order.refunded", &format!(r#""order_id":"{order}","amount":{amount}"#))
    }

    /// Runs again what failed, by the program as it is now.
    fn replay(&mut self, who: u128, before: &Decided) -> Decided {
        let change = before.commit.source.clone().unwrap();
        let runs = 1;
        let from = SourceOrigin::Stored { status: change.status(), runs };
        let input = SourceInput { id: change.id, event: change.event, received_at: change.received_at, from };
        self.decide(who, input, Some(change.receipt.errors))
    }

    fn decide(&mut self, who: u128, input: SourceInput, again: Option<Vec<RuleFailure>>) -> Decided {
        let fresh = || {
            let tier = self.program.terms.tiers.first().cloned();
            Member::new(MemberId::new(Ulid(who + 1)), Vec::new(), tier, self.now).into()
        };
        let case = Case {
            member: self.members.get(&who).cloned().unwrap_or_else(fresh),
            order: input.event.data.order_id().and_then(|id| self.records.order(id)),
            attach: Vec::new(),
            notes: Vec::new(),
            occasion: Occasion::Source(input),
            foresight: Foresight::Nothing,
            again,
            desk: Desk::default(),
            now: self.now,
        };
        let setting = Setting { program: &self.program, chain: &self.chain.id, endpoints: &[] };
        let decided = self.records.decide(setting, case, &mut Nowhere).unwrap();
        self.records.keep(&decided.commit);
        let mut member = decided.commit.member.clone().unwrap();
        member.version += 1;
        self.members.insert(who, member);
        decided
    }

    fn points(&self, who: u128) -> i64 {
        self.members.get(&who).map_or(0, |member| member.standing.points().0)
    }

    /// What the campaign `c` gave to everybody.
    fn given(&self) -> i64 {
        let pot = Pot { campaign: Name::parse("c").unwrap(), span: Span::Total, begin: None };
        self.records.given(&pot)
    }
}

fn notes(decided: &Decided) -> String {
    decided.commit.source.as_ref().unwrap().receipt.notes.join("; ")
}

/// How a rule was judged, in short.
fn verdict(decided: &Decided, rule: &str) -> String {
    let judged = decided.minutes.rules.iter().find(|judged| *judged.rule == *rule).unwrap();
    match &judged.verdict {
        Verdict::Fired(_) => "fired".to_owned(),
        Verdict::NotFired(_) => "not fired".to_owned(),
        Verdict::Excluded(excluded) => format!("excluded by {}", excluded.by),
        Verdict::Closed(closed) => closed.because.to_string(),
        Verdict::Failed { error, .. } | Verdict::Suspended { error, .. } => error.to_string(),
    }
}

fn exhausted(decided: &Decided) -> bool {
    decided.commit.events.iter().any(|event| event.kind() == EventType::CampaignExhausted)
}

const RULES: &str = "rule \"base\" on order.completed { award(order.total); }\n\
    rule \"double\" on order.completed campaign \"c\" { award(order.total); }\n\
    rule \"back\" on order.refunded { take_back(); }";

fn campaign(settings: &str) -> String {
    format!("[[campaigns]]\nid = \"c\"\nname = \"C\"\n{settings}\n")
}

#[test]
fn an_award_is_cut_to_what_is_left_and_then_the_rules_of_the_campaign_rest() {
    let mut town = Town::new(&campaign("budget = 100"), RULES);
    assert!(!exhausted(&town.order(1, "a", 60)));
    let cut = town.order(2, "b", 60);
    assert_eq!((town.points(1), town.points(2), town.given()), (120, 100, 100));
    assert!(exhausted(&cut) && verdict(&cut, "double") == "fired");
    assert_eq!(notes(&cut), "\"double\" gave 40 of 60: that was left of campaign `c`, its budget of 100");
    let lines: Vec<_> =
        cut.commit.transfers.iter().map(|line| (line.amount.0, line.cause.campaign.as_deref())).collect();
    assert_eq!(lines, [(60, None), (40, Some("c"))]);
    let rests = town.order(3, "d", 60);
    assert_eq!(
        (town.points(3), verdict(&rests, "double").as_str()),
        (60, "nothing is left of its budget of 100")
    );
    assert_eq!(notes(&rests), "\"double\" gave nothing: campaign `c`: nothing is left of its budget of 100");
    assert!(!exhausted(&rests));
}

#[test]
fn what_is_taken_back_can_be_given_again_and_that_the_budget_ran_out_is_told_once() {
    let mut town = Town::new(&campaign("budget = 100"), RULES);
    assert!(exhausted(&town.order(1, "a", 100)));
    town.refund(1, "a", 30);
    assert_eq!((town.points(1), town.given()), (140, 70));
    assert!(!exhausted(&town.order(2, "b", 50)));
    assert_eq!((town.points(2), town.given()), (80, 100));
    town.send(2, "order.cancelled", r#""order_id":"b""#);
    assert_eq!((town.points(2), town.given()), (0, 70));
    town.send(1, "order.cancelled", r#""order_id":"a""#);
    assert_eq!((town.points(1), town.given()), (0, 0));
}

#[test]
fn a_member_has_a_cap_of_their_own_and_each_span_begins_anew() {
    let mut town = Town::new(&campaign("per_member = { total = 100, day = 40 }"), RULES);
    assert_eq!(town.order(1, "a", 30).commit.transfers.len(), 2);
    let cut = town.order(1, "b", 30);
    assert_eq!((town.points(1), town.points(2)), (30 + 30 + 40, 0));
    assert!(notes(&cut).ends_with("the 40 that a member may have of it for the day"), "{}", notes(&cut));
    town.order(2, "c", 30);
    assert_eq!(town.points(2), 60, "somebody else has theirs");
    town.refund(1, "b", 30);
    town.order(1, "d", 5);
    assert_eq!(town.points(1), 60 + 10, "what went back that day can be had again that day");
    for (day, order, given) in [("2026-03-04", "e", 40), ("2026-03-05", "f", 25), ("2026-03-06", "g", 0)] {
        town.now = at(&format!("{day}T19:00:00Z"));
        let before = town.points(1);
        town.order(1, order, 50);
        assert_eq!(town.points(1) - before, 50 + given, "{day}");
    }
}

#[test]
fn what_belongs_to_an_earlier_day_counts_for_the_last_one_and_frees_nothing_of_it() {
    let mut town = Town::new(&campaign("per_member = { day = 40 }"), RULES);
    let first = town.now;
    town.order(1, "a", 40);
    town.now = at("2026-03-04T19:00:00Z");
    town.order(1, "b", 30);
    let second = town.now;
    town.now = first;
    town.order(1, "late", 40);
    assert_eq!(town.points(1), 80 + 60 + 50, "10 were left of the second day");
    town.now = second;
    town.refund(1, "a", 40);
    town.order(1, "c", 5);
    assert_eq!(town.points(1), 190 - 80 + 5, "nothing is left of the second day");
}

#[test]
fn a_budget_for_a_day_is_that_of_the_day_of_the_order() {
    let mut town = Town::new(&campaign("budget = { day = 50 }"), RULES);
    let first = town.now;
    town.order(1, "a", 40);
    town.now = at("2026-03-04T19:00:00Z");
    town.order(2, "b", 40);
    assert_eq!((town.points(1), town.points(2)), (80, 80));
    town.now = first;
    town.order(3, "late", 40);
    assert_eq!(town.points(3), 50);
    town.now = at("2026-03-05T19:00:00Z");
    town.refund(1, "a", 40);
    town.now = first;
    town.order(4, "later", 40);
    assert_eq!(town.points(4), 80, "what went back is that day's");
    assert_eq!(town.given(), 40 + 10 + 40);
}

#[test]
fn an_order_that_changes_moves_what_the_campaign_gave_and_what_it_did_not_give_goes_first() {
    let mut town = Town::new(&campaign("budget = 60"), RULES);
    let change = |town: &mut Town, total: i64| {
        let decided = town.send(1, "order.updated", &format!(r#""order_id":"a","total":{total}"#));
        assert_eq!(decided.commit.source.as_ref().unwrap().receipt.errors, []);
        (town.points(1), town.given())
    };
    town.order(1, "a", 100);
    assert_eq!((town.points(1), town.given()), (160, 60));
    assert_eq!(change(&mut town, 120), (180, 60));
    assert_eq!(change(&mut town, 70), (130, 60), "it asks for 70 now, and has 60");
    assert_eq!(change(&mut town, 50), (100, 50));
    assert_eq!(change(&mut town, 55), (110, 55));
    assert_eq!(change(&mut town, 90), (150, 60));
    assert_eq!(change(&mut town, 10), (20, 10));
}

#[test]
fn a_campaign_gives_from_its_first_day_to_its_last_by_the_clock_of_the_event() {
    let mut town = Town::new(&campaign("from = 2026-03-02\nto = 2026-03-03"), RULES);
    // In New York it is five hours earlier.
    for (time, says) in [
        ("2026-03-02T04:59:00Z", "it begins on 2026-03-02"),
        ("2026-03-02T05:00:00Z", "fired"),
        ("2026-03-04T04:59:00Z", "fired"),
        ("2026-03-04T05:00:00Z", "it ended on 2026-03-03"),
    ] {
        town.now = at(time);
        let decided = town.order(1, time, 10);
        assert_eq!(verdict(&decided, "double"), says, "{time}");
        assert_eq!(notes(&decided), "");
    }
    town.now = at("2026-03-20T12:00:00Z");
    town.send(1, "order.updated", r#""order_id":"2026-03-02T05:00:00Z","total":20"#);
    assert_eq!((town.points(1), town.given()), (60 + 20, 30), "an order of that time stays one");
}

#[test]
fn points_of_other_wallets_are_not_counted_and_nothing_else_is_given_when_nothing_is_left() {
    let settings = format!(
        "counters = [\"n\"]\n[[wallets]]\ncode = \"points\"\n[[wallets]]\ncode = \"stars\"\n{}",
        campaign("budget = 10\nwallet = \"stars\"")
    );
    let rules = "rule \"all\" on order.completed campaign \"c\" { award(100); award_to(6, \"stars\"); count(\"n\"); }";
    let mut town = Town::new(&settings, rules);
    for (order, points, stars, count) in [("a", 100, 6, 1), ("b", 200, 10, 2), ("d", 200, 10, 2)] {
        town.order(1, order, 1);
        let standing = &town.members[&1].standing;
        let held = standing.wallets.get("stars").unwrap().balance().0;
        assert_eq!(
            (standing.points().0, held, standing.memo.counter("n")),
            (points, stars, count),
            "{order}"
        );
    }
    assert_eq!(town.given(), 10);
}

#[test]
fn a_rule_that_fails_after_its_award_takes_nothing_of_the_budget() {
    let rules = "rule \"bad\" on order.completed campaign \"c\" { award(60); award(0 - order.total); }\n\
                 rule \"good\" on order.completed campaign \"c\" { award(70); }";
    let mut town = Town::new(&campaign("budget = 100\nper_member = 90"), rules);
    let failed = town.order(1, "a", 5);
    assert_eq!((failed.failures.len(), town.points(1), town.given()), (1, 70, 70));
    assert_eq!(notes(&failed), "", "what did not happen is not told of");
}

const GROUPED: &str = "rule \"small\" on order.completed when order.total > 0 priority 5 group \"g\" { award(10); }\n\
    rule \"big\" on order.completed when order.total > 20 group \"g\" campaign \"c\" { award(30); }\n\
    rule \"other\" on order.completed { award(1); }";

fn grouped(pick: &str, budget: &str) -> String {
    format!("{}[[groups]]\nid = \"g\"\npick = \"{pick}\"\n", campaign(budget))
}

#[test]
fn of_a_group_the_first_counts_or_the_one_that_awards_most() {
    for (pick, total, points, small, big) in [
        ("first", 50, 11, "fired", "excluded by small"),
        ("first", 5, 11, "fired", "not fired"),
        ("most_points", 50, 31, "excluded by big", "fired"),
        ("most_points", 5, 11, "fired", "not fired"),
    ] {
        let mut town = Town::new(&grouped(pick, ""), GROUPED);
        let decided = town.order(1, "a", total);
        assert_eq!(town.points(1), points, "{pick} {total}");
        assert_eq!((verdict(&decided, "small").as_str(), verdict(&decided, "big").as_str()), (small, big));
        assert_eq!(verdict(&decided, "other"), "fired");
    }
}

#[test]
fn whose_campaign_has_less_left_gives_way() {
    let mut town = Town::new(&grouped("most_points", "budget = 45"), GROUPED);
    let given: Vec<_> = ["a", "b", "d", "e"]
        .map(|order| {
            let before = town.points(1);
            town.order(1, order, 50);
            town.points(1) - before - 1
        })
        .into();
    assert_eq!(given, [30, 15, 10, 10]);
    let mut first = Town::new(
        &grouped("first", "budget = 30"),
        &GROUPED.replace("order.total > 20", "order.total > 20 priority 9"),
    );
    assert_eq!(
        [first.order(1, "a", 50), first.order(1, "b", 50)].map(|decided| verdict(&decided, "small")),
        ["excluded by big", "fired"]
    );
}

#[test]
fn a_changed_order_moves_from_the_rule_that_counted_to_the_one_that_counts() {
    let rules = "rule \"flat\" on order.completed group \"g\" { award(30); }\n\
                 rule \"share\" on order.completed group \"g\" { award(order.total); }";
    let mut town = Town::new(&grouped("most_points", ""), rules);
    town.order(1, "a", 50);
    assert_eq!(town.points(1), 50);
    for (total, points) in [(20, 30), (25, 30), (80, 80), (80, 80)] {
        town.send(1, "order.updated", &format!(r#""order_id":"a","total":{total}"#));
        assert_eq!(town.points(1), points, "{total}");
    }
    town.send(1, "order.cancelled", r#""order_id":"a""#);
    assert_eq!(town.points(1), 0);
}

#[test]
fn a_changed_order_knows_that_a_rule_gave_way() {
    let change = |town: &mut Town, total: i64| {
        let decided = town.send(1, "order.updated", &format!(r#""order_id":"a","total":{total}"#));
        assert_eq!(decided.failures, []);
        (town.points(1), town.given())
    };
    let mut town = Town::new(&grouped("most_points", "budget = 30"), GROUPED);
    town.order(2, "all of it", 50);
    town.order(1, "a", 50);
    assert_eq!(town.points(1), 11);
    for total in [15, 50, 60, 10] {
        assert_eq!(change(&mut town, total), (11, 30), "{total}");
    }
    let rules = "rule \"twice\" on order.completed group \"g\" campaign \"c\" { award(order.total * 2); }\n\
                 rule \"once\" on order.completed group \"g\" { award(order.total); }";
    let mut town = Town::new(&grouped("most_points", "budget = 100"), rules);
    town.order(2, "all of it", 50);
    town.order(1, "a", 100);
    assert_eq!(town.points(1), 100);
    assert_eq!(change(&mut town, 10), (10, 100));
    town.send(2, "order.cancelled", r#""order_id":"all of it""#);
    assert_eq!(change(&mut town, 20), (40, 40), "now there is something left");
    assert_eq!(change(&mut town, 80), (100, 100), "what the order has of it counts as left");
    assert_eq!(change(&mut town, 30), (60, 60));
}

#[test]
fn what_a_rule_with_nothing_to_give_asked_for_is_not_taken_from_another_one_of_its_campaign() {
    let rules = "rule \"a\" on order.completed campaign \"c\" { award(order.total); }\n\
                 rule \"b\" on order.completed when order.total < 65 campaign \"c\" { award(40); count(\"n\", 3); }";
    let settings = format!("counters = [\"n\"]\n{}", campaign("per_member = 60"));
    let mut town = Town::new(&settings, rules);
    let count = |town: &Town| town.members[&1].standing.memo.counter("n");
    let closed = town.order(1, "a", 60);
    assert_eq!((town.points(1), verdict(&closed, "a").as_str()), (60, "fired"));
    assert!(notes(&closed).starts_with("\"b\" gave nothing"), "{}", notes(&closed));
    for (total, counted) in [(61, 0), (64, 0), (70, 0), (20, 3), (21, 3), (70, 0)] {
        town.send(1, "order.updated", &format!(r#""order_id":"a","total":{total}"#));
        assert_eq!((town.points(1), count(&town)), (60, counted), "{total}");
    }
}

#[test]
fn an_order_shrinks_and_grows_when_its_rule_came_into_a_campaign_or_out_of_it_meanwhile() {
    let rules = |clause: &str| {
        format!(
            "rule \"base\" on order.completed {{ award(order.total); }}\n\
             rule \"double\" on order.completed {clause} {{ award(order.total); }}"
        )
    };
    for (before, after) in [("", "campaign \"c\""), ("campaign \"c\"", "")] {
        let mut town = Town::new(&campaign("budget = 500"), &rules(before));
        town.order(1, "a", 100);
        town.program = Town::new(&campaign("budget = 500"), &rules(after)).program;
        for total in [10, 100, 40] {
            town.send(1, "order.updated", &format!(r#""order_id":"a","total":{total}"#));
            assert_eq!(town.points(1), 2 * total, "{before} {after}");
        }
        town.send(1, "order.cancelled", r#""order_id":"a""#);
        assert_eq!((town.points(1), town.given()), (0, 0));
    }
}

#[test]
fn a_rule_that_came_later_takes_nothing_off_what_others_gave() {
    let base = "rule \"base\" on order.completed { award(order.total); }";
    let mut town = Town::new(&campaign("budget = 500"), base);
    town.order(1, "a", 100);
    town.program = Town::new(&campaign("budget = 500"), RULES).program;
    town.send(1, "order.updated", r#""order_id":"a","total":60"#);
    assert_eq!((town.points(1), town.given()), (60, 0));
}

#[test]
fn a_group_waits_for_a_rule_that_failed_even_if_its_campaign_has_nothing_left() {
    let rules = |first: &str| {
        format!(
            "rule \"first\" on order.completed priority 1 group \"g\" campaign \"c\" {{ award({first}); }}\n\
             rule \"second\" on order.completed group \"g\" {{ award(10); }}"
        )
    };
    let mut town = Town::new(&grouped("first", "budget = 30"), &rules("50 - order.total"));
    town.order(2, "all of it", 20);
    let failed = town.order(1, "a", 60);
    assert_eq!((town.points(1), failed.failures.len()), (0, 2));
    town.program = Town::new(&grouped("first", "budget = 100"), &rules("30")).program;
    assert_eq!((town.replay(1, &failed).failures, town.points(1)), (vec![], 30));
}

#[test]
fn when_one_of_a_group_fails_the_group_waits_and_a_replay_lets_one_count() {
    for kind in ["order.completed", "visit"] {
        let data = if kind == "visit" { "" } else { r#""order_id":"a","total":5"# };
        let rules = |first: &str| {
            format!(
                "rule \"first\" on {kind} when member.visits > 0 priority 1 group \"g\" {{ award({first}); }}\n\
                 rule \"second\" on {kind} when member.visits > 0 group \"g\" {{ award(10); }}\n\
                 rule \"quiet\" on {kind} when member.tier == \"gold\" group \"g\" {{ award(10); }}\n\
                 rule \"other\" on {kind} {{ award(1); }}"
            )
        };
        let mut town = Town::new(&grouped("first", ""), &rules("0 - member.visits_in(30.days)"));
        let failed = town.send(1, kind, data);
        assert_eq!(town.points(1), 1, "{kind}");
        assert_eq!(verdict(&failed, "second"), "waits for \"first\" of its group `g`, which failed");
        assert_eq!((failed.failures.len(), verdict(&failed, "quiet").as_str()), (2, "not fired"));
        town.program = Town::new(&grouped("first", ""), &rules("20")).program;
        let again = town.replay(1, &failed);
        assert_eq!((town.points(1), again.failures.len()), (21, 0), "{kind}");
    }
}

#[test]
fn the_clauses_behind_a_condition_are_not_part_of_it() {
    for clauses in
        ["campaign \"c\" group \"g\" priority 3", "group \"g\" priority 3 campaign \"c\"", "campaign \"c\""]
    {
        let rules = format!("rule \"a\" on order.completed when order.total > 50 {clauses} {{ award(1); }}");
        let decided = Town::new(&grouped("first", ""), &rules).order(1, "a", 5);
        let Verdict::NotFired(unmet) = &decided.minutes.rules[0].verdict else { panic!("{clauses}") };
        assert_eq!(&*unmet.condition, "order.total > 50", "{clauses}");
    }
}
