//! Moving SQLite's log into the database file, on a thread of its own, so that nobody who commits waits for it.
//!
//! Left alone, SQLite does that on the connection that commits, whenever the log has grown enough. It still does when
//! this thread falls behind.
//!
//! Moving alone does not bound the log: it begins anew only when nobody reads from it, and while readers overlap, somebody
//! always does. So when it has grown too long, whoever commits waits for a moment, until all who read it have gone.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::{Role, open_sqlite};
use super::error::StoreError;

/// Pages in the log that are worth moving.
const ENOUGH: i64 = 4_000;
/// Pages in the log that are too many.
const TOO_MANY: i64 = 32_000;
/// How long who commits may wait for those who read, in milliseconds, and the pause before they wait again. While it is in
/// vain the pause doubles: whoever copies the whole database reads for minutes, and nobody is to wait for that a tenth of
/// the time.
const PATIENCE: u32 = 200;
const RELIEF: Duration = Duration::from_secs(2);
const MOST_RELIEF: Duration = Duration::from_secs(60);
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
            .spawn(move || Thread::new(path, TOO_MANY).run(&woken))
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
    /// Pages in the log that are too many.
    too_many: i64,
    /// When the log could not be begun anew.
    failed: Option<Instant>,
    /// The pause after that.
    relief: Duration,
}

/// What SQLite answers: <https://sqlite.org/pragma.html#pragma_wal_checkpoint>.
#[derive(QueryableByName)]
struct Progress {
    #[diesel(sql_type = BigInt)]
    busy: i64,
    #[diesel(sql_type = BigInt)]
    log: i64,
    #[diesel(sql_type = BigInt)]
    checkpointed: i64,
}

impl Thread {
    const fn new(path: PathBuf, too_many: i64) -> Self {
        Self { path, conn: None, too_many, failed: None, relief: RELIEF }
    }

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
            none => none.insert(open(&self.path)?),
        };
        let waiting = pragma(conn, "PRAGMA wal_checkpoint(NOOP)")?;
        if waiting.log - waiting.checkpointed >= ENOUGH {
            pragma(conn, "PRAGMA wal_checkpoint(PASSIVE)")?;
        }
        if waiting.log >= self.too_many && self.failed.is_none_or(|at| at.elapsed() >= self.relief) {
            // Who reads for longer than we have patience is in the way. The next commit begins the log anew otherwise.
            let restart = pragma(conn, "PRAGMA wal_checkpoint(RESTART)")?;
            let again = self.failed.is_some();
            self.failed = (restart.busy != 0).then(Instant::now);
            self.relief =
                if again && self.failed.is_some() { MOST_RELIEF.min(self.relief * 2) } else { RELIEF };
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<SqliteConnection, StoreError> {
    let mut conn = open_sqlite(path, Role::Writer)?;
    conn.batch_execute(&format!("PRAGMA busy_timeout = {PATIENCE}"))?;
    Ok(conn)
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
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::store::Store;
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

    /// Readers of whom the next always begins before the last one ends.
    struct Relay {
        readers: [SqliteConnection; 2],
        turn: usize,
    }

    impl Relay {
        fn start(path: &Path) -> Self {
            let readers = [(); 2].map(|()| open_sqlite(path, Role::Reader).unwrap());
            let mut relay = Self { readers, turn: 0 };
            relay.begin();
            relay
        }

        fn begin(&mut self) {
            let reader = &mut self.readers[self.turn];
            reader.batch_execute("BEGIN; SELECT COUNT(*) FROM members").unwrap();
        }

        fn hand_over(&mut self) {
            self.turn = 1 - self.turn;
            self.begin();
            self.readers[1 - self.turn].batch_execute("ROLLBACK").unwrap();
        }
    }

    fn log(conn: &mut SqliteConnection) -> i64 {
        pragma(conn, "PRAGMA wal_checkpoint(NOOP)").unwrap().log
    }

    #[test]
    fn a_log_that_somebody_always_reads_is_begun_anew_when_it_is_too_long() {
        let (store, folder) = crate::store::tests::sqlite();
        let path = folder.path().join("test.db");
        let mut conn = open_sqlite(&path, Role::Writer).unwrap();
        let mut thread = Thread::new(path.clone(), 400);
        let mut relay = Relay::start(&path);
        for next in 0.. {
            write(&store, next);
            relay.hand_over();
            pragma(&mut conn, "PRAGMA wal_checkpoint(PASSIVE)").unwrap();
            if log(&mut conn) >= thread.too_many {
                break;
            }
        }

        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| hand_over_while_commits_wait(&path, &done, &mut relay));
            let deadline = Instant::now() + Duration::from_secs(20);
            thread.look().unwrap();
            while thread.failed.take().is_some() && Instant::now() < deadline {
                thread.look().unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        write(&store, 1_000);
        let log = log(&mut conn);
        assert!(log < thread.too_many, "{log} pages: the log was not begun anew");
    }

    /// From when commits wait, which is when readers are waited for.
    fn hand_over_while_commits_wait(path: &Path, done: &AtomicBool, relay: &mut Relay) {
        let mut probe = open_sqlite(path, Role::Writer).unwrap();
        probe.batch_execute("PRAGMA busy_timeout = 0").unwrap();
        let is_done = || done.load(Ordering::Relaxed);
        while !is_done() && probe.batch_execute("BEGIN IMMEDIATE; ROLLBACK").is_ok() {}
        while !is_done() {
            relay.hand_over();
        }
    }

    #[test]
    fn who_commits_waits_for_readers_only_now_and_then() {
        let (store, folder) = crate::store::tests::sqlite();
        let path = folder.path().join("test.db");
        let mut thread = Thread::new(path.clone(), 1);
        write(&store, 0);
        let _reading = Relay::start(&path);
        write(&store, 1);
        thread.look().unwrap();
        let failed = thread.failed;
        assert!(failed.is_some());
        thread.look().unwrap();
        assert_eq!(thread.failed, failed);
        // A reader who stays for minutes holds them up less and less often.
        let mut pauses = Vec::new();
        for _ in 0..7 {
            pauses.push(thread.relief.as_secs());
            thread.failed = Some(Instant::now() - thread.relief);
            thread.look().unwrap();
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60]);
    }

    fn write(store: &Store, nth: u64) {
        let (first, last) = (nth * 100, (nth + 1) * 100);
        store.write(&(first..last).map(|n| order(n, &newcomer(n)).into()).collect::<Vec<_>>());
    }
}
