//! Effects: amounts that cannot be, and effects that a function asks for where it may not.

use std::collections::BTreeMap;

use rhai::{ASTNode, Expr, Position, Stmt};
use rust_decimal::Decimal;

use super::expressions::{function_words, in_words};
use super::literals::Literal;
use super::{Checker, Function, Mistake};
use crate::domain::money::Points;
use crate::domain::source_event::SourceType;
use crate::domain::terms::achievement::{Counts, Goal, Measure};
use crate::rules::code::RuleEvent;
use crate::rules::vocabulary::{Place, Word};

/// Effects whose first argument is how many points move, and what moves them the other way.
const MOVEMENTS: [(&str, &str); 4] =
    [("award", "deduct"), ("deduct", "award"), ("award_to", "deduct_from"), ("deduct_from", "award_to")];

/// Whether an effect moves points.
pub(super) fn is_movement(effect: &str) -> bool {
    MOVEMENTS.iter().any(|(name, _)| *name == effect)
}

/// Effects that fail on every other event, and why.
const ONLY_ON: [(&str, RuleEvent, &str); 1] = [(
    "take_back",
    RuleEvent::Source(SourceType::OrderRefunded),
    "it takes back what the refunded order earned",
)];

impl Checker<'_> {
    /// Complains about an effect that fails whenever it is asked for.
    pub(super) fn failing(&mut self, effect: &str, args: &[&Expr], position: Position) {
        let of_another_event = self.of_another_event([effect]);
        if let Some((word, on, why)) = of_another_event {
            let message = format!("`{word}` fails on this event: {why}");
            let help = Some(format!("start the rule on `{}`", on.as_str()));
            self.problem(Mistake::AlwaysFails, position, message, help);
        }
        match (effect, args) {
            ("progress", [achievement, ..]) => self.progress(achievement),
            ("count", [_, amount])
                if self.literal_number(amount).is_some_and(|amount| !amount.fract().is_zero()) =>
            {
                let at = super::start(amount);
                self.problem(Mistake::OutOfRange, at, "a counter counts whole numbers", None);
            }
            _ => {}
        }
    }

    /// The one of these effects that fails on what the rule at hand starts on.
    fn of_another_event<'w>(
        &self,
        effects: impl IntoIterator<Item = &'w str>,
    ) -> Option<(&'static str, RuleEvent, &'static str)> {
        let here = self.here.starts_on?;
        let limit = |effect| ONLY_ON.iter().find(|(word, on, _)| *word == effect && *on != here);
        effects.into_iter().find_map(limit).copied()
    }

    /// Complains about steps towards an achievement that counts something else, or nothing.
    fn progress(&mut self, achievement: &Expr) {
        let Some(Literal::Text(name)) = self.literal(achievement) else { return };
        let Some(known) = self.manifest.terms.achievements.iter().find(|known| *known.id == *name) else {
            return;
        };
        let takes_steps = |goal: &Goal| matches!(goal.measure, Measure::Sum(Counts::Reported, _));
        if !known.goal.as_ref().is_some_and(takes_steps) {
            let help = Some("write `counts = \"progress\"` for it in program.toml".to_owned());
            let message = format!("`{name}` does not count `progress`");
            self.problem(Mistake::AlwaysFails, achievement.position(), message, help);
        }
    }

    /// Complains about moving less than nothing.
    pub(super) fn amount(&mut self, effect: &str, args: &[&Expr]) {
        let Some((_, other)) = MOVEMENTS.iter().find(|(name, _)| *name == effect) else { return };
        let Some(first) = args.first() else { return };
        if self.literal_number(first).is_some_and(|amount| amount < Decimal::ZERO) {
            let help = Some(format!("to move points the other way, write {other}(…)"));
            let message = format!("`{effect}` needs zero or more");
            self.problem(Mistake::OutOfRange, super::start(first), message, help);
        } else if self.literal_number(first).is_some_and(|amount| Points::floor(amount).is_none()) {
            let message = format!("`{effect}` moves at most {} points", Points::LIMIT);
            self.problem(Mistake::OutOfRange, super::start(first), message, None);
        }
    }

    /// Complains when a function of the folder, called here, uses what may not be used here.
    pub(super) fn effects_of(&mut self, name: &str, position: Position) {
        let here = self.here.place;
        if here == Place::Anywhere {
            return; // within a function: said where that is called
        }
        let misplaced = self.own(name).flat_map(|own| &own.uses).copied().find(|word| word.place != here);
        if let Some(word) = misplaced {
            let place = in_words(word.place);
            let message = format!("`{name}` uses `{}`, which can only be used in {place}", word.name);
            return self.problem(Mistake::WrongPlace, position, message, None);
        }
        let used: Vec<&str> = self.own(name).flat_map(|own| &own.uses).map(|word| word.name).collect();
        if let Some((word, on, why)) = self.of_another_event(used) {
            let message = format!("`{name}` uses `{word}`, which fails on this event: {why}");
            let help = Some(format!("start the rule on `{}`", on.as_str()));
            self.problem(Mistake::AlwaysFails, position, message, help);
        }
    }

    /// Finds out which functions use what may be used in one place only, themselves or through others.
    pub(super) fn trace_effects(&mut self) {
        let mut callers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for at in 0..self.functions.len() {
            let ast = self.functions[at].ast;
            ast.walk(&mut |path| {
                if let Some(ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _))) =
                    path.last()
                {
                    let word = function_words(&call.name).find(|word| word.params.len() == call.args.len());
                    self.functions[at].adopt(word);
                    callers.entry(call.name.to_string()).or_default().push(at);
                }
                true
            });
        }
        let mut pending: Vec<usize> = (0..self.functions.len()).collect();
        while let Some(at) = pending.pop() {
            let uses = self.functions[at].uses.clone();
            for caller in callers.get(&self.functions[at].name).into_iter().flatten() {
                if self.functions[*caller].adopt(uses.iter().copied()) {
                    pending.push(*caller);
                }
            }
        }
    }
}

impl Function<'_> {
    /// Notes words that may be used in one place only, one of each place, and those that are for one event; says whether
    /// that is news.
    fn adopt(&mut self, words: impl IntoIterator<Item = &'static Word>) -> bool {
        let before = self.uses.len();
        for word in words {
            let is_limited = ONLY_ON.iter().any(|(name, ..)| *name == word.name);
            let is_known = |known: &&Word| match is_limited {
                true => known.name == word.name,
                false => known.place == word.place,
            };
            if word.place != Place::Anywhere && !self.uses.iter().any(is_known) {
                self.uses.push(word);
            }
        }
        self.uses.len() > before
    }
}
