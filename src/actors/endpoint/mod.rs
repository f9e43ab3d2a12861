//! One actor per endpoint: it finds what is due, signs it, sends it, and writes down how that went.
//!
//! The actor itself is only the address: it takes nudges, new configurations and the order to drain, and hands them to
//! the courier, a task of its own. So a thousand attempts cost the mailbox nothing, and when the task ends,
//! drained or by a panic, the actor stops and its parent sees a closed address.

mod backlog;
mod courier;
mod depot;
mod errand;
mod tally;
#[cfg(test)]
mod tests;
mod window;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::courier::Courier;
use self::depot::StoreDepot;
use self::errand::Errand;
use self::tally::Tally;
use super::journal::Journal;
use super::outbound::Outbound;
use crate::clock::Clock;
use crate::domain::address::AddressPolicy;
use crate::domain::chain::ChainId;
use crate::domain::delivery::RetryPolicy;
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::EndpointId;
use crate::store::Store;
use crate::telemetry::Metrics;

/// Messages that may wait. Nudges coalesce, so a full mailbox loses nothing.
const MAILBOX: usize = 16;

/// Something may be due. Send it with `try_send` and ignore a full mailbox.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Nudge;

/// The endpoint was changed, enabled or disabled.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Configure(pub Arc<Endpoint>);

/// Begin nothing new and let what is under way finish, at most so long; then the actor stops. Answered when it has.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// How long attempts under way may take. What is cut off stays due and is sent again after the next start.
    pub within: Duration,
}

/// A receiver wants no more deliveries: its endpoint must be disabled.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct DisableEndpoint {
    /// The chain.
    pub chain: ChainId,
    /// The endpoint.
    pub id: EndpointId,
    /// Why, for people.
    pub reason: &'static str,
}

/// What an endpoint actor is made of.
#[derive(Clone)]
pub struct EndpointParts {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Where due deliveries are read.
    pub store: Store,
    /// Where attempts are written.
    pub journal: Journal,
    /// The engine's clock.
    pub clock: Clock,
    /// Where deliveries may go.
    pub policy: Arc<AddressPolicy>,
    /// When to try again.
    pub retry: RetryPolicy,
    /// The process's metrics.
    pub metrics: Arc<Metrics>,
    /// Who disables endpoints.
    pub on_gone: Recipient<DisableEndpoint>,
    /// The deadline of one exchange, body included.
    pub timeout: Duration,
}

/// What the courier is told.
#[derive(Debug, Clone)]
struct Orders {
    endpoint: Arc<Endpoint>,
    drain_by: Option<Instant>,
}

/// Tells the engine that a receiver is gone.
struct Warn {
    to: Recipient<DisableEndpoint>,
    chain: ChainId,
    id: EndpointId,
}

impl Warn {
    /// Does not wait for the engine, which may be waiting for this endpoint to drain. If the message is lost, the next
    /// delivery is answered the same way.
    fn gone(&self, status: Option<u16>) {
        let reason = match status {
            Some(410) => "the receiver answered 410 Gone",
            _ => "the receiver asked for no more deliveries (webhook-delivery: disable)",
        };
        let message = DisableEndpoint { chain: self.chain.clone(), id: self.id, reason };
        if let Err(error) = self.to.try_send(message) {
            tracing::error!(endpoint = %self.id, %error, "an endpoint that is gone could not be disabled");
        }
    }
}

/// Delivers to one endpoint.
pub struct EndpointActor {
    parts: EndpointParts,
    orders: watch::Sender<Orders>,
    nudge: Rc<Notify>,
    /// Closed when the courier has ended.
    ended: watch::Receiver<()>,
    end: Option<watch::Sender<()>>,
}

impl EndpointActor {
    /// Makes it; nothing happens before it is started.
    pub fn new(parts: EndpointParts) -> Self {
        let (orders, _) = watch::channel(Orders { endpoint: Arc::clone(&parts.endpoint), drain_by: None });
        let (end, ended) = watch::channel(());
        Self { parts, orders, nudge: Rc::new(Notify::new()), ended, end: Some(end) }
    }

    fn courier(&self) -> Courier<StoreDepot> {
        let EndpointParts { endpoint, store, journal, clock, policy, retry, metrics, on_gone, timeout } =
            self.parts.clone();
        let outbound = Outbound::shared(&policy, timeout);
        let (chain, id) = (endpoint.chain.clone(), endpoint.id);
        Courier::new(
            StoreDepot { store, journal, chain: chain.clone(), endpoint: id },
            Errand::new(outbound, Arc::clone(&endpoint), clock, retry),
            self.orders.subscribe(),
            Rc::clone(&self.nudge),
            Tally::new(metrics, &endpoint),
            Warn { to: on_gone, chain, id },
        )
    }
}

impl Actor for EndpointActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX);
        let (courier, end, id) = (self.courier(), self.end.take(), self.parts.endpoint.id);
        let task = actix_rt::spawn(courier.run());
        let watch = async move {
            if let Err(error) = task.await {
                tracing::error!(endpoint = %id, %error, "delivering stopped by a panic");
            }
            drop(end);
        };
        watch.into_actor(self).map(|(), _, ctx| ctx.stop()).spawn(ctx);
    }
}

impl Handler<Nudge> for EndpointActor {
    type Result = ();

    fn handle(&mut self, _: Nudge, _: &mut Context<Self>) {
        self.nudge.notify_one();
    }
}

impl Handler<Configure> for EndpointActor {
    type Result = ();

    fn handle(&mut self, Configure(endpoint): Configure, _: &mut Context<Self>) {
        self.orders.send_modify(|orders| orders.endpoint = endpoint);
    }
}

impl Handler<Drain> for EndpointActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Drain { within }: Drain, _: &mut Context<Self>) -> Self::Result {
        self.orders.send_modify(|orders| orders.drain_by = Some(Instant::now() + within));
        let mut ended = self.ended.clone();
        Box::pin(async move {
            // Nothing is ever sent over it: it closes.
            let _ = ended.changed().await;
        })
    }
}
