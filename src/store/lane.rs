//! Lanes: deliveries of one endpoint that leave one after the other.
//!
//! Of what is owed in a lane, the delivery with the smallest number is the head. Only the head is due, the others wait: so
//! whatever is due may be sent without asking. Who makes deliveries, settles one, or has one sent again, holds the endpoint's
//! sequence, and sees to it that the head is due before the transaction ends.

use std::collections::BTreeMap;

use diesel::dsl::{count_star, exists, min, sql};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text};

use super::attempt::{self, AttemptChange};
use super::batch::ROWS_PER_STATEMENT;
use super::connection::{DbConn, on_backend};
use super::delivery::{self, DeliveryRow, StoredDelivery, with_event};
use super::error::StoreError;
use super::fixed::fixed;
use super::row::Row;
use super::schema::{deliveries, loyalty_events};
use super::sequence::{self, Held, Place};
use super::word::Word;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::endpoint::Lane;
use crate::domain::ids::EndpointId;

/// The lane of everything to one endpoint; others are named after their member.
const ALL: &str = "*";
/// Lanes that one call of [`stuck`] looks at.
const LANES_AT_ONCE: i64 = 1_000;

/// The head of a lane.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneHead {
    /// What kind of lane it is.
    pub lane: Lane,
    /// What the others wait for.
    pub delivery: StoredDelivery,
    /// Since when it is the head.
    pub since: Timestamp,
    /// How many wait.
    pub behind: u64,
}

/// The lane that a delivery about this member is in.
pub(super) fn of(lane: Lane, member: Option<&Word>) -> Option<Word> {
    match lane {
        Lane::None => None,
        Lane::Member => member.cloned(),
        Lane::Endpoint => Some(ALL.into()),
    }
}

/// What is owed in one lane.
macro_rules! owed_in {
    ($place:expr, $lane:expr) => {
        deliveries::table
            .filter(deliveries::chain.eq($place.0))
            .filter(deliveries::endpoint.eq($place.1))
            .filter(deliveries::lane.eq($lane))
            .filter(deliveries::settled_at.is_null())
    };
}

/// Writes new deliveries, in the order of their commits, and attempts, in that of their keys. Then what was settled makes room
/// for what is behind it.
pub(super) fn write(
    conn: &mut DbConn,
    new: &[&DeliveryRow],
    attempts: &[&AttemptChange],
) -> Result<(), StoreError> {
    let mut wanted = BTreeMap::new();
    new.iter().for_each(|row| *wanted.entry(row.place()).or_insert(0) += 1);
    // All of them, though only what is settled has others move on: whoever changes what is in a lane holds its sequence.
    attempts.iter().for_each(|change| {
        let (chain, endpoint, _) = change.key();
        wanted.entry((chain, endpoint)).or_insert(0);
    });
    let held = sequence::take(conn, wanted)?;
    let rows = numbered(new, &held)?;
    delivery::insert_numbered(conn, &rows.iter().collect::<Vec<_>>())?;
    attempt::write(conn, attempts)?;

    let mut heads = Heads::default();
    for row in new {
        let lane = held.get(&row.place()).and_then(|held| of(held.lane, row.member.as_ref()));
        let ready_at = row.ready_at.unwrap_or(row.created_at);
        lane.into_iter().for_each(|lane| heads.look(row.place(), &held, (*lane).to_owned(), ready_at));
    }
    for (lane, settles) in settled_lanes(conn, attempts, &held)? {
        heads.look(settles.place, &held, lane, settles.at);
    }
    Ok(heads.make_due(conn)?)
}

/// The rows in the order in which they are written, with their numbers.
fn numbered<'a>(
    new: &[&'a DeliveryRow],
    held: &BTreeMap<Place<'a>, Held>,
) -> Result<Vec<DeliveryRow>, StoreError> {
    let mut held = held.clone();
    let from_the_last = new.iter().rev().map(|row| {
        let sequence = held.get_mut(&row.place()).ok_or_else(|| sequence::not_held(row.place()))?;
        let number = sequence.last;
        sequence.last -= 1;
        Ok(row.numbered(number, of(sequence.lane, row.member.as_ref())))
    });
    let mut rows = from_the_last.collect::<Result<Vec<_>, StoreError>>()?;
    rows.sort_unstable_by(|one, other| one.key().cmp(&other.key()));
    Ok(rows)
}

