//! Dialling: resolve the host ourselves, vet every answer, connect to what was vetted and to nothing else.
//!
//! awc's own connector asks a custom resolver for names only, never for literal addresses, so it is replaced as a
//! whole: every dial, whatever the host looks like, passes through [`Dialer::dial`].

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_rt::net::TcpStream;
use actix_service::{Service, always_ready};
use actix_tls::connect::{ConnectError, ConnectInfo, Connection};
use awc::http::Uri;
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, Shared, WeakShared};
use tokio::sync::Semaphore;
use url::Host;

use super::error::AttemptError;
use super::line::{Line, Wire, at_home};
use super::proxy::{self, NoWayOut, Proxy};
use crate::domain::address::AddressPolicy;

/// Name look-ups at a time: each holds a thread of the blocking pool, which the store needs as well.
const LOOKUPS: usize = 32;
/// Addresses of one name that are tried.
const ADDRESSES: usize = 3;
/// How long one of several addresses is tried before the next has its turn.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long our own proxy has to take a connection.
const PROXY_PATIENCE: Duration = Duration::from_secs(5);

/// The lines that were opened and may still be open.
#[derive(Default)]
pub(super) struct Lines(RefCell<Vec<Weak<Wire>>>);

impl Lines {
    /// Hangs up every line on which nothing has moved since `then`.
    pub(super) fn hang_up_idle(&self, then: Instant) {
        self.0.borrow_mut().retain(|wire| match wire.upgrade() {
            Some(wire) if wire.used() < then => {
                wire.hang_up();
                false
            }
            Some(_) => true,
            None => false,
        });
    }
}

/// Says which addresses a name has, and blocks until it knows.
pub(super) type Resolver = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

type Answers = Result<Vec<SocketAddr>, AttemptError>;
type LookUp = LocalBoxFuture<'static, Answers>;
type LookUps = HashMap<(String, u16), WeakShared<LookUp>>;

/// Opens connections to vetted addresses.
#[derive(Clone)]
pub(super) struct Dialer {
    policy: Arc<AddressPolicy>,
    proxy: Option<Arc<Proxy>>,
    /// Whether the proxy was last seen to do its work.
    proxy_works: Rc<Cell<bool>>,
    resolver: Arc<Resolver>,
    lookups: Arc<Semaphore>,
    /// The look-ups under way.
    asked: Rc<RefCell<LookUps>>,
    lines: Rc<Lines>,
}

impl Dialer {
    /// One that asks the system for the addresses of names.
    pub(super) fn new(policy: Arc<AddressPolicy>) -> Self {
        Self::asking(Arc::new(|name, port| (name, port).to_socket_addrs().map(Vec::from_iter)), policy)
    }

    /// One that asks `resolver`.
    pub(super) fn asking(resolver: Arc<Resolver>, policy: Arc<AddressPolicy>) -> Self {
        let lookups = Arc::new(Semaphore::new(LOOKUPS));
        Self {
            policy,
            proxy: None,
            proxy_works: Rc::new(Cell::new(true)),
            resolver,
            lookups,
            asked: Rc::default(),
            lines: Rc::default(),
        }
    }

    /// The same, through a proxy if there is one.
    pub(super) fn through(self, proxy: Option<Arc<Proxy>>) -> Self {
        Self { proxy, ..self }
    }

    /// What it has opened.
    pub(super) fn lines(&self) -> &Rc<Lines> {
        &self.lines
    }

    async fn dial(&self, host: &str, port: u16, is_plain: bool) -> Result<Line, ConnectError> {
        let tcp = match &self.proxy {
            None => {
                let addrs = self.vetted(host, port).await.map_err(own)?;
                connect(&addrs).await.map_err(ConnectError::Io)?
            }
            Some(proxy) => self.tunnel(proxy, host, port).await.map_err(own)?,
        };
        // A request leaves in one piece; waiting for more only costs time.
        let _ = tcp.set_nodelay(true);
        let line = Line::new(tcp, is_plain);
        self.lines.0.borrow_mut().push(Rc::downgrade(line.wire()));
        Ok(line)
    }

    /// The addresses of a host, all of which may be reached.
    async fn vetted(&self, host: &str, port: u16) -> Answers {
        let addrs = self.resolve(host, port).await?;
        let ips: Vec<IpAddr> = addrs.iter().map(SocketAddr::ip).collect();
        self.policy.check_all(&ips)?;
        Ok(addrs)
    }

