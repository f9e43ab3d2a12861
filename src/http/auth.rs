//! Who calls, and what they may do.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::future::{FutureExt, LocalBoxFuture};

use super::limits::Meter;
use super::problem::Problem;
use super::request_id::RequestId;
use super::{AppState, State, client};
use crate::domain::allowance::RequestsPerMinute;
use crate::domain::api_key::{ApiKey, KeyHash};
use crate::domain::audit::{Author, By, Origin};
use crate::domain::chain::ChainId;
use crate::domain::ids::KeyId;
use crate::domain::role::{Right, Role};
use crate::domain::text::Name;
use crate::telemetry::RefusalLabels;

/// The caller of a request, known by its key.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    role: Role,
    /// The one chain the key is for; `None` = all.
    chain: Option<ChainId>,
    /// What people call the key.
    name: Arc<Name>,
    /// The key; `None` = that of the configuration.
    key: Option<KeyId>,
    /// The key's own limit, if it has one.
    limit: Option<RequestsPerMinute>,
    /// What the request is counted by.
    meter: Meter,
    /// From where they call.
    address: Option<IpAddr>,
    /// The id of the request.
    request: Option<RequestId>,
}

impl Caller {
    /// Whoever comes with a key of the store.
    pub(super) fn of(key: &ApiKey, name: Arc<Name>, meter: Meter) -> Self {
        let ApiKey { id, role, ref chain, requests_per_minute: limit, .. } = *key;
        Self { role, chain: chain.clone(), name, key: Some(id), limit, meter, address: None, request: None }
    }

    /// Whoever comes with the key of the configuration: an admin, under no limit, so that there is always a way in.
    pub(super) fn of_configuration(name: Arc<Name>) -> Self {
        let (role, meter) = (Role::Admin, Meter::default());
        Self { role, chain: None, name, key: None, limit: None, meter, address: None, request: None }
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

    /// The limit that this key has of its own: it gives no more than that.
    pub(super) const fn own_limit(&self) -> Option<RequestsPerMinute> {
        self.limit
    }

    /// Whose `Idempotency-Key` it is that comes with a request: names may be given twice.
    pub(super) fn scope(&self) -> String {
        self.key.map_or_else(|| "configuration".to_owned(), |key| key.to_string())
    }

    /// What people call the key: its name, else its id.
    pub(super) fn name(&self) -> &Name {
        &self.name
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

    /// What the request is counted by, for what costs more than one.
    pub(super) const fn meter(&self) -> &Meter {
        &self.meter
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (state, request) = (State::of(request), request.clone());
        async move {
            let state = state?;
            let caller = admit(&state, &request).await;
            if let Err(problem) = &caller {
                state.metrics.refused_callers.get_or_create(&RefusalLabels { code: problem.code() }).inc();
            }
            caller
        }
        .boxed_local()
    }
}

/// Finds out who calls, and counts the request.
async fn admit(state: &AppState, request: &HttpRequest) -> Result<Caller, Problem> {
    let hash = KeyHash::of(bearer(request)?);
    let id = request.extensions().get::<RequestId>().cloned();
    let known = state.keys.caller(state, request, hash).await?;
    let caller = Caller { address: client::address(request), request: id, ..known };
    tracing::Span::current().record("key", tracing::field::display(&caller.name));
    let (standing, admitted) = match caller.meter.take(state.engine.clock().now()) {
        Ok(standing) => (standing, Ok(caller)),
        Err((standing, problem)) => (Some(standing), Err(problem)),
    };
    if let Some(standing) = standing {
        request.extensions_mut().insert(standing); // the answer tells of it
    }
    admitted
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

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn caller(role: Role, chain: Option<&str>) -> Caller {
        let name = Arc::new(Name::parse("till 3").unwrap());
        let (chain, meter) = (chain.map(|id| id.parse().unwrap()), Meter::default());
        Caller { role, chain, name, key: None, limit: None, meter, address: None, request: None }
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
}
