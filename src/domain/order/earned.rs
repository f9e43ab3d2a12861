//! What an order earned, by wallet and campaign.

use serde::{Deserialize, Serialize};

use crate::domain::money::Points;
use crate::domain::text::Name;

/// What an order earned in one wallet, by one campaign or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Earned {
    /// The wallet's code.
    pub wallet: Name,
    /// The campaign that gave it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<Name>,
    /// What it earned.
    pub earned: Points,
    /// What of that it does not leave with the member: taken back, or let go because it was spent.
    pub taken_back: Points,
    /// What the member has of it although the order does not leave it: should the order leave it again, it is theirs
    /// already.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) let_go: Points,
    /// What rules asked for and the campaign had not left: should they ask for less, this goes first.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) short: Points,
}

/// By what an order earns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The wallet's code.
    pub wallet: &'a Name,
    /// The campaign that gives it, if one does.
    pub campaign: Option<&'a Name>,
}

/// Points that must move for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The wallet's code.
    pub wallet: Name,
    /// The campaign that gave them, if one did.
    pub campaign: Option<Name>,
    /// Below zero they are taken back.
    pub change: Points,
}

impl Due {
    /// By what the order earned them.
    pub fn origin(&self) -> Origin<'_> {
        Origin { wallet: &self.wallet, campaign: self.campaign.as_ref() }
    }
}

fn is_none(points: &Points) -> bool {
    *points == Points::ZERO
}

impl Earned {
    /// By what the order earned it.
    pub(super) fn origin(&self) -> Origin<'_> {
        Origin { wallet: &self.wallet, campaign: self.campaign.as_ref() }
    }

    /// Of so much that the order leaves more, what the member has not kept anyway.
    pub(super) fn give(&mut self, amount: Points) -> Points {
        let kept = self.let_go.min(amount);
        self.let_go.0 -= kept.0;
        Points(amount.0 - kept.0)
    }
}
