//! Points that wait, last, expire and are announced.

use serde_json::{Value, json};

use super::*;
use crate::domain::ledger::Account;
use crate::domain::loyalty_event::EventData;
use crate::domain::money::Points;
use crate::domain::text::Name;

const RULES: &str = r#"
    rule "Points" on order.completed { award(order.total); }
    rule "Stars" on visit { award_to(1, "stars"); award_to(0.5, "half", "stars"); }
    rule "Back" on order.refunded { take_back("refund"); }
    rule "Toll" on visit when visit.channel == "toll" { deduct_from(10, "stars"); }
"#;

fn life(wallets: &str) -> Life {
    let mut sources = sources(RULES);
    let manifest = sources.files.iter_mut().find(|(name, _)| name == "program.toml").unwrap();
    manifest.1.push_str(wallets);
    if !wallets.contains("stars") {
        manifest.1.push_str("[[wallets]]\ncode = \"stars\"\n");
    }
    Life::new(Program::load(&sources, &chain(), 1).unwrap_or_else(|problems| panic!("{problems:#?}")))
}

const POINTS: &str = "\n[[wallets]]\ncode = \"points\"\n";

fn told(commit: &Commit) -> Vec<&'static str> {
    commit.events.iter().map(|event| event.kind().as_str()).collect()
}

/// Wakes the member at the moment it asked for; answers what was told.
fn wake(life: &mut Life) -> Vec<&'static str> {
    life.now = life.member.next_wake_at.unwrap();
    let commit = life.decide(Occasion::Due { id: Ulid(u128::from(life.now.timestamp() as u64) << 64) }, None);
    told(&commit)
}

