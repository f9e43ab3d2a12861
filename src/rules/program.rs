//! A chain's program: one immutable, checked version of its folder.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::domain::Timestamp;
use crate::domain::celebration;
use crate::domain::chain::{Chain, ChainId};
use crate::domain::decide::Frame;
use crate::domain::member::Member;
use crate::domain::schedule::{Schedule, TickType};
use crate::domain::suspension::Suspension;
use crate::domain::terms::Terms;
use crate::domain::text::Name;

use super::code::{Care, Code};
use super::conduct::Watch;
use super::diagnostic::{Diagnostic, Mistake};
use super::filter::Filters;
use super::manifest::{self, Manifest};
use super::verdict::Telling;

/// Stack of the thread that parses and checks: the parser recurses, and what it reads is not ours.
const LOADER_STACK_BYTES: usize = 16 * 1024 * 1024;

/// The files of one chain's folder, by name, sorted. No I/O: `folder.rs` reads them.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Sources {
    /// `(file name, text)`: `program.toml` and `*.rhai`.
    pub files: Vec<(String, String)>,
}

impl Sources {
    /// SHA-256 over names and texts: two folders with the same hash are the same program.
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for part in self.files.iter().flat_map(|(name, text)| [name, text]) {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }

    /// As it is stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| unreachable!("texts serialize"))
    }

    /// Reads what was stored.
    ///
    /// # Errors
    /// It is something else.
    pub fn read(json: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// The text of a file.
    pub fn get(&self, file: &str) -> Option<&str> {
        self.files.iter().find(|(name, _)| name == file).map(|(_, text)| &**text)
    }
}

/// A checked program, ready to decide. Immutable; shared by `Arc` between threads.
#[derive(Debug, Clone)]
pub struct Program {
    /// The number under which it was published; 0 = the chain has no program.
    pub version: i64,
    /// What `program.toml` declares.
    pub terms: Arc<Terms>,
    /// When ticks are due. Always has `tick.daily`, so that members are always armed.
    pub schedule: Schedule,
    /// Ticks that some rule starts on, or at which tiers are reviewed: others need no wake-up.
    pub awaited_ticks: Vec<TickType>,
    /// The tags of endpoints that triggers may forward to.
    pub tags: Vec<Name>,
    /// Whether an unknown member is enrolled on first sight (default yes).
    pub enrol_on_first_sight: bool,
    pub(super) code: Arc<Code>,
    pub(super) telling: Telling,
    pub(super) suspended: Arc<[Suspension]>,
    /// What endpoints ask about what would go there.
    pub(super) filters: Arc<Filters>,
    pub(super) watch: Arc<Watch>,
}

impl Program {
    /// The program of a chain without a folder: no rules, no tiers.
    pub fn empty(chain: &Chain) -> Self {
        Self {
            version: 0,
            terms: Arc::default(),
            schedule: manifest::default_schedule(chain.timezone),
            awaited_ticks: Vec::new(),
            tags: Vec::new(),
            enrol_on_first_sight: true,
            code: Arc::new(Code::empty()),
            telling: Telling::What,
            suspended: Arc::default(),
            filters: Arc::default(),
            watch: Arc::default(),
        }
    }

    /// Loads, checks and compiles. All problems of the folder at once. Does not run the `test` blocks: see
    /// [`super::testing::run`].
    ///
    /// # Errors
    /// Every problem found.
    pub fn load(sources: &Sources, chain: &Chain, version: i64) -> Result<Self, Vec<Diagnostic>> {
        Self::read_with(Care::New, sources, chain, version)
    }

