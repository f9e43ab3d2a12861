//! Whether a member comes as usual, and how likely one who does not is lost.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a member stands in their life with the chain.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MemberStatus")]
pub enum Status {
    /// Comes as usual.
    #[default]
    Active,
    /// Stays away longer than usual.
    AtRisk,
    /// Given up for lost.
    Churned,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::AtRisk, Self::Churned];

    /// The word used in JSON and in rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::AtRisk => "at_risk",
            Self::Churned => "churned",
        }
    }
}

/// How likely a guest who stays away is lost.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RiskLevel {
    /// A little longer away than usual.
    Low,
    /// What a member is marked with unless a rule says how much.
    #[default]
    Medium,
    /// Almost given up. Guests who churned have this one.
    High,
}

impl RiskLevel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Low, Self::Medium, Self::High];

    /// The word used in JSON and in rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }

    pub(super) fn is_medium(&self) -> bool {
        *self == Self::Medium
    }
}
