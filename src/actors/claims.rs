//! Events of orders that were claimed: decided for the member who has the receipt.

use crate::domain::chain::ChainId;
use crate::domain::ids::MemberId;
use crate::domain::receipt::SourceStatus;
use crate::store::parked::{self, Claimed};
use crate::store::source_event;

use super::engine::{Answer, Engine, EngineError};

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
        let _one_at_a_time = self.0.claiming.lock().await;
        let mut answers = Vec::new();
        // A refund may stand before its order, and can be decided after it.
        while self.decide_some_claimed(chain, member, &mut answers).await? {}
        Ok(answers)
    }

    /// What was parked about an order that came to be the member's.
    pub(super) fn decide_claimed_later(&self, chain: ChainId, member: MemberId) {
        let engine = self.clone();
        self.later(async move {
            if let Err(error) = engine.decide_claimed(&chain, Some(member)).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%chain, %member, error, "what was parked about an order is still undecided");
            }
        });
    }

    /// Goes once through what was claimed. Answers whether any of it was decided.
    async fn decide_some_claimed(
        &self,
        chain: &ChainId,
        member: Option<MemberId>,
        answers: &mut Vec<Answer>,
    ) -> Result<bool, EngineError> {
        let known = answers.len();
        let of = chain.clone();
        let claimed = self.0.store.read(move |conn| parked::claimed(conn, &of, member, BATCH)).await?;
        for Claimed { source, member } in claimed {
            let of = chain.clone();
            let Some(stored) = self.0.store.read(move |conn| source_event::get(conn, &of, source)).await?
            else {
                continue;
            };
            let key = stored.key.clone();
            if stored.status == SourceStatus::Parked {
                match self.decide_stored_for(chain, stored, Some(member), None).await {
                    Ok(answer) => answers.push(answer),
                    // It cannot be decided, not yet or not at all; that holds up nothing behind it.
                    Err(
                        error @ (EngineError::Conflict(_)
                        | EngineError::Refused(_)
                        | EngineError::NotFound(_)),
                    ) => {
                        tracing::debug!(%chain, %source, %key, %error, "a claimed event waits");
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            let of = chain.clone();
            self.0.journal.run(move |conn, _| parked::settle(conn, &of, source)).await?;
        }
        Ok(answers.len() > known)
    }
}
