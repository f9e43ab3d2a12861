//! The chain actor: finds the member an event belongs to; spawns, passivates and respawns members.
//!
//! Members that are not in memory are looked up in groups: everything that queued while one look-up ran is the next
//! one. Events whose identities are just being looked up wait for that, so one guest never becomes two members.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, ResponseFuture,
    WrapFuture,
};
use actix_rt::ArbiterHandle;
use arc_swap::ArcSwap;
use tokio::sync::oneshot;

use crate::domain::chain::ChainId;
use crate::domain::decide::SourceInput;
use crate::domain::identity::{Identity, Whose, whose};
use crate::domain::ids::MemberId;
use crate::domain::member::Member;
use crate::domain::order::OrderRecord;
use crate::domain::shared::Shared;
use crate::domain::source_event::SourceEvent;
use crate::store::{self, DbConn, StoreError};

use super::engine::EngineError;
use super::member::{MemberActor, MemberParts};
use super::snapshot::ChainSnapshot;

/// The most events in one look-up.
const MAX_LOOKUP: usize = 256;
/// Look-ups at the same time: one runs while the next one's answers are handed out.
const LOOKUPS: usize = 2;
/// Messages that may wait; the door admits fewer events.
const MAILBOX: usize = 16_384;
/// How often idle members are looked for, and how many are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const SWEEP_MAX: usize = 20_000;

/// How many members stay in memory.
#[derive(Debug, Clone, Copy)]
pub struct Residency {
    /// Beyond this many, whoever was idle longest leaves at once.
    pub max_members: usize,
    /// Whoever was idle for so long leaves.
    pub idle: Duration,
}

impl Default for Residency {
    fn default() -> Self {
        Self { max_members: 100_000, idle: Duration::from_secs(600) }
    }
}

/// Finds members of one chain.
pub struct ChainActor {
    snapshot: Arc<ArcSwap<ChainSnapshot>>,
    parts: Arc<MemberParts>,
    arbiters: Arc<[ArbiterHandle]>,
    residency: Residency,
    members: HashMap<MemberId, Resident>,
    by_identity: HashMap<Identity, MemberId>,
    /// Who came when, oldest first; a member that was active since is put back.
    by_age: VecDeque<(MemberId, Instant)>,
    /// Identities whose look-up runs, and who waits for it.
    resolving: HashSet<Identity>,
    waiting: Vec<Pending>,
    queued: Vec<Pending>,
    lookups: usize,
}

struct Resident {
    addr: Addr<MemberActor>,
    used_at: Instant,
    identities: Vec<Identity>,
}

struct Pending {
    event: Arc<SourceEvent>,
    newcomer: MemberId,
    reply: oneshot::Sender<Result<Route, EngineError>>,
}

/// Where a source event goes.
#[derive(Debug)]
pub enum Route {
    /// To this member.
    Member(Box<MemberRoute>),
    /// Nobody is known and nobody may be enrolled: the event is parked.
    Nobody,
}

/// The way to a member.
#[derive(Debug)]
pub struct MemberRoute {
    /// Which.
    pub id: MemberId,
    /// Their actor.
    pub addr: Addr<MemberActor>,
    /// Identities of the event that belong to nobody yet.
    pub attach: Vec<Identity>,
    /// The order it names, when it had to be looked up.
    pub order: Option<OrderRecord>,
    /// What was resolved differently than the sender may expect.
    pub notes: Vec<Box<str>>,
}

/// Find the member of a source event.
#[derive(Debug, Message)]
#[rtype(result = "Result<Route, EngineError>")]
pub struct Find {
    /// The event.
    pub event: Arc<SourceEvent>,
    /// The id that a new member would get.
    pub newcomer: MemberId,
}

impl Find {
    /// For this event.
    pub fn of(input: &SourceInput) -> Self {
        Self { event: input.event.clone(), newcomer: MemberId::new(input.id.ulid()) }
    }
}

/// Find a member by id, or whoever answers for them.
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<(MemberId, Addr<MemberActor>)>, EngineError>")]
pub struct FindById(pub MemberId);

/// These identities came to belong to this member: a commit says so.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Learn {
    /// Who.
    pub member: MemberId,
    /// By what they are known from now on.
    pub identities: Vec<Identity>,
}

impl Handler<Learn> for ChainActor {
    type Result = ();

    fn handle(&mut self, learn: Learn, _: &mut Context<Self>) {
        self.remember(learn.member, &learn.identities);
    }
}

/// Forget a member whose actor has died or is out of date; the next event rebuilds it from the store.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Forget(pub MemberId);

