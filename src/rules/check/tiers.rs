//! Conditions of tiers: what they may ask, and that they are the only ones who move members.

use rhai::Position;

use super::{Checker, Mistake, Place, Role, Type};
use crate::rules::language::Rung;

impl Checker<'_> {
    /// Checks all tiers, in the order of their files; gives their places in the ladder.
    pub(in crate::rules) fn tiers(&mut self, rungs: &[(usize, Rung)]) -> Vec<usize> {
        self.has_tier_conditions = !rungs.is_empty();
        (0..rungs.len()).filter_map(|at| self.tier(rungs, at)).collect()
    }

    fn tier(&mut self, rungs: &[(usize, Rung)], at: usize) -> Option<usize> {
        let (file, rung) = &rungs[at];
        self.enter(*file, Place::Tier, None);
        self.variable("member", Type::Member);
        self.condition(&rung.reach, "the condition after `when`");
        let depends = self.mentions(&rung.reach);
        let keep = rung.keep.as_ref();
        keep.into_iter().for_each(|keep| self.condition(keep, "the condition after `keep when`"));
        let kept = keep.map(|keep| self.mentions(keep)).unwrap_or_default();
        for mention in depends.iter().chain(&kept) {
            let help = "write out who is in the segment".to_owned();
            self.problem(Mistake::Conflict, mention.position, "tiers are judged before segments", Some(help));
        }
        if self.manifest.terms.tiers.policy.is_some() {
            let help = "leave these conditions out, or take [tier_policy] out of program.toml".to_owned();
            self.problem(
                Mistake::Conflict,
                rung.position,
                "tiers follow [tier_policy], so nothing else moves members",
                Some(help),
            );
        }
        let same = rungs[..at].iter().find(|(_, other)| other.name == rung.name);
        if let Some((first_file, first)) = same {
            let place = format!("{}:{}", self.files[*first_file].name, first.position.line().unwrap_or(1));
            let message = format!("who is in `{}` is said already at {place}", rung.name);
            self.problem(
                Mistake::DuplicateName,
                rung.name_position,
                message,
                Some("join both with `or`".to_owned()),
            );
        }
        self.rank(&rung.name, rung.name_position)
    }

    fn rank(&mut self, name: &str, position: Position) -> Option<usize> {
        let rank = self.manifest.terms.tiers.ids().position(|id| id.as_str() == name);
        match rank {
            None => self.unknown(Role::Tier, name, position),
            Some(0) => {
                let help = "leave it out: whoever reaches no other tier is in it".to_owned();
                self.problem(Mistake::Conflict, position, format!("members begin in `{name}`"), Some(help));
            }
            Some(_) => {}
        }
        rank
    }
}
