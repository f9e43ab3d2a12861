//! A backtest that somebody waits for: one at a time, beside everything else, and only so long.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::{BacktestFailure, Candidate, Range, Readers, Report, Stored, Table, run};
use crate::domain::chain::ChainId;
use crate::read::Reader;
use crate::store::StoreError;

/// How many run at once: each keeps a processor busy.
pub const AT_ONCE: usize = 1;
/// The most events.
pub const MOST_EVENTS: u64 = 200_000;
/// The longest that it may take.
pub const MOST_TIME: Duration = Duration::from_secs(30);

/// What came of it.
#[derive(Debug)]
pub struct Backtested {
    /// The report.
    pub report: Report,
    /// What differs for whom, if that was asked for.
    pub table: String,
}

impl Reader {
    /// Compares a candidate with what decided, on what is stored.
    ///
    /// # Errors
    /// See [`BacktestFailure`].
    pub async fn backtest(
        &self,
        chain: ChainId,
        candidate: Candidate,
        range: Range,
        table: Option<Table>,
    ) -> Result<Backtested, BacktestFailure> {
        let alone = self.backtests.clone().try_acquire_owned().map_err(|_| BacktestFailure::Busy)?;
        let store = self.store.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _alone = alone; // until it is done, whether or not anybody waits for it
            let (plan, stored) = Stored::open(store, Readers::Outsiders, &chain, candidate, range)?;
            let (started, mut members) =
                (Instant::now(), table.map_or_else(String::new, |table| table.head().to_owned()));
            let report = run(&plan, &stored, NonZeroUsize::MIN, |progress, line| {
                if let Some((line, table)) = line.zip(table) {
                    members.push_str(&table.member(line));
                }
                if progress.events > MOST_EVENTS || started.elapsed() > MOST_TIME {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
            Ok(Backtested { report, table: members })
        });
        task.await.unwrap_or(Err(BacktestFailure::Store(StoreError::Stopped)))
    }
}
