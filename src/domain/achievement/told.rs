//! Achievements as told to the world.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::coupon::CouponCode;
use crate::domain::money::Money;
use crate::domain::terms::achievement::Unit;
use crate::domain::text::Name;

/// An achievement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AchievementEarned {
    /// Its id in `program.toml`.
    pub achievement: Name,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// How often the member has earned it by now.
    pub times: u32,
    /// How much it took; absent when a rule gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Money>,
}

/// A step towards an achievement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AchievementProgressed {
    /// Its id in `program.toml`.
    pub achievement: Name,
    /// What people call it.
    pub name: Name,
    /// How far the member is.
    pub progress: Money,
    /// How much it takes.
    pub target: Money,
    /// The first day of the period or streak, in the chain's zone; absent when everything ever done counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_start: Option<NaiveDate>,
}

/// An achievement taken back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AchievementRevoked {
    /// Its id in `program.toml`.
    pub achievement: Name,
    /// What people call it.
    pub name: Name,
    /// How often the member has still earned it.
    pub times: u32,
    /// Coupons that it brought and that are used already: they stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons_kept: Vec<CouponCode>,
}

/// A streak that can no longer be continued.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StreakBroken {
    /// The achievement's id in `program.toml`.
    pub achievement: Name,
    /// What people call it.
    pub name: Name,
    /// What was counted.
    pub unit: Unit,
    /// How many of them in a row there were.
    pub length: u32,
    /// The first day of the last of them, in the chain's zone.
    pub last: NaiveDate,
}
