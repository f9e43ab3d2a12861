//! The ledger: its lines.

use std::ops::ControlFlow;

use diesel::prelude::*;
use serde::Serialize;

use super::batch::insert_all;
use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::transfers;
use super::trail::{self, Link};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::effect::Cause;
use crate::domain::ids::{MemberId, SourceId, TransferId};
use crate::domain::ledger::{Account, Transfer};
use crate::domain::member::Member;
use crate::domain::money::Points;

/// Lines of one member in memory at a time.
const LINES_AT_ONCE: i64 = 1_000;
/// The most lines that are read for one answer: it must not keep a connection, and the log, for ever.
pub const MOST_LINES: i64 = 200_000;

/// A ledger line as stored.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoredTransfer {
    /// Its id.
    pub id: TransferId,
    /// The wallet's code.
    pub wallet: String,
    /// The account that is less after it.
    pub debit: Account,
    /// The account that is more after it.
    pub credit: Account,
    /// How much; always positive.
    pub amount: Points,
    /// What caused it.
    pub cause: Cause,
    /// The reason shown to people.
    pub reason: String,
    /// The source event; `None` for a scheduled tick.
    pub source: Option<SourceId>,
    /// When it was decided.
    pub at: Timestamp,
}

#[derive(QueryableByName, Insertable)]
#[diesel(table_name = transfers, treat_none_as_default_value = false)]
pub(super) struct TransferRow {
    chain: String,
    id: String,
    previous: Option<String>,
    member: String,
    wallet: String,
    debit: String,
    credit: String,
    amount: i64,
    rule: String,
    rule_at: String,
    program_version: i64,
    reason: String,
    source: Option<String>,
    at: i64,
}

impl TransferRow {
    pub(super) fn of(chain: &ChainId, transfer: &Transfer) -> Self {
        Self {
            chain: chain.to_string(),
            id: transfer.id.to_string(),
            previous: transfer.previous.map(|id| id.to_string()),
            member: transfer.member.to_string(),
            wallet: transfer.wallet.to_string(),
            debit: transfer.debit.to_string(),
            credit: transfer.credit.to_string(),
            amount: transfer.amount.0,
            rule: transfer.cause.rule.to_string(),
            rule_at: transfer.cause.at.to_string(),
            program_version: transfer.cause.program_version,
            reason: transfer.reason.to_string(),
            source: transfer.source.map(|s| s.to_string()),
            at: transfer.at.timestamp_micros(),
        }
    }

    /// The order in which they are written: that of the table.
    pub(super) fn key(&self) -> (&str, &str) {
        (&self.chain, &self.id)
    }

    fn read(self) -> Result<StoredTransfer, StoreError> {
        let row = Row { table: "transfers", id: &self.id };
        Ok(StoredTransfer {
            id: row.parse("id", &self.id)?,
            debit: row.parse("debit", &self.debit)?,
            credit: row.parse("credit", &self.credit)?,
            source: row.parse_opt("source", self.source.as_deref())?,
            at: row.time("at", self.at)?,
            wallet: self.wallet,
            amount: Points(self.amount),
            cause: Cause {
                rule: self.rule.into(),
                at: self.rule_at.into(),
                program_version: self.program_version,
            },
            reason: self.reason,
        })
    }
}

impl Link for TransferRow {
    const TABLE: &'static str = "transfers";

    fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }
}

/// Stores new lines.
pub(super) fn insert(conn: &mut DbConn, rows: &[&TransferRow]) -> QueryResult<()> {
    insert_all!(conn, transfers::table, rows)
}

/// A member's lines, newest first, from before `after`.
pub fn list(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    limit: i64,
    after: Option<TransferId>,
) -> Result<Vec<StoredTransfer>, StoreError> {
    let from = match after {
        Some(after) => {
            let line: Option<Option<String>> = transfers::table
                .find((chain.as_str(), after.to_string()))
                .filter(transfers::member.eq(member.to_string()))
                .select(transfers::previous)
                .get_result(conn)
                .optional()?;
            line.flatten()
        }
        None => super::member::load(conn, chain, member)?
            .and_then(|member| member.latest.transfer)
            .map(|id| id.to_string()),
    };
    let Some(from) = from else { return Ok(Vec::new()) };
    trail::walk::<TransferRow>(conn, chain, &from, limit)?.into_iter().map(TransferRow::read).collect()
}

/// Hands out a member and their lines, newest first, as of one instant, until `take` breaks or there are no more.
/// Answers whether it came to an end by that: of the longest histories, no more than [`MOST_LINES`] are read.
pub fn walk_back(
    conn: &mut DbConn,
    chain: &ChainId,
    member: &Member,
    mut take: impl FnMut(StoredTransfer) -> ControlFlow<()>,
) -> Result<bool, StoreError> {
    let mut next = member.latest.transfer.map(|id| id.to_string());
    for _ in 0..MOST_LINES / LINES_AT_ONCE {
        let Some(from) = next else { return Ok(true) };
        let rows = trail::walk::<TransferRow>(conn, chain, &from, LINES_AT_ONCE)?;
        next = rows.last().and_then(|row| row.previous.clone());
        for row in rows {
            if take(row.read()?).is_break() {
                return Ok(true);
            }
        }
    }
    Ok(next.is_none())
}
