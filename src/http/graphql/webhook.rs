//! Webhooks as GuestIQ documents them: the endpoints of its dialect.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Object, SimpleObject};

use super::delivery::DeliveryStatus;
use super::loader::load;
use super::page::wanted;
use super::scalars::DateTime;
use super::{Asked, DeletePayload};
use crate::actors::once::Once;
use crate::domain::chain::ChainId;
use crate::domain::endpoint::{Dialect, Endpoint, EndpointState};
use crate::domain::ids::EndpointId;
use crate::domain::loyalty_event::EventType;
use crate::domain::precondition::Precondition;
use crate::domain::role::Right;
use crate::domain::text::Note;
use crate::http::admin::endpoints;
use crate::http::admin::endpoints::config::EndpointBody;
use crate::http::problem::Problem;
use crate::read::delivery::LastTried;

const WHAT: &str = "webhook";

/// What a webhook is told of.
#[derive(Debug, Enum, Clone, Copy, PartialEq, Eq)]
pub(super) enum WebhookEvent {
    /// A guest was recognised in a session.
    GuestIdentified,
    /// What is known of a guest changed.
    GuestProfileUpdated,
    /// Two guests turned out to be one.
    GuestMerged,
    /// A guest came to be in a segment.
    SegmentEntered,
    /// A guest is in a segment no more.
    SegmentExited,
    /// A guest did something. There may be very many of these.
    SignalReceived,
    /// A session began.
    SessionStarted,
    /// A session ended.
    SessionEnded,
    /// An order was paid.
    OrderCompleted,
    /// A cart was put together and not ordered.
    CartAbandoned,
    /// A guest stays away longer than usual.
    GuestAtRisk,
    /// A guest is given up for lost.
    GuestChurned,
    /// A guest came back.
    GuestReactivated,
}

impl WebhookEvent {
    const ALL: [Self; 13] = [
        Self::GuestIdentified,
        Self::GuestProfileUpdated,
        Self::GuestMerged,
        Self::SegmentEntered,
        Self::SegmentExited,
        Self::SignalReceived,
        Self::SessionStarted,
        Self::SessionEnded,
        Self::OrderCompleted,
        Self::CartAbandoned,
        Self::GuestAtRisk,
        Self::GuestChurned,
        Self::GuestReactivated,
    ];

    /// The loyalty event that it is.
    const fn kind(self) -> EventType {
        match self {
            Self::GuestIdentified => EventType::MemberIdentified,
            Self::GuestProfileUpdated => EventType::MemberUpdated,
            Self::GuestMerged => EventType::MemberMerged,
            Self::SegmentEntered => EventType::SegmentEntered,
            Self::SegmentExited => EventType::SegmentExited,
            Self::SignalReceived => EventType::SignalReceived,
            Self::SessionStarted => EventType::SessionStarted,
            Self::SessionEnded => EventType::SessionEnded,
            Self::OrderCompleted => EventType::OrderCompleted,
            Self::CartAbandoned => EventType::CartAbandoned,
            Self::GuestAtRisk => EventType::MemberAtRisk,
            Self::GuestChurned => EventType::MemberChurned,
            Self::GuestReactivated => EventType::MemberReactivated,
        }
    }

    /// Those that an endpoint gets. It may get others besides, which the product has no names for.
    fn of(endpoint: &Endpoint) -> Vec<Self> {
        let gets = |event: &Self| endpoint.events.iter().any(|p| p.covers(event.kind(), endpoint.dialect));
        Self::ALL.into_iter().filter(gets).collect()
    }

    /// What `POST …/endpoints` calls these.
    fn names(events: Vec<Self>) -> Vec<String> {
        events.into_iter().map(|event| event.kind().as_str().to_owned()).collect()
    }
}

/// Whether deliveries leave.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub(super) enum WebhookStatus {
    /// They leave.
    Active,
    /// They wait until somebody makes it active again.
    Paused,
    /// They wait, because its receiver failed for too long, is gone, or somebody said so.
    Disabled,
}

impl From<&EndpointState> for WebhookStatus {
    fn from(state: &EndpointState) -> Self {
        match state {
            EndpointState::Enabled => Self::Active,
            EndpointState::Paused { .. } => Self::Paused,
            EndpointState::Disabled { .. } => Self::Disabled,
        }
    }
}

/// A webhook.
#[derive(SimpleObject)]
#[graphql(complex)]
pub(super) struct Webhook {
    /// Its id; REST knows it as an endpoint.
    webhook_id: ID,
    /// Where events go.
    url: String,
    /// What it is told of.
    events: Vec<WebhookEvent>,
    /// Whether deliveries leave.
    status: WebhookStatus,
    /// When it was registered.
    created_at: DateTime,
    #[graphql(skip)]
    chain: ChainId,
    #[graphql(skip)]
    id: EndpointId,
}

