//! Functions of the folder: what they give, and what is wrong with them when they are called with what they are.
//!
//! A function is checked once with parameters that may be anything, and again for each way it is called. What the
//! second look finds is only said where it is certain: one function may well be for values of several types.

use rhai::{ASTNode, Expr, FnCallExpr, Position, Stmt};

use super::statements::either;
use super::{Checker, Here, Known, Mistake, Origin, Place, Type, Variable};
use crate::rules::engine::MAX_CALL_LEVELS;

/// The most ways of calling functions that are looked at in one program.
const MAX_CALLS: usize = 200;

/// Whether a mistake is one whatever else a function is for. What is in a branch may be for values of another type.
pub(super) const fn is_certain(mistake: Mistake, branches: usize) -> bool {
    match mistake {
        Mistake::IntegerDivision | Mistake::WrongArgument | Mistake::OutOfRange => true,
        Mistake::UnknownName | Mistake::UnknownProperty => branches == 0,
        _ => false,
    }
}

impl Checker<'_> {
    /// What a function gives that is called with these; complains of what it does with them.
    pub(super) fn called(&mut self, at: usize, given: &[Known], position: Position) -> Known {
        let given: Vec<_> = given.iter().map(|known| Known { may_be_missing: false, ..*known }).collect();
        let key = (at, given);
        if let Some(known) = self.calls.get(&key) {
            return *known;
        }
        let level = self.here.called.as_ref().map_or(1, |(level, _)| level + 1);
        if level > MAX_CALL_LEVELS || self.calls.len() >= MAX_CALLS {
            return Known::ANY;
        }
        // Until it is known, a function that calls itself gives anything.
        self.calls.insert(key.clone(), Known::ANY);
        let first = match &self.here.called {
            Some((_, first)) => first.clone(),
            None => format!("{}:{}", self.files[self.here.file].name, position.line().unwrap_or(1)),
        };
        let function =
            Here { called: Some((level, first)), ..Here::new(self.functions[at].file, Place::Anywhere) };
        let outside = std::mem::replace(&mut self.here, function);
        let known = self.function(at, &key.1);
        self.here = outside;
        self.calls.insert(key, known);
        known
    }

    /// Checks the body of a function; gives what it gives.
    pub(super) fn function(&mut self, at: usize, given: &[Known]) -> Known {
        let ast = self.functions[at].ast;
        self.here.is_function = true;
        ast.walk(&mut |path| self.here.note_assigned(path));
        for (name, known) in self.functions[at].params.clone().into_iter().zip(given) {
            let known = self.kept(&name, *known);
            self.here.variables.push(Variable { name, known, origin: Origin::Bound });
        }
        let (mut ended, mut value, mut returns) = (None, None, false);
        // The parser hands out the statements of a function in no other way.
        ast.walk(&mut |path| {
            if let [ASTNode::Stmt(statement)] = path
                && !matches!(statement, Stmt::Noop(_))
            {
                self.reached(statement, &mut ended);
                let known = self.statement(statement);
                // Nothing comes behind a `return`.
                returns |= matches!(statement, Stmt::Return(..));
                value = (!returns).then_some(known);
            }
            true
        });
        self.forget_variables(0);
        match (value, self.here.returned) {
            (Some(value), Some(returned)) => either(value, returned),
            (value, returned) => value.or(returned).unwrap_or(Known::of(Type::Nothing)),
        }
    }

    /// Complains about a function that, whatever it is given, calls itself.
    pub(super) fn recursive(&mut self, at: usize) {
        let function = self.functions[at].clone();
        let (name, params) = (function.name.as_str(), function.params.len());
        let mut found = None;
        let mut is_certain = true;
        function.ast.walk(&mut |path| {
            if let [ASTNode::Stmt(statement)] = path
                && is_certain
            {
                found = found.or(certain(statement).and_then(|expr| calls(expr, name, params)));
                found = found.or(match statement {
                    Stmt::FnCall(call, at) => calls_so(call, *at, name, params),
                    _ => None,
                });
                is_certain =
                    matches!(statement, Stmt::Expr(_) | Stmt::FnCall(..) | Stmt::Var(..) | Stmt::Noop(_));
            }
            true
        });
        if let Some(position) = found {
            let help = Some("let it return something before it does".to_owned());
            self.problem(Mistake::Endless, position, format!("`{name}` calls itself without an end"), help);
        }
    }
}

/// The part of a statement that runs in any case.
fn certain(statement: &Stmt) -> Option<&Expr> {
    match statement {
        Stmt::Expr(expr) => Some(expr),
        Stmt::Var(parts, ..) => Some(&parts.1),
        Stmt::Assignment(parts) => Some(&parts.1.rhs),
        Stmt::Return(Some(value), ..) => Some(value),
        Stmt::If(flow, _) => Some(&flow.expr),
        Stmt::For(parts, _) => Some(&parts.2.expr),
        Stmt::Switch(parts, _) => Some(&parts.0),
        _ => None,
    }
}

/// Where an expression calls a function in any case.
fn calls(expr: &Expr, name: &str, params: usize) -> Option<Position> {
    match expr {
        Expr::FnCall(call, at) => calls_so(call, *at, name, params),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => calls(&pair.lhs, name, params),
        Expr::And(parts, _) | Expr::Or(parts, _) => calls(parts.first()?, name, params),
        _ => None,
    }
}

fn calls_so(call: &FnCallExpr, at: Position, name: &str, params: usize) -> Option<Position> {
    let is_it = call.op_token.is_none() && call.name == name && call.args.len() == params;
    is_it.then_some(at).or_else(|| call.args.iter().find_map(|arg| calls(arg, name, params)))
}
