//! Rolling a candidate out: it is published for some, watched, and promoted or dropped.
//!
//! Its files are stored under the next number of the chain's versions, and what is in force stays in force. A promotion
//! publishes them again for everybody, so that the newest version that is no candidate is always the one in force.

use std::sync::Arc;

use crate::domain::Timestamp;
use crate::domain::audit::{Action, By, Change, Face};
use crate::domain::chain::ChainId;
use crate::domain::precondition::Precondition;
use crate::domain::publication::{Origin, Publication};
use crate::domain::refusal::Refused;
use crate::domain::roll_out::{Audience, Ended, Ending, RollOut, Stage};
use crate::domain::text::Note;
use crate::rules::program::Program;
use crate::store::program::Standing;
use crate::store::{self, DbConn, StoreError};

use super::engine::{Engine, EngineError};
use super::journal::JournalError;
use super::once::{Once, Record};
use super::publish::{MAX_TRIES, Proposal, PublishError, Published, PutInForce};
use super::snapshot::{Candidate, ChainSnapshot};

impl Engine {
    /// Publishes a program for some, beside the one in force.
    ///
    /// # Errors
    /// As [`Engine::publish`]; refused while another candidate is tried, and of files that are in force already.
    pub async fn begin_roll_out(
        &self,
        id: &ChainId,
        proposal: Proposal,
        audience: Audience,
        once: Once<RollOut>,
    ) -> Result<RollOut, PublishError> {
        let snapshot = self.snapshot(id)?;
        snapshot.program()?;
        for _ in 0..MAX_TRIES {
            let Standing { in_force, candidate, next: version } = self.standing(id).await?;
            if let Some(running) = candidate {
                return Err(EngineError::from(is_running(&running)).into());
            }
            proposal.refuse_if_replaced(in_force.as_ref())?;
            let hash = proposal.sources.hash();
            if in_force.as_ref().is_some_and(|in_force| in_force.hash == hash) {
                return Err(EngineError::from(is_in_force()).into());
            }
            let program = self.checked(&snapshot.chain, &proposal.sources, version).await?;
            refuse_clash(&audience, snapshot.program()?, &program).map_err(EngineError::from)?;
            let at = self.0.clock.now();
            let publication = Publication { origin: Origin::Candidate, ..proposal.published(version, at) };
            let began = Stage { at, by: publication.by.clone(), audience: audience.clone() };
            let base = in_force.map_or(0, |in_force| in_force.version);
            let roll_out = RollOut { version, base, began, changes: Vec::new(), ended: None };
            let record = once.record(&roll_out, at);
            let stored = (publication, &proposal, record);
            if self.put_candidate(id, stored, program, roll_out.clone()).await? {
                return Ok(roll_out);
            }
        }
        Err(EngineError::Overloaded.into())
    }

    /// Stores a candidate and has it decide; both or neither. Answers `false` when its number is taken, or somebody else
    /// began to try another one.
    async fn put_candidate(
        &self,
        id: &ChainId,
        (publication, proposal, record): (Publication, &Proposal, Record),
        program: Program,
        roll_out: RollOut,
    ) -> Result<bool, EngineError> {
        let (id, files, version) = (id.clone(), proposal.sources.to_json(), publication.version);
        let by = proposal.by.clone();
        self.carry_out(async move |engine| {
            let (of, began) = (id.clone(), roll_out.clone());
            let change = Change::made(Face::from(&roll_out).show("note", &publication.note));
            let line = engine.line(by, &id, Action::CandidateBegun, version, change);
            let insert = move |conn: &mut _, _: &_| {
                store::audit::insert(conn, &line)?;
                store::program::insert(conn, &of, &publication, &files)?;
                store::roll_out::insert(conn, &of, &began)
            };
            match engine.write_once(record, insert).await {
                Err(JournalError::Store(error)) if matches!(*error, StoreError::Taken { .. }) => {
                    return Ok(false);
                }
                done => done?,
            }
            let candidate = Candidate { program: Arc::new(program), roll_out };
            engine.reconfigure(&id, |snapshot| {
                snapshot.warn_of_filters(&candidate.program, None);
                snapshot.candidate = Some(Arc::new(candidate));
            })?;
            tracing::info!(chain = %id, version, "a candidate is tried");
            Ok(true)
        })
        .await
    }

