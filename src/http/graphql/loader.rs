//! What many items of a list resolve through the store, read together.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, Loader};

use crate::domain::chain::ChainId;
use crate::domain::coupon::CouponCode;
use crate::domain::ids::{DeliveryId, EndpointId, EventId, TransferId};
use crate::http::State;
use crate::http::problem::Problem;
use crate::read::ReadError;
use crate::read::coupon::MemberCouponView;
use crate::read::delivery::{AttemptView, LastTried};
use crate::read::ledger::TransferView;
use crate::read::loyalty_event::EventView;
use crate::read::page::{OfMember, Page};

/// The most that is read in one go.
const AT_ONCE: usize = 100;

/// The reads of one request.
pub(super) struct Reads(State);

/// Something of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct OfChain<K> {
    pub(super) chain: ChainId,
    pub(super) key: K,
}

impl Reads {
    pub(super) fn new(state: State) -> DataLoader<Self> {
        DataLoader::new(Self(state), actix_web::rt::spawn).max_batch_size(AT_ONCE)
    }
}

/// What a request reads of `key`.
pub(super) async fn load<K>(
    ctx: &Context<'_>,
    chain: &ChainId,
    key: K,
) -> Result<Option<<Reads as Loader<OfChain<K>>>::Value>, Problem>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    Reads: Loader<OfChain<K>, Error = Problem>,
{
    let loader: &DataLoader<Reads> = ctx.data_unchecked(); // `answer` puts it there
    loader.load_one(OfChain { chain: chain.clone(), key }).await
}

/// Reads what is asked for of one chain after the other; mostly there is one.
async fn of_chains<K, V, F>(
    keys: &[OfChain<K>],
    read: impl Fn(ChainId, Vec<K>) -> F,
) -> Result<HashMap<OfChain<K>, V>, Problem>
where
    K: Clone + Eq + Hash,
    F: Future<Output = Result<HashMap<K, V>, ReadError>>,
{
    let mut asked = BTreeMap::<_, Vec<_>>::new();
    for OfChain { chain, key } in keys {
        asked.entry(chain).or_default().push(key.clone());
    }
    let mut found = HashMap::new();
    for (chain, keys) in asked {
        let read = read(chain.clone(), keys).await?;
        found.extend(read.into_iter().map(|(key, value)| (OfChain { chain: chain.clone(), key }, value)));
    }
    Ok(found)
}

impl Loader<OfChain<OfMember<TransferId>>> for Reads {
    type Value = Page<TransferView>;
    type Error = Problem;

    async fn load(
        &self,
        keys: &[OfChain<OfMember<TransferId>>],
    ) -> Result<HashMap<OfChain<OfMember<TransferId>>, Self::Value>, Problem> {
        of_chains(keys, |chain, asked| self.0.reader.ledgers(chain, asked)).await
    }
}

impl Loader<OfChain<OfMember<EventId>>> for Reads {
    type Value = Page<EventView>;
    type Error = Problem;

    async fn load(
        &self,
        keys: &[OfChain<OfMember<EventId>>],
    ) -> Result<HashMap<OfChain<OfMember<EventId>>, Self::Value>, Problem> {
        of_chains(keys, |chain, asked| self.0.reader.events_of_members(chain, asked)).await
    }
}

impl Loader<OfChain<OfMember<CouponCode>>> for Reads {
    type Value = Page<MemberCouponView>;
    type Error = Problem;

    async fn load(
        &self,
        keys: &[OfChain<OfMember<CouponCode>>],
    ) -> Result<HashMap<OfChain<OfMember<CouponCode>>, Self::Value>, Problem> {
        let state = &self.0;
        let read = |chain: ChainId, asked| async move {
            let snapshot = state.engine.chain(chain.as_str());
            let declared = snapshot.as_ref().map_or(&[][..], |snapshot| snapshot.coupon_books());
            state.reader.coupons_of_members(chain, declared, asked).await
        };
        of_chains(keys, read).await
    }
}

impl Loader<OfChain<(EndpointId, DeliveryId)>> for Reads {
    type Value = Vec<AttemptView>;
    type Error = Problem;

    async fn load(
        &self,
        keys: &[OfChain<(EndpointId, DeliveryId)>],
    ) -> Result<HashMap<OfChain<(EndpointId, DeliveryId)>, Self::Value>, Problem> {
        of_chains(keys, |chain, asked| self.0.reader.attempts(chain, asked)).await
    }
}

impl Loader<OfChain<EndpointId>> for Reads {
    type Value = LastTried;
    type Error = Problem;

    async fn load(
        &self,
        keys: &[OfChain<EndpointId>],
    ) -> Result<HashMap<OfChain<EndpointId>, LastTried>, Problem> {
        of_chains(keys, |chain, asked| self.0.reader.last_tried(chain, asked)).await
    }
}
