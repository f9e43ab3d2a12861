//! What members have of codes and did with books, against what is written down of each move.
//!
//! After a merge and an un-merge it is no longer written whose each use is, so what all members have together is
//! compared. What somebody who is no member any more had cannot be found in it (of the merged it is the survivor's), so
//! of a code or book that they had to do with the members may have less.

use diesel::prelude::*;

use super::{Wrong, look};
use crate::domain::chain::ChainId;
use crate::store::connection::DbConn;

/// What members count, where, and which moves count for it.
struct Count {
    /// As people say it.
    what: &'static str,
    table: &'static str,
    /// The column that says of which.
    key: &'static str,
    /// The same of a move.
    moved: &'static str,
    /// The column that counts, called like the move that adds to it.
    done: &'static str,
    /// The move that takes away.
    undone: &'static str,
    /// How much more may be counted, for each move.
    slack: &'static str,
}

const COUNTS: [Count; 4] = [
    Count {
        what: "uses of coupon",
        table: "coupon_holdings",
        key: "code",
        moved: "coupon_usages.code",
        done: "used",
        undone: "reverted",
        slack: "0",
    },
    Count {
        what: "assignments of coupon",
        table: "coupon_holdings",
        key: "code",
        moved: "coupon_usages.code",
        done: "assigned",
        undone: "withdrawn",
        slack: "0",
    },
    Count {
        what: "uses of coupon book",
        table: "coupon_tallies",
        key: "book",
        moved: "coupons.book",
        done: "used",
        undone: "reverted",
        slack: "0",
    },
    // Of a book it counts to whom a coupon was given, who need not be who has it since an un-merge and gave it back.
    Count {
        what: "assignments of coupon book",
        table: "coupon_tallies",
        key: "book",
        moved: "coupons.book",
        done: "assigned",
        undone: "withdrawn",
        slack: "CASE kind WHEN 'withdrawn' THEN 1 ELSE 0 END",
    },
];

/// Checks all of it.
pub(super) fn verify(conn: &mut DbConn, chain: &ChainId, wrong: &mut Vec<Wrong>) -> QueryResult<()> {
    wrong.extend(look(conn, chain, MISFILED)?.into_iter().map(|row| Wrong::Missing {
        table: "coupons",
        id: row.name,
        named_by: format!("what member {} has of a book", row.about),
    }));
    for count in &COUNTS {
        wrong.extend(look(conn, chain, &count.compared())?.into_iter().map(|row| {
            let what = format!("{} {} by members", count.what, row.name);
            Wrong::Miscounted { what, found: row.found, stored: row.stored }
        }));
    }
    Ok(())
}

impl Count {
    /// Where the moves and what members counted do not agree.
    fn compared(&self) -> String {
        let Self { what: _, table, key, moved, done, undone, slack } = self;
        format!(
            "SELECT name, '' AS about, CAST(SUM(moved) AS BIGINT) AS found, CAST(SUM(counted) AS BIGINT) AS stored
            FROM (
                SELECT {moved} AS name, CASE kind WHEN '{done}' THEN 1 WHEN '{undone}' THEN -1 ELSE 0 END AS moved,
                    {slack} AS slack, 0 AS counted, CASE WHEN members.ended THEN 1 ELSE 0 END AS ended
                FROM coupon_usages
                JOIN coupons ON coupons.chain = coupon_usages.chain AND coupons.code = coupon_usages.code
                LEFT JOIN members ON members.chain = coupon_usages.chain AND members.id = coupon_usages.member
                WHERE coupon_usages.chain = $1
                UNION ALL
                SELECT {table}.{key}, 0, 0, {table}.{done}, 0 FROM {table}
                JOIN members ON members.chain = {table}.chain AND members.id = {table}.member
                WHERE {table}.chain = $1 AND NOT members.ended
            ) AS sides
            GROUP BY name
            HAVING SUM(counted) > SUM(moved) + SUM(slack) OR (SUM(counted) < SUM(moved) AND MAX(ended) = 0)
            ORDER BY name"
        )
    }
}

/// What members have of codes that are not there, or belong to another book.
const MISFILED: &str = "\
    SELECT coupon_holdings.code AS name, coupon_holdings.member AS about, CAST(0 AS BIGINT) AS found,
        CAST(0 AS BIGINT) AS stored
    FROM coupon_holdings
    WHERE coupon_holdings.chain = $1 AND NOT EXISTS (
        SELECT 1 FROM coupons WHERE coupons.chain = coupon_holdings.chain AND coupons.code = coupon_holdings.code
            AND coupons.book = coupon_holdings.book)
    ORDER BY coupon_holdings.code";
