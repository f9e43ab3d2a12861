//! The terms of a chain's program: everything that `program.toml` declares, as values. Rules say what happens; the terms
//! say with what.

pub mod wallet;

use super::text::Name;

/// What the program declares. One field a noun; each noun's own file says what it means.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// Tiers, lowest first. A new member starts in the first.
    pub tiers: Vec<Name>,
}

impl Terms {
    /// Whether members carry deadlines of their own, and so are woken even if no rule starts on a tick.
    pub const fn has_deadlines(&self) -> bool {
        false
    }
}
