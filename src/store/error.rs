//! What can go wrong in the store.

use super::connection::OpenError;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no usable database. Says what to do.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The tables could not be created or upgraded; nothing was changed by the step that failed.
    #[error("the database could not be migrated: {0}")]
    Migrate(String),
    /// A thread for a write connection could not be started.
    #[error("no thread for the database: {0}")]
    Thread(#[source] std::io::Error),
    /// No reader became free in time.
    #[error("no database connection became free")]
    Pool(#[source] r2d2::Error),
    /// The database refused; nothing was written.
    #[error("the database failed: {0}")]
    Query(#[from] diesel::result::Error),
    /// The database failed while committing: the writes may hold or not. Reload before deciding anything.
    #[error("the database failed while committing; whether it wrote is unknown: {0}")]
    UnknownFate(#[source] diesel::result::Error),
    /// A part of a group was written before the rest failed.
    #[error("only the first part of a group was written: {0}")]
    Partly(#[source] Box<StoreError>),
    /// A row does not hold what it should. It is reported, never repaired.
    #[error("{table} `{id}` is damaged: {problem}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row's key within its chain.
        id: String,
        /// What does not fit.
        problem: String,
    },
    /// A row of this key exists.
    #[error("the {what} `{id}` exists already")]
    Taken {
        /// What kind of thing.
        what: &'static str,
        /// Its id.
        id: String,
    },
    /// Something was done under the key of this request already; nothing was written.
    #[error("something was done under the key of this request already")]
    Repeated,
    /// A secret cannot be opened.
    #[error(
        "the secrets of {of} cannot be opened: the master key is not the one they were sealed with; \
         start with the key that was used before (--master-key, or the key file beside the database)"
    )]
    WrongMasterKey {
        /// Whose secrets.
        of: String,
    },
    /// The machine gives no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(getrandom::Error),
    /// The reading task panicked or was stopped with the runtime.
    #[error("the reading task did not finish")]
    Stopped,
}

impl StoreError {
    /// Whether some of it may have been written: whoever decided from memory must reload.
    pub const fn is_unknown_fate(&self) -> bool {
        matches!(self, Self::UnknownFate(_) | Self::Partly(_))
    }

    /// Whether the connection that failed so must not be used again.
    pub(super) fn spoils_connection(&self) -> bool {
        match self {
            Self::Open(_) | Self::Query(_) | Self::UnknownFate(_) => true,
            Self::Partly(rest) => rest.spoils_connection(),
            _ => false,
        }
    }

    /// Turns the breach of a unique key into [`StoreError::Taken`].
    pub(super) fn taken(error: diesel::result::Error, what: &'static str, id: impl ToString) -> Self {
        use diesel::result::{DatabaseErrorKind, Error};
        match error {
            Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => {
                Self::Taken { what, id: id.to_string() }
            }
            other => Self::Query(other),
        }
    }
}
