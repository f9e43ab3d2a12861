//! Rules that start one another: what each sees, whose what they give is, and where it ends.

use serde_json::{Value, json};

use super::*;
use crate::domain::loyalty_event::EventType;

fn try_of(manifest: &str, rules: &str) -> Result<Program, Vec<Diagnostic>> {
    let files = [("a.rhai", rules), ("program.toml", manifest)];
    let sources = Sources { files: files.map(|(name, text)| (name.to_owned(), text.to_owned())).into() };
    Program::load(&sources, &chain(), 7)
}

fn of(manifest: &str, rules: &str) -> Program {
    try_of(manifest, rules).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// A program that declares this, too.
fn with(terms: &str, rules: &str) -> Program {
    of(&format!("{MANIFEST}{terms}"), rules)
}

fn kinds(commit: &Commit) -> Vec<&'static str> {
    commit.events.iter().map(|event| event.kind().as_str()).collect()
}

fn points(life: &Life) -> i64 {
    life.member.standing.points().0
}

fn visit(life: &mut Life, key: &str) -> Commit {
    life.send(&format!(r#"{{"key":"{key}","type":"visit"}}"#))
}

fn errors(commit: &Commit) -> Vec<Value> {
    receipt(commit)["errors"].as_array().cloned().unwrap_or_default()
}

#[test]
fn rules_start_on_whatever_is_told_of_a_member_but_on_who_was_erased() {
    for kind in EventType::ALL {
        let problems = load(&format!("rule \"a\" on {kind} {{ }}")).err().unwrap_or_default();
        let is_unknown = problems.iter().any(|problem| problem.message.starts_with("there is no event"));
        let starts = kind.is_about_member() && *kind != EventType::MemberErased;
        assert_eq!(!is_unknown, starts, "{kind}: {problems:?}");
    }
    let erased = load(r#"rule "a" on member.erased { }"#).unwrap_err();
    assert!(erased[0].help.as_deref().is_some_and(|help| help.starts_with("who was erased")), "{erased:?}");
}

#[test]
fn what_a_rule_does_starts_further_rules_and_each_sees_what_came_before_it() {
    let rules = r#"
        rule "Come in" on visit { award(10); }
        rule "Noticed" on points.earned when event.amount == 10 and event.new_balance == member.points { achieve("regular"); }
        rule "Promoted" on achievement.earned when member.has_achievement("regular") { set_tier("silver"); }
        rule "Celebrated" on tier.upgraded when event.previous_tier == "bronze" { award(member.points + 1); }
        rule "Not now" on points.earned when event.amount > 11 { award(1000); }
    "#;
    let mut life = Life::new(program(rules));
    let told = visit(&mut life, "v");
    let expected =
        ["visit.recorded", "points.earned", "achievement.earned", "tier.upgraded", "points.earned"];
    assert_eq!(kinds(&told)[1..], expected, "{:?}", errors(&told));
    assert_eq!(kinds(&told)[0], "member.enrolled");
    assert_eq!((receipt(&told)["status"].as_str(), points(&life)), (Some("processed"), 21));
    assert_eq!(kinds(&visit(&mut life, "w")), ["visit.recorded", "points.earned"], "nothing else is new");
}

#[test]
fn rules_that_start_one_another_without_an_end_are_stopped_and_named_and_what_stands_stands() {
    let rules = "rule \"Come in\" on visit { award(1); }\n\
                 \x20 rule \"Echo\" on points.earned when event.amount > 0 { award(1); }\n\
                 rule \"Fine\" on visit.recorded { set_tier(\"silver\"); }";
    let mut life = Life::new(program(rules));
    let failed = visit(&mut life, "v");
    assert_eq!((receipt(&failed)["status"].as_str(), points(&life)), (Some("failed"), 1 + 4));
    assert!(kinds(&failed).contains(&"tier.upgraded"));
    let [error] = &errors(&failed)[..] else { panic!("{:?}", errors(&failed)) };
    let way = "points.earned → rule \"Echo\" → ".repeat(4) + "points.earned → rule \"Echo\"";
    assert!(error["error"].as_str().unwrap().contains(&way), "{error}");
    assert_eq!((&error["rule"], &error["at"]), (&json!("Echo"), &json!("a.rhai:2:3")));
    let again = life.replay(&failed);
    assert_eq!((receipt(&again)["status"].as_str(), points(&life)), (Some("failed"), 5), "as far as before");
    assert_eq!(errors(&again), errors(&failed));
    life.program = program(&rules.replace("event.amount > 0", "event.amount > 5"));
    let mended = life.replay(&again);
    assert_eq!((receipt(&mended)["status"].as_str(), points(&life)), (Some("processed"), 5));
}

#[test]
fn what_the_engine_tells_because_of_a_rule_is_on_the_way_too() {
    let terms =
        "[[achievements]]\nid = \"tasks\"\ncounts = \"progress\"\ntarget = 1\nrecurrence = \"each_time\"\n";
    let manifest = MANIFEST.replace("achievements = [\"regular\"]\n", "");
    let rules = r#"
        rule "Begin" on visit { progress("tasks"); }
        rule "Again" on achievement.earned when event.times > 0 { progress("tasks"); }
    "#;
    let mut life = Life::new(of(&(manifest + terms), rules));
    let failed = visit(&mut life, "v");
    assert_eq!(kinds(&failed).iter().filter(|kind| **kind == "achievement.earned").count(), 1 + 4);
    assert_eq!(errors(&failed)[0]["reacted_to"]["after"].as_array().unwrap().len(), 4);
}

#[test]
fn one_event_starts_so_many_reactions_and_says_which_was_one_too_many() {
    let rules = r#"
        rule "Many" on visit { for i in 0..60 { award(1); } }
        rule "One" on points.earned { set_tier("silver"); }
        rule "Two" on points.earned { set_tier("silver"); }
    "#;
    let mut life = Life::new(program(rules));
    let failed = visit(&mut life, "v");
    assert_eq!((receipt(&failed)["status"].as_str(), points(&life)), (Some("failed"), 60));
    let [error] = &errors(&failed)[..] else { panic!("{:?}", errors(&failed)) };
    assert!(error["error"].as_str().unwrap().contains("one event may start 100 reactions"), "{error}");
    let lines = receipt(&failed)["effects"].as_array().unwrap().len();
    assert_eq!(lines, 60 + 100);
}

#[test]
fn a_rule_that_failed_far_down_runs_again_alone_about_the_very_same() {
    let rules = r#"
        rule "One" on visit { award(1); }
        rule "Two" on points.earned when event.amount == 1 { award(2); }
        rule "Three" on points.earned when event.amount == 2 { award(3.0 / (event.amount - event.amount)); }
        rule "Four" on points.earned when event.amount == 3 { award(4); }
    "#;
    let mut life = Life::new(program(rules));
    let failed = visit(&mut life, "v");
    assert_eq!((receipt(&failed)["status"].as_str(), points(&life)), (Some("failed"), 3));
    let reacted_to = &errors(&failed)[0]["reacted_to"];
    assert_eq!(
        (&reacted_to["type"], &reacted_to["after"]),
        (&json!("points.earned"), &json!([["points.earned", "Two"]]))
    );
    life.program = program(&rules.replace(" / (event.amount - event.amount)", ""));
    let mended = life.replay(&failed);
    assert_eq!((receipt(&mended)["status"].as_str(), points(&life)), (Some("processed"), 3 + 3 + 4));
    assert_eq!(kinds(&mended), ["points.earned", "points.earned"]);
}

#[test]
fn what_rules_give_on_what_was_told_is_no_orders_and_a_refund_takes_the_orders_own_once() {
    let rules = r#"
        rule "Base" on order.completed { award(order.total, "base"); }
        rule "Bonus" on points.earned when event.reason != "bonus" { award(event.amount / 2.0, "bonus"); }
        rule "Back" on order.refunded { take_back("refund"); }
    "#;
    let refund = r#"{"key":"r","type":"order.refunded","data":{"order_id":"o0","full":true}}"#;
    let mut life = Life::new(program(rules));
    life.order(r#""total":10"#);
    assert_eq!(points(&life), 15);
    life.send(refund);
    assert_eq!(points(&life), 5, "the bonus is no part of the order");
    life.send(&refund.replace("\"r\"", "\"again\""));
    assert_eq!(points(&life), 5, "a refund is taken once");

    // Who wants it to go, says so; then an order that goes up and down comes to what it is in the end.
    let both = format!(
        "{rules} rule \"Bonus back\" on points.clawed_back {{ deduct(event.amount / 2.0, \"bonus\"); }}"
    );
    let mut life = Life::new(program(&both));
    life.order(r#""total":10,"version":1"#);
    for (version, total) in [(2, 4), (3, 20)] {
        life.send(&format!(
            r#"{{"key":"u{version}","type":"order.updated","data":{{"order_id":"o0","total":{total},"version":{version}}}}}"#
        ));
        assert_eq!(points(&life), total + total / 2);
    }
    life.send(refund);
    assert_eq!(points(&life), 0);
}

#[test]
fn points_that_wait_for_their_order_are_taken_back_once_and_the_others_stay() {
    let rules = r#"
        rule "Base" on order.completed { award(order.total, "base"); }
        rule "Bonus" on points.pending { award_to(4, "stars"); award(3, "bonus"); }
        rule "Back" on order.refunded { take_back("refund"); }
    "#;
    let wallets =
        "[[wallets]]\ncode = \"points\"\npending = \"until confirmed\"\n[[wallets]]\ncode = \"stars\"\n";
    let rules =
        rules.replace("on points.pending {", "on points.pending when member.balance(\"stars\") == 0 {");
    let mut life = Life::new(with(wallets, &rules));
    life.order(r#""total":10"#);
    let waiting = |life: &Life| life.member.standing.wallets.first().unwrap().pending().0;
    assert_eq!(waiting(&life), 13);
    life.send(r#"{"key":"r","type":"order.refunded","data":{"order_id":"o0","full":true}}"#);
    assert_eq!((waiting(&life), points(&life)), (3, 0));
}

#[test]
fn rules_hear_of_tiers_and_segments_and_both_are_judged_again() {
    let rules = r#"
        segment "Rich" when member.points >= 10;
        rule "Gift" on visit { award(12); }
        rule "Rich" on segment.entered when event.segment_name == "Rich" and member.in_segment("Rich") { deduct(5); }
        rule "Poor" on segment.exited when !member.in_segment("Rich") { achieve("regular"); }
    "#;
    let mut life = Life::new(program(rules));
    let told = visit(&mut life, "v");
    let expected =
        ["points.earned", "segment.entered", "points.deducted", "segment.exited", "achievement.earned"];
    assert_eq!(kinds(&told)[2..], expected);
    assert_eq!((points(&life), life.member.standing.segments.len()), (7, 0));

    let tier = |id: &str, from: &str| format!("[[tiers]]\nid = \"{id}\"\nname = \"{id}\"\n{from}\n");
    let ladder =
        [tier("bronze", ""), tier("silver", "threshold = 10"), tier("gold", "threshold = 20")].concat();
    let policy = "[tier_policy]\nmetric = \"points\"\nperiod = \"calendar\"\nevery = \"year\"\ndowngrade = \"one_step\"\n";
    let head = MANIFEST.replace("tiers = [\"bronze\", \"silver\", \"gold\"]\n", "");
    let rules = r#"
        rule "Gift" on visit { award(12); }
        rule "Silver" on tier.upgraded when event.new_tier == "silver" { award(9); }
        rule "Gold" on tier.upgraded when event.new_tier == "gold" and member.tier == "gold" { award(1); }
    "#;
    let mut life = Life::new(of(&format!("{head}{ladder}{policy}"), rules));
    let told = visit(&mut life, "v");
    let expected = ["points.earned", "tier.upgraded", "points.earned", "tier.upgraded", "points.earned"];
    assert_eq!((&kinds(&told)[2..], points(&life)), (&expected[..], 22), "{:?}", errors(&told));
}

#[test]
fn rules_react_to_what_a_tick_and_a_deadline_came_to() {
    let rules = r#"
        rule "Away" on tick.daily { mark("at_risk"); }
        rule "Call" on member.at_risk { award(7); }
        rule "Sorry" on points.expired { achieve("regular"); }
        rule "Thanks" on achievement.earned { set_tier("gold"); }
    "#;
    let wallet = "[[wallets]]\ncode = \"points\"\nexpiry = \"5 days\"\n";
    let mut life = Life::new(with(wallet, rules));
    visit(&mut life, "v");
    let tick = life.tick(TickType::Daily);
    assert_eq!(kinds(&tick), ["member.at_risk", "points.earned"]);
    assert_eq!(tick.source, None, "it went well");
    life.now += chrono::Duration::days(7);
    let due = life.decide(Occasion::Due { id: Ulid(77 << 64) }, None);
    assert_eq!(kinds(&due), ["points.expired", "achievement.earned", "tier.upgraded"]);
}

#[test]
fn what_came_with_a_signal_is_kept_once_and_asked_about_again() {
    let rules = r#"rule "Tap" on signal.received when event.data.table == 7 { award(1.0 / (member.points - member.points)); }"#;
    let mut life = Life::new(program(rules));
    let failed = life.send(r#"{"key":"s","type":"signal","data":{"name":"tap","data":{"table":7}}}"#);
    assert_eq!(errors(&failed)[0]["reacted_to"]["data"], json!({ "name": "tap", "data": {} }));
    life.program = program(&rules.replace(" / (member.points - member.points)", ""));
    let mended = life.replay(&failed);
    assert_eq!((receipt(&mended)["status"].as_str(), points(&life)), (Some("processed"), 1));
}

#[test]
fn rules_see_which_coupon_book_reward_and_wallet_it_is_about() {
    let terms = "[[wallets]]\ncode = \"points\"\n[[wallets]]\ncode = \"stars\"\n\
                 [[coupon_books]]\nid = \"slice\"\nname = \"A slice\"\ndiscount_type = \"free_item\"\n\
                 [[rewards]]\nid = \"mug\"\ntitle = \"A mug\"\ntype = \"physical\"\ncost = 1000\n";
    let rules = r#"
        rule "Star" on points.earned when event.wallet == "points" { award_to(1, "stars"); }
        rule "Any" on coupon.assigned when event.coupon_book == "slice" { award(1); }
        rule "Never" on redemption.created when event.reward == "" { award(1); }
    "#;
    let mut life = Life::new(with(terms, rules));
    let star = |life: &Life| life.member.standing.wallets.get("stars").map_or(0, |wallet| wallet.balance().0);
    visit(&mut life, "v");
    assert_eq!((points(&life), star(&life)), (0, 0));
    life.program = with(terms, &format!("rule \"Come in\" on visit {{ award(2); }}{rules}"));
    visit(&mut life, "w");
    assert_eq!((points(&life), star(&life)), (2, 1), "a star for points, none for stars");
    let misspelt = rules.replace("\"slice\"", "\"slize\"");
    let problems = try_of(&format!("{MANIFEST}{terms}"), &misspelt).unwrap_err();
    assert_eq!(problems[0].help.as_deref(), Some("did you mean `slice`?"));
}
