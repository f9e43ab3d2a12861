//! What the parser and the interpreter complain of, in our words. Their own speak of types and tokens.

use rhai::{EvalAltResult, LexError, ParseError, ParseErrorType, Position};

use super::diagnostic::{Diagnostic, Mistake, Spot};
use super::split::KEYWORDS;
use super::suggest;
use super::vocabulary::Type;

/// The parser's complaint in our words, about what begins at this byte of the text.
pub(super) fn syntax_error(file: &str, text: &str, start: usize, error: &ParseError) -> Diagnostic {
    let spot = match error.position() {
        position if position.is_none() => Spot::of_offset(text, start),
        position => Spot::of_position(text, position),
    };
    let context = Context::of(&spot);
    let (message, help) = match error.err_type() {
        _ if context.rest.starts_with("=<") => unusable("=<", &context),
        ParseErrorType::UnexpectedEOF => {
            ("something is missing before the end".to_owned(), Some("is a `}` missing?".to_owned()))
        }
        ParseErrorType::MissingToken(token, why) if token == "}" || token == ")" || token == ";" => {
            let usual = || "is the line before complete?".to_owned();
            let help = context.help().or_else(|| context.before(token)).unwrap_or_else(usual);
            (format!("`{token}` is missing {why}"), Some(help))
        }
        ParseErrorType::MissingToken(token, _) => {
            (format!("expected `{token}` here"), context.help().or_else(|| context.before(token)))
        }
        ParseErrorType::MismatchedType(wanted, found) => mismatched(wanted, found),
        ParseErrorType::ExprExpected(_) => {
            ("a case is a number or a text that is written out".to_owned(), context.case_help())
        }
        ParseErrorType::WrongSwitchIntegerCase => (
            "a number cannot stand behind a range".to_owned(),
            Some("write it before the ranges; it is taken first in any case".to_owned()),
        ),
        ParseErrorType::VariableExpected => ("a name is expected here".to_owned(), context.name_help()),
        ParseErrorType::VariableExists(name) => (
            format!("there is a variable called `{name}` already"),
            Some(format!("to change it, write `{name} = …` without `let`")),
        ),
        ParseErrorType::FnMissingParams(name) => {
            ("expected `(` here".to_owned(), Some(format!("write `fn {name}() {{ … }}`")))
        }
        ParseErrorType::AssignmentToInvalidLHS(_) => {
            ("nothing can be put into this".to_owned(), Some("to compare, write `==`".to_owned()))
        }
        ParseErrorType::MissingSymbol(wanted) => context.wanted(wanted),
        ParseErrorType::ExprTooDeep => {
            ("this is nested too deeply".to_owned(), Some("use `let` for its parts".to_owned()))
        }
        ParseErrorType::Reserved(word) | ParseErrorType::UnknownOperator(word) => unusable(word, &context),
        ParseErrorType::BadInput(LexError::ImproperSymbol(word, _)) => unusable(word, &context),
        ParseErrorType::BadInput(LexError::UnexpectedInput(word)) => unusable(word, &context),
        ParseErrorType::BadInput(LexError::UnterminatedString) => {
            ("this text has no closing quote".to_owned(), None)
        }
        other => {
            let said = other.to_string();
            let (message, help) = said.split_once('\n').unwrap_or((&said, ""));
            let help = (!help.is_empty()).then(|| help.to_owned());
            let help = help.or_else(|| context.help()).or_else(|| context.body_help());
            (lower_first(message), help)
        }
    };
    Diagnostic::new(Mistake::Syntax, file, spot, message).maybe_help(help)
}

fn unusable(word: &str, context: &Context<'_>) -> (String, Option<String>) {
    match word {
        "else" => {
            let help = "a rule has no `else`: write `if … { … } else { … }` in its body, or a second rule";
            return ("there is no `if` before this `else`".to_owned(), Some(help.to_owned()));
        }
        "}" => {
            let help = "delete it, or is a `{` missing before it?";
            return ("this `}` closes nothing".to_owned(), Some(help.to_owned()));
        }
        _ => {}
    }
    let differs = (word == ">" && context.sign == Some('<')).then_some("write `!=`");
    let help = differs.or_else(|| instead_of(word)).map(str::to_owned).or_else(|| context.help());
    (format!("`{word}` cannot be used in rules"), help)
}

