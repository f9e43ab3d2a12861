//! Members who were absorbed, while they are: what is theirs goes on.
//!
//! What a tombstone keeps is kept true. Whatever happens to an order, a redemption or a referral of theirs happens to
//! the survivor's sums and to it, as if they had stayed alone; so it is what an un-merge gives back, to the point. Those
//! who had absorbed them before have it among their own, so it happens to that whole line.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use chrono_tz::Tz;

use super::{Absorbed, Ended, Merged, Possessions};
use crate::domain::Timestamp;
use crate::domain::achievement::Brought;
use crate::domain::ids::{MemberId, ReferralId};
use crate::domain::member::Member;
use crate::domain::money::Points;
use crate::domain::referral::Sent;
use crate::domain::terms::tier::Tiers;
use crate::domain::terms::wallet::WalletTerms;
use crate::domain::text::Name;
use crate::domain::wallet::{Waiting, Wallet, WalletError};

/// Everybody whom a member has absorbed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tombstones {
    members: Vec<Member>,
    changed: BTreeSet<MemberId>,
}

/// Whom a merge is about besides the survivor.
#[derive(Debug, Clone, PartialEq)]
pub struct Guest {
    /// Themselves.
    pub member: Member,
    /// Everybody whom they have absorbed.
    pub tombstones: Tombstones,
}

impl From<Member> for Guest {
    /// Somebody who has absorbed nobody.
    fn from(member: Member) -> Self {
        Self { member, tombstones: Tombstones::default() }
    }
}

