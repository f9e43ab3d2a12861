//! Source events: what came in, what became of it, and the receipt that a repeat is answered with.

use std::collections::HashMap;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde::Deserialize;

use super::batch::{insert_all, which_took_effect};
use super::connection::{DbConn, on_backend};
use super::erasure::order_of;
use super::error::StoreError;
use super::row::Row;
use super::schema::source_events;
use super::trail::{self, Link};
use super::word::Word;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::commit::{SourceChange, SourceOrigin};
use crate::domain::effect::RuleFailure;
use crate::domain::ids::{MemberId, SourceId};
use crate::domain::receipt::SourceStatus;
use crate::domain::retention;
use crate::domain::source_event::SourceType;
use crate::domain::text::{Key, Name};
use crate::domain::trace::Trace;

/// The condition of the index `source_events_open`. It must stand in the query literally: neither planner trusts a
/// parameter.
const IS_OPEN: &str = "source_events.status <> 'processed'";

/// A source event as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSource {
    /// Its id.
    pub id: SourceId,
    /// The POS's key of it.
    pub key: Key,
    /// Its type.
    pub kind: SourceType,
    /// When it happened, by the POS's clock.
    pub occurred_at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
    /// Where.
    pub location: Option<Name>,
    /// The API key that asked for it, by its name; of commands only.
    pub asked_by: Option<Name>,
    /// The trace that it is part of.
    pub trace: Option<Trace>,
    /// What became of it.
    pub status: SourceStatus,
    /// How often it was decided. 0 while it is only kept.
    pub runs: u32,
    /// Whose it is, once known.
    pub member: Option<MemberId>,
    /// The version of the program that decided last.
    pub program_version: i64,
    /// The body as it came.
    pub body: String,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
    /// The JSON of the receipt.
    pub receipt: String,
    /// The rules that failed, from the receipt.
    pub errors: Vec<RuleFailure>,
}

#[derive(Queryable, QueryableByName, Selectable, Insertable)]
#[diesel(table_name = source_events, treat_none_as_default_value = false)]
pub(super) struct SourceRow {
    chain: Word,
    id: Word,
    previous: Option<Word>,
    key: Word,
    kind: Word,
    status: Word,
    runs: i64,
    member: Option<Word>,
    location: Option<Word>,
    asked_by: Option<Word>,
    trace: Option<Word>,
    occurred_at: i64,
    received_at: i64,
    program_version: i64,
    body: String,
    body_hash: Vec<u8>,
    receipt: String,
}

#[derive(Deserialize)]
struct ReceiptErrors {
    errors: Vec<RuleFailure>,
}

impl SourceRow {
    /// The row after a commit.
    pub(super) fn after(chain: &ChainId, change: &SourceChange) -> Self {
        let event = &change.event;
        Self {
            chain: chain.as_str().into(),
            id: change.id.into(),
            previous: change.previous.map(Word::from),
            key: event.key.as_str().into(),
            kind: event.kind().as_str().into(),
            status: change.status().as_str().into(),
            runs: match (change.from, change.status()) {
                (SourceOrigin::Stored { runs, .. }, _) => i64::from(runs) + 1,
                (
                    SourceOrigin::Outside,
                    SourceStatus::Accepted | SourceStatus::Parked | SourceStatus::Refused,
                ) => 0,
                (SourceOrigin::Outside, SourceStatus::Processed | SourceStatus::Failed) => 1,
            },
            member: change.member.map(Word::from),
            location: event.location.as_ref().map(|location| location.as_str().into()),
            asked_by: event.asked_by.as_ref().map(|key| key.as_str().into()),
            trace: event.trace.as_ref().map(Word::shown),
            occurred_at: event.occurred_at.timestamp_micros(),
            received_at: change.received_at.timestamp_micros(),
            program_version: change.receipt.program_version,
            body: (*event.body).into(),
            body_hash: event.body_hash.to_vec(),
            receipt: change.receipt.to_json(),
        }
    }

    /// The JSON of the receipt.
    pub(super) fn into_receipt(self) -> String {
        self.receipt
    }

    /// The trace that it is part of.
    pub(super) const fn trace(&self) -> Option<&Word> {
        self.trace.as_ref()
    }

