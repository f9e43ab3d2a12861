//! What the model needs to know of a member, and how many members of a chain are alike.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::domain::visited::VisitedDays;

const DAYS_PER_WEEK: f64 = 7.0;

/// A member's visits in three numbers. The literature calls them x, t_x and T and counts time in weeks; kept in days, as
/// whole numbers, so that members who are alike can be counted instead of listed. Longer times than 179 years count as
/// that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Summary {
    /// Days with a visit after the first one: at most `last`.
    repeats: u16,
    /// The last visit, in days after the first: at most `observed`.
    last: u16,
    /// For how many days after the first visit we have been watching.
    observed: u16,
}

impl Summary {
    /// Of a member who visited on these days, seen from `today`.
    ///
    /// What cannot be is read as the nearest that can: clocks of tills differ, and so may days.
    pub fn of(VisitedDays { first, last, count }: VisitedDays, today: NaiveDate) -> Self {
        let last = days_between(first, last);
        let repeats = u16::try_from(count.saturating_sub(1)).unwrap_or(u16::MAX).min(last);
        let last = if repeats == 0 { 0 } else { last };
        Self { repeats, last, observed: days_between(first, today).max(last) }
    }

    /// Days with a visit after the first one (x).
    pub fn repeats(self) -> u16 {
        self.repeats
    }

    /// Days from the first visit to the last.
    pub(super) fn last_day(self) -> u16 {
        self.last
    }

    /// Days from the first visit to the end of the observation.
    pub(super) fn observed_days(self) -> u16 {
        self.observed
    }

    /// Weeks from the first visit to the last (t_x).
    pub fn last_week(self) -> f64 {
        weeks(self.last)
    }

    /// Weeks from the first visit to the end of the observation (T).
    pub fn observed_weeks(self) -> f64 {
        weeks(self.observed)
    }
}

pub(super) fn weeks(days: u16) -> f64 {
    f64::from(days) / DAYS_PER_WEEK
}

fn days_between(from: NaiveDate, to: NaiveDate) -> u16 {
    u16::try_from((to - from).num_days().max(0)).unwrap_or(u16::MAX)
}

/// How many members have each summary. A million guests have far fewer summaries, so a fit costs no more than those.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<Summary, u32>,
    members: u64,
    visits: u64,
}

impl Tally {
    /// How many members there are.
    pub fn members(&self) -> u64 {
        self.members
    }

    /// How many visits they made, at most one a day.
    pub fn visits(&self) -> u64 {
        self.visits
    }

    /// How many members came more than once.
    pub fn returned(&self) -> u64 {
        self.counts
            .iter()
            .filter(|(summary, _)| summary.repeats > 0)
            .map(|(_, count)| u64::from(*count))
            .sum()
    }

    /// How many members have this summary.
    pub fn count(&self, summary: Summary) -> u32 {
        self.counts.get(&summary).copied().unwrap_or(0)
    }

    /// Each summary with the number of its members, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Summary, u32)> {
        self.counts.iter().map(|(summary, count)| (*summary, *count))
    }
}

impl Extend<Summary> for Tally {
    fn extend<I: IntoIterator<Item = Summary>>(&mut self, members: I) {
        for summary in members {
            let count = self.counts.entry(summary).or_default();
            *count = count.saturating_add(1);
            self.members += 1;
            self.visits += 1 + u64::from(summary.repeats);
        }
    }
}

impl FromIterator<Summary> for Tally {
    fn from_iter<I: IntoIterator<Item = Summary>>(members: I) -> Self {
        let mut tally = Self::default();
        tally.extend(members);
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn numbers(summary: Summary) -> (u16, u16, u16) {
        (summary.repeats, summary.last, summary.observed)
    }

    fn of(first: NaiveDate, last: NaiveDate, count: u32, today: NaiveDate) -> Summary {
        Summary::of(VisitedDays { first, last, count }, today)
    }

    #[test]
    fn weeks_are_sevenths_of_days() {
        let summary = of(day("2026-01-01"), day("2026-01-08"), 2, day("2026-01-12"));
        assert_eq!((summary.last_week(), summary.observed_weeks()), (1.0, 11.0 / 7.0));
    }

    #[test]
    fn what_cannot_be_is_read_as_the_nearest_that_can() {
        let (first, last, today) = (day("2026-01-01"), day("2026-01-05"), day("2026-01-09"));
        assert_eq!(numbers(of(first, last, 3, today)), (2, 4, 8));
        assert_eq!(numbers(of(first, last, 0, today)), (0, 0, 8), "no day counted: the first was one");
        assert_eq!(numbers(of(first, last, 99, today)), (4, 4, 8), "more visited days than days");
        assert_eq!(numbers(of(last, first, 3, today)), (0, 0, 4), "the last before the first");
        assert_eq!(numbers(of(first, today, 3, last)), (2, 8, 8), "a visit ahead of today");
        assert_eq!(numbers(of(today, today, 1, first)), (0, 0, 0), "all of it ahead of today");
        let always = of(NaiveDate::MIN, NaiveDate::MAX, u32::MAX, NaiveDate::MAX);
        assert_eq!(numbers(always), (u16::MAX, u16::MAX, u16::MAX));
    }

    #[test]
    fn members_who_are_alike_are_counted_not_listed() {
        let (first, today) = (day("2026-01-01"), day("2026-01-09"));
        let summaries = [(first, 1), (day("2026-01-05"), 2), (first, 1)];
        let tally: Tally = summaries.into_iter().map(|(last, days)| of(first, last, days, today)).collect();
        assert_eq!((tally.members(), tally.visits(), tally.returned(), tally.iter().len()), (3, 4, 1, 2));
    }
}
