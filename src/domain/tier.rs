//! The tier policy at work: what a member's figures are good for, and the machine that lifts, warns, waits and lowers.
//!
//! ```text
//!             enough for more                       review: too little          grace over: still too little
//!   kept ────────────────────► up            kept ─────────────────► grace ───────────────────────────────► down
//!    ▲                                                                 │
//!    └──────────────── enough after all ───────────────────────────────┘
//! ```
//!
//! A period closes where the next one begins, at the start of a day in the chain's zone. What is earned in the grace
//! counts for the period that it prolongs, and for the new one too.

use chrono::{Datelike, Days, Duration, Months, NaiveDate, NaiveTime};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::history::{History, Sums};
use super::member::Member;
use super::money::Money;
use super::terms::tier::{
    Anchor, CalendarUnit, Downgrade, Loss, Metric, Period, Step, TierPolicy, Tiers, Upgrade,
};
use super::terms::wallet::start_of;
use super::text::{Name, Note};

/// A tier that people gave a member. It is the effective tier until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManualTier {
    /// The tier that rules or the tier policy gave meanwhile.
    pub system: Option<Name>,
    /// When it ends; `None` = when people take it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, for people.
    pub reason: Note,
}

/// What a member keeps for the tier policy, beside the tier.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Footing {
    /// When the tier is reviewed next; `None` before the policy first saw the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_at: Option<Timestamp>,
    /// From when the years of [`Anchor::Tier`] count; `None` = since enrolment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_from: Option<NaiveDate>,
    /// Time to make good for a review that was failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<Grace>,
    /// The loss that the member was warned of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned_of: Option<Timestamp>,
}

impl Footing {
    /// Whether the policy has not seen the member yet.
    pub fn is_new(&self) -> bool {
        *self == Self::default()
    }
}

/// Time to make good for a review that was failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grace {
    /// The first day of the period that it prolongs.
    pub from: NaiveDate,
    /// When the tier is lost.
    pub until: Timestamp,
}

/// A tier about to be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning {
    /// How much of the metric is missing.
    pub missing: Decimal,
    /// The first day without the tier.
    pub on: NaiveDate,
}

/// How a member stands with the tier policy now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Progress {
    /// What is counted.
    pub metric: Metric,
    /// How much of it the member has in the current period.
    pub value: Money,
    /// The next higher tier; absent at the top.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_tier: Option<Name>,
    /// What is missing to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_next: Option<Money>,
    /// What is still missing to keep the tier at the next review, or until the grace is over; absent for a tier that
    /// cannot be lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_remain: Option<Money>,
    /// The first day after the current period: the tier is reviewed then.
    pub period_end: NaiveDate,
    /// While the tier is kept by grace: the day it is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<NaiveDate>,
}

/// How a member stands with the tier policy now; `None` in a program without one.
pub fn progress(member: &Member, tiers: &Tiers, zone: Tz, now: Timestamp) -> Option<Progress> {
    let assessor = Assessor::of(member, tiers.policy.as_ref()?, zone);
    let rank = member.standing.system_tier().and_then(|tier| tiers.rank(tier)).unwrap_or(0);
    Some(assessor.progress(rank, &member.standing.footing, tiers, now))
}

/// A member as the tier policy sees them.
#[derive(Debug, Clone, Copy)]
pub struct Assessor<'a> {
    /// The policy.
    pub policy: &'a TierPolicy,
    /// The chain's zone.
    pub zone: Tz,
    /// What the member did.
    pub history: &'a History,
    /// When they enrolled.
    pub enrolled_at: Timestamp,
}

/// Some days: the first, and the first after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: NaiveDate,
    end: NaiveDate,
}

impl<'a> Assessor<'a> {
    /// This member under this policy.
    pub const fn of(member: &'a Member, policy: &'a TierPolicy, zone: Tz) -> Self {
        Self { policy, zone, history: &member.history, enrolled_at: member.enrolled_at }
    }

