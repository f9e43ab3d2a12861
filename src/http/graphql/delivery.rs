//! The delivery log.

use async_graphql::connection::Connection;
use async_graphql::{Context, Enum, ID, Object, SimpleObject};

use super::Asked;
use super::loader::load;
use super::page::{connection, wanted};
use super::scalars::DateTime;
use crate::domain::chain::ChainId;
use crate::domain::ids::EndpointId;
use crate::domain::role::Right;
use crate::http::problem::Problem;
use crate::read::delivery::{AttemptView, Cursor, DeliveryView};

/// Where a delivery stands.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "crate::domain::delivery::DeliveryStatus")]
pub(super) enum DeliveryStatus {
    /// Owed.
    Pending,
    /// Owed, and behind another one of its lane.
    Waiting,
    /// The receiver accepted it.
    Delivered,
    /// Every try failed; waits for somebody to send it again.
    Failed,
    /// Somebody decided that it need not be sent.
    Discarded,
}

/// One loyalty event owed to one endpoint.
pub(super) struct Delivery {
    chain: ChainId,
    view: DeliveryView,
}

/// One loyalty event owed to one endpoint.
#[Object]
impl Delivery {
    /// Its id.
    async fn id(&self) -> ID {
        self.view.id.into()
    }

    /// Its number among those of its endpoint, without a gap.
    async fn sequence(&self) -> u64 {
        self.view.sequence
    }

    /// Where to: an endpoint, or a webhook.
    async fn endpoint_id(&self) -> ID {
        self.view.endpoint.into()
    }

    /// The loyalty event.
    async fn event_id(&self) -> ID {
        self.view.event.into()
    }

    /// Its type, such as `points.earned`.
    async fn event_type(&self) -> &'static str {
        self.view.event_type
    }

    /// Our id of the member it is about; null for what is about none.
    async fn member_id(&self) -> Option<ID> {
        self.view.member.map(ID::from)
    }

    /// Where it stands.
    async fn status(&self) -> DeliveryStatus {
        self.view.status.into()
    }

    /// Tries since it was last started, by the engine or by hand.
    async fn tries(&self) -> u32 {
        self.view.tries
    }

    /// When the next try is due; null behind another one of its lane, and once settled.
    async fn due_at(&self) -> Option<DateTime> {
        self.view.due_at.map(Into::into)
    }

    /// When its loyalty event was committed.
    async fn created_at(&self) -> DateTime {
        self.view.created_at.into()
    }

    /// When it was settled.
    async fn settled_at(&self) -> Option<DateTime> {
        self.view.settled_at.map(Into::into)
    }

    /// Who sent it again or late: `retry`, or the id of a recovery.
    async fn mark(&self) -> Option<String> {
        self.view.mark.map(|mark| mark.to_string())
    }

    /// Its tries, in order.
    #[graphql(complexity = "1 + 10 * child_complexity")]
    async fn attempts(&self, ctx: &Context<'_>) -> Result<Vec<Attempt>, Problem> {
        let tries = load(ctx, &self.chain, (self.view.endpoint, self.view.id)).await?;
        Ok(tries.unwrap_or_default().into_iter().map(Attempt::from).collect())
    }
}

/// One try of a delivery.
#[derive(SimpleObject)]
pub(super) struct Attempt {
    /// Its id.
    id: ID,
    /// 1 for the first try.
    number: u32,
    /// When it began.
    at: DateTime,
    /// How long the whole exchange took.
    duration_ms: u64,
    /// The status code, when an answer came.
    status_code: Option<u16>,
    /// The first 500 characters of the answer.
    response_body: Option<String>,
    /// What went wrong; null on success.
    error: Option<String>,
}

impl From<AttemptView> for Attempt {
    fn from(view: AttemptView) -> Self {
        let AttemptView { id, number, at, duration_ms, status_code, response_body, error } = view;
        Self { id: id.into(), number, at: at.into(), duration_ms, status_code, response_body, error }
    }
}

#[derive(Default)]
pub(super) struct DeliveryQueries;

#[Object]
impl DeliveryQueries {
    /// What is and was owed to an endpoint or webhook, newest first.
    #[graphql(complexity = "super::page::cost(first, child_complexity)")]
    async fn deliveries(
        &self,
        ctx: &Context<'_>,
        chain_id: String,
        endpoint_id: ID,
        status: Option<DeliveryStatus>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Connection<String, Delivery>, Problem> {
        let asked = Asked::of(ctx);
        let snapshot = asked.chain(Right::View, &chain_id)?;
        let id = endpoint_id.parse::<EndpointId>().ok();
        let known = snapshot.endpoints.iter().find(|known| Some(known.id) == id);
        let endpoint = known.ok_or(Problem::NotFound("endpoint"))?.id;
        let (chain, wanted) = (snapshot.chain.id.clone(), wanted(first, after.as_deref())?);
        let status = status.map(Into::into);
        let page = asked.state.reader.deliveries(chain.clone(), endpoint, status, wanted).await?;
        let cursor = |view: &DeliveryView| Cursor::behind(view, status).to_string();
        connection(page, &wanted, cursor, |view| Ok(Delivery { chain: chain.clone(), view }))
    }

    /// One delivery.
    async fn delivery(
        &self,
        ctx: &Context<'_>,
        chain_id: String,
        delivery_id: ID,
    ) -> Result<Option<Delivery>, Problem> {
        let asked = Asked::of(ctx);
        let chain = asked.chain(Right::View, &chain_id)?.chain.id.clone();
        let Ok(id) = delivery_id.parse() else { return Ok(None) };
        let found = asked.state.reader.delivery(chain.clone(), id).await?;
        Ok(found.map(|found| Delivery { chain, view: found.delivery }))
    }
}
