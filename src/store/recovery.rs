//! Recoveries: what is looked at, what became of it, how far they got.

use std::collections::{HashMap, HashSet};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use ulid::Ulid;

use super::connection::DbConn;
use super::delivery::{self, Again, DeliveryRow, DueAgain};
use super::delivery_log::is_given_up;
use super::error::StoreError;
use super::loyalty_event::LATE;
use super::row::Row;
use super::schema::{deliveries, loyalty_events, recoveries};
use super::sequence;
use super::word::Word;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::delivery::{DeliveryStatus, Mark};
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{DeliveryId, EndpointId, EventId, RecoveryId, first_ulid_at};
use crate::domain::json::to_json;
use crate::domain::recovery::{
    Candidate, Counts, Feed, Missed, Page, Past, Period, Position, Progress, Recovery,
};
use crate::domain::text::Name;

/// What is looked at in one page.
const PAGE: usize = 500;
/// Late events are looked up one by one.
const LATE_PAGE: usize = 100;

const RUNNING: &str = "running";
const DONE: &str = "done";
const STOPPED: &str = "stopped";

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = recoveries, treat_none_as_default_value = false)]
struct RecoveryRow {
    chain: String,
    endpoint: String,
    id: String,
    which: String,
    since: i64,
    until: i64,
    state: String,
    position: Option<String>,
    requeued: i64,
    created: i64,
    waiting: i64,
    asked_by: String,
    begun_at: i64,
    ended_at: Option<i64>,
}

impl RecoveryRow {
    fn of(chain: &ChainId, recovery: &Recovery) -> Self {
        let (state, position, ended_at) = match &recovery.progress {
            Progress::Running(position) => (RUNNING, Some(to_json(position)), None),
            Progress::Done(at) => (DONE, None, Some(at.timestamp_micros())),
            Progress::Stopped(at) => (STOPPED, None, Some(at.timestamp_micros())),
        };
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            chain: chain.to_string(),
            endpoint: recovery.endpoint.to_string(),
            id: recovery.id.to_string(),
            which: recovery.which.as_str().to_owned(),
            since: recovery.period.since().timestamp_micros(),
            until: recovery.period.until().timestamp_micros(),
            state: state.to_owned(),
            position,
            requeued: count(recovery.counts.requeued),
            created: count(recovery.counts.created),
            waiting: count(recovery.counts.waiting),
            asked_by: recovery.asked_by.to_string(),
            begun_at: recovery.begun_at.timestamp_micros(),
            ended_at,
        }
    }

    fn read(self) -> Result<Recovery, StoreError> {
        let row = Row { table: "recoveries", id: &self.id };
        let progress = match (&*self.state, &self.position, self.ended_at) {
            (RUNNING, Some(position), None) => Progress::Running(row.json("position", position)?),
            (DONE, None, Some(at)) => Progress::Done(row.time("ended_at", at)?),
            (STOPPED, None, Some(at)) => Progress::Stopped(row.time("ended_at", at)?),
            _ => return Err(row.corrupt("it neither runs nor has ended")),
        };
        let (since, until) = (row.time("since", self.since)?, row.time("until", self.until)?);
        Ok(Recovery {
            id: row.parse("id", &self.id)?,
            endpoint: row.parse("endpoint", &self.endpoint)?,
            which: row.parse("which", &self.which)?,
            period: row.check("until", Period::stored(since, until).ok_or(()))?,
            asked_by: row.check("asked_by", Name::parse(&self.asked_by))?,
            begun_at: row.time("begun_at", self.begun_at)?,
            counts: Counts {
                requeued: row.number("requeued", self.requeued)?,
                created: row.number("created", self.created)?,
                waiting: row.number("waiting", self.waiting)?,
            },
            progress,
        })
    }
}

