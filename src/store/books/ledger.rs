//! Members' balances and lots, the ledger's lines, and how they hang together.

use std::collections::{HashMap, HashSet};

use diesel::dsl::{exists, not, sql};
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::{Wrong, look};
use crate::domain::chain::ChainId;
use crate::domain::ledger::Account;
use crate::domain::member::Member;
use crate::domain::money::Points;
use crate::store::batch::ROWS_PER_STATEMENT;
use crate::store::connection::DbConn;
use crate::store::error::StoreError;
use crate::store::member::MemberRow;
use crate::store::row::Row;
use crate::store::schema::{loyalty_events, members, redemptions, source_events, transfers};

/// Members that are held in memory at a time. The whole ledger is read for each so many.
const PAGE: i64 = 50_000;

/// Checks the members that follow `after`. Answers the last of them, or `None` when it has seen the end.
pub(super) fn verify_page(
    conn: &mut DbConn,
    chain: &ChainId,
    after: &str,
    wrong: &mut Vec<Wrong>,
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
    compare(&members, sums, wrong)?;
    find_named(conn, chain, &members, wrong)?;
    find_previous(conn, chain, after, last.as_deref(), wrong)?;
    Ok(last)
}

/// Compares what members are told with what their lines, and their lots, add up to.
fn compare(
    members: &[Member],
    mut sums: HashMap<(String, String), Points>,
    wrong: &mut Vec<Wrong>,
) -> Result<(), StoreError> {
    for member in members {
        for (code, wallet) in member.standing.wallets.iter() {
            let balances = [
                (Account::Member(member.id), wallet.balance()),
                (Account::Pending(member.id), wallet.pending()),
            ];
            for (account, stored) in balances {
                let ledger = sums.remove(&(account.to_string(), code.to_string())).unwrap_or_default();
                if stored != ledger {
                    let (wallet, stored) = (code.to_string(), Some(stored));
                    wrong.push(Wrong::Unbalanced { account, wallet, ledger, stored });
                }
            }
            let lots = Points(wallet.lots().map(|lot| lot.remaining.0).sum());
            let stored = wallet.balance();
            if lots != stored.max(Points::ZERO) {
                wrong.push(Wrong::Lots { member: member.id, wallet: code.to_string(), lots, stored });
            }
        }
    }
    let known: HashSet<_> = members.iter().map(|member| member.id).collect();
    for ((account, wallet), ledger) in sums {
        let account: Account = Row { table: "transfers", id: &account }.parse("credit", &account)?;
        // A wallet that a member does not have holds nothing.
        let stored = match account {
            Account::Member(id) | Account::Pending(id) if known.contains(&id) => Some(Points::ZERO),
            _ => None,
        };
        if stored != Some(ledger) {
            wrong.push(Wrong::Unbalanced { account, wallet, ledger, stored });
        }
    }
    Ok(())
}

/// Looks for the loyalty events and the lines that members name as their latest, and for redemptions that they carry.
fn find_named(
    conn: &mut DbConn,
    chain: &ChainId,
    members: &[Member],
    wrong: &mut Vec<Wrong>,
) -> QueryResult<()> {
    macro_rules! find {
        ($table:ident, $members:expr, $names:expr) => {{
            let names = $names;
            let named: Vec<(&Member, String)> =
                $members.iter().flat_map(|member| names(member).map(move |id| (member, id))).collect();
            for named in named.chunks(ROWS_PER_STATEMENT) {
                let there = $table::table
                    .filter($table::chain.eq(chain.as_str()))
                    .filter($table::id.eq_any(named.iter().map(|(_, id)| id)))
                    .select($table::id)
                    .load::<String>(conn)?;
                let there: HashSet<_> = there.into_iter().collect();
                let missing = named.iter().filter(|(_, id)| !there.contains(id));
                wrong.extend(missing.map(|(member, id)| Wrong::Missing {
                    table: stringify!($table),
                    id: id.clone(),
                    named_by: format!("member {}", member.id),
                }));
            }
        }};
    }
    for members in members.chunks(ROWS_PER_STATEMENT) {
        find!(loyalty_events, members, |m: &Member| m.latest.event.map(|id| id.to_string()).into_iter());
        find!(transfers, members, |m: &Member| m.latest.transfer.map(|id| id.to_string()).into_iter());
        find!(source_events, members, |m: &Member| m.latest.source.map(|id| id.to_string()).into_iter());
        find!(redemptions, members, |m: &Member| {
            m.standing.redemptions.ids().map(|id| id.to_string()).collect::<Vec<_>>().into_iter()
        });
    }
    Ok(())
}

/// Looks for the lines before those of the members after `after`, up to `last`.
fn find_previous(
    conn: &mut DbConn,
    chain: &ChainId,
    after: &str,
    last: Option<&str>,
    wrong: &mut Vec<Wrong>,
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
    wrong.extend(query.load::<(String, String)>(conn)?.into_iter().map(|(line, id)| Wrong::Missing {
        table: "transfers",
        id,
        named_by: format!("ledger line {line}"),
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

/// Lines that move the points of somebody else than the member they are about.
const MISPLACED: &str = "\
    SELECT id AS name, member AS about, amount AS found, amount AS stored FROM transfers
    WHERE chain = $1 AND NOT (
        (debit LIKE 'chain:%' OR debit = 'member:' || member OR debit = 'pending:' || member)
        AND (credit LIKE 'chain:%' OR credit = 'member:' || member OR credit = 'pending:' || member))
    ORDER BY id";

/// Members whose lines begin more than once, or not at all, or branch.
const TORN: &str = "\
    SELECT member AS name, member AS about, COUNT(*) AS found, COUNT(previous) AS stored FROM transfers
    WHERE chain = $1 GROUP BY member
    HAVING COUNT(*) - COUNT(previous) <> 1 OR COUNT(previous) <> COUNT(DISTINCT previous)
    ORDER BY member";

/// Merges that gave less or more than they took.
const ADRIFT: &str = "\
    SELECT COALESCE(source, 'no event') AS name, wallet AS about,
        CAST(SUM(CASE WHEN credit = 'chain:merged' THEN amount ELSE -amount END) AS BIGINT) AS found,
        COUNT(*) AS stored
    FROM transfers WHERE chain = $1 AND (credit = 'chain:merged' OR debit = 'chain:merged')
    GROUP BY source, wallet
    HAVING SUM(CASE WHEN credit = 'chain:merged' THEN amount ELSE -amount END) <> 0
    ORDER BY source, wallet";

/// Checks the lines for themselves.
pub(super) fn verify_lines(
    conn: &mut DbConn,
    chain: &ChainId,
    wrong: &mut Vec<Wrong>,
) -> Result<(), StoreError> {
    let misplaced = look(conn, chain, MISPLACED)?;
    wrong.extend(misplaced.into_iter().map(|row| Wrong::Misplaced { line: row.name, member: row.about }));
    let torn = look(conn, chain, TORN)?;
    wrong.extend(torn.into_iter().map(|row| Wrong::Torn { member: row.name }));
    let adrift = look(conn, chain, ADRIFT)?;
    wrong.extend(adrift.into_iter().map(|row| Wrong::Adrift {
        source: row.name,
        wallet: row.about,
        amount: row.found,
    }));
    Ok(())
}
