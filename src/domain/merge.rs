//! Two members who are one person, and back: what the survivor takes over, and what goes back when it was a mistake.
//!
//! A merge leaves the absorbed member behind as a tombstone that names the survivor and keeps what is theirs. So an
//! un-merge knows what is whose; and whatever still names the absorbed member (an order, a till) finds the survivor.

mod absorbed;
mod tombstones;
mod traits;

use serde::{Deserialize, Serialize};

pub use absorbed::Absorbed;
pub use tombstones::{Guest, Tombstones};

use super::Timestamp;
use super::achievement::Feat;
use super::celebration::Celebrated;
use super::history::History;
use super::identity::Identity;
use super::ids::MemberId;
use super::ledger::Account;
use super::member::{MAX_IDENTITIES, Member, Standing};
use super::money::Points;
use super::profile::Profile;
use super::referral::Referring;
use super::refusal::Refused;
use super::segment::SegmentType;
use super::terms::tier::Tiers;
use super::text::Name;
use super::wallet::{Wallet, WalletError};

/// How many members one may have absorbed, those whom they had absorbed included. So no tombstone is further away.
pub const MAX_ABSORBED: usize = 16;

/// How a member came to be one no more. The row stays: the ledger and old orders name it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// They were another member all along.
    Merged(Box<Merged>),
    /// They asked to be forgotten.
    Erased(Timestamp),
}

/// What a merge must remember to be undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Merged {
    /// Who answers for them now.
    pub into: MemberId,
    /// Since when.
    pub at: Timestamp,
    /// What they had, and what became of it since.
    theirs: Possessions,
    /// What the survivor was like before, of what is [no sum](traits::Traits).
    before: Possessions,
}

/// What makes a member who they are, besides the name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Possessions {
    enrolled_at: Timestamp,
    #[serde(default)]
    identities: Vec<Identity>,
    #[serde(default)]
    profile: Profile,
    #[serde(default)]
    celebrated: Celebrated,
    /// Points, achievements, open redemptions. The tier, status and segments are those of the merge.
    pub standing: Standing,
    /// What they did.
    #[serde(default)]
    pub history: History,
    #[serde(default)]
    absorbed: Absorbed,
    #[serde(default)]
    referring: Referring,
}

/// An account of whichever member.
type AccountOf = fn(MemberId) -> Account;

/// Points that changed hands in one wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// The wallet.
    pub wallet: Name,
    /// What could be spent; below zero for a debt.
    pub balance: Points,
    /// What could not be spent yet.
    pub pending: Points,
}

impl Handed {
    /// The movements, as they are booked: what kind of account, and how much, against the grain when below zero.
    pub fn lines(&self) -> impl Iterator<Item = (AccountOf, Points)> {
        let account: [(AccountOf, Points); 2] =
            [(Account::Member, self.balance), (Account::Pending, self.pending)];
        account.into_iter().filter(|(_, amount)| *amount != Points::ZERO)
    }

    /// All that a wallet holds.
    pub fn of((wallet, held): (&Name, &Wallet)) -> Self {
        Self { wallet: wallet.clone(), balance: held.balance(), pending: held.pending() }
    }

    fn is_something(&self) -> bool {
        self.lines().next().is_some()
    }
}

impl Member {
    /// Who answers for the member, if it is not themselves.
    pub fn heir(&self) -> Option<MemberId> {
        match &self.ended {
            Some(Ended::Merged(merged)) => Some(merged.into),
            Some(Ended::Erased(_)) | None => None,
        }
    }

    /// Whether the member was erased.
    pub fn is_erased(&self) -> bool {
        matches!(&self.ended, Some(Ended::Erased(_)))
    }

    /// Whether what was that member's is this one's.
    pub fn answers_for(&self, id: MemberId) -> bool {
        id == self.id || self.absorbed.ids().contains(&id)
    }

    fn possessions(&self) -> Possessions {
        Possessions {
            enrolled_at: self.enrolled_at,
            identities: self.identities.clone(),
            profile: self.profile.clone(),
            celebrated: self.celebrated,
            standing: self.standing.clone(),
            history: self.history.clone(),
            absorbed: self.absorbed.clone(),
            referring: self.referring.clone(),
        }
    }

    /// Leaves nothing but what the ledger and the log name.
    pub fn vacate(&mut self) {
        self.identities.clear();
        self.profile = Profile::default();
        self.celebrated = Celebrated::default();
        (self.sessions, self.carts) = Default::default();
        // An empty wallet says that the ledger's lines of it come to nothing.
        let wallets = self.standing.wallets.emptied();
        self.standing = Standing { wallets, ..Standing::default() };
        self.history = History::default();
        self.referring = Referring::default();
        self.absorbed = Absorbed::default();
        self.next_wake_at = None;
    }