/// Begins one; [`StoreError::Taken`] while another one of the endpoint runs.
pub fn insert(conn: &mut DbConn, chain: &ChainId, recovery: &Recovery) -> Result<(), StoreError> {
    diesel::insert_into(recoveries::table)
        .values(RecoveryRow::of(chain, recovery))
        .execute(conn)
        .map_err(|e| StoreError::taken(e, "recovery", recovery.endpoint))?;
    Ok(())
}

/// One of an endpoint's.
pub fn get(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    id: RecoveryId,
) -> Result<Option<Recovery>, StoreError> {
    let row = recoveries::table
        .find((chain.as_str(), endpoint.to_string(), id.to_string()))
        .select(RecoveryRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(RecoveryRow::read).transpose()
}

/// An endpoint's, newest first, from before `after`.
pub fn list(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    limit: i64,
    after: Option<RecoveryId>,
) -> Result<Vec<Recovery>, StoreError> {
    let mut query = recoveries::table
        .filter(recoveries::chain.eq(chain.as_str()))
        .filter(recoveries::endpoint.eq(endpoint.to_string()))
        .select(RecoveryRow::as_select())
        .order(recoveries::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(recoveries::id.lt(after.to_string()));
    }
    query.load(conn)?.into_iter().map(RecoveryRow::read).collect()
}

/// Those that run, of all chains.
pub fn running(conn: &mut DbConn) -> Result<Vec<(ChainId, Recovery)>, StoreError> {
    let rows = recoveries::table
        .filter(recoveries::ended_at.is_null())
        .select(RecoveryRow::as_select())
        .order((recoveries::chain, recoveries::endpoint))
        .load(conn)?;
    rows.into_iter()
        .map(|row| {
            let chain = Row { table: "recoveries", id: &row.id }.parse("chain", &row.chain)?;
            Ok((chain, row.read()?))
        })
        .collect()
}

/// Stops the one of an endpoint that runs; with an id, if it is that one.
pub fn stop(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    id: Option<RecoveryId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let running = recoveries::table
        .filter(recoveries::chain.eq(chain.as_str()))
        .filter(recoveries::endpoint.eq(endpoint.to_string()))
        .filter(recoveries::ended_at.is_null());
    let ids: Vec<String> = running.select(recoveries::id).load(conn)?;
    let these = ids.into_iter().filter(|known| id.is_none_or(|id| id.to_string() == *known));
    for known in these {
        diesel::update(recoveries::table.find((chain.as_str(), endpoint.to_string(), known)))
            .filter(recoveries::ended_at.is_null())
            .set((
                recoveries::state.eq(STOPPED),
                recoveries::position.eq(None::<String>),
                recoveries::ended_at.eq(now.timestamp_micros()),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Does what a recovery found, if it still stands where that was found. Answers whether it did: what somebody else fed
/// meanwhile, another node perhaps, is not fed twice.
pub fn feed(
    conn: &mut DbConn,
    chain: &ChainId,
    recovery: &Recovery,
    feed: &Feed,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let Progress::Running(position) = &recovery.progress else { return Ok(false) };
    let key = (chain.as_str(), recovery.endpoint.to_string(), recovery.id.to_string());
    let here = recoveries::table.find(key.clone()).filter(recoveries::position.eq(to_json(position)));
    let here = here.select(recoveries::id);
    let held: Option<String> = match conn {
        DbConn::Sqlite(c) => here.get_result(c).optional()?,
        DbConn::Postgres(c) => here.for_update().get_result(c).optional()?,
    };
    if held.is_none() {
        return Ok(false);
    }
    let again = Again { mark: Mark::Recovery(recovery.id), at: now };
    let reopened = reopen(conn, chain, recovery, &feed.reopen, again)?;
    let made = make_late(conn, chain, recovery.endpoint, &feed.create, again)?;
    let came_to = Counts { requeued: reopened as u64, created: made as u64, waiting: feed.waiting };
    let progress = feed.next.map_or(Progress::Done(now), Progress::Running);
    let after = Recovery { counts: recovery.counts.and(came_to), progress, ..recovery.clone() };
    let RecoveryRow { state, position, requeued, created, waiting, ended_at, .. } =
        RecoveryRow::of(chain, &after);
    diesel::update(recoveries::table.find(key))
        .set((
            recoveries::state.eq(state),
            recoveries::position.eq(position),
            recoveries::requeued.eq(requeued),
            recoveries::created.eq(created),
            recoveries::waiting.eq(waiting),
            recoveries::ended_at.eq(ended_at),
        ))
        .execute(conn)?;
    Ok(true)
}

/// Makes settled deliveries due again, those that are still what the recovery looks for. Answers how many.
fn reopen(
    conn: &mut DbConn,
    chain: &ChainId,
    recovery: &Recovery,
    ids: &[DeliveryId],
    again: Again,
) -> Result<usize, StoreError> {
    let endpoint = recovery.endpoint.to_string();
    let place = (chain.as_str(), &*endpoint);
    let held = sequence::hold(conn, place)?;
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let sought = || {
        deliveries::table
            .filter(deliveries::chain.eq(place.0))
            .filter(deliveries::endpoint.eq(place.1))
            .filter(deliveries::id.eq_any(&ids))
            .filter(deliveries::status.eq_any(recovery.which.reopens().iter().map(|status| status.as_str())))
    };
    // An update locks rows as it comes upon them, attempts lock them in the order of their ids.
    let found = sought().order(deliveries::id).select((deliveries::id, deliveries::seq, deliveries::member));
    let found: Vec<(String, i64, Option<Word>)> = match conn {
        DbConn::Sqlite(c) => found.load(c)?,
        DbConn::Postgres(c) => found.for_update().load(c)?,
    };
    if !held.has_lanes() {
        return Ok(diesel::update(sought()).set(DueAgain::at_once(again)).execute(conn)?);
    }
    for (id, seq, member) in &found {
        delivery::reopen(conn, place, &held, (id, *seq, member.as_ref()), again)?;
    }
    Ok(found.len())
}

/// Makes deliveries of loyalty events that were never owed to an endpoint, numbered in the order of the events; what
/// somebody made meanwhile stays as it is. Answers how many.
fn make_late(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    missed: &[Missed],
    again: Again,
) -> Result<usize, StoreError> {
    let ids = missed.iter().map(|missed| DeliveryId::made_late(endpoint, missed.event).to_string());
    let known: HashSet<String> = deliveries::table
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq(endpoint.to_string()))
        .filter(deliveries::id.eq_any(ids))
        .select(deliveries::id)
        .load::<String>(conn)?
        .into_iter()
        .collect();
    let rows = missed.iter().map(|missed| DeliveryRow::late(chain, endpoint, missed, again));
    let rows: Vec<_> = rows.filter(|row| !known.contains(row.key().2)).collect();
    delivery::insert(conn, &rows.iter().collect::<Vec<_>>())?;
    Ok(rows.len())
}

/// How many of the deliveries that an endpoint has been owed for longest wait behind others of their lanes; `most` stands for
/// that many and more.
pub fn waiting_count(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    most: usize,
) -> Result<usize, StoreError> {
    const LOOKED_AT: i64 = 1_000;
    let due: Vec<Option<i64>> = deliveries::table
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq(endpoint.to_string()))
        .filter(deliveries::settled_at.is_null())
        .order(deliveries::seq)
        .limit(LOOKED_AT)
        .select(deliveries::due_at)
        .load(conn)?;
    Ok(due.iter().filter(|at| at.is_none()).count().min(most))
}

/// How many deliveries of an endpoint are due at `now`; `most` stands for that many and more.
pub fn due_count(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    now: Timestamp,
    most: usize,
) -> Result<usize, StoreError> {
    let due: Vec<String> = deliveries::table
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq(endpoint.to_string()))
        .filter(deliveries::due_at.le(now.timestamp_micros()))
        .order((deliveries::due_at, deliveries::id))
        .limit(i64::try_from(most).unwrap_or(i64::MAX))
        .select(deliveries::id)
        .load(conn)?;
    Ok(due.len())
}

/// What lies at a position of a period, and near it. Reads so many rows, whatever of them is wanted.
pub fn page(
    conn: &mut DbConn,
    endpoint: &Endpoint,
    period: &Period,
    position: Position,
) -> Result<Page, StoreError> {
    match position {
        Position::Failed(after) => failed(conn, endpoint, period, after),
        Position::Events(after) => events(conn, endpoint, period, after),
        Position::LateEvents(after) => late_events(conn, endpoint, period, after),
    }
}

/// The least one of the millisecond after the period: nothing is committed before its id is made.
fn after_all(period: &Period) -> Ulid {
    first_ulid_at(period.until() + chrono::Duration::milliseconds(1))
}

fn failed(
    conn: &mut DbConn,
    endpoint: &Endpoint,
    period: &Period,
    after: Option<DeliveryId>,
) -> Result<Page, StoreError> {
    let from = after.map(|id| id.to_string()).unwrap_or_default();
    let rows: Vec<(String, String, i64)> = deliveries::table
        .filter(deliveries::chain.eq(endpoint.chain.as_str()))
        .filter(deliveries::endpoint.eq(endpoint.id.to_string()))
        .filter(sql::<Bool>(&is_given_up(conn, DeliveryStatus::Failed)))
        .filter(deliveries::id.gt(from))
        .filter(deliveries::id.lt(DeliveryId::new(after_all(period)).to_string()))
        .select((deliveries::id, deliveries::status, deliveries::created_at))
        .order(deliveries::id)
        .limit(PAGE as i64)
        .load(conn)?;
    let full = rows.len() == PAGE;
    let candidates = rows.into_iter().map(|(id, status, at)| {
        let row = Row { table: "deliveries", id: &id };
        let delivery = row.parse("id", &id)?;
        let status = row.parse("status", &status)?;
        Ok(Candidate {
            position: Position::Failed(Some(delivery)),
            at: row.time("created_at", at)?,
            what: Past::Owed { delivery, status },
        })
    });
    let candidates = candidates.collect::<Result<Vec<_>, StoreError>>()?;
    let next = candidates.last().filter(|_| full).map(|last| last.position);
    Ok(Page { candidates, next })
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = loyalty_events)]
struct EventRow {
    id: String,
    kind: String,
    member: Option<String>,
    late_at: Option<i64>,
    body: String,
}

impl EventRow {
    fn id(&self) -> Result<EventId, StoreError> {
        Row { table: "loyalty_events", id: &self.id }.parse("id", &self.id)
    }

    /// When it was committed, as far as its id says.
    fn at(&self) -> Result<Timestamp, StoreError> {
        let row = Row { table: "loyalty_events", id: &self.id };
        let made = self.id()?.ulid().timestamp_ms() as i64;
        row.time("id", self.late_at.unwrap_or(made.saturating_mul(1_000)))
    }

    /// The event at `position`, with the delivery that is known of it.
    fn candidate(self, position: Position, known: Option<&Known>) -> Result<Candidate, StoreError> {
        if let Some(Known { id, status, created_at }) = known {
            let row = Row { table: "deliveries", id };
            let what = Past::Owed { delivery: row.parse("id", id)?, status: row.parse("status", status)? };
            return Ok(Candidate { position, at: row.time("created_at", *created_at)?, what });
        }
        let row = Row { table: "loyalty_events", id: &self.id };
        let (event, at) = (self.id()?, self.at()?);
        let (kind, member) =
            (row.parse("kind", &self.kind)?, row.parse_opt("member", self.member.as_deref())?);
        Ok(Candidate { position, at, what: Past::NeverOwed { event, kind, member, message: self.body } })
    }
}

/// A delivery of an event that is looked at.
struct Known {
    id: String,
    status: String,
    created_at: i64,
}

/// What an endpoint was or is owed of these events, by event.
fn known(
    conn: &mut DbConn,
    endpoint: &Endpoint,
    events: &[EventId],
) -> Result<HashMap<String, Known>, StoreError> {
    type Found = (String, String, String, i64);
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(HashMap::new()) };
    let of_endpoint = || {
        deliveries::table
            .filter(deliveries::chain.eq(endpoint.chain.as_str()))
            .filter(deliveries::endpoint.eq(endpoint.id.to_string()))
            .select((deliveries::event, deliveries::id, deliveries::status, deliveries::created_at))
    };
    let [from, to] = delivery::ids_near(*first, *last);
    let of_commits: Vec<Found> = of_endpoint().filter(deliveries::id.between(from, to)).load(conn)?;
    let late = events.iter().map(|event| DeliveryId::made_late(endpoint.id, *event).to_string());
    let made_late: Vec<Found> = of_endpoint().filter(deliveries::id.eq_any(late)).load(conn)?;
    let found = of_commits.into_iter().chain(made_late);
    Ok(found.map(|(event, id, status, created_at)| (event, Known { id, status, created_at })).collect())
}

