//! When scheduled ticks fall due in a chain's calendar.

use std::fmt;
use std::str::FromStr;

use chrono::Utc;
use chrono_tz::Tz;

use super::Timestamp;

/// A tick that rules can start on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TickType {
    /// Once a day for every member.
    Daily,
    /// When tiers are reviewed.
    TierReview,
}

impl TickType {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Daily, Self::TierReview];

    /// The word used in rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "tick.daily",
            Self::TierReview => "tier.review",
        }
    }
}

impl FromStr for TickType {
    type Err = ();
    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(())
    }
}

impl fmt::Display for TickType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When each tick of a program runs, in the chain's zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The chain's zone.
    pub timezone: Tz,
    /// Each tick that some rule waits for, with its cron expression.
    pub ticks: Vec<(TickType, cron::Schedule)>,
}

impl Schedule {
    /// The first instant after `after` at which any tick is due. `None` when nothing is scheduled.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.ticks.iter().filter_map(|(_, cron)| self.next_of(cron, after)).min()
    }

    /// The ticks that fell due in (`after`, `until`], once each however many times they were missed, in the order of
    /// [`TickType::ALL`].
    pub fn due(&self, after: Timestamp, until: Timestamp) -> Vec<TickType> {
        let mut due: Vec<_> = self
            .ticks
            .iter()
            .filter(|(_, cron)| self.next_of(cron, after).is_some_and(|next| next <= until))
            .map(|(kind, _)| *kind)
            .collect();
        due.sort_unstable();
        due
    }

    fn next_of(&self, cron: &cron::Schedule, after: Timestamp) -> Option<Timestamp> {
        cron.after(&after.with_timezone(&self.timezone)).next().map(|at| at.with_timezone(&Utc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        Schedule {
            timezone: chrono_tz::America::New_York,
            ticks: vec![
                (TickType::TierReview, "0 30 3 1 * *".parse().unwrap()),
                (TickType::Daily, "0 30 2 * * *".parse().unwrap()),
            ],
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn ticks_follow_the_chains_calendar() {
        assert_eq!(schedule().next(at("2026-03-02T12:00:00Z")), Some(at("2026-03-03T07:30:00Z")));
        let due = schedule().due(at("2026-02-27T12:00:00Z"), at("2026-03-02T12:00:00Z"));
        assert_eq!(due, [TickType::Daily, TickType::TierReview]);
        assert_eq!(schedule().due(at("2026-03-02T12:00:00Z"), at("2026-03-02T13:00:00Z")), []);
    }

    #[test]
    fn daylight_saving_neither_doubles_nor_loses_a_day() {
        // 02:30 does not exist on 2026-03-08 in New York and exists twice on 2026-11-01.
        for (start, days) in [("2026-03-06T00:00:00Z", 5), ("2026-10-30T00:00:00Z", 5)] {
            let (mut now, mut ticks) = (at(start), 0);
            let end = now + chrono::Duration::days(days);
            while let Some(next) = schedule().next(now).filter(|next| *next <= end) {
                assert!(next > now);
                (now, ticks) = (next, ticks + 1);
            }
            assert!((4..=6).contains(&ticks), "{start}: {ticks} ticks");
        }
    }
}
