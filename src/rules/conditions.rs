//! Takes conditions apart that do not hold: which of their parts are false, and what was read for them.
//!
//! Reading has no effects: whoever asks opens the page of a condition, on which nothing can be asked for. It is bounded
//! like a rule: all that is read for one condition shares one rule's number of steps.

use std::ops::Range;

use rhai::{Dynamic, EvalContext, Expr, Expression, FnCallExpr, Position};
use schemars::JsonSchema;
use serde::Serialize;

use super::check::start;
use super::diagnostic::Spot;
use super::language::Block;
use super::split;

/// The most characters that are shown of a value.
const MAX_SHOWN: usize = 200;

/// The word that an expectation begins with.
const EXPECT: &str = "expect";

/// A condition as somebody wrote it, and where that begins in its file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Excerpt {
    pub(super) text: Box<str>,
    line: usize,
    column: usize,
}

/// The word that a clause begins with, and those of which one ends it.
pub(super) type Clause<'a> = (&'a str, &'a [&'a str]);

/// A part of a condition that is false.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FalsePart {
    #[serde(skip)]
    pub(super) position: Position,
    /// As it is written.
    pub part: Box<str>,
    /// What was read for it. Of a comparison: both sides, but for literals.
    #[serde(serialize_with = "read_ones")]
    #[schemars(with = "Vec<Value>")]
    pub values: Vec<Value>,
    /// Between two values.
    #[serde(skip)]
    operator: Box<str>,
    /// The word that was asked, where nothing is compared.
    #[serde(skip)]
    pub(super) word: Box<str>,
}

/// What was read for a part of a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ReadValue")]
pub struct Value {
    /// As it is written.
    pub of: Box<str>,
    /// As it would be written.
    pub is: Box<str>,
    #[serde(skip)]
    is_literal: bool,
}

impl Value {
    /// Something that is no literal, and what it is.
    pub(super) fn new(of: String, is: String) -> Self {
        Self { of: of.into(), is: is.into(), is_literal: false }
    }
}

fn read_ones<S: serde::Serializer>(values: &[Value], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().filter(|value| !value.is_literal))
}

impl FalsePart {
    /// What was read for it.
    pub(super) fn read(&self) -> impl Iterator<Item = &Value> {
        self.values.iter().filter(|value| !value.is_literal)
    }

    /// What is compared, how, and with what.
    pub(super) fn compared(&self) -> Option<(&Value, &str, &Value)> {
        match &self.values[..] {
            [left, right] if !self.operator.is_empty() => Some((left, &self.operator, right)),
            _ => None,
        }
    }
}

impl std::fmt::Display for FalsePart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.part)?;
        for (n, Value { of, is, .. }) in self.read().enumerate() {
            write!(f, "{}{of} is {is}", if n == 0 { " (" } else { ", " })?;
        }
        f.write_str(if self.read().next().is_some() { ")" } else { "" })
    }
}

type Context<'s, 'p, 'g, 'c, 't, 'x> = EvalContext<'s, 'p, 'g, 'c, 't, 'x>;

/// The parts of a condition that are false, in the order in which they are written. A part that cannot be read because
/// one before it is false (`!items.is_empty() && items[0] == …`) is left out.
pub(super) fn false_parts(
    context: &mut Context<'_, '_, '_, '_, '_, '_>,
    condition: &Expr,
    written: &Excerpt,
) -> Vec<FalsePart> {
    let mut parts = Vec::new();
    collect(context, condition, (written, 0..written.text.len()), &mut parts);
    parts
}

fn collect(
    context: &mut Context<'_, '_, '_, '_, '_, '_>,
    expr: &Expr,
    (written, range): (&Excerpt, Range<usize>),
    found: &mut Vec<FalsePart>,
) {
    let (parts, operators) = match expr {
        Expr::And(parts, _) => (parts, ["&&", "and"]),
        Expr::Or(parts, _) => (parts, ["||", "or"]),
        _ => return found.push(leaf(context, expr, (written, range))),
    };
    let ranges = written.cut(range, parts.iter(), &operators);
    for (part, range) in parts.iter().zip(ranges) {
        let value = context.eval_expression_tree(&Expression::from(part));
        if value.is_ok_and(|value| value.as_bool() == Ok(false)) {
            collect(context, part, (written, range), found);
        }
    }
}

