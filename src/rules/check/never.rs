//! Conditions that cannot be otherwise: comparisons that exclude each other, and ranges that nothing lies in.
//!
//! Two comparisons say something about the same value when the same path of properties is compared: within one
//! condition a member, an order and an event stay as they are.

use std::cmp::Ordering;

use rhai::{Expr, FnCallExpr, Position};
use rust_decimal::Decimal;

use super::literals::Literal;
use super::{Checker, Known, Type};
use crate::rules::sign::Sign;

/// That a value is so.
#[derive(Debug, Clone)]
struct Claim {
    /// What is compared, as it is written: `order.total`.
    path: String,
    known: Known,
    sign: Sign,
    /// What it is compared with.
    with: Literal,
    /// As said to people.
    shown: String,
    position: Position,
}

impl Claim {
    /// Whether no value is both so and as `other` says.
    fn excludes(&self, other: &Self) -> bool {
        match (self.sign, other.sign) {
            (Sign::Is, sign) => !sign.holds(self.with.compare(&other.with)),
            (sign, Sign::Is) => !sign.holds(other.with.compare(&self.with)),
            (Sign::Above | Sign::AtLeast, Sign::Below | Sign::AtMost) => self.lies_above(other),
            (Sign::Below | Sign::AtMost, Sign::Above | Sign::AtLeast) => other.lies_above(self),
            _ => false,
        }
    }

    /// Whether everything above the one limit lies above the other, too.
    fn lies_above(&self, limit: &Self) -> bool {
        let is_whole = self.known.kind == Type::Whole;
        let (low, high) = (self.limit(is_whole), limit.limit(is_whole));
        let touches = |sign| matches!(sign, Sign::AtLeast | Sign::AtMost) || is_whole;
        match low.compare(&high) {
            Some(Ordering::Equal) => !(touches(self.sign) && touches(limit.sign)),
            Some(ordering) => ordering == Ordering::Greater,
            None => true,
        }
    }

    /// The first or last value that is so; of whole numbers, `> 5` begins at 6.
    fn limit(&self, is_whole: bool) -> Literal {
        match (&self.with, self.sign) {
            (Literal::Number(n), Sign::Above) if is_whole => Literal::Number(next(n.floor(), Decimal::ONE)),
            (Literal::Number(n), Sign::Below) if is_whole => Literal::Number(next(n.ceil(), -Decimal::ONE)),
            (same, _) => same.clone(),
        }
    }

    /// The opposite, as far as it is one: what is of another type is neither.
    fn denied(&self) -> Option<Self> {
        let (sign, with) = match (self.sign, &self.with) {
            (Sign::Is, Literal::Truth(truth)) => (Sign::Is, Literal::Truth(!truth)),
            (sign, with) => (sign.opposite(), with.clone()),
        };
        (!self.known.kind.is_open()).then(|| Self { sign, with, ..self.clone() })
    }
}

/// The whole number beside it; there is none beside the last one.
fn next(number: Decimal, step: Decimal) -> Decimal {
    number.checked_add(step).unwrap_or(number)
}

