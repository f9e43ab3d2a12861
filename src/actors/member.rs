//! The member actor: decides for one member, one event at a time.
//!
//! It holds nothing that the store cannot rebuild. Whenever a commit fails or loses against another writer, the state
//! is dropped and the next decision starts from the store.

use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, ActorFutureExt, Addr, AtomicResponse, Context, Handler, Message, WrapFuture};
use tracing::Instrument as _;

use crate::clock::{Clock, fresh_ulid};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::claim::Claim;
use crate::domain::command::Command;
use crate::domain::commit::{Commit, SourceChange, SourceOrigin};
use crate::domain::decide::{Occasion, SourceInput, Undecided};
use crate::domain::desk::Wanted;
use crate::domain::effect::{FailureCode, RuleFailure};
use crate::domain::identity::Identity;
use crate::domain::ids::MemberId;
use crate::domain::member::Member;
use crate::domain::merge::{Guest, Tombstones};
use crate::domain::order::OrderRecord;
use crate::domain::receipt::{Receipt, SourceStatus};
use crate::domain::refusal::Refused;
use crate::domain::schedule::TickType;
use crate::domain::shared::Shared;
use crate::domain::source_event::{SourceData, SourceType};
use crate::domain::suspension::Suspension;
use crate::domain::text::Key;
use crate::rules::decide::{Case, decide_and_watch};
use crate::store::commit::Written;
use crate::store::{self, DbConn, Store};
use crate::telemetry::{ChainLabels, Metrics};

use super::coupons::{Clerk, CouponLocks, LaidOut};
use super::engine::{Answer, EngineError};
use super::journal::{Committed, Journal};
use super::news::News;
use super::snapshot::ChainSnapshot;

/// How often a decision that lost against another writer is made again before the caller is asked to.
const MAX_LOSSES: usize = 8;
/// How often a decision is made in all, the times included when it lacked something that was looked up then.
pub(super) const MAX_TRIES: usize = 32;
/// Messages that may wait for one member; the door admits events, so this only bounds one very hot member.
const MAILBOX: usize = 1_024;

/// What all members share.
#[derive(Debug, Clone)]
pub struct MemberParts {
    /// Where commits go.
    pub journal: Journal,
    /// Where state comes from.
    pub store: Store,
    /// The engine's clock.
    pub clock: Clock,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where decisions about one coupon stand in line.
    pub coupon_locks: CouponLocks,
}

/// Decides for one member.
#[derive(Debug)]
pub struct MemberActor {
    id: MemberId,
    chain: ChainId,
    /// `None` when the store knows better.
    state: Option<Shared<Member>>,
    parts: Arc<MemberParts>,
}

impl MemberActor {
    /// An actor that starts from `state`.
    pub fn new(chain: ChainId, state: Shared<Member>, parts: Arc<MemberParts>) -> Self {
        Self { id: state.id, chain, state: Some(state), parts }
    }
}

impl Actor for MemberActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

/// What became of an event that was given to a member.
#[derive(Debug)]
pub enum Applied {
    /// It is durable.
    Answered {
        /// What the POS is told.
        answer: Answer,
        /// What it means for finding members.
        news: News,
    },
    /// Meanwhile its identities came to belong to another member: find the member again.
    Reroute,
}

/// Apply one source event; answered only once its commit is durable.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Applied, EngineError>")]
pub struct Apply {
    /// The event.
    pub input: SourceInput,
    /// The configuration to decide under.
    pub snapshot: Arc<ChainSnapshot>,
    /// Identities of the event that belong to nobody yet.
    pub attach: Vec<Identity>,
    /// The order it names, when that had to be looked up to find the member.
    pub order: Option<OrderRecord>,
    /// Sentences for the receipt.
    pub notes: Vec<Box<str>>,
    /// For a replay: what failed, which alone runs again.
    pub again: Option<Vec<RuleFailure>>,
    /// The request it came with, for the log.
    pub span: tracing::Span,
}

/// Lend an ear to nobody else while another member decides on something that concerns both. Otherwise a guest who comes
/// all the time would have changed whenever the other one is done.
#[derive(Debug, Message)]
#[rtype(result = "Result<Applied, EngineError>")]
pub struct Escort {
    /// Who decides.
    pub to: Addr<MemberActor>,
    /// What.
    pub apply: Apply,
}

/// Run the ticks that are due for the member. Answers which rules have failed for too many members in a row.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Vec<Suspension>, EngineError>")]
pub struct Wake {
    /// The configuration to decide under.
    pub snapshot: Arc<ChainSnapshot>,
}

