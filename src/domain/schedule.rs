//! When scheduled ticks fall due in a chain's calendar.

use std::fmt;
use std::str::FromStr;

use chrono::{Duration, Utc};
use chrono_tz::Tz;

use super::Timestamp;

/// A tick that rules can start on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TickType {
    /// Once a day for every member.
    Daily,
    /// When tiers are reviewed.
    TierReview,
    /// On a member's birthday.
    Birthday,
    /// On the day on which a member enrolled, years later.
    Anniversary,
}

impl TickType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Daily, Self::TierReview, Self::Birthday, Self::Anniversary];

    /// The word used in rules.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "tick.daily",
            Self::TierReview => "tier.review",
            Self::Birthday => "member.birthday",
            Self::Anniversary => "member.anniversary",
        }
    }

    /// How far ticks of this kind stand behind their instant, so that those of one instant have an order.
    pub(super) fn place(self) -> Duration {
        Duration::microseconds(self as i64)
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

    /// The ticks that fell due since an alarm was set, in order: each once, however many times it was missed, at the
    /// last instant it was. Ticks of one instant lie a microsecond apart, so that an alarm at any of them finds it and
    /// those after it again, and none before it.
    pub fn due(&self, alarm: Timestamp, now: Timestamp) -> Vec<(Timestamp, TickType)> {
        let due = self.ticks.iter().filter_map(|(kind, cron)| {
            let place = kind.place();
            let just_before = alarm - place - Duration::microseconds(1);
            let first = self.next_of(cron, just_before).filter(|first| *first <= now)?;
            let last = self.last_of(cron, now).map_or(first, |last| last.max(first));
            Some((last + place, *kind))
        });
        let mut due: Vec<_> = due.collect();
        due.sort_unstable();
        due
    }

    fn next_of(&self, cron: &cron::Schedule, after: Timestamp) -> Option<Timestamp> {
        next_in(self.timezone, cron, after)
    }

    /// The last instant until `until`.
    fn last_of(&self, cron: &cron::Schedule, until: Timestamp) -> Option<Timestamp> {
        let local = (until + Duration::microseconds(1)).with_timezone(&self.timezone);
        cron.after(&local).rev().map(|at| at.with_timezone(&Utc)).find(|at| *at <= until)
    }
}

/// The first instant after `after`. Where clocks are set back, an instant that comes twice counts both times.
pub(super) fn next_in(zone: Tz, cron: &cron::Schedule, after: Timestamp) -> Option<Timestamp> {
    let local = after.with_timezone(&zone);
    cron.after(&local).map(|at| at.with_timezone(&Utc)).find(|at| *at > after)
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
        let (review, daily) = (at("2026-03-01T08:30:00.000001Z"), at("2026-03-02T07:30:00Z"));
        assert_eq!(due, [(review, TickType::TierReview), (daily, TickType::Daily)]);
        assert_eq!(schedule().due(at("2026-03-02T12:00:00Z"), at("2026-03-02T13:00:00Z")), []);
    }

    #[test]
    fn an_alarm_at_a_due_tick_finds_it_and_those_after_it_and_none_before_it() {
        let mut together = schedule();
        together.ticks[0].1 = "0 30 2 1 * *".parse().unwrap();
        for schedule in [schedule(), together] {
            for now in ["2026-03-01T07:30:00Z", "2026-03-01T08:30:00Z", "2026-03-04T23:00:00.5Z"].map(at) {
                let due = schedule.due(at("2026-02-20T07:30:00Z"), now);
                assert!(!due.is_empty());
                for (number, (alarm, _)) in due.iter().enumerate() {
                    assert_eq!(schedule.due(*alarm, now), due[number..], "{now}");
                }
            }
        }
    }

    #[test]
    fn the_next_tick_is_never_past_when_an_hour_comes_twice() {
        // 01:30 comes twice on 2026-11-01 in New York: at 05:30 and 06:30 UTC.
        let ticks = vec![(TickType::Daily, "0 30 1 * * *".parse().unwrap())];
        let schedule = Schedule { timezone: chrono_tz::America::New_York, ticks };
        assert_eq!(schedule.next(at("2026-11-01T06:15:00Z")), Some(at("2026-11-01T06:30:00Z")));
        assert_eq!(schedule.next(at("2026-11-01T05:30:00Z")), Some(at("2026-11-02T06:30:00Z")));
        let due = schedule.due(at("2026-11-01T05:30:00Z"), at("2026-11-01T06:15:00Z"));
        assert_eq!(due, [(at("2026-11-01T05:30:00Z"), TickType::Daily)]);
    }

    #[test]
    fn daylight_saving_neither_doubles_nor_loses_a_day() {
        // 02:30 does not exist on 2026-03-08 in New York; on 2026-11-01 the hour before it comes twice.
        for (start, days) in [("2026-03-06T00:00:00Z", 5), ("2026-10-30T00:00:00Z", 5)] {
            let (mut now, mut ticks) = (at(start), 0);
            let end = now + Duration::days(days);
            while let Some(next) = schedule().next(now).filter(|next| *next <= end) {
                assert!(next > now);
                (now, ticks) = (next, ticks + 1);
            }
            assert!((4..=6).contains(&ticks), "{start}: {ticks} ticks");
        }
    }

    #[test]
    fn a_tick_that_was_missed_for_days_runs_at_the_last_instant_it_was_due() {
        let due = schedule().due(at("2026-02-20T07:30:00Z"), at("2026-02-25T07:30:00Z"));
        assert_eq!(due, [(at("2026-02-25T07:30:00Z"), TickType::Daily)], "this very instant included");
    }
}
