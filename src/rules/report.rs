//! What `punchcard check` says of a folder: as a value for machines, as text for people.

use std::path::Path;

use ariadne::{Color, Config, IndexType, Label, Report, ReportKind, Source};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::Timestamp;
use crate::domain::chain::{Chain, ChainId};

use super::diagnostic::{Diagnostic, Mistake};
use super::folder;
use super::manifest::{self, Manifest};
use super::program::{Program, Sources};
use super::testing::{self, TestOutcome};

/// Everything found in one chain's folder.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ChainReport {
    /// The folder's name, which is the chain's id.
    pub chain: String,
    /// Rules in force when it is published.
    pub rules: Vec<String>,
    /// What is wrong; with anything here, no test was run.
    pub problems: Vec<Diagnostic>,
    /// How its tests ended.
    pub tests: Vec<TestOutcome>,
    #[serde(skip)]
    sources: Sources,
}

/// Whether text is coloured for a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// With escape sequences.
    Terminal,
    /// Plain, for files and pipes.
    Plain,
}

impl ChainReport {
    fn of(sources: Sources, chain: String) -> Self {
        Self { chain, rules: Vec::new(), problems: Vec::new(), tests: Vec::new(), sources }
    }

    /// Whether the folder can be published: no problem, no failing test.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty() && self.tests.iter().all(|test| test.failure.is_none())
    }

    /// All that is wrong, failing tests included.
    fn complaints(&self) -> Vec<Diagnostic> {
        let problems = self.problems.iter().cloned();
        problems.chain(disappointments(&self.tests)).collect()
    }

    /// The report for people: every complaint with its line of source, then one line of summary. `folder` is shown
    /// before the names of files.
    pub fn render(&self, folder: &Path, colour: Colour) -> String {
        let mut text: String =
            self.complaints().iter().map(|problem| render(problem, folder, &self.sources, colour)).collect();
        text.push_str(&self.summary());
        text
    }

    fn summary(&self) -> String {
        let failed = self.tests.iter().filter(|test| test.failure.is_some()).count();
        let chain = &self.chain;
        if !self.problems.is_empty() {
            return format!(
                "{chain}: {}; the tests were not run\n",
                counted(self.problems.len() as u64, "problem")
            );
        }
        let rules = counted(self.rules.len() as u64, "rule");
        let tests = counted(self.tests.len() as u64, "test");
        match failed {
            0 => format!("{chain}: {rules}, {tests} passed\n"),
            _ => format!("{chain}: {rules}, {failed} of {tests} failed\n"),
        }
    }
}

/// `1 rule`, `2 rules`.
pub(super) fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Reads, checks and tests one chain's folder. Calendar and currency are those of its `program.toml`.
pub fn check_folder(dir: &Path) -> ChainReport {
    let id = dir.canonicalize().ok().and_then(|dir| Some(dir.file_name()?.to_string_lossy().into_owned()));
    let id = id.unwrap_or_default();
    match folder::read(dir) {
        Ok(sources) => check(sources, id),
        Err(problem) => ChainReport { problems: vec![problem], ..ChainReport::of(Sources::default(), id) },
    }
}

fn check(sources: Sources, id: String) -> ChainReport {
    match chain_of(&id, &sources) {
        Ok(chain) => check_for(sources, &chain),
        Err(problems) => ChainReport { problems, ..ChainReport::of(sources, id) },
    }
}

/// Checks and tests what would be a chain's next program.
pub fn check_for(sources: Sources, chain: &Chain) -> ChainReport {
    let mut report = ChainReport::of(sources, chain.id.to_string());
    match Program::load(&report.sources, chain, 0) {
        Ok(program) => {
            report.rules = program.rule_names().map(str::to_owned).collect();
            report.tests = testing::run(&program, &report.sources, chain);
        }
        Err(problems) => report.problems = problems,
    }
    report
}

/// The chain that a folder would be the program of.
///
/// # Errors
/// Its name cannot be a chain's, or its `program.toml` does not check.
pub fn chain_of(id: &str, sources: &Sources) -> Result<Chain, Vec<Diagnostic>> {
    let id: ChainId = id.parse().map_err(|bad| {
        let message = format!("the folder's name `{id}` cannot be a chain's id: it {bad}");
        let help = "rename the folder; people see the name in program.toml";
        vec![Diagnostic::of_file(Mistake::InvalidName, manifest::FILE, message).help(help)]
    })?;
    let (Manifest { name, timezone, currency, .. }, problems) = Manifest::readable(sources);
    let chain = Chain { id, name, timezone, currency, created_at: Timestamp::UNIX_EPOCH, revision: 1 };
    match problems.is_empty() {
        true => Ok(chain),
        // What is wrong with the rules is told as well.
        false => Err(Program::load(sources, &chain, 0).err().unwrap_or(problems)),
    }
}

/// Loads a folder and runs its tests: what a running server publishes.
///
/// # Errors
/// Every problem found; or, when there is none, what does not hold in its tests.
pub fn load_and_test(sources: &Sources, chain: &Chain, version: i64) -> Result<Program, Vec<Diagnostic>> {
    let program = Program::load(sources, chain, version)?;
    let failed = disappointments(&testing::run(&program, sources, chain));
    if failed.is_empty() { Ok(program) } else { Err(failed) }
}

