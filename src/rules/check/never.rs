//! Conditions that cannot be otherwise: comparisons that exclude each other, and ranges that nothing lies in.
//!
//! Two comparisons say something about the same value when the same path of properties is compared: while a rule runs,
//! the member, the order and the event stay as they are. So what `when` and `if` ask holds in what stands under them.

use rhai::{Dynamic, Expr, FnCallExpr, Position};
use rust_decimal::Decimal;

use super::claims::{Claim, MAX_WAYS, Standing, Subject, exclude};
use super::literals::Literal;
use super::{Checker, Known, Mistake, Origin, Place, Type};
use crate::rules::sign::Sign;

/// The most characters of a condition that are shown.
const MAX_SHOWN: usize = 120;

impl Checker<'_> {
    /// Complains about a condition that cannot hold where those around and before it do.
    pub(super) fn against_held(&mut self, part: &Expr) {
        if matches!(part, Expr::And(..) | Expr::Or(..)) {
            return; // each of its parts is a condition of its own
        }
        for claim in self.claims(part, true) {
            let Some(before) = self.clash(&claim).cloned() else { continue };
            let (message, help) = contradiction(&before, &claim);
            self.problem(Mistake::NeverTrue, claim.position, message, Some(help.to_owned()));
            return;
        }
    }

    /// What is held and excludes this.
    fn clash(&mut self, claim: &Claim) -> Option<&Claim> {
        let looks = &mut self.looks;
        self.here.held.iter().find(|held| {
            *looks = looks.saturating_sub(held.ways.len() * claim.ways.len());
            *looks > 0 && held.subject == claim.subject && held.excludes(claim)
        })
    }

    /// Holds what a condition says, for what follows.
    pub(super) fn hold(&mut self, condition: &Expr, holds: bool, standing: Standing) {
        let claims = self.claims(condition, holds).into_iter();
        let claims = claims.filter(|claim| standing == Standing::Beside || claim.subject.lasts);
        let claims: Vec<_> = claims.map(|claim| Claim { standing, ..claim }).collect();
        self.here.held.extend(claims);
    }

    /// Complains about parts of an `or` of which one always holds.
    pub(super) fn any_of<'e>(&mut self, parts: impl IntoIterator<Item = &'e Expr>) {
        let mut denied: Vec<Claim> = Vec::new();
        for part in parts {
            for claim in self.claims(part, false) {
                let looks = &mut self.looks;
                let before = denied.iter().find(|other| {
                    *looks = looks.saturating_sub(1);
                    *looks > 0 && other.subject == claim.subject && other.excludes(&claim)
                });
                if let Some(before) = before {
                    let (one, other) = (before.written(false), claim.written(false));
                    let message = format!("one of `{one}` and `{other}` is always true");
                    let help = Some("was `and` meant?".to_owned());
                    self.problem(Mistake::AlwaysTrue, claim.position, message, help);
                }
                denied.push(claim);
            }
        }
    }

    /// Complains about a comparison with what a property never is, such as an hour of 25.
    pub(super) fn within_bounds(&mut self, sign: &str, args: [(&Expr, Known); 2]) {
        let [(left, a), (right, b)] = args;
        let Some(sign) = Sign::parse(sign) else { return };
        for ((path, known, sign), literal) in [((left, a, sign), right), ((right, b, sign.turned()), left)] {
            let Some(Literal::Number(number)) = self.literal(literal) else { continue };
            if self.literal(path).is_some() || self.changes(path) {
                continue;
            }
            let has_most = known.bounds.is_some_and(|bounds| bounds.high.is_some());
            if !has_most && self.constant(literal).is_some() {
                continue; // a limit of zero that switches something off
            }
            let what = self.path(path).map_or_else(|| "this".to_owned(), |path| path.path);
            self.bounded(&what, known, (sign, number), super::start(literal));
        }
    }

    /// Complains about comparing what lies within bounds with a number outside of them.
    pub(super) fn bounded(&mut self, what: &str, known: Known, said: (Sign, Decimal), at: Position) {
        let (sign, number) = said;
        let said = (sign, Literal::Number(number));
        let outside = |bounds: &crate::rules::vocabulary::Bounds| {
            let limit = |sign, limit: i64| (sign, Literal::Number(limit.into()));
            let is_whole = known.kind == Type::Whole;
            exclude(&said, &limit(Sign::AtLeast, bounds.low), is_whole)
                || bounds.high.is_some_and(|high| exclude(&said, &limit(Sign::AtMost, high), is_whole))
        };
        if let Some(bounds) = known.bounds.filter(outside) {
            let message = format!("`{what}` is never that: it is {bounds}");
            return self.problem(Mistake::NeverTrue, at, message, None);
        }
        if number.fract().is_zero() || known.kind != Type::Whole {
            return;
        }
        if known.bounds.is_some_and(|bounds| bounds.high.is_some()) && sign != Sign::Is {
            let message = format!("`{what}` is a whole number, and {number} is none");
            let help = what
                .ends_with(".hour")
                .then(|| "for half past two ask for the `.hour` 14 and the `.minute` 30".to_owned());
            self.problem(Mistake::Unclear, at, message, help);
        } else if sign == Sign::Is {
            let message = format!("`{what}` is a whole number, so it is never {number}");
            self.problem(Mistake::NeverTrue, at, message, None);
        }
    }

    /// Complains about comparing what is written with what is written.
    pub(super) fn fixed(&mut self, sign: &str, a: &Literal, b: &Literal, position: Position) {
        let Some(sign) = Sign::parse(sign) else { return };
        let holds = sign.holds(a.compare(b));
        let mistake = if holds { Mistake::AlwaysTrue } else { Mistake::NeverTrue };
        let help = Some("compare with something of the member or the event".to_owned());
        self.problem(mistake, position, format!("this is always {holds}"), help);
    }

    /// Complains about a range such as `22..6`, in which nothing lies.
    pub(super) fn range(&mut self, left: &Expr, right: &Expr) {
        let (Some(from), Some(to)) = (self.literal_number(left), self.literal_number(right)) else { return };
        if from > to {
            let message = format!("nothing lies between {from} and {to}: a range goes upwards");
            let help = format!("to go past the end, write `>= {from}` or `< {to}`, joined by `or`");
            self.problem(Mistake::NeverTrue, super::start(left), message, Some(help));
        }
    }

    /// Complains about a range that a number within bounds never lies in: `hour in 24..30`.
    pub(super) fn bounded_range(&mut self, value: (&Expr, Known), range: &Expr) {
        let Expr::FnCall(call, _) = range else { return };
        let [from, to] = &call.args[..] else { return };
        let sign = match &*call.name {
            ".." => Sign::Below,
            "..=" => Sign::AtMost,
            _ => return,
        };
        if self.changes(value.0) {
            return;
        }
        let what = self.path(value.0).map_or_else(|| "this".to_owned(), |path| path.path);
        for (sign, limit) in [(Sign::AtLeast, from), (sign, to)] {
            if let Some(number) = self.literal_number(limit) {
                self.bounded(&what, value.1, (sign, number), super::start(limit));
            }
        }
    }

    /// What a condition says of values when it holds, or does not.
    fn claims(&mut self, part: &Expr, holds: bool) -> Vec<Claim> {
        self.claims_at(part, holds, None)
    }

    /// `position` is that of the `!` before it.
    fn claims_at(&mut self, part: &Expr, holds: bool, position: Option<Position>) -> Vec<Claim> {
        // Of a hostile heap of comparisons not all are looked at: none is made any more once enough were.
        self.looks = self.looks.saturating_sub(1);
        if self.looks == 0 {
            return Vec::new();
        }
        let claim = match part {
            Expr::And(parts, _) if holds => return self.claims_of(parts.iter(), holds),
            Expr::Or(parts, _) if !holds => return self.claims_of(parts.iter(), holds),
            Expr::And(parts, _) | Expr::Or(parts, _) => return self.one_of(parts.iter(), holds),
            Expr::FnCall(call, _) if call.op_token.is_some() && call.name == "!" => {
                let position = position.or_else(|| Some(super::start(part)));
                return self.claims_at(&call.args[0], !holds, position);
            }
            Expr::FnCall(call, _) if call.name == "contains" => return self.among(call, holds, position),
            Expr::FnCall(call, _) if call.op_token.is_some() => self.compared(call, position),
            property => self.truth(property, position),
        };
        match claim {
            Some(claim) if holds => vec![claim],
            Some(claim) => claim.denied(),
            None => Vec::new(),
        }
    }

    fn claims_of<'e>(&mut self, parts: impl Iterator<Item = &'e Expr>, holds: bool) -> Vec<Claim> {
        parts.flat_map(|part| self.claims(part, holds)).collect()
    }

    /// That one of the parts is so, where all of them say something of the same value.
    fn one_of<'e>(&mut self, parts: impl Iterator<Item = &'e Expr>, holds: bool) -> Vec<Claim> {
        let mut sides = parts.map(|part| self.claims(part, holds)).collect::<Vec<_>>().into_iter();
        let mut merged = sides.next().unwrap_or_default();
        for side in sides {
            merged.retain_mut(|claim| {
                let Some(other) = side.iter().find(|other| other.subject == claim.subject) else {
                    return false;
                };
                let joint = if holds { "or" } else { "and" };
                claim.shown = short(&format!("{} {joint} {}", claim.written(holds), other.written(holds)));
                claim.holds = holds;
                claim.ways.extend(other.ways.iter().cloned());
                claim.ways.len() <= MAX_WAYS
            });
        }
        merged
    }

    fn truth(&mut self, property: &Expr, position: Option<Position>) -> Option<Claim> {
        let subject = self.path(property)?;
        let known = self.expression(property);
        let ways = vec![(Sign::Is, Literal::Truth(true))];
        let shown = subject.path.clone();
        let position = position.unwrap_or_else(|| super::start(property));
        Some(Claim { subject, known, ways, shown, holds: true, standing: Standing::Beside, position })
    }

    fn compared(&mut self, call: &FnCallExpr, position: Option<Position>) -> Option<Claim> {
        let sign = Sign::parse(&call.name)?;
        let [left, right] = &call.args[..] else { return None };
        let (value, sign, literal) = match (self.path(left), self.path(right)) {
            (Some(_), None) => (left, sign, right),
            (None, Some(_)) => (right, sign.turned(), left),
            _ => return None,
        };
        let (subject, with) = (self.path(value)?, self.literal(literal)?);
        let known = self.lasting(value);
        let shown = short(&format!("{} {} {with}", subject.path, sign.as_str()));
        let ways = vec![(sign, with)];
        let position = position.unwrap_or_else(|| super::start(value));
        Some(Claim { subject, known, ways, shown, holds: true, standing: Standing::Beside, position })
    }

    /// What is known of a value that may be looked at more than once.
    fn lasting(&mut self, value: &Expr) -> Known {
        if self.changes(value) { Known::ANY } else { self.expression(value) }
    }

    /// `value in ["a", "b"]`, `value in 5..10`.
    fn among(&mut self, call: &FnCallExpr, holds: bool, position: Option<Position>) -> Vec<Claim> {
        let [list, value] = &call.args[..] else { return Vec::new() };
        let Some(subject) = self.path(value) else { return Vec::new() };
        let Some((ways, shown)) = self.ways(list) else { return Vec::new() };
        self.looks = self.looks.saturating_sub(MAX_WAYS);
        let known = self.lasting(value);
        let shown = short(&format!("{} in {shown}", subject.path));
        let standing = Standing::Beside;
        let position = position.unwrap_or_else(|| super::start(value));
        let claim = |ways| Claim {
            subject: subject.clone(),
            known,
            ways,
            shown: shown.clone(),
            holds: true,
            standing,
            position,
        };
        match (ways, holds) {
            (Ways::Any(ways), true) => vec![claim(ways)],
            (Ways::Any(ways), false) => claim(ways).denied(),
            (Ways::All(ways), true) => ways.map(|way| claim(vec![way])).into(),
            (Ways::All(ways), false) => {
                let mut sides = ways.into_iter().flat_map(|way| claim(vec![way]).denied());
                let Some(first) = sides.next() else { return Vec::new() };
                let others: Vec<_> = sides.flat_map(|side| side.ways).collect();
                vec![Claim { ways: first.ways.iter().cloned().chain(others).collect(), ..first }]
            }
        }
    }

    /// What it takes to be in a list or a range, and how that is written.
    fn ways(&self, list: &Expr) -> Option<(Ways, String)> {
        if let Expr::FnCall(range, _) = list {
            let [from, to] = &range.args[..] else { return None };
            let sign = match &*range.name {
                ".." => Sign::Below,
                "..=" => Sign::AtMost,
                _ => return None,
            };
            let (from, to) = (self.literal_number(from)?, self.literal_number(to)?);
            let shown = format!("{from}{}{to}", range.name);
            let ways = [(Sign::AtLeast, Literal::Number(from)), (sign, Literal::Number(to))];
            return Some((Ways::All(ways), shown));
        }
        let values: Option<Vec<Literal>> = match list {
            Expr::Array(parts, _) if parts.len() <= MAX_WAYS => {
                parts.iter().map(|part| self.literal(part)).collect()
            }
            _ => {
                let parts = self.constant(list).map(Dynamic::as_array_ref)?.ok()?;
                let values = parts.iter().take(MAX_WAYS + 1).map(Literal::of);
                values.collect::<Option<Vec<_>>>().filter(|values| values.len() <= MAX_WAYS)
            }
        };
        let values = values.filter(|values| !values.is_empty())?;
        let shown: Vec<_> = values.iter().map(ToString::to_string).collect();
        let ways = values.into_iter().map(|value| (Sign::Is, value)).collect();
        Some((Ways::Any(ways), format!("[{}]", shown.join(", "))))
    }

    /// What an expression asks, if asking it twice gives the same answer: properties and methods of a variable.
    pub(super) fn path(&self, expr: &Expr) -> Option<Subject> {
        let variable = match expr {
            Expr::Dot(pair, ..) => &pair.lhs,
            other => other,
        };
        let Expr::Variable(variable, ..) = variable else { return None };
        let name = variable.1.as_str();
        let root = self.here.variables.iter().rposition(|known| known.name == name)?;
        let path = match expr {
            Expr::Dot(pair, ..) => format!("{name}.{}", self.steps(&pair.rhs)?),
            _ => name.to_owned(),
        };
        // In a test it is another one after each event.
        let changes = self.here.place == Place::Test && self.here.variables[root].origin == Origin::Given;
        Some(Subject { root, path, lasts: !changes && !self.here.assigned.contains(name) })
    }

    /// What is written behind a dot.
    fn steps(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Property(names, _) => Some(names.2.to_string()),
            Expr::MethodCall(call, _) => {
                let args: Option<Vec<String>> = call.args.iter().map(|arg| self.argument(arg)).collect();
                Some(format!("{}({})", call.name, args?.join(", ")))
            }
            Expr::Dot(pair, ..) => Some(format!("{}.{}", self.steps(&pair.lhs)?, self.steps(&pair.rhs)?)),
            _ => None,
        }
    }

    /// An argument that is always the same: a value, or a length of time such as `30.days`.
    fn argument(&self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Dot(pair, ..) => Some(format!("{}.{}", self.literal(&pair.lhs)?, self.steps(&pair.rhs)?)),
            _ => Some(self.literal(expr)?.to_string()),
        }
    }

    /// Whether this is a variable that something else is put into somewhere.
    pub(super) fn changes(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Variable(variable, ..) if self.here.assigned.contains(variable.1.as_str()))
    }
}