impl Handler<Apply> for MemberActor {
    type Result = AtomicResponse<Self, Result<Applied, EngineError>>;

    fn handle(&mut self, apply: Apply, _: &mut Context<Self>) -> Self::Result {
        let (work, span) = (self.work(), apply.span.clone());
        let applied = work.apply(apply).instrument(span).into_actor(self).map(|(state, answer), this, _| {
            this.state = state;
            answer
        });
        AtomicResponse::new(Box::pin(applied))
    }
}

impl Handler<Escort> for MemberActor {
    type Result = AtomicResponse<Self, Result<Applied, EngineError>>;

    fn handle(&mut self, Escort { to, apply }: Escort, _: &mut Context<Self>) -> Self::Result {
        self.state = None; // it is about to be another one
        let applied = async move { to.send(apply).await.unwrap_or(Ok(Applied::Reroute)) };
        AtomicResponse::new(Box::pin(applied.into_actor(self)))
    }
}

impl Handler<Wake> for MemberActor {
    type Result = AtomicResponse<Self, Result<Vec<Suspension>, EngineError>>;

    fn handle(&mut self, wake: Wake, _: &mut Context<Self>) -> Self::Result {
        let work = self.work();
        let woken = work.wake(wake.snapshot).into_actor(self).map(|(state, answer), this, _| {
            this.state = state;
            answer
        });
        AtomicResponse::new(Box::pin(woken))
    }
}

/// Panics, as a bug would. For tests of what follows.
#[cfg(test)]
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Panic;

#[cfg(test)]
impl Handler<Panic> for MemberActor {
    type Result = ();

    fn handle(&mut self, _: Panic, _: &mut Context<Self>) {
        panic!("asked to");
    }
}

/// Keeps the actor from its next message. For tests.
#[cfg(test)]
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Busy(pub(super) std::time::Duration);

#[cfg(test)]
impl Handler<Busy> for MemberActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, Busy(time): Busy, _: &mut Context<Self>) -> Self::Result {
        AtomicResponse::new(Box::pin(actix_rt::time::sleep(time).into_actor(self)))
    }
}

impl MemberActor {
    /// Takes the state out for one message; no other message is handled until it is put back.
    fn work(&mut self) -> Work {
        Work { id: self.id, chain: self.chain.clone(), state: self.state.take(), parts: self.parts.clone() }
    }
}

/// What became of a decision.
enum Outcome {
    /// It was made, and is to be written; and which rules did what they say, as far as that matters.
    Decided(Box<Commit>, Vec<Arc<str>>),
    /// It is made again when this lies on the desk.
    Lacks(Box<Wanted>),
}

/// The state of the member while one message is worked on.
struct Work {
    id: MemberId,
    chain: ChainId,
    state: Option<Shared<Member>>,
    parts: Arc<MemberParts>,
}

impl Work {
    async fn apply(mut self, apply: Apply) -> (Option<Shared<Member>>, Result<Applied, EngineError>) {
        let answer = self.try_apply(apply).await;
        (self.state, answer)
    }

