//! Runs the `test` blocks of a program, through the same [`decide`](super::decide::decide) as everything else.
//!
//! Each test starts with a member nobody has seen before and no orders. Without `at`, it is noon of Monday,
//! 5 January 2026, in the chain's zone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rhai::{
    Caches, Dynamic, Engine, EvalAltResult, EvalContext, Expr, Expression, ImmutableString, Map,
    NativeCallContext, Scope,
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::chain::Chain;
use crate::domain::ids::CouponBookKey;

use super::bench::{Bench, World};
use super::check::start;
use super::code::Unit;
use super::conditions::false_parts;
use super::diagnostic::{Diagnostic, Mistake, Spot};
use super::engine::sandbox_with;
use super::expectation::disappointment;
use super::language;
use super::program::{Program, Sources, on_big_stack};
use super::requests::Failure;
use super::vocabulary::{Author, Place, Role, Type};

/// How one test ended.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TestOutcome {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// The line of its `test`.
    pub line: usize,
    /// What did not hold; `None` when it passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Diagnostic>,
    /// The rule that failed and so ended it: where, and why.
    #[serde(skip)]
    pub(super) ended_by: Option<(String, String)>,
}

/// What tests read of the member, as it is called there.
const MEMBER: &str = "member";

/// Of so many failing tests it is told how rules judged: nobody reads of more at once.
const MAX_JUDGED: usize = 50;
/// How long all tests of a program may take together: far more than honest ones do.
const TIME: Duration = Duration::from_secs(60);
/// Said when it is up.
pub(super) const TOO_LONG: &str = "the tests of this program take longer than a minute";

/// Runs all tests of `program`, which was loaded from `sources` for `chain`.
pub fn run(program: &Program, sources: &Sources, chain: &Chain) -> Vec<TestOutcome> {
    run_within(TIME, program, sources, chain)
}

pub(super) fn run_within(
    time: Duration,
    program: &Program,
    sources: &Sources,
    chain: &Chain,
) -> Vec<TestOutcome> {
    if program.code.tests.is_empty() {
        return Vec::new();
    }
    let program = Arc::new(program.telling_why());
    let engine = interpreter(&program);
    let until = Instant::now() + time;
    let world = |test: &Unit| {
        let file = sources.get(&test.file).unwrap_or_default();
        World::new(program.clone(), chain.clone(), file.into(), until)
    };
    let ended = |test: &Unit| match Instant::now() < until {
        true => outcome(test, &program, &engine, sources, world(test)),
        false => not_run(test, TOO_LONG),
    };
    let outcomes = || program.code.tests.iter().map(ended).collect();
    // A test runs rules while it runs itself, so it needs the stack of both.
    let mut outcomes: Vec<_> = on_big_stack(outcomes)
        .unwrap_or_else(|why| program.code.tests.iter().map(|test| not_run(test, &why)).collect());
    judge_once(&mut outcomes);
    outcomes
}

/// How rules judged the event before is told of the first tests that fail, and once of those that one rule's failure ended.
fn judge_once(outcomes: &mut [TestOutcome]) {
    let (mut left, mut ends) = (MAX_JUDGED, Vec::new());
    for TestOutcome { failure, ended_by, .. } in outcomes {
        let Some(failure) = failure else { continue };
        if left == 0 || ended_by.as_ref().is_some_and(|end| ends.contains(end)) {
            failure.judged = None;
        } else {
            left -= 1;
            ends.extend(ended_by.clone());
        }
    }
}

/// What tests run on: rules know what their event brings, tests always the member.
fn interpreter(program: &Program) -> Engine {
    sandbox_with(Some(program.code.constants.clone()), |name, context| {
        // A parameter may be called so, too.
        let is_asked = name == MEMBER && !context.scope().contains(MEMBER);
        let bench = context.tag().read_lock::<Bench>().filter(|_| is_asked);
        bench.map(|bench| Dynamic::from(bench.lock().member()))
    })
}

fn outcome(test: &Unit, program: &Program, engine: &Engine, sources: &Sources, world: World) -> TestOutcome {
    let bench = Bench(Arc::new(Mutex::new(world)));
    let mut ended_by = None;
    let failure = perform(test, program, engine, &bench).err().map(|error| {
        let (function, position, message) = match bench.lock().unmet.take() {
            Some((position, message)) => (None, position, message),
            None => language::failure(&error),
        };
        let file = function.and_then(|name| program.code.function_files.get(&name)).unwrap_or(&test.file);
        let text = sources.get(file).unwrap_or_default();
        let judged = bench.lock().judgement();
        ended_by = judged.failure().map(|(at, error)| (at.to_owned(), error.to_owned()));
        let spot = Spot::of_position(text, position.or_else(test.position));
        Diagnostic {
            judged: Some(judged.into()),
            ..Diagnostic::new(Mistake::TestFailed, file, spot, message)
        }
    });
    TestOutcome { ended_by, ..ended(test, failure) }
}

