//! The courier against a store in memory and receivers on loopback.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use tokio::io::AsyncWriteExt as _;
use ulid::Ulid;

use super::depot::{Ask, Depot, Stock};
use super::*;
use crate::actors::outbound::receiver::{OK, OPEN, answering, pass_on, receiver, take_head, take_request};
use crate::actors::outbound::{Proxy, Trust};
use crate::domain::Timestamp;
use crate::domain::address::AddressPolicy;
use crate::domain::commit::Commit;
use crate::domain::delivery::{Attempt, AttemptOutcome, NextStep};
use crate::domain::endpoint::EndpointState;
use crate::domain::gate::Noted;
use crate::domain::ids::{DeliveryId, EventId, MemberId};
use crate::domain::loyalty_event::{EventData, EventType};
use crate::domain::text::Note;
use crate::store::delivery::DueDelivery;

/// Rows in memory; reads answer late, so that their snapshots are old.
#[derive(Default)]
struct Rows {
    pending: RefCell<BTreeMap<DeliveryId, (Timestamp, u32)>>,
    settled: RefCell<BTreeMap<DeliveryId, NextStep>>,
    attempts: RefCell<Vec<Attempt>>,
    condition: Cell<Noted>,
    told: RefCell<Vec<EventData>>,
    failing_writes: Cell<usize>,
    /// How many rows reads have brought.
    brought: Cell<usize>,
    written: Notify,
}

impl Rows {
    fn of(count: u128) -> Rc<Self> {
        let rows = Self::default();
        let due = (Timestamp::UNIX_EPOCH, 0);
        rows.pending.borrow_mut().extend((1..=count).map(|n| (DeliveryId::new(Ulid(n)), due)));
        Rc::new(rows)
    }

    /// Waits until so many attempts are written.
    async fn attempts(&self, count: usize) {
        while self.attempts.borrow().len() < count {
            self.written.notified().await;
        }
    }
}

impl Depot for Rc<Rows> {
    type ReadError = &'static str;
    type WriteError = &'static str;

    async fn read(&self, ask: Ask) -> Result<Stock, &'static str> {
        let stock = {
            let pending = self.pending.borrow();
            let due = pending.iter().filter(|(_, (at, _))| *at <= ask.now).take(ask.limit);
            let row = |(id, (_, attempts)): (&DeliveryId, &(Timestamp, u32))| DueDelivery {
                id: *id,
                seq: id.ulid().0 as u64,
                event: EventId::new(id.ulid()),
                kind: EventType::PointsEarned,
                member: Some(MemberId::new(Ulid(1))),
                attempts: *attempts,
                mark: None,
                trace: None,
                created_at: Timestamp::UNIX_EPOCH,
                ready_at: Timestamp::UNIX_EPOCH,
                body: "{}".to_owned(),
            };
            let next_due = pending.values().map(|(at, _)| *at).min();
            let condition = ask.condition.then(|| self.condition.get());
            let due: Vec<_> = due.map(row).collect();
            self.brought.set(self.brought.get() + due.len());
            Stock { due, next_due, oldest: None, condition }
        };
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        Ok(stock)
    }

    async fn write(&self, outcome: AttemptOutcome) -> Result<(), &'static str> {
        tokio::task::yield_now().await;
        if self.failing_writes.get() > 0 {
            self.failing_writes.set(self.failing_writes.get() - 1);
            return Err("the disk is full");
        }
        let id = outcome.attempt.delivery;
        match outcome.next {
            NextStep::RetryAt(at) => {
                self.pending.borrow_mut().insert(id, (at, outcome.attempt.number));
            }
            NextStep::Spared(at) | NextStep::Hindered { until: at, .. } => {
                self.pending.borrow_mut().insert(id, (at, outcome.attempt.number - 1));
            }
            next => {
                self.pending.borrow_mut().remove(&id);
                self.settled.borrow_mut().insert(id, next);
            }
        }
        outcome.condition.into_iter().for_each(|noted| self.condition.set(noted));
        self.told.borrow_mut().extend(outcome.told.map(|told| told.events[0].data.clone()));
        self.attempts.borrow_mut().push(outcome.attempt);
        self.written.notify_one();
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// Tells nobody in particular.
struct Told;

