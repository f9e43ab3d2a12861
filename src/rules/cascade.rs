//! Rules on what was told, on what those tell, and so on to an end.
//!
//! All rules that react to one thing see the member before any of them, and everything that came before it. What was
//! told is reacted to in the order in which it was told, a level at a time: first what the event itself came to, then
//! what the rules on that came to.

use std::sync::Arc;

use rhai::Dynamic;

use crate::domain::decide::{Draft, Frame, Occasion, Undecided};
use crate::domain::effect::RuleFailure;
use crate::domain::loyalty_event::EventData;
use crate::domain::reaction::{Reaction, Step};
use crate::domain::session::Signal;
use crate::domain::source_event::SourceData;

use super::again::Again;
use super::code::{RuleEvent, Unit};
use super::decide::{Outcome, Work, ask, settle};
use super::groups::Asked;
use super::program::Program;
use super::verdict::{Judged, Minutes};
use super::views::{EventView, Moment};

/// How many rules may start one another in a row, the first reaction included.
pub(super) const MAX_DEPTH: usize = 4;
/// How many reactions of one event may do something, or fail.
pub(super) const MAX_REACTIONS: usize = 100;

/// Why a reaction goes too far.
#[derive(Debug, thiserror::Error)]
enum TooFar {
    #[error(
        "rules start one another without an end: {reaction} → rule \"{rule}\"; {MAX_DEPTH} in a row may. Give one of \
         them a condition that does not hold for ever"
    )]
    Deep { reaction: String, rule: Arc<str> },
    #[error(
        "one event may start {MAX_REACTIONS} reactions; this one, to {reaction}, and all after it did not happen"
    )]
    Many { reaction: String },
}

/// The reactions of one decision.
pub(super) struct Cascade<'p> {
    program: &'p Program,
    again: Again<'p>,
    /// How much of what is told was listened to.
    heard: usize,
    /// The way to each thing told, as far as rules came before it.
    ways: Vec<Vec<Step>>,
    /// The way to what the engine tells because of what rules did last.
    way: Vec<Step>,
    /// Whether what failed before was asked again.
    recalled: bool,
    reactions: usize,
    pub(super) minutes: Minutes,
    pub(super) failures: Vec<RuleFailure>,
}

/// Something to react to.
struct Call<'p> {
    reaction: Reaction,
    /// As it is kept by the rules that failed on it before, which alone are asked; otherwise all are.
    failed: Option<&'p Reaction>,
}

impl<'p> Cascade<'p> {
    pub(super) fn new(program: &'p Program, again: Again<'p>, minutes: Minutes) -> Self {
        Self {
            program,
            again,
            heard: 0,
            ways: Vec::new(),
            way: Vec::new(),
            recalled: false,
            reactions: 0,
            minutes,
            failures: Vec::new(),
        }
    }

    /// Whether something was told that rules wait for and have not heard yet.
    pub(super) fn goes_on(&self, draft: &Draft) -> bool {
        let listened_to = self.program.code.heard;
        if listened_to.is_empty() || self.reactions > MAX_REACTIONS {
            return false;
        }
        draft.told().iter().skip(self.heard).any(|told| listened_to.contains(told.kind()))
    }

    /// Lets rules react until nothing new is told.
    ///
    /// # Errors
    /// What they ask about and must be looked up first.
    pub(super) fn run(&mut self, frame: Frame<'_>, draft: &mut Draft) -> Result<(), Undecided> {
        if self.program.code.heard.is_empty() {
            return Ok(());
        }
        loop {
            let calls = self.calls(draft);
            if calls.is_empty() {
                return Ok(());
            }
            let before = self.reactions;
            for call in calls {
                self.react(frame, draft, call);
            }
            draft.lacks_nothing()?;
            if self.reactions > before {
                draft.settle_achievements(frame);
            }
        }
    }

