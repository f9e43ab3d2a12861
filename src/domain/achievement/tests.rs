use proptest::prelude::*;

use super::*;
use crate::domain::money::Money;
use crate::domain::terms::achievement::{OnRefund, Recurrence, Steps};

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn goal(measure: Measure, target: i64, recurrence: Recurrence) -> Goal {
    Goal { measure, target: target.into(), recurrence, steps: Steps::Told }
}

/// A member who comes, and perhaps did not after all, with one goal.
struct Guest {
    history: History,
    feat: Feat,
    goal: Goal,
}

impl Guest {
    fn new(goal: Goal) -> Self {
        Self { history: History::default(), feat: Feat::default(), goal }
    }

    fn judge(&mut self, day: NaiveDate, on_refund: OnRefund) -> Vec<Verdict> {
        let today = self.history.last_visit().map_or(day, |last| last.max(day));
        let evidence = Evidence { history: &self.history, days: &[day], today, on_refund };
        self.feat.judge(&self.goal, evidence)
    }

    fn comes(&mut self, on: &str) -> usize {
        self.history.visit(day(on), Money::ZERO);
        self.judge(day(on), OnRefund::Keep).len()
    }

    fn did_not_come(&mut self, on: &str) -> usize {
        self.history.unvisit(day(on), Money::ZERO);
        self.judge(day(on), OnRefund::Revoke).len()
    }

    fn progress(&self, today: &str) -> Decimal {
        self.feat.progress(&self.goal, &self.history, day(today))
    }
}

const VISITS: fn(Period) -> Measure = |period| Measure::Sum(Counts::Visits, period);
const AGAIN: Recurrence = Recurrence::EachPeriod { most: None };

#[test]
fn an_achievement_is_earned_as_often_as_it_may_be() {
    for (recurrence, earned) in [
        (Recurrence::Once, [0, 1, 0, 0, 0, 0]),
        (AGAIN, [0, 1, 0, 0, 0, 1]),
        (Recurrence::EachPeriod { most: Some(1) }, [0, 1, 0, 0, 0, 0]),
        (Recurrence::EachTime { most: None }, [0, 1, 0, 1, 0, 1]),
        (Recurrence::EachTime { most: Some(2) }, [0, 1, 0, 1, 0, 0]),
    ] {
        let mut guest = Guest::new(goal(VISITS(Period::Calendar(Unit::Month)), 2, recurrence));
        let days = ["2026-03-01", "2026-03-01", "2026-03-30", "2026-03-31", "2026-04-01", "2026-04-02"];
        assert_eq!(days.map(|day| guest.comes(day)), earned, "{recurrence:?}");
        assert_eq!(guest.progress("2026-04-30"), Decimal::TWO);
        assert_eq!(guest.progress("2026-05-01"), Decimal::ZERO);
    }
}

#[test]
fn what_is_taken_back_is_revoked_and_can_be_earned_again() {
    let mut guest = Guest::new(goal(VISITS(Period::Lifetime), 2, Recurrence::Once));
    assert_eq!((guest.comes("2026-03-01"), guest.comes("2026-03-02")), (0, 1));
    guest.feat.bring(1, &Brought::Points { wallet: Name::parse("points").unwrap(), points: Points(50) });
    guest.history.unvisit(day("2026-03-02"), Money::ZERO);
    let verdicts = guest.judge(day("2026-03-02"), OnRefund::Revoke);
    let brought = vec![Brought::Points { wallet: Name::parse("points").unwrap(), points: Points(50) }];
    assert_eq!((verdicts, guest.feat.times()), (vec![Verdict::Revoked(brought)], 0));
    assert_eq!((guest.comes("2026-03-03"), guest.feat.times()), (1, 1));
    guest.history.unvisit(day("2026-03-03"), Money::ZERO);
    assert_eq!(guest.judge(day("2026-03-03"), OnRefund::Keep), []);
    assert_eq!((guest.comes("2026-03-04"), guest.feat.times()), (0, 1), "kept, so not earned again");
}

#[test]
fn a_rolling_window_counts_any_days_on_end_and_no_day_twice() {
    let mut guest = Guest::new(goal(VISITS(Period::Rolling(7)), 3, AGAIN));
    assert_eq!(["2026-03-01", "2026-03-02", "2026-03-08"].map(|day| guest.comes(day)), [0, 0, 0]);
    assert_eq!(guest.progress("2026-03-08"), Decimal::TWO);
    assert_eq!(guest.comes("2026-03-05"), 1, "a late event completes the window that ends with its day");
    assert_eq!(["2026-03-09", "2026-03-10"].map(|day| guest.comes(day)), [0, 1], "what counted is used up");
    assert_eq!(guest.progress("2026-03-10"), Decimal::ZERO, "on the very day that it was earned, too");
    assert_eq!((guest.did_not_come("2026-03-10"), guest.feat.times()), (1, 1));
}

