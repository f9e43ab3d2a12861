//! The endpoints beside the measured one, which want the same: what they are like is what a comparison changes.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use crate::cli::Failure;
use crate::cli::net::api::{CallError, Client};
use crate::cli::net::receiver::{Arrival, Handler, Receiver};
use crate::domain::endpoint::EventPattern;

use super::server::Server;

/// What the other endpoints are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Others {
    /// Their receiver never answers
    Hanging,
    /// Their receiver answers at once
    Answering,
    /// They are disabled: owed the same, and sent nothing
    Disabled,
    /// There are none
    None,
}

/// How many of them there are, and what they are asked for.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Beside {
    /// So many other endpoints want the same, at a receiver that never answers
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) hanging: u32,
    /// How long an attempt at one of them may take [default: as long as at every endpoint]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=30), requires = "hanging")]
    pub(super) hanging_timeout: Option<u32>,
}

/// Where they listen.
pub(super) struct Ear {
    others: Others,
    address: SocketAddr,
    /// Kept for as long as somebody may connect.
    _listens: Listens,
}

enum Listens {
    /// The system takes connections and what is sent, and nobody reads it.
    Deaf {
        _listener: TcpListener,
    },
    Answers {
        _receiver: Receiver<Accept>,
    },
}

/// Accepts everything and counts nothing.
pub(super) struct Accept;

impl Handler for Accept {
    fn arrived(&mut self, _: &Arrival<'_>) {}
}

impl Ear {
    /// Begins to listen.
    ///
    /// # Errors
    /// The system's reason why not.
    pub(super) fn of(others: Others) -> Result<Self, Failure> {
        let fail = |e| Failure::because("cannot listen for webhooks", &e);
        let listener = TcpListener::bind("127.0.0.1:0").map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let _listens = match others {
            Others::Answering => Listens::Answers {
                _receiver: Receiver::start(listener, Duration::ZERO, Accept).map_err(fail)?,
            },
            Others::Hanging | Others::Disabled | Others::None => Listens::Deaf { _listener: listener },
        };
        Ok(Self { others, address, _listens })
    }

    /// Makes the endpoints, which want these events here; answers their ids.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn subscribe(
        &self,
        beside: &Beside,
        events: &[EventPattern],
        server: &Server,
        client: &mut Client,
    ) -> Result<Vec<String>, CallError> {
        let count = if self.others == Others::None { 0 } else { beside.hanging };
        let events: Vec<_> = events.iter().map(ToString::to_string).collect();
        let mut ids = Vec::new();
        for n in 0..count {
            let url = format!("http://{}/other/{n}", self.address);
            let (id, _) = client.create_endpoint(&server.chain, &url, &events).await?;
            let path = format!("/v1/chains/{}/endpoints/{id}", server.chain);
            if let Some(timeout_s) = beside.hanging_timeout {
                client.call("PATCH", &path, Some(&json!({ "timeout_s": timeout_s }))).await?;
            }
            if self.others == Others::Disabled {
                client.call("POST", &format!("{path}/disable"), Some(&json!({}))).await?;
            }
            ids.push(id);
        }
        Ok(ids)
    }
}