    /// What is to be reacted to now. Of a replay, what was told the first time is there for the rules that failed on it,
    /// and for no other.
    fn calls(&mut self, draft: &Draft) -> Vec<Call<'p>> {
        let mut calls = if self.goes_on(draft) { self.new_calls(draft) } else { Vec::new() };
        self.heard = draft.told().len();
        if !std::mem::replace(&mut self.recalled, true) {
            calls.extend(self.again.reactions().into_iter().map(|failed| Call {
                reaction: Reaction { told: failed.recalled(signal(draft)), after: failed.after.clone() },
                failed: Some(failed),
            }));
        }
        calls
    }

    fn new_calls(&mut self, draft: &Draft) -> Vec<Call<'p>> {
        self.mark(draft, self.way.clone());
        let listened_to = self.program.code.heard;
        let new = draft.told().iter().zip(&self.ways).skip(self.heard);
        let new = new.filter(|(told, _)| listened_to.contains(told.kind()));
        let call = |(told, after): (&EventData, &Vec<Step>)| Call {
            reaction: Reaction { told: told.clone(), after: after.clone() },
            failed: None,
        };
        new.map(call).collect()
    }

    /// Remembers how what was told since came about.
    fn mark(&mut self, draft: &Draft, way: Vec<Step>) {
        self.ways.resize(draft.told().len(), way);
    }

    fn react(&mut self, frame: Frame<'_>, draft: &mut Draft, Call { reaction, failed }: Call<'p>) {
        let program = self.program;
        let at = Moment::new(draft.at, program.schedule.timezone);
        let event = draft.event(frame, reaction.told.clone());
        let variable = ("event", Dynamic::from(EventView::new(event, at)));
        let again = self.again;
        let asked = |unit: &Unit| failed.is_none_or(|failed| again.failed_on(failed, unit));
        let runs = |unit: &Unit| unit.starts_on(&reaction.told) && asked(unit);
        draft.react_to(Some(reaction.told.clone()));
        for (unit, outcome) in
            ask(program, draft, RuleEvent::Told(reaction.told.kind()), Some(variable), &runs, Asked::Once)
        {
            self.settle(frame, draft, (unit, outcome), &reaction);
        }
        draft.react_to(None);
    }

    /// Does what one rule asks for, if it does not go too far.
    fn settle(
        &mut self,
        frame: Frame<'_>,
        draft: &mut Draft,
        (unit, outcome): (&Unit, Outcome),
        reaction: &Reaction,
    ) {
        let way = reaction.on(&unit.name);
        let does_something = match &outcome {
            Ok(Judged::Held(actions, _)) => !actions.is_empty(),
            Ok(Judged::Not(_)) => false,
            Err(_) => true,
        };
        if does_something {
            self.reactions += 1;
        }
        let settled = match self.reactions {
            0..=MAX_REACTIONS if does_something && way.len() > MAX_DEPTH => {
                let too_deep = TooFar::Deep { reaction: reaction.to_string(), rule: unit.name.clone() };
                Err(unit.failure(too_deep))
            }
            0..=MAX_REACTIONS => settle(frame, draft, unit, Work::Done(outcome)),
            // Said once.
            _ if does_something && self.reactions == MAX_REACTIONS + 1 => {
                Err(unit.failure(TooFar::Many { reaction: reaction.to_string() }))
            }
            _ => return,
        };
        self.minutes.rule(self.program, unit, &settled, draft.effects());
        match settled {
            Ok(Judged::Held(..)) => {}
            Ok(Judged::Not(_)) => return,
            Err(failure) => return self.failures.push(failure.reacting_to(reaction)),
        }
        if does_something {
            self.mark(draft, way.clone());
            self.way = way;
        }
    }
}

/// The signal that is decided on, if one is.
fn signal(draft: &Draft) -> Option<&Signal> {
    match &draft.occasion {
        Occasion::Source(input) => match &input.event.data {
            SourceData::Signal(signal) => Some(signal),
            _ => None,
        },
        Occasion::Tick { .. } | Occasion::Due { .. } => None,
    }
}
