//! Attempts: every try of a delivery, and what it does to the delivery.

use std::collections::HashMap;

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, HasSqlType, Nullable, Text};

use super::batch::{ROWS_PER_STATEMENT, insert_all};
use super::connection::DbConn;
use super::error::StoreError;
use super::fixed::fixed;
use super::row::Row;
use super::schema::{attempts, endpoints};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::delivery::{AttemptOutcome, DeliveryStatus, NextStep};
use crate::domain::ids::{AttemptId, DeliveryId};

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

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = attempts, treat_none_as_default_value = false)]
struct AttemptRow {
    chain: String,
    endpoint: String,
    delivery: String,
    number: i64,
    id: String,
    at: i64,
    duration_ms: i64,
    status_code: Option<i64>,
    response_body: Option<String>,
    error: Option<String>,
}

impl AttemptRow {
    fn of(outcome: &AttemptOutcome, number: i64) -> Self {
        let attempt = &outcome.attempt;
        Self {
            chain: outcome.chain.to_string(),
            endpoint: outcome.endpoint.to_string(),
            delivery: attempt.delivery.to_string(),
            number,
            id: attempt.id.to_string(),
            at: attempt.at.timestamp_micros(),
            duration_ms: attempt.duration_ms.try_into().unwrap_or(i64::MAX),
            status_code: attempt.status_code.map(i64::from),
            response_body: attempt.response_body.as_deref().map(without_nul),
            error: attempt.error.as_deref().map(without_nul),
        }
    }

    fn read(self) -> Result<StoredAttempt, StoreError> {
        let row = Row { table: "attempts", id: &self.id };
        Ok(StoredAttempt {
            id: row.parse("id", &self.id)?,
            number: row.number("number", self.number)?,
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
        .order(attempts::number)
        .load(conn)?;
    rows.into_iter().map(AttemptRow::read).collect()
}

/// Writes attempts and what follows of them, no two of one delivery. Answers which deliveries exist, in order.
pub(super) fn write(conn: &mut DbConn, outcomes: &[&AttemptOutcome]) -> Result<Vec<bool>, StoreError> {
    let changes: Vec<Change> = outcomes.iter().map(|outcome| Change::of(outcome)).collect();
    let numbers: HashMap<String, i64> = match conn {
        DbConn::Sqlite(c) => {
            let one = |change| fixed!(Settle(std::slice::from_ref(change))).load(c);
            changes.iter().map(one).collect::<QueryResult<Vec<_>>>()?.into_iter().flatten().collect()
        }
        DbConn::Postgres(c) => {
            let many = |changes| Settle(changes).load(c);
            changes
                .chunks(ROWS_PER_STATEMENT)
                .map(many)
                .collect::<QueryResult<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect()
        }
    };
    let number = |outcome: &AttemptOutcome| numbers.get(&outcome.attempt.delivery.to_string()).copied();
    let rows: Vec<AttemptRow> =
        outcomes.iter().filter_map(|outcome| Some(AttemptRow::of(outcome, number(outcome)?))).collect();
    insert_all!(conn, attempts::table, rows)?;
    Ok(outcomes.iter().map(|outcome| number(outcome).is_some()).collect())
}

/// What an attempt makes of its delivery.
struct Change {
    chain: String,
    endpoint: String,
    delivery: String,
    /// The try of the current ladder that it was.
    number: i64,
    status: &'static str,
    due_at: Option<i64>,
    settled_at: Option<i64>,
}

impl Change {
    fn of(outcome: &AttemptOutcome) -> Self {
        let at = outcome.attempt.at.timestamp_micros();
        let (status, due_at, settled_at) = match outcome.next {
            NextStep::Delivered => (DeliveryStatus::Delivered, None, Some(at)),
            NextStep::RetryAt(due) => (DeliveryStatus::Pending, Some(due.timestamp_micros()), None),
            NextStep::Failed => (DeliveryStatus::Failed, None, Some(at)),
        };
        Self {
            chain: outcome.chain.to_string(),
            endpoint: outcome.endpoint.to_string(),
            delivery: outcome.attempt.delivery.to_string(),
            number: i64::from(outcome.attempt.number),
            status: status.as_str(),
            due_at,
            settled_at,
        }
    }
}

/// The statement that applies changes. Diesel has no `UPDATE … FROM (VALUES …)`, hence written out.
///
/// Every try counts. Beyond that a change applies only to a delivery that is still pending: what a person settled in
/// the meantime stays settled. And a failed try only if the ladder is the one it belongs to: when a person started it
/// anew in the meantime, the new one goes on.
struct Settle<'a>(&'a [Change]);

/// Whether the change `v` applies to its delivery.
macro_rules! when_it_applies {
    ($column:literal, $value:literal) => {
        concat!(
            $column,
            " = CASE WHEN due_at IS NOT NULL AND (v.column5 = 'delivered' OR attempts = v.column4 - 1) THEN v.",
            $value,
            " ELSE ",
            $column,
            " END"
        )
    };
}

const UPDATE: &str = concat!(
    "UPDATE deliveries SET tries = tries + 1, ",
    when_it_applies!("attempts", "column4"),
    ", ",
    when_it_applies!("status", "column5"),
    ", ",
    when_it_applies!("due_at", "column6"),
    ", ",
    when_it_applies!("settled_at", "column7"),
    " FROM (VALUES "
);

impl<DB> QueryFragment<DB> for Settle<'_>
where
    DB: Backend + HasSqlType<Text> + HasSqlType<BigInt>,
    str: ToSql<Text, DB>,
    String: ToSql<Text, DB>,
    i64: ToSql<BigInt, DB>,
    Option<i64>: ToSql<Nullable<BigInt>, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared(); // the number of changes varies
        out.push_sql(UPDATE);
        for (at, change) in self.0.iter().enumerate() {
            out.push_sql(if at == 0 { "(" } else { ", (" });
            out.push_bind_param::<Text, _>(&change.chain)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(&change.endpoint)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(&change.delivery)?;
            out.push_sql(", ");
            out.push_bind_param::<BigInt, _>(&change.number)?;
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(change.status)?;
            out.push_sql(", ");
            out.push_bind_param::<Nullable<BigInt>, _>(&change.due_at)?;
            out.push_sql(", ");
            out.push_bind_param::<Nullable<BigInt>, _>(&change.settled_at)?;
            out.push_sql(")");
        }
        out.push_sql(
            ") AS v WHERE chain = v.column1 AND endpoint = v.column2 AND id = v.column3 RETURNING id, tries",
        );
        Ok(())
    }
}

impl QueryId for Settle<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Settle<'_> {
    type SqlType = (Text, BigInt);
}

impl<Conn> RunQueryDsl<Conn> for Settle<'_> {}
