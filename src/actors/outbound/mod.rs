//! Sending: one HTTP client per thread that trusts nobody.
//!
//! Every attempt has one deadline over everything, body included; at most [`BODY_CAP`] bytes of an answer are read;
//! redirects are not followed; every connection goes to an address that the [`AddressPolicy`] allows at that moment.
//! Connections are kept and shared by all endpoints of the thread, which is safe because one policy vetted them all; those
//! that are made with a certificate of an endpoint's own, by nobody else.

mod connect;
mod error;
mod line;
mod proxy;
#[cfg(test)]
pub(crate) mod receiver;
#[cfg(test)]
mod tests;
mod tls;
mod token;
mod trust;

use std::cell::RefCell;
use std::fmt;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use awc::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use awc::http::{StatusCode, Uri, Version};
use awc::{Client, ClientRequest, ClientResponse, Connector};
use futures_util::StreamExt as _;
use rustls::ClientConfig;

use self::connect::{Dialer, Lines};
pub use self::error::AttemptError;
use self::line::Trace;
pub use self::proxy::{BadProxy, NoWayOut, Proxy};
pub use self::tls::check_identity;
use self::tls::tls;
pub use self::token::NoToken;
use self::token::{Token, Tokens, basic, bearer, hidden};
pub use self::trust::{TlsRoots, Trust, TrustError};
use crate::domain::address::AddressPolicy;
use crate::domain::endpoint::{Auth, ClientCredentials, Endpoint, Identity};
use crate::wire::{self, Answer, Occasion, SignedRequest};

/// At most so many bytes of an answer's body are read; then the connection is closed.
pub const BODY_CAP: usize = 64 * 1024;
/// Characters of an answer that are kept in the log.
const LOGGED_CHARS: usize = 500;
/// Idle connections are used again for so long: less than common servers keep theirs open (Node and uvicorn 5 s,
/// gunicorn 2 s), because a request that meets a closing connection is lost.
const KEEP_ALIVE: Duration = Duration::from_millis(1500);
/// A connection is replaced after so long, so that a changed DNS record is noticed.
const LIFETIME: Duration = Duration::from_secs(60);
/// How often idle connections are looked for.
const SWEEP: Duration = Duration::from_secs(5);

/// How far the requests of a process go.
#[derive(Debug, Clone)]
pub struct Reach {
    /// Which addresses may be dialled.
    pub policy: Arc<AddressPolicy>,
    /// Who vouches for receivers.
    pub trust: Trust,
    /// What everything goes through, if it does not leave directly.
    pub proxy: Option<Arc<Proxy>>,
    /// How long one attempt may take, body included.
    pub timeout: Duration,
}

impl Reach {
    /// What an operator has who allows nothing.
    #[cfg(test)]
    pub(crate) fn to_the_public(timeout: Duration) -> Self {
        Self { policy: Arc::default(), trust: Trust::bundled(), proxy: None, timeout }
    }

    fn is(&self, other: &Self) -> bool {
        self.timeout == other.timeout
            && *self.policy == *other.policy
            && self.trust.is(&other.trust)
            && self.proxy == other.proxy
    }
}

/// Where an endpoint's requests go, and who we are there, parsed once.
pub struct Target {
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
    /// Where access tokens come from, if the receiver wants some.
    tokens: Option<Rc<Tokens>>,
    /// Makes connections with the endpoint's own certificate, if it has one.
    client: Option<Client>,
}

/// Headers and addresses are often secrets.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target(…)")
    }
}

/// How an attempt went.
#[derive(Debug)]
pub struct Exchange {
    /// The answer, or why there is none to judge.
    pub outcome: Result<Answer, AttemptError>,
    /// The status code, if one came.
    pub status: Option<u16>,
    /// From the first byte of work to the last.
    pub duration: Duration,
}

impl Exchange {
    /// One that could not begin.
    pub const fn unsent(error: AttemptError) -> Self {
        Self { outcome: Err(error), status: None, duration: Duration::ZERO }
    }

    /// The first characters of the answer's body, for the log; `None` when it was empty.
    pub fn body_start(&self) -> Option<String> {
        let body = &self.outcome.as_ref().ok()?.body;
        let start = &body[..body.len().min(4 * LOGGED_CHARS)];
        let text: String = String::from_utf8_lossy(start)
            .chars()
            .take(LOGGED_CHARS)
            // PostgreSQL text cannot hold NUL.
            .map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c })
            .collect();
        (!text.is_empty()).then_some(text)
    }
}

/// The HTTP client of one thread.
pub struct Outbound {
    client: Client,
    dialer: Dialer,
    reach: Reach,
    /// Those that targets hold.
    tokens: RefCell<Vec<Weak<Tokens>>>,
}

thread_local! {
    static SHARED: RefCell<Vec<Weak<Outbound>>> = const { RefCell::new(Vec::new()) };
}

