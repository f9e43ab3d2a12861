//! The receiving half: enters arrivals into the book and measures them.

use std::borrow::Cow;
use std::sync::Arc;

use hdrhistogram::Histogram;

use crate::cli::net::receiver::{Arrival, Handler, SigningKey};

use super::Verify;
use super::book::{Book, bit_of};
use super::sender::micros;
use super::workload::Workload;

/// How sparse a sample of signatures is.
const SAMPLE: u64 = 100;

/// Counts what the receiver sees.
pub(super) struct Collector {
    pub(super) book: Arc<Book>,
    pub(super) workload: Arc<Workload>,
    pub(super) key: SigningKey,
    pub(super) verify: Verify,
    pub(super) counted: Counted,
}

/// What was counted.
#[derive(Debug)]
pub(super) struct Counted {
    /// Arrivals that had been here before.
    pub(super) duplicated: u64,
    /// Arrivals that are not about an order of this run.
    pub(super) foreign: u64,
    /// Signatures checked.
    pub(super) checked: u64,
    /// Signatures that are wrong.
    pub(super) wrongly_signed: u64,
    /// From sending to first arrival, in microseconds.
    pub(super) latency: Histogram<u64>,
}

impl Default for Counted {
    fn default() -> Self {
        Self { duplicated: 0, foreign: 0, checked: 0, wrongly_signed: 0, latency: super::sender::histogram() }
    }
}

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(serde::Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    source_event: Option<Cow<'a, str>>,
}

/// The number of the order that a message is about; `None` when it is not about one of this run.
pub(super) fn order_of(workload: &Workload, body: &[u8]) -> Option<u64> {
    let message: Message<'_> = serde_json::from_slice(body).ok()?;
    workload.number_of(&message.data.source_event?)
}

impl Handler for Collector {
    fn arrived(&mut self, arrival: &Arrival<'_>) {
        let (Some(order), Some(bit)) = (order_of(&self.workload, arrival.body), bit_of(arrival.id())) else {
            self.counted.foreign += 1;
            return;
        };
        let is_checked = match self.verify {
            Verify::All => true,
            Verify::Sample => order % SAMPLE == 0,
            Verify::None => false,
        };
        if is_checked {
            self.counted.checked += 1;
            self.counted.wrongly_signed += u64::from(!arrival.is_signed_by(&self.key));
        }
        if !self.book.arrived(order, bit, arrival.at) {
            self.counted.duplicated += 1;
        } else if let Some(latency) = self.book.latency(order, arrival.at) {
            self.counted.latency.saturating_record(micros(latency));
        }
    }
}
