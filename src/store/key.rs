//! API keys and their texts. Only hashes of texts are kept: a copy of the database opens nothing.

use std::time::Duration;

use diesel::prelude::*;

use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::{api_key_texts as texts, api_keys};
use crate::domain::Timestamp;
use crate::domain::api_key::{ApiKey, Dead, FoundKey, KeyHash, MOST_TEXTS, Unchanged, WayIn};
use crate::domain::chain::ChainId;
use crate::domain::ids::KeyId;
use crate::domain::role::Role;
use crate::domain::text::Name;

/// What became of a key that was to be changed.
pub type Changed = Result<ApiKey, Unchanged>;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = api_keys, treat_none_as_default_value = false)]
struct KeyRow {
    id: String,
    role: String,
    chain: Option<String>,
    name: String,
    created_at: i64,
    created_by: String,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
    requests_per_minute: Option<i64>,
}

impl KeyRow {
    fn of(key: &ApiKey) -> Self {
        let micros = |at: Timestamp| at.timestamp_micros();
        Self {
            id: key.id.to_string(),
            role: key.role.as_str().to_owned(),
            chain: key.chain.as_ref().map(ToString::to_string),
            name: key.name.as_deref().unwrap_or_default().to_owned(),
            created_at: micros(key.created_at),
            created_by: key.created_by.as_str().to_owned(),
            expires_at: key.expires_at.map(micros),
            revoked_at: key.revoked_at.map(micros),
            last_used_at: key.last_used_at.map(micros),
            requests_per_minute: key.requests_per_minute.map(|limit| limit.get().into()),
        }
    }

    fn read(self) -> Result<ApiKey, StoreError> {
        let row = Row { table: "api_keys", id: &self.id };
        let limit = self.requests_per_minute.map(|limit| row.number::<u32>("requests_per_minute", limit));
        let limit = limit.transpose()?.map(|limit| row.check("requests_per_minute", limit.try_into()));
        Ok(ApiKey {
            id: row.parse("id", &self.id)?,
            role: row.parse("role", &self.role)?,
            chain: row.parse_opt("chain", self.chain.as_deref())?,
            name: Name::parse(&self.name).ok(), // empty: it has none
            created_at: row.time("created_at", self.created_at)?,
            created_by: row.parse("created_by", &self.created_by)?,
            expires_at: row.time_opt("expires_at", self.expires_at)?,
            revoked_at: row.time_opt("revoked_at", self.revoked_at)?,
            last_used_at: row.time_opt("last_used_at", self.last_used_at)?,
            requests_per_minute: limit.transpose()?,
        })
    }
}

/// Stores a new key and the hash of its first text.
pub fn insert(conn: &mut DbConn, key: &ApiKey, hash: &KeyHash) -> Result<(), StoreError> {
    diesel::insert_into(api_keys::table)
        .values(KeyRow::of(key))
        .execute(conn)
        .map_err(|e| StoreError::taken(e, "key", key.id))?;
    insert_text(conn, &key.id.to_string(), hash)
}

fn insert_text(conn: &mut DbConn, key: &str, hash: &KeyHash) -> Result<(), StoreError> {
    diesel::insert_into(texts::table)
        .values((texts::hash.eq(hash.0.as_slice()), texts::key.eq(key), texts::until.eq(None::<i64>)))
        .execute(conn)
        .map_err(|e| StoreError::taken(e, "text of the key", key))?;
    Ok(())
}

/// Whether there is any key, be it a revoked one.
pub fn any(conn: &mut DbConn) -> Result<bool, StoreError> {
    let first: Option<String> = api_keys::table.select(api_keys::id).limit(1).get_result(conn).optional()?;
    Ok(first.is_some())
}

/// A page of the keys of a chain, or of all keys, behind the key `after`; revoked ones too, newest first.
pub fn list(
    conn: &mut DbConn,
    chain: Option<&ChainId>,
    limit: i64,
    after: Option<KeyId>,
) -> Result<Vec<ApiKey>, StoreError> {
    let mut page = api_keys::table.select(KeyRow::as_select()).into_boxed();
    if let Some(chain) = chain {
        page = page.filter(api_keys::chain.eq(chain.as_str()));
    }
    if let Some(after) = after {
        page = page.filter(api_keys::id.lt(after.to_string()));
    }
    let rows = page.order(api_keys::id.desc()).limit(limit).load(conn)?;
    rows.into_iter().map(KeyRow::read).collect()
}

/// The key with this id, whether it works or not.
pub fn get(conn: &mut DbConn, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    find(conn, None, id)
}

/// The same; with a chain, if it is for that one.
pub fn find(conn: &mut DbConn, chain: Option<&ChainId>, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    let mut key = api_keys::table.find(id.to_string()).select(KeyRow::as_select()).into_boxed();
    if let Some(chain) = chain {
        key = key.filter(api_keys::chain.eq(chain.as_str()));
    }
    key.get_result(conn).optional()?.map(KeyRow::read).transpose()
}

