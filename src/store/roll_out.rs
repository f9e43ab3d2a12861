//! Roll-outs of candidates, one at a time for each chain.

use diesel::prelude::*;

use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::roll_outs;
use crate::domain::chain::ChainId;
use crate::domain::json::to_json;
use crate::domain::roll_out::{Ended, RollOut, Stage};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = roll_outs, treat_none_as_default_value = false)]
struct RollOutRow {
    chain: String,
    version: i64,
    base: i64,
    stages: String,
    ending: Option<String>,
    ended_at: Option<i64>,
    ended_by: Option<String>,
}

impl RollOutRow {
    fn of(chain: &ChainId, roll_out: &RollOut) -> Self {
        let ended = roll_out.ended.as_ref();
        Self {
            chain: chain.to_string(),
            version: roll_out.version,
            base: roll_out.base,
            stages: to_json(&roll_out.stages().collect::<Vec<_>>()),
            ending: ended.map(|ended| ended.how.as_str().to_owned()),
            ended_at: ended.map(|ended| ended.at.timestamp_micros()),
            ended_by: ended.and_then(|ended| ended.by.as_ref()).map(ToString::to_string),
        }
    }

    fn read(self) -> Result<RollOut, StoreError> {
        let row = Row { table: "roll_outs", id: &self.version.to_string() };
        let mut stages = row.json::<Vec<Stage>>("stages", &self.stages)?.into_iter();
        let began = stages.next().ok_or_else(|| row.corrupt("it never began"))?;
        let ended = match (self.ending, self.ended_at) {
            (Some(how), Some(at)) => Some(Ended {
                how: row.parse("ending", &how)?,
                at: row.time("ended_at", at)?,
                by: row.parse_opt("ended_by", self.ended_by.as_deref())?,
            }),
            _ => None,
        };
        Ok(RollOut { version: self.version, base: self.base, began, changes: stages.collect(), ended })
    }
}

#[diesel::dsl::auto_type]
fn of_chain<'a>(chain: &'a ChainId) -> _ {
    let chain: &'a str = chain.as_str();
    roll_outs::table.filter(roll_outs::chain.eq(chain))
}

/// Begins one; [`StoreError::Taken`] while another one runs.
pub fn insert(conn: &mut DbConn, chain: &ChainId, roll_out: &RollOut) -> Result<(), StoreError> {
    diesel::insert_into(roll_outs::table)
        .values(RollOutRow::of(chain, roll_out))
        .execute(conn)
        .map_err(|e| StoreError::taken(e, "roll-out", format!("{chain} {}", roll_out.version)))?;
    Ok(())
}

/// Changes or ends the one that runs, and is still what it `was`. Answers whether it did and is.
pub fn update(
    conn: &mut DbConn,
    chain: &ChainId,
    was: &RollOut,
    roll_out: &RollOut,
) -> Result<bool, StoreError> {
    let running = roll_outs::table
        .filter(roll_outs::chain.eq(chain.as_str()))
        .filter(roll_outs::version.eq(was.version))
        .filter(roll_outs::stages.eq(RollOutRow::of(chain, was).stages))
        .filter(roll_outs::ended_at.is_null());
    let RollOutRow { stages, ending, ended_at, ended_by, .. } = RollOutRow::of(chain, roll_out);
    let change = (
        roll_outs::stages.eq(stages),
        roll_outs::ending.eq(ending),
        roll_outs::ended_at.eq(ended_at),
        roll_outs::ended_by.eq(ended_by),
    );
    Ok(diesel::update(running).set(change).execute(conn)? == 1)
}

/// The one that runs.
pub fn running(conn: &mut DbConn, chain: &ChainId) -> Result<Option<RollOut>, StoreError> {
    let running = of_chain(chain).filter(roll_outs::ended_at.is_null());
    let row = running.select(RollOutRow::as_select()).get_result(conn).optional()?;
    row.map(RollOutRow::read).transpose()
}

/// Those that run, of all chains.
pub fn all_running(conn: &mut DbConn) -> Result<Vec<(String, RollOut)>, StoreError> {
    let running = roll_outs::table.filter(roll_outs::ended_at.is_null());
    let rows = running.select(RollOutRow::as_select()).load(conn)?;
    rows.into_iter().map(|row| Ok((row.chain.clone(), row.read()?))).collect()
}

/// That of a candidate.
pub fn get(conn: &mut DbConn, chain: &ChainId, version: i64) -> Result<Option<RollOut>, StoreError> {
    let found = of_chain(chain).filter(roll_outs::version.eq(version));
    let row = found.select(RollOutRow::as_select()).get_result(conn).optional()?;
    row.map(RollOutRow::read).transpose()
}

/// So many that began before one, or of all; newest first.
pub fn list(
    conn: &mut DbConn,
    chain: &ChainId,
    older_than: Option<i64>,
    limit: i64,
) -> Result<Vec<RollOut>, StoreError> {
    let rows = of_chain(chain)
        .filter(roll_outs::version.lt(older_than.unwrap_or(i64::MAX)))
        .select(RollOutRow::as_select())
        .order(roll_outs::version.desc())
        .limit(limit)
        .load(conn)?;
    rows.into_iter().map(RollOutRow::read).collect()
}