fn ended(test: &Unit, failure: Option<Diagnostic>) -> TestOutcome {
    let line = test.position.line().unwrap_or(1);
    TestOutcome { name: test.name.to_string(), file: test.file.to_string(), line, failure, ended_by: None }
}

fn not_run(test: &Unit, why: &str) -> TestOutcome {
    let spot = Spot { line: test.position.line().unwrap_or(1), ..Spot::START };
    ended(
        test,
        Some(Diagnostic::new(
            Mistake::TestNotRun,
            &test.file,
            spot,
            format!("the test could not run: {why}"),
        )),
    )
}

fn perform(test: &Unit, program: &Program, engine: &Engine, bench: &Bench) -> Result<(), Failure> {
    let mut global = engine.new_global_runtime_state();
    global.lib.push(program.code.functions.clone());
    global.tag = Dynamic::from(bench.clone());
    let (mut caches, mut scope) = (Caches::new(), Scope::new());
    let mut context = EvalContext::new(engine, &mut global, &mut caches, &mut scope, None);
    match context.eval_expression_tree(&Expression::from(&test.body)) {
        Err(error) if !matches!(*error, EvalAltResult::Return(..)) => Err(error),
        _ => Ok(()),
    }
}

impl Bench {
    /// A world that a panic left half-changed fails its own test and no other.
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `expect <condition>`: ends the test with an explanation when it does not hold.
pub(super) fn expect(
    context: &mut EvalContext<'_, '_, '_, '_, '_, '_>,
    inputs: &[Expression<'_>],
) -> Result<Dynamic, Failure> {
    let Some(bench) = context.tag().read_lock::<Bench>().map(|bench| bench.clone()) else {
        return Err("`expect` can only be used in a test".into());
    };
    let Some(condition) = inputs.first() else { return Ok(Dynamic::UNIT) };
    if holds(context, condition)? {
        return Ok(Dynamic::UNIT);
    }
    let written = bench.lock().expectation(start(condition));
    let parts = false_parts(context, condition, &written);
    let position = parts.first().map_or_else(|| start(condition), |part| part.position);
    let message = disappointment(&parts, |word| bench.lock().truth(word));
    bench.lock().unmet = Some((position, message));
    Err(EvalAltResult::ErrorTerminated(Dynamic::UNIT, condition.position()).into())
}

fn holds(context: &mut EvalContext<'_, '_, '_, '_, '_, '_>, condition: &Expr) -> Result<bool, Failure> {
    let value = context.eval_expression_tree(&Expression::from(condition))?;
    value.as_bool().map_err(|found| {
        let message = format!("`expect` needs true or false, but this is {found}");
        EvalAltResult::ErrorRuntime(message.into(), condition.start_position()).into()
    })
}

/// `member.has_coupon(book)` in a test; `None` elsewhere.
pub(super) fn coupons(context: &NativeCallContext<'_>, book: CouponBookKey) -> Option<i64> {
    let bench = context.tag()?.read_lock::<Bench>()?;
    Some(bench.lock().coupons(book))
}

/// Registers the words of tests.
pub(super) fn words(author: &mut Author) {
    type Text = ImmutableString;
    fn with<T>(
        context: &NativeCallContext<'_>,
        act: impl FnOnce(&mut World) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let bench = context.tag().and_then(|tag| tag.read_lock::<Bench>());
        let bench = bench.ok_or_else(|| Failure::from("this word can only be used in a test"))?;
        let mut world = bench.lock();
        act(&mut world).map_err(Failure::from)
    }
    type Context<'a> = NativeCallContext<'a>;
    author
        .function("at", Type::Nothing, |c: Context<'_>, time: Text| with(&c, |world| world.set_time(&time)))
        .place(Place::Test).says("The clock, in the chain's zone: `at(\"2026-03-02 09:30\")`. A test begins at noon of Monday, 5 January 2026.");
    author
        .function("given_member", Type::Nothing, |c: Context<'_>, map: Map| {
            with(&c, |world| world.given_member(map))
        })
        .place(Place::Test).says("A known member instead of a new one. The map may have `tier`, `status`, `points`, `wallets` (`#{ stars: 3 }`), `achievements`, `segments`, `visits` (`[\"2026-02-10\"]`) and `orders` of the past (`[#{ at: \"2026-02-10\", total: 40.00 }]`), `coupons` (of these books), `counters`, `marks`, `first_name`, `language`, `consents`, `attributes`, `referred`, `churn_probability`.");
    author
        .function("send", Type::Nothing, |c: Context<'_>, kind: Text, data: Map| {
            with(&c, |world| world.send(&kind, data))
        })
        .place(Place::Test)
        .role(Role::SourceEvent).says("An event, with its `data` (and `location`) as a till sends them. Without `order_id` the test makes one, without `total` it is the sum of the items.");
    author
        .function("send", Type::Nothing, |c: Context<'_>, kind: Text| with(&c, |w| w.send(&kind, Map::new())))
        .place(Place::Test)
        .role(Role::SourceEvent);
    author
        .function("redeem", Type::Nothing, |c: Context<'_>, reward: Text| with(&c, |w| w.redeem(&reward)))
        .place(Place::Test)
        .role(Role::Reward)
        .says("Spends the member's points on a reward of `program.toml`, as at the counter. The test fails when they may not.");
    author
        .function("awarded", Type::Whole, |c: Context<'_>| with(&c, |w| Ok(w.awarded())))
        .place(Place::Test)
        .says("Points that the last event earned.");
    author
        .function("points", Type::Whole, |c: Context<'_>| with(&c, |w| Ok(w.points())))
        .place(Place::Test)
        .says("The member's balance in the first wallet.");
    author
        .function("tier", Type::Text, |c: Context<'_>| with(&c, |w| Ok(Text::from(w.tier()))))
        .place(Place::Test)
        .role(Role::Tier)
        .says("The member's tier.");
    author
        .function("status", Type::Text, |c: Context<'_>| with(&c, |w| Ok(Text::from(w.status()))))
        .place(Place::Test)
        .role(Role::Status)
        .says("The member's status.");
    author
        .function("achieved", Type::Bool, |c: Context<'_>, name: Text| with(&c, |w| Ok(w.achieved(&name))))
        .place(Place::Test)
        .role(Role::Achievement)
        .says("Whether the member has an achievement.");
    author
        .function("in_segment", Type::Bool, |c: Context<'_>, name: Text| {
            with(&c, |w| Ok(w.in_segment(&name)))
        })
        .place(Place::Test)
        .role(Role::Segment)
        .says("Whether the member is in a segment.");
    author
        .function("counter", Type::Whole, |c: Context<'_>, name: Text| with(&c, |w| Ok(w.counter(&name))))
        .place(Place::Test)
        .role(Role::Counter)
        .says("How far a counter of the member is.");
    author
        .function("marked", Type::Bool, |c: Context<'_>, name: Text| with(&c, |w| Ok(w.marked(&name))))
        .place(Place::Test)
        .role(Role::Mark)
        .says("Whether the member has a mark.");
    author
        .function("risk_level", Type::Text, |c: Context<'_>| with(&c, |w| Ok(Text::from(w.risk_level()))))
        .place(Place::Test)
        .role(Role::RiskLevel)
        .says("The member's risk level; \"\" for who is not at risk.");
    author
        .function("recommended", Type::Bool, |c: Context<'_>, what: Text| {
            with(&c, |w| Ok(w.recommended(&what)))
        })
        .place(Place::Test)
        .says("Whether the last event told of the member with this recommendation.");
    author
        .function("fired", Type::Bool, |c: Context<'_>, rule: Text| with(&c, |w| Ok(w.fired(&rule))))
        .place(Place::Test)
        .role(Role::Rule)
        .says("Whether the condition of a rule held on the last event.");
    author
        .function("forwarded", Type::Bool, |c: Context<'_>, tag: Text| with(&c, |w| Ok(w.forwarded(&tag))))
        .place(Place::Test)
        .role(Role::Endpoint)
        .says("Whether a trigger forwarded something of the last event to this tag.");
    author
        .function("told", Type::Bool, |c: Context<'_>, kind: Text| with(&c, |w| Ok(w.told(&kind))))
        .place(Place::Test)
        .role(Role::LoyaltyEvent)
        .says("Whether the last event came to a loyalty event of this type.");
}