impl Checker<'_> {
    /// Complains about parts of an `and` of which one cannot hold where another does.
    pub(super) fn all_of<'e>(&mut self, parts: impl IntoIterator<Item = &'e Expr>) {
        let mut claims: Vec<Claim> = Vec::new();
        for part in parts {
            let Some(claim) = self.claim(part) else { continue };
            let before = claims.iter().find(|other| other.path == claim.path && other.excludes(&claim));
            if let Some(before) = before {
                let message = format!("`{}` can never be true where `{}` is", claim.shown, before.shown);
                let help = match (before.sign, claim.sign) {
                    (Sign::Is, Sign::Is) => "was `or` meant?",
                    _ => "was `or` meant, or is one of them the wrong way round?",
                };
                self.problem(claim.position, message, Some(help.to_owned()));
            }
            claims.push(claim);
        }
    }

    /// Complains about parts of an `or` of which one always holds.
    pub(super) fn any_of<'e>(&mut self, parts: impl IntoIterator<Item = &'e Expr>) {
        let mut denied: Vec<(Claim, String)> = Vec::new();
        for part in parts {
            let Some(claim) = self.claim(part) else { continue };
            let Some(opposite) = claim.denied() else { continue };
            let before =
                denied.iter().find(|(other, _)| other.path == claim.path && other.excludes(&opposite));
            if let Some((_, shown)) = before {
                let message = format!("one of `{shown}` and `{}` is always true", claim.shown);
                self.problem(claim.position, message, Some("was `and` meant?".to_owned()));
            }
            denied.push((opposite, claim.shown));
        }
    }

    /// Complains about a comparison with what a property never is, such as an hour of 25.
    pub(super) fn within_bounds(&mut self, sign: &str, args: [(&Expr, Known); 2]) {
        let [(left, a), (right, b)] = args;
        let Some(sign) = Sign::parse(sign) else { return };
        for ((path, known, sign), literal) in [((left, a, sign), right), ((right, b, sign.turned()), left)] {
            let Some(Literal::Number(number)) = self.literal(literal) else { continue };
            if matches!(path, Expr::Variable(..)) {
                continue; // a loop may make something else of it
            }
            let claim = |sign, with: Decimal| Claim {
                path: String::new(),
                known,
                sign,
                with: Literal::Number(with),
                shown: String::new(),
                position: Position::NONE,
            };
            let said = claim(sign, number);
            let is_outside = known.bounds.is_some_and(|(low, high)| {
                said.excludes(&claim(Sign::AtLeast, low.into()))
                    || said.excludes(&claim(Sign::AtMost, high.into()))
            });
            let what = self.path(path).unwrap_or_else(|| "this".to_owned());
            let at = super::start(literal);
            if let Some((low, high)) = known.bounds.filter(|_| is_outside) {
                self.problem(at, format!("`{what}` is never that: it is {low} to {high}"), None);
            } else if known.kind == Type::Whole && sign == Sign::Is && !number.fract().is_zero() {
                self.problem(at, format!("`{what}` is a whole number, so it is never {number}"), None);
            }
        }
    }

    /// Complains about comparing what is written with what is written.
    pub(super) fn fixed(&mut self, sign: &str, a: &Literal, b: &Literal, position: Position) {
        let Some(sign) = Sign::parse(sign) else { return };
        let message = format!("this is always {}", sign.holds(a.compare(b)));
        let help = Some("compare with something of the member or the event".to_owned());
        self.problem(position, message, help);
    }

    /// Complains about a range such as `22..6`, in which nothing lies.
    pub(super) fn range(&mut self, left: &Expr, right: &Expr) {
        let (Some(from), Some(to)) = (self.literal_number(left), self.literal_number(right)) else { return };
        if from > to {
            let message = format!("nothing lies between {from} and {to}: a range goes upwards");
            let help = format!("to go past the end, write `>= {from}` or `< {to}`, joined by `or`");
            self.problem(super::start(left), message, Some(help));
        }
    }

    /// What a part of a condition says of one value.
    fn claim(&mut self, part: &Expr) -> Option<Claim> {
        match part {
            Expr::FnCall(call, _) if call.name == "!" && call.op_token.is_some() => {
                self.truth(&call.args[0], false, super::start(part))
            }
            Expr::FnCall(call, _) if call.op_token.is_some() => self.compared(call),
            property => self.truth(property, true, super::start(part)),
        }
    }

    fn truth(&mut self, property: &Expr, truth: bool, position: Position) -> Option<Claim> {
        let path = self.path(property)?;
        let known = self.expression(property);
        let shown = format!("{}{path}", if truth { "" } else { "!" });
        Some(Claim { path, known, sign: Sign::Is, with: Literal::Truth(truth), shown, position })
    }

    fn compared(&mut self, call: &FnCallExpr) -> Option<Claim> {
        let sign = Sign::parse(&call.name)?;
        let [left, right] = &call.args[..] else { return None };
        let (value, sign, literal) = match (self.path(left), self.path(right)) {
            (Some(_), None) => (left, sign, right),
            (None, Some(_)) => (right, sign.turned(), left),
            _ => return None,
        };
        let (path, with) = (self.path(value)?, self.literal(literal)?);
        let known = match value {
            Expr::Variable(..) => Known::ANY, // a loop may make something else of it
            _ => self.expression(value),
        };
        let shown = format!("{path} {} {with}", sign.as_str());
        Some(Claim { path, known, sign, with, shown, position: super::start(value) })
    }

    /// What an expression asks, if asking it twice gives the same answer: properties and methods of a variable.
    fn path(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Variable(variable, ..) if self.constant(expr).is_none() => Some(variable.1.to_string()),
            Expr::Property(names, _) => Some(names.2.to_string()),
            Expr::MethodCall(call, _) => {
                let args: Option<Vec<String>> = call.args.iter().map(|arg| self.argument(arg)).collect();
                Some(format!("{}({})", call.name, args?.join(", ")))
            }
            Expr::Dot(pair, ..) => Some(format!("{}.{}", self.path(&pair.lhs)?, self.path(&pair.rhs)?)),
            _ => None,
        }
    }

    /// An argument that is always the same: a value, or a length of time such as `30.days`.
    fn argument(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Dot(pair, ..) => Some(format!("{}.{}", self.literal(&pair.lhs)?, self.path(&pair.rhs)?)),
            _ => Some(self.literal(expr)?.to_string()),
        }
    }
}
