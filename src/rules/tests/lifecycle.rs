//! Guests who stay away: by rules, by `[lifecycle]`, and what is told of them.

use serde_json::{Value, json};

use super::*;
use crate::domain::loyalty_event::EventType;

const DAY: i64 = 24;

/// A weekly guest on the day of their last visit.
fn weekly(program: Program) -> Life {
    let mut life = Life::new(program);
    for week in 0..4 {
        life.now += chrono::Duration::hours(if week == 0 { 0 } else { 7 * DAY });
        life.send(&format!(r#"{{"key":"v{week}","type":"visit"}}"#));
    }
    life
}

#[test]
fn a_rule_that_fails_on_a_tick_can_run_again_and_a_tick_that_went_well_leaves_nothing() {
    let rules = "rule \"Gift\" on member.birthday { award(100.0 / (member.points - 5)); }\n\
                 rule \"Fine\" on member.birthday { award(2); }";
    let mut life = Life::new(program("rule \"a\" on visit { award(5); }"));
    life.send(r#"{"type":"visit"}"#);
    assert_eq!(life.tick(TickType::Daily).source, None);
    life.program = program(rules);
    let failed = life.tick(TickType::Birthday);
    assert_eq!(receipt(&failed)["status"], "failed");
    assert_eq!(
        (receipt(&failed)["errors"].as_array().unwrap().len(), life.member.standing.points().0),
        (1, 7)
    );
    life.program = program(&rules.replace("- 5", "- 6"));
    life.now += chrono::Duration::days(3);
    let mended = life.replay(&failed);
    assert_eq!(
        (receipt(&mended)["status"].as_str(), life.member.standing.points().0),
        (Some("processed"), 107)
    );
    assert!(!mended.events.iter().any(|event| event.kind() == EventType::MemberBirthday), "told once");
}

#[test]
fn rules_on_a_return_say_what_to_do_about_it() {
    let rules = "rule \"gone\" on tick.daily { mark(\"churned\"); }\n\
        rule \"Hello\" on member.reactivated when event.days_since_last_visit >= 30 { recommend(\"Say hello\"); award(5); }\n\
        rule \"Broken\" on member.reactivated { recommend(\"Never said\"); award_to(2, \"no\" + \"ne\"); }\n\
        rule \"Dessert\" on member.reactivated { recommend(\"Offer a dessert\"); }";
    let mut life = weekly(program(rules));
    wait(&mut life, 30);
    life.tick(TickType::Daily);
    let back = life.send(r#"{"key":"back","type":"visit"}"#);
    let (kind, data) = absences(&back).pop().unwrap();
    assert_eq!(
        (kind, &data["recommended_actions"]),
        ("member.reactivated", &json!(["Say hello", "Offer a dessert"]))
    );
    assert_eq!((&receipt(&back)["status"], life.member.standing.points().0), (&json!("failed"), 5));
    life.program = program(&rules.replace("award_to(2, \"no\" + \"ne\")", "award(2)"));
    let mended = life.replay(&back);
    assert_eq!((&receipt(&mended)["status"], life.member.standing.points().0), (&json!("processed"), 7));
    assert_eq!(absences(&mended), []);
}

#[test]
fn a_reaction_that_fails_on_a_deadline_can_run_again() {
    let text = format!("{MANIFEST}[[wallets]]\ncode = \"points\"\n")
        .replace("achievements = [\"regular\"]\n", "")
        + "[[achievements]]\nid = \"weeks\"\ncounts = \"streak\"\nunit = \"week\"\ntarget = 9\n";
    let with = |rules: &str| {
        let files = [("a.rhai".to_owned(), rules.to_owned()), ("program.toml".to_owned(), text.clone())];
        Program::load(&Sources { files: files.into() }, &chain(), 7).unwrap()
    };
    let rules =
        "rule \"Comfort\" on streak.broken { award(3.0 * event.length / (event.length - event.length)); }";
    let mut life = weekly(with(rules));
    wait(&mut life, 14);
    let failed = life.decide(Occasion::Due { id: Ulid(77 << 64) }, None);
    assert_eq!(receipt(&failed)["status"], "failed");
    life.program = with(&rules.replace("/ (event.length - event.length)", ""));
    assert_eq!(receipt(&life.replay(&failed))["status"], "processed");
    assert_eq!(life.member.standing.points().0, 12);
}

fn wait(life: &mut Life, days: i64) {
    life.now += chrono::Duration::hours(days * DAY);
}

/// Type and data of what was told of the member's absence.
fn absences(commit: &Commit) -> Vec<(&'static str, Value)> {
    let is_absence = |kind| {
        matches!(kind, EventType::MemberAtRisk | EventType::MemberChurned | EventType::MemberReactivated)
    };
    let events = commit.events.iter().filter(|event| is_absence(event.kind()));
    let data = |text: String| serde_json::from_str::<Value>(&text).unwrap()["data"].clone();
    events.map(|event| (event.kind().as_str(), data(event.to_json()))).collect()
}

fn levels(commit: &Commit) -> Vec<(&'static str, String)> {
    let level = |data: &Value| data["risk_level"].as_str().unwrap().to_owned();
    absences(commit).iter().map(|(kind, data)| (*kind, level(data))).collect()
}

#[test]
fn a_mark_tells_how_a_guest_used_to_come_and_what_the_rule_recommends() {
    let mut life = weekly(program(
        "rule \"a\" on tick.daily when member.days_since_last_visit > 20 {\n\
         recommend(\"offer a free coffee\"); mark(\"at_risk\", \"HIGH\"); recommend(\"call\"); }",
    ));
    wait(&mut life, 21);
    let occasion = Occasion::Tick { kind: TickType::Daily, id: Ulid(1 << 100), then: None };
    let case = Case { foresight: Foresight::Given("0.3512".parse().unwrap()), ..life.case(occasion, None) };
    let commit = decide(&life.program, &life.chain.id, &[], case).unwrap();
    let [("member.at_risk", data)] = &absences(&commit)[..] else { panic!("{commit:?}") };
    let number = |name: &str| data[name].as_f64().unwrap();
    assert_eq!(number("previous_visit_frequency"), 4.0);
    assert_eq!(number("typical_gap_days"), 7.0);
    assert_eq!(number("predicted_churn_probability"), 0.3512);
    assert_eq!((&data["risk_level"], &data["days_since_last_visit"]), (&json!("HIGH"), &json!(21)));
    assert_eq!(data["recommended_actions"], json!(["offer a free coffee", "call"]));
}

#[test]
fn rules_ask_how_likely_somebody_stays_away_and_a_test_says_it() {
    let rules = "rule \"Win back\" on tick.daily when member.churn_probability > 0.6 { award(5); }\n\
                 rule \"Unknown\" on tick.daily when !member.has_churn_probability { award(1); }\n\
                 trigger \"Tell\" on points.earned when member.churn_probability > 0.7 { forward(\"crm\"); }\n\
                 segment \"Going\" because \"churn\" when member.churn_probability > 0.7;\n\
                 test \"likely\" { given_member(#{ churn_probability: 0.65 }); send(\"tick.daily\"); expect awarded() == 5;\
                   expect !forwarded(\"crm\") && !in_segment(\"Going\"); }\n\
                 test \"very\" { given_member(#{ churn_probability: 1 }); send(\"tick.daily\"); expect awarded() == 5;\
                   expect forwarded(\"crm\") && in_segment(\"Going\"); }\n\
                 test \"no model\" { given_member(#{}); send(\"tick.daily\"); expect awarded() == 1; }\n\
                 test \"wrong\" { given_member(#{ churn_probability: 65 }); }";
    let files =
        vec![("a.rhai".to_owned(), rules.to_owned()), ("program.toml".to_owned(), MANIFEST.to_owned())];
    let sources = Sources { files };
    let program = Program::load(&sources, &chain(), 1).unwrap();
    let outcomes = crate::rules::testing::run(&program, &sources, &chain());
    let failures: Vec<_> = outcomes.into_iter().map(|outcome| (outcome.name, outcome.failure)).collect();
    let [likely, very, without, (_, Some(wrong))] = &failures[..] else { panic!("{failures:#?}") };
    assert!([likely, very, without].iter().all(|(_, failure)| failure.is_none()), "{failures:#?}");
    assert!(wrong.message.contains("from 0 to 1"), "{wrong:?}");
}

#[test]
fn a_change_of_level_is_told_again_and_the_same_level_is_not() {
    let mut life = weekly(program(
        "rule \"low\" on tick.daily when member.days_since_last_visit == 20 { mark(\"at_risk\", \"LOW\"); }\n\
         rule \"again\" on tick.daily when member.days_since_last_visit == 21 { mark(\"at_risk\"); mark(\"at_risk\", \"LOW\"); }\n\
         rule \"high\" on tick.daily when member.risk_level == \"LOW\" and member.days_since_last_visit > 25 { mark(\"at_risk\", \"HIGH\"); }",
    ));
    wait(&mut life, 20);
    assert_eq!(levels(&life.tick(TickType::Daily)), [("member.at_risk", "LOW".to_owned())]);
    wait(&mut life, 1);
    assert_eq!(levels(&life.tick(TickType::Daily)), []);
    wait(&mut life, 5);
    assert_eq!(levels(&life.tick(TickType::Daily)), [("member.at_risk", "HIGH".to_owned())]);
    let commit = life.send(r#"{"key":"back","type":"visit"}"#);
    assert_eq!(levels(&commit), [("member.reactivated", "HIGH".to_owned())], "how much they were at risk");
    assert_eq!(absences(&commit)[0].1["days_since_last_visit"], 26);
    assert_eq!(life.member.standing.risk_level(), None);
}

#[test]
fn a_mark_without_a_level_is_medium_and_churned_is_high() {
    let mut life = weekly(program(
        "rule \"a\" on tick.daily { mark(\"at_risk\"); }\nrule \"b\" on tier.review { mark(\"churned\"); }",
    ));
    assert_eq!(levels(&life.tick(TickType::Daily)), [("member.at_risk", "MEDIUM".to_owned())]);
    assert_eq!(levels(&life.tick(TickType::TierReview)), [("member.churned", "HIGH".to_owned())]);
}

#[test]
fn recommendations_need_a_mark_and_have_an_end() {
    let many = "recommend(\"x\"); ".repeat(11);
    for (body, says) in [
        ("recommend(\"call\");", "use both in one rule"),
        (&*format!("mark(\"at_risk\"); {many}"), "at most 10"),
        ("mark(\"at_risk\"); recommend(\"\");", "must not be empty"),
    ] {
        let mut life = weekly(program(&format!("rule \"a\" on order.completed {{ {body} }}")));
        let commit = life.order(r#""total": 1"#);
        let errors = &commit.source.as_ref().unwrap().receipt.errors;
        assert!(errors[0].error.contains(says), "{body}: {errors:?}");
        assert_eq!(levels(&commit), []);
    }
}

fn declared() -> Program {
    let lifecycle = "[lifecycle]\nat_risk_after = 2.5\nchurned_after = 5.5\nat_least_days = 14\n\
                     recommended_actions = [\"Send a win-back offer\"]\n";
    let manifest = format!("{MANIFEST}\n{lifecycle}");
    let rule = "rule \"a\" on tick.daily when member.status == \"churned\" { award(1); }";
    let files = vec![("a.rhai".to_owned(), rule.to_owned()), ("program.toml".to_owned(), manifest)];
    Program::load(&Sources { files }, &chain(), 1).unwrap()
}

#[test]
fn a_declared_lifecycle_needs_no_rule_and_rules_see_what_it_says() {
    let mut life = weekly(declared());
    let mut seen = Vec::new();
    for day in 1..=60 {
        wait(&mut life, 1);
        let commit = life.tick(TickType::Daily);
        seen.extend(levels(&commit).into_iter().map(|(kind, level)| (day, kind, level)));
        for (_, data) in absences(&commit) {
            assert_eq!(data["recommended_actions"], json!(["Send a win-back offer"]));
        }
        assert_eq!(commit.transfers.len(), usize::from(day >= 39));
    }
    let at_risk = |day, level: &str| (day, "member.at_risk", level.to_owned());
    assert_eq!(
        seen,
        [
            at_risk(18, "LOW"),
            at_risk(25, "MEDIUM"),
            at_risk(32, "HIGH"),
            (39, "member.churned", "HIGH".to_owned())
        ]
    );
    assert_eq!(
        levels(&life.send(r#"{"key":"x","type":"visit"}"#)),
        [("member.reactivated", "HIGH".to_owned())]
    );
}

#[test]
fn a_declared_lifecycle_speaks_at_the_daily_tick_only() {
    let mut life = weekly(declared());
    wait(&mut life, 100);
    assert_eq!(levels(&life.tick(TickType::TierReview)), []);
    assert_eq!(levels(&life.tick(TickType::Daily)), [("member.churned", "HIGH".to_owned())]);
}

#[test]
fn what_comes_to_light_late_brings_nobody_back() {
    let mut life = weekly(declared());
    for _ in 0..60 {
        wait(&mut life, 1);
        life.tick(TickType::Daily);
    }
    assert_eq!(life.member.standing.status.as_str(), "churned");
    for (days_ago, back) in [(300, false), (70, false), (58, false), (0, true)] {
        let at = (life.now - chrono::Duration::days(days_ago)).to_rfc3339();
        let visit = format!(r#"{{"key":"late-{days_ago}","type":"visit","occurred_at":"{at}"}}"#);
        let told = levels(&life.send(&visit));
        assert_eq!(told.iter().any(|(kind, _)| *kind == "member.reactivated"), back, "{days_ago}: {told:?}");
        assert_eq!(levels(&life.tick(TickType::Daily)), [], "{days_ago}");
    }
}
