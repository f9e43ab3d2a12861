//! The programs in the documentation. People copy them, so they must be right, and their tests must notice whatever
//! somebody breaks who adapts them.

use rhai::Expr;
use rust_decimal::Decimal;

use super::*;
use crate::rules::code::{Code, Unit};
use crate::rules::report::{Colour, chain_of, check_for};
use crate::rules::testing;

const COOKBOOK: &str = "docs/cookbook";

fn document(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The folders in a folder, by name.
fn folders(path: &str) -> Vec<(String, Sources)> {
    let entries = std::fs::read_dir(document(path)).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries
        .filter(|path| path.is_dir())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), folder::read(&path).unwrap()))
        .collect();
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    found
}

/// The chain that these files would be the program of.
fn chain_for(sources: &Sources) -> Chain {
    chain_of("corner", sources).unwrap()
}

fn loaded(what: &str, sources: &Sources) -> Program {
    Program::load(sources, &chain_for(sources), 1).unwrap_or_else(|problems| panic!("{what}: {problems:#?}"))
}

fn passes(program: &Program, sources: &Sources) -> bool {
    testing::run(program, sources, &chain_for(sources)).iter().all(|test| test.failure.is_none())
}

/// Everything with a condition.
fn units(code: &mut Code) -> Vec<&mut Unit> {
    let rules = code.rules.values_mut().chain(code.triggers.values_mut()).flatten();
    let tiers = code.tiers.iter_mut().flat_map(|tier| [&mut tier.reach].into_iter().chain(&mut tier.keep));
    rules.chain(code.segments.iter_mut().map(|judged| &mut judged.unit)).chain(tiers).collect()
}

/// What the tests of a program do not notice: a rule, trigger, segment or tier that never holds, or always; a constant that is
/// another.
fn unnoticed(what: &str, sources: &Sources) -> Vec<String> {
    let mut unnoticed = Vec::new();
    let count = units(Arc::get_mut(&mut loaded(what, sources).code).unwrap()).len();
    for (at, never) in (0..count).flat_map(|at| [(at, true), (at, false)]) {
        let mut program = loaded(what, sources);
        let mut units = units(Arc::get_mut(&mut program.code).unwrap());
        let unit = &mut units[at];
        let name = format!("{what}: \"{}\" {}", unit.name, if never { "never" } else { "always" });
        let condition = never.then(|| Expr::BoolConstant(false, unit.position));
        let before = std::mem::replace(&mut unit.condition, condition);
        unit.guard = None;
        if (never || before.is_some()) && passes(&program, sources) {
            unnoticed.push(name);
        }
    }
    for (file, line, other) in other_constants(sources) {
        let mut changed = sources.clone();
        let text = &mut changed.files.iter_mut().find(|(name, _)| *name == file).unwrap().1;
        *text = text.replace(&line, &other);
        // What the checker refuses is noticed, too.
        let program = Program::load(&changed, &chain_for(&changed), 1);
        if program.is_ok_and(|program| passes(&program, &changed)) {
            unnoticed.push(format!("{what}: {other}"));
        }
    }
    unnoticed
}

/// Each line of a constant, and the same with another value: one more, or an empty text.
fn other_constants(sources: &Sources) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for (file, text) in &sources.files {
        for line in text.lines().filter(|line| line.starts_with("const ")) {
            let (name, value) = line.split_once('=').unwrap();
            let value = value.split(';').next().unwrap().trim();
            let other = match value.parse::<Decimal>() {
                Ok(number) => (number + Decimal::ONE).to_string(),
                Err(_) => "\"\"".to_owned(),
            };
            found.push((file.clone(), line.to_owned(), format!("{name}= {other};")));
        }
    }
    found
}

fn assert_good(what: &str, sources: &Sources) {
    let report = check_for(sources.clone(), &chain_for(sources));
    assert!(report.is_good(), "{what}\n{}", report.render(Path::new(what), Colour::Plain));
    assert!(!report.tests.is_empty(), "{what} has no tests");
}

