//! `[earning]`, `[refunds]` and `[claims]`: which money earns, what a refund takes, and how long a receipt is good.

use super::reader::{Reader, Table};
use crate::domain::claim::ClaimTerms;
use crate::domain::terms::earning::{Discounts, Earning, Part};
use crate::domain::terms::refund::{Clawback, Refunds};
use crate::domain::text::Name;
use crate::rules::diagnostic::Mistake;
use crate::rules::suggest;

impl Reader<'_> {
    /// `[earning]`. Without `categories` in the manifest, any category may be excluded.
    pub(super) fn earning(&mut self, table: &Table<'_>, categories: &[Name]) -> Earning {
        const DISCOUNTS: &str = "discounts";
        const EXCLUDED: &str = "excluded_categories";
        let Some(table) = self.section(table, "earning") else { return Earning::default() };
        let parts = Part::ALL.map(Part::as_str);
        self.known_keys(table, &[&parts[..], &[DISCOUNTS, EXCLUDED]].concat());
        let left_out = Part::ALL.into_iter().filter(|part| !self.flag(table, part.as_str(), true)).collect();
        let discounts = match self.flag(table, DISCOUNTS, false) {
            true => Discounts::Earn,
            false => Discounts::Lost,
        };
        let excluded = self.names(table, EXCLUDED);
        if !categories.is_empty()
            && let Some(unknown) = excluded.iter().find(|name| !categories.contains(name))
        {
            let offset = table.get(EXCLUDED).map_or(0, |list| list.span().start);
            let help = suggest::or_list(unknown, categories.iter().map(Name::as_str));
            self.mistake(
                Mistake::UnknownName,
                offset,
                format!("there is no category called `{unknown}` in `categories`"),
                help,
            );
        }
        Earning { left_out, discounts, excluded_categories: excluded.into_iter().collect() }
    }

    /// `[refunds]`
    pub(super) fn refunds(&mut self, table: &Table<'_>) -> Refunds {
        const CLAWBACK: &str = "clawback";
        let Some(table) = self.section(table, "refunds") else { return Refunds::default() };
        self.known_keys(table, &[CLAWBACK]);
        let Some(value) = table.get(CLAWBACK) else { return Refunds::default() };
        let Some(word) = self.text(value) else { return Refunds::default() };
        let clawback = Clawback::ALL.into_iter().find(|policy| policy.as_str() == word);
        if clawback.is_none() {
            let help = suggest::or_list(word, Clawback::ALL.into_iter().map(Clawback::as_str));
            self.mistake(
                Mistake::UnknownName,
                value.span().start,
                format!("there is no way to claw back called `{word}`"),
                help,
            );
        }
        Refunds { clawback: clawback.unwrap_or_default() }
    }

    /// `[claims]`
    pub(super) fn claims(&mut self, table: &Table<'_>) -> ClaimTerms {
        const DAYS: &str = "days";
        let Some(table) = self.section(table, "claims") else { return ClaimTerms::default() };
        self.known_keys(table, &[DAYS]);
        let days = self.whole(table, DAYS, 1..=3650).and_then(|days| u32::try_from(days).ok());
        days.map_or_else(ClaimTerms::default, |days| ClaimTerms { days })
    }

    pub(super) fn section<'t, 'i>(&mut self, table: &'t Table<'i>, key: &str) -> Option<&'t Table<'i>> {
        let value = table.get(key)?;
        let section = value.get_ref().as_table();
        if section.is_none() {
            self.problem(value.span().start, format!("this must be a table: [{key}]"), None);
        }
        section
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::manifest::Manifest;

    const HEAD: &str =
        "name = \"Acme\"\ntimezone = \"UTC\"\ncurrency = \"USD\"\ncategories = [\"food\", \"gifts\"]\n";

    fn parse(text: &str) -> Result<Manifest, Vec<crate::rules::diagnostic::Diagnostic>> {
        Manifest::parse(&format!("{HEAD}{text}"))
    }

    #[test]
    fn without_settings_the_total_earns_and_refunds_may_go_below_zero() {
        let terms = parse("").unwrap().terms;
        assert_eq!((terms.earning, terms.refunds.clawback), (Earning::default(), Clawback::GoNegative));
        assert_eq!((terms.claims.days, parse("[claims]\ndays = 30").unwrap().terms.claims.days), (7, 30));
    }

    #[test]
    fn what_does_not_earn_is_named() {
        let terms = parse(
            "[earning]\ntax = false\ntips = true\ngift_cards = false\ndiscounts = true\nexcluded_categories = [\"gifts\"]\n\
             [refunds]\nclawback = \"within_balance\"",
        )
        .unwrap()
        .terms;
        assert_eq!(terms.earning.left_out.into_iter().collect::<Vec<_>>(), [Part::Tax, Part::GiftCards]);
        assert_eq!(terms.earning.discounts, Discounts::Earn);
        assert_eq!(terms.earning.excluded_categories.len(), 1);
        assert_eq!(terms.refunds.clawback, Clawback::WithinBalance);
    }

    #[test]
    fn mistakes_are_found_with_their_place_and_a_hint() {
        for (text, line, help) in [
            ("[earning]\ntip = false", 6, Some("did you mean `tips`?")),
            ("[earning]\ntax = \"no\"", 6, None),
            ("[earning]\nexcluded_categories = [\"gift\"]", 6, Some("did you mean `gifts`?")),
            ("earning = true", 5, None),
            ("[refunds]\nclawback = \"go_negativ\"", 6, Some("did you mean `go_negative`?")),
            ("[claims]\ndays = 0", 6, None),
            ("[refunds]\nclaw_back = \"forgive\"", 6, Some("did you mean `clawback`?")),
        ] {
            let problems = parse(text).unwrap_err();
            assert_eq!((problems.len(), problems[0].line), (1, line), "{text}: {problems:?}");
            assert_eq!(problems[0].help.as_deref(), help, "{text}");
        }
    }
}
