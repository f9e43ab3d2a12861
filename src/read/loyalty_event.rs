//! Loyalty events as outsiders see them: the very JSON that was sent.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::page::{Page, Wanted};
use super::{ReadError, Reader, raw};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::ids::{EventId, MemberId};
use crate::domain::loyalty_event::{EventType, LoyaltyEvent};
use crate::store::loyalty_event::{self, EventFilter, StoredEvent};

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this type.
    pub kind: Option<EventType>,
    /// Only of this member.
    pub member: Option<MemberId>,
    /// Only at or after this instant.
    pub since: Option<Timestamp>,
    /// Only before this instant.
    pub until: Option<Timestamp>,
}

/// An event: its canonical JSON.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(with = "LoyaltyEvent")]
pub struct EventView(Box<RawValue>);

impl EventView {
    pub(super) fn of(event: StoredEvent) -> Result<Self, ReadError> {
        raw(event.body, "loyalty event").map(Self)
    }
}

impl Reader {
    /// Events, newest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn loyalty_events(
        &self,
        chain: ChainId,
        filter: Filter,
        wanted: Wanted<EventId>,
    ) -> Result<Page<EventView>, ReadError> {
        let Filter { kind, member, since, until } = filter;
        let filter = EventFilter { kind, member, since, until };
        let (rows, after) = (wanted.rows(), wanted.after);
        let found =
            self.run(move |conn| Ok(loyalty_event::list(conn, &chain, &filter, rows, after)?)).await?;
        wanted.page(found, |event| event.id.to_string()).map(EventView::of)
    }

    /// One event.
    ///
    /// # Errors
    /// The store failed.
    pub async fn loyalty_event(&self, chain: ChainId, id: EventId) -> Result<Option<EventView>, ReadError> {
        let found = self.run(move |conn| Ok(loyalty_event::get(conn, &chain, id)?)).await?;
        found.map(EventView::of).transpose()
    }
}
