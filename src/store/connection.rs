//! Opening either database, and the one type that stands for both.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::r2d2::R2D2Connection;
use diesel::sql_types::Text;
use diesel::{Connection, ConnectionError, PgConnection, QueryableByName, RunQueryDsl, SqliteConnection};

use super::error::StoreError;
use super::url::DatabaseUrl;

pub use multi::DbConn;
pub(super) use multi::on_backend;

mod multi {
    #![allow(missing_docs, unreachable_pub, reason = "the derive writes undocumented public items")]

    use diesel::{PgConnection, SqliteConnection};

    /// A connection to either database. The same query text runs on both.
    #[derive(diesel::MultiConnection)]
    pub enum DbConn {
        /// SQLite.
        Sqlite(SqliteConnection),
        /// PostgreSQL.
        Postgres(PgConnection),
    }

    /// Runs one body against whichever database is open: batch inserts and `ON CONFLICT` are written once, but diesel
    /// compiles them only for a concrete one.
    macro_rules! on_backend {
        ($conn:expr, |$c:ident| $body:expr) => {
            match $conn {
                $crate::store::connection::DbConn::Sqlite($c) => $body,
                $crate::store::connection::DbConn::Postgres($c) => $body,
            }
        };
    }
    pub(in crate::store) use on_backend;
}

/// Why there is no usable database. Each sentence says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder of the SQLite file cannot be made.
    #[error(
        "cannot create the folder {folder}: {source}; choose another with --database, or make it writable"
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The SQLite file cannot be opened or written.
    #[error("cannot open the database {path}: {reason}; {advice}")]
    File {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// The linked library is one that can damage its files.
    #[error(
        "this program is linked with SQLite {found}, which can damage a database under load; build it with the \
             bundled library, or link {} or newer",
        MIN_SQLITE
    )]
    OldSqlite {
        /// The version linked.
        found: String,
    },
    /// PostgreSQL did not let us in.
    #[error("cannot connect to {url}: {reason}; {advice}")]
    Server {
        /// The URL, without its password.
        url: String,
        /// What libpq says.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// PostgreSQL is set to answer before it is durable.
    #[error(
        "{url} answers commits before they are on disk (synchronous_commit is off), so events that were \
             acknowledged could be lost; set synchronous_commit = on for this database or user"
    )]
    NotDurable {
        /// The URL, without its password.
        url: String,
    },
}

impl OpenError {
    fn is_locked(&self) -> bool {
        matches!(self, Self::File { reason, .. } if reason.contains("locked"))
    }
}

/// The first SQLite without the WAL-reset corruption of 3.7.0 to 3.51.2.
const MIN_SQLITE: &str = "3.51.3";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Answers questions; the database refuses writes on it.
    Reader,
    /// Writes.
    Writer,
    /// Copies the database into another file. It changes nothing, but SQLite calls a copy a write.
    Copier,
}

/// Opens connections of one role; also what the pool of readers is made with.
#[derive(Debug, Clone)]
pub(super) struct Opener {
    pub(super) url: DatabaseUrl,
    pub(super) role: Role,
}

impl Opener {
    /// Opens one.
    pub(super) fn open(&self) -> Result<DbConn, StoreError> {
        match &self.url {
            DatabaseUrl::Sqlite(path) => Ok(DbConn::Sqlite(open_sqlite(path, self.role)?)),
            DatabaseUrl::Postgres(url) => {
                let conn = open_postgres(url, self.role)
                    .map_err(|reason| refused(&self.url, reason))
                    .and_then(|conn| check_durable(conn, &self.url))?;
                Ok(DbConn::Postgres(conn))
            }
        }
    }
}

impl r2d2::ManageConnection for Opener {
    type Connection = DbConn;
    type Error = StoreError;

    fn connect(&self) -> Result<DbConn, StoreError> {
        self.open()
    }

    fn is_valid(&self, conn: &mut DbConn) -> Result<(), StoreError> {
        Ok(conn.ping()?)
    }

    fn has_broken(&self, conn: &mut DbConn) -> bool {
        std::thread::panicking() || conn.is_broken()
    }
}

/// Begins a transaction that may write. SQLite takes its write lock at once: a lock taken later could be refused
/// halfway, without waiting.
pub(super) fn begin(conn: &mut DbConn) -> Result<(), StoreError> {
    Ok(match conn {
        DbConn::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE"),
        DbConn::Postgres(c) => AnsiTransactionManager::begin_transaction(c),
    }?)
}

/// Makes the open transaction durable. A failure is of unknown fate.
pub(super) fn commit(conn: &mut DbConn) -> Result<(), StoreError> {
    <DbConn as Connection>::TransactionManager::commit_transaction(conn).map_err(StoreError::UnknownFate)
}

/// Undoes the open transaction.
pub(super) fn rollback(conn: &mut DbConn) -> Result<(), StoreError> {
    Ok(<DbConn as Connection>::TransactionManager::rollback_transaction(conn)?)
}

/// Reads several things as of one instant. SQLite reads faster so, too: between transactions it forgets every page when
/// anything was written.
pub fn at_one_instant<T>(
    conn: &mut DbConn,
    f: impl FnOnce(&mut DbConn) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    match conn {
        DbConn::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN DEFERRED"),
        DbConn::Postgres(c) => AnsiTransactionManager::begin_transaction_sql(
            c,
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        ),
    }?;
    let found = f(conn);
    rollback(conn)?; // nothing was written
    found
}

/// One text column of an ad-hoc query.
#[derive(QueryableByName)]
struct Setting {
    #[diesel(sql_type = Text)]
    value: String,
}

