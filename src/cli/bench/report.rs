//! What a run measured, for people and for machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cli::Failure;
use crate::cli::out::thousands;

use super::Mode;

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Latencies {
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// What the server used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ServerCost {
    /// Memory when ready, before any event.
    pub(super) rss_idle_mib: Option<f64>,
    /// Memory after the members were enrolled.
    pub(super) rss_warm_mib: Option<f64>,
    /// The most memory, enrolment included.
    pub(super) rss_peak_mib: Option<f64>,
    /// Memory after the last delivery.
    pub(super) rss_end_mib: Option<f64>,
    /// CPU time of the measured part.
    pub(super) cpu_s: Option<f64>,
}

/// The figures of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Report {
    pub(super) mode: Mode,
    pub(super) connections: u16,
    /// Orders per second asked for; `None` = as fast as answers came.
    pub(super) rate: Option<f64>,
    pub(super) members: u64,
    pub(super) warm_members: u64,
    /// Orders of so many first seconds have no latencies here.
    pub(super) warm_seconds: u64,
    pub(super) seed: u64,
    pub(super) sent: u64,
    pub(super) acknowledged: u64,
    /// Receipts that said that the order was known already.
    pub(super) repeated: u64,
    /// Orders without a receipt, by reason.
    pub(super) errors: BTreeMap<String, u64>,
    /// From the start to the last receipt.
    pub(super) ingest_s: f64,
    pub(super) events_per_s: f64,
    pub(super) ingest_latency: Latencies,
    /// Deliveries that receipts promised.
    pub(super) expected: u64,
    /// Different deliveries that arrived.
    pub(super) arrived: u64,
    /// From the start to the last arrival.
    pub(super) drain_s: f64,
    pub(super) deliveries_per_s: f64,
    pub(super) deliveries_per_s_during_ingest: f64,
    pub(super) arrival_latency: Latencies,
    /// The same in full, in microseconds.
    #[serde(skip)]
    pub(super) arrivals: Histogram<u64>,
    /// Promised and not arrived.
    pub(super) lost: u64,
    /// Arrivals beyond the first of each delivery.
    pub(super) duplicated: u64,
    /// Arrivals of orders whose receipt we did not get.
    pub(super) unpromised: u64,
    /// Arrivals that are not about this run's orders.
    pub(super) foreign: u64,
    pub(super) signatures_checked: u64,
    pub(super) wrongly_signed: u64,
    /// `None` for a server that is not ours.
    pub(super) server: Option<ServerCost>,
    pub(super) bench_cpu_s: Option<f64>,
}

impl Latencies {
    /// From a histogram of microseconds.
    pub(super) fn of(micros: &Histogram<u64>) -> Self {
        let ms = |quantile| micros.value_at_quantile(quantile) as f64 / 1_000.0;
        Self { p50_ms: ms(0.50), p95_ms: ms(0.95), p99_ms: ms(0.99), max_ms: micros.max() as f64 / 1_000.0 }
    }

    /// How many times the other's p99 this one's is; 0 when that has none.
    pub(super) fn p99_over(self, other: Self) -> f64 {
        if other.p99_ms > 0.0 { self.p99_ms / other.p99_ms } else { 0.0 }
    }

    /// A line for people.
    pub(super) fn to_text(self) -> String {
        let Self { p50_ms, p95_ms, p99_ms, max_ms } = self;
        format!("p50 {p50_ms:.1} ms   p95 {p95_ms:.1} ms   p99 {p99_ms:.1} ms   max {max_ms:.1} ms")
    }
}

impl Report {
    /// The table for people.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<12}  {value}");
        };
        row("load", self.load());
        row(
            "orders",
            format!("{} sent, {} acknowledged", thousands(self.sent), thousands(self.acknowledged)),
        );
        for (reason, count) in &self.errors {
            row("  error", format!("{} × {reason}", thousands(*count)));
        }
        row("ingest", format!("{} events/s over {:.1} s", rounded(self.events_per_s), self.ingest_s));
        row("", self.ingest_latency.to_text());
        row(
            "deliveries",
            format!(
                "{} /s over {:.1} s, {} /s while orders came in",
                rounded(self.deliveries_per_s),
                self.drain_s,
                rounded(self.deliveries_per_s_during_ingest)
            ),
        );
        row("", format!("{}   (from order to arrival)", self.arrival_latency.to_text()));
        row("reconciled", self.reconciled());
        row(
            "signatures",
            format!("{} checked, {} wrong", thousands(self.signatures_checked), self.wrongly_signed),
        );
        if let Some(server) = &self.server {
            row("server", server.to_text());
        }
        if let Some(cpu) = self.bench_cpu_s {
            row("this bench", format!("{cpu:.1} s CPU"));
        }
        text
    }

    /// What was sent, for people.
    pub(super) fn load(&self) -> String {
        let pace = match self.rate {
            Some(rate) => format!("open loop at {rate} orders/s"),
            None => "as fast as it goes".to_owned(),
        };
        let mode = match self.mode {
            Mode::Ndjson => "ndjson",
            Mode::Single => "single requests",
        };
        let (connections, members, seed) = (self.connections, thousands(self.members), self.seed);
        let warm = match self.warm_seconds {
            0 => String::new(),
            seconds => format!(", latencies after {seconds} s"),
        };
        format!("{mode} over {connections} connections, {pace}, {members} members, seed {seed}{warm}")
    }

    fn reconciled(&self) -> String {
        let mut text = format!(
            "{} expected, {} arrived, lost {}, duplicated {}",
            thousands(self.expected),
            thousands(self.arrived),
            thousands(self.lost),
            thousands(self.duplicated)
        );
        for (count, what) in [
            (self.repeated, "receipts were repeats"),
            (self.unpromised, "arrived without a receipt"),
            (self.foreign, "of other events"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {} {what}", thousands(count));
            }
        }
        text
    }

    /// Whether the run shows that a promise was broken.
    ///
    /// # Errors
    /// Says which; the table has the figures.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        let failed = |what: String| Err(Failure::Failed(what));
        if self.acknowledged == 0 {
            return failed("no order was acknowledged".to_owned());
        }
        if self.lost > 0 {
            return failed(format!("{} deliveries are lost", self.lost));
        }
        if self.wrongly_signed > 0 {
            return failed(format!("{} deliveries are wrongly signed", self.wrongly_signed));
        }
        Ok(())
    }
}

impl ServerCost {
    fn to_text(&self) -> String {
        let mib = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |v| format!("{v:.0} MiB"));
        format!(
            "memory {} idle, {} warm, {} peak, {} at the end; {} s CPU",
            mib(self.rss_idle_mib),
            mib(self.rss_warm_mib),
            mib(self.rss_peak_mib),
            mib(self.rss_end_mib),
            self.cpu_s.map_or_else(|| "?".to_owned(), |v| format!("{v:.1}"))
        )
    }
}

fn rounded(value: f64) -> String {
    thousands(value.round() as u64)
}
