//! A chain's log, summed up for a fit.

use std::num::NonZeroU16;

use chrono::{Days, NaiveDate};

use super::summary::{Summary, Tally};
use crate::domain::visited::VisitedDays;

/// What a chain's members did until today, and what they did in the last horizon seen from its beginning.
///
/// Members are added one by one and leave only counts behind: the log is read once, and never in memory as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observations {
    today: NaiveDate,
    horizon_days: NonZeroU16,
    since: Option<NaiveDate>,
    until_today: Tally,
    until_horizon: Tally,
    stayed_away: Tally,
}

impl Observations {
    /// Nobody yet.
    pub fn new(today: NaiveDate, horizon_days: NonZeroU16) -> Self {
        let nobody = Tally::default();
        Self {
            today,
            horizon_days,
            since: None,
            until_today: nobody.clone(),
            until_horizon: nobody.clone(),
            stayed_away: nobody,
        }
    }

    /// Adds one member, who says on which days they came until the end of a given one. Days after today are not looked
    /// at.
    pub fn add(&mut self, visited_until: impl Fn(NaiveDate) -> Option<VisitedDays>) {
        let end = self.calibration_end();
        let (Some(visited), before) = (visited_until(self.today), visited_until(end)) else { return };
        self.since = Some(self.since.map_or(visited.first, |since| since.min(visited.first)));
        self.until_today.extend([Summary::of(visited, self.today)]);
        let summary = before.map(|before| Summary::of(before, end));
        self.until_horizon.extend(summary);
        if before == Some(visited) {
            self.stayed_away.extend(summary);
        }
    }

    /// Adds one member by the days they came.
    #[cfg(test)]
    pub(super) fn add_days(&mut self, days: &std::collections::BTreeSet<NaiveDate>) {
        self.add(|until| VisitedDays::of(days.range(..=until).copied()));
    }

    /// The first day on which anybody came.
    pub fn since(&self) -> Option<NaiveDate> {
        self.since
    }

    /// The last day that is looked at.
    pub fn today(&self) -> NaiveDate {
        self.today
    }

    /// The last day before the last horizon.
    pub fn calibration_end(&self) -> NaiveDate {
        self.today.checked_sub_days(Days::new(self.horizon_days.get().into())).unwrap_or(NaiveDate::MIN)
    }

    /// How many days "stays away" means.
    pub fn horizon_days(&self) -> NonZeroU16 {
        self.horizon_days
    }

    /// The members by what they did until today.
    pub fn until_today(&self) -> &Tally {
        &self.until_today
    }

    /// The members of that time by what they did until the last horizon began.
    pub fn until_horizon(&self) -> &Tally {
        &self.until_horizon
    }

    /// Those of them who then stayed away.
    pub fn stayed_away(&self) -> &Tally {
        &self.stayed_away
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_stays_away_who_comes_on_no_day_after_the_calibration_and_until_today() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let came = |days: &[&str]| {
            let mut observed = Observations::new(day("2026-03-31"), NonZeroU16::new(30).unwrap());
            observed.add_days(&days.iter().map(|text| day(text)).collect());
            let members = [observed.until_today(), observed.until_horizon(), observed.stayed_away()];
            members.map(Tally::members)
        };
        assert_eq!(came(&["2026-01-01", "2026-03-01"]), [1, 1, 1], "the last day of the calibration");
        assert_eq!(came(&["2026-01-01", "2026-03-02"]), [1, 1, 0], "the day after it");
        assert_eq!(came(&["2026-01-01", "2026-03-31"]), [1, 1, 0], "today");
        assert_eq!(came(&["2026-01-01", "2026-04-01"]), [1, 1, 1], "tomorrow");
        assert_eq!(came(&["2026-03-02"]), [1, 0, 0], "not known in the calibration");
        assert_eq!(came(&["2026-04-01"]), [0, 0, 0], "not known yet");
    }
}
