//! A chain's published program as outsiders see it.

use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::store::program;

/// The newest published version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// Its number.
    pub version: i64,
    /// SHA-256 of its files, in hexadecimal.
    pub hash: String,
    /// When it was published.
    pub at: Timestamp,
}

impl Reader {
    /// The newest published version; `None` before the first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn published_program(&self, chain: ChainId) -> Result<Option<Published>, ReadError> {
        let found = self.run(move |conn| Ok(program::latest(conn, &chain)?)).await?;
        Ok(found.map(|program| Published {
            version: program.version,
            hash: program.hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            at: program.created_at,
        }))
    }
}
