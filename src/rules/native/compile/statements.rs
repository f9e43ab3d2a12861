//! Statements, and what their blocks come to.

use rhai::{AST, ASTFlags, ASTNode, Expr, FlowControl, Ident, OpAssignment, Stmt, SwitchCasesCollection};

use super::kind::Kind;
use super::{Compiler, Variable};
use crate::rules::native::block::{Act, Block, Each, If, Step, Switch, Walk};
use crate::rules::native::frame::MAX_LOCALS;
use crate::rules::native::term::Term;
use crate::rules::number::Reckoning;
use crate::rules::vocabulary::Type;

const NOTHING: Kind = Kind::Sure(Type::Nothing);

impl Compiler<'_> {
    /// Statements, and what the last one comes to. The variables that they declare end with them.
    pub(super) fn block<'e>(&mut self, statements: impl Iterator<Item = &'e Stmt>) -> Option<(Block, Kind)> {
        let before = self.variables.len();
        let (mut steps, mut kind) = (Vec::new(), NOTHING);
        for statement in statements {
            kind = self.statement(statement, &mut steps)?;
        }
        self.variables.truncate(before);
        Some((Block(steps.into()), kind))
    }

    /// The statements of a function.
    pub(super) fn function_body(&mut self, function: &AST) -> Option<(Block, Kind)> {
        let (mut steps, mut kind) = (Vec::new(), Some(NOTHING));
        // The parser hands out the statements of a function in no other way.
        function.walk(&mut |path| {
            if let [ASTNode::Stmt(statement)] = path
                && !statement.is_noop()
            {
                kind = self.statement(statement, &mut steps);
            }
            kind.is_some()
        });
        Some((Block(steps.into()), kind?))
    }

    fn statement(&mut self, statement: &Stmt, steps: &mut Vec<Step>) -> Option<Kind> {
        let before = self.nodes;
        self.count()?;
        let (act, kind) = self.act(statement)?;
        steps.push(Step { nodes: self.nodes - before, act });
        Some(kind)
    }

    fn act(&mut self, statement: &Stmt) -> Option<(Act, Kind)> {
        match statement {
            Stmt::Expr(expr) => self.term(expr).map(|(term, kind)| (Act::Value(term), kind)),
            Stmt::FnCall(call, position) => {
                self.call(call, *position).map(|(term, kind)| (Act::Value(term), kind))
            }
            Stmt::Block(block) => self.block(block.iter()).map(|(block, kind)| (Act::Block(block), kind)),
            Stmt::If(flow, _) => {
                let condition = self.truth(&flow.expr)?;
                let (then, kind) = self.block(flow.body.iter())?;
                let (otherwise, other) = self.block(flow.branch.iter())?;
                Some((Act::If(Box::new(If { condition, then, otherwise })), kind.or(other)))
            }
            Stmt::Switch(switch, _) => self.switch(&switch.0, &switch.1),
            Stmt::For(each, _) => self.each(each),
            Stmt::Var(declared, flags, _) => {
                let (name, value, _) = &**declared;
                self.declared(name, value, !flags.contains(ASTFlags::CONSTANT))
            }
            Stmt::Assignment(assigned) => self.assigned(&assigned.0, &assigned.1.lhs, &assigned.1.rhs),
            Stmt::BreakLoop(None, flags, _) => {
                self.leaves += 1;
                let act = if flags.contains(ASTFlags::BREAK) { Act::Break } else { Act::Continue };
                Some((act, Kind::Never))
            }
            Stmt::Return(value, flags, _) if !flags.contains(ASTFlags::BREAK) => {
                let value = match value {
                    Some(value) => Some(self.term(value)?),
                    None => None,
                };
                self.returns.push(value.as_ref().map_or(NOTHING, |(_, kind)| *kind));
                Some((Act::Return(value.map(|(term, _)| term)), Kind::Never))
            }
            _ => None,
        }
    }

    /// Makes room for a variable; none may hide another one.
    pub(super) fn declare(&mut self, variable: Variable) -> Option<usize> {
        let at = self.variables.len();
        // The interpreter counts how heavy a list is whenever it is read.
        let is_list = variable.kind == Kind::Sure(Type::List);
        self.variables.push(variable);
        (at < MAX_LOCALS && !is_list).then_some(at)
    }

    fn declared(&mut self, name: &Ident, value: &Expr, may_change: bool) -> Option<(Act, Kind)> {
        let (term, kind) = self.term(value)?;
        let kind = match kind {
            Kind::Sure(Type::Nothing) | Kind::Unclear | Kind::Never => return None,
            // What is added to it may have decimals.
            kind if kind.is_number() && may_change => Kind::Number,
            kind => kind,
        };
        if self.is_taken(&name.name) {
            return None;
        }
        let at = self.declare(Variable { name: name.name.to_string(), kind, may_change })?;
        Some((Act::Set(at, term), NOTHING))
    }

    fn is_taken(&self, name: &str) -> bool {
        self.is_variable(name) || self.sight.constants.contains_key(name)
    }

    fn assigned(&mut self, sign: &OpAssignment, to: &Expr, value: &Expr) -> Option<(Act, Kind)> {
        let Expr::Variable(name, ..) = to else { return None };
        let at = self.place(&name.1)?;
        self.count()?;
        let (term, kind) = self.term(value)?;
        let variable = &self.variables[at];
        if !variable.may_change {
            return None;
        }
        self.changed = self.changed.min(at);
        let act = match sign.get_op_assignment_info() {
            None => variable.kind.takes(kind).then_some(Act::Set(at, term))?,
            Some((.., sign)) => {
                let reckoning = Reckoning::parse(sign)?;
                let are_numbers = variable.kind == Kind::Number && kind.is_number();
                are_numbers.then_some(Act::Change(at, reckoning, term))?
            }
        };
        Some((act, NOTHING))
    }

    fn each(&mut self, each: &(Ident, Option<Ident>, FlowControl)) -> Option<(Act, Kind)> {
        let (name, None, FlowControl { expr, body, .. }) = each else { return None };
        let (walk, kind) = self.walked(expr)?;
        if self.is_taken(&name.name) {
            return None;
        }
        let leaves = self.leaves;
        let at = self.declare(Variable { name: name.name.to_string(), kind, may_change: false })?;
        let (body, _) = self.block(body.iter())?;
        self.variables.truncate(at);
        self.leaves = leaves;
        Some((Act::Each(Box::new(Each { at, walk, body })), NOTHING))
    }

    /// What a `for` walks over, and the kind of each thing in it.
    fn walked(&mut self, expr: &Expr) -> Option<(Walk, Kind)> {
        const WHOLE: Kind = Kind::Sure(Type::Whole);
        if let Expr::FnCall(call, _) = expr
            && call.op_token.is_some()
            && let (sign @ (".." | "..="), [from, to]) = (&*call.name, &call.args[..])
        {
            self.count()?;
            let ((from, WHOLE), (to, WHOLE)) = (self.term(from)?, self.term(to)?) else { return None };
            return Some((Walk::Numbers(from, to, sign == "..="), WHOLE));
        }
        match self.term(expr)? {
            (Term::Known(list), Kind::Sure(Type::List)) => {
                let list = list.into_array().ok()?;
                let kinds = list.iter().map(Kind::of).collect::<Option<Vec<_>>>()?;
                let kind = kinds.into_iter().reduce(Kind::or)?;
                Some((Walk::List(list), kind))
            }
            (term, Kind::Sure(Type::Items)) => Some((Walk::Items(term), Kind::Sure(Type::Item))),
            _ => None,
        }
    }

    fn switch(&mut self, value: &Expr, cases: &SwitchCasesCollection) -> Option<(Act, Kind)> {
        let (value, kind) = self.term(value)?;
        let is_plain = kind.is_number() || matches!(kind, Kind::Sure(Type::Text | Type::Bool));
        if !is_plain {
            return None;
        }
        let mut kind = if cases.def_case.is_some() { Kind::Never } else { NOTHING };
        let mut arms = Vec::new();
        for arm in &cases.expressions {
            let condition = self.truth(&arm.lhs)?;
            let (then, other) = self.term(&arm.rhs)?;
            kind = kind.or(other);
            arms.push((condition, then));
        }
        let known = cases.cases.iter().map(|(hash, case)| (*hash, case.blocks.iter().copied().collect()));
        let switch = Switch {
            value,
            cases: known.collect(),
            ranges: cases.ranges.iter().cloned().collect(),
            arms: arms.into(),
            otherwise: cases.def_case,
        };
        Some((Act::Switch(switch.into()), kind))
    }
}
