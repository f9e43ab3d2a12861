//! Published versions of programs: numbered, hashed, never changed.

use diesel::prelude::*;

use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::program_versions;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;

/// A program version as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProgram {
    /// Its number; the first is 1.
    pub version: i64,
    /// The hash of its files.
    pub hash: [u8; 32],
    /// Its files, as JSON.
    pub files_json: String,
    /// When it was published.
    pub created_at: Timestamp,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = program_versions, treat_none_as_default_value = false)]
struct ProgramRow {
    chain: String,
    version: i64,
    hash: Vec<u8>,
    files: String,
    created_at: i64,
}

/// The newest version; `None` before the first.
pub fn latest(conn: &mut DbConn, chain: &ChainId) -> Result<Option<StoredProgram>, StoreError> {
    let found = program_versions::table
        .filter(program_versions::chain.eq(chain.as_str()))
        .select(ProgramRow::as_select())
        .order(program_versions::version.desc())
        .first(conn)
        .optional()?;
    let Some(found) = found else { return Ok(None) };
    let row = Row { table: "program_versions", id: &found.version.to_string() };
    Ok(Some(StoredProgram {
        version: found.version,
        hash: row.hash("hash", found.hash)?,
        created_at: row.time("created_at", found.created_at)?,
        files_json: found.files,
    }))
}

/// Publishes a version; [`StoreError::Taken`] when its number is in use.
pub fn insert(
    conn: &mut DbConn,
    chain: &ChainId,
    version: i64,
    hash: &[u8; 32],
    files_json: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = ProgramRow {
        chain: chain.to_string(),
        version,
        hash: hash.to_vec(),
        files: files_json.to_owned(),
        created_at: now.timestamp_micros(),
    };
    diesel::insert_into(program_versions::table)
        .values(row)
        .execute(conn)
        .map_err(|e| StoreError::taken(e, "program version", format!("{chain} {version}")))?;
    Ok(())
}
