//! The compiled form of a folder: rules by event, triggers, functions, constants.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{AST, Caches, Dynamic, Engine, EvalContext, Expr, Expression, Module, Position, Scope, Shared};

use crate::domain::Timestamp;
use crate::domain::effect::{Cause, RuleFailure};
use crate::domain::loyalty_event::{EventData, EventType};
use crate::domain::schedule::TickType;
use crate::domain::segment::Segment;
use crate::domain::source_event::SourceType;
use crate::domain::terms::campaign::RuleGroup;
use crate::domain::text::Name;

use super::check::{self, Checker};
use super::conditions::Excerpt;
use super::diagnostic::{Diagnostic, Mistake, Spot};
use super::engine::sandbox;
use super::language::{self, Block, Declaration, Group, Rung};
use super::maker::Maker;
use super::manifest::Manifest;
use super::native::{Deeds, Guard, MAX_NODES_OF_ALL};
use super::program::Sources;
use super::split;
use super::vocabulary::Type;

/// How many different words of a program the parser keeps once: rules say the same ones again and again. The interpreter
/// keeps none, for threads would wait for one another.
const MAX_WORDS_ONCE: usize = 2_000;
/// The most constants of one program: each may be a list that another one copies.
pub(super) const MAX_CONSTANTS: usize = 400;

/// What a rule starts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum RuleEvent {
    Source(SourceType),
    Tick(TickType),
    /// What an event, a tick, a deadline or another rule came to.
    Told(EventType),
}

impl RuleEvent {
    pub(super) fn all() -> impl Iterator<Item = Self> + Clone {
        let sources = SourceType::ALL.into_iter().filter(|kind| kind.is_about_member());
        let ticks = TickType::ALL.into_iter().map(Self::Tick);
        let told = EventType::ALL.iter().copied().filter(|kind| kind.starts_rules());
        sources.map(Self::Source).chain(ticks).chain(told.map(Self::Told))
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Source(kind) => kind.as_str(),
            Self::Tick(kind) => kind.as_str(),
            Self::Told(kind) => kind.as_str(),
        }
    }

    /// What its rules see besides the member.
    pub(super) const fn variable(self) -> Option<(&'static str, Type)> {
        Some(match self {
            Self::Source(
                SourceType::OrderCreated
                | SourceType::OrderUpdated
                | SourceType::OrderCompleted
                | SourceType::OrderCancelled,
            ) => ("order", Type::Order),
            Self::Source(SourceType::OrderRefunded) => ("refund", Type::Refund),
            Self::Source(SourceType::Visit) => ("visit", Type::Visit),
            Self::Source(SourceType::CartUpdated) => ("cart", Type::Cart),
            Self::Source(SourceType::SessionStarted | SourceType::SessionEnded) => ("session", Type::Session),
            Self::Tick(_) => ("tick", Type::Tick),
            Self::Told(_) | Self::Source(SourceType::MemberUpdated | SourceType::Signal) => {
                ("event", Type::Event)
            }
            Self::Source(SourceType::Command(_) | SourceType::Offering(..)) => return None,
        })
    }

    /// The loyalty event that its rules see as `event`.
    pub(super) const fn seen_as(self) -> Option<EventType> {
        match self {
            Self::Told(kind) => Some(kind),
            Self::Source(SourceType::MemberUpdated) => Some(EventType::MemberUpdated),
            Self::Source(SourceType::Signal) => Some(EventType::SignalReceived),
            Self::Source(_) | Self::Tick(_) => None,
        }
    }
}

/// A rule, trigger or test, ready to run.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) name: Arc<str>,
    pub(super) file: Arc<str>,
    pub(super) position: Position,
    pub(super) condition: Option<Expr>,
    /// What can be said of the condition without the interpreter.
    pub(super) guard: Option<Guard>,
    /// The condition as it is written; empty without one.
    pub(super) written: Excerpt,
    pub(super) body: Expr,
    /// What the body does, if it can do so without the interpreter.
    pub(super) deeds: Option<Deeds>,
    pub(super) cause: Cause,
    /// The group of rules of which one counts.
    pub(super) group: Option<Name>,
    /// The loyalty event of the program's own that it starts on, if only on that.
    pub(super) own_event: Option<Name>,
}