impl Webhook {
    fn of(endpoint: &Endpoint) -> Self {
        Self {
            webhook_id: endpoint.id.into(),
            url: endpoint.url.to_string(),
            events: WebhookEvent::of(endpoint),
            status: (&endpoint.state).into(),
            created_at: endpoint.created_at.into(),
            chain: endpoint.chain.clone(),
            id: endpoint.id,
        }
    }
}

#[ComplexObject]
impl Webhook {
    /// Its newest delivery that was tried.
    async fn last_delivery(&self, ctx: &Context<'_>) -> Result<Option<LastDelivery>, Problem> {
        Ok(load(ctx, &self.chain, self.id).await?.map(Into::into))
    }
}

/// How a delivery went.
#[derive(SimpleObject)]
pub(super) struct LastDelivery {
    /// When it was tried last.
    timestamp: DateTime,
    /// Where it stands.
    status: DeliveryStatus,
    /// The status code of the answer; null when none came.
    response_code: Option<u16>,
}

impl From<LastTried> for LastDelivery {
    fn from(last: LastTried) -> Self {
        Self { timestamp: last.at.into(), status: last.status.into(), response_code: last.status_code }
    }
}

/// A webhook that was just registered: the one answer that shows its secret.
#[derive(SimpleObject)]
pub(super) struct RegisterWebhookPayload {
    /// Its id; REST knows it as an endpoint.
    webhook_id: ID,
    /// Where events go.
    url: String,
    /// What it is told of.
    events: Vec<WebhookEvent>,
    /// Whether deliveries leave.
    status: WebhookStatus,
    /// What signs, as receivers pass it to HMAC-SHA256. It is not shown again.
    secret: String,
}

/// A header of every request.
#[derive(InputObject)]
pub(super) struct HeaderInput {
    /// Its name.
    name: String,
    /// Its value, which is not shown again.
    value: String,
}

/// A webhook to be registered.
#[derive(InputObject)]
pub(super) struct RegisterWebhookInput {
    /// The chain.
    chain_id: String,
    /// Where events go.
    url: String,
    /// What it is told of.
    events: Vec<WebhookEvent>,
    /// What signs. One is made where none is given.
    secret: Option<String>,
    /// Headers of every request.
    headers: Option<Vec<HeaderInput>>,
}

/// What is to change about a webhook; what is left out stays.
#[derive(InputObject)]
pub(super) struct UpdateWebhookInput {
    /// Where events go.
    url: Option<String>,
    /// What it is told of.
    events: Option<Vec<WebhookEvent>>,
    /// Headers of every request; those from before go.
    headers: Option<Vec<HeaderInput>>,
    /// Whether deliveries leave.
    status: Option<WebhookStatus>,
}

