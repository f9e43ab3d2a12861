//! Filters of endpoints: which events pass, what is refused, and what becomes of a filter when the program changes.

use super::decide::endpoint;
use super::*;
use crate::domain::decide::Undecided;
use crate::domain::endpoint::{Dialect, Filter};
use crate::rules::dry_run::forecast;
use crate::rules::filter::FilterProblem;

/// An endpoint with a filter, given as JSON.
fn filtered(n: u128, events: &[&str], tags: &[&str], filter: &str) -> Arc<Endpoint> {
    let mut filtered = Endpoint::clone(&endpoint(n, events, tags));
    filtered.settings.filter = Some(serde_json::from_str::<Filter>(filter).unwrap());
    Arc::new(filtered)
}

/// The same, with one condition.
fn asking(events: &[&str], condition: &str) -> Arc<Endpoint> {
    filtered(1, events, &[], &serde_json::to_string(condition).unwrap())
}

impl Life {
    /// Sends to these.
    fn telling(program: Program, endpoints: Vec<Arc<Endpoint>>) -> Self {
        let program = program.filtering(&endpoints).unwrap_or(program);
        Self { endpoints, ..Self::new(program) }
    }
}

/// What an endpoint gets of a commit.
fn got(commit: &Commit, n: u128) -> Vec<&'static str> {
    let its = commit.deliveries.iter().filter(|delivery| delivery.endpoint.ulid().0 == n);
    its.map(|delivery| commit.events.iter().find(|event| event.id == delivery.event).unwrap().kind().as_str())
        .collect()
}

fn notes(commit: &Commit) -> Vec<String> {
    commit.source.as_ref().unwrap().receipt.notes.iter().map(ToString::to_string).collect()
}

fn refused(program: &Program, endpoint: &Endpoint) -> FilterProblem {
    program.check_filter(endpoint).unwrap_err()
}

const RULES: &str = r#"
    const BIG = 50;
    fn is_big(amount) { amount > BIG }
    rule "a" on order.completed { award(order.total); }
    segment "Regulars" when member.visits >= 1;
    trigger "t" on points.earned { forward("crm"); }
"#;

