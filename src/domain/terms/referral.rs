//! Referrals: who may bring whom, when that counts, and what it brings.

use chrono::Duration;

use super::achievement::{OnRefund, Prize, Unit};
use crate::domain::money::Money;

/// How members bring others.
#[derive(Debug, Clone, PartialEq)]
pub struct Referrals {
    /// When a referral is approved.
    pub approval: Approval,
    /// How long a referral may wait for its approval; `None` = for ever.
    pub expires_after: Option<Duration>,
    /// How long after enrolment a guest is new enough to be referred.
    pub new_for: Duration,
    /// The most referrals of one sender that are rewarded.
    pub limits: SenderLimits,
    /// What the sender gets.
    pub sender: Prize,
    /// What the receiver gets.
    pub receiver: Prize,
    /// Whether the refund or cancellation of the whole order that approved it takes all of it back.
    pub on_refund: OnRefund,
    /// The address to share; `{code}` stands for the code.
    pub link: Option<Box<str>>,
}

/// When a referral is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// By the receiver's first order of which so much is left.
    FirstOrder {
        /// The least that counts.
        minimum: Money,
    },
    /// By people.
    Manual,
}

/// The most referrals of one sender that are rewarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderLimits {
    /// In all.
    pub total: Option<u32>,
    /// In each period of the chain's calendar.
    pub per_period: Option<(Unit, u32)>,
}
