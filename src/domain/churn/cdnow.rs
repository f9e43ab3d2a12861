//! The model on the log that its literature is written about. The log may not be shipped, so these run on demand:
//!
//! `PUNCHCARD_TEST_DATA=<folder with CDNOW_sample.txt> cargo test --lib churn -- --include-ignored`

#[path = "../../../tests/support/cdnow.rs"]
mod log;

use std::num::NonZeroU16;

use libm::{exp, lgamma};
use sha2::{Digest, Sha256};

use super::minimise::{Vector, minimise};
use super::*;
use crate::domain::visited::VisitedDays;

/// 39 weeks after the end of the calibration, 1997-09-30, with which the literature works.
const END: NaiveDate = NaiveDate::from_ymd_opt(1998, 6, 30).unwrap();
const WEEKS_39: NonZeroU16 = NonZeroU16::new(39 * 7).unwrap();

fn observed() -> Observations {
    let mut observed = Observations::new(END, WEEKS_39);
    log::purchase_days("CDNOW_sample.txt").values().for_each(|days| observed.add_days(days));
    observed
}

fn near(found: &[f64], published: &[f64], within: f64) -> bool {
    found.len() == published.len() && found.iter().zip(published).all(|(a, b)| (a - b).abs() <= within)
}

/// The digest is that of the table which the Python package `lifetimes` ships with the log
/// (`cdnow_customers_summary.csv`): number, x, t_x and T with two decimals.
#[test]
#[ignore = "needs PUNCHCARD_TEST_DATA"]
fn the_summaries_of_all_customers_are_the_published_ones() {
    let observed = observed();
    let table: String = log::purchase_days("CDNOW_sample.txt")
        .iter()
        .map(|(number, days)| {
            let end = observed.calibration_end();
            let visited = VisitedDays::of(days.range(..=end).copied()).unwrap();
            let summary = Summary::of(visited, end);
            let (last, end) = (summary.last_week(), summary.observed_weeks());
            format!("{number},{},{last:.2},{end:.2}\n", summary.repeats())
        })
        .collect();
    assert!(table.starts_with("1,2,30.43,38.86\n2,1,1.71,38.86\n3,0,0.00,38.86\n"), "{}", &table[..80]);
    let digest: String = Sha256::digest(&table).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, "d0bc83c1f256060d743a13efdd278c0f456c480955be8038ed2ae523db9aaeb1");
    let members = observed.until_horizon();
    assert_eq!((members.members(), members.returned(), members.visits()), (2_357, 946, 2_357 + 2_457));
}

/// We count days, the table in print weeks with two decimals: hence the last digits.
#[test]
#[ignore = "needs PUNCHCARD_TEST_DATA"]
fn the_fit_is_the_one_that_others_found() {
    let fit = Parameters::fit(observed().until_horizon()).unwrap();
    assert!(near(&fit.parameters.each(), &[0.52484, 6.18299, 0.89136, 1.61400], 2e-4), "{fit:?}");
    assert!(near(&[fit.log_likelihood], &[-9582.1327], 5e-3), "{fit:?}");
}

#[test]
#[ignore = "needs PUNCHCARD_TEST_DATA"]
fn the_report_card_is_the_measured_one() {
    let Calibration::ReportCard(card) = Calibration::of(&observed()) else { panic!("a report card") };
    assert_eq!(card.members, 2_357);
    assert!(near(&[card.brier, card.log_loss], &[0.161, 0.505], 5e-4), "{card:#?}");
    assert!(near(card.auc.as_slice(), &[0.760], 5e-4), "{card:#?}");
    assert!(near(&[card.base_rate * (1.0 - card.base_rate)], &[0.206], 5e-4), "{card:#?}");
    for decile in &card.reliability {
        assert!((decile.predicted - decile.observed).abs() < 0.15, "{card:#?}");
    }
}

