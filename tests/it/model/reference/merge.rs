//! Members who are one, and those who were not after all.
//!
//! What happens to an order or a redemption of somebody who was absorbed happens to what they brought. An un-merge is a
//! step only while all of that is there. Left out is what `docs/identity.md` does not say to the point for a naive
//! reader: what goes back of points that were spent meanwhile or owed before, of achievements that were revoked, of a
//! streak that is only there because two are one, or are two again; which tier stays when a period closed in between;
//! and whose a reservation is.

use super::super::program::{ACHIEVEMENTS, WALLETS};
use super::super::purse::{Instant, Purse};
use super::achievement::Feat;
use super::coupon::{Coupon, Usage};
use super::{Call, Expected, Last, Reference, next_month};

/// What is known of a member who was absorbed.
#[derive(Debug, Clone)]
pub(super) struct Merged {
    pub(super) into: usize,
    at: Instant,
    /// As the how manieth thing that was sent.
    nth: usize,
    /// What they brought and what became of it, and whether that is not all there any more.
    brought: [Purse; 2],
    is_touched: bool,
    /// Their tier, and the survivor's before.
    tier: usize,
    tier_before: usize,
    /// Their achievements, and since when the survivor had theirs before.
    feats: Feats,
    earned_before: [Option<Instant>; ACHIEVEMENTS.len()],
}

type Feats = [Feat; ACHIEVEMENTS.len()];

impl Reference {
    /// Who answers for a member.
    pub(in super::super) fn living(&self, member: usize) -> usize {
        self.members[member].merged.as_ref().map_or(member, |merged| self.living(merged.into))
    }

    /// Whether the first is, or was absorbed by, the second.
    pub(super) fn is_of(&self, member: usize, other: usize) -> bool {
        let heir = self.members[member].merged.as_ref().map(|merged| merged.into);
        member == other || heir.is_some_and(|heir| self.is_of(heir, other))
    }

    /// Whom a member absorbed themselves, the first one first.
    pub(super) fn absorbed_by(&self, survivor: usize) -> Vec<usize> {
        let merged = |member: &usize| self.members[*member].merged.as_ref();
        let is_theirs = |member: &usize| merged(member).is_some_and(|merged| merged.into == survivor);
        let mut absorbed: Vec<_> = (0..self.members.len()).filter(is_theirs).collect();
        absorbed.sort_by_key(|member| merged(member).map(|merged| merged.nth));
        absorbed
    }

    /// Points of a member move: if they were absorbed, of what they brought, and of all who absorbed them.
    pub(super) fn happens_to(&mut self, member: usize, deed: impl Fn(&mut [Purse; 2])) {
        let mut next = member;
        while let Some(merged) = &mut self.members[next].merged {
            merged.brought.iter_mut().for_each(|purse| purse.pass(self.now));
            deed(&mut merged.brought);
            merged.is_touched |= merged.brought.iter().any(|purse| purse.deficit > 0);
            next = merged.into;
        }
        deed(&mut self.members[next].purses);
    }

    /// What anybody brought whom that member absorbed is no longer as it was.
    pub(super) fn touch_all(&mut self, survivor: usize) {
        for member in 0..self.members.len() {
            if member != survivor
                && self.is_of(member, survivor)
                && let Some(merged) = &mut self.members[member].merged
            {
                merged.is_touched = true;
            }
        }
    }

    /// Of those who have less than what others brought, something of that was spent.
    pub(super) fn touch_spenders(&mut self) {
        for survivor in 0..self.members.len() {
            let absorbed = self.members.iter().filter_map(|member| member.merged.as_ref());
            let absorbed = absorbed.filter(|merged| merged.into == survivor);
            let purses = match &self.members[survivor].merged {
                Some(merged) => &merged.brought,
                None => &self.members[survivor].purses,
            };
            let has = |purses: &[Purse; 2], wallet: usize| purses[wallet].by(self.now).balance();
            let is_spent = |wallet| {
                absorbed.clone().map(|merged| has(&merged.brought, wallet)).sum::<i64>() > has(purses, wallet)
            };
            if (0..WALLETS.len()).any(is_spent) {
                self.touch_all(survivor);
            }
        }
    }

    pub(super) fn merge(&mut self, survivor: usize, from: usize) {
        let (to, other) = (self.living(survivor), self.living(from));
        let expected = if to == other {
            Expected::Refused("same_member")
        } else {
            let theirs = std::mem::take(&mut self.members[other].purses);
            let tier = self.members[other].tier;
            let feats = std::mem::take(&mut self.members[other].feats);
            let carts = std::mem::take(&mut self.members[other].carts);
            let survivor = &mut self.members[to];
            let is_touched = survivor.purses.iter().chain(&theirs).any(|purse| purse.deficit > 0);
            let tier_before = survivor.tier;
            for (own, theirs) in survivor.purses.iter_mut().zip(&theirs) {
                own.join(theirs);
            }
            survivor.tier = survivor.tier.max(tier);
            let earned_before = survivor.feats.each_ref().map(|feat| feat.earned_at);
            for (own, theirs) in survivor.feats.iter_mut().zip(&feats) {
                own.join(theirs);
            }
            survivor.carts.join(carts);
            self.members[other].merged = Some(Merged {
                into: to,
                at: self.now,
                nth: self.sent,
                brought: theirs,
                is_touched,
                tier,
                tier_before,
                feats,
                earned_before,
            });
            self.doubt_streaks(to);
            Expected::Done
        };
        self.send(to, Call::Merge(survivor, from), expected);
    }

