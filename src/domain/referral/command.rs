//! What is asked for about referrals, by people and by the engine itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ReferralCode;
use crate::domain::Timestamp;
use crate::domain::command::{Command, CommandType};
use crate::domain::ids::{MemberId, ReferralId};
use crate::domain::json;
use crate::domain::source_event::{BadEvent, SourceEvent};
use crate::domain::text::{Name, Note};

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum ReferralCommand {
    /// The member was brought by the owner of this code.
    Accept(Acceptance),
    /// The member's referral counts, whatever they ordered.
    Approve,
    /// The member's referral does not count.
    Reject(Rejection),
    /// The member brought somebody: the engine's own follow-up of an approval.
    Reward(Recruit),
    /// It counts no longer: the engine's own follow-up of that.
    Revoke(Recruit),
}

/// By whom a member was brought.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReferralAcceptance")]
pub struct Acceptance {
    /// The sender's code.
    pub code: ReferralCode,
    /// Where it came from.
    #[serde(default)]
    pub channel: Option<Name>,
}

/// Why a referral does not count.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ReferralRejection")]
pub struct Rejection {
    /// For people.
    pub reason: Note,
}

/// Whom a member brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recruit {
    /// The referral.
    pub referral: ReferralId,
    /// Where the code came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Name>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NothingMore {}

impl ReferralCommand {
    /// Its type.
    pub const fn kind(&self) -> CommandType {
        match self {
            Self::Accept(_) => CommandType::AcceptReferral,
            Self::Approve => CommandType::ApproveReferral,
            Self::Reject(_) => CommandType::RejectReferral,
            Self::Reward(_) => CommandType::RewardReferral,
            Self::Revoke(_) => CommandType::RevokeReferral,
        }
    }

    /// Whether it follows of a decision about somebody else, and cannot be refused.
    pub const fn is_follow_up(&self) -> bool {
        matches!(self, Self::Reward(_) | Self::Revoke(_))
    }

    pub(in crate::domain) fn accept(raw: &str) -> Result<Self, BadEvent> {
        Ok(Self::Accept(json::object(raw, "data")?))
    }

    pub(in crate::domain) fn approve(raw: &str) -> Result<Self, BadEvent> {
        let NothingMore {} = json::object(raw, "data")?;
        Ok(Self::Approve)
    }

    pub(in crate::domain) fn reject(raw: &str) -> Result<Self, BadEvent> {
        Ok(Self::Reject(json::object(raw, "data")?))
    }

    pub(in crate::domain) fn reward(raw: &str) -> Result<Self, BadEvent> {
        Ok(Self::Reward(json::object(raw, "data")?))
    }

    pub(in crate::domain) fn revoke(raw: &str) -> Result<Self, BadEvent> {
        Ok(Self::Revoke(json::object(raw, "data")?))
    }
}

/// What the keys of follow-ups begin with; nobody else gives such a key.
pub const FOLLOW_UP: &str = "referral:";

/// What follows of a decision for somebody else, decided after it, once.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowUp {
    /// Whom it is about.
    pub member: MemberId,
    /// Which way it turned.
    pub turn: Turn,
    /// Whom they brought.
    pub recruit: Recruit,
}

/// What became of a referral, for its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It counts.
    Approved,
    /// It counts no longer.
    Revoked,
}

impl FollowUp {
    /// As a source event. Its key is the referral's and the turn's alone, so that it exists once.
    pub fn event(self, occurred_at: Timestamp) -> SourceEvent {
        let Self { member, turn, recruit } = self;
        let key = match turn {
            Turn::Approved => format!("{FOLLOW_UP}{}", recruit.referral),
            Turn::Revoked => format!("{FOLLOW_UP}{}:revoked", recruit.referral),
        };
        let command = match turn {
            Turn::Approved => ReferralCommand::Reward(recruit.clone()),
            Turn::Revoked => ReferralCommand::Revoke(recruit.clone()),
        };
        SourceEvent::own(&key, member, occurred_at, Command::Referral(Box::new(command)), &recruit)
    }
}
