//! Members who were absorbed, while they are: what is theirs goes on.
//!
//! What a tombstone keeps is kept true. Whatever happens to an order, a redemption or a referral of theirs happens to
//! the survivor's sums and to it, as if they had stayed alone; so it is what an un-merge gives back, to the point. Those
//! who had absorbed them before have it among their own, so it happens to that whole line.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::{Ended, Possessions};
use crate::domain::Timestamp;
use crate::domain::achievement::Brought;
use crate::domain::ids::{MemberId, ReferralId};
use crate::domain::member::Member;
use crate::domain::money::Points;
use crate::domain::terms::wallet::WalletTerms;
use crate::domain::text::Name;
use crate::domain::wallet::{Until, Waiting, Wallet, WalletError};

/// Everybody whom a member has absorbed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tombstones {
    members: Vec<Member>,
    changed: BTreeSet<MemberId>,
}

impl Tombstones {
    /// These members, as stored.
    pub const fn of(members: Vec<Member>) -> Self {
        Self { members, changed: BTreeSet::new() }
    }

    /// What is theirs of one of them.
    pub fn theirs(&self, id: MemberId) -> Option<&Possessions> {
        self.members.iter().find(|member| member.id == id)?.theirs()
    }

    /// What is theirs of one of them, and of those who absorbed them up to the survivor, to be changed. Nothing for
    /// somebody who was not absorbed.
    pub fn line(&mut self, of: Option<MemberId>) -> impl Iterator<Item = &mut Possessions> {
        let mut line = BTreeSet::new();
        let mut next = of;
        while let Some(member) = self.members.iter().find(|member| Some(member.id) == next) {
            line.insert(member.id);
            next = member.heir();
        }
        self.changed.extend(&line);
        let members = self.members.iter_mut().filter(move |member| line.contains(&member.id));
        members.filter_map(Member::theirs_mut)
    }

    /// What is theirs of everybody, to be changed.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Possessions> {
        self.changed.extend(self.members.iter().map(|member| member.id));
        self.members.iter_mut().filter_map(Member::theirs_mut)
    }

    /// Does what is due by `now`: waiting is over, points expire. It comes to the same whenever it is done, so it need
    /// not be written.
    ///
    /// # Errors
    /// A balance would leave the range of points.
    pub fn catch_up(&mut self, now: Timestamp, wallets: &[WalletTerms], zone: Tz) -> Result<(), WalletError> {
        let is_over = |waiting: &Waiting| matches!(waiting.until, Until::At(at) if at <= now);
        for theirs in self.members.iter_mut().filter_map(Member::theirs_mut) {
            for wallet in wallets {
                theirs.release(wallet, zone, is_over)?;
                theirs.wallet(&wallet.code).expire(now);
            }
        }
        Ok(())
    }

    /// What of a wallet is theirs whom somebody has absorbed.
    pub fn share(&self, heir: MemberId, code: &Name) -> Points {
        let theirs =
            self.members.iter().filter(|member| member.heir() == Some(heir)).filter_map(Member::theirs);
        Points(theirs.map(|theirs| theirs.balance(code).0).sum())
    }

    /// Points were `taken` of those of one of them, or else of the survivor: what they did not have on their own they owe.
    pub fn owe(&mut self, survivor: &mut Member, owner: Option<MemberId>, code: &Name, taken: Points) {
        if self.members.is_empty() {
            return;
        }
        let owner = owner.filter(|owner| self.theirs(*owner).is_some());
        let share = self.share(owner.unwrap_or(survivor.id), code);
        match owner.and_then(|owner| self.change(owner)) {
            Some(theirs) => theirs.absorbed.owe(&theirs.standing.wallets, code, taken, share),
            None => survivor.absorbed.owe(&survivor.standing.wallets, code, taken, share),
        }
    }

    /// What they and the survivor owed and have by now, they owe no longer.
    pub fn pay(&mut self, survivor: &mut Member) {
        survivor.absorbed.pay(&survivor.standing.wallets, |code| self.share(survivor.id, code));
        let is_in_debt =
            |member: &&Member| member.theirs().is_some_and(|theirs| theirs.absorbed.is_in_debt());
        let debtors: Vec<_> = self.members.iter().filter(is_in_debt).map(|member| member.id).collect();
        for id in debtors {
            let Some(theirs) = self.change(id) else { continue };
            let mut absorbed = std::mem::take(&mut theirs.absorbed);
            let wallets = theirs.standing.wallets.clone();
            absorbed.pay(&wallets, |code| self.share(id, code));
            self.change(id).into_iter().for_each(|theirs| theirs.absorbed = absorbed.clone());
        }
    }

    fn change(&mut self, id: MemberId) -> Option<&mut Possessions> {
        self.changed.insert(id);
        self.members.iter_mut().find(|member| member.id == id)?.theirs_mut()
    }

    /// Who was brought by this referral, and nobody else of their line.
    pub fn referred_by(&self, referral: ReferralId) -> Option<MemberId> {
        let is_theirs = |theirs: &Possessions| {
            theirs.referring.received.as_ref().is_some_and(|received| received.id == referral)
        };
        let referred = || self.members.iter().filter(|member| member.theirs().is_some_and(is_theirs));
        let has_it_from_another = |id| referred().any(|other| other.heir() == Some(id));
        referred().map(|member| member.id).find(|id| !has_it_from_another(*id))
    }

    /// Whose time of an achievement is lost, when the survivor has it so often after that: whose order it was about, if
    /// they have one, else who would otherwise have more of them than there are; else the survivor.
    pub fn loser_of(&self, achievement: &Name, order_of: Option<MemberId>, left: u32) -> Option<MemberId> {
        let times = |member: &&Member| {
            let feat = member.theirs().and_then(|theirs| theirs.standing.feats.get(achievement));
            feat.map_or(0, |feat| feat.times())
        };
        let mut earners = self.members.iter().filter(|member| times(member) > 0);
        let is_absorbed = |id: Option<MemberId>| self.members.iter().any(|member| Some(member.id) == id);
        let of_the_survivor = self.members.iter().filter(|member| !is_absorbed(member.heir()));
        let theirs: u32 = of_the_survivor.map(|member| times(&member)).sum();
        let owner = earners.clone().find(|member| Some(member.id) == order_of);
        owner.or_else(|| earners.next_back().filter(|_| theirs > left)).map(|member| member.id)
    }

    /// Takes one of them out: they are absorbed no longer.
    pub fn take(&mut self, id: MemberId) -> Option<Member> {
        let at = self.members.iter().position(|member| member.id == id)?;
        Some(self.members.remove(at))
    }

    /// One more was absorbed.
    pub fn add(&mut self, member: Member) {
        self.changed.insert(member.id);
        self.members.push(member);
    }

    /// Everybody.
    pub fn into_members(self) -> Vec<Member> {
        self.members
    }

    /// Those who changed.
    pub fn into_changed(self) -> impl Iterator<Item = Member> {
        let Self { members, changed } = self;
        members.into_iter().filter(move |member| changed.contains(&member.id))
    }
}