impl Outbound {
    /// A client that goes no farther than that. Needs a running actix system or tokio local set.
    pub fn new(reach: Reach) -> Self {
        Self::dialling(Dialer::new(Arc::clone(&reach.policy)).through(reach.proxy.clone()), reach)
    }

    fn dialling(dialer: Dialer, reach: Reach) -> Self {
        sweep(Rc::downgrade(dialer.lines()), reach.timeout);
        let tls = tls(reach.trust.roots(), None)
            .unwrap_or_else(|_| unreachable!("only a certificate can be wrong"));
        let client = client(dialer.clone(), tls, reach.timeout);
        Self { client, dialer, reach, tokens: RefCell::default() }
    }

    /// This thread's client for that.
    pub fn shared(reach: &Reach) -> Rc<Self> {
        SHARED.with_borrow_mut(|shared| {
            shared.retain(|one| one.strong_count() > 0);
            let known = shared.iter().filter_map(Weak::upgrade).find(|one| one.reach.is(reach));
            known.unwrap_or_else(|| {
                let one = Rc::new(Self::new(reach.clone()));
                shared.push(Rc::downgrade(&one));
                one
            })
        })
    }

    /// Prepares an endpoint's url and extra headers, and how we say who we are.
    pub fn target(&self, endpoint: &Endpoint) -> Result<Target, AttemptError> {
        self.target_for(endpoint, Occasion::News)
    }

    /// The same for a request that may go elsewhere.
    pub fn target_for(&self, endpoint: &Endpoint, occasion: Occasion) -> Result<Target, AttemptError> {
        self.reach.policy.check_scheme(&endpoint.url)?;
        let uri = wire::address(endpoint, occasion)
            .as_str()
            .parse()
            .map_err(|_| AttemptError::Unsendable("url"))?;
        let headers = endpoint.headers.iter().map(|(name, value)| Some((name.parse().ok()?, hidden(value)?)));
        let headers = headers.collect::<Option<_>>().ok_or(AttemptError::Unsendable("headers"))?;
        // The connections' own limits go by ours.
        let timeout = endpoint.settings.timeout().min(self.reach.timeout);
        let mut target = Target { uri, headers, timeout, tokens: None, client: None };
        let authorization = match &endpoint.auth {
            None => return Ok(target),
            Some(Auth::OAuth2(credentials)) => {
                target.tokens = Some(self.tokens(credentials)?);
                return Ok(target);
            }
            Some(Auth::Mtls(identity)) => {
                target.client = Some(self.client_as(identity)?);
                return Ok(target);
            }
            Some(Auth::Basic { username, password }) => hidden(&basic(username, password.reveal())),
            Some(Auth::Bearer { token }) => bearer(token.reveal()),
        };
        let authorization = authorization.ok_or(AttemptError::Unsendable("auth"))?;
        target.headers.push((header::AUTHORIZATION, authorization));
        Ok(target)
    }

    /// The tokens of these credentials, shared by all who have the same, and by an endpoint that is configured anew.
    fn tokens(&self, credentials: &ClientCredentials) -> Result<Rc<Tokens>, AttemptError> {
        let mut held = self.tokens.borrow_mut();
        held.retain(|tokens| tokens.strong_count() > 0);
        if let Some(known) = held.iter().filter_map(Weak::upgrade).find(|known| known.are_of(credentials)) {
            return Ok(known);
        }
        let new = Rc::new(Tokens::of(credentials)?);
        held.push(Rc::downgrade(&new));
        Ok(new)
    }

    /// A client whose connections are made with a certificate, and shared with nobody.
    fn client_as(&self, identity: &Identity) -> Result<Client, AttemptError> {
        let tls = tls(self.reach.trust.roots(), Some(identity));
        let tls = tls.map_err(|_| AttemptError::Unsendable("certificate"))?;
        Ok(client(self.dialer.clone(), tls, self.reach.timeout))
    }

    /// Sends one request and reads the answer, within the deadline.
    pub async fn attempt(&self, target: &Target, request: &SignedRequest) -> Exchange {
        let started = Instant::now();
        let trace = Rc::new(Trace::default());
        let exchange = self.exchange(target, request, &trace);
        let outcome = match tokio::time::timeout(target.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(trace.late(target.timeout)),
        };
        Exchange { outcome, status: trace.status.get(), duration: started.elapsed() }
    }

