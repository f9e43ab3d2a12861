//! The sandbox: an interpreter that can do arithmetic, compare texts and ask for effects, and nothing else.
//!
//! It is an allow-list. The engine starts empty; operators come from two of Rhai's packages, every function and
//! property from [`super::api`]. There is no `eval`, no module, no closure, no function pointer, no clock, no output,
//! no unbounded loop, and no function that grows a text or a list. What is left is bounded by operations, depth
//! and sizes, so that a hostile rule costs its chain milliseconds and other chains nothing; a deadline is the last
//! resort.
//!
//! Sizes alone bound no memory: Rhai does not look at the whole of what an assignment such as `m[k] = v` changes, and a
//! value may be held many times over. So whatever is read of a variable is weighed, and what is heavy counts as
//! further steps ([`scales`](super::scales)).

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rhai::packages::{ArithmeticPackage, LogicPackage, Package};
use rhai::{Dynamic, Engine, EvalContext, Module, OptimizationLevel, Shared, Token};

use super::scales::Scales;
use super::{api, language};

/// The largest rules file, in bytes. Parsing cannot be interrupted, so it is bounded by its input.
pub(super) const MAX_FILE_BYTES: usize = 64 * 1024;
/// The largest rule, trigger, test or function, in bytes: bounds the depth of what the parser builds.
pub(super) const MAX_PIECE_BYTES: usize = 8 * 1024;
/// Interpreter steps of one rule. The sample chain's rules use a few dozen each. This is what stops a rule that runs
/// away, at the same step on every machine, so that a decision can be repeated.
const MAX_OPERATIONS: u64 = 20_000;
/// The last resort, should there be a step that takes longer than any we know: reaching it depends on the machine and
/// its load, so it lies far above what the steps can take. The dearest known ones (a list of 500 searched, a history of
/// 400 days sorted) come to a tenth of a second in a debug build on an idle machine.
const DEADLINE: Duration = Duration::from_secs(10);
/// Steps between two looks at the clock; ordinary rules never get that far, so they never read it.
const STEPS_PER_LOOK: u64 = 128;
/// The longest text, in bytes, also of all texts in one list.
pub(super) const MAX_TEXT_BYTES: usize = 2_000;
/// The most elements of a list, those of lists within it included.
pub(super) const MAX_LIST: usize = 500;
/// The most entries of a map, likewise.
pub(super) const MAX_MAP: usize = 100;
/// The most variables at once.
pub(super) const MAX_VARIABLES: usize = 50;
/// Functions may call each other this deep. With the depths below, the worst rule of a debug build takes about 1.2 MiB of
/// stack, of the 2 MiB that a thread has.
pub(super) const MAX_CALL_LEVELS: usize = 6;
/// Nesting of expressions and blocks in a rule.
pub(super) const MAX_DEPTH: usize = 32;
/// Nesting of expressions and blocks in a function.
pub(super) const MAX_FUNCTION_DEPTH: usize = 20;

/// Everything that all chains share; built once.
static SHARED: LazyLock<[Shared<Module>; 3]> = LazyLock::new(|| {
    let [arithmetic, logic] = operators();
    [arithmetic, logic, api::VOCABULARY.module.clone()]
});

/// Arithmetic and comparisons.
pub(super) fn operators() -> [Shared<Module>; 2] {
    [ArithmeticPackage::new().as_shared_module(), LogicPackage::new().as_shared_module()]
}

/// Words and signs of Rhai that everybody does without.
const DISABLED: [&str; 35] = [
    "eval",
    "import",
    "export",
    "as",
    "global",
    "private",
    "while",
    "loop",
    "do",
    "until",
    "try",
    "catch",
    "throw",
    "this",
    "debug",
    "print",
    "type_of",
    "Fn",
    "call",
    "curry",
    "is_shared",
    "is_def_var",
    "is_def_fn",
    "go",
    "spawn",
    "<<",
    ">>",
    "<<=",
    ">>=",
    "&",
    "|",
    "^",
    "&=",
    "|=",
    "^=",
];
/// Signs that the checker does not know.
const UNCHECKED: [&str; 2] = ["??", "?."];

/// An interpreter for one program; `constants` holds what its files declare with `const`.
pub(super) fn sandbox(constants: Option<Shared<Module>>) -> Engine {
    sandbox_with(constants, |_, _| None)
}

