//! A receiver that never answers: the system takes its connections and what is sent, and nobody reads it.

use std::net::TcpListener;

use crate::cli::Failure;
use crate::cli::net::api::{CallError, Client};
use crate::domain::endpoint::EventPattern;

use super::server::Server;

/// Listens, and that is all.
pub(super) struct Deaf(TcpListener);

impl Deaf {
    /// Begins to listen.
    ///
    /// # Errors
    /// The system's reason why not.
    pub(super) fn listen() -> Result<Self, Failure> {
        TcpListener::bind("127.0.0.1:0")
            .map(Self)
            .map_err(|e| Failure::because("cannot listen for webhooks", &e))
    }

    /// Makes so many endpoints that want these events here; answers their ids.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn subscribe(
        &self,
        count: u32,
        events: &[EventPattern],
        server: &Server,
        client: &mut Client,
    ) -> Result<Vec<String>, CallError> {
        let port = self.0.local_addr().map_or(0, |address| address.port());
        let events: Vec<_> = events.iter().map(ToString::to_string).collect();
        let mut ids = Vec::new();
        for n in 0..count {
            let url = format!("http://127.0.0.1:{port}/deaf/{n}");
            ids.push(client.create_endpoint(&server.chain, &url, &events).await?.0);
        }
        Ok(ids)
    }
}
