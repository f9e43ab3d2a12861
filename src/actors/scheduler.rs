//! The scheduler: wakes members whose ticks are due and looks after what nobody else would.
//!
//! It takes no input: each pass asks the store what is due, so a restart, a missed pass and the happy path are the
//! same code.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::health::{self, slot_of};
use crate::domain::ids::SourceId;
use crate::store;
use crate::store::source_event::StoredSource;

use super::engine::{Engine, EngineError};
use super::kept::still_undecided;
use super::snapshot::ChainSnapshot;

/// Pause between passes. Ticks are minutes apart; nobody notices half a second.
const PASS_EVERY: Duration = Duration::from_millis(500);
/// Members woken, or events decided, per look at the store.
const BATCH: i64 = 256;
/// Members woken at the same time: background work, ingest comes first.
const CONCURRENT: usize = 32;
/// Pause between two looks for what deleted endpoints are still owed.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// An event kept for later that is older than this was forgotten by whoever kept it.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// Whether a chain has more to do at this very moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// Another batch may be due.
    More,
    /// Nothing more is due, or nothing more can be done now.
    Done,
}

impl Engine {
    /// Runs passes for as long as the engine runs.
    pub async fn keep_schedule(self) {
        let mut tidied: Option<Instant> = None;
        while !self.is_draining() {
            let forgotten_after = if tidied.is_none() { Duration::ZERO } else { FORGOTTEN_AFTER };
            if tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY) {
                tidied = Some(Instant::now());
                self.tidy().await;
            }
            self.pass(forgotten_after).await;
            self.note_key_uses().await;
            tokio::time::sleep(PASS_EVERY).await;
        }
    }

    async fn tidy(&self) {
        if let Err(error) = self.measure_database().await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the database could not be measured");
        }
        self.keep_lanes_later();
        for snapshot in self.chains() {
            let chain = &snapshot.chain.id;
            if let Err(error) = self.discard_orphans(chain).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(%chain, error, "deliveries of deleted endpoints could not be discarded");
            }
            if let Err(error) = self.forget_minutes(chain).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(%chain, error, "old counts of attempts could not be forgotten");
            }
            if let Err(error) = self.count_open(&snapshot).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(%chain, error, "what is owed could not be counted");
            }
            self.forget_later(chain.clone());
            if let Err(error) = self.decide_claimed(chain, None).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(%chain, error, "claimed orders could not be decided");
            }
        }
    }

    /// Forgets how attempts went a month ago.
    async fn forget_minutes(&self, chain: &ChainId) -> Result<(), EngineError> {
        let (of, before) = (chain.clone(), slot_of(self.0.clock.now() - health::KEPT));
        let old = move |conn: &mut _| store::endpoint_minutes::older_than(conn, &of, before);
        for endpoint in self.0.store.read(old).await? {
            let of = chain.clone();
            let forget =
                move |conn: &mut _, _: &_| store::endpoint_minutes::forget(conn, &of, endpoint, before);
            self.0.journal.run(forget).await?;
        }
        Ok(())
    }

    /// One round for every chain: no chain waits for another one's thousands, and none for another one's trouble.
    async fn pass(&self, forgotten_after: Duration) {
        self.0.endpoints.revive();
        let mut behind = self.chains();
        while !behind.is_empty() && !self.is_draining() {
            let mut still_behind = Vec::new();
            for snapshot in behind {
                let Some(snapshot) = self.chain(snapshot.chain.id.as_str()) else { continue };
                match self.look_after(&snapshot, forgotten_after).await {
                    Ok(Round::More) => still_behind.push(snapshot),
                    Ok(Round::Done) => {}
                    Err(error) => {
                        let chain = &snapshot.chain.id;
                        tracing::error!(%chain, error = &error as &dyn std::error::Error, "the scheduler failed");
                    }
                }
            }
            behind = still_behind;
        }
    }

    async fn look_after(
        &self,
        snapshot: &ChainSnapshot,
        forgotten_after: Duration,
    ) -> Result<Round, EngineError> {
        self.end_pauses(snapshot).await?;
        self.decide_forgotten(snapshot, forgotten_after).await?;
        self.wake_due(snapshot).await
    }

    /// Wakes members whose tick is due, one batch. A wake moves the member's alarm; a member who cannot be woken is
    /// logged and keeps their place, so behind a batch of whom nobody could be woken is the next one.
    pub(super) async fn wake_due(&self, snapshot: &ChainSnapshot) -> Result<Round, EngineError> {
        if !snapshot.wakes() {
            return Ok(Round::Done);
        }
        let mut stuck = 0;
        while !self.is_draining() {
            let (chain, now) = (snapshot.chain.id.clone(), self.0.clock.now());
            let due = move |conn: &mut _| store::member::due_wakes(conn, &chain, now, BATCH, stuck);
            let due = self.0.store.read(due).await?;
            if due.is_empty() {
                break;
            }
            let full = due.len() as i64 == BATCH;
            let wakes = due.into_iter().map(|member| async move {
                let woken = self.wake(&snapshot.chain.id, member).await;
                woken.inspect_err(|error| {
                    tracing::error!(chain = %snapshot.chain.id, %member, error = error as &dyn std::error::Error, "a member's tick failed");
                })
            });
            let woken = stream::iter(wakes).buffer_unordered(CONCURRENT);
            match woken.filter(|woken| std::future::ready(woken.is_ok())).count().await {
                _ if !full => break,
                0 => stuck += BATCH,
                _ => return Ok(Round::More),
            }
        }
        Ok(Round::Done)
    }

    /// Decides events that were kept for later by a process that is gone, or when there was no room.
    pub(super) async fn decide_forgotten(
        &self,
        snapshot: &ChainSnapshot,
        after: Duration,
    ) -> Result<(), EngineError> {
        let before = self.0.clock.now() - after;
        let mut last = None;
        while !self.is_draining() {
            // Page by page: what cannot be decided now holds up nothing behind it.
            let page = self.accepted(snapshot, last).await?;
            last = page.last().filter(|_| page.len() as i64 == BATCH).map(|stored| stored.id);
            let kept = page.into_iter().filter(|stored| stored.received_at <= before);
            let decided = kept.map(|stored| async move {
                let (chain, source, key) = (&snapshot.chain.id, stored.id, stored.key.clone());
                if let Err(error) = self.decide_stored(chain, stored).await {
                    still_undecided(chain, source, &key, &error);
                }
            });
            stream::iter(decided).buffered(CONCURRENT).collect::<()>().await;
            if last.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Events that are durable and not yet decided, one batch after `after`. None while no rules are in force: they
    /// wait.
    pub(super) async fn accepted(
        &self,
        snapshot: &ChainSnapshot,
        after: Option<SourceId>,
    ) -> Result<Vec<StoredSource>, EngineError> {
        if snapshot.program.is_none() {
            return Ok(Vec::new());
        }
        let chain = snapshot.chain.id.clone();
        Ok(self.0.store.read(move |conn| store::source_event::undecided(conn, &chain, BATCH, after)).await?)
    }

    /// When the next member of a chain is to be woken, if they are woken at all.
    pub(super) async fn next_wake(&self, snapshot: &ChainSnapshot) -> Result<Option<Timestamp>, EngineError> {
        if !snapshot.wakes() {
            return Ok(None);
        }
        let chain: ChainId = snapshot.chain.id.clone();
        Ok(self.0.store.read(move |conn| store::member::next_wake(conn, &chain)).await?)
    }
}