#[test]
fn a_window_that_would_end_before_one_that_counted_is_not_earned_any_more() {
    let mut guest = Guest::new(goal(VISITS(Period::Rolling(7)), 2, AGAIN));
    assert_eq!(["2026-03-10", "2026-03-11"].map(|day| guest.comes(day)), [0, 1]);
    assert_eq!(["2026-03-01", "2026-03-02"].map(|day| guest.comes(day)), [0, 0]);
    assert_eq!(["2026-03-12", "2026-03-13"].map(|day| guest.comes(day)), [0, 1]);
}

#[test]
fn the_last_three_streaks_can_be_revoked_and_older_ones_stay() {
    let mut guest = Guest::new(goal(Measure::Streak(Unit::Week), 2, AGAIN));
    let mondays = ["2026-01-05", "2026-01-12", "2026-02-02", "2026-02-09", "2026-03-02", "2026-03-09"];
    assert_eq!(mondays.map(|day| guest.comes(day)), [0, 1, 0, 1, 0, 1]);
    assert_eq!(["2026-04-06", "2026-04-13"].map(|day| guest.comes(day)), [0, 1]);
    assert_eq!((guest.did_not_come("2026-01-12"), guest.feat.times()), (0, 4));
    assert_eq!((guest.did_not_come("2026-02-09"), guest.feat.times()), (1, 3));
}

#[test]
fn a_streak_before_all_that_are_remembered_comes_too_late() {
    let mut guest = Guest::new(goal(Measure::Streak(Unit::Week), 2, AGAIN));
    let mondays = ["2026-02-02", "2026-02-09", "2026-03-02", "2026-03-09", "2026-04-06", "2026-04-13"];
    assert_eq!(mondays.map(|day| guest.comes(day)), [0, 1, 0, 1, 0, 1]);
    assert_eq!(["2026-01-05", "2026-01-12"].map(|day| guest.comes(day)), [0, 0]);
    assert_eq!(guest.comes("2026-02-16"), 0, "the oldest that is remembered only grows");
    assert_eq!(guest.feat.times(), 3);
}

#[test]
fn a_streak_of_which_no_visit_is_left_is_revoked() {
    let mut guest = Guest::new(goal(Measure::Streak(Unit::Week), 1, AGAIN));
    assert_eq!(["2026-03-02", "2026-03-16"].map(|day| guest.comes(day)), [1, 1]);
    assert_eq!((guest.did_not_come("2026-03-02"), guest.feat.times()), (1, 1));
}

#[test]
fn a_streak_goes_on_over_gaps_that_are_filled_later_and_breaks_once() {
    let mut guest = Guest::new(goal(Measure::Streak(Unit::Week), 3, Recurrence::Once));
    // Mondays.
    assert_eq!(["2026-03-02", "2026-03-16"].map(|day| guest.comes(day)), [0, 0]);
    assert_eq!(guest.progress("2026-03-16"), Decimal::ONE);
    assert_eq!(guest.comes("2026-03-10"), 1);
    assert_eq!(guest.progress("2026-03-28"), Decimal::from(3), "the week after may still bring a visit");
    assert_eq!(guest.progress("2026-03-30"), Decimal::ZERO);
    assert_eq!(guest.feat.breaks_on(Unit::Week), Some(day("2026-03-30")));
    assert_eq!(guest.feat.find_broken(Unit::Week, day("2026-03-29")), None);
    let broken = Broken { length: 3, last: day("2026-03-16") };
    assert_eq!(guest.feat.find_broken(Unit::Week, day("2026-03-30")), Some(broken));
    assert_eq!(guest.feat.find_broken(Unit::Week, day("2026-03-31")), None);
    assert_eq!(guest.comes("2026-03-24"), 0, "late, but it was not broken after all");
    assert_eq!(guest.feat.find_broken(Unit::Week, day("2026-04-06")).map(|broken| broken.length), Some(4));
}

#[test]
fn a_streak_longer_than_the_history_is_earned_once() {
    let mut guest = Guest::new(goal(Measure::Streak(Unit::Week), 52, AGAIN));
    let mondays = day("2024-01-01").iter_weeks().take(120);
    let earned: usize = mondays.map(|monday| guest.comes(&monday.to_string())).sum();
    assert_eq!((earned, guest.feat.times()), (1, 1));
    assert_eq!(guest.feat.unbroken().map(|(stage, _)| stage.from), Some(day("2024-01-01")));
}

#[test]
fn a_step_is_told_once_and_begins_anew_with_each_period() {
    let mut guest = Guest::new(goal(VISITS(Period::Calendar(Unit::Month)), 9, Recurrence::Once));
    let step = |guest: &mut Guest, on: &str| {
        guest.comes(on);
        guest.feat.step(&guest.goal, &guest.history, day(on))
    };
    assert_eq!(step(&mut guest, "2026-03-01"), Some(Decimal::ONE));
    assert_eq!(guest.feat.step(&guest.goal, &guest.history, day("2026-03-02")), None);
    assert_eq!(step(&mut guest, "2026-04-01"), Some(Decimal::ONE));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut guest =
        Guest::new(goal(VISITS(Period::Calendar(Unit::Day)), 1, Recurrence::EachTime { most: None }));
    for day in day("2025-01-01").iter_days().take(300) {
        for _ in 0..12 {
            guest.comes(&day.to_string());
        }
    }
    assert_eq!(guest.feat.times(), 3_600);
    assert!(guest.feat.stages.len() <= KEPT_PERIODS);
    assert!(serde_json::to_string(&guest.feat).unwrap().len() < 500);
}

