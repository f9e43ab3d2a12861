//! The test clock: moves from one due instant to the next, and waits at each until everything due is done.

use std::time::{Duration, Instant};

use crate::domain::Timestamp;
use crate::domain::ids::EndpointId;
use crate::store::{self, StoreError};

use super::engine::{Engine, EngineError};
use super::recovery::{Pace, Waits};
use super::retention::LOOK_EVERY;
use super::scheduler::Round;
use super::snapshot::ChainSnapshot;

/// How long to wait before asking the store again whether anything is still due.
const POLL: Duration = Duration::from_millis(3);
/// An event kept for later is decided by whoever kept it within this; else we do it.
const DECIDED_WITHIN: Duration = Duration::from_secs(1);
/// No single instant keeps us longer: an attempt ends within its own deadline.
const PATIENCE: Duration = Duration::from_secs(120);

impl Engine {
    /// Moves the test clock by `by` and answers when everything due in between has been done, in the order it fell
    /// due: retries, ticks.
    ///
    /// # Errors
    /// `Conflict` on the system clock.
    pub async fn advance_clock(&self, by: chrono::Duration) -> Result<Timestamp, EngineError> {
        if !self.0.clock.is_test() {
            return Err(EngineError::Conflict(
                "the engine runs on the system clock; start it with --test-clock".into(),
            ));
        }
        let _one_at_a_time = self.0.advancing.lock().await;
        let target = self.0.clock.now() + by;
        self.settle().await?;
        while let Some(next) = self.next_due().await?.filter(|next| *next <= target) {
            self.0.clock.move_to(next);
            self.settle().await?;
        }
        self.0.clock.move_to(target);
        // What is kept for days is looked at once an hour, by any clock.
        if by.to_std().is_ok_and(|by| by >= LOOK_EVERY) {
            self.sweep().await?;
        }
        self.write_key_uses().await;
        Ok(target)
    }

    /// Waits until nothing is due any more.
    async fn settle(&self) -> Result<(), EngineError> {
        let (started, mut waits) = (Instant::now(), Waits::default());
        loop {
            for snapshot in self.chains() {
                while self.wake_due(&snapshot).await? == Round::More {}
                self.end_pauses(&snapshot).await?;
                self.refit_if_due(&snapshot.chain.id).await?;
                self.decide_claimed(&snapshot.chain.id, None).await?;
            }
            let kept = self.kept_for_later(started.elapsed() > DECIDED_WITHIN).await?;
            let now = self.0.clock.now();
            let is_idle = kept == 0 && self.next_due().await?.is_none_or(|next| next > now);
            // Asked when nothing is due, so one that waits does not wait for that.
            if is_idle && self.recover(&mut waits).await? != Pace::Moved {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                return Err(EngineError::Conflict(format!("something due at {now} is still not done")));
            }
            self.0.nudges.nudge_all();
            tokio::time::sleep(POLL).await;
        }
    }

    /// How many events are kept undecided; decides them when nobody else seems to.
    async fn kept_for_later(&self, decide: bool) -> Result<usize, EngineError> {
        let mut kept = 0;
        for snapshot in self.chains() {
            if decide {
                self.decide_forgotten(&snapshot, Duration::ZERO).await?;
            }
            kept += self.accepted(&snapshot, None).await?.len();
        }
        Ok(kept)
    }

    /// The first instant at which anything is due: a delivery of an enabled endpoint, the end of a pause, a member's tick,
    /// a fit.
    async fn next_due(&self) -> Result<Option<Timestamp>, EngineError> {
        let mut next = None;
        for snapshot in self.chains() {
            let wake = self.next_wake(&snapshot).await?;
            let delivery = self.next_delivery(&snapshot).await?;
            let pause = snapshot.endpoints.iter().filter_map(|endpoint| endpoint.paused_until()).min();
            next = [next, wake, delivery, pause, snapshot.next_fit()].into_iter().flatten().min();
        }
        Ok(next)
    }

    /// When the next delivery of a chain leaves: when it is due, or when its courier no longer rests.
    async fn next_delivery(&self, snapshot: &ChainSnapshot) -> Result<Option<Timestamp>, EngineError> {
        let (chain, endpoints) = (snapshot.chain.id.clone(), snapshot.endpoints.clone());
        let due = self.0.store.read(move |conn| {
            let enabled = endpoints.iter().filter(|endpoint| endpoint.is_enabled());
            let due = enabled
                .map(|endpoint| Ok((endpoint.id, store::delivery::next_due(conn, &chain, endpoint.id)?)));
            due.collect::<Result<Vec<_>, StoreError>>()
        });
        let due = due.await?;
        let now = self.0.clock.now();
        let leaves = |(endpoint, at): (EndpointId, Option<Timestamp>)| {
            // One that rested until now may not have noticed yet that it is over.
            let rests = self.0.endpoints.rests_until(endpoint).filter(|until| *until > now);
            at.max(at.and(rests))
        };
        Ok(due.into_iter().filter_map(leaves).min())
    }
}