    /// Does what fell due until `now`: reviews, and graces that are over. A review that was missed several times is
    /// done once. Answers the rank after it.
    pub fn catch_up(&self, mut rank: usize, footing: &mut Footing, now: Timestamp) -> usize {
        self.keep_armed(footing, now);
        loop {
            if let Some(grace) = footing.grace.take_if(|grace| grace.until <= now) {
                rank = self.end_of(grace, rank, footing);
            } else if let Some(at) = footing.review_at.filter(|at| *at <= now) {
                rank = self.review(at, rank, footing, now);
            } else {
                return rank;
            }
        }
    }

    /// Sees what the figures of now are good for at once: a higher tier, or a grace that is no longer needed. Answers
    /// the rank after it.
    pub fn lift(&self, rank: usize, footing: &mut Footing, now: Timestamp) -> usize {
        let today = self.day(now);
        if footing.grace.is_some_and(|grace| self.rank_for(self.value(grace.from, today)) >= rank) {
            footing.grace = None;
        }
        let deserved = match self.policy.upgrade {
            Upgrade::AtOnce => self.rank_for(self.value(self.span(footing, today).first, today)),
            Upgrade::PeriodEnd => 0,
        };
        if deserved <= rank {
            return rank;
        }
        self.arrive(footing, now, today.succ_opt().unwrap_or(today));
        deserved
    }

    /// The warning that is due and was not given yet. It counts as given from now on.
    pub fn warning(&self, rank: usize, footing: &mut Footing, now: Timestamp) -> Option<Warning> {
        let (loss_at, warn_at) = self.loss(rank, footing)?;
        if footing.warned_of == Some(loss_at) || !(warn_at?..loss_at).contains(&now) {
            return None;
        }
        let missing = self.missing_to_remain(rank, footing, now);
        (missing > Decimal::ZERO).then(|| {
            footing.warned_of = Some(loss_at);
            Warning { missing, on: self.day(loss_at) }
        })
    }

    /// When the member must be looked at again, though nothing happens.
    pub fn deadline(&self, rank: usize, footing: &Footing, now: Timestamp) -> Option<Timestamp> {
        let warn_at = match self.loss(rank, footing) {
            Some((loss_at, warn_at)) if footing.warned_of != Some(loss_at) => warn_at,
            _ => None,
        };
        let all = [footing.review_at, footing.grace.map(|grace| grace.until), warn_at];
        all.into_iter().flatten().filter(|at| *at > now).min()
    }

    /// How the member stands now.
    fn progress(&self, rank: usize, footing: &Footing, tiers: &Tiers, now: Timestamp) -> Progress {
        let today = self.day(now);
        let value = self.value(self.span(footing, today).first, today);
        let next = self.policy.thresholds.get(rank + 1);
        let can_be_lost = rank > 0 && self.policy.downgrade != Downgrade::Never;
        let review_at = footing.review_at.filter(|at| *at > now);
        Progress {
            metric: self.policy.metric,
            value: Money::new(value),
            next_tier: tiers.ids().nth(rank + 1).cloned(),
            to_next: next.map(|next| Money::new((*next - value).max(Decimal::ZERO))),
            to_remain: can_be_lost.then(|| Money::new(self.missing_to_remain(rank, footing, now))),
            period_end: self.day(review_at.unwrap_or_else(|| self.review_after(footing, now))),
            grace_until: footing.grace.map(|grace| self.day(grace.until)),
        }
    }

    /// Sets the first review. Later ones are set with each review, unless the policy was edited to close its period
    /// earlier than the one before did; a schedule is not asked that each time, for it takes its time to answer.
    fn keep_armed(&self, footing: &mut Footing, now: Timestamp) {
        let is_scheduled = matches!(self.policy.period, Period::Open { .. });
        if is_scheduled && footing.review_at.is_some() {
            return;
        }
        let next = self.review_after(footing, now);
        footing.review_at = Some(footing.review_at.map_or(next, |at| at.min(next)));
    }

