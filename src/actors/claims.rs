//! Events of orders that were claimed: decided for the member who has the receipt.

use crate::domain::chain::ChainId;
use crate::domain::ids::MemberId;
use crate::domain::receipt::SourceStatus;
use crate::store::parked::{self, Claimed};
use crate::store::source_event;

use super::engine::{Answer, Engine, EngineError, still_undecided};

/// The most events that one look takes: an order has a handful.
const BATCH: i64 = 256;

impl Engine {
    /// Decides what was claimed, by one member or by anybody, in the order in which it came. Answers the receipts. What
    /// cannot be decided yet, a refund whose order is unknown, waits.
    ///
    /// # Errors
    /// The store failed; what was not reached is decided later by itself.
    pub async fn decide_claimed(
        &self,
        chain: &ChainId,
        member: Option<MemberId>,
    ) -> Result<Vec<Answer>, EngineError> {
        let of = chain.clone();
        let claimed = self.0.store.read(move |conn| parked::claimed(conn, &of, member, BATCH)).await?;
        let mut answers = Vec::with_capacity(claimed.len());
        for Claimed { source, member } in claimed {
            let of = chain.clone();
            let Some(stored) = self.0.store.read(move |conn| source_event::get(conn, &of, source)).await?
            else {
                continue;
            };
            let key = stored.key.clone();
            if stored.status == SourceStatus::Parked {
                match self.decide_stored_for(chain, stored, Some(member)).await {
                    Ok(answer) => answers.push(answer),
                    Err(error @ EngineError::Unavailable(_)) => return Err(error),
                    Err(error) => {
                        still_undecided(chain, source, &key, &error);
                        continue;
                    }
                }
            }
            let of = chain.clone();
            self.0.journal.run(move |conn, _| parked::settle(conn, &of, source)).await?;
        }
        Ok(answers)
    }
}
