//! What of two members who are one is no sum: one word of the two, be it the better, the earlier, or the survivor's.
//!
//! Of a sum, whoever leaves takes their part. Of these, what the survivor has from them alone becomes what it would be
//! without them: what it was before, and what those who stay brought since.

use super::{Member, Possessions};
use crate::domain::Timestamp;
use crate::domain::celebration::Celebrated;
use crate::domain::member::Standing;
use crate::domain::profile::Profile;
use crate::domain::referral::Referring;
use crate::domain::refusal::Refused;
use crate::domain::segment::{Membership, SegmentType};
use crate::domain::terms::tier::Tiers;
use crate::domain::tier::ManualTier;

/// Of a member as they are, or as they were.
pub(super) struct Traits<'a> {
    enrolled_at: &'a mut Timestamp,
    celebrated: &'a mut Celebrated,
    profile: &'a mut Profile,
    standing: &'a mut Standing,
    referring: &'a mut Referring,
}

impl Member {
    pub(super) const fn traits(&mut self) -> Traits<'_> {
        let Self { enrolled_at, celebrated, profile, standing, referring, .. } = self;
        Traits { enrolled_at, celebrated, profile, standing, referring }
    }
}

impl Possessions {
    pub(super) const fn traits(&mut self) -> Traits<'_> {
        let Self { enrolled_at, celebrated, profile, standing, referring, .. } = self;
        Traits { enrolled_at, celebrated, profile, standing, referring }
    }
}

impl Traits<'_> {
    /// Takes over what another one has.
    ///
    /// # Errors
    /// The profile would be too large.
    pub(super) fn join(&mut self, other: &Possessions, tiers: &Tiers) -> Result<(), Refused> {
        *self.profile = self.profile.filled_up(&other.profile)?;
        self.celebrated.join(other.celebrated, other.enrolled_at < *self.enrolled_at);
        *self.enrolled_at = other.enrolled_at.min(*self.enrolled_at);
        for (name, at) in &other.standing.achievements {
            let since = self.standing.achievements.entry(name.clone()).or_insert(*at);
            *since = (*since).min(*at);
        }
        self.standing.memo.join_marks(&other.standing.memo);
        self.referring.code = self.referring.code.take().or_else(|| other.referring.code.clone());
        self.referring.received = self.referring.received.take().or_else(|| other.referring.received.clone());
        self.take_better_tiers(&other.standing, tiers);
        let cohorts = other.standing.segments.iter();
        for (name, membership) in cohorts.filter(|(_, membership)| membership.kind == SegmentType::Cohort) {
            self.standing.segments.entry(name.clone()).or_insert(*membership);
        }
        Ok(())
    }

    /// What is as another one brought it becomes what it is `without` them.
    pub(super) fn part(&mut self, other: &Possessions, without: &Possessions) {
        *self.profile = self.profile.without(&other.profile, &without.profile);
        self.celebrated.part(without.celebrated, other.enrolled_at < without.enrolled_at);
        *self.enrolled_at = without.enrolled_at;
        for (name, at) in &other.standing.achievements {
            if self.standing.achievements.get(name) == Some(at) {
                match without.standing.achievements.get(name) {
                    Some(since) => drop(self.standing.achievements.insert(name.clone(), *since)),
                    None => drop(self.standing.achievements.remove(name)),
                }
            }
        }
        self.standing.memo.part_marks(&other.standing.memo, &without.standing.memo);
        if self.referring.code == other.referring.code {
            self.referring.code.clone_from(&without.referring.code);
        }
        let brought = other.referring.received.as_ref().map(|received| received.id);
        if brought.is_some() && self.referring.received.as_ref().map(|received| received.id) == brought {
            self.referring.received.clone_from(&without.referring.received);
        }
        self.give_up_manual_tier(&other.standing, &without.standing);
        self.give_up_tier(&other.standing, &without.standing);
        let segments = &mut self.standing.segments;
        for (name, brought) in other.standing.segments.iter() {
            let is_theirs = |own: &Membership| own.kind == SegmentType::Cohort && own.since == brought.since;
            if segments.get(name).is_some_and(is_theirs) {
                match without.standing.segments.get(name) {
                    Some(stays) => drop(segments.insert(name.clone(), *stays)),
                    None => drop(segments.remove(name)),
                }
            }
        }
    }

    /// The better tier with its footing; of those that people gave, the better one, too.
    fn take_better_tiers(&mut self, theirs: &Standing, tiers: &Tiers) {
        let rank = |standing: &Standing| standing.system_tier().and_then(|tier| tiers.rank(tier));
        let manual_rank = |standing: &Standing| {
            standing.manual_tier.as_ref().and(standing.tier.as_ref()).and_then(|tier| tiers.rank(tier))
        };
        let standing = &mut *self.standing;
        let manual_is_better = manual_rank(theirs) > manual_rank(standing);
        if rank(theirs) > rank(standing)
            && let Some(tier) = theirs.system_tier()
        {
            standing.set_system_tier(tier.clone());
            standing.footing = theirs.footing.clone();
        }
        if let Some(manual) = theirs.manual_tier.as_ref().filter(|_| manual_is_better) {
            let system = standing.system_tier().cloned();
            standing.manual_tier = Some(ManualTier { system, ..manual.clone() });
            standing.tier = theirs.tier.clone();
        }
    }

    fn give_up_manual_tier(&mut self, theirs: &Standing, without: &Standing) {
        let known = |standing: &Standing| {
            standing.manual_tier.as_ref().map(|manual| (manual.until, manual.reason.clone()))
        };
        let standing = &mut *self.standing;
        let is_theirs = theirs.manual_tier.is_some() && known(standing) == known(theirs);
        if is_theirs && known(without) != known(theirs) {
            let system = standing.system_tier().cloned();
            standing.tier = match &without.manual_tier {
                Some(_) => without.tier.clone(),
                None => system.clone(),
            };
            standing.manual_tier = without.manual_tier.clone().map(|manual| ManualTier { system, ..manual });
        }
    }

    fn give_up_tier(&mut self, theirs: &Standing, without: &Standing) {
        let standing = &mut *self.standing;
        if standing.system_tier() != theirs.system_tier() {
            return;
        }
        if without.system_tier() != theirs.system_tier() || standing.footing == theirs.footing {
            standing.footing = without.footing.clone();
        }
        if let Some(tier) = without.system_tier() {
            standing.set_system_tier(tier.clone());
        }
    }
}