/// What the store knows about the guests of some events. A damaged row concerns only the events that meet it.
#[derive(Default)]
struct Found {
    owners: HashMap<Identity, MemberId>,
    members: HashMap<MemberId, Result<Member, Damage>>,
    /// Who answers for whom, where that is not themselves.
    heirs: HashMap<MemberId, MemberId>,
    /// The order of each event, if it had to be looked up.
    orders: Vec<Result<Option<OrderRecord>, Damage>>,
}

/// A row that does not hold what it should.
type Damage = Arc<StoreError>;

impl ChainActor {
    /// An actor for the chain whose configuration is in `snapshot`; its members live on `arbiters`.
    pub fn new(
        snapshot: Arc<ArcSwap<ChainSnapshot>>,
        parts: Arc<MemberParts>,
        arbiters: Arc<[ArbiterHandle]>,
        residency: Residency,
    ) -> Self {
        Self {
            snapshot,
            parts,
            arbiters,
            residency,
            members: HashMap::new(),
            by_identity: HashMap::new(),
            by_age: VecDeque::new(),
            resolving: HashSet::new(),
            waiting: Vec::new(),
            queued: Vec::new(),
            lookups: 0,
        }
    }

    /// Routes at once when everything about the guest is in memory, else queues for the next look-up.
    fn route(&mut self, pending: Pending) {
        let event = pending.event.clone();
        let follows = event.follows_its_order();
        if !follows && let Some(id) = self.known(&event.identities) {
            let route = self.resident_route(id).map(|addr| self.member_route(id, addr, Vec::new()));
            if let Some(route) = route {
                // The asker may have gone away; then nothing happens.
                let _ = pending.reply.send(Ok(Route::Member(Box::new(route))));
                return;
            }
        }
        if event.identities.iter().any(|identity| self.resolving.contains(identity)) {
            self.waiting.push(pending);
            return;
        }
        if event.identities.is_empty() && !follows {
            let _ = pending.reply.send(Ok(Route::Nobody));
            return;
        }
        self.resolving.extend(event.identities.iter().cloned());
        self.queued.push(pending);
    }

    /// The one resident member to whom all these identities belong.
    fn known(&self, identities: &[Identity]) -> Option<MemberId> {
        let mut ids = identities.iter().map(|identity| self.by_identity.get(identity));
        let first = *ids.next()??;
        ids.all(|id| id == Some(&first)).then_some(first)
    }

    fn resident_route(&mut self, id: MemberId) -> Option<Addr<MemberActor>> {
        let resident = self.members.get_mut(&id)?;
        if !resident.addr.connected() {
            self.forget(id);
            self.parts.metrics.respawns.inc();
            return None;
        }
        resident.used_at = Instant::now();
        Some(resident.addr.clone())
    }

    fn member_route(&self, id: MemberId, addr: Addr<MemberActor>, attach: Vec<Identity>) -> MemberRoute {
        MemberRoute { id, addr, attach, order: None, notes: Vec::new() }
    }

    /// Starts look-ups while there is something queued and room for one.
    fn look_up(&mut self, ctx: &mut Context<Self>) {
        while self.lookups < LOOKUPS && !self.queued.is_empty() {
            let count = self.queued.len().min(MAX_LOOKUP);
            let group: Vec<_> = self.queued.drain(..count).collect();
            self.lookups += 1;
            let events: Vec<_> = group.iter().map(|pending| pending.event.clone()).collect();
            let chain = self.snapshot.load().chain.id.clone();
            let store = self.parts.store.clone();
            let look =
                move |conn: &mut DbConn| store::at_one_instant(conn, |conn| find(conn, &chain, &events));
            let found = async move { store.read(look).await };
            ctx.spawn(found.into_actor(self).map(move |found, this, ctx| {
                this.lookups -= 1;
                this.found(group, found);
                this.look_up(ctx);
            }));
        }
    }

    fn found(&mut self, group: Vec<Pending>, found: Result<Found, StoreError>) {
        for identity in group.iter().flat_map(|pending| &pending.event.identities) {
            self.resolving.remove(identity);
        }
        match found {
            Ok(mut found) => {
                let orders = std::mem::take(&mut found.orders);
                for (pending, order) in group.into_iter().zip(orders) {
                    let route = order.map_err(unavailable);
                    match route.and_then(|order| self.resolve(&pending, order, &found)) {
                        Ok(Some(route)) => drop(pending.reply.send(Ok(route))),
                        Ok(None) => self.waiting.push(pending),
                        Err(error) => drop(pending.reply.send(Err(error))),
                    }
                }
            }
            Err(error) => {
                let error = Arc::new(error);
                for pending in group {
                    let _ = pending.reply.send(Err(unavailable(error.clone())));
                }
            }
        }
        for pending in std::mem::take(&mut self.waiting) {
            self.route(pending);
        }
    }

