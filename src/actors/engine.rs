//! The engine as the outside sees it: a cheap handle; every call is a message to an actor or to the journal.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use actix::{Actor, Addr, MailboxError};
use actix_rt::{Arbiter, ArbiterHandle};
use arc_swap::ArcSwap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::{Clock, Ordered, fresh_ulid};
use crate::domain::chain::ChainId;
use crate::domain::command::Command;
use crate::domain::commit::{Commit, SourceOrigin};
use crate::domain::decide::SourceInput;
use crate::domain::effect::RuleFailure;
use crate::domain::identity::MemberName;
use crate::domain::ids::{MemberId, SourceId};
use crate::domain::receipt::SourceStatus;
use crate::domain::source_event::{KeyOrigin, SourceData, SourceEvent};
use crate::domain::text::Key;
use crate::rules::decide::announce;
use crate::rules::diagnostic::Diagnostic;
use crate::store::commit::Written;
use crate::store::source_event::StoredSource;
use crate::store::{self, Store};
use crate::telemetry::Metrics;

use super::api_keys::KeyUses;
use super::chain::{ChainActor, Find, FindById, Forget, Learn, MemberRoute, Residency, Route};
use super::coupons::CouponLocks;
use super::endpoints::Endpoints;
pub use super::error::{EngineError, EventRef, FilterProblem, TransformProblem};
use super::journal::{Committed, Journal, Nudges};
use super::kept::was_parked;
use super::member::{Applied, Apply, Escort, MemberActor, MemberParts, Wake, first_answer, repeat};
use super::news::News;
use super::once::UnderWay;
use super::retention::Retention;
use super::snapshot::{ChainSnapshot, no_rules};

/// How often an event is routed again when its member's actor turned out to be dead.
const MAX_ROUTES: usize = 4;

/// Programs that are checked at once.
const MAX_CHECKS: usize = 2;

/// When the POS is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerWhen {
    /// When decided and durable.
    Decided,
    /// When durable; decided afterwards (`Prefer: respond-async`).
    Kept,
}

/// The answer to a source event.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The receipt's JSON.
    pub receipt: String,
    /// Whether it repeats an earlier answer.
    pub duplicate: bool,
    /// `processed`, `parked`, `failed`, `accepted`, `refused`.
    pub status: SourceStatus,
}

/// A running chain.
#[derive(Clone)]
pub(super) struct ChainHandle {
    pub(super) snapshot: Arc<ArcSwap<ChainSnapshot>>,
    pub(super) addr: Addr<ChainActor>,
}

/// What the engine is built from.
#[derive(Debug)]
pub struct EngineParts {
    /// Where everything is.
    pub store: Store,
    /// The engine's clock.
    pub clock: Clock,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Source events that may be inside the engine at once; beyond that the door answers 503.
    pub max_in_flight: usize,
    /// How many members stay in memory.
    pub residency: Residency,
    /// For how long things are kept.
    pub retention: Retention,
    /// Threads for members.
    pub threads: usize,
}

/// The engine.
#[derive(Clone)]
pub struct Engine(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) clock: Clock,
    pub(super) store: Store,
    pub(super) journal: Journal,
    pub(super) nudges: Nudges,
    pub(super) metrics: Arc<Metrics>,
    pub(super) chains: ArcSwap<BTreeMap<ChainId, ChainHandle>>,
    /// Folders that would be chains if their `program.toml` checked: without it nobody knows currency and calendar.
    pub(super) unborn: Mutex<BTreeMap<ChainId, Arc<[Diagnostic]>>>,
    pub(super) endpoints: Endpoints,
    pub(super) key_uses: KeyUses,
    /// One change of configuration at a time.
    pub(super) configuring: tokio::sync::Mutex<()>,
    /// Requests with keys that are being carried out.
    pub(super) under_way: UnderWay,
    /// One look after the lanes at a time: a change of them may take long.
    pub(super) laning: tokio::sync::Mutex<()>,
    /// Few programs are checked at a time: it takes a processor each.
    pub(super) checking: Semaphore,
    /// One look ahead at a recovery at a time: it may read the whole log.
    pub(super) foreseeing: Semaphore,
    /// One merge at a time: two that concern the same members would wait for each other.
    merging: tokio::sync::Mutex<()>,
    /// One look through what was claimed at a time: two would decide the same.
    pub(super) claiming: tokio::sync::Mutex<()>,
    /// One member is forgotten in the log at a time.
    pub(super) forgetting: tokio::sync::Mutex<()>,
    /// One fit of a churn model at a time.
    pub(super) learning: tokio::sync::Mutex<()>,
    /// One move of the test clock at a time.
    pub(super) advancing: tokio::sync::Mutex<()>,
    pub(super) admission: Arc<Semaphore>,
    max_in_flight: usize,
    draining: AtomicBool,
    member_parts: Arc<MemberParts>,
    member_arbiters: Arc<[ArbiterHandle]>,
    pub(super) control: ArbiterHandle,
    pub(super) line_ids: Ordered,
    residency: Residency,
    pub(super) retention: Retention,
}

