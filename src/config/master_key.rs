//! The key that encrypts endpoint secrets at rest: given, or kept in a file beside the SQLite database.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::store::DatabaseUrl;

use super::{Config, Hidden};

/// The name of the key file.
const FILE_NAME: &str = "punchcard.key";

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// PostgreSQL has no folder to keep a key in.
    #[error(
        "a PostgreSQL database needs a master key: set PUNCHCARD_MASTER_KEY to 32 random bytes in base64, \
         for example from `openssl rand -base64 32`, and keep it as safe as the database"
    )]
    Required,
    /// The database is there, the key file is not.
    #[error(
        "the database {} exists, but its key file {} does not: put the key file back, or set \
         PUNCHCARD_MASTER_KEY to the key that this database was used with", database.display(), file.display()
    )]
    Lost {
        /// The database.
        database: PathBuf,
        /// Where the key was looked for.
        file: PathBuf,
    },
    /// The key file does not hold a key.
    #[error("the key file {} is damaged: it {problem}; put back a copy of it", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The file cannot be read or made.
    #[error("cannot {doing} the key file {}: {why}", file.display())]
    File {
        /// `read` or `make`.
        doing: &'static str,
        /// The file.
        file: PathBuf,
        /// The system's reason.
        #[source]
        why: io::Error,
    },
    /// The system has no random numbers.
    #[error("the system gave no random numbers for a master key: {0}")]
    Random(getrandom::Error),
}

/// The master key in force: the configured one, else the one in the key file, which the first start makes.
///
/// # Errors
/// See [`MasterKeyError`]. A lost key is never replaced by a new one: nothing could be decrypted with it.
pub fn resolve(config: &Config) -> Result<[u8; 32], MasterKeyError> {
    if let Some(key) = find(config)? {
        return Ok(key);
    }
    let DatabaseUrl::Sqlite(database) = &config.database else { return Err(MasterKeyError::Required) };
    let file = file_beside(database);
    // The key is made before the database, so a database without a key has lost it.
    if std::fs::metadata(database).is_ok_and(|data| data.len() > 0) {
        return Err(MasterKeyError::Lost { database: database.clone(), file });
    }
    make(&file)
}

/// The same, if there is one; none is made.
///
/// # Errors
/// The key file cannot be read, or is damaged.
pub fn find(config: &Config) -> Result<Option<[u8; 32]>, MasterKeyError> {
    match (&config.master_key, &config.database) {
        (Some(key), _) => Ok(Some(*key.reveal())),
        (None, DatabaseUrl::Sqlite(database)) => read(&file_beside(database)),
        (None, DatabaseUrl::Postgres(_)) => Ok(None),
    }
}

/// Where the key of a SQLite database is kept that nobody configured.
pub fn file_beside(database: &Path) -> PathBuf {
    database.with_file_name(FILE_NAME)
}

/// Parses 32 bytes written in base64 or hex.
pub(super) fn parse(text: &str) -> Result<Hidden<[u8; 32]>, String> {
    let bytes = if text.len() == 64 { unhex(text) } else { BASE64_STANDARD.decode(text).ok() };
    let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    key.map(Hidden::new)
        .ok_or_else(|| "is not 32 bytes in base64 or hex; `openssl rand -base64 32` makes one".to_owned())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<_>> = text.chars().map(|c| c.to_digit(16)).collect();
    Some(digits?.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect())
}

fn read(file: &Path) -> Result<Option<[u8; 32]>, MasterKeyError> {
    match std::fs::read_to_string(file) {
        Ok(text) => match parse(text.trim()) {
            Ok(key) => Ok(Some(*key.reveal())),
            Err(problem) => Err(MasterKeyError::Damaged { file: file.to_owned(), problem }),
        },
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(why) => Err(MasterKeyError::File { doing: "read", file: file.to_owned(), why }),
    }
}

fn make(file: &Path) -> Result<[u8; 32], MasterKeyError> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(MasterKeyError::Random)?;
    match write_new(file, &key) {
        Ok(()) => Ok(key),
        // Another process made it at the same moment: there is one key, and it is that one.
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {
            read(file)?.ok_or_else(|| MasterKeyError::File { doing: "read", file: file.to_owned(), why })
        }
        Err(why) => Err(MasterKeyError::File { doing: "make", file: file.to_owned(), why }),
    }
}

/// Appears whole or not at all, survives power loss, and is for its owner only (temporary files have mode 0600).
fn write_new(file: &Path, key: &[u8; 32]) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut draft = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(draft, "{}", BASE64_STANDARD.encode(key))?;
    draft.as_file().sync_all()?;
    draft.persist_noclobber(file).map_err(|e| e.error)?;
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(database: &Path) -> Config {
        Config { database: DatabaseUrl::Sqlite(database.to_owned()), ..Config::defaults() }
    }

    #[test]
    fn the_first_start_makes_a_key_for_its_owner_only_and_later_starts_use_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder.path().join("data/punchcard.db"));
        let first = resolve(&config).unwrap();
        assert_eq!(resolve(&config).unwrap(), first);
        let file = folder.path().join("data").join(FILE_NAME);
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn many_first_starts_at_once_agree_on_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(&folder.path().join("punchcard.db"));
        let keys: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| resolve(&config).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn a_lost_or_damaged_key_is_reported_and_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("punchcard.db");
        std::fs::write(&database, "rows").unwrap();
        assert!(matches!(resolve(&config(&database)), Err(MasterKeyError::Lost { .. })));
        std::fs::write(folder.path().join(FILE_NAME), "c2hvcnQ=").unwrap();
        assert!(matches!(resolve(&config(&database)), Err(MasterKeyError::Damaged { .. })));
    }

    #[test]
    fn postgres_needs_a_key_and_takes_hex_or_base64() {
        let mut config = Config::defaults();
        config.database = DatabaseUrl::Postgres("postgres://host/name".into());
        assert!(matches!(resolve(&config), Err(MasterKeyError::Required)));
        for text in [BASE64_STANDARD.encode([0xab; 32]), "aB".repeat(32)] {
            config.master_key = Some(parse(&text).unwrap());
            assert_eq!(resolve(&config).unwrap(), [0xab; 32]);
        }
        for wrong in ["", "zz".repeat(32).as_str(), &BASE64_STANDARD.encode([1; 31])] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
