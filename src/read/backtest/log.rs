//! Guests of a log file: source events as the ingest batch takes them, a line each, in the order in which they came.
//!
//! Whose a line is goes by the names in it, as in the engine: an order's refund is its owner's, everything else whose the
//! first of its identities is. There is no clock of ours in a log, so what happened is heard of at once.

use std::io::{BufRead, Read as _};
use std::sync::Arc;

use ulid::Ulid;

use super::stored::load;
use super::{BacktestFailure, Guests, Lived, Range};
use crate::domain::Timestamp;
use crate::domain::chain::Chain;
use crate::domain::churn::Foresight;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{MemberId, SourceId};
use crate::domain::source_event::{BadEvent, MAX_BYTES, SourceEvent};
use crate::rules::backtest::{BacktestError, Elsewhere, Heard, Life, Plan, Versions};
use crate::rules::program::Program;
use crate::store::spool::Spool;
use crate::store::{self, Store};

/// Lines of one guest in one look.
const LINES: i64 = 256;
/// The ids that one event may derive lie between two of these.
const STRIDE: u32 = 24;

/// A log, its lines put in order by guest.
pub struct LogFile {
    spool: Spool,
    /// By the clock of whoever asks; what the log says of times is held against it.
    now: Timestamp,
    /// When the last of it happened.
    last: Option<Timestamp>,
}

/// By what a chain decides now.
#[derive(Debug)]
pub struct Current {
    /// Its program.
    pub program: Program,
    /// To whom it tells.
    pub endpoints: Vec<Arc<Endpoint>>,
}

impl Current {
    /// Of a stored chain.
    ///
    /// # Errors
    /// Its program is not to be had.
    pub fn of(store: &Store, chain: &Chain) -> Result<Self, BacktestFailure> {
        let latest = store.read_now(|conn| store::program::latest(conn, &chain.id))?;
        let version = latest.map_or(0, |latest| latest.publication.version);
        let no_version = |why| BacktestError::NoVersion { version, why };
        let program = load(store, chain, version).map_err(no_version)?;
        let endpoints = store.read_now(|conn| store::endpoint::list(conn, store.vault(), &chain.id))?;
        Ok(Self { program, endpoints: endpoints.into_iter().map(Arc::new).collect() })
    }
}

/// There is nothing but the log.
struct Nothing;

impl Elsewhere for Nothing {}

impl LogFile {
    /// Reads a log. `each` hears how many lines were read.
    ///
    /// # Errors
    /// A line is no source event; the temporary file cannot be written.
    pub fn read(
        mut log: impl BufRead,
        chain: &Chain,
        now: Timestamp,
        mut each: impl FnMut(u64),
    ) -> Result<Self, BacktestFailure> {
        let mut this = Self { spool: Spool::new()?, now, last: None };
        let (mut number, mut line) = (0, Vec::new());
        loop {
            line.clear();
            let most = MAX_BYTES as u64 + 2; // one that is too long is seen to be
            if log.by_ref().take(most).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            number += 1;
            if !line.trim_ascii().is_empty() {
                this.sort_in(number, line.trim_ascii(), chain)?;
            }
            each(number);
        }
        this.spool.put_in_order()?;
        Ok(this)
    }

    /// What is to be compared: a program with another one, on this log.
    pub fn plan(&self, chain: Chain, current: Current, candidate: Arc<Program>, range: Range) -> Plan {
        Plan {
            chain,
            versions: Versions::only(current.program.asking(&current.endpoints)),
            candidate: Arc::new(Program::clone(&candidate).asking(&current.endpoints)),
            since: range.since,
            until: range.until.or(self.last).unwrap_or(range.now).min(range.now),
            endpoints: current.endpoints,
            foresight: Foresight::Nothing,
        }
    }

    fn sort_in(&mut self, number: u64, line: &[u8], chain: &Chain) -> Result<(), BacktestFailure> {
        let bad = |bad: BadEvent| BacktestFailure::BadLine { line: number, why: bad.to_string() };
        let event = SourceEvent::parse(line, &chain.currency, self.now).map_err(bad)?;
        self.last = self.last.max(Some(event.occurred_at));
        let nth = i64::try_from(number).unwrap_or(i64::MAX);
        if !self.spool.name(&format!("key {}", event.key), nth)? {
            return Ok(()); // a repeat
        }
        let order = event.data.order_id().map(|order| format!("order {}", order.as_str()));
        let names = event.identities.iter().map(|identity| format!("guest {identity}"));
        let mut names: Vec<_> =
            event.member.map(|id| format!("guest {id}")).into_iter().chain(names).collect();
        let owner = match order.as_deref().filter(|_| event.follows_its_order()) {
            Some(order) => self.spool.owner(order)?,
            None => None,
        };
        let is_the_owners = owner.is_some();
        let mut guest = owner;
        for name in &names {
            guest = match guest {
                Some(guest) => Some(guest),
                None => self.spool.owner(name)?,
            };
        }
        if names.is_empty() && guest.is_none() {
            return Ok(()); // nobody's
        }
        let guest = guest.unwrap_or(nth);
        if is_the_owners {
            names.clear(); // who brings it need not be the guest
        }
        for name in names.iter().chain(&order) {
            self.spool.name(name, guest)?;
        }
        Ok(self.spool.put(guest, nth, &event.body)?)
    }
}

/// The guest of whom a line was the first.
fn member(guest: i64) -> MemberId {
    MemberId::new(Ulid(u128::from(guest.unsigned_abs())))
}

fn guest(member: MemberId) -> i64 {
    i64::try_from(member.ulid().0).unwrap_or(i64::MAX)
}

impl Guests for LogFile {
    fn count(&self) -> Result<u64, BacktestFailure> {
        Ok(self.spool.count()?)
    }

    fn page(&self, after: Option<MemberId>, limit: usize) -> Result<Vec<MemberId>, BacktestFailure> {
        let guests = self.spool.guests(after.map_or(0, guest), limit as i64)?;
        Ok(guests.into_iter().map(member).collect())
    }

    fn live(&self, plan: &Plan, who: MemberId) -> Result<Lived, BacktestFailure> {
        let (mut life, mut after) = (Life::new(plan), 0);
        loop {
            let lines = self.spool.lines(guest(who), after, LINES)?;
            let Some((last, _)) = lines.last() else { break };
            after = *last;
            for (line, body) in lines {
                let number = line.unsigned_abs();
                let bad = |bad: BadEvent| BacktestFailure::BadLine { line: number, why: bad.to_string() };
                let event =
                    SourceEvent::parse(body.as_bytes(), &plan.chain.currency, self.now).map_err(bad)?;
                let id = SourceId::new(Ulid(u128::from(number) << STRIDE));
                let received_at = event.occurred_at;
                let heard = Heard { id, event: event.into(), received_at, version: None };
                life.hear(who, &heard, &mut Nothing)?;
            }
        }
        let outcome = life.end(who, None, &mut Nothing)?;
        Ok(Lived::Whole(outcome.into()))
    }

    fn is_checked(&self, _: &Plan) -> bool {
        false
    }
}
