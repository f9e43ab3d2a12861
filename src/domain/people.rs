//! Members who come to be, become one, or are forgotten: as told to the world.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Timestamp;
use super::identity::Identity;
use super::ids::MemberId;
use super::member::Member;
use super::merge::Handed;
use super::money::Points;
use super::profile::{Profile, ProfileField};
use super::text::Name;

/// A guest who is a member now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Enrolled {
    /// When they were first seen.
    pub enrolled_at: Timestamp,
    /// Everything the chain knows them by.
    pub identities: Vec<Identity>,
    /// Who they are, as far as that was said.
    pub profile: Profile,
}

impl Enrolled {
    /// This member.
    pub fn of(member: &Member) -> Self {
        let Member { enrolled_at, identities, profile, .. } = member;
        Self { enrolled_at: *enrolled_at, identities: identities.clone(), profile: profile.clone() }
    }
}

/// A change of what is known of a member.
#[derive(Debug, Clone, PartialEq, Default, Serialize, JsonSchema)]
pub struct ProfileUpdated {
    /// Which parts are others now.
    pub changed: Vec<ProfileField>,
    /// Everything the chain knows them by, when they are known by more now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<Identity>,
    /// The whole profile after it.
    pub profile: Profile,
}

/// Two members who are one person, or are not after all. The event is about the survivor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reunion {
    /// The other: the chain's own id of them, or ours when it has none.
    pub other_id: SmolStr,
    /// The other: our id.
    pub other_member_id: MemberId,
    /// The points that change hands, by wallet.
    pub points: Vec<Purse>,
}

/// A member who was forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Forfeited {
    /// The chain's own id of them, or ours when it has none, so that receivers know whom to forget.
    pub known_as: SmolStr,
    /// Our id: the books keep it.
    pub member_id: MemberId,
    /// The points that are gone, by wallet.
    pub points: Vec<Purse>,
}

/// Points of one wallet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Purse {
    /// The wallet.
    pub wallet: Name,
    /// What could be spent; below zero for a debt.
    pub balance: Points,
    /// What could not be spent yet.
    pub pending: Points,
}

impl Reunion {
    /// With this other.
    pub fn of(other_id: SmolStr, other_member_id: MemberId, handed: &[Handed]) -> Self {
        Self { other_id, other_member_id, points: purses(handed) }
    }
}

impl Forfeited {
    /// Of this member.
    pub fn of(known_as: SmolStr, member_id: MemberId, handed: &[Handed]) -> Self {
        Self { known_as, member_id, points: purses(handed) }
    }
}

fn purses(handed: &[Handed]) -> Vec<Purse> {
    let purse = |Handed { wallet, balance, pending }: &Handed| Purse {
        wallet: wallet.clone(),
        balance: *balance,
        pending: *pending,
    };
    handed.iter().map(purse).collect()
}
