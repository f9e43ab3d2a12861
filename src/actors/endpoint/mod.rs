//! One actor per endpoint: it finds what is due, signs it, sends it, and writes down how that went.
//!
//! The actor itself is only the address for nudges; the work is done by the courier, a task of its own, so a thousand
//! attempts cost the mailbox nothing. The courier's orders, a new configuration or to drain, come from the parent over a
//! [`Leash`] and not through the mailbox: a full one could lose them, and the courier would go on with old ones. When the
//! courier ends, drained or by a panic, the actor stops and the parent sees it.

mod backlog;
mod courier;
mod depot;
mod errand;
mod gate;
mod news;
mod scribe;
mod tally;
#[cfg(test)]
mod tests;
pub mod trial;
mod window;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_rt::ArbiterHandle;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use self::courier::{Courier, Desk};
use self::depot::StoreDepot;
use self::errand::Errand;
use self::gate::Rest;
pub use self::news::{Tell, Teller};
use self::tally::Tally;
use super::journal::Journal;
use super::outbound::{Outbound, Reach};
use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::endpoint::Endpoint;
use crate::store::Store;
use crate::telemetry::Metrics;

/// Messages that may wait. Nudges coalesce, so a full mailbox loses nothing.
const MAILBOX: usize = 16;

/// Something may be due. Send it with `try_send` and ignore a full mailbox.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Nudge;

/// A receiver wants no more deliveries, or has taken none for too long: its endpoint must be disabled.
#[derive(Debug, Clone, PartialEq, Message)]
#[rtype(result = "()")]
pub struct DisableEndpoint {
    /// The endpoint as it was when the receiver was asked. One that was changed since may have another receiver.
    pub endpoint: Arc<Endpoint>,
    /// Why, for people.
    pub reason: String,
    /// Since when it has taken nothing; `None` when that is not why.
    pub since: Option<Timestamp>,
    /// When it came to that.
    pub at: Timestamp,
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
    /// How far deliveries go.
    pub reach: Reach,
    /// The process's metrics.
    pub metrics: Arc<Metrics>,
    /// Whom it tells what becomes of the endpoint.
    pub teller: Teller,
}

/// What the courier is told.
#[derive(Debug, Clone)]
struct Orders {
    endpoint: Arc<Endpoint>,
    /// How often people began anew with its receiver.
    renewals: u32,
    drain_by: Option<Instant>,
}

/// What the parent holds of a running courier. Whatever is ordered reaches it, unless it has ended.
#[derive(Debug)]
pub struct Leash(watch::Sender<Orders>, Arc<Rest>);

impl Leash {
    /// The configuration it goes by.
    pub fn endpoint(&self) -> Arc<Endpoint> {
        Arc::clone(&self.0.borrow().endpoint)
    }

    /// Has it go by another configuration from now on; with another receiver, when people begin anew.
    pub fn configure(&self, endpoint: Arc<Endpoint>, anew: bool) {
        self.0.send_modify(|orders| {
            orders.endpoint = endpoint;
            orders.renewals = orders.renewals.wrapping_add(u32::from(anew));
        });
        // What held it back may not hold any more.
        self.1.set(None);
    }

    /// Until when it rests although something may be due.
    pub fn rests_until(&self) -> Option<Timestamp> {
        self.1.until()
    }

    /// Has it begin nothing new, let what is under way finish, at most so long, and end. What is cut off stays due and
    /// is sent again after the next start.
    pub fn drain(&self, within: Duration) {
        self.0.send_modify(|orders| orders.drain_by = Some(Instant::now() + within));
    }

    /// Whether it has ended: drained, or by a panic.
    pub fn has_ended(&self) -> bool {
        self.0.is_closed()
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        self.0.closed().await;
    }
}

/// Delivers to one endpoint.
pub struct EndpointActor {
    parts: EndpointParts,
    /// Who delivered before and has something under way.
    after: Option<Leash>,
    /// The courier's orders, until it starts. Our own sender keeps the channel open while the courier of an endpoint
    /// that its parent has let go drains.
    orders: Option<(watch::Sender<Orders>, watch::Receiver<Orders>)>,
    rest: Arc<Rest>,
    nudge: Rc<Notify>,
}

impl EndpointActor {
    /// Starts one, which begins when the one that delivered before has ended.
    pub fn start(parts: EndpointParts, after: Option<Leash>, on: &ArbiterHandle) -> (Leash, Addr<Self>) {
        let (sender, receiver) =
            watch::channel(Orders { endpoint: Arc::clone(&parts.endpoint), renewals: 0, drain_by: None });
        let rest = Arc::new(Rest::default());
        let leash = Leash(sender.clone(), Arc::clone(&rest));
        let orders = Some((sender, receiver));
        let addr = Self::start_in_arbiter(on, move |_| Self {
            parts,
            after,
            orders,
            rest,
            nudge: Rc::new(Notify::new()),
        });
        (leash, addr)
    }

    fn courier(&self, orders: watch::Receiver<Orders>) -> Courier<StoreDepot> {
        let EndpointParts { endpoint, store, journal, clock, reach, metrics, teller } = self.parts.clone();
        let outbound = Outbound::shared(&reach);
        let (chain, id) = (endpoint.chain.clone(), endpoint.id);
        Courier::new(
            StoreDepot { store, journal, chain, endpoint: id },
            Errand::new(outbound, Arc::clone(&endpoint), clock),
            orders,
            Rc::clone(&self.nudge),
            Desk { tally: Tally::new(metrics, &endpoint), teller, rest: Arc::clone(&self.rest) },
        )
    }
}

impl Actor for EndpointActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(MAILBOX);
        let Some((ours, orders)) = self.orders.take() else { return ctx.stop() };
        let (courier, after) = (self.courier(orders), self.after.take());
        let task = actix_rt::spawn(async move {
            if let Some(after) = after {
                after.ended().await;
            }
            courier.run().await;
        });
        let id = self.parts.endpoint.id;
        let watch = async move {
            if let Err(error) = task.await {
                tracing::error!(endpoint = %id, %error, "delivering stopped by a panic");
            }
            drop(ours);
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