    /// Has the candidate decide for others, or more of them.
    ///
    /// # Errors
    /// Refused when none is tried, or it was changed too often; `Outdated`.
    pub async fn change_roll_out(
        &self,
        id: &ChainId,
        audience: Audience,
        by: By,
        expected: Precondition,
    ) -> Result<RollOut, EngineError> {
        let snapshot = self.snapshot(id)?;
        if let (Some(in_force), Some(tried)) = (&snapshot.program, &snapshot.candidate) {
            refuse_clash(&audience, in_force, &tried.program)?;
        }
        let name = by.name();
        self.amend(id, expected, (by, Action::CandidateChanged), move |roll_out, at| {
            let stage = Stage { at, by: Some(name.clone()), audience: audience.clone() };
            if roll_out.stage().audience == audience || roll_out.change(stage) {
                return Ok(());
            }
            let problem = "it was changed very often; promote it, or drop it and begin anew";
            Err(Refused::new("too_many_changes", problem))
        })
        .await
    }

    /// Gives the candidate up. What it decided stays decided.
    ///
    /// # Errors
    /// Refused when none is tried; `Outdated`.
    pub async fn drop_candidate(
        &self,
        id: &ChainId,
        by: By,
        expected: Precondition,
    ) -> Result<RollOut, EngineError> {
        let name = by.name();
        self.amend(id, expected, (by, Action::CandidateDropped), move |roll_out, at| {
            roll_out.ended = Some(Ended { how: Ending::Dropped, at, by: Some(name.clone()) });
            Ok(())
        })
        .await
    }

    /// Puts the candidate in force for everybody, under the next number.
    ///
    /// # Errors
    /// As [`Engine::publish`]; refused when none is tried, or when another version was put in force since it began, unless
    /// `replaces` names that one.
    pub async fn promote(
        &self,
        id: &ChainId,
        (by, note): (By, Option<Note>),
        replaces: Option<i64>,
        expected: Precondition,
        once: Once<PutInForce>,
    ) -> Result<Published, PublishError> {
        let running = self.standing(id).await?.candidate.ok_or_else(no_candidate);
        let running = running.map_err(EngineError::from)?;
        expected.check(running.tag()).map_err(EngineError::from)?;
        let RollOut { version, base, .. } = running;
        let replaces = Some(replaces.unwrap_or(base));
        let files = self.proposal_of(id, version, by).await?;
        let proposal = Proposal { origin: Origin::Promotion(version), note, replaces, expected, ..files };
        self.publish(id, proposal, once).await
    }

    /// Changes the roll-out that runs, in the store and then in the snapshot.
    async fn amend(
        &self,
        id: &ChainId,
        expected: Precondition,
        (by, action): (By, Action),
        change: impl Fn(&mut RollOut, Timestamp) -> Result<(), Refused> + Send + 'static,
    ) -> Result<RollOut, EngineError> {
        let id = id.clone();
        self.carry_out(async move |engine| {
            let (of, now) = (id.clone(), engine.0.clock.now());
            let mut line = engine.line(by, &id, action, "", Change::default());
            let amend = move |conn: &mut DbConn, _: &_| {
                for _ in 0..MAX_TRIES {
                    let Some(was) = store::roll_out::running(conn, &of)? else { break };
                    let mut roll_out = was.clone();
                    let changed = expected.check(was.tag()).map_err(EngineError::from);
                    if let Err(refused) = changed.and_then(|()| Ok(change(&mut roll_out, now)?)) {
                        return Ok(Err(refused));
                    }
                    if store::roll_out::update(conn, &of, &was, &roll_out)? {
                        if roll_out != was {
                            line.target = roll_out.version.to_string();
                            line.change = Change::between(Face::from(&was), Face::from(&roll_out));
                            store::audit::insert(conn, &line)?;
                        }
                        if roll_out.ended.is_some() {
                            store::suspension::remove_all(conn, &of, roll_out.version)?;
                        }
                        return Ok(Ok(roll_out));
                    }
                }
                Ok(Err(no_candidate().into()))
            };
            let roll_out = engine.0.journal.run(amend).await??;
            engine.reconfigure(&id, |snapshot| snapshot.follow(&roll_out))?;
            Ok(roll_out)
        })
        .await
    }