    /// The same, as part of a trace.
    pub(super) fn traced(self, trace: Option<Word>) -> Self {
        Self { trace, ..self }
    }

    /// The order in which events are written, the same in every transaction.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.chain, &self.key)
    }

    /// The row of an event of which only that it was is kept.
    fn without_content(self) -> Result<Self, StoreError> {
        let row = Row { table: "source_events", id: &self.id };
        let key = row.check("key", Key::parse(&self.key))?;
        let receipt = retention::receipt(row.parse("id", &self.id)?, key, self.program_version);
        Ok(Self { body: retention::body(order_of(&self.body)), receipt, ..self })
    }

    fn read(self) -> Result<StoredSource, StoreError> {
        let row = Row { table: "source_events", id: &self.id };
        let receipt: ReceiptErrors = row.json("receipt", &self.receipt)?;
        Ok(StoredSource {
            id: row.parse("id", &self.id)?,
            key: row.check("key", Key::parse(&self.key))?,
            kind: row.parse("kind", &self.kind)?,
            occurred_at: row.time("occurred_at", self.occurred_at)?,
            received_at: row.time("received_at", self.received_at)?,
            location: row.check("location", self.location.as_deref().map(Name::parse).transpose())?,
            asked_by: row.check("asked_by", self.asked_by.as_deref().map(Name::parse).transpose())?,
            trace: row.parse_opt("trace", self.trace.as_deref())?,
            status: row.parse("status", &self.status)?,
            runs: row.number("runs", self.runs)?,
            member: row.parse_opt("member", self.member.as_deref())?,
            program_version: self.program_version,
            body_hash: row.hash("body_hash", self.body_hash)?,
            body: self.body,
            errors: receipt.errors,
            receipt: self.receipt,
        })
    }
}

impl Link for SourceRow {
    const TABLE: &'static str = "source_events";

    fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }
}

/// Keeps new events. Answers which keys were new, in order; of two rows with one key the first wins.
pub(super) fn keep_new(conn: &mut DbConn, rows: &[&SourceRow]) -> QueryResult<Vec<bool>> {
    which_took_effect!(
        conn,
        rows,
        |values| diesel::insert_into(source_events::table)
            .values(values)
            .on_conflict((source_events::chain, source_events::key))
            .do_nothing(),
        source_events::id,
        |row| -> Word { row.id }
    )
}

/// Writes what became of a stored event, if it still is in this status after one run less. Answers whether it was.
pub(super) fn decide_again(conn: &mut DbConn, row: &SourceRow, status: SourceStatus) -> QueryResult<bool> {
    // What was decided before keeps its place among its member's.
    let was_decided = status == SourceStatus::Failed;
    let place = (!was_decided).then(|| source_events::previous.eq(&row.previous));
    let statement = diesel::update(source_events::table.find((&row.chain, &row.id)))
        .filter(source_events::status.eq(status.as_str()))
        .filter(source_events::runs.eq(row.runs - 1))
        .set((
            source_events::status.eq(&row.status),
            source_events::runs.eq(row.runs),
            source_events::member.eq(&row.member),
            source_events::program_version.eq(row.program_version),
            // Of somebody who was erased meanwhile, nothing but what may stay.
            source_events::body.eq(&row.body),
            source_events::receipt.eq(&row.receipt),
            place,
        ));
    Ok(on_backend!(conn, |c| statement.execute(c))? == 1)
}

/// What came of clearing a page.
pub(super) struct Cleared {
    /// Events that were looked at.
    pub(super) seen: usize,
    /// The last of them.
    pub(super) last: Option<String>,
    /// Those from which something was taken.
    pub(super) rows: usize,
}

