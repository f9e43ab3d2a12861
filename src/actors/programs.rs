//! Programs: loads, checks and publishes the folders under `rules/`, and follows edits.
//!
//! A folder that does not check, or whose tests fail, changes nothing: the version in force stays, and the chain's
//! snapshot says why the edit is not in force. When there is no version before it, nothing is decided until it checks:
//! an event that was decided without rules could not be mended.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::domain::audit::By;
use crate::domain::chain::{BadChainId, Chain, ChainId};
use crate::domain::publication::Origin;
use crate::domain::roll_out::RollOut;
use crate::rules::diagnostic::{Diagnostic, Mistake};
use crate::rules::folder::{self, Folders, Stamp};
use crate::rules::manifest::{self, Manifest};
use crate::rules::program::{Program, Sources};
use crate::store::{self, DbConn, at_one_instant};

use super::engine::{Engine, EngineError};
use super::once::Once;
use super::publish::{Proposal, PublishError, Published};
use super::snapshot::ChainSnapshot;

/// How often folders are looked at. Looking costs a `stat` a file, and also sees changes on network and bind mounts,
/// which file notifications miss.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// How often the store is asked what other nodes published.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// How soon to try again for a chain for which the store failed.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Follows the folders under one root.
#[derive(Debug)]
pub struct Follower {
    root: PathBuf,
    /// Each chain's folder as it was when it was last published or refused. A folder that cannot be read has no entry.
    seen: HashMap<ChainId, Stamp>,
    /// Chains whose stored version was not looked at yet.
    unrestored: BTreeSet<ChainId>,
    /// Chains for which the store failed: not before this.
    again_at: HashMap<ChainId, Instant>,
    /// Folders whose name cannot be a chain's, as of the last look.
    misnamed: Vec<OsString>,
    /// What was in force and tried as of the last look at what other nodes published.
    published: BTreeMap<ChainId, (i64, Option<RollOut>)>,
    /// When to look again.
    look_at: Instant,
}

impl Follower {
    /// The chains to look at, each with its folder, if it has one.
    fn due(&self, mut folders: BTreeMap<ChainId, Stamp>) -> Vec<(ChainId, Option<Stamp>)> {
        folders.retain(|chain, stamp| self.unrestored.contains(chain) || self.seen.get(chain) != Some(stamp));
        let without_folder = self.unrestored.iter().filter(|chain| !folders.contains_key(*chain));
        let mut due: Vec<_> = without_folder.map(|chain| (chain.clone(), None)).collect();
        due.extend(folders.into_iter().map(|(chain, stamp)| (chain, Some(stamp))));
        due.retain(|(chain, _)| self.again_at.get(chain).is_none_or(|at| *at <= Instant::now()));
        due
    }

    /// Warns of folders whose rules no chain can have, once for each change among them.
    fn warn_of(&mut self, misnamed: Vec<OsString>) {
        if self.misnamed != misnamed {
            misnamed.iter().for_each(|name| warn_of_name(&self.root, name));
            self.misnamed = misnamed;
        }
    }
}

impl Engine {
    /// Publishes every folder under `root` that checks, creating chains that do not exist yet. Chains whose folder
    /// does not check go on with the version stored last; without one, they decide nothing. A chain without either has
    /// no rules on purpose. Where the store fails, the follower tries again.
    pub async fn follow_rules(&self, root: &Path) -> Follower {
        let mut follower = Follower {
            root: root.to_owned(),
            seen: HashMap::new(),
            unrestored: self.chains().iter().map(|snapshot| snapshot.chain.id.clone()).collect(),
            again_at: HashMap::new(),
            misnamed: Vec::new(),
            published: BTreeMap::new(),
            look_at: Instant::now() + ASK_EVERY,
        };
        self.look_at_rules(&mut follower).await;
        follower
    }

