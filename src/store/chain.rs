//! Chains.

use diesel::prelude::*;

use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::chains;
use crate::domain::chain::{Chain, ChainId};
use crate::domain::text::Name;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = chains, treat_none_as_default_value = false)]
struct ChainRow {
    id: String,
    name: String,
    timezone: String,
    currency: String,
    created_at: i64,
    revision: i64,
}

impl ChainRow {
    fn of(chain: &Chain) -> Self {
        Self {
            id: chain.id.to_string(),
            name: chain.name.to_string(),
            timezone: chain.timezone.name().to_owned(),
            currency: chain.currency.code.clone(),
            created_at: chain.created_at.timestamp_micros(),
            revision: chain.revision,
        }
    }

    fn read(self) -> Result<Chain, StoreError> {
        let row = Row { table: "chains", id: &self.id };
        Ok(Chain {
            id: row.parse("id", &self.id)?,
            name: row.check("name", Name::parse(&self.name))?,
            timezone: row.parse("timezone", &self.timezone)?,
            currency: row.parse("currency", &self.currency)?,
            created_at: row.time("created_at", self.created_at)?,
            revision: self.revision,
        })
    }
}

/// Stores a new chain; [`StoreError::Taken`] when the id is in use.
pub fn insert(conn: &mut DbConn, chain: &Chain) -> Result<(), StoreError> {
    diesel::insert_into(chains::table)
        .values(ChainRow::of(chain))
        .execute(conn)
        .map_err(|e| StoreError::taken(e, "chain", &chain.id))?;
    Ok(())
}

/// Stores a chain's new name. Its calendar and currency never change: balances and windows depend on them.
pub fn update(conn: &mut DbConn, chain: &Chain) -> Result<(), StoreError> {
    diesel::update(chains::table.find(chain.id.as_str()))
        .set((chains::name.eq(chain.name.as_str()), chains::revision.eq(chain.revision)))
        .execute(conn)?;
    Ok(())
}

/// All chains, by id.
pub fn list(conn: &mut DbConn) -> Result<Vec<Chain>, StoreError> {
    let rows = chains::table.select(ChainRow::as_select()).order(chains::id).load(conn)?;
    rows.into_iter().map(ChainRow::read).collect()
}

/// One chain.
pub fn get(conn: &mut DbConn, id: &ChainId) -> Result<Option<Chain>, StoreError> {
    let row = chains::table.find(id.as_str()).select(ChainRow::as_select()).get_result(conn).optional()?;
    row.map(ChainRow::read).transpose()
}
