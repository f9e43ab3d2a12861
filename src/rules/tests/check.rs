//! The static checks: what they find, and what they leave alone.

use super::*;

/// `(rules, line:column, what the message or the help says)`
const MISTAKES: &[(&str, &str, &str)] = &[
    (r#"rule "a" on order.complete { }"#, "1:13", "did you mean `order.completed`?"),
    (r#"rule "a" on points.earnd { }"#, "1:13", "did you mean `points.earned`?"),
    (r#"rule "a" on member.erased { }"#, "1:13", "use a `trigger`"),
    (r#"rule "a" on menu_item.updated { }"#, "1:13", "use a `trigger`"),
    (
        r#"trigger "a" on menu_item.updated when member.points > 5 { }"#,
        "1:39",
        "there is nothing called `member` here",
    ),
    (
        r#"trigger "a" on points.earned when event.data.price > 5 { }"#,
        "1:41",
        "the event points.earned has no `data`",
    ),
    (r#"trigger "a" on points.earnt { }"#, "1:16", "did you mean `points.earned`?"),
    (r#"rule "a" on visit { award(visit.totl, "x"); }"#, "1:33", "a visit has nothing called `totl`"),
    (r#"rule "a" on order.completed when order.totl > 5 { }"#, "1:40", "did you mean `total`?"),
    (
        r#"rule "a" on order.completed { for i in order.items { award(i.prise); } }"#,
        "1:62",
        "did you mean `price`?",
    ),
    (
        r#"rule "a" on order.completed when order.at.weekdy == "Monday" { }"#,
        "1:43",
        "did you mean `weekday`?",
    ),
    (r#"rule "a" on visit { awrd(5, "x"); }"#, "1:21", "did you mean `award`?"),
    (r#"rule "a" on visit { member.visit_in(30.days); }"#, "1:28", "did you mean `visits_in`?"),
    (r#"rule "a" on visit when member.visits_in > 5 { }"#, "1:31", "write visits_in(…)"),
    (r#"rule "a" on visit when member.visits() > 5 { }"#, "1:31", "without brackets"),
    (r#"rule "a" on visit { award("5", "x"); }"#, "1:21", "it wants award(a number, a text)"),
    (r#"rule "a" on visit { award(); }"#, "1:21", "`award` cannot be used with ()"),
    (r#"rule "a" on visit { set_tier("gold", 1); }"#, "1:21", "it wants set_tier(a text)"),
    (r#"rule "a" on visit { member.visits_in(30); }"#, "1:28", "a span of time such as 30.days"),
    (r#"rule "a" on visit { set_tier("goldd"); }"#, "1:30", "did you mean `gold`?"),
    (r#"rule "a" on visit when member.tier == "Gold" { }"#, "1:39", "there is no tier called `Gold`"),
    (r#"rule "a" on visit when "sliver" != member.tier { }"#, "1:24", "did you mean `silver`?"),
    (r#"rule "a" on visit when member.tier in ["gold", "platinum"] { }"#, "1:48", "there is `bronze`"),
    (r#"rule "a" on visit { achieve("regulr"); }"#, "1:29", "did you mean `regular`?"),
    (r#"rule "a" on visit when member.has_achievement("x") { }"#, "1:47", "no achievement"),
    (r#"rule "a" on visit { mark("at-risk"); }"#, "1:26", "did you mean `at_risk`?"),
    (r#"rule "a" on visit when member.status == "lost" { }"#, "1:41", "there is no status called `lost`"),
    (
        r#"rule "a" on order.completed when order.at.weekday == "Tusday" { }"#,
        "1:54",
        "did you mean `Tuesday`?",
    ),
    (r#"rule "a" on order.completed when order.spent_on("cofee") > 0 { }"#, "1:49", "did you mean `coffee`?"),
    (r#"trigger "a" on points.earned { forward("cmr"); }"#, "1:40", "did you mean `crm`?"),
    (r#"rule "a" on visit { forward("crm"); }"#, "1:21", "only be used in a `trigger`"),
    (r#"trigger "a" on points.earned { award(1); }"#, "1:32", "only be used in a `rule`"),
    (r#"rule "a" on visit { send("visit"); }"#, "1:21", "only be used in a `test`"),
    (r#"rule "a" on visit { expect true; }"#, "1:21", "only be used in a test"),
    (
        r#"trigger "a" on tier.upgraded when event.amount > 5 { }"#,
        "1:41",
        "the event tier.upgraded has no `amount`",
    ),
    (r#"rule "a" on visit when ordr.total > 5 { }"#, "1:24", "there is nothing called `ordr` here"),
    (r#"rule "a" on visit when order.total > 5 { }"#, "1:24", "here you can use `member`, `visit`"),
    (r#"rule "a" on visit when mumber.points > 5 { }"#, "1:24", "did you mean `member`?"),
    (r#"rule "a" on visit when member.points > "5" { }"#, "1:38", "cannot compare a number with a text"),
    (r#"rule "a" on visit when member.tier == 5 { }"#, "1:36", "this would always be false"),
    (r#"rule "a" on order.completed when order == 5 { }"#, "1:40", "cannot compare an order with a number"),
    (r#"rule "a" on order.completed when order.at > order.at { }"#, "1:43", "compare one of its properties"),
    (r#"rule "a" on visit { award(member.points / 2); }"#, "1:41", "drops the fraction"),
    (r#"rule "a" on visit { let x = 1; x /= 2; award(x); }"#, "1:34", "drops the fraction"),
    (r#"rule "a" on visit when member.points { }"#, "1:24", "must be true or false, but it is a number"),
    (r#"rule "a" on visit when !member.points { }"#, "1:25", "`!` needs true or false"),
    (r#"rule "a" on visit when member.points and member.is_new { }"#, "1:24", "must be true or false"),
    (
        r#"rule "a" on visit { if member.tier { award(1); } }"#,
        "1:24",
        "must be true or false, but it is a text",
    ),
    (r#"rule "a" on visit { award(1 + member.tier); }"#, "1:29", "cannot add a text and a number"),
    (r#"rule "a" on visit { award(-member.tier); }"#, "1:28", "needs a number"),
    (r#"rule "a" on visit { for x in member.points { } }"#, "1:30", "cannot walk over a number"),
    (r#"rule "a" on visit { member.points = 5; }"#, "1:21", "this cannot be changed"),
    (r#"rule "a" on visit { member = 5; }"#, "1:21", "cannot"),
    (r#"rule "a" on visit { x = 5; }"#, "1:21", "there is nothing called `x`"),
    ("const X = 1;\nrule \"a\" on visit { X = 5; }", "2:21", "a constant"),
    ("const X = 1;\nrule \"a\" on visit { let X = 5; }", "2:25", "already a constant"),
    ("const X = 1;\nconst X = 2;", "2:7", "already a constant called `X`"),
    ("const X = Y + 1;", "1:11", "nothing called `Y`"),
    ("const X = member.points;", "1:11", "nothing called `member`"),
    ("const X = 30.days;", "1:7", "must be a number, a text"),
    ("rule \"a\" on visit { }\nrule \"a\" on visit { }", "2:6", "already a rule called \"a\" at a.rhai:1"),
    ("test \"a\" { }\ntest \"a\" { }", "2:6", "already a test"),
    (r#"rule "" on visit { }"#, "1:6", "must not be empty"),
    ("fn f(x) { x }\nfn f(y) { y }", "2:1", "already a function"),
    ("fn award(x) { x }", "1:1", "a word of the rule language"),
    ("fn f(x) { y }", "1:11", "nothing called `y`"),
    ("fn f(x) { x }\nrule \"a\" on visit { award(f(1, 2)); }", "2:27", "takes 1 arguments"),
    ("fn tier_of(x) { x }\nrule \"a\" on visit { award(tier_off(1)); }", "2:27", "did you mean `tier_of`?"),
    ("fn f(x) { x }\nrule \"a\" on visit { award(f); }", "2:27", "write f(…)"),
    (r#"rule "a" on visit priority high { }"#, "1:28", "whole number"),
    (
        r#"rule "a" on visit if true { }"#,
        "1:19",
        "expected `when`, `priority`, `campaign`, `group` or `{`, but found `if`",
    ),
    (
        r#"rule "a" on visit when true when true { }"#,
        "1:29",
        "expected `priority`, `campaign`, `group` or `{`",
    ),
    (r#"trigger "a" on points.earned priority 5 { }"#, "1:30", "expected `when` or `{`"),
    (r#"rule a on visit { }"#, "1:6", "in quotes"),
    (r#"rule "a" visit { }"#, "1:10", "expected `on`"),
    ("rule \"a\" on visit {\n  award(1, \"x\";\n}", "2:15", ""),
    ("rule \"a\" on visit {\n  award(1, \"x);\n}", "2:12", "closing quote"),
    ("rule \"a\" on visit { award(1);", "1:30", "`}`"),
    ("rule \"a\" on visit { } award(5);", "1:23", "only `rule`"),
    ("rule \"a\" on visit { rule \"b\" on visit { } }", "1:21", "cannot stand inside"),
    (r#"rule "a" on visit { while true { } }"#, "1:21", "cannot be used in rules"),
    (r#"rule "a" on visit { eval("1"); }"#, "1:21", "cannot be used in rules"),
    (r#"rule "a" on visit { let f = |x| x; }"#, "1:29", ""),
    (r#"test "a" { send("order.complete"); }"#, "1:17", "did you mean `order.completed`?"),
    (r#"test "a" { expect fired("b"); }"#, "1:25", "there is no rule called `b`"),
    (r#"test "a" { expect told("points.earnd"); }"#, "1:24", "did you mean `points.earned`?"),
    (r#"test "a" { expect points(); }"#, "1:19", "must be true or false"),
    (r#"test "a" { expect tier() == "godl"; }"#, "1:29", "did you mean `gold`?"),
];

#[test]
fn every_planted_mistake_is_found_where_it_stands() {
    assert_found(MISTAKES);
}

/// Right, however unusual.
const FINE: &[&str] = &[
    r#"rule "a" on order.completed { let points = 0; for item in order.items { points += item.total * 2; } award(points); }"#,
    r#"rule "a" on order.completed { for (item, n) in order.items { if n < 3 { award(item.price); } } }"#,
    "fn rate(category) { switch category { \"coffee\" => 3, \"food\" => 2, _ => 1 } }\nrule \"a\" on order.completed { for i in order.items { award(i.total * rate(i.category)); } }",
    r#"rule "a" on order.completed when order.channel == "app" or order.location in ["a", "b"] { award(5, `for ${order.total}`); }"#,
    r#"rule "a" on visit when !(member.is_new) && member.tier != "" { mark("active"); }"#,
    r#"rule "a" on visit { let tier = if member.points > 5 { "gold" } else { "silver" }; set_tier(tier); }"#,
    r#"rule "a" on visit { if member.points < 5 { return; } award(1); }"#,
    r#"rule "a" on visit { award(min(member.points, 10.5)); award(max(1, 2)); award(round(1.5)); award(floor(2.5) / 2.0); }"#,
    r#"rule "a" on tick.daily when tick.at.day in 1..=5 and member.enrolled_days > 30 and member.has_rhythm { mark("active"); }"#,
    r#"rule "a" on tier.review when member.spend_in(12.months) / 2 > 5.0 { set_tier("gold"); }"#,
    r#"rule "a" on order.refunded when refund.order_total > 0 and refund.order_points > 0 { deduct(refund.order_points * refund.total / refund.order_total, "back"); }"#,
    r#"trigger "a" on order.completed when event.total > 5 and event.type == "order.completed" and event.at.hour > 5 { forward("crm"); }"#,
    r#"trigger "a" on tier.upgraded when event.previous_tier == "" or event.new_tier == "gold" { forward("crm"); }"#,
    "const A = 2;\nconst B = A * 1.5;\nconst C = [\"x\", \"y\"];\nfn twice(n) { n * A }\nrule \"a\" on visit priority 5 when visit.channel in C { award(twice(B)); }",
    r#"rule "a" on visit { let x = 5; let y = x; y += 1; x = y; award(x % 3); }"#,
    r#"rule "a" on visit { let list = [1, 2]; for n in list { award(n); } award(list[0]); award(list.len); }"#,
    r#"rule "a" on visit when visit.location.starts_with("loc_") and "abc".contains("b") { award("abc".len); }"#,
    "rule \"rule\" on visit { award(1, \"on when rule { }\"); } // rule \"b\"\n/* test */ test \"test\" { send(\"visit\"); expect awarded() == 1 && fired(\"rule\"); }",
    "fn tier_for(spend) { if spend >= 5 { return \"gold\"; } \"bronze\" }\nrule \"a\" on visit when tier_for(member.spend) == member.tier { set_tier(tier_for(1)); }",
    "",
    "// nothing but a comment",
    "\u{feff}rule \"a\" on visit { award(1); }",
    "rule \"a\" on visit {\r\n\taward(1);\r\n}\r\n",
];

#[test]
fn what_is_right_is_left_alone_and_runs() {
    for rules in FINE {
        let mut life = Life::new(program(rules));
        life.member.version = 1;
        let commits = [
            life.order(r#""total": 10.00, "channel": "app", "items": [{"price": 4, "category": "coffee"}]"#),
            life.send(r#"{"type":"visit","location":"loc_1","data":{"channel":"x"}}"#),
            life.send(r#"{"type":"order.refunded","data":{"order_id":"o0","amount":5}}"#),
            life.tick(TickType::Daily),
            life.tick(TickType::TierReview),
        ];
        for commit in commits.iter().filter_map(|commit| commit.source.as_ref()) {
            assert_eq!(commit.receipt.errors, [], "{rules}");
            assert_eq!(commit.receipt.notes, Vec::<Box<str>>::new(), "{rules}");
        }
        let sources = sources(rules);
        let outcomes = crate::rules::testing::run(&life.program, &sources, &chain());
        assert!(outcomes.iter().all(|outcome| outcome.failure.is_none()), "{outcomes:#?}");
    }
}

#[test]
fn all_problems_of_a_folder_are_found_at_once() {
    let files = [
        (
            "a.rhai",
            "rule \"a\" on visit { awrd(1) }\nrule \"b\" on visit { award( }\nrule \"c\" on vist { }\n",
        ),
        ("b.rhai", "rule \"a\" on visit { }\nfn f() { x }\n"),
        ("program.toml", MANIFEST),
    ];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec();
    let problems = Program::load(&Sources { files }, &chain(), 1).unwrap_err();
    let places: Vec<_> = problems.iter().map(|p| format!("{}:{}", p.file, p.line)).collect();
    assert_eq!(places, ["a.rhai:1", "a.rhai:2", "a.rhai:3", "b.rhai:1", "b.rhai:2"]);
}

#[test]
fn a_program_for_another_calendar_or_currency_is_refused() {
    let chain = Chain { timezone: chrono_tz::Europe::Berlin, currency: "EUR".parse().unwrap(), ..chain() };
    let problems = Program::load(&sources(""), &chain, 1).unwrap_err();
    assert_eq!(problems.len(), 2);
    assert!(problems.iter().all(|p| p.file == "program.toml" && p.help.is_some()));
    assert!(
        problems[0].message.contains("America/New_York") && problems[0].message.contains("Europe/Berlin")
    );
}

#[test]
fn what_was_published_goes_on_though_the_checker_has_learned_to_refuse_it() {
    let rules = "rule \"Less than nothing\" on visit when member.visits < 0 { award(1); }\n\
                 rule \"A point\" on visit { award(1); }\ntier \"gold\" when member.visits >= 1;";
    let load = |rules: &str| Program::load_published(&sources(rules), &chain(), 7);
    assert!(Program::load(&sources(rules), &chain(), 7).is_err());
    let mut life = Life::new(load(rules).unwrap());
    life.send(r#"{"type":"visit"}"#);
    assert_eq!((life.program.version, life.member.standing.points().0), (7, 1));
    assert_eq!(life.member.standing.tier.as_ref().unwrap().as_str(), "gold");
    for unreadable in
        ["rule \"a\" on vist { award(1); }", "rule \"a\" on visit { award(1; }", "const A = 1 / 0;"]
    {
        assert!(load(&format!("{rules}\n{unreadable}")).is_err(), "{unreadable}");
    }
}
