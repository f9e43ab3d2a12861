//! Black-box crash tests: the real binary, killed with SIGKILL under load, again and again; then everything that was
//! acknowledged is counted.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on panics, and says what it did"
)]

#[path = "support/postgres.rs"]
mod postgres;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::rt::{spawn, time::sleep};
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

/// Kills per backend. `PUNCHCARD_CRASH_ROUNDS` asks for more.
const ROUNDS: u32 = 20;
const SENDERS: u32 = 16;
const MEMBERS: u32 = 40;
const ADMIN_KEY: &str = "crash-admin-key-0123456789abcdef0123456789";

struct Server {
    child: Child,
    base: String,
}

impl Server {
    /// Starts the binary and waits until it says where it listens.
    fn start(database: &str, extra: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_punchcard"))
            .args(["serve", "--bind", "127.0.0.1:0", "--database", database, "--rules"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"))
            .args(["--allow-private", "127.0.0.0/8", "--allow-http"])
            .args(extra)
            .env("PUNCHCARD_ADMIN_KEY", ADMIN_KEY)
            .env("PUNCHCARD_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
            .env("PUNCHCARD_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let base = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_whitespace().find(|w| w.starts_with("http://127.0.0.1:")).map(str::to_owned)
            })
            .expect("it says where it listens");
        std::thread::spawn(move || lines.for_each(drop)); // keep the pipe from filling up
        Self { child, base: base.trim_end_matches(['/', '.', ',']).to_owned() }
    }

    fn kill(mut self) {
        self.child.kill().expect("SIGKILL");
        self.child.wait().expect("it is gone");
    }
}

/// What arrived, by loyalty event id: the source event's key, and when.
#[derive(Default)]
struct Arrived(Mutex<HashMap<String, (String, Instant)>>);

async fn receiver() -> (String, Arc<Arrived>) {
    let arrived = Arc::new(Arrived::default());
    let data = Data::from(arrived.clone());
    let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(receive)))
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .expect("a free port");
    let url = format!("http://{}/hook", server.addrs()[0]);
    spawn(server.run());
    (url, arrived)
}

async fn receive(body: Bytes, arrived: Data<Arrived>) -> HttpResponse {
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entry = (text(&event["data"]["source_event"]), Instant::now());
    arrived.0.lock().unwrap().entry(text(&event["id"])).or_insert(entry);
    HttpResponse::Ok().finish()
}

