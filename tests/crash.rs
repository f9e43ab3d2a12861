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
use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::rt::task::JoinHandle;
use actix_web::rt::{spawn, time::sleep};
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer, web};
use awc::http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Kills per backend. `PUNCHCARD_CRASH_ROUNDS` asks for more.
const ROUNDS: u32 = 20;
const SENDERS: u32 = 16;
const MEMBERS: u32 = 40;
const ADMIN_KEY: &str = "crash-admin-key-0123456789abcdef0123456789";
const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Nothing that must happen takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

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
            .env("PUNCHCARD_MASTER_KEY", MASTER_KEY)
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

/// What arrived, by loyalty event id: the source event's key, and when first. Answers take a moment, so that there are
/// always requests under way for a kill to cut off.
#[derive(Default)]
struct Arrived {
    events: Mutex<HashMap<String, (String, Instant)>>,
    under_way: AtomicUsize,
}

/// How long the receiver thinks about each delivery.
const THINKS: Duration = Duration::from_millis(15);

impl Arrived {
    /// The ids of the loyalty events that arrived, by source event.
    fn by_source(&self) -> HashMap<String, BTreeSet<String>> {
        let mut ids: HashMap<String, BTreeSet<String>> = HashMap::new();
        for (id, (key, _)) in self.events.lock().unwrap().iter() {
            ids.entry(key.clone()).or_default().insert(id.clone());
        }
        ids
    }
}

/// A receiver on `address`; answers its url.
fn receiver(address: impl std::net::ToSocketAddrs) -> (String, Arc<Arrived>) {
    let arrived = Arc::new(Arrived::default());
    let data = Data::from(arrived.clone());
    let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(receive)))
        .workers(1)
        .disable_signals()
        .bind(address)
        .expect("a free port");
    let url = format!("http://{}/hook", server.addrs()[0]);
    spawn(server.run());
    (url, arrived)
}

async fn receive(body: Bytes, arrived: Data<Arrived>) -> HttpResponse {
    let event: Value = serde_json::from_slice(&body).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entry = (text(&event["data"]["source_event"]), Instant::now());
    arrived.events.lock().unwrap().entry(text(&event["id"])).or_insert(entry);
    arrived.under_way.fetch_add(1, Ordering::Relaxed);
    sleep(THINKS).await;
    arrived.under_way.fetch_sub(1, Ordering::Relaxed);
    HttpResponse::Ok().finish()
}

async fn call(base: &str, method: Method, path: &str, body: &Value) -> Option<(u16, Value)> {
    let text = send(base, method, path, ("content-type", "application/json"), body.to_string()).await?;
    Some((text.0, serde_json::from_str(&text.1).unwrap_or(Value::Null)))
}

/// One request; nothing when the server went away before its answer was complete.
async fn send(
    base: &str,
    method: Method,
    path: &str,
    header: (&str, &str),
    body: String,
) -> Option<(u16, String)> {
    let client = awc::Client::builder().timeout(Duration::from_secs(20)).finish();
    let request =
        client.request(method, format!("{base}{path}")).bearer_auth(ADMIN_KEY).insert_header(header);
    let mut answer = request.send_body(body).await.ok()?;
    let bytes = answer.body().limit(16 << 20).await.ok()?;
    Some((answer.status().as_u16(), String::from_utf8(bytes.to_vec()).expect("UTF-8")))
}

async fn make_endpoint(base: &str, url: &str) -> String {
    let body = json!({ "url": url, "events": ["points.earned"] });
    let (status, made) =
        call(base, Method::POST, "/v1/chains/harvest/endpoints", &body).await.expect("an answer");
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().expect("an id").to_owned()
}

fn event(number: u32) -> Value {
    json!({ "key": format!("k{number}"), "type": "order.completed", "member": { "id": format!("m{}", number % MEMBERS) },
        "data": { "order_id": format!("k{number}"), "total": "7.00",
                  "items": [{ "category": "food", "price": "7.00" }] } })
}

const EVENTS: &str = "/v1/chains/harvest/events";
const BATCH: &str = "/v1/chains/harvest/events/batch";
const JSON: (&str, &str) = ("content-type", "application/json");
const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

/// How a till sends.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// One event, and waits for its receipt.
    Single,
    /// One event, and only waits until it is kept.
    Kept,
    /// Ten events in one request.
    Batch,
}

/// What the senders share: where the server is now, who comes next, who was answered.
#[derive(Default)]
struct Load {
    base: RefCell<String>,
    next: Cell<u32>,
    /// Whatever was answered 2xx; the receipt, where there was one.
    acknowledged: RefCell<HashMap<u32, Option<Value>>>,
    stop: Cell<bool>,
}