    /// Takes over everything of `other`, who becomes a tombstone; but for the status. Answers the points that change
    /// hands.
    ///
    /// # Errors
    /// What would be too much for one member; both may then be half changed.
    pub fn absorb(
        &mut self,
        other: &mut Self,
        tiers: &Tiers,
        now: Timestamp,
    ) -> Result<Vec<Handed>, Refused> {
        let identities = self.identities.len() + other.identities.len();
        if identities > MAX_IDENTITIES {
            let problem =
                format!("together they have {identities} identities; at most {MAX_IDENTITIES} are kept");
            return Err(Refused::new("too_many_identities", problem));
        }
        if self.absorbed.ids().len() + other.absorbed.ids().len() >= MAX_ABSORBED {
            let problem = format!("a member may absorb {MAX_ABSORBED} others at most");
            return Err(Refused::new("too_many_merges", problem));
        }
        let mut before = self.possessions();
        before.standing.wallets = Default::default();
        before.standing.segments.retain(|_, membership| membership.kind == SegmentType::Cohort);
        (before.identities, before.absorbed) = Default::default();
        before.history = before.history.forgotten();
        let brought = other.possessions();

        self.absorbed.add(other.id, &brought.absorbed);
        let handed = brought.standing.wallets.iter().map(Handed::of).filter(Handed::is_something).collect();
        for (code, wallet) in brought.standing.wallets.iter() {
            self.standing.wallets.open(code).join(wallet)?;
        }
        self.history.join(&brought.history);
        self.identities.extend(brought.identities.iter().cloned());
        for (name, feat) in &brought.standing.feats {
            self.standing.feats.entry(name.clone()).or_default().join(feat);
        }
        self.referring.sent.join(brought.referring.sent);
        self.standing.redemptions.join(&brought.standing.redemptions);
        self.standing.memo.add(&brought.standing.memo);
        self.standing.campaigns.join(&brought.standing.campaigns);
        self.sessions.join(&other.sessions);
        self.carts.join(&other.carts);
        self.traits().join(&brought, tiers)?;

        other.vacate();
        let merged = Merged { into: self.id, at: now, theirs: brought, before };
        other.ended = Some(Ended::Merged(merged.into()));
        Ok(handed)
    }

    /// Gives back to `other` what is theirs, of points as far as they are still there. `stay` are the others whom the
    /// member has absorbed. Answers the points that change hands.
    ///
    /// # Errors
    /// `other` was not merged into this member.
    pub fn release(
        &mut self,
        other: &mut Self,
        stay: &mut Tombstones,
        tiers: &Tiers,
    ) -> Result<Vec<Handed>, Refused> {
        let mut merged = match other.ended.take() {
            Some(Ended::Merged(merged)) if merged.into == self.id => *merged,
            _ => {
                let problem = format!("{} was not merged into {}", other.id, self.id);
                return Err(Refused::new("not_merged", problem));
            }
        };
        self.settle_referral_of(&mut merged.theirs);
        let without = stay.without(self, other.id, &merged, tiers);
        let theirs = merged.theirs;
        self.traits().part(&theirs, &without);
        self.history.part(&theirs.history, &without.history);
        let Possessions {
            enrolled_at,
            identities,
            profile,
            celebrated,
            mut standing,
            history,
            mut absorbed,
            referring,
        } = theirs;

        let mut handed = Vec::new();
        for (code, theirs) in standing.wallets.clone().iter() {
            let has = theirs.balance();
            let spent = self.absorbed.spent(code).min(has.max(Points::ZERO));
            let back = self.standing.wallets.open(code).part(theirs, spent)?;
            self.absorbed.make_up(code, spent);
            absorbed.spend(
                code,
                Points(has.0 - stay.share(other.id, code).0 + absorbed.spent(code).0),
                spent,
            );
            handed.push(Handed::of((code, &back)));
            *standing.wallets.open(code) = back;
        }
        handed.retain(Handed::is_something);
        standing.redemptions = self.standing.redemptions.part(&standing.redemptions);
        standing.memo = self.standing.memo.subtract(&standing.memo);
        self.standing.campaigns.part(&standing.campaigns);
        for (name, feat) in &standing.feats {
            self.standing.feats.entry(name.clone()).or_default().part(feat);
        }
        self.standing.feats.retain(|_, feat| *feat != Feat::default());
        self.referring.sent.part(referring.sent);
        let gone = |identity: &Identity| identities.contains(identity);
        let theirs = self.identities.extract_if(.., |identity| gone(identity)).collect();
        self.absorbed.remove(other.id, &absorbed);

        other.enrolled_at = enrolled_at;
        other.identities = theirs;
        (other.profile, other.celebrated, other.history) = (profile, celebrated, history);
        (other.standing, other.absorbed, other.referring) = (standing, absorbed, referring);
        Ok(handed)
    }

    /// The referral that somebody brought along stands as it does with the survivor.
    fn settle_referral_of(&self, theirs: &mut Possessions) {
        if let (Some(now), Some(then)) = (&self.referring.received, &mut theirs.referring.received)
            && now.id == then.id
        {
            then.clone_from(now);
        }
    }
}

impl From<WalletError> for Refused {
    fn from(error: WalletError) -> Self {
        super::decide::Refusal::from(error).into()
    }
}

#[cfg(test)]
mod tests;
