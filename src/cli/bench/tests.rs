//! The whole benchmark against a server that loses, repeats and forges on purpose: what is not counted here would not
//! be counted in earnest either.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};

use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use clap::Parser as _;
use serde_json::{Value, json};
use ulid::Ulid;

use crate::cli::net::api::{Access, Client};
use crate::domain::ids::EventId;

use super::others::Others;
use super::{Bench, compare, run};

/// What the server does wrong, by the number of the order.
const LOST: u64 = 3;
const REPEATED: u64 = 5;
const FORGED: u64 = 7;
const REFUSED: u64 = 11;

#[derive(clap::Parser)]
struct CommandLine {
    #[command(flatten)]
    bench: Bench,
}

/// A server on a thread of its own; one worker, so that its state needs no lock but for what others look at.
struct FaultyServer {
    address: String,
    /// What was done to endpoints other than the measured one.
    others: Arc<Mutex<Vec<String>>>,
    handle: actix_web::dev::ServerHandle,
    thread: std::thread::JoinHandle<()>,
}

struct Faulty {
    target: Rc<Cell<Option<u16>>>,
    others: Arc<Mutex<Vec<String>>>,
    secret: String,
}

impl FaultyServer {
    fn start() -> Self {
        let (started, start) = mpsc::channel();
        let others = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&others);
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let make = move || {
                    let secret = format!("whsec_{}", BASE64_STANDARD.encode([1; 32]));
                    let state =
                        web::Data::new(Faulty { target: Rc::default(), others: Arc::clone(&noted), secret });
                    App::new()
                        .app_data(state)
                        .route("/readyz", web::get().to(HttpResponse::Ok))
                        .route("/v1/chains/harvest", web::get().to(|| async { web::Json(json!({})) }))
                        .route("/v1/chains/harvest/endpoints", web::post().to(subscribe))
                        .route("/v1/chains/harvest/endpoints/{id}", web::delete().to(HttpResponse::NoContent))
                        .route("/v1/chains/harvest/endpoints/{id}", web::patch().to(patch))
                        .route("/v1/chains/harvest/endpoints/{id}/disable", web::post().to(disable))
                        .route("/v1/chains/harvest/events", web::post().to(one))
                        .route("/v1/chains/harvest/events/batch", web::post().to(many))
                };
                let server = HttpServer::new(make).workers(1).bind("127.0.0.1:0").unwrap();
                let address = server.addrs()[0].to_string();
                let server = server.run();
                started.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (address, handle) = start.recv().unwrap();
        Self { address, others, handle, thread }
    }

    fn stop(self) {
        drop(self.handle.stop(false));
        self.thread.join().unwrap();
    }
}

async fn subscribe(state: web::Data<Faulty>, body: web::Json<Value>) -> web::Json<Value> {
    let url = url::Url::parse(body["url"].as_str().unwrap()).unwrap();
    let id = if url.path() == "/bench" {
        state.target.set(url.port());
        "ep_1"
    } else {
        state.others.lock().unwrap().push("made".to_owned());
        "ep_2"
    };
    web::Json(json!({ "id": id, "secret": state.secret }))
}

async fn patch(state: web::Data<Faulty>, id: web::Path<String>, body: web::Json<Value>) -> HttpResponse {
    state.others.lock().unwrap().push(format!("{id} has {body}"));
    HttpResponse::Ok().json(json!({}))
}

async fn disable(state: web::Data<Faulty>, id: web::Path<String>) -> HttpResponse {
    state.others.lock().unwrap().push(format!("{id} disabled"));
    HttpResponse::Ok().json(json!({}))
}

async fn one(state: web::Data<Faulty>, body: web::Bytes) -> HttpResponse {
    let answer = take_in(&state, &body);
    let code = if answer.get("code").is_some() { 422 } else { 200 };
    HttpResponse::build(actix_web::http::StatusCode::from_u16(code).unwrap()).json(answer)
}

async fn many(state: web::Data<Faulty>, body: web::Bytes) -> String {
    let lines = body.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| format!("{}\n", take_in(&state, line))).collect()
}

fn take_in(state: &web::Data<Faulty>, body: &[u8]) -> Value {
    let event: Value = serde_json::from_slice(body).unwrap();
    let key = event["key"].as_str().unwrap().to_owned();
    let number: u64 = key.rsplit('-').next().unwrap().parse().unwrap();
    if number == REFUSED {
        return json!({ "code": "invalid_field", "status": 422 });
    }
    let id = EventId::derived(Ulid(u128::from(number) << 80), 1);
    let webhook = (id.to_string(), json!({ "data": { "source_event": key } }).to_string());
    if let Some(port) = state.target.get() {
        let secret = if number == FORGED { BASE64_STANDARD.encode([2; 32]) } else { state.secret.clone() };
        let times = if number == LOST { 0 } else { 1 + usize::from(number == REPEATED) };
        actix_web::rt::spawn(async move {
            for _ in 0..times {
                deliver(port, &secret, &webhook.0, &webhook.1).await;
            }
        });
    }
    json!({ "duplicate": false, "status": "processed",
        "events": [{ "id": EventId::derived(id.ulid(), 7), "type": "order.completed" }, { "id": id, "type": "points.earned" }] })
}

