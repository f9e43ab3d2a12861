//! Coupons that rules give away, and those that orders name.

use super::*;
use crate::domain::coupon::{Card, Coupon, CouponBook, CouponCode, Desk, Holding, Shelf, Tally, Wanted};
use crate::domain::decide::Undecided;
use crate::domain::text::Name;

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
    life(tested);
}
