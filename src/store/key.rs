//! API keys. Only hashes are kept: a copy of the database opens nothing.

use diesel::prelude::*;

use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::api_keys;
use crate::domain::Timestamp;
use crate::domain::api_key::{ApiKey, KeyHash};
use crate::domain::ids::KeyId;
use crate::domain::text::Name;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys, treat_none_as_default_value = false)]
struct KeyRow {
    id: String,
    hash: Vec<u8>,
    role: String,
    chain: Option<String>,
    name: String,
    created_at: i64,
    revoked_at: Option<i64>,
}

impl KeyRow {
    fn of(key: &ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            hash: key.hash.0.to_vec(),
            role: key.role.as_str().to_owned(),
            chain: key.chain.as_ref().map(ToString::to_string),
            name: key.name.as_deref().unwrap_or_default().to_owned(),
            created_at: key.created_at.timestamp_micros(),
            revoked_at: key.revoked_at.map(|at| at.timestamp_micros()),
        }
    }

    fn read(self) -> Result<ApiKey, StoreError> {
        let row = Row { table: "api_keys", id: &self.id };
        Ok(ApiKey {
            id: row.parse("id", &self.id)?,
            hash: KeyHash(row.hash("hash", self.hash)?),
            chain: row.parse_opt("chain", self.chain.as_deref())?,
            created_at: row.time("created_at", self.created_at)?,
            revoked_at: row.time_opt("revoked_at", self.revoked_at)?,
            role: row.parse("role", &self.role)?,
            name: Name::parse(&self.name).ok(), // empty: it has none
        })
    }
}

/// Stores a new key.
pub fn insert(conn: &mut DbConn, key: &ApiKey) -> Result<(), StoreError> {
    diesel::insert_into(api_keys::table)
        .values(KeyRow::of(key))
        .execute(conn)
        .map_err(|e| StoreError::taken(e, "key", key.id))?;
    Ok(())
}

/// All keys, revoked ones too, oldest first.
pub fn list(conn: &mut DbConn) -> Result<Vec<ApiKey>, StoreError> {
    let rows = api_keys::table.select(KeyRow::as_select()).order(api_keys::id).load(conn)?;
    rows.into_iter().map(KeyRow::read).collect()
}

/// Makes a key useless from now on; one that is already keeps its date. Answers it as it is then.
pub fn revoke(conn: &mut DbConn, id: KeyId, now: Timestamp) -> Result<Option<ApiKey>, StoreError> {
    diesel::update(api_keys::table.find(id.to_string()))
        .filter(api_keys::revoked_at.is_null())
        .set(api_keys::revoked_at.eq(now.timestamp_micros()))
        .execute(conn)?;
    let row = api_keys::table.find(id.to_string()).select(KeyRow::as_select()).get_result(conn).optional()?;
    row.map(KeyRow::read).transpose()
}

/// The key with this hash, revoked or not.
pub fn find_by_hash(conn: &mut DbConn, hash: &KeyHash) -> Result<Option<ApiKey>, StoreError> {
    let row = api_keys::table
        .filter(api_keys::hash.eq(hash.0.as_slice()))
        .select(KeyRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(KeyRow::read).transpose()
}
