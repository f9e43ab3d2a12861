//! Recoveries: pages of the past, fed to an endpoint while it has little else to do.
//!
//! What was found is read beside everything else; what follows of it is one journal job together with the position, so
//! a crash, or two nodes at it, repeat nothing. Nobody holds anything of a recovery but the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::fresh_ulid;
use crate::domain::Timestamp;
use crate::domain::chain::ChainId;
use crate::domain::endpoint::{Endpoint, Lane};
use crate::domain::ids::{EndpointId, RecoveryId};
use crate::domain::recovery::{Counts, Feed, Period, Position, Progress, Recovery, Which, most_due};
use crate::domain::text::Name;
use crate::store::{self, StoreError};

use super::engine::{Engine, EngineError};
use super::journal::JournalError;
use super::once::Once;

/// Pages that are looked at in a row, when nothing is found, before the position is written down.
const PAGES: usize = 20;
/// Feeds before whoever asks for a recovery is answered: most are done by then.
const AT_ONCE: usize = 3;
/// How often it is looked whether an endpoint has little to do.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The same while no recovery runs.
const IDLE: Duration = Duration::from_millis(500);
/// An endpoint that has always much to do is fed all the same, so often,
const PATIENCE: Duration = Duration::from_secs(30);
/// with so little.
const LEAST_FED: usize = 16;

/// What became of a look at the recoveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pace {
    /// None runs, but perhaps of endpoints that are disabled.
    Idle,
    /// They wait until their endpoints have less to do.
    Waiting,
    /// At least one went on.
    Moved,
}

/// Since when recoveries wait for their endpoints.
pub(super) type Waits = HashMap<RecoveryId, Instant>;

impl Engine {
    /// What a recovery would come to, if it were begun now. Writes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Overloaded` while somebody else asks; the store failed.
    pub async fn foresee_recovery(
        &self,
        chain: &ChainId,
        endpoint: EndpointId,
        which: Which,
        period: Period,
    ) -> Result<Counts, EngineError> {
        let endpoint = self.endpoint(chain, endpoint)?;
        // It may take long, and others want to read, too.
        let _one_at_a_time = self.0.foreseeing.try_acquire().map_err(|_| EngineError::Overloaded)?;
        let (mut counts, mut next) = (Counts::default(), Some(Position::first(which)));
        while let Some(position) = next {
            let of = endpoint.clone();
            let look = move |conn: &mut _| store::recovery::page(conn, &of, &period, position);
            let page = self.0.store.read_for_outsiders(look).await?;
            let feed = Feed::of(page, &endpoint, which, &period, usize::MAX);
            counts = counts.and(feed.counts());
            next = feed.next;
        }
        Ok(counts)
    }

    /// Begins a recovery, and answers what it has come to when this much is done at once.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` while another one of the endpoint runs.
    pub async fn begin_recovery(
        &self,
        chain: &ChainId,
        endpoint: EndpointId,
        (which, period): (Which, Period),
        asked_by: Name,
        once: Once<Recovery>,
    ) -> Result<Recovery, EngineError> {
        let endpoint = self.endpoint(chain, endpoint)?;
        let now = self.0.clock.now();
        let begun = Recovery {
            id: RecoveryId::new(fresh_ulid(now)),
            endpoint: endpoint.id,
            which,
            period,
            asked_by,
            begun_at: now,
            counts: Counts::default(),
            progress: Progress::Running(Position::first(which)),
        };
        let (of, row) = (chain.clone(), begun.clone());
        let record = once.record(&begun, now);
        match self.write_once(record, move |conn, _| store::recovery::insert(conn, &of, &row)).await {
            Err(JournalError::Store(error)) if matches!(*error, StoreError::Taken { .. }) => {
                let why = "another recovery of this endpoint is running; wait for its end, or stop it";
                return Err(EngineError::Conflict(why.to_owned()));
            }
            done => done?,
        }
        let mut recovery = begun;
        for _ in 0..AT_ONCE {
            if self.go_on(chain, &recovery, &mut Waits::default()).await? != Pace::Moved {
                break;
            }
            recovery = self.known_recovery(chain, endpoint.id, recovery.id).await?;
        }
        Ok(recovery)
    }

