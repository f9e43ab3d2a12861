//! Conditions and bodies that are answered without the interpreter.
//!
//! `member.tier == "gold" && order.total >= 50` reads two properties and compares them; `award(order.total * 2);` reads
//! one and asks for an effect. Most of what program managers write is of this kind: reading, comparing, reckoning, choosing, walking over
//! the lines of an order. To come to it takes the interpreter longer than doing it. The very functions are called that it
//! would call. Whatever is out of the ordinary is left to it, from the beginning, so that a rule has one
//! meaning, and its errors one wording and one place.

mod block;
mod compile;
mod frame;
mod term;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rhai::{Engine, Expr, GlobalRuntimeState, Scope};

use block::Block;
use compile::Compiler;
use frame::Frame;
use term::Term;

pub(super) use compile::{MAX_NODES_OF_ALL, Sight};
pub(super) use frame::Subjects;

/// What is known of a condition, or of the parts of an `and` that it begins with, without the interpreter.
#[derive(Debug)]
pub(super) struct Guard {
    term: Term,
    /// Whether this is all of the condition.
    is_whole: bool,
}

/// What a guard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Holds,
    Fails,
    /// The interpreter must say.
    Unknown,
}

impl Guard {
    /// The guard of a condition; `None` when the interpreter must look at it in any case.
    pub(super) fn of(condition: &Expr, sight: Sight<'_>) -> Option<Self> {
        if let Some(term) = Compiler::new(sight).truth(condition) {
            return Some(Self { term, is_whole: true });
        }
        let Expr::And(parts, _) = condition else { return None };
        // Only what stands before the rest is asked before it.
        let mut compiler = Compiler::new(sight);
        let known: Box<[Term]> = parts.iter().map_while(|part| compiler.truth(part)).collect();
        (!known.is_empty()).then_some(Self { term: Term::All(known), is_whole: false })
    }

    /// Answers for what the variables hold.
    pub(super) fn ask(&self, subjects: &mut Subjects, scope: &Scope<'_>) -> Answer {
        // What panics here panics in the interpreter, too, which tells of it.
        let holds =
            catch_unwind(AssertUnwindSafe(|| self.term.holds(&mut Frame::new(subjects, scope, None))));
        match holds {
            Ok(Some(false)) => Answer::Fails,
            Ok(Some(true)) if self.is_whole => Answer::Holds,
            Ok(Some(true) | None) | Err(_) => Answer::Unknown,
        }
    }

    /// Whether the interpreter is never needed for what is as it should be.
    #[cfg(test)]
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }
}

/// What a body does. Should anything of it fail, all is done anew by the interpreter, which says what and where.
#[derive(Debug)]
pub(super) struct Deeds(Block);

impl Deeds {
    /// What a body does; `None` when the interpreter must run it.
    pub(super) fn of(body: &Expr, sight: Sight<'_>) -> Option<Self> {
        compile::body(body, sight).map(Self)
    }

    /// Does it; `None` when the interpreter must do so, from the first on.
    pub(super) fn ask(
        &self,
        subjects: &mut Subjects,
        scope: &Scope<'_>,
        caller: (&Engine, &GlobalRuntimeState),
    ) -> Option<()> {
        // As with guards: what panics here panics in the interpreter, too.
        let done =
            catch_unwind(AssertUnwindSafe(|| self.0.run(&mut Frame::new(subjects, scope, Some(caller)))));
        done.ok().flatten().map(drop)
    }
}
