//! Which endpoint actors run: one for each enabled endpoint. The dead are rebuilt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actix_rt::{Arbiter, ArbiterHandle};
use tokio::sync::{Semaphore, oneshot};

use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::EndpointId;
use crate::store::Store;
use crate::telemetry::{EndpointLabels, Metrics};

use super::endpoint::trial::{self, Sample, Trial};
use super::endpoint::{EndpointActor, EndpointParts, Leash, Teller};
use super::error::EngineError;
use super::journal::{Journal, Nudges};
use super::outbound::{Outbound, Reach};

/// People who try endpoints out at once.
const TRIALS_AT_ONCE: usize = 16;

/// What all endpoint actors share.
#[derive(Debug, Clone)]
pub struct EndpointsParts {
    /// Where deliveries come from.
    pub store: Store,
    /// Where attempts go.
    pub journal: Journal,
    /// The engine's clock.
    pub clock: Clock,
    /// How far deliveries go.
    pub reach: Reach,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Threads that deliver.
    pub threads: usize,
}

/// The running endpoint actors.
pub struct Endpoints {
    parts: EndpointsParts,
    nudges: Nudges,
    arbiters: Vec<ArbiterHandle>,
    running: Mutex<Running>,
    trials: Arc<Semaphore>,
}

#[derive(Default)]
struct Running {
    couriers: HashMap<EndpointId, Leash>,
    /// Those that were stopped, until what they had under way has ended.
    leaving: HashMap<EndpointId, Leash>,
    teller: Option<Teller>,
    stopped: bool,
}

impl Endpoints {
    /// None running yet.
    pub fn new(parts: EndpointsParts, nudges: Nudges) -> Self {
        let arbiters = (0..parts.threads.max(1)).map(|_| Arbiter::new().handle()).collect();
        let trials = Arc::new(Semaphore::new(TRIALS_AT_ONCE));
        Self { parts, nudges, arbiters, running: Mutex::default(), trials }
    }

    /// Whom couriers tell what becomes of their endpoints. None runs before that.
    pub fn report_to(&self, teller: Teller) {
        self.running().teller = Some(teller);
    }

    /// Until when the courier of an endpoint rests although something may be due.
    pub fn rests_until(&self, endpoint: EndpointId) -> Option<Timestamp> {
        self.running().couriers.get(&endpoint).and_then(Leash::rests_until)
    }

    /// Starts, reconfigures or stops the actor of one endpoint, so that it matches `endpoint`; `anew` says that what was
    /// known of its receiver does not hold any more.
    pub fn apply(&self, endpoint: &Arc<Endpoint>, anew: bool) {
        if !endpoint.is_enabled() {
            return self.stop(endpoint);
        }
        let mut running = self.running();
        match running.couriers.get(&endpoint.id) {
            Some(courier) if !courier.has_ended() => courier.configure(endpoint.clone(), anew),
            Some(_) => {
                self.parts.metrics.respawns.inc();
                self.spawn(&mut running, endpoint.clone());
            }
            None => self.spawn(&mut running, endpoint.clone()),
        }
    }

    fn spawn(&self, running: &mut Running, endpoint: Arc<Endpoint>) {
        let Some(teller) = running.teller.clone().filter(|_| !running.stopped) else { return };
        let id = endpoint.id;
        let parts = EndpointParts {
            endpoint,
            store: self.parts.store.clone(),
            journal: self.parts.journal.clone(),
            clock: self.parts.clock.clone(),
            reach: self.parts.reach.clone(),
            metrics: self.parts.metrics.clone(),
            teller,
        };
        // What its predecessor has under way would be sent twice.
        let after = running.leaving.remove(&id).filter(|leaving| !leaving.has_ended());
        let (courier, addr) = EndpointActor::start(parts, after, self.arbiter(id));
        self.nudges.set(id, Some(addr.recipient()));
        running.couriers.insert(id, courier);
    }

    /// The thread that delivers to an endpoint.
    fn arbiter(&self, id: EndpointId) -> &ArbiterHandle {
        &self.arbiters[(id.ulid().0 >> 24) as usize % self.arbiters.len()]
    }

    /// Sends an endpoint something made up, now and beside its deliveries: from the thread that delivers to it, so by
    /// the same client and under the same policy. Nothing is stored.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`] while too many are under way; `Conflict` when its dialect cannot say it; `BadTransform`.
    pub(super) async fn try_out(
        &self,
        endpoint: Arc<Endpoint>,
        sample: Sample,
    ) -> Result<Trial, EngineError> {
        let turn = Arc::clone(&self.trials).try_acquire_owned().map_err(|_| EngineError::Overloaded)?;
        let reach = self.parts.reach.clone();
        let (arbiter, clock) = (self.arbiter(endpoint.id).clone(), self.parts.clock.clone());
        let (reply, answer) = oneshot::channel();
        let started = arbiter.spawn_fn(move || {
            let outbound = Outbound::shared(&reach);
            actix_rt::spawn(async move {
                let trial = trial::send(&outbound, &endpoint, sample, &clock).await;
                drop(turn);
                let _ = reply.send(trial);
            });
        });
        let sent = if started { answer.await.ok() } else { None };
        sent.ok_or(EngineError::Draining)?
    }