/// The same, which asks `known` first what a variable is.
pub(super) fn sandbox_with(
    constants: Option<Shared<Module>>,
    known: impl Fn(&str, &EvalContext<'_, '_, '_, '_, '_, '_>) -> Option<Dynamic> + Send + Sync + 'static,
) -> Engine {
    let mut engine = bare(&*SHARED);
    weigh(&mut engine, constants.as_deref().map(Scales::of).unwrap_or_default(), known);
    if let Some(constants) = constants {
        engine.register_global_module(constants);
    }
    for sign in UNCHECKED {
        engine.disable_symbol(sign);
    }
    language::register(&mut engine);
    engine
}

/// An interpreter with its limits that knows no words but these.
pub(super) fn bare(words: &[Shared<Module>]) -> Engine {
    let mut engine = Engine::new_raw();
    for module in words {
        engine.register_global_module(module.clone());
    }
    for word in DISABLED {
        engine.disable_symbol(word);
    }
    limit(&mut engine);
    weigh(&mut engine, Scales::default(), |_, _| None);
    #[allow(deprecated)] // "volatile" in Rhai's words: pinned by the exact version in Cargo.toml
    engine.on_parse_token(|token, _, _| match token {
        Token::Identifier(word) if *word == "and" => Token::And,
        Token::Identifier(word) if *word == "or" => Token::Or,
        // It would bind to the next word alone: `not total > 5` is not what it seems.
        Token::Identifier(word) if *word == "not" => Token::Reserved(word),
        token => token,
    });
    engine
}

/// Has whatever is read of a variable count by its weight.
fn weigh(
    engine: &mut Engine,
    scales: Scales,
    known: impl Fn(&str, &EvalContext<'_, '_, '_, '_, '_, '_>) -> Option<Dynamic> + Send + Sync + 'static,
) {
    #[allow(deprecated)] // "volatile" in Rhai's words: pinned by the exact version in Cargo.toml
    engine.on_var(move |name, _, mut context| {
        let value = known(name, &context);
        if value.is_none() {
            let steps = scales.steps(name, context.scope());
            context.global_runtime_state_mut().num_operations += steps;
        }
        Ok(value)
    });
}

fn limit(engine: &mut Engine) {
    engine
        .set_max_operations(MAX_OPERATIONS)
        .set_max_call_levels(MAX_CALL_LEVELS)
        .set_max_expr_depths(MAX_DEPTH, MAX_FUNCTION_DEPTH)
        .set_max_string_size(MAX_TEXT_BYTES)
        .set_max_array_size(MAX_LIST)
        .set_max_map_size(MAX_MAP)
        .set_max_variables(MAX_VARIABLES)
        .set_max_functions(200)
        .set_allow_anonymous_fn(false)
        .set_allow_shadowing(false)
        .set_fail_on_invalid_map_property(true)
        // The checker wants the program as written; folding constants gains nothing measurable.
        .set_optimization_level(OptimizationLevel::None);
    engine.on_progress(past_deadline);
}

/// What a thread knows of the run that it is in.
#[derive(Clone, Copy)]
struct Watch {
    /// At how many steps it looks at the clock again. Not every number of steps comes up: heavy values count as many.
    next: u64,
    /// What the clock said at the first look.
    first: Option<Instant>,
}

impl Watch {
    const NEW: Self = Self { next: STEPS_PER_LOOK, first: None };
}

thread_local! {
    static WATCH: Cell<Watch> = const { Cell::new(Watch::NEW) };
}

/// Ends a run that lasts too long.
fn past_deadline(steps: u64) -> Option<Dynamic> {
    if steps == 1 {
        WATCH.set(Watch::NEW); // every run begins with this step
        return None;
    }
    let Watch { next, first } = WATCH.get();
    if steps < next {
        return None;
    }
    let now = Instant::now();
    let first = first.unwrap_or(now);
    WATCH.set(Watch { next: steps + STEPS_PER_LOOK, first: Some(first) });
    (now - first > DEADLINE).then(|| Dynamic::from(format!("took longer than {} ms", DEADLINE.as_millis())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_looked_at_anew_in_each_run_whichever_numbers_of_steps_come_up() {
        for steps in [1, 2, 127, 129, 300] {
            assert_eq!(past_deadline(steps).map(drop), None);
        }
        let long_ago = Instant::now().checked_sub(2 * DEADLINE);
        WATCH.set(Watch { first: long_ago, ..WATCH.get() });
        assert!(past_deadline(301).is_none(), "not every step looks");
        assert!(past_deadline(10_007).is_some());
        // The next run has nothing to do with that.
        assert!(past_deadline(1).is_none() && past_deadline(10_007).is_none());
    }
}
