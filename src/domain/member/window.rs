//! Spans of time that a member's history can be asked about.

use chrono::{Days, Months, NaiveDate};

use super::{HISTORY_DAYS, History};

/// A span of days or calendar months that ends today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// So many days, today included.
    Days(u32),
    /// So many calendar months: from the same day of the month, exclusive (31 March less a month is 28 February).
    Months(u32),
}

impl Window {
    /// The longest window that [`HISTORY_DAYS`] can answer.
    pub const MAX_MONTHS: u32 = 13;

    /// Whether the history reaches back far enough.
    pub const fn is_kept(self) -> bool {
        match self {
            Self::Days(days) => days as u64 <= HISTORY_DAYS,
            Self::Months(months) => months <= Self::MAX_MONTHS,
        }
    }

    /// The first day of the window that ends with `last`.
    pub fn first_day(self, last: NaiveDate) -> NaiveDate {
        self.start(last).succ_opt().unwrap_or(last)
    }

    /// The last day that is *not* in the window.
    pub(super) fn start(self, today: NaiveDate) -> NaiveDate {
        let start = match self {
            Self::Days(days) => today.checked_sub_days(Days::new(days.into())),
            Self::Months(months) => today.checked_sub_months(Months::new(months)),
        };
        start.unwrap_or(NaiveDate::MIN)
    }
}

impl History {
    /// The days from `first` to `last`, both included, with anything on them.
    pub fn days_between(&self, first: NaiveDate, last: NaiveDate) -> impl Iterator<Item = NaiveDate> {
        let from = self.days.partition_point(|summary| summary.day < first);
        self.days[from..].iter().map(|summary| summary.day).take_while(move |day| *day <= last)
    }

    /// Whether the member came on `first` or later, but before `end`.
    pub fn came_between(&self, first: NaiveDate, end: NaiveDate) -> bool {
        let from = self.days.partition_point(|summary| summary.day < first);
        self.days[from..].iter().take_while(|summary| summary.day < end).any(|summary| summary.visits > 0)
    }

    /// The first day that is kept; what was before it is forgotten. `None` while nothing is.
    pub fn oldest_kept(&self) -> Option<NaiveDate> {
        self.days.last()?.day.checked_sub_days(Days::new(HISTORY_DAYS))
    }
}
