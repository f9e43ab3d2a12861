//! `punchcard backtest`: what another program would have made of what happened.

use std::fs::File;
use std::io::BufReader;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{NaiveDate, TimeZone};

use crate::clock::Clock;
use crate::config::Config;
use crate::config::flags::StoreFlags;
use crate::domain::Timestamp;
use crate::domain::chain::{Chain, ChainId};
use crate::read::backtest::{
    BacktestFailure, Candidate, Current, Guests, LogFile, Progress, Range, Readers, Stored, Table,
    run as live,
};
use crate::rules::backtest::Plan;
use crate::rules::diagnostic::Diagnostic;
use crate::rules::folder;
use crate::rules::program::{Program, Sources};
use crate::rules::report::{chain_of, render};
use crate::store::{self, DatabaseUrl, Store};

use super::out::{self, thousands};
use super::{Failure, open_store};

const AFTER_HELP: &str = "\
Examples:
  punchcard backtest --chain harvest --rules ideas/harvest --since 2026-05-01
  punchcard backtest --chain harvest --rules ideas/harvest --csv > members.csv
  punchcard backtest --chain harvest --version 11
  punchcard backtest --chain harvest --rules ideas/harvest --log-file may.ndjson

A time is a day of the chain's calendar (2026-05-01), or an instant (2026-05-01T12:00:00Z).
Nothing is written, and it may run beside a server.";

/// More threads than this wait for each other's reads.
const MOST_THREADS: usize = 4;
/// Pause between two pictures of the bar.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// Compare what other rules would have made of the stored events with what happened
///
/// Prints what would differ: points, liability, tiers, coupons, loyalty events, deliveries, and for whom most.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Backtest {
    /// The chain whose events are taken
    #[arg(long, value_name = "CHAIN")]
    chain: ChainId,
    /// The folder of the rules to try
    #[arg(long = "rules", value_name = "DIR", required_unless_present = "version")]
    folder: Option<PathBuf>,
    /// A version that was published, instead of a folder
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["folder", "log_file"])]
    version: Option<i64>,
    /// From when on they decide [default: the beginning]
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    since: Option<When>,
    /// Up to when events are taken [default: now; with --log-file the last event]
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: Option<When>,
    /// Take the events of this file instead: one a line, as `POST …/events/batch` takes them
    #[arg(long, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long, conflicts_with_all = ["csv", "ndjson"])]
    json: bool,
    /// Print a table of all members for whom anything differs
    #[arg(long)]
    csv: bool,
    /// Print all members for whom anything differs as JSON, one a line
    #[arg(long, conflicts_with = "csv")]
    ndjson: bool,
    /// Threads to work with [default: the machine's]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    #[command(flatten)]
    flags: StoreFlags,
}

/// A time on the command line.
#[derive(Debug, Clone, Copy)]
enum When {
    Instant(Timestamp),
    /// The beginning of a day.
    Day(NaiveDate),
}

impl When {
    fn parse(text: &str) -> Result<Self, String> {
        let wanted = "a day such as 2026-05-01, or an instant such as 2026-05-01T12:00:00Z";
        let day = text.parse().map(Self::Day);
        day.or_else(|_| text.parse().map(Self::Instant)).map_err(|_| format!("wanted is {wanted}"))
    }

    fn of(self, chain: &Chain) -> Timestamp {
        match self {
            Self::Instant(at) => at,
            Self::Day(day) => {
                let midnight = day.and_time(chrono::NaiveTime::MIN);
                let local = chain.timezone.from_local_datetime(&midnight).earliest();
                // Where clocks are set forward at midnight, that day begins an hour later.
                local.map_or_else(|| midnight.and_utc(), |local| local.to_utc())
            }
        }
    }
}