/// Takes body and receipt from those of the next events, between two ids, that were processed. Such rows are written anew: on
/// SQLite a row that becomes shorter keeps its room, of which nobody else can make use.
pub(super) fn clear(
    conn: &mut DbConn,
    chain: &ChainId,
    (after, until): (&str, &str),
    limit: i64,
) -> Result<Cleared, StoreError> {
    let rows: Vec<SourceRow> = source_events::table
        .filter(source_events::chain.eq(chain.as_str()))
        .filter(source_events::id.gt(after))
        .filter(source_events::id.lt(until))
        .select(SourceRow::as_select())
        .order(source_events::id)
        .limit(limit)
        .load(conn)?;
    let (seen, last) = (rows.len(), rows.last().map(|row| row.id.to_string()));
    let whole = rows.into_iter().filter(|row| {
        &*row.status == SourceStatus::Processed.as_str() && !retention::is_all_that_is_left(&row.body)
    });
    let left = whole.map(SourceRow::without_content).collect::<Result<Vec<_>, _>>()?;
    if !left.is_empty() {
        let ids = left.iter().map(|row| row.id.to_string());
        let these = source_events::table
            .filter(source_events::chain.eq(chain.as_str()))
            .filter(source_events::id.eq_any(ids));
        diesel::delete(these).execute(conn)?;
        let left: Vec<_> = left.iter().collect();
        insert_all!(conn, source_events, left)?;
    }
    Ok(Cleared { seen, last, rows: left.len() })
}

/// The answer to a repeat: the first receipt, the hash of the first body, and what became of it.
pub(super) struct Answered {
    pub(super) receipt: String,
    pub(super) body_hash: Vec<u8>,
    pub(super) status: SourceStatus,
}

/// What the event of this key was answered with.
pub(super) fn answered(
    conn: &mut DbConn,
    chain: &ChainId,
    key: &Key,
) -> Result<Option<Answered>, StoreError> {
    let found: Option<(String, Vec<u8>, String)> = source_events::table
        .filter(source_events::chain.eq(chain.as_str()))
        .filter(source_events::key.eq(key.as_str()))
        .select((source_events::receipt, source_events::body_hash, source_events::status))
        .get_result(conn)
        .optional()?;
    let Some((receipt, body_hash, status)) = found else { return Ok(None) };
    let status = Row { table: "source_events", id: key.as_str() }.parse("status", &status)?;
    Ok(Some(Answered { receipt, body_hash, status }))
}

