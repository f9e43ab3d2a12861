//! Achievements: how far a member is, how often they earned each, what it brought.
//!
//! Left out: `streak.broken`. When visits are taken back, or a member is given back, what was the last streak is not
//! said to the point.

use std::collections::BTreeMap;

use super::super::program::{ACHIEVEMENTS, Goal, POINTS};
use super::super::purse::{DAY, Instant};
use super::order::Order;
use super::{Reference, gone_after, quarter};

/// What an event did to what counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    Nothing,
    More,
    /// Something was taken back, whatever else.
    Less,
}

/// One achievement of one member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Feat {
    /// How often it was earned, by the first day of the period.
    times: BTreeMap<Instant, u32>,
    /// When it was earned last.
    pub(super) earned_at: Option<Instant>,
    /// Whether it may have been earned or not.
    pub(super) is_doubtful: bool,
}

impl Feat {
    fn all(&self) -> u32 {
        self.times.values().sum()
    }

    pub(super) fn join(&mut self, other: &Self) {
        for (period, times) in &other.times {
            *self.times.entry(*period).or_default() += times;
        }
        self.earned_at = self.earned_at.into_iter().chain(other.earned_at).min();
        self.is_doubtful |= other.is_doubtful;
    }

    /// Takes out again what was joined; `earned_at` is since when it is earned without it.
    pub(super) fn part(&mut self, joined: &Self, earned_at: Option<Instant>) {
        for (period, times) in &joined.times {
            let own = self.times.entry(*period).or_default();
            *own = own.saturating_sub(*times);
        }
        self.times.retain(|_, times| *times > 0);
        if joined.earned_at.is_some() && self.earned_at == joined.earned_at {
            self.earned_at = earned_at;
        }
    }
}

impl Reference {
    /// How often it was earned, and how far the member is.
    pub(in super::super) fn achievement(&self, member: usize, nth: usize) -> (u32, u64) {
        let member = self.living(member);
        let feat = &self.members[member].feats[nth];
        let progress = match ACHIEVEMENTS[nth].1 {
            Goal::VisitsInQuarter(_) => self.visits(member, quarter(self.now)),
            Goal::Orders(_) => self.orders_kept(member),
            Goal::WeeksInARow(_) => {
                let this = week(self.now);
                let now = self.weeks_in_a_row(member, this);
                if now > 0 { now } else { self.weeks_in_a_row(member, this - 1) }
            }
        };
        (feat.all().max(feat.earned_at.is_some().into()), progress)
    }

    /// Sees what was earned, and what is no longer, after something that happened `at`, perhaps to an order.
    pub(super) fn judge(&mut self, member: usize, counted: Counted, at: Instant, order: Option<usize>) {
        if counted == Counted::Nothing {
            return;
        }
        for (nth, (_, goal, _)) in ACHIEVEMENTS.into_iter().enumerate() {
            let feat = &self.members[member].feats[nth];
            let mut due = BTreeMap::new();
            match goal {
                Goal::VisitsInQuarter(target) => {
                    let day_of_order = order.and_then(|order| self.orders[order].day);
                    let touched = [Some(at), day_of_order].into_iter().flatten().map(quarter);
                    for period in touched.chain(feat.times.keys().copied()) {
                        due.insert(period, u32::from(self.visits(member, period) >= target));
                    }
                }
                Goal::Orders(target) => drop(due.insert(0, (self.orders_kept(member) / target) as u32)),
                Goal::WeeksInARow(target) => {
                    let is_long = |week: i64| self.weeks_in_a_row(member, week) >= target;
                    let ever = self.counting(member).map(|order| week(order.day.unwrap_or(0))).any(is_long);
                    due.insert(0, u32::from(ever));
                }
            }
            for (period, due) in due {
                self.bring_in_line(member, nth, (period, due), counted, at);
            }
        }
    }

    fn bring_in_line(
        &mut self,
        member: usize,
        nth: usize,
        (period, due): (Instant, u32),
        counted: Counted,
        at: Instant,
    ) {
        let (_, _, award) = ACHIEVEMENTS[nth];
        let living = member;
        let member = &mut self.members[member];
        let feat = &mut member.feats[nth];
        let had = feat.times.get(&period).copied().unwrap_or(0);
        if due > had {
            feat.times.insert(period, due);
            feat.earned_at = Some(at);
            for _ in had..due {
                member.purses[POINTS].credit(award, gone_after(at));
            }
        } else if due < had && counted == Counted::Less && can_be_revoked(ACHIEVEMENTS[nth].1) {
            feat.times.insert(period, due);
            if feat.all() == 0 {
                feat.earned_at = None;
            }
            for _ in due..had {
                member.purses[POINTS].debit(award);
            }
            self.touch_all(living);
        }
    }

    fn counting(&self, member: usize) -> impl Iterator<Item = &Order> {
        let is_theirs = move |order: &&Order| order.owner.is_some_and(|owner| self.living(owner) == member);
        self.orders.iter().filter(is_theirs).filter(|order| order.total().is_some())
    }

    pub(super) fn has_visited(&self, member: usize) -> bool {
        self.counting(member).next().is_some()
    }

    fn visits(&self, member: usize, in_quarter: Instant) -> u64 {
        let is_in = |order: &&Order| order.day.is_some_and(|day| quarter(day) == in_quarter);
        self.counting(member).filter(is_in).count() as u64
    }

    /// Orders of which something is left.
    fn orders_kept(&self, member: usize) -> u64 {
        self.counting(member).filter(|order| order.left() > 0).count() as u64
    }

    /// Whether how often it was earned is not known to the point.
    pub(in super::super) fn is_doubtful(&self, member: usize, nth: usize) -> bool {
        self.members[self.living(member)].feats[nth].is_doubtful
    }

    /// After a merge or an un-merge: a streak that somebody has, and did not come by through an event of their own, is
    /// earned when an event touches it, if it is among the last three by then.
    pub(super) fn doubt_streaks(&mut self, member: usize) {
        for (nth, (_, goal, _)) in ACHIEVEMENTS.into_iter().enumerate() {
            let Goal::WeeksInARow(target) = goal else { continue };
            let is_long = |order: &Order| self.weeks_in_a_row(member, week(order.day.unwrap_or(0))) >= target;
            if self.members[member].feats[nth].all() == 0 && self.counting(member).any(is_long) {
                self.members[member].feats[nth].is_doubtful = true;
            }
        }
    }

    /// Of the streak that a week belongs to.
    fn weeks_in_a_row(&self, member: usize, week_of: i64) -> u64 {
        let came = |asked: i64| self.counting(member).any(|order| order.day.map(week) == Some(asked));
        if !came(week_of) {
            return 0;
        }
        let before = (1..).take_while(|back| came(week_of - back)).count();
        let after = (1..).take_while(|on| came(week_of + on)).count();
        (before + 1 + after) as u64
    }
}

const fn can_be_revoked(goal: Goal) -> bool {
    matches!(goal, Goal::Orders(_))
}

/// Weeks from Monday; 1970 began on a Thursday.
fn week(at: Instant) -> i64 {
    (at / DAY + 3) / 7
}
