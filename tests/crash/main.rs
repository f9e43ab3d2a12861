//! Black-box crash tests: the real binary, killed with SIGKILL under load, again and again; then everything that was
//! acknowledged is counted.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it did"
)]

#[cfg(unix)]
mod backup;
#[path = "../support/copy_folder.rs"]
mod copy_folder;
mod counter;
mod coupons;
mod erasure;
mod lanes;
mod load;
mod people;
#[path = "../support/postgres.rs"]
mod postgres;
mod receiver;
mod reconcile;
mod recovery;
mod redemptions;
mod referrals;
mod server;
mod stories;
mod upload;

use std::path::Path;
use std::time::{Duration, Instant};

use actix_web::rt::time::sleep;
use awc::http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use counter::join;
use load::{Load, event};
use receiver::receiver;
use reconcile::{receipt_of, reconcile};
use server::{ADMIN_KEY, EVENTS, PATIENCE, Server, call, make_endpoint, send, verify};

/// Runs a test on each backend, with the URL of a fresh database.
macro_rules! on_both_backends {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[actix_web::test]
            async fn on_sqlite() {
                let dir = tempfile::tempdir().unwrap();
                super::$name(&crate::sqlite(&dir.path().join("punchcard.db"))).await;
            }

            #[actix_web::test]
            async fn on_postgres() {
                super::$name(&crate::postgres::fresh_database()).await;
            }
        }
    )*};
}
use on_both_backends;

on_both_backends! {
    nothing_acknowledged_is_lost_by_kill_9,
    retries_resume_within_a_second_of_a_restart,
    events_kept_before_a_kill_are_decided_after_the_restart,
}

/// Kills per backend of the plainest load. `PUNCHCARD_CRASH_ROUNDS` asks for more, of every load.
const ROUNDS: u32 = 20;

async fn nothing_acknowledged_is_lost_by_kill_9(database: &str) {
    let rounds = rounds(ROUNDS);
    let (url, arrived) = receiver("127.0.0.1:0");
    let mut server = Server::start(database, &[]);
    let endpoint = make_endpoint(&server.base, &url).await;
    let (load, senders) = Load::start(&server.base);
    for round in 0..rounds {
        sleep(Duration::from_millis(150 + u64::from(round * 7919 % 400))).await;
        let before = load.answered();
        let waiting = Instant::now();
        while !arrived.is_busy() {
            assert!(waiting.elapsed() < PATIENCE, "round {round}: nothing is delivered any more");
            sleep(Duration::from_millis(1)).await;
        }
        server.kill(); // with a delivery under way
        server = Server::start(database, &[]);
        load.base.replace(server.base.clone());
        let restarted = Instant::now();
        while load.answered() == before {
            assert!(restarted.elapsed() < PATIENCE, "round {round}: no event is answered any more");
            sleep(Duration::from_millis(10)).await;
        }
    }
    load.stop.set(true);
    join(senders).await;
    reconcile(&server.base, &endpoint, load.acknowledged.take(), &arrived).await;
    server.kill();
    verify(database);
}

/// A retry that fell due while the process was dead leaves within a second of the restart.
async fn retries_resume_within_a_second_of_a_restart(database: &str) {
    // Nobody listens on this port until the restart.
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let server = Server::start(database, &["--test-clock", "2026-11-20T12:00:00Z"]);
    make_endpoint(&server.base, &format!("http://{address}/hook")).await;
    for number in 0..50 {
        let sent = call(&server.base, Method::POST, EVENTS, &event(number)).await.expect("an answer");
        assert_eq!(sent.0, 200, "{}", sent.1);
    }
    let advance = json!({ "advance_ms": 0 });
    let settled = call(&server.base, Method::POST, "/v1/clock", &advance).await.expect("an answer");
    assert_eq!(settled.0, 200, "{}", settled.1);
    server.kill();

    let (_, arrived) = receiver(address);
    let server = Server::start(database, &["--test-clock", "2026-11-20T12:01:00Z"]);
    let restarted = Instant::now();
    while arrived.events.lock().unwrap().len() < 50 {
        assert!(restarted.elapsed() < Duration::from_secs(10), "retries did not resume");
        sleep(Duration::from_millis(5)).await;
    }
    let first = arrived.events.lock().unwrap().values().map(|(_, at)| *at).min().unwrap();
    let waited = first.saturating_duration_since(restarted);
    assert!(waited < Duration::from_secs(1), "the first retry came {waited:?} after the restart");
    server.kill();
}