    /// Sends it, with a token if one is wanted. A receiver that does not take a kept one gets a fresh one, once.
    async fn exchange(
        &self,
        target: &Target,
        request: &SignedRequest,
        trace: &Rc<Trace>,
    ) -> Result<Answer, AttemptError> {
        let Some(tokens) = &target.tokens else { return self.send(target, request, None, trace).await };
        let began = Instant::now();
        // Whoever gives them out may be slow: that must not look like a receiver that is.
        let within = target.timeout / 2;
        let token = tokens.get(self, within).await?;
        let answer = self.send(target, request, Some(&token), trace).await?;
        if answer.status != StatusCode::UNAUTHORIZED || token.is_newer_than(began) || tokens.are_refused() {
            return Ok(answer);
        }
        tokens.drop_refused(&token);
        let token = tokens.get(self, within).await?;
        let answer = self.send(target, request, Some(&token), trace).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            tokens.note_new_refused();
        }
        Ok(answer)
    }

    async fn send(
        &self,
        target: &Target,
        request: &SignedRequest,
        token: Option<&Token>,
        trace: &Rc<Trace>,
    ) -> Result<Answer, AttemptError> {
        let client = target.client.as_ref().unwrap_or(&self.client);
        let ask = || {
            let post = client.post(&target.uri).no_decompress();
            let mut post = if request.capitals { post.camel_case() } else { post };
            for (name, value) in &target.headers {
                post = post.insert_header((name, value));
            }
            if let Some(token) = token {
                post = post.insert_header((header::AUTHORIZATION, token.header().clone()));
            }
            // Last, so that nothing an endpoint asks for can replace what the protocol says.
            for (name, value) in &request.headers {
                post = post.insert_header((HeaderName::from_static(name), value.as_str()));
            }
            post
        };
        self.answer(ask, &request.body, trace).await
    }

    /// Sends what `ask` makes and reads the answer. The caller has a deadline.
    async fn answer(
        &self,
        ask: impl Fn() -> ClientRequest,
        body: &str,
        trace: &Rc<Trace>,
    ) -> Result<Answer, AttemptError> {
        trace.renew();
        let exchange = async {
            let mut response = ask().send_body(body.to_owned()).await.map_err(AttemptError::from);
            if matches!(response, Err(AttemptError::Disconnected)) && !trace.dialled() {
                // A kept connection that the receiver was just closing: that says nothing about the receiver.
                response = ask().send_body(body.to_owned()).await.map_err(AttemptError::from);
            }
            let response = response?;
            trace.status.set(Some(response.status().as_u16()));
            if response.status().is_informational() {
                trace.hang_up();
                return Err(AttemptError::Interim(response.status().as_u16()));
            }
            if let Some(to) = redirect(response.status(), response.headers()) {
                return Err(AttemptError::Redirect { status: response.status().as_u16(), to });
            }
            Ok(read(response, trace).await)
        };
        trace.follow(exchange).await
    }
}

fn client(dialer: Dialer, tls: Arc<ClientConfig>, timeout: Duration) -> Client {
    let connector = Connector::new()
        .connector(dialer)
        .rustls_0_23(tls)
        // Each endpoint bounds its own; a common limit would let slow receivers starve the others.
        .limit(0)
        // The deadline of the attempt comes first, so that a slow receiver is called that wherever it is slow.
        .timeout(2 * timeout)
        .handshake_timeout(2 * timeout)
        .conn_keep_alive(KEEP_ALIVE)
        .conn_lifetime(LIFETIME);
    Client::builder()
        .connector(connector)
        .no_default_headers()
        .disable_redirects()
        .disable_timeout() // it would end at the head; `attempt` has a deadline over everything
        .finish()
}

/// Closes idle connections for as long as the client lives. No exchange lasts longer than `timeout`, so a line on which
/// nothing moved for longer serves none.
fn sweep(lines: Weak<Lines>, timeout: Duration) {
    actix_rt::spawn(async move {
        loop {
            actix_rt::time::sleep(SWEEP).await;
            let Some(lines) = lines.upgrade() else { return };
            if let Some(then) = Instant::now().checked_sub(timeout + KEEP_ALIVE) {
                lines.hang_up_idle(then);
            }
        }
    });
}

fn redirect(status: StatusCode, headers: &HeaderMap) -> Option<String> {
    let to = headers.get(header::LOCATION).filter(|_| status.is_redirection())?;
    let text = to.to_str().unwrap_or("an unreadable address");
    Some(text.chars().take(200).collect())
}

/// Whether the body of an answer ends with its connection and in no other way.
fn ends_with_its_connection(response: &ClientResponse) -> bool {
    let headers = response.headers();
    let connection = headers.get(header::CONNECTION).and_then(|value| value.to_str().ok());
    let mut tokens = connection.into_iter().flat_map(|value| value.split(','));
    tokens.any(|token| token.trim().eq_ignore_ascii_case("close"))
        && response.version() == Version::HTTP_11
        && !headers.contains_key(header::CONTENT_LENGTH)
        && !headers.contains_key(header::TRANSFER_ENCODING)
        && !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// Reads the body up to the cap. A body that breaks off is taken as it is: the head was the answer.
async fn read(mut response: ClientResponse, trace: &Trace) -> Answer {
    let text = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let mut answer = Answer {
        status: response.status().as_u16(),
        retry_after: text("retry-after"),
        webhook_delivery: text("webhook-delivery"),
        body: Vec::new(),
    };
    if ends_with_its_connection(&response) {
        answer.body = trace.rest(BODY_CAP).await;
        return answer;
    }
    while let Some(Ok(chunk)) = response.next().await {
        let room = BODY_CAP - answer.body.len();
        answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break; // dropping the response closes the connection
        }
    }
    answer
}
