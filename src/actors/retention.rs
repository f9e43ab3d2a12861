//! Clears what is kept for a time only, in the background: a page at a time, each a job of the journal, with pauses that are
//! many times as long as the pages. So commits wait for one page at most, and seldom.

use std::time::{Duration, Instant};

use crate::domain::chain::ChainId;
use crate::store::retention::{self, Sweep};
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
struct Kind {
    what: &'static str,
    keep: Option<chrono::Duration>,
    sweep: Sweep,
}

impl Retention {
    /// Everything that is kept for a time only: what, for how long, and how a page of it is cleared.
    const fn kinds(self) -> [Kind; 3] {
        [
            Kind { what: "attempts", keep: self.attempts, sweep: retention::attempts },
            Kind { what: "source_events", keep: self.source_events, sweep: retention::source_events },
            Kind { what: "audit_log", keep: self.audit, sweep: retention::audit_log },
        ]
    }

    /// What is cleared at all.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        self.kinds().into_iter().filter(|kind| kind.keep.is_some()).map(|kind| kind.what)
    }
}

impl Engine {
    /// Clears what is too old for as long as the engine runs.
    pub async fn keep_sweeping(self) {
        // Until everything was cleared once, whoever waits for that waits since now.
        self.0.retention.names().for_each(|kind| self.show_swept(kind));
        tokio::time::sleep(FIRST_LOOK).await;
        while !self.is_draining() {
            if let Err(error) = self.sweep().await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "what is too old is not cleared yet; trying again in an hour");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Clears everything that is too old by now.
    pub(super) async fn sweep(&self) -> Result<(), EngineError> {
        for kind in self.0.retention.kinds() {
            let Some(keep) = kind.keep else { continue };
            for snapshot in self.chains() {
                self.sweep_chain(&kind, keep, &snapshot.chain.id).await?;
            }
            self.show_swept(kind.what);
        }
        Ok(())
    }

    fn show_swept(&self, kind: &'static str) {
        let swept_at = self.0.clock.now().timestamp();
        self.0.metrics.retention_finished.get_or_create(&KindLabels { kind }).set(swept_at);
    }

    async fn sweep_chain(
        &self,
        kind: &Kind,
        keep: chrono::Duration,
        chain: &ChainId,
    ) -> Result<(), EngineError> {
        let labels = KindLabels { kind: kind.what };
        while !self.is_draining() {
            let (of, what, sweep) = (chain.clone(), kind.what, kind.sweep);
            let now = self.0.clock.now();
            let before = now.checked_sub_signed(keep).unwrap_or_default();
            let started = Instant::now();
            let page = move |conn: &mut _, _: &_| retention::go_on(conn, (what, sweep), &of, before, now);
            let swept = self.0.journal.run(page).await?;
            self.0.metrics.retention_rows.get_or_create(&labels).inc_by(swept.rows as u64);
            let took_us = started.elapsed().as_micros();
            tracing::debug!(%chain, kind = what, rows = swept.rows, took_us, "a page was cleared");
            if !self.0.clock.is_test() {
                tokio::time::sleep((started.elapsed() * SHARE).clamp(LEAST_PAUSE, MOST_PAUSE)).await;
            }
            if swept.is_end {
                break;
            }
        }
        Ok(())
    }
}
