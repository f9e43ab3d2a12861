//! Statements, as they run without the interpreter. What answers `None` the interpreter must run, from the first on.

use std::hash::{Hash, Hasher};

use rhai::{Array, Dynamic, RangeCase};

use super::frame::{Frame, Local};
use super::term::{Given, Term};
use crate::rules::lines::Items;
use crate::rules::number::{Number, Reckoning};

/// How a statement ends. What a `return` gives lies in the frame: nothing large is handed up from block to block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// The next one comes.
    On,
    Break,
    Continue,
    Return,
}

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
    /// Runs it for what it does.
    pub(super) fn run(&self, frame: &mut Frame<'_>) -> Option<Flow> {
        for step in &self.0 {
            frame.count(step.nodes)?;
            match step.act.run(frame)? {
                Flow::On => {}
                exit => return Some(exit),
            }
        }
        Some(Flow::On)
    }

    /// Runs it for what it comes to. Of what leaves it only a `return` is known here: it ends the function whose body
    /// this is, or is the last part of.
    pub(super) fn give<G: Given>(&self, frame: &mut Frame<'_>) -> Option<G> {
        let Some((last, before)) = self.0.split_last() else { return G::nothing() };
        for step in before {
            frame.count(step.nodes)?;
            match step.act.run(frame)? {
                Flow::On => {}
                Flow::Return => return G::of_local(frame.take_returned()?),
                Flow::Break | Flow::Continue => return None,
            }
        }
        frame.count(last.nodes)?;
        last.act.give(frame)
    }
}

impl Act {
    fn run(&self, frame: &mut Frame<'_>) -> Option<Flow> {
        match self {
            Self::Value(term) => term.run(frame)?,
            Self::Block(block) => return block.run(frame),
            Self::Set(at, term) => {
                let value = term.local(frame)?;
                frame.set(*at, value)?;
            }
            Self::Change(at, reckoning, term) => {
                let by = term.number(frame)?;
                let changed = reckoning.of(Term::Local(*at).number(frame)?, by)?;
                frame.set(*at, Local::Number(changed))?;
            }
            Self::If(choice) => return choice.branch(frame)?.run(frame),
            Self::Switch(switch) => switch.arm(frame)?.map_or(Some(()), |term| term.run(frame))?,
            Self::Each(each) => return each.walk.each(frame, each.at, &each.body),
            Self::Break => return Some(Flow::Break),
            Self::Continue => return Some(Flow::Continue),
            Self::Return(term) => {
                let nothing = || Some(Local::Other(Dynamic::UNIT));
                let value = term.as_ref().map_or_else(nothing, |term| term.local(frame))?;
                frame.leave_with(value);
                return Some(Flow::Return);
            }
        }
        Some(Flow::On)
    }

    fn give<G: Given>(&self, frame: &mut Frame<'_>) -> Option<G> {
        match self {
            Self::Value(term) | Self::Return(Some(term)) => G::of(term, frame),
            Self::Block(block) => block.give(frame),
            Self::If(choice) => choice.branch(frame)?.give(frame),
            Self::Switch(switch) => switch.give(frame),
            Self::Set(..) | Self::Change(..) | Self::Each(_) | Self::Return(None) => match self.run(frame)? {
                Flow::Return => G::of_local(frame.take_returned()?),
                Flow::On => G::nothing(),
                Flow::Break | Flow::Continue => None,
            },
            Self::Break | Self::Continue => None,
        }
    }
}

impl If {
    fn branch(&self, frame: &mut Frame<'_>) -> Option<&Block> {
        let holds = self.condition.holds(frame)?;
        Some(if holds { &self.then } else { &self.otherwise })
    }
}

impl Walk {
    fn each(&self, frame: &mut Frame<'_>, at: usize, body: &Block) -> Option<Flow> {
        match self {
            Self::Items(term) => {
                let items = term.value(frame)?.try_cast::<Items>()?;
                walk(items.map(|item| Local::Other(Dynamic::from(item))), frame, at, body)
            }
            Self::List(list) => walk(list.iter().cloned().map(Local::from), frame, at, body),
            Self::Numbers(from, to, is_inclusive) => {
                let (from, to) = (from.number(frame)?.whole()?, to.number(frame)?.whole()?);
                let whole = |number| Local::Number(Number::Whole(number));
                if *is_inclusive {
                    walk((from..=to).map(whole), frame, at, body)
                } else {
                    walk((from..to).map(whole), frame, at, body)
                }
            }
        }
    }
}

fn walk(values: impl Iterator<Item = Local>, frame: &mut Frame<'_>, at: usize, body: &Block) -> Option<Flow> {
    for value in values {
        frame.count(1)?;
        frame.set(at, value)?;
        match body.run(frame)? {
            Flow::On | Flow::Continue => {}
            Flow::Break => break,
            Flow::Return => return Some(Flow::Return),
        }
    }
    Some(Flow::On)
}

impl Switch {
    fn give<G: Given>(&self, frame: &mut Frame<'_>) -> Option<G> {
        match self.arm(frame)? {
            Some(term) => G::of(term, frame),
            None => G::nothing(),
        }
    }

    /// What is to be done; nothing where no case fits.
    fn arm(&self, frame: &mut Frame<'_>) -> Option<Option<&Term>> {
        let value = self.value.value(frame)?;
        let hash = hash(&value);
        let cases =
            self.cases.iter().filter(|(case, _)| *case == hash).flat_map(|(_, arms)| arms.iter().copied());
        let ranges = self.ranges.iter().filter(|range| range.contains(&value)).map(RangeCase::index);
        for arm in cases.chain(ranges) {
            let (condition, then) = self.arms.get(arm)?;
            if condition.holds(frame)? {
                return Some(Some(then));
            }
        }
        match self.otherwise {
            Some(arm) => Some(Some(&self.arms.get(arm)?.1)),
            None => Some(None),
        }
    }
}

/// As the parser hashes the values of cases, which it doesn't keep.
fn hash(value: &Dynamic) -> u64 {
    let mut hasher = ahash::AHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}
