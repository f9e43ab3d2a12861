//! The delivery log as outsiders see it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;

use super::page::{Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::delivery::{DeliveryStatus, Mark};
use crate::domain::ids::{AttemptId, BadId, DeliveryId, EndpointId, EventId, MemberId};
pub use crate::store::delivery::LastTried;
use crate::store::delivery::{self, StoredAttempt, StoredDelivery};
use crate::store::delivery_log::{self, Behind};

/// A delivery in a list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Delivery")]
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
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Attempt")]
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
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DeliveryDetail {
    /// As in a list.
    #[serde(flatten)]
    pub delivery: DeliveryView,
    /// Its tries, in order.
    pub attempts: Vec<AttemptView>,
}

/// The last delivery of a page, and where it stood if the list is sorted by what may change: `dlv_…`, or
/// `dlv_….1772562600000000` with the microsecond at which it was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(Behind);

impl Cursor {
    /// Behind this delivery in a list of that status.
    pub fn behind(last: &DeliveryView, status: Option<DeliveryStatus>) -> Self {
        let due_at = last.due_at.filter(|_| status == Some(DeliveryStatus::Pending));
        Self(Behind { id: last.id, due_at })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Behind { id, due_at }) = self;
        match due_at {
            Some(at) => write!(f, "{id}.{}", at.timestamp_micros()),
            None => write!(f, "{id}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId { prefix: DeliveryId::PREFIX };
        let Some((id, micros)) = text.split_once('.') else {
            return Ok(Self(Behind { id: text.parse()?, due_at: None }));
        };
        let at = micros.parse().ok().and_then(Timestamp::from_timestamp_micros);
        Ok(Self(Behind { id: id.parse()?, due_at: Some(at.ok_or_else(bad)?) }))
    }
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
        wanted: Wanted<Cursor>,
    ) -> Result<Page<DeliveryView>, ReadError> {
        let (rows, behind) = (wanted.rows(), wanted.after.map(|Cursor(behind)| behind));
        let read = move |conn: &mut _| Ok(delivery_log::list(conn, &chain, endpoint, status, rows, behind)?);
        let found = self.run(read).await?.into_iter().map(DeliveryView::from).collect();
        Ok(wanted.page(found, |last| Cursor::behind(last, status).to_string()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let id = DeliveryId::new(ulid::Ulid(7));
        for due_at in [None, Timestamp::from_timestamp_micros(1_772_562_600_000_001)] {
            let cursor = Cursor(Behind { id, due_at });
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for bad in ["", ".1", "dlv_", &format!("{id}."), &format!("{id}.soon"), &format!("{id}.{}", i64::MAX)]
        {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}
