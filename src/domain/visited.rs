//! On which days a member came, as far as the time before and after them can tell.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// Days with a visit, in three numbers: all that is kept of those that a history forgets, and all that the churn model
/// needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitedDays {
    /// The first of them.
    pub first: NaiveDate,
    /// The last of them.
    pub last: NaiveDate,
    /// How many they are.
    pub count: u32,
}

impl VisitedDays {
    /// These days; `None` when there are none.
    pub fn of(days: impl IntoIterator<Item = NaiveDate>) -> Option<Self> {
        days.into_iter().fold(None, |seen, day| Some(Self::and(seen, day)))
    }

    /// Those of two who turn out to be one. On how many days both came, nobody can tell any more.
    pub fn both(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
        Some(Self {
            first: one.first.min(other.first),
            last: one.last.max(other.last),
            count: one.count.saturating_add(other.count),
        })
    }

    /// Those seen so far and one more. In the order of time each counts once; of a day that comes late and lies between
    /// the first and the last nobody can tell any more whether it is among them, and it counts.
    pub fn and(seen: Option<Self>, day: NaiveDate) -> Self {
        match seen {
            None => Self { first: day, last: day, count: 1 },
            Some(seen) if day == seen.first || day == seen.last => seen,
            Some(Self { first, last, count }) => {
                Self { first: first.min(day), last: last.max(day), count: count.saturating_add(1) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::history::History;
    use crate::domain::money::Money;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn history(days: &[&str]) -> History {
        let mut history = History::default();
        days.iter().for_each(|on| history.visit(day(on), Money::ZERO));
        history
    }

    #[test]
    fn days_come_down_to_the_first_the_last_and_how_many() {
        let of = |days: &[&str]| {
            let seen = VisitedDays::of(days.iter().map(|text| text.parse().unwrap()));
            seen.map(|seen| (seen.first.to_string(), seen.last.to_string(), seen.count))
        };
        let span = |first: &str, last: &str, count| Some((first.to_owned(), last.to_owned(), count));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["2026-01-01"]), span("2026-01-01", "2026-01-01", 1));
        assert_eq!(
            of(&["2026-01-01", "2026-01-03", "2026-01-03", "2026-01-09"]),
            span("2026-01-01", "2026-01-09", 3)
        );
        assert_eq!(
            of(&["2026-01-09", "2026-01-01", "2026-01-09"]),
            span("2026-01-01", "2026-01-09", 2),
            "late"
        );
        assert_eq!(
            of(&["2026-01-01", "2026-01-09", "2026-01-01"]),
            span("2026-01-01", "2026-01-09", 2),
            "known"
        );
    }

    #[test]
    fn visited_days_are_counted_for_ever_though_days_are_forgotten() {
        let mut history = history(&["2024-01-01", "2024-01-01", "2024-06-01"]);
        let seen = |history: &History, until: &str| {
            history.visited_until(day(until)).map(|seen| (seen.first, seen.last, seen.count))
        };
        let before = ["2023-12-31", "2024-01-31", "2024-12-31"].map(|until| seen(&history, until));
        let (first, second) = (day("2024-01-01"), day("2024-06-01"));
        assert_eq!(before, [None, Some((first, first, 1)), Some((first, second, 2))]);
        history.visit(day("2026-03-02"), Money::ZERO);
        history.visit(day("2026-03-04"), Money::ZERO);
        let until = |until: &str| seen(&history, until);
        assert_eq!(until("2026-03-01"), Some((first, second, 2)));
        assert_eq!(until("2026-03-04"), Some((first, day("2026-03-04"), 4)));
        history.unvisit(day("2026-03-04"), Money::ZERO);
        assert_eq!(seen(&history, "2026-03-04"), Some((first, day("2026-03-02"), 3)));
        history.visit(day("2022-05-05"), Money::ZERO); // heard of late
        assert_eq!(seen(&history, "2026-03-04"), Some((day("2022-05-05"), day("2026-03-02"), 4)));
    }

    #[test]
    fn forgotten_days_of_two_who_are_one_count_together_until_they_are_told_apart() {
        let mut ana = history(&["2023-05-01", "2023-06-01", "2026-03-02"]);
        let anna = history(&["2022-01-01", "2023-07-01", "2025-06-01"]);
        let late = history(&["2024-01-01", "2024-12-01"]); // not forgotten yet, by themselves
        let seen = |history: &History| {
            history.visited_until(day("2026-03-04")).map(|seen| (seen.first, seen.last, seen.count))
        };
        let (before, alone) = (ana.forgotten(), ana.clone());
        ana.join(&anna);
        assert_eq!(seen(&ana), Some((day("2022-01-01"), day("2026-03-02"), 6)));
        ana.part(&anna, &before);
        assert_eq!(ana, alone);
        ana.join(&late);
        assert_eq!(seen(&ana), Some((day("2023-05-01"), day("2026-03-02"), 5)));
        assert_eq!(ana.lifetime_days, 5);
        ana.part(&late, &before);
        assert_eq!(ana, alone);
    }

    #[test]
    fn points_earned_long_after_the_last_visit_do_not_make_it_forgotten() {
        let mut history = history(&["2024-01-01"]);
        history.earn(day("2026-03-02"), 50);
        assert_eq!(history.last_visit(), Some(day("2024-01-01")));
        assert_eq!(history.days_since_last_visit(day("2026-03-02")), 791);
    }
}
