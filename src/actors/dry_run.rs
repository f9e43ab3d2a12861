//! Dry runs: the way of an event up to its decision, and no further. Nothing is written, and no actor hears of it: who the
//! guest is comes from the store alone.

use std::sync::Arc;

use crate::clock::fresh_ulid;
use crate::domain::Timestamp;
use crate::domain::chain::{Chain, ChainId};
use crate::domain::commit::SourceOrigin;
use crate::domain::decide::{Occasion, SourceInput, Undecided, keep};
use crate::domain::desk::{Desk, Wanted};
use crate::domain::identity::{Identity, Whose, whose};
use crate::domain::ids::{MemberId, SourceId};
use crate::domain::member::Member;
use crate::domain::merge::Tombstones;
use crate::domain::order::OrderRecord;
use crate::domain::receipt::SourceStatus;
use crate::domain::refusal::Refused;
use crate::domain::source_event::{SourceEvent, SourceType};
use crate::domain::text::Name;
use crate::rules::decide::Case;
pub use crate::rules::dry_run::Forecast;
use crate::rules::dry_run::{Arm, forecast, forecast_announcement};
use crate::rules::program::{Program, Sources};
use crate::store::{self, DbConn, StoreError, at_one_instant};

use super::coupons::{Clerk, CouponLocks};
use super::engine::{Engine, EngineError};
use super::member::MAX_TRIES;
use super::programs::blocking;
use super::publish::{Diagnostic, PublishError};
use super::snapshot::ChainSnapshot;

/// The program that an event is tried with.
#[derive(Debug)]
pub enum Candidate {
    /// The one that would decide: the one in force, or the candidate, if the guest is among those who try it.
    InForce,
    /// One that was published once.
    Version(i64),
    /// One that was not published yet. Its tests are not run.
    Files(Sources),
}

/// What an event is tried with.
#[derive(Debug, Clone)]
enum Tried {
    /// This, whoever the guest is.
    Asked(Arc<Program>),
    /// What would decide.
    Running(Arc<ChainSnapshot>),
}

impl Tried {
    /// What decides of a member there.
    fn of(&self, member: MemberId, location: Option<&Name>) -> Result<Arc<Program>, EngineError> {
        match self {
            Self::Asked(program) => Ok(program.clone()),
            Self::Running(snapshot) => snapshot.program_for(member, location).cloned(),
        }
    }

    /// What decides where there is no member.
    fn of_nobody(&self) -> Result<Arc<Program>, EngineError> {
        match self {
            Self::Asked(program) => Ok(program.clone()),
            Self::Running(snapshot) => snapshot.program().cloned(),
        }
    }

    /// On which side the guest is, while a candidate is tried.
    fn arm(&self, program: &Program) -> Option<Arm> {
        let Self::Running(snapshot) = self else { return None };
        let candidate = snapshot.candidate.as_ref()?;
        Some(if candidate.program.version == program.version { Arm::Candidate } else { Arm::Stable })
    }
}

/// The guest of an event, and what else the store knows of it.
struct Guest {
    member: Member,
    attach: Vec<Identity>,
    notes: Vec<Box<str>>,
    order: Option<OrderRecord>,
    tombstones: Tombstones,
}

/// Whose an event would be.
enum Found {
    Guest(Box<Guest>),
    /// It would be parked.
    Nobody,
    /// It names our id of nobody.
    NoSuchMember,
    /// It would give somebody an identity that is another member's.
    Taken(Identity),
}