impl Engine {
    /// Starts the threads. Chains are added by [`Engine::load_chains`].
    pub fn start(parts: EngineParts, endpoints: Endpoints, nudges: Nudges, journal: Journal) -> Self {
        let arbiters: Vec<_> = (0..parts.threads.max(1)).map(|_| Arbiter::new().handle()).collect();
        let member_parts = MemberParts {
            journal: journal.clone(),
            store: parts.store.clone(),
            clock: parts.clock.clone(),
            metrics: parts.metrics.clone(),
            coupon_locks: CouponLocks::default(),
        };
        Self(Arc::new(Inner {
            clock: parts.clock,
            store: parts.store,
            journal,
            nudges,
            metrics: parts.metrics,
            chains: ArcSwap::default(),
            unborn: Mutex::default(),
            endpoints,
            key_uses: KeyUses::default(),
            configuring: tokio::sync::Mutex::new(()),
            under_way: UnderWay::default(),
            laning: tokio::sync::Mutex::new(()),
            checking: Semaphore::new(MAX_CHECKS),
            foreseeing: Semaphore::new(1),
            merging: tokio::sync::Mutex::new(()),
            claiming: tokio::sync::Mutex::new(()),
            forgetting: tokio::sync::Mutex::new(()),
            learning: tokio::sync::Mutex::new(()),
            advancing: tokio::sync::Mutex::new(()),
            admission: Arc::new(Semaphore::new(parts.max_in_flight)),
            max_in_flight: parts.max_in_flight,
            draining: AtomicBool::new(false),
            member_parts: Arc::new(member_parts),
            member_arbiters: arbiters.into(),
            control: Arbiter::new().handle(),
            line_ids: Ordered::default(),
            residency: parts.residency,
            retention: parts.retention,
        }))
    }

    /// The engine's clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Whether new work is refused because the process is about to end.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// The current configuration of a chain.
    pub fn chain(&self, id: &str) -> Option<Arc<ChainSnapshot>> {
        self.0.chains.load().get(id).map(|handle| handle.snapshot.load_full())
    }

    /// The current configuration of a chain.
    ///
    /// # Errors
    /// `NotFound`; [`EngineError::NoRules`] when the chain waits for a `program.toml` that checks.
    pub fn known_chain(&self, id: &str) -> Result<Arc<ChainSnapshot>, EngineError> {
        self.chain(id).ok_or_else(|| {
            self.unborn().get(id).map_or(EngineError::NotFound("chain"), |problems| no_rules(problems))
        })
    }

    pub(super) fn unborn(&self) -> MutexGuard<'_, BTreeMap<ChainId, Arc<[Diagnostic]>>> {
        self.0.unborn.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// All chains, by id.
    pub fn chains(&self) -> Vec<Arc<ChainSnapshot>> {
        self.0.chains.load().values().map(|handle| handle.snapshot.load_full()).collect()
    }

    /// Adds a chain's actor for this configuration.
    pub(super) fn run_chain(&self, snapshot: ChainSnapshot) -> Arc<ChainSnapshot> {
        let id = snapshot.chain.id.clone();
        let shared = Arc::new(ArcSwap::from_pointee(snapshot));
        let handle = ChainHandle { addr: self.spawn_chain(shared.clone()), snapshot: shared.clone() };
        self.0.chains.rcu(|chains| {
            let mut chains = BTreeMap::clone(chains);
            chains.insert(id.clone(), handle.clone());
            chains
        });
        shared.load_full()
    }

    fn spawn_chain(&self, snapshot: Arc<ArcSwap<ChainSnapshot>>) -> Addr<ChainActor> {
        let inner = &self.0;
        let (parts, arbiters, residency) =
            (inner.member_parts.clone(), inner.member_arbiters.clone(), inner.residency);
        ChainActor::start_in_arbiter(&inner.control, move |_| {
            ChainActor::new(snapshot, parts, arbiters, residency)
        })
    }

    pub(super) fn handle(&self, chain: &ChainId) -> Result<ChainHandle, EngineError> {
        self.0.chains.load().get(chain).cloned().ok_or(EngineError::NotFound("chain"))
    }

