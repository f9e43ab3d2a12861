//! Achievements of a member: what was counted for them, how often they were earned, what they brought.
//!
//! What the member's history knows (visits, days, spending, points) is read from there, so it cannot drift from it. Of
//! everything else the achievement keeps a count for each of its last periods; an order remembers what it counted for,
//! so whatever becomes of the order moves the difference, in whatever order the news comes.

mod hauls;
mod judge;
#[cfg(test)]
mod tests;
mod told;

use chrono::{Days, NaiveDate};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::coupon::CouponCode;
use super::history::{History, Sums};
use super::ids::RedemptionId;
use super::money::Points;
use super::terms::achievement::{Counts, Goal, Measure, Period, Unit};
use super::text::Name;

use hauls::Hauls;
pub use judge::{Evidence, Verdict};
pub use told::{AchievementEarned, AchievementProgressed, AchievementRevoked, StreakBroken};

/// Periods of an achievement that are remembered: the current one and two before it, for what comes late.
const KEPT_PERIODS: usize = 3;
/// How often an achievement is earned at once at most; what is left comes with the next event.
const MOST_AT_ONCE: u32 = 10;
/// The first day of what has only one period.
const EVER: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a day");

/// Something that an achievement, or a referral, brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Brought {
    /// Points.
    Points {
        /// In which wallet.
        wallet: Name,
        /// How many.
        points: Points,
    },
    /// A coupon.
    Coupon {
        /// Its code.
        coupon: CouponCode,
    },
    /// A reward.
    Reward {
        /// Its redemption.
        redemption: RedemptionId,
    },
}

/// What a member did for one achievement.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Feat {
    /// How often it was earned in all, less what was revoked.
    #[serde(default, skip_serializing_if = "is_zero")]
    times: u32,
    /// Its last periods, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stages: Vec<Stage>,
    /// The last step that was told: of which period, and how far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    told: Option<(NaiveDate, Decimal)>,
    /// The last day of the streak that was told to be broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    broken: Option<NaiveDate>,
}

/// One period of an achievement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stage {
    /// Its first day; of a rolling window, the day it was earned on.
    from: NaiveDate,
    /// Of a streak, the first day of its last unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<NaiveDate>,
    /// What was counted in it, unless the history knows.
    #[serde(default, skip_serializing_if = "Decimal::is_zero")]
    count: Decimal,
    /// How often it was earned in it.
    #[serde(default, skip_serializing_if = "is_zero")]
    times: u32,
    /// What it brought.
    #[serde(default, skip_serializing_if = "Hauls::is_empty")]
    brought: Hauls,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// A streak: the first days of its first and last unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    since: NaiveDate,
    until: NaiveDate,
}

impl Run {
    /// The one that the unit of `day` belongs to; `None` when nobody came in it. `visited` are the days with a visit,
    /// oldest first.
    fn around(visited: &[NaiveDate], unit: Unit, day: NaiveDate) -> Option<Self> {
        let came = |first: NaiveDate| {
            let next = visited.partition_point(|visited| *visited < first);
            visited.get(next).is_some_and(|visited| *visited < unit.next(first))
        };
        let before = |first: NaiveDate| first.pred_opt().map(|last| unit.first_day(last));
        let middle = unit.first_day(day);
        if !came(middle) {
            return None;
        }
        let (mut since, mut until) = (middle, middle);
        while let Some(earlier) = before(since).filter(|first| came(*first)) {
            since = earlier;
        }
        while came(unit.next(until)) {
            until = unit.next(until);
        }
        Some(Self { since, until })
    }

    fn length(self, unit: Unit) -> u32 {
        let units = std::iter::successors(Some(self.since), |first| Some(unit.next(*first)));
        units.take_while(|first| *first <= self.until).count() as u32
    }
}

/// A streak that can no longer be continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// How many units it had.
    pub length: u32,
    /// The first day of the last of them.
    pub last: NaiveDate,
}

impl Feat {
    /// How often it was earned.
    pub const fn times(&self) -> u32 {
        self.times
    }

