//! Filters of endpoints: conditions in the words of the chain's program, asked of each loyalty event that would go there.
//!
//! A filter belongs to an endpoint and speaks of what a program declares, so it is compiled when either changes
//! ([`Program::filtering`]), and never while events are decided. It fails open: what it cannot be asked about passes. An event too many
//! is one that a receiver drops; one too few is missed for ever.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use rhai::{Dynamic, Expr};

use crate::domain::endpoint::{Endpoint, EventPattern, FilterPart};
use crate::domain::ids::EndpointId;
use crate::domain::loyalty_event::EventType;
use crate::domain::terms::Terms;

use super::check::Checker;
use super::code::{File, Kinds, Unit};
use super::diagnostic::{Diagnostic, Mistake};
use super::language;
use super::maker::Maker;
use super::manifest::Manifest;
use super::native::MAX_NODES_OF_ALL;
use super::program::{Program, on_big_stack};

/// The longest condition that help repeats, in bytes.
const MAX_REPEATED: usize = 100;

/// What endpoints ask, as one program understands it; those without a filter are left out.
pub(super) type Filters = BTreeMap<EndpointId, Arc<Asked>>;

/// What one endpoint asks.
#[derive(Debug)]
pub(super) struct Asked {
    /// The endpoint, as it was when this was compiled.
    by: Arc<Endpoint>,
    questions: Vec<Question>,
    problem: Option<FilterProblem>,
}

/// A condition, and the types that it can be asked about.
#[derive(Debug)]
struct Question {
    kinds: Kinds,
    unit: Unit,
}

/// Why a filter cannot be asked about all that it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterProblem {
    /// Where it stands in the endpoint: `filter`, or `filter["order.*"]`.
    pub field: String,
    /// A type that it cannot be asked about, once it can be read.
    pub kind: Option<EventType>,
    /// What is wrong with it.
    pub problems: Vec<Diagnostic>,
    /// What would do.
    pub help: Option<String>,
}

impl fmt::Display for FilterProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, problems, help, .. } = self;
        f.write_str("does not check")?;
        kind.map_or(Ok(()), |kind| write!(f, " for {kind}"))?;
        problems.first().map_or(Ok(()), |first| write!(f, ": {first}"))?;
        help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

impl Program {
    /// The same program, asking what these endpoints ask; `None` when that is what it does.
    pub fn filtering(&self, endpoints: &[Arc<Endpoint>]) -> Option<Self> {
        let wanted = || endpoints.iter().filter(|endpoint| endpoint.settings.filter.is_some());
        let known = |endpoint: &Endpoint| {
            self.filters.get(&endpoint.id).filter(|known| endpoint.filters_like(&known.by)).cloned()
        };
        let new: Vec<_> = wanted().filter(|endpoint| known(endpoint).is_none()).cloned().collect();
        if new.is_empty() && wanted().count() == self.filters.len() {
            return None;
        }
        let kept = wanted().filter_map(|endpoint| known(endpoint));
        let compiled = self.compile(&new).into_iter().map(Arc::new);
        let filters = kept.chain(compiled).map(|asked| (asked.by.id, asked));
        Some(Self { filters: Arc::new(filters.collect()), ..self.clone() })
    }

    /// [`Self::filtering`], for a program that nobody else has yet.
    #[must_use]
    pub fn asking(self, endpoints: &[Arc<Endpoint>]) -> Self {
        self.filtering(endpoints).unwrap_or(self)
    }

    /// Checks the filter of an endpoint that is not there yet.
    ///
    /// # Errors
    /// It cannot be asked about something that the endpoint gets.
    pub fn check_filter(&self, endpoint: &Endpoint) -> Result<(), FilterProblem> {
        let compiled = self.compile(&[Arc::new(endpoint.clone())]);
        compiled.into_iter().find_map(|asked| asked.problem).map_or(Ok(()), Err)
    }

    /// Why the filter of an endpoint cannot be asked about all that it is for.
    pub fn filter_problem(&self, endpoint: EndpointId) -> Option<&FilterProblem> {
        self.filters.get(&endpoint)?.problem.as_ref()
    }

    /// What an endpoint asks about events of this type.
    pub(super) fn filter(&self, endpoint: &Endpoint, kind: EventType) -> Option<&Unit> {
        endpoint.settings.filter.as_ref()?;
        let asked = self.filters.get(&endpoint.id)?;
        asked.questions.iter().find(|question| question.kinds.contains(kind)).map(|question| &question.unit)
    }

    fn compile(&self, endpoints: &[Arc<Endpoint>]) -> Vec<Asked> {
        if endpoints.is_empty() {
            return Vec::new();
        }
        let compiled = on_big_stack(|| {
            let words = Words::of(self);
            endpoints.iter().map(|endpoint| words.asked(endpoint)).collect()
        });
        compiled.unwrap_or_else(|why| {
            let problem = FilterProblem {
                field: "filter".to_owned(),
                kind: None,
                problems: vec![Diagnostic::of_file(Mistake::Internal, "filter", why)],
                help: None,
            };
            let unread = |by: &Arc<Endpoint>| Asked {
                by: by.clone(),
                questions: Vec::new(),
                problem: Some(problem.clone()),
            };
            endpoints.iter().map(unread).collect()
        })
    }
}

