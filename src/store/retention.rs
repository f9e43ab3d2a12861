//! What is kept for a time only: found and cleared page by page, between the commits.
//!
//! A page is a bounded number of rows that are looked at, whatever becomes of them. Where the next one begins is written with
//! it, so nothing is looked at twice, neither after a restart nor by a second node.

use chrono::Duration;
use diesel::prelude::*;

use super::connection::{DbConn, on_backend};
use super::error::StoreError;
use super::schema::{attempts, deliveries, endpoints, sweeps};
use super::source_event::{self, Cleared};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::ids::{DeliveryId, SourceId, first_ulid_at};

/// Deliveries of which the attempts are looked at in one page; most have one.
const DELIVERIES: usize = 200;
/// Source events in one page: each is written anew.
const EVENTS: usize = 200;
/// Lines of the audit log in one page.
const LINES: usize = 500;
/// Requests in one page: each is deleted by itself.
const REQUESTS: usize = 200;
/// A sweep begins anew so long after it was begun. What was not settled or decided when it came by may be by then.
const ANEW_AFTER: Duration = Duration::days(30);

/// What came of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swept {
    /// Rows that were cleared.
    pub rows: usize,
    /// Where the next page begins; `None` = at the beginning.
    pub position: Option<String>,
    /// Whether nothing older is left for now.
    pub is_end: bool,
}

/// How a page of something is cleared.
#[derive(Clone, Copy)]
pub enum Sweep {
    /// Of what each chain has.
    OfChain(ChainSweep),
    /// Of what there is, about whichever chain or none.
    OfAll(fn(&mut DbConn, Timestamp) -> Result<Swept, StoreError>),
}

/// Clears a page of what a chain has from before an instant, from a position on.
pub type ChainSweep = fn(&mut DbConn, &ChainId, Timestamp, Option<&str>) -> Result<Swept, StoreError>;

/// Clears the next page, and writes down where the one after it begins.
pub fn go_on(
    conn: &mut DbConn,
    (what, sweep): (&str, ChainSweep),
    chain: &ChainId,
    before: Timestamp,
    now: Timestamp,
) -> Result<Swept, StoreError> {
    let known: Option<(Option<String>, i64)> = sweeps::table
        .find((what, chain.as_str()))
        .select((sweeps::position, sweeps::begun_at))
        .get_result(conn)
        .optional()?;
    let anew = (now - ANEW_AFTER).timestamp_micros();
    let (from, begun_at) = match known {
        Some((Some(from), begun_at)) if begun_at > anew => (Some(from), begun_at),
        _ => (None, now.timestamp_micros()),
    };
    let swept = sweep(conn, chain, before, from.as_deref())?;
    if swept.position != from {
        let upsert = diesel::insert_into(sweeps::table)
            .values((
                sweeps::what.eq(what),
                sweeps::chain.eq(chain.as_str()),
                sweeps::position.eq(&swept.position),
                sweeps::begun_at.eq(begun_at),
            ))
            .on_conflict((sweeps::what, sweeps::chain))
            .do_update()
            .set((sweeps::position.eq(&swept.position), sweeps::begun_at.eq(begun_at)));
        on_backend!(conn, |c| upsert.execute(c))?;
    }
    Ok(swept)
}

/// Deletes the attempts of deliveries that were settled before an instant: all of a delivery's, or none, because they are
/// numbered. The deliveries themselves stay. A position is an endpoint and a delivery.
pub fn attempts(
    conn: &mut DbConn,
    chain: &ChainId,
    before: Timestamp,
    from: Option<&str>,
) -> Result<Swept, StoreError> {
    let (at, after) = from.and_then(|from| from.split_once('/')).unwrap_or_default();
    let mut this_and_next = two_endpoints_from(conn, chain, at)?.into_iter();
    let Some(endpoint) = this_and_next.next() else {
        return Ok(Swept { rows: 0, position: None, is_end: true });
    };
    let after = if endpoint == at { after } else { "" };
    let of_endpoint = || {
        attempts::table.filter(attempts::chain.eq(chain.as_str())).filter(attempts::endpoint.eq(&endpoint))
    };
    let tried: Vec<String> = of_endpoint()
        .filter(attempts::delivery.gt(after))
        .filter(attempts::delivery.lt(DeliveryId::new(first_ulid_at(before)).to_string()))
        .select(attempts::delivery)
        .distinct()
        .order(attempts::delivery)
        .limit(DELIVERIES as i64)
        .load(conn)?;
    let settled: Vec<String> = deliveries::table
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq(&endpoint))
        .filter(deliveries::id.eq_any(&tried))
        .filter(deliveries::settled_at.lt(before.timestamp_micros()))
        .select(deliveries::id)
        .load(conn)?;
    let rows = match settled.is_empty() {
        true => 0,
        false => diesel::delete(of_endpoint().filter(attempts::delivery.eq_any(&settled))).execute(conn)?,
    };
    let position = match tried.last() {
        Some(last) if tried.len() == DELIVERIES => Some(format!("{endpoint}/{last}")),
        _ => this_and_next.next().map(|next| format!("{next}/")),
    };
    Ok(Swept { rows, is_end: position.is_none(), position })
}

/// The first endpoints of a chain from a name on, deleted ones too.
fn two_endpoints_from(conn: &mut DbConn, chain: &ChainId, from: &str) -> QueryResult<Vec<String>> {
    endpoints::table
        .filter(endpoints::chain.eq(chain.as_str()))
        .filter(endpoints::id.ge(from))
        .select(endpoints::id)
        .order(endpoints::id)
        .limit(2)
        .load(conn)
}

/// Deletes lines of the audit log from before an instant.
pub fn audit_log(conn: &mut DbConn, before: Timestamp) -> Result<Swept, StoreError> {
    let rows = super::audit::delete_before(conn, before, LINES as i64)?;
    Ok(Swept { rows, position: None, is_end: rows < LINES })
}

/// Forgets requests from before an instant, and what was answered to them.
pub fn requests(conn: &mut DbConn, before: Timestamp) -> Result<Swept, StoreError> {
    let rows = super::request::forget(conn, before, REQUESTS as i64)?;
    Ok(Swept { rows, position: None, is_end: rows < REQUESTS })
}

/// Takes body and receipt from source events that were processed and came before an instant. The rows stay: keys are
/// remembered for ever, and each is a step of its member's trail. A position is an event.
pub fn source_events(
    conn: &mut DbConn,
    chain: &ChainId,
    before: Timestamp,
    from: Option<&str>,
) -> Result<Swept, StoreError> {
    let until = SourceId::new(first_ulid_at(before)).to_string();
    let page = (from.unwrap_or_default(), &*until);
    let Cleared { seen, last, rows } = source_event::clear(conn, chain, page, EVENTS as i64)?;
    let position = last.or_else(|| from.map(str::to_owned));
    Ok(Swept { rows, position, is_end: seen < EVENTS })
}
