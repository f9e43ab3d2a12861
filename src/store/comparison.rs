//! What two programs did in the same time, counted from the log.
//!
//! Ids tell the time at which what they name came in, so a stretch of time is a range of each table's key.

use std::collections::BTreeMap;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::DbConn;
use super::error::StoreError;
use super::schema::{deliveries, endpoints, loyalty_events, source_events, transfers};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::ids::{DeliveryId, EventId, SourceId, TransferId, first_ulid_at};
use crate::domain::receipt::SourceStatus;

/// Who decided what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arm {
    /// This candidate.
    Candidate(i64),
    /// Whatever was in force beside this candidate.
    Stable(i64),
}

/// A stretch of the log: what came in from one instant on and before another, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Its first instant.
    pub since: Timestamp,
    /// The one after its last.
    pub until: Timestamp,
}

/// What one arm did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Members of whom something was decided.
    pub members: i64,
    /// Source events of theirs that were decided.
    pub events: i64,
    /// Those of them on which a rule failed.
    pub failed: i64,
    /// Points that members got, by wallet.
    pub given: BTreeMap<String, i64>,
    /// Points that they lost or spent.
    pub taken: BTreeMap<String, i64>,
    /// Loyalty events by type.
    pub told: BTreeMap<String, i64>,
    /// Loyalty events owed to endpoints.
    pub deliveries: i64,
}

/// Rows of a table whose ids are in a stretch.
macro_rules! within {
    ($table:ident, $id:ident, $chain:expr, $stretch:expr) => {
        $table::table
            .filter($table::chain.eq($chain.as_str()))
            .filter($table::id.ge($id::new(first_ulid_at($stretch.since)).to_string()))
            .filter($table::id.lt($id::new(first_ulid_at($stretch.until)).to_string()))
    };
}

/// Those of them that one arm decided.
macro_rules! of_arm {
    ($query:expr, $version:expr, $arm:expr) => {
        match $arm {
            Arm::Candidate(candidate) => $query.filter($version.eq(candidate)),
            Arm::Stable(candidate) => $query.filter($version.ne(candidate)),
        }
    };
}

/// The stretch, or its beginning in which no table has more than so many rows.
pub fn at_most(
    conn: &mut DbConn,
    chain: &ChainId,
    mut stretch: Stretch,
    rows: i64,
) -> Result<Stretch, StoreError> {
    macro_rules! shorten {
        ($table:ident, $id:ident) => {{
            let query = within!($table, $id, chain, stretch);
            let query = query.order($table::id).select($table::id).offset(rows).limit(1);
            if let Some(id) = query.get_result::<String>(conn).optional()? {
                let id: $id = super::row::Row { table: stringify!($table), id: &id }.parse("id", &id)?;
                stretch.until = id.ulid().datetime().into();
            }
        }};
    }
    shorten!(source_events, SourceId);
    shorten!(transfers, TransferId);
    shorten!(loyalty_events, EventId);
    Ok(stretch)
}

/// Counts what one arm did, but for deliveries.
pub fn count(conn: &mut DbConn, chain: &ChainId, arm: Arm, stretch: Stretch) -> Result<Counts, StoreError> {
    let mut counts = Counts::default();
    let by_status = within!(source_events, SourceId, chain, stretch)
        .filter(source_events::member.is_not_null())
        .group_by(source_events::status)
        .select((source_events::status, diesel::dsl::count_star()))
        .into_boxed();
    let by_status = of_arm!(by_status, source_events::program_version, arm);
    for (status, found) in by_status.load::<(String, i64)>(conn)? {
        if is_decided(&status) {
            counts.events += found;
        }
        if status == SourceStatus::Failed.as_str() {
            counts.failed += found;
        }
    }
    let members = within!(source_events, SourceId, chain, stretch)
        .filter(source_events::status.eq_any(DECIDED.map(SourceStatus::as_str)))
        .select(sql::<BigInt>("COUNT(DISTINCT member)"))
        .into_boxed();
    counts.members = of_arm!(members, source_events::program_version, arm).get_result(conn)?;
    macro_rules! moved {
        ($of_chain:expr) => {{
            let moved = within!(transfers, TransferId, chain, stretch)
                .filter($of_chain.like("chain:%"))
                // From one member to another who is the same person.
                .filter($of_chain.ne("chain:merged"))
                .group_by(transfers::wallet)
                // PostgreSQL sums whole numbers into a decimal, hence the cast.
                .select((transfers::wallet, sql::<BigInt>("CAST(SUM(amount) AS BIGINT)")))
                .into_boxed();
            let moved = of_arm!(moved, transfers::program_version, arm);
            moved.load::<(String, i64)>(conn)?.into_iter().collect()
        }};
    }
    counts.given = moved!(transfers::debit);
    counts.taken = moved!(transfers::credit);
    let told = within!(loyalty_events, EventId, chain, stretch)
        .filter(loyalty_events::member.is_not_null())
        .group_by(loyalty_events::kind)
        .select((loyalty_events::kind, diesel::dsl::count_star()))
        .into_boxed();
    let told = of_arm!(told, loyalty_events::program_version, arm);
    counts.told = told.load::<(String, i64)>(conn)?.into_iter().collect();
    Ok(counts)
}

/// The endpoints that something may be owed to.
pub fn endpoints(conn: &mut DbConn, chain: &ChainId) -> Result<Vec<String>, StoreError> {
    let of_chain = endpoints::table.filter(endpoints::chain.eq(chain.as_str()));
    Ok(of_chain.select(endpoints::id).load(conn)?)
}

/// Counts what one arm decided to send to one endpoint.
pub fn deliveries(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: &str,
    arm: Arm,
    stretch: Stretch,
) -> Result<i64, StoreError> {
    let its_event = loyalty_events::chain.eq(deliveries::chain).and(loyalty_events::id.eq(deliveries::event));
    let owed = within!(deliveries, DeliveryId, chain, stretch)
        .filter(deliveries::endpoint.eq(endpoint))
        .inner_join(loyalty_events::table.on(its_event))
        .filter(loyalty_events::member.is_not_null())
        .select(diesel::dsl::count_star())
        .into_boxed();
    Ok(of_arm!(owed, loyalty_events::program_version, arm).get_result(conn)?)
}

const DECIDED: [SourceStatus; 2] = [SourceStatus::Processed, SourceStatus::Failed];

fn is_decided(status: &str) -> bool {
    DECIDED.iter().any(|decided| decided.as_str() == status)
}
