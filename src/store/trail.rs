//! Rows that name the one before them: a member's loyalty events, a member's ledger lines.
//!
//! An index by member would do the same, but each commit would write it in another place: measured on SQLite, such
//! indexes were more than half of all pages written.

use diesel::deserialize::QueryableByName;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;

use super::connection::{DbConn, on_backend};
use crate::domain::chain::ChainId;

/// At most `limit` rows of `table`: the one called `from`, the one before it, and so on.
pub(super) fn walk<R>(
    conn: &mut DbConn,
    table: &'static str,
    chain: &ChainId,
    from: &str,
    limit: i64,
) -> QueryResult<Vec<R>>
where
    R: QueryableByName<Sqlite> + QueryableByName<Pg> + 'static,
{
    let text = format!(
        "WITH RECURSIVE trail(nth, chain, id, previous) AS (
            SELECT 1, chain, id, previous FROM {table} WHERE chain = $1 AND id = $2
            UNION ALL
            SELECT nth + 1, earlier.chain, earlier.id, earlier.previous
            FROM trail JOIN {table} AS earlier ON earlier.chain = trail.chain AND earlier.id = trail.previous
            WHERE nth < $3
        )
        SELECT {table}.* FROM trail JOIN {table} USING (chain, id) ORDER BY nth"
    );
    let query = diesel::sql_query(text)
        .bind::<Text, _>(chain.as_str())
        .bind::<Text, _>(from)
        .bind::<BigInt, _>(limit);
    on_backend!(conn, |c| query.load(c))
}
