//! Recoveries as outsiders see them.

use schemars::JsonSchema;
use serde::Serialize;

use super::page::{Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::ids::{EndpointId, RecoveryId};
use crate::domain::recovery::{Counts, Period, Progress, Recovery, Which};
use crate::domain::text::Name;
use crate::store::recovery;

/// How many of what.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "RecoveryCounts")]
pub struct CountsView {
    /// All of the following.
    pub matched: u64,
    /// Deliveries that were settled and are due again.
    pub requeued: u64,
    /// Deliveries that did not exist.
    pub created: u64,
    /// Deliveries that were due anyway.
    pub waiting: u64,
}

impl From<Counts> for CountsView {
    fn from(counts: Counts) -> Self {
        let Counts { requeued, created, waiting } = counts;
        Self { matched: counts.matched(), requeued, created, waiting }
    }
}

/// A recovery.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Recovery")]
pub struct RecoveryView {
    /// Its id.
    pub recovery: RecoveryId,
    /// Whose.
    pub endpoint: EndpointId,
    /// What is sent.
    pub status: Which,
    /// Of the loyalty events that were committed from here
    pub since: Timestamp,
    /// to right before here.
    pub until: Timestamp,
    /// `running`, `done` or `stopped`.
    pub state: &'static str,
    /// What it came to so far.
    #[serde(flatten)]
    pub counts: CountsView,
    /// While it runs, about up to when everything is done.
    pub reached: Option<Timestamp>,
    /// Who asked for it: the name of their API key.
    pub asked_by: Name,
    /// When.
    pub begun_at: Timestamp,
    /// When it came to its end, or was stopped.
    pub ended_at: Option<Timestamp>,
}

impl From<Recovery> for RecoveryView {
    fn from(recovery: Recovery) -> Self {
        let (state, reached, ended_at) = match recovery.progress {
            Progress::Running(position) => ("running", position.reached(), None),
            Progress::Done(at) => ("done", None, Some(at)),
            Progress::Stopped(at) => ("stopped", None, Some(at)),
        };
        Self {
            recovery: recovery.id,
            endpoint: recovery.endpoint,
            status: recovery.which,
            since: recovery.period.since(),
            until: recovery.period.until(),
            state,
            counts: recovery.counts.into(),
            reached,
            asked_by: recovery.asked_by,
            begun_at: recovery.begun_at,
            ended_at,
        }
    }
}

/// What a recovery would come to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ForeseenRecovery")]
pub struct Foreseen {
    dry_run: bool,
    endpoint: EndpointId,
    status: Which,
    since: Timestamp,
    until: Timestamp,
    #[serde(flatten)]
    counts: CountsView,
}

impl Foreseen {
    /// Of an endpoint and a period.
    pub fn new(endpoint: EndpointId, status: Which, period: Period, counts: Counts) -> Self {
        let (since, until) = (period.since(), period.until());
        Self { dry_run: true, endpoint, status, since, until, counts: counts.into() }
    }
}

impl Reader {
    /// An endpoint's recoveries, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn recoveries(
        &self,
        chain: ChainId,
        endpoint: EndpointId,
        wanted: Wanted<RecoveryId>,
    ) -> Result<Page<RecoveryView>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after);
        let read = move |conn: &mut _| Ok(recovery::list(conn, &chain, endpoint, rows, after)?);
        let found = self.run(read).await?;
        wanted.page(found, |recovery| recovery.id.to_string()).map(|recovery| Ok(recovery.into()))
    }

    /// One of an endpoint's recoveries.
    ///
    /// # Errors
    /// The store failed.
    pub async fn recovery(
        &self,
        chain: ChainId,
        endpoint: EndpointId,
        id: RecoveryId,
    ) -> Result<Option<RecoveryView>, ReadError> {
        let read = move |conn: &mut _| Ok(recovery::get(conn, &chain, endpoint, id)?);
        Ok(self.run(read).await?.map(RecoveryView::from))
    }
}