impl Tell for Told {
    fn tell(&self, about: &Endpoint, told: Vec<EventData>) -> Option<Commit> {
        let (at, id) = (Timestamp::UNIX_EPOCH, Ulid(1));
        Some(crate::domain::decide::tell((&about.chain, 1), told, id, at))
    }
}

/// Remembers which endpoints were to be disabled.
#[derive(Default)]
struct Disabler(Rc<RefCell<Vec<DisableEndpoint>>>);

impl Actor for Disabler {
    type Context = Context<Self>;
}

impl Handler<DisableEndpoint> for Disabler {
    type Result = ();
    fn handle(&mut self, message: DisableEndpoint, _: &mut Context<Self>) {
        self.0.borrow_mut().push(message);
    }
}

fn disabled(mut endpoint: Endpoint) -> Endpoint {
    let reason = Note::parse("maintenance").unwrap();
    endpoint.state = EndpointState::Disabled { reason, at: Default::default() };
    endpoint
}

/// A running courier and its strings.
struct Run {
    clock: Clock,
    orders: watch::Sender<Orders>,
    nudge: Rc<Notify>,
    disabled: Rc<RefCell<Vec<DisableEndpoint>>>,
    metrics: Arc<Metrics>,
    rest: Arc<Rest>,
    task: actix_rt::task::JoinHandle<()>,
}

fn run(rows: &Rc<Rows>, endpoint: Endpoint) -> Run {
    run_through(None, rows, endpoint)
}

fn run_through(proxy: Option<Arc<Proxy>>, rows: &Rc<Rows>, endpoint: Endpoint) -> Run {
    let clock = Clock::test(Timestamp::UNIX_EPOCH + chrono::Duration::days(1));
    let policy = AddressPolicy { allow: vec!["127.0.0.0/8".parse().unwrap()], allow_http: true };
    let timeout = Duration::from_secs(5);
    let outbound =
        Outbound::shared(&Reach { policy: Arc::new(policy), trust: Trust::bundled(), proxy, timeout });
    let endpoint = Arc::new(endpoint);
    let (orders, receiver) =
        watch::channel(Orders { endpoint: Arc::clone(&endpoint), renewals: 0, drain_by: None });
    let (nudge, disabled, metrics) = (Rc::new(Notify::new()), Rc::default(), Arc::new(Metrics::new()));
    let disable = Disabler(Rc::clone(&disabled)).start().recipient();
    let rest = Arc::new(Rest::default());
    let desk = Desk {
        tally: Tally::new(Arc::clone(&metrics), &endpoint),
        teller: Teller { tell: Arc::new(Told), disable },
        rest: Arc::clone(&rest),
    };
    let courier = Courier::new(
        Rc::clone(rows),
        Errand::new(outbound, Arc::clone(&endpoint), clock.clone()),
        receiver,
        Rc::clone(&nudge),
        desk,
    );
    let task = actix_rt::spawn(courier.run());
    Run { clock, orders, nudge, disabled, metrics, rest, task }
}

impl Run {
    /// Waits until nothing is under way, and nothing will be before this.
    async fn rests_until(&self, expected: Timestamp) {
        let rests = async {
            while self.rest.until() != Some(expected) {
                tokio::task::yield_now().await;
            }
        };
        let rested = tokio::time::timeout(Duration::from_secs(20), rests).await;
        assert!(rested.is_ok(), "it rests until {:?}, not until {expected}", self.rest.until());
    }

    /// Drains and waits for the end.
    async fn drain(self) {
        self.orders.send_modify(|orders| orders.drain_by = Some(Instant::now() + Duration::from_secs(5)));
        self.task.await.unwrap();
    }
}

#[actix::test]
async fn every_delivery_is_sent_exactly_once_however_often_it_is_nudged() {
    let requests = Rc::new(Cell::new(0));
    let counter = Rc::clone(&requests);
    let (url, connections) = receiver(move |mut tcp| {
        let counter = Rc::clone(&counter);
        async move {
            while take_request(&mut tcp).await {
                counter.set(counter.get() + 1);
                let _ = tcp.write_all(OK).await;
            }
        }
    })
    .await;
    let rows = Rows::of(3000);
    let run = run(&rows, Endpoint::sample(&url));
    while rows.attempts.borrow().len() < 3000 {
        run.nudge.notify_one();
        tokio::task::yield_now().await;
    }
    let text = run.metrics.encode();
    run.drain().await;
    assert_eq!(requests.get(), 3000);
    assert_eq!(rows.settled.borrow().len(), 3000);
    assert!(connections.get() <= 64, "{} connections", connections.get());
    assert!(text.contains("punchcard_attempts_total{outcome=\"delivered\"} 3000"), "{text}");
}

