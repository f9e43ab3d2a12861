//! A chain's program: one immutable, checked version of its folder.

use crate::domain::chain::{Chain, ChainId};
use crate::domain::decide::Frame;
use crate::domain::schedule::{Schedule, TickType};
use crate::domain::text::Name;

use super::diagnostic::Diagnostic;

/// The files of one chain's folder, by name, sorted. No I/O: `folder.rs` reads them.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Sources {
    /// `(file name, text)`: `program.toml` and `*.rhai`.
    pub files: Vec<(String, String)>,
}

/// A checked program, ready to decide. Immutable; shared by `Arc` between threads.
#[derive(Debug)]
pub struct Program {
    /// The number under which it was published; 0 = the chain has no program.
    pub version: i64,
    /// Tiers, lowest first. A new member starts in the first.
    pub tiers: Vec<Name>,
    /// When ticks are due. Always has `tick.daily`, so that members are always armed.
    pub schedule: Schedule,
    /// Ticks that some rule starts on: others need no wake-up.
    pub ticks_with_rules: Vec<TickType>,
    /// Whether an unknown member is enrolled on first sight (default yes).
    pub enrol_on_first_sight: bool,
}

impl Program {
    /// The program of a chain without a folder: no rules, no tiers.
    pub fn empty(_chain: &Chain) -> Self {
        todo!()
    }

    /// Loads, checks and compiles. All problems of the folder at once.
    ///
    /// # Errors
    /// Every problem found.
    pub fn load(_sources: &Sources, _chain: &Chain, _version: i64) -> Result<Self, Vec<Diagnostic>> {
        todo!()
    }

    /// What stays the same for every decision of this version.
    pub fn frame<'a>(&'a self, chain: &'a ChainId) -> Frame<'a> {
        Frame { chain, timezone: self.schedule.timezone, tiers: &self.tiers, program_version: self.version }
    }
}
