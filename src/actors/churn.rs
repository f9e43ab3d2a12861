//! Learns who stays away: fits each chain's churn model on its own log, now and then, in the background.
//!
//! One fit at a time on this machine. The log is read page by page, and what is in memory are counts of at most
//! [`Sample::SIZE`] members; reading and reckoning happen on threads that may block. Events are decided meanwhile by the
//! model before, which a new one replaces in the chain's snapshot once it is stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::Timestamp;
use crate::domain::audit::{Action, By, Change, Entry};
use crate::domain::chain::ChainId;
use crate::domain::churn::{ChurnModel, Learned, Lesson, Observations, Sample, TooLittle};
use crate::domain::ids::MemberId;
use crate::domain::refusal::Refused;
use crate::store::{self, DbConn, StoreError};

use super::engine::{Engine, EngineError};
use super::snapshot::ChainSnapshot;

/// Pause between two looks whether a fit is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pause after a fit that could not be done.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Members in one look at the store.
const PAGE: i64 = 1_000;

impl Engine {
    /// Fits what is due for as long as the engine runs.
    pub async fn keep_learning(self) {
        let mut not_before = Instant::now();
        while !self.is_draining() {
            if not_before <= Instant::now() {
                for snapshot in self.chains() {
                    let chain = &snapshot.chain.id;
                    if let Err(error) = self.refit_if_due(chain).await
                        && !self.is_draining()
                    {
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(%chain, error, "the churn model could not be fitted; trying again");
                        not_before = Instant::now() + AGAIN_AFTER;
                    }
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Fits a chain's model if that is due.
    pub(super) async fn refit_if_due(&self, chain: &ChainId) -> Result<(), EngineError> {
        let is_due = |engine: &Self| {
            let next = engine.snapshot(chain).map(|snapshot| snapshot.next_fit());
            next.map(|next| next.is_some_and(|at| at <= engine.0.clock.now()))
        };
        if !is_due(self)? {
            return Ok(());
        }
        let _one_at_a_time = self.0.learning.lock().await;
        // Whoever was faster has done it.
        if is_due(self)? { self.learn(chain, None).await.map(drop) } else { Ok(()) }
    }

    /// Fits a chain's model now.
    ///
    /// # Errors
    /// `Refused` when there is too little to learn from; the model before stays. `NotFound`, `NoRules`.
    pub async fn refit(&self, chain: &ChainId, by: By) -> Result<Arc<ChainSnapshot>, EngineError> {
        let _one_at_a_time = self.0.learning.lock().await;
        let (snapshot, lesson) = self.learn(chain, Some(by)).await?;
        match lesson {
            Lesson::Model(_) => Ok(snapshot),
            Lesson::Refused(too_little) => {
                Err(Refused::new(too_little.why.code(), too_little.in_words()).into())
            }
        }
    }

    /// Looks at the log, stores what comes of it, and takes it over; by whom, if not by itself.
    async fn learn(
        &self,
        chain: &ChainId,
        by: Option<By>,
    ) -> Result<(Arc<ChainSnapshot>, Lesson), EngineError> {
        let started = Instant::now();
        let lesson = self.look_at_log(chain).await?;
        match &lesson {
            Lesson::Model(model) => {
                let (members, took) = (model.members, started.elapsed().as_millis());
                tracing::info!(%chain, members, took_ms = took, "churn model fitted");
            }
            Lesson::Refused(too_little) => {
                tracing::info!(%chain, why = too_little.in_words(), "no churn model yet");
            }
        }
        let (of, taken) = (chain.clone(), lesson.clone());
        let change = async move |engine: Self| {
            if let Lesson::Model(model) = &taken {
                let (chain, model) = (of.clone(), model.clone());
                let line = by.map(|by| engine.refitted(&of, &model, by));
                let insert = move |conn: &mut _, _: &_| {
                    store::churn::insert(conn, &chain, &model)?;
                    line.map_or(Ok(()), |line| store::audit::insert(conn, &line))
                };
                engine.0.journal.run(insert).await?;
            }
            engine.reconfigure(&of, |snapshot| snapshot.learned.take(taken))
        };
        Ok((self.carry_out(change).await?, lesson))
    }

    fn refitted(&self, chain: &ChainId, model: &ChurnModel, by: By) -> Entry {
        self.line(by, chain, Action::ChurnRefitted, chain, Change::to("members", model.members))
    }

    async fn look_at_log(&self, chain: &ChainId) -> Result<Lesson, EngineError> {
        let snapshot = self.snapshot(chain)?;
        let (now, zone) = (self.0.clock.now(), snapshot.chain.timezone);
        let horizon = snapshot.program()?.terms.churn.horizon.days();
        // Today is not over: who has not come yet may still come.
        let today = now.with_timezone(&zone).date_naive();
        let last = today.pred_opt().unwrap_or(today);
        let observed = self.observe(chain, Observations::new(last, horizon)).await?;
        let fit = tokio::task::spawn_blocking(move || ChurnModel::fit(&observed, now));
        let fit = fit.await.map_err(|stopped| EngineError::Unavailable(stopped.into()))?;
        Ok(match fit {
            Ok(model) => Lesson::Model(Arc::new(model)),
            Err(why) => Lesson::Refused(TooLittle { at: now, last, why }),
        })
    }

    /// Reads the members page by page.
    async fn observe(
        &self,
        chain: &ChainId,
        mut observed: Observations,
    ) -> Result<Observations, EngineError> {
        let of = chain.clone();
        let members = self.0.store.read(move |conn| store::member::count(conn, &of)).await?;
        let sample = Sample::of(members);
        let mut after = None;
        loop {
            if self.is_draining() {
                return Err(EngineError::Draining);
            }
            let of = chain.clone();
            let read = self.0.store.read(move |conn| observe_page(conn, &of, sample, observed, after));
            (observed, after) = read.await?;
            if after.is_none() {
                return Ok(observed);
            }
        }
    }
}

/// Adds the members of one page that are in the sample, and says where to go on. A damaged one is passed over.
fn observe_page(
    conn: &mut DbConn,
    chain: &ChainId,
    sample: Sample,
    mut observed: Observations,
    after: Option<MemberId>,
) -> Result<(Observations, Option<MemberId>), StoreError> {
    let ids = store::member::ids(conn, chain, after, PAGE)?;
    let last = ids.last().copied().filter(|_| ids.len() as i64 == PAGE);
    let taken: Vec<_> = ids.into_iter().filter(|id| sample.takes(*id)).collect();
    for history in store::member::histories(conn, chain, &taken)? {
        match history {
            Ok(history) => observed.add(|until| history.visited_until(until)),
            Err(damage) => {
                let error = &damage as &dyn std::error::Error;
                tracing::warn!(%chain, error, "a member is left out of the churn model");
            }
        }
    }
    Ok((observed, last))
}

impl ChainSnapshot {
    /// When the churn model is to be fitted next, unless only a person says so.
    pub fn next_fit(&self) -> Option<Timestamp> {
        let program = self.program.as_ref()?;
        self.learned.next_fit(&program.terms.churn, self.chain.timezone)
    }
}

/// What a chain learned before this process began. A model that cannot be read any more is fitted anew.
pub(super) fn recall(conn: &mut DbConn, chain: &ChainId) -> Result<Learned, StoreError> {
    let mut learned = Learned::default();
    match store::churn::latest(conn, chain) {
        Ok(Some(model)) => learned.take(Lesson::Model(Arc::new(model))),
        Ok(None) => {}
        Err(damage @ StoreError::Corrupt { .. }) => {
            let error = &damage as &dyn std::error::Error;
            tracing::warn!(%chain, error, "the churn model cannot be read; it will be fitted anew");
        }
        Err(error) => return Err(error),
    }
    Ok(learned)
}