/// The lanes of what these attempts settled.
fn settled_lanes<'a>(
    conn: &mut DbConn,
    attempts: &[&'a AttemptChange],
    held: &BTreeMap<Place<'a>, Held>,
) -> Result<Vec<(String, attempt::Settles<'a>)>, StoreError> {
    let mut lanes = Vec::new();
    for (place, _) in held.iter().filter(|(_, held)| held.has_lanes()) {
        let settled = attempts.iter().filter_map(|change| change.settles());
        let settled: BTreeMap<_, _> =
            settled.filter(|of| of.place == *place).map(|of| (of.delivery, of)).collect();
        let found: Vec<(String, Option<String>)> = deliveries::table
            .filter(deliveries::chain.eq(place.0))
            .filter(deliveries::endpoint.eq(place.1))
            .filter(deliveries::id.eq_any(settled.keys().copied().collect::<Vec<_>>()))
            .select((deliveries::id, deliveries::lane))
            .load(conn)?;
        lanes.extend(found.into_iter().filter_map(|(id, lane)| Some((lane?, *settled.get(&*id)?))));
    }
    Ok(lanes)
}

/// Lanes whose heads are to be due.
#[derive(Default)]
struct Heads<'a>(BTreeMap<(Place<'a>, String), Head>);

struct Head {
    /// Only up to this number does anything go by the lanes.
    laned: i64,
    /// Since when the head is the head, if it is not due yet.
    at: i64,
}

impl<'a> Heads<'a> {
    fn look(&mut self, place: Place<'a>, held: &BTreeMap<Place<'_>, Held>, lane: String, at: i64) {
        let Some(laned) = held.get(&place).map(Held::laned) else { return };
        let head = self.0.entry((place, lane)).or_insert(Head { laned, at });
        head.at = head.at.max(at);
    }

    /// A head that is due already is left alone. Others have been due since they were made, so what is the oldest still leaves
    /// first; but what is sent again or late is due from now on.
    fn make_due(&self, conn: &mut DbConn) -> QueryResult<()> {
        match conn {
            DbConn::Sqlite(c) => self.0.iter().try_for_each(|((place, lane), head)| {
                let query = diesel::sql_query(
                    "UPDATE deliveries SET status = 'pending', ready_at = $1, \
                     due_at = CASE WHEN mark IS NULL THEN created_at ELSE $1 END \
                     WHERE chain = $2 AND endpoint = $3 AND status = 'waiting' AND seq = (
                        SELECT min(owed.seq) FROM deliveries AS owed \
                        WHERE owed.chain = $2 AND owed.endpoint = $3 AND owed.lane = $4 \
                        AND owed.settled_at IS NULL AND owed.seq <= $5)",
                );
                let query =
                    query.bind::<BigInt, _>(head.at).bind::<Text, _>(place.0).bind::<Text, _>(place.1);
                fixed!(query.bind::<Text, _>(lane).bind::<BigInt, _>(head.laned)).run(c)
            }),
            DbConn::Postgres(c) => {
                let all: Vec<_> = self.0.iter().collect();
                all.chunks(ROWS_PER_STATEMENT).try_for_each(|some| make_due(c, some))
            }
        }
    }
}

