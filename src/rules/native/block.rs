//! Statements, as they run without the interpreter. What answers `None` the interpreter must run, from the first on.

use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;

use rhai::{Array, Dynamic, RangeCase};

use super::frame::{Frame, Local};
use super::number::Reckoning;
use super::term::Term;
use crate::rules::lines::Items;

/// Why a block ends before its end.
#[derive(Debug)]
pub(super) enum Exit {
    Break,
    Continue,
    Return(Dynamic),
}

/// What a statement comes to.
type Outcome = ControlFlow<Exit, Dynamic>;

const NOTHING: Outcome = ControlFlow::Continue(Dynamic::UNIT);

/// Statements, one after the other. The last one says what they come to.
#[derive(Debug, Default)]
pub(super) struct Block(pub(super) Box<[Step]>);

/// A statement.
#[derive(Debug)]
pub(super) struct Step {
    /// How many nodes of the parsed text it has.
    pub(super) nodes: u32,
    pub(super) act: Act,
}

#[derive(Debug)]
pub(super) enum Act {
    /// Reckons something, or asks for an effect.
    Value(Term),
    Block(Block),
    /// `let x = …;`, `x = …;`
    Set(usize, Term),
    /// `x += …;` and its like.
    Change(usize, Reckoning, Term),
    If(Box<If>),
    Switch(Box<Switch>),
    Each(Box<Each>),
    Break,
    Continue,
    Return(Option<Term>),
}

/// `if x { … } else { … }`
#[derive(Debug)]
pub(super) struct If {
    pub(super) condition: Term,
    pub(super) then: Block,
    pub(super) otherwise: Block,
}

/// `for x in … { … }`
#[derive(Debug)]
pub(super) struct Each {
    /// The place of its variable.
    pub(super) at: usize,
    pub(super) walk: Walk,
    pub(super) body: Block,
}

/// What a `for` walks over.
#[derive(Debug)]
pub(super) enum Walk {
    Items(Term),
    List(Array),
    /// From, to, and whether that is part of it.
    Numbers(Term, Term, bool),
}

/// `switch x { … }`
#[derive(Debug)]
pub(super) struct Switch {
    pub(super) value: Term,
    /// Which arms are looked at, by the hash that the parser keeps of the values.
    pub(super) cases: Box<[(u64, Box<[usize]>)]>,
    pub(super) ranges: Box<[RangeCase]>,
    /// Conditions and what they lead to.
    pub(super) arms: Box<[(Term, Term)]>,
    pub(super) otherwise: Option<usize>,
}

impl Block {
    pub(super) fn run(&self, frame: &mut Frame<'_>) -> Option<Outcome> {
        let mut value = Dynamic::UNIT;
        for step in &self.0 {
            frame.count(step.nodes)?;
            match step.act.run(frame)? {
                ControlFlow::Continue(last) => value = last,
                exit => return Some(exit),
            }
        }
        Some(ControlFlow::Continue(value))
    }
}

impl Act {
    fn run(&self, frame: &mut Frame<'_>) -> Option<Outcome> {
        Some(match self {
            Self::Value(term) => ControlFlow::Continue(term.value(frame)?),
            Self::Block(block) => return block.run(frame),
            Self::Set(at, term) => {
                let value = term.local(frame)?;
                frame.set(*at, value)?;
                NOTHING
            }
            Self::Change(at, reckoning, term) => {
                let by = term.number(frame)?;
                let changed = reckoning.of(Term::Local(*at).number(frame)?, by)?;
                frame.set(*at, Local::Number(changed))?;
                NOTHING
            }
            Self::If(choice) => {
                let holds = choice.condition.holds(frame)?;
                return if holds { &choice.then } else { &choice.otherwise }.run(frame);
            }
            Self::Switch(switch) => ControlFlow::Continue(switch.value(frame)?),
            Self::Each(each) => return each.walk.each(frame, each.at, &each.body),
            Self::Break => ControlFlow::Break(Exit::Break),
            Self::Continue => ControlFlow::Break(Exit::Continue),
            Self::Return(term) => {
                let value = term.as_ref().map_or(Some(Dynamic::UNIT), |term| term.value(frame))?;
                ControlFlow::Break(Exit::Return(value))
            }
        })
    }
}

impl Walk {
    fn each(&self, frame: &mut Frame<'_>, at: usize, body: &Block) -> Option<Outcome> {
        match self {
            Self::Items(term) => {
                let items = term.value(frame)?.try_cast::<Items>()?;
                walk(items.map(Dynamic::from), frame, at, body)
            }
            Self::List(list) => walk(list.iter().cloned(), frame, at, body),
            Self::Numbers(from, to, is_inclusive) => {
                let (from, to) = (from.number(frame)?.whole()?, to.number(frame)?.whole()?);
                if *is_inclusive {
                    walk((from..=to).map(Dynamic::from), frame, at, body)
                } else {
                    walk((from..to).map(Dynamic::from), frame, at, body)
                }
            }
        }
    }
}

fn walk(
    values: impl Iterator<Item = Dynamic>,
    frame: &mut Frame<'_>,
    at: usize,
    body: &Block,
) -> Option<Outcome> {
    for value in values {
        frame.count(1)?;
        frame.set(at, value.into())?;
        match body.run(frame)? {
            ControlFlow::Continue(_) | ControlFlow::Break(Exit::Continue) => {}
            ControlFlow::Break(Exit::Break) => break,
            exit @ ControlFlow::Break(Exit::Return(_)) => return Some(exit),
        }
    }
    Some(NOTHING)
}

impl Switch {
    fn value(&self, frame: &mut Frame<'_>) -> Option<Dynamic> {
        let value = self.value.value(frame)?;
        let hash = hash(&value);
        let cases =
            self.cases.iter().filter(|(case, _)| *case == hash).flat_map(|(_, arms)| arms.iter().copied());
        let ranges = self.ranges.iter().filter(|range| range.contains(&value)).map(RangeCase::index);
        for arm in cases.chain(ranges) {
            let (condition, then) = self.arms.get(arm)?;
            if condition.holds(frame)? {
                return then.value(frame);
            }
        }
        match self.otherwise {
            Some(arm) => self.arms.get(arm)?.1.value(frame),
            None => Some(Dynamic::UNIT),
        }
    }
}

/// As the parser hashes the values of cases, which it doesn't keep.
fn hash(value: &Dynamic) -> u64 {
    let mut hasher = ahash::AHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}
