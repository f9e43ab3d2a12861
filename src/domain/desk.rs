//! The desk of one decision: what it knows besides the member and the order, a part for each noun.
//!
//! A decision cannot know beforehand what it will need. So it takes what lies on the desk, and says what it lacks;
//! whoever carries the decision out lays that on the desk too and asks again.

use std::collections::{BTreeMap, BTreeSet};

use super::claim::Claim;
use super::ids::ReferralId;
use super::merge::{Guest, Tombstones};
use super::referral::{Filed, ReferralCode, Sender};
use super::{campaign, coupon, redemption};

/// What a decision needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Of coupons.
    pub coupons: coupon::Wanted,
    /// Of redemptions.
    pub redemptions: redemption::Wanted,
    /// The members to whom these codes belong.
    pub senders: BTreeSet<ReferralCode>,
    /// These referrals, of which the member is the sender.
    pub referrals: BTreeSet<ReferralId>,
    /// What was given out of these.
    pub campaigns: campaign::Wanted,
}

impl Wanted {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.coupons.is_empty()
            && self.redemptions.is_empty()
            && self.senders.is_empty()
            && self.referrals.is_empty()
            && self.campaigns.is_empty()
    }

    /// Wants that, too.
    pub fn add(&mut self, other: Self) {
        self.coupons.add(other.coupons);
        self.redemptions.add(other.redemptions);
        self.senders.extend(other.senders);
        self.referrals.extend(other.referrals);
        self.campaigns.extend(other.campaigns);
    }
}

/// What is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Desk {
    /// Coupons.
    pub coupons: coupon::Desk,
    /// Redemptions, and what is taken of the rewards' stock.
    pub redemptions: redemption::Desk,
    /// Members who give codes to others; `None` = nobody has this code.
    pub senders: BTreeMap<ReferralCode, Option<Sender>>,
    /// Referrals as they are filed; `None` = there is no such.
    pub referrals: BTreeMap<ReferralId, Option<Filed>>,
    /// What campaigns gave, and give now.
    pub campaigns: campaign::Desk,
    /// Whom a merge is about besides the survivor: they lie there from the start.
    pub guest: Option<Box<Guest>>,
    /// Everybody whom the member has absorbed: they lie there from the start, so that what happens to something of
    /// theirs happens to what is theirs.
    pub tombstones: Tombstones,
    /// The order that is claimed; it lies there from the start, too.
    pub claim: Option<Claim>,
}

impl Desk {
    /// Whether nothing lies there, and nothing was done with what did.
    pub fn is_empty(&self) -> bool {
        self.coupons.is_empty()
            && self.redemptions.is_empty()
            && self.senders.is_empty()
            && self.referrals.is_empty()
            && self.campaigns.is_empty()
            && self.guest.is_none()
            && self.tombstones.is_empty()
            && self.claim.is_none()
    }
}

impl From<coupon::Desk> for Desk {
    fn from(coupons: coupon::Desk) -> Self {
        Self { coupons, ..Self::default() }
    }
}
