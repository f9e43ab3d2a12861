//! Source events that are in the store already: run again, decided late, or claimed.

use std::sync::Arc;

use crate::domain::chain::ChainId;
use crate::domain::commit::SourceOrigin;
use crate::domain::decide::SourceInput;
use crate::domain::ids::{MemberId, SourceId};
use crate::domain::receipt::SourceStatus;
use crate::domain::source_event::SourceEvent;
use crate::store;
use crate::store::source_event::StoredSource;

use super::engine::{Answer, Engine, EngineError};

impl Engine {
    /// Runs a source event again that failed, was parked, was kept undecided, or was refused then.
    ///
    /// # Errors
    /// `NotFound`, and `Conflict` for an event that was processed.
    pub async fn replay(&self, chain: &ChainId, source: SourceId) -> Result<Answer, EngineError> {
        let (of, id) = (chain.clone(), source);
        let stored = self.0.store.read(move |conn| store::source_event::get(conn, &of, id)).await?;
        let stored = stored.ok_or(EngineError::NotFound("source event"))?;
        if stored.status == SourceStatus::Processed {
            return Err(EngineError::Conflict(
                "the event was processed; only a failed one can run again".to_owned(),
            ));
        }
        self.decide_stored(chain, stored).await
    }

    /// Decides a source event that is in the store already.
    pub(super) async fn decide_stored(
        &self,
        chain: &ChainId,
        stored: StoredSource,
    ) -> Result<Answer, EngineError> {
        self.decide_stored_for(chain, stored, None).await
    }

    /// The same, for the member who claimed it.
    pub(super) async fn decide_stored_for(
        &self,
        chain: &ChainId,
        stored: StoredSource,
        claimed_by: Option<MemberId>,
    ) -> Result<Answer, EngineError> {
        let snapshot = self.handle(chain)?.snapshot.load_full();
        let event = SourceEvent::parse(stored.body.as_bytes(), &snapshot.chain.currency, stored.received_at)
            .map_err(|bad| {
                EngineError::Conflict(format!("the stored body cannot be read any more: {bad}"))
            })?;
        let again = match stored.status {
            SourceStatus::Failed => Some(stored.errors),
            SourceStatus::Accepted
            | SourceStatus::Parked
            | SourceStatus::Refused
            | SourceStatus::Processed => None,
        };
        let input = SourceInput {
            id: stored.id,
            // What was made up for the sender at first stays as it was.
            event: Arc::new(SourceEvent {
                key: stored.key,
                occurred_at: stored.occurred_at,
                member: claimed_by.or(event.member),
                asked_by: stored.asked_by,
                trace: stored.trace.map(Box::new),
                ..event
            }),
            received_at: stored.received_at,
            from: SourceOrigin::Stored { status: stored.status, runs: stored.runs },
        };
        self.decide(chain, input, again).await
    }
}
