//! What a member did, summed by day.
//!
//! A history is bounded: it has one summary a day for [`HISTORY_DAYS`], so that a decision costs the same for a guest of
//! ten years as for one of ten days.

mod day;

use chrono::{Days, Months, NaiveDate};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::money::{Money, UnitSum};
use super::packed::{BadBytes, Packed};
use super::visited::VisitedDays;
use day::{DayNumber, DaySummary, PackedDay};

/// How many days of history a member keeps: a rolling year, and a month for late events.
pub const HISTORY_DAYS: u64 = 400;

fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// What a member did in some time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sums {
    /// Orders and visits.
    pub visits: u64,
    /// Money spent, less refunds.
    pub spend: Money,
    /// Points earned, less what refunds took back.
    pub earned: i64,
    /// Days with an order or visit.
    pub days: u64,
}

/// What a member did, summed by day.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    /// Days with anything on them, oldest first, at most [`HISTORY_DAYS`] back.
    #[serde(default, skip_serializing_if = "Packed::is_empty")]
    days: Packed<DaySummary>,
    /// The visited days before those. What an order of that time turns out to be later changes them no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    older: Option<VisitedDays>,
    /// Orders and visits since enrolment.
    pub lifetime_visits: u64,
    /// Money spent since enrolment, less refunds.
    pub lifetime_spend: Money,
    /// Points earned since enrolment, less what refunds took back.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lifetime_earned: i64,
    /// Days with an order or visit since enrolment.
    #[serde(default)]
    pub lifetime_days: u64,
}

impl History {
    /// The same with its days, from what [`History::packed_days`] gave.
    ///
    /// # Errors
    /// It did not.
    pub fn with_days(self, packed: Vec<u8>) -> Result<Self, BadBytes> {
        Ok(Self { days: Packed::new(packed)?, ..self })
    }

    /// The same without its days.
    pub fn without_days(&self) -> Self {
        Self { days: Packed::default(), ..*self }
    }

    /// The days, in as few bytes as can be.
    pub fn packed_days(&self) -> &[u8] {
        self.days.bytes()
    }

    /// Counts one visit and what was spent at it. Late events find their day.
    pub fn visit(&mut self, day: NaiveDate, spend: Money) {
        self.lifetime_visits += 1;
        self.lifetime_spend = self.lifetime_spend.plus(spend);
        let mut is_first = false;
        let is_kept = self.on(day, |summary| {
            summary.visits += 1;
            is_first = summary.visits == 1;
            summary.spend = summary.spend.plus(spend);
        });
        self.lifetime_days += u64::from(is_first);
        if !is_kept {
            self.older = Some(VisitedDays::and(self.older, day));
        }
    }

    /// Takes back a visit that was none, with what was spent at it.
    pub fn unvisit(&mut self, day: NaiveDate, spend: Money) {
        self.lifetime_visits = self.lifetime_visits.saturating_sub(1);
        self.lifetime_spend = self.lifetime_spend.minus(spend);
        let mut was_last = false;
        self.on_known(day, |summary| {
            was_last = summary.visits == 1;
            summary.visits = summary.visits.saturating_sub(1);
            summary.spend = summary.spend.minus(spend);
        });
        self.lifetime_days -= u64::from(was_last).min(self.lifetime_days);
    }

    /// Takes refunded money out of the day it was spent on.
    pub fn refund(&mut self, day: NaiveDate, amount: Money) {
        self.lifetime_spend = self.lifetime_spend.minus(amount);
        self.on_known(day, |summary| summary.spend = summary.spend.minus(amount));
    }

    /// Counts points earned on `day`; fewer than none when a refund took back what that day earned.
    pub fn earn(&mut self, day: NaiveDate, points: i64) {
        self.lifetime_earned = self.lifetime_earned.saturating_add(points);
        self.on(day, |summary| summary.earned = summary.earned.saturating_add(points));
    }

    /// Adds what somebody did who was the same person.
    pub fn join(&mut self, other: &Self) {
        self.lifetime_visits += other.lifetime_visits;
        self.lifetime_spend = self.lifetime_spend.plus(other.lifetime_spend);
        self.lifetime_earned = self.lifetime_earned.saturating_add(other.lifetime_earned);
        let mut days = other.lifetime_days;
        for day in other.days.iter() {
            let is_kept = self.on(day.day.date(), |own| {
                days -= u64::from(own.visits > 0 && day.visits > 0).min(days); // one day for both
                own.visits = own.visits.saturating_add(day.visits);
                own.spend = own.spend.plus(day.spend);
                own.earned = own.earned.saturating_add(day.earned);
            });
            if !is_kept && day.visits > 0 {
                self.older = Some(VisitedDays::and(self.older, day.day.date()));
            }
        }
        self.join_older(other);
        self.lifetime_days += days;
    }

