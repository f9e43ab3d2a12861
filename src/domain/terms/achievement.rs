//! Achievements: what counts for them, how much of it, in which time, and how often they can be earned.

use chrono::{Datelike, Days, Months, NaiveDate};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::money::Points;
use crate::domain::text::Name;

/// An achievement.
#[derive(Debug, Clone, PartialEq)]
pub struct Achievement {
    /// What rules and programs call it.
    pub id: Name,
    /// What people call it.
    pub name: Name,
    /// When the engine gives it; `None` = only rules do, with `achieve`.
    pub goal: Option<Goal>,
    /// What it brings, each time.
    pub prize: Prize,
    /// What becomes of it when what earned it is taken back.
    pub on_refund: OnRefund,
}

/// What something brings besides the honour.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prize {
    /// Points, in a wallet; `None` = the program's first.
    pub points: Option<(Option<Name>, Points)>,
    /// A coupon of a book of the program.
    pub coupon: Option<Name>,
}

/// What becomes of an achievement when what earned it is refunded, cancelled or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRefund {
    /// It is kept.
    #[default]
    Keep,
    /// It goes, and the points that it brought.
    Revoke,
}

/// When the engine gives an achievement.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// What is counted, over which time.
    pub measure: Measure,
    /// How much of it is enough. More than zero.
    pub target: Decimal,
    /// How often it can be earned.
    pub recurrence: Recurrence,
    /// Whether each step towards it is told.
    pub steps: Steps,
}

/// What is counted, over which time.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    /// So much of something in a period.
    Sum(Counts, Period),
    /// Days, weeks, months in a row with a visit in each.
    Streak(Unit),
}

/// What is counted.
#[derive(Debug, Clone, PartialEq)]
pub enum Counts {
    /// Orders and visits.
    Visits,
    /// Days with a visit.
    Days,
    /// Money spent, less what was given back.
    Spend,
    /// Points earned in qualifying wallets, less what was taken back.
    Points,
    /// Orders of which something is left.
    Orders,
    /// Things bought and kept.
    Items(Which),
    /// What rules report with `progress`.
    Reported,
}

impl Counts {
    /// Whether the history of the member knows it day by day. Of everything else the achievement keeps a count of its own.
    pub const fn is_history(&self) -> bool {
        matches!(self, Self::Visits | Self::Days | Self::Spend | Self::Points)
    }
}

/// Which things count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// All.
    Any,
    /// Those of a category.
    Category(Name),
    /// One article.
    Sku(Name),
}

/// Over which time is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Ever.
    Lifetime,
    /// Each period of the chain's calendar anew.
    Calendar(Unit),
    /// Any so many days on end.
    Rolling(u32),
}

/// A period of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Unit {
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first.
    Month,
    /// From January, April, July, October.
    Quarter,
    /// From January.
    Year,
}

impl Unit {
    /// The first day of the unit that `day` lies in.
    pub fn first_day(self, day: NaiveDate) -> NaiveDate {
        let month = match self {
            Self::Day => return day,
            Self::Week => {
                let back = Days::new(day.weekday().num_days_from_monday().into());
                return day.checked_sub_days(back).unwrap_or(NaiveDate::MIN);
            }
            Self::Month => day.month(),
            Self::Quarter => day.month0() / 3 * 3 + 1,
            Self::Year => 1,
        };
        NaiveDate::from_ymd_opt(day.year(), month, 1).unwrap_or(day)
    }

    /// The first day of the unit after the one that begins with `first`.
    pub fn next(self, first: NaiveDate) -> NaiveDate {
        let next = match self {
            Self::Day => first.succ_opt(),
            Self::Week => first.checked_add_days(Days::new(7)),
            Self::Month => first.checked_add_months(Months::new(1)),
            Self::Quarter => first.checked_add_months(Months::new(3)),
            Self::Year => first.checked_add_months(Months::new(12)),
        };
        next.unwrap_or(NaiveDate::MAX)
    }

    /// The most of them that may be asked for in a row: what a member's history can answer.
    pub const fn longest_streak(self) -> i64 {
        match self {
            Self::Day => 366,
            Self::Week => 52,
            Self::Month => 12,
            Self::Quarter => 4,
            Self::Year => 1,
        }
    }
}

/// How often an achievement can be earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recurrence {
    /// Once.
    Once,
    /// Once in each period, or streak.
    EachPeriod {
        /// The most times in all.
        most: Option<u32>,
    },
    /// Whenever the target is reached once more, within the same period too.
    EachTime {
        /// The most times in all.
        most: Option<u32>,
    },
}

impl Recurrence {
    /// How often so much in one period is enough.
    pub fn times(self, value: Decimal, target: Decimal) -> u32 {
        let often = (value / target).floor().to_u32().unwrap_or(if value < target { 0 } else { u32::MAX });
        match self {
            Self::Once | Self::EachPeriod { .. } => often.min(1),
            Self::EachTime { .. } => often,
        }
    }

    /// The most times in one period.
    pub const fn most_in_period(self) -> u32 {
        match self {
            Self::Once | Self::EachPeriod { .. } => 1,
            Self::EachTime { .. } => u32::MAX,
        }
    }

    /// The most times in all.
    pub fn most(self) -> u32 {
        match self {
            Self::Once => 1,
            Self::EachPeriod { most } | Self::EachTime { most } => most.unwrap_or(u32::MAX),
        }
    }
}

/// Whether each step towards an achievement is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Steps {
    /// Only that it was earned.
    #[default]
    Silent,
    /// Each of them.
    Told,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_begins_and_ends_where_the_calendar_says() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (unit, on, first, next) in [
            (Unit::Day, "2028-02-28", "2028-02-28", "2028-02-29"),
            (Unit::Week, "2026-03-01", "2026-02-23", "2026-03-02"),
            (Unit::Week, "2026-03-02", "2026-03-02", "2026-03-09"),
            (Unit::Month, "2028-02-29", "2028-02-01", "2028-03-01"),
            (Unit::Month, "2026-12-31", "2026-12-01", "2027-01-01"),
            (Unit::Quarter, "2026-03-31", "2026-01-01", "2026-04-01"),
            (Unit::Quarter, "2026-10-01", "2026-10-01", "2027-01-01"),
            (Unit::Year, "2026-12-31", "2026-01-01", "2027-01-01"),
        ] {
            let begin = unit.first_day(day(on));
            assert_eq!((begin, unit.next(begin)), (day(first), day(next)), "{unit:?} {on}");
        }
    }

    #[test]
    fn how_often_is_enough_is_whole_and_bounded() {
        let each = Recurrence::EachTime { most: None };
        for (recurrence, value, often) in [
            (each, Decimal::from(-5), 0),
            (each, Decimal::new(199, 2), 0),
            (each, Decimal::TWO, 1),
            (each, Decimal::from(7), 3),
            (each, Decimal::MAX, u32::MAX),
            (Recurrence::Once, Decimal::from(7), 1),
            (Recurrence::EachPeriod { most: None }, Decimal::from(7), 1),
            (Recurrence::EachPeriod { most: None }, Decimal::ONE, 0),
        ] {
            assert_eq!(recurrence.times(value, Decimal::TWO), often, "{recurrence:?} {value}");
        }
        let most = [Recurrence::Once, each, Recurrence::EachPeriod { most: Some(3) }].map(Recurrence::most);
        assert_eq!(most, [1, u32::MAX, 3]);
    }
}
