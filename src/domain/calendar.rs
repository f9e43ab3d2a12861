//! Days of a chain's calendar and the instants at which they begin.

use chrono::{Duration, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;

use super::Timestamp;

/// The day of an instant.
pub fn day_of(zone: Tz, at: Timestamp) -> NaiveDate {
    at.with_timezone(&zone).date_naive()
}

/// When a day begins: midnight, or the first moment after it where clocks are set forward over midnight.
pub fn start_of_day(zone: Tz, day: NaiveDate) -> Timestamp {
    /// Clocks were never set forward by more than a day.
    const QUARTERS_OF_A_DAY: i32 = 96;
    let midnight = day.and_time(NaiveTime::MIN);
    let moments = (0..=QUARTERS_OF_A_DAY).map(|n| midnight + Duration::minutes(15) * n);
    let first = moments.filter_map(|local| zone.from_local_datetime(&local).earliest()).next();
    first.map_or_else(|| midnight.and_utc(), |at| at.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_or_when_there_is_a_first_moment() {
        let cases = [
            ("America/New_York", "2026-03-08", "2026-03-08T05:00:00Z"),
            ("America/New_York", "2026-11-01", "2026-11-01T04:00:00Z"),
            ("Asia/Kathmandu", "2026-01-01", "2025-12-31T18:15:00Z"),
            ("America/Havana", "2026-03-08", "2026-03-08T05:00:00Z"), // 00:00 is left out: it begins at 01:00
            ("America/Havana", "2026-11-01", "2026-11-01T04:00:00Z"), // 00:00 comes twice
            ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),   // the day that Samoa left out
        ];
        for (zone, day, begins) in cases {
            let zone: Tz = zone.parse().unwrap();
            assert_eq!(start_of_day(zone, day.parse().unwrap()).to_rfc3339(), begins.replace('Z', "+00:00"), "{zone} {day}");
        }
    }

    #[test]
    fn the_first_moment_of_a_day_is_of_that_day() {
        for zone in [chrono_tz::America::Havana, chrono_tz::Asia::Beirut, chrono_tz::Europe::Berlin, chrono_tz::UTC] {
            let first: NaiveDate = "2024-01-01".parse().unwrap();
            for day in first.iter_days().take(3 * 366) {
                let begins = start_of_day(zone, day);
                assert_eq!(day_of(zone, begins), day, "{zone}");
                assert!(day_of(zone, begins - Duration::microseconds(1)) < day, "{zone} {day}");
            }
        }
    }
}