    /// Takes over the days that another one has forgotten.
    pub fn join_older(&mut self, other: &Self) {
        self.older = VisitedDays::both(self.older, other.older);
    }

    /// What a merge must remember of a history so that [`History::part`] can undo it.
    pub fn forgotten(&self) -> Self {
        Self { older: self.older, ..Self::default() }
    }

    /// Takes away again what was joined; `without` is what would be [forgotten](History::forgotten) without it. Of the
    /// days that were forgotten since, nobody can tell whose they were.
    pub fn part(&mut self, other: &Self, without: &Self) {
        self.part_older(other, without);

        self.lifetime_visits = self.lifetime_visits.saturating_sub(other.lifetime_visits);
        self.lifetime_spend = self.lifetime_spend.minus(other.lifetime_spend);
        self.lifetime_earned = self.lifetime_earned.saturating_sub(other.lifetime_earned);
        let mut days = other.lifetime_days;
        for day in other.days.iter() {
            self.on_known(day.day.date(), |own| {
                own.visits = own.visits.saturating_sub(day.visits);
                days -= u64::from(own.visits > 0 && day.visits > 0).min(days);
                own.spend = own.spend.minus(day.spend);
                own.earned = own.earned.saturating_sub(day.earned);
            });
        }
        self.lifetime_days = self.lifetime_days.saturating_sub(days);
        let is_anything = |day: &DaySummary| day.visits > 0 || day.spend != Money::ZERO || day.earned != 0;
        self.days = self.days.iter().filter(is_anything).collect();
    }

    /// The same of the forgotten days alone.
    pub fn part_older(&mut self, other: &Self, without: &Self) {
        let Some(older) = self.older else { return };
        let oldest = self.oldest_kept();
        let is_forgotten =
            |day: &DaySummary| day.visits > 0 && oldest.is_some_and(|oldest| day.day.date() < oldest);
        let theirs = other.days.iter().filter(is_forgotten).count() as u32;
        let theirs = theirs.saturating_add(other.older.map_or(0, |older| older.count));
        let count = older.count.saturating_sub(theirs);
        self.older = match without.older {
            Some(without) if count <= without.count => Some(without),
            Some(without) => Some(VisitedDays { first: without.first, count, ..older }),
            None => (count > 0).then_some(VisitedDays { count, ..older }),
        };
    }

    /// Changes a day, unless it is too long ago. Answers whether it is not.
    fn on(&mut self, day: NaiveDate, change: impl FnOnce(&mut DaySummary)) -> bool {
        let day = DayNumber::from(day);
        let newest = self.days.iter().next_back().map_or(day, |newest| newest.day.max(day));
        let oldest = DayNumber(newest.0.saturating_sub(HISTORY_DAYS as i32));
        if day < oldest {
            return false;
        }
        self.days.change(day, |known| {
            let mut summary = known.unwrap_or(DaySummary::empty(day));
            change(&mut summary);
            Some(summary)
        });
        self.days.use_up(|summary| {
            if summary.day >= oldest {
                return Some(summary);
            }
            if summary.visits > 0 {
                self.older = Some(VisitedDays::and(self.older, summary.day.date()));
            }
            None
        });
        true
    }

    /// Changes a day that has anything on it.
    fn on_known(&mut self, day: NaiveDate, change: impl FnOnce(&mut DaySummary)) {
        self.days.change(day.into(), |known| {
            let mut summary = known?;
            change(&mut summary);
            Some(summary)
        });
    }

    /// The days from `first` to `last`, both included, as far back as days are kept; the newest first, because that is
    /// what is asked for most.
    fn between(&self, first: NaiveDate, last: NaiveDate) -> impl Iterator<Item = DaySummary> {
        let (first, last) = (DayNumber::from(first), DayNumber::from(last));
        self.days.iter().rev().skip_while(move |s| s.day > last).take_while(move |s| s.day >= first)
    }

