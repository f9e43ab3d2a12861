//! Publishing a program: what checks, and whose tests pass, becomes the next version and is in force at once.
//!
//! Versions are a line: each has a number, and the newest is in force. Going back publishes the files of an older one
//! again, so that every source event says by its version what decided it. Candidates ([`super::roll_out`]) have numbers of
//! the same line, and are passed over: none is in force until it is promoted, which publishes its files again.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::Timestamp;
use crate::domain::audit::{Action, By, Change, Entry, Face};
use crate::domain::chain::{Chain, ChainId};
use crate::domain::precondition::{Precondition, Tag};
use crate::domain::publication::{Origin, Publication};
use crate::domain::refusal::Refused;
use crate::domain::roll_out::{Ended, Ending, RollOut};
use crate::domain::text::Note;
pub use crate::rules::diagnostic::Diagnostic;
use crate::rules::folder;
use crate::rules::program::{Program, Sources};
pub use crate::rules::report::ChainReport;
use crate::rules::report::{check_for, load_and_test};
use crate::store::program::Standing;
use crate::store::{self, DbConn, StoreError, at_one_instant};

use super::engine::{Engine, EngineError};
use super::journal::JournalError;
use super::once::Once;
use super::programs::blocking;
use super::roll_out::no_candidate;
use super::snapshot::ChainSnapshot;

/// How often somebody else may publish while this is being checked.
pub(super) const MAX_TRIES: usize = 8;

/// What is to be published.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The files of the whole folder.
    pub sources: Sources,
    /// Where they come from.
    pub origin: Origin,
    /// Who asks for it.
    pub by: By,
    /// Why, in words.
    pub note: Option<Note>,
    /// The version from which it was edited: when another one is in force by now, nothing is published.
    pub replaces: Option<i64>,
    /// The same as [`Precondition`]; of a promotion it is about the candidate.
    pub expected: Precondition,
}

/// A version that is in force, and the chain as it is with it.
pub type PutInForce = (Publication, Arc<ChainSnapshot>);

/// The state that a chain's program is in: the version in force, 0 for none.
pub fn tag_of(in_force: Option<i64>) -> Tag {
    in_force.unwrap_or(0).into()
}

impl Proposal {
    /// Files that somebody wants in force.
    pub const fn of(sources: Sources, by: By) -> Self {
        let (note, replaces, expected) = (None, None, Precondition::None);
        Self { sources, origin: Origin::Api, by, note, replaces, expected }
    }

    /// What a version is called that it becomes.
    pub(super) fn published(&self, version: i64, at: Timestamp) -> Publication {
        let Self { sources, origin, by, note, .. } = self;
        let by = (*origin != Origin::Folder).then(|| by.name());
        Publication { version, hash: sources.hash(), origin: *origin, by, note: note.clone(), at }
    }

    /// Refuses what was edited from another version than the one in force.
    pub(super) fn refuse_if_replaced(&self, in_force: Option<&Publication>) -> Result<(), EngineError> {
        let in_force = in_force.map_or(0, |in_force| in_force.version);
        if !matches!(self.origin, Origin::Promotion(_)) {
            self.expected.check(tag_of(Some(in_force)))?;
        }
        if self.replaces.is_none_or(|replaces| replaces == in_force) {
            return Ok(());
        }
        let problem = match self.origin {
            Origin::Promotion(candidate) => format!(
                "version {in_force} was put in force since candidate {candidate} began, and would be taken back; \
                 to promote it all the same send `\"replaces\": {in_force}`"
            ),
            _ => format!(
                "version {in_force} is in force by now; look at it, and send yours again on top of it"
            ),
        };
        Err(Refused::new("version_conflict", problem).into())
    }
}

