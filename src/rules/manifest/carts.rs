//! `[carts]`: when a cart without an order is abandoned.

use super::reader::{Reader, Table};
use crate::domain::terms::cart::CartTerms;
use crate::rules::diagnostic::Mistake;

impl Reader<'_> {
    pub(super) fn carts(&mut self, table: &Table<'_>) -> Option<CartTerms> {
        const ABANDONED_AFTER: &str = "abandoned_after";
        let value = table.get("carts")?;
        let Some(carts) = value.get_ref().as_table() else {
            self.problem(value.span().start, "this must be a table: [carts]", None);
            return None;
        };
        self.known_keys(carts, &[ABANDONED_AFTER]);
        let Some(after) = carts.get(ABANDONED_AFTER) else {
            let help = Some(format!("write `{ABANDONED_AFTER} = \"1h\"`"));
            self.mistake(
                Mistake::MissingSetting,
                value.span().start,
                format!("`{ABANDONED_AFTER}` is missing"),
                help,
            );
            return None;
        };
        Some(CartTerms { abandoned_after: self.parsed(after)? })
    }
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use crate::rules::manifest::Manifest;

    const HEAD: &str = "name = \"Acme\"\ntimezone = \"UTC\"\ncurrency = \"USD\"\n";

    #[test]
    fn carts_are_kept_only_by_programs_that_say_for_how_long() {
        let parse = |more: &str| Manifest::parse(&format!("{HEAD}{more}")).map(|manifest| manifest.terms);
        let without = parse("").unwrap();
        assert_eq!(without.carts, None);
        let with = parse("[carts]\nabandoned_after = \"90m\"").unwrap();
        assert_eq!(with.carts.unwrap().abandoned_after.duration(), Duration::minutes(90));
        assert!(with.has_deadlines(), "members must be woken");
        for (text, says) in [
            ("carts = 1", "must be a table"),
            ("[carts]", "`abandoned_after` is missing"),
            ("[carts]\nabandoned_after = \"soon\"", "15m, 48h or 30d"),
            ("[carts]\nabandoned_after = \"1h\"\nafter = 1", "after"),
        ] {
            let problems = parse(text).unwrap_err();
            assert!(problems.iter().any(|problem| problem.message.contains(says)), "{text}: {problems:?}");
        }
    }
}
