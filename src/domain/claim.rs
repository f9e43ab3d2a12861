//! Orders without a guest, claimed later with the receipt in hand.

use super::Timestamp;
use super::ids::MemberId;
use super::text::Key;

/// What is known of an order that somebody claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The order.
    pub order_id: Key,
    /// Whose it is already.
    pub owner: Option<MemberId>,
    /// When the first that is known of it came.
    pub since: Timestamp,
}

/// How long a receipt can be claimed: the terms of `[claims]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimTerms {
    /// So many days from when the order came.
    pub days: u32,
}

impl Default for ClaimTerms {
    /// A week.
    fn default() -> Self {
        Self { days: 7 }
    }
}