#[test]
fn every_recipe_of_the_cookbook_checks_and_its_tests_pass() {
    let recipes = folders(COOKBOOK);
    assert!(recipes.len() >= 25, "{}", recipes.len());
    for (name, sources) in &recipes {
        assert_good(name, sources);
        let is_whole = sources.get(&format!("{name}.rhai")).is_some() && sources.files.len() == 2;
        assert!(is_whole, "{name} is one file of rules and its program.toml");
    }
}

#[test]
fn whoever_breaks_a_recipe_of_the_cookbook_sees_a_test_fail() {
    let missed: Vec<_> =
        folders(COOKBOOK).iter().flat_map(|(name, sources)| unnoticed(name, sources)).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn the_cookbook_lists_every_recipe_once() {
    let contents = std::fs::read_to_string(document(COOKBOOK).join("README.md")).unwrap();
    let mut listed: Vec<_> = contents
        .lines()
        .filter_map(|line| line.strip_prefix("| [")?.split_once("]("))
        .map(|(name, rest)| {
            assert!(rest.starts_with(&format!("{name}/{name}.rhai) | ")), "{name}: {rest}");
            name.to_owned()
        })
        .collect();
    listed.sort_unstable();
    let recipes: Vec<_> = folders(COOKBOOK).into_iter().map(|(name, _)| name).collect();
    assert_eq!(listed, recipes);
}

/// The fenced blocks of one language on a page.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// A page's programs: its one manifest, and all its rules.
fn guide() -> Sources {
    let page = std::fs::read_to_string(document("docs/rules.md")).unwrap();
    let manifests = blocks(&page, "toml");
    assert_eq!(manifests.len(), 1);
    let files = [("program.toml", manifests.concat()), ("rules.rhai", blocks(&page, "rhai").join("\n"))];
    Sources { files: files.map(|(name, text)| (name.to_owned(), text)).to_vec() }
}

#[test]
fn what_the_guide_tells_a_newcomer_to_type_checks_and_its_tests_pass() {
    assert_good("docs/rules.md", &guide());
    assert_eq!(unnoticed("docs/rules.md", &guide()), Vec::<String>::new());
}

#[test]
fn the_guide_shows_what_the_checker_says() {
    let page = std::fs::read_to_string(document("docs/rules.md")).unwrap();
    let (rules, tests) = (5, 5);
    let report = check_for(guide(), &chain_for(&guide()));
    assert_eq!((report.rules.len(), report.tests.len()), (rules, tests));
    assert!(page.contains(&format!("corner: {rules} rules, {tests} tests passed")));
    let typed = blocks(&page, "rhai");
    for rules in [
        typed[0].replace("order.total", "order.totl"),
        typed[..3].join("\n").replace("QUIET_FROM = 14", "QUIET_FROM = 15"),
    ] {
        let mut corner = guide();
        corner.files[1].1 = rules;
        let chain = chain_for(&corner);
        let shown = check_for(corner, &chain).render(Path::new("corner"), Colour::Plain);
        let shown: Vec<_> = shown.lines().map(|line| format!("    {line}").trim_end().to_owned()).collect();
        assert!(page.contains(&shown.join("\n")), "{}", shown.join("\n"));
    }
}

#[test]
fn every_further_sample_checks_and_its_tests_notice_what_is_broken() {
    let samples = folders("docs/samples");
    assert_eq!(samples.len(), 2);
    for (name, sources) in &samples {
        assert_good(name, sources);
        assert_eq!(unnoticed(name, sources), Vec::<String>::new());
    }
}

#[test]
fn the_tests_of_a_new_chain_notice_what_is_broken() {
    let mut starter = folder::read(&document("src/cli/starter")).unwrap();
    for (_, text) in &mut starter.files {
        *text = text.replace("{name}", "Corner").replace("{timezone}", "UTC").replace("{currency}", "USD");
    }
    assert_good("starter", &starter);
    assert_eq!(unnoticed("starter", &starter), Vec::<String>::new());
}
