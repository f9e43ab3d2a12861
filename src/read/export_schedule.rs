//! Export schedules as outsiders see them.

use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::Serialize;

use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::export_schedule::{ExportSchedule, ExportSettings};
use crate::domain::ids::ExportScheduleId;
use crate::store::export_schedule;

/// A schedule.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ExportSchedule")]
pub struct ExportScheduleView {
    /// Its id.
    pub id: ExportScheduleId,
    /// What, where to, how often.
    #[serde(flatten)]
    pub settings: ExportSettings,
    /// When the next export is due, by the chain's clock.
    pub next_run_at: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
}

impl ExportScheduleView {
    /// A schedule of a chain in this zone, at `now`.
    pub fn of(schedule: ExportSchedule, zone: Tz, now: Timestamp) -> Self {
        Self {
            id: schedule.id,
            next_run_at: schedule.settings.frequency.next_run(zone, now),
            settings: schedule.settings,
            created_at: schedule.created_at,
        }
    }
}

impl Reader {
    /// A chain's schedules, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn export_schedules(
        &self,
        chain: ChainId,
        zone: Tz,
        now: Timestamp,
    ) -> Result<Vec<ExportScheduleView>, ReadError> {
        let found = self.run(move |conn| Ok(export_schedule::list(conn, &chain)?)).await?;
        Ok(found.into_iter().map(|schedule| ExportScheduleView::of(schedule, zone, now)).collect())
    }
}
