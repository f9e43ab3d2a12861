//! `punchcard bench deliver`: deliveries pile up for endpoints that are disabled; then these are enabled, and what
//! matters is how the backlog drains.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use crate::cli::Failure;
use crate::cli::net::api::Client;
use crate::cli::net::receiver::{Arrival, Handler, Receiver};
use crate::cli::out::thousands;
use crate::clock::Clock;
use crate::domain::endpoint::EventPattern;
use crate::domain::loyalty_event::EventType;

use super::book::Book;
use super::collector::order_of;
use super::others::{Accept, Beside, Ear, Others};
use super::process::Process;
use super::run::{run_id, runtime, send};
use super::sender::{Load, Plan};
use super::server::Server;
use super::workload::Workload;
use super::{Mode, Which, plain};

const CONNECTIONS: u16 = 4;
const WINDOW: u32 = 512;
/// Told once of each order, whatever the rules are.
const EVENT: EventType = EventType::OrderCompleted;
/// Give up on what has not arrived when nothing arrived for this long.
const STALL: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Delivering alone
#[derive(Debug, clap::Args)]
pub(super) struct Deliver {
    #[command(flatten)]
    which: Which,
    /// Deliveries in all
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    deliveries: u64,
    /// Endpoints that share them
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    endpoints: u32,
    #[command(flatten)]
    beside: Beside,
    /// Restart the server once everything waits, and measure how long that takes
    #[arg(long)]
    restart: bool,
    /// Measure for so long what a client gets that only posts; 0 for not at all
    #[arg(long, value_name = "S", default_value_t = 3)]
    plain_seconds: u64,
    /// Print the report as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    endpoints: u32,
    hanging: u32,
    expected: u64,
    arrived: u64,
    lost: u64,
    duplicated: u64,
    /// From enabling to the last arrival.
    drain_s: f64,
    deliveries_per_s: f64,
    /// By how many orders at most one arrived after a later one of the same endpoint.
    most_out_of_order: u64,
    /// What a client that only posts got out of the same receiver.
    plain_per_s: Option<f64>,
    /// The same as a share.
    of_plain: Option<f64>,
    /// From the begin of the start to readiness, with everything waiting.
    start_s: Option<f64>,
    rss_before_mib: Option<f64>,
    rss_peak_mib: Option<f64>,
    server_cpu_s: Option<f64>,
}

/// Counts what arrives where, as often as it does.
struct Counter {
    workload: Arc<Workload>,
    arrived: Arc<AtomicU64>,
    /// For each endpoint, the orders that were there.
    seen: Vec<Vec<bool>>,
    latest: Vec<u64>,
    duplicated: u64,
    most_out_of_order: u64,
    last: Option<Instant>,
    sample: Option<String>,
}

impl Handler for Counter {
    fn arrived(&mut self, arrival: &Arrival<'_>) {
        let endpoint = arrival.path().rsplit('/').next().and_then(|n| n.parse::<usize>().ok());
        let order = order_of(&self.workload, arrival.body);
        let (Some(endpoint), Some(order)) = (endpoint, order) else { return };
        let seen = self.seen.get_mut(endpoint).and_then(|seen| seen.get_mut(order as usize));
        let (Some(seen), Some(latest)) = (seen, self.latest.get_mut(endpoint)) else { return };
        if std::mem::replace(seen, true) {
            self.duplicated += 1;
            return;
        }
        self.most_out_of_order = self.most_out_of_order.max(latest.saturating_sub(order));
        *latest = order.max(*latest);
        self.last = Some(arrival.at);
        self.arrived.fetch_add(1, Relaxed);
        self.sample.get_or_insert_with(|| String::from_utf8_lossy(arrival.body).into_owned());
    }
}