/// Files that somebody sent, by name.
///
/// # Errors
/// They cannot be a program, whatever is in them.
pub fn files(sent: BTreeMap<String, String>) -> Result<Sources, PublishError> {
    folder::of_files(sent).map_err(|problem| PublishError::DoesNotCheck(vec![problem]))
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq)]
pub enum Published {
    /// It is in force under a number of its own.
    New(Publication),
    /// These very files were in force already.
    Unchanged(Publication),
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The files do not check, or a test among them fails.
    #[error("the program does not check")]
    DoesNotCheck(Vec<Diagnostic>),
    /// Anything else.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Engine {
    /// Publishes a program.
    ///
    /// # Errors
    /// See [`PublishError`]; what is in force stays.
    pub async fn publish(
        &self,
        id: &ChainId,
        proposal: Proposal,
        once: Once<PutInForce>,
    ) -> Result<Published, PublishError> {
        let once = Arc::new(once);
        let chain = self.snapshot(id)?.chain.clone();
        for _ in 0..MAX_TRIES {
            let Standing { in_force, next: version, candidate } = self.standing(id).await?;
            if matches!(proposal.origin, Origin::Promotion(of) if candidate.is_none_or(|tried| tried.version != of))
            {
                return Err(EngineError::from(no_candidate()).into()); // somebody else was faster
            }
            proposal.refuse_if_replaced(in_force.as_ref())?;
            let hash = proposal.sources.hash();
            if let Some(same) = in_force.as_ref().filter(|in_force| in_force.hash == hash) {
                let asked = proposal.published(same.version, self.0.clock.now());
                if self.settle_unchanged(id, asked, &proposal).await? {
                    return Ok(Published::Unchanged(same.clone()));
                }
                continue; // another version came in between
            }
            let program = self.checked(&chain, &proposal.sources, version).await?;
            if !matches!(proposal.origin, Origin::Promotion(_)) {
                self.refuse_beside_candidate(id, &program)?;
            }
            let publication = proposal.published(version, self.0.clock.now());
            let (proposed, next) = ((&proposal, once.clone()), (in_force, publication.clone()));
            if self.put_version(id, next, proposed, program).await? {
                return Ok(Published::New(publication));
            }
        }
        Err(EngineError::Overloaded.into())
    }

    /// Checks and tests files without publishing them.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn check_program(&self, id: &ChainId, sources: Sources) -> Result<ChainReport, EngineError> {
        let chain = self.snapshot(id)?.chain.clone();
        let _few_at_a_time = self.0.checking.acquire().await;
        Ok(blocking(move || check_for(sources, &chain)).await)
    }

    /// Publishes the files of an older version again.
    ///
    /// # Errors
    /// `NotFound` for a version that never was; else as [`Engine::publish`].
    pub async fn roll_back(
        &self,
        id: &ChainId,
        to: i64,
        (by, note): (By, Option<Note>),
        expected: Precondition,
        once: Once<PutInForce>,
    ) -> Result<Published, PublishError> {
        let files = self.proposal_of(id, to, by).await?;
        let proposal = Proposal { origin: Origin::Rollback(to), note, expected, ..files };
        self.publish(id, proposal, once).await
    }

    /// The files of a stored version, to be published again.
    ///
    /// # Errors
    /// `NotFound` for a version that never was.
    pub async fn proposal_of(&self, id: &ChainId, version: i64, by: By) -> Result<Proposal, EngineError> {
        Ok(Proposal::of(self.sources_of(id, version).await?, by))
    }

    /// Where a chain's program stands, by the store.
    pub(super) async fn standing(&self, id: &ChainId) -> Result<Standing, EngineError> {
        let of = id.clone();
        let standing = move |conn: &mut _| store::program::standing(conn, &of);
        Ok(self.0.store.read(move |conn| at_one_instant(conn, standing)).await?)
    }

    /// Loads files and runs the tests among them.
    pub(super) async fn checked(
        &self,
        chain: &Arc<Chain>,
        sources: &Sources,
        version: i64,
    ) -> Result<Program, PublishError> {
        let (id, chain, sources) = (&chain.id, chain.clone(), sources.clone());
        let _few_at_a_time = self.0.checking.acquire().await;
        let loaded = self.load(id, move || load_and_test(&sources, &chain, version)).await;
        loaded.map_err(PublishError::DoesNotCheck)
    }

    /// The files of a stored version.
    pub(super) async fn sources_of(&self, id: &ChainId, version: i64) -> Result<Sources, EngineError> {
        let of = id.clone();
        let stored = self.0.store.read(move |conn| store::program::get(conn, &of, version)).await?;
        let stored = stored.ok_or(EngineError::NotFound("version"))?;
        Sources::read(&stored.files_json).map_err(|why| EngineError::Unavailable(why.into()))
    }

    /// Stores a version and puts it in force; both or neither. Answers `false` when its number is taken.
    async fn put_version(
        &self,
        id: &ChainId,
        (before, publication): (Option<Publication>, Publication),
        (proposal, once): (&Proposal, Arc<Once<PutInForce>>),
        program: Program,
    ) -> Result<bool, EngineError> {
        let (id, version) = (id.clone(), publication.version);
        let (files, expected) = (proposal.sources.to_json(), proposal.expected.clone());
        let (by, after) = (proposal.by.clone(), Face::from(&publication));
        let change = match &before {
            Some(before) => Change::between(before.into(), after),
            None => Change::made(after),
        };
        self.carry_out(async move |engine| {
            let promoted = engine.promoted(&id, &publication, by.clone());
            let line = engine.line(by, &id, Action::ProgramPublished, version, change);
            let (of, settled) = (id.clone(), publication.clone());
            let ended = Arc::new(engine.ended_by(&id, &program).await?);
            let written = ended.clone();
            let next = engine.reconfigured(&id, |snapshot| {
                snapshot.put_in_force(program);
                snapshot.settle(publication.origin);
            })?;
            let record = once.record(&(publication, next.clone()), engine.0.clock.now());
            let insert = move |conn: &mut DbConn, vault: &_| {
                // What is refused is not answered for good: the row is written with the version.
                if let Err(refused) = settle(conn, &of, &settled, (&expected, promoted.as_ref()))? {
                    return Ok(Err(refused));
                }
                record.write(conn, vault)?;
                store::program::insert(conn, &of, &settled, &files)?;
                store::audit::insert(conn, &line)?;
                written.write(conn, &of)?;
                Ok(Ok(record))
            };
            let record = match engine.0.journal.run(insert).await {
                Err(JournalError::Store(error)) if matches!(*error, StoreError::Taken { .. }) => {
                    return Ok(false);
                }
                done => done??,
            };
            record.stands();
            engine.put_snapshot(next)?;
            engine.nudge_for(&ended.told);
            tracing::info!(chain = %id, version, "program published");
            Ok(true)
        })
        .await
    }

    /// The files are in force already: only what goes with it is written. Answers whether they still are.
    async fn settle_unchanged(
        &self,
        id: &ChainId,
        asked: Publication,
        proposal: &Proposal,
    ) -> Result<bool, EngineError> {
        if !matches!(asked.origin, Origin::Folder | Origin::Promotion(_)) {
            return Ok(true);
        }
        let (id, by, expected) = (id.clone(), proposal.by.clone(), proposal.expected.clone());
        self.carry_out(async move |engine| {
            let (of, origin) = (id.clone(), asked.origin);
            let promoted = engine.promoted(&id, &asked, by);
            let settle = move |conn: &mut DbConn, _: &_| {
                let in_force = store::program::standing(conn, &of)?.in_force;
                if in_force.is_none_or(|in_force| in_force.version != asked.version) {
                    return Ok(None);
                }
                settle(conn, &of, &asked, (&expected, promoted.as_ref())).map(Some)
            };
            match engine.0.journal.run(settle).await? {
                None => return Ok(false),
                Some(settled) => settled?,
            }
            engine.reconfigure(&id, |snapshot| snapshot.settle(origin))?;
            Ok(true)
        })
        .await
    }
}

