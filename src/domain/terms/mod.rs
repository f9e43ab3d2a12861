//! The terms of a chain's program: everything that `program.toml` declares, as values. Rules say what happens; the terms
//! say with what.

pub mod reward;
pub mod wallet;

use super::text::Name;
use reward::RewardTerms;
use wallet::{DEFAULT_WALLET, Expiry, Pending, WalletTerms};

/// What the program declares. One field a noun; each noun's own file says what it means.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Wallets; there is always one. The first is the one that effects without a wallet mean.
    pub wallets: Vec<WalletTerms>,
    /// Tiers, lowest first. A new member starts in the first.
    pub tiers: Vec<Name>,
    /// What points can be spent on.
    pub rewards: Vec<RewardTerms>,
}

impl Terms {
    /// Whether members carry deadlines of their own, and so are woken even if no rule starts on a tick.
    pub fn has_deadlines(&self) -> bool {
        let by_itself = |w: &WalletTerms| w.expiry != Expiry::Never || matches!(w.pending, Pending::Days(_));
        self.wallets.iter().any(by_itself)
            || self.rewards.iter().any(|reward| reward.expires_after_days.is_some())
    }

    /// The reward of this id.
    pub fn reward(&self, id: &Name) -> Option<&RewardTerms> {
        self.rewards.iter().find(|reward| reward.id == *id)
    }

    /// The wallet of this code, or the first.
    pub fn wallet(&self, code: Option<&Name>) -> Option<&WalletTerms> {
        match code {
            Some(code) => self.wallets.iter().find(|wallet| wallet.code == *code),
            None => self.wallets.first(),
        }
    }
}

/// A program that declares nothing has one plain wallet.
impl Default for Terms {
    fn default() -> Self {
        let code = Name::parse(DEFAULT_WALLET).unwrap_or_else(|_| unreachable!("a fixed text"));
        Self { wallets: vec![WalletTerms::plain(code)], tiers: Vec::new(), rewards: Vec::new() }
    }
}
