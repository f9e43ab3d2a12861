//! The listening server and its limits.
//!
//! The parts are those of actix-web's own `HttpServer`, put together here because that one leaves no room for what stands
//! between the socket and HTTP: places by address ([`crowd`]), a handshake with an end ([`tls`]), clients that keep us
//! waiting ([`line`]), connections that get nowhere ([`calm`]).

mod calm;
mod crowd;
pub(super) mod line;
mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{
    IntoServiceFactory as _, Service as _, ServiceFactory, ServiceFactoryExt as _, apply_fn_factory,
    fn_service, map_config,
};
use actix_web::dev::AppConfig;
use actix_web::{App, web};
use ipnet::IpNet;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use self::calm::Calm;
use self::crowd::Crowd;
use self::line::{Line, Patience};
pub use self::tls::{Certificate, CertificateError, TlsFiles};
use super::cors::WebOrigin;
use super::{Door, client, routes};
use crate::telemetry::Spans;

/// Connections that wait to be taken up. With fewer, a crowd that comes at once finds the door shut for seconds: what the
/// standard library asks for are 128. The system may allow less.
const BACKLOG: i32 = 4_096;
/// A request's head must arrive within this, and a handshake as well.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// An idle connection is kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// After an early answer the rest of the body is read and dropped for this long, so that the client sees the answer.
const LINGER: Duration = Duration::from_secs(1);
/// Requests in progress are given this long at shutdown, in seconds.
const DRAIN_S: u64 = 8;
/// Where actix-http has an end of its own, that one comes first, because it says why.
const PATIENCE: Patience = Patience {
    head: Duration::from_secs(6),
    rest: KEEP_ALIVE,
    answer: Duration::from_secs(30),
    look: Duration::from_secs(5),
};

/// How large the server may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Threads that serve connections.
    pub workers: usize,
    /// Connections open at once, over all workers.
    pub connections: usize,
}

impl Default for ServerLimits {
    /// A thread per core, 10,000 connections.
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self { workers, connections: 10_000 }
    }
}

/// How the server shows itself to the network, and whom it believes there. By default: plain HTTP, nobody, no pages of
/// others.
#[derive(Default)]
pub struct Exposure {
    /// The certificate to show; without it, what is spoken is plain HTTP.
    pub certificate: Option<Certificate>,
    /// Proxies whose word counts for who a client is.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may talk to us.
    pub cors_origins: Vec<WebOrigin>,
    /// Where spans of requests go.
    pub spans: Option<Spans>,
}

/// Listens for connections, with room for a crowd.
///
/// # Errors
/// The address is taken, or not ours.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    SockRef::from(&listener).listen(BACKLOG)?;
    Ok(listener)
}

/// Serves `listener` until the server's handle is told to stop; a graceful stop finishes requests in progress. It
/// does not listen to signals: that is for whoever owns the process.
///
/// # Errors
/// The listener cannot be used.
pub fn serve(
    door: web::Data<Door>,
    listener: TcpListener,
    limits: ServerLimits,
    exposure: Exposure,
) -> io::Result<Server> {
    serve_with(door, listener, limits, exposure, PATIENCE)
}

fn serve_with(
    door: web::Data<Door>,
    listener: TcpListener,
    limits: ServerLimits,
    exposure: Exposure,
    patience: Patience,
) -> io::Result<Server> {
    let gate = Gate { exposure: web::Data::new(exposure), crowd: Crowd::of(limits.connections), patience };
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    let server = builder
        .workers(limits.workers)
        .max_concurrent_connections(limits.connections.div_ceil(limits.workers))
        .shutdown_timeout(DRAIN_S)
        .disable_signals()
        .listen("http", listener, move || service(door.clone(), gate.clone(), stopping.clone()))?;
    Ok(server.run())
}

/// What becomes of a connection.
fn service(
    door: web::Data<Door>,
    gate: Gate,
    stopping: GracefulShutdownSignal,
) -> impl ServiceFactory<TcpStream, Config = ()> {
    let routes = routes::configure_for(&gate.exposure.cors_origins);
    let app = App::new().app_data(door).app_data(gate.exposure.clone()).configure(routes);
    let app = app.into_factory().map_err(|error| error.error_response());
    let http = HttpService::build()
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(LINGER)
        .keep_alive(KEEP_ALIVE)
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .on_connect_ext(|line: &Line<Stream>, data| drop(data.insert(line.pulse().clone())))
        .finish(map_config(app, |()| AppConfig::default()));
    let http = apply_fn_factory(http, |(line, protocol, peer): Connected, http| {
        let pulse = Rc::clone(line.pulse());
        Calm::new(http.call((line, protocol, peer)), pulse)
    });
    fn_service(move |tcp| gate.clone().open(tcp)).and_then(http)
}

/// Bytes as HTTP sees them.
type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// A connection over which HTTP is spoken, and who is at its other end.
type Connected = (Line<Stream>, Protocol, Option<SocketAddr>);

/// What a connection goes through before HTTP is spoken.
#[derive(Clone)]
struct Gate {
    exposure: web::Data<Exposure>,
    crowd: Crowd,
    patience: Patience,
}

impl Gate {
    async fn open(self, tcp: TcpStream) -> Result<Connected, DispatchError> {
        let peer = tcp.peer_addr()?;
        let address = peer.ip().to_canonical();
        // A proxy speaks for many.
        let place = match client::is_trusted(&self.exposure.trusted_proxies, address) {
            true => None,
            false => Some(self.crowd.enter(address).ok_or_else(|| {
                tracing::debug!(%address, "too many connections of one address; one more is refused");
                io::Error::from(io::ErrorKind::ConnectionRefused)
            })?),
        };
        tcp.set_nodelay(true)?;
        let stream = match &self.exposure.certificate {
            None => Either::Left(tcp),
            Some(certificate) => {
                let handshake = tokio::time::timeout(HEAD_TIMEOUT, certificate.acceptor().accept(tcp));
                Either::Right(Box::new(handshake.await.map_err(io::Error::from)??))
            }
        };
        Ok((Line::new(stream, self.patience, place), Protocol::Http1, Some(peer)))
    }
}

#[cfg(test)]
mod tests;
