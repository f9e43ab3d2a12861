//! From the parsed condition to what can be answered without the interpreter.

use std::collections::BTreeMap;

use rhai::{Dynamic, Expr, FnCallExpr};

use super::{Guard, MEMBER, Node, Operand, Reading, Step, Subject};
use crate::rules::api::VOCABULARY;
use crate::rules::sign::Sign;
use crate::rules::vocabulary::{Type, Word};

/// What a condition can see.
#[derive(Debug, Clone, Copy)]
pub(in crate::rules) struct Sight<'a> {
    /// The variable besides `member`, with its type.
    pub(in crate::rules) event: Option<(&'static str, Type)>,
    pub(in crate::rules) constants: &'a BTreeMap<String, Dynamic>,
}

/// What two sides of a comparison must have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Truth,
}

impl Guard {
    /// The guard of a condition; `None` when the interpreter must look at it in any case.
    pub(in crate::rules) fn of(condition: &Expr, sight: Sight<'_>) -> Option<Self> {
        if let Some(node) = sight.node(condition) {
            return Some(Self { node, is_whole: true });
        }
        let Expr::And(parts, _) = condition else { return None };
        // Only what stands before the rest is asked before it.
        let known: Box<[Node]> = parts.iter().map_while(|part| sight.node(part)).collect();
        (!known.is_empty()).then_some(Self { node: Node::All(known), is_whole: false })
    }
}

