//! Where else a chain's data are to go: export schedules and integrations. They are kept; nothing goes by them yet.

use crate::domain::chain::ChainId;
use crate::domain::export_schedule::ExportSchedule;
use crate::domain::ids::{ExportScheduleId, IntegrationId};
use crate::domain::integration::{Credentials, Integration};
use crate::store::{export_schedule, integration};

use super::engine::{Engine, EngineError};

impl Engine {
    /// Stores a new export schedule.
    ///
    /// # Errors
    /// `Conflict` when the chain has too many.
    pub async fn create_export_schedule(&self, schedule: ExportSchedule) -> Result<(), EngineError> {
        let insert = move |engine: Self| async move {
            let insert =
                move |conn: &mut _, _: &_| export_schedule::insert(conn, &schedule, ExportSchedule::MOST);
            match engine.0.journal.run(insert).await? {
                true => Ok(()),
                false => {
                    let most = ExportSchedule::MOST;
                    Err(EngineError::Conflict(format!("a chain has at most {most} export schedules")))
                }
            }
        };
        self.carry_out(insert).await
    }

    /// Deletes an export schedule.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_export_schedule(
        &self,
        chain: &ChainId,
        id: ExportScheduleId,
    ) -> Result<(), EngineError> {
        let of = chain.clone();
        let deleted = self.0.journal.run(move |conn, _| export_schedule::delete(conn, &of, id)).await?;
        if deleted { Ok(()) } else { Err(EngineError::NotFound("export schedule")) }
    }

    /// Stores an integration, in the place of the one with the same platform. Answers it as it is then.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn configure_integration(
        &self,
        new: Integration,
        credentials: Credentials,
    ) -> Result<Integration, EngineError> {
        let put = move |engine: Self| async move {
            let put = move |conn: &mut _, vault: &_| integration::put(conn, vault, new, &credentials);
            Ok(engine.0.journal.run(put).await?)
        };
        self.carry_out(put).await
    }

    /// Deletes an integration, and with it what let us in there.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_integration(&self, chain: &ChainId, id: IntegrationId) -> Result<(), EngineError> {
        let of = chain.clone();
        let deleted = self.0.journal.run(move |conn, _| integration::delete(conn, &of, id)).await?;
        if deleted { Ok(()) } else { Err(EngineError::NotFound("integration")) }
    }
}