fn leaf(
    context: &mut Context<'_, '_, '_, '_, '_, '_>,
    expr: &Expr,
    (written, range): (&Excerpt, Range<usize>),
) -> FalsePart {
    let range = written.bare(range);
    let mut read = |(expr, range): (&Expr, Range<usize>)| {
        let value = context.eval_expression_tree(&Expression::from(expr)).ok()?;
        let of = written.at(written.bare(range)).into();
        Some(Value { of, is: shown(&value)?.into(), is_literal: expr.is_constant() })
    };
    let values = sides(expr, (written, range.clone())).into_iter().map(&mut read).collect::<Option<_>>();
    let values: Vec<Value> = values.unwrap_or_default();
    let operator = match expr {
        Expr::FnCall(call, _) if compares(call) => call.name.as_str().into(),
        Expr::FnCall(call, _) if call.name == "contains" && values.len() == 2 => "in".into(),
        _ => Box::default(),
    };
    let part = written.at(range).into();
    FalsePart { position: start(expr), part, values, operator, word: asked(expr).into() }
}

/// The word that an expression ends with: `fired` of `!fired("Big")`, `has_mark` of `member.has_mark("vip")`.
fn asked(expr: &Expr) -> &str {
    match expr {
        Expr::FnCall(call, _) if call.name == "!" => call.args.first().map_or("", asked),
        Expr::FnCall(call, _) | Expr::MethodCall(call, _) => &call.name,
        Expr::Dot(pair, ..) => asked(&pair.rhs),
        _ => "",
    }
}

/// What there is to read about an expression that is true or false: what it compares; of `!` what is behind it.
fn sides<'e>(expr: &'e Expr, (written, range): (&Excerpt, Range<usize>)) -> Vec<(&'e Expr, Range<usize>)> {
    let Expr::FnCall(call, _) = expr else { return Vec::new() };
    match &call.args[..] {
        args @ [_, _] if compares(call) => {
            args.iter().zip(written.cut(range, args.iter(), &[&call.name])).collect()
        }
        [list, element] if call.name == "contains" => {
            let sides = [element, list];
            let ranges = written.cut(range, sides.into_iter(), &["in"]);
            // Unless it is a call.
            if ranges[0] == ranges[1] { Vec::new() } else { sides.into_iter().zip(ranges).collect() }
        }
        [negated] if call.name == "!" && written.at(range.clone()).starts_with('!') => {
            let inner = written.bare(range.start + 1..range.end);
            let sides = sides(negated, (written, inner.clone()));
            if sides.is_empty() { vec![(negated, inner)] } else { sides }
        }
        _ => Vec::new(),
    }
}

fn compares(call: &FnCallExpr) -> bool {
    matches!(&*call.name, "==" | "!=" | "<" | "<=" | ">" | ">=") && call.op_token.is_some()
}

/// A value as it would be written in a rule; `None` for what cannot be written there.
pub(super) fn shown(value: &Dynamic) -> Option<String> {
    let plain = |value: &Dynamic| value.is_int() || value.is_decimal() || value.is_bool() || value.is_unit();
    let text = match value.as_immutable_string_ref() {
        Ok(text) => format!("\"{}\"", text.as_str()),
        Err(_) if plain(value) => value.to_string(),
        Err(_) => {
            let list = value.as_array_ref().ok()?;
            format!("[{}]", list.iter().map(shown).collect::<Option<Vec<_>>>()?.join(", "))
        }
    };
    Some(match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    })
}

impl Excerpt {
    /// What stands between `when` and the body of a rule or a trigger, `priority` left out.
    pub(super) fn of_condition(file: &str, block: &Block) -> Self {
        Self::find_condition(file, block).unwrap_or_default()
    }

    fn find_condition(file: &str, block: &Block) -> Option<Self> {
        let head = split::offset(file, (1, 1), block.event_position)?;
        let body = split::offset(file, (1, 1), block.body.start_position())?;
        let head = file.get(head..body)?;
        let when = words(head, "when").next()?;
        Some(Self::of(file, without_clauses(head.get(when.end..)?.trim())))
    }

