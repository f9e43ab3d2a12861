//! One day of a history.

use chrono::{Datelike, NaiveDate};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::domain::money::{Money, Units};
use crate::domain::packed::{Record, signed, small_numbers};

/// What a member did on one day in the chain's zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct DaySummary {
    pub(super) day: DayNumber,
    /// Orders and visits.
    pub(super) visits: u32,
    /// Money spent, less what was refunded of that day's orders.
    pub(super) spend: Money,
    /// Points earned, less what was taken back for refunds of that day's orders.
    pub(super) earned: i64,
}

/// More than the decimals that an amount can have.
const DECIMALS: u64 = 32;

/// A day, counted from one such that those of our time pack into two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct DayNumber(pub(super) i32);

impl DaySummary {
    pub(super) const fn empty(day: DayNumber) -> Self {
        Self { day, visits: 0, spend: Money::ZERO, earned: 0 }
    }
}

/// A usual day takes eight bytes.
impl Record for DaySummary {
    type Key = DayNumber;
    /// The day; visits and decimals, which are few enough to share a byte; units of money; points.
    type Numbers = (DayNumber, u64, i128, i64);

    fn key(&self) -> DayNumber {
        self.day
    }

    fn numbers(&self) -> Self::Numbers {
        let spend = self.spend.decimal();
        let visits_and_decimals = u64::from(self.visits) * DECIMALS + u64::from(spend.scale());
        (self.day, visits_and_decimals, spend.mantissa(), self.earned)
    }

    fn of((day, visits_and_decimals, units, earned): Self::Numbers) -> Option<Self> {
        let spend = Decimal::try_from_i128_with_scale(units, (visits_and_decimals % DECIMALS) as u32).ok()?;
        let visits = u32::try_from(visits_and_decimals / DECIMALS).ok()?;
        Some(Self { day, visits, spend: Money::new(spend), earned })
    }

    /// A rule that asks about a year unpacks hundreds of days: the usual ones are unpacked without anything for others.
    fn unpack(bytes: &[u8]) -> Option<(Self::Numbers, &[u8])> {
        match small_numbers(bytes) {
            Some(([day, visits_and_decimals, units, earned], rest)) => {
                let numbers = (
                    DayNumber(signed(day)),
                    visits_and_decimals.into(),
                    signed(units).into(),
                    signed(earned).into(),
                );
                Some((numbers, rest))
            }
            None => postcard::take_from_bytes(bytes).ok(),
        }
    }
}

/// A day as it is packed: a rule that asks about a year looks at hundreds of them, and wants one number of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackedDay<'a> {
    pub(super) day: DayNumber,
    visits_and_decimals: u64,
    /// Units of money, and what is behind them.
    rest: &'a [u8],
}

impl<'a> PackedDay<'a> {
    #[inline]
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let (day, visits_and_decimals, rest) = match small_numbers(bytes) {
            Some(([day, visits_and_decimals], rest)) => {
                (DayNumber(signed(day)), visits_and_decimals.into(), rest)
            }
            None => {
                let ((day, visits_and_decimals), rest) = postcard::take_from_bytes(bytes).ok()?;
                (day, visits_and_decimals, rest)
            }
        };
        Some(Self { day, visits_and_decimals, rest })
    }

    pub(super) const fn visits(self) -> u64 {
        self.visits_and_decimals / DECIMALS
    }

    #[inline]
    pub(super) fn spend(self) -> Option<Units> {
        let units = match small_numbers(self.rest) {
            Some(([units], _)) => signed(units).into(),
            None => postcard::take_from_bytes(self.rest).ok()?.0,
        };
        Units::new(units, (self.visits_and_decimals % DECIMALS) as u32)
    }
}

impl DayNumber {
    /// 1 January 2030, counted from the first of the year 1.
    const ZERO: i32 = 741_078;

    /// The calendar week (Monday to Sunday) that it lies in.
    pub(super) fn week(self) -> i32 {
        (self.0.saturating_add(Self::ZERO) - 1).div_euclid(7)
    }

    pub(super) fn date(self) -> NaiveDate {
        NaiveDate::from_num_days_from_ce_opt(self.0.saturating_add(Self::ZERO)).unwrap_or(NaiveDate::MAX)
    }
}

impl From<NaiveDate> for DayNumber {
    fn from(day: NaiveDate) -> Self {
        Self(day.num_days_from_ce() - Self::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::packed::Packed;
    use proptest::prelude::*;

    #[test]
    fn days_of_our_time_take_two_bytes_and_are_themselves_again() {
        for (day, bytes) in [("2030-01-01", 1), ("2007-07-29", 2), ("2026-03-03", 2), ("2052-06-05", 2)] {
            let date: NaiveDate = day.parse().unwrap();
            let number = DayNumber::from(date);
            assert_eq!(
                (number.date(), postcard::to_allocvec(&number).unwrap().len()),
                (date, bytes),
                "{day}"
            );
        }
        for date in [NaiveDate::MIN, NaiveDate::MAX] {
            assert_eq!(DayNumber::from(date).date(), date);
        }
    }

    #[test]
    fn the_largest_day_fits_and_more_decimals_than_there_are_do_not() {
        let most = Money::new(Decimal::MIN);
        let mut day =
            DaySummary { visits: u32::MAX, earned: i64::MIN, ..DaySummary::empty(DayNumber(i32::MIN)) };
        day.spend = most;
        let mut days = Packed::default();
        days.change(day.day, |_| Some(day));
        assert_eq!(Packed::new(days.bytes().to_vec()), Ok(days.clone()));
        assert_eq!(days.iter().next_back().map(|day| day.spend), Some(most));
        assert_eq!(DaySummary::of((DayNumber(1), 28, 1, 0)).map(|day| day.visits), Some(0));
        assert_eq!(DaySummary::of((DayNumber(1), 29, 1, 0)), None);
    }

    proptest! {
        #[test]
        fn usual_days_are_unpacked_like_others(
            (day, visits, units, earned) in (any::<i32>(), any::<u64>(), any::<i128>(), any::<i64>()),
            less in [0..128_u32, 0..64, 0..128, 0..64],
            rest in proptest::collection::vec(any::<u8>(), 0..3),
        ) {
            let numbers = (
                DayNumber(day >> (less[0] % 32)),
                visits >> less[1],
                units >> less[2],
                earned >> less[3],
            );
            let mut bytes = postcard::to_allocvec(&numbers).unwrap();
            bytes.extend(rest);
            for end in 0..=bytes.len() {
                let all = postcard::take_from_bytes(&bytes[..end]).ok();
                prop_assert_eq!(DaySummary::unpack(&bytes[..end]), all);
            }
            let whole = DaySummary::of(numbers);
            let parts = PackedDay::of(&bytes).unwrap();
            if let Some(whole) = whole {
                prop_assert_eq!((parts.day, parts.visits()), (whole.day, whole.visits.into()));
                prop_assert_eq!(parts.spend().map(Units::money), Some(whole.spend));
            }
        }
    }
}
