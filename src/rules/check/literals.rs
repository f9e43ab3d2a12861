//! Values that are known before anything runs: what is written in the rule, and constants.

use std::cmp::Ordering;
use std::fmt;

use rhai::{Dynamic, Expr};
use rust_decimal::Decimal;

use super::{Checker, Mistake, Type};
use crate::domain::history::{HISTORY_DAYS, Window};

/// A plain value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Number(Decimal),
    Text(String),
    Truth(bool),
}

impl Literal {
    pub(super) fn of(value: &Dynamic) -> Option<Self> {
        if let Ok(text) = value.as_immutable_string_ref() {
            return Some(Self::Text(text.to_string()));
        }
        let number = value.as_int().map(Decimal::from).or_else(|_| value.as_decimal());
        number.map(Self::Number).or_else(|_| value.as_bool().map(Self::Truth)).ok()
    }

    pub(super) const fn kind(&self) -> Type {
        match self {
            Self::Number(_) => Type::Decimal,
            Self::Text(_) => Type::Text,
            Self::Truth(_) => Type::Bool,
        }
    }

    /// How it stands to another one of its kind.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Truth(a), Self::Truth(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// As it would be written.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Truth(truth) => truth.fmt(f),
        }
    }
}

/// What is written out here, constants not among it.
pub(super) fn written(expr: &Expr) -> Option<Literal> {
    match expr {
        Expr::IntegerConstant(number, _) => Some(Literal::Number((*number).into())),
        Expr::StringConstant(text, _) => Some(Literal::Text(text.to_string())),
        Expr::BoolConstant(truth, _) => Some(Literal::Truth(*truth)),
        Expr::DynamicConstant(value, _) => Literal::of(value),
        Expr::FnCall(call, _) if call.op_token.is_some() && call.name == "-" && call.args.len() == 1 => {
            match written(&call.args[0])? {
                Literal::Number(number) => Some(Literal::Number(-number)),
                _ => None,
            }
        }
        _ => None,
    }
}

impl<'a> Checker<'a> {
    /// The value of an expression that is written out, or a constant.
    pub(super) fn literal(&self, expr: &Expr) -> Option<Literal> {
        self.constant(expr).map_or_else(|| written(expr), Literal::of)
    }

    /// The constant that an expression names.
    pub(super) fn constant(&self, expr: &Expr) -> Option<&'a Dynamic> {
        let Expr::Variable(variable, ..) = expr else { return None };
        let is_variable = self.here.variables.iter().any(|known| known.name == variable.1.as_str());
        self.constants.get(variable.1.as_str()).filter(|_| !is_variable)
    }

    /// A number that is written out, or a constant.
    pub(super) fn literal_number(&self, expr: &Expr) -> Option<Decimal> {
        match self.literal(expr)? {
            Literal::Number(number) => Some(number),
            Literal::Text(_) | Literal::Truth(_) => None,
        }
    }

    /// Complains about a written length of time, such as `500.days`, that no history can answer.
    pub(super) fn window(&mut self, expr: &Expr) {
        let Expr::Dot(pair, ..) = expr else { return };
        let Expr::Property(names, _) = &pair.rhs else { return };
        let Some(number) = self.literal_number(&pair.lhs) else { return };
        let count = |number: Decimal| u32::try_from(number).ok();
        let window = match names.2.as_str() {
            "days" => count(number).map(Window::Days),
            "weeks" => number.checked_mul(7.into()).and_then(count).map(Window::Days),
            "months" => count(number).map(Window::Months),
            _ => return,
        };
        let at = super::start(expr);
        match window {
            Some(window) if window.is_kept() => {}
            Some(_) => {
                let months = Window::MAX_MONTHS;
                let message =
                    format!("a member's history reaches back {HISTORY_DAYS} days or {months} months");
                self.problem(Mistake::OutOfRange, at, message, Some("ask for less".to_owned()));
            }
            None => {
                let message = format!("{number} {} are no length of time", names.2);
                self.problem(Mistake::OutOfRange, at, message, None);
            }
        }
    }
}
