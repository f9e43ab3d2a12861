//! A member: one guest of one chain, with everything that rules may know about them.
//!
//! The size of a member is bounded: history is kept as one summary a day for [`HISTORY_DAYS`], so that a decision
//! costs the same for a guest of ten years as for one of ten days.

use std::collections::BTreeMap;

use chrono::{Datelike, Days, Months, NaiveDate};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::cart::Carts;
use super::celebration::Celebrated;
use super::identity::{Identity, IdentityKind};
use super::ids::{EventId, MemberId, TransferId};
use super::merge::{Absorbed, Ended};
use super::money::{Money, Points};
use super::profile::Profile;
use super::redemption::Redemptions;
use super::segment::{Membership, SegmentNames, SegmentType};
use super::session::OpenSessions;
use super::text::Name;
use super::tier::{Footing, ManualTier};
use super::visited::VisitedDays;
use super::wallet::{Wallet, Wallets};

pub use super::status::{RiskLevel, Status};

/// How many days of history a member keeps: a rolling year, and a month for late events.
pub const HISTORY_DAYS: u64 = 400;
/// By how many identities a member may be known: a few cards, phones and addresses of a long life, no more.
pub const MAX_IDENTITIES: usize = 32;

/// What rules and the engine can change: points, tier, status, achievements, segments. Small, so that a failing rule is
/// undone by a copy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Balances and lots.
    #[serde(default)]
    pub wallets: Wallets,
    /// The effective tier, by its id in `program.toml`; `None` in a program without tiers.
    pub tier: Option<Name>,
    /// The tier that people gave: while there is one, it is the effective tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manual_tier: Option<ManualTier>,
    /// Where the member stands with the program's tier policy.
    #[serde(default, skip_serializing_if = "Footing::is_new")]
    pub footing: Footing,
    /// Active, at risk, churned.
    pub status: Status,
    /// Achievements and when each was earned.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub achievements: BTreeMap<Name, Timestamp>,
    /// How much a member at risk is; of the others it says nothing. Read it by [`Standing::risk_level`].
    #[serde(default, skip_serializing_if = "RiskLevel::is_medium")]
    pub at_risk: RiskLevel,
    /// The segments that the member is in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub segments: BTreeMap<Name, Membership>,
    /// What is open of redemptions.
    #[serde(default, skip_serializing_if = "Redemptions::is_empty")]
    pub redemptions: Redemptions,
}

impl Standing {
    /// The tier that rules or the tier policy gave: the effective one, unless people gave another.
    pub fn system_tier(&self) -> Option<&Name> {
        self.manual_tier.as_ref().map_or(self.tier.as_ref(), |manual| manual.system.as_ref())
    }

    /// Sets the tier that rules or the tier policy give. A manual tier stays the effective one.
    pub fn set_system_tier(&mut self, tier: Name) {
        match &mut self.manual_tier {
            Some(manual) => manual.system = Some(tier),
            None => self.tier = Some(tier),
        }
    }

    /// Balance of the program's first wallet.
    pub fn points(&self) -> Points {
        self.wallets.points()
    }

    /// How likely a member who stays away is lost; `None` for one who does not.
    pub fn risk_level(&self) -> Option<RiskLevel> {
        match self.status {
            Status::Active => None,
            Status::AtRisk => Some(self.at_risk),
            Status::Churned => Some(RiskLevel::High),
        }
    }

    /// The names of the segments by type; `None` when the member is in none.
    pub fn segment_names(&self) -> Option<SegmentNames> {
        let of = |kind| {
            let members = self.segments.iter().filter(|(_, membership)| membership.kind == kind);
            members.map(|(name, _)| name.clone()).collect()
        };
        (!self.segments.is_empty()).then(|| SegmentNames {
            primary: of(SegmentType::Primary),
            compound: of(SegmentType::Compound),
            cohorts: of(SegmentType::Cohort),
        })
    }
}