/// Runs it.
///
/// # Errors
/// Why it could not be run to its end, for people.
pub(super) fn run(deliver: &Deliver) -> Result<Report, Failure> {
    let runtime = runtime()?;
    let mut server = Server::of(&deliver.which)?;
    let mut client = Client::new(server.access.clone());
    runtime.block_on(server.prepare(&mut client))?;
    let orders = deliver.deliveries.div_ceil(deliver.endpoints.into());
    let fail = |e| Failure::because("cannot listen for webhooks", &e);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(fail)?;
    let url = format!("http://{}", listener.local_addr().map_err(fail)?);
    let hanging = Ear::of(Others::Hanging)?;
    let ids = runtime.block_on(subscribe(deliver, &url, &hanging, &server, &mut client))?;

    let now = Clock::System.now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let workload = Arc::new(Workload::new(run_id()?, 1, 10_000, now));
    pile_up(&server, orders, &workload)?;
    let mut start_s = None;
    if deliver.restart {
        let begun = Instant::now();
        server.restart()?;
        client = Client::new(server.access.clone());
        runtime.block_on(server.prepare(&mut client))?;
        start_s = Some(begun.elapsed().as_secs_f64());
    }

    let arrived = Arc::new(AtomicU64::new(0));
    let counter = Counter {
        workload,
        arrived: Arc::clone(&arrived),
        seen: vec![vec![false; orders as usize]; deliver.endpoints as usize],
        latest: vec![0; deliver.endpoints as usize],
        duplicated: 0,
        most_out_of_order: 0,
        last: None,
        sample: None,
    };
    let receiver = Receiver::start(listener, Duration::ZERO, counter)
        .map_err(|e| Failure::because("cannot start the receiver", &e))?;
    let cpu = || server.process().and_then(Process::cpu_s);
    let (cpu_before, rss_before_mib) = (cpu(), server.process().and_then(Process::rss_mib));
    client.reconnect();
    let begun = Instant::now();
    runtime.block_on(enable(&ids, &server, &mut client))?;
    let expected = orders * u64::from(deliver.endpoints);
    runtime.block_on(drained(&arrived, expected));
    let (cpu_after, rss_peak_mib) = (cpu(), server.process().and_then(Process::peak_rss_mib));
    let counter = receiver.finish().ok_or_else(|| Failure::Failed("the receiver broke".to_owned()))?;
    client.reconnect();
    runtime.block_on(delete(&ids, &server, &mut client))?;
    let plain_per_s = plain_per_s(deliver.plain_seconds, &counter)?;

    let arrived = arrived.load(Relaxed);
    let drain_s = counter.last.map_or(0.0, |last| (last - begun).as_secs_f64());
    let deliveries_per_s = if drain_s > 0.0 { arrived as f64 / drain_s } else { 0.0 };
    Ok(Report {
        endpoints: deliver.endpoints,
        hanging: deliver.beside.hanging,
        expected,
        arrived,
        lost: expected - arrived,
        duplicated: counter.duplicated,
        drain_s,
        deliveries_per_s,
        most_out_of_order: counter.most_out_of_order,
        plain_per_s,
        of_plain: plain_per_s.map(|plain| deliveries_per_s / plain),
        start_s,
        rss_before_mib,
        rss_peak_mib,
        server_cpu_s: cpu_after.zip(cpu_before).map(|(after, before)| after - before),
    })
}

/// Makes all endpoints and disables them; answers their ids.
async fn subscribe(
    deliver: &Deliver,
    url: &str,
    hanging: &Ear,
    server: &Server,
    client: &mut Client,
) -> Result<Vec<String>, Failure> {
    let event = EventPattern::One(EVENT);
    let mut ids = hanging.subscribe(&deliver.beside, std::slice::from_ref(&event), server, client).await?;
    for n in 0..deliver.endpoints {
        let url = format!("{url}/bench/{n}");
        ids.push(client.create_endpoint(&server.chain, &url, &[event.to_string()]).await?.0);
    }
    for id in &ids {
        let path = format!("/v1/chains/{}/endpoints/{id}/disable", server.chain);
        client.call("POST", &path, Some(&json!({}))).await?;
    }
    Ok(ids)
}