    /// How far the member is on `today`: in the current period, the current streak, the days up to today.
    pub fn progress(&self, goal: &Goal, history: &History, today: NaiveDate) -> Decimal {
        match &goal.measure {
            Measure::Sum(counts, Period::Lifetime) if counts.is_history() => {
                let all = history.lifetime();
                of_history(counts, all)
            }
            Measure::Sum(counts, Period::Rolling(days)) => {
                let last = self.stages.iter().rev().map(|stage| stage.from).find(|day| *day <= today);
                of_history(counts, history.sums(window(*days, today, last), today))
            }
            Measure::Sum(counts, period) => self.sum(counts, *period, first_day(*period, today), history),
            Measure::Streak(unit) => {
                self.streak(*unit, history, today).map_or(Decimal::ZERO, |(_, length)| length.into())
            }
        }
    }

    /// The first day of the period that [`Feat::progress`] is about; `None` for what has no periods.
    pub fn period_start(&self, goal: &Goal, history: &History, today: NaiveDate) -> Option<NaiveDate> {
        match &goal.measure {
            Measure::Sum(_, Period::Lifetime) => None,
            Measure::Sum(_, Period::Calendar(unit)) => Some(unit.first_day(today)),
            Measure::Sum(_, Period::Rolling(days)) => Some(window(*days, today, None)),
            Measure::Streak(unit) => self.streak(*unit, history, today).map(|(since, _)| since),
        }
    }

    /// Counts something that the history does not know, on a day.
    pub fn count(&mut self, period: Period, day: NaiveDate, amount: Decimal) {
        if let Some(at) = self.stage(first_day(period, day)) {
            let stage = &mut self.stages[at];
            stage.count = stage.count.saturating_add(amount);
        }
    }

    /// Remembers what earning it for the `nth` time brought.
    pub fn bring(&mut self, nth: u32, brought: &Brought) {
        self.stages.iter_mut().rev().any(|stage| stage.brought.bring(nth, brought));
    }

    /// Takes over what another member did for it, who turns out to be the same person.
    pub fn join(&mut self, other: &Self) {
        self.times = self.times.saturating_add(other.times);
        for theirs in &other.stages {
            let Some(at) = self.stage(theirs.from) else { continue };
            let own = &mut self.stages[at];
            own.until = own.until.max(theirs.until);
            own.count = own.count.saturating_add(theirs.count);
            own.times = own.times.saturating_add(theirs.times);
            own.brought.join(theirs.brought.clone());
        }
        self.broken = self.broken.max(other.broken);
    }

    /// Gives back what was joined, as far as it is still there.
    pub fn part(&mut self, other: &Self) {
        self.times = self.times.saturating_sub(other.times);
        for theirs in &other.stages {
            let Some(own) = self.stages.iter_mut().find(|own| own.from == theirs.from) else { continue };
            own.count = own.count.saturating_sub(theirs.count);
            own.times = own.times.saturating_sub(theirs.times);
            own.brought.part(&theirs.brought);
        }
        self.stages.retain(|own| own.times > 0 || !own.count.is_zero() || own.until.is_some());
    }

    /// It was revoked once, and with it what it had brought.
    pub fn lose(&mut self, brought: &[Brought]) {
        let with_it =
            self.stages.iter_mut().rposition(|stage| stage.times > 0 && stage.brought.lose(brought));
        let at = with_it.or_else(|| self.stages.iter().rposition(|stage| stage.times > 0));
        self.times = self.times.saturating_sub(1);
        at.into_iter().for_each(|at| self.stages[at].times -= 1);
    }

    /// How far the member is, if that was not told yet.
    pub fn step(&mut self, goal: &Goal, history: &History, today: NaiveDate) -> Option<Decimal> {
        let progress = self.progress(goal, history, today);
        let is_rolling = matches!(goal.measure, Measure::Sum(_, Period::Rolling(_)));
        let period = self.period_start(goal, history, today).filter(|_| !is_rolling).unwrap_or(EVER);
        let known = self.told.filter(|(of, _)| *of == period).map_or(Decimal::ZERO, |(_, known)| known);
        self.told = Some((period, progress));
        (progress != known).then_some(progress)
    }

    /// The last streak that was seen, unless it was told to be broken.
    fn unbroken(&self) -> Option<(&Stage, NaiveDate)> {
        let last = self.stages.last()?;
        let until = last.until.filter(|until| self.broken != Some(*until))?;
        (until > last.from).then_some((last, until)) // of one unit it is not worth a word
    }

    /// The first day on which the streak can no longer be continued; `None` without a streak.
    pub fn breaks_on(&self, unit: Unit) -> Option<NaiveDate> {
        self.unbroken().map(|(_, until)| unit.next(unit.next(until)))
    }

