//! Effects: amounts that cannot be, and effects that a function asks for where it may not.

use std::collections::BTreeMap;

use rhai::{ASTNode, Expr, Position, Stmt};
use rust_decimal::Decimal;

use super::expressions::{function_words, in_words};
use super::{Checker, Function};
use crate::rules::vocabulary::{Place, Word};

/// Effects whose first argument is how many points move, and what moves them the other way.
const MOVEMENTS: [(&str, &str); 4] =
    [("award", "deduct"), ("deduct", "award"), ("award_to", "deduct_from"), ("deduct_from", "award_to")];

impl Checker<'_> {
    /// Complains about moving less than nothing.
    pub(super) fn amount(&mut self, effect: &str, args: &[&Expr]) {
        let Some((_, other)) = MOVEMENTS.iter().find(|(name, _)| *name == effect) else { return };
        let Some(first) = args.first() else { return };
        if self.literal_number(first).is_some_and(|amount| amount < Decimal::ZERO) {
            let help = Some(format!("to move points the other way, write {other}(…)"));
            self.problem(super::start(first), format!("`{effect}` needs zero or more"), help);
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
            self.problem(position, message, None);
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
    /// Notes words that may be used in one place only, one of each place; says whether that is news.
    fn adopt(&mut self, words: impl IntoIterator<Item = &'static Word>) -> bool {
        let before = self.uses.len();
        for word in words {
            if word.place != Place::Anywhere && self.uses.iter().all(|known| known.place != word.place) {
                self.uses.push(word);
            }
        }
        self.uses.len() > before
    }
}