#[test]
fn points_expire_at_the_end_of_their_last_day_and_are_announced_before() {
    let mut life = life(&format!("{POINTS}expiry = \"10 days\"\nwarn_days = 3\n"));
    life.order(r#""total":30"#);
    life.now = at("2026-03-04T19:00:00Z");
    life.order(r#""total":20"#);
    let mut seen = Vec::new();
    while life.member.standing.points() > Points::ZERO {
        let told = wake(&mut life);
        if !told.is_empty() {
            seen.push((life.now.to_string(), told, life.member.standing.points().0));
        }
    }
    let seen: Vec<_> = seen.iter().map(|(at, told, left)| (&**at, &**told, *left)).collect();
    assert_eq!(
        seen,
        [
            ("2026-03-11 04:00:00 UTC", &["points.expiring_soon"][..], 50),
            ("2026-03-12 04:00:00 UTC", &["points.expiring_soon"], 50),
            ("2026-03-14 04:00:00 UTC", &["points.expired"], 20),
            ("2026-03-15 04:00:00 UTC", &["points.expired"], 0),
        ]
    );
}

#[test]
fn whoever_orders_a_second_after_the_expiry_orders_without_the_expired_points() {
    let mut life = life(&format!("{POINTS}expiry = \"10 days\"\n"));
    life.order(r#""total":30"#);
    life.now = at("2026-03-14T04:00:01Z");
    let commit = life.order(r#""total":5"#);
    assert_eq!(told(&commit)[..2], ["points.expired", "order.completed"]);
    assert_eq!(life.member.standing.points(), Points(5));
}

#[test]
fn an_unused_wallet_is_emptied_and_a_used_one_is_not() {
    let mut life = life(&format!("{POINTS}expiry = \"30 days unused\"\n"));
    life.order(r#""total":30"#);
    life.now = at("2026-03-30T12:00:00Z");
    life.order(r#""total":10"#);
    let used = receipt(&life.order(r#""total":1"#));
    let gone = json!({ "amount": 41, "at": "2026-04-30T04:00:00Z" });
    assert_eq!(used["member"]["next_expiration"], gone, "midnight in New York");
    assert_eq!(used["member"]["member_id"], life.member.id.to_string());
    assert_eq!(
        (&used["member"]["system_tier"], &used["member"]["manual_tier"]),
        (&"bronze".into(), &Value::Null)
    );
    life.now = at("2026-04-10T12:00:00Z");
    assert_eq!(told(&life.tick(TickType::Daily)), [""; 0], "used ten days ago");
    life.now = at("2026-04-30T12:00:00Z");
    assert_eq!(told(&life.tick(TickType::Daily)), ["points.expired"]);
    assert_eq!(life.member.standing.points(), Points(0));
}

#[test]
fn points_wait_as_long_as_the_wallet_says_and_their_expiry_counts_from_the_order() {
    let mut life = life(&format!("{POINTS}pending = \"14 days\"\nexpiry = \"20 days\"\n"));
    let commit = life.order(r#""total":30"#);
    assert_eq!(told(&commit)[2..], ["points.pending"]);
    let EventData::PointsPending(pending) = &commit.events[2].data else { panic!("{commit:?}") };
    assert_eq!(pending.order_id.as_deref(), Some("o0"));
    assert_eq!(
        (commit.transfers[0].debit.to_string(), commit.transfers[0].credit),
        ("chain:issued".into(), Account::Pending(life.member.id))
    );
    assert_eq!(life.member.standing.points(), Points(0));
    life.now = at("2026-03-17T19:00:00Z");
    assert_eq!(told(&life.tick(TickType::Daily)), ["points.earned"]);
    assert_eq!(life.member.standing.points(), Points(30));
    life.now = at("2026-03-24T04:00:00Z");
    assert_eq!(told(&life.tick(TickType::Daily)), ["points.expired"]);
}

#[test]
fn a_rule_confirms_what_an_order_earned_once_the_order_says_so() {
    let rules = "rule \"earn\" on order.completed { award(order.total); }\n\
                 rule \"done\" on order.updated when order.status == \"delivered\" { confirm(order.id); }";
    let toml =
        MANIFEST.to_owned() + POINTS + "pending = \"until confirmed\"\n[[wallets]]\ncode = \"stars\"\n";
    let files = [("a.rhai".to_owned(), rules.to_owned()), ("program.toml".to_owned(), toml)];
    let mut life = Life::new(Program::load(&Sources { files: files.into() }, &chain(), 7).unwrap());
    life.order(r#""total":30"#);
    life.order(r#""total":5"#);
    let delivered = |key: &str| {
        format!(
            r#"{{"key":"{key}","type":"order.updated","data":{{"order_id":"o0","total":30,"status":"delivered","version":9}}}}"#
        )
    };
    let commit = life.send(&delivered("d1"));
    assert_eq!(told(&commit), ["order.updated", "points.earned"]);
    assert_eq!(
        (life.member.standing.points(), receipt(&commit)["effects"][0]["effect"].as_str()),
        (Points(30), Some("confirm"))
    );
    life.send(&delivered("d2"));
    let wallet = life.member.standing.wallets.first().unwrap();
    assert_eq!(
        (wallet.balance(), wallet.pending()),
        (Points(30), Points(5)),
        "once, and of that order alone"
    );
}

#[test]
fn a_refund_takes_first_what_still_waits_and_balances_both_accounts() {
    let mut life = life(&format!("{POINTS}pending = \"14 days\"\n"));
    life.order(r#""total":30"#);
    let commit = life.send(r#"{"key":"r","type":"order.refunded","data":{"order_id":"o0","amount":10}}"#);
    assert_eq!(told(&commit), ["order.refunded", "points.clawed_back"]);
    let wallet = life.member.standing.wallets.get("points").unwrap();
    assert_eq!((wallet.pending(), wallet.balance()), (Points(20), Points(0)));
}

#[test]
fn each_wallet_rounds_and_limits_in_its_own_way() {
    let stars = "[[wallets]]\ncode = \"stars\"\nrounding = \"half up\"\nmax_balance = 5\n";
    let mut life = life(&format!("{POINTS}{stars}"));
    let balance = |life: &Life| life.member.standing.wallets.get("stars").unwrap().balance().0;
    for (n, expected) in [(1, 2), (2, 4), (3, 5), (4, 5)] {
        life.send(&format!(r#"{{"key":"v{n}","type":"visit","data":{{}}}}"#));
        assert_eq!(balance(&life), expected, "visit {n}");
    }
    let commit = life.send(r#"{"key":"t","type":"visit","data":{"channel":"toll"}}"#);
    assert_eq!((balance(&life), life.member.standing.points().0), (0, 0));
    assert_eq!(told(&commit).last(), Some(&"points.deducted"));
    assert_eq!(receipt(&commit)["effects"][2]["wallet"], "stars");
}

#[test]
fn a_wallet_that_refuses_overdrafts_gives_back_no_more_than_it_has() {
    let mut life = life(&format!("{POINTS}overdraft = \"refused\"\n"));
    life.order(r#""total":30"#);
    life.member.standing.wallets.open(&Name::parse("points").unwrap()).debit(Points(25)).unwrap();
    let commit = life.send(r#"{"key":"r","type":"order.refunded","data":{"order_id":"o0","amount":30}}"#);
    assert_eq!(life.member.standing.points(), Points(0));
    assert_eq!(commit.transfers[0].amount, Points(5));
}

#[test]
fn a_misspelt_wallet_is_found_when_the_rules_are_checked() {
    let problems = load(r#"rule "x" on visit { award_to(1, "pionts"); }"#).unwrap_err();
    assert_eq!(problems[0].message, "there is no wallet called `pionts`");
    assert_eq!(problems[0].help.as_deref(), Some("did you mean `points`?"));
}

#[test]
fn a_wallet_takes_as_much_as_it_holds_from_the_first_award_on() {
    let mut life = life(&format!("{POINTS}[[wallets]]\ncode = \"stars\"\nmax_balance = 1\n"));
    life.send(r#"{"key":"v","type":"visit","data":{}}"#);
    assert_eq!(life.member.standing.wallets.get("stars").unwrap().balance(), Points(1));
}

#[test]
fn a_refund_that_finds_nothing_to_take_tells_of_no_points() {
    let mut life = life(&format!("{POINTS}overdraft = \"refused\"\n"));
    life.order(r#""total":30"#);
    life.member.standing.wallets.open(&Name::parse("points").unwrap()).debit(Points(30)).unwrap();
    let commit = life.send(r#"{"key":"r","type":"order.refunded","data":{"order_id":"o0","amount":30}}"#);
    assert_eq!((told(&commit), commit.transfers.len()), (vec!["order.refunded"], 0));
}

#[test]
fn what_was_unused_is_gone_before_what_waited_comes_however_late_the_engine_is() {
    let wallet = format!("{POINTS}expiry = \"30 days unused\"\npending = \"20 days\"\n");
    let lived = |late: bool| {
        let mut life = life(&wallet);
        life.order(r#""total":100"#);
        life.now = at("2026-03-23T19:00:00Z");
        life.decide(Occasion::Due { id: Ulid(7 << 64) }, None);
        life.now = at("2026-04-10T12:00:00Z");
        life.order(r#""total":50"#);
        let end = at("2026-05-05T12:00:00Z");
        while !late && life.member.next_wake_at.is_some_and(|next| next <= end) {
            wake(&mut life);
        }
        life.now = end;
        life.decide(Occasion::Due { id: Ulid(8 << 64) }, None);
        (life.member.standing.points().0, life.member.standing.wallets.first().unwrap().used_at)
    };
    assert_eq!(lived(false).0, 50);
    assert_eq!(lived(true), lived(false));
}

#[test]
fn a_member_at_the_limit_of_points_is_decided_on_all_the_same() {
    let mut life = life(&format!("{POINTS}pending = \"7 days\"\n"));
    life.order(r#""total":10"#);
    life.member
        .standing
        .wallets
        .open(&Name::parse("points").unwrap())
        .credit(Points(Points::LIMIT - 4), None)
        .unwrap();
    life.now = at("2026-03-20T12:00:00Z");
    let commit = life.order(r#""total":1"#);
    assert_eq!(told(&commit)[..2], ["points.earned", "points.expired"]);
    assert_eq!(life.member.standing.points(), Points(Points::LIMIT));
    let moved: Vec<_> =
        commit.transfers.iter().map(|line| (line.debit, line.credit, line.amount.0)).collect();
    let pending = Account::Pending(life.member.id);
    assert_eq!(moved[0], (pending, Account::Member(life.member.id), 4));
    assert_eq!((moved[1].0, moved[1].2), (pending, 6), "the books balance");
}
