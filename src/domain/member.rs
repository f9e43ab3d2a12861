//! A member: one guest of one chain, with everything that rules may know about them.
//!
//! The size of a member is bounded, and what grows with their past is kept small: see [`History`].

use litemap::LiteMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Timestamp;
use super::achievement::Feat;
use super::campaign::Allowances;
use super::cart::Carts;
use super::celebration::Celebrated;
use super::history::History;
use super::identity::{Identity, IdentityKind};
use super::ids::{EventId, MemberId, SourceId, TransferId};
use super::memo::Memo;
use super::merge::{Absorbed, Ended};
use super::money::Points;
use super::profile::Profile;
use super::redemption::Redemptions;
use super::referral::Referring;
use super::segment::{Membership, SegmentNames, SegmentType};
use super::session::OpenSessions;
use super::text::Name;
use super::tier::{Footing, ManualTier};
use super::wallet::Wallets;

pub use super::status::{RiskLevel, Status};

/// By how many identities a member may be known: a few cards, phones and addresses of a long life, no more.
pub const MAX_IDENTITIES: usize = 32;

/// What rules and the engine can change: points, tier, status, achievements, segments. Small, so that a failing rule is
/// undone by a copy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Balances and lots.
    #[serde(default)]
    pub wallets: Wallets,
    /// The effective tier, by its id in `program.toml`; `None` in a program without tiers.
    pub tier: Option<Name>,
    /// The tier that people gave: while there is one, it is the effective tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual_tier: Option<ManualTier>,
    /// Where the member stands with the program's tier policy.
    #[serde(default, skip_serializing_if = "Footing::is_new")]
    pub footing: Footing,
    /// Active, at risk, churned.
    pub status: Status,
    /// Achievements and when each was earned last.
    #[serde(default, skip_serializing_if = "LiteMap::is_empty")]
    pub achievements: LiteMap<Name, Timestamp>,
    /// What was done for each achievement that has a goal or a prize.
    #[serde(default, skip_serializing_if = "LiteMap::is_empty")]
    pub feats: LiteMap<Name, Feat>,
    /// How much a member at risk is; of the others it says nothing. Read it by [`Standing::risk_level`].
    #[serde(default, skip_serializing_if = "RiskLevel::is_medium")]
    pub at_risk: RiskLevel,
    /// The segments that the member is in.
    #[serde(default, skip_serializing_if = "LiteMap::is_empty")]
    pub segments: LiteMap<Name, Membership>,
    /// What is open of redemptions.
    #[serde(default, skip_serializing_if = "Redemptions::is_empty")]
    pub redemptions: Redemptions,
    /// Counters and marks of the program's own.
    #[serde(default, skip_serializing_if = "Memo::is_empty")]
    pub memo: Memo,
    /// What they had of campaigns.
    #[serde(default, skip_serializing_if = "Allowances::is_empty")]
    pub campaigns: Allowances,
}

impl Standing {
    /// The tier that rules or the tier policy gave: the effective one, unless people gave another.
    pub fn system_tier(&self) -> Option<&Name> {
        self.manual_tier.as_ref().map_or(self.tier.as_ref(), |manual| manual.system.as_ref())
    }

    /// Sets the tier that rules or the tier policy give. A manual tier stays the effective one.
    pub fn set_system_tier(&mut self, tier: Name) {
        match &mut self.manual_tier {
            Some(manual) => manual.system = Some(tier),
            None => self.tier = Some(tier),
        }
    }

    /// Balance of the program's first wallet.
    pub fn points(&self) -> Points {
        self.wallets.points()
    }

    /// How likely a member who stays away is lost; `None` for one who does not.
    pub fn risk_level(&self) -> Option<RiskLevel> {
        match self.status {
            Status::Active => None,
            Status::AtRisk => Some(self.at_risk),
            Status::Churned => Some(RiskLevel::High),
        }
    }

    /// The names of the segments by type; `None` when the member is in none.
    pub fn segment_names(&self) -> Option<SegmentNames> {
        let of = |kind| {
            let members = self.segments.iter().filter(|(_, membership)| membership.kind == kind);
            members.map(|(name, _)| name.clone()).collect()
        };
        (!self.segments.is_empty()).then(|| SegmentNames {
            primary: of(SegmentType::Primary),
            compound: of(SegmentType::Compound),
            cohorts: of(SegmentType::Cohort),
        })
    }
}

/// A member as decided on and as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Our id.
    pub id: MemberId,
    /// Counts commits; a commit names the version it was decided from. 0 = not stored yet.
    pub version: i64,
    /// When first seen.
    pub enrolled_at: Timestamp,
    /// When the next scheduled tick is due; `None` when the program has no schedule.
    pub next_wake_at: Option<Timestamp>,
    /// By what the chain knows them.
    pub identities: Vec<Identity>,
    /// Who they are.
    pub profile: Profile,
    /// What was told of their birthdays and anniversaries.
    pub celebrated: Celebrated,
    /// Sessions that did not end yet.
    pub sessions: OpenSessions,
    /// Carts that were not ordered yet, and what was told of others.
    pub carts: Carts,
    /// Whom they brought, and who brought them.
    pub referring: Referring,
    /// Points, tier, status, achievements.
    pub standing: Standing,
    /// What they did.
    pub history: History,
    /// The newest of what was written down about them.
    pub latest: Latest,
    /// Members who turned out to be this one.
    pub absorbed: Absorbed,
    /// How they came to be a member no more, if they did.
    pub ended: Option<Ended>,
}