    /// Hands out the days of the window that ends today, the newest first, read as far as somebody wants to know; until
    /// there is nothing to be made of one.
    #[inline]
    fn each_within(
        &self,
        window: Window,
        today: NaiveDate,
        mut take: impl FnMut(PackedDay<'_>) -> Option<()>,
    ) {
        let (first, last) = (DayNumber::from(window.first_day(today)), DayNumber::from(today));
        // No chain of iterators: those hand each day from one to the next, and that takes longer than to read it.
        for bytes in self.days.bytes_backwards() {
            let Some(day) = PackedDay::of(bytes).filter(|day| day.day >= first) else { return };
            if day.day <= last && take(day).is_none() {
                return;
            }
        }
    }

    /// Everything from `first` to `last`, both included, as far back as days are kept.
    pub fn sums(&self, first: NaiveDate, last: NaiveDate) -> Sums {
        self.between(first, last).fold(Sums::default(), |sums, day| Sums {
            visits: sums.visits + u64::from(day.visits),
            spend: sums.spend.plus(day.spend),
            earned: sums.earned.saturating_add(day.earned),
            days: sums.days + u64::from(day.visits > 0),
        })
    }

    /// Everything since enrolment.
    pub fn lifetime(&self) -> Sums {
        Sums {
            visits: self.lifetime_visits,
            spend: self.lifetime_spend,
            earned: self.lifetime_earned,
            days: self.lifetime_days,
        }
    }

    /// Orders and visits in the window that ends today.
    pub fn visits_in(&self, window: Window, today: NaiveDate) -> u64 {
        let mut visits = 0;
        self.each_within(window, today, |day| {
            visits += day.visits();
            Some(())
        });
        visits
    }

    /// Money spent in the window that ends today, less refunds.
    pub fn spend_in(&self, window: Window, today: NaiveDate) -> Money {
        let mut spend = UnitSum::default();
        self.each_within(window, today, |day| day.spend().map(|units| spend.add(units)));
        spend.money()
    }

    /// The days with a visit from `first` to `last`, both included, as far back as days are kept; oldest first.
    pub fn visited_between(&self, first: NaiveDate, last: NaiveDate) -> Vec<NaiveDate> {
        let visited = self.between(first, last).filter(|summary| summary.visits > 0);
        let mut days: Vec<_> = visited.map(|summary| summary.day.date()).collect();
        days.reverse();
        days
    }

    /// The first day that is kept; what was before it is forgotten. `None` while nothing is.
    pub fn oldest_kept(&self) -> Option<NaiveDate> {
        let newest = self.days.iter().next_back()?;
        newest.day.date().checked_sub_days(Days::new(HISTORY_DAYS))
    }

    fn visited_days(&self) -> impl DoubleEndedIterator<Item = DayNumber> {
        self.days.iter().filter(|summary| summary.visits > 0).map(|summary| summary.day)
    }

    /// The last day with a visit.
    pub fn last_visit(&self) -> Option<NaiveDate> {
        self.visited_days().next_back().map(DayNumber::date).or(self.older.map(|older| older.last))
    }

    /// The days with a visit until the end of `day`, since the very first. `None` without any.
    pub fn visited_until(&self, day: NaiveDate) -> Option<VisitedDays> {
        let kept = self.visited_days().map(DayNumber::date).take_while(|visited| *visited <= day);
        let older = self.older.filter(|older| older.first <= day);
        kept.fold(older, |seen, visited| Some(VisitedDays::and(seen, visited)))
    }

    /// Days from the last visit to `today`; 0 without any visit, or when the visit lies ahead.
    pub fn days_since_last_visit(&self, today: NaiveDate) -> i64 {
        self.last_visit().map_or(0, |last| (today - last).num_days().max(0))
    }

    /// The member's rhythm: the median number of days between visits. `None` before the third visited day: one gap
    /// is no rhythm.
    pub fn typical_gap_days(&self) -> Option<Decimal> {
        let days: Vec<_> = self.visited_days().map(|day| day.0).collect();
        let mut gaps: Vec<_> = days.windows(2).map(|pair| pair[1] - pair[0]).collect();
        if gaps.len() < 2 {
            return None;
        }
        gaps.sort_unstable();
        let middle = gaps.len() / 2;
        Some(match gaps.len() % 2 {
            1 => Decimal::from(gaps[middle]),
            _ => Decimal::from(gaps[middle - 1] + gaps[middle]) / Decimal::TWO,
        })
    }

    /// How often the member came before they stayed away: visits per 30 days, over the 90 days that end with the last
    /// visit, or as many of them as there were since the first, but at least 30. `None` without any visit.
    pub fn visits_per_30_days(&self) -> Option<Decimal> {
        const SPAN: i64 = 90;
        let last = self.last_visit()?;
        let first = self.visited_days().next()?.date();
        let days = ((last - first).num_days() + 1).clamp(30, SPAN);
        let visits = self.visits_in(Window::Days(days as u32), last);
        Some((Decimal::from(visits * 30) / Decimal::from(days)).round_dp(2))
    }

    /// Consecutive calendar weeks (Monday to Sunday) with a visit, up to the week of `today` or the one before.
    pub fn weeks_in_a_row(&self, today: NaiveDate) -> i64 {
        let mut expected = DayNumber::from(today).week();
        let mut streak = 0;
        for seen in self.visited_days().rev().map(DayNumber::week) {
            match expected - seen {
                ..0 => {} // another visit in a week already counted, or a future one
                0 => (streak, expected) = (streak + 1, expected - 1),
                1 if streak == 0 => (streak, expected) = (1, seen - 1), // this week may still bring one
                _ => break,
            }
        }
        streak
    }
}

/// A span of days or calendar months that ends today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// So many days, today included.
    Days(u32),
    /// So many calendar months: from the same day of the month, exclusive (31 March less a month is 28 February).
    Months(u32),
}

