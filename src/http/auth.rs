//! Who calls, and what they may do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use futures_util::future::{FutureExt, LocalBoxFuture};

use super::problem::Problem;
use super::request_id::RequestId;
use super::{State, client};
use crate::domain::api_key::KeyHash;
use crate::domain::audit::{Author, By, Origin};
use crate::domain::chain::ChainId;
use crate::domain::ids::KeyId;
use crate::domain::role::{Right, Role};
use crate::domain::text::Name;
use crate::read::Reader;

/// How long a look at the store holds. Another process that makes or revokes a key is noticed after this.
const FRESH: Duration = Duration::from_secs(1);
/// The most keys remembered, good and bad together.
const MOST_KEYS: usize = 10_000;

/// The caller of a request, known by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    role: Role,
    /// The one chain the key is for; `None` = all.
    chain: Option<ChainId>,
    /// The key's id; `None` = the key of the configuration.
    key: Option<KeyId>,
    /// What people call the key.
    name: Arc<Name>,
    /// From where they call.
    address: Option<IpAddr>,
    /// The id of the request.
    request: Option<RequestId>,
}

impl Caller {
    /// Whoever has such a key, from anywhere.
    const fn with(role: Role, chain: Option<ChainId>, key: Option<KeyId>, name: Arc<Name>) -> Self {
        Self { role, chain, key, name, address: None, request: None }
    }

    /// Refuses a caller who may not do that in this chain. To a key of another chain the chain does not exist.
    pub(super) fn require(&self, right: Right, chain: &str) -> Result<(), Problem> {
        if self.chain.as_ref().is_some_and(|own| own.as_str() != chain) {
            return Err(Problem::NotFound("chain"));
        }
        self.require_role(right)
    }

    /// Refuses a caller who may not do that in all chains.
    pub(super) fn require_everywhere(&self, right: Right) -> Result<(), Problem> {
        self.require_role(right)?;
        if self.chain.is_some() { Err(Problem::OneChainKey) } else { Ok(()) }
    }

    /// Refuses a caller who may not do that anywhere.
    pub(super) fn require_role(&self, right: Right) -> Result<(), Problem> {
        if self.role.has(right) {
            return Ok(());
        }
        Err(Problem::Forbidden { needed: right.least_role(), has: self.role })
    }

    /// The one chain the key is for; `None` = all.
    pub(super) const fn chain(&self) -> Option<&ChainId> {
        self.chain.as_ref()
    }

    /// Who changes what this request changes, and from where.
    pub(super) fn by(&self) -> By {
        let author = match self.key {
            Some(id) => Author::Key { id, name: Name::clone(&self.name), role: self.role },
            None => Author::Configuration,
        };
        let request = self.request.as_ref().and_then(|id| id.to_string().parse().ok());
        By { author, origin: Origin { address: self.address, request } }
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let hash = bearer(request).map(KeyHash::of);
        let state = State::of(request);
        let (address, id) = (client::address(request), request.extensions().get::<RequestId>().cloned());
        async move {
            let state = state?;
            let known = state.keys.caller(&state.reader, hash?).await?;
            Ok(Self { address, request: id, ..known })
        }
        .boxed_local()
    }
}

/// The key in the one `Authorization` header.
fn bearer(request: &HttpRequest) -> Result<&[u8], Problem> {
    let mut given = request.headers().get_all(header::AUTHORIZATION);
    let value = given.next().ok_or(Problem::NoKey)?;
    if given.next().is_some() {
        return Err(Problem::BadKey); // which of two is meant, nobody can say
    }
    let (scheme, key) = value.as_bytes().split_at_checked("Bearer ".len()).ok_or(Problem::NoKey)?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") || key.is_empty() {
        return Err(Problem::NoKey);
    }
    Ok(key)
}

/// A name that is known to be one.
fn name(text: &str) -> Name {
    Name::parse(text).unwrap_or_else(|_| unreachable!("a short word makes a name"))
}

/// What the store said about a key, and until when that holds.
struct Known {
    caller: Option<Caller>,
    until: Instant,
}

/// The keys seen lately, so that a request does not cost a read.
pub(super) struct Keys {
    configured: Option<KeyHash>,
    name_of_configured: Arc<Name>,
    known: Mutex<HashMap<KeyHash, Known>>,
}

impl Keys {
    /// `configured` is the hash of the key given by the configuration.
    pub(super) fn new(configured: Option<KeyHash>) -> Self {
        Self { configured, name_of_configured: name("configuration").into(), known: Mutex::default() }
    }

