//! Suspended rules.

use diesel::prelude::*;

use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::suspended_rules;
use crate::domain::chain::ChainId;
use crate::domain::suspension::Suspension;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = suspended_rules, treat_none_as_default_value = false)]
struct SuspensionRow {
    chain: String,
    version: i64,
    rule: String,
    at: String,
    since: i64,
    members: i64,
    failed_at: String,
    error: String,
}

impl SuspensionRow {
    fn of(chain: &ChainId, suspension: &Suspension) -> Self {
        let Suspension { rule, at, version, since, members, failed_at, error } = suspension;
        Self {
            chain: chain.to_string(),
            version: *version,
            rule: rule.to_string(),
            at: at.to_string(),
            since: since.timestamp_micros(),
            members: (*members).into(),
            failed_at: failed_at.to_string(),
            error: error.to_string(),
        }
    }

    fn read(self) -> Result<Suspension, StoreError> {
        let row = Row { table: "suspended_rules", id: &self.rule };
        Ok(Suspension {
            since: row.time("since", self.since)?,
            members: row.number("members", self.members)?,
            rule: self.rule.as_str().into(),
            at: self.at.into(),
            version: self.version,
            failed_at: self.failed_at.into(),
            error: self.error.into(),
        })
    }
}

/// The suspended rules of a chain, of whatever version, by name.
pub fn list(conn: &mut DbConn, chain: &ChainId) -> Result<Vec<Suspension>, StoreError> {
    let rows = suspended_rules::table
        .filter(suspended_rules::chain.eq(chain.as_str()))
        .select(SuspensionRow::as_select())
        .order((suspended_rules::version, suspended_rules::rule))
        .load(conn)?;
    rows.into_iter().map(SuspensionRow::read).collect()
}

/// Those of all chains, each with its chain, in the same order.
pub fn all(conn: &mut DbConn) -> Result<Vec<(String, Suspension)>, StoreError> {
    let rows = suspended_rules::table
        .select(SuspensionRow::as_select())
        .order((suspended_rules::chain, suspended_rules::version, suspended_rules::rule))
        .load(conn)?;
    rows.into_iter().map(|row| Ok((row.chain.clone(), row.read()?))).collect()
}

/// Suspends a rule; [`StoreError::Taken`] when it is suspended already.
pub fn insert(conn: &mut DbConn, chain: &ChainId, suspension: &Suspension) -> Result<(), StoreError> {
    diesel::insert_into(suspended_rules::table)
        .values(SuspensionRow::of(chain, suspension))
        .execute(conn)
        .map_err(|e| StoreError::taken(e, "suspended rule", format!("{chain} {}", suspension.rule)))?;
    Ok(())
}

/// Ends a suspension. Answers whether there was one.
pub fn remove(conn: &mut DbConn, chain: &ChainId, suspension: &Suspension) -> Result<bool, StoreError> {
    let key = (chain.as_str(), suspension.version, suspension.rule.as_str());
    Ok(diesel::delete(suspended_rules::table.find(key)).execute(conn)? == 1)
}

/// Ends the suspensions of a version.
pub fn remove_all(conn: &mut DbConn, chain: &ChainId, version: i64) -> Result<(), StoreError> {
    let of_version = suspended_rules::chain.eq(chain.as_str()).and(suspended_rules::version.eq(version));
    diesel::delete(suspended_rules::table.filter(of_version)).execute(conn)?;
    Ok(())
}
