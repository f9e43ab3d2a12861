//! `punchcard demo`: the whole engine at work on made-up guests, for people who meet it for the first time.
//!
//! ```text
//! story ─► till (own thread) ──► engine ──► receiver (own thread)
//!             │ receipts                        │ webhooks
//!             └───────────► tally ◄─────────────┘
//!                             └─► screen
//! ```

mod screen;
mod story;
mod tally;
mod till;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::app::App;
use crate::config::{Config, Hidden};
use crate::store::DatabaseUrl;
use crate::telemetry::{LogFormat, init_logs};

use super::net::api::{Access, CallError, Client};
use super::net::receiver::{Receiver, SigningKey};
use super::serve::Stops;
use super::{Failure, new_key, out, sample};

use screen::Screen;
use tally::{Listener, Tally};
use till::Till;

/// How long a demo runs when nobody says.
const SECONDS: u64 = 30;
/// Orders per second: busy enough to be alive, slow enough to read along.
const RATE: f64 = 40.0;
/// Nothing arrives any more after so long without any arrival.
const STALL: Duration = Duration::from_secs(10);
const REFRESH: Duration = Duration::from_millis(250);

const WHAT_NEXT: &str = "
What next:
  punchcard serve                 run it for real; it prints a first order to copy
  punchcard check rules           check and test the rules, then change one and look again
  punchcard bench                 see how fast this machine is
  punchcard --help                everything else
";

/// See it work: a restaurant chain, a made-up till, and a receiver that checks every webhook
///
/// Runs for 30 seconds, or until Ctrl-C, on a throwaway database. Exit code 1 when a webhook is lost or wrongly signed.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Stop after this many orders
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    orders: Option<u64>,
    /// Stop after this many seconds [default: 30, unless --orders says when to stop]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,
}

/// When the till stops, and how fast it is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pace {
    orders: Option<u64>,
    time: Option<Duration>,
    per_second: f64,
}

impl Demo {
    fn pace(&self) -> Pace {
        let seconds = self.seconds.or(if self.orders.is_some() { None } else { Some(SECONDS) });
        let per_second = match (self.orders, seconds) {
            // Both are limits; a quarter faster than needed, so that the orders are the one that is reached.
            (Some(orders), Some(seconds)) => RATE.max(1.25 * orders as f64 / seconds as f64),
            _ => RATE,
        };
        Pace { orders: self.orders, time: seconds.map(Duration::from_secs), per_second }
    }
}

pub(super) fn run(demo: &Demo) -> Result<(), Failure> {
    init_logs(LogFormat::Text, "warn");
    let folder = tempfile::Builder::new()
        .prefix("punchcard-demo-")
        .tempdir()
        .map_err(|e| Failure::because("cannot make a temporary folder", &e))?;
    let rules = folder.path().join("rules");
    sample::write_rules(&rules).map_err(|e| Failure::because("cannot write the sample chain", &e))?;
    actix::System::new().block_on(perform(demo.pace(), folder.path(), &rules))
}

async fn perform(pace: Pace, folder: &Path, rules: &Path) -> Result<(), Failure> {
    let mut stops = Stops::listen()?;
    let key = new_key()?.reveal().to_owned();
    let app =
        App::start(&config(folder, rules, &key)?).await.map_err(|e| Failure::because("cannot start", &e))?;
    let access = Access { authority: app.address().to_string(), key };
    let tally = Arc::new(Tally::default());
    let receiver = receive(&access, &tally).await?;
    let mut screen = Screen::new(&access.authority, Instant::now());
    let till = Till::open(access, pace, Arc::clone(&tally))
        .map_err(|e| Failure::because("cannot start the till", &e))?;

    watch(&till, &tally, &mut screen, &mut stops).await;
    till.close();
    drained(&tally, &mut screen).await;
    app.stop().await;
    receiver.finish();
    let end = tally.look();
    screen.show(&end);
    screen.finish(&end);
    if end.missing > 0 || end.wrongly_signed > 0 {
        return Err(Failure::Failed(format!(
            "{} webhooks are lost, {} wrongly signed; this must never happen, please report it",
            end.missing, end.wrongly_signed
        )));
    }
    out::text(WHAT_NEXT);
    Ok(())
}

/// Shows how it goes until the till has sent everything or somebody presses Ctrl-C.
async fn watch(till: &Till, tally: &Tally, screen: &mut Screen, stops: &mut Stops) {
    let mut refresh = tokio::time::interval(REFRESH);
    while !till.is_done() {
        tokio::select! {
            _ = refresh.tick() => screen.show(&tally.look()),
            () = stops.next() => return,
        }
    }
}

/// Waits until everything that receipts announced has arrived, or nothing arrives any more.
async fn drained(tally: &Tally, screen: &mut Screen) {
    let begun = Instant::now();
    loop {
        let now = tally.look();
        let last = now.last_arrival.map_or(begun, |at| at.max(begun));
        if now.missing == 0 || last.elapsed() >= STALL {
            return;
        }
        screen.show(&now);
        tokio::time::sleep(REFRESH).await;
    }
}

/// Makes an endpoint that hears everything, and listens at it.
async fn receive(access: &Access, tally: &Arc<Tally>) -> Result<Receiver<Listener>, Failure> {
    let listen = |e| Failure::because("cannot listen for webhooks", &e);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(listen)?;
    let url = format!("http://{}/webhooks", listener.local_addr().map_err(listen)?);
    let mut client = Client::new(access.clone());
    let made = client.create_endpoint(sample::CHAIN, &url, &["*".to_owned()]).await;
    let (_, secret) = made.map_err(|e: CallError| Failure::because("cannot make an endpoint", &e))?;
    let key = SigningKey::of(&secret).ok_or_else(|| {
        Failure::Failed("the engine made a secret that is none of Standard Webhooks".to_owned())
    })?;
    Receiver::start(listener, Duration::ZERO, Listener::new(key, Arc::clone(tally)))
        .map_err(|e| Failure::because("cannot start the receiver", &e))
}

fn config(folder: &Path, rules: &Path, key: &str) -> Result<Config, Failure> {
    let loopback =
        "127.0.0.0/8".parse().map_err(|e| Failure::because("cannot allow the loopback network", &e))?;
    Ok(Config {
        bind: ([127, 0, 0, 1], 0).into(),
        database: DatabaseUrl::Sqlite(folder.join("demo.db")),
        rules: rules.to_owned(),
        admin_key: Some(Hidden::new(key.to_owned())),
        allow_private: vec![loopback],
        allow_http: true,
        ..Config::defaults()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_ends_by_itself_and_is_fast_enough_for_what_was_asked() {
        let pace = |orders, seconds| Demo { orders, seconds }.pace();
        assert_eq!(
            pace(None, None),
            Pace { orders: None, time: Some(Duration::from_secs(30)), per_second: 40.0 }
        );
        assert_eq!(pace(Some(5), None), Pace { orders: Some(5), time: None, per_second: 40.0 });
        assert_eq!(pace(Some(1_000), Some(10)).per_second, 125.0);
    }
}
