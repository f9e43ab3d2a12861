//! What members have of coupons, when two of them turn out to be one person, or not to be.
//!
//! It can be any number of rows, so it moves within the database. The fences of both members guard it.

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::domain::chain::ChainId;
use crate::domain::commit::CouponsMove;
use crate::store::connection::{DbConn, on_backend};
use crate::store::error::StoreError;

// SQLite numbers parameters as they first appear, whatever they are called.

/// What the first one ($3) has counts as the second one's ($1) too; the rows of the first stay, so that it is known what they had.
const JOIN: [&str; 2] = [
    "INSERT INTO coupon_holdings (chain, member, code, book, assigned, used, expires_at, worth_until)
     SELECT chain, $1, code, book, assigned, used, expires_at, worth_until FROM coupon_holdings
     WHERE chain = $2 AND member = $3
     ON CONFLICT (chain, member, code) DO UPDATE SET
        assigned = coupon_holdings.assigned + excluded.assigned,
        used = coupon_holdings.used + excluded.used,
        expires_at = CASE
            WHEN coupon_holdings.assigned = 0 THEN excluded.expires_at
            WHEN excluded.assigned = 0 THEN coupon_holdings.expires_at
            WHEN coupon_holdings.expires_at > excluded.expires_at THEN coupon_holdings.expires_at
            WHEN coupon_holdings.expires_at IS NULL THEN NULL
            ELSE excluded.expires_at END,
        worth_until = CASE
            WHEN coupon_holdings.worth_until IS NULL THEN excluded.worth_until
            WHEN coupon_holdings.worth_until < excluded.worth_until THEN excluded.worth_until
            ELSE coupon_holdings.worth_until END",
    "INSERT INTO coupon_tallies (chain, member, book, assigned, used)
     SELECT chain, $1, book, assigned, used FROM coupon_tallies WHERE chain = $2 AND member = $3
     ON CONFLICT (chain, member, book) DO UPDATE SET
        assigned = coupon_tallies.assigned + excluded.assigned,
        used = coupon_tallies.used + excluded.used",
];

/// Of what the second one ($3) had there is no more than the first one ($2) still has. Uses are counted anew.
const CUT_DOWN: &str = "UPDATE coupon_holdings AS own SET
        used = 0,
        assigned = CASE WHEN own.assigned < kept.assigned THEN own.assigned ELSE kept.assigned END
     FROM coupon_holdings AS kept
     WHERE kept.chain = $1 AND kept.member = $2
        AND own.chain = kept.chain AND own.member = $3 AND kept.code = own.code";

/// Uses are theirs ($3) whose they were when they were made ($2), so that who may take one back is who has it counted.
const COUNT_USES: &str = "UPDATE coupon_holdings SET used = used + (
        SELECT COUNT(*) FROM coupon_usages AS done
        WHERE done.chain = $1 AND done.member = $2 AND done.code = coupon_holdings.code
            AND done.kind = 'used' AND done.reverted_by IS NULL)
     WHERE chain = $1 AND member = $3";

/// Of what they did not use as much is theirs as is unused. Then the first one loses as much. Rows of which nothing is
/// left stay: who was absorbed before knows by them that there is nothing. What a code is worth to
/// whom may be too much by this, never too little ([`Worth`](crate::domain::coupon::Worth)).
const PART: [&str; 6] = [
    "UPDATE coupon_holdings AS own SET
        assigned = CASE
            WHEN own.assigned <= own.used THEN own.assigned
            WHEN kept.assigned <= kept.used THEN own.used
            WHEN own.assigned - own.used < kept.assigned - kept.used THEN own.assigned
            ELSE own.used + kept.assigned - kept.used END,
        worth_until = CASE
            WHEN own.assigned > 0 AND own.used = 0 AND kept.assigned <= kept.used THEN NULL
            WHEN own.worth_until IS NULL OR own.worth_until < kept.worth_until THEN kept.worth_until
            ELSE own.worth_until END
     FROM coupon_holdings AS kept
     WHERE kept.chain = $1 AND kept.member = $2
        AND own.chain = kept.chain AND own.member = $3 AND kept.code = own.code",
    "UPDATE coupon_holdings AS kept SET
        assigned = kept.assigned - own.assigned,
        used = CASE WHEN kept.used > own.used THEN kept.used - own.used ELSE 0 END,
        worth_until = CASE
            WHEN kept.assigned > own.assigned THEN COALESCE(kept.worth_until, kept.expires_at, 9223372036854775807)
            WHEN own.assigned = 0 THEN kept.worth_until END
     FROM coupon_holdings AS own
     WHERE kept.chain = $1 AND kept.member = $2
        AND own.chain = kept.chain AND own.member = $3 AND own.code = kept.code",
    "UPDATE coupon_holdings SET expires_at = NULL
     WHERE chain = $1 AND (member = $2 OR member = $3) AND assigned = 0",
    "UPDATE coupon_tallies AS own SET assigned = kept.assigned
     FROM coupon_tallies AS kept
     WHERE kept.chain = $1 AND kept.member = $2
        AND own.chain = kept.chain AND own.member = $3 AND kept.book = own.book AND kept.assigned < own.assigned",
    "UPDATE coupon_tallies AS kept SET assigned = kept.assigned - own.assigned
     FROM coupon_tallies AS own
     WHERE kept.chain = $1 AND kept.member = $2
        AND own.chain = kept.chain AND own.member = $3 AND own.book = kept.book",
    "UPDATE coupon_tallies SET used = (
        SELECT COALESCE(SUM(had.used), 0) FROM coupon_holdings AS had
        WHERE had.chain = coupon_tallies.chain AND had.member = coupon_tallies.member AND had.book = coupon_tallies.book)
     WHERE chain = $1 AND (member = $2 OR member = $3)",
];

/// Moves it.
pub(in crate::store) fn hand_over(
    conn: &mut DbConn,
    chain: &ChainId,
    moved: &CouponsMove,
) -> Result<(), StoreError> {
    let chain = chain.as_str();
    match moved {
        CouponsMove::Join { from, to } => {
            let (from, to) = (from.to_string(), to.to_string());
            JOIN.iter().try_for_each(|statement| run(conn, statement, [&to, chain, &from]))?;
        }
        CouponsMove::Part { from, to, absorbed } => {
            let (from, to) = (from.to_string(), to.to_string());
            run(conn, CUT_DOWN, [chain, &from, &to])?;
            run(conn, COUNT_USES, [chain, &to, &to])?;
            for absorbed in absorbed {
                run(conn, COUNT_USES, [chain, &absorbed.to_string(), &to])?;
            }
            PART.iter().try_for_each(|statement| run(conn, statement, [chain, &from, &to]))?;
        }
    }
    Ok(())
}

fn run(conn: &mut DbConn, statement: &str, [first, second, third]: [&str; 3]) -> QueryResult<()> {
    let query =
        diesel::sql_query(statement).bind::<Text, _>(first).bind::<Text, _>(second).bind::<Text, _>(third);
    on_backend!(conn, |c| query.execute(c)).map(drop)
}