fn events(
    conn: &mut DbConn,
    endpoint: &Endpoint,
    period: &Period,
    after: Option<EventId>,
) -> Result<Page, StoreError> {
    // Right before the first that may have been committed in the period.
    let since = period.since().checked_sub_signed(LATE).unwrap_or_default();
    let before = || EventId::new(Ulid(first_ulid_at(since).0.saturating_sub(1)));
    let rows: Vec<EventRow> = loyalty_events::table
        .filter(loyalty_events::chain.eq(endpoint.chain.as_str()))
        .filter(loyalty_events::id.gt(after.unwrap_or_else(before).to_string()))
        .filter(loyalty_events::id.lt(EventId::new(after_all(period)).to_string()))
        .select(EventRow::as_select())
        .order(loyalty_events::id)
        .limit(PAGE as i64)
        .load(conn)?;
    let ids = rows.iter().map(EventRow::id).collect::<Result<Vec<_>, _>>()?;
    let next = match ids.last().filter(|_| ids.len() == PAGE) {
        Some(last) => Position::Events(Some(*last)),
        None => Position::LateEvents(None),
    };
    let known = known(conn, endpoint, &ids)?;
    let prompt = rows.into_iter().zip(ids).filter(|(row, _)| row.late_at.is_none());
    let candidates = prompt.map(|(row, id)| {
        let known = known.get(&row.id);
        row.candidate(Position::Events(Some(id)), known)
    });
    Ok(Page { candidates: candidates.collect::<Result<_, _>>()?, next: Some(next) })
}

