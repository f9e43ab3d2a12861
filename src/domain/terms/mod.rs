//! The terms of a chain's program: everything that `program.toml` declares, as values. Rules say what happens; the terms
//! say with what.

pub mod tier;
pub mod wallet;

use tier::Tiers;

/// What the program declares. One field a noun; each noun's own file says what it means.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// Tiers, and how members move between them.
    pub tiers: Tiers,
}

impl Terms {
    /// Whether members carry deadlines of their own, and so are woken even if no rule starts on a tick.
    pub const fn has_deadlines(&self) -> bool {
        !self.tiers.ladder.is_empty()
    }
}
