//! Requests that came with a key, and what was answered to them: sealed, for an answer may show a secret.

use diesel::prelude::*;

use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::idempotent_requests;
use super::vault::Vault;
use crate::domain::Timestamp;
use crate::domain::json::to_json;
use crate::domain::once::{Asked, KEPT, Reply};

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It was answered so.
    Answered(Reply),
    /// Another one came under its key.
    OtherOne,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = idempotent_requests)]
struct RequestRow {
    caller: String,
    key: String,
    fingerprint: Vec<u8>,
    reply: Vec<u8>,
    created_at: i64,
}

impl RequestRow {
    fn of(vault: &Vault, asked: &Asked, reply: &Reply, now: Timestamp) -> Result<Self, StoreError> {
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).map_err(StoreError::Random)?;
        let (caller, key) = (asked.caller.clone(), asked.key.to_string());
        Ok(Self {
            reply: vault.seal(&sealed_for(&caller, &key), &to_json(reply), nonce),
            fingerprint: asked.fingerprint.to_vec(),
            created_at: now.timestamp_micros(),
            caller,
            key,
        })
    }
}

fn sealed_for(caller: &str, key: &str) -> String {
    format!("request {caller}/{key}")
}

/// What is known of a request at `now`.
pub fn find(
    conn: &mut DbConn,
    vault: &Vault,
    asked: &Asked,
    now: Timestamp,
) -> Result<Option<Known>, StoreError> {
    let found: Option<RequestRow> = idempotent_requests::table
        .find((asked.caller.as_str(), asked.key.as_str()))
        .filter(idempotent_requests::created_at.gt((now - KEPT).timestamp_micros()))
        .select(RequestRow::as_select())
        .get_result(conn)
        .optional()?;
    let Some(found) = found else { return Ok(None) };
    if found.fingerprint != asked.fingerprint {
        return Ok(Some(Known::OtherOne));
    }
    let row = Row { table: "idempotent_requests", id: &found.key };
    let reply = vault.open(&sealed_for(&found.caller, &found.key), &found.reply)?;
    // What does not fit is not quoted.
    Ok(Some(Known::Answered(row.check("reply", serde_json::from_str(&reply))?)))
}

/// Keeps what is answered to a request; [`StoreError::Repeated`] when something is kept under its key already.
pub fn insert(
    conn: &mut DbConn,
    vault: &Vault,
    asked: &Asked,
    reply: &Reply,
    now: Timestamp,
) -> Result<(), StoreError> {
    use diesel::result::{DatabaseErrorKind, Error};
    diesel::delete(idempotent_requests::table.find((asked.caller.as_str(), asked.key.as_str())))
        .filter(idempotent_requests::created_at.le((now - KEPT).timestamp_micros()))
        .execute(conn)?;
    let insert =
        diesel::insert_into(idempotent_requests::table).values(RequestRow::of(vault, asked, reply, now)?);
    match insert.execute(conn) {
        Ok(_) => Ok(()),
        Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Err(StoreError::Repeated),
        Err(error) => Err(error.into()),
    }
}

/// Keeps what is answered to a request in the place of what was.
pub fn replace(
    conn: &mut DbConn,
    vault: &Vault,
    asked: &Asked,
    reply: &Reply,
    now: Timestamp,
) -> Result<(), StoreError> {
    diesel::delete(idempotent_requests::table.find((asked.caller.as_str(), asked.key.as_str())))
        .execute(conn)?;
    insert(conn, vault, asked, reply, now)
}

/// Forgets requests that came before an instant or at it, the oldest, `limit` of them at most. Answers how many there were.
pub fn forget(conn: &mut DbConn, instant: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<(String, String)> = idempotent_requests::table
        .filter(idempotent_requests::created_at.le(instant.timestamp_micros()))
        .order(idempotent_requests::created_at)
        .limit(limit)
        .select((idempotent_requests::caller, idempotent_requests::key))
        .load(conn)?;
    for (caller, key) in &old {
        diesel::delete(idempotent_requests::table.find((caller, key))).execute(conn)?;
    }
    Ok(old.len())
}
