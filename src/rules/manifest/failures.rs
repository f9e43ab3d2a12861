//! `[failures]`: what becomes of rules that keep failing.

use std::num::NonZeroU16;

use super::reader::{Reader, Table};
use crate::domain::terms::failure::FailureTerms;

/// One member must not take a rule away from everybody; and each who is counted is remembered.
const MEMBERS: std::ops::RangeInclusive<i64> = 2..=1_000;

impl Reader<'_> {
    pub(super) fn failures(&mut self, table: &Table<'_>) -> FailureTerms {
        const SUSPEND_AFTER: &str = "suspend_after";
        let mut terms = FailureTerms::DEFAULT;
        let Some(value) = table.get("failures") else { return terms };
        let Some(table) = value.get_ref().as_table() else {
            self.problem(value.span().start, "this must be a table: [failures]", None);
            return terms;
        };
        self.known_keys(table, &[SUSPEND_AFTER]);
        match table.get(SUSPEND_AFTER) {
            Some(word) if word.get_ref().as_str() == Some("never") => terms.suspend_after = None,
            Some(word) if word.get_ref().is_str() => {
                let (from, to) = MEMBERS.into_inner();
                let help = format!("write a number of members between {from} and {to}, or \"never\"");
                self.problem(word.span().start, "this is no number of members", Some(help));
            }
            _ => {
                let members = self.whole(table, SUSPEND_AFTER, MEMBERS);
                let members =
                    members.and_then(|members| u16::try_from(members).ok()).and_then(NonZeroU16::new);
                terms.suspend_after = members.or(terms.suspend_after);
            }
        }
        terms
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::manifest::Manifest;

    const HEAD: &str = "name = \"Acme\"\ntimezone = \"UTC\"\ncurrency = \"USD\"\n";

    #[test]
    fn a_rule_is_suspended_after_ten_members_unless_the_program_says_otherwise() {
        let parse = |more: &str| {
            let manifest = Manifest::parse(&format!("{HEAD}{more}"));
            manifest.map(|manifest| manifest.terms.failures.suspend_after.map(|members| members.get()))
        };
        for (text, members) in [
            ("", Some(10)),
            ("[failures]", Some(10)),
            ("[failures]\nsuspend_after = 3", Some(3)),
            ("[failures]\nsuspend_after = 1000", Some(1_000)),
            ("[failures]\nsuspend_after = \"never\"", None),
        ] {
            assert_eq!(parse(text).unwrap(), members, "{text}");
        }
        for (text, says) in [
            ("failures = 3", "must be a table"),
            ("[failures]\nsuspend_after = 1", "between 2 and 1000"),
            ("[failures]\nsuspend_after = 1001", "between 2 and 1000"),
            ("[failures]\nsuspend_after = true", "between 2 and 1000"),
            ("[failures]\nsuspend_after = \"always\"", "no number of members"),
            ("[failures]\nsuspend = 3", "there is no setting called `suspend`"),
        ] {
            let problems = parse(text).unwrap_err();
            assert!(problems.iter().any(|problem| problem.message.contains(says)), "{text}: {problems:?}");
        }
    }
}
