//! What a decision may ask about a member's coming back.

use std::sync::Arc;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::ChurnModel;
use crate::domain::history::History;

/// What is known about who will stay away. Handed to every decision and asked by few, so it costs nothing until then.
#[derive(Debug, Clone, Default)]
pub enum Foresight {
    /// Nothing: the chain has no model.
    #[default]
    Nothing,
    /// What the chain's model says.
    Model(Arc<ChurnModel>),
    /// The same of everybody, as a test of a rule says.
    Given(Decimal),
}

impl Foresight {
    /// How likely a member does not come within the chain's horizon after `today`, from 0 to 1. `None` when there is no
    /// model, and of somebody who has never come.
    pub fn churn_probability(&self, history: &History, today: NaiveDate) -> Option<Decimal> {
        match self {
            Self::Nothing => None,
            Self::Model(model) => {
                let visited = history.visited_until(today)?;
                Some(model.churn_probability(visited, today).to_decimal())
            }
            Self::Given(probability) => Some(*probability),
        }
    }

    /// The model, if there is one.
    pub fn model(&self) -> Option<&Arc<ChurnModel>> {
        match self {
            Self::Model(model) => Some(model),
            Self::Nothing | Self::Given(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Money;

    #[test]
    fn a_model_is_asked_about_what_was_known_on_the_day() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        let foresight = Foresight::Model(Arc::new(ChurnModel::example()));
        let mut history = History::default();
        assert_eq!(foresight.churn_probability(&history, day("2026-05-21")), None, "never came");
        for visit in ["2026-01-01", "2026-02-05", "2026-03-12", "2026-05-30"] {
            history.visit(day(visit), Money::ZERO);
        }
        let on = |today| foresight.churn_probability(&history, day(today)).map(|p| p.to_string());
        assert_eq!(on("2026-05-21").as_deref(), Some("0.6977")); // as in the test of the model
        assert_eq!(on("2025-12-31"), None);
        assert_eq!(Foresight::Nothing.churn_probability(&history, day("2026-05-21")), None);
        let given = Foresight::Given(Decimal::new(7, 1));
        assert_eq!(given.churn_probability(&History::default(), day("2026-05-21")), Some(Decimal::new(7, 1)));
    }
}