impl Engine {
    /// Says what would happen of an event now.
    ///
    /// # Errors
    /// As [`Engine::ingest`]; and of a candidate, that it does not check.
    pub async fn dry_run(
        &self,
        chain: &ChainId,
        event: SourceEvent,
        candidate: Candidate,
    ) -> Result<Forecast, PublishError> {
        let snapshot = self.snapshot(chain)?;
        let tried = self.to_try(&snapshot, candidate).await?;
        let program = tried.of_nobody()?;
        let now = self.0.clock.now();
        let (id, from) = (SourceId::new(fresh_ulid(now)), SourceOrigin::Outside);
        let mut input = SourceInput { id, event: Arc::new(event), received_at: now, from };
        self.name(chain, &mut input).await?;
        if let Some(answer) = self.known(chain, &input.event.key, &input.event.body_hash).await? {
            return Ok(Forecast::known(answer.receipt));
        }
        let endpoints = &snapshot.endpoints;
        if let Some(announced) = forecast_announcement(&program, chain, endpoints, &input, now) {
            return Ok(announced);
        }
        match self.guest(chain, &tried, &input).await? {
            Found::Guest(guest) => {
                let program = tried.of(guest.member.id, input.event.location.as_ref())?;
                let arm = tried.arm(&program);
                Ok(self.forecast(&snapshot, program, input, *guest).await?.on(arm))
            }
            Found::Nobody => {
                let kept = keep(program.frame(chain), input, SourceStatus::Parked, now);
                Ok(Forecast::kept(&kept))
            }
            Found::NoSuchMember => Err(EngineError::NotFound("member").into()),
            Found::Taken(taken) => {
                let problem = format!("{taken} belongs to another member");
                Err(EngineError::from(Refused::new("identity_taken", problem)).into())
            }
        }
    }

    async fn to_try(
        &self,
        snapshot: &Arc<ChainSnapshot>,
        candidate: Candidate,
    ) -> Result<Tried, PublishError> {
        let chain = snapshot.chain.clone();
        let in_force = snapshot.program.as_ref().map_or(0, |program| program.version);
        type Load = fn(&Sources, &Chain, i64) -> Result<Program, Vec<Diagnostic>>;
        let (sources, version, load): (Sources, _, Load) = match candidate {
            Candidate::InForce => return Ok(Tried::Running(snapshot.clone())),
            Candidate::Version(version) => {
                (self.sources_of(&chain.id, version).await?, version, Program::load_published)
            }
            Candidate::Files(sources) => (sources, in_force + 1, Program::load),
        };
        let _few_at_a_time = self.0.checking.acquire().await;
        let endpoints = snapshot.endpoints.clone();
        let load = move || load(&sources, &chain, version).map(|program| program.asking(&endpoints));
        let loaded = blocking(load).await;
        Ok(Tried::Asked(Arc::new(loaded.map_err(PublishError::DoesNotCheck)?)))
    }

    async fn guest(&self, chain: &ChainId, tried: &Tried, input: &SourceInput) -> Result<Found, EngineError> {
        // A newcomer is known by the id of the event.
        let newcomer = tried.of(MemberId::new(input.id.ulid()), input.event.location.as_ref())?;
        let (chain, input) = (chain.clone(), input.clone());
        let look = move |conn: &mut DbConn| find(conn, &chain, &newcomer, &input);
        Ok(self.0.store.read(move |conn| at_one_instant(conn, look)).await?)
    }

    /// Decides as the member's actor would, with what the decision lacks looked up in the same way. Only that nobody else
    /// waits meanwhile: what is decided about coupons here comes to nothing.
    async fn forecast(
        &self,
        snapshot: &Arc<ChainSnapshot>,
        program: Arc<Program>,
        input: SourceInput,
        guest: Guest,
    ) -> Result<Forecast, EngineError> {
        let (locks, mut wanted) = (CouponLocks::default(), Wanted::default());
        let Guest { member, attach, notes, order, tombstones } = guest;
        let clerk = Clerk {
            locks: &locks,
            store: &self.0.store,
            clock: &self.0.clock,
            chain: &snapshot.chain.id,
            member: member.id,
            absorbed: member.absorbed.ids().to_vec(),
        };
        for _ in 0..MAX_TRIES {
            let laid = match wanted.is_empty() {
                true => Desk::default(),
                false => Box::pin(clerk.lay_out(&wanted)).await?.desk.clone(),
            };
            let case = Case {
                member: member.clone().into(),
                order: order.clone(),
                attach: attach.clone(),
                notes: notes.clone(),
                occasion: Occasion::Source(input.clone()),
                foresight: snapshot.learned.foresight.clone(),
                again: None,
                desk: Desk { tombstones: tombstones.clone(), ..laid },
                now: input.received_at,
            };
            let (program, snapshot) = (program.clone(), snapshot.clone());
            // A trigger that fails is logged by the decision; nobody must take that for something that happened.
            let span = tracing::warn_span!("dry_run");
            let decide =
                move || span.in_scope(|| forecast(&program, &snapshot.chain.id, &snapshot.endpoints, case));
            match blocking(decide).await {
                Ok(forecast) => return Ok(forecast),
                Err(Undecided::Lacks(more)) => wanted.add(*more),
                Err(Undecided::Refused(refused)) => return Err(refused.into()),
            }
        }
        Err(EngineError::Overloaded)
    }
}

