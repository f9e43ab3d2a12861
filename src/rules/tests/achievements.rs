//! Achievements that the engine gives, with what they bring, whatever becomes of the orders that earned them.

use proptest::prelude::*;

use super::*;
use crate::domain::money::Points;

const HEAD: &str = "name = \"Acme\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n\
                    categories = [\"coffee\", \"food\"]\n";
const ACHIEVEMENTS: &str = r#"
[[achievements]]
id = "five_coffees"
name = "Five coffees"
counts = "items"
category = "coffee"
target = 5
recurrence = "each_time"
tell_progress = true
award = 50
revoke_on_refund = true

[[achievements]]
id = "big_spender"
counts = "spend"
target = 40
award = 7
revoke_on_refund = true

[[achievements]]
id = "two_orders"
counts = "orders"
target = 2
period = "month"
recurrence = "each_period"
award = 11
revoke_on_refund = true

[[achievements]]
id = "tasks"
counts = "progress"
target = 10
award = 3
revoke_on_refund = true

[[achievements]]
id = "loyal"
counts = "streak"
unit = "week"
target = 2

[[achievements]]
id = "friend"
award = 5
"#;

fn try_life(achievements: &str, rules: &str) -> Result<Life, Vec<Diagnostic>> {
    let files = [("a.rhai", rules.to_owned()), ("program.toml", format!("{HEAD}{achievements}"))];
    let sources = Sources { files: files.map(|(name, text)| (name.to_owned(), text)).into() };
    Program::load(&sources, &chain(), 7).map(Life::new)
}

fn life(rules: &str) -> Life {
    try_life(ACHIEVEMENTS, rules).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn kinds(commit: &Commit) -> Vec<&'static str> {
    let about = |kind: &&str| kind.starts_with("achievement.") || kind.starts_with("streak.");
    commit.events.iter().map(|event| event.kind().as_str()).filter(about).collect()
}

fn points(life: &Life) -> i64 {
    let Points(points) = life.member.standing.points();
    points
}

fn coffees(key: &str, version: i64, count: i64) -> String {
    format!(
        r#"{{"key":"{key}-{version}","type":"order.completed","data":{{"order_id":"{key}","version":{version},"total":"{}.00",
           "items":[{{"sku":"c1","category":"coffee","price":"1.00","quantity":{count}}}]}}}}"#,
        count
    )
}

#[test]
fn things_bought_are_counted_and_what_is_refunded_is_counted_no_longer() {
    let mut life = life("");
    assert_eq!(kinds(&life.send(&coffees("a", 1, 3))), ["achievement.progressed"]);
    let earned = life.send(&coffees("b", 1, 3));
    assert_eq!(
        kinds(&earned),
        ["achievement.progressed", "achievement.earned", "achievement.earned"],
        "coffees and orders"
    );
    assert_eq!(points(&life), 61);
    let back =
        r#"{"key":"r","type":"order.refunded","data":{"order_id":"a","items":[{"sku":"c1","quantity":2}]}}"#;
    let revoked = life.send(back);
    assert_eq!(kinds(&revoked), ["achievement.progressed", "achievement.revoked"]);
    assert_eq!(points(&life), 11, "what the coffees brought is gone, once");
    assert_eq!(kinds(&life.send(&coffees("c", 1, 5))), ["achievement.progressed", "achievement.earned"]);
    assert_eq!(points(&life), 61);
}

#[test]
fn each_time_an_achievement_is_revoked_its_points_go_however_often_that_is() {
    let mut life = life("");
    for n in 0..12 {
        life.send(&coffees(&format!("o{n}"), 1, 5));
    }
    assert_eq!(points(&life), 12 * 50 + 11 + 7);
    for n in (0..12).rev() {
        life.send(&format!(
            r#"{{"key":"x{n}","type":"order.cancelled","data":{{"order_id":"o{n}","version":2}}}}"#
        ));
    }
    assert_eq!(points(&life), 0);
}

