//! `punchcard serve`: runs the engine until it is told to stop.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{App, StartError};
use crate::config::Config;
use crate::config::flags::{EngineFlags, Flags};

use super::{Failure, out};

/// What the contract allows, less a margin for the process to end.
const DRAIN: Duration = Duration::from_millis(9_500);
/// Signals so close together are one request to stop: a terminal and a supervisor may both send theirs.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Run the engine: HTTP, actors, scheduler, deliveries
///
/// Creates or upgrades the database first. The very first start makes an admin key and shows it once.
/// SIGTERM and Ctrl-C finish what was accepted and exit 0 within 10 seconds; another one, a second or more later,
/// exits at once with 1.
#[derive(Debug, clap::Args)]
pub(super) struct Serve {
    #[command(flatten)]
    pub(super) flags: EngineFlags,
}

pub(super) fn run(flags: &Flags) -> Result<(), Failure> {
    let Some(loaded) = super::configuration(flags)? else { return Ok(()) };
    loaded.require_rules_folder()?;
    open_as_many_files_as_we_may();
    actix::System::new().block_on(serve(loaded.config))
}

async fn serve(config: Config) -> Result<(), Failure> {
    let mut stops = Stops::listen()?;
    let app = tokio::select! {
        started = App::start(&config) => started.map_err(not_started)?,
        // Whatever the start was doing, a kill at any point of it is safe.
        () = stops.next() => return Ok(()),
    };
    out::text(&welcome(&app, &config));
    stops.next().await;
    let asked = Instant::now();
    tracing::info!("stopping: finishing what was accepted; signal once more to stop at once");
    tokio::select! {
        drained = tokio::time::timeout(DRAIN, app.stop()) => {
            if drained.is_err() {
                tracing::warn!("stopped before everything was drained; the rest is in the store");
            }
            Ok(())
        }
        () = stops.again(asked) => Err(Failure::Failed(
            "stopped at once on a second signal: requests under way were cut off; what was accepted is in the store"
                .to_owned(),
        )),
    }
}

/// Each connection is an open file. Systems let a process begin with 1,024, for the sake of old programs, and have more if it asks.
fn open_as_many_files_as_we_may() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, limit = limit.current, "no more files can be open than at the start");
    }
}

/// The signals that ask the process to end.
pub(super) struct Stops {
    interrupt: Signal,
    terminate: Signal,
}

impl Stops {
    /// From now on the signals do not end the process by themselves.
    ///
    /// # Errors
    /// The system's reason, for people.
    pub(super) fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|e| Failure::because("cannot listen for signals", &e));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// The next signal.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// The next signal that is a request of its own after the one at `asked`.
    async fn again(&mut self, asked: Instant) {
        loop {
            self.next().await;
            if asked.elapsed() >= SAME_REQUEST {
                return;
            }
        }
    }
}

/// What the operator configured wrongly is said to be so; everything else failed.
fn not_started(error: StartError) -> Failure {
    match error {
        StartError::MasterKey(_)
        | StartError::Trust(_)
        | StartError::Certificate(_)
        | StartError::Export(_)
        | StartError::Rules { .. } => Failure::Usage(error.to_string()),
        StartError::Lock(_)
        | StartError::Store(_)
        | StartError::Stopped
        | StartError::Engine(_)
        | StartError::Listen { .. } => Failure::because("cannot start", &error),
    }
}

/// What a person needs next: the address, the key that was made, a first order to send.
fn welcome(app: &App, config: &Config) -> String {
    let url = app.url();
    let mut text = format!("punchcard {} listens on {url}\n", env!("CARGO_PKG_VERSION"));
    if let Some(key) = app.first_admin_key() {
        text.push_str(&format!(
            "\nThis is the admin key of the first start. It is shown only now; keep it safe:\n\n  {key}\n\n{}",
            first_order(&url, key, first_chain(&config.rules).as_deref())
        ));
    }
    text
}

/// A command to copy: an order for the first chain, or how to make a chain.
fn first_order(url: &str, key: &str, chain: Option<&str>) -> String {
    let post = |path: &str, body: &str| {
        format!(
            "  curl -sS {url}{path} \\\n    -H 'Authorization: Bearer {key}' \\\n    \
             -H 'Content-Type: application/json' \\\n    -d '{body}'\n"
        )
    };
    match chain {
        Some(chain) => {
            let order = r#"{"key":"ORD-1001","type":"order.completed","member":{"id":"m-42"},"data":{"order_id":"ORD-1001","total":24.50,"items":[{"name":"Power Bowl","category":"food","price":14.50},{"name":"Flat White","category":"coffee","price":10.00}]}}"#;
            format!("Send a first order:\n\n{}", post(&format!("/v1/chains/{chain}/events"), order))
        }
        None => {
            let body = r#"{"id":"my-chain","name":"My chain","timezone":"Europe/Vienna","currency":"EUR"}"#;
            format!("Make a first chain:\n\n{}", post("/v1/chains", body))
        }
    }
}

/// The first chain, by name, that has a program.
pub(super) fn first_chain(rules: &Path) -> Option<String> {
    let folders = std::fs::read_dir(rules).ok()?.flatten();
    let chains = folders.filter(|folder| folder.path().join("program.toml").is_file());
    chains.filter_map(|folder| folder.file_name().into_string().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::source_event::SourceEvent;

    #[test]
    fn as_many_files_can_be_open_as_the_system_allows() {
        let limit = getrlimit(Resource::Nofile);
        // Hardly less than the most: other tests run beside this one.
        let less = limit.maximum.map_or(1 << 20, |most| most - 1);
        setrlimit(Resource::Nofile, Rlimit { current: Some(less), ..limit }).unwrap();
        open_as_many_files_as_we_may();
        assert_eq!(getrlimit(Resource::Nofile).current, limit.maximum);
    }

    #[test]
    fn the_order_to_copy_is_an_order() {
        let text = first_order("http://127.0.0.1:8080", "pck_x", Some("harvest"));
        assert!(text.contains("http://127.0.0.1:8080/v1/chains/harvest/events"));
        let body = text.split("-d '").nth(1).unwrap().trim_end().trim_end_matches('\'');
        let now = "2026-03-03T19:00:00Z".parse().unwrap();
        SourceEvent::parse(body.as_bytes(), &"USD".parse().unwrap(), now).unwrap();
    }
}
