//! What waits for what, as outsiders see it.

use schemars::JsonSchema;
use serde::Serialize;

use super::delivery::DeliveryView;
use super::page::{Page, Wanted};
use super::{ReadError, Reader};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::endpoint::Lane;
use crate::domain::ids::{EndpointId, MemberId};
use crate::store::lane::{self, LaneHead};

/// A lane in which something is owed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "LaneInUse")]
pub struct LaneView {
    /// `member` or `endpoint`.
    pub lane: Lane,
    /// Whose lane it is; `null` for the one of an endpoint.
    pub member: Option<MemberId>,
    /// What all others in it wait for.
    pub head: DeliveryView,
    /// Since when they wait for that one.
    pub since: Timestamp,
    /// How many wait.
    pub behind: u64,
}

impl From<LaneHead> for LaneView {
    fn from(head: LaneHead) -> Self {
        Self {
            lane: head.lane,
            member: head.delivery.member.filter(|_| head.lane == Lane::Member),
            head: head.delivery.into(),
            since: head.since,
            behind: head.behind,
        }
    }
}

impl Reader {
    /// The lanes of an endpoint in which something is owed, the oldest head first; with `blocked` only those whose head was
    /// tried in vain.
    ///
    /// # Errors
    /// The store failed.
    pub async fn lanes(
        &self,
        chain: ChainId,
        endpoint: EndpointId,
        blocked: bool,
        wanted: Wanted<u64>,
    ) -> Result<Page<LaneView>, ReadError> {
        let (rows, after) = (wanted.rows(), wanted.after);
        let read = move |conn: &mut _| Ok(lane::heads(conn, &chain, endpoint, blocked, rows, after)?);
        let found = self.run(read).await?;
        wanted.page(found, |head| head.delivery.seq.to_string()).map(|head| Ok(head.into()))
    }
}
