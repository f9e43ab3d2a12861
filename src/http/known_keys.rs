//! The keys that came lately, so that a request does not cost a read.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use actix_web::HttpRequest;

use super::attempts::{Attempts, Network};
use super::auth::Caller;
use super::limits::{Limit, Limits, Meter, RequestLimits};
use super::problem::Problem;
use super::{AppState, client};
use crate::actors::api_keys::LastUse;
use crate::domain::api_key::{FoundKey, KeyHash, WayIn};
use crate::domain::text::Name;

/// How long a look at the store holds. Another process that makes or revokes a key is noticed after this. What a key says of
/// itself, its end above all, holds at once, by the engine's clock.
const FRESH: Duration = Duration::from_secs(1);
/// The most keys remembered.
const MOST_KEYS: usize = 10_000;

/// A key that somebody came with.
#[derive(Debug)]
struct Known {
    found: FoundKey,
    name: Arc<Name>,
    last_use: Arc<LastUse>,
    limit: Option<Limit>,
    /// The look at the store that found it: see [`Keys::forget`].
    epoch: u64,
    until: Instant,
}

/// The keys that open something, and what is known of those who came with them.
pub(super) struct Keys {
    configured: Option<KeyHash>,
    name_of_configured: Arc<Name>,
    limits: Limits,
    attempts: Attempts,
    /// Read by every request, written once a second for each key.
    known: RwLock<HashMap<KeyHash, Arc<Known>>>,
    epoch: AtomicU64,
}

impl Keys {
    /// `configured` is the hash of the key given by the configuration.
    pub(super) fn new(configured: Option<KeyHash>, limits: RequestLimits) -> Self {
        Self {
            configured,
            name_of_configured: name("configuration").into(),
            limits: Limits::new(limits),
            attempts: Attempts::default(),
            known: RwLock::default(),
            epoch: AtomicU64::new(0),
        }
    }

    /// Looks again before anybody is answered: a key was changed here. A look that was under way finds nothing that lasts.
    pub(super) fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether an admin gets in without a key of the store.
    pub(super) const fn way_in(&self) -> WayIn {
        if self.configured.is_some() { WayIn::IsElsewhere } else { WayIn::MustStay }
    }

    /// Who comes with this key.
    pub(super) async fn caller(
        &self,
        state: &AppState,
        request: &HttpRequest,
        hash: KeyHash,
    ) -> Result<Caller, Problem> {
        if self.configured.is_some_and(|configured| configured.matches(&hash)) {
            return Ok(Caller::of_configuration(self.name_of_configured.clone()));
        }
        let now = state.engine.clock().now();
        let known = match self.remembered(&hash) {
            Some(known) if self.is_fresh(&known, Instant::now()) => known,
            // A key that was known a moment ago is looked up wherever it comes from.
            Some(_) => self.learn(state, hash).await?.ok_or(Problem::BadKey)?,
            None => {
                let network = Network::of(client::address(request));
                let _turn = self.attempts.begin(network, now)?;
                self.learn(state, hash).await?.ok_or_else(|| self.attempts.failed(network, now))?
            }
        };
        known.found.check(now).map_err(Problem::DeadKey)?;
        known.last_use.note(now);
        let key = &known.found.key;
        let named = || Some(state.engine.chain(request.match_info().get("chain")?)?.chain.id.clone());
        let of_chain = self.limits.of_chain(|| key.chain.clone().or_else(named));
        let meter = Meter::default().and(known.limit.clone()).and(of_chain);
        Ok(Caller::of(key, known.name.clone(), meter))
    }

    /// Looks in the store.
    async fn learn(&self, state: &AppState, hash: KeyHash) -> Result<Option<Arc<Known>>, Problem> {
        // The look happens after this, so what it finds is at least this fresh.
        let (epoch, until) = (self.epoch.load(Ordering::Acquire), Instant::now() + FRESH);
        let Some(found) = state.reader.key_of_text(hash).await? else {
            self.known.write().unwrap_or_else(PoisonError::into_inner).remove(&hash);
            return Ok(None);
        };
        let key = &found.key;
        let known = Arc::new(Known {
            name: key.name.clone().unwrap_or_else(|| name(&key.id.to_string())).into(),
            last_use: state.engine.key_use(key.id),
            limit: self.limits.of_key(key.id, key.requests_per_minute),
            found,
            epoch,
            until,
        });
        self.remember(hash, known.clone());
        Ok(Some(known))
    }

    fn remembered(&self, hash: &KeyHash) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    fn is_fresh(&self, known: &Known, now: Instant) -> bool {
        known.epoch == self.epoch.load(Ordering::Acquire) && now < known.until
    }

    fn remember(&self, hash: KeyHash, what: Arc<Known>) {
        // Nothing panics while it holds the lock, and a map is whole between calls anyway.
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KEYS && !known.contains_key(&hash) {
            // Every one costs one read to learn again.
            known.clear();
        }
        known.insert(hash, what);
    }
}

/// A name that is known to be one.
fn name(text: &str) -> Name {
    Name::parse(text).unwrap_or_else(|_| unreachable!("a short word makes a name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::api_key::ApiKey;
    use crate::domain::ids::KeyId;
    use crate::domain::role::Role;

    fn known(epoch: u64, until: Instant) -> Arc<Known> {
        let key = ApiKey {
            id: KeyId::new(ulid::Ulid(1)),
            role: Role::Ingest,
            chain: None,
            name: None,
            created_at: Timestamp::UNIX_EPOCH,
            created_by: name("till"),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            requests_per_minute: None,
        };
        Arc::new(Known {
            found: FoundKey { key, text_until: None },
            name: name("till").into(),
            last_use: Arc::default(),
            limit: None,
            epoch,
            until,
        })
    }

    #[test]
    fn what_is_remembered_is_asked_again_after_a_second_or_a_change_and_is_bounded() {
        let keys = Keys::new(None, RequestLimits::default());
        let now = Instant::now();
        let fresh = known(0, now + FRESH);
        assert!(keys.is_fresh(&fresh, now) && !keys.is_fresh(&fresh, now + FRESH));
        keys.forget();
        assert!(!keys.is_fresh(&fresh, now), "a key was changed");
        assert!(keys.is_fresh(&known(1, now + FRESH), now));
        for n in 0..2 * MOST_KEYS {
            keys.remember(KeyHash::of(&n.to_le_bytes()), fresh.clone());
        }
        assert!(keys.known.read().unwrap().len() <= MOST_KEYS);
        let last = KeyHash::of(&(2 * MOST_KEYS - 1).to_le_bytes());
        assert!(keys.remembered(&last).is_some());
    }
}
