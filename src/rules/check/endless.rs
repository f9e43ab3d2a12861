//! Rules that start themselves without an end.

use rhai::{Expr, FnCallExpr, Position, Stmt};
use rust_decimal::Decimal;

use super::literals::Literal;
use super::{Checker, Mistake};
use crate::domain::loyalty_event::EventType;
use crate::domain::terms::wallet::{Pending, WalletTerms};
use crate::rules::language::Block;

impl Checker<'_> {
    /// Complains about a rule that, whatever happens, tells what it starts on. Only of what stands first and without a
    /// condition: anything else may well have an end.
    pub(super) fn endless(&mut self, block: &Block) {
        let (None, Expr::Stmt(body)) = (&block.condition, &block.body) else { return };
        let calls = body.iter().map_while(called);
        let again = calls.into_iter().find(|(call, _)| self.tells(call, &block.event));
        if let Some((call, position)) = again {
            let message = format!("`{}` tells `{}`, on which this very rule starts", call.name, block.event);
            let help = "give the rule a condition that ends, such as `when event.…`";
            self.problem(Mistake::Endless, position, message, Some(help.to_owned()));
        }
    }

    /// Whether the call tells this for certain.
    fn tells(&self, call: &FnCallExpr, event: &str) -> bool {
        let first = call.args.first().and_then(|arg| self.literal(arg));
        match (&*call.name, first) {
            ("award", Some(Literal::Number(amount))) => {
                let comes_in_full =
                    |wallet: &WalletTerms| wallet.pending == Pending::No && wallet.max_balance.is_none();
                event == EventType::PointsEarned.as_str()
                    && amount >= Decimal::ONE
                    && self.manifest.terms.wallets.first().is_some_and(comes_in_full)
            }
            ("emit", Some(Literal::Text(name))) => {
                event == name || event == EventType::CustomEmitted.as_str()
            }
            _ => false,
        }
    }
}

/// What a statement calls, if it is nothing but a call.
pub(super) fn called(statement: &Stmt) -> Option<(&FnCallExpr, Position)> {
    match statement {
        Stmt::FnCall(call, position) => Some((call, *position)),
        Stmt::Expr(expr) => match &**expr {
            Expr::FnCall(call, position) => Some((call, *position)),
            _ => None,
        },
        _ => None,
    }
}
