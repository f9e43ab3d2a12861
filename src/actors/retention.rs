//! Clears what is kept for a time only, in the background: a page at a time, each a job of the journal, with pauses that are
//! many times as long as the pages. So commits wait for one page at most, and seldom.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use crate::domain::Timestamp;
use crate::domain::once;
use crate::store::retention::{self, Sweep, Swept};
use crate::store::{DbConn, StoreError};
use crate::telemetry::KindLabels;

use super::engine::{Engine, EngineError};

/// Pause between two looks for what is too old by now. The first is after a while, when the start is over.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
const FIRST_LOOK: Duration = Duration::from_secs(60);
/// After a page it is waited for so many times as long as the page took, waiting for its turn included,
const SHARE: u32 = 19;
/// but at least and at most for so long.
const LEAST_PAUSE: Duration = Duration::from_millis(50);
const MOST_PAUSE: Duration = Duration::from_secs(5);

/// For how long things are kept; `None` = for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// The attempts of deliveries that are settled.
    pub attempts: Option<chrono::Duration>,
    /// Body and receipt of source events that were processed.
    pub source_events: Option<chrono::Duration>,
    /// Lines of the audit log.
    pub audit: Option<chrono::Duration>,
}

/// Something that is kept for a time only.
#[derive(Clone, Copy)]
struct Kind {
    what: &'static str,
    keep: chrono::Duration,
    sweep: Sweep,
}

impl Retention {
    /// Everything that is kept for a time only: what, for how long, and how a page of it is cleared.
    fn kinds(self) -> impl Iterator<Item = Kind> {
        let kind = |what, keep: Option<_>, sweep| keep.map(|keep| Kind { what, keep, sweep });
        let kinds = [
            kind("requests", Some(once::KEPT), Sweep::OfAll(retention::requests)),
            kind("attempts", self.attempts, Sweep::OfChain(retention::attempts)),
            kind("source_events", self.source_events, Sweep::OfChain(retention::source_events)),
            kind("audit_log", self.audit, Sweep::OfAll(retention::audit_log)),
        ];
        kinds.into_iter().flatten()
    }

    /// What is cleared at all.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        self.kinds().map(|kind| kind.what)
    }
}

impl Engine {
    /// Clears what is too old for as long as the engine runs.
    pub async fn keep_sweeping(self) {
        // Whoever asks how long ago it was has an answer before the first sweep is over.
        self.0.retention.names().for_each(|what| self.note_swept(what));
        tokio::time::sleep(FIRST_LOOK).await;
        join_all(self.0.retention.kinds().map(|kind| self.keep_sweeping_kind(kind))).await;
    }

    /// Each kind for itself: the first time may take one of them days.
    async fn keep_sweeping_kind(&self, kind: Kind) {
        while !self.is_draining() {
            if let Err(error) = self.sweep_kind(kind).await {
                let (kind, error) = (kind.what, &error as &dyn std::error::Error);
                tracing::warn!(kind, error, "what is too old is not cleared yet; trying again in an hour");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Clears everything that is too old by now.
    pub(super) async fn sweep(&self) -> Result<(), EngineError> {
        for kind in self.0.retention.kinds() {
            self.sweep_kind(kind).await?;
        }
        Ok(())
    }

    async fn sweep_kind(&self, Kind { what, keep, sweep }: Kind) -> Result<(), EngineError> {
        match sweep {
            Sweep::OfAll(sweep) => {
                self.sweep_pages(what, keep, move |conn, before, _| sweep(conn, before)).await?;
            }
            Sweep::OfChain(sweep) => {
                for snapshot in self.chains() {
                    let of = snapshot.chain.id.clone();
                    let page = move |conn: &mut DbConn, before, now| {
                        retention::go_on(conn, (what, sweep), &of, before, now)
                    };
                    self.sweep_pages(what, keep, page).await?;
                }
            }
        }
        self.note_swept(what);
        Ok(())
    }

    /// Clears a page after the other, up to the end.
    async fn sweep_pages(
        &self,
        kind: &'static str,
        keep: chrono::Duration,
        page: impl Fn(&mut DbConn, Timestamp, Timestamp) -> Result<Swept, StoreError> + Clone + Send + 'static,
    ) -> Result<(), EngineError> {
        let labels = KindLabels { kind };
        while !self.is_draining() {
            let now = self.0.clock.now();
            let before = now.checked_sub_signed(keep).unwrap_or_default();
            let (started, page) = (Instant::now(), page.clone());
            let swept = self.0.journal.run(move |conn: &mut _, _: &_| page(conn, before, now)).await?;
            self.0.metrics.retention_rows.get_or_create(&labels).inc_by(swept.rows as u64);
            let took_us = started.elapsed().as_micros();
            tracing::debug!(kind, rows = swept.rows, took_us, "a page was cleared");
            if !self.0.clock.is_test() {
                tokio::time::sleep((started.elapsed() * SHARE).clamp(LEAST_PAUSE, MOST_PAUSE)).await;
            }
            if swept.is_end {
                break;
            }
        }
        Ok(())
    }

    fn note_swept(&self, kind: &'static str) {
        let swept_at = self.0.clock.now().timestamp();
        self.0.metrics.retention_finished.get_or_create(&KindLabels { kind }).set(swept_at);
    }
}
