//! Reading TOML values and collecting what is wrong with them, each with its place.

use std::ops::RangeInclusive;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::FILE;
use crate::domain::text::Name;
use crate::rules::diagnostic::{Diagnostic, Mistake, Spot};
use crate::rules::suggest;

/// The most names in one list.
const MAX_NAMES: usize = 200;

/// Reads values and collects what is wrong with them.
pub(super) struct Reader<'a> {
    text: &'a str,
    pub(super) problems: Vec<Diagnostic>,
}

pub(super) type Table<'a> = DeTable<'a>;
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

impl<'a> Reader<'a> {
    pub(super) const fn of(text: &'a str) -> Self {
        Self { text, problems: Vec::new() }
    }

    pub(super) fn spot(&self, offset: usize) -> Spot {
        Spot::of_offset(self.text, offset)
    }

    /// A value that cannot be.
    pub(super) fn problem(&mut self, offset: usize, message: impl Into<String>, help: Option<String>) {
        self.mistake(Mistake::InvalidSetting, offset, message, help);
    }

    pub(super) fn mistake(
        &mut self,
        mistake: Mistake,
        offset: usize,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let spot = self.spot(offset);
        self.problems.push(Diagnostic::new(mistake, FILE, spot, message).maybe_help(help));
    }

    pub(super) fn known_keys(&mut self, table: &Table<'_>, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&&**key.get_ref())) {
            let help = suggest::or_list(key.get_ref(), known.iter().copied());
            self.mistake(
                Mistake::UnknownSetting,
                key.span().start,
                format!("there is no setting called `{}`", key.get_ref()),
                help,
            );
        }
    }

    pub(super) fn required<'t, 'i>(&mut self, table: &'t Table<'i>, key: &str) -> Option<&'t Value<'i>> {
        let value = table.get(key);
        if value.is_none() {
            let example = match key {
                "name" => r#"name = "Harvest Kitchen""#,
                "timezone" => r#"timezone = "America/New_York""#,
                _ => r#"currency = "USD""#,
            };
            self.mistake(
                Mistake::MissingSetting,
                0,
                format!("`{key}` is missing"),
                Some(format!("write `{example}`")),
            );
        }
        value
    }

    pub(super) fn text<'t>(&mut self, value: &'t Value<'_>) -> Option<&'t str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.problem(value.span().start, "this must be a text in quotes", None);
        }
        text
    }

    pub(super) fn name(&mut self, value: &Value<'_>) -> Option<Name> {
        let name = Name::parse(self.text(value)?);
        name.map_err(|problem| self.problem(value.span().start, problem.to_string(), None)).ok()
    }

    pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(&mut self, value: &Value<'_>) -> Option<T> {
        let parsed = self.text(value)?.parse::<T>();
        parsed.map_err(|problem| self.problem(value.span().start, problem.to_string(), None)).ok()
    }

    /// A setting that is a word or a short phrase.
    pub(super) fn word<T: FromStr<Err: std::fmt::Display>>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        default: T,
    ) -> T {
        table.get(key).and_then(|value| self.parsed(value)).unwrap_or(default)
    }

    /// A setting that is `true` or `false`.
    pub(super) fn flag(&mut self, table: &Table<'_>, key: &str, default: bool) -> bool {
        let Some(value) = table.get(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.problem(value.span().start, "this must be `true` or `false`", None);
            default
        })
    }

    /// A setting that is a whole number within a range; `None` when it is not set.
    pub(super) fn whole(&mut self, table: &Table<'_>, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let value = table.get(key)?;
        let integer = value.get_ref().as_integer();
        let number = integer.and_then(|integer| i64::from_str_radix(integer.as_str(), integer.radix()).ok());
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let (from, to) = (range.start(), range.end());
            self.problem(
                value.span().start,
                format!("this must be a whole number between {from} and {to}"),
                None,
            );
        }
        number
    }

    pub(super) fn names(&mut self, table: &Table<'_>, key: &str) -> Vec<Name> {
        let Some(list) = table.get(key) else { return Vec::new() };
        let Some(values) = list.get_ref().as_array() else {
            self.problem(list.span().start, "this must be a list such as [\"one\", \"two\"]", None);
            return Vec::new();
        };
        if values.len() > MAX_NAMES {
            self.mistake(
                Mistake::TooMany,
                list.span().start,
                format!("a list may have {MAX_NAMES} names"),
                None,
            );
        }
        let mut names = Vec::new();
        for value in values.iter().take(MAX_NAMES) {
            let Some(name) = self.name(value) else { continue };
            if names.contains(&name) {
                self.mistake(
                    Mistake::DuplicateName,
                    value.span().start,
                    format!("`{name}` is in the list twice"),
                    None,
                );
            }
            names.push(name);
        }
        names
    }
}
