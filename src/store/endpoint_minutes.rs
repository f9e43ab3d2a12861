//! How attempts went, counted in the transaction that writes them; and how much is owed.

use std::collections::{BTreeMap, HashMap};

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::upsert::excluded;

use super::attempt::AttemptChange;
use super::connection::{DbConn, on_backend};
use super::error::StoreError;
use super::fixed::fixed;
use super::row::Row;
use super::schema::{endpoint_minutes, endpoints};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::health::{Latencies, Minutes, SLOT};
use crate::domain::ids::EndpointId;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = endpoint_minutes)]
struct MinutesRow {
    chain: String,
    endpoint: String,
    slot: i64,
    first_tries: i64,
    retries: i64,
    delivered: i64,
    failed: i64,
    latency: Vec<u8>,
}

/// The key of a row: chain, endpoint, begin of the slot.
type Slot<'a> = (&'a str, &'a str, i64);

impl MinutesRow {
    fn of((chain, endpoint, slot): Slot<'_>, minutes: &Minutes) -> Self {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            chain: chain.to_owned(),
            endpoint: endpoint.to_owned(),
            slot,
            first_tries: count(minutes.first_tries),
            retries: count(minutes.retries),
            delivered: count(minutes.delivered),
            failed: count(minutes.failed),
            latency: minutes.latencies.to_bytes(),
        }
    }

    fn key(&self) -> Slot<'_> {
        (&self.chain, &self.endpoint, self.slot)
    }

    /// What cannot be read counts for nothing: deliveries do not stop for a count.
    fn read(&self) -> Minutes {
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        Minutes {
            first_tries: count(self.first_tries),
            retries: count(self.retries),
            delivered: count(self.delivered),
            failed: count(self.failed),
            latencies: Latencies::of_bytes(&self.latency).unwrap_or_default(),
        }
    }
}

/// Counts attempts beside those that were counted before.
pub(super) fn count(conn: &mut DbConn, attempts: &[&AttemptChange]) -> QueryResult<()> {
    let mut slots: BTreeMap<Slot<'_>, Minutes> = BTreeMap::new();
    for ((chain, endpoint), at, counted) in attempts.iter().filter_map(|attempt| attempt.counted()) {
        let slot = at - at.rem_euclid(SLOT.num_microseconds().unwrap_or(i64::MAX));
        slots.entry((chain, endpoint, slot)).or_default().count(counted);
    }
    match conn {
        _ if slots.is_empty() => Ok(()),
        DbConn::Sqlite(c) => slots.into_iter().try_for_each(|(key, more)| add(c, key, more)),
        DbConn::Postgres(c) => add_all(c, slots),
    }
}

/// Adds to one slot.
fn add(conn: &mut SqliteConnection, key: Slot<'_>, mut minutes: Minutes) -> QueryResult<()> {
    let known: Option<MinutesRow> =
        endpoint_minutes::table.find(key).select(MinutesRow::as_select()).get_result(conn).optional()?;
    known.iter().for_each(|known| minutes.merge(&known.read()));
    let row = MinutesRow::of(key, &minutes);
    fixed!(diesel::replace_into(endpoint_minutes::table).values(&row)).run(conn)
}

/// Adds to many. They are locked between being read and being written, so they must be there before.
fn add_all(conn: &mut PgConnection, slots: BTreeMap<Slot<'_>, Minutes>) -> QueryResult<()> {
    let mut known = locked(conn, &slots)?;
    if slots.keys().any(|key| !known.iter().any(|row| row.key() == *key)) {
        let empty = Minutes::default();
        let rows: Vec<_> = slots.keys().map(|key| MinutesRow::of(*key, &empty)).collect();
        let insert = diesel::insert_into(endpoint_minutes::table).values(&rows);
        insert.on_conflict_do_nothing().execute(conn)?;
        known = locked(conn, &slots)?;
    }
    let known: HashMap<_, _> = known.iter().map(|row| (row.key(), row)).collect();
    let rows = slots.into_iter().map(|(key, mut minutes)| {
        known.get(&key).into_iter().for_each(|known| minutes.merge(&known.read()));
        MinutesRow::of(key, &minutes)
    });
    let rows: Vec<_> = rows.collect();
    diesel::insert_into(endpoint_minutes::table)
        .values(&rows)
        .on_conflict((endpoint_minutes::chain, endpoint_minutes::endpoint, endpoint_minutes::slot))
        .do_update()
        .set((
            endpoint_minutes::first_tries.eq(excluded(endpoint_minutes::first_tries)),
            endpoint_minutes::retries.eq(excluded(endpoint_minutes::retries)),
            endpoint_minutes::delivered.eq(excluded(endpoint_minutes::delivered)),
            endpoint_minutes::failed.eq(excluded(endpoint_minutes::failed)),
            endpoint_minutes::latency.eq(excluded(endpoint_minutes::latency)),
        ))
        .execute(conn)?;
    Ok(())
}