#[test]
fn orders_above_fifty() {
    let mut life = Life::telling(program(RULES), vec![asking(&["order.*"], "event.total > 50")]);
    for (total, passes) in [("50.00", false), ("50.01", true), ("49.99", false), ("50", false), ("51", true)]
    {
        let commit = life.order(&format!(r#""total":{total}"#));
        assert_eq!(got(&commit, 1).len(), usize::from(passes), "{total}");
    }
}

#[test]
fn a_filter_says_what_a_trigger_could_say() {
    for (condition, passes) in [
        ("event.total > BIG", true),
        ("is_big(event.total)", true),
        ("event.total > BIG + 10", false),
        ("!is_big(event.total)", false),
        ("member.in_segment(\"Regulars\")", true),
        ("member.tier == \"gold\"", false),
        ("member.points >= 60 and event.channel == \"\"", true),
        ("event.at.weekday == \"Tuesday\" // in the chain's calendar", true),
        ("(event.total > 10\n  && event.total < 100)", true),
        ("event.type == \"order.completed\"", true),
        ("if member.visits == 1 { event.total > 60 } else { event.total > 10 }", false),
        ("true", true),
    ] {
        let endpoint = asking(&["order.completed"], condition);
        let program = program(RULES);
        assert_eq!(program.check_filter(&endpoint), Ok(()), "{condition}");
        let commit = Life::telling(program, vec![endpoint]).order(r#""total":60.00"#);
        assert_eq!(got(&commit, 1).len(), usize::from(passes), "{condition}");
        assert_eq!(notes(&commit), [""; 0], "{condition}");
    }
}

#[test]
fn a_plain_comparison_needs_no_interpreter() {
    let plain = ["event.total > BIG", "is_big(event.total)"].map(|filter| asking(&["order.*"], filter));
    let asked = asking(&["order.*"], "`${event.total}` != \"50\"");
    let is_plain = |endpoint: &Arc<Endpoint>| {
        let program = program(RULES).filtering(std::slice::from_ref(endpoint)).unwrap();
        let unit = program.filter(endpoint, "order.completed".parse().unwrap()).unwrap();
        unit.guard.as_ref().is_some_and(|guard| guard.is_whole())
    };
    assert!(plain.iter().all(is_plain) && !is_plain(&asked));
}

#[test]
fn of_several_patterns_the_narrowest_counts_and_what_none_matches_passes() {
    let filter =
        r#"{"*":"event.at.year < 2000","order.*":"event.total > 50","order.completed":"event.total > 20"}"#;
    let rest = r#"{"order.*":"event.total > 50","points.*":"event.amount >= 100"}"#;
    let endpoints = vec![filtered(1, &["*"], &[], filter), filtered(2, &["*"], &[], rest)];
    let mut life = Life::telling(program(RULES), endpoints);
    let commit = life.order(r#""total":30.00"#);
    assert_eq!(got(&commit, 1), ["order.completed"]);
    assert_eq!(got(&commit, 2), ["member.enrolled", "segment.entered"]);
    let commit = life.order(r#""total":100.00"#);
    assert_eq!(got(&commit, 2), ["order.completed", "points.earned"]);
}

#[test]
fn what_triggers_forward_is_filtered_too_as_far_as_the_filter_speaks_of_it() {
    let of_orders = filtered(1, &["order.*"], &["crm"], r#""event.total > 50""#);
    let of_both = filtered(
        2,
        &["order.*"],
        &["crm"],
        r#"{"order.*":"event.total > 50","points.*":"event.amount >= 100"}"#,
    );
    let of_points = filtered(3, &[], &["crm"], r#""event.amount >= 100""#);
    let program = program(RULES);
    for endpoint in [&of_orders, &of_both, &of_points] {
        assert_eq!(program.check_filter(endpoint), Ok(()));
    }
    let mut life = Life::telling(program, vec![of_orders, of_both, of_points]);
    let commit = life.order(r#""total":60.00"#);
    assert_eq!(got(&commit, 1), ["order.completed", "points.earned"], "it says nothing of points");
    assert_eq!(got(&commit, 2), ["order.completed"]);
    assert_eq!(got(&commit, 3), [""; 0]);
    let commit = life.order(r#""total":100.00"#);
    assert_eq!((got(&commit, 2).len(), got(&commit, 3)), (2, vec!["points.earned"]));
}

#[test]
fn what_cannot_be_asked_is_refused_with_its_place_and_what_would_do() {
    let program = program(RULES);
    let mut missed = Vec::new();
    for (events, condition, place, says) in [
        (&["order.*"][..], "event.totl > 50", "1:7", "did you mean `total`?"),
        (&["order.*"], "evnt.total > 50", "1:1", "did you mean `event`?"),
        (&["order.*"], "event.total >\n  BIGG", "2:3", "did you mean `BIG`?"),
        (&["order.*"], "is_bigg(event.total)", "1:1", "did you mean `is_big`?"),
        (&["order.*"], "event.total > \"50\"", "1:13", "compare"),
        (&["order.*"], "event.total", "1:1", "`> 0`"),
        (&["order.*"], "event.total = 50", "1:13", "=="),
        (&["order.*"], "event.total > 50; true", "1:17", "one condition"),
        (&["order.*"], "award(5)", "1:1", "can only be used in a `rule`"),
        (&["order.*"], "forward(\"crm\")", "1:1", "can only be used in a `trigger`"),
        (&["order.*"], "event.total > 5 and event.total < 3", "1:21", "never be true"),
        (&["order.*"], "order.total > 5", "1:1", "there is nothing called `order` here"),
        (&["order.*"], "member.in_segment(\"Regular\")", "1:19", "did you mean `Regulars`?"),
        (&["order.*"], "member.tier == \"golden\"", "1:16", "did you mean `gold`?"),
        (&["order.*"], "false", "1:1", "never holds"),
        (&["order.*"], "event.total > (5", "1:17", ""),
        (&["menu_item.*"], "member.points > 5", "1:1", "there is nothing called `member` here"),
        (&["*"], "event.total > 50", "1:7", "member.enrolled has no `total`"),
    ] {
        let Err(problem) = program.check_filter(&asking(events, condition)) else {
            missed.push(format!("{condition}: not refused"));
            continue;
        };
        let first = &problem.problems[0];
        if format!("{}:{}", first.line, first.column) != place || !problem.to_string().contains(says) {
            missed.push(format!("{condition}: wanted {place} {says}, found {problem}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_condition_for_some_types_only_says_how_to_write_it() {
    let program = program(RULES);
    let help = |events: &[&str], condition| {
        let problem = refused(&program, &asking(events, condition));
        (problem.kind.unwrap().as_str(), problem.help.unwrap_or_default())
    };
    let (kind, of_all) = help(&["*"], "event.total > 50");
    assert_eq!(kind, "member.enrolled");
    assert!(of_all.contains(r#"{"order.*":"event.total > 50"}"#), "{of_all}");
    let (kind, of_one) = help(&["points.*"], "event.new_balance > 50");
    assert_eq!(kind, "points.pending");
    assert!(of_one.contains(r#"{"points.earned":"#), "{of_one}");
    assert_eq!(help(&["order.*"], "event.totl > 50").1, "", "it is for none");
    let by_pattern =
        filtered(1, &["*"], &[], r#"{"order.*":"event.total > 50","visit.*":"event.total > 5"}"#);
    let problem = refused(&program, &by_pattern);
    assert_eq!((&*problem.field, problem.kind.unwrap().as_str()), ("filter[\"visit.*\"]", "visit.recorded"));
    assert_eq!(problem.problems[0].file, problem.field);
    let only_tags = filtered(1, &[], &["crm"], r#""event.totl > 50""#);
    assert!(refused(&program, &only_tags).to_string().contains("did you mean `total`?"));
}

#[test]
fn a_filter_that_fails_lets_everything_pass_and_is_noted_once() {
    let endpoints = vec![asking(&["order.*", "points.*"], "100 / (member.points - 60.0) > 1")];
    let mut life = Life::telling(program(RULES), endpoints);
    let commit = life.order(r#""total":60.00"#);
    assert_eq!(got(&commit, 1), ["order.completed", "points.earned"]);
    let [note] = &notes(&commit)[..] else { panic!("{:?}", notes(&commit)) };
    assert!(note.starts_with("the filter of \"ep_"), "{note}");
    assert!(note.contains(" failed at filter:1:5: ") && note.ends_with("; it was delivered"), "{note}");
    assert_eq!(receipt(&commit)["status"], "processed", "running it again would deliver nothing twice");
    assert_eq!(notes(&life.order(r#""total":60.00"#)), [""; 0]);
}

#[test]
fn what_a_new_program_does_not_know_any_more_passes_and_says_so() {
    let endpoints = vec![
        asking(&["order.*"], "is_big(event.total)"),
        filtered(2, &["order.*"], &[], r#""event.total > 50""#),
    ];
    let first = program(RULES).filtering(&endpoints).unwrap();
    assert_eq!(first.filter_problem(endpoints[0].id), None);
    let second = program("").filtering(&endpoints).unwrap();
    let problem = second.filter_problem(endpoints[0].id).unwrap();
    assert!(problem.to_string().contains("there is no function called `is_big`"), "{problem}");
    assert_eq!(second.filter_problem(endpoints[1].id), None);
    for (program, passes) in [(&first, false), (&second, true), (&first, false)] {
        let mut life = Life { endpoints: endpoints.clone(), ..Life::new(program.clone()) };
        let commit = life.order(r#""total":10.00"#);
        assert_eq!((got(&commit, 1).len(), got(&commit, 2).len()), (usize::from(passes), 0));
        assert_eq!(notes(&commit), [""; 0], "the endpoint shows it, not every receipt");
    }
}

#[test]
fn filters_are_compiled_when_they_change_and_only_then() {
    let (one, plain) = (asking(&["order.*"], "event.total > 50"), endpoint(2, &["order.*"], &[]));
    let program = program(RULES);
    assert!(program.filtering(std::slice::from_ref(&plain)).is_none());
    let filtering = program.filtering(&[one.clone(), plain.clone()]).unwrap();
    assert!(filtering.filtering(&[plain.clone(), one.clone()]).is_none());
    let mut disabled = Endpoint::clone(&one);
    disabled.description = crate::domain::text::Note::parse("another").ok();
    assert!(filtering.filtering(&[Arc::new(disabled)]).is_none());
    for changed in
        [asking(&["order.*"], "event.total > 51"), asking(&["order.completed"], "event.total > 50")]
    {
        assert!(filtering.filtering(&[changed]).is_some());
    }
    assert!(filtering.filtering(&[plain]).unwrap().filters.is_empty());
}

#[test]
fn a_chain_without_a_program_filters_by_what_every_chain_knows() {
    let program = Program::empty(&chain());
    let endpoint = asking(&["order.*"], "event.total > 50");
    assert_eq!(program.check_filter(&endpoint), Ok(()));
    assert!(program.check_filter(&asking(&["order.*"], "member.tier == \"gold\"")).is_err());
    let mut life = Life::telling(program, vec![endpoint]);
    assert_eq!(got(&life.order(r#""total":50.00"#), 1).len(), 0);
    assert_eq!(got(&life.order(r#""total":50.01"#), 1).len(), 1);
}

#[test]
fn a_filter_knows_only_what_its_dialect_can_say() {
    let mut endpoint = Endpoint::clone(&asking(&["*"], "member.points >= 0"));
    let program = program(RULES);
    assert_eq!(refused(&program, &endpoint).kind.unwrap().as_str(), "campaign.exhausted");
    endpoint.dialect = Dialect::Bubblehouse;
    assert_eq!(program.check_filter(&endpoint), Ok(()), "all that it can say is about a member");
}

#[test]
fn a_dry_run_says_which_filters_let_what_pass() {
    let endpoints =
        [asking(&["order.*"], "event.total > 50"), filtered(2, &["points.*"], &[], r#""event.amount > 5""#)];
    let program = program(RULES).filtering(&endpoints).unwrap();
    let life = Life::new(program);
    let event = SourceEvent::parse(
        br#"{"key":"k","type":"order.completed","data":{"order_id":"o","total":10.00}}"#,
        &life.chain.currency,
        life.now,
    );
    let input = SourceInput {
        id: SourceId::new(Ulid(1 << 64)),
        event: Arc::new(event.unwrap()),
        received_at: life.now,
        from: SourceOrigin::Outside,
    };
    let case = life.case(Occasion::Source(input), None);
    let told = forecast(&life.program, &life.chain.id, &endpoints, case).unwrap();
    let told = serde_json::to_value(told).unwrap();
    let [dropped, passed] = &told["filters"].as_array().unwrap()[..] else { panic!("{told}") };
    assert_eq!((&dropped["verdict"], &dropped["on"]), (&"not_fired".into(), &"order.completed".into()));
    assert_eq!(dropped["condition"], "event.total > 50");
    assert_eq!(dropped["because"][0]["values"][0]["is"], "10.00");
    assert_eq!((&passed["verdict"], &passed["at"]), (&"fired".into(), &"filter".into()));
    assert_eq!(told["deliveries"].as_array().unwrap().len(), 1);
}

#[test]
fn a_filter_that_asks_about_coupons_lacks_them_first() {
    let endpoints = vec![asking(&["visit.*"], "member.has_coupon(\"welcome\")")];
    let mut sources = sources("");
    let book = "\n[[coupon_books]]\nid = \"welcome\"\ndiscount_type = \"percentage\"\ndiscount_amount = 20\n";
    sources.files[1].1.push_str(book);
    let program = Program::load(&sources, &chain(), 1).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let life = Life::telling(program, endpoints);
    let body = br#"{"type":"visit","key":"v"}"#;
    let input = SourceInput {
        id: SourceId::new(Ulid(1 << 64)),
        event: Arc::new(SourceEvent::parse(body, &life.chain.currency, life.now).unwrap()),
        received_at: life.now,
        from: SourceOrigin::Outside,
    };
    let case = life.case(Occasion::Source(input), None);
    let decided = decide(&life.program, &life.chain.id, &life.endpoints, case);
    let Err(Undecided::Lacks(wanted)) = decided else { panic!("{decided:?}") };
    assert_eq!(wanted.coupons.held.len(), 1);
}

#[test]
fn the_filters_on_the_page_about_them_check() {
    #[derive(serde::Deserialize)]
    struct Example {
        events: Vec<String>,
        filter: Filter,
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/filters.md");
    let page = std::fs::read_to_string(page).unwrap();
    let chain = Chain { id: "harvest".parse().unwrap(), ..chain() };
    let program = Program::load(&harvest(), &chain, 1).unwrap();
    let examples: Vec<_> = page.lines().filter(|line| line.starts_with("{ \"events\"")).collect();
    assert!(examples.len() >= 8, "{examples:?}");
    for example in examples {
        let Example { events, filter } = serde_json::from_str(example).unwrap();
        let events: Vec<_> = events.iter().map(String::as_str).collect();
        let endpoint = filtered(1, &events, &[], &serde_json::to_string(&filter).unwrap());
        assert_eq!(program.check_filter(&endpoint), Ok(()), "{example}");
    }
    let misspelt = refused(&program, &asking(&["order.*"], "event.totl > 50"));
    assert!(page.contains(&format!("> `{}`: {misspelt}\n", misspelt.field)), "{misspelt}");
}
