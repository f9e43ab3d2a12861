//! How much one query may be. All of it is judged before the library validates anything: several of its checks follow
//! each spread of a fragment anew, and twenty fragments that spread each other twice are a million fields to them.

use std::collections::HashMap;

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Positioned, ServerError};

use super::error::of_problem;
use crate::http::problem::Problem;

/// The most words, signs and texts in a query.
const MOST_TOKENS: usize = 5_000;
/// How deep brackets may be nested: the parser calls itself for each.
const MOST_BRACKETS: usize = 40;
/// The most fields and spreads, each fragment counted wherever it is spread.
const MOST_SELECTIONS: usize = 1_000;
/// The most fields under other names.
const MOST_ALIASES: usize = 30;
/// The most directives.
const MOST_DIRECTIVES: usize = 30;
/// How deep selections may be nested, fragments counted as a level of their own. The usual introspection has 19.
const MOST_LEVELS: usize = 24;
/// How often the lists of a type may be asked for within each other: a schema leads back to itself, and each round trip
/// is tens of times larger than the one before.
const MOST_META_LISTS: usize = 2;

/// A query that is not too much.
#[derive(Debug)]
pub(super) struct Judged {
    /// The query.
    pub(super) document: ExecutableDocument,
    /// Whether it asks for the schema.
    pub(super) introspects: bool,
}

/// Reads a query.
pub(super) fn judge(query: &str) -> Result<Judged, ServerError> {
    check_text(query).map_err(of_problem)?;
    let document = parse_query(query)?;
    let weight = weigh(&document).map_err(of_problem)?;
    weight.check().map_err(of_problem)?;
    Ok(Judged { document, introspects: weight.introspects })
}

fn too_much(what: &str, most: usize) -> Problem {
    Problem::BadQuery(format!("the query has {what}; at most {most} are taken"))
}

/// Counts tokens and brackets without understanding them.
fn check_text(query: &str) -> Result<(), Problem> {
    let mut text = query.as_bytes();
    let (mut tokens, mut brackets) = (0_usize, 0_usize);
    while let Some(first) = text.first() {
        let length = match first {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                text = &text[1..];
                continue;
            }
            b'#' => {
                text = &text[text.iter().position(|b| *b == b'\n').unwrap_or(text.len())..];
                continue;
            }
            b'"' => length_of_text(text),
            b if is_word(*b) => text.iter().take_while(|b| is_word(**b)).count(),
            b'{' | b'[' | b'(' => {
                brackets += 1;
                1
            }
            b'}' | b']' | b')' => {
                brackets = brackets.saturating_sub(1);
                1
            }
            _ => 1,
        };
        tokens += 1;
        text = &text[length..];
        if tokens > MOST_TOKENS {
            return Err(too_much("too many words", MOST_TOKENS));
        }
        if brackets > MOST_BRACKETS {
            return Err(too_much("too many brackets within each other", MOST_BRACKETS));
        }
    }
    Ok(())
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// The length of the text that begins here, up to its end or that of the query.
fn length_of_text(from: &[u8]) -> usize {
    let mark: &[u8] = if from.starts_with(b"\"\"\"") { b"\"\"\"" } else { b"\"" };
    let mut at = mark.len();
    while at < from.len() {
        match &from[at..] {
            rest if rest.starts_with(mark) => return at + mark.len(),
            // In a block only its own mark can be escaped, and skipping two bytes skips that as well.
            [b'\\', _, ..] => at += 2,
            _ => at += 1,
        }
    }
    from.len()
}

/// What a selection comes to.
#[derive(Debug, Clone, Copy, Default)]
struct Weight {
    selections: usize,
    aliases: usize,
    directives: usize,
    levels: usize,
    meta_lists: usize,
    introspects: bool,
}

impl Weight {
    /// Both beside each other.
    fn and(self, other: Self) -> Self {
        Self {
            selections: self.selections.saturating_add(other.selections),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            levels: self.levels.max(other.levels),
            meta_lists: self.meta_lists.max(other.meta_lists),
            introspects: self.introspects || other.introspects,
        }
    }

    /// One that holds this.
    fn around(self, directives: usize) -> Self {
        Self {
            selections: self.selections.saturating_add(1),
            directives: self.directives.saturating_add(directives),
            levels: self.levels.saturating_add(1),
            ..self
        }
    }

    fn check(&self) -> Result<(), Problem> {
        for (what, is, most) in [
            ("too many fields", self.selections, MOST_SELECTIONS),
            ("too many aliases", self.aliases, MOST_ALIASES),
            ("too many directives", self.directives, MOST_DIRECTIVES),
            ("too many levels", self.levels, MOST_LEVELS),
            ("too many lists of types within each other", self.meta_lists, MOST_META_LISTS),
        ] {
            if is > most {
                return Err(too_much(what, most));
            }
        }
        Ok(())
    }
}

/// All operations of a document together, be it that only one of them is asked for.
fn weigh(document: &ExecutableDocument) -> Result<Weight, Problem> {
    let mut scale = Scale { document, known: HashMap::new() };
    let mut all = Weight::default();
    for (_, operation) in document.operations.iter() {
        let variables = operation.node.variable_definitions.iter();
        let directives = variables.map(|variable| variable.node.directives.len()).sum::<usize>();
        let weight = scale.set(&operation.node.selection_set)?;
        all = all.and(weight.around(directives.saturating_add(operation.node.directives.len())));
    }
    for fragment in document.fragments.keys() {
        // None may go round or be too much, be it that nothing spreads it: it is validated all the same.
        scale.fragment(fragment)?.check()?;
    }
    Ok(all)
}

