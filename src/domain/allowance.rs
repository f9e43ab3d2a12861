//! A limit on requests a minute: a bucket that empties evenly, in one number.

use super::Timestamp;
use super::endpoint::Bounded;

/// How many requests a minute are answered. A minute's worth may come at once; then they come back evenly.
pub type RequestsPerMinute = Bounded<1, 100_000_000>;

const MINUTE_NS: i64 = 60_000_000_000;

/// What is used of a limit: the instant at which nothing is any more, in nanoseconds since 1970. It says all that there is to
/// say (it is the "theoretical arrival time" of GCRA), so that it fits into an atomic.
///
/// The limit is said anew each time: when it changes, what was used stays used, in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used(i64);

/// How a limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The limit.
    pub limit: RequestsPerMinute,
    /// Requests that are left now.
    pub remaining: u32,
    /// Seconds until all of them are there again.
    pub whole_in_s: u32,
}

/// Nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedUp {
    /// How the limit stands.
    pub standing: Standing,
    /// Seconds until a request is answered again, at least 1.
    pub retry_after_s: u32,
}

impl Used {
    /// From the number that [`Used::number`] gave.
    pub const fn of(number: i64) -> Self {
        Self(number)
    }

    /// The number that says it all.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// Uses one request.
    ///
    /// # Errors
    /// None is left; nothing was used.
    pub fn take(self, limit: RequestsPerMinute, now: Timestamp) -> Result<(Self, Standing), UsedUp> {
        let (used, one, whole) = (self.used(limit, now), interval(limit), window(limit));
        let then = used + one;
        if then > whole {
            let retry_after_s = seconds(then - whole).max(1);
            return Err(UsedUp { standing: standing(limit, used), retry_after_s });
        }
        Ok((Self(nanoseconds(now).saturating_add(then)), standing(limit, then)))
    }

    /// Uses requests that were answered already, whether any were left or not. It takes two minutes at most until all
    /// are there again.
    pub fn charge(self, limit: RequestsPerMinute, requests: u32, now: Timestamp) -> Self {
        let more = interval(limit).saturating_mul(requests.into());
        let then = self.used(limit, now).saturating_add(more).min(2 * window(limit));
        Self(nanoseconds(now).saturating_add(then))
    }

    /// Whether nothing is used any more.
    pub fn is_over(self, now: Timestamp) -> bool {
        self.0 <= nanoseconds(now)
    }

    /// What is used at `now`, as time. A clock that was set back makes it two minutes at most, not the hours by which it was.
    fn used(self, limit: RequestsPerMinute, now: Timestamp) -> i64 {
        self.0.saturating_sub(nanoseconds(now)).clamp(0, 2 * window(limit))
    }
}

/// The time that one request is worth.
fn interval(limit: RequestsPerMinute) -> i64 {
    MINUTE_NS / i64::from(limit.get())
}

/// The time that all requests are worth: a minute, but for what the division drops.
fn window(limit: RequestsPerMinute) -> i64 {
    interval(limit) * i64::from(limit.get())
}

fn standing(limit: RequestsPerMinute, used: i64) -> Standing {
    let left = (window(limit) - used).max(0) / interval(limit);
    Standing { limit, remaining: u32::try_from(left).unwrap_or(u32::MAX), whole_in_s: seconds(used) }
}

/// Whole seconds, rounded up.
fn seconds(nanoseconds: i64) -> u32 {
    u32::try_from(nanoseconds.max(0).unsigned_abs().div_ceil(1_000_000_000)).unwrap_or(u32::MAX)
}

fn nanoseconds(at: Timestamp) -> i64 {
    at.timestamp_micros().saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + chrono::Duration::milliseconds(1_000_000_000_000 + milliseconds)
    }

    fn limit(requests: u32) -> RequestsPerMinute {
        RequestsPerMinute::of(requests)
    }

    /// Takes one; answers what is left, or after how many seconds to come back.
    fn take(used: &mut Used, limit: RequestsPerMinute, milliseconds: i64) -> Result<(u32, u32), u32> {
        let taken = used.take(limit, at(milliseconds)).map_err(|up| up.retry_after_s)?;
        *used = taken.0;
        Ok((taken.1.remaining, taken.1.whole_in_s))
    }

    #[test]
    fn a_minutes_worth_may_come_at_once_and_comes_back_evenly() {
        let mut used = Used::default();
        for (milliseconds, expected) in [
            (0, Ok((2, 20))),
            (0, Ok((1, 40))),
            (0, Ok((0, 60))),
            (0, Err(20)),
            (19_500, Err(1)),
            (20_000, Ok((0, 60))),
            (20_001, Err(20)),
            (80_000, Ok((2, 20))),
            (3_600_000, Ok((2, 20))),
        ] {
            assert_eq!(take(&mut used, limit(3), milliseconds), expected, "{milliseconds}");
        }
    }

    #[test]
    fn all_limits_leave_what_they_say() {
        for requests in [1, 2, 7, 60, 599, 600_000, 7_654_321, 100_000_000] {
            let mut used = Used::default();
            assert_eq!(take(&mut used, limit(requests), 0).unwrap().0, requests - 1, "{requests}");
            used = used.charge(limit(requests), requests - 1, at(0));
            assert!(take(&mut used, limit(requests), 0).is_err(), "{requests}");
            assert!(take(&mut used, limit(requests), 60_000).is_ok(), "{requests}");
        }
    }

    #[test]
    fn what_was_answered_already_is_paid_by_waiting_two_minutes_at_most() {
        let mut used = Used::default().charge(limit(60), 90, at(0));
        assert_eq!(take(&mut used, limit(60), 0), Err(31));
        assert_eq!(take(&mut used, limit(60), 30_000), Err(1));
        assert_eq!(take(&mut used, limit(60), 31_000), Ok((0, 60)));
        let mut used = Used::default().charge(limit(60), u32::MAX, at(0));
        assert_eq!(take(&mut used, limit(60), 0), Err(61));
        assert!(!used.is_over(at(119_999)) && used.is_over(at(120_000)));
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out_for_longer() {
        let mut used = Used::default();
        take(&mut used, limit(1), 7_200_000).unwrap();
        assert_eq!(take(&mut used, limit(1), 0), Err(120));
    }

    #[test]
    fn another_limit_counts_what_was_used() {
        let mut used = Used::default().charge(limit(60), 60, at(0));
        assert_eq!(take(&mut used, limit(600), 0), Err(1));
        assert_eq!(take(&mut used, limit(600), 30_000), Ok((299, 31)));
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_the_bucket_and_its_refill_and_whoever_waits_as_told_is_answered(
            requests in 1_u32..200,
            pauses in prop::collection::vec(0_i64..5_000, 1..300),
        ) {
            let (mut used, mut now, mut answered) = (Used::default(), 0, 0);
            for pause in pauses {
                now += pause;
                match take(&mut used, limit(requests), now) {
                    Ok(_) => answered += 1,
                    Err(seconds) => {
                        let (mut then, later) = (used, now + i64::from(seconds) * 1_000);
                        prop_assert!(take(&mut then, limit(requests), later).is_ok());
                    }
                }
                prop_assert!(answered <= i64::from(requests) + now * i64::from(requests) / 60_000 + 1);
            }
        }
    }
}
