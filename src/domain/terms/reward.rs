//! Rewards: what points can be spent on.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::money::Points;
use crate::domain::text::{Name, Note};

/// One reward of the program.
#[derive(Debug, Clone, PartialEq)]
pub struct RewardTerms {
    /// Its id in commands and in JSON.
    pub id: Name,
    /// What people call it.
    pub title: Name,
    /// How it reaches the guest.
    pub kind: RewardKind,
    /// What it costs; more than zero.
    pub cost: Points,
    /// The wallet that pays; `None` = the program's first.
    pub wallet: Option<Name>,
    /// How many there are for all members together; `None` = as many as are wanted. What is given back counts again.
    pub stock: Option<u32>,
    /// How many of them one member may have; what is given back counts again.
    pub limit_per_member: Option<u32>,
    /// How many days after it was redeemed a redemption that is not fulfilled gives the points back.
    pub expires_after_days: Option<u16>,
    /// Who approves.
    pub approval: Approval,
    /// More words for people.
    pub description: Option<Note>,
}

/// How a reward reaches the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RewardKind {
    /// A code or a link: sent.
    Digital,
    /// A thing: handed over or shipped.
    Physical,
}

/// Who approves a redemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// Nobody needs to.
    Automatic,
    /// A manager.
    ByHand,
}

impl FromStr for RewardKind {
    type Err = &'static str;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "digital" => Ok(Self::Digital),
            "physical" => Ok(Self::Physical),
            _ => Err("write \"digital\" or \"physical\""),
        }
    }
}
