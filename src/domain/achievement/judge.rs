//! Whether an achievement was earned by now, or is no longer.

use chrono::{Days, NaiveDate};
use rust_decimal::Decimal;

use super::{
    Brought, Feat, Hauls, KEPT_PERIODS, MOST_AT_ONCE, Run, Stage, all_visited, first_day, meets, window,
};
use crate::domain::history::History;
use crate::domain::terms::achievement::{Counts, Goal, Measure, OnRefund, Period, Unit};

/// What there is to judge by.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What the member did.
    pub history: &'a History,
    /// The days on which something came to count, or counts no longer.
    pub days: &'a [NaiveDate],
    /// The day of now.
    pub today: NaiveDate,
    /// Whether it may be lost: something that counted was taken back.
    pub on_refund: OnRefund,
}

/// What became of an achievement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It was earned, for so-many-th time.
    Earned(u32),
    /// It was earned once too often, and brought this.
    Revoked(Vec<Brought>),
}

impl Feat {
    /// Judges every period that `evidence` is about.
    pub fn judge(&mut self, goal: &Goal, evidence: Evidence<'_>) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        match &goal.measure {
            Measure::Sum(counts, Period::Rolling(days)) => {
                self.judge_windows(goal, counts, *days, evidence, &mut verdicts);
            }
            Measure::Sum(counts, period) => {
                self.judge_periods(goal, counts, *period, evidence, &mut verdicts)
            }
            Measure::Streak(unit) => self.judge_streaks(goal, *unit, evidence, &mut verdicts),
        }
        verdicts
    }

    fn judge_periods(
        &mut self,
        goal: &Goal,
        counts: &Counts,
        period: Period,
        evidence: Evidence<'_>,
        verdicts: &mut Vec<Verdict>,
    ) {
        let touched = evidence.days.iter().map(|day| first_day(period, *day));
        let mut periods: Vec<_> = touched.chain(self.stages.iter().map(|stage| stage.from)).collect();
        periods.sort_unstable();
        periods.dedup();
        for from in periods {
            let forgotten = match period {
                Period::Calendar(_) if counts.is_history() => {
                    evidence.history.oldest_kept().is_some_and(|oldest| from < oldest)
                }
                _ => false,
            };
            if !forgotten {
                let due =
                    goal.recurrence.times(self.sum(counts, period, from, evidence.history), goal.target);
                self.settle(goal, from, due, evidence.on_refund, verdicts);
            }
        }
    }

    /// Of windows that move with the days, those that what changed lies in.
    fn judge_windows(
        &mut self,
        goal: &Goal,
        counts: &Counts,
        days: u32,
        evidence: Evidence<'_>,
        verdicts: &mut Vec<Verdict>,
    ) {
        let sum = |from, last| super::of_history(counts, evidence.history.sums(from, last));
        let keys: Vec<_> = self.stages.iter().map(|stage| stage.from).collect();
        for (nth, key) in keys.iter().enumerate() {
            let before = nth.checked_sub(1).map(|before| keys[before]);
            if sum(window(days, *key, before), *key) < goal.target {
                self.settle(goal, *key, 0, evidence.on_refund, verdicts);
            }
        }
        self.stages.retain(|stage| stage.times > 0);
        for day in evidence.days {
            let end = *day + Days::new(days.saturating_sub(1).into());
            for last in days_touched(evidence, *day, end) {
                let before = self.stages.iter().rev().map(|stage| stage.from).find(|key| *key <= last);
                let is_free = self.stages.iter().all(|stage| stage.from <= last);
                if is_free && sum(window(days, last, before), last) >= goal.target {
                    self.settle(goal, last, 1, OnRefund::Keep, verdicts);
                }
            }
        }
    }

    fn judge_streaks(
        &mut self,
        goal: &Goal,
        unit: Unit,
        evidence: Evidence<'_>,
        verdicts: &mut Vec<Verdict>,
    ) {
        let seen = self.stages.iter().flat_map(|stage| [Some(stage.from), stage.until]).flatten();
        let mut days: Vec<_> = seen.chain(evidence.days.iter().copied()).collect();
        days.sort_unstable();
        let visited = all_visited(evidence.history);
        let mut runs: Vec<Run> = Vec::new();
        for day in days {
            let run = Run::around(&visited, unit, day);
            let run = run.map(|run| self.completed(run, unit, evidence.history));
            runs.extend(run.filter(|run| !runs.contains(run)));
        }
        for run in &runs {
            if let Some(from) = self.gather(*run) {
                let due = goal.recurrence.times(run.length(unit).into(), goal.target);
                self.settle(goal, from, due, evidence.on_refund, verdicts);
            }
        }
        // What is left was seen once and is no streak any more; or the history does not reach back to it.
        let oldest = evidence.history.oldest_kept().unwrap_or(NaiveDate::MIN);
        let gone: Vec<_> = self
            .stages
            .iter()
            .filter(|stage| !runs.iter().any(|run| meets(stage, *run)))
            .filter(|stage| stage.until.is_some_and(|until| until >= oldest))
            .map(|stage| stage.from)
            .collect();
        for from in gone {
            self.settle(goal, from, 0, evidence.on_refund, verdicts);
        }
    }

    /// Makes one stage of all that belong to this streak; answers its first day, or `None` when it is over for too long.
    fn gather(&mut self, run: Run) -> Option<NaiveDate> {
        let (mine, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.stages).into_iter().partition(|stage| meets(stage, run));
        self.stages = others;
        let mut whole = Stage {
            from: run.since,
            until: Some(run.until),
            count: Decimal::ZERO,
            times: 0,
            brought: Hauls::default(),
        };
        let was_seen = !mine.is_empty();
        for part in mine {
            whole.times += part.times;
            whole.brought.join(part.brought);
        }
        let at = self.stages.partition_point(|stage| stage.from < run.since);
        if at == 0 && self.stages.len() >= KEPT_PERIODS && !was_seen {
            return None;
        }
        self.stages.insert(at, whole);
        if self.stages.len() > KEPT_PERIODS {
            self.stages.remove(0);
        }
        self.stages.iter().any(|stage| stage.from == run.since).then_some(run.since)
    }

    /// Brings how often it was earned in one period in line with how often it should have been.
    fn settle(
        &mut self,
        goal: &Goal,
        from: NaiveDate,
        due: u32,
        on_refund: OnRefund,
        verdicts: &mut Vec<Verdict>,
    ) {
        let had = self.stages.iter().find(|stage| stage.from == from).map_or(0, |stage| stage.times);
        let left = goal.recurrence.most().saturating_sub(self.times);
        let more = due.saturating_sub(had).min(left).min(MOST_AT_ONCE);
        if more > 0 {
            let Some(at) = self.stage(from) else { return };
            let stage = &mut self.stages[at];
            for _ in 0..more {
                (self.times, stage.times) = (self.times + 1, stage.times + 1);
                stage.brought.earned(self.times);
                verdicts.push(Verdict::Earned(self.times));
            }
        }
        // Two who are one by now may both have had all that one can have: that is not too much.
        let surplus = if due >= goal.recurrence.most_in_period() { 0 } else { had.saturating_sub(due) };
        if on_refund == OnRefund::Revoke
            && surplus > 0
            && let Some(stage) = self.stages.iter_mut().find(|stage| stage.from == from)
        {
            for _ in 0..surplus {
                (self.times, stage.times) = (self.times.saturating_sub(1), stage.times - 1);
                verdicts.push(Verdict::Revoked(stage.brought.take_back()));
            }
        }
    }
}

/// The days on which a window may end that `day` lies in: those on which something was done.
fn days_touched(evidence: Evidence<'_>, day: NaiveDate, end: NaiveDate) -> Vec<NaiveDate> {
    let mut days = evidence.history.visited_between(day, end.min(evidence.today.max(day)));
    if days.first() != Some(&day) {
        days.insert(0, day); // points may come without a visit
    }
    days
}
