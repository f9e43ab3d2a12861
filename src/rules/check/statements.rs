//! Statements: what they declare, and what they may change.

use rhai::{Expr, Position, Stmt, StmtBlock};

use super::{Checker, Known, Mistake, Origin, Standing, Type, Variable};
use crate::rules::engine::MAX_DEPTH;
use crate::rules::suggest;

impl Checker<'_> {
    /// A block with variables of its own; its value is that of its last statement.
    pub(super) fn statements(&mut self, block: &StmtBlock) -> Known {
        let (outside, held) = (self.here.variables.len(), self.here.held.len());
        let mut value = Known::of(Type::Nothing);
        let mut ended = None;
        for statement in block.iter() {
            self.reached(statement, &mut ended);
            value = self.statement(statement);
            if let Stmt::If(flow, _) = statement
                && flow.branch.is_empty()
                && flow.body.iter().last().is_some_and(|last| leaves(last).is_some())
            {
                self.hold(&flow.expr, false, Standing::Before);
            }
        }
        self.here.held.truncate(held);
        self.forget_variables(outside);
        value
    }

    /// Complains about the first statement after one that `ended` its block.
    pub(super) fn reached(&mut self, statement: &Stmt, ended: &mut Option<&'static str>) {
        if matches!(statement, Stmt::Noop(_)) {
            return;
        }
        if let Some(word) = ended.take() {
            let at = match statement {
                Stmt::Expr(expr) => super::start(expr),
                other => other.position(),
            };
            let message = format!("this is never reached: `{word}` comes before it");
            self.problem(Mistake::Unreachable, at, message, None);
        }
        *ended = leaves(statement);
    }

    /// Variables go out of sight, down to the first so many.
    pub(super) fn forget_variables(&mut self, kept: usize) {
        for variable in self.here.variables.split_off(kept) {
            if let Origin::Unused(position) = variable.origin
                && !variable.name.starts_with('_')
            {
                let message = format!("nothing uses `{}`", variable.name);
                let help = format!("delete it, or call it `_{}`", variable.name);
                self.problem(Mistake::Unused, position, message, Some(help));
            }
        }
    }

    pub(super) fn statement(&mut self, statement: &Stmt) -> Known {
        if self.here.depth >= MAX_DEPTH {
            self.too_deep(statement.position());
            return Known::ANY;
        }
        self.here.depth += 1;
        let value = self.statement_here(statement);
        self.here.depth -= 1;
        value
    }

    fn statement_here(&mut self, statement: &Stmt) -> Known {
        match statement {
            Stmt::Expr(expr) => return self.expression(expr),
            Stmt::FnCall(call, position) => return self.call(call, *position),
            Stmt::Block(block) => return self.statements(block),
            Stmt::If(flow, _) => {
                self.condition(&flow.expr, "the condition after `if`");
                let held = self.here.held.len();
                self.here.branches += 1;
                self.hold(&flow.expr, true, Standing::Around);
                let yes = self.statements(&flow.body);
                self.here.held.truncate(held);
                self.hold(&flow.expr, false, Standing::Before);
                let no = self.statements(&flow.branch);
                self.here.held.truncate(held);
                self.here.branches -= 1;
                // The branches of an else-if chain may well be all that there can be.
                let is_chain = flow.branch.statements().iter().any(|branch| matches!(branch, Stmt::If(..)));
                let value = either(yes, no);
                return Known { may_be_missing: value.may_be_missing && !is_chain, ..value };
            }
            Stmt::Switch(parts, position) => return self.switch(&parts.0, &parts.1, *position),
            Stmt::For(parts, _) => {
                let (item, counter, flow) = &**parts;
                let kind = self.walked_over(&flow.expr);
                let outside = self.here.variables.len();
                self.declare(item.name.to_string(), Known::of(kind), Origin::Bound);
                if let Some(counter) = counter {
                    self.declare(counter.name.to_string(), Known::of(Type::Whole), Origin::Bound);
                }
                self.statements(&flow.body);
                self.forget_variables(outside);
            }
            Stmt::Var(parts, _, position) => {
                let (name, value, _) = &**parts;
                let known = self.expression(value);
                let known = self.kept(&name.name, Known { may_be_missing: false, ..known });
                let position = name.pos.or_else(*position);
                if self.constants.contains_key(name.name.as_str()) {
                    let message = format!("there is already a constant called `{}`", name.name);
                    self.problem(
                        Mistake::DuplicateName,
                        position,
                        message,
                        Some("choose another name".to_owned()),
                    );
                }
                self.declare(name.name.to_string(), known, Origin::Unused(position));
            }
            Stmt::Assignment(parts) => {
                let (operator, pair) = &**parts;
                let value = self.expression(&pair.rhs).kind;
                let sign = operator.get_op_assignment_info().map(|(.., sign)| sign);
                if let Some(sign) = sign {
                    self.divisor(sign, &pair.rhs);
                }
                self.assign(&pair.lhs, sign, value, operator.position());
            }
            Stmt::Return(value, ..) => {
                let known = value.as_ref().map_or(Known::of(Type::Nothing), |value| self.expression(value));
                let before = self.here.returned;
                self.here.returned = Some(before.map_or(known, |before| either(before, known)));
                return Known::ANY;
            }
            Stmt::BreakLoop(value, ..) => {
                value.iter().for_each(|value| _ = self.expression(value));
                return Known::ANY;
            }
            Stmt::Noop(_) => {}
            // The sandbox has no other statements; should one appear, it must not pass unchecked.
            other => self.problem(Mistake::Syntax, other.position(), "this cannot be used in rules", None),
        }
        Known::of(Type::Nothing)
    }

    fn declare(&mut self, name: String, known: Known, origin: Origin) {
        self.here.variables.push(Variable { name, known, origin });
    }

    /// What stays known of a variable's value: of one that something else is put into, its type.
    pub(super) fn kept(&self, name: &str, known: Known) -> Known {
        match (self.here.assigned.contains(name), known.kind) {
            (false, _) => known,
            (true, Type::Nothing) => Known::ANY,
            (true, kind) => Known::of(kind),
        }
    }

    /// What `for` gets from this at each step.
    fn walked_over(&mut self, expr: &Expr) -> Type {
        match self.expression(expr).kind {
            Type::Items => Type::Item,
            Type::Range => Type::Whole,
            Type::List | Type::Any => Type::Any,
            Type::Json => Type::Json,
            other => {
                let help = Some("`for` walks over `order.items`, a list or a range such as 0..5".to_owned());
                let message = format!("`for` cannot walk over {}", other.as_str());
                self.problem(Mistake::WrongType, super::start(expr), message, help);
                Type::Any
            }
        }
    }

    /// `name = value` or `name += value`.
    fn assign(&mut self, target: &Expr, sign: Option<&str>, value: Type, position: Position) {
        let Expr::Variable(variable, _, at) = target else {
            self.expression(target);
            let help = Some("rules change the world by effects, such as `award`".to_owned());
            return self.problem(Mistake::ReadOnly, super::start(target), "this cannot be changed", help);
        };
        let name = variable.1.as_str();
        let Some(index) = self.here.variables.iter().rposition(|known| known.name == name) else {
            let (mistake, message) = match self.constants.contains_key(name) {
                true => (Mistake::ReadOnly, format!("`{name}` is a constant and cannot be changed")),
                false => (Mistake::UnknownVariable, format!("there is nothing called `{name}` here")),
            };
            let names = self.here.variables.iter().map(|known| known.name.as_str());
            let help = suggest::did_you_mean(name, names);
            let help = help.or_else(|| {
                (mistake == Mistake::UnknownVariable).then(|| format!("begin with `let {name} = …`"))
            });
            self.problem(mistake, *at, message, help);
            // Once is enough.
            return self.declare(name.to_owned(), Known::ANY, Origin::Used);
        };
        if self.here.variables[index].origin == Origin::Given {
            return self.problem(Mistake::ReadOnly, *at, format!("`{name}` cannot be changed"), None);
        }
        let before = self.here.variables[index].known.kind;
        let after = match sign {
            None => value,
            Some(sign) => self.arithmetic(sign, before, value, position),
        };
        // A loop may come back to a place where it was something else.
        let kind = if before == after || before.is_number() && after.is_number() { after } else { Type::Any };
        let kind = if before == Type::Decimal && kind == Type::Whole { before } else { kind };
        self.here.variables[index].known = Known::of(kind);
    }

    pub(super) fn too_deep(&mut self, position: Position) {
        let help = Some("use `let` for its parts".to_owned());
        self.problem(Mistake::TooDeep, position, "this is nested too deeply", help);
    }
}

/// The word by which a statement leaves its block.
fn leaves(statement: &Stmt) -> Option<&'static str> {
    match statement {
        Stmt::Return(..) => Some("return"),
        Stmt::BreakLoop(_, flags, _) if flags.contains(rhai::ASTFlags::BREAK) => Some("break"),
        Stmt::BreakLoop(..) => Some("continue"),
        _ => None,
    }
}

/// What is known of a value that is one of two.
pub(super) fn either(a: Known, b: Known) -> Known {
    let is_value =
        |known: Known| !known.kind.is_open() && known.kind != Type::Nothing || known.may_be_missing;
    match (a.kind, b.kind) {
        (same, other) if same == other => Known {
            role: a.role.filter(|_| a.role == b.role),
            may_be_missing: a.may_be_missing || b.may_be_missing,
            ..Known::of(same)
        },
        (a, b) if a.is_number() && b.is_number() => Known::of(Type::Decimal),
        (Type::Nothing, _) | (_, Type::Nothing) => {
            Known { may_be_missing: is_value(a) || is_value(b), ..Known::ANY }
        }
        _ => Known { may_be_missing: a.may_be_missing || b.may_be_missing, ..Known::ANY },
    }
}
