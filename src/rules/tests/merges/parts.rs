//! One thing at a time: what happens to something of an absorbed member happens to what is theirs.

use super::*;
use crate::domain::money::Points;

const REWARDS: &str = r#"
[[wallets]]
code = "points"

[[rewards]]
id = "mug"
title = "A mug"
type = "physical"
cost = 10
limit_per_member = 5
"#;

#[test]
fn what_an_order_of_theirs_earns_after_the_merge_is_theirs_and_its_refund_takes_it_from_them() {
    for refunded_while_merged in [true, false] {
        let mut world = World::new(WALLETS);
        world.completed(A, "a", 7);
        world.completed(B, "b", 100);
        world.created(B, "late", 50);
        world.merge(A, B).unwrap();
        world.completed(B, "late", 50);
        assert_eq!(world.points(A), 157);
        if refunded_while_merged {
            world.refunded("late");
        }
        world.unmerge(A, B).unwrap();
        let theirs = if refunded_while_merged { 100 } else { 150 };
        assert_eq!((world.points(A), world.points(B)), (7, theirs));
        world.refunded("late");
        assert_eq!((world.points(A), world.points(B)), (7, 100));
    }
}

#[test]
fn an_order_of_theirs_that_grows_while_merged_grows_what_is_theirs() {
    let mut world = World::new(WALLETS);
    world.completed(A, "a", 7);
    world.completed(B, "b", 100);
    world.merge(A, B).unwrap();
    world.now += chrono::Duration::seconds(1);
    world.send(A, "order.updated", &json!({ "order_id": "b", "total": 130 })).unwrap();
    world.unmerge(A, B).unwrap();
    assert_eq!((world.points(A), world.points(B)), (7, 130));
    world.refunded("b");
    assert_eq!((world.points(A), world.points(B)), (7, 0));
}

#[test]
fn a_rule_that_fails_leaves_nothing_behind_with_the_absorbed_either() {
    let rules = r#"
        rule "Points" on order.completed { award(order.total); }
        rule "Back" on order.refunded { take_back("refund"); award(refund.total * 1000000000000); }
    "#;
    let mut world = World::with_rules(rules, WALLETS);
    world.completed(A, "a", 7);
    world.completed(B, "b", 100);
    world.merge(A, B).unwrap();
    let commit = world.refunded("b");
    assert_eq!(receipt(&commit)["status"], "failed");
    world.unmerge(A, B).unwrap();
    assert_eq!((world.points(A), world.points(B)), (7, 100));
}

const PENDING: &str = "\n[[wallets]]\ncode = \"points\"\npending = \"14 days\"\n";

fn waits(world: &World, who: u8) -> i64 {
    world.member(who).standing.wallets.first().unwrap().pending().0
}

#[test]
fn what_they_had_waiting_is_theirs_and_nothing_else_is() {
    let rules = r#"
        rule "One" on order.completed { award(10); }
        rule "Two" on order.completed { award(20); }
        rule "Back" on order.refunded { take_back("refund"); }
    "#;
    let mut world = World::with_rules(rules, PENDING);
    world.completed(A, "a", 1);
    world.now += chrono::Duration::days(15);
    world.completed(B, "b", 1);
    world.merge(A, B).unwrap();
    world.unmerge(A, B).unwrap();
    assert_eq!((world.points(A), waits(&world, A)), (30, 0));
    assert_eq!((world.points(B), waits(&world, B)), (0, 30));
}

#[test]
fn what_was_taken_of_what_waited_does_not_come_back() {
    for (share, left) in [(20, 0), (5, 15)] {
        for days in [0, 20] {
            let mut world = World::new(PENDING);
            world.completed(A, "a", 100);
            world.now += chrono::Duration::days(15);
            world.completed(B, "b", 20);
            world.merge(A, B).unwrap();
            world.send(A, "order.refunded", &json!({ "order_id": "b", "amount": share })).unwrap();
            world.now += chrono::Duration::days(days);
            world.unmerge(A, B).unwrap();
            let has = |who| world.points(who) + waits(&world, who);
            assert_eq!((has(A), has(B)), (100, left), "{share} {days}");
        }
    }
}

#[test]
fn what_was_confirmed_while_merged_can_be_spent() {
    let mut world = World::new("\n[[wallets]]\ncode = \"points\"\npending = \"until confirmed\"\n");
    world.completed(A, "a", 5);
    world.completed(B, "b", 20);
    world.merge(A, B).unwrap();
    world.send(A, "points.confirm", &json!({ "origin": "b" })).unwrap();
    world.unmerge(A, B).unwrap();
    assert_eq!((world.points(A), waits(&world, A)), (0, 5));
    assert_eq!((world.points(B), waits(&world, B)), (20, 0));
}

