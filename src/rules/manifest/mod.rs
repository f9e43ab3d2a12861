//! `program.toml`: the names that rules refer to, and the calendar of the chain.
//!
//! Read strictly: an unknown key, a wrong type and an unknown zone are each reported with their place, all at once.

mod achievements;
mod campaigns;
mod carts;
mod celebrations;
mod coupon_books;
mod failures;
mod lifecycle;
mod orders;
mod own_words;
mod reader;
mod referrals;
mod rewards;
mod tiers;
mod wallets;

use std::str::FromStr;

use chrono_tz::Tz;
use toml::de::DeTable;

use crate::domain::Timestamp;
use crate::domain::chain::Chain;
use crate::domain::money::Currency;
use crate::domain::schedule::{Schedule, TickType};
use crate::domain::terms::Terms;
use crate::domain::text::Name;

use super::diagnostic::{Diagnostic, Mistake, Spot};
use super::program::Sources;
use super::suggest;
use reader::{Reader, Table, Value};

/// The file's name.
pub const FILE: &str = "program.toml";
/// At three in the morning.
const DAILY: &str = "0 0 3 * * *";
/// On the first of the month, half past three.
const TIER_REVIEW: &str = "0 30 3 1 * *";

/// What `program.toml` says.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The chain's name for people.
    pub name: Name,
    /// The chain's calendar.
    pub timezone: Tz,
    /// The currency of every amount.
    pub currency: Currency,
    /// What it declares.
    pub terms: Terms,
    /// Tags that triggers may forward to.
    pub endpoints: Vec<Name>,
    /// Categories of items that rules may mention. Empty = any.
    pub categories: Vec<Name>,
    /// Whether an unknown member is enrolled on first sight.
    pub enrol_on_first_sight: bool,
    /// When `tick.daily` runs.
    pub daily: cron::Schedule,
    /// When `tier.review` runs.
    pub tier_review: cron::Schedule,
    /// Whether all of it could be read. If not, what rules name may well be declared.
    pub(super) is_whole: bool,
    places: Places,
}

/// Where the manifest says what must agree with the chain.
#[derive(Debug, Clone)]
struct Places {
    timezone: Spot,
    currency: Spot,
}

impl Manifest {
    /// Reads the manifest of a folder.
    ///
    /// # Errors
    /// Every problem found, or that there is none.
    pub fn of(sources: &Sources) -> Result<Self, Vec<Diagnostic>> {
        match Self::readable(sources) {
            (manifest, problems) if problems.is_empty() => Ok(manifest),
            (_, problems) => Err(problems),
        }
    }

    /// What can be read of the manifest of a folder, and every problem with it.
    pub(super) fn readable(sources: &Sources) -> (Self, Vec<Diagnostic>) {
        sources.get(FILE).map_or_else(
            || {
                let help = "create one with at least `name`, `timezone` and `currency`";
                let message = "the folder has no program.toml";
                let problem = Diagnostic::new(Mistake::MissingFile, FILE, Spot::START, message).help(help);
                (Self { is_whole: false, ..Self::readable_of("").0 }, vec![problem])
            },
            Self::readable_of,
        )
    }

    /// Reads the text of `program.toml`.
    ///
    /// # Errors
    /// Every problem found.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        match Self::readable_of(text) {
            (manifest, problems) if problems.is_empty() => Ok(manifest),
            (_, problems) => Err(problems),
        }
    }

    fn readable_of(text: &str) -> (Self, Vec<Diagnostic>) {
        let (table, syntax) = DeTable::parse_recoverable(text);
        let mut reader = Reader::of(text);
        let mut manifest = reader.manifest(table.get_ref());
        let problems = match syntax.is_empty() {
            true => reader.problems,
            // What follows from what could not be read is no news.
            false => syntax.iter().map(|error| syntax_problem(text, error)).collect(),
        };
        manifest.is_whole = problems.is_empty();
        (manifest, problems)
    }

    /// What a program declares that is in force, to check by what is not of its files.
    pub(super) fn declaring(terms: Terms, endpoints: Vec<Name>, categories: Vec<Name>) -> Self {
        Self { terms, endpoints, categories, is_whole: true, ..Self::readable_of("").0 }
    }

    /// Complains when the manifest belongs to a chain with another calendar or currency: balances and windows depend
    /// on them, so neither can change under a running chain.
    pub(super) fn agree(&self, chain: &Chain) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        let mut compare = |spot: &Spot, what, here: &str, there: &str| {
            if here != there {
                let message =
                    format!("the {what} is `{here}` here, but the chain was created with `{there}`");
                problems.push(
                    Diagnostic::new(Mistake::OtherChain, FILE, spot.clone(), message)
                        .help(format!("write `{there}`")),
                );
            }
        };
        compare(&self.places.timezone, "time zone", self.timezone.name(), chain.timezone.name());
        compare(&self.places.currency, "currency", &self.currency.code, &chain.currency.code);
        problems
    }

    /// The schedule for a program whose rules start on `ticks`. The daily tick is always in it.
    pub(super) fn schedule(&self, ticks: &[TickType]) -> Schedule {
        let mut entries = vec![(TickType::Daily, self.daily.clone())];
        if ticks.contains(&TickType::TierReview) {
            entries.push((TickType::TierReview, self.tier_review.clone()));
        }
        Schedule { timezone: self.timezone, ticks: entries }
    }
}