/// One day of a member's history, in the chain's zone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DaySummary {
    /// The day.
    pub day: NaiveDate,
    /// Orders and visits.
    pub visits: u32,
    /// Money spent, less what was refunded of that day's orders.
    pub spend: Money,
    /// Points earned, less what was taken back for refunds of that day's orders.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earned: i64,
}

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
}

/// What a member did, summed by day.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    /// Days with anything on them, oldest first, at most [`HISTORY_DAYS`] back.
    days: Vec<DaySummary>,
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
}

impl History {
    /// Counts one visit and what was spent at it. Late events find their day.
    pub fn visit(&mut self, day: NaiveDate, spend: Money) {
        self.lifetime_visits += 1;
        self.lifetime_spend = self.lifetime_spend.plus(spend);
        if let Some(summary) = self.on(day) {
            summary.visits += 1;
            summary.spend = summary.spend.plus(spend);
        } else {
            self.older = Some(VisitedDays::and(self.older, day));
        }
    }

    /// Takes back a visit that was none, with what was spent at it.
    pub fn unvisit(&mut self, day: NaiveDate, spend: Money) {
        self.lifetime_visits = self.lifetime_visits.saturating_sub(1);
        self.refund(day, spend);
        if let Ok(at) = self.days.binary_search_by_key(&day, |s| s.day) {
            self.days[at].visits = self.days[at].visits.saturating_sub(1);
        }
    }

    /// Takes refunded money out of the day it was spent on.
    pub fn refund(&mut self, day: NaiveDate, amount: Money) {
        self.lifetime_spend = self.lifetime_spend.minus(amount);
        if let Ok(at) = self.days.binary_search_by_key(&day, |s| s.day) {
            self.days[at].spend = self.days[at].spend.minus(amount);
        }
    }

    /// Counts points earned on `day`; fewer than none when a refund took back what that day earned.
    pub fn earn(&mut self, day: NaiveDate, points: i64) {
        self.lifetime_earned = self.lifetime_earned.saturating_add(points);
        if let Some(summary) = self.on(day) {
            summary.earned = summary.earned.saturating_add(points);
        }
    }

    /// Adds what somebody did who was the same person.
    pub fn join(&mut self, other: &Self) {
        self.lifetime_visits += other.lifetime_visits;
        self.lifetime_spend = self.lifetime_spend.plus(other.lifetime_spend);
        self.lifetime_earned = self.lifetime_earned.saturating_add(other.lifetime_earned);
        for day in &other.days {
            if let Some(own) = self.on(day.day) {
                own.visits = own.visits.saturating_add(day.visits);
                own.spend = own.spend.plus(day.spend);
                own.earned = own.earned.saturating_add(day.earned);
            }
        }
    }

    /// Takes away again what was joined.
    pub fn part(&mut self, other: &Self) {
        self.lifetime_visits = self.lifetime_visits.saturating_sub(other.lifetime_visits);
        self.lifetime_spend = self.lifetime_spend.minus(other.lifetime_spend);
        self.lifetime_earned = self.lifetime_earned.saturating_sub(other.lifetime_earned);
        for day in &other.days {
            let Ok(at) = self.days.binary_search_by_key(&day.day, |s| s.day) else { continue };
            let own = &mut self.days[at];
            own.visits = own.visits.saturating_sub(day.visits);
            own.spend = own.spend.minus(day.spend);
            own.earned = own.earned.saturating_sub(day.earned);
        }
        self.days.retain(|day| day.visits > 0 || day.spend != Money::ZERO || day.earned != 0);
    }

    fn on(&mut self, day: NaiveDate) -> Option<&mut DaySummary> {
        let newest = self.days.last().map_or(day, |s| s.day.max(day));
        let oldest = newest.checked_sub_days(Days::new(HISTORY_DAYS)).unwrap_or(NaiveDate::MIN);
        let forgotten = self.days.partition_point(|s| s.day < oldest);
        for forgotten in self.days.drain(..forgotten) {
            if forgotten.visits > 0 {
                self.older = Some(VisitedDays::and(self.older, forgotten.day));
            }
        }
        if day < oldest {
            return None;
        }
        let at = match self.days.binary_search_by_key(&day, |s| s.day) {
            Ok(at) => at,
            Err(at) => {
                self.days.insert(at, DaySummary { day, visits: 0, spend: Money::ZERO, earned: 0 });
                at
            }
        };
        self.days.get_mut(at)
    }

