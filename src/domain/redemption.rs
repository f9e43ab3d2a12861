//! Redemptions: rewards that members spent points on, from the wish to the hand-over.
//!
//! A redemption belongs to one member and changes only in that member's commits, so the member's version is its fence
//! too. The member carries what is still open of them ([`Redemptions`]); the rest is a row that is laid on the
//! [desk](Desk) of a decision that needs it.

mod desk;

pub use desk::{Desk, RedemptionChanges, StockMove, StockWay, Wanted};

use litemap::LiteMap;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::ids::{MemberId, RedemptionId};
use super::money::Points;
use super::refusal::Refused;
use super::terms::Terms;
use super::terms::reward::RewardKind;
use super::text::{Name, Note};
use super::wallet::Lot;

/// The most redemptions of a member that may be open at once.
pub const MAX_OPEN: usize = 50;

/// Where a redemption stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RedemptionStatus {
    /// The points are spent; a manager has to say yes.
    Pending,
    /// To be handed over.
    Approved,
    /// The guest has it.
    Fulfilled,
    /// A manager said no; the points are given back.
    Rejected,
    /// Taken back; the points are given back.
    Cancelled,
    /// Not fulfilled in time; the points are given back.
    Expired,
}

/// What people can do with a redemption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A manager says yes.
    Approve,
    /// The guest gets it.
    Fulfill,
    /// A manager says no.
    Reject,
    /// Nobody wants it any more.
    Cancel,
}

impl RedemptionStatus {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Approved, Self::Fulfilled, Self::Rejected, Self::Cancelled, Self::Expired];

    /// The word used in JSON and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Fulfilled => "fulfilled",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether something is still to come.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Approved)
    }

    /// Whether what it took was given back.
    pub const fn came_to_nothing(self) -> bool {
        matches!(self, Self::Rejected | Self::Cancelled | Self::Expired)
    }

    /// Where a step leads.
    ///
    /// # Errors
    /// The redemption does not stand where the step begins.
    pub fn after(self, step: Step) -> Result<Self, Refused> {
        Ok(match (self, step) {
            (Self::Pending, Step::Approve) => Self::Approved,
            (Self::Approved, Step::Fulfill) => Self::Fulfilled,
            (Self::Pending, Step::Reject) => Self::Rejected,
            (Self::Pending | Self::Approved, Step::Cancel) => Self::Cancelled,
            (_, Step::Approve | Step::Reject) => return Err(self.is_not("redemption_not_pending", "pending")),
            (_, Step::Fulfill) => return Err(self.is_not("redemption_not_approved", "approved")),
            (_, Step::Cancel) => return Err(self.is_not("redemption_not_open", "pending or approved")),
        })
    }

    fn is_not(self, code: &'static str, wanted: &str) -> Refused {
        Refused::new(code, format!("the redemption is {}; only one that is {wanted} can be", self.as_str()))
    }
}

impl FromStr for RedemptionStatus {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or(())
    }
}

/// The reward as it was when it was redeemed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RewardFace {
    /// Its id in `program.toml`.
    pub id: Name,
    /// What people call it.
    pub title: Name,
    /// `digital` or `physical`.
    #[serde(rename = "type")]
    pub kind: RewardKind,
}

/// Which counters a redemption moved, and moves back when it comes to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// The reward's stock.
    pub stock: bool,
    /// What the member may have of it.
    pub limit: bool,
}

/// One redemption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Redemption {
    /// Its id.
    pub id: RedemptionId,
    /// Whose.
    pub member: MemberId,
    /// What for.
    pub reward: RewardFace,
    /// Where it stands.
    pub status: RedemptionStatus,
    /// The wallet that paid.
    pub wallet: Name,
    /// What it cost.
    pub points_spent: Points,
    /// The lots that the points came from.
    pub drawn: Vec<Lot>,
    /// What moves back when it comes to nothing.
    pub counted: Counted,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it expires if it is not fulfilled by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Why it was rejected or cancelled, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Note>,
    /// What the guest got: the code of a gift card, the number of a parcel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Name>,
}

/// What the world is told of a redemption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RedemptionTold {
    /// Its id.
    pub redemption_id: RedemptionId,
    /// What for.
    pub reward: RewardFace,
    /// What it cost.
    pub points_spent: Points,
    /// The wallet that paid.
    pub wallet: Name,
    /// Where it stands: `pending` when it waits for approval.
    pub status: RedemptionStatus,
    /// When it expires if it is not fulfilled by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Why it was rejected, cancelled or expired, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Note>,
    /// What the guest got, when the fulfilment said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Name>,
}

impl Redemption {
    /// Whether one of this reward's stock is taken by it.
    pub fn takes_of(&self, reward: &Name) -> bool {
        self.counted.stock && self.reward.id == *reward && !self.status.came_to_nothing()
    }

    /// What the world is told of it.
    pub fn told(&self) -> RedemptionTold {
        RedemptionTold {
            redemption_id: self.id,
            reward: self.reward.clone(),
            points_spent: self.points_spent,
            wallet: self.wallet.clone(),
            status: self.status,
            expires_at: self.expires_at.filter(|_| self.status.is_open()),
            reason: self.reason.clone(),
            code: self.code.clone(),
        }
    }
}