#[test]
fn what_two_members_did_is_one_and_comes_apart_again() {
    let own_count = Measure::Sum(Counts::Orders, Period::Calendar(Unit::Month));
    let goal = goal(own_count, 2, Recurrence::EachTime { most: None });
    let feat = |days: &[&str]| {
        let (mut feat, history) = (Feat::default(), History::default());
        for on in days {
            feat.count(Period::Calendar(Unit::Month), day(on), Decimal::ONE);
            let today = day(on);
            feat.judge(
                &goal,
                Evidence { history: &history, days: &[today], today, on_refund: OnRefund::Keep },
            );
        }
        feat
    };
    let (before, other) =
        (feat(&["2026-03-01", "2026-03-02"]), feat(&["2026-03-05", "2026-04-01", "2026-04-02"]));
    let mut survivor = before.clone();
    survivor.join(&other);
    let progress = |feat: &Feat, on: &str| feat.progress(&goal, &History::default(), day(on));
    assert_eq!(
        (survivor.times(), progress(&survivor, "2026-03-31"), progress(&survivor, "2026-04-30")),
        (2, Decimal::from(3), Decimal::TWO)
    );
    let april = day("2026-04-02");
    let again =
        Evidence { history: &History::default(), days: &[april], today: april, on_refund: OnRefund::Revoke };
    assert_eq!(survivor.judge(&goal, again), [], "what the other earned is neither earned again nor lost");
    survivor.part(&other);
    assert_eq!(survivor, before);
    assert_eq!((survivor.times(), progress(&survivor, "2026-03-31")), (1, Decimal::TWO));
    assert_eq!(progress(&survivor, "2026-04-30"), Decimal::ZERO);
}

#[test]
fn what_an_achievement_brought_stays_when_another_member_takes_the_like_of_it_away() {
    let goal = goal(VISITS(Period::Lifetime), 2, Recurrence::Once);
    let brought = Brought::Points { wallet: Name::parse("points").unwrap(), points: Points(50) };
    let [mut survivor, other] = [(); 2].map(|()| {
        let mut guest = Guest::new(goal.clone());
        assert_eq!((guest.comes("2026-03-01"), guest.comes("2026-03-02")), (0, 1));
        guest.feat.bring(1, &brought);
        guest
    });
    survivor.feat.join(&other.feat);
    survivor.feat.part(&other.feat);
    survivor.history.unvisit(day("2026-03-02"), Money::ZERO);
    let verdicts = survivor.judge(day("2026-03-02"), OnRefund::Revoke);
    assert_eq!(verdicts, [Verdict::Revoked(vec![brought])]);
}

proptest! {
    #[test]
    fn progress_and_times_do_not_depend_on_the_order_of_events(
        visits in prop::collection::vec((0_u64..60, any::<bool>()), 1..12),
        seed in any::<u64>(),
        target in 1_i64..4,
    ) {
        let start = day("2026-03-01");
        for period in [Period::Lifetime, Period::Calendar(Unit::Quarter)] {
            let mut guest = Guest::new(goal(VISITS(period), target, Recurrence::EachTime { most: None }));
            let mut left = visits.clone();
            let (mut state, mut taken_back) = (seed, Vec::new());
            while !left.is_empty() || !taken_back.is_empty() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (state >> 33) as usize % (left.len() + taken_back.len());
                let (days, comes) = match at.checked_sub(left.len()) {
                    None => {
                        let (days, goes) = left.remove(at);
                        taken_back.extend(goes.then_some(days));
                        (days, true)
                    }
                    Some(at) => (taken_back.remove(at), false),
                };
                let on = (start + Days::new(days)).to_string();
                if comes { guest.comes(&on) } else { guest.did_not_come(&on) };
            }
            let kept: Vec<_> = visits.iter().filter(|(_, goes)| !goes).map(|(days, _)| start + Days::new(*days)).collect();
            let today = day("2026-04-29");
            let now = kept.iter().filter(|day| first_day(period, **day) == first_day(period, today)).count();
            prop_assert_eq!(guest.feat.progress(&guest.goal, &guest.history, today), Decimal::from(now));
            let of_period = |first: NaiveDate| kept.iter().filter(|day| first_day(period, **day) == first).count();
            let mut periods: Vec<_> = kept.iter().map(|day| first_day(period, *day)).collect();
            periods.sort_unstable();
            periods.dedup();
            let due: usize = periods.into_iter().map(|first| of_period(first) / target as usize).sum();
            prop_assert_eq!(guest.feat.times() as usize, due);
        }
    }
}
