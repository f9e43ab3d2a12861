//! Whether deliveries leave to an endpoint: enabled, disabled, paused, and who hears of it.

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message};

use crate::clock::fresh_ulid;
use crate::domain::Timestamp;
use crate::domain::audit::{Action, By};
use crate::domain::chain::ChainId;
use crate::domain::commit::Commit;
use crate::domain::endpoint::{Endpoint, EndpointState};
use crate::domain::ids::EndpointId;
use crate::domain::loyalty_event::EventData;
use crate::domain::operations::{EndpointDisabled, EndpointEnabled, reason as tellable};
use crate::domain::precondition::Precondition;
use crate::domain::text::Note;
use crate::rules::decide::tell;
use crate::rules::program::Program;

use super::configure::Beside;
use super::endpoint::{DisableEndpoint, Tell};
use super::engine::{Engine, EngineError};
use super::snapshot::ChainSnapshot;

impl Engine {
    /// Lets deliveries leave; what waits leaves, too. Whatever its receiver did before does not count any more.
    ///
    /// # Errors
    /// `NotFound`; `Outdated`.
    pub async fn enable_endpoint(
        &self,
        chain: &ChainId,
        id: EndpointId,
        expected: Precondition,
        by: By,
    ) -> Result<Arc<Endpoint>, EngineError> {
        let chain = chain.clone();
        self.carry_out(async move |engine| {
            let known = engine.endpoint_as(&chain, id, &expected)?;
            let told = match &known.state {
                EndpointState::Disabled { reason, at } => {
                    let (endpoint, since, reason) = ((&*known).into(), *at, tellable(reason));
                    let enabled = EndpointEnabled { endpoint, since, reason };
                    vec![EventData::EndpointEnabled(Box::new(enabled))]
                }
                EndpointState::Enabled | EndpointState::Paused { .. } => Vec::new(),
            };
            let enable = |endpoint: &mut Endpoint| endpoint.state = EndpointState::Enabled;
            engine
                .replace_endpoint(
                    &known,
                    enable,
                    Beside { told, anew: true, ..Beside::of(by, Action::EndpointEnabled) },
                )
                .await
        })
        .await
    }

    /// Lets nothing leave until it is enabled.
    ///
    /// # Errors
    /// `NotFound`; `Outdated`.
    pub async fn disable_endpoint(
        &self,
        chain: &ChainId,
        id: EndpointId,
        expected: Precondition,
        reason: Note,
        by: By,
    ) -> Result<Arc<Endpoint>, EngineError> {
        let chain = chain.clone();
        self.carry_out(async move |engine| {
            let known = engine.endpoint_as(&chain, id, &expected)?;
            let at = engine.0.clock.now();
            engine.put_out(&known, reason, (None, at), by).await
        })
        .await
    }

    /// Lets nothing leave until then, or until it is enabled.
    ///
    /// # Errors
    /// `NotFound`; `Outdated`; `Conflict` when it is disabled.
    pub async fn pause_endpoint(
        &self,
        chain: &ChainId,
        id: EndpointId,
        expected: Precondition,
        until: Option<Timestamp>,
        by: By,
    ) -> Result<Arc<Endpoint>, EngineError> {
        let chain = chain.clone();
        self.carry_out(async move |engine| {
            let known = engine.endpoint_as(&chain, id, &expected)?;
            let at = match known.state {
                EndpointState::Enabled => engine.0.clock.now(),
                EndpointState::Paused { at, .. } => at,
                EndpointState::Disabled { .. } => {
                    return Err(EngineError::Conflict("the endpoint is disabled; nothing leaves".to_owned()));
                }
            };
            let paused = EndpointState::Paused { at, until };
            if known.state == paused {
                return Ok(known);
            }
            let pause = |endpoint: &mut Endpoint| endpoint.state = paused;
            engine.replace_endpoint(&known, pause, Beside::of(by, Action::EndpointPaused)).await
        })
        .await
    }