/// The rows of these slots, in order, and perhaps a few more of the same endpoints.
fn locked(conn: &mut PgConnection, slots: &BTreeMap<Slot<'_>, Minutes>) -> QueryResult<Vec<MinutesRow>> {
    endpoint_minutes::table
        .filter(endpoint_minutes::chain.eq_any(slots.keys().map(|(chain, ..)| *chain)))
        .filter(endpoint_minutes::endpoint.eq_any(slots.keys().map(|(_, endpoint, _)| *endpoint)))
        .filter(endpoint_minutes::slot.eq_any(slots.keys().map(|(.., slot)| *slot)))
        .order((endpoint_minutes::chain, endpoint_minutes::endpoint, endpoint_minutes::slot))
        .select(MinutesRow::as_select())
        .for_update()
        .load(conn)
}

/// What was counted of an endpoint in the slots from one on.
pub fn since(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    slot: Timestamp,
) -> Result<Minutes, StoreError> {
    let rows: Vec<MinutesRow> = endpoint_minutes::table
        .filter(endpoint_minutes::chain.eq(chain.as_str()))
        .filter(endpoint_minutes::endpoint.eq(endpoint.to_string()))
        .filter(endpoint_minutes::slot.ge(slot.timestamp_micros()))
        .select(MinutesRow::as_select())
        .load(conn)?;
    let mut minutes = Minutes::default();
    rows.iter().for_each(|row| minutes.merge(&row.read()));
    Ok(minutes)
}

/// Endpoints of a chain, deleted ones too, of which something older is kept.
pub fn older_than(
    conn: &mut DbConn,
    chain: &ChainId,
    slot: Timestamp,
) -> Result<Vec<EndpointId>, StoreError> {
    let old = endpoint_minutes::table
        .filter(endpoint_minutes::chain.eq(endpoints::chain))
        .filter(endpoint_minutes::endpoint.eq(endpoints::id))
        .filter(endpoint_minutes::slot.lt(slot.timestamp_micros()));
    let ids: Vec<String> = endpoints::table
        .filter(endpoints::chain.eq(chain.as_str()))
        .filter(exists(old))
        .select(endpoints::id)
        .load(conn)?;
    ids.iter().map(|id| Row { table: "endpoints", id }.parse("id", id)).collect()
}

/// Forgets what was counted of an endpoint before a slot. No more is kept than of a month.
pub fn forget(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    slot: Timestamp,
) -> Result<(), StoreError> {
    diesel::delete(endpoint_minutes::table)
        .filter(endpoint_minutes::chain.eq(chain.as_str()))
        .filter(endpoint_minutes::endpoint.eq(endpoint.to_string()))
        .filter(endpoint_minutes::slot.lt(slot.timestamp_micros()))
        .execute(conn)?;
    Ok(())
}

/// What an endpoint is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// How many deliveries.
    pub deliveries: u64,
    /// Since when the oldest of them exists.
    pub oldest: Option<Timestamp>,
}

/// What an endpoint is owed. Of more than `most` deliveries, the oldest are looked at.
pub fn owed(conn: &mut DbConn, chain: &ChainId, endpoint: EndpointId, most: u32) -> Result<Owed, StoreError> {
    #[derive(QueryableByName)]
    struct Found {
        #[diesel(sql_type = BigInt)]
        deliveries: i64,
        #[diesel(sql_type = Nullable<BigInt>)]
        oldest: Option<i64>,
    }
    // Diesel has no `FROM (SELECT …)`.
    let query = diesel::sql_query(
        "SELECT count(*) AS deliveries, min(created_at) AS oldest FROM (SELECT created_at FROM deliveries \
         WHERE chain = $1 AND endpoint = $2 AND settled_at IS NULL ORDER BY seq LIMIT $3) AS oldest_owed",
    )
    .bind::<Text, _>(chain.as_str())
    .bind::<Text, _>(endpoint.to_string())
    .bind::<BigInt, _>(i64::from(most));
    let found: Found = on_backend!(conn, |c| query.get_result(c))?;
    let row = Row { table: "deliveries", id: chain.as_str() };
    Ok(Owed {
        deliveries: row.number("count", found.deliveries)?,
        oldest: row.time_opt("created_at", found.oldest)?,
    })
}
