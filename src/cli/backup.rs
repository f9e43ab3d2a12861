//! `punchcard backup`: a copy of a SQLite database, whole or not at all.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::config::Config;
use crate::config::flags::StoreFlags;
use crate::config::master_key;
use crate::store::DatabaseUrl;
use crate::store::backup::{self, Contents};
use crate::store::vault::Vault;

use super::{Failure, out};

/// Copy a SQLite database into a file, also while a server runs on it
///
/// The copy is as of one instant. It appears under its name when it is whole, on disk and checked: its pages, its books
/// (as `verify` does), and that the master key opens its secrets. Nothing is ever overwritten. The master key is not in
/// it: keep that, too, and elsewhere. docs/operations.md has the drill, and what to do on PostgreSQL.
#[derive(Debug, clap::Args)]
pub(super) struct Backup {
    /// The file to make
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    flags: StoreFlags,
}

pub(super) fn run(verb: &Backup) -> Result<(), Failure> {
    let Some(loaded) = super::configuration(&verb.flags.0)? else { return Ok(()) };
    let (config, file) = (&loaded.config, &verb.file);
    let database = sqlite(config, &format!("pg_dump --format=custom --file={}", file.display()))?;
    let failed =
        |why: &dyn std::error::Error| Failure::because(&format!("no backup {}", file.display()), why);
    if file.symlink_metadata().is_ok() {
        return Err(Failure::Failed(format!(
            "{} is there already, and backups are never overwritten; name another file",
            file.display()
        )));
    }
    if !database.is_file() {
        return Err(Failure::Failed(format!(
            "there is no database {}; name one with --database",
            database.display()
        )));
    }
    let key = master_key::find(config).map_err(|error| failed(&error))?;
    let draft = draft_beside(file).map_err(|error| failed(&error))?;
    backup::copy(database, draft.path()).map_err(|error| failed(&error))?;
    let contents = backup::look_into(draft.path(), key.map(Vault::new).as_ref());
    let contents = contents.map_err(|error| failed(&error))?;
    let bytes = put(draft, file).map_err(|error| failed(&error))?;
    out::line(format_args!(
        "{} of {} is complete and checked: {}, {bytes} bytes",
        file.display(),
        config.database,
        in_words(contents.as_ref())
    ));
    out::line(format_args!("{}", about_key(config, key.is_some())));
    Ok(())
}

/// The file of a SQLite database; of PostgreSQL it is said what to type.
pub(super) fn sqlite<'a>(config: &'a Config, instead: &str) -> Result<&'a Path, Failure> {
    match &config.database {
        DatabaseUrl::Sqlite(file) => Ok(file),
        DatabaseUrl::Postgres(_) => Err(Failure::Usage(format!(
            "this is for SQLite; PostgreSQL has tools of its own: `{instead} --dbname=\"$PUNCHCARD_DATABASE_URL\"`; \
             docs/operations.md has the drill"
        ))),
    }
}

/// An empty file for its owner only, which is gone again unless it is put in its place.
pub(super) fn draft_beside(file: &Path) -> std::io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".punchcard-unfinished-").tempfile_in(folder_of(file))
}

/// Puts a draft where nothing is yet, for good. Answers how large it is.
pub(super) fn put(draft: NamedTempFile, file: &Path) -> std::io::Result<u64> {
    // SQLite wrote by the name, not by this handle; the disk keeps the file either way.
    draft.as_file().sync_all()?;
    let file_in_place = draft.persist_noclobber(file).map_err(|error| error.error)?;
    File::open(folder_of(file))?.sync_all()?;
    Ok(file_in_place.metadata()?.len())
}

pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What is in a copy.
pub(super) fn in_words(contents: Option<&Contents>) -> String {
    let Some(Contents { chains, members, newest, opened }) = contents else {
        return "made by an older version, so of its books nothing is known yet".to_owned();
    };
    let mut text = format!("chains {chains}, members {}", out::thousands(*members));
    if let Some(newest) = newest {
        let _ = write!(text, ", newest event of {}", newest.format("%F %T UTC"));
    }
    match opened {
        Some(opened) => _ = write!(text, ", secrets of {opened} endpoints open"),
        None => text.push_str(", secrets not tried, because no master key was given"),
    }
    text
}

fn about_key(config: &Config, is_known: bool) -> String {
    let place = match (&config.master_key, &config.database) {
        (Some(_), _) => "the one that was configured (PUNCHCARD_MASTER_KEY)".to_owned(),
        (None, DatabaseUrl::Sqlite(file)) if is_known => master_key::file_beside(file).display().to_string(),
        (None, _) => "the one that the server was started with".to_owned(),
    };
    format!(
        "The master key is not in it, and without that key its endpoints cannot sign: keep {place}, too, and in another place."
    )
}
