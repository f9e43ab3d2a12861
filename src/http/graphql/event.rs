//! Loyalty events: what the world was told.

use async_graphql::connection::Connection;
use async_graphql::{Context, ID, Json, Object, SimpleObject};
use serde::Deserialize;
use serde_json::Value;

use super::Asked;
use super::page::{connection, wanted};
use super::scalars::DateTime;
use crate::domain::Timestamp;
use crate::domain::identity::MemberName;
use crate::domain::ids::EventId;
use crate::domain::role::Right;
use crate::http::problem::Problem;
use crate::read::ReadError;
use crate::read::loyalty_event::{EventView, Filter};
use crate::read::page::{Page, Wanted};

/// A loyalty event.
#[derive(SimpleObject)]
pub(super) struct Event {
    /// Its id, the same in every delivery of it.
    id: ID,
    /// Its type, such as `points.earned`.
    #[graphql(name = "type")]
    kind: String,
    /// When it happened.
    timestamp: DateTime,
    /// The member as they were then; null where it is about none.
    member: Option<Json<Value>>,
    /// What happened. `GET /v1/event_types` has the schema of each type.
    data: Json<Value>,
}

/// The canonical message.
#[derive(Deserialize)]
struct Message {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    timestamp: Timestamp,
    #[serde(default)]
    member: Option<Value>,
    data: Value,
}

impl Event {
    fn read(view: &EventView) -> Result<Self, Problem> {
        let Message { id, kind, timestamp, member, data } =
            serde_json::from_str(view.json()).map_err(|_| ReadError::Corrupt("loyalty event"))?;
        Ok(Self { id: ID(id), kind, timestamp: timestamp.into(), member: member.map(Json), data: Json(data) })
    }

    /// A page of events as a connection.
    pub(super) fn connection(
        page: Page<EventView>,
        wanted: &Wanted<EventId>,
    ) -> Result<Connection<String, Self>, Problem> {
        let next_cursor = page.next_cursor;
        let items = page.items.iter().map(Self::read).collect::<Result<_, _>>()?;
        connection(Page { items, next_cursor }, wanted, |event: &Self| event.id.to_string(), Ok)
    }
}

#[derive(Default)]
pub(super) struct EventQueries;

#[Object]
impl EventQueries {
    /// Loyalty events, newest first: of one type, of one member, from `since` on, before `until`.
    #[graphql(complexity = "super::page::cost(first, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "each is an argument of the query")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        chain_id: String,
        #[graphql(name = "type")] kind: Option<String>,
        member: Option<String>,
        since: Option<DateTime>,
        until: Option<DateTime>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<String, Event>, Problem> {
        let asked = Asked::of(ctx);
        let chain = asked.chain(Right::View, &chain_id)?.chain.id.clone();
        let unknown = |_| Problem::field("type", "must be a loyalty event; GET /v1/event_types lists them");
        let kind = kind.map(|kind| kind.parse()).transpose().map_err(unknown)?;
        let wanted = wanted(first, after.as_deref())?;
        let mut filter =
            Filter { kind, member: None, since: since.map(|at| at.0), until: until.map(|at| at.0) };
        if let Some(name) = member {
            let found = asked.state.reader.member(None, chain.clone(), MemberName::parse(&name)).await?;
            let Some(found) = found else { return Event::connection(Page::whole(Vec::new()), &wanted) };
            filter.member = Some(found.member_id);
        }
        Event::connection(asked.state.reader.loyalty_events(chain, filter, wanted).await?, &wanted)
    }

    /// One loyalty event.
    async fn event(
        &self,
        ctx: &Context<'_>,
        chain_id: String,
        event_id: ID,
    ) -> Result<Option<Event>, Problem> {
        let asked = Asked::of(ctx);
        let chain = asked.chain(Right::View, &chain_id)?.chain.id.clone();
        let Ok(id) = event_id.parse() else { return Ok(None) };
        asked.state.reader.loyalty_event(chain, id).await?.as_ref().map(Event::read).transpose()
    }
}
