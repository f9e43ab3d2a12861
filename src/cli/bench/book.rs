//! What was promised and what arrived: three words per order, written by two threads without a lock.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Orders of one page; pages come into being when they are first written.
const PAGE: u64 = 1 << 12;

#[derive(Debug, Default)]
struct Entry {
    /// Nanoseconds from the start of the run to the moment latencies count from.
    sent: AtomicU64,
    /// The loyalty events that the receipt promised, a bit each.
    promised: AtomicU64,
    /// The loyalty events that arrived, a bit each.
    arrived: AtomicU64,
}

/// The books of one run.
#[derive(Debug)]
pub(super) struct Book {
    start: Instant,
    /// Latencies of what was sent before it do not count.
    measured_from: Instant,
    pages: Box<[OnceLock<Box<[Entry]>>]>,
    first_arrivals: AtomicU64,
    last_arrival: AtomicU64,
}

/// The result of reconciling promised with arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reconciled {
    /// Loyalty events that receipts promised.
    pub(super) promised: u64,
    /// Promised and not here.
    pub(super) missing: u64,
    /// Here and promised by no receipt: its acknowledgement was lost on the way to us.
    pub(super) unpromised: u64,
}

/// Which bit of an order's entry a loyalty event has. Ids derived from one cause count up from it, so the low six
/// bits (the last character and a bit of the one before) tell up to 64 events of one order apart.
pub(super) fn bit_of(event_id: &str) -> Option<u64> {
    let ulid: crate::domain::ids::EventId = event_id.parse().ok()?;
    Some(1 << (ulid.ulid().0 & 63))
}

impl Book {
    /// Empty books for up to `orders` orders.
    pub(super) fn new(start: Instant, orders: u64) -> Self {
        let pages = (0..orders.div_ceil(PAGE)).map(|_| OnceLock::new()).collect();
        Self {
            start,
            measured_from: start,
            pages,
            first_arrivals: AtomicU64::new(0),
            last_arrival: AtomicU64::new(0),
        }
    }

    /// The same, in which latencies do not count before that.
    pub(super) fn measured_from(self, measured_from: Instant) -> Self {
        Self { measured_from, ..self }
    }

    fn entry(&self, order: u64) -> Option<&Entry> {
        let page = self.pages.get(usize::try_from(order / PAGE).ok()?)?;
        let page = page.get_or_init(|| (0..PAGE).map(|_| Entry::default()).collect());
        page.get((order % PAGE) as usize)
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Notes the moment that the latencies of an order count from. To be called before the order leaves.
    pub(super) fn sent(&self, order: u64, at: Instant) {
        if let Some(entry) = self.entry(order) {
            entry.sent.store(self.nanos(at), Relaxed);
        }
    }

    /// How long after its sending `at` is; `None` for what was sent before latencies count.
    pub(super) fn latency(&self, order: u64, at: Instant) -> Option<Duration> {
        let sent = self.entry(order).map_or(0, |entry| entry.sent.load(Relaxed));
        let counts = sent >= self.nanos(self.measured_from);
        counts.then(|| Duration::from_nanos(self.nanos(at).saturating_sub(sent)))
    }

    /// Notes what an order's receipt promised.
    pub(super) fn promised(&self, order: u64, bits: u64) {
        if let Some(entry) = self.entry(order) {
            entry.promised.fetch_or(bits, Relaxed);
        }
    }

    /// Notes an arrival; false when it was here before.
    pub(super) fn arrived(&self, order: u64, bit: u64, at: Instant) -> bool {
        self.last_arrival.fetch_max(self.nanos(at), Relaxed);
        let is_new = self.entry(order).is_some_and(|entry| entry.arrived.fetch_or(bit, Relaxed) & bit == 0);
        if is_new {
            self.first_arrivals.fetch_add(1, Relaxed);
        }
        is_new
    }

    /// How many different loyalty events arrived so far.
    pub(super) fn arrivals(&self) -> u64 {
        self.first_arrivals.load(Relaxed)
    }

    /// When the last arrival was, the start if there was none.
    pub(super) fn last_arrival(&self) -> Instant {
        self.start + Duration::from_nanos(self.last_arrival.load(Relaxed))
    }

    /// Compares what was promised with what arrived. Exact when nothing is being sent any more.
    pub(super) fn reconcile(&self) -> Reconciled {
        let entries = self.pages.iter().filter_map(OnceLock::get).flatten();
        entries.fold(Reconciled::default(), |sum, entry| {
            let (promised, arrived) = (entry.promised.load(Relaxed), entry.arrived.load(Relaxed));
            Reconciled {
                promised: sum.promised + u64::from(promised.count_ones()),
                missing: sum.missing + u64::from((promised & !arrived).count_ones()),
                unpromised: sum.unpromised + u64::from((arrived & !promised).count_ones()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::EventId;
    use ulid::Ulid;

    #[test]
    fn lost_repeated_and_unpromised_arrivals_are_told_apart() {
        let start = Instant::now();
        let book = Book::new(start, 10_000);
        book.promised(0, 0b11);
        book.promised(9_999, 0b1);
        assert!(book.arrived(0, 0b10, start));
        assert!(!book.arrived(0, 0b10, start), "a repeat");
        assert!(book.arrived(5_000, 0b1, start), "its receipt never came");
        assert_eq!(book.reconcile(), Reconciled { promised: 3, missing: 2, unpromised: 1 });
        assert_eq!(book.arrivals(), 2);
        assert!(!book.arrived(10_000_000, 0b1, start), "not an order of this run");
    }

    #[test]
    fn an_arrival_before_its_receipt_counts_as_arrived() {
        let book = Book::new(Instant::now(), 1);
        book.arrived(0, 0b100, Instant::now());
        book.promised(0, 0b100);
        assert_eq!(book.reconcile(), Reconciled { promised: 1, missing: 0, unpromised: 0 });
    }

    #[test]
    fn the_events_of_one_order_have_bits_of_their_own() {
        for cause in [0, 31, 63, u128::MAX] {
            let bits = (0..64).map(|n| bit_of(&EventId::derived(Ulid(cause), n).to_string()).unwrap());
            assert_eq!(bits.fold(0, |all, bit| all | bit), u64::MAX);
        }
        assert_eq!(bit_of("evt_?"), None);
    }

    #[test]
    fn latency_counts_from_the_noted_moment() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let book = Book::new(start, 1);
        book.sent(0, after(5));
        assert_eq!(book.latency(0, after(12)), Some(Duration::from_millis(7)));
    }

    #[test]
    fn what_was_sent_before_latencies_count_has_none_although_it_arrives_later() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let book = Book::new(start, 2).measured_from(after(5));
        book.sent(0, after(4));
        book.sent(1, after(5));
        assert_eq!(book.latency(0, after(12)), None);
        assert_eq!(book.latency(1, after(12)), Some(Duration::from_millis(7)));
    }
}