    /// Builds a new chain actor in place of a dead one.
    fn respawn_chain(&self, chain: &ChainId) {
        self.0.chains.rcu(|chains| {
            let mut chains = BTreeMap::clone(chains);
            if let Some(handle) = chains.get_mut(chain).filter(|handle| !handle.addr.connected()) {
                self.0.metrics.respawns.inc();
                handle.addr = self.spawn_chain(handle.snapshot.clone());
            }
            chains
        });
    }

    /// Room for one source event, at once or not at all.
    ///
    /// # Errors
    /// [`EngineError::Overloaded`], [`EngineError::Draining`].
    pub fn try_admit(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        if self.is_draining() {
            return Err(EngineError::Draining);
        }
        self.0.admission.clone().try_acquire_owned().map_err(|_| EngineError::Overloaded)
    }

    /// Room for one source event, waiting for it: for streamed batches, whose sender is slowed down instead.
    ///
    /// # Errors
    /// [`EngineError::Draining`].
    pub async fn admit(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        if self.is_draining() {
            return Err(EngineError::Draining);
        }
        self.0.admission.clone().acquire_owned().await.map_err(|_| EngineError::Draining)
    }

    /// Takes one source event through decision and commit.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn ingest(
        &self,
        chain: &ChainId,
        event: SourceEvent,
        when: AnswerWhen,
    ) -> Result<Answer, EngineError> {
        let received_at = self.0.clock.now();
        let mut input = SourceInput {
            id: SourceId::new(fresh_ulid(received_at)),
            event: Arc::new(event),
            received_at,
            from: SourceOrigin::Outside,
        };
        let named = self.name(chain, &mut input).await;
        named.map_err(|error| error.about(chain, &input))?;
        match when {
            AnswerWhen::Decided => self.decide(chain, input, None).await,
            AnswerWhen::Kept => {
                let kept = self.keep(chain, &input, SourceStatus::Accepted).await;
                let answer = kept.map_err(|error| error.about(chain, &input))?;
                if !answer.duplicate {
                    self.decide_later(chain.clone(), input);
                }
                Ok(answer)
            }
        }
    }

    /// Gives an event without a key the one under which a repeat of it would be stored.
    pub(super) async fn name(&self, chain: &ChainId, input: &mut SourceInput) -> Result<(), EngineError> {
        if input.event.key_origin == KeyOrigin::Sender {
            return Ok(());
        }
        let (of, first) = (chain.clone(), input.event.key.clone());
        let find = move |conn: &mut _| store::source_event::newest_keyless(conn, &of, &first);
        let newest = self.0.store.read(find).await?;
        let event = Arc::make_mut(&mut input.event);
        event.key = event.key_after(newest, input.received_at);
        Ok(())
    }

    pub(super) async fn decide(
        &self,
        chain: &ChainId,
        input: SourceInput,
        again: Option<Vec<RuleFailure>>,
    ) -> Result<Answer, EngineError> {
        let mut decided = self.try_decide(chain, &input, again).await;
        if let SourceOrigin::Stored { status: SourceStatus::Accepted, .. } = input.from {
            // Nobody waits for the answer, so the event has it: else it would be tried again for ever.
            decided = match decided.map_err(EngineError::into_refusal) {
                Err(Ok(refused)) => self.refuse(chain, &input, refused).await,
                Err(Err(error)) => Err(error),
                Ok(answer) => Ok(answer),
            };
        }
        decided.map_err(|error| error.about(chain, &input))
    }

    async fn try_decide(
        &self,
        chain: &ChainId,
        input: &SourceInput,
        again: Option<Vec<RuleFailure>>,
    ) -> Result<Answer, EngineError> {
        if !input.event.kind().is_about_member() {
            return self.announce(chain, input).await;
        }
        let merge = match &input.event.data {
            SourceData::Command(Command::Merge(from)) => Some((from, self.0.merging.lock().await)),
            _ => None,
        };
        for _ in 0..MAX_ROUTES {
            let handle = self.handle(chain)?;
            handle.snapshot.load().program()?;
            let route = match self.route(&handle, input).await {
                Ok(Ok(route)) => route,
                Ok(Err(error @ EngineError::NotFound(_))) => return self.known_or(chain, input, error).await,
                Ok(Err(error)) => return Err(error),
                Err(_) => {
                    died("chain", chain, input);
                    self.respawn_chain(chain);
                    continue;
                }
            };
            let Route::Member(route) = route else {
                match self.park(chain, input).await? {
                    Some(answer) => return Ok(answer),
                    None => continue,
                }
            };
            let MemberRoute { id, addr, attach, order, notes } = *route;
            let brings_identities = !attach.is_empty();
            let apply = Apply {
                input: input.clone(),
                snapshot: handle.snapshot.load_full(),
                attach,
                order,
                notes,
                again: again.clone(),
                span: tracing::Span::current(),
            };
            let escort = match &merge {
                Some((from, _)) => self.other_than(chain, &handle, id, from).await?,
                None => None,
            };
            let applied = match escort {
                Some(other) => other.send(Escort { to: addr, apply }).await,
                None => addr.send(apply).await,
            };
            match applied {
                Ok(Ok(Applied::Answered { answer, news })) => {
                    let News { learned, outdated, follow_up, awaited, to_suspend } = news;
                    if let Some(follow_up) = follow_up {
                        self.decide_later(chain.clone(), follow_up);
                    }
                    if awaited.is_some() && !was_parked(input) {
                        self.decide_claimed_later(chain.clone(), id);
                    }
                    for member in &outdated {
                        self.forget(&handle, *member).await;
                    }
                    if matches!(input.event.data, SourceData::Command(Command::Erase)) {
                        self.forget(&handle, id).await;
                        self.forget_later(chain.clone());
                    }
                    // Only now: an event that was refused must not bind an identity to anybody.
                    if (brings_identities || !outdated.is_empty()) && !learned.is_empty() {
                        let _ = handle.addr.send(Learn { member: id, identities: learned }).await;
                    }
                    self.suspend(chain, to_suspend).await;
                    return Ok(answer);
                }
                Ok(Err(error @ EngineError::Refused(_))) => return self.known_or(chain, input, error).await,
                Ok(Err(error)) => return Err(error),
                Ok(Ok(Applied::Reroute)) => self.forget(&handle, id).await,
                Err(_) => {
                    died("member", chain, input);
                    self.0.metrics.respawns.inc();
                    self.forget(&handle, id).await;
                }
            }
        }
        Err(EngineError::Overloaded)
    }

    /// What was done once may well be impossible a second time; a repeat of it is answered like the first all the same.
    async fn known_or(
        &self,
        chain: &ChainId,
        input: &SourceInput,
        error: EngineError,
    ) -> Result<Answer, EngineError> {
        if matches!(input.from, SourceOrigin::Stored { .. }) {
            return Err(error); // it is itself what is known under its key
        }
        let known = self.known(chain, &input.event.key, &input.event.body_hash).await?;
        known.ok_or(error)
    }

    /// What was answered to this body under this key, if anything was done under it.
    ///
    /// # Errors
    /// [`EngineError::KeyReused`] when it was another body.
    pub async fn answered(
        &self,
        chain: &ChainId,
        key: &Key,
        body: &[u8],
    ) -> Result<Option<Answer>, EngineError> {
        self.known(chain, key, &SourceEvent::hash_of(body)).await
    }

    pub(super) async fn known(
        &self,
        chain: &ChainId,
        key: &Key,
        body_hash: &[u8; 32],
    ) -> Result<Option<Answer>, EngineError> {
        let (of, sought) = (chain.clone(), key.clone());
        let known = self.0.store.read(move |conn| store::source_event::by_key(conn, &of, &sought)).await?;
        let again =
            |known: StoredSource| repeat(key, known.receipt, known.body_hash == *body_hash, known.status);
        known.map(again).transpose()
    }

    /// Where an event goes: to the member it names by our id, else to whom its identities or its order belong.
    async fn route(
        &self,
        handle: &ChainHandle,
        input: &SourceInput,
    ) -> Result<Result<Route, EngineError>, MailboxError> {
        let event = &input.event;
        if event.follows_its_order() || event.member.is_none() {
            let found = handle.addr.send(Find::of(input)).await?;
            if !matches!(found, Ok(Route::Nobody)) || was_parked(input) {
                return Ok(found);
            }
        }
        // What names its guest by our id is theirs, be it about an order that nobody knows yet.
        let Some(id) = event.member else { return Ok(Ok(Route::Nobody)) };
        let found = handle.addr.send(FindById(id)).await?;
        Ok(found.and_then(|addr| {
            let (id, addr) = addr.ok_or(EngineError::NotFound("member"))?;
            let attach = event.identities.clone();
            Ok(Route::Member(Box::new(MemberRoute { id, addr, attach, order: None, notes: Vec::new() })))
        }))
    }

    /// The actor of the member of that name, unless it is `me`.
    async fn other_than(
        &self,
        chain: &ChainId,
        handle: &ChainHandle,
        me: MemberId,
        name: &MemberName,
    ) -> Result<Option<Addr<MemberActor>>, EngineError> {
        let (of, name) = (chain.clone(), name.clone());
        let found = self.0.store.read(move |conn| store::member::find(conn, &of, &name)).await?;
        let Some(other) = found.filter(|other| other.id != me) else { return Ok(None) };
        let found = handle.addr.send(FindById(other.id)).await.unwrap_or(Ok(None))?;
        Ok(found.filter(|(id, _)| *id != me).map(|(_, addr)| addr))
    }

    async fn forget(&self, handle: &ChainHandle, member: MemberId) {
        // A dead chain actor has forgotten everything already.
        let _ = handle.addr.send(Forget(member)).await;
    }

    /// Decides an event that is about no guest. Nobody's state depends on it, so it waits for nobody.
    async fn announce(&self, chain: &ChainId, input: &SourceInput) -> Result<Answer, EngineError> {
        let snapshot = self.handle(chain)?.snapshot.load_full();
        let (program, now) = (snapshot.program()?, self.0.clock.now());
        match announce(program, chain, &snapshot.endpoints, input, now).map(Box::new) {
            Some(commit) => self.commit(input, commit).await,
            None => Err(EngineError::Conflict(format!("{} needs a member", input.event.kind()))),
        }
    }

    /// Writes a commit that no member's actor made.
    pub(super) async fn commit(
        &self,
        input: &SourceInput,
        commit: Box<Commit>,
    ) -> Result<Answer, EngineError> {
        let lost = || EngineError::Conflict("the event was decided by somebody else just now".to_owned());
        self.try_commit(input, commit).await?.ok_or_else(lost)
    }

    /// The same; `None` when it lost against another one.
    pub(super) async fn try_commit(
        &self,
        input: &SourceInput,
        commit: Box<Commit>,
    ) -> Result<Option<Answer>, EngineError> {
        let Committed { written, commit, receipt } = self.0.journal.commit(commit).await?;
        match (written, commit.source, receipt) {
            (Written::Duplicate { receipt, same_body, status }, ..) => {
                repeat(&input.event.key, receipt, same_body, status).map(Some)
            }
            (Written::Done, Some(source), Some(receipt)) => Ok(Some(first_answer(&source, receipt))),
            (Written::Conflict | Written::Done, ..) => Ok(None),
        }
    }

    /// Runs the ticks that are due for one member.
    pub(super) async fn wake(&self, chain: &ChainId, member: MemberId) -> Result<(), EngineError> {
        let handle = self.handle(chain)?;
        let Ok(found) = handle.addr.send(FindById(member)).await else {
            self.respawn_chain(chain);
            return Ok(()); // the next pass finds it again
        };
        let Some((_, addr)) = found? else { return Ok(()) };
        match addr.send(Wake { snapshot: handle.snapshot.load_full() }).await {
            Ok(woken) => {
                self.suspend(chain, woken?).await;
                Ok(())
            }
            Err(_) => {
                self.0.metrics.respawns.inc();
                self.forget(&handle, member).await;
                Ok(())
            }
        }
    }

    /// Refuses new work, waits until what is inside has been answered, then stops the endpoints. Answers whether
    /// everything ended before `deadline`.
    pub async fn drain(&self, deadline: Instant) -> bool {
        self.0.draining.store(true, Ordering::Release);
        let everything = self.0.admission.clone().acquire_many_owned(self.0.max_in_flight as u32);
        let left = deadline.saturating_duration_since(Instant::now());
        let empty = tokio::time::timeout(left, everything).await.is_ok();
        let left = || deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        self.0.endpoints.stop_all(left()).await;
        let _ = tokio::time::timeout(left(), self.write_key_uses()).await;
        empty
    }
}

#[cfg(test)]
impl Engine {
    /// The actor of a chain.
    pub(super) fn chain_addr(&self, chain: &ChainId) -> Addr<ChainActor> {
        self.0.chains.load()[chain].addr.clone()
    }
}

impl Engine {
    /// Ends the actors and their threads. Nothing may be asked of the engine any more; the journal's threads end when
    /// the last handle is gone.
    pub fn release(&self) {
        self.0.chains.store(Arc::default());
        self.0.endpoints.release();
        self.0.member_arbiters.iter().chain([&self.0.control]).for_each(|arbiter| _ = arbiter.stop());
    }
}

/// An actor that was to decide this event has panicked, perhaps of it. The event goes to a new one.
fn died(who: &'static str, chain: &ChainId, input: &SourceInput) {
    let (source, key) = (input.id, &input.event.key);
    tracing::error!(%chain, %source, %key, "the {who}'s actor died while this event was on its way; it is rebuilt");
}