async fn deliver(port: u16, secret: &str, id: &str, body: &str) {
    let signature = standardwebhooks::Webhook::new(secret).unwrap().sign(id, 1, body.as_bytes()).unwrap();
    let access = Access { authority: format!("127.0.0.1:{port}"), key: String::new() };
    let head = format!(
        "POST / HTTP/1.1\r\nwebhook-id: {id}\r\nwebhook-timestamp: 1\r\nwebhook-signature: {signature}\r\n"
    );
    Client::new(access).send(&head, body.as_bytes()).await.unwrap();
}

/// The bench that such a command line asks for.
fn parsed(server: &FaultyServer, arguments: &[&str]) -> Bench {
    let target = format!("http://{}", server.address);
    let mut line =
        vec!["bench", "--target", &target, "--key", "pck_x", "--stall-seconds", "1", "--verify", "all"];
    line.extend(arguments);
    CommandLine::parse_from(line).bench
}

fn bench(arguments: &[&str]) -> Value {
    let server = FaultyServer::start();
    let report = run::run(&parsed(&server, arguments), Others::Hanging).unwrap();
    server.stop();
    assert!(report.verdict().is_err(), "losses and forgeries must fail the run");
    serde_json::to_value(report).unwrap()
}

fn assert_faults_are_counted(report: &Value, orders: u64) {
    let number = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{name} in {report}"));
    assert_eq!(number("sent"), orders);
    assert_eq!(number("acknowledged"), orders - 1);
    assert_eq!(
        report["errors"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>(),
        1,
        "{report}"
    );
    assert_eq!((number("expected"), number("arrived")), (orders - 1, orders - 2));
    assert_eq!((number("lost"), number("duplicated")), (1, 1));
    assert_eq!((number("signatures_checked"), number("wrongly_signed")), (orders - 1, 1));
}

#[test]
fn single_requests_are_reconciled_exactly() {
    assert_faults_are_counted(&bench(&["--mode", "single", "--connections", "3", "--orders", "60"]), 60);
}

#[test]
fn streamed_orders_are_reconciled_exactly() {
    // The server answers a batch when it has all of it, so the window holds all orders of a connection.
    assert_faults_are_counted(&bench(&["--connections", "1", "--orders", "200", "--window", "400"]), 200);
}

#[test]
fn a_fixed_rate_is_kept() {
    let report = bench(&["--mode", "single", "--connections", "4", "--rate", "200", "--orders", "100"]);
    assert_faults_are_counted(&report, 100);
    let rate = report["events_per_s"].as_f64().unwrap();
    assert!((150.0..=205.0).contains(&rate), "{rate}");
}

#[test]
fn a_comparison_has_as_many_runs_of_both_kinds_and_the_faults_of_all() {
    let server = FaultyServer::start();
    let arguments =
        ["--mode", "single", "--orders", "60", "--hanging", "1", "--compare", "answering", "--rounds", "2"];
    let bench = parsed(&server, &arguments);
    let comparison = compare::run(&bench, bench.compare.with.unwrap()).unwrap();
    server.stop();
    assert!(comparison.verdict().is_err(), "a loss in one run must fail all");
    let text = comparison.to_text();
    assert!(text.contains("236 expected, 232 arrived, lost 4, duplicated 4"), "{text}");
    let report = serde_json::to_value(comparison).unwrap();
    let rounds = report["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2);
    for run in rounds.iter().flat_map(|round| [&round["hanging"], &round["compared"]]) {
        assert_faults_are_counted(run, 60);
    }
    for ratio in rounds.iter().chain([&report]).map(|of| of["p99_ratio"].as_f64().unwrap()) {
        assert!(ratio > 0.0, "{report}");
    }
}

#[test]
fn the_others_are_as_the_command_line_says() {
    let made = ["made", "ep_2 has {\"timeout_s\":1}"];
    for (others, expected) in [
        (Others::Hanging, made.to_vec()),
        (Others::Answering, made.to_vec()),
        (Others::Disabled, [&made[..], &["ep_2 disabled"]].concat()),
        (Others::None, vec![]),
    ] {
        let server = FaultyServer::start();
        let arguments = ["--mode", "single", "--orders", "1", "--hanging", "1", "--hanging-timeout", "1"];
        run::run(&parsed(&server, &arguments), others).unwrap();
        assert_eq!(*server.others.lock().unwrap(), expected, "{others:?}");
        server.stop();
    }
}

#[test]
fn orders_of_the_warm_seconds_are_counted_without_their_latencies() {
    let arguments = [
        "--mode",
        "single",
        "--rate",
        "200",
        "--orders",
        "100",
        "--warm-seconds",
        "60",
        "--connections",
        "4",
    ];
    let report = bench(&arguments);
    assert_faults_are_counted(&report, 100);
    for latency in ["ingest_latency", "arrival_latency"] {
        assert_eq!(report[latency]["max_ms"], 0.0, "{report}");
    }
}
