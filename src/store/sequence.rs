//! The numbers of an endpoint's deliveries: 1, 2, 3 and so on, in the order of their commits, without a gap.
//!
//! Whoever makes deliveries moves the last number on in the same transaction, so one that is undone takes its numbers back.
//! From there to its end the transaction holds the row. That makes the row the lock of the endpoint's lanes, too: whoever
//! settles what is in a lane holds it, so nobody looks for the head of a lane while somebody else changes it.

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use diesel::upsert::excluded;

use super::batch::ROWS_PER_STATEMENT;
use super::connection::DbConn;
use super::error::StoreError;
use super::fixed::fixed;
use super::row::Row;
use super::schema::endpoint_sequences as sequences;
use crate::domain::chain::ChainId;
use crate::domain::endpoint::{Endpoint, Lane};
use crate::domain::ids::EndpointId;

/// A chain and an endpoint of it: what deliveries are sorted by first.
pub(super) type Place<'a> = (&'a str, &'a str);

/// A sequence that is ours until the transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// The last number, those just taken included.
    pub(super) last: i64,
    /// Which deliveries wait for each other.
    pub(super) lane: Lane,
    /// While that is being changed: the last delivery that goes by it already.
    pub(super) laned_to: Option<i64>,
}

impl Held {
    /// The last delivery that goes by `lane`.
    pub(super) fn laned(&self) -> i64 {
        self.laned_to.unwrap_or(i64::MAX)
    }

    /// Whether any delivery may be in a lane.
    pub(super) const fn has_lanes(&self) -> bool {
        !matches!(self.lane, Lane::None) || self.laned_to.is_some()
    }

    fn read(place: Place<'_>, last: i64, lane: &str, laned_to: Option<i64>) -> Result<Self, StoreError> {
        let row = Row { table: "endpoint_sequences", id: place.1 };
        Ok(Self { last, lane: row.parse("lane", lane)?, laned_to })
    }
}

#[derive(Insertable)]
#[diesel(table_name = sequences, treat_none_as_default_value = false)]
struct SequenceRow<'a> {
    chain: &'a str,
    endpoint: &'a str,
    last_seq: i64,
    lane: &'static str,
    laned_to: Option<i64>,
}

impl<'a> SequenceRow<'a> {
    const fn of((chain, endpoint): Place<'a>, last_seq: i64) -> Self {
        Self { chain, endpoint, last_seq, lane: Lane::None.as_str(), laned_to: None }
    }
}

/// Takes so many numbers for each endpoint, in the order of their keys, so that no two transactions wait for each other in
/// a circle. Who asks for none wants to know what is in a lane: without lanes, that endpoint is left alone.
pub(super) fn take<'a>(
    conn: &mut DbConn,
    mut wanted: BTreeMap<Place<'a>, i64>,
) -> Result<BTreeMap<Place<'a>, Held>, StoreError> {
    match conn {
        DbConn::Sqlite(c) => {
            wanted.into_iter().map(|(place, count)| Ok((place, take_one(c, place, count)?))).collect()
        }
        DbConn::Postgres(c) => {
            leave_laneless(c, &mut wanted)?;
            take_all(c, &wanted)
        }
    }
}

/// Holds the sequence of one endpoint.
pub(super) fn hold(conn: &mut DbConn, place: Place<'_>) -> Result<Held, StoreError> {
    match conn {
        DbConn::Sqlite(c) => take_one(c, place, 0),
        DbConn::Postgres(c) => {
            take_all(c, &BTreeMap::from([(place, 0)]))?.remove(&place).ok_or_else(|| not_held(place))
        }
    }
}

/// The error when a sequence that was to be taken is not there.
pub(super) fn not_held((_, endpoint): Place<'_>) -> StoreError {
    Row { table: "endpoint_sequences", id: endpoint }.corrupt("it could not be taken")
}

/// The transaction has the whole of SQLite to itself already.
fn take_one(conn: &mut SqliteConnection, place: Place<'_>, count: i64) -> Result<Held, StoreError> {
    let found: Option<(i64, String, Option<i64>)> = sequences::table
        .find(place)
        .select((sequences::last_seq, sequences::lane, sequences::laned_to))
        .get_result(conn)
        .optional()?;
    let held = match &found {
        Some((last, lane, laned_to)) => Held::read(place, last + count, lane, *laned_to)?,
        None => Held { last: count, lane: Lane::None, laned_to: None },
    };
    if count > 0 {
        let upsert = diesel::insert_into(sequences::table)
            .values(SequenceRow::of(place, held.last))
            .on_conflict((sequences::chain, sequences::endpoint))
            .do_update()
            .set(sequences::last_seq.eq(excluded(sequences::last_seq)));
        fixed!(upsert).run(conn)?;
    }
    Ok(held)
}

