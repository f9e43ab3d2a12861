//! The tier policy by tables, and against a reckoning that keeps every amount and looks at every day.

use proptest::prelude::*;

use super::*;
use crate::domain::history::Window;

const ZONE: Tz = chrono_tz::America::New_York;

fn start_of_day(zone: Tz, day: NaiveDate) -> Timestamp {
    start_of(day, zone).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Noon in New York, where all of this happens unless it says otherwise.
fn noon(text: &str) -> Timestamp {
    start_of_day(ZONE, day(text)) + Duration::hours(12)
}

const LOSS: Loss = Loss { step: Step::One, grace_days: 0, warn_days: None };

fn policy(period: Period) -> TierPolicy {
    TierPolicy {
        metric: Metric::Spend,
        thresholds: [0, 100, 500].map(Decimal::from).to_vec(),
        period,
        upgrade: Upgrade::AtOnce,
        downgrade: Downgrade::AtReview(LOSS),
    }
}

fn rolling(window: Window) -> Period {
    Period::Open { window: Some(window), review: Box::new("0 30 3 1 * *".parse().unwrap()) }
}

/// A member's life under a policy.
struct Life {
    policy: TierPolicy,
    history: History,
    enrolled_at: Timestamp,
    rank: usize,
    footing: Footing,
}

/// What one look at the member brought.
#[derive(Debug, PartialEq)]
struct Seen {
    rank: usize,
    warned: Option<(i64, NaiveDate)>,
}

impl Life {
    fn new(policy: TierPolicy, enrolled: &str) -> Self {
        let (history, footing) = (History::default(), Footing::default());
        Self { policy, history, enrolled_at: noon(enrolled), rank: 0, footing }
    }

    fn assessor(&self) -> (Assessor<'_>, Footing) {
        let (history, enrolled_at) = (&self.history, self.enrolled_at);
        (Assessor { policy: &self.policy, zone: ZONE, history, enrolled_at }, self.footing.clone())
    }

    /// What a decision does: what is due, what happened, what it is good for.
    fn at(&mut self, now: Timestamp, spend: i64) -> Seen {
        let (assessor, mut footing) = self.assessor();
        let rank = assessor.catch_up(self.rank, &mut footing, now);
        if spend != 0 {
            let on = now.with_timezone(&ZONE).date_naive();
            self.history.visit(on, Money::new(spend.into()));
        }
        let (assessor, _) = self.assessor();
        let rank = assessor.lift(rank, &mut footing, now);
        let warning = assessor.warning(rank, &mut footing, now);
        (self.rank, self.footing) = (rank, footing);
        let whole = |missing: Decimal| i64::try_from(missing).unwrap();
        Seen { rank, warned: warning.map(|warning| (whole(warning.missing), warning.on)) }
    }

    fn on(&mut self, on: &str, spend: i64) -> usize {
        self.at(noon(on), spend).rank
    }

    fn progress(&self, on: &str) -> Progress {
        let (assessor, footing) = self.assessor();
        assessor.progress(self.rank, &footing, &Tiers::default(), noon(on))
    }
}

fn span(first: &str, end: &str) -> Span {
    Span { first: day(first), end: day(end) }
}

#[test]
fn calendar_periods_begin_on_the_first() {
    let cases = [
        (CalendarUnit::Month, "2024-02-29", "2024-02-01", "2024-03-01"),
        (CalendarUnit::Month, "2026-12-31", "2026-12-01", "2027-01-01"),
        (CalendarUnit::Quarter, "2026-03-31", "2026-01-01", "2026-04-01"),
        (CalendarUnit::Quarter, "2026-12-01", "2026-10-01", "2027-01-01"),
        (CalendarUnit::Half, "2026-06-30", "2026-01-01", "2026-07-01"),
        (CalendarUnit::Half, "2026-07-01", "2026-07-01", "2027-01-01"),
        (CalendarUnit::Year, "2026-01-01", "2026-01-01", "2027-01-01"),
        (CalendarUnit::Year, "2026-12-31", "2026-01-01", "2027-01-01"),
    ];
    for (unit, on, first, end) in cases {
        assert_eq!(calendar(unit, day(on)), span(first, end), "{unit:?} {on}");
    }
}

#[test]
fn years_of_a_members_own_keep_29_february() {
    let cases = [
        ("2024-02-29", "2024-02-29", "2024-02-29", "2025-02-28"),
        ("2024-02-29", "2025-02-27", "2024-02-29", "2025-02-28"),
        ("2024-02-29", "2025-02-28", "2025-02-28", "2026-02-28"),
        ("2024-02-29", "2028-02-28", "2027-02-28", "2028-02-29"),
        ("2024-02-29", "2028-02-29", "2028-02-29", "2029-02-28"),
        ("2025-03-15", "2026-03-14", "2025-03-15", "2026-03-15"),
        ("2025-03-15", "2026-03-15", "2026-03-15", "2027-03-15"),
        ("2025-03-15", "2024-01-01", "2025-03-15", "2026-03-15"),
    ];
    for (anchor, on, first, end) in cases {
        assert_eq!(year_of(day(anchor), day(on)), span(first, end), "{anchor} {on}");
    }
}

#[test]
fn enough_lifts_at_once_to_the_highest_tier_it_is_enough_for() {
    for (spent, rank) in [(99, 0), (100, 1), (499, 1), (500, 2), (5_000, 2)] {
        assert_eq!(
            Life::new(policy(Period::Calendar(CalendarUnit::Year)), "2026-01-05").on("2026-03-01", spent),
            rank
        );
    }
}

#[test]
fn a_tier_of_a_calendar_year_lasts_to_the_end_of_the_next() {
    let mut life = Life::new(policy(Period::Calendar(CalendarUnit::Year)), "2026-01-05");
    assert_eq!(life.on("2026-12-31", 500), 2);
    assert_eq!(life.on("2027-01-01", 0), 2, "2026 was enough");
    assert_eq!(life.on("2027-12-31", 99), 2);
    assert_eq!(life.on("2028-01-01", 0), 1, "2027 was not, and it goes down a step");
    assert_eq!(life.on("2029-01-01", 0), 0);
}

#[test]
fn a_fall_by_balance_ends_where_the_figures_are_enough() {
    let by_balance = Downgrade::AtReview(Loss { step: Step::ByBalance, ..LOSS });
    for (spent, rank) in [(0, 0), (99, 0), (100, 1), (499, 1), (500, 2)] {
        let policy = TierPolicy { downgrade: by_balance, ..policy(Period::Calendar(CalendarUnit::Year)) };
        let mut life = Life::new(policy, "2026-01-05");
        life.on("2026-06-01", 500);
        life.on("2027-06-01", spent);
        assert_eq!(life.on("2028-01-01", 0), rank, "{spent}");
    }
}

#[test]
fn a_tier_that_is_never_lost_stays_whatever_the_figures() {
    let policy = TierPolicy { downgrade: Downgrade::Never, ..policy(rolling(Window::Days(30))) };
    let mut life = Life::new(policy, "2026-01-05");
    life.on("2026-01-05", 500);
    assert_eq!(life.on("2027-06-01", 0), 2);
    assert_eq!(life.progress("2027-06-01").to_remain, None);
}

#[test]
fn upgrades_at_the_periods_end_wait_for_it() {
    let policy =
        TierPolicy { upgrade: Upgrade::PeriodEnd, ..policy(Period::Calendar(CalendarUnit::Quarter)) };
    let mut life = Life::new(policy, "2026-01-05");
    assert_eq!(life.on("2026-03-31", 600), 0);
    assert_eq!(life.on("2026-04-01", 0), 2);
    assert_eq!(life.on("2026-06-30", 0), 2);
    assert_eq!(life.on("2026-07-01", 0), 1);
}

#[test]
fn a_rolling_window_is_reviewed_when_the_schedule_says() {
    let mut life = Life::new(policy(rolling(Window::Months(2))), "2026-01-05");
    life.on("2026-01-15", 100);
    assert_eq!(life.on("2026-03-20", 0), 1, "nothing is left of it, but nobody looked");
    let review = noon("2026-04-01") - Duration::minutes(8 * 60 + 30);
    assert_eq!(life.footing.review_at, Some(review));
    assert_eq!(life.at(review - Duration::microseconds(1), 0).rank, 1);
    assert_eq!(life.at(review, 0).rank, 0);
}

#[test]
fn lifetime_figures_only_fall_by_refunds() {
    let lifetime = Period::Open { window: None, review: Box::new("0 30 3 1 * *".parse().unwrap()) };
    let mut life = Life::new(policy(lifetime), "2020-01-05");
    life.on("2020-01-05", 500);
    assert_eq!(life.on("2026-01-05", 0), 2);
    life.history.refund(day("2020-01-05"), Money::new(1.into()));
    assert_eq!(life.on("2026-01-20", 0), 2);
    assert_eq!(life.on("2026-02-02", 0), 1);
}

#[test]
fn what_reached_a_tier_does_not_also_keep_it_for_a_year_from_there() {
    let mut life = Life::new(policy(Period::Anniversary(Anchor::Tier)), "2024-01-05");
    assert_eq!(life.on("2024-02-28", 100), 1);
    assert_eq!(life.footing.counts_from, Some(day("2024-02-29")));
    assert_eq!(life.progress("2024-06-01").to_remain, Some(Money::new(100.into())));
    assert_eq!(life.on("2025-02-27", 0), 1);
    assert_eq!(life.on("2025-02-28", 0), 0, "the year from 29 February ends");
    life.on("2025-03-10", 120);
    life.on("2026-03-10", 100);
    assert_eq!(life.on("2026-03-11", 0), 1, "what came on its last day keeps it");
    assert_eq!(life.on("2027-03-11", 0), 0);
}

#[test]
fn a_members_years_from_enrolment_count_from_the_first_day() {
    let mut life = Life::new(policy(Period::Anniversary(Anchor::Enrolment)), "2024-02-29");
    life.on("2024-02-29", 100);
    assert_eq!(life.on("2025-02-28", 0), 1, "the first year was enough");
    assert_eq!(life.on("2026-02-27", 0), 1);
    assert_eq!(life.on("2026-02-28", 0), 0);
}

fn with_grace() -> Life {
    let loss = Loss { grace_days: 31, warn_days: Some(40), step: Step::ByBalance };
    let policy = TierPolicy {
        downgrade: Downgrade::AtReview(loss),
        ..policy(Period::Calendar(CalendarUnit::Quarter))
    };
    let mut life = Life::new(policy, "2026-01-05");
    life.on("2026-01-05", 500);
    life.on("2026-05-05", 460);
    life
}

#[test]
fn a_grace_is_time_to_make_good_for_the_period_that_closed() {
    let mut life = with_grace();
    assert_eq!(life.on("2026-07-01", 0), 2);
    assert_eq!(life.progress("2026-07-01").grace_until, Some(day("2026-08-01")));
    assert_eq!(life.on("2026-07-31", 39), 2);
    assert_eq!(life.progress("2026-07-31").to_remain, Some(Money::new(1.into())));
    let mut in_time = life.footing.clone();
    assert_eq!(life.on("2026-08-01", 100), 1, "too late");
    // The same, but in time.
    let mut life = with_grace();
    life.on("2026-07-01", 0);
    life.on("2026-07-31", 40);
    assert_eq!(life.footing.grace, None);
    assert_eq!(life.on("2026-08-01", 0), 2);
    in_time.grace = None;
    in_time.warned_of = life.footing.warned_of;
    assert_eq!(life.footing, in_time, "and the next quarter is as it would have been");
    assert_eq!(
        life.progress("2026-08-02").to_remain,
        Some(Money::new(460.into())),
        "what came in the grace counts twice"
    );
}

#[test]
fn a_warning_comes_exactly_once_before_each_loss() {
    let mut life = with_grace();
    let warnings = |life: &mut Life, from: &str, days: usize| -> Vec<_> {
        let seen = day(from).iter_days().take(days);
        seen.filter_map(|on| life.at(noon(&on.to_string()), 0).warned.map(|warned| (on.to_string(), warned)))
            .collect()
    };
    // The loss would come on 1 August, so the warning comes 40 days before, in the quarter that is reviewed.
    let expected = ("2026-06-22".to_owned(), (40, day("2026-08-01")));
    assert_eq!(warnings(&mut life, "2026-05-06", 87), [expected]);
    assert_eq!(life.on("2026-08-01", 0), 1);
    let next = ("2026-09-22".to_owned(), (100, day("2026-11-01")));
    assert_eq!(
        warnings(&mut life, "2026-08-02", 200),
        [next],
        "once more, and the lowest tier cannot be lost"
    );
}

#[test]
fn who_has_enough_is_not_warned_until_a_refund_takes_it() {
    let mut life = with_grace();
    life.on("2026-05-06", 40);
    assert_eq!(life.at(noon("2026-06-25"), 0).warned, None);
    life.history.refund(day("2026-05-06"), Money::new(15.into()));
    assert_eq!(life.at(noon("2026-06-26"), 0).warned, Some((15, day("2026-08-01"))));
    life.history.refund(day("2026-05-05"), Money::new(15.into()));
    assert_eq!(life.at(noon("2026-06-27"), 0).warned, None, "once");
}

#[test]
fn the_warning_of_a_rolling_window_knows_what_will_drop_out_of_it() {
    let loss = Loss { warn_days: Some(5), ..LOSS };
    let policy = TierPolicy { downgrade: Downgrade::AtReview(loss), ..policy(rolling(Window::Days(30))) };
    let mut life = Life::new(policy, "2026-03-01");
    life.on("2026-03-02", 60);
    life.on("2026-03-20", 60);
    assert_eq!(life.at(noon("2026-03-27"), 0).warned, Some((40, day("2026-04-01"))));
}

#[test]
fn a_grace_of_a_rolling_window_is_announced_once_and_ends_when_it_was_said_to() {
    let loss = Loss { grace_days: 5, warn_days: Some(8), ..LOSS };
    let policy = TierPolicy { downgrade: Downgrade::AtReview(loss), ..policy(rolling(Window::Days(30))) };
    let mut life = Life::new(policy, "2026-03-01");
    life.on("2026-03-02", 100);
    let seen: Vec<_> =
        day("2026-03-20").iter_days().take(20).map(|on| life.at(noon(&on.to_string()), 0)).collect();
    let warnings: Vec<_> = seen.iter().enumerate().filter_map(|(n, seen)| Some((n, seen.warned?))).collect();
    assert_eq!(warnings, [(9, (100, day("2026-04-06")))]);
    assert_eq!(seen.iter().position(|seen| seen.rank == 0), Some(17), "on 6 April");
}

#[test]
fn a_review_that_was_missed_is_done_once() {
    let mut life = Life::new(policy(Period::Calendar(CalendarUnit::Month)), "2026-01-05");
    life.on("2026-01-05", 500);
    assert_eq!(life.on("2026-12-05", 0), 1);
    let mut open = Life::new(policy(rolling(Window::Days(30))), "2026-01-05");
    open.on("2026-01-05", 500);
    assert_eq!(open.on("2026-12-05", 0), 1);
    let grace = Downgrade::AtReview(Loss { grace_days: 5, ..LOSS });
    life.policy.downgrade = grace;
    assert_eq!(life.on("2027-03-20", 0), 0, "its grace is over too");
}

#[test]
fn an_edited_period_judges_only_at_its_own_ends() {
    let mut life = Life::new(policy(Period::Calendar(CalendarUnit::Month)), "2026-01-05");
    life.on("2026-02-05", 500);
    life.policy.period = Period::Calendar(CalendarUnit::Year);
    assert_eq!(life.on("2026-03-01", 0), 2, "no end of a year");
    assert_eq!(life.progress("2026-03-01").period_end, day("2027-01-01"));
    life.policy.period = Period::Calendar(CalendarUnit::Month);
    assert_eq!(life.progress("2026-03-01").period_end, day("2027-01-01"));
    life.on("2026-03-02", 0);
    assert_eq!(life.progress("2026-03-02").period_end, day("2026-04-01"));
    assert_eq!(life.on("2026-04-01", 0), 1);
}

#[test]
fn visits_and_points_are_counted_likewise() {
    for (metric, visits, rank) in [(Metric::Visits, 3, 1), (Metric::Points, 3, 0), (Metric::Points, 100, 1)] {
        let thresholds = [0, if metric == Metric::Visits { 3 } else { 100 }].map(Decimal::from).to_vec();
        let policy = TierPolicy { metric, thresholds, ..policy(Period::Calendar(CalendarUnit::Year)) };
        let mut life = Life::new(policy, "2026-01-05");
        for _ in 0..visits {
            life.history.visit(day("2026-01-05"), Money::ZERO);
            life.history.earn(day("2026-01-05"), 1);
        }
        assert_eq!(life.on("2026-01-06", 0), rank, "{metric:?}");
    }
}

#[test]
fn a_day_ends_when_it_ends_in_the_chains_zone() {
    let mut life = Life::new(policy(Period::Calendar(CalendarUnit::Year)), "2026-01-05");
    life.on("2026-01-05", 100);
    life.on("2027-01-05", 0);
    let new_year: Timestamp = "2028-01-01T05:00:00Z".parse().unwrap();
    assert_eq!(life.at(new_year - Duration::microseconds(1), 0).rank, 1);
    assert_eq!(life.at(new_year, 0).rank, 0);
}

#[test]
fn a_footing_stays_small_and_comes_back_from_json() {
    let mut life = with_grace();
    life.on("2026-06-25", 0);
    life.on("2026-07-02", 0);
    let json = serde_json::to_string(&life.footing).unwrap();
    assert!(json.len() < 250, "{json}");
    assert_eq!(serde_json::from_str::<Footing>(&json).unwrap(), life.footing);
}

/// Tiers reckoned from every single amount, one day after the other.
struct Naive<'a> {
    amounts: &'a [(NaiveDate, i64)],
    loss: Loss,
    upgrade: Upgrade,
    unit: CalendarUnit,
}

