//! A member: one guest of one chain, with everything that rules may know about them.
//!
//! The size of a member is bounded, and what grows with their past is kept small: see [`History`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::achievement::Feat;
use super::cart::Carts;
use super::celebration::Celebrated;
use super::history::History;
use super::identity::{Identity, IdentityKind};
use super::ids::{EventId, MemberId, TransferId};
use super::merge::{Absorbed, Ended};
use super::money::Points;
use super::profile::Profile;
use super::redemption::Redemptions;
use super::referral::Referring;
use super::segment::{Membership, SegmentNames, SegmentType};
use super::session::OpenSessions;
use super::text::Name;
use super::tier::{Footing, ManualTier};
use super::wallet::{Wallet, Wallets};

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
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub achievements: BTreeMap<Name, Timestamp>,
    /// What was done for each achievement that has a goal or a prize.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub feats: BTreeMap<Name, Feat>,
    /// How much a member at risk is; of the others it says nothing. Read it by [`Standing::risk_level`].
    #[serde(default, skip_serializing_if = "RiskLevel::is_medium")]
    pub at_risk: RiskLevel,
    /// The segments that the member is in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub segments: BTreeMap<Name, Membership>,
    /// What is open of redemptions.
    #[serde(default, skip_serializing_if = "Redemptions::is_empty")]
    pub redemptions: Redemptions,
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

    /// How outsiders see the member.
    pub fn face(&self) -> MemberFace {
        let text = |kind| self.identity(kind).map(Into::into);
        let manual = self.standing.manual_tier.as_ref();
        MemberFace {
            id: text(IdentityKind::Id).unwrap_or_else(|| self.id.to_string().into()),
            email: text(IdentityKind::Email),
            phone: text(IdentityKind::Phone),
            first_name: self.profile.first_name.clone(),
            last_name: self.profile.last_name.clone(),
            full_name: self.profile.full_name.clone(),
            tier: self.standing.tier.clone(),
            manual_tier: manual.map(|_| self.standing.tier.clone()).unwrap_or_default(),
            system_tier: manual.and_then(|manual| manual.system.clone()),
            points: self.standing.points(),
            next_expiration: self.standing.wallets.first().and_then(NextExpiration::of),
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

impl NextExpiration {
    /// What is gone next of a wallet.
    pub fn of(wallet: &Wallet) -> Option<Self> {
        wallet.next_expiry().map(|(at, amount)| Self { amount, at })
    }
}

/// What receipts and loyalty events show of a member.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MemberFace {
    /// The chain's own id of the guest, or ours (`mem_…`) when it has none.
    pub id: Box<str>,
    /// E-mail address, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Box<str>>,
    /// Phone number, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Box<str>>,
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
    /// The tier, when people gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_tier: Option<Name>,
    /// The tier that it would be if people had not given another.
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
