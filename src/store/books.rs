//! Whether the books are in order: every stored total against what it is the total of, and every row that another one
//! names. Nothing is changed; a server may be writing meanwhile.

mod deliveries;
mod holdings;
mod ledger;
mod totals;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::connection::{DbConn, at_one_instant, on_backend};
use super::error::StoreError;
use crate::domain::chain::ChainId;
use crate::domain::ids::MemberId;
use crate::domain::ledger::Account;
use crate::domain::money::Points;

/// The most findings of one kind that are asked for.
const MOST_FINDINGS: i64 = 1_000;

/// Something that is wrong with the books of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The chain.
    pub chain: ChainId,
    /// What is wrong.
    pub what: Wrong,
}

/// What is wrong with the books.
#[derive(Debug, Clone, PartialEq)]
pub enum Wrong {
    /// A balance is not the sum of its ledger lines.
    Unbalanced {
        /// Whose account: `member:` what they can spend, `pending:` what they cannot spend yet.
        account: Account,
        /// The wallet's code.
        wallet: String,
        /// The sum of the ledger lines.
        ledger: Points,
        /// The stored balance; `None` when there are lines but no such member.
        stored: Option<Points>,
    },
    /// The lots of a wallet do not add up to what can be spent.
    Lots {
        /// Whose wallet.
        member: MemberId,
        /// Its code.
        wallet: String,
        /// The sum of the lots.
        lots: Points,
        /// The stored balance.
        stored: Points,
    },
    /// A merge let points go that did not arrive, or more arrived than went.
    Adrift {
        /// The source event of the merge.
        source: String,
        /// The wallet's code.
        wallet: String,
        /// What stayed under way; below zero, what came from nowhere.
        amount: i64,
    },
    /// A ledger line stands in the history of a member whose points it does not move.
    Misplaced {
        /// The line.
        line: String,
        /// The member.
        member: String,
    },
    /// The ledger lines of a member are not one row, each naming the one before it.
    Torn {
        /// The member.
        member: String,
    },
    /// A number that is counted along is not what it counts.
    Miscounted {
        /// Of what, as people say it.
        what: String,
        /// How many there are.
        found: i64,
        /// How many were counted.
        stored: i64,
    },
    /// The numbers of the deliveries to an endpoint have gaps.
    Gaps {
        /// The endpoint.
        endpoint: String,
    },
    /// What a delivery is said to be does not go with when it is due or was settled.
    Undecided {
        /// The delivery.
        delivery: String,
        /// What it is said to be.
        status: String,
    },
    /// Of what is owed in a lane, not the first alone is due.
    Unordered {
        /// The endpoint.
        endpoint: String,
        /// The lane: a member's, or `*`.
        lane: String,
        /// How many of the lane are due.
        due: i64,
        /// How many are owed.
        owed: i64,
    },
    /// A row is not there, though another one names it.
    Missing {
        /// The table it should be in.
        table: &'static str,
        /// Its id.
        id: String,
        /// What names it.
        named_by: String,
    },
}

/// Recomputes every total of one chain or of all, and names those that do not agree; and the rows that are missing.
///
/// That debits equal credits needs no check: a line is both.
pub fn verify(conn: &mut DbConn, chain: Option<&ChainId>) -> Result<Vec<Finding>, StoreError> {
    let chains = match chain {
        Some(chain) => vec![chain.clone()],
        None => super::chain::list(conn)?.into_iter().map(|c| c.id).collect(),
    };
    let mut findings = Vec::new();
    for chain in chains {
        let mut wrong = Vec::new();
        let mut after = String::new(); // sorts before every id
        // Members and lines as of one instant: a server may be writing both.
        while let Some(last) =
            at_one_instant(conn, |conn| ledger::verify_page(conn, &chain, &after, &mut wrong))?
        {
            after = last;
        }
        ledger::verify_lines(conn, &chain, &mut wrong)?;
        totals::verify(conn, &chain, &mut wrong)?;
        holdings::verify(conn, &chain, &mut wrong)?;
        deliveries::verify(conn, &chain, &mut wrong)?;
        findings.extend(wrong.into_iter().map(|what| Finding { chain: chain.clone(), what }));
    }
    Ok(findings)
}

/// What an ad-hoc query finds: something, of something, and two numbers.
#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    about: String,
    #[diesel(sql_type = BigInt)]
    found: i64,
    #[diesel(sql_type = BigInt)]
    stored: i64,
}

/// What a query about a chain (`$1`) finds, which is one statement and so as of one instant.
fn look(conn: &mut DbConn, chain: &ChainId, query: &str) -> QueryResult<Vec<Found>> {
    let query = diesel::sql_query(format!("{query} LIMIT {MOST_FINDINGS}")).bind::<Text, _>(chain.as_str());
    on_backend!(conn, |c| query.load(c))
}
