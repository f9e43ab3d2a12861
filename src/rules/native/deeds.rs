//! Bodies that only ask for effects, of what is written out or read: `award(order.total);`, `set_tier("gold");`.
//!
//! Most bodies are like this, and asking costs less than half of what the interpreter takes to come to it. The very
//! functions are called that it would call. Should one of them fail, all is asked for anew by the interpreter, which
//! says what and where.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrayvec::ArrayVec;
use rhai::{Dynamic, Engine, Expr, FnCallExpr, GlobalRuntimeState, Position, Scope, Stmt};

use super::compile::{Sight, type_of, word};
use super::{Operand, Seen, Subjects};
use crate::rules::vocabulary::{Native, Type};

/// The most that an effect takes.
const MAX_ARGUMENTS: usize = 3;

/// What a body asks for, one after the other.
#[derive(Debug)]
pub(in crate::rules) struct Deeds(Box<[Deed]>);

/// One effect to be asked for.
#[derive(Debug)]
struct Deed {
    name: &'static str,
    native: Native,
    arguments: Box<[(Operand, Type)]>,
    position: Position,
}

impl Deeds {
    /// What a body asks for; `None` when the interpreter must run it.
    pub(in crate::rules) fn of(body: &Expr, sight: Sight<'_>) -> Option<Self> {
        let Expr::Stmt(block) = body else { return None };
        let deed = |statement: &Stmt| match statement {
            Stmt::FnCall(call, position) => sight.deed(call, *position),
            Stmt::Expr(expr) => match &**expr {
                Expr::FnCall(call, position) => sight.deed(call, *position),
                _ => None,
            },
            _ => None,
        };
        block.statements().iter().map(deed).collect::<Option<_>>().map(Self)
    }

    /// Asks for all of it; `None` when the interpreter must do so, from the first on.
    pub(in crate::rules) fn ask(
        &self,
        subjects: &mut Subjects,
        scope: &Scope<'_>,
        (engine, global): (&Engine, &GlobalRuntimeState),
    ) -> Option<()> {
        // As with guards: what panics here panics in the interpreter, too, which tells of it.
        let asked = catch_unwind(AssertUnwindSafe(|| {
            let seen = &mut subjects.of(scope);
            self.0.iter().try_for_each(|deed| deed.ask(seen, engine, global))
        }));
        asked.ok().flatten()
    }
}

impl Deed {
    fn ask(&self, seen: &mut Seen<'_>, engine: &Engine, global: &GlobalRuntimeState) -> Option<()> {
        let mut values = ArrayVec::<Dynamic, MAX_ARGUMENTS>::new();
        for (operand, kind) in &self.arguments {
            let value = match operand {
                Operand::Known(value) => value.clone(),
                Operand::Read(reading) => reading.read(seen)?,
            };
            if type_of(&value) != Some(*kind) {
                return None;
            }
            values.push(value);
        }
        let mut values: ArrayVec<&mut Dynamic, MAX_ARGUMENTS> = values.iter_mut().collect();
        let context = (engine, self.name, None, global, self.position).into();
        self.native.call_within(context, &mut values).map(drop)
    }
}

impl Sight<'_> {
    fn deed(self, call: &FnCallExpr, position: Position) -> Option<Deed> {
        if call.args.len() > MAX_ARGUMENTS || call.capture_parent_scope {
            return None;
        }
        let arguments: Box<[_]> = call.args.iter().map(|arg| self.handed(arg)).collect::<Option<_>>()?;
        let kinds: ArrayVec<Type, MAX_ARGUMENTS> = arguments.iter().map(|(_, kind)| *kind).collect();
        let word = word(&call.name, &kinds, false)?;
        Some(Deed { name: word.name, native: word.effect.clone()?, arguments, position })
    }

    /// What is handed to an effect: a number or a text that is written out or read.
    fn handed(self, expr: &Expr) -> Option<(Operand, Type)> {
        let (operand, kind) = match self.constant(expr) {
            Some(value) => {
                let kind = type_of(&value)?;
                (Operand::Known(value), kind)
            }
            None => self.reading(expr).map(|(reading, kind)| (Operand::Read(reading), kind))?,
        };
        matches!(kind, Type::Whole | Type::Decimal | Type::Text).then_some((operand, kind))
    }
}
