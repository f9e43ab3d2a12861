//! Writing many rows: how the two databases like it.
//!
//! SQLite runs one prepared statement a row: there is no way to the server to save, and a statement of varying length
//! would be prepared every time. PostgreSQL gets many rows in one statement, because every statement costs a round trip.

/// Rows in one PostgreSQL statement: 16 columns of them stay far below its 65,535 parameters.
pub(super) const ROWS_PER_STATEMENT: usize = 1_000;

/// Inserts all rows of a table, given as `&[&Row]`.
macro_rules! insert_all {
    ($conn:expr, $table:expr, $rows:expr) => {
        match $conn {
            $crate::store::connection::DbConn::Sqlite(c) => $rows.iter().try_for_each(|row| {
                $crate::store::fixed::fixed!(diesel::insert_into($table).values(*row)).run(c)
            }),
            $crate::store::connection::DbConn::Postgres(c) => $rows
                .chunks($crate::store::batch::ROWS_PER_STATEMENT)
                .try_for_each(|rows| diesel::insert_into($table).values(rows.to_vec()).execute(c).map(drop)),
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