    /// Has the snapshot try what is tried by the store. One whose files do not load here decides for nobody.
    pub(super) async fn follow_candidate(&self, id: &ChainId) -> Result<(), EngineError> {
        let _one_at_a_time = self.0.configuring.lock().await; // from the look on: else it may be older than the snapshot
        let Some(roll_out) = self.standing(id).await?.candidate else {
            self.reconfigure(id, |snapshot| snapshot.candidate = None)?;
            return Ok(());
        };
        let snapshot = self.snapshot(id)?;
        let known = snapshot.candidate.as_ref().filter(|known| known.roll_out.version == roll_out.version);
        let program = match known {
            Some(known) => Some(known.program.clone()),
            None => self.load_candidate(&snapshot, roll_out.version).await?,
        };
        let candidate = program.map(|program| Arc::new(Candidate { program, roll_out }));
        self.reconfigure(id, |snapshot| snapshot.candidate = candidate)?;
        Ok(())
    }

    /// Refuses what would not get on with a candidate that is tried at some locations.
    pub(super) fn refuse_beside_candidate(&self, id: &ChainId, program: &Program) -> Result<(), EngineError> {
        match &self.snapshot(id)?.candidate {
            Some(tried) => Ok(refuse_clash(&tried.roll_out.stage().audience, program, &tried.program)?),
            None => Ok(()),
        }
    }

    async fn load_candidate(
        &self,
        snapshot: &ChainSnapshot,
        version: i64,
    ) -> Result<Option<Arc<Program>>, EngineError> {
        let chain = snapshot.chain.clone();
        let of = chain.id.clone();
        let sources = match self.sources_of(&of, version).await {
            Ok(sources) => sources,
            Err(error @ (EngineError::NotFound(_) | EngineError::Unavailable(_))) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(chain = %of, version, error, "the candidate cannot be read: what is in force decides for everybody");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match self.load(&of, move || Program::load_published(&sources, &chain, version)).await {
            Ok(program) => {
                snapshot.warn_of_filters(&program, None);
                Ok(Some(Arc::new(program.suspending(self.suspensions(&of).await?))))
            }
            Err(problems) => {
                for problem in &problems {
                    tracing::error!(chain = %of, version, "{problem}");
                }
                tracing::error!(chain = %of, version, "the candidate does not load: what is in force decides for everybody");
                Ok(None)
            }
        }
    }
}

/// There is nothing to change, promote or drop.
pub(super) fn no_candidate() -> Refused {
    Refused::new("no_candidate", "no candidate is tried; begin with POST …/program/candidate")
}

fn is_running(running: &RollOut) -> Refused {
    let problem = format!("version {} is tried already; promote it or drop it first", running.version);
    Refused::new("candidate_exists", problem)
}

fn is_in_force() -> Refused {
    Refused::new("candidate_is_in_force", "these very files are in force for everybody already")
}

/// At locations both decide about the same members, one here, the other there. So what is kept of a member must mean the
/// same to both: else they would enter and leave a segment, or a tier, with every visit, and be paid for it.
fn refuse_clash(audience: &Audience, in_force: &Program, candidate: &Program) -> Result<(), Refused> {
    match (audience, in_force.clash_with(candidate)) {
        (Audience::Locations(_), Some(what)) => {
            let problem = format!(
                "the {what} of the candidate are not those in force, and at locations both decide about the same members: \
                 publish them for everybody first, or try the candidate on a share of the members"
            );
            Err(Refused::new("candidate_differs", problem))
        }
        (Audience::Locations(_) | Audience::Share(_), _) => Ok(()),
    }
}
