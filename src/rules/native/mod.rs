//! Conditions made of plain comparisons, answered without the interpreter; and bodies that only ask for effects.
//!
//! `member.tier == "gold" && order.total >= 50` reads two properties and compares them. Most rules of an event do not
//! fire, and of those nothing more is needed, so their cost is that of the reading. A guard calls the very functions
//! that the interpreter would call. Whatever is out of the ordinary it leaves to the interpreter, so that a condition
//! has one meaning, and its errors one wording and one place.

mod compile;
mod deeds;

use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rhai::{Dynamic, Scope};

use super::sign::Sign;
use super::vocabulary::Native;

pub(super) use compile::Sight;
pub(super) use deeds::Deeds;

/// What is known of a condition, or of the parts of an `and` that it begins with, without the interpreter.
#[derive(Debug)]
pub(super) struct Guard {
    node: Node,
    /// Whether this is all of the condition.
    is_whole: bool,
}

/// What a guard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Holds,
    Fails,
    /// The interpreter must say.
    Unknown,
}

impl Guard {
    /// Answers for what the variables hold.
    pub(super) fn ask(&self, subjects: &mut Subjects, scope: &Scope<'_>) -> Answer {
        // What panics here panics in the interpreter, too, which tells of it.
        let holds = catch_unwind(AssertUnwindSafe(|| self.node.holds(&mut subjects.of(scope))));
        match holds {
            Ok(Some(false)) => Answer::Fails,
            Ok(Some(true)) if self.is_whole => Answer::Holds,
            Ok(Some(true) | None) | Err(_) => Answer::Unknown,
        }
    }

    /// Whether the interpreter is never needed for what is as it should be.
    #[cfg(test)]
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }
}

/// The variables, copied when first read: those of the scope cannot be borrowed as a property wants them.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    member: Option<Dynamic>,
    event: Option<Dynamic>,
}

impl Subjects {
    fn of<'a>(&'a mut self, scope: &'a Scope<'a>) -> Seen<'a> {
        Seen { subjects: self, scope }
    }
}

struct Seen<'a> {
    subjects: &'a mut Subjects,
    scope: &'a Scope<'a>,
}

impl Seen<'_> {
    fn get(&mut self, subject: Subject) -> Option<&mut Dynamic> {
        let (place, name) = match subject {
            Subject::Member => (&mut self.subjects.member, MEMBER),
            Subject::Event(name) => (&mut self.subjects.event, name),
        };
        if place.is_none() {
            *place = self.scope.get(name).cloned();
        }
        place.as_mut()
    }
}

const MEMBER: &str = "member";

/// What a property is read of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Member,
    /// `order`, `event` or their like: one decision sees one of them.
    Event(&'static str),
}

#[derive(Debug)]
enum Node {
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Not(Box<Node>),
    Truth(Reading),
    Compare(Operand, Sign, Operand),
}

impl Node {
    /// `None` when the interpreter must say.
    fn holds(&self, seen: &mut Seen<'_>) -> Option<bool> {
        match self {
            Self::All(nodes) => {
                for node in nodes {
                    if !node.holds(seen)? {
                        return Some(false);
                    }
                }
                Some(true)
            }
            Self::Any(nodes) => {
                for node in nodes {
                    if node.holds(seen)? {
                        return Some(true);
                    }
                }
                Some(false)
            }
            Self::Not(node) => node.holds(seen).map(|holds| !holds),
            Self::Truth(reading) => reading.read(seen)?.as_bool().ok(),
            Self::Compare(left, sign, right) => {
                let ordering = match (left, right) {
                    (Operand::Known(left), Operand::Read(right)) => compare(left, &right.read(seen)?),
                    (Operand::Read(left), Operand::Known(right)) => compare(&left.read(seen)?, right),
                    (Operand::Read(left), Operand::Read(right)) => {
                        let left = left.read(seen)?;
                        compare(&left, &right.read(seen)?)
                    }
                    (Operand::Known(left), Operand::Known(right)) => compare(left, right),
                };
                ordering.map(|ordering| sign.holds(Some(ordering)))
            }
        }
    }
}

/// One side of a comparison.
#[derive(Debug)]
enum Operand {
    /// Written in the rule, or a constant.
    Known(Dynamic),
    Read(Reading),
}

/// `order.at.hour`: a variable, and what is read of it step by step.
#[derive(Debug)]
struct Reading {
    subject: Subject,
    steps: Box<[Step]>,
}

impl Reading {
    fn read(&self, seen: &mut Seen<'_>) -> Option<Dynamic> {
        let (first, more) = self.steps.split_first()?;
        let value = first.read(seen.get(self.subject)?)?;
        more.iter().try_fold(value, |mut value, step| step.read(&mut value))
    }
}

/// A property, or a method of at most one argument that is known beforehand.
#[derive(Debug)]
struct Step {
    native: Native,
    argument: Option<Dynamic>,
}

impl Step {
    fn read(&self, owner: &mut Dynamic) -> Option<Dynamic> {
        match self.argument.clone() {
            None => self.native.call(&mut [owner]),
            Some(mut argument) => self.native.call(&mut [owner, &mut argument]),
        }
    }
}

/// How two plain values of one kind stand to each other, as the interpreter has it.
fn compare(a: &Dynamic, b: &Dynamic) -> Option<Ordering> {
    if let (Ok(a), Ok(b)) = (a.as_int(), b.as_int()) {
        return Some(a.cmp(&b));
    }
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return Some(a.as_str().cmp(b.as_str()));
    }
    let number = |value: &Dynamic| value.as_decimal().or_else(|_| value.as_int().map(Into::into));
    if let (Ok(a), Ok(b)) = (number(a), number(b)) {
        return Some(a.cmp(&b));
    }
    let (a, b) = (a.as_bool().ok()?, b.as_bool().ok()?);
    Some(a.cmp(&b))
}
