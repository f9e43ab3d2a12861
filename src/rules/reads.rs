//! What a rule read: what it names of the member and of what happened, and what that was.
//!
//! It is read once more when the rule has been asked, as when a condition is taken apart: nothing can be asked for
//! meanwhile, and all of it shares one rule's number of steps. Both branches of an `if` are told, and both sides of an `or`:
//! what a rule looks at says why, whether or not it got that far. What depends on variables of the rule's own is left
//! out, and so is what cannot be written down, such as the lines of an order.

use rhai::{ASTNode, Dynamic, EvalContext, Expr, Expression, FnCallExpr, Scope};

use super::code::Unit;
use super::conditions::{Value, shown};

/// The most values that are told of one rule.
const MAX_READS: usize = 50;

/// What a condition and a body read, in the order in which it is written, each once.
pub(super) fn reads(context: &mut EvalContext<'_, '_, '_, '_, '_, '_>, unit: &Unit) -> Vec<Value> {
    let mut read: Vec<Value> = Vec::new();
    // How deep in the tree a path begins whose parts are no values of their own.
    let mut path_at = None;
    let mut look = |nodes: &[ASTNode<'_>]| {
        if path_at.is_some_and(|begin| nodes.len() > begin) {
            return true;
        }
        path_at = None;
        let Some(ASTNode::Expr(expr)) = nodes.last() else { return true };
        let Some(of) = Writer::read(expr, context.scope()) else { return true };
        if matches!(expr, Expr::Dot(..)) {
            path_at = Some(nodes.len());
        }
        if read.iter().all(|known| *known.of != *of) {
            let value = context.eval_expression_tree(&Expression::from(*expr));
            read.extend(value.ok().and_then(|value| Value::read(of, &value)));
        }
        read.len() < MAX_READS
    };
    for part in unit.condition.iter().chain([&unit.body]) {
        if !part.walk(&mut Vec::new(), &mut look) {
            break;
        }
    }
    read
}

/// Writes expressions of which asking twice gives the same answer.
struct Writer<'a> {
    /// What rules are about.
    scope: &'a Scope<'a>,
    /// Whether that was asked about.
    asks: bool,
}

impl<'a> Writer<'a> {
    /// A path such as `member.visits_in(30.days)`, or a function called with such, as it is written.
    fn read(expr: &Expr, scope: &'a Scope<'a>) -> Option<String> {
        if !matches!(expr, Expr::Dot(..) | Expr::FnCall(..)) {
            return None;
        }
        let mut writer = Self { scope, asks: false };
        let of = writer.term(expr)?;
        writer.asks.then_some(of)
    }

    fn term(&mut self, expr: &Expr) -> Option<String> {
        if let Some(literal) = expr.get_literal_value(None) {
            return shown(&literal);
        }
        match expr {
            // Those of the rule's own are known by their place.
            Expr::Variable(variable, None, _) if variable.0.is_none() => {
                self.asks |= self.scope.contains(&variable.1);
                Some(variable.1.to_string())
            }
            Expr::Dot(pair, ..) => Some(format!("{}.{}", self.term(&pair.lhs)?, self.steps(&pair.rhs)?)),
            Expr::FnCall(call, _) => match (&call.args[..], call.op_token.is_some()) {
                ([number], true) if call.name == "-" => Some(format!("-{}", self.term(number)?)),
                // `in` is a call of this.
                (_, false) if call.name != "contains" => self.call(call),
                _ => None,
            },
            _ => None,
        }
    }

    /// What is written behind a dot.
    fn steps(&mut self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Property(names, _) => Some(names.2.to_string()),
            Expr::MethodCall(call, _) => self.call(call),
            Expr::Dot(pair, ..) => Some(format!("{}.{}", self.steps(&pair.lhs)?, self.steps(&pair.rhs)?)),
            _ => None,
        }
    }

    fn call(&mut self, call: &FnCallExpr) -> Option<String> {
        let args: Option<Vec<_>> = call.args.iter().map(|arg| self.term(arg)).collect();
        Some(format!("{}({})", call.name, args?.join(", ")))
    }
}

impl Value {
    /// `None` for what cannot be written in a rule.
    fn read(of: String, value: &Dynamic) -> Option<Self> {
        Some(Self::new(of, shown(value)?))
    }
}