pub(super) fn run(verb: &Backtest) -> Result<(), Failure> {
    let Some(loaded) = super::configuration(&verb.flags.0)? else { return Ok(()) };
    let tried = Tried::read(verb)?;
    let now = Clock::System.now();
    match &verb.log_file {
        Some(log) => on_log(verb, &loaded.config, log, &tried, now),
        None => on_store(verb, &loaded.config, &tried, now),
    }
}

/// The folder of the rules to try; of a version that was published it is in the store.
struct Tried {
    dir: PathBuf,
    sources: Sources,
}

impl Tried {
    fn read(verb: &Backtest) -> Result<Self, Failure> {
        let dir = verb.folder.clone().unwrap_or_default();
        if verb.version.is_some() {
            return Ok(Self { dir, sources: Sources::default() });
        }
        match folder::read(&dir) {
            Ok(sources) => Ok(Self { dir, sources }),
            Err(problem) => Err(Self { dir, sources: Sources::default() }.complain(&[problem])),
        }
    }

    /// Says what does not check, and where.
    fn complain(&self, problems: &[Diagnostic]) -> Failure {
        for problem in problems {
            out::draw(&render(problem, &self.dir, &self.sources, out::colour()));
        }
        Failure::Failed("the rules do not check; nothing was compared".to_owned())
    }

    fn failed(&self, failure: BacktestFailure) -> Failure {
        match failure {
            BacktestFailure::DoesNotCheck(problems) => self.complain(&problems),
            other => Failure::because("cannot compare", &other),
        }
    }
}

fn on_store(verb: &Backtest, config: &Config, tried: &Tried, now: Timestamp) -> Result<(), Failure> {
    let store = existing_store(config)?.ok_or_else(|| {
        Failure::Failed(format!("there is no database {}; name one with --database", config.database))
    })?;
    let chain = stored_chain(&store, &verb.chain)?
        .ok_or_else(|| Failure::Failed(format!("there is no chain {} in {}", verb.chain, config.database)))?;
    let range = verb.range(&chain, now)?;
    let candidate = verb.version.map_or_else(|| Candidate::Files(tried.sources.clone()), Candidate::Version);
    let (plan, guests) = Stored::open(store, Readers::Own, &chain.id, candidate, range)
        .map_err(|failure| tried.failed(failure))?;
    verb.compare(&plan, &guests, tried)
}

fn on_log(
    verb: &Backtest,
    config: &Config,
    log: &Path,
    tried: &Tried,
    now: Timestamp,
) -> Result<(), Failure> {
    let (chain, current) = current(config, &verb.chain)?;
    let range = verb.range(&chain, now)?;
    let candidate = Program::load(&tried.sources, &chain, 0).map_err(|problems| tried.complain(&problems))?;
    let reading = format!("cannot read {}", log.display());
    let file = File::open(log).map_err(|error| Failure::because(&reading, &error))?;
    let mut bar = Bar::new();
    let log = LogFile::read(BufReader::new(file), &chain, now, |lines| bar.read(lines));
    bar.clear();
    let log = log.map_err(|failure| tried.failed(failure))?;
    let plan = log.plan(chain, current, Arc::new(candidate), range);
    verb.compare(&plan, &log, tried)
}

/// The database, unless it is a file that is not there: opening would make an empty one.
fn existing_store(config: &Config) -> Result<Option<Store>, Failure> {
    match &config.database {
        DatabaseUrl::Sqlite(file) if !file.is_file() => Ok(None),
        _ => open_store(config).map(Some),
    }
}

fn stored_chain(store: &Store, id: &ChainId) -> Result<Option<Chain>, Failure> {
    let chain = store.read_now(|conn| store::chain::get(conn, id));
    chain.map_err(|error| Failure::because("cannot read the chains", &error))
}