#[test]
fn history_is_told_apart_as_it_stands() {
    let mut world = World::new(WALLETS);
    world.completed(A, "a", 20);
    world.completed(B, "b", 40);
    world.completed(B, "b2", 3);
    world.merge(A, B).unwrap();
    world.refunded("b");
    world.now += chrono::Duration::seconds(1);
    world.send(A, "order.cancelled", &json!({ "order_id": "b2" })).unwrap();
    world.unmerge(A, B).unwrap();
    let lifetime = |who| {
        let sums = world.member(who).history.lifetime();
        (sums.visits, sums.spend.to_string(), sums.earned, sums.days)
    };
    assert_eq!((lifetime(A), lifetime(B)), ((1, "20".into(), 20, 1), (1, "0".into(), 0, 1)));
}

#[test]
fn clawbacks_go_through_nested_merges_to_whose_order_it_was() {
    let mut world = World::new(WALLETS);
    world.completed(C, "c", 100);
    world.send(B, "visit", &json!({})).unwrap();
    world.completed(A, "a", 100);
    world.merge(B, C).unwrap();
    world.merge(A, B).unwrap();
    world.refunded("c");
    assert_eq!(world.unmerge(A, C).unwrap_err(), "not_merged", "from the outside in");
    world.unmerge(A, B).unwrap();
    assert_eq!((world.points(A), world.points(B)), (100, 0));
    world.unmerge(B, C).unwrap();
    assert_eq!((world.points(A), world.points(B), world.points(C)), (100, 0, 0));
}

#[test]
fn a_redemption_of_theirs_that_comes_to_nothing_gives_back_to_them() {
    let mut world = World::new(REWARDS);
    let has = |world: &World, who| world.member(who).standing.redemptions.has(&Name::parse("mug").unwrap());
    world.completed(A, "a", 10);
    world.completed(B, "b", 20);
    let [own, theirs] = [A, B].map(|who| world.redeem(who, "mug"));
    world.step("fulfill", own);
    world.merge(A, B).unwrap();
    assert_eq!((world.points(A), has(&world, A)), (10, 2));
    world.step("cancel", theirs);
    world.unmerge(A, B).unwrap();
    assert_eq!((world.points(A), world.points(B)), (0, 20));
    assert_eq!((has(&world, A), has(&world, B)), (1, 0));
}

#[test]
fn what_is_spent_meanwhile_is_the_survivors_own_first_and_no_debt_is_made_of_it() {
    for (spent, left) in [(60, (40, 50)), (100, (0, 50)), (120, (0, 30))] {
        let mut world = World::new(WALLETS);
        world.completed(A, "a", 100);
        world.completed(B, "b", 50);
        world.merge(A, B).unwrap();
        world.send(A, "points.adjust", &json!({ "amount": -spent, "reason": "x" })).unwrap();
        world.unmerge(A, B).unwrap();
        assert_eq!((world.points(A), world.points(B)), left, "{spent}");
    }
}

#[test]
fn a_debt_of_before_is_whose_it_was() {
    for (debtor, other) in [(A, B), (B, A)] {
        let mut world = World::new(WALLETS);
        world.completed(debtor, "d", 50);
        world.send(debtor, "points.adjust", &json!({ "amount": -50, "reason": "x" })).unwrap();
        world.refunded("d");
        world.completed(other, "o", 20);
        world.merge(A, B).unwrap();
        assert_eq!(world.points(A), -30);
        world.unmerge(A, B).unwrap();
        assert_eq!((world.points(debtor), world.points(other)), (-50, 20));
    }
}

#[test]
fn a_refund_of_theirs_takes_what_is_theirs_where_no_debt_may_be_made() {
    let mut world = World::new(&format!("{WALLETS}overdraft = \"refused\"\n"));
    world.completed(A, "a", 100);
    world.completed(B, "b", 50);
    world.send(B, "points.adjust", &json!({ "amount": -30, "reason": "x" })).unwrap();
    world.merge(A, B).unwrap();
    world.refunded("b");
    world.unmerge(A, B).unwrap();
    assert_eq!((world.points(A), world.points(B)), (100, 0));
}

#[test]
fn lots_go_back_with_their_expiry_and_what_expired_does_not() {
    let mut world = World::new("\n[[wallets]]\ncode = \"points\"\nexpiry = \"10 days\"\n");
    world.completed(B, "b1", 30);
    world.now += chrono::Duration::days(5);
    world.completed(A, "a", 100);
    world.completed(B, "b2", 20);
    world.merge(A, B).unwrap();
    world.now += chrono::Duration::days(7);
    world.refunded("b2");
    world.unmerge(A, B).unwrap();
    assert_eq!(
        (world.points(A), world.points(B)),
        (100, 0),
        "their first order is expired, the second refunded"
    );
}

