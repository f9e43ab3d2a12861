//! The sending half: hands out orders to connections, reads receipts, measures.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::cli::net::api::Access;
use crate::domain::endpoint::EventPattern;
use crate::domain::loyalty_event::EventType;

use super::book::{Book, bit_of};
use super::workload::Workload;

/// Which events of a workload are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// Orders, measured.
    Orders,
    /// First visits of members, only counted.
    Enrolments,
}

/// What to send, how fast, and when to stop.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The server.
    pub(super) access: Access,
    /// The chain.
    pub(super) chain: String,
    /// What is sent.
    pub(super) load: Load,
    /// How many connections send.
    pub(super) connections: u16,
    /// Orders in all, at most.
    pub(super) orders: u64,
    /// Orders become due this far apart; `None` = as fast as answers come.
    pub(super) interval: Option<Duration>,
    /// No order is due after it.
    pub(super) end: Option<Instant>,
    /// Unanswered orders per NDJSON connection.
    pub(super) window: u32,
    /// What the receiver is subscribed to.
    pub(super) events: Vec<EventPattern>,
}

/// The state that the connections of one sender share. They all live on one thread.
pub(super) struct Sender {
    pub(super) plan: Plan,
    pub(super) book: Arc<Book>,
    pub(super) workload: Arc<Workload>,
    start: Instant,
    next: Cell<u64>,
    tally: RefCell<Tally>,
}

/// What came of the sending.
#[derive(Debug)]
pub(super) struct Tally {
    /// Orders written to a connection.
    pub(super) sent: u64,
    /// Orders answered with a receipt.
    pub(super) acknowledged: u64,
    /// Receipts that said that the order was known already.
    pub(super) repeated: u64,
    /// Orders that have no receipt, by reason.
    pub(super) errors: BTreeMap<String, u64>,
    /// From sending to receipt, in microseconds.
    pub(super) latency: Histogram<u64>,
    /// When the last receipt came.
    pub(super) last_receipt: Option<Instant>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            sent: 0,
            acknowledged: 0,
            repeated: 0,
            errors: BTreeMap::new(),
            latency: histogram(),
            last_receipt: None,
        }
    }
}

/// The part of a receipt that matters here; of a problem, its code.
#[derive(serde::Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    duplicate: Option<bool>,
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    events: Vec<EventLine<'a>>,
}

#[derive(serde::Deserialize)]
struct EventLine<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

/// Microseconds up to a minute, to three digits.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).unwrap_or_else(|_| unreachable!("constant bounds"))
}