    /// Decides whose event it is: a refund or an update goes to the order's owner, everything else to the owner of the first
    /// identity that anybody owns, by priority. Unowned identities are attached; those of others are left alone.
    ///
    /// `None` when the owner was known from memory, has left it, and was not in the store yet when that was looked up:
    /// it is to be looked up again.
    fn resolve(
        &mut self,
        pending: &Pending,
        order: Option<OrderRecord>,
        found: &Found,
    ) -> Result<Option<Route>, EngineError> {
        let owner_of = |identity: &Identity| {
            self.by_identity.get(identity).or_else(|| found.owners.get(identity)).copied()
        };
        let identities = &pending.event.identities;
        let by_order = order.as_ref().and_then(|order| order.member);
        let by_order = by_order.map(|owner| found.heirs.get(&owner).copied().unwrap_or(owner));
        let Whose { owner, attach, notes } = whose(identities, by_order, owner_of);
        if let Some(id) = owner {
            let was_resident = self.members.contains_key(&id);
            let addr = match (self.resident_route(id), found.members.get(&id)) {
                (Some(addr), _) => addr,
                (None, Some(Ok(member))) => self.spawn(member.clone().into()),
                (None, Some(Err(damage))) => return Err(unavailable(damage.clone())),
                (None, None) if was_resident => return Ok(None), // no longer: that ends
                (None, None) => return Ok(Some(Route::Nobody)),
            };
            return Ok(Some(Route::Member(Box::new(MemberRoute { id, addr, attach, order, notes }))));
        }
        let location = pending.event.location.as_ref();
        let program = self.snapshot.load().program_for(pending.newcomer, location)?.clone();
        if identities.is_empty() || !(program.enrol_on_first_sight || pending.event.enrols()) {
            return Ok(Some(Route::Nobody));
        }
        let now = self.parts.clock.now();
        let newcomer = Member::new(pending.newcomer, attach, program.terms.tiers.first().cloned(), now);
        let (id, addr) = (newcomer.id, self.spawn(newcomer.into()));
        Ok(Some(Route::Member(Box::new(MemberRoute { id, addr, attach: Vec::new(), order, notes }))))
    }

    fn spawn(&mut self, member: Shared<Member>) -> Addr<MemberActor> {
        if self.members.len() >= self.residency.max_members {
            self.evict_two();
        }
        let (id, identities) = (member.id, member.identities.clone());
        let arbiter = &self.arbiters[(id.ulid().0 >> 24) as usize % self.arbiters.len()];
        let (chain, parts) = (self.snapshot.load().chain.id.clone(), self.parts.clone());
        let addr = MemberActor::start_in_arbiter(arbiter, move |_| MemberActor::new(chain, member, parts));
        let used_at = Instant::now();
        self.members.insert(id, Resident { addr: addr.clone(), used_at, identities: Vec::new() });
        self.by_age.push_back((id, used_at));
        self.remember(id, &identities);
        self.parts.metrics.members_resident.inc();
        addr
    }

    fn remember(&mut self, id: MemberId, identities: &[Identity]) {
        if let Some(resident) = self.members.get_mut(&id) {
            resident.identities.extend(identities.iter().cloned());
            self.by_identity.extend(identities.iter().map(|identity| (identity.clone(), id)));
        }
    }

    fn forget(&mut self, id: MemberId) {
        if let Some(resident) = self.members.remove(&id) {
            for identity in &resident.identities {
                self.by_identity.remove(identity);
            }
            self.parts.metrics.members_resident.dec();
        }
    }

    /// Makes room for one more: the actor of an evicted member ends when its last message is done, and the fence
    /// keeps it from committing over a newer one.
    fn evict_two(&mut self) {
        for _ in 0..2 {
            self.evict_oldest(Duration::ZERO);
        }
    }

    /// Looks at the member at the head of the queue. Answers whether there may be another one to evict.
    fn evict_oldest(&mut self, idle: Duration) -> bool {
        let Some(&(id, seen_at)) = self.by_age.front() else { return false };
        if seen_at.elapsed() < idle {
            return false;
        }
        self.by_age.pop_front();
        match self.members.get(&id).map(|resident| resident.used_at) {
            Some(used_at) if used_at > seen_at => self.by_age.push_back((id, used_at)),
            Some(_) => self.forget(id),
            None => {}
        }
        true
    }

    fn sweep(&mut self) {
        let idle = self.residency.idle;
        for _ in 0..SWEEP_MAX {
            if !self.evict_oldest(idle) {
                break;
            }
        }
    }
}

fn unavailable(error: Arc<StoreError>) -> EngineError {
    EngineError::Unavailable(Box::new(error))
}