    /// Stops a recovery; one that has ended stays as it is.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn stop_recovery(
        &self,
        chain: &ChainId,
        endpoint: EndpointId,
        id: RecoveryId,
    ) -> Result<Recovery, EngineError> {
        let (of, now) = (chain.clone(), self.0.clock.now());
        let stop = move |conn: &mut _, _: &_| store::recovery::stop(conn, &of, endpoint, Some(id), now);
        self.0.journal.run(stop).await?;
        self.known_recovery(chain, endpoint, id).await
    }

    async fn known_recovery(
        &self,
        chain: &ChainId,
        endpoint: EndpointId,
        id: RecoveryId,
    ) -> Result<Recovery, EngineError> {
        let of = chain.clone();
        let found = self.0.store.read(move |conn| store::recovery::get(conn, &of, endpoint, id)).await?;
        found.ok_or(EngineError::NotFound("recovery"))
    }

    /// Looks after recoveries for as long as the engine runs.
    pub async fn keep_recovering(self) {
        let mut waits = Waits::default();
        while !self.is_draining() {
            let pace = self.recover(&mut waits).await.unwrap_or_else(|error| {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "recoveries do not go on");
                Pace::Idle
            });
            match pace {
                Pace::Moved => {}
                Pace::Waiting => tokio::time::sleep(LOOK_EVERY).await,
                Pace::Idle => tokio::time::sleep(IDLE).await,
            }
        }
    }

    /// Has every recovery go on by one feed, if its endpoint has little to do.
    pub(super) async fn recover(&self, waits: &mut Waits) -> Result<Pace, EngineError> {
        let mut pace = Pace::Idle;
        for (chain, recovery) in self.0.store.read(store::recovery::running).await? {
            let went = self.go_on(&chain, &recovery, waits).await.unwrap_or_else(|error| {
                let (recovery, error) = (recovery.id, &error as &dyn std::error::Error);
                tracing::error!(%chain, %recovery, error, "a recovery does not go on; it is tried again");
                Pace::Idle
            });
            pace = pace.max(went);
        }
        if pace == Pace::Idle {
            waits.clear();
        }
        Ok(pace)
    }

    async fn go_on(
        &self,
        chain: &ChainId,
        recovery: &Recovery,
        waits: &mut Waits,
    ) -> Result<Pace, EngineError> {
        let Progress::Running(position) = recovery.progress else { return Ok(Pace::Idle) };
        // Another node may know an endpoint that this one does not know yet.
        let endpoint = self.endpoint(chain, recovery.endpoint).ok().filter(|known| known.is_enabled());
        let Some(endpoint) = endpoint else { return Ok(Pace::Idle) };
        let now = self.0.clock.now();
        let Some(room) = self.room(&endpoint, now, (recovery.id, waits)).await? else {
            return Ok(Pace::Waiting);
        };
        let feed = self.look(&endpoint, recovery, position, room).await?;
        let (of, recovery) = (chain.clone(), recovery.clone());
        let feed = move |conn: &mut _, _: &_| store::recovery::feed(conn, &of, &recovery, &feed, now);
        // When somebody else fed it meanwhile, it moved as well.
        self.0.journal.run(feed).await?;
        self.reorder(chain, endpoint.id).await?;
        Ok(Pace::Moved)
    }

    /// How many more deliveries an endpoint may have due; `None` while it has enough to do.
    async fn room(
        &self,
        endpoint: &Arc<Endpoint>,
        now: Timestamp,
        (id, waits): (RecoveryId, &mut Waits),
    ) -> Result<Option<usize>, EngineError> {
        let (of, most) = (endpoint.clone(), most_due(endpoint));
        let count = move |conn: &mut _| {
            let due = store::recovery::due_count(conn, &of.chain, of.id, now, most)?;
            let waiting = match of.settings.lane {
                Lane::None => 0,
                Lane::Member | Lane::Endpoint => {
                    store::recovery::waiting_count(conn, &of.chain, of.id, most - due)?
                }
            };
            Ok(due + waiting)
        };
        let due = self.0.store.read(count).await?;
        let has_waited = waits.entry(id).or_insert_with(Instant::now).elapsed() >= PATIENCE;
        let room = if due <= most / 2 { Some(most - due) } else { has_waited.then_some(LEAST_FED.min(most)) };
        if room.is_some() {
            waits.remove(&id);
        }
        Ok(room)
    }

    /// What there is to feed, from a position on.
    async fn look(
        &self,
        endpoint: &Arc<Endpoint>,
        recovery: &Recovery,
        mut position: Position,
        room: usize,
    ) -> Result<Feed, EngineError> {
        let (which, period) = (recovery.which, recovery.period);
        let mut pages = 0;
        loop {
            let of = endpoint.clone();
            let look = move |conn: &mut _| store::recovery::page(conn, &of, &period, position);
            let page = self.0.store.read(look).await?;
            let feed = Feed::of(page, endpoint, which, &period, room);
            pages += 1;
            match feed.next {
                Some(next) if feed.is_nothing() && pages < PAGES => position = next,
                _ => return Ok(feed),
            }
        }
    }
}