/// What a rule or a trigger starts on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct On<E> {
    pub(super) event: E,
    /// Of the program's own events the one, if only that.
    pub(super) own: Option<Name>,
}

impl Unit {
    /// Whether it starts on this thing told, which is of the right type.
    pub(super) fn starts_on(&self, told: &EventData) -> bool {
        self.own_event.as_ref().is_none_or(|own| own.as_str() == told.name())
    }

    /// Whether it is one of these rules.
    pub(super) fn is_in(&self, group: &RuleGroup) -> bool {
        self.group.as_ref() == Some(&group.id)
    }

    /// It failed as a whole, for this reason.
    pub(super) fn failure(&self, reason: impl fmt::Display) -> RuleFailure {
        let at = format!("{}:{}", self.cause.at, self.position.position().unwrap_or(1));
        RuleFailure::new(&*self.name, at, reason.to_string())
    }
}

/// A segment, ready to be judged: the unit has its condition and does nothing.
#[derive(Debug)]
pub(super) struct SegmentUnit {
    pub(super) segment: Segment,
    pub(super) unit: Unit,
}

/// A tier, ready to be judged.
#[derive(Debug)]
pub(super) struct TierUnit {
    /// How many tiers of the ladder are lower.
    pub(super) rank: usize,
    /// Who reaches it.
    pub(super) reach: Unit,
    /// Who keeps it besides.
    pub(super) keep: Option<Unit>,
}

impl TierUnit {
    fn conditions(&self) -> impl Iterator<Item = &Unit> {
        [&self.reach].into_iter().chain(&self.keep)
    }
}

/// Everything that runs of a program.
#[derive(Debug)]
pub(super) struct Code {
    /// Tells programs apart in the caches of a thread.
    pub(super) id: u64,
    pub(super) engine: Engine,
    /// What the files declare with `const`.
    pub(super) constants: Shared<Module>,
    pub(super) functions: Shared<Module>,
    /// The file of each function, for the place of a failure.
    pub(super) function_files: BTreeMap<String, Arc<str>>,
    pub(super) rules: BTreeMap<RuleEvent, Vec<Unit>>,
    /// The loyalty events on which rules start.
    pub(super) heard: Kinds,
    pub(super) triggers: BTreeMap<EventType, Vec<Unit>>,
    /// In the order in which they are judged: compound ones last, else by file and line.
    pub(super) segments: Vec<SegmentUnit>,
    /// Those that a condition leads to, lowest first.
    pub(super) tiers: Vec<TierUnit>,
    pub(super) tests: Vec<Unit>,
    pub(super) next_tick: NextTick,
    pub(super) declared: Declared,
}

/// What the files declare that conditions from elsewhere may mention, as the checker reads it.
#[derive(Debug, Default)]
pub(super) struct Declared {
    /// The names of the files.
    pub(super) files: Vec<Arc<str>>,
    /// Each with its file and where it begins.
    pub(super) functions: Vec<(usize, AST, Position)>,
    /// Those of items that may be mentioned. Empty = any.
    pub(super) categories: Vec<Name>,
}

impl Code {
    /// Whether both have the same segments, as they are written.
    pub(super) fn sorts_like(&self, other: &Self) -> bool {
        let written = |known: &SegmentUnit| (known.segment.clone(), known.unit.written.text.clone());
        self.segments.iter().map(written).eq(other.segments.iter().map(written))
    }

    /// Whether both have the same conditions of tiers, as they are written.
    pub(super) fn lifts_like(&self, other: &Self) -> bool {
        let written = |known: &TierUnit| -> (usize, Vec<Box<str>>) {
            (known.rank, known.conditions().map(|unit| unit.written.text.clone()).collect())
        };
        self.tiers.iter().map(written).eq(other.tiers.iter().map(written))
    }

    pub(super) fn empty() -> Self {
        Self {
            id: next_id(),
            engine: sandbox(None),
            constants: Module::new().into(),
            functions: Module::new().into(),
            function_files: BTreeMap::new(),
            rules: BTreeMap::new(),
            heard: Kinds::default(),
            triggers: BTreeMap::new(),
            segments: Vec::new(),
            tiers: Vec::new(),
            tests: Vec::new(),
            next_tick: NextTick::default(),
            declared: Declared::default(),
        }
    }

