//! What a chain's log says about its guests' coming back, as outsiders see it.

use chrono::{Days, NaiveDate};
use schemars::JsonSchema;
use serde::Serialize;

use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::churn::{Calibration, ChurnModel, Learned, Parameters, ReportCard};
use crate::domain::terms::churn::{ChurnTerms, Refit};
use crate::store;

/// The model in force, how well it does, and when there will be another.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Churn")]
pub struct ChurnView {
    /// What the program asks: staying away for so many days.
    horizon_days: u16,
    /// After how many days the model is fitted anew; `null` = when a person asks for it.
    refit_days: Option<u16>,
    /// When it is fitted next.
    next_fit_at: Option<Timestamp>,
    /// The one in force; `null` = there was never enough to learn from.
    model: Option<ModelView>,
    /// Why the last fit gave none.
    refused: Option<RefusalView>,
    /// Those before it, newest first.
    earlier: Vec<EarlierView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChurnModel")]
struct ModelView {
    fitted_at: Timestamp,
    horizon_days: u16,
    from: NaiveDate,
    to: NaiveDate,
    members: u64,
    visits: u64,
    parameters: Parameters,
    log_likelihood: f64,
    /// `null` = the time before the last horizon taught too little for a second model.
    report_card: Option<ReportCardView>,
    /// Why there is none.
    no_report_card: Option<RefusalView>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChurnReportCard")]
struct ReportCardView {
    #[serde(flatten)]
    card: ReportCard,
    /// What saying `base_rate` of everybody would get.
    base_rate_brier: f64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChurnRefusal")]
struct RefusalView {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    code: &'static str,
    reason: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "EarlierChurnModel")]
struct EarlierView {
    fitted_at: Timestamp,
    horizon_days: u16,
    members: u64,
    parameters: Parameters,
    brier: Option<f64>,
    auc: Option<f64>,
    log_loss: Option<f64>,
}

impl Reader {
    /// What was learned, with the models of before.
    ///
    /// # Errors
    /// The store failed.
    pub async fn churn(
        &self,
        chain: ChainId,
        terms: ChurnTerms,
        learned: &Learned,
        next_fit_at: Option<Timestamp>,
    ) -> Result<ChurnView, ReadError> {
        let in_force = learned.foresight.model();
        let stored = self.run(move |conn| Ok(store::churn::list(conn, &chain)?)).await?;
        let earlier = stored.iter().filter(|m| in_force.is_some_and(|now| m.fitted_at < now.fitted_at));
        Ok(ChurnView {
            horizon_days: terms.horizon.days().get(),
            refit_days: match terms.refit {
                Refit::Every(days) => Some(days.get()),
                Refit::Never => None,
            },
            next_fit_at,
            model: in_force.map(|model| ModelView::from(&**model)),
            refused: learned.refused.map(|refused| RefusalView {
                at: Some(refused.at),
                code: refused.why.code(),
                reason: refused.in_words(),
            }),
            earlier: earlier.map(EarlierView::from).collect(),
        })
    }
}

impl From<&ChurnModel> for ModelView {
    fn from(model: &ChurnModel) -> Self {
        let (report_card, no_report_card) = match &model.calibration {
            Calibration::ReportCard(card) => (Some(card.clone().into()), None),
            Calibration::Unknown(why) => {
                let horizon = Days::new(model.horizon_days.get().into());
                let last = model.to.checked_sub_days(horizon).unwrap_or(NaiveDate::MIN);
                let view = RefusalView { at: None, code: why.code(), reason: why.by_the_end_of(last) };
                (None, Some(view))
            }
        };
        Self {
            fitted_at: model.fitted_at,
            horizon_days: model.horizon_days.get(),
            from: model.from,
            to: model.to,
            members: model.members,
            visits: model.visits,
            parameters: model.parameters,
            log_likelihood: model.log_likelihood,
            report_card,
            no_report_card,
        }
    }
}

impl From<ReportCard> for ReportCardView {
    fn from(card: ReportCard) -> Self {
        Self { base_rate_brier: card.base_rate * (1.0 - card.base_rate), card }
    }
}

impl From<&ChurnModel> for EarlierView {
    fn from(model: &ChurnModel) -> Self {
        let card = match &model.calibration {
            Calibration::ReportCard(card) => Some(card),
            Calibration::Unknown(_) => None,
        };
        Self {
            fitted_at: model.fitted_at,
            horizon_days: model.horizon_days.get(),
            members: model.members,
            parameters: model.parameters,
            brier: card.map(|card| card.brier),
            auc: card.and_then(|card| card.auc),
            log_loss: card.map(|card| card.log_loss),
        }
    }
}
