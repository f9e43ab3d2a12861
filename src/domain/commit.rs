//! The commit: everything one source event (or tick) changed, as one value that is written in one transaction.

use super::Timestamp;
use super::chain::ChainId;
use super::coupon::CouponChanges;
use super::delivery::NewDelivery;
use super::identity::Identity;
use super::ids::{MemberId, SourceId};
use super::ledger::Transfer;
use super::loyalty_event::LoyaltyEvent;
use super::member::Member;
use super::order::OrderRecord;
use super::receipt::{Receipt, SourceStatus};
use super::redemption::RedemptionChanges;
use super::referral::{Referral, ReferralCode};
use super::source_event::SourceEvent;
use std::sync::Arc;

/// Everything one decision changed.
///
/// It holds only if what it was decided from still holds: the member, the order and the coupons are at the versions
/// named (0 = not stored yet), no identity belongs to somebody else, what it takes of a stock is there, and the source
/// event is new or still in the status named. The
/// journal checks that in the same transaction; a loser reloads and decides again.
#[derive(Debug, Clone, PartialEq)]
pub struct Commit {
    /// The chain.
    pub chain: ChainId,
    /// What becomes of the source event; `None` for a scheduled tick.
    pub source: Option<SourceChange>,
    /// The member after it, at the version it was decided *from*; `None` when nobody is known yet.
    pub member: Option<Member>,
    /// What became of the member's next wake-up.
    pub wake: Wake,
    /// Identities seen for the first time.
    pub new_identities: Vec<Identity>,
    /// The order after it, at the version it was decided *from*.
    pub order: Option<OrderRecord>,
    /// Coupons after it, and what was done with them.
    pub coupons: CouponChanges,
    /// The code that the member gives to others, when it is new.
    pub new_referral_code: Option<ReferralCode>,
    /// The member's referral after it, when it changed.
    pub referral: Option<Referral>,
    /// What follows of it for somebody else: kept with it, decided after it.
    pub follow_up: Option<SourceChange>,
    /// Redemptions after it, and how the stock of rewards moves.
    pub redemptions: RedemptionChanges,
    /// Ledger lines.
    pub transfers: Vec<Transfer>,
    /// What we tell the world.
    pub events: Vec<LoyaltyEvent>,
    /// To whom.
    pub deliveries: Vec<NewDelivery>,
    /// When it was decided.
    pub decided_at: Timestamp,
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
    /// What the POS is told.
    pub receipt: Receipt,
}

impl SourceChange {
    /// What became of it.
    pub fn status(&self) -> SourceStatus {
        self.receipt.status
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