    /// Forgets everything: a key was made or revoked here.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    async fn caller(&self, reader: &Reader, hash: KeyHash) -> Result<Caller, Problem> {
        if self.configured.is_some_and(|configured| configured.matches(&hash)) {
            return Ok(Caller::with(Role::Admin, None, None, self.name_of_configured.clone()));
        }
        if let Some(known) = self.remembered(&hash, Instant::now()) {
            return known.ok_or(Problem::BadKey);
        }
        // The look happens after this instant, so what it finds is at least this fresh.
        let until = Instant::now() + FRESH;
        let found = reader.live_key(hash).await?;
        let caller = found.map(|key| {
            let name = key.name.unwrap_or_else(|| name(&key.id.to_string()));
            Caller::with(key.role, key.chain, Some(key.id), name.into())
        });
        self.remember(hash, Known { caller: caller.clone(), until });
        caller.ok_or(Problem::BadKey)
    }

    fn remembered(&self, hash: &KeyHash, now: Instant) -> Option<Option<Caller>> {
        self.lock().get(hash).filter(|known| now < known.until).map(|known| known.caller.clone())
    }

    fn remember(&self, hash: KeyHash, what: Known) {
        let mut known = self.lock();
        if known.len() >= MOST_KEYS {
            // Somebody tries keys. Every good one costs one read to learn again.
            known.clear();
        }
        known.insert(hash, what);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<KeyHash, Known>> {
        // Nothing panics while it holds the lock, and a map is whole between calls anyway.
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn caller(role: Role, chain: Option<&str>) -> Caller {
        Caller::with(role, chain.map(|id| id.parse().unwrap()), None, name("till 3").into())
    }

    #[test]
    fn another_chain_does_not_exist_and_a_lower_role_is_told_so() {
        let own = caller(Role::Admin, Some("harvest"));
        assert_eq!(own.require(Right::Administer, "harvest"), Ok(()));
        assert_eq!(own.require(Right::Administer, "other"), Err(Problem::NotFound("chain")));
        assert_eq!(own.require_everywhere(Right::Administer), Err(Problem::OneChainKey));
        let till = caller(Role::Ingest, Some("harvest"));
        let refused = Problem::Forbidden { needed: Role::Viewer, has: Role::Ingest };
        assert_eq!(till.require(Right::View, "harvest"), Err(refused));
        assert_eq!(till.require(Right::View, "other"), Err(Problem::NotFound("chain")));
        assert_eq!(caller(Role::Admin, None).require(Right::SendEvents, "any"), Ok(()));
    }

    #[test]
    fn only_one_bearer_key_is_taken() {
        let key = |value: &str| {
            let request =
                TestRequest::default().insert_header((header::AUTHORIZATION, value)).to_http_request();
            bearer(&request).map(<[u8]>::to_vec)
        };
        assert_eq!(key("Bearer pck_1"), Ok(b"pck_1".to_vec()));
        assert_eq!(key("bearer pck_1"), Ok(b"pck_1".to_vec()));
        for wrong in ["", "Bearer", "Bearer ", "Basic cGNrXzE=", "pck_1"] {
            assert_eq!(key(wrong), Err(Problem::NoKey), "{wrong}");
        }
        let two = TestRequest::default()
            .append_header((header::AUTHORIZATION, "Bearer pck_1"))
            .append_header((header::AUTHORIZATION, "Bearer pck_2"))
            .to_http_request();
        assert_eq!(bearer(&two), Err(Problem::BadKey));
        assert_eq!(bearer(&TestRequest::default().to_http_request()), Err(Problem::NoKey));
    }

    #[test]
    fn what_is_remembered_expires_and_is_bounded() {
        let keys = Keys::new(None);
        let (hash, now) = (KeyHash::of(b"pck_1"), Instant::now());
        keys.remember(hash, Known { caller: None, until: now + FRESH });
        assert_eq!(keys.remembered(&hash, now), Some(None));
        assert_eq!(keys.remembered(&hash, now + FRESH), None);
        for n in 0..2 * MOST_KEYS {
            keys.remember(KeyHash::of(&n.to_le_bytes()), Known { caller: None, until: now + FRESH });
            assert!(keys.lock().len() <= MOST_KEYS);
        }
        keys.forget();
        assert!(keys.lock().is_empty());
    }
}
