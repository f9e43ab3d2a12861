//! The digest of an endpoint: what was made for it, by number, so that a receiver can prove that it has everything.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{ReadError, Reader};
use crate::domain::chain::ChainId;
use crate::domain::delivery::DeliveryStatus;
use crate::domain::ids::{DeliveryId, EndpointId, EventId};
use crate::store::delivery::{self, StoredDelivery};
use crate::store::{at_one_instant, sequence};

/// A stretch of the deliveries of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Digest {
    /// In the order of their numbers.
    pub items: Vec<DigestItem>,
    /// What was asked for: numbers greater than this.
    pub since: u64,
    /// The last number of this stretch: give it as `since` to get the next one.
    pub through: u64,
    /// The last number of all.
    pub last_seq: u64,
    /// SHA-256, in hexadecimal digits, of a line for each item: its number, a space, the id of its loyalty event, a line feed.
    pub hash: String,
}

/// One delivery of a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DigestItem {
    /// Its number.
    pub seq: u64,
    /// The loyalty event.
    pub event: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The delivery.
    pub delivery: DeliveryId,
    /// Where it stands.
    pub status: DeliveryStatus,
}

impl From<StoredDelivery> for DigestItem {
    fn from(stored: StoredDelivery) -> Self {
        Self {
            seq: stored.seq,
            event: stored.event,
            kind: stored.event_kind.as_str(),
            delivery: stored.id,
            status: stored.status,
        }
    }
}

impl Digest {
    fn of(items: Vec<DigestItem>, since: u64, last_seq: u64) -> Self {
        let hash = hash(&items);
        Self { through: items.last().map_or(since, |last| last.seq), items, since, last_seq, hash }
    }
}

fn hash(items: &[DigestItem]) -> String {
    let mut hasher = Sha256::new();
    for item in items {
        hasher.update(format!("{} {}\n", item.seq, item.event));
    }
    hasher.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Reader {
    /// What was made for an endpoint after the number `since`, at most `limit` deliveries.
    ///
    /// # Errors
    /// The store failed.
    pub async fn digest(
        &self,
        chain: ChainId,
        endpoint: EndpointId,
        since: u64,
        limit: u32,
    ) -> Result<Digest, ReadError> {
        let limit = limit.into();
        self.run(move |conn| {
            let (found, last) = at_one_instant(conn, |conn| {
                let found = delivery::numbered_after(conn, &chain, endpoint, since, limit)?;
                Ok((found, sequence::last(conn, &chain, endpoint)?))
            })?;
            Ok(Digest::of(found.into_iter().map(Into::into).collect(), since, last))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    #[test]
    fn the_hash_is_that_of_one_line_for_each_item() {
        let item = |seq| DigestItem {
            seq,
            event: EventId::new(Ulid(seq.into())),
            kind: "points.earned",
            delivery: DeliveryId::new(Ulid(seq.into())),
            status: DeliveryStatus::Delivered,
        };
        let none = Digest::of(Vec::new(), 4, 4);
        assert_eq!(
            (none.through, &*none.hash),
            (4, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
        );
        let two = Digest::of(vec![item(5), item(6)], 4, 9);
        // printf '5 evt_00000000000000000000000005\n6 evt_00000000000000000000000006\n' | sha256sum
        assert_eq!((two.through, two.last_seq), (6, 9));
        assert_eq!(two.hash, "a750a5760d2bb72a45f6e3772ff1682bea1431024fbb29a761e807dda1d307d0");
    }
}
