//! Runs rules, triggers and the conditions of segments. Each thread keeps an interpreter state per program, because building one and looking up
//! every function anew would cost more than the rules themselves.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rhai::{Caches, Dynamic, EvalAltResult, EvalContext, Expression, GlobalRuntimeState, Scope};

use crate::domain::coupon::Purse;
use crate::domain::effect::{Action, FailureCode, RuleFailure};
use crate::domain::suspension::Suspension;
use crate::domain::text::Name;

use super::code::{Code, Unit};
use super::conditions::false_parts;
use super::language;
use super::native::{Answer, Deeds, Subjects};
use super::program::Program;
use super::reads::reads;
use super::requests::{Failure, Requests, Wishes};
use super::verdict::{Judged, Reads, Telling, Unmet, Why};

/// Programs that a thread keeps warm. One more than that costs microseconds, not correctness.
const MAX_KEPT: usize = 64;

/// What a thread keeps of one program.
struct Kept {
    program: u64,
    global: GlobalRuntimeState,
    caches: Caches,
    requests: Requests,
}

impl Kept {
    fn new(code: &Code) -> Self {
        let requests = Requests::new();
        let mut global = code.engine.new_global_runtime_state();
        global.lib.push(code.functions.clone());
        global.tag = Dynamic::from(requests.clone());
        Self { program: code.id, global, caches: Caches::new(), requests }
    }
}

thread_local! {
    /// Most recently used last.
    static KEPT: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// An interpreter at work on one event.
pub(super) struct Run<'a> {
    code: &'a Code,
    /// `None` after a panic: its state cannot be trusted any more.
    kept: Option<Kept>,
    scope: Scope<'static>,
    subjects: Subjects,
    /// What may be asked about the member's coupons.
    purse: Purse,
    telling: Telling,
    /// Rules that are not run.
    suspended: &'a [Suspension],
}