/// What is shown of a condition: texts may be long.
fn short(written: &str) -> String {
    match written.char_indices().nth(MAX_SHOWN) {
        Some((at, _)) => format!("{}…", &written[..at]),
        None => written.to_owned(),
    }
}

/// What it takes to be in something.
enum Ways {
    Any(Vec<(Sign, Literal)>),
    All([(Sign, Literal); 2]),
}

/// What is said of a condition that cannot hold because of what is held: message and help.
fn contradiction(before: &Claim, claim: &Claim) -> (String, &'static str) {
    let said = claim.written(true);
    let are_both = |sign| [before, claim].iter().all(|claim| claim.ways.iter().all(|way| way.0 == sign));
    match before.standing {
        Standing::Before if !before.holds => (
            format!("`{said}` can never be true where `{}` is not", before.shown),
            "an earlier branch has it already: ask for less there, or put this one first",
        ),
        Standing::Before | Standing::Around => (
            format!("`{said}` can never be true where `{}` is", before.written(true)),
            "change one of the two, or delete this",
        ),
        Standing::Beside => (
            format!("`{said}` can never be true where `{}` is", before.written(true)),
            if are_both(Sign::Is) {
                "was `or` meant?"
            } else {
                "was `or` meant, or is one of them the wrong way round?"
            },
        ),
    }
}