/// A duration as histograms hold it.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Sender {
    /// A sender that starts now.
    pub(super) fn new(plan: Plan, book: Arc<Book>, workload: Arc<Workload>, start: Instant) -> Self {
        Self { plan, book, workload, start, next: Cell::new(0), tally: RefCell::default() }
    }

    /// The next order, and when it is due: `None` for at once. Nothing when all are handed out or time is up.
    pub(super) fn take(&self) -> Option<(u64, Option<Instant>)> {
        let order = self.next.get();
        let due = self.plan.interval.map(|interval| self.start + nth(interval, order));
        let at = due.unwrap_or_else(Instant::now);
        if order >= self.plan.orders || self.plan.end.is_some_and(|end| at >= end) {
            return None;
        }
        self.next.set(order + 1);
        Some((order, due))
    }

    /// Writes an order's JSON and notes when it left.
    pub(super) fn write(&self, order: u64, due: Option<Instant>, to: &mut Vec<u8>) {
        match self.plan.load {
            Load::Orders => self.workload.order(order, to),
            Load::Enrolments => self.workload.enrolment(order, to),
        }
        self.tally.borrow_mut().sent += 1;
        if self.plan.load == Load::Orders {
            self.book.sent(order, due.unwrap_or_else(Instant::now));
        }
    }

    /// Enters the answer to an order.
    pub(super) fn answered(&self, order: u64, status: u16, body: &[u8], at: Instant) {
        let answer: Option<Answer<'_>> = serde_json::from_slice(body).ok();
        let Some((answer, duplicate)) = answer.as_ref().and_then(|a| Some((a, a.duplicate?))) else {
            let code = answer.and_then(|a| a.code).unwrap_or(Cow::Borrowed("no receipt"));
            return self.failed(&format!("{status} {code}"), 1);
        };
        let mut tally = self.tally.borrow_mut();
        tally.acknowledged += 1;
        tally.repeated += u64::from(duplicate);
        tally.last_receipt = tally.last_receipt.max(Some(at));
        if self.plan.load == Load::Orders {
            if let Some(latency) = self.book.latency(order, at) {
                tally.latency.saturating_record(micros(latency));
            }
            self.book.promised(order, self.promised_bits(&answer.events));
        }
    }

    fn promised_bits(&self, events: &[EventLine<'_>]) -> u64 {
        let wanted = |kind: EventType| self.plan.events.iter().any(|pattern| pattern.matches(kind));
        let ours = events.iter().filter(|event| event.kind.parse().is_ok_and(wanted));
        ours.filter_map(|event| bit_of(&event.id)).fold(0, |all, bit| all | bit)
    }

    /// Counts orders that got no receipt.
    pub(super) fn failed(&self, reason: &str, orders: u64) {
        if orders > 0 {
            *self.tally.borrow_mut().errors.entry(reason.to_owned()).or_default() += orders;
        }
    }

    /// Ends the sending.
    pub(super) fn into_tally(self) -> Tally {
        self.tally.into_inner()
    }
}

/// `n` intervals, exact over hours: multiplied, not added up.
fn nth(interval: Duration, n: u64) -> Duration {
    let nanos = interval.as_nanos() * u128::from(n);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Waits for an instant that may be past.
pub(super) async fn until(due: Instant) {
    tokio::time::sleep_until(due.into()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(interval: Option<Duration>, orders: u64) -> Sender {
        let start = Instant::now();
        let plan = Plan {
            access: Access { authority: String::new(), key: String::new() },
            chain: "harvest".into(),
            load: Load::Orders,
            connections: 1,
            orders,
            interval,
            end: interval.map(|_| start + Duration::from_secs(1)),
            window: 1,
            events: vec!["points.*".parse().unwrap()],
        };
        let workload = Workload::new("bench-1".into(), 1, 1, String::new());
        Sender::new(plan, Arc::new(Book::new(start, orders)), Arc::new(workload), start)
    }

    #[test]
    fn orders_become_due_on_a_fixed_schedule_until_the_end() {
        let sender = sender(Some(Duration::from_millis(100)), 100);
        let due: Vec<_> = std::iter::from_fn(|| sender.take()).collect();
        assert_eq!(due.len(), 10);
        assert_eq!(due[9].1.unwrap() - due[0].1.unwrap(), Duration::from_millis(900));
    }

    #[test]
    fn a_receipt_promises_exactly_the_events_that_are_subscribed() {
        let sender = sender(None, 2);
        let receipt = br#"{"id":"src_x","duplicate":false,"events":[
            {"id":"evt_00000000000000000000000001","type":"order.completed"},
            {"id":"evt_00000000000000000000000002","type":"points.earned","data":{"amount":1}},
            {"id":"evt_00000000000000000000000003","type":"points.deducted"}]}"#;
        sender.answered(0, 200, receipt, Instant::now());
        sender.answered(1, 429, br#"{"code":"overloaded","status":429}"#, Instant::now());
        assert_eq!(sender.book.reconcile().promised, 2);
        let tally = sender.into_tally();
        assert_eq!((tally.acknowledged, tally.repeated), (1, 0));
        assert_eq!(tally.errors, BTreeMap::from([("429 overloaded".to_owned(), 1)]));
    }
}
