//! How well an endpoint takes its deliveries: counted in slots of five minutes, so that nobody has to read a million
//! attempts.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{Duration, DurationRound};
use schemars::JsonSchema;
use serde::Serialize;

use super::Timestamp;
use super::delivery::DeliveryStatus;

/// How much time is counted together.
pub const SLOT: Duration = Duration::minutes(5);
/// For how long counts are kept.
pub const KEPT: Duration = Duration::days(30);

/// The begin of the slot that an instant lies in.
pub fn slot_of(at: Timestamp) -> Timestamp {
    at.duration_trunc(SLOT).unwrap_or(at)
}

/// How long requests took, counted in steps of at most a sixteenth.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Latencies(BTreeMap<u8, u64>);

impl Latencies {
    /// The longest that is told apart; no exchange takes longer than half of it.
    const LONGEST_MS: u64 = (1 << 16) - 1;

    /// Counts one request.
    pub fn record(&mut self, ms: u64) {
        *self.0.entry(Self::step_of(ms)).or_default() += 1;
    }

    /// Adds those of another slot.
    pub fn merge(&mut self, more: &Self) {
        for (step, count) in &more.0 {
            *self.0.entry(*step).or_default() += count;
        }
    }

    /// How long so many per cent of the requests took at most; `None` without any.
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let all: u64 = self.0.values().sum();
        let rank = (all * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let mut reaches = |count: u64| {
            seen += count;
            seen >= rank
        };
        self.0.iter().find(|(_, count)| reaches(**count)).map(|(step, _)| Self::middle_of(*step))
    }

    /// As it is stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        postcard::to_allocvec(&self.0).unwrap_or_else(|_| unreachable!("a map of numbers serializes"))
    }

    /// What [`Self::to_bytes`] wrote.
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok().map(Self)
    }

    /// Up to 31 ms each has its own; then sixteen to each doubling.
    fn step_of(ms: u64) -> u8 {
        let ms = ms.min(Self::LONGEST_MS);
        if ms < 32 {
            return ms as u8;
        }
        let doubling = ms.ilog2();
        (32 + (doubling - 5) * 16) as u8 + ((ms >> (doubling - 4)) & 15) as u8
    }

    fn middle_of(step: u8) -> u64 {
        let step = u64::from(step);
        if step < 32 {
            return step;
        }
        let width_log2 = (step - 32) / 16 + 1;
        let lowest = (16 + (step - 32) % 16) << width_log2;
        lowest + (1 << (width_log2 - 1))
    }
}

/// A try, as far as it is counted.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// 1 for the first of a ladder.
    pub number: i64,
    /// What became of its delivery.
    pub status: DeliveryStatus,
    /// How long it took; `None` when nothing was sent.
    pub ms: Option<u64>,
}

/// What is counted in one slot, or in several.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Minutes {
    /// First tries of ladders.
    pub first_tries: u64,
    /// Further ones.
    pub retries: u64,
    /// Tries that the receiver accepted.
    pub delivered: u64,
    /// Tries after which there was none left.
    pub failed: u64,
    /// How long they took.
    pub latencies: Latencies,
}

impl Minutes {
    /// Counts one try.
    pub fn count(&mut self, tried: Counted) {
        *if tried.number <= 1 { &mut self.first_tries } else { &mut self.retries } += 1;
        match tried.status {
            DeliveryStatus::Delivered => self.delivered += 1,
            DeliveryStatus::Failed => self.failed += 1,
            DeliveryStatus::Pending | DeliveryStatus::Waiting | DeliveryStatus::Discarded => {}
        }
        tried.ms.into_iter().for_each(|ms| self.latencies.record(ms));
    }

    /// Adds another slot.
    pub fn merge(&mut self, more: &Self) {
        self.first_tries += more.first_tries;
        self.retries += more.retries;
        self.delivered += more.delivered;
        self.failed += more.failed;
        self.latencies.merge(&more.latencies);
    }

    /// All tries.
    pub const fn tries(&self) -> u64 {
        self.first_tries + self.retries
    }

    /// How many of its tries were accepted, from 0 to 1.
    pub fn success_rate(&self) -> Option<f64> {
        self.share(self.delivered)
    }

    /// How many of its tries were not the first, from 0 to 1.
    pub fn retry_rate(&self) -> Option<f64> {
        self.share(self.retries)
    }

