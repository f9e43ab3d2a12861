//! `tiers` and `[tier_policy]`.

use rust_decimal::Decimal;
use toml::de::{DeArray, DeValue};

use super::reader::{Reader, Table, Value};
use crate::domain::history::{HISTORY_DAYS, Window};
use crate::domain::money::Money;
use crate::domain::terms::tier::{
    Anchor, CalendarUnit, Downgrade, Loss, Metric, Period, Step, Tier, TierPolicy, Tiers, Upgrade,
};
use crate::rules::diagnostic::Mistake;

/// The longest grace, and the earliest warning.
const MAX_DAYS: u32 = 366;
/// A longer ladder is a mistake.
const MAX_TIERS: usize = 50;

const METRICS: [(&str, Metric); 3] =
    [("spend", Metric::Spend), ("visits", Metric::Visits), ("points", Metric::Points)];
const UPGRADES: [(&str, Upgrade); 2] = [("at_once", Upgrade::AtOnce), ("period_end", Upgrade::PeriodEnd)];
const UNITS: [(&str, CalendarUnit); 4] = [
    ("month", CalendarUnit::Month),
    ("quarter", CalendarUnit::Quarter),
    ("half", CalendarUnit::Half),
    ("year", CalendarUnit::Year),
];
const ANCHORS: [(&str, Anchor); 2] = [("enrolment", Anchor::Enrolment), ("tier", Anchor::Tier)];

/// A tier as written: its threshold belongs to the policy.
struct Written {
    tier: Tier,
    threshold: Option<(usize, Decimal)>,
    at: usize,
}

