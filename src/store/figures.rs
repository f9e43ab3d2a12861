//! Figures about the database itself.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::{DbConn, on_backend};
use super::error::StoreError;

#[derive(QueryableByName)]
struct Bytes {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

/// How large the database is, in bytes; of SQLite without its log.
pub fn database_bytes(conn: &mut DbConn) -> Result<i64, StoreError> {
    let query = diesel::sql_query(match conn {
        DbConn::Sqlite(_) => {
            "SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()"
        }
        DbConn::Postgres(_) => "SELECT pg_database_size(current_database()) AS bytes",
    });
    let found: Bytes = on_backend!(conn, |c| query.get_result(c))?;
    Ok(found.bytes)
}
