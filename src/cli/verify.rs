//! `punchcard verify`: recomputes every total and looks for missing rows.

use crate::config::flags::StoreFlags;
use crate::domain::chain::ChainId;
use crate::store::DatabaseUrl;
use crate::store::books::{self, Finding, Wrong};

use super::{Failure, out};

/// Check the books: recompute every balance from the ledger, and every count from what it counts
///
/// Exits 1 and names the first finding: a balance that is not the sum of its transfers or of its lots, points that went
/// into a merge and did not come out, a stock, a campaign's budget or a coupon's uses that were counted wrong, a gap in the
/// numbers of an endpoint's deliveries, a lane in which something waits for nothing, or a row that another one names and that
/// is missing. Changes nothing, and may run beside a server.
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
        .read_now(|conn| books::verify(conn, verb.chain.as_ref()))
        .map_err(|e| Failure::because("cannot read the books", &e))?;
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

fn in_words(Finding { chain, what }: &Finding) -> String {
    match what {
        Wrong::Unbalanced { account, wallet, ledger, stored: Some(stored) } => format!(
            "the ledger of {account} of chain {chain} adds up to {ledger} {wallet}, the balance says {stored}"
        ),
        Wrong::Unbalanced { account, wallet, ledger, stored: None } => {
            format!("the ledger of chain {chain} has {ledger} {wallet} in {account}, who does not exist")
        }
        Wrong::Lots { member, wallet, lots, stored } => format!(
            "the lots of member {member} of chain {chain} add up to {lots} {wallet}, the balance says {stored}"
        ),
        Wrong::Adrift { source, wallet, amount: amount @ 0.. } => format!(
            "in chain {chain}, {amount} {wallet} went into a merge and did not come out (source event {source})"
        ),
        Wrong::Adrift { source, wallet, amount } => format!(
            "in chain {chain}, {} {wallet} came out of a merge that nobody brought (source event {source})",
            amount.unsigned_abs()
        ),
        Wrong::Misplaced { line, member } => format!(
            "ledger line {line} of chain {chain} stands among those of member {member}, whose points it does not move"
        ),
        Wrong::Torn { member } => format!(
            "the ledger lines of member {member} of chain {chain} are not one row, each naming the one before it"
        ),
        Wrong::Miscounted { what, found, stored } => {
            format!("in chain {chain} there are {found} {what}, the count says {stored}")
        }
        Wrong::Gaps { endpoint } => {
            format!("the numbers of the deliveries to endpoint {endpoint} of chain {chain} have gaps")
        }
        Wrong::Undecided { delivery, status } => format!(
            "delivery {delivery} of chain {chain} is said to be {status}, but when it is due or was settled says otherwise"
        ),
        Wrong::Unordered { endpoint, lane, due: 0, owed } => format!(
            "{owed} deliveries to endpoint {endpoint} of chain {chain} wait for nothing (lane {lane})"
        ),
        Wrong::Unordered { endpoint, lane, due, owed } => format!(
            "of {owed} deliveries to endpoint {endpoint} of chain {chain} that wait for each other (lane {lane}), {due} are \
             due, and not the first alone"
        ),
        Wrong::Missing { table, id, named_by } => {
            format!("{named_by} of chain {chain} names {id}, which is missing from {table}")
        }
    }
}
