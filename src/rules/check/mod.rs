//! Static checks: what the interpreter would find out only when a guest stands at the till.
//!
//! Rhai compiles a misspelt property, compares a text with a number by silently answering `false`, and divides 1 by 2
//! to 0. The checker walks the parsed tree with the types of [`super::vocabulary`] and complains first. It must never
//! complain about what is right: where a type is not known (parameters of functions, elements of lists) it keeps
//! quiet.

mod awaited;
mod effects;
mod endless;
mod expressions;
mod literals;
mod marks;
mod names;
mod never;
mod operators;
mod roles;
mod segments;
mod statements;
mod tiers;

use std::collections::BTreeMap;

use rhai::{AST, ASTNode, Dynamic, Expr, Position, Stmt};

use crate::domain::loyalty_event::EventType;
use crate::domain::text::Name;

use super::code::{File, On, RuleEvent};
use super::diagnostic::{Diagnostic, Spot};
use super::engine::MAX_DEPTH;
use super::language::Block;
use super::manifest::Manifest;
use super::suggest;
use super::vocabulary::{Place, Role, Type, Word};

/// What a test may well say of `false`.
const WHAT_IS_EXPECTED: &str = "what `expect` expects";
/// More problems than anybody reads at once.
const MAX_PROBLEMS: usize = 500;

/// What is known of a value before it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    kind: Type,
    /// What a text must name.
    role: Option<Role>,
    /// Between what a number lies.
    bounds: Option<(i64, i64)>,
}

impl Known {
    const ANY: Self = Self::of(Type::Any);

    const fn of(kind: Type) -> Self {
        Self { kind, role: None, bounds: None }
    }
}

/// A variable in sight.
#[derive(Debug, Clone)]
struct Variable {
    name: String,
    kind: Type,
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
    functions: Vec<Function<'a>>,
    functions_by_name: BTreeMap<String, Vec<usize>>,
    rule_names: Vec<String>,
    segment_names: Vec<String>,
    /// Whether conditions move members between tiers.
    has_tier_conditions: bool,
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
    variables: Vec<Variable>,
    depth: usize,
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        manifest: &'a Manifest,
        constants: &'a BTreeMap<String, Dynamic>,
        files: &'a [File],
        functions: &'a [(usize, AST, Position)],
    ) -> Self {
        let here = Here { file: 0, place: Place::Anywhere, event: None, variables: Vec::new(), depth: 0 };
        let mut checker = Self {
            manifest,
            files,
            constants,
            functions: Vec::new(),
            functions_by_name: BTreeMap::new(),
            rule_names: Vec::new(),
            segment_names: Vec::new(),
            has_tier_conditions: false,
            problems: Vec::new(),
            here,
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
            let help = match block.event.parse::<EventType>() {
                Ok(EventType::MemberErased) => {
                    Some("who was erased is nobody any more; use a `trigger` for this".to_owned())
                }
                Ok(_) => Some("rules start on what happens to a guest; use a `trigger` for this".to_owned()),
                Err(_) => {
                    let own = self.manifest.terms.events.iter().map(|name| name.as_str());
                    let all = RuleEvent::all().map(|event| -> &str { event.as_str() });
                    suggest::or_list(&block.event, all.chain(own))
                }
            };
            self.unknown_event(block, help);
            return None;
        };
        if let Some((name, kind)) = event.variable() {
            self.variable(name, kind);
        }
        self.here.event = event.seen_as();
        self.joined(block);
        self.block(block);
        self.endless(block);
        Some(On { event, own })
    }

    /// Checks a trigger; gives the loyalty event it waits for.
    pub(super) fn trigger(&mut self, file: usize, block: &Block) -> Option<On<EventType>> {
        let own = self.own_event(block);
        let event = own.as_ref().map_or_else(|| block.event.parse().ok(), |_| Some(EventType::CustomEmitted));
        self.enter(file, Place::Trigger, event);
        if event.is_none_or(EventType::is_about_member) {
            self.variable("member", Type::Member);
        }
        self.variable("event", Type::Event);
        let Some(event) = event else {
            let own = self.manifest.terms.events.iter().map(|name| name.as_str());
            let known = EventType::ALL.iter().map(|e| e.as_str()).chain(own);
            self.unknown_event(block, suggest::or_list(&block.event, known));
            return None;
        };
        self.block(block);
        Some(On { event, own })
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

    /// Checks the bodies of functions. Their parameters can be anything.
    pub(super) fn functions(&mut self) {
        for Function { file, params, ast, .. } in self.functions.clone() {
            self.enter(file, Place::Anywhere, None);
            let params =
                params.into_iter().map(|name| Variable { name, kind: Type::Any, origin: Origin::Bound });
            self.here.variables.extend(params);
            let mut ended = None;
            // The parser hands out the statements of a function in no other way.
            ast.walk(&mut |path| {
                if let [ASTNode::Stmt(statement)] = path {
                    self.reached(statement, &mut ended);
                    self.statement(statement);
                }
                true
            });
            self.forget_variables(0);
        }
    }

    fn unknown_event(&mut self, block: &Block, help: Option<String>) {
        let spot = Spot { length: block.event.len(), ..self.spot(block.event_position) };
        let message = format!("there is no event called `{}`", block.event);
        self.push(spot, message, help);
    }

    fn block(&mut self, block: &Block) {
        if let Some(condition) = &block.condition {
            self.condition(condition, "the condition after `when`");
        }
        self.expression(&block.body);
    }

    fn enter(&mut self, file: usize, place: Place, event: Option<EventType>) {
        self.here = Here { file, place, event, variables: Vec::new(), depth: 0 };
    }

    fn variable(&mut self, name: &str, kind: Type) {
        self.here.variables.push(Variable { name: name.to_owned(), kind, origin: Origin::Given });
    }

    fn spot(&self, position: Position) -> Spot {
        Spot::of_position(&self.files[self.here.file].text, position)
    }

    fn push(&mut self, spot: Spot, message: impl Into<String>, help: Option<String>) {
        let file = &self.files[self.here.file].name;
        let problem = Diagnostic::new(file, spot, message).maybe_help(help);
        if self.problems.len() < MAX_PROBLEMS && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    fn problem(&mut self, position: Position, message: impl Into<String>, help: Option<String>) {
        self.push(self.spot(position), message, help);
    }

    /// Something that must be true or false.
    fn condition(&mut self, expr: &Expr, what: &str) {
        let kind = self.expression(expr).kind;
        if let Expr::BoolConstant(false, position) = expr
            && what != WHAT_IS_EXPECTED
        {
            let help = Some("delete what depends on it, or put it into a comment".to_owned());
            self.problem(*position, format!("{what} never holds"), help);
        }
        if !kind.fits(Type::Bool) {
            let help =
                matches!(kind, Type::Whole | Type::Decimal).then(|| "compare it, such as `> 0`".to_owned());
            self.problem(
                start(expr),
                format!("{what} must be true or false, but it is {}", kind.as_str()),
                help,
            );
        }
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
