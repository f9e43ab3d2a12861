//! One process per SQLite database.
//!
//! Two would not corrupt anything: commits are fenced. But each would deliver every event, and neither would learn of
//! what is configured at the other. Several nodes on one PostgreSQL database are another matter.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Held by whoever serves a database; the system gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct DatabaseLock(#[expect(dead_code, reason = "closing the file gives the lock back")] File);

/// Why a database cannot be served by this process.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody serves it.
    #[error(
        "another punchcard process serves {} already; stop that one, or name another database with --database",
        .0.display()
    )]
    Taken(PathBuf),
    /// The lock file cannot be made or locked.
    #[error("cannot lock {}: {why}; the folder of the database must be on a disk that this user may write to", file.display())]
    File {
        /// The lock file.
        file: PathBuf,
        /// The system's reason.
        #[source]
        why: io::Error,
    },
}

impl DatabaseLock {
    /// Takes the lock of the SQLite file `database`, in a file beside it.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn take(database: &Path) -> Result<Self, LockError> {
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let file = PathBuf::from(name);
        let opened = make_folder(database).and_then(|()| File::create(&file));
        let failed = |why| LockError::File { file: file.clone(), why };
        let opened = opened.map_err(failed)?;
        match opened.try_lock() {
            Ok(()) => Ok(Self(opened)),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken(database.to_owned())),
            Err(TryLockError::Error(why)) => Err(failed(why)),
        }
    }
}

fn make_folder(database: &Path) -> io::Result<()> {
    database.parent().map_or(Ok(()), std::fs::create_dir_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_served_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("data/punchcard.db");
        let first = DatabaseLock::take(&database).unwrap();
        let taken = DatabaseLock::take(&database).unwrap_err();
        assert!(matches!(taken, LockError::Taken(_)), "{taken}");
        assert!(DatabaseLock::take(&folder.path().join("data/other.db")).is_ok());
        drop(first);
        assert!(DatabaseLock::take(&database).is_ok());
    }
}
