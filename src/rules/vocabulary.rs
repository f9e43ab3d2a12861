//! What rules can say, with the types and places that the checker needs. Registering a word for the interpreter and
//! describing it for the checker is one call, so the two cannot differ.

use std::any::{Any, TypeId};
use std::fmt;

use rhai::{
    Dynamic, FuncRegistration, ImmutableString, Module, NativeCallContext, RhaiFunc, RhaiNativeFunc, Shared,
    Variant,
};
use rust_decimal::Decimal;

use super::number::Number;
use super::requests::Failure;
use crate::domain::loyalty_event::EventType;

/// The types that the checker tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Type {
    /// Not known before it runs.
    Any,
    /// Some value of somebody else's JSON, which may have any field.
    Json,
    Nothing,
    Bool,
    /// A whole number.
    Whole,
    /// A number with decimals.
    Decimal,
    Text,
    List,
    Map,
    Range,
    Window,
    Moment,
    Order,
    Items,
    Item,
    Refund,
    Visit,
    Cart,
    Session,
    Tick,
    Member,
    Event,
}

impl Type {
    /// As said to people.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "anything",
            Self::Json => "what came in the event's data",
            Self::Nothing => "nothing",
            Self::Bool => "true or false",
            Self::Whole | Self::Decimal => "a number",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Range => "a range",
            Self::Window => "a span of time such as 30.days",
            Self::Moment => "a time",
            Self::Order => "an order",
            Self::Items => "the items of an order or a cart",
            Self::Item => "an item",
            Self::Refund => "a refund",
            Self::Visit => "a visit",
            Self::Cart => "a cart",
            Self::Session => "a session",
            Self::Tick => "a tick",
            Self::Member => "a member",
            Self::Event => "an event",
        }
    }

    pub(super) const fn is_number(self) -> bool {
        matches!(self, Self::Whole | Self::Decimal)
    }

    /// Whether it can turn out to be of any type.
    pub(super) const fn is_open(self) -> bool {
        matches!(self, Self::Any | Self::Json)
    }

    /// Whether a value of this type may stand where `wanted` is asked for. A whole number will do for any number.
    pub(super) fn fits(self, wanted: Self) -> bool {
        self == wanted
            || self.is_open()
            || wanted == Self::Any
            || (self == Self::Whole && wanted == Self::Decimal)
    }
}

/// Where a word may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Anywhere,
    Rule,
    Trigger,
    Segment,
    Tier,
    /// What an endpoint asks of the events that would go there.
    Filter,
    Test,
}

/// What a text argument must name, so that a misspelt tier is found before it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Tier,
    Wallet,
    Status,
    StatusOrMark,
    Mark,
    Counter,
    Achievement,
    CouponBook,
    Reward,
    Endpoint,
    Category,
    Weekday,
    RiskLevel,
    Segment,
    SegmentType,
    Rule,
    LoyaltyEvent,
    /// One of the program's own.
    OwnEvent,
    SourceEvent,
    /// A side of a referral.
    Side,
    /// By what a guest was recognised.
    IdentityKind,
    /// A day, as `2026-03-02`.
    Date,
}

/// Between what a number lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Bounds {
    pub(super) low: i64,
    /// `None` where there is no most.
    pub(super) high: Option<i64>,
}

/// As said to people.
impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.high {
            Some(high) => write!(f, "{} to {high}", self.low),
            None => write!(f, "{} or more", self.low),
        }
    }
}

/// One function, method or property.
#[derive(Debug)]
pub(super) struct Word {
    pub(super) name: &'static str,
    pub(super) is_property: bool,
    pub(super) params: Vec<Type>,
    pub(super) returns: Type,
    pub(super) place: Place,
    /// What the last text argument, or the text that a property gives, must name.
    pub(super) role: Option<Role>,
    /// Between what the number that it gives lies.
    pub(super) bounds: Option<Bounds>,
    /// For properties of `event`: the events that have it; empty = all.
    pub(super) events: &'static [EventType],
    /// What it means, in one line; words of one name need it once.
    pub(super) says: &'static str,
    /// What it calls; `None` of what needs the interpreter around it.
    pub(super) native: Option<Native>,
    /// The same of what needs to know for whom it is called, and nothing else of the interpreter: effects.
    pub(super) effect: Option<Native>,
    /// Of properties that give a plain value: the value itself.
    pub(super) reader: Option<Reader>,
}

/// Reads a plain value off its owner, without the room of its own that the interpreter's values need. `None` when the
/// owner is of another type.
pub(super) enum Reader {
    Number(Box<Read<Number>>),
    Truth(Box<Read<bool>>),
    Text(Box<ReadText>),
}

type Read<T> = dyn Fn(&mut Dynamic) -> Option<T> + Send + Sync;
/// Shows the text.
type ReadText = dyn Fn(&mut Dynamic, &mut dyn FnMut(&str)) -> Option<()> + Send + Sync;

impl Reader {
    /// Of a function that gives a number, or true or false.
    fn of<V: Variant + Clone, R: 'static>(func: fn(&mut V) -> R) -> Option<Self> {
        let func: &dyn Any = &func;
        let whole = func.downcast_ref::<fn(&mut V) -> i64>().copied();
        let decimal = func.downcast_ref::<fn(&mut V) -> Decimal>().copied();
        let truth = func.downcast_ref::<fn(&mut V) -> bool>().copied();
        let whole = whole.map(|read| Self::number(move |owner| Number::Whole(read(owner))));
        let decimal = || decimal.map(|read| Self::number(move |owner| Number::Decimal(read(owner))));
        let truth = || truth.map(|read| Self::Truth(Box::new(move |owner| borrow(owner, read))));
        whole.or_else(decimal).or_else(truth)
    }

    fn number<V: Variant + Clone>(read: impl Fn(&mut V) -> Number + Send + Sync + 'static) -> Self {
        Self::Number(Box::new(move |owner| borrow(owner, &read)))
    }

    fn text<V: Variant + Clone>(read: fn(&mut V) -> &str) -> Self {
        Self::Text(Box::new(move |owner, see| borrow(owner, |owner| see(read(owner)))))
    }
}