/// By what a chain decides now: as it is stored, else by its folder.
fn current(config: &Config, id: &ChainId) -> Result<(Chain, Current), Failure> {
    if let Some(store) = existing_store(config)?
        && let Some(chain) = stored_chain(&store, id)?
    {
        let current = Current::of(&store, &chain);
        return Ok((
            chain,
            current.map_err(|failure| Failure::because("cannot read the program", &failure))?,
        ));
    }
    let dir = config.rules.join(id.as_str());
    let mut there = Tried { dir, sources: Sources::default() };
    there.sources = folder::read(&there.dir).map_err(|problem| there.complain(&[problem]))?;
    let chain = chain_of(id.as_str(), &there.sources).map_err(|problems| there.complain(&problems))?;
    let program = Program::load(&there.sources, &chain, 1).map_err(|problems| there.complain(&problems))?;
    Ok((chain, Current { program, endpoints: Vec::new() }))
}

impl Backtest {
    fn range(&self, chain: &Chain, now: Timestamp) -> Result<Range, Failure> {
        let [since, until] = [self.since, self.until].map(|when| when.map(|when| when.of(chain)));
        if since.zip(until).is_some_and(|(since, until)| since >= until) {
            return Err(Failure::Usage("--since must be before --until".to_owned()));
        }
        Ok(Range { since, until, now })
    }

    fn compare(&self, plan: &Plan, guests: &dyn Guests, tried: &Tried) -> Result<(), Failure> {
        let machine = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let threads = self
            .threads
            .unwrap_or_else(machine)
            .min(NonZeroUsize::new(MOST_THREADS).unwrap_or(NonZeroUsize::MIN));
        let mut bar = Bar::new();
        let table = match (self.csv, self.ndjson) {
            (true, _) => Some(Table::Csv),
            (_, true) => Some(Table::Ndjson),
            _ => None,
        };
        if let Some(table) = table {
            out::text(table.head());
        }
        let report = live(plan, guests, threads, |progress, line| {
            if let Some((line, table)) = line.zip(table) {
                bar.clear();
                out::text(&table.member(line));
            }
            bar.lived(progress);
            ControlFlow::Continue(())
        });
        bar.clear();
        let report = report.map_err(|failure| tried.failed(failure))?;
        if self.json {
            let json = serde_json::to_string_pretty(&report)
                .unwrap_or_else(|_| unreachable!("plain structs serialize"));
            out::line(format_args!("{json}"));
        } else if table.is_none() {
            out::text(&report.to_text());
        }
        Ok(())
    }
}

/// How far it has come, for somebody who watches.
struct Bar {
    begun: Instant,
    drawn: Option<Instant>,
    is_watched: bool,
}

impl Bar {
    const WIDTH: u64 = 30;

    fn new() -> Self {
        Self { begun: Instant::now(), drawn: None, is_watched: out::is_drawn_for_somebody() }
    }

    fn lived(&mut self, Progress { guests, of, events }: Progress) {
        self.draw(|seconds| {
            let done = (guests * Self::WIDTH).checked_div(of).unwrap_or_default().min(Self::WIDTH) as usize;
            let bar = format!("{:<width$}", "#".repeat(done), width = Self::WIDTH as usize);
            let percent = (guests * 100).checked_div(of).unwrap_or(100).min(100);
            let speed = events as f64 / seconds;
            format!(
                "[{bar}] {percent:>3} %  {} events, {} a second",
                thousands(events),
                thousands(speed as u64)
            )
        });
    }

    fn read(&mut self, lines: u64) {
        self.draw(|_| format!("reading the log: {} lines", thousands(lines)));
    }

    /// Draws in place, now and then.
    fn draw(&mut self, picture: impl Fn(f64) -> String) {
        if !self.is_watched || self.drawn.is_some_and(|at| at.elapsed() < DRAW_EVERY) {
            return;
        }
        self.drawn = Some(Instant::now());
        out::draw(&format!("\r\x1b[K{}", picture(self.begun.elapsed().as_secs_f64().max(0.001))));
    }

    fn clear(&mut self) {
        if self.drawn.take().is_some() {
            out::draw("\r\x1b[K");
        }
    }
}
