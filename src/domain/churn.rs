//! Who will not come back: how likely a member stays away for the chain's whole horizon.
//!
//! The model is MBG/NBD (Batislam, Denizel and Filiztekin, 2007): guests come at rates that differ from guest to guest,
//! and after each visit some never return. It needs three numbers of a member ([`Summary`]), is fitted per chain on its
//! own log ([`Parameters::fit`]) and is worth what its [`ReportCard`] says: the same model, fitted on the time before the
//! horizon, compared with what its members did since.
//!
//! What we publish is the probability of *no visit within the horizon*, not 1 − P(alive), which most tutorials call
//! churn: a guest who comes once a year is alive and will still not be seen this month, and the best-known model of the
//! family, BG/NBD, calls every guest who came once alive.
//!
//! Here, and nowhere else in the domain, numbers are floats. So that the same log gives the same bytes on every machine,
//! logarithms and exponentials come from `libm` (the standard library leaves theirs to the platform), sums run over
//! sorted summaries, and what is kept is rounded ([`significant`]). No points or money are ever computed from them; rules
//! and events see a [`Decimal`].

mod foresight;
mod learned;
mod minimise;
mod observations;
mod parameters;
mod report_card;
mod sample;
mod summary;

#[cfg(test)]
mod cdnow;
#[cfg(test)]
mod simulation;

use std::num::NonZeroU16;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::visited::VisitedDays;

pub use foresight::Foresight;
pub use learned::{Learned, Lesson, TooLittle};
pub use observations::Observations;
pub use parameters::{Fit, Parameters, Refusal};
pub use report_card::{Calibration, Decile, ReportCard};
pub use sample::Sample;
pub use summary::{Summary, Tally};

/// A number from 0 to 1. Never NaN.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Probability(f64);

impl Probability {
    /// Takes what rounding may have pushed over the edge. What is no number at all says nothing: one half.
    fn new(value: f64) -> Self {
        Self(if value.is_nan() { 0.5 } else { value.clamp(0.0, 1.0) })
    }

    /// As a float.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// As rules and events show it: to four places.
    pub fn to_decimal(self) -> Decimal {
        Decimal::new((self.0 * 10_000.0).round() as i64, 4)
    }
}

/// What a chain's log says about its guests' coming back: a value to store, and to ask about any member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChurnModel {
    /// What was fitted.
    pub parameters: Parameters,
    /// How many days "stays away" means.
    pub horizon_days: NonZeroU16,
    /// When it was fitted.
    pub fitted_at: Timestamp,
    /// The first day on which anybody came.
    pub from: NaiveDate,
    /// The last day that it knows of.
    pub to: NaiveDate,
    /// On how many members.
    pub members: u64,
    /// On how many visits; several on one day are one.
    pub visits: u64,
    /// How well it explains them: the natural logarithm of their likelihood.
    pub log_likelihood: f64,
    /// How it does on what it has not seen.
    pub calibration: Calibration,
}

impl ChurnModel {
    /// Fits a chain's model, and judges it by a second one, fitted on the time before the last horizon.
    ///
    /// # Errors
    /// When there is too little to learn from; see [`Refusal`].
    pub fn fit(observed: &Observations, fitted_at: Timestamp) -> Result<Self, Refusal> {
        let fit = Parameters::fit(observed.until_today())?;
        Ok(Self {
            parameters: fit.parameters,
            horizon_days: observed.horizon_days(),
            fitted_at,
            from: observed.since().unwrap_or(observed.today()),
            to: observed.today(),
            members: observed.until_today().members(),
            visits: observed.until_today().visits(),
            log_likelihood: fit.log_likelihood,
            calibration: Calibration::of(observed),
        })
    }

    /// How likely a member who came on these days does not come within the horizon after `today`.
    ///
    /// What cannot be, such as a first visit after the last, is read as the nearest that can.
    pub fn churn_probability(&self, visited: VisitedDays, today: NaiveDate) -> Probability {
        self.parameters.no_visit_within(self.horizon_days, Summary::of(visited, today))
    }
}

/// A number to nine significant digits: more than any log can tell, and few enough that JSON gives back the same bits.
fn significant(value: f64) -> f64 {
    format!("{value:.8e}").parse().unwrap_or(value)
}

#[cfg(test)]
impl ChurnModel {
    /// A small one, for tests.
    pub(crate) fn example() -> Self {
        Self {
            parameters: Parameters::new(0.5, 6.0, 0.9, 1.6).unwrap(),
            horizon_days: NonZeroU16::new(70).unwrap(),
            fitted_at: "2026-03-01T05:00:00Z".parse().unwrap(),
            from: "2026-01-01".parse().unwrap(),
            to: "2026-02-28".parse().unwrap(),
            members: 200,
            visits: 400,
            log_likelihood: -1_000.0,
            calibration: Calibration::Unknown(Refusal::Undecided),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_a_number_from_0_to_1() {
        let shown =
            [0.25, -1e-17, 1.0 + 1e-15, f64::INFINITY, f64::NAN].map(|value| Probability::new(value).get());
        assert_eq!(shown, [0.25, 0.0, 1.0, 1.0, 0.5]);
        assert_eq!(Probability::new(0.123_456).to_decimal().to_string(), "0.1235");
    }

    #[test]
    fn a_member_is_asked_about_by_visited_days_and_today() {
        let model = ChurnModel::example();
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let (first, last) = (day("2026-01-01"), day("2026-03-12")); // 10 weeks later
        let visited = VisitedDays { first, last, count: 3 };
        let asked = |today| model.churn_probability(visited, day(today)).to_decimal().to_string();
        // a/(b+x) · (26/16)^2.5 = .8415, so alive .5430; comes not within 10 weeks (26/36)^2.5 = .4433
        assert_eq!(asked("2026-05-21"), "0.6977");
        assert!(asked("2026-03-12") < asked("2026-05-21"));
    }
}
