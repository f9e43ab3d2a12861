//! What a chain has learned so far, and when it learns again.

use std::sync::Arc;

use chrono::{Days, NaiveDate};
use chrono_tz::Tz;

use super::{ChurnModel, Foresight, Refusal};
use crate::domain::Timestamp;
use crate::domain::terms::churn::{ChurnTerms, Refit};
use crate::domain::terms::wallet::start_of;

/// What came of the chain's log.
#[derive(Debug, Clone, Default)]
pub struct Learned {
    /// What decisions are made by: the last model, even if there was too little for a newer one.
    pub foresight: Foresight,
    /// What there was last too little in to learn from, if no model was fitted since.
    pub refused: Option<TooLittle>,
}

/// A look at the log of which no model came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLittle {
    /// When.
    pub at: Timestamp,
    /// The last day that was looked at.
    pub last: NaiveDate,
    /// What was missing.
    pub why: Refusal,
}

impl TooLittle {
    /// What people are told of it.
    pub fn in_words(&self) -> String {
        self.why.by_the_end_of(self.last)
    }
}

/// What came of one look at the log.
#[derive(Debug, Clone)]
pub enum Lesson {
    /// A model.
    Model(Arc<ChurnModel>),
    /// Too little to learn from.
    Refused(TooLittle),
}

impl Learned {
    /// Takes note of it. A model that is there stays until there is a better one.
    pub fn take(&mut self, lesson: Lesson) {
        match lesson {
            Lesson::Model(model) => *self = Self { foresight: Foresight::Model(model), refused: None },
            Lesson::Refused(too_little) => self.refused = Some(too_little),
        }
    }

    /// When the log is to be looked at again: `None` when only a person says so. At once when it never was, and when the
    /// model answers another question than the program asks; else with a day of the chain's calendar.
    pub fn next_fit(&self, terms: &ChurnTerms, zone: Tz) -> Option<Timestamp> {
        let Refit::Every(days) = terms.refit else { return None };
        let model = self.foresight.model();
        let last = match (self.refused, model) {
            (Some(too_little), _) => too_little.at,
            (None, Some(model)) if model.horizon_days == terms.horizon.days() => model.fitted_at,
            (None, _) => return Some(Timestamp::UNIX_EPOCH),
        };
        let day = last.with_timezone(&zone).date_naive();
        start_of(day.checked_add_days(Days::new(days.get().into()))?, zone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn refused(text: &str) -> Lesson {
        Lesson::Refused(TooLittle { at: at(text), last: at(text).date_naive(), why: Refusal::Undecided })
    }

    /// In New York, where days begin at five in the morning of ours.
    fn next(learned: &Learned, terms: &ChurnTerms) -> Option<Timestamp> {
        learned.next_fit(terms, chrono_tz::America::New_York)
    }

    #[test]
    fn a_log_is_looked_at_at_once_and_then_every_so_many_days() {
        let weekly = ChurnTerms { horizon: "70 days".parse().unwrap(), refit: "7 days".parse().unwrap() };
        let mut learned = Learned::default();
        assert_eq!(next(&learned, &weekly), Some(Timestamp::UNIX_EPOCH));
        learned.take(refused("2026-02-01T04:59:59Z")); // still January
        assert_eq!(next(&learned, &weekly), Some(at("2026-02-07T05:00:00Z")));
        learned.take(Lesson::Model(ChurnModel::example().into()));
        assert_eq!(next(&learned, &weekly), Some(at("2026-03-08T05:00:00Z")));
        let longer = ChurnTerms { horizon: "71 days".parse().unwrap(), ..weekly };
        assert_eq!(next(&learned, &longer), Some(Timestamp::UNIX_EPOCH), "it answers another question");
        learned.take(refused("2026-03-20T12:00:00Z"));
        assert!(learned.foresight.model().is_some(), "better than none");
        assert_eq!(next(&learned, &longer), Some(at("2026-03-27T04:00:00Z")));
        let never = ChurnTerms { refit: "never".parse().unwrap(), ..weekly };
        assert_eq!(next(&Learned::default(), &never), None);
    }
}