    /// Of the declaration that begins there, what stands in the last of these clauses, each of which is within the one
    /// before it. For declarations without a body.
    pub(super) fn of_clause(file: &str, position: Position, clauses: &[Clause<'_>]) -> Self {
        let find = || {
            let declaration = file.get(split::offset(file, (1, 1), position)?..)?;
            clauses.iter().try_fold(declaration, |text, (word, ends)| split::clause(text, word, ends))
        };
        find().map_or_else(Self::default, |text| Self::of(file, text))
    }

    /// What stands behind the `expect` whose condition begins there.
    pub(super) fn of_expectation(file: &str, condition: Position) -> Self {
        let find = || {
            let before = file.get(..split::offset(file, (1, 1), condition)?)?;
            split::clause(file.get(before.rfind(EXPECT)?..)?, EXPECT, &[";"])
        };
        find().map_or_else(Self::default, |text| Self::of(file, text))
    }

    /// A file that is nothing but a condition.
    pub(super) fn of_all(file: &str) -> Self {
        Self::of(file, file)
    }

    /// A part of a file.
    fn of(file: &str, text: &str) -> Self {
        let begin = text.as_ptr().addr() - file.as_ptr().addr();
        let Spot { line, column, .. } = Spot::of_offset(file, begin);
        Self { text: text.into(), line, column }
    }

    fn at(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default().trim()
    }

    /// Cuts the text of an expression between its parts. Should it not be written as it was understood, each part has
    /// all of it.
    fn cut<'e>(
        &self,
        range: Range<usize>,
        parts: impl ExactSizeIterator<Item = &'e Expr>,
        operators: &[&str],
    ) -> Vec<Range<usize>> {
        let (count, range) = (parts.len(), self.bare(range));
        let mut cuts = Vec::with_capacity(count);
        let mut from = range.start;
        for next in parts.skip(1) {
            let between = split::offset(&self.text, (self.line, self.column), start(next))
                .and_then(|end| self.text.get(from..end));
            // The last one is it: behind it nothing but parentheses can stand before the next part.
            let operator = between.and_then(|between| {
                operators.iter().filter_map(|word| words(between, word).last()).max_by_key(|found| found.end)
            });
            let Some(operator) = operator else { return vec![range; count] };
            cuts.push(from..from + operator.start);
            from += operator.end;
        }
        cuts.push(from..range.end);
        cuts
    }

    /// Without the white space and the parentheses around it, and without those that belong to more than it.
    fn bare(&self, range: Range<usize>) -> Range<usize> {
        let Some(text) = self.text.get(range.clone()) else { return range };
        let begin = range.start + (text.len() - text.trim_start().len());
        let text = text.trim();
        let (first, last) = (begin, begin + text.len());
        let pairs = parentheses(text);
        let opens =
            text.starts_with('(') && pairs.iter().all(|(open, close)| *open > 0 || close + 1 == text.len());
        let closes =
            text.ends_with(')') && pairs.iter().all(|(open, close)| close + 1 < text.len() || *open == 0);
        match (opens, closes) {
            (false, false) => first..last,
            (opens, closes) => self.bare(first + usize::from(opens)..last - usize::from(closes)),
        }
    }
}

/// Where parentheses open and close in `text`; one without its other half is left out.
fn parentheses(text: &str) -> Vec<(usize, usize)> {
    let (mut open, mut pairs, mut quote, mut escaped) = (Vec::new(), Vec::new(), None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(quoted), _) if quoted == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`' | '\'') => quote = Some(c),
            (None, '(') => open.push(at),
            (None, ')') => pairs.extend(open.pop().map(|open| (open, at))),
            (None, _) => {}
        }
    }
    pairs
}

/// Where an operator or a keyword stands in `text`; a keyword not as part of another word.
fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = Range<usize>> {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    let is_keyword = word.starts_with(is_letter);
    text.match_indices(word).map(|(at, word)| at..at + word.len()).filter(move |found| {
        let touches = text[..found.start].ends_with(is_letter) || text[found.end..].starts_with(is_letter);
        !(is_keyword && touches)
    })
}

/// The text of a condition without the clauses behind it.
fn without_clauses(text: &str) -> &str {
    let is_name = |text: &str| {
        let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        inner.is_some_and(|inner| !inner.contains('"'))
    };
    for (clause, is_its) in [
        ("priority", &(|text: &str| text.parse::<i64>().is_ok()) as &dyn Fn(&str) -> bool),
        ("campaign", &is_name),
        ("group", &is_name),
    ] {
        if let Some(found) = words(text, clause).last()
            && is_its(text[found.end..].trim())
        {
            return without_clauses(text[..found.start].trim_end());
        }
    }
    text
}
