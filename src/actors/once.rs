//! What is asked for under an `Idempotency-Key` happens once: the answer is written in the transaction of what was made,
//! and a repeat is given it again.
//!
//! On one node the second of two at once is told so by the list of those on their way; what the first made stands in no
//! transaction twice, for the row of the key is unique, whichever node writes it.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::Timestamp;
use crate::domain::once::{Asked, Reply};
use crate::domain::text::Key;
use crate::store::request::{self, Known};
use crate::store::vault::Vault;
use crate::store::{DbConn, StoreError};

use super::engine::{Engine, EngineError};

/// Requests with keys that are on their way: as many as are carried out, so no more than there are connections.
#[derive(Debug, Clone, Default)]
pub(super) struct UnderWay(Arc<Mutex<HashSet<(String, Key)>>>);

impl UnderWay {
    fn with<T>(&self, change: impl FnOnce(&mut HashSet<(String, Key)>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A request with a key, on its way. Until this is gone nobody else is under way with it.
pub struct Turn {
    asked: Asked,
    under_way: UnderWay,
    /// What is kept as its answer so far.
    kept: Mutex<Option<Reply>>,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Turn").field(&self.asked.key).finish()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Asked { caller, key, .. } = &self.asked;
        self.under_way.with(|all| all.remove(&(caller.clone(), key.clone())));
    }
}

impl Turn {
    fn keeps(&self, reply: &Reply) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply.clone());
    }

    fn has_kept(&self, reply: &Reply) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(reply)
    }
}

/// What becomes of a request with a key.
#[derive(Debug)]
pub enum Begun {
    /// It is carried out.
    Anew(Arc<Turn>),
    /// It was carried out before, and answered so.
    Again(Reply),
}

/// What makes a `T` happens once, if it is asked for under a key: then it knows what is answered when it is made.
pub struct Once<T>(Option<Keyed<T>>);

struct Keyed<T> {
    turn: Arc<Turn>,
    reply: Box<dyn Fn(&T) -> Reply + Send + Sync>,
}

impl<T> Default for Once<T> {
    /// Without a key: as often as it is asked for.
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Once<T> {
    /// This request, which is answered so when a `T` was made.
    pub fn replying(turn: Arc<Turn>, reply: impl Fn(&T) -> Reply + Send + Sync + 'static) -> Self {
        Self(Some(Keyed { turn, reply: Box::new(reply) }))
    }

    /// What is to be written with what is about to be made.
    pub(super) fn record(&self, made: &T, at: Timestamp) -> Record {
        let keyed = self.0.as_ref();
        Record(keyed.map(|keyed| Answered { turn: keyed.turn.clone(), reply: (keyed.reply)(made), at }))
    }
}

/// A row about a request, if it came with a key.
pub(super) struct Record(Option<Answered>);

struct Answered {
    turn: Arc<Turn>,
    reply: Reply,
    at: Timestamp,
}

impl Record {
    /// Writes it, in the transaction of what was made. [`StoreError::Repeated`] when that was made before.
    pub(super) fn write(&self, conn: &mut DbConn, vault: &Vault) -> Result<(), StoreError> {
        let Some(Answered { turn, reply, at }) = &self.0 else { return Ok(()) };
        request::insert(conn, vault, &turn.asked, reply, *at)
    }

    /// The transaction stands.
    pub(super) fn stands(&self) {
        self.0.iter().for_each(|Answered { turn, reply, .. }| turn.keeps(reply));
    }
}

impl Engine {
    /// Begins with a request that came with a key.
    ///
    /// # Errors
    /// [`EngineError::InProgress`] while it is under way; [`EngineError::KeyReused`] when another one came under its key.
    pub async fn begin_once(&self, asked: Asked) -> Result<Begun, EngineError> {
        let under_way = self.0.under_way.clone();
        if !under_way.with(|all| all.insert((asked.caller.clone(), asked.key.clone()))) {
            return Err(EngineError::InProgress);
        }
        let turn = Arc::new(Turn { asked: asked.clone(), under_way, kept: Mutex::default() });
        let (vault, now) = (self.0.store.vault().clone(), self.0.clock.now());
        let key = asked.key.to_string();
        match self.0.store.read(move |conn| request::find(conn, &vault, &asked, now)).await? {
            None => Ok(Begun::Anew(turn)),
            Some(Known::Answered(reply)) => Ok(Begun::Again(reply)),
            Some(Known::OtherOne) => Err(EngineError::KeyReused { key }),
        }
    }

    /// Keeps what a request is answered in the end, unless that is kept already: it may have made nothing that is stored, or
    /// more is known by now. What was done stands, whether this can be written or not.
    pub async fn end_once(&self, turn: Arc<Turn>, reply: &Reply) {
        if turn.has_kept(reply) {
            return;
        }
        let (asked, reply, now) = (turn.asked.clone(), reply.clone(), self.0.clock.now());
        let keep = move |conn: &mut _, vault: &_| {
            let kept = request::replace(conn, vault, &asked, &reply, now);
            drop(turn);
            kept
        };
        if let Err(error) = self.0.journal.run(keep).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(
                error,
                "the answer to a request with a key is not kept: a repeat would be a new one"
            );
        }
    }
}
