//! A limit on attempts in any minute.

use std::collections::VecDeque;

use crate::domain::Timestamp;
use crate::domain::endpoint::PerMinute;

/// How many attempts may begin in any 60 seconds. Short peaks pass: a minute's worth may leave at once.
///
/// Attempts are remembered by the second, and a second is forgotten 60 seconds after its last attempt. So no minute ever
/// has too many, and what is remembered are 61 seconds at most.
#[derive(Debug, Default)]
pub struct Rate {
    limit: Option<PerMinute>,
    seconds: VecDeque<Second>,
    /// The sum over them.
    begun: u32,
}

#[derive(Debug)]
struct Second {
    number: i64,
    last: Timestamp,
    begun: u32,
}

const MINUTE: chrono::Duration = chrono::Duration::seconds(60);

impl Rate {
    /// At most so many; without a limit, as many as one likes.
    pub fn of(limit: Option<PerMinute>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Has another limit from now on; what has begun counts.
    pub fn bound(&mut self, limit: Option<PerMinute>) {
        self.limit = limit;
    }

    /// Begins an attempt.
    ///
    /// # Errors
    /// None may begin before that instant.
    pub fn take(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        self.check(now)?;
        match self.seconds.back_mut().filter(|second| second.number == now.timestamp()) {
            Some(second) => {
                second.last = now;
                second.begun += 1;
            }
            None => self.seconds.push_back(Second { number: now.timestamp(), last: now, begun: 1 }),
        }
        self.begun += 1;
        Ok(())
    }

    /// Whether an attempt may begin.
    ///
    /// # Errors
    /// None may begin before that instant.
    pub fn check(&mut self, now: Timestamp) -> Result<(), Timestamp> {
        // A clock that was set back must not hold deliveries up for as long as that.
        while self.seconds.back().is_some_and(|second| second.last > now) {
            self.begun -= self.seconds.pop_back().map_or(0, |second| second.begun);
        }
        while self.seconds.front().is_some_and(|second| second.last + MINUTE <= now) {
            self.begun -= self.seconds.pop_front().map_or(0, |second| second.begun);
        }
        match (self.limit, self.seconds.front()) {
            (Some(limit), Some(oldest)) if self.begun >= limit.get() => Err(oldest.last + MINUTE),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + chrono::Duration::milliseconds(milliseconds)
    }

    fn rate(limit: u32) -> Rate {
        Rate::of(Some(PerMinute::of(limit)))
    }

    #[test]
    fn a_minutes_worth_leaves_at_once_and_the_next_one_a_minute_later() {
        let mut rate = rate(10_000);
        assert!((0..10_000).all(|_| rate.take(at(0)).is_ok()));
        assert_eq!(rate.take(at(0)), Err(at(60_000)));
        assert_eq!(rate.take(at(59_999)), Err(at(60_000)));
        assert!((0..10_000).all(|_| rate.take(at(60_000)).is_ok()));
        assert_eq!(rate.take(at(60_000)), Err(at(120_000)));
    }

    #[test]
    fn a_limit_that_changes_counts_what_has_begun_and_none_holds_nothing() {
        let mut rate = rate(2);
        (0..2).for_each(|_| rate.take(at(0)).unwrap());
        rate.bound(Some(PerMinute::of(3)));
        assert_eq!([rate.take(at(1)), rate.take(at(2))], [Ok(()), Err(at(60_001))]);
        rate.bound(None);
        assert!((0..100_000).all(|_| rate.take(at(3)).is_ok()));
        rate.bound(Some(PerMinute::of(1)));
        assert_eq!(rate.take(at(4)), Err(at(60_003)));
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up() {
        let mut rate = rate(1);
        rate.take(at(7_200_000)).unwrap();
        assert_eq!(rate.take(at(3_600_000)), Ok(()));
        assert_eq!(rate.take(at(3_600_000)), Err(at(3_660_000)));
    }

    proptest! {
        #[test]
        fn no_minute_has_too_many_and_whoever_waits_as_told_may_begin(
            limit in 1_u32..8,
            pauses in prop::collection::vec(0_i64..20_000, 1..300),
        ) {
            let mut rate = rate(limit);
            let (mut now, mut begun) = (0, VecDeque::<i64>::new());
            for pause in pauses {
                now += pause;
                match rate.take(at(now)) {
                    Ok(()) => begun.push_back(now),
                    Err(until) => {
                        let until = (until - at(0)).num_milliseconds();
                        // It never waits for longer than a second more than the naive limit would.
                        let naive = begun[begun.len() - limit as usize] + 60_000;
                        prop_assert!(until > now && (naive..naive + 1_000).contains(&until));
                        now = until;
                        prop_assert_eq!(rate.take(at(now)), Ok(()));
                        begun.push_back(now);
                    }
                }
                prop_assert!(rate.seconds.len() <= 61);
            }
            for (first, later) in begun.iter().zip(begun.iter().skip(limit as usize)) {
                prop_assert!(later - first >= 60_000, "{limit} in a minute, and one more: {begun:?}");
            }
        }
    }
}
