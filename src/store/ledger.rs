//! The ledger: its lines, and whether they add up to what members are told.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use diesel::dsl::{exists, not, sql};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use serde::Serialize;

use super::batch::{ROWS_PER_STATEMENT, insert_all};
use super::connection::{DbConn, at_one_instant};
use super::error::StoreError;
use super::member::MemberRow;
use super::row::Row;
use super::schema::{loyalty_events, members, source_events, transfers};
use super::trail::{self, Link};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::effect::Cause;
use crate::domain::ids::{MemberId, SourceId, TransferId};
use crate::domain::ledger::{Account, Transfer};
use crate::domain::member::Member;
use crate::domain::money::Points;

/// Members that [`verify`] holds in memory at a time. It reads the whole ledger for each so many.
const PAGE: i64 = 50_000;

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

/// What is wrong with the books.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// A balance does not agree with its lines.
    Unbalanced(Mismatch),
    /// A row is not there.
    Missing(Missing),
}

/// A row that is not there, though another one names it: nobody sees what came before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Missing {
    /// The chain.
    pub chain: ChainId,
    /// The table it should be in.
    pub table: &'static str,
    /// Its id.
    pub id: String,
    /// The member, or the ledger line, that names it.
    pub named_by: String,
}

/// A balance that is not the sum of its ledger lines, or whose lots do not add up to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mismatch {
    /// The chain.
    pub chain: ChainId,
    /// Whose account: `member:` what they can spend, `pending:` what they cannot spend yet.
    pub account: Account,
    /// The wallet's code.
    pub wallet: String,
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

/// Recomputes every balance from the ledger, of one chain or of all, and names those that do not agree. Names, too, the
/// rows that are missing between a member and their first line.
///
/// That debits equal credits needs no check: a line is both.
pub fn verify(conn: &mut DbConn, chain: Option<&ChainId>) -> Result<Vec<Finding>, StoreError> {
    let chains = match chain {
        Some(chain) => vec![chain.clone()],
        None => super::chain::list(conn)?.into_iter().map(|c| c.id).collect(),
    };
    let mut findings = Vec::new();
    for chain in chains {
        let mut after = String::new(); // sorts before every id
        // Members and lines as of one instant: a server may be writing both.
        while let Some(last) = at_one_instant(conn, |conn| verify_page(conn, &chain, &after, &mut findings))?
        {
            after = last;
        }
    }
    Ok(findings)
}

/// Checks the members that follow `after`. Answers the last of them, or `None` when it has seen the end.
fn verify_page(
    conn: &mut DbConn,
    chain: &ChainId,
    after: &str,
    findings: &mut Vec<Finding>,
) -> Result<Option<String>, StoreError> {
    let rows = members::table
        .filter(members::chain.eq(chain.as_str()))
        .filter(members::id.gt(after))
        .select(MemberRow::as_select())
        .order(members::id)
        .limit(PAGE)
        .load(conn)?;
    let last = rows.last().map(|row| row.id.clone()).filter(|_| rows.len() as i64 == PAGE);
    let members = rows.into_iter().map(MemberRow::read).collect::<Result<Vec<_>, _>>()?;
    let sums = sums(conn, chain, after, last.as_deref())?;
    compare(chain, &members, sums, findings)?;
    find_latest(conn, chain, &members, findings)?;
    find_previous(conn, chain, after, last.as_deref(), findings)?;
    Ok(last)
}

/// Compares what members are told with what their lines add up to.
fn compare(
    chain: &ChainId,
    members: &[Member],
    mut sums: HashMap<(String, String), Points>,
    findings: &mut Vec<Finding>,
) -> Result<(), StoreError> {
    let mut compare = |account, wallet: String, ledger, stored| {
        if stored != Some(ledger) {
            let mismatch = Mismatch { chain: chain.clone(), account, wallet, ledger, stored };
            findings.push(Finding::Unbalanced(mismatch));
        }
    };
    for member in members {
        for (code, wallet) in member.standing.wallets.iter() {
            let balances = [
                (Account::Member(member.id), wallet.balance()),
                (Account::Pending(member.id), wallet.pending()),
            ];
            for (account, stored) in balances {
                let ledger = sums.remove(&(account.to_string(), code.to_string())).unwrap_or_default();
                compare(account, code.to_string(), ledger, Some(stored));
            }
        }
    }
    for ((account, wallet), ledger) in sums {
        let account = Row { table: "transfers", id: &account }.parse("credit", &account)?;
        compare(account, wallet, ledger, None);
    }
    Ok(())
}

