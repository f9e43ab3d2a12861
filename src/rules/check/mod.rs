//! Static checks: what the interpreter would find out only when a guest stands at the till.
//!
//! Rhai compiles a misspelt property, compares a text with a number by silently answering `false`, and divides 1 by 2
//! to 0. The checker walks the parsed tree with the types of [`super::vocabulary`] and complains first. It must never
//! complain about what is right: where a type is not known (parameters of functions, elements of lists) it keeps
//! quiet.

mod awaited;
mod calls;
mod claims;
mod dates;
mod effects;
mod endless;
mod expressions;
mod groups;
mod idle;
mod literals;
mod marks;
mod names;
mod never;
mod odd;
mod operators;
mod roles;
mod segments;
mod statements;
mod switch;
mod tiers;

use std::collections::{BTreeMap, BTreeSet};

use rhai::{AST, ASTNode, Dynamic, Expr, Position, Stmt};

use crate::domain::loyalty_event::EventType;
use crate::domain::text::Name;

use super::code::{File, On, RuleEvent};
use super::diagnostic::{Diagnostic, Mistake, Spot};
use super::engine::MAX_DEPTH;
use super::language::Block;
use super::manifest::Manifest;
use super::suggest;
use super::vocabulary::{Bounds, Place, Role, Type, Word};
use claims::{Claim, Standing};

/// What a test may well say of `false`.
const WHAT_IS_EXPECTED: &str = "what `expect` expects";
/// More problems than anybody reads at once.
const MAX_PROBLEMS: usize = 500;
/// How many comparisons of a program are held against each other: a hostile one has thousands in each rule.
const MAX_LOOKS: usize = 300_000;
/// How many times something is searched for in the text of a file once more: the cases of a `switch`, a bracket.
const MAX_SEARCHES: usize = 3_000;

/// What is known of a value before it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Known {
    kind: Type,
    /// What a text must name.
    role: Option<Role>,
    /// Between what a number lies.
    bounds: Option<Bounds>,
    /// Whether it may be nothing after all: no case of a `switch` may fit.
    may_be_missing: bool,
    /// Whether it was handed to a function as a text that is written out: one of few that the function is made for.
    is_written: bool,
}

impl Known {
    const ANY: Self = Self::of(Type::Any);

    const fn of(kind: Type) -> Self {
        Self { kind, role: None, bounds: None, may_be_missing: false, is_written: false }
    }
}

/// A variable in sight.
#[derive(Debug, Clone)]
struct Variable {
    name: String,
    known: Known,
    origin: Origin,
}

/// Where a variable comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// `order`, `member` and their like, which cannot be assigned to.
    Given,
    /// A parameter, or what `for` walks over.
    Bound,
    /// A `let` at this place whose value nothing has used yet.
    Unused(Position),
    /// Another `let`.
    Used,
}

/// A function of the folder.
#[derive(Debug, Clone)]
struct Function<'a> {
    file: usize,
    name: String,
    params: Vec<String>,
    position: Position,
    ast: &'a AST,
    /// Words that it uses, itself or through others, and that may be used in one place only: one of each place.
    uses: Vec<&'static Word>,
}

/// Walks over everything and collects what is wrong.
pub(super) struct Checker<'a> {
    manifest: &'a Manifest,
    files: &'a [File],
    constants: &'a BTreeMap<String, Dynamic>,
    /// Constants that could not be reckoned, and names of what could not be read: nothing is known of them.
    failed: BTreeSet<&'a str>,
    functions: Vec<Function<'a>>,
    functions_by_name: BTreeMap<String, Vec<usize>>,
    rule_names: Vec<String>,
    segment_names: Vec<String>,
    /// Whether conditions move members between tiers.
    has_tier_conditions: bool,
    /// What functions give when they are called with these.
    calls: BTreeMap<(usize, Vec<Known>), Known>,
    /// How many comparisons may still be held against each other.
    looks: usize,
    /// How many times the text of a file may still be searched.
    searches: usize,
    problems: Vec<Diagnostic>,
    /// Of the declaration at hand.
    here: Here,
}

