//! Writing many rows: how the two databases like it.
//!
//! SQLite runs prepared statements, one for so many rows and one for each row that is left: there is no way to a server to
//! save, and a statement of varying length would be prepared every time. PostgreSQL gets many rows in one statement,
//! because every statement costs a round trip.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::sqlite::Sqlite;

/// Rows in one PostgreSQL statement: 16 columns of them stay far below its 65,535 parameters.
pub(super) const ROWS_PER_STATEMENT: usize = 1_000;

/// Rows in one SQLite statement, when there are as many: another row costs three quarters of another statement.
pub(super) const ROWS_PER_BLOCK: usize = 8;

/// An insert of several rows into SQLite.
pub(super) struct Block<First, More, const MORE: usize> {
    pub(super) table: &'static str,
    /// The columns, and the values of the first row.
    pub(super) first: First,
    /// The values of the others.
    pub(super) more: [More; MORE],
}

impl<First, More, const MORE: usize> QueryFragment<Sqlite> for Block<First, More, MORE>
where
    First: QueryFragment<Sqlite>,
    More: QueryFragment<Sqlite>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        // A row that is refused ends the transaction. Without saying so, SQLite would copy every page that it touches, to
        // undo the rows before it: https://sqlite.org/lang_conflict.html
        out.push_sql("INSERT OR FAIL INTO ");
        out.push_identifier(self.table)?;
        out.push_sql(" ");
        self.first.walk_ast(out.reborrow())?;
        for values in &self.more {
            out.push_sql(", (");
            values.walk_ast(out.reborrow())?;
            out.push_sql(")");
        }
        Ok(())
    }
}

/// Inserts all rows of a table, given as `&[&Row]`. When it fails, some may be there: the transaction is to be undone.
macro_rules! insert_all {
    ($conn:expr, $table:ident, $rows:expr) => {
        match $conn {
            $crate::store::connection::DbConn::Sqlite(c) => {
                let (blocks, rest) = $rows.as_chunks::<{ $crate::store::batch::ROWS_PER_BLOCK }>();
                for block in blocks {
                    let [first, more @ ..] = block.map(diesel::Insertable::<$table::table>::values);
                    let more = more.map(|row| row.values);
                    let block = $crate::store::batch::Block { table: stringify!($table), first, more };
                    $crate::store::fixed::fixed!(block).run(c)?;
                }
                rest.iter().try_for_each(|row| {
                    $crate::store::fixed::fixed!(diesel::insert_into($table::table).values(*row)).run(c)
                })
            }
            $crate::store::connection::DbConn::Postgres(c) => {
                $rows.chunks($crate::store::batch::ROWS_PER_STATEMENT).try_for_each(|rows| {
                    diesel::insert_into($table::table).values(rows.to_vec()).execute(c).map(drop)
                })
            }
        }
    };
}

/// Runs an insert that may pass rows over, given as `&[&Row]`, and answers for each row, in order, whether it took
/// effect; of rows with the same key only the first does. Needs the columns of the key and the key of a row.
macro_rules! which_took_effect {
    ($conn:expr, $rows:expr, |$values:ident| $insert:expr, $columns:expr, |$row:ident| -> $Key:ty { $key:expr }) => {
        match $conn {
            $crate::store::connection::DbConn::Sqlite(c) => $rows
                .iter()
                .map(|row| {
                    let $values = *row;
                    Ok($crate::store::fixed::fixed!($insert).count(c)? == 1)
                })
                .collect::<diesel::QueryResult<Vec<bool>>>(),
            $crate::store::connection::DbConn::Postgres(c) => {
                let mut effective = std::collections::HashSet::<$Key>::with_capacity($rows.len());
                for rows in $rows.chunks($crate::store::batch::ROWS_PER_STATEMENT) {
                    let $values = rows.to_vec();
                    effective.extend($insert.returning($columns).load::<$Key>(c)?);
                }
                Ok($rows.iter().map(|$row| effective.remove(&$key)).collect())
            }
        }
    };
}

pub(super) use {insert_all, which_took_effect};