    /// Compiles all files of a folder.
    pub(super) fn compile(
        sources: &Sources,
        manifest: &Manifest,
        version: i64,
        care: Care,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut builder = Builder::new(manifest, version);
        let mut files: Vec<_> = sources.files.iter().filter(|(name, _)| name.ends_with(".rhai")).collect();
        files.sort_unstable();
        for (file, text) in files {
            builder.read(file, text.strip_prefix('\u{feff}').unwrap_or(text));
        }
        builder.finish(care)
    }

    /// Whether anything is to be judged when this tick is due.
    pub(super) fn waits_for(&self, tick: TickType) -> bool {
        let reviews = tick == TickType::TierReview && !self.tiers.is_empty();
        reviews || self.rules.contains_key(&RuleEvent::Tick(tick))
    }

    /// What a rule of this program starts on.
    pub(super) fn event_of(&self, unit: &Unit) -> &'static str {
        let has_it = |(_, units): &(_, &Vec<Unit>)| units.iter().any(|known| known.name == unit.name);
        self.rules.iter().find(has_it).map_or("", |(event, _)| event.as_str())
    }

    pub(super) fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.values().flatten().map(|rule| &*rule.name)
    }
}

/// Types of loyalty events. Most programs have few rules that start on them, and each thing told is looked up here first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kinds(u128);

impl FromIterator<EventType> for Kinds {
    fn from_iter<I: IntoIterator<Item = EventType>>(kinds: I) -> Self {
        const { assert!(EventType::ALL.len() <= u128::BITS as usize) };
        Self(kinds.into_iter().fold(0, |all, kind| all | 1 << kind as u32))
    }
}

impl Kinds {
    /// Those on which rules start.
    fn heard_by(rules: &BTreeMap<RuleEvent, Vec<Unit>>) -> Self {
        let told = |event: &RuleEvent| match event {
            RuleEvent::Told(kind) => Some(*kind),
            RuleEvent::Source(_) | RuleEvent::Tick(_) => None,
        };
        rules.keys().filter_map(told).collect()
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) const fn contains(self, kind: EventType) -> bool {
        self.0 & (1 << kind as u32) != 0
    }
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A cron answer costs tens of microseconds and stays right until the tick it names.
#[derive(Debug, Default)]
pub(super) struct NextTick(Mutex<Option<(Timestamp, Timestamp)>>);

impl NextTick {
    pub(super) fn get(
        &self,
        now: Timestamp,
        compute: impl FnOnce() -> Option<Timestamp>,
    ) -> Option<Timestamp> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *known {
            Some((asked, next)) if asked <= now && now < next => Some(next),
            _ => {
                let next = compute();
                *known = next.map(|next| (now, next));
                next
            }
        }
    }
}

/// A file as read.
pub(super) struct File {
    pub(super) name: Arc<str>,
    pub(super) text: String,
}

/// Collects declarations and problems over all files.
struct Builder<'a> {
    manifest: &'a Manifest,
    version: i64,
    parser: Engine,
    files: Vec<File>,
    rules: Vec<(usize, Block)>,
    triggers: Vec<(usize, Block)>,
    segments: Vec<(usize, Group)>,
    tiers: Vec<(usize, Rung)>,
    tests: Vec<(usize, Block)>,
    functions: Vec<(usize, AST, Position)>,
    constants: Vec<(usize, String, Position, Expr)>,
    /// Names of declarations that could not be read: what uses them is not at fault.
    unread: BTreeSet<String>,
    problems: Vec<Diagnostic>,
}

