//! The breaker step by step, and a year of it beside a naive one.

use proptest::prelude::*;

use super::*;
use crate::domain::endpoint::Seconds;

const FAILS: Sign = Sign::Fails { asks: None };
const DAY: i64 = 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + chrono::Duration::seconds(seconds)
}

fn learn(breaker: &mut Breaker, sign: Sign, seconds: i64) -> Option<News> {
    let is_probe = breaker.condition().leave(at(seconds)) == Leave::OneProbe;
    breaker.learn(sign, is_probe, at(seconds), &Failing::default())
}

/// One that has just opened, at 0.
fn opened() -> Breaker {
    let mut breaker = Breaker::default();
    (0..10).for_each(|_| assert_eq!(learn(&mut breaker, FAILS, 0), None));
    breaker
}

#[test]
fn what_blames_the_receiver_as_a_whole_is_told_from_what_does_not() {
    let refused =
        |retry_after: Option<u64>| Verdict::Refused { retry_after: retry_after.map(Duration::from_secs) };
    let fails = |asks: Option<u64>| Sign::Fails { asks: asks.map(Duration::from_secs) };
    for (verdict, status, sign) in [
        (Verdict::Accepted, Some(204), Sign::Takes),
        (Verdict::Gone { accepted: true }, Some(200), Sign::Takes),
        (Verdict::Gone { accepted: false }, Some(410), Sign::Refuses),
        (Verdict::Rejected { why: "abort-message" }, Some(500), Sign::Declines),
        (refused(None), None, fails(None)),
        (refused(None), Some(500), fails(None)),
        (refused(Some(9)), Some(502), fails(None)),
        (refused(None), Some(599), fails(None)),
        (refused(Some(9)), Some(503), fails(Some(9))),
        (refused(Some(9)), Some(429), fails(Some(9))),
        (refused(None), Some(429), fails(None)),
        (refused(Some(u64::MAX)), Some(429), fails(Some(DAY as u64))),
        (refused(Some(9)), Some(404), Sign::Refuses),
        (refused(None), Some(200), Sign::Refuses),
        (refused(None), Some(304), Sign::Refuses),
    ] {
        assert_eq!(Sign::of(&verdict, status), sign, "{verdict:?} {status:?}");
    }
}

#[test]
fn it_opens_at_the_tenth_failure_in_a_row_and_each_probe_that_fails_doubles_the_pause() {
    let mut breaker = Breaker::default();
    for n in 0..9 {
        learn(&mut breaker, FAILS, n);
        assert_eq!(breaker.condition().leave(at(n)), Leave::Freely);
    }
    let mut now = 9;
    for pause in [30, 60, 120, 240, 480, 600, 600, 600] {
        learn(&mut breaker, FAILS, now);
        assert_eq!(breaker.condition().leave(at(now + pause - 1)), Leave::NothingBefore(at(now + pause)));
        assert_eq!(breaker.condition().leave(at(now + pause)), Leave::OneProbe);
        now += pause;
    }
    learn(&mut breaker, Sign::Takes, now);
    assert_eq!(
        (breaker.condition(), breaker.condition().leave(at(now))),
        (Condition::default(), Leave::Freely)
    );
    (0..9).for_each(|_| assert_eq!(learn(&mut breaker, FAILS, now), None));
    assert_eq!(breaker.condition().leave(at(now)), Leave::Freely, "it begins with a clean sheet");
}

#[test]
fn whoever_answers_is_there() {
    for sign in [Sign::Takes, Sign::Declines, Sign::Refuses] {
        let mut breaker = Breaker::default();
        (0..9).for_each(|_| assert_eq!(learn(&mut breaker, FAILS, 0), None));
        learn(&mut breaker, sign, 0);
        (0..9).for_each(|_| assert_eq!(learn(&mut breaker, FAILS, 1), None));
        assert_eq!(breaker.condition().leave(at(1)), Leave::Freely, "{sign:?} breaks the row");
        let mut breaker = opened();
        learn(&mut breaker, sign, 30);
        assert_eq!(breaker.condition().hold, Hold::Free, "{sign:?} closes it");
    }
}

#[test]
fn what_began_before_it_opened_neither_lengthens_the_pause_nor_counts_as_the_probe() {
    let mut breaker = opened();
    for seconds in [1, 29, 30, 31] {
        breaker.learn(FAILS, false, at(seconds), &Failing::default());
    }
    assert_eq!(breaker.condition().hold, Hold::Open { until: at(30), trips: 1 });
    breaker.learn(Sign::Takes, false, at(31), &Failing::default());
    assert_eq!(breaker.condition().hold, Hold::Free);
}