impl Naive<'_> {
    fn sum(&self, first: NaiveDate, until: NaiveDate) -> i64 {
        self.amounts.iter().filter(|(on, _)| *on >= first && *on < until).map(|(_, amount)| amount).sum()
    }

    fn ranks(&self, from: NaiveDate, days: usize) -> Vec<usize> {
        let enough = |sum: i64| [100, 500].iter().filter(|wanted| sum >= **wanted).count();
        let is_first = |on: NaiveDate| on.day() == 1 && on.month0().is_multiple_of(self.unit.months());
        let (mut rank, mut first, mut grace) = (0, from, None::<(NaiveDate, NaiveDate)>);
        let mut ranks = Vec::new();
        for on in from.iter_days().take(days) {
            let lose = |rank: usize, deserved: usize| match self.loss.step {
                Step::One if deserved < rank => rank - 1,
                _ => deserved.min(rank),
            };
            if let Some((begun, until)) = grace
                && on == until
            {
                rank = lose(rank, enough(self.sum(begun, on)));
                grace = None;
            }
            if is_first(on) && on != from {
                let deserved = enough(self.sum(first, on));
                if deserved > rank && self.upgrade == Upgrade::PeriodEnd {
                    rank = deserved;
                } else if deserved < rank && self.loss.grace_days > 0 {
                    grace = Some((first, on + Days::new(self.loss.grace_days.into())));
                } else {
                    rank = lose(rank, deserved);
                }
                first = on;
            }
            let tomorrow = on.succ_opt().unwrap();
            if grace.is_some_and(|(begun, _)| enough(self.sum(begun, tomorrow)) >= rank) {
                grace = None;
            }
            let deserved = enough(self.sum(first, tomorrow));
            if self.upgrade == Upgrade::AtOnce && deserved > rank {
                (rank, grace) = (deserved, None);
            }
            ranks.push(rank);
        }
        ranks
    }
}

