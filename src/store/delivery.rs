//! Deliveries: what is owed to whom, and how it went.
//!
//! A delivery is found by (chain, endpoint, id). Who knows only its id asks for each endpoint of the chain: they are
//! few, and it saves the busiest table an index. What is owed has no `settled_at`: it is due, or waits behind another one of
//! its lane ([`lane`](super::lane)).

use diesel::dsl::min;
use diesel::prelude::*;

pub use super::attempt::{StoredAttempt, of_deliveries as attempts_of};
use super::batch::insert_all;
use super::connection::DbConn;
use super::error::StoreError;
use super::row::Row;
use super::schema::{deliveries, endpoints, loyalty_events};
use super::sequence::{self, Place};
use super::word::Word;
use super::{attempt, lane};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::delivery::{DeliveryStatus, Mark, NewDelivery};
use crate::domain::ids::{DeliveryId, EndpointId, EventId, MemberId};
use crate::domain::loyalty_event::EventType;
use crate::domain::recovery::Missed;
use crate::domain::trace::Trace;

/// Deliveries that one call of [`discard_owed`] settles.
const DISCARDED_AT_ONCE: i64 = 1_000;

/// A delivery whose time has come, with what to send.
#[derive(Debug, Clone, PartialEq)]
pub struct DueDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Its number among those of its endpoint.
    pub seq: u64,
    /// The loyalty event.
    pub event: EventId,
    /// Its type.
    pub kind: EventType,
    /// The member it is about, if any.
    pub member: Option<MemberId>,
    /// Tries of the current ladder so far.
    pub attempts: u32,
    /// When its loyalty event was committed.
    pub created_at: Timestamp,
    /// When it could first leave in the current ladder.
    pub ready_at: Timestamp,
    /// Who sent it again or late, if anybody did.
    pub mark: Option<Mark>,
    /// The trace that its loyalty event is part of.
    pub trace: Option<Trace>,
    /// The canonical JSON of the loyalty event.
    pub body: String,
}

/// A delivery as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Its number among those of its endpoint, in the order of their commits.
    pub seq: u64,
    /// The loyalty event.
    pub event: EventId,
    /// Its type.
    pub event_kind: EventType,
    /// Where to.
    pub endpoint: EndpointId,
    /// The member it is about, if any.
    pub member: Option<MemberId>,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Tries of the current ladder so far.
    pub attempts: u32,
    /// When it is due; `None` behind another one of its lane, and once settled.
    pub due_at: Option<Timestamp>,
    /// When its loyalty event was committed.
    pub created_at: Timestamp,
    /// When it was settled: the begin of the attempt that did it, or when a person discarded it.
    pub settled_at: Option<Timestamp>,
    /// Who sent it again or late, if anybody did.
    pub mark: Option<Mark>,
}

#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = deliveries, treat_none_as_default_value = false)]
pub(super) struct DeliveryRow {
    chain: Word,
    endpoint: Word,
    id: Word,
    seq: i64,
    event: Word,
    pub(super) member: Option<Word>,
    pub(super) lane: Option<Word>,
    status: Word,
    attempts: i64,
    pub(super) ready_at: Option<i64>,
    due_at: Option<i64>,
    pub(super) created_at: i64,
    settled_at: Option<i64>,
    mark: Option<Word>,
}

impl DeliveryRow {
    /// Still without a number, and in no lane.
    pub(super) fn new(chain: &ChainId, delivery: &NewDelivery) -> Self {
        let due_at = delivery.due_at.timestamp_micros();
        Self {
            chain: chain.as_str().into(),
            endpoint: delivery.endpoint.into(),
            id: delivery.id.into(),
            seq: 0,
            event: delivery.event.into(),
            member: delivery.member.map(Word::from),
            lane: None,
            status: DeliveryStatus::Pending.as_str().into(),
            attempts: 0,
            ready_at: Some(due_at),
            due_at: Some(due_at),
            created_at: due_at,
            settled_at: None,
            mark: None,
        }
    }

