//! Spans of time that a member's history can be asked about.

use chrono::{Days, Months, NaiveDate};

use super::HISTORY_DAYS;

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
