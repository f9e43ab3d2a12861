//! Rules that keep failing: stored as suspended, told to the world, put into the snapshot; and the way back.
//!
//! What is stored counts. A node that suspends a rule, lets it run again, or hears that another one did, takes over what
//! stands there for the version in force.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::fresh_ulid;
use crate::domain::audit::{Action, By, Change, Face};
use crate::domain::chain::ChainId;
use crate::domain::commit::Commit;
use crate::domain::loyalty_event::EventData;
use crate::domain::refusal::Refused;
use crate::domain::suspension::{Ending, RuleResumed, Suspension};
use crate::domain::text::Name;
use crate::rules::decide::tell;
use crate::rules::program::Program;
use crate::store::{self, DbConn, StoreError};

use super::engine::{Engine, EngineError};
use super::journal::JournalError;
use super::snapshot::ChainSnapshot;

/// Suspensions that a new version ends, with what is told of that.
pub(super) struct Ended {
    suspensions: Vec<Suspension>,
    pub(super) told: Commit,
}

impl Ended {
    /// Ends them in the store.
    pub(super) fn write(&self, conn: &mut DbConn, chain: &ChainId) -> Result<(), StoreError> {
        for suspension in &self.suspensions {
            store::suspension::remove(conn, chain, suspension)?;
        }
        store::commit::write_told(conn, &self.told)
    }
}