    /// One that is made long after its loyalty event.
    pub(super) fn late(chain: &ChainId, endpoint: EndpointId, missed: &Missed, due: Again) -> Self {
        let Missed { event, member, at } = *missed;
        let id = DeliveryId::made_late(endpoint, event);
        let delivery = NewDelivery { id, endpoint, event, member, due_at: due.at };
        let mark = Some(Word::shown(due.mark));
        Self { created_at: at.timestamp_micros(), mark, ..Self::new(chain, &delivery) }
    }

    /// The order in which they are written: that of the table.
    pub(super) fn key(&self) -> (&str, &str, &str) {
        (&self.chain, &self.endpoint, &self.id)
    }

    /// Whose it is.
    pub(super) fn place(&self) -> Place<'_> {
        (&self.chain, &self.endpoint)
    }

    /// The same with its number. In a lane it waits until it is found to be the head.
    pub(super) fn numbered(&self, seq: i64, lane: Option<Word>) -> Self {
        let row = Self { seq, ..self.clone() };
        match lane {
            Some(_) => Self {
                lane,
                status: DeliveryStatus::Waiting.as_str().into(),
                ready_at: None,
                due_at: None,
                ..row
            },
            None => row,
        }
    }

    pub(super) fn read(self, event_kind: &str) -> Result<StoredDelivery, StoreError> {
        let row = Row { table: "deliveries", id: &self.id };
        Ok(StoredDelivery {
            id: row.parse("id", &self.id)?,
            seq: row.number("seq", self.seq)?,
            event: row.parse("event", &self.event)?,
            event_kind: row.parse("event_kind", event_kind)?,
            endpoint: row.parse("endpoint", &self.endpoint)?,
            member: row.parse_opt("member", self.member.as_deref())?,
            status: row.parse("status", &self.status)?,
            attempts: row.number("attempts", self.attempts)?,
            due_at: row.time_opt("due_at", self.due_at)?,
            created_at: row.time("created_at", self.created_at)?,
            settled_at: row.time_opt("settled_at", self.settled_at)?,
            mark: row.parse_opt("mark", self.mark.as_deref())?,
        })
    }
}

/// Since when a delivery is due again, and who says so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Again {
    pub(super) mark: Mark,
    pub(super) at: Timestamp,
}

/// What a delivery becomes that is due again, whatever became of it before: its ladder starts anew.
#[derive(AsChangeset)]
#[diesel(table_name = deliveries, treat_none_as_null = true)]
pub(super) struct DueAgain {
    lane: Option<Word>,
    status: &'static str,
    attempts: i64,
    ready_at: Option<i64>,
    due_at: Option<i64>,
    settled_at: Option<i64>,
    mark: Option<Word>,
}

impl DueAgain {
    /// In no lane.
    pub(super) fn at_once(again: Again) -> Self {
        let at = Some(again.at.timestamp_micros());
        Self {
            lane: None,
            status: DeliveryStatus::Pending.as_str(),
            attempts: 0,
            ready_at: at,
            due_at: at,
            settled_at: None,
            mark: Some(Word::shown(again.mark)),
        }
    }

    /// In a lane, behind others of it.
    fn waiting(self) -> Self {
        Self { status: DeliveryStatus::Waiting.as_str(), ready_at: None, due_at: None, ..self }
    }
}

/// Stores new deliveries, numbered in the order given, each in its lane.
pub(super) fn insert(conn: &mut DbConn, rows: &[&DeliveryRow]) -> Result<(), StoreError> {
    lane::write(conn, rows, &[])
}

/// Stores rows that have their numbers.
pub(super) fn insert_numbered(conn: &mut DbConn, rows: &[&DeliveryRow]) -> QueryResult<()> {
    insert_all!(conn, deliveries, rows)
}

/// Deliveries with their loyalty events.
macro_rules! with_event {
    () => {
        deliveries::table.inner_join(
            loyalty_events::table.on(loyalty_events::chain
                .eq(deliveries::chain)
                .and(loyalty_events::id.eq(deliveries::event))),
        )
    };
}
pub(super) use with_event;