#[test]
fn an_order_that_changes_or_is_cancelled_moves_the_difference() {
    let mut life = life("");
    life.send(&coffees("a", 1, 12));
    assert_eq!(points(&life), 100);
    life.send(&coffees("a", 2, 6).replace("completed", "updated"));
    assert_eq!(points(&life), 50);
    life.send(r#"{"key":"x","type":"order.cancelled","data":{"order_id":"a","version":3}}"#);
    assert_eq!((points(&life), life.member.standing.achievements.len()), (0, 0));
    life.send(&coffees("a", 4, 5));
    assert_eq!(points(&life), 50);
}

#[test]
fn rules_report_progress_that_goes_with_its_order_and_react_to_what_is_earned() {
    let rules = r#"
        rule "report" on order.completed { progress("tasks", order.count_of("food") * 4); }
        rule "report visits" on visit { progress("tasks"); }
        rule "friend" on visit when member.progress_of("tasks") >= 2 { achieve("friend"); }
        rule "bonus" on achievement.earned when event.achievement == "tasks" && event.times == 1 { award(100); }
        rule "sorry" on achievement.revoked when event.achievement == "tasks" { award(1); }
    "#;
    let mut life = life(rules);
    let food = |version: i64, count: i64, kind: &str| {
        format!(
            r#"{{"key":"f-{version}","type":"{kind}","data":{{"order_id":"f","version":{version},"total":"1.00",
               "items":[{{"category":"food","price":"1.00","quantity":{count}}}]}}}}"#
        )
    };
    life.send(&food(1, 2, "order.completed"));
    for key in ["v1", "v2"] {
        life.send(&format!(r#"{{"key":"{key}","type":"visit"}}"#));
    }
    assert_eq!(points(&life), 5 + 3 + 100);
    life.send(&food(2, 1, "order.updated"));
    assert_eq!(points(&life), 5 + 1, "its prize and the rule's bonus are gone");
    life.send(&food(3, 3, "order.updated"));
    assert_eq!(points(&life), 5 + 1 + 3 + 100);
    life.send(r#"{"key":"x","type":"order.cancelled","data":{"order_id":"f","version":4}}"#);
    assert_eq!(points(&life), 5 + 1 + 1);
}

#[test]
fn progress_reported_before_an_order_is_completed_counts_at_once_and_stays() {
    let mut life = life(r#"rule "promise" on order.created { progress("tasks", 10); }"#);
    let event =
        |kind: &str| format!(r#"{{"key":"{kind}","type":"{kind}","data":{{"order_id":"f","total":1}}}}"#);
    assert_eq!(kinds(&life.send(&event("order.created"))), ["achievement.earned"]);
    life.send(&event("order.cancelled").replace(r#","total":1"#, ""));
    assert_eq!((life.member.standing.achievements.len(), points(&life)), (1, 3));
}

#[test]
fn a_failed_reaction_is_asked_again_about_the_very_thing_it_failed_on() {
    let rules = r#"
        rule "bonus" on achievement.earned when event.achievement == "five_coffees" || 1.0 / (event.times - event.times) > 0 { award(100); }
        rule "sorry" on achievement.revoked { award(1.0 / (event.times - event.times)); }
        rule "fine" on achievement.revoked { award(1000); }
    "#;
    let mut life = life(rules);
    life.member.history.visit("2026-03-02".parse().unwrap(), "36".parse().unwrap());
    let earned = life.send(&coffees("a", 1, 5));
    assert_eq!(kinds(&earned)[1..], ["achievement.earned", "achievement.earned"], "coffees and spending");
    assert_eq!((receipt(&earned)["status"].as_str(), points(&life)), (Some("failed"), 50 + 7 + 100));
    let still = life.replay(&earned);
    assert_eq!((receipt(&still)["status"].as_str(), points(&life)), (Some("failed"), 157), "nothing twice");

    let back = life.send(r#"{"key":"x","type":"order.cancelled","data":{"order_id":"a","version":2}}"#);
    assert_eq!(kinds(&back)[1..], ["achievement.revoked", "achievement.revoked"]);
    assert_eq!((receipt(&back)["status"].as_str(), points(&life)), (Some("failed"), 2_000));
    life.program = self::life(
        &rules
            .replace("1.0 / (event.times - event.times) > 0", "true")
            .replace("1.0 / (event.times - event.times)", "3"),
    )
    .program;
    let mended = life.replay(&back);
    assert_eq!((receipt(&mended)["status"].as_str(), points(&life)), (Some("processed"), 2_006));
    let mended = life.replay(&still);
    assert_eq!((receipt(&mended)["status"].as_str(), points(&life)), (Some("processed"), 2_106));
}

#[test]
fn a_broken_streak_is_reacted_to_when_the_rule_is_mended_and_stays_failed_without_one() {
    let rules =
        r#"rule "comfort" on streak.broken { award(10.0 * event.length / (event.length - event.length)); }"#;
    let mut life = life(rules);
    let come = |life: &mut Life, on: &str| {
        life.now = at(on);
        life.send(&format!(r#"{{"key":"{on}","type":"visit"}}"#))
    };
    come(&mut life, "2026-03-03T19:00:00Z");
    come(&mut life, "2026-03-10T19:00:00Z");
    let failed = come(&mut life, "2026-03-31T19:00:00Z");
    assert_eq!((kinds(&failed), &receipt(&failed)["status"]), (vec!["streak.broken"], &"failed".into()));
    life.program = self::life(r#"rule "comfort" on visit { award(9); }"#).program;
    let gone = life.replay(&failed);
    assert_eq!((&receipt(&gone)["status"], points(&life)), (&"failed".into(), 0));
    life.program = self::life(&rules.replace("/ (event.length - event.length)", "")).program;
    assert_eq!((&receipt(&life.replay(&gone))["status"], points(&life)), (&"processed".into(), 20));
}

#[test]
fn a_streak_is_broken_when_its_time_is_over_and_not_before() {
    let mut life = life(r#"rule "sorry" on visit { }"#);
    for (key, on) in [("a", "2026-03-03T19:00:00Z"), ("b", "2026-03-10T19:00:00Z")] {
        life.now = at(on);
        life.send(&format!(r#"{{"key":"{key}","type":"visit"}}"#));
    }
    assert!(life.member.standing.achievements.keys().any(|id| &**id == "loyal"));
    // Monday 23 March, midnight in New York.
    let due = at("2026-03-23T04:00:00Z");
    assert!(life.member.next_wake_at.is_some_and(|alarm| alarm <= due));
    life.now = at("2026-03-23T03:59:59Z");
    assert_eq!(kinds(&life.decide(Occasion::Due { id: Ulid(7 << 64) }, None)), [""; 0]);
    life.now = due;
    let broken = life.decide(Occasion::Due { id: Ulid(8 << 64) }, None);
    assert_eq!(kinds(&broken), ["streak.broken"]);
    let told: serde_json::Value = serde_json::from_str(&broken.events[0].to_json()).unwrap();
    assert_eq!(told["data"]["length"], 2);
    assert_eq!(told["data"]["last"], "2026-03-09");
}

#[test]
fn what_makes_no_sense_is_refused_where_it_stands() {
    for (text, says) in [
        ("id = \"a\"\ntarget = 5", "`target` needs `counts`"),
        ("id = \"a\"\ncounts = \"visits\"", "`target` is missing"),
        ("id = \"a\"\ncounts = \"visit\"\ntarget = 5", "not known"),
        ("id = \"a\"\ncounts = \"visits\"\ntarget = 0", "above 0"),
        ("id = \"a\"\ncounts = \"items\"\ncategory = \"coffe\"\ntarget = 5", "no category called `coffe`"),
        ("id = \"a\"\ncounts = \"visits\"\nsku = \"x\"\ntarget = 5", "goes with `counts = \"items\"`"),
        ("id = \"a\"\ncounts = \"orders\"\nrolling_days = 5\ntarget = 5", "day by day"),
        ("id = \"a\"\ncounts = \"streak\"\ntarget = 5", "`unit` is missing"),
        ("id = \"a\"\ncounts = \"streak\"\nunit = \"week\"\ntarget = 53", "between 2 and 52"),
        ("id = \"a\"\naward = 5\nwallet = \"pints\"", "no wallet called `pints`"),
        ("id = \"a\"\ncoupon = \"x\"", "no coupon book called `x`"),
        ("id = \"a\"\ncounts = \"visits\"\ntarget = 5\nmost = 2", "`most` goes with"),
        ("id = \"a\"\n[[achievements]]\nid = \"a\"", "twice"),
    ] {
        let problems = try_life(&format!("[[achievements]]\n{text}"), "").err().unwrap_or_default();
        assert!(problems.iter().any(|problem| problem.message.contains(says)), "{text}: {problems:?}");
    }
    let misspelt = try_life(ACHIEVEMENTS, r#"rule "a" on visit { progress("task"); }"#).err().unwrap();
    assert_eq!(misspelt[0].help.as_deref(), Some("did you mean `tasks`?"));
}

#[derive(Debug, Clone)]
enum Step {
    Order(i64),
    Back(i64),
    All,
    Cancelled,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_arrival_comes_to_the_same_progress_and_points(
        steps in prop::collection::vec(
            (0_usize..3, prop_oneof![
                4 => (0_i64..14).prop_map(Step::Order),
                2 => (1_i64..6).prop_map(Step::Back),
                1 => Just(Step::All),
                1 => Just(Step::Cancelled),
            ]),
            1..10,
        ).prop_flat_map(|steps| (Just(steps.clone()), Just((0..steps.len()).collect::<Vec<_>>()).prop_shuffle())),
    ) {
        let (steps, shuffled) = steps;
        let bodies: Vec<_> = steps.iter().enumerate().map(|(nth, (order, step))| {
            let (order, version) = (format!("o{order}"), nth + 1);
            match step {
                Step::Order(count) => coffees(&order, version as i64, *count),
                Step::Back(count) => format!(r#"{{"key":"r{nth}","type":"order.refunded","data":{{"order_id":"{order}","items":[{{"sku":"c1","quantity":{count}}}]}}}}"#),
                Step::All => format!(r#"{{"key":"r{nth}","type":"order.refunded","data":{{"order_id":"{order}","full":true}}}}"#),
                Step::Cancelled => format!(r#"{{"key":"x{nth}","type":"order.cancelled","data":{{"order_id":"{order}","version":{version}}}}}"#),
            }
        }).collect();
        let live = |places: &[usize]| {
            let mut life = life("rule \"report\" on order.completed { progress(\"tasks\", order.count_of(\"coffee\")); }");
            for at in places {
                life.send(&bodies[*at]);
            }
            let progress = life.program.terms.achievements.iter().filter_map(|achievement| {
                let feat = life.member.standing.feats.get(&achievement.id).cloned().unwrap_or_default();
                let goal = achievement.goal.as_ref()?;
                let today = "2026-03-03".parse().unwrap();
                Some((achievement.id.clone(), feat.progress(goal, &life.member.history, today), feat.times()))
            });
            (progress.filter(|(id, ..)| &**id != "loyal").collect::<Vec<_>>(), points(&life))
        };
        let in_order: Vec<_> = (0..bodies.len()).collect();
        prop_assert_eq!(live(&in_order), live(&shuffled));
    }
}
