//! Attempts: every try of a delivery, and what it does to the delivery.

use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;

use super::batch::{ROWS_PER_STATEMENT, insert_all};
use super::commit::CommitRows;
use super::condition::ConditionRow;
use super::connection::DbConn;
use super::error::StoreError;
use super::fixed::fixed;
use super::row::Row;
use super::schema::{attempts, deliveries, endpoints};
use super::sequence::Place;
use super::word::Word;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::delivery::{Attempt, AttemptOutcome, DeliveryStatus, NextStep};
use crate::domain::health::Counted;
use crate::domain::ids::{AttemptId, DeliveryId, EndpointId};

/// One try of a delivery as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAttempt {
    /// Its id.
    pub id: AttemptId,
    /// 1 for the first try of the delivery; goes on counting when a person sends it again.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long the whole exchange took.
    pub duration_ms: u64,
    /// The status code, when an answer came.
    pub status_code: Option<u16>,
    /// The first 500 characters of the answer's body.
    pub response_body: Option<String>,
    /// What went wrong; `None` on success.
    pub error: Option<String>,
}

/// A try of a delivery, to be written.
pub(super) struct AttemptChange {
    row: AttemptRow,
    /// The try before it that is no step.
    before: Option<Box<AttemptRow>>,
    /// Whether they are written; what follows of them is.
    is_logged: bool,
    step: Step,
    /// What it says of the receiver as a whole, when that is something new.
    pub(super) condition: Option<ConditionRow>,
    /// What it gave cause to tell.
    pub(super) told: Option<Box<CommitRows>>,
    counted: Option<Counted>,
}

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = attempts, treat_none_as_default_value = false)]
struct AttemptRow {
    chain: Word,
    endpoint: Word,
    delivery: Word,
    id: Word,
    at: i64,
    duration_ms: i64,
    status_code: Option<i64>,
    response_body: Option<String>,
    error: Option<String>,
}

/// What a try makes of its delivery.
struct Step {
    /// The tries of the current ladder before it.
    before: i64,
    /// Those after it: one more, unless it does not count.
    after: i64,
    status: &'static str,
    due_at: Option<i64>,
    settled_at: Option<i64>,
}

/// What a try settles.
#[derive(Clone, Copy)]
pub(super) struct Settles<'a> {
    pub(super) place: Place<'a>,
    pub(super) delivery: &'a str,
    pub(super) at: i64,
}

impl AttemptChange {
    pub(super) fn of(outcome: &AttemptOutcome) -> Self {
        let attempt = &outcome.attempt;
        let at = attempt.at.timestamp_micros();
        let row = AttemptRow::of(outcome, attempt);
        let before = outcome.under_other_key.as_deref();
        let before = before.map(|before| Box::new(AttemptRow::of(outcome, before)));
        let (status, due_at, settled_at) = match outcome.next {
            NextStep::Delivered => (DeliveryStatus::Delivered, None, Some(at)),
            NextStep::RetryAt(due) | NextStep::Spared(due) | NextStep::Hindered { until: due, .. } => {
                (DeliveryStatus::Pending, Some(due.timestamp_micros()), None)
            }
            NextStep::Failed => (DeliveryStatus::Failed, None, Some(at)),
        };
        let number: i64 = attempt.number.into();
        let counts = !matches!(outcome.next, NextStep::Spared(_) | NextStep::Hindered { .. });
        let after = if counts { number } else { number - 1 };
        let step = Step { before: number - 1, after, status: status.as_str(), due_at, settled_at };
        let condition = outcome.condition.as_ref();
        let condition = condition.map(|noted| ConditionRow::of(&outcome.chain, outcome.endpoint, noted));
        let told = outcome.told.as_ref().map(|told| Box::new(CommitRows::of(told)));
        let was_sent = attempt.status_code.is_some() || attempt.duration_ms > 0;
        let ms = was_sent.then_some(attempt.duration_ms);
        let was_out = !matches!(outcome.next, NextStep::Hindered { .. });
        let counted = was_out.then_some(Counted { number, status, ms });
        let is_logged = !matches!(outcome.next, NextStep::Hindered { again: true, .. });
        Self { row, before, is_logged, step, condition, told, counted }
    }

