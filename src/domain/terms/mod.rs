//! The terms of a chain's program: everything that `program.toml` declares, as values. Rules say what happens; the terms
//! say with what.

pub mod tier;

use tier::Tiers;

/// What the program declares. One field a noun; each noun's own file says what it means.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// Tiers, and how members move between them.
    pub tiers: Tiers,
}
