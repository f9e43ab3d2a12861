//! Events that are kept without being decided: for later, parked, or refused when their time came.

use tracing::Instrument as _;

use crate::domain::chain::ChainId;
use crate::domain::commit::{Commit, SourceOrigin};
use crate::domain::decide::{SourceInput, keep, refuse};
use crate::domain::ids::SourceId;
use crate::domain::order::OrderRecord;
use crate::domain::receipt::SourceStatus;
use crate::domain::refusal::Refused;
use crate::domain::text::Key;
use crate::store;

use super::engine::{Answer, Engine, EngineError};

impl Engine {
    pub(super) fn decide_later(&self, chain: ChainId, input: SourceInput) {
        let engine = self.clone();
        self.later(async move {
            let from = SourceOrigin::Stored { status: SourceStatus::Accepted, runs: 0 };
            let (source, key) = (input.id, input.event.key.clone());
            if let Err(error) = engine.decide(&chain, SourceInput { from, ..input }, None).await {
                still_undecided(&chain, source, &key, &error);
            }
        });
    }

    /// Does something that nobody waits for; without room for it, it is left to the scheduler, which finds it in the
    /// store.
    pub(super) fn later(&self, work: impl Future<Output = ()> + Send + 'static) {
        // It holds a place inside the engine until it is done, so that there is not too much of it.
        let Ok(permit) = self.0.admission.clone().try_acquire_owned() else { return };
        let work = async move {
            work.await;
            drop(permit);
        };
        self.0.control.spawn(work.in_current_span());
    }

    /// Keeps an event that nobody is known for. One that is parked already stays as it is. What it is about leaves a
    /// trace in the order: whoever's that turns out to be meets it, and takes over what was parked. `None` when that
    /// happened just now, and the event is to be routed again.
    pub(super) async fn park(
        &self,
        chain: &ChainId,
        input: &SourceInput,
    ) -> Result<Option<Answer>, EngineError> {
        if was_parked(input) {
            return Err(EngineError::Conflict("the event has no member yet; it stays parked".to_owned()));
        }
        let mut commit = self.kept(chain, input, SourceStatus::Parked)?;
        if let Some(order_id) = input.event.data.order_id().cloned() {
            let (of, id) = (chain.clone(), order_id.clone());
            let order = self.0.store.read(move |conn| store::order::load(conn, &of, &id)).await?;
            let order = order.unwrap_or_else(|| OrderRecord::unseen(order_id));
            commit.order = Some(order).filter(|order| order.member.is_none());
        }
        self.try_commit(input, commit).await
    }

    pub(super) async fn keep(
        &self,
        chain: &ChainId,
        input: &SourceInput,
        status: SourceStatus,
    ) -> Result<Answer, EngineError> {
        self.commit(input, self.kept(chain, input, status)?).await
    }

    fn kept(
        &self,
        chain: &ChainId,
        input: &SourceInput,
        status: SourceStatus,
    ) -> Result<Commit, EngineError> {
        let snapshot = self.handle(chain)?.snapshot.load_full();
        Ok(keep(snapshot.program()?.frame(chain), input.clone(), status, self.0.clock.now()))
    }

    /// Says of an event that was kept for later that it cannot be done.
    pub(super) async fn refuse(
        &self,
        chain: &ChainId,
        input: &SourceInput,
        refused: Refused,
    ) -> Result<Answer, EngineError> {
        let snapshot = self.handle(chain)?.snapshot.load_full();
        let commit = refuse(snapshot.program()?.frame(chain), input.clone(), refused, self.0.clock.now());
        self.commit(input, commit).await
    }
}

/// Whether it was parked before.
pub(super) fn was_parked(input: &SourceInput) -> bool {
    matches!(input.from, SourceOrigin::Stored { status: SourceStatus::Parked, .. })
}

/// Nobody waits for the answer to a kept event: the log has it.
pub(super) fn still_undecided(chain: &ChainId, source: SourceId, key: &Key, error: &EngineError) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(%chain, %source, %key, error, "an event kept for later is still undecided");
}
