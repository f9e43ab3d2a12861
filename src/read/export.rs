//! What an export of one member needs beyond the lists that there are: records that nothing finds by their member.

use serde::Serialize;
use serde_json::value::RawValue;

use super::delivery::DeliveryDetail;
use super::loyalty_event::EventView;
use super::page::{Page, Wanted};
use super::source_event::SourceDetail;
use super::{ReadError, Reader, raw};
use crate::domain::Timestamp;
use crate::domain::cart::Cart;
use crate::domain::chain::ChainId;
use crate::domain::identity::MemberName;
use crate::domain::ids::{EventId, MemberId, SourceId};
use crate::domain::text::Key;
use crate::store::loyalty_event::EventFilter;
use crate::store::{delivery, erasure, loyalty_event, order, source_event};

/// A loyalty event with what became of it.
#[derive(Debug, Serialize)]
pub struct EventWithDeliveries {
    /// The very JSON that was sent.
    event: EventView,
    /// To whom.
    deliveries: Vec<DeliveryDetail>,
}

/// What is open of a member: it is nowhere else yet.
#[derive(Debug, Serialize)]
pub struct OpenView {
    /// Carts that were not ordered.
    carts: Vec<Cart>,
    /// Sessions that did not end.
    sessions: Vec<SessionView>,
}

/// A session.
#[derive(Debug, Serialize)]
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
            OpenView {
                carts: member.carts.open().cloned().collect(),
                sessions: member.sessions.iter().map(session).collect(),
            }
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

    /// A member's source events, oldest first. A page may be short, or empty, though more follow.
    ///
    /// # Errors
    /// The store failed.
    pub async fn source_events_of(
        &self,
        chain: ChainId,
        member: MemberId,
        wanted: Wanted<SourceId>,
    ) -> Result<Page<SourceDetail>, ReadError> {
        self.run(move |conn| {
            let (ids, mut next) = erasure::sources_of(conn, &chain, member, wanted.after)?;
            if ids.len() > wanted.limit {
                next = ids.get(wanted.limit - 1).copied();
            }
            let mut items = Vec::new();
            for id in ids.into_iter().take(wanted.limit) {
                items.extend(source_event::get(conn, &chain, id)?.map(SourceDetail::of).transpose()?);
            }
            Ok(Page { items, next_cursor: next.map(|id| id.to_string()) })
        })
        .await
    }

    /// What is remembered of a member's orders, by their ids. A page may be short, or empty, though more follow.
    ///
    /// # Errors
    /// The store failed.
    pub async fn orders_of(
        &self,
        chain: ChainId,
        member: MemberId,
        wanted: Wanted<Key>,
    ) -> Result<Page<Box<RawValue>>, ReadError> {
        self.run(move |conn| {
            let limit = i64::try_from(wanted.limit).unwrap_or(i64::MAX);
            let (states, next) = order::of_member(conn, &chain, member, limit, wanted.after.as_ref())?;
            let items = states.into_iter().map(|state| raw(state, "order")).collect::<Result<_, _>>()?;
            Ok(Page { items, next_cursor: next.map(|id| id.to_string()) })
        })
        .await
    }
}
