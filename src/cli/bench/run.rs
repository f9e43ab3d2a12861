//! One run, from the first connection to the reconciled books.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use crate::cli::Failure;
use crate::cli::net::api::{CallError, Client};
use crate::cli::net::receiver::{Receiver, SigningKey};
use crate::clock::Clock;

use super::book::Book;
use super::collector::{Collector, Counted};
use super::others::{Ear, Others};
use super::process::Process;
use super::report::{Latencies, Report, ServerCost};
use super::sender::{Load, Plan, Sender, Tally};
use super::server::Server;
use super::workload::Workload;
use super::{Bench, Mode, ndjson, single};

/// How often the books are looked at while the rest arrives.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::because("the server does not do what the benchmark needs", &error)
    }
}

/// Runs the benchmark beside others that are like that, and measures it.
///
/// # Errors
/// Why it could not be run to its end, for people.
pub(super) fn run(bench: &Bench, others: Others) -> Result<Report, Failure> {
    let runtime = runtime()?;
    let server = Server::of(&bench.which)?;
    let mut client = Client::new(server.access.clone());
    runtime.block_on(server.prepare(&mut client))?;
    let rss_idle_mib = server.process().and_then(Process::rss_mib);
    let workload = Arc::new(Workload::new(
        run_id()?,
        bench.seed,
        bench.members,
        Clock::System.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    ));
    warm_up(bench, &server, &workload)?;
    let rss_warm_mib = server.process().and_then(Process::rss_mib);

    let listener =
        TcpListener::bind("127.0.0.1:0").map_err(|e| Failure::because("cannot listen for webhooks", &e))?;
    client.reconnect(); // the old connection may have been idle for longer than the server keeps it
    let endpoint = runtime.block_on(subscribe(bench, &server, &mut client, &listener))?;
    let ear = Ear::of(others)?;
    let beside = runtime.block_on(ear.subscribe(&bench.beside, &bench.events, &server, &mut client))?;
    let cpu = || (server.process().and_then(Process::cpu_s), Process::this().cpu_s());
    let cpu_before = cpu();
    let mut report = measure(bench, &server, workload, listener, endpoint.key)?;
    let cpu_after = cpu();
    report.server = server.process().map(|process| ServerCost {
        rss_idle_mib,
        rss_warm_mib,
        rss_peak_mib: process.peak_rss_mib(),
        rss_end_mib: process.rss_mib(),
        cpu_s: spent(cpu_before.0, cpu_after.0),
    });
    report.bench_cpu_s = spent(cpu_before.1, cpu_after.1);
    // An endpoint that nobody listens at would be retried for hours in a database that is kept.
    client.reconnect(); // likewise
    for id in beside.iter().chain([&endpoint.id]) {
        let path = format!("/v1/chains/{}/endpoints/{id}", server.chain);
        runtime.block_on(client.call("DELETE", &path, None))?;
    }
    Ok(report)
}

fn spent(before: Option<f64>, after: Option<f64>) -> Option<f64> {
    Some(after? - before?)
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::because("cannot start an event loop", &e))
}

/// Tells the keys of this run from those of every other.
pub(super) fn run_id() -> Result<String, Failure> {
    let random =
        getrandom::u32().map_err(|e| Failure::Failed(format!("the system gave no random numbers: {e}")))?;
    Ok(format!("bench-{random:08x}"))
}

struct Subscription {
    id: String,
    key: SigningKey,
}

async fn subscribe(
    bench: &Bench,
    server: &Server,
    client: &mut Client,
    listener: &TcpListener,
) -> Result<Subscription, Failure> {
    let address = listener.local_addr().map_err(|e| Failure::because("cannot listen for webhooks", &e))?;
    let events: Vec<_> = bench.events.iter().map(ToString::to_string).collect();
    let url = format!("http://{address}/bench");
    let (id, secret) = client.create_endpoint(&server.chain, &url, &events).await?;
    let key = SigningKey::of(&secret).ok_or_else(|| {
        Failure::Failed("the server made a secret that is none of Standard Webhooks".to_owned())
    })?;
    Ok(Subscription { id, key })
}

fn plan(bench: &Bench, server: &Server, load: Load) -> Plan {
    Plan {
        access: server.access.clone(),
        chain: server.chain.clone(),
        load,
        connections: bench.connections(),
        orders: bench.orders(),
        interval: bench.rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
        end: None,
        window: bench.window,
        events: bench.events.clone(),
    }
}

