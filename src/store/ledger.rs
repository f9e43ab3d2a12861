//! The ledger: its lines, and whether they add up to what members are told.

use std::collections::HashMap;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use serde::Serialize;

use super::batch::insert_all;
use super::connection::DbConn;
use super::error::StoreError;
use super::member::MemberRow;
use super::row::Row;
use super::schema::{members, transfers};
use super::trail;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::effect::Cause;
use crate::domain::ids::{MemberId, SourceId, TransferId};
use crate::domain::ledger::{Account, Transfer};
use crate::domain::money::Points;

/// Members that [`verify`] holds in memory at a time. It reads the whole ledger for each so many.
const PAGE: i64 = 50_000;

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

/// A member whose balance is not the sum of its ledger lines.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mismatch {
    /// The chain.
    pub chain: ChainId,
    /// The member.
    pub member: MemberId,
    /// The sum of the ledger lines.
    pub ledger: Points,
    /// The stored balance; `None` when there are lines but no such member.
    pub stored: Option<Points>,
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
            wallet: transfer.wallet.to_owned(),
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
    trail::walk::<TransferRow>(conn, "transfers", chain, &from, limit)?
        .into_iter()
        .map(TransferRow::read)
        .collect()
}

/// Recomputes every balance from the ledger, of one chain or of all, and names those that do not agree.
///
/// That debits equal credits needs no check: a line is both.
pub fn verify(conn: &mut DbConn, chain: Option<&ChainId>) -> Result<Vec<Mismatch>, StoreError> {
    let chains = match chain {
        Some(chain) => vec![chain.clone()],
        None => super::chain::list(conn)?.into_iter().map(|c| c.id).collect(),
    };
    let mut mismatches = Vec::new();
    for chain in chains {
        let mut after = String::new(); // sorts before every id
        while let Some(last) = verify_page(conn, &chain, &after, &mut mismatches)? {
            after = last;
        }
    }
    Ok(mismatches)
}

/// Checks the members that follow `after`. Answers the last of them, or `None` when it has seen the end.
fn verify_page(
    conn: &mut DbConn,
    chain: &ChainId,
    after: &str,
    mismatches: &mut Vec<Mismatch>,
) -> Result<Option<String>, StoreError> {
    let rows = members::table
        .filter(members::chain.eq(chain.as_str()))
        .filter(members::id.gt(after))
        .select(MemberRow::as_select())
        .order(members::id)
        .limit(PAGE)
        .load(conn)?;
    let last = rows.last().map(|row| row.id.clone()).filter(|_| rows.len() as i64 == PAGE);
    let mut sums = sums(conn, chain, after, last.as_deref())?;
    for row in rows {
        let ledger = sums.remove(&row.id).unwrap_or_default();
        let member = row.read()?;
        let stored = member.standing.points;
        if stored != ledger {
            mismatches.push(Mismatch {
                chain: chain.clone(),
                member: member.id,
                ledger,
                stored: Some(stored),
            });
        }
    }
    for (id, ledger) in sums {
        let member = Row { table: "transfers", id: &id }.parse("member", &id)?;
        mismatches.push(Mismatch { chain: chain.clone(), member, ledger, stored: None });
    }
    Ok(last)
}

/// What the lines of the members after `after`, up to `last`, add up to.
fn sums(
    conn: &mut DbConn,
    chain: &ChainId,
    after: &str,
    last: Option<&str>,
) -> Result<HashMap<String, Points>, StoreError> {
    // PostgreSQL sums whole numbers into a decimal, hence the cast.
    let balance = sql::<BigInt>(
        "CAST(SUM(CASE WHEN credit = 'member:' || member THEN amount ELSE 0 END \
         - CASE WHEN debit = 'member:' || member THEN amount ELSE 0 END) AS BIGINT)",
    );
    let mut query = transfers::table
        .filter(transfers::chain.eq(chain.as_str()))
        .filter(transfers::member.gt(after))
        .group_by(transfers::member)
        .select((transfers::member, balance))
        .into_boxed();
    if let Some(last) = last {
        query = query.filter(transfers::member.le(last));
    }
    let sums: Vec<(String, i64)> = query.load(conn)?;
    Ok(sums.into_iter().map(|(member, sum)| (member, Points(sum))).collect())
}