    /// Enables the endpoints of a chain that were paused until now.
    pub(super) async fn end_pauses(&self, snapshot: &ChainSnapshot) -> Result<(), EngineError> {
        let now = self.0.clock.now();
        let is_over = move |endpoint: &Endpoint| endpoint.paused_until().is_some_and(|until| until <= now);
        for endpoint in snapshot.endpoints.iter().filter(|endpoint| is_over(endpoint)) {
            let (chain, id) = (endpoint.chain.clone(), endpoint.id);
            let ended = self.carry_out(async move |engine| {
                // Somebody may have been faster.
                let Some(known) = engine.endpoint(&chain, id).ok().filter(|known| is_over(known)) else {
                    return Ok(());
                };
                let enable = |endpoint: &mut Endpoint| endpoint.state = EndpointState::Enabled;
                let beside = Beside::of(By::ENGINE, Action::EndpointEnabled);
                engine.replace_endpoint(&known, enable, beside).await?;
                tracing::info!(endpoint = %id, "a pause is over");
                Ok(())
            });
            ended.await?;
        }
        Ok(())
    }

    /// Disables an endpoint whose receiver wants nothing more, or took nothing for too long. `None` when the endpoint was
    /// changed or deleted since it was sent to: the answer is not about what it is now.
    pub(super) async fn disable_gone(
        &self,
        gone: DisableEndpoint,
    ) -> Result<Option<Arc<Endpoint>>, EngineError> {
        let DisableEndpoint { endpoint: sent_to, reason, since, at } = gone;
        let reason = Note::parse(&tellable(&reason)).or_else(|_| Note::parse("it takes nothing"));
        let reason = reason.map_err(|error| EngineError::Conflict(error.to_string()))?;
        self.carry_out(async move |engine| {
            let known = engine.endpoint(&sent_to.chain, sent_to.id).ok();
            // Every change makes a new one.
            if !known.is_some_and(|known| Arc::ptr_eq(&known, &sent_to)) {
                return Ok(None);
            }
            engine.put_out(&sent_to, reason, (since, at), By::ENGINE).await.map(Some)
        })
        .await
    }

    /// Disables an endpoint and tells of it, unless it is disabled already. Callers hold `configuring`.
    async fn put_out(
        &self,
        known: &Endpoint,
        reason: Note,
        (since, at): (Option<Timestamp>, Timestamp),
        by: By,
    ) -> Result<Arc<Endpoint>, EngineError> {
        let told = match known.state {
            EndpointState::Disabled { .. } => Vec::new(),
            EndpointState::Enabled | EndpointState::Paused { .. } => {
                let disabled = EndpointDisabled { endpoint: known.into(), reason: tellable(&reason), since };
                vec![EventData::EndpointDisabled(Box::new(disabled))]
            }
        };
        let disable = |endpoint: &mut Endpoint| endpoint.state = EndpointState::Disabled { reason, at };
        self.replace_endpoint(known, disable, Beside { told, ..Beside::of(by, Action::EndpointDisabled) })
            .await
    }
}

impl Tell for Engine {
    /// By the program in force; without one, subscribers hear of it.
    fn tell(&self, about: &Endpoint, told: Vec<EventData>) -> Option<Commit> {
        let snapshot = self.chain(about.chain.as_str())?;
        let others: Vec<_> =
            snapshot.endpoints.iter().filter(|endpoint| endpoint.id != about.id).cloned().collect();
        let now = self.0.clock.now();
        let by = |program: &Program| tell(program, &about.chain, &others, told, fresh_ulid(now), now);
        Some(match &snapshot.program {
            Some(program) => by(program),
            None => by(&Program::empty(&snapshot.chain)),
        })
    }
}

/// Disables endpoints whose receivers want nothing more, or took nothing for too long.
pub(super) struct Disabler(pub(super) Engine);

impl Actor for Disabler {
    type Context = Context<Self>;
}

impl Handler<DisableEndpoint> for Disabler {
    type Result = actix::ResponseFuture<<DisableEndpoint as Message>::Result>;

    fn handle(&mut self, gone: DisableEndpoint, _: &mut Context<Self>) -> Self::Result {
        let engine = self.0.clone();
        Box::pin(async move {
            let (endpoint, reason) = (gone.endpoint.id, gone.reason.clone());
            match engine.disable_gone(gone).await {
                Ok(Some(_)) => tracing::warn!(%endpoint, reason, "endpoint disabled"),
                Ok(None) => tracing::info!(%endpoint, "what a former receiver did disables nothing"),
                Err(error) => tracing::error!(%endpoint, error = &error as &dyn std::error::Error,
                    "endpoint could not be disabled"),
            }
        })
    }
}
