//! Transforms of endpoints: what is sent instead of the canonical message, which they see as `body`.
//!
//! A transform belongs to an endpoint and knows no program: no member, no constants, no effects. So it is compiled once for an
//! endpoint's configuration, and says the same of the same message whenever it is asked, which makes retries equal to the byte.
//! There is no checker of types. Instead it is run on the catalogue's examples before it is taken. `body` is a view
//! ([`super::message`]); what a transform makes itself is bounded by the sandbox.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rhai::{AST, Array, Dynamic, Engine, EvalAltResult, Map, Position, Scope, Stmt};
use rust_decimal::Decimal;

use crate::domain::endpoint::{Endpoint, Script};
use crate::domain::loyalty_event::EventType;

use super::complaints::{in_words, syntax_error};
use super::diagnostic::{Diagnostic, Mistake, Spot};
use super::language::failure;
use super::message::{self, Object};
use super::program::on_big_stack;
use super::requests::Failure;
use super::written::Writing;
use super::{api, engine, split};

/// What is said of the places in it.
const FILE: &str = "transform";
/// What it sees.
const BODY: &str = "body";
/// The most elements of a list that it makes, and the most entries of a map, those within included.
const MAX_PARTS: usize = 500;
/// The most bytes of texts in what it makes.
const MAX_TEXT_BYTES: usize = 16 * 1024;
const WRITING: Writing = Writing { what: "what is sent", most: 64 * 1024, levels: 32, trims: false };
/// How long the examples may take together, while somebody waits.
const MOST_TIME: Duration = Duration::from_secs(2);

/// Shared by all transforms: none of them leaves anything in it.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let [arithmetic, logic] = engine::operators();
    let mut engine = engine::bare(&[arithmetic, logic, api::plain_words()]);
    engine
        .disable_symbol("fn")
        .set_strict_variables(true)
        .set_max_array_size(MAX_PARTS)
        .set_max_map_size(MAX_PARTS)
        .set_max_string_size(MAX_TEXT_BYTES);
    message::register(&mut engine);
    // Who walks over items wants to make a list of them.
    engine
        .register_fn("push", push)
        .register_fn("remove", |map: &mut Map, name: &str| map.remove(name).unwrap_or(Dynamic::UNIT))
        .register_fn("contains", |map: &mut Map, name: &str| map.contains_key(name))
        .register_fn("to_string", |number: i64| number.to_string())
        .register_fn("to_string", |number: Decimal| number.to_string())
        .register_fn("to_string", |yes: bool| yes.to_string());
    engine
});

/// What lies in the value is counted by the interpreter.
fn push(list: &mut Array, value: Dynamic) -> Result<(), Failure> {
    if list.len() >= MAX_PARTS {
        return Err(format!("a list has {MAX_PARTS} elements at most").into());
    }
    list.push(value);
    Ok(())
}

/// A transform, ready to be used.
#[derive(Debug)]
pub struct Transform {
    text: Box<str>,
    ast: AST,
}

/// Why a transform is not taken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("does not check{}: {problem}", .kind.map(|kind| format!(" for {kind}")).unwrap_or_default())]
pub struct TransformProblem {
    /// The type on whose example it fails, once it can be read.
    pub kind: Option<EventType>,
    /// What is wrong, and where.
    pub problem: Diagnostic,
}

impl Transform {
    /// Compiles a transform.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn compile(script: &Script) -> Result<Self, Diagnostic> {
        let text = script.as_str();
        split::readable(FILE, text)?;
        let mut known = Scope::new();
        known.push_constant(BODY, ());
        let compiled = on_big_stack(|| ENGINE.compile_with_scope(&known, text));
        let compiled = compiled.map_err(|why| Diagnostic::of_file(Mistake::Internal, FILE, why))?;
        let ast = compiled.map_err(|error| syntax_error(FILE, text, 0, &error))?;
        Ok(Self { text: text.into(), ast })
    }

    /// What is sent instead of this message.
    ///
    /// # Errors
    /// Why it makes nothing of it, and where.
    pub fn apply(&self, message: &str) -> Result<String, Diagnostic> {
        let body = Object::read(message)
            .map_err(|error| self.at_end(format!("the message cannot be read: {error}")))?;
        let mut scope = Scope::new();
        scope.push_constant(BODY, body);
        let made = ENGINE.eval_ast_with_scope(&mut scope, &self.ast).map_err(|error| self.failed(&error))?;
        Self::written(&made).map_err(|problem| self.at_end(problem))
    }

    /// A map, or an object of the message.
    fn written(made: &Dynamic) -> Result<String, String> {
        if let Some(map) = made.read_lock::<Map>() {
            return WRITING.map(&map);
        }
        match made.read_lock::<Object>().and_then(|_| message::raw(made)) {
            Some(raw) => WRITING.raw(&raw),
            None => {
                let found = in_words(made.type_name());
                Err(format!(
                    "it must end with what is to be sent, a map such as `#{{ id: body.id }}`, but this is {found}"
                ))
            }
        }
    }

    fn failed(&self, error: &EvalAltResult) -> Diagnostic {
        let (_, position, message) = failure(error);
        self.at(position, message)
    }

    /// A problem with what it ends with.
    fn at_end(&self, message: String) -> Diagnostic {
        let position = match self.ast.statements().last() {
            Some(Stmt::Expr(value)) => value.start_position(),
            Some(other) => other.position(),
            None => Position::NONE,
        };
        self.at(position, message)
    }

    fn at(&self, position: Position, message: String) -> Diagnostic {
        Diagnostic::new(Mistake::TransformFails, FILE, Spot::of_position(&self.text, position), message)
    }

    /// Checks the transform of an endpoint: that it makes something of the example of each type that is subscribed to.
    ///
    /// # Errors
    /// It does not.
    pub fn check(endpoint: &Endpoint) -> Result<(), TransformProblem> {
        let Some(script) = &endpoint.settings.transform else { return Ok(()) };
        let transform = Self::compile(script).map_err(|problem| TransformProblem { kind: None, problem })?;
        let begun = Instant::now();
        let tried = |kind: EventType| {
            let made = match begun.elapsed() > MOST_TIME {
                true => Err(transform.at(Position::NONE, "takes too long for so many types".to_owned())),
                false => transform.apply(&kind.example().to_json()).map(drop),
            };
            made.map_err(|problem| TransformProblem { kind: Some(kind), problem })
        };
        let carried = || EventType::ALL.iter().copied().filter(|kind| endpoint.dialect.carries(*kind));
        let mut wanted = carried().filter(|kind| endpoint.subscribes_to(*kind)).peekable();
        if wanted.peek().is_some() {
            return wanted.try_for_each(tried);
        }
        // Only triggers forward to it, and which types is not known: it must make something of one of them.
        let mut tries = carried().map(tried);
        let first = tries.next().unwrap_or(Ok(()));
        if first.is_ok() || tries.any(|tried| tried.is_ok()) { Ok(()) } else { first }
    }
}
