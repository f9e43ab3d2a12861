//! Logs, metrics, and spans for a collector.
//!
//! Every metric is a plain handle in [`Metrics`]: counting costs an atomic add, and the names stand in one place.

mod otlp;
pub(crate) mod process;

use std::collections::HashSet;
use std::io::IsTerminal as _;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tracing_subscriber::EnvFilter;

pub use otlp::{Served, Spans};

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
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).try_init(),
    };
}

/// What became of an ingested event: `processed`, `parked`, `failed`, `accepted`, `duplicate`, `refused`, `shed`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct IngestLabels {
    /// The outcome.
    pub outcome: &'static str,
}

/// Why a caller was refused: the problem's code, such as `unauthorized`, `key_expired`, `too_many_attempts`, `rate_limited`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RefusalLabels {
    /// The code.
    pub code: &'static str,
}

/// How an attempt ended: `delivered`, `retry`, `failed`, `gone`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct AttemptLabels {
    /// The outcome.
    pub outcome: &'static str,
}

/// What is kept for a time only: `requests`, `attempts`, `source_events`, `audit_log`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct KindLabels {
    /// What it is.
    pub kind: &'static str,
}

/// A kind of request. Its route is the pattern, never the path: there are as many as we wrote down.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct RequestLabels {
    /// `GET`, `POST`, …, or `other`.
    pub method: &'static str,
    /// `/v1/chains/{chain}/events`, or `none` for paths that are no route.
    pub route: Arc<String>,
    /// `2xx`, …
    pub status: &'static str,
}

/// Endpoints of a chain: `enabled`, `paused`, `disabled`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndpointStateLabels {
    /// The chain.
    pub chain: String,
    /// The state.
    pub state: &'static str,
}

/// Who reads: `engine`, or `outsiders`, who list and look.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PoolLabels {
    /// Whose connections.
    pub pool: &'static str,
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct BuildLabels {
    /// The version of this program.
    pub version: &'static str,
}

/// One endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct EndpointLabels {
    /// Its chain.
    pub chain: String,
    /// Its id.
    pub endpoint: String,
}

/// One chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ChainLabels {
    /// Its id.
    pub chain: String,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Source events by outcome.
    pub ingested: Family<IngestLabels, Counter>,
    /// Requests whose key was refused, or over its limit, by code.
    pub refused_callers: Family<RefusalLabels, Counter>,
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
    /// Rules that are suspended because they kept failing.
    pub suspended_rules: Family<ChainLabels, Gauge>,
    /// Requests by kind: from their head to that of the answer, in seconds.
    pub http_request_seconds: Family<RequestLabels, Histogram>,
    /// Rules that failed, each time.
    pub rule_failures: Family<ChainLabels, Counter>,
    /// Versions in force.
    pub program_version: Family<ChainLabels, Gauge>,
    /// Chains whose events are refused because no rules are in force.
    pub chains_without_rules: Gauge,
    /// Endpoints by state.
    pub endpoints: Family<EndpointStateLabels, Gauge>,
    /// Endpoints whose receiver fails, so that deliveries are held back.
    pub endpoints_held: Family<ChainLabels, Gauge>,
    /// Deliveries that are owed; of an endpoint that is owed more, only so many are counted.
    pub open_deliveries: Family<ChainLabels, Gauge>,
    /// Connections that read just now.
    pub readers_busy: Family<PoolLabels, Gauge>,
    /// How large the database is.
    pub database_bytes: Gauge,
    /// What the engine's clock shows.
    pub clock: Gauge<f64, AtomicU64>,
    /// Rows that were cleared because their time was over.
    pub retention_rows: Family<KindLabels, Counter>,
    /// When everything whose time was over had been cleared, by the engine's clock, in seconds since the epoch; before that, when
    /// the engine was started.
    pub retention_finished: Family<KindLabels, Gauge>,
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
            refused_callers: Family::default(),
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
            suspended_rules: Family::default(),
            http_request_seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.000_5, 2.0, 15))
            }),
            rule_failures: Family::default(),
            program_version: Family::default(),
            chains_without_rules: Gauge::default(),
            endpoints: Family::default(),
            endpoints_held: Family::default(),
            open_deliveries: Family::default(),
            readers_busy: Family::default(),
            database_bytes: Gauge::default(),
            clock: Gauge::default(),
            retention_rows: Family::default(),
            retention_finished: Family::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let r = &mut self.registry;
        r.register("source_events", "Source events by outcome", self.ingested.clone());
        r.register(
            "refused_callers",
            "Requests whose key was refused or over its limit, by code",
            self.refused_callers.clone(),
        );
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
        r.register(
            "suspended_rules",
            "Rules that kept failing and are not run",
            self.suspended_rules.clone(),
        );
        self.register_state();
        self
    }

    /// Those that are brought up to date when somebody asks, or now and then.
    fn register_state(&mut self) {
        let r = &mut self.registry;
        r.register_with_unit(
            "http_request",
            "From the head of a request to that of its answer",
            Unit::Seconds,
            self.http_request_seconds.clone(),
        );
        r.register("rule_failures", "Rules that failed, each time", self.rule_failures.clone());
        r.register("program_version", "Version of the program in force", self.program_version.clone());
        let help = "Chains without rules in force, whose events are refused";
        r.register("chains_without_rules", help, self.chains_without_rules.clone());
        r.register("endpoints", "Endpoints by state", self.endpoints.clone());
        let help = "Endpoints whose receiver fails, so that deliveries are held back";
        r.register("endpoints_held", help, self.endpoints_held.clone());
        let help = "Deliveries that are owed, 10000 of an endpoint at most";
        r.register("open_deliveries", help, self.open_deliveries.clone());
        r.register("readers_busy", "Connections that read just now", self.readers_busy.clone());
        r.register("database_bytes", "Size of the database", self.database_bytes.clone());
        r.register("clock_timestamp_seconds", "What the engine's clock shows", self.clock.clone());
        r.register("retention_rows", "Rows cleared because their time was over", self.retention_rows.clone());
        r.register(
            "retention_finished_timestamp_seconds",
            "When everything whose time was over had been cleared; before that, when the engine was started",
            self.retention_finished.clone(),
        );
        let build = Family::<BuildLabels, Gauge>::default();
        build.get_or_create(&BuildLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
        r.register("build_info", "What runs", build);
    }

    /// Everything in the Prometheus text format 0.0.4.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode_registry(&mut text, &self.registry);
        prometheus_text(&text) + process::describe().as_str()
    }
}

