//! What tests in rule files can say of the member, and ask them.

use super::*;
use crate::rules::report::check_for;

const TERMS: &str = r#"
name = "Acme"
timezone = "America/New_York"
currency = "USD"
tiers = ["bronze", "gold"]
counters = ["stamps"]
marks = ["vip"]

[[wallets]]
code = "points"

[[wallets]]
code = "stars"

[[rewards]]
id = "coffee"
title = "A coffee"
type = "digital"
cost = 10

[[coupon_books]]
id = "slice"
name = "A slice of cake"
discount_type = "free_item"

[[coupon_books]]
id = "cup"
name = "A cup"
discount_type = "free_item"
"#;

const RULES: &str = r#"
rule "Points" on order.completed { award(order.total); award_to(2, "stars"); count("stamps"); }
rule "A slice" on order.completed when order.total > 50 { assign_coupon("slice"); mark("vip"); }
rule "Thank you" on redemption.created { award_to(1, "stars"); }
"#;

/// What the one test with these lines says, if it fails.
fn says(lines: &str) -> Option<String> {
    let rules = format!("{RULES}\ntest \"t\" {{ {lines} }}");
    let files = [("program.toml", TERMS), ("a.rhai", &rules)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
    let report = check_for(Sources { files }, &chain());
    let test = report.tests.first().unwrap_or_else(|| panic!("{:#?}", report.problems));
    test.failure.as_ref().map(|failure| failure.message.clone())
}

#[test]
fn a_test_reads_the_member_as_the_next_rule_would() {
    for lines in [
        "expect member.is_new; send(\"visit\"); expect !member.is_new && member.visits == 1;",
        "send(\"order.completed\", #{ total: 60.00 }); expect member.points == 60 && member.balance(\"stars\") == 2;",
        "let before = member.points; send(\"order.completed\", #{ total: 5.00 }); expect member.points == before + 5;",
        "send(\"order.completed\", #{ total: 60.00 }); expect member.has_coupon(\"slice\") && !member.has_coupon(\"cup\");",
        "send(\"order.completed\", #{ total: 60.00 }); expect member.coupons(\"slice\") == 1 && member.has_mark(\"vip\");",
        "send(\"order.completed\", #{ total: 1.00 }); expect member.counter(\"stamps\") == 1 && !member.has_mark(\"vip\");",
        "send(\"order.completed\", #{ total: 60.00 }); at(\"2026-01-15 12:00\"); expect member.days_since_last_visit == 10;",
    ] {
        assert_eq!(says(lines), None, "{lines}");
    }
    let other = says("send(\"order.completed\", #{ total: 60.00 }); expect member.has_coupon(\"cup\");");
    assert_eq!(other.unwrap(), "expected member.has_coupon(\"cup\"); coupons of: \"slice\"");
    let other = says("send(\"visit\"); expect member.balance(\"stars\") == 2;");
    assert_eq!(other.unwrap(), "this is 0, expected == 2");
}

#[test]
fn a_given_member_has_wallets_and_a_profile() {
    let given = "given_member(#{ points: 7, wallets: #{ stars: 3 }, first_name: \"Ana\", language: \"fr\", \
        consents: #{ email: true, sms: false }, attributes: #{ staff: true, floor: 3 } });";
    for question in [
        "member.points == 7 && points() == 7 && member.balance(\"stars\") == 3",
        "member.language == \"fr\" && member.first_name == \"Ana\"",
        "member.consents_to(\"email\") && !member.consents_to(\"sms\")",
        "member.attribute(\"staff\") == true && member.attribute(\"floor\") == 3",
    ] {
        assert_eq!(says(&format!("{given} expect {question};")), None, "{question}");
    }
    for (given, problem) in [
        ("wallets: #{ moons: 3 }", "there is no wallet called `moons` in program.toml"),
        ("wallets: 3", "`wallets` must be a map"),
        ("language: 3", "`language` must be a text, not a number"),
        ("attributes: 3", "`attributes` must be a map"),
        ("attributes: #{ list: [1] }", "data.attributes"),
        ("colour: \"red\"", "a member has no `colour`; there is tier, status, points, wallets"),
    ] {
        let said = says(&format!("given_member(#{{ {given} }}); expect points() == 0;")).unwrap();
        assert!(said.contains(problem), "{given}: {said}");
    }
}

#[test]
fn a_member_is_given_once_before_an_event_and_has_been_nowhere_after_it() {
    for (lines, problem) in [
        (
            "given_member(#{ points: 5 }); given_member(#{ tier: \"gold\" });",
            Some("a member was given already"),
        ),
        (
            "given_member(#{ points: 5 }); send(\"visit\"); given_member(#{ points: 6 }); send(\"visit\");",
            None,
        ),
        (
            "given_member(#{ visits: [\"2026-02-10\"] }); send(\"visit\");",
            Some("here it is 2026-01-05 12:00"),
        ),
        (
            "given_member(#{ orders: [#{ at: \"2026-02-10\", total: 4 }] }); send(\"visit\");",
            Some("a visit on 2026-02-10"),
        ),
        ("given_member(#{ visits: [\"2026-02-10\"] }); at(\"2026-02-10 00:00\"); send(\"visit\");", None),
        (
            "at(\"2026-03-01 12:00\"); given_member(#{ visits: [\"2026-02-10\", \"2026-01-10\"] }); send(\"visit\");",
            None,
        ),
        ("given_member(#{ visits: 5 }); send(\"visit\");", Some("`visits` must be a list, not a number")),
    ] {
        let said = says(lines);
        let is_as_wanted = problem
            .map_or(said.is_none(), |problem| said.as_ref().is_some_and(|said| said.contains(problem)));
        assert!(is_as_wanted, "{lines}: {said:?}");
    }
}

#[test]
fn a_test_redeems_a_reward_as_at_the_counter() {
    let lines = "given_member(#{ points: 12 }); redeem(\"coffee\"); \
        expect told(\"redemption.created\") && fired(\"Thank you\") && member.points == 2 && member.balance(\"stars\") == 1;";
    assert_eq!(says(lines), None);
    let said = says("redeem(\"coffee\"); expect points() == 0;").unwrap();
    assert!(said.contains("10"), "what it costs: {said}");
}

#[test]
fn what_a_test_cannot_say_is_answered_with_what_it_can() {
    for (lines, help) in [
        ("expect balance(\"stars\") == 1;", "write member.balance(…)"),
        ("expect has_coupon(\"slice\");", "write member.has_coupon(…)"),
        ("expect visits_in(30.days) == 1;", "write member.visits_in(…)"),
        ("redeem(\"tea\"); expect points() == 0;", "there is `coffee`"),
    ] {
        let rules = format!("{RULES}\ntest \"t\" {{ {lines} }}");
        let files = [("program.toml", TERMS), ("a.rhai", &rules)];
        let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
        let problems = check_for(Sources { files }, &chain()).problems;
        assert_eq!(problems[0].help.as_deref(), Some(help), "{problems:#?}");
    }
}
