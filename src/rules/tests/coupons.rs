//! Coupons that rules give away, and those that orders name.

use super::super::verdict::Verdict;
use super::*;
use crate::domain::coupon::{
    Card, Coupon, CouponBook, CouponCode, Desk, Holding, MOST_BOOKS_ASKED, Shelf, Tally, Wanted,
};
use crate::domain::decide::Undecided;
use crate::domain::text::Name;
use crate::rules::testing;

const BOOKS: &str = r#"
[[coupon_books]]
id = "welcome"
discount_type = "percentage"
discount_amount = 20
limit_per_member = 1
[[coupon_books]]
id = "partner"
type = "uploaded"
discount_type = "free_item"
"#;

fn life(rules: &str) -> Life {
    let mut sources = sources(rules);
    sources.files.iter_mut().find(|(name, _)| name == "program.toml").unwrap().1.push_str(BOOKS);
    Life::new(Program::load(&sources, &chain(), 1).unwrap_or_else(|problems| panic!("{problems:#?}")))
}

/// Runs the tests among the rules.
#[track_caller]
fn passes(rules: &str) {
    let mut sources = sources(rules);
    sources.files.iter_mut().find(|(name, _)| name == "program.toml").unwrap().1.push_str(BOOKS);
    let outcomes = testing::run(&life(rules).program, &sources, &chain());
    assert!(!outcomes.is_empty() && outcomes.iter().all(|test| test.failure.is_none()), "{outcomes:#?}");
}

fn occasion(body: &str, now: Timestamp) -> Occasion {
    Occasion::Source(SourceInput {
        id: SourceId::new(Ulid(1 << 64)),
        event: Arc::new(SourceEvent::parse(body.as_bytes(), &"USD".parse().unwrap(), now).unwrap()),
        received_at: now,
        from: SourceOrigin::Outside,
    })
}

/// What the decision makes of these things on the desk.
fn try_decide(life: &Life, body: &str, desk: Desk) -> Result<Commit, Undecided> {
    let case = Case { desk: desk.into(), ..life.case(occasion(body, life.now), None) };
    decide(&life.program, &life.chain.id, &[], case)
}

#[track_caller]
fn lacks(outcome: Result<Commit, Undecided>) -> Wanted {
    match outcome {
        Err(Undecided::Lacks(wanted)) => wanted.coupons,
        other => panic!("nothing lacks: {other:?}"),
    }
}

fn key(id: &str) -> crate::domain::ids::CouponBookKey {
    CouponBook::declared_key(&Name::parse(id).unwrap())
}

const VISIT: &str = r#"{"type":"visit","key":"v","member":{"id":"ana"}}"#;

