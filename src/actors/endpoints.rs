//! Which endpoint actors run: one for each enabled endpoint. The dead are rebuilt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actix::{Actor, Addr, Recipient};
use actix_rt::{Arbiter, ArbiterHandle};

use crate::clock::Clock;
use crate::domain::address::AddressPolicy;
use crate::domain::delivery::RetryPolicy;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::EndpointId;
use crate::store::Store;
use crate::telemetry::{EndpointLabels, Metrics};

use super::endpoint::{Configure, DisableEndpoint, Drain, EndpointActor, EndpointParts};
use super::journal::{Journal, Nudges};

/// What all endpoint actors share.
#[derive(Debug, Clone)]
pub struct EndpointsParts {
    /// Where deliveries come from.
    pub store: Store,
    /// Where attempts go.
    pub journal: Journal,
    /// The engine's clock.
    pub clock: Clock,
    /// Which addresses may be dialled.
    pub policy: Arc<AddressPolicy>,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// How long one attempt may take, body included.
    pub timeout: Duration,
    /// Threads that deliver.
    pub threads: usize,
}

/// The running endpoint actors.
pub struct Endpoints {
    parts: EndpointsParts,
    nudges: Nudges,
    arbiters: Vec<ArbiterHandle>,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    actors: HashMap<EndpointId, Addr<EndpointActor>>,
    on_gone: Option<Recipient<DisableEndpoint>>,
    stopped: bool,
}

impl Endpoints {
    /// None running yet.
    pub fn new(parts: EndpointsParts, nudges: Nudges) -> Self {
        let arbiters = (0..parts.threads.max(1)).map(|_| Arbiter::new().handle()).collect();
        Self { parts, nudges, arbiters, running: Mutex::default() }
    }

    /// Whom to tell that a receiver wants nothing more.
    pub fn on_gone(&self, recipient: Recipient<DisableEndpoint>) {
        self.running().on_gone = Some(recipient);
    }

    /// Starts, reconfigures or stops the actor of one endpoint, so that it matches `endpoint`.
    pub fn apply(&self, endpoint: &Arc<Endpoint>) {
        if !endpoint.is_enabled() {
            return self.stop(endpoint);
        }
        let mut running = self.running();
        if let Some(addr) = running.actors.get(&endpoint.id) {
            // A full mailbox means that it is busy starting up with this very configuration or dead; the watchdog
            // applies it again.
            if addr.try_send(Configure(endpoint.clone())).is_ok() {
                return;
            }
            self.parts.metrics.respawns.inc();
        }
        self.spawn(&mut running, endpoint);
    }

    fn spawn(&self, running: &mut Running, endpoint: &Arc<Endpoint>) {
        let Some(on_gone) = running.on_gone.clone().filter(|_| !running.stopped) else { return };
        let parts = EndpointParts {
            endpoint: endpoint.clone(),
            store: self.parts.store.clone(),
            journal: self.parts.journal.clone(),
            clock: self.parts.clock.clone(),
            policy: self.parts.policy.clone(),
            retry: self.parts.retry.clone(),
            metrics: self.parts.metrics.clone(),
            on_gone,
            timeout: self.parts.timeout,
        };
        let arbiter = &self.arbiters[(endpoint.id.ulid().0 >> 24) as usize % self.arbiters.len()];
        let addr = EndpointActor::start_in_arbiter(arbiter, move |_| EndpointActor::new(parts));
        self.nudges.set(endpoint.id, Some(addr.clone().recipient()));
        running.actors.insert(endpoint.id, addr);
    }

    /// Stops the actor of a disabled or deleted endpoint; its deliveries wait in the store.
    pub fn stop(&self, endpoint: &Endpoint) {
        self.nudges.set(endpoint.id, None);
        let labels = EndpointLabels { chain: endpoint.chain.to_string(), endpoint: endpoint.id.to_string() };
        self.parts.metrics.oldest_pending_seconds.remove(&labels);
        if let Some(addr) = self.running().actors.remove(&endpoint.id) {
            // What is under way may end; when the mailbox is full, the dropped address ends it as well.
            let _ = addr.try_send(Drain { within: self.parts.timeout });
        }
    }

    /// Rebuilds the actors that died. Called by the scheduler.
    pub fn revive<'a>(&self, endpoints: impl Iterator<Item = &'a Arc<Endpoint>>) {
        let mut running = self.running();
        for endpoint in endpoints.filter(|endpoint| endpoint.is_enabled()) {
            if !running.actors.get(&endpoint.id).is_some_and(Addr::connected) {
                self.parts.metrics.respawns.inc();
                self.spawn(&mut running, endpoint);
            }
        }
    }

    /// Stops all; answers when what was under way has been recorded, or after `patience`.
    pub async fn stop_all(&self, patience: Duration) {
        let actors: Vec<_> = {
            let mut running = self.running();
            running.stopped = true;
            running.actors.drain().map(|(_, addr)| addr).collect()
        };
        let stopping = actors.iter().map(|addr| addr.send(Drain { within: patience }));
        let _ = tokio::time::timeout(patience, futures_util::future::join_all(stopping)).await;
    }

    /// Ends the threads that deliver.
    pub fn release(&self) {
        self.running().on_gone = None;
        self.arbiters.iter().for_each(|arbiter| _ = arbiter.stop());
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
