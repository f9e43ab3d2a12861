//! What differs between two versions of a program, as people read it.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use similar::TextDiff;

use super::program::Sources;

/// Beyond this, a difference is still right, but no longer the shortest.
const PATIENCE: Duration = Duration::from_millis(200);
/// Lines shown around each change.
const CONTEXT: usize = 3;

/// What happened to one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FileDifference {
    /// Its name.
    pub file: String,
    /// What happened to it.
    pub change: Change,
    /// The lines that went and came, as a unified diff.
    pub diff: String,
}

/// What happened to a file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FileChange")]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its text is another one.
    Changed,
}

/// The files that differ, by name.
pub fn between(from: &Sources, to: &Sources) -> Vec<FileDifference> {
    let names =
        |sources: &Sources| sources.files.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
    let all = &names(from) | &names(to);
    all.into_iter().filter_map(|file| of_file(from, to, file)).collect()
}

fn of_file(from: &Sources, to: &Sources, file: String) -> Option<FileDifference> {
    let (was, is) = (from.get(&file), to.get(&file));
    let change = match (was, is) {
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
        _ if was == is => return None,
        _ => Change::Changed,
    };
    let (was, is) = (was.unwrap_or_default(), is.unwrap_or_default());
    let lines = TextDiff::configure().timeout(PATIENCE).diff_lines(was, is);
    let diff = lines.unified_diff().context_radius(CONTEXT).header(&file, &file).to_string();
    Some(FileDifference { file, change, diff })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Sources {
        Sources { files: files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect() }
    }

    #[test]
    fn a_difference_names_the_files_and_shows_the_lines() {
        let from = sources(&[("a.rhai", "one\ntwo\nthree\n"), ("b.rhai", "b\n"), ("c.rhai", "same\n")]);
        let to = sources(&[("a.rhai", "one\n2\nthree\n"), ("c.rhai", "same\n"), ("d.rhai", "d")]);
        let found = between(&from, &to);
        let changes: Vec<_> = found.iter().map(|file| (&*file.file, file.change)).collect();
        assert_eq!(
            changes,
            [("a.rhai", Change::Changed), ("b.rhai", Change::Removed), ("d.rhai", Change::Added)]
        );
        assert!(found[0].diff.contains("\n-two\n+2\n three\n"), "{}", found[0].diff);
        assert!(found[2].diff.contains("+d\n\\ No newline"), "{}", found[2].diff);
        assert_eq!(between(&from, &from), []);
    }
}