impl Load {
    /// Starts the senders.
    fn start(base: &str) -> (Rc<Self>, Vec<JoinHandle<()>>) {
        let load = Rc::new(Self::default());
        load.base.replace(base.to_owned());
        let manner = |n| match n % 4 {
            0 => Manner::Kept,
            1 => Manner::Batch,
            _ => Manner::Single,
        };
        let senders = (0..SENDERS).map(|n| spawn(load.clone().keep_sending(manner(n)))).collect();
        (load, senders)
    }

    fn answered(&self) -> usize {
        self.acknowledged.borrow().len()
    }

    /// Sends events until told to stop. What has no 2xx is sent again, as a till does, until it has one.
    async fn keep_sending(self: Rc<Self>, manner: Manner) {
        while !self.stop.get() {
            let count = if matches!(manner, Manner::Batch) { 10 } else { 1 };
            let first = self.next.replace(self.next.get() + count);
            let numbers: Vec<u32> = (first..first + count).collect();
            while let Err(Again) = self.try_sending(manner, &numbers).await {
                sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn try_sending(&self, manner: Manner, numbers: &[u32]) -> Result<(), Again> {
        let base = self.base.borrow().clone();
        let body = numbers.iter().map(|number| event(*number).to_string()).collect::<Vec<_>>().join("\n");
        let (path, header) = match manner {
            Manner::Single => (EVENTS, JSON),
            Manner::Kept => (EVENTS, ("prefer", "respond-async")),
            Manner::Batch => (BATCH, NDJSON),
        };
        let (status, text) = send(&base, Method::POST, path, header, body).await.ok_or(Again)?;
        assert!(matches!(status, 200 | 202 | 429 | 503), "{status}: {text}");
        if status >= 300 {
            return Err(Again);
        }
        for (number, line) in numbers.iter().zip(text.lines()) {
            let receipt: Value = serde_json::from_str(line).expect("JSON");
            match receipt["status"].as_str() {
                Some("processed") => self.acknowledge(*number, Some(receipt)),
                Some("accepted") => self.acknowledge(*number, None),
                _ if receipt["status"] == 503 => {}
                _ => panic!("{receipt}"),
            }
        }
        let all = self.acknowledged.borrow();
        if numbers.iter().all(|number| all.contains_key(number)) { Ok(()) } else { Err(Again) }
    }

    fn acknowledge(&self, number: u32, receipt: Option<Value>) {
        self.acknowledged.borrow_mut().insert(number, receipt);
    }
}

/// There was no 2xx for all of it.
struct Again;

async fn survives_kills(database: &str) {
    let rounds = rounds();
    let (url, arrived) = receiver("127.0.0.1:0");
    let mut server = Server::start(database, &[]);
    let endpoint = make_endpoint(&server.base, &url).await;
    let (load, senders) = Load::start(&server.base);
    let mut cut_off = 0;
    for round in 0..rounds {
        sleep(Duration::from_millis(150 + u64::from(round * 7919 % 400))).await;
        let before = load.answered();
        let under_way = arrived.under_way.load(Ordering::Relaxed);
        server.kill();
        cut_off += u32::from(under_way > 0);
        server = Server::start(database, &[]);
        load.base.replace(server.base.clone());
        let restarted = Instant::now();
        while load.answered() == before {
            assert!(restarted.elapsed() < PATIENCE, "round {round}: no event is answered any more");
            sleep(Duration::from_millis(10)).await;
        }
    }
    load.stop.set(true);
    futures_util::future::join_all(senders).await;
    assert!(2 * cut_off > rounds, "only {cut_off} of {rounds} kills met deliveries under way");
    reconcile(&server.base, &endpoint, load.acknowledged.take(), &arrived).await;
    server.kill();
    verify(database);
}

fn verify(database: &str) {
    let verify = Command::new(env!("CARGO_BIN_EXE_punchcard"))
        .args(["verify", "--database", database])
        .env("PUNCHCARD_MASTER_KEY", MASTER_KEY)
        .output()
        .expect("verify runs");
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
}

/// Every acknowledged event is there once and is answered as it was the first time, balances are the sum of the
/// receipts, and exactly the loyalty events of the receipts arrived.
async fn reconcile(base: &str, endpoint: &str, acknowledged: HashMap<u32, Option<Value>>, arrived: &Arrived) {
    let count = acknowledged.len();
    assert!(count > 200, "only {count} events: this proves little");
    let mut owed = HashMap::new();
    let mut expected: HashMap<u32, i64> = HashMap::new();
    for (number, answered) in acknowledged {
        let receipt = receipt_of(base, number).await;
        if let Some(first) = answered {
            assert_eq!((&receipt["id"], &receipt["events"]), (&first["id"], &first["events"]), "k{number}");
        }
        let events = receipt["events"].as_array().unwrap().iter();
        let earned: Vec<_> = events.filter(|event| event["type"] == "points.earned").collect();
        assert!(!earned.is_empty(), "{receipt}");
        *expected.entry(number % MEMBERS).or_default() +=
            earned.iter().filter_map(|event| event["data"]["amount"].as_i64()).sum::<i64>();
        let ids: BTreeSet<_> = earned.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        owed.insert(format!("k{number}"), ids);
    }
    for (member, points) in expected {
        let path = format!("/v1/chains/harvest/members/m{member}");
        let (status, shown) = call(base, Method::GET, &path, &Value::Null).await.expect("an answer");
        assert_eq!((status, shown["points"].as_i64()), (200, Some(points)), "member m{member}: {shown}");
    }
    settled(base, endpoint).await;
    let arrived = arrived.by_source();
    for (key, ids) in &owed {
        assert_eq!(arrived.get(key), Some(ids), "the loyalty events of {key}");
    }
    assert_eq!(arrived.len(), owed.len(), "events that were never acknowledged had effects");
    println!("{count} events acknowledged, every one present once and delivered");
}

/// The receipt of an event that must be there already. One that was only kept is decided within moments.
async fn receipt_of(base: &str, number: u32) -> Value {
    let started = Instant::now();
    loop {
        let (status, receipt) = call(base, Method::POST, EVENTS, &event(number)).await.expect("an answer");
        assert_eq!((status, &receipt["duplicate"]), (200, &json!(true)), "k{number} was lost: {receipt}");
        if receipt["status"] == "processed" {
            return receipt;
        }
        assert!(started.elapsed() < PATIENCE, "k{number} is kept and never decided: {receipt}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until nothing is owed any more. The receiver was always there, so nothing may have failed.
async fn settled(base: &str, endpoint: &str) {
    let started = Instant::now();
    let log = format!("/v1/chains/harvest/endpoints/{endpoint}/deliveries?limit=1&status=");
    let first = async |status: &str| {
        let page =
            call(base, Method::GET, &format!("{log}{status}"), &Value::Null).await.expect("an answer").1;
        page["items"].as_array().expect("a list").first().cloned()
    };
    while let Some(pending) = first("pending").await {
        assert!(started.elapsed() < PATIENCE, "never delivered: {pending}");
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(first("failed").await, None);
    assert_eq!(first("discarded").await, None);
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

#[actix_web::test]
async fn retries_resume_within_a_second_of_a_restart_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    retries_resume(&sqlite(&dir.path().join("punchcard.db"))).await;
}

#[actix_web::test]
async fn retries_resume_within_a_second_of_a_restart_on_postgres() {
    retries_resume(&postgres::fresh_database()).await;
}

/// An event that was kept undecided by a process that died is decided by the next one.
async fn kept_events_are_decided(database: &str) {
    let server = Server::start(database, &["--test-clock", "2026-11-20T12:00:00Z"]);
    for number in 0..200 {
        let body = event(number).to_string();
        let sent = send(&server.base, Method::POST, EVENTS, ("prefer", "respond-async"), body)
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
    assert!(restarted.elapsed() < Duration::from_secs(5), "it took {:?}", restarted.elapsed());
    server.kill();
    verify(database);
}

#[actix_web::test]
async fn events_kept_before_a_kill_are_decided_after_the_restart_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    kept_events_are_decided(&sqlite(&dir.path().join("punchcard.db"))).await;
}

#[actix_web::test]
async fn events_kept_before_a_kill_are_decided_after_the_restart_on_postgres() {
    kept_events_are_decided(&postgres::fresh_database()).await;
}

#[cfg(unix)]
impl Server {
    /// Asks it to end, as a service manager does; answers its exit code and how long it took.
    async fn terminate(mut self) -> (Option<i32>, Duration) {
        let started = Instant::now();
        let signalled = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(signalled.success());
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), started.elapsed());
            }
            assert!(started.elapsed() < Duration::from_secs(10), "still running");
            sleep(Duration::from_millis(5)).await;
        }
    }
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
    assert_eq!(arrived.under_way.load(Ordering::Relaxed), 0, "deliveries under way were cut off");
    let server = Server::start(&database, &[]);
    load.base.replace(server.base.clone());
    load.stop.set(true);
    futures_util::future::join_all(senders).await;
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
    let sent = call(&server.base, Method::POST, EVENTS, &event(1)).await.expect("an answer");
    assert_eq!(sent.0, 200, "{}", sent.1);
    let (mut delivery, _) = hook.accept().await.unwrap();
    assert!(delivery.read(&mut [0; 8 * 1024]).await.unwrap() > 0);
    let ready = format!("{}/readyz", server.base);
    let answer = async {
        // Draining has begun when it says that it is not ready, or does not listen any more.
        let client = awc::Client::default();
        while client.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success()) {
            sleep(Duration::from_millis(5)).await;
        }
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

fn sqlite(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration")]
fn rounds() -> u32 {
    std::env::var("PUNCHCARD_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(ROUNDS)
}
