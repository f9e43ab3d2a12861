//! What outsiders may see: views made from stored rows. Secrets are not among their fields.

pub mod achievement;
pub mod api_key;
pub mod audit;
pub mod backtest;
pub mod campaign;
pub mod chain;
pub mod churn;
pub mod coupon;
pub mod delivery;
pub mod digest;
pub mod endpoint;
pub mod explanation;
pub mod export;
pub mod export_schedule;
pub mod health;
pub mod integration;
pub mod lane;
pub mod ledger;
pub mod loyalty_event;
pub mod member;
pub mod page;
pub mod program;
pub mod recovery;
pub mod redemption;
pub mod referral;
pub mod roll_out;
pub mod source_event;

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::Semaphore;

use crate::store::{DbConn, Store, StoreError};

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store is away, or refused.
    #[error("the store could not be read")]
    Store(#[from] StoreError),
    /// A row does not hold what it should.
    #[error("a stored {0} cannot be understood")]
    Corrupt(&'static str),
}

/// Reads for outsiders. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Reader {
    store: Store,
    backtests: Arc<Semaphore>,
    lives: Arc<Semaphore>,
}

impl From<Store> for Reader {
    fn from(store: Store) -> Self {
        let at_once = |many| Arc::new(Semaphore::new(many));
        Self { store, backtests: at_once(backtest::AT_ONCE), lives: at_once(backtest::LIVES_AT_ONCE) }
    }
}

impl Reader {
    /// Whether the store answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), ReadError> {
        Ok(self.store.read(|conn| crate::store::chain::list(conn).map(drop)).await?)
    }

    /// Runs `f` on a connection for outsiders, on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut DbConn) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        self.store.read_for_outsiders(move |conn| Ok(f(conn))).await?
    }
}

/// JSON that the engine wrote and that is shown as it is.
fn raw(json: String, what: &'static str) -> Result<Box<RawValue>, ReadError> {
    RawValue::from_string(json).map_err(|_| ReadError::Corrupt(what))
}
