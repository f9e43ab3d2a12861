//! Integrations. What lets us in there is sealed by the vault.

use diesel::prelude::*;

use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::integrations;
use super::vault::Vault;
use crate::domain::chain::ChainId;
use crate::domain::ids::IntegrationId;
use crate::domain::integration::{Credentials, Integration};
use crate::domain::json::to_json;

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = integrations, primary_key(chain, platform))]
struct NewIntegration {
    chain: String,
    platform: &'static str,
    id: String,
    credentials: Vec<u8>,
    sync: String,
    created_at: i64,
    updated_at: i64,
}

/// What is shown of one.
#[derive(Queryable, Selectable)]
#[diesel(table_name = integrations)]
struct IntegrationRow {
    chain: String,
    platform: String,
    id: String,
    sync: String,
    created_at: i64,
    updated_at: i64,
}

impl IntegrationRow {
    fn read(self) -> Result<Integration, StoreError> {
        let row = Row { table: "integrations", id: &self.id };
        Ok(Integration {
            id: row.parse("id", &self.id)?,
            chain: row.parse("chain", &self.chain)?,
            platform: row.parse("platform", &self.platform)?,
            sync: row.json("sync", &self.sync)?,
            created_at: row.time("created_at", self.created_at)?,
            updated_at: row.time("updated_at", self.updated_at)?,
        })
    }
}

/// An integration, and what lets us in there; `None` of what cannot be opened, which must not be in the way of its being replaced.
pub type Configured = (Integration, Option<Credentials>);

fn sealed_for(integration: &Integration) -> String {
    format!("integration {}/{}", integration.chain, integration.id)
}

fn open(vault: &Vault, (row, sealed): (IntegrationRow, Vec<u8>)) -> Result<Configured, StoreError> {
    let integration = row.read()?;
    let credentials = vault.open(&sealed_for(&integration), &sealed).ok();
    let credentials = credentials.and_then(|credentials| serde_json::from_str(&credentials).ok());
    Ok((integration, credentials))
}

/// Stores an integration in the place of the one with the same platform, whose id and day of birth it takes over; one that
/// is the same already stays as it is. Answers it as it is then, and as it was.
pub fn put(
    conn: &mut DbConn,
    vault: &Vault,
    new: Integration,
    credentials: &Credentials,
) -> Result<(Integration, Option<Configured>), StoreError> {
    let place = || integrations::table.find((new.chain.as_str(), new.platform.as_str()));
    let known = place().select((IntegrationRow::as_select(), integrations::credentials));
    let known = known.get_result(conn).optional()?.map(|row| open(vault, row)).transpose()?;
    let is_same =
        |(known, theirs): &&Configured| known.sync == new.sync && theirs.as_ref() == Some(credentials);
    if let Some((same, _)) = known.as_ref().filter(is_same) {
        let same = same.clone();
        return Ok((same, known));
    }
    let integration = match &known {
        Some((known, _)) => Integration { id: known.id, created_at: known.created_at, ..new.clone() },
        None => new.clone(),
    };
    let row = NewIntegration {
        chain: integration.chain.to_string(),
        platform: integration.platform.as_str(),
        id: integration.id.to_string(),
        credentials: vault.seal_anew(&sealed_for(&integration), &to_json(credentials))?,
        sync: to_json(&integration.sync),
        created_at: integration.created_at.timestamp_micros(),
        updated_at: integration.updated_at.timestamp_micros(),
    };
    match known {
        Some(_) => diesel::update(place()).set(row).execute(conn)?,
        None => diesel::insert_into(integrations::table)
            .values(row)
            .execute(conn)
            .map_err(|e| StoreError::taken(e, "integration", integration.id))?,
    };
    Ok((integration, known))
}

/// Deletes an integration. Answers what it was, if there was one.
pub fn delete(
    conn: &mut DbConn,
    vault: &Vault,
    chain: &ChainId,
    id: IntegrationId,
) -> Result<Option<Configured>, StoreError> {
    let of_chain =
        || integrations::chain.eq(chain.as_str().to_owned()).and(integrations::id.eq(id.to_string()));
    let known = integrations::table.filter(of_chain());
    let known = known.select((IntegrationRow::as_select(), integrations::credentials));
    let Some(known) = known.get_result(conn).optional()? else { return Ok(None) };
    let known = open(vault, known)?;
    let deleted = diesel::delete(integrations::table.filter(of_chain())).execute(conn)?;
    Ok((deleted == 1).then_some(known))
}

/// A chain's integrations, by platform.
pub fn list(conn: &mut DbConn, chain: &ChainId) -> Result<Vec<Integration>, StoreError> {
    let rows = integrations::table
        .filter(integrations::chain.eq(chain.as_str()))
        .select(IntegrationRow::as_select())
        .order(integrations::platform)
        .load(conn)?;
    rows.into_iter().map(IntegrationRow::read).collect()
}
