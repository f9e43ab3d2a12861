//! Operators: what they compare and reckon with.

use rhai::{Expr, Position};
use rust_decimal::Decimal;

use super::literals::{Literal, written};
use super::{Checker, Known, Mistake, Role, Type};
use crate::domain::loyalty_event::EventType;

impl Checker<'_> {
    pub(super) fn operator(&mut self, sign: &str, args: &[&Expr], position: Position) -> Known {
        if let ("-", [left, right]) = (sign, args)
            && let Some(name) = dashed(left, right).filter(|name| self.is_name(name))
        {
            return self.unquoted(&name, super::start(left));
        }
        // What holds around does not tell what is asked for its opposite.
        let held = if sign == "!" { std::mem::take(&mut self.here.held) } else { Vec::new() };
        let known: Vec<Known> = args.iter().map(|arg| self.expression(arg)).collect();
        self.here.held.extend(held);
        if !matches!(sign, "!" | "==" | "!=") {
            args.iter().zip(&known).for_each(|(arg, known)| self.needed(arg, *known));
        }
        match (sign, args, &known[..]) {
            ("!", [operand], [known]) => {
                if known.kind.fits(Type::Bool) {
                    return Known::of(Type::Bool);
                }
                let message = format!("`!` needs true or false, but this is {}", known.kind.as_str());
                let help = Some("to deny a comparison, put brackets around it: !(… == …)".to_owned());
                self.problem(Mistake::WrongType, super::start(operand), message, help);
                Known::ANY
            }
            ("-" | "+", [operand], [known]) => {
                self.number(sign, operand, known.kind);
                Known::of(if known.kind.is_number() { known.kind } else { Type::Any })
            }
            ("==" | "!=" | "<" | "<=" | ">" | ">=", [left, right], [a, b]) => {
                self.comparison(sign, (left, *a), (right, *b), position);
                Known::of(Type::Bool)
            }
            (".." | "..=", [left, right], _) => {
                self.range(left, right);
                Known::of(Type::Range)
            }
            (_, [_, right], [a, b]) => {
                self.divisor(sign, right);
                self.percentage(sign, args, position);
                Known::of(self.arithmetic(sign, a.kind, b.kind, position))
            }
            _ => Known::ANY,
        }
    }

    /// Complains about a value that may be missing where one is needed.
    pub(super) fn needed(&mut self, value: &Expr, known: Known) {
        if known.may_be_missing {
            let help = Some("add what it is then: a last case `_ => …`, or an `else`".to_owned());
            let message = "this may come to nothing, and a value is needed here";
            self.problem(Mistake::MissingValue, super::start(value), message, help);
        }
    }

    fn number(&mut self, sign: &str, operand: &Expr, kind: Type) {
        if !kind.is_number() && !kind.is_open() {
            let message = format!("`{sign}` needs a number, but this is {}", kind.as_str());
            self.problem(Mistake::WrongType, super::start(operand), message, None);
        }
    }

    fn comparison(&mut self, sign: &str, left: (&Expr, Known), right: (&Expr, Known), position: Position) {
        let (a, b) = (left.1.kind, right.1.kind);
        let is_order = !matches!(sign, "==" | "!=");
        let plain = |kind: Type| match kind {
            Type::Any | Type::Json | Type::Text => true,
            Type::Bool | Type::Nothing => !is_order,
            kind => kind.is_number(),
        };
        let alike = a == b || a.is_open() || b.is_open() || a.is_number() && b.is_number();
        if !alike {
            let message = format!("cannot compare {} with {}", a.as_str(), b.as_str());
            let meant = self.meant(left, right).or_else(|| self.meant(right, left));
            let help = match meant {
                Some(meant) => format!("{meant}; this would always be {}", sign == "!="),
                None => format!("this would always be {}", sign == "!="),
            };
            self.problem(Mistake::WrongType, position, message, Some(help));
        } else if let Some(odd) = [a, b].into_iter().find(|kind| !plain(*kind)) {
            let help = Some("compare one of its properties".to_owned());
            let message = format!("`{sign}` cannot compare {}", odd.as_str());
            self.problem(Mistake::WrongType, position, message, help);
        }
        for ((_, known), (other, _)) in [(left, right), (right, left)] {
            match known.role {
                Some(Role::LoyaltyEvent) => self.same_event(other),
                Some(Role::Date) => self.date(other, is_order),
                Some(role) if is_order => self.unordered(role, sign, position),
                Some(role) => self.named_or_empty(role, other),
                None => {}
            }
        }
        match (written(left.0), written(right.0)) {
            (Some(a), Some(b)) if alike => self.fixed(sign, &a, &b, position),
            _ => self.within_bounds(sign, [left, right]),
        }
    }

    /// What was probably meant where something was compared with another sort of value.
    fn meant(&self, (value, known): (&Expr, Known), (other, with): (&Expr, Known)) -> Option<String> {
        let written = self.literal(other);
        let asked = self.path(value).map(|subject| subject.path).unwrap_or_default();
        Some(match (known.kind, with.kind) {
            (Type::Text, Type::Nothing) => "a text that is missing is empty: compare with \"\"".to_owned(),
            (Type::Text, Type::List) => "to find it in a list, write `in`".to_owned(),
            (Type::Text, kind) if kind.is_number() => match known.role? {
                Role::Weekday => "write its name: \"Tuesday\"".to_owned(),
                Role::Date => "a day stands in quotes: \"2026-12-24\"".to_owned(),
                _ => return None,
            },
            (Type::Moment, Type::Text) => {
                "compare its `.date` with a day, its `.hour` with a number".to_owned()
            }
            (Type::Bool, kind) if kind.is_number() && is_comparison(value) => {
                "two limits are two comparisons: `10 <= x and x < 50`".to_owned()
            }
            (Type::Bool, _) => {
                "it is true or false by itself: write it alone, or with `!` before it".to_owned()
            }
            (kind, Type::Text) if kind.is_number() => match written? {
                Literal::Text(text) if text.parse::<Decimal>().is_ok() => {
                    format!("write the number without quotes: {text}")
                }
                _ if asked.ends_with(".hour") => "hours are the numbers 0 to 23: 14".to_owned(),
                _ if asked.ends_with(".month") => "months are the numbers 1 to 12".to_owned(),
                _ if asked.ends_with(".day") => {
                    "it is the day of the month; `.weekday` has a name".to_owned()
                }
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Names stand in no order: `member.tier > "bronze"` would ask which comes first in the alphabet.
    fn unordered(&mut self, role: Role, sign: &str, position: Position) {
        let help = match role {
            Role::Tier => "list them: member.tier in [\"silver\", \"gold\"]",
            _ => "list them: … in [\"…\", \"…\"]",
        };
        let message = format!("`{sign}` would compare these names by the alphabet");
        self.problem(Mistake::WrongType, position, message, Some(help.to_owned()));
    }

    /// `event.type` is what the trigger waits for.
    fn same_event(&mut self, other: &Expr) {
        self.named(Role::LoyaltyEvent, other);
        let Expr::StringConstant(text, at) = other else { return };
        let is_known = text.parse::<EventType>().is_ok();
        if let Some(event) = self.here.event.filter(|event| is_known && event.as_str() != text.as_str()) {
            self.problem(
                Mistake::NeverTrue,
                *at,
                format!("the type of this event is always \"{event}\""),
                None,
            );
        }
    }

    /// Complains about dividing by a written zero.
    pub(super) fn divisor(&mut self, sign: &str, divisor: &Expr) {
        let divides = matches!(sign, "/" | "%" | "/=" | "%=");
        if divides && self.literal_number(divisor).is_some_and(|number| number.is_zero()) {
            self.problem(
                Mistake::DivisionByZero,
                super::start(divisor),
                "nothing can be divided by zero",
                None,
            );
        }
    }

    /// The type of `a + b` and its like; also of `a += b`.
    pub(super) fn arithmetic(&mut self, sign: &str, a: Type, b: Type, position: Position) -> Type {
        let sign = sign.trim_end_matches('=');
        match (a, b) {
            (Type::Text, Type::Text) if sign == "+" => Type::Text,
            (Type::Whole, Type::Whole) => {
                if sign == "/" {
                    let help = Some(
                        "write 2.0 instead of 2; where whole points are wanted, floor(a / 2.0)".to_owned(),
                    );
                    let message = "whole number divided by whole number drops the fraction";
                    self.problem(Mistake::IntegerDivision, position, message, help);
                }
                Type::Whole
            }
            (a, b) if a.is_number() && b.is_number() => Type::Decimal,
            (Type::Any | Type::Json, other) | (other, Type::Any | Type::Json)
                if other.is_open() || other.is_number() || other == Type::Text =>
            {
                Type::Any
            }
            (Type::Bool, Type::Bool) if matches!(sign, "&" | "|" | "^") => Type::Bool,
            (Type::Text, _) | (_, Type::Text) if sign == "+" => {
                let help =
                    Some("put values into a text with back-ticks: `earned ${event.amount}`".to_owned());
                let other = if a == Type::Text { b } else { a };
                self.problem(
                    Mistake::WrongType,
                    position,
                    format!("cannot add a text and {}", other.as_str()),
                    help,
                );
                Type::Any
            }
            (a, b) => {
                let message = format!("`{sign}` cannot be used with {} and {}", a.as_str(), b.as_str());
                self.problem(Mistake::WrongType, position, message, None);
                Type::Any
            }
        }
    }
}

fn is_comparison(expr: &Expr) -> bool {
    matches!(expr, Expr::FnCall(call, _) if call.op_token.is_some() && matches!(&*call.name, "<" | "<=" | ">" | ">="))
}

/// `birthday-treat`, which reads as one variable less another one.
fn dashed(left: &Expr, right: &Expr) -> Option<String> {
    let first = match left {
        Expr::Variable(variable, ..) => variable.1.to_string(),
        Expr::FnCall(call, _) if call.op_token.is_some() && call.name == "-" && call.args.len() == 2 => {
            dashed(&call.args[0], &call.args[1])?
        }
        _ => return None,
    };
    match right {
        Expr::Variable(variable, ..) => Some(format!("{first}-{}", variable.1)),
        _ => None,
    }
}