fn warm_up(bench: &Bench, server: &Server, workload: &Arc<Workload>) -> Result<(), Failure> {
    if bench.warm_members == 0 {
        return Ok(());
    }
    /// As many as the default of a measured run, whatever that run uses.
    const CONNECTIONS: u16 = 4;
    let plan = Plan {
        orders: bench.warm_members,
        connections: CONNECTIONS,
        interval: None,
        ..plan(bench, server, Load::Enrolments)
    };
    let now = Instant::now();
    let tally = send(plan, Mode::Ndjson, Arc::new(Book::new(now, 0)), Arc::clone(workload), now)?;
    match tally.errors.first_key_value() {
        None => Ok(()),
        Some((reason, count)) => {
            Err(Failure::Failed(format!("{count} members could not be enrolled, for example: {reason}")))
        }
    }
}

fn measure(
    bench: &Bench,
    server: &Server,
    workload: Arc<Workload>,
    listener: TcpListener,
    key: SigningKey,
) -> Result<Report, Failure> {
    let start = Instant::now();
    let measured_from = start + Duration::from_secs(bench.warm_seconds);
    let book = Arc::new(Book::new(start, bench.orders()).measured_from(measured_from));
    let collector = Collector {
        book: Arc::clone(&book),
        workload: Arc::clone(&workload),
        key,
        verify: bench.verify,
        counted: Counted::default(),
    };
    let delay = Duration::from_millis(bench.receiver_delay_ms);
    let receiver = Receiver::start(listener, delay, collector)
        .map_err(|e| Failure::because("cannot start the receiver", &e))?;
    let end = bench.seconds.map(|seconds| measured_from + Duration::from_secs(seconds));
    let plan = Plan { end, ..plan(bench, server, Load::Orders) };
    let tally = send(plan, bench.mode, Arc::clone(&book), workload, start)?;
    let during_ingest = book.arrivals();
    runtime()?.block_on(drained(&book, bench.stall()));
    let collector = receiver.finish().ok_or_else(|| Failure::Failed("the receiver broke".to_owned()))?;
    Ok(report(bench, start, &tally, during_ingest, &book, &collector.counted))
}

/// Sends a plan's orders on a thread of its own and waits until all are answered.
pub(super) fn send(
    plan: Plan,
    mode: Mode,
    book: Arc<Book>,
    workload: Arc<Workload>,
    start: Instant,
) -> Result<Tally, Failure> {
    let runtime = runtime()?;
    let sending = move || {
        let connections = plan.connections;
        let sender = std::rc::Rc::new(Sender::new(plan, book, workload, start));
        let tasks = LocalSet::new();
        for _ in 0..connections {
            let sender = std::rc::Rc::clone(&sender);
            tasks.spawn_local(async move {
                match mode {
                    Mode::Ndjson => ndjson::drive(&sender).await,
                    Mode::Single => single::drive(&sender).await,
                }
            });
        }
        runtime.block_on(tasks);
        std::rc::Rc::into_inner(sender).map(Sender::into_tally)
    };
    let thread = std::thread::Builder::new().name("sender".to_owned()).spawn(sending);
    let thread = thread.map_err(|e| Failure::because("cannot start the sender", &e))?;
    thread.join().ok().flatten().ok_or_else(|| Failure::Failed("the sender broke".to_owned()))
}

/// Waits until everything promised has arrived, or nothing has arrived for `stall`.
async fn drained(book: &Book, stall: Duration) {
    let begun = Instant::now();
    while book.reconcile().missing > 0 && book.last_arrival().max(begun).elapsed() < stall {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn report(
    bench: &Bench,
    start: Instant,
    tally: &Tally,
    during_ingest: u64,
    book: &Book,
    counted: &Counted,
) -> Report {
    let ingest_s = tally.last_receipt.map_or(0.0, |at| (at - start).as_secs_f64());
    let drain_s = (book.last_arrival() - start).as_secs_f64();
    let per_second = |count: u64, seconds: f64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    let reconciled = book.reconcile();
    Report {
        mode: bench.mode,
        connections: bench.connections(),
        rate: bench.rate,
        members: bench.members,
        warm_members: bench.warm_members,
        warm_seconds: bench.warm_seconds,
        seed: bench.seed,
        sent: tally.sent,
        acknowledged: tally.acknowledged,
        repeated: tally.repeated,
        errors: tally.errors.clone(),
        ingest_s,
        events_per_s: per_second(tally.acknowledged, ingest_s),
        ingest_latency: Latencies::of(&tally.latency),
        expected: reconciled.promised,
        arrived: book.arrivals(),
        drain_s,
        deliveries_per_s: per_second(book.arrivals(), drain_s),
        deliveries_per_s_during_ingest: per_second(during_ingest, ingest_s),
        arrival_latency: Latencies::of(&counted.latency),
        arrivals: counted.latency.clone(),
        lost: reconciled.missing,
        duplicated: counted.duplicated,
        unpromised: reconciled.unpromised,
        foreign: counted.foreign,
        signatures_checked: counted.checked,
        wrongly_signed: counted.wrongly_signed,
        server: None,
        bench_cpu_s: None,
    }
}