impl<'a> Builder<'a> {
    fn new(manifest: &'a Manifest, version: i64) -> Self {
        let mut parser = sandbox(None);
        parser.set_max_strings_interned(MAX_WORDS_ONCE);
        Self {
            manifest,
            version,
            parser,
            files: Vec::new(),
            rules: Vec::new(),
            triggers: Vec::new(),
            segments: Vec::new(),
            tiers: Vec::new(),
            tests: Vec::new(),
            functions: Vec::new(),
            constants: Vec::new(),
            unread: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    fn read(&mut self, name: &str, text: &str) {
        let index = self.files.len();
        self.files.push(File { name: name.into(), text: text.to_owned() });
        let pieces = match split::pieces(name, text) {
            Ok(pieces) => pieces,
            Err(problem) => {
                self.unread.extend(split::names(text));
                return self.problems.push(problem);
            }
        };
        for piece in pieces {
            match language::parse(&self.parser, name, text, piece) {
                Ok(Declaration::Rule(block)) => self.rules.push((index, block)),
                Ok(Declaration::Trigger(block)) => self.triggers.push((index, block)),
                Ok(Declaration::Segment(group)) => self.segments.push((index, group)),
                Ok(Declaration::Tier(rung)) => self.tiers.push((index, rung)),
                Ok(Declaration::Test(block)) => self.tests.push((index, block)),
                Ok(Declaration::Function(ast, position)) => self.functions.push((index, ast, position)),
                Ok(Declaration::Constant { name, position, value }) => {
                    self.constants.push((index, name, position, value));
                }
                Err(problem) => {
                    self.unread.extend(split::names(piece.text));
                    self.problems.push(problem);
                }
            }
        }
    }

    fn finish(mut self, care: Care) -> Result<Code, Vec<Diagnostic>> {
        let (constants, failed) = self.constants();
        let is_read = self.problems.is_empty() && failed.is_empty();
        let checked = self.check(&constants, failed);
        let is_in_the_way = self.problems.iter().any(|problem| problem.code.is_in_the_way());
        let is_whole = is_read && checked.is_whole(&self) && !is_in_the_way;
        let may_run = match care {
            Care::New => self.problems.is_empty(),
            Care::Published => is_whole,
        };
        if !may_run {
            self.problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
            return Err(self.problems);
        }
        let Checked { rule_events, trigger_events, segments, ranks } = checked;
        let mut module = Module::new();
        for (name, value) in &constants {
            module.set_var(name.as_str(), value.clone());
        }
        let mut functions = Module::new();
        let mut function_files = BTreeMap::new();
        for (file, ast, _) in &self.functions {
            for definition in ast.iter_fn_def() {
                function_files.insert(definition.name.to_string(), self.files[*file].name.clone());
                functions.set_script_fn(definition.clone());
            }
        }
        let maker = Maker {
            files: &self.files,
            version: self.version,
            constants: &constants,
            left: Cell::new(MAX_NODES_OF_ALL),
            functions: &self.functions,
        };
        let rules = maker.grouped(self.rules, rule_events, RuleEvent::variable);
        let module: Shared<Module> = module.into();
        Ok(Code {
            id: next_id(),
            engine: sandbox(Some(module.clone())),
            constants: module,
            functions: functions.into(),
            function_files,
            heard: Kinds::heard_by(&rules),
            rules,
            triggers: maker.grouped(self.triggers, trigger_events, |_| Some(("event", Type::Event))),
            segments: maker.segments(self.segments, segments),
            tiers: maker.tiers(self.tiers, ranks),
            tests: maker.tests(self.tests),
            next_tick: NextTick::default(),
            declared: Declared {
                files: self.files.iter().map(|file| file.name.clone()).collect(),
                functions: self.functions,
                categories: self.manifest.categories.clone(),
            },
        })
    }

    /// Evaluates the constants, each of which may use those before it; and what went wrong with which of them.
    fn constants(&mut self) -> (BTreeMap<String, Dynamic>, BTreeMap<usize, Diagnostic>) {
        let (mut known, mut failed) = (BTreeMap::new(), BTreeMap::new());
        let mut scope = Scope::new();
        for (at, (file, name, position, value)) in self.constants.iter().enumerate() {
            let File { name: file, text } = &self.files[*file];
            let problem = |mistake, message: String| {
                Diagnostic::new(mistake, file, Spot::of_position(text, *position), message)
            };
            if let Some((first, _, line, _)) =
                self.constants.iter().find(|(_, other, ..)| other == name && known.contains_key(name))
            {
                let place = format!("{}:{}", self.files[*first].name, line.line().unwrap_or(1));
                let message = format!("there is already a constant called `{name}` at {place}");
                self.problems.push(problem(Mistake::DuplicateName, message).help("choose another name"));
                continue;
            }
            if known.len() >= MAX_CONSTANTS {
                let message = format!("a program may have {MAX_CONSTANTS} constants; this is one more");
                self.problems.push(problem(Mistake::TooMany, message));
                break;
            }
            match evaluate_constant(&self.parser, &mut scope, value) {
                Ok(value) if is_plain(&value) => {
                    scope.push_constant_dynamic(name.as_str(), value.clone());
                    known.insert(name.clone(), value);
                }
                Ok(_) => {
                    let message = format!("`{name}` must be a number, a text, true, false, or a list");
                    failed.insert(at, problem(Mistake::WrongType, message));
                }
                Err(message) => {
                    let is_asked = |other: &str| other != name && message.contains(&format!("`{other}`"));
                    let mut later = self.constants.iter().map(|(_, other, ..)| other);
                    let help = later.find(|other| is_asked(other)).map(|other| {
                        format!("constants are reckoned from top to bottom, file by file: `{other}` must come first")
                    });
                    failed.insert(at, problem(Mistake::InvalidConstant, message).maybe_help(help));
                }
            }
        }
        (known, failed)
    }

    /// Checks everything; of a constant that `failed`, what the checker finds says more.
    fn check(
        &mut self,
        constants: &BTreeMap<String, Dynamic>,
        mut failed: BTreeMap<usize, Diagnostic>,
    ) -> Checked {
        let mut checker = Checker::new(self.manifest, constants, &self.files, &self.functions);
        checker.know_unread(&self.unread);
        for (at, (file, name, _, value)) in self.constants.iter().enumerate() {
            let failed_name = failed.contains_key(&at).then_some(name.as_str());
            if !check::too_deep(value) && checker.constant_value(*file, value, failed_name) {
                failed.remove(&at);
            }
        }
        checker.names(&self.rules, &self.triggers, &self.tests);
        let segments = checker.segments(&self.segments);
        let ranks = checker.tiers(&self.tiers);
        checker.awaited(&self.rules, &self.triggers);
        checker.shadowed(&self.rules);
        checker.functions();
        let rules = self.rules.iter().map(|(file, block)| checker.rule(*file, block)).collect::<Vec<_>>();
        let triggers =
            self.triggers.iter().map(|(file, block)| checker.trigger(*file, block)).collect::<Vec<_>>();
        for (file, block) in &self.tests {
            checker.test(*file, block);
        }
        self.problems.extend(checker.problems());
        self.problems.extend(failed.into_values());
        Checked {
            rule_events: rules.into_iter().flatten().collect(),
            trigger_events: triggers.into_iter().flatten().collect(),
            segments,
            ranks,
        }
    }
}

/// How a program is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// It may be put in force only if nothing is wrong with it.
    New,
    /// It was in force already. What the checker has learned since then keeps nobody from going on as before.
    Published,
}

/// What the checker made of the declarations, each list in the order of its own.
struct Checked {
    rule_events: Vec<On<RuleEvent>>,
    trigger_events: Vec<On<EventType>>,
    segments: Vec<Segment>,
    ranks: Vec<usize>,
}

impl Checked {
    /// Whether something was made of each of them.
    fn is_whole(&self, builder: &Builder<'_>) -> bool {
        let Builder { rules, triggers, segments, tiers, .. } = builder;
        let made = [self.rule_events.len(), self.trigger_events.len(), self.segments.len(), self.ranks.len()];
        made == [rules.len(), triggers.len(), segments.len(), tiers.len()]
    }
}

fn evaluate_constant(engine: &Engine, scope: &mut Scope<'static>, value: &Expr) -> Result<Dynamic, String> {
    if check::too_deep(value) {
        return Err("this is nested too deeply".to_owned());
    }
    let mut global = engine.new_global_runtime_state();
    let mut caches = Caches::new();
    let mut context = EvalContext::new(engine, &mut global, &mut caches, scope, None);
    context.eval_expression_tree(&Expression::from(value)).map_err(|error| language::failure(&error).2)
}

fn is_plain(value: &Dynamic) -> bool {
    match value.as_array_ref() {
        Ok(list) => list.iter().all(is_plain),
        Err(_) => value.is_int() || value.is_decimal() || value.is_string() || value.is_bool(),
    }
}
