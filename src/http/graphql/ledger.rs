//! A member's ledger.

use async_graphql::{ID, SimpleObject};

use super::scalars::DateTime;
use super::word;
use crate::read::ledger::TransferView;

/// One immutable line: so many points leave one account and arrive in the other.
#[derive(SimpleObject)]
pub(super) struct LedgerLine {
    /// Its id.
    id: ID,
    /// The wallet's code.
    wallet: String,
    /// The account that is less after it: `member:…`, `pending:…` or one of the chain's, such as `chain:issued`.
    debit: String,
    /// The account that is more after it.
    credit: String,
    /// How many; always positive.
    amount: i64,
    /// What caused it.
    cause: String,
    /// The reason shown to people.
    reason: String,
    /// The source event; null for a scheduled tick.
    source_event: Option<ID>,
    /// When it was decided.
    at: DateTime,
}

impl From<TransferView> for LedgerLine {
    fn from(view: TransferView) -> Self {
        Self {
            id: view.id.into(),
            wallet: view.wallet,
            debit: view.debit.to_string(),
            credit: view.credit.to_string(),
            amount: view.amount.0,
            cause: word(&view.cause),
            reason: view.reason,
            source_event: view.source_event.map(ID::from),
            at: view.at.into(),
        }
    }
}