    async fn try_apply(&mut self, apply: Apply) -> Result<Applied, EngineError> {
        let Apply { input, snapshot, mut attach, mut order, notes, again, span: _ } = apply;
        // A new order is taken to be unknown; if it is not, the fence says so and it is looked up.
        let order_id = input.event.data.order_id().cloned();
        let stored = matches!(input.from, SourceOrigin::Stored { .. });
        // Somebody first seen now is in no store yet: after a conflict about the order we start from them again.
        let newcomer = self.state.clone().filter(|member| member.version == 0);
        let (mut wanted, mut lost) = (Wanted::default(), 0);
        for attempt in 0..MAX_TRIES {
            let laid = self.lay_out(&wanted).await?;
            if attempt > 0 || stored || input.event.member.is_some() {
                order = self.load_order(order_id.as_ref()).await?;
                if input.event.member.is_some() && input.event.kind() == SourceType::MemberUpdated {
                    self.refuse_taken(&attach).await?;
                }
                attach = self.still_free(std::mem::take(&mut attach)).await?;
            }
            let member = match self.take_or_load().await? {
                Some(member) => member,
                None => match self.still_new(newcomer.as_ref()).await? {
                    Some(newcomer) => newcomer,
                    None => return Ok(Applied::Reroute),
                },
            };
            if member.heir().is_some() {
                return Ok(Applied::Reroute); // meanwhile they turned out to be somebody else
            }
            let owner = order.as_ref().and_then(|order| order.member);
            if input.event.follows_its_order() && owner.is_some_and(|owner| !member.answers_for(owner)) {
                self.state = Some(member);
                return Ok(Applied::Reroute); // the order came meanwhile, and it is another guest's
            }
            let mut desk = laid.desk.clone();
            desk.guest = self.guest(&input.event.data).await?.map(Box::new);
            desk.tombstones = self.tombstones(&member).await?;
            desk.claim = self.claim(&input.event.data).await?;
            let case = Case {
                member,
                order: order.clone(),
                attach: attach.clone(),
                notes: notes.clone(),
                occasion: Occasion::Source(input.clone()),
                foresight: snapshot.learned.foresight.clone(),
                again: again.clone(),
                desk,
                now: self.parts.clock.now(),
            };
            let (commit, succeeded) = match self.decide(&snapshot, case)? {
                Outcome::Decided(commit, succeeded) => (commit, succeeded),
                Outcome::Lacks(more) => {
                    wanted.add(*more);
                    continue;
                }
            };
            let Committed { written, mut commit, receipt } = self.parts.journal.commit(commit).await?;
            match written {
                Written::Done => {
                    let to_suspend = self.take_note(&snapshot, &commit, &succeeded);
                    let news = News::of(&mut commit, to_suspend);
                    let (Some(source), Some(receipt)) = (self.fold(*commit), receipt) else {
                        return Ok(Applied::Reroute);
                    };
                    self.tell_failures(&source);
                    return Ok(Applied::Answered { answer: first_answer(&source, receipt), news });
                }
                Written::Duplicate { receipt, same_body, status } => {
                    let answer = repeat(&input.event.key, receipt, same_body, status)?;
                    return Ok(Applied::Answered { answer, news: News::default() });
                }
                Written::Conflict => {
                    self.parts.metrics.conflicts.inc();
                    self.still_open(&input).await?;
                    lost += 1;
                    if lost == MAX_LOSSES {
                        break;
                    }
                }
            }
        }
        Err(EngineError::Overloaded)
    }