    /// `by` says who is asked to give them back, if it is not who has them.
    pub(super) fn unmerge(&mut self, absorbed: usize, by: Option<usize>) {
        let heir = self.members[absorbed].merged.as_ref().map(|merged| merged.into);
        let survivor = self.living(by.or(heir).unwrap_or(0));
        if heir != Some(survivor) {
            let expected = Expected::Refused("not_merged");
            return self.send(survivor, Call::Unmerge(survivor, absorbed), expected);
        }
        if !self.is_as_brought(absorbed, survivor) {
            self.last = Last::Nothing;
            return;
        }
        self.give_back_coupons(absorbed, survivor);
        let merged = self.members[absorbed].merged.take().unwrap();
        let (tier, earned_at) = self.without(&merged);
        for (wallet, brought) in merged.brought.into_iter().enumerate() {
            let theirs = brought.by(self.now);
            self.members[survivor].purses[wallet].part(&theirs);
            self.members[absorbed].purses[wallet] = theirs;
        }
        for (nth, theirs) in merged.feats.iter().enumerate() {
            self.members[survivor].feats[nth].part(theirs, earned_at[nth]);
        }
        self.members[absorbed].feats = merged.feats;
        for nth in 0..ACHIEVEMENTS.len() {
            let was_doubtful = self.members[survivor].feats[nth].is_doubtful;
            self.members[absorbed].feats[nth].is_doubtful |= was_doubtful;
        }
        self.doubt_streaks(absorbed);
        self.doubt_streaks(survivor);
        self.members[absorbed].tier = merged.tier;
        let own_tier = &mut self.members[survivor].tier;
        if *own_tier == merged.tier {
            *own_tier = tier;
        }
        self.lift(absorbed);
        self.send(survivor, Call::Unmerge(survivor, absorbed), Expected::Done);
    }

    /// The tier that a survivor would have without somebody who goes, and since when they would have each achievement:
    /// as before, or as those brought it who came later and stay. So it was before they came, too.
    fn without(&mut self, gone: &Merged) -> (usize, [Option<Instant>; ACHIEVEMENTS.len()]) {
        let (mut tier, mut earned_at) = (gone.tier_before, gone.earned_before);
        for later in self.absorbed_by(gone.into) {
            let Some(later) = self.members[later].merged.as_mut().filter(|later| later.nth > gone.nth) else {
                continue;
            };
            if later.tier_before == gone.tier {
                later.tier_before = tier;
            }
            tier = tier.max(later.tier);
            for (nth, earned_at) in earned_at.iter_mut().enumerate() {
                if gone.feats[nth].earned_at.is_some()
                    && later.earned_before[nth] == gone.feats[nth].earned_at
                {
                    later.earned_before[nth] = *earned_at;
                }
                *earned_at = earned_at.iter().copied().chain(later.feats[nth].earned_at).min();
            }
        }
        (tier, earned_at)
    }

    /// Who can be told apart: what they brought is as it was.
    pub(super) fn separable(&self) -> Vec<usize> {
        let absorbed =
            self.members.iter().enumerate().filter_map(|(n, member)| Some((n, member.merged.as_ref()?.into)));
        absorbed
            .filter(|(n, into)| self.living(*into) == *into && self.is_as_brought(*n, *into))
            .map(|(n, _)| n)
            .collect()
    }

    fn is_as_brought(&self, absorbed: usize, survivor: usize) -> bool {
        let brought = |member: usize| {
            let merged = self.members[member].merged.as_ref();
            merged.filter(|merged| merged.into == survivor)
        };
        let family: Vec<_> = (0..self.members.len()).filter_map(brought).collect();
        let Some(merged) = brought(absorbed) else { return false };
        family.iter().all(|merged| !merged.is_touched)
            && next_month(merged.at) > self.now
            && (0..WALLETS.len()).all(|wallet| {
                let own = &self.members[survivor].purses[wallet];
                let brought: i64 =
                    family.iter().map(|merged| merged.brought[wallet].by(self.now).balance()).sum();
                own.balance() >= brought && own.contains(&merged.brought[wallet].by(self.now))
            })
            && !self.has_reservation(survivor)
    }

    /// What they had is theirs again, but for the coupons that others used meanwhile.
    fn give_back_coupons(&mut self, absorbed: usize, survivor: usize) {
        for at in 0..self.coupons.len() {
            let by_others =
                |usage: &Usage| usage.coupon == at && !usage.reverted && !self.is_of(usage.by, absorbed);
            if self.is_of(self.coupons[at].owner, absorbed) && self.usages.iter().any(by_others) {
                self.coupons[at].owner = survivor;
            }
        }
    }

    fn has_reservation(&self, member: usize) -> bool {
        let is_kept = |coupon: &Coupon| coupon.is_reserved(self.now);
        self.coupons.iter().any(|coupon| self.is_of(coupon.owner, member) && is_kept(coupon))
    }
}
