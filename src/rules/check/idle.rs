//! Statements that do nothing: a value is reckoned, and nobody gets it.

use rhai::{ASTNode, Expr, FnCallExpr, Position, Stmt, StmtBlock};

use super::expressions::function_words;
use super::{Checker, Diagnostic, Mistake, Place, Type, start};

impl Checker<'_> {
    /// Complains about statements of a body that do nothing. Its own value is nobody's.
    pub(super) fn idle_block(&mut self, block: &StmtBlock) {
        block.iter().for_each(|statement| self.idle(statement));
    }

    /// The same of a function, whose last statement is what it gives.
    pub(super) fn idle_function(&mut self, at: usize) {
        let ast = self.functions[at].ast;
        let is_one = |path: &[ASTNode<'_>]| matches!(path, [ASTNode::Stmt(s)] if !matches!(s, Stmt::Noop(_)));
        let mut left = 0_usize;
        ast.walk(&mut |path| {
            left += usize::from(is_one(path));
            true
        });
        // The parser hands out the statements of a function in no other way.
        ast.walk(&mut |path| {
            if let [ASTNode::Stmt(statement)] = path
                && is_one(path)
            {
                left -= 1;
                if left > 0 {
                    self.idle(statement);
                }
            }
            true
        });
    }

    fn idle(&mut self, statement: &Stmt) {
        let position = match statement {
            Stmt::Block(block) => return self.idle_block(block),
            Stmt::If(flow, _) => {
                self.idle_block(&flow.body);
                return self.idle_block(&flow.branch);
            }
            Stmt::For(parts, _) => return self.idle_block(&parts.2.body),
            Stmt::Switch(parts, _) => {
                return parts.1.expressions.iter().for_each(|case| self.idle_value(&case.rhs));
            }
            Stmt::Expr(expr) => return self.idle_value(expr),
            Stmt::FnCall(call, position) => self.is_pure_call(call).then_some(*position),
            _ => None,
        };
        if let Some(position) = position {
            self.wasted(position, None);
        }
    }

    fn idle_value(&mut self, expr: &Expr) {
        match expr {
            Expr::Stmt(block) => self.idle_block(block),
            Expr::Unit(_) | Expr::Custom(..) => {}
            expr if self.is_pure(expr) => self.wasted(start(expr), Some(expr)),
            _ => {}
        }
    }

    /// Complains about a value that nobody gets, unless something else was said of its line.
    fn wasted(&mut self, position: Position, expr: Option<&Expr>) {
        let file = &self.files[self.here.file].name;
        let is_of_line = |known: &Diagnostic| position.line() == Some(known.line) && known.file == **file;
        if self.problems.iter().any(is_of_line) {
            return;
        }
        let is_comparison = |expr: &&Expr| matches!(expr, Expr::FnCall(call, _) if call.op_token.is_some() && call.name == "==");
        let help = match (self.here.place, expr.filter(is_comparison)) {
            (Place::Test, _) => "write `expect` before what must be so",
            (_, Some(_)) => "to put a value into a variable, write one `=`; to ask something, `if`",
            _ => "to give points, write award(…); to keep a value, `let x = …`",
        };
        self.problem(Mistake::Unused, position, "nothing is done with this value", Some(help.to_owned()));
    }

    /// Whether reckoning this changes nothing.
    fn is_pure(&self, expr: &Expr) -> bool {
        let mut is_pure = true;
        expr.walk(&mut Vec::new(), &mut |path| {
            is_pure &= match path.last() {
                Some(
                    ASTNode::Expr(Expr::FnCall(call, _) | Expr::MethodCall(call, _))
                    | ASTNode::Stmt(Stmt::FnCall(call, _)),
                ) => self.is_pure_call(call),
                Some(ASTNode::Expr(Expr::Custom(..) | Expr::Stmt(_)) | ASTNode::Stmt(_)) => false,
                _ => true,
            };
            is_pure
        });
        is_pure
    }

    /// Whether what is called does nothing but answer; what does not exist is complained of elsewhere.
    fn is_pure_call(&self, call: &FnCallExpr) -> bool {
        if call.op_token.is_some() {
            return call.args.iter().all(|arg| self.is_pure(arg));
        }
        let mut own = self.own(&call.name).peekable();
        let answers = match own.peek() {
            Some(_) => own.all(|own| own.uses.is_empty()),
            None => {
                let mut words = function_words(&call.name).peekable();
                words.peek().is_some() && words.all(|word| word.returns != Type::Nothing)
            }
        };
        answers && call.args.iter().all(|arg| self.is_pure(arg))
    }
}
