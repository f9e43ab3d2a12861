//! Changes of configuration: written to the store first, then put into the chain's snapshot; both or, when the store
//! fails, neither.

use std::sync::Arc;

use actix::Actor;
use tokio::sync::oneshot;

use crate::domain::Timestamp;
use crate::domain::audit::{Action, By, Change, Face};
use crate::domain::chain::{Chain, ChainId};
use crate::domain::churn::Learned;
use crate::domain::endpoint::{Dialect, Endpoint, Keys};
use crate::domain::ids::{DeliveryId, EndpointId};
use crate::domain::loyalty_event::EventData;
use crate::domain::precondition::Precondition;
use crate::domain::text::Name;
use crate::rules::transform::Transform;
use crate::store::vault::Vault;
use crate::store::{self, DbConn, Store, StoreError};
use crate::telemetry::ChainLabels;

use super::churn::recall;
use super::endpoint::{Tell, Teller};
use super::engine::{Engine, EngineError};
use super::journal::JournalError;
use super::once::{Once, Record};
use super::snapshot::ChainSnapshot;
use super::states::Disabler;

/// What a change of an endpoint is, and brings with it.
pub(super) struct Beside {
    /// Who changes it.
    pub(super) by: By,
    /// What they do to it.
    pub(super) action: Action,
    /// What is told of it.
    pub(super) told: Vec<EventData>,
    /// Whether what was known of the receiver does not hold any more.
    pub(super) anew: bool,
    /// The request that asks for it.
    pub(super) once: Once<Endpoint>,
}

impl Beside {
    /// Nothing but the line of the audit log.
    pub(super) fn of(by: By, action: Action) -> Self {
        Self { by, action, told: Vec::new(), anew: false, once: Once::default() }
    }
}

