//! What it means that a guest stays away, and how often that is learned anew.

use std::num::NonZeroU16;
use std::str::FromStr;

/// The most days of either.
const MAX_DAYS: u16 = 365;

/// What `[lifecycle]` says about the churn model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChurnTerms {
    /// Staying away means no visit within this.
    pub horizon: Horizon,
    /// When the model is fitted anew.
    pub refit: Refit,
}

/// So many days ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon(NonZeroU16);

/// How often a model is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refit {
    /// After so many days.
    Every(NonZeroU16),
    /// When a person asks for it.
    Never,
}

impl Horizon {
    /// How many days.
    pub const fn days(self) -> NonZeroU16 {
        self.0
    }
}

/// A quarter of a year.
impl Default for Horizon {
    fn default() -> Self {
        const { Self(NonZeroU16::new(90).unwrap()) }
    }
}

/// Every week.
impl Default for Refit {
    fn default() -> Self {
        const { Self::Every(NonZeroU16::new(7).unwrap()) }
    }
}

/// Why a text is not one of them; says what would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write {0}, up to {MAX_DAYS} days")]
pub struct BadDays(&'static str);

fn days(text: &str) -> Option<NonZeroU16> {
    let number = text.strip_suffix(" days").or_else(|| text.strip_suffix(" day"))?;
    let days: NonZeroU16 = number.parse().ok()?;
    (days.get() <= MAX_DAYS).then_some(days)
}

impl FromStr for Horizon {
    type Err = BadDays;
    fn from_str(text: &str) -> Result<Self, BadDays> {
        days(text).map(Self).ok_or(BadDays("\"90 days\""))
    }
}

impl FromStr for Refit {
    type Err = BadDays;
    fn from_str(text: &str) -> Result<Self, BadDays> {
        match text {
            "never" => Ok(Self::Never),
            _ => days(text).map(Self::Every).ok_or(BadDays("\"never\" or \"7 days\"")),
        }
    }
}