impl Sight<'_> {
    fn node(self, expr: &Expr) -> Option<Node> {
        match expr {
            Expr::And(parts, _) => self.nodes(parts.iter()).map(Node::All),
            Expr::Or(parts, _) => self.nodes(parts.iter()).map(Node::Any),
            // `in` is read as `contains`, a word, and the parser marks signs only.
            Expr::FnCall(call, _) if call.op_token.is_some() || call.name == "contains" => {
                self.operator(call)
            }
            _ => match self.operand(expr)? {
                (Operand::Read(reading), Kind::Truth) => Some(Node::Truth(reading)),
                _ => None,
            },
        }
    }

    fn nodes<'e>(self, parts: impl Iterator<Item = &'e Expr>) -> Option<Box<[Node]>> {
        parts.map(|part| self.node(part)).collect()
    }

    fn operator(self, call: &FnCallExpr) -> Option<Node> {
        let sign = match (&*call.name, &call.args[..]) {
            ("!", [operand]) => return self.node(operand).map(|node| Node::Not(node.into())),
            ("contains", [set, value]) => return self.one_of(value, set),
            (sign, _) => Sign::parse(sign)?,
        };
        let [left, right] = &call.args[..] else { return None };
        let ((left, kind), (right, other)) = (self.operand(left)?, self.operand(right)?);
        let has_order = kind != Kind::Truth || matches!(sign, Sign::Is | Sign::IsNot);
        (kind == other && has_order).then_some(Node::Compare(left, sign, right))
    }

    /// `value in 7..10`, of whole numbers.
    fn one_of(self, value: &Expr, set: &Expr) -> Option<Node> {
        let Expr::FnCall(range, _) = set else { return None };
        let below = match &*range.name {
            ".." => Sign::Below,
            "..=" => Sign::AtMost,
            _ => return None,
        };
        let [from, to] = &range.args[..] else { return None };
        let whole = |expr| self.constant(expr).filter(Dynamic::is_int).map(Operand::Known);
        let read = || {
            self.reading(value)
                .filter(|(_, kind)| *kind == Type::Whole)
                .map(|(reading, _)| Operand::Read(reading))
        };
        Some(Node::All(Box::new([
            Node::Compare(read()?, Sign::AtLeast, whole(from)?),
            Node::Compare(read()?, below, whole(to)?),
        ])))
    }

    fn operand(self, expr: &Expr) -> Option<(Operand, Kind)> {
        if let Some(value) = self.constant(expr) {
            let kind = kind_of(&value)?;
            return Some((Operand::Known(value), kind));
        }
        let (reading, kind) = self.reading(expr)?;
        let kind = match kind {
            Type::Whole | Type::Decimal => Kind::Number,
            Type::Text => Kind::Text,
            Type::Bool => Kind::Truth,
            _ => return None,
        };
        Some((Operand::Read(reading), kind))
    }

    /// What is written out, or a constant.
    pub(super) fn constant(self, expr: &Expr) -> Option<Dynamic> {
        match expr {
            Expr::IntegerConstant(number, _) => Some((*number).into()),
            Expr::StringConstant(text, _) => Some(text.clone().into()),
            Expr::BoolConstant(truth, _) => Some((*truth).into()),
            Expr::DynamicConstant(value, _) => Some((**value).clone()),
            Expr::Variable(variable, ..) if !self.is_variable(&variable.1) => {
                self.constants.get(variable.1.as_str()).cloned()
            }
            Expr::FnCall(call, _) if call.op_token.is_some() && call.name == "-" => {
                let [number] = &call.args[..] else { return None };
                let number = self.constant(number)?;
                let whole = number.as_int().ok().and_then(i64::checked_neg).map(Dynamic::from);
                whole.or_else(|| number.as_decimal().ok().map(|number| Dynamic::from(-number)))
            }
            _ => None,
        }
    }

    fn is_variable(self, name: &str) -> bool {
        name == MEMBER || self.event.is_some_and(|(event, _)| event == name)
    }

    /// A chain of properties that begins with a variable, and the type of what it ends with.
    pub(super) fn reading(self, expr: &Expr) -> Option<(Reading, Type)> {
        let Expr::Dot(pair, ..) = expr else { return None };
        let Expr::Variable(variable, ..) = &pair.lhs else { return None };
        let (subject, mut kind) = match (variable.1.as_str(), self.event) {
            (MEMBER, _) => (Subject::Member, Type::Member),
            (name, Some((event, kind))) if name == event => (Subject::Event(event), kind),
            _ => return None,
        };
        let mut steps = Vec::new();
        let mut rest = &pair.rhs;
        loop {
            let (step, more) = match rest {
                Expr::Dot(pair, ..) => (&pair.lhs, Some(&pair.rhs)),
                last => (last, None),
            };
            let (step, next) = self.step(kind, step)?;
            steps.push(step);
            kind = next;
            match more {
                Some(more) => rest = more,
                None => return Some((Reading { subject, steps: steps.into() }, kind)),
            }
        }
    }

    fn step(self, owner: Type, expr: &Expr) -> Option<(Step, Type)> {
        match expr {
            Expr::Property(names, _) => step(word(&names.2, &[owner], true)?, None),
            Expr::MethodCall(call, _) => match &call.args[..] {
                [] => step(word(&call.name, &[owner], false)?, None),
                [argument] => {
                    let (argument, kind) = self.argument(argument)?;
                    step(word(&call.name, &[owner, kind], false)?, Some(argument))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// An argument that is always the same: a value, or a length of time such as `30.days`.
    fn argument(self, expr: &Expr) -> Option<(Dynamic, Type)> {
        if let Some(value) = self.constant(expr) {
            let kind = type_of(&value)?;
            return Some((value, kind));
        }
        let Expr::Dot(pair, ..) = expr else { return None };
        let Expr::Property(names, _) = &pair.rhs else { return None };
        let (mut number, kind) = self.argument(&pair.lhs)?;
        let word = word(&names.2, &[kind], true)?;
        let value = word.native.as_ref()?.call(&mut [&mut number])?;
        Some((value, word.returns))
    }
}

fn step(word: &Word, argument: Option<Dynamic>) -> Option<(Step, Type)> {
    Some((Step { native: word.native.clone()?, argument }, word.returns))
}

/// The word that takes exactly these.
pub(super) fn word(name: &str, params: &[Type], is_property: bool) -> Option<&'static Word> {
    VOCABULARY
        .words
        .iter()
        .find(|word| word.is_property == is_property && word.name == name && word.params == params)
}

pub(super) fn type_of(value: &Dynamic) -> Option<Type> {
    match value {
        value if value.is_int() => Some(Type::Whole),
        value if value.is_decimal() => Some(Type::Decimal),
        value if value.is_string() => Some(Type::Text),
        value if value.is_bool() => Some(Type::Bool),
        _ => None,
    }
}

fn kind_of(value: &Dynamic) -> Option<Kind> {
    Some(match type_of(value)? {
        Type::Text => Kind::Text,
        Type::Bool => Kind::Truth,
        _ => Kind::Number,
    })
}
