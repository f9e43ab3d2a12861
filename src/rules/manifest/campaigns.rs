//! `[[campaigns]]`: what limits rules together. `[[groups]]`: rules of which one counts.

use chrono::NaiveDate;
use toml::de::DeValue;

use super::reader::{Reader, Table, Value};
use crate::domain::money::Points;
use crate::domain::terms::campaign::{CampaignTerms, Caps, RuleGroup, Span};
use crate::domain::terms::wallet::WalletTerms;
use crate::domain::text::Name;
use crate::rules::diagnostic::Mistake;

/// The most campaigns of a program.
const MAX_CAMPAIGNS: usize = 50;
/// The most that may limit what one member has: each member keeps count of these.
const MAX_PER_MEMBER: usize = 20;
/// The most groups.
const MAX_GROUPS: usize = 50;
/// The longest id of a campaign, which members and orders keep.
const MAX_ID: usize = 50;

impl Reader<'_> {
    /// The campaigns; a program may have none.
    pub(super) fn campaigns(&mut self, table: &Table<'_>, wallets: &[WalletTerms]) -> Vec<CampaignTerms> {
        let campaign = |this: &mut Self, value: &Value<'_>, table: &Table<'_>| {
            Some((value.span().start, this.campaign(value, table, wallets)?))
        };
        let read = self.listed(table, "campaigns", MAX_CAMPAIGNS, campaign);
        let limited = read.iter().filter(|(_, campaign)| !campaign.per_member.is_empty());
        if let Some(start) = limited.map(|(start, _)| *start).nth(MAX_PER_MEMBER) {
            let message = format!("{MAX_PER_MEMBER} campaigns may have `per_member`; this is one more");
            self.mistake(Mistake::TooMany, start, message, Some("take out those that are over".to_owned()));
        }
        self.unlike(read, "campaigns", |campaign| &campaign.id)
    }

    /// The groups; a program may have none.
    pub(super) fn groups(&mut self, table: &Table<'_>) -> Vec<RuleGroup> {
        let read = self.listed(table, "groups", MAX_GROUPS, |this, value, table| {
            this.known_keys(table, &["id", "pick"]);
            let id = this.needed(table, value.span().start, "id", "id = \"weekend\"");
            let pick = this.needed(table, value.span().start, "pick", "pick = \"first\"");
            let (id, pick) = (id.and_then(|id| this.name(id)), pick.and_then(|pick| this.parsed(pick)));
            Some((value.span().start, RuleGroup { id: id?, pick: pick? }))
        });
        self.unlike(read, "groups", |group| &group.id)
    }

    /// The tables of a list, with their places.
    fn listed<T>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        most: usize,
        read: impl Fn(&mut Self, &Value<'_>, &Table<'_>) -> Option<(usize, T)>,
    ) -> Vec<(usize, T)> {
        let Some(list) = table.get(key) else { return Vec::new() };
        let shape = format!("{key} are tables: write [[{key}]] for each");
        let Some(values) = list.get_ref().as_array() else {
            self.problem(list.span().start, shape, None);
            return Vec::new();
        };
        if values.len() > most {
            self.mistake(
                Mistake::TooMany,
                list.span().start,
                format!("a program may have {most} {key}"),
                None,
            );
        }
        let mut all = Vec::new();
        for value in values.iter().take(most) {
            match value.get_ref().as_table() {
                Some(table) => all.extend(read(self, value, table)),
                None => self.problem(value.span().start, shape.clone(), None),
            }
        }
        all
    }

    /// Complains about two of one id.
    fn unlike<T>(&mut self, read: Vec<(usize, T)>, what: &str, id: fn(&T) -> &Name) -> Vec<T> {
        let mut all: Vec<T> = Vec::new();
        for (start, one) in read {
            if all.iter().any(|known| id(known) == id(&one)) {
                self.mistake(
                    Mistake::DuplicateName,
                    start,
                    format!("there are two {what} called `{}`", id(&one)),
                    None,
                );
            }
            all.push(one);
        }
        all
    }

    fn campaign(
        &mut self,
        value: &Value<'_>,
        table: &Table<'_>,
        wallets: &[WalletTerms],
    ) -> Option<CampaignTerms> {
        const KEYS: [&str; 7] = ["id", "name", "from", "to", "wallet", "budget", "per_member"];
        self.known_keys(table, &KEYS);
        let start = value.span().start;
        let id = self.needed(table, start, "id", "id = \"summer\"").and_then(|id| self.name(id));
        let name = self.needed(table, start, "name", "name = \"Summer of bowls\"");
        let name = name.and_then(|name| self.name(name));
        if let Some(value) = table.get("id").filter(|_| id.as_ref().is_some_and(|id| id.len() > MAX_ID)) {
            self.problem(value.span().start, format!("this must be at most {MAX_ID} bytes long"), None);
        }
        let [from, to] = ["from", "to"].map(|key| table.get(key).map(|value| (value, self.day(value))));
        if let (Some((_, Some(from))), Some((value, Some(to)))) = (from, to)
            && to < from
        {
            self.problem(value.span().start, format!("this is before the campaign begins, on {from}"), None);
        }
        let day = |read: Option<(&Value<'_>, Option<NaiveDate>)>| read.and_then(|(_, day)| day);
        Some(CampaignTerms {
            wallet: table.get("wallet").and_then(|code| self.wallet_code(code, wallets)),
            budget: self.caps(table, "budget"),
            per_member: self.caps(table, "per_member"),
            id: id?,
            name: name?,
            from: day(from),
            to: day(to),
        })
    }

    /// A day, with or without quotes.
    fn day(&mut self, value: &Value<'_>) -> Option<NaiveDate> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(at) => at.to_string(),
            _ => String::new(),
        };
        let day = text.parse().ok();
        if day.is_none() {
            self.problem(value.span().start, "this must be a day such as 2026-06-01", None);
        }
        day
    }

    /// A number of points, or a table of them.
    fn caps(&mut self, table: &Table<'_>, key: &str) -> Caps {
        const ONE: std::ops::RangeInclusive<i64> = 1..=Points::LIMIT;
        let Some(value) = table.get(key) else { return Caps::default() };
        let Some(spans) = value.get_ref().as_table() else {
            let total = self.whole(table, key, ONE).map(Points);
            return Caps::of(|span| total.filter(|_| span == Span::Total));
        };
        self.known_keys(spans, &Span::ALL.map(Span::as_str));
        if spans.is_empty() {
            let help = "write { total = 1000, day = 100 }, or one of them, or `week` or `month`".to_owned();
            self.problem(value.span().start, "this limits nothing", Some(help));
        }
        let read = Span::ALL.map(|span| self.whole(spans, span.as_str(), ONE).map(Points));
        Caps::of(|span| read[span as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::terms::campaign::Pick;
    use crate::rules::manifest::Manifest;

    const GOOD: &str = "name = \"Acme\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n";

    #[test]
    fn a_campaign_says_when_it_is_and_what_it_may_give() {
        let text = format!(
            "{GOOD}[[campaigns]]\nid = \"summer\"\nname = \"Summer\"\nfrom = 2026-06-01\nto = \"2026-08-31\"\n\
             wallet = \"points\"\nbudget = {{ total = 10_000, month = 5_000 }}\nper_member = 100\n\
             [[campaigns]]\nid = \"free\"\nname = \"Free\"\n[[groups]]\nid = \"g\"\npick = \"most_points\"\n"
        );
        let terms = Manifest::parse(&text).unwrap().terms;
        let [summer, free] = &terms.campaigns[..] else { panic!("{terms:?}") };
        let day = |text: &str| text.parse().ok();
        assert_eq!((summer.from, summer.to), (day("2026-06-01"), day("2026-08-31")));
        let caps: Vec<_> = summer.budget.iter().collect();
        assert_eq!(caps, [(Span::Total, Points(10_000)), (Span::Month, Points(5_000))]);
        assert_eq!(summer.per_member.iter().collect::<Vec<_>>(), [(Span::Total, Points(100))]);
        assert!(free.budget.is_empty() && free.per_member.is_empty() && free.from.is_none());
        assert_eq!(terms.groups[0].pick, Pick::MostPoints);
    }

    #[test]
    fn every_mistake_in_a_campaign_is_found_with_its_place() {
        const SUMMER: &str = "[[campaigns]]\nid = \"summer\"\nname = \"Summer\"";
        const GROUP: &str = "[[groups]]\nid = \"g\"";
        for (text, line, says) in [
            ("campaigns = 5".to_owned(), 4, "[[campaigns]]"),
            ("campaigns = [5]".to_owned(), 4, "[[campaigns]]"),
            ("[[campaigns]]\nname = \"Summer\"".to_owned(), 4, "`id` is missing"),
            (SUMMER.replace("summer", &"s".repeat(51)), 5, "at most 50"),
            (format!("{SUMMER}\nbuget = 5"), 7, "no setting called `buget`"),
            (format!("{SUMMER}\nfrom = \"June\""), 7, "2026-06-01"),
            (format!("{SUMMER}\nfrom = 2026-06-01T00:00:00Z"), 7, "2026-06-01"),
            (format!("{SUMMER}\nfrom = 2026-06-02\nto = 2026-06-01"), 8, "before the campaign begins"),
            (format!("{SUMMER}\nwallet = \"pionts\""), 7, "no wallet called `pionts`"),
            (format!("{SUMMER}\nbudget = 0"), 7, "between 1 and"),
            (format!("{SUMMER}\nbudget = {{ dya = 5 }}"), 7, "no setting called `dya`"),
            (format!("{SUMMER}\nbudget = {{}}"), 7, "limits nothing"),
            (format!("{SUMMER}\nper_member = {{ day = -1 }}"), 7, "between 1 and"),
            (format!("{SUMMER}\n{SUMMER}"), 7, "two campaigns called `summer`"),
            (GROUP.to_owned(), 4, "`pick` is missing"),
            (format!("{GROUP}\npick = \"last\""), 6, "most_points"),
            (format!("{GROUP}\npick = \"first\"\n{GROUP}\npick = \"first\""), 7, "two groups called `g`"),
        ] {
            let problems = Manifest::parse(&format!("{GOOD}{text}")).unwrap_err();
            let found = problems.iter().any(|problem| problem.line == line && problem.message.contains(says));
            assert!(found && problems.len() == 1, "{text}: {problems:?}");
        }
    }

    #[test]
    fn members_keep_count_of_so_many_campaigns_only() {
        let campaign = |n: usize| format!("[[campaigns]]\nid = \"c{n}\"\nname = \"C\"\nper_member = 1\n");
        let manifest = |count: usize| {
            Manifest::parse(&format!("{GOOD}{}", (0..count).map(campaign).collect::<String>()))
        };
        assert!(manifest(MAX_PER_MEMBER).is_ok());
        assert!(manifest(MAX_PER_MEMBER + 1).unwrap_err()[0].message.contains("one more"));
    }
}
