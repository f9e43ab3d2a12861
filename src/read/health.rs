//! How well endpoints take their deliveries, as outsiders see it.

use schemars::JsonSchema;
use serde::Serialize;

use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::health::{Threshold, Window};
use crate::domain::ids::EndpointId;
use crate::store::endpoint_minutes::{self, Owed};

/// Nobody counts a longer backlog.
const MOST_BACKLOG: u32 = 100_000;

/// The health of an endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "EndpointHealth")]
pub struct HealthView {
    /// How far back it is looked.
    pub window: Window,
    /// Since when tries are counted: the window, in whole slots of five minutes.
    pub since: Timestamp,
    /// Tries.
    pub attempts: u64,
    /// How many of them were accepted, from 0 to 1; `null` without any.
    pub success_rate: Option<f64>,
    /// How long they took.
    pub latency_ms: LatencyView,
    /// How many of them were not the first of their delivery, from 0 to 1; `null` without any.
    pub retry_rate: Option<f64>,
    /// Deliveries of which every try failed.
    pub failed: u64,
    /// Deliveries that are owed now.
    pub backlog: u64,
    /// Whether there are more than that.
    pub backlog_is_at_least: bool,
    /// When the loyalty event of the oldest of them was committed.
    pub oldest_pending_at: Option<Timestamp>,
    /// What is held against what is healthy.
    pub thresholds: [Threshold; 4],
}

/// How long tries took, to a sixteenth.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Latency")]
pub struct LatencyView {
    /// Half of them took no longer.
    pub p50: Option<u64>,
    /// 95 of a hundred took no longer.
    pub p95: Option<u64>,
}

impl Reader {
    /// The health of an endpoint.
    ///
    /// # Errors
    /// The store failed.
    pub async fn health(
        &self,
        chain: ChainId,
        endpoint: EndpointId,
        window: Window,
        now: Timestamp,
    ) -> Result<HealthView, ReadError> {
        let since = window.since(now);
        self.run(move |conn| {
            let minutes = endpoint_minutes::since(conn, &chain, endpoint, since)?;
            let Owed { deliveries, oldest } =
                endpoint_minutes::owed(conn, &chain, endpoint, MOST_BACKLOG + 1)?;
            let most = u64::from(MOST_BACKLOG);
            let percentile = |percent| minutes.latencies.percentile(percent);
            Ok(HealthView {
                window,
                since,
                attempts: minutes.tries(),
                success_rate: minutes.success_rate(),
                latency_ms: LatencyView { p50: percentile(50), p95: percentile(95) },
                retry_rate: minutes.retry_rate(),
                failed: minutes.failed,
                backlog: deliveries.min(most),
                backlog_is_at_least: deliveries > most,
                oldest_pending_at: oldest,
                thresholds: minutes.thresholds(),
            })
        })
        .await
    }
}
