//! The only SQL. One file per noun, one schema for SQLite and PostgreSQL.
//!
//! Reading is a function of the noun's module on a connection from [`Store::read`]; whatever an event or an attempt
//! changes goes through [`commit::Writer::write`], everything else through [`commit::Writer::run`].

mod attempt;
pub mod audit;
pub mod backup;
mod batch;
pub mod books;
pub mod campaign;
pub mod chain;
mod checkpoint;
pub mod churn;
pub mod commit;
pub mod comparison;
pub mod condition;
mod connection;
pub mod coupon;
pub mod delivery;
pub mod delivery_log;
pub mod endpoint;
pub mod endpoint_minutes;
pub mod erasure;
mod error;
pub mod export_schedule;
pub mod figures;
mod fixed;
mod group;
pub mod integration;
pub mod key;
pub mod lane;
pub mod ledger;
pub mod loyalty_event;
pub mod member;
pub mod order;
pub mod parked;
pub mod program;
pub mod recovery;
pub mod redemption;
pub mod referral;
pub mod request;
pub mod retention;
pub mod roll_out;
mod row;
#[cfg(test)]
pub(crate) mod sabotage;
mod schema;
pub mod sequence;
pub mod source_event;
pub mod spool;
pub mod suspension;
#[cfg(test)]
mod tests;
mod trail;
mod url;
pub mod vault;
mod word;

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use commit::Writer;
use connection::{Opener, Role};
use vault::Vault;

pub use connection::{DbConn, OpenError, at_one_instant};
pub use error::StoreError;
pub use url::{BadDatabaseUrl, DatabaseUrl};

/// How many connections read for the engine. SQLite's readers share one disk, and PostgreSQL's have enough to do with four.
const READERS: u32 = 4;
/// How many read for outsiders, whose lists may take long: they must not hold up events and deliveries.
const OUTSIDE_READERS: u32 = 2;
/// How long a reader may be waited for.
const READER_WAIT: Duration = Duration::from_secs(5);
/// Connections that write: SQLite has one writer at a time anyway.
const POSTGRES_WRITERS: usize = 3;
/// The lock that keeps two nodes from migrating one PostgreSQL database at once: any number nobody else uses.
const MIGRATION_LOCK: i64 = 0x70_75_6e_63_68;

const SQLITE_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES_MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    url: DatabaseUrl,
    vault: Vault,
    readers: r2d2::Pool<Opener>,
    outside_readers: r2d2::Pool<Opener>,
}

impl Store {
    /// Opens the database; a missing SQLite file is made. Does not migrate.
    pub fn open(url: &DatabaseUrl, vault: Vault) -> Result<Self, StoreError> {
        // Before any reader: this makes the file, and finds out whether there is a usable database at all.
        Opener { url: url.clone(), role: Role::Writer }.open()?;
        let pool = |size| {
            r2d2::Pool::builder()
                .max_size(size)
                .min_idle(Some(0))
                .connection_timeout(READER_WAIT)
                .build_unchecked(Opener { url: url.clone(), role: Role::Reader })
        };
        let (readers, outside_readers) = (pool(READERS), pool(OUTSIDE_READERS));
        Ok(Self { shared: Arc::new(Shared { url: url.clone(), vault, readers, outside_readers }) })
    }

    /// Creates or upgrades the tables. Each step is one transaction, so a kill at any point leaves the step before it.
    pub fn migrate(&self) -> Result<(), StoreError> {
        match self.opener(Role::Writer).open()? {
            DbConn::Sqlite(mut conn) => run_migrations(&mut conn, SQLITE_MIGRATIONS),
            DbConn::Postgres(mut conn) => {
                conn.batch_execute(&format!("SELECT pg_advisory_lock({MIGRATION_LOCK})"))?;
                run_migrations(&mut conn, POSTGRES_MIGRATIONS) // the lock ends with the connection
            }
        }
    }

    /// A connection of its own for writing.
    pub fn writer(&self) -> Result<Writer, StoreError> {
        Writer::open(self.opener(Role::Writer), self.shared.vault.clone())
    }

    /// How many writers are of use.
    pub fn writer_count(&self) -> usize {
        match self.shared.url {
            DatabaseUrl::Sqlite(_) => 1,
            DatabaseUrl::Postgres(_) => POSTGRES_WRITERS,
        }
    }

    /// Reads without blocking the caller's thread.
    pub async fn read<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let task = tokio::task::spawn_blocking(move || store.read_now(f));
        task.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// The same for people who list and look: whatever they ask for, the engine's connections stay free.
    pub async fn read_for_outsiders<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut DbConn) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let task = tokio::task::spawn_blocking(move || store.read_now_for_outsiders(f));
        task.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// The same on this thread, which may block.
    pub fn read_now_for_outsiders<T>(
        &self,
        f: impl FnOnce(&mut DbConn) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut conn = self.shared.outside_readers.get().map_err(StoreError::Pool)?;
        f(&mut conn)
    }

    /// Reads on this thread, which may block: for the command line and for starting up.
    pub fn read_now<T>(&self, f: impl FnOnce(&mut DbConn) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut conn = self.shared.readers.get().map_err(StoreError::Pool)?;
        f(&mut conn)
    }

    /// How many connections read just now: for the engine, and for outsiders.
    pub fn busy_readers(&self) -> [u32; 2] {
        [&self.shared.readers, &self.shared.outside_readers].map(|pool| {
            let state = pool.state();
            state.connections.saturating_sub(state.idle_connections)
        })
    }

    /// What opens secrets.
    pub fn vault(&self) -> &Vault {
        &self.shared.vault
    }

    fn opener(&self, role: Role) -> Opener {
        Opener { url: self.shared.url.clone(), role }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.shared.url).finish()
    }
}

/// A step that this program does not know was taken already.
fn from_the_future(step: &impl std::fmt::Display) -> StoreError {
    StoreError::Migrate(format!(
        "it was upgraded by a newer version of this program (step {step}); run that version or restore a backup"
    ))
}

fn run_migrations<C: MigrationHarness<DB>, DB: diesel::backend::Backend>(
    conn: &mut C,
    known: impl MigrationSource<DB>,
) -> Result<(), StoreError> {
    let failed = |e: Box<dyn std::error::Error + Send + Sync>| StoreError::Migrate(e.to_string());
    let all = known.migrations().map_err(failed)?;
    for applied in conn.applied_migrations().map_err(failed)? {
        if !all.iter().any(|m| m.name().version() == applied) {
            return Err(from_the_future(&applied));
        }
    }
    conn.run_pending_migrations(known).map_err(failed)?;
    Ok(())
}