/// Looks up everything that some events need, on a reader connection.
fn find(conn: &mut DbConn, chain: &ChainId, events: &[Arc<SourceEvent>]) -> Result<Found, StoreError> {
    let mut found = Found::default();
    for event in events {
        found.orders.push(match event.data.order_id().filter(|_| event.follows_its_order()) {
            Some(order_id) => or_damage(store::order::load(conn, chain, order_id))?,
            None => Ok(None),
        });
    }
    find_owners(conn, chain, events, &mut found)?;
    let by_order = found.orders.iter().flatten().flatten().filter_map(|order| order.member);
    let wanted: HashSet<_> = found.owners.values().copied().chain(by_order).collect();
    for id in wanted {
        match or_damage(store::member::load_living(conn, chain, id))?.transpose() {
            Some(Ok(member)) => {
                if member.id != id {
                    found.heirs.insert(id, member.id);
                }
                found.members.insert(member.id, Ok(member));
            }
            Some(damage) => drop(found.members.insert(id, damage)),
            None => {}
        }
    }
    Ok(found)
}

/// Finds the owners of all identities at once; only where that meets damage, event by event.
fn find_owners(
    conn: &mut DbConn,
    chain: &ChainId,
    events: &[Arc<SourceEvent>],
    found: &mut Found,
) -> Result<(), StoreError> {
    let identities: Vec<_> = events.iter().flat_map(|event| event.identities.iter().cloned()).collect();
    if let Ok(owners) = or_damage(store::member::owners(conn, chain, &identities))? {
        found.owners.extend(owners);
        return Ok(());
    }
    for (event, order) in events.iter().zip(&mut found.orders) {
        match or_damage(store::member::owners(conn, chain, &event.identities))? {
            Ok(owners) => found.owners.extend(owners),
            Err(damage) => *order = Err(damage),
        }
    }
    Ok(())
}

/// Tells damage, which is found, from a failure to look.
fn or_damage<T>(read: Result<T, StoreError>) -> Result<Result<T, Damage>, StoreError> {
    match read {
        Err(damage @ StoreError::Corrupt { .. }) => Ok(Err(Arc::new(damage))),
        looked => looked.map(Ok),
    }
}

impl Actor for ChainActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(SWEEP_EVERY, |this, _| this.sweep());
    }
}

impl Handler<Find> for ChainActor {
    type Result = ResponseFuture<Result<Route, EngineError>>;

    fn handle(&mut self, find: Find, ctx: &mut Context<Self>) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        self.route(Pending { event: find.event, newcomer: find.newcomer, reply });
        self.look_up(ctx);
        Box::pin(async move { answer.await.unwrap_or(Err(EngineError::Draining)) })
    }
}

impl Handler<FindById> for ChainActor {
    type Result = actix::ResponseActFuture<Self, Result<Option<(MemberId, Addr<MemberActor>)>, EngineError>>;

    fn handle(&mut self, FindById(id): FindById, _: &mut Context<Self>) -> Self::Result {
        if let Some(addr) = self.resident_route(id) {
            return Box::pin(actix::fut::ready(Ok(Some((id, addr)))));
        }
        let chain = self.snapshot.load().chain.id.clone();
        let store = self.parts.store.clone();
        let loaded =
            async move { store.read(move |conn| store::member::load_living(conn, &chain, id)).await };
        Box::pin(loaded.into_actor(self).map(move |loaded, this, _| {
            let Some(member) = loaded? else { return Ok(None) };
            let id = member.id;
            // Somebody may have spawned it meanwhile.
            let addr = this.resident_route(id).unwrap_or_else(|| this.spawn(member.into()));
            Ok(Some((id, addr)))
        }))
    }
}

impl Handler<Forget> for ChainActor {
    type Result = ();

    fn handle(&mut self, Forget(id): Forget, _: &mut Context<Self>) {
        self.forget(id);
    }
}

/// Find a member when the look-up that runs has read the store before anything was in it. For tests.
#[cfg(test)]
#[derive(Debug, Message)]
#[rtype(result = "Result<Route, EngineError>")]
pub(super) struct FindTooEarly(pub(super) Find);

#[cfg(test)]
impl Handler<FindTooEarly> for ChainActor {
    type Result = ResponseFuture<Result<Route, EngineError>>;

    fn handle(&mut self, FindTooEarly(find): FindTooEarly, ctx: &mut Context<Self>) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        let pending = Pending { event: find.event, newcomer: find.newcomer, reply };
        self.found(vec![pending], Ok(Found { orders: vec![Ok(None)], ..Found::default() }));
        self.look_up(ctx);
        Box::pin(async move { answer.await.unwrap_or(Err(EngineError::Draining)) })
    }
}

/// Stop: members end when their last message is done.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

impl Handler<Stop> for ChainActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        self.members.clear();
        ctx.stop();
    }
}
