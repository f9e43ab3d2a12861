//! Rules of a group that never count, because another one always does.

use std::cmp::Reverse;

use super::endless::called;
use super::expressions::function_words;
use super::{Checker, Expr, Mistake, Place};
use crate::domain::terms::campaign::Pick;
use crate::rules::language::Block;

impl Checker<'_> {
    /// Complains about rules of a group of which the first counts, behind one that fires on each such event.
    pub(in crate::rules) fn shadowed(&mut self, rules: &[(usize, Block)]) {
        let mut ordered: Vec<&(usize, Block)> = rules.iter().collect();
        ordered.sort_by_key(|(file, block)| (Reverse(block.priority), *file, block.position.line()));
        let groups = &self.manifest.terms.groups;
        let picks_first = |id: &str| groups.iter().any(|group| &*group.id == id && group.pick == Pick::First);
        let mut always: Vec<(&str, &str, &str)> = Vec::new();
        let mut shadowed = Vec::new();
        for (file, block) in ordered {
            let Some((group, position)) = block.group.as_ref().filter(|(id, _)| picks_first(id)) else {
                continue;
            };
            let key = (group.as_str(), block.event.as_str());
            if let Some((.., first)) = always.iter().find(|(group, event, _)| (*group, *event) == key) {
                shadowed.push((
                    *file,
                    *position,
                    format!("\"{first}\" always fires and comes before this rule"),
                ));
            } else if always_fires(block) {
                always.push((key.0, key.1, &block.name));
            }
        }
        for (file, position, message) in shadowed {
            self.enter(file, Place::Anywhere, None);
            let help =
                "of this group the first counts: give this rule a higher `priority`, or the other a `when`";
            self.problem(Mistake::Unreachable, position, message, Some(help.to_owned()));
        }
    }
}

/// Whether a rule asks for something whenever it is asked. What is part of a campaign can be over.
fn always_fires(block: &Block) -> bool {
    let (None, None, Expr::Stmt(body)) = (&block.condition, &block.campaign, &block.body) else {
        return false;
    };
    body.iter().map_while(called).any(|(call, _)| {
        function_words(&call.name)
            .any(|word| word.place == Place::Rule && word.params.len() == call.args.len())
    })
}
