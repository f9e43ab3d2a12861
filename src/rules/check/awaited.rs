//! Events that rules and triggers wait for, and that this program never tells.

use super::{Block, Checker, Place, Spot};
use crate::domain::loyalty_event::EventType;
use crate::domain::schedule::TickType;

impl Checker<'_> {
    /// Complains about waiting for what cannot happen before something is declared.
    pub(in crate::rules) fn awaited(&mut self, rules: &[(usize, Block)], triggers: &[(usize, Block)]) {
        for (file, block) in rules {
            let missing = match block.event.parse::<TickType>() {
                Ok(tick) => self.never_ticks(tick),
                Err(()) => block.event.parse().ok().and_then(|event| self.never_told(event)),
            };
            self.awaits(*file, block, missing);
        }
        for (file, block) in triggers {
            let event = block.event.parse::<EventType>().ok();
            self.awaits(*file, block, event.and_then(|event| self.never_told(event)));
        }
    }

    fn awaits(&mut self, file: usize, block: &Block, missing: Option<&str>) {
        let Some(missing) = missing else { return };
        self.enter(file, Place::Anywhere, None);
        let spot = Spot { length: block.event.len(), ..self.spot(block.event_position) };
        let message = format!("`{}` never happens in this program", block.event);
        self.push(spot, message, Some(format!("it needs {missing}")));
    }

    fn never_ticks(&self, tick: TickType) -> Option<&'static str> {
        let celebrations = self.manifest.terms.celebrations;
        match tick {
            TickType::Birthday if !celebrations.birthdays => Some("birthdays = true in [celebrations]"),
            TickType::Anniversary if !celebrations.anniversaries => {
                Some("anniversaries = true in [celebrations]")
            }
            _ => None,
        }
    }

    /// Only of what an earlier version of the program cannot have left behind either.
    fn never_told(&self, event: EventType) -> Option<&'static str> {
        let terms = &self.manifest.terms;
        match event {
            EventType::CartAbandoned if terms.carts.is_none() => Some("[carts] in program.toml"),
            EventType::ReferralCreated if terms.referrals.is_none() => Some("[referrals] in program.toml"),
            EventType::TierWillDowngrade if terms.tiers.policy.is_none() => {
                Some("[tier_policy] in program.toml")
            }
            EventType::SegmentEntered if self.segment_names.is_empty() => Some("a `segment`"),
            EventType::CustomEmitted if terms.events.is_empty() => Some("`events` in program.toml"),
            EventType::MemberBirthday => self.never_ticks(TickType::Birthday),
            EventType::MemberAnniversary => self.never_ticks(TickType::Anniversary),
            _ => None,
        }
    }
}
