//! Expressions, as they are reckoned without the interpreter. What answers `None` the interpreter must look at.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use arrayvec::ArrayVec;
use rhai::{Dynamic, Position};

use super::block::{Block, Flow};
use super::frame::{Frame, Local, Subject};
use crate::rules::engine::MAX_TEXT_BYTES;
use crate::rules::number::{Number, Reckoning};
use crate::rules::requests::Failure;
use crate::rules::sign::Sign;
use crate::rules::vocabulary::{Reader, Type, Word};

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
    Compared(Sign, Sort, Box<[Term; 2]>),
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

/// What a term can be asked for. A number, or whether something holds, needs no room of its own as the interpreter's values
/// do: it is handed up as it is.
pub(super) trait Given: Sized {
    /// What a term comes to.
    fn of(term: &Term, frame: &mut Frame<'_>) -> Option<Self>;

    /// What a variable holds, or what a function returned.
    fn of_local(local: Local) -> Option<Self>;

    /// What a block without a last value comes to.
    fn nothing() -> Option<Self> {
        None
    }
}

impl Given for Dynamic {
    fn of(term: &Term, frame: &mut Frame<'_>) -> Option<Self> {
        term.value(frame)
    }

    fn of_local(local: Local) -> Option<Self> {
        Some(match local {
            Local::Number(number) => number.into(),
            Local::Other(value) => value,
        })
    }

    fn nothing() -> Option<Self> {
        Some(Self::UNIT)
    }
}

impl Given for Local {
    fn of(term: &Term, frame: &mut Frame<'_>) -> Option<Self> {
        term.local(frame)
    }

    fn of_local(local: Local) -> Option<Self> {
        Some(local)
    }

    fn nothing() -> Option<Self> {
        Some(Self::Other(Dynamic::UNIT))
    }
}

impl Given for Number {
    fn of(term: &Term, frame: &mut Frame<'_>) -> Option<Self> {
        term.number(frame)
    }

    fn of_local(local: Local) -> Option<Self> {
        match local {
            Local::Number(number) => Some(number),
            Local::Other(_) => None,
        }
    }
}

impl Given for bool {
    fn of(term: &Term, frame: &mut Frame<'_>) -> Option<Self> {
        term.holds(frame)
    }

    fn of_local(local: Local) -> Option<Self> {
        match local {
            Local::Number(_) => None,
            Local::Other(value) => value.as_bool().ok(),
        }
    }
}

impl Term {
    /// Does what it does; nobody asks what it comes to.
    pub(super) fn run(&self, frame: &mut Frame<'_>) -> Option<()> {
        match self {
            Self::Asked(asked) => asked.run(frame),
            Self::Block(block) => (block.run(frame)? == Flow::On).then_some(()),
            other => other.value(frame).map(drop),
        }
    }

    /// What it comes to, as a value of the interpreter's.
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
            Self::Block(block) => block.give(frame)?,
            Self::Call(call) => call.give(frame)?,
        })
    }

    /// What it comes to, of what is a number.
    pub(super) fn number(&self, frame: &mut Frame<'_>) -> Option<Number> {
        match self {
            Self::Known(value) => Number::of(value),
            Self::Local(at) => match frame.local(*at)? {
                Local::Number(number) => Some(*number),
                Local::Other(_) => None,
            },
            Self::Asked(asked) => asked.number(frame),
            Self::Negative(term) => term.number(frame)?.negative(),
            Self::Reckoned(reckoning, sides) => {
                let [left, right] = &**sides;
                let left = left.number(frame)?;
                reckoning.of(left, right.number(frame)?)
            }
            Self::Block(block) => block.give(frame),
            Self::Call(call) => call.give(frame),
            Self::Subject(_)
            | Self::Compared(..)
            | Self::Within(_)
            | Self::All(_)
            | Self::Any(_)
            | Self::Not(_) => None,
        }
    }

    /// What it comes to, to be kept in a variable.
    pub(super) fn local(&self, frame: &mut Frame<'_>) -> Option<Local> {
        match self {
            Self::Negative(_) | Self::Reckoned(..) => self.number(frame).map(Local::Number),
            Self::Asked(asked) if asked.reads_number() => asked.number(frame).map(Local::Number),
            Self::Block(block) => block.give(frame),
            Self::Call(call) => call.give(frame),
            other => other.value(frame).map(Local::from),
        }
    }

    /// Whether it holds, of what is true or false.
    pub(super) fn holds(&self, frame: &mut Frame<'_>) -> Option<bool> {
        match self {
            Self::Known(value) => value.as_bool().ok(),
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
            Self::Compared(sign, sort, sides) => {
                let [left, right] = &**sides;
                let ordering = match sort {
                    Sort::Numbers => left.number(frame)?.compare(right.number(frame)?),
                    Sort::Truths => left.holds(frame)?.cmp(&right.holds(frame)?),
                    Sort::Texts => compare_texts(left, right, frame)?,
                };
                Some(sign.holds(Some(ordering)))
            }
            Self::Within(within) => {
                let (term, range) = &**within;
                Some(range.contains(&term.number(frame)?.whole()?))
            }
            Self::Asked(asked) => asked.holds(frame),
            Self::Block(block) => block.give(frame),
            Self::Call(call) => call.give(frame),
            Self::Subject(_) | Self::Local(_) | Self::Negative(_) | Self::Reckoned(..) => {
                self.value(frame)?.as_bool().ok()
            }
        }
    }

    /// Shows a text.
    fn text(&self, frame: &mut Frame<'_>, see: &mut dyn FnMut(&str)) -> Option<()> {
        match self {
            Self::Known(text) => see(text.as_immutable_string_ref().ok()?.as_str()),
            Self::Asked(asked) => return asked.text(frame, see),
            other => see(other.value(frame)?.as_immutable_string_ref().ok()?.as_str()),
        }
        Some(())
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Numbers,
    Texts,
    Truths,
}

