//! The loop of one endpoint: due → sign → send → attempt → schedule.
//!
//! It takes no work from messages. A nudge, a timer and a restart all lead to the same read, so there is one code path,
//! and whatever was missed is found in the store.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, OptionFuture};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, Sleep, sleep_until};

use super::backlog::Backlog;
use super::depot::{Ask, Depot, Stock};
use super::errand::{Errand, Lesson, Report};
use super::gate::{Gate, NotOut, Rest};
use super::news::{self, Teller};
use super::tally::Tally;
use super::window::Window;
use super::{DisableEndpoint, Orders};
use crate::domain::Timestamp;
use crate::domain::delivery::NextStep;
use crate::domain::endpoint::Lane;
use crate::domain::gate::{Leave, News, Sign};
use crate::domain::ids::DeliveryId;

/// Attempts that may wait for the journal; a slow journal slows sending down.
const WRITES: usize = 512;
/// Nobody sleeps longer, so that a clock that was set or a row that another node wrote is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// When due rows are held, how soon to look whether others have become due meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Held rows come back with every read; with many of them, reads are spaced so that they bring more new ones.
const MANY_HELD: usize = 64;
const SPACING: Duration = Duration::from_millis(8);
/// How often the age of the backlog is measured.
const AGE_EVERY: Duration = Duration::from_secs(5);
/// The first pause after a failure of the store; it doubles up to the longest sleep.
const PAUSE: Duration = Duration::from_secs(1);

/// An attempt that ended.
struct Ended {
    report: Report,
    /// Whether it was made to see whether the receiver is back.
    is_probe: bool,
}

/// An attempt whose outcome the journal took or refused.
struct Kept {
    id: DeliveryId,
    next: NextStep,
    /// The end of the endpoint, when it is one.
    end: Option<DisableEndpoint>,
    /// Whether it was new what it says of the receiver.
    taught: bool,
    trouble: Option<String>,
}

/// What a courier reports to.
pub(super) struct Desk {
    pub(super) tally: Tally,
    pub(super) teller: Teller,
    pub(super) rest: Arc<Rest>,
}

/// Delivers for one endpoint until it is told to stop.
pub(super) struct Courier<D: Depot> {
    depot: Rc<D>,
    errand: Rc<Errand>,
    orders: watch::Receiver<Orders>,
    nudge: Rc<Notify>,
    desk: Desk,
    backlog: Backlog,
    window: Window,
    gate: Gate,
    /// How often people began anew with the receiver.
    renewals: u32,
    reading: OptionFuture<LocalBoxFuture<'static, Result<Stock, D::ReadError>>>,
    sending: FuturesUnordered<LocalBoxFuture<'static, Ended>>,
    writing: FuturesUnordered<LocalBoxFuture<'static, Kept>>,
    /// Something may be due that was not read yet.
    wanted: bool,
    /// No read before this.
    read_after: Instant,
    /// Nothing leaves before this: the receiver is gone, or attempts cannot be written.
    paused_until: Instant,
    /// Failures of the store in a row. While there are any, one attempt at a time proves whether it is back.
    troubles: u32,
    /// When to want a read without being nudged.
    alarm: Instant,
    age_after: Instant,
}

