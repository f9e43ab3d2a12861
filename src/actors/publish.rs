//! Publishing a program: what checks, and whose tests pass, becomes the next version and is in force at once.
//!
//! Versions are a line: each has a number, and the newest is in force. Going back publishes the files of an older one
//! again, so that every source event says by its version what decided it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::chain::ChainId;
use crate::domain::publication::{Origin, Publication};
use crate::domain::refusal::Refused;
use crate::domain::text::{Name, Note};
pub use crate::rules::diagnostic::Diagnostic;
use crate::rules::folder;
use crate::rules::program::{Program, Sources};
pub use crate::rules::report::ChainReport;
use crate::rules::report::{check_for, load_and_test};
use crate::store::{self, StoreError};

use super::engine::{Engine, EngineError};
use super::journal::JournalError;
use super::programs::blocking;

/// How often somebody else may publish while this is being checked.
const MAX_TRIES: usize = 8;

/// What is to be published.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// The files of the whole folder.
    pub sources: Sources,
    /// Where they come from.
    pub origin: Origin,
    /// The API key that asks for it.
    pub by: Option<Name>,
    /// Why, in words.
    pub note: Option<Note>,
    /// The version from which it was edited: when another one is in force by now, nothing is published.
    pub replaces: Option<i64>,
}

impl Proposal {
    /// Files that somebody sent, by name.
    ///
    /// # Errors
    /// They cannot be a program, whatever is in them.
    pub fn of_files(files: BTreeMap<String, String>) -> Result<Self, PublishError> {
        let sources = folder::of_files(files).map_err(|problem| PublishError::DoesNotCheck(vec![problem]))?;
        Ok(Self { sources, origin: Origin::Api, by: None, note: None, replaces: None })
    }
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
    pub async fn publish(&self, id: &ChainId, proposal: Proposal) -> Result<Published, PublishError> {
        let chain = self.snapshot(id)?.chain.clone();
        for _ in 0..MAX_TRIES {
            let of = id.clone();
            let latest = self.0.store.read(move |conn| store::program::latest(conn, &of)).await;
            let latest = latest.map_err(EngineError::from)?.map(|stored| stored.publication);
            let in_force = latest.as_ref().map_or(0, |latest| latest.version);
            if proposal.replaces.is_some_and(|replaces| replaces != in_force) {
                return Err(EngineError::from(replaced(in_force)).into());
            }
            let hash = proposal.sources.hash();
            if let Some(latest) = latest.filter(|latest| latest.hash == hash) {
                return Ok(Published::Unchanged(latest));
            }
            let (of, sources, version) = (chain.clone(), proposal.sources.clone(), in_force + 1);
            let _few_at_a_time = self.0.checking.acquire().await;
            let loaded = blocking(move || load_and_test(&sources, &of, version)).await;
            let program = loaded.map_err(PublishError::DoesNotCheck)?;
            let Proposal { origin, by, note, .. } = proposal.clone();
            let publication = Publication { version, hash, origin, by, note, at: self.0.clock.now() };
            if self.put_version(id, publication.clone(), &proposal.sources, program).await? {
                return Ok(Published::New(publication));
            }
        }
        Err(EngineError::Overloaded.into())
    }

    /// Checks and tests files without publishing them.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn check_program(&self, id: &ChainId, proposal: Proposal) -> Result<ChainReport, EngineError> {
        let chain = self.snapshot(id)?.chain.clone();
        let _few_at_a_time = self.0.checking.acquire().await;
        Ok(blocking(move || check_for(proposal.sources, &chain)).await)
    }

    /// Publishes the files of an older version again.
    ///
    /// # Errors
    /// `NotFound` for a version that never was; else as [`Engine::publish`].
    pub async fn roll_back(
        &self,
        id: &ChainId,
        to: i64,
        by: Option<Name>,
        note: Option<Note>,
    ) -> Result<Published, PublishError> {
        let sources = self.sources_of(id, to).await?;
        let proposal = Proposal { sources, origin: Origin::Rollback(to), by, note, replaces: None };
        self.publish(id, proposal).await
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
        publication: Publication,
        sources: &Sources,
        program: Program,
    ) -> Result<bool, EngineError> {
        let (id, files, version) = (id.clone(), sources.to_json(), publication.version);
        self.carry_out(async move |engine| {
            let (of, ended) = (id.clone(), Arc::new(engine.ended_by(&id, &program).await?));
            let written = ended.clone();
            let insert = move |conn: &mut _, _: &_| {
                store::program::insert(conn, &of, &publication, &files)?;
                written.write(conn, &of)
            };
            match engine.0.journal.run(insert).await {
                Err(JournalError::Store(error)) if matches!(*error, StoreError::Taken { .. }) => {
                    return Ok(false);
                }
                done => done?,
            }
            engine.put_in_force(&id, program)?;
            engine.nudge_for(&ended.told);
            tracing::info!(chain = %id, version, "program published");
            Ok(true)
        })
        .await
    }

    /// Puts a version in force, unless a newer one is. Callers hold `configuring`.
    pub(super) fn put_in_force(&self, id: &ChainId, program: Program) -> Result<(), EngineError> {
        self.reconfigure(id, |snapshot| {
            if snapshot.program.as_ref().is_none_or(|known| known.version <= program.version) {
                snapshot.problems = Arc::default();
                snapshot.program = Some(Arc::new(program));
            }
        })?;
        Ok(())
    }
}

fn replaced(in_force: i64) -> Refused {
    let problem =
        format!("version {in_force} is in force by now; look at it, and send yours again on top of it");
    Refused::new("version_conflict", problem)
}