    fn review(&self, at: Timestamp, rank: usize, footing: &mut Footing, now: Timestamp) -> usize {
        let closed = self.closed(footing, at, now);
        footing.review_at = Some(self.review_after(footing, now));
        // A grace that still runs has its own end.
        let Some(closed) = closed.filter(|_| footing.grace.is_none()) else { return rank };
        let deserved = self.rank_for(self.value(closed.first, last_day(closed.end)));
        if deserved > rank && self.policy.upgrade == Upgrade::PeriodEnd {
            self.arrive(footing, now, closed.end);
            return deserved;
        }
        match self.policy.downgrade {
            Downgrade::AtReview(loss) if deserved < rank && loss.grace_days > 0 => {
                // A period that never closes ends with the day of its review.
                let reviewed_on = match self.policy.period {
                    Period::Open { .. } => last_day(closed.end),
                    Period::Calendar(_) | Period::Anniversary(_) => closed.end,
                };
                let until = self.start(add_days(reviewed_on, loss.grace_days));
                footing.grace = Some(Grace { from: closed.first, until });
                rank
            }
            Downgrade::AtReview(loss) if deserved < rank => {
                self.arrive(footing, now, closed.end);
                fall(loss, rank, deserved)
            }
            Downgrade::AtReview(_) | Downgrade::Never => rank,
        }
    }

    fn end_of(&self, grace: Grace, rank: usize, footing: &mut Footing) -> usize {
        let end = self.day(grace.until);
        let deserved = self.rank_for(self.value(grace.from, last_day(end)));
        match self.policy.downgrade {
            Downgrade::AtReview(loss) if deserved < rank => {
                self.arrive(footing, grace.until, end);
                fall(loss, rank, deserved)
            }
            Downgrade::AtReview(_) | Downgrade::Never => rank,
        }
    }

    /// A tier was reached, from above or below.
    fn arrive(&self, footing: &mut Footing, at: Timestamp, counts_from: NaiveDate) {
        footing.grace = None;
        footing.counts_from = Some(counts_from);
        footing.review_at = Some(self.review_after(footing, at));
    }

    /// The period that is reviewed: the last one that closed, unless it closed before the review was set. Then the
    /// policy was edited meanwhile, and this is no end of any period.
    fn closed(&self, footing: &Footing, at: Timestamp, now: Timestamp) -> Option<Span> {
        if let Period::Open { review, .. } = &self.policy.period {
            // Of reviews that were missed, the last. Its day counts, as far as it had come.
            let until_now = (now + Duration::microseconds(1)).with_timezone(&self.zone);
            let last = review.after(&until_now).rev().map(|at| at.to_utc()).find(|at| *at <= now);
            return Some(self.span(footing, self.day(last.map_or(at, |last| last.max(at)))));
        }
        let current = self.span(footing, self.day(now));
        let closed = self.span(footing, current.first.pred_opt()?);
        (closed.end == current.first && closed.end >= self.day(at)).then_some(closed)
    }

    /// The period that `day` is in. One that never closes ends with the day.
    fn span(&self, footing: &Footing, day: NaiveDate) -> Span {
        match &self.policy.period {
            Period::Open { window, .. } => Span {
                first: window.map_or(NaiveDate::MIN, |window| window.first_day(day)),
                end: day.succ_opt().unwrap_or(day),
            },
            Period::Calendar(unit) => calendar(*unit, day),
            Period::Anniversary(anchor) => {
                let enrolled = self.day(self.enrolled_at);
                let first = match anchor {
                    Anchor::Enrolment => enrolled,
                    Anchor::Tier => footing.counts_from.unwrap_or(enrolled),
                };
                year_of(first, day)
            }
        }
    }

    /// When the tier is reviewed next after `now`.
    fn review_after(&self, footing: &Footing, now: Timestamp) -> Timestamp {
        match &self.policy.period {
            Period::Open { review, .. } => {
                let local = now.with_timezone(&self.zone);
                let next = review.after(&local).map(|at| at.to_utc()).find(|at| *at > now);
                next.unwrap_or(Timestamp::MAX_UTC)
            }
            Period::Calendar(_) | Period::Anniversary(_) => self.start(self.span(footing, self.day(now)).end),
        }
    }