impl<D: Depot + 'static> Courier<D> {
    pub(super) fn new(
        depot: D,
        errand: Errand,
        orders: watch::Receiver<Orders>,
        nudge: Rc<Notify>,
        desk: Desk,
    ) -> Self {
        let now = Instant::now();
        let settings = &errand.endpoint.settings;
        let (window, gate) = (Window::of(settings.concurrency), Gate::of(settings));
        let renewals = orders.borrow().renewals;
        Self {
            depot: Rc::new(depot),
            errand: Rc::new(errand),
            orders,
            nudge,
            desk,
            backlog: Backlog::default(),
            window,
            gate,
            renewals,
            reading: None.into(),
            sending: FuturesUnordered::new(),
            writing: FuturesUnordered::new(),
            wanted: true,
            read_after: now,
            paused_until: now,
            troubles: 0,
            alarm: now + LONGEST_SLEEP,
            age_after: now,
        }
    }

    /// Runs until drained, or until nobody gives orders any more.
    pub(super) async fn run(mut self) {
        let mut sleep: Pin<Box<Sleep>> = Box::pin(sleep_until(self.alarm));
        while !self.is_drained() {
            self.read();
            self.send();
            let wake = self.wake_at();
            if sleep.deadline() != wake {
                sleep.as_mut().reset(wake);
            }
            tokio::select! {
                Some(ended) = self.sending.next() => self.take_report(ended),
                Some(kept) = self.writing.next() => self.take_kept(kept),
                Some(stock) = &mut self.reading => {
                    self.reading = None.into();
                    self.take_stock(stock);
                }
                () = self.nudge.notified() => self.wanted = true,
                changed = self.orders.changed() => match changed {
                    Ok(()) => self.take_orders(),
                    Err(_) => return,
                },
                () = &mut sleep => self.ring(),
            }
        }
    }

    fn is_drained(&self) -> bool {
        let idle = || self.sending.is_empty() && self.writing.is_empty();
        self.orders.borrow().drain_by.is_some_and(|deadline| idle() || Instant::now() >= deadline)
    }

    fn may_send(&self) -> bool {
        let orders = self.orders.borrow();
        orders.endpoint.is_enabled() && orders.drain_by.is_none() && Instant::now() >= self.paused_until
    }

    /// When to look up although nothing happened. Says until when nothing leaves, once nothing is under way.
    fn wake_at(&mut self) -> Instant {
        let now = self.errand.clock.now();
        let held = self.gate.held_until(now);
        let idle = self.sending.is_empty() && self.writing.is_empty();
        self.desk.rest.set(held.filter(|_| idle));
        let held = held.map(|until| self.alarm_for(Some(until), now));
        let look = if self.wanted && self.backlog.has_room(self.window.size()) {
            // Something holds the read back: spacing, or a pause.
            self.read_after.max(self.paused_until)
        } else {
            self.alarm
        };
        let look = if look <= Instant::now() { self.alarm } else { look };
        let look = held.map_or(look, |held| held.min(look));
        self.orders.borrow().drain_by.map_or(look, |deadline| deadline.min(look))
    }

    fn ring(&mut self) {
        if Instant::now() >= self.alarm {
            self.wanted = true;
            self.alarm = Instant::now() + LONGEST_SLEEP;
        }
    }

    /// Begins a read when one is wanted and nothing speaks against it.
    fn read(&mut self) {
        let now = Instant::now();
        let has_room = self.backlog.has_room(self.window.size());
        if !self.wanted || !has_room || now < self.read_after || !self.may_send() {
            return;
        }
        if matches!(self.gate.leave(self.errand.clock.now()), Some(Leave::NothingBefore(_))) {
            return;
        }
        self.wanted = false;
        let age = now >= self.age_after;
        if age {
            self.age_after = now + AGE_EVERY;
        }
        let spacing = if self.backlog.held() < MANY_HELD { Duration::ZERO } else { SPACING };
        self.read_after = now + spacing;
        let condition = self.gate.is_ignorant();
        let ask = Ask { now: self.errand.clock.now(), limit: self.backlog.begin_read(), age, condition };
        let depot = Rc::clone(&self.depot);
        let reading: LocalBoxFuture<_> = Box::pin(async move { depot.read(ask).await });
        self.reading = Some(reading).into();
    }

    fn take_stock(&mut self, stock: Result<Stock, D::ReadError>) {
        let stock = match stock {
            Ok(stock) => stock,
            Err(error) => {
                self.backlog.abandon_read();
                return self.back_off("due deliveries could not be read", &error.to_string());
            }
        };
        let now = self.errand.clock.now();
        if let Some(oldest) = stock.oldest {
            self.desk.tally.oldest(now - oldest);
        } else if stock.due.is_empty() && stock.next_due.is_none() {
            self.desk.tally.oldest(chrono::Duration::zero());
        }
        stock.condition.into_iter().for_each(|noted| self.gate.recall(noted));
        if self.backlog.end_read(stock.due) {
            self.wanted = true;
        } else {
            self.alarm = self.alarm_for(stock.next_due, now);
        }
    }

    /// When to read again after a read that brought everything due.
    fn alarm_for(&self, next_due: Option<Timestamp>, now: Timestamp) -> Instant {
        let wait = match next_due.map(|at| (at - now).to_std()) {
            // The test clock stands still until it is moved, and then everybody is nudged.
            None => LONGEST_SLEEP,
            Some(_) if self.errand.clock.is_test() && self.backlog.is_empty() => LONGEST_SLEEP,
            Some(Ok(wait)) => wait.min(LONGEST_SLEEP),
            Some(Err(_)) => LOOK_AGAIN,
        };
        Instant::now() + wait.max(Duration::from_millis(1))
    }

    /// Fills the window.
    fn send(&mut self) {
        if !self.may_send() {
            return;
        }
        let now = self.errand.clock.now();
        let is_probe = match self.gate.leave(now) {
            None | Some(Leave::NothingBefore(_)) => return,
            Some(Leave::OneProbe) => true,
            Some(Leave::Freely) => false,
        };
        let window = if self.troubles > 0 || is_probe { 1 } else { self.window.size() };
        while self.sending.len() < window
            && self.writing.len() < WRITES
            && !self.backlog.is_drained()
            && self.gate.admit(now)
        {
            let next = if is_probe { self.backlog.freshest() } else { self.backlog.next() };
            let Some(due) = next else { return };
            let errand = Rc::clone(&self.errand);
            self.sending.push(Box::pin(async move { Ended { report: errand.run(due).await, is_probe } }));
        }
    }

    fn take_report(&mut self, ended: Ended) {
        let Ended { mut report, is_probe } = ended;
        if report.outcome.under_other_key.is_some() {
            // It was two requests.
            self.gate.admit(self.errand.clock.now());
        }
        let end = self.learn(&mut report, is_probe);
        self.desk.tally.count(&report);
        if report.keeps_up {
            self.window.widen();
        } else {
            self.window.narrow();
        }
        if end.is_some() && Arc::ptr_eq(&report.sent_to, &self.errand.endpoint) {
            // Until new orders come, or long enough to notice that the engine missed the message.
            self.pause(LONGEST_SLEEP);
        }
        let depot = Rc::clone(&self.depot);
        self.writing.push(Box::pin(async move {
            let (id, next) = (report.outcome.attempt.delivery, report.outcome.next.clone());
            let taught = report.outcome.condition.is_some();
            let trouble = depot.write(report.outcome).await.err().map(|error| error.to_string());
            Kept { id, next, end, taught, trouble }
        }));
    }

    /// Takes note of what an attempt says of its receiver as a whole, and of what is to be told of it. Answers the end of
    /// the endpoint, when it is that.
    fn learn(&mut self, report: &mut Report, is_probe: bool) -> Option<DisableEndpoint> {
        let now = self.errand.clock.now();
        let mut told = Vec::new();
        let mut end = news::gone(report, now);
        if let Some(sign) = self.sign(report) {
            let (news, noted) = self.gate.learn(sign, is_probe, now, &self.errand.endpoint.settings);
            report.outcome.condition = noted;
            if let Some(Leave::NothingBefore(until)) = self.gate.leave(now) {
                if is_probe && matches!(sign, Sign::Fails { .. }) && !self.is_given_up(report) {
                    report.outcome.next = NextStep::Spared(until);
                }
                self.backlog.release_waiting();
                self.wanted = true;
            }
            match news {
                Some(News::GivenUp { since }) => {
                    end = end.or_else(|| Some(news::given_up(report, since, now)))
                }
                Some(news) => told.extend(news::of_endpoint(report, news)),
                None => {}
            }
        }
        told.extend(news::exhausted(report));
        told.extend(news::lane_blocked(report));
        report.outcome.told = self.desk.teller.tell(&report.sent_to, told);
        end
    }

    /// What an attempt says of the receiver. One that did not leave our own network does not count, and neither does the
    /// next delivery leave before there may be a way out.
    fn sign(&mut self, report: &mut Report) -> Option<Sign> {
        match report.lesson {
            Lesson::Nothing => None,
            Lesson::Receiver(sign) => {
                self.gate.unblock(self.errand.clock.now());
                // What a former receiver did says nothing of this one.
                (report.sent_to.url == self.errand.endpoint.url).then_some(sign)
            }
            Lesson::NoWayOut => {
                let NotOut { until, again, noted } = self.gate.block(self.errand.clock.now());
                report.outcome.next = NextStep::Hindered { until, again };
                report.outcome.condition = noted;
                self.backlog.release_waiting();
                self.wanted = true;
                None
            }
        }
    }

    /// Whether what all others wait for has had its time. Were it spared for ever, its lane would never go on: it may be what
    /// the receiver fails of.
    fn is_given_up(&self, report: &Report) -> bool {
        self.errand.endpoint.settings.lane == Lane::Endpoint && report.outcome.next == NextStep::Failed
    }

    fn take_kept(&mut self, kept: Kept) {
        self.backlog.release(kept.id);
        if let Some(end) = kept.end {
            self.desk.teller.disable(end);
        }
        if let Some(trouble) = kept.trouble {
            if kept.taught {
                // What could not be written did not happen.
                self.gate.forget();
            }
            return self.back_off("an attempt could not be written", &trouble);
        }
        self.troubles = 0;
        if let NextStep::RetryAt(at) | NextStep::Spared(at) | NextStep::Hindered { until: at, .. } = kept.next
        {
            let now = self.errand.clock.now();
            // A test clock may have been moved past it while it was written, and that nudge is spent.
            self.wanted |= at <= now;
            self.alarm = self.alarm.min(self.alarm_for(Some(at), now));
        } else if self.errand.endpoint.settings.lane != Lane::None {
            self.wanted = true; // what was behind it is due
        }
    }

    /// Without a store, sending on would only repeat what cannot be written down.
    fn back_off(&mut self, what: &'static str, why: &str) {
        self.wanted = true;
        if Instant::now() < self.paused_until {
            return;
        }
        let pause = PAUSE.saturating_mul(1 << self.troubles.min(6)).min(LONGEST_SLEEP);
        self.troubles = self.troubles.saturating_add(1);
        let endpoint = self.errand.endpoint.id;
        tracing::error!(%endpoint, why, pause_s = pause.as_secs(), "{what}");
        self.pause(pause);
    }

    fn pause(&mut self, pause: Duration) {
        self.paused_until = Instant::now() + pause;
        self.backlog.release_waiting();
        self.wanted = true;
    }

    fn take_orders(&mut self) {
        let orders = self.orders.borrow_and_update().clone();
        self.backlog.release_waiting();
        self.wanted = true;
        if self.troubles == 0 {
            self.paused_until = Instant::now();
        }
        // What is being read may be older than what these orders follow of: another order of things, or a new begin.
        self.reading = None.into();
        self.backlog.abandon_read();
        if orders.renewals != self.renewals {
            self.renewals = orders.renewals;
            self.gate.forget();
        }
        self.errand = Rc::new(self.errand.under(orders.endpoint));
        self.window.bound(self.errand.endpoint.settings.concurrency);
        self.gate.bound(&self.errand.endpoint.settings);
    }
}