impl Window {
    /// The longest window that [`HISTORY_DAYS`] can answer.
    pub const MAX_MONTHS: u32 = 13;

    /// Whether the history reaches back far enough.
    pub const fn is_kept(self) -> bool {
        match self {
            Self::Days(days) => days as u64 <= HISTORY_DAYS,
            Self::Months(months) => months <= Self::MAX_MONTHS,
        }
    }

    /// The first day of the window that ends with `last`.
    pub fn first_day(self, last: NaiveDate) -> NaiveDate {
        self.start(last).succ_opt().unwrap_or(last)
    }

    /// The last day that is *not* in the window.
    fn start(self, today: NaiveDate) -> NaiveDate {
        let start = match self {
            Self::Days(days) => today.checked_sub_days(Days::new(days.into())),
            Self::Months(months) => today.checked_sub_months(Months::new(months)),
        };
        start.unwrap_or(NaiveDate::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn history(days: &[(&str, &str)]) -> History {
        let mut history = History::default();
        for (on, spend) in days {
            history.visit(day(on), spend.parse().unwrap());
        }
        history
    }

    #[test]
    fn a_rolling_window_forgets_the_day_that_drops_out() {
        let history = history(&[("2025-03-02", "480"), ("2025-03-03", "10"), ("2026-03-02", "40")]);
        assert_eq!(history.spend_in(Window::Months(12), day("2026-03-02")).to_string(), "50");
        assert_eq!(history.visits_in(Window::Days(30), day("2026-03-02")), 1);
        assert_eq!(history.visits_in(Window::Days(1), day("2026-03-02")), 1);
    }

    #[test]
    fn a_refund_comes_off_the_day_of_its_order() {
        let mut history = history(&[("2026-01-01", "30"), ("2026-03-02", "40")]);
        history.refund(day("2026-01-01"), "30".parse().unwrap());
        assert_eq!(history.spend_in(Window::Months(12), day("2026-03-02")).to_string(), "40");
    }

    #[test]
    fn a_visit_that_was_none_is_gone_with_its_spending() {
        let mut history = history(&[("2026-01-01", "30"), ("2026-03-02", "40"), ("2026-03-02", "5")]);
        history.unvisit(day("2026-03-02"), "40".parse().unwrap());
        assert_eq!((history.lifetime_visits, history.lifetime_spend.to_string()), (2, "35".to_owned()));
        history.unvisit(day("2026-03-02"), "5".parse().unwrap());
        assert_eq!(history.last_visit(), Some(day("2026-01-01")));
    }

    #[test]
    fn history_is_bounded_and_late_events_find_their_day() {
        let mut long = History::default();
        let mut on = day("2020-01-01");
        for _ in 0..2_000 {
            long.visit(on, Money::ZERO);
            on = on.succ_opt().unwrap();
        }
        assert_eq!(long.days.iter().count() as u64, HISTORY_DAYS + 1);
        assert_eq!(long.lifetime_visits, 2_000);
        let late = history(&[("2026-03-03", "1"), ("2026-03-01", "2")]);
        assert_eq!(late.days.iter().next().unwrap().day.date(), day("2026-03-01"));
    }

    #[test]
    fn a_rhythm_needs_three_visited_days() {
        assert_eq!(history(&[("2026-01-01", "1"), ("2026-01-08", "1")]).typical_gap_days(), None);
        let weekly =
            history(&[("2026-01-01", "1"), ("2026-01-08", "1"), ("2026-01-15", "1"), ("2026-02-15", "1")]);
        assert_eq!(weekly.typical_gap_days(), Some(Decimal::from(7)));
        assert_eq!(weekly.days_since_last_visit(day("2026-02-20")), 5);
    }

    #[test]
    fn how_often_somebody_came_is_counted_up_to_their_last_visit() {
        assert_eq!(history(&[]).visits_per_30_days(), None);
        let once = history(&[("2026-01-01", "1")]);
        assert_eq!(once.visits_per_30_days(), Some(Decimal::ONE)); // nobody comes 30 times for having come today
        let weekly = history(&[("2026-01-01", "1"), ("2026-01-08", "1"), ("2026-01-15", "1")]);
        assert_eq!(weekly.visits_per_30_days(), Some(Decimal::from(3)));
        let months = history(&[("2026-01-01", "1"), ("2026-01-31", "1"), ("2026-03-01", "1")]);
        assert_eq!(months.visits_per_30_days(), Some(Decimal::new(150, 2))); // 3 in 60 days
        let long = history(&[("2025-03-01", "1"), ("2026-01-01", "1"), ("2026-03-01", "1")]);
        assert_eq!(long.visits_per_30_days(), Some(Decimal::new(67, 2))); // 2 in 90
    }

    #[test]
    fn a_weekly_streak_counts_calendar_weeks() {
        let weeks = [("2026-02-09", "1"), ("2026-02-15", "1"), ("2026-02-16", "1"), ("2026-02-25", "1")];
        let history = history(&weeks); // Mon, Sun of one week, then the two weeks after
        assert_eq!(history.weeks_in_a_row(day("2026-02-25")), 3);
        assert_eq!(history.weeks_in_a_row(day("2026-03-03")), 3); // this week is still open
        assert_eq!(history.weeks_in_a_row(day("2026-03-10")), 0);
        let weeks = |days: &[(&str, &str)], today: &str| self::history(days).weeks_in_a_row(day(today));
        assert_eq!(weeks(&[("2026-02-09", "1"), ("2026-02-15", "1")], "2026-02-15"), 1, "Monday and Sunday");
        assert_eq!(weeks(&[("2026-02-15", "1"), ("2026-02-16", "1")], "2026-02-16"), 2, "Sunday and Monday");
    }

    #[test]
    fn two_histories_become_one_and_come_apart_again() {
        let mut own = history(&[("2026-03-01", "10"), ("2026-03-02", "5")]);
        own.earn(day("2026-03-04"), 2); // a day without a visit
        let mut other = history(&[("2026-03-02", "7"), ("2026-03-02", "1"), ("2026-03-04", "20")]);
        for on in ["2026-03-01", "2026-03-04", "2026-03-05"] {
            other.earn(day(on), 10);
        }
        let mut both = own.clone();
        both.join(&other);
        let all = Sums { visits: 5, spend: "43".parse().unwrap(), earned: 32, days: 3 };
        assert_eq!(both.lifetime(), all);
        assert_eq!(both.sums(day("2026-03-01"), day("2026-03-05")), all);
        both.part(&other, &own.forgotten());
        assert_eq!(both, own);
    }

    #[test]
    fn what_a_forgotten_day_turns_out_to_be_changes_no_other_day() {
        let mut history = history(&[("2024-01-01", "30"), ("2026-03-02", "40")]);
        history.unvisit(day("2024-01-01"), "30".parse().unwrap());
        let left = Sums { visits: 1, spend: "40".parse().unwrap(), earned: 0, days: 2 };
        assert_eq!(history.lifetime(), left);
        history.unvisit(day("2026-03-02"), "40".parse().unwrap());
        assert_eq!((history.lifetime().visits, history.lifetime().days), (0, 1));
    }

    #[test]
    fn a_day_on_which_points_were_only_earned_is_no_visited_day() {
        let mut history = history(&[("2024-01-01", "1")]);
        history.earn(day("2024-01-02"), 50);
        history.visit(day("2026-03-02"), Money::ZERO);
        let seen = history.visited_until(day("2026-03-01")).map(|seen| (seen.last, seen.count));
        assert_eq!(seen, Some((day("2024-01-01"), 1)));
    }

    #[test]
    fn nobody_stays_away_who_never_came_or_comes_tomorrow() {
        assert_eq!(history(&[]).days_since_last_visit(day("2026-03-02")), 0);
        let ahead = history(&[("2026-03-03", "1")]);
        assert_eq!(ahead.days_since_last_visit(day("2026-03-02")), 0);
    }

    #[test]
    fn a_history_survives_the_store() {
        let mut history = history(&[("2024-01-01", "1.50"), ("2026-03-02", "2")]);
        history.earn(day("2026-03-02"), 7);
        let json = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<History>(&json).unwrap(), history, "{json}");
        let apart = history.without_days().with_days(history.packed_days().to_vec());
        assert_eq!(apart, Ok(history));
    }
}
