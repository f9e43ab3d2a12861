//! Birthdays and anniversaries of members: ticks of their own calendars, once a year each.
//!
//! Whoever was born or enrolled on 29 February celebrates on the 28th in years without it. A day that was missed is told
//! late and once; of several that were missed, the last.

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::member::Member;
use super::schedule::TickType;
use super::terms::celebration::CelebrationTerms;

/// What was told of a member's days already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Celebrated {
    /// The first day on which a birthday counts: the day it became known, or the begin of the year after the last one
    /// told. So another birthdate does not bring a second birthday.
    #[serde(rename = "b", skip_serializing_if = "Option::is_none")]
    birthdays_from: Option<NaiveDate>,
    /// The last anniversary told.
    #[serde(rename = "a")]
    anniversaries: u32,
}

impl Celebrated {
    /// A birthdate became known, or another one, on `today`.
    pub fn birthdate_known(&mut self, today: NaiveDate) {
        self.birthdays_from = Some(self.birthdays_from.map_or(today, |from| from.max(today)));
    }

    /// What was told of somebody who was the same person, and `enrolled_first` of the two or not, is not told again.
    pub fn join(&mut self, other: Self, enrolled_first: bool) {
        self.birthdays_from = self.birthdays_from.max(other.birthdays_from);
        if enrolled_first {
            self.anniversaries = other.anniversaries;
        }
    }

    /// They were not; anniversaries count again as `before`, if the other's did meanwhile.
    pub fn part(&mut self, before: Self, enrolled_first: bool) {
        if enrolled_first {
            self.anniversaries = before.anniversaries;
        }
    }

    /// The birthday is told on `today`; gives the day that is kept.
    pub fn tell_birthday(&mut self, birthdate: Option<NaiveDate>, today: NaiveDate) -> NaiveDate {
        let kept = birthdate.map_or(today, |birthdate| last(birthdate, today));
        self.birthdays_from = NaiveDate::from_ymd_opt(kept.year() + 1, 1, 1);
        kept
    }

    /// The anniversary is told on `today`; gives how many years it is.
    pub fn tell_anniversary(&mut self, enrolled: NaiveDate, today: NaiveDate) -> u32 {
        let years = last(enrolled, today).year() - enrolled.year();
        self.anniversaries = u32::try_from(years).unwrap_or(0).max(1);
        self.anniversaries
    }
}

/// The member's next days and the ticks that they are, past ones that were not told among them.
fn upcoming(
    member: &Member,
    terms: CelebrationTerms,
    zone: Tz,
) -> impl Iterator<Item = (Timestamp, TickType)> {
    let celebrated = member.celebrated;
    let birthday = member.profile.birthdate.zip(celebrated.birthdays_from).filter(|_| terms.birthdays);
    let birthday = birthday.map(|(birthdate, from)| (first(birthdate, from), TickType::Birthday));
    let enrolled = member.enrolled_at.with_timezone(&zone).date_naive();
    let year = enrolled.year().saturating_add_unsigned(celebrated.anniversaries).saturating_add(1);
    let anniversary = terms.anniversaries.then(|| (in_year(enrolled, year), TickType::Anniversary));
    let days = birthday.into_iter().chain(anniversary);
    days.filter_map(move |(day, tick)| Some((terms.on(day, zone)? + tick.place(), tick)))
}

/// What of the member's own calendar is due at `now`.
pub fn due(
    member: &Member,
    terms: CelebrationTerms,
    zone: Tz,
    now: Timestamp,
) -> impl Iterator<Item = (Timestamp, TickType)> {
    upcoming(member, terms, zone).filter(move |(at, _)| *at <= now)
}

/// When something of the member's own calendar is due next.
pub fn next(member: &Member, terms: CelebrationTerms, zone: Tz) -> Option<Timestamp> {
    upcoming(member, terms, zone).map(|(at, _)| at).min()
}

/// The day of `date` in a year.
fn in_year(date: NaiveDate, year: i32) -> NaiveDate {
    date.with_year(year).or_else(|| NaiveDate::from_ymd_opt(year, 2, 28)).unwrap_or(NaiveDate::MAX)
}

/// The first day of `date` that is not before `from`.
fn first(date: NaiveDate, from: NaiveDate) -> NaiveDate {
    let this_year = in_year(date, from.year());
    if this_year >= from { this_year } else { in_year(date, from.year() + 1) }
}

/// The last day of `date` that is not after `until`.
fn last(date: NaiveDate, until: NaiveDate) -> NaiveDate {
    let this_year = in_year(date, until.year());
    if this_year <= until { this_year } else { in_year(date, until.year() - 1) }
}

/// A birthday.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Birthday {
    /// The day that is kept: 28 February for somebody born on the 29th, in common years.
    pub day: NaiveDate,
}

