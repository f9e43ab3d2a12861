//! Moving SQLite's log into the database file, on a thread of its own, so that nobody who commits waits for it.
//!
//! Left alone, SQLite does that on the connection that commits, whenever the log has grown enough. It still does when
//! this thread falls behind: that bounds the log.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::{Role, open_sqlite};
use super::error::StoreError;

/// Pages in the log that are worth moving.
const ENOUGH: i64 = 4_000;
/// Commits in quick succession are looked at together.
const PAUSE: Duration = Duration::from_millis(50);

/// A handle to the thread; dropping it ends the thread.
pub(super) struct Checkpointer {
    /// Present until dropped.
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the thread.
    pub(super) fn start(path: &Path) -> Result<Self, StoreError> {
        let (wake, woken) = sync_channel(1);
        let path = path.to_owned();
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || Thread { path, conn: None }.run(&woken))
            .map_err(StoreError::Thread)?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// Says that the log has grown.
    pub(super) fn wake(&self) {
        if let Some(wake) = &self.wake {
            let _ = wake.try_send(()); // full: it will look anyway
        }
    }
}

impl Drop for Checkpointer {
    /// Waits for the thread, so that its connection is closed when the writer's is.
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic was reported where it happened
        }
    }
}

/// What the thread owns.
struct Thread {
    path: PathBuf,
    /// Opened when there is something to look at.
    conn: Option<SqliteConnection>,
}

/// What SQLite answers: <https://sqlite.org/pragma.html#pragma_wal_checkpoint>.
#[derive(QueryableByName)]
struct Progress {
    #[diesel(sql_type = BigInt)]
    log: i64,
    #[diesel(sql_type = BigInt)]
    checkpointed: i64,
}

impl Thread {
    fn run(mut self, woken: &Receiver<()>) {
        while woken.recv().is_ok() && paused(woken) {
            if let Err(error) = self.look() {
                // The committing connection takes over, and says so when it cannot either.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the log of the database was not moved"
                );
                self.conn = None;
            }
        }
    }

    fn look(&mut self) -> Result<(), StoreError> {
        let conn = match &mut self.conn {
            Some(conn) => conn,
            none => none.insert(open_sqlite(&self.path, Role::Writer)?),
        };
        let waiting = pragma(conn, "PRAGMA wal_checkpoint(NOOP)")?;
        if waiting.log - waiting.checkpointed >= ENOUGH {
            pragma(conn, "PRAGMA wal_checkpoint(PASSIVE)")?;
        }
        Ok(())
    }
}

/// Lets some time pass; `false` when the handle was dropped meanwhile.
fn paused(woken: &Receiver<()>) -> bool {
    let end = Instant::now() + PAUSE;
    loop {
        match woken.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

fn pragma(conn: &mut SqliteConnection, text: &str) -> QueryResult<Progress> {
    diesel::sql_query(text).get_result(conn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::sample::{Words as _, newcomer, order};

    #[test]
    fn a_grown_log_is_moved_without_holding_up_who_commits() {
        let (store, folder) = crate::store::tests::sqlite();
        let mut writer = store.writer().unwrap();
        let mut conn = open_sqlite(&folder.path().join("test.db"), Role::Writer).unwrap();
        let mut next = 0;
        // The committing connection would move it, too, but only when it is four times as long.
        while pragma(&mut conn, "PRAGMA wal_checkpoint(NOOP)").unwrap().log < ENOUGH {
            let group: Vec<_> = (next..next + 500).map(|n| order(n, &newcomer(n)).into()).collect();
            writer.write(&group).unwrap();
            next += 500;
        }
        let deadline = Instant::now() + Duration::from_secs(20);
        while pragma(&mut conn, "PRAGMA wal_checkpoint(NOOP)").unwrap().checkpointed < ENOUGH {
            assert!(Instant::now() < deadline, "nobody moved the log");
            writer.checkpointer().wake();
            std::thread::yield_now();
        }
        assert_eq!(store.member(next - 1).version, 1);
    }
}