/// What is due for an endpoint at `now`, the longest due first.
pub fn due(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<DueDelivery>, StoreError> {
    type Times = (i64, i64, Option<i64>);
    type Told = (Option<String>, String);
    type Found = (String, i64, String, String, Option<String>, Times, Option<String>, Told);
    let rows: Vec<Found> = with_event!()
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq(endpoint.to_string()))
        .filter(deliveries::due_at.le(now.timestamp_micros()))
        .order((deliveries::due_at, deliveries::id))
        .limit(limit)
        .select((
            deliveries::id,
            deliveries::seq,
            deliveries::event,
            loyalty_events::kind,
            deliveries::member,
            (deliveries::attempts, deliveries::created_at, deliveries::ready_at),
            deliveries::mark,
            (loyalty_events::trace, loyalty_events::body),
        ))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, seq, event, kind, member, (attempts, created_at, ready_at), mark, (trace, body))| {
            let row = Row { table: "deliveries", id: &id };
            Ok(DueDelivery {
                id: row.parse("id", &id)?,
                seq: row.number("seq", seq)?,
                event: row.parse("event", &event)?,
                kind: row.parse("kind", &kind)?,
                member: row.parse_opt("member", member.as_deref())?,
                attempts: row.number("attempts", attempts)?,
                created_at: row.time("created_at", created_at)?,
                ready_at: row.time("ready_at", ready_at.unwrap_or(created_at))?,
                mark: row.parse_opt("mark", mark.as_deref())?,
                trace: row.parse_opt("trace", trace.as_deref())?,
                body,
            })
        })
        .collect()
}

/// When the next delivery to an endpoint is due, be it past or to come; `None` when nothing is owed: what waits in a lane waits
/// behind something that is due.
pub fn next_due(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<i64> = deliveries::table
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq(endpoint.to_string()))
        .filter(deliveries::due_at.is_not_null())
        .select(min(deliveries::due_at))
        .get_result(conn)?;
    Row { table: "deliveries", id: chain.as_str() }.time_opt("due_at", at)
}

/// Since when the oldest delivery that is still owed to an endpoint exists. Reads one row, however much is owed.
pub fn oldest_pending(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
) -> Result<Option<Timestamp>, StoreError> {
    let at: Option<i64> = deliveries::table
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq(endpoint.to_string()))
        .filter(deliveries::settled_at.is_null())
        .order(deliveries::seq)
        .limit(1)
        .select(deliveries::created_at)
        .get_result(conn)
        .optional()?;
    Row { table: "deliveries", id: chain.as_str() }.time_opt("created_at", at)
}

/// The endpoints of a chain, deleted ones too, as the first part of a delivery's key.
macro_rules! endpoints_of {
    ($chain:expr) => {
        endpoints::table.filter(endpoints::chain.eq($chain.as_str())).select(endpoints::id)
    };
}

/// The ids of the deliveries of events whose own lie between two: they follow on that of their cause, as those do.
pub(super) fn ids_near(first: EventId, last: EventId) -> [String; 2] {
    const STRETCH: u128 = 1 << 20;
    let id = |ulid: u128| DeliveryId::new(ulid::Ulid(ulid)).to_string();
    [id(first.ulid().0.saturating_sub(STRETCH)), id(last.ulid().0.saturating_add(STRETCH))]
}

/// The deliveries of one loyalty event: those of its commit, and those that were made late.
pub fn of_event(
    conn: &mut DbConn,
    chain: &ChainId,
    event: EventId,
) -> Result<Vec<StoredDelivery>, StoreError> {
    let [from, to] = ids_near(event, event);
    let near: Vec<(DeliveryRow, String)> = with_event!()
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq_any(endpoints_of!(chain)))
        .filter(deliveries::id.between(from, to))
        .filter(deliveries::event.eq(event.to_string()))
        .select((DeliveryRow::as_select(), loyalty_events::kind))
        .order(deliveries::id)
        .load(conn)?;
    let endpoints: Vec<String> = endpoints_of!(chain).load(conn)?;
    let made_late = |id: &String| Some(DeliveryId::made_late(id.parse().ok()?, event).to_string());
    let late: Vec<(DeliveryRow, String)> = with_event!()
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq_any(&endpoints))
        .filter(deliveries::id.eq_any(endpoints.iter().filter_map(made_late)))
        .select((DeliveryRow::as_select(), loyalty_events::kind))
        .order(deliveries::id)
        .load(conn)?;
    near.into_iter().chain(late).map(|(row, kind)| row.read(&kind)).collect()
}

