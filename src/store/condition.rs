//! How the receivers of endpoints do: written with the attempt that changed it, beside the endpoints themselves, so that a
//! change of one never undoes the other.

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::connection::{DbConn, on_backend};
use super::error::StoreError;
use super::row::Row;
use super::schema::endpoint_conditions::{self, table};
use super::word::Word;
use crate::domain::chain::ChainId;
use crate::domain::gate::{Condition, Hold, Noted, Trouble};
use crate::domain::ids::EndpointId;

/// A condition to be written.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = endpoint_conditions, treat_none_as_default_value = false)]
pub(super) struct ConditionRow {
    chain: Word,
    endpoint: Word,
    epoch: i64,
    failing_since: Option<i64>,
    warned_at: Option<i64>,
    trips: i64,
    held_until: Option<i64>,
}

impl ConditionRow {
    pub(super) fn of(chain: &ChainId, endpoint: EndpointId, noted: &Noted) -> Self {
        let Noted { epoch, condition: Condition { trouble, hold } } = *noted;
        let (trips, until) = match hold {
            Hold::Free => (0, None),
            Hold::Asked { until } => (0, Some(until)),
            Hold::Open { until, trips } => (trips.into(), Some(until)),
        };
        Self {
            chain: chain.as_str().into(),
            endpoint: endpoint.into(),
            epoch,
            failing_since: trouble.map(|trouble| trouble.since.timestamp_micros()),
            warned_at: trouble.and_then(|trouble| trouble.warned_at).map(|at| at.timestamp_micros()),
            trips,
            held_until: until.map(|until| until.timestamp_micros()),
        }
    }

    /// The order in which they are written, the same in every transaction.
    fn key(&self) -> (&str, &str) {
        (&self.chain, &self.endpoint)
    }

    fn read(self) -> Result<Noted, StoreError> {
        let row = Row { table: "endpoint_conditions", id: &self.endpoint };
        let since = row.time_opt("failing_since", self.failing_since)?;
        let warned_at = row.time_opt("warned_at", self.warned_at)?;
        let hold = match (row.number("trips", self.trips)?, row.time_opt("held_until", self.held_until)?) {
            (0, None) => Hold::Free,
            (0, Some(until)) => Hold::Asked { until },
            (trips, Some(until)) => Hold::Open { until, trips },
            (_, None) => return Err(row.corrupt("it is open without an end")),
        };
        let trouble = since.map(|since| Trouble { since, warned_at });
        Ok(Noted { epoch: self.epoch, condition: Condition { trouble, hold } })
    }
}

/// Of what is known of each endpoint, one after the other: the last of the newest epoch, in the order of their keys.
pub(super) fn last_of_each<'a>(rows: impl Iterator<Item = &'a ConditionRow>) -> Vec<&'a ConditionRow> {
    let mut last = BTreeMap::new();
    for row in rows {
        let known = last.entry(row.key()).or_insert(row);
        if row.epoch >= known.epoch {
            *known = row;
        }
    }
    last.into_values().collect()
}

/// Writes conditions, no two of one endpoint. One of a former epoch changes nothing.
pub(super) fn write(conn: &mut DbConn, rows: &[&ConditionRow]) -> QueryResult<()> {
    use diesel::query_dsl::methods::FilterDsl; // the `WHERE` of an upsert

    rows.iter().try_for_each(|row| {
        let upsert = diesel::insert_into(table)
            .values(*row)
            .on_conflict((endpoint_conditions::chain, endpoint_conditions::endpoint))
            .do_update()
            .set((
                endpoint_conditions::failing_since.eq(row.failing_since),
                endpoint_conditions::warned_at.eq(row.warned_at),
                endpoint_conditions::trips.eq(row.trips),
                endpoint_conditions::held_until.eq(row.held_until),
            ))
            .filter(endpoint_conditions::epoch.eq(row.epoch));
        on_backend!(conn, |c| upsert.execute(c)).map(drop)
    })
}

/// Begins anew with a receiver: nothing is known of it, and whatever was under way to it changes nothing of that.
pub fn begin_anew(conn: &mut DbConn, chain: &ChainId, endpoint: EndpointId) -> Result<(), StoreError> {
    let first = ConditionRow::of(chain, endpoint, &Noted { epoch: 1, condition: Condition::default() });
    let upsert = diesel::insert_into(table)
        .values(&first)
        .on_conflict((endpoint_conditions::chain, endpoint_conditions::endpoint))
        .do_update()
        .set((
            endpoint_conditions::epoch.eq(endpoint_conditions::epoch + 1),
            endpoint_conditions::failing_since.eq(None::<i64>),
            endpoint_conditions::warned_at.eq(None::<i64>),
            endpoint_conditions::trips.eq(0),
            endpoint_conditions::held_until.eq(None::<i64>),
        ));
    on_backend!(conn, |c| upsert.execute(c))?;
    Ok(())
}

/// What is known of an endpoint's receiver.
pub fn get(conn: &mut DbConn, chain: &ChainId, endpoint: EndpointId) -> Result<Noted, StoreError> {
    let row: Option<ConditionRow> = table
        .find((chain.as_str(), endpoint.to_string()))
        .select(ConditionRow::as_select())
        .get_result(conn)
        .optional()?;
    row.map_or_else(|| Ok(Noted::default()), ConditionRow::read)
}

/// What is known of the receivers of a chain; of those that are not among them, nothing.
pub fn list(conn: &mut DbConn, chain: &ChainId) -> Result<Vec<(EndpointId, Condition)>, StoreError> {
    let rows = table
        .filter(endpoint_conditions::chain.eq(chain.as_str()))
        .select(ConditionRow::as_select())
        .load(conn)?;
    rows.into_iter()
        .map(|row| {
            let endpoint = Row { table: "endpoint_conditions", id: &row.endpoint };
            let endpoint = endpoint.parse("endpoint", &row.endpoint)?;
            Ok((endpoint, row.read()?.condition))
        })
        .collect()
}