/// What is said where the parser sees that a written value is of the wrong type.
fn mismatched(wanted: &str, found: &str) -> (String, Option<String>) {
    let bare = found.trim_start_matches("an ").trim_start_matches("a ");
    let found = if bare.ends_with("number") { "a number" } else { in_words(bare) };
    if wanted.contains("iterable") {
        let help = "`for` walks over `order.items`, a list or a range such as 0..5";
        return (format!("`for` cannot walk over {found}"), Some(help.to_owned()));
    }
    let help =
        "say each time what is compared: `… == \"a\" or … == \"b\"`; or list them: `… in [\"a\", \"b\"]`";
    (format!("this must be true or false, but it is {found}"), Some(help.to_owned()))
}

/// What stands around the place where the parser stopped.
struct Context<'a> {
    /// The word before it.
    before: &'a str,
    /// What it stands at, to the end of the line.
    rest: &'a str,
    /// The last sign before it.
    sign: Option<char>,
    /// All that stands before it on the line.
    line: &'a str,
}

impl<'a> Context<'a> {
    fn of(spot: &'a Spot) -> Self {
        let source = &spot.source;
        let at = source.char_indices().nth(spot.column - 1).map_or(source.len(), |(at, _)| at);
        let (before, rest) = source.split_at(at);
        let before = before.trim_end();
        let word = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_'))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        Self { before: &before[word..], rest, sign: before.chars().next_back(), line: before }
    }

    /// Whether what stands here comes right behind a number.
    fn is_behind_number(&self) -> bool {
        self.before.starts_with(|c: char| c.is_ascii_digit())
    }

