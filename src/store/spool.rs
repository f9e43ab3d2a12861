//! A log put in order: its lines by guest, in a file of its own that is gone afterwards. So a log of any length takes no
//! more memory than a short one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use tempfile::TempDir;

use super::error::StoreError;

use schema::{lines, names};

mod schema {
    #![allow(missing_docs, unreachable_pub, reason = "written by a macro of diesel")]

    diesel::table! {
        lines (line) {
            line -> BigInt,
            guest -> BigInt,
            body -> Text,
        }
    }

    diesel::table! {
        names (name) {
            name -> Text,
            guest -> BigInt,
        }
    }
}

/// No journal and no waiting for the disk: after a crash nobody wants the file. The pages in memory are bounded.
const TABLES: &str = "
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -65536;
    CREATE TABLE lines (line INTEGER PRIMARY KEY NOT NULL, guest BIGINT NOT NULL, body TEXT NOT NULL);
    CREATE TABLE names (name TEXT PRIMARY KEY NOT NULL, guest BIGINT NOT NULL) WITHOUT ROWID;
    BEGIN";

const IN_ORDER: &str = "COMMIT; CREATE INDEX lines_by_guest ON lines (guest, line)";

/// The lines of a log.
pub struct Spool {
    conn: Mutex<SqliteConnection>,
    _gone_afterwards: TempDir,
}

impl Spool {
    /// An empty one.
    pub fn new() -> Result<Self, StoreError> {
        let dir = tempfile::tempdir().map_err(|e| StoreError::Migrate(format!("no temporary file: {e}")))?;
        let file = dir.path().join("log.db");
        let conn = SqliteConnection::establish(&file.to_string_lossy());
        let mut conn = conn.map_err(|e| StoreError::Migrate(format!("no temporary file: {e}")))?;
        conn.batch_execute(TABLES)?;
        Ok(Self { conn: Mutex::new(conn), _gone_afterwards: dir })
    }

    fn conn(&self) -> MutexGuard<'_, SqliteConnection> {
        self.conn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose a name is.
    pub fn owner(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let owner = names::table.find(name).select(names::guest);
        Ok(owner.get_result(&mut *self.conn()).optional()?)
    }

    /// Gives a name to a guest, if it is nobody's. Answers whether it was.
    pub fn name(&self, name: &str, guest: i64) -> Result<bool, StoreError> {
        let row = (names::name.eq(name), names::guest.eq(guest));
        let insert = diesel::insert_or_ignore_into(names::table).values(row);
        Ok(insert.execute(&mut *self.conn())? == 1)
    }

    /// Keeps a line of a guest.
    pub fn put(&self, guest: i64, line: i64, body: &str) -> Result<(), StoreError> {
        let row = (lines::line.eq(line), lines::guest.eq(guest), lines::body.eq(body));
        diesel::insert_into(lines::table).values(row).execute(&mut *self.conn())?;
        Ok(())
    }

    /// No line comes any more: puts them in order.
    pub fn put_in_order(&self) -> Result<(), StoreError> {
        Ok(self.conn().batch_execute(IN_ORDER)?)
    }

    /// How many guests there are.
    pub fn count(&self) -> Result<u64, StoreError> {
        let count = lines::table.select(diesel::dsl::count(lines::guest).aggregate_distinct());
        let count: i64 = count.get_result(&mut *self.conn())?;
        Ok(count.unsigned_abs())
    }

    /// Some guests, in order, from beyond `after`.
    pub fn guests(&self, after: i64, limit: i64) -> Result<Vec<i64>, StoreError> {
        let guests = lines::table
            .filter(lines::guest.gt(after))
            .select(lines::guest)
            .distinct()
            .order(lines::guest)
            .limit(limit);
        Ok(guests.load(&mut *self.conn())?)
    }

    /// Some lines of a guest, in order, from beyond `after`, with their numbers.
    pub fn lines(&self, guest: i64, after: i64, limit: i64) -> Result<Vec<(i64, String)>, StoreError> {
        let of_guest = lines::table
            .filter(lines::guest.eq(guest))
            .filter(lines::line.gt(after))
            .select((lines::line, lines::body))
            .order(lines::line)
            .limit(limit);
        Ok(of_guest.load(&mut *self.conn())?)
    }
}