/// One delivery.
pub fn get(conn: &mut DbConn, chain: &ChainId, id: DeliveryId) -> Result<Option<StoredDelivery>, StoreError> {
    let row: Option<(DeliveryRow, String)> = with_event!()
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq_any(endpoints_of!(chain)))
        .filter(deliveries::id.eq(id.to_string()))
        .select((DeliveryRow::as_select(), loyalty_events::kind))
        .get_result(conn)
        .optional()?;
    row.map(|(row, kind)| row.read(&kind)).transpose()
}

/// Makes a delivery due now, whatever became of it: its ladder starts anew. In a lane it takes the place of its number: it
/// waits for what is before it, and what is behind it waits. What of that is being sent at this moment is not called back.
/// `None` when there is no such delivery, or its endpoint is deleted.
pub fn retry(
    conn: &mut DbConn,
    chain: &ChainId,
    id: DeliveryId,
    now: Timestamp,
) -> Result<Option<EndpointId>, StoreError> {
    let living = endpoints_of!(chain).filter(endpoints::deleted_at.is_null());
    let found: Option<(String, i64, Option<Word>)> = deliveries::table
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq_any(living))
        .filter(deliveries::id.eq(id.to_string()))
        .select((deliveries::endpoint, deliveries::seq, deliveries::member))
        .get_result(conn)
        .optional()?;
    let Some((endpoint, seq, member)) = found else { return Ok(None) };
    let place = (chain.as_str(), &*endpoint);
    let held = sequence::hold(conn, place)?;
    let again = Again { mark: Mark::Retry, at: now };
    reopen(conn, place, &held, (&id.to_string(), seq, member.as_ref()), again)?;
    Row { table: "deliveries", id: &id.to_string() }.parse("endpoint", &endpoint).map(Some)
}

/// Makes a delivery owed again. In a lane it takes the place of its number.
pub(super) fn reopen(
    conn: &mut DbConn,
    place: Place<'_>,
    held: &sequence::Held,
    (id, seq, member): (&str, i64, Option<&Word>),
    again: Again,
) -> Result<(), StoreError> {
    let lane = lane::of(held.lane, member);
    let is_head = match &lane {
        Some(lane) => seq <= held.laned() && !lane::is_behind(conn, place, lane, seq)?,
        None => true,
    };
    let due = DueAgain { lane: lane.clone(), ..DueAgain::at_once(again) };
    diesel::update(deliveries::table.find((place.0, place.1, id)))
        .set(if is_head { due } else { due.waiting() })
        .execute(conn)?;
    if let Some(lane) = lane.filter(|_| is_head) {
        lane::hold_back(conn, place, &lane, seq)?;
    }
    Ok(())
}

/// Settles a delivery that is owed or failed without sending it. `None` when there is no such delivery, or it was delivered.
pub fn discard(
    conn: &mut DbConn,
    chain: &ChainId,
    id: DeliveryId,
    now: Timestamp,
) -> Result<Option<EndpointId>, StoreError> {
    let open = [DeliveryStatus::Pending, DeliveryStatus::Waiting, DeliveryStatus::Failed]
        .map(DeliveryStatus::as_str);
    let endpoint: Option<String> = deliveries::table
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq_any(endpoints_of!(chain)))
        .filter(deliveries::id.eq(id.to_string()))
        .select(deliveries::endpoint)
        .get_result(conn)
        .optional()?;
    let Some(endpoint) = endpoint else { return Ok(None) };
    let held = sequence::hold(conn, (chain.as_str(), &endpoint))?;
    let discarded: Option<Option<String>> =
        diesel::update(deliveries::table.find((chain.as_str(), &endpoint, id.to_string())))
            .filter(deliveries::status.eq_any(open))
            .set((
                deliveries::status.eq(DeliveryStatus::Discarded.as_str()),
                deliveries::due_at.eq(None::<i64>),
                deliveries::settled_at.eq(now.timestamp_micros()),
            ))
            .returning(deliveries::lane)
            .get_result(conn)
            .optional()?;
    let Some(lane) = discarded else { return Ok(None) };
    lane::move_on(conn, (chain.as_str(), &endpoint), held, lane, now)?;
    Row { table: "deliveries", id: &id.to_string() }.parse("endpoint", &endpoint).map(Some)
}