/// Where the checker is.
#[derive(Debug)]
struct Here {
    file: usize,
    place: Place,
    /// The event of a trigger.
    event: Option<EventType>,
    /// What a rule starts on.
    starts_on: Option<RuleEvent>,
    variables: Vec<Variable>,
    /// Names of variables that something else is put into.
    assigned: BTreeSet<String>,
    /// What is so where the checker is.
    held: Vec<Claim>,
    /// What the function at hand returns, as far as it was seen.
    returned: Option<Known>,
    /// How many branches it is in that need not be taken.
    branches: usize,
    /// Whether this is a function, which sees nothing but what it is given.
    is_function: bool,
    /// The calls that led here, and where the first of them is.
    called: Option<(usize, String)>,
    depth: usize,
}

impl Here {
    const fn new(file: usize, place: Place) -> Self {
        Self {
            file,
            place,
            event: None,
            starts_on: None,
            variables: Vec::new(),
            assigned: BTreeSet::new(),
            held: Vec::new(),
            returned: None,
            branches: 0,
            is_function: false,
            called: None,
            depth: 0,
        }
    }
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        constants: &'a BTreeMap<String, Dynamic>,
        files: &'a [File],
        functions: &'a [(usize, AST, Position)],
    ) -> Self {
        let mut checker = Self {
            manifest,
            files,
            constants,
            failed: BTreeSet::new(),
            functions: Vec::new(),
            functions_by_name: BTreeMap::new(),
            rule_names: Vec::new(),
            segment_names: Vec::new(),
            has_tier_conditions: false,
            calls: BTreeMap::new(),
            looks: MAX_LOOKS,
            searches: MAX_SEARCHES,
            problems: Vec::new(),
            here: Here::new(0, Place::Anywhere),
        };
        checker.declare_functions(functions);
        checker.trace_effects();
        checker
    }

    /// The functions of the folder that are called so.
    fn own(&self, name: &str) -> impl Iterator<Item = &Function<'a>> {
        self.functions_by_name.get(name).into_iter().flatten().map(|at| &self.functions[*at])
    }

    pub(super) fn problems(self) -> Vec<Diagnostic> {
        self.problems
    }

    /// Checks a rule; gives the event it starts on.
    pub(super) fn rule(&mut self, file: usize, block: &Block) -> Option<On<RuleEvent>> {
        let own = self.own_event(block);
        let event = match &own {
            Some(_) => Some(RuleEvent::Told(EventType::CustomEmitted)),
            None => RuleEvent::all().find(|event| event.as_str() == block.event),
        };
        self.enter(file, Place::Rule, None);
        self.variable("member", Type::Member);
        let Some(event) = event else {
            self.unknown_start(block);
            return None;
        };
        self.starts_on(event);
        self.joined(block);
        self.block(block);
        self.endless(block);
        Some(On { event, own })
    }

    /// What a rule sees that starts on this.
    fn starts_on(&mut self, event: RuleEvent) {
        self.here.starts_on = Some(event);
        if let Some((name, kind)) = event.variable() {
            self.variable(name, kind);
        }
        self.here.event = event.seen_as();
    }

    /// Complains about what no rule starts on, and checks the rest of it as if it were what was probably meant.
    fn unknown_start(&mut self, block: &Block) {
        let own = self.manifest.terms.events.iter().map(|name| name.as_str());
        let all = RuleEvent::all().map(|event| -> &str { event.as_str() }).chain(own);
        let meant = suggest::nearest(&block.event, all.clone()).map(str::to_owned);
        let help = match block.event.parse::<EventType>() {
            Ok(EventType::MemberErased) => {
                Some("who was erased is nobody any more; use a `trigger` for this".to_owned())
            }
            Ok(_) => Some("rules start on what happens to a guest; use a `trigger` for this".to_owned()),
            Err(_) => suggest::or_family(&block.event, all),
        };
        if self.manifest.is_whole || meant.is_some() {
            self.unknown_event(block, help);
        }
        let meant = meant.and_then(|meant| RuleEvent::all().find(|event| event.as_str() == meant));
        match meant {
            Some(event) => self.starts_on(event),
            None => {
                let mut names: Vec<_> = RuleEvent::all().filter_map(RuleEvent::variable).collect();
                names.sort_unstable();
                names.dedup();
                names.into_iter().for_each(|(name, _)| self.variable(name, Type::Any));
            }
        }
        self.joined(block);
        self.block(block);
    }

    /// Checks a trigger; gives the loyalty event it waits for.
    pub(super) fn trigger(&mut self, file: usize, block: &Block) -> Option<On<EventType>> {
        let own = self.own_event(block);
        let event = own.as_ref().map_or_else(|| block.event.parse().ok(), |_| Some(EventType::CustomEmitted));
        let (meant, help) = match event {
            Some(event) => (Some(event), None),
            None => {
                let own = self.manifest.terms.events.iter().map(|name| name.as_str());
                let known = EventType::ALL.iter().map(|e| e.as_str()).chain(own);
                let meant =
                    suggest::nearest(&block.event, known.clone()).and_then(|meant| meant.parse().ok());
                (meant, suggest::or_family(&block.event, known))
            }
        };
        self.enter(file, Place::Trigger, meant);
        if meant.is_none_or(EventType::is_about_member) {
            self.variable("member", Type::Member);
        }
        self.variable("event", Type::Event);
        if event.is_none() && (self.manifest.is_whole || meant.is_some()) {
            self.unknown_event(block, help);
        }
        self.block(block);
        event.map(|event| On { event, own })
    }

    /// The loyalty event of the program's own that a rule or trigger starts on.
    fn own_event(&self, block: &Block) -> Option<Name> {
        self.manifest.terms.events.iter().find(|name| name.as_str() == block.event).cloned()
    }

    /// Checks a test.
    pub(super) fn test(&mut self, file: usize, block: &Block) {
        self.enter(file, Place::Test, None);
        self.variable("member", Type::Member);
        self.block(block);
    }

    /// Checks a filter, asked about loyalty events of this type; gives what is wrong with it. What is wrong with the rest
    /// is not said.
    pub(super) fn filter(&mut self, file: usize, condition: &Expr, event: EventType) -> Vec<Diagnostic> {
        // What was said of one type may hold for the next.
        self.problems.clear();
        self.calls.clear();
        self.enter(file, Place::Filter, Some(event));
        if event.is_about_member() {
            self.variable("member", Type::Member);
        }
        self.variable("event", Type::Event);
        self.condition(condition, "the filter");
        std::mem::take(&mut self.problems)
    }

    /// Takes note of the names of declarations that could not be read.
    pub(super) fn know_unread(&mut self, names: &'a BTreeSet<String>) {
        self.failed.extend(names.iter().map(String::as_str));
    }

    /// Takes note of segments that were checked before.
    pub(super) fn know_segments(&mut self, names: Vec<String>) {
        self.segment_names = names;
    }

    /// Checks the bodies of functions. Their parameters can be anything.
    pub(super) fn functions(&mut self) {
        for at in 0..self.functions.len() {
            let params = vec![Known::ANY; self.functions[at].params.len()];
            self.here = Here::new(self.functions[at].file, Place::Anywhere);
            self.function(at, &params);
            self.idle_function(at);
            self.recursive(at);
        }
    }

    /// Checks what a constant is made of, and says whether anything is wrong; it may have `failed` to be reckoned.
    pub(super) fn constant_value(&mut self, file: usize, value: &Expr, failed: Option<&'a str>) -> bool {
        self.failed.extend(failed);
        self.enter(file, Place::Anywhere, None);
        let before = self.problems.len();
        self.expression(value);
        self.problems.len() > before
    }

    fn unknown_event(&mut self, block: &Block, help: Option<String>) {
        let spot = Spot { length: block.event.len(), ..self.spot(block.event_position) };
        let message = format!("there is no event called `{}`", block.event);
        self.push(Mistake::UnknownEvent, spot, message, help);
    }

    fn block(&mut self, block: &Block) {
        if let Some(condition) = &block.condition {
            self.condition(condition, "the condition after `when`");
            self.hold(condition, true, Standing::Around);
        }
        block.body.walk(&mut Vec::new(), &mut |path| self.here.note_assigned(path));
        self.expression(&block.body);
        if let Expr::Stmt(body) = &block.body {
            self.idle_block(body);
        }
    }

    fn enter(&mut self, file: usize, place: Place, event: Option<EventType>) {
        self.here = Here { event, ..Here::new(file, place) };
    }

    fn variable(&mut self, name: &str, kind: Type) {
        let variable = Variable { name: name.to_owned(), known: Known::of(kind), origin: Origin::Given };
        self.here.variables.push(variable);
    }

    /// Whether the text of a file may be searched once more.
    fn may_search(&mut self) -> bool {
        let left = self.searches.checked_sub(1);
        self.searches = left.unwrap_or(0);
        left.is_some()
    }

    fn spot(&self, position: Position) -> Spot {
        Spot::of_position(&self.files[self.here.file].text, position)
    }

    fn push(&mut self, mistake: Mistake, spot: Spot, message: impl Into<String>, help: Option<String>) {
        if self.problems.len() >= MAX_PROBLEMS {
            return;
        }
        if !self.manifest.is_whole && mistake.is_about_what_is_declared() {
            return; // it may be declared where program.toml cannot be read
        }
        let help = match &self.here.called {
            None => help,
            Some(_) if !calls::is_certain(mistake, self.here.branches) => return,
            Some((_, at)) => {
                help.map(|help| format!("{help}; called at {at}")).or(Some(format!("called at {at}")))
            }
        };
        let file = &self.files[self.here.file].name;
        let problem = Diagnostic::new(mistake, file, spot, message).maybe_help(help);
        if self.problems.iter().all(|known| !known.says_the_same(&problem)) {
            self.problems.push(problem);
        }
    }

    fn problem(
        &mut self,
        mistake: Mistake,
        position: Position,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        // To find the spot costs a search: in vain, when no more problems are kept.
        if self.problems.len() < MAX_PROBLEMS {
            self.push(mistake, self.spot(position), message, help);
        }
    }

    /// Something that must be true or false.
    fn condition(&mut self, expr: &Expr, what: &str) {
        let kind = self.expression(expr).kind;
        if let Expr::BoolConstant(false, position) = expr
            && what != WHAT_IS_EXPECTED
        {
            let help = Some("delete what depends on it, or put it into a comment".to_owned());
            self.problem(Mistake::NeverTrue, *position, format!("{what} never holds"), help);
        }
        if what != WHAT_IS_EXPECTED {
            self.against_held(expr);
        }
        if !kind.fits(Type::Bool) {
            let help =
                matches!(kind, Type::Whole | Type::Decimal).then(|| "compare it, such as `> 0`".to_owned());
            self.problem(
                Mistake::WrongType,
                start(expr),
                format!("{what} must be true or false, but it is {}", kind.as_str()),
                help,
            );
        }
    }
}

