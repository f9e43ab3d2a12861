//! What a rule had read when it wrote a line of a ledger. Nothing is kept of it: the guest's life is lived again, up to the
//! line, and the decision that writes it tells why.
//!
//! Somebody waits for it, so it is bounded; and it must come to the very line, with the very points behind it, or nothing is
//! said.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::Serialize;

use super::stored::Patience;
use super::{BacktestFailure, Readers, Stored};
use crate::domain::chain::ChainId;
use crate::domain::ids::MemberId;
use crate::domain::statement::Held;
use crate::read::ledger::as_stated;
use crate::read::{ReadError, Reader};
use crate::rules::backtest::Sought;
use crate::rules::verdict::Value;
use crate::store::ledger::{StoredTransfer, walk_back};
use crate::store::{Store, StoreError};

/// How many lives are lived for this at once: each keeps a processor busy.
pub const AT_ONCE: usize = 1;
/// The most events, and the most lines of the ledger, before the line.
const MOST: usize = 20_000;
/// The longest that a life may take.
const MOST_TIME: Duration = Duration::from_secs(3);
/// The longest that another one is waited for.
const MOST_WAIT: Duration = Duration::from_secs(3);

/// Why it is not known what a rule had read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unread {
    /// Too much happened before.
    TooLong,
    /// Lived again, the life does not come to this line, or not to these points.
    Differs,
    /// Its event failed, and was replayed: at which time the rule ran is not known.
    Replayed,
    /// A version that decided some of it does not load any more.
    VersionGone,
    /// Something that happened before is so long ago that only that it was is kept.
    NoLongerKept,
    /// Others are asked about, and it was waited long enough.
    Busy,
}

impl Reader {
    /// What the rule that wrote a line had read.
    ///
    /// # Errors
    /// The store failed.
    pub(in crate::read) async fn what_was_read(
        &self,
        chain: ChainId,
        member: MemberId,
        line: StoredTransfer,
    ) -> Result<Result<Vec<Value>, Unread>, ReadError> {
        let turn = tokio::time::timeout(MOST_WAIT, self.lives.clone().acquire_owned()).await;
        let Ok(Ok(alone)) = turn else { return Ok(Err(Unread::Busy)) };
        let store = self.store.clone();
        let task = tokio::task::spawn_blocking(move || {
            let _alone = alone; // until it is done, whether or not anybody waits for it
            read_again(store, &chain, member, line)
        });
        match task.await.unwrap_or(Err(BacktestFailure::Store(StoreError::Stopped))) {
            Ok(Some(reads)) => Ok(Ok(reads)),
            Ok(None) | Err(BacktestFailure::Unreadable { .. }) => Ok(Err(Unread::Differs)),
            Err(BacktestFailure::Stopped { .. }) => Ok(Err(Unread::TooLong)),
            Err(BacktestFailure::Replay(_)) => Ok(Err(Unread::VersionGone)),
            Err(BacktestFailure::NoLongerKept(_)) => Ok(Err(Unread::NoLongerKept)),
            Err(BacktestFailure::Store(error)) => Err(error.into()),
            Err(_) => Err(ReadError::Corrupt("life")),
        }
    }
}

fn read_again(
    store: Store,
    chain: &ChainId,
    member: MemberId,
    line: StoredTransfer,
) -> Result<Option<Vec<Value>>, BacktestFailure> {
    let mut patience = Patience { events: MOST, ends: Some(Instant::now() + MOST_TIME) };
    let (mut held, mut lines) = (Held::default(), 0);
    let mut take = |line: &StoredTransfer| {
        held.add(as_stated(line));
        lines += 1;
        if lines > MOST { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    store.read_now_for_outsiders(|conn| walk_back(conn, chain, Some(line.id), |line| take(&line)))?;
    if lines > MOST {
        return Err(BacktestFailure::Stopped { events: 0 });
    }
    let StoredTransfer { wallet, debit, credit, amount, cause, source, at, .. } = line;
    let sought = Sought { member, source, at, wallet, debit, credit, amount, cause, held };
    let (plan, stored) = Stored::again(store, Readers::Outsiders, chain, at)?;
    stored.search(&plan, sought, &mut patience)
}
