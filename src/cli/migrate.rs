//! `punchcard migrate`: creates or upgrades the database.

use crate::config::flags::StoreFlags;

use super::{Failure, out};

/// Create or upgrade the database, and exit
///
/// `punchcard serve` does the same before it starts. Stopping it at any point is safe: run it again.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    flags: StoreFlags,
}

pub(super) fn run(verb: &Migrate) -> Result<(), Failure> {
    let Some(loaded) = super::configuration(&verb.flags.0)? else { return Ok(()) };
    let store = super::open_store(&loaded.config)?;
    store.migrate().map_err(|e| Failure::because("cannot upgrade the database", &e))?;
    out::line(format_args!("{} is up to date", loaded.config.database));
    Ok(())
}
