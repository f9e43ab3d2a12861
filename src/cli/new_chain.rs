//! `punchcard new-chain`: a folder to begin with.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;

use crate::domain::chain::ChainId;
use crate::domain::money::Currency;

use super::{Failure, out};

const FILES: [(&str, &str); 3] = [
    ("program.toml", include_str!("starter/program.toml")),
    ("earning.rhai", include_str!("starter/earning.rhai")),
    ("guests.rhai", include_str!("starter/guests.rhai")),
];

/// Write a folder of first rules for a new chain
///
/// The rules are explained, check, and have tests that pass. In the rules folder of a running server the chain starts
/// within a second; anywhere else when you publish it.
#[derive(Debug, clap::Args)]
pub(super) struct NewChain {
    /// The chain's id, which becomes the folder's name
    #[arg(value_name = "NAME")]
    name: ChainId,
    /// Where to put the folder
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// The time zone whose days and hours the rules mean; it stays
    #[arg(long, value_name = "ZONE", default_value = "America/New_York")]
    timezone: Tz,
    /// The currency of every amount; it stays
    #[arg(long, value_name = "CODE", default_value = "USD")]
    currency: Currency,
}

pub(super) fn run(verb: &NewChain) -> Result<(), Failure> {
    let folder = verb.dir.join(verb.name.as_str());
    make(&folder)?;
    for (file, text) in FILES {
        let path = folder.join(file);
        std::fs::write(&path, filled(text, verb))
            .map_err(|error| Failure::because(&format!("cannot write {}", path.display()), &error))?;
        out::line(format_args!("{}", path.display()));
    }
    out::line(format_args!("\nNext: punchcard check {}", folder.display()));
    Ok(())
}

/// A folder that was not there, so that nobody's rules are lost.
fn make(folder: &Path) -> Result<(), Failure> {
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let made = parent.map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::create_dir(folder));
    made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::Usage(format!("{} is there already; choose another name", folder.display()))
        }
        _ => Failure::because(&format!("cannot make the folder {}", folder.display()), &error),
    })
}

fn filled(text: &str, verb: &NewChain) -> String {
    text.replace("{name}", &for_people(verb.name.as_str()))
        .replace("{timezone}", verb.timezone.name())
        .replace("{currency}", &verb.currency.code)
}

/// `corner-cafe` is the Corner Cafe.
fn for_people(id: &str) -> String {
    let words = id.split(['-', '_']).filter(|word| !word.is_empty()).map(|word| {
        let (first, rest) = word.split_at(1);
        format!("{}{rest}", first.to_ascii_uppercase())
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::check_folder;
    use crate::rules::report::Colour;

    fn verb(dir: &Path) -> NewChain {
        NewChain {
            name: "corner-cafe_2".parse().unwrap(),
            dir: dir.join("new"),
            timezone: chrono_tz::Asia::Tokyo,
            currency: "JPY".parse().unwrap(),
        }
    }

    #[test]
    fn the_starter_folder_checks_and_its_tests_pass() {
        let root = tempfile::tempdir().unwrap();
        run(&verb(root.path())).unwrap();
        let folder = root.path().join("new/corner-cafe_2");
        let report = check_folder(&folder);
        assert!(report.is_good(), "{}", report.render(&folder, Colour::Plain));
        assert!(report.tests.len() >= 6);
        let manifest = std::fs::read_to_string(folder.join("program.toml")).unwrap();
        for line in ["\"Corner Cafe 2\"", "\"Asia/Tokyo\"", "\"JPY\""] {
            assert!(manifest.contains(line), "{manifest}");
        }
    }

    #[test]
    fn a_folder_that_is_there_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let verb = verb(root.path());
        std::fs::create_dir_all(verb.dir.join("corner-cafe_2")).unwrap();
        assert!(run(&verb).unwrap_err().to_string().contains("is there already"));
        assert!(!verb.dir.join("corner-cafe_2/program.toml").exists());
    }
}