struct Scale<'a> {
    document: &'a ExecutableDocument,
    /// Fragments by name; those that are being weighed have no weight yet.
    known: HashMap<&'a str, Option<Weight>>,
}

impl<'a> Scale<'a> {
    fn set(&mut self, set: &'a Positioned<SelectionSet>) -> Result<Weight, Problem> {
        let mut all = Weight::default();
        for selection in &set.node.items {
            let directives = selection.node.directives().len();
            let weight = match &selection.node {
                Selection::Field(field) => {
                    let name = field.node.name.node.as_str();
                    let mut weight = self.set(&field.node.selection_set)?.around(directives);
                    let aliases = usize::from(field.node.alias.is_some());
                    weight.aliases = weight.aliases.saturating_add(aliases);
                    let is_meta = matches!(name, "fields" | "inputFields" | "interfaces" | "possibleTypes");
                    weight.meta_lists = weight.meta_lists.saturating_add(usize::from(is_meta));
                    weight.introspects |= matches!(name, "__schema" | "__type");
                    weight
                }
                Selection::InlineFragment(part) => self.set(&part.node.selection_set)?.around(directives),
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node)?.around(directives)
                }
            };
            all = all.and(weight);
        }
        Ok(all)
    }

    /// A fragment; one that does not exist weighs nothing, and is told of by the validation.
    fn fragment(&mut self, name: &str) -> Result<Weight, Problem> {
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Ok(Weight::default());
        };
        match self.known.get(name.as_str()) {
            Some(Some(weight)) => Ok(*weight),
            Some(None) => Err(Problem::BadQuery(format!("the fragment `{name}` spreads itself"))),
            None => {
                self.known.insert(name.as_str(), None);
                let mut weight = self.set(&fragment.node.selection_set)?;
                weight.directives = weight.directives.saturating_add(fragment.node.directives.len());
                self.known.insert(name.as_str(), Some(weight));
                Ok(weight)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a query; nothing, if it is taken.
    fn said(query: &str) -> String {
        judge(query).map_or_else(|refused| refused.message, |_| String::new())
    }

    #[test]
    fn what_people_ask_is_taken() {
        let introspection = include_str!("introspection.graphql");
        for query in [
            "{ chains { nodes { id } } }",
            "query A($a: String = \"{[(\") { member(chainId: $a, id: \"#\\\"\") { ...F } } fragment F on Member { id }",
            "{ a(x: \"\"\"{{{{ \\\"\"\" \"\"\") # {{{{\n { b } }",
            introspection,
        ] {
            assert_eq!(said(query), "", "{query}");
        }
        assert!(judge(introspection).unwrap().introspects);
        assert!(judge("{ ...F } fragment F on Query { __type(name: \"A\") { name } }").unwrap().introspects);
        assert!(!judge("{ __typename }").unwrap().introspects);
    }

    #[test]
    fn each_limit_holds() {
        let nested = |n| format!("{}a{}", "{ a ".repeat(n), " }".repeat(n));
        let doubled: String = (0..100)
            .map(|n| format!("fragment F{n} on Q {{ b: a {{ ...F{} ...F{} }} }} ", n + 1, n + 1))
            .collect();
        let chain: String = (0..500).map(|n| format!("fragment F{n} on Q {{ ...F{} }} ", n + 1)).collect();
        for (query, says) in [
            ("a ".repeat(5_001), "too many words"),
            (format!("{{ a(x: {}) }}", "[".repeat(10_000)), "too many brackets"),
            (format!("query($a: {}Int) {{ a }}", "[".repeat(10_000)), "too many brackets"),
            (nested(25), "too many levels"),
            (format!("{{ {} }}", "a ".repeat(1_001)), "too many fields"),
            (
                format!("{{ {} }}", (0..31).map(|n| format!("b{n}: a ")).collect::<String>()),
                "too many aliases",
            ),
            (format!("{{ a {} }}", "@skip(if: false) ".repeat(31)), "too many directives"),
            (format!("{{ ...F0 }} {doubled} fragment F100 on Q {{ a }}"), "too many"),
            (format!("{{ ...F0 }} {chain} fragment F500 on Q {{ a }}"), "too many"),
            ("{ ...A } fragment A on Q { ...A }".to_owned(), "spreads itself"),
            ("{ a } fragment A on Q { ...B } fragment B on Q { x { ...A } }".to_owned(), "spreads itself"),
            (
                "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }"
                    .to_owned(),
                "too many lists of types",
            ),
        ] {
            let said = said(&query);
            assert!(said.contains(says), "{}: {said}", &query[..query.len().min(80)]);
        }
        assert_eq!(said(&nested(23)), "");
    }

    #[test]
    fn texts_end_where_the_language_says() {
        for (text, length) in [
            ("\"a\" b", 3),
            ("\"\\\"\" b", 4),
            ("\"\"\"a\"b\"\"\" c", 9),
            ("\"\"\"\\\"\"\" \"\"\"", 11),
            ("\"", 1),
            ("\"\\", 2),
        ] {
            assert_eq!(length_of_text(text.as_bytes()), length, "{text}");
        }
    }
}
