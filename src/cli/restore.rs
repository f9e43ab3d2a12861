//! `punchcard restore`: a backup in the place of a SQLite database.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::config::flags::StoreFlags;
use crate::config::master_key;
use crate::lock::DatabaseLock;
use crate::store::backup;
use crate::store::vault::Vault;

use super::backup::{draft_beside, folder_of, in_words, put, sqlite};
use super::{Failure, out};

/// What SQLite keeps beside a database. A log that is left behind would be taken for that of the next file of the name.
const PARTS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Put a backup in the place of a SQLite database that no server runs on
///
/// The backup is copied, and the copy checked as `backup` does, before anything is touched. A database that is there is never
/// overwritten: with --replace it is moved aside. What an older version made stays as it is until `migrate` or the next
/// start. What was delivered since the backup was made is delivered again, under the same ids. docs/operations.md has the
/// drill.
#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Move the database that is there aside, with its log
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    flags: StoreFlags,
}

pub(super) fn run(verb: &Restore) -> Result<(), Failure> {
    let Some(loaded) = super::configuration(&verb.flags.0)? else { return Ok(()) };
    let (config, file) = (&loaded.config, &verb.file);
    let database = sqlite(config, &format!("pg_restore {} --exit-on-error", file.display()))?;
    let shown = file.display();
    let failed = |why: &dyn std::error::Error| {
        Failure::because(&format!("{shown} is not restored, and nothing was changed"), why)
    };
    let _lock = DatabaseLock::take(database).map_err(|error| failed(&error))?;
    let there = parts_of(database);
    if !there.is_empty() && !verb.replace {
        return Err(Failure::Failed(format!(
            "{} is there already; --replace moves it aside, --database names another place",
            database.display()
        )));
    }
    let key = master_key::find(config).map_err(|error| failed(&error))?.ok_or_else(|| {
        Failure::Usage(format!(
            "{shown} is of no use without its master key: put the key file back as {}, or set PUNCHCARD_MASTER_KEY",
            master_key::file_beside(database).display()
        ))
    })?;
    let draft = draft_beside(database).map_err(|error| failed(&error))?;
    fill(file, draft.as_file()).map_err(|error| failed(&error))?;
    let contents = backup::look_into(draft.path(), Some(&Vault::new(key))).map_err(|error| failed(&error))?;

    let moved = move_aside(database, &there).map_err(|error| halfway(database, &error))?;
    put(draft, database).map_err(|error| halfway(database, &error))?;
    out::line(format_args!("{shown} is restored as {}: {}", config.database, in_words(contents.as_ref())));
    if let Some(moved) = moved {
        out::line(format_args!("What was there is now {}.", moved.display()));
    }
    if contents.is_none() {
        out::line(format_args!(
            "`punchcard migrate`, or the next start, upgrades it; `punchcard verify` checks its books then."
        ));
    }
    out::line(format_args!(
        "Deliveries that were made since the backup will be made again, under the same ids; events that came since are not known."
    ));
    Ok(())
}

fn halfway(database: &Path, why: &dyn std::error::Error) -> Failure {
    let doing = format!(
        "stopped halfway: what was {} may have been moved aside, and the backup is not in its place; run it again",
        database.display()
    );
    Failure::because(&doing, why)
}

fn fill(from: &Path, mut to: &std::fs::File) -> io::Result<()> {
    io::copy(&mut std::fs::File::open(from)?, &mut to)?;
    to.sync_all()
}

/// What is there of a database, the file itself first.
fn parts_of(database: &Path) -> Vec<&'static str> {
    PARTS.into_iter().filter(|part| with(database, part).symlink_metadata().is_ok()).collect()
}

fn with(database: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(suffix);
    name.into()
}

/// Moves these parts of a database aside, so that they still belong together. Answers where it is then.
fn move_aside(database: &Path, parts: &[&str]) -> io::Result<Option<PathBuf>> {
    if parts.is_empty() {
        return Ok(None);
    }
    let aside = with(database, &format!(".replaced-{}", Clock::System.now().format("%Y%m%dT%H%M%SZ")));
    if aside.symlink_metadata().is_ok() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} is there already", aside.display()),
        ));
    }
    for part in parts {
        std::fs::rename(with(database, part), with(&aside, part))?;
    }
    std::fs::File::open(folder_of(database))?.sync_all()?;
    Ok(Some(aside))
}
