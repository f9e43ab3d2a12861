//! Carts in decisions: when their member is woken, and what an order makes of them.

use chrono::Duration;

use super::*;
use crate::domain::cart::Carts;
use crate::domain::loyalty_event::EventType;

const QUIET: &str = "\n[celebrations]\nbirthdays = false\nanniversaries = false\n";
const DAILY: &str = "2026-03-04T08:00:00Z";
const CART: &str = r#"{"type":"cart.updated","data":{"cart_id":"c1","items":[{"price":14.5}]}}"#;

fn life(manifest: &str) -> Life {
    let mut sources = sources("");
    let file = sources.files.iter_mut().find(|(name, _)| name == "program.toml").unwrap();
    file.1 = "name = \"Acme\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n".to_owned() + manifest;
    Life::new(Program::load(&sources, &chain(), 1).unwrap_or_else(|problems| panic!("{problems:#?}")))
}

fn told(commit: &Commit) -> usize {
    commit.events.iter().filter(|event| event.kind() == EventType::CartAbandoned).count()
}

#[test]
fn a_cart_wakes_its_member_once_and_an_order_lets_them_sleep() {
    let mut life = life(&format!("{QUIET}[carts]\nabandoned_after = \"1h\"\n"));
    let begin = life.now;
    life.send(CART);
    assert_eq!(life.member.next_wake_at, Some(begin + Duration::hours(1)));
    life.order(r#""total":3"#);
    assert_eq!(life.member.next_wake_at, Some(at(DAILY)), "the next day, as without a cart");
    life.now += Duration::minutes(1);
    life.send(CART);
    life.now = life.member.next_wake_at.unwrap();
    assert_eq!(told(&life.decide(Occasion::Due { id: Ulid(1 << 100) }, None)), 1);
    assert_eq!(life.member.next_wake_at, Some(at(DAILY)), "the next day, as without a cart");
}

#[test]
fn a_cart_that_fell_due_is_told_before_the_order_that_comes_late() {
    let mut life = life(&format!("{QUIET}[carts]\nabandoned_after = \"1h\"\n"));
    life.send(CART);
    life.now += Duration::hours(1);
    let commit = life.order(r#""total":3,"cart_id":"c1""#);
    let kinds: Vec<_> = commit.events.iter().map(|event| event.kind().as_str()).collect();
    assert_eq!(kinds, ["cart.abandoned", "order.completed"]);
}

#[test]
fn only_an_order_that_is_placed_or_paid_ends_the_carts_before_it() {
    for (kind, left) in [("order.updated", 1), ("order.created", 0), ("order.completed", 0)] {
        let mut life = life(&format!("{QUIET}[carts]\nabandoned_after = \"1h\"\n"));
        life.send(CART);
        life.now += Duration::minutes(1);
        life.send(&format!(r#"{{"key":"k","type":"{kind}","data":{{"order_id":"o","total":3}}}}"#));
        life.now += Duration::hours(1);
        assert_eq!(told(&life.decide(Occasion::Due { id: Ulid(1 << 100) }, None)), left, "{kind}");
    }
}

#[test]
fn a_program_without_carts_keeps_none_and_its_orders_write_nothing_of_them() {
    let mut life = life(QUIET);
    let commit = life.send(CART);
    assert!(receipt(&commit)["notes"][0].as_str().unwrap().contains("no [carts]"));
    life.order(r#""total":3,"cart_id":"c1""#);
    assert_eq!((life.member.carts, life.member.next_wake_at), (Carts::default(), Some(at(DAILY))));
}

#[test]
fn triggers_read_what_a_cart_is_worth_and_how_sure_a_recognition_is() {
    let mut folder = sources(
        r#"trigger "Dear carts" on cart.abandoned when event.value >= 10 && event.item_count > 0 && event.channel == "web" { forward("crm"); }
        trigger "Sure" on member.identified when event.identified_via == "card" && event.confidence > 0.9 { forward("crm"); }"#,
    );
    folder.files[1].1.push_str("[carts]\nabandoned_after = \"1h\"\n");
    assert_eq!(Program::load(&folder, &chain(), 1).err(), None);
    let problems = load(r#"trigger "t" on order.completed when event.confidence > 1 { forward("crm"); }"#);
    assert!(problems.is_err());
}

#[test]
fn rules_read_the_cart_and_the_session_that_they_start_on() {
    let rules = r#"
        rule "Dear" on cart.updated
        when cart.total >= 10 && cart.item_count == 3 && cart.channel == "web" && cart.id == "c1"
        {
            let cheap = 0;
            for item in cart.items { if item.price < 5 { cheap += 1; } }
            award(cheap + cart.items.len() + cart.count_of("food"), "cart");
        }
        rule "Kiosk" on session.started when session.channel == "kiosk" && session.location == "walnut" { award(100, session.id); }
        rule "Bye" on session.ended when session.id == "s1" && session.at.hour >= 0 { award(1000, "bye"); }
    "#;
    let mut life = Life::new(program(rules));
    life.send(
        r#"{"type":"cart.updated","data":{"cart_id":"c1","channel":"web","items":[
        {"price":9.5,"category":"food"},{"price":2,"quantity":2}]}}"#,
    );
    let points =
        |life: &Life| life.member.standing.wallets.iter().map(|(_, wallet)| wallet.balance().0).sum::<i64>();
    assert_eq!(points(&life), 4, "one is cheap, two lines, one of them food");
    life.send(
        r#"{"type":"session.started","location":"walnut","data":{"session_id":"s1","channel":"kiosk"}}"#,
    );
    assert_eq!(points(&life), 104);
    life.send(r#"{"type":"session.ended","data":{"session_id":"s1"}}"#);
    assert_eq!(points(&life), 1104);
}

#[test]
fn the_checker_knows_what_a_cart_and_a_session_have() {
    for (rule, says) in [
        (r#"rule "r" on cart.updated when cart.totl > 1 { award(1); }"#, "totl"),
        (r#"rule "r" on visit when cart.total > 1 { award(1); }"#, "cart"),
        (r#"rule "r" on session.ended when session.total > 1 { award(1); }"#, "total"),
    ] {
        let problems = load(rule).unwrap_err();
        assert!(problems[0].message.contains(says), "{rule}: {problems:?}");
    }
}