    fn share(&self, part: u64) -> Option<f64> {
        (self.tries() > 0).then(|| part as f64 / self.tries() as f64)
    }

    /// What is held against what is healthy.
    pub fn thresholds(&self) -> [Threshold; 4] {
        let success = self.success_rate();
        let latency = self.latencies.percentile(95).map(|ms| ms as f64);
        let retries = self.retry_rate();
        let failed = self.failed as f64;
        [
            Threshold::of("success_rate", "> 0.99", success, |rate| rate > 0.99),
            Threshold::of("latency_ms.p95", "< 500", latency, |ms| ms < 500.0),
            Threshold::of("retry_rate", "< 0.05", retries, |rate| rate < 0.05),
            Threshold::of("failed", "0", Some(failed), |failed| failed == 0.0),
        ]
    }
}

/// What is healthy, and what is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Threshold {
    /// What is measured.
    pub metric: &'static str,
    /// What is healthy.
    pub healthy: &'static str,
    /// What is; `null` when nothing was sent.
    pub value: Option<f64>,
    /// Whether that is healthy; `null` when nothing was sent.
    pub ok: Option<bool>,
}

impl Threshold {
    fn of(
        metric: &'static str,
        healthy: &'static str,
        value: Option<f64>,
        ok: impl FnOnce(f64) -> bool,
    ) -> Self {
        Self { metric, healthy, value, ok: value.map(ok) }
    }
}

/// How far back it is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub enum Window {
    /// An hour.
    #[serde(rename = "1h")]
    Hour,
    /// A day.
    #[serde(rename = "24h")]
    Day,
    /// A week.
    #[serde(rename = "7d")]
    Week,
}

impl Window {
    /// The begin of the first slot of the window that ends now.
    pub fn since(self, now: Timestamp) -> Timestamp {
        let hours = match self {
            Self::Hour => 1,
            Self::Day => 24,
            Self::Week => 7 * 24,
        };
        slot_of(now - Duration::hours(hours))
    }
}

impl FromStr for Window {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "1h" => Ok(Self::Hour),
            "24h" => Ok(Self::Day),
            "7d" => Ok(Self::Week),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tries_are_counted_by_what_they_were_and_what_became_of_them() {
        let mut minutes = Minutes::default();
        assert_eq!((minutes.success_rate(), minutes.thresholds()[0].ok), (None, None));
        for (number, status, ms) in [
            (1, DeliveryStatus::Delivered, Some(12)),
            (1, DeliveryStatus::Pending, Some(600)),
            (2, DeliveryStatus::Failed, None),
            (1, DeliveryStatus::Delivered, Some(20)),
        ] {
            minutes.count(Counted { number, status, ms });
        }
        assert_eq!((minutes.first_tries, minutes.retries, minutes.delivered, minutes.failed), (3, 1, 2, 1));
        assert_eq!((minutes.success_rate(), minutes.retry_rate()), (Some(0.5), Some(0.25)));
        assert_eq!(minutes.latencies.percentile(50), Some(20));
        assert!(minutes.thresholds().iter().all(|threshold| threshold.ok == Some(false)));
    }

    #[test]
    fn a_window_begins_with_a_slot() {
        let now = "2026-03-03T18:33:20Z".parse().unwrap();
        assert_eq!(Window::Hour.since(now).to_rfc3339(), "2026-03-03T17:30:00+00:00");
        assert_eq!(
            "7d".parse().map(|week: Window| week.since(now).to_rfc3339()),
            Ok("2026-02-24T18:30:00+00:00".to_owned())
        );
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_the_sorted_list(mut times in prop::collection::vec(0_u64..40_000, 1..200), percent in 1_u64..=100) {
            let mut all = Latencies::default();
            let (one, other) = times.split_at(times.len() / 2);
            for half in [one, other] {
                let mut part = Latencies::default();
                half.iter().for_each(|ms| part.record(*ms));
                all.merge(&Latencies::of_bytes(&part.to_bytes()).unwrap());
            }
            times.sort_unstable();
            let exact = times[(times.len() as u64 * percent).div_ceil(100) as usize - 1] as f64;
            let found = all.percentile(percent).unwrap() as f64;
            prop_assert!((found - exact).abs() <= exact / 16.0, "{found} for {exact}");
        }
    }
}
