//! Sending: one HTTP client per thread that trusts nobody.
//!
//! Every attempt has one deadline over everything, body included; at most [`BODY_CAP`] bytes of an answer are read;
//! redirects are not followed; every connection goes to an address that the [`AddressPolicy`] allows at that moment.
//! Connections are kept and shared by all endpoints of the thread, which is safe because one policy vetted them all.

mod connect;
mod error;
mod line;
#[cfg(test)]
pub(crate) mod receiver;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_tls::connect::rustls_0_23::webpki_roots_cert_store;
use awc::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use awc::http::{StatusCode, Uri};
use awc::{Client, ClientResponse, Connector};
use futures_util::StreamExt as _;
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};

use self::connect::{Dialer, Lines};
pub use self::error::AttemptError;
use self::line::Trace;
use crate::domain::address::AddressPolicy;
use crate::domain::endpoint::Endpoint;
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

/// Where an endpoint's requests go, parsed once.
#[derive(Debug, Clone)]
pub struct Target {
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
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
    policy: Arc<AddressPolicy>,
    timeout: Duration,
}

thread_local! {
    static SHARED: RefCell<Vec<Weak<Outbound>>> = const { RefCell::new(Vec::new()) };
}

impl Outbound {
    /// A client that obeys `policy` and gives every attempt `timeout`. Needs a running actix system or tokio local set.
    pub fn new(policy: Arc<AddressPolicy>, timeout: Duration) -> Self {
        let dialer = Dialer::new(Arc::clone(&policy));
        sweep(Rc::downgrade(dialer.lines()), timeout);
        let connector = Connector::new()
            .connector(dialer)
            .rustls_0_23(tls())
            // Each endpoint bounds its own; a common limit would let slow receivers starve the others.
            .limit(0)
            .timeout(timeout)
            .handshake_timeout(timeout)
            .conn_keep_alive(KEEP_ALIVE)
            .conn_lifetime(LIFETIME);
        let client = Client::builder()
            .connector(connector)
            .no_default_headers()
            .disable_redirects()
            .disable_timeout() // it would end at the head; `attempt` has a deadline over everything
            .finish();
        Self { client, policy, timeout }
    }

    /// This thread's client for that policy and timeout.
    pub fn shared(policy: &Arc<AddressPolicy>, timeout: Duration) -> Rc<Self> {
        SHARED.with_borrow_mut(|shared| {
            shared.retain(|one| one.strong_count() > 0);
            let known = shared
                .iter()
                .filter_map(Weak::upgrade)
                .find(|one| one.timeout == timeout && *one.policy == **policy);
            known.unwrap_or_else(|| {
                let one = Rc::new(Self::new(Arc::clone(policy), timeout));
                shared.push(Rc::downgrade(&one));
                one
            })
        })
    }

    /// Prepares an endpoint's url and extra headers.
    pub fn target(&self, endpoint: &Endpoint) -> Result<Target, AttemptError> {
        self.target_for(endpoint, Occasion::News)
    }

    /// The same for a request that may go elsewhere.
    pub fn target_for(&self, endpoint: &Endpoint, occasion: Occasion) -> Result<Target, AttemptError> {
        self.policy.check_scheme(&endpoint.url)?;
        let uri = wire::address(endpoint, occasion)
            .as_str()
            .parse()
            .map_err(|_| AttemptError::Unsendable("url"))?;
        let headers = endpoint
            .headers
            .iter()
            .map(|(name, value)| Some((name.parse().ok()?, HeaderValue::from_str(value).ok()?)))
            .collect::<Option<_>>()
            .ok_or(AttemptError::Unsendable("headers"))?;
        // The connections' own limits go by ours.
        let timeout = endpoint.settings.timeout().min(self.timeout);
        Ok(Target { uri, headers, timeout })
    }

    /// Sends one request and reads the answer, within the deadline.
    pub async fn attempt(&self, target: &Target, request: &SignedRequest) -> Exchange {
        let started = Instant::now();
        let status = Cell::new(None);
        let trace = Rc::new(Trace::default());
        let exchange = trace.follow(self.exchange(target, request, &trace, &status));
        let outcome = match tokio::time::timeout(target.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(AttemptError::TimedOut(target.timeout)),
        };
        Exchange { outcome, status: status.get(), duration: started.elapsed() }
    }

    async fn exchange(
        &self,
        target: &Target,
        request: &SignedRequest,
        trace: &Trace,
        status: &Cell<Option<u16>>,
    ) -> Result<Answer, AttemptError> {
        let mut response = self.send(target, request).await;
        if matches!(response, Err(AttemptError::Disconnected)) && !trace.dialled() {
            // A kept connection that the receiver was just closing: that says nothing about the receiver.
            response = self.send(target, request).await;
        }
        let response = response?;
        status.set(Some(response.status().as_u16()));
        if response.status().is_informational() {
            trace.hang_up();
            return Err(AttemptError::Interim(response.status().as_u16()));
        }
        if let Some(to) = redirect(response.status(), response.headers()) {
            return Err(AttemptError::Redirect { status: response.status().as_u16(), to });
        }
        Ok(read(response).await)
    }

    async fn send(&self, target: &Target, request: &SignedRequest) -> Result<ClientResponse, AttemptError> {
        let mut post = self.client.post(&target.uri).no_decompress();
        for (name, value) in &target.headers {
            post = post.insert_header((name, value));
        }
        // Last, so that nothing an endpoint asks for can replace what the protocol says.
        for (name, value) in &request.headers {
            post = post.insert_header((HeaderName::from_static(name), value.as_str()));
        }
        Ok(post.send_body(request.body.clone()).await?)
    }
}

fn tls() -> Arc<ClientConfig> {
    // awc builds a configuration of its own before it takes ours, and that needs a process-wide provider.
    if CryptoProvider::get_default().is_none() {
        let _ = ring::default_provider().install_default();
    }
    let mut config =
        ClientConfig::builder().with_root_certificates(webpki_roots_cert_store()).with_no_client_auth();
    // HTTP/2 would carry many exchanges over one connection, and one rude answer could end them all.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
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

/// Reads the body up to the cap. A body that breaks off is taken as it is: the head was the answer.
async fn read(mut response: ClientResponse) -> Answer {
    let text = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let mut answer = Answer {
        status: response.status().as_u16(),
        retry_after: text("retry-after"),
        webhook_delivery: text("webhook-delivery"),
        body: Vec::new(),
    };
    while let Some(Ok(chunk)) = response.next().await {
        let room = BODY_CAP - answer.body.len();
        answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break; // dropping the response closes the connection
        }
    }
    answer
}
