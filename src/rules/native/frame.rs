//! What a condition or a body sees while it runs without the interpreter.

use arrayvec::ArrayVec;
use rhai::{Dynamic, Engine, GlobalRuntimeState, Scope};

use crate::rules::number::Number;

/// The most variables of a body at once, those of the functions that it calls included.
pub(super) const MAX_LOCALS: usize = 24;
/// What may be done, in nodes of the parsed text, before the interpreter takes over and counts exactly. It takes six steps for a node at
/// most, those for long texts included, and counts condition and body together: nothing ends well here which would have
/// gone too far there.
const MAX_NODES: u32 = 1_500;

pub(super) const MEMBER: &str = "member";

/// What a property is read of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Member,
    /// `order`, `event` or their like: one decision sees one of them.
    Event(&'static str),
}

/// The variables that every rule of an event sees, copied when first read: those of the scope cannot be borrowed as a property wants
/// them.
#[derive(Debug, Default)]
pub(in crate::rules) struct Subjects {
    member: Option<Dynamic>,
    event: Option<Dynamic>,
}

/// A variable of the body. Numbers, which bodies reckon with, lie here as they are.
#[derive(Debug)]
pub(super) enum Local {
    Number(Number),
    Other(Dynamic),
}

impl From<Dynamic> for Local {
    fn from(value: Dynamic) -> Self {
        Number::of(&value).map_or_else(|| Self::Other(value), Self::Number)
    }
}

/// For whom effects are asked.
pub(super) type Caller<'a> = (&'a Engine, &'a GlobalRuntimeState);

/// One run.
pub(super) struct Frame<'a> {
    subjects: &'a mut Subjects,
    scope: &'a Scope<'a>,
    locals: ArrayVec<Local, MAX_LOCALS>,
    left: u32,
    /// What a `return` gave on its way out.
    returned: Option<Local>,
    /// `None` where nothing may be asked for.
    caller: Option<Caller<'a>>,
}

impl<'a> Frame<'a> {
    pub(super) fn new(subjects: &'a mut Subjects, scope: &'a Scope<'a>, caller: Option<Caller<'a>>) -> Self {
        Self { subjects, scope, locals: ArrayVec::new(), left: MAX_NODES, returned: None, caller }
    }

    pub(super) fn caller(&self) -> Option<Caller<'a>> {
        self.caller
    }

    pub(super) fn subject(&mut self, subject: Subject) -> Option<&mut Dynamic> {
        let (place, name) = match subject {
            Subject::Member => (&mut self.subjects.member, MEMBER),
            Subject::Event(name) => (&mut self.subjects.event, name),
        };
        if place.is_none() {
            *place = self.scope.get(name).cloned();
        }
        place.as_mut()
    }

    pub(super) fn local(&mut self, at: usize) -> Option<&mut Local> {
        self.locals.get_mut(at)
    }

    /// Sets a variable; those in the places before it have been set.
    pub(super) fn set(&mut self, at: usize, local: Local) -> Option<()> {
        let places = self.locals.len();
        match self.locals.get_mut(at) {
            Some(known) => *known = local,
            None if at == places => self.locals.try_push(local).ok()?,
            None => return None,
        }
        Some(())
    }

    /// Leaves a function, or the body itself, with this.
    pub(super) fn leave_with(&mut self, value: Local) {
        self.returned = Some(value);
    }

    /// What it was left with.
    pub(super) fn take_returned(&mut self) -> Option<Local> {
        self.returned.take()
    }

    /// Counts what is done; `None` when it is too much.
    pub(super) fn count(&mut self, nodes: u32) -> Option<()> {
        self.left = self.left.checked_sub(nodes)?;
        Some(())
    }
}
