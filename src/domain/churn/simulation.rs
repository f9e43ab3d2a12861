//! The model on guests that it describes exactly: made up from known parameters, the same ones on every machine.

use std::collections::BTreeSet;
use std::num::NonZeroU16;

use chrono::{Days, NaiveDate};
use libm::log;
use proptest::prelude::*;

use super::*;

/// SplitMix64: a few lines that will give the same numbers for ever.
struct Random(u64);

impl Random {
    /// From 0 to 1, neither included.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 12) as f64 / (1_u64 << 52) as f64 + 1.0 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, rate: f64) -> f64 {
        -log(self.uniform()) / rate
    }

    /// The sum of so many exponential variables.
    fn gamma(&mut self, shape: u32, rate: f64) -> f64 {
        (0..shape).map(|_| self.exponential(rate)).sum()
    }

    /// The a-th smallest of a + b − 1 uniform variables.
    fn beta(&mut self, a: usize, b: usize) -> f64 {
        let mut uniforms: Vec<_> = (1..a + b).map(|_| self.uniform()).collect();
        uniforms.sort_by(f64::total_cmp);
        uniforms[a - 1]
    }
}

const TODAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 6, 30).unwrap();
const HORIZON: NonZeroU16 = NonZeroU16::new(180).unwrap();

/// Guests with r = 2, α = 24 weeks, a = 2 and b = 5, who came first at some time of the four years before `TODAY`. They
/// come seldom, so that merging the visits of a day blurs little.
fn guests(number: usize) -> impl Iterator<Item = BTreeSet<NaiveDate>> {
    let mut random = Random(3);
    (0..number).map(move |_| {
        let (rate, leaves) = (random.gamma(2, 24.0), random.beta(2, 5));
        let first = TODAY - Days::new((random.uniform() * 1_460.0) as u64);
        let (mut week, mut days) = (0.0, BTreeSet::new());
        loop {
            let day = first + Days::new((week * 7.0) as u64);
            if day > TODAY {
                return days;
            }
            days.insert(day);
            if random.uniform() < leaves {
                return days;
            }
            week += random.exponential(rate);
        }
    })
}

fn observed(guests: impl IntoIterator<Item = BTreeSet<NaiveDate>>) -> Observations {
    let mut observed = Observations::new(TODAY, HORIZON);
    guests.into_iter().for_each(|days| observed.add_days(&days));
    observed
}

fn fitted(guests: impl IntoIterator<Item = BTreeSet<NaiveDate>>) -> Result<ChurnModel, Refusal> {
    ChurnModel::fit(&observed(guests), "2026-07-01T03:00:00Z".parse().unwrap())
}

#[test]
fn known_parameters_are_found_again() {
    let fit = Parameters::fit(observed(guests(100_000)).until_today()).unwrap();
    let [r, alpha, a, b] = fit.parameters.each();
    let near = |found: f64, made_of: f64, within: f64| (found / made_of - 1.0).abs() < within;
    assert!(near(r, 2.0, 0.08) && near(alpha, 24.0, 0.08), "{fit:?}");
    assert!(near(a, 2.0, 0.08) && near(b, 5.0, 0.08), "{fit:?}");
    // What they mean is known better than they are.
    assert!(near(r / alpha, 2.0 / 24.0, 0.02) && near(a / (a + b), 2.0 / 7.0, 0.02), "{fit:?}");
}

#[test]
fn what_is_foretold_comes_true() {
    let Calibration::ReportCard(card) = fitted(guests(20_000)).unwrap().calibration else {
        panic!("a report card");
    };
    for decile in &card.reliability {
        assert!((decile.predicted - decile.observed).abs() < 0.03, "{card:#?}");
    }
    assert!(card.brier < 0.8 * card.base_rate * (1.0 - card.base_rate), "{card:#?}");
    assert!(card.auc.is_some_and(|auc| auc > 0.8), "{card:#?}");
}

const BYTES: &str = r#"{"r":1.89320236,"alpha":22.6865782,"a":1.6881249,"b":4.23135678}"#;