impl<'a> Run<'a> {
    /// Begins with these variables.
    pub(super) fn new(
        program: &'a Program,
        variables: impl IntoIterator<Item = (&'static str, Dynamic)>,
        purse: Purse,
    ) -> Self {
        let code = &*program.code;
        let kept = KEPT.with_borrow_mut(|all| {
            let at = all.iter().rposition(|kept| kept.program == code.id);
            at.map(|at| all.remove(at))
        });
        let mut scope = Scope::new();
        for (name, value) in variables {
            scope.push_constant_dynamic(name, value);
        }
        let (telling, suspended) = (program.telling, &*program.suspended);
        Self { code, kept, scope, subjects: Subjects::default(), purse, telling, suspended }
    }

    /// Ends. Hands back what was asked about.
    pub(super) fn end(mut self) -> Purse {
        std::mem::take(&mut self.purse)
    }

    /// What the rule asks for.
    pub(super) fn rule(&mut self, unit: &Unit) -> Result<Judged<Vec<Action>>, RuleFailure> {
        if let Some(suspension) = self.suspended.iter().find(|suspension| suspension.rule == *unit.name) {
            return self.leave_out(unit, suspension);
        }
        let wishes = self.asked(unit, || Wishes::of_rule(unit.cause.rule.clone()))?;
        Ok(self.judged(unit, wishes, Wishes::into_actions))
    }

    /// A suspended rule fails, unless it is plain without the interpreter that it would have done nothing.
    fn leave_out(
        &mut self,
        unit: &Unit,
        suspension: &Suspension,
    ) -> Result<Judged<Vec<Action>>, RuleFailure> {
        match self.guard(unit) {
            Answer::Fails => Ok(self.not(unit)),
            Answer::Holds | Answer::Unknown => {
                Err(RuleFailure { code: FailureCode::Suspended, ..unit.failure(suspension) })
            }
        }
    }

    /// What can be said of the condition without the interpreter.
    fn guard(&mut self, unit: &Unit) -> Answer {
        let guard = unit.guard.as_ref();
        guard.map_or(Answer::Unknown, |guard| guard.ask(&mut self.subjects, &self.scope))
    }

    /// The tags that the trigger forwards to.
    pub(super) fn trigger(&mut self, unit: &Unit) -> Result<Judged<Vec<Name>>, RuleFailure> {
        let wishes = self.asked(unit, Wishes::of_trigger)?;
        Ok(self.judged(unit, wishes, Wishes::into_tags))
    }

    /// Whether the condition of a segment or a tier holds.
    pub(super) fn condition(&mut self, unit: &Unit) -> Result<Judged<()>, RuleFailure> {
        let wishes = self.asked(unit, || Wishes::Nobody)?;
        Ok(self.judged(unit, wishes, drop))
    }

    /// What was asked for; `None` when the condition did not hold.
    fn asked(&mut self, unit: &Unit, nothing: impl Fn() -> Wishes) -> Result<Option<Wishes>, RuleFailure> {
        let guard = self.guard(unit);
        if guard == Answer::Fails {
            return Ok(None);
        }
        let holds = guard == Answer::Holds || unit.condition.is_none();
        if let Some(deeds) = unit.deeds.as_ref().filter(|_| holds)
            && let Some(wishes) = self.asked_plainly(deeds, nothing())
        {
            return Ok(Some(wishes));
        }
        let (outcome, wishes) = self.at_work(nothing(), |context| run(context, unit, guard));
        match outcome {
            Some(Ok(held)) => Ok(held.then_some(wishes)),
            Some(Err(error)) => Err(failure(self.code, unit, &error)),
            None => {
                let error = "the interpreter stopped unexpectedly; please report this rule";
                Err(RuleFailure::new(&*unit.name, place(&unit.file, unit.position), error))
            }
        }
    }

    /// What is asked for without the interpreter; `None` when that must say.
    fn asked_plainly(&mut self, deeds: &Deeds, nothing: Wishes) -> Option<Wishes> {
        let kept = self.kept.get_or_insert_with(|| Kept::new(self.code));
        kept.requests.open(nothing, &mut self.purse);
        let done = deeds.ask(&mut self.subjects, &self.scope, (&self.code.engine, &kept.global));
        let wishes = kept.requests.close(&mut self.purse);
        done.map(|()| wishes)
    }

    fn judged<T>(
        &mut self,
        unit: &Unit,
        wishes: Option<Wishes>,
        came: impl FnOnce(Wishes) -> T,
    ) -> Judged<T> {
        match wishes {
            Some(wishes) => Judged::Held(came(wishes), self.reads(unit)),
            None => self.not(unit),
        }
    }

    /// What a unit read, if somebody wants to know.
    fn reads(&mut self, unit: &Unit) -> Option<Reads> {
        if self.telling == Telling::What {
            return None;
        }
        let read = self.at_work(Wishes::Nobody, |context| reads(context, unit)).0;
        Some(read.unwrap_or_default().into())
    }

    fn not<T>(&mut self, unit: &Unit) -> Judged<T> {
        Judged::Not(Why::Unmet(self.unmet(unit)))
    }

    /// Why a condition did not hold, if somebody wants to know.
    fn unmet(&mut self, unit: &Unit) -> Option<Box<Unmet>> {
        if self.telling == Telling::What {
            return None;
        }
        let condition = unit.condition.as_ref()?;
        let read = |context: &mut EvalContext<'_, '_, '_, '_, '_, '_>| {
            false_parts(context, condition, &unit.written)
        };
        let because = self.at_work(Wishes::Nobody, read).0.unwrap_or_default();
        Some(Box::new(Unmet { condition: unit.written.text.clone(), because }))
    }

    /// Has the interpreter do something, and hands on what was asked for meanwhile; `None` when it panicked. Whatever
    /// happens, the variables are as before.
    fn at_work<T>(
        &mut self,
        nothing: Wishes,
        work: impl FnOnce(&mut EvalContext<'_, '_, '_, '_, '_, '_>) -> T,
    ) -> (Option<T>, Wishes) {
        let kept = self.kept.get_or_insert_with(|| Kept::new(self.code));
        kept.requests.open(nothing, &mut self.purse);
        kept.global.num_operations = 0;
        kept.global.level = 0;
        kept.global.scope_level = 0;
        let (engine, scope) = (&self.code.engine, &mut self.scope);
        let variables = scope.len();
        let (global, caches) = (&mut kept.global, &mut kept.caches);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            work(&mut EvalContext::new(engine, global, caches, scope, None))
        }));
        self.scope.rewind(variables);
        let wishes = kept.requests.close(&mut self.purse);
        if outcome.is_err() {
            self.kept = None;
        }
        (outcome.ok(), wishes)
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take() {
            KEPT.with_borrow_mut(|all| {
                if all.len() >= MAX_KEPT {
                    all.remove(0);
                }
                all.push(kept);
            });
        }
    }
}

/// Evaluates condition and body; says whether the condition held.
fn run(
    context: &mut EvalContext<'_, '_, '_, '_, '_, '_>,
    unit: &Unit,
    guard: Answer,
) -> Result<bool, Failure> {
    if let Some(condition) = unit.condition.as_ref().filter(|_| guard != Answer::Holds) {
        let holds = context.eval_expression_tree(&Expression::from(condition))?;
        let holds = holds.as_bool().map_err(|found| {
            let message = format!("the condition after `when` must be true or false, but it is {found}");
            EvalAltResult::ErrorRuntime(message.into(), condition.position())
        })?;
        if !holds {
            return Ok(false);
        }
    }
    match context.eval_expression_tree(&Expression::from(&unit.body)) {
        Ok(_) => Ok(true),
        Err(error) if matches!(*error, EvalAltResult::Return(..)) => Ok(true),
        Err(error) => Err(error),
    }
}

fn failure(code: &Code, unit: &Unit, error: &EvalAltResult) -> RuleFailure {
    let (function, position, error) = language::failure(error);
    let (file, error) = match function {
        Some(name) => {
            let file = code.function_files.get(&name).unwrap_or(&unit.file);
            (file, format!("{error} (in function `{name}`)"))
        }
        None => (&unit.file, error),
    };
    RuleFailure::new(&*unit.name, place(file, position.or_else(unit.position)), error)
}

fn place(file: &str, position: rhai::Position) -> String {
    format!("{file}:{}:{}", position.line().unwrap_or(1), position.position().unwrap_or(1))
}