/// An event that was kept undecided by a process that died is decided by the next one.
async fn events_kept_before_a_kill_are_decided_after_the_restart(database: &str) {
    let server = Server::start(database, &["--test-clock", "2026-11-20T12:00:00Z"]);
    for number in 0..200 {
        let body = event(number).to_string();
        let sent = send(&server.base, Method::POST, EVENTS, &[("prefer", "respond-async")], body)
            .await
            .expect("an answer");
        assert_eq!(sent.0, 202, "{}", sent.1);
    }
    server.kill();
    let server = Server::start(database, &["--test-clock", "2026-11-20T12:00:01Z"]);
    let restarted = Instant::now();
    for number in 0..200 {
        receipt_of(&server.base, number).await;
    }
    assert!(restarted.elapsed() < Duration::from_secs(30), "it took {:?}", restarted.elapsed());
    server.kill();
    verify(database);
}

#[cfg(unix)]
#[actix_web::test]
async fn sigterm_under_load_exits_0_within_ten_seconds_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let database = sqlite(&dir.path().join("punchcard.db"));
    let (url, arrived) = receiver("127.0.0.1:0");
    let server = Server::start(&database, &[]);
    let endpoint = make_endpoint(&server.base, &url).await;
    let (load, senders) = Load::start(&server.base);
    while load.answered() < 300 {
        sleep(Duration::from_millis(5)).await;
    }
    let (code, took) = server.terminate().await;
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    let server = Server::start(&database, &[]);
    load.base.replace(server.base.clone());
    load.stop.set(true);
    join(senders).await;
    reconcile(&server.base, &endpoint, load.acknowledged.take(), &arrived).await;
    server.kill();
    verify(&database);
}

#[cfg(unix)]
#[actix_web::test]
async fn sigterm_lets_deliveries_under_way_finish_and_writes_them_down() {
    let dir = tempfile::tempdir().unwrap();
    let database = sqlite(&dir.path().join("punchcard.db"));
    // It answers only once it is told to.
    let hook = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", hook.local_addr().unwrap());
    let server = Server::start(&database, &[]);
    let endpoint = make_endpoint(&server.base, &url).await;
    let mut order = event(1);
    order["occurred_at"] = json!("2026-03-03T12:00:00Z"); // in no happy hour: it is told of once
    let sent = call(&server.base, Method::POST, EVENTS, &order).await.expect("an answer");
    assert_eq!(sent.0, 200, "{}", sent.1);
    let (mut delivery, _) = hook.accept().await.unwrap();
    assert!(delivery.read(&mut [0; 8 * 1024]).await.unwrap() > 0);
    let answer = async {
        // So long that nothing but this delivery keeps the process alive.
        sleep(Duration::from_secs(3)).await;
        delivery.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    };
    let ((code, _), ()) = futures_util::join!(server.terminate(), answer);
    assert_eq!(code, Some(0));
    let server = Server::start(&database, &[]);
    let log = format!("/v1/chains/harvest/endpoints/{endpoint}/deliveries");
    let log = call(&server.base, Method::GET, &log, &Value::Null).await.expect("an answer").1;
    assert_eq!(
        (&log["items"][0]["status"], &log["items"][0]["tries"]),
        (&json!("delivered"), &json!(1)),
        "{log}"
    );
    server.kill();
}

/// A terminal and a supervisor may both ask a process to stop.
#[cfg(unix)]
#[actix_web::test]
async fn a_second_signal_right_after_the_first_does_not_cut_the_drain_short() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(&sqlite(&dir.path().join("punchcard.db")), &[]);
    // A request that does not end holds the drain up until its patience ends.
    let address = server.base.trim_start_matches("http://");
    let mut open = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/chains/harvest/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\
         Expect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    );
    open.write_all(head.as_bytes()).await.unwrap();
    open.read_exact(&mut [0; 12]).await.unwrap();
    let pid = server.child.id().to_string();
    for signal in ["-TERM", "-INT", "-TERM"] {
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
    let started = Instant::now();
    let status = loop {
        if let Some(status) = server.child.try_wait().unwrap() {
            break status;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "still running");
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(status.code(), Some(0));
}

fn sqlite(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
fn rounds(unless_told: u32) -> u32 {
    std::env::var("PUNCHCARD_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(unless_told)
}