    /// Where it is counted, if it is: the endpoint, and when it began.
    pub(super) fn counted(&self) -> Option<((&str, &str), i64, Counted)> {
        Some(((&self.row.chain, &self.row.endpoint), self.row.at, self.counted?))
    }

    /// The order in which attempts are written, the same in every transaction.
    pub(super) fn key(&self) -> (&str, &str, &str) {
        (&self.row.chain, &self.row.endpoint, &self.row.delivery)
    }

    /// Whose delivery it was, when that is to be settled by it.
    pub(super) fn settles(&self) -> Option<Settles<'_>> {
        let (chain, endpoint, delivery) = self.key();
        Some(Settles { place: (chain, endpoint), delivery, at: self.step.settled_at? })
    }
}

impl AttemptRow {
    fn of(outcome: &AttemptOutcome, attempt: &Attempt) -> Self {
        Self {
            chain: outcome.chain.as_str().into(),
            endpoint: outcome.endpoint.into(),
            delivery: attempt.delivery.into(),
            id: attempt.id.into(),
            at: attempt.at.timestamp_micros(),
            duration_ms: attempt.duration_ms.try_into().unwrap_or(i64::MAX),
            status_code: attempt.status_code.map(i64::from),
            response_body: attempt.response_body.as_deref().map(without_nul),
            error: attempt.error.as_deref().map(without_nul),
        }
    }

    fn read(self, number: u32) -> Result<StoredAttempt, StoreError> {
        let row = Row { table: "attempts", id: &self.id };
        Ok(StoredAttempt {
            id: row.parse("id", &self.id)?,
            number,
            at: row.time("at", self.at)?,
            duration_ms: row.number("duration_ms", self.duration_ms)?,
            status_code: self.status_code.map(|code| row.number("status_code", code)).transpose()?,
            response_body: self.response_body,
            error: self.error,
        })
    }
}

/// Receivers may answer anything; PostgreSQL takes no NUL in text.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// All tries of a delivery, in order.
pub(super) fn of_delivery(
    conn: &mut DbConn,
    chain: &ChainId,
    delivery: DeliveryId,
) -> Result<Vec<StoredAttempt>, StoreError> {
    let endpoints = endpoints::table.filter(endpoints::chain.eq(chain.as_str())).select(endpoints::id);
    let rows = attempts::table
        .filter(attempts::chain.eq(chain.as_str()))
        .filter(attempts::endpoint.eq_any(endpoints))
        .filter(attempts::delivery.eq(delivery.to_string()))
        .select(AttemptRow::as_select())
        .order((attempts::at, attempts::id))
        .load(conn)?;
    rows.into_iter().zip(1..).map(|(row, number)| row.read(number)).collect()
}

/// All tries of some deliveries of one endpoint, each with the delivery it was one of, in order.
pub fn of_deliveries(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    deliveries: &[DeliveryId],
) -> Result<Vec<(DeliveryId, StoredAttempt)>, StoreError> {
    let rows: Vec<AttemptRow> = attempts::table
        .filter(attempts::chain.eq(chain.as_str()))
        .filter(attempts::endpoint.eq(endpoint.to_string()))
        .filter(attempts::delivery.eq_any(deliveries.iter().map(ToString::to_string)))
        .select(AttemptRow::as_select())
        .order((attempts::delivery, attempts::at, attempts::id))
        .load(conn)?;
    let of_one = rows.chunk_by(|a, b| a.delivery == b.delivery);
    let numbered = of_one.flat_map(|tries| tries.iter().zip(1..));
    numbered
        .map(|(row, number)| {
            let delivery = Row { table: "attempts", id: &row.id }.parse("delivery", &row.delivery)?;
            Ok((delivery, row.clone().read(number)?))
        })
        .collect()
}

