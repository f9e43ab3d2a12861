//! What another program would have made of what happened.
//!
//! ```text
//! a guest's events, in order ──► Life ── baseline: each event by the version that decided it ──┐
//!                                  │                                                           ├──► Outcome ──► Report
//!                                  └──── candidate: the same, from `since` on by another one ──┘
//! ```
//!
//! Members are independent of each other, so each is lived from their first event to the last and then forgotten: memory
//! does not grow with the log. Who was merged into somebody is lived together with them. Up to `since` there is one life;
//! there it forks, so that the candidate begins with the state as it was then.
//!
//! What members share is taken as it was: whoever got one of a stock or a code of a book gets one, and the sender of a
//! referral is rewarded when they were rewarded then.

mod life;
mod report;
mod sought;
mod text;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::Timestamp;
use crate::domain::chain::Chain;
use crate::domain::churn::Foresight;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{MemberId, SourceId};
use crate::domain::roll_out::RollOut;
use crate::domain::source_event::SourceEvent;

use super::program::Program;

pub use super::records::Elsewhere;
pub use life::Life;
pub use report::{Change, Left, Line, Outcome, Report, SelfCheck, Side};
pub use sought::Sought;
pub use text::Table;

/// Why a backtest cannot be done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BacktestError {
    /// A version that decided something is not there, or does not load any more.
    #[error("version {version} of the program decided events of this time and cannot be loaded: {why}")]
    NoVersion {
        /// Which.
        version: i64,
        /// Why not.
        why: String,
    },
}

type Load = dyn Fn(i64) -> Result<Program, String> + Send + Sync;

/// The versions that decided in reality.
pub struct Versions {
    /// Since when each is in force, oldest first.
    published: Vec<(Timestamp, i64)>,
    /// Which decided for some beside them.
    roll_outs: Vec<RollOut>,
    load: Box<Load>,
    loaded: Mutex<BTreeMap<i64, Arc<Program>>>,
}

impl Versions {
    /// Versions that are loaded when they are met.
    pub fn new(
        mut published: Vec<(Timestamp, i64)>,
        load: impl Fn(i64) -> Result<Program, String> + Send + Sync + 'static,
    ) -> Self {
        published.sort_unstable_by_key(|(_, version)| *version);
        Self { published, roll_outs: Vec::new(), load: Box::new(load), loaded: Mutex::default() }
    }

    /// The same, with candidates beside them.
    #[must_use]
    pub fn beside(self, roll_outs: Vec<RollOut>) -> Self {
        Self { roll_outs, ..self }
    }

    /// One version that has always been in force.
    pub fn only(program: Program) -> Self {
        let of_always = vec![(Timestamp::MIN_UTC, program.version)];
        Self::new(of_always, move |_| Ok(program.clone()))
    }

    fn get(&self, version: i64) -> Result<Arc<Program>, BacktestError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = loaded.get(&version) {
            return Ok(program.clone());
        }
        let program = (self.load)(version).map_err(|why| BacktestError::NoVersion { version, why })?;
        Ok(loaded.entry(version).or_insert(Arc::new(program)).clone())
    }

    /// The version that decided at an instant what fell due for a member; `None` before the first.
    fn at(&self, at: Timestamp, member: MemberId) -> Option<i64> {
        let candidate = self.roll_outs.iter().find(|roll_out| roll_out.decided(at, member, None));
        candidate.map(|roll_out| roll_out.version).or_else(|| self.for_all(at))
    }

    fn for_all(&self, at: Timestamp) -> Option<i64> {
        self.published.iter().rev().find(|(since, _)| *since <= at).map(|(_, version)| *version)
    }

    /// Whether members were woken at an instant: all of them, if only those of a candidate need it.
    fn wake(&self, at: Timestamp) -> Result<bool, BacktestError> {
        let tried = self.roll_outs.iter().filter(|roll_out| roll_out.stage_at(at).is_some());
        for version in self.for_all(at).into_iter().chain(tried.map(|roll_out| roll_out.version)) {
            if self.get(version)?.wakes() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// When another one may have decided, the next time after an instant.
    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let published = self.published.iter().map(|(since, _)| *since);
        let stages = self.roll_outs.iter().flat_map(|roll_out| {
            let ended = roll_out.ended.as_ref().map(|ended| ended.at);
            roll_out.stages().map(|stage| stage.at).chain(ended)
        });
        published.chain(stages).filter(|since| *since > after).min()
    }
}

/// What is compared with what.
pub struct Plan {
    /// The chain.
    pub chain: Chain,
    /// What decided in reality.
    pub versions: Versions,
    /// What would decide instead.
    pub candidate: Arc<Program>,
    /// From when on; `None` = from the beginning.
    pub since: Option<Timestamp>,
    /// Up to when.
    pub until: Timestamp,
    /// To whom loyalty events would go.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// What is known of members' coming back.
    pub foresight: Foresight,
}

impl Plan {
    /// Nothing is compared: what decided is lived again, up to some time.
    pub fn again(chain: Chain, versions: Versions, foresight: Foresight, until: Timestamp) -> Self {
        // Its time never comes.
        let (candidate, since) = (Program::empty(&chain).into(), Some(Timestamp::MAX_UTC));
        Self { chain, versions, candidate, since, until, endpoints: Vec::new(), foresight }
    }

    /// Whether what happens then counts.
    fn counts(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since)
    }
}

/// A source event that was decided.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its id.
    pub id: SourceId,
    /// The event.
    pub event: Arc<SourceEvent>,
    /// When it came.
    pub received_at: Timestamp,
    /// The version that decided it; `None` = whichever was in force.
    pub version: Option<i64>,
}

#[cfg(test)]
mod tests;