async fn enable(ids: &[String], server: &Server, client: &mut Client) -> Result<(), Failure> {
    for id in ids {
        let path = format!("/v1/chains/{}/endpoints/{id}/enable", server.chain);
        client.call("POST", &path, Some(&json!({}))).await?;
    }
    Ok(())
}

async fn delete(ids: &[String], server: &Server, client: &mut Client) -> Result<(), Failure> {
    for id in ids {
        client.call("DELETE", &format!("/v1/chains/{}/endpoints/{id}", server.chain), None).await?;
    }
    Ok(())
}

fn pile_up(server: &Server, orders: u64, workload: &Arc<Workload>) -> Result<(), Failure> {
    let plan = Plan {
        access: server.access.clone(),
        chain: server.chain.clone(),
        load: Load::Orders,
        connections: CONNECTIONS,
        orders,
        interval: None,
        end: None,
        window: WINDOW,
        events: vec![EventPattern::One(EVENT)],
    };
    let now = Instant::now();
    let tally = send(plan, Mode::Ndjson, Arc::new(Book::new(now, orders)), Arc::clone(workload), now)?;
    match tally.errors.first_key_value() {
        None => Ok(()),
        Some((reason, count)) => {
            Err(Failure::Failed(format!("{count} orders have no receipt, for example: {reason}")))
        }
    }
}

/// Waits until everything is there, or nothing comes any more.
async fn drained(arrived: &AtomicU64, expected: u64) {
    let (mut known, mut since) = (0, Instant::now());
    while known < expected && since.elapsed() < STALL {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = arrived.load(Relaxed);
        if now > known {
            (known, since) = (now, Instant::now());
        }
    }
}

fn plain_per_s(seconds: u64, counter: &Counter) -> Result<Option<f64>, Failure> {
    let Some(body) = counter.sample.as_deref().filter(|_| seconds > 0) else { return Ok(None) };
    let fail = |e| Failure::because("cannot start the receiver", &e);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(fail)?;
    let url = format!("http://{}/", listener.local_addr().map_err(fail)?);
    let receiver = Receiver::start(listener, Duration::ZERO, Accept).map_err(fail)?;
    let measured = plain::posts_per_second(&url, body, seconds);
    receiver.finish();
    Ok(measured)
}

impl Report {
    /// The table for people.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<12}  {value}");
        };
        let hanging =
            if self.hanging > 0 { format!(" beside {} that hang", self.hanging) } else { String::new() };
        row("endpoints", format!("{}{hanging}", self.endpoints));
        row(
            "deliveries",
            format!("{} /s over {:.1} s", thousands(self.deliveries_per_s.round() as u64), self.drain_s),
        );
        if let (Some(plain), Some(share)) = (self.plain_per_s, self.of_plain) {
            let plain = thousands(plain.round() as u64);
            row("", format!("{:.0} % of the {plain} /s of a client that only posts", share * 100.0));
        }
        row(
            "reconciled",
            format!(
                "{} expected, {} arrived, lost {}, duplicated {}; at most {} behind a later one",
                thousands(self.expected),
                thousands(self.arrived),
                thousands(self.lost),
                thousands(self.duplicated),
                thousands(self.most_out_of_order)
            ),
        );
        if let Some(start) = self.start_s {
            row("start", format!("{start:.1} s with all of it waiting"));
        }
        let mib = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), |v| format!("{v:.0} MiB"));
        let cpu = self.server_cpu_s.map_or_else(|| "?".to_owned(), |v| format!("{v:.1}"));
        row(
            "server",
            format!(
                "memory {} before, {} peak; {cpu} s CPU",
                mib(self.rss_before_mib),
                mib(self.rss_peak_mib)
            ),
        );
        text
    }

    /// Whether the run shows that a promise was broken.
    ///
    /// # Errors
    /// Says which; the table has the figures.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        match self.lost {
            0 => Ok(()),
            lost => Err(Failure::Failed(format!("{lost} deliveries are lost"))),
        }
    }
}
