//! Loyalty events: what the world is told.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use super::batch::insert_all;
use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::loyalty_events;
use super::trail::{self, Link};
use super::word::Word;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::ids::{EventId, MemberId};
use crate::domain::loyalty_event::{EventType, LoyaltyEvent};

/// An event that is committed so long after its id was made is late: it was kept, and decided later, or again.
pub(super) const LATE: chrono::Duration = chrono::Duration::seconds(1);

/// A loyalty event as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub kind: EventType,
    /// The member it is about, if any.
    pub member: Option<MemberId>,
    /// When it happened, by the source event's clock.
    pub at: Timestamp,
    /// Its canonical JSON.
    pub body: String,
}

/// Which events to list; empty lists all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventFilter {
    /// Only this type.
    pub kind: Option<EventType>,
    /// Only of this member.
    pub member: Option<MemberId>,
    /// Only at or after this instant.
    pub since: Option<Timestamp>,
    /// Only before this instant.
    pub until: Option<Timestamp>,
}

impl EventFilter {
    fn passes(&self, event: &StoredEvent) -> bool {
        self.kind.is_none_or(|kind| event.kind == kind)
            && self.since.is_none_or(|since| event.at >= since)
            && self.until.is_none_or(|until| event.at < until)
    }
}

#[derive(Queryable, QueryableByName, Selectable, Insertable)]
#[diesel(table_name = loyalty_events, treat_none_as_default_value = false)]
pub(super) struct EventRow {
    chain: Word,
    id: Word,
    previous: Option<Word>,
    kind: Word,
    member: Option<Word>,
    at: i64,
    program_version: i64,
    late_at: Option<i64>,
    trace: Option<Word>,
    body: String,
}

impl EventRow {
    /// An event that is committed at that instant, as part of that trace.
    pub(super) fn of(event: &LoyaltyEvent, at: Timestamp, trace: Option<&Word>) -> Self {
        let made = Timestamp::from_timestamp_millis(event.id.ulid().timestamp_ms() as i64);
        let is_late = made.is_none_or(|made| at - made > LATE);
        Self {
            chain: event.chain.as_str().into(),
            id: event.id.into(),
            previous: event.subject.as_ref().and_then(|of| of.previous).map(Word::from),
            kind: event.kind().as_str().into(),
            member: event.member().map(Word::from),
            at: event.at.timestamp_micros(),
            program_version: event.program_version,
            late_at: is_late.then(|| at.timestamp_micros()),
            trace: trace.cloned(),
            body: event.to_json(),
        }
    }

    /// The order in which they are written: that of the table.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.chain, &self.id)
    }

    fn read(self) -> Result<StoredEvent, StoreError> {
        let row = Row { table: "loyalty_events", id: &self.id };
        Ok(StoredEvent {
            id: row.parse("id", &self.id)?,
            kind: row.parse("kind", &self.kind)?,
            member: row.parse_opt("member", self.member.as_deref())?,
            at: row.time("at", self.at)?,
            body: self.body,
        })
    }
}

impl Link for EventRow {
    const TABLE: &'static str = "loyalty_events";

    fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }
}

/// Stores new events.
pub(super) fn insert(conn: &mut DbConn, rows: &[&EventRow]) -> QueryResult<()> {
    insert_all!(conn, loyalty_events, rows)
}

/// One event.
pub fn get(conn: &mut DbConn, chain: &ChainId, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
    let row = loyalty_events::table
        .find((chain.as_str(), id.to_string()))
        .select(EventRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(EventRow::read).transpose()
}

/// Events, newest first, from before `after`: those of a chain by when they happened, those of a member as they were committed.
pub fn list(
    conn: &mut DbConn,
    chain: &ChainId,
    filter: &EventFilter,
    limit: i64,
    after: Option<EventId>,
) -> Result<Vec<StoredEvent>, StoreError> {
    match filter.member {
        Some(member) => list_of_member(conn, chain, member, filter, limit, after),
        None => list_of_chain(conn, chain, filter, limit, after),
    }
}

fn list_of_chain(
    conn: &mut DbConn,
    chain: &ChainId,
    filter: &EventFilter,
    limit: i64,
    after: Option<EventId>,
) -> Result<Vec<StoredEvent>, StoreError> {
    let is_sqlite = matches!(conn, DbConn::Sqlite(_));
    let mut query = loyalty_events::table
        .filter(loyalty_events::chain.eq(chain.as_str()))
        .select(EventRow::as_select())
        .order((loyalty_events::at.desc(), loyalty_events::id.desc()))
        .limit(limit)
        .into_boxed();
    if let Some(kind) = filter.kind {
        // SQLite keeps no statistics: without a hint it may take the index of all types, which it would have to go through.
        let (before, after) = if is_sqlite { ("unlikely(kind = ", ")") } else { ("kind = ", "") };
        query = query.filter(sql::<Bool>(before).bind::<Text, _>(kind.as_str()).sql(after));
    }
    if let Some(since) = filter.since {
        query = query.filter(loyalty_events::at.ge(since.timestamp_micros()));
    }
    let until = filter.until.map(|until| until.timestamp_micros());
    let place = match after {
        None => None,
        // One that is gone was cut off at the end of the list, together with all before it.
        Some(after) => match place(conn, chain, after)? {
            Some(place) => Some(place),
            None => return Ok(Vec::new()),
        },
    };
    // One bound, not two: SQLite would go to either of them, and through whatever lies between.
    match (place, until) {
        (Some((at, id)), until) if until.is_none_or(|until| at < until) => {
            let before = sql::<Bool>("(at, id) < (").bind::<BigInt, _>(at).sql(", ").bind::<Text, _>(id);
            query = query.filter(before.sql(")"));
        }
        (_, Some(until)) => query = query.filter(loyalty_events::at.lt(until)),
        (_, None) => {}
    }
    query.load(conn)?.into_iter().map(EventRow::read).collect()
}

/// Where an event stands in the lists of its chain.
fn place(conn: &mut DbConn, chain: &ChainId, id: EventId) -> QueryResult<Option<(i64, String)>> {
    let at = loyalty_events::table
        .find((chain.as_str(), id.to_string()))
        .select(loyalty_events::at)
        .get_result(conn)
        .optional()?;
    Ok(at.map(|at| (at, id.to_string())))
}

/// Follows the member's events back until enough of them pass the filter.
fn list_of_member(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    filter: &EventFilter,
    limit: i64,
    after: Option<EventId>,
) -> Result<Vec<StoredEvent>, StoreError> {
    let mut next = match after {
        Some(after) => before(conn, chain, member, after)?,
        None => {
            super::member::load(conn, chain, member)?.and_then(|member| member.latest.event).map(Word::from)
        }
    };
    let mut found = Vec::new();
    while let Some(from) = next.take() {
        for row in trail::walk::<EventRow>(conn, chain, &from, limit)? {
            next.clone_from(&row.previous);
            let event = row.read()?;
            if filter.passes(&event) {
                found.push(event);
            }
            if found.len() as i64 == limit {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// The member's event before this one of theirs.
fn before(conn: &mut DbConn, chain: &ChainId, member: MemberId, id: EventId) -> QueryResult<Option<Word>> {
    let previous: Option<Option<Word>> = loyalty_events::table
        .find((chain.as_str(), id.to_string()))
        .filter(loyalty_events::member.eq(member.to_string()))
        .select(loyalty_events::previous)
        .get_result(conn)
        .optional()?;
    Ok(previous.flatten())
}
