//! What operators watch: figures of the whole engine. Most are at hand when somebody asks; those that the store has to be
//! asked for are looked up once a minute, however often somebody asks.

use crate::domain::Timestamp;
use crate::domain::endpoint::{Endpoint, EndpointState};
use crate::domain::gate::Hold;
use crate::store;
use crate::telemetry::{ChainLabels, EndpointStateLabels, IngestLabels, KindLabels, PoolLabels};

use super::engine::{Engine, EngineError};
use super::snapshot::ChainSnapshot;

/// The most deliveries that are counted of one endpoint.
const MOST_OPEN: u32 = 10_000;

impl Engine {
    /// Brings up to date what costs nothing to know.
    pub fn bring_metrics_up_to_date(&self) {
        let metrics = &self.0.metrics;
        let chains = self.chains();
        for snapshot in &chains {
            self.show_chain(snapshot);
        }
        let without = chains.iter().filter(|snapshot| snapshot.program.is_none()).count();
        metrics.chains_without_rules.set((without + self.unborn().len()) as i64);
        for (pool, busy) in ["engine", "outsiders"].into_iter().zip(self.0.store.busy_readers()) {
            metrics.readers_busy.get_or_create(&PoolLabels { pool }).set(busy.into());
        }
        // A series that is there from the begin can be asked how much it grew.
        drop(metrics.ingested.get_or_create(&IngestLabels { outcome: "shed" }));
        for kind in self.0.retention.names() {
            drop(metrics.retention_rows.get_or_create(&KindLabels { kind }));
        }
        metrics.clock.set(seconds(self.0.clock.now()));
    }

    fn show_chain(&self, snapshot: &ChainSnapshot) {
        let metrics = &self.0.metrics;
        let chain = snapshot.chain.id.to_string();
        let labels = ChainLabels { chain: chain.clone() };
        let version = snapshot.program.as_ref().map_or(0, |program| program.version);
        metrics.program_version.get_or_create(&labels).set(version);
        drop(metrics.rule_failures.get_or_create(&labels));
        drop(metrics.suspended_rules.get_or_create(&labels));
        for state in ["enabled", "paused", "disabled"] {
            let count = snapshot.endpoints.iter().filter(|endpoint| state_of(endpoint) == state).count();
            let labels = EndpointStateLabels { chain: chain.clone(), state };
            metrics.endpoints.get_or_create(&labels).set(count as i64);
        }
    }

    /// Counts what a chain owes, and to how many receivers that are held back.
    pub(super) async fn count_open(&self, snapshot: &ChainSnapshot) -> Result<(), EngineError> {
        let (chain, endpoints) = (snapshot.chain.id.clone(), snapshot.endpoints.clone());
        let look = move |conn: &mut _| {
            let mut open = 0;
            for endpoint in endpoints.iter() {
                let owed = store::endpoint_minutes::owed(conn, &chain, endpoint.id, MOST_OPEN)?;
                open += owed.deliveries;
            }
            let conditions = store::condition::list(conn, &chain)?;
            let is_held = |id| {
                let condition = conditions.iter().find(|(endpoint, _)| *endpoint == id);
                condition.is_some_and(|(_, condition)| matches!(condition.hold, Hold::Open { .. }))
            };
            let held = endpoints.iter().filter(|endpoint| endpoint.is_enabled() && is_held(endpoint.id));
            Ok((open, held.count()))
        };
        let (open, held) = self.0.store.read(look).await?;
        let labels = ChainLabels { chain: snapshot.chain.id.to_string() };
        self.0.metrics.open_deliveries.get_or_create(&labels).set(i64::try_from(open).unwrap_or(i64::MAX));
        self.0.metrics.endpoints_held.get_or_create(&labels).set(held as i64);
        Ok(())
    }

    /// Looks how large the database is.
    pub(super) async fn measure_database(&self) -> Result<(), EngineError> {
        let bytes = self.0.store.read(store::figures::database_bytes).await?;
        self.0.metrics.database_bytes.set(bytes);
        Ok(())
    }
}

const fn state_of(endpoint: &Endpoint) -> &'static str {
    match endpoint.state {
        EndpointState::Enabled => "enabled",
        EndpointState::Paused { .. } => "paused",
        EndpointState::Disabled { .. } => "disabled",
    }
}

fn seconds(at: Timestamp) -> f64 {
    at.timestamp_micros() as f64 / 1_000_000.0
}
