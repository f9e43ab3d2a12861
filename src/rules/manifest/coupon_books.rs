//! `[[coupon_books]]`: coupons that rules may give away.

use std::collections::BTreeMap;

use super::reader::{Reader, Table, Value};
use crate::domain::Timestamp;
use crate::domain::coupon::{
    Attributes, BookDetails, BookType, CouponBook, Discount, DiscountType, Limit, Limits, MOST_ENTRIES,
    RevertOn, Span,
};
use crate::domain::money::Money;
use crate::domain::text::{Name, Note, Text};
use crate::rules::diagnostic::Mistake;
use crate::rules::suggest;

/// The most books of a program.
const MAX_BOOKS: usize = 200;

impl Reader<'_> {
    /// The coupon books.
    pub(super) fn coupon_books(&mut self, table: &Table<'_>) -> Vec<CouponBook> {
        let Some(list) = table.get("coupon_books") else { return Vec::new() };
        let Some(values) = list.get_ref().as_array() else {
            self.problem(list.span().start, "coupon books are tables: write [[coupon_books]] for each", None);
            return Vec::new();
        };
        if values.len() > MAX_BOOKS {
            self.mistake(
                Mistake::TooMany,
                list.span().start,
                format!("a program may have {MAX_BOOKS} coupon books"),
                None,
            );
        }
        let mut books: Vec<CouponBook> = Vec::new();
        for value in values.iter().take(MAX_BOOKS) {
            let start = value.span().start;
            let Some(table) = value.get_ref().as_table() else {
                self.problem(start, "coupon books are tables: write [[coupon_books]] for each", None);
                continue;
            };
            let Some(book) = self.coupon_book(table, start) else { continue };
            if books.iter().any(|known| known.key == book.key) {
                let id = book.id.as_deref().unwrap_or_default();
                self.mistake(
                    Mistake::DuplicateName,
                    start,
                    format!("there are two coupon books called `{id}`"),
                    None,
                );
            }
            books.push(book);
        }
        books
    }

    fn coupon_book(&mut self, table: &Table<'_>, start: usize) -> Option<CouponBook> {
        const KEYS: [&str; 17] = [
            "id",
            "name",
            "type",
            "discount_type",
            "discount_amount",
            "valid_from_date",
            "valid_to_date",
            "usage_limit",
            "assign_limit",
            "limit_per_member",
            "expires_after",
            "revert_on",
            "description",
            "picture_url",
            "external_id",
            "tags",
            "custom_attributes",
        ];
        self.known_keys(table, &KEYS);
        let id = self.needed(table, start, "id", "id = \"welcome\"").and_then(|value| self.name(value))?;
        let kinds = BookType::ALL.map(|kind| (kind.as_str(), kind));
        let kind = table.get("type").map_or(Some(BookType::Generated), |value| self.one_of(value, &kinds));
        let discounts = DiscountType::ALL.map(|kind| (kind.as_str(), kind));
        let discount = self
            .needed(table, start, "discount_type", "discount_type = \"percentage\"")
            .and_then(|value| self.one_of(value, &discounts));
        let discount = discount.and_then(|kind| self.discount(table, start, kind));
        let usual = Limits::default();
        let limits = Limits {
            usage_limit: self.limit(table, "usage_limit", usual.usage_limit),
            assign_limit: self.limit(table, "assign_limit", usual.assign_limit),
            limit_per_member: self.limit(table, "limit_per_member", usual.limit_per_member),
        };
        let details = self.book_details(table);
        let name = table.get("name").and_then(|value| self.name(value)).unwrap_or_else(|| id.clone());
        let valid_from = table.get("valid_from_date").and_then(|value| self.parsed::<Timestamp>(value));
        let valid_to = table.get("valid_to_date").and_then(|value| self.parsed::<Timestamp>(value));
        let expires_after = table.get("expires_after").and_then(|value| self.parsed::<Span>(value));
        let policies = RevertOn::ALL.map(|policy| (policy.as_str(), policy));
        let revert_on = match table.get("revert_on") {
            Some(value) => self.one_of(value, &policies),
            None => Some(RevertOn::default()),
        };
        let key = CouponBook::declared_key(&id);
        let (kind, discount) = (kind?, discount?);
        let book = CouponBook {
            key,
            id: Some(id),
            name,
            kind,
            discount,
            valid_from,
            valid_to,
            limits,
            expires_after,
            revert_on: revert_on?,
            details,
        };
        let checked = book.checked();
        checked
            .map_err(|bad| {
                let place = table.get(bad.field).map_or(start, |value| value.span().start);
                self.problem(place, format!("this {}", bad.problem), None);
            })
            .ok()
    }

    pub(super) fn needed<'t, 'i>(
        &mut self,
        table: &'t Table<'i>,
        start: usize,
        key: &str,
        example: &str,
    ) -> Option<&'t Value<'i>> {
        let value = table.get(key);
        if value.is_none() {
            self.mistake(
                Mistake::MissingSetting,
                start,
                format!("`{key}` is missing"),
                Some(format!("write `{example}`")),
            );
        }
        value
    }

    pub(super) fn one_of<T: Copy>(&mut self, value: &Value<'_>, known: &[(&str, T)]) -> Option<T> {
        let text = self.text(value)?;
        let found = known.iter().find(|(word, _)| *word == text).map(|(_, found)| *found);
        if found.is_none() {
            let help = suggest::or_list(text, known.iter().map(|(word, _)| *word));
            self.problem(value.span().start, format!("`{text}` is not known here"), help);
        }
        found
    }

    fn discount(&mut self, table: &Table<'_>, start: usize, kind: DiscountType) -> Option<Discount> {
        let value = table.get("discount_amount");
        let place = value.map_or(start, |value| value.span().start);
        let amount = match value {
            None => None,
            Some(value) => {
                let inner = value.get_ref();
                let number =
                    inner.as_integer().map(|n| n.as_str()).or_else(|| inner.as_float().map(|n| n.as_str()));
                let amount = number.and_then(|number| number.parse::<Money>().and_then(Money::limited).ok());
                if amount.is_none() {
                    self.problem(place, "this must be a plain number such as 20 or 2.50", None);
                    return None;
                }
                amount
            }
        };
        let discount = Discount::of(kind, amount);
        discount.map_err(|bad| self.problem(place, format!("`discount_amount` {bad}"), None)).ok()
    }

    fn limit(&mut self, table: &Table<'_>, key: &str, usual: Limit) -> Limit {
        let Some(value) = table.get(key) else { return usual };
        if value.get_ref().as_str().is_some() {
            return self.parsed(value).unwrap_or(usual);
        }
        let times = self.whole(table, key, 1..=i64::from(u32::MAX));
        times.and_then(|times| Limit::try_from(times).ok()).unwrap_or(usual)
    }

    fn book_details(&mut self, table: &Table<'_>) -> BookDetails {
        BookDetails {
            description: self.some_text(table, "description"),
            picture_url: self.some_text(table, "picture_url"),
            external_id: self.some_text(table, "external_id"),
            tags: self.names(table, "tags"),
            custom_attributes: self.attributes(table),
        }
    }

    fn some_text<const MAX: usize>(&mut self, table: &Table<'_>, key: &str) -> Option<Text<MAX>> {
        let value = table.get(key)?;
        let text = Text::parse(self.text(value)?);
        text.map_err(|problem| self.problem(value.span().start, problem.to_string(), None)).ok()
    }

    fn attributes(&mut self, table: &Table<'_>) -> Attributes {
        let Some(value) = table.get("custom_attributes") else { return BTreeMap::new() };
        let Some(entries) = value.get_ref().as_table() else {
            self.problem(value.span().start, "this must be a table such as { campaign = \"spring\" }", None);
            return BTreeMap::new();
        };
        let mut attributes = Attributes::new();
        for (key, value) in entries.iter().take(MOST_ENTRIES + 1) {
            let name = Name::parse(key.get_ref());
            let name = name.map_err(|bad| self.problem(key.span().start, bad.to_string(), None));
            let note = self.text(value).map(Note::parse);
            let note =
                note.map(|note| note.map_err(|bad| self.problem(value.span().start, bad.to_string(), None)));
            if let (Ok(name), Some(Ok(note))) = (name, note) {
                attributes.insert(name, note);
            }
        }
        attributes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::manifest::Manifest;

    const GOOD: &str = "name = \"Acme\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n";

    #[test]
    fn a_book_says_what_its_coupons_are_worth_and_how_often() {
        let text = format!(
            "{GOOD}[[coupon_books]]\nid = \"welcome\"\nname = \"Welcome\"\ndiscount_type = \"percentage\"\n\
             discount_amount = 12.5\nvalid_from_date = \"2026-01-01T00:00:00Z\"\nusage_limit = 3\n\
             assign_limit = \"unlimited\"\nexpires_after = \"30d\"\nrevert_on = \"refund\"\ntags = [\"new\"]\n\
             custom_attributes = {{ campaign = \"spring\" }}\n\
             [[coupon_books]]\nid = \"drink\"\ntype = \"uploaded\"\ndiscount_type = \"free_item\"\n"
        );
        let books = Manifest::parse(&text).unwrap().terms.coupon_books;
        assert_eq!((books[0].revert_on, books[1].revert_on), (RevertOn::Refund, RevertOn::Cancel));
        assert_eq!(books[0].discount.amount().map(|amount| amount.to_string()).as_deref(), Some("12.5"));
        assert_eq!(
            (books[0].limits.usage_limit, books[0].limits.assign_limit),
            (3.try_into().unwrap(), Limit::Unlimited)
        );
        assert_eq!(books[0].details.custom_attributes.len(), 1);
        assert_eq!((books[1].kind, &*books[1].name), (BookType::Uploaded, "drink"));
        assert_eq!(books[1].limits, Limits::default());
    }

    #[test]
    fn every_mistake_in_a_book_is_found_with_its_place() {
        const BOOK: &str = "[[coupon_books]]\nid = \"a\"\ndiscount_type = \"other\"";
        for (text, line, says) in [
            ("coupon_books = [\"a\"]", 4, "[[coupon_books]]"),
            ("[[coupon_books]]\ndiscount_type = \"other\"", 4, "`id` is missing"),
            ("[[coupon_books]]\nid = \"a\"", 4, "`discount_type` is missing"),
            ("[[coupon_books]]\nid = \"a\"\ndiscount_type = \"percent\"", 6, "not known"),
            ("[[coupon_books]]\nid = \"a\"\ndiscount_type = \"amount\"", 4, "more than 0"),
            (&format!("{BOOK}\ndiscount_amount = \"ten\""), 7, "plain number"),
            (&format!("{BOOK}\nusage_limit = 0"), 7, "between 1 and"),
            (&format!("{BOOK}\nusage_limit = \"often\""), 7, "unlimited"),
            (&format!("{BOOK}\nexpires_after = \"soon\""), 7, "30d"),
            (&format!("{BOOK}\nusage_limits = 1"), 7, "no setting"),
            (&format!("{BOOK}\n{BOOK}"), 7, "two coupon books"),
            (
                &format!(
                    "{BOOK}\nvalid_from_date = \"2026-02-01T00:00:00Z\"\nvalid_to_date = \"2026-01-01T00:00:00Z\""
                ),
                8,
                "must lie after",
            ),
        ] {
            let problems = Manifest::parse(&format!("{GOOD}{text}")).unwrap_err();
            let found = problems.iter().any(|problem| problem.line == line && problem.message.contains(says));
            assert!(found && problems.len() == 1, "{text}: {problems:?}");
        }
    }
}