    /// Whether a stored event is still to be decided: somebody else may have done it meanwhile.
    async fn still_open(&self, input: &SourceInput) -> Result<(), EngineError> {
        let SourceOrigin::Stored { status, runs } = input.from else { return Ok(()) };
        let (chain, id) = (self.chain.clone(), input.id);
        let stored = self.parts.store.read(move |conn| store::source_event::get(conn, &chain, id)).await?;
        match stored {
            Some(stored) if (stored.status, stored.runs) != (status, runs) => {
                Err(EngineError::Conflict("the event was decided by somebody else just now".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The order that a command claims, as far as it is known.
    async fn claim(&self, data: &SourceData) -> Result<Option<Claim>, EngineError> {
        let SourceData::Command(Command::ClaimOrder(code)) = data else { return Ok(None) };
        let (chain, code) = (self.chain.clone(), code.clone());
        Ok(self.parts.store.read(move |conn| store::parked::find(conn, &chain, &code)).await?)
    }

    /// Whom a merge is about besides the survivor, as stored.
    async fn guest(&self, data: &SourceData) -> Result<Option<Guest>, EngineError> {
        let SourceData::Command(Command::Merge(from)) = data else { return Ok(None) };
        let (chain, from) = (self.chain.clone(), from.clone());
        let found = self.parts.store.read(move |conn| store::member::find(conn, &chain, &from)).await?;
        let Some(member) = found else { return Ok(None) };
        let tombstones = self.tombstones(&member).await?;
        Ok(Some(Guest { member, tombstones }))
    }

    /// Everybody whom the member has absorbed, as stored. Most members have nobody.
    async fn tombstones(&self, member: &Member) -> Result<Tombstones, EngineError> {
        if member.absorbed.ids().is_empty() {
            return Ok(Tombstones::default());
        }
        let (chain, absorbed) = (self.chain.clone(), member.absorbed.ids().to_vec());
        let find = move |conn: &mut DbConn| {
            absorbed.iter().filter_map(|id| store::member::load(conn, &chain, *id).transpose()).collect()
        };
        Ok(Tombstones::of(self.parts.store.read(find).await?))
    }

    /// Lays on the desk what a decision wants.
    async fn lay_out(&mut self, wanted: &Wanted) -> Result<LaidOut, EngineError> {
        if wanted.is_empty() {
            return Ok(LaidOut::default());
        }
        if self.state.is_none() {
            self.state = self.load().await?;
        }
        let absorbed = self.state.iter().flat_map(|member| member.absorbed.ids()).copied().collect();
        let MemberParts { store, clock, coupon_locks: locks, .. } = &*self.parts;
        let clerk = Clerk { locks, store, clock, chain: &self.chain, member: self.id, absorbed };
        Ok(Box::pin(clerk.lay_out(wanted)).await?) // rare, and large
    }

    async fn wake(
        mut self,
        snapshot: Arc<ChainSnapshot>,
    ) -> (Option<Shared<Member>>, Result<Vec<Suspension>, EngineError>) {
        let answer = self.try_wake(&snapshot).await;
        (self.state, answer)
    }

    async fn try_wake(&mut self, snapshot: &ChainSnapshot) -> Result<Vec<Suspension>, EngineError> {
        // All of it as of one instant: what falls due while it is worked on is found by the next look.
        let now = self.parts.clock.now();
        let due = self.due_ticks(snapshot, now).await?;
        // Every commit arms the next one that is due, so that whatever happens between two, none is lost or repeated.
        let mut to_suspend = Vec::new();
        let then = due.iter().skip(1).map(|(at, _)| Some(*at)).chain([None]);
        for ((_, tick), then) in due.iter().zip(then) {
            let occasion = match tick {
                Some(kind) => Occasion::Tick { kind: *kind, id: fresh_ulid(now), then },
                None => Occasion::Due { id: fresh_ulid(now) },
            };
            match self.run_tick(snapshot, occasion, now).await? {
                Some(more) => to_suspend.extend(more),
                None => break, // somebody else was faster: the next pass of the scheduler looks again
            }
        }
        Ok(to_suspend)
    }

    /// Runs one tick. Answers which rules are to be suspended for it; `None` when it was not written.
    async fn run_tick(
        &mut self,
        snapshot: &ChainSnapshot,
        occasion: Occasion,
        now: Timestamp,
    ) -> Result<Option<Vec<Suspension>>, EngineError> {
        let mut wanted = Wanted::default();
        for _ in 0..MAX_TRIES {
            let laid = self.lay_out(&wanted).await?;
            let Some(member) = self.take_or_load().await? else { return Ok(None) };
            let mut desk = laid.desk.clone();
            desk.tombstones = self.tombstones(&member).await?;
            let case = Case {
                member,
                order: None,
                attach: Vec::new(),
                notes: Vec::new(),
                occasion: occasion.clone(),
                foresight: snapshot.learned.foresight.clone(),
                again: None,
                desk,
                now,
            };
            let (commit, succeeded) = match self.decide(snapshot, case)? {
                Outcome::Decided(commit, succeeded) => (commit, succeeded),
                Outcome::Lacks(more) => {
                    wanted.add(*more);
                    continue;
                }
            };
            let Committed { written, commit, .. } = self.parts.journal.commit(commit).await?;
            if written != Written::Done {
                return Ok(None);
            }
            let to_suspend = self.take_note(snapshot, &commit, &succeeded);
            if let Some(kept) = self.fold(*commit) {
                self.tell_failures(&kept);
            }
            return Ok(Some(to_suspend));
        }
        Ok(None)
    }

    /// What fell due for the member.
    async fn due_ticks(
        &mut self,
        snapshot: &ChainSnapshot,
        now: Timestamp,
    ) -> Result<Vec<(Timestamp, Option<TickType>)>, EngineError> {
        if self.state.is_none() {
            self.state = self.load().await?;
        }
        let Some(member) = self.state.as_ref() else { return Ok(Vec::new()) };
        Ok(snapshot.program_for(member.id, None)?.due(member, now))
    }

    /// Decides. The state is out of our hands until the journal has answered well to what comes of it.
    fn decide(&self, snapshot: &ChainSnapshot, case: Case) -> Result<Outcome, EngineError> {
        let program = snapshot.program_for(case.member.id, case.occasion.location())?;
        let started = Instant::now();
        let decided = decide_and_watch(program, &self.chain, &snapshot.endpoints, case);
        self.parts.metrics.decide_seconds.observe(started.elapsed().as_secs_f64());
        match decided {
            Ok((commit, succeeded)) => Ok(Outcome::Decided(Box::new(commit), succeeded)),
            Err(Undecided::Lacks(wanted)) => Ok(Outcome::Lacks(wanted)),
            Err(Undecided::Refused(refused)) => Err(refused.into()),
        }
    }

    /// Keeps what the commit made of the member; hands on what it made of the source event.
    fn fold(&mut self, commit: Commit) -> Option<SourceChange> {
        self.state = commit.member.map(|mut member| {
            member.version += 1;
            member
        });
        commit.source
    }

    /// How the rules did counts once it is durable. Answers which are to be suspended.
    fn take_note(
        &self,
        snapshot: &ChainSnapshot,
        commit: &Commit,
        succeeded: &[Arc<str>],
    ) -> Vec<Suspension> {
        let receipt = commit.source.as_ref().map(|source| &source.receipt);
        let failures = receipt.map_or(&[][..], |receipt| &receipt.errors);
        let program = match receipt {
            Some(receipt) => snapshot.programs().find(|program| program.version == receipt.program_version),
            None => snapshot.program_for(self.id, None).ok(),
        };
        program.map_or_else(Vec::new, |program| {
            program.take_note(self.id, failures, succeeded, commit.decided_at)
        })
    }

    /// The receipt has them too; but nobody may read it before somebody wonders. That a rule is suspended was said.
    fn tell_failures(&self, change: &SourceChange) {
        let (chain, source, key) = (&self.chain, change.id, &change.event.key);
        let errors = change.receipt.errors.iter().filter(|failure| failure.code != FailureCode::Suspended);
        for RuleFailure { rule, at, error, .. } in errors {
            self.parts.metrics.rule_failures.get_or_create(&ChainLabels { chain: chain.to_string() }).inc();
            tracing::warn!(%chain, %source, %key, rule, at, error, "a rule failed");
        }
    }

    /// The state at hand, else the store's. `None` when neither has it: another node enrolled the guest first.
    async fn take_or_load(&mut self) -> Result<Option<Shared<Member>>, EngineError> {
        match self.state.take() {
            Some(member) => Ok(Some(member)),
            None => self.load().await,
        }
    }

    /// The newcomer, unless one of their identities came to belong to somebody else meanwhile.
    async fn still_new(
        &self,
        newcomer: Option<&Shared<Member>>,
    ) -> Result<Option<Shared<Member>>, EngineError> {
        let Some(newcomer) = newcomer else { return Ok(None) };
        let free = self.still_free(newcomer.identities.clone()).await?;
        Ok((free.len() == newcomer.identities.len()).then(|| newcomer.clone()))
    }

    async fn load(&self) -> Result<Option<Shared<Member>>, EngineError> {
        let (chain, id) = (self.chain.clone(), self.id);
        Ok(self.parts.store.read(move |conn| store::member::load(conn, &chain, id)).await?.map(Shared::from))
    }

    async fn load_order(&self, order_id: Option<&Key>) -> Result<Option<OrderRecord>, EngineError> {
        let Some(order_id) = order_id.cloned() else { return Ok(None) };
        let chain = self.chain.clone();
        Ok(self.parts.store.read(move |conn| store::order::load(conn, &chain, &order_id)).await?)
    }

    async fn owners(&self, identities: Vec<Identity>) -> Result<Vec<(Identity, MemberId)>, EngineError> {
        let chain = self.chain.clone();
        Ok(self.parts.store.read(move |conn| store::member::owners(conn, &chain, &identities)).await?)
    }

    /// Who gives identities to a member named by our id means that one and no other: somebody else's are a mistake.
    async fn refuse_taken(&self, identities: &[Identity]) -> Result<(), EngineError> {
        if identities.is_empty() {
            return Ok(());
        }
        let owners = self.owners(identities.to_vec()).await?;
        match owners.into_iter().find(|(_, owner)| *owner != self.id) {
            None => Ok(()),
            Some((taken, _)) => {
                Err(Refused::new("identity_taken", format!("{taken} belongs to another member")).into())
            }
        }
    }

    async fn still_free(&self, identities: Vec<Identity>) -> Result<Vec<Identity>, EngineError> {
        if identities.is_empty() {
            return Ok(identities);
        }
        let owners = self.owners(identities.clone()).await?;
        Ok(identities.into_iter().filter(|i| !owners.iter().any(|(taken, _)| taken == i)).collect())
    }
}

/// The answer to a source event that was committed just now.
pub fn first_answer(source: &SourceChange, receipt: String) -> Answer {
    Answer { receipt, duplicate: false, status: source.status() }
}

/// The answer to a source event whose key is known already.
///
/// # Errors
/// [`EngineError::KeyReused`] when the bodies differ.
pub fn repeat(
    key: &Key,
    receipt: String,
    same_body: bool,
    status: SourceStatus,
) -> Result<Answer, EngineError> {
    if !same_body {
        return Err(EngineError::KeyReused { key: key.to_string() });
    }
    let receipt = Receipt::as_duplicate(&receipt);
    Ok(Answer { receipt, duplicate: true, status })
}
