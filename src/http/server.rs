//! The listening server and its limits.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App, HttpServer, web};

use super::{Door, configure};

/// A request's head must arrive within this.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// An idle connection is kept this long.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// After an early answer the rest of the body is read and dropped for this long, so that the client sees the answer.
const LINGER: Duration = Duration::from_secs(1);
/// Requests in progress are given this long at shutdown, in seconds.
const DRAIN_S: u64 = 8;

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

/// Serves `listener` until the server's handle is told to stop; a graceful stop finishes requests in progress. It
/// does not listen to signals: that is for whoever owns the process.
///
/// # Errors
/// The listener cannot be used.
pub fn serve(door: web::Data<Door>, listener: TcpListener, limits: ServerLimits) -> io::Result<Server> {
    let server = HttpServer::new(move || App::new().app_data(door.clone()).configure(configure))
        .workers(limits.workers)
        .max_connections(limits.connections.div_ceil(limits.workers))
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(LINGER)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(DRAIN_S)
        .tcp_nodelay(true)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}
