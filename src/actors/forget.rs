//! Forgetting members in the log, after they were erased.
//!
//! It is done in steps, so that events are written between them; what a crash interrupts begins anew.

use crate::domain::chain::ChainId;
use crate::domain::ids::{EventId, MemberId};
use crate::store::{erasure, parked};

use super::engine::{Engine, EngineError};

impl Engine {
    /// Forgets, by and by, everybody of a chain who was erased.
    pub(super) fn forget_later(&self, chain: ChainId) {
        let engine = self.clone();
        self.0.control.spawn(async move {
            if let Err(error) = engine.forget_erased(&chain).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(%chain, error, "erased members are not forgotten everywhere yet; the scheduler goes on");
            }
        });
    }

    /// Forgets everybody of a chain who was erased. One at a time, whoever asks.
    pub(super) async fn forget_erased(&self, chain: &ChainId) -> Result<(), EngineError> {
        let _turn = self.0.forgetting.lock().await;
        let of = chain.clone();
        for member in self.0.store.read(move |conn| erasure::open(conn, &of)).await? {
            self.forget_events(chain, member).await?;
            self.forget_sources(chain, member).await?;
            self.forget_parked(chain, member).await?;
            self.forget_referrals(chain, member).await?;
            let of = chain.clone();
            self.0.journal.run(move |conn, _| erasure::finish(conn, &of, member)).await?;
        }
        Ok(())
    }

    async fn forget_events(&self, chain: &ChainId, member: MemberId) -> Result<(), EngineError> {
        let mut after: Option<EventId> = None;
        loop {
            let of = chain.clone();
            let find = move |conn: &mut _| erasure::events_of(conn, &of, member, after);
            let events = self.0.store.read(find).await?;
            let Some(last) = events.last().copied() else { return Ok(()) };
            let of = chain.clone();
            let forget = move |conn: &mut _, _: &_| erasure::forget_events(conn, &of, member, &events);
            self.0.journal.run(forget).await?;
            after = Some(last);
        }
    }

    async fn forget_sources(&self, chain: &ChainId, member: MemberId) -> Result<(), EngineError> {
        let mut after = None;
        loop {
            let of = chain.clone();
            let find = move |conn: &mut _| erasure::sources_of(conn, &of, member, after);
            let sources = self.0.store.read(find).await?;
            let Some(last) = sources.last().copied() else { return Ok(()) };
            let of = chain.clone();
            let forget = move |conn: &mut _, _: &_| erasure::forget_sources(conn, &of, member, &sources);
            self.0.journal.run(forget).await?;
            after = Some(last);
        }
    }

    /// Events that named them while they were no member.
    async fn forget_parked(&self, chain: &ChainId, member: MemberId) -> Result<(), EngineError> {
        loop {
            let of = chain.clone();
            let forget = move |conn: &mut _, _: &_| {
                let sources = parked::of_erased(conn, &of, member, erasure::AT_ONCE as i64)?;
                erasure::forget_sources(conn, &of, member, &sources)?;
                parked::forget(conn, &of, &sources)?;
                Ok(sources.len())
            };
            if self.0.journal.run(forget).await? < erasure::AT_ONCE {
                return Ok(());
            }
        }
    }

    /// What was told of their referrals to the other sides.
    async fn forget_referrals(&self, chain: &ChainId, member: MemberId) -> Result<(), EngineError> {
        let mut after = None;
        loop {
            let of = chain.clone();
            let forget = move |conn: &mut _, _: &_| erasure::forget_referrals(conn, &of, member, after);
            after = self.0.journal.run(forget).await?;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}
