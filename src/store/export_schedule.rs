//! Export schedules.

use diesel::prelude::*;

use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::export_schedules;
use crate::domain::chain::ChainId;
use crate::domain::export_schedule::ExportSchedule;
use crate::domain::ids::ExportScheduleId;
use crate::domain::json::to_json;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = export_schedules)]
struct ScheduleRow {
    chain: String,
    id: String,
    settings: String,
    created_at: i64,
}

impl ScheduleRow {
    fn of(schedule: &ExportSchedule) -> Self {
        Self {
            chain: schedule.chain.to_string(),
            id: schedule.id.to_string(),
            settings: to_json(&schedule.settings),
            created_at: schedule.created_at.timestamp_micros(),
        }
    }

    fn read(self) -> Result<ExportSchedule, StoreError> {
        let row = Row { table: "export_schedules", id: &self.id };
        Ok(ExportSchedule {
            id: row.parse("id", &self.id)?,
            chain: row.parse("chain", &self.chain)?,
            settings: row.json("settings", &self.settings)?,
            created_at: row.time("created_at", self.created_at)?,
        })
    }
}

/// Stores a new schedule, unless the chain has `most` already. Answers whether it did.
pub fn insert(conn: &mut DbConn, schedule: &ExportSchedule, most: usize) -> Result<bool, StoreError> {
    let known: i64 = export_schedules::table
        .filter(export_schedules::chain.eq(schedule.chain.as_str()))
        .count()
        .get_result(conn)?;
    if usize::try_from(known).is_ok_and(|known| known >= most) {
        return Ok(false);
    }
    diesel::insert_into(export_schedules::table)
        .values(ScheduleRow::of(schedule))
        .execute(conn)
        .map_err(|e| StoreError::taken(e, "export schedule", schedule.id))?;
    Ok(true)
}

/// Deletes a schedule. Answers what it was, if there was one.
pub fn delete(
    conn: &mut DbConn,
    chain: &ChainId,
    id: ExportScheduleId,
) -> Result<Option<ExportSchedule>, StoreError> {
    let place = || export_schedules::table.find((chain.as_str(), id.to_string()));
    let row = place().select(ScheduleRow::as_select()).get_result(conn).optional()?;
    let Some(row) = row else { return Ok(None) };
    let deleted = diesel::delete(place()).execute(conn)?;
    if deleted == 1 { row.read().map(Some) } else { Ok(None) }
}

/// A chain's schedules, newest first.
pub fn list(conn: &mut DbConn, chain: &ChainId) -> Result<Vec<ExportSchedule>, StoreError> {
    let rows = export_schedules::table
        .filter(export_schedules::chain.eq(chain.as_str()))
        .select(ScheduleRow::as_select())
        .order(export_schedules::id.desc())
        .load(conn)?;
    rows.into_iter().map(ScheduleRow::read).collect()
}