    /// The word that it stands at.
    fn word(&self) -> &'a str {
        self.rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default()
    }

    /// What a number should be written without.
    fn number_help(&self) -> Option<&'static str> {
        let mut rest = self.rest.chars();
        let (first, second) = (rest.next()?, rest.next());
        let goes_on = second.is_some_and(|c| c.is_ascii_digit());
        Some(match (first, self.word()) {
            (',' | '\'' | '’', _) if goes_on => {
                "a number has a point before its decimals and no other mark: 12.50, 1000"
            }
            (':', _) if goes_on => "an hour is a number of its own: 14; `.minute` gives the minutes",
            (_, "am" | "pm" | "AM" | "PM" | "h" | "Uhr" | "o") => "hours are the numbers 0 to 23: 14",
            ('€' | '$' | '£' | '¥' | '₹', _) => "write the number alone: 5.50",
            (
                _,
                "USD" | "EUR" | "GBP" | "CHF" | "dollars" | "dollar" | "euros" | "euro" | "points"
                | "percent",
            ) => "write the number alone: 5.50",
            _ => return None,
        })
    }

    /// What was probably meant where this token is missing.
    fn before(&self, token: &str) -> Option<String> {
        let first = self.rest.chars().next();
        let is_in = |bracket: &str| {
            let opened = self.line.rfind(bracket);
            opened.is_some_and(|at| self.line[..at].trim_end().ends_with(" in"))
        };
        let opened = || self.line.rfind('{').map(|at| &self.line[..at]);
        let begins = |word: &str| self.line.trim_start().starts_with(word);
        Some(match (token, first) {
            (")", Some(',')) if is_in("(") => "a list stands in square brackets: [\"…\", \"…\"]".to_owned(),
            (";", Some(',')) if is_in("{") => "a list stands in square brackets: [\"…\", \"…\"]".to_owned(),
            (";", Some(':')) if opened().is_some_and(|before| before.ends_with(['(', ' ', ','])) => {
                "names and values stand in `#{ … }`: #{ total: 5 }".to_owned()
            }
            (";", Some('{')) if begins("segment") => {
                "a segment ends with `;` behind its condition; rules ask for it".to_owned()
            }
            (";", Some('{')) if begins("tier") => "a tier ends with `;` behind its conditions".to_owned(),
            (";", _) if begins("const ") && !self.line.contains('=') => "write `const NAME = …;`".to_owned(),
            (",", Some(';')) => "is a `)` missing before it?".to_owned(),
            ("=>", _) => "write `=>` between a case and what it gives: \"gold\" => 3".to_owned(),
            ("in", _) => "write `for item in order.items { … }`".to_owned(),
            ("on", _) if matches!(self.word(), "when" | "priority" | "campaign" | "group") => {
                "`on` and the event come first: rule \"…\" on order.completed when …".to_owned()
            }
            ("{", _) => "write `{` before what is done, and `}` behind it".to_owned(),
            _ => return None,
        })
    }

    /// What to write for a case.
    fn case_help(&self) -> Option<String> {
        Some(match self.word() {
            "default" | "else" | "otherwise" => "write `_ => …` for all others".to_owned(),
            "case" => "write the case alone: \"gold\" => 3".to_owned(),
            _ if self.rest.starts_with(['|', ',']) || matches!(self.word(), "or") => {
                "write a line for each case".to_owned()
            }
            _ => "write a range of whole numbers such as 0..50, or use `if … else if …`".to_owned(),
        })
    }

    /// What to write for a name.
    fn name_help(&self) -> Option<String> {
        let is_event = self.before == "on" || self.sign == Some('.');
        Some(match self.rest.chars().next()? {
            '"' if is_event => "an event stands without quotes: on order.completed".to_owned(),
            '*' if is_event => "name one event; what is for several needs a rule for each".to_owned(),
            _ => return self.help(),
        })
    }

    /// What is said where something of a head is missing that the parser knows by kind.
    fn wanted(&self, what: &str) -> (String, Option<String>) {
        let help = |usual: &str| Some(self.help().unwrap_or_else(|| usual.to_owned()));
        if what.ends_with("integer number") {
            return ("a whole number is expected here".to_owned(), help("write it out: priority 10"));
        }
        if what.ends_with("a string") {
            return ("a name in quotes is expected here".to_owned(), help("write it in quotes: \"…\""));
        }
        (lower_first(what), self.help())
    }

    /// What to write where a head goes on with what is done.
    fn body_help(&self) -> Option<String> {
        let behind = self.rest[self.word().len()..].trim_start();
        let is_body = behind.starts_with('(') || self.rest.starts_with([':', ';', '(']);
        is_body.then(|| "write `{` before what is done, and `}` behind it".to_owned())
    }

    /// What was probably meant.
    fn help(&self) -> Option<String> {
        const SPANS: [&str; 6] = ["days", "weeks", "months", "day", "week", "month"];
        const BEGINNINGS: [&str; 6] = ["expect", "let", "if", "for", "return", "switch"];
        let word = self.word();
        if self.is_behind_number() {
            if let Some(span) = SPANS.into_iter().find(|span| *span == word) {
                return Some(format!("write {}.{}s", self.before, span.trim_end_matches('s')));
            }
            if let Some(help) = self.number_help() {
                return Some(help.to_owned());
            }
        }
        if word == "x" && self.rest[1..].trim_start().starts_with(|c: char| c.is_ascii_digit()) {
            return Some("write `*`".to_owned());
        }
        if self.sign == Some('%') {
            return Some("a percentage is a number: 10 % of it is `* 0.1`".to_owned());
        }
        if self.rest.starts_with('\'') {
            return Some("a text stands in double quotes: \"…\"".to_owned());
        }
        let small = self.before.to_lowercase();
        if self.rest.starts_with('"') && KEYWORDS.contains(&&*small) && small != self.before {
            return Some(format!("write `{small}`, in small letters"));
        }
        let sign: String = self.rest.chars().take(1).filter(|c| !c.is_ascii() || *c == '?').collect();
        let known = instead_of(word).or_else(|| instead_of(&sign)).or_else(|| instead_of(self.before));
        if let Some(help) = known.or_else(|| (self.before == "when").then_some(ONE_WHEN)) {
            return Some(help.to_owned());
        }
        let is_beginning = BEGINNINGS.contains(&self.before);
        suggest::did_you_mean(self.before, BEGINNINGS).filter(|_| !is_beginning && self.before.len() > 2)
    }
}

const ONE_WHEN: &str = "`when` stands once, before the `{`; join conditions with `and`";
const NAME_LETTERS: &str = "names are made of the letters a to z, digits and `_`";