impl Here {
    /// Notes a variable that something else is put into.
    fn note_assigned(&mut self, path: &[ASTNode<'_>]) -> bool {
        if let Some(ASTNode::Stmt(Stmt::Assignment(parts))) = path.last()
            && let Expr::Variable(variable, ..) = &parts.1.lhs
        {
            self.assigned.insert(variable.1.to_string());
        }
        true
    }
}

fn type_of(value: &Dynamic) -> Type {
    match value {
        value if value.is_int() => Type::Whole,
        value if value.is_decimal() => Type::Decimal,
        value if value.is_string() => Type::Text,
        value if value.is_bool() => Type::Bool,
        value if value.is_array() => Type::List,
        value if value.is_map() => Type::Map,
        value if value.is_unit() => Type::Nothing,
        _ => Type::Any,
    }
}

/// Where an expression begins; the parser gives an operator's own place for `a == b`.
pub(super) fn start(expr: &Expr) -> Position {
    match expr {
        Expr::FnCall(call, _) if call.op_token.is_some() && call.args.len() == 2 => start(&call.args[0]),
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => start(&pair.lhs),
        Expr::And(parts, _) | Expr::Or(parts, _) => parts.first().map_or(Position::NONE, start),
        _ => expr.start_position(),
    }
}

/// Whether the interpreter would need more stack for this than it is known to have.
pub(super) fn too_deep(expr: &Expr) -> bool {
    let statement = Stmt::Expr(Box::new(expr.clone()));
    let ast = AST::new([statement], rhai::Module::new());
    !ast.walk(&mut |path: &[ASTNode<'_>]| path.len() <= MAX_DEPTH)
}