#[actix::test]
async fn for_a_receiver_that_hangs_little_is_read_however_much_it_is_owed() {
    let (url, _) = receiver(|mut tcp| async move {
        take_request(&mut tcp).await;
        std::future::pending::<()>().await;
    })
    .await;
    let rows = Rows::of(0);
    let run = run(&rows, Endpoint::sample(&url));
    for n in 1..=300 {
        rows.pending.borrow_mut().insert(DeliveryId::new(Ulid(n)), (Timestamp::UNIX_EPOCH, 0));
        run.nudge.notify_one();
        for _ in 0..60 {
            tokio::task::yield_now().await; // the read is over
        }
    }
    let brought = rows.brought.get();
    assert!((32..1_000).contains(&brought), "{brought} rows were read, and two are under way");
    run.task.abort();
}

#[actix::test]
async fn the_ladder_is_walked_as_the_clock_moves_and_every_try_is_written() {
    let (url, _) = answering(b"HTTP/1.1 500 Oops\r\ncontent-length: 6\r\n\r\nsorry!").await;
    let rows = Rows::of(1);
    let run = run(&rows, Endpoint::sample(&url));
    for tries in 1..=5 {
        rows.attempts(tries).await;
        run.clock.move_to(run.clock.now() + chrono::Duration::hours(2));
        run.nudge.notify_one();
    }
    run.drain().await;
    assert_eq!(rows.settled.borrow().values().collect::<Vec<_>>(), [&NextStep::Failed]);
    let attempts = rows.attempts.borrow();
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let last = attempts.last().unwrap();
    assert_eq!((last.status_code, last.response_body.as_deref()), (Some(500), Some("sorry!")));
    assert_eq!(last.error.as_deref(), Some("the receiver answered 500"));
    let told = rows.told.borrow();
    assert_eq!(told.iter().map(EventData::kind).collect::<Vec<_>>(), [EventType::DeliveryExhausted]);
}

#[actix::test]
async fn a_delivery_whose_attempt_could_not_be_written_is_sent_again() {
    let (url, _) = answering(OK).await;
    let rows = Rows::of(3);
    rows.failing_writes.set(3);
    let run = run(&rows, Endpoint::sample(&url));
    rows.attempts(3).await;
    run.drain().await;
    assert_eq!(rows.settled.borrow().len(), 3);
}