/// Looks for the loyalty events, the lines and the source events that members name as their latest.
fn find_latest(
    conn: &mut DbConn,
    chain: &ChainId,
    members: &[Member],
    findings: &mut Vec<Finding>,
) -> QueryResult<()> {
    macro_rules! find {
        ($table:ident, $latest:ident, $members:expr) => {{
            let latest = |member: &Member| member.latest.$latest.map(|id| id.to_string());
            let there = $table::table
                .filter($table::chain.eq(chain.as_str()))
                .filter($table::id.eq_any($members.iter().filter_map(latest)))
                .select($table::id)
                .load::<String>(conn)?;
            let there: HashSet<_> = there.into_iter().collect();
            let missing = $members.iter().filter_map(|member| Some((member, latest(member)?)));
            findings.extend(missing.filter(|(_, id)| !there.contains(id)).map(|(member, id)| {
                let (table, named_by) = (stringify!($table), format!("member {}", member.id));
                Finding::Missing(Missing { chain: chain.clone(), table, id, named_by })
            }));
        }};
    }
    for members in members.chunks(ROWS_PER_STATEMENT) {
        find!(loyalty_events, event, members);
        find!(transfers, transfer, members);
        find!(source_events, source, members);
    }
    Ok(())
}

/// Looks for the lines before those of the members after `after`, up to `last`.
fn find_previous(
    conn: &mut DbConn,
    chain: &ChainId,
    after: &str,
    last: Option<&str>,
    findings: &mut Vec<Finding>,
) -> QueryResult<()> {
    let earlier = diesel::alias!(transfers as earlier);
    let before = earlier
        .filter(earlier.field(transfers::chain).eq(transfers::chain))
        .filter(earlier.field(transfers::id).nullable().eq(transfers::previous));
    let mut query = transfers::table
        .filter(transfers::chain.eq(chain.as_str()))
        .filter(transfers::member.gt(after))
        .filter(transfers::previous.is_not_null())
        .filter(not(exists(before)))
        .order(transfers::id)
        .select((transfers::id, transfers::previous.assume_not_null()))
        .into_boxed();
    if let Some(last) = last {
        query = query.filter(transfers::member.le(last));
    }
    findings.extend(query.load::<(String, String)>(conn)?.into_iter().map(|(line, id)| {
        let named_by = format!("ledger line {line}");
        Finding::Missing(Missing { chain: chain.clone(), table: "transfers", id, named_by })
    }));
    Ok(())
}

/// What the lines of the members after `after`, up to `last`, add up to, by account and wallet.
fn sums(
    conn: &mut DbConn,
    chain: &ChainId,
    after: &str,
    last: Option<&str>,
) -> Result<HashMap<(String, String), Points>, StoreError> {
    let mut sums = HashMap::new();
    macro_rules! add {
        ($side:expr, $sign:tt) => {{
            let mut query = transfers::table
                .filter(transfers::chain.eq(chain.as_str()))
                .filter(transfers::member.gt(after))
                .filter($side.not_like("chain:%"))
                .group_by(($side, transfers::wallet))
                // PostgreSQL sums whole numbers into a decimal, hence the cast.
                .select(($side, transfers::wallet, sql::<BigInt>("CAST(SUM(amount) AS BIGINT)")))
                .into_boxed();
            if let Some(last) = last {
                query = query.filter(transfers::member.le(last));
            }
            for (account, wallet, total) in query.load::<(String, String, i64)>(conn)? {
                sums.entry((account, wallet)).or_insert(Points::ZERO).0 $sign total;
            }
        }};
    }
    add!(transfers::credit, +=);
    add!(transfers::debit, -=);
    Ok(sums)
}