/// What a member carries of redemptions. Bounded: [`MAX_OPEN`], and one number for each reward with a limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Redemptions {
    #[serde(default, skip_serializing_if = "LiteMap::is_empty")]
    open: LiteMap<RedemptionId, Option<Timestamp>>,
    /// How many the member has of each reward with a limit.
    #[serde(default, skip_serializing_if = "LiteMap::is_empty")]
    has: LiteMap<Name, u32>,
}

impl Redemptions {
    /// Whether there never was one that matters still.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.has.is_empty()
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// How many the member has of a reward with a limit.
    pub fn has(&self, reward: &Name) -> u32 {
        self.has.get(reward).copied().unwrap_or(0)
    }

    /// Those that are open.
    pub fn ids(&self) -> impl Iterator<Item = RedemptionId> {
        self.open.keys().copied()
    }

    /// Those whose time is over at `now`.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = RedemptionId> {
        self.open.iter().filter(move |(_, until)| until.is_some_and(|until| until <= now)).map(|(id, _)| *id)
    }

    /// When the first of them expires.
    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.open.values().flatten().min().copied()
    }

    /// Takes over what somebody carries who is the same person.
    pub fn join(&mut self, other: &Self) {
        self.open.extend(other.open.iter().map(|(id, until)| (*id, *until)));
        for (reward, has) in &other.has {
            *self.has.entry(reward.clone()).or_default() += has;
        }
    }

    /// Takes out again what was joined, as far as it is still open; the limits count as they did then.
    pub fn part(&mut self, joined: &Self) -> Self {
        let mut out = joined.clone();
        out.open.retain(|id, _| self.open.contains_key(id));
        self.open.retain(|id, _| !out.open.contains_key(id));
        for (reward, has) in &mut out.has {
            let both = self.has.entry(reward.clone()).or_default();
            *has = (*has).min(*both);
            *both -= *has;
        }
        self.has.retain(|_, has| *has > 0);
        out.has.retain(|_, has| *has > 0);
        out
    }

    /// Notes a new one. Rewards without a limit any more are forgotten.
    pub fn opened(&mut self, redemption: &Redemption, terms: &Terms) {
        self.open.insert(redemption.id, redemption.expires_at);
        self.has.retain(|id, _| terms.reward(id).is_some_and(|reward| reward.limit_per_member.is_some()));
        if redemption.counted.limit {
            *self.has.entry(redemption.reward.id.clone()).or_default() += 1;
        }
    }

    /// Notes that one came to its end.
    pub fn closed(&mut self, redemption: &Redemption) {
        self.open.remove(&redemption.id);
        if redemption.status.came_to_nothing()
            && redemption.counted.limit
            && let Some(has) = self.has.get_mut(&redemption.reward.id)
        {
            *has = has.saturating_sub(1);
            self.has.retain(|_, has| *has > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_begins_where_the_table_says_and_nowhere_else() {
        use RedemptionStatus::{Approved, Cancelled, Fulfilled, Pending, Rejected};
        let table = [
            (Pending, Step::Approve, Approved),
            (Pending, Step::Reject, Rejected),
            (Pending, Step::Cancel, Cancelled),
            (Approved, Step::Fulfill, Fulfilled),
            (Approved, Step::Cancel, Cancelled),
        ];
        for from in RedemptionStatus::ALL {
            for (step, code) in [
                (Step::Approve, "redemption_not_pending"),
                (Step::Reject, "redemption_not_pending"),
                (Step::Fulfill, "redemption_not_approved"),
                (Step::Cancel, "redemption_not_open"),
            ] {
                let wanted = table.iter().find(|(at, by, _)| (*at, *by) == (from, step)).map(|(.., to)| *to);
                let found = from.after(step).map_err(|refused| refused.code);
                assert_eq!(found, wanted.ok_or(code), "{from:?} {step:?}");
            }
            assert_eq!(from.as_str().parse(), Ok(from));
            assert_eq!(from.is_open(), from.after(Step::Cancel).is_ok());
        }
    }

    #[test]
    fn what_two_members_carry_is_one_and_comes_apart_as_far_as_it_is_there() {
        let id = |n| RedemptionId::new(ulid::Ulid(n));
        let at = |n| Timestamp::from_timestamp(n, 0);
        let [mug, cup, hat] = ["mug", "cup", "hat"].map(|text| Name::parse(text).unwrap());
        let own = Redemptions {
            open: LiteMap::from_iter([(id(1), at(10))]),
            has: LiteMap::from_iter([(mug.clone(), 1)]),
        };
        let other = Redemptions {
            open: LiteMap::from_iter([(id(2), at(5)), (id(3), None)]),
            has: LiteMap::from_iter([(mug.clone(), 2), (cup.clone(), 1), (hat.clone(), 2)]),
        };
        let mut both = own.clone();
        both.join(&other);
        assert_eq!((both.open(), both.next_expiry()), (3, at(5)));
        assert_eq!([&mug, &cup, &hat].map(|reward| both.has(reward)), [3, 1, 2]);
        let mut untouched = both.clone();
        assert_eq!((untouched.part(&other), untouched), (other.clone(), own.clone()));
        both.open.remove(&id(2)); // came to its end
        both.has.remove(&cup);
        both.has.insert(hat.clone(), 1);
        let back = both.part(&other);
        assert_eq!((back.open(), back.next_expiry()), (1, None));
        assert_eq!([&mug, &cup, &hat].map(|reward| back.has(reward)), [2, 0, 1]);
        assert_eq!(both, own, "nothing is left but what was their own");
    }
}