#[actix::test]
async fn a_receiver_that_is_gone_is_reported_and_gets_nothing_more() {
    let (url, _) = answering(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n").await;
    let rows = Rows::of(2000);
    let run = run(&rows, Endpoint::sample(&url));
    rows.attempts(1).await;
    let disabled = Rc::clone(&run.disabled);
    run.drain().await;
    let sent = rows.attempts.borrow().len();
    assert!(sent <= 64, "{sent} were sent");
    assert_eq!(disabled.borrow()[0].reason, "the receiver answered 410 Gone");
    assert_eq!(rows.pending.borrow().len(), 2000, "those that were sent wait with the others");
}

#[actix::test]
async fn a_late_goodbye_of_the_former_receiver_neither_blames_nor_holds_up_the_new_one() {
    let (held, release) = (Rc::new(Notify::new()), Rc::new(Notify::new()));
    let (asked, may_answer) = (Rc::clone(&held), Rc::clone(&release));
    let (former, _) = receiver(move |mut tcp| {
        let (asked, may_answer) = (Rc::clone(&asked), Rc::clone(&may_answer));
        async move {
            while take_request(&mut tcp).await {
                asked.notify_one();
                may_answer.notified().await;
                let _ = tcp.write_all(b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    let rows = Rows::of(1);
    let former = Endpoint::sample(&former);
    let run = run(&rows, former.clone());
    held.notified().await;
    let (url, _) = answering(OK).await;
    run.orders.send_modify(|orders| orders.endpoint = Arc::new(Endpoint::sample(&url)));
    for _ in 0..20 {
        tokio::task::yield_now().await; // the courier takes the new orders
    }
    release.notify_one();
    rows.attempts(1).await;
    rows.pending.borrow_mut().insert(DeliveryId::new(Ulid(2)), (Timestamp::UNIX_EPOCH, 0));
    run.nudge.notify_one();
    let second = tokio::time::timeout(Duration::from_secs(20), rows.attempts(2)).await;
    assert!(second.is_ok(), "the new receiver waits for the pause of the former one");
    assert_eq!(run.disabled.borrow().len(), 1);
    assert_eq!(*run.disabled.borrow()[0].endpoint, former);
    run.drain().await;
}

#[actix::test]
async fn what_is_ordered_over_the_leash_arrives_however_full_the_mailbox_is() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/p.db", dir.path().display());
    let store = Store::open(&url.parse().unwrap(), crate::store::vault::Vault::new([1; 32])).unwrap();
    store.migrate().unwrap();
    let metrics = Arc::new(Metrics::new());
    let parts = EndpointParts {
        endpoint: Arc::new(Endpoint::sample("http://127.0.0.1:9/")),
        journal: Journal::start(&store, metrics.clone(), &crate::actors::journal::Nudges::default()).unwrap(),
        store,
        clock: Clock::test(Timestamp::UNIX_EPOCH),
        reach: Reach::to_the_public(Duration::from_secs(5)),
        metrics,
        teller: Teller { tell: Arc::new(Told), disable: Disabler::default().start().recipient() },
    };
    let arbiter = Arbiter::new();
    let (leash, addr) = EndpointActor::start(parts, None, &arbiter.handle());
    while addr.try_send(Nudge).is_ok() {}
    assert!(!leash.has_ended());
    leash.drain(Duration::from_secs(5));
    drop(addr);
    tokio::time::timeout(Duration::from_secs(20), leash.ended()).await.unwrap();
    arbiter.stop();
}

#[actix::test]
async fn a_disabled_endpoint_gets_nothing_until_it_is_enabled() {
    let (url, connections) = answering(OK).await;
    let rows = Rows::of(10);
    let run = run(&rows, disabled(Endpoint::sample(&url)));
    run.nudge.notify_one();
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    assert_eq!((rows.attempts.borrow().len(), connections.get()), (0, 0));
    run.orders.send_modify(|orders| orders.endpoint = Arc::new(Endpoint::sample(&url)));
    rows.attempts(10).await;
    run.drain().await;
}

#[actix::test]
async fn a_receiver_that_answers_nothing_holds_two_lines_however_much_it_is_owed() {
    let (url, connections) = receiver(|tcp| async move {
        let _taken = tcp;
        std::future::pending::<()>().await;
    })
    .await;
    let rows = Rows::of(100);
    let run = run(&rows, Endpoint::sample(&url));
    run.nudge.notify_one();
    while connections.get() < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!((connections.get(), rows.attempts.borrow().len()), (2, 0));
}

#[actix::test]
async fn a_receiver_that_fails_is_asked_by_one_probe_at_a_time_that_uses_up_no_ladder() {
    let requests = Rc::new(Cell::new(0));
    let counter = Rc::clone(&requests);
    let (url, _) = receiver(move |mut tcp| {
        let counter = Rc::clone(&counter);
        async move {
            while take_request(&mut tcp).await {
                counter.set(counter.get() + 1);
                let _ = tcp.write_all(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    let rows = Rows::of(30);
    let run = run(&rows, Endpoint::sample(&url));
    rows.attempts(10).await;
    let opened = run.clock.now();
    run.rests_until(opened + chrono::Duration::seconds(30)).await;
    let before = requests.get();
    assert!((10..=16).contains(&before), "{before} were under way when it opened");
    let untried = |rows: &Rows| rows.pending.borrow().values().filter(|(_, attempts)| *attempts == 0).count();
    let fresh = untried(&rows);
    for (n, at) in [(1, 30), (2, 90), (3, 210)] {
        run.clock.move_to(opened + chrono::Duration::seconds(at));
        run.nudge.notify_one();
        rows.attempts(before + n).await;
        run.rests_until(opened + chrono::Duration::seconds(at + (30 << n))).await;
        assert_eq!((requests.get(), untried(&rows)), (before + n, fresh));
    }
    assert!(rows.settled.borrow().is_empty() && rows.told.borrow().is_empty());
    run.drain().await;
}

#[actix::test]
async fn while_our_own_proxy_is_away_nothing_is_held_against_any_receiver() {
    let place = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Arc::new(format!("http://{place}").parse::<Proxy>().unwrap());
    let (url, _) = answering(OK).await;
    let rows = Rows::of(30);
    let run = run_through(Some(proxy), &rows, Endpoint::sample(&url));
    rows.attempts(1).await;
    let mut now = run.clock.now();
    let mut tried = 0;
    for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
        now += chrono::Duration::seconds(pause);
        run.rests_until(now).await;
        tried += 1;
        let attempts = rows.attempts.borrow().len();
        assert!((tried..tried + 16).contains(&attempts), "{attempts} attempts at {tried} times");
        run.clock.move_to(now);
        run.nudge.notify_one();
    }
    assert!(rows.pending.borrow().values().all(|(_, attempts)| *attempts == 0), "no ladder is used up");
    assert_eq!(rows.condition.get(), Noted::default());
    let error = rows.attempts.borrow()[0].error.clone().unwrap();
    assert!(error.starts_with("nothing was sent, our proxy is in the way: it cannot be reached"), "{error}");

    run.rests_until(now + chrono::Duration::seconds(60)).await;
    let back = tokio::net::TcpListener::bind(place).await.unwrap();
    actix_rt::spawn(async move {
        while let Ok((mut tcp, _)) = back.accept().await {
            actix_rt::spawn(async move {
                let Some(head) = take_head(&mut tcp).await else { return };
                let _ = tcp.write_all(OPEN).await;
                pass_on(tcp, head.split(' ').nth(1).unwrap().parse().unwrap()).await;
            });
        }
    });
    run.clock.move_to(now + chrono::Duration::seconds(60));
    run.nudge.notify_one();
    while rows.settled.borrow().len() < 30 {
        rows.written.notified().await;
    }
    assert!(rows.settled.borrow().values().all(|next| *next == NextStep::Delivered));
    assert!(rows.told.borrow().is_empty());
    run.drain().await;
}

#[actix::test]
async fn what_could_not_be_written_of_a_receiver_did_not_happen() {
    let (url, _) = answering(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await;
    let rows = Rows::of(1);
    rows.failing_writes.set(1);
    let run = run(&rows, Endpoint::sample(&url));
    rows.attempts(1).await;
    let trouble = rows.condition.get().condition.trouble.unwrap();
    assert_eq!(trouble.since, run.clock.now(), "the attempt that could be written tells of it");
    run.drain().await;
}

#[actix::test]
async fn a_url_that_cannot_be_reached_any_more_fails_in_the_log() {
    let rows = Rows::of(1);
    let run = run(&rows, Endpoint::sample("http://10.0.0.1/"));
    rows.attempts(1).await;
    run.drain().await;
    let error = rows.attempts.borrow()[0].error.clone().unwrap();
    assert!(error.starts_with("address 10.0.0.1 is private"), "{error}");
    assert_eq!(rows.pending.borrow().len(), 1, "it is tried again");
}

#[actix::test]
async fn draining_cuts_off_what_does_not_finish_and_keeps_it_due() {
    let (url, connections) = receiver(|mut tcp| async move { while take_request(&mut tcp).await {} }).await;
    let rows = Rows::of(3);
    let run = run(&rows, Endpoint::sample(&url));
    while connections.get() < 3 {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    run.orders.send_modify(|orders| orders.drain_by = Some(Instant::now() + Duration::from_millis(50)));
    run.task.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(rows.pending.borrow().len(), 3);
}

#[actix::test]
async fn the_courier_ends_when_nobody_gives_orders() {
    let rows = Rows::of(0);
    let run = run(&rows, Endpoint::sample("http://127.0.0.1:9/"));
    drop(run.orders);
    run.task.await.unwrap();
}