/// The last try of an endpoint's newest delivery that was tried: of which delivery, when, and the status code.
pub(super) fn last_of_endpoint(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
) -> QueryResult<Option<(String, i64, Option<i64>)>> {
    attempts::table
        .filter(attempts::chain.eq(chain.as_str()))
        .filter(attempts::endpoint.eq(endpoint.to_string()))
        .order((attempts::delivery.desc(), attempts::id.desc()))
        .limit(1)
        .select((attempts::delivery, attempts::at, attempts::status_code))
        .get_result(conn)
        .optional()
}

/// Writes attempts and what follows of them, no two of one delivery.
///
/// Every try is in the log, but for those that only said again that nothing gets out. Beyond that it changes only a delivery that is still owed: what a person settled in the
/// meantime stays settled. And a failed try only if the ladder is the one it belongs to: when a person started it anew
/// in the meantime, the new one goes on. What was put behind another one of its lane in the meantime stays there, unless
/// this try settled it.
pub(super) fn write(conn: &mut DbConn, changes: &[&AttemptChange]) -> QueryResult<()> {
    match conn {
        DbConn::Sqlite(c) => changes.iter().try_for_each(|change| fixed!(step(change)).run(c))?,
        DbConn::Postgres(c) => {
            changes.chunks(ROWS_PER_STATEMENT).try_for_each(|changes| Steps(changes).execute(c).map(drop))?
        }
    }
    let logged = changes.iter().filter(|change| change.is_logged);
    let rows = logged.flat_map(|change| change.before.as_deref().into_iter().chain([&change.row]));
    let rows: Vec<&AttemptRow> = rows.collect();
    insert_all!(conn, attempts, rows)
}

/// The update of one delivery.
fn step(change: &AttemptChange) -> impl QueryFragment<Sqlite> {
    let (row, step) = (&change.row, &change.step);
    let delivered = DeliveryStatus::Delivered.as_str();
    diesel::update(deliveries::table.find((&row.chain, &row.endpoint, &row.delivery)))
        .filter(deliveries::settled_at.is_null())
        .filter(step.status.into_sql::<Text>().eq(delivered).or(deliveries::attempts.eq(step.before)))
        .filter(step.due_at.into_sql::<Nullable<BigInt>>().is_null().or(deliveries::due_at.is_not_null()))
        .set((
            deliveries::attempts.eq(step.after),
            deliveries::status.eq(step.status),
            deliveries::due_at.eq(step.due_at),
            deliveries::settled_at.eq(step.settled_at),
        ))
}

/// The same for many. Diesel has no `UPDATE … FROM (VALUES …)`, hence written out.
struct Steps<'a>(&'a [&'a AttemptChange]);

impl QueryFragment<Pg> for Steps<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared(); // the number of rows varies
        out.push_sql(
            "UPDATE deliveries SET attempts = v.column8, status = v.column5, due_at = v.column6, \
             settled_at = v.column7 FROM (VALUES ",
        );
        for (at, AttemptChange { row, step, .. }) in self.0.iter().enumerate() {
            out.push_sql(if at == 0 { "(" } else { ", (" });
            out.push_bind_param::<Text, _>(&*row.chain)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(&*row.endpoint)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(&*row.delivery)?;
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(&step.before)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(step.status)?;
            out.push_sql(", ");
            out.push_bind_param::<Nullable<BigInt>, _>(&step.due_at)?;
            out.push_sql(", ");
            out.push_bind_param::<Nullable<BigInt>, _>(&step.settled_at)?;
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(&step.after)?;
            out.push_sql(")");
        }
        out.push_sql(
            ") AS v WHERE chain = v.column1 AND endpoint = v.column2 AND id = v.column3 AND settled_at IS NULL \
             AND (v.column5 = 'delivered' OR attempts = v.column4) \
             AND (v.column6 IS NULL OR due_at IS NOT NULL)",
        );
        Ok(())
    }
}

impl QueryId for Steps<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl RunQueryDsl<PgConnection> for Steps<'_> {}