fn headers(given: Vec<HeaderInput>) -> Result<BTreeMap<String, String>, Problem> {
    let mut headers = BTreeMap::new();
    for HeaderInput { name, value } in given {
        if headers.contains_key(&name) {
            return Err(Problem::field("headers", format!("`{name}` is given twice")));
        }
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The webhook of that id, in whatever chain the key is for, for somebody who may change it.
fn find(asked: &Asked, id: &str) -> Result<Arc<Endpoint>, Problem> {
    let Asked { state, caller } = asked;
    caller.require_role(Right::Administer)?;
    let id: EndpointId = id.parse().map_err(|_| Problem::NotFound(WHAT))?;
    let is_meant = |known: &&Arc<Endpoint>| known.id == id && known.dialect == Dialect::Guestiq;
    let chains = state.chains_of(caller);
    let found = chains.iter().find_map(|chain| chain.endpoints.iter().find(is_meant).cloned());
    found.ok_or(Problem::NotFound(WHAT))
}

/// Has deliveries leave, or not, or as it is.
async fn put(
    asked: &Asked,
    known: Arc<Endpoint>,
    status: Option<WebhookStatus>,
) -> Result<Arc<Endpoint>, Problem> {
    let Some(status) = status.filter(|status| *status != WebhookStatus::from(&known.state)) else {
        return Ok(known);
    };
    let (engine, chain, id, by) = (&asked.state.engine, &known.chain, known.id, asked.caller.by());
    Ok(match status {
        WebhookStatus::Active => engine.enable_endpoint(chain, id, Precondition::None, by).await?,
        WebhookStatus::Paused => engine.pause_endpoint(chain, id, Precondition::None, None, by).await?,
        WebhookStatus::Disabled => {
            let by_hand = Note::parse("disabled by hand").map_err(|bad| Problem::field("status", bad))?;
            engine.disable_endpoint(chain, id, Precondition::None, by_hand, by).await?
        }
    })
}

#[derive(Default)]
pub(super) struct WebhookQueries;

#[Object]
impl WebhookQueries {
    /// The chain's webhooks, newest first: 100, unless `first` says fewer; `after` is the id of the last one before.
    #[graphql(complexity = "super::page::cost(first.or(Some(100)), child_complexity)")]
    async fn webhooks(
        &self,
        ctx: &Context<'_>,
        chain_id: String,
        first: Option<i32>,
        after: Option<ID>,
    ) -> Result<Vec<Webhook>, Problem> {
        let snapshot = Asked::of(ctx).chain(Right::Administer, &chain_id)?;
        let wanted = wanted::<EndpointId>(first.or(Some(100)), after.as_ref().map(|id| id.as_str()))?;
        let mut all: Vec<_> =
            snapshot.endpoints.iter().filter(|known| known.dialect == Dialect::Guestiq).collect();
        all.sort_unstable_by_key(|known| std::cmp::Reverse(known.id));
        let page = wanted.of_all(all, |known| known.id, |known| known.id.to_string());
        Ok(page.items.into_iter().map(|known| Webhook::of(known)).collect())
    }
}

#[derive(Default)]
pub(super) struct WebhookMutations;

#[Object]
impl WebhookMutations {
    /// Registers a webhook. The answer alone shows its secret.
    #[graphql(complexity = "100 + child_complexity")]
    async fn register_webhook(
        &self,
        ctx: &Context<'_>,
        input: RegisterWebhookInput,
    ) -> Result<RegisterWebhookPayload, Problem> {
        let asked = Asked::of(ctx);
        let RegisterWebhookInput { chain_id, url, events, secret, headers: given } = input;
        let chain = asked.chain(Right::Administer, &chain_id)?.chain.id.clone();
        let headers = given.map(headers).transpose()?;
        let said = EndpointBody::saying(Some(url), Some(WebhookEvent::names(events)), headers);
        let said = said.in_dialect(Dialect::Guestiq, secret);
        let made = endpoints::make(&asked.state, chain, said, Once::default(), asked.caller.by()).await?;
        let Webhook { webhook_id, url, events, status, .. } = Webhook::of(&made);
        let secret = made.keys.newest().secret.reveal().to_owned();
        Ok(RegisterWebhookPayload { webhook_id, url, events, status, secret })
    }

    /// Changes a webhook.
    #[graphql(complexity = "100 + child_complexity")]
    async fn update_webhook(
        &self,
        ctx: &Context<'_>,
        webhook_id: ID,
        input: UpdateWebhookInput,
    ) -> Result<Webhook, Problem> {
        let asked = Asked::of(ctx);
        let known = find(asked, &webhook_id)?;
        let UpdateWebhookInput { url, events, headers: given, status } = input;
        let headers = given.map(headers).transpose()?;
        let said = EndpointBody::saying(url, events.map(WebhookEvent::names), headers);
        let (before, after) = match status {
            // Nothing is to leave for where it is to lead from now on.
            Some(stopped @ (WebhookStatus::Paused | WebhookStatus::Disabled)) => (Some(stopped), None),
            rest => (None, rest),
        };
        let known = put(asked, known, before).await?;
        let by = asked.caller.by();
        let changed = endpoints::change(&asked.state, &known, Precondition::None, said, by).await?;
        Ok(Webhook::of(&*put(asked, changed, after).await?))
    }

    /// Deletes a webhook; what it is still owed is discarded.
    #[graphql(complexity = "100 + child_complexity")]
    async fn delete_webhook(&self, ctx: &Context<'_>, webhook_id: ID) -> Result<DeletePayload, Problem> {
        let asked = Asked::of(ctx);
        let known = find(asked, &webhook_id)?;
        let by = asked.caller.by();
        asked.state.engine.delete_endpoint(&known.chain, known.id, Precondition::None, by).await?;
        Ok(DeletePayload { success: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_has_the_name_that_the_dialect_documents() {
        for event in WebhookEvent::ALL {
            let named = Dialect::Guestiq.name_of(event.kind()).unwrap();
            assert!(named.documented, "{event:?}");
            assert_eq!(async_graphql::Value::from(event).to_string(), named.said, "{event:?}");
        }
        let documented = EventType::ALL.iter().filter(|kind| Dialect::Guestiq.documents(**kind));
        assert_eq!(documented.count(), WebhookEvent::ALL.len());
    }

    #[test]
    fn a_webhook_shows_what_of_its_subscription_has_a_name() {
        let mut endpoint = Endpoint::sample("https://crm.example/hook");
        endpoint.dialect = Dialect::Guestiq;
        for (events, shown) in [
            ("*", WebhookEvent::ALL.to_vec()),
            ("segment.*", vec![WebhookEvent::SegmentEntered, WebhookEvent::SegmentExited]),
            ("points.*", vec![]),
        ] {
            endpoint.events = vec![events.parse().unwrap()];
            assert_eq!(WebhookEvent::of(&endpoint), shown, "{events}");
        }
    }

    #[test]
    fn a_header_is_given_once() {
        let header = |name: &str| HeaderInput { name: name.to_owned(), value: "1".to_owned() };
        assert_eq!(headers(vec![header("a"), header("b")]).unwrap().len(), 2);
        assert!(headers(vec![header("a"), header("a")]).is_err());
    }
}
