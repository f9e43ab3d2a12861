//! API keys: made, changed, rotated, revoked; and when they were used last.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::api_key::{ApiKey, Dead, KeyHash, Unchanged, WayIn};
use crate::domain::ids::KeyId;
use crate::domain::refusal::Refused;
use crate::store;

use super::engine::{Engine, EngineError};
use super::once::Once;

/// Keys whose use is noted by one statement.
const PAGE: usize = 500;

/// When keys were used last, as far as this node knows and has not written.
#[derive(Default)]
pub(super) struct KeyUses {
    known: Mutex<HashMap<KeyId, Arc<LastUse>>>,
    /// The minute in which they were written last.
    written_in: AtomicI64,
}

/// The minute in which a key was used last, counted from 1970. Telling it costs the look at a number, and once a minute a write.
#[derive(Debug, Default)]
pub struct LastUse {
    seen: AtomicI64,
    written: AtomicI64,
}

impl LastUse {
    /// Notes a use.
    pub fn note(&self, now: Timestamp) {
        let minute = minute_of(now);
        if self.seen.load(Ordering::Relaxed) < minute {
            self.seen.fetch_max(minute, Ordering::Relaxed);
        }
    }

    /// The minute that is to be written.
    fn unwritten(&self) -> Option<i64> {
        let seen = self.seen.load(Ordering::Relaxed);
        (seen > self.written.load(Ordering::Relaxed)).then_some(seen)
    }
}

impl KeyUses {
    /// The place where the use of a key is noted: one for all who hold it.
    fn of(&self, id: KeyId) -> Arc<LastUse> {
        self.lock().entry(id).or_default().clone()
    }

    /// What is to be written, by the minute. Forgets keys that nobody holds any more.
    fn unwritten(&self) -> BTreeMap<i64, Vec<(KeyId, Arc<LastUse>)>> {
        let mut by_minute: BTreeMap<_, Vec<_>> = BTreeMap::new();
        self.lock().retain(|id, used| {
            let minute = used.unwritten();
            if let Some(minute) = minute {
                by_minute.entry(minute).or_default().push((*id, used.clone()));
            }
            minute.is_some() || Arc::strong_count(used) > 1
        });
        by_minute
    }

    /// Whether it is another minute than when this was asked last.
    fn is_due(&self, now: Timestamp) -> bool {
        self.written_in.swap(minute_of(now), Ordering::Relaxed) != minute_of(now)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<KeyId, Arc<LastUse>>> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn minute_of(at: Timestamp) -> i64 {
    at.timestamp().div_euclid(60)
}

impl Engine {
    /// Stores an API key and the hash of its text.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn create_key(
        &self,
        key: ApiKey,
        hash: KeyHash,
        once: Once<ApiKey>,
    ) -> Result<(), EngineError> {
        let record = once.record(&key, self.0.clock.now());
        Ok(self.write_once(record, move |conn, _| store::key::insert(conn, &key, &hash)).await?)
    }

    /// Changes an API key, if `change` can.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it is dead; `last_admin_key`.
    pub async fn change_key(
        &self,
        id: KeyId,
        way_in: WayIn,
        change: impl FnOnce(&mut ApiKey) -> Result<(), Dead> + Send + 'static,
    ) -> Result<ApiKey, EngineError> {
        self.carry_out(async move |engine| {
            let change = move |conn: &mut _, _: &_| store::key::change(conn, id, way_in, change);
            engine.0.journal.run(change).await?.map_err(refused)
        })
        .await
    }

    /// Revokes an API key.
    ///
    /// # Errors
    /// `NotFound`; `last_admin_key`.
    pub async fn revoke_key(&self, id: KeyId, way_in: WayIn) -> Result<(), EngineError> {
        self.carry_out(async move |engine| {
            let now = engine.0.clock.now();
            let revoke = move |conn: &mut _, _: &_| store::key::revoke(conn, id, now, way_in);
            engine.0.journal.run(revoke).await?.map(drop).map_err(refused)
        })
        .await
    }

    /// Gives an API key another text; those that work now do so for `overlap`. Answers when that was.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it is dead, or has as many texts as it may.
    pub async fn rotate_key(
        &self,
        id: KeyId,
        hash: KeyHash,
        overlap: Duration,
    ) -> Result<(ApiKey, Timestamp), EngineError> {
        self.carry_out(async move |engine| {
            let now = engine.0.clock.now();
            let rotate = move |conn: &mut _, _: &_| store::key::rotate(conn, id, &hash, now, overlap);
            engine.0.journal.run(rotate).await?.map(|key| (key, now)).map_err(refused)
        })
        .await
    }

    /// Where to note that a key was used. It is written now and then, once a minute at most.
    pub fn key_use(&self, id: KeyId) -> Arc<LastUse> {
        self.0.key_uses.of(id)
    }

    /// Writes which keys were used, if a minute has begun since.
    pub(super) async fn note_key_uses(&self) {
        if self.0.key_uses.is_due(self.0.clock.now()) {
            self.write_key_uses().await;
        }
    }

    /// Writes which keys were used. What cannot be written is tried again in a minute.
    pub(super) async fn write_key_uses(&self) {
        for (minute, used) in self.0.key_uses.unwritten() {
            let at = chrono::DateTime::from_timestamp_secs(minute * 60).unwrap_or_default();
            for page in used.chunks(PAGE) {
                let keys: Vec<_> = page.iter().map(|(id, _)| *id).collect();
                let note = move |conn: &mut _, _: &_| store::key::note_use(conn, &keys, at);
                match self.0.journal.run(note).await {
                    Ok(()) => {
                        page.iter()
                            .for_each(|(_, used)| _ = used.written.fetch_max(minute, Ordering::Relaxed));
                    }
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, "when API keys were used last could not be written");
                    }
                }
            }
        }
    }
}

fn refused(why: Unchanged) -> EngineError {
    match why {
        Unchanged::Unknown => EngineError::NotFound("key"),
        Unchanged::LastAdmin => Refused::new("last_admin_key", why.to_string()).into(),
        Unchanged::Dead(_) | Unchanged::TooManyTexts => EngineError::Conflict(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_told_once_a_minute_and_only_what_is_new() {
        let at = |second| Timestamp::UNIX_EPOCH + chrono::Duration::seconds(second);
        let uses = KeyUses::default();
        let (first, second) = (KeyId::new(ulid::Ulid(1)), KeyId::new(ulid::Ulid(2)));
        let held = uses.of(first);
        drop(uses.of(second));
        for second in [3_600, 3_659, 3_610] {
            held.note(at(second)); // a clock that goes back changes nothing
        }
        assert!(uses.is_due(at(3_660)) && !uses.is_due(at(3_719)) && uses.is_due(at(3_720)));
        let due = uses.unwritten();
        assert_eq!(due.keys().copied().collect::<Vec<_>>(), [60]);
        assert_eq!(uses.lock().len(), 1, "nobody holds the second one");
        due[&60][0].1.written.store(60, Ordering::Relaxed);
        assert!(uses.unwritten().is_empty());
        held.note(at(3_660));
        drop(held);
        assert_eq!(uses.unwritten().keys().copied().collect::<Vec<_>>(), [61], "it is written first");
    }
}
