//! `[lifecycle]`: when guests who stay away are at risk, and when they are given up.

use rust_decimal::Decimal;

use super::reader::{Reader, Table, Value};
use crate::domain::decide::MAX_RECOMMENDATIONS;
use crate::domain::history::HISTORY_DAYS;
use crate::domain::terms::churn::ChurnTerms;
use crate::domain::terms::lifecycle::Lifecycle;
use crate::rules::diagnostic::Mistake;

/// Settings about when guests are missed.
const MISSED: [&str; 4] = ["at_risk_after", "churned_after", "at_least_days", "recommended_actions"];
/// Settings about the churn model.
const LEARNED: [&str; 2] = ["churn_horizon", "refit"];
/// Beyond this many usual gaps nobody is waited for.
const MAX_TIMES: i64 = 100;

impl Reader<'_> {
    /// When guests are missed, and what the churn model is asked. A table that says only the latter leaves the former to
    /// rules.
    pub(super) fn lifecycle(&mut self, table: &Table<'_>) -> (Option<Lifecycle>, ChurnTerms) {
        let mut churn = ChurnTerms::default();
        let Some(value) = table.get("lifecycle") else { return (None, churn) };
        let Some(lifecycle) = value.get_ref().as_table() else {
            self.problem(value.span().start, "this must be a table: [lifecycle]", None);
            return (None, churn);
        };
        self.known_keys(lifecycle, &[&MISSED[..], &LEARNED].concat());
        churn.horizon = self.word(lifecycle, "churn_horizon", churn.horizon);
        churn.refit = self.word(lifecycle, "refit", churn.refit);
        let says = |keys: &[&str]| keys.iter().any(|key| lifecycle.contains_key(*key));
        let leaves_it_to_rules = says(&LEARNED) && !says(&MISSED);
        let missed = if leaves_it_to_rules { None } else { self.missed(lifecycle, value.span().start) };
        (missed, churn)
    }

    fn missed(&mut self, lifecycle: &Table<'_>, missing: usize) -> Option<Lifecycle> {
        let at_risk_after = self.times(lifecycle, "at_risk_after", missing);
        let churned_after = self.times(lifecycle, "churned_after", missing);
        let at_least_days = self.at_least_days(lifecycle);
        let recommended_actions = self.names(lifecycle, "recommended_actions");
        if let Some(list) =
            lifecycle.get("recommended_actions").filter(|_| recommended_actions.len() > MAX_RECOMMENDATIONS)
        {
            self.mistake(
                Mistake::TooMany,
                list.span().start,
                format!("at most {MAX_RECOMMENDATIONS} actions can be recommended"),
                None,
            );
        }
        let (at_risk_after, churned_after) = (at_risk_after?, churned_after?);
        if churned_after <= at_risk_after {
            let place = lifecycle.get("churned_after").map_or(missing, |value| value.span().start);
            self.problem(place, "`churned_after` must be more than `at_risk_after`", None);
        }
        Some(Lifecycle { at_risk_after, churned_after, at_least_days: at_least_days?, recommended_actions })
    }

    /// How many times the usual number of days between visits.
    fn times(&mut self, table: &Table<'_>, key: &str, missing: usize) -> Option<Decimal> {
        let Some(value) = table.get(key) else {
            let help = format!("write `{key} = 2.5`: so many times the usual number of days between visits");
            self.mistake(Mistake::MissingSetting, missing, format!("`{key}` is missing"), Some(help));
            return None;
        };
        let times = number(value).filter(|times| *times > Decimal::ZERO && *times <= MAX_TIMES.into());
        if times.is_none() {
            let message = format!("this must be a number above 0, at most {MAX_TIMES}, such as 2.5");
            self.problem(value.span().start, message, None);
        }
        times
    }

    /// Days before which nobody is missed; none unless said.
    fn at_least_days(&mut self, table: &Table<'_>) -> Option<i64> {
        let Some(value) = table.get("at_least_days") else { return Some(0) };
        let is_kept = |days: &i64| (0..=HISTORY_DAYS as i64).contains(days);
        let days = value.get_ref().as_integer().and_then(|days| days.as_str().parse().ok()).filter(is_kept);
        if days.is_none() {
            self.problem(
                value.span().start,
                format!("this must be a whole number of days from 0 to {HISTORY_DAYS}"),
                None,
            );
        }
        days
    }
}

