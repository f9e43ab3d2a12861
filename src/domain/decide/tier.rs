//! Moves between tiers.

use super::{Draft, Frame, Refusal};
use crate::domain::effect::{Action, Cause};
use crate::domain::loyalty_event::{EventData, TierMoved};
use crate::domain::text::Name;

impl Draft {
    pub(super) fn set_tier(
        &mut self,
        frame: Frame<'_>,
        cause: &Cause,
        action: &Action,
        tier: &Name,
    ) -> Result<(), Refusal> {
        let rank = |name: &Name| frame.terms.tiers.iter().position(|t| t == name);
        let new_rank = rank(tier).ok_or_else(|| Refusal::NoSuchTier(tier.clone()))?;
        let previous_tier = self.member.standing.tier.replace(tier.clone());
        // A tier that the program no longer has ranks below all others.
        let old_rank = previous_tier.as_ref().and_then(rank);
        let moved = TierMoved { previous_tier, new_tier: tier.clone() };
        match old_rank {
            Some(old) if old == new_rank => {}
            Some(old) if old > new_rank => self.told.push(EventData::TierDowngraded(moved)),
            _ => self.told.push(EventData::TierUpgraded(moved)),
        }
        self.line(cause, action.as_str(), None, Some(tier.clone()));
        Ok(())
    }
}