fn late_events(
    conn: &mut DbConn,
    endpoint: &Endpoint,
    period: &Period,
    after: Option<(Timestamp, EventId)>,
) -> Result<Page, StoreError> {
    let (since, from) = match after {
        Some((at, id)) => (at.timestamp_micros(), id.to_string()),
        None => (period.since().timestamp_micros(), String::new()),
    };
    let behind = loyalty_events::late_at
        .gt(since)
        .or(loyalty_events::late_at.eq(since).and(loyalty_events::id.gt(from)));
    let rows: Vec<EventRow> = loyalty_events::table
        .filter(loyalty_events::chain.eq(endpoint.chain.as_str()))
        .filter(loyalty_events::late_at.ge(since))
        .filter(loyalty_events::late_at.lt(period.until().timestamp_micros()))
        .filter(behind)
        .select(EventRow::as_select())
        .order((loyalty_events::late_at, loyalty_events::id))
        .limit(LATE_PAGE as i64)
        .load(conn)?;
    let full = rows.len() == LATE_PAGE;
    let mut candidates = Vec::with_capacity(rows.len());
    for row in rows {
        let (id, at) = (row.id()?, row.at()?);
        let known = known(conn, endpoint, &[id])?;
        let known = known.get(&row.id);
        candidates.push(row.candidate(Position::LateEvents(Some((at, id))), known)?);
    }
    let next = candidates.last().filter(|_| full).map(|last| last.position);
    Ok(Page { candidates, next })
}
