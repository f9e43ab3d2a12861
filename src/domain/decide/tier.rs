//! Moves between tiers: by rules, by the tier policy, by people.

use super::achievement::Counted;
use super::{Draft, Frame, Refusal};
use crate::domain::Timestamp;
use crate::domain::command::TierOrder;
use crate::domain::effect::{Action, Cause};
use crate::domain::ledger::{Account, ChainAccount};
use crate::domain::loyalty_event::{EventData, TierInDanger, TierMoved};
use crate::domain::member::Member;
use crate::domain::money::Money;
use crate::domain::refusal::Refused;
use crate::domain::text::Name;
use crate::domain::tier::{Assessor, Footing, ManualTier};

impl Draft {
    /// `set_tier` of a rule. With a tier policy, the engine reckons tiers, and rules cannot.
    pub(super) fn set_tier(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        action: &Action,
        tier: &Name,
    ) -> Result<(), Refusal> {
        if frame.terms.tiers.policy.is_some() {
            return Err(Refusal::TiersFollowPolicy);
        }
        if frame.terms.tiers.rank(tier).is_none() {
            return Err(Refusal::NoSuchTier(tier.clone()));
        }
        self.change_tier(frame, |member| member.standing.set_system_tier(tier.clone()));
        self.line(cause, action.as_str(), None, Some(tier.clone()));
        Ok(())
    }

    /// Before anything else is decided: manual tiers that are over, reviews, graces that are over.
    pub(super) fn catch_up_on_tier(&mut self, frame: Frame<'_>) {
        let now = self.now;
        let manual = self.member.standing.manual_tier.as_ref();
        if manual.and_then(|manual| manual.until).is_some_and(|until| until <= now) {
            self.change_tier(frame, end_manual_tier);
        }
        self.follow_policy(frame, |assessor, rank, footing| assessor.catch_up(rank, footing, now));
    }

    /// After everything else is decided: what the member's figures are good for now, and whether to warn them.
    pub fn settle_tier(&mut self, frame: Frame<'_>) {
        self.count_earned_points(frame);
        let now = self.now;
        self.follow_policy(frame, |assessor, rank, footing| assessor.lift(rank, footing, now));
        self.warn_of_downgrade(frame);
    }

    /// When the member's tier must be looked at again, though nothing happens.
    pub(super) fn tier_deadline(&self, frame: Frame<'_>) -> Option<Timestamp> {
        let (tiers, standing) = (&frame.terms.tiers, &self.member.standing);
        let manual = standing.manual_tier.as_ref().and_then(|manual| manual.until);
        let review = tiers.policy.as_ref().and_then(|policy| {
            let rank = standing.system_tier().and_then(|tier| tiers.rank(tier)).unwrap_or(0);
            Assessor::of(&self.member, policy, frame.timezone).deadline(rank, &standing.footing, self.now)
        });
        [manual, review].into_iter().flatten().min()
    }

    /// `tier.set`: people give a tier. It is the effective one until it ends.
    pub(super) fn set_manual_tier(&mut self, frame: Frame<'_>, order: &TierOrder) -> Result<(), Refused> {
        let TierOrder { tier, until, reason } = order;
        if frame.terms.tiers.rank(tier).is_none() {
            return Err(Refusal::NoSuchTier(tier.clone()).into());
        }
        if until.is_some_and(|until| until <= self.now) {
            return Err(Refused::new("until_has_passed", "`until` has passed already; name a time to come"));
        }
        let system = self.member.standing.system_tier().cloned();
        let manual = ManualTier { system, until: *until, reason: reason.clone() };
        self.change_tier(frame, |member| {
            member.standing.manual_tier = Some(manual);
            member.standing.tier = Some(tier.clone());
        });
        Ok(())
    }

    /// `tier.clear`: the tier is again what rules or the tier policy say.
    pub(super) fn clear_manual_tier(&mut self, frame: Frame<'_>) -> Result<(), Refused> {
        if self.member.standing.manual_tier.is_none() {
            return Err(Refused::new(
                "no_manual_tier",
                "nobody gave the member a tier that could be taken away",
            ));
        }
        self.change_tier(frame, end_manual_tier);
        Ok(())
    }