#[test]
fn a_grace_at_whose_end_the_program_asks_for_less_costs_nothing() {
    let yearly = policy(Period::Calendar(CalendarUnit::Year));
    let loss = Loss { grace_days: 30, ..LOSS };
    let mut life = Life::new(TierPolicy { downgrade: Downgrade::AtReview(loss), ..yearly }, "2025-06-01");
    assert_eq!(life.on("2025-07-01", 120), 1);
    assert_eq!(life.on("2026-06-01", 40), 1);
    assert_eq!((life.on("2027-01-02", 0), life.footing.grace.is_some()), (1, true));
    life.policy.thresholds[1] = Decimal::from(40);
    assert_eq!((life.on("2027-02-15", 0), life.footing.grace), (1, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Woken only by what happens and at its own deadlines, the machine agrees with a reckoning of every day.
    #[test]
    fn the_machine_agrees_with_a_reckoning_of_every_day(
        begin in 0_u64..1_500,
        amounts in prop::collection::vec((0_u64..700, 1_i64..400), 0..25),
        step in prop_oneof![Just(Step::One), Just(Step::ByBalance)],
        upgrade in prop_oneof![Just(Upgrade::AtOnce), Just(Upgrade::PeriodEnd)],
        unit in prop_oneof![Just(CalendarUnit::Month), Just(CalendarUnit::Quarter), Just(CalendarUnit::Half), Just(CalendarUnit::Year)],
        grace_days in prop_oneof![Just(0_u32), 1_u32..28],
        warn_days in prop::option::of(0_u32..40),
    ) {
        let zone = ZONE;
        let from = day("2023-01-01") + Days::new(begin);
        // At least one day from the first to the last: the member enrols on the first.
        let mut amounts: Vec<_> = amounts.into_iter().map(|(n, amount)| (from + Days::new(n), amount)).collect();
        amounts.sort_unstable();
        let loss = Loss { step, grace_days, warn_days };
        let naive = Naive { amounts: &amounts, loss, upgrade, unit }.ranks(from, 720);

        let policy = TierPolicy { upgrade, downgrade: Downgrade::AtReview(loss), ..policy(Period::Calendar(unit)) };
        let mut life = Life::new(policy, &from.to_string());
        life.at(life.enrolled_at, 0);
        let mut warned = std::collections::BTreeSet::new();
        for (on, naive) in from.iter_days().zip(naive) {
            let (begins, ends) = (start_of_day(zone, on), start_of_day(zone, on.succ_opt().unwrap()));
            let mut now = begins.max(life.enrolled_at) - Duration::microseconds(1);
            let wake = |life: &Life, now| {
                let (assessor, footing) = life.assessor();
                assessor.deadline(life.rank, &footing, now).filter(|at| *at < ends)
            };
            let mut look = |life: &mut Life, now, amount| {
                let before = life.rank;
                let seen = life.at(now, amount);
                if let Some((missing, lost)) = seen.warned {
                    assert!(missing > 0 && lost > on && warned.insert(lost), "{on}: warned of {lost} twice");
                }
                before
            };
            while let Some(at) = wake(&life, now) {
                look(&mut life, at, 0);
                now = at;
            }
            for (_, amount) in amounts.iter().filter(|(of, _)| *of == on) {
                look(&mut life, now.max(begins) + Duration::hours(1), *amount);
            }
            prop_assert_eq!(life.rank, naive, "on {}", on);
        }
        // Whoever lost a tier had been told so, when telling was wanted and there was time to tell.
        prop_assert!(warn_days.is_some() || warned.is_empty());
    }
}
