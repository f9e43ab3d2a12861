//! What is told of members who were merged, told apart again, or erased.

use schemars::JsonSchema;
use serde::Serialize;

use super::ids::MemberId;
use super::merge::Handed;
use super::money::Points;
use super::text::Name;

/// Two members who are one person, or are not after all. The event is about the survivor.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reunion {
    /// The other: the chain's own id of them, or ours when it has none.
    pub other_id: Box<str>,
    /// The other: our id.
    pub other_member_id: MemberId,
    /// The points that change hands, by wallet.
    pub points: Vec<Purse>,
}

/// A member who was forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Forfeited {
    /// The chain's own id of them, or ours when it has none, so that receivers know whom to forget.
    pub known_as: Box<str>,
    /// Our id: the books keep it.
    pub member_id: MemberId,
    /// The points that are gone, by wallet.
    pub points: Vec<Purse>,
}

/// Points of one wallet.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
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
    pub fn of(other_id: Box<str>, other_member_id: MemberId, handed: &[Handed]) -> Self {
        Self { other_id, other_member_id, points: purses(handed) }
    }
}

impl Forfeited {
    /// Of this member.
    pub fn of(known_as: Box<str>, member_id: MemberId, handed: &[Handed]) -> Self {
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