/// What does not hold in tests: a rule that fails, and with it many of them, is told of once.
fn disappointments(tests: &[TestOutcome]) -> Vec<Diagnostic> {
    let failing = || tests.iter().filter_map(|test| Some((test, test.failure.as_ref()?)));
    let told = |(at, (test, failure)): (usize, (&TestOutcome, &Diagnostic))| {
        let is_like = |other: &TestOutcome| other.ended_by.is_some() && other.ended_by == test.ended_by;
        if failing().take(at).any(|(before, _)| is_like(before)) {
            return None;
        }
        let message = format!("test \"{}\": {}", test.name, failure.message);
        let others = failing().skip(at + 1).filter(|(other, _)| is_like(other)).count() as u64;
        let help = (others > 0).then(|| format!("{} more end here", counted(others, "test")));
        Some(Diagnostic { message, ..failure.clone() }.maybe_help(help))
    };
    failing().enumerate().filter_map(told).collect()
}

/// One problem with its line of source.
pub fn render(problem: &Diagnostic, folder: &Path, sources: &Sources, colour: Colour) -> String {
    let shown = Diagnostic { file: folder.join(&problem.file).display().to_string(), ..problem.clone() };
    let Some(text) = sources.get(&problem.file) else { return format!("{shown}\n") };
    let Diagnostic { file, line, column, length, message, help, judged, .. } = &shown;
    let source = Source::from(text);
    let start = source.line(line - 1).map_or(0, |line| line.offset() + (column - 1).min(line.len()));
    let end = (start + length).min(text.chars().count()).max(start);
    let span = (file.as_str(), start..end);
    let config = Config::default().with_index_type(IndexType::Char).with_color(colour == Colour::Terminal);
    let label =
        Label::new(span.clone()).with_message(help.as_deref().unwrap_or("here")).with_color(Color::Red);
    let mut report =
        Report::build(ReportKind::Error, span).with_config(config).with_message(message).with_label(label);
    report.with_notes(judged.iter().map(|judged| judged.in_lines()));
    let mut out = Vec::new();
    match report.finish().write((file.as_str(), source), &mut out) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(_) => format!("{shown}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(rules: &str) -> Sources {
        let manifest = "name = \"A\"\ntimezone = \"UTC\"\ncurrency = \"USD\"\n";
        let files = [("a.rhai", rules), (manifest::FILE, manifest)];
        Sources { files: files.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec() }
    }

    #[test]
    fn a_failing_test_shows_the_line_both_values_and_what_fired() {
        let rules = "rule \"One\" on visit { award(1); }\ntest \"two\" {\n  send(\"visit\");\n  expect awarded() == 2;\n}\n";
        let report = check(folder(rules), "acme".to_owned());
        assert!(!report.is_good());
        let failure = report.tests[0].failure.clone().unwrap();
        assert_eq!((failure.line, failure.column, &*failure.message), (4, 10, "this is 1, expected == 2"));
        assert_eq!(failure.judged.unwrap().in_lines(), "\"One\" fired: award 1 points");
        let text = report.render(Path::new("rules/acme"), Colour::Plain);
        assert!(text.contains("rules/acme/a.rhai:4:10") && text.contains("expect awarded() == 2;"), "{text}");
        assert!(text.ends_with("acme: 1 rule, 1 of 1 test failed\n"), "{text}");
        let problems =
            load_and_test(&folder(rules), &chain_of("acme", &folder(rules)).unwrap(), 1).unwrap_err();
        assert_eq!(problems[0].message, "test \"two\": this is 1, expected == 2");
    }

    #[test]
    fn problems_are_shown_even_where_the_source_is_missing_or_odd() {
        for (line, column, length) in [(1, 1, 1), (9, 9, 9), (1, 5_000, 1), (2, 1, 1)] {
            let spot = super::super::diagnostic::Spot { line, column, length, source: String::new() };
            for file in ["a.rhai", "gone.rhai"] {
                let problem = Diagnostic::new(Mistake::Syntax, file, spot.clone(), "odd");
                assert!(render(&problem, Path::new(""), &folder("é\n"), Colour::Plain).contains("odd"));
            }
        }
    }

    #[test]
    fn a_folder_whose_name_is_no_chain_id_is_refused() {
        let report = check(folder(""), "Acme Inc".to_owned());
        assert!(report.problems[0].message.contains("`Acme Inc` cannot be a chain's id"));
        assert!(report.problems[0].help.as_deref().is_some_and(|help| help.starts_with("rename the folder")));
    }

    #[test]
    fn the_report_is_json_for_machines() {
        let json = serde_json::to_value(check(folder("rule \"a\" on visit {"), "acme".to_owned())).unwrap();
        let problem = &json["problems"][0];
        assert_eq!((&problem["file"], &problem["code"]), (&"a.rhai".into(), &"syntax".into()));
        assert_eq!(problem["source"], "rule \"a\" on visit {");
    }
}