/// The event of this key.
pub fn by_key(conn: &mut DbConn, chain: &ChainId, key: &Key) -> Result<Option<StoredSource>, StoreError> {
    let row = source_events::table
        .filter(source_events::chain.eq(chain.as_str()))
        .filter(source_events::key.eq(key.as_str()))
        .select(SourceRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(SourceRow::read).transpose()
}

/// The key and the arrival of the newest event without a key that has one body. `first` is the key of the first of
/// them, from which those of the others are derived.
pub fn newest_keyless(
    conn: &mut DbConn,
    chain: &ChainId,
    first: &Key,
) -> Result<Option<(Key, Timestamp)>, StoreError> {
    let found: Option<(String, i64)> = source_events::table
        .filter(source_events::chain.eq(chain.as_str()))
        .filter(source_events::key.ge(first.as_str()))
        .filter(source_events::key.lt(format!("{first};"))) // derived keys go on with `:`, whose successor is `;`
        .select((source_events::key, source_events::received_at))
        .order(source_events::key.desc())
        .first(conn)
        .optional()?;
    let Some((key, at)) = found else { return Ok(None) };
    let row = Row { table: "source_events", id: first.as_str() };
    Ok(Some((row.check("key", Key::parse(&key))?, row.time("received_at", at)?)))
}

/// The event of this id.
pub fn get(conn: &mut DbConn, chain: &ChainId, id: SourceId) -> Result<Option<StoredSource>, StoreError> {
    let row = source_events::table
        .find((chain.as_str(), id.to_string()))
        .select(SourceRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map(SourceRow::read).transpose()
}

/// Events, newest first, from before `after`.
pub fn list(
    conn: &mut DbConn,
    chain: &ChainId,
    status: Option<SourceStatus>,
    limit: i64,
    after: Option<SourceId>,
) -> Result<Vec<StoredSource>, StoreError> {
    let mut query = source_events::table
        .filter(source_events::chain.eq(chain.as_str()))
        .select(SourceRow::as_select())
        .order(source_events::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(status) = status {
        query = query.filter(source_events::status.eq(status.as_str()));
        if status != SourceStatus::Processed {
            query = query.filter(sql::<Bool>(IS_OPEN));
        }
    }
    if let Some(after) = after {
        query = query.filter(source_events::id.lt(after.to_string()));
    }
    query.load(conn)?.into_iter().map(SourceRow::read).collect()
}

/// What was decided for a member, newest first, from before `after`, which is one of theirs.
pub fn of_member(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    limit: i64,
    after: Option<SourceId>,
) -> Result<Vec<StoredSource>, StoreError> {
    let from = match after {
        Some(after) => source_events::table
            .find((chain.as_str(), after.to_string()))
            .select(source_events::previous)
            .get_result::<Option<String>>(conn)
            .optional()?
            .flatten(),
        None => super::member::load(conn, chain, member)?
            .and_then(|member| member.latest.source)
            .map(|id| id.to_string()),
    };
    let rows: Vec<SourceRow> = match from {
        Some(from) => trail::walk(conn, chain, &from, limit)?,
        None => Vec::new(),
    };
    rows.into_iter().map(SourceRow::read).collect()
}

/// The ids of what was decided for a member, up to and including `latest`, in the order in which it was decided.
pub fn ids_of_member(
    conn: &mut DbConn,
    chain: &ChainId,
    latest: SourceId,
    most: usize,
) -> Result<Vec<SourceId>, StoreError> {
    let ids = trail::ids::<SourceRow>(conn, chain, &latest.to_string(), most)?;
    let read = |id: &String| Row { table: "source_events", id }.parse("id", id);
    ids.iter().rev().map(read).collect()
}

/// A source event as it was decided, without what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct DecidedSource {
    /// Its id.
    pub id: SourceId,
    /// The POS's key of it.
    pub key: Key,
    /// When it happened, by the POS's clock.
    pub occurred_at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
    /// The API key that asked for it, by its name; of commands only.
    pub asked_by: Option<Name>,
    /// The version of the program that decided last.
    pub program_version: i64,
    /// The body as it came.
    pub body: String,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = source_events)]
struct DecidedRow {
    id: String,
    key: String,
    occurred_at: i64,
    received_at: i64,
    asked_by: Option<String>,
    program_version: i64,
    body: String,
}

impl DecidedRow {
    fn read(self) -> Result<DecidedSource, StoreError> {
        let row = Row { table: "source_events", id: &self.id };
        Ok(DecidedSource {
            id: row.parse("id", &self.id)?,
            key: row.check("key", Key::parse(&self.key))?,
            occurred_at: row.time("occurred_at", self.occurred_at)?,
            received_at: row.time("received_at", self.received_at)?,
            asked_by: row.check("asked_by", self.asked_by.as_deref().map(Name::parse).transpose())?,
            program_version: self.program_version,
            body: self.body,
        })
    }
}

/// These events, in the order asked.
pub fn decided(
    conn: &mut DbConn,
    chain: &ChainId,
    ids: &[SourceId],
) -> Result<Vec<DecidedSource>, StoreError> {
    let rows: Vec<DecidedRow> = source_events::table
        .filter(source_events::chain.eq(chain.as_str()))
        .filter(source_events::id.eq_any(ids.iter().map(SourceId::to_string)))
        .select(DecidedRow::as_select())
        .load(conn)?;
    let read = |row: DecidedRow| row.read().map(|source| (source.id, source));
    let mut found: HashMap<_, _> = rows.into_iter().map(read).collect::<Result<_, _>>()?;
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// Events that were kept and not yet decided, oldest first, after `after`.
pub fn undecided(
    conn: &mut DbConn,
    chain: &ChainId,
    limit: i64,
    after: Option<SourceId>,
) -> Result<Vec<StoredSource>, StoreError> {
    let rows = source_events::table
        .filter(source_events::chain.eq(chain.as_str()))
        .filter(source_events::status.eq(SourceStatus::Accepted.as_str()))
        .filter(sql::<Bool>(IS_OPEN))
        .filter(source_events::id.gt(after.map_or_else(String::new, |after| after.to_string())))
        .select(SourceRow::as_select())
        .order(source_events::id)
        .limit(limit)
        .load(conn)?;
    rows.into_iter().map(SourceRow::read).collect()
}