/// One for each lane, whatever else the planner thinks of: the lateral join says how.
fn make_due(conn: &mut PgConnection, heads: &[(&(Place<'_>, String), &Head)]) -> QueryResult<()> {
    let keys = || heads.iter().map(|(key, _)| *key);
    let chains: Vec<_> = keys().map(|((chain, _), _)| *chain).collect();
    let endpoints: Vec<_> = keys().map(|((_, endpoint), _)| *endpoint).collect();
    let lanes: Vec<_> = keys().map(|(_, lane)| &**lane).collect();
    let (since, laned): (Vec<_>, Vec<_>) = heads.iter().map(|(_, head)| (head.at, head.laned)).unzip();
    diesel::sql_query(
        "UPDATE deliveries SET status = 'pending', ready_at = lanes.since, \
            due_at = CASE WHEN mark IS NULL THEN created_at ELSE lanes.since END \
         FROM unnest($1, $2, $3, $4, $5) AS lanes(since, chain, endpoint, lane, laned), LATERAL (
            SELECT owed.id, owed.status FROM deliveries AS owed \
            WHERE owed.chain = lanes.chain AND owed.endpoint = lanes.endpoint AND owed.lane = lanes.lane \
            AND owed.settled_at IS NULL AND owed.seq <= lanes.laned ORDER BY owed.seq LIMIT 1) AS head \
         WHERE head.status = 'waiting' AND deliveries.chain = lanes.chain \
         AND deliveries.endpoint = lanes.endpoint AND deliveries.id = head.id",
    )
    .bind::<Array<BigInt>, _>(since)
    .bind::<Array<Text>, _>(chains)
    .bind::<Array<Text>, _>(endpoints)
    .bind::<Array<Text>, _>(lanes)
    .bind::<Array<BigInt>, _>(laned)
    .execute(conn)
    .map(drop)
}

/// What was in a lane is settled: the next one is due. Callers hold the sequence.
pub(super) fn move_on(
    conn: &mut DbConn,
    place: Place<'_>,
    held: Held,
    lane: Option<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut heads = Heads::default();
    let held = BTreeMap::from([(place, held)]);
    lane.into_iter().for_each(|lane| heads.look(place, &held, lane, now.timestamp_micros()));
    Ok(heads.make_due(conn)?)
}

/// Whether anything before this number is owed in its lane.
pub(super) fn is_behind(
    conn: &mut DbConn,
    place: Place<'_>,
    lane: &str,
    seq: i64,
) -> Result<bool, StoreError> {
    let before = owed_in!(place, lane).filter(deliveries::seq.lt(seq)).select(deliveries::seq);
    Ok(diesel::select(exists(before)).get_result(conn)?)
}

/// Has what is due behind this number wait: that can only be the next one of its lane.
pub(super) fn hold_back(conn: &mut DbConn, place: Place<'_>, lane: &str, seq: i64) -> Result<(), StoreError> {
    let behind = owed_in!(place, lane).filter(deliveries::seq.gt(seq));
    let next: Option<i64> = behind.select(min(deliveries::seq)).get_result(conn)?;
    let Some(next) = next else { return Ok(()) };
    diesel::update(
        owed_in!(place, lane).filter(deliveries::seq.eq(next)).filter(deliveries::due_at.is_not_null()),
    )
    .set((
        deliveries::status.eq(DeliveryStatus::Waiting.as_str()),
        deliveries::ready_at.eq(None::<i64>),
        deliveries::due_at.eq(None::<i64>),
    ))
    .execute(conn)?;
    Ok(())
}

/// Has some more of what an endpoint is owed go by its lanes, from the oldest on, after it was changed which they are.
/// Answers whether there may be more. Whatever has its turn already keeps its order; the rest waits as it did, and what is
/// made meanwhile waits for its turn.
pub fn relane(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    now: Timestamp,
    at_once: i64,
) -> Result<bool, StoreError> {
    let id = endpoint.to_string();
    let (chain, place) = (chain.as_str(), (chain.as_str(), &*id));
    let held = sequence::hold(conn, place)?;
    let Some(from) = held.laned_to else { return Ok(false) };
    let owed = || {
        deliveries::table
            .filter(deliveries::chain.eq(chain))
            .filter(deliveries::endpoint.eq(&id))
            .filter(deliveries::settled_at.is_null())
            .filter(deliveries::seq.gt(from))
    };
    let numbers: Vec<i64> =
        owed().order(deliveries::seq).limit(at_once).select(deliveries::seq).load(conn)?;
    let Some(to) = numbers.last().copied() else {
        sequence::note_laned(conn, place, None)?;
        return Ok(false);
    };
    if let DbConn::Postgres(c) = conn {
        // Attempts that are just being written end first: they did not know that there are lanes.
        let these = owed().filter(deliveries::seq.le(to)).order(deliveries::id).select(deliveries::id);
        these.for_update().load::<String>(c)?;
    }
    let these = diesel::update(owed().filter(deliveries::seq.le(to)));
    match held.lane {
        Lane::None => these.set(deliveries::lane.eq(None::<String>)).execute(conn),
        Lane::Member => these.set(deliveries::lane.eq(deliveries::member)).execute(conn),
        Lane::Endpoint => these.set(deliveries::lane.eq(ALL)).execute(conn),
    }?;
    sort_out(conn, place, (from, to), now)?;
    sequence::note_laned(conn, place, Some(to))?;
    Ok(true)
}

/// Of the numbers after the first up to the second: has those wait that have others before them, and no others.
fn sort_out(
    conn: &mut DbConn,
    (chain, endpoint): Place<'_>,
    (from, to): (i64, i64),
    now: Timestamp,
) -> QueryResult<()> {
    const BEFORE: &str = "EXISTS (SELECT 1 FROM deliveries AS earlier \
         WHERE earlier.chain = deliveries.chain AND earlier.endpoint = deliveries.endpoint \
         AND earlier.lane = deliveries.lane AND earlier.settled_at IS NULL AND earlier.seq < deliveries.seq)";
    let back = format!(
        "UPDATE deliveries SET status = 'waiting', due_at = NULL, ready_at = NULL \
         WHERE chain = $1 AND endpoint = $2 AND seq > $3 AND seq <= $4 \
         AND settled_at IS NULL AND due_at IS NOT NULL AND {BEFORE}"
    );
    let forth = format!(
        "UPDATE deliveries SET status = 'pending', ready_at = $1, \
         due_at = CASE WHEN mark IS NULL THEN created_at ELSE $1 END \
         WHERE chain = $2 AND endpoint = $3 AND seq > $4 AND seq <= $5 \
         AND settled_at IS NULL AND due_at IS NULL AND NOT {BEFORE}"
    );
    let back = diesel::sql_query(back).bind::<Text, _>(chain).bind::<Text, _>(endpoint);
    let back = back.bind::<BigInt, _>(from).bind::<BigInt, _>(to);
    let forth = diesel::sql_query(forth).bind::<BigInt, _>(now.timestamp_micros()).bind::<Text, _>(chain);
    let forth = forth.bind::<Text, _>(endpoint).bind::<BigInt, _>(from).bind::<BigInt, _>(to);
    on_backend!(conn, |c| {
        back.execute(c)?;
        forth.execute(c)?;
    });
    Ok(())
}

/// Of the next lanes of an endpoint, after the one given: those in which something waits for nothing, and the last one that
/// was looked at, unless it was the last of all. There should be none; see [`sequence`].
pub fn stuck(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    after: Option<&str>,
) -> Result<(Vec<String>, Option<String>), StoreError> {
    let of_endpoint = || {
        deliveries::table
            .filter(deliveries::chain.eq(chain.as_str()))
            .filter(deliveries::endpoint.eq(endpoint.to_string()))
    };
    let heads = heads_after(conn, (chain.as_str(), &endpoint.to_string()), after.unwrap_or_default())?;
    let numbers: Vec<i64> = heads.iter().map(|head| head.seq).collect();
    let stuck: Vec<Option<String>> = of_endpoint()
        .filter(deliveries::seq.eq_any(numbers))
        .filter(deliveries::due_at.is_null())
        .filter(deliveries::settled_at.is_null())
        .select(deliveries::lane)
        .load(conn)?;
    let is_full = heads.len() as i64 == LANES_AT_ONCE;
    let last = heads.into_iter().next_back().map(|head| head.lane).filter(|_| is_full);
    Ok((stuck.into_iter().flatten().collect(), last))
}

/// A lane, and the first number that is owed in it.
#[derive(QueryableByName)]
struct FirstOf {
    #[diesel(sql_type = Text)]
    lane: String,
    #[diesel(sql_type = BigInt)]
    seq: i64,
}

/// The next lanes in which something is owed. From one to the next by the index: all that is owed may be in one of them.
fn heads_after(
    conn: &mut DbConn,
    (chain, endpoint): Place<'_>,
    after: &str,
) -> Result<Vec<FirstOf>, StoreError> {
    let query = diesel::sql_query(
        "WITH RECURSIVE lanes(lane) AS ( \
            SELECT min(lane) FROM deliveries \
            WHERE chain = $1 AND endpoint = $2 AND lane > $3 AND settled_at IS NULL \
            UNION ALL SELECT ( \
                SELECT min(d.lane) FROM deliveries AS d WHERE d.chain = $1 AND d.endpoint = $2 \
                AND d.lane > lanes.lane AND d.settled_at IS NULL) \
            FROM lanes WHERE lanes.lane IS NOT NULL) \
         SELECT lanes.lane, ( \
            SELECT min(d.seq) FROM deliveries AS d WHERE d.chain = $1 AND d.endpoint = $2 \
            AND d.lane = lanes.lane AND d.settled_at IS NULL) AS seq \
         FROM lanes WHERE lanes.lane IS NOT NULL LIMIT $4",
    )
    .bind::<Text, _>(chain)
    .bind::<Text, _>(endpoint)
    .bind::<Text, _>(after)
    .bind::<BigInt, _>(LANES_AT_ONCE);
    Ok(on_backend!(conn, |c| query.get_results(c))?)
}

/// Makes the heads of these lanes due.
pub fn unstick(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    lanes: Vec<String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let id = endpoint.to_string();
    let place = (chain.as_str(), &*id);
    let held = BTreeMap::from([(place, sequence::hold(conn, place)?)]);
    let mut heads = Heads::default();
    lanes.into_iter().for_each(|lane| heads.look(place, &held, lane, now.timestamp_micros()));
    Ok(heads.make_due(conn)?)
}

/// The heads of an endpoint's lanes with numbers greater than `after`, the oldest first; of only those that failed before, when
/// `blocked` is wanted.
pub fn heads(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    blocked: bool,
    limit: i64,
    after: Option<u64>,
) -> Result<Vec<LaneHead>, StoreError> {
    // The plus keeps both planners from walking the whole log in the order of its numbers.
    let number = || sql::<BigInt>("+deliveries.seq");
    let after = after.map_or(0, |after| i64::try_from(after).unwrap_or(i64::MAX));
    let id = endpoint.to_string();
    let rows: Vec<(DeliveryRow, String)> = with_event!()
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq(&id))
        .filter(deliveries::due_at.ge(i64::MIN)) // not null, and found in the index of what is due
        .filter(deliveries::lane.is_not_null())
        .filter(deliveries::attempts.ge(i64::from(blocked)))
        .filter(number().gt(after))
        .order(number())
        .limit(limit)
        .select((DeliveryRow::as_select(), loyalty_events::kind))
        .load(conn)?;
    let place = (chain.as_str(), &*id);
    rows.into_iter().map(|(row, kind)| head(conn, place, row, &kind)).collect()
}

fn head(conn: &mut DbConn, place: Place<'_>, row: DeliveryRow, kind: &str) -> Result<LaneHead, StoreError> {
    let (lane, since) = (row.lane.clone(), row.ready_at.unwrap_or(row.created_at));
    let delivery = row.read(kind)?;
    let shown = delivery.id.to_string();
    let named = Row { table: "deliveries", id: &shown };
    let behind: i64 = match &lane {
        Some(lane) => owed_in!(place, &**lane).select(count_star()).get_result(conn)?,
        None => 1,
    };
    Ok(LaneHead {
        lane: if lane.is_some_and(|lane| &*lane == ALL) { Lane::Endpoint } else { Lane::Member },
        since: named.time("ready_at", since)?,
        behind: named.number("lane", behind - 1)?,
        delivery,
    })
}