/// An anniversary of enrolment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Anniversary {
    /// How many years it is.
    pub years: u32,
    /// The day of enrolment, in the chain's zone.
    pub enrolled_on: NaiveDate,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::MemberId;
    use chrono::Duration;
    use proptest::prelude::*;
    use ulid::Ulid;

    const ZONE: Tz = chrono_tz::America::New_York;

    fn terms(at: &str) -> CelebrationTerms {
        CelebrationTerms { birthdays: true, anniversaries: true, at: at.parse().unwrap() }
    }

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Enrolled at noon of that day in New York, and born on the other, which is known from the first day on.
    fn member(enrolled: &str, born: &str) -> Member {
        let now = at(&format!("{enrolled}T17:00:00Z"));
        let mut member = Member::new(MemberId::new(Ulid(1)), Vec::new(), None, now);
        member.profile.birthdate = Some(day(born));
        member.celebrated.birthdate_known(day(enrolled));
        member
    }

    /// Wakes the member whenever something is due until `end`; what was told, and on which days in New York.
    fn live(member: &mut Member, end: &str, time: &str) -> Vec<String> {
        let (end, mut told) = (at(&format!("{end}T23:59:00Z")), Vec::new());
        while let Some(now) = next(member, terms(time), ZONE).filter(|at| *at <= end) {
            for (_, tick) in due(member, terms(time), ZONE, now).collect::<Vec<_>>() {
                let today = now.with_timezone(&ZONE).date_naive();
                told.push(tell(member, tick, today));
            }
        }
        told
    }

    fn tell(member: &mut Member, tick: TickType, today: NaiveDate) -> String {
        let enrolled = member.enrolled_at.with_timezone(&ZONE).date_naive();
        match tick {
            TickType::Birthday => {
                format!("{today} born {}", member.celebrated.tell_birthday(member.profile.birthdate, today))
            }
            _ => format!("{today} {} years", member.celebrated.tell_anniversary(enrolled, today)),
        }
    }

    #[test]
    fn the_29th_of_february_is_kept_on_the_28th_in_common_years() {
        let told = live(&mut member("2024-02-29", "2000-02-29"), "2028-12-31", "03:00:00");
        assert_eq!(
            told,
            [
                "2024-02-29 born 2024-02-29",
                "2025-02-28 born 2025-02-28",
                "2025-02-28 1 years",
                "2026-02-28 born 2026-02-28",
                "2026-02-28 2 years",
                "2027-02-28 born 2027-02-28",
                "2027-02-28 3 years",
                "2028-02-29 born 2028-02-29",
                "2028-02-29 4 years",
            ]
        );
    }

    #[test]
    fn another_birthdate_brings_no_second_birthday_in_a_year() {
        let mut ana = member("2026-01-01", "1990-03-05");
        assert_eq!(live(&mut ana, "2026-03-06", "03:00:00"), ["2026-03-05 born 2026-03-05"]);
        for born in ["1990-06-01", "1990-03-07"] {
            ana.profile.birthdate = Some(day(born));
            ana.celebrated.birthdate_known(day("2026-03-06"));
        }
        let told = live(&mut ana, "2027-03-31", "03:00:00");
        assert_eq!(told, ["2027-01-01 1 years", "2027-03-07 born 2027-03-07"]);
    }

    #[test]
    fn a_time_that_clocks_leave_out_is_the_next_there_is() {
        // 02:30 does not exist on 2026-03-08 in New York, and 01:30 comes twice on 2026-11-01.
        for (time, on, utc) in [
            ("02:30:00", "2026-03-08", "2026-03-08T07:00:00Z"),
            ("01:30:00", "2026-11-01", "2026-11-01T05:30:00Z"),
            ("03:00:00", "2026-07-01", "2026-07-01T07:00:00Z"),
        ] {
            assert_eq!(terms(time).on(day(on), ZONE), Some(at(utc)), "{time} {on}");
        }
        let samoa = chrono_tz::Pacific::Apia; // had no 2011-12-30
        assert_eq!(terms("03:00:00").on(day("2011-12-30"), samoa), Some(at("2011-12-30T10:00:00Z")));
    }

    #[test]
    fn what_was_missed_is_told_late_and_once() {
        let mut ana = member("2020-05-01", "1990-03-05");
        let now = at("2026-04-01T12:00:00Z");
        let told: Vec<_> = due(&ana, terms("03:00:00"), ZONE, now).collect();
        let told: Vec<_> =
            told.into_iter().map(|(_, tick)| tell(&mut ana, tick, day("2026-04-01"))).collect();
        assert_eq!(told, ["2026-04-01 born 2026-03-05", "2026-04-01 5 years"]);
        assert_eq!(due(&ana, terms("03:00:00"), ZONE, now).count(), 0);
        assert_eq!(next(&ana, terms("03:00:00"), ZONE), Some(at("2026-05-01T07:00:00.000003Z")));
    }

    #[test]
    fn days_told_to_one_of_two_are_not_told_to_both_again() {
        let told =
            |from: Option<&str>, anniversaries| Celebrated { birthdays_from: from.map(day), anniversaries };
        let (own, other) = (told(Some("2026-01-01"), 1), told(Some("2027-01-01"), 4));
        for (enrolled_first, anniversaries) in [(true, 4), (false, 1)] {
            let mut both = own;
            both.join(other, enrolled_first);
            assert_eq!(both, told(Some("2027-01-01"), anniversaries));
            both.part(own, enrolled_first);
            assert_eq!(both, told(Some("2027-01-01"), 1), "a birthday was told, whosever it was");
        }
    }

    proptest! {
        #[test]
        fn every_year_has_one_birthday_and_one_anniversary(born in 0_i64..36_000, enrolled in 40_000_i64..46_000, years in 1_i64..9) {
            let date = |days: i64| NaiveDate::from_ymd_opt(1900, 1, 1).unwrap() + Duration::days(days);
            let mut ana = member(&date(enrolled).to_string(), &date(born).to_string());
            let end = in_year(date(enrolled), date(enrolled).year() + years as i32);
            let told = live(&mut ana, &end.to_string(), "03:00:00");
            let anniversaries: Vec<_> = told.iter().filter(|told| told.ends_with("years")).collect();
            prop_assert_eq!(anniversaries.len() as i64, years);
            let birthdays: Vec<_> = told.iter().filter(|told| told.contains("born")).map(|told| &told[..4]).collect();
            let mut once = birthdays.clone();
            once.dedup();
            prop_assert_eq!(&birthdays, &once, "one a calendar year");
            prop_assert!((years..=years + 1).contains(&(birthdays.len() as i64)), "{:?}", told);
        }
    }
}
