//! Why the engine has no receipt, and what that is about.

use crate::domain::chain::ChainId;
use crate::domain::decide::SourceInput;
use crate::domain::ids::SourceId;
use crate::domain::precondition::Outdated;
use crate::domain::refusal::Refused;
use crate::domain::text::Key;
pub use crate::rules::filter::FilterProblem;
pub use crate::rules::transform::TransformProblem;
use crate::store::StoreError;

use super::journal::JournalError;

/// Why there is no receipt. Each variant says what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The same key came before with another body, or elsewhere. Retrying changes nothing.
    #[error("the key `{key}` was used before for something else")]
    KeyReused {
        /// The key.
        key: String,
    },
    /// The same request is under way, or somebody else just carried it out: its answer is there soon.
    #[error("the same request is being carried out")]
    InProgress,
    /// It is not any more what whoever asks believes it to be. Nothing was changed.
    #[error(transparent)]
    Outdated(#[from] Outdated),
    /// No such thing in this chain.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// It cannot be done in the state things are in; the sentence says why.
    #[error("{0}")]
    Conflict(String),
    /// What was asked for cannot be done; nothing was stored.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// An endpoint's filter that does not check. Nothing was stored.
    #[error("the filter {0}")]
    BadFilter(Box<FilterProblem>),
    /// An endpoint's transform that does not check. Nothing was stored or sent.
    #[error("the transform {0}")]
    BadTransform(Box<TransformProblem>),
    /// No version of the chain's rules could be put in force. Nothing was accepted; mend them and send again.
    #[error("no rules of this chain are in force: {0}")]
    NoRules(String),
    /// More work than fits. Nothing was accepted; try again after the pause.
    #[error("the engine is at capacity")]
    Overloaded,
    /// Shutting down. Nothing was accepted.
    #[error("the engine is shutting down")]
    Draining,
    /// The store failed or the fate of the commit is unknown. Sending the same event again is safe.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The same, while this source event was inside.
    #[error("the store is unavailable")]
    Undecided {
        /// Which.
        event: Box<EventRef>,
        /// Why.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What a line of the log calls a source event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRef {
    /// Its chain.
    pub chain: ChainId,
    /// Its id; nothing else knows it when the event was not kept.
    pub source: SourceId,
    /// Its key.
    pub key: Key,
}

impl EngineError {
    /// Why it cannot be done, whoever asks and however often.
    ///
    /// # Errors
    /// It may well be done another time.
    pub(super) fn into_refusal(self) -> Result<Refused, Self> {
        match self {
            Self::Refused(refused) => Ok(refused),
            Self::NotFound(what) => Ok(Refused::new("not_found", format!("there is no such {what}"))),
            other => Err(other),
        }
    }

    /// Says which event met the failure.
    pub(super) fn about(self, chain: &ChainId, input: &SourceInput) -> Self {
        let Self::Unavailable(cause) = self else { return self };
        let (source, key) = (input.id, input.event.key.clone());
        Self::Undecided { event: Box::new(EventRef { chain: chain.clone(), source, key }), cause }
    }
}

impl From<JournalError> for EngineError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Stopped => Self::Draining,
            JournalError::Store(error) if matches!(*error, StoreError::Repeated) => Self::InProgress,
            JournalError::Store(_) => Self::Unavailable(Box::new(error)),
        }
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}
