//! Birthdays and anniversaries: whether a program keeps them, and at what time of the day.

use chrono::{NaiveTime, TimeZone};
use chrono_tz::Tz;

use crate::domain::Timestamp;

/// Which days of its members a program keeps. One without a folder keeps none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CelebrationTerms {
    /// Whether `member.birthday` is told.
    pub birthdays: bool,
    /// Whether `member.anniversary` is told.
    pub anniversaries: bool,
    /// At what time of the day, in the chain's zone: that of the daily tick.
    pub at: NaiveTime,
}

impl CelebrationTerms {
    /// Whether any day is kept.
    pub const fn any(&self) -> bool {
        self.birthdays || self.anniversaries
    }

    /// The instant on `day`. A time that clocks leave out that day is the next one that there is; of one that comes
    /// twice it is the first.
    pub(in crate::domain) fn on(&self, day: chrono::NaiveDate, zone: Tz) -> Option<Timestamp> {
        /// A zone that crosses the date line leaves out a whole day; every offset is a multiple of a quarter.
        const QUARTERS: i64 = 4 * 25;
        let local = day.and_time(self.at);
        let mut times = (0..=QUARTERS).map(|n| local + chrono::Duration::minutes(15 * n));
        times.find_map(|time| zone.from_local_datetime(&time).earliest()).map(|at| at.to_utc())
    }
}