    /// Points of this decision that count for tiers, and were not counted yet: earned ones on this day, those taken back on their order's.
    pub(super) fn count_earned_points(&mut self, frame: Frame<'_>) {
        let order_day = self.order.as_ref().and_then(|order| order.day).unwrap_or(self.today);
        let qualifies =
            |wallet: &Name| frame.terms.wallet(Some(wallet)).is_some_and(|wallet| wallet.qualifying);
        let (mut issued, mut taken_back) = (0_i64, 0_i64);
        let new = self.transfers.iter().skip(self.transfers_counted);
        for transfer in new.filter(|transfer| qualifies(&transfer.wallet)) {
            match (transfer.debit, transfer.credit) {
                (Account::Chain(ChainAccount::Issued), _) => {
                    issued = issued.saturating_add(transfer.amount.0);
                }
                (_, Account::Chain(ChainAccount::ClawedBack)) => {
                    taken_back = taken_back.saturating_add(transfer.amount.0);
                }
                _ => {}
            }
        }
        self.transfers_counted = self.transfers.len();
        // Each movement is of more than nothing.
        if issued > 0 {
            self.member.history.earn(self.today, issued);
            self.has_counted(Counted::More);
        }
        if taken_back > 0 {
            self.member.history.earn(order_day, -taken_back);
            self.has_counted(Counted::Less);
        }
    }

    /// Lets the policy move the member, if the program has one.
    fn follow_policy(
        &mut self,
        frame: Frame<'_>,
        decide: impl FnOnce(&Assessor<'_>, usize, &mut Footing) -> usize,
    ) {
        let tiers = &frame.terms.tiers;
        let Some(policy) = &tiers.policy else { return };
        let mut footing = std::mem::take(&mut self.member.standing.footing);
        // A tier that the program no longer has, or none, is below all others: the figures say which it becomes.
        let before = self.system_rank(frame);
        let after =
            decide(&Assessor::of(&self.member, policy, frame.timezone), before.unwrap_or(0), &mut footing);
        self.member.standing.footing = footing;
        if before != Some(after) {
            self.move_to_tier(frame, &frame.engine("tier policy"), after);
        }
    }

    /// How many tiers are lower than the member's, people aside; `None` for a tier that the program does not have.
    pub fn system_rank(&self, frame: Frame<'_>) -> Option<usize> {
        self.member.standing.system_tier().and_then(|tier| frame.terms.tiers.rank(tier))
    }

    /// Moves the member to the tier of this rank, people aside.
    pub fn move_to_tier(&mut self, frame: Frame<'_>, cause: &Cause, rank: usize) {
        let Some(tier) = frame.terms.tiers.ids().nth(rank).cloned() else { return };
        self.change_tier(frame, |member| member.standing.set_system_tier(tier.clone()));
        self.line(cause, "set_tier", None, Some(tier));
    }

    fn warn_of_downgrade(&mut self, frame: Frame<'_>) {
        let tiers = &frame.terms.tiers;
        let (Some(policy), None) = (&tiers.policy, &self.member.standing.manual_tier) else { return };
        let Some(tier) = self.member.standing.tier.clone() else { return };
        let Some(rank) = tiers.rank(&tier) else { return };
        let mut footing = self.member.standing.footing.clone();
        let warning =
            Assessor::of(&self.member, policy, frame.timezone).warning(rank, &mut footing, self.now);
        self.member.standing.footing = footing;
        if let Some(warning) = warning {
            self.told.push(EventData::TierWillDowngrade(TierInDanger {
                tier: tiers.tier(&tier),
                metric: policy.metric,
                missing: Money::new(warning.missing),
                on: warning.on,
            }));
        }
    }

    /// Changes tiers in any way, and tells of it if that changed the effective one.
    pub(super) fn change_tier(&mut self, frame: Frame<'_>, change: impl FnOnce(&mut Member)) {
        let before = self.member.standing.tier.clone();
        change(&mut self.member);
        self.tell_tier(frame, before);
    }

    /// Tells that the effective tier is not what it was `before`.
    pub(super) fn tell_tier(&mut self, frame: Frame<'_>, before: Option<Name>) {
        let tiers = &frame.terms.tiers;
        let standing = &self.member.standing;
        let Some(after) = standing.tier.as_ref().filter(|after| Some(*after) != before.as_ref()) else {
            return;
        };
        let moved = TierMoved {
            previous_tier: before.as_ref().map(|tier| tiers.tier(tier)),
            new_tier: tiers.tier(after),
            manual_tier: standing.manual_tier.as_ref().map(|_| after.clone()),
            system_tier: standing.system_tier().cloned(),
        };
        // A tier that the program no longer has ranks below all others.
        let fell = before.and_then(|before| tiers.rank(&before)) > tiers.rank(after);
        self.told.push(if fell { EventData::TierDowngraded(moved) } else { EventData::TierUpgraded(moved) });
    }
}

fn end_manual_tier(member: &mut Member) {
    if let Some(manual) = member.standing.manual_tier.take() {
        member.standing.tier = manual.system;
    }
}
