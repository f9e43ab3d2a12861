//! Integrations as outsiders see them: never what lets us in there.

use schemars::JsonSchema;
use serde::Serialize;

use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::export_schedule::ExportDataType;
use crate::domain::ids::IntegrationId;
use crate::domain::integration::{Integration, Platform, Sync};
use crate::store::integration;

/// How an integration does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationStatus {
    /// It is configured; nothing was kept in step yet.
    Configured,
}

/// An integration.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Integration")]
pub struct IntegrationView {
    /// Its id.
    pub id: IntegrationId,
    /// With whom.
    pub platform: Platform,
    /// How it does.
    pub status: IntegrationStatus,
    /// What was asked for.
    pub sync: Sync,
    /// The kinds of data that are kept in step.
    pub synced_data_types: Vec<ExportDataType>,
    /// When that was last done.
    pub last_sync_at: Option<Timestamp>,
    /// When it was configured first.
    pub created_at: Timestamp,
    /// When it was configured last.
    pub updated_at: Timestamp,
}

impl From<Integration> for IntegrationView {
    fn from(integration: Integration) -> Self {
        let Integration { id, chain: _, platform, sync, created_at, updated_at } = integration;
        Self {
            id,
            platform,
            status: IntegrationStatus::Configured,
            sync,
            synced_data_types: sync.data_types(),
            last_sync_at: None,
            created_at,
            updated_at,
        }
    }
}

impl Reader {
    /// A chain's integrations, by platform.
    ///
    /// # Errors
    /// The store failed.
    pub async fn integrations(&self, chain: ChainId) -> Result<Vec<IntegrationView>, ReadError> {
        let found = self.run(move |conn| Ok(integration::list(conn, &chain)?)).await?;
        Ok(found.into_iter().map(Into::into).collect())
    }
}