/// The schedule of a chain without a program.
pub(super) fn default_schedule(timezone: Tz) -> Schedule {
    Schedule {
        timezone,
        ticks: cron::Schedule::from_str(DAILY).map(|daily| (TickType::Daily, daily)).into_iter().collect(),
    }
}

/// A value that is written here.
fn stand_in<T, E>(parsed: Result<T, E>) -> T {
    parsed.unwrap_or_else(|_| unreachable!("what is written here can be read"))
}

fn syntax_problem(text: &str, error: &toml::de::Error) -> Diagnostic {
    let spot = error.span().map_or(Spot::START, |span| Spot::of_offset(text, span.start));
    Diagnostic::new(Mistake::Syntax, FILE, spot, error.message().lines().next().unwrap_or("is not TOML"))
}

impl Reader<'_> {
    /// What of a required setting that could not be read stands in for it is never in force.
    fn manifest(&mut self, table: &Table<'_>) -> Manifest {
        const KEYS: &[&str] = &[
            "name",
            "timezone",
            "currency",
            "wallets",
            "tiers",
            "tier_policy",
            "coupon_books",
            "rewards",
            "achievements",
            "endpoints",
            "categories",
            "enrol_on_first_sight",
            "schedule",
            "earning",
            "refunds",
            "claims",
            "lifecycle",
            "celebrations",
            "referrals",
            "carts",
            "counters",
            "marks",
            "events",
            "failures",
            "campaigns",
            "groups",
        ];
        self.known_keys(table, KEYS);
        let name = self.required(table, "name").and_then(|value| self.name(value));
        let timezone = self.required(table, "timezone").and_then(|value| self.timezone(value));
        let currency = self.required(table, "currency").and_then(|value| self.parsed(value));
        let schedule = self.schedule_table(table);
        let (daily, tier_review) =
            (self.cron(schedule, "daily", DAILY), self.cron(schedule, "tier_review", TIER_REVIEW));
        let celebrations = self.celebrations(table, daily.as_ref());
        let tiers = self.tiers(table, tier_review.as_ref());
        let [endpoints, categories] = ["endpoints", "categories"].map(|key| self.names(table, key));
        let enrol_on_first_sight = self.flag(table, "enrol_on_first_sight", true);
        let (earning, refunds) = (self.earning(table, &categories), self.refunds(table));
        let claims = self.claims(table);
        let ((lifecycle, churn), wallets) = (self.lifecycle(table), self.wallets(table));
        let coupon_books = self.coupon_books(table);
        let achievements = self.achievements(table, &wallets, &coupon_books, &categories);
        let referrals = self.referrals(table, &wallets, &coupon_books);
        let (campaigns, groups) = (self.campaigns(table, &wallets), self.groups(table));
        let spot =
            |key| table.get(key).map_or(Spot::START, |value: &Value<'_>| self.spot(value.span().start));
        Manifest {
            is_whole: true,
            places: Places { timezone: spot("timezone"), currency: spot("currency") },
            name: name.unwrap_or_else(|| stand_in(Name::parse("?"))),
            timezone: timezone.unwrap_or_default(),
            currency: currency.unwrap_or_else(|| stand_in("USD".parse())),
            terms: Terms {
                rewards: self.rewards(table, &wallets),
                wallets,
                achievements,
                referrals,
                tiers,
                coupon_books,
                lifecycle,
                churn,
                carts: self.carts(table),
                counters: self.counters(table),
                marks: self.marks(table),
                events: self.events(table),
                failures: self.failures(table),
                campaigns,
                groups,
                celebrations,
                earning,
                refunds,
                claims,
            },
            endpoints,
            categories,
            enrol_on_first_sight,
            daily: daily.unwrap_or_else(|| stand_in(DAILY.parse())),
            tier_review: tier_review.unwrap_or_else(|| stand_in(TIER_REVIEW.parse())),
        }
    }

    fn timezone(&mut self, value: &Value<'_>) -> Option<Tz> {
        let text = self.text(value)?;
        let zone = text.parse::<Tz>().ok();
        if zone.is_none() {
            let help = suggest::did_you_mean(text, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()))
                .or_else(|| Some("write a name such as America/New_York".to_owned()));
            self.mistake(
                Mistake::UnknownName,
                value.span().start,
                format!("there is no time zone called `{text}`"),
                help,
            );
        }
        zone
    }

    fn schedule_table<'t, 'i>(&mut self, table: &'t Table<'i>) -> Option<&'t Table<'i>> {
        let value = table.get("schedule")?;
        let schedule = value.get_ref().as_table();
        match schedule {
            Some(schedule) => self.known_keys(schedule, &["daily", "tier_review"]),
            None => self.problem(value.span().start, "this must be a table: [schedule]", None),
        }
        schedule
    }

    fn cron(&mut self, schedule: Option<&Table<'_>>, key: &str, default: &str) -> Option<cron::Schedule> {
        let Some(value) = schedule.and_then(|table| table.get(key)) else { return default.parse().ok() };
        let text = self.text(value)?;
        let help = format!("write six fields: second minute hour day month weekday, such as \"{default}\"");
        let problem = match text.parse::<cron::Schedule>() {
            Ok(cron) => match too_often(&cron) {
                None => return Some(cron),
                Some(problem) => problem,
            },
            Err(_) => "this is no schedule",
        };
        self.problem(value.span().start, problem, Some(help));
        None
    }
}