impl Engine {
    /// Starts every chain of the store, without programs: [`Engine::follow_rules`] brings them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn load_chains(&self) -> Result<(), EngineError> {
        let (tell, disable) = (Arc::new(self.clone()), Disabler(self.clone()).start().recipient());
        self.0.endpoints.report_to(Teller { tell, disable });
        for (chain, endpoints, learned) in stored_chains(&self.0.store)? {
            let endpoints: Vec<_> = endpoints.into_iter().map(Arc::new).collect();
            endpoints.iter().for_each(|endpoint| self.0.endpoints.apply(endpoint, false));
            let without_rules = ChainSnapshot::without_rules(chain, endpoints, Arc::default());
            self.run_chain(ChainSnapshot { learned, ..without_rules });
        }
        Ok(())
    }

    /// Creates a chain. It has no rules on purpose, unless there is a folder for it already.
    ///
    /// # Errors
    /// `Conflict` when the id is taken.
    pub async fn create_chain(
        &self,
        chain: Chain,
        once: Once<Chain>,
        by: By,
    ) -> Result<Arc<ChainSnapshot>, EngineError> {
        let problems = self.unborn().get(&chain.id).cloned();
        let new = match problems {
            Some(problems) => ChainSnapshot::without_rules(chain, Vec::new(), problems),
            None => ChainSnapshot::without_folder(chain),
        };
        self.add_chain(new, once, by).await
    }

    /// Stores and runs a new chain.
    pub(super) async fn add_chain(
        &self,
        new: ChainSnapshot,
        once: Once<Chain>,
        by: By,
    ) -> Result<Arc<ChainSnapshot>, EngineError> {
        self.carry_out(async move |engine| {
            let row = new.chain.clone();
            let record = once.record(&row, engine.0.clock.now());
            if engine.chain(row.id.as_str()).is_some() {
                return Err(EngineError::Conflict(format!("a chain called `{}` exists already", row.id)));
            }
            let change = Change::made(Face::from(&*row));
            let line = engine.line(by, &row.id, Action::ChainCreated, &row.id, change);
            let insert = move |conn: &mut _, _: &_| {
                store::chain::insert(conn, &row)?;
                store::audit::insert(conn, &line)
            };
            engine.write_once(record, insert).await?;
            let running = engine.run_chain(new);
            engine.unborn().remove(&running.chain.id);
            Ok(running)
        })
        .await
    }

    /// Changes a chain's name. The calendar and the currency stay: balances and windows depend on them.
    ///
    /// # Errors
    /// `NotFound`; `Outdated`.
    pub async fn rename_chain(
        &self,
        chain: &ChainId,
        name: Name,
        expected: Precondition,
        by: By,
    ) -> Result<Arc<ChainSnapshot>, EngineError> {
        let chain = chain.clone();
        self.carry_out(async move |engine| {
            let snapshot = engine.snapshot(&chain)?;
            let known = snapshot.chain.clone();
            expected.check(known.tag())?;
            if name == known.name {
                return Ok(snapshot);
            }
            let mut changed = Chain::clone(&known);
            changed.name = name;
            changed.revision += 1;
            let change = Change::between(Face::from(&*known), Face::from(&changed));
            let line = engine.line(by, &chain, Action::ChainUpdated, &chain, change);
            let row = changed.clone();
            let update = move |conn: &mut _, _: &_| {
                store::chain::update(conn, &row)?;
                store::audit::insert(conn, &line)
            };
            engine.0.journal.run(update).await?;
            engine.reconfigure(&chain, |snapshot| snapshot.chain = Arc::new(changed))
        })
        .await
    }

    /// Stores a new endpoint and starts delivering to it.
    ///
    /// # Errors
    /// `NotFound` for an unknown chain; `BadFilter`; `BadTransform`.
    pub async fn create_endpoint(
        &self,
        endpoint: Endpoint,
        once: Once<Endpoint>,
        by: By,
    ) -> Result<Arc<Endpoint>, EngineError> {
        self.carry_out(async move |engine| {
            engine.check_filter(&endpoint)?;
            check_transform(&endpoint)?;
            let (row, record) = (endpoint.clone(), once.record(&endpoint, engine.0.clock.now()));
            let change = Change::made(Face::from(&endpoint));
            let line = engine.line(by, &endpoint.chain, Action::EndpointCreated, endpoint.id, change);
            let insert = move |conn: &mut _, vault: &_| {
                store::endpoint::insert(conn, vault, &row)?;
                store::audit::insert(conn, &line)
            };
            engine.write_once(record, insert).await?;
            engine.put_endpoint(endpoint, false)
        })
        .await
    }

    /// Replaces an endpoint by what `change` makes of it, if it can: that is asked of the endpoint as it is then, when nobody
    /// else changes it. When its lanes are others from now on, what it is owed already goes by them, too, when this answers.
    ///
    /// # Errors
    /// `NotFound`; `BadFilter`; `BadTransform`; what `change` says.
    pub async fn update_endpoint<E: From<EngineError> + Send + 'static>(
        &self,
        chain: &ChainId,
        id: EndpointId,
        change: impl FnOnce(&Endpoint) -> Result<Endpoint, E> + Send + 'static,
        by: By,
    ) -> Result<Arc<Endpoint>, E> {
        let of = chain.clone();
        let change = self.carry_out(async move |engine| {
            let known = engine.endpoint(&of, id)?;
            let wanted = match change(&known) {
                Ok(wanted) => wanted,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if wanted == *known {
                return Ok(Ok((false, known))); // so nobody's `If-Match` fails for nothing
            }
            let change = |endpoint: &mut Endpoint| *endpoint = wanted;
            let changed =
                engine.replace_endpoint(&known, change, Beside::of(by, Action::EndpointUpdated)).await?;
            Ok(Ok((changed.settings.lane != known.settings.lane, changed)))
        });
        let (lane_changed, changed) = change.await??;
        if lane_changed && let Err(error) = self.relane(chain, id).await {
            // It is changed all the same.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(endpoint = %id, error, "what is owed is left to the scheduler to be put into lanes");
        }
        Ok(changed)
    }

    /// Changes the keys of an endpoint, if `change` can.
    ///
    /// # Errors
    /// `NotFound`; `Outdated`; what `change` says.
    pub async fn change_keys<E: From<EngineError> + Send + 'static>(
        &self,
        chain: &ChainId,
        id: EndpointId,
        expected: Precondition,
        change: impl FnOnce(&mut Keys, Dialect, Timestamp) -> Result<(), E> + Send + 'static,
        once: Once<Endpoint>,
        by: By,
    ) -> Result<Arc<Endpoint>, E> {
        let chain = chain.clone();
        let change = self.carry_out(async move |engine| {
            let known = engine.endpoint_as(&chain, id, &expected)?;
            let mut keys = known.keys.clone();
            if let Err(refusal) = change(&mut keys, known.dialect, engine.0.clock.now()) {
                return Ok(Err(refusal));
            }
            let action = match keys.newest().id == known.keys.newest().id {
                true => Action::EndpointSecretEnded,
                false => Action::EndpointSecretRotated,
            };
            let beside = Beside { once, ..Beside::of(by, action) };
            Ok(Ok(engine.replace_endpoint(&known, |endpoint| endpoint.keys = keys, beside).await?))
        });
        change.await?
    }

    /// Deletes an endpoint; its pending deliveries are discarded. Those that are left, and those of commits that were
    /// decided before and are written after, are discarded by [`Engine::discard_orphans`].
    ///
    /// # Errors
    /// `NotFound`; `Outdated`.
    pub async fn delete_endpoint(
        &self,
        chain: &ChainId,
        id: EndpointId,
        expected: Precondition,
        by: By,
    ) -> Result<(), EngineError> {
        let of = chain.clone();
        self.carry_out(async move |engine| {
            let endpoint = engine.endpoint_as(&of, id, &expected)?;
            engine.retire_endpoint(&endpoint, by).await
        })
        .await?;
        if let Err(error) = self.discard_owed(chain, id).await {
            // It is deleted all the same.
            let error = &error as &dyn std::error::Error;
            tracing::warn!(endpoint = %id, error, "deliveries of a deleted endpoint are left to the scheduler");
        }
        Ok(())
    }

    /// Deletes an endpoint and stops its courier.
    async fn retire_endpoint(&self, endpoint: &Endpoint, by: By) -> Result<(), EngineError> {
        let (chain, id) = (&endpoint.chain, endpoint.id);
        let (of, now) = (chain.clone(), self.0.clock.now());
        let line = self.line(by, chain, Action::EndpointDeleted, id, Change::gone(Face::from(endpoint)));
        let delete = move |conn: &mut _, _: &_| {
            store::endpoint::delete(conn, &of, id, now)?;
            store::recovery::stop(conn, &of, id, None, now)?;
            store::audit::insert(conn, &line)
        };
        self.0.journal.run(delete).await?;
        self.reconfigure(chain, |snapshot| {
            snapshot.endpoints = snapshot.endpoints.iter().filter(|e| e.id != id).cloned().collect();
        })?;
        self.0.endpoints.stop(endpoint);
        Ok(())
    }

    /// Discards what is owed to endpoints that are deleted.
    pub(super) async fn discard_orphans(&self, chain: &ChainId) -> Result<(), EngineError> {
        let of = chain.clone();
        let deleted = self.0.store.read(move |conn| store::endpoint::deleted_but_owed(conn, &of)).await?;
        for id in deleted {
            self.discard_owed(chain, id).await?;
        }
        Ok(())
    }

    /// Discards what an endpoint is owed, in steps: events are written between them.
    async fn discard_owed(&self, chain: &ChainId, endpoint: EndpointId) -> Result<(), EngineError> {
        loop {
            let (of, now) = (chain.clone(), self.0.clock.now());
            let discard = move |conn: &mut _, _: &_| store::delivery::discard_owed(conn, &of, endpoint, now);
            if self.0.journal.run(discard).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Makes a delivery due now, whatever became of it: the ladder starts anew. In a lane it has its turn again.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn retry_delivery(&self, chain: &ChainId, id: DeliveryId, by: By) -> Result<(), EngineError> {
        let endpoint = self.settle_by_hand(chain, id, (by, Action::DeliveryRetried)).await?;
        self.reorder(chain, endpoint.ok_or(EngineError::NotFound("delivery"))?).await
    }

    /// Has a delivery sent again, or not sent any more. Answers whose it is, when there was one to do that with.
    async fn settle_by_hand(
        &self,
        chain: &ChainId,
        id: DeliveryId,
        (by, action): (By, Action),
    ) -> Result<Option<EndpointId>, EngineError> {
        let (of, now) = (chain.clone(), self.0.clock.now());
        let mut line = self.line(by, chain, action, id, Change::default());
        let settle = move |conn: &mut _, _: &_| {
            let status = |conn: &mut _| {
                let known = store::delivery::get(conn, &of, id)?;
                Ok::<_, StoreError>(known.map(|delivery| delivery.status.as_str()))
            };
            let before = status(conn)?;
            let endpoint = match action {
                Action::DeliveryRetried => store::delivery::retry(conn, &of, id, now)?,
                _ => store::delivery::discard(conn, &of, id, now)?,
            };
            if endpoint.is_some() {
                line.change = Change::of("status", before, status(conn)?);
                store::audit::insert(conn, &line)?;
            }
            Ok(endpoint)
        };
        Ok(self.0.journal.run(settle).await?)
    }

    /// Settles a delivery that is owed or failed without sending it.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it was delivered or discarded before.
    pub async fn discard_delivery(&self, chain: &ChainId, id: DeliveryId, by: By) -> Result<(), EngineError> {
        if let Some(endpoint) = self.settle_by_hand(chain, id, (by, Action::DeliveryDiscarded)).await? {
            return self.reorder(chain, endpoint).await; // something may have waited for it
        }
        let of = chain.clone();
        let known = self.0.store.read(move |conn| store::delivery::get(conn, &of, id)).await?;
        Err(match known {
            Some(settled) => {
                EngineError::Conflict(format!("the delivery is {} already", settled.status.as_str()))
            }
            None => EngineError::NotFound("delivery"),
        })
    }

    pub(super) fn snapshot(&self, chain: &ChainId) -> Result<Arc<ChainSnapshot>, EngineError> {
        self.chain(chain.as_str()).ok_or(EngineError::NotFound("chain"))
    }

    pub(super) fn endpoint(&self, chain: &ChainId, id: EndpointId) -> Result<Arc<Endpoint>, EngineError> {
        let snapshot = self.snapshot(chain)?;
        snapshot.endpoints.iter().find(|e| e.id == id).cloned().ok_or(EngineError::NotFound("endpoint"))
    }

    /// An endpoint, if it is what somebody believes it to be.
    pub(super) fn endpoint_as(
        &self,
        chain: &ChainId,
        id: EndpointId,
        expected: &Precondition,
    ) -> Result<Arc<Endpoint>, EngineError> {
        let endpoint = self.endpoint(chain, id)?;
        expected.check(endpoint.tag())?;
        Ok(endpoint)
    }

    /// Writes what was asked for, and the answer to whoever asked, in one transaction.
    pub(super) async fn write_once<T: Send + 'static>(
        &self,
        record: Record,
        write: impl FnOnce(&mut DbConn, &Vault) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let run = move |conn: &mut DbConn, vault: &Vault| {
            // First, so that whoever was second is told this, and not what the first one has changed.
            record.write(conn, vault)?;
            Ok((write(conn, vault)?, record))
        };
        let (written, record) = self.0.journal.run(run).await?;
        record.stands();
        Ok(written)
    }

    /// Replaces an endpoint, and writes with it what that brings with it. Another url is another receiver. Callers hold
    /// `configuring`.
    pub(super) async fn replace_endpoint(
        &self,
        known: &Endpoint,
        change: impl FnOnce(&mut Endpoint),
        beside: Beside,
    ) -> Result<Arc<Endpoint>, EngineError> {
        let mut endpoint = known.clone();
        change(&mut endpoint);
        endpoint.updated_at = self.0.clock.now();
        endpoint.revision = known.revision + 1;
        if !endpoint.filters_like(known) {
            self.check_filter(&endpoint)?;
        }
        if !endpoint.transforms_like(known) {
            check_transform(&endpoint)?;
        }
        endpoint.keys.drop_expired(endpoint.updated_at);
        let change = Change::between(Face::from(known), Face::from(&endpoint));
        let line = self.line(beside.by, &endpoint.chain, beside.action, endpoint.id, change);
        let anew = beside.anew || endpoint.url != known.url;
        let told = Some(beside.told).filter(|told| !told.is_empty());
        let told = told.and_then(|told| self.tell(known, told));
        let (row, written) = (endpoint.clone(), told.clone());
        let record = beside.once.record(&endpoint, endpoint.updated_at);
        let replace = move |conn: &mut _, vault: &_| {
            store::endpoint::update(conn, vault, &row)?;
            store::audit::insert(conn, &line)?;
            // Conditions come after deliveries in every transaction, so that no two wait for each other in a circle.
            written.map_or(Ok(()), |told| store::commit::write_told(conn, &told))?;
            if anew { store::condition::begin_anew(conn, &row.chain, row.id) } else { Ok(()) }
        };
        self.write_once(record, replace).await?;
        let endpoint = self.put_endpoint(endpoint, anew)?;
        told.iter().for_each(|told| self.nudge_for(told));
        Ok(endpoint)
    }

    /// Refuses a filter that cannot be asked, by the program in force, about all that it is for.
    fn check_filter(&self, endpoint: &Endpoint) -> Result<(), EngineError> {
        let snapshot = self.snapshot(&endpoint.chain)?;
        if endpoint.settings.filter.is_none() {
            return Ok(());
        }
        let problem = |problem| EngineError::BadFilter(Box::new(problem));
        snapshot.program()?.check_filter(endpoint).map_err(problem)
    }

    fn put_endpoint(&self, endpoint: Endpoint, anew: bool) -> Result<Arc<Endpoint>, EngineError> {
        let endpoint = Arc::new(endpoint);
        self.reconfigure(&endpoint.chain, |snapshot| {
            let others = snapshot.endpoints.iter().filter(|e| e.id != endpoint.id).cloned();
            snapshot.endpoints = others.chain([endpoint.clone()]).collect();
        })?;
        self.0.endpoints.apply(&endpoint, anew);
        Ok(endpoint)
    }

    /// Carries out one change at a time, to its end even when whoever asked for it goes away: what is in the store must
    /// also come into the snapshot.
    pub(super) async fn carry_out<T, F>(&self, change: impl FnOnce(Self) -> F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, EngineError>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let (engine, change) = (self.clone(), change(self.clone()));
        let started = self.0.control.spawn(async move {
            let _one_at_a_time = engine.0.configuring.lock().await;
            // Nobody may be waiting any more.
            let _ = reply.send(change.await);
        });
        if !started {
            return Err(EngineError::Draining);
        }
        answer.await.unwrap_or(Err(EngineError::Draining))
    }

    /// Replaces the chain's snapshot. Callers hold `configuring`.
    pub(super) fn reconfigure(
        &self,
        chain: &ChainId,
        change: impl FnOnce(&mut ChainSnapshot),
    ) -> Result<Arc<ChainSnapshot>, EngineError> {
        let snapshot = self.reconfigured(chain, change)?;
        self.put_snapshot(snapshot.clone())?;
        Ok(snapshot)
    }

    /// The chain's snapshot as it will be. Callers hold `configuring`, and put it in its place when what is in the store is so,
    /// too.
    pub(super) fn reconfigured(
        &self,
        chain: &ChainId,
        change: impl FnOnce(&mut ChainSnapshot),
    ) -> Result<Arc<ChainSnapshot>, EngineError> {
        let mut snapshot = ChainSnapshot::clone(&*self.snapshot(chain)?);
        change(&mut snapshot);
        snapshot.filter();
        Ok(Arc::new(snapshot))
    }

    /// Has the chain go by this snapshot from now on. Callers hold `configuring`.
    pub(super) fn put_snapshot(&self, snapshot: Arc<ChainSnapshot>) -> Result<(), EngineError> {
        let handle = self.handle(&snapshot.chain.id)?;
        let suspended: usize = snapshot.programs().map(|program| program.suspended().len()).sum();
        let labels = ChainLabels { chain: snapshot.chain.id.to_string() };
        self.0.metrics.suspended_rules.get_or_create(&labels).set(suspended as i64);
        handle.snapshot.store(snapshot);
        Ok(())
    }
}

/// Refuses a transform that makes nothing of what the endpoint gets.
fn check_transform(endpoint: &Endpoint) -> Result<(), EngineError> {
    Transform::check(endpoint).map_err(|problem| EngineError::BadTransform(Box::new(problem)))
}

/// Reads every chain of the store into its configuration, without a program.
fn stored_chains(store: &Store) -> Result<Vec<(Chain, Vec<Endpoint>, Learned)>, StoreError> {
    store.read_now(|conn| {
        let chains = store::chain::list(conn)?;
        chains
            .into_iter()
            .map(|chain| {
                let endpoints = store::endpoint::list(conn, store.vault(), &chain.id)?;
                let learned = recall(conn, &chain.id)?;
                Ok((chain, endpoints, learned))
            })
            .collect()
    })
}