async fn call(base: &str, method: awc::http::Method, path: &str, body: &Value) -> Option<(u16, Value)> {
    let client = awc::Client::builder().timeout(Duration::from_secs(20)).finish();
    let request = client.request(method, format!("{base}{path}")).bearer_auth(ADMIN_KEY);
    let mut answer = request.send_json(body).await.ok()?;
    let bytes = answer.body().limit(1 << 20).await.ok()?;
    Some((answer.status().as_u16(), serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
}

async fn make_endpoint(base: &str, url: &str) {
    let body = json!({ "url": url, "events": ["points.earned"] });
    let (status, made) =
        call(base, awc::http::Method::POST, "/v1/chains/harvest/endpoints", &body).await.expect("an answer");
    assert_eq!(status, 201, "{made}");
}

fn event(number: u32) -> Value {
    json!({ "key": format!("k{number}"), "type": "order.completed", "member": { "id": format!("m{}", number % MEMBERS) },
        "data": { "order_id": format!("k{number}"), "total": "7.00",
                  "items": [{ "category": "food", "price": "7.00" }] } })
}

/// What the senders share: where the server is now, who comes next, who was answered.
#[derive(Default)]
struct Load {
    base: RefCell<String>,
    next: Cell<u32>,
    acknowledged: RefCell<HashMap<u32, i64>>,
    stop: Cell<bool>,
}

/// Sends events until told to stop. An event without a 2xx is sent again, as a till does, until it has one.
async fn send_events(load: Rc<Load>) {
    while !load.stop.get() {
        let number = load.next.replace(load.next.get() + 1);
        loop {
            let base = load.base.borrow().clone();
            let path = "/v1/chains/harvest/events";
            match call(&base, awc::http::Method::POST, path, &event(number)).await {
                Some((200, receipt)) => {
                    let amounts = receipt["events"].as_array().into_iter().flatten();
                    let earned = amounts.filter_map(|e| e["data"]["amount"].as_i64()).sum();
                    load.acknowledged.borrow_mut().insert(number, earned);
                    break;
                }
                Some((status @ (400..=428 | 430..=499), problem)) => panic!("{status}: {problem}"),
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

async fn survives_kills(database: &str) {
    let rounds = rounds();
    let (url, arrived) = receiver().await;
    let mut server = Server::start(database, &[]);
    make_endpoint(&server.base, &url).await;
    let load = Rc::new(Load::default());
    load.base.replace(server.base.clone());
    let senders: Vec<_> = (0..SENDERS).map(|_| spawn(send_events(load.clone()))).collect();
    for round in 0..rounds {
        sleep(Duration::from_millis(150 + u64::from(round * 7919 % 400))).await;
        let before = load.acknowledged.borrow().len();
        server.kill();
        server = Server::start(database, &[]);
        load.base.replace(server.base.clone());
        let restarted = Instant::now();
        while load.acknowledged.borrow().len() == before {
            assert!(
                restarted.elapsed() < Duration::from_secs(30),
                "round {round}: no event is answered any more"
            );
            sleep(Duration::from_millis(10)).await;
        }
    }
    load.stop.set(true);
    futures_util::future::join_all(senders).await;
    reconcile(&server.base, &load, &arrived).await;
    server.kill();
    let verify = Command::new(env!("CARGO_BIN_EXE_punchcard"))
        .args(["verify", "--database", database])
        .env("PUNCHCARD_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        .output()
        .expect("verify runs");
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stdout));
}

/// Every acknowledged event is there once, balances are their sum, every owed delivery arrived.
async fn reconcile(base: &str, load: &Load, arrived: &Arrived) {
    let acknowledged = load.acknowledged.take();
    let count = acknowledged.len();
    assert!(count > 200, "only {count} events: this proves little");
    let mut expected: HashMap<u32, i64> = HashMap::new();
    for (number, earned) in acknowledged.iter() {
        *expected.entry(number % MEMBERS).or_default() += earned;
    }
    for (member, points) in expected {
        let path = format!("/v1/chains/harvest/members/m{member}");
        let (status, shown) =
            call(base, awc::http::Method::GET, &path, &Value::Null).await.expect("an answer");
        assert_eq!((status, shown["points"].as_i64()), (200, Some(points)), "member m{member}: {shown}");
    }
    for number in acknowledged.keys().take(100) {
        let path = "/v1/chains/harvest/events";
        let again = call(base, awc::http::Method::POST, path, &event(*number)).await.expect("an answer");
        assert_eq!((again.0, &again.1["duplicate"]), (200, &json!(true)));
    }
    let started = Instant::now();
    loop {
        let keys: std::collections::HashSet<String> =
            arrived.0.lock().unwrap().values().map(|(key, _)| key.clone()).collect();
        let missing = acknowledged.keys().filter(|number| !keys.contains(&format!("k{number}"))).count();
        if missing == 0 {
            break;
        }
        // The receiver was always there, so nothing waits for a pause of the ladder unless a kill cut an attempt.
        assert!(started.elapsed() < Duration::from_secs(30), "{missing} of {count} were never delivered");
        sleep(Duration::from_millis(50)).await;
    }
    println!("{count} events acknowledged, every one present once and delivered");
}

#[actix_web::test]
async fn nothing_acknowledged_is_lost_by_kill_9_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    survives_kills(&sqlite(&dir.path().join("punchcard.db"))).await;
}

#[actix_web::test]
async fn nothing_acknowledged_is_lost_by_kill_9_on_postgres() {
    survives_kills(&postgres::fresh_database()).await;
}

/// A retry that fell due while the process was dead leaves within a second of the restart.
async fn retries_resume(database: &str) {
    // Nobody listens on this port until the restart.
    let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let server = Server::start(database, &["--test-clock", "2026-11-20T12:00:00Z"]);
    make_endpoint(&server.base, &format!("http://{address}/hook")).await;
    for number in 0..50 {
        let path = "/v1/chains/harvest/events";
        let sent =
            call(&server.base, awc::http::Method::POST, path, &event(number)).await.expect("an answer");
        assert_eq!(sent.0, 200, "{}", sent.1);
    }
    let advance = json!({ "advance_ms": 0 });
    let settled =
        call(&server.base, awc::http::Method::POST, "/v1/clock", &advance).await.expect("an answer");
    assert_eq!(settled.0, 200, "{}", settled.1);
    server.kill();

    let arrived = Arc::new(Arrived::default());
    let data = Data::from(arrived.clone());
    let receiver =
        HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(receive)))
            .workers(1)
            .disable_signals()
            .bind(address)
            .expect("the port is still free");
    spawn(receiver.run());
    let server = Server::start(database, &["--test-clock", "2026-11-20T12:01:00Z"]);
    let restarted = Instant::now();
    while arrived.0.lock().unwrap().len() < 50 {
        assert!(restarted.elapsed() < Duration::from_secs(10), "retries did not resume");
        sleep(Duration::from_millis(5)).await;
    }
    let first = arrived.0.lock().unwrap().values().map(|(_, at)| *at).min().unwrap();
    let waited = first.saturating_duration_since(restarted);
    assert!(waited < Duration::from_secs(1), "the first retry came {waited:?} after the restart");
    server.kill();
}

#[actix_web::test]
async fn retries_resume_within_a_second_of_a_restart_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    retries_resume(&sqlite(&dir.path().join("punchcard.db"))).await;
}

#[actix_web::test]
async fn retries_resume_within_a_second_of_a_restart_on_postgres() {
    retries_resume(&postgres::fresh_database()).await;
}

#[cfg(unix)]
#[actix_web::test]
async fn sigterm_drains_and_exits_0_within_ten_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(&sqlite(&dir.path().join("punchcard.db")), &[]);
    let load = Rc::new(Load::default());
    load.base.replace(server.base.clone());
    let senders: Vec<_> = (0..SENDERS).map(|_| spawn(send_events(load.clone()))).collect();
    sleep(Duration::from_millis(500)).await;
    let started = Instant::now();
    let signalled = Command::new("kill").args(["-TERM", &server.child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let status = loop {
        if let Some(status) = server.child.try_wait().unwrap() {
            break status;
        }
        assert!(started.elapsed() < Duration::from_secs(10), "still running");
        sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(status.code(), Some(0));
    senders.iter().for_each(|sender| sender.abort());
    assert!(!load.acknowledged.borrow().is_empty());
}

/// A terminal and a supervisor may both ask a process to stop.
#[cfg(unix)]
#[actix_web::test]
async fn a_second_signal_right_after_the_first_does_not_cut_the_drain_short() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(&sqlite(&dir.path().join("punchcard.db")), &[]);
    // A request that does not end holds the drain up until its patience ends.
    let address = server.base.trim_start_matches("http://");
    let mut open = std::net::TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /v1/chains/harvest/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\
         Expect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    );
    open.write_all(head.as_bytes()).unwrap();
    open.read_exact(&mut [0; 12]).unwrap();
    let pid = server.child.id().to_string();
    for signal in ["-TERM", "-INT", "-TERM"] {
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
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
fn rounds() -> u32 {
    std::env::var("PUNCHCARD_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS)
}