/// A whole number or one with decimals, exactly as written.
fn number(value: &Value<'_>) -> Option<Decimal> {
    let value = value.get_ref();
    let text = match (value.as_integer(), value.as_float()) {
        (Some(whole), _) => whole.as_str(),
        (_, Some(decimal)) => decimal.as_str(),
        _ => return None,
    };
    Decimal::from_str_exact(text).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::*;
    use crate::domain::terms::churn::Refit;

    fn parse(lifecycle: &str) -> Result<Option<Lifecycle>, Vec<(usize, String)>> {
        let text = format!("name = \"A\"\ntimezone = \"UTC\"\ncurrency = \"USD\"\n{lifecycle}");
        let problems = |problems: Vec<crate::rules::diagnostic::Diagnostic>| {
            problems.into_iter().map(|problem| (problem.line, problem.message)).collect()
        };
        Manifest::parse(&text).map(|manifest| manifest.terms.lifecycle).map_err(problems)
    }

    #[test]
    fn a_lifecycle_is_read_as_written() {
        assert_eq!(parse(""), Ok(None));
        let full = "[lifecycle]\nat_risk_after = 2.5\nchurned_after = 6\nat_least_days = 14\nrecommended_actions = [\"Call\"]";
        let lifecycle = parse(full).unwrap().unwrap();
        assert_eq!(
            (lifecycle.at_risk_after, lifecycle.churned_after),
            (Decimal::new(25, 1), Decimal::from(6))
        );
        assert_eq!((lifecycle.at_least_days, lifecycle.recommended_actions.len()), (14, 1));
        let short = parse("[lifecycle]\nat_risk_after = 2\nchurned_after = 3").unwrap().unwrap();
        assert_eq!((short.at_least_days, short.recommended_actions.len()), (0, 0));
    }

    #[test]
    fn what_the_churn_model_is_asked_can_be_said_alone() {
        let terms = |lifecycle: &str| {
            let text = format!("name = \"A\"\ntimezone = \"UTC\"\ncurrency = \"USD\"\n{lifecycle}");
            let terms = Manifest::parse(&text).unwrap().terms;
            (terms.lifecycle.is_some(), terms.churn.horizon.days().get(), terms.churn.refit)
        };
        let every = |days: u16| Refit::Every(days.try_into().unwrap());
        assert_eq!(terms(""), (false, 90, every(7)));
        assert_eq!(terms("[lifecycle]\nchurn_horizon = \"30 days\""), (false, 30, every(7)));
        assert_eq!(terms("[lifecycle]\nrefit = \"1 day\""), (false, 90, every(1)));
        let both = "[lifecycle]\nat_risk_after = 2\nchurned_after = 3\nrefit = \"never\"";
        assert_eq!(terms(both), (true, 90, Refit::Never));
    }

    #[test]
    fn what_makes_no_sense_is_refused_where_it_stands() {
        for (lifecycle, line, says) in [
            ("lifecycle = 5", 4, "[lifecycle]"),
            ("[lifecycle]", 4, "`at_risk_after` is missing"),
            ("[lifecycle]\nchurn_horizon = 90", 5, "text"),
            ("[lifecycle]\nchurn_horizon = \"3 months\"", 5, "90 days"),
            ("[lifecycle]\nchurn_horizon = \"366 days\"", 5, "up to 365 days"),
            ("[lifecycle]\nrefit = \"0 days\"", 5, "never"),
            ("[lifecycle]\nat_least_days = 3\nrefit = \"never\"", 4, "`at_risk_after` is missing"),
            ("[lifecycle]\nchurned_after = 3", 4, "`at_risk_after` is missing"),
            ("[lifecycle]\nat_risk_after = 3\nchurned_after = 3", 6, "more than"),
            ("[lifecycle]\nat_risk_after = 0\nchurned_after = 3", 5, "above 0"),
            ("[lifecycle]\nat_risk_after = nan\nchurned_after = 3", 5, "above 0"),
            ("[lifecycle]\nat_risk_after = 1\nchurned_after = 101", 6, "at most 100"),
            ("[lifecycle]\nat_risk_after = 1\nchurned_after = \"3\"", 6, "above 0"),
            ("[lifecycle]\nat_risk_after = 1\nchurned_after = 3\nat_least_days = -1", 7, "from 0 to 400"),
            ("[lifecycle]\nat_risk_after = 1\nchurned_after = 3\nat_least_day = 1", 7, "`at_least_day`"),
        ] {
            let problems = parse(lifecycle).unwrap_err();
            let found = problems.iter().any(|(at, message)| *at == line && message.contains(says));
            assert!(found, "{lifecycle}: {problems:?}");
        }
    }
}
