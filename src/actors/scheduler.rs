//! The scheduler: wakes members whose ticks are due and looks after what nobody else would.
//!
//! It takes no input: each pass asks the store what is due, so a restart, a missed pass and the happy path are the
//! same code.

use std::time::Duration;

use futures_util::{StreamExt, stream};

use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::receipt::SourceStatus;
use crate::store;

use super::engine::{ChainSnapshot, Engine, EngineError};

/// Pause between passes. Ticks are minutes apart; nobody notices half a second.
const PASS_EVERY: Duration = Duration::from_millis(500);
/// Members woken, or events decided, per look at the store.
const BATCH: i64 = 256;
/// Members woken at the same time: background work, ingest comes first.
const CONCURRENT: usize = 32;
/// An event kept for later that is older than this was forgotten by whoever kept it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

impl Engine {
    /// Runs passes for as long as the engine runs.
    pub async fn keep_schedule(self) {
        let mut first = true;
        while !self.is_draining() {
            let forgotten_after = if first { Duration::ZERO } else { FORGOTTEN_AFTER };
            first = false;
            if let Err(error) = self.pass(forgotten_after).await {
                tracing::error!(error = &error as &dyn std::error::Error, "the scheduler's pass failed");
            }
            tokio::time::sleep(PASS_EVERY).await;
        }
    }

    async fn pass(&self, forgotten_after: Duration) -> Result<(), EngineError> {
        for snapshot in self.chains() {
            self.0.endpoints.revive(snapshot.endpoints.iter());
            self.wake_due(&snapshot).await?;
            self.decide_forgotten(&snapshot, forgotten_after).await?;
        }
        Ok(())
    }

    /// Wakes every member whose tick is due. Each wake moves that member's alarm, so this ends.
    pub(super) async fn wake_due(&self, snapshot: &ChainSnapshot) -> Result<(), EngineError> {
        if snapshot.program.ticks_with_rules.is_empty() {
            return Ok(());
        }
        loop {
            let (chain, now) = (snapshot.chain.id.clone(), self.0.clock.now());
            let due =
                self.0.store.read(move |conn| store::member::due_wakes(conn, &chain, now, BATCH)).await?;
            let full = due.len() as i64 == BATCH;
            let wakes = due.into_iter().map(|member| self.wake(&snapshot.chain.id, member));
            let failed =
                stream::iter(wakes).buffer_unordered(CONCURRENT).filter_map(|woken| async { woken.err() });
            if let Some(error) = std::pin::pin!(failed).next().await {
                return Err(error);
            }
            if !full || self.is_draining() {
                return Ok(());
            }
        }
    }

    /// Decides events that were kept for later by a process that is gone, or when there was no room.
    async fn decide_forgotten(&self, snapshot: &ChainSnapshot, after: Duration) -> Result<(), EngineError> {
        let before = self.0.clock.now() - after;
        let chain = snapshot.chain.id.clone();
        let kept = self.0.store.read(move |conn| store::source_event::undecided(conn, &chain, BATCH)).await?;
        for stored in
            kept.into_iter().filter(|s| s.status == SourceStatus::Accepted && s.received_at <= before)
        {
            if let Err(error) = self.decide_stored(&snapshot.chain.id, stored).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an event kept for later is still undecided"
                );
            }
        }
        Ok(())
    }

    /// When the next member of a chain is to be woken, if its rules start on ticks at all.
    pub(super) async fn next_wake(&self, snapshot: &ChainSnapshot) -> Result<Option<Timestamp>, EngineError> {
        if snapshot.program.ticks_with_rules.is_empty() {
            return Ok(None);
        }
        let chain: ChainId = snapshot.chain.id.clone();
        Ok(self.0.store.read(move |conn| store::member::next_wake(conn, &chain)).await?)
    }
}