/// Discards some of what a deleted endpoint is still owed, the oldest first. Answers how many; 0 when nothing is owed any
/// more. There can be millions, and whoever commits waits meanwhile: hence one transaction for each so many. Nothing moves
/// on in its lanes: all of them are emptied, and nobody sends.
pub fn discard_owed(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let owed = || {
        deliveries::table
            .filter(deliveries::chain.eq(chain.as_str()))
            .filter(deliveries::endpoint.eq(endpoint.to_string()))
            .filter(deliveries::settled_at.is_null())
    };
    let id = endpoint.to_string();
    sequence::hold(conn, (chain.as_str(), &id))?;
    let ids: Vec<String> =
        owed().order(deliveries::seq).limit(DISCARDED_AT_ONCE).select(deliveries::id).load(conn)?;
    if let DbConn::Postgres(c) = conn {
        // An update locks rows as it comes upon them, attempts lock them in the order of their ids.
        owed()
            .filter(deliveries::id.eq_any(&ids))
            .order(deliveries::id)
            .select(deliveries::id)
            .for_update()
            .load::<String>(c)?;
    }
    diesel::update(owed().filter(deliveries::id.eq_any(&ids)))
        .set((
            deliveries::status.eq(DeliveryStatus::Discarded.as_str()),
            deliveries::due_at.eq(None::<i64>),
            deliveries::settled_at.eq(now.timestamp_micros()),
        ))
        .execute(conn)?;
    Ok(ids.len())
}

/// The deliveries of an endpoint with numbers greater than `since`, in their order.
pub fn numbered_after(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
    since: u64,
    limit: i64,
) -> Result<Vec<StoredDelivery>, StoreError> {
    let rows: Vec<(DeliveryRow, String)> = with_event!()
        .filter(deliveries::chain.eq(chain.as_str()))
        .filter(deliveries::endpoint.eq(endpoint.to_string()))
        .filter(deliveries::seq.gt(i64::try_from(since).unwrap_or(i64::MAX)))
        .order(deliveries::seq)
        .limit(limit)
        .select((DeliveryRow::as_select(), loyalty_events::kind))
        .load(conn)?;
    rows.into_iter().map(|(row, kind)| row.read(&kind)).collect()
}

/// All tries of a delivery, in order.
pub fn attempts(
    conn: &mut DbConn,
    chain: &ChainId,
    delivery: DeliveryId,
) -> Result<Vec<StoredAttempt>, StoreError> {
    attempt::of_delivery(conn, chain, delivery)
}

/// How the newest delivery to an endpoint that was tried stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastTried {
    /// When it was tried last.
    pub at: Timestamp,
    /// The status code of the answer, if one came.
    pub status_code: Option<u16>,
    /// Where it stands.
    pub status: DeliveryStatus,
}

/// The newest delivery to an endpoint that was tried. Reads two rows.
pub fn last_tried(
    conn: &mut DbConn,
    chain: &ChainId,
    endpoint: EndpointId,
) -> Result<Option<LastTried>, StoreError> {
    let Some((id, at, status_code)) = attempt::last_of_endpoint(conn, chain, endpoint)? else {
        return Ok(None);
    };
    let status: Option<String> = deliveries::table
        .find((chain.as_str(), endpoint.to_string(), &id))
        .select(deliveries::status)
        .get_result(conn)
        .optional()?;
    let Some(status) = status else { return Ok(None) };
    let row = Row { table: "deliveries", id: &id };
    Ok(Some(LastTried {
        at: row.time("at", at)?,
        status_code: status_code.map(|code| row.number("status_code", code)).transpose()?,
        status: row.parse("status", &status)?,
    }))
}
