//! The journal: the group-committing writer of commits and attempts.
//!
//! A thread per write connection takes everything queued, writes it in one transaction and answers all: many events
//! share one fsync. It also nudges the endpoints that got new deliveries. A nudge carries nothing: losing one costs
//! latency, never a delivery.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, RwLock};
use std::time::Instant;

use actix::Recipient;
use tokio::sync::{mpsc, oneshot};

use crate::domain::commit::Commit;
use crate::domain::ids::EndpointId;
use crate::store::commit::{Prepared, Write, Writer, Written};
use crate::store::vault::Vault;
use crate::store::{DbConn, Store, StoreError};
use crate::telemetry::Metrics;

use super::endpoint::Nudge;

/// The most writes in one transaction: enough to drown the cost of a fsync, few enough to answer in time.
const MAX_GROUP: usize = 512;
/// Writes that may wait. The door admits fewer events than this, so only a stalled disk fills it.
const QUEUE: usize = 8_192;

/// Why a write is not known to be durable.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// The transaction failed, or its fate is unknown: reload before deciding again.
    #[error("the commit failed")]
    Store(#[source] Arc<StoreError>),
    /// The journal has stopped.
    #[error("the journal has stopped")]
    Stopped,
}

/// The rows go back to whoever made them: freeing them takes time, too.
type Reply = oneshot::Sender<Result<(Written, Prepared), JournalError>>;

enum Job {
    Write(Prepared, Reply),
    Run(Box<dyn FnOnce(&mut Writer) + Send>),
}

/// Whom to wake when an endpoint got deliveries.
#[derive(Debug, Clone, Default)]
pub struct Nudges(Arc<RwLock<HashMap<EndpointId, Recipient<Nudge>>>>);

impl Nudges {
    /// Sets or clears whom to wake for an endpoint.
    pub fn set(&self, endpoint: EndpointId, recipient: Option<Recipient<Nudge>>) {
        let mut map = self.0.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        match recipient {
            Some(recipient) => map.insert(endpoint, recipient),
            None => map.remove(&endpoint),
        };
    }

    /// Wakes one endpoint; one that is already awake has a full mailbox and misses nothing.
    pub fn nudge(&self, endpoint: EndpointId) {
        let map = self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(recipient) = map.get(&endpoint) {
            let _ = recipient.try_send(Nudge);
        }
    }

    /// Wakes all endpoints.
    pub fn nudge_all(&self) {
        let map = self.0.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        for recipient in map.values() {
            let _ = recipient.try_send(Nudge);
        }
    }
}

/// What became of a commit.
#[derive(Debug)]
pub struct Committed {
    /// Whether it stands.
    pub written: Written,
    /// The commit.
    pub commit: Box<Commit>,
    /// The JSON of its receipt, if it has a source event.
    pub receipt: Option<String>,
}

/// A handle to the journal's threads. Dropping the last one ends them after their queues are written.
#[derive(Debug, Clone)]
pub struct Journal {
    lanes: Arc<[mpsc::Sender<Job>]>,
    metrics: Arc<Metrics>,
}

impl Journal {
    /// Starts a thread per write connection of the store.
    ///
    /// # Errors
    /// When a write connection or a thread cannot be had.
    pub fn start(store: &Store, metrics: Arc<Metrics>, nudges: &Nudges) -> Result<Self, StoreError> {
        let lanes = (0..store.writer_count()).map(|number| {
            let (sender, jobs) = mpsc::channel(QUEUE);
            let lane = Lane {
                writer: store.writer()?,
                store: store.clone(),
                jobs,
                metrics: metrics.clone(),
                nudges: nudges.clone(),
            };
            std::thread::Builder::new()
                .name(format!("journal-{number}"))
                .spawn(move || lane.run())
                .map_err(StoreError::Thread)?;
            Ok(sender)
        });
        Ok(Self { lanes: lanes.collect::<Result<Vec<_>, StoreError>>()?.into(), metrics })
    }

