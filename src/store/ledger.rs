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
use super::word::Word;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::effect::Cause;
use crate::domain::ids::{MemberId, SourceId, TransferId};
use crate::domain::ledger::{Account, Transfer};
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
    chain: Word,
    id: Word,
    previous: Option<Word>,
    member: Word,
    wallet: Word,
    debit: Word,
    credit: Word,
    amount: i64,
    rule: Word,
    rule_at: Word,
    program_version: i64,
    campaign: Option<Word>,
    reason: Word,
    source: Option<Word>,
    at: i64,
}

impl TransferRow {
    pub(super) fn of(chain: &ChainId, transfer: &Transfer) -> Self {
        Self {
            chain: chain.as_str().into(),
            id: transfer.id.into(),
            previous: transfer.previous.map(Word::from),
            member: transfer.member.into(),
            wallet: transfer.wallet.as_str().into(),
            debit: Word::shown(transfer.debit),
            credit: Word::shown(transfer.credit),
            amount: transfer.amount.0,
            rule: (*transfer.cause.rule).into(),
            rule_at: (*transfer.cause.at).into(),
            program_version: transfer.cause.program_version,
            campaign: transfer.cause.campaign.as_deref().map(Word::from),
            reason: (*transfer.reason).into(),
            source: transfer.source.map(Word::from),
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
            wallet: self.wallet.to_string(),
            amount: Points(self.amount),
            cause: Cause {
                rule: (*self.rule).into(),
                at: (*self.rule_at).into(),
                program_version: self.program_version,
                campaign: row.parse_opt("campaign", self.campaign.as_deref())?,
            },
            reason: self.reason.to_string(),
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
    insert_all!(conn, transfers, rows)
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

/// One of a member's lines.
pub fn get(
    conn: &mut DbConn,
    chain: &ChainId,
    member: MemberId,
    id: TransferId,
) -> Result<Option<StoredTransfer>, StoreError> {
    let theirs: Option<String> = transfers::table
        .find((chain.as_str(), id.to_string()))
        .filter(transfers::member.eq(member.to_string()))
        .select(transfers::id)
        .get_result(conn)
        .optional()?;
    let Some(id) = theirs else { return Ok(None) };
    trail::walk::<TransferRow>(conn, chain, &id, 1)?.pop().map(TransferRow::read).transpose()
}

/// Hands out a member's line and those before it, newest first, until `take` breaks or there are no more.
/// Answers whether it came to an end by that: of the longest histories, no more than [`MOST_LINES`] are read.
pub fn walk_back(
    conn: &mut DbConn,
    chain: &ChainId,
    latest: Option<TransferId>,
    mut take: impl FnMut(StoredTransfer) -> ControlFlow<()>,
) -> Result<bool, StoreError> {
    let mut next = latest.map(Word::from);
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