impl Engine {
    /// Suspends rules that keep failing. What could not be stored is asked for again when the rule fails next.
    pub(super) async fn suspend(&self, chain: &ChainId, due: Vec<Suspension>) {
        for suspension in due {
            let (of, rule) = (chain.clone(), suspension.rule.clone());
            let suspend = async move |engine: Self| engine.suspend_one(&of, suspension).await;
            if let Err(error) = self.carry_out(suspend).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(%chain, %rule, error, "a rule keeps failing and could not be suspended");
            }
        }
    }

    async fn suspend_one(&self, chain: &ChainId, suspension: Suspension) -> Result<(), EngineError> {
        let snapshot = self.snapshot(chain)?;
        let Some(program) = snapshot.programs().find(|program| program.version == suspension.version) else {
            return Ok(()); // it was decided by a version that is gone
        };
        if program.suspended().iter().any(|known| known.rule == suspension.rule) {
            return Ok(()); // others failed meanwhile
        }
        let told = self.told(&snapshot, program, [EventData::RuleSuspended(Box::new((&suspension).into()))]);
        let change = Change::made(Face::from(&suspension));
        let line = self.line(By::ENGINE, chain, Action::RuleSuspended, &suspension.rule, change);
        let (of, row, written) = (chain.clone(), suspension.clone(), told.clone());
        let insert = move |conn: &mut DbConn, _: &_| {
            if !store::program::standing(conn, &of)?.decides(row.version) {
                return Ok(false); // another node has put an end to that version
            }
            store::suspension::insert(conn, &of, &row)?;
            store::audit::insert(conn, &line)?;
            store::commit::write_told(conn, &written).map(|()| true)
        };
        match self.0.journal.run(insert).await {
            Err(JournalError::Store(error)) if matches!(*error, StoreError::Taken { .. }) => {} // by another node
            Ok(false) => return Ok(()),
            done => {
                done?;
                let Suspension { rule, at, version, members, failed_at, error, .. } = &suspension;
                tracing::warn!(%chain, %rule, %at, version, members, %failed_at, %error, "a rule keeps failing and is suspended");
                self.nudge_for(&told);
            }
        }
        self.renew_suspensions(chain).await
    }

    /// Lets a suspended rule run again: that of the version in force, or else of the candidate.
    ///
    /// # Errors
    /// `NotFound` when the program has no such rule, `Refused` when it is not suspended.
    pub async fn resume_rule(&self, chain: &ChainId, rule: Name, by: By) -> Result<Suspension, EngineError> {
        let chain = chain.clone();
        self.carry_out(async move |engine| {
            let snapshot = engine.snapshot(&chain)?;
            let program = snapshot.program()?;
            if snapshot
                .programs()
                .flat_map(|program| program.rule_names())
                .all(|known| known != rule.as_str())
            {
                return Err(EngineError::NotFound("rule"));
            }
            let stored = engine.suspensions(&chain).await?;
            let of = |program: &Arc<Program>| {
                let is_it = |known: &&Suspension| known.version == program.version && known.rule == *rule;
                stored.iter().find(is_it).cloned()
            };
            let stored = snapshot.programs().find_map(of);
            let not_suspended =
                || Refused::new("not_suspended", format!("the rule \"{rule}\" is not suspended"));
            let suspension = stored.ok_or_else(not_suspended)?;
            let name = by.name();
            let resumed = RuleResumed::of(&suspension, &Ending::Asked(name.clone()));
            let told = engine.told(&snapshot, program, [EventData::RuleResumed(resumed.into())]);
            let (of, row, written) = (chain.clone(), suspension.clone(), told.clone());
            let change = Change::gone(Face::from(&suspension));
            let line = engine.line(by, &chain, Action::RuleResumed, &rule, change);
            let remove = move |conn: &mut DbConn, _: &_| match store::suspension::remove(conn, &of, &row)? {
                true => {
                    store::audit::insert(conn, &line)?;
                    store::commit::write_told(conn, &written).map(|()| true)
                }
                false => Ok(false),
            };
            if !engine.0.journal.run(remove).await? {
                return Err(not_suspended().into()); // another node was faster
            }
            tracing::info!(%chain, %rule, by = %name, "a suspended rule runs again");
            engine.nudge_for(&told);
            engine.renew_suspensions(&chain).await?;
            Ok(suspension)
        })
        .await
    }

    /// What `next` ends when it is published: a candidate that is tried goes on.
    pub(super) async fn ended_by(&self, chain: &ChainId, next: &Program) -> Result<Ended, EngineError> {
        let snapshot = self.snapshot(chain)?;
        let tried = self.standing(chain).await?.candidate.map(|roll_out| roll_out.version);
        let mut suspensions = self.suspensions(chain).await?;
        suspensions.retain(|suspension| Some(suspension.version) != tried);
        let ending = Ending::Published(next.version);
        let resumed = |ended: &Suspension| EventData::RuleResumed(RuleResumed::of(ended, &ending).into());
        let told = self.told(&snapshot, next, suspensions.iter().map(resumed));
        Ok(Ended { suspensions, told })
    }

    fn told(
        &self,
        snapshot: &ChainSnapshot,
        program: &Program,
        told: impl IntoIterator<Item = EventData>,
    ) -> Commit {
        let now = self.0.clock.now();
        tell(program, &snapshot.chain.id, &snapshot.endpoints, told, fresh_ulid(now), now)
    }

    /// Wakes whoever is to send what was told.
    pub(super) fn nudge_for(&self, told: &Commit) {
        told.deliveries.iter().for_each(|delivery| self.0.nudges.nudge(delivery.endpoint));
    }

    /// The suspended rules of a chain, of whatever version.
    pub(super) async fn suspensions(&self, chain: &ChainId) -> Result<Vec<Suspension>, EngineError> {
        let of = chain.clone();
        Ok(self.0.store.read(move |conn| store::suspension::list(conn, &of)).await?)
    }

    /// Takes over which rules are suspended. Callers hold `configuring`, so that nothing older comes after it.
    async fn renew_suspensions(&self, chain: &ChainId) -> Result<(), EngineError> {
        let stored = self.suspensions(chain).await?;
        self.reconfigure(chain, |snapshot| snapshot.suspend(&stored))?;
        Ok(())
    }

    /// Takes over what other nodes suspended, or let run again.
    pub(super) async fn look_at_suspensions(&self) -> Result<(), EngineError> {
        let mut stored = BTreeMap::<String, Vec<Suspension>>::new();
        for (chain, suspension) in self.0.store.read(store::suspension::all).await? {
            stored.entry(chain).or_default().push(suspension);
        }
        for snapshot in self.chains() {
            let id = &snapshot.chain.id;
            let stored = stored.get(id.as_str()).map_or(&[][..], |all| all);
            let is_known = |program: &Arc<Program>| {
                stored
                    .iter()
                    .filter(|suspension| suspension.version == program.version)
                    .eq(program.suspended())
            };
            if !snapshot.programs().all(is_known) {
                let _one_at_a_time = self.0.configuring.lock().await;
                self.renew_suspensions(id).await?;
            }
        }
        Ok(())
    }
}
