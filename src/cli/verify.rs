//! `punchcard verify`: recomputes every balance from the ledger.

use crate::config::flags::StoreFlags;
use crate::domain::chain::ChainId;
use crate::store::DatabaseUrl;
use crate::store::ledger::Mismatch;

use super::{Failure, out};

/// Check the books: recompute every balance from the ledger
///
/// Exits 1 and names the first mismatch when a balance is not the sum of its transfers. Changes nothing, and may run
/// beside a server.
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// Only this chain
    #[arg(long, value_name = "CHAIN")]
    chain: Option<ChainId>,
    #[command(flatten)]
    flags: StoreFlags,
}

pub(super) fn run(verb: &Verify) -> Result<(), Failure> {
    let Some(loaded) = super::configuration(&verb.flags.0)? else { return Ok(()) };
    if let DatabaseUrl::Sqlite(file) = &loaded.config.database
        && !file.is_file()
    {
        // Opening would make an empty database, whose books balance.
        return Err(Failure::Failed(format!(
            "there is no database {}; name one with --database",
            file.display()
        )));
    }
    let store = super::open_store(&loaded.config)?;
    if let Some(chain) = &verb.chain {
        super::key::require_chain(&store, chain)?;
    }
    let mismatches = store
        .read_now(|conn| crate::store::ledger::verify(conn, verb.chain.as_ref()))
        .map_err(|e| Failure::because("cannot read the ledger", &e))?;
    let whose =
        verb.chain.as_ref().map_or_else(|| "every chain".to_owned(), |chain| format!("chain {chain}"));
    match mismatches.first() {
        None => {
            out::line(format_args!("the books of {whose} balance"));
            Ok(())
        }
        Some(first) => Err(Failure::Failed(format!(
            "the books of {whose} do not balance ({} mismatches): {}; nothing was changed, keep a copy of the database",
            mismatches.len(),
            in_words(first)
        ))),
    }
}

fn in_words(mismatch: &Mismatch) -> String {
    let Mismatch { chain, account, wallet, ledger, stored } = mismatch;
    match stored {
        Some(stored) => {
            format!(
                "the ledger of {account} of chain {chain} adds up to {ledger} {wallet}, the balance says {stored}"
            )
        }
        None => format!("the ledger of chain {chain} has {ledger} {wallet} in {account}, who does not exist"),
    }
}
