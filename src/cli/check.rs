//! `punchcard check`: checks and tests rules.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::rules::folder::is_meant_for_a_chain;
use crate::rules::report::{ChainReport, check_folder};

use super::{Failure, out};

const MANIFEST: &str = "program.toml";

/// Check rules and run their tests
///
/// Says for every mistake where it is and what to do. Exits 1 when anything is wrong or a test fails; a server would
/// not put such rules in force.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// A folder with one folder per chain, or the folder of one chain
    #[arg(value_name = "DIR", default_value = "rules")]
    dir: PathBuf,
    /// Print the findings as JSON
    #[arg(long)]
    json: bool,
}

/// The findings of all chains, for machines.
#[derive(Serialize)]
struct Findings<'a> {
    good: bool,
    chains: &'a [ChainReport],
}

pub(super) fn run(verb: &Check) -> Result<(), Failure> {
    let folders = chain_folders(&verb.dir)?;
    let reports: Vec<_> = folders.iter().map(|folder| check_folder(folder)).collect();
    let good = reports.iter().all(ChainReport::is_good);
    if verb.json {
        let findings = Findings { good, chains: &reports };
        let json = serde_json::to_string_pretty(&findings)
            .unwrap_or_else(|_| unreachable!("plain structs serialize"));
        out::line(format_args!("{json}"));
    } else {
        for (folder, report) in folders.iter().zip(&reports) {
            out::text(&report.render(folder, out::colour()));
        }
    }
    if good { Ok(()) } else { Err(Failure::Reported) }
}

/// The folders of chains: this one, or those in it, by name.
fn chain_folders(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    if dir.join(MANIFEST).is_file() {
        return Ok(vec![dir.to_owned()]);
    }
    let entries = std::fs::read_dir(dir).map_err(|e| {
        Failure::Usage(format!(
            "cannot read the folder {}: {e}; name the rules folder to check",
            dir.display()
        ))
    })?;
    let folders = entries.flatten().map(|entry| entry.path());
    let mut chains: Vec<_> = folders.filter(|folder| is_meant_for_a_chain(folder)).collect();
    chains.sort();
    if chains.is_empty() {
        return Err(Failure::Usage(format!(
            "{} has no chain in it; a chain is a folder with a {MANIFEST} and *.rhai files",
            dir.display()
        )));
    }
    Ok(chains)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        root
    }

    fn chains(files: &[&str]) -> Result<Vec<String>, String> {
        let root = folder(files);
        let found = chain_folders(root.path()).map_err(|e| e.to_string())?;
        Ok(found.iter().map(|path| path.strip_prefix(root.path()).unwrap().display().to_string()).collect())
    }

    #[test]
    fn a_folder_is_one_chain_or_holds_chains() {
        assert_eq!(chains(&["program.toml", "earning.rhai"]).unwrap(), [""]);
        assert_eq!(chains(&["b/program.toml", "a/earning.rhai", "docs/readme.md"]).unwrap(), ["a", "b"]);
        assert!(chains(&["docs/readme.md"]).unwrap_err().contains("has no chain in it"));
        assert!(matches!(chain_folders(Path::new("/nowhere/rules")), Err(Failure::Usage(_))));
    }
}