impl Engine {
    /// The line about the candidate whose files these are, if they are one's.
    fn promoted(&self, id: &ChainId, publication: &Publication, by: By) -> Option<Entry> {
        let Origin::Promotion(candidate) = publication.origin else { return None };
        let change = Change::to("version", publication.version);
        Some(self.line(by, id, Action::CandidatePromoted, candidate, change))
    }
}

/// Writes what goes with files that come to be in force, or are, by where they come from. Refuses, and writes nothing, when
/// they are a candidate's that is not tried any more, or is not as it was expected to be.
fn settle(
    conn: &mut DbConn,
    id: &ChainId,
    publication: &Publication,
    (expected, promoted): (&Precondition, Option<&Entry>),
) -> Result<Result<(), EngineError>, StoreError> {
    match publication.origin {
        Origin::Folder => store::program::take_over_folder(conn, id, publication.hash).map(Ok),
        Origin::Promotion(candidate) => {
            for _ in 0..MAX_TRIES {
                let running = store::roll_out::running(conn, id)?.filter(|found| found.version == candidate);
                let Some(running) = running else { break };
                if let Err(outdated) = expected.check(running.tag()) {
                    return Ok(Err(outdated.into()));
                }
                let ended = Ended { how: Ending::Promoted, at: publication.at, by: publication.by.clone() };
                let ended = RollOut { ended: Some(ended), ..running.clone() };
                if store::roll_out::update(conn, id, &running, &ended)? {
                    store::suspension::remove_all(conn, id, candidate)?;
                    promoted.map_or(Ok(()), |line| store::audit::insert(conn, line))?;
                    return Ok(Ok(()));
                }
            }
            Ok(Err(no_candidate().into()))
        }
        Origin::Api | Origin::Rollback(_) | Origin::Candidate => Ok(Ok(())),
    }
}
