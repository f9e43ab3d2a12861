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
    }
}
