//! What rules can react to: some of what an event or a tick came to.

use serde::{Deserialize, Serialize};

use super::achievement::{AchievementEarned, AchievementRevoked, StreakBroken};
use super::loyalty_event::{Absence, EventData, EventType};
use super::referral::ReferralTold;

/// What a rule reacted to, as it was told. A failed rule keeps it, so that it is asked about the very same again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum Reaction {
    /// An achievement was earned.
    #[serde(rename = "achievement.earned")]
    AchievementEarned(AchievementEarned),
    /// One was taken back.
    #[serde(rename = "achievement.revoked")]
    AchievementRevoked(AchievementRevoked),
    /// A streak cannot be continued any more.
    #[serde(rename = "streak.broken")]
    StreakBroken(StreakBroken),
    /// A referral counts.
    #[serde(rename = "referral.approved")]
    ReferralApproved(Box<ReferralTold>),
    /// A referral counts no longer.
    #[serde(rename = "referral.revoked")]
    ReferralRevoked(Box<ReferralTold>),
    /// Somebody came back.
    #[serde(rename = "member.reactivated")]
    MemberReactivated(Absence),
}

impl Reaction {
    /// What rules can react to. What such a rule does starts no further one, so that there is an end to it.
    pub const ALL: [EventType; 6] = [
        EventType::AchievementEarned,
        EventType::AchievementRevoked,
        EventType::StreakBroken,
        EventType::ReferralApproved,
        EventType::ReferralRevoked,
        EventType::MemberReactivated,
    ];

    /// `None` for what nothing reacts to.
    pub fn to(told: &EventData) -> Option<Self> {
        Some(match told {
            EventData::AchievementEarned(told) => Self::AchievementEarned(told.clone()),
            EventData::AchievementRevoked(told) => Self::AchievementRevoked(told.clone()),
            EventData::StreakBroken(told) => Self::StreakBroken(told.clone()),
            EventData::ReferralApproved(told) => Self::ReferralApproved(told.clone()),
            EventData::ReferralRevoked(told) => Self::ReferralRevoked(told.clone()),
            EventData::MemberReactivated(told) => Self::MemberReactivated(told.clone()),
            _ => return None,
        })
    }

    /// What was told.
    pub fn told(&self) -> EventData {
        match self.clone() {
            Self::AchievementEarned(told) => EventData::AchievementEarned(told),
            Self::AchievementRevoked(told) => EventData::AchievementRevoked(told),
            Self::StreakBroken(told) => EventData::StreakBroken(told),
            Self::ReferralApproved(told) => EventData::ReferralApproved(told),
            Self::ReferralRevoked(told) => EventData::ReferralRevoked(told),
            Self::MemberReactivated(told) => EventData::MemberReactivated(told),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_rules_can_react_to_is_kept_as_it_was_told() {
        for kind in EventType::ALL {
            let told = kind.example().data;
            let Some(reaction) = Reaction::to(&told) else {
                assert!(!Reaction::ALL.contains(kind), "{kind}");
                continue;
            };
            assert!(Reaction::ALL.contains(kind), "{kind}");
            let kept = serde_json::to_string(&reaction).unwrap();
            let read: Reaction = serde_json::from_str(&kept).unwrap();
            assert_eq!(read.told(), told, "{kept}");
            assert!(kept.contains(kind.as_str()));
        }
    }
}
