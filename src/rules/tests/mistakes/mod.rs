//! A corpus of planted mistakes, each of which must be found at the right word and explained, and nothing besides.
//!
//! A block of a corpus file is a folder with one mistake or several:
//!
//! ```text
//! ### why it is one
//! rule "a" on visit { set_tier("goldd"); }
//! @@ b.rhai
//! rule "b" on visit { }
//! => unknown_name a.rhai:1:30 "goldd" | what the message says | what the help says
//! ```
//!
//! Without `@@` the lines are those of `a.rhai`; the folder has the `program.toml` beside this file unless the block has
//! its own. A block without `=>` is right, and must be left alone.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::*;
use crate::rules::diagnostic::Mistake;

/// The files of the corpus: read when the tests run, so that a mistake is planted without compiling anything.
static CORPUS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules/tests/mistakes");
    let files = ["names", "types", "never", "structure", "program", "words", "slips", "right"];
    let read = |name| std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap();
    files.into_iter().map(read).collect()
});

/// A problem that must be found.
struct Expected<'a> {
    code: &'a str,
    /// `file:line:column`
    place: &'a str,
    word: &'a str,
    message: &'a str,
    help: &'a str,
}

impl<'a> Expected<'a> {
    /// Reads what stands behind `=> `.
    fn read(line: &'a str) -> Self {
        let mut parts = line.split(" | ").map(str::trim);
        let (code, where_) = parts.next().and_then(|first| first.split_once(' ')).expect("a code");
        let (place, word) = where_.split_once(' ').expect("a place and a word");
        let (message, help) = (parts.next().expect("a message"), parts.next().unwrap_or_default());
        Self { code, place, word, message, help }
    }

    fn is(&self, problem: &Diagnostic, folder: &Sources) -> bool {
        let Diagnostic { code, file, line, column, length, source, message, help, .. } = problem;
        let text = folder.get(file).unwrap_or_default().lines().nth(line - 1).unwrap_or_default();
        let word: String = text.chars().skip(column - 1).take(*length).collect();
        self.code == code.as_str()
            && **source == *text.trim_end()
            && self.place == format!("{file}:{line}:{column}")
            && self.word == word
            && message.contains(self.message)
            && help.as_deref().unwrap_or_default().contains(self.help)
    }
}

/// A block of the corpus.
struct Plot<'a> {
    title: &'a str,
    folder: Sources,
    expected: Vec<Expected<'a>>,
}

impl<'a> Plot<'a> {
    fn read(block: &'a str) -> Self {
        let (title, lines) = block.split_once('\n').unwrap_or((block, ""));
        let mut files = vec![("a.rhai".to_owned(), String::new())];
        let mut expected = Vec::new();
        for line in lines.lines() {
            if let Some(name) = line.strip_prefix("@@ ") {
                files.push((name.to_owned(), String::new()));
            } else if let Some(problem) = line.strip_prefix("=> ") {
                expected.push(Expected::read(problem));
            } else if let Some((_, text)) = files.last_mut() {
                text.push_str(line);
                text.push('\n');
            }
        }
        if !files.iter().any(|(name, _)| name == "program.toml") {
            files.push(("program.toml".to_owned(), include_str!("program.toml").to_owned()));
        }
        Self { title, folder: Sources { files }, expected }
    }

    /// What is found and not expected, or expected and not found.
    fn complaint(&self) -> Option<String> {
        let problems = Program::load(&self.folder, &chain(), 1).err().unwrap_or_default();
        let is_found =
            |expected: &Expected<'_>| problems.iter().any(|found| expected.is(found, &self.folder));
        let is_right = problems.len() == self.expected.len() && self.expected.iter().all(is_found);
        let found: Vec<_> = problems
            .iter()
            .map(|found| format!("{} {found} [{}]", found.code.as_str(), found.length))
            .collect();
        (!is_right).then(|| format!("{}\n    {}", self.title, found.join("\n    ")))
    }
}

fn plots() -> impl Iterator<Item = Plot<'static>> {
    let blocks = CORPUS.iter().flat_map(|text| text.split("### ").skip(1));
    blocks.map(Plot::read)
}

#[test]
fn every_planted_mistake_is_found_at_its_word_and_nothing_else_is() {
    let complaints: Vec<_> = plots().filter_map(|plot| plot.complaint()).collect();
    assert!(complaints.is_empty(), "{} of them:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn the_corpus_is_not_cut_short() {
    assert!(plots().filter(|plot| !plot.expected.is_empty()).count() >= 100);
    assert!(plots().filter(|plot| plot.expected.is_empty()).count() >= 15);
}

#[test]
fn machines_are_told_the_same_as_people() {
    for plot in plots() {
        for problem in Program::load(&plot.folder, &chain(), 1).err().unwrap_or_default() {
            let plain = crate::rules::report::Colour::Plain;
            let text = crate::rules::report::render(&problem, Path::new(""), &plot.folder, plain);
            let json = serde_json::to_value(&problem).unwrap();
            for part in ["message", "help", "file"].iter().filter_map(|key| json[key].as_str()) {
                assert!(text.contains(part), "{}: {part} is not in\n{text}", plot.title);
            }
            assert!(text.contains(&format!("{}:{}", json["line"], json["column"])), "{text}");
        }
    }
}

#[test]
fn a_folder_full_of_mistakes_is_told_of_in_bounds() {
    let rules = "x;".repeat(3_000);
    let file = |n: usize| (format!("f{n:02}.rhai"), format!("rule \"r{n}\" on visit {{ {rules} }}"));
    let mut files: Vec<_> = (0..20).map(file).collect();
    files.push(("program.toml".to_owned(), include_str!("program.toml").to_owned()));
    let problems = Program::load(&Sources { files }, &chain(), 1).unwrap_err();
    assert_eq!(problems.len(), 500);
}

#[test]
fn every_code_is_explained_and_those_of_mistakes_in_rules_are_planted() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/problems.md")).unwrap();
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let written: Vec<_> =
        Mistake::ALL.iter().map(|code| format!("| `{}` | {} |", code.as_str(), code.says())).collect();
    assert_eq!(listed, written);
    let planted: BTreeSet<&str> =
        plots().flat_map(|plot| plot.expected).map(|expected| expected.code).collect();
    // Those of a folder as a whole, of tests and transforms that fail, and of files that are too large have tests of their own.
    let elsewhere = [
        Mistake::TooDeep,
        Mistake::TooMany,
        Mistake::UnreadableFile,
        Mistake::MissingFile,
        Mistake::OtherChain,
        Mistake::TestFailed,
        Mistake::TestNotRun,
        Mistake::TransformFails,
        Mistake::Internal,
    ];
    let missing: Vec<_> = Mistake::ALL
        .iter()
        .filter(|code| !elsewhere.contains(code) && !planted.contains(code.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