impl Reader<'_> {
    /// The ladder, and the policy if there is one. `review` is when a period that never closes is reviewed.
    pub(super) fn tiers(&mut self, table: &Table<'_>, review: Option<&cron::Schedule>) -> Tiers {
        let written = self.ladder(table);
        let policy = table.get("tier_policy").and_then(|value| self.policy(value, &written, review));
        if !table.contains_key("tier_policy") {
            for (at, _) in written.iter().filter_map(|tier| tier.threshold) {
                let help = "add [tier_policy], or leave thresholds out and let rules call set_tier";
                self.problem(at, "a threshold means nothing without a policy", Some(help.to_owned()));
            }
        }
        Tiers { ladder: written.into_iter().map(|written| written.tier).collect(), policy }
    }

    fn ladder(&mut self, table: &Table<'_>) -> Vec<Written> {
        let tables = table.get("tiers").and_then(|value| value.get_ref().as_array());
        match tables.filter(|list| list.iter().any(|value| value.get_ref().is_table())) {
            Some(list) => self.tier_tables(list),
            None => {
                let at = table.get("tiers").map_or(0, |value| value.span().start);
                let names = self.names(table, "tiers").into_iter();
                names.map(|id| Written { tier: Tier::plain(id), threshold: None, at }).collect()
            }
        }
    }

    fn tier_tables(&mut self, list: &DeArray<'_>) -> Vec<Written> {
        let mut tiers: Vec<Written> = Vec::new();
        for value in list {
            let at = value.span().start;
            let Some(tier) = self.tier(value) else { continue };
            if tiers.iter().any(|known| known.tier.id == tier.tier.id) {
                self.mistake(
                    Mistake::DuplicateName,
                    at,
                    format!("there are two tiers called `{}`", tier.tier.id),
                    None,
                );
            }
            if tiers.len() == MAX_TIERS {
                self.mistake(Mistake::TooMany, at, format!("a program may have {MAX_TIERS} tiers"), None);
                break;
            }
            tiers.push(tier);
        }
        tiers
    }

    fn tier(&mut self, value: &Value<'_>) -> Option<Written> {
        let at = value.span().start;
        let Some(table) = value.get_ref().as_table() else {
            self.problem(at, "write every tier as a table: [[tiers]]", None);
            return None;
        };
        self.known_keys(table, &["id", "name", "threshold"]);
        let Some(id) = table.get("id") else {
            self.mistake(
                Mistake::MissingSetting,
                at,
                "this tier has no `id`",
                Some("write `id = \"gold\"`".to_owned()),
            );
            return None;
        };
        let id = self.name(id)?;
        let name = table.get("name").map_or_else(|| Some(id.clone()), |name| self.name(name))?;
        let threshold = table.get("threshold").and_then(|value| self.threshold(value));
        Some(Written { tier: Tier { id, name }, threshold, at })
    }

    /// A number by its text, so that no amount passes through a binary float.
    fn threshold(&mut self, value: &Value<'_>) -> Option<(usize, Decimal)> {
        let at = value.span().start;
        let text = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            DeValue::String(text) => text,
            _ => "",
        };
        match text.parse().and_then(Money::limited) {
            Ok(amount) if amount >= Money::ZERO => Some((at, amount.decimal())),
            _ => {
                self.problem(at, "a threshold must be a number such as 500 or 99.50", None);
                None
            }
        }
    }

    fn policy(
        &mut self,
        value: &Value<'_>,
        tiers: &[Written],
        review: Option<&cron::Schedule>,
    ) -> Option<TierPolicy> {
        let at = value.span().start;
        let Some(table) = value.get_ref().as_table() else {
            self.problem(at, "this must be a table: [tier_policy]", None);
            return None;
        };
        self.known_keys(
            table,
            &[
                "metric",
                "period",
                "months",
                "days",
                "every",
                "of",
                "upgrade",
                "downgrade",
                "grace_days",
                "warn_days",
            ],
        );
        if tiers.is_empty() {
            let help = "write [[tiers]] with `id` and `threshold`, lowest first";
            self.problem(at, "a policy needs tiers", Some(help.to_owned()));
        }
        let metric = self.choice(table, at, "metric", &METRICS, None);
        let period = self.period(table, at, review);
        let upgrade = self.choice(table, at, "upgrade", &UPGRADES, Some(Upgrade::AtOnce));
        let downgrade = self.downgrade(table, at, period.as_ref());
        let thresholds = metric.and_then(|metric| self.thresholds(metric, tiers));
        Some(TierPolicy {
            metric: metric?,
            thresholds: thresholds?,
            period: period?,
            upgrade: upgrade?,
            downgrade: downgrade?,
        })
    }

    /// They begin with 0, for everybody stands somewhere, and rise.
    fn thresholds(&mut self, metric: Metric, tiers: &[Written]) -> Option<Vec<Decimal>> {
        let mut thresholds = Vec::with_capacity(tiers.len());
        for (rank, written) in tiers.iter().enumerate() {
            let (at, threshold) = match (written.threshold, rank) {
                (Some(given), _) => given,
                (None, 0) => (written.at, Decimal::ZERO),
                (None, _) => {
                    let message = format!("`{}` has no threshold", written.tier.id);
                    self.problem(
                        written.at,
                        message,
                        Some("say how much it takes: `threshold = 500`".to_owned()),
                    );
                    return None;
                }
            };
            let problem = match thresholds.last() {
                None if !threshold.is_zero() => {
                    Some("everybody starts in the first tier: its threshold is 0, or left out".to_owned())
                }
                Some(lower) if threshold <= *lower => {
                    Some(format!("thresholds must rise: {threshold} is not more than {lower}"))
                }
                _ if metric != Metric::Spend && !threshold.fract().is_zero() => {
                    Some(format!("{metric} are counted in whole numbers"))
                }
                _ => None,
            };
            if let Some(problem) = problem {
                self.problem(at, problem, None);
            }
            thresholds.push(threshold);
        }
        Some(thresholds)
    }

    fn period(&mut self, table: &Table<'_>, at: usize, review: Option<&cron::Schedule>) -> Option<Period> {
        const WORDS: [&str; 4] = ["lifetime", "rolling", "calendar", "anniversary"];
        let word = self.choice(table, at, "period", &WORDS.map(|word| (word, word)), None)?;
        for (key, of) in
            [("months", "rolling"), ("days", "rolling"), ("every", "calendar"), ("of", "anniversary")]
        {
            if let Some(value) = table.get(key).filter(|_| word != of) {
                let message = format!("`{key}` belongs to `period = \"{of}\"`, not to \"{word}\"");
                self.problem(value.span().start, message, None);
            }
        }
        let open = |window| Some(Period::Open { window, review: Box::new(review?.clone()) });
        match word {
            "lifetime" => open(None),
            "rolling" => open(Some(self.window(table, at)?)),
            "calendar" => {
                let unit = self.choice(table, at, "every", &UNITS, Some(CalendarUnit::Year));
                unit.map(Period::Calendar)
            }
            _ => self.choice(table, at, "of", &ANCHORS, Some(Anchor::Enrolment)).map(Period::Anniversary),
        }
    }

    fn window(&mut self, table: &Table<'_>, at: usize) -> Option<Window> {
        let months = table.get("months");
        let (key, value, window): (_, _, fn(u32) -> Window) = match (months, table.get("days")) {
            (Some(value), None) => ("months", value, Window::Months),
            (None, Some(value)) => ("days", value, Window::Days),
            _ => {
                let at = months.map_or(at, |value| value.span().start);
                let help = "write `months = 12` or `days = 90`";
                self.problem(at, "a rolling period is so many months or so many days", Some(help.to_owned()));
                return None;
            }
        };
        let window = window(self.whole(table, key, 1..=u32::MAX.into())?.try_into().ok()?);
        if !window.is_kept() {
            let limit = Window::MAX_MONTHS;
            let message =
                format!("a member's history reaches back {HISTORY_DAYS} days or {limit} months, not further");
            self.problem(value.span().start, message, None);
        }
        Some(window)
    }

    fn downgrade(&mut self, table: &Table<'_>, at: usize, period: Option<&Period>) -> Option<Downgrade> {
        const STEPS: [(&str, Option<Step>); 3] =
            [("never", None), ("one_step", Some(Step::One)), ("by_balance", Some(Step::ByBalance))];
        let Some(step) = self.choice(table, at, "downgrade", &STEPS, None)? else {
            for value in ["grace_days", "warn_days"].into_iter().filter_map(|key| table.get(key)) {
                self.problem(value.span().start, "with `downgrade = \"never\"` no tier is lost", None);
            }
            return Some(Downgrade::Never);
        };
        let grace_days = self.days(table, "grace_days", 0);
        self.fits(table, "grace_days", grace_days, period.map_or(MAX_DAYS, longest_grace));
        let grace_days = grace_days.unwrap_or(0);
        let warn_days = self.days(table, "warn_days", 1);
        // Earlier, and it would come before the period that it is about.
        let limit = period.and_then(shortest).map_or(MAX_DAYS, |days| days + grace_days);
        self.fits(table, "warn_days", warn_days, limit);
        Some(Downgrade::AtReview(Loss { step, grace_days, warn_days }))
    }

    fn fits(&mut self, table: &Table<'_>, key: &str, days: Option<u32>, limit: u32) {
        let (Some(value), Some(days)) = (table.get(key), days) else { return };
        if days > limit {
            let message = format!("`{key}` may be {limit} with this period, not {days}");
            self.problem(value.span().start, message, None);
        }
    }

    /// A number of days.
    fn days(&mut self, table: &Table<'_>, key: &str, least: i64) -> Option<u32> {
        self.whole(table, key, least..=MAX_DAYS.into()).and_then(|days| days.try_into().ok())
    }

    /// What the word at `key` means. Without a default it must be there.
    fn choice<T: Copy>(
        &mut self,
        table: &Table<'_>,
        at: usize,
        key: &str,
        known: &[(&str, T)],
        default: Option<T>,
    ) -> Option<T> {
        match table.get(key) {
            Some(value) => self.one_of(value, known),
            None => {
                if default.is_none() {
                    let words: Vec<_> = known.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                    let help = format!("write one of {}", words.join(", "));
                    self.mistake(Mistake::MissingSetting, at, format!("`{key}` is missing"), Some(help));
                }
                default
            }
        }
    }
}