fn take_all<'a>(
    conn: &mut PgConnection,
    wanted: &BTreeMap<Place<'a>, i64>,
) -> Result<BTreeMap<Place<'a>, Held>, StoreError> {
    type Taken = (String, String, i64, String, Option<i64>);
    let rows: Vec<_> = wanted.iter().map(|(place, count)| SequenceRow::of(*place, *count)).collect();
    let mut taken = HashMap::with_capacity(rows.len());
    for rows in rows.chunks(ROWS_PER_STATEMENT) {
        let some: Vec<Taken> = diesel::insert_into(sequences::table)
            .values(rows)
            .on_conflict((sequences::chain, sequences::endpoint))
            .do_update()
            .set(sequences::last_seq.eq(sequences::last_seq + excluded(sequences::last_seq)))
            .returning(sequences::all_columns)
            .get_results(conn)?;
        taken.extend(
            some.into_iter().map(|(chain, endpoint, last, lane, to)| ((chain, endpoint), (last, lane, to))),
        );
    }
    let held = wanted.keys().map(|&place| {
        let found = taken.remove(&(place.0.to_owned(), place.1.to_owned()));
        let (last, lane, laned_to) = found.ok_or_else(|| not_held(place))?;
        Ok((place, Held::read(place, last, &lane, laned_to)?))
    });
    held.collect()
}

/// Takes out those who want no numbers and have no lanes: holding their row would make all who tell them something wait.
/// Lanes that begin at this moment are seen too late here; [`lane::stuck`](super::lane::stuck) finds what that leaves behind.
fn leave_laneless(conn: &mut PgConnection, wanted: &mut BTreeMap<Place<'_>, i64>) -> Result<(), StoreError> {
    let (chains, endpoints): (Vec<_>, Vec<_>) =
        wanted.iter().filter(|(_, count)| **count == 0).map(|(place, _)| *place).unzip();
    if chains.is_empty() {
        return Ok(());
    }
    let laned: Vec<(String, String)> = sequences::table
        .filter(sequences::chain.eq_any(chains))
        .filter(sequences::endpoint.eq_any(endpoints))
        .filter(sequences::lane.ne(Lane::None.as_str()).or(sequences::laned_to.is_not_null()))
        .select((sequences::chain, sequences::endpoint))
        .load(conn)?;
    let has_lanes =
        |place: &Place<'_>| laned.iter().any(|(chain, endpoint)| *place == (&**chain, &**endpoint));
    wanted.retain(|place, count| *count > 0 || has_lanes(place));
    Ok(())
}

/// Begins the sequence of a new endpoint.
pub(super) fn begin(conn: &mut DbConn, endpoint: &Endpoint) -> Result<(), StoreError> {
    diesel::insert_into(sequences::table)
        .values((
            sequences::chain.eq(endpoint.chain.as_str()),
            sequences::endpoint.eq(endpoint.id.to_string()),
            sequences::last_seq.eq(0),
            sequences::lane.eq(endpoint.settings.lane.as_str()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Has other deliveries of an endpoint wait for each other from now on; [`lane::relane`](super::lane::relane) does the same
/// to those that are owed already.
pub(super) fn change_lane(conn: &mut DbConn, endpoint: &Endpoint) -> Result<(), StoreError> {
    let lane = endpoint.settings.lane.as_str();
    diesel::update(sequences::table.find((endpoint.chain.as_str(), endpoint.id.to_string())))
        .filter(sequences::lane.ne(lane))
        .set((sequences::lane.eq(lane), sequences::laned_to.eq(Some(0))))
        .execute(conn)?;
    Ok(())
}

/// Notes how far a change of lanes has come; `None` when it is done.
pub(super) fn note_laned(
    conn: &mut DbConn,
    (chain, endpoint): Place<'_>,
    laned_to: Option<i64>,
) -> Result<(), StoreError> {
    diesel::update(sequences::table.find((chain, endpoint)))
        .set(sequences::laned_to.eq(laned_to))
        .execute(conn)?;
    Ok(())
}

/// The endpoints of a chain whose change of lanes is not done.
pub fn half_laned(conn: &mut DbConn, chain: &ChainId) -> Result<Vec<EndpointId>, StoreError> {
    let ids: Vec<String> = sequences::table
        .filter(sequences::chain.eq(chain.as_str()))
        .filter(sequences::laned_to.is_not_null())
        .select(sequences::endpoint)
        .load(conn)?;
    ids.iter().map(|id| Row { table: "endpoint_sequences", id }.parse("endpoint", id)).collect()
}

/// The last number of an endpoint; 0 before its first delivery.
pub fn last(conn: &mut DbConn, chain: &ChainId, endpoint: EndpointId) -> Result<u64, StoreError> {
    let id = endpoint.to_string();
    let last: Option<i64> = sequences::table
        .find((chain.as_str(), &id))
        .select(sequences::last_seq)
        .get_result(conn)
        .optional()?;
    Row { table: "endpoint_sequences", id: &id }.number("last_seq", last.unwrap_or_default())
}