/// Where a member's records begin. Each names the one before it, so that all of them are found without an index, which
/// would cost every commit a write in a place of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Latest {
    /// The last loyalty event.
    pub event: Option<EventId>,
    /// The last ledger line.
    pub transfer: Option<TransferId>,
    /// The last source event that was decided for the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceId>,
}

impl Member {
    /// A member first seen now.
    pub fn new(id: MemberId, identities: Vec<Identity>, tier: Option<Name>, now: Timestamp) -> Self {
        Self {
            id,
            version: 0,
            enrolled_at: now,
            next_wake_at: None,
            identities,
            profile: Profile::default(),
            celebrated: Celebrated::default(),
            referring: Referring::default(),
            sessions: OpenSessions::default(),
            carts: Carts::default(),
            standing: Standing { tier, ..Standing::default() },
            history: History::default(),
            latest: Latest::default(),
            absorbed: Absorbed::default(),
            ended: None,
        }
    }

    /// The value of the first identity of a kind.
    pub fn identity(&self, kind: IdentityKind) -> Option<&str> {
        self.identities.iter().find(|i| i.kind == kind).map(|i| &*i.value)
    }

    /// By what the chain knows them, by priority: kind by kind, within a kind what was known first.
    pub fn identities_by_priority(&self) -> Vec<&Identity> {
        let mut identities: Vec<_> = self.identities.iter().collect();
        identities.sort_by_key(|identity| identity.kind);
        identities
    }

    /// The chain's own id of the guest, or ours when it has none.
    pub fn known_as(&self) -> SmolStr {
        self.identity(IdentityKind::Id).map_or_else(|| self.id.to_string().into(), Into::into)
    }

    /// How outsiders see the member. What is gone next of their points, and what their tier is called, only the program can
    /// tell.
    pub fn face(&self, next_expiration: Option<NextExpiration>) -> MemberFace {
        let text = |kind| self.identity(kind).map(Into::into);
        let manual = self.standing.manual_tier.as_ref();
        MemberFace {
            id: self.known_as(),
            member_id: self.id,
            email: text(IdentityKind::Email),
            phone: text(IdentityKind::Phone),
            first_name: self.profile.first_name.clone(),
            last_name: self.profile.last_name.clone(),
            full_name: self.profile.full_name.clone(),
            tier: self.standing.tier.clone(),
            tier_name: None,
            manual_tier: manual.and(self.standing.tier.clone()),
            system_tier: self.standing.system_tier().cloned(),
            points: self.standing.points(),
            next_expiration,
            segments: None,
        }
    }
}

/// Points that will be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NextExpiration {
    /// How many.
    pub amount: Points,
    /// The first instant at which they are.
    pub at: Timestamp,
}

/// What receipts and loyalty events show of a member.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MemberFace {
    /// The chain's own id of the guest, or ours (`mem_…`) when it has none.
    pub id: SmolStr,
    /// Our id, which never changes.
    pub member_id: MemberId,
    /// E-mail address, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<SmolStr>,
    /// Phone number, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<SmolStr>,
    /// Given name, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<Name>,
    /// Family name, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<Name>,
    /// The name as the person writes it, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<Name>,
    /// Tier, in a program with tiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Name>,
    /// What people call it; told with loyalty events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier_name: Option<Name>,
    /// The tier, when people gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_tier: Option<Name>,
    /// The tier that rules or the tier policy gave; the same as `tier` unless people gave another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_tier: Option<Name>,
    /// Balance.
    pub points: Points,
    /// What of it is gone next if it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_expiration: Option<NextExpiration>,
    /// The segments that the member is in; only in the events that say so, and absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<SegmentNames>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::identity::IdentityKind::{Card, Email, Phone};

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn a_member_is_known_by_the_first_of_each_kind_and_by_kinds_in_order() {
        let identities = [(Email, "a@b.example"), (Card, "7002"), (Phone, "+15551234567"), (Card, "7001")];
        let identities = identities.map(|(kind, value)| Identity::parse(kind, value).unwrap());
        let member =
            Member::new(MemberId::new(ulid::Ulid(1)), identities.into(), None, Timestamp::UNIX_EPOCH);
        let found = [Card, Phone, Email, IdentityKind::Id].map(|kind| member.identity(kind));
        assert_eq!(found, [Some("7002"), Some("+15551234567"), Some("a@b.example"), None]);
        let values: Vec<_> = member.identities_by_priority().iter().map(|known| &*known.value).collect();
        assert_eq!(values, ["7002", "7001", "+15551234567", "a@b.example"]);
    }

    #[test]
    fn segments_are_named_by_type_and_not_at_all_without_any() {
        let mut standing = Standing::default();
        assert_eq!(standing.segment_names(), None);
        let since = Timestamp::UNIX_EPOCH;
        for (segment, kind) in [("regulars", SegmentType::Primary), ("class of 26", SegmentType::Cohort)] {
            standing.segments.insert(name(segment), Membership { kind, since });
        }
        let names = standing.segment_names().unwrap();
        assert_eq!(
            (names.primary, names.compound, names.cohorts),
            (vec![name("regulars")], vec![], vec![name("class of 26")])
        );
    }
}
