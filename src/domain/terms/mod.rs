//! The terms of a chain's program: everything that `program.toml` declares, as values. Rules say what happens; the terms
//! say with what.

pub mod achievement;
pub mod campaign;
pub mod cart;
pub mod celebration;
pub mod churn;
pub mod earning;
pub mod failure;
pub mod lifecycle;
pub mod referral;
pub mod refund;
pub mod reward;
pub mod tier;
pub mod wallet;

use super::claim::ClaimTerms;
use super::coupon::CouponBook;
use super::text::Name;
use achievement::{Achievement, Counts, Measure};
use campaign::{CampaignTerms, RuleGroup};
use cart::CartTerms;
use celebration::CelebrationTerms;
use churn::ChurnTerms;
use earning::Earning;
use failure::FailureTerms;
use lifecycle::Lifecycle;
use referral::Referrals;
use refund::Refunds;
use reward::RewardTerms;
use tier::Tiers;
use wallet::{DEFAULT_WALLET, Expiry, Pending, WalletTerms};

/// What the program declares. One field a noun; each noun's own file says what it means.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Wallets; there is always one. The first is the one that effects without a wallet mean.
    pub wallets: Vec<WalletTerms>,
    /// What of an order's money earns.
    pub earning: Earning,
    /// What refunds take back.
    pub refunds: Refunds,
    /// How long a receipt can be claimed.
    pub claims: ClaimTerms,
    /// Birthdays and anniversaries.
    pub celebrations: CelebrationTerms,
    /// Tiers, and how members move between them.
    pub tiers: Tiers,
    /// Coupon books that rules may give coupons of.
    pub coupon_books: Vec<CouponBook>,
    /// What members can earn besides points.
    pub achievements: Vec<Achievement>,
    /// How members bring others; `None` = not at all.
    pub referrals: Option<Referrals>,
    /// What points can be spent on.
    pub rewards: Vec<RewardTerms>,
    /// When guests who stay away are at risk, unless rules say so.
    pub lifecycle: Option<Lifecycle>,
    /// What staying away means, and how often that is learned anew.
    pub churn: ChurnTerms,
    /// When carts are abandoned; without it, none is kept.
    pub carts: Option<CartTerms>,
    /// What rules count.
    pub counters: Vec<Name>,
    /// The marks that rules put, besides the statuses.
    pub marks: Vec<Name>,
    /// Loyalty events of the program's own, which rules emit.
    pub events: Vec<Name>,
    /// What becomes of rules that keep failing.
    pub failures: FailureTerms,
    /// What limits rules together.
    pub campaigns: Vec<CampaignTerms>,
    /// Rules of which one counts.
    pub groups: Vec<RuleGroup>,
}

impl Terms {
    /// Whether members carry deadlines of their own, and so are woken even if no rule starts on a tick.
    pub fn has_deadlines(&self) -> bool {
        let by_itself = |w: &WalletTerms| w.expiry != Expiry::Never || matches!(w.pending, Pending::Days(_));
        let is_streak = |achievement: &Achievement| {
            achievement.goal.as_ref().is_some_and(|goal| matches!(goal.measure, Measure::Streak(_)))
        };
        let expires = |referrals: &Referrals| referrals.expires_after.is_some();
        self.celebrations.any()
            || self.carts.is_some()
            || self.achievements.iter().any(is_streak)
            || self.referrals.as_ref().is_some_and(expires)
            || !self.tiers.ladder.is_empty()
            || self.wallets.iter().any(by_itself)
            || self.rewards.iter().any(|reward| reward.expires_after_days.is_some())
    }

    /// The reward of this id.
    pub fn reward(&self, id: &Name) -> Option<&RewardTerms> {
        self.rewards.iter().find(|reward| reward.id == *id)
    }

    /// The achievement with this id.
    pub fn achievement(&self, id: &str) -> Option<&Achievement> {
        self.achievements.iter().find(|achievement| achievement.id.as_str() == id)
    }

    /// The campaign with this id.
    pub fn campaign(&self, id: &Name) -> Option<&CampaignTerms> {
        self.campaigns.iter().find(|campaign| campaign.id == *id)
    }

    /// Achievements for which orders keep in mind what they counted.
    pub fn counted_by_order(&self) -> impl Iterator<Item = (&Name, &Counts)> {
        self.achievements.iter().filter_map(|achievement| match &achievement.goal.as_ref()?.measure {
            Measure::Sum(counts, _) if !counts.is_history() => Some((&achievement.id, counts)),
            _ => None,
        })
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
        Self {
            wallets: vec![WalletTerms::plain(code)],
            tiers: Tiers::default(),
            coupon_books: Vec::new(),
            achievements: Vec::new(),
            rewards: Vec::new(),
            earning: Earning::default(),
            refunds: Refunds::default(),
            claims: ClaimTerms::default(),
            lifecycle: None,
            referrals: None,
            churn: ChurnTerms::default(),
            carts: None,
            celebrations: CelebrationTerms::default(),
            counters: Vec::new(),
            marks: Vec::new(),
            events: Vec::new(),
            failures: FailureTerms::DEFAULT,
            campaigns: Vec::new(),
            groups: Vec::new(),
        }
    }
}