/// How two texts stand to each other, as the interpreter has it.
fn compare_texts(left: &Term, right: &Term, frame: &mut Frame<'_>) -> Option<Ordering> {
    let mut ordering = None;
    match (left, right) {
        // Neither what is written in the rule is copied, nor the property that it is held against.
        (_, Term::Known(known)) => {
            let known = known.as_immutable_string_ref().ok()?;
            left.text(frame, &mut |text| ordering = Some(text.cmp(known.as_str())))?;
        }
        _ => {
            let left = left.value(frame)?;
            let left = left.as_immutable_string_ref().ok()?;
            right.text(frame, &mut |text| ordering = Some(left.as_str().cmp(text)))?;
        }
    }
    ordering
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
        let value = self.call(frame)?.ok()?;
        is_small(&value).then_some(value)
    }

    fn run(&self, frame: &mut Frame<'_>) -> Option<()> {
        self.call(frame)?.is_ok_and(|value| is_small(&value)).then_some(())
    }

    /// Calls the word for what it is handed.
    fn call(&self, frame: &mut Frame<'_>) -> Option<Result<Dynamic, Failure>> {
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
            None => word.native.as_ref()?.call(None, &mut handed),
            Some(effect) => {
                let (engine, global) = caller?;
                let context = (engine, word.name, None, global, self.position).into();
                effect.call(Some(context), &mut handed)
            }
        }
    }

    fn reader(&self) -> Option<&'static Reader> {
        match &self.words[..] {
            [word] => word.reader.as_ref(),
            _ => None,
        }
    }

    fn reads_number(&self) -> bool {
        matches!(self.reader(), Some(Reader::Number(_)))
    }

    fn number(&self, frame: &mut Frame<'_>) -> Option<Number> {
        match self.reader() {
            Some(Reader::Number(read)) => self.with_owner(frame, read)?,
            _ => Number::of(&self.value(frame)?),
        }
    }

    fn holds(&self, frame: &mut Frame<'_>) -> Option<bool> {
        match self.reader() {
            Some(Reader::Truth(read)) => self.with_owner(frame, read)?,
            _ => self.value(frame)?.as_bool().ok(),
        }
    }

    /// Shows the text that it comes to, if the interpreter takes it.
    fn text(&self, frame: &mut Frame<'_>, see: &mut dyn FnMut(&str)) -> Option<()> {
        let Some(Reader::Text(read)) = self.reader() else {
            see(self.value(frame)?.as_immutable_string_ref().ok()?.as_str());
            return Some(());
        };
        let mut is_small = true;
        let mut see = |text: &str| match text.len() <= MAX_TEXT_BYTES {
            true => see(text),
            false => is_small = false,
        };
        self.with_owner(frame, |owner| read(owner, &mut see))??;
        is_small.then_some(())
    }

    /// Lends that of which a property is read.
    fn with_owner<T>(&self, frame: &mut Frame<'_>, read: impl FnOnce(&mut Dynamic) -> T) -> Option<T> {
        Some(match &self.arguments[..] {
            [Term::Subject(subject)] => read(frame.subject(*subject)?),
            [Term::Local(at)] => match frame.local(*at)? {
                Local::Other(value) => read(value),
                Local::Number(_) => return None,
            },
            [owner] => read(&mut owner.value(frame)?),
            _ => return None,
        })
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
    fn give<G: Given>(&self, frame: &mut Frame<'_>) -> Option<G> {
        let mut values = ArrayVec::<Local, MAX_PARAMETERS>::new();
        for argument in &self.arguments {
            values.try_push(argument.local(frame)?).ok()?;
        }
        for (nth, value) in values.into_iter().enumerate() {
            frame.set(self.first + nth, value)?;
        }
        self.body.give(frame)
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
