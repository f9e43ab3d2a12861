//! The commit: everything one source event (or tick) changed, as one value that is written in one transaction.

use super::Timestamp;
use super::campaign::BudgetMove;
use super::chain::ChainId;
use super::coupon::CouponChanges;
use super::delivery::NewDelivery;
use super::identity::Identity;
use super::ids::{MemberId, ReferralId, SourceId};
use super::ledger::Transfer;
use super::loyalty_event::LoyaltyEvent;
use super::member::Member;
use super::order::OrderRecord;
use super::receipt::{Receipt, SourceStatus};
use super::redemption::RedemptionChanges;
use super::referral::{Referral, ReferralCode, Reward};
use super::shared::Shared;
use super::source_event::SourceEvent;
use super::text::Key;
use std::sync::Arc;

/// Everything one decision changed.
///
/// It holds only if what it was decided from still holds: the member, the order and the coupons are at the versions
/// named (0 = not stored yet), no identity belongs to somebody else, what it takes of a stock or a budget is there, and the source
/// event is new or still in the status named. The
/// journal checks that in the same transaction; a loser reloads and decides again.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The chain.
    pub chain: ChainId,
    /// What becomes of the source event; `None` for a scheduled tick on which no rule failed.
    pub source: Option<SourceChange>,
    /// The member after it, at the version it was decided *from*; `None` when nobody is known yet.
    pub member: Option<Shared<Member>>,
    /// What became of the member's next wake-up.
    pub wake: Wake,
    /// Identities seen for the first time.
    pub new_identities: Vec<Identity>,
    /// What it changed of who is who.
    pub people: PeopleChanges,
    /// The order after it, at the version it was decided *from*.
    pub order: Option<OrderRecord>,
    /// Coupons after it, and what was done with them.
    pub coupons: CouponChanges,
    /// The code that the member gives to others, when it is new.
    pub new_referral_code: Option<ReferralCode>,
    /// The member's referral after it, when it changed.
    pub referral: Option<Referral>,
    /// What a referral brought the member who is its sender.
    pub referral_reward: Option<(ReferralId, Reward)>,
    /// What follows of it for somebody else: kept with it, decided after it.
    pub follow_up: Option<SourceChange>,
    /// Redemptions after it, and how the stock of rewards moves.
    pub redemptions: RedemptionChanges,
    /// How the budgets of campaigns move.
    pub budgets: Vec<BudgetMove>,
    /// Ledger lines.
    pub transfers: Vec<Transfer>,
    /// What we tell the world.
    pub events: Vec<LoyaltyEvent>,
    /// To whom.
    pub deliveries: Vec<NewDelivery>,
    /// When it was decided.
    pub decided_at: Timestamp,
}

impl Commit {
    /// A commit that changes nothing.
    pub fn of_nothing(chain: ChainId, decided_at: Timestamp) -> Self {
        Self {
            chain,
            source: None,
            member: None,
            wake: Wake::Kept,
            new_identities: Vec::new(),
            people: PeopleChanges::default(),
            order: None,
            coupons: CouponChanges::default(),
            new_referral_code: None,
            referral: None,
            referral_reward: None,
            follow_up: None,
            redemptions: RedemptionChanges::default(),
            budgets: Vec::new(),
            transfers: Vec::new(),
            events: Vec::new(),
            deliveries: Vec::new(),
            decided_at,
        }
    }
}

/// What a merge, an un-merge, an erasure or a claim changed beside the member. Other commits change nothing of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PeopleChanges {
    /// The other members after it, at the versions they were decided *from*.
    pub others: Vec<Member>,
    /// Identities that go from one to another.
    pub identities: Vec<IdentityMove>,
    /// What members have of coupons goes with them.
    pub coupons: Option<CouponsMove>,
    /// Members of whom the log must forget who they were.
    pub erased: Vec<MemberId>,
    /// An order without a guest that is the member's from now on.
    pub claimed: Option<Key>,
    /// An order that was nobody's and came to be the member's: what was parked about it is theirs, as far as it is
    /// nobody's.
    pub awaited: Option<Key>,
}

impl PeopleChanges {
    /// Moves identities.
    pub fn move_identities(&mut self, identities: &[Identity], from: MemberId, to: Option<MemberId>) {
        let moved = identities.iter().map(|identity| IdentityMove { identity: identity.clone(), from, to });
        self.identities.extend(moved);
    }
}

/// An identity that goes from one member to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityMove {
    /// Which.
    pub identity: Identity,
    /// Whose it must still be.
    pub from: MemberId,
    /// Whose it is after it; `None` = nobody's.
    pub to: Option<MemberId>,
}

/// What two members have of coupons, and did with their books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CouponsMove {
    /// All of it counts as the second one's too; what the first one had stays known.
    Join {
        /// Who is absorbed.
        from: MemberId,
        /// The survivor.
        to: MemberId,
    },
    /// What the second one had is theirs again, as far as it is still there.
    Part {
        /// The survivor.
        from: MemberId,
        /// Who was absorbed.
        to: MemberId,
        /// Whom they have absorbed.
        absorbed: Vec<MemberId>,
    },
}

/// Whether a commit moved the member's next wake-up. Most do not, and need not touch the index of wake-ups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wake {
    /// It is when it was.
    #[default]
    Kept,
    /// It is another one now, or none.
    Moved,
}

/// What becomes of a source event.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceChange {
    /// Its id.
    pub id: SourceId,
    /// The event.
    pub event: Arc<SourceEvent>,
    /// When it came.
    pub received_at: Timestamp,
    /// Whether it is new or was kept before.
    pub from: SourceOrigin,
    /// Whose it is, once known.
    pub member: Option<MemberId>,
    /// The event before it that was decided for the same member.
    pub previous: Option<SourceId>,
    /// What the POS is told.
    pub receipt: Receipt,
}

impl SourceChange {
    /// What became of it.
    pub fn status(&self) -> SourceStatus {
        self.receipt.status
    }
}

impl SourceOrigin {
    /// Whether it was never decided before.
    pub const fn is_undecided(self) -> bool {
        match self {
            Self::Outside => true,
            Self::Stored { status, .. } => matches!(status, SourceStatus::Accepted | SourceStatus::Parked),
        }
    }
}

/// Where a source event came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceOrigin {
    /// From outside: its key must be new.
    Outside,
    /// From the store: it must still be in this status, after this many decisions.
    Stored {
        /// The status it was read in.
        status: SourceStatus,
        /// How often it was decided before; part of derived ids, so that a replay makes new ones.
        runs: u32,
    },
}
