//! Published versions of programs: numbered, hashed, never changed. The newest that is no candidate is in force.

use diesel::prelude::*;

use super::connection::DbConn;
use super::error::StoreError;
use super::roll_out;
use super::row::Row;
use super::schema::{chains, program_versions};
use crate::domain::chain::ChainId;
use crate::domain::publication::{Origin, Publication};
use crate::domain::roll_out::RollOut;

/// A version as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredProgram {
    /// What is known of it.
    pub publication: Publication,
    /// Its files, as JSON.
    pub files_json: String,
}

/// A version without its files.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = program_versions, treat_none_as_default_value = false)]
struct PublicationRow {
    chain: String,
    version: i64,
    hash: Vec<u8>,
    origin: String,
    restores: Option<i64>,
    published_by: Option<String>,
    note: Option<String>,
    created_at: i64,
}

impl PublicationRow {
    fn of(chain: &ChainId, publication: &Publication) -> Self {
        let Publication { version, hash, origin, by, note, at } = publication;
        Self {
            chain: chain.to_string(),
            version: *version,
            hash: hash.to_vec(),
            origin: origin.as_str().to_owned(),
            restores: origin.restores(),
            published_by: by.as_ref().map(ToString::to_string),
            note: note.as_ref().map(ToString::to_string),
            created_at: at.timestamp_micros(),
        }
    }

    fn read(self) -> Result<Publication, StoreError> {
        let row = Row { table: "program_versions", id: &self.version.to_string() };
        Ok(Publication {
            version: self.version,
            hash: row.hash("hash", self.hash)?,
            origin: row.check("origin", Origin::read(&self.origin, self.restores).ok_or(()))?,
            by: row.parse_opt("published_by", self.published_by.as_deref())?,
            note: row.parse_opt("note", self.note.as_deref())?,
            at: row.time("created_at", self.created_at)?,
        })
    }
}

#[diesel::dsl::auto_type]
fn of_chain<'a>(chain: &'a ChainId) -> _ {
    let chain: &'a str = chain.as_str();
    program_versions::table.filter(program_versions::chain.eq(chain))
}

/// Those that are or were in force for everybody: all but candidates.
#[diesel::dsl::auto_type]
fn for_all<'a>(chain: &'a ChainId) -> _ {
    let (chain, candidate): (&'a str, &'a str) = (chain.as_str(), Origin::Candidate.as_str());
    program_versions::table
        .filter(program_versions::chain.eq(chain))
        .filter(program_versions::origin.ne(candidate))
}

/// Where a chain's program stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The version in force; `None` before the first.
    pub in_force: Option<Publication>,
    /// The candidate beside it.
    pub candidate: Option<RollOut>,
    /// The number that comes next.
    pub next: i64,
}

impl Standing {
    /// Whether a version decides for anybody.
    pub fn decides(&self, version: i64) -> bool {
        let in_force = self.in_force.as_ref().map(|in_force| in_force.version);
        in_force == Some(version) || self.candidate.as_ref().is_some_and(|tried| tried.version == version)
    }
}

/// Where a chain's program stands. Read as of one instant.
pub fn standing(conn: &mut DbConn, chain: &ChainId) -> Result<Standing, StoreError> {
    let newest = of_chain(chain).select(diesel::dsl::max(program_versions::version));
    let newest: Option<i64> = newest.get_result(conn)?;
    let in_force = match before(conn, chain, i64::MAX)? {
        Some(version) => publication(conn, chain, version)?,
        None => None,
    };
    let candidate = roll_out::running(conn, chain)?;
    Ok(Standing { in_force, candidate, next: newest.unwrap_or(0) + 1 })
}

/// The version in force; `None` before the first.
pub fn latest(conn: &mut DbConn, chain: &ChainId) -> Result<Option<StoredProgram>, StoreError> {
    before(conn, chain, i64::MAX)?.map_or(Ok(None), |version| get(conn, chain, version))
}

/// The version that was in force before one of this number came.
pub fn before(conn: &mut DbConn, chain: &ChainId, version: i64) -> Result<Option<i64>, StoreError> {
    let earlier = for_all(chain).filter(program_versions::version.lt(version));
    Ok(earlier.select(diesel::dsl::max(program_versions::version)).get_result(conn)?)
}

/// One version, without its files.
pub fn publication(
    conn: &mut DbConn,
    chain: &ChainId,
    version: i64,
) -> Result<Option<Publication>, StoreError> {
    let found = of_chain(chain).filter(program_versions::version.eq(version));
    let row = found.select(PublicationRow::as_select()).get_result(conn).optional()?;
    row.map(PublicationRow::read).transpose()
}

/// One version.
pub fn get(conn: &mut DbConn, chain: &ChainId, version: i64) -> Result<Option<StoredProgram>, StoreError> {
    let found = program_versions::table
        .find((chain.as_str(), version))
        .select((PublicationRow::as_select(), program_versions::files))
        .get_result::<(PublicationRow, String)>(conn)
        .optional()?;
    let Some((row, files_json)) = found else { return Ok(None) };
    Ok(Some(StoredProgram { publication: row.read()?, files_json }))
}

/// The hash of the files that the chain's folder had when they were last put in force, or were in force already.
pub fn folder_taken_over(conn: &mut DbConn, chain: &ChainId) -> Result<Option<[u8; 32]>, StoreError> {
    let of_chain = chains::table.find(chain.as_str()).select(chains::folder_hash);
    let found: Option<Option<Vec<u8>>> = of_chain.get_result(conn).optional()?;
    let row = Row { table: "chains", id: chain.as_str() };
    found.flatten().map(|hash| row.hash("folder_hash", hash)).transpose()
}

/// Notes that what the folder says is in force.
pub fn take_over_folder(conn: &mut DbConn, chain: &ChainId, hash: [u8; 32]) -> Result<(), StoreError> {
    diesel::update(chains::table.find(chain.as_str()))
        .set(chains::folder_hash.eq(hash.to_vec()))
        .execute(conn)?;
    Ok(())
}

/// So many versions older than one, or of all; newest first.
pub fn list(
    conn: &mut DbConn,
    chain: &ChainId,
    older_than: Option<i64>,
    limit: i64,
) -> Result<Vec<Publication>, StoreError> {
    let rows = of_chain(chain)
        .filter(program_versions::version.lt(older_than.unwrap_or(i64::MAX)))
        .select(PublicationRow::as_select())
        .order(program_versions::version.desc())
        .limit(limit)
        .load(conn)?;
    rows.into_iter().map(PublicationRow::read).collect()
}

/// The number of the version in force of every chain that has one.
pub fn newest(conn: &mut DbConn) -> Result<Vec<(String, i64)>, StoreError> {
    let newest = program_versions::table
        .filter(program_versions::origin.ne(Origin::Candidate.as_str()))
        .group_by(program_versions::chain)
        .select((program_versions::chain, diesel::dsl::max(program_versions::version).assume_not_null()));
    Ok(newest.load(conn)?)
}

/// Publishes a version; [`StoreError::Taken`] when its number is in use.
pub fn insert(
    conn: &mut DbConn,
    chain: &ChainId,
    publication: &Publication,
    files_json: &str,
) -> Result<(), StoreError> {
    let row = PublicationRow::of(chain, publication);
    diesel::insert_into(program_versions::table)
        .values((row, program_versions::files.eq(files_json)))
        .execute(conn)
        .map_err(|e| StoreError::taken(e, "program version", format!("{chain} {}", publication.version)))?;
    Ok(())
}
