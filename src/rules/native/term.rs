//! Expressions, as they are reckoned without the interpreter. What answers `None` the interpreter must look at.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::{ControlFlow, RangeInclusive};

use arrayvec::ArrayVec;
use rhai::{Dynamic, Position};

use super::block::{Block, Exit};
use super::frame::{Frame, Local, Subject};
use super::number::{Number, Reckoning};
use crate::rules::engine::MAX_TEXT_BYTES;
use crate::rules::sign::Sign;
use crate::rules::vocabulary::{Type, Word};

/// The most that a word takes.
pub(super) const MAX_ARGUMENTS: usize = 3;
/// The most that a function takes.
pub(super) const MAX_PARAMETERS: usize = 8;

/// An expression.
#[derive(Debug)]
pub(super) enum Term {
    /// Written in the rule, or a constant.
    Known(Dynamic),
    Subject(Subject),
    /// A variable of the body, by its place.
    Local(usize),
    Asked(Box<Asked>),
    Negative(Box<Term>),
    Reckoned(Reckoning, Box<[Term; 2]>),
    Compared(Sign, Box<[Term; 2]>),
    /// A whole number that lies from the first to the last of these.
    Within(Box<(Term, RangeInclusive<i64>)>),
    All(Box<[Term]>),
    Any(Box<[Term]>),
    Not(Box<Term>),
    /// What a block comes to, as that of an `if` does. Nothing leaves it but its end.
    Block(Block),
    Call(Box<Call>),
}

// A server keeps some ten of them for each rule of each chain.
const _: () = assert!(size_of::<Term>() <= 24);

impl Term {
    pub(super) fn value(&self, frame: &mut Frame<'_>) -> Option<Dynamic> {
        Some(match self {
            Self::Known(value) => value.clone(),
            Self::Subject(subject) => frame.subject(*subject)?.clone(),
            Self::Local(at) => match frame.local(*at)? {
                Local::Number(number) => (*number).into(),
                Local::Other(value) => value.clone(),
            },
            Self::Asked(asked) => asked.value(frame)?,
            Self::Negative(_) | Self::Reckoned(..) => self.number(frame)?.into(),
            Self::Compared(..) | Self::Within(_) | Self::All(_) | Self::Any(_) | Self::Not(_) => {
                self.holds(frame)?.into()
            }
            Self::Block(block) => match block.run(frame)? {
                ControlFlow::Continue(value) => value,
                ControlFlow::Break(_) => return None,
            },
            Self::Call(call) => call.value(frame)?,
        })
    }

    /// The same of what is a number, which needs no room of its own.
    pub(super) fn number(&self, frame: &mut Frame<'_>) -> Option<Number> {
        match self {
            Self::Known(value) => Number::of(value),
            Self::Local(at) => match frame.local(*at)? {
                Local::Number(number) => Some(*number),
                Local::Other(_) => None,
            },
            Self::Negative(term) => term.number(frame)?.negative(),
            Self::Reckoned(reckoning, sides) => {
                let [left, right] = &**sides;
                let left = left.number(frame)?;
                reckoning.of(left, right.number(frame)?)
            }
            other => Number::of(&other.value(frame)?),
        }
    }

    /// The same of what is kept in a variable.
    pub(super) fn local(&self, frame: &mut Frame<'_>) -> Option<Local> {
        match self {
            Self::Negative(_) | Self::Reckoned(..) => self.number(frame).map(Local::Number),
            other => other.value(frame).map(Local::from),
        }
    }

    /// The same of what is true or false.
    pub(super) fn holds(&self, frame: &mut Frame<'_>) -> Option<bool> {
        match self {
            Self::All(terms) => {
                for term in terms {
                    if !term.holds(frame)? {
                        return Some(false);
                    }
                }
                Some(true)
            }
            Self::Any(terms) => {
                for term in terms {
                    if term.holds(frame)? {
                        return Some(true);
                    }
                }
                Some(false)
            }
            Self::Not(term) => term.holds(frame).map(|holds| !holds),
            Self::Compared(sign, sides) => {
                let [left, right] = &**sides;
                let left = left.seen(frame)?;
                let ordering = compare(&left, &*right.seen(frame)?)?;
                Some(sign.holds(Some(ordering)))
            }
            Self::Within(within) => {
                let (term, range) = &**within;
                Some(range.contains(&term.number(frame)?.whole()?))
            }
            other => other.value(frame)?.as_bool().ok(),
        }
    }

