//! The churn models that were fitted on a chain's log, the last of them.

use diesel::prelude::*;

use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::churn_models;
use crate::domain::chain::ChainId;
use crate::domain::churn::ChurnModel;
use crate::domain::json::to_json;

/// How many models of a chain are kept: half a year of weeks.
pub const KEPT: i64 = 26;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = churn_models, treat_none_as_default_value = false)]
struct ModelRow {
    chain: String,
    fitted_at: i64,
    from_day: String,
    to_day: String,
    horizon_days: i64,
    members: i64,
    visits: i64,
    parameters: String,
    log_likelihood: f64,
    calibration: String,
}

impl ModelRow {
    fn of(chain: &ChainId, model: &ChurnModel) -> Self {
        Self {
            chain: chain.to_string(),
            fitted_at: model.fitted_at.timestamp_micros(),
            from_day: model.from.to_string(),
            to_day: model.to.to_string(),
            horizon_days: model.horizon_days.get().into(),
            members: model.members as i64,
            visits: model.visits as i64,
            parameters: to_json(&model.parameters),
            log_likelihood: model.log_likelihood,
            calibration: to_json(&model.calibration),
        }
    }

    fn read(self) -> Result<ChurnModel, StoreError> {
        let row = Row { table: "churn_models", id: &self.fitted_at.to_string() };
        Ok(ChurnModel {
            parameters: row.json("parameters", &self.parameters)?,
            horizon_days: row
                .check("horizon_days", row.number::<u16>("horizon_days", self.horizon_days)?.try_into())?,
            fitted_at: row.time("fitted_at", self.fitted_at)?,
            from: row.parse("from_day", &self.from_day)?,
            to: row.parse("to_day", &self.to_day)?,
            members: row.number("members", self.members)?,
            visits: row.number("visits", self.visits)?,
            log_likelihood: self.log_likelihood,
            calibration: row.json("calibration", &self.calibration)?,
        })
    }
}

/// Keeps a model, in place of one of the same instant, and forgets those that are too many.
pub fn insert(conn: &mut DbConn, chain: &ChainId, model: &ChurnModel) -> Result<(), StoreError> {
    let row = ModelRow::of(chain, model);
    let of_chain = || churn_models::table.filter(churn_models::chain.eq(chain.as_str()));
    diesel::delete(of_chain().filter(churn_models::fitted_at.eq(row.fitted_at))).execute(conn)?;
    diesel::insert_into(churn_models::table).values(row).execute(conn)?;
    let oldest_kept: Option<i64> = of_chain()
        .order(churn_models::fitted_at.desc())
        .offset(KEPT - 1)
        .limit(1)
        .select(churn_models::fitted_at)
        .get_result(conn)
        .optional()?;
    if let Some(oldest) = oldest_kept {
        diesel::delete(of_chain().filter(churn_models::fitted_at.lt(oldest))).execute(conn)?;
    }
    Ok(())
}

/// The models of a chain, newest first.
pub fn list(conn: &mut DbConn, chain: &ChainId) -> Result<Vec<ChurnModel>, StoreError> {
    newest(conn, chain, KEPT)
}

/// The newest model; `None` before the first.
pub fn latest(conn: &mut DbConn, chain: &ChainId) -> Result<Option<ChurnModel>, StoreError> {
    Ok(newest(conn, chain, 1)?.pop())
}

fn newest(conn: &mut DbConn, chain: &ChainId, limit: i64) -> Result<Vec<ChurnModel>, StoreError> {
    let rows = churn_models::table
        .filter(churn_models::chain.eq(chain.as_str()))
        .select(ModelRow::as_select())
        .order(churn_models::fitted_at.desc())
        .limit(limit)
        .load(conn)?;
    rows.into_iter().map(ModelRow::read).collect()
}
