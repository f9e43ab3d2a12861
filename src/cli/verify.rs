//! `punchcard verify`: recomputes every balance from the ledger and looks for missing rows.

use crate::config::flags::StoreFlags;
use crate::domain::chain::ChainId;
use crate::store::DatabaseUrl;
use crate::store::ledger::{Finding, Mismatch, Missing};

use super::{Failure, out};

/// Check the books: recompute every balance from the ledger
///
/// Exits 1 and names the first finding when a balance is not the sum of its transfers, or when a transfer or loyalty
/// event that another row names is missing. Changes nothing, and may run beside a server.
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
    let findings = store
        .read_now(|conn| crate::store::ledger::verify(conn, verb.chain.as_ref()))
        .map_err(|e| Failure::because("cannot read the ledger", &e))?;
    let whose =
        verb.chain.as_ref().map_or_else(|| "every chain".to_owned(), |chain| format!("chain {chain}"));
    match findings.first() {
        None => {
            out::line(format_args!("the books of {whose} balance"));
            Ok(())
        }
        Some(first) => Err(Failure::Failed(format!(
            "the books of {whose} are not in order ({} findings): {}; nothing was changed, keep a copy of the database",
            findings.len(),
            in_words(first)
        ))),
    }
}

fn in_words(finding: &Finding) -> String {
    match finding {
        Finding::Unbalanced(Mismatch { chain, account, wallet, ledger, stored: Some(stored) }) => {
            format!(
                "the ledger of {account} of chain {chain} adds up to {ledger} {wallet}, the balance says {stored}"
            )
        }
        Finding::Unbalanced(Mismatch { chain, account, wallet, ledger, stored: None }) => {
            format!("the ledger of chain {chain} has {ledger} {wallet} in {account}, who does not exist")
        }
        Finding::Missing(Missing { chain, table, id, named_by }) => {
            format!("{named_by} of chain {chain} names {id}, which is missing from {table}")
        }
    }
}
