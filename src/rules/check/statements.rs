//! Statements: what they declare, and what they may change.

use rhai::{Expr, Position, Stmt, StmtBlock};

use super::{Checker, Known, Origin, Type, Variable};
use crate::rules::engine::MAX_DEPTH;
use crate::rules::suggest;

impl Checker<'_> {
    /// A block with variables of its own; its value is that of its last statement.
    pub(super) fn statements(&mut self, block: &StmtBlock) -> Known {
        let outside = self.here.variables.len();
        let mut value = Known::of(Type::Nothing);
        let mut ended = None;
        for statement in block.iter() {
            self.reached(statement, &mut ended);
            value = self.statement(statement);
        }
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
            self.problem(at, format!("this is never reached: `{word}` comes before it"), None);
        }
        *ended = match statement {
            Stmt::Return(..) => Some("return"),
            Stmt::BreakLoop(_, flags, _) if flags.contains(rhai::ASTFlags::BREAK) => Some("break"),
            Stmt::BreakLoop(..) => Some("continue"),
            _ => None,
        };
    }

    /// Variables go out of sight, down to the first so many.
    pub(super) fn forget_variables(&mut self, kept: usize) {
        for variable in self.here.variables.split_off(kept) {
            if let Origin::Unused(position) = variable.origin
                && !variable.name.starts_with('_')
            {
                let message = format!("nothing uses `{}`", variable.name);
                let help = format!("delete it, or call it `_{}`", variable.name);
                self.problem(position, message, Some(help));
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
                let (yes, no) = (self.statements(&flow.body), self.statements(&flow.branch));
                return either(yes, no);
            }
            Stmt::Switch(parts, _) => {
                let (value, cases) = &**parts;
                self.expression(value);
                let mut result = None;
                for case in cases.expressions.iter() {
                    self.condition(&case.lhs, "the condition of a case");
                    let value = self.expression(&case.rhs);
                    result = Some(result.map_or(value, |known| either(known, value)));
                }
                return result.unwrap_or(Known::ANY);
            }
            Stmt::For(parts, _) => {
                let (item, counter, flow) = &**parts;
                let kind = self.walked_over(&flow.expr);
                let outside = self.here.variables.len();
                self.declare(item.name.to_string(), kind, Origin::Bound);
                if let Some(counter) = counter {
                    self.declare(counter.name.to_string(), Type::Whole, Origin::Bound);
                }
                self.statements(&flow.body);
                self.forget_variables(outside);
            }
            Stmt::Var(parts, _, position) => {
                let (name, value, _) = &**parts;
                let kind = self.expression(value).kind;
                let position = name.pos.or_else(*position);
                if self.constants.contains_key(name.name.as_str()) {
                    let message = format!("there is already a constant called `{}`", name.name);
                    self.problem(position, message, Some("choose another name".to_owned()));
                }
                self.declare(name.name.to_string(), kind, Origin::Unused(position));
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
            Stmt::Return(value, ..) | Stmt::BreakLoop(value, ..) => {
                if let Some(value) = value {
                    self.expression(value);
                }
                return Known::ANY;
            }
            Stmt::Noop(_) => {}
            // The sandbox has no other statements; should one appear, it must not pass unchecked.
            other => self.problem(other.position(), "this cannot be used in rules", None),
        }
        Known::of(Type::Nothing)
    }

    fn declare(&mut self, name: String, kind: Type, origin: Origin) {
        self.here.variables.push(Variable { name, kind, origin });
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
                self.problem(super::start(expr), format!("`for` cannot walk over {}", other.as_str()), help);
                Type::Any
            }
        }
    }

    /// `name = value` or `name += value`.
    fn assign(&mut self, target: &Expr, sign: Option<&str>, value: Type, position: Position) {
        let Expr::Variable(variable, _, at) = target else {
            self.expression(target);
            let help = Some("rules change the world by effects, such as `award`".to_owned());
            return self.problem(super::start(target), "this cannot be changed", help);
        };
        let name = variable.1.as_str();
        let Some(index) = self.here.variables.iter().rposition(|known| known.name == name) else {
            let message = match self.constants.contains_key(name) {
                true => format!("`{name}` is a constant and cannot be changed"),
                false => format!("there is nothing called `{name}` here"),
            };
            let names = self.here.variables.iter().map(|known| known.name.as_str());
            let help = suggest::did_you_mean(name, names);
            return self.problem(*at, message, help);
        };
        if self.here.variables[index].origin == Origin::Given {
            return self.problem(*at, format!("`{name}` cannot be changed"), None);
        }
        let before = self.here.variables[index].kind;
        let after = match sign {
            None => value,
            Some(sign) => self.arithmetic(sign, before, value, position),
        };
        // A loop may come back to a place where it was something else.
        let kind = if before == after || before.is_number() && after.is_number() { after } else { Type::Any };
        self.here.variables[index].kind =
            if before == Type::Decimal && kind == Type::Whole { before } else { kind };
    }

    pub(super) fn too_deep(&mut self, position: Position) {
        self.problem(position, "this is nested too deeply", Some("use `let` for its parts".to_owned()));
    }
}

/// What is known of a value that is one of two.
pub(super) fn either(a: Known, b: Known) -> Known {
    match (a.kind, b.kind) {
        (same, other) if same == other => {
            Known { role: a.role.filter(|_| a.role == b.role), ..Known::of(same) }
        }
        (a, b) if a.is_number() && b.is_number() => Known::of(Type::Decimal),
        _ => Known::ANY,
    }
}