    /// The days of `window` that ends with (and includes) `today`.
    fn within(&self, window: Window, today: NaiveDate) -> impl Iterator<Item = &DaySummary> {
        let after = window.start(today);
        self.days.iter().filter(move |s| s.day > after && s.day <= today)
    }

    /// Everything from `first` to `last`, both included, as far back as days are kept.
    pub fn sums(&self, first: NaiveDate, last: NaiveDate) -> Sums {
        let from = self.days.partition_point(|summary| summary.day < first);
        let days = self.days[from..].iter().take_while(|summary| summary.day <= last);
        days.fold(Sums::default(), |sums, day| Sums {
            visits: sums.visits + u64::from(day.visits),
            spend: sums.spend.plus(day.spend),
            earned: sums.earned.saturating_add(day.earned),
        })
    }

    /// Everything since enrolment.
    pub fn lifetime(&self) -> Sums {
        Sums { visits: self.lifetime_visits, spend: self.lifetime_spend, earned: self.lifetime_earned }
    }

    /// Orders and visits in the window that ends today.
    pub fn visits_in(&self, window: Window, today: NaiveDate) -> u64 {
        self.within(window, today).map(|s| u64::from(s.visits)).sum()
    }

    /// Money spent in the window that ends today, less refunds.
    pub fn spend_in(&self, window: Window, today: NaiveDate) -> Money {
        self.within(window, today).fold(Money::ZERO, |sum, s| sum.plus(s.spend))
    }

    fn visited_days(&self) -> impl DoubleEndedIterator<Item = NaiveDate> {
        self.days.iter().filter(|s| s.visits > 0).map(|s| s.day)
    }

    /// The last day with a visit.
    pub fn last_visit(&self) -> Option<NaiveDate> {
        self.visited_days().next_back().or(self.older.map(|older| older.last))
    }

    /// The days with a visit until the end of `day`, since the very first. `None` without any.
    pub fn visited_until(&self, day: NaiveDate) -> Option<VisitedDays> {
        let kept = self.visited_days().take_while(|visited| *visited <= day);
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
        let days: Vec<_> = self.visited_days().collect();
        let mut gaps: Vec<i64> = days.windows(2).map(|pair| (pair[1] - pair[0]).num_days()).collect();
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
        let first = self.visited_days().next()?;
        let days = ((last - first).num_days() + 1).clamp(30, SPAN);
        let visits = self.visits_in(Window::Days(days as u32), last);
        Some((Decimal::from(visits * 30) / Decimal::from(days)).round_dp(2))
    }

    /// Consecutive calendar weeks (Monday to Sunday) with a visit, up to the week of `today` or the one before.
    pub fn weeks_in_a_row(&self, today: NaiveDate) -> i64 {
        let week = |day: NaiveDate| i64::from(day.num_days_from_ce() - 1).div_euclid(7);
        let mut expected = week(today);
        let mut streak = 0;
        for seen in self.visited_days().rev().map(week) {
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

/// A member as decided on and as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Our id.
    pub id: MemberId,
    /// Counts commits; a commit names the version it was decided from. 0 = not stored yet.
    pub version: i64,
    /// When first seen.
    pub enrolled_at: Timestamp,
    /// When the next scheduled tick is due; `None` when the program has no schedule.
    pub next_wake_at: Option<Timestamp>,
    /// By what the chain knows them.
    pub identities: Vec<Identity>,
    /// Who they are.
    pub profile: Profile,
    /// What was told of their birthdays and anniversaries.
    pub celebrated: Celebrated,
    /// Sessions that did not end yet.
    pub sessions: OpenSessions,
    /// Carts that were not ordered yet, and what was told of others.
    pub carts: Carts,
    /// Points, tier, status, achievements.
    pub standing: Standing,
    /// What they did.
    pub history: History,
    /// The newest of what was written down about them.
    pub latest: Latest,
    /// Members who turned out to be this one.
    pub absorbed: Vec<Absorbed>,
    /// How they came to be a member no more, if they did.
    pub ended: Option<Ended>,
}

/// Where a member's records begin. Each names the one before it, so that all of them are found without an index, which
/// would cost every commit a write in a place of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Latest {
    /// The last loyalty event.
    pub event: Option<EventId>,
    /// The last ledger line.
    pub transfer: Option<TransferId>,
}

impl Member {
    /// A member first seen now.
    pub fn new(id: MemberId, identities: Vec<Identity>, tier: Option<Name>, now: Timestamp) -> Self {
        Self {
            id,
            version: 0,
            enrolled_at: now,
            next_wake_at: None,
            identities,
            profile: Profile::default(),
            celebrated: Celebrated::default(),
            sessions: OpenSessions::default(),
            carts: Carts::default(),
            standing: Standing { tier, ..Standing::default() },
            history: History::default(),
            latest: Latest::default(),
            absorbed: Vec::new(),
            ended: None,
        }
    }

