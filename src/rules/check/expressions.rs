//! Expressions: variables, properties, methods, functions.

use rhai::{Expr, FnCallExpr, Position};

use super::{Checker, Known, Mistake, Origin, Place, Role, Spot, Standing, Type, Variable, WHAT_IS_EXPECTED};
use crate::rules::api::VOCABULARY;
use crate::rules::engine::MAX_DEPTH;
use crate::rules::suggest;
use crate::rules::vocabulary::Word;

impl Checker<'_> {
    pub(super) fn expression(&mut self, expr: &Expr) -> Known {
        if self.here.depth >= MAX_DEPTH {
            self.too_deep(expr.start_position());
            return Known::ANY;
        }
        self.here.depth += 1;
        let known = self.expression_here(expr);
        self.here.depth -= 1;
        known
    }

    fn expression_here(&mut self, expr: &Expr) -> Known {
        match expr {
            Expr::BoolConstant(..) => Known::of(Type::Bool),
            Expr::IntegerConstant(..) => Known::of(Type::Whole),
            Expr::StringConstant(text, position) => {
                self.unfilled(text, *position);
                Known::of(Type::Text)
            }
            Expr::DynamicConstant(value, position) => {
                value.as_decimal().into_iter().for_each(|number| self.thousands(number, *position));
                Known::of(super::type_of(value))
            }
            Expr::Unit(_) => Known::of(Type::Nothing),
            Expr::InterpolatedString(parts, _) => {
                self.expressions(parts);
                Known::of(Type::Text)
            }
            Expr::Array(parts, _) => {
                self.expressions(parts);
                Known::of(Type::List)
            }
            Expr::Map(parts, _) => {
                self.expressions(parts.0.iter().map(|(_, part)| part));
                Known::of(Type::Map)
            }
            Expr::Variable(variable, _, position) => self.name(&variable.1, *position),
            Expr::Stmt(block) => self.statements(block),
            Expr::FnCall(call, position) => self.call(call, *position),
            Expr::Dot(pair, ..) => match self.unquoted_event(&pair.lhs, &pair.rhs) {
                Some((event, position)) => self.unquoted(&event, position),
                None => {
                    let owner = self.expression(&pair.lhs);
                    self.member_of(owner, Some(&pair.lhs), &pair.rhs)
                }
            },
            Expr::Index(pair, flags, _) => {
                let owner = self.expression(&pair.lhs);
                self.element_of(owner, &pair.rhs, flags.contains(rhai::ASTFlags::BREAK))
            }
            Expr::And(parts, _) => {
                let held = self.here.held.len();
                for part in parts.iter() {
                    self.condition(part, "this");
                    self.hold(part, true, Standing::Beside);
                }
                self.here.held.truncate(held);
                Known::of(Type::Bool)
            }
            Expr::Or(parts, _) => {
                parts.iter().for_each(|part| self.condition(part, "this"));
                self.any_of(parts.iter());
                self.mixed(parts);
                Known::of(Type::Bool)
            }
            Expr::CharConstant(..) => {
                let help = Some("write texts in double quotes: \"a\"".to_owned());
                self.problem(Mistake::Syntax, expr.start_position(), "a text stands in double quotes", help);
                Known::ANY
            }
            Expr::Coalesce(parts, _) => {
                self.expressions(parts.iter());
                Known::ANY
            }
            Expr::Custom(custom, position) => self.custom(custom, *position),
            other => {
                self.problem(Mistake::Syntax, other.start_position(), "this cannot be used in rules", None);
                Known::ANY
            }
        }
    }

    fn expressions<'e>(&mut self, parts: impl IntoIterator<Item = &'e Expr>) {
        for part in parts {
            self.expression(part);
        }
    }

    fn custom(&mut self, custom: &rhai::CustomExpr, position: Position) -> Known {
        let keyword = custom.tokens.first().map_or("", |token| token.as_str());
        match (keyword, custom.inputs.first()) {
            ("expect", Some(_)) if self.here.place != Place::Test => {
                self.problem(Mistake::WrongPlace, position, "`expect` can only be used in a test", None);
            }
            ("expect", Some(condition)) => self.condition(condition, WHAT_IS_EXPECTED),
            _ => {
                let help = Some("is a `}` missing before it?".to_owned());
                self.problem(
                    Mistake::WrongPlace,
                    position,
                    format!("a `{keyword}` cannot stand inside another declaration"),
                    help,
                );
            }
        }
        Known::of(Type::Nothing)
    }

    fn name(&mut self, name: &str, position: Position) -> Known {
        if let Some(variable) = self.here.variables.iter_mut().rfind(|variable| variable.name == name) {
            if matches!(variable.origin, Origin::Unused(_)) {
                variable.origin = Origin::Used;
            }
            return variable.known;
        }
        if let Some(value) = self.constants.get(name) {
            return Known::of(super::type_of(value));
        }
        if self.failed.contains(name) {
            return Known::ANY;
        }
        let help = self.instead_of_name(name);
        let message = format!("there is nothing called `{name}` here");
        self.problem(Mistake::UnknownVariable, position, message, help);
        Known::ANY
    }

    /// What to write instead of a name that is nothing here.
    fn instead_of_name(&self, name: &str) -> Option<String> {
        const GIVEN: [&str; 8] = ["member", "order", "refund", "visit", "cart", "session", "tick", "event"];
        let here = self.here.place;
        let may_be_used = |word: &&Word| {
            here == Place::Anywhere || matches!(word.place, Place::Anywhere) || word.place == here
        };
        let takes = self.own(name).map(|own| own.params.len()).next();
        let takes = takes.or_else(|| function_words(name).find(may_be_used).map(|word| word.params.len()));
        if let Some(takes) = takes {
            let given = if takes == 0 { "" } else { "…" };
            return Some(format!("`{name}` is a function: write {name}({given})"));
        }
        if self.here.is_function && GIVEN.contains(&name) {
            return Some(format!(
                "a function sees nothing but what it is given: write `{name}` in its brackets, here and where it is called"
            ));
        }
        if self.is_name(name) {
            return Some(format!("write it in quotes: \"{name}\""));
        }
        let in_sight = || self.here.variables.iter().filter(|variable| variable.origin == Origin::Given);
        match &*name.to_lowercase() {
            "true" | "false" | "yes" | "no" => return Some("write `true` or `false`".to_owned()),
            "now" | "today" if here != Place::Test => {
                let has_time =
                    |variable: &&Variable| properties_of(variable.known.kind).any(|word| word.name == "at");
                let owner = in_sight().find(has_time).map_or("order", |variable| &variable.name);
                return Some(format!("the time is that of what happened: {owner}.at"));
            }
            _ => {}
        }
        let variables = self.here.variables.iter().map(|variable| variable.name.as_str());
        let names = variables.chain(self.constants.keys().map(String::as_str));
        suggest::did_you_mean(name, names).or_else(|| {
            let here: Vec<_> =
                self.here.variables.iter().map(|variable| format!("`{}`", variable.name)).collect();
            (!here.is_empty()).then(|| format!("here you can use {}", here.join(", ")))
        })
    }

    /// Something that must stand in quotes, and does not; a text, as it was meant.
    pub(super) fn unquoted(&mut self, name: &str, position: Position) -> Known {
        let spot = Spot { length: name.chars().count(), ..self.spot(position) };
        let message = format!("there is nothing called `{name}` here");
        self.push(Mistake::UnknownVariable, spot, message, Some(format!("write it in quotes: \"{name}\"")));
        Known::of(Type::Text)
    }

    /// `order.completed` without its quotes, where there is no `order`.
    fn unquoted_event(&self, owner: &Expr, member: &Expr) -> Option<(String, Position)> {
        let (Expr::Variable(variable, _, position), Expr::Property(names, _)) = (owner, member) else {
            return None;
        };
        let is_here = self.here.variables.iter().any(|known| known.name == variable.1.as_str());
        let name = format!("{}.{}", variable.1, names.2);
        let is_event = || {
            let roles =
                [Role::SourceEvent, Role::LoyaltyEvent].into_iter().filter_map(|role| self.names_of(role));
            roles.into_iter().any(|(_, known)| known.contains(&name))
        };
        (!is_here && is_event()).then_some((name, *position))
    }

    /// The right side of a dot. The parser nests chains to the right: `a.b.c` is `a . (b . c)`.
    fn member_of(&mut self, owner: Known, literal: Option<&Expr>, member: &Expr) -> Known {
        match member {
            Expr::Property(names, position) => self.property(owner.kind, &names.2, *position),
            Expr::MethodCall(call, position) => self.method(owner, literal, call, *position),
            Expr::Dot(pair, ..) => {
                let inner = self.member_of(owner, literal, &pair.lhs);
                self.member_of(inner, None, &pair.rhs)
            }
            Expr::Index(pair, flags, _) => {
                let inner = self.member_of(owner, literal, &pair.lhs);
                self.element_of(inner, &pair.rhs, flags.contains(rhai::ASTFlags::BREAK))
            }
            other => self.expression(other),
        }
    }

    /// `owner[index]`, and what follows: `x[i].y` is `x [ (i . y) ]`.
    fn element_of(&mut self, owner: Known, index: &Expr, is_last: bool) -> Known {
        if !matches!(owner.kind, Type::List | Type::Map | Type::Any | Type::Json) {
            let message = format!("{} has no numbered parts", owner.kind.as_str());
            self.problem(Mistake::WrongType, super::start(index), message, None);
        }
        let element = Known::of(if owner.kind == Type::Json { Type::Json } else { Type::Any });
        match index {
            Expr::Dot(pair, ..) if !is_last => {
                self.expression(&pair.lhs);
                self.member_of(element, None, &pair.rhs)
            }
            Expr::Index(pair, flags, _) if !is_last => {
                self.expression(&pair.lhs);
                self.element_of(element, &pair.rhs, flags.contains(rhai::ASTFlags::BREAK))
            }
            other => {
                self.expression(other);
                element
            }
        }
    }

    fn property(&mut self, owner: Type, name: &str, position: Position) -> Known {
        let candidates: Vec<&Word> = properties_of(owner).filter(|word| word.name == name).collect();
        let Some(word) = candidates.first() else {
            if matches!(owner, Type::Map | Type::Json) {
                return Known::of(if owner == Type::Json { Type::Json } else { Type::Any });
            }
            let names =
                properties_of(owner).map(|word| word.name).chain(methods_of(owner).map(|word| word.name));
            let is_method = methods_of(owner).any(|word| word.name == name);
            let help = match is_method {
                true => Some(format!("write {name}(…)")),
                false => suggest::did_you_mean(name, names).or_else(|| elsewhere(owner, name)),
            };
            let message = no_property(owner, name);
            self.problem(Mistake::UnknownProperty, position, message, help);
            return Known::ANY;
        };
        if let Some(event) =
            self.here.event.filter(|event| !word.events.is_empty() && !word.events.contains(event))
        {
            let has: Vec<_> = word.events.iter().map(|event| event.as_str()).collect();
            let help = Some(format!("only {} has it", has.join(", ")));
            let message = format!("the event {event} has no `{name}`");
            self.problem(Mistake::UnknownProperty, position, message, help);
        }
        let is_same = candidates.iter().all(|other| other.returns == word.returns);
        let (role, bounds) = if candidates.len() == 1 { (word.role, word.bounds) } else { (None, None) };
        Known { role, bounds, ..Known::of(if is_same { word.returns } else { Type::Any }) }
    }

    fn method(
        &mut self,
        owner: Known,
        literal: Option<&Expr>,
        call: &FnCallExpr,
        position: Position,
    ) -> Known {
        let mut known = vec![owner];
        known.extend(call.args.iter().map(|arg| self.expression(arg)));
        let words: Vec<&Word> = function_words(&call.name).filter(|word| !word.params.is_empty()).collect();
        let fits_owner = |word: &&Word| word.params.first().is_some_and(|first| owner.kind.fits(*first));
        if !words.iter().any(fits_owner) {
            let args: Vec<&Expr> = call.args.iter().collect();
            let kinds: Vec<Type> = known.iter().map(|known| known.kind).collect();
            if let Some((message, help)) = odd_set(&call.name, &kinds, &args) {
                return self.refused(position, message, Some(help));
            }
            let properties = properties_of(owner.kind).map(|word| word.name);
            let stands_alone = || {
                let is_effect = words.iter().any(|word| word.place != Place::Anywhere);
                is_effect.then(|| format!("write {}(…) alone, with nothing before it", call.name))
            };
            let help = match properties_of(owner.kind).any(|word| word.name == call.name) {
                true => Some(format!("write {} without brackets", call.name)),
                false => stands_alone()
                    .or_else(|| {
                        let methods = methods_of(owner.kind).map(|word| word.name);
                        suggest::did_you_mean(&call.name, methods.chain(properties))
                    })
                    .or_else(|| elsewhere(owner.kind, &call.name)),
            };
            let message = no_property(owner.kind, &call.name);
            self.problem(Mistake::UnknownProperty, position, message, help);
            return Known::ANY;
        }
        let args: Vec<&Expr> = literal.into_iter().chain(call.args.iter()).collect();
        self.fitting(&call.name, &words, &known, &args, position, 1)
    }

    pub(super) fn call(&mut self, call: &FnCallExpr, position: Position) -> Known {
        let args: Vec<&Expr> = call.args.iter().collect();
        // `!in` is read as the opposite of `contains`, which is marked as a sign then.
        if call.op_token.is_some() && call.name != "contains" {
            return self.operator(&call.name, &args, position);
        }
        let known: Vec<Known> = args.iter().map(|arg| self.expression(arg)).collect();
        if call.name == "mark" {
            self.mark(&args, position);
        }
        self.amount(&call.name, &args);
        self.reason(&call.name, &args);
        self.failing(&call.name, &args, position);
        if call.name == "contains" {
            self.listed(&args, &known); // `x in list` is parsed as contains(list, x)
        }
        let own: Vec<usize> = self.functions_by_name.get(call.name.as_str()).cloned().unwrap_or_default();
        if let Some(first) = own.first() {
            self.effects_of(&call.name, position);
            let takes = |at: &usize| self.functions[*at].params.len();
            if let Some(at) = own.iter().find(|at| takes(at) == args.len()) {
                let given = args.iter().zip(&known).map(|(arg, known)| {
                    let is_written = matches!(arg, Expr::StringConstant(..));
                    Known { is_written, ..*known }
                });
                return self.called(*at, &given.collect::<Vec<_>>(), position);
            }
            let message =
                format!("`{}` takes {} arguments, but here are {}", call.name, takes(first), args.len());
            return self.refused(position, message, None);
        }
        let words: Vec<&Word> = function_words(&call.name).collect();
        if words.is_empty() && self.failed.contains(call.name.as_str()) {
            return Known::ANY;
        }
        if words.is_empty() {
            let names = function_words_all().map(|word| word.name);
            let help = suggest::did_you_mean(
                &call.name,
                names.chain(self.functions.iter().map(|f| f.name.as_str())),
            );
            let message = format!("there is no function called `{}`", call.name);
            self.problem(Mistake::UnknownFunction, position, message, help);
            return Known::ANY;
        }
        if call.name == "set_tier" {
            self.set_tier(position);
        }
        self.fitting(&call.name, &words, &known, &args, position, 0)
    }

    /// Members are moved by rules, or by something else.
    fn set_tier(&mut self, position: Position) {
        let (message, help) = if self.manifest.terms.tiers.policy.is_some() {
            (
                "tiers follow [tier_policy], so rules cannot set them",
                "leave the rule out, or take [tier_policy] out of program.toml",
            )
        } else if self.has_tier_conditions {
            (
                "tiers follow their conditions, so rules cannot set them",
                "say it with tier \"…\" when …, or leave all of those out",
            )
        } else {
            return;
        };
        self.problem(Mistake::Conflict, position, message, Some(help.to_owned()));
    }

    /// The one of `words` that takes these arguments, of which the first `before` stand before the dot.
    fn fitting(
        &mut self,
        name: &str,
        words: &[&Word],
        known: &[Known],
        args: &[&Expr],
        position: Position,
        before: usize,
    ) -> Known {
        let kinds: Vec<Type> = known.iter().map(|known| known.kind).collect();
        self.place(name, words, kinds.len(), position);
        let fits = |word: &&&Word| {
            word.params.len() == kinds.len()
                && kinds.iter().zip(&word.params).all(|(kind, wanted)| kind.fits(*wanted))
        };
        let fitting: Vec<&&Word> = words.iter().filter(fits).collect();
        let Some(word) = fitting.first() else {
            if let Some((message, help)) = odd_set(name, &kinds, args) {
                return self.refused(position, message, Some(help));
            }
            let given: Vec<_> = kinds.iter().skip(before).map(|kind| kind.as_str()).collect();
            let message = format!("`{name}` cannot be used with ({})", given.join(", "));
            let owner = kinds.first().copied().unwrap_or(Type::Any);
            let wanted = words
                .iter()
                .filter(|word| before == 0 || word.params.first().is_some_and(|first| owner.fits(*first)))
                .max_by_key(|word| (word.params.len() == kinds.len(), word.params.len()));
            let is_comma = super::effects::is_movement(name)
                && matches!(args, [_, Expr::IntegerConstant(..)])
                && kinds.iter().all(|kind| kind.is_number());
            let owner = (before == 0).then(|| self.owner_of(words, &kinds)).flatten();
            let help = owner.map(|owner| format!("write {owner}.{name}(…)"));
            let help = help.or_else(|| {
                wanted.filter(|_| !is_comma).map(|word| {
                    let wants: Vec<_> = word.params.iter().skip(before).map(|kind| kind.as_str()).collect();
                    format!("it wants {name}({})", wants.join(", "))
                })
            });
            let help =
                help.or_else(|| is_comma.then(|| "decimals are written with a point: 5.50".to_owned()));
            return self.refused(position, message, help);
        };
        for (arg, known) in args.iter().rev().zip(known.iter().rev()) {
            self.needed(arg, *known);
        }
        // What stands before a dot may not be among the arguments, so both are counted from the end.
        for (param, arg) in word.params.iter().rev().zip(args.iter().rev()) {
            if *param == Type::Window {
                self.window(arg);
            }
        }
        if let Some(role) = word.role {
            let texts = word.params.iter().rev().zip(args.iter().rev());
            let last = texts.into_iter().find(|(param, _)| **param == Type::Text);
            last.into_iter().for_each(|(_, text)| self.named(role, text));
        }
        let is_same = fitting.iter().all(|other| other.returns == word.returns);
        let is_number = fitting.iter().all(|other| other.returns.is_number());
        match (is_same, is_number) {
            // The role of a method is that of its argument; of a function without arguments, that of its value.
            (true, _) => {
                let role = word.role.filter(|_| word.params.is_empty());
                Known { role, bounds: word.bounds, ..Known::of(word.returns) }
            }
            (false, true) if !kinds.iter().any(|kind| kind.is_open()) => Known::of(word.returns),
            _ => Known::ANY,
        }
    }

    /// What is in sight that one of these words can be asked of with these arguments, when they stand alone.
    fn owner_of(&self, words: &[&Word], kinds: &[Type]) -> Option<&str> {
        let fits = |word: &&Word, owner: Type| {
            word.params.split_first().is_some_and(|(first, rest)| {
                *first == owner
                    && rest.len() == kinds.len()
                    && kinds.iter().zip(rest).all(|(kind, wanted)| kind.fits(*wanted))
            })
        };
        let given = self.here.variables.iter().filter(|variable| variable.origin == Origin::Given);
        let mut owners = given.filter(|variable| words.iter().any(|word| fits(word, variable.known.kind)));
        owners.next().map(|variable| variable.name.as_str())
    }

    fn refused(&mut self, position: Position, message: impl Into<String>, help: Option<String>) -> Known {
        self.problem(Mistake::WrongArgument, position, message, help);
        Known::ANY
    }

    fn place(&mut self, name: &str, words: &[&Word], args: usize, position: Position) {
        // `member.in_segment(…)` is for everywhere, `in_segment(…)` for tests.
        let word = words.iter().find(|word| word.params.len() == args).or(words.first());
        let allowed = word.map_or(Place::Anywhere, |word| word.place);
        let here = self.here.place;
        // A function does not know who calls it: what it may not do there is said where it is called.
        if allowed == Place::Anywhere || here == Place::Anywhere || allowed == here {
            return;
        }
        let message = format!("`{name}` can only be used in {}", in_words(allowed));
        self.problem(Mistake::WrongPlace, position, message, None);
    }
}