/// The key that has a text with this hash, whether it works or not.
pub fn find_by_hash(conn: &mut DbConn, hash: &KeyHash) -> Result<Option<FoundKey>, StoreError> {
    let row: Option<(KeyRow, Option<i64>)> = texts::table
        .inner_join(api_keys::table.on(api_keys::id.eq(texts::key)))
        .filter(texts::hash.eq(hash.0.as_slice()))
        .select((KeyRow::as_select(), texts::until))
        .get_result(conn)
        .optional()?;
    let Some((row, until)) = row else { return Ok(None) };
    let key = row.read()?;
    let id = key.id.to_string();
    let text_until = Row { table: "api_key_texts", id: &id }.time_opt("until", until)?;
    Ok(Some(FoundKey { key, text_until }))
}

/// Makes of a key what `change` makes of it, if it can. With [`WayIn::MustStay`], the key that others get in by is not ended
/// before there is another one ([`ApiKey::to_be_followed_until`]); two nodes that each end one at the same instant are not held against each other.
pub fn change(
    conn: &mut DbConn,
    id: KeyId,
    way_in: WayIn,
    change: impl FnOnce(&mut ApiKey) -> Result<(), Dead>,
) -> Result<Changed, StoreError> {
    let Some(before) = get_held(conn, id)? else { return Ok(Err(Unchanged::Unknown)) };
    let mut after = before.clone();
    if let Err(dead) = change(&mut after) {
        return Ok(Err(Unchanged::Dead(dead)));
    }
    if way_in == WayIn::MustStay
        && let Some(until) = before.to_be_followed_until(&after)
        && !another_leads_in_until(conn, id, until)?
    {
        return Ok(Err(Unchanged::LastAdmin));
    }
    let KeyRow { name, expires_at, revoked_at, requests_per_minute, .. } = KeyRow::of(&after);
    diesel::update(api_keys::table.find(id.to_string()))
        .set((
            api_keys::name.eq(name),
            api_keys::expires_at.eq(expires_at),
            api_keys::revoked_at.eq(revoked_at),
            api_keys::requests_per_minute.eq(requests_per_minute),
        ))
        .execute(conn)?;
    Ok(Ok(after))
}

/// Makes a key useless from now on; one that is already keeps its date.
pub fn revoke(conn: &mut DbConn, id: KeyId, now: Timestamp, way_in: WayIn) -> Result<Changed, StoreError> {
    change(conn, id, way_in, |key| {
        key.revoked_at.get_or_insert(now);
        Ok(())
    })
}

/// Gives a key that works another text. Those that work now do so for `overlap`, and without any they are forgotten: no
/// clock of another node lets them live on.
pub fn rotate(
    conn: &mut DbConn,
    id: KeyId,
    hash: &KeyHash,
    now: Timestamp,
    overlap: Duration,
) -> Result<Changed, StoreError> {
    let Some(key) = get_held(conn, id)? else { return Ok(Err(Unchanged::Unknown)) };
    if let Err(dead) = key.check(now) {
        return Ok(Err(Unchanged::Dead(dead)));
    }
    let id = id.to_string();
    if overlap.is_zero() {
        diesel::delete(texts::table.filter(texts::key.eq(&id))).execute(conn)?;
    } else {
        let over = texts::table.filter(texts::key.eq(&id)).filter(texts::until.le(now.timestamp_micros()));
        diesel::delete(over).execute(conn)?;
        let live: i64 = texts::table.filter(texts::key.eq(&id)).count().get_result(conn)?;
        if live >= MOST_TEXTS as i64 {
            return Ok(Err(Unchanged::TooManyTexts));
        }
        let until = (now + overlap).timestamp_micros();
        let later = texts::until.is_null().or(texts::until.gt(until));
        diesel::update(texts::table.filter(texts::key.eq(&id)).filter(later))
            .set(texts::until.eq(until))
            .execute(conn)?;
    }
    insert_text(conn, &id, hash)?;
    Ok(Ok(key))
}

/// Notes that keys were used in the minute that began at `at`; whoever noted a later one wins.
pub fn note_use(conn: &mut DbConn, keys: &[KeyId], at: Timestamp) -> Result<(), StoreError> {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let at = at.timestamp_micros();
    diesel::update(api_keys::table.filter(api_keys::id.eq_any(keys)))
        .filter(api_keys::last_used_at.is_null().or(api_keys::last_used_at.lt(at)))
        .set(api_keys::last_used_at.eq(at))
        .execute(conn)?;
    Ok(())
}

/// The key with this id, held until the transaction ends: nobody else changes it meanwhile.
fn get_held(conn: &mut DbConn, id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    if let DbConn::Postgres(c) = conn {
        let row = api_keys::table.find(id.to_string()).select(api_keys::id);
        let _: Option<String> = row.for_update().get_result(c).optional()?;
    }
    get(conn, id)
}

/// Whether another key opens all chains to an admin until then.
fn another_leads_in_until(conn: &mut DbConn, id: KeyId, until: Timestamp) -> Result<bool, StoreError> {
    let found: Option<String> = api_keys::table
        .filter(api_keys::chain.is_null())
        .filter(api_keys::id.ne(id.to_string()))
        .filter(api_keys::role.eq(Role::Admin.as_str()))
        .filter(api_keys::revoked_at.is_null())
        .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.ge(until.timestamp_micros())))
        .select(api_keys::id)
        .limit(1)
        .get_result(conn)
        .optional()?;
    Ok(found.is_some())
}