/// How long an opening waits for another connection that is just closing the file.
const OPENING_PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn open_sqlite(path: &Path, role: Role) -> Result<SqliteConnection, OpenError> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|source| OpenError::Folder { folder: folder.to_owned(), source })?;
    }
    make_private(path);
    let start = Instant::now();
    loop {
        match try_open_sqlite(path, role) {
            // Whoever closes last holds the file for a moment, and SQLite does not wait for that by itself:
            // https://sqlite.org/wal.html#sometimes_queries_return_sqlite_busy_in_wal_mode
            Err(error) if error.is_locked() && start.elapsed() < OPENING_PATIENCE => pause(),
            opened => return opened,
        }
    }
}

/// Makes the file, if there is none, for its owner only: guests and sealed secrets are in it. What SQLite puts beside it gets
/// its mode. If this cannot be done, SQLite says why in a moment.
fn make_private(path: &Path) {
    let _ = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
}

#[expect(clippy::disallowed_methods, reason = "opening blocks anyway; it is never done on an arbiter")]
fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

fn try_open_sqlite(path: &Path, role: Role) -> Result<SqliteConnection, OpenError> {
    let mut conn = SqliteConnection::establish(&path.to_string_lossy()).map_err(|e| file_error(path, &e))?;
    check_sqlite_version(&mut conn, path)?;
    conn.batch_execute(sqlite_settings(role)).map_err(|e| file_error(path, &e))?;
    Ok(conn)
}

/// `journal_mode` is kept in the file; the rest is a matter of each connection. FULL is the only `synchronous` that
/// keeps acknowledged commits through a loss of power.
fn sqlite_settings(role: Role) -> &'static str {
    match role {
        Role::Writer => {
            "PRAGMA busy_timeout = 10000;
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA foreign_keys = OFF;
             PRAGMA cache_size = -16384;
             PRAGMA temp_store = MEMORY;
             PRAGMA wal_autocheckpoint = 16000;
             PRAGMA journal_size_limit = 67108864;"
        }
        Role::Reader => {
            "PRAGMA busy_timeout = 10000;
             PRAGMA foreign_keys = OFF;
             PRAGMA cache_size = -8192;
             PRAGMA query_only = ON;"
        }
        Role::Copier => {
            "PRAGMA busy_timeout = 10000;
             PRAGMA foreign_keys = OFF;
             PRAGMA cache_size = -8192;"
        }
    }
}

fn file_error(path: &Path, error: &dyn std::error::Error) -> OpenError {
    let reason = error.to_string();
    let advice = match () {
        () if reason.contains("not a database") => {
            "name another file with --database, or move this one away if it is not needed"
        }
        () if reason.contains("readonly") => "make the file and its folder writable",
        () if reason.contains("locked") => "another program is holding it; stop that one first",
        () => "check that the folder is writable and the disk is not full",
    };
    OpenError::File { path: path.to_owned(), reason, advice }
}

fn check_sqlite_version(conn: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let found: Setting = diesel::sql_query("SELECT sqlite_version() AS value")
        .get_result(conn)
        .map_err(|e| file_error(path, &e))?;
    let numbers = |text: &str| text.split('.').map(|n| n.parse().unwrap_or(0)).collect::<Vec<u32>>();
    if numbers(&found.value) < numbers(MIN_SQLITE) {
        return Err(OpenError::OldSqlite { found: found.value });
    }
    Ok(())
}

/// How long the server may take to answer a connection, in seconds, unless the URL says otherwise.
const CONNECT_TIMEOUT_S: u32 = 5;
/// How long sent data may stay unacknowledged before the connection counts as broken.
const SILENCE: Duration = Duration::from_secs(30);

fn open_postgres(url: &str, role: Role) -> Result<PgConnection, String> {
    let mut conn = PgConnection::establish(&with_timeouts(url)).map_err(|e| match e {
        ConnectionError::BadConnection(message) => message.trim().to_owned(),
        other => other.to_string(),
    })?;
    let settings = match role {
        // A commit must never be cancelled: PostgreSQL reports a cancelled synchronous commit as done.
        Role::Writer => "SET statement_timeout = 0; SET client_min_messages = warning",
        Role::Reader | Role::Copier => {
            "SET default_transaction_read_only = on; SET client_min_messages = warning"
        }
    };
    conn.batch_execute(settings).map_err(|e| e.to_string())?;
    Ok(conn)
}

fn with_timeouts(url: &str) -> String {
    let mut url = url.to_owned();
    let silence_ms = SILENCE.as_millis();
    let defaults = [
        ("connect_timeout", format!("connect_timeout={CONNECT_TIMEOUT_S}")),
        ("tcp_user_timeout", format!("tcp_user_timeout={silence_ms}")),
    ];
    for (name, setting) in defaults {
        if !url.contains(name) {
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str(&setting);
        }
    }
    url
}

fn refused(url: &DatabaseUrl, reason: String) -> OpenError {
    let advice = match () {
        () if reason.contains("password") => "check the user and password in the URL",
        () if reason.contains("does not exist") => "create it first, or correct its name in the URL",
        () => "check that the server runs there and lets this machine in",
    };
    OpenError::Server { url: url.to_string(), reason: reason.replace('\n', " "), advice }
}

fn check_durable(mut conn: PgConnection, url: &DatabaseUrl) -> Result<PgConnection, OpenError> {
    let found: Setting = diesel::sql_query("SELECT current_setting('synchronous_commit') AS value")
        .get_result(&mut conn)
        .map_err(|e| refused(url, e.to_string()))?;
    if found.value == "off" {
        return Err(OpenError::NotDurable { url: url.to_string() });
    }
    Ok(conn)
}