/// What is wrong with asking whether something is in what is no set: message and help.
fn odd_set(name: &str, kinds: &[Type], args: &[&Expr]) -> Option<(&'static str, String)> {
    match (name, kinds) {
        ("contains", [Type::Range, Type::Decimal]) => {
            Some(("a range holds whole numbers", "write >= 5 and < 10 instead of `in 5..10`".to_owned()))
        }
        ("contains", [Type::Range, Type::Text]) => Some((
            "a range holds whole numbers",
            "write `>= \"…\"` and `<= \"…\"` instead of `in`".to_owned(),
        )),
        ("contains", [Type::Whole | Type::Decimal | Type::Bool, _]) => Some((
            "`in` wants a list or a range behind it",
            "a list is [\"…\", \"…\"], a range 14..16".to_owned(),
        )),
        ("contains", [Type::Items | Type::Order | Type::Cart, _]) => {
            let category = match args.last() {
                Some(Expr::StringConstant(text, _)) => text.as_str(),
                _ => "…",
            };
            let owner = if kinds[0] == Type::Cart { "cart" } else { "order" };
            let help = format!("ask for a category: {owner}.count_of(\"{category}\") > 0");
            Some(("items are no texts, so none of them can be this", help))
        }
        _ => None,
    }
}

/// Where something is found that a value itself does not have.
fn elsewhere(owner: Type, name: &str) -> Option<String> {
    match (owner, name) {
        (Type::Items | Type::List | Type::Text, "count" | "length" | "size") => {
            return Some("write `len`".to_owned());
        }
        (Type::Whole | Type::Decimal, "year" | "years") => return Some("write 12.months".to_owned()),
        (Type::Whole, "hour" | "hours") => return Some("days, weeks and months can be asked for".to_owned()),
        (Type::Decimal, "days" | "weeks" | "months") => {
            return Some("write a whole number before it".to_owned());
        }
        (Type::Items, _) if properties_of(Type::Item).any(|word| word.name == name) => {
            let help = "each item has its own: walk over them with `for item in order.items { … }`";
            return Some(help.to_owned());
        }
        (Type::Any, _) => return None,
        _ => {}
    }
    let has_it = |word: &&Word| {
        let inner = if word.returns == Type::Items { Type::Item } else { word.returns };
        !inner.is_open() && inner != owner && properties_of(inner).any(|inner| inner.name == name)
    };
    let through = properties_of(owner).find(has_it)?;
    match through.returns {
        Type::Items => Some(format!("each item has its own: walk over `{}` with `for`", through.name)),
        _ => Some(format!("write {}.{name}", through.name)),
    }
}

