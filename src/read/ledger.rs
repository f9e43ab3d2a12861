//! A member's ledger as outsiders see it.

use serde::Serialize;

use super::page::{Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::effect::Cause;
use crate::domain::ids::{MemberId, SourceId, TransferId};
use crate::domain::ledger::Account;
use crate::domain::money::Points;
use crate::store::ledger::{self, StoredTransfer};

/// One ledger line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TransferView {
    /// Its id.
    pub id: TransferId,
    /// The wallet's code.
    pub wallet: String,
    /// The account that is less after it.
    pub debit: Account,
    /// The account that is more after it.
    pub credit: Account,
    /// How much; always positive.
    pub amount: Points,
    /// What caused it.
    pub cause: Cause,
    /// The reason shown to people.
    pub reason: String,
    /// The source event; `null` for a scheduled tick.
    pub source_event: Option<SourceId>,
    /// When it was decided.
    pub at: Timestamp,
}

impl From<StoredTransfer> for TransferView {
    fn from(stored: StoredTransfer) -> Self {
        Self {
            id: stored.id,
            wallet: stored.wallet,
            debit: stored.debit,
            credit: stored.credit,
            amount: stored.amount,
            cause: stored.cause,
            reason: stored.reason,
            source_event: stored.source,
            at: stored.at,
        }
    }
}

impl Reader {
    /// A member's ledger lines, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn ledger(
        &self,
        chain: ChainId,
        member: MemberId,
        wanted: Wanted<TransferId>,
    ) -> Result<Page<TransferView>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after);
        let found = self.run(move |conn| Ok(ledger::list(conn, &chain, member, rows, after)?)).await?;
        wanted.page(found, |line| line.id.to_string()).map(|line| Ok(line.into()))
    }
}
