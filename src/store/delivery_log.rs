//! The delivery log of an endpoint, for people: one page of it, newest first.
//!
//! Each status is listed in the order of an index that holds it and little else, so that a page costs what is on it,
//! however long the log and however many others there are.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use super::connection::DbConn;
use super::delivery::{DeliveryRow, StoredDelivery, with_event};
use super::error::StoreError;
use super::schema::{deliveries, loyalty_events};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::ids::{DeliveryId, EndpointId};

/// The last delivery of the page before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// Its id.
    pub id: DeliveryId,
    /// When it was due then, if it was: pending deliveries are listed by that.
    pub due_at: Option<Timestamp>,
}

/// The condition of the index of such deliveries, literally: neither planner trusts a parameter. SQLite keeps no statistics and
/// has to be told besides that they are few.
pub(super) fn is_given_up(conn: &DbConn, status: DeliveryStatus) -> String {
    let word = status.as_str();
    match conn {
        DbConn::Sqlite(_) => {
            format!("deliveries.status = '{word}' AND unlikely(deliveries.status = '{word}')")
        }
        DbConn::Postgres(_) => format!("deliveries.status = '{word}'"),
    }
}

/// An endpoint's deliveries, newest first; those that are pending: what is due last first.
pub fn list(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    status: Option<DeliveryStatus>,
    limit: i64,
    behind: Option<Behind>,
) -> Result<Vec<StoredDelivery>, StoreError> {
    let mut query = with_event!()
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq(endpoint.to_string()))
        .select((DeliveryRow::as_select(), loyalty_events::kind))
        .limit(limit)
        .into_boxed();
    query = match status {
        None => query.order(deliveries::id.desc()),
        Some(DeliveryStatus::Pending) => query
            .filter(deliveries::due_at.is_not_null())
            .order((deliveries::due_at.desc(), deliveries::id.desc())),
        Some(DeliveryStatus::Waiting) => query
            .filter(deliveries::settled_at.is_null())
            .filter(deliveries::due_at.is_null())
            .order(deliveries::seq.desc()),
        Some(given_up @ (DeliveryStatus::Failed | DeliveryStatus::Discarded)) => {
            query.filter(sql::<Bool>(&is_given_up(conn, given_up))).order(deliveries::id.desc())
        }
        Some(settled @ DeliveryStatus::Delivered) => {
            query.filter(deliveries::status.eq(settled.as_str())).order(deliveries::id.desc())
        }
    };
    if let Some(Behind { id, due_at }) = behind {
        query = match (status, due_at) {
            (Some(DeliveryStatus::Pending), Some(due_at)) => query.filter(
                sql::<Bool>("(deliveries.due_at, deliveries.id) < (")
                    .bind::<BigInt, _>(due_at.timestamp_micros())
                    .sql(", ")
                    .bind::<Text, _>(id.to_string())
                    .sql(")"),
            ),
            // A delivery keeps its number, so the page before need not say it.
            (Some(DeliveryStatus::Waiting), _) => {
                let last = deliveries::table
                    .find((chain.as_str(), endpoint.to_string(), id.to_string()))
                    .select(deliveries::seq)
                    .get_result::<i64>(conn)
                    .optional()?;
                query.filter(deliveries::seq.lt(last.unwrap_or(0)))
            }
            _ => query.filter(deliveries::id.lt(id.to_string())),
        };
    }
    let rows: Vec<(DeliveryRow, String)> = query.load(conn)?;
    rows.into_iter().map(|(row, kind)| row.read(&kind)).collect()
}
