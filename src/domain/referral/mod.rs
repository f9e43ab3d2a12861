//! Referrals: one member brings another.
//!
//! The referral is the receiver's: it lives with them, and their orders approve it. The reward of the sender is a
//! decision about another member, so it is a source event of its own ([`FollowUp`]) that is written with the approval,
//! under a key that only this referral has, and decided by the sender's actor: a crash between the two loses nothing
//! and rewards nobody twice. What is taken back from the sender goes the same way. Both look at the referral as filed,
//! so it does not matter which of them is decided first.

mod code;
mod command;
#[cfg(test)]
mod tests;

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Timestamp;
use super::achievement::Brought;
use super::coupon::CouponCode;
use super::ids::{MemberId, ReferralId};
use super::terms::referral::SenderLimits;
use super::text::{Key, Name, Note};

pub use code::ReferralCode;
pub use command::{Acceptance, FOLLOW_UP, FollowUp, Recruit, ReferralCommand, Rejection, Turn};

/// What a member has to do with referrals.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Referring {
    /// What they give to others; made once, never changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ReferralCode>,
    /// By whom they were brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<Box<Referral>>,
    /// Whom they brought.
    #[serde(default, skip_serializing_if = "Sent::is_none")]
    pub sent: Sent,
}

/// One member brought by another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Referral {
    /// Its id.
    pub id: ReferralId,
    /// Who brought them.
    pub sender: MemberId,
    /// Where it stands.
    pub status: ReferralStatus,
    /// Where the code came from: `instagram`, `friend`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was approved, rejected, revoked, or expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Timestamp>,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Note>,
    /// The order that approved it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Key>,
    /// What it brought its receiver.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brought: Vec<Brought>,
}

/// What a referral brought its sender.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reward {
    /// On which day of the chain.
    pub on: NaiveDate,
    /// What.
    pub brought: Vec<Brought>,
}

/// A referral as the decisions of both sides see it. What people are called is not kept with it: it would outlive them.
#[derive(Debug, Clone, PartialEq)]
pub struct Filed {
    /// Where it stands.
    pub status: ReferralStatus,
    /// What it brought its sender.
    pub reward: Option<Reward>,
    /// What the chain calls who brought somebody.
    pub sender_id: SmolStr,
    /// What the chain calls who was brought.
    pub receiver_id: SmolStr,
}

/// Where a referral stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ReferralStatus {
    /// It waits for its approval.
    Pending,
    /// It counts.
    Approved,
    /// People refused it.
    Rejected,
    /// It waited for too long.
    Expired,
    /// It counted, and the order that approved it does not any more.
    Revoked,
}

impl ReferralStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Approved, Self::Rejected, Self::Expired, Self::Revoked];

    /// The word used in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl std::str::FromStr for ReferralStatus {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or(())
    }
}

/// A side of a referral.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Side {
    /// Who brought somebody.
    Sender,
    /// Who was brought.
    Receiver,
}

impl Side {
    /// The word used in JSON and in rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sender => "sender",
            Self::Receiver => "receiver",
        }
    }
}

/// How many referrals of a sender were rewarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sent {
    /// In all.
    pub total: u32,
    /// In the last period: its first day, and how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<(NaiveDate, u32)>,
}

impl Sent {
    /// Whether there were none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Adds those of somebody who is the same person.
    pub fn join(&mut self, other: Self) {
        self.total = self.total.saturating_add(other.total);
        self.period = match (self.period, other.period) {
            (Some((own, count)), Some((theirs, more))) if own == theirs => Some((own, count + more)),
            (own, theirs) => own.max(theirs),
        };
    }

    /// One that was rewarded on that day counts no longer.
    pub fn take_back(&mut self, limits: &SenderLimits, on: NaiveDate) {
        self.total = self.total.saturating_sub(1);
        let of_day = limits.per_period.map(|(unit, _)| unit.first_day(on));
        if let Some((_, count)) = self.period.as_mut().filter(|(first, _)| Some(*first) == of_day) {
            *count = count.saturating_sub(1);
        }
    }

    /// Takes theirs away again.
    pub fn part(&mut self, other: Self) {
        self.total = self.total.saturating_sub(other.total);
        if let (Some((own, count)), Some((theirs, less))) = (&mut self.period, other.period)
            && *own == theirs
        {
            *count = count.saturating_sub(less);
        }
    }

    /// How many there were in the period of `today`.
    fn in_period(&self, first: NaiveDate) -> u32 {
        self.period.filter(|(of, _)| *of == first).map_or(0, |(_, count)| count)
    }

    /// Whether one more would be rewarded.
    pub fn has_room(&self, limits: &SenderLimits, today: NaiveDate) -> bool {
        let of_period = |(unit, most): (super::terms::achievement::Unit, u32)| {
            self.in_period(unit.first_day(today)) < most
        };
        limits.total.is_none_or(|most| self.total < most) && limits.per_period.is_none_or(of_period)
    }

    /// One more is rewarded.
    pub fn add(&mut self, limits: &SenderLimits, today: NaiveDate) {
        self.total = self.total.saturating_add(1);
        if let Some((unit, _)) = limits.per_period {
            let first = unit.first_day(today);
            self.period = Some((first, self.in_period(first) + 1));
        }
    }
}

/// The owner of a code, as a receiver's decision sees them.
#[derive(Debug, Clone, PartialEq)]
pub struct Sender {
    /// Our id.
    pub member: MemberId,
    /// The chain's id of them, or ours.
    pub id: SmolStr,
    /// First name, when known.
    pub first_name: Option<Name>,
    /// E-mail address, when known.
    pub email: Option<SmolStr>,
    /// Whom they brought so far.
    pub sent: Sent,
}

/// A referral, as told to the world: to one side of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReferralTold {
    /// Its id.
    pub referral_id: ReferralId,
    /// Which side the member of this event is.
    pub role: Side,
    /// Where it stands.
    pub status: ReferralStatus,
    /// The chain's id of who brought somebody, or ours.
    pub sender_id: SmolStr,
    /// The chain's id of who was brought, or ours.
    pub receiver_id: SmolStr,
    /// First name of the sender, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_first_name: Option<Name>,
    /// E-mail address of the sender, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_email: Option<SmolStr>,
    /// Where the code came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
    /// The sender's code, on the event that says they were referred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<ReferralCode>,
    /// The address to share that has the code in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<SmolStr>,
    /// Whether the member of this event gets a coupon for it.
    pub has_coupon: bool,
    /// Whether the member of this event is new.
    pub new_user: bool,
    /// Whether the member of this event is the one who was referred.
    pub referred_user: bool,
    /// Whether the member of this event was rewarded: a sender beyond the limit is not.
    pub rewarded: bool,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Note>,
    /// Of one that was revoked: coupons that it brought and that are used already, so they stay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons_kept: Vec<CouponCode>,
}

impl ReferralTold {
    /// A made-up one, as its receiver is told of it.
    pub fn example(status: ReferralStatus) -> Self {
        Self {
            referral_id: ReferralId::new(ulid::Ulid(0x019c_b5c8_a3d0_0000_0000_0000_0000_0011)),
            role: Side::Receiver,
            status,
            sender_id: "m-41".into(),
            receiver_id: "m-42".into(),
            sender_first_name: None,
            sender_email: None,
            channel: Name::parse("friend").ok(),
            code: None,
            link: None,
            has_coupon: true,
            new_user: false,
            referred_user: true,
            rewarded: status == ReferralStatus::Approved,
            reason: None,
            coupons_kept: Vec::new(),
        }
    }
}
