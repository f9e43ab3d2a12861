//! Rolling a candidate version out: for some it decides already, for everybody else the version in force.
//!
//! Who is among them is a pure function of the candidate, the member and the place, never of the time: a member who is in
//! stays in while the share grows, on every node and after every restart.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Timestamp;
use super::ids::MemberId;
use super::precondition::Tag;
use super::text::Name;

/// The most locations that a candidate can be tried at.
const MOST_LOCATIONS: usize = 100;
/// The most changes of who gets it, the first included.
const MOST_STAGES: usize = 100;

/// So many per cent of the members, from 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(into = "u8", try_from = "u8")]
#[schemars(inline, extend("minimum" = 1, "maximum" = 100))]
pub struct Share(u8);

/// Why a number is no share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number of per cent from 1 to 100")]
pub struct BadShare;

impl TryFrom<u8> for Share {
    type Error = BadShare;
    fn try_from(percent: u8) -> Result<Self, BadShare> {
        if (1..=100).contains(&percent) { Ok(Self(percent)) } else { Err(BadShare) }
    }
}

impl From<Share> for u8 {
    fn from(share: Share) -> Self {
        share.0
    }
}

/// Some locations, at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "BTreeSet<Name>")]
#[schemars(inline, extend("minItems" = 1, "maxItems" = 100))]
pub struct Locations(BTreeSet<Name>);

/// Why some names are no locations for a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to {MOST_LOCATIONS} locations")]
pub struct BadLocations;

impl TryFrom<BTreeSet<Name>> for Locations {
    type Error = BadLocations;
    fn try_from(names: BTreeSet<Name>) -> Result<Self, BadLocations> {
        if (1..=MOST_LOCATIONS).contains(&names.len()) { Ok(Self(names)) } else { Err(BadLocations) }
    }
}

/// For whom a candidate decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// A share of the members: whatever happens to them.
    Share(Share),
    /// Everybody, but only what happens at these locations.
    Locations(Locations),
}

impl Audience {
    /// Whether this candidate decides what happens to a member there; without a place, it happened nowhere, such as a tick.
    pub fn includes(&self, candidate: i64, member: MemberId, location: Option<&Name>) -> bool {
        match self {
            Self::Share(share) => place(candidate, member) < share.0,
            Self::Locations(locations) => location.is_some_and(|location| locations.0.contains(location)),
        }
    }
}

/// The member's place among a hundred, another one for each candidate: else the same guests would try everything.
fn place(candidate: i64, member: MemberId) -> u8 {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(candidate.to_be_bytes())
        .chain_update(member.ulid().to_bytes())
        .finalize()
        .into();
    let [a, b, c, d, ..] = digest;
    (u32::from_be_bytes([a, b, c, d]) % 100) as u8
}

/// From when on it is for whom, and who said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Since when.
    pub at: Timestamp,
    /// The API key that asked for it.
    pub by: Option<Name>,
    /// For whom.
    #[serde(flatten)]
    pub audience: Audience,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Its files were put in force for everybody, under the next number.
    Promoted,
    /// It was given up.
    Dropped,
}

impl Ending {
    /// Its name, as stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "promoted",
            Self::Dropped => "dropped",
        }
    }
}

impl std::str::FromStr for Ending {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Promoted, Self::Dropped].into_iter().find(|ending| ending.as_str() == text).ok_or(())
    }
}

/// The end of a roll-out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub how: Ending,
    /// When.
    pub at: Timestamp,
    /// The API key that asked for it.
    pub by: Option<Name>,
}

/// One candidate's way, from the first few to everybody or to nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollOut {
    /// The candidate.
    pub version: i64,
    /// What was in force when it began; 0 = nothing.
    pub base: i64,
    /// For whom it began.
    pub began: Stage,
    /// For whom it was after that, oldest first.
    pub changes: Vec<Stage>,
    /// Its end; `None` while it runs.
    pub ended: Option<Ended>,
}

impl RollOut {
    /// The state that it is in.
    pub fn tag(&self) -> Tag {
        Tag::of_stage(self.version, 1 + self.changes.len() + usize::from(self.ended.is_some()))
    }

    /// For whom it is, or was in the end.
    pub fn stage(&self) -> &Stage {
        self.changes.last().unwrap_or(&self.began)
    }

    /// All of its stages, oldest first.
    pub fn stages(&self) -> impl DoubleEndedIterator<Item = &Stage> {
        std::iter::once(&self.began).chain(&self.changes)
    }

    /// Whether it decides now what happens to a member there.
    pub fn decides(&self, member: MemberId, location: Option<&Name>) -> bool {
        self.ended.is_none() && self.stage().audience.includes(self.version, member, location)
    }

    /// Its stage at an instant; `None` before it and after it.
    pub fn stage_at(&self, at: Timestamp) -> Option<&Stage> {
        let has_ended = self.ended.as_ref().is_some_and(|ended| ended.at <= at);
        self.stages().rev().find(|stage| stage.at <= at).filter(|_| !has_ended)
    }

    /// Whether it decided at an instant what happened to a member there.
    pub fn decided(&self, at: Timestamp, member: MemberId, location: Option<&Name>) -> bool {
        self.stage_at(at).is_some_and(|stage| stage.audience.includes(self.version, member, location))
    }

    /// From here on it is for others. Answers whether there was room for one change more.
    #[must_use]
    pub fn change(&mut self, stage: Stage) -> bool {
        let has_room = self.changes.len() + 1 < MOST_STAGES;
        if has_room {
            self.changes.push(stage);
        }
        has_room
    }
}

#[cfg(test)]
mod tests;
