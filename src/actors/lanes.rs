//! Looking after lanes: what is owed goes by them after they were changed, and none of them stands still.

use crate::domain::chain::ChainId;
use crate::domain::endpoint::Lane;
use crate::domain::ids::EndpointId;
use crate::store;

use super::engine::{Engine, EngineError};
use super::snapshot::ChainSnapshot;

/// Deliveries that go by other lanes in one transaction: events are written between them.
const AT_ONCE: i64 = 1_000;

impl Engine {
    /// Has everything that an endpoint is owed go by its lanes, after it was changed which they are.
    pub(super) async fn relane(&self, chain: &ChainId, id: EndpointId) -> Result<(), EngineError> {
        loop {
            let (of, now) = (chain.clone(), self.0.clock.now());
            let relane = move |conn: &mut _, _: &_| store::lane::relane(conn, &of, id, now, AT_ONCE);
            if !self.0.journal.run(relane).await? {
                break;
            }
        }
        self.reread(chain, id).await
    }

    /// Something in what an endpoint is owed has its turn now. In lanes, what has been read may have to wait for it.
    pub(super) async fn reorder(&self, chain: &ChainId, id: EndpointId) -> Result<(), EngineError> {
        match self.endpoint(chain, id) {
            Ok(endpoint) if endpoint.settings.lane != Lane::None => self.reread(chain, id).await,
            _ => {
                self.0.nudges.nudge(id);
                Ok(())
            }
        }
    }

    /// Has the courier of an endpoint forget what it has read and not sent yet, which may have to wait now.
    async fn reread(&self, chain: &ChainId, id: EndpointId) -> Result<(), EngineError> {
        let of = chain.clone();
        self.carry_out(async move |engine| {
            // It may be deleted.
            if let Ok(endpoint) = engine.endpoint(&of, id) {
                engine.0.endpoints.apply(&endpoint, false);
            }
            Ok(())
        })
        .await
    }

    /// Looks after all lanes, beside everything else: a change of them that was cut short may take long to end.
    pub(super) fn keep_lanes_later(&self) {
        let engine = self.clone();
        self.0.control.spawn(async move {
            let Ok(_one_at_a_time) = engine.0.laning.try_lock() else { return };
            for snapshot in engine.chains() {
                engine.keep_lanes(&snapshot).await;
            }
        });
    }

    /// Ends changes of lanes that were cut short, and makes due what waits for nothing. One endpoint's trouble is no other one's.
    async fn keep_lanes(&self, snapshot: &ChainSnapshot) {
        let chain = &snapshot.chain.id;
        let of = chain.clone();
        let half_laned = self.0.store.read(move |conn| store::sequence::half_laned(conn, &of)).await;
        let half_laned = half_laned.unwrap_or_else(|error| {
            let error = &error as &dyn std::error::Error;
            tracing::error!(%chain, error, "changes of lanes could not be looked for");
            Vec::new()
        });
        for id in half_laned {
            looked_after(id, self.relane(chain, id).await);
        }
        for endpoint in snapshot.endpoints.iter().filter(|endpoint| endpoint.settings.lane != Lane::None) {
            looked_after(endpoint.id, self.unstick(chain, endpoint.id).await);
        }
    }

    async fn unstick(&self, chain: &ChainId, id: EndpointId) -> Result<(), EngineError> {
        let mut after = None;
        loop {
            let of = chain.clone();
            let look = move |conn: &mut _| store::lane::stuck(conn, &of, id, after.as_deref());
            let (stuck, last) = self.0.store.read(look).await?;
            if !stuck.is_empty() {
                tracing::warn!(endpoint = %id, lanes = stuck.len(), "lanes stood still");
                let (of, now) = (chain.clone(), self.0.clock.now());
                let unstick = move |conn: &mut _, _: &_| store::lane::unstick(conn, &of, id, stuck, now);
                self.0.journal.run(unstick).await?;
                self.0.nudges.nudge(id);
            }
            match last {
                Some(last) => after = Some(last),
                None => return Ok(()),
            }
        }
    }
}

fn looked_after(endpoint: EndpointId, outcome: Result<(), EngineError>) {
    if let Err(error) = outcome {
        let error = &error as &dyn std::error::Error;
        tracing::error!(%endpoint, error, "the lanes of an endpoint could not be looked after");
    }
}