#[test]
fn what_fell_due_at_a_merge_fell_due_of_those_whom_the_other_had_absorbed_too() {
    let mut world = World::new("\n[[wallets]]\ncode = \"points\"\nexpiry = \"10 days unused\"\n");
    [(A, "a"), (B, "b"), (C, "c")].into_iter().for_each(|(who, order)| world.completed(who, order, 50));
    world.merge(B, C).unwrap();
    world.now += chrono::Duration::days(20);
    world.merge(A, B).unwrap();
    world.unmerge(A, B).unwrap();
    world.unmerge(B, C).unwrap();
    assert_eq!([A, B, C].map(|who| world.points(who)), [0, 0, 0]);
}

const REFERRALS: &str = r#"
[[wallets]]
code = "points"
[referrals]
minimum = 5
[referrals.sender]
award = 1000
[referrals.receiver]
award = 50
"#;

#[test]
fn a_referral_that_was_approved_while_merged_is_approved_and_brings_once() {
    use crate::domain::referral::ReferralStatus;
    let mut world = World::new(REFERRALS);
    world.completed(C, "c", 1);
    world.send(B, "points.adjust", &json!({ "amount": 1, "reason": "x" })).unwrap();
    world.completed(A, "a", 1);
    let code = world.member(C).referring.code.clone().unwrap();
    world.send(B, "referral.accept", &json!({ "code": code })).unwrap();
    world.merge(A, B).unwrap();
    world.completed(A, "a2", 10);
    assert_eq!((world.points(A), world.points(C)), (62, 1001));
    world.unmerge(A, B).unwrap();
    assert_eq!(world.member(B).referring.received.as_ref().unwrap().status, ReferralStatus::Approved);
    assert!(world.member(A).referring.received.is_none());
    assert_eq!((world.points(A), world.points(B)), (11, 51), "who was brought has what that brings");
    world.completed(B, "b", 10);
    assert_eq!((world.points(B), world.points(C)), (61, 1001));
}

const COFFEES: &str = r#"
[[wallets]]
code = "points"
[[achievements]]
id = "five_coffees"
counts = "items"
category = "coffee"
target = 5
award = 50
revoke_on_refund = true
"#;

fn drink(world: &mut World, who: u8, order: &str, category: &str, cups: u32) {
    let item = json!({ "name": "x", "category": category, "price": 1, "quantity": cups });
    let data = json!({ "order_id": order, "total": cups, "items": [item] });
    world.send(who, "order.completed", &data).unwrap();
}

fn times(world: &World, who: u8) -> u32 {
    let name = Name::parse("five_coffees").unwrap();
    world.member(who).standing.feats.get(&name).map_or(0, crate::domain::achievement::Feat::times)
}

#[test]
fn an_unrelated_refund_revokes_nothing_that_both_had_earned() {
    let mut world = World::with_rules("", COFFEES);
    for (who, order) in [(A, "a"), (B, "b")] {
        drink(&mut world, who, order, "coffee", 5);
    }
    drink(&mut world, A, "tea", "food", 1);
    world.merge(A, B).unwrap();
    let commit = world.refunded("tea");
    assert!(!told(&commit).contains(&"achievement.revoked"));
    assert_eq!(world.points(A), 100);
    world.unmerge(A, B).unwrap();
    assert_eq!((world.points(A), times(&world, A)), (50, 1));
    assert_eq!((world.points(B), times(&world, B)), (50, 1));
}

#[test]
fn what_is_revoked_while_merged_is_revoked_of_whose_it_was() {
    let mut world = World::with_rules("", COFFEES);
    for (who, order) in [(A, "a"), (B, "b")] {
        drink(&mut world, who, order, "coffee", 5);
    }
    drink(&mut world, A, "a2", "coffee", 3);
    world.merge(A, B).unwrap();
    world.refunded("b");
    assert_eq!(world.points(A), 100, "eight are left, which is enough to have earned it");
    world.refunded("a");
    assert_eq!((world.points(A), times(&world, A)), (0, 0), "three are not");
    world.unmerge(A, B).unwrap();
    assert_eq!((world.points(A), times(&world, A)), (0, 0));
    assert_eq!((world.points(B), times(&world, B)), (0, 0));
    drink(&mut world, A, "a3", "coffee", 2);
    assert_eq!((world.points(A), times(&world, A)), (50, 1), "their own three still count");
}

#[test]
fn lots_of_the_survivor_make_up_for_what_was_spent_of_theirs() {
    let mut world = World::new("\n[[wallets]]\ncode = \"points\"\nexpiry = \"10 days\"\n");
    world.completed(B, "b", 100);
    world.now += chrono::Duration::days(1);
    world.completed(A, "a", 100);
    world.merge(A, B).unwrap();
    world.send(A, "points.adjust", &json!({ "amount": -100, "reason": "x" })).unwrap();
    world.unmerge(A, B).unwrap();
    assert_eq!((world.points(A), world.points(B)), (0, 100), "what the survivor spent was their own");
    assert_eq!(world.member(B).standing.wallets.first().unwrap().balance(), Points(100));
}

fn told(commit: &Commit) -> Vec<&'static str> {
    commit.events.iter().map(|event| event.kind().as_str()).collect()
}