/// 1 − P(alive) is what most tutorials call churn: it says of nearly everybody that they are alive.
#[test]
#[ignore = "needs PUNCHCARD_TEST_DATA"]
fn to_be_alive_is_not_to_come_back() {
    let observed = observed();
    let fit = Parameters::fit(observed.until_horizon()).unwrap();
    let card =
        ReportCard::of(&observed, |member| Probability::new(1.0 - fit.parameters.p_alive(member).get()));
    assert!(near(&[card.brier, card.log_loss], &[0.206, 0.610], 5e-4), "{card:#?}");
    assert!(near(card.auc.as_slice(), &[0.687], 5e-4), "{card:#?}");
}

/// Both models with their likelihoods letter by letter as they are printed, on weeks as they are printed. The elder one
/// is the test of the test: a fit of it was published (Fader, Hardie and Lee, 2005: .243, 4.414, .793, 2.426, −9582.4).
#[test]
#[ignore = "needs PUNCHCARD_TEST_DATA"]
fn the_likelihoods_in_print_have_the_published_fits() {
    let ln_beta = |a: f64, b: f64| lgamma(a) + lgamma(b) - lgamma(a + b);
    let visits = |r: f64, alpha: f64, x: f64| lgamma(r + x) - lgamma(r) + r * libm::log(alpha);
    let bg_nbd = |&[r, alpha, a, b]: &Vector, [x, last, end]: [f64; 3]| {
        let (stayed, left) = (alpha + end, alpha + last);
        let gone = if x > 0.0 { a / (b + x - 1.0) * power(left, -r - x) } else { 0.0 };
        visits(r, alpha, x) + ln_beta(a, b + x) - ln_beta(a, b) + libm::log(power(stayed, -r - x) + gone)
    };
    let mbg_nbd = |&[r, alpha, a, b]: &Vector, [x, last, end]: [f64; 3]| {
        let (stayed, left) = (alpha + end, alpha + last);
        let gone = a / (b + x) * power(left, -r - x);
        visits(r, alpha, x) + ln_beta(a, b + x + 1.0) - ln_beta(a, b)
            + libm::log(power(stayed, -r - x) + gone)
    };
    let (elder, value) = most_likely(bg_nbd);
    assert!(near(&elder, &[0.24259, 4.41353, 0.79289, 2.42575], 5e-5), "{elder:?}");
    assert!(near(&[value], &[-9582.4256], 1e-4), "{value}");
    let (ours, value) = most_likely(mbg_nbd);
    assert!(near(&ours, &[0.52484, 6.18299, 0.89136, 1.61400], 5e-5), "{ours:?}");
    assert!(near(&[value], &[-9582.1327], 1e-4), "{value}");
}

fn power(base: f64, exponent: f64) -> f64 {
    exp(exponent * libm::log(base))
}

/// The parameters under which a log-likelihood of x, t_x and T is greatest, and how great it is.
fn most_likely(one: impl Fn(&Vector, [f64; 3]) -> f64) -> (Vector, f64) {
    let printed = |weeks: f64| (weeks * 100.0).round() / 100.0;
    let members: Vec<_> = observed()
        .until_horizon()
        .iter()
        .map(|(member, count)| {
            let (last, end) = (printed(member.last_week()), printed(member.observed_weeks()));
            ([member.repeats().into(), last, end], f64::from(count))
        })
        .collect();
    let sum = |at: &Vector| members.iter().map(|(member, count)| count * one(at, *member)).sum::<f64>();
    let descent = |logs: &Vector| {
        let moved = |i: usize, by: f64| {
            let mut logs = *logs;
            logs[i] += by;
            -sum(&logs.map(exp)) / 2_357.0
        };
        let slope = |i| (8.0 * (moved(i, 1e-3) - moved(i, -1e-3)) - moved(i, 2e-3) + moved(i, -2e-3)) / 12e-3;
        (moved(0, 0.0), std::array::from_fn(slope))
    };
    let best = minimise([0.0; 4], descent).unwrap().map(exp);
    (best, sum(&best))
}