    /// Finds that the streak can no longer be continued. Once.
    pub fn find_broken(&mut self, unit: Unit, today: NaiveDate) -> Option<Broken> {
        let on = self.breaks_on(unit)?;
        let (stage, until) = self.unbroken()?;
        let broken = Broken { length: Run { since: stage.from, until }.length(unit), last: until };
        if today < on {
            return None;
        }
        self.broken = Some(until);
        Some(broken)
    }

    /// The streak of now, which the current unit or the one before it belongs to: since when, and how long.
    fn streak(&self, unit: Unit, history: &History, today: NaiveDate) -> Option<(NaiveDate, u32)> {
        let visited = all_visited(history);
        let before = unit.first_day(today).pred_opt();
        let run = Run::around(&visited, unit, today)
            .or_else(|| before.and_then(|day| Run::around(&visited, unit, day)))?;
        let run = self.completed(run, unit, history);
        Some((run.since, run.length(unit)))
    }

    /// A streak that is older than the history began when it was first seen.
    fn completed(&self, run: Run, unit: Unit, history: &History) -> Run {
        let is_cut =
            history.oldest_kept().is_some_and(|oldest| run.since <= unit.next(unit.first_day(oldest)));
        let seen = self.stages.iter().find(|stage| meets(stage, run));
        match seen.filter(|_| is_cut) {
            Some(stage) => Run { since: run.since.min(stage.from), ..run },
            None => run,
        }
    }

    fn sum(&self, counts: &Counts, period: Period, from: NaiveDate, history: &History) -> Decimal {
        match period {
            _ if !counts.is_history() => {
                self.stages.iter().find(|stage| stage.from == from).map_or(Decimal::ZERO, |stage| stage.count)
            }
            Period::Lifetime => of_history(counts, history.lifetime()),
            Period::Calendar(unit) => {
                let last = unit.next(from).pred_opt().unwrap_or(from);
                of_history(counts, history.sums(from, last))
            }
            Period::Rolling(days) => of_history(counts, history.sums(window(days, from, None), from)),
        }
    }

    /// The stage of the period that begins with `from`, a new one if need be; `None` when it is over for too long.
    fn stage(&mut self, from: NaiveDate) -> Option<usize> {
        let at = match self.stages.binary_search_by_key(&from, |stage| stage.from) {
            Ok(at) => return Some(at),
            Err(0) if self.stages.len() >= KEPT_PERIODS => return None,
            Err(at) => at,
        };
        let new = Stage { from, until: None, count: Decimal::ZERO, times: 0, brought: Hauls::default() };
        self.stages.insert(at, new);
        if self.stages.len() > KEPT_PERIODS {
            self.stages.remove(0);
            return Some(at - 1);
        }
        Some(at)
    }
}

/// Every day with a visit that is kept.
fn all_visited(history: &History) -> Vec<NaiveDate> {
    history.visited_between(history.oldest_kept().unwrap_or(NaiveDate::MAX), NaiveDate::MAX)
}

/// Whether a streak that was seen before is part of this one.
fn meets(stage: &Stage, run: Run) -> bool {
    stage.until.is_some_and(|until| stage.from <= run.until && run.since <= until)
}

/// The first day of the period that `day` lies in.
fn first_day(period: Period, day: NaiveDate) -> NaiveDate {
    match period {
        Period::Lifetime => EVER,
        Period::Calendar(unit) => unit.first_day(day),
        Period::Rolling(_) => day,
    }
}

/// The first of so many days up to `last`, but none that counted before.
fn window(days: u32, last: NaiveDate, counted: Option<NaiveDate>) -> NaiveDate {
    let first = last.checked_sub_days(Days::new(u64::from(days.saturating_sub(1)))).unwrap_or(NaiveDate::MIN);
    counted.and_then(|day| day.succ_opt()).map_or(first, |after| first.max(after))
}

fn of_history(counts: &Counts, sums: Sums) -> Decimal {
    match counts {
        Counts::Visits => sums.visits.into(),
        Counts::Days => sums.days.into(),
        Counts::Spend => sums.spend.decimal(),
        Counts::Points => sums.earned.into(),
        Counts::Orders | Counts::Items(_) | Counts::Reported => Decimal::ZERO,
    }
}
