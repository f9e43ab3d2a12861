//! Where deliveries come from and attempts go to: the store and the journal, behind a seam for tests.

use std::fmt::Display;

use crate::actors::journal::{Journal, JournalError};
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::delivery::AttemptOutcome;
use crate::domain::gate::Noted;
use crate::domain::ids::EndpointId;
use crate::store::commit::{Write, Written};
use crate::store::delivery::{self, DueDelivery};
use crate::store::{Store, StoreError, condition};

/// What a read brings.
#[derive(Debug, Default)]
pub(super) struct Stock {
    /// Due, the longest due first.
    pub due: Vec<DueDelivery>,
    /// When the earliest pending delivery is due, held ones included; asked only when nothing else is due.
    pub next_due: Option<Timestamp>,
    /// When the oldest pending delivery was created; asked only when wanted.
    pub oldest: Option<Timestamp>,
    /// What is known of the receiver; asked only when wanted.
    pub condition: Option<Noted>,
}

/// What to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    /// Due until.
    pub now: Timestamp,
    /// At most so many.
    pub limit: usize,
    /// Whether the age of the backlog is wanted.
    pub age: bool,
    /// Whether it is wanted what is known of the receiver.
    pub condition: bool,
}

/// One endpoint's rows.
pub(super) trait Depot {
    /// Why it could not be read.
    type ReadError: Display;
    /// Why it could not be written.
    type WriteError: Display;

    /// Reads what is due.
    async fn read(&self, ask: Ask) -> Result<Stock, Self::ReadError>;
    /// Writes an attempt and what follows of it, durably and at once.
    async fn write(&self, outcome: AttemptOutcome) -> Result<(), Self::WriteError>;
}

/// The real one.
pub(super) struct StoreDepot {
    pub(super) store: Store,
    pub(super) journal: Journal,
    pub(super) chain: ChainId,
    pub(super) endpoint: EndpointId,
}

impl Depot for StoreDepot {
    type ReadError = StoreError;
    type WriteError = JournalError;

    async fn read(&self, ask: Ask) -> Result<Stock, StoreError> {
        let (chain, endpoint) = (self.chain.clone(), self.endpoint);
        let read = self.store.read(move |conn| {
            let limit = i64::try_from(ask.limit).unwrap_or(i64::MAX);
            let due = delivery::due(conn, &chain, endpoint, ask.now, limit)?;
            let is_all = due.len() < ask.limit;
            let next_due = if is_all { delivery::next_due(conn, &chain, endpoint)? } else { None };
            let oldest = if ask.age { delivery::oldest_pending(conn, &chain, endpoint)? } else { None };
            let condition = if ask.condition { Some(condition::get(conn, &chain, endpoint)?) } else { None };
            Ok(Stock { due, next_due, oldest, condition })
        });
        read.await
    }

    async fn write(&self, outcome: AttemptOutcome) -> Result<(), JournalError> {
        let delivery = outcome.attempt.delivery;
        if self.journal.write(Write::Attempt(Box::new(outcome))).await? == Written::Conflict {
            tracing::warn!(%delivery, "an attempt was made for a delivery that is gone");
        }
        Ok(())
    }
}
