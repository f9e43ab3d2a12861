//! Backtests: the guests of a chain, one after the other, through [`rules::backtest`](crate::rules::backtest).
//!
//! ```text
//! guests, a page at a time ──► threads, a guest at a time ──► outcomes, in the order of the guests ──► Report
//! ```
//!
//! In memory are one guest's life per thread and one page of outcomes, however long the log is. The outcomes are taken in
//! in the order of the guests, so that it does not matter which thread was faster.

mod bounded;
mod log;
mod reading;
mod stored;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::domain::ids::{MemberId, SourceId};
use crate::rules::backtest::{BacktestError, Outcome, Plan};
use crate::store::StoreError;

pub use crate::rules::backtest::{Line, Report, Table};
pub use crate::rules::diagnostic::Diagnostic;
pub use bounded::{AT_ONCE, Backtested, MOST_EVENTS, MOST_TIME};
pub use log::{Current, LogFile};
pub use reading::{AT_ONCE as LIVES_AT_ONCE, Unread};
pub use stored::{Candidate, Range, Readers, Stored};

/// Guests in one look.
const PAGE: usize = 512;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum BacktestFailure {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The candidate does not check.
    #[error("the program does not check")]
    DoesNotCheck(Vec<Diagnostic>),
    /// There is no such chain.
    #[error("there is no such chain")]
    NoChain,
    /// There is no such version.
    #[error("there is no version {0} of the program")]
    NoVersion(i64),
    /// Decisions cannot be made again.
    #[error(transparent)]
    Replay(#[from] BacktestError),
    /// An event is not one any more.
    #[error("the body of source event {source_event} cannot be read any more: {why}")]
    Unreadable {
        /// Which.
        source_event: SourceId,
        /// Why not.
        why: String,
    },
    /// Of an event only that it was is kept.
    #[error("source event {0} is no longer kept")]
    NoLongerKept(SourceId),
    /// A line of a log is none.
    #[error("line {line} of the log: {why}")]
    BadLine {
        /// Which, from 1.
        line: u64,
        /// Why not.
        why: String,
    },
    /// The log cannot be read, or not be put in order.
    #[error("the log cannot be worked through: {0}")]
    Log(#[from] std::io::Error),
    /// As many as there may be are running.
    #[error("another backtest is running on this node")]
    Busy,
    /// It was too much for the occasion.
    #[error("stopped after {events} events")]
    Stopped {
        /// Events that were looked at.
        events: u64,
    },
}

/// How far it has come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Guests looked at.
    pub guests: u64,
    /// Of so many.
    pub of: u64,
    /// Events that counted.
    pub events: u64,
}

/// What became of one guest.
#[derive(Debug)]
pub enum Lived {
    /// This.
    Whole(Box<Outcome>),
    /// They are looked at together with somebody else, who they turned out to be.
    WithAnother,
    /// Not all of what they did is known any more.
    LeftOut,
}

/// The guests whose lives are lived again.
pub trait Guests: Sync {
    /// How many there are.
    ///
    /// # Errors
    /// They cannot be read.
    fn count(&self) -> Result<u64, BacktestFailure>;

    /// Some of them from beyond `after`, in order.
    ///
    /// # Errors
    /// They cannot be read.
    fn page(&self, after: Option<MemberId>, limit: usize) -> Result<Vec<MemberId>, BacktestFailure>;

    /// Lives one life.
    ///
    /// # Errors
    /// It cannot be read or lived.
    fn live(&self, plan: &Plan, guest: MemberId) -> Result<Lived, BacktestFailure>;

    /// Whether what comes out can be compared with what is stored.
    fn is_checked(&self, plan: &Plan) -> bool;
}

/// Lives all lives. `each` hears how far it has come and what differs for whom, and may stop it.
///
/// # Errors
/// See [`BacktestFailure`].
pub fn run(
    plan: &Plan,
    guests: &dyn Guests,
    threads: NonZeroUsize,
    mut each: impl FnMut(Progress, Option<&Line>) -> ControlFlow<()>,
) -> Result<Report, BacktestFailure> {
    let mut report = Report::new(plan, guests.is_checked(plan));
    let mut progress = Progress { of: guests.count()?, ..Progress::default() };
    let mut after = None;
    loop {
        let page = guests.page(after, PAGE)?;
        let Some(last) = page.last() else { return Ok(report) };
        after = Some(*last);
        for lives in page.chunks(PAGE / 8) {
            for lived in live_all(plan, guests, lives, threads) {
                let mut line = None;
                match lived? {
                    Lived::Whole(outcome) => line = report.add(&outcome),
                    Lived::WithAnother => {}
                    Lived::LeftOut => report.members_left_out += 1,
                }
                progress = Progress { guests: progress.guests + 1, events: report.events, ..progress };
                if each(progress, line.as_ref()).is_break() {
                    return Err(BacktestFailure::Stopped { events: report.events });
                }
            }
        }
    }
}

/// Lives some lives, on as many threads; what came of them is in the order of the guests.
fn live_all(
    plan: &Plan,
    guests: &dyn Guests,
    who: &[MemberId],
    threads: NonZeroUsize,
) -> Vec<Result<Lived, BacktestFailure>> {
    if threads.get() == 1 {
        return who.iter().map(|guest| guests.live(plan, *guest)).collect();
    }
    let next = AtomicUsize::new(0);
    let lived: Vec<_> = who.iter().map(|_| Mutex::new(None)).collect();
    let claim = || {
        let nth = next.fetch_add(1, Ordering::Relaxed);
        who.get(nth).zip(lived.get(nth))
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.get() {
            scope.spawn(|| {
                while let Some((guest, place)) = claim() {
                    let outcome = guests.live(plan, *guest);
                    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
                }
            });
        }
    });
    lived.into_iter().filter_map(|place| place.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
}