    /// Stops the actor of a disabled or deleted endpoint; its deliveries wait in the store.
    pub fn stop(&self, endpoint: &Endpoint) {
        self.nudges.set(endpoint.id, None);
        let labels = EndpointLabels { chain: endpoint.chain.to_string(), endpoint: endpoint.id.to_string() };
        self.parts.metrics.oldest_pending_seconds.remove(&labels);
        let mut running = self.running();
        if let Some(courier) = running.couriers.remove(&endpoint.id) {
            courier.drain(self.parts.reach.timeout); // what is under way may end
            running.leaving.insert(endpoint.id, courier);
        }
    }

    /// Rebuilds the actors that died, with the configuration they were given last. Called by the scheduler.
    pub fn revive(&self) {
        let mut running = self.running();
        running.leaving.retain(|_, leaving| !leaving.has_ended());
        let dead = running.couriers.values().filter(|courier| courier.has_ended());
        for endpoint in dead.map(Leash::endpoint).collect::<Vec<_>>() {
            self.parts.metrics.respawns.inc();
            self.spawn(&mut running, endpoint);
        }
    }

    /// Stops all; answers when what was under way has been recorded, or after `patience`.
    pub async fn stop_all(&self, patience: Duration) {
        let couriers: Vec<_> = {
            let mut running = self.running();
            running.stopped = true;
            let Running { couriers, leaving, .. } = &mut *running;
            couriers.drain().chain(leaving.drain()).map(|(_, courier)| courier).collect()
        };
        couriers.iter().for_each(|courier| courier.drain(patience));
        let ended = futures_util::future::join_all(couriers.iter().map(Leash::ended));
        let _ = tokio::time::timeout(patience, ended).await;
    }

    /// Ends the threads that deliver.
    pub fn release(&self) {
        self.running().teller = None;
        self.arbiters.iter().for_each(|arbiter| _ = arbiter.stop());
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::endpoint::{DisableEndpoint, Tell};
    use crate::domain::commit::Commit;
    use crate::domain::endpoint::EndpointState;
    use crate::domain::loyalty_event::EventData;
    use crate::domain::text::Note;
    use crate::store::vault::Vault;

    struct Nobody;

    impl Tell for Nobody {
        fn tell(&self, _: &Endpoint, _: Vec<EventData>) -> Option<Commit> {
            None
        }
    }

    impl actix::Actor for Nobody {
        type Context = actix::Context<Self>;
    }

    impl actix::Handler<DisableEndpoint> for Nobody {
        type Result = ();
        fn handle(&mut self, _: DisableEndpoint, _: &mut Self::Context) {}
    }

    #[actix_web::test]
    async fn a_courier_that_died_comes_back_as_it_was_configured_last_and_only_while_it_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/p.db", dir.path().display());
        let store = Store::open(&url.parse().unwrap(), Vault::new([1; 32])).unwrap();
        store.migrate().unwrap();
        let (metrics, nudges) = (Arc::new(Metrics::new()), Nudges::default());
        let parts = EndpointsParts {
            journal: Journal::start(&store, metrics.clone(), &nudges).unwrap(),
            store,
            clock: Clock::test(Timestamp::UNIX_EPOCH),
            reach: Reach::to_the_public(Duration::from_secs(1)),
            metrics,
            threads: 1,
        };
        let endpoints = Endpoints::new(parts, nudges);
        let disable = actix::Actor::start(Nobody).recipient();
        endpoints.report_to(Teller { tell: Arc::new(Nobody), disable });
        let runs = || {
            let running = endpoints.running();
            running
                .couriers
                .values()
                .find(|courier| !courier.has_ended())
                .map(|courier| courier.endpoint().url.clone())
        };
        let kill = async || {
            endpoints.running().couriers.values().for_each(|courier| courier.drain(Duration::ZERO));
            while runs().is_some() {
                actix_rt::time::sleep(Duration::from_millis(1)).await;
            }
        };
        endpoints.apply(&Arc::new(Endpoint::sample("https://old.example/")), false);
        let new = Endpoint::sample("https://new.example/");
        endpoints.apply(&Arc::new(new.clone()), false);
        assert_eq!(runs().as_ref(), Some(&new.url));
        kill().await;
        endpoints.revive();
        assert_eq!(runs().as_ref(), Some(&new.url));
        kill().await;
        let reason = Note::parse("enough").unwrap();
        let state = EndpointState::Disabled { reason, at: Default::default() };
        endpoints.apply(&Arc::new(Endpoint { state, ..new }), false);
        endpoints.revive();
        assert_eq!(runs(), None);
        endpoints.release();
    }
}