/// Finds the guest of an event as the actors would, but makes nobody.
fn find(
    conn: &mut DbConn,
    chain: &ChainId,
    program: &Program,
    input: &SourceInput,
) -> Result<Found, StoreError> {
    let event = &input.event;
    let order = event.data.order_id().map(|id| store::order::load(conn, chain, id)).transpose()?.flatten();
    let owners = store::member::owners(conn, chain, &event.identities)?;
    let owner_of =
        |identity: &Identity| owners.iter().find(|(known, _)| known == identity).map(|(_, owner)| *owner);
    let mut found = Found::Nobody;
    if event.follows_its_order() || event.member.is_none() {
        let by_order = order.as_ref().filter(|_| event.follows_its_order()).and_then(|order| order.member);
        let by_order = by_order.map(|id| store::member::load_living(conn, chain, id)).transpose()?.flatten();
        let by_order = by_order.map(|living| living.id);
        let whose = whose(&event.identities, by_order, owner_of);
        found = match whose.owner {
            Some(owner) => known(conn, chain, owner, whose, order.clone())?,
            None => newcomer(program, input, whose, order.clone()),
        };
    }
    match (found, event.member) {
        (Found::Nobody, Some(id)) => {
            if let Some(taken) = taken(event, id, owner_of) {
                return Ok(Found::Taken(taken));
            }
            let attach = event.identities.iter().filter(|i| owner_of(i).is_none()).cloned().collect();
            let whose = Whose { owner: Some(id), attach, notes: Vec::new() };
            Ok(match known(conn, chain, id, whose, order)? {
                Found::Nobody => Found::NoSuchMember,
                found => found,
            })
        }
        (found, _) => Ok(found),
    }
}

/// An identity of another member, where giving it to this one would be a mistake.
fn taken(
    event: &SourceEvent,
    id: MemberId,
    owner_of: impl Fn(&Identity) -> Option<MemberId>,
) -> Option<Identity> {
    let is_taken = |identity: &&Identity| owner_of(identity).is_some_and(|owner| owner != id);
    event.identities.iter().filter(|_| event.kind() == SourceType::MemberUpdated).find(is_taken).cloned()
}

fn known(
    conn: &mut DbConn,
    chain: &ChainId,
    id: MemberId,
    whose: Whose,
    order: Option<OrderRecord>,
) -> Result<Found, StoreError> {
    let Some(member) = store::member::load_living(conn, chain, id)? else { return Ok(Found::Nobody) };
    let absorbed = member.absorbed.ids().iter();
    let absorbed = absorbed.filter_map(|id| store::member::load(conn, chain, *id).transpose());
    let tombstones = Tombstones::of(absorbed.collect::<Result<_, _>>()?);
    let Whose { attach, notes, .. } = whose;
    Ok(Found::Guest(Box::new(Guest { member, attach, notes, order, tombstones })))
}

fn newcomer(program: &Program, input: &SourceInput, whose: Whose, order: Option<OrderRecord>) -> Found {
    if input.event.identities.is_empty() || !program.enrol_on_first_sight {
        return Found::Nobody;
    }
    let (tier, now): (_, Timestamp) = (program.terms.tiers.first().cloned(), input.received_at);
    let member = Member::new(MemberId::new(input.id.ulid()), whose.attach, tier, now);
    let (attach, tombstones) = (Vec::new(), Tombstones::default());
    Found::Guest(Box::new(Guest { member, attach, notes: whose.notes, order, tombstones }))
}
