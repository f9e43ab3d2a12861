//! What an export of one member needs beyond the lists that there are: records that nothing finds by their member.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::delivery::DeliveryDetail;
use super::loyalty_event::EventView;
use super::page::{Page, Wanted};
use super::source_event::SourceDetail;
use super::{ReadError, Reader, raw};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::identity::MemberName;
use crate::domain::ids::{EventId, MemberId, SourceId};
use crate::domain::text::Key;
use crate::store::loyalty_event::EventFilter;
use crate::store::{delivery, erasure, loyalty_event, member, order, parked, source_event};

/// What is remembered of an order.
#[derive(Debug)]
pub struct OrderState {
    /// The POS's id of it.
    pub order_id: Key,
    /// All of it.
    pub state: Box<RawValue>,
}

/// A loyalty event with what became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventWithDeliveries {
    /// The very JSON that was sent.
    event: EventView,
    /// To whom.
    deliveries: Vec<DeliveryDetail>,
}

/// What is open of a member: it is nowhere else yet.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenThings")]
pub struct OpenView {
    /// Sessions that did not end.
    sessions: Vec<SessionView>,
}

/// A session.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OpenSession")]
struct SessionView {
    session_id: Key,
    started_at: Timestamp,
}

impl Reader {
    /// What is open of the member of that name.
    ///
    /// # Errors
    /// The store failed.
    pub async fn open_of(&self, chain: ChainId, name: MemberName) -> Result<Option<OpenView>, ReadError> {
        let member = self.stored_member(chain, name).await?;
        Ok(member.map(|member| {
            let session =
                |(id, started_at): (&Key, Timestamp)| SessionView { session_id: id.clone(), started_at };
            OpenView { sessions: member.sessions.iter().map(session).collect() }
        }))
    }

    /// A member's loyalty events, newest first, with their deliveries.
    ///
    /// # Errors
    /// The store failed.
    pub async fn events_with_deliveries(
        &self,
        chain: ChainId,
        member: MemberId,
        wanted: Wanted<EventId>,
    ) -> Result<Page<EventWithDeliveries>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after);
        let found = self.run(move |conn| {
            let filter = EventFilter { member: Some(member), ..EventFilter::default() };
            let events = loyalty_event::list(conn, &chain, &filter, rows, after)?;
            let mut found = Vec::with_capacity(events.len());
            for event in events {
                let mut deliveries = Vec::new();
                for stored in delivery::of_event(conn, &chain, event.id)? {
                    let attempts = delivery::attempts(conn, &chain, stored.id)?;
                    let attempts = attempts.into_iter().map(Into::into).collect();
                    deliveries.push(DeliveryDetail { delivery: stored.into(), attempts });
                }
                found.push((event.id, EventWithDeliveries { event: EventView::of(event)?, deliveries }));
            }
            Ok(found)
        });
        wanted.page(found.await?, |(id, _)| id.to_string()).map(|(_, event)| Ok(event))
    }

    /// The source events that were decided for a member, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn source_events_of(
        &self,
        chain: ChainId,
        member: MemberId,
        wanted: Wanted<SourceId>,
    ) -> Result<Page<SourceDetail>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after);
        let found = self.run(move |conn| Ok(source_event::of_member(conn, &chain, member, rows, after)?));
        wanted.page(found.await?, |source| source.id.to_string()).map(SourceDetail::of)
    }

    /// Parked events that name a member by what the chain knows them by now, oldest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn parked_events_of(
        &self,
        chain: ChainId,
        member: MemberId,
        wanted: Wanted<SourceId>,
    ) -> Result<Page<SourceDetail>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after);
        let found = self.run(move |conn| {
            let identities = member::load(conn, &chain, member)?.map(|member| member.identities);
            let ids = parked::of_guest(conn, &chain, &identities.unwrap_or_default(), rows, after)?;
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.extend(source_event::get(conn, &chain, id)?);
            }
            Ok(found)
        });
        wanted.page(found.await?, |source| source.id.to_string()).map(SourceDetail::of)
    }

    /// What is remembered of the orders that a member's source events name, each with its id, as often as they name it.
    /// An order that turned out to be somebody else's is left out.
    ///
    /// # Errors
    /// The store failed.
    pub async fn orders_of(
        &self,
        chain: ChainId,
        member: MemberId,
        wanted: Wanted<SourceId>,
    ) -> Result<Page<Option<OrderState>>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after);
        let found = self.run(move |conn| {
            let sources = source_event::of_member(conn, &chain, member, rows, after)?;
            let mut found = Vec::with_capacity(sources.len());
            for source in sources {
                let order = match erasure::order_of(&source.body) {
                    Some(order_id) => {
                        order::state(conn, &chain, &order_id, member)?.map(|state| (order_id, state))
                    }
                    None => None,
                };
                found.push((source.id, order));
            }
            Ok(found)
        });
        let page = wanted.page(found.await?, |(id, _)| id.to_string());
        page.map(|(_, order)| {
            let state = |(order_id, state)| Ok(OrderState { order_id, state: raw(state, "order")? });
            order.map(state).transpose()
        })
    }
}
