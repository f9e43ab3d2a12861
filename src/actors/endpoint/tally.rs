//! What is counted per endpoint. The handles are looked up once: counting costs an atomic add.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::errand::Report;
use crate::domain::delivery::{NextStep, Verdict};
use crate::domain::endpoint::Endpoint;
use crate::telemetry::{AttemptLabels, EndpointLabels, Metrics};

pub(super) struct Tally {
    metrics: Arc<Metrics>,
    labels: EndpointLabels,
    oldest: Gauge<f64, AtomicU64>,
    delivered: Counter,
    retry: Counter,
    failed: Counter,
    gone: Counter,
}

impl Tally {
    pub(super) fn new(metrics: Arc<Metrics>, endpoint: &Endpoint) -> Self {
        let labels = EndpointLabels { chain: endpoint.chain.to_string(), endpoint: endpoint.id.to_string() };
        let counter = |outcome| metrics.attempts.get_or_create(&AttemptLabels { outcome }).clone();
        let [delivered, retry, failed, gone] = ["delivered", "retry", "failed", "gone"].map(counter);
        let oldest = metrics.oldest_pending_seconds.get_or_create(&labels).clone();
        Self { metrics, labels, oldest, delivered, retry, failed, gone }
    }

    /// Counts one attempt, and the one before it if it was tried under two keys.
    pub(super) fn count(&self, report: &Report) {
        if report.outcome.under_other_key.is_some() {
            self.retry.inc();
        }
        match (&report.verdict, &report.outcome.next) {
            (Verdict::Gone { .. }, _) => self.gone.inc(),
            (_, NextStep::RetryAt(_) | NextStep::Spared(_) | NextStep::Hindered { .. }) => self.retry.inc(),
            (_, NextStep::Failed) => self.failed.inc(),
            (_, NextStep::Delivered) => {
                self.metrics.event_to_arrival_seconds.observe(report.age.as_secs_f64());
                self.delivered.inc()
            }
        };
    }

    /// Shows how old the oldest pending delivery is.
    pub(super) fn oldest(&self, age: chrono::Duration) {
        self.oldest.set(age.to_std().unwrap_or_default().as_secs_f64());
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.metrics.oldest_pending_seconds.remove(&self.labels);
    }
}