#[test]
fn a_rule_gives_a_coupon_of_a_generated_book_whose_code_comes_from_the_decision() {
    let life = life(r#"rule "Welcome" on visit { assign_coupon("welcome"); }"#);
    let wanted = lacks(try_decide(&life, VISIT, Desk::default()));
    assert_eq!(wanted, Wanted { books: [(key("welcome"), 0)].into(), ..Wanted::default() });
    let mut desk = Desk::default();
    desk.shelves.insert(key("welcome"), Shelf::default());
    let commit = try_decide(&life, VISIT, desk.clone()).unwrap();
    let card = &commit.coupons.cards[0];
    assert_eq!((card.coupon.total_assigned, card.holding.assigned, card.coupon.version), (1, 1, 0));
    assert_eq!(commit.coupons.tallies, [(key("welcome"), Tally { assigned: 1, used: 0 })]);
    assert_eq!(commit.events.last().unwrap().kind().as_str(), "coupon.assigned");
    let line = &receipt(&commit)["effects"][0];
    assert_eq!((&line["effect"], &line["value"]), (&"assign_coupon".into(), &(*card.coupon.code).into()));
    assert_eq!(try_decide(&life, VISIT, desk.clone()).unwrap(), commit, "the same decision, the same code");

    desk.shelves.insert(key("welcome"), Shelf::of(None, Tally { assigned: 1, used: 0 }));
    let commit = try_decide(&life, VISIT, desk).unwrap();
    assert_eq!(commit.coupons, Default::default());
    assert!(receipt(&commit)["errors"][0]["error"].as_str().unwrap().contains("as many coupons"));
}

#[test]
fn a_rule_gives_a_free_code_of_an_uploaded_book() {
    let life = life(r#"rule "Two" on visit { assign_coupon("partner"); assign_coupon("partner"); }"#);
    let mut desk = Desk::default();
    desk.shelves.insert(key("partner"), Shelf::default());
    for (code, wanted) in [("AAA", 1), ("BBB", 2)] {
        let lacks = lacks(try_decide(&life, VISIT, desk.clone()));
        assert_eq!(lacks.books, [(key("partner"), wanted)].into());
        let code: CouponCode = code.parse().unwrap();
        desk.lay(Coupon::fresh(code.clone(), key("partner"), life.now));
        desk.shelves.get_mut(&key("partner")).unwrap().free.push(code);
    }
    let commit = try_decide(&life, VISIT, desk.clone()).unwrap();
    let codes: Vec<_> = commit.coupons.cards.iter().map(|card| &*card.coupon.code).collect();
    assert_eq!(codes, ["AAA", "BBB"]);
    let shelf = desk.shelves.get_mut(&key("partner")).unwrap();
    (_, shelf.is_dry) = (shelf.free.pop(), true);
    let commit = try_decide(&life, VISIT, desk).unwrap();
    assert_eq!(commit.coupons, Default::default(), "all of a rule's effects or none");
    assert!(receipt(&commit)["errors"][0]["error"].as_str().unwrap().contains("no free code left"));
}

#[test]
fn coupons_of_an_order_are_used_with_it_and_those_that_are_no_good_are_noted() {
    let life = life("");
    let body = r#"{"type":"order.completed","key":"o","member":{"id":"ana"},
        "data":{"order_id":"o","total":10,"coupons":["summer-20","nonsense","no such thing"]}}"#;
    let wanted = lacks(try_decide(&life, body, Desk::default()));
    let codes: Vec<_> = wanted.codes.iter().map(|code| &**code).collect();
    assert_eq!(codes, ["NONSENSE", "SUMMER-20"]);
    let mut desk = Desk::default();
    let summer = Coupon::fresh("SUMMER-20".parse().unwrap(), key("welcome"), life.now);
    desk.cards.insert(summer.code.clone(), Some(Card { coupon: summer, holding: Holding::default() }));
    desk.cards.insert("NONSENSE".parse().unwrap(), None);
    desk.shelves.insert(key("welcome"), Shelf::default());
    let commit = try_decide(&life, body, desk).unwrap();
    let told: Vec<_> = commit.events.iter().map(|event| event.kind().as_str()).collect();
    assert!(told.ends_with(&["order.completed", "coupon.used"]), "{told:?}");
    assert_eq!(commit.coupons.cards[0].coupon.total_usages, 1);
    let receipt = receipt(&commit);
    assert_eq!(
        (&receipt["status"], receipt["notes"].as_array().unwrap().len()),
        (&"processed".into(), 2),
        "{receipt}"
    );
}

#[test]
fn a_misspelt_book_is_found_by_the_checker_and_tests_of_rules_can_give_coupons() {
    let mut files = sources(r#"rule "Welcome" on visit { assign_coupon("welcom"); }"#);
    files.files.iter_mut().find(|(name, _)| name == "program.toml").unwrap().1.push_str(BOOKS);
    let problems = Program::load(&files, &chain(), 1).unwrap_err();
    assert!(problems[0].message.contains("no coupon book called `welcom`"), "{problems:?}");
    assert_eq!(problems[0].help.as_deref(), Some("did you mean `welcome`?"));
    let tested = r#"
        rule "Welcome" on visit { assign_coupon("welcome"); assign_coupon("partner"); }
        test "a first visit gives coupons" {
            send("visit");
            expect told("coupon.assigned");
        }"#;
    passes(tested);
}

/// A desk on which lies what the member has of a book: so many coupons, given to them.
fn holding(desk: &mut Desk, book: &str, count: u32, now: Timestamp) {
    let book = key(book);
    for n in 0..count {
        let code = CouponCode::generated(&book.ulid().to_bytes(), n.into());
        let coupon = Coupon { total_assigned: 1, version: 1, ..Coupon::fresh(code.clone(), book, now) };
        let holding = Holding { assigned: 1, ..Holding::default() };
        desk.cards.insert(code, Some(Card { coupon, holding }));
    }
    desk.shelves.insert(book, Shelf::of(None, Tally { assigned: count, used: 0 }));
    desk.held.insert(book);
}

/// The rules whose effects stand in the receipt.
fn acted(commit: &Commit) -> Vec<String> {
    let receipt = receipt(commit);
    let lines = receipt["effects"].as_array().cloned().unwrap_or_default();
    lines.iter().map(|line| line["rule"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_a_member_has_of_a_book_is_looked_up_when_a_rule_asks_and_only_then() {
    let life = life(
        r#"
        rule "Condition" on visit when member.visits >= 1 and member.has_coupon("welcome") { award(1, "a"); }
        rule "Body" on visit { award(member.coupons("partner"), "b"); }
        rule "Function" on visit { if holds(member) { award(1, "c"); } }
        fn holds(who) { who.has_coupon("welcome") }
        rule "Elsewhere" on order.completed when member.has_coupon("welcome") { award(1, "d"); }
        rule "Guarded" on visit when member.visits > 1 and member.has_coupon("welcome") { award(1, "e"); }
        "#,
    );
    let wanted = lacks(try_decide(&life, VISIT, Desk::default()));
    let held = [(key("welcome"), life.now), (key("partner"), life.now)].into();
    assert_eq!(wanted, Wanted { held, ..Wanted::default() }, "of all rules at once");
    for (welcome, partner, acting) in
        [(0, 0, &["Body"][..]), (1, 0, &["Condition", "Body", "Function"]), (0, 3, &["Body"])]
    {
        let mut desk = Desk::default();
        holding(&mut desk, "welcome", welcome, life.now);
        holding(&mut desk, "partner", partner, life.now);
        let commit = try_decide(&life, VISIT, desk).unwrap();
        let acted: Vec<_> = acted(&commit).into_iter().filter(|rule| partner > 0 || rule != "Body").collect();
        let acting: Vec<_> = acting.iter().filter(|rule| partner > 0 || **rule != "Body").collect();
        assert_eq!(acted.iter().collect::<Vec<_>>(), acting, "{welcome} {partner}");
        assert_eq!(commit.coupons, Default::default(), "what is only looked at is not written");
        let points = i64::from(welcome.min(1)) * 2 + i64::from(partner);
        assert_eq!(receipt(&commit)["member"]["points"], points, "{welcome} {partner}");
    }
    let other = r#"{"type":"member.updated","key":"u","member":{"id":"ana"},"data":{"first_name":"Ana"}}"#;
    assert!(try_decide(&life, other, Desk::default()).is_ok(), "nobody asks");
}

#[test]
fn rules_of_an_event_see_no_coupon_of_each_other_but_reactions_segments_and_triggers_do() {
    let life = life(
        r#"
        rule "1 gives" on visit { assign_coupon("welcome"); achieve("regular"); }
        rule "2 looks" on visit when member.has_coupon("welcome") { award(1, "too early"); }
        rule "3 reacts" on achievement.earned when member.has_coupon("welcome") { award(2, "in time"); }
        segment "Holders" when member.has_coupon("welcome");
        trigger "Holds" on visit.recorded when member.coupons("welcome") == 1 { forward("crm"); }
        "#,
    );
    let mut desk = Desk::default();
    holding(&mut desk, "welcome", 0, life.now);
    let case = Case { desk: desk.into(), ..life.case(occasion(VISIT, life.now), None) };
    let decided =
        super::super::decide::decide_and_tell(&life.program.telling_why(), &life.chain.id, &[], case)
            .unwrap();
    let fired = decided.minutes.rules.iter().filter(|judged| matches!(judged.verdict, Verdict::Fired(_)));
    assert_eq!(fired.map(|judged| &*judged.rule).collect::<Vec<_>>(), ["1 gives", "3 reacts"]);
    let member = decided.commit.member.unwrap();
    assert_eq!((member.standing.points().0, member.standing.segments.len()), (2, 1));
    assert_eq!(decided.forwards.concat().len(), 1);
}

#[test]
fn a_segment_or_a_trigger_can_lack_too_and_says_nothing_else_meanwhile() {
    for rules in [
        r#"segment "Holders" when member.has_coupon("welcome");"#,
        r#"trigger "Holds" on visit.recorded when member.has_coupon("welcome") { forward("crm"); }"#,
        r#"rule "Gives" on visit { achieve("regular"); }
           rule "Reacts" on achievement.earned when member.has_coupon("welcome") { award(1, "a"); }"#,
    ] {
        let life = life(rules);
        let wanted = lacks(try_decide(&life, VISIT, Desk::default()));
        assert_eq!(wanted.held, [(key("welcome"), life.now)].into(), "{rules}");
        let mut desk = Desk::default();
        holding(&mut desk, "welcome", 1, life.now);
        let commit = try_decide(&life, VISIT, desk).unwrap();
        assert_eq!(receipt(&commit)["notes"], serde_json::Value::Null, "{rules}");
    }
}

#[test]
fn a_late_event_asks_of_its_own_day_and_segments_of_today() {
    let rules = r#"
        rule "Rule" on visit when member.has_coupon("welcome") { award(1, "a"); }
        segment "Holders" when member.has_coupon("welcome");
    "#;
    let life = life(rules);
    let earlier = life.now - chrono::Duration::days(3);
    let late = format!(
        r#"{{"type":"visit","key":"v","occurred_at":"{}","member":{{"id":"ana"}}}}"#,
        earlier.to_rfc3339()
    );
    let wanted = lacks(try_decide(&life, &late, Desk::default()));
    assert_eq!(wanted.held, [(key("welcome"), earlier)].into());
    let mut desk = Desk::default();
    holding(&mut desk, "welcome", 1, earlier);
    let card = desk.cards.values_mut().flatten().next().unwrap();
    card.holding.expires_at = Some(life.now - chrono::Duration::days(1));
    let commit = try_decide(&life, &late, desk).unwrap();
    let member = commit.member.as_ref().unwrap();
    assert_eq!((acted(&commit), member.standing.segments.len()), (vec!["Rule".to_owned()], 0));
}

#[test]
fn the_books_that_one_event_may_ask_about_are_bounded() {
    let books: String = (0..=MOST_BOOKS_ASKED)
        .map(|n| format!("[[coupon_books]]\nid = \"b{n}\"\ndiscount_type = \"other\"\n"))
        .collect();
    let rules = format!(
        "rule \"Many\" on visit {{ for n in 0..{MOST_BOOKS_ASKED} {{ award(member.coupons(`b${{n}}`), \"m\"); }} }}\n\
         rule \"One more\" on visit when member.has_coupon(\"b{MOST_BOOKS_ASKED}\") {{ award(1, \"o\"); }}\n\
         rule \"Known\" on visit when member.has_coupon(\"b0\") {{ award(1, \"k\"); }}\n\
         segment \"Later\" when member.coupons(\"b{MOST_BOOKS_ASKED}\") > 0;\n"
    );
    let mut sources = sources(&rules);
    sources.files.iter_mut().find(|(name, _)| name == "program.toml").unwrap().1.push_str(&books);
    let life =
        Life::new(Program::load(&sources, &chain(), 1).unwrap_or_else(|problems| panic!("{problems:#?}")));
    let mut desk = Desk::default();
    let mut looks = 0;
    let commit = loop {
        match try_decide(&life, VISIT, desk.clone()) {
            Ok(commit) => break commit,
            Err(Undecided::Lacks(wanted)) => {
                assert!(!wanted.coupons.held.is_empty());
                for book in wanted.coupons.held.keys() {
                    desk.shelves.insert(*book, Shelf::default());
                    desk.held.insert(*book);
                }
                holding(&mut desk, "b0", 1, life.now);
            }
            Err(refused) => panic!("{refused}"),
        }
        looks += 1;
    };
    assert!(looks <= MOST_BOOKS_ASKED, "{looks}");
    let receipt = receipt(&commit);
    assert_eq!(receipt["errors"].as_array().unwrap().len(), 1, "{receipt}");
    let error = &receipt["errors"][0];
    assert_eq!((&error["rule"], &error["at"]), (&"One more".into(), &"a.rhai:2:38".into()));
    assert_eq!(error["error"], "one event may ask about the coupons of at most 10 books");
    assert_eq!(acted(&commit).last().unwrap(), "Known", "what is known may be asked again");
    let note = receipt["notes"][0].as_str().unwrap();
    assert!(note.contains("at most 10 books"), "of the whole event: {note}");
}

#[test]
fn a_book_that_the_program_does_not_have_is_refused_and_one_that_is_named_while_it_runs_holds_nothing() {
    for word in ["has_coupon", "coupons"] {
        let rules =
            format!("rule \"R\" on visit {{\n  if member.{word}(\"welcom\") == 1 {{ award(1, \"a\"); }}\n}}");
        let mut files = sources(&rules);
        files.files.iter_mut().find(|(name, _)| name == "program.toml").unwrap().1.push_str(BOOKS);
        let problems = Program::load(&files, &chain(), 1).unwrap_err();
        let problem = problems.iter().find(|problem| problem.message.contains("welcom")).unwrap();
        assert_eq!(problem.message, "there is no coupon book called `welcom`");
        assert_eq!(problem.help.as_deref(), Some("did you mean `welcome`?"));
        assert_eq!((problem.line, problem.column), (2, 14 + word.len()));
    }
    let life = life(r#"rule "R" on visit { let book = `a${1}`; award(1 + member.coupons(book), "a"); }"#);
    assert_eq!(receipt(&try_decide(&life, VISIT, Desk::default()).unwrap())["member"]["points"], 1);
}

#[test]
fn tests_of_rules_can_give_a_member_coupons() {
    passes(
        r#"
        rule "Holder" on order.completed when member.has_coupon("welcome") { award(member.coupons("partner"), "a"); }
        rule "Welcome" on visit when !member.has_coupon("welcome") { assign_coupon("welcome"); }
        test "who has coupons is known by them" {
            given_member(#{ coupons: ["welcome", "partner", "partner"] });
            send("order.completed", #{ total: 10.00 });
            expect fired("Holder") && awarded() == 2;
            send("visit");
            expect !fired("Welcome");
            given_member(#{ points: 1 });
            send("visit");
            expect fired("Welcome");
            send("visit");
            expect !fired("Welcome");
        }"#,
    );
}
