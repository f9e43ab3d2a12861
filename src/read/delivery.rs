//! The delivery log as outsiders see it.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::page::{Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::delivery::{DeliveryStatus, Mark};
use crate::domain::ids::{AttemptId, DeliveryId, EndpointId, EventId, MemberId};
pub use crate::store::delivery::LastTried;
use crate::store::delivery::{self, StoredAttempt, StoredDelivery};

/// A delivery in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeliveryView {
    /// Its id.
    pub id: DeliveryId,
    /// Its number among those of its endpoint: 1, 2, 3 and so on in the order of their commits, without a gap.
    pub sequence: u64,
    /// Where to.
    pub endpoint: EndpointId,
    /// The loyalty event.
    pub event: EventId,
    /// Its type.
    pub event_type: &'static str,
    /// Our id of the member it is about; `null` for what is about none.
    pub member: Option<MemberId>,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Tries since it was last started, by the engine or by hand.
    pub tries: u32,
    /// When the next try is due; `null` behind another one of its lane, and once settled.
    pub due_at: Option<Timestamp>,
    /// When its loyalty event was committed.
    pub created_at: Timestamp,
    /// When it was settled.
    pub settled_at: Option<Timestamp>,
    /// Who sent it again or late: `retry`, or the id of a recovery.
    pub mark: Option<Mark>,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttemptView {
    /// Its id.
    pub id: AttemptId,
    /// 1 for the first try.
    pub number: u32,
    /// When it began, by the engine's clock.
    pub at: Timestamp,
    /// How long the whole exchange took.
    pub duration_ms: u64,
    /// The status code, when an answer came.
    pub status_code: Option<u16>,
    /// The first 500 characters of the answer.
    pub response_body: Option<String>,
    /// What went wrong; `null` on success.
    pub error: Option<String>,
}

/// A delivery with its tries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeliveryDetail {
    /// As in a list.
    #[serde(flatten)]
    pub delivery: DeliveryView,
    /// Its tries, in order.
    pub attempts: Vec<AttemptView>,
}

impl From<StoredDelivery> for DeliveryView {
    fn from(stored: StoredDelivery) -> Self {
        Self {
            id: stored.id,
            sequence: stored.seq,
            endpoint: stored.endpoint,
            event: stored.event,
            event_type: stored.event_kind.as_str(),
            member: stored.member,
            status: stored.status,
            tries: stored.attempts,
            due_at: stored.due_at,
            created_at: stored.created_at,
            settled_at: stored.settled_at,
            mark: stored.mark,
        }
    }
}

impl From<StoredAttempt> for AttemptView {
    fn from(stored: StoredAttempt) -> Self {
        Self {
            id: stored.id,
            number: stored.number,
            at: stored.at,
            duration_ms: stored.duration_ms,
            status_code: stored.status_code,
            response_body: stored.response_body,
            error: stored.error,
        }
    }
}

impl Reader {
    /// An endpoint's deliveries, newest first, of one status or all.
    ///
    /// # Errors
    /// The store failed.
    pub async fn deliveries(
        &self,
        chain: ChainId,
        endpoint: EndpointId,
        status: Option<DeliveryStatus>,
        wanted: Wanted<DeliveryId>,
    ) -> Result<Page<DeliveryView>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after);
        let read = move |conn: &mut _| Ok(delivery::list(conn, &chain, endpoint, status, rows, after)?);
        let found = self.run(read).await?;
        wanted.page(found, |delivery| delivery.id.to_string()).map(|delivery| Ok(delivery.into()))
    }

    /// One delivery with its tries.
    ///
    /// # Errors
    /// The store failed.
    pub async fn delivery(
        &self,
        chain: ChainId,
        id: DeliveryId,
    ) -> Result<Option<DeliveryDetail>, ReadError> {
        self.run(move |conn| {
            let Some(found) = delivery::get(conn, &chain, id)? else { return Ok(None) };
            let attempts = delivery::attempts(conn, &chain, id)?.into_iter().map(Into::into).collect();
            Ok(Some(DeliveryDetail { delivery: found.into(), attempts }))
        })
        .await
    }

    /// The tries of several deliveries, each named with its endpoint, in order.
    ///
    /// # Errors
    /// The store failed.
    pub async fn attempts(
        &self,
        chain: ChainId,
        asked: Vec<(EndpointId, DeliveryId)>,
    ) -> Result<HashMap<(EndpointId, DeliveryId), Vec<AttemptView>>, ReadError> {
        let mut of_endpoints = BTreeMap::<_, Vec<_>>::new();
        for (endpoint, delivery) in asked {
            of_endpoints.entry(endpoint).or_default().push(delivery);
        }
        self.run(move |conn| {
            let mut found = HashMap::<_, Vec<_>>::new();
            for (endpoint, asked) in of_endpoints {
                for (of, attempt) in delivery::attempts_of(conn, &chain, endpoint, &asked)? {
                    found.entry((endpoint, of)).or_default().push(attempt.into());
                }
            }
            Ok(found)
        })
        .await
    }

    /// How the newest delivery that was tried stands, of each of these endpoints.
    ///
    /// # Errors
    /// The store failed.
    pub async fn last_tried(
        &self,
        chain: ChainId,
        endpoints: Vec<EndpointId>,
    ) -> Result<HashMap<EndpointId, LastTried>, ReadError> {
        self.run(move |conn| {
            let mut found = HashMap::new();
            for endpoint in endpoints {
                found.extend(delivery::last_tried(conn, &chain, endpoint)?.map(|last| (endpoint, last)));
            }
            Ok(found)
        })
        .await
    }
}
