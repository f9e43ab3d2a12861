//! Rows that name the one before them: a member's loyalty events, ledger lines, and source events.
//!
//! An index by member would do the same, but each commit would write it in another place: measured on SQLite, such
//! indexes were more than half of all pages written.

use diesel::deserialize::QueryableByName;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;

use super::connection::{DbConn, on_backend};
use super::error::StoreError;
use super::row::Row;
use crate::domain::chain::ChainId;

/// A row that names the one before it.
pub(super) trait Link: QueryableByName<Sqlite> + QueryableByName<Pg> + 'static {
    /// Where such rows are.
    const TABLE: &'static str;

    /// The one before it; `None` for the first.
    fn previous(&self) -> Option<&str>;
}

/// The table `trail` of a query: of the chain `$1` the row `$2`, the one before it, and so on, `$3` at most.
fn backwards(table: &str) -> String {
    format!(
        "WITH RECURSIVE trail(nth, chain, id, previous) AS (
            SELECT 1, chain, id, previous FROM {table} WHERE chain = $1 AND id = $2
            UNION ALL
            SELECT nth + 1, earlier.chain, earlier.id, earlier.previous
            FROM trail JOIN {table} AS earlier ON earlier.chain = trail.chain AND earlier.id = trail.previous
            WHERE nth < $3
        )"
    )
}

/// At most `limit` rows: the one called `from`, the one before it, and so on to the first. A row that is named and not
/// there is damage: an end without it would read as the beginning.
pub(super) fn walk<R: Link>(
    conn: &mut DbConn,
    chain: &ChainId,
    from: &str,
    limit: i64,
) -> Result<Vec<R>, StoreError> {
    let table = R::TABLE;
    let trail = backwards(table);
    let text = format!("{trail} SELECT {table}.* FROM trail JOIN {table} USING (chain, id) ORDER BY nth");
    let query = diesel::sql_query(text)
        .bind::<Text, _>(chain.as_str())
        .bind::<Text, _>(from)
        .bind::<BigInt, _>(limit);
    let rows: Vec<R> = on_backend!(conn, |c| query.load(c))?;
    let next = rows.last().map_or(Some(from), R::previous);
    match next {
        Some(id) if (rows.len() as i64) < limit => {
            Err(Row { table, id }.corrupt("another row says that it comes before it, but it is not there"))
        }
        _ => Ok(rows),
    }
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Nullable<Text>)]
    previous: Option<String>,
}

/// The ids of the row called `from`, of the one before it, and so on to the first. When there are more than `most`, some
/// more than that.
pub(super) fn ids<R: Link>(
    conn: &mut DbConn,
    chain: &ChainId,
    from: &str,
    most: usize,
) -> Result<Vec<String>, StoreError> {
    /// Rows in one look.
    const STEPS: i64 = 4_096;
    let table = R::TABLE;
    let text = format!("{} SELECT id, previous FROM trail ORDER BY nth", backwards(table));
    let (mut ids, mut next) = (Vec::new(), Some(from.to_owned()));
    while ids.len() <= most
        && let Some(from) = next.take()
    {
        let query = diesel::sql_query(&text)
            .bind::<Text, _>(chain.as_str())
            .bind::<Text, _>(&from)
            .bind::<BigInt, _>(STEPS);
        let steps: Vec<Step> = on_backend!(conn, |c| query.load(c))?;
        next = steps.last().map_or(Some(from), |step| step.previous.clone());
        match next {
            Some(id) if (steps.len() as i64) < STEPS => {
                let missing = "another row says that it comes before it, but it is not there";
                return Err(Row { table, id: &id }.corrupt(missing));
            }
            _ => ids.extend(steps.into_iter().map(|step| step.id)),
        }
    }
    Ok(ids)
}
