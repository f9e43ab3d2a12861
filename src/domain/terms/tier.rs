//! Tiers: the ladder, and the policy by which members climb it and fall.

use std::fmt;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::history::Window;
use crate::domain::text::Name;

/// The tiers of a program.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tiers {
    /// Lowest first. A new member starts in the first.
    pub ladder: Vec<Tier>,
    /// How members move; `None` = rules move them, with `set_tier`.
    pub policy: Option<TierPolicy>,
}

/// A tier: its id in `program.toml`, and its name for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Tier {
    /// Its id in `program.toml`.
    pub id: Name,
    /// Its name for people.
    pub name: Name,
}

impl Tier {
    /// A tier that is called by its id.
    pub fn plain(id: Name) -> Self {
        Self { name: id.clone(), id }
    }
}

impl Tiers {
    /// The ids, lowest first.
    pub fn ids(&self) -> impl Iterator<Item = &Name> {
        self.ladder.iter().map(|tier| &tier.id)
    }

    /// Where a new member starts.
    pub fn first(&self) -> Option<&Name> {
        self.ids().next()
    }

    /// How many tiers are lower; `None` for a tier that the program does not have (any more).
    pub fn rank(&self, id: &Name) -> Option<usize> {
        self.ids().position(|known| known == id)
    }

    /// The tier of that id. One that the program no longer has is called by its id.
    pub fn tier(&self, id: &Name) -> Tier {
        let known = self.ladder.iter().find(|tier| tier.id == *id);
        known.cloned().unwrap_or_else(|| Tier::plain(id.clone()))
    }
}

/// How the engine itself moves members between tiers.
#[derive(Debug, Clone, PartialEq)]
pub struct TierPolicy {
    /// What is counted.
    pub metric: Metric,
    /// How much of it each tier takes, in the order of the ladder: the first takes 0, and they rise.
    pub thresholds: Vec<Decimal>,
    /// Over which time.
    pub period: Period,
    /// When a member goes up.
    pub upgrade: Upgrade,
    /// When a member goes down.
    pub downgrade: Downgrade,
}

/// What is counted for a tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Metric {
    /// Money spent, less refunds.
    Spend,
    /// Orders and visits.
    Visits,
    /// Points earned, less those that refunds took back. Spending points does not lower it.
    Points,
}

/// The time over which the metric is counted, and at whose end tiers are reviewed.
#[derive(Debug, Clone, PartialEq)]
pub enum Period {
    /// A time that never closes: reviewed when the schedule says so.
    Open {
        /// The time up to now that counts; `None` = since enrolment.
        window: Option<Window>,
        /// When tiers are reviewed: `tier_review` of the program's schedule.
        review: Box<cron::Schedule>,
    },
    /// Calendar periods, the same for all members.
    Calendar(CalendarUnit),
    /// Years of a member's own.
    Anniversary(Anchor),
}

/// A period of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarUnit {
    /// From the first of each month.
    Month,
    /// From January, April, July, October.
    Quarter,
    /// From January, July.
    Half,
    /// From January.
    Year,
}

impl CalendarUnit {
    /// How many months it has.
    pub const fn months(self) -> u32 {
        match self {
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Half => 6,
            Self::Year => 12,
        }
    }
}

/// From when a member's own years count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// The day they became a member.
    Enrolment,
    /// The day after they reached their tier: what reached it does not also keep it.
    Tier,
}

/// When a member who has enough goes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// With the event that makes it enough.
    AtOnce,
    /// At the next review.
    PeriodEnd,
}

/// When a member who has too little goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downgrade {
    /// A tier reached is kept for good.
    Never,
    /// At the review, or when the grace after it is over.
    AtReview(Loss),
}

/// How a tier is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// How far down.
    pub step: Step,
    /// How many days after the review there are to make good for it.
    pub grace_days: u32,
    /// How many days before the loss the member is warned; `None` = not at all.
    pub warn_days: Option<u32>,
}

/// How far a member falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// To the next lower tier.
    One,
    /// To the tier that the metric is enough for.
    ByBalance,
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spend => "spend",
            Self::Visits => "visits",
            Self::Points => "points",
        })
    }
}