impl Tombstones {
    /// Whether nobody was absorbed, and nobody changed.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.changed.is_empty()
    }

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

    /// Ends the waiting of what `ends` says, as the survivor's own ends.
    ///
    /// # Errors
    /// A balance would leave the range of points.
    pub fn release(
        &mut self,
        wallet: &WalletTerms,
        zone: Tz,
        ends: impl Fn(&Waiting) -> bool,
    ) -> Result<(), WalletError> {
        for member in &mut self.members {
            let id = member.id;
            let Some(theirs) = member.theirs_mut() else { continue };
            if theirs.release(wallet, zone, &ends)? {
                self.changed.insert(id);
            }
        }
        Ok(())
    }

    /// Points of a wallet that are gone at `now`. The survivor's own are about to be.
    pub fn expire(&mut self, survivor: &mut Member, code: &Name, now: Timestamp) {
        if self.members.is_empty() {
            return;
        }
        let gone = survivor.standing.wallets.get(code).map_or(Points::ZERO, |held| held.over_at(now));
        let mut expired = BTreeMap::from([(survivor.id, gone)]);
        for member in &mut self.members {
            let id = member.id;
            let Some(theirs) = member.theirs_mut() else { continue };
            if theirs.standing.wallets.get(code).is_some_and(|held| held.over_at(now) > Points::ZERO) {
                expired.insert(id, theirs.wallet(code).expire(now));
                self.changed.insert(id);
            }
        }
        self.forget_expired(survivor, code, &expired);
    }

    /// What expired of theirs and was not there any more, because it was spent, need not be made up for.
    fn forget_expired(&mut self, survivor: &mut Member, code: &Name, expired: &BTreeMap<MemberId, Points>) {
        let gone = |id: &MemberId| expired.get(id).map_or(0, |points| points.0);
        let mut missing = BTreeMap::<MemberId, i64>::new();
        for member in &self.members {
            if let Some(heir) = member.heir() {
                *missing.entry(heir).or_insert_with(|| -gone(&heir)) += gone(&member.id);
            }
        }
        for (heir, missing) in missing {
            if missing > 0 {
                self.absorbed_by(survivor, heir).make_up(code, Points(missing));
                self.changed.insert(heir);
            }
        }
    }

    /// Whom the survivor, or one of them, has absorbed.
    fn absorbed_by<'a>(&'a mut self, survivor: &'a mut Member, heir: MemberId) -> &'a mut Absorbed {
        let member = self.members.iter_mut().find(|member| member.id == heir);
        let theirs = member.and_then(Member::theirs_mut);
        theirs.map_or(&mut survivor.absorbed, |theirs| &mut theirs.absorbed)
    }

    /// What of a wallet is theirs whom somebody has absorbed.
    pub fn share(&self, heir: MemberId, code: &Name) -> Points {
        let theirs =
            self.members.iter().filter(|member| member.heir() == Some(heir)).filter_map(Member::theirs);
        Points(theirs.map(|theirs| theirs.balance(code).0).sum())
    }

    /// What of a wallet is the survivor's own: what they would have if nothing had been spent of the others'.
    pub fn own(&self, survivor: &Member, code: &Name) -> Points {
        let balance = survivor.standing.wallets.get(code).map_or(Points::ZERO, Wallet::balance);
        Points(balance.0 - self.share(survivor.id, code).0 + survivor.absorbed.spent(code).0)
    }

    /// What of a wallet can be taken back for an order of `owner`: what is theirs, if they were absorbed, else what is
    /// the survivor's own; and no more than there is.
    pub fn left_of(&self, survivor: &Member, owner: Option<MemberId>, code: &Name) -> Points {
        let balance = survivor.standing.wallets.get(code).map_or(Points::ZERO, Wallet::balance);
        let theirs = owner.and_then(|owner| self.theirs(owner)).map(|theirs| theirs.balance(code));
        theirs.unwrap_or_else(|| self.own(survivor, code)).min(balance)
    }

    /// The survivor is about to spend so much.
    pub fn spend(&self, survivor: &mut Member, code: &Name, amount: Points) {
        if !self.members.is_empty() {
            let own = self.own(survivor, code);
            survivor.absorbed.spend(code, own, amount);
        }
    }

    /// What `owner` spent comes back.
    pub fn make_up(&mut self, survivor: &mut Member, owner: MemberId, code: &Name, amount: Points) {
        self.absorbed_by(survivor, owner).make_up(code, amount);
    }

    /// A wallet is empty, whatever was spent of it before.
    pub fn empty(&mut self, survivor: &mut Member, code: &Name) {
        for theirs in self.all() {
            theirs.wallet(code).empty();
            theirs.absorbed.make_up(code, Points(i64::MAX));
        }
        survivor.absorbed.make_up(code, Points(i64::MAX));
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

    /// What the survivor would be like without one who was `merged` and is here no more: what it was before, and what
    /// those who were absorbed since brought. They remember a survivor without that one from now on.
    pub fn without(
        &mut self,
        survivor: &Member,
        id: MemberId,
        merged: &Merged,
        tiers: &Tiers,
    ) -> Possessions {
        let mut without = merged.before.clone();
        for later in survivor.absorbed.after(id) {
            let Some(later) = self.members.iter_mut().find(|member| member.id == *later) else { continue };
            let Some(Ended::Merged(known)) = &mut later.ended else { continue };
            if known.into != survivor.id {
                continue; // absorbed by somebody else of them
            }
            known.before.traits().part(&merged.theirs, &without);
            known.before.history.part_older(&merged.theirs.history, &without.history);
            without = known.before.clone();
            // The survivor was like that, and there was room for it beside more.
            _ = without.traits().join(&known.theirs, tiers);
            without.history.join_older(&known.theirs.history);
            self.changed.insert(later.id);
        }
        without
    }

    /// Takes one of them out: they are absorbed no longer.
    pub fn take(&mut self, id: MemberId) -> Option<Member> {
        let at = self.members.iter().position(|member| member.id == id)?;
        Some(self.members.remove(at))
    }

    /// One more was absorbed, and with them everybody whom they had.
    pub fn add(&mut self, guest: Guest) {
        self.changed.insert(guest.member.id);
        self.changed.extend(guest.tombstones.changed);
        self.members.push(guest.member);
        self.members.extend(guest.tombstones.members);
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

    /// Ends the waiting of what `ends` says, as far as there is room for it. Answers whether there was any.
    fn release(
        &mut self,
        wallet: &WalletTerms,
        zone: Tz,
        ends: impl Fn(&Waiting) -> bool,
    ) -> Result<bool, WalletError> {
        let held = self.wallet(&wallet.code);
        let released = held.release(ends);
        for waiting in &released {
            let amount = waiting.amount.min(held.room());
            held.credit(amount, wallet.expiry.of(waiting.earned_at, zone))?;
        }
        Ok(!released.is_empty())
    }

    /// How many they brought.
    pub const fn sent(&mut self) -> &mut Sent {
        &mut self.referring.sent
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