#[test]
fn the_same_log_gives_the_same_bytes_in_any_order_and_on_any_machine() {
    let mut backwards: Vec<_> = guests(1_000).collect();
    backwards.reverse();
    let model = fitted(backwards).unwrap();
    assert_eq!(Ok(&model), fitted(guests(1_000)).as_ref());
    assert_eq!(serde_json::to_string(&model.parameters).unwrap(), BYTES);
}

#[test]
fn a_model_comes_back_from_json_as_it_was() {
    let model = fitted(guests(1_000)).unwrap();
    let json = serde_json::to_string(&model).unwrap();
    assert_eq!(serde_json::from_str::<ChurnModel>(&json).unwrap(), model, "{json}");
    let damaged = json.replacen("\"r\":", "\"r\":-", 1);
    assert!(serde_json::from_str::<ChurnModel>(&damaged).is_err());
}

#[test]
fn too_little_is_refused_with_what_is_missing() {
    let once = |number| (0..number).map(|_| BTreeSet::from([TODAY - Days::new(100)]));
    assert_eq!(fitted(once(0)), Err(Refusal::TooFewMembers { members: 0 }));
    assert_eq!(fitted(once(199)), Err(Refusal::TooFewMembers { members: 199 }));
    assert_eq!(fitted(once(200)), Err(Refusal::TooFewReturned { returned: 0 }));
    let said = Refusal::TooFewMembers { members: 199 }.by_the_end_of("2026-03-02".parse().unwrap());
    assert_eq!(said, "by the end of 2026-03-02, 199 members had come; at least 200 are needed");
}

#[test]
fn a_chain_younger_than_its_horizon_has_a_model_and_no_report_card() {
    let young = guests(4_000).map(|days| days.range(TODAY - Days::new(170)..).copied().collect());
    let model = fitted(young).unwrap();
    assert_eq!(model.calibration, Calibration::Unknown(Refusal::TooFewMembers { members: 0 }));
}

#[test]
fn guests_who_are_all_alike_or_never_leave_are_answered_with_a_model_or_a_refusal() {
    let from = TODAY - Days::new(300);
    let every = |gap: usize| from.iter_days().step_by(gap).take_while(|day| *day <= TODAY).collect();
    let weekly = || (0..300).map(|_| every(7));
    let mixed = (0..300).map(|number| every(1 + number % 28));
    let leavers = (0..300).map(|number| from.iter_days().take(1 + number % 2).collect());
    for guests in [weekly().collect::<Vec<_>>(), mixed.collect(), leavers.collect()] {
        match fitted(guests) {
            Err(why) => assert_eq!(why, Refusal::Undecided),
            Ok(model) => {
                let asked =
                    model.churn_probability(VisitedDays { first: from, last: TODAY, count: 44 }, TODAY).get();
                assert!((0.0..=1.0).contains(&asked), "{model:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Guests unlike any that the model describes.
    #[test]
    fn any_log_gives_a_model_or_a_refusal(
        kinds in prop::collection::vec((1..1_200_u64, prop::collection::vec(0..400_u64, 0..40), 1..120_usize), 3..8),
    ) {
        let guests = kinds.into_iter().flat_map(|(ago, gaps, number)| {
            let mut day = TODAY - Days::new(ago);
            let later = gaps.into_iter().map(|gap| {
                day = day + Days::new(gap);
                day
            });
            let days: BTreeSet<_> = later.chain([TODAY - Days::new(ago)]).collect();
            std::iter::repeat_n(days, number)
        });
        let observed = observed(guests);
        match Parameters::fit(observed.until_today()) {
            Err(Refusal::TooFewMembers { members }) => prop_assert!(members < Parameters::MIN_MEMBERS),
            Err(Refusal::TooFewReturned { returned }) => prop_assert!(returned < Parameters::MIN_RETURNED),
            Err(Refusal::Undecided) => {}
            Ok(fit) => {
                for (member, _) in observed.until_today().iter() {
                    let foretold = fit.parameters.no_visit_within(HORIZON, member).get();
                    prop_assert!((0.0..=1.0).contains(&foretold), "{fit:?}");
                }
            }
        }
    }
}