    /// What is known is not copied to be looked at.
    fn seen(&self, frame: &mut Frame<'_>) -> Option<Cow<'_, Dynamic>> {
        match self {
            Self::Known(value) => Some(Cow::Borrowed(value)),
            other => other.value(frame).map(Cow::Owned),
        }
    }
}

/// How two plain values of one kind stand to each other, as the interpreter has it.
fn compare(a: &Dynamic, b: &Dynamic) -> Option<Ordering> {
    if a.is_string() {
        let (a, b) = (a.as_immutable_string_ref().ok()?, b.as_immutable_string_ref().ok()?);
        return Some(a.as_str().cmp(b.as_str()));
    }
    if let Some(a) = Number::of(a) {
        return Some(match (a, Number::of(b)?) {
            (Number::Whole(a), Number::Whole(b)) => a.cmp(&b),
            (a, b) => a.decimal().cmp(&b.decimal()),
        });
    }
    let (a, b) = (a.as_bool().ok()?, b.as_bool().ok()?);
    Some(a.cmp(&b))
}

/// A word of the vocabulary with what it is handed: a property, a method, a function, an effect.
#[derive(Debug)]
pub(super) struct Asked {
    /// What it may be: one for whole numbers and one for others, where that shows only when it runs.
    pub(super) words: Box<[&'static Word]>,
    pub(super) arguments: Box<[Term]>,
    /// The arguments of which the type must be looked at before one is called.
    pub(super) looked_at: [bool; MAX_ARGUMENTS],
    /// Whether the first argument is asked where it is, and not copied.
    pub(super) in_place: bool,
    pub(super) position: Position,
}

impl Asked {
    fn value(&self, frame: &mut Frame<'_>) -> Option<Dynamic> {
        let (owner, copied) = match &self.arguments[..] {
            [owner, copied @ ..] if self.in_place => (Some(owner), copied),
            copied => (None, copied),
        };
        let mut values = ArrayVec::<Dynamic, MAX_ARGUMENTS>::new();
        for argument in copied {
            values.try_push(argument.value(frame)?).ok()?;
        }
        let word = self.words.iter().find(|word| self.is_for(word, &values))?;
        let caller = frame.caller();
        let mut handed = ArrayVec::<&mut Dynamic, MAX_ARGUMENTS>::new();
        match owner {
            Some(Term::Subject(subject)) => handed.push(frame.subject(*subject)?),
            Some(Term::Local(at)) => match frame.local(*at)? {
                Local::Other(value) => handed.push(value),
                Local::Number(_) => return None,
            },
            _ => {}
        }
        handed.extend(values.iter_mut());
        match &word.effect {
            None => word.native.as_ref()?.call(&mut handed).filter(is_small),
            Some(effect) => {
                let (engine, global) = caller?;
                effect.call_within((engine, word.name, None, global, self.position).into(), &mut handed)
            }
        }
    }

    /// Whether a word takes these, which are all of the arguments but what is asked in its place.
    fn is_for(&self, word: &Word, values: &[Dynamic]) -> bool {
        let wanted = self.looked_at.iter().zip(&word.params).skip(self.in_place.into());
        wanted.zip(values).all(|((looked_at, param), value)| !looked_at || type_of(value) == Some(*param))
    }
}

/// A function of the program with what it is handed.
#[derive(Debug)]
pub(super) struct Call {
    /// The place of its first parameter.
    pub(super) first: usize,
    pub(super) arguments: Box<[Term]>,
    pub(super) body: Block,
}

impl Call {
    fn value(&self, frame: &mut Frame<'_>) -> Option<Dynamic> {
        let mut values = ArrayVec::<Local, MAX_PARAMETERS>::new();
        for argument in &self.arguments {
            values.try_push(argument.local(frame)?).ok()?;
        }
        for (nth, value) in values.into_iter().enumerate() {
            frame.set(self.first + nth, value)?;
        }
        match self.body.run(frame)? {
            ControlFlow::Continue(value) | ControlFlow::Break(Exit::Return(value)) => Some(value),
            ControlFlow::Break(Exit::Break | Exit::Continue) => None,
        }
    }
}

/// Whether the interpreter takes this from a word.
pub(super) fn is_small(value: &Dynamic) -> bool {
    !value.is_string() || value.as_immutable_string_ref().is_ok_and(|text| text.len() <= MAX_TEXT_BYTES)
}

/// The type of a plain value.
pub(super) fn type_of(value: &Dynamic) -> Option<Type> {
    match value {
        value if value.is_int() => Some(Type::Whole),
        value if value.is_decimal() => Some(Type::Decimal),
        value if value.is_string() => Some(Type::Text),
        value if value.is_bool() => Some(Type::Bool),
        value if value.is_array() => Some(Type::List),
        _ => None,
    }
}
