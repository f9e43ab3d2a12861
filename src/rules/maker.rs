//! Makes what runs of what was parsed and checked.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{AST, Dynamic, Expr, Position};

use crate::domain::effect::Cause;
use crate::domain::segment::{Segment, SegmentType};
use crate::domain::text::Name;

use super::code::{File, On, SegmentUnit, TierUnit, Unit};
use super::conditions::{Clause, Excerpt};
use super::language::{Block, Group, Rung};
use super::native::{Deeds, Guard, Sight};
use super::vocabulary::Type;

/// The words that begin the clauses of a condition.
const WHEN: &str = "when";
const KEEP: &str = "keep";

/// Makes units of what was checked.
pub(super) struct Maker<'a> {
    pub(super) files: &'a [File],
    pub(super) version: i64,
    pub(super) constants: &'a BTreeMap<String, Dynamic>,
    /// How many nodes may still be compiled to run without the interpreter.
    pub(super) left: Cell<u32>,
    /// Those of the program, each parsed alone.
    pub(super) functions: &'a [(usize, AST, Position)],
}

/// What a clause names; the checker has seen that it is there.
fn named(clause: Option<(String, Position)>) -> Option<Name> {
    clause.and_then(|(name, _)| Name::parse(&name).ok())
}

/// What a declaration sees besides the member.
type Variable = Option<(&'static str, Type)>;

impl Maker<'_> {
    /// Units by event, those of higher priority first, then by file and line. `events` runs beside `blocks`.
    pub(super) fn grouped<E: Ord + Copy>(
        &self,
        blocks: Vec<(usize, Block)>,
        events: Vec<On<E>>,
        variable: fn(E) -> Variable,
    ) -> BTreeMap<E, Vec<Unit>> {
        let mut ordered: Vec<_> = blocks.into_iter().zip(events).collect();
        ordered.sort_by_key(|((file, block), _)| {
            (std::cmp::Reverse(block.priority), *file, block.position.line())
        });
        let mut by_event: BTreeMap<E, Vec<Unit>> = BTreeMap::new();
        for ((file, block), On { event, own }) in ordered {
            let unit = Unit { own_event: own, ..self.unit(file, block, variable(event)) };
            by_event.entry(event).or_default().push(unit);
        }
        by_event
    }

    /// Segments in the order in which they are judged. `segments` runs beside `groups`.
    pub(super) fn segments(&self, groups: Vec<(usize, Group)>, segments: Vec<Segment>) -> Vec<SegmentUnit> {
        let unit = |(file, group): (usize, Group)| {
            let Group { position, name, condition, .. } = group;
            let written = self.excerpt((file, position), &[(WHEN, &[";"])]);
            self.condition((file, position), name, condition, written, None)
        };
        let units = groups.into_iter().map(unit).zip(segments);
        let (alone, compound): (Vec<_>, Vec<_>) = units
            .map(|(unit, segment)| SegmentUnit { segment, unit })
            .partition(|judged| judged.segment.kind != SegmentType::Compound);
        alone.into_iter().chain(compound).collect()
    }

    /// Tiers, the lowest first. `ranks` runs beside `rungs`.
    pub(super) fn tiers(&self, rungs: Vec<(usize, Rung)>, ranks: Vec<usize>) -> Vec<TierUnit> {
        let unit = |((file, rung), rank): ((usize, Rung), usize)| {
            let Rung { position, name, reach, keep, .. } = rung;
            let at = (file, position);
            let written = self.excerpt(at, &[(WHEN, &[KEEP, ";"])]);
            let keep = keep.map(|keep| {
                let written = self.excerpt(at, &[(KEEP, &[";"]), (WHEN, &[])]);
                self.condition(at, name.clone(), keep, written, None)
            });
            TierUnit { rank, reach: self.condition(at, name, reach, written, None), keep }
        };
        let mut tiers: Vec<_> = rungs.into_iter().zip(ranks).map(unit).collect();
        tiers.sort_by_key(|tier| tier.rank);
        tiers
    }

    pub(super) fn tests(&self, blocks: Vec<(usize, Block)>) -> Vec<Unit> {
        blocks.into_iter().map(|(file, block)| self.unit(file, block, None)).collect()
    }

    /// The filter of an endpoint, which has a file for itself.
    pub(super) fn filter(&self, file: usize, name: Arc<str>, condition: Expr) -> Unit {
        let written = Excerpt::of_all(&self.files[file].text);
        let sees = Some(("event", Type::Event));
        self.condition((file, Position::new(1, 1)), name, condition, written, sees)
    }

    fn excerpt(&self, (file, position): (usize, Position), clauses: &[Clause<'_>]) -> Excerpt {
        Excerpt::of_clause(&self.files[file].text, position, clauses)
    }

    /// A condition that nothing but itself depends on: it does nothing, and reads the member and what else it `sees`.
    fn condition(
        &self,
        (file, position): (usize, Position),
        name: Arc<str>,
        condition: Expr,
        written: Excerpt,
        sees: Variable,
    ) -> Unit {
        let block = Block {
            position,
            name,
            name_position: position,
            event: String::new(),
            event_position: position,
            condition: Some(condition),
            priority: 0,
            campaign: None,
            group: None,
            body: Expr::Unit(position),
        };
        Unit { written, ..self.unit(file, block, sees) }
    }

    fn unit(&self, file: usize, block: Block, event: Variable) -> Unit {
        let written = Excerpt::of_condition(&self.files[file].text, &block);
        let file = self.files[file].name.clone();
        let line = block.position.line().unwrap_or(1);
        let at = format!("{file}:{line}").into();
        let cause = Cause {
            rule: block.name.clone().into(),
            at,
            program_version: self.version,
            campaign: named(block.campaign),
        };
        let Self { constants, functions, .. } = *self;
        let sight = Sight { event, constants, left: &self.left, functions };
        Unit {
            name: block.name,
            file,
            position: block.position,
            guard: block.condition.as_ref().and_then(|condition| Guard::of(condition, sight)),
            condition: block.condition,
            written,
            deeds: Deeds::of(&block.body, sight),
            body: block.body,
            cause,
            group: named(block.group),
            own_event: None,
        }
    }
}