/// That a value has no such property.
fn no_property(owner: Type, name: &str) -> String {
    match owner {
        Type::Any => format!("nothing has a `{name}`"),
        owner => format!("{} has nothing called `{name}`", owner.as_str()),
    }
}

pub(super) const fn in_words(place: Place) -> &'static str {
    match place {
        Place::Rule | Place::Anywhere => "a `rule`",
        Place::Trigger => "a `trigger`",
        Place::Segment => "a `segment`",
        Place::Tier => "a `tier`",
        Place::Filter => "a filter",
        Place::Test => "a `test`",
    }
}

fn function_words_all() -> impl Iterator<Item = &'static Word> {
    VOCABULARY.words.iter().filter(|word| !word.is_property)
}

pub(super) fn function_words(name: &str) -> impl Iterator<Item = &'static Word> {
    function_words_all().filter(move |word| word.name == name)
}

/// Properties of a value; of one that is not known, all there are.
fn properties_of(owner: Type) -> impl Iterator<Item = &'static Word> {
    let is_of =
        move |word: &&Word| word.params.first().is_some_and(|first| *first == owner || owner == Type::Any);
    VOCABULARY.words.iter().filter(|word| word.is_property).filter(is_of)
}

fn methods_of(owner: Type) -> impl Iterator<Item = &'static Word> {
    function_words_all().filter(move |word| word.params.first().is_some_and(|first| owner.fits(*first)))
}