impl Possessions {
    /// Their wallet of this code.
    pub fn wallet(&mut self, code: &Name) -> &mut Wallet {
        self.standing.wallets.open(code)
    }

    /// What they can spend.
    pub fn balance(&self, code: &Name) -> Points {
        self.standing.wallets.get(code).map_or(Points::ZERO, Wallet::balance)
    }

    /// Counts points that they earned on a day, or fewer than none that were taken back, if the wallet counts.
    pub fn count_earned(&mut self, wallet: &WalletTerms, day: NaiveDate, points: Points) {
        if wallet.qualifying {
            self.history.earn(day, points.0);
        }
    }

    /// They have an achievement once less, which had brought this.
    pub fn lose(&mut self, achievement: &Name, brought: &[Brought]) {
        let Some(feat) = self.standing.feats.get_mut(achievement) else { return };
        feat.lose(brought);
        if feat.times() == 0 {
            self.standing.achievements.remove(achievement);
        }
    }

    /// Ends the waiting of what `ends` says.
    ///
    /// # Errors
    /// The balance would leave the range of points.
    pub fn release(
        &mut self,
        wallet: &WalletTerms,
        zone: Tz,
        ends: impl FnMut(&Waiting) -> bool,
    ) -> Result<(), WalletError> {
        let held = self.wallet(&wallet.code);
        for waiting in held.release(ends) {
            held.credit(waiting.amount, wallet.expiry.of(waiting.earned_at, zone))?;
        }
        Ok(())
    }
}

impl Member {
    fn theirs(&self) -> Option<&Possessions> {
        match &self.ended {
            Some(Ended::Merged(merged)) => Some(&merged.theirs),
            Some(Ended::Erased(_)) | None => None,
        }
    }

    fn theirs_mut(&mut self) -> Option<&mut Possessions> {
        match &mut self.ended {
            Some(Ended::Merged(merged)) => Some(&mut merged.theirs),
            Some(Ended::Erased(_)) | None => None,
        }
    }
}