/// The days of the shortest period; `None` for one that never closes.
fn shortest(period: &Period) -> Option<u32> {
    match period {
        Period::Open { .. } => None,
        Period::Calendar(CalendarUnit::Month) => Some(28),
        Period::Calendar(CalendarUnit::Quarter) => Some(90),
        Period::Calendar(CalendarUnit::Half) => Some(181),
        Period::Calendar(CalendarUnit::Year) | Period::Anniversary(_) => Some(365),
    }
}

/// A grace must end before the next review, and its period must still be in the history when it does.
fn longest_grace(period: &Period) -> u32 {
    const LEAP_YEAR: u32 = 366;
    match shortest(period) {
        None => MAX_DAYS,
        Some(days) => (days - 1).min(HISTORY_DAYS as u32 - LEAP_YEAR),
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::diagnostic::Diagnostic;
    use crate::rules::manifest::Manifest;

    use super::*;

    const HEAD: &str = "name = \"Acme\"\ntimezone = \"America/New_York\"\ncurrency = \"USD\"\n";

    fn read(text: &str) -> Result<Tiers, Vec<Diagnostic>> {
        Manifest::parse(&format!("{HEAD}{text}")).map(|manifest| manifest.terms.tiers)
    }

    fn with_policy(policy: &str) -> String {
        format!(
            "[[tiers]]\nid = \"bronze\"\n[[tiers]]\nid = \"gold\"\nname = \"Gold\"\nthreshold = 99.50\n\
             [tier_policy]\nmetric = \"spend\"\n{policy}"
        )
    }

    #[test]
    fn a_list_of_names_leaves_the_moves_to_rules() {
        let tiers = read("tiers = [\"bronze\", \"gold\"]").unwrap();
        assert_eq!(tiers.ids().map(|id| id.as_str()).collect::<Vec<_>>(), ["bronze", "gold"]);
        assert_eq!((tiers.policy.clone(), &*tiers.ladder[1].name), (None, "gold"));
        let named = read("[[tiers]]\nid = \"gold\"\nname = \"Gold\"").unwrap();
        assert_eq!((&*named.ladder[0].id, &*named.ladder[0].name), ("gold", "Gold"));
    }

    #[test]
    fn a_policy_says_everything_or_takes_the_documented_default() {
        let tiers = read(&with_policy("period = \"calendar\"\ndowngrade = \"never\"")).unwrap();
        let expected = TierPolicy {
            metric: Metric::Spend,
            thresholds: vec![Decimal::ZERO, "99.50".parse().unwrap()],
            period: Period::Calendar(CalendarUnit::Year),
            upgrade: Upgrade::AtOnce,
            downgrade: Downgrade::Never,
        };
        assert_eq!(tiers.policy.as_ref(), Some(&expected));
        let policy = "period = \"rolling\"\nmonths = 12\nupgrade = \"period_end\"\ndowngrade = \"by_balance\"\n\
                      grace_days = 14\nwarn_days = 30\n[schedule]\ntier_review = \"0 0 4 1 * *\"";
        let policy = read(&with_policy(policy)).unwrap().policy.unwrap();
        let review = Box::new("0 0 4 1 * *".parse().unwrap());
        assert_eq!(policy.period, Period::Open { window: Some(Window::Months(12)), review });
        let loss = Loss { step: Step::ByBalance, grace_days: 14, warn_days: Some(30) };
        assert_eq!((policy.upgrade, policy.downgrade), (Upgrade::PeriodEnd, Downgrade::AtReview(loss)));
        let policy =
            read(&with_policy("period = \"anniversary\"\nof = \"tier\"\ndowngrade = \"one_step\"")).unwrap();
        assert_eq!(policy.policy.unwrap().period, Period::Anniversary(Anchor::Tier));
    }

    #[test]
    fn contradictions_are_found_where_they_are() {
        let never = "downgrade = \"never\"";
        let step = "downgrade = \"one_step\"";
        // Lines count from the three of the head; those of `with_policy` follow.
        let cases = [
            (with_policy(&format!("{never}\nperiod = \"rolling\"\nmonths = 14")), 14, "not further"),
            (with_policy(&format!("{never}\nperiod = \"rolling\"\ndays = 401")), 14, "not further"),
            (with_policy(&format!("{never}\nperiod = \"rolling\"\ndays = 0")), 14, "between 1"),
            (with_policy(&format!("{never}\nperiod = \"rolling\"")), 10, "so many months or so many days"),
            (
                with_policy(&format!("{never}\nperiod = \"rolling\"\nmonths = 1\ndays = 2")),
                14,
                "or so many days",
            ),
            (
                with_policy(&format!("{never}\nperiod = \"lifetime\"\nmonths = 1")),
                14,
                "belongs to `period = \"rolling\"`",
            ),
            (with_policy(&format!("{never}\nperiod = \"anniversary\"\nevery = \"year\"")), 14, "belongs to"),
            (with_policy(&format!("{never}\nperiod = \"calendar\"\nof = \"tier\"")), 14, "belongs to"),
            (with_policy(&format!("{never}\nperiod = \"calender\"")), 13, "`calender` is not known here"),
            (
                with_policy(&format!("{never}\nperiod = \"calendar\"\nevery = \"week\"")),
                14,
                "`week` is not known here",
            ),
            (with_policy(&format!("{never}\nperiod = \"calendar\"\ngrace_days = 3")), 14, "no tier is lost"),
            (
                with_policy(&format!("{step}\nperiod = \"calendar\"\nevery = \"month\"\ngrace_days = 28")),
                15,
                "may be 27",
            ),
            (with_policy(&format!("{step}\nperiod = \"calendar\"\ngrace_days = 35")), 14, "may be 34"),
            (
                with_policy(&format!("{step}\nperiod = \"calendar\"\nevery = \"month\"\nwarn_days = 29")),
                15,
                "may be 28",
            ),
            (with_policy("period = \"calendar\""), 10, "`downgrade` is missing"),
            (with_policy(never), 10, "`period` is missing"),
            (
                "tiers = [\"a\"]\n[tier_policy]\nperiod = \"lifetime\"\ndowngrade = \"never\"".to_owned(),
                5,
                "`metric` is missing",
            ),
            (format!("[tier_policy]\nmetric = \"spend\"\nperiod = \"lifetime\"\n{never}"), 4, "needs tiers"),
            (
                format!(
                    "tiers = [\"a\", \"b\"]\n[tier_policy]\nmetric = \"spend\"\nperiod = \"lifetime\"\n{never}"
                ),
                4,
                "`b` has no threshold",
            ),
            ("[[tiers]]\nid = \"a\"\nthreshold = 0".to_owned(), 6, "without a policy"),
            ("[[tiers]]\nid = \"a\"\n[[tiers]]\nid = \"a\"".to_owned(), 6, "two tiers"),
            ("[[tiers]]\nname = \"a\"".to_owned(), 4, "no `id`"),
            ("tiers = [\"a\", { id = \"b\" }]".to_owned(), 4, "[[tiers]]"),
            ("tier_policy = 3".to_owned(), 4, "[tier_policy]"),
        ];
        for (text, line, says) in cases {
            let problems = read(&text).unwrap_err();
            let found = problems.iter().any(|problem| problem.line == line && problem.message.contains(says));
            assert!(found, "{text}\n{problems:#?}");
        }
    }

    #[test]
    fn thresholds_begin_with_zero_rise_and_are_whole_where_only_whole_numbers_are_counted() {
        let ladder = |metric: &str, thresholds: [&str; 3]| {
            let tiers = thresholds.map(|t| format!("[[tiers]]\nid = \"t{t}\"\nthreshold = {t}\n")).concat();
            read(&format!(
                "{tiers}[tier_policy]\nmetric = \"{metric}\"\nperiod = \"lifetime\"\ndowngrade = \"never\""
            ))
        };
        ladder("spend", ["0", "0.5", "\"1.25\""].map(|t| if t.starts_with('"') { "1.25" } else { t }))
            .unwrap();
        for (metric, thresholds, line) in [
            ("spend", ["1", "2", "3"], 6),
            ("spend", ["0", "2", "2.0"], 12),
            ("spend", ["0", "2", "1"], 12),
            ("visits", ["0", "2", "2.5"], 12),
            ("spend", ["0", "-2", "3"], 9),
            ("spend", ["0", "1e3", "3"], 9),
            ("spend", ["0", "true", "3"], 9),
        ] {
            let problems = ladder(metric, thresholds).unwrap_err();
            assert_eq!(problems[0].line, line, "{thresholds:?} {problems:?}");
        }
    }
}