#[test]
fn a_receiver_is_left_alone_for_as_long_as_it_asks() {
    let asks = |seconds| Sign::Fails { asks: Some(Duration::from_secs(seconds)) };
    let mut breaker = Breaker::default();
    learn(&mut breaker, asks(0), 0);
    assert_eq!(breaker.condition().leave(at(0)), Leave::Freely);
    learn(&mut breaker, asks(200), 0);
    learn(&mut breaker, asks(100), 1);
    learn(&mut breaker, FAILS, 2);
    learn(&mut breaker, Sign::Takes, 3);
    assert_eq!(breaker.condition().leave(at(199)), Leave::NothingBefore(at(200)), "a promise is kept");
    assert_eq!(breaker.condition().leave(at(200)), Leave::Freely);
    learn(&mut breaker, Sign::Takes, 200);
    assert_eq!(breaker.condition(), Condition::default());

    let mut breaker = opened();
    breaker.learn(asks(45), false, at(1), &Failing::default());
    assert_eq!(breaker.condition().leave(at(45)), Leave::NothingBefore(at(46)));
    learn(&mut breaker, asks(3_600), 46);
    assert_eq!(breaker.condition().hold, Hold::Open { until: at(46 + 3_600), trips: 2 });
}

#[test]
fn people_are_warned_after_a_day_and_it_is_given_up_after_five_to_the_second() {
    let mut breaker = opened();
    let (mut now, mut told) = (0, Vec::new());
    while told.len() < 2 {
        let Leave::NothingBefore(until) = breaker.condition().leave(at(now)) else { panic!("it is open") };
        let pause = until - at(now);
        now = until.timestamp();
        assert!(pause <= chrono::Duration::minutes(10));
        told.extend(learn(&mut breaker, FAILS, now).map(|news| (now, news)));
    }
    let trouble = Trouble { since: at(0), warned_at: Some(at(DAY)) };
    assert_eq!(told, [(DAY, News::Failing { trouble }), (5 * DAY, News::GivenUp { since: at(0) })]);
    assert_eq!(
        learn(&mut breaker, FAILS, now + 600),
        Some(News::GivenUp { since: at(0) }),
        "until it is disabled"
    );
    assert_eq!(learn(&mut breaker, Sign::Takes, now + 700), Some(News::Recovered { since: at(0) }));
    assert_eq!(learn(&mut breaker, Sign::Takes, now + 701), None);
}

#[test]
fn a_time_in_which_nothing_could_leave_is_held_against_nobody() {
    let mut breaker = Breaker::default();
    breaker.pass_over(chrono::Duration::days(9));
    assert_eq!(breaker.condition(), Condition::default(), "of whom nothing bad is known");
    assert_eq!(learn(&mut breaker, Sign::Refuses, 0), None);
    breaker.pass_over(chrono::Duration::days(3));
    assert_eq!(learn(&mut breaker, Sign::Refuses, 4 * DAY - 1), None);
    let warned = learn(&mut breaker, Sign::Refuses, 4 * DAY);
    assert!(matches!(warned, Some(News::Failing { .. })), "{warned:?}");
    breaker.pass_over(chrono::Duration::days(7));
    assert_eq!(learn(&mut breaker, Sign::Refuses, 15 * DAY - 1), None);
    let since = at(10 * DAY);
    assert_eq!(learn(&mut breaker, Sign::Refuses, 15 * DAY), Some(News::GivenUp { since }));
}

#[test]
fn nothing_is_given_up_without_a_warning_four_days_before() {
    let mut breaker = Breaker::default();
    let told: Vec<_> = [0, 20 * DAY, 24 * DAY - 1, 24 * DAY]
        .into_iter()
        .filter_map(|now| Some((now, learn(&mut breaker, Sign::Refuses, now)?)))
        .collect();
    let trouble = Trouble { since: at(0), warned_at: Some(at(20 * DAY)) };
    assert_eq!(told, [(20 * DAY, News::Failing { trouble }), (24 * DAY, News::GivenUp { since: at(0) })]);
    // What a receiver declines in so many words is no trouble.
    let mut breaker = Breaker::default();
    assert!([0, 20 * DAY, 40 * DAY].iter().all(|now| learn(&mut breaker, Sign::Declines, *now).is_none()));
    assert_eq!(breaker.condition().trouble, None);
}