    /// A connection through the proxy. It is asked for addresses that we judged, so it cannot lead anywhere else; for the
    /// name only where names are its affair.
    async fn tunnel(&self, proxy: &Proxy, host: &str, port: u16) -> Result<TcpStream, AttemptError> {
        let targets = match proxy.resolves() && literal(host).is_none() {
            true => vec![format!("{host}:{port}")],
            false => self.vetted(host, port).await?.iter().take(ADDRESSES).map(proxy::target).collect(),
        };
        let mut outcome = Err(AttemptError::UnknownHost);
        for (n, target) in targets.iter().enumerate() {
            let open = self.open(proxy, target);
            outcome = if n + 1 == targets.len() {
                open.await // the deadline of the whole attempt watches over the last one
            } else {
                tokio::time::timeout(PATIENCE, open).await.unwrap_or(Err(AttemptError::UnknownHost))
            };
            if outcome.as_ref().err().is_none_or(AttemptError::is_ours) {
                break;
            }
        }
        self.note_proxy(&outcome);
        outcome
    }

    async fn open(&self, proxy: &Proxy, target: &str) -> Result<TcpStream, AttemptError> {
        let tcp = at_home(self.reach(proxy)).await?;
        proxy.open(tcp, target).await
    }

    /// Connects to the proxy itself, wherever it is: the operator named it.
    async fn reach(&self, proxy: &Proxy) -> Result<TcpStream, NoWayOut> {
        let (host, port) = proxy.place();
        let addrs = match host {
            Host::Domain(name) => {
                self.look_up(name.clone(), port).await.map_err(|_| NoWayOut::UnknownHost)?
            }
            Host::Ipv4(addr) => vec![(*addr, port).into()],
            Host::Ipv6(addr) => vec![(*addr, port).into()],
        };
        let dialled = tokio::time::timeout(PROXY_PATIENCE, connect(&addrs)).await;
        dialled.map_err(|_| NoWayOut::Late)?.map_err(|error| NoWayOut::Unreachable(error.kind()))
    }

    /// Whoever runs this hears once of a proxy that does not work, and once that it does again.
    fn note_proxy(&self, outcome: &Result<TcpStream, AttemptError>) {
        let trouble = outcome.as_ref().err().filter(|error| error.is_ours());
        match (self.proxy_works.replace(trouble.is_none()), trouble) {
            (true, Some(error)) => tracing::warn!(%error, "deliveries wait"),
            (false, None) => tracing::info!("the proxy works again"),
            _ => {}
        }
    }

    async fn resolve(&self, host: &str, port: u16) -> Answers {
        match literal(host) {
            Some(addr) => Ok(vec![SocketAddr::new(addr, port)]),
            None => self.look_up(self.policy.absolute(host).into_owned(), port).await,
        }
    }

    /// Asks for a name, or waits with whoever does: requests to a name that nobody answers for must not take the turns
    /// of all others.
    fn look_up(&self, name: String, port: u16) -> Shared<LookUp> {
        let mut asked = self.asked.borrow_mut();
        asked.retain(|_, look_up| look_up.upgrade().is_some_and(|look_up| look_up.peek().is_none()));
        let key = (name, port);
        if let Some(under_way) = asked.get(&key).and_then(WeakShared::upgrade) {
            return under_way;
        }
        let (resolver, lookups) = (Arc::clone(&self.resolver), Arc::clone(&self.lookups));
        let look_up = ask(resolver, lookups, key.clone()).boxed_local().shared();
        if let Some(under_way) = look_up.downgrade() {
            asked.insert(key, under_way);
        }
        look_up
    }
}

/// The address that a host is, if it is no name.
fn literal(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

async fn ask(resolver: Arc<Resolver>, lookups: Arc<Semaphore>, (name, port): (String, u16)) -> Answers {
    let permit = lookups.acquire_owned().await.map_err(|_| AttemptError::UnknownHost)?;
    let answers = actix_rt::task::spawn_blocking(move || {
        // Held by the thread, not by the attempt, which may give up long before the resolver does.
        let _permit = permit;
        resolver(&name, port)
    });
    match answers.await {
        Ok(Ok(addrs)) if !addrs.is_empty() => Ok(addrs),
        _ => Err(AttemptError::UnknownHost),
    }
}

/// Connects to the first of these addresses that answers.
async fn connect(addrs: &[SocketAddr]) -> io::Result<TcpStream> {
    let addrs = &addrs[..addrs.len().min(ADDRESSES)];
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (n, addr) in addrs.iter().enumerate() {
        let dial = TcpStream::connect(addr);
        let dialled = if n + 1 == addrs.len() {
            dial.await // the deadline of the whole attempt watches over the last one
        } else {
            tokio::time::timeout(PATIENCE, dial).await.unwrap_or_else(|late| Err(late.into()))
        };
        match dialled {
            Ok(tcp) => return Ok(tcp),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Carries our error through awc; `AttemptError::from` unpacks it.
fn own(error: AttemptError) -> ConnectError {
    ConnectError::Resolver(Box::new(error))
}

impl Service<ConnectInfo<Uri>> for Dialer {
    type Response = Connection<Uri, Line>;
    type Error = ConnectError;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Self::Error>>;

    always_ready!();

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async move {
            let is_plain = info.request().scheme_str() == Some("http");
            let line = dialer.dial(info.hostname(), info.port(), is_plain).await?;
            Ok(Connection::new(info.request().clone(), line))
        })
    }
}