fn borrow<V: Variant + Clone, T>(owner: &mut Dynamic, read: impl FnOnce(&mut V) -> T) -> Option<T> {
    owner.write_lock::<V>().map(|mut owner| read(&mut owner))
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reader")
    }
}

/// What a word calls.
#[derive(Clone)]
pub(super) struct Native(RhaiFunc);

impl Native {
    fn of(func: &RhaiFunc, has_context: bool) -> Option<Self> {
        (func.get_native_fn().is_some() && func.has_context() == has_context).then(|| Self(func.clone()))
    }

    /// Calls it with exactly what it takes, and for whom if it needs to know.
    pub(super) fn call(
        &self,
        context: Option<NativeCallContext<'_>>,
        args: &mut [&mut Dynamic],
    ) -> Option<Result<Dynamic, Failure>> {
        Some(self.0.get_native_fn()?(context, args))
    }
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Native")
    }
}

impl Word {
    pub(super) fn says(&mut self, says: &'static str) -> &mut Self {
        self.says = says;
        self
    }

    pub(super) fn place(&mut self, place: Place) -> &mut Self {
        self.place = place;
        self
    }

    pub(super) fn role(&mut self, role: Role) -> &mut Self {
        self.role = Some(role);
        self
    }

    pub(super) fn between(&mut self, low: i64, high: i64) -> &mut Self {
        self.bounds = Some(Bounds { low, high: Some(high) });
        self
    }

    /// The number that it gives is never below zero.
    pub(super) fn never_negative(&mut self) -> &mut Self {
        self.bounds = Some(Bounds { low: 0, high: None });
        self
    }

    pub(super) fn events(&mut self, events: &'static [EventType]) -> &mut Self {
        self.events = events;
        self
    }
}

/// All words.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub(super) module: Shared<Module>,
    pub(super) words: Vec<Word>,
}

/// Collects words.
pub(super) struct Author {
    module: Module,
    words: Vec<Word>,
    types: Vec<(TypeId, Type)>,
}

impl Author {
    pub(super) fn new(types: Vec<(TypeId, Type)>) -> Self {
        Self { module: Module::new(), words: Vec::new(), types }
    }

    pub(super) fn module(&mut self) -> &mut Module {
        &mut self.module
    }

    pub(super) fn finish(self) -> Vocabulary {
        Vocabulary { module: self.module.into(), words: self.words }
    }

    fn type_of(&self, id: TypeId) -> Type {
        self.types.iter().find(|(known, _)| *known == id).map_or(Type::Any, |(_, kind)| *kind)
    }

    /// A function; with a value of ours first, a method.
    pub(super) fn function<A: 'static, const N: usize, const X: bool, R, const F: bool>(
        &mut self,
        name: &'static str,
        returns: Type,
        func: impl RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    ) -> &mut Word
    where
        R: Variant + Clone,
    {
        let registration = FuncRegistration::new(name).in_global_namespace();
        let word = self.register(name, returns, registration, func);
        self.push(word)
    }

    /// A property.
    pub(super) fn property<V: Variant + Clone, R: Variant + Clone>(
        &mut self,
        name: &'static str,
        returns: Type,
        read: fn(&mut V) -> R,
    ) -> &mut Word {
        let word = self.attempt(name, returns, read);
        word.reader = Reader::of(read);
        word
    }

    /// A property that lends a text.
    pub(super) fn text<V: Variant + Clone>(
        &mut self,
        name: &'static str,
        read: fn(&mut V) -> &str,
    ) -> &mut Word {
        let word = self.attempt(name, Type::Text, move |owner: &mut V| ImmutableString::from(read(owner)));
        word.reader = Some(Reader::text(read));
        word
    }

    /// A property that may fail.
    pub(super) fn attempt<A: 'static, const N: usize, const X: bool, R, const F: bool>(
        &mut self,
        name: &'static str,
        returns: Type,
        func: impl RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    ) -> &mut Word
    where
        R: Variant + Clone,
    {
        let word = self.register(name, returns, FuncRegistration::new_getter(name), func);
        self.push(Word { is_property: true, ..word })
    }

    fn register<A: 'static, const N: usize, const X: bool, R, const F: bool, Func>(
        &mut self,
        name: &'static str,
        returns: Type,
        registration: FuncRegistration,
        func: Func,
    ) -> Word
    where
        R: Variant + Clone,
        Func: RhaiNativeFunc<A, N, X, R, F> + Send + Sync + 'static,
    {
        let params = Func::param_types();
        // Reads its owner and changes nothing, so that it may be asked of constants.
        let func = func.into_rhai_function(true, false);
        let (native, effect) = (Native::of(&func, false), Native::of(&func, true));
        registration.set_into_module_raw(&mut self.module, params, func);
        Word {
            name,
            is_property: false,
            params: params.into_iter().map(|id| self.type_of(id)).collect(),
            returns,
            place: Place::Anywhere,
            role: None,
            bounds: None,
            events: &[],
            says: "",
            native,
            effect,
            reader: None,
        }
    }

    fn push(&mut self, word: Word) -> &mut Word {
        let at = self.words.len();
        self.words.push(word);
        &mut self.words[at]
    }
}
