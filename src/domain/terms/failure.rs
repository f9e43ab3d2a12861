//! What becomes of rules that keep failing: `[failures]` in `program.toml`.

use std::num::NonZeroU16;

/// What `[failures]` declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureTerms {
    /// For how many different members in a row a rule fails until it is suspended; `None` = it never is.
    pub suspend_after: Option<NonZeroU16>,
}

impl FailureTerms {
    /// Unless the program says otherwise.
    pub const DEFAULT: Self = Self { suspend_after: NonZeroU16::new(10) };
}

impl Default for FailureTerms {
    fn default() -> Self {
        Self::DEFAULT
    }
}
