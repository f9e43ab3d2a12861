//! `punchcard bench`: load generator and counting receiver in one.
//!
//! ```text
//!              workload ─► single | ndjson ──► server ──► collector (receiver's thread)
//! (sender's thread)            │ receipts                    │ arrivals
//!                              └────────────► book ◄─────────┘
//! ```
//!
//! Every acknowledged event's receipt says which loyalty events it made; every arrival says which one it is. The
//! [`book`] holds both, so that lost and duplicated are counted, not estimated.

mod book;
mod collector;
mod compare;
mod deliver;
mod ndjson;
mod others;
mod plain;
mod process;
mod report;
mod run;
mod sender;
mod server;
mod single;
#[cfg(test)]
mod tests;
mod workload;

use std::path::PathBuf;
use std::time::Duration;

use crate::domain::chain::ChainId;
use crate::domain::endpoint::EventPattern;

use super::{Failure, out};

const AFTER_HELP: &str = "\
Examples:
  punchcard bench --orders 200000                        as fast as it goes, NDJSON
  punchcard bench --mode single --connections 64         as fast as it goes, one request per order
  punchcard bench --rate 1000 --seconds 60               open loop: latencies free of coordinated omission
  punchcard bench --mode single --rate 300 --seconds 20 --hanging 1 --compare answering
                                                         what an endpoint that hangs changes for others
  punchcard bench --target http://127.0.0.1:8080 --key pck_… --chain harvest
  punchcard bench -- --workers 1                         what stands after -- goes to the server
  punchcard bench deliver --deliveries 1000000           how a backlog of a million drains

Latencies count from the moment an order was due (with --rate) or written (without).
Exit code 1 when anything was lost or wrongly signed.";

/// Measure: send orders, receive the webhooks, reconcile
///
/// Starts a server of its own on a throwaway database, or drives a running one with --target.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
pub(super) struct Bench {
    #[command(subcommand)]
    only: Option<Only>,
    #[command(flatten)]
    which: Which,
    /// How orders travel: many on one streamed request, or one request each
    #[arg(long, value_enum, default_value_t = Mode::Ndjson)]
    mode: Mode,
    /// Connections that send [default: 4 for ndjson, 64 for single]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    connections: Option<u16>,
    /// Orders in all [default: 20000, unless --seconds says when to stop]
    #[arg(long, visible_alias = "events-total", value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    orders: Option<u64>,
    /// Stop after this many seconds of sending, the warm ones not counted
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
    /// Orders per second, each due at its own instant [default: as fast as answers come]
    #[arg(long, value_name = "R", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Orders that one ndjson connection may have unanswered
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..))]
    window: u32,
    /// Members that orders are spread over, at random and evenly
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    members: u64,
    /// Enrol this many members first; not measured
    #[arg(long, value_name = "N", default_value_t = 0)]
    warm_members: u64,
    /// Orders of so many first seconds have no latencies in the report
    #[arg(long, value_name = "S", default_value_t = 0)]
    warm_seconds: u64,
    /// The loyalty events that the receiver subscribes to
    #[arg(long, value_name = "EVENT,…", default_value = "points.earned", value_delimiter = ',')]
    events: Vec<EventPattern>,
    /// Which signatures to check
    #[arg(long, value_enum, default_value_t = Verify::Sample)]
    verify: Verify,
    /// How long the receiver takes to answer
    #[arg(long, value_name = "MS", default_value_t = 0)]
    receiver_delay_ms: u64,
    /// Give up on what has not arrived when nothing arrived for this long
    #[arg(long, value_name = "S", default_value_t = 10)]
    stall_seconds: u64,
    /// Same seed, same orders
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    beside: others::Beside,
    #[command(flatten)]
    compare: compare::Compare,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// A part of it alone.
#[derive(Debug, clap::Subcommand)]
enum Only {
    /// Delivering alone: lets deliveries pile up, and measures how they drain
    Deliver(deliver::Deliver),
}

/// Which server is measured.
#[derive(Debug, clap::Args)]
struct Which {
    /// Drive this running server instead of starting one; it must be able to reach 127.0.0.1
    #[arg(long, value_name = "URL", requires = "key", conflicts_with_all = ["database", "rules"])]
    target: Option<url::Url>,
    /// An admin key of the running server
    #[arg(long, value_name = "KEY", requires = "target")]
    key: Option<String>,
    /// The chain to send to [default: the first of the rules folder]
    #[arg(long, value_name = "CHAIN")]
    chain: Option<ChainId>,
    /// Keep the data of the started server here [default: a temporary SQLite file]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// The rules folder of the started server [default: ./rules if it exists, else the sample chain]
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// More flags for the started server
    #[arg(last = true, value_name = "SERVE FLAGS", conflicts_with = "target")]
    serve_flags: Vec<String>,
}

/// How orders travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// Many orders on one streamed request.
    Ndjson,
    /// One request per order.
    Single,
}

/// Which signatures are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Verify {
    /// Every one.
    All,
    /// One in a hundred.
    Sample,
    /// None.
    None,
}

impl Bench {
    fn connections(&self) -> u16 {
        self.connections.unwrap_or(match self.mode {
            Mode::Ndjson => 4,
            Mode::Single => 64,
        })
    }

    /// How many orders there are at most.
    fn orders(&self) -> u64 {
        /// Enough to fill the given seconds, whatever the machine.
        const WITHOUT_LIMIT: u64 = 100_000_000;
        const DEFAULT: u64 = 20_000;
        self.orders.unwrap_or(if self.seconds.is_some() { WITHOUT_LIMIT } else { DEFAULT })
    }

    fn stall(&self) -> Duration {
        Duration::from_secs(self.stall_seconds)
    }
}

fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("must be a number above 0".to_owned()),
    }
}

pub(super) fn run(verb: &Bench) -> Result<(), Failure> {
    if let Some(Only::Deliver(deliver)) = &verb.only {
        let report = deliver::run(deliver)?;
        print(deliver.json, &report, || report.to_text());
        return report.verdict();
    }
    if let Some(with) = verb.compare.with {
        let comparison = compare::run(verb, with)?;
        print(verb.json, &comparison, || comparison.to_text());
        return comparison.verdict();
    }
    let report = run::run(verb, others::Others::Hanging)?;
    print(verb.json, &report, || report.to_text());
    report.verdict()
}

fn print<R: serde::Serialize>(json: bool, report: &R, to_text: impl FnOnce() -> String) {
    if json {
        let json =
            serde_json::to_string_pretty(report).unwrap_or_else(|_| unreachable!("plain structs serialize"));
        out::line(format_args!("{json}"));
    } else {
        out::text(&to_text());
    }
}