/// What to write instead of a word or sign that other languages, or word processors, have.
fn instead_of(word: &str) -> Option<&'static str> {
    Some(match word {
        "&" | "AND" | "And" | "und" => "write `and`",
        "|" | "OR" | "Or" | "oder" => "write `or`",
        "not" | "NOT" | "Not" | "~" => "write `!` before what must not be so: !(… in …)",
        "“" | "”" | "„" | "‘" | "’" | "«" | "»" | "´" => "write straight quotes: \"",
        "–" | "—" | "−" => "write `-`",
        "×" | "·" => "write `*`",
        "÷" => "write `/`",
        "..." | "…" => "write `..`",
        "\u{a0}" | "\u{202f}" | "\u{2007}" => "this is a no-break space: write an ordinary one",
        "?" => "write `if … { … } else { … }`",
        "null" | "NULL" | "None" | "exists" | "empty" => {
            "what is not said reads as 0 or \"\": compare with that"
        }
        "foreach" | "each" => "write `for item in order.items { … }`",
        "to" => "a range is written 14..16",
        "<>" | "=/=" | "≠" => "write `!=`",
        "=>" | "≥" => "write `>=`",
        "=<" | "≤" => "write `<=`",
        "=" | "===" | "is" | "equals" | "Is" | "IS" => "to compare, write `==`",
        "!==" => "write `!=`",
        "elseif" | "elsif" | "elif" => "write `else if`",
        "If" | "IF" => "write `if`, in small letters",
        "Else" | "ELSE" => "write `else`, in small letters",
        "then" => "write `{` before what is done, and `}` behind it",
        "between" => "write both ends: `>= 5 and <= 10`",
        "contains" => "write it behind a dot: `.contains(…)`",
        "#" => "a remark begins with `//`",
        "$" | "€" | "£" => "write the number alone: 5.50",
        "++" => "write `+= 1`",
        "var" => "write `let`",
        "while" | "loop" | "do" => "only `for` repeats: `for item in order.items { … }`",
        word if word.starts_with(|c: char| c.is_alphabetic() && !c.is_ascii()) => NAME_LETTERS,
        _ => return None,
    })
}

/// A word that the parser could not take, as it is written; `None` for what it says in words of its own.
pub(super) fn bare(found: &str) -> Option<&str> {
    let quoted = found.strip_prefix("Unexpected '").and_then(|rest| rest.strip_suffix('\''));
    let invalid = || found.strip_prefix('\'').and_then(|rest| rest.split_once("' is ")).map(|(word, _)| word);
    let spoken = || found.contains(' ') && !found.starts_with('"');
    quoted.or_else(invalid).or_else(|| (!spoken()).then_some(found))
}

/// What to write instead of a word in the head of a declaration.
pub(super) fn instead_of_clause<'a>(
    found: &str,
    clauses: impl Iterator<Item = &'a str> + Clone,
) -> Option<String> {
    let small = found.to_lowercase();
    if clauses.clone().any(|clause| clause == small && clause != found) {
        return Some(format!("write `{small}`, in small letters"));
    }
    match found {
        "if" | "where" | "If" | "Where" => return Some("a condition begins with `when`".to_owned()),
        "and" | "or" | "&&" | "||" | "," if clauses.clone().any(|clause| clause == "when") => {
            let help = "it starts on one event: write one for each, and join conditions behind `when`";
            return Some(help.to_owned());
        }
        "on" => return Some("this starts on no event: it is asked with each".to_owned()),
        _ => {}
    }
    instead_of(found).map(str::to_owned).or_else(|| suggest::did_you_mean(found, clauses))
}

/// What to do with what stands at the top of a file and is no declaration.
pub(super) fn stray(spot: &Spot) -> String {
    let rest: String = spot.source.chars().skip(spot.column - 1).collect();
    let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let small = word.to_lowercase();
    let known = KEYWORDS;
    if known.contains(&&*small) && small != word {
        return format!("write `{small}`, in small letters");
    }
    match (&*small, rest.chars().next()) {
        (_, Some('#')) => return "a remark begins with `//`".to_owned(),
        (_, Some('\'')) | ("rem", _) => return "a remark begins with `//`".to_owned(),
        ("function" | "func" | "def" | "sub", _) => return "write `fn`".to_owned(),
        ("let" | "var" | "set", _) => return "write `const NAME = …;`".to_owned(),
        _ => {}
    }
    suggest::did_you_mean(&word, known)
        .filter(|_| word.len() > 1)
        .unwrap_or_else(|| "put it inside a rule, or begin it with one of these words".to_owned())
}

fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// What went wrong when a rule ran, and where: the innermost place, which may be in a function of another file.
pub(super) fn failure(error: &EvalAltResult) -> (Option<String>, Position, String) {
    let mut function = None;
    let mut innermost = error;
    while let EvalAltResult::ErrorInFunctionCall(name, _, inner, _) = innermost {
        function = Some(name.clone());
        innermost = inner;
    }
    let message = match innermost {
        EvalAltResult::ErrorRuntime(message, _) => message.to_string(),
        EvalAltResult::ErrorTerminated(message, _) => message.to_string(),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => no_function(signature),
        EvalAltResult::ErrorVariableNotFound(name, _) => format!("there is nothing called `{name}` here"),
        EvalAltResult::ErrorMismatchDataType(wanted, found, _)
        | EvalAltResult::ErrorMismatchOutputType(wanted, found, _) => {
            format!("this must be {}, but it is {}", in_words(wanted), in_words(found))
        }
        EvalAltResult::ErrorIndexingType(found, _) => format!("{} has no such part", in_words(found)),
        EvalAltResult::ErrorDotExpr(said, _) => no_property(said),
        EvalAltResult::ErrorFor(_) => {
            "`for` walks over `order.items`, a list or a range such as 0..5".to_owned()
        }
        EvalAltResult::ErrorTooManyOperations(_) => "ran for too many steps".to_owned(),
        EvalAltResult::ErrorStackOverflow(_) => "functions call each other too deeply".to_owned(),
        other => {
            let mut bare = other.to_string();
            if let Some(at) = bare.rfind(" (line ") {
                bare.truncate(at);
            }
            bare
        }
    };
    (function, innermost.position(), message)
}

/// That nothing takes such arguments; the signature names types of Rust.
fn no_function(signature: &str) -> String {
    let Some((name, types)) = signature.split_once('(') else {
        return format!("there is no function called `{signature}`");
    };
    let types = types.strip_suffix(')').unwrap_or(types);
    let types: Vec<_> = types.split(',').filter(|kind| !kind.trim().is_empty()).map(in_words).collect();
    format!("`{}` cannot be used with ({})", name.trim(), types.join(", "))
}

/// That a value has no such property: the interpreter puts the name and the type in quotes.
fn no_property(said: &str) -> String {
    let mut quoted = said.split('\'').skip(1).step_by(2);
    match (quoted.next(), quoted.next()) {
        (Some(name), Some("()")) => format!("what is not there has no `{name}`"),
        (Some(name), Some(kind)) => format!("{} has nothing called `{name}`", in_words(kind)),
        (Some(name), None) => format!("there is nothing called `{name}` here"),
        _ => "this has no such property".to_owned(),
    }
}

/// A type of Rust, or of the interpreter, as people know it.
pub(super) fn in_words(kind: &str) -> &'static str {
    let first = kind.split(['|', '<']).next().unwrap_or_default();
    let kind = match first.rsplit("::").next().unwrap_or_default().trim() {
        "()" => Type::Nothing,
        "bool" => Type::Bool,
        "i64" | "INT" => Type::Whole,
        "Decimal" | "decimal" => Type::Decimal,
        "&str" | "ImmutableString" | "String" | "string" | "char" => Type::Text,
        "Array" | "array" | "List" => Type::List,
        "Map" | "map" => Type::Map,
        "Fields" => Type::Json,
        "Range" | "RangeInclusive" | "range" | "range=" => Type::Range,
        "Window" => Type::Window,
        "Moment" => Type::Moment,
        "OrderView" => Type::Order,
        "Items" => Type::Items,
        "ItemView" => Type::Item,
        "RefundView" => Type::Refund,
        "VisitView" => Type::Visit,
        "CartView" => Type::Cart,
        "SessionView" => Type::Session,
        "Tick" => Type::Tick,
        "MemberView" => Type::Member,
        "EventView" => Type::Event,
        "Object" => return "an object of the message",
        "Verbatim" => return "a value that can only be handed on",
        _ => return "something else",
    };
    kind.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_rust_are_said_in_words() {
        let said = no_function("contains (punchcard::rules::lines::Items, &str | ImmutableString | String)");
        assert_eq!(said, "`contains` cannot be used with (the items of an order or a cart, a text)");
        assert_eq!(no_function("award ()"), "`award` cannot be used with ()");
        assert_eq!(no_function("award (())"), "`award` cannot be used with (nothing)");
        let said = "Unknown property 'totl' - a getter is not registered for type 'punchcard::rules::views::OrderView'";
        assert_eq!(no_property(said), "an order has nothing called `totl`");
    }
}
