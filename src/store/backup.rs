//! Copies of a SQLite database: made beside a server that writes, and looked into before anybody relies on them.
//!
//! A copy is one read, as of one instant (`VACUUM INTO`). SQLite's other way, a few pages at a time, begins anew whenever
//! somebody writes, so beside a busy server it would never end. Meanwhile the log cannot begin anew, and grows by what is
//! written; [`checkpoint`](super::checkpoint) does not hold commits up for it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use diesel::migration::{Migration, MigrationSource as _};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;

use super::books::{self, Finding};
use super::connection::{DbConn, Role, open_sqlite};
use super::error::StoreError;
use super::vault::Vault;
use super::{SQLITE_MIGRATIONS, chain, endpoint, from_the_future, member, source_event};
use crate::domain::Timestamp;

/// What a SQLite file begins with, and where it says whether it has a log beside it.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const WRITE_VERSION: usize = 18;
const HAS_LOG: u8 = 2;

/// What is in a copy whose books are in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// How many chains.
    pub chains: usize,
    /// How many members.
    pub members: u64,
    /// When the newest source event came.
    pub newest: Option<Timestamp>,
    /// Endpoints whose secrets the master key opened; `None` when no key was given.
    pub opened: Option<usize>,
}

/// Why a copy is none to rely on.
#[derive(Debug, thiserror::Error)]
pub enum BadCopy {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is something else.
    #[error("it is not a punchcard database")]
    Foreign,
    /// It is the file of a database, without its log.
    #[error(
        "it is the file of a database as a server leaves it, not a backup: what was in the log beside it may be missing; \
         make backups with `punchcard backup`"
    )]
    NotABackup,
    /// Its pages are damaged.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// Its totals do not add up.
    #[error("its books are not in order: {} findings", .0.len())]
    Books(Vec<Finding>),
    /// It does not answer, is newer than this program, or is sealed with another master key.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<diesel::result::Error> for BadCopy {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Copies the database in `from` into the empty file `to`, as of one instant.
///
/// # Errors
/// The database cannot be read, or the disk is full.
pub fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let mut conn = open_sqlite(from, Role::Copier)?;
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(to.to_string_lossy()).execute(&mut conn)?;
    Ok(())
}

#[derive(QueryableByName)]
struct Pages {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// Looks through a copy: its pages, its version, its books, and whether the master key opens its secrets. Nothing is known of
/// the books of a copy that an older version of this program made: it has to be upgraded first.
///
/// # Errors
/// See [`BadCopy`].
pub fn look_into(file: &Path, vault: Option<&Vault>) -> Result<Option<Contents>, BadCopy> {
    check_head(file)?;
    let mut conn = open_sqlite(file, Role::Reader).map_err(StoreError::from)?;
    let pages: Vec<Pages> = diesel::sql_query("PRAGMA integrity_check(1)").load(&mut conn)?;
    if let Some(damage) = pages.into_iter().map(|pages| pages.integrity_check).find(|said| said != "ok") {
        return Err(BadCopy::Damaged(damage));
    }
    if !is_current(&mut conn)? {
        return Ok(None);
    }
    let mut conn = DbConn::Sqlite(conn);
    let findings = books::verify(&mut conn, None)?;
    if findings.is_empty() { Ok(Some(count(&mut conn, vault)?)) } else { Err(BadCopy::Books(findings)) }
}

fn check_head(file: &Path) -> Result<(), BadCopy> {
    let mut head = [0; WRITE_VERSION + 1];
    match File::open(file)?.read_exact(&mut head) {
        Ok(()) if head.starts_with(MAGIC) => {}
        _ => return Err(BadCopy::Foreign),
    }
    if head[WRITE_VERSION] == HAS_LOG { Err(BadCopy::NotABackup) } else { Ok(()) }
}

/// Whether it has every step that this program knows, and no other.
fn is_current(conn: &mut SqliteConnection) -> Result<bool, BadCopy> {
    const STEPS: &str = "__diesel_schema_migrations";
    let tables = "SELECT count(*) AS number FROM sqlite_master WHERE name = ?";
    let tables: Number = diesel::sql_query(tables).bind::<Text, _>(STEPS).get_result(conn)?;
    if tables.number == 0 {
        return Err(BadCopy::Foreign);
    }
    let taken: Vec<Step> = diesel::sql_query(format!("SELECT version FROM {STEPS}")).load(conn)?;
    let known: Vec<Box<dyn Migration<Sqlite>>> =
        SQLITE_MIGRATIONS.migrations().map_err(|e| StoreError::Migrate(e.to_string()))?;
    let known: Vec<String> = known.iter().map(|step| step.name().version().to_string()).collect();
    match taken.iter().find(|step| !known.contains(&step.version)) {
        Some(step) => Err(from_the_future(&step.version).into()),
        None => Ok(taken.len() == known.len()),
    }
}

fn count(conn: &mut DbConn, vault: Option<&Vault>) -> Result<Contents, StoreError> {
    let chains = chain::list(conn)?;
    let mut found = Contents { chains: chains.len(), members: 0, newest: None, opened: vault.map(|_| 0) };
    for chain in &chains {
        found.members += member::count(conn, &chain.id)?;
        let newest = source_event::list(conn, &chain.id, None, 1, None)?;
        found.newest = found.newest.max(newest.first().map(|event| event.received_at));
        if let Some(vault) = vault {
            let endpoints = endpoint::list(conn, vault, &chain.id)?.len();
            found.opened = found.opened.map(|opened| opened + endpoints);
        }
    }
    Ok(found)
}
