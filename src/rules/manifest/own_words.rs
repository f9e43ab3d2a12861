//! Counters, marks and loyalty events of the program's own: lists of names.

use super::reader::{Reader, Table};
use crate::domain::custom;
use crate::domain::loyalty_event::EventType;
use crate::domain::member::Status;
use crate::domain::memo::MAX_DECLARED;
use crate::domain::schedule::TickType;
use crate::domain::source_event::SourceType;
use crate::domain::text::Name;
use crate::rules::diagnostic::Mistake;

impl Reader<'_> {
    pub(super) fn counters(&mut self, table: &Table<'_>) -> Vec<Name> {
        self.own_words(table, "counters", MAX_DECLARED, |_| None)
    }

    pub(super) fn marks(&mut self, table: &Table<'_>) -> Vec<Name> {
        let is_status = |name: &str| Status::ALL.iter().any(|status| status.as_str() == name);
        self.own_words(table, "marks", MAX_DECLARED, |name| {
            is_status(name).then(|| format!("`{name}` is a status, which is always there"))
        })
    }

    pub(super) fn events(&mut self, table: &Table<'_>) -> Vec<Name> {
        self.own_words(table, "events", custom::MAX_DECLARED, |name| {
            let is_known = name.parse::<EventType>().is_ok()
                || name.parse::<SourceType>().is_ok()
                || name.parse::<TickType>().is_ok();
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
            let is_word = |word: &str| word.starts_with(|c: char| c.is_ascii_lowercase());
            match name.split_once('.') {
                _ if is_known => Some(format!("there is an event called `{name}` already")),
                Some((what, rest))
                    if is_word(what) && rest.split('.').all(is_word) && name.chars().all(is_plain) =>
                {
                    None
                }
                _ => Some(
                    "an event is called like `stamp.given`: small letters, and a dot between them".to_owned(),
                ),
            }
        })
    }

    /// A list of so many names, each of which nothing speaks against.
    fn own_words(
        &mut self,
        table: &Table<'_>,
        key: &str,
        most: usize,
        problem: impl Fn(&str) -> Option<String>,
    ) -> Vec<Name> {
        let names = self.names(table, key);
        let Some(list) = table.get(key) else { return names };
        if names.len() > most {
            self.mistake(
                Mistake::TooMany,
                list.span().start,
                format!("a program may have {most} {key}"),
                None,
            );
        }
        for value in list.get_ref().as_array().into_iter().flatten() {
            if let Some(problem) = value.get_ref().as_str().and_then(&problem) {
                self.problem(value.span().start, problem, None);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::manifest::Manifest;

    fn parse(more: &str) -> Result<Manifest, Vec<crate::rules::diagnostic::Diagnostic>> {
        Manifest::parse(&format!("name = \"A\"\ntimezone = \"UTC\"\ncurrency = \"USD\"\n{more}"))
    }

    #[test]
    fn own_words_are_lists_of_names() {
        let terms = parse(
            "counters = [\"coffees\"]\nmarks = [\"vip\"]\nevents = [\"stamp.given\", \"card.full_2.x\"]",
        )
        .unwrap()
        .terms;
        assert_eq!((&*terms.counters[0], &*terms.marks[0], terms.events.len()), ("coffees", "vip", 2));
    }

    #[test]
    fn what_has_a_meaning_already_or_is_no_name_of_an_event_is_refused_where_it_stands() {
        for (text, place, says) in [
            ("marks = [\"vip\", \"churned\"]", (4, 17), "is a status"),
            ("events = [\"points.earned\"]", (4, 11), "already"),
            ("events = [\"order.completed\"]", (4, 11), "already"),
            ("events = [\"tick.daily\"]", (4, 11), "already"),
            ("events = [\"points.adjust\"]", (4, 11), "already"),
            ("events = [\"stamp\"]", (4, 11), "called like"),
            ("events = [\"Stamp.given\"]", (4, 11), "called like"),
            ("events = [\"stamp..given\"]", (4, 11), "called like"),
            ("events = [\"stamp.given \"]", (4, 11), ""),
            ("counters = [\"a\", \"a\"]", (4, 18), "twice"),
            ("counters = \"a\"", (4, 12), "list"),
        ] {
            let problems = parse(text).unwrap_err();
            let found = problems.iter().any(|p| (p.line, p.column) == place && p.message.contains(says));
            assert!(found, "{text}: {problems:?}");
        }
        let many: Vec<_> = (0..21).map(|n| format!("\"c{n}\"")).collect();
        let problems = parse(&format!("counters = [{}]", many.join(","))).unwrap_err();
        assert_eq!(problems[0].message, "a program may have 20 counters");
    }
}
