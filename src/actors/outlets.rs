//! Where else a chain's data are to go: export schedules and integrations. They are kept; nothing goes by them yet.

use crate::domain::audit::{Action, By, Change, Face};
use crate::domain::chain::ChainId;
use crate::domain::export_schedule::ExportSchedule;
use crate::domain::ids::{ExportScheduleId, IntegrationId};
use crate::domain::integration::{Credentials, Integration};
use crate::store::{audit, export_schedule, integration};

use super::engine::{Engine, EngineError};

impl Engine {
    /// Stores a new export schedule.
    ///
    /// # Errors
    /// `Conflict` when the chain has too many.
    pub async fn create_export_schedule(&self, schedule: ExportSchedule, by: By) -> Result<(), EngineError> {
        let insert = move |engine: Self| async move {
            let change = Change::made(Face::from(&schedule));
            let line = engine.line(by, &schedule.chain, Action::ExportScheduleCreated, schedule.id, change);
            let insert = move |conn: &mut _, _: &_| {
                let is_stored = export_schedule::insert(conn, &schedule, ExportSchedule::MOST)?;
                if is_stored { audit::insert(conn, &line).map(|()| true) } else { Ok(false) }
            };
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
        by: By,
    ) -> Result<(), EngineError> {
        let mut line = self.line(by, chain, Action::ExportScheduleDeleted, id, Change::default());
        let of = chain.clone();
        let delete = move |conn: &mut _, _: &_| {
            let Some(gone) = export_schedule::delete(conn, &of, id)? else { return Ok(false) };
            line.change = Change::gone(Face::from(&gone));
            audit::insert(conn, &line).map(|()| true)
        };
        if self.0.journal.run(delete).await? { Ok(()) } else { Err(EngineError::NotFound("export schedule")) }
    }

    /// Stores an integration, in the place of the one with the same platform. Answers it as it is then.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn configure_integration(
        &self,
        new: Integration,
        credentials: Credentials,
        by: By,
    ) -> Result<Integration, EngineError> {
        let put = move |engine: Self| async move {
            let action = Action::IntegrationConfigured;
            let mut line = engine.line(by, &new.chain, action, new.id, Change::default());
            let put = move |conn: &mut _, vault: &_| {
                let (stored, before) = integration::put(conn, vault, new, &credentials)?;
                let face = Face::from((&stored, Some(&credentials)));
                line.target = stored.id.to_string();
                line.change = match &before {
                    None => Change::made(face),
                    Some((known, theirs)) => Change::between(Face::from((known, theirs.as_ref())), face),
                };
                if !line.change.is_nothing() {
                    audit::insert(conn, &line)?;
                }
                Ok(stored)
            };
            Ok(engine.0.journal.run(put).await?)
        };
        self.carry_out(put).await
    }

    /// Deletes an integration, and with it what let us in there.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_integration(
        &self,
        chain: &ChainId,
        id: IntegrationId,
        by: By,
    ) -> Result<(), EngineError> {
        let mut line = self.line(by, chain, Action::IntegrationDeleted, id, Change::default());
        let of = chain.clone();
        let delete = move |conn: &mut _, vault: &_| {
            let Some((gone, credentials)) = integration::delete(conn, vault, &of, id)? else {
                return Ok(false);
            };
            line.change = Change::gone(Face::from((&gone, credentials.as_ref())));
            audit::insert(conn, &line).map(|()| true)
        };
        if self.0.journal.run(delete).await? { Ok(()) } else { Err(EngineError::NotFound("integration")) }
    }
}
