//! What is sent: the canonical message, or what the endpoint's transform makes of it, in the words of the dialect.

use crate::actors::engine::EngineError;
use crate::domain::Timestamp;
use crate::domain::delivery::Verdict;
use crate::domain::endpoint::{Dialect, Endpoint, Signers};
use crate::domain::loyalty_event::EventType;
use crate::rules::diagnostic::Diagnostic;
use crate::rules::transform::{Transform, TransformProblem};
use crate::wire::{self, Letter, SignedRequest};

/// Writes letters for one configuration of an endpoint.
pub(super) struct Scribe {
    dialect: Dialect,
    /// What does not compile was stored by another version of ours.
    transform: Option<Result<Transform, Diagnostic>>,
}

/// Why there is nothing to send.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritten {
    /// See there.
    #[error(transparent)]
    Unsendable(#[from] wire::Unsendable),
    /// The transform makes nothing of it.
    #[error("the transform failed, nothing was sent: {0}")]
    Untransformed(Box<Diagnostic>),
}

impl Unwritten {
    /// How an attempt that ends so is judged.
    pub(super) const fn verdict(&self) -> Verdict {
        match self {
            // Trying again could not help: it takes somebody who changes something, and then a retry by hand.
            Self::Unsendable(_) => Verdict::Rejected { why: "unsendable" },
            // Somebody may mend the transform while the ladder is walked.
            Self::Untransformed(_) => Verdict::Refused { retry_after: None },
        }
    }

    /// For whoever tried an event of this type.
    pub(super) fn of_sample(self, kind: Option<EventType>) -> EngineError {
        match self {
            Self::Unsendable(unsendable) => EngineError::Conflict(unsendable.to_string()),
            Self::Untransformed(problem) => {
                EngineError::BadTransform(Box::new(TransformProblem { kind, problem: *problem }))
            }
        }
    }
}

impl Scribe {
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        let transform = endpoint.settings.transform.as_ref().map(Transform::compile);
        Self { dialect: endpoint.dialect, transform }
    }

    /// Writes and signs. A transform changes what is told, and nothing of what the headers say.
    pub(super) fn write(
        &self,
        letter: Letter,
        signers: &Signers<'_>,
        now: Timestamp,
    ) -> Result<SignedRequest, Unwritten> {
        let letter = match &self.transform {
            Some(transform) => {
                let made = transform.as_ref().map_err(Clone::clone).and_then(|t| t.apply(&letter.message));
                let message = made.map_err(|problem| Unwritten::Untransformed(Box::new(problem)))?;
                Letter { message, ..letter }
            }
            None => letter,
        };
        Ok(wire::encode(self.dialect, letter, signers, now)?)
    }
}
