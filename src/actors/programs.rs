//! Programs: loads, checks and publishes the folders under `rules/`, and follows edits.
//!
//! A folder that does not check, or whose tests fail, changes nothing: the version in force stays, and the chain's
//! snapshot says why the edit is not in force.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::chain::{BadChainId, Chain, ChainId};
use crate::rules::diagnostic::Diagnostic;
use crate::rules::folder::{self, Stamp};
use crate::rules::manifest::Manifest;
use crate::rules::program::{Program, Sources};
use crate::rules::report::load_and_test;
use crate::store;

use super::engine::{Engine, EngineError};

/// How often folders are looked at. Looking costs a `stat` a file, and also sees changes on network and bind mounts,
/// which file notifications miss.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A chain's folder as it was when it was last read.
type Seen = HashMap<ChainId, Stamp>;

/// Follows the folders under one root.
#[derive(Debug)]
pub struct Follower {
    root: PathBuf,
    seen: Seen,
    /// Folders whose name cannot be a chain's, as of the last look.
    misnamed: Vec<OsString>,
}

impl Engine {
    /// Publishes every folder under `root` that checks, creating chains that do not exist yet. Chains whose folder
    /// does not check go on with the version stored last.
    ///
    /// # Errors
    /// When the store fails. Problems of a folder are not errors: they are in the chain's snapshot and in the log.
    pub async fn follow_rules(&self, root: &Path) -> Result<Follower, EngineError> {
        for snapshot in self.chains() {
            self.restore_program(&snapshot.chain).await?;
        }
        let mut follower = Follower { root: root.to_owned(), seen: Seen::new(), misnamed: Vec::new() };
        self.look_at_rules(&mut follower).await?;
        Ok(follower)
    }

    /// Looks for edits for as long as the engine runs.
    pub async fn keep_following(self, mut follower: Follower) {
        while !self.is_draining() {
            tokio::time::sleep(LOOK_EVERY).await;
            if let Err(error) = self.look_at_rules(&mut follower).await {
                tracing::error!(error = &error as &dyn std::error::Error, "rules could not be published");
            }
        }
    }

    async fn look_at_rules(&self, follower: &mut Follower) -> Result<(), EngineError> {
        let root = follower.root.clone();
        let folders = blocking(move || folder::look(&root)).await;
        if follower.misnamed != folders.misnamed {
            folders.misnamed.iter().for_each(|name| warn_of_name(&follower.root, name));
            follower.misnamed = folders.misnamed;
        }
        for (chain, stamp) in folders.chains {
            if follower.seen.get(&chain) == Some(&stamp) {
                continue;
            }
            let dir = follower.root.join(chain.as_str());
            match blocking(move || folder::read(&dir)).await {
                Ok(sources) => self.publish(&chain, sources).await?,
                Err(problem) => self.refuse(&chain, vec![problem]).await?,
            }
            // Only now: an edit during publication has another stamp and is looked at again.
            follower.seen.insert(chain, stamp);
        }
        Ok(())
    }

    /// Puts the newest stored version in force, whatever the folder says.
    async fn restore_program(&self, chain: &Arc<Chain>) -> Result<(), EngineError> {
        let id = chain.id.clone();
        let Some(stored) = self.0.store.read(move |conn| store::program::latest(conn, &id)).await? else {
            return Ok(());
        };
        let sources: Option<Sources> = serde_json::from_str(&stored.files_json).ok();
        let Some(sources) = sources else {
            tracing::error!(chain = %chain.id, version = stored.version, "the stored program cannot be read");
            return Ok(());
        };
        let (of, version) = (chain.clone(), stored.version);
        match blocking(move || Program::load(&sources, &of, version)).await {
            Ok(program) => self.put_program(&chain.id, Some(program), Vec::new()).await,
            Err(problems) => self.put_program(&chain.id, None, problems).await,
        }
    }

    async fn publish(&self, id: &ChainId, sources: Sources) -> Result<(), EngineError> {
        let chain = match self.chain(id.as_str()) {
            Some(snapshot) => snapshot.chain.clone(),
            None => match self.chain_of(id, &sources) {
                Ok(chain) => self.create_chain(chain).await?.chain.clone(),
                Err(problems) => return self.refuse(id, problems).await,
            },
        };
        let of = id.clone();
        let latest = self.0.store.read(move |conn| store::program::latest(conn, &of)).await?;
        let hash = sources.hash();
        let known = latest.as_ref().filter(|latest| latest.hash == hash).map(|latest| latest.version);
        let version = known.unwrap_or(latest.map_or(1, |latest| latest.version + 1));
        let (of, files) = (chain.clone(), sources.clone());
        match blocking(move || load_and_test(&files, &of, version)).await {
            Ok(program) => {
                if known.is_none() {
                    self.store_version(id, version, &sources).await?;
                    tracing::info!(chain = %id, version, "program published");
                }
                self.put_program(id, Some(program), Vec::new()).await
            }
            Err(problems) => self.refuse(id, problems).await,
        }
    }

    /// Says why an edit is not in force: in the log, and in the snapshot of a chain that exists.
    async fn refuse(&self, id: &ChainId, problems: Vec<Diagnostic>) -> Result<(), EngineError> {
        log_problems(id, &problems);
        match self.chain(id.as_str()) {
            Some(_) => self.put_program(id, None, problems).await,
            None => Ok(()),
        }
    }

    fn chain_of(&self, id: &ChainId, sources: &Sources) -> Result<Chain, Vec<Diagnostic>> {
        let manifest = Manifest::of(sources)?;
        Ok(Chain {
            id: id.clone(),
            name: manifest.name,
            timezone: manifest.timezone,
            currency: manifest.currency,
            created_at: self.0.clock.now(),
        })
    }

    async fn store_version(&self, id: &ChainId, version: i64, sources: &Sources) -> Result<(), EngineError> {
        let files = serde_json::to_string(sources).unwrap_or_else(|_| unreachable!("texts serialize"));
        let (id, hash, now) = (id.clone(), sources.hash(), self.0.clock.now());
        self.0
            .journal
            .run(move |conn, _| store::program::insert(conn, &id, version, &hash, &files, now))
            .await?;
        Ok(())
    }

    async fn put_program(
        &self,
        id: &ChainId,
        program: Option<Program>,
        problems: Vec<Diagnostic>,
    ) -> Result<(), EngineError> {
        let _one_at_a_time = self.0.configuring.lock().await;
        self.reconfigure(id, |snapshot| {
            snapshot.problems = problems.into();
            if let Some(program) = program {
                snapshot.program = Arc::new(program);
            }
        })?;
        Ok(())
    }
}

fn warn_of_name(root: &Path, name: &OsStr) {
    tracing::warn!(
        "the rules in {} are not used: a chain's id {BadChainId}; rename the folder",
        root.join(name).display()
    );
}

fn log_problems(chain: &ChainId, problems: &[Diagnostic]) {
    for problem in problems {
        let (file, line, column) = (&problem.file, problem.line, problem.column);
        let help = problem.help.as_ref().map_or(String::new(), |help| format!(" ({help})"));
        tracing::error!(%chain, "rules/{chain}/{file}:{line}:{column}: {}{help}", problem.message);
    }
    tracing::error!(%chain, problems = problems.len(), "the edit is not in force; the version before it stays");
}

/// Runs file work and compilation off the arbiter threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
