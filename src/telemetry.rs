//! Logs and metrics.
//!
//! Every metric is a plain handle in [`Metrics`]: counting costs an atomic add, and the names stand in one place.

use std::io::IsTerminal as _;
use std::str::FromStr;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

impl LogFormat {
    /// The word used in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl FromStr for LogFormat {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Text, Self::Json].into_iter().find(|format| format.as_str() == word).ok_or(())
    }
}

/// Whether `filter` is a log filter.
///
/// # Errors
/// What is wrong with it.
pub fn check_log_filter(filter: &str) -> Result<(), String> {
    EnvFilter::builder().parse(filter).map(|_| ()).map_err(|e| e.to_string())
}

/// Sends log lines to stderr. Only the first call of a process counts; a bad filter lets `info` and above through.
pub fn init_logs(format: LogFormat, filter: &str) {
    let filter = EnvFilter::builder().parse(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second call means that somebody (a test, an embedding program) has already decided where lines go.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

/// What became of an ingested event: `processed`, `parked`, `failed`, `accepted`, `duplicate`, `refused`, `shed`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct IngestLabels {
    /// The outcome.
    pub outcome: &'static str,
}

/// How an attempt ended: `delivered`, `retry`, `failed`, `gone`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AttemptLabels {
    /// The outcome.
    pub outcome: &'static str,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndpointLabels {
    /// Its chain.
    pub chain: String,
    /// Its id.
    pub endpoint: String,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Source events by outcome.
    pub ingested: Family<IngestLabels, Counter>,
    /// From body read to answer ready, in seconds.
    pub ingest_seconds: Histogram,
    /// Rules and decision of one event, in seconds.
    pub decide_seconds: Histogram,
    /// Writes in one transaction.
    pub commit_batch: Histogram,
    /// One transaction, in seconds.
    pub commit_seconds: Histogram,
    /// Writes waiting for the journal.
    pub journal_queue: Gauge,
    /// Source events inside the engine, from accepted by the door to answered.
    pub in_flight: Gauge,
    /// Members in memory.
    pub members_resident: Gauge,
    /// Delivery attempts by outcome.
    pub attempts: Family<AttemptLabels, Counter>,
    /// From the commit of a loyalty event to the receiver's acceptance, in seconds.
    pub event_to_arrival_seconds: Histogram,
    /// Age of the oldest unsettled delivery per endpoint, in seconds.
    pub oldest_pending_seconds: Family<EndpointLabels, Gauge<f64, AtomicU64>>,
    /// Commits that lost against another writer and were decided again.
    pub conflicts: Counter,
    /// Actors rebuilt after a panic.
    pub respawns: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers every metric.
    pub fn new() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_05, 2.0, 20));
        let metrics = Self {
            registry: Registry::with_prefix("punchcard"),
            ingested: Family::default(),
            ingest_seconds: seconds(),
            decide_seconds: Histogram::new(exponential_buckets(0.000_001, 2.0, 20)),
            commit_batch: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            commit_seconds: seconds(),
            journal_queue: Gauge::default(),
            in_flight: Gauge::default(),
            members_resident: Gauge::default(),
            attempts: Family::default(),
            event_to_arrival_seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 26)),
            oldest_pending_seconds: Family::default(),
            conflicts: Counter::default(),
            respawns: Counter::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let r = &mut self.registry;
        r.register("source_events", "Source events by outcome", self.ingested.clone());
        r.register_with_unit(
            "ingest",
            "From body read to answer ready",
            Unit::Seconds,
            self.ingest_seconds.clone(),
        );
        r.register_with_unit(
            "decide",
            "Rules and decision of one event",
            Unit::Seconds,
            self.decide_seconds.clone(),
        );
        r.register("commit_batch_size", "Writes in one transaction", self.commit_batch.clone());
        r.register_with_unit("commit", "One transaction", Unit::Seconds, self.commit_seconds.clone());
        r.register("journal_queue_depth", "Writes waiting for the journal", self.journal_queue.clone());
        r.register("events_in_flight", "Source events inside the engine", self.in_flight.clone());
        r.register("members_resident", "Members in memory", self.members_resident.clone());
        r.register("attempts", "Delivery attempts by outcome", self.attempts.clone());
        r.register_with_unit(
            "event_to_arrival",
            "From the commit of a loyalty event to the receiver's acceptance",
            Unit::Seconds,
            self.event_to_arrival_seconds.clone(),
        );
        r.register_with_unit(
            "oldest_pending",
            "Age of the oldest unsettled delivery",
            Unit::Seconds,
            self.oldest_pending_seconds.clone(),
        );
        r.register("commit_conflicts", "Commits that lost against another writer", self.conflicts.clone());
        r.register("actor_respawns", "Actors rebuilt after a panic", self.respawns.clone());
        self
    }

    /// The Prometheus text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

/// For tests of what is logged.
#[cfg(test)]
pub(crate) mod heard {
    use std::sync::{Arc, LazyLock, Mutex};

    /// What was logged in this process, as text.
    #[derive(Clone, Default)]
    pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        /// Begins to listen. The actors have threads of their own, so the whole process is heard.
        pub(crate) fn listen() -> Self {
            static LOG: LazyLock<Log> = LazyLock::new(|| {
                let log = Log::default();
                let writer = log.clone();
                let lines = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
                lines.with_max_level(tracing::Level::INFO).init();
                log
            });
            LOG.clone()
        }

        /// The line that says all this.
        pub(crate) fn line(&self, words: &[&str]) -> Option<String> {
            let text = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
            text.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
        }
    }
}