    /// When the tier is lost if nothing more comes, and when the member is warned of it.
    fn loss(&self, rank: usize, footing: &Footing) -> Option<(Timestamp, Option<Timestamp>)> {
        let Downgrade::AtReview(loss) = self.policy.downgrade else { return None };
        let review_at = footing.review_at.filter(|_| rank > 0)?;
        let loss_at = match (footing.grace, loss.grace_days) {
            (Some(grace), _) => grace.until,
            (None, 0) => review_at,
            (None, days) => self.start(add_days(self.day(review_at), days)),
        };
        let warn_day = |days: u32| self.day(loss_at).checked_sub_days(Days::new(days.into()));
        let warn_at = loss.warn_days.and_then(warn_day).map(|day| self.start(day));
        Some((loss_at, warn_at))
    }

    /// What is missing at the end of the grace, or at the next review, if nothing more comes.
    fn missing_to_remain(&self, rank: usize, footing: &Footing, now: Timestamp) -> Decimal {
        let today = self.day(now);
        let value = match (footing.grace, &self.policy.period) {
            (Some(grace), _) => self.value(grace.from, today),
            // Days drop out of the window until then.
            (None, Period::Open { .. }) => {
                let review = self.day(footing.review_at.unwrap_or(now)).max(today);
                self.value(self.span(footing, review).first, review)
            }
            (None, _) => self.value(self.span(footing, today).first, today),
        };
        let wanted = self.policy.thresholds.get(rank).copied().unwrap_or_default();
        (wanted - value).max(Decimal::ZERO)
    }

    fn value(&self, first: NaiveDate, last: NaiveDate) -> Decimal {
        let Sums { visits, spend, earned } = match &self.policy.period {
            Period::Open { window: None, .. } => self.history.lifetime(),
            // The window ends with the day, also when a grace asks.
            Period::Open { window: Some(window), .. } => self.history.sums(window.first_day(last), last),
            Period::Calendar(_) | Period::Anniversary(_) => self.history.sums(first, last),
        };
        match self.policy.metric {
            Metric::Spend => spend.decimal(),
            Metric::Visits => visits.into(),
            Metric::Points => earned.into(),
        }
    }

    /// The highest tier that so much is enough for. Less than nothing is enough for the lowest.
    fn rank_for(&self, value: Decimal) -> usize {
        self.policy.thresholds.partition_point(|threshold| *threshold <= value).saturating_sub(1)
    }

    fn day(&self, at: Timestamp) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }

    fn start(&self, day: NaiveDate) -> Timestamp {
        start_of(day, self.zone).unwrap_or_else(|| day.and_time(NaiveTime::MIN).and_utc())
    }
}

const fn fall(loss: Loss, rank: usize, deserved: usize) -> usize {
    match loss.step {
        Step::One => rank - 1,
        Step::ByBalance => deserved,
    }
}

fn add_days(day: NaiveDate, days: u32) -> NaiveDate {
    day.checked_add_days(Days::new(days.into())).unwrap_or(day)
}

fn last_day(end: NaiveDate) -> NaiveDate {
    end.pred_opt().unwrap_or(end)
}

fn calendar(unit: CalendarUnit, day: NaiveDate) -> Span {
    let months = unit.months();
    let first = NaiveDate::from_ymd_opt(day.year(), day.month0() / months * months + 1, 1).unwrap_or(day);
    Span { first, end: first.checked_add_months(Months::new(months)).unwrap_or(NaiveDate::MAX) }
}

/// The year that `day` is in, of those that begin with `first`. 29 February is kept on the 28th in other years, and
/// on the 29th again where there is one. A day before them is in the first.
fn year_of(first: NaiveDate, day: NaiveDate) -> Span {
    let begin = |years: i32| {
        let months = Months::new(u32::try_from(years).unwrap_or(0) * 12);
        first.checked_add_months(months).unwrap_or(NaiveDate::MAX)
    };
    let years = (day.year() - first.year()).max(0);
    let years = if begin(years) > day { years - 1 } else { years }.max(0);
    Span { first: begin(years), end: begin(years + 1) }
}

#[cfg(test)]
mod tests;