    /// Writes a commit and hands it back once it is durable.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub async fn commit(&self, commit: Box<Commit>) -> Result<Committed, JournalError> {
        let (written, prepared) = self.submit(Write::Commit(commit)).await?;
        match prepared.into_parts() {
            (Write::Commit(commit), receipt) => Ok(Committed { written, commit, receipt }),
            (Write::Attempt(_), _) => unreachable!("the journal hands back what it was given"),
        }
    }

    /// Writes one thing; it is durable when this answers.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub async fn write(&self, write: Write) -> Result<Written, JournalError> {
        Ok(self.submit(write).await?.0)
    }

    /// Runs an administrative change in a transaction of its own.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub async fn run<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut DbConn, &Vault) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Run(Box::new(move |writer| {
            // Nobody waits any more when the request was dropped; the change stands all the same.
            let _ = reply.send(writer.run(change));
        }));
        self.lanes[0].send(job).await.map_err(|_| JournalError::Stopped)?;
        answer.await.map_err(|_| JournalError::Stopped)?.map_err(|e| JournalError::Store(Arc::new(e)))
    }

    async fn submit(&self, write: Write) -> Result<(Written, Prepared), JournalError> {
        let lane = &self.lanes[lane_of(&write) % self.lanes.len()];
        let (reply, answer) = oneshot::channel();
        self.metrics.journal_queue.inc();
        lane.send(Job::Write(Prepared::from(write), reply)).await.map_err(|_| JournalError::Stopped)?;
        answer.await.map_err(|_| JournalError::Stopped)?
    }
}

/// A member's writes always take the same connection, so that they never race each other.
fn lane_of(write: &Write) -> usize {
    let id = match write {
        Write::Commit(commit) => match (&commit.member, &commit.source) {
            (Some(member), _) => member.id.ulid().0,
            (None, Some(source)) => source.id.ulid().0,
            (None, None) => 0,
        },
        Write::Attempt(outcome) => outcome.endpoint.ulid().0,
    };
    // The low bits of a ULID are random; derived ids count up from there.
    (id >> 24) as usize
}

struct Lane {
    writer: Writer,
    store: Store,
    jobs: mpsc::Receiver<Job>,
    metrics: Arc<Metrics>,
    nudges: Nudges,
}

impl Lane {
    fn run(mut self) {
        let mut writes = Vec::with_capacity(MAX_GROUP);
        let mut replies = Vec::with_capacity(MAX_GROUP);
        while let Some(first) = self.jobs.blocking_recv() {
            let mut next = Some(first);
            while let Some(job) = next.take() {
                match job {
                    Job::Write(write, reply) => {
                        writes.push(write);
                        replies.push(reply);
                    }
                    Job::Run(change) => {
                        self.flush(&mut writes, &mut replies);
                        self.guarded(|writer| change(writer));
                    }
                }
                if writes.len() < MAX_GROUP {
                    next = self.jobs.try_recv().ok();
                }
            }
            self.flush(&mut writes, &mut replies);
        }
    }

    /// Writes the group, answers everybody in it, wakes the endpoints concerned.
    fn flush(&mut self, writes: &mut Vec<Prepared>, replies: &mut Vec<Reply>) {
        if writes.is_empty() {
            return;
        }
        self.metrics.journal_queue.dec_by(writes.len() as i64);
        self.metrics.commit_batch.observe(writes.len() as f64);
        let started = Instant::now();
        let outcome = self.guarded(|writer| writer.write(writes));
        self.metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
        match outcome {
            Some(Ok(written)) => {
                let woken = endpoints_of(writes, &written);
                for ((write, written), reply) in writes.drain(..).zip(written).zip(replies.drain(..)) {
                    let _ = reply.send(Ok((written, write)));
                }
                woken.into_iter().for_each(|endpoint| self.nudges.nudge(endpoint));
            }
            Some(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "commit failed");
                let error = JournalError::Store(Arc::new(error));
                replies.drain(..).for_each(|reply| drop(reply.send(Err(error.clone()))));
                writes.clear();
            }
            None => {
                replies.clear(); // the dropped senders tell everybody
                writes.clear();
            }
        }
    }

    /// Runs on the writer; after a panic the connection is in an unknown state and is replaced.
    fn guarded<T>(&mut self, action: impl FnOnce(&mut Writer) -> T) -> Option<T> {
        let outcome = catch_unwind(AssertUnwindSafe(|| action(&mut self.writer)));
        if outcome.is_err() {
            tracing::error!("the journal panicked; its connection is replaced");
            match self.store.writer() {
                Ok(writer) => self.writer = writer,
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "no new connection"),
            }
        }
        outcome.ok()
    }
}

fn endpoints_of(writes: &[Prepared], written: &[Written]) -> BTreeSet<EndpointId> {
    let done = writes.iter().zip(written).filter(|(_, written)| matches!(written, Written::Done));
    done.filter_map(|(prepared, _)| match prepared.write() {
        Write::Commit(commit) => Some(&**commit),
        Write::Attempt(outcome) => outcome.told.as_deref(),
    })
    .flat_map(|commit| commit.deliveries.iter().map(|delivery| delivery.endpoint))
    .collect()
}
