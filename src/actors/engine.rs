//! The engine as the outside sees it: a cheap handle; every call is a message to an actor or to the journal.

use std::sync::Arc;

use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::domain::chain::{Chain, ChainId};
use crate::domain::endpoint::Endpoint;
use crate::domain::ids::{DeliveryId, EndpointId, SourceId};
use crate::domain::source_event::SourceEvent;
use crate::rules::diagnostic::Diagnostic;
use crate::rules::program::Program;

/// A chain's current configuration, replaced as a whole when anything in it changes.
#[derive(Debug, Clone)]
pub struct ChainSnapshot {
    /// The chain.
    pub chain: Arc<Chain>,
    /// Its program; version 0 = none.
    pub program: Arc<Program>,
    /// Why the newest edit of its folder is not in force; empty when it is.
    pub problems: Arc<[Diagnostic]>,
    /// Its endpoints, enabled or not.
    pub endpoints: Arc<[Arc<Endpoint>]>,
}

/// When the POS is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerWhen {
    /// When decided and durable.
    Decided,
    /// When durable; decided afterwards (`Prefer: respond-async`).
    Kept,
}

/// The answer to a source event.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The receipt's JSON.
    pub receipt: String,
    /// Whether it repeats an earlier answer.
    pub duplicate: bool,
    /// `processed`, `parked`, `failed`, `accepted`.
    pub status: crate::domain::receipt::SourceStatus,
}

/// Why there is no receipt. Each variant says what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The same key came before with another body. Retrying changes nothing.
    #[error("the key `{key}` was used before with another body")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// No such thing in this chain.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It cannot be done in the state things are in; the sentence says why.
    #[error("{0}")]
    Conflict(String),
    /// More work than fits. Nothing was accepted; try again after the pause.
    #[error("the engine is at capacity")]
    Overloaded,
    /// Shutting down. Nothing was accepted.
    #[error("the engine is shutting down")]
    Draining,
    /// The store failed or the fate of the commit is unknown. Sending the same event again is safe.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The engine.
#[derive(Clone)]
pub struct Engine {
    /// The engine's clock.
    pub clock: Clock,
}

impl Engine {
    /// The current configuration of a chain.
    pub fn chain(&self, _id: &str) -> Option<Arc<ChainSnapshot>> {
        todo!()
    }

    /// All chains, by id.
    pub fn chains(&self) -> Vec<Arc<ChainSnapshot>> {
        todo!()
    }

    /// Takes one source event through decision and commit. Waits when the engine is busy; callers that must not wait
    /// hold a permit from [`Engine::try_admit`] first.
    pub async fn ingest(
        &self,
        _chain: &ChainId,
        _event: SourceEvent,
        _when: AnswerWhen,
    ) -> Result<Answer, EngineError> {
        todo!()
    }

    /// Runs a failed (or undecided) source event again.
    pub async fn replay(&self, _chain: &ChainId, _source: SourceId) -> Result<Answer, EngineError> {
        todo!()
    }

    /// Room for one source event, or [`EngineError::Overloaded`] / [`EngineError::Draining`] at once.
    pub fn try_admit(&self) -> Result<tokio::sync::OwnedSemaphorePermit, EngineError> {
        todo!()
    }

    /// Room for one source event, waiting for it: for streamed batches, whose sender is slowed down instead.
    pub async fn admit(&self) -> Result<tokio::sync::OwnedSemaphorePermit, EngineError> {
        todo!()
    }

    /// Creates a chain. `Conflict` when the id is taken.
    pub async fn create_chain(&self, _chain: Chain) -> Result<Arc<ChainSnapshot>, EngineError> {
        todo!()
    }

    /// Changes a chain's name (the calendar and the currency stay: balances and windows depend on them).
    pub async fn rename_chain(
        &self,
        _chain: &ChainId,
        _name: crate::domain::text::Name,
    ) -> Result<Arc<ChainSnapshot>, EngineError> {
        todo!()
    }

    /// Stores a new endpoint and starts delivering to it.
    pub async fn create_endpoint(&self, _endpoint: Endpoint) -> Result<Arc<Endpoint>, EngineError> {
        todo!()
    }

    /// Replaces an endpoint by what `change` makes of it (patch, enable, disable).
    pub async fn update_endpoint(
        &self,
        _chain: &ChainId,
        _id: EndpointId,
        _change: impl FnOnce(&mut Endpoint) + Send + 'static,
    ) -> Result<Arc<Endpoint>, EngineError> {
        todo!()
    }

    /// Deletes an endpoint; its pending deliveries are discarded.
    pub async fn delete_endpoint(&self, _chain: &ChainId, _id: EndpointId) -> Result<(), EngineError> {
        todo!()
    }

    /// Makes a delivery due now, whatever became of it: the ladder starts anew.
    pub async fn retry_delivery(&self, _chain: &ChainId, _id: DeliveryId) -> Result<(), EngineError> {
        todo!()
    }

    /// Settles a pending or failed delivery without sending it.
    pub async fn discard_delivery(&self, _chain: &ChainId, _id: DeliveryId) -> Result<(), EngineError> {
        todo!()
    }

    /// Moves the test clock and answers when everything due in between has been done. `Conflict` on the system clock.
    pub async fn advance_clock(&self, _by: chrono::Duration) -> Result<Timestamp, EngineError> {
        todo!()
    }
}