/// Turns OpenMetrics, which the library writes, into the older format. There a counter's `HELP` and `TYPE` name it as
/// its samples do, with `_total`, and units are not declared.
fn prometheus_text(open_metrics: &str) -> String {
    let counter = |line: &str| Some(line.strip_prefix("# TYPE ")?.strip_suffix(" counter")?.to_owned());
    let counters: HashSet<String> = open_metrics.lines().filter_map(counter).collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines().filter(|line| !line.starts_with("# UNIT ")) {
        let head = line.strip_prefix("# ").and_then(|head| {
            let (keyword, rest) = head.split_once(' ')?;
            let (name, rest) = rest.split_once(' ')?;
            counters.contains(name).then(|| format!("# {keyword} {name}_total {rest}"))
        });
        text.push_str(head.as_deref().unwrap_or(line));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The family that a sample belongs to, in the Prometheus text format.
    fn family<'a>(sample: &'a str, types: &HashSet<(&str, &str)>) -> &'a str {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| sample.strip_suffix(suffix));
        histogram.filter(|name| types.contains(&(name, "histogram"))).unwrap_or(sample)
    }

    #[test]
    fn every_sample_stands_below_the_help_and_type_of_its_family() {
        let metrics = Metrics::new();
        metrics.ingested.get_or_create(&IngestLabels { outcome: "processed" }).inc();
        metrics.ingest_seconds.observe(0.01);
        let labels = EndpointLabels { chain: "harvest".into(), endpoint: "ep_1".into() };
        metrics.oldest_pending_seconds.get_or_create(&labels).set(1.5);
        let text = metrics.encode();
        let (mut types, mut current) = (HashSet::new(), "");
        for line in text.lines() {
            match line.strip_prefix("# ").map(|head| head.splitn(3, ' ').collect::<Vec<_>>()) {
                Some(head) if head[0] == "HELP" => current = head[1],
                Some(head) => {
                    assert_eq!((head[0], head[1]), ("TYPE", current), "{line}");
                    types.insert((head[1], head[2]));
                }
                None => {
                    let sample = line.split(['{', ' ']).next().unwrap();
                    assert_eq!(family(sample, &types), current, "{line}");
                    assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
                }
            }
        }
        assert!(text.contains("# TYPE punchcard_source_events_total counter\n"), "{text}");
        assert!(text.contains("punchcard_source_events_total{outcome=\"processed\"} 1\n"), "{text}");
        assert!(text.contains("# TYPE punchcard_oldest_pending_seconds gauge\n"), "{text}");
        assert!(text.ends_with('\n') && !text.contains("# EOF"), "{text}");
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

        /// The first line that says all this.
        pub(crate) fn line(&self, words: &[&str]) -> Option<String> {
            self.lines(words).into_iter().next()
        }

        /// The lines that say all this.
        pub(crate) fn lines(&self, words: &[&str]) -> Vec<String> {
            let text = String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned();
            let all = |line: &&str| words.iter().all(|word| line.contains(word));
            text.lines().filter(all).map(str::to_owned).collect()
        }
    }
}
