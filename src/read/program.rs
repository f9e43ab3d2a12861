//! A chain's program as outsiders see it.

use serde::Serialize;

use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::text::Name;
use crate::rules::diagnostic::Diagnostic;
use crate::rules::program::Program;
use crate::store::program;

/// The program in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProgramView<'a> {
    /// The version in force; 0 = none.
    version: i64,
    /// SHA-256 of its files, in hexadecimal.
    hash: Option<String>,
    published_at: Option<Timestamp>,
    /// Lowest first.
    tiers: Vec<&'a Name>,
    /// Why the newest edit of the folder is not in force; empty when it is.
    problems: &'a [Diagnostic],
}

impl Reader {
    /// The program in force, if one is, and `problems` of an edit that is not.
    ///
    /// # Errors
    /// The store failed.
    pub async fn program<'a>(
        &self,
        chain: ChainId,
        program: Option<&'a Program>,
        problems: &'a [Diagnostic],
    ) -> Result<ProgramView<'a>, ReadError> {
        let version = program.map_or(0, |program| program.version);
        let newest = self.run(move |conn| Ok(program::latest(conn, &chain)?)).await?;
        // Between publishing and taking over, the newest is not yet the one in force.
        let published = newest.filter(|newest| newest.version == version);
        let hex = |hash: [u8; 32]| hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(ProgramView {
            version,
            published_at: published.as_ref().map(|published| published.created_at),
            hash: published.map(|published| hex(published.hash)),
            tiers: program.map_or_else(Vec::new, |program| program.terms.tiers.ids().collect()),
            problems,
        })
    }
}
