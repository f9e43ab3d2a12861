//! Writing many rows: how the two databases like it.
//!
//! SQLite runs prepared statements of one length or two: there is no way to the server to save, and a statement of varying
//! length would be prepared every time. PostgreSQL gets many rows in one statement, because every statement costs a round
//! trip.

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment};

/// Rows in one PostgreSQL statement: 16 columns of them stay far below its 65,535 parameters.
pub(super) const ROWS_PER_STATEMENT: usize = 1_000;

/// Rows in one SQLite statement, when there are as many: a row more of a statement costs two thirds of a statement more.
pub(super) const ROWS_PER_BLOCK: usize = 8;

/// An insert of one row, made one of several.
pub(super) struct Block<I, V, const MORE: usize> {
    pub(super) first: I,
    pub(super) more: [V; MORE],
}

impl<DB: Backend, I: QueryFragment<DB>, V: QueryFragment<DB>, const MORE: usize> QueryFragment<DB>
    for Block<I, V, MORE>
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.first.walk_ast(out.reborrow())?;
        for values in &self.more {
            out.push_sql(", (");
            values.walk_ast(out.reborrow())?;
            out.push_sql(")");
        }
        Ok(())
    }
}

/// Inserts all rows of a table, given as `&[&Row]`.
macro_rules! insert_all {
    ($conn:expr, $table:ident, $rows:expr) => {
        match $conn {
            $crate::store::connection::DbConn::Sqlite(c) => {
                let (blocks, rest) = $rows.as_chunks::<{ $crate::store::batch::ROWS_PER_BLOCK }>();
                for [first, more @ ..] in blocks {
                    let first = diesel::insert_into($table::table).values(*first);
                    let more = more.map(|row| diesel::Insertable::<$table::table>::values(row).values);
                    $crate::store::fixed::fixed!($crate::store::batch::Block { first, more }).run(c)?;
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