#[test]
fn a_restart_forgets_nothing_but_the_count_of_a_closed_one() {
    let mut breaker = opened();
    learn(&mut breaker, FAILS, 30);
    let mut again = Breaker::resuming(breaker.condition());
    assert_eq!(again.condition().leave(at(89)), Leave::NothingBefore(at(90)));
    learn(&mut again, FAILS, 90);
    assert_eq!(again.condition().hold, Hold::Open { until: at(90 + 120), trips: 3 });
}

/// All attempts since the last one that was taken, and what they say, reckoned anew each time.
#[derive(Default)]
struct Naive(Vec<(i64, Sign)>);

impl Naive {
    fn learn(&mut self, sign: Sign, now: i64) {
        if sign == Sign::Takes {
            self.0.clear();
        } else {
            self.0.push((now, sign));
        }
    }

    fn since(&self) -> Option<i64> {
        self.0.first().map(|(at, _)| *at)
    }

    fn warned_at(&self, failing: &Failing) -> Option<i64> {
        let due = self.since()? + i64::from(failing.warn_after_s.get());
        self.0.iter().map(|(at, _)| *at).find(|at| *at >= due)
    }

    /// What may leave next, and when.
    fn next(&self, failing: &Failing) -> Option<i64> {
        let failed: Vec<i64> =
            self.0.iter().rev().take_while(|(_, sign)| *sign == FAILS).map(|(at, _)| *at).collect();
        let last = *failed.first()?;
        let pauses = [30, 60, 120, 240, 480];
        let pause = pauses.get(failed.len().checked_sub(10)?).copied().unwrap_or(600);
        let [warn, disable] = [failing.warn_after_s, failing.disable_after_s].map(|s| i64::from(s.get()));
        let since = self.since()?;
        let step = match self.warned_at(failing) {
            None => since + warn,
            Some(warned) => (since + disable).max(warned + disable - warn),
        };
        Some(if step > last { (last + pause).min(step) } else { last + pause })
    }
}

/// What a receiver does for how many seconds.
fn spells() -> impl Strategy<Value = Vec<(i64, Sign)>> {
    let sign = prop_oneof![4 => Just(Sign::Takes), 3 => Just(FAILS), 1 => Just(Sign::Refuses)];
    let length = prop_oneof![1_i64..600, 600_i64..20_000, 20_000_i64..500_000];
    prop::collection::vec((length, sign), 100..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_year_of_a_receiver_that_comes_and_goes_is_as_a_naive_breaker_would_have_it(
        spells in spells(),
        every in 1_000_i64..9_000,
        (warn, disable) in (3_600_u32..100_000, 1_u32..500_000),
    ) {
        const YEAR: i64 = 365 * DAY;
        let failing = Failing {
            warn_after_s: Seconds::of(warn),
            disable_after_s: Seconds::of(warn + disable),
        };
        let mut ends = 0;
        let spells: Vec<_> = spells.into_iter().map(|(length, sign)| { ends += length; (ends, sign) }).collect();
        let sign_at = |now| spells.iter().find(|(end, _)| now < *end).map_or(Sign::Takes, |(_, sign)| *sign);
        let (mut breaker, mut naive, mut now) = (Breaker::default(), Naive::default(), 0);
        while now < YEAR {
            let sign = sign_at(now);
            let is_probe = breaker.condition().leave(at(now)) == Leave::OneProbe;
            let warned = naive.warned_at(&failing);
            let news = breaker.learn(sign, is_probe, at(now), &failing);
            let since = naive.since();
            naive.learn(sign, now);
            let condition = breaker.condition();
            prop_assert_eq!(condition.trouble.map(|trouble| trouble.since), naive.since().map(at));
            prop_assert_eq!(condition.trouble.and_then(|t| t.warned_at), naive.warned_at(&failing).map(at));
            let recovered = since.filter(|_| sign == Sign::Takes && warned.is_some());
            match news {
                Some(News::Recovered { since }) => prop_assert_eq!(Some(since), recovered.map(at)),
                Some(News::Failing { trouble }) => {
                    prop_assert_eq!((warned, trouble.warned_at), (None, Some(at(now))));
                }
                Some(News::GivenUp { since }) => {
                    prop_assert!(now >= warned.unwrap() + i64::from(disable));
                    prop_assert!(at(now) >= since + chrono::Duration::seconds((warn + disable).into()));
                    (breaker, naive) = Default::default(); // somebody enables it again
                }
                None => prop_assert_eq!(recovered, None),
            }
            let leave = match naive.next(&failing) {
                Some(next) => Leave::NothingBefore(at(next)),
                None => Leave::Freely,
            };
            prop_assert_eq!(breaker.condition().leave(at(now)), leave);
            now = naive.next(&failing).unwrap_or(now + every);
        }
    }
}