    /// The value of the first identity of a kind.
    pub fn identity(&self, kind: IdentityKind) -> Option<&str> {
        self.identities.iter().find(|i| i.kind == kind).map(|i| &*i.value)
    }

    /// By what the chain knows them, by priority: kind by kind, within a kind what was known first.
    pub fn identities_by_priority(&self) -> Vec<&Identity> {
        let mut identities: Vec<_> = self.identities.iter().collect();
        identities.sort_by_key(|identity| identity.kind);
        identities
    }

    /// How outsiders see the member.
    pub fn face(&self) -> MemberFace {
        let text = |kind| self.identity(kind).map(Into::into);
        let manual = self.standing.manual_tier.as_ref();
        MemberFace {
            id: text(IdentityKind::Id).unwrap_or_else(|| self.id.to_string().into()),
            email: text(IdentityKind::Email),
            phone: text(IdentityKind::Phone),
            first_name: self.profile.first_name.clone(),
            last_name: self.profile.last_name.clone(),
            full_name: self.profile.full_name.clone(),
            tier: self.standing.tier.clone(),
            manual_tier: manual.map(|_| self.standing.tier.clone()).unwrap_or_default(),
            system_tier: manual.and_then(|manual| manual.system.clone()),
            points: self.standing.points(),
            next_expiration: self.standing.wallets.first().and_then(NextExpiration::of),
            segments: None,
        }
    }
}

/// Points that will be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NextExpiration {
    /// How many.
    pub amount: Points,
    /// The first instant at which they are.
    pub at: Timestamp,
}

impl NextExpiration {
    /// What is gone next of a wallet.
    pub fn of(wallet: &Wallet) -> Option<Self> {
        wallet.next_expiry().map(|(at, amount)| Self { amount, at })
    }
}

/// What receipts and loyalty events show of a member.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MemberFace {
    /// The chain's own id of the guest, or ours (`mem_…`) when it has none.
    pub id: Box<str>,
    /// E-mail address, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Box<str>>,
    /// Phone number, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Box<str>>,
    /// Given name, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<Name>,
    /// Family name, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<Name>,
    /// The name as the person writes it, when known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<Name>,
    /// Tier, in a program with tiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Name>,
    /// The tier, when people gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_tier: Option<Name>,
    /// The tier that it would be if people had not given another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_tier: Option<Name>,
    /// Balance.
    pub points: Points,
    /// What of it is gone next if it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_expiration: Option<NextExpiration>,
    /// The segments that the member is in; only in the events that say so, and absent when there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments: Option<SegmentNames>,
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
        assert_eq!(long.days.len() as u64, HISTORY_DAYS + 1);
        assert_eq!(long.lifetime_visits, 2_000);
        let late = history(&[("2026-03-03", "1"), ("2026-03-01", "2")]);
        assert_eq!(late.days[0].day, day("2026-03-01"));
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
    }
}
