//! What reads otherwise than it runs: nothing is wrong with it for the interpreter, and everything for who wrote it.

use rhai::{Expr, Position};
use rust_decimal::Decimal;

use super::literals::{Literal, written};
use super::{Checker, Mistake, start};
use crate::rules::split;

impl Checker<'_> {
    /// `"You spent ${order.total}"`: only back-ticks put values in.
    pub(super) fn unfilled(&mut self, text: &str, position: Position) {
        if text.contains("${") {
            let help = "write it in back-ticks: `for ${order.total} dollars`";
            let message = "in double quotes `${…}` stays as it is written";
            self.problem(Mistake::Unclear, position, message, Some(help.to_owned()));
        }
    }

    /// `1.000`, which is one and not a thousand; where money has three decimals it may be meant so.
    pub(super) fn thousands(&mut self, number: Decimal, position: Position) {
        let ends_in_zero = (number.mantissa() % 10) == 0 && number.abs() >= Decimal::ONE;
        if number.scale() == 3 && ends_in_zero && self.manifest.currency.exponent != 3 {
            let (plain, whole) = (number.normalize(), number.mantissa());
            let help = format!("write {whole} for thousands, or {plain} for this");
            let message = format!("{number} is {plain}: the point begins the decimals");
            self.problem(Mistake::Unclear, position, message, Some(help));
        }
    }

    /// `10 % order.total`: what remains of ten, and no percentage.
    pub(super) fn percentage(&mut self, sign: &str, args: &[&Expr], position: Position) {
        if let ("%", [left, right]) = (sign, args)
            && let Some(Literal::Number(number)) = written(left)
            && self.literal(right).is_none()
        {
            let share = (number / Decimal::ONE_HUNDRED).normalize();
            let message = format!("this is what remains when {number} is divided, and no percentage");
            let help = format!("{number} per cent of it is `* {share}`");
            self.problem(Mistake::Unclear, position, message, Some(help));
        }
    }

    /// `award(5, "stars")` where that is a wallet: it would stand there as a reason.
    pub(super) fn reason(&mut self, effect: &str, args: &[&Expr]) {
        let to = match effect {
            "award" => "award_to",
            "deduct" => "deduct_from",
            _ => return,
        };
        let [_, reason] = args else { return };
        let Some(Literal::Text(text)) = self.literal(reason) else { return };
        let mut others = self.manifest.terms.wallets.iter().skip(1);
        if others.any(|wallet| wallet.code.as_str() == text) {
            let message = format!("this is only the reason that people see, and `{text}` is a wallet");
            let help = format!("to move points of that wallet, write {to}(…, \"{text}\")");
            self.problem(Mistake::Unclear, reason.position(), message, Some(help));
        }
    }

    /// `day == "Saturday" or day == "Sunday" and total > 50`: `and` goes first, which few expect.
    pub(super) fn mixed(&mut self, parts: &[Expr]) {
        for (at, part) in parts.iter().enumerate() {
            let Expr::And(inner, _) = part else { continue };
            let beside = |at: Option<usize>| {
                let other = at.and_then(|at| parts.get(at)).filter(|other| !matches!(other, Expr::And(..)));
                other.and_then(|other| self.chosen(other))
            };
            let joins = |inner: Option<&Expr>, other: Option<String>| {
                other.is_some() && inner.and_then(|inner| self.chosen(inner)) == other
            };
            let is_odd = joins(inner.first(), beside(at.checked_sub(1)))
                || joins(inner.last(), beside(at.checked_add(1)));
            if is_odd && !self.is_in_brackets(part) {
                let message = "`and` goes before `or`, so this reads in two ways";
                let help = "put brackets around what belongs together: `(… or …) and …`, or `… or (… and …)`";
                return self.problem(Mistake::Unclear, start(part), message, Some(help.to_owned()));
            }
        }
    }

    /// What a comparison wants to be this or that: the day of `day == "Sunday"`.
    fn chosen(&self, part: &Expr) -> Option<String> {
        let Expr::FnCall(call, _) = part else { return None };
        let [left, right] = &call.args[..] else { return None };
        let value = match &*call.name {
            "==" if self.literal(right).is_some() => left,
            "==" => right,
            "contains" => right,
            _ => return None,
        };
        Some(self.path(value)?.path)
    }

    /// Whether a bracket stands before it; quiet when that cannot be looked up.
    fn is_in_brackets(&mut self, part: &Expr) -> bool {
        if !self.may_search() {
            return true;
        }
        let text = &self.files[self.here.file].text;
        split::offset(text, (1, 1), start(part)).is_none_or(|at| text[..at].trim_end().ends_with('('))
    }
}