    /// Looks for edits for as long as the engine runs.
    pub async fn keep_following(self, mut follower: Follower) {
        while !self.is_draining() {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look_at_rules(&mut follower).await;
            if let Err(error) = self.look_at_versions(&mut follower).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "cannot see what other nodes published"
                );
            }
        }
    }

    /// Follows what another node published, or tries on some, and which rules it suspended. A version that does not load
    /// here is tried once.
    async fn look_at_versions(&self, follower: &mut Follower) -> Result<(), EngineError> {
        if Instant::now() < follower.look_at {
            return Ok(());
        }
        follower.look_at = Instant::now() + ASK_EVERY;
        let look =
            |conn: &mut DbConn| Ok((store::program::newest(conn)?, store::roll_out::all_running(conn)?));
        let (newest, running) = self.0.store.read(move |conn| at_one_instant(conn, look)).await?;
        let mut running: HashMap<_, _> = running.into_iter().collect();
        // A candidate may be the first version of a chain without a folder.
        let only_candidates = running.keys().filter(|chain| !newest.iter().any(|(known, _)| known == *chain));
        let all: Vec<_> = only_candidates.map(|chain| (chain.clone(), 0)).chain(newest.clone()).collect();
        for (chain, version) in all {
            let Some(snapshot) = self.chain(&chain) else { continue }; // a chain of another node's folder
            let (id, stored) = (&snapshot.chain.id, (version, running.remove(&chain)));
            if follower.published.get(id) == Some(&stored) {
                continue;
            }
            if version > snapshot.program.as_ref().map_or(0, |program| program.version) {
                self.restore_program(id, true).await?;
            }
            if snapshot.candidate.as_ref().map(|candidate| &candidate.roll_out) != stored.1.as_ref() {
                self.follow_candidate(id).await?;
            }
            follower.published.insert(id.clone(), stored);
        }
        self.look_at_suspensions().await
    }

    /// Looks at every chain with news. One chain's trouble is no other one's.
    pub(super) async fn look_at_rules(&self, follower: &mut Follower) {
        let root = follower.root.clone();
        let Folders { chains, misnamed } = blocking(move || folder::look(&root)).await;
        follower.warn_of(misnamed);
        self.unborn().retain(|chain, _| chains.contains_key(chain));
        for (chain, stamp) in follower.due(chains) {
            if let Err(error) = self.look_at(follower, &chain, stamp).await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(%chain, error, "rules could not be put in force; trying again");
                follower.again_at.insert(chain, Instant::now() + AGAIN_AFTER);
            }
        }
    }

    async fn look_at(
        &self,
        follower: &mut Follower,
        chain: &ChainId,
        stamp: Option<Stamp>,
    ) -> Result<(), EngineError> {
        if follower.unrestored.contains(chain) {
            // Before the version in force, without which nothing is decided: nobody shall be decided by the wrong one.
            self.follow_candidate(chain).await?;
            self.restore_program(chain, stamp.is_some()).await?;
            follower.unrestored.remove(chain);
        }
        let Some(stamp) = stamp else { return Ok(()) };
        let dir = follower.root.join(chain.as_str());
        match blocking(move || folder::read(&dir)).await {
            Ok(sources) => {
                self.publish_folder(chain, sources).await?;
                // Only now: an edit during publication has another stamp and is looked at again.
                follower.seen.insert(chain.clone(), stamp);
            }
            Err(problem) => {
                self.refuse_program(chain, vec![problem]).await;
                // Neither this nor what was before it counts as seen: a permission that is given changes no stamp, and
                // what was taken back brings the former one.
                follower.seen.remove(chain);
            }
        }
        Ok(())
    }

    /// Puts the newest stored version in force, whatever the folder says. A chain that never had one and has no folder
    /// either has no rules on purpose.
    async fn restore_program(&self, id: &ChainId, has_folder: bool) -> Result<(), EngineError> {
        let (chain, of) = (self.snapshot(id)?.chain.clone(), id.clone());
        let Some(stored) = self.0.store.read(move |conn| store::program::latest(conn, &of)).await? else {
            if !has_folder {
                self.put_program(id, Program::empty(&chain)).await?;
            }
            return Ok(());
        };
        let version = stored.publication.version;
        let loaded = match Sources::read(&stored.files_json) {
            Ok(sources) => self.load(id, move || Program::load_published(&sources, &chain, version)).await,
            Err(why) => Err(vec![Diagnostic::of_file(
                Mistake::UnreadableFile,
                manifest::FILE,
                format!("the stored version {version} cannot be read: {why}"),
            )]),
        };
        match loaded {
            Ok(program) => {
                let suspended = self.suspensions(id).await?;
                self.put_program(id, program.suspending(suspended)).await?;
            }
            Err(problems) => self.refuse_program(id, problems).await,
        }
        Ok(())
    }

    /// Loads a program beside everything else, and with it what the chain's endpoints ask: for a thousand of them that takes
    /// long, and changes wait for each other.
    pub(super) async fn load(
        &self,
        id: &ChainId,
        load: impl FnOnce() -> Result<Program, Vec<Diagnostic>> + Send + 'static,
    ) -> Result<Program, Vec<Diagnostic>> {
        let endpoints = self.chain(id.as_str()).map(|known| known.endpoints.clone()).unwrap_or_default();
        blocking(move || load().map(|program| program.asking(&endpoints))).await
    }

    /// Puts a folder in force if it checks and was edited since it was published last. What people published otherwise
    /// since then stays until the next edit.
    async fn publish_folder(&self, id: &ChainId, sources: Sources) -> Result<(), EngineError> {
        if self.chain(id.as_str()).is_none() {
            match self.chain_of(id, &sources) {
                Ok(chain) => {
                    let new = ChainSnapshot::without_rules(chain, Vec::new(), Arc::default());
                    self.add_chain(new, Once::default(), By::FOLDER).await?;
                }
                Err(problems) => {
                    self.refuse_program(id, problems).await;
                    return Ok(());
                }
            }
        }
        let of = id.clone();
        let known = self.0.store.read(move |conn| store::program::folder_taken_over(conn, &of)).await?;
        if known == Some(sources.hash()) {
            return self.forgive(id).await;
        }
        let proposal = Proposal { origin: Origin::Folder, ..Proposal::of(sources, By::FOLDER) };
        match self.publish(id, proposal, Once::default()).await {
            Ok(Published::New(_)) => {}
            Ok(Published::Unchanged(_)) => self.forgive(id).await?,
            Err(PublishError::DoesNotCheck(problems)) => self.refuse_program(id, problems).await,
            Err(PublishError::Engine(EngineError::Refused(refused))) => {
                let problem = Diagnostic::of_file(Mistake::OtherChain, manifest::FILE, refused.problem);
                self.refuse_program(id, vec![problem]).await;
            }
            Err(PublishError::Engine(error)) => return Err(error),
        }
        Ok(())
    }

    /// The folder is what it was when it was published: an edit that did not check is taken back.
    async fn forgive(&self, id: &ChainId) -> Result<(), EngineError> {
        let _one_at_a_time = self.0.configuring.lock().await;
        self.reconfigure(id, |snapshot| {
            if snapshot.program.is_some() {
                snapshot.problems = Arc::default();
            }
        })?;
        Ok(())
    }

    fn chain_of(&self, id: &ChainId, sources: &Sources) -> Result<Chain, Vec<Diagnostic>> {
        let manifest = Manifest::of(sources)?;
        Ok(Chain {
            id: id.clone(),
            name: manifest.name,
            timezone: manifest.timezone,
            currency: manifest.currency,
            created_at: self.0.clock.now(),
            revision: 1,
        })
    }

    async fn put_program(&self, id: &ChainId, program: Program) -> Result<(), EngineError> {
        let _one_at_a_time = self.0.configuring.lock().await;
        self.reconfigure(id, |snapshot| snapshot.put_in_force(program))?;
        Ok(())
    }

    /// Notes why a folder, or a stored version, is not in force. Said once, however often it is looked at.
    async fn refuse_program(&self, id: &ChainId, problems: Vec<Diagnostic>) {
        let _one_at_a_time = self.0.configuring.lock().await;
        let problems: Arc<[Diagnostic]> = problems.into();
        let known = match self.chain(id.as_str()) {
            Some(snapshot) => Some(snapshot.problems.clone()),
            None => self.unborn().insert(id.clone(), problems.clone()),
        };
        let chain = self.reconfigure(id, |snapshot| snapshot.refuse(problems.clone()));
        let in_force = chain.ok().and_then(|snapshot| Some(snapshot.program.as_ref()?.version));
        if known.as_ref() != Some(&problems) {
            log_problems(id, &problems, in_force);
        }
    }
}

fn log_problems(chain: &ChainId, problems: &[Diagnostic], in_force: Option<i64>) {
    for problem in problems {
        tracing::error!(%chain, "rules/{chain}/{problem}");
    }
    let problems = problems.len();
    match in_force {
        Some(version) => {
            tracing::error!(%chain, problems, version, "the edit is not in force; the version before it stays");
        }
        None => {
            tracing::error!(%chain, problems, "no rules are in force: events are answered 503 until these check");
        }
    }
}

fn warn_of_name(root: &Path, name: &OsStr) {
    tracing::warn!(
        "the rules in {} are not used: a chain's id {BadChainId}; rename the folder",
        root.join(name).display()
    );
}

/// Runs file work and compilation off the arbiter threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