/// What filters may mention of a program.
struct Words<'p> {
    program: &'p Program,
    manifest: Manifest,
    constants: BTreeMap<String, Dynamic>,
}

impl<'p> Words<'p> {
    fn of(program: &'p Program) -> Self {
        let code = &program.code;
        let constants = code.constants.iter_var().map(|(name, value)| (name.to_string(), value.clone()));
        let terms = Terms::clone(&program.terms);
        Self {
            program,
            manifest: Manifest::declaring(terms, program.tags.clone(), code.declared.categories.clone()),
            constants: constants.collect(),
        }
    }

    fn asked(&self, by: &Arc<Endpoint>) -> Asked {
        let (mut questions, mut problem) = (Vec::new(), None);
        let mut left: Vec<_> =
            EventType::ALL.iter().copied().filter(|kind| by.dialect.carries(*kind)).collect();
        for part in by.settings.filter.iter().flat_map(|filter| filter.parts()) {
            let is_its = |kind: &EventType| part.pattern.is_none_or(|pattern| pattern.matches(*kind));
            let (kinds, rest): (Vec<_>, _) = left.into_iter().partition(is_its);
            left = rest;
            match self.question(by, part, &kinds) {
                Ok((question, found)) => {
                    questions.push(question);
                    problem = problem.or(found);
                }
                Err(found) => problem = problem.or(Some(found)),
            }
        }
        Asked { by: by.clone(), questions, problem }
    }

    /// A condition, ready to be asked about those of these types for which it checks; and why it is not for others that
    /// the endpoint gets.
    fn question(
        &self,
        by: &Endpoint,
        part: FilterPart<'_>,
        kinds: &[EventType],
    ) -> Result<(Question, Option<FilterProblem>), FilterProblem> {
        let code = &self.program.code;
        let (field, text) = (part.to_string(), part.condition.as_str());
        let problem = |kind, problems, help| FilterProblem { field: field.clone(), kind, problems, help };
        let condition = language::condition(&code.engine, &field, text)
            .map_err(|unreadable| problem(None, vec![unreadable], None))?;
        let files = self.files(&field, text);
        let judged = self.judged(&files, &condition, kinds);
        let checks = |kind: EventType| judged.iter().any(|(of, wrong)| *of == kind && wrong.is_empty());
        let wanted: Vec<_> = kinds.iter().copied().filter(|kind| by.subscribes_to(*kind)).collect();
        let at_fault = match wanted.is_empty() {
            false => judged.iter().find(|(kind, wrong)| wanted.contains(kind) && !wrong.is_empty()),
            // Only triggers forward such events, and which is not known: it must make sense for one of them.
            true if kinds.iter().any(|kind| checks(*kind)) => None,
            true => judged.iter().min_by_key(|(_, wrong)| wrong.len()),
        };
        let found = at_fault
            .map(|(kind, wrong)| problem(Some(*kind), wrong.clone(), for_some_types(text, &wanted, &checks)));
        let maker = Maker {
            files: &files,
            version: self.program.version,
            constants: &self.constants,
            left: Cell::new(MAX_NODES_OF_ALL),
            functions: &code.declared.functions,
        };
        let unit = maker.filter(files.len() - 1, by.id.to_string().into(), condition);
        Ok((Question { kinds: kinds.iter().copied().filter(|kind| checks(*kind)).collect(), unit }, found))
    }

    /// The files of the program, of which nothing but the names matters any more, and behind them the condition.
    fn files(&self, field: &str, text: &str) -> Vec<File> {
        let known = self.program.code.declared.files.iter();
        let known = known.map(|name| File { name: name.clone(), text: String::new() });
        known.chain([File { name: field.into(), text: text.to_owned() }]).collect()
    }

    /// What is wrong with a condition for each of these types.
    fn judged(
        &self,
        files: &[File],
        condition: &Expr,
        kinds: &[EventType],
    ) -> Vec<(EventType, Vec<Diagnostic>)> {
        let code = &self.program.code;
        let mut checker = Checker::new(&self.manifest, &self.constants, files, &code.declared.functions);
        checker.know_segments(code.segments.iter().map(|known| known.unit.name.to_string()).collect());
        kinds.iter().map(|kind| (*kind, checker.filter(files.len() - 1, condition, *kind))).collect()
    }
}

/// How to ask only about types for which a condition checks, when there are some among those that are wanted.
fn for_some_types(text: &str, wanted: &[EventType], checks: &impl Fn(EventType) -> bool) -> Option<String> {
    let good = wanted.iter().copied().find(|kind| checks(*kind))?;
    let noun = good.as_str().split('.').next().map(|noun| EventPattern::Noun(noun.into()));
    let is_good = |noun: &EventPattern| wanted.iter().all(|kind| !noun.matches(*kind) || checks(*kind));
    let pattern = noun.filter(is_good).unwrap_or(EventPattern::One(good));
    let text = if text.len() > MAX_REPEATED { "…" } else { text };
    let object = serde_json::json!({ pattern.to_string(): text });
    Some(format!("to ask about some types only, write {object}: what no pattern matches passes"))
}