/// Every member is woken by every tick, so a schedule of seconds would keep a chain busy with nothing.
fn too_often(cron: &cron::Schedule) -> Option<&'static str> {
    const LOOKED_AT: usize = 50;
    let times: Vec<Timestamp> = cron.after(&Timestamp::UNIX_EPOCH).take(LOOKED_AT).collect();
    if times.is_empty() {
        return Some("this schedule never comes");
    }
    let close = times.windows(2).any(|pair| pair[1] - pair[0] < chrono::Duration::hours(1));
    close.then_some("ticks must lie an hour or more apart")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "name = \"Acme\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n";

    #[test]
    fn a_short_manifest_has_the_documented_defaults() {
        let manifest = Manifest::parse(GOOD).unwrap();
        assert!(manifest.enrol_on_first_sight && manifest.terms.tiers.ladder.is_empty());
        assert_eq!((manifest.daily.source(), manifest.tier_review.source()), (DAILY, TIER_REVIEW));
    }

    #[test]
    fn every_mistake_is_found_with_its_place() {
        let text = "name = 5\ntimezone = \"America/New_Yrok\"\ncurrency = \"usd\"\ntires = []\ntiers = [\"a\", \"a\", 1]\n\
                    [schedule]\ndaily = \"* * * * * *\"\ntier_review = \"whenever\"\nweekly = \"x\"\n";
        let problems = Manifest::parse(text).unwrap_err();
        let mut places: Vec<_> = problems.iter().map(|p| (p.line, p.column)).collect();
        places.sort_unstable();
        assert_eq!(places, [(1, 8), (2, 12), (3, 12), (4, 1), (5, 15), (5, 20), (7, 9), (8, 15), (9, 1)]);
        let help = |line| problems.iter().find(|p| p.line == line).unwrap().help.clone().unwrap();
        assert_eq!(help(2), "did you mean `America/New_York`?");
        assert_eq!(help(4), "did you mean `tiers`?");
    }

    #[test]
    fn celebrations_are_kept_at_the_daily_tick_unless_turned_off() {
        let parse = |more: &str| Manifest::parse(&format!("{GOOD}{more}")).map(|m| m.terms.celebrations);
        let kept = parse("").unwrap();
        assert_eq!(
            (kept.birthdays, kept.anniversaries, kept.at.to_string()),
            (true, true, "03:00:00".to_owned())
        );
        let some = parse("[schedule]\ndaily = \"0 30 9 * * *\"\n[celebrations]\nbirthdays = false").unwrap();
        assert_eq!(
            (some.birthdays, some.anniversaries, some.at.to_string()),
            (false, true, "09:30:00".to_owned())
        );
        let problems = parse("[celebrations]\nbirthday = true").unwrap_err();
        assert_eq!(problems[0].help.as_deref(), Some("did you mean `birthdays`?"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let problems = Manifest::parse("").unwrap_err();
        assert_eq!(problems.len(), 3);
        assert_eq!(problems[0].message, "`name` is missing");
    }

    #[test]
    fn broken_toml_is_reported_where_it_breaks() {
        let problems = Manifest::parse("name = \"Acme\"\ntiers = [\"a\"\ncurrency = ").unwrap_err();
        assert!(problems.iter().all(|p| p.line >= 2), "{problems:?}");
    }

    #[test]
    fn schedules_that_never_come_or_come_too_often_are_refused() {
        for (cron, says) in
            [("0 0 3 30 2 *", "never"), ("0 */5 * * * *", "hour"), ("0 0 3 * *", "no schedule")]
        {
            let problems = Manifest::parse(&format!("{GOOD}[schedule]\ndaily = \"{cron}\"")).unwrap_err();
            assert!(problems[0].message.contains(says), "{cron}: {problems:?}");
        }
    }
}