    /// [`Self::load`], of a version that was published. What the checker has learned since is no reason to stop a chain
    /// whose rules ran until now; what it says of them is logged, and refuses the next edit.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn load_published(sources: &Sources, chain: &Chain, version: i64) -> Result<Self, Vec<Diagnostic>> {
        let problems = match Self::load(sources, chain, version) {
            Ok(program) => return Ok(program),
            Err(problems) => problems,
        };
        let program = Self::read_with(Care::Published, sources, chain, version)?;
        let (chain, number) = (&chain.id, problems.len());
        let first = problems.first().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(%chain, version, number, first, "a published version goes on, and would not be published today");
        Ok(program)
    }

    fn read_with(
        care: Care,
        sources: &Sources,
        chain: &Chain,
        version: i64,
    ) -> Result<Self, Vec<Diagnostic>> {
        let (manifest, mut problems) = Manifest::readable(sources);
        if problems.is_empty() {
            problems = manifest.agree(chain);
        }
        let compiled =
            on_big_stack(|| Code::compile(sources, &manifest, version, care)).unwrap_or_else(|why| {
                Err(vec![Diagnostic::of_file(
                    Mistake::Internal,
                    manifest::FILE,
                    format!("cannot load the rules: {why}"),
                )])
            });
        let code = match compiled {
            Ok(code) if problems.is_empty() => code,
            Ok(_) => return Err(problems),
            Err(more) => {
                problems.extend(more);
                return Err(problems);
            }
        };
        let awaited_ticks: Vec<_> = TickType::ALL.into_iter().filter(|tick| code.waits_for(*tick)).collect();
        Ok(Self {
            version,
            schedule: manifest.schedule(&awaited_ticks),
            terms: manifest.terms.into(),
            awaited_ticks,
            tags: manifest.endpoints,
            enrol_on_first_sight: manifest.enrol_on_first_sight,
            code: Arc::new(code),
            telling: Telling::What,
            suspended: Arc::default(),
            filters: Arc::default(),
            watch: Arc::default(),
        })
    }

    /// The same program, whose decisions say why.
    #[must_use]
    pub(super) fn telling_why(&self) -> Self {
        Self { telling: Telling::Why, ..self.clone() }
    }

    /// What stays the same for every decision of this version.
    pub fn frame<'a>(&'a self, chain: &'a ChainId) -> Frame<'a> {
        Frame { chain, timezone: self.schedule.timezone, terms: &self.terms, program_version: self.version }
    }

    /// Whether members are to be woken at all.
    pub fn wakes(&self) -> bool {
        !self.awaited_ticks.is_empty()
            || !self.code.segments.is_empty()
            || self.terms.lifecycle.is_some()
            || self.terms.has_deadlines()
    }

    /// When the next tick after `now` is due.
    pub(super) fn next_tick(&self, now: Timestamp) -> Option<Timestamp> {
        self.code.next_tick.get(now, || self.schedule.next(now))
    }

    /// What falls due for a member by `now`, in order: the ticks since they were to be woken; without any, it is a
    /// deadline of theirs, or the schedule was edited since, and the alarm moves. Nothing before the alarm.
    pub fn due(&self, member: &Member, now: Timestamp) -> Vec<(Timestamp, Option<TickType>)> {
        let Some(alarm) = member.next_wake_at.filter(|alarm| *alarm <= now) else { return Vec::new() };
        let mut ticks = self.schedule.due(alarm, now);
        ticks.extend(celebration::due(member, self.terms.celebrations, self.schedule.timezone, now));
        ticks.sort_unstable();
        let due: Vec<_> = ticks.into_iter().map(|(at, tick)| (at, Some(tick))).collect();
        if due.is_empty() { vec![(now, None)] } else { due }
    }

    /// What of a member's standing would not mean the same to another program; `None` when all of it does, so that
    /// only rules and triggers differ.
    pub fn clash_with(&self, other: &Self) -> Option<&'static str> {
        let ticks = |program: &Self| -> Vec<_> {
            program.schedule.ticks.iter().map(|(tick, cron)| (*tick, cron.to_string())).collect()
        };
        if self.terms != other.terms {
            Some("declarations in program.toml")
        } else if ticks(self) != ticks(other) {
            Some("nightly rules or their schedule")
        } else if !self.code.sorts_like(&other.code) {
            Some("segments")
        } else if !self.code.lifts_like(&other.code) {
            Some("conditions of tiers")
        } else {
            None
        }
    }

    /// Names of all rules, in the order of their files.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.code.rule_names()
    }
}

/// Runs `work` on a thread whose stack nothing that loads can exhaust. Should it panic after all, or should there be no
/// thread, there is a sentence saying so, and the process lives.
pub(super) fn on_big_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("rules".to_owned()).stack_size(LOADER_STACK_BYTES);
        match thread.spawn_scoped(scope, work) {
            Ok(worker) => worker.join().map_err(|_| "the loader stopped unexpectedly".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
}
