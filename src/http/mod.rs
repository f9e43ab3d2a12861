//! The door: HTTP in, messages to the engine, answers out.
//!
//! Every write is a call of [`Engine`], every read goes through [`Reader`]. Each answer that is not a success is a
//! [`problem::Problem`].

pub mod problem;

mod admin;
mod attempts;
mod auth;
mod body;
mod client;
mod clock;
mod conditional;
mod cors;
mod door;
mod edge;
mod graphql;
mod health;
mod ingest;
mod known_keys;
mod limits;
mod measured;
mod once;
pub mod openapi;
mod query;
mod request_id;
mod routes;
mod server;
mod trace;

use std::sync::Arc;

use crate::actors::engine::Engine;
use crate::actors::snapshot::ChainSnapshot;
use crate::domain::address::AddressPolicy;
use crate::domain::api_key::KeyHash;
use crate::domain::role::Right;
use crate::read::Reader;
use crate::telemetry::Metrics;

use self::auth::Caller;
use self::door::State;
use self::known_keys::Keys;
use self::problem::Problem;

pub use self::cors::WebOrigin;
pub use self::door::Door;
pub use self::graphql::sdl;
pub use self::limits::RequestLimits;
pub use self::routes::configure;
pub use self::server::{Certificate, CertificateError, Exposure, ServerLimits, TlsFiles, listen, serve};

/// What every handler may use.
pub struct AppState {
    engine: Engine,
    reader: Reader,
    metrics: Arc<Metrics>,
    keys: Keys,
    policy: Arc<AddressPolicy>,
    /// Whether `GET /graphiql` is answered.
    graphiql: bool,
}

impl AppState {
    /// `reads` is made from the store. `admin_key` is the key of the configuration, accepted as an admin key of all chains.
    pub fn new(
        engine: Engine,
        reads: impl Into<Reader>,
        metrics: Arc<Metrics>,
        admin_key: Option<&str>,
        limits: RequestLimits,
        policy: Arc<AddressPolicy>,
    ) -> Self {
        let keys = Keys::new(admin_key.map(|text| KeyHash::of(text.as_bytes())), limits);
        Self { engine, reader: reads.into(), metrics, keys, policy, graphiql: false }
    }

    /// The same with a page to write queries on, if it is wanted.
    #[must_use]
    pub fn with_graphiql(self, graphiql: bool) -> Self {
        Self { graphiql, ..self }
    }

    /// The chain that a path names, if this caller may do that there. Another chain's things do not exist for a key
    /// of one chain.
    fn chain(&self, caller: &Caller, right: Right, id: &str) -> Result<Arc<ChainSnapshot>, Problem> {
        caller.require(right, id)?;
        Ok(self.engine.known_chain(id)?)
    }

    /// The chains that this caller's key is for, by id.
    fn chains_of(&self, caller: &Caller) -> Vec<Arc<ChainSnapshot>> {
        match caller.chain() {
            Some(own) => self.engine.chain(own.as_str()).into_iter().collect(),
            None => self.engine.chains(),
        }
    }
}

/// Random bytes for a secret that is about to be made.
fn random_bytes() -> Result<[u8; 32], Problem> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the operating system gives no random bytes");
        Problem::Unavailable
    })?;
    Ok(bytes)
}
